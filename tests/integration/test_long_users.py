"""Users with thousands of rules, and thousands of users: what is said of them is what redis-server says.

It is changed and told in slices. A change that others overtake begins anew, so that none of theirs is lost.
"""
import random

import pytest

from harness.resp import Client, ErrorReply
from harness.waiting import begin, has_answered, hold, steps_of

PROTOCOLS = (2,)
SERVER_OPTIONS = ("--enable-debug-command", "yes", "--acllog-max-len", "10")
MANY = 2000


@pytest.fixture
def processes(module_server, module_oracle):
    for process in (module_server, module_oracle):
        with Client(process.port) as client:
            client.command("ACL", "SETUSER", "default", "sanitize-payload")
            client.command("ACL", "DELUSER", *(set(client.command("ACL", "USERS")) - {b"default"}), "none")
            client.command("ACL", "SETUSER", "u", "sanitize-payload")
    return module_server, module_oracle


def description(client):
    """Of the user, without commands: redis-server 7.0 does not keep rules for them as they were given."""
    user = client.command("ACL", "GETUSER", "u")
    without = [[part for at, part in enumerate(parts) if b"commands" not in (part, parts[at - 1])]
               for parts in (user, *user[-1])]
    return without[0][:-1], without[1:]


def apply(processes, *rules, steps=1):
    """Both servers answer the same and have the same user then. Larder gets there in steps."""
    found, (server, oracle) = [], processes
    with Client(server.port) as client, Client(server.port) as other:
        answers = []
        if steps:
            assert steps_of(client, other, "ACL", "SETUSER", "u", *rules) >= steps
            answers.append(client.read().value)
        else:
            answers.append(client.command("ACL", "SETUSER", "u", *rules))
        found.append((answers, description(client)))
    with Client(oracle.port) as client:
        answers = [client.command("ACL", "SETUSER", "u", *rules)]
        found.append((answers, description(client)))
    assert found[0] == found[1]


def numbered(form, count=MANY):
    return [form % i for i in range(count)]


CASES = {
    "keys": [*numbered("~k%d"), *numbered("%%R~r%d"), *numbered("%%W~r%d"), *numbered("~k%d", 40), "%R~x"],
    "channels": [*numbered("&c%d"), *numbered("&c%d"), "resetchannels", *numbered("&d%d", 100)],
    "passwords": [*numbered(">p%d"), *numbered(">p%d", 50), *numbered("<p%d", 20), "<p1"],
    "hashes": [*numbered("#%064x"), *numbered("#%064x", 40), *numbered("!%064x", 30), "nopass",
               *numbered("#%064x", 50)],
    "arguments": [*numbered("+get|k%d"), *numbered("+GET|K%d"), *numbered("+set|k%d"), "+get|k5", "-get", "+get|b"],
    "arguments and a category": [*numbered("+get|k%d", 500), "+@read", *numbered("+get|k%d", 400), "+config|get",
                                       "+config", "-config|set", "+set|a", "-@write", "+set|a"],
    "commands": ["+@all", *["-get", "+get", "+config|get", "-set", "+config"] * 500],
    "categories": ["-@all", "+@read", "-@write", "+@string"] * 200,
    "selectors": numbered("(~k%d +get)"),
    "selectors in words": [word for i in range(1000) for word in ("(~k%d" % i, "&x", "+get)")],
    "one long selector": ["(" + " ".join(numbered("~k%d", 4000)) + ")"],
    "a bad one in the end": [*numbered("~k%d"), "no such rule"],
    "no letters": [*numbered("~k%d"), "%~x"],
    "an unmatched parenthesis": [*numbered("~k%d"), "(~a"],
    "one that says nothing more": [*numbered("~k%d"), "allkeys", "~a"],
    "reset in the midst": [*numbered("~k%d"), "on", ">x", *numbered("(~k%d)", 400), "reset", *numbered("~l%d", 300)],
}


@pytest.mark.parametrize("name", CASES)
def test_thousands_of_rules(processes, name):
    apply(processes, *CASES[name], steps=1)
    apply(processes, "on", steps=0)
    apply(processes, "~last", "+get|last", "&last", ">last", steps=0)


@pytest.mark.parametrize("name", [name for name in CASES if "selectors in" not in name and "unmatched" not in name])
def test_rules_at_once_and_one_by_one(processes, name):
    with Client(processes[0].port) as client:
        client.command("ACL", "SETUSER", "u", *CASES[name])
        client.command("ACL", "SETUSER", "one", "sanitize-payload")
        refused = [answer for answer in client.pipeline(("ACL", "SETUSER", "one", rule) for rule in CASES[name])
                   if answer != b"OK"]
        if refused:
            client.command("ACL", "SETUSER", "u", *(rule for rule in CASES[name][:-1]))
        assert len(refused) <= 1
        assert client.command("ACL", "GETUSER", "u") == client.command("ACL", "GETUSER", "one")


WORDS = ["+get", "-get", "+@read", "-@string", "+config|get", "-config", "+config", "+set"]


def test_random_rules(processes, seed):
    chosen = random.Random(seed)
    makers = [lambda: "~k%d" % chosen.randrange(600), lambda: "%%%s~k%d" % (chosen.choice(["R", "W", "RW"]),
                                                                           chosen.randrange(600)),
              lambda: "&c%d" % chosen.randrange(300), lambda: ">p%d" % chosen.randrange(300),
              lambda: "+%s|a%d" % (chosen.choice(["get", "Set", "del"]), chosen.randrange(500)),
              lambda: chosen.choice(WORDS)]
    for _ in range(4):
        chosen_makers = chosen.sample(makers, 3)
        apply(processes, *(chosen.choice(chosen_makers)() for _ in range(2500)))
    apply(processes, "resetchannels", "resetkeys", "resetpass", "-@all", "clearselectors", steps=0)


def test_a_large_user_is_told_changed_and_removed_in_steps(processes):
    apply(processes, *CASES["keys"])
    with Client(processes[0].port) as client, Client(processes[0].port) as other:
        for command in (("ACL", "GETUSER", "u"), ("ACL", "LIST"), ("ACL", "SETUSER", "u", "off")):
            expected = other.command(*command)
            assert steps_of(client, other, *command) >= 1
            assert client.read().value == expected
        assert steps_of(client, other, "ACL", "DELUSER", "u") >= 1
        assert client.read().value == 1
        assert other.command("ACL", "USERS") == [b"default"] and other.command("ACL", "GETUSER", "u") is None


def test_thousands_of_users(processes):
    found = []
    for process in processes:
        with Client(process.port) as client, Client(process.port) as other:
            client.load(("ACL", "SETUSER", b"u%d" % i, "sanitize-payload", "on", b"~k%d" % i) for i in range(MANY))
            answers = []
            for command in (("ACL", "LIST"), ("ACL", "USERS"), ("ACL", "DELUSER", *numbered("u%d"), "none")):
                if process is processes[0]:
                    assert steps_of(client, other, *command) >= 1
                    answers.append(client.read().value)
                else:
                    answers.append(client.command(*command))
            found.append(answers)
    assert found[0] == found[1]


def test_users_come_and_go_while_they_are_listed(processes):
    with Client(processes[0].port) as client, Client(processes[0].port) as other:
        client.load(("ACL", "SETUSER", b"m%d" % i, "on", b"~k%d" % i) for i in range(MANY))
        for subcommand in ("LIST", "USERS"):
            with hold(other, 1):
                begin(client, "ACL", subcommand)
                assert not has_answered(client)
                assert other.command("ACL", "DELUSER", "m1", "m1999") == 2
                assert other.command("ACL", "SETUSER", "zzz") == b"OK"
            names = [line.split()[1] if subcommand == "LIST" else line for line in client.read().value]
            assert names == sorted(names) and names[-1] == b"zzz" and b"m1999" not in names and len(names) > MANY - 2
            other.load(("ACL", "SETUSER", name, "on") for name in ("m1", "m1999"))
            other.command("ACL", "DELUSER", "zzz")


@pytest.mark.parametrize("meanwhile", [("ACL", "SETUSER", "u", "~more"), ("ACL", "DELUSER", "u"),
                                       ("ACL", "SETUSER", "other", "on"), ("CONFIG", "SET", "requirepass", "")],
                         ids=lambda words: "-".join(words[1:3]))
@pytest.mark.parametrize("steps", [1, 3, 10])
def test_what_overtakes_a_change_is_not_lost(processes, meanwhile, steps):
    """Some of what overtakes is done in steps itself, and one of the two begins anew."""
    port = processes[0].port
    with Client(port) as client, Client(port) as other, Client(port) as third:
        client.command("ACL", "SETUSER", "u", "reset", *numbered("~old%d", 6000))
        with hold(other, steps):
            begin(client, "ACL", "SETUSER", "u", "on", *numbered("~k%d", 6000))
            begin(third, *meanwhile)
        assert client.read().value == b"OK" and not isinstance(third.read().value, ErrorReply)
        user = other.command("ACL", "GETUSER", "u")
        if meanwhile[1] == "DELUSER" and user is None:
            return
        keys = set(user[user.index(b"keys") + 1].split())
        old = set() if meanwhile[1] == "DELUSER" else {b"~old%d" % i for i in range(6000)}
        more = {b"~more"} if meanwhile[-1] == "~more" else set()
        assert keys == old | more | {b"~k%d" % i for i in range(6000)}
