"""What bitmaps can beyond redis-server 7.0, and operations over strings so large that they go on in slices."""
import random

import pytest

from harness.resp import Client, ErrorReply

SHARED_SERVER = True
MB = 1 << 20


def model(operation, sources):
    """What BITOP stores, by integers of any length."""
    size = max(map(len, sources))
    numbers = [int.from_bytes(source.ljust(size, b"\x00"), "big") for source in sources]
    first, others, once, twice = numbers[0], 0, 0, 0
    for number in numbers[1:]:
        others |= number
    for number in numbers:
        twice |= once & number
        once |= number
    results = {"DIFF": first & ~others, "DIFF1": others & ~first, "ANDOR": first & others, "ONE": once & ~twice}
    return results[operation].to_bytes(size, "big")


def fill(client, rng, sizes):
    sources = [rng.randbytes(size) for size in sizes]
    for i, source in enumerate(sources):
        if source:
            client.command("SET", f"source{i}", source)
    return sources, [f"source{i}" for i in range(len(sources))]


@pytest.mark.parametrize("operation", ["DIFF", "DIFF1", "ANDOR", "ONE"])
@pytest.mark.parametrize("sizes", [(1, 1), (8, 3), (3, 8), (100, 0, 90), (0, 100, 90), (1024, 1025, 7, 5000),
                                   (700_000, 650_000, 700_001)])
def test_newer_operations(client, seed, operation, sizes):
    print(f"seed {seed}")
    sources, keys = fill(client, random.Random(seed), sizes)
    expected = model(operation, sources)
    assert client.command("BITOP", operation, "dest", *keys) == len(expected)
    assert client.command("GET", "dest") == expected


def test_operations_say_how_many_keys_they_want(client):
    client.command("SET", "a", "x")
    for operation in ("DIFF", "DIFF1", "ANDOR"):
        reply = client.command("BITOP", operation.lower(), "dest", "a")
        assert isinstance(reply, ErrorReply)
        assert reply.text == f"ERR BITOP {operation} must be called with at least two source keys."
    assert client.command("BITOP", "ONE", "dest", "a") == 1
    assert client.command("GET", "dest") == b"x"


def test_a_result_replaces_whatever_is_there(client):
    client.command("MSET", "a", "12", "b", "12")
    client.command("SET", "dest", "old", "EX", 100)
    assert client.command("BITOP", "AND", "dest", "a", "b") == 2
    assert client.command("TTL", "dest") == -1
    assert client.command("GET", "dest") == b"12"
    assert client.command("OBJECT", "ENCODING", "dest") == b"raw"
    assert client.command("BITOP", "AND", "dest", "none") == 0
    assert client.command("EXISTS", "dest") == 0


def test_counting_and_finding_in_large_strings(client, seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    size = 3 * MB + rng.randrange(100)
    text = bytearray(size)
    at = rng.randrange(2 * MB, size - 1)
    text[at] = 0x10
    client.command("SET", "zeros", bytes(text))
    client.command("BITOP", "NOT", "ones", "zeros")
    assert client.command("BITCOUNT", "zeros") == 1
    assert client.command("BITCOUNT", "ones") == 8 * size - 1
    assert client.command("BITCOUNT", "ones", 3, -6, "BIT") == 8 * size - 9
    for key, bit in (("zeros", 1), ("ones", 0)):
        assert client.command("BITPOS", key, bit) == 8 * at + 3
        assert client.command("BITPOS", key, bit, 8 * at + 4, -1, "BIT") == -1
        assert client.command("BITPOS", key, bit, 1, at - 1) == -1
    client.command("SETRANGE", "ones", at, b"\xff")
    assert client.command("BITPOS", "ones", 0) == 8 * size  # zeros are thought to follow
    assert client.command("BITPOS", "ones", 0, 0, -1) == -1


@pytest.mark.parametrize("key", ["none", "text", "list"])
@pytest.mark.parametrize("words, error", [
    ("BITCOUNT {} 0", "ERR syntax error"), ("BITCOUNT {} 0 1 BITS", "ERR syntax error"),
    ("BITCOUNT {} 0 1 BIT BIT", "ERR syntax error"), ("BITCOUNT {} -1 -2 NONE", "ERR syntax error"),
    ("BITCOUNT {} a 1", "ERR value is not an integer or out of range"),
    ("BITPOS {} 1 a", "ERR value is not an integer or out of range"),
    ("BITPOS {} 0 0 b", "ERR value is not an integer or out of range"),
    ("BITPOS {} 1 0 1 BITS", "ERR syntax error"), ("BITPOS {} 1 0 1 BIT BIT", "ERR syntax error"),
])
def test_words_that_mean_nothing_are_an_error_whatever_the_key_is(client, key, words, error):
    client.command("SET", "text", "abc")
    client.command("RPUSH", "list", "a")
    assert client.command(*words.format(key).split()) == ErrorReply(error)


def test_a_count_is_of_the_moment_it_was_asked_for(client, module_server):
    client.command("SETBIT", "big", 8 * 20 * MB, 1)
    with Client(module_server.port) as other:
        client.send("BITCOUNT", "big")
        for i in range(20):
            other.command("SETBIT", "big", i * 8 * MB, 1)
        assert 1 <= client.read().value <= 21
    assert client.command("BITCOUNT", "big") == 21


def test_a_result_matches_its_sources_at_one_moment(client, module_server):
    """Bits are added to one source in order: whatever the moment, the result holds the first few of them."""
    last = 8 * 8 * MB
    client.command("SETBIT", "a", last, 1)
    client.command("SETBIT", "b", last, 1)
    with Client(module_server.port) as other:
        client.send("BITOP", "XOR", "dest", "a", "b")
        for i in range(40):
            other.command("SETBIT", "a", i * MB, 1)
            if i == 20:  # another value with the same content
                other.command("BITOP", "OR", "b", "b", "none")
        assert client.read().value == 8 * MB + 1
        changed = client.command("BITCOUNT", "dest")
        assert 0 <= changed <= 40
    assert client.command("BITCOUNT", "a") == 41
    for i in range(changed):  # the bits come in order, so the first ones are there, and no others
        assert client.command("GETBIT", "dest", i * MB) == 1


def test_a_key_may_be_source_and_destination(client):
    size = 2 * MB + 1
    client.command("SETRANGE", "k", size - 1, b"\x00")
    assert client.command("BITOP", "NOT", "k", "k") == size
    assert client.command("BITCOUNT", "k") == 8 * size
    assert client.command("BITOP", "XOR", "k", "k", "k") == size
    assert client.command("BITCOUNT", "k") == 0


def test_a_field_command_with_a_mistake_changes_nothing(client):
    client.command("SET", "k", "abc")
    reply = client.command("BITFIELD", "k", "SET", "u8", 0, 255, "GET", "u64", 0)
    assert isinstance(reply, ErrorReply)
    assert client.command("GET", "k") == b"abc"


def test_many_fields(client):
    ops = [part for i in range(1000) for part in ("SET", "u5", f"#{i}", i % 32)]
    assert client.command("BITFIELD", "k", *ops) == [0] * 1000
    gets = [part for i in range(1000) for part in ("GET", "u5", f"#{i}")]
    assert client.command("BITFIELD_RO", "k", *gets) == [i % 32 for i in range(1000)]
    assert client.command("STRLEN", "k") == 625
