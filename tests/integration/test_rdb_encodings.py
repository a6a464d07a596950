"""Files in encodings of the past and of later versions, made by hand, and what a server makes of them."""
import struct
import subprocess

import pytest

from harness.process import StartFailed, larder_binary
from harness.resp import Client
from rdb_contents import dumped, intset, key, length, listpack, rdb, string, zipmap, ziplist, crc64

BIG = b"b" * 300
EXPIRY = 4102444800000
LZF = b"\xc3" + length(5) + length(20) + b"\x00a\xe0\x0a\x00"  # an a, and 19 more as a copy of what is before

VALUES = {
    "integers 8": (0, b"\xc0\xff", b"-1"),
    "integers 16": (0, b"\xc1\x00\x80", b"-32768"),
    "integers 32": (0, b"\xc2\xff\xff\xff\x7f", b"2147483647"),
    "compressed": (0, LZF, b"a" * 20),
    "length of 32 bits": (0, b"\x80\x00\x00\x00\x03abc", b"abc"),
    "length of 64 bits": (0, b"\x81" + struct.pack(">Q", 3) + b"abc", b"abc"),
    "list": (1, length(3) + string("a") + string(BIG) + b"\xc0\x07", [b"a", BIG, b"7"]),
    "set": (2, length(2) + string("a") + string("b"), {b"a", b"b"}),
    "zset, text scores": (3, length(4) + string("a") + b"\x031.5" + string("b") + b"\xfe" + string("c") + b"\xff" +
                          string("d") + b"\x042e10", {b"a": 1.5, b"b": float("inf"), b"c": float("-inf"), b"d": 2e10}),
    "hash": (4, length(1) + string("f") + string("v"), {b"f": b"v"}),
    "zset, binary scores": (5, length(2) + string("a") + struct.pack("<d", 0.1) + string("b") + struct.pack("<d", -7),
                            {b"a": 0.1, b"b": -7.0}),
    "zipmap": (9, string(zipmap((b"f", b"v", 0), (b"g", b"", 3), (b"long", BIG, 1))),
               {b"f": b"v", b"g": b"", b"long": BIG}),
    "list, ziplist": (10, string(ziplist(b"a", 0, 12, 13, -1, 300, -70000, 2**30, 2**40, BIG, b"x" * 20000, b"end")),
                      [b"a", b"0", b"12", b"13", b"-1", b"300", b"-70000", b"1073741824", b"1099511627776", BIG,
                       b"x" * 20000, b"end"]),
    "intset 2": (11, string(intset(2, -5, 1, 300)), {b"-5", b"1", b"300"}),
    "intset 4": (11, string(intset(4, -70000, 1)), {b"-70000", b"1"}),
    "intset 8": (11, string(intset(8, -2**63, 2**63 - 1)), {b"%d" % -2**63, b"%d" % (2**63 - 1)}),
    "zset, ziplist": (12, string(ziplist(b"a", 1, b"b", b"2.5", 7, 30)), {b"a": 1.0, b"b": 2.5, b"7": 30.0}),
    "hash, ziplist": (13, string(ziplist(b"f", 1, b"g", BIG)), {b"f": b"1", b"g": BIG}),
    "quicklist": (14, length(2) + string(ziplist(b"a", 1)) + string(ziplist(BIG)), [b"a", b"1", BIG]),
    "hash, listpack": (16, string(listpack(b"f", 1, b"g", 2**40)), {b"f": b"1", b"g": b"1099511627776"}),
    "plain hash of numbers": (4, length(3) + b"\xc0\x05\xc0\x07" + b"\xc1\x00\x80\xc0\x08" + b"\xc0\x06" + string("v"),
                              {b"5": b"7", b"-32768": b"8", b"6": b"v"}),
    "plain set of numbers": (2, length(3) + b"\xc0\x05\xc1\x00\x80" + string("v"), {b"5", b"-32768", b"v"}),
    "plain zset of numbers": (5, length(2) + b"\xc0\x05" + struct.pack("<d", 2) + b"\xc0\x06" + struct.pack("<d", 1),
                              {b"5": 2.0, b"6": 1.0}),
    "hash of numbers": (16, string(listpack(5, 7, -6, 2**40)), {b"5": b"7", b"-6": b"1099511627776"}),
    "hash of numbers, one expires": (25, struct.pack("<Q", EXPIRY) + string(listpack(8, 9, EXPIRY, 10, 11, 0)),
                                    {b"8": b"9", b"10": b"11"}),
    "zset of numbers": (17, string(listpack(5, 1, -6, 2)), {b"5": 1.0, b"-6": 2.0}),
    "zset, listpack": (17, string(listpack(b"a", 1, b"b", b"2.5")), {b"a": 1.0, b"b": 2.5}),
    "quicklist 2": (18, length(3) + b"\x02" + string(listpack(b"a", 5)) + b"\x01" + string(b"p" * 20000) + b"\x02" +
                    string(listpack(b"z")), [b"a", b"5", b"p" * 20000, b"z"]),
    "set, listpack": (20, string(listpack(b"a", 5, BIG)), {b"a", b"5", BIG}),
    "hash with expiry, first": (22, length(2) + length(0) + string("f") + string("v") + length(EXPIRY) + string("g") +
                                string("w"), {b"f": b"v", b"g": b"w"}),
    "hash with expiry, listpack, first": (23, string(listpack(b"g", b"w", EXPIRY, b"f", b"v", 0)),
                                          {b"f": b"v", b"g": b"w"}),
    "hash with expiry": (24, struct.pack("<Q", EXPIRY) + length(2) + length(0) + string("f") + string("v") +
                         length(1) + string("g") + string("w"), {b"f": b"v", b"g": b"w"}),
    "hash with expiry, listpack": (25, struct.pack("<Q", EXPIRY) + string(listpack(b"g", b"w", EXPIRY, b"f", b"v", 0)),
                                   {b"f": b"v", b"g": b"w"}),
}


@pytest.fixture
def load(start_server, tmp_path):
    """load(file's bytes, options): a client of a server that has loaded them."""
    clients = []

    def load(data, *options, **more):
        directory = tmp_path / f"files-{len(clients)}"
        directory.mkdir()
        (directory / "dump.rdb").write_bytes(data)
        clients.append(Client(start_server(*options, directory=directory).port, **more))
        return clients[-1]

    yield load
    for client in clients:
        client.close()


def value_of(client, name):
    kind = client.command("TYPE", name)
    if kind == b"string":
        return client.command("GET", name)
    if kind == b"list":
        return client.command("LRANGE", name, 0, -1)
    if kind == b"set":
        return set(client.command("SMEMBERS", name))
    pairs = client.command(*(["HGETALL", name] if kind == b"hash" else ["ZRANGE", name, 0, -1, "WITHSCORES"]))
    found = dict(zip(pairs[::2], pairs[1::2]))
    return found if kind == b"hash" else {name: float(score) for name, score in found.items()}


@pytest.mark.parametrize("version", (1, 4, 5, 9, 12))
def test_every_encoding(load, version):
    client = load(rdb(version, b"\xfe\x00", *(key(kind, name, payload)
                                              for name, (kind, payload, _) in VALUES.items())))
    for name, (_, _, expected) in VALUES.items():
        assert value_of(client, name) == expected, name
    for name in VALUES:
        if "with expiry" in name:
            assert client.command("HPEXPIRETIME", name, "FIELDS", 2, "f", "g") == [-1, EXPIRY], name
    assert client.command("DBSIZE") == len(VALUES)


USES = rdb(11, b"\xfe\x00", b"\xf8\x40\x64" + key(0, "idle", string("v")), b"\xf9\xc8" + key(0, "used", string("v")),
           key(0, "new", string("v")), b"\xf8\x40\x64" + key(1, "idle list", length(1) + string("v")),
           b"\xf9\x07" + key(1, "used list", length(1) + string("v")))


@pytest.mark.parametrize("policy, word, expected", [
    ("volatile-lfu", "FREQ", {"idle": 5, "used": 200, "new": 5, "idle list": 5, "used list": 7}),
    ("allkeys-lru", "IDLETIME", {"idle": 100, "used": 0, "new": 0, "idle list": 100, "used list": 0}),
])
def test_what_is_known_of_uses_stays(load, policy, word, expected):
    client = load(USES, "--maxmemory-policy", policy, "--maxmemory", "1gb", "--lfu-decay-time", 0,
                  "--enable-debug-command", "yes")
    for _ in range(2):
        found = {name: client.command("OBJECT", word, name) for name in expected}
        assert all(expected[name] <= use <= expected[name] + (60 if word == "IDLETIME" else 0)
                   for name, use in found.items()), found
        client.load(("SET", f"more:{i}", "v") for i in range(2000))
        assert client.command("DEBUG", "RELOAD") == b"OK"


def test_small_limits_convert(load):
    """What was packed by a server with other limits is packed no longer."""
    client = load(rdb(12, *(key(kind, name, payload) for name, (kind, payload, _) in VALUES.items())),
                  "--hash-max-listpack-entries", 1, "--zset-max-listpack-entries", 1, "--set-max-intset-entries", 1,
                  "--set-max-listpack-entries", 1, "--list-max-listpack-size", 1)
    for name, (_, _, expected) in VALUES.items():
        assert value_of(client, name) == expected, name
    assert client.command("OBJECT", "ENCODING", "intset 2") == b"hashtable"
    assert client.command("OBJECT", "ENCODING", "quicklist 2") == b"quicklist"


@pytest.mark.parametrize("less", [0, 1])
def test_limits_that_just_fit(load, less):
    """Three elements with a limit of three stay packed, whatever they come as; with two they do not."""
    values = {"packed set": (20, string(listpack(b"a", 5, b"c"))), "plain set": (2, length(3) + string("a") +
              string("b") + string("c")), "intset": (11, string(intset(2, 1, 2, 3))),
              "packed hash": (16, string(listpack(*b"abcdef"))), "plain hash": (4, length(3) + b"".join(
                  string(c) for c in "abcdef")), "packed zset": (17, string(listpack(b"a", 1, b"b", 2, b"c", 3))),
              "plain zset": (5, length(3) + b"".join(string(c) + struct.pack("<d", 1) for c in "abc"))}
    client = load(rdb(12, *(key(kind, name, payload) for name, (kind, payload) in values.items())),
                  *(word for name in ("hash-max-listpack-entries", "zset-max-listpack-entries",
                                      "set-max-intset-entries", "set-max-listpack-entries")
                    for word in (f"--{name}", 3 - less)))
    large = {"set": b"hashtable", "hash": b"hashtable", "zset": b"skiplist", "intset": b"hashtable"}
    for name in values:
        small = b"intset" if name == "intset" else b"listpack"
        expected = large[name.split()[-1]] if less else small
        assert client.command("OBJECT", "ENCODING", name) == expected, name


def test_what_stands_between_keys(load):
    module = b"\xf7" + b"\x81" + struct.pack(">Q", 0x1234567890ABCDEF) + b"\x02\x01" + \
        b"\x01\x05\x02\x40\x80\x03\x00\x00\x80\x3f\x04" + b"\x00" * 8 + b"\x05" + string("text") + b"\x00"
    data = rdb(11, b"\xfa" + string("redis-ver") + string("7.2.0"), b"\xf5" + string("#!lua name=lib\n"), module,
               b"\xfe\x00\xfb\x03\x01", b"\xf4\x01\x02\x03",
               b"\xfc" + struct.pack("<Q", EXPIRY) + b"\xf8\x40\x64" + key(0, "idle", string("v")),
               b"\xfd" + struct.pack("<i", 2**31 - 1) + b"\xf9\x05" + key(0, "freq", string("w")),
               b"\xfc" + struct.pack("<Q", 1000) + key(0, "past", string("x")),
               b"\xfe\x03", key(2, "empty", length(0)), key(0, "three", string("y")))
    client = load(data)
    assert client.command("PEXPIRETIME", "idle") == EXPIRY and client.command("OBJECT", "IDLETIME", "idle") >= 100
    assert client.command("PEXPIRETIME", "freq") == (2**31 - 1) * 1000
    assert client.command("DBSIZE") == 2
    assert client.info("persistence")["rdb_last_load_keys_expired"] == "1"
    client.command("SELECT", 3)
    assert client.command("KEYS", "*") == [b"three"]
    client.command("SAVE")
    directory = client.command("CONFIG", "GET", "dir")[1].decode()
    assert b"\xf5" + string("#!lua name=lib\n") in open(directory + "/dump.rdb", "rb").read()


EMPTY = {
    "list": (1, length(0)),
    "set": (2, length(0)),
    "hash": (4, length(0)),
    "zset": (5, length(0)),
    "ziplist": (10, string(ziplist())),
    "zset of a ziplist": (12, string(ziplist())),
    "hash of a ziplist": (13, string(ziplist())),
    "nodes": (14, length(1) + string(ziplist())),
    "hash of a listpack": (16, string(listpack())),
    "zset of a listpack": (17, string(listpack())),
    "packed nodes": (18, length(1) + length(2) + string(listpack())),
    "set of a listpack": (20, string(listpack())),
    "fields": (24, bytes(8) + length(0)),
    "packed fields": (25, bytes(8) + string(listpack())),
}


def test_empty_keys_are_passed_over(load, tmp_path):
    """Old servers have left such keys in files: the log counts them and names ten. As payloads they are refused."""
    client = load(rdb(12, *(key(kind, name, payload) for name, (kind, payload) in EMPTY.items()),
                      key(0, "last", string("v"))))
    assert client.command("KEYS", "*") == [b"last"]
    log = (tmp_path / "files-0" / "server.log").read_text()
    assert f"empty keys skipped: {len(EMPTY)}" in log
    assert [line.split("empty key: ")[1] for line in log.splitlines() if "empty key: " in line] == list(EMPTY)[:10]
    for name, (kind, payload) in EMPTY.items():
        assert client.command("RESTORE", "k", 0, dumped(kind, payload)).text == "ERR Bad data format", name


def test_the_log_says_what_is_wrong_with_a_payload(load, tmp_path):
    client = load(rdb(12), "--loglevel", "verbose")
    for number, (kind, payload, reason) in enumerate((
            (10, string(ziplist(b"a")[:-1]), "List ziplist integrity check failed"),
            (13, string(ziplist(b"f")), "Hash ziplist integrity check failed"),
            (16, string(listpack(b"f", 1)[:-1]), "Listpack integrity check failed: that of a hash"),
            (18, length(1) + length(1) + string(""), "A node of a list is one element and empty"),
            (23, string(listpack(b"f", b"v", EXPIRY + 1, b"g", b"w", EXPIRY)), "expiries out of range or order"),
            (25, bytes(8) + string(listpack(b"f", b"v", 0, b"g", b"w", EXPIRY)), "expiries out of range or order"),
            (25, bytes(8) + string(listpack(b"f", b"v", b"soon")), "expiries out of range or order"))):
        assert client.command("RESTORE", "k", 0, dumped(kind, payload)).text == "ERR Bad data format"
        log = (tmp_path / "files-0" / "server.log").read_text()
        lines = [line for line in log.splitlines() if "to be restored" in line]
        assert len(lines) == number + 1 and lines[-1].endswith(reason), lines


DOCUMENT = b'{"a":[null,5,2.5],"b":true}'


def module(version, content):
    """A document: a value of the module type ReJSON-RL."""
    return b"\x81" + bytes.fromhex("45e25238df912c") + bytes([version]) + content + b"\x00"


def number(n):
    return b"\x02" + length(n)


def test_documents(server):
    """The encodings of RedisJSON, old and new; the newest is written."""
    text = b"\x05" + string(DOCUMENT)
    tree = (number(32) + number(2) + number(128) + b"\x05" + string("a") + number(64) + number(3) + number(1) +
            number(8) + b"\x01\x05" + number(4) + b"\x04" + struct.pack("<d", 2.5) + number(128) + b"\x05" +
            string("b") + number(16) + b"\x05" + string("1"))
    with Client(server.port) as client:
        for version, content in ((3, text), (2, text + number(0)), (0, tree),
                                 (2, text + number(1) + b"\x05" + string("x") + b"\x05" + string("y"))):
            assert client.command("RESTORE", "d", 0, dumped(7, module(version, content)), "REPLACE") == b"OK"
            assert client.command("TYPE", "d") == b"ReJSON-RL"
            compressed = client.command("DUMP", "d")
            assert compressed.startswith(b"\x07\x81" + bytes.fromhex("45e25238df912c03") + b"\x05")
            assert compressed == dumped(7, module(3, text)), "this text is not worth compressing"
        assert client.command("RESTORE", "i", 0, dumped(7, module(3, b"\x05\xc0\x2a"))) == b"OK"
        for content in (b"\x05" + string("{"), b"\x05" + string("[1]]"), number(1), b"", text + text):
            reply = client.command("RESTORE", "broken", 0, dumped(7, module(3, content)))
            assert reply.text == "ERR Bad data format"


BROKEN = {
    "no signature": b"RUBBISH" * 3,
    "a later version": rdb(13, key(0, "k", string("v"))),
    "cut in the header": b"REDIS00",
    "cut in a key": rdb(10, key(0, "k", string("value")))[:-12],
    "cut before the checksum": rdb(10, key(0, "k", string("v")))[:-8],
    "wrong checksum": rdb(10, key(0, "k", string("v")))[:-1] + b"!",
    "an unknown type": rdb(10, key(77, "k", string("v"))),
    "the same key twice": rdb(10, key(0, "k", string("v")), key(0, "k", string("w"))),
    "the same key twice, apart": rdb(10, key(1, "k", length(1) + string("v")), key(0, "k", string("w"))),
    "a database too many": rdb(10, b"\xfe\x40\xff", key(0, "k", string("v"))),
    "a string without end": rdb(10, key(0, "k", b"\x81" + b"\x7f" * 8)),
    "items without end": rdb(10, key(1, "k", b"\x80\x7f\xff\xff\xff")),
    "a compressed bomb": rdb(10, key(0, "k", b"\xc3" + length(5) + b"\x80\xff\xff\xff\xff" + b"\x00a\xe0\x0a\x00")),
    "compressed nonsense": rdb(10, key(0, "k", b"\xc3" + length(5) + length(20) + b"\xff\xff\xff\xff\xff")),
    "a listpack too short": rdb(10, key(16, "k", string(listpack(b"f", 1)[:-1]))),
    "half a field": rdb(10, key(16, "k", string(listpack(b"f")))),
    "a field twice": rdb(10, key(16, "k", string(listpack(b"f", 1, b"f", 2)))),
    "a field twice, not packed": rdb(10, key(4, "k", length(2) + (string("f") + string("v")) * 2)),
    "a member twice": rdb(10, key(2, "k", length(2) + string("m") * 2)),
    "a sorted member twice": rdb(10, key(17, "k", string(listpack(b"m", 1, b"m", 2)))),
    "a score that is none": rdb(10, key(17, "k", string(listpack(b"m", b"x")))),
    "a score that is NaN": rdb(10, key(5, "k", length(1) + string("m") + struct.pack("<d", float("nan")))),
    "a score that is NaN, as text": rdb(10, key(3, "k", length(1) + string("m") + b"\xfd")),
    "an intset out of order": rdb(10, key(11, "k", string(intset(2, 5, 1)))),
    "a ziplist with a wrong back link": rdb(9, key(10, "k", string(ziplist(b"a", b"b").replace(b"\x03\x01b",
                                                                                              b"\x04\x01b")))),
    "a zipmap without end": rdb(2, key(9, "k", string(zipmap((b"f", b"v", 0))[:-1] + b"\x05"))),
    "an unknown container": rdb(10, key(18, "k", length(1) + b"\x03" + string("x"))),
    "a module's value": rdb(10, key(7, "k", b"\x81" + struct.pack(">Q", 0x1234567890ABCDEF) + b"\x00")),
    "an expiry beyond": rdb(12, key(24, "k", struct.pack("<Q", 2**60) + length(1) + length(1) + string("f") +
                                    string("v"))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(start_server, tmp_path, name):
    """The server does not start, says where the damage is, and leaves the file alone."""
    directory = tmp_path / "broken"
    directory.mkdir()
    (directory / "dump.rdb").write_bytes(BROKEN[name])
    check = subprocess.run([larder_binary(), "--check-rdb", directory / "dump.rdb"], capture_output=True, text=True)
    if "same key" not in name and "database" not in name:  # of which a check, which keeps nothing, cannot know
        assert check.returncode == 1 and "[offset " in check.stdout, check.stdout
    server = None
    try:
        server = start_server(directory=directory)
        server.process.wait(20)
    except StartFailed:
        pass
    log = (directory / "server.log").read_text()
    assert "Fatal error loading the DB, at byte" in log, log
    if server:
        assert server.process.returncode == 1
        server.kill()
    assert (directory / "dump.rdb").read_bytes() == BROKEN[name]


def test_check_tells_what_is_there(tmp_path):
    path = tmp_path / "some.rdb"
    path.write_bytes(rdb(10, *(key(kind, name, payload) for name, (kind, payload, _) in VALUES.items())))
    check = subprocess.run([larder_binary(), "--check-rdb", path], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
    assert f"{len(VALUES)} keys read" in check.stdout and "Checksum OK" in check.stdout
    missing = subprocess.run([larder_binary(), "--check-rdb", tmp_path / "none"], capture_output=True, text=True)
    assert missing.returncode == 1 and "No such file" in missing.stderr
    for wrong in (["--check-rdb"], ["--check-rdb", path, path], ["--check-aof"], ["--check-aof", path, path]):
        check = subprocess.run([larder_binary(), *wrong], capture_output=True, text=True)
        assert check.returncode == 1 and check.stderr.startswith("Usage:")


def test_flipped_bits(tmp_path):
    """A bit flipped at every 300th byte: with a checksum always noticed; without one, an error or a whole reading."""
    data = rdb(10, *(key(kind, name, payload) for name, (kind, payload, _) in VALUES.items() if len(payload) < 5000))
    path = tmp_path / "flipped.rdb"
    for at in range(0, len(data) - 8, 300):
        for checksum in (True, False):
            flipped = bytearray(data)
            flipped[at] ^= 1 << at % 8
            if not checksum:
                flipped[-8:] = bytes(8)
            path.write_bytes(flipped)
            check = subprocess.run([larder_binary(), "--check-rdb", path], capture_output=True)
            assert check.returncode == 1 if checksum else check.returncode in (0, 1), (at, check.stdout)
            assert check.returncode == 0 or b"[offset " in check.stdout
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
