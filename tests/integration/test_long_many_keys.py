"""Commands that name very many keys: carried out in slices, and to everybody else as if at one moment."""
import random

import pytest

from aof_files import AOF, loaded
from harness.resp import Client
from harness.waiting import begin_beside, has_answered, hold, name_not_held, until

PROTOCOLS = (2,)
MANY = 2400
SERVER_OPTIONS = ("--enable-debug-command", "yes")
KEYS = [b"key:%05d" % i for i in range(MANY)]
PAIRS = [x for i, key in enumerate(KEYS) for x in (key, b"new:%d" % i)]
FRESH = [x for i in range(MANY) for x in (b"fresh:%d" % i, i)]
READS = {
    "MGET": ("MGET", *KEYS), "MGET-twice": ("MGET", *KEYS, *KEYS[::-1]), "EXISTS": ("EXISTS", *KEYS, *KEYS[:100]),
    "TOUCH": ("TOUCH", *KEYS),
}
CHANGES = {
    "DEL": ("DEL", *KEYS), "DEL-twice": ("DEL", *KEYS, *KEYS), "UNLINK": ("UNLINK", *KEYS), "MSET": ("MSET", *PAIRS),
    "MSET-twice": ("MSET", *PAIRS, *(x for key in KEYS[:50] for x in (key, "last"))), "MSETNX": ("MSETNX", *FRESH),
}
REFUSED = {"MSETNX-taken": ("MSETNX", *FRESH, KEYS[7], 1), "MSET-odd": ("MSET", *PAIRS, "x")}


def fill(client):
    """Most keys are strings, small and large; some are missing, of another type, or expire."""
    client.command("FLUSHALL")
    client.load([("SET", key, b"v" * (i % 97 + 30000 * (i % 50 == 3))) for i, key in enumerate(KEYS) if i % 5])
    client.load([("RPUSH", key, "a", "b") for key in KEYS[::35]], batch=100)
    client.load([("PEXPIRE", key, 3600_000) for key in KEYS[::3]], batch=1000)


def contents(client):
    names = sorted(client.command("KEYS", "*"))
    values = list(client.pipeline([x for name in names for x in (("GET", name), ("TTL", name))]))
    return [(name, getattr(value, "text", value), ttl > 0)
            for name, value, ttl in zip(names, values[::2], values[1::2])]


@pytest.mark.parametrize("how", ["alone", "in-exec"])
@pytest.mark.parametrize("command", [*READS, *CHANGES, *REFUSED])
def test_reply_and_contents(ports, command, how):
    command, results = {**READS, **CHANGES, **REFUSED}[command], []
    for port in ports:
        with Client(port) as client:
            fill(client)
            if how == "in-exec":
                client.command("MULTI")
                client.command("INCR", "n")
                client.command(*command)
                client.command("EXISTS", *KEYS[:10])
                reply = client.command("EXEC")
            else:
                reply = client.command(*command)
            reply = [getattr(x, "text", x) for x in reply] if isinstance(reply, list) else getattr(reply, "text", reply)
            results.append((reply, contents(client)))
    assert results[0] == results[1]


def test_msetex(ports):
    with Client(ports[0]) as client:
        fill(client)
        assert client.command("MSETEX", MANY, *PAIRS, "EX", 100, "NX") == 0
        assert client.command("MSETEX", MANY, *PAIRS, "EX", 100) == 1
        assert contents(client) == sorted((key, b"new:%d" % i, True) for i, key in enumerate(KEYS))


def test_what_has_expired_is_not_there(ports):
    """Not to those who read it, nor twice to those who store it."""
    with Client(ports[0]) as client:
        fill(client)
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        client.command("RPUSH", "list", "old")
        client.load([("PEXPIREAT", key, 1) for key in KEYS[:5]])
        client.load([("PEXPIRE", key, 1) for key in [*KEYS[5:100], b"list"]], batch=100)
        while client.command("EXISTS", *KEYS[:100], "list"):
            pass
        client.load([("SET", key, "gone", "PX", 1) for key in KEYS[:100]], batch=100)
        while client.command("EXISTS", KEYS[99]):
            pass
        assert client.command("MGET", *KEYS)[:100] == [None] * 100
        assert client.command("RPUSH", "list", *KEYS) == MANY
        client.command("MSET", *PAIRS)
        assert client.command("DBSIZE") == MANY + 1
        assert client.command("DEL", *KEYS) == MANY
        assert client.command("DBSIZE") == 1
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)


@pytest.mark.parametrize("command", ["MGET", "EXISTS"])
def test_who_changes_a_key_waits_for_the_reader(ports, command):
    with Client(ports[0]) as worker, Client(ports[0]) as other, Client(ports[0]) as writer, Client(ports[0]) as reader:
        fill(other)
        expected = other.command(*READS[command])
        with hold(other):
            begin_beside(worker, other, *READS[command])
            writer.send("SET", KEYS[-1], "changed")
            assert other.command("SET", name_not_held(other.port), 1) and reader.command("GET", KEYS[1]) is not None
            assert not has_answered(writer) and not has_answered(worker)
        assert worker.read().value == expected
        writer.read()
        assert other.command("GET", KEYS[-1]) == b"changed"


@pytest.mark.parametrize("command", CHANGES)
def test_nobody_sees_a_part(ports, command):
    """Whoever asks for one of the keys sees all as it was or all as it will be; others do not wait."""
    with Client(ports[0]) as worker, Client(ports[0]) as other, Client(ports[0]) as first, Client(ports[0]) as last:
        fill(other)
        command = CHANGES[command]
        names = (b"fresh:1", b"fresh:2399") if command[0] == "MSETNX" else (KEYS[1], KEYS[-1])
        before = [other.command("GET", name) for name in names]
        with hold(other):
            begin_beside(worker, other, *command)
            seen, elsewhere = [[], []], name_not_held(other.port)
            for _ in range(200):
                if has_answered(worker):
                    break
                for i, client in enumerate((first, last)):
                    if not seen[i] or has_answered(client):
                        if seen[i]:
                            seen[i][-1] = client.read().value
                        seen[i].append(None)
                        client.send("GET", names[i])
                assert other.command("SET", elsewhere, 1)
                other.command("DEBUG", "TASK-STEPS", 1)
        worker.read()
        after = [other.command("GET", name) for name in names]
        for i, client in enumerate((first, last)):
            seen[i][-1] = client.read().value
            assert before[i] != after[i] and set(map(repr, seen[i])) <= {repr(before[i]), repr(after[i])}


def test_whole_keyspace_waits_for_changes(ports):
    with Client(ports[0]) as worker, Client(ports[0]) as other, Client(ports[0]) as counter:
        fill(other)
        size = other.command("DBSIZE")
        with hold(other):
            begin_beside(worker, other, *CHANGES["DEL"])
            seen = []
            for _ in range(200):
                if has_answered(worker):
                    break
                if not seen or has_answered(counter):
                    seen.append(counter.read().value if seen else size)
                    counter.send("DBSIZE")
                other.command("DEBUG", "TASK-STEPS", 1)
        worker.read()
        assert {*seen, counter.read().value} <= {size, 0} and other.command("DBSIZE") == 0


def test_several_at_once(ports, seed):
    """Readers and writers of the same and of other keys, in slices side by side: each reply is that of one moment."""
    rng = random.Random(seed)
    with Client(ports[0]) as other:
        other.command("FLUSHALL")
        other.command("MSET", *(x for key in KEYS for x in (key, 0)))
        clients = [Client(ports[0]) for _ in range(6)]
        for turn in range(4):
            for i, client in enumerate(clients):
                keys = rng.sample(KEYS, MANY)
                value = 10 * turn + i
                client.send(*("MSET", *(x for key in keys for x in (key, value))) if i % 2 else ("MGET", *keys))
            for i, client in enumerate(clients):
                reply = client.read().value
                assert i % 2 or len(set(reply)) == 1
        for client in clients:
            client.close()
        assert len(set(other.command("MGET", *KEYS))) == 1


def test_watched_keys(ports):
    with Client(ports[0]) as client, Client(ports[0]) as other:
        fill(client)
        client.command("WATCH", KEYS[-1])
        other.command(*CHANGES["MSET"])
        client.command("MULTI")
        client.command("PING")
        assert client.command("EXEC") is None


def watched(other, name):
    return int(other.command("CLIENT", "LIST", "ID", name).split(b"watch=")[1].split()[0])


TOUCHES = {
    "nothing": (), "another": ("SET", "elsewhere", 1), "the-first": ("SET", KEYS[0], 1), "the-last": ("DEL", KEYS[-1]),
    "all": ("FLUSHALL",), "a-missing-one": ("SET", "missing", 1), "an-expiry": ("PERSIST", KEYS[3]),
    "one-expires": ("PEXPIREAT", "dying", 1),
}


BEFORE = ("nothing", "UNWATCH", "EXEC", "DISCARD")


@pytest.mark.parametrize("touch, before", [*zip(TOUCHES, BEFORE * 2), *(("nothing", before) for before in BEFORE[1:])])
def test_very_many_watched_keys(ports, touch, before):
    """What was watched before, and is given up little by little, touches nobody any more."""
    results = []
    for port in ports:
        with Client(port) as client, Client(port) as other:
            fill(other)
            other.command("SET", "dying", 1)
            if before != "nothing":
                client.command("WATCH", *KEYS, "elsewhere", "again")
                if before != "UNWATCH":
                    client.command("MULTI")
                client.command(before)
            client.command("WATCH", *KEYS, "missing", "dying", *KEYS[:9])
            other.command("SET", "again", 1)
            if TOUCHES[touch]:
                other.command(*TOUCHES[touch])
            client.command("MULTI")
            client.command("INCR", "n")
            results.append((client.command("EXEC"), client.command("MULTI"), client.command("EXEC")))
    assert results[0] == results[1]


def test_watching_goes_on_in_steps(ports):
    with Client(ports[0]) as client, Client(ports[0]) as other:
        fill(other)
        name = client.command("CLIENT", "ID")
        with hold(other):
            client.send("WATCH", *KEYS)
            client.send("MULTI")
            client.send("PING")
            client.send("EXEC")
            until(lambda: b"cmd=watch" in other.command("CLIENT", "LIST", "ID", name))
            assert watched(other, name) == 0
            other.command("DEBUG", "TASK-STEPS", 1)
            until(lambda: watched(other, name) > 0)
            assert watched(other, name) < MANY and not has_answered(client)
            other.command("SET", KEYS[0], "touched")
        assert [client.read().value for _ in range(4)] == [b"OK", b"OK", b"QUEUED", None]


@pytest.mark.parametrize("when", ["meanwhile", "later"])
def test_who_watches_leaves(server_of_its_own, when):
    with Client(server_of_its_own.port) as other:
        fill(other)
        with hold(other):
            with Client(server_of_its_own.port) as client:
                name = client.command("CLIENT", "ID")
                client.send("WATCH", *KEYS)
                until(lambda: b"cmd=watch" in other.command("CLIENT", "LIST", "ID", name))
                other.command("DEBUG", "TASK-STEPS", 12 if when == "meanwhile" else 1000)
                until(lambda: watched(other, name) > 1000)
        other.command(*CHANGES["MSET"])
        until(lambda: b"watching_clients:0" in other.command("INFO", "clients"))
        other.command(*CHANGES["DEL"])


@pytest.fixture
def server_of_its_own(start_server):
    return start_server(*SERVER_OPTIONS)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_the_log(start_server, end):
    server = start_server(*AOF)
    with Client(server.port) as worker, Client(server.port) as other:
        fill(other)
        other.command(*CHANGES["MSET"])
        other.command("MSETEX", MANY // 2, *PAIRS[:MANY], "EX", 1000)
        other.command("DEL", *KEYS[:MANY // 4 * 3])
        other.command(*CHANGES["MSETNX"])
        expected = contents(other)
        other.command("DEBUG", "TASK-STEPS", 1)
        begin_beside(worker, other, "DEL", *KEYS)
        other.command("PING")
    server.stop_cleanly() if end == "stop" else server.kill()
    server = start_server(*AOF, directory=server.directory)
    with loaded(server) as client:
        found = contents(client)
        assert found == expected or (end == "stop" and found == [x for x in expected if x[0] not in KEYS])
