"""Memory accounting tells the truth: MEMORY USAGE is what deleting gives back, used_memory what the allocator says."""
import json

import pytest

from harness.resp import Client
from harness.waiting import until_reclaimed

SERVER_OPTIONS = ("--jemalloc-bg-thread", "no")


def many(count, make):
    return [word for i in range(count) for word in make(i)]


# For each type and encoding, how a value is made: commands, in which KEY stands for the key. Small values are made in
# number, so that what a key costs its table does not drown them.
SMALL = {
    "integer": [("SET", "KEY", 12345)],
    "embedded": [("SET", "KEY", "v" * 300)],
    "with a TTL": [("SET", "KEY", "v" * 300, "EX", 1000)],
    "raw": [("SET", "KEY", "v" * 5000)],
    "packed hash": [("HSET", "KEY", *many(100, lambda i: (f"f{i}", "v" * 20)))],
    "packed hash with TTLs": [("HSET", "KEY", *many(50, lambda i: (f"f{i}", "v" * 20))),
                              ("HEXPIRE", "KEY", 1000, "FIELDS", 2, "f1", "f2")],
    "intset": [("SADD", "KEY", *range(400))],
    "packed set": [("SADD", "KEY", *(f"m{i}" for i in range(100)))],
    "packed sorted set": [("ZADD", "KEY", *many(100, lambda i: (i, f"m{i}")))],
    "packed list": [("RPUSH", "KEY", *range(100))],
    "short stream": [("XADD", "KEY", "*", "field", "value" * 50)] * 5,
    "small document": [("JSON.SET", "KEY", "$", json.dumps({"a": "long enough a string" * 9, "b": [1, 2, "three"]}))],
}
LARGE = {
    "grown string": [("APPEND", "KEY", "w" * 1000)] * 20,
    "HyperLogLog": [("PFADD", "KEY", *range(3000))],
    "hash": [("HSET", "KEY", *many(2000, lambda i: (f"f{i}", "v" * 20)))],
    "hash of long values": [("HSET", "KEY", *many(600, lambda i: (f"f{i}", "v" * (i * 7))))],
    "hash with TTLs": [("HSET", "KEY", *many(2000, lambda i: (f"f{i}", "v" * 20))),
                       ("HEXPIRE", "KEY", 1000, "FIELDS", 500, *(f"f{i}" for i in range(500)))],
    "set": [("SADD", "KEY", *(f"m{i}" for i in range(2000)))],
    "thinned set": [("SADD", "KEY", *(f"m{i}" for i in range(3000))), ("SREM", "KEY", *(f"m{i}" for i in range(2500)))],
    "sorted set": [("ZADD", "KEY", *many(2000, lambda i: (i * 7919 % 2003, f"m{i}")))],
    "list": [("RPUSH", "KEY", *["x" * 50] * 2000)],
    "list of large elements": [("RPUSH", "KEY", *["x" * 20_000] * 20)],
    "list with a hole": [("RPUSH", "KEY", *range(3000)), *(("LSET", "KEY", i, "y" * 300) for i in range(0, 3000, 99))],
    "stream": [("XADD", "KEY", "*", "a", i, "b", "c" * 20) for i in range(1500)],
    "trimmed stream": [*(("XADD", "KEY", "*", "a", i) for i in range(1500)), ("XTRIM", "KEY", "MAXLEN", 200)],
    "stream with groups": [*(("XADD", "KEY", "*", "a", i) for i in range(1500)), ("XGROUP", "CREATE", "KEY", "g", 0),
                           ("XREADGROUP", "GROUP", "g", "c", "COUNT", 1000, "STREAMS", "KEY", ">")],
    "document": [("JSON.SET", "KEY", "$", json.dumps([{"id": i, "v": [1.5, "abc"]} for i in range(1000)]))],
    "large object": [("JSON.SET", "KEY", "$", json.dumps({f"key{i}": i for i in range(3000)}))],
}


def used_when_quiet(client):
    until_reclaimed(client)
    return int(client.info("memory")["used_memory"])


def make(client, key, commands):
    client.load(tuple(key if word == "KEY" else word for word in command) for command in commands)


def skip_without_jemalloc(client):
    if not client.info("memory")["mem_allocator"].startswith("jemalloc"):
        pytest.skip("the allocator keeps no figures")


@pytest.mark.parametrize("what", [*SMALL, *LARGE])
def test_usage_is_what_deleting_gives_back(module_server, what):
    with Client(module_server.port) as client:
        skip_without_jemalloc(client)
        copies, commands = (400, SMALL[what]) if what in SMALL else (3, LARGE[what])
        keys = [f"key:{i:04}" for i in range(copies)]
        make(client, "first", commands)  # what a type brings along once, and then what the requests do
        client.command("DEL", *keys)
        used_when_quiet(client)
        for key in keys:
            make(client, key, commands)
        usage = sum(client.command("MEMORY", "USAGE", key) for key in keys)
        full = used_when_quiet(client)
        client.command("DEL", *keys)
        freed = full - used_when_quiet(client)
        assert abs(usage - freed) <= 0.05 * freed, (usage / copies, freed / copies)
        client.command("FLUSHALL", "SYNC")


def check_used(client, at_least=0):
    memory = client.info("memory")
    used, allocated = int(memory["used_memory"]), int(memory["allocator_allocated"])
    assert used >= at_least
    assert abs(used - allocated) <= 0.03 * allocated, (used, allocated)
    return used


def test_an_empty_server_takes_little_memory(server):
    with Client(server.port) as client:
        skip_without_jemalloc(client)
        assert check_used(client) < 700_000
        client.command("CONFIG", "SET", "maxmemory", "3mb", "maxmemory-policy", "allkeys-lru")
        assert check_used(client) < 600_000


def test_the_first_keys_cost_what_keys_cost(server):
    """What the server itself needs is there from the start: a limit a little above what is in use leaves that room."""
    with Client(server.port) as client:
        client.info("memory")
        before = int(client.info("memory")["used_memory"])
        for i in range(10):
            client.command("SET", f"k{i}", "v")
            client.command("GET", f"k{i}")
        assert int(client.info("memory")["used_memory"]) - before < 20_000


@pytest.mark.server_options("--appendonly", "yes", "--client-output-buffer-limit", "pubsub 0 0 0")
def test_used_memory_is_what_the_allocator_says(server):
    with Client(server.port) as client, Client(server.port) as hoarder, Client(server.port) as subscriber:
        skip_without_jemalloc(client)
        client.load(("SET", f"key:{i}", "v" * 500) for i in range(20_000))
        base = check_used(client, 10 << 20)
        hoarder.command("MULTI")
        for _ in range(100):
            hoarder.command("SET", "key", "q" * 100_000)
        check_used(client, base + (9 << 20))
        subscriber.command("SUBSCRIBE", "news")
        client.load(("PUBLISH", "news", "p" * 100_000) for _ in range(150))
        check_used(client)
        client.load(("HSET", "large", *many(100, lambda i: (f"f{at + i}", "v" * 40))) for at in range(0, 100_000, 100))
        check_used(client)
        client.command("UNLINK", "large")
        check_used(client)
        client.load(("APPEND", "log", "a" * 50_000) for _ in range(100))
        check_used(client)
        hoarder.close()
        client.command("FLUSHALL")
        for _ in range(5):
            check_used(client)


@pytest.mark.parametrize("thread", ["yes", "no"])
def test_purged_memory_is_the_systems(start_server, thread):
    server = start_server("--jemalloc-bg-thread", thread)
    with Client(server.port) as client, Client(server.port) as other:
        skip_without_jemalloc(client)
        for _ in range(3):
            client.load(("SET", f"key:{i}", "v" * 1_000_000) for i in range(60))
            full = int(client.info("memory")["used_memory_rss"])
            client.command("FLUSHALL", "SYNC")
            until_reclaimed(client)
            client.send("MEMORY", "PURGE")
            assert other.command("PING") == b"PONG" and client.read().value == b"OK"
            assert int(client.info("memory")["used_memory_rss"]) < full - 50_000_000
        client.load([("MULTI",), ("SET", "a", 1), ("MEMORY", "PURGE"), ("GET", "a")])
        assert client.command("EXEC") == [b"OK", b"OK", b"1"]
