"""What is always watched: hot keys, sessions of HOTKEYS, sizes of keys, and the hit ratio with another limit."""
import random
import time
from collections import OrderedDict

import pytest

from harness.resp import Client, ErrorReply


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def session(client):
    """HOTKEYS GET as a dict of texts."""
    reply = client.command("HOTKEYS", "GET")
    assert len(reply) == 1
    return {key.decode(): value for key, value in pairs(reply[0]).items()}


@pytest.mark.parametrize("words, text", [
    ("", "ERR METRICS parameter is required"),
    ("COUNT 5", "ERR METRICS parameter is required"),
    ("METRICS 0", "ERR METRICS count must be a positive integer"),
    ("METRICS -1", "ERR METRICS count must be a positive integer"),
    ("METRICS 2 CPU", "ERR METRICS count does not match number of metric types provided"),
    ("METRICS 3 CPU NET", "ERR METRICS count does not match number of metric types provided"),
    ("METRICS 1 CPU NET", "ERR syntax error"),
    ("METRICS 1 GPU", "ERR METRICS no valid metrics passed"),
    ("METRICS 2 CPU CPU", "ERR METRICS CPU defined more than once"),
    ("METRICS 2 NET NET", "ERR METRICS NET defined more than once"),
    ("METRICS 1 CPU COUNT 0", "ERR COUNT must be between 1 and 64"),
    ("METRICS 1 CPU COUNT 65", "ERR COUNT must be between 1 and 64"),
    ("METRICS 1 CPU SAMPLE 0", "ERR SAMPLE ratio must be positive"),
    ("METRICS 1 CPU SLOTS 2 0 5", "ERR SLOTS parameter cannot be used in non-cluster mode"),
    ("METRICS 1 CPU COUNT", "ERR syntax error"),
])
def test_what_is_no_session(server, words, text):
    with Client(server.port) as client:
        assert client.command("HOTKEYS", "START", *words.split()) == ErrorReply(text)
        assert client.command("HOTKEYS", "GET") is None


def test_the_life_of_a_session(server):
    with Client(server.port) as client:
        assert client.command("HOTKEYS", "STOP") is None
        assert client.command("HOTKEYS", "START", "METRICS", "2", "GPU", "CPU", "COUNT", "2") == b"OK"
        assert client.command("HOTKEYS", "START", "METRICS", "1", "NET") == ErrorReply(
            "ERR hotkey tracking session already in progress")
        assert client.command("HOTKEYS", "RESET") == ErrorReply(
            "ERR hotkey tracking session in progress, stop tracking first")
        for i in range(9):
            client.command("SET", f"key{i % 3}", "v")
        found = session(client)
        assert found["tracking-active"] == 1 and found["selected-slots"] == [[0, 16383]]
        assert len(found["by-cpu-time-us"]) == 4 and "by-net-bytes" not in found and "total-net-bytes" not in found
        assert client.command("HOTKEYS", "STOP") == b"OK"
        assert client.command("HOTKEYS", "STOP") is None
        client.command("SET", "later", "v")
        stopped = session(client)
        time.sleep(0.05)
        assert session(client) == stopped and stopped["tracking-active"] == 0
        assert client.command("HOTKEYS", "RESET") == b"OK"
        assert client.command("HOTKEYS", "GET") is None


def test_info_tells_of_a_session_while_there_is_one(server):
    with Client(server.port) as client:
        assert b"# Hotkeys" not in client.command("INFO") and client.command("INFO", "hotkeys") == b""
        client.command("HOTKEYS", "START", "METRICS", "1", "CPU")
        assert b"\r\n# Hotkeys\r\nhotkeys-tracking-active:1\r\n" in client.command("INFO")
        client.command("HOTKEYS", "STOP")
        fields = dict(line.split(b":") for line in client.command("INFO", "hotkeys").split()[2:])
        assert fields[b"hotkeys-tracking-active"] == b"0" and int(fields[b"hotkeys-used-memory"]) > 1000
        client.command("HOTKEYS", "RESET")
        assert b"# Hotkeys" not in client.command("INFO", "everything")


def test_bytes_of_keys_are_counted_exactly(server):
    with Client(server.port) as client:
        client.command("HOTKEYS", "START", "METRICS", "2", "CPU", "NET")
        for _ in range(10):
            client.command("SET", "key", "v" * 100)  # 130 bytes, +OK is 5
            client.command("GET", "key")             # 22 bytes, and 108 in reply
        client.command("MSET", "a", "1", "b", "2")   # 45 bytes and 5, shared by two
        client.command("MULTI")
        client.command("INCR", "n")
        client.command("INCR", "n")
        client.command("EXEC")
        found = session(client)
        sizes = pairs(found["by-net-bytes"])
        assert sizes[b"key"] == 10 * (130 + 5 + 22 + 108)
        assert 20 <= sizes[b"a"] <= 30 and sizes[b"a"] == sizes[b"b"] and sizes[b"n"] > 10
        assert found["net-bytes-all-commands-all-slots"] >= sum(sizes.values()) - 2
        assert set(pairs(found["by-cpu-time-us"])) == {b"key", b"a", b"b", b"n"}


def test_a_session_ends_by_itself(server):
    with Client(server.port) as client:
        client.load([("HOTKEYS", "START", "METRICS", "1", "NET", "DURATION", "1"), ("SET", "key", "v")])
        time.sleep(1.2)
        client.command("SET", "late", "v")
        found = session(client)
        assert found["tracking-active"] == 0 and found["collection-duration-ms"] == 1000
        assert list(pairs(found["by-net-bytes"])) == [b"key"]


@pytest.mark.parametrize("sample", [1, 100])
def test_hot_keys_stand_out_in_a_sample(server, sample, seed):
    print("seed", seed)
    rng = random.Random(seed)
    with Client(server.port) as client:
        client.command("HOTKEYS", "START", "METRICS", "2", "CPU", "NET", "SAMPLE", sample)
        client.load(("SET", f"hot{rng.randrange(5)}" if rng.random() < 0.8 else f"cold{rng.randrange(500)}", "v")
                    for _ in range(30_000))
        client.command("HOTKEYS", "STOP")
        found = session(client)
        assert found["sample-ratio"] == sample
        assert set(list(pairs(found["by-net-bytes"]))[:5]) == {b"hot%d" % i for i in range(5)}


def test_hot_keys_are_known_without_a_session(server, seed):
    print("seed", seed)
    rng = random.Random(seed)
    with Client(server.port) as client:
        for _ in range(20):  # how many of them are looked at depends on the time they take
            client.load(("GET", "hot" if rng.random() < 0.4 else f"cold:{rng.randrange(5000)}") for _ in range(60_000))
            top = [pairs(item) for item in client.command("HOTKEYS", "TOP", "COUNT", "3")]
            if top[0][b"key"] == b"hot" and 30 < float(top[0][b"percent"]) < 50:
                break
        assert top[0][b"key"] == b"hot" and 30 < float(top[0][b"percent"]) < 50 and len(top) == 3
        client.load(("RPUSH", "long", *range(100)) for _ in range(200))
        client.load(("LPOS", "long", "missing") for _ in range(500))
        for _ in range(20):  # time is taken by the clock, and the machine may have stopped while another was used
            slowest = pairs(client.command("HOTKEYS", "TOP", "BY", "CPU", "COUNT", "1")[0])[b"key"]
            if slowest == b"long":
                break
            client.load(("LPOS", "long", "missing") for _ in range(500))
        assert slowest == b"long"
        largest = pairs(client.command("HOTKEYS", "TOP", "BY", "SIZE")[0])
        assert largest[b"key"] == b"long" and largest[b"type"] == b"list" and largest[b"size"] == 20_000
        assert largest[b"bytes"] + 14 == client.command("MEMORY", "USAGE", "long")
        report = client.command("HOTKEYS", "REPORT").decode()
        assert all(head in report for head in ("Used most", "Costing most time", "Moving most bytes", "Largest"))
        client.command("CONFIG", "RESETSTAT")
        assert b"hot" not in [pairs(item)[b"key"] for item in client.command("HOTKEYS", "TOP")]
        assert client.command("HOTKEYS", "TOP", "BY", "COLOUR") == ErrorReply("ERR syntax error")
        client.command("DEL", "long")
        assert b"long" not in [pairs(item)[b"key"] for item in client.command("HOTKEYS", "TOP", "BY", "SIZE")]


def keysizes(client):
    return {line.split(":")[0]: line.split(":")[1] for line in client.command("INFO", "keysizes").decode().split()
            if ":" in line}


def test_sizes_of_few_keys_are_exact_at_once(server):
    with Client(server.port) as client:
        assert keysizes(client) == {}
        for i, value in enumerate(["", "1", "12", "123", "1234", "x" * 1023, "x" * 1024, "x" * (3 << 20)]):
            client.command("SET", f"s{i}", value)
        client.command("RPUSH", "l", *range(9))
        client.command("SADD", "s", *range(600))
        client.command("ZADD", "z", "1", "a")
        client.command("HSET", "h", "a", "1", "b", "2", "c", "3")
        client.command("XADD", "x", "*", "a", "b")
        client.command("SELECT", "3")
        client.command("SET", "other", "1234567")
        assert keysizes(client) == {
            "db0_distrib_strings_sizes": "0=1,1=1,2=2,4=1,512=1,1K=1,2M=1", "db0_distrib_lists_items": "8=1",
            "db0_distrib_sets_items": "512=1", "db0_distrib_zsets_items": "1=1", "db0_distrib_hashes_items": "2=1",
            "db3_distrib_strings_sizes": "4=1"}
        client.command("SELECT", "0")
        client.command("LPOP", "l", "5")
        assert keysizes(client)["db0_distrib_lists_items"] == "4=1"
        client.command("FLUSHALL")
        assert keysizes(client) == {}


def test_sizes_of_many_keys_are_known_after_a_round(server):
    with Client(server.port) as client:
        client.load(("SET", f"key:{i}", "x" * (10 if i % 5 else 100)) for i in range(20_000))
        client.command("SET", "giant", "x" * 1_000_000)
        deadline = time.monotonic() + 150
        rounds = int(client.info("insight")["census_rounds"])  # those that were begun while the keys came
        while int(client.info("insight")["census_rounds"]) < rounds + 2 and time.monotonic() < deadline:
            client.command("SET", "key:1", "x" * 10)
            time.sleep(0.05)
        assert keysizes(client)["db0_distrib_strings_sizes"] == "8=16000,64=4000,512K=1"
        assert pairs(client.command("HOTKEYS", "TOP", "BY", "SIZE", "COUNT", "1")[0])[b"key"] == b"giant"


def lru(trace, capacity):
    held, hits = OrderedDict(), 0
    for key in trace:
        hits += key in held
        held[key] = True
        held.move_to_end(key)
        if len(held) > capacity:
            held.popitem(last=False)
    return hits / len(trace)


def test_the_hit_ratio_with_another_limit(server, seed):
    print("seed", seed)
    rng = random.Random(seed)
    trace = [int(rng.paretovariate(0.7)) % 50_000 for _ in range(60_000)]
    with Client(server.port) as client:
        client.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory",
                       int(client.info("memory")["used_memory"]) + (2 << 20))
        for at in range(0, len(trace), 20):
            keys = trace[at:at + 20]
            replies = list(client.pipeline(("GET", f"key:{key}") for key in keys))
            missing = [key for key, reply in zip(keys, replies) if reply is None]
            list(client.pipeline(("SET", f"key:{key}", "v" * 600) for key in missing))
        points = [pairs(point) for point in pairs(client.command("MEMORY", "CURVE"))[b"points"]]
        assert [float(point[b"memory"]) for point in points] == [0.5, 1, 2, 4]
        for point in points[1:]:
            assert abs(float(point[b"hit-ratio"]) - lru(trace, max(1, point[b"keys"]))) < 0.05, point
        hits, misses = (int(client.info("stats")[name]) for name in ("keyspace_hits", "keyspace_misses"))
        assert abs(float(points[1][b"hit-ratio"]) - hits / (hits + misses)) < 0.06
        assert "curve_200_percent_memory" in client.info("insight")


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_the_curve_counts_from_the_moment_that_memory_gets_a_limit(server):
    """A short trace is over before the clockwork has ticked once."""
    with Client(server.port) as client:
        client.command("DEBUG", "PAUSE-CRON", 1)
        client.command("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
        replies = list(client.pipeline(("GET", f"key:{i}") for i in range(50)))
        assert replies == [None] * 50
        client.command("DEBUG", "PAUSE-CRON", 0)
        time.sleep(0.25)
        curve = pairs(client.command("MEMORY", "CURVE"))
        assert curve[b"sampled-reads"] == 50 and float(curve[b"sample-rate"]) == 1
