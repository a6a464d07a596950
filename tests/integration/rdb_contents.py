"""Contents for the tests of saved files: random keys of every type and encoding, and what is in a server, by commands.

Also the file format's own bytes, for files that no server of today writes: `Rdb` puts together what a test says.
"""
import struct

TYPES = ("string", "list", "set", "zset", "hash", "stream")


def text(rng):
    """Texts that are kept and written in different ways: numbers of each width, short, compressible, long, any."""
    return rng.choice((
        lambda: str(rng.choice((0, -1, 127, 128, -129, 32767, -32769, 2**31 - 1, 2**31, -2**31, 2**63 - 1, -2**63))),
        lambda: str(rng.randrange(-10**6, 10**6)),
        lambda: rng.choice(("", "0x1", "007", "-0", "1.5", "9223372036854775808")),
        lambda: "v" * rng.randrange(1, 70),
        lambda: "abcdefgh" * rng.randrange(1, 60),
        lambda: bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))),
        lambda: bytes(rng.getrandbits(8) for _ in range(20000)) if rng.random() < 0.05 else "short",
        lambda: "z" * rng.randrange(1, 40000),
    ))()


def names(rng, most):
    """Different texts, few or many."""
    count = rng.choice((1, 2, 7, most))
    if rng.random() < 0.3:
        return [str(rng.randrange(10**rng.randrange(1, 19))) + str(i) for i in range(count)]
    return [f"{'m' * rng.randrange(1, 20)}{i}" for i in range(count)]


def make_string(rng, key):
    yield ["SET", key, text(rng)]


def make_list(rng, key):
    for _ in range(rng.choice((1, 3, 20))):
        yield ["RPUSH", key, *(text(rng) for _ in range(rng.choice((1, 5, 60))))]


def make_set(rng, key):
    if rng.random() < 0.5:
        wide = 10**rng.randrange(1, 19)
        yield ["SADD", key, *(rng.randrange(-wide, wide) for _ in range(rng.choice((1, 30, 700))))]
    else:
        yield ["SADD", key, *names(rng, 400)]


def make_zset(rng, key):
    scores = (0, -0.0, 1, -1.5, 1 / 3, 1e300, -1e-300, 2**53, 10**17, "inf", "-inf")
    pairs = [part for name in names(rng, 300) for part in (rng.choice(scores), name)]
    yield ["ZADD", key, *pairs]


def make_hash(rng, key):
    for name in names(rng, 300):
        yield ["HSET", key, name, text(rng)]


def make_stream(rng, key):
    ms = 1
    for i in range(rng.choice((1, 5, 250))):
        ms += rng.randrange(3)
        fields = rng.choice((["f", i], ["f", text(rng), "g", "x"], ["other", "1"]))
        yield ["XADD", key, f"{ms}-{i}", *fields]
    yield ["XDEL", key, f"{ms}-{i}"]
    if rng.random() < 0.6:
        for group in ("g1", "g 2"):
            yield ["XGROUP", "CREATE", key, group, rng.choice(("0", "$", "1-0"))]
            yield ["XREADGROUP", "GROUP", group, "alice", "COUNT", rng.randrange(1, 30), "STREAMS", key, ">"]
            yield ["XREADGROUP", "GROUP", group, "bob", "COUNT", 3, "STREAMS", key, ">"]
            yield ["XGROUP", "CREATECONSUMER", key, group, "idle"]


MAKERS = {"string": make_string, "list": make_list, "set": make_set, "zset": make_zset, "hash": make_hash,
          "stream": make_stream}


def fill(client, rng, keys, types=TYPES):
    """Random keys in databases 0 and 9; a third of them expires, in a day or more."""
    for db in (0, 9):
        client.command("SELECT", db)
        for i in range(keys):
            kind = rng.choice(types)
            key = rng.choice((f"{kind}:{i}", str(i), b"\x00\xff\r\n%d" % i, "k" * 300 + str(i)))
            commands = list(MAKERS[kind](rng, key))
            if rng.random() < 0.3:
                commands.append(["PEXPIREAT", key, 4102444800000 + rng.randrange(10**9)])
            client.load(commands)
    client.command("SELECT", 0)


def stream_contents(client, key):
    info = client.command("XINFO", "STREAM", key)
    facts = dict(zip(info[::2], info[1::2]))
    parts = [client.command("XRANGE", key, "-", "+"),
             [facts[name] for name in (b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added",
                                       b"recorded-first-entry-id")]]
    for group in client.command("XINFO", "GROUPS", key):
        group = dict(zip(group[::2], group[1::2]))
        name = group[b"name"]
        pending = [[entry[0], entry[1], entry[3]] for entry in client.command("XPENDING", key, name, "-", "+", 10000)]
        consumers = [dict(zip(c[::2], c[1::2])) for c in client.command("XINFO", "CONSUMERS", key, name)]
        parts.append([name, group[b"last-delivered-id"], group[b"entries-read"], pending,
                      sorted((c[b"name"], c[b"pending"]) for c in consumers)])
    return parts


def value(client, key, kind):
    if kind == "string":
        return client.command("GET", key)
    if kind == "list":
        return client.command("LRANGE", key, 0, -1)
    if kind == "set":
        return sorted(client.command("SMEMBERS", key))
    if kind == "zset":
        found = client.command("ZRANGE", key, 0, -1, "WITHSCORES")
        return [(name, float(score)) for name, score in zip(found[::2], found[1::2])]
    if kind == "hash":
        found = client.command("HGETALL", key)
        return dict(zip(found[::2], found[1::2]))
    return stream_contents(client, key)


def contents(client, dbs=(0, 9)):
    """Everything in the databases: value, type, encoding where both servers use the same, and expiry."""
    everything = {}
    for db in dbs:
        client.command("SELECT", db)
        for key in client.command("KEYS", "*"):
            kind = client.command("TYPE", key).decode()
            everything[db, key] = (kind, client.command("PEXPIRETIME", key), value(client, key, kind))
    client.command("SELECT", 0)
    return everything


# --- The format's bytes ---

CRC_TABLE = []
for byte in range(256):
    crc = byte
    for _ in range(8):
        crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    CRC_TABLE.append(crc)


def crc64(data):
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc


def length(n):
    if n < 64:
        return bytes([n])
    if n < 16384:
        return bytes([0x40 | n >> 8, n & 255])
    return b"\x80" + struct.pack(">I", n) if n < 2**32 else b"\x81" + struct.pack(">Q", n)


def string(data):
    data = data if isinstance(data, bytes) else str(data).encode()
    return length(len(data)) + data


def rdb(version, *records, checksum=True):
    """A file of these records (opcodes or types with what belongs to them), with its header and end."""
    body = b"REDIS%04d" % version + b"".join(records) + b"\xff"
    if version < 5:
        return body
    return body + struct.pack("<Q", crc64(body) if checksum else 0)


def key(kind, name, payload):
    return bytes([kind]) + string(name) + payload


def dumped(kind, payload, version=10):
    body = bytes([kind]) + payload + struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def ziplist(*elements):
    entries, before, last = b"", 0, 10
    for element in elements:
        head = bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)
        if isinstance(element, int):
            if 0 <= element <= 12:
                body = bytes([0xF1 + element])
            elif -128 <= element < 128:
                body = b"\xfe" + struct.pack("<b", element)
            elif -2**15 <= element < 2**15:
                body = b"\xc0" + struct.pack("<h", element)
            elif -2**23 <= element < 2**23:
                body = b"\xf0" + struct.pack("<i", element)[:3]
            elif -2**31 <= element < 2**31:
                body = b"\xd0" + struct.pack("<i", element)
            else:
                body = b"\xe0" + struct.pack("<q", element)
        else:
            size = len(element)
            body = (bytes([size]) if size < 64 else struct.pack(">H", 0x4000 | size) if size < 16384
                    else b"\x80" + struct.pack(">I", size)) + element
        last = 10 + len(entries)
        entries += head + body
        before = len(head + body)
    return struct.pack("<IIH", 11 + len(entries), last, len(elements)) + entries + b"\xff"


def zipmap(*pairs):
    def size(n):
        return bytes([n]) if n < 254 else b"\xfe" + struct.pack("<I", n)
    body = b"".join(size(len(k)) + k + size(len(v)) + bytes([free]) + v + b"." * free for k, v, free in pairs)
    return bytes([len(pairs)]) + body + b"\xff"


def intset(width, *numbers):
    return struct.pack("<II", width, len(numbers)) + b"".join(n.to_bytes(width, "little", signed=True) for n in numbers)


def listpack(*elements):
    entries = b""
    for element in elements:
        if isinstance(element, int) and 0 <= element < 128:
            body = bytes([element])
        elif isinstance(element, int):
            body = b"\xf4" + struct.pack("<q", element)
        elif len(element) < 64:
            body = bytes([0x80 | len(element)]) + element
        else:
            body = struct.pack(">H", 0xE000 | len(element)) + element
        back = bytes([len(body)]) if len(body) < 128 else bytes([len(body) >> 7, len(body) & 127 | 128])
        entries += body + back
    return struct.pack("<IH", 7 + len(entries), len(elements)) + entries + b"\xff"
