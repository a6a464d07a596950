"""The same commands on two servers, and their replies compared byte for byte.

Replies that Redis itself leaves open (the order of a set, a random key, the milliseconds that are left) have an entry
in COMPARERS; everything else must be identical. `DifferentialRun` sends thousands of generated commands; when replies
differ it shrinks the history to few commands that still show the difference, and fails with these and the seed.
"""
import contextlib
import random
import re
import socket
import time

from .resp import Client, ConnectionClosed, ErrorReply, Push, encode


def _same_type(a, b):
    return a.raw[:1] == b.raw[:1]


def _unordered(a, b):
    return _same_type(a, b) and isinstance(a.value, list) and sorted(a.value) == sorted(b.value)


def _within(tolerance):
    def comparer(a, b):
        both_numbers = type(a.value) is int and type(b.value) is int
        return both_numbers and (a.value < 0) == (b.value < 0) and abs(a.value - b.value) <= tolerance
    return comparer


def _random_key(a, b):
    return _same_type(a, b) and (a.value is None) == (b.value is None)


def _scan_page(a, b):
    """Which page a cursor leads to is the server's own affair; only the shape is common."""
    return all(isinstance(r.value, list) and len(r.value) == 2 and isinstance(r.value[1], list) for r in (a, b))


def _whole_scan(a, b):
    """As far as both pages are the whole collection, they hold the same."""
    if not _scan_page(a, b):
        return False
    both_whole = all(r.value[0] == b"0" for r in (a, b))
    return not both_whole or sorted(a.value[1]) == sorted(b.value[1])


def _random_members(a, b):
    """As many of them, or one, or none."""
    if isinstance(a.value, list) and isinstance(b.value, list):
        return _same_type(a, b) and len(a.value) == len(b.value)
    return _random_key(a, b)


def _equal_number(a, b):
    try:
        return float(a) == float(b)
    except (TypeError, ValueError):
        return False


def _equal_values(a, b):
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal_values, a, b))
    return a == b or (type(a) is type(b) and _equal_number(a, b))


def _numbers(a, b):
    """Doubles are compared as numbers: redis-server 7.0 prints all 17 digits, newer ones as few as will do."""
    return _same_type(a, b) and _equal_values(a.value, b.value)


def _whole_scan_of_pairs(a, b):
    if not _scan_page(a, b):
        return False
    pages = [sorted(zip(r.value[1][::2], r.value[1][1::2])) for r in (a, b)]
    whole = all(r.value[0] == b"0" for r in (a, b))
    return not whole or _equal_values(*([list(pair) for pair in page] for page in pages))


WITH_NUMBERS = ("ZADD", "ZINCRBY", "ZSCORE", "ZMSCORE", "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE",
                "ZPOPMIN", "ZPOPMAX", "ZMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "ZUNION", "ZINTER", "ZDIFF")

def _pairs(a, b):
    """The same pairs, a flat list or a map, in any order."""
    def pairs(value):
        return sorted(value.items() if isinstance(value, dict) else zip(value[::2], value[1::2]))
    both_hold = all(isinstance(r.value, (list, dict)) for r in (a, b))
    return both_hold and _same_type(a, b) and len(a.value) == len(b.value) and pairs(a.value) == pairs(b.value)


def _unordered_places(a, b):
    """Each with whatever was asked for with it; in RESP3, coordinates have more digits than doubles keep."""
    return _same_type(a, b) and isinstance(a.value, list) and sorted(map(repr, a.value)) == sorted(map(repr, b.value))


def _pairs_of(value):
    """A map as a dict, however it was answered; what is none stays as it is."""
    if isinstance(value, dict):
        return value
    return dict(zip(value[::2], value[1::2])) if isinstance(value, list) else value


def _consumer(value, *hidden):
    value = _pairs_of(value)
    pending = value.get(b"pending", value.get(b"pel"))
    if isinstance(pending, list):
        pending = [[id, count] for id, _, count in pending]
    return {**{k: v for k, v in value.items() if k not in hidden}, b"pending": pending}


def _group(value):
    value = dict(_pairs_of(value))
    del value[b"entries-read"], value[b"lag"]
    if isinstance(value.get(b"consumers"), list):
        consumers = [_consumer(c, b"seen-time", b"active-time") for c in value[b"consumers"]]
        value[b"consumers"] = [c for c in consumers if c[b"pending"]]
        value[b"pending"] = [[id, consumer, count] for id, consumer, _, count in value[b"pending"]]
    else:
        del value[b"consumers"]
    return value


def _stream_facts(a, b):
    """XINFO without times, without what only concerns how entries are kept, and without consumers that have nothing
    pending, whom redis-server makes from version 7.2 on when they ask in vain; nor the lag and what it follows from,
    which 7.4 knows better after entries were removed."""
    def facts(value):
        if isinstance(value, list) and value and isinstance(value[0], (list, dict)):
            if b"idle" in _pairs_of(value[0]):
                return [c for c in (_consumer(c, b"idle", b"inactive") for c in value) if c[b"pending"]]
            return [_group(group) for group in value]
        value = dict(_pairs_of(value))
        value.pop(b"radix-tree-keys")
        value.pop(b"radix-tree-nodes")
        if isinstance(value[b"groups"], list):
            value[b"groups"] = [_group(group) for group in value[b"groups"]]
        return value
    both_hold = all(isinstance(r.value, (list, dict)) for r in (a, b))
    if not both_hold or not _same_type(a, b):
        return False
    if not a.value or not b.value:  # consumers, some of whom one server has not
        return not (a.value or b.value) or b"idle" in _pairs_of((a.value or b.value)[0])
    return facts(a.value) == facts(b.value)


def _pending_entries(a, b):
    """XPENDING without the times."""
    def entries(value):
        return [[id, consumer, count] for id, consumer, _, count in value]
    both_hold = all(isinstance(r.value, list) and all(isinstance(e, list) for e in r.value) for r in (a, b))
    return both_hold and entries(a.value) == entries(b.value)


def _created(a, b):
    """Whether a consumer is new: redis-server makes them later than 7.2 does."""
    return type(a.value) is int and type(b.value) is int


def _unbalanced(a, b):
    """The error about streams without IDs has another text from version 7.2 on."""
    return a.raw == b.raw or all(r.raw.startswith(b"-ERR Unbalanced ") for r in (a, b))


def _ill_formed(a, b):
    """From version 7.2 on, words that mean nothing are an error before anybody looks for the key."""
    errors = (b"-ERR syntax error\r\n", b"-ERR value is not an integer or out of range\r\n")
    return a.raw == b.raw or (a.raw in errors and (b.raw in (b":0\r\n", b":-1\r\n") or b.raw[:10] == b"-WRONGTYPE"))


def _words_of_refusal(reply):
    """What access control says, in the words of 7.0: from 7.2 on it names the user, and says less of keys."""
    text = reply.value if isinstance(reply.value, bytes) else reply.raw
    text = re.sub(rb"User \S+ has no permissions to", b"This user has no permissions to", text)
    text = re.sub(rb"No permissions to access a (key|channel)\b",
                  rb"This user has no permissions to access one of the \1s used as arguments", text)
    return text.replace(b"this user has no", b"This user has no")


def _refused_alike(a, b):
    both_refuse = all(b"permissions to" in reply.raw for reply in (a, b))
    return both_refuse and _same_type(a, b) and _words_of_refusal(a) == _words_of_refusal(b)


SEARCHES = ("GEOSEARCH", "GEORADIUS", "GEORADIUS_RO", "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO")

COMPARERS = {
    "XINFO": _stream_facts,
    "XPENDING": _pending_entries,
    "XGROUP": _created,
    "XREAD": _unbalanced,
    "XREADGROUP": _unbalanced,
    **dict.fromkeys(SEARCHES, _unordered_places),
    "BITCOUNT": _ill_formed,
    "BITPOS": _ill_formed,
    "HGETALL": _pairs,
    "HKEYS": _unordered,
    "HVALS": _unordered,
    "HSCAN": _whole_scan,
    "HRANDFIELD": _random_members,
    **dict.fromkeys(WITH_NUMBERS, _numbers),
    "ZSCAN": _whole_scan_of_pairs,
    "ZRANDMEMBER": _random_members,
    "SCAN": _scan_page,
    "SSCAN": _whole_scan,
    "SMEMBERS": _unordered,
    "SINTER": _unordered,
    "SUNION": _unordered,
    "SDIFF": _unordered,
    "SPOP": _unordered,
    "SRANDMEMBER": _random_members,
    "KEYS": _unordered,
    "RANDOMKEY": _random_key,
    "TTL": _within(10),
    "EXPIRETIME": _within(10),
    "PTTL": _within(10_000),
    "PEXPIRETIME": _within(10_000),
}


def as_args(command):
    """A command given as one text, or as a sequence of arguments."""
    return command.split() if isinstance(command, str) else list(command)


def name_of(args):
    name = args[0] if args else ""
    return (name.decode(errors="replace") if isinstance(name, bytes) else str(name)).upper()


def begins_elsewhere(args):
    """True for a scan that does not begin at 0: what lies behind another cursor is the server's own affair."""
    at = {"SCAN": 1, "SSCAN": 2, "HSCAN": 2, "ZSCAN": 2}.get(name_of(args))
    return at is not None and len(args) > at and str(args[at]) not in ("0", "b'0'")


def replies_agree(args, a, b):
    if a.raw == b.raw:
        return True
    if begins_elsewhere(args):
        return _scan_page(a, b)
    if _refused_alike(a, b):
        return True
    comparer = COMPARERS.get(name_of(args))
    return comparer is not None and comparer(a, b)


def shown(args):
    """A command as a person would write it, long arguments cut."""
    words = []
    for arg in args:
        word = repr(arg) if isinstance(arg, bytes) else str(arg)
        words.append(word if len(word) <= 200 else f"{word[:200]}...({len(word)} characters)")
    return " ".join(words)


def _left_over(client):
    """Replies that nobody has read, as far as the connection still answers."""
    found = []
    with contextlib.suppress(ConnectionClosed, OSError):
        client.send("RESET")
        while (value := client.read().value) != b"RESET":
            if not isinstance(value, Push):
                found.append(value)
    return found


class Pair:
    """A connection to the server under test and one to the oracle, speaking the same protocol."""

    def __init__(self, server_port, oracle_port, protocol):
        self.protocol = protocol
        self.server = Client(server_port, protocol)
        self.oracle = Client(oracle_port, protocol)
        self.both = (self.server, self.oracle)

    def close(self):
        try:
            self._expect_no_more()
        finally:
            for client in self.both:
                client.close()

    def _expect_no_more(self):
        """A command that answers twice gives the right reply first: what is left over must not go unseen."""
        ours = _left_over(self.server)
        assert not ours or ours == _left_over(self.oracle), f"replies that belong to no command: {ours}"

    def flush(self):
        for client in self.both:
            for args in (("DISCARD",), ("SELECT", 0), ("FLUSHALL",)):
                client.command(*args)

    def exchange(self, commands):
        """Send the commands to both in one piece; return (args, our reply, the oracle's reply) for each."""
        request = b"".join(encode(args) for args in commands)
        for client in self.both:
            client.send_raw(request)
        return [(args, self.server.read(), self.oracle.read()) for args in commands]

    def same(self, *commands):
        """Run commands one after the other; fail at the first reply that differs. Return our values."""
        values = []
        for command in commands:
            args = as_args(command)
            [(_, ours, theirs)] = self.exchange([args])
            assert replies_agree(args, ours, theirs), (
                f"RESP{self.protocol}: {shown(args)}\n  ours   {ours.raw[:600]!r}\n  oracle {theirs.raw[:600]!r}")
            values.append(ours.value)
        return values

    def knows(self, name):
        """Whether the server under test has this command."""
        reply = self.server.command(name)
        return not (isinstance(reply, ErrorReply) and reply.text.startswith("ERR unknown command"))


class DifferentialRun:
    """Random commands of one generator: a function that makes one command from a random.Random."""

    BATCH = 50
    SHRINK_SECONDS = 20

    def __init__(self, pair, generate, seed):
        self.pair, self.generate, self.seed = pair, generate, seed

    def run(self, count):
        rng = random.Random(self.seed)
        print(f"seed {self.seed}: run again with LARDER_TEST_SEED={self.seed}")
        history = []
        while len(history) < count:
            batch = [self.generate(rng) for _ in range(self.BATCH)]
            for args, ours, theirs in self.pair.exchange(batch):
                history.append(args)
                if not replies_agree(args, ours, theirs):
                    raise AssertionError(self._report(history, ours, theirs))

    def _report(self, history, ours, theirs):
        shortest, seen = self._shrink(history)
        ours, theirs = seen or (ours, theirs)
        lines = "\n".join(f"    {shown(args)}" for args in shortest[-40:])
        return (f"RESP{self.pair.protocol}, seed {self.seed}, command {len(history)}: replies differ after\n{lines}\n"
                f"  ours   {ours.raw[:600]!r}\n  oracle {theirs.raw[:600]!r}")

    def _replay(self, commands):
        """The two replies to the last command on emptied servers, or None when they agree."""
        self.pair.flush()
        args, ours, theirs = self.pair.exchange(commands)[-1]
        return None if replies_agree(args, ours, theirs) else (ours, theirs)

    def _shrink(self, history):
        """Leave out ever smaller pieces of the history while its last command still shows a difference."""
        deadline = time.monotonic() + self.SHRINK_SECONDS
        kept, last = list(history[:-1]), history[-1]
        seen = self._replay([*kept, last])
        if not seen:  # it takes more than these commands: the clock, or an earlier run
            return history, None
        size = len(kept)
        while size and time.monotonic() < deadline:
            at = 0
            while at < len(kept) and time.monotonic() < deadline:
                fewer = kept[:at] + kept[at + size:]
                differs = self._replay([*fewer, last])
                if differs:
                    kept, seen = fewer, differs
                else:
                    at += size
            size //= 2
        return [*kept, last], seen


def raw_output(port, pieces, pause=0.0):
    """Everything that a server answers to raw bytes, sent in the given pieces, after which the client ends its half."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        output = []
        try:
            for piece in pieces:
                sock.sendall(piece)
                if pause:
                    time.sleep(pause)
            sock.shutdown(socket.SHUT_WR)
        except OSError:  # the server has closed already; what it said before can still be read
            pass
        try:
            while data := sock.recv(1 << 16):
                output.append(data)
        except ConnectionResetError:
            pass
        return b"".join(output)


def closes_after(port, payload, expected, password=None):
    """Whether the server itself closes the connection once it has answered `payload` with `expected`."""
    with Client(port) as client, Client(port) as observer:
        if password:
            assert observer.command("AUTH", password) == b"OK"
        try:
            client.send_raw(payload)
            got = client.read_raw(len(expected))
        except ConnectionResetError:
            return True
        assert got == expected, f"the same bytes were answered differently: {got!r}, then {expected!r}"
        own = b" addr=127.0.0.1:%d " % client.sock.getsockname()[1]
        for _ in range(3):  # the bytes were there before these are: once they are answered, those have been read
            listed = observer.command("CLIENT", "LIST")
        return own not in listed
