"""The append-only file: its parts, what is written into them, rewriting, loading, travels to redis-server and back."""
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

import rdb_contents
from aof_files import AOF, commands, directory, last_increment, loaded, manifest, persistence, rewritten, until
from harness.process import ServerProcess, StartFailed, larder_binary
from harness.resp import Client, ErrorReply

SERVER_OPTIONS = AOF


@pytest.fixture
def start_oracle(tmp_path, oracle_command):
    started = []

    def start(own, *options):
        own.mkdir(exist_ok=True)
        started.append(ServerProcess(oracle_command, (*AOF, *options), own, name="oracle"))
        return started[-1]

    yield start
    for server in started:
        if not server.ended_by_us:
            server.kill()


def check(path, *options):
    return subprocess.run([larder_binary(), "--check-aof", path, *options], capture_output=True, text=True, timeout=60)


def check_with_redis(path):
    tool = shutil.which("redis-check-aof")
    if not tool:
        pytest.skip("no redis-check-aof: install redis-tools")
    found = subprocess.run([tool, path], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0 and "All AOF files and manifest are valid" in found.stdout, found.stdout


def fails_to_start(own, *options):
    """The log of a server that must not start with what is in the directory."""
    try:
        server = ServerProcess([larder_binary()], (*AOF, *options), own, name="failing")
    except StartFailed as failure:
        return str(failure)
    assert server.process.wait(60) != 0
    return server.kill()


def test_layout(server):
    where = directory(server)
    with loaded(server) as client:
        assert manifest(where) == [("appendonly.aof.1.base.rdb", 1, "b"), ("appendonly.aof.1.incr.aof", 1, "i")]
        info = persistence(client)
        assert info["aof_enabled"] == "1" and info["aof_last_write_status"] == "ok"
        client.command("SET", "k", "v")
        client.command("GET", "k")
        client.command("SELECT", 3)
        client.command("LPUSH", "l", 1, 2)
        client.command("DEL", "nosuch")
        client.command("SELECT", 0)
        client.command("INCR", "n")
        found = commands(last_increment(where).read_bytes())
        assert found == [[b"SELECT", b"0"], [b"SET", b"k", b"v"], [b"SELECT", b"3"], [b"LPUSH", b"l", b"1", b"2"],
                         [b"SELECT", b"0"], [b"INCR", b"n"]]
        assert int(persistence(client)["aof_current_size"]) == sum(p.stat().st_size for p in where.glob("*.[ra]*[bf]"))
    check_with_redis(where / "appendonly.aof.manifest")
    assert check(where / "appendonly.aof.manifest").returncode == 0


def test_units(server):
    """What belongs together stands between MULTI and EXEC; a transaction of one command needs neither."""
    with loaded(server) as client:
        for words in (["MULTI"], ["SET", "a", 1], ["SELECT", 2], ["SET", "b", 2], ["EXEC"]):
            client.command(*words)
        client.command("SELECT", 0)
        for words in (["MULTI"], ["SET", "c", 3], ["GET", "a"], ["EXEC"], ["MULTI"], ["EXEC"]):
            client.command(*words)
    assert commands(last_increment(directory(server)).read_bytes()) == [
        [b"SELECT", b"0"], [b"MULTI"], [b"SET", b"a", b"1"], [b"SELECT", b"2"], [b"SET", b"b", b"2"], [b"EXEC"],
        [b"SELECT", b"0"], [b"SET", b"c", b"3"]]


STORED_IN_SLICES = [
    ("SUNIONSTORE", "sunion", "S"), ("SINTERSTORE", "sinter", "S", "S"), ("SDIFFSTORE", "sdiff", "S", "none"),
    ("ZUNIONSTORE", "zunion", 1, "Z"), ("ZINTERSTORE", "zinter", 2, "Z", "Z"), ("ZDIFFSTORE", "zdiff", 2, "Z", "none"),
    ("ZRANGESTORE", "zrange", "Z", 0, -1), ("SORT", "L", "ALPHA", "STORE", "sorted"), ("COPY", "Z", "zcopy"),
    ("COPY", "L", "lcopy"), ("COPY", "S", "scopy"), ("LREM", "L", 0, "e7"), ("SPOP", "S", 15_000),
    ("LTRIM", "L", 5, 15_000), ("ZREMRANGEBYRANK", "Z", 5, 15_000),
]


@pytest.mark.parametrize("within", [False, True], ids=["alone", "exec"])
def test_what_goes_on_in_slices_is_in_the_file(server, within):
    size = 20_000
    with loaded(server) as client:
        for at in range(0, size, 500):
            names = range(at, at + 500)
            client.command("SADD", "S", *(f"m{i}" for i in names))
            client.command("RPUSH", "L", *(f"e{i % 100}" for i in names))
            client.command("ZADD", "Z", *(word for i in names for word in (i * 7 % 1009, f"m{i}")))
        if within:
            client.load([("MULTI",), *STORED_IN_SLICES])
            replies = client.command("EXEC")
        else:
            replies = [client.command(*command) for command in STORED_IN_SLICES]
        assert not any(isinstance(reply, ErrorReply) for reply in replies)
        digest = client.command("DEBUG", "DIGEST")
        assert client.command("DEBUG", "LOADAOF") == b"OK"
        assert client.command("EXISTS", *(command[1] for command in STORED_IN_SLICES[:7]), "sorted", "zcopy", "lcopy",
                              "scopy") == 11
        assert client.command("DEBUG", "DIGEST") == digest


def test_restart_and_expiry(start_server, tmp_path):
    own = tmp_path / "own"
    server = start_server(*AOF, directory=own)
    with loaded(server) as client:
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        client.command("SET", "short", "v", "PX", 150)
        client.command("SET", "long", "v", "PX", 10**9)
        at = client.command("PEXPIRETIME", "long")
        client.load([("MULTI",), ("RPUSH", "list", "x"), ("PEXPIRE", "list", 200), ("RPUSH", "list", "y"), ("EXEC",)])
    server.kill()
    time.sleep(0.4)
    again = start_server(*AOF, directory=own)
    with loaded(again) as client:
        assert client.command("PEXPIRETIME", "long") == at
        assert client.command("GET", "short") is None and client.command("EXISTS", "list") == 0
        found = commands(last_increment(directory(again)).read_bytes())
        assert [b"DEL", b"short"] in found and [b"DEL", b"list"] in found


@pytest.mark.parametrize("policy, word, most", [("noeviction", "IDLETIME", 60), ("allkeys-lfu", "FREQ", 5)])
def test_keys_are_as_new_after_a_restart(start_server, tmp_path, policy, word, most):
    own = tmp_path / "own"
    options = ("--appendonly", "yes", "--maxmemory-policy", policy, "--lfu-decay-time", "0")
    server = start_server(*options, directory=own)
    with Client(server.port) as client:
        client.command("SET", "in the base", "1")
        client.command("BGREWRITEAOF")
        rewritten(client)
        client.command("SET", "behind it", "1")
    server.stop_cleanly()
    with Client(start_server(*options, directory=own).port) as client:
        uses = [client.command("OBJECT", word, key) for key in ("in the base", "behind it")]
        assert all((0 if word == "IDLETIME" else most) <= use <= most for use in uses), uses


def test_rewrite(server, scale):
    where = directory(server)
    rng = random.Random(7)
    with loaded(server) as client:
        rdb_contents.fill(client, rng, scale(40))
        client.load(["INCR", f"n{i % 10}"] for i in range(2000))
        before, digest = rdb_contents.contents(client), client.command("DEBUG", "DIGEST")
        for seq in (2, 3):
            begun, again = client.pipeline([("BGREWRITEAOF",)] * 2)
            assert begun == b"Background append only file rewriting started"
            assert again == ErrorReply("ERR Background append only file rewriting already in progress")
            rewritten(client)
            assert manifest(where) == [(f"appendonly.aof.{seq}.base.rdb", seq, "b"),
                                       (f"appendonly.aof.{seq}.incr.aof", seq, "i")]
            until(lambda: len(list(where.iterdir())) == 3)
        info = persistence(client)
        assert info["aof_rewrites"] == "2" and int(info["aof_last_rewrite_time_sec"]) >= 0
        assert info["aof_base_size"] == info["aof_current_size"]
        client.command("SET", "after", "v")
        assert commands(last_increment(where).read_bytes()) == [[b"SELECT", b"0"], [b"SET", b"after", b"v"]]
        client.command("DEL", "after")
        assert client.command("DEBUG", "LOADAOF") == b"OK"
        assert client.command("DEBUG", "DIGEST") == digest and rdb_contents.contents(client) == before
    check_with_redis(where / "appendonly.aof.manifest")


def test_changes_during_a_rewrite(server, scale):
    """Counters go on while the child writes: none is counted twice, none is lost."""
    with loaded(server) as client:
        client.load(["SET", f"key:{i}", "v" * 100] for i in range(scale(30_000)))
        client.command("BGREWRITEAOF")
        rounds = 0
        while persistence(client)["aof_rewrite_in_progress"] == "1" or rounds < 3:
            client.load(["INCR", f"n{i}"] for i in range(50))
            rounds += 1
        rewritten(client)
        assert client.command("DEBUG", "LOADAOF") == b"OK"
        assert [client.command("GET", f"n{i}") for i in range(50)] == [b"%d" % rounds] * 50


@pytest.mark.server_options(*AOF, "--aof-use-rdb-preamble", "no", "--aof-timestamp-enabled", "yes")
def test_plain_base(server, start_oracle, tmp_path, seed, scale):
    """A base of commands, which redis-server understands as well; annotations are written and passed over."""
    print("seed", seed)
    where = directory(server)
    with loaded(server) as client:
        assert manifest(where)[0] == ("appendonly.aof.1.base.aof", 1, "b")
        rdb_contents.fill(client, random.Random(seed), scale(60))
        client.load(["RPUSH", "long", *range(i, i + 50)] for i in range(20))
        before = rdb_contents.contents(client)
        client.command("BGREWRITEAOF")
        rewritten(client)
        base = (where / "appendonly.aof.2.base.aof").read_bytes()
        found = commands(base)
        assert found[0].startswith(b"#TS:") and len([w for w in found if w[:2] == [b"RPUSH", b"long"]]) == 16
        client.command("SET", "k", "v")
        assert commands(last_increment(where).read_bytes())[0].startswith(b"#TS:")
        client.command("DEL", "k")
        assert client.command("DEBUG", "LOADAOF") == b"OK"
        assert rdb_contents.contents(client) == before
    check_with_redis(where / "appendonly.aof.manifest")
    other = tmp_path / "other"
    shutil.copytree(server.directory, other)
    with loaded(start_oracle(other)) as client:
        assert rdb_contents.contents(client) == before


def test_to_redis_and_back(start_server, start_oracle, tmp_path, seed, scale):
    """One directory, in turn under Larder, redis-server and Larder again; each rewrites and works on."""
    print("seed", seed)
    rng = random.Random(seed)
    own = tmp_path / "own"
    before = None
    for turn in range(4):
        server = start_server(*AOF, directory=own) if turn % 2 == 0 else start_oracle(own)
        with loaded(server) as client:
            assert before is None or rdb_contents.contents(client) == before
            client.command("FLUSHALL")
            rdb_contents.fill(client, rng, scale(25))
            client.load(["INCR", f"n{i % 10}"] for i in range(100))
            if turn > 1:
                client.command("BGREWRITEAOF")
                rewritten(client)
                client.load(["INCR", f"n{i % 10}"] for i in range(100))
            before = rdb_contents.contents(client)
        assert server.stop() == 0
        check_with_redis(directory(server) / "appendonly.aof.manifest")


def test_a_flushall_that_is_played_back_saves_nothing(start_server, tmp_path):
    """FLUSHALL with save points empties the dump; playing the AOF back must not do that again."""
    own = tmp_path / "own"
    first = start_server(*AOF, "--save", "", directory=own)
    with loaded(first) as client:
        client.load([("SET", "a", "1"), ("FLUSHALL",), ("SET", "b", "2")])
    assert first.stop() == 0
    second = start_server(*AOF, "--save", "3600 1", directory=own)
    with loaded(second) as client:
        assert client.command("GET", "b") == b"2"
        time.sleep(0.3)  # some ticks, of which the first would begin to save
        assert persistence(client)["rdb_saves"] == "0" and not (own / "dump.rdb").exists()
        client.command("FLUSHALL")
        until(lambda: persistence(client)["rdb_saves"] == "1")


@pytest.mark.parametrize("begin", ["commands", "preamble"])
def test_upgrade_of_a_single_file(start_server, tmp_path, begin):
    """A file from before Redis 7 moves into the directory as the base, whatever it begins with."""
    own = tmp_path / "own"
    own.mkdir()
    tail = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
    head = rdb_contents.rdb(9, b"\xfe\x00", rdb_contents.key(0, "old", rdb_contents.string("value")))
    (own / "appendonly.aof").write_bytes(tail if begin == "commands" else head + tail)
    server = start_server(*AOF, directory=own)
    with loaded(server) as client:
        assert client.command("GET", "k") == b"v"
        assert client.command("GET", "old") == (b"value" if begin == "preamble" else None)
        where = directory(server)
        assert manifest(where) == [("appendonly.aof", 1, "b"), ("appendonly.aof.1.incr.aof", 1, "i")]
        assert not (own / "appendonly.aof").exists()
        client.command("SET", "more", "v")
        client.command("BGREWRITEAOF")
        rewritten(client)
        assert manifest(where) == [("appendonly.aof.2.base.rdb", 2, "b"), ("appendonly.aof.2.incr.aof", 2, "i")]
        assert client.command("DEBUG", "LOADAOF") == b"OK"
        assert client.command("MGET", "k", "more") == [b"v", b"v"]


def test_upgrade_in_the_middle(start_server, tmp_path):
    """The manifest names the single file already, which has not moved yet."""
    own = tmp_path / "own"
    (own / "appendonlydir").mkdir(parents=True)
    (own / "appendonly.aof").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    (own / "appendonlydir" / "appendonly.aof.manifest").write_text("file appendonly.aof seq 1 type b\n")
    with loaded(start_server(*AOF, directory=own)) as client:
        assert client.command("GET", "k") == b"v"


def test_a_single_file_that_cannot_move_stops_the_start(tmp_path):
    """Not a server without what the file holds, nor one that forgets it."""
    (tmp_path / "appendonly.aof").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    (tmp_path / "appendonlydir" / "appendonly.aof").mkdir(parents=True)
    assert "Error moving the old AOF file appendonly.aof" in fails_to_start(tmp_path)
    assert (tmp_path / "appendonly.aof").read_bytes().endswith(b"v\r\n")


def test_begins_with_the_rdb_file(start_server, tmp_path):
    """Switched on in the configuration file, it begins with what was saved."""
    own = tmp_path / "own"
    server = start_server(directory=own)
    with loaded(server) as client:
        client.command("SET", "k", "v")
        client.command("SAVE")
    assert server.stop() == 0
    again = start_server(*AOF, directory=own)
    with loaded(again) as client:
        assert client.command("GET", "k") == b"v"
        client.command("SET", "k", "w")
    assert again.stop() == 0
    with loaded(start_server(*AOF, directory=own)) as client:
        assert client.command("GET", "k") == b"w"


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_switched_on_and_off(server):
    where = directory(server)
    with loaded(server) as client:
        client.load(["SET", f"key:{i}", "v" * 100] for i in range(10_000))
        assert persistence(client)["aof_enabled"] == "0" and "aof_current_size" not in persistence(client)
        assert client.command("CONFIG", "SET", "appendonly", "yes") == b"OK"
        rounds = 0
        while persistence(client)["aof_rewrite_in_progress"] == "1" or rounds < 5:
            client.load(["INCR", f"n{i}"] for i in range(20))
            rounds += 1
        rewritten(client)
        assert persistence(client)["aof_enabled"] == "1"
        assert manifest(where) == [("appendonly.aof.1.base.rdb", 1, "b"), ("appendonly.aof.1.incr.aof", 1, "i")]
        digest = client.command("DEBUG", "DIGEST")
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("DEBUG", "DIGEST") == digest
        assert client.command("CONFIG", "SET", "appendonly", "no") == b"OK"
        size = last_increment(where).stat().st_size
        client.command("SET", "k", "unseen")
        assert persistence(client)["aof_enabled"] == "0" and last_increment(where).stat().st_size == size
        assert client.command("BGREWRITEAOF") == b"Background append only file rewriting started"
        rewritten(client)
        assert manifest(where) == [("appendonly.aof.2.base.rdb", 2, "b")]
        for i in range(3):
            assert client.command("CONFIG", "SET", "appendonly", "yes") == b"OK"
            client.command("SET", "k", i)
            rewritten(client)
            assert client.command("CONFIG", "SET", "appendonly", "no") == b"OK"
        assert client.command("CONFIG", "SET", "appendonly", "yes") == b"OK"
        rewritten(client)
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("GET", "k") == b"2"
        assert not list(where.glob("temp-*")) and len(list(where.iterdir())) == 3


@pytest.mark.server_options(*AOF, "--save", "")
def test_who_is_answered_finds_the_child_at_work(server):
    with loaded(server) as client:
        client.command("CONFIG", "SET", "rdb-key-save-delay", "10000000")
        client.load(["SET", f"k{i}", i] for i in range(10))
        for i in range(3):
            assert client.command("BGREWRITEAOF") == b"Background append only file rewriting started"
            child = next(iter(server.children()), None)
            assert child and client.command("BGREWRITEAOF") == ErrorReply(
                "ERR Background append only file rewriting already in progress")
            os.kill(child, signal.SIGKILL)
            until(lambda: persistence(client)["aof_rewrite_in_progress"] == "0")
            assert [seq for _, seq, kind in manifest(directory(server)) if kind == "i"] == list(range(1, i + 3))
            assert not list(server.directory.glob("temp-*"))


@pytest.mark.server_options(*AOF, "--aof-disable-auto-gc", "yes")
def test_history_is_kept_and_deleted_when_told_so(server):
    """The last that was replaced comes first, as in Redis; the setting takes effect at once."""
    where = directory(server)
    with loaded(server) as client:
        for _ in range(2):
            client.command("BGREWRITEAOF")
            rewritten(client)
        assert [(name[len("appendonly.aof."):], kind) for name, _, kind in manifest(where)] == [
            ("3.base.rdb", "b"), ("2.incr.aof", "h"), ("2.base.rdb", "h"), ("1.incr.aof", "h"), ("1.base.rdb", "h"),
            ("3.incr.aof", "i")]
        assert len(list(where.iterdir())) == 7
        client.command("CONFIG", "SET", "aof-disable-auto-gc", "no")
        assert [(seq, kind) for _, seq, kind in manifest(where)] == [(3, "b"), (3, "i")]
        until(lambda: len(list(where.iterdir())) == 3)


@pytest.mark.server_options(*AOF, "--save", "")
def test_on_again_while_a_child_saves(server):
    """Until the first base is begun nothing is written, as it will hold all of that; DEBUG LOADAOF reads what is there.
    """
    with loaded(server) as client:
        client.command("INCR", "n")
        client.command("CONFIG", "SET", "appendonly", "no")
        client.command("CONFIG", "SET", "rdb-key-save-delay", "10000000")
        client.command("BGSAVE")
        client.command("CONFIG", "SET", "appendonly", "yes")
        assert persistence(client)["aof_rewrite_scheduled"] == "1"
        for i in range(2, 5):
            assert client.command("INCR", "n") == i
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("GET", "n") == b"1"
        assert client.command("INCR", "n") == 2
        client.command("CONFIG", "SET", "rdb-key-save-delay", "0")
        os.kill(server.children()[0], signal.SIGKILL)
        until(lambda: [seq for _, seq, _ in manifest(directory(server))] == [2, 2])
        rewritten(client)
        assert client.command("INCR", "n") == 3
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("GET", "n") == b"3"
        client.command("CONFIG", "SET", "appendonly", "no")
        client.command("INCR", "n")
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("GET", "n") == b"3", "though it is off"
        assert "failed" not in server.log()


@pytest.mark.server_options(*AOF, "--auto-aof-rewrite-min-size", "10kb", "--auto-aof-rewrite-percentage", "200")
def test_automatic_rewrite(server):
    with loaded(server) as client:
        client.load(["SET", "k", "x" * 100] for _ in range(50))
        assert persistence(client)["aof_rewrites"] == "0"
        client.load(["SET", "k", "x" * 100] for _ in range(200))
        until(lambda: persistence(client)["aof_rewrites"] == "1")
        assert int(persistence(client)["aof_current_size"]) < 2000
        assert "Starting automatic rewriting of AOF on" in server.log()


@pytest.mark.server_options(*AOF, "--auto-aof-rewrite-min-size", "10kb", "--auto-aof-rewrite-percentage", "200")
def test_no_automatic_rewrite_for_a_while_when_several_failed(server):
    """The log says so once. Who asks for one gets it."""
    with loaded(server) as client:
        client.command("SET", "k", "v")
        client.command("CONFIG", "SET", "rdb-key-save-delay", "10000000")
        for failures in range(1, 4):
            assert "triggered the limit" not in server.log()
            client.command("BGREWRITEAOF")
            until(server.children)
            os.kill(server.children()[0], signal.SIGKILL)
            until(lambda: persistence(client)["aof_rewrites_consecutive_failures"] == str(failures))
        client.command("CONFIG", "SET", "rdb-key-save-delay", "0")
        client.load(["SET", "k", "x" * 100] for _ in range(300))
        time.sleep(0.3)
        assert persistence(client)["aof_rewrites"] == "0" and server.log().count("triggered the limit") == 1
        client.command("BGREWRITEAOF")
        rewritten(client)
        assert persistence(client)["aof_rewrites"] == "1"


def test_scheduled_behind_a_save(server):
    with loaded(server) as client:
        client.load(["SET", f"key:{i}", "v" * 200] for i in range(100))
        _, reply = client.pipeline([("BGSAVE",), ("BGREWRITEAOF",)])
        assert reply == b"Background append only file rewriting scheduled"
        until(lambda: persistence(client)["aof_rewrites"] == "1", 60)
        assert persistence(client)["rdb_saves"] == "1"


def test_a_save_is_scheduled_behind_a_rewrite(server):
    """Until it can begin it is not tried, and so does not fail."""
    with loaded(server) as client:
        client.command("SET", "k", "v")
        client.command("CONFIG", "SET", "rdb-key-save-delay", 300_000)
        client.command("BGREWRITEAOF")
        until(server.children)
        assert isinstance(client.command("BGSAVE"), ErrorReply)
        assert client.command("BGSAVE", "SCHEDULE") == b"Background saving scheduled"
        until(lambda: persistence(client)["rdb_saves"] == "1")
        assert persistence(client)["rdb_last_bgsave_status"] == "ok" and "Can't save" not in server.log()


def test_a_transaction_schedules(server):
    with loaded(server) as client:
        client.command("SET", "a", 1)
        *_, replies = client.pipeline([("MULTI",), ("SET", "b", 2), ("BGREWRITEAOF",), ("SET", "c", 3), ("EXEC",)])
        assert replies[1] == b"Background append only file rewriting scheduled"
        until(lambda: persistence(client)["aof_rewrites"] == "1", 60)


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_switched_on_within_a_transaction(server):
    with loaded(server) as client:
        *_, replies = client.pipeline([("MULTI",), ("SET", "b", 2), ("CONFIG", "SET", "appendonly", "yes"),
                                       ("SET", "c", 3), ("EXEC",)])
        assert replies == [b"OK"] * 3
        assert "An AOF background was scheduled" in server.log()
        until(lambda: persistence(client)["aof_enabled"] == "1" and persistence(client)["aof_rewrites"] == "1", 60)
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("MGET", "b", "c") == [b"2", b"3"]


# --- Damage ---

def make_files(own, tail):
    where = own / "appendonlydir"
    where.mkdir(parents=True)
    (where / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    (where / "appendonly.aof.1.incr.aof").write_bytes(tail)
    return where


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def test_truncated_at_every_byte(tmp_path):
    """The tail ends anywhere in the last commands: what was whole is loaded, the rest cut off; what --check-aof says
    agrees. A transaction without its end never was."""
    whole = encode(b"SET", b"a", b"1")
    last = encode(b"SET", b"b", b"22\r\n") + encode(b"MULTI") + encode(b"INCR", b"a") + encode(b"INCR", b"a") + \
        encode(b"EXEC")
    ends = [len(whole), len(whole) + len(encode(b"SET", b"b", b"22\r\n")), len(whole + last)]
    for cut in range(len(whole) + 1, len(whole + last)):
        own = tmp_path / str(cut)
        where = make_files(own, (whole + last)[:cut])
        kept = max(end for end in ends if end <= cut)
        found = check(where / "appendonly.aof.manifest")
        assert (found.returncode == 0) == (kept == cut) and f"ok_up_to={kept}," in found.stdout, found.stdout
        if cut % 5:
            assert check(where / "appendonly.aof.manifest", "--fix").returncode == (0 if kept <= cut else 1)
            assert (where / "appendonly.aof.1.incr.aof").stat().st_size == kept
            continue
        server = ServerProcess([larder_binary()], AOF, own, name="server")
        with loaded(server) as client:
            assert client.command("GET", "a") == b"1"
            assert client.command("GET", "b") == (b"22\r\n" if kept >= ends[1] else None)
        assert server.stop() == 0
        assert (where / "appendonly.aof.1.incr.aof").stat().st_size == kept


def test_truncated_is_refused_if_told_so(tmp_path):
    where = make_files(tmp_path / "own", encode(b"SET", b"a", b"1") + b"*3\r\n$3\r\nSE")
    log = fails_to_start(tmp_path / "own", "--aof-load-truncated", "no")
    assert "Unexpected end of file reading the append only file appendonlydir/appendonly.aof.1.incr.aof" in log
    assert (where / "appendonly.aof.1.incr.aof").stat().st_size == len(encode(b"SET", b"a", b"1")) + 10


def test_truncated_in_the_midst_of_the_set(tmp_path, start_server):
    """Only the last file may end so, except that those behind it are empty."""
    own = tmp_path / "own"
    where = make_files(own, encode(b"SET", b"a", b"1") + b"*3\r\n$3\r\nSE")
    (where / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.1.incr.aof seq 1 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n")
    (where / "appendonly.aof.2.incr.aof").write_bytes(encode(b"SET", b"b", b"2"))
    assert "is not the last file" in fails_to_start(own)
    assert check(where / "appendonly.aof.manifest", "--fix").returncode == 1
    (where / "appendonly.aof.2.incr.aof").write_bytes(b"")
    assert "ok_up_to=27," in check(where / "appendonly.aof.manifest").stdout
    with loaded(start_server(*AOF, directory=own)) as client:
        assert client.command("GET", "a") == b"1" and client.command("GET", "b") is None


@pytest.mark.parametrize("wrong, offset", [
    (b"+3\r\n$3\r\nSET\r\n", 0), (b"*0\r\n", 0), (b"*3\r\n+3\r\nSET\r\n", 0), (b"*1\r\n$4\r\nPINGxx", 0),
    (b"*99999999999999999999\r\n", 0), (b"*1\r\n$-1\r\n", 0), (b"*1\r\n$999999999999\r\n", 0), (b"*\r\n", 0),
    (b"\x00" * 100, 0), (encode(b"SET", b"k", b"v")[:-1] + b"x" + encode(b"SET", b"k", b"v"), 0),
])
def test_damage_in_the_middle(tmp_path, wrong, offset):
    """The start ends with a message that names file and place, and nothing is changed."""
    whole = encode(b"SET", b"a", b"1")
    where = make_files(tmp_path / "own", whole + wrong + whole * 3)
    before = (where / "appendonly.aof.1.incr.aof").read_bytes()
    log = fails_to_start(tmp_path / "own")
    assert "Bad file format reading the append only file appendonlydir/appendonly.aof.1.incr.aof, " \
        f"at byte {len(whole) + offset}:" in log
    assert (where / "appendonly.aof.1.incr.aof").read_bytes() == before
    found = check(where / "appendonly.aof.manifest")
    assert found.returncode == 1 and f"[offset {len(whole)}] what stands here is no command" in found.stdout
    assert check(where / "appendonly.aof.manifest", "--fix").returncode == 0
    assert (where / "appendonly.aof.1.incr.aof").read_bytes() == whole


def test_unknown_command(tmp_path):
    make_files(tmp_path / "own", encode(b"SET", b"a", b"1") + encode(b"NOSUCH", b"x"))
    log = fails_to_start(tmp_path / "own")
    assert 'Unknown command "NOSUCH" reading the append only file' in log and "at byte 27" in log


@pytest.mark.parametrize("text, wrong", [
    ("", "empty"), ("nonsense\n", "Invalid AOF manifest"), ("file a.aof seq 1\n", "Invalid AOF manifest"),
    ("file a.aof seq 1 type b\nfile b.aof seq 2 type b\n", "duplicate base"),
    ("file a.aof seq 2 type i\nfile b.aof seq 1 type i\n", "non-monotonic"), ("file ../a.aof seq 1 type i\n", "path"),
    ("file a.aof seq x type i\n", "sequence number"), ("file a.aof seq 1 type x\n", "Unknown AOF file type"),
    ('file "a.aof seq 1 type i\n', "Invalid AOF manifest"), ("\n", "Invalid AOF manifest"),
    ("file a.aof seq 1 type i", "too long"), ("file missing.aof seq 1 type i\n", "missing.aof"),
])
def test_bad_manifest(tmp_path, text, wrong):
    where = make_files(tmp_path / "own", b"")
    (where / "appendonly.aof.manifest").write_text(text)
    assert wrong in fails_to_start(tmp_path / "own")
    assert check(where / "appendonly.aof.manifest").returncode == 1


def test_names_with_blanks(start_server, start_oracle, tmp_path):
    """Names that stand in quotes in the manifest, there and back."""
    own = tmp_path / "own"
    options = ("--appendfilename", "append only.aof", "--appenddirname", "an other")
    server = start_server(*AOF, *options, directory=own)
    with loaded(server) as client:
        client.command("SET", "k", "v")
    assert server.stop() == 0
    assert '"append only.aof.1.incr.aof"' in (own / "an other" / "append only.aof.manifest").read_text()
    oracle = start_oracle(own, *options)
    with loaded(oracle) as client:
        assert client.command("GET", "k") == b"v"
        client.command("SET", "k", "w")
    assert oracle.stop() == 0
    with loaded(start_server(*AOF, *options, directory=own)) as client:
        assert client.command("GET", "k") == b"w"


def test_loading_answers(start_server, tmp_path):
    """While it loads it says so, and shows how far it is; and no list of clients shows who reads the file."""
    own, count = tmp_path / "own", 50_000
    make_files(own, b"".join(encode(b"SET", b"key:%d" % i, b"v" * 50) for i in range(count)))
    server = start_server(*AOF, "--key-load-delay", 10_000, directory=own)
    with Client(server.port) as client:
        assert client.command("GET", "key:1") == ErrorReply("LOADING Redis is loading the dataset in memory")
        info = persistence(client)
        assert info["loading"] == "1"
        assert int(info["loading_total_bytes"]) == (own / "appendonlydir/appendonly.aof.1.incr.aof").stat().st_size
        listed = client.command("CLIENT", "LIST")
        assert isinstance(listed, ErrorReply) or listed.count(b" addr=") == 1
        client.command("CONFIG", "SET", "key-load-delay", 0)
        until(lambda: persistence(client)["loading"] == "0")
        assert client.command("DBSIZE") == count
