"""A chat back end: web workers put requests on a stream, worker processes of a consumer group answer them, token by
token, on a stream for each request.

One worker is killed with requests pending; the others claim these by XAUTOCLAIM. Every request is answered exactly
once: a worker acknowledges it, and marks it as answered, in one transaction.
"""
import asyncio
import multiprocessing
import os
import signal
import time

import redis
import redis.asyncio

CHANNEL, GROUP = "message_channel", "workers"
IDLE_MS = 200


def answer(client, id, request, pause=0.0):
    """Streams the tokens and closes the answer; returns whether it was this worker who did."""
    key = f"response:{request['request']}"
    if not client.set(f"owner:{request['request']}", os.getpid(), nx=True, px=IDLE_MS * 1000):
        return False  # somebody is at it, only slowly
    tokens = [f"{word}!" for word in request["text"].split()]
    with client.pipeline() as pipe:
        pipe.delete(key)
        for token in tokens:
            pipe.xadd(key, {"token": token})
        pipe.execute()
    if pause:
        time.sleep(pause)
    with client.pipeline() as pipe:
        pipe.xack(CHANNEL, GROUP, id)
        pipe.xadd(key, {"end": "1"})
        pipe.incr(f"answered:{request['request']}")
        pipe.expire(key, 60)
        acked = pipe.execute()[0]
    return acked


def work(port, name, hang_after):
    """Answers until it is told to stop; `hang_after` answers it takes more and sits on them."""
    client = redis.Redis(port=port, decode_responses=True)
    done = 0
    while True:
        if hang_after is not None and done >= hang_after:
            while not client.xreadgroup(GROUP, name, {CHANNEL: ">"}, count=5, block=5000):
                pass
            client.set("hangs", name)
            time.sleep(3600)
        requests = []
        if done % 3 == 0:
            _, requests, _ = client.xautoclaim(CHANNEL, GROUP, name, min_idle_time=IDLE_MS, count=2)
        if not requests:
            found = client.xreadgroup(GROUP, name, {CHANNEL: ">"}, count=2, block=50)
            requests = found[0][1] if found else []
        for id, request in requests:
            if request.get("text") == "stop":
                client.xack(CHANNEL, GROUP, id)
                return
            answer(client, id, request)
        done += 1


def test_every_request_is_answered_once(server, scale):
    count = scale(300)
    client = redis.Redis(port=server.port, decode_responses=True)
    client.xgroup_create(CHANNEL, GROUP, id="0", mkstream=True)
    workers = [multiprocessing.Process(target=work, args=(server.port, f"worker-{i}", 3 if i == 0 else None))
               for i in range(4)]
    for worker in workers:
        worker.start()

    async def ask(pool, number):
        web = redis.asyncio.Redis(connection_pool=pool)
        text = f"question {number} of many"
        await web.xadd(CHANNEL, {"request": str(number), "text": text}, maxlen=100_000, approximate=True)
        tokens, last = [], "0"
        while True:
            for _, found in await web.xread({f"response:{number}": last}, block=20_000) or ():
                for last, fields in found:
                    if "end" in fields:
                        return tokens == [f"{word}!" for word in text.split()]
                    tokens.append(fields["token"])

    async def web_workers():
        pool = redis.asyncio.BlockingConnectionPool(port=server.port, decode_responses=True, max_connections=60,
                                                    timeout=60)
        half = [asyncio.create_task(ask(pool, number)) for number in range(count // 2)]
        fillers = []
        while not client.exists("hangs"):  # until that worker has taken something that it will not answer
            await asyncio.sleep(0.01)
            if all(task.done() for task in half):
                fillers.append(asyncio.create_task(ask(pool, f"extra-{len(fillers)}")))
        assert client.xpending_range(CHANNEL, GROUP, "-", "+", 10, consumername="worker-0")
        os.kill(workers[0].pid, signal.SIGKILL)
        rest = [asyncio.create_task(ask(pool, number)) for number in range(count // 2, count)]
        fine = await asyncio.wait_for(asyncio.gather(*half, *fillers, *rest), 100)
        await pool.disconnect()
        return fine

    try:
        answers = asyncio.run(web_workers())
        assert all(answers)
        for _ in workers[1:]:
            client.xadd(CHANNEL, {"request": "none", "text": "stop"})
            time.sleep(0.02)
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [-signal.SIGKILL, 0, 0, 0]
    finally:
        for worker in workers:
            worker.kill()
    assert client.xpending(CHANNEL, GROUP)["pending"] == 0
    assert [client.get(f"answered:{number}") for number in range(count)] == ["1"] * count
    [group] = client.xinfo_groups(CHANNEL)
    assert group["pending"] == 0 and group["lag"] == 0 and group["entries-read"] == len(answers) + 3
    assert client.xlen(CHANNEL) == len(answers) + 3
