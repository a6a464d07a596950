"""SORT and SORT_RO: against redis-server, and where the reply is large."""
import random
import time

import pytest

from harness.differential import DifferentialRun
from harness.resp import Client, ErrorReply
from sort_generators import Sorts

ERROR_ORDER = ["SORT", "SORT s JUNK", "SORT s LIMIT 0", "SORT s LIMIT x 1", "SORT s LIMIT 1 y JUNK", "SORT s",
               "SORT h ALPHA", "SORT_RO l STORE x", "SORT l STORE", "SORT l BY", "SORT l GET", "SORT l LIMIT 1",
               "SORT l GET #", "SORT t", "SORT t STORE d", "SORT t ALPHA", "SORT_RO", "SORT l ASC DESC junk",
               "SORT t LIMIT 5 1", "SORT none BY w_*->f GET nope", "SORT none LIMIT 0 x"]


def test_each_kind_of_collection(pair):
    pair.same("RPUSH l 3 10 2 1.5 -7", "SADD s 3 10 2 -7", "SADD t 3 1.5 x2", "ZADD z 5 3 6 10 7 2 0 -7")
    for key in "lsz":
        pair.same(f"SORT {key}", f"SORT {key} DESC", f"SORT {key} ALPHA", f"SORT {key} ALPHA DESC", f"SORT_RO {key}",
                  f"SORT {key} LIMIT 1 2", f"SORT {key} LIMIT -5 2", f"SORT {key} LIMIT 2 -1", f"SORT {key} LIMIT 9 9",
                  f"SORT {key} LIMIT 0 0", f"SORT {key} LIMIT 3 1 LIMIT 0 2", f"SORT {key} STORE d", "LRANGE d 0 -1",
                  f"SORT {key} BY nosort STORE d", "LRANGE d 0 -1", f"SORT {key} BY nosort DESC LIMIT 1 2 STORE d",
                  "LRANGE d 0 -1")
    for order in ("", "DESC", "LIMIT 1 2", "DESC LIMIT 1 2", "LIMIT 9 9", "LIMIT 0 0", "DESC LIMIT 4 4"):
        pair.same(f"SORT l BY nosort {order}", f"SORT z BY nosort {order}")
    pair.same("SORT t", "SORT t ALPHA")


def test_patterns(pair):
    pair.same("RPUSH l 1 2 3", "MSET w_1 30 w_2 20 w_3 10 o_1 first o_2 second", "HSET h_1 rank 2 name x",
              "HSET h_2 rank 3", "HSET h_3 rank 1 name z", "SORT l BY w_*", "SORT l BY w_* GET # GET o_* GET h_*->name",
              "SORT l BY h_*->rank DESC GET h_*->name", "SORT l BY o_* ALPHA", "SORT l BY o_*", "SORT l BY none_*",
              "SORT l GET none", "SORT l GET h_*", "SORT l GET h_*->", "SORT l GET w_*->f", "SORT l BY *-> GET #",
              "SORT l BY # DESC", "SORT l GET h_*->rank STORE d", "LRANGE d 0 -1", "SORT l GET h_*->name STORE d",
              "LRANGE d 0 -1", "SORT l GET o_* GET # STORE l", "LRANGE l 0 -1", "SET x->2 arrow", "RPUSH m 2 1",
              "SORT m GET x->*", "SORT m GET **", "HSET 1* f g", "SORT m GET **->f", "SORT m GET *->*")


def test_texts_of_other_keys(pair, seed):
    rng = random.Random(seed)
    weights = rng.sample([f"{a}{b}" for a in "abcxyz\u00e9" for b in ("", *range(300))], 100)
    weights[:3] = "123", "", "-7"  # two that are kept as numbers
    pair.same(("RPUSH", "l", *range(100)), ("MSET", *(x for n, w in enumerate(weights) for x in (f"w_{n}", w))),
              *(("HSET", f"h_{n}", "f", w) for n, w in enumerate(weights)), "DEL w_5")
    for by in ("w_*", "h_*->f"):
        for tail in ("", "DESC", "LIMIT 0 5", "LIMIT 40 20 DESC", "LIMIT 98 9 GET w_* GET #", "DESC LIMIT 0 1"):
            pair.same(f"SORT l BY {by} ALPHA {tail}")


def test_numbers(pair):
    for text in ("", " 1", "1 ", "0x10", "nan", "inf", "-inf", "abc", "1,5", "\t2", "007", "+3", b"1\x00", "9" * 300,
                 "0" * 300 + "1", "1e-300"):
        pair.same("DEL l", ("RPUSH", "l", "1", text, "3"), "SORT l", ("SET", "w_1", text), "SORT l BY w_*")
    pair.same("DEL l", "RPUSH l 1.0 1 01 +1 1e0", "SORT l", "SORT l DESC", "RPUSH m 2 1", "SORT m BY w_*")


@pytest.mark.parametrize("text", ["1e400", "5e-324", "1e-400", "9" * 400])
def test_numbers_out_of_range(client, text):
    """Alone: redis-server refuses them, and then, as long as errno says so, all that is no integer."""
    client.command("RPUSH", "l", "1.5", text)
    assert client.command("SORT", "l") == ErrorReply("ERR One or more scores can't be converted into double")
    client.command("RPOP", "l")
    assert client.command("SORT", "l") == [b"1.5"]


def test_errors_and_their_order(pair):
    pair.same("SET s x", "HSET h f v", "RPUSH l 2 1", "RPUSH t a b", *ERROR_ORDER)


def test_storing(pair):
    pair.same("RPUSH l 3 1 2", "SET d x EX 100", "SORT l STORE d", "TYPE d", "TTL d", "SORT l STORE l", "LRANGE l 0 -1",
              "SORT none STORE d", "EXISTS d", "SORT none STORE d", "SORT l LIMIT 5 5 STORE l", "EXISTS l",
              "SADD s 1 2 3", "SORT s DESC STORE s", "TYPE s", "LRANGE s 0 -1", "SORT s STORE a STORE b", "EXISTS a b")
    for size in (1, 100, 5000, 20000):
        pair.same("DEL l", ("RPUSH", "l", *(f"{size}:{n}:" + "x" * size for n in range(9))),
                  "SORT l ALPHA DESC STORE d", "LRANGE d 0 -1", "SORT l ALPHA DESC", "SORT l BY nosort STORE l",
                  "LRANGE l 0 -1")


@pytest.mark.parametrize("limit", [-1, 1, 3, -5])
def test_storing_in_nodes_of_every_size(pair, limit):
    for client in pair.both:
        client.command("CONFIG", "SET", "list-max-listpack-size", limit)
    for count in (1, 3, 4, 200):
        pair.same("DEL l d", ("RPUSH", "l", *(f"{n % 7}:{'x' * (n % 50 * 200)}" for n in range(count))),
                  "SORT l ALPHA STORE d", "LRANGE d 0 -1", "RPUSH d tail", "LINDEX d -2", "SORT d ALPHA STORE d",
                  "LLEN d", "LPOP d", "RPOP d", "SORT d LIMIT 0 0 STORE d", "EXISTS d")
    for client in pair.both:
        client.command("CONFIG", "SET", "list-max-listpack-size", -2)


def test_keys_of_a_command(pair):
    pair.same(*(f"COMMAND GETKEYSANDFLAGS {command}" for command in (
        "sort a", "sort a BY w_* GET x STORE b STORE c", "sort a LIMIT STORE x STORE y", "sort a GET STORE",
        "sort a STORE", "sort_ro a BY w_*", "sort a by store store b", "sort a LIMIT 0 1 store x asc")))


def test_elements_named_by_keys_that_expire(pair):
    pair.same("RPUSH l 1 2 3", "SET w_1 5 PX 1", "SET w_2 1", "HSET h_1 f 1", "PEXPIRE h_1 1", "SET w_3 3 EX 1000")
    time.sleep(0.02)
    pair.same("SORT l BY w_* GET w_* GET h_*->f", "DBSIZE")


def test_empty_names(pair):
    """An empty element and a pattern of nothing but the asterisk name the empty key."""
    pair.same(("RPUSH", "l", ""), "SORT l BY * GET *", "SORT l BY nosort GET * GET # STORE s", "LRANGE s 0 -1",
              ("SET", "", "7"), "SORT l BY * GET *", "RPUSH l x", "SORT l BY * GET * GET # ALPHA")


def test_random_commands(pair, seed, scale):
    run = DifferentialRun(pair, Sorts(), seed)
    for part in range(3):
        run.seed = seed + part
        run.run(scale(2_000))
    pair.same(*(f"LRANGE l{i} 0 -1" for i in range(5)))


@pytest.mark.parametrize("order", ["sorted", "reversed", "equal", "random", "organ pipe"])
def test_many(server, scale, seed, order):
    """Whatever the order that they come in, and with values of their own, as texts and as numbers."""
    rng, count = random.Random(seed), scale(60_000)
    numbers = {"sorted": range(count), "reversed": range(count, 0, -1), "equal": [7] * count,
               "random": [rng.randrange(count) for _ in range(count)],
               "organ pipe": [*range(count // 2), *range(count // 2, 0, -1)]}[order]
    with Client(server.port) as client:
        for at in range(0, count, 5000):
            client.command("RPUSH", "l", *numbers[at:at + 5000])
        expected = [b"%d" % n for n in sorted(numbers)]
        assert client.command("SORT", "l") == expected
        assert client.command("SORT", "l", "DESC") == expected[::-1]
        assert client.command("SORT", "l", "ALPHA") == sorted(expected)
        middle = count // 2
        assert client.command("SORT", "l", "LIMIT", middle, 20) == expected[middle:middle + 20]
        assert client.command("SORT", "l", "STORE", "l") == len(numbers)
        assert client.command("LRANGE", "l", 0, -1) == expected
