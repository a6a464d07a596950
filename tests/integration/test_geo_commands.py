"""Geo searches against a plain search over all places: near the poles, over the date line, of any size, in order."""
import math
import random

import pytest

RADIUS = 6372797.560856
EDGE = 1e-3  # metres: what lies so near the edge may be in or out


def distance(a, b):
    lon1, lat1, lon2, lat2 = map(math.radians, (*a, *b))
    part = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * RADIUS * math.asin(min(1, math.sqrt(part)))


@pytest.fixture
def rng(seed):
    print(f"LARDER_TEST_SEED={seed}")
    return random.Random(seed)


def some_place(rng):
    if rng.random() < 0.1:
        return rng.choice(((180, 0), (-180, 0), (180, 85.05112878), (0, 85.05112878), (0, -85.05112878),
                           (-180, -85.05)))
    if rng.random() < 0.3:
        return rng.uniform(-180, 180), rng.choice((-1, 1)) * rng.uniform(80, 85)
    if rng.random() < 0.3:
        return (rng.uniform(178, 182) + 180) % 360 - 180, rng.uniform(-85, 85)
    return rng.uniform(-180, 180), rng.uniform(-85, 85)


@pytest.fixture(params=["listpack", "skiplist"])
def places(client, rng, request):
    """What GEOPOS answers for each of many members."""
    client.command("CONFIG", "SET", "zset-max-listpack-entries", 10000 if request.param == "listpack" else 0)
    names = [b"p%d" % i for i in range(600)]
    for name in names:
        client.command("GEOADD", "g", *some_place(rng), name)
    found = client.command("GEOPOS", "g", *names)
    return {name: (float(x), float(y)) for name, (x, y) in zip(names, found)}


def check(found, measured, limit):
    """All that lies within, nothing that does not."""
    inside = {name for name, metres in measured.items() if metres <= limit - EDGE}
    outside = {name for name, metres in measured.items() if metres > limit + EDGE}
    assert inside <= set(found) and not outside & set(found)
    assert len(found) == len(set(found))


def test_circles(client, places, rng):
    for _ in range(150):
        centre, radius = some_place(rng), 10 ** rng.uniform(2, 7.4)
        found = client.command("GEOSEARCH", "g", "FROMLONLAT", *centre, "BYRADIUS", radius, "m", "ASC")
        measured = {name: distance(centre, place) for name, place in places.items()}
        check(found, measured, radius)
        lengths = [measured[name] for name in found]
        assert all(a <= b + EDGE for a, b in zip(lengths, lengths[1:]))
        nearest = client.command("GEOSEARCH", "g", "FROMLONLAT", *centre, "BYRADIUS", radius, "m", "COUNT", 3)
        assert nearest == found[:3]
        some = client.command("GEOSEARCH", "g", "FROMLONLAT", *centre, "BYRADIUS", radius, "m", "COUNT", 3, "ANY")
        assert len(some) == min(3, len(found)) and set(some) <= set(found)
        down = client.command("GEOSEARCH", "g", "FROMLONLAT", *centre, "BYRADIUS", radius, "m", "DESC")
        assert [measured[name] for name in down] == sorted(lengths, reverse=True)


def test_boxes(client, places, rng):
    for _ in range(150):
        centre, width, height = some_place(rng), 10 ** rng.uniform(2, 7.6), 10 ** rng.uniform(2, 7.4)
        found = client.command("GEOSEARCH", "g", "FROMLONLAT", *centre, "BYBOX", width / 1000, height / 1000, "km")
        measured = {}
        for name, (longitude, latitude) in places.items():
            across = distance((centre[0], latitude), (longitude, latitude)) - width / 2
            along = distance((0, centre[1]), (0, latitude)) - height / 2
            measured[name] = max(across, along)
        check(found, measured, 0)


@pytest.mark.parametrize("radius", ["inf", 1e30, 2.1e7])
def test_everything_is_somewhere(client, places, radius):
    assert len(client.command("GEORADIUS", "g", 10, 80, radius, "m")) == len(places)
    assert len(client.command("GEOSEARCH", "g", "FROMMEMBER", "p0", "BYBOX", radius, radius, "km")) == len(places)


def test_a_place_finds_itself(client, places, rng):
    for name in rng.sample(sorted(places), 100):
        assert name in client.command("GEORADIUSBYMEMBER_RO", "g", name, 0, "m")
        assert name in client.command("GEOSEARCH", "g", "FROMMEMBER", name, "BYBOX", 0, 0, "m")


def test_stored_distances(client, places):
    count = client.command("GEOSEARCHSTORE", "d", "g", "FROMLONLAT", 0, 0, "BYRADIUS", 5000, "km", "STOREDIST")
    stored = client.command("ZRANGE", "d", 0, -1)
    assert len(stored) == count
    for name in stored[:50]:
        assert abs(float(client.command("ZSCORE", "d", name)) * 1000 - distance((0, 0), places[name])) < 1
