"""Bounds: clients that never read, that never finish, that are too many, too idle; and what idle ones cost."""
import errno
import os
import resource
import signal
import socket
import time

import pytest

from harness.resp import Client, ConnectionClosed, ErrorReply
from harness.waiting import has_answered, until
from test_aof_faults import faults, faults_library  # noqa: F401


def test_a_client_that_never_reads_is_cut_off(start_server):
    server = start_server("--client-output-buffer-limit", "normal 4mb 0 0")
    with Client(server.port) as other, Client(server.port) as lazy:
        other.command("SET", "big", "x" * 1_000_000)
        lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(OSError):
            for _ in range(60_000):
                lazy.send_raw(b"GET big\r\n" * 10)
                time.sleep(0.001)
        assert other.command("PING") == b"PONG"
        info = other.info("stats")
        assert info["client_output_buffer_limit_disconnections"] == "1"
    assert "output buffer" in server.log()


def test_small_answers_are_below_every_limit(start_server):
    server = start_server("--client-output-buffer-limit", "normal 10 0 0")
    with Client(server.port) as client, Client(server.port) as other:
        client.command("SET", "small", "x" * 10_000)
        client.command("SET", "big", "x" * 20_000)
        assert len(client.command("GET", "small")) == 10_000
        with pytest.raises(ConnectionClosed):
            client.command("GET", "big")
        assert other.info("stats")["client_output_buffer_limit_disconnections"] == "1"


def test_a_soft_limit_counts_seconds(start_server):
    server = start_server("--client-output-buffer-limit", "normal 0 1mb 1")
    with Client(server.port) as other, Client(server.port) as lazy:
        other.command("SET", "big", "x" * 8_000_000)
        began = time.monotonic()
        for _ in range(3):
            lazy.send("GET", "big")
        until(lambda: other.info("clients")["connected_clients"] == "1")
        assert time.monotonic() - began > 0.9


def test_a_request_that_grows_beyond_the_query_buffer(start_server):
    server = start_server("--client-query-buffer-limit", "1mb")
    with Client(server.port) as client, Client(server.port) as other:
        client.send_raw(b"*1000000\r\n$4\r\nMGET\r\n")
        with pytest.raises(OSError):
            for _ in range(120_000):
                client.send_raw(b"$1000\r\n" + b"k" * 1000 + b"\r\n")
                time.sleep(0.0005)
        assert other.command("PING") == b"PONG"
        assert other.info("stats")["client_query_buffer_limit_disconnections"] == "1"
    assert "query buffer" in server.log()


def test_a_paused_client_cannot_fill_the_memory(server):
    """What a client sends while it may not run is left in the socket, beyond a small amount."""
    with Client(server.port) as client, Client(server.port) as other:
        other.command("CLIENT", "PAUSE", 60000, "WRITE")
        client.sock.settimeout(1)
        before = int(other.info("memory")["used_memory"])
        with pytest.raises(TimeoutError):
            for _ in range(20_000):
                client.send_raw(b"SET key " + b"x" * 10_000 + b"\r\n")
        assert int(other.info("memory")["used_memory"]) - before < 4 << 20
        other.command("CLIENT", "UNPAUSE")


def test_idle_clients_are_closed_after_the_timeout(start_server):
    server = start_server("--timeout", "1")
    for _ in range(10):
        with Client(server.port) as idle, Client(server.port) as busy:
            last, pause = time.monotonic(), 0
            while not has_answered(idle) and pause < 0.9:  # this process may sleep too long to be busy
                assert busy.command("PING") == b"PONG"
                time.sleep(0.1)
                pause, last = time.monotonic() - last, time.monotonic()
            if pause < 0.9:
                assert idle.is_closed_by_server()
                assert busy.command("PING") == b"PONG"
                return
    raise AssertionError("this machine is too slow")


def test_a_server_that_was_stopped_reads_before_it_calls_anybody_idle(start_server):
    server = start_server("--timeout", "1")
    with Client(server.port) as client:
        client.command("PING")
        os.kill(server.pid, signal.SIGSTOP)
        client.send("PING")
        time.sleep(1.3)
        os.kill(server.pid, signal.SIGCONT)
        assert client.read().value == b"PONG"
        assert client.is_closed_by_server()


def test_protected_mode_needs_no_password_on_the_machine_itself(start_server):
    server = start_server("--protected-mode", "yes")
    with Client(server.port) as client:
        assert client.command("PING") == b"PONG"


def test_protected_mode_turns_strangers_away_until_there_is_a_password(start_server, faults):  # noqa: F811
    server = start_server("--protected-mode", "yes")
    with Client(server.port) as client:
        assert client.command("PING") == b"PONG"
        faults("stranger=1")
        with Client(server.port) as stranger:
            stranger.send("SET", "a", "1")
            assert stranger.read().value.text.startswith("DENIED ")
            assert stranger.is_closed_by_server()
        assert client.command("CONFIG", "SET", "requirepass", "secret") == b"OK"
        with Client(server.port) as stranger:
            assert stranger.command("PING").text.startswith("NOAUTH")
            assert stranger.command("AUTH", "secret") == b"OK"
            assert b"addr=192.0.2.1:" in stranger.command("CLIENT", "INFO")
        client.command("CONFIG", "SET", "requirepass", "", "protected-mode", "no")
        with Client(server.port) as stranger:
            assert stranger.command("EXISTS", "a") == 0


@pytest.mark.parametrize("allowed", ["no", "local", "yes"])
def test_what_strangers_may_be_kept_from(start_server, faults, allowed):  # noqa: F811
    server = start_server("--protected-mode", "no", "--enable-protected-configs", allowed, "--enable-debug-command",
                          allowed)
    tried = ["CONFIG SET dbfilename x.rdb", "DEBUG SLEEP 0"]
    with Client(server.port) as client:
        assert all(isinstance(client.command(*words.split()), ErrorReply) == (allowed == "no") for words in tried)
        faults("stranger=1")
        with Client(server.port) as stranger:
            refused = [isinstance(stranger.command(*words.split()), ErrorReply) for words in tried]
            assert refused == [allowed != "yes"] * 2


def test_no_file_descriptor_left_for_a_connection(start_server, faults):  # noqa: F811
    server = start_server()
    with Client(server.port) as client:
        assert client.command("PING") == b"PONG"
        faults(f"accept={errno.EMFILE}")
        with Client(server.port) as waiting:
            waiting.send("PING")
            until(lambda: "Accepting client connection" in server.log())
            assert client.command("PING") == b"PONG"
            faults()
            assert waiting.read().value == b"PONG"
        assert "Accepting client connection: accept: Too many open files" in server.log()


def test_unix_socket(start_server, tmp_path):
    path = tmp_path / "s.sock"
    start_server("--unixsocket", path, "--unixsocketperm", "700")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(b"PING\r\n")
        assert s.recv(100) == b"+PONG\r\n"
        s.sendall(b"CLIENT INFO\r\n")
        assert f"addr={path}:0".encode() in s.recv(4096)
    assert path.stat().st_mode & 0o777 == 0o700


def test_renamed_commands(start_server, tmp_path):
    file = tmp_path / "renamed.conf"
    file.write_text('rename-command FLUSHALL ""\nrename-command CONFIG hidden-config\n')
    server = start_server("--include", file)
    with Client(server.port) as client:
        assert client.command("FLUSHALL").text.startswith("ERR unknown command 'FLUSHALL'")
        assert isinstance(client.command("CONFIG", "GET", "port"), ErrorReply)
        assert client.command("HIDDEN-CONFIG", "GET", "port") == [b"port", str(server.port).encode()]


def test_large_values_arrive_whole(server):
    value = bytes(range(256)) * 100_000  # 25.6 MB
    with Client(server.port) as client:
        for size in (32_767, 32_768, 65_536, 1_000_001, len(value)):
            assert client.command("SET", "big", value[:size]) == b"OK"
            assert client.command("STRLEN", "big") == size
            assert client.command("GET", "big") == value[:size]
        assert client.command("APPEND", "big", b"tail") == len(value) + 4
        assert client.command("GETRANGE", "big", -6, -1) == value[-2:] + b"tail"


def test_large_values_in_a_pipeline_with_others(server):
    value = b"v" * 3_000_000
    with Client(server.port) as client:
        commands = [("SET", "a", value), ("GET", "a"), ("PING",), ("SET", "b", value), ("DEL", "a"), ("GET", "b")]
        replies = list(client.pipeline(commands))
    assert replies == [b"OK", value, b"PONG", b"OK", 1, value]


def raise_file_limit(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count <= hard or hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= count


def test_ten_thousand_idle_connections_are_cheap(start_server):
    assert raise_file_limit(10_500), "this machine does not allow ten thousand files"
    server = start_server("--maxclients", "10100")
    with Client(server.port) as client:
        client.command("PING")
        before = server.resident_bytes()
        idle = []
        try:
            for _ in range(10_000):
                s = socket.create_connection(("127.0.0.1", server.port))
                idle.append(s)
            for s in idle:
                s.sendall(b"PING\r\n")
            for s in idle:
                assert s.recv(16) == b"+PONG\r\n"
            assert client.info("clients")["connected_clients"] == "10001"
            added = server.resident_bytes() - before
            if client.info("memory")["mem_allocator"].startswith("jemalloc"):  # a sanitizer's takes more
                assert added <= 15 << 20, f"{added / (1 << 20):.1f} MB"
        finally:
            for s in idle:
                s.close()
        until(lambda: client.info("clients")["connected_clients"] == "1")


@pytest.mark.server_options("--enable-debug-command", "yes", "--client-output-buffer-limit", "normal 200000 0 0")
@pytest.mark.parametrize("command", ("LRANGE l 0 -1", "KEYS *"))
def test_a_long_reply_is_given_up_when_it_breaks_the_limit(server, command):
    """Between two slices, as soon as what has been written is above the limit. A handler that runs aside comes to its
    end nevertheless, as when its client leaves, and what it wrote is given back then."""
    with Client(server.port) as client, Client(server.port) as swamped:
        if command == "KEYS *":
            client.command("DEBUG", "POPULATE", 200_000, "k" * 100, 1)
        else:
            client.load([("RPUSH", "l", *["x" * 1000] * 1000)] * 20)

        def info(name):
            text = client.command("INFO").decode()
            return int(next(line for line in text.splitlines() if line.startswith(name + ":")).split(":")[1])

        before = info("used_memory")
        client.command("DEBUG", "TASK-STEPS", 0)
        swamped.send(*command.split())
        until(lambda: b" cmd=" + command.split()[0].lower().encode() in client.command("CLIENT", "LIST"))
        while not info("client_output_buffer_limit_disconnections"):
            assert info("used_memory") - before < 3_000_000
            client.command("DEBUG", "TASK-STEPS", 1)
        client.command("DEBUG", "TASK-STEPS", -1)
        with pytest.raises((ConnectionError, ConnectionClosed)):
            swamped.read()
        until(lambda: info("connected_clients") == 1 and info("used_memory") - before < 3_000_000)
        assert info("total_net_output_bytes") < 2_000_000


def test_very_many_leave_and_come_back_at_once(start_server):
    """They are taken leave of in several turns, and those who come meanwhile find room."""
    count = 300
    server = start_server("--maxclients", str(count + 1))
    with Client(server.port) as other:
        clients = [Client(server.port) for _ in range(count)]
        for client in clients:
            client.command("SUBSCRIBE", "all")
        assert other.command("CLIENT", "KILL", "TYPE", "pubsub") == count
        again = [Client(server.port) for _ in range(count)]
        for client in again:
            assert client.command("PING") == b"PONG"
        until(lambda: other.info("clients")["connected_clients"] == str(count + 1))
        assert other.command("PUBLISH", "all", "x") == 0
        for client in clients:
            with pytest.raises(ConnectionClosed):
                client.read()
        for client in clients + again:
            client.close()
        until(lambda: other.info("clients")["connected_clients"] == "1")
