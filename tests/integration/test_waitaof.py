"""WAITAOF: a client that waits until what it has written is on the disk."""
import pytest

from aof_files import AOF, persistence, rewritten, until
from harness.resp import Client, ErrorReply

WITHOUT_FILE = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."


def waiting(client, count):
    until(lambda: f"blocked_clients:{count}" in client.command("INFO", "clients").decode())


@pytest.mark.parametrize("arguments, error", [
    ("2 0 0", "ERR value is out of range, value must between 0 and 1"),
    ("-1 0 0", "ERR value is out of range, value must between 0 and 1"),
    ("x 0 0", "ERR value is out of range, value must between 0 and 1"),
    ("0 -1 0", "ERR value is out of range, must be positive"),
    ("0 0 -1", "ERR timeout is negative"),
    ("0 0 x", "ERR timeout is not an integer or out of range"),
    ("0 0 9223372036854775807", "ERR timeout is out of range"),
    ("1 0 0", WITHOUT_FILE),
    ("1 5 10", WITHOUT_FILE),
    ("0 0", "ERR wrong number of arguments for 'waitaof' command"),
])
def test_bad_arguments(client, arguments, error):
    assert client.command("WAITAOF", *arguments.split()).text == error


def test_without_a_file_nothing_is_on_the_disk(client):
    assert client.command("WAITAOF", 0, 0, 0) == [0, 0]
    assert client.command("WAITAOF", 0, 1, 1) == [0, 0]
    client.command("MULTI")
    client.command("WAITAOF", 0, 1, 0)
    assert client.command("EXEC") == [[0, 0]]


@pytest.mark.server_options(*AOF, "--appendfsync", "always")
def test_what_is_synchronised_at_once(client):
    for i in range(3):
        client.send("SET", "k", i)
        client.send("WAITAOF", 1, 0, 0)
        assert [client.read().value, client.read().value] == [b"OK", [1, 0]]
    assert client.command("WAITAOF", 0, 0, 0) == [1, 0]
    assert client.command("WAITAOF", 1, 1, 1) == [1, 0]


@pytest.mark.server_options(*AOF, "--appendfsync", "everysec")
def test_what_is_synchronised_every_second(server):
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        assert client.command("WAITAOF", 1, 0, 0) == [1, 0]
        client.command("MULTI")
        client.command("SET", "k", "w")
        client.command("WAITAOF", 1, 0, 0)
        assert client.command("EXEC")[1][1] == 0


@pytest.mark.server_options(*AOF, "--appendfsync", "no")
def test_what_is_not_synchronised(server, client):
    client.command("SET", "k", "v")
    assert client.command("WAITAOF", 1, 0, 50) == [0, 0]
    with Client(server.port) as other, Client(server.port) as third:
        number = other.command("CLIENT", "ID")
        other.send("WAITAOF", 1, 0, 0)
        third.send("WAITAOF", 1, 0, 0)
        waiting(client, 2)
        client.command("CLIENT", "UNBLOCK", number, "ERROR")
        assert other.read().value.text.startswith("UNBLOCKED")
        other.send("BLPOP", "list", 0)  # which what is left of the wait must not end
        client.command("BGREWRITEAOF")
        rewritten(client)
        waiting(client, 2)
        client.command("CONFIG", "SET", "appendfsync", "everysec")
        assert third.read().value == [1, 0]
        client.command("RPUSH", "list", "a")
        assert other.read().value == [b"list", b"a"]


@pytest.mark.server_options(*AOF, "--appendfsync", "no")
def test_the_file_goes_away(server, client):
    client.command("SET", "k", "v")
    with Client(server.port) as other, Client(server.port) as gone:
        other.send("WAITAOF", 1, 0, 0)
        gone.send("WAITAOF", 1, 0, 0)
        waiting(client, 2)
        gone.close()
        waiting(client, 1)
        client.command("CONFIG", "SET", "appendonly", "no")
        reply = other.read().value
        assert isinstance(reply, ErrorReply) and reply.text == WITHOUT_FILE
        assert persistence(client)["aof_enabled"] == "0"
