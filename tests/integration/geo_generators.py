"""Random geo commands, for the differential tests: clusters of places, at the date line too.

redis-server takes the width of its search at the centre's latitude, and so misses places towards the poles; searches
here stay short of that (test_geo_commands.py goes everywhere).
"""
from generators import BAD_NUMBERS, Generator

KEYS = ["g0", "g1", "g2"]
CENTRES = [(0, 0), (13.36, 38.11), (-122.4, 37.8), (179.9, 10), (-179.95, -20), (60, 50), (-100, -45), (2.35, 48.85)]
UNITS = {"m": 1, "km": 1000, "ft": 0.3048, "MI": 1609.34}


class Places(Generator):
    WEIGHTS = {"geoadd": 6, "geosearch": 6, "georadius": 4, "store": 2}

    def __init__(self, members=60):
        super().__init__()
        self.members = [f"place{i}" for i in range(members)]

    def key(self, rng):
        roll = rng.random()
        return "str" if roll < 0.02 else "nothing" if roll < 0.05 else rng.choice(KEYS)

    def member(self, rng):
        return rng.choice(self.members) if rng.random() < 0.98 else "nobody"

    def place(self, rng):
        if rng.random() < 0.03:
            return rng.choice(((180.1, 0), (0, 86), (-181, 0), ("x", 1), (1, ""), ("nan", 0), (0, "inf"), (0, -85.06)))
        if rng.random() < 0.3:
            return round(rng.uniform(-179.9, 179.9), 6), round(rng.uniform(-50, 50), 6)
        longitude, latitude = rng.choice(CENTRES)
        spread = 10 ** rng.uniform(-3, 1)
        return (round((longitude + rng.gauss(0, spread) + 180) % 360 - 180, 7),
                round(max(-52, min(52, latitude + rng.gauss(0, spread))), 7))

    def make_geoadd(self, rng):
        words = rng.choice(([], [], [], ["NX"], ["XX"], ["CH"], ["xx", "CH"], ["NX", "XX"]))
        places = [x for _ in range(rng.randint(1, 5)) for x in (*self.place(rng), self.member(rng))]
        return ["GEOADD", self.key(rng), *words, *places]

    def make_geodist(self, rng):
        unit = rng.choice(([], [rng.choice(list(UNITS))], ["yd"], ["m", "m"]))
        return ["GEODIST", self.key(rng), self.member(rng), self.member(rng), *unit]

    def make_geopos(self, rng):
        return [rng.choice(("GEOPOS", "GEOHASH")), self.key(rng), *(self.member(rng) for _ in range(rng.randint(0, 4)))]

    def length(self, rng):
        if rng.random() < 0.03:
            return rng.choice(("x", -1, "nan", "", 0))
        return round(10 ** rng.uniform(-1, 6), 3)

    def with_unit(self, rng, count):
        """Lengths up to 1,000 km, in some unit."""
        unit = rng.choice(list(UNITS)) if rng.random() < 0.98 else "furlong"
        lengths = [self.length(rng) for _ in range(count)]
        return [*(x / UNITS.get(unit, 1) if isinstance(x, float) else x for x in lengths), unit]

    def tail(self, rng, searches=False):
        found = [["WITHDIST"], ["WITHCOORD"], ["withhash"], [rng.choice(("ASC", "DESC", "asc"))],
                 ["COUNT", rng.choice((1, 3, 10, 100, 3, 0, "x"))], ["JUNK"]]
        chances = (0.3, 0.3, 0.3, 0.4, 0.3, 0.02)
        found = [words for words, chance in zip(found, chances) if rng.random() < chance]
        if rng.random() < 0.02 and not any(words[0] == "COUNT" for words in found):
            found.append(["ANY"])  # with COUNT, which ones are found first is the server's own affair
        if not searches:
            found += [["STORE", rng.choice(KEYS)]] if rng.random() < 0.05 else []
            found += [["STOREDIST", "d"]] if rng.random() < 0.05 else []
        return found

    def make_georadius(self, rng):
        read_only = rng.choice(("", "", "_RO"))
        if rng.random() < 0.5:
            head = ["GEORADIUS" + read_only, self.key(rng), *self.place(rng), *self.with_unit(rng, 1)]
        else:
            head = ["GEORADIUSBYMEMBER" + read_only, self.key(rng), self.member(rng), *self.with_unit(rng, 1)]
        tail = self.tail(rng)
        rng.shuffle(tail)
        return [*head, *(x for words in tail for x in words)]

    def shape(self, rng):
        parts = [rng.choice((["FROMMEMBER", self.member(rng)], ["FROMLONLAT", *self.place(rng)])),
                 rng.choice((["BYRADIUS", *self.with_unit(rng, 1)], ["BYBOX", *self.with_unit(rng, 2)]))]
        if rng.random() < 0.05:
            parts.pop(rng.randrange(2))
        elif rng.random() < 0.05:
            parts.append(["BYRADIUS", 1, "km"])
        return parts

    def make_geosearch(self, rng):
        parts = self.shape(rng) + self.tail(rng, True)
        rng.shuffle(parts)
        return ["GEOSEARCH", self.key(rng), *(x for words in parts for x in words)]

    def make_store(self, rng):
        parts = self.shape(rng) + [words for words in self.tail(rng, True) if words[0] != "WITHDIST"]
        parts += [["STOREDIST"]] if rng.random() < 0.5 else []
        rng.shuffle(parts)
        target = "d" if ["STOREDIST"] in parts else rng.choice(("d", *KEYS))
        return ["GEOSEARCHSTORE", target, self.key(rng), *(x for words in parts for x in words)]

    def make_look(self, rng):
        return rng.choice((["ZRANGE", rng.choice((*KEYS, "d")), 0, -1, "WITHSCORES"], ["ZCARD", "d"],
                           ["SET", "str", "x"], ["ZREM", rng.choice(KEYS), self.member(rng)]))

    def _spoil(self, rng, args):
        """Distances as scores are no places: they must not get under a key that is searched."""
        if "STORE" in str(args) or args[0] == "SET":
            return args
        how = rng.randrange(3)
        at = rng.randrange(1, len(args))
        if how == 0:
            return args[:at] + args[at + 1:]
        return [*args, "junk"] if how == 1 else [*args[:at], rng.choice(BAD_NUMBERS), *args[at + 1:]]
