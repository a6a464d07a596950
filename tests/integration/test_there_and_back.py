"""A user of Redis 7.0 stops it, starts Larder in the same directory with the same configuration file, works on, and
goes back: with RDB files, with an append-only file, with both."""
import random
import shutil

import pytest

import rdb_contents
from harness.process import ServerProcess, larder_binary
from harness.resp import Client
from harness.waiting import until

CONFIGURATION = """
# As Debian ships it, more or less.
protected-mode yes
tcp-backlog 511
timeout 0
tcp-keepalive 300
daemonize no
loglevel notice
databases 16
always-show-logo no
set-proc-title yes
stop-writes-on-bgsave-error yes
rdbcompression yes
rdbchecksum yes
dbfilename dump.rdb
rdb-del-sync-files no
replica-serve-stale-data yes
acllog-max-len 128
lazyfree-lazy-eviction no
appendfilename "appendonly.aof"
appenddirname "appendonlydir"
appendfsync everysec
aof-load-truncated yes
list-max-listpack-size -2
hash-max-listpack-entries 512
client-output-buffer-limit normal 0 0 0
client-output-buffer-limit replica 256mb 64mb 60
hz 10
jemalloc-bg-thread yes
"""
WAYS = {
    "rdb": ("save 3600 1 300 100", "appendonly no"),
    "aof": ('save ""', "appendonly yes", "aof-use-rdb-preamble yes"),
    "aof-of-commands": ('save ""', "appendonly yes", "aof-use-rdb-preamble no"),
    "both": ("save 3600 1", "appendonly yes"),
}


def work(client, rng, round_number, types):
    """Some of what was there is kept, some of that is changed, the rest goes; some comes."""
    for db in (0, 9):
        client.command("SELECT", db)
        for key in sorted(client.command("KEYS", "*")):
            if key.startswith(b"kept") and rng.random() < 0.3:
                client.command("EXPIREAT", key, 4000000000 + round_number)
            elif not key.startswith((b"kept", b"mine")):
                client.command("RENAME", key, b"kept%d:%s" % (round_number, key))
        for key in client.command("KEYS", "kept*"):
            if rng.random() < 0.3:
                client.command("DEL", key)
    client.command("SELECT", 0)
    client.load([("INCR", "mine:rounds"), ("APPEND", "mine:log", b"round %d;" % round_number),
                 ("ZINCRBY", "mine:scores", 1.5, "m"), ("RPUSH", f"mine:list{round_number}", *range(1000)),
                 ("SADD", "mine:set", f"m{round_number}"), ("XADD", "mine:events", "*", "round", round_number),
                 ("HSET", "mine:hash", f"f{round_number}", rng.random())])
    rdb_contents.fill(client, rng, 30, types)


@pytest.mark.parametrize("way", WAYS)
def test_there_and_back(oracle_command, tmp_path, seed, way):
    print("seed", seed)
    rng = random.Random(seed)
    directory = tmp_path / "data"
    directory.mkdir()
    configuration = tmp_path / "redis.conf"
    configuration.write_text(CONFIGURATION + "\n".join(WAYS[way]) + "\n")
    types = rdb_contents.TYPES
    before = None
    for number, program in enumerate((oracle_command, [larder_binary()], oracle_command, [larder_binary()])):
        command = [*program, str(configuration), "--port", "{port}", "--bind", "127.0.0.1", "--dir", "{dir}"]
        server = ServerProcess(command, (), directory, name=f"server{number}", bare=True)
        with Client(server.port) as client:
            wait_until_loaded(client)
            if before is not None:
                assert rdb_contents.contents(client) == before, f"what server {number} found"
            work(client, rng, number, types)
            before = rdb_contents.contents(client)
        server.stop_cleanly()
    shutil.rmtree(directory)


def wait_until_loaded(client):
    until(lambda: client.info("persistence")["loading"] == "0")
