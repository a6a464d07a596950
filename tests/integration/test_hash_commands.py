"""What hashes can beyond redis-server 7.0: fields that expire, and scans without values."""
import random
import time

import pytest

from harness.resp import Client, ErrorReply
from harness.waiting import begin, held, hold, steps_of, until

SERVER_OPTIONS = ("--enable-debug-command", "yes")
ENCODINGS = {"listpackex": (512, 64), "hashtable": (0, 64)}
NO_FIELD, NO_EXPIRY, NOT_MET, DONE, REMOVED = -2, -1, 0, 1, 2
FAR = 10**6


def about(seconds):
    """What is left of so many seconds, a little later."""
    return pytest.approx(seconds - 30, abs=30)


def error(reply):
    assert isinstance(reply, ErrorReply), reply
    return reply.text


def now_ms():
    return int(time.time() * 1000)


@pytest.fixture(params=sorted(ENCODINGS))
def hashes(client, request):
    """A client of a server that keeps hashes in one way; in the end nothing in it is broken."""
    entries, value = ENCODINGS[request.param]
    client.command("CONFIG", "SET", "hash-max-listpack-entries", entries, "hash-max-listpack-value", value)
    client.command("HSET", "h", "a", "1", "b", "2", "c", "3")
    client.encoding = request.param.encode()
    yield client
    assert client.command("DEBUG", "CHECK") == b"OK"


def all_of(client, key="h"):
    reply = client.command("HGETALL", key)
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


# --- Setting, asking, taking away ---

def test_times_are_set_and_asked_for(hashes):
    assert hashes.command("HEXPIRE", "h", 100, "FIELDS", 2, "a", "x") == [DONE, NO_FIELD]
    assert hashes.command("OBJECT", "ENCODING", "h") == hashes.encoding
    assert hashes.command("HTTL", "h", "FIELDS", 3, "a", "b", "x") == [about(100), NO_EXPIRY, NO_FIELD]
    [left] = hashes.command("HPTTL", "h", "FIELDS", 1, "a")
    assert 40_000 < left <= 100_000
    at = int(time.time()) + 1000
    assert hashes.command("HEXPIREAT", "h", at, "FIELDS", 1, "b") == [DONE]
    assert hashes.command("HEXPIRETIME", "h", "FIELDS", 2, "b", "c") == [at, NO_EXPIRY]
    assert hashes.command("HPEXPIREAT", "h", at * 1000 + 1, "FIELDS", 1, "b") == [DONE]
    assert hashes.command("HPEXPIRETIME", "h", "FIELDS", 1, "b") == [at * 1000 + 1]
    assert hashes.command("HEXPIRETIME", "h", "FIELDS", 1, "b") == [at + 1]
    assert hashes.command("HPEXPIRE", "h", 500_000, "FIELDS", 1, "c") == [DONE]
    assert hashes.command("HTTL", "h", "FIELDS", 1, "c") == [about(500)]
    assert all_of(hashes) == {b"a": b"1", b"b": b"2", b"c": b"3"}


def test_missing_keys(hashes):
    for args in (("HEXPIRE", "none", 10), ("HPEXPIREAT", "none", 10), ("HTTL", "none"), ("HPEXPIRETIME", "none"),
                 ("HPERSIST", "none")):
        assert hashes.command(*args, "FIELDS", 2, "a", "b") == [NO_FIELD] * 2
    assert hashes.command("HGETDEL", "none", "FIELDS", 2, "a", "b") == [None] * 2
    assert hashes.command("HGETEX", "none", "EX", 10, "FIELDS", 1, "a") == [None]
    assert hashes.command("EXISTS", "none") == 0


def test_persist(hashes):
    hashes.command("HEXPIRE", "h", 100, "FIELDS", 1, "a")
    assert hashes.command("HPERSIST", "h", "FIELDS", 3, "a", "b", "x") == [DONE, NO_EXPIRY, NO_FIELD]
    assert hashes.command("HTTL", "h", "FIELDS", 1, "a") == [NO_EXPIRY]
    assert "subexpiry=0" in hashes.info("keyspace")["db0"]


def test_conditions(hashes):
    def expire(seconds, condition, field):
        return hashes.command("HEXPIRE", "h", seconds, condition, "FIELDS", 1, field)[0]
    assert expire(100, "XX", "a") == NOT_MET and expire(100, "GT", "a") == NOT_MET
    assert expire(100, "NX", "a") == DONE and expire(200, "NX", "a") == NOT_MET
    assert expire(50, "GT", "a") == NOT_MET and expire(200, "GT", "a") == DONE
    assert expire(300, "LT", "a") == NOT_MET and expire(150, "lt", "a") == DONE
    assert expire(100, "LT", "b") == DONE and expire(500, "XX", "b") == DONE
    assert hashes.command("HTTL", "h", "FIELDS", 3, "a", "b", "c") == [about(150), about(500), NO_EXPIRY]


def test_the_past_removes(hashes):
    assert hashes.command("HEXPIREAT", "h", 1, "FIELDS", 2, "a", "x") == [REMOVED, NO_FIELD]
    assert hashes.command("HPEXPIRE", "h", 0, "FIELDS", 1, "b") == [REMOVED]
    assert all_of(hashes) == {b"c": b"3"}
    assert hashes.command("HPEXPIREAT", "h", 0, "FIELDS", 1, "c") == [REMOVED]
    assert hashes.command("EXISTS", "h") == 0


def test_errors(hashes):
    hashes.command("SET", "s", "x")
    wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value"
    missing = "ERR Mandatory argument FIELDS is missing or not at the right position"
    positive = "ERR Number of fields must be a positive integer"
    match = "ERR The `numfields` parameter must match the number of arguments"
    for command, text in {
            "HEXPIRE s 10 FIELDS 1 a": wrong_type, "HTTL s FIELDS 1 a": wrong_type, "HPERSIST s FIELDS 1 a": wrong_type,
            "HGETDEL s FIELDS 1 a": wrong_type, "HGETEX s FIELDS 1 a": wrong_type, "HSETEX s FIELDS 1 a 1": wrong_type,
            "HEXPIRE h x FIELDS 1 a": "ERR value is not an integer or out of range",
            "HEXPIRE h -1 FIELDS 1 a": "ERR invalid expire time, must be >= 0",
            f"HEXPIRE h {2**46 // 1000 + 1} FIELDS 1 a": "ERR invalid expire time in 'hexpire' command",
            f"HPEXPIREAT h {2**46} FIELDS 1 a": "ERR invalid expire time in 'hpexpireat' command",
            f"HPEXPIRE h {2**46 - 1} FIELDS 1 a": "ERR invalid expire time in 'hpexpire' command",
            "HEXPIRE h 10 ZZ FIELDS 1 a": missing, "HEXPIRE h 10 NX XX FIELDS 1 a": missing,
            "HTTL h FIELD 1 a": missing, "HPERSIST h x 1 a": missing, "HGETDEL h x 1 a": missing,
            "HGETEX h x 1 a": missing, "HGETEX h EX 10 x 1 a": missing,
            "HEXPIRE h 10 FIELDS 0 a": "ERR Parameter `numFields` should be greater than 0",
            "HEXPIRE h 10 FIELDS x a": "ERR Parameter `numFields` should be greater than 0",
            "HTTL h FIELDS 0 a": positive, "HPERSIST h FIELDS -1 a": positive, "HGETDEL h FIELDS x a": positive,
            "HEXPIRE h 10 FIELDS 2 a": match, "HEXPIRE h 10 FIELDS 1 a b": match, "HTTL h FIELDS 2 a": match,
            "HPERSIST h FIELDS 1 a b": match, "HGETDEL h FIELDS 3 a b": match, "HGETEX h EX 10 FIELDS 3 a b": match,
            "HEXPIRE h 10 FIELDS 1": "ERR wrong number of arguments for 'hexpire' command",
            "HTTL h FIELDS 1": "ERR wrong number of arguments for 'httl' command",
            "HGETEX h EX 1 PX 1 FIELDS 1 a": "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified",
            "HGETEX h PXAT -1 FIELDS 1 a": "ERR invalid expire time, must be >= 0",
            "HSETEX h FNX FXX FIELDS 1 a 1": "ERR Only one of FXX or FNX arguments can be specified",
            "HSETEX h EX 1 KEEPTTL FIELDS 1 a 1":
                "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            "HSETEX h BAD FIELDS 1 a 1": "ERR unknown argument: BAD",
            "HSETEX h FIELDS 0 a 1": "ERR invalid number of fields",
            "HSETEX h FIELDS 2 a 1": "ERR wrong number of arguments for 'hsetex' command",
            "HSETEX h FIELDS 1 a 1 b 2": "ERR wrong number of arguments for 'hsetex' command",
            "HSETEX h EX 10 FNX KEEP": "ERR unknown argument: KEEP",
            "HSETEX h FNX EXAT 9999999999 FNY": "ERR unknown argument: FNY",
            "HSETEX h FIELDS 1 a 1 EX": "ERR missing expire time"}.items():
        assert error(hashes.command(*command.split())) == text, command
    assert all_of(hashes) == {b"a": b"1", b"b": b"2", b"c": b"3"}


def test_hsetex(hashes):
    assert hashes.command("HSETEX", "h", "EX", 100, "FIELDS", 2, "a", "9", "d", "4") == 1
    assert hashes.command("HTTL", "h", "FIELDS", 3, "a", "b", "d") == [about(100), NO_EXPIRY, about(100)]
    assert hashes.command("HSETEX", "h", "FNX", "FIELDS", 2, "e", "1", "a", "0") == 0
    assert hashes.command("HSETEX", "h", "FXX", "FIELDS", 2, "e", "1", "a", "0") == 0
    assert hashes.command("HSETEX", "h", "FXX", "KEEPTTL", "FIELDS", 2, "b", "8", "a", "0") == 1
    assert hashes.command("HTTL", "h", "FIELDS", 2, "a", "b") == [about(100), NO_EXPIRY]
    assert hashes.command("HSETEX", "h", "FIELDS", 1, "a", "7") == 1
    assert hashes.command("HTTL", "h", "FIELDS", 1, "a") == [NO_EXPIRY]
    assert all_of(hashes) == {b"a": b"7", b"b": b"8", b"c": b"3", b"d": b"4"}
    assert hashes.command("HSETEX", "h", "PXAT", 1, "FIELDS", 2, "a", "1", "new", "1") == 1
    assert all_of(hashes) == {b"b": b"8", b"c": b"3", b"d": b"4"}
    assert hashes.command("HSETEX", "new", "FNX", "PX", FAR, "FIELDS", 1, "f", "v") == 1
    assert hashes.command("HSETEX", "gone", "EXAT", 1, "FIELDS", 1, "f", "v") == 1
    assert hashes.command("HSETEX", "none", "FXX", "FIELDS", 1, "f", "v") == 0
    assert hashes.command("EXISTS", "new", "gone", "none") == 1


def test_hgetex_and_hgetdel(hashes):
    assert hashes.command("HGETEX", "h", "FIELDS", 2, "a", "x") == [b"1", None]
    assert hashes.command("HGETEX", "h", "EX", 100, "FIELDS", 2, "a", "b") == [b"1", b"2"]
    assert hashes.command("HGETEX", "h", "FIELDS", 1, "a") == [b"1"]
    assert hashes.command("HTTL", "h", "FIELDS", 3, "a", "b", "c") == [about(100), about(100), NO_EXPIRY]
    assert hashes.command("HGETEX", "h", "PERSIST", "FIELDS", 2, "a", "c") == [b"1", b"3"]
    assert hashes.command("HTTL", "h", "FIELDS", 2, "a", "b") == [NO_EXPIRY, about(100)]
    assert hashes.command("HGETEX", "h", "PXAT", 1, "FIELDS", 1, "a") == [b"1"]
    assert hashes.command("HGETDEL", "h", "FIELDS", 3, "a", "b", "b") == [None, b"2", None]
    assert hashes.command("HGETDEL", "h", "FIELDS", 1, "c") == [b"3"]
    assert hashes.command("EXISTS", "h") == 0


def test_writing_over_a_field(hashes):
    hashes.command("HEXPIRE", "h", 100, "FIELDS", 3, "a", "b", "c")
    hashes.command("HSET", "h", "a", "5")
    assert hashes.command("HINCRBY", "h", "b", 5) == 7
    assert hashes.command("HINCRBYFLOAT", "h", "c", "0.5") == b"3.5"
    assert hashes.command("HSETNX", "h", "b", "no") == 0
    assert hashes.command("HTTL", "h", "FIELDS", 3, "a", "b", "c") == [NO_EXPIRY, about(100), about(100)]


# --- Time passes ---

def expire_soon(client, *fields, key="h"):
    assert client.command("HPEXPIRE", key, 30, "FIELDS", len(fields), *fields) == [DONE] * len(fields)


def test_expired_fields_are_never_seen(hashes):
    assert hashes.command("DEBUG", "EXPIRE-WALK", 0) == b"OK"
    expire_soon(hashes, "a", "b")
    time.sleep(0.05)
    assert hashes.command("HGET", "h", "a") is None
    assert hashes.command("HMGET", "h", "a", "c") == [None, b"3"]
    assert hashes.command("HEXISTS", "h", "b") == 0 and hashes.command("HSTRLEN", "h", "b") == 0
    assert hashes.command("HLEN", "h") == 1 and hashes.command("HKEYS", "h") == [b"c"]
    assert all_of(hashes) == {b"c": b"3"} and hashes.command("HSCAN", "h", 0)[1] == [b"c", b"3"]
    assert hashes.command("HTTL", "h", "FIELDS", 1, "a") == [NO_FIELD]
    assert set(hashes.command("HRANDFIELD", "h", -50)) == {b"c"} and hashes.command("HRANDFIELD", "h", 5) == [b"c"]
    assert hashes.command("HDEL", "h", "a", "b") == 0
    assert hashes.command("HINCRBY", "h", "a", 3) == 3
    assert int(hashes.info("stats")["expired_subkeys"]) == 2


def test_expired_fields_of_a_large_hash_are_never_seen(hashes):
    """Too many to be removed by a look-up."""
    assert hashes.command("DEBUG", "EXPIRE-WALK", 0) == b"OK"
    names = [f"f{n}" for n in range(3000)]
    hashes.command("HSET", "big", *(x for name in names for x in (name, "v")))
    expire_soon(hashes, *names[:2900], key="big")
    time.sleep(0.06)
    assert hashes.command("HLEN", "big") == 100 and len(all_of(hashes, "big")) == 100
    assert hashes.command("HGET", "big", "f5") is None and hashes.command("HGET", "big", "f2950") == b"v"
    assert all(int(x[1:]) >= 2900 for x in hashes.command("HRANDFIELD", "big", -1000))
    assert len(set(hashes.command("HRANDFIELD", "big", 40))) == 40
    assert len(set(hashes.command("HRANDFIELD", "big", 5000))) == 100
    assert hashes.command("HSETNX", "big", "f5", "new") == 1 and hashes.command("HSET", "big", "f6", "new") == 1
    assert hashes.command("HPERSIST", "big", "FIELDS", 3, "f5", "f7", "f2990") == [NO_EXPIRY, NO_FIELD, NO_EXPIRY]
    assert hashes.command("COPY", "big", "copy") == 1 and hashes.command("HLEN", "copy") == 102
    hashes.command("DEBUG", "EXPIRE-WALK", 1)
    until(lambda: "subexpiry=0" in hashes.info("keyspace")["db0"])
    assert hashes.command("HLEN", "big") == 102


def test_a_hash_goes_with_its_last_field(hashes):
    assert hashes.command("DEBUG", "EXPIRE-WALK", 0) == b"OK"
    expire_soon(hashes, "a", "b", "c")
    time.sleep(0.05)
    assert hashes.command("EXISTS", "h") == 0 and hashes.command("TYPE", "h") == b"none"
    assert hashes.command("SET", "h", "x", "NX") == b"OK"


def test_as_in_redis_expired_fields_stay_until_asked_for(hashes):
    """Only while tests of Redis want it: DEBUG SET-ACTIVE-EXPIRE."""
    hashes.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    hashes.command("CONFIG", "RESETSTAT")
    hashes.command("HSET", "g", *(x for n in range(40) for x in (n, "v")))
    expire_soon(hashes, *range(39), key="g")
    expire_soon(hashes, "a", "b", "c")
    time.sleep(0.05)
    assert hashes.command("EXISTS", "h") == 1 and hashes.command("HLEN", "h") == 3
    assert all_of(hashes) == {} and hashes.command("HKEYS", "h") == [] and hashes.command("HSCAN", "h", 0)[1] == []
    assert hashes.command("HEXISTS", "h", "a") == 0 and hashes.command("HLEN", "h") == 2
    assert hashes.command("HGET", "h", "b") is None and hashes.command("HLEN", "h") == 1
    assert int(hashes.info("stats")["expired_subkeys"]) == 2
    assert hashes.command("HSTRLEN", "h", "c") == 0 and hashes.command("EXISTS", "h") == 0
    assert hashes.command("HDEL", "g", 0, "x") == 1 and hashes.command("HMGET", "g", 1, 2, 39) == [None, None, b"v"]
    assert hashes.command("HLEN", "g") == 37 and hashes.command("HINCRBY", "g", 3, 5) == 5
    assert hashes.command("RENAME", "g", "i") == b"OK" and hashes.command("HLEN", "i") == 37
    assert sorted(hashes.command("HRANDFIELD", "i", 50)) == [b"3", b"39"] and hashes.command("HLEN", "i") == 2
    hashes.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    assert hashes.command("HEXISTS", "i", 3) == 1


def test_statistics_are_set_back(hashes):
    expire_soon(hashes, "a")
    until(lambda: hashes.command("HLEN", "h") == 2)
    assert int(hashes.info("stats")["expired_subkeys"]) >= 1
    hashes.command("CONFIG", "RESETSTAT")
    assert int(hashes.info("stats")["expired_subkeys"]) == 0


def test_the_walk_removes_fields_and_keys(hashes):
    for n in range(200):
        hashes.command("HSET", f"k{n}", "a", 1, "b", 2)
        expire_soon(hashes, "a", *(["b"] if n % 2 else []), key=f"k{n}")
    until(lambda: hashes.info("keyspace")["db0"].startswith("keys=101,"))
    assert int(hashes.info("stats")["expired_subkeys"]) == 300
    assert "subexpiry=0" in hashes.info("keyspace")["db0"]
    assert all_of(hashes, "k0") == {b"b": b"2"}


def test_the_walk_takes_large_hashes_in_slices(client):
    """While the fields of one hash expire another client is answered, and sees some of them gone and others not."""
    count = 100_000
    for _ in range(10):  # this process may have slept all through it
        client.command("CONFIG", "RESETSTAT")
        client.command("DEBUG", "EXPIRE-WALK", 0)
        client.load(("HSET", "big", *(x for n in range(i, i + 1000) for x in (f"field:{n}", "value")))
                    for i in range(0, count, 1000))
        at = now_ms() + 1
        client.load(("HPEXPIREAT", "big", now_ms() + 200, "FIELDS", 1000, *(f"field:{n}" for n in range(i, i + 1000)))
                    for i in range(0, count, 1000))
        client.command("DEBUG", "EXPIRE-WALK", 1)
        seen = set()
        while client.command("EXISTS", "big"):
            seen.add(int(client.info("stats")["expired_subkeys"]))
            assert now_ms() < at + 60_000
        assert client.command("DEBUG", "CHECK") == b"OK"
        if any(0 < gone < count for gone in seen):
            return
    raise AssertionError("all fields went at once")


# --- What changes keep ---

def test_the_key_expires_apart_from_its_fields(hashes):
    hashes.command("HEXPIRE", "h", 100, "FIELDS", 1, "a")
    hashes.command("EXPIRE", "h", 1000)
    assert hashes.info("keyspace")["db0"].startswith("keys=1,expires=1,")
    assert hashes.command("DEBUG", "CHECK") == b"OK"
    hashes.command("PERSIST", "h")
    assert hashes.command("DEBUG", "CHECK") == b"OK"
    assert hashes.command("TTL", "h") == -1 and hashes.command("HTTL", "h", "FIELDS", 1, "a") == [about(100)]
    hashes.command("EXPIRE", "h", 1000)
    hashes.command("HPERSIST", "h", "FIELDS", 1, "a")
    assert hashes.command("TTL", "h") == about(1000)
    hashes.command("HPEXPIRE", "h", 20, "FIELDS", 1, "a")
    until(lambda: hashes.command("HLEN", "h") == 2)
    assert hashes.command("TTL", "h") == about(1000)
    hashes.command("HEXPIRE", "h", 100, "FIELDS", 1, "b")
    hashes.command("PEXPIRE", "h", 20)
    until(lambda: hashes.command("DBSIZE") == 0)


def test_expiries_move_with_the_hash(hashes):
    hashes.command("HEXPIRE", "h", 100, "FIELDS", 1, "a")
    hashes.command("COPY", "h", "copy")
    hashes.command("RENAME", "h", "renamed")
    hashes.command("MOVE", "renamed", 1)
    assert hashes.command("HTTL", "copy", "FIELDS", 2, "a", "b") == [about(100), NO_EXPIRY]
    hashes.command("SWAPDB", 0, 1)
    assert hashes.command("HTTL", "renamed", "FIELDS", 2, "a", "b") == [about(100), NO_EXPIRY]
    assert "subexpiry=1" in hashes.info("keyspace")["db0"] and "subexpiry=1" in hashes.info("keyspace")["db1"]
    hashes.command("SET", "renamed", "x")
    assert "subexpiry=0" in hashes.info("keyspace")["db0"]
    hashes.command("FLUSHALL")


def test_expiries_survive_the_conversion(client):
    client.command("CONFIG", "SET", "hash-max-listpack-entries", 20)
    names = [f"f{n}" for n in range(20)]
    client.command("HSET", "h", *(x for name in names for x in (name, "v")))
    for n, name in enumerate(names):
        client.command("HEXPIRE", "h", 1000 + n, "FIELDS", 1, name)
    assert client.command("OBJECT", "ENCODING", "h") == b"listpackex"
    client.command("HSET", "h", "one", "more")
    assert client.command("OBJECT", "ENCODING", "h") == b"hashtable"
    assert client.command("HTTL", "h", "FIELDS", 20, *names) == [about(1000 + n) for n in range(20)]


class Model:
    """A hash as a dict of values and moments, on which every command is tried in parallel."""

    def __init__(self, client, rng):
        self.client, self.rng, self.fields = client, rng, {}

    def step(self):
        name = f"f{self.rng.randrange(60)}"
        old = self.fields.get(name)
        kind = self.rng.randrange(9)
        at = now_ms() + self.rng.randrange(10**5, 10**9)
        command = self.client.command
        if kind <= 1:
            value = str(self.rng.randrange(10**6))
            assert command("HSET", "m", name, value) == (old is None)
            self.fields[name] = (value, None)
        elif kind <= 4:
            assert command("HPEXPIREAT", "m", at, "FIELDS", 1, name) == [DONE if old else NO_FIELD]
            if old:
                self.fields[name] = (old[0], at)
        elif kind == 5:
            assert command("HDEL", "m", name) == (old is not None)
            self.fields.pop(name, None)
        elif kind == 6:
            expected = NO_FIELD if not old else DONE if old[1] else NO_EXPIRY
            assert command("HPERSIST", "m", "FIELDS", 1, name) == [expected]
            if old:
                self.fields[name] = (old[0], None)
        elif kind == 7:
            assert command("HSETEX", "m", "PXAT", at, "FIELDS", 1, name, "x") == 1
            self.fields[name] = ("x", at)
        else:
            value = int(old[0]) + 1 if old and old[0] != "x" else 1
            if not old or old[0] != "x":
                assert command("HINCRBY", "m", name, 1) == value
                self.fields[name] = (str(value), old[1] if old else None)

    def check(self):
        assert all_of(self.client, "m") == {k.encode(): v[0].encode() for k, v in self.fields.items()}
        names = [f"f{n}" for n in range(60)]
        expected = [NO_FIELD if n not in self.fields else self.fields[n][1] or NO_EXPIRY for n in names]
        assert self.client.command("HPEXPIRETIME", "m", "FIELDS", 60, *names) == expected
        assert self.client.command("DEBUG", "CHECK") == b"OK"


def test_model(hashes, seed, scale):
    print(f"seed {seed}")
    model = Model(hashes, random.Random(seed))
    for n in range(scale(3000)):
        model.step()
        if n % 100 == 0:
            model.check()
    model.check()


# --- HSCAN ---

@pytest.mark.parametrize("count", [20, 2000])
def test_scan_without_values(client, count):
    names = {f"field:{n}".encode() for n in range(count)}
    client.command("HSET", "h", *(x for name in names for x in (name, "v")))
    cursor, seen = b"0", []
    while True:
        cursor, page = client.command("HSCAN", "h", cursor, "NOVALUES", "COUNT", 50, "MATCH", "field:*")
        seen += page
        if cursor == b"0":
            break
    assert len(seen) == count and set(seen) == names


# --- Large replies ---

COUNT = 50_000


@pytest.fixture
def large(client, protocol):
    client.load(("HSET", "big", *(x for n in range(i, i + 100) for x in (f"field:{n}", n)))
                for i in range(0, COUNT, 100))
    return client


def is_whole(reply):
    return reply == {f"field:{n}".encode(): str(n).encode() for n in range(COUNT)}


def test_large_replies(large):
    assert is_whole(all_of(large, "big"))
    assert sorted(large.command("HKEYS", "big")) == sorted(f"field:{n}".encode() for n in range(COUNT))
    assert sorted(map(int, large.command("HVALS", "big"))) == list(range(COUNT))
    large.command("MULTI")
    large.command("HKEYS", "big")
    [names] = large.command("EXEC")
    assert len(set(names)) == COUNT


def changes_meanwhile(server, large, *change):
    """What HGETALL answers when another client changes the hash while it is under way."""
    with Client(server.port) as other:
        with hold(other, 3):
            begin(large, "HGETALL", "big")
            held(other)
            with Client(server.port) as writer:
                writer.send(*change)
                other.command("PING")
                other.command("DEBUG", "TASK-STEPS", -1)
                writer.read()
        reply = large.read().value
        return reply if isinstance(reply, dict) or isinstance(reply, ErrorReply) else dict(zip(reply[::2], reply[1::2]))


def test_large_replies_are_one_state_of_the_hash(server, large):
    assert is_whole(changes_meanwhile(server, large, "SET", "other", "x"))
    for n in range(3):
        reply = changes_meanwhile(server, large, "HSET", "big", f"field:{n}", "new", f"field:{n + 1000}", "new")
        new = [field for field, value in reply.items() if value == b"new"]
        assert len(reply) == COUNT and len(new) in (2 * n, 2 * n + 2)
    reply = changes_meanwhile(server, large, "DEL", "big")
    assert len(reply) in (0, COUNT)
    large.command("HSET", "big", "a", 1)
    large.command("DEL", "big")


def test_others_are_served_during_large_replies(server, large):
    with Client(server.port) as other:
        assert steps_of(large, other, "HGETALL", "big") > 10
        assert len(large.read().value) in (COUNT, 2 * COUNT)
