"""Subscribing to very many names, and leaving them, in slices: confirmations are those of the oracle, and what is
published in the midst comes where a client expects it."""
import pytest

from harness.differential import Pair
from harness.resp import Client
from harness.waiting import begin, has_answered, held, hold, until

PROTOCOLS = (2,)
COUNT = 3000
SERVER_OPTIONS = ("--enable-debug-command", "yes")
NAMES = [b"name:%d" % i for i in range(COUNT)]
WORDS = {"": "message", "P": "pmessage", "S": "smessage"}


@pytest.fixture
def other(module_server):
    with Client(module_server.port) as client:
        yield client
        until(lambda: client.command("PUBSUB", "CHANNELS") == client.command("PUBSUB", "SHARDCHANNELS") == []
              and client.command("PUBSUB", "NUMPAT") == 0)


def confirmations(client, count=COUNT):
    return [client.read().value for _ in range(count)]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", WORDS)
def test_confirmations(module_server, module_oracle, other, kind, version):
    pair = Pair(module_server.port, module_oracle.port, version)
    steps = [([f"{kind}SUBSCRIBE", *NAMES, *NAMES[:9]], COUNT + 9), ([f"{kind}SUBSCRIBE", "x", NAMES[1]], 2),
             ([f"{kind}UNSUBSCRIBE", *NAMES[::-1][:COUNT // 2], "none", NAMES[-1]], COUNT // 2 + 2),
             ([f"{kind}SUBSCRIBE", *NAMES], COUNT), ([f"{kind}UNSUBSCRIBE"], COUNT + 1), ([f"{kind}UNSUBSCRIBE"], 1)]
    for command, count in steps:
        got = []
        for client in pair.both:
            client.send(*command)
            client.send("PING", "sign")
            got.append([client.read().raw for _ in range(count + 1)])
        ours, theirs = got
        if command == [f"{kind}UNSUBSCRIBE"]:  # whose order is any
            assert sorted(line.split(b"\r\n")[4] for line in ours[:count] if b"name" in line) == \
                sorted(line.split(b"\r\n")[4] for line in theirs[:count] if b"name" in line)
            assert [line.split(b":")[-1] for line in ours] == [line.split(b":")[-1] for line in theirs]
        else:
            assert ours == theirs
    pair.close()


@pytest.mark.parametrize("kind", WORDS)
def test_subscribing_in_the_midst(module_server, other, kind):
    """Messages of names that it has already follow behind the confirmations."""
    publish = "SPUBLISH" if kind == "S" else "PUBLISH"
    with Client(module_server.port, 3) as listener:
        with hold(other, 1):
            begin(listener, f"{kind}SUBSCRIBE", *NAMES)
            held(other)
            assert other.command(publish, NAMES[0], "early") == 1
            assert other.command(publish, NAMES[-1], "nobody") == 0
            listener.send("PING")
            other.command("PING")
        got = confirmations(listener)
        assert [reply[2] for reply in got] == list(range(1, COUNT + 1))
        assert listener.read().value[0] == WORDS[kind].encode() and listener.read().value == b"PONG"
        assert other.command(publish, NAMES[-1], "x") == 1
        assert listener.read().value[-1] == b"x"


@pytest.mark.parametrize("named", [False, True], ids=["all", "named"])
def test_leaving_in_the_midst(module_server, other, named):
    """Messages of names that it has yet come before these names' confirmations."""
    with Client(module_server.port) as listener:
        listener.send("SUBSCRIBE", *NAMES)
        confirmations(listener)
        with hold(other, 1):
            leave = ("UNSUBSCRIBE", *(NAMES if named else ()))
            listener.send(*leave)
            held(other)
            assert other.command("PUBLISH", NAMES[0], "nobody") == 0
            assert other.command("PUBLISH", NAMES[-1], "late") == 1
        got = confirmations(listener, COUNT + 1)
        message = [b"message", NAMES[-1], b"late"]
        assert got.index(message) < [reply[1] if reply != message else None for reply in got].index(NAMES[-1])
        assert [reply[2] for reply in got if reply != message] == list(range(COUNT - 1, -1, -1))
        assert listener.command("GET", "x") is None


@pytest.mark.parametrize("kind", WORDS)
def test_large_names_among_them(module_server, other, kind):
    """Large arguments lie in memory of their own, which is to last as long as the others."""
    names = [*NAMES[:1500], b"l" * 300_000, *NAMES[1500:], b"m" * 100_000]
    with Client(module_server.port) as listener:
        for step in "", "UN":
            with hold(other, 3):
                listener.send(f"{kind}{step}SUBSCRIBE", *names)
                held(other)
                other.load([("SET", "reused", x * size) for x in "ab" for size in (300_000, 100_000)])
            assert [reply[1] for reply in confirmations(listener, len(names))] == names


@pytest.mark.parametrize("end", ["CLIENT KILL", "close", "ACL"])
def test_ends_in_the_midst(module_server, other, end):
    other.command("ACL", "SETUSER", "u", "on", "nopass", "+@all", "allchannels")
    listener = Client(module_server.port)
    listener.command("AUTH", "u", "x")
    name = listener.command("CLIENT", "ID")
    with hold(other, 1):
        begin(listener, "SUBSCRIBE", *NAMES)
        held(other)
        if end == "close":
            listener.close()
        elif end == "ACL":
            other.command("ACL", "SETUSER", "u", "resetchannels", "&name:?", "&name:??", "&name:???")
        else:
            other.command("CLIENT", "KILL", "ID", name)
    until(lambda: b"id=%d " % name not in other.command("CLIENT", "LIST"))
    until(lambda: other.command("PUBSUB", "CHANNELS") == [])
    assert other.command("PUBLISH", NAMES[0], "x") == 0
    assert other.info("clients")["pubsub_clients"] == "0"
    listener.close()
    other.command("ACL", "DELUSER", "u")


@pytest.mark.parametrize("end", ["close", "RESET"])
def test_who_left_everything_gets_nothing(module_server, other, end):
    """Others who listen to the same names do, and it may listen to them once more."""
    with Client(module_server.port, 3) as stays:
        listener = Client(module_server.port)
        for client, count in ((stays, 2000), (listener, COUNT)):
            client.send("SUBSCRIBE", *NAMES[:count])
            confirmations(client, count)
        assert other.command("PUBLISH", NAMES[7], "both") == 2
        assert listener.read().value == stays.read().value == [b"message", NAMES[7], b"both"]
        if end == "RESET":
            assert listener.command("RESET") == b"RESET"
            listener.command("SUBSCRIBE", NAMES[5], NAMES[2500])
            listener.read()
        else:
            listener.close()
            until(lambda: other.info("clients")["pubsub_clients"] == "1")
        again = end == "RESET"
        assert other.command("PUBSUB", "NUMSUB", NAMES[5], NAMES[7], NAMES[2500], NAMES[2600]) == [
            NAMES[5], 1 + again, NAMES[7], 1, NAMES[2500], int(again), NAMES[2600], 0]
        assert other.command("PUBLISH", NAMES[7], "one") == 1 and other.command("PUBLISH", NAMES[2600], "none") == 0
        assert set(other.command("PUBSUB", "CHANNELS")) == set(NAMES[:2000] + [NAMES[2500]] * again)
        assert stays.read().value == [b"message", NAMES[7], b"one"]
        if again:
            assert other.command("PUBLISH", NAMES[2500], "x") == 1
            assert listener.read().value == [b"message", NAMES[2500], b"x"]
            assert not has_answered(listener)
            listener.close()


def test_within_a_transaction_and_in_silence(module_server, module_oracle, other):
    got = []
    for port in (module_server.port, module_oracle.port):
        with Client(port) as client:
            for words in (("MULTI",), ("SUBSCRIBE", *NAMES), ("PUBLISH", "z", "x"), ("EXEC",)):
                client.send(*words)
            replies = [client.read().raw for _ in range(3)]
            client.send("UNSUBSCRIBE", *NAMES)
            client.send("CLIENT", "REPLY", "OFF")
            client.send("SUBSCRIBE", *NAMES)
            client.send("PUNSUBSCRIBE", "end")
            while not replies[-1].startswith(b"*3\r\n$12\r\npunsubscribe"):
                replies.append(client.read().raw)
            got.append(b"".join(replies))
    assert got[0] == got[1]
