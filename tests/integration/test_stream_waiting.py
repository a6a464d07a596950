"""Waiting for entries of streams, compared with redis-server where versions agree: a test is a scene of a few clients.

What happens to readers in a group when their key or group goes away is as in version 7.2 and later: the command is
executed again, and answers what it would answer then.
"""
import threading

import pytest

from harness.resp import Client, ErrorReply
from harness.waiting import has_answered, until, until_blocked
from test_list_waiting import Stage, play  # noqa: F401


def test_an_entry_ends_the_wait(play):  # noqa: F811
    def scene(stage):
        stage.do("XADD s 1-1 a b")
        for name, ids in (("a", "$"), ("b", "1-1"), ("c", "5-5"), ("d", "$")):
            stage.wait(name, f"XREAD BLOCK 0 STREAMS s {ids}")
        stage.do("XADD s 2-1 a c")
        stage.answer("a", "b", "d")
        stage.do("XADD s 6-1 a d")
        stage.answer("c")
    play(scene)


def test_several_streams(play):  # noqa: F811
    def scene(stage):
        stage.do("XADD one 1-1 a b", "XADD two 1-1 a b")
        stage.wait("a", "XREAD COUNT 5 BLOCK 0 STREAMS one two three $ $ 0")
        stage.do("XADD two 2-1 a c")
        stage.answer("a")
        stage.wait("a", "XREAD BLOCK 0 STREAMS one two three $ $ 0")
        stage.do("XADD three 1-1 a c")
        stage.answer("a")
        stage.wait("a", "XREAD BLOCK 0 STREAMS one two three $ $ $")
        stage.do("MULTI", "XADD one 2-1 x y", "XADD one 3-1 x z", "EXEC")
        stage.answer("a")
    play(scene)


def test_time_is_up(play):  # noqa: F811
    def scene(stage):
        stage.do("XREAD BLOCK 1 STREAMS nothing $", "XREAD BLOCK 1 STREAMS nothing 0", "XGROUP CREATE s g $ MKSTREAM",
                 "XREADGROUP GROUP g c BLOCK 1 STREAMS s >", "XREADGROUP GROUP g c BLOCK 0 STREAMS s 0",
                 "MULTI", "XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "EXEC")
    play(scene)


def test_first_come_first_served_in_a_group(play):  # noqa: F811
    def scene(stage):
        stage.do("XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s h $")
        for name, group in (("a", "g"), ("b", "g"), ("c", "h"), ("d", "g")):
            stage.wait(name, f"XREADGROUP GROUP {group} {name} COUNT 1 BLOCK 0 STREAMS s >")
        stage.do("XADD s 1-1 n 1")
        stage.answer("a", "c")
        stage.do("MULTI", "XADD s 2-1 n 2", "XADD s 3-1 n 3", "EXEC")
        stage.answer("b", "d")
        stage.do("XPENDING s g", "XPENDING s h")
    play(scene)


def test_alone_and_in_a_group(play):  # noqa: F811
    def scene(stage):
        stage.do("XGROUP CREATE s g $ MKSTREAM")
        stage.wait("a", "XREAD BLOCK 0 STREAMS s $")
        stage.wait("b", "XREADGROUP GROUP g b NOACK BLOCK 0 STREAMS s >")
        stage.wait("c", "XREAD BLOCK 0 STREAMS s 0")
        stage.do("XADD s 1-1 n 1")
        stage.answer("a", "b", "c")
        stage.do("XPENDING s g")
    play(scene)


def test_what_is_gone_again_wakes_nobody(play):  # noqa: F811
    def scene(stage):
        stage.do("XADD s 1-1 a b")
        stage.wait("a", "XREAD BLOCK 0 STREAMS s $")
        stage.do("MULTI", "XADD s 2-1 a c", "DEL s", "EXEC", "MULTI", "XADD s 1-2 x y", "DEL s", "SET s text", "EXEC",
                 "DEL s", "RPUSH s x", "DEL s", "XADD s 1-1 old x", "XADD s 3-1 new x")
        stage.answer("a")
    play(scene)


@pytest.mark.parametrize("change", ["RENAME source s", "COPY source s", "SORT nothing STORE s"])
def test_another_stream_in_its_place(play, change):  # noqa: F811
    def scene(stage):
        stage.do("XADD source 5-1 a b")
        stage.wait("a", "XREAD BLOCK 0 STREAMS s 0")
        stage.do(change)
        if "SORT" in change:
            stage.do("XADD s 1-1 a b")
        stage.answer("a")
    play(scene)


def test_unblocked_by_others(play):  # noqa: F811
    def scene(stage):
        stage.do("XGROUP CREATE s g $ MKSTREAM")
        for reason in ("TIMEOUT", "ERROR"):
            for command in ("XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"):
                number = stage.client("a").command("CLIENT", "ID")
                stage.wait("a", command)
                assert stage.client("main").command("CLIENT", "UNBLOCK", number, reason) == 1
                stage.answer("a")
    play(scene)


@pytest.fixture
def clients(server, protocol):
    with Client(server.port, protocol) as main, Client(server.port, protocol) as reader:
        main.command("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        yield main, reader


def wait(main, reader, *command):
    reader.send(*command)
    until_blocked(main)


@pytest.mark.parametrize("commands, answer", [
    (["DEL s"], "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"),
    (["UNLINK s"], "NOGROUP"), (["FLUSHALL"], "NOGROUP"), (["SWAPDB 0 1"], "NOGROUP"), (["RENAME s t"], "NOGROUP"),
    (["PEXPIRE s 10"], "NOGROUP"), (["XGROUP DESTROY s g"], "NOGROUP"), (["SET s x"], "WRONGTYPE"),
    (["MULTI", "DEL s", "RPUSH s x", "EXEC"], "WRONGTYPE"), (["MULTI", "DEL s", "XADD s 1-1 a b", "EXEC"], "NOGROUP")])
def test_a_group_that_goes_away(clients, commands, answer):
    main, reader = clients
    wait(main, reader, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    for command in commands:
        main.command(*command.split())
    value = reader.read().value
    assert isinstance(value, ErrorReply) and value.text.startswith(answer)
    assert reader.command("PING") == b"PONG"


def test_a_group_that_is_made_anew(clients):
    main, reader = clients
    wait(main, reader, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    for command in ("MULTI", "DEL s", "XADD s 1-1 a b", "XGROUP CREATE s g 0", "EXEC"):
        main.command(*command.split())
    value = reader.read().value
    assert (value.get(b"s") if isinstance(value, dict) else value[0][1]) == [[b"1-1", [b"a", b"b"]]]


def test_a_consumer_is_there_while_it_waits(clients):
    main, reader = clients
    wait(main, reader, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    [consumer] = main.command("XINFO", "CONSUMERS", "s", "g")
    facts = consumer if isinstance(consumer, dict) else dict(zip(consumer[::2], consumer[1::2]))
    assert facts[b"name"] == b"c" and facts[b"inactive"] == -1 and facts[b"pending"] == 0
    main.command("XADD", "s", "1-1", "a", "b")
    reader.read()
    facts = main.command("XINFO", "CONSUMERS", "s", "g")[0]
    facts = facts if isinstance(facts, dict) else dict(zip(facts[::2], facts[1::2]))
    assert facts[b"inactive"] >= 0 and facts[b"pending"] == 1


def entries(value, key):
    return value[key] if isinstance(value, dict) else dict(value)[key]


def test_the_last_entry(clients):
    """"+", of version 7.4."""
    main, reader = clients
    assert main.command("XREAD", "STREAMS", "s", "+") is None
    wait(main, reader, "XREAD", "COUNT", 1, "BLOCK", 0, "STREAMS", "s", "+")
    main.command("XADD", "s", "1-1", "a", "b")
    assert entries(reader.read().value, b"s") == [[b"1-1", [b"a", b"b"]]]
    main.load(("XADD", "s", f"{i}-1", "n", i) for i in range(2, 5))
    main.command("XDEL", "s", "4-1")
    for count in ([], ["COUNT", 10]):
        assert entries(main.command("XREAD", *count, "BLOCK", 0, "STREAMS", "s", "+"), b"s") == [[b"3-1", [b"n", b"3"]]]
    assert "meaningless" in main.command("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", "+").text


def test_a_thousand_readers(server, scale):
    """All get the same bytes, the writer his answer before them; some speak RESP3, some want fewer entries."""
    count = scale(1000)
    readers = [Client(server.port, 3 if i % 3 == 0 else 2) for i in range(count)]
    try:
        with Client(server.port) as main:
            for turn in range(3):
                for i, reader in enumerate(readers):
                    reader.send("XREAD", *(["COUNT", 1] if i % 5 == 0 else []), "BLOCK", 0, "STREAMS", "s", "$")
                until_blocked(main, count)
                ids = [f"{turn}-{n}".encode() for n in (1, 2)]
                for command in (["MULTI"], ["XADD", "s", ids[0], "token", turn], ["XADD", "s", ids[1], "token", "x"],
                                ["EXEC"]):
                    main.command(*command)
                for i, reader in enumerate(readers):
                    got = entries(reader.read().value, b"s")
                    assert [id for id, _ in got] == ids[:1 if i % 5 == 0 else 2]
    finally:
        for reader in readers:
            reader.close()


def test_readers_come_and_go(server, scale):
    """Nothing is lost or doubled for readers that time out, leave and come back while entries are added."""
    total, failures = scale(1500), []

    def follow(number):
        try:
            last, seen = "0", []
            while len(seen) < total:
                with Client(server.port, 2 + number % 2) as client:
                    for _ in range(1 + number * 7):
                        value = client.command("XREAD", "COUNT", 1 + number, "BLOCK", 1 + number % 3, "STREAMS", "s",
                                               last)
                        for id, (_, n) in entries(value, b"s") if value else []:
                            seen.append(int(n))
                            last = id
            assert seen == list(range(total))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    with Client(server.port) as main:
        for n in range(total):
            main.command("XADD", "s", "*", "n", n)
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


@pytest.mark.parametrize("command, pushes, answer", [
    (("BLPOP", "k", "SECONDS"), [("RPUSH", "k", "x")], [b"k", b"x"]),
    (("XREAD", "BLOCK", "MS", "STREAMS", "k", "5-5"), [("XADD", "k", "1-1", "a", "b"), ("XADD", "k", "6-6", "c", "d")],
     [[b"k", [[b"6-6", [b"c", b"d"]]]]]),
], ids=["BLPOP", "XREAD"])
def test_the_longest_timeout(ports, command, pushes, answer):
    """That is not too long may be so when the command is executed again."""
    def now_ms():
        seconds, micros = map(int, other.command("TIME"))
        return seconds * 1000 + micros // 1000

    with Client(ports[0]) as waiter, Client(ports[0]) as other:
        other.command("DEL", "k")
        for margin_ms in (100, 1000, 10_000):
            last_ms = now_ms() + margin_ms
            longest_ms = 2**63 - 1 - last_ms
            longest = {"SECONDS": f"{longest_ms // 1000}.{longest_ms % 1000:03}", "MS": longest_ms}
            waiter.send(*(longest.get(word, word) for word in command))
            until(lambda: has_answered(waiter) or other.info("clients")["blocked_clients"] == "1")
            if not has_answered(waiter):
                break
            assert "timeout is out of range" in waiter.read().value.text
        until(lambda: now_ms() > last_ms)
        for push in pushes:
            other.command(*push)
        assert waiter.read().value == answer
