"""DEBUG RELOAD and DEBUG OBJECT: what is saved is read back as it was, and described as it is saved. And more of DEBUG
that suites of tests count on.
"""
import random
import time

import pytest

from harness.resp import Client, ErrorReply

SERVER_OPTIONS = ("--enable-debug-command", "yes", "--dbfilename", "reload.rdb")


def fill(client, rng):
    words = [f"word{rng.randrange(10**9)}" for _ in range(300)]
    client.load([("SET", "string", words[0]), ("SET", "number", 12345), ("APPEND", "raw", words[0] * 20),
                 ("SET", "dies", "later", "EX", 10**6)])
    client.load([("RPUSH", "few", *words[:5]), ("RPUSH", "many", *words, "x" * 20_000, *words),
                 ("SADD", "numbers", *range(100)), ("SADD", "few members", *words[:9]), ("SADD", "members", *words),
                 ("HSET", "fields", *words[:10]), ("HSET", "table", *words), ("HEXPIRE", "table", 10**6, "FIELDS", 1,
                                                                            words[0])])
    client.load([("ZADD", "scores", *(x for i, w in enumerate(words[:9]) for x in (i / 3, w))),
                 ("ZADD", "ranks", *(x for i, w in enumerate(words) for x in (i, w)))])
    client.load([("XADD", "stream", "*", "a", w) for w in words])
    client.load([("XGROUP", "CREATE", "stream", "g", 0),
                 ("XREADGROUP", "GROUP", "g", "c", "COUNT", 7, "STREAMS", "stream", ">"),
                 ("SELECT", 3), ("SET", "elsewhere", 1), ("SELECT", 0)])


def encodings(client):
    return {key: client.command("OBJECT", "ENCODING", key) for key in client.command("KEYS", "*")}


def test_everything_comes_back(client, seed):
    fill(client, random.Random(seed))
    digest, before = client.command("DEBUG", "DIGEST"), encodings(client)
    at, field_at = client.command("PEXPIRETIME", "dies"), client.command("DEBUG", "DIGEST-VALUE", "table")
    assert client.command("DEBUG", "RELOAD") == b"OK"
    assert client.command("DEBUG", "DIGEST") == digest and encodings(client) == before
    assert client.command("PEXPIRETIME", "dies") == at and client.command("DEBUG", "DIGEST-VALUE", "table") == field_at
    assert client.info("persistence")["rdb_changes_since_last_save"] == "0"
    assert client.command("DEBUG", "CHECK") == b"OK"


def test_without_saving_or_emptying(client):
    client.command("SET", "a", "old")
    assert client.command("DEBUG", "RELOAD") == b"OK"
    client.command("SET", "a", "new")
    client.command("SET", "b", "new")
    assert client.command("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE") == b"OK"
    assert client.command("MGET", "a", "b") == [b"old", b"new"]
    assert client.command("debug", "reload", "nosave") == b"OK"
    assert client.command("MGET", "a", "b") == [b"old", None]
    fill(client, random.Random(1))
    digest = client.command("DEBUG", "DIGEST")
    assert client.command("DEBUG", "RELOAD", "NOFLUSH", "MERGE") == b"OK"
    assert client.command("DEBUG", "DIGEST") == digest and client.command("DEBUG", "CHECK") == b"OK"
    client.command("DEL", "b")
    for options in (("SAVE",), ("NOSAVE", "x")):
        assert isinstance(client.command("DEBUG", "RELOAD", *options), ErrorReply)
    assert client.command("MGET", "a", "b") == [b"old", None]


@pytest.mark.server_options("--enable-debug-command", "yes", "--dbfilename", "nothing.rdb")
def test_without_a_file_nothing_is_lost(server):
    with Client(server.port) as client:
        client.command("SET", "a", 1)
        reply = client.command("DEBUG", "RELOAD", "NOSAVE")
        assert isinstance(reply, ErrorReply) and reply.text.startswith("ERR Error trying to load the RDB dump")
        assert client.command("GET", "a") == b"1"


@pytest.mark.server_options("--enable-debug-command", "yes", "--appendonly", "yes")
def test_the_log_does_not_hear_of_it(server):
    with Client(server.port) as client:
        client.command("RPUSH", "l", *range(100))
        assert client.command("DEBUG", "RELOAD") == b"OK"
        client.command("RPUSH", "l", "last")
        assert client.command("DEBUG", "LOADAOF") == b"OK"
        assert client.command("LRANGE", "l", -2, -1) == [b"99", b"last"] and client.command("LLEN", "l") == 101


def test_a_list_of_one_node_is_packed_when_it_is_read(client):
    client.command("CONFIG", "SET", "list-max-listpack-size", 3)
    client.command("RPUSH", "l", *"abcd")
    client.command("RPOP", "l")
    assert client.command("OBJECT", "ENCODING", "l") == b"quicklist"
    client.command("DEBUG", "RELOAD")
    assert client.command("OBJECT", "ENCODING", "l") == b"listpack"


def facts_of(client, key):
    return dict(word.split(":") for word in client.command("DEBUG", "OBJECT", key).decode().split()[1:])


def test_objects_are_described(client, seed):
    fill(client, random.Random(seed))
    for key in client.command("KEYS", "*"):
        facts = facts_of(client, key)
        assert facts["encoding"].encode() == client.command("OBJECT", "ENCODING", key)
        assert int(facts["serializedlength"]) == len(client.command("DUMP", key)) - 11, key
        assert ("ql_nodes" in facts) == (facts["encoding"] == "quicklist")
    client.command("CONFIG", "SET", "list-max-listpack-size", 5)
    client.command("RPUSH", "l", *(f"element{n}" for n in range(100)))
    facts = facts_of(client, "l")
    assert (facts["ql_nodes"], facts["ql_avg_node"], facts["ql_listpack_max"]) == ("20", "5.00", "5")
    assert 100 * len("element00") <= int(facts["ql_uncompressed_size"]) <= 2 * 100 * len("element00")


def test_patterns_are_tried(pair):
    pair.same("DEBUG STRINGMATCH-LEN x")
    assert pair.server.command("DEBUG", "STRINGMATCH-LEN", 50_000, "*?" * 1000).startswith(b"Apparently")
    assert isinstance(pair.server.command("DEBUG", "STRINGMATCH-LEN", -1, "*"), ErrorReply)


def test_tables_of_values_are_described(pair):
    pair.same("DEBUG HTSTATS-KEY nothing", "DEBUG HTSTATS-KEY", "DEBUG HTSTATS", "DEBUG HTSTATS 99", "SET s text",
              "DEBUG HTSTATS-KEY s", "RPUSH l a", "DEBUG HTSTATS-KEY l", "SADD numbers 1", "DEBUG HTSTATS-KEY numbers")
    client, words = pair.server, [f"word{n}" for n in range(1200)]
    client.load([("SADD", "set", *words), ("HSET", "hash", *words), ("ZADD", "zset", *(x for ranked in enumerate(words)
                                                                                      for x in ranked))])
    for key, count in (("set", 1200), ("hash", 600), ("zset", 1200)):
        text = client.command("DEBUG", "HTSTATS-KEY", key).decode()
        assert f"number of elements: {count}\n" in text
        assert int(text.split("table size: ")[1].split()[0]) >= count / 2
    assert "number of elements: 6\n" in client.command("DEBUG", "HTSTATS", 0).decode()


def test_strings_are_measured(pair):
    pair.same("DEBUG SDSLEN nothing", "SET n 17", "DEBUG SDSLEN n", "SADD set a", "DEBUG SDSLEN set", "DEBUG SDSLEN")
    pair.server.command("SET", "key", "x" * 1000)
    facts = dict(part.split(":") for part in pair.server.command("DEBUG", "SDSLEN", "key").decode().split(", "))
    assert facts["key_sds_len"] == "3" and facts["val_sds_len"] == "1000" and int(facts["val_zmalloc"]) >= 1003


def test_checksums_are_passed_over(pair):
    pair.same("SET a text")
    payload = pair.server.command("DUMP", "a")
    broken, newer = payload[:-8] + bytes(8), payload[:-10] + b"\xff\xff" + payload[-8:]
    pair.same(("RESTORE", "b", 0, broken), "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1", ("RESTORE", "b", 0, broken), "GET b",
              ("RESTORE", "c", 0, newer), ("RESTORE", "c", 0, b"short"), ("RESTORE", "c", 0, b"\x00\x20" + broken[2:]),
              "DEBUG SET-SKIP-CHECKSUM-VALIDATION 0", ("RESTORE", "c", 0, broken), "EXISTS c")


@pytest.mark.server_options("--enable-debug-command", "yes", "--appendonly", "yes", "--appendfsync", "always")
def test_writing_takes_its_time(server):
    with Client(server.port) as client:
        assert client.command("DEBUG", "AOF-FLUSH-SLEEP", 100_000) == b"OK"
        began = time.monotonic()
        client.command("SET", "a", 1)
        assert time.monotonic() - began >= 0.1
        client.command("DEBUG", "AOF-FLUSH-SLEEP", 0)
