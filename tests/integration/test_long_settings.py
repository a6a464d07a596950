"""What takes long only because the settings let it: huge intsets, large sparse sketches.

It is done in slices all the same; replies, contents, encodings and what others are told are the oracle's.
"""
import pytest

from harness.resp import Client
from harness.waiting import steps_of

PROTOCOLS = (2,)
SERVER_OPTIONS = ("--enable-debug-command", "yes")


@pytest.fixture
def processes(module_server, module_oracle):
    for process in (module_server, module_oracle):
        with Client(process.port) as client:
            client.command("FLUSHALL")
    return module_server, module_oracle


def test_sketches_are_merged_in_steps_and_what_is_missing_is_missed_once(processes):
    """Large sparse ones. That there is much to do is found out without a look-up that anybody is told of."""
    told, server = [], processes[0]
    for process in processes:
        with Client(process.port) as client, Client(process.port) as listener:
            client.command("CONFIG", "SET", "hll-sparse-max-bytes", 15_000)
            client.command("CONFIG", "SET", "notify-keyspace-events", "EAm")
            for key in ("a", "b"):
                client.load([("PFADD", key, *(b"%s%d" % (key.encode(), i) for i in range(at, at + 250)))
                             for at in range(0, 4000, 250)])
            client.command("CONFIG", "RESETSTAT")
            listener.command("PSUBSCRIBE", "__key*__:*")
            if process is server:
                with Client(process.port) as other:
                    assert steps_of(client, other, "PFMERGE", "d", "a", "missing", "b") >= 2
                    assert client.read().value == b"OK"
            else:
                assert client.command("PFMERGE", "d", "a", "missing", "b") == b"OK"
            client.command("PUBLISH", "__key__:end", "")
            events = []
            while (push := listener.read().value)[2] != b"__key__:end":
                events.append(push[2:])
            stats = client.info("stats")
            told.append((events, stats["keyspace_misses"], stats["keyspace_hits"], client.command("GET", "d"),
                         client.command("PFCOUNT", "d")))
    assert told[0] == told[1]


INTSET = 20_000


@pytest.mark.parametrize("command", [("SADD", "N", "word"), ("SADD", "N", INTSET, INTSET + 1), ("SREM", "N", 5, "x"),
                                     ("SMOVE", "M", "N", "word"), ("SMOVE", "N", "M", 7), ("SPOP", "N", 15_000),
                                     ("SADD", "N", *range(INTSET - 500, INTSET + 1600)),
                                     ("SREM", "N", *range(2100))], ids=lambda command: "-".join(map(str, command[:4])))
def test_changes_of_a_huge_intset(processes, command):
    """Where the settings let there be one. Each change may move all of it, or make a table of it."""
    outcomes, server = [], processes[0]
    for process in processes:
        with Client(process.port) as client, Client(process.port) as other:
            client.command("CONFIG", "SET", "set-max-intset-entries", INTSET + 1)
            client.load([("SADD", "N", *range(at, at + 500)) for at in range(0, INTSET, 500)])
            client.command("SADD", "M", "word", "more")
            if process is server:
                moves_once = command in (("SREM", "N", 5, "x"), ("SMOVE", "N", "M", 7))
                assert steps_of(client, other, *command) >= (1 if moves_once else 2)
                outcomes.append([client.read().value])
            else:
                outcomes.append([client.command(*command)])
            if command[0] == "SPOP":
                outcomes[-1] = [sorted(outcomes[-1][0] + client.command("SMEMBERS", "N"))]
                assert len(set(outcomes[-1][0])) == INTSET
            else:
                outcomes[-1] += [sorted(client.command("SMEMBERS", "N")), sorted(client.command("SMEMBERS", "M"))]
            outcomes[-1] += [client.command("OBJECT", "ENCODING", "N"), client.command("SCARD", "N")]
            if process is server:
                assert client.command("DEBUG", "CHECK") == b"OK"
    assert outcomes[0] == outcomes[1]


def test_a_few_of_a_huge_intset_are_drawn(processes):
    with Client(processes[0].port) as client:
        client.command("CONFIG", "SET", "set-max-intset-entries", INTSET)
        client.load([("SADD", "N", *range(at, at + 500)) for at in range(0, INTSET, 500)])
        drawn = client.command("SRANDMEMBER", "N", INTSET // 8)
        assert len(set(drawn)) == INTSET // 8 and all(0 <= int(member) < INTSET for member in drawn)
        assert client.command("OBJECT", "ENCODING", "N") == b"intset"
