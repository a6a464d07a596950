"""list-compress-depth: what it saves, when it takes effect, and that it cannot be told by replies, files or payloads.

Random list commands on compressed lists are in test_differential_lists.py. What redis-server says of a list's
compression is in DEBUG OBJECT: whether its inner nodes are compressed, and its size if they were not.
"""
import random
import re
import subprocess

import pytest

from aof_files import loaded, rewritten
from harness.process import ServerProcess
from harness.resp import Client
from test_memory_accounting import used_when_quiet

OPTIONS = ("--list-compress-depth", "1", "--list-max-listpack-size", "-1", "--enable-debug-command", "yes")
SERVER_OPTIONS = (*OPTIONS, "--save", "")


def noise(rng, count):
    """Bytes that do not compress, without NUL, where redis-server ends its comparison when it sorts."""
    return bytes(rng.randrange(1, 256) for _ in range(count))


def elements(rng, count):
    """Texts that compress well, badly and not at all, integers, and some that are longer than a node."""
    kinds = (lambda: f"user:{rng.randrange(1000)}:visited page {rng.randrange(50)} of the shop",
             lambda: str(rng.randrange(-10**6, 10**12)),
             lambda: noise(rng, rng.randrange(60)),
             lambda: "z" * rng.randrange(2000),
             lambda: "plain " * 1500 if rng.random() < 0.3 else noise(rng, 5000) if rng.random() < 0.1 else "")
    return [rng.choice(kinds)() for _ in range(count)]


def fill(client, rng):
    for number in range(6):
        client.command("RPUSH" if number % 2 else "LPUSH", f"l{number}", *elements(rng, 40 * 3**number // 10 + 9))


def contents(client):
    return {key: client.command("LRANGE", key, 0, -1) for key in sorted(client.command("KEYS", "*"))}


def described(client, key):
    found = re.search(r"ql_compressed:(\d+) ql_uncompressed_size:(\d+)",
                      client.command("DEBUG", "OBJECT", key).decode())
    return found and (int(found[1]), int(found[2]))


@pytest.fixture
def start_oracle(tmp_path, oracle_command):
    started = []

    def start(own, *options):
        own.mkdir(exist_ok=True)
        started.append(ServerProcess(oracle_command, (*OPTIONS, *options), own, name="oracle"))
        return started[-1]

    yield start
    for server in started:
        if not server.ended_by_us:
            server.kill()


# --- What it saves ---

def test_saves_memory_and_tells_it(server):
    with Client(server.port) as client:
        if not client.info("memory")["mem_allocator"].startswith("jemalloc"):
            pytest.skip("the allocator keeps no figures")
        usage = {}
        for depth in (0, 1, 5):
            client.command("CONFIG", "SET", "list-compress-depth", depth)
            for key in ("first", "l"):  # the first brings along what requests keep
                for end in ("LPUSH", "RPUSH"):
                    client.load((end, key, *(f'{{"level":"info","number":{i + j}}}' for j in range(100)))
                                for i in range(0, 10_000, 100))
            usage[depth] = client.command("MEMORY", "USAGE", "l", "SAMPLES", 0)
            full = used_when_quiet(client)
            client.command("DEL", "l")
            freed = full - used_when_quiet(client)
            assert abs(freed - usage[depth]) <= 0.05 * freed, (depth, freed, usage)
            client.command("DEL", "first")
        assert usage[1] < 0.5 * usage[0] and usage[1] < usage[5] < usage[0]


# --- When it takes effect ---

def test_set_at_run_time(pair):
    """A list has the depth that was set when it was made; a copy that of its origin; a loaded one is a new one."""
    script = ["CONFIG SET list-max-listpack-size 2", "CONFIG SET list-compress-depth 0", "RPUSH old a b c d e f",
              "CONFIG SET list-compress-depth 1", "RPUSH old g", "RPUSH new a b c d e f", "COPY old copied",
              "RENAME new renamed", "CONFIG SET list-compress-depth 2", "LPOP renamed"]
    pair.same(*script)
    states = []
    for _ in range(2):
        ours, theirs = ({key: described(client, key)[0] for key in ("old", "copied", "renamed")}
                        for client in pair.both)
        assert ours == theirs
        states.append(ours)
        pair.same("DEBUG RELOAD", "CONFIG SET list-compress-depth 0")
    assert states == [{"old": 0, "copied": 0, "renamed": 1}, {"old": 1, "copied": 1, "renamed": 1}]
    pair.same("CONFIG SET list-compress-depth -1", "CONFIG SET list-compress-depth x", "LRANGE old 0 -1")
    for client in pair.both:
        client.command("CONFIG", "SET", "list-compress-depth", 1, "list-max-listpack-size", -1)


# --- Reading ---

def test_every_reader(pair, seed):
    print("seed", seed)
    rng = random.Random(seed)
    words = elements(rng, 600)
    pair.same(["RPUSH", "l", *words])
    some = rng.sample(words, 8)
    pair.same(*(f"LINDEX l {i}" for i in (0, 1, 77, 300, 599, 600, -1, -250, -600)), "LRANGE l 100 109",
              "LRANGE l 590 -1", "SORT l ALPHA", "SORT l ALPHA DESC LIMIT 10 50", "SORT l BY nosort LIMIT 300 100",
              "SORT l BY nosort DESC LIMIT 5 9", "SORT l ALPHA STORE d", "LRANGE d 0 -1", "SORT l BY w_* GET # GET w_*",
              *(["LPOS", "l", word, "COUNT", 0] for word in some), *(["LPOS", "l", word, "RANK", -1] for word in some),
              *(["LREM", "d", 0, word] for word in some), "LRANGE d 0 -1", "LPOP l 100", "RPOP l 100",
              "LTRIM l 50 -50", "LRANGE l 0 -1", "LMPOP 1 l LEFT COUNT 10", "LMOVE l d LEFT RIGHT",
              "LMOVE l l RIGHT LEFT", "LRANGE l 0 -1", "LLEN l", "OBJECT ENCODING l")


def test_what_is_compressed_does_not_count(server):
    """The digest is that of the elements, however they are kept."""
    with Client(server.port) as client:
        words = elements(random.Random(1), 300)
        client.command("RPUSH", "l", *words)
        compressed = client.command("DEBUG", "DIGEST-VALUE", "l")
        assert described(client, "l")[0] == 1
        client.command("CONFIG", "SET", "list-compress-depth", 0)
        client.command("RPUSH", "m", *words)
        assert client.command("DEBUG", "DIGEST-VALUE", "m") == compressed and described(client, "m")[0] == 0
        assert described(client, "l")[1] == described(client, "m")[1]


# --- Files ---

@pytest.mark.parametrize("compression", ["yes", "no"])
def test_files_and_payloads_there_and_back(start_server, start_oracle, tmp_path, seed, compression):
    print("seed", seed)
    more = ("--rdbcompression", compression)
    ours, theirs = start_server(*OPTIONS, *more), start_oracle(tmp_path / "theirs", *more)
    with Client(ours.port) as one, Client(theirs.port) as other:
        fill(one, random.Random(seed))
        expected = contents(one)
        for key in expected:
            assert other.command("RESTORE", key, 0, one.command("DUMP", key)) == b"OK"
        assert contents(other) == expected
        one.command("FLUSHALL")
        for key in expected:
            assert one.command("RESTORE", key, 0, other.command("DUMP", key)) == b"OK"
            assert described(one, key) is None or described(one, key)[0] == 1
        assert contents(one) == expected
        assert one.command("SAVE") == other.command("SAVE") == b"OK"
    check = subprocess.run(["redis-check-rdb", ours.directory / "dump.rdb"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
    for source, start in ((ours, start_oracle), (theirs, start_server), (ours, start_server)):
        own = tmp_path / f"from-{source.name}-{start is start_server}"
        own.mkdir()
        (own / "dump.rdb").write_bytes((source.directory / "dump.rdb").read_bytes())
        reader = start(*OPTIONS, directory=own) if start is start_server else start(own)
        with Client(reader.port) as client:
            loaded(reader)
            assert contents(client) == expected


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_append_only_files_there_and_back(start_server, start_oracle, tmp_path, seed, preamble):
    print("seed", seed)
    more = ("--appendonly", "yes", "--aof-use-rdb-preamble", preamble, "--save", "")
    own = tmp_path / "shared"
    expected = None
    for start in ("ours", "theirs", "ours"):
        server = start_server(*OPTIONS, *more, directory=own) if start == "ours" else start_oracle(own, *more)
        loaded(server)
        with Client(server.port) as client:
            if not expected:
                fill(client, random.Random(seed))
                expected = contents(client)
            assert contents(client) == expected
            client.command("BGREWRITEAOF")
            rewritten(client)
            client.command("LPUSH", "l5", start)
            client.command("LSET", "l4", 5, "x" * 70)
            expected = contents(client)
        server.stop_cleanly()
