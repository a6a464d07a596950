"""COMMAND and its subcommands: every command that both servers have is described like redis-server describes it.

Differences that are on purpose are listed here, each with its reason; a difference that is gone must be taken off the
list. Texts (summaries, history, complexity) are our own and not compared.
"""
import pytest

from harness.resp import Client, ErrorReply

INFO_FIELDS = ("name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specs")

# (command, field): why ours differs.
INFO_DIFFERENCES = {
    ("config|resetstat", "tips"): "newer Redis gives it these",
    ("config|rewrite", "tips"): "newer Redis gives it these",
    ("zrank", "arity"): "the option WITHSCORE",
    ("zrevrank", "arity"): "the option WITHSCORE",
}

# The same for (command, field) of COMMAND DOCS.
DOCS_DIFFERENCES = {
    ("client|pause", "since"): "newer documentation counts it from the release",
}

# Commands whose arguments we describe by the syntax of the newer documentation, which says more, or otherwise.
ARGUMENT_DIFFERENCES = {
    "bitfield": "the repetition stands within the second alternative",
    "bitop": "the operations are listed",
    "failover": "the target and its option are a block in a block",
    "hscan": "NOVALUES",
    "lcs": "the length has a longer name",
    "pfmerge": "the sources may be missing, and the newer documentation says so",
    "set": "conditions on the old value",
    "client|kill": "newer options",
    **dict.fromkeys(("client|list", "module|loadex"), "a token with several values, not a block of one kind of value"),
    **dict.fromkeys(("zcount", "zrangebyscore", "zremrangebyscore", "zrevrangebyscore"),
                    "bounds of scores are texts, for they may be exclusive"),
    **dict.fromkeys(("zrevrange", "zremrangebyrank"), "ranks are described as those of ZRANGE are"),
    **dict.fromkeys(("zrank", "zrevrank"), "the option WITHSCORE"),
    **dict.fromkeys(("geosearch", "geosearchstore"), "the sides of a box are a block of their own"),
    "psubscribe": "several patterns, not several blocks of one",
    "config|get": "several parameters, not several blocks of one",
    **dict.fromkeys(("xadd", "xtrim"), "what becomes of references"),
    **dict.fromkeys(("xgroup|create", "xgroup|setid", "xsetid"), "names as in the newer documentation"),
    "xinfo|stream": "COUNT stands behind FULL, not within it",
    "xclaim": "the last ID has a name of its own",
    "xpending": "the idle time is described as that of XCLAIM is",
    "command|getkeys": "redis-server 7.0 describes no arguments",
    "command|getkeysandflags": "redis-server 7.0 describes no arguments",
}

# Kinds of argument whose names are only labels: their tokens are compared instead.
OWN_NAMES = ("oneof", "block", "pure-token")


def as_pairs(value):
    """A RESP2 map, which is a flat array."""
    return dict(zip(value[::2], value[1::2]))


@pytest.fixture(scope="module")
def both(module_server, module_oracle):
    clients = Client(module_server.port), Client(module_oracle.port)
    yield clients
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def common(both):
    """The names, subcommands included, that both servers have."""
    ours, theirs = (set(client.command("COMMAND", "LIST")) for client in both)
    names = sorted(name.decode() for name in ours & theirs)
    assert len(names) > 60
    return names


def normal(field, value):
    """Notes on key specifications are prose."""
    if field != "key specs":
        return value
    specs = [as_pairs(spec) for spec in value]
    for spec in specs:
        spec.pop(b"notes", None)
    return specs


def info_faults(name, ours, theirs):
    for field, a, b in zip(INFO_FIELDS, ours, theirs):
        differ = normal(field, a) != normal(field, b)
        if differ and (name, field) not in INFO_DIFFERENCES:
            yield f"{name}, {field}:\n    ours   {a!r}\n    oracle {b!r}"
        if not differ and (name, field) in INFO_DIFFERENCES:
            yield f"{name}, {field}: no longer differs, take it off the list"


def test_info_agrees(both, common):
    ours, theirs = (client.command("COMMAND", "INFO", *common) for client in both)
    faults = [fault for name, a, b in zip(common, ours, theirs) for fault in info_faults(name, a, b)]
    assert not faults, "\n".join(faults)


def test_subcommands_are_nested(both, common):
    containers = {name.split("|")[0] for name in common if "|" in name}
    for name in sorted(containers):
        [info] = both[0].command("COMMAND", "INFO", name)
        subs = {sub[0].decode() for sub in info[9]}
        assert {x for x in common if x.startswith(name + "|")} <= subs
        assert all(sub == both[0].command("COMMAND", "INFO", sub[0])[0] for sub in info[9])


def test_info_on_the_wire(pair):
    pair.same("COMMAND INFO get", "COMMAND INFO type mget foo object|encoding object|nosuch object|", ("COMMAND",
              "INFO", ""), "COMMAND INFO ping PING", "COMMAND INFO del", "COMMAND INFO bitop",
              "COMMAND INFO keys scan")


def shape(argument):
    """What a client does with an argument: its kind, token, flags and parts, and its name where that is a value's."""
    fields = as_pairs(argument)
    kind = fields[b"type"].decode()
    name = None if kind in OWN_NAMES else fields[b"name"]
    return (kind, name, fields.get(b"token"), fields.get(b"key_spec_index"), tuple(fields.get(b"flags", ())),
            tuple(shape(part) for part in fields.get(b"arguments", ())))


def docs_of(client, names):
    reply = client.command("COMMAND", "DOCS", *names)
    return {name.decode(): as_pairs(fields) for name, fields in zip(reply[::2], reply[1::2])}


def test_docs_agree(both, common):
    ours, theirs = (docs_of(client, common) for client in both)
    faults = []
    for name in common:
        for field in ("since", "group"):
            a, b = ours[name][field.encode()], theirs[name][field.encode()]
            if (a != b) != ((name, field) in DOCS_DIFFERENCES):
                faults.append(f"{name}, {field}: ours {a!r}, oracle {b!r}")
        a, b = ([shape(arg) for arg in docs[name].get(b"arguments", ())] for docs in (ours, theirs))
        if (a != b) != (name in ARGUMENT_DIFFERENCES):
            known = "known" if name in ARGUMENT_DIFFERENCES else "not known"
            faults.append(f"{name}, arguments (a difference is {known}):\n    ours   {a}\n    oracle {b}")
    assert not faults, "\n".join(faults)


def test_docs_warn_of_the_same_commands(both, common):
    """And of four more, which only newer versions count among them."""
    newer = {"psetex", "quit", "setex", "setnx"}
    ours, theirs = (docs_of(client, common) for client in both)
    for name in common:
        for field in (b"doc_flags", b"deprecated_since"):
            assert (ours[name].get(field) == theirs[name].get(field)) != (name in newer), (name, field)
        assert (b"replaced_by" in ours[name]) == (b"deprecated_since" in ours[name]), name
    assert ours["rpoplpush"][b"replaced_by"].startswith(b"`LMOVE ")
    assert newer < set(common) and all(ours[name][b"doc_flags"] == [b"deprecated"] for name in newer)


def test_every_command_is_documented(both, common):
    client, oracle = both
    known_without = {name for name, docs in docs_of(oracle, common).items() if b"arguments" not in docs}
    names = [name.decode() for name in client.command("COMMAND", "LIST")]
    docs = docs_of(client, names)
    infos = dict(zip(names, client.command("COMMAND", "INFO", *names)))
    for name in names:
        for field in (b"summary", b"since", b"group", b"complexity"):
            assert docs[name].get(field), f"{name} has no {field.decode()}"
        least = abs(infos[name][1]) - 1 - name.count("|")
        has_subcommands = bool(infos[name][9])
        told = least == 0 or has_subcommands or docs[name].get(b"arguments") or name in known_without
        assert told, f"{name} takes arguments but describes none"


def test_all_are_listed(both):
    client = both[0]
    everything = client.command("COMMAND")
    assert everything == client.command("COMMAND", "INFO")
    assert client.command("COMMAND", "COUNT") == len(everything)
    names = [info[0] for info in everything]
    assert len(set(names)) == len(names)
    listed = client.command("COMMAND", "LIST")
    assert sorted(listed) == sorted(names + [sub[0] for info in everything for sub in info[9]])
    docs = client.command("COMMAND", "DOCS")
    assert set(docs[::2]) == set(names)


def listed_by(both, *criterion):
    """What each server lists, as sets of names."""
    for client in both:
        yield {name.decode() for name in client.command("COMMAND", "LIST", "FILTERBY", *criterion)}


CATEGORIES = ["keyspace", "STRING", "connection", "Dangerous", "bitmap", "fast", "slow", "read", "write", "admin"]


@pytest.mark.parametrize("category", CATEGORIES)
def test_list_by_category(both, common, category):
    ours, theirs = listed_by(both, "ACLCAT", category)
    assert ours & set(common) == theirs & set(common)


@pytest.mark.parametrize("pattern", ["*", "get*", "GET*", "object|*", "*|help", "[a-f]*", "nothing"])
def test_list_by_pattern(both, common, pattern):
    ours, theirs = listed_by(both, "PATTERN", pattern)
    assert ours & set(common) == theirs & set(common)


def test_list_checks(pair):
    pair.same("COMMAND LIST x", "COMMAND LIST FILTERBY", "COMMAND LIST FILTERBY BAD x",
              "COMMAND LIST FILTERBY PATTERN nosuch", "COMMAND LIST FILTERBY PATTERN ping",
              "COMMAND LIST FILTERBY ACLCAT foo", "COMMAND LIST FILTERBY ACLCAT @string",
              "COMMAND LIST FILTERBY MODULE foo", "COMMAND LIST FILTERBY MODULE foo PATTERN x",
              "command list filterby pattern PING", "COMMAND COUNT x", "COMMAND foo", "COMMAND HELP x",
              "COMMAND DOCS foo", "COMMAND DOCS|x")


def test_getkeys(pair):
    commands = ["GETKEYS", "GETKEYS get", "GETKEYS foo", "GETKEYS foo bar", "GETKEYS get a", "GETKEYS get a b",
                "GETKEYS ping x", "GETKEYS ping", "GETKEYS mset a 1 b 2", "GETKEYS mset a 1 b", "GETKEYS set",
                "GETKEYS object encoding a", "GETKEYS object foo a", "GETKEYS object", "GETKEYS config|get get a",
                "GETKEYS OBJECT ENCODING a", "GETKEYS del a b c", "GETKEYS rename a b", "GETKEYS copy a b DB 1",
                "GETKEYS bitop and d a b c", "GETKEYS keys x", "GETKEYS scan 0", "GETKEYS lcs a b IDX",
                "GETKEYS memory usage a", "GETKEYSANDFLAGS get a", "GETKEYSANDFLAGS get", "GETKEYSANDFLAGS rename a b",
                "GETKEYSANDFLAGS renamenx a b", "GETKEYSANDFLAGS set a b", "GETKEYSANDFLAGS set a b GET",
                "GETKEYSANDFLAGS set a b EX 10 get", "GETKEYSANDFLAGS bitfield a GET u8 0",
                "GETKEYSANDFLAGS bitfield a SET u8 0 1", "GETKEYSANDFLAGS copy a b", "GETKEYSANDFLAGS del a b",
                "GETKEYSANDFLAGS ping x", "GETKEYSANDFLAGS", "GETKEYSANDFLAGS getex a",
                "GETKEYSANDFLAGS bitop not d a", "GETKEYSANDFLAGS move a 1", "GETKEYSANDFLAGS expire a 1"]
    pair.same(*(f"COMMAND {command}" for command in commands))


def test_getkeys_of_a_huge_request(both):
    names = [b"k%d" % i for i in range(100_000)]
    assert both[0].command("COMMAND", "GETKEYS", "DEL", *names) == names


def test_renamed_commands_are_found_under_their_new_name(start_server):
    server = start_server("--rename-command", "KEYS", "ALLKEYS", "--rename-command", "FLUSHALL", "")
    with Client(server.port) as client:
        assert client.command("ALLKEYS", "*") == []
        for gone in (("KEYS", "*"), ("FLUSHALL",)):
            assert isinstance(client.command(*gone), ErrorReply)
        assert client.command("COMMAND", "INFO", "keys", "flushall") == [None, None]
        assert client.command("COMMAND", "INFO", "allkeys")[0][0] == b"keys", "what it is does not change"
        assert client.command("COMMAND", "LIST", "FILTERBY", "PATTERN", "flushall") == []
