"""MULTI, EXEC, DISCARD, WATCH: beside redis-server, and with many clients at once."""
import multiprocessing
import random
import time

import pytest
import redis

from harness.differential import Pair
from harness.resp import Client

SERVER_OPTIONS = ("--enable-debug-command", "yes")

SEQUENCES = [
    "MULTI | SET a 1 | GET a | EXEC",
    "MULTI | EXEC",
    "MULTI | DISCARD",
    "EXEC | DISCARD | UNWATCH",
    "MULTI | MULTI | SET a 1 | EXEC",
    "MULTI | WATCH a | SET a 1 | EXEC",
    "MULTI | SET a 1 | NOSUCH | EXEC | GET a",
    "MULTI | GET | SET a 1 | EXEC | GET a",
    "MULTI | SET a 1 | INCR a b | EXEC | EXEC",
    "MULTI | SET a x | INCR a | SET b 2 | EXEC | GET b",
    "MULTI | EXEC x | SET a 1 | EXEC",
    "MULTI | DISCARD x | SET a 1 | EXEC",
    "EXEC x | DISCARD x | EXEC",
    "MULTI | CONFIG NOSUCH | SET a 1 | EXEC",
    "MULTI | SHUTDOWN NOSAVE | EXEC",
    "MULTI | SELECT 2 | SET a 2 | SELECT 0 | GET a | EXEC | SELECT 2 | GET a",
    "MULTI | PING | ECHO x | TYPE a | KEYS * | SCAN 0 | DBSIZE | EXEC",
    "MULTI | SET a 1 | RESET | EXEC",
    "MULTI | FLUSHALL | SET a 1 | FLUSHDB | EXEC | GET a",
    "MULTI | BITCOUNT nothing | LCS a b | EXEC",
    "MULTI | UNWATCH | SET a 1 | EXEC",
    "MULTI | CLIENT GETNAME | CLIENT SETNAME x | CLIENT GETNAME | EXEC",
    "WATCH a | SET a 1 | MULTI | SET a 2 | EXEC | GET a",
    "WATCH a | GET a | MULTI | SET a 2 | EXEC | GET a",
    "WATCH a b c | UNWATCH | SET b 1 | MULTI | SET a 2 | EXEC",
    "WATCH a | MULTI | SET a 1 | DISCARD | SET a 3 | MULTI | GET a | EXEC",
    "SET a 1 | WATCH a | DEL a | MULTI | SET x 1 | EXEC",
    "WATCH a | DEL a | MULTI | SET x 1 | EXEC",
    "SET a 1 | WATCH a | EXPIRE a 100 | MULTI | SET x 1 | EXEC",
    "SET a 1 | WATCH a | SET a 1 | MULTI | SET x 1 | EXEC",
    "SET a 1 | WATCH a | RENAME a b | MULTI | SET x 1 | EXEC",
    "WATCH b | SET a 1 | RENAME a b | MULTI | SET x 1 | EXEC",
    "WATCH a | FLUSHALL | MULTI | SET x 1 | EXEC",
    "SET a 1 | WATCH a | FLUSHALL | MULTI | SET x 1 | EXEC",
    "SET a 1 | WATCH a | FLUSHDB ASYNC | MULTI | SET x 1 | EXEC",
    "SET a 1 | WATCH a | SWAPDB 0 1 | MULTI | SET x 1 | EXEC | FLUSHALL",
    "SELECT 1 | SET a 1 | SELECT 0 | WATCH a | SWAPDB 0 1 | MULTI | SET x 1 | EXEC | FLUSHALL",
    "WATCH a | SWAPDB 0 1 | MULTI | SET x 1 | EXEC | FLUSHALL",
    "DEBUG SET-ACTIVE-EXPIRE 0 | SELECT 1 | SET a 1 PX 1 | DEBUG SLEEP 0.003 | SELECT 0 | WATCH a | SWAPDB 0 1 | MULTI"
    " | SET x 1 | EXEC | FLUSHALL | DEBUG SET-ACTIVE-EXPIRE 1",
    "DEBUG SET-ACTIVE-EXPIRE 0 | SET a 1 PX 1 | DEBUG SLEEP 0.003 | WATCH a | SWAPDB 0 1 | MULTI | SET x 1 | EXEC"
    " | FLUSHALL | DEBUG SET-ACTIVE-EXPIRE 1",
    "SELECT 1 | WATCH a | SELECT 0 | SET a 1 | MULTI | SET x 1 | EXEC",
    "SELECT 1 | WATCH a | SET a 1 | SELECT 0 | MULTI | SET x 1 | EXEC",
    "WATCH a | WATCH a | WATCH b | SET a 1 | MULTI | EXEC | MULTI | EXEC",
    "SET a x | WATCH a | INCR a | MULTI | GET a | EXEC",
    "SET a 1 | WATCH a | SETNX a 2 | MULTI | GET a | EXEC",
    "WATCH | MULTI x | UNWATCH x",
    "MULTI | OBJECT ENCODING a | OBJECT NOSUCH | EXEC",
]


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_sequences(pair, sequence):
    pair.same(*[step for step in sequence.split(" | ")])


def test_exec_of_a_stranger(pair, module_server, module_oracle):
    """Whoever has not said who he is, and pipelines a transaction, hears that it is over."""
    pair.same("CONFIG SET requirepass secret")
    stranger = Pair(module_server.port, module_oracle.port, 2)
    try:
        stranger.same("MULTI", "SET a 1", "EXEC", "EXEC x", "DISCARD", "AUTH secret", "EXEC")
    finally:
        stranger.close()
        pair.same(["CONFIG", "SET", "requirepass", ""])


def test_a_key_that_expires_while_it_is_watched(pair):
    for _, ours, theirs in pair.exchange([["SET", "a", 1, "PX", 50], ["WATCH", "a"]]):
        assert ours.raw == theirs.raw
    time.sleep(0.1)
    pair.same("MULTI", "SET b 1", "EXEC", "SET a 1 PX 5")
    time.sleep(0.1)
    pair.same("WATCH a", "MULTI", "SET b 1", "EXEC")


def test_a_key_that_expires_unseen_while_it_is_watched(pair):
    """Nobody meets it after its time, and nothing removes it."""
    pair.same("DEBUG SET-ACTIVE-EXPIRE 0")
    for _, ours, theirs in pair.exchange([["SET", "a", 1, "PX", 30], ["WATCH", "a"], ["SET", "b", 1], ["WATCH", "b"]]):
        assert ours.raw == theirs.raw
    time.sleep(0.04)
    pair.same("MULTI", "SET b 2", "EXEC", "WATCH a", "MULTI", "GET b", "EXEC", "DEBUG SET-ACTIVE-EXPIRE 1")


def test_other_clients_touch(module_server, module_oracle, protocol, seed):
    """Random commands of two clients, one of which watches; the same on both servers."""
    rng = random.Random(seed)
    one, two = (Pair(module_server.port, module_oracle.port, protocol) for _ in range(2))
    one.flush()
    for _ in range(400):
        keys = [rng.choice("abcd") for _ in range(3)]
        one.same(f"WATCH {keys[0]}", *([f"WATCH {keys[1]}"] if rng.random() < 0.5 else []))
        for _ in range(rng.randrange(3)):
            two.same(rng.choice([
                f"SET {keys[2]} 1", f"DEL {keys[2]}", f"GET {keys[2]}", f"APPEND {keys[2]} x", f"GETEX {keys[2]}",
                f"PERSIST {keys[2]}", f"EXPIRE {keys[2]} 100", "DBSIZE", f"RENAMENX {keys[2]} d",
                f"SETRANGE {keys[2]} 0 \"\"", f"COPY {keys[2]} a REPLACE", "FLUSHDB"]))
        replies = one.same("MULTI", f"SET {keys[1]} {rng.randrange(5)}", f"GET {keys[0]}", "EXEC")
        assert replies[1] == b"QUEUED", f"seed {seed}"
    one.close()
    two.close()


def test_large_arguments_are_queued_whole(client):
    value = bytes(range(256)) * 20_000
    assert client.command("MULTI") == b"OK"
    assert client.command("SET", "big", value) == b"QUEUED"
    assert client.command("STRLEN", "big") == b"QUEUED"
    assert client.command("EXEC") == [b"OK", len(value)]
    assert client.command("GET", "big") == value


def test_long_commands_run_to_their_end_inside(client):
    client.load(("SET", f"key:{i}", i) for i in range(20_000))
    assert client.command("MULTI") == b"OK"
    client.command("KEYS", "*")
    client.command("FLUSHALL")
    client.command("DBSIZE")
    listed, flushed, size = client.command("EXEC")
    assert len(listed) == 20_000 and flushed == b"OK" and size == 0


def test_a_transaction_that_is_abandoned(server):
    with Client(server.port) as other:
        before = int(other.info("memory")["used_memory"])
        for _ in range(20):
            with Client(server.port) as client:
                client.command("WATCH", "a", "b")
                client.command("MULTI")
                client.load(("SET", f"key:{i}", "x" * 1000) for i in range(500))
                line = other.command("CLIENT", "LIST").decode()
                assert "multi=500" in line and "watch=2" in line
        for _ in range(100):
            after = int(other.info("memory")["used_memory"])
            if after - before < 200_000:
                break
        assert after - before < 200_000
        assert other.command("SET", "a", 1) == b"OK" and other.command("DBSIZE") == 1


def test_pause_holds_up_transactions_that_write(server):
    with Client(server.port) as one, Client(server.port) as two:
        two.command("MULTI")
        two.command("SET", "k", 1)
        one.command("CLIENT", "PAUSE", 300, "WRITE")
        two.send("EXEC")
        assert one.command("GET", "k") is None
        assert two.read().value == [b"OK"]


def add_with_watch(port, times):
    r = redis.Redis(port=port)
    for _ in range(times):
        with r.pipeline() as pipe:
            while True:
                try:
                    pipe.watch("counter")
                    value = int(pipe.get("counter") or 0)
                    pipe.multi()
                    pipe.set("counter", value + 1)
                    pipe.execute()
                    break
                except redis.WatchError:
                    continue


def test_optimistic_locking_loses_no_update(server):
    workers = [multiprocessing.Process(target=add_with_watch, args=(server.port, 25)) for _ in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert redis.Redis(port=server.port).get("counter") == b"500"


def test_too_many_arguments_are_queued_where_redis_queues_them(pair):
    wrong = ("LPOP l 1 2", "RPOP l 1 2", "CLIENT PAUSE 1 all x", "CLIENT UNBLOCK 1 error x")
    pair.same("RPUSH l a b", *wrong, "MULTI", *wrong, "LPOP l", "EXEC", "MULTI", "LLEN l x", "EXEC")


def test_too_few_replicas_let_nobody_write(pair, module_server, module_oracle):
    """There are none on either server: whoever asks for one has a server that is read, and is in good health."""
    other = Pair(module_server.port, module_oracle.port, 2)
    try:
        pair.same("SET a 1", "MULTI", "SET a 2", "GET a")
        other.same("CONFIG SET min-replicas-to-write 1")
        pair.same("EXEC", "SET a 3", "GET a", "PING", "PUBLISH c m", "DEL a", "SORT l STORE m", "FLUSHALL", "BLPOP l 0",
                  "MULTI", "GET a", "EXEC", "MULTI", "GET a", "SET a 4", "EXEC", "CONFIG GET min-slaves-to-write")
        assert all(client.info("replication")["min_slaves_good_slaves"] == "0" for client in other.both)
        other.same("CONFIG SET min-replicas-max-lag 0")
        pair.same("SET a 5")
        assert all("min_slaves_good_slaves" not in client.info("replication") for client in other.both)
    finally:
        other.same("CONFIG SET min-replicas-to-write 0 min-replicas-max-lag 10")
        other.close()
