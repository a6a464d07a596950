"""Moving what lives in sparse memory: nothing changes but where it is, whatever the type, the encoding and the moment.

DEBUG DEFRAG moves at once what the clockwork moves in slices. Under the sanitizers everything that can move does.
"""
import json
import random
import time

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
        ("JSON.SET", f"k:{i}", "$", json.dumps({
            "list": [{"id": n, "text": text(rng), "large": 1 << 62} for n in range(many)],
            "map": {f"member {n}": [n, text(rng)] for n in range(many)}})),
    )


def thin_out(rng, i):
    some = sorted(rng.sample(range(600), 500))
    return (
        ("HDEL", f"h:{i}", *(f"field:{n}" for n in some)), ("SREM", f"t:{i}", *(f"{'m' * (n % 40)}{n}" for n in some)),
        ("ZREM", f"z:{i}", *(f"{'m' * (n % 40)}{n}" for n in some)), ("LTRIM", f"l:{i}", 40, -3),
        ("JSON.DEL", f"k:{i}", "$.list[::3]"), ("JSON.SET", f"k:{i}", "$.map['member 1']", '"new"'),
        ("JSON.ARRAPPEND", f"k:{i}", "$.list", '{"id": -1}'), ("JSON.DEL", f"k:{i}", "$.map['member 2']"),
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


def wait_until(client, condition, seconds=120):
    """Waits until condition(memory, stats) of INFO holds; the last of both."""
    deadline = time.monotonic() + seconds
    while True:
        memory, stats = client.info("memory"), client.info("stats")
        if condition(memory, stats):
            return memory, stats
        assert time.monotonic() < deadline, (memory, stats)
        time.sleep(0.05)


def is_compact(memory, stats):
    return float(memory["allocator_frag_ratio"]) < 1.3


def set_options(client, **options):
    for name, value in options.items():
        assert client.command("CONFIG", "SET", name.replace("_", "-"), value) == b"OK"


def begin(client, **options):
    """Everything at once, whatever is lost; none of it under an allocator that knows nothing of slabs."""
    if not client.info("memory")["mem_allocator"].startswith("jemalloc"):
        pytest.skip("only jemalloc tells what is lost")
    set_options(client, active_defrag_ignore_bytes="100kb", active_defrag_threshold_lower=0, active_defrag_cycle_min=99,
                active_defrag_cycle_max=99, **options)


def fill(client, keys=20_000, prefix="key"):
    client.load(("SET", f"{prefix}:{i}", "v" * (i * 7919 % 900)) for i in range(keys))


def thin(client, keys=20_000, prefix="key"):
    client.load(("UNLINK", f"{prefix}:{i}") for i in range(keys) if i % 5)


def test_a_walk_in_vain_does_not_put_off_the_one_that_is_needed(server):
    with Client(server.port) as client:
        begin(client)
        fill(client)
        wait_until(client, lambda memory, stats: int(stats["active_defrag_misses"]) > 5000 and
                   memory["active_defrag_running"] == "0")
        thin(client)
        wait_until(client, is_compact)


def test_what_is_lost_counts_and_not_what_is_left(server):
    with Client(server.port) as client:
        begin(client)
        set_options(client, active_defrag_ignore_bytes="5mb")
        client.load(("SET", f"key:{i}", "v" * 100) for i in range(60_000))
        client.load(("UNLINK", f"key:{i}") for i in range(60_000) if i % 30)
        wait_until(client, lambda memory, stats: int(stats["active_defrag_hits"]) > 500)


def test_switched_off_and_on_it_begins_at_once(server):
    with Client(server.port) as client:
        begin(client, activedefrag="no")
        fill(client)
        thin(client)
        assert client.command("CONFIG", "RESETSTAT") == b"OK"
        set_options(client, activedefrag="yes")
        wait_until(client, is_compact)
        memory, stats = wait_until(client, lambda memory, stats: memory["active_defrag_running"] == "0")
        assert int(stats["total_active_defrag_time"]) > 0 and stats["current_active_defrag_time"] == "0"
        assert int(stats["active_defrag_hits"]) > 1000 and int(stats["active_defrag_key_hits"]) > 1000
        set_options(client, activedefrag="no")
        assert client.command("CONFIG", "RESETSTAT") == b"OK"
        stats = client.info("stats")
        assert all(stats[f"active_defrag_{name}"] == "0" for name in ("hits", "misses", "key_hits", "key_misses"))
        assert stats["total_active_defrag_time"] == "0"


def test_the_inside_of_one_large_value_is_worth_walks(server):
    with Client(server.port) as client:
        begin(client, activedefrag="no")
        for name in ("h", "other"):
            client.load(("HSET", name, f"field:{i}", "v" * 100) for i in range(1000))
        client.load(("HSET", name, f"field:{i}", "v" * 100) for i in range(1000, 40_000) for name in ("h", "other"))
        client.command("UNLINK", "other")
        set_options(client, activedefrag="yes")
        wait_until(client, is_compact)


def test_documents_and_streams_become_compact(server):
    document = json.dumps({"text": "t" * 100, "list": [1, 2, {"inner": "i" * 50}]})
    with Client(server.port) as client:
        begin(client, activedefrag="no")
        client.load(command for i in range(10_000) for command in (
            ("JSON.SET", f"key:{i}", "$", document), ("XADD", f"x:{i}", "*", "field", "v" * 50),
            ("XGROUP", "CREATE", f"x:{i}", "group", "0"),
            ("XREADGROUP", "GROUP", "group", "reader", "STREAMS", f"x:{i}", ">")))
        thin(client, 10_000)
        thin(client, 10_000, "x")
        assert float(client.info("memory")["allocator_frag_ratio"]) > 1.5
        set_options(client, activedefrag="yes")
        wait_until(client, is_compact)
        assert json.loads(client.command("JSON.GET", "key:9995")) == json.loads(document)
        assert client.command("XACK", "x:9995", "group", *[
            entry[0] for entry in client.command("XRANGE", "x:9995", "-", "+")]) == 1
        assert client.command("XGROUP", "DELCONSUMER", "x:9990", "group", "reader") == 1
        assert client.command("XGROUP", "DESTROY", "x:9985", "group") == 1


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_a_long_answer_of_a_stream_or_a_document_is_not_disturbed(server):
    with Client(server.port) as client, Client(server.port) as other:
        client.load(("XADD", "x", f"{i}-1", "field", "v" * 50) for i in range(1, 5001))
        client.command("JSON.SET", "j", "$", json.dumps([{"id": n, "text": "t" * 50} for n in range(20_000)]))
        digest = client.command("DEBUG", "DIGEST")
        client.command("DEBUG", "TASK-STEPS", 1)
        client.send("XRANGE", "x", "-", "+")
        client.send("JSON.GET", "j", "$[*].id")
        for _ in range(3):
            other.command("DEBUG", "DEFRAG")
            other.command("DEBUG", "TASK-STEPS", 1)
        other.command("DEBUG", "TASK-STEPS", -1)
        assert len(client.read().value) == 5000
        assert json.loads(client.read().value) == list(range(20_000))
        check(other)
        assert other.command("DEBUG", "DIGEST") == digest


def test_how_much_time_it_may_take(server):
    with Client(server.port) as client:
        begin(client, activedefrag="no")
        fill(client, 60_000)
        thin(client, 60_000)
        set_options(client, active_defrag_cycle_min=2, active_defrag_cycle_max=2, activedefrag="yes")
        wait_until(client, lambda memory, stats: memory["active_defrag_running"] == "2")
        set_options(client, active_defrag_cycle_max=70, active_defrag_threshold_upper=10)
        wait_until(client, lambda memory, stats: memory["active_defrag_running"] in ("70", "0"))
        wait_until(client, is_compact)


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_the_allocators_own_settings(server):
    def texts(*words):
        reply = client.command("DEBUG", *words)
        return reply.text if isinstance(reply, ErrorReply) else reply

    with Client(server.port) as client:
        assert texts("MALLCTL", "nonsense") == texts("MALLCTL-STR", "nonsense") == "ERR No such file or directory"
        assert texts("MALLCTL", "nonsense", "x") == "ERR value is not an integer or out of range"
        begin(client)
        assert texts("MALLCTL", "arenas.page") == 4096
        assert texts("MALLCTL-STR", "thread.tcache.flush", "VOID") == b"OK"
        assert texts("MALLCTL-STR", "version").startswith(b"5.")
        assert texts("MALLCTL-STR", "stats.allocated") == "ERR Operation not permitted"
        before = texts("MALLCTL", "background_thread", 0)
        assert texts("MALLCTL", "background_thread", before) == 0
