"""What the tests of append-only files share: the files, the commands in them, and waiting."""
import time

from harness.resp import Client, ErrorReply
from harness.waiting import until

AOF = ("--appendonly", "yes", "--enable-debug-command", "yes")


def loaded(server):
    """A client of a server that has loaded its files."""
    client = Client(server.port)
    while isinstance(reply := client.command("DBSIZE"), ErrorReply):
        assert reply.text.startswith("LOADING"), reply
        time.sleep(0.01)
    return client


def persistence(client):
    return client.info("persistence")


def rewritten(client):
    """Waits for the end of a rewrite, which went well."""
    until(lambda: persistence(client)["aof_rewrite_in_progress"] == "0" and
          persistence(client)["aof_rewrite_scheduled"] == "0", 60)
    assert persistence(client)["aof_last_bgrewrite_status"] == "ok"


def directory(server):
    return server.directory / "appendonlydir"


def manifest(where):
    """[(name, seq, type)]"""
    lines = (where / "appendonly.aof.manifest").read_text().splitlines()
    words = [line.split() for line in lines]
    assert all(w[0::2] == ["file", "seq", "type"] for w in words), lines
    return [(w[1], int(w[3]), w[5]) for w in words]


def last_increment(where):
    return where / [name for name, _, kind in manifest(where) if kind == "i"][-1]


def commands(data):
    """The commands in the bytes of a file without an RDB part; annotations as they are."""
    found, at = [], 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        if data[at:at + 1] == b"#":
            found.append(data[at:end])
            at = end + 2
            continue
        assert data[at:at + 1] == b"*"
        count, at, words = int(data[at + 1:end]), end + 2, []
        for _ in range(count):
            end = data.index(b"\r\n", at)
            assert data[at:at + 1] == b"$"
            size = int(data[at + 1:end])
            words.append(data[end + 2:end + 2 + size])
            assert data[end + 2 + size:end + 4 + size] == b"\r\n"
            at = end + 4 + size
        found.append(words)
    return found
