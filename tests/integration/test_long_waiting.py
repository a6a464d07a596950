"""Waiting for very many elements at once: who is woken to much work gets it in slices, in the order of arrival.

The work is stopped between its steps (DEBUG TASK-STEPS). Replies, and what is left, are the oracle's.
"""
import pytest

from aof_files import AOF, loaded
from harness.resp import Client
from harness.waiting import begin, has_answered, hold, until

PROTOCOLS = (2,)
SIZE, TAKEN = 24_000, 16_000
SERVER_OPTIONS = ("--enable-debug-command", "yes")
WAITS = {
    "list": (("BLMPOP", 0, 2, "none", "K", "LEFT", "COUNT", TAKEN), ("BLPOP", "K", 0), ("LLEN", "K"),
             ("LRANGE", "K", 0, -1)),
    "zset": (("BZMPOP", 0, 2, "none", "K", "MAX", "COUNT", TAKEN), ("BZPOPMAX", "K", 0), ("ZCARD", "K"),
             ("ZRANGE", "K", 0, -1, "WITHSCORES")),
}


def fill(client, kind):
    client.command("FLUSHALL")
    for at in range(0, SIZE, 500):
        words = [x for i in range(at, at + 500) for x in ((i * 7 % 1009, f"m{i}") if kind == "zset" else (f"e{i}",))]
        client.command("ZADD" if kind == "zset" else "RPUSH", "source", *words)


def blocked(client):
    return int(client.info("clients")["blocked_clients"])


def wait(client, other, *command):
    before = blocked(other)
    client.send(*command)
    until(lambda: blocked(other) == before + 1)


@pytest.fixture
def cast(module_server):
    with Client(module_server.port) as first, Client(module_server.port) as second, \
            Client(module_server.port) as writer, Client(module_server.port) as other:
        first.id = first.command("CLIENT", "ID")
        yield first, second, writer, other


@pytest.mark.parametrize("kind", WAITS)
def test_replies_and_what_is_left(ports, kind):
    much, one, _, everything = WAITS[kind]
    found = []
    for port in ports:
        with Client(port) as first, Client(port) as second, Client(port) as other:
            fill(other, kind)
            wait(first, other, *much)
            wait(second, other, *one)
            assert other.command("RENAME", "source", "K") == b"OK"
            found.append((first.read().value, second.read().value, other.command(*everything), blocked(other)))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", WAITS)
@pytest.mark.parametrize("woken_by_exec", [False, True], ids=["alone", "exec"])
def test_others_meanwhile(cast, kind, woken_by_exec):
    """Readers see the key as it was, who is behind in the line waits for his turn, and a writer for his."""
    first, second, writer, other = cast
    much, one, count, _ = WAITS[kind]
    fill(other, kind)
    wait(first, other, *much)
    wait(second, other, *one)
    with hold(other):
        if woken_by_exec:
            assert list(other.pipeline([("MULTI",), ("RENAME", "source", "K"), ("EXEC",)]))[-1] == [b"OK"]
        else:
            assert other.command("RENAME", "source", "K") == b"OK"
        assert other.command(*count) == SIZE
        assert blocked(other) == 1
        begin(writer, "DEL", "K")
        assert other.command(*count) == SIZE
        assert not any(map(has_answered, (first, second, writer)))
        assert other.command("CLIENT", "UNBLOCK", first.id) == 0
    assert len(first.read().value[1]) == TAKEN
    assert second.read().value[0] == b"K"
    assert writer.read().value == 1
    assert other.command("EXISTS", "K") == 0 and blocked(other) == 0


@pytest.mark.parametrize("kind", WAITS)
def test_the_line_goes_on(cast, kind):
    """Two who want more than half: the second gets the rest, and the first one's connection goes on."""
    first, second, _, other = cast
    much, one, count, _ = WAITS[kind]
    fill(other, kind)
    wait(first, other, *much)
    wait(second, other, *much)
    other.command("RENAME", "source", "K")
    assert len(first.read().value[1]) == TAKEN
    assert len(second.read().value[1]) == SIZE - TAKEN
    assert other.command("EXISTS", "K") == 0
    for client in (first, second):
        assert client.command("PING") == b"PONG"
    wait(first, other, *one)
    assert other.command("CLIENT", "UNBLOCK", first.id) == 1
    assert first.read().value is None


@pytest.mark.parametrize("end", ["kill", "flush", "exec"])
def test_what_comes_in_the_midst(cast, end):
    """Its client leaves, or somebody wants all keys, or the key in a transaction: it is carried out first."""
    first, second, writer, other = cast
    fill(other, "list")
    much, one, count, _ = WAITS["list"]
    wait(first, other, *much)
    wait(second, other, *one)
    with hold(other):
        other.command("RENAME", "source", "K")
        if end == "kill":
            assert other.command("CLIENT", "KILL", "ID", first.id) == 1
        elif end == "flush":
            begin(writer, "FLUSHALL")
        else:
            assert list(writer.pipeline([("MULTI",), ("LPUSH", "K", "new")])) == [b"OK", b"QUEUED"]
            writer.send("EXEC")
    assert second.read().value == [b"K", b"e%d" % TAKEN]
    if end == "kill":
        assert other.command(*count) == SIZE - TAKEN - 1
        return
    assert len(first.read().value[1]) == TAKEN
    assert writer.read().value == (b"OK" if end == "flush" else [SIZE - TAKEN])
    until(lambda: other.command(*count) == (0 if end == "flush" else SIZE - TAKEN))


def test_silent_clients_stay_silent(cast):
    first, _, _, other = cast
    fill(other, "list")
    first.send("CLIENT", "REPLY", "SKIP")
    wait(first, other, *WAITS["list"][0])
    other.command("RENAME", "source", "K")
    until(lambda: other.command("LLEN", "K") == SIZE - TAKEN)
    assert first.command("PING") == b"PONG"


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_the_log_has_it_once(start_server, end):
    server = start_server(*AOF)
    with Client(server.port) as first, Client(server.port) as other:
        fill(other, "zset")
        wait(first, other, *WAITS["zset"][0])
        other.command("RENAME", "source", "K")
        assert len(first.read().value[1]) == TAKEN
        left = other.command("ZRANGE", "K", 0, -1, "WITHSCORES")
    if end == "stop":
        server.stop_cleanly()
    else:
        server.kill()
    with loaded(start_server(*AOF, directory=server.directory)) as client:
        assert client.command("ZRANGE", "K", 0, -1, "WITHSCORES") == left
