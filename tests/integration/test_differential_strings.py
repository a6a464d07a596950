"""String commands against redis-server: chosen cases first, then thousands of random commands."""
import pytest

from generators import Strings
from harness.differential import DifferentialRun


def test_set_and_get(pair):
    pair.same("SET k v", "GET k", "SET k v NX", "SET k w XX GET", "SET new x XX", "SET new x NX GET", "GET new",
              "STRLEN k", ("SET", "", ""), ("GET", ""), "SET k v EX 10 PX 10", "SET k v EX 0", "SET k v KEEPTTL EX 5",
              "SET k v NX XX")


def test_ttl_options(pair):
    pair.same("SET k v EX 100", "TTL k", "SET k w KEEPTTL", "TTL k", "SET k x", "TTL k", "SETEX k 100 v",
              "PSETEX k 5000 v", "GETEX k PERSIST", "TTL k", "GETEX k EX 50", "TTL k", "GETSET k y", "TTL k",
              "APPEND k z", "TTL k", "SETEX k -1 v", "PSETEX k 0 v", "SETEX k x v", "GETEX nothing EX 10", "GETDEL k",
              "GETDEL k")


def test_counters(pair):
    pair.same("INCR n", "INCRBY n 41", "DECR n", "DECRBY n 100", "GET n", "OBJECT ENCODING n",
              "SET n 9223372036854775807", "INCR n", "GET n", "SET n -9223372036854775808", "DECR n",
              "DECRBY n -9223372036854775808", "INCRBY n x", ("SET", "n", " 1"), "INCR n", ("SET", "n", "1 "),
              "INCR n", "SET n 007", "INCR n", "SET n -0", "INCR n")


def test_floats(pair):
    pair.same("INCRBYFLOAT f 0.1", "INCRBYFLOAT f 0.2", "INCRBYFLOAT f -5e2", "INCRBYFLOAT f 1e17",
              "INCRBYFLOAT f inf", "INCRBYFLOAT f nan", "INCRBYFLOAT f x", "SET f 3.0e3", "INCRBYFLOAT f 200",
              "SET f 1e4900", "INCRBYFLOAT f 1", ("SET", "f", " 1.5"), "INCRBYFLOAT f 1", "SET f 10.50",
              "INCRBYFLOAT f 0.1", "GET f")


def test_ranges(pair):
    pair.same("SET s HelloWorld", "GETRANGE s 0 4", "GETRANGE s -5 -1", "GETRANGE s 5 2", "GETRANGE s -100 100",
              "SUBSTR s 1 2", "SETRANGE s 3 xyz", "GET s", "SETRANGE s 15 end", "GET s", ("SETRANGE", "none", 5, ""),
              "EXISTS none", "SETRANGE s -1 x", "SETRANGE s 536870912 x", "SETRANGE s 536870911 xx", "GETRANGE s x 1")


def test_several_keys(pair):
    pair.same("MSET a 1 b 2 c 3", "MGET a b nothing c a", "MSETNX d 4 a 5", "MGET d a", "MSETNX d 4 e 5", "MSET a",
              "MSET a 1 b", "MSETNX a 1 b", "MSET a 1 a 2", "GET a")


def test_lcs(pair):
    pair.same("MSET x ohmytext y mynewtext", "LCS x y", "LCS x y LEN", "LCS x y IDX",
              "LCS x y IDX MINMATCHLEN 4 WITHMATCHLEN", "LCS x nothing", "LCS x y LEN IDX", "LCS x y JUNK", "LCS x",
              "LCS x y MINMATCHLEN")


@pytest.mark.parametrize("value", ["1", "12345678901234567890", "x" * 44, "x" * 45, "1.5", "", "-1", "01",
                                   "9223372036854775807"])
def test_encodings(pair, value):
    pair.same(("SET", "k", value), "OBJECT ENCODING k", "APPEND k x", "OBJECT ENCODING k", "GET k")


def test_random_commands(pair, seed, scale):
    DifferentialRun(pair, Strings(), seed).run(scale(15_000))
