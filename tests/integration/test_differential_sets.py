"""Set commands against redis-server: chosen cases, then thousands of random commands for each way to keep a set.

redis-server 7.0 knows no packed sets of text: where it says hashtable, ours may say listpack.
"""
import pytest

from generators import KEYS
from harness.differential import DifferentialRun
from set_generators import Sets

SERVER_OPTIONS = ("--enable-debug-command", "yes")
THRESHOLDS = ("set-max-intset-entries", "set-max-listpack-entries", "set-max-listpack-value")


@pytest.fixture
def thresholds(pair):
    """A function that sets them on both servers, as far as they have them; the defaults come back."""
    def set_to(*values):
        for client in pair.both:
            for name, value in zip(THRESHOLDS, values):
                client.command("CONFIG", "SET", name, value)
    yield set_to
    set_to(512, 128, 64)


def same_encodings(pair):
    for key in KEYS:
        ours, theirs = (client.command("OBJECT", "ENCODING", key) for client in pair.both)
        assert ours == theirs or (ours, theirs) == (b"listpack", b"hashtable"), (key, ours, theirs)


def same_contents(pair):
    for key in KEYS:
        if pair.same(("TYPE", key)) == [b"set"]:
            pair.same(("SMEMBERS", key), ("SCARD", key))


def test_adding_and_removing(pair):
    pair.same("SADD s a b c", "SADD s a b c d", "SADD s d d e e", "SCARD s", "SMEMBERS s", "SREM s a x b", "SREM s a",
              "SMEMBERS s", "SISMEMBER s c", "SISMEMBER s a", "SMISMEMBER s a c x", "SISMEMBER none a",
              "SMISMEMBER none a b", "SREM s c d e", "EXISTS s", "SREM s c", "SCARD s", "SMEMBERS s")


def test_integers_and_what_looks_like_them(pair):
    pair.same("SADD n 1 2 3", "OBJECT ENCODING n", "SADD n 1 01 +1", "SISMEMBER n 1", "SISMEMBER n 01",
              "SISMEMBER n 001", "SMEMBERS n", ("SADD", "n", " 1", "1 ", "", "-0", "0"), "SCARD n", "SMEMBERS n",
              ("SADD", "w", 1, 2**15, 2**31, 2**63 - 1, -2**63), "OBJECT ENCODING w", "SMEMBERS w", "SADD w -1",
              "SMEMBERS w", ("SADD", "w", 2**63), "SMEMBERS w", ("SISMEMBER", "w", 2**63))


def test_wrong_types_and_arity(pair):
    pair.same("SET str x", "SADD str a", "SREM str a", "SISMEMBER str a", "SMISMEMBER str a", "SMEMBERS str",
              "SCARD str", "SPOP str", "SPOP str 1", "SRANDMEMBER str", "SRANDMEMBER str 1", "SINTER str", "SUNION str",
              "SDIFF str", "SINTERCARD 1 str", "SINTERSTORE d str", "SUNIONSTORE d str", "SDIFFSTORE d str",
              "SMOVE str d a", "SMOVE none str a", "SSCAN str 0", "SSCAN str x", "SSCAN str 0 JUNK",
              "SADD s", "SADD", "SREM s", "SISMEMBER s", "SISMEMBER s a b", "SMISMEMBER s", "SMEMBERS", "SMEMBERS s t",
              "SCARD", "SPOP", "SPOP s 1 2", "SRANDMEMBER", "SRANDMEMBER s 1 2", "SMOVE s d", "SINTER", "SINTERSTORE d",
              "SINTERCARD 1", "SSCAN s", "SADD s a", "SINTER none str", "SINTER str none", "SDIFF none str",
              "SINTERSTORE d none str", "SINTERSTORE str none", "GET str", "SET str x", "SADD s a",
              "SUNIONSTORE str s", "TYPE str")


def test_moving(pair):
    pair.same("SADD a 1 2 3", "SADD b 3 4", "SMOVE a b 1", "SMOVE a b 3", "SMOVE a b 9", "SMEMBERS a", "SMEMBERS b",
              "SMOVE a a 2", "SMOVE a a 9", "SMOVE a c 2", "EXISTS a", "SMEMBERS c", "SMOVE a c 2", "SET str x",
              "SMOVE c str 2", "SMOVE c str 9", "SMOVE str c 2", "SMOVE none str 2", "SMOVE c b text", "SADD c text",
              "SMOVE c b text", "SMEMBERS b", "SMEMBERS c")


def test_random_ones(pair):
    pair.same("SADD s a b c", "SRANDMEMBER s", "SRANDMEMBER s 2", "SRANDMEMBER s 3", "SRANDMEMBER s 30",
              "SRANDMEMBER s -30", "SRANDMEMBER s 0", "SRANDMEMBER none", "SRANDMEMBER none 2", "SRANDMEMBER none -2",
              ("SRANDMEMBER", "s", -2**63), ("SRANDMEMBER", "none", -2**63), ("SRANDMEMBER", "s", 2**63),
              "SRANDMEMBER s x", "SPOP s 0", "SPOP s -1", "SPOP s x", ("SPOP", "s", 2**63), "SPOP none", "SPOP none 2",
              "SPOP none 0", "SPOP s 3", "EXISTS s", "SADD s a", "SPOP s", "EXISTS s", "SADD s 1 2 3", "SPOP s 100",
              "EXISTS s")


def test_algebra(pair):
    pair.same("SADD a 1 2 3 x y", "SADD b 2 3 4 y z", "SADD c 3 y q", "SINTER a b c", "SINTER a", "SINTER a none",
              "SUNION a b c", "SUNION none", "SUNION a a a", "SDIFF a b", "SDIFF a b c", "SDIFF none a", "SDIFF a none",
              "SDIFF a a", "SINTERSTORE d a b", "SMEMBERS d", "SUNIONSTORE d a b c", "SMEMBERS d", "SDIFFSTORE d d c",
              "SMEMBERS d", "SINTERSTORE d none a", "EXISTS d", "SUNIONSTORE a a b", "SMEMBERS a",
              "SINTERCARD 2 a b", "SINTERCARD 2 a b LIMIT 2", "SINTERCARD 2 a none", "SINTERCARD 1 none LIMIT 1",
              "SET e x EX 100", "SUNIONSTORE e c", "TTL e", "SUNIONSTORE e none", "SUNIONSTORE e none")


def test_difference_both_ways(pair):
    """The second way is chosen where looking all members up in all sets would cost more than reading all sets."""
    pair.same(("SADD", "a", *range(500), *(f"m{n}" for n in range(500))), *(("SADD", f"b{n}", n, f"m{n}", "junk")
              for n in range(20)), ("SDIFF", "a", *(f"b{n}" for n in range(20))), ("SDIFFSTORE", "d", "a",
              *(f"b{n}" for n in range(20))), "SMEMBERS d", "SDIFF a d", "SDIFF b1 a")


def test_conversions(pair):
    pair.same(("SADD", "n", *range(512)), "OBJECT ENCODING n", "SADD n 512", "OBJECT ENCODING n", "SCARD n",
              "SREM n 512", "OBJECT ENCODING n", ("SADD", "m", *range(513)), "OBJECT ENCODING m", "SMEMBERS m",
              ("SADD", "t", *(f"t{n}" for n in range(129))), "OBJECT ENCODING t", "SMEMBERS t",
              ("SADD", "l", "x" * 65), "OBJECT ENCODING l", "SUNIONSTORE u n t l", "OBJECT ENCODING u", "SCARD u",
              "SINTERSTORE i n m", "OBJECT ENCODING i", "SADD k 1 2 3", "SUNIONSTORE v k", "OBJECT ENCODING v")


@pytest.mark.parametrize("limits", [(512, 128, 64), (6, 8, 10), (0, 4, 64), (16, 0, 0)], ids=str)
@pytest.mark.parametrize("pool", ["intset", "listpack", "hashtable", "all"])
def test_random_commands(pair, thresholds, seed, scale, pool, limits):
    thresholds(*limits)
    run = DifferentialRun(pair, Sets(pool), seed)
    for part in range(4):
        run.seed = seed + part
        run.run(scale(600))
        same_encodings(pair)
    same_contents(pair)
