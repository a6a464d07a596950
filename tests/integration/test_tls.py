"""TLS: certificates made on the spot, real clients, and everything that somebody unknown may send instead.

Handshakes, both protocols, resumption, client certificates, replacing certificates while clients are connected, floods
in both directions over slow readers, and the clients' own tools (redis-cli --tls, redis-py over rediss://).
"""
import functools
import random
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness.process import StartFailed, free_port, larder_binary
from harness.resp import Client, ErrorReply, encode
from harness.waiting import until
from test_aof_faults import faults, faults_library, number_in  # noqa: F401: fixtures

PROTOCOLS = (2,)

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="certificates are made by openssl")


class Authority:
    """A CA, and what it has signed, in a directory."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.cert, self.key = directory / f"{name}.crt", directory / f"{name}.key"
        run("req", "-x509", *NEW_KEY, "-nodes", "-keyout", self.key, "-out", self.cert, "-subj", f"/CN={name}",
            "-days", "2")

    def sign(self, name, password=None, days=2):
        cert, key, request = (self.directory / f"{self.name}-{name}.{end}" for end in ("crt", "key", "csr"))
        protection = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        extensions = self.directory / "san.cnf"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        run("req", *NEW_KEY, *protection, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        run("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-out", cert,
            "-days", str(days), "-extfile", extensions)
        return cert, key


NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


def run(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Certificates:
    def __init__(self, directory):
        self.ca, self.other_ca = Authority(directory, "ca"), Authority(directory, "otherca")
        self.cert, self.key = self.ca.sign("server")
        self.second = self.ca.sign("second")
        self.protected = self.ca.sign("protected", password="pass word")
        self.client, self.stranger = self.ca.sign("client"), self.other_ca.sign("stranger")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@functools.cache
def is_built():
    """A server without a certificate does not start, but says why: for want of that, or of TLS."""
    command = [larder_binary(), "--port", "0", "--tls-port", str(free_port()), "--bind", "127.0.0.1"]
    return "built without TLS" not in subprocess.run(command, capture_output=True, text=True, timeout=20).stdout


class TlsServer:
    def __init__(self, start_server, certs, *options, auth="no"):
        self.tls_port = free_port()
        self.certs = certs
        if not is_built():
            pytest.skip("this server was built without TLS")
        self.process = start_server("--tls-port", self.tls_port, "--tls-cert-file", certs.cert, "--tls-key-file",
                                    certs.key, "--tls-ca-cert-file", certs.ca.cert, "--tls-auth-clients", auth,
                                    "--loglevel", "verbose", *options)

    def context(self, cert=None):
        context = ssl.create_default_context(cafile=self.certs.ca.cert)
        if cert:
            context.load_cert_chain(*cert)
        return context

    def connect(self, context=None, session=None, timeout=30):
        sock = socket.create_connection(("127.0.0.1", self.tls_port), timeout=timeout)
        return (context or self.context()).wrap_socket(sock, server_hostname="localhost", session=session)

    def client(self, context=None, session=None):
        client = Client.__new__(Client)
        client.port, client.sock = self.tls_port, self.connect(context, session)
        client._file = client.sock.makefile("rb", buffering=1 << 18)
        return client

    def plain(self):
        return Client(self.process.port)

    def stats(self):
        with self.plain() as client:
            return {name: int(value) for name, value in client.info("stats").items() if name.startswith("tls_")}


@pytest.fixture
def tls(start_server, certs):
    return TlsServer(start_server, certs)


def test_a_conversation(tls):
    with tls.client() as client:
        assert client.command("PING") == b"PONG"
        assert client.command("SET", "k", "v") == b"OK"
        assert client.command("HELLO", 3)[b"proto"] == 3
        listing = client.command("CLIENT", "LIST")
        assert b"laddr=127.0.0.1:%d " % tls.tls_port in listing
    assert tls.stats()["tls_handshakes"] == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_protocols(tls, version):
    context = tls.context()
    context.minimum_version = context.maximum_version = version
    with tls.client(context) as client:
        assert client.sock.version() == version.name.replace("_", ".")
        assert client.command("ECHO", "x" * 100_000) == b"x" * 100_000


def test_protocols_are_those_configured(start_server, certs):
    server = TlsServer(start_server, certs, "--tls-protocols", "TLSv1.3")
    old = server.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        server.connect(old)
    with server.plain() as client:
        assert client.command("CONFIG", "SET", "tls-protocols", "TLSv1.2") == b"OK"
        assert client.command("CONFIG", "GET", "tls-protocols") == [b"tls-protocols", b"TLSv1.2"]
        assert isinstance(client.command("CONFIG", "SET", "tls-protocols", "TLSv9"), ErrorReply)
        assert client.command("CONFIG", "GET", "tls-protocols") == [b"tls-protocols", b"TLSv1.2"]
        assert client.command("CONFIG", "SET", "tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256") == b"OK"
        assert isinstance(client.command("CONFIG", "SET", "tls-ciphers", "NOSUCH"), ErrorReply)
    with server.connect(old) as sock:
        assert sock.cipher()[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"
    with server.plain() as client:
        assert client.command("CONFIG", "SET", "tls-protocols", "TLSv1.3") == b"OK"
        assert client.command("CONFIG", "SET", "tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256") == b"OK"
        assert isinstance(client.command("CONFIG", "SET", "tls-ciphersuites", "NOSUCH"), ErrorReply)
    with server.connect() as sock:
        assert sock.cipher()[0] == "TLS_CHACHA20_POLY1305_SHA256"


def test_the_port_can_be_the_only_one(certs, start_server, tmp_path):
    """`port 0` in a file, tls-port beside it; the plain port is then switched on and off while it runs."""
    server = TlsServer(start_server, certs)
    with server.client() as client:
        plain = server.process.port
        assert client.command("CONFIG", "SET", "port", "0") == b"OK"
        with pytest.raises(OSError):
            Client(plain)
        assert b"tcp_port:%d\r\n" % server.tls_port in client.command("INFO", "server")
        with server.client() as other:
            assert other.command("PING") == b"PONG"
        assert client.command("CONFIG", "SET", "port", plain) == b"OK"
        assert client.command("CONFIG", "SET", "tls-port", "0") == b"OK"
        with pytest.raises(OSError):
            server.connect()
        assert client.command("PING") == b"PONG"
        assert client.command("CONFIG", "SET", "tls-port", server.tls_port) == b"OK"
        server.client().close()


def test_sessions_are_resumed(tls):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        before = tls.stats()
        context = tls.context()
        context.minimum_version = context.maximum_version = version
        with tls.client(context) as client:
            client.command("PING")
            session = client.sock.session
        with tls.client(context, session) as client:
            assert client.command("PING") == b"PONG"
            assert client.sock.session_reused
        assert tls.stats()["tls_sessions_resumed"] == before["tls_sessions_resumed"] + 1
    with tls.plain() as client:
        assert client.command("CONFIG", "SET", "tls-session-caching", "no") == b"OK"
    with tls.client(context) as client:
        client.command("PING")
        session = client.sock.session
    with tls.client(context, session) as client:
        assert client.command("PING") == b"PONG" and not client.sock.session_reused


def test_who_does_not_know_our_ca_leaves(tls):
    context = ssl.create_default_context(cafile=tls.certs.other_ca.cert)
    with pytest.raises(ssl.SSLCertVerificationError):
        tls.connect(context)
    until(lambda: tls.stats()["tls_handshakes_failed"] == 1)
    assert "Error accepting a client connection" in tls.process.log()


def is_refused(server, context):
    """In TLS 1.3 the client hears of it only when it reads."""
    try:
        with server.connect(context) as sock:
            sock.sendall(encode(["PING"]))
            return sock.recv(100) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_client_certificates(start_server, certs):
    server = TlsServer(start_server, certs, auth="yes")
    with server.client(server.context(certs.client)) as client:
        assert client.command("ACL", "WHOAMI") == b"default"
    assert is_refused(server, server.context())
    assert is_refused(server, server.context(certs.stranger))
    with server.plain() as client:
        assert client.command("CONFIG", "SET", "tls-auth-clients", "optional") == b"OK"
    assert not is_refused(server, server.context())
    assert not is_refused(server, server.context(certs.client))
    assert is_refused(server, server.context(certs.stranger))


def served_certificate(server):
    with server.connect() as sock:
        return sock.getpeercert()["subject"][0][0][1]


def test_certificates_are_replaced_or_stay(tls):
    certs = tls.certs
    with tls.client() as old, tls.plain() as client:
        cert, key = certs.second
        wrong = client.command("CONFIG", "SET", "tls-cert-file", cert)
        assert wrong == ErrorReply("ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - "
                                   "Unable to update TLS configuration. Check server logs.")
        for path in ("/nonexistent", certs.key, ""):
            assert isinstance(client.command("CONFIG", "SET", "tls-cert-file", path), ErrorReply)
        assert served_certificate(tls) == "server"
        assert client.command("CONFIG", "GET", "tls-cert-file")[1] == str(certs.cert).encode()
        assert client.command("CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key) == b"OK"
        assert served_certificate(tls) == "second"
        assert old.command("PING") == b"PONG"
        protected_cert, protected_key = certs.protected
        both = ("tls-cert-file", protected_cert, "tls-key-file", protected_key)
        assert isinstance(client.command("CONFIG", "SET", *both), ErrorReply)
        assert isinstance(client.command("CONFIG", "SET", *both, "tls-key-file-pass", "wrong"), ErrorReply)
        assert client.command("CONFIG", "SET", *both, "tls-key-file-pass", "pass word") == b"OK"
        assert served_certificate(tls) == "protected"
    assert "pass word" not in tls.process.log()


def test_hangup_reads_certificates_again(start_server, certs, tmp_path):
    cert, key = tmp_path / "now.crt", tmp_path / "now.key"
    shutil.copy(certs.cert, cert), shutil.copy(certs.key, key)
    server = TlsServer(start_server, certs, "--tls-cert-file", cert, "--tls-key-file", key)
    assert served_certificate(server) == "server"
    shutil.copy(certs.second[0], cert)
    server.process.process.send_signal(1)  # SIGHUP: the key does not fit yet
    until(lambda: "that fits the certificate" in server.process.log() or "Failed to load" in server.process.log())
    assert served_certificate(server) == "server"
    shutil.copy(certs.second[1], key)
    server.process.process.send_signal(1)
    until(lambda: served_certificate(server) == "second")


@pytest.mark.parametrize("options", [("--tls-cert-file", ""), ("--tls-key-file", "/nonexistent"),
                                     ("--tls-ca-cert-file", "", "--tls-auth-clients", "yes"),
                                     ("--tls-ciphers", "NOSUCH"), ("--tls-dh-params-file", "/nonexistent")])
def test_no_start_without_what_it_takes(certs, start_server, options):
    with pytest.raises(StartFailed, match="Failed to configure TLS"):
        TlsServer(start_server, certs, *options)


def test_dh_parameters(start_server, certs, tmp_path):
    params = tmp_path / "dh.pem"
    run("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", params)
    server = TlsServer(start_server, certs, "--tls-dh-params-file", params)
    with server.client() as client:
        assert client.command("PING") == b"PONG"


def test_plain_text_on_the_tls_port(tls):
    for text in (encode(["PING"]), b"PING\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"\x16\x03\x01\xff\xff" + b"x" * 70_000, random.Random(5).randbytes(5000), b"\x16"):
        sock = socket.create_connection(("127.0.0.1", tls.tls_port))
        try:
            sock.settimeout(10)
            sock.sendall(text)
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(1000):
                assert b"PONG" not in data
        except OSError as error:
            assert not isinstance(error, TimeoutError)
        sock.close()
    with tls.plain() as client:
        assert client.info("stats")["tls_handshakes"] == "0"
        assert client.info("clients")["connected_clients"] == "1"
    tls.client().close()


def test_tls_on_the_plain_port(tls):
    sock = socket.create_connection(("127.0.0.1", tls.process.port))
    sock.settimeout(2)
    with pytest.raises((ssl.SSLError, OSError)):
        tls.context().wrap_socket(sock, server_hostname="localhost")
    with tls.plain() as client:
        assert client.command("PING") == b"PONG"


def test_half_open_handshakes_cost_little_and_end(tls):
    """They are no clients, own next to nothing, and are closed after ten seconds whatever they drip."""
    with tls.plain() as client:
        before, start = int(client.info("memory")["used_memory"]), time.monotonic()
        idle = [socket.create_connection(("127.0.0.1", tls.tls_port)) for _ in range(500)]
        dripping = socket.create_connection(("127.0.0.1", tls.tls_port))
        dripping.sendall(b"\x16\x03\x01\x01\x00\x01")
        until(lambda: int(client.info("stats")["total_connections_received"]) >= 502)
        assert (int(client.info("memory")["used_memory"]) - before) / 500 < 1000
        assert client.info("clients")["connected_clients"] == "1"
        for sock in [*idle[:5], dripping]:
            sock.settimeout(60)
            assert sock.recv(1) == b""
            assert time.monotonic() - start > 9
        until(lambda: int(client.info("stats")["tls_handshakes_failed"]) == 501)
        for sock in [*idle, dripping]:
            sock.close()


def test_clients_without_a_password_get_small_requests_only(start_server, certs):
    server = TlsServer(start_server, certs, "--requirepass", "secret")
    for request in (b"*100000\r\n", b"*1\r\n$100000000\r\n"):
        with server.client() as client:
            client.send_raw(request)
            assert client.read().value.text.startswith("ERR Protocol error: unauthenticated")
    with server.client() as client:
        assert client.command("AUTH", "secret") == b"OK"
        assert client.command("SET", "k", "x" * 1_000_000) == b"OK"


class Conversation:
    """A program that is talked to, and what it has said so far."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.said = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        while data := self.process.stdout.read1(1 << 16):
            self.said += data

    def until(self, text, count=1):
        until(lambda: self.said.count(text) >= count)

    def say(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        return self.said


def test_renegotiation_is_off(tls):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{tls.tls_port}", "-tls1_2", "-CAfile",
               str(tls.certs.ca.cert)]
    talk = Conversation(command)
    talk.until(b"Verify return code")
    talk.say(b"R\n")
    talk.until(b"no renegotiation")
    assert b"renegotiat" in talk.end().lower()
    assert tls.stats()["tls_handshakes"] == 1


def test_key_updates(tls):
    """A peer may change its keys at any time and ask us to: that is a write in the midst of reading."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{tls.tls_port}", "-tls1_3", "-CAfile",
               str(tls.certs.ca.cert)]
    talk = Conversation(command)
    talk.until(b"Verify return code")
    for number in range(3):
        talk.say(b"K\n")
        talk.until(b"KEYUPDATE", number + 1)
    talk.say(b"ECHO still-here\n")
    talk.until(b"still-here")
    talk.end()


def test_every_split_of_a_request(tls, seed):
    rng = random.Random(seed)
    print("seed", seed)
    with tls.client() as client:
        request = b"".join(encode(["ECHO", "x" * n]) for n in (0, 1, 100, 17_000, 40_000))
        for _ in range(8):
            at = 0
            while at < len(request):
                size = rng.choice((1, 5, 100, 4096, 16384, 20_000))
                client.send_raw(request[at:at + size])
                at += size
            for n in (0, 1, 100, 17_000, 40_000):
                assert client.read().value == b"x" * n


def test_a_large_value_goes_both_ways(tls):
    value = random.Random(3).randbytes(30_000_000)
    with tls.client() as client:
        assert client.command("SET", "large", value) == b"OK"
        assert client.command("STRLEN", "large") == len(value)
        assert client.command("GET", "large") == value
        # Something behind a large argument in the same records is not left lying.
        client.send_raw(encode(["SET", "k", value[:100_000]]) + encode(["PING"]) * 3)
        assert [client.read().value for _ in range(4)] == [b"OK"] + [b"PONG"] * 3


@pytest.mark.parametrize("size", [1, 900, 5000, 40_000])
def test_pipelines_with_a_slow_reader(tls, size):
    """Much goes out while the socket takes it in pieces: records are tried again as they were."""
    values = [b"%07d" % i + b"v" * size for i in range(50)]
    count = min(20_000, 20_000_000 // size)
    with tls.client() as client:
        for i, value in enumerate(values):
            client.command("SET", f"k{i}", value)
        client.send_raw(b"".join(encode(["GET", f"k{i % 50}"]) for i in range(count)))
        time.sleep(0.3)
        for i in range(count):
            assert client.read().value == values[i % 50]


def test_pipelines_both_ways_at_once(tls):
    """Requests and replies flow at the same time, through full buffers."""
    value = b"x" * 3000
    request = encode(["ECHO", value]) * 5000
    sock = tls.connect()
    sock.setblocking(False)
    sent = got = 0
    deadline = time.monotonic() + 60
    expected = len(b"$3000\r\n" + value + b"\r\n") * 5000
    while got < expected:
        assert time.monotonic() < deadline
        idle = True
        try:
            if sent < len(request):
                sent += sock.send(request[sent:sent + 50_000])
                idle = False
        except ssl.SSLWantWriteError:
            pass
        try:
            got += len(sock.recv(30_000))
            idle = False
        except ssl.SSLWantReadError:
            pass
        if idle:
            time.sleep(0.001)
    assert got == expected
    sock.close()


def test_pushes_reach_subscribers(tls):
    subscribers = []
    for _ in range(20):
        client = tls.client()
        client.command("SUBSCRIBE", "news")
        subscribers.append(client)
    with tls.plain() as client:
        messages = [b"%d:" % i + b"m" * (i % 3000) for i in range(1000)]
        for message in messages:
            assert client.command("PUBLISH", "news", message) == 20
    for subscriber in subscribers:
        for message in messages:
            assert subscriber.read().value == [b"message", b"news", message]
        subscriber.close()


def test_a_monitor_sees_a_flood(tls):
    with tls.client() as watch, tls.plain() as client:
        assert watch.command("MONITOR") == b"OK"
        client.load([("ECHO", f"x{i}") for i in range(30_000)])
        for i in range(30_000):
            assert watch.read().value.endswith(b'"ECHO" "x%d"' % i)


def test_many_connections(tls):
    context = tls.context()
    clients = [tls.client(context) for _ in range(300)]
    for i, client in enumerate(clients):
        client.send("SET", f"c{i}", i)
    for client in clients:
        assert client.read().value == b"OK"
    for client in clients[::2]:
        client.close()
    for client in clients[1::2]:
        assert client.command("PING") == b"PONG"
        client.close()
    with tls.plain() as client:
        until(lambda: client.info("clients")["connected_clients"] == "1")


def test_a_storm_of_handshakes_holds_nobody_up(tls):
    """While others shake hands as fast as they can, the longest wait of a client stays short."""
    stop = threading.Event()

    def storm():
        context = tls.context()
        while not stop.is_set():
            tls.client(context).close()

    threads, longest = [threading.Thread(target=storm) for _ in range(4)], []
    with tls.plain() as client:
        for thread in threads:
            thread.start()
        while not longest or (min(longest) > 50_000 and len(longest) < 50):  # the machine itself may be held up
            client.command("CONFIG", "RESETSTAT")
            for _ in range(100):
                assert client.command("PING") == b"PONG"
            longest.append(int(client.info("turns")["turn_longest_usec"]))
        stop.set()
        for thread in threads:
            thread.join()
        assert min(longest) <= 50_000


def test_leaving_in_the_midst(tls):
    for _ in range(20):
        sock = tls.connect()
        sock.sendall(encode(["SET", "k", "x" * 100_000])[:50_000])
        sock.close()
        sock = tls.connect()
        sock.sendall(encode(["BLPOP", "nothing", 0]))
        sock.close()
    with tls.plain() as client:
        until(lambda: client.info("clients")["connected_clients"] == "1")
        assert client.info("clients")["blocked_clients"] == "0"


def test_what_is_not_on_the_disk_is_in_no_record(start_server, certs, tmp_path, faults):  # noqa: F811
    """Under `appendfsync always` a synchronisation lets go of the answers that it covers, and of none behind them."""
    server = TlsServer(start_server, certs, "--appendonly", "yes", "--appendfsync", "always")
    waiting = tmp_path / "faults.held"
    with server.plain() as reader, server.connect() as writer:
        writer.sendall(encode(["PING"]))
        assert writer.recv(100) == b"+PONG\r\n"
        faults("held=1")
        writer.sendall(encode(["SET", "k", "v"]))
        until(lambda: reader.command("GET", "k") == b"v")
        first = until(lambda: number_in(waiting))
        writer.sendall(encode(["RPUSH", "list", "a"]))
        until(lambda: reader.command("LLEN", "list") == 1)
        faults(f"held={first + 1}")
        assert writer.recv(100) == b"+OK\r\n"
        until(lambda: number_in(waiting) == first + 1)
        assert reader.command("PING") == b"PONG"
        assert not select.select([writer], [], [], 0)[0] and not writer.pending()
        faults()
        assert writer.recv(100) == b":1\r\n"


def test_quit_and_half_close(tls):
    with tls.client() as client:
        client.send_raw(encode(["PING"]) + encode(["QUIT"]))
        assert client.read().value == b"PONG" and client.read().value == b"OK"
        assert client.sock.recv(10) == b""


def test_redis_cli(tls):
    if not shutil.which("redis-cli"):
        pytest.skip("no redis-cli")
    base = ["redis-cli", "-p", str(tls.tls_port), "--tls", "--cacert", str(tls.certs.ca.cert)]

    def cli(*args, **more):
        return subprocess.run([*base, *args], capture_output=True, timeout=30, **more).stdout

    assert cli("SET", "k", "v") == b"OK\n"
    assert cli("GET", "k") == b"v\n"
    cert, key = tls.certs.client
    assert cli("--cert", str(cert), "--key", str(key), "PING") == b"PONG\n"
    assert b"k" in cli("--scan")
    requests = b"".join(encode(["SET", f"p{i}", i]) for i in range(20_000))
    assert b"errors: 0, replies: 20000" in cli("--pipe", input=requests)
    wrong = subprocess.run(["redis-cli", "-p", str(tls.tls_port), "--tls", "--cacert", str(tls.certs.other_ca.cert),
                            "PING"], capture_output=True, timeout=30)
    assert b"certificate verify failed" in wrong.stdout + wrong.stderr


def test_redis_py(tls):
    redis = pytest.importorskip("redis")
    url = f"rediss://localhost:{tls.tls_port}/0"
    client = redis.Redis.from_url(url, ssl_ca_certs=str(tls.certs.ca.cert))
    assert client.set("k", "v") and client.get("k") == b"v"
    with client.pipeline() as pipe:
        for i in range(1000):
            pipe.set(f"k{i}", "x" * i)
        assert all(pipe.execute())
    pubsub = client.pubsub()
    pubsub.subscribe("c")
    client.publish("c", "m")
    kinds = [pubsub.get_message(timeout=5)["type"] for _ in range(2)]
    assert kinds == ["subscribe", "message"]
    pubsub.close()
    client.close()
