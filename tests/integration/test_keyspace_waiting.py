"""KEYS, SCAN with a huge COUNT and FLUSHALL SYNC over a large database: whoever asks for that waits, and nobody else.

The tests look at the order of events: a long command is done in many steps, and another client is answered before each
of them. How long each of those answers took is measured by the tools in scripts/bench.
"""
import threading

import pytest

from harness.resp import Client
from harness.waiting import begin, has_answered, held, hold, steps_of

PROTOCOLS = (2,)
SERVER_OPTIONS = ("--enable-debug-command", "yes")
SIZE = 50_000


def fill(client, count, prefix=b"key"):
    names = [b"%s:%d" % (prefix, i) for i in range(count)]
    client.load((("MSET", *(x for name in names[at:at + 500] for x in (name, b"v" * 50))) for at in range(0, count,
                500)), batch=20)
    return names


@pytest.fixture
def large(server):
    with Client(server.port) as client:
        client.command("DEBUG", "POPULATE", SIZE, "key", 50)
    return server


LONG = [("KEYS", "*"), ("KEYS", "nothing*"), ("SCAN", 0, "COUNT", 10**9), ("SCAN", 0, "MATCH", "nothing*", "COUNT",
        10**9)]


@pytest.mark.parametrize("command", LONG, ids=lambda c: "-".join(map(str, c)))
def test_others_are_answered_meanwhile(large, command):
    with Client(large.port) as waiting, Client(large.port) as other:
        assert steps_of(waiting, other, *command) >= SIZE / 2000
        waiting.read()


@pytest.mark.parametrize("command", [("FLUSHALL",), ("FLUSHALL", "SYNC"), ("FLUSHDB", "SYNC")], ids="-".join)
def test_others_are_answered_while_memory_is_given_back(large, command):
    with Client(large.port) as waiting, Client(large.port) as other:
        answers = 0
        for _ in range(100):  # this process may have slept all through one of them
            waiting.send(*command)
            while not has_answered(waiting):
                other.command("PING")
                answers += 1
            waiting.read()
            if answers >= 20:
                return
            answers = 0
            other.command("DEBUG", "POPULATE", SIZE, "key", 50)
        raise AssertionError("nobody was answered meanwhile")


def test_a_client_gets_its_answers_in_order(large):
    with Client(large.port) as client:
        client.send("KEYS", "*")
        client.send("PING")
        client.send("FLUSHALL")
        client.send("DBSIZE")
        client.send("KEYS", "*")
        assert len(client.read().value) == SIZE
        assert [client.read().value for _ in range(4)] == [b"PONG", b"OK", 0, []]


def test_memory_has_fallen_when_flushall_answers(server):
    with Client(server.port) as client:
        fill(client, 1)  # with the first key comes what watches keys
        assert client.command("FLUSHALL") == b"OK"
        before = int(client.info("memory")["used_memory"])
        fill(client, SIZE)
        full = int(client.info("memory")["used_memory"])
        assert client.command("FLUSHALL") == b"OK"
        after = int(client.info("memory")["used_memory"])
        assert full - before > SIZE * 80
        assert after - before < (full - before) * 0.02


def test_a_flushed_database_is_empty_at_once(large):
    with Client(large.port) as waiting, Client(large.port) as other:
        with hold(other):
            begin(waiting, "FLUSHALL", "SYNC")
            assert other.command("DBSIZE") == 0
            assert other.command("SET", "key:1", "new") == b"OK"
            assert not has_answered(waiting)
        assert waiting.read().value == b"OK"
        assert other.command("KEYS", "*") == [b"key:1"]


def memory_around(client, *flush):
    """How much is in use before a flush and right behind it, in one packet: nothing can be given back in between."""
    ask = ("INFO", "memory")
    texts = [reply.decode() for reply in client.pipeline([ask, flush, ask])]
    return [int(texts[i].split("used_memory:")[1].split()[0]) for i in (0, 2)]


def test_async_does_not_wait(large):
    with Client(large.port) as client:
        full, left = memory_around(client, "FLUSHALL", "ASYNC")
        assert left > full * 0.5, "it seems to have waited"
        assert client.command("DBSIZE") == 0


@pytest.mark.server_options(*SERVER_OPTIONS, "--lazyfree-lazy-user-flush", "yes")
def test_async_can_be_the_default(large):
    with Client(large.port) as client:
        full, left = memory_around(client, "FLUSHALL")
        assert left > full * 0.5


def test_keys_that_stay_are_listed_once_whatever_else_happens(large):
    """The table grows and shrinks under the walk."""
    stop = threading.Event()

    def churn():
        with Client(large.port) as client:
            while not stop.is_set():
                names = fill(client, 20_000, b"passing")
                for at in range(0, len(names), 1000):
                    client.command("DEL", *names[at:at + 1000])

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        with Client(large.port) as client:
            for _ in range(8):
                keys = client.command("KEYS", "key:*")
                assert len(keys) == len(set(keys)) == SIZE
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("disturbance", [("FLUSHALL", "ASYNC"), ("SWAPDB", 0, 1)], ids=lambda c: "-".join(map(str, c)))
def test_the_database_may_go_away_meanwhile(large, disturbance):
    with Client(large.port) as waiting, Client(large.port) as other:
        with hold(other, 2):
            begin(waiting, "KEYS", "*")
            held(other)
            assert other.command(*disturbance) == b"OK"
        assert 0 < len(waiting.read().value) < SIZE
        assert waiting.command("KEYS", "*") == []


def test_a_client_that_leaves_ends_its_task(large):
    with Client(large.port) as other:
        for command in LONG:
            with Client(large.port) as leaving, hold(other, 3):
                begin(leaving, *command)
        with Client(large.port) as leaving, hold(other, 3):
            begin(leaving, "FLUSHALL", "SYNC")
        assert other.command("DBSIZE") == 0
        fill(other, 1000)
        assert len(other.command("KEYS", "*")) == 1000


def test_many_wait_at_a_time(large):
    clients = [Client(large.port) for _ in range(8)]
    for client in clients:
        client.send("SCAN", 0, "COUNT", 10**9, "MATCH", "*7")
    pages = [client.read().value for client in clients]
    expected = sum(1 for i in range(SIZE) if i % 10 == 7)
    for client, (cursor, keys) in zip(clients, pages):
        assert cursor == b"0" and len(keys) == expected
        client.close()
