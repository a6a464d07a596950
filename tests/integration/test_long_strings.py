"""Commands that copy or fill much of a string: in slices, and to everybody else at one moment."""
import random

import pytest

from aof_files import AOF, loaded
from harness.resp import Client
from harness.waiting import begin_beside, has_answered, hold, until

PROTOCOLS = (2,)
SERVER_OPTIONS = ("--enable-debug-command", "yes")
SIZE = 2_500_000
FAR = 3_100_001
CHANGES = {
    "SETBIT-missing": ("SETBIT", "none", 8 * FAR + 3, 1), "SETBIT-far": ("SETBIT", "large", 8 * FAR + 3, 1),
    "SETBIT-number": ("SETBIT", "number", 8 * FAR, 0), "SETBIT-shared": ("SETBIT", "shared", 16, 1),
    "SETBIT-near": ("SETBIT", "large", 17, 1),
    "SETRANGE-missing": ("SETRANGE", "none", FAR, "end"), "SETRANGE-far": ("SETRANGE", "large", FAR, "end"),
    "SETRANGE-small": ("SETRANGE", "small", FAR, "end"), "SETRANGE-shared": ("SETRANGE", "shared", 5, "within"),
    "SETRANGE-long": ("SETRANGE", "large", 1000, b"y" * SIZE),
    "SETRANGE-long-missing": ("SETRANGE", "none", 7, b"y" * SIZE),
    "APPEND-shared": ("APPEND", "shared", "tail"), "APPEND-long": ("APPEND", "small", b"z" * SIZE),
    "APPEND-long-shared": ("APPEND", "shared", b"z" * SIZE), "APPEND": ("APPEND", "large", "tail"),
    "BITFIELD-shared": ("BITFIELD", "shared", "GET", "u8", 8, "SET", "i16", 24, -7, "INCRBY", "u4", 0, 3),
    "BITFIELD-far": ("BITFIELD", "large", "SET", "u8", 8 * FAR, 200, "GET", "u8", 8 * FAR, "INCRBY", "u8", 0, 1),
    "BITFIELD-get-shared": ("BITFIELD", "shared", "GET", "u8", 8),
    "SETRANGE-list": ("SETRANGE", "list", FAR, "end"), "SETBIT-list": ("SETBIT", "list", 8 * FAR, 1),
}
KEYS = ("none", "large", "number", "small", "shared", "other", "list")


def fill(client):
    client.command("FLUSHALL")
    client.command("SETRANGE", "large", 0, bytes(range(200)) * (SIZE // 200))
    client.command("SET", "number", 123456)
    client.command("SET", "small", "little", "EX", 1000)
    client.command("SET", "shared", b"ab" * (SIZE // 2), "EX", 1000)
    client.command("COPY", "shared", "other")
    client.command("RPUSH", "list", 1)


def contents(client):
    found = {}
    for key in KEYS:
        if client.command("TYPE", key) == b"string":
            found[key] = [client.command("GET", key), client.command("OBJECT", "ENCODING", key),
                          client.command("TTL", key) > 0]
    return found


def plain(reply):
    return getattr(reply, "text", reply)


@pytest.mark.parametrize("how", ["alone", "in-exec"])
@pytest.mark.parametrize("command", CHANGES)
def test_reply_and_contents(ports, command, how):
    results = []
    for port in ports:
        with Client(port) as client:
            fill(client)
            if how == "in-exec":
                client.command("MULTI")
                client.command("STRLEN", "large")
                client.command(*CHANGES[command])
                client.command("STRLEN", "shared")
                reply = [plain(x) for x in client.command("EXEC")]
            else:
                reply = plain(client.command(*CHANGES[command]))
            results.append((reply, contents(client)))
    assert results[0] == results[1]


SLICED = [name for name in CHANGES if not name.endswith("-list") and name not in
          ("SETBIT-near", "APPEND", "BITFIELD-get-shared")]


@pytest.mark.parametrize("command", SLICED)
def test_goes_on_in_steps(ports, command):
    """Until it is over readers find what was there before."""
    with Client(ports[0]) as worker, Client(ports[0]) as other:
        fill(other)
        key = CHANGES[command][1]
        before = other.command("STRLEN", key)
        with hold(other):
            begin_beside(worker, other, *CHANGES[command])
            assert not has_answered(worker) and other.command("STRLEN", key) == before
        worker.read()
        assert "shared" not in command or other.command("GET", "other") == b"ab" * (SIZE // 2)


def test_copied_meanwhile(ports):
    """A string is filled where it lies; somebody takes a share in it before that is over."""
    with Client(ports[0]) as worker, Client(ports[0]) as other:
        for steps in range(1, 30):
            fill(other)
            before = other.command("GET", "large")
            with hold(other):
                begin_beside(worker, other, *CHANGES["SETRANGE-far"])
                other.command("DEBUG", "TASK-STEPS", steps)
                until(lambda: has_answered(worker) or other.command("DEBUG", "TASK-STEPS") == 0)
                over = has_answered(worker)
                if not over:
                    assert other.command("COPY", "large", "early") == 1
            assert worker.read().value == FAR + 3
            expected = before + bytes(FAR - len(before)) + b"end"
            assert other.command("GET", "large") == expected
            if over:
                break
            assert other.command("GET", "early") == before
        assert steps > 1


def test_who_changes_it_waits(ports):
    with Client(ports[0]) as worker, Client(ports[0]) as other, Client(ports[0]) as writer:
        fill(other)
        before = other.command("GET", "shared")
        with hold(other):
            begin_beside(worker, other, "APPEND", "shared", "tail")
            writer.send("APPEND", "shared", "+")
            assert other.command("GET", "shared") == before and not has_answered(writer)
            assert other.command("SET", "elsewhere", 1)
        assert worker.read().value == SIZE + 4
        assert writer.read().value == SIZE + 5
        assert other.command("GET", "shared") == before + b"tail+"
        assert other.command("GET", "other") == before


def test_the_client_leaves(ports):
    with Client(ports[0]) as other:
        fill(other)
        with hold(other):
            with Client(ports[0]) as worker:
                begin_beside(worker, other, *CHANGES["SETRANGE-small"])
            assert other.command("STRLEN", "small") == 6
        until(lambda: other.command("STRLEN", "small") == FAR + 3)


def test_appended_many_times(ports, seed):
    """Growing where it lies, or not: the content is what it should be."""
    rng = random.Random(seed)
    with Client(ports[0]) as client:
        client.command("FLUSHALL")
        expected = b""
        for i in range(40):
            piece = bytes([i]) * rng.choice((1, 1000, 300_000, 1_200_000))
            expected += piece
            assert client.command("APPEND", "k", piece) == len(expected)
            if rng.random() < 0.2:
                client.command("COPY", "k", "k2", "REPLACE")
            if rng.random() < 0.1:
                client.command("SET", "k%d" % i, b"x" * 1_500_000)
        assert client.command("GET", "k") == expected


def test_the_log(start_server):
    server = start_server(*AOF)
    with Client(server.port) as client:
        fill(client)
        for name in SLICED:
            client.command(*CHANGES[name])
        expected = contents(client)
    server.kill()
    server = start_server(*AOF, directory=server.directory)
    with loaded(server) as client:
        assert contents(client) == expected
