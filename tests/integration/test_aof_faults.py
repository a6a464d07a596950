"""What an append-only file promises when things go wrong: servers that are killed under load, disks that are full, slow
or broken, machines that stop between any two steps of a rewrite.

LARDER_TEST_LONG=1 kills servers hundreds of times instead of some.
"""
import contextlib
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from aof_files import AOF, commands, directory, last_increment, loaded, manifest, persistence, rewritten, until
from harness.resp import Client, ConnectionClosed, ErrorReply

LONG = bool(os.environ.get("LARDER_TEST_LONG"))
ROUNDS = 200 if LONG else 6
MISCONF = "MISCONF Errors writing to the AOF file: "
GONE = (ConnectionClosed, OSError)


@pytest.fixture(scope="session")
def faults_library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("no C compiler for the library that lets the disk fail")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("disk_faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def faults(faults_library, tmp_path, monkeypatch):
    """faults("fsync=5") from now on; faults() ends that. Servers started in the test obey."""
    told = tmp_path / "faults"
    told.write_text("")
    monkeypatch.setenv("LD_PRELOAD", str(faults_library))
    monkeypatch.setenv("LARDER_FAULTS", str(told))
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")

    def tell(text=""):
        aside = told.with_suffix(".new")
        aside.write_text(text)
        aside.replace(told)

    yield tell
    tell()


# --- Killed under load ---

class Writer(threading.Thread):
    """Counts up, in a transaction with a copy of the count; knows what was sent and what was acknowledged, and when."""

    def __init__(self, port, number, extra=b""):
        super().__init__(daemon=True)
        self.port, self.number, self.extra, self.sent, self.acknowledged, self.history = port, number, extra, 0, 0, []

    def run(self):
        with contextlib.suppress(*GONE), Client(self.port) as client:
            while True:
                size = 1 + self.sent % 4
                for i in range(size):
                    self.sent += 1
                    client.send_raw(b"MULTI\r\nSET a:%d %d\r\n%sINCR b:%d\r\nEXEC\r\n" % (
                        self.number, self.sent, self.extra, self.number))
                for i in range(size):
                    for expected in [b"OK"] + [b"QUEUED"] * (3 if self.extra else 2):
                        assert client.read().value == expected
                    reply = client.read().value
                    if isinstance(reply, ErrorReply):
                        return
                    assert reply[0] == b"OK"
                    self.acknowledged = reply[-1]
                    self.history.append((time.monotonic(), reply[-1]))


def longest_pause(writers, end):
    """How long nobody was answered: as long the server, or the whole machine, may have had no time to write."""
    moments = sorted(at for writer in writers for at, _ in writer.history if at < end) + [end]
    return max((later - at for at, later in zip(moments, moments[1:])), default=0)


def killed_rounds(start_server, own, policy, rounds, rng, rewrites, may_lose_s=0.0, extra=b""):
    counts = [0] * 5
    for turn in range(rounds):
        server = start_server(*AOF, "--appendfsync", policy, directory=own)
        with loaded(server) as client:
            assert "answered with an error" not in server.log()
            for i, least in enumerate(counts):
                a, b = client.command("GET", f"a:{i}"), client.command("GET", f"b:{i}")
                assert a == b, "a transaction was half applied"
                assert int(a or 0) >= least, f"acknowledged was {least}, there is {a} (round {turn})"
            counts = [int(client.command("GET", f"a:{i}") or 0) for i in range(len(counts))]
            writers = [Writer(server.port, i, extra if i % 2 else b"") for i in range(len(counts))]
            for writer, count in zip(writers, counts):
                writer.sent = writer.acknowledged = count
                writer.start()
            if rewrites and turn % 2:
                client.command("BGREWRITEAOF")
            time.sleep(rng.uniform(0.05, 0.4) + may_lose_s * 1.5)
            if may_lose_s:
                until(lambda: all(writer.acknowledged > count for writer, count in zip(writers, counts)))
        server.kill()
        killed = time.monotonic()
        for writer in writers:
            writer.join(60)
        late_s = may_lose_s + longest_pause(writers, killed)
        counts = [max([n for at, n in writer.history if at < killed - late_s], default=count) if may_lose_s
                  else writer.acknowledged for writer, count in zip(writers, counts)]


@pytest.mark.parametrize("policy", ["always", "everysec"])
@pytest.mark.parametrize("rewrites", [False, True], ids=["writing", "rewriting"])
def test_killed_under_load(start_server, tmp_path, seed, policy, rewrites):
    """Nothing that was acknowledged is missing, nothing is half applied: what a killed process wrote is not lost."""
    print("seed", seed)
    killed_rounds(start_server, tmp_path / "own", policy, ROUNDS, random.Random(seed), rewrites)


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_killed_under_load_of_much(start_server, tmp_path, seed, policy):
    """The same where some transactions are so long that they are not written in the loop, and others come between."""
    print("seed", seed)
    extra = b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$700000\r\n%s\r\n" % (b"x" * 700_000)
    killed_rounds(start_server, tmp_path / "own", policy, 50 if LONG else 3, random.Random(seed), True, extra=extra)


def test_killed_while_the_disk_is_slow(start_server, tmp_path, faults, seed):
    """With everysec what was acknowledged more than two seconds ago is there, however slow the disk."""
    faults("slow=2500")
    killed_rounds(start_server, tmp_path / "own", "everysec", 20 if LONG else 2, random.Random(seed), False,
                  may_lose_s=2.3)


# --- Full disks ---

def fill_until_refused(port, policy):
    """SETs until one is refused; returns how many were acknowledged. Under `always` one gets no answer."""
    client = Client(port)
    unanswered = 0
    for i in range(100000):
        try:
            reply = client.command("SET", f"fill:{i}", "x" * 1000)
        except GONE:
            unanswered += 1
            client.close()
            client = Client(port)
            continue
        if isinstance(reply, ErrorReply):
            assert reply.text.startswith(MISCONF), reply
            assert unanswered == (1 if policy == "always" else 0)
            client.close()
            return i - unanswered
    raise AssertionError("never refused")


def check_refusal(client):
    """Reads go on; writes are refused, in transactions, too."""
    assert client.command("GET", "fill:0") == b"x" * 1000
    assert client.command("DEL", "fill:0").text.startswith(MISCONF)
    client.command("MULTI")
    assert client.command("SET", "k", "v").text.startswith(MISCONF)
    assert client.command("EXEC").text.startswith("EXECABORT")
    assert persistence(client)["aof_last_write_status"] == "err"
    assert client.command("EXISTS", "fill:0") == 1


def accepts(client):
    return client.command("SET", "again", "v") == b"OK"


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_limit_of_file_size(start_server, tmp_path, policy):
    own = tmp_path / "own"
    server = start_server(*AOF, "--appendfsync", policy, directory=own)
    with loaded(server) as client:
        client.command("SET", "expires", "v", "PX", 100)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        filled = fill_until_refused(server.port, policy)
        check_refusal(client)
        time.sleep(0.2)
        assert client.command("GET", "expires") is None, "whoever reads what expires is answered"
        commands(last_increment(directory(server)).read_bytes())  # whole, as far as it goes
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        until(lambda: accepts(client))
        assert persistence(client)["aof_last_write_status"] == "ok"
        until(lambda: persistence(client)["aof_buffer_length"] == "0")
    server.kill()
    again = start_server(*AOF, directory=own)
    with loaded(again) as client:
        assert "Truncating" not in again.log()
        assert all(client.command("GET", f"fill:{i}") == b"x" * 1000 for i in range(filled))
        assert client.command("GET", "again") == b"v"


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "disk"
    where.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", where],
                                           capture_output=True).returncode != 0:
        pytest.skip("no file system of a few megabytes can be mounted")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_full_disk(start_server, small_disk, policy):
    """Append, rewrite and save fail, nothing is damaged, and service returns when somebody makes room."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_500_000)
    server = start_server(*AOF, "--appendfsync", policy, directory=small_disk)
    with loaded(server) as client:
        filled = fill_until_refused(server.port, policy)
        check_refusal(client)
        assert client.command("SAVE") == ErrorReply("ERR")
        client.command("BGREWRITEAOF")
        until(lambda: persistence(client)["aof_rewrite_in_progress"] == "0")
        assert not list(small_disk.glob("temp-*"))
        check_refusal(client)
        ballast.unlink()
        until(lambda: accepts(client))
        client.command("BGREWRITEAOF")
        rewritten(client)
        digest = client.command("DEBUG", "DIGEST")
    server.kill()
    again = start_server(*AOF, directory=small_disk)
    with loaded(again) as client:
        assert client.command("DEBUG", "DIGEST") == digest and client.command("DBSIZE") >= filled + 1
    assert again.stop() == 0  # before its disk is taken away


def test_rewrite_that_finds_no_room(start_server, tmp_path):
    """The rewrite fails, clients do not notice, and the next one goes well."""
    own = tmp_path / "own"
    server = start_server(*AOF, directory=own)
    with loaded(server) as client:
        client.load(["SET", f"key:{i}", os.urandom(500)] for i in range(1000))
        client.command("BGREWRITEAOF")
        rewritten(client)
        client.command("SET", "k", "v")
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        for _ in range(2):
            client.command("BGREWRITEAOF")
            until(lambda: persistence(client)["aof_rewrite_in_progress"] == "0")
            assert persistence(client)["aof_last_bgrewrite_status"] == "err"
            assert client.command("INCR", "n") > 0 and not list(own.glob("temp-*"))
        assert persistence(client)["aof_rewrites_consecutive_failures"] == "2"
        digest = client.command("DEBUG", "DIGEST")
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("DEBUG", "DIGEST") == digest
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        client.command("BGREWRITEAOF")
        rewritten(client)
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("DEBUG", "DIGEST") == digest
        assert [kind for _, _, kind in manifest(directory(server))] == ["b", "i"]


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_no_room_for_much(start_server, tmp_path, policy):
    """What is too long to be written in the loop is cut off where there is no room, tried again, and is there then."""
    own = tmp_path / "own"
    server = start_server(*AOF, "--appendfsync", policy, directory=own)
    with loaded(server) as client:
        client.command("SET", "fill:0", "x" * 1000)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
        with Client(server.port) as writer:
            assert writer.command("SET", "big:0", b"y" * 1_000_000) == b"OK"
            if policy == "always":
                with pytest.raises(GONE):
                    writer.command("SET", "big:1", b"z" * 1_500_000)
            else:
                assert writer.command("SET", "big:1", b"z" * 1_500_000) == b"OK"
        until(lambda: persistence(client)["aof_last_write_status"] == "err")
        check_refusal(client)
        until(lambda: 1_000_000 < last_increment(directory(server)).stat().st_size < 1_010_000)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        until(lambda: accepts(client))
        digest = client.command("DEBUG", "DIGEST")
        until(lambda: persistence(client)["aof_buffer_length"] == "0")  # with everysec it may wait for the disk
    server.kill()
    again = start_server(*AOF, directory=own)
    with loaded(again) as client:
        assert "Truncating" not in again.log()
        assert client.command("STRLEN", "big:1") == 1_500_000 and client.command("GET", "again") == b"v"
        assert client.command("DEBUG", "DIGEST") == digest


# --- Broken disks ---

def test_write_that_fails_under_always(start_server, tmp_path, faults):
    """The client whose write failed hears nothing; another one is refused; none that reads is disturbed."""
    own = tmp_path / "own"
    server = start_server(*AOF, "--appendfsync", "always", directory=own)
    with loaded(server) as reader, Client(server.port) as writer:
        writer.command("SET", "k", "v")
        faults("write=28")
        with pytest.raises(GONE):
            writer.command("SET", "k", "w")
        assert reader.command("SET", "k", "x") == ErrorReply(MISCONF + "No space left on device")
        assert reader.command("EXISTS", "k") == 1
        faults()
        until(lambda: accepts(reader))
    server.kill()
    with loaded(start_server(*AOF, directory=own)) as client:
        assert client.command("GET", "again") == b"v" and client.command("GET", "k") == b"w"


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_fsync_that_fails(start_server, tmp_path, faults, policy):
    """What a failed fsync has lost nobody knows: writes are refused until a new base is on the disk."""
    own = tmp_path / "own"
    server = start_server(*AOF, "--appendfsync", policy, directory=own)
    with loaded(server) as client:
        client.command("SET", "k", "v")
        faults("fdatasync=5 fsync=5")
        with Client(server.port) as writer:
            if policy == "always":
                with pytest.raises(GONE):
                    writer.command("SET", "k", "w")
            else:
                assert writer.command("SET", "k", "w") == b"OK"
        until(lambda: isinstance(client.command("SET", "k2", "v"), ErrorReply))
        assert client.command("SET", "k2", "v") == ErrorReply(MISCONF + "Input/output error")
        assert client.command("GET", "k") == b"w"
        until(lambda: persistence(client)["aof_rewrites_consecutive_failures"] != "0")
        assert client.command("SET", "k2", "v") == ErrorReply(MISCONF + "Input/output error")
        rewrites = persistence(client)["aof_rewrites"]
        faults()
        until(lambda: accepts(client))
        assert persistence(client)["aof_rewrites"] > rewrites, "only a new base makes it trustworthy"
        assert persistence(client)["aof_last_write_status"] == "ok"
    server.kill()
    with loaded(start_server(*AOF, directory=own)) as client:
        assert client.command("GET", "k") == b"w" and client.command("GET", "again") == b"v"


@pytest.mark.parametrize("fault", ["rename=5", "fsync=5"])
def test_rewrite_that_cannot_be_finished(start_server, tmp_path, faults, fault):
    own = tmp_path / "own"
    server = start_server(*AOF, directory=own)
    with loaded(server) as client:
        client.load(["INCR", "n"] for _ in range(100))
        faults(fault)
        for i in range(2):
            client.command("BGREWRITEAOF")
            until(lambda: persistence(client)["aof_rewrite_in_progress"] == "0")
            assert persistence(client)["aof_last_bgrewrite_status"] == "err"
            client.command("INCR", "n")
        faults()
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("GET", "n") == b"102"
        client.command("BGREWRITEAOF")
        rewritten(client)
        client.command("INCR", "n")
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("GET", "n") == b"103"
        until(lambda: len(list(directory(server).iterdir())) <= 4 and not list(own.glob("temp-*")))


@pytest.mark.server_options(*AOF)
def test_a_base_that_cannot_be_put_in_its_place(server):
    """The child has written it in vain; nothing is lost, and the next rewrite is as good as any."""
    (directory(server) / "appendonly.aof.2.base.rdb" / "taken").mkdir(parents=True)
    with loaded(server) as client:
        client.load(["SET", f"k{i}", i] for i in range(20))
        client.command("BGREWRITEAOF")
        client.command("SET", "meanwhile", "v")
        until(lambda: persistence(client)["aof_rewrite_in_progress"] == "0")
        assert persistence(client)["aof_last_bgrewrite_status"] == "err"
        assert "renaming the new base: Is a directory" in server.log()
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("DBSIZE") == 21
        client.command("BGREWRITEAOF")
        rewritten(client)
        assert ("appendonly.aof.3.base.rdb", 3, "b") in manifest(directory(server))
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("DBSIZE") == 21


def test_no_process_can_be_had(start_server, faults):
    """Neither rewrite nor save is under way then, and both work again when there is one."""
    server = start_server(*AOF)
    with loaded(server) as client:
        client.command("SET", "k", "v")
        faults("fork=11")
        client.command("BGREWRITEAOF")
        until(lambda: persistence(client)["aof_rewrite_in_progress"] == "0")
        assert persistence(client)["aof_last_bgrewrite_status"] == "err"
        assert isinstance(client.command("BGSAVE"), ErrorReply)
        assert persistence(client)["rdb_last_bgsave_status"] == "err"
        assert persistence(client)["rdb_bgsave_in_progress"] == "0"
        client.command("SET", "l", "v")
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("MGET", "k", "l") == [b"v", b"v"]
        faults()
        client.command("BGREWRITEAOF")
        rewritten(client)
        assert client.command("BGSAVE") == b"Background saving started"
        until(lambda: persistence(client)["rdb_last_bgsave_status"] == "ok")
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("MGET", "k", "l") == [b"v", b"v"]


def is_answered(client):
    return bool(select.select([client.sock], [], [], 0)[0])


def number_in(path):
    """None as long as there is none: the file is emptied before it is written anew."""
    text = path.read_text() if path.exists() else ""
    return int(text) if text else None


def test_always_makes_wait_who_wrote_and_nobody_else(start_server, tmp_path, faults):
    """Others go on while the disk is busy, even on the same keys; each synchronisation lets go of what it covers."""
    server = start_server(*AOF, "--appendfsync", "always")
    waiting = tmp_path / "faults.held"
    with loaded(server) as reader, Client(server.port) as writer, Client(server.port) as leaver, \
            Client(server.port) as popper:
        writer.command("SET", "k", "0")
        popper.send("BLPOP", "list", "0")
        faults("held=1")
        writer.send("SET", "k", "1")
        until(lambda: reader.command("GET", "k") == b"1")
        first = until(lambda: number_in(waiting))
        writer.send("GET", "k")
        writer.send("RPUSH", "list", "a")
        leaver.send("SET", "l", "1")
        leaver.send("QUIT")
        until(lambda: reader.command("EXISTS", "l") == 1 and "cmdstat_rpush" in reader.info("commandstats"))
        assert persistence(reader)["aof_pending_bio_fsync"] == "1"
        assert not is_answered(writer) and not is_answered(leaver) and not is_answered(popper)
        faults(f"held={first + 1}")
        assert writer.read().value == b"OK"
        until(lambda: number_in(waiting) == first + 1)
        assert reader.command("PING") == b"PONG"
        assert not is_answered(writer) and not is_answered(leaver) and not is_answered(popper), "before it is on disk"
        faults()
        assert writer.read().value == b"1" and writer.read().value == 1 and popper.read().value == [b"list", b"a"]
        assert leaver.read().value == b"OK" and leaver.read().value == b"OK" and leaver.is_closed_by_server()
        assert writer.command("SET", "k", "2") == b"OK"


def test_always_makes_wait_who_has_a_long_command_and_nobody_else(start_server, tmp_path, faults):
    """What a task changes is synchronised like what a command does: its client hears of it then, others go on."""
    server = start_server(*AOF, "--appendfsync", "always")
    waiting = tmp_path / "faults.held"
    with loaded(server) as reader, Client(server.port) as writer, Client(server.port) as leaver:
        for key in range(2):
            for start in range(0, 60000, 20000):
                reader.command("SADD", f"set{key}", *(f"{key}:{i}" for i in range(start, start + 20000)))
        faults("held=1")
        writer.send("SUNIONSTORE", "all", "set0", "set1")
        until(lambda: reader.command("EXISTS", "all") == 1)
        first = until(lambda: number_in(waiting))
        leaver.send("SUNIONSTORE", "other", "set0", "set1")
        until(lambda: reader.command("EXISTS", "other") == 1)
        assert persistence(reader)["aof_pending_bio_fsync"] == "1"
        assert not is_answered(writer) and not is_answered(leaver)
        faults(f"held={first + 1}")
        assert writer.read().value == 120000
        until(lambda: number_in(waiting) == first + 1)
        assert reader.command("PING") == b"PONG" and not is_answered(leaver)
        faults()
        assert leaver.read().value == 120000


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_much_makes_wait_who_wrote_and_nobody_else(start_server, tmp_path, faults, policy):
    """While a long value is being written others read it and change what they like; they are answered when it is in
    the file. If very much collects meanwhile those who write wait before they are executed."""
    own = tmp_path / "own"
    server = start_server(*AOF, "--appendfsync", policy, directory=own)
    with loaded(server) as reader, Client(server.port) as writer, Client(server.port) as other, \
            Client(server.port) as late:
        writer.command("SADD", "set", *range(60000))
        faults("stuck=1")
        writer.send("SET", "long", b"x" * 1_000_000)
        until(lambda: reader.command("STRLEN", "long") == 1_000_000)
        other.send("INCR", "n")
        until(lambda: reader.command("GET", "n") == b"1")
        writer.send("APPEND", "long", b"y")
        writer.send("SPOP", "set", "50000")
        until(lambda: reader.command("SCARD", "set") == 10000 and reader.command("STRLEN", "long") == 1_000_001)
        for i in range(3):
            other.send("SET", f"huge:{i}", b"z" * 25_000_000)
        until(lambda: int(persistence(reader)["aof_buffer_length"]) > 75_000_000)
        late.send("INCR", "late")
        assert reader.command("PING") == b"PONG" and reader.command("EXISTS", "late") == 0
        assert not any(is_answered(client) for client in (writer, other, late))
        faults()
        assert writer.read().value == b"OK" and writer.read().value == 1_000_001 and len(writer.read().value) == 50000
        assert [other.read().value for _ in range(4)] == [1, b"OK", b"OK", b"OK"] and late.read().value == 1
        digest = reader.command("DEBUG", "DIGEST")
        until(lambda: persistence(reader)["aof_buffer_length"] == "0")
    server.kill()
    with loaded(start_server(*AOF, directory=own)) as client:
        assert client.command("DEBUG", "DIGEST") == digest


def test_rewrite_while_much_is_written(start_server, tmp_path, faults):
    """What came before the fork belongs to the old file, though it is long: the rewrite waits for it, and so do those
    who go on writing."""
    server = start_server(*AOF)
    with loaded(server) as client, Client(server.port) as writer, Client(server.port) as other:
        client.command("INCR", "n")
        faults("stuck=1")
        writer.send("SET", "long", b"x" * 1_000_000)
        until(lambda: client.command("STRLEN", "long") == 1_000_000)
        other.send("BGREWRITEAOF")
        until(lambda: persistence(client)["aof_rewrite_in_progress"] == "1")
        until(lambda: len(manifest(directory(server))) == 3)
        faults()
        assert writer.read().value == b"OK" and other.read().value.startswith(b"Background")
        assert writer.command("INCR", "n") == 2
        rewritten(client)
        digest = client.command("DEBUG", "DIGEST")
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("change", [("CONFIG", "SET", "appendfsync", "everysec"), ("CONFIG", "SET", "appendonly", "no"),
                                    ("BGREWRITEAOF",), ("DEBUG", "LOADAOF")])
def test_always_answers_whatever_else_is_asked_for(start_server, faults, change):
    """Whoever waits for the disk when the file is closed, changed or read hears in the end."""
    server = start_server(*AOF, "--appendfsync", "always")
    with loaded(server) as client, Client(server.port) as writer, Client(server.port) as other:
        faults("slow=50")
        writer.send("SET", "k", "1")
        until(lambda: client.command("GET", "k") == b"1")
        other.send("SET", "other", "1")
        until(lambda: client.command("EXISTS", "other") == 1)
        reply = client.command(*change)
        assert not isinstance(reply, ErrorReply), reply
        assert writer.read().value == b"OK" and other.read().value == b"OK"
        assert writer.command("SET", "k", "2") == b"OK"


def test_ending_while_a_rewrite_is_prepared(start_server, faults):
    """The client that asked for the rewrite still waits for its answer, and the disk for better times."""
    server = start_server("--appendonly", "yes")
    with Client(server.port) as asking, Client(server.port) as other:
        assert asking.command("SET", "key", "value") == b"OK"
        faults("stall=1")
        asking.send("BGREWRITEAOF")
        until(lambda: persistence(other)["aof_rewrite_in_progress"] == "1")
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: "Received SIGTERM" in server.log())
        faults()
        server.ended_by_us = True
        assert server.process.wait(60) == 0
    server = start_server("--appendonly", "yes", directory=server.directory)
    with Client(server.port) as client:
        assert client.command("GET", "key") == b"value"


def test_nobody_waits_for_the_files_of_a_rewrite(start_server, faults):
    """A directory that is slow keeps the rewrite waiting, but not those whose changes are synchronised meanwhile."""
    server = start_server(*AOF, "--appendfsync", "always")
    with loaded(server) as client, Client(server.port) as asking:
        faults("stall=1")
        asking.send("BGREWRITEAOF")
        until(lambda: persistence(client)["aof_rewrite_in_progress"] == "1")
        for i in range(3):
            assert client.command("SET", "k", i) == b"OK"
        assert persistence(client)["aof_rewrite_in_progress"] == "1" and not is_answered(asking)
        faults()
        assert asking.read().value.startswith(b"Background")
        rewritten(client)
        assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("GET", "k") == b"2"


def test_latency_events_of_a_slow_disk(start_server, faults):
    """Redis's names: of the write, of what was going on beside it, and of synchronising under always."""
    server = start_server(*AOF, "--appendfsync", "always", "--latency-monitor-threshold", "20")
    with loaded(server) as client:
        client.command("SET", "before", "1")
        client.command("LATENCY", "RESET")
        faults("late=30 slow=40")
        client.command("SET", "slow", "1")
        events = {row[0].decode(): row[3] for row in client.command("LATENCY", "LATEST")}
        assert set(events) - {"command", "fast-command"} == {"aof-write", "aof-write-alone", "aof-fsync-always"}
        assert events["aof-write"] == events["aof-write-alone"] >= 30 and events["aof-fsync-always"] >= 40
        assert b"aof-fsync-always" in client.command("LATENCY", "DOCTOR")
        faults()


def test_slow_disk(start_server, faults):
    """Reads and writes go on while fsync takes seconds; writes that had to be made all the same are counted."""
    server = start_server(*AOF)
    with loaded(server) as client:
        faults("slow=3500")
        answers, deadline = 0, time.monotonic() + 60
        while persistence(client)["aof_delayed_fsync"] == "0":
            assert client.command("SET", "k", "v") == b"OK" and client.command("GET", "k") == b"v"
            answers += 1
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert answers > 20, "a client had to wait for the disk"
        faults()


# --- Machines that stop ---

def prepare(client):
    client.load(["SET", f"key:{i}", "v" * 50] for i in range(200))
    client.load(["INCR", "n"] for _ in range(50))
    return client.command("DEBUG", "DIGEST")


@pytest.mark.parametrize("what", ["rewrite", "switching on"])
def test_machine_stops_between_steps(start_server, tmp_path, faults, what):
    """Whatever step of a rewrite comes last, a start finds a complete set of files. The steps are counted until the
    rewrite is through."""
    for stop in range(1, 60):
        own = tmp_path / str(stop)
        faults()
        options = AOF if what == "rewrite" else ("--enable-debug-command", "yes")
        server = start_server(*options, directory=own)
        with loaded(server) as client:
            digest = prepare(client)
            if what != "rewrite":
                client.command("SAVE")
            faults(f"exit={stop}")
            through = False
            try:
                if what == "rewrite":
                    client.command("BGREWRITEAOF")
                else:
                    client.command("CONFIG", "SET", "appendonly", "yes")
                rewritten(client)
                through = True
            except GONE:
                pass
        faults()
        server.kill()
        again = start_server(*AOF, directory=own)
        with loaded(again) as client:
            assert client.command("DEBUG", "DIGEST") == digest, f"stopped before step {stop}"
            client.command("INCR", "n")
            client.command("BGREWRITEAOF")
            rewritten(client)
            assert client.command("DEBUG", "LOADAOF") == b"OK" and client.command("GET", "n") == b"51"
            assert [kind for _, _, kind in manifest(directory(again))] == ["b", "i"]
        again.kill()
        if through:
            assert stop > 8, "the steps were not counted"
            return
    raise AssertionError("the rewrite never came to its end")
