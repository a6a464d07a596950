"""Commands on the connection: HELLO, AUTH, SELECT, RESET, QUIT, compared with redis-server, and passwords."""
import pytest

from harness.differential import Pair
from harness.process import ServerProcess
from harness.resp import Client, ErrorReply, encode

PASSWORD = "correct horse"


def hello_of(value):
    return value if isinstance(value, dict) else dict(zip(value[::2], value[1::2]))


def test_ping_and_echo(pair):
    pair.same("PING", "PING x", "PING x y", "ECHO", "ECHO x", "ECHO x y", ("ECHO", b"\x00\r\n"), ("PING", ""))


def test_hello(pair):
    for command in ([], [2], [3], [], [2]):
        ours, theirs = (hello_of(client.command("HELLO", *command)) for client in pair.both)
        assert list(ours) == list(theirs)
        for field in (b"server", b"proto", b"mode", b"role"):
            assert ours[field] == theirs[field]
        assert ours[b"modules"] == pair.server.command("MODULE", "LIST")
        assert ours[b"version"] == b"7.4.0"
        assert ours[b"id"] == pair.server.command("CLIENT", "ID")


def test_hello_checks(pair):
    pair.same("HELLO 4", "HELLO 1", "HELLO 0", "HELLO -2", "HELLO x", "HELLO 99999999999999999999", "HELLO 2 AUTH",
              "HELLO 2 AUTH default", "HELLO 2 AUTH foo y", "HELLO 2 SETNAME", ("HELLO", 2, "SETNAME", "a b"),
              "HELLO 2 FOO", "HELLO 4 FOO", "CLIENT GETNAME", ("HELLO", 3, "SETNAME", "a\nb"), "CLIENT GETNAME",
              "HELLO 3 AUTH x y SETNAME other", "CLIENT GETNAME", "ECHO still-the-same-protocol", "GET nothing")


def test_hello_is_carried_out_as_a_whole(client):
    """As since Redis 7.2: all is read first, and of what comes twice the last counts."""
    for name in ("one", "two"):
        client.command("ACL", "SETUSER", name, "on", ">secret", "+@all")
    for words, error in ((("AUTH", "one", "secret", "BAD"), "ERR Syntax error in HELLO option 'BAD'"),
                         (("SETNAME", "kept", "AUTH", "one", "wrong"), "WRONGPASS"),
                         (("AUTH", "one", "secret", "AUTH", "two", "wrong"), "WRONGPASS"),
                         (("AUTH", "one", "secret", "SETNAME", "a", "SETNAME", "b c"), "ERR Client names cannot")):
        assert client.command("HELLO", 2, *words).text.startswith(error), words
        assert client.command("ACL", "WHOAMI") == b"default"
        assert client.command("CLIENT", "GETNAME") is None
    client.command("HELLO", 3, "AUTH", "two", "wrong", "SETNAME", "a", "SETNAME", "b", "AUTH", "one", "secret")
    assert [client.command("ACL", "WHOAMI"), client.command("CLIENT", "GETNAME")] == [b"one", b"b"]


def test_the_last_command_is_shown_even_if_it_was_refused(pair, module_server, module_oracle):
    watchers = Pair(module_server.port, module_oracle.port, 2)
    for words in ("GET", "GET a b", "nosuch", "CLIENT nosuch", "MULTI", "INCR x", "SET", "EXEC", "PING a b c"):
        shown = []
        for client, watcher in zip(pair.both, watchers.both):
            client.command(*words.split())
            rows = watcher.command("CLIENT", "LIST", "TYPE", "normal").split(b"\n")
            shown.append([row.split(b" cmd=")[1].split()[0] for row in rows if row and b"|list" not in row])
        assert shown[0] == shown[1], words
    watchers.close()


def test_hello_sets_the_name(pair):
    for client in pair.both:
        assert hello_of(client.command("HELLO", 2, "SETNAME", "first", "AUTH", "default", "whatever"))
    pair.same("CLIENT GETNAME")
    for client in pair.both:
        client.command("hello", 3, "setname", "")
    pair.same("CLIENT GETNAME", "GET nothing")


def test_auth_without_a_password(pair):
    pair.same("AUTH", "AUTH x", ("AUTH", ""), "AUTH default", "AUTH x y", "AUTH default x", "AUTH Default x",
              "AUTH x y z", "PING")


def test_reset(pair):
    pair.same("SELECT 3", "SET a 3", "CLIENT SETNAME me", "RESET x", "RESET", "CLIENT GETNAME", "GET a", "GET nothing",
              "SELECT 3", "GET a")


def test_quit(pair):
    for arguments in (["QUIT"], ["quit", "now"]):
        other = Pair(pair.server.port, pair.oracle.port, pair.protocol)
        other.same(arguments)
        assert other.server.is_closed_by_server()
        other.close()


def test_quit_sends_what_was_asked_before_and_drops_the_rest(client):
    client.command("SET", "big", "x" * 300_000)
    client.send_raw(encode(["GET", "big"]) * 20 + encode(["QUIT"]) + encode(["SET", "after", 1]))
    for _ in range(20):
        assert len(client.read().value) == 300_000
    assert client.read().value == b"OK"
    assert client.is_closed_by_server()
    with Client(client.port) as other:
        assert other.command("EXISTS", "after") == 0


@pytest.fixture
def locked(start_server, oracle_command, tmp_path):
    """Our server and the oracle, both with a password; a function that makes connections to both."""
    server = start_server("--requirepass", PASSWORD)
    directory = tmp_path / "oracle"
    directory.mkdir()
    oracle = ServerProcess(oracle_command, ["--requirepass", PASSWORD], directory)
    pairs = []

    def connect():
        pairs.append(Pair(server.port, oracle.port, 2))
        return pairs[-1]

    yield connect
    for pair in pairs:
        pair.close()
    oracle.stop()


def test_nothing_works_before_auth(locked):
    locked().same("PING", "GET a", "SELECT 0", "COMMAND COUNT", "CLIENT ID", "HELLO", "HELLO 3", "HELLO x", "HELLO 4",
           "HELLO 2 SETNAME x", "RESET", "AUTH wrong", ("AUTH", ""), "AUTH default wrong", "AUTH other wrong",
           "AUTH x y z", "GET a", "NOSUCH x", "GET", "ECHO x", "QUIT")


def test_auth_opens_the_door(locked):
    locked().same(("AUTH", PASSWORD), "PING", "SET a 1", ("AUTH", PASSWORD + "x"), "GET a", "AUTH other x", "PING")
    locked().same(("AUTH", "default", PASSWORD), "PING")
    locked().same(("AUTH", "Default", PASSWORD), ("AUTH", "other", PASSWORD), ("AUTH", PASSWORD.upper()), ("AUTH",
           PASSWORD[:-1]), "PING")


def test_hello_authenticates(locked):
    pair = locked()
    pair.same("HELLO 3 AUTH default wrong", "PING")
    for client in pair.both:
        assert hello_of(client.command("HELLO", 3, "AUTH", "default", PASSWORD, "SETNAME", "me"))[b"proto"] == 3
    pair.same("PING", "CLIENT GETNAME", "GET nothing")


def test_reset_takes_the_authentication_back(locked):
    locked().same(("AUTH", PASSWORD), "PING", "RESET", "PING", ("AUTH", PASSWORD), "PING")


def test_a_password_set_later_spares_those_who_are_connected(server):
    with Client(server.port) as early:
        assert early.command("CONFIG", "SET", "requirepass", PASSWORD) == b"OK"
        assert early.command("PING") == b"PONG"
        with Client(server.port) as late:
            assert late.command("PING") == ErrorReply("NOAUTH Authentication required.")
            assert late.command("AUTH", PASSWORD) == b"OK"
            assert late.command("CONFIG", "SET", "requirepass", "") == b"OK"
        with Client(server.port) as later:
            assert later.command("PING") == b"PONG"


def test_failed_authentications_are_counted(server):
    with Client(server.port) as client:
        client.command("CONFIG", "SET", "requirepass", PASSWORD)
        before = int(client.info("stats")["acl_access_denied_auth"])
        for args in (("AUTH", "wrong"), ("AUTH", "nobody", PASSWORD), ("HELLO", 2, "AUTH", "default", "wrong")):
            assert client.command(*args).text.startswith("WRONGPASS")
        assert int(client.info("stats")["acl_access_denied_auth"]) == before + 3
