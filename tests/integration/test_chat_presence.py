"""A chat's presence and profiles: who is online is a key that expires, and others hear of it by keyspace notifications;
what a profile says is kept in a cache of the application's own, which tracking keeps fresh.

Presence: whoever is heard to come is heard to leave, once, whether he says so or is not heard of any more. Profiles:
what a reader takes out of his cache is never older than a change whose invalidation he must have read.
"""
import random
import threading
import time

import pytest

from harness.resp import Client
from harness.waiting import until

EVENTS = "__keyspace@0__:presence:"
USERS = 20


class Presence:
    """What one application server knows of who is online: nothing but what it hears."""

    def __init__(self, port, protocol):
        self.client = Client(port, protocol)
        self.client.send("PSUBSCRIBE", EVENTS + "*")
        self.client.read()
        self.online, self.left = set(), {}
        self.hear = threading.Thread(target=self.run)
        self.hear.start()

    def run(self):
        while True:
            kind, *_, channel, event = self.client.read().value
            if event == b"stop":
                return
            assert kind == b"pmessage"
            user = channel.decode().removeprefix(EVENTS)
            if event == b"set":
                self.online.add(user)
            elif event in (b"del", b"expired"):
                self.online.remove(user)  # nobody leaves who was not there, nor twice
                self.left.setdefault(user, []).append(event.decode())
            else:
                assert event == b"expire", event


def test_presence_by_expiry(server, protocol, seed):
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")
    rng = random.Random(seed)
    with Client(server.port) as users:
        users.command("CONFIG", "SET", "notify-keyspace-events", "K$gx")
        presence = Presence(server.port, protocol)
        vanished = set()
        for step in range(400):
            user = f"u{rng.randrange(USERS)}"
            what = rng.random()
            if what < 0.5:  # he comes, or is heard of again
                users.command("SET", f"presence:{user}", "web", "PX", rng.choice([5, 20, 60_000]))
            elif what < 0.7:
                users.command("PEXPIRE", f"presence:{user}", rng.choice([5, 20, 60_000]))
            elif what < 0.9:
                users.command("DEL", f"presence:{user}")
            else:
                time.sleep(0.003)
        for number in range(USERS):
            key, user = f"presence:u{number}", f"u{number}"
            if number % 2:
                users.command("SET", key, "web", "PX", 1)
                vanished.add(user)
            elif number % 4:
                users.command("SET", key, "web")
            else:
                users.command("DEL", key)
        stays = {f"u{number}" for number in range(2, USERS, 4)}
        until(lambda: presence.online == stays)
        users.command("PUBLISH", EVENTS + "x", "stop")
        presence.hear.join(60)
        assert not presence.hear.is_alive()
        assert {key.decode().removeprefix("presence:") for key in users.command("KEYS", "presence:*")} == stays
        assert all(presence.left[user][-1] == "expired" for user in vanished)
        assert any("del" in ways for ways in presence.left.values())
        presence.client.close()


class PushedCache:
    """A reader whose invalidations come as pushes on his own connection."""

    def __init__(self, port, *options):
        self.client, self.kept = Client(port, 3), {}
        assert self.client.command("CLIENT", "TRACKING", "ON", *options) == b"OK"

    def ask(self, *command):
        self.client.send(*command)
        while (reply := self.client.read()).raw[:1] == b">":
            forget(self.kept, reply.value[1])
        return reply.value

    def catch_up(self):
        self.ask("PING")

    def get(self, key):
        if key not in self.kept:
            self.kept[key] = self.ask("GET", key)
        return self.kept[key]

    def close(self):
        self.client.close()


class RedirectedCache:
    """A reader in RESP2 whose invalidations come to another connection of his."""

    def __init__(self, port, *options):
        self.client, self.listener, self.kept = Client(port), Client(port), {}
        number = self.listener.command("CLIENT", "ID")
        self.listener.command("SUBSCRIBE", "__redis__:invalidate")
        assert self.client.command("CLIENT", "TRACKING", "ON", "REDIRECT", number, *options) == b"OK"

    def catch_up(self):
        self.listener.send("PING", "caught-up")
        while (reply := self.listener.read().value)[0] != b"pong":
            forget(self.kept, reply[2])

    def get(self, key):
        if key not in self.kept:
            value = self.client.command("GET", key)
            self.kept[key] = value
            self.catch_up()  # it may have changed before it was kept
            return value
        return self.kept[key]

    def close(self):
        self.client.close(), self.listener.close()


def forget(kept, keys):
    for key in list(kept) if keys is None else keys:
        kept.pop(key, None)


class Writer(threading.Thread):
    """Changes profiles; `begun` and `done` say up to which version, and whether that one may have expired."""

    def __init__(self, port, rng):
        super().__init__()
        self.port, self.rng, self.failure = port, rng, None
        self.begun, self.done = {}, {}
        self.stop = False

    def run(self):
        with Client(self.port) as client:
            version = 0
            while not self.stop:
                version += 1
                key = b"profile:%d" % self.rng.randrange(10)
                mortal = self.rng.random() < 0.3
                self.begun[key] = version
                way = self.rng.random()
                if way < 0.7:
                    client.command("SET", key, version, *(["PX", self.rng.randrange(1, 5)] if mortal else []))
                elif way < 0.9:
                    client.command("DEL", key)
                    mortal = True
                else:
                    for command in (["MULTI"], ["SET", key, version], ["PUBLISH", "changed", key], ["EXEC"]):
                        client.command(*command)
                    mortal = False
                self.done[key] = version, mortal


@pytest.mark.parametrize("options", [(), ("NOLOOP",), ("BCAST", "PREFIX", "profile:")], ids=["read", "noloop", "bcast"])
def test_profiles_in_caches_of_their_own(server, seed, options):
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")
    rng = random.Random(seed)
    writer = Writer(server.port, random.Random(seed + 1))
    readers = [PushedCache(server.port, *options), RedirectedCache(server.port, *options)]
    writer.start()
    try:
        for step in range(300):
            reader, key = rng.choice(readers), b"profile:%d" % rng.randrange(10)
            least, mortal = writer.done.get(key, (0, True))
            reader.catch_up()  # so every invalidation of what is done has come
            value = reader.get(key)
            if value is None:
                assert mortal or writer.begun[key] > least, f"step {step}: {key} is lost"
            else:
                assert int(value) >= least, f"step {step}: {key} is stale"
    finally:
        writer.stop = True
        writer.join(60)
    with Client(server.port) as client:
        client.command("SET", "profile:0", "last")
        for reader in readers:
            reader.catch_up()
            assert reader.get(b"profile:0") == b"last"
            for number in range(10):
                reader.get(b"profile:%d" % number)
        until(lambda: ",expires=0," in client.info("keyspace").get("db0", ",expires=0,"))
        for reader in readers:
            reader.catch_up()
            assert b"profile:0" in reader.kept
            for key, value in reader.kept.items():
                assert client.command("GET", key) == value
            reader.close()
