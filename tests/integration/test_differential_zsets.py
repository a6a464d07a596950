"""Sorted sets against redis-server: chosen cases, then thousands of random commands in every encoding and across."""
import pytest

from harness.differential import DifferentialRun
from zset_generators import SortedSets, contents

LIMITS = {  # zset-max-listpack-entries, zset-max-listpack-value
    "packed": (1000, 1000),
    "tree": (0, 64),
    "converting": (8, 20),
}


@pytest.fixture(params=LIMITS)
def limits(pair, request):
    entries, value = LIMITS[request.param]
    for client in pair.both:
        assert client.command("CONFIG", "SET", "zset-max-listpack-entries", entries) == b"OK"
        assert client.command("CONFIG", "SET", "zset-max-listpack-value", value) == b"OK"
    return request.param


def test_add(pair, limits):
    pair.same("ZADD z 1 a 2 b", "ZADD z 1 a", "ZADD z 3 a", "ZADD z CH 4 a 5 c", "ZADD z NX 9 a 9 d",
              "ZADD z XX 7 a 7 e", "ZADD z GT 1 a", "ZADD z GT CH 8 a", "ZADD z LT CH 2 a", "ZADD z INCR 1.5 a",
              "ZADD z NX INCR 1 a", "ZADD z XX INCR 1 new", "ZADD new XX 1 a", "EXISTS new", "ZADD z 1", "ZADD z",
              "ZADD z x a", "ZADD z NX XX 1 a", "ZADD z GT LT 1 a", "ZADD z GT NX 1 a", "ZADD z INCR 1 a 2 b",
              "ZADD z 1 a x b", "ZADD z nan a", "ZRANGE z 0 -1 WITHSCORES", "SET s text", "ZADD s 1 a", "ZADD s x a",
              "ZINCRBY s 1 a", "OBJECT ENCODING z")


def test_scores(pair, limits):
    for score in ("-0", "0", "1e17", "1e22", "1e21", "4611686018427387904", "4611686018427387903", "9007199254740993",
                  "0.1", "1e-7", "5e-324", "inf", "-inf", "3.0", "0x10", "1e308", "17179869184.5"):
        pair.same("DEL z", f"ZADD z {score} m", "ZSCORE z m", "ZRANGE z 0 -1 WITHSCORES", f"ZINCRBY z {score} m",
                  "ZMSCORE z m x m", "ZINCRBY z -inf m", "ZSCORE z m", "ZINCRBY z inf m", "ZSCORE z m")


def test_ranks(pair, limits):
    pair.same("ZADD z 1 a 1 b 1 ab 2 c -1 d", "ZRANK z a", "ZRANK z ab", "ZREVRANK z a", "ZRANK z none", "ZRANK none a",
              "ZRANGE z 0 0", "ZRANGE z -2 -1", "ZRANGE z 5 9", "ZRANGE z 3 1", "ZRANGE z -100 100 REV WITHSCORES",
              "ZREVRANGE z 0 1", "ZREVRANGE z 0 -1 WITHSCORES", "ZRANGE z 0 1 LIMIT 0 1", "ZRANGE z 0 1 LIMIT 0 -1",
              "ZRANGE z a 1", "ZRANGE z 0 1 REV REV", "ZRANGE z 0 1 BYSCORE BYLEX", "ZRANGE z 0", "ZREVRANGE z 0 1 REV")


def test_scores_as_bounds(pair, limits):
    pair.same("ZADD z 1 a 1 b 2 c 3 d inf e -inf f", "ZCOUNT z 1 2", "ZCOUNT z (1 2", "ZCOUNT z -inf +inf",
              "ZCOUNT z (-inf (inf", "ZCOUNT z 2 1", "ZCOUNT z (1 (1", "ZCOUNT z 1 (1", "ZCOUNT z x 1",
              "ZCOUNT z nan 1", ("ZCOUNT", "z", "", "1"), ("ZCOUNT", "z", " 1", "2"), ("ZCOUNT", "z", "1\x00x", "2"),
              ("ZCOUNT", "z", "(", "2"), "ZRANGEBYSCORE z 1 3 LIMIT 1 2", "ZRANGEBYSCORE z 1 3 WITHSCORES LIMIT 0 -1",
              "ZRANGEBYSCORE z 1 3 LIMIT -1 2", "ZREVRANGEBYSCORE z 3 1 LIMIT 1 2",
              "ZRANGE z 3 1 BYSCORE REV LIMIT 0 1", "ZRANGE z (1 +inf BYSCORE", "ZREMRANGEBYSCORE z (1 (3",
              "ZREMRANGEBYSCORE z 1 1", "ZRANGE z 0 -1", "ZREMRANGEBYSCORE z -inf inf", "EXISTS z", "ZCOUNT none x 1",
              "ZREMRANGEBYRANK none 0 x")


def test_texts(pair, limits):
    pair.same("ZADD z 0 a 0 aa 0 b 0 c 0 1 0 2", ("ZADD", "z", 0, ""), "ZLEXCOUNT z - +", "ZLEXCOUNT z + -",
              "ZLEXCOUNT z - -", "ZLEXCOUNT z + +", "ZLEXCOUNT z [a (b", "ZLEXCOUNT z (a [b", "ZLEXCOUNT z (a (a",
              "ZLEXCOUNT z [a [a", "ZLEXCOUNT z a b", "ZLEXCOUNT z [ +", "ZLEXCOUNT z ( +",
              "ZRANGEBYLEX z [a + LIMIT 1 1", "ZREVRANGEBYLEX z + [a", "ZREVRANGEBYLEX z [b - LIMIT 1 2",
              "ZRANGE z [a (c BYLEX", "ZRANGE z (c [a BYLEX REV", "ZRANGE z [a (c BYLEX WITHSCORES",
              "ZRANGEBYLEX z [a (c WITHSCORES", "ZREMRANGEBYLEX z [a (b", "ZRANGE z 0 -1", "ZREMRANGEBYLEX z - +",
              "EXISTS z")


def test_pop(pair, limits):
    pair.same("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", "ZPOPMIN z", "ZPOPMAX z", "ZPOPMIN z 0", "ZPOPMIN z -1", "ZPOPMIN z x",
              "ZPOPMAX z 2", "ZPOPMIN z 1 1", "ZPOPMIN none", "ZPOPMIN none 2", "ZMPOP 2 none z MIN", "ZADD z 1 a 2 b",
              "ZMPOP 1 z MAX COUNT 2", "ZMPOP 1 none MIN", "ZMPOP 0 z MIN", "ZMPOP 1 z", "ZMPOP 1 z MIN COUNT 0",
              "ZMPOP 1 z BOTH", "BZPOPMIN z 0", "EXISTS z", "ZADD z 1 a 2 b 3 c", "BZPOPMIN none z 0", "BZPOPMAX z 0",
              "BZMPOP 0 1 z MIN COUNT 9", "BZPOPMIN z x", "BZPOPMIN z -1", "BZPOPMIN z 1e300", "BZMPOP 0 0 z MIN",
              "BZMPOP x 1 z MIN", "SET s text", "BZPOPMIN s z 0", "ZPOPMIN s 0", "MULTI", "BZPOPMIN none 0",
              "BZMPOP 0 1 none MAX", "BZPOPMAX s 0", "EXEC")


def test_algebra(pair, limits):
    pair.same("ZADD a 1 x 2 y inf w", "ZADD b 10 y 20 z -inf w", "SADD s y w q", "SET str text",
              "ZUNION 2 a b WITHSCORES", "ZINTER 2 a b WITHSCORES", "ZDIFF 2 a b WITHSCORES",
              "ZUNION 2 a s WITHSCORES", "ZINTER 2 s b WITHSCORES WEIGHTS 3 2",
              "ZINTER 3 s a b AGGREGATE MIN WITHSCORES", "ZDIFF 2 s a", "ZUNION 1 s WITHSCORES",
              "ZUNION 2 a a WITHSCORES AGGREGATE MAX", "ZUNION 2 a none", "ZINTER 2 a none",
              "ZUNION 2 a b WEIGHTS 0 inf WITHSCORES", "ZINTERCARD 2 a b", "ZINTERCARD 2 a b LIMIT 1",
              "ZINTERCARD 2 a b LIMIT -1", "ZUNIONSTORE d 2 a b WEIGHTS 2 3", "ZRANGE d 0 -1 WITHSCORES",
              "OBJECT ENCODING d", "ZINTERSTORE d 2 d none", "EXISTS d", "ZDIFFSTORE a 2 a b", "ZRANGE a 0 -1",
              "ZUNION 2 a str", "ZUNION 0 a", "ZUNION 3 a b", "ZUNION 1 a WEIGHTS", "ZUNION 1 a WEIGHTS x",
              "ZUNION 1 a AGGREGATE AVG", "ZDIFF 1 a WEIGHTS 1", "ZUNIONSTORE d 1 a WITHSCORES", "ZDIFFSTORE str 1 b",
              "TYPE str", "ZRANGESTORE d b 0 -1", "ZRANGE d 0 -1", "ZRANGESTORE d b 5 9", "EXISTS d",
              "ZRANGESTORE b b 0 0", "ZCARD b", "ZRANGESTORE d b 0 0 WITHSCORES")


def test_algebra_of_large_inputs(pair, limits):
    """Plain sets of integers and of texts, beside sorted ones."""
    many = [x for i in range(0, 4000, 2) for x in (i / 8, i)]
    pair.same(("ZADD", "z", *many), ("ZADD", "y", *(x for i in range(900) for x in (-i, f"m{i}"))),
              ("SADD", "numbers", *range(0, 3000, 3)), ("SADD", "texts", *(f"m{i}" for i in range(500, 1500))),
              ("SADD", "few", 0, 6, "m600", "m899", "none"))
    for keys in ("2 z numbers", "3 z numbers few", "2 y texts", "2 texts y", "4 z y numbers texts", "2 few y",
                 "2 numbers texts"):
        pair.same(*(f"{name} {keys}{tail}" for name in ("ZUNION", "ZINTER", "ZDIFF") for tail in ("", " WITHSCORES")),
                  f"ZINTERCARD {keys}", f"ZINTERCARD {keys} LIMIT 7", f"ZUNIONSTORE d {keys}", "ZCARD d",
                  "OBJECT ENCODING d", f"ZINTERSTORE d {keys} AGGREGATE MAX", "ZRANGE d 0 -1 WITHSCORES",
                  f"ZDIFFSTORE d {keys}", "ZRANGE d 0 -1")


@pytest.mark.parametrize("count", [1, 7, 8, 9, 127, 128, 129, 300])
def test_encodings(pair, limits, count):
    pairs = [x for i in range(count) for x in (i, f"m{i}")]
    pair.same(("ZADD", "z", *pairs), "OBJECT ENCODING z", "ZRANGESTORE d z 0 -1", "OBJECT ENCODING d",
              "ZUNIONSTORE u 1 z", "OBJECT ENCODING u", ("ZADD", "z", 1, "y" * 21), "OBJECT ENCODING z",
              ("ZADD", "z", 1, "y" * 65), "OBJECT ENCODING z", "ZREMRANGEBYRANK z 1 -1", "OBJECT ENCODING z",
              "COPY z c", "ZRANGE c 0 -1 WITHSCORES", "OBJECT ENCODING c")


def test_keys(pair):
    pair.same("COMMAND GETKEYSANDFLAGS zunionstore d 2 a b WEIGHTS 1 2", "COMMAND GETKEYSANDFLAGS zunion 2 a b",
              "COMMAND GETKEYS zunion 3 a b", "COMMAND GETKEYS zdiff x a",
              "COMMAND GETKEYSANDFLAGS bzpopmin a b 0", "COMMAND GETKEYSANDFLAGS bzmpop 0 2 a b MIN",
              "COMMAND GETKEYSANDFLAGS zmpop 2 a b MAX", "COMMAND GETKEYSANDFLAGS zrangestore d s 0 -1",
              "COMMAND GETKEYSANDFLAGS zadd z 1 a", "COMMAND GETKEYSANDFLAGS zrange z 0 1",
              "COMMAND GETKEYS zintercard 1 a")


def test_random_commands(pair, limits, seed, scale):
    generate = SortedSets()
    DifferentialRun(pair, generate, seed).run(scale(8_000))
    pair.same(*contents())


def test_random_commands_on_many_members(pair, limits, seed, scale):
    """Trees of several nodes."""
    if limits == "packed":
        pytest.skip("a listpack of so many is no use to anybody")
    generate = SortedSets(members=3000)
    for i in range(4):
        pairs = [x for member in range(i * 500, i * 500 + 2000) for x in (member * 7 % 50 - 20, f"member{member}")]
        pair.same(("ZADD", f"z{i}", *pairs))
    pair.same(("ZADD", "l0", *(x for member in range(2500) for x in (0, f"member{member}"))))
    DifferentialRun(pair, generate, seed).run(scale(2_000))
    pair.same(*contents())
