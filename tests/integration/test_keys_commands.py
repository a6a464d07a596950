"""Commands on keys: in which order arguments are checked, the texts of the errors, and what the random runs miss."""
import time

import pytest

from harness.resp import Client, ErrorReply

HUGE = "9" * 22


def test_rename_checks(pair):
    pair.same("MSET a 1 b 2", "RENAME", "RENAME x y z", "RENAME nokey nokey", "RENAME nokey other", "RENAME a a",
              "RENAMENX a a", "RENAMENX nokey a", "RENAMENX a b", "RENAMENX a c", "GET c", "EXISTS a")


def test_copy_checks(pair):
    pair.same("SET a 1", "COPY a", "COPY a a", "COPY nokey nokey", "COPY a z BAD", "COPY a z DB", "COPY a z DB x",
              "COPY a z DB 99", "COPY a z DB -1", f"COPY a z DB {HUGE}", "COPY a z DB 9999999999", "COPY a a DB 0",
              "COPY a a DB 1", "COPY nokey z DB 99", "COPY a z REPLACE DB 1 DB 0", "COPY a z", "COPY a z REPLACE",
              "COPY nokey z REPLACE", "GET z", "copy a y replace db 1")


def test_move_checks(pair):
    pair.same("SET a 1", "MOVE a 0", "MOVE nokey 0", "MOVE a x", "MOVE a 99", "MOVE a -1", "MOVE a 9999999999999",
              f"MOVE a {HUGE}", "MOVE a 1", "MOVE a 1", "SET a 2", "MOVE a 1", "MOVE nokey 1", "SELECT 1", "GET a")


def test_a_copy_is_independent(pair):
    long = "x" * 100_000
    for text in ("12", "hello", "y" * 500, long):
        pair.same(("SET", "a", text), "PEXPIREAT a 9999999999999", "COPY a b REPLACE", "APPEND a more", "GET b",
                  "PEXPIRETIME b", "SETRANGE b 0 X", "GET a", "DEL a", "GET b", "DEL b")


def test_moved_and_renamed_keys_keep_their_expiry(pair):
    pair.same("SET a 1", "PEXPIREAT a 9999999999999", "SET b 2", "RENAME a b", "PEXPIRETIME b", "MOVE b 3", "SELECT 3",
              "PEXPIRETIME b", "GET b", "SET plain x", "RENAME plain b", "TTL b")


def test_expire_checks(pair):
    pair.same("MSET a 1 b 2", "EXPIRE a", "EXPIRE a x", "EXPIRE nokey x", "EXPIRE a 100 NX XX", "EXPIRE a 100 NX GT",
              "EXPIRE a 100 GT LT", "EXPIRE a 100 NX GT LT", "EXPIRE a 100 GT XX", "EXPIRE a 100 BAD",
              "EXPIRE a x BAD", "EXPIRE a x NX XX", "EXPIRE nokey 1 BAD", "EXPIRE a 9223372036854775807",
              "EXPIRE a -9223372036854775808", "PEXPIRE b 9223372036854775807", "PEXPIREAT b 9223372036854775807",
              "PEXPIRETIME b", "EXPIREAT b 9223372036854775807", "EXPIREAT b 9223372036854775", "EXPIRETIME b",
              "EXPIRE nokey 9223372036854775807", "PERSIST b", "PERSIST b", "PERSIST nokey", "TTL b", "TTL nokey",
              "PTTL nokey", "EXPIRETIME nokey", "PEXPIRETIME nokey", "EXPIRETIME b", "TTL", "TTL a b")


@pytest.mark.parametrize("command", ["EXPIRE k 0", "EXPIRE k -1", "EXPIRE k -9223372036854775",
                         "EXPIRE k -9223372036854776", "EXPIREAT k 1", "PEXPIREAT k -9223372036854775808",
                         "PEXPIREAT k -9223372036854775807", "PEXPIRE k -9223372036854775808", "EXPIRE k 0 NX",
                         "EXPIRE k 0 XX", "EXPIRE k 0 GT", "EXPIRE k 0 LT"])
def test_a_moment_that_has_passed_removes_the_key(pair, command):
    pair.same("SET k v", command, "EXISTS k", "DBSIZE", "SET k v EX 1000", command, "EXISTS k", "DBSIZE")


def test_times_are_rounded_to_the_nearest_second(pair):
    for ms in (9999999999000, 9999999999499, 9999999999500, 9999999999999):
        pair.same("SET k v", f"PEXPIREAT k {ms}", "EXPIRETIME k", "PEXPIRETIME k")


def test_gt_and_lt_compare_moments(pair):
    pair.same("SET k v", "EXPIRE k 10 GT", "EXPIRE k 100 LT", "EXPIRE k 100 XX", "EXPIRE k 10 XX GT",
              "EXPIRE k 1000 XX GT", "TTL k", "PEXPIREAT k 9999999999999", "PEXPIREAT k 9999999999999 GT",
              "PEXPIREAT k 9999999999999 LT", "PEXPIREAT k 9999999999998 lt", "EXPIRE k 10 NX", "PERSIST k",
              "EXPIRE k 100 NX NX")


def test_databases(pair):
    pair.same("SWAPDB x 1", "SWAPDB 1 x", "SWAPDB 99 1", "SWAPDB 1 99", "SWAPDB -1 1", "SWAPDB 99999999999 1",
              "SWAPDB 1 99999999999", "SWAPDB 1 1", "SWAPDB 1", "SELECT x", "SELECT 99", "SELECT -1",
              "SELECT 99999999999", f"SELECT {HUGE}", "SELECT", "FLUSHALL BAD", "FLUSHALL SYNC BAD",
              "FLUSHALL SYNC SYNC", "FLUSHDB SYNC", "FLUSHALL async", "FLUSHDB BAD x", "DBSIZE x")


def test_swapped_databases_keep_their_keys(pair):
    pair.same("SET a zero", "SET t 1 EX 1000", "SELECT 7", "SET a seven", "SWAPDB 7 0", "GET a", "TTL t", "DBSIZE",
              "SWAPDB 0 7", "GET a", "FLUSHDB", "DBSIZE", "SELECT 0", "GET a", "DBSIZE")


def test_flushdb_leaves_the_others(pair):
    pair.same("SET a 1", "SELECT 1", "SET a 1", "FLUSHDB", "DBSIZE", "SELECT 0", "DBSIZE", "SELECT 1", "SET b 1",
              "FLUSHALL", "DBSIZE", "SELECT 0", "DBSIZE")


def test_scan_checks(pair):
    pair.same("SCAN x", "SCAN -", "SCAN +", "SCAN 18446744073709551616", ("SCAN", " 1"), ("SCAN", "-\x00"), ("SCAN",
              "1x\x00"), "SCAN 0x10", "SCAN 1x", "SCAN 0 COUNT", "SCAN 0 COUNT x", "SCAN 0 COUNT 0", "SCAN 0 COUNT -1",
              f"SCAN 0 COUNT {HUGE}", "SCAN 0 BAD", "SCAN 0 BAD 1", "SCAN 0 TYPE", "SCAN 0 MATCH", "SCAN x COUNT x",
              "SCAN", "SCAN 0 COUNT 5 COUNT", "SCAN 0 COUNT 0 BAD")


@pytest.mark.parametrize("cursor", ["0", "00", "", "+0", "-0", "\x00", "0\x00x"])
def test_scan_of_a_small_database(pair, cursor):
    pair.same("MSET one 1 two 2 three 3", "SET gone 1 PX 1")
    time.sleep(0.01)
    for options in ([], ["MATCH", "t*"], ["MATCH", "*"], ["TYPE", "string"], ["TYPE", "STRING"], ["TYPE", "list"],
                    ["TYPE", "nosuch"], ["MATCH", "t*", "TYPE", "string"], ["MATCH", "x", "MATCH", "*e"]):
        ours, theirs = (c.command("SCAN", cursor, *options, "COUNT", 100) for c in pair.both)
        assert (ours[0], sorted(ours[1])) == (theirs[0], sorted(theirs[1])), options


@pytest.mark.parametrize("cursor", ["18446744073709551615", "-1", "12345", "9223372036854775808"])
def test_scan_takes_any_cursor(client, cursor):
    client.load(("SET", f"k{i}", 1) for i in range(300))
    steps = 0
    while cursor != b"0":
        cursor, page = client.command("SCAN", cursor)
        assert all(key.startswith(b"k") for key in page)
        steps += 1
        assert steps < 1000


@pytest.mark.parametrize("count", [1, 10, 999, 1001, 5000, 2**62, 2**63 - 1])
def test_scan_counts(client, count):
    names = {b"key:%d" % i for i in range(20_000)}
    client.load(("SET", name, 1) for name in names)
    cursor, found, calls = b"0", [], 0
    while cursor != b"0" or not calls:
        cursor, page = client.command("SCAN", cursor, "COUNT", count)
        assert len(page) <= count + 100
        found += page
        calls += 1
    assert len(found) == len(names) and set(found) == names
    assert calls <= 20_000 / count + 1


def test_scan_filters_in_slices(client):
    client.load(("SET", b"key:%d" % i, 1) for i in range(20_000))
    expected = {b"key:%d" % i for i in range(20_000) if str(i).endswith("77")}
    assert client.command("SCAN", 0, "COUNT", 10**6, "TYPE", "list") == [b"0", []]
    cursor, page = client.command("SCAN", 0, "MATCH", "key:*77", "COUNT", 10**6)
    assert cursor == b"0" and set(page) == expected and len(page) == len(expected)
    keys = client.command("KEYS", "key:*77")
    assert set(keys) == expected and len(keys) == len(expected)


def test_keys_of_a_large_database(client):
    names = {b"key:%d" % i for i in range(30_000)}
    client.load(("SET", name, 1) for name in names)
    client.load(("SET", b"gone:%d" % i, 1, "PX", 1) for i in range(1000))
    time.sleep(0.01)
    keys = client.command("KEYS", "*")
    assert len(keys) == len(names) and set(keys) == names
    assert client.command("KEYS", "nothing*") == []
    assert client.command("KEYS", "gone*") == []
    assert client.command("KEYS", "key:77") == [b"key:77"]


def test_a_pattern_without_wildcards_is_a_name(pair):
    pair.same(("MSET", "plain", 1, "", 2, "a]b", 3, "x\x00*", 4), "KEYS plain", "KEYS nokey", ("KEYS", ""), "KEYS a]b",
              ("KEYS", "x\x00"), ("KEYS", "x\x00\\*"), "SET plain 1 PX 1")
    time.sleep(0.01)
    pair.same("KEYS plain")


def test_object_checks(pair):
    pair.same("OBJECT", "OBJECT foo", "OBJECT foo bar", "OBJECT ENCODING", "OBJECT ENCODING a b", "OBJECT HELP x",
              "OBJECT ENCODING nokey", "OBJECT FREQ nokey", "OBJECT IDLETIME nokey", "OBJECT REFCOUNT nokey",
              "SET a hello", "OBJECT FREQ a", "OBJECT REFCOUNT a", "SET a 10000",
              "OBJECT REFCOUNT a", "SET a 9999", "OBJECT REFCOUNT a", "SET a -1", "OBJECT REFCOUNT a",
              "object encoding a")
    assert pair.server.command("OBJECT", "IDLETIME", "a") <= 60


def test_idle_time_counts_seconds_without_use(client):
    client.load([("SET", "used", 1), ("SET", "idle", 1), ("SET", "seen", "x")])
    time.sleep(2.1)
    client.command("GET", "used")
    for command in (("EXISTS", "seen"), ("TYPE", "seen"), ("TTL", "seen"), ("OBJECT", "ENCODING", "seen")):
        client.command(*command)
    used, idle, seen = (client.command("OBJECT", "IDLETIME", key) for key in ("used", "idle", "seen"))
    assert used < idle < 60
    assert used < seen < 60, "looking at a key is not using it"
    assert client.command("TOUCH", "idle", "nokey") == 1
    touched, seen = (client.command("OBJECT", "IDLETIME", key) for key in ("idle", "seen"))
    assert touched < seen


def test_memory_usage(client):
    sizes = []
    for length in (0, 64, 1000, 10_000, 100_000):
        client.command("SET", "a", "x" * length)
        sizes.append(client.command("MEMORY", "USAGE", "a"))
        assert length < sizes[-1] < length * 1.3 + 100
    assert sizes == sorted(set(sizes))
    assert client.command("MEMORY", "USAGE", "a", "SAMPLES", 0) == sizes[-1]


def test_memory_usage_checks(pair):
    pair.same("SET a 1", "MEMORY USAGE nokey", "MEMORY USAGE", "MEMORY USAGE a SAMPLES", "MEMORY USAGE a SAMPLES x",
              "MEMORY USAGE a SAMPLES -1", "MEMORY USAGE a FOO", "MEMORY USAGE nokey FOO",
              "MEMORY USAGE nokey SAMPLES 5", "MEMORY USAGE a SAMPLES 0 BAD")


def test_randomkey_finds_every_key(client):
    assert client.command("RANDOMKEY") is None
    names = {b"k%d" % i for i in range(20)}
    client.load(("SET", name, 1) for name in names)
    drawn = [client.command("RANDOMKEY") for _ in range(1000)]
    assert set(drawn) == names
    assert max(drawn.count(name) for name in names) < 110, "far from uniform"


def test_deleting_many_keys_in_one_command(server):
    with Client(server.port) as client:
        names = [b"k%d" % i for i in range(50_000)]
        client.command("MSET", *(x for name in names for x in (name, 1)))
        assert client.command("EXISTS", *names) == 50_000
        assert client.command("DEL", *names, *names) == 50_000
        assert client.command("DBSIZE") == 0


def test_hits_and_misses(client):
    client.command("SET", "a", 1)
    client.command("CONFIG", "RESETSTAT")
    for command in (("EXISTS", "a", "b"), ("TTL", "a"), ("TTL", "b"), ("TYPE", "a"), ("TOUCH", "b"), ("PTTL", "b")):
        assert not isinstance(client.command(*command), ErrorReply)
    stats = client.info("stats")
    assert (stats["keyspace_hits"], stats["keyspace_misses"]) == ("3", "4")
