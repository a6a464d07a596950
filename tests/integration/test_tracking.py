"""CLIENT TRACKING beside redis-server: who is told what, in which form and order; and a cache that is never stale."""
import random
import time

import pytest

from harness.differential import Pair
from harness.resp import Client, ErrorReply
from harness.waiting import until

PROTOCOLS = (3,)


@pytest.fixture
def more(module_server, module_oracle):
    """More connections to both servers, by protocol."""
    opened = []

    def connect(protocol=3):
        opened.append(Pair(module_server.port, module_oracle.port, protocol))
        return opened[-1]

    yield connect
    for pair in opened:
        pair.close()


def heard(pair, fence=["0"]):
    """What both were pushed up to now: the same."""
    fence[0] = str(int(fence[0]) + 1)
    news = []
    for client in pair.both:
        client.send("ECHO", "fence-" + fence[0])
        got = []
        while (reply := client.read()).value != b"fence-" + fence[0].encode():
            got.append(reply.value)
        news.append(got)
    assert news[0] == news[1]
    return news[0]


@pytest.fixture
def watcher(pair, more):
    for client in pair.both:
        client.command("CLIENT", "TRACKING", "OFF")
    writer = more()
    yield pair, writer
    heard(pair)
    for client in pair.both:
        client.command("CLIENT", "TRACKING", "OFF")


@pytest.mark.parametrize("commands", [
    "ON BCAST PREFIX a PREFIX b | ON BCAST PREFIX ab | ON | ON OPTIN | ON BCAST PREFIX c PREFIX ca | ON BCAST PREFIX d",
    "ON PREFIX x | ON OPTIN OPTOUT | ON OPTIN BCAST | ON OPTIN | ON OPTOUT | ON NOLOOP | OFF | ON OPTOUT | ON OPTIN",
    "ON REDIRECT 999999 | ON REDIRECT x | ON REDIRECT | ON foo | foo | ON PREFIX | OFF foo | ON BCAST",
    "ON BCAST NOLOOP | ON BCAST | ON BCAST NOLOOP PREFIX x",
    "OFF | ON | ON | ON NOLOOP | OFF OPTIN | ON BCAST PREFIX \"\" PREFIX a | ON BCAST PREFIX a PREFIX a",
])
def test_forms(watcher, commands):
    pair, _ = watcher
    for step in commands.split(" | "):
        pair.same("CLIENT TRACKING " + step, "CLIENT TRACKINGINFO", "CLIENT GETREDIR")


def test_there_is_one_to_redirect_to(watcher):
    pair, _ = watcher
    replies = []
    for client in pair.both:
        own = client.command("CLIENT", "ID")
        replies.append(client.command("CLIENT", "TRACKING", "ON", "REDIRECT", own, "REDIRECT", own))
    assert isinstance(replies[0], ErrorReply) and replies[0] == replies[1]
    pair.same("CLIENT TRACKINGINFO")


@pytest.mark.parametrize("step", ["CLIENT CACHING YES", "CLIENT CACHING NO", "CLIENT CACHING maybe", "CLIENT CACHING",
                                  "CLIENT TRACKING", "CLIENT TRACKINGINFO x", "CLIENT GETREDIR x"])
def test_forms_of_the_others(watcher, step):
    pair, _ = watcher
    pair.same(step)
    for mode in ("ON", "ON OPTIN", "ON OPTOUT", "ON BCAST"):
        pair.same("CLIENT TRACKING OFF", "CLIENT TRACKING " + mode, step, "CLIENT TRACKINGINFO", "PING",
                  "CLIENT TRACKINGINFO", "CLIENT TRACKING OFF")


@pytest.mark.parametrize("change", [
    "SET k 2", "DEL k", "APPEND k x", "EXPIRE k 100", "RENAME k other", "RENAME other k", "FLUSHALL", "FLUSHDB",
    "SETEX k 10 v", "GETDEL k", "GETSET k v", "MSET k 1 j 2", "COPY other k REPLACE", "MOVE k 3", "INCR k",
    "UNLINK k j",
])
def test_a_change_is_told_once(watcher, change):
    pair, writer = watcher
    pair.same("SET k 1", "SET other 5", "CLIENT TRACKING ON", "GET k", "MGET k j")
    writer.same(change)
    heard(pair)
    writer.same("SET k 3", "SET j 3")
    heard(pair)
    pair.same("GET k")
    writer.same("SET k 4")
    assert heard(pair) == [[b"invalidate", [b"k"]]]
    writer.same("SELECT 3", "FLUSHDB", "SELECT 0")


@pytest.mark.parametrize("read", ["GET k", "HGETALL k", "EXISTS k", "TTL k", "TYPE k", "STRLEN k", "SORT_RO k",
                                  "OBJECT ENCODING k", "DUMP k", "SINTERCARD 1 k", "TOUCH k"])
def test_what_counts_as_reading(watcher, read):
    pair, writer = watcher
    pair.same("CLIENT TRACKING ON")
    for client in pair.both:
        client.command(*read.split())
    writer.same("SET k v")
    heard(pair)


def test_own_changes_come_behind_the_reply(watcher):
    pair, _ = watcher
    pair.same("CLIENT TRACKING ON", "GET k", "SET k 1")
    assert heard(pair) == [[b"invalidate", [b"k"]]]
    pair.same("GET k", "MULTI", "SET k 5", "GET k", "EXEC")
    assert heard(pair) == [[b"invalidate", [b"k"]]]
    pair.same("SET other 1", "FLUSHDB")
    assert heard(pair) == [[b"invalidate", None]]
    pair.same("SADD s " + " ".join(map(str, range(2000))), "FLUSHALL")
    assert heard(pair) == [[b"invalidate", None]]
    pair.same("CLIENT TRACKING ON NOLOOP", "GET k", "SET k 2")
    assert heard(pair) == []


def test_opting_in_and_out(watcher):
    pair, writer = watcher
    for mode, answer in (("OPTIN", "YES"), ("OPTOUT", "NO")):
        pair.same("CLIENT TRACKING ON " + mode, "GET a", "CLIENT CACHING " + answer, "GET b", "GET c",
                  "CLIENT CACHING " + answer, "MULTI", "GET d", "GET e", "EXEC", "GET f")
        for key in "abcdef":
            writer.same(f"SET {key} 1")
            heard(pair)
        pair.same("CLIENT TRACKING OFF")


def test_how_long_caching_holds(watcher):
    """For the next command that is not CLIENT, refused or not, or for the next transaction; within one till its end."""
    pair, writer = watcher
    pair.same("CLIENT TRACKING ON OPTIN")
    for steps in (["CLIENT CACHING YES", "CLIENT GETNAME", "GET a", "GET b"],
                  ["CLIENT CACHING YES", "GET a b c", "GET a"],
                  ["CLIENT CACHING YES", "NOSUCH", "GET a"],
                  ["CLIENT CACHING YES", "MULTI", "GET a b c", "GET a", "EXEC", "GET b"],
                  ["CLIENT CACHING YES", "MULTI", "DISCARD", "GET a"],
                  ["MULTI", "GET a", "CLIENT CACHING YES", "GET b", "EXEC", "GET c"],
                  ["MULTI", "CLIENT CACHING YES", "EXEC", "GET a", "CLIENT CACHING YES", "GET b"]):
        for step in ["CLIENT CACHING YES", *steps]:
            pair.same(step)
        for key in "abc":
            writer.same(f"SET {key} 1")
            heard(pair)


def test_broadcasting(watcher):
    pair, writer = watcher
    pair.same("CLIENT TRACKING ON BCAST PREFIX user: PREFIX item:")
    writer.same("MSET user:2 a user:1 b other c item:1 d")
    assert sorted(map(str, heard(pair))) == sorted(map(str, [
        [b"invalidate", [b"user:1", b"user:2"]], [b"invalidate", [b"item:1"]]]))
    writer.same("DEL user:1")
    assert heard(pair) == [[b"invalidate", [b"user:1"]]]
    pair.same("SET user:9 x")
    assert heard(pair) == [[b"invalidate", [b"user:9"]]]
    writer.same("FLUSHALL")
    assert heard(pair) == [[b"invalidate", None]]
    pair.same("CLIENT TRACKING OFF", "CLIENT TRACKING ON BCAST NOLOOP", "MSET a 1 b 2")
    assert heard(pair) == []
    writer.same("SET b 3")
    assert heard(pair) == [[b"invalidate", [b"b"]]]


def test_overlapping_prefixes_are_refused_however_many_there_are(client, seed):
    rng = random.Random(seed)
    prefixes = [f"prefix:{number:05}:" for number in rng.sample(range(100_000), 300)]
    words = [word for prefix in prefixes for word in ("PREFIX", prefix)]
    assert client.command("CLIENT", "TRACKING", "ON", "BCAST", *words) == b"OK"
    for old, more, which in ((prefixes[7], [prefixes[7][:-1]], "existing"), ("new", ["new", "newer"], "provided"),
                             (prefixes[9], [prefixes[9] + "x"], "existing"), (prefixes[0], [prefixes[0]], "existing")):
        others = [word for number in range(200) for word in ("PREFIX", f"other:{number}:")]
        reply = client.command("CLIENT", "TRACKING", "ON", "BCAST", *others,
                               *(word for prefix in more for word in ("PREFIX", prefix)))
        assert isinstance(reply, ErrorReply) and f"{which} prefix '" in reply.text and f"'{old}'" in reply.text, reply
    assert sorted(client.command("CLIENT", "TRACKINGINFO")[b"prefixes"]) == sorted(map(str.encode, prefixes))


def test_expiry_is_told(watcher):
    pair, writer = watcher
    pair.same("CLIENT TRACKING ON")
    for life_ms in (40, 200, 1000, 5000):  # until both have read it while it lives
        writer.same(("SET", "k", 1, "PX", life_ms))
        heard(pair)
        if [client.command("GET", "k") for client in pair.both] == [b"1", b"1"]:
            break
    time.sleep(life_ms / 1000 + 0.2)
    writer.same("GET k")  # whoever meets it
    assert heard(pair) == [[b"invalidate", [b"k"]]]


def test_eviction_is_told(watcher, more):
    pair, writer = watcher
    events = more(2)
    for client in events.both:
        client.command("CONFIG", "SET", "notify-keyspace-events", "Ee", "maxmemory-policy", "allkeys-lru")
        client.command("SUBSCRIBE", "__keyevent@0__:evicted")
    writer.same("SET k 1")
    pair.same("CLIENT TRACKING ON", "GET k")
    for client in writer.both:
        client.command("CONFIG", "SET", "maxmemory", 1)
        until(lambda: client.command("DBSIZE") == 0)
        client.command("CONFIG", "SET", "maxmemory", 0, "maxmemory-policy", "noeviction", "notify-keyspace-events", "")
    assert heard(pair) == [[b"invalidate", [b"k"]]]
    for client in events.both:
        assert client.read().value == [b"message", b"__keyevent@0__:evicted", b"k"]


def test_messages_to_another_client(watcher, more):
    pair, writer = watcher
    listener, second = more(2), more(3)
    ids = [client.command("CLIENT", "ID") for client in listener.both]
    listener.same("SUBSCRIBE __redis__:invalidate")
    reader = more(2)
    for client, number in zip(reader.both, ids):
        assert client.command("CLIENT", "TRACKING", "ON", "REDIRECT", number) == b"OK"
        assert client.command("CLIENT", "GETREDIR") == number
        assert b"redir=%d" % number in client.command("CLIENT", "INFO") or client is reader.oracle
    reader.same("GET k")
    writer.same("SET k 1", "FLUSHALL")
    for reply in zip(*([client.read() for _ in range(2)] for client in listener.both)):
        assert reply[0].raw == reply[1].raw
    assert reply[0].value == [b"message", b"__redis__:invalidate", None]
    for client, number in zip(second.both, ids):
        client.command("CLIENT", "TRACKING", "ON", "REDIRECT", number)
    second.same("GET k")
    listener.close()
    for client, number in zip(writer.both, ids):
        until(lambda: b"id=%d " % number not in client.command("CLIENT", "LIST"))
    writer.same("SET k 2")
    for client in second.both:
        client.send("CLIENT", "TRACKINGINFO")
        assert client.read().value[0] == b"tracking-redir-broken"
        assert b"broken_redirect" in client.read().value[b"flags"]


@pytest.mark.server_options("--tracking-table-max-keys", "10")
def test_the_table_is_bounded(client):
    client.command("CLIENT", "TRACKING", "ON")
    for number in range(50):
        client.send("GET", f"k{number}")
    pushed = 0
    replies = 0
    while replies < 50:
        value = client.read().value
        pushed += isinstance(value, list)
        replies += not isinstance(value, list)
    assert pushed >= 39
    client.send("CLIENT", "TRACKING", "OFF")
    while isinstance(client.read().value, list):
        pass
    assert int(client.info("stats")["tracking_total_keys"]) <= 10


def test_a_flush_forgets_all_keys_at_once(server, scale):
    count = scale(20_000)
    with Client(server.port, 3) as client, Client(server.port) as other:
        client.command("CLIENT", "TRACKING", "ON")
        for first in range(0, count, 1000):
            client.command("MGET", *(f"k{i}" for i in range(first, first + 1000)))
        other.command("FLUSHALL")
        assert client.read().value == [b"invalidate", None]
        stats = other.info("stats")
        assert stats["tracking_total_keys"] == stats["tracking_total_items"] == "0"
        client.command("MGET", "k1", "k2", "new")
        assert other.info("stats")["tracking_total_items"] == "3"
        other.command("MSET", "k1", 1, "k3", 1, "new", 1)
        assert client.read().value == [b"invalidate", [b"k1"]]
        assert client.read().value == [b"invalidate", [b"new"]]
        assert client.command("PING") == b"PONG"  # and of k3, that was read before the flush, nothing is said
        assert other.info("stats")["tracking_total_keys"] == "1"


def test_statistics_and_the_list_of_clients(server, client):
    client.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b")
    with Client(server.port, 3) as other:
        other.command("CLIENT", "TRACKING", "ON")
        other.command("MGET", "x", "y", "z")
        stats = other.info("stats")
        assert [stats[f"tracking_total_{what}"] for what in ("keys", "items", "prefixes")] == ["3", "3", "2"]
        assert other.info("clients")["tracking_clients"] == "2"
        assert b"flags=t " in other.command("CLIENT", "INFO")
    assert b"flags=tB " in client.command("CLIENT", "INFO")
    client.command("RESET")
    assert client.command("CLIENT", "GETREDIR") == -1


def test_a_local_cache_is_never_stale_after_its_invalidation(server, seed):
    """A reader with a cache of its own; whatever it holds and was not told of is what the server has."""
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")
    rng = random.Random(seed)
    cache = {}
    with Client(server.port, 3) as reader, Client(server.port) as writer:
        assert reader.command("CLIENT", "TRACKING", "ON") == b"OK"

        def read_until_reply():
            while True:
                reply = reader.read()
                if reply.raw[:1] != b">":
                    return reply.value
                keys = reply.value[1]
                for key in list(cache) if keys is None else keys:
                    cache.pop(key, None)

        for step in range(4000):
            key = b"key:%d" % rng.randrange(40)
            action = rng.random()
            if action < 0.5 and key not in cache:
                reader.send("GET", key)
                cache[key] = read_until_reply()
            elif action < 0.8:
                writer.command("SET", key, step, *(["PX", rng.randrange(1, 20)] if rng.random() < 0.3 else []))
            elif action < 0.9:
                writer.command("DEL", key)
            elif action < 0.905:
                writer.command(rng.choice(["FLUSHALL", "FLUSHDB"]))
            else:
                time.sleep(0.001)
            if step % 50 == 0:
                until(lambda: ",expires=0," in writer.info("keyspace").get("db0", ",expires=0,"))  # and was told of
                reader.send("PING")
                read_until_reply()
                for cached, value in cache.items():
                    assert writer.command("GET", cached) == value, f"seed {seed}, step {step}"
