"""MONITOR: what every command looks like to who watches, beside redis-server."""
import re
import time

from harness.resp import Client

LINE = re.compile(rb"(\d+\.\d{6}) \[(\d+) 127\.0\.0\.1:\d+\] (.*)", re.DOTALL)

COMMANDS = [
    ["SET", "k", "v"], ["get", "k"], ["SELECT", "1"], ["SET", 'a"\\\x07\x08b', b"\r\n\t\xe9\x00\x7f "], ["SELECT", "0"],
    ["NOSUCH", "x"], ["GET"], ["LPUSH", "k", "x"], ["MULTI"], ["SET", "k", "w"], ["GET", "k"], ["EXEC"], ["MULTI"],
    ["SET", "k", "x"], ["DISCARD"], ["CONFIG", "GET", "port"], ["CLIENT", "SETNAME", "me"], ["BLPOP", "q", "0.01"],
    ["PING"], ["INFO", "server"], ["DEBUG", "SLEEP", "0"], ["COMMAND", "COUNT"], ["AUTH", "x"], ["AUTH", "u", "x"],
    ["HELLO", "2", "AUTH", "u", "x", "SETNAME", "n"], ["HELLO", "2", "SETNAME", "n"], ["SUBSCRIBE", "c"],
    ["UNSUBSCRIBE", "c"], ["SET", "", ""], ["DEL", "k"], ["MIGRATE", "127.0.0.1", "1", "none", "0", "9", "AUTH", "p"],
    ["MIGRATE", "127.0.0.1", "1", "none", "0", "9", "REPLACE", "AUTH2", "u", "p"], ["ACL", "SETUSER", "u x", ">p"],
]


class Watch:
    def __init__(self, port, protocol):
        self.client = Client(port, protocol)
        assert self.client.command("MONITOR") == b"OK"

    def seen(self, sign):
        """Databases and commands up to an ECHO of the sign."""
        lines = []
        while True:
            when, database, command = LINE.fullmatch(self.client.read().value).groups()
            assert abs(float(when) - time.time()) < 60
            if command == b'"ECHO" "%s"' % sign.encode():
                return lines
            lines.append((database, command))


def test_lines(module_server, module_oracle, protocol):
    seen = []
    for port in (module_server.port, module_oracle.port):
        with Client(port) as client:
            client.command("FLUSHALL")
            watch = Watch(port, protocol)
            for args in COMMANDS:
                client.command(*args)
            client.command("ECHO", "end")
            seen.append(watch.seen("end"))
            watch.client.close()
    ours, theirs = seen
    assert ours == theirs
    assert (b"1", rb'"SET" "a\"\\\a\bb" "\r\n\t\xe9\x00\x7f "') in ours


def test_what_a_monitor_may_do(pair):
    """It sees itself, touches no key, and RESET makes it an ordinary client."""
    for client in pair.both:
        assert client.command("MONITOR") == b"OK"
    pair.same("PING")
    for ours_or_theirs in pair.both:
        assert b'"PING"' in ours_or_theirs.read().value
    for command in ("GET k", "SET k v", "MONITOR", "RESET"):
        for client in pair.both:
            client.send(*command.split())
    ours, theirs = ([re.sub(rb"\d+\.\d+ \[0 \S+\]", b"", client.read().raw) for _ in range(3)] for client in pair.both)
    assert ours == theirs


def test_in_a_transaction(pair):
    pair.same("MULTI", "MONITOR", "PING", "EXEC", "GET k")


def test_a_monitor_that_leaves(server):
    with Client(server.port) as client:
        for _ in range(20):
            watches = [Watch(server.port, 2) for _ in range(5)]
            client.command("SET", "k", "v")
            for watch in watches:
                watch.client.close()
        assert client.command("PING") == b"PONG"
        watch = Watch(server.port, 3)
        assert b"flags=O" in client.command("CLIENT", "LIST")
        client.command("ECHO", "x")
        watch.seen("x")
        watch.client.close()


def test_large_arguments(server):
    """Values that were taken over are still there to be shown; of a very long one the beginning is."""
    with Client(server.port) as client:
        watch = Watch(server.port, 2)
        client.command("MSET", "k", "a" * 200_000, "k", "b", "l", "c" * 40_000)
        client.command("ECHO", "end")
        [(_, line)] = watch.seen("end")
        assert line.startswith(b'"MSET" "k" "' + b"a" * 65536 + b"... (134464 more bytes)\" \"k\" \"b\" \"l\" \"ccc")
        watch.client.close()


def test_a_monitor_that_does_not_read_is_dropped(server):
    with Client(server.port) as client:
        client.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
        watch = Watch(server.port, 2)
        deadline = time.monotonic() + 60
        while b"flags=O" in client.command("CLIENT", "LIST"):
            client.load([("ECHO", "x" * 10_000)] * 200)
            assert time.monotonic() < deadline
        watch.client.close()
