"""Moving what lives in sparse memory: nothing changes but where it is, whatever the type, the encoding and the moment.

DEBUG DEFRAG moves at once what the clockwork moves in slices. Under the sanitizers everything that can move does.
"""
import random

import pytest

from harness.resp import Client, ErrorReply

SIZES = (8, 24, 40, 90, 200, 500, 1000)


def text(rng):
    return "v" * rng.choice(SIZES)


def changes_to(rng, i):
    """Commands that make or change a value of every type, small or large."""
    many = rng.choice((3, 30, 600))
    return (
        ("SET", f"s:{i}", text(rng)), ("SET", f"e:{i}", "x", "EX", 999),
        ("SET", f"b:{i}", "b" * rng.randrange(1100, 9000)),
        ("HSET", f"h:{i}", *(x for n in range(many) for x in (f"field:{n}", text(rng)))),
        ("HPEXPIRE", f"h:{i}", 10_000_000, "FIELDS", 2, "field:1", "field:2"),
        ("SADD", f"t:{i}", *(f"{'m' * (n % 40)}{n}" for n in range(many))), ("SADD", f"i:{i}", *range(many // 2)),
        ("ZADD", f"z:{i}", *(x for n in range(many) for x in (n * 7 % 13, f"{'m' * (n % 40)}{n}"))),
        ("RPUSH", f"l:{i}", *(text(rng) for n in range(many))), ("RPUSH", f"l:{i}", "x" * 20_000),
        *(("XADD", f"x:{i}", "*", "a", text(rng), "b", "c") for _ in range(many // 3)),
        ("XGROUP", "CREATE", f"x:{i}", "g", "0", "MKSTREAM"),
        ("XREADGROUP", "GROUP", "g", f"c{i % 2}", "COUNT", 50, "STREAMS", f"x:{i}", ">"),
        ("JSON.SET", f"j:{i}", "$", '{"a": [1, 2, "three"], "b": {"c": "%s"}}' % text(rng)),
    )


def thin_out(rng, i):
    some = sorted(rng.sample(range(600), 500))
    return (
        ("HDEL", f"h:{i}", *(f"field:{n}" for n in some)), ("SREM", f"t:{i}", *(f"{'m' * (n % 40)}{n}" for n in some)),
        ("ZREM", f"z:{i}", *(f"{'m' * (n % 40)}{n}" for n in some)), ("LTRIM", f"l:{i}", 40, -3),
        ("XTRIM", f"x:{i}", "MAXLEN", 20), ("DEL", f"s:{i}" if rng.random() < 0.7 else f"b:{i}"),
    )


def check(client):
    reply = client.command("DEBUG", "CHECK")
    assert not isinstance(reply, ErrorReply), reply


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_nothing_changes_but_where_it_is(server, seed):
    print("seed", seed)
    rng, moved = random.Random(seed), 0
    with Client(server.port) as client:
        for round_ in range(2):
            for i in range(30):
                list(client.pipeline(changes_to(rng, i)))
            for i in range(30):
                if rng.random() < 0.8:
                    list(client.pipeline(thin_out(rng, i)))
            digest = client.command("DEBUG", "DIGEST")
            used = int(client.info("memory")["used_memory"])
            moved += client.command("DEBUG", "DEFRAG")
            assert client.command("DEBUG", "DIGEST") == digest
            assert abs(int(client.info("memory")["used_memory"]) - used) < 200_000
            check(client)
        assert moved > 1000
        assert int(client.info("stats")["active_defrag_hits"]) >= moved
        for i in range(30):  # everything still works where it is now
            list(client.pipeline(thin_out(rng, i)))
            list(client.pipeline((("XACK", f"x:{i}", "g", "0-1"), ("XAUTOCLAIM", f"x:{i}", "g", "c9", 0, 0),
                                  ("ZPOPMIN", f"z:{i}", 5), ("SPOP", f"t:{i}", 5), ("LPOP", f"l:{i}", 5))))
        check(client)
        assert client.command("FLUSHALL", "SYNC") == b"OK"


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_what_a_command_holds_or_a_reply_refers_to_stays(server):
    with Client(server.port) as client, Client(server.port) as other:
        client.load(("HSET", "h", f"field:{i}", "v" * 50) for i in range(20_000))
        client.load(("HDEL", "h", f"field:{i}") for i in range(20_000) if i % 10)
        client.load((("SET", f"big:{i}", "b" * 12_000) for i in range(100)))
        client.load((("UNLINK", f"big:{i}") for i in range(100) if i % 10))
        client.command("DEBUG", "TASK-STEPS", 1)
        client.send("HGETALL", "h")
        for i in range(0, 100, 10):
            client.send("GET", f"big:{i}")
        other.command("DEBUG", "DEFRAG")
        other.command("DEBUG", "TASK-STEPS", -1)
        assert len(client.read().value) == 4000
        assert all(client.read().value == b"b" * 12_000 for _ in range(10))
        check(other)
