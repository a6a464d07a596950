"""Sorted sets beyond what redis-server 7.0 can be asked: newer options, waiting, scans under change, chance."""
import collections
import threading
import time

import pytest

from harness.resp import Client, ErrorReply
from harness.waiting import until_blocked

SERVER_OPTIONS = ("--enable-debug-command", "yes")


@pytest.fixture(params=["listpack", "skiplist"])
def encoding(client, request):
    entries = 1000 if request.param == "listpack" else 0
    assert client.command("CONFIG", "SET", "zset-max-listpack-entries", entries) == b"OK"
    return request.param


def fill(client, key, count):
    for first in range(0, count, 500):
        members = range(first, min(count, first + 500))
        client.command("ZADD", key, *(x for i in members for x in (i, f"m{i}")))


def as_double(protocol, value):
    return float(value) if protocol == 3 else value.encode()


def test_rank_with_score(client, protocol, encoding):
    client.command("ZADD", "z", 1, "a", 2.5, "b")
    assert client.command("ZRANK", "z", "b", "WITHSCORE") == [1, as_double(protocol, "2.5")]
    assert client.command("ZREVRANK", "z", "b", "withscore") == [0, as_double(protocol, "2.5")]
    assert client.command("ZRANK", "z", "none", "WITHSCORE") is None
    assert client.command("ZRANK", "none", "b", "WITHSCORE") is None
    assert client.command("ZRANK", "z", "b", "JUNK") == ErrorReply("ERR syntax error")
    assert client.command("ZRANK", "z", "b", "WITHSCORE", 1) == ErrorReply(
        "ERR wrong number of arguments for 'zrank' command")
    client.send("ZRANK", "z", "none", "WITHSCORE")
    assert client.read().raw == (b"_\r\n" if protocol == 3 else b"*-1\r\n")


@pytest.mark.parametrize("score, shown", [("0.1", "0.1"), ("3.0", "3"), ("1e17", "100000000000000000"), ("inf", "inf"),
                                          ("1e22", "1e+22"), ("-1.5e-7", "-1.5e-7"), ("3.3333333333333335", None)])
def test_scores_are_shown_short(client, protocol, encoding, score, shown):
    client.command("ZADD", "z", score, "m")
    client.send("ZSCORE", "z", "m")
    text = (shown or score).encode()
    assert client.read().raw == (b",%s\r\n" % text if protocol == 3 else b"$%d\r\n%s\r\n" % (len(text), text))


def waiting(port, *command):
    """Sends a command that waits, from a client of its own; returns that client once it waits."""
    other = Client(port)
    other.send(*command)
    with Client(port) as watcher:
        until_blocked(watcher)
    return other


def test_waiting_for_a_member(server, client):
    with waiting(server.port, "BZPOPMIN", "x", "z", 0) as other:
        client.command("ZADD", "z", 2, "b", 1, "a", 3, "c")
        assert other.read().value == [b"z", b"a", b"1"]
    assert client.command("ZRANGE", "z", 0, -1) == [b"b", b"c"]
    client.command("DEL", "z")
    with waiting(server.port, "BZPOPMAX", "z", 0) as other:
        client.command("ZINCRBY", "z", 1.5, "b")
        assert other.read().value == [b"z", b"b", b"1.5"]
    assert client.command("EXISTS", "z") == 0
    with waiting(server.port, "BZMPOP", 0, 2, "x", "z", "MAX", "COUNT", 2) as other:
        client.command("SADD", "s", "p", "q", "r")
        client.command("ZUNIONSTORE", "z", 1, "s")
        assert other.read().value == [b"z", [[b"r", b"1"], [b"q", b"1"]]]
    assert client.command("ZRANGE", "z", 0, -1) == [b"p"]


def test_waiting_serves_by_turns(server, client):
    with waiting(server.port, "BZPOPMIN", "z", 0) as first:
        second = Client(server.port)
        second.send("BZPOPMIN", "z", 0)
        until_blocked(client, 2)
        client.command("ZADD", "z", 1, "a")
        assert first.read().value == [b"z", b"a", b"1"]
        client.command("SET", "z", "text")
        client.command("DEL", "z")
        client.command("RPUSH", "z", "no sorted set")
        client.command("DEL", "z")
        client.command("ZADD", "other", 1, "b")
        client.command("RENAME", "other", "z")
        assert second.read().value == [b"z", b"b", b"1"]
        second.close()


def test_waiting_in_vain(server, client, protocol):
    start = time.monotonic()
    client.send("BZPOPMIN", "z", 0.1)
    assert client.read().raw == (b"_\r\n" if protocol == 3 else b"*-1\r\n")
    assert time.monotonic() - start > 0.09


def scan_all(client, key, between=lambda: None, *options):
    cursor, seen = b"0", collections.Counter()
    while True:
        cursor, page = client.command("ZSCAN", key, cursor, *options)
        seen.update(zip(page[::2], page[1::2]))
        if cursor == b"0":
            return seen
        between()


def test_scan_is_whole(client, encoding):
    fill(client, "z", 700)
    assert scan_all(client, "z") == {(b"m%d" % i, b"%d" % i): 1 for i in range(700)}
    assert set(scan_all(client, "z", lambda: None, "MATCH", "m1?")) == {(b"m%d" % i, b"%d" % i) for i in range(10, 20)}


def test_scan_sees_what_stays(client):
    """Members come and go; the set is packed first and a tree later."""
    fill(client, "z", 100)
    counter = iter(range(1000, 100000))

    def churn():
        fresh = [next(counter) for _ in range(40)]
        client.command("ZADD", "z", *(x for i in fresh for x in (i, f"new{i}")))
        client.command("ZREM", "z", *(f"new{i - 20}" for i in fresh))
    for _ in range(3):
        seen = scan_all(client, "z", churn, "COUNT", 5)
        assert {(b"m%d" % i, b"%d" % i) for i in range(100)} <= set(seen)
        churn()
    assert client.command("OBJECT", "ENCODING", "z") == b"skiplist"


def chi_square(counts, draws, kinds):
    expected = draws / kinds
    return sum((counts[i] - expected) ** 2 / expected for i in range(kinds))


@pytest.mark.parametrize("count", [1, -1, 3, 15])
def test_random_members_are_uniform(client, encoding, count):
    """20 members: 19 degrees of freedom, where 100 comes by chance once in 10^12 times. Two draws without repetition
    repel each other, so the sum is smaller, not larger, for samples."""
    fill(client, "z", 20)
    counts, draws = collections.Counter(), 0
    for reply in client.pipeline([("ZRANDMEMBER", "z", count)] * 3000):
        assert count < 0 or len(set(reply)) == count
        counts.update(int(member[1:]) for member in reply)
        draws += len(reply)
    assert chi_square(counts, draws, 20) < 100


def test_random_members_with_scores(client, protocol, encoding):
    fill(client, "z", 30)
    for count in (5, 25, 29, 30, 50):
        reply = client.command("ZRANDMEMBER", "z", count, "WITHSCORES")
        pairs = reply if protocol == 3 else list(zip(reply[::2], reply[1::2]))
        assert len(pairs) == min(count, 30) == len({member for member, _ in pairs})
        assert all(float(score) == int(member[1:]) for member, score in pairs)
    assert len(client.command("ZRANDMEMBER", "z", -100)) == 100
    assert client.command("ZRANDMEMBER", "z", -2**40) == ErrorReply("ERR value is out of range")


def test_digest_is_the_contents(client):
    digests = []
    for entries in (0, 1000):
        client.command("CONFIG", "SET", "zset-max-listpack-entries", entries)
        client.command("DEL", "z")
        client.command("ZADD", "z", 1, "a", 2.5, "b", "-0", "zero", "inf", "12")
        digests.append(client.command("DEBUG", "DIGEST"))
        assert client.command("DEBUG", "DIGEST-VALUE", "z")[0] != b"0" * 40
    assert digests[0] == digests[1]
    client.command("ZINCRBY", "z", 1, "a")
    assert client.command("DEBUG", "DIGEST") != digests[0]


def test_large_replies_and_removals(client):
    fill(client, "z", 20000)
    everything = client.command("ZRANGE", "z", 0, -1)
    assert everything == [b"m%d" % i for i in range(20000)]
    assert client.command("ZRANGE", "z", "(100", "+inf", "BYSCORE", "LIMIT", 5000, 3) == [b"m5101", b"m5102", b"m5103"]
    assert client.command("ZREMRANGEBYSCORE", "z", 1000, "(19000") == 18000
    assert client.command("ZRANK", "z", "m19000") == 1000
    assert client.command("MEMORY", "USAGE", "z") > 2000 * 30
    assert client.command("ZREMRANGEBYRANK", "z", 0, -1) == 2000
    assert client.command("EXISTS", "z") == 0


def test_long_replies_are_one_state(server, client, protocol):
    """Answered in slices; in between, one member goes as another comes, and at last all are gone."""
    count = 12000
    fill(client, "z", count)
    expected = [b"m%d" % i for i in range(count)]
    assert client.command("ZRANGE", "z", 0, -1) == expected
    assert client.command("ZREVRANGE", "z", 10, -11) == expected[-11:9:-1]
    assert client.command("ZRANGEBYSCORE", "z", "(99", 11000, "LIMIT", 50, 10000) == expected[150:10150]
    client.command("ZUNIONSTORE", "t", 1, "z", "WEIGHTS", 0)
    assert client.command("ZREVRANGEBYLEX", "t", "+", "[m1") == sorted(expected, reverse=True)[:-1]
    client.command("MULTI")
    client.command("ZRANGE", "z", 0, -1)
    assert client.command("EXEC") == [expected]
    with Client(server.port, protocol) as other:
        for i in range(6):
            other.send("ZRANGE", "z", 0, -1, "WITHSCORES")
            client.command("MULTI")
            client.command("ZREM", "z", f"m{i}")
            client.command("ZADD", "z", i, f"n{i}")
            client.command("EXEC")
            reply = other.read().value
            pairs = reply if protocol == 3 else list(zip(reply[::2], reply[1::2]))
            assert len(pairs) == count
            assert [int(float(score)) for _, score in pairs] == list(range(count))
        for gone in (("DEL", "z"), ("SET", "z", "text")):
            other.send("ZRANGE", "z", 0, -1)
            client.command(*gone)
            reply = other.read().value
            assert isinstance(reply, ErrorReply) or len(reply) in (0, count)
            client.command("DEL", "z")
            fill(client, "z", count)
        other.send("ZRANGE", "z", 0, -1)
    assert client.command("ZCARD", "z") == count


def test_pops_from_several_clients_lose_nothing(server, client):
    fill(client, "z", 6000)
    got = [[] for _ in range(4)]

    def pop(out):
        with Client(server.port) as own:
            for reply in own.pipeline([("ZPOPMIN", "z")] * 1500):
                out.append(reply[0])
    threads = [threading.Thread(target=pop, args=(out,)) for out in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(member for out in got for member in out) == sorted(b"m%d" % i for i in range(6000))
    assert client.command("EXISTS", "z") == 0
