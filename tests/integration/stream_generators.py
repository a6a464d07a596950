"""Random commands on streams, for the differential tests.

Keys x0 to x2 hold streams, each with up to two groups of a few consumers. All IDs are given, so that nothing depends on
the clock; times of pending entries are either fresh or so old that it makes no difference when they are looked at.
"""
from generators import Generator

KEYS = ["x0", "x1", "x2"]
GROUPS = ["g0", "g1"]
CONSUMERS = ["c0", "c1", "c2", "alice"]
BAD_IDS = ["", "x", "-1", "1-", "-", "+", "1-1-1", "1-x", "18446744073709551616", "1-18446744073709551616", "0-0", "*",
           "$", ">", "1.5", "(1", " 1", "+1", "01-01", "1-+2", "1- 2", "18446744073709551615-18446744073709551615",
           "9999999999999999999999-1", "1-\x00", "1" * 130]
FIELDS = ["a", "b", "field", "temperature", "", "12", "x" * 70]
VALUES = ["1", "-5", "21.5", "", "text", "y" * 100, "9223372036854775807", "0", b"\x00\xff"]
OLD = 10**9  # ms: nothing is pending for so long, but what is told to be


class Streams(Generator):
    WEIGHTS = {"xadd": 14, "xadd_trim": 3, "xrange": 4, "xread": 4, "xreadgroup": 8, "xack": 4, "xclaim": 5,
               "xautoclaim": 3, "xpending": 3, "xdel": 4, "xinfo": 5, "xtrim": 2, "xgroup_create": 2, "xgroup": 2,
               "xlen": 1, "xsetid": 1, "other": 1, "xgroup_setid": 2}

    def __init__(self, span=60):
        super().__init__()
        self.span = span
        self.next = dict.fromkeys(KEYS, 0)

    @staticmethod
    def _spoil(rng, args):
        """Not XSETID: an ID that happens to be below what was deleted is an error in newer versions only."""
        return args if args[0] == "XSETID" else Generator._spoil(rng, args)

    def stream(self, rng):
        roll = rng.random()
        return "str" if roll < 0.02 else "nothing" if roll < 0.04 else rng.choice(KEYS)

    def id(self, rng):
        roll = rng.random()
        if roll < 0.04:
            return rng.choice(BAD_IDS)
        top = max(self.next.values()) + 3
        ms = rng.randint(max(0, top - self.span), top)
        return str(ms) if roll < 0.3 else f"{ms}-{rng.randint(0, 3)}"

    def bound(self, rng):
        roll = rng.random()
        if roll < 0.4:
            return rng.choice(("-", "+"))
        return "(" + self.id(rng) if roll < 0.6 else self.id(rng)

    def pairs(self, rng):
        return [x for _ in range(rng.choice((1, 1, 2, 2, 3))) for x in (rng.choice(FIELDS), rng.choice(VALUES))]

    def new_id(self, rng, key):
        roll = rng.random()
        if roll < 0.05:
            return self.id(rng).replace("*", "0").replace("18446744073709551615-18446744073709551615", "0-0")
        if key in self.next:
            self.next[key] += rng.choice((0, 1, 1, 1, 2))
        ms = self.next.get(key, 1)
        return f"{ms}-*" if roll < 0.4 else f"{ms}-{rng.randint(0, 3)}" if roll < 0.8 else str(ms)

    def make_xadd(self, rng):
        key = self.stream(rng)
        options = ["NOMKSTREAM"] if rng.random() < 0.1 else []
        return ["XADD", key, *options, self.new_id(rng, key), *self.pairs(rng)]

    def trim(self, rng):
        strategy = rng.choice(("MAXLEN", "maxlen", "MINID"))
        threshold = self.id(rng) if strategy == "MINID" else rng.choice((0, 5, 10, 20, 20, 50, 1000, -1, "x"))
        how = rng.random()
        if how < 0.15:  # whole blocks only: far away, because blocks may differ
            return [strategy, "~", "0-1" if strategy == "MINID" else 100000, *rng.choice(([], ["LIMIT", 10]))]
        words = [strategy, *(["="] if how < 0.5 else []), threshold]
        return words + (["LIMIT", 5] if how > 0.97 else ["MAXLEN", 5] if how > 0.94 else [])

    def make_xadd_trim(self, rng):
        key = self.stream(rng)
        return ["XADD", key, *self.trim(rng), self.new_id(rng, key), *self.pairs(rng)]

    def make_xtrim(self, rng):
        return ["XTRIM", self.stream(rng), *self.trim(rng)]

    def make_xlen(self, rng):
        return ["XLEN", self.stream(rng)]

    def count(self, rng):
        if rng.random() < 0.5:
            return []
        return ["COUNT", rng.choice((0, 1, 1, 2, 3, 10, 100, -1, "x", 2**63 - 1))]

    def make_xrange(self, rng):
        name = rng.choice(("XRANGE", "XREVRANGE"))
        return [name, self.stream(rng), self.bound(rng), self.bound(rng), *self.count(rng)]

    def make_xdel(self, rng):
        return ["XDEL", self.stream(rng), *(self.id(rng) for _ in range(rng.randint(1, 4)))]

    def make_xread(self, rng):
        keys = [self.stream(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
        ids = [rng.choice(("0", "$", ">", self.id(rng), self.id(rng))).replace("+", "0") for _ in keys]
        return ["XREAD", *self.count(rng), "STREAMS", *keys, *ids]

    def make_xreadgroup(self, rng):
        keys = [self.stream(rng) for _ in range(rng.choice((1, 1, 1, 2)))]
        ids = [rng.choice((">", ">", ">", ">", "0", "$", self.id(rng))).replace("+", "0") for _ in keys]
        noack = ["NOACK"] if rng.random() < 0.15 else []
        return ["XREADGROUP", "GROUP", rng.choice(GROUPS), rng.choice(CONSUMERS), *self.count(rng), *noack, "STREAMS",
                *keys, *ids]

    def make_xack(self, rng):
        return ["XACK", self.stream(rng), rng.choice(GROUPS), *(self.id(rng) for _ in range(rng.randint(1, 6)))]

    def make_xpending(self, rng):
        group = [self.stream(rng), rng.choice(GROUPS)]
        if rng.random() < 0.3:
            return ["XPENDING", *group]
        idle = rng.choice(([], [], ["IDLE", 0], ["IDLE", OLD // 2], ["IDLE", "x"]))
        consumer = rng.choice(([], [], [rng.choice(CONSUMERS)], ["nobody"]))
        return ["XPENDING", *group, *idle, self.bound(rng), self.bound(rng), rng.choice((0, 1, 5, 100, -1, "x")),
                *consumer]

    def min_idle(self, rng):
        return rng.choice((0, 0, 0, OLD // 2, -1, "x")) if rng.random() < 0.5 else 0

    def make_xclaim(self, rng):
        options = []
        for words in (["FORCE"], ["JUSTID"], ["RETRYCOUNT", rng.choice((0, 5, -1, "x", 2**40))],
                      ["IDLE", rng.choice((0, OLD, -5, "x"))], ["TIME", rng.choice((0, 1000, 2**60, "x"))],
                      ["LASTID", self.id(rng)], ["JUNK"]):
            if rng.random() < (0.02 if words == ["JUNK"] else 0.15):
                options += words
        return ["XCLAIM", self.stream(rng), rng.choice(GROUPS), rng.choice(CONSUMERS), self.min_idle(rng),
                *(self.id(rng) for _ in range(rng.randint(1, 5))), *options]

    def make_xautoclaim(self, rng):
        return ["XAUTOCLAIM", self.stream(rng), rng.choice(GROUPS), rng.choice(CONSUMERS), self.min_idle(rng),
                rng.choice(("0", "-", self.bound(rng))), *self.count(rng),
                *rng.choice(([], [], ["JUSTID"]))]

    def make_xinfo(self, rng):
        how = rng.random()
        if how < 0.25:
            return ["XINFO", "STREAM", self.stream(rng)]
        if how < 0.55:
            return ["XINFO", "STREAM", self.stream(rng), "FULL", *self.count(rng)]
        if how < 0.8:
            return ["XINFO", "GROUPS", self.stream(rng)]
        return ["XINFO", "CONSUMERS", self.stream(rng), rng.choice((*GROUPS, "nogroup"))]

    def make_xgroup_create(self, rng):
        options = rng.choice(([], [], ["MKSTREAM"], ["MKSTREAM"], ["ENTRIESREAD", rng.choice((-1, -2, "x"))],
                              ["JUNK"]))
        return ["XGROUP", "CREATE", self.stream(rng), rng.choice(GROUPS), rng.choice(("0", "$", self.id(rng))),
                *options]

    def make_xgroup_setid(self, rng):
        options = rng.choice(([], [], ["ENTRIESREAD", rng.choice((-1, -2, "x"))], ["MKSTREAM"]))
        return ["XGROUP", "SETID", self.stream(rng), rng.choice(GROUPS), rng.choice(("0", "$", "-", self.id(rng))),
                *options]

    def make_xgroup(self, rng):
        how = rng.random()
        if how < 0.15:
            return ["XGROUP", "DESTROY", self.stream(rng), rng.choice(GROUPS)]
        name = "CREATECONSUMER" if how < 0.6 else "DELCONSUMER"
        return ["XGROUP", name, self.stream(rng), rng.choice(GROUPS), rng.choice(CONSUMERS)]

    def make_xsetid(self, rng):
        options = []
        if rng.random() < 0.5:
            options += ["ENTRIESADDED", rng.choice((0, 5, 100, 1000, -1, "x"))]
        if rng.random() < 0.3:
            options += ["MAXDELETEDID", self.id(rng)]
        top = max(self.next.values()) + 4  # above whatever was deleted: there 7.0 and later versions differ
        self.next = dict.fromkeys(self.next, top)
        return ["XSETID", self.stream(rng), rng.choice(("x", f"{top}-9", f"{top}-9")), *options]

    def make_other(self, rng):
        how = rng.random()
        if how < 0.3:
            return ["DEL", rng.choice(KEYS)]
        if how < 0.5:
            return ["COPY", rng.choice(KEYS), rng.choice(KEYS), "REPLACE"]
        return rng.choice((["TYPE", self.stream(rng)], ["OBJECT", "ENCODING", self.stream(rng)], ["SET", "str", "x"],
                           ["EXISTS", self.stream(rng)]))


def contents():
    """Commands that show everything."""
    for key in KEYS:
        yield from (["XRANGE", key, "-", "+"], ["XREVRANGE", key, "+", "-"],
                    ["XINFO", "STREAM", key, "FULL", "COUNT", 0], ["XINFO", "STREAM", key], ["XLEN", key])
