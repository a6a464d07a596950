"""The wire protocol: framing, pipelines, malformed and oversized requests, HELLO; compared with redis-server."""
import socket
import time

import pytest

from harness.differential import closes_after, raw_output
from harness.process import ServerProcess, larder_binary
from harness.resp import Client, ErrorReply, encode

PING = b"*1\r\n$4\r\nPING\r\n"


def same_output(server, oracle, payload, password=None):
    """Both answer raw bytes identically, and agree whether that ends the connection."""
    expected = raw_output(oracle.port, [payload])
    assert raw_output(server.port, [payload]) == expected
    ends = [closes_after(process.port, payload, expected, password) for process in (server, oracle)]
    assert ends[0] == ends[1]
    return expected


# Well-formed requests

def test_ping_in_both_protocols(client):
    assert client.command("PING") == b"PONG"
    assert client.command("PING", "hello") == b"hello"


@pytest.mark.parametrize("payload", [
    b"PING\r\n",
    b"PING\n",
    b"  ping  \r\n",
    b"\r\n\r\nPING\r\n",
    b"ECHO \"a b\\r\\n\\x41\"\r\n",
    b"ECHO 'single \\' quote'\r\n",
    b"ECHO '' \r\n",
    b"SET inline 1\r\nGET inline\r\nDEL inline\r\n",
    b"ECHO \"unbalanced\r\n",
    b"ECHO 'a'b\r\n",
    b"ECHO \"a\"b\r\n",
    b"ECHO a\"b c\"d\r\n",
    b"nosuchcommand with args\r\n",
    b"\t\r\nPING\r\n",
])
def test_inline_requests(module_server, module_oracle, payload):
    same_output(module_server, module_oracle, payload)


@pytest.mark.parametrize("payload", [
    PING,
    PING * 3,
    b"*0\r\n" + PING,
    b"*-1\r\n" + PING,
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n",
    b"*2\r\n$04\r\nECHO\r\n$1\r\nx\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"*1\r\n$7\r\nUNKNOWN\r\n",
    encode(["nosuch", "a" * 300, "b" * 300]),
    encode(["nosuch", "a", "b\r\nc", b"\x00"]),
    encode(["n" * 300, "x"]),
    encode(["GET"]),
    encode(["get", "a", "b"]),
    encode(["quit"]) + PING,
    encode(["SET", "k", "v"]) + b"GET k\r\n" + encode(["DEL", "k"]),
])
def test_framed_requests(module_server, module_oracle, payload):
    same_output(module_server, module_oracle, payload)


@pytest.mark.parametrize("payload", [
    encode(["SET", "split", b"a\r\nb" * 5]) + encode(["GET", "split"]) + encode(["DEL", "split"]),
    b"SET split '1 2'\r\nGET split\r\nDEL split\r\n",
    PING + b"PING\r\n" + encode(["ECHO", "x" * 40]),
])
def test_split_writes(module_server, payload):
    whole = raw_output(module_server.port, [payload])
    for size in (1, 2, 3, 7):
        pieces = [payload[at:at + size] for at in range(0, len(payload), size)]
        assert raw_output(module_server.port, pieces, pause=0.0002) == whole


def test_many_requests_in_one_packet(module_server, module_oracle):
    payload = b"".join(encode(["SET", f"key:{i}", i]) + encode(["GET", f"key:{i}"]) for i in range(400))
    assert same_output(module_server, module_oracle, payload).count(b"+OK\r\n") == 400


def test_ten_thousand_pipelined(client):
    values = list(client.pipeline((("INCR", "counter") for _ in range(10_000)), batch=10_000))
    assert values == list(range(1, 10_001))


def test_a_pipeline_whose_replies_are_read_late(client):
    """The server must neither lose replies nor stop reading for good while the client does not read."""
    client.command("SET", "big", b"x" * 100_000)
    count = 300
    client.send_raw(encode(["GET", "big"]) * count)
    time.sleep(0.3)
    for _ in range(count):
        assert len(client.read().value) == 100_000


def test_one_client_that_does_not_read_holds_up_no_other(server):
    with Client(server.port) as lazy, Client(server.port) as other:
        lazy.command("SET", "big", b"x" * 1_000_000)
        lazy.send_raw(encode(["GET", "big"]) * 50)
        for _ in range(100):
            assert other.command("PING") == b"PONG"


def test_binary_keys_and_values(client):
    everything = bytes(range(256)) * 3
    assert client.command("SET", everything, everything) == b"OK"
    assert client.command("GET", everything) == everything


@pytest.mark.parametrize("size", [0, 1, 15, 44, 45, 16_383, 16_384, 32_767, 32_768, 65_535, 65_536, 1_000_003])
def test_argument_sizes(client, size):
    value = bytes(i * 31 % 251 for i in range(997)) * (size // 997 + 1)
    value = value[:size]
    assert client.command("SET", "k", value) == b"OK"
    assert client.command("GET", "k") == value
    assert client.command("STRLEN", "k") == size


def test_a_large_argument_in_small_pieces(client):
    value = bytes(range(251)) * 2000
    request = encode(["SET", "k", value]) + encode(["GET", "k"])
    for at in range(0, len(request), 9_973):
        client.send_raw(request[at:at + 9_973])
    assert client.read().value == b"OK"
    assert client.read().value == value


def test_a_hundred_thousand_arguments(client):
    keys = [f"k{i}" for i in range(50_000)]
    assert client.command("MSET", *(x for key in keys for x in (key, key))) == b"OK"
    assert client.command("MGET", *keys) == [key.encode() for key in keys]
    assert client.command("DEL", *keys) == 50_000


# Malformed requests

@pytest.mark.parametrize("payload", [
    b"*x\r\n",
    b"*1x\r\n",
    b"*\r\n",
    b"*+1\r\n",
    b"* 1\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n:4\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$4x\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$99999999999999999999\r\n",
    b"*99999999999999999999\r\n",
    b"*2147483648\r\n",
    b"*1048577000000\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$4\r\nPINGxx" + PING,
    PING + b"*1\r\nxx\r\n" + PING,
    b"*2\r\n$4\r\nECHO\r\n",
    b"*1\r\n$4\r\nPI",
    b"*1\r\n$4",
    b"PING",
    b"",
    b"\r",
    b"+OK\r\n",
    b"$4\r\nPING\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"Host: localhost\r\n",
])
def test_malformed_requests(module_server, module_oracle, payload):
    same_output(module_server, module_oracle, payload)


@pytest.mark.parametrize("start", [b"x", b"*1", b"*1\r\n$1"])
def test_an_endless_line_is_refused(module_server, module_oracle, start):
    same_output(module_server, module_oracle, start + b"1" * 70_000)


def test_a_bulk_length_beyond_the_limit_is_refused_before_the_bulk(server):
    with Client(server.port) as c:
        assert c.command("CONFIG", "SET", "proto-max-bulk-len", 1 << 20) == b"OK"
        c.send_raw(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")
        assert c.read().value == ErrorReply("ERR Protocol error: invalid bulk length")
        assert c.is_closed_by_server()
    with Client(server.port) as c:
        assert len(c.command("ECHO", "x" * (1 << 20))) == 1 << 20


def test_a_client_that_leaves_in_the_middle_harms_nobody(server):
    for part in (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nabc", encode(["GET", "k"]) * 1000, b"*1\r\n"):
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(part)
    with Client(server.port) as c:
        assert c.command("PING") == b"PONG"


# HELLO and authentication

def without_identity(reply):
    """HELLO's reply but for what says which server, version and connection this is, and what is built in."""
    if not isinstance(reply, (dict, list)):
        return reply
    fields = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))
    return {key: value for key, value in fields.items() if key not in (b"version", b"id", b"modules")}


@pytest.mark.parametrize("command", [
    "HELLO", "HELLO 2", "HELLO 3", "HELLO 1", "HELLO 4", "HELLO abc", "HELLO 3 SETNAME me", "HELLO 2 SETNAME",
    "HELLO 3 AUTH default nothing", "HELLO 3 AUTH default", "HELLO 3 NOSUCH", "HELLO 3 AUTH nobody x SETNAME y",
    "HELLO SETNAME x", "hello 3 setname lower", "HELLO 2 SETNAME a SETNAME b",
])
def test_hello(pair, command):
    replies = [without_identity(client.command(*command.split())) for client in pair.both]
    assert replies[0] == replies[1]
    pair.same("CLIENT GETNAME", ("HELLO", 2, "SETNAME", "with blank"), "CLIENT GETNAME", "GET nothing")


def test_hello_switches_back_and_forth(pair):
    for protocol in (2, 3, 2, 3):
        for client in pair.both:
            client.command("HELLO", protocol)
        pair.same("GET nothing", "MGET a b", ("CONFIG", "GET", "maxmemory-policy"), "SET k v XX", "INCRBYFLOAT f 1.5")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, oracle_command):
    options = ("--requirepass", "secret")
    ours = ServerProcess([larder_binary()], options, tmp_path_factory.mktemp("guarded"), name="server")
    theirs = ServerProcess(oracle_command, options, tmp_path_factory.mktemp("guarded-oracle"), name="oracle")
    yield ours, theirs
    for process in (ours, theirs):
        process.stop_cleanly()


@pytest.mark.parametrize("payload", [
    encode(["GET", "k"]) + PING + encode(["AUTH", "secret"]) + PING,
    encode(["AUTH", "wrong"]) + encode(["AUTH", "default", "secret"]) + encode(["SET", "k", "v"]),
    encode(["AUTH"]) + encode(["AUTH", "a", "b", "c"]) + encode(["AUTH", "nobody", "secret"]),
    encode(["HELLO", 3]) + encode(["HELLO", 3, "AUTH", "default", "wrong"]) + encode(["HELLO", "SETNAME", "x"]),
    encode(["NOSUCH", "k"]) + encode(["GET"]) + encode(["RESET"]) + encode(["MULTI"]),
    encode(["GET"] + ["k"] * 9),
    encode(["GET"] + ["k"] * 10),
    encode(["ECHO", "x" * 16_384]),
    encode(["ECHO", "x" * 16_385]),
    encode(["AUTH", "secret"]) + encode(["ECHO", "x" * 16_385]) + encode(["MGET"] + ["k"] * 20),
    encode(["QUIT"]),
])
def test_what_the_unauthenticated_may_do(guarded, payload):
    same_output(*guarded, payload, "secret")


def test_a_password_given_by_hello(guarded):
    for process in guarded:
        with Client(process.port) as c:
            assert isinstance(c.command("HELLO", 3), ErrorReply)
            assert isinstance(c.command("HELLO", 3, "AUTH", "default", "secret"), dict)
            assert c.command("SET", "k", "v") == b"OK"


# Connections

def test_a_thousand_connections(server):
    clients = [Client(server.port) for _ in range(1000)]
    try:
        for i, c in enumerate(clients):
            c.send("SET", f"key:{i}", i)
        assert all(c.read().value == b"OK" for c in clients)
        assert clients[0].command("DBSIZE") == 1000
    finally:
        for c in clients:
            c.close()


@pytest.mark.server_options("--maxclients", "10")
def test_more_connections_than_allowed(server):
    clients = [Client(server.port)]
    try:
        while int(clients[0].info("clients")["connected_clients"]) > 1:  # the probe of readiness
            time.sleep(0.01)
        clients += [Client(server.port) for _ in range(9)]
        assert all(c.command("PING") == b"PONG" for c in clients)
        with Client(server.port) as refused:
            assert refused.read().value == ErrorReply("ERR max number of clients reached")
            assert refused.is_closed_by_server()
    finally:
        for c in clients:
            c.close()


def test_reset_and_quit(pair):
    pair.same("SELECT 3", "MULTI", "RESET")
    pair.same("PING", "CLIENT GETNAME", "GET nothing", "QUIT")
    assert all(client.is_closed_by_server() for client in pair.both)


@pytest.mark.server_options("--enable-debug-command", "yes")
@pytest.mark.parametrize("how", ["come together", "go on together"])
def test_more_requests_of_many_clients_than_are_executed_at_once(server, how):
    """Each is carried out once, and in its client's order, behind what it has to wait for."""
    count, clients = 250, [Client(server.port) for _ in range(12)]
    with Client(server.port) as other:
        assert all(client.command("PING") == b"PONG" for client in clients)
        if how == "come together":
            other.send("DEBUG", "SLEEP", "0.2")
        else:
            assert other.command("CLIENT", "PAUSE", 60000) == b"OK"
        for number, client in enumerate(clients):
            some = b"INCR n\r\n" * count
            client.send_raw(some + encode(("BLPOP", f"q{number}", 0)) + some)
        assert (other.read().value if how == "come together" else other.command("CLIENT", "UNPAUSE")) == b"OK"
        found = [[client.read().value for _ in range(count)] for client in clients]
        other.load(("RPUSH", f"q{number}", "go") for number in range(len(clients)))
        for number, (client, numbers) in enumerate(zip(clients, found)):
            assert client.read().value == [b"q%d" % number, b"go"]
            numbers += [client.read().value for _ in range(count)]
            assert numbers == sorted(set(numbers))
            client.close()
        assert other.command("GET", "n") == b"%d" % (2 * count * len(clients))
