"""List commands against redis-server: chosen cases first, then thousands of random commands.

Every case runs once per way of keeping a list: as one listpack, as a quicklist of tiny nodes, across the border between
the two, and with elements too large for any node; some of the quicklists are compressed. What differs from redis-server
7.0 on purpose follows 7.2, and is in test_list_commands.py: OBJECT ENCODING, which 7.0 says is quicklist for every
list; RANK and the count of LREM, which may not be -2^63.
"""
import pytest

from generators import Generator
from harness.differential import DifferentialRun

SETTINGS = {"listpack": (-2, 0), "one element a node, compressed": (1, 1), "across the border": (6, 0),
            "nodes of 4 KB, compressed": (-1, 2)}
DIRECTIVES = ("list-max-listpack-size", "list-compress-depth")


@pytest.fixture(params=SETTINGS.values(), ids=SETTINGS)
def lists(pair, request):
    for client in pair.both:
        for name, value in zip(DIRECTIVES, request.param):
            assert client.command("CONFIG", "SET", name, value) == b"OK"
    yield pair
    for client in pair.both:
        for name, value in zip(DIRECTIVES, (-2, 0)):
            client.command("CONFIG", "SET", name, value)


def test_push_and_pop(lists):
    lists.same("RPUSH l a b c", "LPUSH l 1 -5 99999999999", "LRANGE l 0 -1", "LLEN l", "LPOP l", "RPOP l", "LPOP l 2",
               "RPOP l 0", "RPOP l 9", "EXISTS l", "LPOP l", "LPOP l 1", "RPOP l 0", "LPUSHX l a", "RPUSHX l a b",
               "EXISTS l", "RPUSH l x", "LPUSHX l a b", "RPUSHX l c d", "LRANGE l 0 -1", "LPOP l -1", "LPOP l x",
               "LPOP l 1 2", "LPOP none -1", "RPOP l 9223372036854775807", "RPOP l 9223372036854775808", "TYPE l")


def test_wrong_types(lists):
    lists.same("SET s v", "LPUSH s a", "RPUSHX s a", "LPOP s", "RPOP s 0", "LLEN s", "LINDEX s x", "LINDEX none x",
               "LSET s x y", "LSET none x y", "LRANGE s x y", "LRANGE s 0 1", "LTRIM s 0 x", "LTRIM s 0 1",
               "LINSERT s BEFORE a b", "LINSERT s NEAR a b", "LREM s x a", "LREM s 0 a", "LPOS s a", "LPOS s a RANK 0",
               "LMOVE s d LEFT LEFT", "LMOVE s d UP LEFT", "RPUSH l a", "LMOVE l s LEFT LEFT", "LMOVE none s LEFT LEFT",
               "RPOPLPUSH l s", "LMPOP 2 none s LEFT", "LMPOP 2 l s LEFT", "LMPOP 2 s l LEFT", "GET l", "INCR l")


def test_indexes(lists):
    lists.same("RPUSH l a b c d e", *(f"LINDEX l {i}" for i in range(-7, 7)), "LSET l 0 A", "LSET l -1 E",
               "LSET l 5 x", "LSET l -6 x", "LSET l x y", "LSET l 2 12345", "LRANGE l 0 -1",
               *(f"LRANGE l {i} {j}" for i in range(-7, 7) for j in range(-7, 7)))


@pytest.mark.parametrize("start, stop", [(0, -1), (1, -2), (-2, -1), (3, 1), (9, 10), (-99, 0), (0, 0), (4, 99)])
def test_trim(lists, start, stop):
    lists.same("RPUSH l a b c d e f g h i j", f"LTRIM l {start} {stop}", "LRANGE l 0 -1", "EXISTS l", "LTRIM none 0 1")


def test_insert_and_remove(lists):
    lists.same("LINSERT none BEFORE a b", "RPUSH l a b a c a", "LINSERT l before b x", "LINSERT l AFTER b y",
               "LINSERT l AFTER a 1", "LINSERT l BEFORE none z", "LINSERT l AFTER 1 2", "LRANGE l 0 -1", "LREM l 1 a",
               "LREM l -1 a", "LRANGE l 0 -1", "LREM l 0 none", "LREM l 0 a", "LREM l 5 1", "LREM l -9 2", "LREM l 0 b",
               "LREM l 0 c", "LREM l 0 x", "LREM l 0 y", "EXISTS l", "LREM none 0 a")


def test_positions(lists):
    lists.same("RPUSH l a b c 1 2 3 c c", "LPOS l c", "LPOS l c RANK 2", "LPOS l c RANK -1", "LPOS l c RANK -9",
               "LPOS l c COUNT 2", "LPOS l c COUNT 0", "LPOS l c COUNT 0 RANK -1", "LPOS l c COUNT 0 MAXLEN 3",
               "LPOS l c RANK -1 COUNT 0 MAXLEN 2", "LPOS l 2", "LPOS l none", "LPOS l none COUNT 1", "LPOS none c",
               "LPOS none c COUNT 0", "LPOS l c RANK 0", "LPOS l c RANK x", "LPOS l c COUNT -1", "LPOS l c MAXLEN -1",
               "LPOS l c RANK", "LPOS l c JUNK 1", "LPOS l c RANK 2 RANK 1", "LPOS l c COUNT x")


def test_moving(lists):
    for ends in ("LEFT LEFT", "LEFT RIGHT", "RIGHT LEFT", "RIGHT RIGHT"):
        lists.same("DEL a b", "RPUSH a 1 2 3", f"LMOVE a b {ends}", f"LMOVE a a {ends}", f"LMOVE a b {ends}",
                   "LRANGE a 0 -1", "LRANGE b 0 -1", f"LMOVE a b {ends}", "EXISTS a", f"LMOVE a b {ends}",
                   "LRANGE b 0 -1", f"RPUSH a x", f"LMOVE a a {ends}", "LRANGE a 0 -1")
    lists.same("RPOPLPUSH b b", "RPOPLPUSH b a", "LRANGE a 0 -1", "RPOPLPUSH none a", "LMPOP 1 a LEFT",
               "LMPOP 3 none a b RIGHT COUNT 2", "LMPOP 1 none LEFT", "LMPOP 0 a LEFT", "LMPOP x a LEFT",
               "LMPOP 1 a UP", "LMPOP 2 a LEFT", "LMPOP 1 a LEFT COUNT 0", "LMPOP 1 a LEFT COUNT",
               "LMPOP 1 a LEFT COUNT 1 COUNT 1", "LMPOP 1 a LEFT JUNK 1", "LMPOP 2 a b LEFT count 99")


def test_commands_that_need_not_wait(lists):
    lists.same("RPUSH l a b c d e f", "BLPOP none l 0", "BRPOP l 0.5", "BLMOVE l d LEFT RIGHT 0", "BRPOPLPUSH l d 1",
               "BLMPOP 0 2 none l LEFT", "BLMPOP 1 1 d RIGHT COUNT 5", "LRANGE l 0 -1", "BLPOP none 0.01",
               "BRPOP none 0.01", "BLMOVE none d LEFT LEFT 0.01", "BRPOPLPUSH none d 0.01", "BLMPOP 0.01 1 none LEFT",
               "BLPOP l x", "BLPOP l -1", "BLPOP l 1e30", "BLPOP l nan", "BLMOVE l d UP LEFT x",
               "BLMOVE l d LEFT LEFT x",
               "BLMPOP x x l LEFT", "BLMPOP x 1 l LEFT", "BLMPOP x 1 l UP", "BLMPOP -1 1 l LEFT COUNT 0", "SET s v",
               "BLPOP none s l 0", "BLMOVE s d LEFT LEFT 0", "BLMOVE l s LEFT LEFT 0", "BLMPOP 0 1 s LEFT", "BLPOP l",
               "BRPOPLPUSH l d", "BLMPOP 0 1 l")


def test_in_a_transaction(lists):
    lists.same("MULTI", "BLPOP none 0", "BLMOVE none d LEFT LEFT 0", "BRPOPLPUSH none d 0", "BLMPOP 0 1 none LEFT",
               "RPUSH l a b", "BRPOP l 0", "EXEC", "WATCH l", "LTRIM l 0 -1", "MULTI", "PING", "EXEC")


class Lists(Generator):
    """Lists of some dozen elements, in few keys; some elements are longer than a node of 4 KB may be."""
    WEIGHTS = {"push": 10, "pop": 3, "range": 3, "insert": 3, "set_at": 3, "move": 3}
    LONG = [b"L" * 100, b"M" * 1000, b"N" * 4097, b"O" * 9000, b"P" * 40000]
    POSITION_OPTIONS = {"RANK": (1, -1, 2, -2, 5, 0, "x"), "COUNT": (0, 1, 2, 9, -1), "MAXLEN": (0, 1, 5, 99, -1)}

    def key(self, rng):
        return rng.choice(("k1", "k2", "k3", "k4"))

    def element(self, rng):
        what = rng.random()
        if what < 0.6:
            return rng.choice(("a", "b", "c", "1", "-77", "123456", "4294967296", "01", "", "xyz"))
        if what < 0.9:
            return self.text(rng)
        return rng.choice(self.LONG)

    def index(self, rng):
        return self.integer(rng) if rng.random() < 0.1 else rng.randint(-30, 30)

    @staticmethod
    def end(rng):
        return "middle" if rng.random() < 0.02 else rng.choice(("LEFT", "RIGHT", "left", "Right"))

    @staticmethod
    def count(rng):
        return rng.choice((0, 1, 1, 1, 2, 3, 50, -1, "x", 2**63 - 1, 2**63))

    def make_push(self, rng):
        name = rng.choice(("LPUSH", "RPUSH", "RPUSH", "LPUSH", "LPUSHX", "RPUSHX"))
        return [name, self.key(rng), *(self.element(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 9))))]

    def make_pop(self, rng):
        return [rng.choice(("LPOP", "RPOP")), self.key(rng), *([self.count(rng)] if rng.random() < 0.3 else [])]

    def make_len(self, rng):
        return ["LLEN", self.key(rng)]

    def make_index_of(self, rng):
        return ["LINDEX", self.key(rng), self.index(rng)]

    def make_set_at(self, rng):
        return ["LSET", self.key(rng), self.index(rng), self.element(rng)]

    def make_range(self, rng):
        return ["LRANGE", self.key(rng), self.index(rng), self.index(rng)]

    def make_all(self, rng):
        return ["LRANGE", self.key(rng), 0, -1]

    def make_trim(self, rng):
        if rng.random() < 0.5:
            return ["LTRIM", self.key(rng), rng.randint(0, 2), rng.randint(-3, -1)]
        return ["LTRIM", self.key(rng), self.index(rng), self.index(rng)]

    def make_insert(self, rng):
        where = rng.choice(("BEFORE", "AFTER", "before", "After", "NEAR"))
        return ["LINSERT", self.key(rng), where, self.element(rng), self.element(rng)]

    def make_remove(self, rng):
        return ["LREM", self.key(rng), rng.choice((0, 1, 1, 2, -1, -1, -2, 99, -99, "x")), self.element(rng)]

    def make_position(self, rng):
        options = []
        for name, values in self.POSITION_OPTIONS.items():
            if rng.random() < 0.4:
                options.extend((name, rng.choice(values)))
        return ["LPOS", self.key(rng), self.element(rng), *options]

    def make_move(self, rng):
        if rng.random() < 0.3:
            return ["RPOPLPUSH", self.key(rng), self.key(rng)]
        return ["LMOVE", self.key(rng), self.key(rng), self.end(rng), self.end(rng)]

    def make_several(self, rng):
        keys = [self.key(rng) for _ in range(rng.randint(1, 3))]
        number = len(keys) if rng.random() < 0.9 else rng.choice((0, 1, 4, "x", -1))
        options = ["COUNT", self.count(rng)] if rng.random() < 0.5 else []
        return ["LMPOP", number, *keys, self.end(rng), *options]

    def make_waiting(self, rng):
        keys = [self.key(rng) for _ in range(rng.randint(1, 3))]
        return rng.choice((["BLPOP", *keys, 0.001], ["BRPOP", *keys, 0.001],
                           ["BLMOVE", keys[0], keys[-1], self.end(rng), self.end(rng), 0.001],
                           ["BRPOPLPUSH", keys[0], keys[-1], 0.001],
                           ["BLMPOP", 0.001, len(keys), *keys, self.end(rng), "COUNT", 2]))

    def make_other(self, rng):
        key = self.key(rng)
        return rng.choice((["SET", key, "text"], ["DEL", key], ["DEL", key], ["COPY", key, self.key(rng), "REPLACE"],
                           ["RENAME", key, self.key(rng)], ["TYPE", key], ["EXISTS", key], ["EXPIRE", key, 10000],
                           ["TTL", key], ["PERSIST", key]))

    @staticmethod
    def _spoil(rng, args):
        """A blocking command must keep its timeout, which stands first or last."""
        return args if str(args[0]).startswith("B") else Generator._spoil(rng, args)


def test_random_commands(lists, seed, scale):
    run = DifferentialRun(lists, Lists(), seed)
    run.run(scale(6_000))
    lists.same(*(f"LRANGE k{i} 0 -1" for i in range(1, 5)))


def test_random_commands_while_the_limit_changes(lists, seed, scale):
    """The limit holds for what comes; lists that are there keep their shape until they are changed."""
    run = DifferentialRun(lists, Lists(), seed)
    for limit in (-1, 1, -2, 3, 100, -5, 2):
        for client in lists.both:
            client.command("CONFIG", "SET", "list-max-listpack-size", limit)
        run.seed += 1
        run.run(scale(500))
    lists.same(*(f"LRANGE k{i} 0 -1" for i in range(1, 5)))
