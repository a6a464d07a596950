"""Hash commands against redis-server: chosen cases, then thousands of random commands for each way to keep a hash."""
import pytest

from generators import KEYS
from harness.differential import DifferentialRun
from hash_generators import Hashes

SERVER_OPTIONS = ("--enable-debug-command", "yes")


@pytest.fixture
def thresholds(pair):
    """A function that sets entries and value on both servers; the defaults come back."""
    def set_to(entries, value):
        for client in pair.both:
            client.command("CONFIG", "SET", "hash-max-listpack-entries", entries, "hash-max-listpack-value", value)
    yield set_to
    set_to(512, 64)


def same_contents(pair):
    for key in KEYS:
        if pair.same(("TYPE", key)) == [b"hash"]:
            pair.same(("HGETALL", key), ("HLEN", key), ("HKEYS", key), ("OBJECT", "ENCODING", key))
    assert pair.server.command("DEBUG", "CHECK") == b"OK"


def test_setting_and_getting(pair):
    pair.same("HSET h a 1 b 2", "HSET h a 2 c 3", "HGET h a", "HGET h x", "HGET none a", "HMGET h a x b",
              "HMGET none a", "HMSET h d 4", "HLEN h", "HLEN none", "HEXISTS h a", "HEXISTS h x", "HEXISTS none x",
              "HSTRLEN h a",
              "HSTRLEN h x", "HSTRLEN none x", "HSETNX h a 9", "HSETNX h e 5", "HSETNX new e 5", "HGETALL h",
              "HKEYS h", "HVALS h", "HGETALL none", "HKEYS none", "HVALS none", ("HSET", "h", "", ""),
              ("HGET", "h", ""))


def test_deleting(pair):
    pair.same("HSET h a 1 b 2 c 3", "HDEL h a x b", "HDEL h a", "HGETALL h", "HDEL h c c", "EXISTS h", "HDEL h c",
              "HDEL none a")


def test_wrong_types_and_arity(pair):
    commands = ["HSET s a 1", "HSETNX s a 1", "HMSET s a 1", "HGET s a", "HMGET s a", "HGETALL s", "HKEYS s", "HVALS s",
                "HLEN s", "HSTRLEN s a", "HEXISTS s a", "HDEL s a", "HINCRBY s a 1", "HINCRBY s a x",
                "HINCRBYFLOAT s a 1", "HINCRBYFLOAT s a x", "HRANDFIELD s", "HRANDFIELD s 1", "HRANDFIELD s x",
                "HRANDFIELD s 1 x", "HSCAN s 0", "HSCAN s x", "HSCAN s 0 COUNT 0", "HSET h a", "HSET h a 1 b",
                "HMSET h a 1 b", "HSET s a 1 b", "HSET h", "HSET", "HSETNX h a", "HSETNX h a 1 b", "HGET h",
                "HGET h a b", "HMGET h", "HGETALL", "HGETALL h x", "HLEN h x", "HSTRLEN h", "HEXISTS h", "HDEL h",
                "HINCRBY h a", "HINCRBYFLOAT h a", "HSCAN h"]
    pair.same("SET s x", *commands, "HSET h a 1", *commands, "SET h x", "TYPE h")


def test_counters(pair):
    pair.same("HINCRBY h n 5", "HINCRBY h n -7", "HGET h n", "HINCRBY h n 9223372036854775807",
              "HINCRBY h n 9223372036854775807", "HSET h n 9223372036854775807", "HINCRBY h n 1", "HSET h n 1.5",
              "HINCRBY h n 1", ("HSET", "h", "n", " 1"), "HINCRBY h n 1", "HSET h n 01", "HINCRBY h n 1",
              "HINCRBY h n x", "HGETALL h")


def test_floats(pair):
    pair.same("HINCRBYFLOAT h f 0.1", "HINCRBYFLOAT h f 0.2", "HINCRBYFLOAT h f 1e17", "HINCRBYFLOAT h f -5.0e3",
              "HINCRBYFLOAT h f inf", "HINCRBYFLOAT h f nan", "HINCRBYFLOAT h f x", "HSET h f 3.0e3",
              "HINCRBYFLOAT h f 200", "HSET h f 1e4900", "HINCRBYFLOAT h f 1", "HSET h f inf", "HINCRBYFLOAT h f 1",
              "HSET h f x", "HINCRBYFLOAT h f 1", ("HSET", "h", "f", "1 "), "HINCRBYFLOAT h f 1", "HSET h f 10.50",
              "HINCRBYFLOAT h f 0.1", "HINCRBYFLOAT new f 3", "OBJECT ENCODING new", "HGETALL h")


def test_random_fields(pair):
    pair.same("HSET h a 1", "HRANDFIELD h", "HRANDFIELD h 1", "HRANDFIELD h 1 WITHVALUES", "HRANDFIELD h -3 WITHVALUES",
              "HRANDFIELD h 5 WITHVALUES", "HRANDFIELD h 0", "HRANDFIELD h 0 WITHVALUES", "HRANDFIELD none",
              "HRANDFIELD none 3", "HRANDFIELD none -3 WITHVALUES", "HRANDFIELD h x", "HRANDFIELD h 1 JUNK",
              ("HRANDFIELD", "h", -2**63), ("HRANDFIELD", "h", -2**63 + 1, "WITHVALUES"),
              ("HRANDFIELD", "h", 2**62, "WITHVALUES"), ("HRANDFIELD", "h", 2**62 - 1, "WITHVALUES"),
              ("HRANDFIELD", "none", -2**63 + 1))


def test_scans(pair):
    pair.same("HSET h aa 1 ab 2 b 3", "HSCAN h 0", "HSCAN h 0 MATCH a*", "HSCAN h 0 MATCH a* COUNT 1", "HSCAN none 0",
              "HSCAN none 7", "HSCAN none 0 COUNT 0", "HSCAN h 0 COUNT 0", "HSCAN h 0 COUNT x", "HSCAN h 0 MATCH",
              "HSCAN h x", "HSCAN h 0 JUNK", "HSCAN h 18446744073709551616")


@pytest.mark.parametrize("length", [1, 63, 64, 65])
def test_conversion_by_length(pair, length):
    text = "x" * length
    for commands in ((("HSET", "h", text, 1),), (("HSET", "h", "a", text),), (("HSETNX", "h", "a", text),),
                     (("HSET", "h", "a", 1, "b", text, "c", 2),), (("HMSET", "h", "a", 1), ("HSET", "h", "a", text)),
                     (("HINCRBY", "h", text, 1),), (("HINCRBYFLOAT", "h", text, 1.5),)):
        pair.same("DEL h", *commands, "OBJECT ENCODING h", "HGETALL h", "HSET h a 1", "OBJECT ENCODING h")


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_conversion_by_count(pair, thresholds, limit):
    thresholds(limit, 64)
    for n in range(8):
        pair.same(("HSET", "h", f"f{n}", n), "OBJECT ENCODING h", "HGETALL h")
    pair.same("HSET m a 1 a 2 a 3 a 4 a 5 a 6 a 7", "OBJECT ENCODING m", "HSET m a 1 b 2 c 3 d 4 e 5 f 6",
              "OBJECT ENCODING m", "HDEL m a b c d e", "OBJECT ENCODING m", "HGETALL m")


@pytest.mark.parametrize("pool, entries, value, count", [("listpack", 512, 64, 8000), ("hashtable", 0, 64, 8000),
                                                         ("conversion", 12, 10, 12_000)])
def test_random_commands(pair, seed, scale, thresholds, pool, entries, value, count):
    thresholds(entries, value)
    DifferentialRun(pair, Hashes(pool), seed).run(scale(count))
    same_contents(pair)
