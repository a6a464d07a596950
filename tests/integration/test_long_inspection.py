"""What tells about the server, its commands, users and streams, asked for very many things at once.

It is answered in slices, between which others are served; what it answers is what many small requests do.
"""
import pytest

from harness.resp import Client, ErrorReply
from harness.waiting import steps_of

PROTOCOLS = (2,)
SERVER_OPTIONS = ("--enable-debug-command", "yes")
MANY = 6000


@pytest.fixture(params=[2, 3])
def clients(module_server, request):
    with Client(module_server.port, protocol=request.param) as client, Client(module_server.port) as other:
        other.command("FLUSHALL")
        yield client, other


def in_steps(clients, *command, steps=1):
    client, other = clients
    assert steps_of(client, other, *command) >= steps
    return client.read().value


NAMES = ["get", "no", "config|get", "no|get", "", "|", "config|", "XINFO", "json.set", "config|no", "Set"]


@pytest.mark.parametrize("subcommand", ["INFO", "DOCS"])
def test_commands_are_described(clients, subcommand):
    names = NAMES * (MANY // len(NAMES))
    answer = in_steps(clients, "COMMAND", subcommand, *names)
    single = {name: clients[0].command("COMMAND", subcommand, name) for name in NAMES}
    if isinstance(answer, dict):
        assert answer == {key: value for name in NAMES for key, value in single[name].items()}
    else:
        assert answer == [part for name in names for part in single[name]]


def test_keys_of_a_command_are_found(clients):
    keys = [b"k%d" % i for i in range(20 * MANY)]
    assert in_steps(clients, "COMMAND", "GETKEYS", "DEL", *keys) == keys
    words = [word for key in keys for word in (key, b"v")]
    flags = clients[0].command("COMMAND", "GETKEYSANDFLAGS", "MSET", "k", "v")[0][1]
    assert in_steps(clients, "COMMAND", "GETKEYSANDFLAGS", "MSET", *words) == [[key, flags] for key in keys]
    assert clients[0].command("COMMAND", "GETKEYS", "PING", *keys) == ErrorReply("ERR The command has no key arguments")


def test_directives_are_shown(clients):
    patterns = ["maxmemory", "no", "*slow*", "MAXCLIENTS", "maxm*", ""]
    expected = clients[0].command("CONFIG", "GET", *patterns)
    assert len(expected) > 6
    assert in_steps(clients, "CONFIG", "GET", *patterns * (MANY // len(patterns))) == expected


def test_sections_of_info_are_named(clients):
    info = in_steps(clients, "INFO", *["nothing"] * 10 * MANY, "modules")
    assert info == clients[0].command("INFO", "modules")


def test_latencies_of_commands_are_told(clients):
    names = ["flushall", "no", "config"]
    answer = in_steps(clients, "LATENCY", "HISTOGRAM", *names * MANY)
    if isinstance(answer, dict):
        assert answer.keys() >= {b"flushall"} and b"no" not in answer
    else:
        assert answer.count(b"flushall") == MANY and b"no" not in answer[::2]


def make_groups(client, key, count):
    client.load((("XGROUP", "CREATE", key, b"g%d" % i, 0, "MKSTREAM") for i in range(count)))


def make_consumers(client, key, count):
    client.command("XGROUP", "CREATE", key, "g", 0, "MKSTREAM")
    client.load((("XGROUP", "CREATECONSUMER", key, "g", b"c%d" % i) for i in range(count)))


@pytest.mark.parametrize("make, question", [(make_groups, ("GROUPS",)), (make_consumers, ("CONSUMERS", "g")),
                                            (make_groups, ("STREAM", "FULL"))],
                         ids=["groups", "consumers", "full"])
def test_groups_and_consumers_are_shown(clients, module_oracle, make, question):
    """Each as in redis-server, but for what that does not know yet, and for times."""
    known = {b"name", b"consumers", b"pending", b"last-delivered-id", b"entries-read", b"lag", b"pel-count"}
    found = []
    for port, process in ((clients[1].port, None), (module_oracle.port, module_oracle)):
        with Client(port, protocol=3) as client:
            client.command("DEL", "X")
            make(client, "X", 2500)
            words = ("XINFO", question[0], "X", *question[1:])
            answer = client.command(*words) if process else in_steps((client, clients[1]), *words, steps=1)
            items = answer[b"groups"] if question[0] == "STREAM" else answer
            found.append(sorted((repr({key: item[key] for key in item if key in known}) for item in items)))
    assert len(found[0]) == 2500 and found[0] == found[1]


def test_set_algebra_with_very_many_equal_inputs(clients):
    """Each member is looked for in each of them."""
    members = [b"m%d" % i for i in range(64)]
    clients[1].command("SADD", "S", *members)
    clients[1].command("ZADD", "Z", *(word for member in members for word in (1, member)))
    count = 20_000
    steps = {}
    for command in (("SINTER", *["S"] * count), ("SINTERCARD", count, *["S"] * count),
                    ("ZINTER", count, *["Z"] * count), ("ZDIFF", count, "Z", *["none"] * (count - 1))):
        answer = in_steps(clients, *command, steps=2)
        steps[command[0]] = answer if isinstance(answer, int) else sorted(answer)
    assert steps["SINTERCARD"] == len(members)
    assert set(steps["SINTER"]) == set(members) and steps["ZINTER"] == steps["ZDIFF"] == sorted(members)
