"""ACL: rules, refusals and their log beside redis-server; what the documentation says of newer versions; files."""
import os
import subprocess
import time

import pytest
import redis

from harness.differential import Pair
from harness.process import ServerProcess, larder_binary
from harness.resp import Client, ErrorReply


@pytest.fixture
def users(pair):
    """Connections to both servers, without the users that a test made. All users sanitize payloads from the beginning
    since 7.2; the oracle's default user is told to."""
    pair.oracle.command("ACL", "SETUSER", "default", "sanitize-payload")
    yield pair
    for client in pair.both:
        client.command("AUTH", "default", "")
        for name in client.command("ACL", "USERS"):
            if name != b"default":
                client.command("ACL", "DELUSER", name)
        client.command("ACL", "SETUSER", "default", "reset", "on", "nopass", "allkeys", "allchannels", "+@all")
        client.command("ACL", "LOG", "RESET")


RULES = [
    "on", "off", "nopass", "resetpass", ">secret", "<secret", "<other", "#12", "!12", "#" + "a" * 64, "#" + "A" * 64,
    "!" + "a" * 64, "~a*", "~*", "%R~x", "%W~x", "%RW~y", "%~z", "%X~z", "%R", "%", "~", "&", "&news.*", "&*",
    "allkeys", "resetkeys", "allchannels", "resetchannels", "allcommands", "nocommands", "+get", "+GET",
    "+@all", "-@all", "+nosuch", "-nosuch", "+@nosuch", "+", "-", "+config|get", "+config|nosuch",
    "-config|nosuch", "+config|get|x", "+select|0", "-select|0", "+select|", "+@all -get", "(+get", "(+get ~x)",
    "(on)", "()", "(", ")", "clearselectors", "reset", "nosuch", "", "~a b", "&a b", "sanitize-payload",
    "skip-sanitize-payload", "+object", "+@dangerous",
]


@pytest.mark.parametrize("rule", RULES)
def test_single_rules(users, rule):
    users.same("ACL SETUSER u sanitize-payload", ["ACL", "SETUSER", "u", rule], ["ACL", "GETUSER", "u"], "ACL LIST")


@pytest.mark.parametrize("rules", [
    ["on", ">p", "~a*", "%R~b*", "&ch*", "+@string", "-set", "(+set ~x*)", "(+@all -get %W~y)"],
    ["~*", "~b"], ["&*", "&b"], ["allkeys", "%R~b"], ["~a", "~*", "resetkeys", "~b"], ["~a", "~a", "%R~c", "%W~c"],
    ["+get", "~x", "nosuch", "+set"], ["(+get", "~x", "&y)", "+set"], ["(+get", "~x"], ["(+get ~x)", "(+set", "~y)"],
    [">a", ">b", ">a", "<b"], ["nopass", ">a"], [">a", "nopass"], ["on", "reset"], ["+@all", "-@hash", "+hget"],
    ["(+get ~x)", "(+set ~y)", "clearselectors", "(+get ~z)"],
])
def test_rules_together(users, rules):
    users.same(["ACL", "SETUSER", "u", "reset", *rules], ["ACL", "GETUSER", "u"], ["ACL", "LIST"])


@pytest.mark.parametrize("command", [
    "ACL", "ACL NOSUCH", "ACL WHOAMI", "ACL WHOAMI x", "ACL USERS", "ACL CAT nosuch", "ACL CAT a b", "ACL GENPASS 0",
    "ACL GENPASS -5", "ACL GENPASS 4097", "ACL GENPASS x", "ACL GETUSER nosuch", "ACL GETUSER", "ACL DELUSER",
    "ACL DELUSER default", "ACL DELUSER nosuch other", "ACL SETUSER", 'ACL SETUSER "a b" on', 'ACL SETUSER "a\\x00b"',
    "ACL DRYRUN nosuch GET a", "ACL DRYRUN default nosuch", "ACL DRYRUN default GET", "ACL DRYRUN default GET a",
    "ACL LOG x", "ACL LOG RESET", "ACL LOG 1 2", "ACL LOG", "ACL LOAD", "ACL SAVE", "ACL HELP", "AUTH a b", "AUTH a",
    "AUTH a b c", "AUTH default x", "ACL DRYRUN " + "n" * 256 + " GET a", "ACL DRYRUN default " + "c" * 256,
    "ACL CAT " + "x" * 256, "ACL SETUSER u +get|a|b", "ACL SETUSER u -get|a|b", "ACL SETUSER u +config|get|x",
    "ACL SETUSER u +config|no|x", "COMMAND GETKEYS SPUBLISH a b", "COMMAND GETKEYSANDFLAGS SPUBLISH a b",
    "COMMAND GETKEYS MIGRATE h 1 k 0 9 KEYS a b", "COMMAND GETKEYSANDFLAGS MIGRATE h 1 k 0 9 COPY",
    "ACL LOG 0", "ACL LOG -1", "ACL CAT scripting x", "ACL GENPASS 1 2",
])
def test_command_forms(users, command):
    users.same(command)


def test_categories_list_their_commands(client, module_oracle):
    """Those of the other server that are none of ours apart."""
    ours = set(client.command("COMMAND", "LIST"))
    with Client(module_oracle.port) as oracle:
        assert client.command("ACL", "CAT") == oracle.command("ACL", "CAT") + [b"json"]
        for category in ("transaction", "bitmap", "hash", "pubsub", "sortedset"):
            theirs = {name for name in oracle.command("ACL", "CAT", category) if name.split(b"|")[0] in ours}
            listed = client.command("ACL", "CAT", category)
            assert len(set(listed)) == len(listed) and theirs <= set(listed), category
            assert b"get" not in listed


def test_migrate_needs_leave_for_the_keys_that_it_names(users):
    users.same("ACL SETUSER u +@all %RW~own", *(
        ["ACL", "DRYRUN", "u", "MIGRATE", "h", "1", key, "0", "9", *more] for key, *more in [
            ["own"], ["other"], ["own", "AUTH", "other"], ["", "KEYS", "own"], ["", "KEYS", "own", "other"],
            ["", "AUTH2", "u", "p", "KEYS", "own"], ["", "COPY"]]),
        ["COMMAND", "GETKEYS", "MIGRATE", "h", "1", "", "0", "9", "AUTH", "KEYS", "KEYS", "a", "b"])


def test_generated_passwords_have_the_length_asked_for(client):
    for bits in (1, 4, 5, 256, 4096):
        password = client.command("ACL", "GENPASS", bits)
        assert len(password) == (bits + 3) // 4
        assert set(password) <= set(b"0123456789abcdef")
    assert len({client.command("ACL", "GENPASS") for _ in range(100)}) == 100


CHECKS = [
    ["ACL", "WHOAMI"], ["SET", "a", 1], ["GET", "a"], ["GET", "b"], ["SET", "w1", 1], ["GET", "w1"], ["GET", "r1"],
    ["SET", "r1", 1], ["COPY", "r1", "w2"], ["COPY", "w1", "r2"], ["GETSET", "w1", 2], ["SET", "w1", 3, "GET"],
    ["MGET", "a", "r1"], ["MGET", "a", "w1"], ["APPEND", "w1", "x"], ["STRLEN", "w1"], ["EXISTS", "w1"],
    ["DEL", "w1"], ["SUBSCRIBE", "elsewhere"], ["PUBLISH", "news.a", "x"], ["PUBLISH", "other", "x"],
    ["SPUBLISH", "other", "x"], ["PSUBSCRIBE", "news.?"], ["CONFIG", "GET", "maxclients"], ["NOSUCH"], ["GET"],
    ["SORT", "a", "BY", "w_*"], ["SORT", "a", "GET", "w_*"], ["SORT", "a", "BY", "nosort"], ["SORT", "a", "GET", "#"],
    ["MULTI"], ["SET", "a", 1], ["SET", "zz", 1], ["EXEC"], ["MULTI"], ["SET", "a", 2], ["EXEC"], ["SELECT", 1],
    ["SELECT", 0], ["PING"], ["KEYS", "nothing"], ["OBJECT", "ENCODING", "a"], ["HELLO", "9"],
]
PROFILES = {
    "reader": ["on", "nopass", "%R~*", "+@read", "+acl|whoami", "+select|0"],
    "writer": ["on", "nopass", "~a*", "%R~r*", "%W~w*", "&news.*", "+@all", "-config"],
    "twofold": ["on", "nopass", "+get", "~a*", "(+set ~w* )", "(+@all -set %R~r* &news.a)"],
    "nobody": ["on", "nopass"],
    "all": ["on", "nopass", "~*", "&*", "+@all"],
    "numbers": ["on", "nopass", "~*", "+select|0", "+multi", "+exec", "+set"],
}


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_user_may_do(users, profile):
    users.same(["ACL", "SETUSER", profile, "reset", *PROFILES[profile]])
    for check in CHECKS:
        if check[0] in ("SUBSCRIBE", "PSUBSCRIBE") and profile == "all":
            continue
        users.same(["AUTH", profile, "anything"]) if check == CHECKS[0] else None
        users.same(check)
    for check in CHECKS[1:20]:
        users.same(["AUTH", "default", ""], ["ACL", "DRYRUN", profile, *check])


def test_first_arguments_of_one_command_go_without_those_of_others(users):
    for rule in ("+select|1", "+echo|a", "+select|2", "+echo|b", "+ping|x", "+select", "-select"):
        users.same(["ACL", "SETUSER", "u", rule])
        for tried in ("SELECT 1", "SELECT 2", "SELECT 3", "ECHO a", "ECHO b", "ECHO c", "PING x", "PING"):
            ours, theirs = (client.command("ACL", "DRYRUN", "u", *tried.split()) == b"OK" for client in users.both)
            assert ours == theirs, (rule, tried)


@pytest.mark.parametrize("refused", [None, 0, 63, 64, 65, 99])
def test_each_of_many_keys_is_looked_at(users, refused):
    keys = ["b" if number == refused else f"a{number}" for number in range(100)]
    users.same("ACL SETUSER u reset on nopass +mget +auth ~a*", ["AUTH", "u", "x"])
    for client in users.both:
        reply = client.command("MGET", *keys)
        assert (isinstance(reply, ErrorReply) and "permissions to access" in reply.text) == (refused is not None)


@pytest.mark.parametrize("rules", [
    "+sort ~a (+exists ~*)", "+sort ~a (+sort ~*)", "+sort ~a %R~*", "+exists ~* (+sort ~a)", "+sort %W~* %R~a",
    "+sort ~a (~*)", "+sort +sort_ro ~a (+sort_ro %R~*)", "+sort ~s (+sort %R~* %W~t)",
    "+sort ~a (+sort %R~* %W~t)",
])
def test_patterns_need_leave_to_read_all_keys_where_sort_is_allowed(users, rules):
    """What another selector may read does not help."""
    users.same("RPUSH a 2 1", "SET w_1 1", "SET w_2 0")
    users.same(["ACL", "SETUSER", "u", "reset", "on", "nopass", *rules.split()])
    users.same("AUTH u x")
    for command in ("SORT a BY w_*", "SORT a BY nosort GET w_*", "SORT a GET # GET w_*", "SORT a BY w_* STORE a",
                    "SORT a BY nosort" + " GET w_*" * 3000, "SORT a" + " ASC" * 5000 + " BY w_*"):
        ours, theirs = (client.command(*command.split()) for client in users.both)
        if isinstance(theirs, ErrorReply) and theirs.text.startswith("NOPERM"):
            assert isinstance(ours, ErrorReply) and ours.text.startswith("NOPERM")
        else:
            assert ours == theirs, command


def test_refusals_have_the_words_of_newer_versions(client):
    client.command("ACL", "SETUSER", "vera", "on", "nopass", "~own:*", "&own:*", "+get", "+publish", "+exec", "+multi")
    tried = [client.command("ACL", "DRYRUN", "vera", *words) for words in (
        ["SET", "own:a", "1"], ["GET", "a"], ["PUBLISH", "c", "x"], ["CONFIG", "GET", "x"], ["GET", "own:a"])]
    assert tried == [b"User vera has no permissions to run the 'set' command",
                     b"User vera has no permissions to access the 'a' key",
                     b"User vera has no permissions to access the 'c' channel",
                     b"User vera has no permissions to run the 'config|get' command", b"OK"]
    client.command("AUTH", "vera", "")
    assert client.command("SET", "own:a", "1").text == "NOPERM User vera has no permissions to run the 'set' command"
    assert client.command("GET", "a").text == "NOPERM No permissions to access a key"
    assert client.command("PUBLISH", "c", "x").text == "NOPERM No permissions to access a channel"
    client.command("AUTH", "default", "")


def log_facts(client):
    entries = client.command("ACL", "LOG")
    entries = [entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2])) for entry in entries]
    return [[entry[key] for key in (b"count", b"reason", b"context", b"object", b"username")] for entry in entries]


def test_refusals_are_logged(users):
    users.same("ACL LOG RESET", "ACL SETUSER u on >pw +get +multi +exec +publish ~a")
    for step in ("AUTH u wrong", "AUTH nosuch wrong", "AUTH u pw", "SET a 1", "SET a 1", "GET b", "PUBLISH c x",
                 "MULTI", "SET a 1", "GET b", "EXEC", "AUTH default x"):
        users.same(step)
    ours, theirs = (log_facts(client) for client in users.both)
    assert ours == theirs
    assert len(ours) >= 6


def test_what_is_refused_in_a_transaction_is_logged_as_such(module_server, module_oracle, users):
    admin = Pair(module_server.port, module_oracle.port, users.protocol)
    users.same("ACL LOG RESET", "ACL SETUSER u on nopass ~* +get +set +multi +exec", "AUTH u x", "MULTI", "SET a 1")
    admin.same("ACL SETUSER u -set")
    users.same("EXEC", "AUTH default x")
    ours, theirs = (log_facts(client) for client in users.both)
    assert ours == theirs == [[1, b"command", b"multi", b"set", b"u"]]
    admin.close()


@pytest.mark.server_options("--acllog-max-len", "3")
def test_the_log_is_bounded_and_says_who_and_when(client):
    for number in range(5):
        client.command("AUTH", f"user-{number}", "x")
    entries = client.command("ACL", "LOG")
    entries = [entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2])) for entry in entries]
    assert [entry[b"username"] for entry in entries] == [b"user-4", b"user-3", b"user-2"]
    assert [entry[b"entry-id"] for entry in entries] == [4, 3, 2]
    assert b"cmd=auth user=default" in entries[0][b"client-info"]
    client.command("CONFIG", "SET", "acllog-max-len", "1")
    assert len(client.command("ACL", "LOG")) == 3, "what is there goes when something comes"
    client.command("AUTH", "user-5", "x")
    assert len(client.command("ACL", "LOG")) == 1
    assert entries[0][b"timestamp-created"] == entries[0][b"timestamp-last-updated"]
    assert 0 <= float(entries[0][b"age-seconds"]) < 60


@pytest.mark.parametrize("given, described", [
    ("+@all -@hash -@slow +hget", "+@all -@hash -@slow +hget"),
    ("+@all -@hash -@slow +hget -@hash", "+@all -@slow +hget -@hash"),
    ("+@all -@hash -@slow +hget -@hash +@hash", "+@all -@slow +hget +@hash"),
    ("-@all +@HASH +@hash +@HaSh", "-@all +@hash"),
    ("-@all +HGET +hget +hGeT", "-@all +hget"),
    ("-@all +@hash +@slow +@set +@set +@slow +@hash", "-@all +@set +@slow +@hash"),
    ("-@all +hget -hset +hset -hget", "-@all +hset -hget"),
    ("-@all +client|list +client|list +config|get +config +acl|list -acl", "-@all +client|list +config -acl"),
    ("-@all -@dangerous", "-@all -@dangerous"),
    ("-@all +config +config|get -config|set +config", "-@all +config"),
    ("-@all +EVAL -evalsha +get -script|load -cluster|reset", "-@all +eval -evalsha +get -script|load -cluster|reset"),
    ("+@all -eval (+fcall ~f*)", "+@all -eval"),
])
def test_rules_are_kept_as_they_were_given(client, given, described):
    assert client.command("ACL", "SETUSER", "u", "reset", *given.split()) == b"OK"
    user = client.command("ACL", "GETUSER", "u")
    user = user if isinstance(user, dict) else dict(zip(user[::2], user[1::2]))
    assert user[b"commands"] == described.encode()


@pytest.mark.parametrize("rules, flags", [
    ("", "off sanitize-payload"), ("on nopass", "on nopass sanitize-payload"),
    ("on skip-sanitize-payload", "on skip-sanitize-payload"), ("skip-sanitize-payload reset", "off sanitize-payload"),
])
def test_new_users_sanitize_payloads(client, rules, flags):
    """So 7.2 and later describe users, and clients' models of them ask for it."""
    assert b"user default on nopass sanitize-payload ~* &* +@all" in client.command("ACL", "LIST")
    client.command("ACL", "DELUSER", "new")
    assert client.command("ACL", "SETUSER", "new", *rules.split()) == b"OK"
    user = client.command("ACL", "GETUSER", "new")
    user = user if isinstance(user, dict) else dict(zip(user[::2], user[1::2]))
    assert sorted(user[b"flags"]) == sorted(flag.encode() for flag in flags.split())


def test_a_description_makes_an_equal_user(client):
    rules = "on >pw ~a* %R~b &c +@all -@admin +config|get (+get %W~x resetchannels) (-@all +set ~y &z)".split()
    client.command("ACL", "SETUSER", "one", *rules)
    [line] = [line for line in client.command("ACL", "LIST") if line.startswith(b"user one ")]
    assert client.command("ACL", "SETUSER", "two", *line.split()[2:]) == b"OK"
    assert [line] == [other.replace(b"user two ", b"user one ") for other in client.command("ACL", "LIST")
                      if other.startswith(b"user two ")]
    assert b"pw" not in line


def test_changed_rules_hold_at_once_for_open_connections(server, client):
    client.command("ACL", "SETUSER", "u", "on", ">pw", "~*", "&*", "+@all")
    with Client(server.port) as other:
        other.command("AUTH", "u", "pw")
        assert other.command("SET", "a", "1") == b"OK"
        other.command("MULTI")
        other.command("SET", "a", "2")
        client.command("ACL", "SETUSER", "u", "-set")
        [refused] = other.command("EXEC")
        assert isinstance(refused, ErrorReply) and refused.text.startswith("NOPERM ACLs rules changed between")
        assert "no permission to execute the command or subcommand" in refused.text
        assert client.command("GET", "a") == b"1"
        client.command("ACL", "SETUSER", "u", "off")
        assert other.command("GET", "a") == b"1"
    with Client(server.port) as other:
        assert other.command("AUTH", "u", "pw").text.startswith("WRONGPASS")


def test_who_waits_is_refused_what_he_may_no_longer_have(server, client):
    client.command("ACL", "SETUSER", "u", "on", "nopass", "~*", "+@all")
    client.command("CONFIG", "RESETSTAT")
    with Client(server.port) as other:
        other.command("AUTH", "u", "x")
        for waiting in (["BLPOP", "list", "0"], ["XREAD", "BLOCK", "0", "STREAMS", "stream", "$"]):
            client.command("ACL", "SETUSER", "u", "allkeys")
            other.send(*waiting)
            while b"blocked_clients:1" not in client.command("INFO", "clients"):
                time.sleep(0.01)
            client.command("ACL", "SETUSER", "u", "resetkeys", "~mine")
            client.command("RPUSH", "list", "a")
            client.command("XADD", "stream", "*", "f", "v")
            assert other.read().value.text.startswith("NOPERM")
        assert other.command("PING") == b"PONG"
    assert client.command("LLEN", "list") == 2
    statistics = client.command("INFO", "commandstats").decode()
    assert "cmdstat_blpop:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0" in statistics


def test_removed_users_and_forbidden_listeners_are_disconnected(server, client):
    client.command("ACL", "SETUSER", "u", "on", "nopass", "~*", "&*", "+@all")
    with Client(server.port) as listener, Client(server.port) as patterns, Client(server.port) as worker:
        for other in (listener, patterns, worker):
            other.command("AUTH", "u", "x")
        listener.command("SUBSCRIBE", "news.a")
        patterns.command("PSUBSCRIBE", "news.*")
        client.command("ACL", "SETUSER", "u", "resetchannels", "&news.*")
        assert worker.command("PING") == b"PONG"
        client.command("PUBLISH", "news.a", "hello")
        assert listener.read().value[-1] == b"hello"
        client.command("ACL", "SETUSER", "u", "resetchannels", "&other")
        assert listener.is_closed_by_server() and patterns.is_closed_by_server()
        assert worker.command("PING") == b"PONG"
        assert client.command("ACL", "DELUSER", "u") == 1
        assert worker.is_closed_by_server()


def test_client_list_and_kill_know_users(server, client):
    client.command("ACL", "SETUSER", "u", "on", "nopass", "+@all")
    with Client(server.port) as other:
        other.command("AUTH", "u", "x")
        assert b"user=u " in other.command("CLIENT", "INFO")
        assert client.command("CLIENT", "KILL", "USER", "u") == 1
        assert other.is_closed_by_server()
    assert b"user=default " in client.command("CLIENT", "INFO")


def test_requirepass_is_the_password_of_default(server, client):
    client.command("CONFIG", "SET", "requirepass", "first")
    with Client(server.port) as other:
        assert other.command("GET", "a").text.startswith("NOAUTH")
        assert other.command("AUTH", "wrong").text.startswith("WRONGPASS")
        assert other.command("AUTH", "first") == b"OK"
        assert client.command("CONFIG", "SET", "requirepass", "") == b"OK"
    with Client(server.port) as other:
        assert other.command("PING") == b"PONG"
        assert other.command("AUTH", "default", "anything") == b"OK"


def write(path, text):
    path.write_text(text)
    return str(path)


def test_users_of_the_configuration_file(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    config = home / "larder.conf"
    config.write_text("user alice on >secret ~a* +@all\nuser bob off nopass\n")

    def start():
        command = [larder_binary(), str(config), "--port", "{port}", "--bind", "127.0.0.1", "--dir", "{dir}"]
        return ServerProcess(command, directory=home, bare=True)

    server = start()
    with Client(server.port) as client:
        assert client.command("ACL", "USERS") == [b"alice", b"bob", b"default"]
        assert client.command("AUTH", "alice", "secret") == b"OK"
        assert client.command("GET", "b").text.startswith("NOPERM")
        assert client.command("ACL", "SETUSER", "carol", "on", ">pw", "+@read") == b"OK"
        assert client.command("CONFIG", "REWRITE") == b"OK"
        before = client.command("ACL", "LIST")
    server.stop_cleanly()
    text = config.read_text()
    assert text.count("user alice ") == 1 and "user carol on sanitize-payload #" in text and "secret" not in text
    server = start()
    with Client(server.port) as client:
        assert client.command("ACL", "LIST") == before
    server.stop_cleanly()


@pytest.mark.parametrize("lines, own", [
    ("user alice on nopass +@all\nrequirepass secret\n", True),
    ("requirepass secret\nuser alice on nopass +@all\nuser default on >other ~* +@all\n", False),
])
def test_a_password_stays_when_other_users_are_named(tmp_path, lines, own):
    config = tmp_path / "larder.conf"
    config.write_text(lines)
    command = [larder_binary(), str(config), "--port", "{port}", "--bind", "127.0.0.1", "--dir", "{dir}"]
    server = ServerProcess(command, directory=tmp_path, bare=True)
    with Client(server.port) as client:
        assert client.command("SET", "a", "1").text.startswith("NOAUTH")
        assert isinstance(client.command("AUTH", "secret"), ErrorReply) != own
        assert isinstance(client.command("AUTH", "other"), ErrorReply) == own
        assert client.command("SET", "a", "1") == b"OK"
    server.stop_cleanly()


def test_users_of_a_file_of_their_own(start_server, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    users = home / "users.acl"
    users.write_text("# two users\nuser default on nopass ~* &* +@all\n\nuser alice on >secret ~a* +get\r\n")
    server = start_server("--aclfile", str(users), directory=home)
    with Client(server.port) as client, Client(server.port) as alice:
        assert alice.command("AUTH", "alice", "secret") == b"OK"
        client.command("ACL", "SETUSER", "bob", "on", "nopass")
        assert client.command("ACL", "SAVE") == b"OK"
        saved = users.read_text()
        assert saved.splitlines() == [line.decode() for line in client.command("ACL", "LIST")]
        assert os.listdir(home).count("users.acl") == 1 and not [n for n in os.listdir(home) if n.endswith(".tmp")]
        assert client.command("ACL", "LOAD") == b"OK"
        assert alice.command("GET", "a") is None
        users.write_text(saved + "user carol on nosuch\nuser bob on\nnonsense\n")
        refused = client.command("ACL", "LOAD").text
        assert "nosuch" in refused and all(f"users.acl:{line}" in refused for line in (4, 5, 6))
        assert client.command("ACL", "USERS") == [b"alice", b"bob", b"default"]
        users.write_text("user default on nopass ~* &* +@all\nuser alice on >secret ~b* +get\n")
        assert client.command("ACL", "LOAD") == b"OK"
        assert alice.is_closed_by_server()
        assert client.command("ACL", "USERS") == [b"alice", b"default"]
        assert client.command("CONFIG", "SET", "aclfile", "x").text.startswith("ERR CONFIG SET failed")


def test_who_reads_the_file_that_no_longer_names_him_is_nobody(start_server, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    users = home / "users.acl"
    users.write_text("user default on nopass ~* &* +@all\nuser alice on nopass ~* +@all\nuser bob on nopass +@all\n")
    server = start_server("--aclfile", str(users), directory=home)
    with Client(server.port) as alice, Client(server.port) as bob:
        alice.command("AUTH", "alice", "x")
        bob.command("AUTH", "bob", "x")
        users.write_text("user default on >secret ~* &* +@all\nuser bob on nopass +@all ~b\n")
        assert bob.command("ACL", "LOAD") == b"OK"
        assert alice.is_closed_by_server()
        assert bob.command("ACL", "WHOAMI") == b"bob" and bob.command("SET", "b", "1") == b"OK"
        users.write_text("user default on >secret ~* &* +@all\n")
        assert bob.command("ACL", "LOAD") == b"OK"
        assert bob.is_closed_by_server(), "the user default has a password, which he did not say"


@pytest.mark.parametrize("text", ["user alice on nosuch\n", "nonsense\n", "user a on\nuser a on\n", "user\n"])
def test_a_bad_file_stops_the_start(tmp_path, text):
    path = write(tmp_path / "users.acl", text)
    ended = subprocess.run([larder_binary(), "--port", "0", "--unixsocket", str(tmp_path / "s"), "--aclfile", path],
                           capture_output=True, timeout=20)
    assert ended.returncode != 0
    assert b"ACL errors" in ended.stdout + ended.stderr


def test_file_and_lines_together_are_refused(tmp_path):
    path = write(tmp_path / "users.acl", "user default on nopass ~* &* +@all\n")
    config = write(tmp_path / "c.conf", f"port 0\nunixsocket {tmp_path}/s\naclfile {path}\nuser x on\n")
    ended = subprocess.run([larder_binary(), config], capture_output=True, timeout=20)
    assert ended.returncode != 0


def test_redis_py_uses_a_user(server):
    admin = redis.Redis(port=server.port)
    admin.acl_setuser("app", enabled=True, passwords=["+pw"], keys=["cache:*"], categories=["+@read", "+@write"])
    app = redis.Redis(port=server.port, username="app", password="pw")
    app.set("cache:1", "x")
    assert app.get("cache:1") == b"x"
    with pytest.raises(redis.exceptions.NoPermissionError):
        app.set("other", "x")
    assert admin.acl_getuser("app")["keys"]
    assert admin.acl_log()[0]["object"] == "other"
    admin.acl_deluser("app")
    time.sleep(0.05)
    with pytest.raises(redis.exceptions.RedisError):
        app.get("cache:1")
