"""oom-score-adj: what the kernel is told of whom to end first when the machine is out of memory."""
from pathlib import Path

import pytest

from harness.resp import Client, ErrorReply
from harness.waiting import until


def score(pid):
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


@pytest.fixture
def client(server):
    with Client(server.port) as connection:
        yield connection


def settings(client, *pairs):
    return client.command("CONFIG", "SET", *pairs)


def test_it_is_set_and_taken_back(server, client):
    base = score(server.pid)
    assert settings(client, "oom-score-adj-values", "10 20 30") == b"OK"
    assert score(server.pid) == base
    assert settings(client, "oom-score-adj", "yes") == b"OK"
    assert score(server.pid) == base + 10
    assert settings(client, "oom-score-adj-values", "15 20 30") == b"OK"
    assert score(server.pid) == base + 15
    assert settings(client, "oom-score-adj", "absolute", "oom-score-adj-values", f"{base + 40} 0 0") == b"OK"
    assert score(server.pid) == base + 40
    assert settings(client, "oom-score-adj", "no") == b"OK"
    assert score(server.pid) == base


def test_what_the_kernel_refuses_changes_nothing(server, client):
    base = score(server.pid)
    assert settings(client, "oom-score-adj", "relative", "oom-score-adj-values", "7 7 7") == b"OK"
    refused = settings(client, "oom-score-adj-values", "2000 0 0")
    assert isinstance(refused, ErrorReply) and "Failed to apply new oom_score_adj configuration" in refused.text
    assert score(server.pid) == base + 7
    assert client.command("CONFIG", "GET", "oom-score-adj-values") == [b"oom-score-adj-values", b"7 7 7"]


@pytest.mark.server_options("--oom-score-adj", "relative", "--oom-score-adj-values", "5", "6", "70",
                            "--rdb-key-save-delay", "1000000")
def test_from_the_start_and_for_children(server, client):
    base = score(server.pid) - 5
    client.load([("SET", f"k{i}", "v") for i in range(100)])
    client.command("BGSAVE")
    child, = until(server.children)
    until(lambda: score(child) == base + 70)
    assert score(server.pid) == base + 5
    client.command("CONFIG", "SET", "rdb-key-save-delay", "0")
