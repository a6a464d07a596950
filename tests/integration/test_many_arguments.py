"""Commands with very many arguments: carried out in slices, seen by others only when all is done."""
import random

import pytest

from aof_files import AOF, loaded, rewritten
from harness.resp import Client, encode
from harness.waiting import begin, has_answered, hold

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


@pytest.fixture(scope="module")
def ports(module_server, module_oracle):
    return module_server.port, module_oracle.port


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
