"""Sets beyond what redis-server 7.0 has, and contracts that a comparison with it does not show."""
from collections import Counter

import pytest

from harness.resp import ErrorReply
from harness.waiting import until

LONG = "long " * 20  # a member that no listpack takes
KINDS = {"intset": [str(n) for n in range(100)], "listpack": [f"m{n}" for n in range(100)],
         "hashtable": [f"{LONG}{n}" for n in range(100)], "large hashtable": [f"m{n}" for n in range(3000)]}


@pytest.fixture(params=KINDS)
def kind(request, client):
    """A set `s` of each kind; its members."""
    members = KINDS[request.param]
    client.command("SADD", "s", *members)
    assert client.command("OBJECT", "ENCODING", "s") == request.param.split()[-1].encode()
    return [member.encode() for member in members]


def encoding(client, key="s"):
    return client.command("OBJECT", "ENCODING", key)


# --- Encodings, as Redis 7.2 has them ---

def test_a_text_makes_a_small_intset_a_listpack(client):
    client.command("SADD", "s", 1, 2, 3)
    assert encoding(client) == b"intset"
    client.command("SADD", "s", "a")
    assert encoding(client) == b"listpack"
    client.command("SREM", "s", "a")
    assert encoding(client) == b"listpack"
    assert sorted(client.command("SMEMBERS", "s")) == [b"1", b"2", b"3"]


def test_a_text_makes_a_large_intset_a_table(client):
    client.command("SADD", "s", *range(130))
    client.command("SADD", "s", "a")
    assert encoding(client) == b"hashtable"
    assert client.command("SCARD", "s") == 131


def test_limits_of_a_listpack(client):
    client.command("SADD", "s", *(f"m{n}" for n in range(128)))
    assert encoding(client) == b"listpack"
    client.command("SADD", "s", "m0")
    assert encoding(client) == b"listpack"
    client.command("SADD", "s", "one more")
    assert encoding(client) == b"hashtable"
    client.command("SADD", "t", "x" * 64)
    assert encoding(client, "t") == b"listpack"
    client.command("SADD", "t", "x" * 65)
    assert encoding(client, "t") == b"hashtable"


def test_limits_can_be_set(client):
    for name, value in (("entries", 3), ("value", 5)):
        assert client.command("CONFIG", "SET", f"set-max-listpack-{name}", value) == b"OK"
    client.command("CONFIG", "SET", "set-max-intset-entries", 2)
    client.command("SADD", "s", "12345")
    client.command("SADD", "s", "2")
    assert encoding(client) == b"intset"
    client.command("SADD", "s", "3")
    assert encoding(client) == b"hashtable"
    client.command("SADD", "t", "abcde")
    assert encoding(client, "t") == b"listpack"
    client.command("SADD", "t", "abcdef")
    assert encoding(client, "t") == b"hashtable"


def test_results_are_kept_as_small_as_they_are(client):
    client.command("SADD", "a", *(f"m{n}" for n in range(1000)), *range(1000))
    client.command("SADD", "b", 5, 6, 7)
    client.command("SADD", "c", 5, "m5")
    client.command("SINTERSTORE", "d", "a", "b")
    assert encoding(client, "d") == b"intset"
    client.command("SINTERSTORE", "d", "a", "c")
    assert encoding(client, "d") == b"listpack"
    client.command("SUNIONSTORE", "d", "b", "c")
    assert encoding(client, "d") == b"listpack"
    client.command("SDIFFSTORE", "d", "b", "c")
    assert encoding(client, "d") == b"intset"
    client.command("SUNIONSTORE", "d", "a", "b")
    assert encoding(client, "d") == b"hashtable"


# --- At random ---

def test_popped_members_are_gone_and_none_other(client, kind):
    left = set(kind)
    for count in (1, 2, 7, 30):
        popped = client.command("SPOP", "s", count)
        assert len(popped) == len(set(popped)) == count and set(popped) <= left
        left -= set(popped)
        assert set(client.command("SMEMBERS", "s")) == left
    member = client.command("SPOP", "s")
    assert member in left
    assert client.command("SISMEMBER", "s", member) == 0
    left.remove(member)
    assert set(client.command("SPOP", "s", 10**9)) == left
    assert client.command("EXISTS", "s") == 0


def test_random_members_are_members(client, kind):
    for count in (1, 5, 50, 99):
        some = client.command("SRANDMEMBER", "s", count)
        assert len(some) == len(set(some)) == count and set(some) <= set(kind)
    assert sorted(client.command("SRANDMEMBER", "s", 10**6)) == sorted(kind)
    some = client.command("SRANDMEMBER", "s", -500)
    assert len(some) == 500 and set(some) <= set(kind)
    assert client.command("SRANDMEMBER", "s") in kind
    assert client.command("SCARD", "s") == len(kind)


def test_random_members_are_uniform(client):
    """Sets of 40 members, 20,000 draws; the statistic is above 140 once in 10^12 times."""
    for prefix in ("", "m", LONG):
        client.command("SADD", "s", *(f"{prefix}{n}" for n in range(40)))
        counts = Counter(client.command("SRANDMEMBER", "s", -20000))
        statistic = sum((count - 500) ** 2 / 500 for count in counts.values())
        assert len(counts) == 40 and statistic < 140, (prefix, statistic)
        client.command("DEL", "s")


# --- SSCAN ---

def scan(client, *options, cursor=b"0", pages=10**6):
    seen = []
    while pages:
        cursor, members = client.command("SSCAN", "s", cursor, *options)
        seen += members
        pages -= 1
        if cursor == b"0":
            break
    return cursor, seen


def test_scan_sees_each_member_once_when_nothing_changes(client, kind):
    for options in ((), ("COUNT", 1), ("COUNT", 7), ("COUNT", 10**6)):
        assert sorted(scan(client, *options)[1]) == sorted(kind)


def test_scan_pages_have_about_count_members(client):
    client.command("SADD", "s", *(f"m{n}" for n in range(10000)))
    for count in (1, 10, 100, 1000):
        _, members = client.command("SSCAN", "s", 0, "COUNT", count)
        assert count <= len(members) <= count + 40


def test_scan_with_a_pattern(client, kind):
    assert sorted(scan(client, "MATCH", "*7*")[1]) == sorted(m for m in kind if b"7" in m)
    assert scan(client, "MATCH", "nothing")[1] == []


def test_scan_sees_what_stays_while_the_set_grows_and_shrinks(client):
    stay = {f"stay{n}".encode() for n in range(200)}
    come_and_go = [f"go{n}" for n in range(20000)]
    client.command("SADD", "s", *stay)
    cursor, seen = scan(client, pages=5)
    client.command("SADD", "s", *come_and_go)
    cursor, more = scan(client, "COUNT", 100, cursor=cursor, pages=50)
    client.command("SREM", "s", *come_and_go)
    seen += more
    if cursor != b"0":
        seen += scan(client, cursor=cursor)[1]
    assert stay <= set(seen)


def test_scan_across_a_conversion(client):
    small = {str(n).encode() for n in range(100)}
    client.command("SADD", "s", *small)
    cursor, seen = scan(client, "COUNT", 5, pages=1)
    client.command("SADD", "s", *(f"m{n}" for n in range(1000)))
    if cursor != b"0":
        seen += scan(client, cursor=cursor)[1]
    assert small <= set(seen)


# --- The rest ---

@pytest.mark.server_options("--enable-debug-command", "yes")
def test_digest_depends_on_the_members_only(client):
    client.command("SADD", "s", 1, 2, 3)
    assert encoding(client) == b"intset"
    digest = client.command("DEBUG", "DIGEST-VALUE", "s")
    client.command("SADD", "s", "x")
    assert client.command("DEBUG", "DIGEST-VALUE", "s") != digest
    client.command("SREM", "s", "x")
    assert encoding(client) == b"listpack"
    assert client.command("DEBUG", "DIGEST-VALUE", "s") == digest
    client.command("DEL", "s")
    client.command("SADD", "s", LONG, 3, 2, 1)
    client.command("SREM", "s", LONG)
    assert encoding(client) == b"hashtable"
    assert client.command("DEBUG", "DIGEST-VALUE", "s") == digest


def test_deleting_a_large_set_is_quick_and_gives_memory_back(client):
    before = int(client.info("memory")["used_memory"])
    client.load([["SADD", "s", *(f"member:{n}" for n in range(first, first + 1000))]
                 for first in range(0, 200000, 1000)])
    assert client.command("DEL", "s") == 1
    assert client.command("EXISTS", "s") == 0
    until(lambda: int(client.info("memory")["used_memory"]) < before + 1000000)


def test_a_huge_repetition_is_refused(client):
    client.command("SADD", "s", "a")
    reply = client.command("SRANDMEMBER", "s", -2**63)
    assert isinstance(reply, ErrorReply) and "value is out of range" in reply.text


def test_a_watched_set_counts_as_changed_only_when_it_is(client):
    client.command("SADD", "s", "a", "b")
    for command, changes in ((("SADD", "s", "a"), False), (("SREM", "s", "x"), False), (("SADD", "s", "c"), True),
                             (("SREM", "s", "c"), True), (("SPOP", "s", 0), False), (("SPOP", "s"), True)):
        client.command("WATCH", "s")
        client.command(*command)
        client.command("MULTI")
        client.command("PING")
        assert (client.command("EXEC") is None) == changes, command
