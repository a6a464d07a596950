"""Random SORT and SORT_RO commands on collections whose elements are numbers, texts, and names of other keys.

Sets are not asked for without an order. Neither is ALPHA with BY: redis-server leaves open where elements with equal
weights go, and elements without a weight are equal.
"""
from generators import BAD_NUMBERS, Generator

NUMBERS = ["0", "-0", "1", "2", "10", "-3", "3.5", "1e3", "0x10", "007", "1.0", "+2", " 5", "-1.5e-3", "inf", "-inf",
           "12345678901234567890", "9223372036854775807", "9223372036854775806", "1e-300", ".5"]
WORDS = ["apple", "Apple", "banana", "b", "bb", "", "zebra", "10", "9", "prefix-one", "prefix-two", "prefix-", "\u00e9",
         "w" * 70, "w" * 70 + "x", "v" * 9000]
LISTS, SETS, ZSETS = ([f"{kind}{i}" for i in range(4)] for kind in "lsz")


class Sorts(Generator):
    SPOILT = 0.03
    WEIGHTS = {"sort": 12, "sort_store": 4, "push": 4, "add": 4, "zadd": 4, "weight": 4, "read": 3}

    @staticmethod
    def _spoil(rng, args):
        """For redis-server, which compares with strcoll, texts end with their first zero byte. BY must stay."""
        spoilt = Generator._spoil(rng, args)
        return args if "\x00" in spoilt or "BY" in args else spoilt

    @staticmethod
    def collection(rng):
        return rng.choice((*LISTS, *SETS, *ZSETS, "nothing", *(("str", "hash") if rng.random() < 0.1 else ())))

    @staticmethod
    def element(rng, key):
        """Collections 0 and 1 hold only numbers, 2 small integers, 3 whatever there is."""
        kind = key[-1]
        if kind == "2":
            return rng.randint(0, 30)
        if kind == "3":
            return rng.choice((*WORDS, *NUMBERS))
        return rng.choice(NUMBERS) if rng.random() < 0.5 else rng.randint(-50, 50)

    def make_push(self, rng):
        key = rng.choice(LISTS)
        return [rng.choice(("LPUSH", "RPUSH")), key, *(self.element(rng, key) for _ in range(rng.randint(1, 12)))]

    def make_add(self, rng):
        key = rng.choice(SETS)
        return ["SADD", key, *(self.element(rng, key) for _ in range(rng.randint(1, 12)))]

    def make_zadd(self, rng):
        key = rng.choice(ZSETS)
        return ["ZADD", key, *(x for _ in range(rng.randint(1, 8))
                               for x in (rng.randint(-5, 5), self.element(rng, key)))]

    def make_weight(self, rng):
        name = rng.randint(0, 30)
        return rng.choice((["SET", f"w_{name}", rng.randint(-9, 9)], ["SET", f"w_{name}", rng.choice(NUMBERS)],
                           ["SET", f"a_{name}", f"{rng.choice('xyz')}{name}"], ["SET", f"a_{name}", 1000 + name],
                           ["HSET", f"h_{name}", "rank", rng.randint(-9, 9), "text", f"{rng.choice('XYZ')} {name}"],
                           ["DEL", f"w_{name}", f"h_{name}", f"a_{name}"]))

    def make_bad_weight(self, rng):
        return ["SET", f"w_{rng.randint(0, 30)}", rng.choice(("", "x", "nan", *BAD_NUMBERS[:4]))]

    def make_repair(self, rng):
        return ["MSET", *(x for name in range(31) for x in (f"w_{name}", rng.randint(-9, 9)))]

    def make_others(self, rng):
        return rng.choice((["SET", "str", "x"], ["HSET", "hash", "f", "v"], ["SET", "w_2", "x"],
                           ["HSET", "w_3", "f", 1]))

    def make_trim(self, rng):
        return rng.choice((["DEL", rng.choice((*LISTS, *SETS, *ZSETS))], ["LTRIM", rng.choice(LISTS), 0, 30],
                           ["DEL", "l4"]))

    def limit(self, rng):
        if rng.random() < 0.6:
            return []
        offset = rng.choice((0, 0, 1, 2, 5, 40, -1, -9, 2**63 - 1, -2**63))
        count = rng.choice((0, 1, 2, 3, 10, 99, -1, -7, 2**63 - 1))
        if rng.random() < 0.05:
            offset, count = rng.choice((("x", 1), (1, ""), (2**63, 1), (1, "1.0")))
        return ["LIMIT", offset, count]

    def gets(self, rng):
        if rng.random() < 0.6:
            return []
        pool = ("#", "w_*", "h_*->rank", "h_*->text", "a_*", "none", "*", "h_*", "h_*->", "w_*->f", "str", "->*", "l*")
        return [x for _ in range(rng.randint(1, 3)) for x in ("GET", rng.choice(pool))]

    def options(self, rng, key, stored):
        order = rng.choice(([], [], ["ALPHA"], ["ALPHA"], ["BY", "w_*"], ["BY", "h_*->rank"], ["BY", "nosort"],
                            ["BY", "none_*"]))
        if order[1:2] == ["nosort"] and key[0] == "s" and not stored:
            order = ["ALPHA"]
        parts = [order, self.limit(rng), self.gets(rng), rng.choice(([], ["ASC"], ["DESC"], ["desc"], ["DESC", "ASC"]))]
        rng.shuffle(parts)
        return [x for part in parts for x in part]

    def make_sort(self, rng):
        key = self.collection(rng)
        return [rng.choice(("SORT", "SORT_RO")), key, *self.options(rng, key, False)]

    def make_sort_store(self, rng):
        key = self.collection(rng)
        target = rng.choice(("l4", "l4", "l2" if key[-1] == "2" else "l3", "str"))
        return ["SORT", key, *self.options(rng, key, True), "STORE", target]

    def make_read(self, rng):
        key = rng.choice((*LISTS, "l4"))
        return rng.choice((["LRANGE", key, 0, -1], ["TYPE", key], ["LLEN", key]))
