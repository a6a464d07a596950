"""Streams against redis-server: chosen cases, then thousands of random commands, with blocks of several sizes.

What depends on the version is left out: redis-server 7.0 makes a consumer only when it gives him something.
"""
import pytest

from harness.differential import DifferentialRun
from stream_generators import Streams, contents

# entries, bytes of a block
LIMITS = {"default": (100, 4096), "tiny": (2, 4096), "small": (7, 200), "unlimited": (0, 0)}


@pytest.fixture(params=LIMITS)
def limits(pair, request):
    for client in pair.both:
        for name, value in zip(("entries", "bytes"), LIMITS[request.param]):
            assert client.command("CONFIG", "SET", f"stream-node-max-{name}", value) == b"OK"
    return request.param


def test_add(pair):
    pair.same("XADD s 1-1 a b", "XADD s 1-1 a b", "XADD s 0-0 a b", "XADD s 1 a b", "XADD s 1-* a b", "XADD s 0-* a b",
              "XADD s 2-* a b", "XADD s 2-* a b", "XADD e 0-* a b", "XADD s MAXLEN", "XADD s MAXLEN 3 9-1 a",
              "XADD s MAXLEN -1 9-1 a b", "XADD s MAXLEN x 9-1 a b", "XADD s LIMIT 5 9-1 a b", "XADD s 9-1 a",
              "XADD s MAXLEN 5 LIMIT 5 9-1 a b", "XADD s MAXLEN 5 MINID 5 9-1 a b",
              "XADD s MAXLEN ~ 5 LIMIT -1 9-1 a b",
              "XADD s foo a b", "XADD s -5-1 a b", "XADD s MAXLEN = 2 9-1 a b", "XADD s MINID 3 9-2 a b",
              "XADD s MINID = - 9-3 a b", "XADD none NOMKSTREAM 1-1 a b", "XRANGE s - +",
              "XADD s 18446744073709551615-18446744073709551614 a b", "XADD s 18446744073709551615-* a b",
              "XADD s 18446744073709551615-* a b", "XADD s * a b", "XADD s 5-5 a b", "SET t x", "XADD t 1-1 a b",
              "XADD t x a b", "XADD t 1-1 a")


@pytest.mark.parametrize("id", ["", "x", "-", "+", "-1", "1-", "1--1", "1-1-1", "1-x", "18446744073709551616", "+5",
    " 5",
                                "05-01", "5-+1", "5- 1", "5- -1", "1.5", "1e3", "0x10", b"5\x00x", b"5-1\x00", "*",
                                "**",
                                b"*\x00", "$", ">", "(5", "1-*", "1-**", "*-1", "1" * 20, "0" * 127, "0" * 128,
                                "18446744073709551615-18446744073709551615"])
def test_ids(pair, id):
    pair.same("XADD s 3-1 a b", ("XRANGE", "s", id, "+"), ("XRANGE", "s", "-", id), ("XRANGE", "s", b"(" + str(
        id).encode() if isinstance(id, str) else b"(" + id, "+"), ("XDEL", "s", id),
        ("XTRIM", "s", "MINID", id), ("XGROUP", "CREATE", "s", "g", id), "XGROUP CREATE s h 0",
        ("XGROUP", "SETID", "s", "h", id), ("XACK", "s", "h", id),
        ("XCLAIM", "s", "h", "c", 0, id), ("XAUTOCLAIM", "s", "h", "c", 0, id), ("XPENDING", "s", "h", id, "+", 5),
        ("XPENDING", "s", "h", "-", id, 5), ("XSETID", "s", id), "XINFO GROUPS s")
    if id != "+":  # the last entry, from version 7.4 on
        pair.same(("XREAD", "STREAMS", "s", id), ("XREADGROUP", "GROUP", "h", "c", "STREAMS", "s", id))
    if not str(id).startswith("*") and id != b"*\x00":
        pair.same(("XADD", "s", id, "a", "b"))


def test_errors(pair):
    pair.same("XADD s 1-1 a b", "SET t x")
    commands = """XTRIM s LIMIT 5|XTRIM s MAXLEN|XTRIM s MAXLEN 5 foo|XTRIM s NOMKSTREAM MAXLEN 5
        XTRIM s MAXLEN ~|XTRIM t foo
        XREAD STREAMS a b c|XREAD FOO STREAMS s 0|XREAD COUNT|XREAD COUNT x STREAMS s 0|XREAD GROUP a b STREAMS s 0
        XREAD NOACK STREAMS s 0|XREAD COUNT 1 2 3|XREAD BLOCK x STREAMS s 0|XREAD BLOCK -1 STREAMS s 0
        XREAD STREAMS s >|XREADGROUP STREAMS s 0 a b c d|XREADGROUP GROUP g c STREAMS s $
        XREADGROUP GROUP g c COUNT 1 STREAMS s|XREADGROUP GROUP g c STREAMS s >|XREADGROUP GROUP g c STREAMS t >
        XREAD STREAMS t 0|XREAD STREAMS s t 0 0|XPENDING s g|XPENDING n g|XPENDING s g - +|XPENDING s g IDLE 5 - +
        XPENDING s g IDLE x - + 5|XPENDING s g - + x|XPENDING s g x + 5|XPENDING s g - + 5 c d e f|XPENDING t g
        XCLAIM s g c x 1-1|XCLAIM s g c 1 1-1|XCLAIM t g c 0 1|XAUTOCLAIM s g c x 0|XAUTOCLAIM s g c 0 0 COUNT 0
        XAUTOCLAIM s g c 0 0 COUNT 9223372036854775807|XAUTOCLAIM s g c 0 (18446744073709551615-18446744073709551615
        XAUTOCLAIM s g c 0 0 FOO|XAUTOCLAIM t g c 0 0|XGROUP|XGROUP FOO|XGROUP CREATE s|XGROUP CREATE s g
        XGROUP CREATE n g 0|XGROUP CREATE s g 0 FOO|XGROUP HELP|XGROUP CREATE s g 0 ENTRIESREAD -2
        XGROUP CREATE s g 0 ENTRIESREAD|XGROUP DESTROY n g|XGROUP SETID s g 0|XGROUP SETID n g 0
        XGROUP CREATECONSUMER s g c|XGROUP DELCONSUMER s g c|XGROUP CREATECONSUMER n g c|XGROUP HELP x
        XGROUP CREATE t g 0|XGROUP CREATE s g x|XGROUP CREATE s g -|XGROUP CREATE s g 0|XGROUP CREATE s g 0
        XGROUP CREATE s g 0 MKSTREAM|XGROUP SETID s g x|XGROUP SETID s g +|XGROUP SETID s g 0 MKSTREAM
        XGROUP DESTROY s nope|XINFO|XINFO FOO|XINFO HELP|XINFO STREAM n|XINFO STREAM n FOO|XINFO STREAM s FOO
        XINFO STREAM s FULL COUNT|XINFO STREAM s FULL COUNT x|XINFO STREAM s FULL FOO 5|XINFO STREAM s FULL COUNT -5
        XINFO STREAM t|XINFO GROUPS n|XINFO GROUPS t|XINFO CONSUMERS s x|XINFO CONSUMERS n x|XINFO CONSUMERS t x
        XSETID n 1-1|XSETID s 0-1|XSETID s 5-1 ENTRIESADDED -1|XSETID s 5-1 ENTRIESADDED 0
        XSETID s 5-1 ENTRIESADDED x|XSETID s 5-1 MAXDELETEDID 6-0|XSETID s 5-1 FOO|XSETID t 5-1
        XSETID s 5-1 ENTRIESADDED|XSETID s 5-1 MAXDELETEDID x|XCLAIM s g c 0 1-1 FOO|XCLAIM s g c 0 foo
        XCLAIM s g c 0 1-1 IDLE x|XCLAIM s g c 0 1-1 TIME|XCLAIM s g c 0 1-1 TIME x|XCLAIM s g c 0 1-1 RETRYCOUNT x
        XCLAIM s g c 0 1-1 LASTID x|XRANGE s - + COUNT|XRANGE s - + COUNT x|XRANGE s - + FOO 5
        XRANGE s (18446744073709551615-18446744073709551615 +|XRANGE s - (0|XRANGE s - + COUNT 0
        XRANGE s - + COUNT -5|XRANGE n - + COUNT 0|XRANGE t - +|XRANGE t x +
        XREVRANGE s + (18446744073709551615-18446744073709551615|XREVRANGE s (0-0 -|XREVRANGE s - +|XACK s g x
        XACK n g x|XACK s nope 1-1|XACK t g 1|XDEL n x|XDEL s 1-1 x|XDEL t 1|XLEN t|XLEN n|XLEN s
        XADD n NOMKSTREAM MAXLEN 3 1-1 a b|OBJECT ENCODING s|TYPE s"""
    pair.same(*(command.strip() for line in commands.split("\n") for command in line.split("|")))


def test_groups(pair):
    pair.same("XGROUP CREATE s g $ MKSTREAM", *(f"XADD s {i}-1 n {i}" for i in range(1, 9)), "XGROUP CREATE s h 3-1",
              "XGROUP CREATE s i 0 ENTRIESREAD 2", "XINFO GROUPS s", "XREADGROUP GROUP g c COUNT 3 STREAMS s >",
              "XREADGROUP GROUP h c COUNT 3 STREAMS s >", "XINFO GROUPS s", "XREADGROUP GROUP g d NOACK STREAMS s >",
              "XREADGROUP GROUP g c STREAMS s 0", "XREADGROUP GROUP g c STREAMS s 1-1",
              "XREADGROUP GROUP g d STREAMS s 0",
              "XDEL s 2-1 5-1", "XREADGROUP GROUP g c STREAMS s 0", "XREADGROUP GROUP h c STREAMS s 0 ",
              "XINFO GROUPS s",
              "XPENDING s g", "XPENDING s g - + 10", "XPENDING s g - + 10 c", "XPENDING s g (1-1 3-1 10 c",
              "XACK s g 1-1 1-1 9-9", "XPENDING s g", "XCLAIM s g d 0 3-1", "XCLAIM s g d 0 2-1", "XPENDING s g - + 10",
              "XCLAIM s g d 0 4-1", "XCLAIM s g d 0 4-1 FORCE", "XPENDING s g - + 10", "XCLAIM s g e 0 4-1 3-1 JUSTID",
              "XPENDING s g - + 10", "XCLAIM s g e 0 7-1 FORCE RETRYCOUNT 9 LASTID 8-1", "XAUTOCLAIM s h d 0 0 COUNT 1",
              "XAUTOCLAIM s h d 0 6-1 JUSTID", "XGROUP SETID s g 0", "XINFO GROUPS s",
              "XGROUP SETID s g 0 ENTRIESREAD 0",
              "XREADGROUP GROUP g z STREAMS s >", "XPENDING s g - + 100", "XINFO STREAM s FULL",
              "XGROUP DELCONSUMER s g z",
              "XPENDING s g", "XGROUP DESTROY s g", "XGROUP DESTROY s g", "XINFO STREAM s", "XTRIM s MAXLEN 0",
              "XINFO STREAM s FULL", "XREADGROUP GROUP h d STREAMS s 0", "XADD s 20-1 a b", "XINFO GROUPS s")


def test_many_fields(pair):
    pair.same(*(("XADD", "s", f"{i}-1", *(f"f{j}" if j % 2 == 0 else f"v{i}-{j}" for j in range(2 * n)))
                for i, n in enumerate((1, 5, 5, 200, 5, 1, 1000, 1), 1)), "XRANGE s - +", "XREVRANGE s + -",
                    "XDEL s 4-1",
              "XRANGE s 2 6", ("XADD", "s", "50-1", "big", "x" * 100_000), "XRANGE s - +")


def test_keys(pair):
    pair.same("COMMAND GETKEYS XREAD COUNT 1 BLOCK 5 STREAMS a b c 0 0 0", "COMMAND GETKEYS XADD s 1-1 a b",
              "COMMAND GETKEYS XREADGROUP GROUP g c COUNT 1 STREAMS a b > >",
              "COMMAND GETKEYSANDFLAGS XREAD STREAMS a 0",
              "COMMAND GETKEYSANDFLAGS XGROUP CREATE a b c", "COMMAND GETKEYSANDFLAGS XAUTOCLAIM a b c 0 0",
              "COMMAND GETKEYSANDFLAGS XREADGROUP GROUP g c STREAMS a 0", "COMMAND GETKEYSANDFLAGS XINFO STREAM a")


def test_random_commands(pair, limits, seed, scale):
    DifferentialRun(pair, Streams(), seed).run(scale(6_000))
    pair.same(*contents())


def test_random_commands_on_long_streams(pair, limits, seed, scale):
    generate = Streams(span=3000)
    for key in generate.next:
        pair.same(*(("XADD", key, f"{ms}-1", "a", ms, "b", "text") for ms in range(1, 2500)))
        pair.same(("XGROUP", "CREATE", key, "g0", "0"), ("XREADGROUP", "GROUP", "g0", "c0", "STREAMS", key, ">"))
        generate.next[key] = 2500
    generate.WEIGHTS = {**generate.WEIGHTS, "xdel": 12}
    DifferentialRun(pair, generate, seed).run(scale(1_000))
    pair.same(*contents())
