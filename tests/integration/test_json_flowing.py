"""Documents whose length is known leave while they are being printed: what arrives is the document as it was, whole,
whatever happens meanwhile, and it is right after every kind of change.

The printing is stopped between its steps (DEBUG TASK-STEPS) when a part of the reply is on its way.
"""
import json
import random

import pytest

from harness.resp import Client, Push
from harness.waiting import begin, has_answered, hold, until

pytestmark = pytest.mark.server_options("--enable-debug-command", "yes")
COUNT = 15_000


def records(count=COUNT):
    return [{"id": number, "text": f"value {number}", "list": [number / 2, None, True]} for number in range(count)]


def begin_to_flow(reader, other, *words):
    """Sends the command and lets it go on until the first bytes of its reply are there; mostly it is far from its
    end then, and never does it matter."""
    begin(reader, *words)
    until(lambda: other.command("DEBUG", "TASK-STEPS", 1) is not None and has_answered(reader))


@pytest.mark.parametrize("version", (2, 3))
@pytest.mark.parametrize("path", ("$", ".", "$.all", "all"))
def test_what_happens_meanwhile(server, version, path):
    with Client(server.port, version) as reader, Client(server.port) as other:
        other.command("JSON.SET", "d", "$", json.dumps({"all": records(), "name": "x"}))
        if version == 3:
            reader.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k")
            reader.command("SUBSCRIBE", "news")
        before = reader.command("JSON.GET", "d", path)
        with hold(other):
            begin_to_flow(reader, other, "JSON.GET", "d", path)
            other.command("SET", "k1", "1")
            other.command("PUBLISH", "news", "x" * 40_000)
            assert other.command("JSON.SET", "d", "$.all[0].text", '"changed"') == b"OK"
            assert other.command("JSON.DEL", "d", "$.name") == 1
            reader.send("GET", "k1")
        replies = [reader.read().value for _ in range(2 if version == 2 else 4)]
        pushes = [reply for reply in replies if isinstance(reply, Push)]
        assert replies[0] == before and replies[-1 if version == 2 else replies.index(b"1")] == b"1"
        assert sorted(push[0] for push in pushes) == ([] if version == 2 else [b"invalidate", b"message"])
        for _ in range(2):
            after = json.loads(reader.command("JSON.GET", "d", path))
            after = after[0] if path[0] == "$" else after
            assert (after["all"] if path in ("$", ".") else after)[0]["text"] == "changed"


def test_nothing_is_heard_of_what_nobody_wants(server):
    with Client(server.port) as reader, Client(server.port) as other:
        other.command("JSON.SET", "d", "$", json.dumps(records()))
        before = reader.command("JSON.GET", "d")
        reader.send("CLIENT", "REPLY", "SKIP")
        reader.send("JSON.GET", "d")
        assert reader.command("PING") == b"PONG"
        reader.command("MULTI")
        reader.command("JSON.GET", "d")
        reader.command("PING")
        assert reader.command("EXEC") == [before, b"PONG"]
        with hold(other):
            begin_to_flow(reader, other, "JSON.GET", "d")
            reader.close()
            assert other.command("DEL", "d") == 1
        until(lambda: "cmd=JSON.GET" not in other.command("CLIENT", "LIST").decode())
        assert other.command("JSON.GET", "d") is None


def change(rng, client):
    at, name = rng.randrange(1500), rng.choice(("text", "list", "id", "new"))
    value = rng.choice(("1", "null", '"' + "x" * rng.randrange(300) + '"', '{"a":[1.5,"\\n"]}', "[]"))
    client.command(*rng.choice((
        ("JSON.SET", "d", f"$.all[{at}].{name}", value), ("JSON.SET", "d", "$.name", value),
        ("JSON.NUMINCRBY", "d", f"$.all[{at}].id", rng.randrange(1 << 30)), ("JSON.DEL", "d", f"$.all[{at}].{name}"),
        ("JSON.STRAPPEND", "d", f"$.all[{at}].text", '"more"'), ("JSON.ARRAPPEND", "d", "$.all", value, value),
        ("JSON.ARRPOP", "d", "$.all", at), ("JSON.ARRINSERT", "d", "$.all", at, value),
        ("JSON.MERGE", "d", "$", '{"name":' + value + "}"), ("JSON.TOGGLE", "d", f"$.all[{at}].list[2]"),
        ("JSON.ARRTRIM", "d", f"$.all[{at}].list", 0, 1), ("JSON.CLEAR", "d", f"$.all[{at}].list"),
        ("JSON.NUMMULTBY", "d", f"$.all[{at}].list[0]", 3), ("JSON.SET", "d", "$", json.dumps({"all": records(1500)})),
        ("RENAME", "d", "e"), ("COPY", "d", "e", "REPLACE"), ("COPY", "e", "d", "REPLACE"), ("DEBUG", "DEFRAG"))))


def test_after_every_change(server, seed, scale):
    """What is answered is what is answered by way of another command, whose length is found out each time."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    with Client(server.port) as client:
        client.command("JSON.SET", "d", "$", json.dumps({"all": records(1500)}))
        for _ in range(scale(150)):
            change(rng, client)
            for key in ("d", "e"):
                path = rng.choice(("$", "$.all", ".", "$.name"))
                expected = client.command("JSON.GET", key, path, "NEWLINE", "")
                for _ in range(rng.randrange(1, 3)):
                    assert client.command("JSON.GET", key, path) == expected
