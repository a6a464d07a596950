"""Publish and subscribe: what every connection gets, beside redis-server; many subscribers, slow ones, and the end.

A message arrives by itself, so the sequences here say which connection reads what: after every command each of the
connections is asked for a sign, and whatever came before that is compared.
"""
import random
import re
import threading
import time

import pytest
import redis

from harness.differential import Pair, as_args
from harness.resp import Client, Push
from harness.waiting import until, until_blocked


def drain(client, sign):
    """Everything that came before the answer to a PING, in the order of arrival, as its exact bytes."""
    client.send("PING", sign)
    seen = []
    while True:
        reply = client.read()
        if reply.value in (sign.encode(), [b"pong", sign.encode()]):
            return seen
        if not (isinstance(reply.value, (dict, list)) and b"proto" in reply.value):  # HELLO tells the version
            seen.append(reply.raw)


MESSAGE = re.compile(rb"[>*]([34])\r\n\$\d+\r\n[ps]?message\r\n(?:\$\d+\r\n[^\r]*\r\n){2,3}")


def with_messages_last(replies):
    """The oracle is of a time when a message to the client that caused it came before the reply, or in the middle of
    EXEC's; since 7.2 it comes behind."""
    stream = b"".join(replies)
    return MESSAGE.sub(b"", stream) + b"".join(found[0] for found in MESSAGE.finditer(stream))


class Crowd:
    """The same connections to both servers."""

    def __init__(self, module_server, module_oracle, protocols):
        self.pairs = [Pair(module_server.port, module_oracle.port, protocol) for protocol in protocols]
        self.steps = 0

    def step(self, who, command):
        """One connection sends a command, or several with ; between. Compares what each connection got of the two
        servers; returns what each got of ours."""
        self.steps += 1
        sign = f"sign-{self.steps}"
        got = []
        for pair in (self.pairs[who], *(p for i, p in enumerate(self.pairs) if i != who)):
            if pair is self.pairs[who]:
                for client in pair.both:
                    for part in command.split("; ") if isinstance(command, str) else [command]:
                        client.send(*as_args(part))
            ours, theirs = (drain(client, sign) for client in pair.both)
            index = self.pairs.index(pair)
            same = b"".join(ours) == with_messages_last(theirs) if index == who else ours == theirs
            assert same, f"{who}: {command}; connection {index}:\n  ours   {ours}\n  oracle {theirs}"
            got.append((index, ours))
        return [replies for _, replies in sorted(got)]

    def close(self):
        for pair in self.pairs:
            pair.close()


@pytest.fixture
def crowd(module_server, module_oracle, request):
    made = Crowd(module_server, module_oracle, getattr(request, "param", (2, 3, 2)))
    yield made
    made.close()


# Each step is the number of a connection and its command. The first speaks RESP2 and the second RESP3; the third asks.
SEQUENCES = [
    "0 SUBSCRIBE a b a | 1 SUBSCRIBE a | 2 PUBLISH a hello | 2 PUBLISH b hello | 2 PUBLISH c hello",
    "0 UNSUBSCRIBE | 0 PUNSUBSCRIBE | 0 SUNSUBSCRIBE | 1 UNSUBSCRIBE | 1 PUNSUBSCRIBE | 1 SUNSUBSCRIBE",
    "0 UNSUBSCRIBE x y | 1 PUNSUBSCRIBE x y | 1 SUNSUBSCRIBE x y | 0 GET x",
    "0 PSUBSCRIBE n* | 1 PSUBSCRIBE *z | 1 PSUBSCRIBE n[ae]ws | 2 PUBLISH news x | 2 PUBLISH naws x | 2 PUBLISH o x",
    "0 SUBSCRIBE news | 0 PSUBSCRIBE n* | 2 PUBLISH news x | 0 UNSUBSCRIBE news | 2 PUBLISH news x | 0 PUNSUBSCRIBE n*",
    "0 SSUBSCRIBE a b | 1 SSUBSCRIBE a | 1 SUBSCRIBE a | 2 SPUBLISH a x | 2 PUBLISH a x | 0 SUNSUBSCRIBE a b c",
    "0 SUBSCRIBE a | 0 PSUBSCRIBE a | 0 SSUBSCRIBE a | 0 UNSUBSCRIBE a | 0 SUNSUBSCRIBE a | 0 PUNSUBSCRIBE | 0 GET x",
    "0 PSUBSCRIBE c a b | 0 PUNSUBSCRIBE | 1 PSUBSCRIBE z y x | 1 PUNSUBSCRIBE",
    "0 SUBSCRIBE a | 0 GET x | 0 SET x | 0 NOSUCH | 0 MULTI | 0 EXEC | 0 CLIENT ID | 0 CLIENT NOSUCH | 0 CONFIG GET x",
    "0 SSUBSCRIBE a | 0 GET x | 0 PUBLISH a x | 0 HELLO 3 | 0 PUBSUB NUMPAT | 0 AUTH x | 0 COMMAND COUNT | 0 PING a b",
    "0 SUBSCRIBE a | 0 PING | 0 PING x | 0 RESET | 0 PING | 0 GET x | 2 PUBLISH a x",
    "1 SUBSCRIBE a | 1 PING | 1 PING x | 1 SET x 1 | 1 PUBLISH a x | 1 SPUBLISH a x | 1 DEL x | 1 RESET | 1 PING",
    "1 SUBSCRIBE a | 1 HELLO 2 | 1 GET x | 2 PUBLISH a x | 1 UNSUBSCRIBE | 1 HELLO 3",
    "0 MULTI; SUBSCRIBE a; PSUBSCRIBE a*; PUBLISH a x; GET x; PING; EXEC | 0 GET x | 2 PUBLISH a y",
    "1 MULTI; SUBSCRIBE a; PUBLISH a x; UNSUBSCRIBE; EXEC | 1 GET x",
    "1 SUBSCRIBE a | 1 MULTI; PUBLISH a y; GET x; EXEC",
    "0 MULTI; SSUBSCRIBE a; GET x; EXEC | 0 GET x | 1 SSUBSCRIBE a | 1 MULTI; SSUBSCRIBE b; SUNSUBSCRIBE a; EXEC",
    "2 PUBSUB CHANNELS | 0 SUBSCRIBE a | 2 PUBSUB CHANNELS | 2 PUBSUB CHANNELS b* | 2 PUBSUB CHANNELS [a-b] | "
    "2 PUBSUB CHANNELS * | 1 SUBSCRIBE a | 2 PUBSUB NUMSUB a b a | 2 PUBSUB NUMSUB | 2 PUBSUB CHANNELS a b",
    "0 PSUBSCRIBE a b | 1 PSUBSCRIBE b | 2 PUBSUB NUMPAT | 2 PUBSUB NUMPAT x | 2 PUBSUB CHANNELS | 0 PUNSUBSCRIBE b | "
    "2 PUBSUB NUMPAT | 1 PUNSUBSCRIBE | 2 PUBSUB NUMPAT",
    "0 SSUBSCRIBE a | 2 PUBSUB SHARDCHANNELS | 2 PUBSUB SHARDCHANNELS b | 2 PUBSUB SHARDNUMSUB a b | "
    "2 PUBSUB SHARDNUMSUB | 2 PUBSUB SHARDCHANNELS a b | 2 PUBSUB CHANNELS | 2 PUBSUB NUMSUB a",
    "2 SUBSCRIBE | 2 PSUBSCRIBE | 2 SSUBSCRIBE | 2 PUBLISH a | 2 SPUBLISH a | 2 PUBLISH a b c | 2 PUBSUB | 2 PUBSUB x",
]


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_sequences(crowd, sequence):
    for step in sequence.split(" | "):
        who, command = step.split(" ", 1)
        crowd.step(int(who), command)


def test_any_bytes(crowd):
    name, message = bytes(range(256)), b"\r\n*3\r\n\0" * 20
    for who in (0, 1):
        crowd.step(who, ("SUBSCRIBE", name, b""))
        crowd.step(who, ("PSUBSCRIBE", b"*\xff"))
    got = crowd.step(2, ("PUBLISH", name, message))
    assert got[2] == [b":4\r\n"] and all(len(replies) == 2 for replies in got[:2])
    crowd.step(2, ("PUBLISH", b"", b""))


@pytest.mark.parametrize("size", [16_000, 16_384, 100_000, 5_000_000])
def test_large_messages(crowd, size):
    for who in (0, 1):
        crowd.step(who, "SUBSCRIBE a")
        crowd.step(who, "PSUBSCRIBE a*")
    assert crowd.step(2, ("PUBLISH", "a", b"x" * size))[2] == [b":4\r\n"]


@pytest.mark.parametrize("crowd", [(2, 2), (3, 3)], indirect=True, ids=["resp2", "resp3"])
def test_random_steps(crowd, seed):
    rng = random.Random(seed)
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")
    asking = ["GET x", "PUBSUB NUMPAT", "PUBSUB NUMSUB a b ab", "PUBSUB SHARDNUMSUB a b", "RESET", "PING", "ECHO x"]
    patterns = 0
    for _ in range(1500):
        who, names = rng.randrange(2), [rng.choice(["a", "b", "ab", "abc"]) for _ in range(rng.choice([1, 1, 2]))]
        kind = rng.randrange(10)
        if kind < 3:
            command = rng.choice(["SUBSCRIBE", "SSUBSCRIBE"]), *names
        elif kind < 4:
            command = "PSUBSCRIBE", rng.choice(["a*", "b", "x"])  # no two match one channel: their order is open
        elif kind < 6:
            command = rng.choice(["UNSUBSCRIBE", "SUNSUBSCRIBE"]), *names
        elif kind < 7:
            command = "PUNSUBSCRIBE", *rng.choice([(), ("a*",), ("b", "x")])
        elif kind < 9:
            command = rng.choice(["PUBLISH", "SPUBLISH"]), names[0], "m" * rng.randrange(3)
        else:
            command = rng.choice(asking)
        crowd.step(who, command)
        if command == "RESET" and crowd.pairs[who].protocol == 3:
            for client in crowd.pairs[who].both:
                client.command("HELLO", 3)
        patterns += command[0] == "PSUBSCRIBE"
    assert patterns


# Replies that are switched off

def test_pushes_are_heard_in_silence(crowd):
    """What a subscriber gets is no reply."""
    for who in (0, 1):
        pair = crowd.pairs[who]
        for client in pair.both:
            client.send("CLIENT", "REPLY", "OFF")
        for command in ("SUBSCRIBE a", "PSUBSCRIBE n*", "PING", "PUNSUBSCRIBE"):
            for client in pair.both:
                client.send(*command.split())
        ours, theirs = ([client.read().raw for _ in range(3)] for client in pair.both)
        assert ours == theirs
        assert crowd.pairs[2].same("PUBLISH a x") == [1]
        ours, theirs = (client.read().raw for client in pair.both)
        assert ours == theirs
        for client in pair.both:
            client.send("RESET")
            assert client.read().value == b"RESET"


def test_a_skipped_publish_to_oneself(crowd):
    pair = crowd.pairs[1]
    pair.same("SUBSCRIBE a")
    for client in pair.both:
        for command in ("CLIENT REPLY SKIP", "PUBLISH a x", "ECHO y"):
            client.send(*command.split())
    ours, theirs = ([client.read().raw for _ in range(2)] for client in pair.both)
    assert ours == theirs and ours[1] == b"$1\r\ny\r\n"


# Within other replies

def test_a_push_never_lands_in_a_reply(server, scale):
    """A client that waits for a long answer, made in slices, gets messages before or after it."""
    count = scale(100_000)
    with Client(server.port, 3) as listener, Client(server.port) as other:
        other.load((("MSET", *(x for i in range(at, at + 500) for x in (f"k{i}", "v"))) for at in range(0, count, 500)))
        listener.command("SUBSCRIBE", "a")
        listener.send("KEYS", "*")
        sent = 0
        for _ in range(50):
            assert other.command("PUBLISH", "a", f"m{sent}") == 1
            sent += 1
        got = [listener.read().value for _ in range(sent + 1)]
        messages = [value[2] for value in got if isinstance(value, Push)]
        assert messages == [b"m%d" % i for i in range(sent)]
        [keys] = [value for value in got if not isinstance(value, Push)]
        assert len(keys) >= count


def test_a_blocked_subscriber_stays_one(server):
    with Client(server.port, 3) as listener, Client(server.port) as other:
        listener.command("SUBSCRIBE", "a")
        listener.send("BLPOP", "list", 0)
        until_blocked(other)
        assert other.command("PUBLISH", "a", "m") == 1
        assert listener.read().value == [b"message", b"a", b"m"]
        other.command("RPUSH", "list", "v")
        assert listener.read().value == [b"list", b"v"]


# What is told of subscribers

def fields_of(line):
    return dict(field.split("=", 1) for field in line.split(" "))


def test_client_list(server):
    with Client(server.port, 3) as one, Client(server.port) as two:
        one.command("SUBSCRIBE", "a")
        one.command("SUBSCRIBE", "b")
        one.command("PSUBSCRIBE", "a")
        one.command("SSUBSCRIBE", "c")
        own = one.command("CLIENT", "ID")
        [line] = two.command("CLIENT", "LIST", "TYPE", "pubsub").decode().strip().split("\n")
        fields = fields_of(line)
        assert (fields["id"], fields["flags"]) == (str(own), "P")
        assert (fields["sub"], fields["psub"], fields["ssub"]) == ("2", "1", "1")
        [line] = two.command("CLIENT", "LIST", "TYPE", "normal").decode().strip().split("\n")
        assert fields_of(line)["id"] == str(two.command("CLIENT", "ID"))
        assert fields_of(line)["sub"] == "0" and fields_of(line)["flags"] == "N"


def test_info(server):
    def facts(client):
        info = client.info()
        names = "pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "pubsub_clients"
        return [int(info[name]) for name in names]

    with Client(server.port, 3) as one, Client(server.port, 3) as two:
        assert facts(one) == [0, 0, 0, 0]
        for client in (one, two):
            client.command("SUBSCRIBE", "a")
            client.command("PSUBSCRIBE", "a")
        one.command("SSUBSCRIBE", "a")
        two.command("SUBSCRIBE", "b")
        assert facts(one) == [2, 1, 1, 2]
        two.command("RESET")
        assert facts(one) == [1, 1, 1, 1]
        one.command("RESET")
        assert facts(one) == [0, 0, 0, 0]


def test_client_kill_by_type(server):
    with Client(server.port) as listener, Client(server.port) as other:
        listener.command("SUBSCRIBE", "a")
        assert other.command("CLIENT", "KILL", "TYPE", "pubsub") == 1
        assert other.command("PUBLISH", "a", "x") == 0
        assert listener.is_closed_by_server()
        assert other.command("CLIENT", "KILL", "TYPE", "pubsub") == 0


@pytest.mark.server_options("--timeout", "1")
def test_a_subscriber_is_never_idle(server):
    with Client(server.port) as listener, Client(server.port) as idle:
        listener.command("SUBSCRIBE", "a")
        assert idle.is_closed_by_server()
        with Client(server.port) as other:
            assert other.command("PUBLISH", "a", "x") == 1
        assert listener.read().value == [b"message", b"a", b"x"]


# The end

@pytest.mark.parametrize("end", ["close", "QUIT", "RESET"])
def test_who_is_gone_gets_nothing(server, end):
    with Client(server.port) as other:
        listeners = [Client(server.port) for _ in range(50)]
        for listener in listeners:
            for command in ("SUBSCRIBE a b", "PSUBSCRIBE *", "SSUBSCRIBE s"):
                listener.send(*command.split())
            for _ in range(4):
                listener.read()
        assert other.command("PUBLISH", "a", "x") == 100
        for listener in listeners:
            listener.read(), listener.read()
            if end == "close":
                listener.close()
            else:
                assert listener.command(end) == (b"OK" if end == "QUIT" else b"RESET")
        until(lambda: other.command("PUBLISH", "a", "x") == 0)
        assert other.command("PUBLISH", "a", "x") == other.command("SPUBLISH", "s", "x") == 0
        assert other.command("PUBSUB", "CHANNELS") == [] and other.command("PUBSUB", "NUMPAT") == 0
        assert other.info("clients")["pubsub_clients"] == "0"
        for listener in listeners if end == "RESET" else ():
            assert listener.command("ECHO", "x") == b"x"
        for listener in listeners:
            listener.close()


# Many

def test_a_thousand_subscribers(server, scale):
    count = scale(1000)
    listeners = [Client(server.port, 2 + i % 2) for i in range(count)]
    with Client(server.port) as other:
        for i, listener in enumerate(listeners):
            listener.command("SUBSCRIBE", "all")
            listener.command("PSUBSCRIBE", f"group.{i % 10}.*")
        for n in range(20):
            assert other.command("PUBLISH", "all", f"message {n}") == count
            assert other.command("PUBLISH", f"group.{n % 10}.x", "y" * 20_000) == len(range(n % 10, count, 10))
        for i, listener in enumerate(listeners):
            got = [listener.read().value for _ in range(22)]
            assert [value[2] for value in got if value[0] == b"message"] == [b"message %d" % n for n in range(20)]
            grouped = [value for value in got if value[0] == b"pmessage"]
            assert len(grouped) == 2 and all(value[3] == b"y" * 20_000 for value in grouped)
            listener.close()


def test_many_channels(server, scale):
    """More names than are listed in one go."""
    count = scale(20_000)
    with Client(server.port, 3) as listener, Client(server.port) as other:
        for at in range(0, count, 1000):
            listener.send("SUBSCRIBE", *(f"channel:{i}" for i in range(at, at + 1000)))
            for i in range(at, at + 1000):
                assert listener.read().value == [b"subscribe", b"channel:%d" % i, i + 1]
        assert len(set(other.command("PUBSUB", "CHANNELS"))) == count
        assert sorted(other.command("PUBSUB", "CHANNELS", "channel:99?")) == [b"channel:99%d" % i for i in range(10)]
        assert other.command("PUBLISH", "channel:777", "x") == 1
        assert listener.read().value == [b"message", b"channel:777", b"x"]
        listener.send("UNSUBSCRIBE")
        assert [listener.read().value[2] for _ in range(count)] == list(range(count - 1, -1, -1))
        assert other.command("PUBSUB", "CHANNELS") == []


@pytest.mark.server_options("--client-output-buffer-limit", "pubsub 4mb 0 0")
def test_a_slow_subscriber_is_cut_off(server):
    """It stops reading; the others go on and get everything."""
    slow = Client(server.port)
    slow.command("SUBSCRIBE", "a")
    listeners = [Client(server.port, 2 + i % 2) for i in range(10)]
    for listener in listeners:
        listener.command("SUBSCRIBE", "a")
    sent, text = 600, b"x" * 50_000
    seen = [0] * len(listeners)

    def read(index):
        for n in range(sent):
            assert listeners[index].read().value[2] == b"%d:%s" % (n, text)
            seen[index] += 1

    threads = [threading.Thread(target=read, args=(i,)) for i in range(len(listeners))]
    for thread in threads:
        thread.start()
    with Client(server.port) as other:
        receivers = []
        for n in range(sent):
            receivers.append(other.command("PUBLISH", "a", b"%d:%s" % (n, text)))
            while min(seen) < n - 20:  # nobody else falls behind by as much as the limit
                time.sleep(0.001)
        for thread in threads:
            thread.join(60)
        assert seen == [sent] * len(listeners)
        assert receivers[0] == 11 and receivers[-1] == 10
        assert other.info("stats")["client_output_buffer_limit_disconnections"] == "1"
    assert slow.is_closed_by_server()
    for client in (slow, *listeners):
        client.close()


# A real client

@pytest.mark.parametrize("shape", ["channel", "pattern"])
def test_redis_py(server, shape):
    connection = redis.Redis(port=server.port)
    listener = connection.pubsub(ignore_subscribe_messages=True)
    handled = []
    if shape == "channel":
        listener.subscribe("news", special=handled.append)
    else:
        listener.psubscribe("ne*", **{"spec*": handled.append})
    listener.get_message(timeout=60)
    listener.get_message(timeout=60)
    assert connection.publish("news", "hello") == 1
    assert connection.publish("special", b"\xff") == 1
    message = listener.get_message(timeout=60)
    assert message["data"] == b"hello" and message["channel"] == b"news"
    assert listener.get_message(timeout=60) is None and handled[0]["data"] == b"\xff"
    assert listener.ping() is None or listener.get_message(timeout=60)
    listener.close()
    until(lambda: connection.publish("news", "x") == 0)
