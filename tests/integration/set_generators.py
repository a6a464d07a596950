"""Random set commands: members from a pool that decides how the sets are kept."""
from generators import KEYS, Generator

POOLS = {
    "intset": [str(n) for n in (*range(-40, 40), 2**15, -2**15 - 1, 2**31, -2**31 - 1, 2**63 - 1, -2**63)],
    "listpack": [*"abcdefghijklmnopqrstuvwxyz", "", "01", "-0", "+1", "1.0", " 1", "9223372036854775808", "x" * 63,
                 "x" * 64, "y" * 64, "\x00\x01", *(str(n) for n in range(20))],
    "hashtable": ["long " * 13 + str(n) for n in range(300)] + ["z" * 254, "z" * 255, "z" * 5000, "", "1"],
    "all": [*(str(n) for n in range(30)), *"abcdefghijklmnopqrstuvwxyz", "w" * 64, "w" * 65, "w" * 300,
            b"\xff\xfe\x00\x80", b"\x00" * 8, "00", str(2**40), str(-2**40)],
}


class Sets(Generator):
    WEIGHTS = {"sadd": 12, "sadd_many": 3, "srem": 5, "sismember": 3, "smembers": 2, "algebra": 6, "store": 6,
               "smove": 4}

    def __init__(self, pool):
        super().__init__()
        self.pool = POOLS[pool]

    @staticmethod
    def _spoil(rng, args):
        """What SPOP would take at random makes the two servers differ."""
        return args if args[0] == "SPOP" else Generator._spoil(rng, args)

    def member(self, rng):
        return rng.choice(self.pool)

    def members(self, rng, most=6):
        return rng.sample(self.pool, rng.randint(1, most))

    def make_sadd(self, rng):
        return ["SADD", self.key(rng), *self.members(rng)]

    def make_sadd_many(self, rng):
        return ["SADD", self.key(rng), *self.members(rng, len(self.pool))]

    def make_srem(self, rng):
        return ["SREM", self.key(rng), *self.members(rng, 30)]

    def make_sismember(self, rng):
        return ["SISMEMBER", self.key(rng), self.member(rng)]

    def make_smismember(self, rng):
        return ["SMISMEMBER", self.key(rng), *self.members(rng)]

    def make_smembers(self, rng):
        return ["SMEMBERS", self.key(rng)]

    def make_scard(self, rng):
        return ["SCARD", self.key(rng)]

    def make_smove(self, rng):
        return ["SMOVE", self.key(rng), self.key(rng), self.member(rng)]

    def make_algebra(self, rng):
        return [rng.choice(("SINTER", "SUNION", "SDIFF")), *self.keys(rng, rng.choice((3, 10)))]

    def make_store(self, rng):
        name = rng.choice(("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"))
        return [name, self.key(rng), *self.keys(rng, rng.choice((2, 3, 10)))]

    def make_sintercard(self, rng):
        keys = self.keys(rng)
        number = len(keys) if rng.random() < 0.9 else rng.choice((0, -1, 1, 2, 9, "x", 2**63))
        tail = rng.choice(([], [], ["LIMIT", rng.randint(0, 5)], ["limit", 1], ["LIMIT"], ["LIMIT", -1],
                           ["LIMIT", "x"], ["JUNK"], ["LIMIT", 2**63 - 1], ["LIMIT", 0, "LIMIT", 2]))
        return ["SINTERCARD", number, *keys, *tail]

    def make_spop_nothing_or_all(self, rng):
        count = rng.choice((0, 10**6, 2**63 - 1, -1, "x", "", 2**63)) if rng.random() < 0.9 else "1 "
        return ["SPOP", rng.choice(KEYS[:2]), count]

    def make_srandmember(self, rng):
        count = rng.choice(([], [rng.randint(-20, 400)], [self.count(rng)], [1, 2]))
        return ["SRANDMEMBER", self.key(rng), *count]

    @staticmethod
    def count(rng):
        return rng.choice((0, -1, 2**63 - 1, -2**63, 2**63, "x", "", "-0", 2**62))

    def make_sscan(self, rng):
        tail = rng.choice(([], ["COUNT", 100000], ["COUNT", 1], ["MATCH", "*1*", "COUNT", 100000], ["MATCH"],
                           ["COUNT", 0], ["COUNT", "x"], ["MATCH", "*", "COUNT", 9999], ["NOVALUES"],
                           ["COUNT", 1, "COUNT", 100000]))
        return ["SSCAN", self.key(rng), rng.choice((0, 0, 0, 0, "x", "", "-")), *tail]

    def make_del(self, rng):
        return ["DEL", self.key(rng)]

    def make_string(self, rng):
        return ["SET", KEYS[-1], "text"]

    def make_rename(self, rng):
        return [rng.choice(("RENAME", "COPY")), self.key(rng), self.key(rng)]

    def make_type(self, rng):
        return ["TYPE", self.key(rng)]
