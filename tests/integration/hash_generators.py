"""Random hash commands: fields and values from a pool that decides how the hashes are kept."""
from generators import BAD_NUMBERS, BINARY, FLOATS, INTEGERS, PATTERNS, Generator

SHORT = [*"abcdefghijklmnopqrstuvwxyz", "", "0", "1", "-1", "01", "127", "128", "4095", "4096", "-4097", "32768",
         str(2**31), str(2**63 - 1), str(-2**63), str(2**63), "x" * 63, "x" * 64, *BINARY[:2]]
LONG = ["y" * 65, "y" * 254, "y" * 255, "y" * 256, "z" * 300, "z" * 5000, BINARY[3]]
MANY = [f"field:{n}" for n in range(400)]

POOLS = {"listpack": SHORT, "hashtable": SHORT + LONG + MANY, "conversion": SHORT + LONG[:1] + MANY[:20]}


class Hashes(Generator):
    WEIGHTS = {"hset": 10, "hset_many": 2, "hget": 4, "hdel": 6, "hincrby": 4, "hincrbyfloat": 4, "hgetall": 3,
               "hsetnx": 2, "hmget": 2}

    def __init__(self, pool):
        super().__init__()
        self.pool = POOLS[pool]

    def field(self, rng):
        return rng.choice(self.pool)

    def value(self, rng):
        return rng.choice((rng.choice(self.pool), self.text(rng), rng.choice(INTEGERS), rng.randint(-10**6, 10**6)))

    def fields(self, rng, most=6):
        return [self.field(rng) for _ in range(rng.randint(1, most))]

    def pairs(self, rng, most=6):
        return [x for field in self.fields(rng, most) for x in (field, self.value(rng))]

    def make_hset(self, rng):
        return [rng.choice(("HSET", "HSET", "HMSET")), self.key(rng), *self.pairs(rng)]

    def make_hset_many(self, rng):
        return ["HSET", self.key(rng), *self.pairs(rng, 40)]

    def make_hsetnx(self, rng):
        return ["HSETNX", self.key(rng), self.field(rng), self.value(rng)]

    def make_hget(self, rng):
        return [rng.choice(("HGET", "HSTRLEN", "HEXISTS")), self.key(rng), self.field(rng)]

    def make_hmget(self, rng):
        return ["HMGET", self.key(rng), *self.fields(rng, 30)]

    def make_hgetall(self, rng):
        return [rng.choice(("HGETALL", "HKEYS", "HVALS", "HLEN")), self.key(rng)]

    def make_hdel(self, rng):
        return ["HDEL", self.key(rng), *self.fields(rng, 20)]

    def make_hincrby(self, rng):
        return ["HINCRBY", self.key(rng), self.field(rng), self.integer(rng)]

    def make_number(self, rng):
        value = rng.choice((rng.choice(INTEGERS), rng.choice(FLOATS), rng.choice(BAD_NUMBERS)))
        return ["HSET", self.key(rng), self.field(rng), value]

    def make_hincrbyfloat(self, rng):
        return ["HINCRBYFLOAT", self.key(rng), self.field(rng), rng.choice(FLOATS)]

    def make_hscan(self, rng):
        tail = rng.choice(([], ["COUNT", 100000], ["MATCH", rng.choice(PATTERNS), "COUNT", 5000],
                           ["MATCH", "*field:1*", "COUNT", 10000], ["COUNT", rng.choice((0, -1, "x"))], ["JUNK"],
                           ["MATCH"]))
        return ["HSCAN", self.key(rng), rng.choice((0, 0, 0, 0, "x", "")), *tail]

    def make_hrandfield(self, rng):
        count = rng.choice(([], [0], [1], [3], [10**6], [-5], [-1], [2**62], [-2**63], [2**63], ["x"]))
        tail = rng.choice(([], ["WITHVALUES"], ["JUNK"], ["withvalues", "x"])) if count else []
        return ["HRANDFIELD", self.key(rng), *count, *tail]

    def make_del(self, rng):
        return ["DEL", self.key(rng)]

    def make_copy(self, rng):
        return [rng.choice(("COPY", "RENAME")), self.key(rng), self.key(rng), *rng.choice(([], ["REPLACE"]))]

    def make_other_type(self, rng):
        return ["SET", self.key(rng), "text"] if rng.random() < 0.1 else ["TYPE", self.key(rng)]

    def make_encoding(self, rng):
        return ["OBJECT", "ENCODING", self.key(rng)]
