"""What the first users do, through redis-py: caches of predictions and embeddings, and very large strings."""
import os
import random
import struct
import time

import pytest

redis = pytest.importorskip("redis", reason="needs python3-redis")


@pytest.fixture
def connect(server):
    def make(**options):
        return redis.Redis(port=server.port, socket_timeout=60, **options)
    return make


def test_a_cache_of_predictions(connect):
    """Keys are repr() of requests, values opaque bytes, everything expires: a miss, a hit, and a miss again."""
    cache = connect()
    requests = [repr({"model": "m-1", "prompt": f"what is {i}?\n\"quoted\" é", "temperature": 0.5}) for i in range(200)]
    answers = {request: os.urandom(50 + 7 * i) for i, request in enumerate(requests)}
    calls = 0

    def predict(request, ttl_ms):
        nonlocal calls
        answer = cache.get(request)
        if answer is None:
            calls += 1
            answer = answers[request]
            cache.set(request, answer, px=ttl_ms)
        return answer

    assert all(predict(r, 100_000) == answers[r] for r in requests) and calls == 200
    assert all(predict(r, 100_000) == answers[r] for r in requests) and calls == 200
    assert 99_000 > cache.pttl(requests[0]) - 1_000 > 0

    for request in requests[:50]:
        cache.pexpire(request, 20)
    time.sleep(0.05)
    assert cache.exists(*requests) == 150
    assert all(predict(r, 100_000) == answers[r] for r in requests) and calls == 250


def test_a_cache_of_embeddings(connect):
    """Vectors of floats as bytes, each kept for twenty minutes, fetched one by one and in batches."""
    cache, rng = connect(), random.Random(7)
    vectors = {f"embedding:{i:05}": struct.pack("<768f", *(rng.uniform(-1, 1) for _ in range(768))) for i in range(300)}
    with cache.pipeline(transaction=False) as pipe:
        for key, vector in vectors.items():
            pipe.set(key, vector, ex=1200)
        assert all(pipe.execute())
    keys = list(vectors)
    assert cache.mget(keys) == [vectors[key] for key in keys]
    assert 1190 <= cache.ttl(keys[0]) <= 1200
    first = struct.unpack("<768f", cache.get(keys[0]))
    assert first == struct.unpack("<768f", vectors[keys[0]])
    assert cache.mget("embedding:none", keys[1]) == [None, vectors[keys[1]]]


def test_strings_of_25_megabytes(connect):
    cache = connect()
    blobs = [random.Random(i).randbytes(25 << 20) for i in range(3)]
    for i, blob in enumerate(blobs):
        assert cache.set(f"blob:{i}", blob)
    for i, blob in enumerate(blobs):
        assert cache.get(f"blob:{i}") == blob
        assert cache.strlen(f"blob:{i}") == len(blob)
        assert cache.getrange(f"blob:{i}", 12_345_678, 12_345_999) == blob[12_345_678:12_346_000]
    assert cache.set("blob:0", b"small", get=True) == blobs[0]
    cache.append("blob:1", b"tail")
    assert cache.get("blob:1") == blobs[1] + b"tail"
    assert cache.delete("blob:0", "blob:1", "blob:2") == 3


def test_counters_and_locks(connect):
    cache = connect(decode_responses=True)
    assert [cache.incr("visits") for _ in range(3)] == [1, 2, 3]
    assert cache.incrbyfloat("load", 0.5) == 0.5
    assert cache.set("lock", "me", nx=True, px=10_000) is True
    assert cache.set("lock", "you", nx=True, px=10_000) is None
    assert cache.get("lock") == "me"
    assert cache.set("lock", "you", xx=True, keepttl=True) is True
    assert 0 < cache.pttl("lock") <= 10_000


def test_iteration(connect):
    cache = connect(decode_responses=True)
    names = {f"user:{i}" for i in range(1000)}
    cache.mset({name: 1 for name in names})
    cache.set("other", 1)
    assert set(cache.scan_iter(match="user:*", count=50)) == names
    assert set(cache.keys("user:*")) == names
    assert cache.dbsize() == 1001


def test_what_clients_ask_on_connecting(connect):
    cache = connect(client_name="worker-1", db=2)
    assert cache.ping()
    assert cache.client_getname() in ("worker-1", b"worker-1")
    assert cache.client_id() > 0
    info = cache.info()
    assert info["redis_mode"] == "standalone" and info["tcp_port"] > 0
    assert "maxmemory" in cache.config_get("maxmemory")
