"""What strings can beyond redis-server 7.0, and contracts that a comparison with it does not show."""
import pytest

from harness.resp import ErrorReply

SHARED_SERVER = True

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
DIGEST_OF_HELLO_WORLD = b"b6acb9d84a38ff74"  # the example of Redis' documentation
MB = 1 << 20


def error(reply):
    assert isinstance(reply, ErrorReply), reply
    return reply.text


# --- Conditions of SET ---

def test_ifeq_sets_only_over_an_equal_value(client):
    client.command("SET", "k", "old")
    assert client.command("SET", "k", "new", "IFEQ", "other") is None
    assert client.command("GET", "k") == b"old"
    assert client.command("SET", "k", "new", "IFEQ", "old") == b"OK"
    assert client.command("GET", "k") == b"new"


def test_ifne_sets_only_over_a_different_value(client):
    client.command("SET", "k", "old")
    assert client.command("SET", "k", "new", "IFNE", "old") is None
    assert client.command("SET", "k", "new", "IFNE", "other") == b"OK"
    assert client.command("GET", "k") == b"new"


def test_conditions_on_a_missing_key(client):
    assert client.command("SET", "k", "v", "IFEQ", "v") is None
    assert client.command("SET", "k", "v", "IFDEQ", "0" * 16) is None
    assert client.command("EXISTS", "k") == 0
    assert client.command("SET", "k", "v", "IFNE", "v") == b"OK"
    assert client.command("SET", "l", "v", "IFDNE", "0" * 16) == b"OK"
    assert client.command("MGET", "k", "l") == [b"v", b"v"]


def test_conditions_compare_integers_as_text(client):
    client.command("SET", "n", "42")
    assert client.command("SET", "n", "43", "IFEQ", "042") is None
    assert client.command("SET", "n", "43", "IFEQ", "42") == b"OK"
    assert client.command("INCR", "n") == 44


def test_get_answers_the_old_value_whether_set_or_not(client):
    client.command("SET", "k", "old")
    assert client.command("SET", "k", "new", "IFEQ", "other", "GET") == b"old"
    assert client.command("GET", "k") == b"old"
    assert client.command("SET", "k", "new", "GET", "IFEQ", "old") == b"old"
    assert client.command("GET", "k") == b"new"
    assert client.command("SET", "none", "new", "GET", "IFEQ", "old") is None
    assert client.command("EXISTS", "none") == 0


def test_conditions_with_expiry(client):
    client.command("SET", "k", "old", "EX", 100)
    assert client.command("SET", "k", "new", "EX", 5000, "IFEQ", "other") is None
    assert client.command("TTL", "k") <= 100
    assert client.command("SET", "k", "new", "IFEQ", "old", "KEEPTTL") == b"OK"
    assert 0 < client.command("TTL", "k") <= 100
    assert client.command("SET", "k", "newer", "IFEQ", "new") == b"OK"
    assert client.command("TTL", "k") == -1


@pytest.mark.parametrize("options", [
    ("IFEQ",), ("IFEQ", "a", "NX"), ("XX", "IFNE", "a"), ("IFEQ", "a", "IFNE", "b"), ("IFDEQ", "0" * 16, "IFEQ", "a"),
    ("IFDNE", "0" * 16, "NX"), ("PERSIST",)])
def test_conditions_exclude_each_other(client, options):
    client.command("SET", "k", "a")
    assert error(client.command("SET", "k", "v", *options)) == "ERR syntax error"
    assert client.command("GET", "k") == b"a"


# --- Digests ---

def test_digest(client):
    client.command("SET", "k", "Hello world")
    assert client.command("DIGEST", "k") == DIGEST_OF_HELLO_WORLD
    assert client.command("DIGEST", "none") is None
    text = "v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd"
    client.command("SET", "k", text)  # leading zeros are not left out
    assert client.command("DIGEST", "k") == b"00006c38adf31777"


def test_digest_depends_on_the_content_only(client):
    client.command("MSET", "int", "12345", "text", "1234")
    client.command("APPEND", "text", "5")
    assert client.command("DIGEST", "int") == client.command("DIGEST", "text")


def test_digest_of_a_large_value_is_that_of_its_copy(client):
    value = bytes(range(256)) * (5 * MB // 256)
    client.command("SET", "taken", value)
    client.command("SET", "grown", value[:MB])
    client.command("SETRANGE", "grown", MB, value[MB:])
    digest = client.command("DIGEST", "taken")
    assert client.command("DIGEST", "grown") == digest
    assert client.command("SET", "taken", "x", "IFDEQ", digest) == b"OK"


def test_conditions_on_digests(client):
    client.command("SET", "k", "Hello world")
    assert client.command("SET", "k", "no", "IFDNE", DIGEST_OF_HELLO_WORLD) is None
    assert client.command("SET", "k", "no", "IFDEQ", "0" * 16) is None
    assert client.command("SET", "k", "yes", "IFDEQ", DIGEST_OF_HELLO_WORLD.upper()) == b"OK"
    assert client.command("SET", "k", "again", "IFDNE", DIGEST_OF_HELLO_WORLD) == b"OK"
    reply = client.command("SET", "k", "no", "IFDEQ", DIGEST_OF_HELLO_WORLD[:-1])
    assert error(reply) == "ERR must be exactly 16 hexadecimal characters"
    assert client.command("GET", "k") == b"again"


def test_delex(client):
    client.command("MSET", "a", "1", "b", "2", "c", "Hello world")
    assert client.command("DELEX", "a", "IFEQ", "2") == 0
    assert client.command("DELEX", "a", "IFEQ", "1") == 1
    assert client.command("DELEX", "b", "IFNE", "2") == 0
    assert client.command("DELEX", "b") == 1
    assert client.command("DELEX", "c", "IFDNE", DIGEST_OF_HELLO_WORLD) == 0
    assert client.command("DELEX", "c", "IFDEQ", DIGEST_OF_HELLO_WORLD) == 1
    assert client.command("DELEX", "c", "IFNE", "x") == 0
    assert error(client.command("DELEX", "a", "IFEQ")) == "ERR wrong number of arguments for 'delex' command"
    assert error(client.command("DELEX", "a", "NX", "1")) == "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"
    client.command("RPUSH", "list", "a")
    assert error(client.command("DELEX", "list", "IFEQ", "a")) == (
        "ERR Key should be of string type if conditions are specified")
    assert client.command("EXISTS", "list") == 1


# --- MSETEX ---

def test_msetex(client):
    assert client.command("MSETEX", 2, "a", "1", "b", "2", "EX", 100) == 1
    assert 0 < client.command("TTL", "a") <= 100 and 0 < client.command("TTL", "b") <= 100
    assert client.command("MSETEX", 2, "a", "3", "c", "4", "NX") == 0
    assert client.command("MSETEX", 2, "a", "3", "c", "4", "XX", "PX", 5000) == 0
    assert client.command("MGET", "a", "b", "c") == [b"1", b"2", None]
    assert client.command("MSETEX", 2, "a", "5", "b", "6", "KEEPTTL", "XX") == 1
    assert 0 < client.command("TTL", "a") <= 100
    assert client.command("MSETEX", 1, "EX", "EX") == 1
    assert client.command("GET", "EX") == b"EX"


@pytest.mark.parametrize("args, text", [
    ((0, "a", "1"), "ERR invalid numkeys value"), (("x", "a", "1"), "ERR invalid numkeys value"),
    ((2147483648, "a", "1"), "ERR invalid numkeys value"),
    ((2147483647, "a", "1"), "ERR wrong number of key-value pairs"),
    ((2, "a", "1", "b"), "ERR wrong number of key-value pairs"), ((1, "a", "1", "b"), "ERR syntax error"),
    ((1, "a", "1", "NX", "XX"), "ERR syntax error"), ((1, "a", "1", "EX", "1", "KEEPTTL"), "ERR syntax error"),
    ((1, "a", "1", "EX", "0"), "ERR invalid expire time in 'msetex' command"),
    ((1, "a", "1", "PX", "x"), "ERR value is not an integer or out of range")])
def test_msetex_refuses(client, args, text):
    assert error(client.command("MSETEX", *args)) == text
    assert client.command("EXISTS", "a") == 0


# --- Contracts ---

@pytest.mark.parametrize("size", [0, 1, 44, 45, 1000, 1024, 1025, 16 * 1024, 32 * 1024 - 1, 32 * 1024, MB + 1])
def test_values_of_every_size_come_back(client, size):
    value = (bytes(range(256)) * (size // 256 + 1))[:size]
    client.command("SET", "k", value)
    assert client.command("GET", "k") == value
    assert client.command("GETSET", "k", value + b"x") == value
    assert client.command("APPEND", "k", "yz") == size + 3
    assert client.command("GETRANGE", "k", size, -1) == b"xyz"
    assert client.command("GETRANGE", "k", 0, size) == value + b"x"
    assert client.command("MSET", "k", value, "l", value, "k", value + b"!") == b"OK"
    assert client.command("MGET", "k", "l", "none") == [value + b"!", value, None]
    assert client.command("SET", "k", "small", "GET") == value + b"!"
    assert client.command("GETDEL", "l") == value


def test_a_reply_under_way_does_not_see_later_changes(client):
    value = b"a" * (4 * MB)
    client.command("SET", "k", value)
    for args in (("GET", "k"), ("SETRANGE", "k", 0, "b"), ("GETRANGE", "k", 1, -1), ("APPEND", "k", "c"), ("GET", "k")):
        client.send(*args)
    assert client.read().value == value
    assert client.read().value == len(value)
    assert client.read().value == value[1:]
    assert client.read().value == len(value) + 1
    assert client.read().value == b"b" + value[1:] + b"c"


def test_many_keys_in_one_command(client):
    pairs = [part for i in range(1000) for part in (f"key:{i}", f"value:{i}")]
    assert client.command("MSET", *pairs) == b"OK"
    assert client.command("MGET", *pairs[::2]) == [value.encode() for value in pairs[1::2]]
    assert client.command("MSETNX", "new", "1", *pairs) == 0
    assert client.command("EXISTS", "new") == 0


def test_lcs_of_long_strings(client, protocol):
    a, b = "abcd" * 2750, "acbd" * 2750
    client.command("MSET", "a", a, "b", b)
    length = client.command("LCS", "a", "b", "LEN")
    found = client.command("LCS", "a", "b")
    assert len(found) == length
    for text in (a, b):  # it is a subsequence of both
        rest = iter(text.encode())
        assert all(byte in rest for byte in found)
    client.send("LCS", "a", "b", "IDX", "WITHMATCHLEN")
    reply = client.read().value
    matches = reply[1] if protocol == 2 else reply["matches" if "matches" in reply else b"matches"]
    assert sum(match[2] for match in matches) == length
