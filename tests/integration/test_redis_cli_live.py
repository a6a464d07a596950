"""redis-cli where it goes on until it is ended: MONITOR, subscriptions, latency; and what it asks of a server that has
no replication."""
import re
import shutil
import subprocess
import threading

import pytest

from harness.resp import Client
from harness.waiting import until

PROTOCOLS = (2,)
pytestmark = pytest.mark.skipif(not shutil.which("redis-cli"), reason="needs redis-tools")


class Live:
    """A redis-cli under way; its lines as they come."""

    def __init__(self, *argv):
        self.lines = []
        self.program = subprocess.Popen(["stdbuf", "-oL", "redis-cli", *map(str, argv)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.program.stdout:
            self.lines.append(line.decode().rstrip())

    def wait_for(self, pattern):
        return until(lambda: next((m for line in list(self.lines) if (m := re.search(pattern, line))), None))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.terminate()
        self.program.wait(60)
        self.reader.join(60)


@pytest.fixture
def run(module_server):
    def run(*argv):
        return Live("-p", module_server.port, *argv)

    run.port = module_server.port
    return run


@pytest.mark.parametrize("flag", ["-2", "-3"])
def test_monitor(run, flag):
    with Client(run.port) as client, run(flag, "MONITOR") as live:
        live.wait_for("^OK$")
        client.command("SET", "k", "a\nb")
        live.wait_for(r'^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "k" "a\\nb"$')


@pytest.mark.parametrize("flag", ["-2", "-3"])
def test_subscribe(run, flag):
    with Client(run.port) as client, run(flag, "SUBSCRIBE", "one", "two") as live, \
            run(flag, "PSUBSCRIBE", "o*") as patterns, run(flag, "SSUBSCRIBE", "shard") as shard:
        until(lambda: client.command("PUBSUB", "NUMSUB", "one", "two") == [b"one", 1, b"two", 1])
        until(lambda: client.command("PUBSUB", "NUMPAT") == 1)
        until(lambda: client.command("SPUBLISH", "shard", "to one shard") == 1)
        assert client.command("PUBLISH", "one", "hello") == 2
        live.wait_for("hello"), patterns.wait_for("hello"), shard.wait_for("to one shard")
        live.wait_for("subscribe")
    with Client(run.port) as client:
        until(lambda: client.command("PUBSUB", "CHANNELS") == [] == client.command("PUBSUB", "SHARDCHANNELS"))


def test_latency_history(run):
    with run("--latency-history", "-i", "1", "--raw") as live:
        numbers = live.wait_for(r"^(\d+) (\d+) ([\d.]+) (\d+)")
        assert int(numbers[1]) <= float(numbers[3]) <= int(numbers[2]) and int(numbers[4]) > 0


def test_latency_distribution(run):
    with run("--latency-dist", "-i", "1") as live:
        live.wait_for("from 1 to 9 +milliseconds")


def once(run, *argv):
    done = subprocess.run(["redis-cli", "-p", str(run.port), *argv], capture_output=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_hotkeys(run):
    with Client(run.port) as client:
        client.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        client.command("SET", "hot", "x")
        client.load([("GET", "hot")] * 1000)
        code, out = once(run, "--hotkeys")
        client.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert code == 0 and re.search(r'hot key found with counter: \d+\tkeyname: "hot"', out), out


def test_without_replication_a_remote_dump_fails_and_says_why(run, tmp_path):
    code, out = once(run, "--rdb", str(tmp_path / "dump.rdb"))
    assert code == 1 and "SYNC with master failed: -ERR unknown command 'SYNC'" in out
    assert not (tmp_path / "dump.rdb").exists() or (tmp_path / "dump.rdb").stat().st_size == 0
    with Client(run.port) as client:
        assert client.command("PING") == b"PONG"


def test_without_a_cluster_its_manager_says_so(run):
    code, out = once(run, "--cluster", "info", f"127.0.0.1:{run.port}")
    assert code == 1 and "is not configured as a cluster node" in out
