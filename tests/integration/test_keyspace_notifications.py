"""Events of keys, beside redis-server: which channels, in which order, whatever the command.

A listener subscribes to everything; between any two commands a message of the test's own is published, so that it is
known which command an event belongs to.
"""
import random
import time

import pytest

from geo_generators import Places
from harness.differential import as_args, name_of, shown
from harness.resp import Client, Push
from harness.waiting import until
from hash_generators import Hashes
from hyperloglog_generators import HyperLogLogs
from set_generators import Sets
from sort_generators import Sorts
from test_differential_mixed import Mixed
from zset_generators import SortedSets

SIGN = b"test-sign"


class Ears:
    """A client of one server that does what the test says, and one that hears of it."""

    def __init__(self, port, protocol, classes="KEAmn"):
        self.client, self.listener = Client(port, protocol), Client(port, protocol)
        self.client.command("FLUSHALL")
        self.client.command("CONFIG", "SET", "notify-keyspace-events", classes)
        self.port = port
        for pattern in ("__key*__:*", SIGN):
            self.listener.command("PSUBSCRIBE", pattern)

    def run(self, commands):
        """Executes commands; a list of events for each, as (channel, payload)."""
        wire = [part for args in commands for part in (args, ("PUBLISH", SIGN, "x"))]
        list(self.client.pipeline(wire))
        return [self.events() for _ in commands]

    def events(self):
        """What was heard up to the next sign."""
        heard = []
        while True:
            _, pattern, channel, payload = self.listener.read().value
            if pattern == SIGN:
                return heard
            heard.append((channel, payload))

    def close(self):
        self.client.close()
        self.listener.close()


@pytest.fixture
def ears(module_server, module_oracle, protocol):
    both = Ears(module_server.port, protocol), Ears(module_oracle.port, protocol)
    yield both
    for one in both:
        one.close()


def compare(ears, commands):
    commands = [as_args(command) for command in commands]
    ours, theirs = (one.run(commands) for one in ears)
    for i, (mine, other) in enumerate(zip(ours, theirs)):
        if commands[i] and str(commands[i][0]).upper().startswith("SORT"):  # patterns look keys up in any order
            mine, other = sorted(mine), sorted(other)
        plain = {"BITCOUNT": 2, "BITPOS": 3}.get(name_of(commands[i]))
        if plain and len(commands[i]) > plain and not mine:
            continue  # as from Redis 7.2 on, an ill-formed range fails before anybody looks for the key
        if mine != other:
            before = "\n  ".join(shown(args) for args in commands[max(0, i - 15):i + 1])
            pytest.fail(f"after\n  {before}\n ours   {mine}\n oracle {other}")
    return ours


def skipped(args):
    """Commands that newer servers have, or that redis-server 7.0 leaves to chance."""
    words = [str(arg).upper() for arg in args]
    name = words[0] if words else ""
    if name == "SPOP":
        return True
    return name in ("CONFIG", "DEBUG", "SELECT", "MULTI", "EXEC", "SUBSCRIBE", "RESET", "QUIT", "PFDEBUG")


FAMILIES = {"mixed": Mixed, "hashes": lambda: Hashes("conversion"), "sets": lambda: Sets("all"), "zsets": SortedSets,
            "geo": Places, "hll": HyperLogLogs, "sort": Sorts}


@pytest.mark.parametrize("family", FAMILIES)
def test_random_commands(ears, seed, scale, family):
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")
    rng, generate, seen = random.Random(seed), FAMILIES[family](), set()
    for _ in range(5):
        commands = [args for args in (generate(rng) for _ in range(scale(300))) if not skipped(args)]
        for events in compare(ears, commands):
            seen |= {payload for channel, payload in events if channel.startswith(b"__keyspace")}
    assert len(seen) > 3, seen


SCENES = [
    "SET k v | SET k v EX 100 | SET k v KEEPTTL | SET k v NX | SET k v XX GET | SETEX k 10 v | PSETEX k 1000 v",
    "SETNX k v | SETNX k v | GETSET k v | GETDEL k | GETDEL k | GETEX k EX 5 | SET k 1 | GETEX k EX 5 | "
    "GETEX k PERSIST",
    "SET k 1 | GETEX k PERSIST | GETEX k EXAT 1 | GETEX k | SET k 1 EXAT 99999999999 | GETEX k PXAT 1 | GET k",
    "INCR k | INCRBY k 5 | DECR k | DECRBY k 3 | INCRBYFLOAT k 1.5 | INCR k | APPEND k x | APPEND l x | "
    "SETRANGE k 20 x",
    "SETRANGE k 5 | SETRANGE m 5 x | MSET a 1 b 2 | MSETNX a 1 c 2 | MSETNX c 1 d 2 | GETRANGE q 0 1 | STRLEN q | "
    "MGET q r",
    "SETBIT b 7 1 | SETBIT b 7 1 | SETBIT b 7 0 | BITFIELD b SET u8 0 255 | BITFIELD b SET u8 0 255 | "
    "BITFIELD b GET u8 0",
    "BITFIELD n OVERFLOW FAIL SET u2 0 3 INCRBY u2 0 1 | SET b a | BITOP NOT d b | BITOP AND d nosuch | "
    "BITOP OR d b nosuch",
    "DEL a b c d | UNLINK a k | SET a 1 | UNLINK a | TOUCH a | EXISTS a | TYPE a | TTL a | OBJECT ENCODING a | DUMP a",
    "SET a 1 | RENAME a b | RENAME b b | SET c 1 | RENAME b c | RENAMENX c d | SET e 1 | RENAMENX d e | COPY e f",
    "COPY e f REPLACE | COPY e f | COPY e g DB 1 | MOVE e 1 | MOVE e 1 | SWAPDB 0 1 | GET e | FLUSHDB | "
    "SWAPDB 0 1 | GET e",
    "SET a 1 | EXPIRE a 100 | EXPIRE a 50 GT | PEXPIRE a 1000000 | EXPIREAT a 99999999999 | PERSIST a | PERSIST a | "
    "EXPIRE a 0",
    "SET a 1 | PEXPIREAT a 1 | EXPIRE a 100 | EXPIRE a -1 | RANDOMKEY | SCAN 0 | KEYS * | DBSIZE",
    "LPUSH l a b | RPUSH l c | LPUSHX l d | LPUSHX m d | RPUSHX l e | LINSERT l BEFORE a x | LINSERT l AFTER nosuch x",
    "RPUSH l a b c d | LSET l 0 x | LREM l 0 b | LREM l 0 nosuch | LTRIM l 0 5 | LTRIM l 1 1 | LTRIM l 5 6 | "
    "LTRIM l 0 1",
    "RPUSH l a b c d | LPOP l | RPOP l | LPOP l 0 | LPOP l 5 | LPOP l | RPUSH l a b | LREM l 1 a | LREM l 1 b",
    "RPUSH l a b | LMOVE l m LEFT RIGHT | LMOVE l l LEFT RIGHT | RPOPLPUSH l m | RPOPLPUSH l m | RPOPLPUSH m m | "
    "LMPOP 2 l m LEFT",
    "RPUSH l a b c | LMPOP 2 q l LEFT COUNT 2 | BLPOP q l 0 | BLPOP q l 0.01 | RPUSH l a b | BRPOP l 0 | "
    "BLMOVE l m LEFT LEFT 0",
    "RPUSH l a b c | BLMPOP 0 1 l RIGHT COUNT 9 | RPUSH l 3 1 2 | SORT l | SORT l STORE d | SORT nosuch STORE d | "
    "SORT nosuch STORE d",
    "SADD s a b c | SADD s a | SREM s a q | SREM s q | SMOVE s t b | SMOVE s t c | SMOVE s t c | SADD s b | "
    "SMOVE s t b | SADD i 1 2",
    "SADD s a | SPOP s | SPOP s | SADD s a b | SPOP s 0 | SPOP s 5 | SADD s a | SADD t a b | SINTERSTORE d s t | "
    "SINTERSTORE d s q",
    "SADD s a | SADD t a b | SUNIONSTORE d s t | SDIFFSTORE d t s | SDIFFSTORE d s t | SDIFFSTORE d s t | "
    "SMOVE s s a | SMOVE s t z",
    "ZADD z 1 a 2 b | ZADD z 1 a | ZADD z XX 5 a | ZADD z INCR 1 a | ZADD z NX INCR 1 a | ZINCRBY z 0 a | "
    "ZINCRBY z 3 c",
    "ZADD z 1 a 2 b 3 c 4 d 5 e | ZREM z a q | ZREM z q | ZPOPMIN z | ZPOPMAX z | ZREMRANGEBYRANK z 5 6 | "
    "ZREMRANGEBYRANK z 0 5",
    "ZADD z 1 a 2 b 3 c | ZREMRANGEBYSCORE z 1 1 | ZREMRANGEBYSCORE z 2 9 | ZADD z 0 a 0 b | ZREMRANGEBYLEX z - + | "
    "ZPOPMIN z",
    "ZADD z 1 a 2 b | ZADD y 1 a | ZUNIONSTORE d 2 z y | ZINTERSTORE d 2 z y | ZDIFFSTORE d 2 z y | ZDIFFSTORE d 2 y z",
    "ZADD z 1 a 2 b 3 c | ZRANGESTORE d z 0 1 | ZRANGESTORE d z 8 9 | ZMPOP 2 q z MIN COUNT 2 | BZPOPMAX q z 0 | "
    "BZPOPMIN z 0.01",
    "ZADD z 1 a | BZMPOP 0 1 z MAX | ZADD z 1 a 2 b | BZMPOP 0 1 z MAX COUNT 5 | ZPOPMIN z 0 | ZADD z 1 a | "
    "ZPOPMIN z 0",
    "HSET h a 1 b 2 | HSET h a 1 | HMSET h c 3 | HSETNX h c 4 | HSETNX h d 4 | HINCRBY h a 5 | "
    "HINCRBYFLOAT h a 1.5 | HDEL h a q",
    "HSET h a 1 | HDEL h q | HDEL h a q | HDEL h a | HGET h a | HGETALL h | HLEN h | HRANDFIELD h | HSTRLEN h a | "
    "HINCRBY n a 1",
    "PFADD p a b | PFADD p a | PFADD p | PFADD q | PFCOUNT p | PFMERGE d p q | PFMERGE d | PFCOUNT p q nosuch",
    "GEOADD g 13.36 38.11 a 15.08 37.50 b | GEOADD g CH 13.36 38.11 a | GEOADD g XX 13.37 38.11 a | GEOPOS g a | "
    "GEORADIUS g 15 37 200 km STORE d | GEORADIUS g 0 0 1 m STORE d | "
    "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km | "
    "GEOSEARCHSTORE d g FROMLONLAT 0 0 BYRADIUS 1 m | GEORADIUSBYMEMBER g a 1 km STOREDIST d",
    "SET k v | MULTI | SET k w | DEL k | GET k | LPUSH l a | EXEC | WATCH k | MULTI | LPOP l | EXEC",
    "SET k v | LPUSH k a | HSET k a 1 | INCR k | SADD k a | ZADD k 1 a | GETBIT nosuch 1 | BITCOUNT nosuch | "
    "LRANGE nosuch 0 1",
]


@pytest.mark.parametrize("scene", SCENES)
def test_scenes(ears, scene):
    compare(ears, scene.split(" | "))


@pytest.mark.parametrize("classes", ["KA", "EA", "Kg", "E$", "Klsz", "Eh", "m", "Kmn", "", "KE", "AKE"])
def test_classes(ears, classes):
    setting = ("CONFIG", "SET", "notify-keyspace-events", classes)
    heard = compare(ears, [setting, "SET k 1", "DEL k", "GET k", "LPUSH l a", "LPOP l", "SADD s a", "ZADD z 1 a",
                           "HSET h a 1", "PEXPIRE h 100", "SORT l STORE l"])
    assert any(heard) == bool(set("KE") & set(classes) and len(classes) > 1 and classes != "KE")


def test_expired_keys(ears):
    """Whoever meets the key, or the walk: it has expired once."""
    commands = [as_args(line) for line in ("SET a 1 PX 20", "SET b 1 PX 20", "SADD s x", "PEXPIRE s 20",
         "SET c 1 PX 20")]
    heard = []
    for one in ears:
        events = one.run(commands)
        time.sleep(0.3)
        events += one.run([as_args(line) for line in ("GET a", "DEL s", "SET c 2", "GET b")])
        flat = sorted(event for part in events for event in part)
        heard.append(flat)
    assert heard[0] == heard[1]
    assert (b"__keyevent@0__:expired", b"s") in heard[0]


def test_waiting_clients(ears, protocol):
    """Whoever waits is served behind the command that served it, and says what it took."""
    for wait, serve in (("BLPOP q 0", "RPUSH q a b"), ("BLMOVE q r LEFT LEFT 0", "RPUSH q a"),
                        ("BZPOPMIN q 0", "ZADD q 1 a"), ("BLMPOP 0 2 q r LEFT COUNT 9", "RPUSH q a b c"),
                        ("BRPOPLPUSH q q 0", "RPUSH q a"), ("BZMPOP 0 1 q MAX", "ZADD q 1 a 2 b")):
        heard = []
        for one in ears:
            one.run([("DEL", "q", "r")])
            waiter = Client(one.port, protocol)
            waiter.send(*wait.split())
            while b"blocked_clients:1" not in one.client.command("INFO", "clients"):
                time.sleep(0.002)
            heard.append(one.run([as_args(serve)]))
            waiter.close()
        assert heard[0] == heard[1], wait


def test_ones_own_events_come_behind_the_reply(server):
    """As in Redis since 7.2; also the whole of a transaction."""
    with Client(server.port, 3) as client:
        client.command("CONFIG", "SET", "notify-keyspace-events", "KA")
        client.command("PSUBSCRIBE", "__key*")
        for commands, replies in ((["SET k v"], 1), (["MULTI", "SET k w", "DEL k", "EXEC"], 4), (["BLPOP l 0"], 0)):
            for command in commands:
                client.send(*command.split())
            if not replies:
                with Client(server.port) as other:
                    other.command("RPUSH", "l", "a")
                assert client.read().value == [b"pmessage", b"__key*", b"__keyspace@0__:l", b"rpush"]
                replies = 1
            got = [client.read().value for _ in range(replies)]
            assert not any(isinstance(value, Push) for value in got)
            assert isinstance(client.read().value, Push)
            client.send("PING")
            while client.read().value != b"PONG":
                pass


# What redis-server 7.0 does not have, as the documentation of later versions tells it

NEWER = [
    ("HSET h a 1 b 2 | HEXPIRE h 100 FIELDS 1 a", [["new", "hset"], ["hexpire"]]),
    ("HSET h a 1 b 2 | HPEXPIREAT h 1 FIELDS 1 a | "
     "HEXPIRE h 0 FIELDS 1 b", [["new", "hset"], ["hdel"], ["hdel", "del"]]),
    ("HSET h a 1 | HEXPIRE h 100 FIELDS 1 q | HPERSIST h FIELDS 1 a | HEXPIRE h 9 FIELDS 1 a | HPERSIST h FIELDS 1 a",
     [["new", "hset"], [], [], ["hexpire"], ["hpersist"]]),
    ("HSETEX h EX 10 FIELDS 1 a 1 | HSETEX h FNX FIELDS 1 a 1 | HSETEX h FIELDS 1 a 1 | HSETEX h PXAT 1 FIELDS 1 a 1",
     [["new", "hset", "hexpire"], [], ["hset"], ["hset", "hdel", "del"]]),
    ("HSET h a 1 | HGETEX h FIELDS 1 a | HGETEX h EX 10 FIELDS 1 a | HGETEX h PERSIST FIELDS 1 a | "
     "HGETEX h PXAT 1 FIELDS 1 a",
     [["new", "hset"], [], ["hexpire"], ["hpersist"], ["hdel", "del"]]),
    ("HSET h a 1 b 2 | HGETDEL h FIELDS 1 q | HGETDEL h FIELDS 1 a | HGETDEL h FIELDS 2 a b",
     [["new", "hset"], [], ["hdel"], ["hdel", "del"]]),
    ("SET h v | SET h w IFEQ x | SET h w IFEQ v | DELEX h IFEQ v | "
     "DELEX h IFEQ w", [["new", "set"], [], ["set"], [], ["del"]]),
    ("MSETEX 1 h v EX 10 | BITOP ONE h h", [["new", "set", "expire"], ["set"]]),
]


@pytest.mark.parametrize("scene, expected", NEWER)
def test_newer_commands(module_server, protocol, scene, expected):
    ears = Ears(module_server.port, protocol, "KAn")
    heard = ears.run([as_args(command) for command in scene.split(" | ")])
    assert [[payload.decode() for _, payload in events] for events in heard] == expected
    ears.close()


def test_fields_that_expire(module_server, protocol):
    ears = Ears(module_server.port, protocol, "KA")
    def heard(sets, asks):
        """What follows from fields that expire, at whatever moment that happens."""
        events = ears.run([as_args(sets)])
        time.sleep(0.1)
        until(lambda: ears.client.command("HLEN", "h") == asks)
        events += ears.run([as_args("EXISTS h")])
        return [payload for part in events for channel, payload in part if channel == b"__keyspace@0__:h"]

    ears.run([as_args("HSET h a 1 b 2 c 3")])
    assert heard("HPEXPIRE h 20 FIELDS 2 a b", 1) == [b"hexpire", b"hexpired"]
    assert heard("HPEXPIRE h 20 FIELDS 1 c", 0) == [b"hexpire", b"hexpired", b"del"]
    ears.close()
