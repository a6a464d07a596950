"""Random commands by the grammar that the server itself gives (COMMAND DOCS): most of them make sense, some hardly."""
import time

NUMBERS = [0, 1, -1, 2, 3, 5, 7, 10, 64, 100, 255, 256, 65535, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -2**31,
           -2**63]
DOUBLES = [b"1.5", b"-0", b"0.1", b"inf", b"-inf", b"nan", b"1e308", b"5e-324", b"13.36", b"38.11"]
BOUNDS = [b"+", b"-", b"(5", b"[a", b"(a", b"(-inf", b"*", b"$", b">", b"0-1", b"5-5"]
WORDS = [b"a", b"b", b"c", b"abc", b"f1", b"f2", b"\x00\xff", b""]
JSON = [b'{"a":1,"b":[1,2,{"c":"x"}]}', b"[1,2,3]", b'"s"', b"null", b"true", b"1.5", b'{"a":{"b":{"c":[]}}}', b"$.a",
        b"$..*", b"$..[?(@.a>0)]", b".b", b".", b"$.b[0,-1,1:3:-1]", b"$..c"]
PATTERNS = [b"*", b"k*", b"*1*", b"[a-m]*", b"k?", b"\\"]
# They end the server, its connections, or the clock of the test; or they change who may do what.
NEVER = {b"shutdown", b"debug", b"monitor", b"psync", b"sync", b"replicaof", b"slaveof", b"failover", b"migrate",
         b"auth", b"config|set", b"config|rewrite", b"acl|setuser", b"acl|deluser", b"acl|load", b"acl|save",
         b"client|kill", b"client|reply", b"client|pause", b"client|no-evict", b"quit", b"module|load",
         b"module|loadex", b"save", b"flushall", b"flushdb", b"swapdb", b"bgsave", b"bgrewriteaof", b"select", b"move",
         b"hello"}
# They take long to answer, or until somebody else does something.
SELDOM = {b"pfselftest", b"memory|malloc-stats", b"memory|purge", b"command|docs", b"command", b"command|info",
          b"lolwut", b"blpop", b"brpop", b"blmove", b"brpoplpush", b"bzpopmin", b"bzpopmax", b"bzmpop", b"blmpop",
          b"wait", b"waitaof", b"subscribe", b"psubscribe", b"ssubscribe"}


def _pairs(reply):
    return reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2])


class Grammar:
    def __init__(self, client, rng, keys):
        """`keys` is what all commands choose theirs from."""
        self.rng, self.keys, self.arguments = rng, keys, {}
        for name, doc in _pairs(client.command("COMMAND", "DOCS")):
            self._add(name, doc)
        self.names = sorted(self.arguments.keys() - NEVER)

    def _add(self, name, doc):
        doc = dict(_pairs(doc))
        for sub, its in _pairs(doc.get(b"subcommands", [])):
            self._add(sub, its)
        if b"subcommands" not in doc:
            self.arguments[name] = [dict(_pairs(argument)) for argument in doc.get(b"arguments", [])]

    def command(self):
        """The words of a command."""
        rng, name = self.rng, self.rng.choice(self.names)
        if name in SELDOM and rng.random() < .9:
            name = rng.choice(self.names)
        words = name.split(b"|")
        for argument in self.arguments[name]:
            words += self._argument(argument)
        if rng.random() < .3:
            self._count_keys(words)
        if rng.random() < .03:
            words.insert(rng.randrange(1, len(words) + 1), self._text())
        return words

    def _count_keys(self, words):
        """A number before keys becomes their number."""
        for i, word in enumerate(words[:-1]):
            if word.lstrip(b"-").isdigit() and words[i + 1] in self.keys:
                end = next((n for n in range(i + 1, len(words)) if words[n] not in self.keys), len(words))
                words[i] = b"%d" % (end - i - 1)
                return

    def _argument(self, argument):
        rng, flags = self.rng, argument.get(b"flags", [])
        if b"optional" in flags and rng.random() < .6:
            return []
        words = self._one(argument)
        if b"multiple" in flags:
            many = rng.random() < .03
            for _ in range(rng.choice([300, 1500, 2500]) if many else rng.choice([0, 0, 1, 2, 3, 8])):
                words += [argument[b"token"]] if b"multiple_token" in flags else []
                words += self._value(argument)
        return words

    def _one(self, argument):
        token = [argument[b"token"]] if b"token" in argument and argument[b"type"] != b"pure-token" else []
        return token + self._value(argument)

    def _value(self, argument):
        rng, kind = self.rng, argument[b"type"]
        if kind == b"oneof":
            return self._one(dict(_pairs(rng.choice(argument[b"arguments"]))))
        if kind == b"block":
            return [word for part in argument[b"arguments"] for word in self._argument(dict(_pairs(part)))]
        if kind == b"pure-token":
            return [argument[b"token"]]
        if kind == b"key":
            return [rng.choice(self.keys)]
        if rng.random() < .05:
            return [self._text()]
        if kind == b"integer":
            return [b"%d" % rng.choice([*NUMBERS, rng.randrange(100), rng.randrange(-50, 2000)])]
        if kind == b"double":
            return [rng.choice(DOUBLES)]
        if kind == b"unix-time":
            return [b"%d" % ((int(time.time()) + rng.choice([1, 100, -3, 10**5])) * rng.choice([1, 1000]))]
        return [rng.choice(PATTERNS) if kind == b"pattern" else self._text()]

    def _text(self):
        rng = self.rng
        kind = rng.choices(range(7), [20, 12, 8, 25, 15, 3, .4])[0]
        if kind == 5:
            return rng.randbytes(rng.choice([5, 64, 700, 5000]))
        if kind == 6:
            return b"z" * rng.choice([33_000, 40_000, 100_000, 1_000_000])
        words = [[b"%d" % rng.choice(NUMBERS)], DOUBLES, BOUNDS, [*WORDS, b"m%d" % rng.randrange(40)], JSON]
        return rng.choice(words[kind])
