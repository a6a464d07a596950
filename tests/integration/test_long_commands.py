"""Commands that walk over large collections: in slices, as of one moment, and to their ends.

Others are served meanwhile, those who want to change what is read wait, and the reply is the oracle's.
"""
import threading

import pytest

from harness.resp import Client
from harness.waiting import begin, has_answered, hold, steps_of, until

PROTOCOLS = (2,)
SERVER_OPTIONS = ("--enable-debug-command", "yes")
SIZE = 60_000


def load(client, size):
    """Sets S and T, hash H, sorted sets Z and Y, list L: the same whatever the server."""
    def many(command, key, make):
        client.load([(command, key, *(x for i in range(at, min(at + 500, size)) for x in make(i)))
                     for at in range(0, size, 500)], batch=20)
    many("SADD", "S", lambda i: (b"s%d" % i,))
    many("SADD", "T", lambda i: (b"s%d" % (i * 2),))
    many("HSET", "H", lambda i: (b"f%d" % i, b"v%d" % i))
    many("ZADD", "Z", lambda i: (i * 7 % 1009, b"m%d" % i))
    many("ZADD", "Y", lambda i: (i, b"m%d" % (i * 3)))
    many("RPUSH", "L", lambda i: (i * 7919 % 100_003,))


UNORDERED = [("SMEMBERS", "S"), ("HKEYS", "H"), ("HVALS", "H"), ("SUNION", "S", "T"), ("SINTER", "S", "T"),
             ("SDIFF", "S", "T")]
ORDERED = [("LRANGE", "L", 0, -1), ("LRANGE", "L", 100, -100), ("ZRANGE", "Z", 0, -1, "WITHSCORES"),
           ("ZREVRANGE", "Z", 5, 50_000), ("ZRANGEBYSCORE", "Z", "(3", 1000, "LIMIT", 7, 20_000), ("SORT", "L"),
           ("SORT", "L", "DESC", "LIMIT", 10, 5000), ("SORT", "S", "ALPHA"), ("SORT", "L", "GET", "#", "GET", "no*"),
           ("ZUNION", 2, "Z", "Y", "WITHSCORES"), ("ZINTER", 2, "Z", "Y"), ("ZDIFF", 2, "Z", "Y"),
           ("ZINTERCARD", 2, "Z", "Y"), ("LPOS", "L", 12345), ("LPOS", "L", "none", "COUNT", 0),
           ("SORT", "S")]
STORES = [("SUNIONSTORE", "S", "T"), ("SINTERSTORE", "S", "T"), ("SDIFFSTORE", "S", "T"),
          ("ZUNIONSTORE", 2, "Z", "Y", "WEIGHTS", 2, 3), ("ZINTERSTORE", 2, "Z", "Y", "AGGREGATE", "MAX"),
          ("ZDIFFSTORE", 2, "Z", "Y"), ("ZRANGESTORE", "Z", 0, -1), ("ZRANGESTORE", "Z", 500, 90, "BYSCORE", "REV")]
RANDOM = [("SRANDMEMBER", "S", -20_000), ("SRANDMEMBER", "S", 50_000), ("HRANDFIELD", "H", -20_000, "WITHVALUES"),
          ("HRANDFIELD", "H", 50_000), ("ZRANDMEMBER", "Z", -20_000, "WITHSCORES"), ("ZRANDMEMBER", "Z", 25_000)]


@pytest.fixture(scope="module")
def size():
    return SIZE


@pytest.fixture(scope="module")
def loaded(module_server, module_oracle, size):
    for process in (module_server, module_oracle):
        with Client(process.port) as client:
            load(client, size)
    return module_server, module_oracle


@pytest.fixture
def both(loaded):
    with Client(loaded[0].port) as client, Client(loaded[1].port) as oracle:
        yield client, oracle


def name(command):
    return "-".join(map(str, command))


@pytest.mark.parametrize("command", ORDERED, ids=name)
def test_reply(both, command):
    assert both[0].command(*command) == both[1].command(*command)


@pytest.mark.parametrize("command", UNORDERED, ids=name)
def test_members_in_the_reply(both, command):
    ours, theirs = (client.command(*command) for client in both)
    assert len(ours) == len(theirs) and sorted(ours) == sorted(theirs)


def test_fields_with_their_values(both):
    ours, theirs = (client.command("HGETALL", "H") for client in both)
    assert len(ours) == len(theirs)
    assert dict(zip(ours[::2], ours[1::2])) == dict(zip(theirs[::2], theirs[1::2]))


def contents(client, key):
    kind = client.command("TYPE", key)
    command = {b"set": ("SMEMBERS", key), b"zset": ("ZRANGE", key, 0, -1, "WITHSCORES"), b"hash": ("HGETALL", key),
               b"list": ("LRANGE", key, 0, -1)}[kind.encode() if isinstance(kind, str) else bytes(kind)]
    found = client.command(*command)
    return sorted(found) if kind in ("set", b"set") else found


@pytest.mark.parametrize("command", STORES, ids=name)
@pytest.mark.parametrize("onto_source", [False, True])
def test_stored(both, command, onto_source):
    key = ("S" if "S" in command else "Z") if onto_source else "D"
    if onto_source:  # on a copy, for the tests that follow
        for client in both:
            client.command("COPY", key, "kept", "REPLACE")
    ours, theirs = (client.command(command[0], key, *command[1:]) for client in both)
    assert ours == theirs
    assert contents(both[0], key) == contents(both[1], key)
    if onto_source:
        for client in both:
            client.command("RENAME", "kept", key)


@pytest.mark.parametrize("key", "SZHL")
def test_copied(both, key):
    for client in both:
        assert client.command("COPY", key, "copy", "REPLACE") == 1
    ours, theirs = (contents(client, "copy") for client in both)
    if key == "H":
        ours, theirs = (dict(zip(fields[::2], fields[1::2])) for fields in (ours, theirs))
    assert ours == theirs
    assert both[0].command("OBJECT", "ENCODING", "copy") == both[1].command("OBJECT", "ENCODING", "copy")
    for client in both:
        assert client.command("COPY", key, "copy") == 0


def test_sort_by_other_keys(both, size):
    for client in both:
        client.load([("MSET", *(x for i in range(at, at + 500) for x in (b"w%d" % i, i * 31 % 977)))
                     for at in range(0, 100_500, 500)], batch=20)
    command = ("SORT", "L", "BY", "w*", "GET", "w*", "GET", "#", "LIMIT", 100, 30_000)
    assert both[0].command(*command) == both[1].command(*command)
    assert both[0].command(*command, "STORE", "D") == both[1].command(*command, "STORE", "D") == 60_000
    assert contents(both[0], "D") == contents(both[1], "D")


@pytest.mark.parametrize("command", RANDOM, ids=name)
def test_random(both, command):
    ours, theirs = (client.command(*command) for client in both)
    assert len(ours) == len(theirs)
    if command[2] > 0:
        assert len(set(ours)) == len(ours)


@pytest.mark.parametrize("command", [("SRANDMEMBER", "S", -(2 ** 62)), ("HRANDFIELD", "H", -(2 ** 62)),
                                     ("ZRANDMEMBER", "Z", -(2 ** 62))], ids=name)
def test_more_than_any_memory_holds(both, command):
    assert "out of range" in str(both[0].command(*command))


# --- Beside others ---

LONG = [("SMEMBERS", "S"), ("HGETALL", "H"), ("LRANGE", "L", 0, -1), ("ZRANGE", "Z", 0, -1), ("SUNION", "S", "T"),
        ("SUNIONSTORE", "D", "S", "T"), ("SORT", "L"), ("SORT", "L", "BY", "w*"), ("ZUNIONSTORE", "D", 2, "Z", "Y"),
        ("ZRANGESTORE", "D", "Z", 0, -1), ("COPY", "H", "D", "REPLACE"), ("COPY", "Z", "D", "REPLACE"),
        ("HRANDFIELD", "H", -50_000), ("SRANDMEMBER", "S", -50_000), ("ZRANDMEMBER", "Z", -50_000),
        ("DEBUG", "OBJECT", "H"), ("DEBUG", "DIGEST-VALUE", "L"), ("DEBUG", "DIGEST")]


@pytest.mark.parametrize("command", LONG, ids=name)
def test_others_are_answered_meanwhile(loaded, command):
    with Client(loaded[0].port) as waiting, Client(loaded[0].port) as other:
        assert steps_of(waiting, other, *command) >= 3
        waiting.read()


def test_a_writer_sees_all_or_nothing(server):
    """A thread moves members between two sets; unions, copies and sorted replies always have each member once."""
    size, stop = 20_000, threading.Event()
    with Client(server.port) as client:
        client.load([("SADD", "a", *(b"%d" % i for i in range(at, at + 500))) for at in range(0, size, 500)])

        def move():
            with Client(server.port) as mover:
                i = 0
                while not stop.is_set():
                    mover.command("SMOVE", "a", "b", i % size)
                    mover.command("SMOVE", "b", "a", (i - 50) % size)
                    i += 1
        thread = threading.Thread(target=move)
        thread.start()
        try:
            for _ in range(15):
                assert len(client.command("SUNION", "a", "b")) == size
                assert client.command("SUNIONSTORE", "c", "a", "b") == size
                assert client.command("SCARD", "c") == size
                assert size - 60 <= len(client.command("SMEMBERS", "a")) <= size
                assert client.command("SINTERCARD", 2, "a", "b") == 0
                assert client.command("SINTER", "a", "b") == []
                client.command("MULTI")
                client.command("SUNION", "a", "b")
                client.command("SADD", "a", b"%d" % (size - 1))
                assert len(client.command("EXEC")[0]) == size
        finally:
            stop.set()
            thread.join()


def test_writers_wait_in_turn(loaded):
    """Whoever wants to change what is read is answered after the reader, in order; FLUSHALL waits for everybody."""
    port = loaded[0].port
    with Client(port) as client:
        client.command("COPY", "Z", "V", "REPLACE")
    clients = [Client(port) for _ in range(6)]
    reader, first, second, late, transaction, other = clients
    reader.send("ZUNIONSTORE", "W", 2, "V", "Y")
    assert other.command("GET", "none") is None
    assert other.command("ZCARD", "V") == SIZE
    first.send("ZADD", "V", 1, "added")
    second.send("DEL", "V")
    late.send("ZUNIONSTORE", "X", 1, "V")
    transaction.command("MULTI")
    transaction.command("ZADD", "V", 2, "again")
    transaction.send("EXEC")
    assert reader.read().value == other.command("ZCARD", "W")
    assert first.read().value == 1
    assert second.read().value in (0, 1)
    late.read()
    assert transaction.read().value == [1]
    for client in clients:
        client.close()


def test_new_readers_come_behind_who_wants_all_keys(server):
    """Or there would always be one that reads."""
    size = 20_000
    with Client(server.port) as first, Client(server.port) as writer, Client(server.port) as second, \
            Client(server.port) as other:
        other.load([("SADD", "s", *range(at, at + 500)) for at in range(0, size, 500)])
        with hold(other):
            begin(first, "SMEMBERS", "s")
            begin(writer, "FLUSHALL")
            begin(second, "SMEMBERS", "s")
            assert other.command("GET", "none") is None
        assert len(first.read().value) == size
        assert writer.read().value == b"OK" and second.read().value == []


def test_a_store_is_carried_out_though_its_client_leaves(loaded):
    port = loaded[0].port
    with Client(port) as client:
        client.command("DEL", "left")
        for _ in range(5):
            leaver = Client(port)
            leaver.send("ZUNIONSTORE", "left", 2, "Z", "Y")
            leaver.close()
        until(lambda: client.command("EXISTS", "left"))
        assert client.command("ZCARD", "left") == client.command("ZUNIONSTORE", "again", 2, "Z", "Y")


ANSWERS = [("LRANGE", "big", 0, -1), ("ZRANGE", "big", 0, -1), ("SMEMBERS", "big"), ("SUNION", "big", "none")]


@pytest.mark.parametrize("command", ANSWERS, ids=name)
def test_what_only_answers_ends_with_its_client(start_server, command):
    """Whose output is above its limit is closed, and what was made for him goes on for no more than a step."""
    server = start_server(*SERVER_OPTIONS, "--client-output-buffer-limit", "normal 1mb 0 0")
    add = {"LRANGE": ("RPUSH", "big"), "ZRANGE": ("ZADD", "big")}.get(command[0], ("SADD", "big"))
    with Client(server.port) as other, Client(server.port) as writer, Client(server.port) as client:
        for at in range(0, 40_000, 200):
            members = (b"%0250d" % i for i in range(at, at + 200))
            other.command(*add, *(word for m in members for word in ((1, m) if add[0] == "ZADD" else (m,))))
        with hold(other):
            begin(client, *command)
            writer.send("DEL", "big")
            others = int(other.info("clients")["connected_clients"]) - 1

            def is_gone():
                return int(other.info("clients")["connected_clients"]) == others

            while not is_gone():
                assert not has_answered(writer)
                other.command("DEBUG", "TASK-STEPS", 1)
                until(lambda: other.command("DEBUG", "TASK-STEPS") == 0 or is_gone())
            other.command("DEBUG", "TASK-STEPS", 2)
            until(lambda: has_answered(writer), seconds=20)
        assert writer.read().value == 1


def test_what_expires_meanwhile_is_still_read_as_it_was(server):
    size = 50_000
    with Client(server.port) as client, Client(server.port) as other:
        for _ in range(4):
            client.load([("SADD", "s", *(b"%d" % i for i in range(at, at + 500))) for at in range(0, size, 500)])
            client.command("PEXPIRE", "s", 4)
            client.send("SUNIONSTORE", "d", "s")
            while not has_answered(client):
                assert other.command("SCARD", "s") in (0, size)
                other.command("RANDOMKEY")
            assert client.read().value in (0, size)
            client.command("DEL", "s", "d")


def test_the_server_ends_with_work_aside(start_server):
    server = start_server()
    with Client(server.port) as client:
        load(client, 20_000)
        for _ in range(3):
            Client(server.port).send("ZUNIONSTORE", "D", 2, "Z", "Y")
            Client(server.port).send("SORT", "L", "STORE", "E")
        client.command("PING")
    server.stop_cleanly()


POPS = [("LPOP", "P", 50_000), ("RPOP", "P", 50_000), ("LPOP", "P", 10**9), ("LMPOP", 1, "P", "LEFT", "COUNT", 50_000),
        ("LMPOP", 2, "none", "P", "RIGHT", "COUNT", 59_999)]


@pytest.mark.parametrize("command", POPS, ids=name)
def test_many_elements_popped(both, command):
    """Who pushes meanwhile waits; who reads sees the list as it was, or as it is afterwards."""
    for client in both:
        client.command("DEL", "P")
        assert client.command("COPY", "L", "P") == 1
    with Client(both[0].port) as other, Client(both[0].port) as reader:
        before = reader.command("LLEN", "P")
        begin(both[0], *command)
        other.send("RPUSH", "P", "pushed")
        seen = reader.command("LLEN", "P")
        ours = both[0].read().value
        other.read()
    theirs = both[1].command(*command)
    both[1].command("RPUSH", "P", "pushed")
    assert ours == theirs
    assert contents(both[0], "P") == contents(both[1], "P")
    rest = len(contents(both[1], "P"))
    assert seen in (before, rest - 1, rest, 0)
