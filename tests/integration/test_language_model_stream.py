"""A language model's answer on a stream: read while it is being written, by readers that come late, early, and back.

The producer appends a token at a time, and an end marker; readers follow from the beginning, from "$", or from the last
ID that they remember; one of them is cut off in the middle and goes on with a new connection.
"""
import asyncio
import random
import threading
import time

import redis
import redis.asyncio

from harness.waiting import until

WORDS = "the quick brown fox jumps over a lazy dog , and then it rests .".split()


def answer_tokens(rng, count):
    return [f"{rng.choice(WORDS)}-{i}" for i in range(count)]


def produce(port, key, tokens, pause):
    client = redis.Redis(port=port, decode_responses=True)
    for token in tokens:
        client.xadd(key, {"type": "token", "text": token})
        if pause:
            time.sleep(pause)
    client.xadd(key, {"type": "end"})


def follow(port, key, last, seen=None, cut_after=None):
    """Reads to the end marker; returns the tokens, or the last ID when it is cut off."""
    client = redis.Redis(port=port, decode_responses=True, socket_timeout=60)
    seen = [] if seen is None else seen
    while True:
        for _, found in client.xread({key: last}, block=5000, count=7):
            for last, fields in found:
                if fields["type"] == "end":
                    return seen
                seen.append(fields["text"])
                if len(seen) == cut_after:
                    client.connection_pool.disconnect()
                    return last


class Thread(threading.Thread):
    """A thread whose result is asked for."""

    def __init__(self, function, *args, **kwargs):
        super().__init__()
        self.call, self.result, self.failure = (function, args, kwargs), None, None
        self.start()

    def run(self):
        function, args, kwargs = self.call
        try:
            self.result = function(*args, **kwargs)
        except BaseException as failure:
            self.failure = failure

    def get(self):
        self.join()
        if self.failure:
            raise self.failure
        return self.result


def test_three_readers(server, seed, scale):
    print("seed", seed)
    tokens = answer_tokens(random.Random(seed), scale(400))
    client = redis.Redis(port=server.port)
    early = Thread(follow, server.port, "answer", "$")
    until(lambda: client.info("clients")["blocked_clients"] or not early.is_alive())
    producer = Thread(produce, server.port, "answer", tokens, 0.0005)
    from_start = Thread(follow, server.port, "answer", "0")
    seen = []
    last = follow(server.port, "answer", "0", seen=seen, cut_after=len(tokens) // 3)
    assert seen == tokens[:len(seen)]
    rest = follow(server.port, "answer", last)
    assert seen + rest == tokens
    assert early.get() == tokens
    assert from_start.get() == tokens
    producer.get()
    late = follow(server.port, "answer", "0")
    assert late == tokens
    assert client.xlen("answer") == len(tokens) + 1
    client.pexpire("answer", 50)
    until(lambda: not client.exists("answer"))


def test_the_client_library_is_cut_off(server):
    """CLIENT KILL in the middle of a blocking read: the reader remembers the last ID and goes on."""
    client = redis.Redis(port=server.port, decode_responses=True)
    tokens = [f"t{i}" for i in range(200)]
    kills = 0

    def stubborn():
        seen, last = [], "0"
        while True:
            reader = redis.Redis(port=server.port, decode_responses=True, client_name="reader", retry=None)
            try:
                for _, found in reader.xread({"answer": last}, block=0, count=3):
                    for last, fields in found:
                        if "end" in fields:
                            return seen
                        seen.append(fields["text"])
            except redis.ConnectionError:
                time.sleep(0.001)

    reader = Thread(stubborn)
    for i, token in enumerate(tokens):
        client.xadd("answer", {"text": token})
        if i % 20 == 10:
            for facts in until(lambda: [one for one in client.client_list() if one["name"] == "reader"]):
                kills += client.client_kill_filter(_id=facts["id"])
    client.xadd("answer", {"end": 1})
    assert reader.get() == tokens
    assert kills > 0


def test_asyncio(server, scale):
    """Many answers at once, each with readers of its own, all in one event loop."""
    answers, length = scale(20), 60

    async def write(client, key):
        for i in range(length):
            await client.xadd(key, {"text": f"{key}-{i}"}, maxlen=10_000, approximate=True)
            if i % 10 == 0:
                await asyncio.sleep(0)
        await client.xadd(key, {"end": "1"})
        await client.expire(key, 60)

    async def read(client, key):
        seen, last = [], "0"
        while True:
            for _, found in await client.xread({key: last}, block=10_000):
                for last, fields in found:
                    if "end" in fields:
                        return seen
                    seen.append(fields["text"])

    async def main():
        pool = redis.asyncio.ConnectionPool(port=server.port, decode_responses=True, max_connections=200)
        client = redis.asyncio.Redis(connection_pool=pool)
        keys = [f"answer:{i}" for i in range(answers)]
        readers = [asyncio.create_task(read(client, key)) for key in keys for _ in range(3)]
        await asyncio.sleep(0.01)
        await asyncio.gather(*(write(client, key) for key in keys))
        for i, seen in enumerate(await asyncio.wait_for(asyncio.gather(*readers), 60)):
            key = keys[i // 3]
            assert seen == [f"{key}-{n}" for n in range(length)]
        assert all(0 < ttl <= 60 for ttl in [await client.ttl(key) for key in keys])
        await pool.disconnect()

    asyncio.run(main())
