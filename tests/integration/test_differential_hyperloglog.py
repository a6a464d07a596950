"""HyperLogLog commands against redis-server: replies, and the bytes of the strings that they leave behind."""
import pytest

from generators import KEYS
from harness.differential import DifferentialRun
from hyperloglog_generators import BROKEN, HyperLogLogs


@pytest.fixture
def sparse_max(pair):
    """A function that sets hll-sparse-max-bytes on both servers; the default comes back."""
    def set_to(value):
        for client in pair.both:
            client.command("CONFIG", "SET", "hll-sparse-max-bytes", value)
    yield set_to
    set_to(3000)


def test_adding_and_counting(pair):
    pair.same("PFADD h", "GET h", "PFADD h", "PFCOUNT h", "PFADD h a", "GET h", "PFCOUNT h", "GET h", "PFADD h a",
              "GET h", "PFADD h b c d e f g", "GET h", "PFCOUNT h", "PFDEBUG DECODE h", "PFDEBUG ENCODING h",
              "OBJECT ENCODING h", "PFCOUNT none", "PFCOUNT none none2", "PFCOUNT h none", ("PFADD", "h", ""),
              "GET h", "PFADD new a", "OBJECT ENCODING new", "STRLEN new")


def test_elements_of_every_length(pair):
    pair.same(*(("PFADD", "h", bytes(range(n))) for n in range(70)), "GET h", "PFCOUNT h")


@pytest.mark.parametrize("count", [100, 1000, 5000, 50000, 200000])
def test_many_elements(pair, count, scale):
    for first in range(0, scale(count), 1000):
        pair.same(("PFADD", "h", *range(first, min(first + 1000, count))))
    pair.same("PFCOUNT h", "GET h", "PFDEBUG ENCODING h", "PFDEBUG GETREG h", "STRLEN h")


def test_each_single_element_until_it_is_dense(pair):
    for n in range(2500):
        pair.same(("PFADD", "h", f"element {n}"))
        if n % 50 == 0:
            pair.same("GET h", "PFDEBUG DECODE h")
    pair.same("PFDEBUG ENCODING h", "GET h", "OBJECT ENCODING h")


def test_merging(pair):
    pair.same("PFMERGE d", "GET d", "PFADD a 1 2 3", "PFADD b 3 4 5", "PFMERGE d a b", "GET d", "PFCOUNT d", "GET d",
              "PFMERGE d none", "GET d", "PFMERGE a a", "GET a", "PFDEBUG TODENSE b", "PFMERGE e a b", "GET e",
              "PFCOUNT e", "PFMERGE a b", "GET a", "EXPIRE a 1000", "PFMERGE a d", "TTL a", "PFADD a x y z", "TTL a",
              "PFCOUNT a b d e none", "PFCOUNT a b", "PFDEBUG TODENSE b", "PFDEBUG TODENSE d", "GET d")


def test_merging_many_sparse_ones_makes_a_dense_one(pair):
    for n in range(10):
        pair.same(("PFADD", f"k{n}", *range(n * 200, n * 200 + 300)), ("PFDEBUG", "ENCODING", f"k{n}"))
    pair.same(("PFMERGE", "d", *(f"k{n}" for n in range(10))), "GET d", "PFDEBUG ENCODING d", "PFCOUNT d",
              ("PFCOUNT", *(f"k{n}" for n in range(10))))


def test_refusals(pair):
    pair.same("SET s x", "PFADD s a", "PFCOUNT s", "PFCOUNT none s", "PFMERGE s h", "PFMERGE d s", "SADD l x",
              "PFADD l a", "PFCOUNT l", "PFCOUNT none l", "PFMERGE l", "PFMERGE d l", "PFDEBUG GETREG none",
              "PFDEBUG JUNK none", "PFDEBUG GETREG s", "PFDEBUG JUNK l", "PFDEBUG", "PFDEBUG GETREG", "PFADD h a",
              "PFDEBUG JUNK h", "PFDEBUG ENCODING h", "PFDEBUG TODENSE h", "PFDEBUG DECODE h", "PFADD", "PFCOUNT",
              "PFMERGE", "PFSELFTEST x", "PFSELFTEST", "EXISTS d")


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_what_is_none(pair, broken):
    pair.same(("SET", "k", broken), "PFADD k", "PFCOUNT k", "PFCOUNT k none", "PFMERGE d k", "PFMERGE k",
              "PFDEBUG GETREG k", "PFDEBUG TODENSE k", "PFDEBUG ENCODING k", "GET k")


@pytest.mark.parametrize("limit", [3000, 100, 0, 18, 16000])
def test_random_commands(pair, sparse_max, seed, scale, limit):
    sparse_max(limit)
    DifferentialRun(pair, HyperLogLogs(), seed).run(scale(2500))
    for key in KEYS:
        if pair.same(("TYPE", key)) == [b"string"]:
            pair.same(("GET", key))
