"""Waiting for very many keys: they are looked at, and waited for, in slices, as if it were at one moment.

Replies are the oracle's. What happens in the midst is stopped between steps (DEBUG TASK-STEPS).
"""
import pytest

from aof_files import AOF, loaded
from harness.resp import Client, encode
from harness.waiting import begin, has_answered, held, hold, name_not_held, until, until_blocked

PROTOCOLS = (2,)
COUNT = 5000
KEYS = [b"key:%d" % i for i in range(COUNT)]
SERVER_OPTIONS = ("--enable-debug-command", "yes")
FOREVER = {
    "blpop": ("BLPOP", *KEYS, 0),
    "blmpop": ("BLMPOP", 0, COUNT, *KEYS, "RIGHT", "COUNT", 2),
    "bzpopmax": ("BZPOPMAX", *KEYS, 0),
    "bzmpop": ("BZMPOP", 0, COUNT, *KEYS, "MIN"),
    "xread": ("XREAD", "BLOCK", 0, "STREAMS", *KEYS, *["$", "0"] * (COUNT // 2)),
    "xreadgroup": ("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", *KEYS, *[">"] * COUNT),
}


def push(kind, key):
    if "z" in kind:
        return ("ZADD", key, 1, "a", 2, "b")
    return ("XADD", key, "7-1", "f", "v") if "x" in kind else ("RPUSH", key, "a", "b")


def make_groups(client, kind):
    client.command("FLUSHALL")
    if kind == "xreadgroup":
        for _ in client.pipeline([("XGROUP", "CREATE", key, "g", "$", "MKSTREAM") for key in KEYS]):
            pass


def settled(client):
    """Nobody waits, and nothing of any wait is left."""
    until(lambda: client.info("clients")["total_blocking_keys"] == "0")
    assert client.info("clients")["blocked_clients"] == "0"


@pytest.fixture
def cast(module_server):
    with Client(module_server.port) as first, Client(module_server.port) as second, \
            Client(module_server.port) as writer, Client(module_server.port) as other:
        other.command("FLUSHALL")
        yield first, second, writer, other
        settled(other)


@pytest.mark.parametrize("kind", FOREVER)
def test_who_waits_gets_what_comes(ports, kind):
    found = []
    for port in ports:
        with Client(port) as first, Client(port) as second, Client(port) as other:
            make_groups(other, kind)
            for client, count in ((first, 1), (second, 2)):
                client.send(*FOREVER[kind])
                until_blocked(other, count)
            replies = [other.command(*push(kind, KEYS[-3])), other.command(*push(kind, KEYS[1]))]
            replies.append(first.read().value)
            if kind == "xreadgroup":
                replies.append(other.command("XADD", KEYS[2], "8-1", "f", "v"))
            replies.append(second.read().value)
            replies += [client.command("PING") for client in (first, second)]
            replies += [other.command("EXISTS", KEYS[-3]), other.command("EXISTS", KEYS[1])]
            found.append(replies)
            until(lambda: other.info("clients")["blocked_clients"] == "0")
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", FOREVER)
@pytest.mark.parametrize("state", ["the last", "wrong type", "transaction"])
def test_nobody_has_to_wait(ports, kind, state):
    found = []
    for port in ports:
        with Client(port) as client:
            make_groups(client, kind)
            if state == "wrong type":
                client.command("SET", KEYS[-2], "text")
            if state != "transaction":
                client.command(*push(kind, KEYS[-1]))
            if state == "transaction":
                list(client.pipeline([("MULTI",), FOREVER[kind]]))
                found.append(client.command("EXEC"))
            elif kind == "xread":
                found.append(str(client.command(*FOREVER[kind][:-COUNT], *["0"] * COUNT)))
            else:
                found.append(str(client.command(*FOREVER[kind])))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["blpop", "bzpopmax", "xread"])
def test_time_is_up(ports, kind):
    found = []
    for port in ports:
        with Client(port) as client:
            client.command("FLUSHALL")
            words = FOREVER[kind]
            replies = [client.command(*(words[:2] + (20,) + words[3:] if kind == "xread" else words[:-1] + ("0.02",)))]
            name = client.command("CLIENT", "ID")
            client.send_raw(encode(words) + encode(["PING"]))
            with Client(port) as other:
                until_blocked(other)
                replies.append(other.command("CLIENT", "UNBLOCK", name, "ERROR"))
                replies += [str(client.read().value), client.read().value]
            found.append(replies)
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", FOREVER)
def test_in_its_midst(cast, kind):
    """While it comes to wait readers are served, who would change a key waits, and then it gets what he brings."""
    first, second, writer, other = cast
    make_groups(other, kind)
    with hold(other, 1):
        begin(first, *FOREVER[kind])
        held(other)
        assert other.command("EXISTS", KEYS[0]) == (kind == "xreadgroup")
        assert other.command("SET", name_not_held(other.port), "x") == b"OK"
        begin(writer, *push(kind, KEYS[0]))
        second.command("PING")
        assert not has_answered(writer) and not has_answered(first)
        assert other.info("clients")["blocked_clients"] == "0"
    assert writer.read().value is not None
    assert KEYS[0] in str(first.read().value).encode()


@pytest.mark.parametrize("end", ["in its midst", "while it waits"])
@pytest.mark.parametrize("kind", ["blpop", "bzpopmax", "xread"])
def test_whose_client_leaves_gets_nothing(cast, kind, end):
    first, second, writer, other = cast
    name = first.command("CLIENT", "ID")
    with hold(other, 1 if end == "in its midst" else -1):
        begin(first, *FOREVER[kind])
        if end == "in its midst":
            held(other)
        else:
            until_blocked(other)
        assert other.command("CLIENT", "KILL", "ID", name) == 1
    for key in (KEYS[0], KEYS[-1]):
        other.command(*push(kind, key))
    settled(other)
    assert other.command("EXISTS", KEYS[0], KEYS[-1]) == 2


def test_first_come_first_served(cast):
    """Also behind one whose wait is over but for what the server has to clear away."""
    first, second, writer, other = cast
    with Client(other.port) as gone, Client(other.port) as third:
        name = gone.command("CLIENT", "ID")
        for count, client in enumerate((gone, first, second, third), 1):
            client.send(*(FOREVER["blpop"] if client is not third else ("BLPOP", KEYS[7], 0)))
            until_blocked(other, count)
        replies = list(other.pipeline([("CLIENT", "KILL", "ID", name), ("RPUSH", KEYS[7], "1", "2", "3")]))
        assert replies == [1, 3]
        assert [client.read().value for client in (first, second, third)] == [[KEYS[7], value] for value in (
            b"1", b"2", b"3")]


@pytest.mark.parametrize("kind", ["xread", "xreadgroup"])
def test_woken_in_vain(cast, kind):
    """What is gone before anybody sees it leaves him waiting, and costs nothing more."""
    first, second, writer, other = cast
    make_groups(other, kind)
    first.send(*FOREVER[kind])
    until_blocked(other)
    for name in ("1-1", "2-1"):
        with hold(other, 100):
            assert list(other.pipeline([("MULTI",), ("XADD", KEYS[5], name, "f", "v"), ("XDEL", KEYS[5], name),
                                        ("EXEC",)]))[-1] == [name.encode(), 1]
            assert other.command("PING") == b"PONG"
            assert other.command("DEBUG", "TASK-STEPS") == 100
    assert not has_answered(first)
    other.command("XADD", KEYS[5], "9-1", "f", "v")
    assert first.read().value == [[KEYS[5], [[b"9-1", [b"f", b"v"]]]]]


def test_a_transaction_and_a_flush_in_the_midst(cast):
    """Both wait for it, and find it waiting."""
    first, second, writer, other = cast
    with hold(other, 1):
        begin(first, *FOREVER["blpop"])
        held(other)
        list(writer.pipeline([("MULTI",), ("RPUSH", KEYS[9], "x"), ("LRANGE", KEYS[9], 0, -1)]))
        begin(second, "FLUSHALL")
        writer.send("EXEC")
        other.command("PING")
        assert not has_answered(writer) and not has_answered(second)
    assert second.read().value == b"OK" and writer.read().value == [1, [b"x"]]
    assert first.read().value == [KEYS[9], b"x"]


def test_silent_clients_stay_silent(cast):
    first, second, writer, other = cast
    first.send("CLIENT", "REPLY", "SKIP")
    first.send(*FOREVER["blpop"])
    until_blocked(other)
    other.command("RPUSH", KEYS[0], "x")
    until(lambda: other.command("EXISTS", KEYS[0]) == 0)
    assert first.command("PING") == b"PONG"


def test_the_log_has_what_was_taken(start_server):
    server = start_server(*AOF)
    with Client(server.port) as first, Client(server.port) as other:
        first.send(*FOREVER["blpop"])
        until_blocked(other)
        other.command("RPUSH", KEYS[3], "x", "y")
        assert first.read().value == [KEYS[3], b"x"]
        other.command("RPUSH", KEYS[-1], "z")
        other.command("LPOP", KEYS[3])
        assert first.command(*FOREVER["blpop"]) == [KEYS[-1], b"z"]
        other.command("RPUSH", KEYS[4], "left")
    server.kill()
    with loaded(start_server(*AOF, directory=server.directory)) as client:
        assert client.command("KEYS", "*") == [KEYS[4]]
