"""JSON commands with very many arguments, or that find very many places: carried out in slices, and answered as what
does one thing after the other answers; all of it is done or nothing, and nobody sees a part."""
import copy
import json
import random

import pytest

from harness.resp import Client, ErrorReply
from harness.waiting import begin_beside, has_answered, held, hold, name_not_held, until, until_reclaimed

MANY = 1500
KEYS = [f"d{i}" for i in range(MANY)]


@pytest.fixture(scope="module")
def port(module_server):
    return module_server.port


SERVER_OPTIONS = ("--enable-debug-command", "yes")


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


def fill(client, seed):
    """Documents, the same in the database and in a dict; every seventh key is missing."""
    rng = random.Random(seed)
    client.command("FLUSHALL")
    model = {key: {"a": rng.randrange(100), "list": [rng.randrange(9) for _ in range(rng.randrange(4))]}
             for i, key in enumerate(KEYS) if i % 7}
    client.load([("JSON.SET", key, "$", dump(value)) for key, value in model.items()])
    client.load([("PEXPIRE", key, 3600_000) for key in KEYS[::5]])
    return rng, model


def contents(client):
    names = sorted(client.command("KEYS", "d*"))
    values = list(client.pipeline([x for name in names for x in (("JSON.GET", name), ("TTL", name))]))
    return {name.decode(): (json.loads(value), ttl > 0) for name, value, ttl in zip(names, values[::2], values[1::2])}


def random_triples(rng, model, count):
    """Triples, and what they make of the documents. A root takes an expiry away."""
    words, after, renewed = [], copy.deepcopy(model), set()
    while len(words) < 3 * count:
        key, value = rng.choice(KEYS), rng.choice([1, "x", [1, 2], {"a": [], "b": None}])
        path = rng.choice(["$", ".", "$.a", "$.new", "$.list[0]", "$.list[*]", "$..a", "list[-1]"])
        if path in ("$", "."):
            after[key] = copy.deepcopy(value)
            renewed.add(key)
        elif key not in after or not isinstance(after[key], dict) or not isinstance(after[key].get("list"), list):
            continue
        elif path in ("$.a", "$.new"):
            after[key][path[2:]] = value
        elif "list" in path and after[key]["list"]:
            places = {"$.list[0]": [0], "list[-1]": [-1], "$.list[*]": range(len(after[key]["list"]))}[path]
            for at in places:
                after[key]["list"][at] = value
        else:
            continue
        words += [key, path, dump(value)]
    return words, after, renewed


@pytest.mark.parametrize("how", ["alone", "in-exec"])
def test_mset(port, seed, how):
    print(f"seed {seed}")
    with Client(port) as client:
        rng, model = fill(client, seed)
        words, after, renewed = random_triples(rng, model, MANY)
        if how == "alone":
            assert client.command("JSON.MSET", *words) == b"OK"
        else:
            client.load([("MULTI",), ("SET", "n", 1), ("JSON.MSET", *words), ("JSON.GET", KEYS[1], "$")])
            assert client.command("EXEC")[:2] == [b"OK", b"OK"]
        expected = {key: (value, key in KEYS[::5] and key in model and key not in renewed)
                    for key, value in after.items()}
        assert contents(client) == expected


WRONG = {
    "no-value": ("d1", "$", "{"), "no-key": ("nothing", "$.a", "1"), "no-path": ("d1", "$[", "1"),
    "wrong-type": ("string", "$", "1"), "no-triple": ("d1", "$"), "too-deep": ("d1", "$.a", "[" * 127 + "]" * 127),
}


@pytest.mark.parametrize("at", ["first", "last"])
@pytest.mark.parametrize("wrong", WRONG)
def test_mset_refused(port, wrong, at):
    with Client(port) as client:
        _, model = fill(client, 1)
        client.command("SET", "string", "x")
        before = contents(client)
        fine = [x for key in KEYS if key != "d1" for x in (key, "$", "7")]
        few = client.command("JSON.MSET", "d1", "$", '{"a":1}', *WRONG[wrong])
        many = client.command("JSON.MSET", *(*WRONG[wrong], *fine) if at == "first" else (*fine, *WRONG[wrong]))
        assert isinstance(few, ErrorReply) and few == many
        assert contents(client) == before


def test_nobody_sees_a_part_of_mset(port):
    with Client(port) as worker, Client(port) as other, Client(port) as first, Client(port) as last:
        client = [first, last]
        other.load([("JSON.SET", key, "$", "0") for key in KEYS])
        words, steps = [x for key in KEYS for x in (key, "$", '{"new":[1,2,3]}')], 0
        with hold(other):
            begin_beside(worker, other, "JSON.MSET", *words)
            seen, elsewhere = [[], []], name_not_held(port)
            while not has_answered(worker):
                for i, key in enumerate((KEYS[0], KEYS[-1])):
                    if not seen[i] or has_answered(client[i]):
                        seen[i][-1:] = [client[i].read().value] if seen[i] else []
                        seen[i].append(None)
                        client[i].send("JSON.GET", key)
                assert other.command("SET", elsewhere, 1) == b"OK"
                other.command("DEBUG", "TASK-STEPS", 1)
                steps += 1
        assert worker.read().value == b"OK" and steps > 1
        for i in range(2):
            seen[i][-1] = client[i].read().value
            assert set(seen[i]) <= {b"0", b'{"new":[1,2,3]}'}
        assert other.command("JSON.MGET", *KEYS, "$.new[0]") == [b"[1]"] * MANY


def test_mget(port, seed):
    print(f"seed {seed}")
    with Client(port) as client:
        rng, model = fill(client, seed)
        client.command("SET", KEYS[0], "no document")
        keys = rng.choices(KEYS, k=2 * MANY)
        assert client.command("JSON.MGET", *keys, "$.list") == [
            dump([model[key]["list"]]) if key in model else None for key in keys]
        assert client.command("JSON.MGET", *keys, "list[1]") == [
            dump(model[key]["list"][1]) if key in model and len(model[key]["list"]) > 1 else None for key in keys]
        assert client.command("JSON.MGET", *keys, "$[") == [None] * len(keys)
        client.load([("MULTI",), ("JSON.MGET", *keys, "$.a"), ("SET", "n", 1)])
        assert client.command("EXEC")[0] == [dump([model[key]["a"]]) if key in model else None for key in keys]


def test_mget_keeps_writers_no_longer_than_it_looks_for_keys(port):
    """What is answered is of one moment; who changes it meanwhile is not kept waiting for the answer."""
    texts = [dump([i] * 2000) for i in range(400)]
    with Client(port) as worker, Client(port) as other, Client(port) as writer:
        other.command("FLUSHALL")
        other.load([("JSON.SET", KEYS[i], "$", text) for i, text in enumerate(texts)], batch=50)
        with hold(other):
            begin_beside(worker, other, "JSON.MGET", *KEYS[:400], ".")
            writer.send("JSON.MSET", *(x for key in KEYS[:400:399] for x in (key, "$[0]", '"changed"')))
            while not has_answered(writer):
                other.command("DEBUG", "TASK-STEPS", 1)
            assert not has_answered(worker)
        assert worker.read().value == texts
        assert writer.read().value == b"OK"
        assert other.command("JSON.GET", KEYS[399], "$[0]") == b'["changed"]'


def test_mset_and_mget_side_by_side(port, seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    with Client(port) as other:
        other.command("FLUSHALL")
        other.load([("JSON.SET", key, "$", "0") for key in KEYS])
        clients = [Client(port) for _ in range(6)]
        for turn in range(4):
            for i, client in enumerate(clients):
                keys, value = rng.sample(KEYS, MANY), 10 * turn + i
                client.send(*("JSON.MSET", *(x for key in keys for x in (key, "$", value))) if i % 2 else
                            ("JSON.MGET", *keys, "."))
            for i, client in enumerate(clients):
                reply = client.read().value
                assert i % 2 or len(set(reply)) == 1
        for client in clients:
            client.close()
        assert len(set(other.command("JSON.MGET", *KEYS, "$"))) == 1


@pytest.mark.parametrize("how", ["alone", "in-exec", "shared"])
def test_inserting_many_values(port, seed, how):
    print(f"seed {seed}")
    rng = random.Random(seed)
    array = list(range(1200))
    values = [rng.choice([i, "some text", [i], {"k": i}, None]) for i in range(1500)]
    with Client(port) as client:
        client.load([("JSON.SET", "d", "$", dump([array, 5, [], {"x": [1, 2]}]))])
        if how == "shared":
            client.command("COPY", "d", "copy", "REPLACE")
        for path, at in (("$[0]", 0), ("$[0]", 600), ("$[0]", -1), ("$[0]", 1200), ("$..*", 0), ("$..*", None)):
            model = [copy.copy(array), 5, [], {"x": [1, 2]}]
            for inner in [model[0], model[2], model[3]["x"]][:1 if path == "$[0]" else 3]:
                place = len(inner) if at is None else at
                inner[place:place] = copy.deepcopy(values)
            words = ("JSON.ARRAPPEND", "d", path) if at is None else ("JSON.ARRINSERT", "d", path, at)
            client.load([("JSON.SET", "d", "$", dump([array, 5, [], {"x": [1, 2]}]))])
            if how == "in-exec":
                client.load([("MULTI",), (*words, *map(dump, values))])
                reply = client.command("EXEC")[0]
            else:
                reply = client.command(*words, *map(dump, values))
            lengths = {"$[0]": [2700], "$..*": [2700, None, 1500, None, *[None] * 1200, 1502, None, None]}
            assert sorted(map(str, reply)) == sorted(map(str, lengths[path]))
            assert json.loads(client.command("JSON.GET", "d")) == model
        if how == "shared":
            assert json.loads(client.command("JSON.GET", "copy")) == [array, 5, [], {"x": [1, 2]}]


@pytest.mark.parametrize("words", [("JSON.ARRAPPEND", "d", "$[*]"), ("JSON.ARRINSERT", "d", "$[*]", 3)])
def test_inserting_is_refused_whole(port, words):
    with Client(port) as client:
        before = dump([[1, 2, 3, 4], [1, 2]])
        client.command("JSON.SET", "d", "$", before)
        values = ["1"] * 20_000
        broken = client.command(*words, *values, "{")
        assert isinstance(broken, ErrorReply) and broken == client.command(*words, "{")
        if len(words) == 4:
            assert client.command(*words, *values) == ErrorReply("ERR index out of bounds")
        assert client.command("JSON.GET", "d") == before


# What is no number, array, ... stands between those that are: what is left alone counts as work, too.
MIXED = [x for i in range(6000) for x in (i, f"text {i}", [i, str(i), i], {"a": i, "b": None}, i % 3 == 0)]


def kind(value):
    return type(value).__name__


CHANGES = {
    "numincrby": (("JSON.NUMINCRBY", "d", "$[*]", 2), lambda x: x + 2 if kind(x) == "int" else x),
    "toggle": (("JSON.TOGGLE", "d", "$[*]"), lambda x: not x if kind(x) == "bool" else x),
    "strappend": (("JSON.STRAPPEND", "d", "$[*]", '"!"'), lambda x: x + "!" if kind(x) == "str" else x),
    "arrpop": (("JSON.ARRPOP", "d", "$[*]", 0), lambda x: x[1:] if kind(x) == "list" else x),
    "arrtrim": (("JSON.ARRTRIM", "d", "$[*]", 1, 1), lambda x: x[1:2] if kind(x) == "list" else x),
    "arrappend": (("JSON.ARRAPPEND", "d", "$[*]", 1, 2), lambda x: x + [1, 2] if kind(x) == "list" else x),
    "clear": (("JSON.CLEAR", "d", "$[*]"), lambda x: {"int": 0, "list": [], "dict": {}}.get(kind(x), x)),
    "merge": (("JSON.MERGE", "d", "$[*]", '{"a":null,"c":1}'),
              lambda x: {k: v for k, v in [*x.items(), ("c", 1)] if k != "a"} if kind(x) == "dict" else {"c": 1}),
    "merge-null": (("JSON.MERGE", "d", "$[*].a", "null"),
                   lambda x: {"b": None} if kind(x) == "dict" else x),
    "set-filter": (("JSON.SET", "d", "$[?(@.a >= 0)].b", "[1]"),
                   lambda x: {**x, "b": [1]} if kind(x) == "dict" else x),
    "del-member": (("JSON.DEL", "d", "$[*].b"), lambda x: {"a": x["a"]} if kind(x) == "dict" else x),
}


@pytest.mark.parametrize("how", ["alone", "in-exec", "shared"])
@pytest.mark.parametrize("change", CHANGES)
def test_changing_many_places(port, change, how):
    words, of_one = CHANGES[change]
    with Client(port) as client:
        client.load([("JSON.SET", "d", "$", dump(MIXED)), ("DEL", "copy")])
        if how == "shared":
            client.command("COPY", "d", "copy")
        if how == "in-exec":
            client.load([("MULTI",), words])
            reply = client.command("EXEC")[0]
        else:
            reply = client.command(*words)
        assert not isinstance(reply, ErrorReply)
        after = [of_one(x) for x in MIXED]
        assert json.loads(client.command("JSON.GET", "d")) == after
        if change == "numincrby":
            assert json.loads(reply) == [x if kind(x) == "int" else None for x in after]
        if change in ("arrtrim", "arrappend"):
            assert reply == [len(x) if kind(x) == "list" else None for x in after]
        if how == "shared":
            assert json.loads(client.command("JSON.GET", "copy")) == MIXED


@pytest.mark.parametrize("path, stays", [
    ("$[*]", []), ("$[::2]", MIXED[1::2]), ("$[10:]", MIXED[:10]), ("$[?(@.a >= 0)]", [x for x in MIXED
                                                                                    if kind(x) != "dict"]),
    ("$[0,1,5,6,7]", [*MIXED[2:5], *MIXED[8:]]), ("$[::-3]", [x for i, x in enumerate(MIXED) if i % 3 != 2])])
def test_deleting_many_places(port, path, stays):
    with Client(port) as client:
        client.load([("JSON.SET", "d", "$", dump(MIXED))])
        assert client.command("JSON.DEL", "d", path) == len(MIXED) - len(stays)
        assert client.command("JSON.GET", "d") == (dump(stays) if stays else None)


def test_many_paths(port):
    """Each once, in the order in which they were given first."""
    with Client(port) as client:
        client.load([("JSON.SET", "d", "$", dump({"list": list(range(1000)), "k": "v"}))])
        paths = [f"$.list[{i * 7 % 1000}]" for i in range(1500)]
        expected = {path: [int(path[7:-1])] for path in paths}
        reply = client.command("JSON.GET", "d", *paths)
        assert json.loads(reply) == expected and list(json.loads(reply)) == list(expected)
        assert json.loads(client.command("JSON.GET", "d", *paths[:3], *[".k"] * 1500)) == {
            **{path: expected[path] for path in paths[:3]}, ".k": ["v"]}
        old = [f"list[{i}]" for i in range(900)]
        assert json.loads(client.command("JSON.GET", "d", *old)) == {path: int(path[5:-1]) for path in old}
        assert client.command("JSON.GET", "d", *paths, "$[") == client.command("JSON.GET", "d", "$[")


def test_memory_usage_of_a_large_document(port):
    """What is measured in slices is as exact as what is measured at once, and leaves the document to others."""
    with Client(port) as client, Client(port) as other:
        client.load([("JSON.SET", "d", "$", dump({"a": 1})), ("JSON.SET", "e", "$", dump([MIXED] * 3))])
        around = client.command("MEMORY", "USAGE", "d") - client.command("JSON.DEBUG", "MEMORY", "d")
        exact = client.command("JSON.DEBUG", "MEMORY", "e")
        assert client.command("MEMORY", "USAGE", "e") == exact + around
        assert client.command("MEMORY", "USAGE", "e", "SAMPLES", 0) == exact + around
        client.load([("MULTI",), ("MEMORY", "USAGE", "e"), ("DEL", "e")])
        assert client.command("EXEC") == [exact + around, 1]
        client.load([("JSON.SET", "e", "$", dump([MIXED] * 3))])
        with hold(other, 1):
            begin_beside(client, other, "MEMORY", "USAGE", "e")
            held(other)
            assert other.command("DEL", "e") == 1
        assert client.read().value == exact + around


@pytest.mark.parametrize("shared", [False, True])
def test_appending_to_long_strings(port, shared):
    """In place, or to a copy of what somebody else has, too, or that has no room."""
    texts = ["a" * 700_000, "b" * 90_000, "short", *["c" * 6000] * 60]
    with Client(port) as client:
        client.load([("JSON.SET", "d", "$", dump({"texts": texts, "number": 1})), ("DEL", "copy")])
        if shared:
            client.command("COPY", "d", "copy")
        for i, suffix in enumerate(["x", "y" * 3000, "\u20ac" * 200_000]):
            texts = [text + suffix for text in texts]
            assert client.command("JSON.STRAPPEND", "d", "$.texts[*]", dump(suffix)) == [
                len(text.encode()) for text in texts]
            client.load([("MULTI",), ("JSON.STRAPPEND", "d", ".texts[0]", dump("in exec")),
                         ("JSON.STRAPPEND", "d", ".texts[0]", dump("again"))])
            texts[0] += "in execagain"
            assert client.command("EXEC")[1] == len(texts[0].encode())
            assert json.loads(client.command("JSON.GET", "d")) == {"texts": texts, "number": 1}
        if shared:
            assert json.loads(client.command("JSON.GET", "copy", "$.texts[0]")) == ["a" * 700_000]
        assert client.command("JSON.ARRINDEX", "d", "$.texts", dump(texts[1])) == [1]
        assert client.command("JSON.ARRINDEX", "d", "$.texts", dump(texts[0][:-1] + "!")) == [-1]


def test_long_strings_as_data(port):
    text = "0123456789" * 70_000
    value = [text, {"k": text}, 7]
    with Client(port) as client, Client(port, 3) as three:
        client.command("JSON.SET", "d", "$", dump(value))
        expected = text.encode()
        assert client.command("JSON.RESP", "d") == [b"[", expected, [b"{", b"k", expected], 7]
        assert three.command("JSON.RESP", "d", "$[0]") == [expected]
        assert three.command("JSON.GET", "d", "FORMAT", "EXPAND", "$[0,1]") == [[expected, {b"k": expected}]]
        client.load([("MULTI",), ("JSON.RESP", "d", "$[1]"), ("DEL", "d")])
        assert client.command("EXEC") == [[[b"{", b"k", expected]], 1]


def test_what_has_expired_is_not_there(port):
    with Client(port) as client:
        _, model = fill(client, 3)
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        gone = KEYS[1:300:5]
        client.load([("JSON.SET", key, "$", '{"a":1}', "PX", 1) for key in gone])
        while client.command("EXISTS", *gone):
            pass
        assert isinstance(client.command("JSON.MSET", *(x for key in KEYS[:600] for x in (key, "$", "1")),
                                         gone[9], "$.a", "1", gone[8], "$", "{"), ErrorReply)
        assert [value is None for value in client.command("JSON.MGET", *KEYS, "$")] == [
            key in gone or key not in model for key in KEYS]
        assert client.command("JSON.MSET", *(x for key in gone * 8 for x in (key, "$", '{"b":2}'))) == b"OK"
        assert client.command("JSON.MGET", *gone, "$.b") == [b"[2]"] * len(gone)
        assert client.command("DBSIZE") == len({*gone, *model})
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_clients_that_leave(port):
    """What changes is carried out all the same; what reads ends, and lets go of everything."""
    with Client(port) as other:
        other.command("FLUSHALL")
        other.load([("JSON.SET", key, "$", dump(list(range(50)))) for key in KEYS])
        for command in (("JSON.MGET", *KEYS * 3, "$[*]"), ("MEMORY", "USAGE", KEYS[0]),
                        ("JSON.MSET", *(x for key in KEYS for x in (key, "$[0]", '"new"')))):
            for steps in (0, 1, 3, 10):
                with Client(port) as leaver, hold(other, steps):
                    begin_beside(leaver, other, *command)
        until(lambda: other.command("JSON.GET", KEYS[-1], "$[0]") == b'["new"]')
        assert other.command("JSON.MGET", *KEYS, "$[0,1]") == [b'["new",1]'] * MANY
        other.command("FLUSHALL")
        until_reclaimed(other)
        assert other.command("JSON.MSET", *(x for key in KEYS for x in (key, "$", "1"))) == b"OK"
