"""Commands with very many operations or operands, or very long ones: in slices, and to everybody else at one moment.

Replies and what is stored are the oracle's.
"""
import random

import pytest

from aof_files import AOF, loaded
from harness.resp import Client
from harness.waiting import begin, has_answered, held, hold, steps_of

PROTOCOLS = (2,)
SERVER_OPTIONS = ("--enable-debug-command", "yes")
COUNT = 7000
KEYS = [b"k%d" % i for i in range(COUNT)]


def fields(seed):
    rng, words = random.Random(seed), []
    for _ in range(COUNT):
        kind = f"{rng.choice('iu')}{rng.randint(1, 63)}"
        offset = rng.choice([rng.randint(0, 9000), f"#{rng.randint(0, 99)}"])
        if rng.random() < 0.1:
            words += ["OVERFLOW", rng.choice(["WRAP", "SAT", "FAIL"])]
        words += rng.choice([["GET", kind, offset], ["SET", kind, offset, rng.randint(-9**9, 9**9)],
                             ["INCRBY", kind, offset, rng.randint(-9**9, 9**9)]])
    return words


READS = [x for i in range(COUNT) for x in ("GET", f"u{1 + i % 63}", i)]
GETS = [x for i in range(COUNT // 2) for x in ("GET", ("k*", "#", "h*->f", "none*")[i % 4])]
COMMANDS = {
    **{f"BITOP-{op}": ("BITOP", op, "dest", *KEYS, "none") for op in ("AND", "OR", "XOR")},
    **{f"BITOP-{op}-long": ("BITOP", op, "dest", "long", "longer") for op in ("AND", "OR", "XOR")},
    "BITOP-NOT-long": ("BITOP", "NOT", "longer", "longer"),
    "BITOP-onto-source": ("BITOP", "XOR", "long", "longer", "long"),
    "BITOP-wrong-type": ("BITOP", "OR", "dest", *KEYS, "list"),
    "BITOP-nothing": ("BITOP", "OR", "long", *[b"none%d" % i for i in range(COUNT)]),
    "BITFIELD": ("BITFIELD", "field", *fields(1)), "BITFIELD-missing": ("BITFIELD", "dest", *fields(2)),
    "BITFIELD-number": ("BITFIELD", "number", *fields(3)), "BITFIELD-reads": ("BITFIELD", "field", *READS),
    "BITFIELD-mistake": ("BITFIELD", "field", *fields(4), "SET", "u8", 0, "x"),
    "BITFIELD-wrong-type": ("BITFIELD", "list", *fields(5)),
    "BITFIELD_RO": ("BITFIELD_RO", "field", *READS), "BITFIELD_RO-mistake": ("BITFIELD_RO", "field", *fields(6)),
    "SORT": ("SORT", "list", *GETS), "SORT-BY": ("SORT", "list", "BY", "k*", *GETS, "DESC", "ALPHA"),
    "SORT-STORE": ("SORT", "list", *GETS, "STORE", "dest"), "SORT-mistake": ("SORT", "list", *GETS, "GET"),
    "SORT-missing": ("SORT", "none", *GETS), "SORT-items": ("SORT", "items", "GET", "k*", "GET", "#", "GET", "h*->f"),
    "ECHO": ("ECHO", b"x" * 3_000_001), "PING": ("PING", b"y\r\n" * 1_000_001),
}
CONTENTS = ("dest", "long", "longer", "field", "number", "list")


def fill(client):
    rng = random.Random(7)
    client.command("FLUSHALL")
    for at in range(0, COUNT, 1000):
        client.command("MSET", *(x for key in KEYS[at:at + 1000] for x in (key, rng.randbytes(rng.randint(1, 40)))))
    client.command("SETRANGE", "long", 1_500_000, rng.randbytes(50_000))
    client.command("SET", "longer", rng.randbytes(1_000_000))
    client.command("APPEND", "longer", rng.randbytes(1_000_000))
    client.command("SET", "field", rng.randbytes(900))
    client.command("SET", "number", 12345)
    client.command("RPUSH", "list", 3, 1, 2)
    client.command("RPUSH", "items", *range(1500))
    for i in range(5):
        client.command("HSET", f"h{i}", "f", f"value {i}")


def contents(client):
    return {key: client.command("LRANGE", key, 0, -1) if client.command("TYPE", key) == b"list" else
            (client.command("GET", key), client.command("EXISTS", key) and client.command("OBJECT", "ENCODING", key))
            for key in CONTENTS}


@pytest.mark.parametrize("how", ["alone", "in-exec"])
@pytest.mark.parametrize("name", COMMANDS)
def test_replies_and_contents(ports, name, how):
    found = []
    for port in ports:
        with Client(port) as client:
            fill(client)
            if how == "alone":
                client.send(*COMMANDS[name])
            else:
                assert list(client.pipeline([("MULTI",), COMMANDS[name], ("SET", "after", 1)])) == [
                    b"OK", b"QUEUED", b"QUEUED"]
                client.send("EXEC")
            found.append((client.read().raw, contents(client)))
    assert found[0][0] == found[1][0]
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize("name", ["BITOP-OR", "BITOP-XOR-long", "BITFIELD", "BITFIELD_RO", "SORT-STORE", "SORT-items"])
def test_in_steps(module_server, name):
    with Client(module_server.port) as worker, Client(module_server.port) as other:
        fill(other)
        assert steps_of(worker, other, *COMMANDS[name]) >= 1


@pytest.mark.parametrize("how", ["alone", "in-exec"])
def test_bits_are_combined_as_of_one_moment(module_server, how):
    """Who changes a source waits, as often as he likes; who reads the destination sees what it was."""
    with Client(module_server.port) as worker, Client(module_server.port) as writer, \
            Client(module_server.port) as other:
        fill(other)
        other.command("SET", "dest", "before")
        other.command("SETRANGE", "longer", 16_000_000, "end")  # more than is copied in a step
        source = other.command("GET", "longer")
        with hold(other, 1):
            if how == "in-exec":
                list(worker.pipeline([("MULTI",), ("BITOP", "OR", "dest", "longer", "none")]))
                worker.send("EXEC")
            else:
                worker.send("BITOP", "OR", "dest", "longer", "none")
            held(other)
            begin(writer, "SETRANGE", "longer", 0, b"\xff" * 100)
            assert other.command("GET", "dest") == b"before"
            assert other.command("GETRANGE", "longer", 0, 99) == source[:100]
            assert not has_answered(worker) and not has_answered(writer)
        assert str(len(source)) in str(worker.read().value) or how == "in-exec"
        assert writer.read().value == len(source)
        assert other.command("GET", "dest") == source


def test_nobody_sees_half_of_a_bitfield(module_server):
    with Client(module_server.port) as worker, Client(module_server.port) as reader, \
            Client(module_server.port) as other:
        other.command("DEL", "counts")
        words = [x for i in range(50_000) for x in ("INCRBY", "u32", f"#{i}", 1)]
        seen = []
        for steps in range(2, 6):
            with hold(other, steps):
                worker.send("BITFIELD", "counts", *words)
                held(other)
                begin(reader, "BITCOUNT", "counts")
                other.command("PING")
            assert worker.read().value == [steps - 1] * 50_000
            seen.append(reader.read().value)
        ones = [0, 50_000, 50_000, 100_000, 50_000]
        assert all(seen[i] in (ones[i], ones[i + 1]) for i in range(4)), seen


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("subscribed", [False, True])
def test_a_long_word_comes_back_whole(module_server, subscribed, version):
    word = random.Random(1).randbytes(2_000_003)
    with Client(module_server.port, version) as client:
        if subscribed:
            client.command("SUBSCRIBE", "a")
        expected = [b"pong", word] if subscribed and version == 2 else word
        assert client.command("PING", word) == expected
        if expected == word:
            assert [reply for reply in client.pipeline([("ECHO", word), ("ECHO", "x")])] == [word, b"x"]


def test_the_log_has_the_results(start_server):
    server = start_server(*AOF)
    with Client(server.port) as client:
        fill(client)
        for name in ("BITOP-XOR", "BITFIELD", "BITOP-NOT-long", "BITFIELD-number"):
            client.command(*COMMANDS[name])
        client.command("BITOP", "DIFF", "field", "field", *KEYS)
        expected = contents(client)
    server.kill()
    with loaded(start_server(*AOF, directory=server.directory)) as client:
        assert contents(client) == expected


def test_very_many_keys_move(start_server):
    server, target = start_server(*AOF), start_server()
    with Client(server.port) as client, Client(target.port) as there:
        fill(client)
        for i in range(0, COUNT, 70):
            client.command("PEXPIRE", KEYS[i], 10**8)
        expected, size = client.command("MGET", *KEYS), client.command("DBSIZE")
        assert client.command("MIGRATE", "127.0.0.1", target.port, "", 0, 60_000, "KEYS", *KEYS, "none") == b"OK"
        assert client.command("EXISTS", *KEYS) == 0 and client.command("DBSIZE") == size - COUNT
        assert there.command("MGET", *KEYS) == expected and there.command("PTTL", KEYS[70]) > 10**7
    server.kill()
    with loaded(start_server(*AOF, directory=server.directory)) as client:
        assert client.command("DBSIZE") == size - COUNT
