"""LATENCY: events, histograms, who made others wait, and what a command's latency is made of."""
import re
import time

import pytest

from harness.resp import Client, ErrorReply, encode
from harness.waiting import until

SERVER_OPTIONS = ("--enable-debug-command", "yes")


def events(client):
    return {name.decode(): rest for name, *rest in client.command("LATENCY", "LATEST")}


def test_like_redis(pair):
    """What does not depend on time."""
    pair.same("LATENCY LATEST", "LATENCY HISTORY command", "LATENCY GRAPH nosuch", "LATENCY RESET",
              "LATENCY RESET nosuch other", "LATENCY FOO", "LATENCY", "LATENCY LATEST x", "LATENCY HISTORY",
              "LATENCY GRAPH", "LATENCY HISTOGRAM nosuch", "LATENCY HISTOGRAM config|nosuch", "LATENCY DOCTOR x",
              "CONFIG SET latency-monitor-threshold 60000", "LATENCY LATEST", "CONFIG SET latency-monitor-threshold -1",
              "CONFIG GET latency-monitor-threshold", "CONFIG SET latency-monitor-threshold 0")


def test_events_like_redis(pair):
    """The same events with the same figures, within what a busy machine adds."""
    for client in pair.both:
        client.command("CONFIG", "SET", "latency-monitor-threshold", 20)
        client.command("LATENCY", "RESET")
        for seconds in ("0.06", "0.03"):
            client.command("DEBUG", "SLEEP", seconds)
    for client in pair.both:
        seen = events(client)
        at, last, most = seen["command"]
        assert abs(at - time.time()) < 60 and 55 <= most and 20 <= last <= most
        history = client.command("LATENCY", "HISTORY", "command")
        assert at in [second for second, _ in history] and most in [worst for _, worst in history]
        graph = client.command("LATENCY", "GRAPH", "command").decode()
        assert re.match(r"command - high \d+ ms, low \d+ ms \(all time high \d+ ms\)\n-{80}\n", graph)
        assert b"command" in client.command("LATENCY", "DOCTOR")
        client.command("CONFIG", "SET", "latency-monitor-threshold", "0")
        assert client.command("LATENCY", "RESET", "command", "nosuch") == 1
        client.command("LATENCY", "RESET")
        assert client.command("LATENCY", "LATEST") == []
    pair.same("CONFIG SET latency-monitor-threshold 0", "LATENCY GRAPH command", "LATENCY HISTORY command")


def test_samples_are_bounded_and_joined(server):
    with Client(server.port) as client:
        client.command("CONFIG", "SET", "latency-monitor-threshold", "1")
        start, times = time.time(), []
        while len(times) < 2:
            client.command("DEBUG", "SLEEP", "0.02")
            times = [at for at, _ in client.command("LATENCY", "HISTORY", "command")]
        assert times == sorted(set(times)) and len(times) <= time.time() - start + 2
        # A picture has a column for each.
        client.command("CONFIG", "SET", "latency-monitor-threshold", "0")
        times = [at for at, _ in client.command("LATENCY", "HISTORY", "command")]
        rows = client.command("LATENCY", "GRAPH", "command").decode().split("\n")[2:6]
        assert all(len(row) == len(times) for row in rows)


def test_disabled_records_nothing(server):
    with Client(server.port) as client:
        client.command("DEBUG", "SLEEP", "0.02")
        assert client.command("LATENCY", "LATEST") == []
        assert b"not being recorded" in client.command("LATENCY", "DOCTOR")


def test_fork_and_fast_commands_are_events(server):
    with Client(server.port) as client:
        client.load([("SET", f"k{i}", "x" * 500) for i in range(20_000)])
        client.command("CONFIG", "SET", "latency-monitor-threshold", "1")
        client.command("BGSAVE")
        until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0")
        fork_us = int(client.info("stats")["latest_fork_usec"])
        assert ("fork" in events(client)) == (fork_us >= 1000)


def test_histogram(pair):
    """Labels are those of Redis; counts are cumulative, end with all calls, and rise."""
    for client in pair.both:
        client.command("CONFIG", "RESETSTAT")
        for i in range(100):
            client.command("SET", "k", i)
        client.command("DEBUG", "SLEEP", "0.001")
        client.command("CONFIG", "GET", "port")
        names = client.command("LATENCY", "HISTOGRAM", "set", "debug", "config", "nosuch")
        as_dict = names if isinstance(names, dict) else dict(zip(names[::2], names[1::2]))
        assert set(as_dict) >= {b"set", b"debug", b"config|get"} and b"config" not in as_dict
        for value in as_dict.values():
            value = value if isinstance(value, dict) else dict(zip(value[::2], value[1::2]))
            pairs = value[b"histogram_usec"]
            pairs = list(pairs.items()) if isinstance(pairs, dict) else list(zip(pairs[::2], pairs[1::2]))
            labels, counts = zip(*pairs)
            assert set(labels) <= {(1024 * 2**i + 8 * 2**i - 1) // 1000 for i in range(38)}
            assert list(counts) == sorted(set(counts)) and counts[-1] == value[b"calls"]


def blamed(client):
    return {entry[b"who"].decode(): entry for entry in client.command("LATENCY", "BLAME", "-1")}


def test_blame(server):
    """One client sleeps in the server; the requests of twenty others wait, and both are told."""
    with Client(server.port, 3) as client:
        client.command("LATENCY", "RESET")
        assert client.command("LATENCY", "BLAME") == []
        others = [Client(server.port) for _ in range(20)]

        for seconds in (0.2, 0.4, 0.8, 1.6, 3.2):  # until they all ask while it sleeps
            client.command("LATENCY", "RESET")
            client.send("DEBUG", "SLEEP", seconds)
            time.sleep(seconds / 4)
            for other in others:
                other.send("PING")
            client.read()
            for other in others:
                assert other.read().value == b"PONG"
            blame = blamed(client)["debug|sleep" if "debug|sleep" in blamed(client) else "debug"]
            if blame[b"requests-waited"] >= 20:
                break
        assert blame[b"times"] == 1
        assert seconds * 1_000_000 <= blame[b"held-usec"] == blame[b"longest-usec"]
        assert abs(blame[b"longest-at"] - time.time()) < 60
        assert 20 <= blame[b"requests-waited"] <= 25
        assert blame[b"waited-usec"] == pytest.approx(blame[b"requests-waited"] * blame[b"held-usec"], rel=0.01)
        assert b"LATENCY BLAME" in client.command("LATENCY", "DOCTOR")
        for other in others:
            other.close()
        assert client.command("LATENCY", "RESET", "BLAME") == 0
        assert "debug" not in blamed(client)
        assert isinstance(client.command("LATENCY", "BLAME", "x"), ErrorReply)
        assert client.command("LATENCY", "BLAME", 0) == []


def test_who_only_waits_for_himself_blames_nobody(server):
    with Client(server.port, 3) as client:
        client.send_raw(encode(["DEBUG", "SLEEP", "0.02"]) + encode(["PING"]) * 50)
        for _ in range(51):
            client.read()
        time.sleep(0.01)
        [(_, blame)] = [(n, b) for n, b in blamed(client).items() if n.startswith("debug")]
        assert blame[b"times"] == 1 and blame[b"requests-waited"] == 0


def test_pipelines_are_blamed_as_a_whole(server):
    """No command of it takes long, but all of them together keep the others waiting."""
    with Client(server.port, 3) as client, Client(server.port) as greedy, Client(server.port) as other:
        client.command("RPUSH", "l", *range(400))
        client.command("LATENCY", "RESET")
        deadline = time.monotonic() + 60
        while "pipelines" not in blamed(client) or blamed(client)["pipelines"][b"requests-waited"] == 0:
            assert time.monotonic() < deadline
            greedy.send_raw(encode(["LRANGE", "l", 0, -1]) * 1500)
            for _ in range(20):
                other.command("PING")
            for _ in range(1500):
                greedy.read()
        entry = blamed(client)["pipelines"]
        assert entry[b"longest-usec"] >= 1000 and entry[b"times"] >= 1


def split_of(client, name):
    line = client.info("latencysplit")[f"latency_split_usec_{name}"]
    return {key: float(value) for key, value in (part.split("=") for part in line.split(","))}


def test_latency_is_split(server):
    """In a pipeline behind a sleeper everybody's time in the queue is the sleep; the sleeper's is running."""
    with Client(server.port) as client:
        client.command("CONFIG", "RESETSTAT")
        client.send_raw(encode(["DEBUG", "SLEEP", "0.1"]) + encode(["PING"]) * 10 + encode(["DEBUG", "SLEEP", "0.05"]))
        for _ in range(12):
            client.read()
        ping, sleep = split_of(client, "ping"), split_of(client, "debug")
        assert ping["calls"] == 10 and sleep["calls"] == 2
        assert 100_000 <= ping["queued"] and ping["running"] < ping["queued"] and 50_000 <= ping["sending"]
        assert 50_000 <= sleep["queued"] and 75_000 <= sleep["running"] and 20_000 <= sleep["sending"]


def test_tools_ask_for_it(server):
    with Client(server.port) as client:
        assert client.command("LATENCY", "HELP")[0].startswith(b"LATENCY <subcommand>")
        assert client.command("COMMAND", "COUNT") > 0
