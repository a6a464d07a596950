"""Streams: what no redis-server 7.0 can be compared with, and commands that are long enough to be done in slices.

A transaction runs everything at once; so a long command's reply is compared with that of the same command within one.
"""
import threading

import pytest

from harness.resp import Client, ErrorReply

LONG = 5000


@pytest.fixture
def filled(client):
    client.load(("XADD", "s", f"{i}-1", "n", i) for i in range(1, LONG + 1))
    client.command("XGROUP", "CREATE", "s", "g", "0")
    return client


def at_once(client, *command):
    client.command("MULTI")
    client.command(*command)
    return client.command("EXEC")[0]


def ids(*numbers):
    return [f"{n}-1" for n in numbers]


@pytest.fixture
def small(client):
    """Entries 1 to 6; group g has 1 to 4 pending, group h 1 and 2; 3 is acknowledged in g."""
    client.load(("XADD", "s", id, "n", id) for id in ids(*range(1, 7)))
    for group, count in (("g", 4), ("h", 2)):
        client.command("XGROUP", "CREATE", "s", group, "0")
        client.command("XREADGROUP", "GROUP", group, "c", "COUNT", count, "STREAMS", "s", ">")
    client.command("XACK", "s", "g", "3-1")
    return client


def left(client):
    entries = [int(id.split(b"-")[0]) for id, _ in client.command("XRANGE", "s", "-", "+")]
    pending = [[int(e[0].split(b"-")[0]) for e in client.command("XPENDING", "s", group, "-", "+", 100)]
               for group in ("g", "h")]
    return entries, *pending


@pytest.mark.parametrize("words, answer, after", [
    ([], [1, 1, 1, -1], ([2, 4, 6], [1, 2, 4], [1, 2])),
    (["KEEPREF"], [1, 1, 1, -1], ([2, 4, 6], [1, 2, 4], [1, 2])),
    (["DELREF"], [1, 1, 1, -1], ([2, 4, 6], [2, 4], [2])),
    (["ACKED"], [2, 2, 2, -1], ([1, 2, 3, 4, 5, 6], [1, 2, 4], [1, 2]))])
def test_xdelex(small, words, answer, after):
    assert small.command("XDELEX", "s", *words, "IDS", 4, *ids(1, 3, 5, 9)) == answer
    assert left(small) == after


def test_xdelex_of_what_all_have_acknowledged(small):
    small.command("XREADGROUP", "GROUP", "h", "c", "STREAMS", "s", ">")
    small.command("XACK", "s", "h", *ids(3, 4))
    assert small.command("XDELEX", "s", "IDS", 2, *ids(3, 4), "acked") == [1, 2]
    assert left(small)[0] == [1, 2, 4, 5, 6]


def test_xdelex_takes_references_that_dangle(small):
    small.command("XDEL", "s", "1-1")
    assert small.command("XDELEX", "s", "DELREF", "IDS", 1, "1-1") == [-1]
    assert left(small) == ([2, 3, 4, 5, 6], [2, 4], [2])


@pytest.mark.parametrize("words, answer, after", [
    ([], [1, -1, 1, -1], ([2, 3, 5, 6], [2], [1, 2])),
    (["DELREF"], [1, -1, 1, -1], ([2, 3, 5, 6], [2], [2])),
    (["ACKED"], [2, -1, 2, -1], ([1, 2, 3, 4, 5, 6], [2], [1, 2]))])
def test_xackdel(small, words, answer, after):
    assert small.command("XACKDEL", "s", "g", *words, "IDS", 4, *ids(1, 3, 4, 9)) == answer
    assert left(small) == after


@pytest.mark.parametrize("command, entries, g, h", [
    ("XTRIM s MAXLEN 3", [4, 5, 6], [1, 2, 4], [1, 2]),
    ("XTRIM s MAXLEN 3 DELREF", [4, 5, 6], [4], []),
    ("XTRIM s MAXLEN 3 ACKED", [1, 2, 3, 4, 5, 6], [1, 2, 4], [1, 2]),
    ("XADD s KEEPREF MINID 4 7-1 a b", [4, 5, 6, 7], [1, 2, 4], [1, 2]),
    ("XADD s DELREF MAXLEN = 3 7-1 a b", [5, 6, 7], [], []),
    ("XADD s MAXLEN 3 ACKED 7-1 a b", [1, 2, 3, 4, 5, 6, 7], [1, 2, 4], [1, 2])])
def test_trimming_and_references(small, command, entries, g, h):
    small.command(*command.split())
    assert left(small) == (entries, g, h)


def test_bad_input_to_what_is_new(small):
    for command in ("XDELEX s IDS 0 1-1", "XDELEX s IDS x 1-1", "XDELEX s IDS 2 1-1", "XDELEX s IDS 1 1-1 2-1",
                    "XDELEX s KEEPREF DELREF IDS 1 1-1", "XDELEX s FOO IDS 1 1-1", "XDELEX s KEEPREF 1 1-1",
                    "XACKDEL s g IDS 0 1-1", "XACKDEL s g IDS 2 1-1", "XDELEX s IDS 1 x",
                    "XADD s KEEPREF ACKED 9-1 a b",
                    "XTRIM s MAXLEN 1 ACKED DELREF"):
        value = small.command(*command.split())
        assert isinstance(value, ErrorReply) and value.text.startswith("ERR"), command
    assert left(small) == ([1, 2, 3, 4, 5, 6], [1, 2, 4], [1, 2])
    assert small.command("XDELEX", "none", "IDS", 2, *ids(1, 2)) == [-1, -1]
    assert small.command("XACKDEL", "s", "none", "IDS", 1, "1-1") == [-1]


@pytest.mark.parametrize("command", [
    "XRANGE s - +", "XREVRANGE s + -", "XRANGE s (77 4000-0 COUNT 3333", "XREVRANGE s 4000 3 COUNT 3500",
    "XREAD STREAMS s 0", "XREAD COUNT 2000 STREAMS s missing s 5 0 4000", "XINFO STREAM s FULL COUNT 0"])
def test_long_answers_in_slices(filled, command):
    filled.command("XREADGROUP", "GROUP", "g", "c", "COUNT", 3000, "STREAMS", "s", ">")
    assert filled.command(*command.split()) == at_once(filled, *command.split())


def flat(value):
    return value[b"s"] if isinstance(value, dict) else value[0][1]


def test_a_long_life_in_a_group(filled):
    everything = filled.command("XRANGE", "s", "-", "+")
    read = ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s")
    assert flat(filled.command(*read, ">")) == everything
    assert filled.command("XPENDING", "s", "g")[0] == LONG
    assert flat(filled.command(*read, "0")) == everything
    listed = filled.command("XPENDING", "s", "g", "-", "+", 10 * LONG)
    assert [(id, name, count) for id, name, _, count in listed] == [(id, b"c", 2) for id, _ in everything]
    assert len(filled.command("XPENDING", "s", "g", "IDLE", 0, "(10-1", "3000", 10 * LONG, "c")) == 2990
    cursor, claimed, deleted = filled.command("XAUTOCLAIM", "s", "g", "d", 0, "-", "COUNT", 3000)
    assert (cursor, claimed, deleted) == (b"3001-1", everything[:3000], [])
    filled.command("XDEL", "s", *ids(*range(3001, 4001)))
    cursor, claimed, deleted = filled.command("XAUTOCLAIM", "s", "g", "d", 0, cursor, "COUNT", LONG, "JUSTID")
    assert (cursor, claimed) == (b"0-0", [id for id, _ in everything[4000:]])
    assert deleted == [id for id, _ in everything[3000:4000]]
    assert filled.command("XGROUP", "DELCONSUMER", "s", "g", "c") == 0
    assert filled.command("XACK", "s", "g", *ids(*range(1, 1001)), "1-1") == 1000
    assert filled.command("XGROUP", "DELCONSUMER", "s", "g", "d") == 3000
    assert filled.command("XPENDING", "s", "g") == [0, None, None, None]


def test_removing_very_many(filled):
    assert filled.command("XDEL", "s", *ids(*range(1, 3001)), "1-1", "9999-1") == 3000
    assert filled.command("XDELEX", "s", "IDS", 1001, *ids(*range(3001, 4002))) == [1] * 1001
    assert filled.command("XLEN", "s") == LONG - 4001
    assert filled.command("XTRIM", "s", "MAXLEN", 0) == LONG - 4001
    assert filled.command("XADD", "s", "MAXLEN", 0, "9999-1", "a", "b") == b"9999-1"
    assert filled.command("XLEN", "s") == 0


def test_trimming_a_long_stream_as_it_grows(client):
    client.load(("XADD", "s", f"{i}-1", "n", i) for i in range(1, 40_001))
    assert client.command("XADD", "s", "MAXLEN", 10, "50000-1", "a", "b") == b"50000-1"
    assert client.command("XLEN", "s") == 10
    assert client.command("XRANGE", "s", "-", "+", "COUNT", 1)[0][0] == b"39992-1"


def test_consumers_that_read_much_share_it(filled, protocol):
    """Several take all there is in slices, at once: each entry goes to one of them."""
    got = {}

    def take(name):
        with Client(filled.port, protocol) as client:
            got[name] = []
            while value := client.command("XREADGROUP", "GROUP", "g", name, "STREAMS", "s", ">"):
                got[name] += flat(value)

    threads = [threading.Thread(target=take, args=(f"c{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = sorted(int(id.split(b"-")[0]) for entries in got.values() for id, _ in entries)
    assert taken == list(range(1, LONG + 1))
    assert filled.command("XPENDING", "s", "g")[0] == LONG


def test_what_goes_on_meanwhile(filled, scale):
    """Long reads while entries are added and the front is trimmed: in order, without gaps, with all that was there."""
    stop = threading.Event()
    sent, added = [LONG], [LONG]  # the number of the last entry that was sent, and that was answered

    def churn():
        with Client(filled.port) as client:
            while not stop.is_set():
                sent[0] += 1
                client.command("XADD", "s", "MAXLEN", LONG, f"{sent[0]}-1", "n", sent[0])
                added[0] = sent[0]

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(scale(25)):
            last = added[0]
            numbers = [int(id.split(b"-")[0]) for id, _ in filled.command("XRANGE", "s", "-", "+")]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert numbers[0] <= sent[0] - LONG + 1 and numbers[-1] >= last
    finally:
        stop.set()
        thread.join()


def test_the_key_goes_away_under_a_long_read(filled):
    for _ in range(20):
        filled.command("COPY", "s", "copy")
        with Client(filled.port) as other:
            filled.send("XRANGE", "copy", "-", "+")
            other.command("DEL", "copy")
            value = filled.read().value
            assert value == [] or len(value) == LONG


EVENTS = """XADD s 1-1 a b|XADD s MAXLEN 1 2-1 a b|XADD s NOMKSTREAM 3-1 a b|XTRIM s MAXLEN 1|XTRIM s MAXLEN 1
    XDEL s 9-9|XDEL s 3-1|XGROUP CREATE s g 0|XGROUP CREATE s g 0|XGROUP SETID s g 0
    XGROUP CREATECONSUMER s g c|XADD s 4-1 a b
    XGROUP CREATECONSUMER s g c|XREADGROUP GROUP g d STREAMS s >|XREADGROUP GROUP g d STREAMS s 0|XCLAIM s g e 0 4-1
    XAUTOCLAIM s g f 0 0|XACK s g 4-1|XGROUP DELCONSUMER s g d|XGROUP DELCONSUMER s g nobody|XGROUP DESTROY s g
    XGROUP DESTROY s g|XSETID s 99-1|XGROUP CREATE t g $ MKSTREAM|XADD t MAXLEN 0 5-1 a b|XTRIM s MAXLEN 0|DEL s"""


def test_events_and_watched_keys(module_server, module_oracle):
    """Each command's keyspace events, and whether it breaks WATCH, are those of redis-server; but with us everything
    that concerns the stream as a whole is a change of the key, XSETID and XGROUP DESTROY too."""
    told = []
    for server in (module_server, module_oracle):
        with Client(server.port) as client, Client(server.port) as ear, Client(server.port) as watcher:
            for command in ("FLUSHALL", "CONFIG SET notify-keyspace-events KA"):
                client.command(*command.split())
            ear.command("PSUBSCRIBE", "*")
            heard = []
            for command in (c.strip() for line in EVENTS.split("\n") for c in line.split("|")):
                watcher.command("WATCH", "s")
                client.command(*command.split())
                client.command("PUBLISH", "end", "of it")
                events = []
                while (message := ear.read().value)[2] != b"end":
                    events.append(message[2:])
                watcher.command("MULTI")
                broken = watcher.command("EXEC") is None
                own = command.startswith(("XGROUP DESTROY", "XSETID"))
                heard.append((command, events, broken and not own))
            told.append(heard)
            client.command("CONFIG", "SET", "notify-keyspace-events", "")
    for ours, theirs in zip(*told):
        assert ours == theirs


def test_streams_without_ids_are_named_in_the_error(client):
    for command, needed in (("XREAD", "an ID, '+', or '$'"), ("XREADGROUP GROUP g c", "an ID or '>'")):
        error = client.command(*command.split(), "STREAMS", "s", "0", "t")
        name = command.split()[0].lower()
        assert error.text == f"ERR Unbalanced '{name}' list of streams: for each stream key {needed} must be specified."


def test_a_group_has_not_read_more_than_was_appended(small):
    def read():
        group = small.command("XINFO", "GROUPS", "s")[0]
        facts = group if isinstance(group, dict) else dict(zip(group[::2], group[1::2]))
        return facts[b"entries-read"], facts[b"lag"]
    small.command("XGROUP", "CREATE", "s", "a", "$", "ENTRIESREAD", 7)
    assert read() == (6, 0)
    for given, expected in ((3, 3), (99, 6), (6, 6), (2 ** 63 - 1, 6), (0, 0)):
        assert small.command("XGROUP", "SETID", "s", "a", "$", "ENTRIESREAD", given) == b"OK"
        assert read()[0] == expected


def test_asking_for_history_counts_as_no_change(small):
    def changes():
        info = small.command("INFO", "persistence").decode()
        return int(next(l for l in info.splitlines() if l.startswith("rdb_changes_since_last_save")).split(":")[1])
    def deliveries():
        return [entry[3] for entry in small.command("XPENDING", "s", "h", "-", "+", 10)]
    before = changes(), deliveries()
    small.command("XREADGROUP", "GROUP", "h", "c", "STREAMS", "s", "0")
    assert (changes(), deliveries()) == (before[0], [count + 1 for count in before[1]])
    small.command("XREADGROUP", "GROUP", "h", "new", "STREAMS", "s", "0")
    assert changes() == before[0] + 1  # that is a consumer
