"""Lists beyond what redis-server 7.0 shows: encodings as 7.2 names them, large elements, long lists, what they cost.

What differs from redis-server 7.0 on purpose: OBJECT ENCODING says listpack of small lists, where 7.0 says quicklist of
all; RANK and the count of LREM may not be -2^63.
"""
import pytest

from harness.resp import ErrorReply
from harness.waiting import until_reclaimed

LARGE = b"x" * 100_000


def encoding(client, key="l"):
    return client.command("OBJECT", "ENCODING", key)


def elements(client, key="l"):
    return client.command("LRANGE", key, 0, -1)


# --- Encodings ---

def test_a_small_list_is_a_listpack(client):
    client.command("RPUSH", "l", "a", 1, "b")
    assert encoding(client) == b"listpack"
    client.command("LPUSH", "l", *("x" * 100 for _ in range(100)))
    assert encoding(client) == b"quicklist", "10,000 bytes are more than 8 KB"
    client.command("LTRIM", "l", 0, 60)
    assert encoding(client) == b"quicklist", "half the limit is 4 KB"
    client.command("LTRIM", "l", 0, 30)
    assert encoding(client) == b"listpack"


def test_a_limit_of_elements(client):
    client.command("CONFIG", "SET", "list-max-listpack-size", 4)
    client.command("RPUSH", "l", 1, 2, 3, 4)
    assert encoding(client) == b"listpack"
    client.command("RPUSH", "l", 5)
    assert encoding(client) == b"quicklist"
    for count, name in ((4, b"quicklist"), (3, b"quicklist"), (2, b"listpack"), (1, b"listpack")):
        client.command("LPOP", "l")
        assert (client.command("LLEN", "l"), encoding(client)) == (count, name)


@pytest.mark.parametrize("shrink", [("LREM", "l", 0, "b"), ("LTRIM", "l", 0, 0), ("LPOP", "l", 6),
                                    ("LSET", "l", 1, "c")])
def test_what_shrinks_converts(client, shrink):
    client.command("RPUSH", "l", "a", *["b"] * 6)
    client.command("CONFIG", "SET", "list-max-listpack-size", 3)
    client.command("RPUSH", "l", "b", "b", "b")
    assert encoding(client) == b"quicklist"
    client.command(*shrink)
    assert encoding(client) == (b"quicklist" if shrink[0] in ("LSET", "LPOP") else b"listpack")
    client.command("LTRIM", "l", 0, 0)
    assert encoding(client) == b"listpack"


def test_an_insertion_that_finds_no_pivot_may_convert(client):
    client.command("CONFIG", "SET", "list-max-listpack-size", 2)
    client.command("RPUSH", "l", "a", "b")
    assert client.command("LINSERT", "l", "BEFORE", "none", "x") == -1
    assert encoding(client) == b"quicklist"
    assert elements(client) == [b"a", b"b"]


def test_rotating_at_the_limit_does_not_convert(client):
    client.command("CONFIG", "SET", "list-max-listpack-size", 3)
    client.command("RPUSH", "l", "a", "b", "c")
    assert client.command("LMOVE", "l", "l", "LEFT", "RIGHT") == b"a"
    assert (encoding(client), elements(client)) == (b"listpack", [b"b", b"c", b"a"])


# --- Bounds, as Redis 7.2 has them ---

@pytest.mark.parametrize("command", [("LREM", "l", -2**63, "a"), ("LPOS", "l", "a", "RANK", -2**63)])
def test_the_smallest_integer_is_refused(client, command):
    reply = client.command(*command)
    assert isinstance(reply, ErrorReply)
    assert reply.text.startswith("ERR value is out of range, value must between -9223372036854775807 and ")


# --- Large elements ---

def test_large_elements(client):
    client.command("RPUSH", "l", "a", LARGE, "b", LARGE + b"2")
    assert encoding(client) == b"quicklist"
    assert elements(client) == [b"a", LARGE, b"b", LARGE + b"2"]
    assert client.command("LPOS", "l", LARGE) == 1
    assert client.command("LINSERT", "l", "AFTER", LARGE, LARGE + b"1") == 5
    assert client.command("LREM", "l", 0, LARGE) == 1
    assert client.command("LSET", "l", 0, LARGE + b"0") == b"OK"
    assert client.command("LMOVE", "l", "m", "RIGHT", "LEFT") == LARGE + b"2"
    assert client.command("RPOPLPUSH", "m", "m") == LARGE + b"2"
    assert client.command("COPY", "l", "copy") == 1
    assert client.command("LPOP", "l", 9) == [LARGE + b"0", LARGE + b"1", b"b"]
    assert elements(client, "copy") == [LARGE + b"0", LARGE + b"1", b"b"]
    assert elements(client, "m") == [LARGE + b"2"]


def test_large_elements_of_all_lengths_around_the_limits(client):
    for size in (-5, -1, 1):
        client.command("CONFIG", "SET", "list-max-listpack-size", size)
        texts = [bytes([65 + i % 26]) * n for i, n in enumerate((4095, 4096, 4097, 8191, 8192, 8193, 32767, 32768,
                                                                 65529, 65535, 65536, 65537))]
        for command, order in (("RPUSH", 1), ("LPUSH", -1)):
            client.command("DEL", "l")
            assert client.command(command, "l", *texts) == len(texts)
            assert elements(client) == texts[::order]


def test_large_elements_are_shared(client):
    client.command("RPUSH", "l", *[LARGE * 10] * 5)

    def used():
        info = client.command("INFO", "memory").decode()
        return int(info.split("used_memory:")[1].split()[0])

    before = used()
    client.command("COPY", "l", "copy")
    for _ in range(5):
        client.command("LMOVE", "copy", "other", "LEFT", "LEFT")
    assert used() - before < 1_000_000
    assert elements(client, "other") == [LARGE * 10] * 5
    client.command("DEL", "other")
    assert elements(client) == [LARGE * 10] * 5


# --- Long lists ---

def test_a_long_list(client):
    count = 50_000
    for start in range(0, count, 1000):
        client.command("RPUSH", "l", *range(start, start + 1000))
    for index in (0, 1, 499, 25_000, count - 2, count - 1):
        assert client.command("LINDEX", "l", index) == b"%d" % index
        assert client.command("LINDEX", "l", index - count) == b"%d" % index
    assert client.command("LRANGE", "l", 24_990, 25_089) == [b"%d" % n for n in range(24_990, 25_090)]
    assert client.command("LTRIM", "l", 10_000, -10_001) == b"OK"
    assert elements(client) == [b"%d" % n for n in range(10_000, 40_000)]
    assert client.command("LPOP", "l", 20_000) == [b"%d" % n for n in range(10_000, 30_000)]
    assert client.command("RPOP", "l", 10_001) == [b"%d" % n for n in range(39_999, 29_999, -1)]
    assert client.command("EXISTS", "l") == 0


@pytest.mark.parametrize("push", ["LPUSH", "RPUSH"])
def test_bytes_per_element(client, push):
    for start in range(0, 100_000, 1000):
        client.command(push, "l", *(b"element-%010d" % n for n in range(start, start + 1000)))
    assert client.command("MEMORY", "USAGE", "l") < 20.5 * 100_000


# --- The same content is the same, however it is kept ---

@pytest.mark.server_options("--enable-debug-command", "yes")
def test_digest_tells_content_not_encoding(client):
    def digest():
        return client.command("DEBUG", "DIGEST-VALUE", "l")

    texts = [*range(20), *("text%d" % n for n in range(20)), "", "a"]
    client.command("RPUSH", "l", *texts)
    as_listpack = digest()
    client.command("DEL", "l")
    client.command("CONFIG", "SET", "list-max-listpack-size", 1)
    client.command("RPUSH", "l", *texts)
    assert encoding(client) == b"quicklist" and digest() == as_listpack
    client.command("LMOVE", "l", "l", "LEFT", "RIGHT")
    assert digest() != as_listpack


# --- Statistics ---

def test_a_move_is_one_change(client):
    client.command("RPUSH", "l", *"abc")
    for command in (("LMOVE", "l", "m", "LEFT", "RIGHT"), ("RPOPLPUSH", "l", "m"), ("LMOVE", "m", "m", "LEFT", "RIGHT"),
                    ("BLMOVE", "l", "m", "LEFT", "LEFT", 0)):
        before = int(client.info("persistence")["rdb_changes_since_last_save"])
        client.command(*command)
        assert int(client.info("persistence")["rdb_changes_since_last_save"]) == before + 1, command


def test_what_is_freed_lazily_is_counted_by_objects(client):
    client.command("CONFIG", "RESETSTAT")
    client.command("SADD", "small", *range(20))
    client.command("SADD", "large", *(f"m{n}" for n in range(5000)))
    client.command("UNLINK", "small", "large")
    until_reclaimed(client)
    assert client.info("memory")["lazyfreed_objects"] == "1"
    client.command("CONFIG", "RESETSTAT")
    assert client.info("memory")["lazyfreed_objects"] == "0"
