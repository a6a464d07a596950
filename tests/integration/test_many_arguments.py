"""Commands with very many arguments: carried out in slices, seen by others only when all is done."""
import random

import pytest

from aof_files import AOF, loaded, rewritten
from harness.resp import Client, encode
from harness.waiting import begin, has_answered, hold, until

PROTOCOLS = (2,)
MANY = 2400
SERVER_OPTIONS = ("--enable-debug-command", "yes")
NAMES = [b"name:%05d" % i for i in range(MANY)]
PAIRS = [x for i, name in enumerate(NAMES[:MANY // 2]) for x in (name, i)]
SCORES = [x for i, name in enumerate(NAMES[:MANY // 2]) for x in (i * 7 % 1009, name)]
PLACES = [x for i, name in enumerate(NAMES[:MANY // 3]) for x in (i % 170, i % 80, name)]
OLD = [b"old:%05d" % i for i in range(MANY)]
CHANGES = {
    "SADD": ("SADD", "k", *NAMES), "SADD-of-numbers": ("SADD", "k", *range(MANY)), "SREM": ("SREM", "s", *NAMES),
    "SREM-of-some": ("SREM", "s", *NAMES[100:]), "HSET": ("HSET", "k", *PAIRS), "HSET-again": ("HSET", "h", *PAIRS),
    "HMSET": ("HMSET", "k", *PAIRS), "HDEL": ("HDEL", "h", *NAMES), "ZADD": ("ZADD", "k", *SCORES),
    "ZADD-GT-CH": ("ZADD", "z", "GT", "CH", *SCORES), "ZREM": ("ZREM", "z", *NAMES), "GEOADD": ("GEOADD", "k", *PLACES),
    "RPUSH": ("RPUSH", "k", *NAMES), "LPUSH": ("LPUSH", "l", *NAMES), "RPUSHX": ("RPUSHX", "l", *NAMES),
    "PFADD": ("PFADD", "k", *NAMES), "PFADD-dense": ("PFADD", "p", *NAMES),
}
OTHERS = {
    "LPUSHX": ("LPUSHX", "none", *NAMES), "SADD-to-a-list": ("SADD", "l", *NAMES),
    "HSET-odd": ("HSET", "k", *PAIRS, "x"), "ZADD-no-number": ("ZADD", "k", *SCORES, "x", "y"),
    "SMISMEMBER": ("SMISMEMBER", "s", *NAMES), "HMGET": ("HMGET", "h", *NAMES), "ZMSCORE": ("ZMSCORE", "z", *NAMES),
    "PFADD-nothing-new": ("PFADD", "p", *OLD), "PFADD-to-a-set": ("PFADD", "s", *NAMES),
    "PFCOUNT": ("PFCOUNT", *("p%d" % (i % 5) for i in range(60))), "PFCOUNT-a-set": ("PFCOUNT", *("p" * 60), "s"),
    "PFMERGE": ("PFMERGE", "k", *("p%d" % (i % 5) for i in range(60))), "PFMERGE-into": ("PFMERGE", *("p" * 60), "p3"),
    "GEOPOS": ("GEOPOS", "z", *NAMES), "GEOHASH": ("GEOHASH", "z", *NAMES), "GEOPOS-a-list": ("GEOPOS", "l", *NAMES),
    "SINTERCARD": ("SINTERCARD", 2, "s", "s"), "SINTERCARD-LIMIT": ("SINTERCARD", 2, "s", "s", "LIMIT", 900),
    "SINTERCARD-many": ("SINTERCARD", MANY, *(["s"] * MANY)), "SUNIONSTORE-many": ("SUNIONSTORE", "k", *NAMES, "s"),
    "SINTER-none": ("SINTER", "s", *NAMES), "SDIFFSTORE-many": ("SDIFFSTORE", "k", "s", *NAMES, "s"),
    "SUNION-a-list": ("SUNION", "s", *NAMES, "l"), "ZUNIONSTORE-many": ("ZUNIONSTORE", "k", MANY + 1, "z", *NAMES),
    "ZINTER-many": ("ZINTER", MANY + 1, "z", *(["s", "z"] * (MANY // 2)), "WITHSCORES"),
    "ZDIFF-many": ("ZDIFF", MANY + 1, "z", *NAMES), "ZUNION-a-list": ("ZUNION", MANY + 1, *NAMES, "l"),
    "HSET-to-a-set": ("HSET", "s", *PAIRS), "GEOADD-nowhere": ("GEOADD", "k", *PLACES, 200, 200, "x"),
}


def fill(client):
    client.command("FLUSHALL")
    for at in range(0, MANY, 500):
        client.command("SADD", "s", *NAMES[at:at + 500])
        client.command("HSET", "h", *(x for name in NAMES[at:at + 500] for x in (name, "old")))
        client.command("ZADD", "z", *(x for name in NAMES[at:at + 500] for x in (500, name)))
    client.command("RPUSH", "l", "first")
    for at in range(0, MANY, 500):
        client.command("PFADD", "p", *OLD[at:at + 500])
    client.load([("PFADD", "p%d" % i, *OLD[i:900 * i:7]) for i in range(4)])


READ = {"none": None, "string": ("GET",), "set": ("SMEMBERS",), "hash": ("HGETALL",),
        "zset": ("ZRANGE", 0, -1, "WITHSCORES"), "list": ("LRANGE", 0, -1)}


def contents(client):
    found = {}
    for key in "shzlkp":
        kind = client.command("TYPE", key).decode()
        if kind != "none":
            value = client.command(READ[kind][0], key, *READ[kind][1:])
            if kind == "hash":
                value = list(zip(value[::2], value[1::2]))
            encoding = client.command("OBJECT", "ENCODING", key) if kind != "list" else None
            found[key] = encoding, value if kind in ("zset", "list") else sorted(value)
    return found


@pytest.mark.parametrize("how", ["alone", "in-exec"])
@pytest.mark.parametrize("command", [*CHANGES, *OTHERS])
def test_reply_and_contents(ports, command, how):
    command, results = {**CHANGES, **OTHERS}[command], []
    for port in ports:
        with Client(port) as client:
            fill(client)
            if how == "in-exec":
                client.command("MULTI")
                client.command("INCR", "n")
                client.command(*command)
                client.command("TYPE", "k")
                reply = client.command("EXEC")
                reply = [getattr(item, "text", item) for item in reply]
            else:
                reply = client.command(*command)
            results.append((getattr(reply, "text", reply), contents(client)))
    assert results[0] == results[1]


@pytest.mark.parametrize("command", CHANGES)
def test_others_meanwhile(ports, command):
    """Nobody sees a part: who asks for the key waits; who asks for another one does not."""
    command = CHANGES[command]
    size = {"S": "SCARD", "H": "HLEN", "Z": "ZCARD", "G": "ZCARD", "L": "LLEN", "R": "LLEN", "P": "PFCOUNT"}
    size = size[command[0][0]]
    with Client(ports[0]) as worker, Client(ports[0]) as other, Client(ports[0]) as reader:
        fill(other)
        before = other.command(size, command[1])
        with hold(other):
            begin(worker, *command)
            assert other.command("EXISTS", "elsewhere") == 0 and not has_answered(worker)
            seen = []
            for _ in range(100):
                if has_answered(worker):
                    break
                if not seen or has_answered(reader):
                    seen.append(reader.read().value if seen else before)
                    begin(reader, size, command[1])
                assert other.command("EXISTS", "elsewhere") == 0
                other.command("DEBUG", "TASK-STEPS", 1)
        worker.read()
        after = other.command(size, command[1])
        seen.append(reader.read().value)
        assert set(seen) <= {before, after}


BLOB = b"blob" * 20_000


@pytest.mark.parametrize("behind", ["nothing", "a-request", "half", "the-same", "close"])
@pytest.mark.parametrize("command", ["SADD", "MSET", "with-blobs"])
def test_what_comes_behind_it(ports, command, behind):
    """Its arguments are taken over as they lie, unless something else lies beside them."""
    words = {"SADD": ("SADD", "k", *NAMES), "MSET": ("MSET", *PAIRS),
             "with-blobs": ("MSET", "k", BLOB, *PAIRS, "l", BLOB)}[command]
    request, rest = encode(words), encode(("ECHO", "x" * 300))
    with Client(ports[0]) as worker, Client(ports[0]) as other:
        for _ in range(3):
            fill(other)
            with hold(other):
                worker.send_raw(request[:9000])
                other.command("PING")
                more = {"a-request": rest, "half": rest[:150], "the-same": request}.get(behind, b"")
                worker.send_raw(request[9000:] + more)
                for _ in range(20):
                    assert other.command("ECHO", "y" * 500) == b"y" * 500
            if behind == "close":
                worker.close()
                worker = Client(ports[0])
            else:
                assert worker.read().value in (MANY, b"OK")
            if behind == "half":
                worker.send_raw(rest[150:])
            if behind in ("half", "a-request"):
                assert worker.read().value == b"x" * 300
            elif behind == "the-same":
                assert worker.read().value in (0, b"OK")
            if command == "SADD":
                until(lambda: other.command("SCARD", "k") == MANY)
                assert set(other.command("SMEMBERS", "k")) == set(NAMES)
            else:
                until(lambda: other.command("EXISTS", *PAIRS[::2]) == MANY // 2)
                assert other.command("MGET", *PAIRS[::2]) == [str(value).encode() for value in PAIRS[1::2]]
                assert command == "MSET" or other.command("MGET", "k", "l") == [BLOB, BLOB]
        worker.close()


FUTURE = 32503680000  # seconds since 1970
HERE = object()
FIELDS = ("FIELDS", MANY, *NAMES)
OF_FIELDS = {  # with HERE in place of fields and their number
    "HEXPIREAT": ("HEXPIREAT", "h", FUTURE, HERE), "HEXPIREAT-GT": ("HEXPIREAT", "h", FUTURE - 9, "GT", HERE),
    "HEXPIREAT-past": ("HEXPIREAT", "h", 1, HERE), "HPERSIST": ("HPERSIST", "h", HERE),
    "HEXPIRETIME": ("HEXPIRETIME", "h", HERE), "HGETDEL": ("HGETDEL", "h", HERE), "HGETEX": ("HGETEX", "h", HERE),
    "HGETEX-EXAT": ("HGETEX", "h", "EXAT", FUTURE, HERE), "HGETEX-PERSIST": ("HGETEX", "h", "PERSIST", HERE),
    "HGETEX-past": ("HGETEX", "h", "PXAT", 1, HERE), "HEXPIREAT-none": ("HEXPIREAT", "none", FUTURE, HERE),
    "HTTL-set": ("HTTL", "s", HERE),
}


def in_words(command, names):
    return [x for word in command for x in (("FIELDS", len(names), *names) if word is HERE else (word,))]


def fill_fields(client):
    """A third of the fields expires, another does not, and the rest is not there."""
    fill(client)
    client.command("HDEL", "h", *NAMES[::3])
    for at in range(1, MANY, 900):
        some = NAMES[at:at + 900:3]
        client.command("HEXPIREAT", "h", FUTURE - at, "FIELDS", len(some), *some)


def fields_now(client):
    found = contents(client)
    times = []
    for at in range(0, MANY, 800):
        times += client.command("HPEXPIRETIME", "h", *("FIELDS", 800, *NAMES[at:at + 800])) or []
    return found, times


@pytest.mark.parametrize("how", ["alone", "in-exec"])
@pytest.mark.parametrize("command", OF_FIELDS)
def test_all_fields_as_some_at_a_time(ports, command, how):
    """One command with very many fields does, and answers, what several with few do."""
    command = OF_FIELDS[command]
    with Client(ports[0]) as client:
        fill_fields(client)
        expected = []
        for at in range(0, MANY, 400):
            reply = client.command(*in_words(command, NAMES[at:at + 400]))
            expected += [getattr(reply, "text", reply)] if not isinstance(reply, list) else reply
        after = fields_now(client)
        fill_fields(client)
        if how == "in-exec":
            client.command("MULTI")
        reply = client.command(*in_words(command, NAMES))
        if how == "in-exec":
            reply = client.command("EXEC")[0]
        if isinstance(reply, list):
            assert reply == expected
        else:
            assert {getattr(reply, "text", reply)} == set(expected)
        assert fields_now(client) == after


@pytest.mark.parametrize(
    "options", [(), ("FNX",), ("FXX",), ("EXAT", FUTURE), ("KEEPTTL",), ("FXX", "PXAT", 1)], ids=str)
@pytest.mark.parametrize("key", ["h", "k"])
def test_hsetex_of_very_many(ports, options, key):
    pairs = [x for name in NAMES for x in (name, b"of " + name)]
    with Client(ports[0]) as client:
        fill_fields(client)
        before = fields_now(client)
        written = ("FNX" not in options or key == "k") and "FXX" not in options
        assert client.command("HSETEX", key, *options, "FIELDS", MANY, *pairs) == int(written)
        if not written:
            assert fields_now(client) == before
            return
        assert client.command("HMGET", key, *NAMES) == pairs[1::2]
        times = client.command("HEXPIRETIME", key, *FIELDS)
        if "KEEPTTL" in options and key == "h":
            assert times == [-1 if t < 0 else t // 1000 for t in before[1]]
        else:
            assert set(times) == {FUTURE if "EXAT" in options else -1}


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_the_log_has_fields_and_their_ends(start_server, end):
    server = start_server(*AOF)
    with Client(server.port) as client:
        fill_fields(client)
        pairs = [x for name in NAMES for x in (name, "v")]
        assert client.command("HSETEX", "one", "EX", 100000, "FIELDS", MANY, *pairs) == 1
        assert client.command("HSETEX", "two", "KEEPTTL", "FIELDS", MANY, *pairs) == 1
        assert client.command("HEXPIRE", "h", 100000, *FIELDS)[1] == 1
        assert client.command("HEXPIRE", "two", 0, "FIELDS", MANY - 9, *NAMES[9:])[0] == 2
        times = client.command("HPEXPIRETIME", "one", *FIELDS)
        before = fields_now(client)
    if end == "stop":
        server.stop_cleanly()
    else:
        server.kill()
    with loaded(start_server(*AOF, directory=server.directory)) as client:
        assert fields_now(client) == before
        assert client.command("HPEXPIRETIME", "one", *FIELDS) == times
        assert sorted(client.command("HKEYS", "two")) == NAMES[:9]


def test_waiters_are_served_when_all_is_there(ports):
    with Client(ports[0]) as worker, Client(ports[0]) as other, Client(ports[0]) as blocked:
        other.command("FLUSHALL")
        begin(blocked, "BLPOP", "k", 0)
        with hold(other):
            begin(worker, "RPUSH", "k", *NAMES)
            for _ in range(2):
                assert has_answered(worker) or not has_answered(blocked)
                other.command("DEBUG", "TASK-STEPS", 1)
        assert blocked.read().value == [b"k", NAMES[0]]
        assert worker.read().value == MANY
        assert other.command("LLEN", "k") == MANY - 1


@pytest.mark.parametrize("end", ["kill", "rewrite", "stop"])
def test_the_log(start_server, seed, end):
    rng = random.Random(seed)
    server = start_server(*AOF)
    with Client(server.port) as worker, Client(server.port) as other:
        fill(other)
        names = list(CHANGES)
        rng.shuffle(names)
        worker.send_raw(b"".join(encode(CHANGES[name]) for name in names[:5]))
        for _ in range(5):
            worker.read()
        expected = {key: value for key, (_, value) in contents(other).items()}
        if end == "rewrite":
            other.command("DEBUG", "TASK-STEPS", 1)
            begin(worker, "SADD", "between", *NAMES)
            other.send("BGREWRITEAOF")
            with Client(server.port) as third:
                third.command("DEBUG", "TASK-STEPS", -1)
            worker.read()
            other.read()
            rewritten(other)
        elif end == "stop":
            other.command("DEBUG", "TASK-STEPS", 1)
            begin(worker, "SADD", "between", *NAMES)
    server.stop_cleanly() if end == "stop" else server.kill()
    server = start_server(*AOF, directory=server.directory)
    with loaded(server) as client:
        assert {key: value for key, (_, value) in contents(client).items()} == expected
        allowed = {"stop": (0, MANY), "rewrite": (MANY,), "kill": (0,)}[end]
        assert client.command("SCARD", "between") in allowed
