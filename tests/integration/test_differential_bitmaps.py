"""Bitmap commands against redis-server."""
import pytest

from generators import Bitmaps
from harness.differential import DifferentialRun


def test_single_bits(pair):
    pair.same("SETBIT b 7 1", "GET b", "SETBIT b 7 0", "GETBIT b 7", "GETBIT b 1000", "GETBIT none 0", "EXISTS none",
              "SETBIT b 100 1", "STRLEN b", "SETBIT b -1 1", "SETBIT b x 1", "SETBIT b 0 2", "SETBIT b 4294967296 1",
              "GETBIT b 4294967296", "SET n 123", "SETBIT n 1 1", "GET n", "OBJECT ENCODING n")


def test_counting(pair):
    pair.same("SET b foobar", "BITCOUNT b", "BITCOUNT b 0 0", "BITCOUNT b 1 1", "BITCOUNT b 5 30 BIT",
              "BITCOUNT b -2 -1 BYTE", "BITCOUNT b 3", "BITCOUNT b x 1", "BITCOUNT b 5 1", "BITCOUNT none",
              "BITCOUNT none 0 5", "BITCOUNT b 0 -1 BAD", "BITCOUNT b -100 -50", "BITCOUNT b 100 200 BIT")


def test_finding(pair):
    pair.same(("SET", "b", b"\xff\xf0\x00"), "BITPOS b 0", "BITPOS b 1", "BITPOS b 1 2", "BITPOS b 0 0 0",
              "BITPOS b 0 0 1 BIT", "BITPOS b 1 -1 -1", ("SET", "full", b"\xff\xff"), "BITPOS full 0",
              "BITPOS full 0 0 -1", "BITPOS full 0 5", "BITPOS none 0", "BITPOS none 1", "BITPOS b 2", "BITPOS b x",
              "BITPOS b 1 7 15 BIT", ("SET", "zero", b"\x00\x00"), "BITPOS zero 1")


def test_operations_on_bitmaps(pair):
    pair.same("SET a abcdef", "SET b 12", "BITOP AND d a b", "GET d", "BITOP OR d a b none", "GET d",
              "BITOP XOR d a b a", "GET d", "BITOP NOT d a", "GET d", "BITOP NOT d a b", "BITOP AND d none none",
              "EXISTS d", "BITOP BAD d a", "BITOP NOT d")


def test_bitfields(pair):
    pair.same("BITFIELD b SET u8 0 255 GET u8 0 GET u4 0 GET i8 0 INCRBY u8 0 10",
              "BITFIELD b OVERFLOW SAT INCRBY u2 100 5", "BITFIELD b OVERFLOW FAIL INCRBY u2 100 1",
              "BITFIELD b OVERFLOW WRAP INCRBY i3 200 5 GET i3 200", "BITFIELD b SET i64 #1 -1",
              "BITFIELD b GET u64 0", "BITFIELD b GET i65 0", "BITFIELD b GET u8 -1", "BITFIELD b",
              "BITFIELD b GET u8", "BITFIELD b OVERFLOW BAD", "BITFIELD none GET u8 0", "EXISTS none",
              "BITFIELD_RO b GET u8 0 GET u63 #0", "BITFIELD_RO b SET u8 0 1", "BITFIELD b SET u8 4294967288 1 JUNK",
              "BITFIELD b INCRBY i64 0 9223372036854775807", "GET b")


@pytest.mark.parametrize("width", [1, 7, 8, 9, 31, 32, 33, 63, 64])
@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "FAIL"])
def test_overflow_at_the_ends(pair, width, overflow):
    for sign in ("i", "u") if width < 64 else ("i",):
        kind = f"{sign}{width}"
        least, most = (-(1 << width - 1), (1 << width - 1) - 1) if sign == "i" else (0, (1 << width) - 1)
        for start in (least, most):
            for step in (1, -1, most, least, 2**63 - 1, -2**63):
                pair.same(f"BITFIELD w SET {kind} 3 {start} OVERFLOW {overflow} INCRBY {kind} 3 {step} GET {kind} 3")


def test_random_commands(pair, seed, scale):
    DifferentialRun(pair, Bitmaps(), seed).run(scale(15_000))
