"""JSON text is parsed while it arrives. Nobody can tell but by the memory that is counted for the client meanwhile:
what is answered, stored and refused is the same as if the request had come in one piece.
"""
import json
import random

import pytest

from harness.resp import Client, ErrorReply, encode
from harness.waiting import hold, until

PART = 60_000
PARSED_MIN = 6_000  # bytes that are parsed each time at least, however slow the machine is
BIG = json.dumps([{"id": number, "name": f"né {number} \\ 😀", "list": [number / 2, None, True, {"deep": [[]]}]}
                  for number in range(12_000)], separators=(",", ":"), ensure_ascii=False)


def arrived(other, name, count):
    """Waits until the server has read so many bytes of the client of that name; the memory that counts for it,
    or None when it has left."""
    def facts():
        lines = (dict(word.split("=", 1) for word in line.split())
                 for line in other.command("CLIENT", "LIST").decode().splitlines())
        found = next((line for line in lines if line["name"] == name), {"qbuf": count, "tot-mem": -1})
        return found if int(found["qbuf"]) >= count else None
    memory = int(until(facts)["tot-mem"])
    return None if memory < 0 else memory


def send_in_parts(client, data, part=PART):
    for at in range(0, len(data), part):
        client.send_raw(data[at:at + part])


@pytest.fixture
def other(server):
    with Client(server.port) as client:
        yield client


@pytest.fixture
def sender(server):
    with Client(server.port) as client:
        client.command("CLIENT", "SETNAME", "sender")
        yield client


def begin(sender, other, *words, rest=100):
    """All of a request but its last bytes, which are returned, and the memory that counts for the client."""
    data = encode(words)
    send_in_parts(sender, data[:-rest])
    return data[-rest:], arrived(other, "sender", len(data) - 40_000)


def test_a_document_is_parsed_while_it_arrives(sender, other):
    rest, plain = begin(sender, other, "SET", "s", BIG)
    sender.send_raw(rest)
    assert sender.read().value == b"OK"
    rest, memory = begin(sender, other, "JSON.SET", "d", "$", BIG)
    assert memory > plain + PARSED_MIN and other.command("EXISTS", "d") == 0
    sender.send_raw(rest)
    assert sender.read().value == b"OK" and other.command("JSON.GET", "d").decode() == BIG
    until(lambda: arrived(other, "sender", 0) < 40_000)
    calls = other.info("commandstats")["cmdstat_json.set"]
    assert calls.startswith("calls=1,") and "failed_calls=0" in calls


@pytest.mark.parametrize("words", (
    ("JSON.SET", "d", "$.a", BIG, "NX"), ("JSON.SET", "d", "$.b", BIG, "XX"), ("JSON.MERGE", "d", "$.a", BIG),
    ("JSON.ARRAPPEND", "d", "$.a", BIG, "1", BIG[:-1] + ",2]"), ("JSON.ARRINSERT", "d", "$.a", 0, BIG, BIG),
    ("JSON.MSET", "x", "$", BIG, "d", "$.a", BIG), ("JSON.STRAPPEND", "d", "$.s", json.dumps(BIG)),
    ("JSON.SET", "d", "$.new", BIG, "EX", 1000), ("JSON.SET", "d", "$", BIG, "FORMAT", "STRING")),
    ids=lambda words: "-".join(map(str, words[:3:2])))
def test_all_commands_that_take_values(sender, other, words):
    for key, client in (("early", sender), ("whole", other)):
        client.command("SELECT", 1 if client is other else 0)
        client.command("JSON.SET", "d", "$", '{"a":[0],"s":"x"}')
        send_in_parts(client, encode(words), PART if client is sender else 1 << 24)
    assert sender.read().value == other.read().value
    for key in ("d", "x"):
        assert sender.command("JSON.GET", key) == other.command("JSON.GET", key)


@pytest.mark.parametrize("wrong", (b"\x01", b"]", b'"', b"\\u00zz", b"\xff", b"\xe2\x82", b"1e999", b"}{"), ids=ascii)
def test_what_is_wrong_is_told_as_ever(sender, other, wrong):
    sender.command("JSON.SET", "d", "$", "1")
    for at in (0, 10, 100_000, -1000, -1, 200_000):
        text = BIG.encode()[:200_000]
        text = text[:at] + wrong + text[at:]
        rest, _ = begin(sender, other, "JSON.SET", "d", "$", text)
        sender.send_raw(rest)
        early = sender.read().value
        assert isinstance(early, ErrorReply) and early == other.command("JSON.SET", "d", "$", text)
        assert other.command("JSON.GET", "d") == b"1"


def test_requests_that_are_not_carried_out(sender, other):
    other.command("JSON.SET", "d", "$", "1")
    for words in (("JSON.SET", "d", "$", BIG, "NX"), ("JSON.SET", "none", "$", BIG, "XX"),
                  ("JSON.SET", "none", "$.a", BIG), ("JSON.SET", "d", "$", BIG, "BAD"),
                  ("JSON.MERGE", "d", "$", BIG, "x"), ("JSON.SET", "d", "$[", BIG), ("SET", "d", "$", BIG),
                  ("JSON.NONE", "d", "$", BIG)):
        rest, _ = begin(sender, other, *words)
        sender.send_raw(rest)
        assert sender.read().value == other.command(*words)
        assert other.command("JSON.GET", "d") == b"1" and other.command("DBSIZE") == 1
    until(lambda: arrived(other, "sender", 0) < 40_000)


def test_transactions(sender, other):
    data = encode(("JSON.SET", "d", "$", BIG))
    send_in_parts(sender, encode(("MULTI",)) + data + encode(("JSON.ARRLEN", "d", "$")) + encode(("EXEC",)))
    assert [sender.read().value for _ in range(4)] == [b"OK", b"QUEUED", b"QUEUED", [b"OK", [12_000]]]
    sender.command("WATCH", "d")
    rest, _ = begin(sender, other, "JSON.ARRAPPEND", "d", "$", BIG)
    other.command("JSON.ARRPOP", "d", "$")
    send_in_parts(sender, rest + encode(("MULTI",)) + encode(("JSON.SET", "e", "$", BIG)) + encode(("EXEC",)))
    assert [sender.read().value for _ in range(4)] == [[12_000], b"OK", b"QUEUED", None]
    send_in_parts(sender, data + data + encode(("JSON.GET", "d", "$")))
    assert [sender.read().value for _ in range(3)] == [b"OK", b"OK", f"[{BIG}]".encode()]


def test_clients_that_leave_in_the_midst(server, other):
    before = int(other.info("memory")["used_memory"])
    for way in ("close", "kill", "close", "kill"):
        sender = Client(server.port)
        sender.command("CLIENT", "SETNAME", "sender")
        client_id = sender.command("CLIENT", "ID")
        begin(sender, other, "JSON.SET", "d", "$", BIG)
        if way == "kill":
            assert other.command("CLIENT", "KILL", "ID", client_id) == 1
        sender.close()
        until(lambda: arrived(other, "sender", 0) is None)
    until(lambda: int(other.info("memory")["used_memory"]) < before + len(BIG))
    assert other.command("EXISTS", "d") == 0


def test_who_may_not_is_not_served(server, other):
    other.command("ACL", "SETUSER", "reader", "on", "nopass", "~d", "+@all", "-json.set")
    other.command("ACL", "SETUSER", "elsewhere", "on", "nopass", "~e", "+@all")
    for user in ("reader", "elsewhere"):
        with Client(server.port) as sender:
            sender.command("AUTH", user, "x")
            sender.command("CLIENT", "SETNAME", "sender")
            rest, plain = begin(sender, other, "JSON.SET", "d", "$", BIG)
            assert plain < 1.2 * len(BIG.encode())
            sender.send_raw(rest)
            assert sender.read().value.text.startswith("NOPERM")
            other.command("ACL", "SETUSER", user, "allkeys", "+json.set")
            rest, memory = begin(sender, other, "JSON.SET", user, "$", BIG)
            assert memory > plain + PARSED_MIN
            other.command("ACL", "SETUSER", user, "-json.set")
            sender.send_raw(rest)
            assert sender.read().value.text.startswith("NOPERM")


def test_memory_that_is_out(sender, other):
    other.command("SET", "much", "x" * 5_000_000)
    rest, _ = begin(sender, other, "JSON.SET", "d", "$", BIG)
    other.command("CONFIG", "SET", "maxmemory", 4_000_000)
    sender.send_raw(rest)
    assert sender.read().value.text.startswith("OOM")
    rest, plain = begin(sender, other, "JSON.SET", "d", "$", BIG)
    assert plain < 1.2 * len(BIG.encode())
    other.command("CONFIG", "SET", "maxmemory", 0)
    sender.send_raw(rest)
    assert sender.read().value == b"OK" and other.command("JSON.GET", "d").decode() == BIG


@pytest.mark.server_options("--appendonly", "yes", "--appendfsync", "no", "--enable-debug-command", "yes")
def test_the_log_has_it(server, sender, other):
    sender.send_raw(encode(("JSON.SET", "d", "$", BIG, "PX", 1_000_000)))
    sender.read()
    send_in_parts(sender, encode(("JSON.ARRAPPEND", "d", "$", BIG)))
    sender.read()
    document = other.command("JSON.GET", "d")
    assert other.command("DEBUG", "LOADAOF") == b"OK"
    assert other.command("JSON.GET", "d") == document and 0 < other.command("PTTL", "d") <= 1_000_000


def test_any_parts(sender, other, seed):
    chosen = random.Random(seed)
    for _ in range(6):
        at = chosen.randrange(200_000)
        text = json.dumps({"text": BIG[at:at + chosen.randrange(150_000)], "all": json.loads(BIG)[:at // 100]},
                          ensure_ascii=chosen.random() < .5)
        data = encode(("JSON.SET", "d", "$", text))
        while data:
            part = chosen.choice((1, 17, 1000, 20_000, 70_000, 300_000))
            sender.send_raw(data[:part])
            data = data[part:]
        assert sender.read().value == b"OK"
        assert json.loads(other.command("JSON.GET", "d")) == json.loads(text)


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_who_has_to_wait_for_the_key(server, sender, other):
    other.command("JSON.SET", "d", "$", "[]")
    with Client(server.port) as writer, Client(server.port) as leaving:
        leaving.command("CLIENT", "SETNAME", "leaving")
        client_id = leaving.command("CLIENT", "ID")
        with hold(other):
            send_in_parts(writer, encode(("JSON.ARRAPPEND", "d", "$", BIG)))
            until(lambda: "cmd=json.arrappend" in other.command("CLIENT", "LIST").decode())
            for client in (sender, leaving):
                send_in_parts(client, encode(("JSON.ARRAPPEND", "d", "$", BIG)))
            until(lambda: other.command("CLIENT", "LIST").count(b"cmd=json.arrappend") == 3)
            assert other.command("CLIENT", "KILL", "ID", client_id) == 1
            until(lambda: arrived(other, "leaving", 0) is None)
        assert writer.read().value == [1] and sender.read().value == [2]
        assert json.loads(other.command("JSON.GET", "d")) == [json.loads(BIG)] * 2
