"""Geo commands against redis-server: chosen cases, then thousands of random searches.

Nothing promises the order of an unsorted reply; it is the same nevertheless, and so is what ANY leaves out.
"""
import random

import pytest

from geo_generators import Places
from harness.differential import DifferentialRun

SICILY = ("GEOADD", "Sicily", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")


@pytest.fixture(params=["listpack", "skiplist"])
def encoding(pair, request):
    for client in pair.both:
        client.command("CONFIG", "SET", "zset-max-listpack-entries", 1000 if request.param == "listpack" else 0)
    return request.param


def test_places(pair, encoding):
    pair.same(SICILY, "GEODIST Sicily Palermo Catania", "GEODIST Sicily Palermo Catania km",
              "GEODIST Sicily Palermo Catania MI", "GEODIST Sicily Palermo Catania ft", "GEODIST Sicily Palermo none",
              "GEODIST none Palermo Catania", "GEODIST Sicily Palermo Catania yd",
              "GEODIST Sicily Palermo Catania m m", "GEODIST Sicily Palermo Palermo",
              "GEOHASH Sicily Palermo none Catania", "GEOHASH none a", "GEOHASH Sicily",
              "GEOPOS Sicily Palermo none Catania", "GEOPOS none a b", "GEOPOS Sicily", "SET s text", "GEOPOS s a",
              "GEOHASH s a", "GEODIST s a b", "GEODIST s a b yd", "GEOADD s 1 2 a", "GEOADD s 200 2 a",
              "ZSCORE Sicily Palermo", "GEOADD Sicily 1 2", "GEOADD Sicily 1 2 a 3", "GEOADD Sicily NX XX 1 2 a",
              "GEOADD Sicily NX 1 2 Palermo", "GEOADD Sicily XX CH 1 2 Palermo", "GEOADD Sicily CH NX XX",
              "GEOADD Sicily 181 2 a", "GEOADD Sicily x 2 a", "GEOADD Sicily 1 86 a", "GEOADD Sicily 1 2 a 1 86 b",
              "ZCARD Sicily")


def test_odd_scores(pair, encoding):
    pair.same("ZADD z 1 a -1 b 0.5 c 1e30 d inf e 4503599627370495 f 4503599627370496 g -inf h",
              *(f"GEOPOS z {member}" for member in "abcdefgh"), *(f"GEOHASH z {member}" for member in "abcfg"),
              "GEODIST z a f")


def test_searches(pair, encoding):
    pair.same(SICILY, "GEORADIUS Sicily 15 37 200 km", "GEORADIUS Sicily 15 37 200 km WITHDIST ASC",
              "GEORADIUS Sicily 15 37 200 km WITHDIST WITHCOORD WITHHASH DESC", "GEORADIUS Sicily 15 37 100 km",
              "GEORADIUS Sicily 15 37 200 km COUNT 1", "GEORADIUS Sicily 15 37 200 km COUNT 1 DESC",
              "GEORADIUS Sicily 15 37 200 km COUNT 5 ANY", "GEORADIUS Sicily 15 37 200 km ANY",
              "GEORADIUS Sicily 15 37 200 km COUNT 0", "GEORADIUS Sicily 15 37 x km", "GEORADIUS Sicily 15 37 -1 km",
              "GEORADIUS Sicily 15 37 1 yd", "GEORADIUS Sicily 15 37 0 m", "GEORADIUS none 15 37 200 km",
              "GEORADIUS none 15 37 200 km STORE d", "GEORADIUS Sicily 15 37 200 km STORE d",
              "ZRANGE d 0 -1 WITHSCORES", "OBJECT ENCODING d", "GEORADIUS Sicily 15 37 200 km STOREDIST d",
              "ZRANGE d 0 -1 WITHSCORES", "GEORADIUS Sicily 15 37 200 km STORE d WITHDIST",
              "GEORADIUS Sicily 15 37 1 m STORE d", "EXISTS d", "GEORADIUS_RO Sicily 15 37 200 km STORE d",
              "GEORADIUS_RO Sicily 15 37 200 km ASC", "GEORADIUSBYMEMBER Sicily Palermo 200 km ASC",
              "GEORADIUSBYMEMBER Sicily none 200 km", "GEORADIUSBYMEMBER none none 200 km",
              "GEORADIUSBYMEMBER none none x yd", "GEORADIUSBYMEMBER none none x yd JUNK",
              "GEORADIUSBYMEMBER_RO Sicily Palermo 100 mi DESC WITHDIST", "SET s text", "GEORADIUS s 1 2 x yd")


CITIES = ("GEOADD", "cities", 13.4, 52.5, "Berlin", 2.35, 48.86, "Paris", -0.13, 51.5, "London", -3.7, 40.4, "Madrid",
          12.5, 41.9, "Rome", 16.37, 48.2, "Vienna", 19.04, 47.5, "Budapest", 21.0, 52.2, "Warsaw", 4.9, 52.4,
          "Amsterdam", 12.6, 55.7, "Copenhagen", 18.07, 59.3, "Stockholm", 9.14, 38.7, "Cagliari", 14.4, 50.1, "Prague",
          8.54, 47.4, "Zurich", 23.7, 38.0, "Athens")


def test_order_of_unsorted_searches(pair, encoding):
    pair.same(CITIES, *(f"GEOSEARCH cities FROMMEMBER {member} BYRADIUS {radius} km"
                        for member in ("Berlin", "Rome", "Zurich", "London") for radius in (10, 300, 700, 1100, 2500)),
              *(f"GEOSEARCH cities FROMLONLAT 10 48 BYBOX {side} {side} km COUNT {count} ANY"
                for side in (400, 1500, 3000) for count in (1, 3, 9)))


def test_order_of_random_searches(pair, seed):
    """All over the map, from a metre to all of it."""
    rng = random.Random(seed)
    for _ in range(60):
        places = [(rng.uniform(-180, 180), rng.uniform(-85, 85)) for _ in range(40)]
        pair.flush()
        pair.same(("GEOADD", "g", *(word for i, place in enumerate(places) for word in (*place, f"p{i}"))))
        width, height = (10 ** rng.uniform(0, 7.5) for _ in range(2))
        for words in (("BYRADIUS", width, "m"), ("BYBOX", width, height, "m")):
            command = ("GEOSEARCH", "g", "FROMLONLAT", *rng.choice(places), *words)
            ours, theirs = (client.command(*command) for client in pair.both)
            assert ours == theirs, f"{command}, seed {seed}"


def test_new_searches(pair, encoding):
    pair.same(SICILY, "GEOADD Sicily 12.758489 38.788135 edge1 17.241510 38.788135 edge2",
              "GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC",
              "GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST",
              "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 400 1 km", "GEOSEARCH Sicily FROMMEMBER none BYBOX 4 1 km",
              "GEOSEARCH none FROMMEMBER none BYBOX 4 1 km", "GEOSEARCH Sicily FROMMEMBER Palermo ASC COUNT 1",
              "GEOSEARCH Sicily BYBOX 4 1 km ASC COUNT 1", "geosearch Sicily BYBOX 4 1 km ASC COUNT 1",
              "GEOSEARCH Sicily FROMMEMBER Palermo FROMLONLAT 1 2 BYRADIUS 1 m",
              "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 1 m BYRADIUS 1 m",
              "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX x 1 m", "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 x m",
              "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX -1 1 m", "GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 1 yd",
              "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 m STOREDIST",
              "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 9 m ANY ASC",
              "GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC COUNT 3", "ZRANGE d 0 -1 WITHSCORES",
              "GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST", "ZRANGE d 0 -1 WITHSCORES",
              "GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 BYBOX 4 4 km", "EXISTS d",
              "GEOSEARCHSTORE d none FROMLONLAT 15 37 BYBOX 4 4 km",
              "GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 BYBOX 4 4 km WITHDIST",
              "GEOSEARCHSTORE Sicily Sicily FROMLONLAT 15 37 BYRADIUS 100 km", "ZRANGE Sicily 0 -1")


def test_keys(pair):
    pair.same("COMMAND GETKEYSANDFLAGS georadius k 1 2 3 m STORE a STOREDIST b",
              "COMMAND GETKEYS georadius k 1 2 3 m",
              "COMMAND GETKEYSANDFLAGS georadiusbymember k member 3 m STORE a STORE",
              "COMMAND GETKEYS georadius k 1 2 3 STORE STORE b",
              "COMMAND GETKEYSANDFLAGS geosearchstore d s FROMLONLAT 1 2 BYRADIUS 3 m",
              "COMMAND GETKEYS geoadd k 1 2 a", "COMMAND GETKEYS geopos k a b")


def test_random_commands(pair, encoding, seed, scale):
    DifferentialRun(pair, Places(), seed).run(scale(6_000))


def test_random_searches_among_many(pair, seed, scale):
    generate = Places(members=3000)
    generate._makers = [generate.make_geosearch, generate.make_georadius, generate.make_geodist, generate.make_geoadd]
    generate._weights = [4, 3, 1, 1]
    DifferentialRun(pair, lambda rng: generate.make_geoadd(rng), seed).run(scale(4_000))
    DifferentialRun(pair, generate, seed).run(scale(2_000))
