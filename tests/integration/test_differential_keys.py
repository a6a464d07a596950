"""Commands on keys of any type, and expiry, against redis-server."""
import time

import pytest

from generators import Keys
from harness.differential import DifferentialRun


def test_existence(pair):
    pair.same("MSET a 1 b 2", "EXISTS a b c a", "TOUCH a c", "TYPE a", "TYPE c", "DEL a c", "UNLINK b b", "DBSIZE",
              "DEL", "EXISTS")


def test_rename_and_copy(pair):
    pair.same("SET a 1 EX 100", "RENAME a b", "TTL b", "RENAME a b", "RENAME b b", "RENAME x x", "SET c 2",
              "RENAMENX b c", "COPY b c", "COPY b c REPLACE", "TTL c", "COPY b b", "COPY b d DB 0", "COPY b b DB 1",
              "SELECT 1", "TTL b", "MOVE b 0", "MOVE b 1", "MOVE b 2", "SELECT 2", "GET b", "COPY b z DB 99",
              "MOVE b 99", "COPY x y")


def test_expiry_conditions(pair):
    pair.same("SET k v", "EXPIRE k 100 XX", "EXPIRE k 100 GT", "EXPIRE k 100 LT", "TTL k", "EXPIRE k 200 NX",
              "EXPIRE k 200 GT", "TTL k", "EXPIRE k 300 LT", "PEXPIRE k 50000 LT", "TTL k", "PERSIST k", "PERSIST k",
              "TTL k", "EXPIRE k 10 NX GT", "EXPIRE k 10 GT LT", "EXPIRE k 10 BAD", "EXPIRE k x",
              "EXPIRE k 9223372036854775807", "PEXPIREAT k 9999999999999", "EXPIRETIME k", "PEXPIRETIME k",
              "EXPIREAT k 1", "EXISTS k", "TTL k", "EXPIRETIME k", "EXPIRE k 10", "EXPIRE nothing x")


def test_nobody_sees_an_expired_key(pair):
    """Whatever asks after the deadline, however late the server gets round to removing it."""
    reads = ["GET e", "EXISTS e", "TTL e", "PTTL e", "TYPE e", "STRLEN e", "OBJECT ENCODING e", "GETRANGE e 0 -1",
             "MGET e", "KEYS e*", "GETBIT e 0", "TOUCH e", "PERSIST e", "EXPIRE e 10", "RENAME e f", "COPY e f",
             "GETDEL e", "GETEX e", "DEL e", "APPEND e x", "INCR e", "SETNX e 1", "SET e 1 XX", "SET e 1 GET",
             "SETRANGE e 1 x", "MSETNX e 1", "RENAMENX f e", "GETSET e 2"]
    for read in reads:
        pair.same("SET f 5", "SET e 123 PX 15")
        time.sleep(0.03)
        pair.same(read, "GET e", "TTL e", "DEL e f")


def test_databases(pair):
    pair.same("SET k zero", "SELECT 1", "GET k", "SET k one", "SWAPDB 0 1", "GET k", "SELECT 0", "GET k", "FLUSHDB",
              "DBSIZE", "SELECT 1", "DBSIZE", "FLUSHALL ASYNC", "DBSIZE", "SELECT 16", "SELECT -1", "SELECT x",
              "SWAPDB 0 99", "SWAPDB x 0", "FLUSHDB BAD")


def test_patterns(pair):
    names = ["one", "two", "three", "h?llo", "hallo", "hello", "h[a]llo", "a\\b", "UPPER", "", "\x00bin", "é"]
    pair.same(("MSET", *(x for name in names for x in (name, 1))))
    for pattern in ["*", "h?llo", "h[ae]llo", "h[^e]llo", "h[a-b]llo", "h\\?llo", "h\\[a\\]llo", "t*", "*e", "*e*",
                    "**", "[", "[a", "\\", "", "?", "u*", "[b-a]*", "h[]llo", "h[\\]a]llo", "a\\\\b", "*\\", "[^",
                    "??????*"]:
        pair.same(("KEYS", pattern))


def test_scan_sees_everything_once_or_more(pair):
    names = {f"key:{i}".encode() for i in range(500)}
    for client in pair.both:
        client.load(("SET", name, 1) for name in names)
        found, cursor = set(), b"0"
        while True:
            cursor, page = client.command("SCAN", cursor, "COUNT", 7)
            found.update(page)
            if cursor == b"0":
                break
        assert found == names
    pair.same("SCAN 0 COUNT 1000 MATCH nothing*", "SCAN 0 COUNT 1000 TYPE list", "SCAN 0 COUNT 1000 TYPE nosuchtype")


@pytest.mark.parametrize("create", ["LPUSH t a", "HSET t f v", "SADD t a", "ZADD t 1 a"])
def test_string_commands_on_other_types(pair, create):
    """Which come first of all the errors that a command could answer."""
    pair.same(create, "GET t", "STRLEN t", "INCR t", "INCRBY t x", "INCRBYFLOAT t 1", "APPEND t x", "GETRANGE t 0 1",
              "SETRANGE t 1 x", "SETRANGE t -1 x", "GETSET t x", "GETDEL t", "GETEX t EX 10", "MGET t nothing",
              "SET t x GET", "SET t x NX", "SETNX t x", "GETBIT t 1", "SETBIT t 1 1", "SETBIT t x 1", "BITCOUNT t",
              "BITPOS t 1", "BITOP NOT d t", "BITFIELD t GET u8 0", "LCS t t", "TYPE t", "EXPIRE t 100", "RENAME t u",
              "COPY u t", "TYPE t", "TTL t", "EXISTS t u", "SET t string", "GET t", "DEL t u")


def test_random_commands(pair, seed, scale):
    DifferentialRun(pair, Keys(), seed).run(scale(15_000))
