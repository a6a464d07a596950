"""Random commands of all families on a server with an append-only file; it is killed, the file is loaded, and all is as
it was: DEBUG DIGEST, values by commands, expiries to the millisecond. Where only commands that redis-server 7.0 knows
were used, that loads the file, too, and holds the same.
"""
import random
import shutil
import time

import pytest

import test_differential_mixed
from aof_files import AOF, loaded, rewritten
from geo_generators import Places
from harness.process import ServerProcess
from harness.resp import ErrorReply
from rdb_contents import stream_contents
from stream_generators import Streams

# Hash fields that expire came with 7.4; the rest of these are newer, too.
NEW_WORDS = ("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HPERSIST", "HGETEX", "HSETEX", "HGETDEL", "DELEX",
             "MSETEX", "XDELEX", "XACKDEL", "XCFGSET", "XNACK")
JSON_TEXTS = ('{"a":1,"b":[1,2,3],"c":{"d":"text"}}', "[1,2.5,null,true]", '"text"', "17")


def expiry(rng, args):
    """Some of the keys expire: soon, and then they are gone on both sides, or much later."""
    key = rng.choice(test_differential_mixed.KEYS)
    return ["PEXPIRE", key, rng.choice((1, 20, 10**7))] if rng.random() < 0.05 else args


def json_command(rng):
    key, path = f"json{rng.randrange(3)}", rng.choice(("$", "$.a", "$.b", "$.c.d", "$..x"))
    return rng.choice((
        ["JSON.SET", key, "$", rng.choice(JSON_TEXTS)], ["JSON.SET", key, path, rng.choice(JSON_TEXTS)],
        ["JSON.NUMINCRBY", key, path, rng.choice(("1", "0.1"))], ["JSON.ARRAPPEND", key, path, "1"],
        ["JSON.DEL", key, path], ["JSON.STRAPPEND", key, path, '"x"'], ["JSON.TOGGLE", key, path],
        ["JSON.ARRPOP", key, path], ["JSON.CLEAR", key, path], ["JSON.MERGE", key, path, '{"x":1}'],
        ["JSON.ARRTRIM", key, path, "0", "1"], ["JSON.ARRINSERT", key, path, "0", '"y"']))


def generate(rng, mixed, streams, places, with_json):
    draw = rng.random()
    if draw < 0.15:
        return streams(rng)
    if draw < 0.2:
        return places(rng)
    if with_json and draw < 0.3:
        return json_command(rng)
    return expiry(rng, mixed(rng))


def run_commands(client, rng, count, old_only, with_json):
    """Sends commands, some in transactions; errors are part of it."""
    families = (test_differential_mixed.Mixed(), Streams(), Places())
    batch = []
    while count > 0:
        args = generate(rng, *families, with_json)
        word = str(args[0]).upper()
        if "BLOCK" in map(str, args) or word in ("BLPOP", "BRPOP", "BLMOVE", "BLMPOP"):
            continue
        if old_only and word in NEW_WORDS:
            continue
        size = rng.choice((0,) * 20 + (2, 5))
        batch += [["MULTI"]] + [generate(rng, *families, with_json) for _ in range(size)] + [["EXEC"]] if size and \
            not old_only else [args]
        count -= 1 + size
        if len(batch) > 200:
            list(client.pipeline(batch))
            batch = []
    list(client.pipeline(batch))


def value(client, key, kind):
    if kind == "stream":
        return stream_contents(client, key)
    if kind == "ReJSON-RL":
        return client.command("JSON.GET", key)
    if kind == "hash":
        found = client.command("HGETALL", key)
        return dict(zip(found[::2], found[1::2]))
    if kind == "zset":
        found = client.command("ZRANGE", key, 0, -1, "WITHSCORES")
        return [(name, float(score)) for name, score in zip(found[::2], found[1::2])]
    if kind == "set":
        return sorted(client.command("SMEMBERS", key))
    return client.command("LRANGE", key, 0, -1) if kind == "list" else client.command("GET", key)


def contents(client):
    everything = {}
    for db in range(16):
        client.command("SELECT", db)
        for key in sorted(client.command("KEYS", "*")):
            kind = client.command("TYPE", key).decode()
            found = value(client, key, kind)
            fields = None
            if kind == "hash":
                fields = client.command("HPEXPIRETIME", key, "FIELDS", len(found), *sorted(found))
                fields = None if isinstance(fields, ErrorReply) else fields
            everything[db, key] = (kind, client.command("PEXPIRETIME", key), found, fields)
    client.command("SELECT", 0)
    return everything


def quiet(client):
    """Nothing more expires for a while, and everything is written."""
    time.sleep(0.1)
    assert client.command("DEBUG", "EXPIRE-WALK", 0) == b"OK"
    for db in range(3):
        client.command("SELECT", db)
        for key in client.command("KEYS", "*"):
            client.command("EXISTS", key)
    client.command("SELECT", 0)


def filled(client, rng, old_only, with_json):
    """Everything there is, once that means something: what was drawn last may have emptied a database."""
    while True:
        quiet(client)
        found = contents(client)
        if len({kind for kind, *_ in found.values()}) >= 5:
            return found
        client.command("DEBUG", "EXPIRE-WALK", 1)
        run_commands(client, rng, 200, old_only, with_json)


def compare(ours, theirs):
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    for place, held in ours.items():
        assert held == theirs[place], place


@pytest.mark.parametrize("rewrites", [False, True], ids=["increments", "rewritten"])
def test_killed_and_loaded(start_server, tmp_path, seed, scale, rewrites):
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")
    rng = random.Random(seed)
    own = tmp_path / "own"
    server = start_server(*AOF, directory=own)
    with loaded(server) as client:
        with_json = client.command("COMMAND", "INFO", "JSON.SET")[0] is not None
        for _ in range(3):
            run_commands(client, rng, scale(6000), False, with_json)
            if rewrites:
                client.command("BGREWRITEAOF")
        run_commands(client, rng, scale(1000), False, with_json)
        if rewrites:
            rewritten(client)
        before = filled(client, rng, False, with_json)
        digest = client.command("DEBUG", "DIGEST")
    server.kill()
    again = start_server(*AOF, directory=own)
    with loaded(again) as client:
        assert client.command("DEBUG", "EXPIRE-WALK", 0) == b"OK"
        assert "answered with an error while loading" not in again.log()
        compare(before, contents(client))
        assert client.command("DEBUG", "DIGEST") == digest
        assert client.command("DEBUG", "CHECK") == b"OK"


def test_loaded_by_redis(start_server, tmp_path, oracle_command, seed, scale):
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")
    rng = random.Random(seed)
    server = start_server(*AOF)
    with loaded(server) as client:
        run_commands(client, rng, scale(4000), True, False)
        before = filled(client, rng, True, False)
    if any(fields and any(at > 0 for at in fields) for _, _, _, fields in before.values()):
        pytest.skip("fields of hashes expire")
    other = tmp_path / "other"
    shutil.copytree(server.directory, other)
    oracle = ServerProcess(oracle_command, AOF, other, name="oracle")
    try:
        with loaded(oracle) as client:
            after = contents(client)
            assert "CRITICAL" not in oracle.log()
    finally:
        oracle.kill()
    compare({place: held[:3] for place, held in before.items()}, {place: held[:3] for place, held in after.items()})
