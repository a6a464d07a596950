"""Random commands for the differential tests, a class per command family.

Keys are few, so that commands meet each other's values. Numbers come from pools that stay memory-safe: an offset is
either small, or so large that any server refuses it. One command in twenty is spoilt: an argument dropped, added,
doubled or replaced, for the error replies. What depends on the clock uses deadlines that are far away or long past.
"""
import time

LARGE = [2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 2, 2**63 - 1, 2**63, 2**64, 10**30]
INTEGERS = [0, 1, -1, 2, 7, 10, 99, -99, 10_000, *LARGE, *(-n for n in LARGE)]
OFFSETS = [0, 1, 2, 3, 7, 8, 9, 15, 63, 64, 100, 1000, 5000, 2**32, 2**40, 2**63 - 1, 2**63, -1, -2, -100]
BAD_NUMBERS = ["", " 1", "1 ", "+1", "01", "-0", "0x10", "1e3", "abc", "1.0", "\x00", "--1", "-", "inf", "nan"]
FLOATS = ["0", "1.5", "-1.5", "3.0e3", "1e308", "-1e308", "1e-10", "0.1", "0.2", "5.0e-324", "inf", "-inf", "nan",
          "1.", ".5", "1e400", "12345678901234567890", "3.14159265358979323846264338327950288", " 1.5", "1.5 ",
          "0x1p3", "abc"]
TEXTS = ["", "a", "hello", "Hello World", "12345", "-7", "3.25", "9223372036854775807", "-9223372036854775808",
         "x" * 43, "x" * 44, "x" * 45, "ohmytext", "mynewtext", "y" * 300, "0", "00", "1e5", "\r\n", "a b\tc",
         "\x00\x01\x02"]
BINARY = [b"\xff\xfe\x00\x80", b"\x00" * 8, b"\xff" * 16, bytes(range(256))]
KEYS = [f"k{i}" for i in range(8)]
PATTERNS = ["*", "k*", "k?", "k[0-3]", "k[^0-3]", "[", "k\\1", "", "nothing", "**k**", "k[3-0]", "?", "*[67]", "K1"]


class Generator:
    """Called with a random.Random, makes the arguments of one command."""

    SPOILT = 0.05
    WEIGHTS = {}  # how often a method is chosen, where not once

    def __init__(self):
        names = [name for name in dir(self) if name.startswith("make_")]
        self._makers = [getattr(self, name) for name in names]
        self._weights = [self.WEIGHTS.get(name[5:], 1) for name in names]

    def __call__(self, rng):
        args = rng.choices(self._makers, self._weights)[0](rng)
        return self._spoil(rng, args) if rng.random() < self.SPOILT else args

    @staticmethod
    def _spoil(rng, args):
        how = rng.randrange(4)
        args = list(args)
        at = rng.randrange(1, len(args)) if len(args) > 1 else 0
        if how == 0 and at:
            del args[at]
        elif how == 1:
            args.append(rng.choice(["NX", "junk", "1", ""]))
        elif how == 2 and at:
            args[at] = rng.choice(BAD_NUMBERS)
        else:
            args[0] = "".join(rng.choice((c.upper(), c.lower())) for c in args[0])
        return args

    @staticmethod
    def key(rng):
        return rng.choice(KEYS)

    @staticmethod
    def keys(rng, most=4):
        return [rng.choice(KEYS) for _ in range(rng.randint(1, most))]

    @staticmethod
    def text(rng):
        return rng.choice(BINARY) if rng.random() < 0.1 else rng.choice(TEXTS)

    @staticmethod
    def integer(rng):
        if rng.random() < 0.05:
            return rng.choice(BAD_NUMBERS)
        return rng.choice(INTEGERS) if rng.random() < 0.4 else rng.randint(-1000, 1000)

    @staticmethod
    def offset(rng):
        return rng.choice(OFFSETS) if rng.random() < 0.5 else rng.randint(0, 200)

    @staticmethod
    def expiry(rng):
        """A unit and a time that is far away, and different from any other; sometimes one that is refused."""
        unit = rng.choice(("EX", "PX", "EXAT", "PXAT"))
        if rng.random() < 0.1:
            return unit, rng.choice([0, -1, "x", "1.5", 2**63 - 1, 2**63, 2**62, -2**63])
        seconds = rng.randrange(1000, 10**7)
        now = int(time.time())
        return unit, {"EX": seconds, "PX": seconds * 1000, "EXAT": now + seconds, "PXAT": (now + seconds) * 1000}[unit]


class Strings(Generator):
    WEIGHTS = {"set": 4, "get": 3, "incr": 2, "setrange": 2, "getrange": 2, "append": 2, "set_options": 4}

    def make_set(self, rng):
        return ["SET", self.key(rng), self.text(rng)]

    def make_set_options(self, rng):
        args = ["SET", self.key(rng), self.text(rng)]
        if rng.random() < 0.5:
            args.append(rng.choice(("NX", "XX", "nx", "xx")))
        if rng.random() < 0.3:
            args.append("GET")
        if rng.random() < 0.4:
            args.extend(self.expiry(rng))
        if rng.random() < 0.15:
            args.append("KEEPTTL")
        if rng.random() < 0.1:
            args.append(rng.choice(("NX", "XX", "EX", "PX", "GET", "JUNK")))
        return args

    def make_get(self, rng):
        return ["GET", self.key(rng)]

    def make_setnx(self, rng):
        return ["SETNX", self.key(rng), self.text(rng)]

    def make_setex(self, rng):
        unit, when = self.expiry(rng)
        return ["SETEX" if unit == "EX" else "PSETEX", self.key(rng), when, self.text(rng)]

    def make_getset(self, rng):
        return ["GETSET", self.key(rng), self.text(rng)]

    def make_getdel(self, rng):
        return ["GETDEL", self.key(rng)]

    def make_getex(self, rng):
        tail = rng.choice(([], ["PERSIST"], self.expiry(rng), [*self.expiry(rng), "PERSIST"], ["KEEPTTL"], ["EX"]))
        return ["GETEX", self.key(rng), *tail]

    def make_mget(self, rng):
        return ["MGET", *self.keys(rng)]

    def make_mset(self, rng):
        name = rng.choice(("MSET", "MSET", "MSETNX"))
        return [name, *(x for key in self.keys(rng) for x in (key, self.text(rng)))]

    def make_append(self, rng):
        return ["APPEND", self.key(rng), self.text(rng)]

    def make_strlen(self, rng):
        return ["STRLEN", self.key(rng)]

    def make_setrange(self, rng):
        return ["SETRANGE", self.key(rng), self.offset(rng), self.text(rng)]

    def make_getrange(self, rng):
        return [rng.choice(("GETRANGE", "SUBSTR")), self.key(rng), self.integer(rng), self.integer(rng)]

    def make_small_range(self, rng):
        return ["GETRANGE", self.key(rng), rng.randint(-12, 12), rng.randint(-12, 12)]

    def make_incr(self, rng):
        return [rng.choice(("INCR", "DECR")), self.key(rng)]

    def make_incrby(self, rng):
        return [rng.choice(("INCRBY", "DECRBY")), self.key(rng), self.integer(rng)]

    def make_incrbyfloat(self, rng):
        return ["INCRBYFLOAT", self.key(rng), rng.choice(FLOATS)]

    def make_number(self, rng):
        return ["SET", self.key(rng), rng.choice((self.integer(rng), rng.choice(FLOATS)))]

    def make_lcs(self, rng):
        tail = rng.choice(([], ["LEN"], ["IDX"], ["IDX", "WITHMATCHLEN"], ["IDX", "MINMATCHLEN", rng.randint(-1, 4)],
                           ["LEN", "IDX"], ["MINMATCHLEN"], ["IDX", "MINMATCHLEN", 2, "WITHMATCHLEN"]))
        return ["LCS", self.key(rng), self.key(rng), *tail]

    def make_encoding(self, rng):
        return ["OBJECT", "ENCODING", self.key(rng)]

    def make_ttl(self, rng):
        return [rng.choice(("TTL", "PTTL")), self.key(rng)]

    def make_del(self, rng):
        return ["DEL", self.key(rng)]


class Keys(Generator):
    WEIGHTS = {"set": 6, "expire": 4, "ttl": 3}

    def make_set(self, rng):
        return ["SET", self.key(rng), self.text(rng)]

    def make_set_expiring(self, rng):
        return ["SET", self.key(rng), self.text(rng), "EX", rng.randrange(1000, 10**7)]

    def make_del(self, rng):
        return [rng.choice(("DEL", "UNLINK")), *self.keys(rng)]

    def make_exists(self, rng):
        return [rng.choice(("EXISTS", "TOUCH")), *self.keys(rng)]

    def make_type(self, rng):
        return ["TYPE", self.key(rng)]

    def make_expire(self, rng):
        seconds, now = rng.randrange(1000, 10**7), int(time.time())
        name, when = rng.choice((("EXPIRE", seconds), ("PEXPIRE", seconds * 1000), ("EXPIREAT", now + seconds),
                                 ("PEXPIREAT", (now + seconds) * 1000)))
        if rng.random() < 0.2:
            when = rng.choice([0, -1, 1, "x", "", 2**63 - 1, -2**63, 2**63, 2**62, -2**62, 2**63 // 1000])
            when = when if when != 1 or name.endswith("AT") else 0
        conditions = rng.choice(([], [], ["NX"], ["XX"], ["GT"], ["LT"], ["nx", "xx"], ["GT", "LT"],
                                 ["XX", "GT"], ["NX", "LT"], ["JUNK"], ["XX", "LT"]))
        return [name, self.key(rng), when, *conditions]

    def make_ttl(self, rng):
        return [rng.choice(("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")), self.key(rng)]

    def make_persist(self, rng):
        return ["PERSIST", self.key(rng)]

    def make_rename(self, rng):
        return [rng.choice(("RENAME", "RENAMENX")), self.key(rng), self.key(rng)]

    def make_copy(self, rng):
        database = ["DB", rng.choice((0, 1, 2, 15, 16, -1, "x"))]
        tail = rng.choice(([], ["REPLACE"], database, ["DB", 1, "REPLACE"], ["DB"], ["JUNK"]))
        return ["COPY", self.key(rng), self.key(rng), *tail]

    def make_move(self, rng):
        return ["MOVE", self.key(rng), rng.choice((0, 1, 2, 15, 16, -1, "x"))]

    def make_keys(self, rng):
        return ["KEYS", rng.choice(PATTERNS)]

    def make_randomkey(self, rng):
        return ["RANDOMKEY"]

    def make_dbsize(self, rng):
        return ["DBSIZE"]

    def make_select(self, rng):
        return ["SELECT", rng.choice((0, 0, 0, 1, 1, 2, 16, -1, "x", ""))]

    def make_swapdb(self, rng):
        return ["SWAPDB", rng.choice((0, 1, 2, 16, "x")), rng.choice((0, 1, 2, -1))]

    def make_flush(self, rng):
        if rng.random() < 0.7:
            return ["DBSIZE"]
        return [rng.choice(("FLUSHDB", "FLUSHALL")), *rng.choice(([], ["ASYNC"], ["SYNC"], ["JUNK"]))]

    def make_object(self, rng):
        return ["OBJECT", rng.choice(("ENCODING", "ENCODING", "NOSUCH", "FREQ")), self.key(rng)]

    def make_get(self, rng):
        return ["GET", self.key(rng)]

    def make_scan_error(self, rng):
        return ["SCAN", *rng.choice((["x"], [""], ["1x"], ["0", "COUNT", "0"], ["0", "COUNT", "x"], ["0", "COUNT"],
                                     ["0", "JUNK", "1"], ["0", "COUNT", "-5"], []))]


class Bitmaps(Generator):
    WEIGHTS = {"setbit": 4, "bitfield": 5, "bitcount": 3, "bitpos": 3, "bitop": 2}
    TYPES = ["u1", "u2", "u4", "u7", "u8", "u13", "u16", "u31", "u32", "u63", "i1", "i2", "i5", "i8", "i16", "i33",
             "i63", "i64"]

    def bit(self, rng):
        return rng.choice((0, 1, 0, 1, 0, 1, 2, -1, "x"))

    def make_set(self, rng):
        return ["SET", self.key(rng), self.text(rng)]

    def make_set_bytes(self, rng):
        return ["SET", self.key(rng), rng.randbytes(rng.randint(1, 40))]

    def make_get(self, rng):
        return ["GET", self.key(rng)]

    def make_setbit(self, rng):
        return ["SETBIT", self.key(rng), self.offset(rng), self.bit(rng)]

    def make_getbit(self, rng):
        return ["GETBIT", self.key(rng), self.offset(rng)]

    def span(self, rng):
        start, end = ((self.integer(rng), self.integer(rng)) if rng.random() < 0.3
                      else (rng.randint(-60, 60), rng.randint(-60, 60)))
        return rng.choice(([], [start], [start, end], [start, end], [start, end, "BIT"], [start, end, "byte"],
                           [start, end, "JUNK"], [start, end, "BIT", "x"]))

    def make_bitcount(self, rng):
        return ["BITCOUNT", self.key(rng), *self.span(rng)]

    def make_bitpos(self, rng):
        return ["BITPOS", self.key(rng), self.bit(rng), *self.span(rng)]

    def make_bitop(self, rng):
        name = rng.choice(("AND", "OR", "XOR", "NOT", "and", "JUNK"))
        return ["BITOP", name, self.key(rng), *self.keys(rng, 1 if name == "NOT" and rng.random() < 0.8 else 4)]

    def field_type(self, rng):
        if rng.random() < 0.05:
            return rng.choice(("u0", "u64", "i0", "i65", "x8", "u", "8", "", "u08", "i-1"))
        return rng.choice(self.TYPES)

    def field_offset(self, rng):
        if rng.random() < 0.05:
            return rng.choice(("#", "-1", "#-1", "x", "", 2**63, "#" + str(2**60), 2**40, 2**32))
        return rng.choice((rng.randint(0, 300), f"#{rng.randint(0, 20)}"))

    def field_operation(self, rng, read_only):
        where = [self.field_type(rng), self.field_offset(rng)]
        what = rng.random()
        if what < 0.3 or (read_only and what < 0.9):
            return [rng.choice(("GET", "get")), *where]
        if what < 0.5:
            return ["SET", *where, self.integer(rng)]
        if what < 0.85:
            return ["INCRBY", *where, self.integer(rng)]
        return ["OVERFLOW", rng.choice(("WRAP", "SAT", "FAIL", "sat", "JUNK"))]

    def make_bitfield(self, rng):
        operations = [self.field_operation(rng, False) for _ in range(rng.randint(0, 4))]
        return ["BITFIELD", self.key(rng), *(x for operation in operations for x in operation)]

    def make_bitfield_ro(self, rng):
        operations = [self.field_operation(rng, True) for _ in range(rng.randint(0, 3))]
        return ["BITFIELD_RO", self.key(rng), *(x for operation in operations for x in operation)]

    def make_del(self, rng):
        return ["DEL", self.key(rng)]

    def make_strlen(self, rng):
        return ["STRLEN", self.key(rng)]
