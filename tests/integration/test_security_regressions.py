"""What has gone wrong in servers of this family, by its CVE number: each test does what the advisory describes.

Afterwards the server must be alive, answer, and hold no more memory than it should. Advisories about scripting have no
counterpart here.
"""
import random
import socket
import time

import pytest

from harness.resp import Client, ErrorReply, encode

PROTOCOLS = (2,)


@pytest.fixture
def client(server):
    with Client(server.port) as connection:
        yield connection
        assert connection.command("PING") == b"PONG"
        assert server.is_alive()


def is_error(reply):
    return isinstance(reply, ErrorReply)


# --- Before a password was given ---

def limited(start_server, *options):
    return start_server("--requirepass", "secret", *options)


def test_cve_2021_32675_sizes_of_the_unauthenticated(start_server):
    """Multibulk and bulk headers that announce huge sizes must not reserve anything."""
    server = limited(start_server)
    for data in (b"*1000000\r\n", b"*1\r\n$500000000\r\n",
                 b"*10\r\n" + b"$16384\r\n" + b"x" * 16384 + b"\r\n$20000\r\n",
                 b"*-1\r\n*1000\r\n", b"*99999999999999999999\r\n", b"x" * 100_000):
        with Client(server.port) as client:
            try:
                client.send_raw(data)
            except ConnectionError:
                pass
            assert client.is_closed_by_server()
    # Many at once, each with as much as it may have, unfinished.
    with Client(server.port) as observer:
        observer.command("AUTH", "secret")
        before = int(observer.info("memory")["used_memory"])
        crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        for sock in crowd:
            sock.sendall(b"*10\r\n$16000\r\n" + b"x" * 15_000)
        time.sleep(0.3)
        assert int(observer.info("memory")["used_memory"]) - before < 200 * 50_000
        for sock in crowd:
            sock.close()


def test_cve_2025_21605_output_of_the_unauthenticated(start_server):
    """Somebody without a password who asks for ever and reads nothing: what waits for him stays small."""
    server = limited(start_server)
    with Client(server.port) as observer:
        observer.command("AUTH", "secret")
        before = int(observer.info("memory")["used_memory"])
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.settimeout(0.5)
        requests = encode(["GET", "x"]) * 2000
        sent, closed = 0, False
        deadline = time.monotonic() + 20
        while sent < 60_000_000 and not closed and time.monotonic() < deadline:
            try:
                sent += sock.send(requests)
            except TimeoutError:
                break  # it reads no more from us: good as well
            except ConnectionError:
                closed = True
        grown = int(observer.info("memory")["used_memory"]) - before
        assert grown < 3_000_000, f"{grown} bytes wait for somebody unknown, who has sent {sent}"
        sock.close()


def test_unauthenticated_subscribers_and_transactions(start_server):
    server = limited(start_server)
    with Client(server.port) as client:
        for words in (["SUBSCRIBE", "a"], ["MULTI"], ["MONITOR"], ["WATCH", "a"], ["CLIENT", "TRACKING", "ON"],
                      ["BLPOP", "a", 0], ["ACL", "WHOAMI"], ["LATENCY", "BLAME"], ["GETFILL", "k", "LEASE", 100]):
            reply = client.command(*words)
            assert is_error(reply) and reply.text.startswith("NOAUTH"), (words, reply)


# --- Numbers that overflow ---

BIG = (2**31 - 1, 2**31, 2**32, 2**63 - 1, -(2**31), -(2**63), 2**63 - 2, -(2**63) + 1, 2**62, 4 * 2**30)


def test_cve_2022_35977_setrange_and_sort(client):
    client.command("SET", "s", "x")
    client.command("RPUSH", "l", *range(10))
    for n in BIG:
        if n > 0:
            assert is_error(client.command("SETRANGE", "s", n, "y"))
        for m in BIG:
            reply = client.command("SORT", "l", "LIMIT", n, m)
            assert isinstance(reply, list) and len(reply) <= 10
        client.command("GETRANGE", "s", n, -n)
    assert client.command("GET", "s") == b"x"


def test_cve_2023_22458_random_members(client):
    client.command("HSET", "h", "a", 1, "b", 2)
    client.command("ZADD", "z", 1, "a", 2, "b")
    client.command("SADD", "s", "a", "b")
    for n in (2**63 - 1, -(2**63), -(2**63) + 1, -(2**62), -(2**62) - 1, 2**62 + 1, -(2**63) // 2 - 1):
        for words in (["HRANDFIELD", "h", n, "WITHVALUES"], ["ZRANDMEMBER", "z", n, "WITHSCORES"]):
            reply = client.command(*words)
            assert is_error(reply) or (n > 0 and len(reply) == 4), (words, reply)


def test_cve_2023_25155_srandmember(client):
    client.command("SADD", "s", *(f"m{i}" for i in range(1000)))
    for name in ("SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "SPOP"):
        for n in (-(2**63), -(2**63) + 1, 2**63, -(2**64)):
            reply = client.command(name, "s", n)
            assert is_error(reply), (name, n)
    assert len(client.command("SRANDMEMBER", "s", 2**63 - 1)) == 1000


def test_cve_2021_32762_cve_2021_29477_strings(client):
    """Lengths that overflow on the way to an allocation: long arguments, and STRALGO's successor."""
    client.command("SET", "a", "x" * 50_000)
    client.command("SET", "b", "y" * 50_000)
    reply = client.command("LCS", "a", "b", "IDX")
    assert is_error(reply) or reply[-1] == 0
    for n in ("2147483647", "2147483648", "4294967295", "-1", "9223372036854775807"):
        with Client(client.port) as other:
            other.send_raw(b"*2\r\n$3\r\nGET\r\n$" + n.encode() + b"\r\nabc")
            if n in ("-1", "9223372036854775807", "2147483648", "4294967295", "2147483647"):
                assert other.read().value.text.startswith("ERR Protocol error: invalid bulk length")
    for n in BIG:
        assert is_error(client.command("SETBIT", "bits", n, 1)) or 0 <= n < 2**32
    client.command("DEL", "bits")
    for kind in ("u64", "i65", "u0", "i0", "u99999999999"):
        assert is_error(client.command("BITFIELD", "bits", "GET", kind, 0))


def test_cve_2021_29478_cve_2021_32627_limits_of_small_encodings(client, scale):
    """Settings of the small encodings as large as they go, and values to fit: they are bounded all the same."""
    for name in ("set-max-intset-entries", "hash-max-listpack-entries", "zset-max-listpack-entries",
                 "list-max-listpack-size", "stream-node-max-bytes", "hash-max-listpack-value",
                 "zset-max-listpack-value"):
        for value in (2**31 - 1, 2**32 - 1, 2**63 - 1, 1_000_000_000):
            client.command("CONFIG", "SET", name, value)
    client.command("SADD", "s", *range(scale(100_000)))
    client.command("HSET", "h", *(x for i in range(scale(3000)) for x in (i, "v" * 50)))
    client.command("ZADD", "z", *(x for i in range(scale(3000)) for x in (i, f"m{i}")))
    client.command("RPUSH", "l", *("x" * 100 for _ in range(scale(20_000))))
    client.command("XADD", "t", "*", *(x for i in range(scale(3000)) for x in (i, "v" * 50)))
    client.command("HSET", "h2", "f", "x" * 5_000_000, "g", "y" * 5_000_000)
    assert client.command("SCARD", "s") == scale(100_000) and client.command("HLEN", "h") == scale(3000)
    assert client.command("SPOP", "s") is not None and client.command("HGET", "h", 77) == b"v" * 50


def test_cve_2020_14147_cve_2015_8080_numbers_in_arguments(client):
    """Numbers at the ends of their ranges in every place that takes a count or an offset."""
    client.command("RPUSH", "l", "a", "b"), client.command("SET", "s", "abc")
    client.command("XADD", "t", "1-1", "a", "b"), client.command("ZADD", "z", 1, "a")
    client.command("SADD", "set", "a")
    for n in BIG:
        for words in (["LINDEX", "l", n], ["LRANGE", "l", n, n], ["LTRIM", "l2", n, n], ["LREM", "l2", n, "a"],
                      ["LPOS", "l", "a", "RANK", n], ["LPOS", "l", "a", "COUNT", n], ["LPOP", "l2", n],
                      ["SSCAN", "set", 0, "COUNT", n], ["SCAN", 0, "COUNT", n], ["ZRANGE", "z", n, n],
                      ["ZRANGE", "z", "-inf", "+inf", "BYSCORE", "LIMIT", n, n], ["ZPOPMIN", "z2", n],
                      ["LMPOP", n, "l2", "LEFT"], ["ZMPOP", n, "z2", "MIN"], ["SINTERCARD", n, "set"],
                      ["ZUNION", n, "z"], ["XRANGE", "t", "-", "+", "COUNT", n],
                      ["XREAD", "COUNT", n, "STREAMS", "t", 0],
                      ["XTRIM", "t", "MAXLEN", "~", 5, "LIMIT", n], ["GETBIT", "s", n], ["BITCOUNT", "s", n, n],
                      ["BITPOS", "s", 1, n, n], ["EXPIRE", "none", n], ["SET", "x", "y", "PX", n],
                      ["LINSERT", "l2", "BEFORE", n, n], ["OBJECT", "FREQ", n], ["SLOWLOG", "GET", n],
                      ["LATENCY", "BLAME", n], ["CLIENT", "KILL", "ID", n], ["EVAL", "x", n], ["WAIT", n, 1],
                      ["GEORADIUS", "z", 0, 0, n, "m", "COUNT", n], ["COPY", "s", "s2", "DB", n], ["SELECT", n],
                      ["SWAPDB", n, 0], ["DEBUG", "SLEEP", n], ["PFADD", "p", n], ["HINCRBY", "hh", "f", n]):
            client.command(*words)


# --- Particular commands ---

def test_cve_2023_28856_hincrbyfloat(client):
    """A field that would become invalid is refused before the hash is touched."""
    for bad in ("inf", "-inf", "nan", "1e5000", "x", ""):
        assert is_error(client.command("HINCRBYFLOAT", "h", "f", bad)), bad
        assert client.command("EXISTS", "h") == 0
    client.command("HSET", "h", "f", "1e308")
    assert client.command("HINCRBYFLOAT", "h", "f", "1") is not None
    client.command("HSET", "h", "f", "1.7e308")
    client.command("HINCRBYFLOAT", "h", "f", "1.7e308")
    assert client.command("HGET", "h", "f") is not None
    assert len(client.command("DUMP", "h")) > 0


def test_cve_2023_28425_msetnx(client):
    """The same key twice in one MSETNX, and where its type changes in between."""
    assert client.command("MSETNX", "k", "a", "k", "b") == 1
    assert client.command("GET", "k") == b"b"
    assert client.command("MSETNX", "k", "c", "j", "d", "j", "e") == 0
    assert client.command("EXISTS", "j") == 0
    client.command("RPUSH", "l", "x")
    assert client.command("MSETNX", "n", "1", "l", "2", "l", "3") == 0


def test_cve_2024_31228_long_patterns(server, client):
    """Patterns of a million characters neither overflow the stack nor hold anybody up."""
    client.command("SET", "a" * 1000, 1)
    patterns = ["*" * 1_000_000, "*a" * 500_000, "?" * 1_000_000, "[a-z]" * 200_000, "*?" * 300_000, "\\" * 999_999,
                "[" + "a-" * 400_000]
    for pattern in patterns:
        start = server.cpu_seconds()
        client.command("KEYS", pattern)
        client.command("SCAN", 0, "MATCH", pattern)
        client.command("CONFIG", "GET", pattern)
        client.command("PUBSUB", "CHANNELS", pattern)
        client.command("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern)
        client.command("ACL", "SETUSER", "u", "~" + pattern)
        client.command("ACL", "DRYRUN", "u", "GET", "a" * 100)
        client.command("ACL", "DELUSER", "u")
        with Client(client.port) as other:
            other.command("PSUBSCRIBE", pattern)
            client.command("PUBLISH", "a" * 1000, "m")
        assert server.cpu_seconds() - start < 5, pattern[:10]


def test_cve_2022_36021_patterns_that_backtrack(server, client):
    """a*a*a*...b against aaaa... takes no exponential time."""
    client.command("SET", "a" * 200, 1)
    client.command("SADD", "s", "a" * 200)
    pattern = "a*" * 60 + "b"
    start = server.cpu_seconds()
    assert client.command("KEYS", pattern) == []
    assert client.command("SCAN", 0, "MATCH", pattern)[1] == []
    assert client.command("SSCAN", "s", 0, "MATCH", pattern)[1] == []
    assert server.cpu_seconds() - start < 1


MALFORMED_RULES = ["%", "%R", "%~", "%RR~", "%RX~x", "%RW", "%~x", "(", ")", "(+get", "+get)", "(+get))", "((+get))",
                   "()", "( )", "(%R~x", "(~a %)", "(%R)", "+", "-", "+@", "-@nosuch", "+config|", "+|", "#", "#zz",
                   "!", "!x", "<",
                   "&", "~", "nosuch", "+get|x", "(resetpass)", "(on)", "(>x)", "(+@all ~* &* %RW~)",
                   "%W~" + "x" * 100_000]


def test_cve_2024_31227_cve_2024_51741_acl_rules(client):
    """Malformed selectors and key permissions are refused, and never seen again by whoever looks at the user."""
    rng = random.Random(7)
    for rules in [[rule] for rule in MALFORMED_RULES] + [rng.choices(MALFORMED_RULES, k=4) for _ in range(300)]:
        client.command("ACL", "SETUSER", "u", *rules)
        listing = client.command("ACL", "LIST")
        assert all(line.startswith(b"user ") for line in listing)
        client.command("ACL", "GETUSER", "u")
        client.command("ACL", "DRYRUN", "u", "GET", "k")
        client.command("ACL", "DRYRUN", "u", "SET", "k", "v")
        client.command("ACL", "DELUSER", "u")
    for rule in ("%~x", "(", "%", "(%R~x", "+get)"):
        assert is_error(client.command("ACL", "SETUSER", "u", rule)), rule


def test_what_acl_list_says_can_be_said_again(client):
    client.command("ACL", "SETUSER", "u", "on", "nopass", "+get", "%R~r*", "%W~w*", "&c", "(+set ~x %R~y)", "-@all",
                   "+@read")
    [line] = [line for line in client.command("ACL", "LIST") if line.startswith(b"user u ")]
    client.command("ACL", "DELUSER", "u")
    words, depth = [], 0
    for word in line.split(b" ")[2:]:
        if depth:
            words[-1] += b" " + word
        else:
            words.append(word)
        depth += word.count(b"(") - word.count(b")")
    assert client.command("ACL", "SETUSER", "u", *words) == b"OK"
    assert line in client.command("ACL", "LIST")


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_cve_2025_32023_hyperloglog(client):
    """Sparse representations whose runs overflow, or go beyond the registers, are refused as invalid."""
    header = b"HYLL" + b"\x01" + b"\0" * 3 + b"\0" * 7 + b"\x80"  # no cached count
    runs = [b"\x7f\xff" * 40_000, b"\x7f\xff\x7f\xff", b"\x3f" * 70_000, b"\xff" * 200_000, b"\x80" + b"\x7f\xff" * 3,
            b"\x40"]
    for body in runs:
        client.command("SET", "hll", header + body)
        client.command("PFADD", "hll", *range(100))  # which need not look at all of it
        client.command("SET", "hll", header + body)
        for words in (["PFCOUNT", "hll"], ["PFMERGE", "to", "hll"], ["PFCOUNT", "hll", "hll"]):
            reply = client.command(*words)
            assert is_error(reply) and reply.text.startswith(("INVALIDOBJ", "WRONGTYPE")), (body[:4], words, reply)


def test_cve_2018_12326_style_client_names(client):
    for name in ("x" * 100_000, "a b", "a\nb", "\x00", "\x7f", "ü"):
        client.command("CLIENT", "SETNAME", name)
        client.command("CLIENT", "SETINFO", "LIB-NAME", name)
        assert client.command("CLIENT", "LIST").count(b"\n") == 1


def test_cve_2023_45145_unix_socket_permissions(start_server, tmp_path):
    """Nobody can reach the socket before its permissions are as they were asked for."""
    path = tmp_path / "s.sock"
    start_server("--unixsocket", path, "--unixsocketperm", "700")
    assert path.stat().st_mode & 0o777 == 0o700


def test_cve_2023_41053_sort_ro_keys(client):
    """Who may read only some keys does not read others by the patterns of SORT."""
    client.command("RPUSH", "mine", "1"), client.command("SET", "secret1", "hidden")
    client.command("ACL", "SETUSER", "u", "on", "nopass", "~mine", "+@all")
    with Client(client.port) as other:
        other.command("AUTH", "u", "x")
        for name in ("SORT", "SORT_RO"):
            assert is_error(other.command(name, "mine", "GET", "secret*"))
            assert is_error(other.command(name, "mine", "BY", "secret*"))
            assert other.command(name, "mine") == [b"1"]


def test_http_and_smtp_to_this_port(server):
    """Cross protocol scripting: the connection ends at the first line, and nothing behind it is executed."""
    for head in (b"POST / HTTP/1.1\r\n", b"Host: localhost\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"):
        with Client(server.port) as client:
            client.send_raw(head + b"\r\nSET hacked 1\r\n")
            assert client.is_closed_by_server()
    with Client(server.port) as client:
        assert client.command("EXISTS", "hacked") == 0
