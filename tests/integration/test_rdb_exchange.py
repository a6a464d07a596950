"""Saved files and DUMP payloads travel to redis-server and back, with random contents of every type and encoding.

What is compared is what commands say of the contents, on the server that wrote and on the one that read.
"""
import random
import subprocess

import pytest

import rdb_contents
from harness.process import ServerProcess
from harness.resp import Client, ErrorReply
from harness.waiting import until

KEYS = 60


@pytest.fixture
def start_oracle(tmp_path, oracle_command):
    started = []

    def start(directory):
        directory.mkdir(exist_ok=True)
        started.append(ServerProcess(oracle_command, ("--enable-debug-command", "yes"), directory, name="oracle"))
        return started[-1]

    yield start
    for server in started:
        if not server.ended_by_us:
            server.kill()


@pytest.fixture
def types(server):
    with Client(server.port) as client:
        known = client.command("COMMAND", "INFO", "XADD")[0] is not None
    return rdb_contents.TYPES if known else rdb_contents.TYPES[:-1]


def start_loaded(start, source, directory, name="dump.rdb"):
    directory.mkdir()
    (directory / "dump.rdb").write_bytes((source.directory / name).read_bytes())
    return start(directory=directory) if start.__name__ == "start" and "directory" in start.__code__.co_varnames \
        else start(directory)


def wait_loaded(client):
    while isinstance(reply := client.command("DBSIZE"), ErrorReply):
        assert reply.text.startswith("LOADING")


def test_own_file(server, start_server, tmp_path, types, seed, scale):
    print("seed", seed)
    with Client(server.port) as client:
        rdb_contents.fill(client, random.Random(seed), scale(KEYS), types)
        before = rdb_contents.contents(client)
        assert client.command("SAVE") == b"OK"
    other = start_loaded(start_server, server, tmp_path / "own")
    with Client(other.port) as client:
        wait_loaded(client)
        assert rdb_contents.contents(client) == before


def test_file_to_redis(server, start_oracle, tmp_path, types, seed, scale):
    print("seed", seed)
    with Client(server.port) as client:
        rdb_contents.fill(client, random.Random(seed), scale(KEYS), types)
        before = rdb_contents.contents(client)
        assert client.command("BGSAVE") == b"Background saving started"
        until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0")
    check = subprocess.run(["redis-check-rdb", server.directory / "dump.rdb"], capture_output=True, text=True)
    assert check.returncode == 0 and "RDB looks OK" in check.stdout, check.stdout
    oracle = start_loaded(start_oracle, server, tmp_path / "oracle")
    with Client(oracle.port) as client:
        wait_loaded(client)
        assert rdb_contents.contents(client) == before


def test_file_from_redis(start_server, start_oracle, tmp_path, types, seed, scale):
    print("seed", seed)
    oracle = start_oracle(tmp_path / "oracle")
    with Client(oracle.port) as client:
        rdb_contents.fill(client, random.Random(seed), scale(KEYS), types)
        before = rdb_contents.contents(client)
        assert client.command("SAVE") == b"OK"
    server = start_loaded(start_server, oracle, tmp_path / "own")
    with Client(server.port) as client:
        wait_loaded(client)
        assert rdb_contents.contents(client) == before
        assert client.info("persistence")["rdb_last_load_keys_loaded"] == str(len(before))


def restore_all(source, target, dbs=(0, 9)):
    for db in dbs:
        source.command("SELECT", db)
        target.command("SELECT", db)
        for key in source.command("KEYS", "*"):
            expires = max(0, source.command("PEXPIRETIME", key))
            reply = target.command("RESTORE", key, expires, source.command("DUMP", key), "ABSTTL")
            assert reply == b"OK", (key, reply)
    source.command("SELECT", 0)
    target.command("SELECT", 0)


def test_payloads_there_and_back(server, start_server, start_oracle, tmp_path, types, seed, scale):
    """From here to redis-server, and from there to another server of ours."""
    print("seed", seed)
    oracle, third = start_oracle(tmp_path / "oracle"), start_server()
    with Client(server.port) as ours, Client(oracle.port) as theirs, Client(third.port) as again:
        rdb_contents.fill(ours, random.Random(seed), scale(KEYS), types)
        before = rdb_contents.contents(ours)
        restore_all(ours, theirs)
        assert rdb_contents.contents(theirs) == before
        restore_all(theirs, again)
        assert rdb_contents.contents(again) == before


def test_payloads_are_the_same_bytes(server, start_oracle, tmp_path):
    """Where the format leaves no choice, as the compressor has, DUMP says exactly what redis-server says."""
    oracle = start_oracle(tmp_path / "oracle")
    commands = [["SET", "s", "text"], ["SET", "i", 100], ["SET", "wide", 2**40], ["SET", "z", "a" * 20],
                ["RPUSH", "l", "a", "b", 3], ["SADD", "n", 1, 2, 300], ["HSET", "h", "f", "v", "g", 2],
                ["ZADD", "q", 1, "a", 2.5, "b"]]
    with Client(server.port) as ours, Client(oracle.port) as theirs:
        for args in commands:
            assert ours.command(*args) == theirs.command(*args)
            assert ours.command("DUMP", args[1]) == theirs.command("DUMP", args[1]), args
        assert ours.command("DUMP", "missing") is None


def test_restore_replies(server, start_oracle, tmp_path):
    oracle = start_oracle(tmp_path / "oracle")
    good = rdb_contents.dumped(0, rdb_contents.string("value"))
    wrong = [good[:-1] + bytes([good[-1] ^ 1]), good[:9], b"", good[:-10] + b"\xff\xff" + good[-8:],
             rdb_contents.dumped(0, b"\x40\xffval"), rdb_contents.dumped(99, b""),
             rdb_contents.dumped(4, b"\x00"), rdb_contents.dumped(1, b"\x00"),
             rdb_contents.dumped(13, rdb_contents.string(b"junk"))]
    requests = [["RESTORE", "k", 0, good], ["RESTORE", "k", 0, good], ["RESTORE", "k", 0, good, "REPLACE"],
                ["GET", "k"], ["RESTORE", "k", -1, good, "REPLACE"], ["RESTORE", "k", "x", good, "REPLACE"],
                ["RESTORE", "k", 10**15, good, "REPLACE"], ["RESTORE", "a", 1, good, "ABSTTL"], ["EXISTS", "a"],
                ["RESTORE", "k", 1, good, "ABSTTL", "REPLACE"], ["EXISTS", "k"],
                ["RESTORE", "t", 4102444800000, good, "ABSTTL"], ["PEXPIRETIME", "t"],
                ["RESTORE", "j", 0, good, "IDLETIME", 1000], ["RESTORE", "j", 0, good, "IDLETIME", -1, "REPLACE"],
                ["RESTORE", "j", 0, good, "FREQ", 256, "REPLACE"], ["RESTORE", "j", 0, good, "FREQ", 10, "REPLACE"],
                ["RESTORE", "j", 0, good, "IDLETIME", 5, "FREQ", 10], ["RESTORE", "j", 0, good, "NONSENSE"],
                ["RESTORE", "j", 0, good, "IDLETIME"], ["RESTORE", "j", 0], ["DUMP"],
                *(["RESTORE", "w", 0, payload] for payload in wrong), ["EXISTS", "w"],
                ["RESTORE", "k2", "x", b"junk"], ["RESTORE", "k2", 0, b"junk", "JUNK"]]
    with Client(server.port) as ours, Client(oracle.port) as theirs:
        for args in requests:
            assert ours.command(*args) == theirs.command(*args), args


def test_restore_sets_idle_time(server):
    with Client(server.port) as client:
        client.command("RESTORE", "k", 0, rdb_contents.dumped(0, rdb_contents.string("v")), "IDLETIME", 1000)
        assert 1000 <= client.command("OBJECT", "IDLETIME", "k") <= 1060
        client.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-decay-time", 0)
        client.command("RESTORE", "k", 0, rdb_contents.dumped(0, rdb_contents.string("v")), "REPLACE", "FREQ", 100)
        assert client.command("OBJECT", "FREQ", "k") == 100


def test_fields_that_expire(server, start_server, tmp_path):
    """Redis 7.0 knows no such fields; a file and a payload with them say so in their version."""
    with Client(server.port) as client:
        for key, count in (("small", 5), ("large", 400)):
            client.load(["HSET", key, f"f{i}", i] for i in range(count))
            client.load(["HPEXPIREAT", key, 4102444800000 + i, "FIELDS", 1, f"f{i}"] for i in range(0, count, 3))
        client.command("HSET", "once", "f", 1)
        client.command("HEXPIRE", "once", 1000, "FIELDS", 1, "f")
        client.command("HPERSIST", "once", "FIELDS", 1, "f")

        def facts(client):
            return [(sorted(client.command("HGETALL", key)),
                     client.command("HPEXPIRETIME", key, "FIELDS", 4, "f0", "f1", "f3", "f4"))
                    for key in ("small", "large", "once")]

        before = facts(client)
        client.command("SAVE")
        payloads = {key: client.command("DUMP", key) for key in ("small", "large", "once")}
    assert (server.directory / "dump.rdb").read_bytes().startswith(b"REDIS0012")
    assert payloads["small"][-10] == 12 and payloads["once"][-10] == 10
    other = start_loaded(start_server, server, tmp_path / "own")
    with Client(other.port) as client:
        assert facts(client) == before
        for key, payload in payloads.items():
            assert client.command("RESTORE", key, 0, payload, "REPLACE") == b"OK"
        assert facts(client) == before


def test_libraries_are_kept_until_they_are_given_up(start_server, start_oracle, tmp_path):
    """Libraries of functions come with a file of redis-server, are listed, and go back, but for what was deleted."""
    codes = {name: f"#!lua name={name}\nredis.register_function('f{name}', function() return 1 end)".encode()
             for name in ("one", "two", "three")}

    def listed(client):
        found = [dict(zip(item[::2], item[1::2])) for item in client.command("FUNCTION", "LIST", "WITHCODE")]
        assert all(item[b"engine"].lower() == b"lua" for item in found)
        return {item[b"library_name"].decode(): item[b"library_code"] for item in found}

    first = start_oracle(tmp_path / "first")
    with Client(first.port) as client:
        for code in codes.values():
            assert not isinstance(client.command("FUNCTION", "LOAD", code), ErrorReply)
        client.command("SAVE")
    ours = start_loaded(start_server, first, tmp_path / "ours")
    with Client(ours.port) as client:
        wait_loaded(client)
        assert listed(client) == codes
        assert len(client.command("FUNCTION", "LIST", "LIBRARYNAME", "t*")) == 2
        assert client.command("FUNCTION", "DELETE", "two") == b"OK"
        assert client.command("SAVE") == b"OK"
    back = start_loaded(start_oracle, ours, tmp_path / "back")
    with Client(back.port) as client:
        wait_loaded(client)
        assert listed(client) == {name: code for name, code in codes.items() if name != "two"}
        assert client.command("FCALL", "fone", 0) == 1
    with Client(ours.port) as client:
        assert client.command("FUNCTION", "FLUSH") == b"OK"
        assert client.command("FUNCTION", "LIST") == []
        assert client.command("SAVE") == b"OK"
    empty = start_loaded(start_oracle, ours, tmp_path / "empty")
    with Client(empty.port) as client:
        wait_loaded(client)
        assert listed(client) == {}
