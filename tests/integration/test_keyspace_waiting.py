"""KEYS, SCAN with a huge COUNT and FLUSHALL SYNC over a large database: whoever asks for that waits, and nobody else.

The tests look at the order of events: another client is answered many times before the long command is. How long
each of those answers took is measured by the tools in scripts/bench.
"""
import select
import threading

import pytest

from harness.resp import Client

PROTOCOLS = (2,)
SIZE = 400_000


def fill(client, count, prefix=b"key"):
    names = [b"%s:%d" % (prefix, i) for i in range(count)]
    client.load((("MSET", *(x for name in names[at:at + 500] for x in (name, b"v" * 50))) for at in range(0, count,
                500)), batch=20)
    return names


@pytest.fixture
def size(scale):
    return scale(SIZE)


@pytest.fixture
def large(server, size):
    with Client(server.port) as client:
        fill(client, size)
    return server


def has_answered(client):
    return bool(select.select([client.sock], [], [], 0)[0])


def answered_meanwhile(waiting, other, *command):
    """How often `other` was answered before anything came back to `waiting`."""
    count = 0
    while not has_answered(waiting):
        other.command(*command)
        count += 1
        assert count < 10**6
    return count


LONG = [("KEYS", "*"), ("KEYS", "nothing*"), ("SCAN", 0, "COUNT", 10**9), ("SCAN", 0, "MATCH", "nothing*", "COUNT",
        10**9), ("FLUSHALL",), ("FLUSHALL", "SYNC"), ("FLUSHDB", "SYNC")]


@pytest.mark.parametrize("command", LONG, ids=lambda c: "-".join(map(str, c)))
def test_others_are_answered_meanwhile(large, command, size):
    with Client(large.port) as waiting, Client(large.port) as other:
        other.command("PING")
        waiting.send(*command)
        answers = answered_meanwhile(waiting, other, "PING")
        assert answers >= 20 or size < SIZE  # a database that was scaled down may be done before anybody asks
        waiting.read()


def test_a_client_gets_its_answers_in_order(large, size):
    with Client(large.port) as client:
        client.send("KEYS", "*")
        client.send("PING")
        client.send("FLUSHALL")
        client.send("DBSIZE")
        client.send("KEYS", "*")
        assert len(client.read().value) == size
        assert [client.read().value for _ in range(4)] == [b"PONG", b"OK", 0, []]


def test_memory_has_fallen_when_flushall_answers(server, size):
    with Client(server.port) as client:
        fill(client, 1)  # with the first key comes what watches keys
        assert client.command("FLUSHALL") == b"OK"
        before = int(client.info("memory")["used_memory"])
        fill(client, size)
        full = int(client.info("memory")["used_memory"])
        assert client.command("FLUSHALL") == b"OK"
        after = int(client.info("memory")["used_memory"])
        assert full - before > size * 80
        assert after - before < (full - before) * 0.02


def test_a_flushed_database_is_empty_at_once(large):
    with Client(large.port) as waiting, Client(large.port) as other:
        waiting.send("FLUSHALL", "SYNC")
        while other.command("DBSIZE"):
            pass
        assert not has_answered(waiting), "too fast for this test to show anything"
        assert other.command("SET", "key:1", "new") == b"OK"
        assert waiting.read().value == b"OK"
        assert other.command("KEYS", "*") == [b"key:1"]


def test_async_does_not_wait(large):
    with Client(large.port) as client:
        full = int(client.info("memory")["used_memory"])
        assert client.command("FLUSHALL", "ASYNC") == b"OK"
        assert int(client.info("memory")["used_memory"]) > full * 0.5, "it seems to have waited"
        assert client.command("DBSIZE") == 0


@pytest.mark.server_options("--lazyfree-lazy-user-flush", "yes")
def test_async_can_be_the_default(large):
    with Client(large.port) as client:
        full = int(client.info("memory")["used_memory"])
        assert client.command("FLUSHALL") == b"OK"
        assert int(client.info("memory")["used_memory"]) > full * 0.5


def test_keys_that_stay_are_listed_once_whatever_else_happens(large, size):
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
            for _ in range(5):
                keys = client.command("KEYS", "key:*")
                assert len(keys) == len(set(keys)) == size
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("disturbance", [("FLUSHALL", "ASYNC"), ("SWAPDB", 0, 1)], ids=lambda c: "-".join(map(str, c)))
def test_the_database_may_go_away_meanwhile(large, size, disturbance):
    with Client(large.port) as waiting, Client(large.port) as other:
        other.command("PING")
        waiting.send("KEYS", "*")
        other.command("PING")
        assert other.command(*disturbance) == b"OK"
        keys = waiting.read().value
        assert len(keys) < size, "it was over before the database went away"
        assert waiting.command("KEYS", "*") == []


def test_a_client_that_leaves_ends_its_task(large):
    with Client(large.port) as other:
        for command in LONG[:4]:
            with Client(large.port) as leaving:
                leaving.send(*command)
                other.command("PING")
        with Client(large.port) as leaving:
            leaving.send("FLUSHALL", "SYNC")
        while other.command("DBSIZE"):
            pass
        fill(other, 1000)
        assert len(other.command("KEYS", "*")) == 1000


def test_many_wait_at_a_time(large, size):
    clients = [Client(large.port) for _ in range(8)]
    for client in clients:
        client.send("SCAN", 0, "COUNT", 10**9, "MATCH", "*7")
    pages = [client.read().value for client in clients]
    expected = sum(1 for i in range(size) if i % 10 == 7)
    for client, (cursor, keys) in zip(clients, pages):
        assert cursor == b"0" and len(keys) == expected
        client.close()
