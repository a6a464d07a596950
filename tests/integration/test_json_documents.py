"""Documents as applications keep them, through redis-py: long lists of whole requests that are searched while others
work, sessions that expire, and readers of a version that writers leave behind."""
import json
import random
import threading
import time

import pytest
import redis

from harness.resp import Client, ErrorReply, encode
from harness.waiting import begin, has_answered, held, hold


@pytest.fixture
def r(server):
    with redis.Redis(port=server.port) as client:
        yield client


def request(rng, number, size):
    files = [{"name": f"file{rng.randrange(1000)}.pdf", "chapter": rng.randrange(40), "score": rng.random()}
             for _ in range(rng.randrange(4))]
    return {"request_id": f"r{number}", "chat_id": f"chat-{number % 50}", "created_at": 1758892000.15 + number,
            "query": "".join(rng.choices("abcdefgh ", k=40)) * (size // 40), "vector_search_files": files,
            "answer": {"text": "ok", "tokens": rng.randrange(500)}}


class Other:
    """A second client that is answered meanwhile."""

    def __init__(self, port):
        self.client, self.over, self.count = Client(port), threading.Event(), 0
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.is_set():
            assert self.client.command("PING") == b"PONG"
            self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_requests_in_one_list(server, r, scale, seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    count = scale(500)
    requests = [request(rng, number, 50_000) for number in range(count)]
    assert r.json().set("requests", "$", [])
    with Other(server.port) as other:
        for number, item in enumerate(requests):
            assert r.json().arrappend("requests", "$", item) == [number + 1]
        chat = [item for item in requests if item["chat_id"] == "chat-7"]
        assert r.json().get("requests", "$..[?(@.chat_id == 'chat-7')]") == chat
        assert r.json().get("requests", "$..[?(@.chat_id == 'chat-7')].vector_search_files") == [
            item["vector_search_files"] for item in chat]
        moment = requests[count // 2]["created_at"]
        assert r.json().get("requests", f"$..[?(@.created_at < {moment})].request_id") == [
            item["request_id"] for item in requests[:count // 2]]
        assert r.json().get("requests") == requests
        assert r.json().delete("requests", f"$.[?(@.created_at < {moment})]") == count // 2
        assert r.json().arrlen("requests", "$") == [count - count // 2]
        assert r.json().get("requests", "$[0].request_id") == [f"r{count // 2}"]
    assert other.count > 10


def test_chat_sessions(r):
    token = "session:3f2a"
    assert r.json().set(token, ".", {"user": "ann", "chats": [], "open": True})
    assert r.expire(token, 3600) and r.exists(token)
    assert r.json().arrappend(token, ".chats", {"id": 1}, {"id": 2}) == 2
    assert r.json().get(token, ".user") == "ann"
    assert r.json().toggle(token, ".open") is False
    assert 3590 < r.ttl(token) <= 3600
    assert r.json().get(token) == {"user": "ann", "chats": [{"id": 1}, {"id": 2}], "open": False}
    assert r.json().delete(token) == 1 and not r.exists(token)
    with pytest.raises(redis.ResponseError, match="new objects must be created at the root"):
        r.json().set("none", ".user", "ann")
    with pytest.raises(redis.ResponseError, match="new objects must be created at the root"):
        r.json().set("none", "$.user", "ann")
    assert not r.exists("none")


def long_list(count):
    return [{"id": number, "text": f"value {number}", "nested": {"n": number / 2, "list": [number, None, True]}}
            for number in range(count)]


LONG_READS = [("JSON.GET", "d"), ("JSON.GET", "d", "$..[?(@.n >= 0)].n"), ("JSON.MGET", "d", "d", "$..id"),
              ("JSON.RESP", "d", "$"), ("JSON.TYPE", "d", "$..*"), ("JSON.GET", "d", "$..id", "$..n"),
              ("JSON.DEBUG", "MEMORY", "d", "$..list")]


@pytest.mark.server_options("--enable-debug-command", "yes")
@pytest.mark.parametrize("words", LONG_READS, ids=[" ".join(words) for words in LONG_READS])
def test_a_long_read_sees_the_version_it_began_with(server, words):
    """After each of its steps something changes, everywhere in the document."""
    count = 20_000
    reader, writer = Client(server.port), Client(server.port)
    reader.load([("JSON.SET", "d", "$", json.dumps(long_list(count)))])
    before = reader.command(*words)
    with hold(writer, 1):
        begin(reader, *words)
        held(writer)
        assert not has_answered(reader)
        for number in range(200):
            at = number * 7919 % count
            writer.load([("JSON.SET", "d", f"$[{at}].id", "-1"), ("JSON.SET", "d", f"$[{at}].nested.n", "-1"),
                         ("JSON.DEL", "d", "$[-1].text"), ("JSON.ARRAPPEND", "d", "$", '{"id":-2,"nested":{"n":-5}}'),
                         ("JSON.ARRAPPEND", "d", f"$[{at}].nested.list", '"new"'), ("DEBUG", "TASK-STEPS", 1)])
    assert reader.read().value == before
    assert reader.command("JSON.GET", "d", "$[0].id") == b"[-1]"


def test_thousands_of_writes_during_one_read(server, scale):
    """Readers one after the other over the same pinned kind of document; the writer never waits for them."""
    count = scale(100_000)
    reader, writer = Client(server.port), Client(server.port)
    reader.load([("JSON.SET", "d", "$", json.dumps(long_list(count)))])
    over = threading.Event()
    sums = []

    def read():
        # Whoever writes sets two members in one command; no reader may see one without the other.
        while not over.is_set():
            pairs = json.loads(reader.command("JSON.GET", "d", "$[0,1].id"))
            everything = json.loads(reader.command("JSON.GET", "d", "$..id"))
            sums.append((pairs[0] == pairs[1] or pairs == [0, 1], everything[0] - everything[-1]))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(scale(5000)):
            writer.load([("JSON.SET", "d", "$[0,-1,1].id", str(number + 7))])
    finally:
        over.set()
        thread.join()
    assert sums and all(pair and (difference in (0, 1 - count)) for pair, difference in sums)


def test_writes_that_take_long_are_seen_whole(server, scale):
    count = scale(60_000)
    changer, reader = Client(server.port), Client(server.port)
    changer.load([("JSON.SET", "d", "$", json.dumps([{"n": 0}] * count))])
    for round in range(3):
        changer.send("JSON.NUMINCRBY", "d", "$[*].n", "1")
        seen = set()
        for _ in range(50):
            seen.add(reader.command("JSON.GET", "d", "$[0,-1].n"))
        changer.read()
        assert seen <= {b"[%d,%d]" % (n, n) for n in (round, round + 1)}
    assert reader.command("JSON.DEL", "d", "$[*].n") == count
    assert reader.command("JSON.GET", "d", "$[0]") == b"[{}]"
    assert reader.command("JSON.DEL", "d", "$[1:]") == count - 1
    assert reader.command("JSON.GET", "d") == b"[{}]"


def test_what_has_to_wait_keeps_its_order(server, scale):
    """Commands of one connection, and writers of one key, follow each other although some run in slices."""
    big = json.dumps(long_list(scale(20_000)))
    one, two = Client(server.port), Client(server.port)
    one.send_raw(encode(("JSON.SET", "d", "$", big)) + encode(("JSON.SET", "d", "$[0].id", "77")) +
                 encode(("JSON.GET", "d", "$[0].id")) + encode(("JSON.SET", "d", "$[*].id", "78")) +
                 encode(("JSON.GET", "d", "$[0,1].id")))
    assert [one.read().value for _ in range(5)] == [b"OK", b"OK", b"[77]", b"OK", b"[78,78]"]
    one.send("JSON.SET", "d", "$", big)
    assert two.command("JSON.SET", "other", "$", "1") == b"OK"
    assert one.read().value == b"OK"
    assert one.command("JSON.GET", "d", "$[1].id") == b"[1]"


def test_what_was_replaced_has_gone_before_the_next_request(server, scale):
    """The answer does not wait for the old document to be taken down, the client's next request does."""
    count = max(scale(40_000), 10_000)  # large beside the buffers of a connection
    big = json.dumps([{"n": i} for i in range(count)])
    client = Client(server.port)

    def used():
        return int(dict(line.split(b":", 1) for line in client.command("INFO", "memory").split(b"\r\n")
                        if b":" in line)[b"used_memory"])
    empty = used()
    client.load([("JSON.SET", "d", "$", big)])
    once = used() - empty
    for command in ("JSON.SET", "JSON.MERGE") * 2:
        assert client.command(command, "d", "$", big) == b"OK"
        assert used() - empty < once * 1.5 + 200_000, command
    assert client.command("JSON.DEL", "d", "$[*].n") == count
    client.send_raw(encode(("JSON.SET", "d", "$", big)) * 3 + encode(("JSON.GET", "d", "$[0]")))
    assert [client.read().value for _ in range(4)] == [b"OK", b"OK", b"OK", b'[{"n":0}]']


def test_clients_that_leave_early(server, scale):
    big = json.dumps(long_list(scale(30_000)))
    steady = Client(server.port)
    steady.load([("JSON.SET", "d", "$", big)])
    for words in (("JSON.GET", "d"), ("JSON.SET", "e", "$", big), ("JSON.SET", "e", "$", big[:-2]),
                  ("JSON.GET", "d", "$..[?(@.id > 5)]"), ("JSON.DEL", "d", "$..none"),
                  ("JSON.NUMINCRBY", "d", "$..id", 1)):
        for _ in range(10):
            leaver = Client(server.port)
            leaver.send(*words)
            leaver.close()
    assert steady.command("PING") == b"PONG"
    assert len(json.loads(steady.command("JSON.GET", "d"))) == scale(30_000)
    assert not isinstance(steady.command("FLUSHALL"), ErrorReply)


def test_large_values_within_transactions(server, scale):
    big = json.dumps(long_list(scale(5000)))
    client = Client(server.port)
    client.load([("MULTI",), ("JSON.SET", "d", "$", big), ("JSON.GET", "d"), ("JSON.NUMINCRBY", "d", "$..id", "1"),
                 ("JSON.DEL", "d", "$..text"), ("JSON.GET", "d", "$..n")])
    replies = client.command("EXEC")
    assert json.loads(replies[1]) == json.loads(big)
    assert len(json.loads(replies[4])) == scale(5000) and replies[3] == scale(5000)


def until_loaded(port):
    client = Client(port)
    while isinstance(client.command("EXISTS", "d"), ErrorReply):
        time.sleep(0.05)
    return client


def test_what_ran_in_slices_is_in_the_log(start_server, tmp_path, scale):
    """Changes that took long, or named relative times, give the same contents when the log is executed again."""
    directory = tmp_path / "data"
    server = start_server("--appendonly", "yes", directory=directory)
    client = Client(server.port)
    big = json.dumps(long_list(scale(20_000)))
    client.load([("JSON.SET", "big", "$", big, "EX", 1000), ("JSON.NUMINCRBY", "big", "$[*].id", "0.1"),
                 ("JSON.DEL", "big", "$[10:1000]"), ("JSON.SET", "big", "$[0].x", big, "PX", 500_000),
                 ("JSON.MSET", "d", "$", big, "e", "$", "{}"), ("JSON.MERGE", "e", "$", '{"a":%s}' % big),
                 ("JSON.SET", "e", "$", big), ("JSON.ARRAPPEND", "e", "$", big, "1"), ("JSON.DEL", "e", "$..nested"),
                 ("MULTI",), ("JSON.CLEAR", "d", "$[*].nested"), ("JSON.TOGGLE", "d", "$..none"), ("EXEC",)])
    keys = ("big", "d", "e")
    before = [(client.command("JSON.GET", key), client.command("PEXPIRETIME", key)) for key in keys]
    server.stop_cleanly()
    client = until_loaded(start_server("--appendonly", "yes", directory=directory).port)
    assert [(client.command("JSON.GET", key), client.command("PEXPIRETIME", key)) for key in keys] == before


def test_large_elements_are_taken_once(server, scale):
    client, three = Client(server.port), Client(server.port, 3)
    text = "x" * scale(3_000_000)
    client.load([("JSON.SET", "d", "$", json.dumps([1, long_list(2000), text]))])
    three.send_raw(encode(("JSON.GET", "d", "FORMAT", "EXPAND1", "$[1,2]")) + encode(("JSON.GET", "d", "$[0]")))
    assert three.read().value == [[json.dumps(long_list(2000), separators=(",", ":")).encode(),
                                   json.dumps(text).encode()]]
    assert three.read().value == b"[1]"
    assert json.loads(client.command("JSON.ARRPOP", "d", "$")[0]) == text
    assert json.loads(client.command("JSON.ARRPOP", "d", ".")) == long_list(2000)
    assert client.command("JSON.GET", "d") == b"[1]"
