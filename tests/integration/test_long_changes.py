"""Commands that change much of a large collection: in slices, and for everybody else at one moment.

They are stopped between their steps (DEBUG TASK-STEPS). Whoever reads finds all as it was or all as it will be, whoever
writes waits, and replies and contents are the oracle's. What was cut from a sorted set is in memory for a while yet:
nobody finds it.
"""
import random

import pytest

from aof_files import AOF, loaded, rewritten
from harness.resp import Client, ErrorReply, encode
from harness.waiting import begin, has_answered, hold, steps_of, until

PROTOCOLS = (2,)
SIZE = 12_000
POPPED = {"few": SIZE // 10, "many": SIZE * 2 // 5, "most": SIZE * 9 // 10}
SERVER_OPTIONS = ("--enable-debug-command", "yes")


def fill(client, *keys):
    """The set S, the sorted sets Z (by score) and X (by name), and the list L; the same whatever the server."""
    def many(command, key, make):
        client.command("DEL", key)
        client.load([(command, key, *(x for i in range(at, at + 500) for x in make(i)))
                     for at in range(0, SIZE, 500)], batch=20)
    if "S" in keys:
        many("SADD", "S", lambda i: (b"s%d" % i,))
    if "Z" in keys:
        many("ZADD", "Z", lambda i: (i * 7 % 1009, b"m%d" % i))
    if "X" in keys:
        many("ZADD", "X", lambda i: (1, b"x%05d" % i))
    if "L" in keys:
        many("RPUSH", "L", lambda i: (b"often" if i % 3 == 0 else b"e%d" % i,))


def contents(client, key):
    if key == "S":
        return sorted(client.command("SMEMBERS", key))
    return client.command("LRANGE", key, 0, -1) if key == "L" else client.command("ZRANGE", key, 0, -1, "WITHSCORES")


def name(command):
    return "-".join(map(str, command))


@pytest.fixture(scope="module")
def ports(module_server, module_oracle):
    with Client(module_server.port) as client:
        client.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
    return module_server.port, module_oracle.port


@pytest.fixture
def both(ports):
    with Client(ports[0]) as client, Client(ports[1]) as oracle:
        yield client, oracle


LONG = [("ZPOPMIN", "Z", SIZE // 2), ("ZPOPMAX", "Z", SIZE - 1), ("ZPOPMIN", "Z", SIZE + 9),
        ("ZMPOP", 2, "none", "Z", "MAX", "COUNT", SIZE // 2), ("BZMPOP", 1, 1, "Z", "MIN", "COUNT", SIZE // 2),
        ("LREM", "L", 0, "often"), ("LREM", "L", -3000, "often"), ("LREM", "L", 0, "e7000"), ("LREM", "L", 0, "none"),
        ("LREM", "L", 1, "e11999"), ("LREM", "L", -1, "e1"), ("LINSERT", "L", "BEFORE", "e11999", "new"),
        ("LINSERT", "L", "AFTER", "none", "new"), ("LPOS", "L", "often", "RANK", 3500), ("SPOP", "S", SIZE)]
SHORT = [("ZREMRANGEBYRANK", "Z", 100, -100), ("ZREMRANGEBYSCORE", "Z", 10, "(1000"), ("ZREMRANGEBYRANK", "Z", 0, -2),
         ("ZREMRANGEBYLEX", "X", "[x00100", "(x11000"), ("ZREMRANGEBYRANK", "Z", 0, -1), ("LTRIM", "L", 1000, 1100),
         ("LREM", "L", 2, "e5"), ("LINSERT", "L", "AFTER", "e1", "new"), ("ZPOPMIN", "Z", 1000),
         ("LREM", "L", -1, "e11999"), ("LPOS", "L", "often", "RANK", -9)]


def key_of(command):
    return next(word for word in command[1:] if word in ("S", "Z", "X", "L"))


@pytest.mark.parametrize("command", LONG + SHORT, ids=name)
def test_reply_and_contents(both, command):
    for client in both:
        fill(client, key_of(command))
    ours, theirs = (client.command(*command) for client in both)
    assert sorted(ours) == sorted(theirs) if command[0] == "SPOP" else ours == theirs
    assert contents(both[0], key_of(command)) == contents(both[1], key_of(command))
    assert both[0].command("MEMORY", "USAGE", key_of(command)) != 0


@pytest.mark.parametrize("command", LONG + SHORT, ids=name)
def test_reply_and_contents_in_a_transaction(both, command):
    replies = []
    for client in both:
        fill(client, key_of(command))
        client.command("MULTI")
        client.command(*command)
        client.command("PING")
        replies.append(client.command("EXEC"))
    ours, theirs = replies
    if command[0] == "SPOP":
        ours, theirs = sorted(ours[0]), sorted(theirs[0])
    assert ours == theirs
    assert contents(both[0], key_of(command)) == contents(both[1], key_of(command))


COUNT = {"S": "SCARD", "Z": "ZCARD", "L": "LLEN"}


@pytest.mark.parametrize("command", LONG + [("SPOP", "S", count) for count in POPPED.values()], ids=name)
def test_others_meanwhile(ports, command):
    """Readers find what was there, in transactions too, then what is left; a writer waits, and comes right after."""
    key = key_of(command)
    port = ports[0]
    with Client(port) as worker, Client(port) as reader, Client(port) as writer:
        fill(reader, key)
        with hold(reader):
            begin(worker, *command)
            begin(writer, "DEL", key)
            assert reader.command(COUNT[key], key) == SIZE
            reader.command("MULTI")
            reader.command(COUNT[key], key)
            reader.command("OBJECT", "ENCODING", key)
            assert reader.command("EXEC")[0] == SIZE
            assert not has_answered(writer) and not has_answered(worker)
            counts = []
            while reader.command("DEBUG", "TASK-STEPS", 1) == 0 and not has_answered(writer):
                counts.append(reader.command(COUNT[key], key))
        worker.read()
        gone = command in (("ZPOPMIN", "Z", SIZE + 9), ("SPOP", "S", SIZE))
        assert writer.read().value == (0 if gone else 1)
        assert counts == sorted(counts, reverse=True) or command[0] == "LINSERT"
        assert len(set(counts) | {SIZE, 0}) <= 3
        assert reader.command("EXISTS", key) == 0


def seen_by_others(client):
    """Whoever looks, in whatever way, finds the same: the members of S."""
    count, found, cursor = client.command("SCARD", "S"), set(), b"0"
    while True:
        cursor, page = client.command("SSCAN", "S", cursor, "COUNT", 1000)
        found.update(page)
        if cursor == b"0":
            break
    assert len(found) == count
    members = [b"s%d" % i for i in range(SIZE)]
    there = client.command("SMISMEMBER", "S", *members[:1500])
    assert [member in found for member in members[:1500]] == [bool(flag) for flag in there]
    assert set(client.command("SRANDMEMBER", "S", min(count, 300))) <= found
    assert all(client.command("SRANDMEMBER", "S") in found for _ in range(5))
    return found


@pytest.mark.parametrize("part", POPPED)
def test_popped_members_go_all_at_once(ports, part):
    every, popped = {b"s%d" % i for i in range(SIZE)}, POPPED[part]
    with Client(ports[0]) as worker, Client(ports[0]) as other:
        fill(other, "S")
        sizes = []
        with hold(other):
            begin(worker, "SPOP", "S", popped)
            sizes.append(len(seen_by_others(other)))
            for step in range(10**6):
                if other.command("DEBUG", "TASK-STEPS", 1) == 1:
                    break
                if step % 8 == 0 or has_answered(worker):
                    found = seen_by_others(other)
                    assert found == every or len(found) == SIZE - popped
                    sizes.append(len(found))
            assert sizes == sorted(sizes, reverse=True) and sizes[0] == SIZE
        reply = worker.read().value
        assert len(set(reply)) == len(reply) == popped
        assert seen_by_others(other) == every - set(reply)
        assert set(other.command("SMEMBERS", "S")) == every - set(reply)
        assert other.command("SADD", "S", *reply[:100]) == 100
        assert other.command("SCARD", "S") == SIZE - popped + 100


AFTERWARDS = {  # what comes in the midst, its reply after the end, and how many members S has then
    ("DEL", "S"): (1, 0), ("RENAME", "S", "R"): (b"OK", 0), ("FLUSHALL",): (b"OK", 0), ("SWAPDB", 0, 1): (b"OK", 0),
    ("SADD", "S", "new"): (1, SIZE // 2 + 1), ("SET", "S", "x"): (b"OK", None), ("PEXPIREAT", "S", 1): (1, 0),
    ("SDIFFSTORE", "S", "S"): (SIZE // 2, SIZE // 2), ("SPOP", "S", SIZE // 4): (None, SIZE // 4),
}


@pytest.mark.parametrize("command", AFTERWARDS, ids=lambda command: command[0])
@pytest.mark.parametrize("in_exec, gone", [(False, False), (True, False), (False, True), (True, True)],
                         ids=["before", "before-in-exec", "after", "after-in-exec"])
def test_changes_in_the_midst_wait(ports, command, in_exec, gone):
    expected, left = AFTERWARDS[command]
    with Client(ports[0]) as worker, Client(ports[0]) as writer, Client(ports[0]) as other:
        other.command("FLUSHALL")
        fill(other, "S")
        with hold(other):
            begin(worker, "SPOP", "S", SIZE // 2)
            while gone and other.command("SCARD", "S") == SIZE:
                other.command("DEBUG", "TASK-STEPS", 1)
            if in_exec:
                writer.send_raw(b"".join(map(encode, (["MULTI"], command, ["EXEC"]))))
                assert [writer.read().value for _ in range(2)] == [b"OK", b"QUEUED"]
            else:
                begin(writer, *command)
            if not gone:
                assert not has_answered(writer)
                assert other.command("SCARD", "S") == SIZE
                assert other.command("DBSIZE") == 1
        assert len(set(worker.read().value)) == SIZE // 2
        reply = writer.read().value
        reply = reply[0] if in_exec else reply
        assert expected is None or reply == expected
        if left is not None:
            assert other.command("SCARD", "S") == left
        other.command("FLUSHALL")


def test_who_watches_is_told_once_all_is_gone(ports):
    with Client(ports[0]) as worker, Client(ports[0]) as watcher, Client(ports[0]) as other:
        fill(other, "S")
        for expected in ([SIZE], None):
            watcher.command("WATCH", "S")
            with hold(other):
                begin(worker, "SPOP", "S", SIZE // 2)
                if expected:
                    watcher.command("MULTI")
                    watcher.command("SCARD", "S")
                    assert watcher.command("EXEC") == expected
            worker.read()
            if not expected:
                watcher.command("MULTI")
                watcher.command("SCARD", "S")
                assert watcher.command("EXEC") is None
            fill(other, "S")


@pytest.mark.parametrize("command", [("SPOP", "S", SIZE // 2), ("ZPOPMIN", "Z", SIZE // 2), ("LREM", "L", 0, "often")],
                         ids=name)
def test_a_client_that_is_killed(ports, command):
    """What it began is carried out to its end, told of once, and seen by those who track the key."""
    key = key_of(command)
    with Client(ports[0]) as worker, Client(ports[0]) as other, Client(ports[0], protocol=3) as tracker, \
            Client(ports[0]) as listener:
        fill(other, key)
        tracker.command("CLIENT", "TRACKING", "ON")
        tracker.command(COUNT[key], key)
        listener.command("SUBSCRIBE", f"__keyspace@0__:{key}")
        client_id = worker.command("CLIENT", "ID")
        with hold(other):
            begin(worker, *command)
            assert other.command("CLIENT", "KILL", "ID", client_id) == 1
            assert other.command(COUNT[key], key) == SIZE
        until(lambda: other.command(COUNT[key], key) == (SIZE // 2 if key != "L" else SIZE * 2 // 3))
        assert listener.read().value[2] == command[0].lower().encode()
        until(lambda: has_answered(tracker))
        assert tracker.read().value == [b"invalidate", [key.encode()]]
        other.command("PUBLISH", f"__keyspace@0__:{key}", "the next")
        assert listener.read().value[2] == b"the next"


@pytest.mark.parametrize("steps", [1, 5, 25])
@pytest.mark.parametrize("end", ["kill", "stop", "rewrite"])
def test_the_log_has_all_or_nothing(start_server, steps, end):
    """The server ends in the midst, in either way, or its log is written anew: what is loaded is of one moment."""
    every, popped = {b"s%d" % i for i in range(SIZE)}, SIZE * 2 // 5
    server = start_server(*AOF)
    with Client(server.port) as worker, Client(server.port) as other:
        fill(other, "S")
        other.command("DEBUG", "TASK-STEPS", steps)
        begin(worker, "SPOP", "S", popped)
        until(lambda: other.command("DEBUG", "TASK-STEPS") == 0 or has_answered(worker))
        if end == "rewrite":
            other.send("BGREWRITEAOF")
            with Client(server.port) as third:
                third.command("DEBUG", "TASK-STEPS", -1)
            assert not isinstance(other.read().value, ErrorReply)
            rewritten(other)
        if end != "kill":
            other.command("DEBUG", "TASK-STEPS", -1)
        reply = set(worker.read().value) if end == "rewrite" else None
    if end == "stop":
        server.stop_cleanly()
    else:
        server.kill()
    again = start_server(*AOF, directory=server.directory)
    with loaded(again) as client:
        found = seen_by_others(client)
        if reply is not None:
            assert found == every - reply
        else:
            assert found == every or len(found) == SIZE - popped


def test_what_was_cut_is_gone(both, seed):
    """Ranges of a sorted set go, and at once, often in the same transaction, others look, add and remove."""
    rng = random.Random(seed)
    for round_ in range(4):
        for client in both:
            if round_ % 2 == 0:
                fill(client, "Z")
        commands = []
        for _ in range(60):
            member = f"m{rng.randrange(SIZE)}"
            first = rng.randrange(SIZE)
            commands.append(rng.choice((
                ("ZREMRANGEBYRANK", "Z", first, first + rng.randrange(2500)),
                ("ZREMRANGEBYSCORE", "Z", first % 1009, first % 1009 + rng.randrange(200)),
                ("ZADD", "Z", *(x for i in range(300) for x in (first % 1009, f"m{(first + i) % SIZE}"))),
                ("ZREM", "Z", *(f"m{(first + i) % SIZE}" for i in range(50))), ("ZCARD", "Z"),
                ("ZMSCORE", "Z", *(f"m{i}" for i in range(0, SIZE, 7))), ("ZRANK", "Z", member),
                ("ZINCRBY", "Z", 3, member), ("ZCOUNT", "Z", 100, 500), ("ZRANGE", "Z", first, first + 50),
                ("ZPOPMAX", "Z", rng.randrange(1, 400)), ("ZUNIONSTORE", "U", 2, "Z", "U", "AGGREGATE", "MAX"),
                ("COPY", "Z", "C", "REPLACE"), ("ZDIFF", 2, "C", "Z"), ("RENAME", "Z", "Z"), ("DUMP", "none"))))
        if round_ % 2:
            commands = [("MULTI",), *commands, ("EXEC",)]
        ours, theirs = (client.pipeline(commands) for client in both)
        for command, one, other in zip(commands, ours, theirs):
            assert one == other, command
        assert contents(both[0], "Z") == contents(both[1], "Z")
    assert set(contents(both[0], "Z")[::2]) == {entry for entry in scanned(both[0])}


def scanned(client):
    cursor = b"0"
    while True:
        cursor, page = client.command("ZSCAN", "Z", cursor, "COUNT", 1000)
        yield from page[::2]
        if cursor == b"0":
            return


SEARCHES = [("GEOSEARCH", "G", "FROMLONLAT", 80, 40, "BYRADIUS", 20000, "km", "ASC", "WITHDIST"),
            ("GEOSEARCH", "G", "FROMMEMBER", "m7", "BYBOX", 15000, 9000, "km", "DESC", "WITHCOORD", "WITHHASH"),
            ("GEOSEARCH", "G", "FROMLONLAT", 80, 40, "BYRADIUS", 20000, "km", "COUNT", 5000, "ANY"),
            ("GEOSEARCHSTORE", "S", "G", "FROMLONLAT", 80, 40, "BYRADIUS", 20000, "km", "STOREDIST"),
            ("GEORADIUS", "G", 80, 40, 20000, "km", "COUNT", 3000, "ASC"),
            ("GEORADIUSBYMEMBER", "G", "m9", 15000, "km", "STORE", "S")]


@pytest.mark.parametrize("in_exec", [False, True], ids=["alone", "in-exec"])
@pytest.mark.parametrize("command", SEARCHES, ids=lambda command: command[0])
def test_searches_over_much_of_the_earth(both, ports, command, in_exec):
    for client in both:
        client.command("DEL", "S")
        places = [(i % 340 / 2, i * 7 % 1600 / 20, f"m{i}") for i in range(SIZE)]
        client.load([("GEOADD", "G", *(x for place in places[at:at + 500] for x in place))
                     for at in range(0, SIZE, 500)])
        if in_exec:
            client.command("MULTI")
            client.command(*command)
    with Client(ports[0]) as other, hold(other):
        both[0].send(*(("EXEC",) if in_exec else command))
        assert other.command("GET", "elsewhere") is None and not has_answered(both[0])
    both[1].send(*(("EXEC",) if in_exec else command))
    ours, theirs = (client.read().value for client in both)
    assert ours == theirs or ("ANY" in command and len(ours) == len(theirs))
    ours, theirs = (client.command("ZRANGE", "S", 0, -1, "WITHSCORES") for client in both)
    assert ours[::2] == theirs[::2] and [*map(float, ours[1::2])] == [*map(float, theirs[1::2])]


def test_very_many_claimed(start_server, module_oracle):
    """In steps; what was claimed is in the file, and a dump of it is read in steps, too."""
    ids = [b"%d-1" % i for i in range(1, 5001)]
    server = start_server(*AOF)
    replies = []
    for port in (server.port, module_oracle.port):
        with Client(port) as client, Client(port) as other:
            client.command("DEL", "x", "y")
            client.load([("XADD", "x", i, "field", i) for i in ids])
            client.command("XDEL", "x", *ids[:50])
            client.command("XGROUP", "CREATE", "x", "g", 0)
            client.command("XREADGROUP", "GROUP", "g", "one", "COUNT", 4500, "STREAMS", "x", ">")
            command = ("XCLAIM", "x", "g", "two", 0, *ids, "RETRYCOUNT", 7)
            if port == server.port:
                assert steps_of(client, other, *command) >= 2
                replies.append([client.read().value])
            else:
                replies.append([client.command(*command)])
            summary, dump = client.command("XPENDING", "x", "g"), client.command("DUMP", "x")
            restore = ("RESTORE", "y", 0, dump)
            if port == server.port:
                assert steps_of(client, other, *restore) >= 2 and client.read().value == b"OK"
            else:
                assert client.command(*restore) == b"OK"
            replies[-1] += [summary, client.command("XPENDING", "y", "g"), client.command("XLEN", "y")]
    assert replies[0] == replies[1] and len(replies[0][0]) == 4500
    server.stop_cleanly()
    with loaded(start_server(*AOF, directory=server.directory)) as client:
        assert client.command("XPENDING", "x", "g") == replies[0][1]
        assert all(entry[3] == 7 for entry in client.command("XPENDING", "x", "g", "-", "+", 5000))
