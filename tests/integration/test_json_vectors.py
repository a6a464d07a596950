"""Cases of JSON commands that are kept elsewhere: LARDER_JSON_VECTORS names a file of them, one a line.


A case has `setup` (commands on an empty database), `cmd`, and `reply`: a value, {"status"}, {"double"}, {"bool"},
{"map"}, {"error_prefix", "error_contains"}, or `reply_shape` in words. Where RFC 9535 says otherwise of a `$` path, and
its compliance suite with it, the RFC is followed: those cases are named below, with what is answered instead.
"""
import json
import os

import pytest

from harness.resp import Client, ErrorReply

VECTORS = os.environ.get("LARDER_JSON_VECTORS")

# An index before the beginning names nothing; steps below zero walk backwards and zero names nothing; white space may
# stand between segments; names after a dot may have any letter but not begin with a digit; nothing equals nothing;
# numbers may have exponents; selectors of different kinds may stand in one bracket.
ERROR = {"error_prefix": "ERR"}
DECIDED_BY_RFC_9535 = {
    "set/inner errors/02 JSON.SET $.b.c[-9] 1 XX": None,
    "get/paths/41 JSON.GET $ .n[ 1 ]": "[1]",
    "get/slices/23 JSON.GET $.n[::-1]": "[9,8,7,6,5,4,3,2,1,0]",
    "get/slices/24 JSON.GET $.n[::0]": "[]",
    "string/unicode keys/15 JSON.GET $.1": ERROR,
    "string/unicode keys/25 JSON.GET $.\u00e9": '[{"\u00fc":14}]',
    "filter/57 JSON.GET $.shop.stock[?(@.nope==@.nada)].sku": '["A1","B2","C3","D4"]',
    "filter/syntax errors/13 JSON.GET $.n[?(@>1e2)]": "[]",
    "path/syntax errors/16 JSON.GET $.n[0:1:-1]": "[]",
    "path/syntax errors/17 JSON.GET $.n[0:1:0]": "[]",
    "path/syntax errors/28 JSON.GET $.n[1,'a']": "[1]",
}

pytestmark = pytest.mark.skipif(not VECTORS, reason="LARDER_JSON_VECTORS names no file")


def load():
    with open(VECTORS, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def text(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def fits(want, got, as_json, raw):
    if isinstance(want, dict):
        if "error_prefix" in want:
            return isinstance(got, ErrorReply) and got.text.startswith(want["error_prefix"]) and all(
                part in got.text for part in want.get("error_contains", ()))
        if "status" in want:
            return raw[:1] in b"+*" and text(got) == want["status"]
        if "double" in want:
            return isinstance(got, float) and got == float(want["double"])
        if "bool" in want:
            return got is want["bool"]
        if "map" in want:
            return isinstance(got, dict) and [[text(k), v] for k, v in got.items()] == want["map"]
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(
            fits(w, g, as_json, b"+") for w, g in zip(want, got))
    if as_json and isinstance(want, str):
        return isinstance(got, bytes) and json.loads(got) == json.loads(want)
    return type(text(got)) is type(want) and text(got) == want


def fits_shape(shape, got):
    if isinstance(got, list):
        return shape.startswith("array of one") and len(got) == 1 and got[0] > 0
    return shape == "positive integer" and got > 0


def run(client, case):
    errors = "surrogateescape" if case.get("bytes_surrogateescape") else "strict"
    client.command("FLUSHALL")
    for command in case["setup"]:
        client.command(*[word.encode("utf-8", errors) for word in command])
    client.send(*[word.encode("utf-8", errors) for word in case["cmd"]])
    return client.read()


def test_every_case(module_server):
    clients = {2: Client(module_server.port), 3: Client(module_server.port, 3)}
    failures = []
    for case in load():
        reply = run(clients[case.get("proto", 2)], case)
        if "reply_shape" in case:
            fine = fits_shape(case["reply_shape"], reply.value)
        else:
            want = DECIDED_BY_RFC_9535.get(case["name"], case["reply"])
            fine = fits(want, reply.value, case.get("cmp") == "json", reply.raw)
        if not fine:
            failures.append(f"{case['name']}{' (optional)' if 'optional' in case else ''}: {case['cmd']} answered "
                            f"{reply.raw[:300]!r}, not {case.get('reply', case.get('reply_shape'))!r}")
    required = [line for line in failures if " (optional): " not in line]
    print("\n".join(line for line in failures if line not in required))
    assert not required, "\n".join(required)
