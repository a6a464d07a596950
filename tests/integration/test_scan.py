"""SCAN's promise, over the wire: a key that stays from beginning to end is returned, whatever else happens meanwhile.

Ten times as many keys come and go while iterations run: the table grows, shrinks and churns between any two calls.
What never existed must never be returned, and every iteration must end.
"""
import random
import time

import pytest

from harness.resp import Client

PROTOCOLS = (2,)


class Population:
    """Stable keys s:<i>, and volatile ones v:<i> whose range [first, last) moves as keys are added and removed."""

    def __init__(self, client, stable):
        self.client = client
        self.stable = {b"s:%d" % i for i in range(stable)}
        self.first = self.last = 0
        client.load(("SET", key, "") for key in self.stable)

    def add(self, count, *expiry):
        self.client.load((("SET", b"v:%d" % i, "", *expiry) for i in range(self.last, self.last + count)), batch=5000)
        self.last += count

    def remove(self, count):
        count = min(count, self.last - self.first)
        for at in range(self.first, self.first + count, 500):
            upto = min(at + 500, self.first + count)
            self.client.send("DEL", *(b"v:%d" % i for i in range(at, upto)))
        for _ in range(self.first, self.first + count, 500):
            self.client.read()
        self.first += count

    def has_been(self, key):
        return key in self.stable or (key[:2] == b"v:" and int(key[2:]) < self.last)


def scan(population, between, page_size, *options, most_calls=20_000):
    """One whole iteration with `between` run after every call; return how often each key was returned."""
    seen, cursor, calls = {}, b"0", 0
    while True:
        cursor, page = population.client.command("SCAN", cursor, "COUNT", page_size, *options)
        for key in page:
            seen[key] = seen.get(key, 0) + 1
        calls += 1
        assert calls < most_calls, "the iteration does not end"
        if cursor == b"0":
            return seen, calls
        between(calls)


def check(population, seen):
    missing = population.stable - seen.keys()
    assert not missing, f"{len(missing)} keys were there throughout but not returned, such as {sorted(missing)[:5]}"
    unknown = [key for key in seen if not population.has_been(key)]
    assert not unknown, f"returned but never set: {unknown[:5]}"


@pytest.fixture
def population(client, scale):
    return Population(client, scale(100_000))


def test_at_rest(population):
    seen, _ = scan(population, lambda _: None, 1000)
    assert seen.keys() == population.stable
    assert max(seen.values()) == 1


@pytest.mark.parametrize("count", [1, 10, 10**9])
def test_count_is_a_hint(population, count, client):
    cursor, page = client.command("SCAN", 0, "COUNT", count)
    assert set(page) <= population.stable
    assert (cursor == b"0") == (len(page) == len(population.stable))


def test_match_and_type(population):
    seen, _ = scan(population, lambda _: None, 1000, "MATCH", "s:77*", "TYPE", "string")
    assert seen.keys() == {key for key in population.stable if key.startswith(b"s:77")}


def test_growth_tenfold(population, scale):
    """Ten times as many keys at the end of the iteration as at its beginning."""
    room = scale(900_000)
    seen, _ = scan(population, lambda _: population.add(min(70_000, room - population.last)), 3500)
    population.add(room - population.last)
    check(population, seen)


def test_shrinking_to_a_tenth(population, scale):
    population.add(scale(900_000))
    seen, _ = scan(population, lambda _: population.remove(35_000), 3500)
    population.remove(1 << 30)
    check(population, seen)
    seen, _ = scan(population, lambda _: None, 1000)
    assert seen.keys() == population.stable


def test_growth_and_shrinking_in_turns(population, scale):
    wave = scale(150_000)

    def between(calls):
        population.add(wave) if calls % 10 == 1 else population.remove(wave // 6)

    for page_size in (3301, 35_000):
        seen, _ = scan(population, between, page_size)
        check(population, seen)


def test_churn_with_expiry(population, seed):
    """Inserts, deletions and keys that expire between the calls."""
    rng = random.Random(seed)
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")

    def between(_):
        population.add(rng.randrange(1700), "PX", rng.choice((1, 5, 1000)))
        population.add(rng.randrange(1700))
        population.remove(rng.randrange(3000))

    for _ in range(2):
        seen, _ = scan(population, between, 1700)
        check(population, seen)


def test_an_expired_key_is_never_returned(client, scale):
    client.load(("SET", f"dead:{i}", "", "PX", 20) for i in range(scale(20_000)))
    client.load(("SET", f"alive:{i}", "") for i in range(1000))
    time.sleep(0.05)
    cursor = b"0"
    while True:
        cursor, page = client.command("SCAN", cursor, "COUNT", 1000)
        assert not [key for key in page if key.startswith(b"dead:")]
        if cursor == b"0":
            return


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_expired_keys_that_scan_meets_are_removed(client):
    assert client.command("DEBUG", "EXPIRE-WALK", 0) == b"OK"
    client.load(("SET", f"dead:{i}", "", "PX", 5) for i in range(20))
    client.load(("SET", f"alive:{i}", "") for i in range(500))
    client.command("HSET", "dead hash", "f", "v")
    client.command("PEXPIRE", "dead hash", 5)
    time.sleep(0.03)
    assert client.command("DBSIZE") == 521
    assert len(client.command("KEYS", "*")) == 500 and client.command("DBSIZE") == 521
    cursor = b"0"
    while True:
        cursor, _ = client.command("SCAN", cursor, "TYPE", "set")
        if cursor == b"0":
            break
    assert client.command("DBSIZE") == 500 and int(client.info("stats")["expired_keys"]) >= 21
    client.command("DEBUG", "EXPIRE-WALK", 1)


def test_cursors_of_nobody(client):
    """A cursor that no call has given out is harmless."""
    client.load(("SET", f"k{i}", "") for i in range(1000))
    for cursor in (1, 12345, 2**32, 2**48 - 1, 2**63, 2**64 - 1):
        reply = client.command("SCAN", cursor)
        assert isinstance(reply, list) and reply[0].isdigit()


def test_many_iterations_at_once(population, server):
    """Iterations hold no state in the server, so any number may be under way."""
    clients = [Client(server.port) for _ in range(20)]
    try:
        cursors, seen = [b"0"] * len(clients), [set() for _ in clients]
        open_ones = set(range(len(clients)))
        while open_ones:
            for i in list(open_ones):
                cursors[i], page = clients[i].command("SCAN", cursors[i], "COUNT", 7000 + 1500 * i)
                seen[i].update(page)
                if cursors[i] == b"0":
                    open_ones.discard(i)
        assert all(keys == population.stable for keys in seen)
    finally:
        for c in clients:
            c.close()
