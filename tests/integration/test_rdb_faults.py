"""What saved files promise when things go wrong: servers and savers that are killed at any moment, disks that do not
synchronise or rename, files that are damaged.

LARDER_TEST_LONG=1 kills servers hundreds of times instead of some.
"""
import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

import rdb_contents
from harness.process import larder_binary
from harness.resp import Client, ConnectionClosed, ErrorReply
from harness.waiting import until
from test_aof_faults import faults, faults_library  # noqa: F401: fixtures

LONG = bool(os.environ.get("LARDER_TEST_LONG"))
ROUNDS = 200 if LONG else 8
SAVED = "save", "3600 1"  # a save point that is never due: failures refuse writes
GONE = (ConnectionClosed, OSError)


def persistence(client):
    return client.info("persistence")


def loaded(server):
    client = Client(server.port)
    until(lambda: persistence(client)["loading"] == "0")
    return client


def state_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return "gone"


def is_running(pid):
    return state_of(pid) not in ("Z", "gone")


class Writer(threading.Thread):
    """Counts up two keys at once, and overwrites others, until the server is gone."""

    def __init__(self, port, start):
        super().__init__(daemon=True)
        self.port, self.count = port, start

    def run(self):
        with contextlib.suppress(*GONE), Client(self.port) as client:
            while True:
                self.count += 1
                noise = b"SET noise:%d %d\r\n" % (self.count * 7919 % 20011, self.count)
                client.send_raw(b"MULTI\r\nSET a %d\r\n%sSET b %d\r\nEXEC\r\n" % (self.count, noise, self.count))
                for _ in range(5):
                    client.read()


class Saver(threading.Thread):
    """Saves without end, and knows what the last save that succeeded cannot have missed."""

    def __init__(self, port, background):
        super().__init__(daemon=True)
        self.port, self.background, self.least = port, background, 0

    def run(self):
        with contextlib.suppress(*GONE), Client(self.port) as client:
            while True:
                before = int(client.command("GET", "a") or 0)
                client.command("BGSAVE" if self.background else "SAVE")
                while persistence(client)["rdb_bgsave_in_progress"] != "0":
                    pass
                if persistence(client)["rdb_last_bgsave_status"] == "ok":
                    self.least = before


@pytest.mark.parametrize("background", [True, False], ids=["bgsave", "save"])
def test_killed_while_it_saves(start_server, tmp_path, seed, background):
    """Whatever the moment, the file is a whole one: not half of a transaction, not older than the last success."""
    print("seed", seed)
    rng = random.Random(seed)
    own, least = tmp_path / "own", 0
    for number in range(ROUNDS):
        server = start_server(directory=own)
        with loaded(server) as client:
            a, b = [int(value or 0) for value in client.command("MGET", "a", "b")]
            assert a == b >= least, number
            if number == 0:
                client.load(("SET", f"noise:{i}", "x" * 200) for i in range(20011))
        writer, saver = Writer(server.port, a), Saver(server.port, background)
        writer.start()
        saver.start()
        if not least:
            until(lambda: saver.least)
        time.sleep(rng.uniform(0.05, 0.3))
        os.kill(server.pid, signal.SIGSTOP)  # so that it has no more children than those that are seen
        until(lambda: state_of(server.pid) == "T")
        orphans = server.children()
        server.kill()
        writer.join()
        saver.join()
        least = max(least, saver.least)
        until(lambda: not any(is_running(pid) for pid in orphans))
    assert least > 0, "no save succeeded"


@pytest.mark.server_options(*("--" + SAVED[0], SAVED[1]))
def test_the_saver_is_killed(server):
    path = server.directory / "dump.rdb"
    with Client(server.port) as client:
        client.load(("SET", f"k{i}", "x" * 500) for i in range(2000))
        assert client.command("SAVE") == b"OK"
        before = path.read_bytes()
        client.command("SET", "k", "v")
        client.command("CONFIG", "SET", "rdb-key-save-delay", 10**6)
        client.command("BGSAVE")
        for pid in server.children():
            os.kill(pid, signal.SIGKILL)
        until(lambda: persistence(client)["rdb_bgsave_in_progress"] == "0")
        client.command("CONFIG", "SET", "rdb-key-save-delay", 0)
        assert persistence(client)["rdb_last_bgsave_status"] == "err"
        assert path.read_bytes() == before and list(server.directory.glob("temp-*")) == []
        assert client.command("SET", "k", "w").text.startswith("MISCONF")
        assert client.command("BGSAVE") == b"Background saving started"
        until(lambda: persistence(client)["rdb_bgsave_in_progress"] == "0")
        assert client.command("SET", "k", "w") == b"OK" and path.read_bytes() != before


@pytest.mark.parametrize("fault", ["fsync=5", "rename=5"])
def test_a_disk_that_fails(faults, start_server, fault):  # noqa: F811
    server = start_server("--" + SAVED[0], SAVED[1])
    path = server.directory / "dump.rdb"
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        assert client.command("SAVE") == b"OK"
        before = path.read_bytes()
        client.command("SET", "k", "w")
        faults(fault)
        assert client.command("SAVE") == ErrorReply("ERR")
        assert path.read_bytes() == before and list(server.directory.glob("temp-*")) == []
        client.command("BGSAVE")
        until(lambda: persistence(client)["rdb_bgsave_in_progress"] == "0")
        assert persistence(client)["rdb_last_bgsave_status"] == "err"
        assert path.read_bytes() == before and list(server.directory.glob("temp-*")) == []
        assert client.command("SET", "k", "x").text.startswith("MISCONF") and client.command("GET", "k") == b"w"
        faults()
        assert client.command("SAVE") == b"OK"
        assert client.command("SET", "k", "x") == b"OK" and path.read_bytes() != before


def check(path):
    """Exit code, output, and the most memory that was used, in bytes, of a check."""
    with open(path.with_suffix(".out"), "w+b") as out:
        process = subprocess.Popen([larder_binary(), "--check-rdb", path], stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return process.returncode, out.read().decode(errors="replace"), usage.ru_maxrss * 1024


@pytest.mark.server_options("--rdbchecksum", "no")
def test_damaged_files_take_no_more_memory_than_whole_ones(server, tmp_path, seed, scale):
    """Without a checksum, so that nothing but the lengths themselves keeps a reader from believing them."""
    print("seed", seed)
    rng = random.Random(seed)
    with Client(server.port) as client:
        rdb_contents.fill(client, rng, 20)
        client.load([("SETRANGE", "long", 300_000, "x"), ("RPUSH", "list", *range(3000)),
                     ("SADD", "set", *range(3000))])
        client.command("SAVE")
    data = (server.directory / "dump.rdb").read_bytes()
    path = tmp_path / "damaged.rdb"
    path.write_bytes(data)
    code, text, whole = check(path)
    assert code == 0, text
    places = rng.sample(range(9, len(data)), scale(150 if LONG else 40))
    for at in places:
        damaged = bytearray(data)
        damaged[at] = rng.choice((0x80, 0x81, 0xff, 0xc3, damaged[at] ^ 1 << rng.randrange(8)))
        path.write_bytes(damaged)
        code, text, most = check(path)
        assert code in (0, 1), (at, text)
        assert code == 0 or "[offset" in text, (at, text)
        assert most < 2 * whole + 20_000_000, (at, most, whole)
