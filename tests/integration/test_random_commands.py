"""Any commands at all, by the server's own grammar, from several clients that come, go and do not wait for answers.

Nothing is compared but the server with itself: it lives, its structures are whole, and what it saves is what it has.
"""
import random

import pytest

from aof_files import AOF
from command_grammar import Grammar
from harness.resp import Client, ErrorReply, encode
from harness.waiting import until

PROTOCOLS = (2,)
KEYS = [b"k%d" % i for i in range(24)]
CLIENTS = 12
SETTINGS = {
    "list-max-listpack-size": ("-2", "3", "-1"), "list-compress-depth": ("0", "1", "2"),
    "hash-max-listpack-entries": ("4", "128"), "hash-max-listpack-value": ("8", "64"),
    "zset-max-listpack-entries": ("4", "128"), "set-max-intset-entries": ("4", "512"),
    "set-max-listpack-entries": ("4", "128"), "stream-node-max-entries": ("3", "100"),
    "notify-keyspace-events": ("KEA", ""), "activedefrag": ("yes", "no"), "lazyfree-lazy-user-del": ("yes", "no"),
    "tracking-table-max-keys": ("5", "1000000"), "slowlog-log-slower-than": ("0", "10000"),
    "client-output-buffer-limit": ("normal 0 0 0", "normal 300kb 0 0"),
}
FULL = {"maxmemory": ("0", "6mb", "12mb"), "maxmemory-policy": ("allkeys-lru", "allkeys-lfu", "volatile-ttl",
                                                                "allkeys-random", "allkeys-wtinylfu", "noeviction")}
KINDS = {"alone": (), "log": AOF, "full": ("--maxmemory", "12mb", "--maxmemory-policy", "allkeys-wtinylfu")}


class Crowd:
    """Clients that send and hardly listen."""

    def __init__(self, port, rng):
        self.port, self.rng, self.clients = port, rng, []

    def send(self, data):
        while len(self.clients) < CLIENTS:
            self.clients.append(self._come())
        client = self.rng.choice(self.clients)
        client.sock.settimeout(0.2)
        try:
            client.sock.sendall(data)
        except OSError:  # it blocks, and what it has sent is too much; or the server has closed it
            self._go(client)
        for client in list(self.clients):
            self._listen(client)
        if self.rng.random() < .03 and self.clients:
            self._go(self.rng.choice(self.clients))

    def _come(self):
        client = Client(self.port)
        if self.rng.random() < .4:
            client.send("HELLO", 3)
        if self.rng.random() < .2:
            client.send("CLIENT", "TRACKING", "ON", *(["BCAST"] if self.rng.random() < .5 else []))
        return client

    def _go(self, client):
        client.close()
        self.clients.remove(client)

    def _listen(self, client):
        client.sock.setblocking(False)
        try:
            while client.sock.recv(1 << 20):
                pass
        except BlockingIOError:
            return
        except OSError:
            pass
        self._go(client)

    def leave(self):
        for client in list(self.clients):
            self._go(client)


def request(grammar, kind):
    rng = grammar.rng
    chance = rng.random()
    if chance < .003:
        others = [("FLUSHALL",), ("SWAPDB", 0, 1), ("BGSAVE",), ("BGREWRITEAOF",), ("SELECT", rng.randrange(3))]
        return rng.choice(others)
    if chance < .01:
        settings = {**SETTINGS, **FULL} if kind == "full" else SETTINGS
        name = rng.choice(list(settings))
        return ("CONFIG", "SET", name, rng.choice(settings[name]))
    if chance < .014:  # RELOAD drops what has expired without a word in the log, as in Redis
        inspect = [("CHECK",), ("DIGEST",), ("DEFRAG",), ("OBJECT", rng.choice(KEYS)), ("DIGEST-VALUE", *KEYS)]
        return ("DEBUG", *rng.choice(inspect if kind == "log" else [*inspect, ("RELOAD",)]))
    if chance < .02:
        return ("DEBUG", "TASK-STEPS", rng.choice([0, 1, 3, -1, -1]))
    if chance < .035:
        return rng.choice([("MULTI",), ("EXEC",), ("EXEC",), ("DISCARD",), ("RESET",)])
    if chance < .05:
        return ("PEXPIRE", rng.choice(KEYS), rng.choice([1, 5, 50, 1000]))
    return grammar.command()


def contents(client):
    """All that does not expire."""
    found = {}
    for db in range(3):
        client.command("SELECT", db)
        for key in client.command("KEYS", "*"):
            fields, ends = client.command("HKEYS", key), [client.command("PEXPIRETIME", key)]
            if fields and not isinstance(fields, ErrorReply):
                ends += client.command("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)
            if set(ends) == {-1}:
                found[db, key] = client.command("TYPE", key), client.command("DEBUG", "DIGEST-VALUE", key)
    client.command("SELECT", 0)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_anything(start_server, seed, scale, kind):
    print(f"seed {seed}")
    server = start_server("--enable-debug-command", "yes", *KINDS[kind])
    rng = random.Random(f"{seed} {kind}")
    with Client(server.port) as watcher:
        grammar, crowd = Grammar(watcher, rng, KEYS), Crowd(server.port, rng)
        for turn in range(scale(1500)):
            crowd.send(b"".join(encode(request(grammar, kind)) for _ in range(rng.choice([1, 1, 2, 5, 20]))))
            if turn % 50 == 0:
                watcher.command("DEBUG", "TASK-STEPS", -1)
        crowd.leave()
        watcher.command("CLIENT", "KILL", "SKIPME", "yes")  # those who wait, with much behind it that nobody reads
        until(lambda: watcher.command("DEBUG", "TASK-STEPS", -1) is not None
              and watcher.info("clients")["connected_clients"] == "1")
        until(lambda: watcher.info("persistence")["rdb_bgsave_in_progress"] == "0")
        watcher.load([("CONFIG", "SET", "maxmemory", 0, "client-output-buffer-limit", "normal 0 0 0"),
                      ("DEBUG", "SET-ACTIVE-EXPIRE", 0)])
        assert watcher.command("DEBUG", "CHECK") == b"OK"
        before = contents(watcher)
        assert watcher.command("DEBUG", *("LOADAOF",) if kind == "log" else ("RELOAD",)) == b"OK"
        assert contents(watcher) == before and watcher.command("DEBUG", "CHECK") == b"OK"
