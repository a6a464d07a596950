"""Transactions with commands that take long: EXEC goes on in slices, and is one unit all the same.

They are stopped between their steps (DEBUG TASK-STEPS). Nobody sees what they changed before all of it is there, who
asks for it waits, all others go on; replies and contents are the oracle's.
"""
import random
import threading

import pytest

from aof_files import AOF, commands, last_increment, directory, loaded, rewritten
from harness.resp import Client, ErrorReply, encode
from harness.waiting import begin, has_answered, hold, until

PROTOCOLS = (2,)
SIZE = 8000
SERVER_OPTIONS = ("--enable-debug-command", "yes")


def fill(client, key="S", size=SIZE, start=0):
    client.command("DEL", key)
    client.load([("SADD", key, *(b"s%d" % i for i in range(at, at + 500)))
                 for at in range(start, start + size, 500)], batch=20)


def transaction(*queue):
    return b"".join(map(encode, (["MULTI"], *queue, ["EXEC"])))


def execute(client, *queue):
    client.send_raw(transaction(*queue))
    return [client.read().value for _ in range(len(queue) + 2)][-1]


def begin_transaction(client, *queue):
    """When this returns the server has begun EXEC, which is not over if tasks are held, or has it wait."""
    client.send_raw(transaction(*queue))
    assert [client.read().value for _ in range(len(queue) + 1)] == [b"OK"] + [b"QUEUED"] * len(queue)
    host, port = client.sock.getsockname()
    with Client(client.sock.getpeername()[1]) as asker:
        def has_begun():
            mine = [line for line in asker.command("CLIENT", "LIST").split(b"\n")
                    if b" addr=%s:%d " % (host.encode(), port) in line][0]
            return b" cmd=exec " in mine or b" qbuf=0 " not in mine
        until(has_begun)


def step(other):
    return other.command("DEBUG", "TASK-STEPS", 1)


def step_until(other, condition):
    for _ in range(10**5):
        if condition():
            return
        step(other)
    assert False, "it never comes to that"


@pytest.fixture(scope="module")
def port(module_server):
    return module_server.port


@pytest.fixture
def clients(port):
    made = [Client(port) for _ in range(4)]
    made[0].command("FLUSHALL")
    yield made
    for client in made:
        client.close()


def test_it_goes_on_in_slices(clients):
    """Others are answered between them."""
    worker, other, *_ = clients
    fill(other)
    with hold(other):
        begin_transaction(worker, ("INCR", "n"), ("SPOP", "S", SIZE // 2), ("INCR", "n"))
        steps = 0
        while not has_answered(worker):
            assert other.command("SET", "x", steps) == b"OK"
            steps += 1 - step(other)
        assert steps > 2
    first, popped, last = worker.read().value
    assert (first, len(set(popped)), last) == (1, SIZE // 2, 2)
    assert other.command("SCARD", "S") == SIZE // 2


def test_what_it_changed_is_seen_in_the_end(clients):
    """Reading a key that it will only change later is no wait; one that it has changed, or all keys, is."""
    worker, other, reader, whole = clients
    fill(other)
    other.command("SET", "later", "old")
    with hold(other):
        begin_transaction(worker, ("SET", "k", "new"), ("SPOP", "S", SIZE // 2), ("SET", "later", "new"))
        assert other.command("SCARD", "S") == SIZE and other.command("GET", "later") == b"old"
        assert other.command("GET", "elsewhere") is None
        begin(reader, "GET", "k")
        begin(whole, "DBSIZE")
        for _ in range(5):
            assert has_answered(worker) or not (has_answered(reader) or has_answered(whole))
            step(other)
        step_until(other, lambda: has_answered(worker))
    assert len(worker.read().value[1]) == SIZE // 2
    assert reader.read().value == b"new" and whole.read().value == 3


@pytest.mark.parametrize("command, reply, waits", [
    (("GET", "k"), b"1", True), (("SET", "k", "9"), b"OK", True), (("MGET", "elsewhere", "k"), [None, b"1"], True),
    (("KEYS", "k*"), [b"k"], True), (("WATCH", "k"), b"OK", True), (("EXISTS", "k"), 1, True),
    (("FLUSHALL",), b"OK", True), (("SORT", "elsewhere", "BY", "k*"), [], True), (("RANDOMKEY",), None, True),
    (("RENAME", "k", "l"), b"OK", True), (("BLPOP", "k", 0.01), ErrorReply, True),
    (("OBJECT", "FREQ", "k"), None, True),
    (("SRANDMEMBER", "S", 0), [], False), (("SADD", "S", "s1"), None, True), (("SETNX", "elsewhere", 1), 1, False),
    (("PUBLISH", "k", "k"), 0, False), (("SUNIONSTORE", "T", "S"), None, False),
    (("SUNIONSTORE", "k", "S"), None, True),
    (("LOLWUT",), None, False), (("SCAN", 0), None, True), (("TYPE", "k"), b"string", True), (("BGSAVE",), None, False),
], ids=lambda value: value[0] if isinstance(value, tuple) else "")
@pytest.mark.parametrize("in_exec", [False, True], ids=["alone", "in-exec"])
def test_others_meanwhile(clients, command, reply, waits, in_exec):
    worker, other, asker, _ = clients
    if in_exec and command[0] in ("WATCH", "BGSAVE"):
        return
    fill(other)
    with hold(other):
        begin_transaction(worker, ("INCR", "k"), ("SDIFFSTORE", "D", "S", "none"), ("SDIFF", "S", "none"))
        if in_exec:
            begin_transaction(asker, command)
        else:
            begin(asker, *command)
        assert other.command("GET", "elsewhere") in (None, b"1")
        if waits:
            assert not has_answered(asker) and not has_answered(worker)
    first, stored, found = worker.read().value
    assert first == 1 and stored == len(found) and stored in (SIZE, 0)
    answer = asker.read().value
    answer = answer[0] if in_exec else answer
    if reply is ErrorReply:
        assert isinstance(answer, ErrorReply)
    elif reply is not None:
        assert answer == reply
    until(lambda: other.info("persistence")["rdb_bgsave_in_progress"] == "0")


LONG = [("SPOP", "S", SIZE // 2), ("ZPOPMIN", "Z", SIZE // 2), ("LREM", "L", 0, "often"), ("SORT", "L", "ALPHA"),
        ("SORT", "L", "ALPHA", "STORE", "R"), ("SUNIONSTORE", "U", "S", "Z"), ("KEYS", "*"), ("COPY", "S", "T"),
        ("ZRANGESTORE", "T", "Z", 0, -1), ("SMEMBERS", "S"), ("LRANGE", "L", 0, -1), ("DEL", "S"), ("FLUSHALL",),
        ("FLUSHDB", "SYNC"), ("LINSERT", "L", "BEFORE", "e7999", "x"), ("DUMP", "S"), ("RENAME", "S", "L"),
        ("SORT", "L", "BY", "w_*", "GET", "#"), ("ZUNIONSTORE", "W", 2, "S", "Z"), ("ZPOPMAX", "Z", SIZE),
        ("SDIFF", "S", "Z"), ("HGETALL", "H"), ("HRANDFIELD", "H", -5000), ("SPOP", "S", SIZE - 1), ("ZMPOP", 1, "Z",
        "MAX", "COUNT", SIZE), ("BITCOUNT", "B"), ("BITOP", "NOT", "C", "B"), ("LMPOP", 2, "none", "L", "LEFT", "COUNT",
        SIZE), ("GET", "S"), ("SPOP", "L", SIZE), ("NOSUCH",), ("SCAN", 0, "COUNT", 5000), ("DBSIZE",)]


def fill_all(client):
    client.command("FLUSHALL")
    fill(client)
    for command, key, make in (("ZADD", "Z", lambda i: (i * 7 % 1009, b"s%d" % i)),
                               ("RPUSH", "L", lambda i: (b"often" if i % 3 == 0 else b"e%d" % i,)),
                               ("HSET", "H", lambda i: (b"f%d" % i, i))):
        client.load([(command, key, *(x for i in range(at, at + 500) for x in make(i)))
                     for at in range(0, SIZE, 500)], batch=20)
    client.command("SETRANGE", "B", 3_000_000, "x")


def plain(value, loose):
    """A reply without what is random or in no order."""
    if isinstance(value, ErrorReply):
        return value.text
    if not isinstance(value, list):
        return value if not loose or not isinstance(value, bytes) else len(value)
    if loose:
        return len(value)
    return [plain(item, False) for item in value]


UNORDERED = {"SPOP", "SMEMBERS", "KEYS", "SDIFF", "HRANDFIELD", "SCAN", "DUMP", "HGETALL"}


def compare(ours, theirs, queue):
    if isinstance(ours, ErrorReply) or isinstance(theirs, ErrorReply):
        assert plain(ours, False) == plain(theirs, False)
        return
    assert len(ours) == len(theirs) == len(queue)
    for command, a, b in zip(queue, ours, theirs):
        loose = command[0] in UNORDERED
        assert plain(a, loose) == plain(b, loose) or command[0] in ("SCAN", "DUMP"), command


def final(client):
    keys = sorted(client.command("KEYS", "*"))
    return [(key, client.command("TYPE", key), client.command("OBJECT", "ENCODING", key) is not None,
             client.command("EXISTS", key)) for key in keys] + [client.command("DBSIZE")]


def test_random_transactions_as_the_oracle_does(module_server, module_oracle, seed):
    rng = random.Random(seed)
    with Client(module_server.port) as client, Client(module_oracle.port) as oracle:
        for _ in range(10):
            queue = []
            for _ in range(rng.randint(1, 6)):
                queue.append(rng.choice(LONG))
                queue.append(rng.choice([("INCR", "n"), ("SET", "k", "v", "PX", 100000), ("GET", "k"), ("PING",),
                                         ("SELECT", rng.randrange(2)), ("LPUSH", "S", "x"), ("SCARD", "S")]))
            print(queue)
            replies = []
            for one in (client, oracle):
                fill_all(one)
                one.send_raw(transaction(*queue))
                replies.append([one.read().value for _ in range(len(queue) + 2)][-1])
            compare(*replies, queue)
            assert final(client) == final(oracle)
            for one in (client, oracle):
                one.command("SELECT", 0)
                one.command("FLUSHALL")


def test_nobody_sees_a_half_of_it(port, seed):
    """What is in S, T and the counter is as much as ever, for whoever looks, while members wander in between."""
    rng = random.Random(seed)
    stop, errors = threading.Event(), []

    def look(number):
        ask = random.Random(seed + number)
        try:
            with Client(port) as client:
                while not stop.is_set():
                    queue = [("SCARD", "S"), ("SCARD", "T"), ("GET", "gone"), ("EXISTS", "mark")]
                    ask.shuffle(queue)
                    found = dict(zip((command[1] for command in queue), execute(client, *queue)))
                    if found["S"] + found["T"] + int(found["gone"]) != 2 * SIZE or found["mark"]:
                        errors.append(found)
                    if client.command("DBSIZE") not in (2, 3):
                        errors.append("DBSIZE")
        except Exception as error:  # the main thread tells
            errors.append(error)

    with Client(port) as client:
        client.command("FLUSHALL")
        fill(client, "S")
        fill(client, "T", start=SIZE)
        client.command("SET", "gone", 0)
        threads = [threading.Thread(target=look, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(25):
                count, back = rng.randint(SIZE // 4, SIZE // 2), rng.choice("ST")
                key = max("ST", key=lambda name: client.command("SCARD", name))
                replies = execute(client, ("SET", "mark", 1), ("SPOP", key, count), ("INCRBY", "gone", count),
                                  ("DEL", "mark"), ("SCARD", key))
                assert len(replies[1]) == count
                members = replies[1]
                pieces = [("SADD", back, *members[at:at + 500]) for at in range(0, count, 500)]
                replies = execute(client, ("SET", "mark", 1), ("DECRBY", "gone", count), *pieces, ("SORT", back, "BY",
                                  "nosort", "STORE", "copy"), ("SDIFFSTORE", "other", "S", "none"),
                                  ("DEL", "mark", "copy", "other"))
                assert sum(replies[2:2 + len(pieces)]) == count
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert not errors, errors[:3]


@pytest.mark.parametrize("user", ["default", "limited"])
def test_a_client_that_is_killed(clients, user):
    """What it began is carried out to its end; whom it has made wait goes on."""
    worker, other, reader, _ = clients
    fill(other)
    if user != "default":
        other.command("ACL", "SETUSER", user, "on", "nopass", "~*", "+@all", "-get")
        assert worker.command("AUTH", user, "x") == b"OK"
    client_id = worker.command("CLIENT", "ID")
    with hold(other):
        begin_transaction(worker, ("SET", "k", "1"), ("SPOP", "S", SIZE // 2), ("SELECT", 1), ("SET", "k", "2"))
        begin(reader, "GET", "k")
        assert other.command("CLIENT", "KILL", "ID", client_id) == 1
        until(lambda: b"id=%d " % client_id not in other.command("CLIENT", "LIST"))
        if user != "default":
            other.command("ACL", "DELUSER", user)
        assert user != "default" or not has_answered(reader)
    assert reader.read().value == b"1"
    assert other.command("SCARD", "S") == SIZE // 2
    assert execute(other, ("SELECT", 1), ("GET", "k"), ("SELECT", 0))[1] == b"2"


def test_who_waits_for_its_keys_is_served_after_it(clients):
    worker, other, blocked, late = clients
    fill(other)
    begin(blocked, "BLPOP", "queue", 0)
    with hold(other):
        begin_transaction(worker, ("RPUSH", "queue", "a", "b"), ("SPOP", "S", SIZE // 2), ("LLEN", "queue"),
                          ("RPUSH", "queue", "c"))
        begin(late, "BLPOP", "queue", 0)
        for _ in range(3):
            assert has_answered(worker) or not (has_answered(blocked) or has_answered(late))
            step(other)
    assert [type(item) for item in worker.read().value] == [int, list, int, int]
    assert blocked.read().value == [b"queue", b"a"]
    assert late.read().value == [b"queue", b"b"]
    assert other.command("LRANGE", "queue", 0, -1) == [b"c"]


def test_who_watches_its_keys(clients):
    worker, other, watcher, _ = clients
    fill(other)
    watcher.command("WATCH", "k")
    with hold(other):
        begin_transaction(worker, ("SET", "k", "1"), ("SPOP", "S", SIZE // 2))
        begin_transaction(watcher, ("SET", "elsewhere", "1"))
        assert watcher.read().value is None
    worker.read()
    watcher.command("WATCH", "k")
    assert execute(watcher, ("GET", "k")) == [b"1"]


def test_an_expiry_in_the_midst(clients):
    """To the transaction no time passes; nothing of what it holds goes before its end."""
    worker, other, *_ = clients
    fill(other)
    seconds, micros = map(int, other.command("TIME"))
    began = seconds * 10**6 + micros
    with hold(other):
        begin_transaction(worker, ("SET", "k", "1", "PX", 1), ("SPOP", "S", SIZE // 2), ("GET", "k"), ("INCR", "k"))
        until(lambda: int(other.command("TIME")[0]) * 10**6 + int(other.command("TIME")[1]) > began + 5000)
        for _ in range(3):
            step(other)
    replies = worker.read().value
    assert replies[2:] == [b"1", 2]
    until(lambda: other.command("GET", "k") is None)


def test_messages_to_itself_come_after_the_reply(port):
    with Client(port, protocol=3) as worker, Client(port) as other:
        fill(other)
        worker.command("SUBSCRIBE", "news")
        worker.command("CLIENT", "TRACKING", "ON")
        worker.command("GET", "k")
        with hold(other):
            begin_transaction(worker, ("PUBLISH", "news", "1"), ("SPOP", "S", SIZE // 2), ("PUBLISH", "news", "2"),
                              ("SET", "k", "1"))
            other.command("PUBLISH", "news", "between")
        got = [worker.read().value for _ in range(5)]
        assert got[0] == [b"message", b"news", b"between"] and len(got[1]) == 4
        assert [item[2] for item in got if item[0] == b"message"] == [b"between", b"1", b"2"]
        assert [b"invalidate", [b"k"]] in got[2:]
        assert worker.command("PING") == b"PONG"


@pytest.mark.parametrize("count", [5000])
def test_a_transaction_of_many_commands(clients, count):
    """Finding its keys is work as well: nobody changes anything meanwhile, and everybody reads."""
    worker, other, writer, reader = clients
    other.command("SET", "k7", "old")
    queue = [("SET", "k%d" % i, i) for i in range(count)] + [("DBSIZE",)]
    with hold(other):
        begin_transaction(worker, *queue)
        assert other.command("GET", "k7") == b"old"
        begin(writer, "SET", "k7", "mine")
        assert not has_answered(writer)
        begin(reader, "GET", "k%d" % (count - 1))
    assert worker.read().value == [b"OK"] * count + [count]
    assert writer.read().value == b"OK" and other.command("GET", "k7") == b"mine"
    assert reader.read().value in (None, b"%d" % (count - 1))


def test_time_is_up_in_a_command_that_is_long_itself(clients):
    """Quick ones have used up the time that a transaction has at once when a long one has gone aside already."""
    client = clients[0]
    client.load([("XADD", "stream", "1-1", "f", "v"), ("SET", "a", "b"), ("SETRANGE", "bits", 2**24, "x")])
    missing = [b"%d-1" % number for number in range(10**9, 10**9 + 1900)]
    for size in range(0, 2**24, 2**17):
        queue = ("BITCOUNT", "bits", 0, size), ("XDEL", "stream", *missing), ("GET", "a")
        assert execute(client, *queue) == [0, 0, b"b"]


def test_large_and_long_ones_take_turns(clients):
    one, two, other, three = clients
    fill(other)
    many = [("INCR", "k%d" % (i % 1500)) for i in range(3000)]
    with hold(other):
        begin_transaction(one, ("SPOP", "S", 4000), *many)
        begin_transaction(two, *many, ("SPOP", "S", 4000), ("DBSIZE",))
        begin_transaction(three, ("INCR", "k1"), ("INCR", "elsewhere"))
    first, second, third = one.read().value, two.read().value, three.read().value
    assert first[-1] == 2 and second[-3] == 4 and second[0] == 3
    assert third[0] in (3, 5) and third[1] == 1


@pytest.mark.parametrize("queue", [
    [("CLIENT", "SETNAME", "x"), ("SPOP", "S", SIZE // 2), ("CLIENT", "GETNAME")],
    [("SUBSCRIBE", "c"), ("SPOP", "S", SIZE // 2)], [("CONFIG", "GET", "maxmemory"), ("SPOP", "S", SIZE // 2)]],
    ids=lambda queue: queue[0][0])
def test_what_concerns_the_client_is_run_at_once(port, queue):
    with Client(port) as worker, Client(port) as other:
        fill(other)
        with hold(other):
            worker.send_raw(transaction(*queue))
            assert [worker.read().value for _ in range(len(queue) + 1)][0] == b"OK"
            if queue[0][0] == "SUBSCRIBE":
                assert worker.read().value
            else:
                assert len(worker.read().value) == len(queue)
            assert other.command("SCARD", "S") == SIZE // 2


def test_silence(clients):
    worker, other, *_ = clients
    fill(other)
    worker.send("CLIENT", "REPLY", "OFF")
    with hold(other):
        worker.send_raw(transaction(("SPOP", "S", SIZE // 2)) + encode(["CLIENT", "REPLY", "ON"]))
        assert other.command("SCARD", "S") == SIZE
    assert worker.read().value == b"OK"
    assert other.command("SCARD", "S") == SIZE // 2


@pytest.mark.parametrize("steps", [1, 12])
@pytest.mark.parametrize("end", ["kill", "stop", "rewrite", "save"])
def test_the_files_have_all_or_nothing(start_server, steps, end):
    server = start_server(*AOF) if end != "save" else start_server("--enable-debug-command", "yes")
    with Client(server.port) as worker, Client(server.port) as other:
        fill(other)
        if end != "save":
            other.command("CONFIG", "SET", "appendfsync", "always")
        other.command("DEBUG", "TASK-STEPS", 0)
        begin_transaction(worker, ("INCR", "n"), ("SPOP", "S", SIZE // 2), ("INCR", "n"), ("SPOP", "S", 1000),
                          ("INCR", "n"))
        other.command("SET", "between", "1")
        for _ in range(steps):
            step(other)
        if end == "rewrite":
            other.send("BGREWRITEAOF")
            with Client(server.port) as third:
                third.command("DEBUG", "TASK-STEPS", -1)
            assert not isinstance(other.read().value, ErrorReply)
            rewritten(other)
            other.command("SET", "between", "2")
        elif end == "save":
            assert other.command("SAVE") == b"OK"
        elif end == "stop":
            server.stop_cleanly()
        else:
            other.command("DEBUG", "TASK-STEPS", -1)
        if end != "stop":
            assert worker.read().value[-1] == 3
        if end == "kill":
            log = commands(last_increment(directory(server)).read_bytes())
            names = [words[0] for words in log if words[0] in (b"MULTI", b"EXEC", b"INCR", b"SREM", b"SPOP", b"SET")]
            assert names.index(b"SET") < names.index(b"MULTI")
            unit = names[names.index(b"MULTI"):names.index(b"EXEC") + 1]
            assert unit.count(b"INCR") == 3 and unit[1] == unit[-2] == b"INCR" and b"SET" not in unit
            assert names.count(b"MULTI") == 1
        if end != "stop":
            server.kill()
    server = start_server(*(AOF if end != "save" else ()), directory=server.directory)
    with loaded(server) as client:
        assert client.command("GET", "n") == b"3"
        assert client.command("SCARD", "S") == SIZE // 2 - 1000
        assert client.command("GET", "between") == (b"2" if end == "rewrite" else b"1")
        assert client.command("DBSIZE") == 3


@pytest.mark.parametrize("end", ["CLIENT KILL USER", "ACL DELUSER"])
def test_a_user_with_few_rights_is_ended(start_server, end):
    """What is left of his transaction is carried out with the rights that he had, and refused if he has none any more.
    The default user has none here."""
    server = start_server(*SERVER_OPTIONS)
    with Client(server.port) as other, Client(server.port) as writer:
        fill(other)
        assert other.command("ACL", "SETUSER", "admin", "on", "nopass", "~*", "&*", "+@all") == b"OK"
        assert other.command("ACL", "SETUSER", "writer", "on", "nopass", "~*", "+@all", "-flushall") == b"OK"
        assert other.command("AUTH", "admin", "") == b"OK"
        assert other.command("ACL", "SETUSER", "default", "off", "resetkeys", "-@all") == b"OK"
        assert writer.command("AUTH", "writer", "") == b"OK"
        with hold(other):
            writer.send_raw(transaction(("SDIFFSTORE", "T", "S", "none"), ("SET", "k", "v")))
            assert [writer.read().value for _ in range(3)] == [b"OK", b"QUEUED", b"QUEUED"]
            until(lambda: b" cmd=exec user=writer " in other.command("CLIENT", "LIST"))
            assert other.command(*end.split(), "writer") == 1
            assert writer.is_closed_by_server()
        assert other.command("SCARD", "T") == SIZE
        assert other.command("GET", "k") == (b"v" if end.startswith("CLIENT") else None)
        assert len(other.command("ACL", "LOG")) == end.startswith("ACL")
