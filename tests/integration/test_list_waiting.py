"""Waiting for elements of lists, compared with redis-server: each test is a scene of a few clients, played on both.

A scene sends commands and reads replies in an order that leaves no choice to chance: whoever waits does so before the
next client speaks (INFO's blocked_clients tells).
"""
import time

import pytest

from harness.resp import Client
from harness.waiting import has_answered, until


class Stage:
    """Named clients of one server, and a transcript of what they were answered."""

    def __init__(self, port, protocol):
        self.port, self.protocol, self.clients, self.transcript = port, protocol, {}, []
        self.client("main").command("FLUSHALL")

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = Client(self.port, self.protocol)
        return self.clients[name]

    def waiting(self):
        info = self.client("main").command("INFO", "clients").decode()
        return int(info.split("blocked_clients:")[1].split()[0])

    def until_waiting(self, count):
        until(lambda: self.waiting() == count)

    def wait(self, name, command):
        """The client waits with that command."""
        before = self.waiting()
        self.client(name).send(*command.split())
        self.until_waiting(before + 1)

    def do(self, *commands, name="main"):
        for command in commands:
            self.transcript.append((name, command, self.client(name).command(*command.split())))

    def answer(self, *names):
        """What the clients that waited were answered."""
        for name in names:
            self.transcript.append((name, self.client(name).read().raw))

    def leave(self, name):
        self.clients.pop(name).close()

    def close(self):
        for client in self.clients.values():
            client.close()


@pytest.fixture
def play(module_server, module_oracle, protocol):
    def on_both(scene):
        transcripts = []
        for server in (module_server, module_oracle):
            stage = Stage(server.port, protocol)
            try:
                scene(stage)
                assert stage.waiting() == 0
            finally:
                stage.close()
            transcripts.append(stage.transcript)
        assert transcripts[0] == transcripts[1]
        return transcripts[0]
    return on_both


@pytest.mark.parametrize("command", ["BLPOP k 0", "BRPOP k 0", "BLPOP other k 0", "BLMOVE k d LEFT LEFT 0",
                                     "BLMOVE k d RIGHT RIGHT 0", "BRPOPLPUSH k d 0", "BLMPOP 0 1 k LEFT",
                                     "BLMPOP 0 2 other k RIGHT COUNT 2"])
@pytest.mark.parametrize("push", ["RPUSH k a b c", "LPUSH k a", "LMOVE source k LEFT LEFT", "RENAME source k",
                                  "COPY source k"])
def test_an_element_ends_the_wait(play, command, push):
    def scene(stage):
        stage.do("RPUSH source x y")
        stage.wait("a", command)
        stage.do(push)
        stage.answer("a")
        stage.do("LRANGE k 0 -1", "LRANGE d 0 -1", "EXISTS k")
    play(scene)


def test_first_come_first_served(play):
    def scene(stage):
        for name, command in (("a", "BLPOP k 0"), ("b", "BLMOVE k d LEFT LEFT 0"), ("c", "BRPOP k 0"),
                              ("d", "BLMPOP 0 1 k LEFT COUNT 5"), ("e", "BLPOP k 0")):
            stage.wait(name, command)
        stage.do("RPUSH k 1 2 3 4 5 6")
        stage.answer("a", "b", "c", "d")
        stage.do("EXISTS k", "RPUSH k last")
        stage.answer("e")
        stage.do("LRANGE d 0 -1")
    play(scene)


def test_several_keys_in_the_order_of_change(play):
    def scene(stage):
        stage.wait("a", "BLPOP one two three 0")
        stage.do("RPUSH three x")
        stage.answer("a")
        stage.wait("a", "BLPOP one two three 0")
        stage.do("MULTI", "RPUSH two 2", "RPUSH one 1", "EXEC")
        stage.answer("a")
        stage.do("LRANGE one 0 -1", "LRANGE two 0 -1")
    play(scene)


def test_what_is_gone_again_within_a_transaction_serves_nobody(play):
    def scene(stage):
        stage.wait("a", "BLPOP k 0")
        stage.do("MULTI", "RPUSH k 1", "DEL k", "EXEC", "MULTI", "RPUSH k 1", "DEL k", "SET k text", "EXEC", "DEL k")
        stage.do("RPUSH k 2")
        stage.answer("a")
        stage.do("EXISTS k")
    play(scene)


def test_moves_wake_those_who_wait_for_the_destination(play):
    def scene(stage):
        stage.wait("a", "BLMOVE one two LEFT LEFT 0")
        stage.wait("b", "BLMOVE two three LEFT LEFT 0")
        stage.wait("c", "BLPOP three 0")
        stage.do("RPUSH one x")
        stage.answer("a", "b", "c")
        stage.do("EXISTS one two three")
    play(scene)


def test_a_list_that_moves_to_itself(play):
    def scene(stage):
        stage.wait("a", "BLMOVE k k LEFT RIGHT 0")
        stage.do("RPUSH k 1 2 3")
        stage.answer("a")
        stage.do("LRANGE k 0 -1")
    play(scene)


def test_a_wrong_destination_ends_the_wait_with_an_error(play):
    def scene(stage):
        stage.do("SET d text")
        stage.wait("a", "BLMOVE k d LEFT LEFT 0")
        stage.do("RPUSH k 1 2")
        stage.answer("a")
        stage.do("LRANGE k 0 -1")
    play(scene)


def test_other_types_are_no_elements(play):
    def scene(stage):
        stage.wait("a", "BLPOP k other 0")
        stage.do("SET k text", "DEL k", "SADD k x", "RPUSH other 1")
        stage.answer("a")
    play(scene)


@pytest.mark.parametrize("command", ["BLPOP k 0.05", "BRPOP k j 0.05", "BLMOVE k d LEFT LEFT 0.05",
                                     "BRPOPLPUSH k d 0.05", "BLMPOP 0.05 1 k LEFT"])
def test_time_is_up(play, command):
    def scene(stage):
        stage.client("a").send(*command.split())
        stage.answer("a")
        stage.do("RPUSH k 1", "LRANGE k 0 -1")
        stage.do("PING", name="a")
    play(scene)


def test_unblocking(play):
    def scene(stage):
        for how in ("", " TIMEOUT", " ERROR"):
            number = stage.client("a").command("CLIENT", "ID")
            stage.wait("a", "BLMOVE k d LEFT LEFT 0")
            reply = stage.client("main").command(*f"CLIENT UNBLOCK {number}{how}".split())
            stage.transcript.append(reply)
            stage.answer("a")
    play(scene)


def test_who_leaves_takes_nothing(play):
    def scene(stage):
        stage.wait("a", "BLPOP k 0")
        stage.wait("b", "BLPOP k 0")
        stage.leave("a")
        stage.until_waiting(1)
        stage.do("RPUSH k 1")
        stage.answer("b")
        stage.do("EXISTS k")
    play(scene)


def test_commands_behind_a_wait_follow_it(play):
    def scene(stage):
        client = stage.client("a")
        client.send("BLPOP", "k", "0")
        client.send("RPUSH", "done", "1")
        client.send("LLEN", "done")
        stage.until_waiting(1)
        stage.do("EXISTS done", "RPUSH k 1")
        stage.answer("a", "a", "a")
    play(scene)


def test_large_elements_arrive_whole(play):
    def scene(stage):
        stage.wait("a", "BLMOVE k d LEFT LEFT 0")
        stage.wait("b", "BLPOP d 0")
        stage.client("main").command("RPUSH", "k", b"x" * 300_000)
        stage.answer("a", "b")
    play(scene)


@pytest.mark.parametrize("command", ["BLPOP k 0", "BLMOVE k d LEFT LEFT 0", "BLMPOP 0 1 k LEFT", "BRPOP other k 0"])
@pytest.mark.parametrize("leaves_first", [True, False])
def test_nothing_is_given_to_a_client_that_has_left(start_server, protocol, command, leaves_first):
    """One that waits leaves while the server sleeps, and somebody pushes: the server hears of both in the same turn."""
    server = start_server("--enable-debug-command", "yes")
    stage = Stage(server.port, protocol)
    for name in ("sleeper", "pusher"):
        stage.client(name)
    rounds = 0
    while rounds < 3:
        stage.wait("gone", command)
        stage.wait("next", "BLPOP k 0")
        stage.client("sleeper").send("DEBUG", "SLEEP", "0.2")
        time.sleep(0.02)
        if leaves_first:
            stage.leave("gone")
        stage.client("pusher").send("RPUSH", "k", "first")
        if not leaves_first:
            stage.leave("gone")
        if has_answered(stage.client("sleeper")):  # it woke up too early: again, from the beginning
            for name in list(stage.clients):
                stage.leave(name)
            stage.client("main").command("FLUSHALL")
            stage.until_waiting(0)
            for name in ("sleeper", "pusher"):
                stage.client(name)
            continue
        rounds += 1
        assert stage.client("next").read().value == [b"k", b"first"]
        for name in ("sleeper", "pusher"):
            stage.client(name).read()
        assert stage.client("main").command("DBSIZE") == 0
        stage.until_waiting(0)
    stage.close()
