"""Commands of all families on the same few keys, against redis-server: types meet where they do not belong.

The commands are those of each family's own differential test, with their keys put in the place of others: most often
of those that are the family's home, so that values grow, and often enough of any, so that commands find the wrong type,
results replace values of other types, and keys are renamed, copied, moved and made to expire whatever they hold.
"""
import random

import pytest

from generators import KEYS, Bitmaps, Generator, Keys, Strings
from harness import differential
from harness.differential import DifferentialRun, name_of
from hash_generators import Hashes
from hyperloglog_generators import HyperLogLogs
from set_generators import Sets
from test_differential_lists import Lists
from zset_generators import TEXT_KEYS, ZKEYS, SortedSets

# What the families call their keys.
NAMES = {*KEYS, *TEXT_KEYS, *ZKEYS, "s0", "s1", "str"}
HOMES = {Strings: 1, Bitmaps: 1, HyperLogLogs: 1, Lists: 2, Hashes: 2, Sets: 2, SortedSets: 3}
SKETCHES = ["sketch0", "sketch1"]
KINDS = ["string", "list", "set", "zset", "hash", "stream", "nosuch", "STRING"]

CONTENTS = {b"string": ["GET"], b"list": ["LRANGE", 0, -1], b"set": ["SMEMBERS"], b"hash": ["HGETALL"],
            b"zset": ["ZRANGE", 0, -1, "WITHSCORES"]}


class Whole(Generator):
    """Commands that work on keys of any type."""
    SPOILT = 0.02

    def make_type(self, rng):
        return [*rng.choice((["TYPE"], ["OBJECT", "ENCODING"], ["TTL"], ["EXPIRETIME"], ["EXISTS"])), self.key(rng)]

    def make_scan(self, rng):
        return ["SCAN", 0, "COUNT", 100000, "TYPE", rng.choice(KINDS), *rng.choice(([], ["MATCH", "k[0-5]"]))]

    def make_rename(self, rng):
        return [rng.choice(("RENAME", "RENAMENX")), self.key(rng), self.key(rng)]

    def make_copy(self, rng):
        return ["COPY", self.key(rng), self.key(rng), *rng.choice(([], ["REPLACE"], ["DB", 1, "REPLACE"], ["DB", 1]))]

    def make_move(self, rng):
        return ["MOVE", self.key(rng), rng.choice((0, 1, 1, 2))]

    def make_expire(self, rng):
        return rng.choice((["EXPIRE", self.key(rng), rng.randint(1000, 10**6)], ["PERSIST", self.key(rng)],
                           ["EXPIRE", self.key(rng), -1]))

    def make_select(self, rng):
        return ["SELECT", rng.choice((0, 0, 0, 1))]

    def make_sort(self, rng):
        """By the elements' texts: redis-server reads numbers wrongly after commands that set errno."""
        gets = rng.choice(([], [], ["GET", "k*"], ["GET", "#", "GET", "k*->1"]))
        args = [rng.choice(("SORT", "SORT_RO")), self.key(rng), "ALPHA", *rng.choice(([], ["DESC"])), *gets]
        return args if rng.random() < 0.6 else ["SORT", *args[1:], "LIMIT", rng.randint(0, 2), 20, "STORE",
                                                self.key(rng)]

    def make_del(self, rng):
        return [rng.choice(("DEL", "UNLINK")), *self.keys(rng, 2)]


class Mixed:
    """Called with a random.Random, makes one command of any family."""

    def __init__(self):
        self.families = [Strings(), Bitmaps(), HyperLogLogs(), Lists(), Hashes("conversion"), Sets("all"), SortedSets(),
                         Keys(), Whole(), Whole()]

    def __call__(self, rng):
        while True:
            family = rng.choice(self.families)
            args = family(rng)
            if not self.left_open(args):
                return self.kept_apart(rng, [self.renamed(rng, family, arg) for arg in args])

    @staticmethod
    def left_open(args):
        """Which texts a range has where the scores differ; what a HyperLogLog with other bytes behind it is decoded to.
        What empties everything is left out, too."""
        words = [str(arg).upper() for arg in args]
        return any("LEX" in word for word in words) or words[0] in ("PFDEBUG", "FLUSHALL", "FLUSHDB")

    @staticmethod
    def kept_apart(rng, args):
        """No HyperLogLog is changed that a command of strings may have damaged: redis-server changes it up to there."""
        if args[0] in ("PFADD", "PFMERGE") and len(args) > 1:
            args[1] = rng.choice(SKETCHES)
        return args

    @staticmethod
    def renamed(rng, family, arg):
        if arg not in NAMES:
            return arg
        home = HOMES.get(type(family))
        if home is None or rng.random() < 0.3:
            return rng.choice(KEYS)
        return rng.choice(KEYS[2 * home - 2:2 * home])


def _encoding(a, b):
    """Small sets and lists are listpacks since Redis 7.2, which we follow; redis-server unpacks what SORT reads."""
    return a.value == b"listpack" and b.value in (b"hashtable", b"quicklist", b"skiplist")


def _sorted(a, b):
    """redis-server compares with strcoll, for which a text ends with its first zero byte."""
    same_kind = isinstance(a.value, list) and isinstance(b.value, list)
    return same_kind and sorted(map(repr, a.value)) == sorted(map(repr, b.value))


@pytest.fixture
def lenient(monkeypatch):
    monkeypatch.setitem(differential.COMPARERS, "OBJECT", _encoding)
    monkeypatch.setitem(differential.COMPARERS, "SCAN", differential._whole_scan)
    for name in ("SORT", "SORT_RO"):
        monkeypatch.setitem(differential.COMPARERS, name, _sorted)


def same_contents(pair):
    held = set()
    for database in range(3):
        pair.same(f"SELECT {database}")
        [names] = pair.same("KEYS *")
        for name in names:
            [kind] = pair.same(("TYPE", name))
            held.add(kind)
            command, *rest = CONTENTS[kind]
            pair.same((command, name, *rest), ("TTL", name), ("OBJECT", "ENCODING", name))
    pair.same("SELECT 0")
    return held


@pytest.mark.usefixtures("lenient")
def test_random_commands(pair, seed, scale):
    run, held = DifferentialRun(pair, Mixed(), seed), set()
    for part in range(8):
        run.seed = seed + part
        run.run(scale(1000))
        held |= same_contents(pair)
    assert scale(1000) < 1000 or len(held) >= 4, held


def test_what_is_generated(seed):
    """All families come up, and each of the keys."""
    rng, generate = random.Random(seed), Mixed()
    commands = [generate(rng) for _ in range(3000)]
    names = {name_of(args) for args in commands}
    assert {"SET", "SETBIT", "PFADD", "RPUSH", "HSET", "SADD", "ZADD", "SORT", "EXPIRE", "SCAN", "MOVE"} <= names
    assert set(KEYS) <= {arg for args in commands for arg in args if isinstance(arg, str)}
