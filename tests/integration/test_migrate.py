"""MIGRATE: to redis-server and to another Larder, replies compared with redis-server's; and that nobody else waits."""
import contextlib
import random
import socket
import threading
import time

import pytest

import rdb_contents
from harness.process import ServerProcess, free_port, larder_binary
from harness.resp import Client, ErrorReply
from harness.waiting import begin, until

PASSWORD = "secret"


@pytest.fixture
def three(start_server, oracle_command, tmp_path):
    """Connections to a Larder, a redis-server, and one of each kind to migrate to, with a password."""
    processes = [start_server()]
    guarded = ("--requirepass", PASSWORD)
    for name, command, options in (("oracle", oracle_command, ()), ("to-oracle", oracle_command, guarded),
                                   ("to-larder", [larder_binary()], guarded)):
        directory = tmp_path / name
        directory.mkdir()
        processes.append(ServerProcess(command, options, directory, name=name))
    clients = [Client(process.port) for process in processes]
    for client in clients[2:]:
        assert client.command("AUTH", PASSWORD) == b"OK"
    yield clients
    for client in clients:
        client.close()
    for process in processes[1:]:
        process.stop_cleanly()


def to(target, key, *rest, db=0, timeout=60_000):
    return ["MIGRATE", "127.0.0.1", target.port, key, db, timeout, *rest]


def test_replies_are_those_of_redis(three):
    ours, theirs, target, _ = three
    auth = ("AUTH", PASSWORD)
    scripts = [
        ["MIGRATE"], ["MIGRATE", "a", "b", "c"], to(target, "k", db="x"), to(target, "k", timeout="x"),
        to(target, "k", "FOO"), to(target, "k", "AUTH"), to(target, "k", "AUTH2", "default"), to(target, "missing"),
        to(target, "k"), to(target, "k", "AUTH", "wrong"), to(target, "k", "AUTH2", "nobody", PASSWORD),
        to(target, "k", *auth, "KEYS", "k"), to(target, "", *auth, "KEYS"), to(target, "", *auth),
        to(target, "k", *auth, db=99), to(target, "", *auth, "KEYS", "k", "l", db=99),
        to(target, "k", "COPY", *auth), to(target, "k", "COPY", *auth), to(target, "k", "COPY", "REPLACE", *auth),
        to(target, "k", "COPY", "REPLACE", "AUTH2", "default", PASSWORD, timeout=-1),
        to(target, "", *auth, "KEYS", "k", "missing", "l", "m"), to(target, "m", *auth, "REPLACE", db=3),
        ["MIGRATE", "127.0.0.1", free_port(), "k", 0, 100], ["MIGRATE", "127.0.0.1", "nothing", "k", 0, 100],
        ["MIGRATE", "no.such.host.invalid", 1, "k", 0, 100],
    ]
    for script in scripts:
        replies = []
        for client in (ours, theirs):
            target.command("FLUSHALL")
            target.command("SET", "l", "there already")
            client.command("FLUSHALL")
            client.load([("SET", "k", "value", "EX", 1000), ("SET", "l", 5), ("RPUSH", "m", "a", "b")])
            reply = [client.command(*script), client.command("EXISTS", "k"), client.command("EXISTS", "l", "m")]
            reply += [target.command("GET", "k"), target.command("GET", "l")]
            reply.append(target.command("TTL", "k") in range(900, 1001))
            target.command("SELECT", 3)
            reply.append(target.command("LRANGE", "m", 0, -1))
            target.command("SELECT", 0)
            replies.append(reply)
        assert replies[0] == replies[1], script


def coarse(contents):
    """Contents with expiries to ten seconds: what travels is the time that is left."""
    return {key: (kind, at_ms // 10000, value) for key, (kind, at_ms, value) in contents.items()}


@pytest.mark.parametrize("kind", ["redis", "larder"])
def test_everything_arrives(three, seed, scale, kind):
    print("seed", seed)
    ours, _, to_oracle, to_larder = three
    target = to_oracle if kind == "redis" else to_larder
    fill(ours, random.Random(seed), scale(200))
    before = coarse(rdb_contents.contents(ours))
    keys = ours.command("KEYS", "*")
    assert ours.command(*to(target, "", "AUTH", PASSWORD, "KEYS", *keys)) == b"OK"
    assert ours.command("DBSIZE") == 0
    assert coarse(rdb_contents.contents(target)) == before


def fill(client, rng, count):
    for i in range(count):
        client.load([
            ("SET", f"s{i}", rng.randbytes(rng.randrange(50000))), ("SADD", f"t{i}", *range(rng.randrange(1, 900))),
            ("HSET", f"h{i}", *range(rng.randrange(1, 300) * 2)), ("ZADD", f"z{i}", rng.random(), "a", 2, "b"),
            ("RPUSH", f"l{i}", *[rng.random() for _ in range(rng.randrange(1, 700))]), ("XADD", f"x{i}", "*", "f", i),
            ("PEXPIREAT", f"h{i}", 3000000005000 + i)])


def test_redis_migrates_to_us(three):
    _, theirs, _, target = three
    theirs.load([("SET", "k", "value", "EX", 1000), ("HSET", "h", "f", "v"), ("ZADD", "z", 1.5, "m")])
    assert theirs.command(*to(target, "", "AUTH", PASSWORD, "KEYS", "k", "h", "z")) == b"OK"
    assert theirs.command("DBSIZE") == 0
    assert [target.command("GET", "k"), target.command("HGET", "h", "f"), target.command("ZSCORE", "z", "m")] == [
        b"value", b"v", b"1.5"]


class Deaf:
    """A server that takes connections and all they send, and answers what it is told to."""

    def __init__(self, answer=b""):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port, self.answer, self.release = self.sock.getsockname()[1], answer, threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        connection, _ = self.sock.accept()
        time.sleep(0.2)
        connection.recv(1 << 16)
        connection.sendall(self.answer)
        self.release.wait(30)
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.thread.join()
        self.sock.close()


def test_nobody_else_waits(server):
    """A target that does not answer keeps up only who wants to change the key."""
    with Deaf() as deaf, Client(server.port) as mover, Client(server.port) as other, Client(server.port) as writer:
        other.command("SET", "k", "v")
        begin(mover, "MIGRATE", "127.0.0.1", deaf.port, "k", 0, 1500)
        started, cpu = time.monotonic(), server.cpu_seconds()
        for _ in range(10):
            assert other.command("GET", "k") == b"v"
            assert other.command("SET", "other", 1) == b"OK"
        writer.send("APPEND", "k", "w")
        assert mover.read().value == ErrorReply("IOERR error or timeout reading to target instance")
        assert time.monotonic() - started > 1
        assert writer.read().value == 2 and other.command("GET", "k") == b"vw"
        assert server.cpu_seconds() - cpu < 0.5, "the server spun while it waited"


def test_very_many_at_once(server):
    """More than there are threads for take turns, and all hear how it ended."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent, contextlib.ExitStack() as clients:
        movers = [clients.enter_context(Client(server.port)) for _ in range(80)]
        for number, mover in enumerate(movers):
            mover.command("SET", f"k{number}", number)
            mover.send("MIGRATE", "127.0.0.1", silent.getsockname()[1], f"k{number}", 0, 300)
        for number, mover in enumerate(movers):
            assert mover.read().value == ErrorReply("IOERR error or timeout reading to target instance")
            assert mover.command("GET", f"k{number}") == b"%d" % number


def test_what_arrived_before_the_connection_broke_is_gone_here(server):
    with Deaf(b"+OK\r\n+OK\r\n") as deaf, Client(server.port) as mover:
        mover.load([("SET", "a", 1), ("SET", "b", 2)])
        deaf.release.set()
        reply = mover.command("MIGRATE", "127.0.0.1", deaf.port, "", 0, 20_000, "KEYS", "a", "b")
        assert reply == ErrorReply("IOERR error or timeout reading to target instance")
        assert mover.command("MGET", "a", "b") == [None, b"2"]


def test_in_a_transaction_and_when_the_client_leaves(server, start_server):
    target = start_server()
    with Client(server.port) as mover, Client(target.port) as there:
        mover.command("SET", "k", "v")
        mover.command("MULTI")
        mover.command("MIGRATE", "127.0.0.1", target.port, "k", 0, 20_000)
        mover.command("EXISTS", "k")
        assert mover.command("EXEC") == [b"OK", 0]
        assert there.command("GET", "k") == b"v"
        mover.command("SET", "l", "w")
        with Client(server.port) as short:
            begin(short, "MIGRATE", "127.0.0.1", target.port, "l", 0, 60_000)
        until(lambda: there.command("GET", "l") == b"w" and mover.command("EXISTS", "l") == 0)


def test_the_server_ends_while_a_target_is_silent(start_server):
    server = start_server()
    with Deaf() as deaf, Client(server.port) as mover:
        mover.command("SET", "k", "v")
        begin(mover, "MIGRATE", "127.0.0.1", deaf.port, "k", 0, 700)
        server.stop_cleanly()
