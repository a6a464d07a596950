"""JSON commands, one by one: what they answer in both protocols, what they leave behind, which errors they give.

A case is a document, a command on it, the answer, and the document afterwards where it changes. Answers are written as
the client gives them; Status, Err and Text say what kind of reply is meant where that matters.
"""
import json

import pytest

from harness.resp import ErrorReply

SHARED_SERVER = True

DOC = '{"i":5,"f":1.5,"s":"x","t":true,"n":null,"a":[1,"b",{"k":3}],"e":[],"o":{"i":10,"a":[7]}}'
PARSED = json.loads(DOC)


class Status(str):
    """A simple string."""


class Err(str):
    """An error that begins with this."""


def same(want, got, raw=b""):
    if isinstance(want, Err):
        return isinstance(got, ErrorReply) and got.text.startswith(want)
    if isinstance(want, Status):
        return got == want.encode() and raw[:1] in (b"+", b"")
    if isinstance(want, str):
        return got == want.encode()
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(same(w, g) for w, g in zip(want, got))
    return type(got) is type(want) and got == want


OK = Status("OK")
MISSING_KEY = Err("ERR could not perform this operation on a key that doesn't exist")
NEW_AT_ROOT = Err("ERR new objects must be created at the root")
ARITY = Err("ERR wrong number of arguments for 'json.")
SYNTAX = Err("ERR syntax error")

# (command with the document under d, answer). The document is a new one each time.
READS = [
    ("GET d", DOC),
    ("GET d .", DOC),
    ("GET d $", f"[{DOC}]"),
    ("GET d .i", "5"),
    ("GET d i", "5"),
    ("GET d $.i", "[5]"),
    ("GET d $..i", "[5,10]"),
    ("GET d ..i", "5"),
    ("GET d $.none", "[]"),
    ("GET d .none", Err("ERR Path '$.none' does not exist")),
    ("GET d none", Err("ERR Path '$.none' does not exist")),
    ("GET d $.i $.f", '{"$.i":[5],"$.f":[1.5]}'),
    ("GET d .i .f", '{".i":5,".f":1.5}'),
    ("GET d .i $.f", '{".i":[5],"$.f":[1.5]}'),
    ("GET d .i .none", Err("ERR Path '$.none' does not exist")),
    ("GET d NOESCAPE .i", "5"),
    ("GET d INDENT", ARITY),
    ("GET d $[", Err("ERR ")),
    ("GET d INDENT _ NEWLINE | SPACE ~ $.a[2]", '[|_{|__"k":~3|_}|]'),
    ("GET d INDENT _ NEWLINE | SPACE ~ .o", '{|_"i":~10,|_"a":~[|__7|_]|}'),
    ("GET d INDENT _ NEWLINE | SPACE ~ $.none", "[]"),
    ("GET d INDENT _ NEWLINE | SPACE ~ .i .e", '{|_".i":~5,|_".e":~[]|}'),
    ("GET d LIMIT 0 1 $..i", "[5]"),
    ("GET d LIMIT 1 1 $..i", "[10]"),
    ("GET d LIMIT 1 -1 $.a[*]", '["b",{"k":3}]'),
    ("GET d LIMIT 9 1 $..i", "[]"),
    ("GET d LIMIT 0 0 $..i", "[]"),
    ("GET d LIMIT 0 0 $.i", "[]"),
    ("GET d LIMIT -1 1 $..i", Err("ERR value is not an integer or out of range")),
    ("GET d LIMIT 1", ARITY),
    ("GET d FORMAT STRING $.i", "[5]"),
    ("GET d FORMAT XML $.i", Err("ERR wrong reply format")),
    ("GET none", None),
    ("GET none $.a $.b", None),
    ("GET text", Err("Existing key has wrong Redis type")),
    ("MGET d none text d2 $.i", ["[5]", None, None, "[]"]),
    ("MGET d none text d2 .i", ["5", None, None, None]),
    ("MGET d d2 $[", [None, None]),
    ("STRLEN d .s", 1),
    ("STRLEN d $.*", [None, None, 1, None, None, None, None, None]),
    ("STRLEN d .i", Err("WRONGTYPE wrong type of path value - expected string but found integer")),
    ("STRLEN d .none", Err("ERR Path '$.none' does not exist")),
    ("STRLEN none", None),
    ("STRLEN none $", MISSING_KEY),
    ("ARRLEN d .a", 3),
    ("ARRLEN d $..a", [3, 1]),
    ("ARRLEN d .i", Err("ERR Path '$.i' does not exist or not an array")),
    ("ARRLEN none .", None),
    ("ARRLEN none $", MISSING_KEY),
    ("OBJLEN d", 8),
    ("OBJLEN d $.*", [None, None, None, None, None, None, None, 2]),
    ("OBJLEN d .a", Err("WRONGTYPE wrong type of path value - expected object but found array")),
    ("OBJLEN none", None),
    ("OBJLEN d .none", None),
    ("OBJLEN none $", Err("ERR Path '$' does not exist or not an object")),
    ("OBJKEYS d .o", ["i", "a"]),
    ("OBJKEYS d $.o", [["i", "a"]]),
    ("OBJKEYS d $.i", [None]),
    ("OBJKEYS d .none", None),
    ("OBJKEYS d .i", Err("ERR Path '$.i' does not exist or not an object")),
    ("ARRINDEX d .a \"b\"", 1),
    ("ARRINDEX d $.a {\"k\":3}", [2]),
    ("ARRINDEX d $.a 1 1", [-1]),
    ("ARRINDEX d $.a 1.0", [-1]),
    ("ARRINDEX d $.a 1 -3 1", [0]),
    ("ARRINDEX d .s 1", Err("WRONGTYPE wrong type of path value - expected array but found string")),
    ("ARRINDEX d $.a 1 x", Err("ERR Couldn't parse as integer")),
    ("ARRINDEX none $.a 1", Err("ERR Path '$.a' does not exist")),
    ("ARRLEN d $.a more", [3]),
    ("STRLEN d .s $.i more", 1),
    ("TYPE d .s more", {2: "string", 3: ["string"]}),
    ("OBJLEN d $.o more", [2]),
    ("OBJKEYS d $.o more", [["i", "a"]]),
    ("RESP d $.i more", [5]),
    ("DEBUG MEMORY none", 0),
    ("DEBUG MEMORY none $", []),
    ("DEBUG NONE", Err("ERR unknown subcommand")),
    ("DEBUG", ARITY),
    ("RESP d .o", [Status("{"), "i", 10, "a", [Status("["), 7]]),
    ("RESP d $.t", [Status("true")]),
    ("RESP d $.n", [None]),
    ("RESP none", None),
]

# (command, answer, the document afterwards; None: the key is gone)
WRITES = [
    ("SET d $.i 6", OK, {"i": 6}),
    ("SET d .i 6", OK, {"i": 6}),
    ("SET d $.new [1]", OK, {"new": [1]}),
    ("SET d $.o.new [1]", OK, {"o": {"i": 10, "a": [7], "new": [1]}}),
    ("SET d $.i 6 NX", None, {}),
    ("SET d $.new 6 XX", None, {}),
    ("SET d $ 6 NX", None, {}),
    ("SET d $.i 6 xx", OK, {"i": 6}),
    ("SET d $.no.where 6", None, {}),
    ("SET d $.i.where 6", None, {}),
    ("SET d $..i 6", OK, {"i": 6, "o": {"i": 6, "a": [7]}}),
    ("SET d $..none 6", Err("Err wrong static path"), {}),
    ("SET d $.a[9] 6", Err("ERR array index out of range"), {}),
    ("SET d $.o[0] 6", Err("ERR array index out of range"), {}),
    ("SET d $[0] 6", Err("ERR array index out of range"), {}),
    ("SET d $.i[0] 6", None, {}),
    ("SET d $.a[-1] 6", OK, {"a": [1, "b", 6]}),
    ("SET d $..a {\"a\":1}", OK, {"a": {"a": 1}, "o": {"i": 10, "a": {"a": 1}}}),
    ("SET d $.i {", Err("ERR EOF"), {}),
    ("SET d $.i 6 ZZ", SYNTAX, {}),
    ("SET d $.i 6 NX XX", SYNTAX, {}),
    ("SET d $.i 6 EX 0", Err("ERR invalid expire time in 'json.set' command"), {}),
    ("SET d $.i 6 EX", SYNTAX, {}),
    ("SET d $.i 6 EX 9 PX 9", SYNTAX, {}),
    ("SET d $.i 6 EX 9 KEEPTTL", SYNTAX, {}),
    ("SET d $.i 6 FORMAT XML", Err("ERR wrong format"), {}),
    ("SET text $ 6", Err("Existing key has wrong Redis type"), {}),
    ("SET none $.a 6", NEW_AT_ROOT, {}),
    ("SET none .a 6", NEW_AT_ROOT, {}),
    ("MERGE d $ {\"i\":null,\"o\":{\"i\":null,\"z\":1}}", OK, {"i": KeyError, "o": {"a": [7], "z": 1}}),
    ("MERGE d $.o {\"q\":{\"r\":null}}", OK, {"o": {"i": 10, "a": [7], "q": {}}}),
    ("MERGE d $.o null", OK, {"o": KeyError}),
    ("MERGE d $.new {\"a\":null,\"b\":1}", OK, {"new": {"b": 1}}),
    ("MERGE d $.no.where 1", None, {}),
    ("MERGE none $.a 1", NEW_AT_ROOT, {}),
    ("MSET d $.i 6 d $.f 7", OK, {"i": 6, "f": 7}),
    ("MSET d $.i 6 none $.a 7", NEW_AT_ROOT, {}),
    ("MSET d $.i 6 none $ {} none $.x 1", OK, {"i": 6}),
    ("MSET d $.i 6 text $ 7", Err("Existing key has wrong Redis type"), {}),
    ("MSET d $.i 6 d", ARITY, {}),
    ("DEL d $.i", 1, {"i": KeyError}),
    ("DEL d $..i", 2, {"i": KeyError, "o": {"a": [7]}}),
    ("DEL d $.a[?(@.k==3)]", 1, {"a": [1, "b"]}),
    ("DEL d $.a[0,1]", 2, {"a": [{"k": 3}]}),
    ("DEL d $.a[0,0]", 1, {"a": ["b", {"k": 3}]}),
    ("DEL d $.none", 0, {}),
    ("DEL d $", 1, None),
    ("DEL d", 1, None),
    ("DEL d $.*", 8, None),
    ("FORGET d .i", 1, {"i": KeyError}),
    ("DEL none", 0, {}),
    ("CLEAR d $.a", 1, {"a": []}),
    ("CLEAR d $.*", 4, {"i": 0, "f": 0, "a": [], "o": {}}),
    ("CLEAR d $.e", 0, {}),
    ("CLEAR none", MISSING_KEY, {}),
    ("CLEAR d $.a $.i", 1, {"a": []}),
    ("DEL d $.i $.f", 1, {"i": KeyError}),
    ("TOGGLE d .t", "false", {"t": False}),
    ("TOGGLE d $.*", [None, None, None, 0, None, None, None, None], {"t": False}),
    ("TOGGLE d .i", Err("ERR Path '$.i' does not exist or not a bool"), {}),
    ("ARRAPPEND d $..a 1 [2]", [5, 3], {"a": [1, "b", {"k": 3}, 1, [2]], "o": {"i": 10, "a": [7, 1, [2]]}}),
    ("ARRAPPEND d .i 1", Err("ERR Path '$.i' does not exist or not an array"), {}),
    ("ARRAPPEND d $.a 1 {", Err("ERR EOF"), {}),
    ("ARRAPPEND none $.a 1", MISSING_KEY, {}),
    ("ARRINSERT d $..a 0 9", [4, 2], {"a": [9, 1, "b", {"k": 3}], "o": {"i": 10, "a": [9, 7]}}),
    ("ARRINSERT d $..a 2 9", Err("ERR index out of bounds"), {}),
    ("ARRINSERT d $.a -1 8 9", [5], {"a": [1, "b", 8, 9, {"k": 3}]}),
    ("ARRINSERT d $.e 9223372036854775807 1", Err("ERR index out of bounds"), {}),
    ("ARRINSERT d $.e -9223372036854775808 1", Err("ERR index out of bounds"), {}),
    ("ARRPOP d $.a", ['{"k":3}'], {"a": [1, "b"]}),
    ("ARRPOP d .a 0", "1", {"a": ["b", {"k": 3}]}),
    ("ARRPOP d $.a 99", ['{"k":3}'], {"a": [1, "b"]}),
    ("ARRPOP d $.e", [None], {}),
    ("ARRPOP d $.a x", ['{"k":3}'], {"a": [1, "b"]}),
    ("ARRPOP d $.i x", [None], {}),
    ("ARRPOP d .e", None, {}),
    ("ARRPOP d .i", Err("ERR Path '$.i' does not exist or not an array"), {}),
    ("ARRPOP d $.a 0 0", ARITY, {}),
    ("ARRTRIM d $.a 1 1", [1], {"a": ["b"]}),
    ("ARRTRIM d $.a 5 9", [0], {"a": []}),
    ("ARRTRIM d .a -2 -1", 2, {"a": ["b", {"k": 3}]}),
    ("STRAPPEND d $.s \"yz\"", [3], {"s": "xyz"}),
    ("STRAPPEND d .s \"\\u00e9\"", 3, {"s": "xé"}),
    ("STRAPPEND d .i \"y\"", Err("ERR Path '$.i' does not exist or not a string"), {}),
    ("STRAPPEND d .s 1", Err("WRONGTYPE wrong type of path value - expected string but found integer"), {}),
    ("NUMINCRBY d $.s x", Err("ERR expected value"), {}),
    ("NUMINCRBY d $.i \"1\"", Err("ERR bad input number"), {}),
    ("NUMINCRBY d $.i 9223372036854775807", Err("ERR numeric overflow"), {}),
    ("NUMMULTBY d $.f 1e308", {2: "[1.5e308]", 3: [1.5e308]}, {"f": 1.5e308}),
    ("NUMINCRBY d .i 1", {2: "6", 3: [6]}, {"i": 6}),
    ("NUMINCRBY d $..i 1", {2: "[6,11]", 3: [6, 11]}, {"i": 6, "o": {"i": 11, "a": [7]}}),
    ("NUMINCRBY d $.i 0.5", {2: "[5.5]", 3: [5.5]}, {"i": 5.5}),
    ("NUMINCRBY d $.s 1", {2: "[null]", 3: [None]}, {}),
    ("NUMMULTBY d $.f 2", {2: "[3.0]", 3: [3.0]}, {"f": 3.0}),
    ("NUMPOWBY d $.i 3", {2: "[125]", 3: [125]}, {"i": 125}),
    ("NUMPOWBY d $.i 99", Err("ERR numeric overflow"), {}),
    ("NUMPOWBY d $.i -1", {2: "[0.2]", 3: [0.2]}, {"i": 0.2}),
    ("NUMINCRBY d .s 1", Err("ERR Path '$.s' does not exist or does not contains a number"), {}),
]


@pytest.fixture
def filled(client):
    client.load([("FLUSHALL",), ("JSON.SET", "d", "$", DOC), ("JSON.SET", "d2", "$", "{}"), ("SET", "text", "x")])
    return client


def command(text):
    return ("JSON." + text).split(" ")


@pytest.mark.parametrize("text, want", READS, ids=[text for text, _ in READS])
def test_reading(filled, protocol, text, want):
    want = want[protocol] if isinstance(want, dict) else want
    filled.send(*command(text))
    reply = filled.read()
    assert same(want, reply.value, reply.raw), reply
    assert filled.command("JSON.GET", "d") == DOC.encode()


@pytest.mark.parametrize("text, want, after", WRITES, ids=[text for text, _, _ in WRITES])
def test_writing(filled, protocol, text, want, after):
    want = want[protocol] if isinstance(want, dict) else want
    filled.send(*command(text))
    reply = filled.read()
    assert same(want, reply.value, reply.raw), reply
    document = filled.command("JSON.GET", "d")
    if after is None:
        assert document is None and filled.command("EXISTS", "d") == 0
        return
    merged = {**PARSED, **after}
    assert json.loads(document) == {key: value for key, value in merged.items() if value is not KeyError}
    assert filled.command("GET", "text") == b"x"
    if isinstance(want, Err):
        assert filled.command("EXISTS", "none") == 0


def test_what_differs_in_resp3(filled, protocol):
    three = protocol == 3
    assert filled.command("JSON.TYPE", "d", "$.i") == ([[b"integer"]] if three else [b"integer"])
    assert filled.command("JSON.TYPE", "d") == ([b"object"] if three else b"object")
    assert filled.command("JSON.TYPE", "d", ".none") == ([None] if three else None)
    assert filled.command("JSON.TYPE", "none") == ([None] if three else None)
    expanded = filled.command("JSON.GET", "d", "FORMAT", "EXPAND", "$.o", "$.f")
    one = filled.command("JSON.GET", "d", "FORMAT", "EXPAND1", "$.o", "$.s", "$.t")
    popped = filled.command("JSON.ARRPOP", "d", "FORMAT", "EXPAND", "$.a")
    if three:
        assert expanded == [[{b"i": 10, b"a": [7]}], [1.5]]
        assert one == [[b'{"i":10,"a":[7]}'], [b'"x"'], [True]]
        assert popped == [{b"k": 3}]
    else:
        assert all(isinstance(reply, ErrorReply) for reply in (expanded, one, popped))
    assert filled.command("JSON.RESP", "d", "$.f") == [1.5 if three else b"1.5"]


def test_expiry(client):
    client.load([("FLUSHALL",), ("JSON.SET", "d", "$", "{}", "EX", 100)])
    assert 99 <= client.command("TTL", "d") <= 100
    client.load([("JSON.SET", "d", "$.a", "1")])
    assert client.command("TTL", "d") > 90
    client.load([("JSON.SET", "d", "$", "[1]", "KEEPTTL"), ("JSON.ARRAPPEND", "d", "$", "2")])
    assert client.command("TTL", "d") > 90
    client.load([("JSON.SET", "d", "$[0]", "3", "PX", 50000)])
    assert 40000 < client.command("PTTL", "d") <= 50000
    client.load([("JSON.SET", "d", "$", "4")])
    assert client.command("TTL", "d") == -1
    client.load([("JSON.SET", "d", "$", "4", "PXAT", 1)])
    assert client.command("EXISTS", "d") == 0


def test_keys_that_hold_documents(client):
    client.load([("FLUSHALL",), ("JSON.SET", "d", "$", DOC), ("COPY", "d", "copy"), ("RENAME", "d", "e"),
                 ("JSON.SET", "copy", "$.i", "6")])
    assert client.command("TYPE", "e") == b"ReJSON-RL"
    assert client.command("OBJECT", "ENCODING", "e") == b"raw"
    assert client.command("JSON.GET", "e") == DOC.encode()
    assert client.command("JSON.GET", "copy", "$.i") == b"[6]"
    assert client.command("JSON.DEBUG", "MEMORY", "e") > 100
    assert client.command("MEMORY", "USAGE", "e") > 100
    assert client.command("SCAN", 0, "TYPE", "rejson-rl")[1] != []
    assert client.command("GET", "e") == ErrorReply("WRONGTYPE Operation against a key holding the wrong kind of value")


def test_transactions(module_server, client):
    other = type(client)(module_server.port)
    client.load([("JSON.SET", "d", "$", DOC), ("MULTI",), ("JSON.NUMINCRBY", "d", "$.i", "1"),
                 ("JSON.DEL", "d", "$.none"), ("JSON.GET", "d", "$.i")])
    assert client.command("EXEC")[1:] == [0, b"[6]"]
    client.load([("WATCH", "d")])
    other.load([("JSON.DEL", "d", "$.none")])
    client.load([("MULTI",), ("JSON.GET", "d", "$.i")])
    assert client.command("EXEC") == [b"[6]"]
    client.load([("WATCH", "d")])
    other.load([("JSON.SET", "d", "$.i", "1")])
    client.load([("MULTI",), ("JSON.GET", "d", "$.i")])
    assert client.command("EXEC") is None


def test_notifications(module_server, client):
    client.load([("CONFIG", "SET", "notify-keyspace-events", "KEA"), ("JSON.SET", "d", "$", DOC)])
    listener = type(client)(module_server.port)
    listener.command("SUBSCRIBE", "__keyspace@0__:d")
    commands = ["SET d $.i 1", "SET d $.i 1 EX 100", "SET d $.none.b 1", "NUMINCRBY d $.i 1", "NUMINCRBY d $.s 1",
                "TOGGLE d $.t", "STRAPPEND d $.s \"a\"", "ARRAPPEND d $.a 1", "ARRINSERT d $.a 0 1", "ARRPOP d $.a",
                "ARRPOP d $.e", "ARRPOP d .e", "ARRTRIM d $.a 0 0", "MERGE d $ {\"i\":1}", "MSET d $.i 1",
                "CLEAR d $.a", "CLEAR d $.e", "DEL d $.none", "DEL d $.i", "DEL d $"]
    client.load(command(text) for text in commands)
    events = ["json.set", "json.set", "expire", "json.numincrby", "json.toggle", "json.strappend", "json.arrappend",
              "json.arrinsert", "json.arrpop", "json.arrtrim", "json.merge", "json.mset", "json.clear", "json.del",
              "del"]
    assert [listener.read().value[2].decode() for _ in events] == events
    client.load([("CONFIG", "SET", "notify-keyspace-events", "")])


def test_access_rules(module_server, client):
    client.load([("ACL", "SETUSER", "reader", "on", "nopass", "~d*", "+@json", "-@write"), ("JSON.SET", "d", "$", "1"),
                 ("JSON.SET", "x", "$", "1")])
    reader = type(client)(module_server.port)
    reader.load([("AUTH", "reader", "any")])
    assert reader.command("JSON.GET", "d") == b"1"
    assert reader.command("JSON.GET", "x").text.startswith("NOPERM")
    assert reader.command("JSON.SET", "d", "$", "2").text.startswith("NOPERM")
    assert reader.command("JSON.DEBUG", "MEMORY", "x").text.startswith("NOPERM")
    assert client.command("COMMAND", "GETKEYS", "JSON.MSET", "a", "$", "1", "b", "$", "2") == [b"a", b"b"]
    assert client.command("COMMAND", "GETKEYS", "JSON.MGET", "a", "b", "$") == [b"a", b"b"]


def nested(depth):
    return "[" * depth + "]" * depth


BAD_TEXTS = ["", " ", "{", "[1", '"abc', '{"a":1,}', "[1,]", "nul", "01", "1.", "-", "1e400", '"\\u12"', '"\\ud800"',
             "'a'", "{1:2}", "[1] 2", '"\x01"', b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf1",
             nested(128), nested(100000), '{"a":' * 5000, "[" * 1000000, "9" * 400 + "e-5x"]


@pytest.mark.parametrize("text", BAD_TEXTS, ids=range(len(BAD_TEXTS)))
def test_bad_texts_change_nothing(filled, text):
    for words in (("SET", "d", "$"), ("SET", "d", "$.i"), ("SET", "none", "$"), ("MERGE", "d", "$"),
                  ("ARRAPPEND", "d", "$.a", "1"), ("MSET", "d", "$.i", "1", "d", "$.f")):
        reply = filled.command("JSON." + words[0], *words[1:], text)
        assert isinstance(reply, ErrorReply), (words, reply)
    assert filled.command("JSON.GET", "d") == DOC.encode()
    assert filled.command("EXISTS", "none") == 0


def test_depth_is_limited_wherever_a_value_goes(filled):
    assert filled.command("JSON.SET", "deep", "$", nested(127)) == b"OK"
    for words in (("JSON.SET", "d", "$.a[2].k", nested(125)), ("JSON.SET", "d", "$.a[2].new", nested(125)),
                  ("JSON.MSET", "d", "$.i", "5", "d", "$.a[2].k", nested(125)),
                  ("JSON.MERGE", "d", "$.o.i", '{"x":' * 126 + "1" + "}" * 126)):
        reply = filled.command(*words)
        assert isinstance(reply, ErrorReply) and "recursion limit exceeded" in reply.text, words[0]
        assert filled.command("JSON.GET", "d") == DOC.encode(), words[0]
    assert filled.command("JSON.SET", "d", "$.a[2].k", nested(124)) == b"OK"
    assert isinstance(filled.command("JSON.ARRAPPEND", "d", "$.e", nested(126)), ErrorReply)
    assert filled.command("JSON.ARRAPPEND", "d", "$.e", nested(125)) == [1]
    assert filled.command("JSON.GET", "deep") == nested(127).encode()


def test_duplicate_members_and_numbers(client):
    client.load([("JSON.SET", "d", "$", '{"a":1,"b":2,"a":[3]}'),
                 ("JSON.SET", "n", "$", "[18446744073709551615,18446744073709551616,-0,1e2,1E-6,0.1,1.0]")])
    assert client.command("JSON.GET", "d") == b'{"a":[3],"b":2}'
    assert client.command("JSON.GET", "n") == b"[18446744073709551615,1.8446744073709552e19,-0.0,100.0,1e-6,0.1,1.0]"


HOSTILE = ["$[?(@ =~ '(a+)+$')]", "$[?match(@, '(a|a)*b')]", "$[?search(@, '(.*)*x')]", "$[?(@ =~ '(a{1,99}){1,99}b')]",
           "$[?(@ =~ '(((((a*)*)*)*)*)*b')]"]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_expressions_end(client, path):
    client.load([("JSON.SET", "d", "$", json.dumps(["a" * 5000 + "!"]))])
    reply = client.command("JSON.GET", "d", path)
    assert isinstance(reply, (bytes, ErrorReply))
    assert client.command("PING") == b"PONG"


def test_bad_paths_say_where(client):
    client.load([("JSON.SET", "d", "$", DOC)])
    for path in ("$[", "$.a[", "$..", "$[?(@.a==)]", "$['a'", "$.a[1:2:3:4]", "$[?(" + "(" * 5000, "." * 3000):
        reply = client.command("JSON.GET", "d", path)
        assert isinstance(reply, ErrorReply) and "position" in reply.text, (path, reply)


def test_a_path_that_is_none_names_nothing(client):
    client.load([("JSON.SET", "d", "$", DOC)])
    for path in ("na\0me", "two\r\nlines", ".a[-inf]"):
        reply = client.command("JSON.GET", "d", path)
        assert isinstance(reply, ErrorReply) and "does not exist" in reply.text and "path error" in reply.text
