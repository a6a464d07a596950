"""Random HyperLogLog commands; after each change the whole representation is compared, byte by byte."""
from generators import KEYS, Generator

BROKEN = [b"HYLL", b"HYLX" + bytes(12), b"HYLL\x02" + bytes(11), b"HYLL\x00" + bytes(11), b"x" * 20, b"",
          b"HYLL\x01" + bytes(10) + b"\x80", b"HYLL\x01" + bytes(10) + b"\x80\x7f\xf0"]


class HyperLogLogs(Generator):
    WEIGHTS = {"pfadd": 10, "pfadd_many": 3, "get": 6, "pfcount": 4, "pfmerge": 3}

    @staticmethod
    def _spoil(rng, args):
        """Sets of text are kept otherwise than by redis-server 7.0."""
        return args if args[0] == "SADD" else Generator._spoil(rng, args)

    def element(self, rng):
        kind = rng.random() * 3
        if kind < 2:
            return str(int(rng.random() * (10**6 if kind < 1 else 50)))
        return rng.randbytes(int(rng.random() * 40))

    def make_pfadd(self, rng):
        return ["PFADD", self.key(rng), *(self.element(rng) for _ in range(rng.randrange(5)))]

    def make_pfadd_many(self, rng):
        return ["PFADD", self.key(rng), *(self.element(rng) for _ in range(rng.choice((30, 300, 2000))))]

    def make_get(self, rng):
        return ["GET", self.key(rng)]

    def make_pfcount(self, rng):
        return ["PFCOUNT", self.key(rng)]

    def make_pfcount_many(self, rng):
        return ["PFCOUNT", *self.keys(rng)]

    def make_pfmerge(self, rng):
        return ["PFMERGE", self.key(rng), *self.keys(rng)[1:]]

    def make_pfdebug(self, rng):
        return ["PFDEBUG", rng.choice(("ENCODING", "DECODE", "TODENSE", "GETREG", "junk")), self.key(rng)]

    def make_strlen(self, rng):
        return ["STRLEN", self.key(rng)]

    def make_encoding(self, rng):
        return ["OBJECT", "ENCODING", self.key(rng)]

    def make_del(self, rng):
        return ["DEL", self.key(rng)]

    def make_copy(self, rng):
        return ["COPY", self.key(rng), self.key(rng), "REPLACE"]

    def make_other(self, rng):
        return rng.choice((["SET", KEYS[-1], rng.choice(BROKEN[:6])], ["SADD", KEYS[-2], "1"], ["DEL", KEYS[-2]]))
