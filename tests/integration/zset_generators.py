"""Random commands on sorted sets, for the differential tests.

Keys z0 to z4 have any scores; in l0 to l2 all are 0, and only they are asked for ranges by text, which redis-server
leaves open elsewhere. s0 and s1 are plain sets, str a string. Members are few, so that commands meet what others left.
"""
from generators import BAD_NUMBERS, Generator

ZKEYS = [f"z{i}" for i in range(5)]
TEXT_KEYS = [f"l{i}" for i in range(3)]
SCORES = ["0", "-0", "1", "-1", "1", "2", "3", "10", "100", "1.5", "-1.5", "0.1", "1e3", "1e17", "1e22", "-1e-7",
          "123456789.123", "inf", "-inf", "+inf", "4611686018427387904", "9007199254740993", "5e-324", "0x10", "1."]
BAD_SCORES = ["nan", "x", "", " 1", "1 ", "1e400", "--1", "inf x"]
BOUNDS = ["-inf", "+inf", "0", "1", "(1", "(0", "2", "(2.5", "(-inf", "(inf", "10", "-1", "1e17", "", "(", " 1", "1 ",
          "x", "((1", "nan", "1e400"]
TEXT_BOUNDS = ["-", "+", "[a", "(a", "[m", "(m", "[member3", "(member3", "[member5", "(z", "[", "(", "[12", "x", "",
               "-x", "+1", "[zz"]


class SortedSets(Generator):
    WEIGHTS = {"zadd": 8, "zadd_many": 3, "zadd_options": 5, "zadd_text": 4, "zrange": 4, "zrem": 3, "zremrange": 2,
               "algebra": 5, "store": 4, "zincrby": 3, "zrange_texts": 3}

    def __init__(self, members=12, long_member=80):
        super().__init__()
        self.members = [f"member{i}" for i in range(members)] + ["12", "-7", "a", "", "x" * long_member, b"\x00\xff"]

    def zkey(self, rng):
        roll = rng.random()
        return "str" if roll < 0.02 else "nothing" if roll < 0.05 else rng.choice(ZKEYS)

    def any_key(self, rng):
        roll = rng.random()
        return rng.choice(("s0", "s1")) if roll < 0.15 else rng.choice(TEXT_KEYS) if roll < 0.3 else self.zkey(rng)

    def member(self, rng):
        return rng.choice(self.members)

    def score(self, rng):
        roll = rng.random()
        if roll < 0.02:
            return rng.choice(BAD_SCORES)
        return rng.choice(SCORES) if roll < 0.6 else rng.choice((rng.randint(-20, 20), round(rng.uniform(-9, 9), 3)))

    def pairs(self, rng, most):
        return [x for _ in range(rng.randint(1, most)) for x in (self.score(rng), self.member(rng))]

    def make_zadd(self, rng):
        return ["ZADD", self.zkey(rng), *self.pairs(rng, 2)]

    def make_zadd_many(self, rng):
        return ["ZADD", self.zkey(rng), *self.pairs(rng, 12)]

    def make_zadd_options(self, rng):
        words = rng.sample(["NX", "XX", "GT", "LT", "CH", "INCR", "ch", "gt"], rng.randint(1, 3))
        return ["ZADD", self.zkey(rng), *words, *self.pairs(rng, 1 if "INCR" in words and rng.random() < 0.9 else 4)]

    def make_zadd_text(self, rng):
        members = [self.member(rng) for _ in range(rng.randint(1, 8))]
        return ["ZADD", rng.choice(TEXT_KEYS), *(x for member in members for x in ("0", member))]

    def make_zrem(self, rng):
        return ["ZREM", rng.choice((self.zkey(rng), rng.choice(TEXT_KEYS))),
                *(self.member(rng) for _ in range(rng.randint(1, 4)))]

    def make_zincrby(self, rng):
        return ["ZINCRBY", self.zkey(rng), self.score(rng), self.member(rng)]

    def make_zscore(self, rng):
        return [rng.choice(("ZSCORE", "ZRANK", "ZREVRANK")), self.any_key(rng), self.member(rng)]

    def make_zmscore(self, rng):
        return ["ZMSCORE", self.any_key(rng), *(self.member(rng) for _ in range(rng.randint(1, 5)))]

    def make_zcard(self, rng):
        return ["ZCARD", self.any_key(rng)]

    def make_zcount(self, rng):
        return ["ZCOUNT", self.zkey(rng), rng.choice(BOUNDS), rng.choice(BOUNDS)]

    def make_zlexcount(self, rng):
        return ["ZLEXCOUNT", rng.choice(TEXT_KEYS), rng.choice(TEXT_BOUNDS), rng.choice(TEXT_BOUNDS)]

    def rank(self, rng):
        return self.integer(rng) if rng.random() < 0.2 else rng.randint(-20, 20)

    def limit(self, rng):
        if rng.random() < 0.6:
            return []
        return ["LIMIT", rng.choice((0, 0, 1, 2, 5, -1, 100, "x")), rng.choice((-1, 0, 1, 2, 5, 100, -2, ""))]

    def options(self, rng):
        found = []
        for words in (["REV"], ["WITHSCORES"], ["JUNK"]):
            if rng.random() < (0.02 if words == ["JUNK"] else 0.35):
                found.append(words)
        found.append(self.limit(rng))
        rng.shuffle(found)
        return [x for words in found for x in words]

    def make_zrange(self, rng):
        if rng.random() < 0.5:
            return ["ZRANGE", self.any_key(rng), self.rank(rng), self.rank(rng), *self.options(rng)]
        return ["ZRANGE", self.zkey(rng), rng.choice(BOUNDS), rng.choice(BOUNDS), "BYSCORE", *self.options(rng)]

    def make_zrange_texts(self, rng):
        key, bounds = rng.choice(TEXT_KEYS), [rng.choice(TEXT_BOUNDS), rng.choice(TEXT_BOUNDS)]
        if rng.random() < 0.5:
            return ["ZRANGE", key, *bounds, "BYLEX", *self.options(rng)]
        return [rng.choice(("ZRANGEBYLEX", "ZREVRANGEBYLEX")), key, *bounds, *self.limit(rng)]

    def make_old_ranges(self, rng):
        tail = rng.choice(([], ["WITHSCORES"], ["withscores", *self.limit(rng)], self.limit(rng)))
        if rng.random() < 0.4:
            return ["ZREVRANGE", self.any_key(rng), self.rank(rng), self.rank(rng), *tail]
        return [rng.choice(("ZRANGEBYSCORE", "ZREVRANGEBYSCORE")), self.zkey(rng), rng.choice(BOUNDS),
                rng.choice(BOUNDS), *tail]

    def make_zrangestore(self, rng):
        target = rng.choice(ZKEYS)
        if rng.random() < 0.4:
            return ["ZRANGESTORE", target, self.any_key(rng), self.rank(rng), self.rank(rng), *self.options(rng)]
        if rng.random() < 0.6:
            return ["ZRANGESTORE", target, self.zkey(rng), rng.choice(BOUNDS), rng.choice(BOUNDS), "BYSCORE",
                    *self.options(rng)]
        return ["ZRANGESTORE", target, rng.choice(TEXT_KEYS), rng.choice(TEXT_BOUNDS), rng.choice(TEXT_BOUNDS), "BYLEX",
                *self.options(rng)]

    def make_zremrange(self, rng):
        how = rng.random()
        if how < 0.3:
            return ["ZREMRANGEBYLEX", rng.choice(TEXT_KEYS), rng.choice(TEXT_BOUNDS), rng.choice(TEXT_BOUNDS)]
        if how < 0.6:
            return ["ZREMRANGEBYRANK", self.zkey(rng), self.rank(rng), self.rank(rng)]
        return ["ZREMRANGEBYSCORE", self.zkey(rng), rng.choice(BOUNDS), rng.choice(BOUNDS)]

    def make_zpop(self, rng):
        tail = rng.choice(([], [], [1], [2], [5], [0], [100], [-1], ["x"], [1, 2]))
        return [rng.choice(("ZPOPMIN", "ZPOPMAX")), self.any_key(rng), *tail]

    def make_zmpop(self, rng):
        keys = [self.any_key(rng) for _ in range(rng.randint(1, 3))]
        number = len(keys) if rng.random() < 0.9 else rng.choice((0, -1, 5, "x", 2**63 - 1))
        tail = rng.choice(([], [], ["COUNT", 2], ["COUNT", 100], ["COUNT", 0], ["COUNT"], ["COUNT", 1, "COUNT", 1]))
        return ["ZMPOP", number, *keys, rng.choice(("MIN", "MAX", "min", "JUNK")), *tail]

    def make_blocking(self, rng):
        """What finds nothing waits for a millisecond."""
        tail = rng.choice((0.001, 0.001, 0.001, "x", -1, "inf", "1e300"))
        if rng.random() < 0.3:
            return ["BZMPOP", tail, 1, self.any_key(rng), rng.choice(("MIN", "MAX"))]
        return [rng.choice(("BZPOPMIN", "BZPOPMAX")), self.any_key(rng), self.any_key(rng), tail]

    def make_zrandmember(self, rng):
        tail = rng.choice(([], [0], [3], [-3], [100], [2, "WITHSCORES"], [-20, "withscores"], ["x"], [2, "JUNK"],
                           [-2**63], [2**62, "WITHSCORES"], [2**63]))
        return ["ZRANDMEMBER", self.any_key(rng), *tail]

    def make_zscan(self, rng):
        tail = rng.choice(([], ["COUNT", 1000], ["MATCH", "member1*"], ["COUNT", 1000, "MATCH", "*[0-4]"], ["COUNT", 0],
                           ["JUNK"], ["COUNT", "x"]))
        return ["ZSCAN", self.any_key(rng), rng.choice((0, 0, 0, 0, "x", "1x", "-")), *tail]

    def inputs(self, rng):
        keys = [self.any_key(rng) for _ in range(rng.randint(1, 4))]
        number = len(keys) if rng.random() < 0.95 else rng.choice((0, -1, 9, "x", len(keys) - 1))
        return number, keys

    def sums(self, rng, count):
        tail = []
        if rng.random() < 0.4:
            weights = [rng.choice((1, 2, 0, -1, 0.5, "inf", "1e10")) for _ in range(count)]
            tail += ["WEIGHTS", *(weights if rng.random() < 0.95 else [*weights[1:], "x"])]
        if rng.random() < 0.4:
            tail += ["AGGREGATE", rng.choice(("SUM", "MIN", "MAX", "max", "JUNK") if rng.random() < 0.1
                                             else ("SUM", "MIN", "MAX"))]
        return tail

    def make_algebra(self, rng):
        number, keys = self.inputs(rng)
        name = rng.choice(("ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD"))
        tail = self.sums(rng, len(keys)) if name in ("ZUNION", "ZINTER") or rng.random() < 0.05 else []
        if name == "ZINTERCARD":
            tail += rng.choice(([], ["LIMIT", 2], ["LIMIT", 0], ["LIMIT", -1], ["LIMIT", "x"]))
        elif rng.random() < 0.6:
            tail.insert(0, "WITHSCORES")
        return [name, number, *keys, *tail]

    def make_store(self, rng):
        number, keys = self.inputs(rng)
        name = rng.choice(("ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"))
        tail = self.sums(rng, len(keys)) if name != "ZDIFFSTORE" or rng.random() < 0.05 else []
        return [name, rng.choice(ZKEYS), number, *keys, *tail]

    def make_sets(self, rng):
        name = rng.choice(("SADD", "SADD", "SREM"))
        return [name, rng.choice(("s0", "s1")), *(self.member(rng) for _ in range(rng.randint(1, 4)))]

    def make_string(self, rng):
        return ["SET", "str", "text"]

    def make_keys(self, rng):
        key = rng.choice(ZKEYS)
        other = rng.choice(ZKEYS)
        return rng.choice((["DEL", key], ["COPY", key, other, "REPLACE"], ["RENAME", key, other], ["EXISTS", key],
                           ["TYPE", key], ["EXPIRE", key, 100000], ["TTL", key]))

    def make_encoding(self, rng):
        return ["OBJECT", "ENCODING", rng.choice((*ZKEYS, *TEXT_KEYS))]

    def _spoil(self, rng, args):
        """A spoilt key or number of keys must not turn the lookup of texts loose on other keys, or wait."""
        if args[0] in ("ZRANK", "ZREVRANK", "ZSCAN", "OBJECT"):  # newer arguments, other cursors, encodings of sets
            return args
        texts = any("LEX" in str(arg).upper() for arg in args)
        if texts or args[0].startswith("B") or args[0] == "ZADD" and args[1] in TEXT_KEYS:
            return [*args, rng.choice((*BAD_NUMBERS, "LIMIT"))] if texts else args
        return super()._spoil(rng, args)


def contents(rng_keys=(*ZKEYS, *TEXT_KEYS)):
    """Commands that tell everything about the keys."""
    for key in rng_keys:
        yield from ((["ZRANGE", key, 0, -1, "WITHSCORES"]), ["OBJECT", "ENCODING", key], ["TTL", key])
