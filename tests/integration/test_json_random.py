"""Random sequences of changes to JSON documents, beside a model in Python that works on plain lists and dicts.

The model knows paths as lists of steps (a name, an index, "*" or ".." before either), finds places by walking, and
carries a command out by the book: it looks at all places first, and changes them the last one first.
"""
import copy
import json
import random

import pytest

from harness.resp import Client, ErrorReply

NAMES = ["a", "b", "c", "d e"]


class Refused(Exception):
    pass


def random_value(rng, depth=0):
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind < 3:
        return rng.randrange(-5, 100)
    if kind == 3:
        return rng.randrange(-9, 9) / 4 + 0.125
    if kind < 6:
        return "".join(rng.choices('ab"\\é\n', k=rng.choice([0, 2, 7, 8, 40])))
    if kind == 6:
        return [random_value(rng, depth + 1) for _ in range(rng.choice([0, 1, 3, 9]))]
    return {name: random_value(rng, depth + 1) for name in rng.sample(NAMES, rng.randrange(len(NAMES) + 1))}


def random_path(rng):
    steps = []
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3])):
        step = rng.choice(NAMES + [0, 1, -1, 2, "*"])
        steps.append((rng.random() < 0.15, step))
    return steps


def path_text(steps):
    parts = ["$"]
    for deep, step in steps:
        inner = "*" if step == "*" else json.dumps(step)
        parts.append(f"..[{inner}]" if deep else f"[{inner}]")
    return "".join(parts)


def children(value):
    if isinstance(value, dict):
        return [((key,), child) for key, child in value.items()]
    return [((index,), child) for index, child in enumerate(value)] if isinstance(value, list) else []


def select(value, step):
    if step == "*":
        return children(value)
    if isinstance(step, str):
        return [((step,), value[step])] if isinstance(value, dict) and step in value else []
    if isinstance(value, list) and -len(value) <= step < len(value):
        return [((step % len(value),), value[step])]
    return []


def descend(value):
    yield (), value
    for place, child in children(value):
        for rest, below in descend(child):
            yield place + rest, below


def find_all(document, steps):
    """Places and values in order; a place may come more than once."""
    found = [((), document)]
    for deep, step in steps:
        starts = [(p + q, v) for p, value in found for q, v in (descend(value) if deep else [((), value)])]
        found = [(p + q, v) for p, value in starts for q, v in select(value, step)]
    return found


def find(document, steps):
    """Each place once."""
    unique = {}
    for place, value in find_all(document, steps):
        unique.setdefault(place, value)
    return list(unique.items())


def outermost(places):
    chosen = set(places)
    return [p for p in places if not any(p[:n] in chosen for n in range(len(p)))]


class Model:
    def __init__(self, document):
        self.box = [document]

    @property
    def document(self):
        return self.box[0]

    def parent(self, place):
        """The container of a place, and the last step."""
        at = self.box
        for step in (0,) + place[:-1] if place else ():
            at = at[step]
        return at, place[-1] if place else 0

    def put(self, place, value):
        parent, last = self.parent(place)
        parent[last] = value

    def each(self, steps, look, change):
        """Answers of the places that `look` accepts, None of the others."""
        found = find(self.document, steps)
        answers = [look(value) for _, value in found]
        for (place, value), answer in reversed(list(zip(found, answers))):
            if answer is not None:
                change(place, value, answer)
        return answers

    def set(self, steps, value):
        found = find(self.document, steps)
        if not found:
            static = all(not deep and step != "*" for deep, step in steps)
            if not static:
                raise Refused
            parents = find(self.document, steps[:-1])
            if not parents:
                return None
            parent, last = parents[0][1], steps[-1][1]
            if isinstance(last, int):
                if isinstance(parent, (list, dict)):
                    raise Refused
                return None
            if not isinstance(parent, dict):
                return None
            parent[last] = copy.deepcopy(value)
        for place, _ in reversed(found):
            self.put(place, copy.deepcopy(value))
        return b"OK"

    def delete(self, steps):
        places = outermost([place for place, _ in find(self.document, steps)])
        for place in sorted(places, key=lambda p: [(isinstance(s, int), s) for s in p], reverse=True):
            parent, last = self.parent(place)
            del parent[last]
        return len(places)

    def numincrby(self, steps, by):
        def look(value):
            return value + by if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        return self.each(steps, look, lambda place, _, answer: self.put(place, answer))

    def toggle(self, steps):
        return self.each(steps, lambda value: int(not value) if isinstance(value, bool) else None,
                         lambda place, _, answer: self.put(place, bool(answer)))

    def strappend(self, steps, text):
        return self.each(steps, lambda value: len((value + text).encode()) if isinstance(value, str) else None,
                         lambda place, value, _: self.put(place, value + text))

    def arrinsert(self, steps, index, values):
        def look(value):
            if not isinstance(value, list):
                return None
            if not -len(value) <= index <= len(value):
                raise Refused
            return len(value) + len(values)

        def change(_, value, __):
            at = index if index >= 0 else len(value) + index
            value[at:at] = copy.deepcopy(values)
        return self.each(steps, look, change)

    def arrappend(self, steps, values):
        return self.each(steps, lambda value: len(value) + len(values) if isinstance(value, list) else None,
                         lambda _, value, __: value.extend(copy.deepcopy(values)))

    def arrtrim(self, steps, start, stop):
        def kept(value):
            if not isinstance(value, list):
                return None
            first, last = (max(0, n + len(value)) if n < 0 else n for n in (start, stop))
            return value[first:last + 1]

        def change(_, value, __):
            value[:] = kept(value)
        return self.each(steps, lambda value: len(kept(value)) if isinstance(value, list) else None, change)

    def clear(self, steps):
        count = 0
        for place, _ in find(self.document, steps):
            try:
                parent, last = self.parent(place)
                value = parent[last]
            except (KeyError, IndexError, TypeError):
                continue
            if isinstance(value, (list, dict)) and value:
                parent[last] = type(value)()
            elif isinstance(value, (int, float)) and not isinstance(value, bool) and value:
                parent[last] = 0
            else:
                continue
            count += 1
        return count

    def merge(self, steps, patch):
        def merged(value, patch):
            if not isinstance(patch, dict):
                return copy.deepcopy(patch)
            value = value if isinstance(value, dict) else {}
            for key, part in patch.items():
                if part is None:
                    value.pop(key, None)
                else:
                    value[key] = merged(value.get(key), part)
            return value
        for place, value in reversed(find(self.document, steps)):
            self.put(place, merged(value, patch))
        return b"OK"


def step(rng, model):
    """A command, and what the model answers."""
    steps = random_path(rng)
    path = path_text(steps)
    values = [random_value(rng, 1) for _ in range(rng.choice([1, 1, 3]))]
    texts = [json.dumps(value, ensure_ascii=rng.random() < 0.5) for value in values]
    kind = rng.randrange(11)
    if kind < 2:
        return ("JSON.SET", "d", path, texts[0]), lambda: model.set(steps, values[0])
    if kind == 2 and steps:
        return ("JSON.DEL", "d", path), lambda: model.delete(steps)
    if kind == 3:
        return ("JSON.ARRAPPEND", "d", path, *texts), lambda: model.arrappend(steps, values)
    if kind == 4:
        index = rng.randrange(-3, 4)
        return ("JSON.ARRINSERT", "d", path, index, *texts), lambda: model.arrinsert(steps, index, values)
    if kind == 5:
        start, stop = rng.randrange(-4, 5), rng.randrange(0, 12)
        return ("JSON.ARRTRIM", "d", path, start, stop), lambda: model.arrtrim(steps, start, stop)
    if kind == 6:
        by = rng.choice([1, -3, 0.5])
        return ("JSON.NUMINCRBY", "d", path, by), lambda: model.numincrby(steps, by)
    if kind == 7:
        return ("JSON.TOGGLE", "d", path), lambda: model.toggle(steps)
    if kind == 8:
        return ("JSON.STRAPPEND", "d", path, '"x\\u00e9"'), lambda: model.strappend(steps, "xé")
    if kind == 9 and rng.random() < 0.3:
        return ("JSON.CLEAR", "d", path), lambda: model.clear(steps)
    if find(model.document, steps) and isinstance(values[0], dict):
        return ("JSON.MERGE", "d", path, texts[0]), lambda: model.merge(steps, values[0])
    return ("JSON.GET", "d", path), lambda: [value for _, value in find_all(model.document, steps)]


def agree(answer, got):
    if isinstance(got, bytes) and not isinstance(answer, bytes) and answer is not None:
        return json.loads(got) == answer  # numbers, or a document
    return got == answer


@pytest.mark.parametrize("round", range(4))
def test_random_changes(server, scale, seed, round):
    rng = random.Random(seed + round)
    print(f"seed {seed}, round {round}")
    client = Client(server.port)
    for _ in range(scale(30)):
        start = {name: random_value(rng) for name in NAMES}
        model = Model(copy.deepcopy(start))
        client.load([("JSON.SET", "d", "$", json.dumps(start)), ("DEL", "pin")])
        pinned = None
        for number in range(60):
            if number % 20 == 5:  # a version that is kept must not change
                client.load([("COPY", "d", "pin", "REPLACE")])
                pinned = copy.deepcopy(model.document)
            before = copy.deepcopy(model.document)
            words, run = step(rng, model)
            got = client.command(*words)
            try:
                answer = run()
                assert agree(answer, got), (words, before, answer, got)
            except Refused:
                assert isinstance(got, ErrorReply), (words, before, got)
            if words[0] == "JSON.DEL" and model.document in ({}, []) and answer:
                assert client.command("EXISTS", "d") == 0
                break
            document = json.loads(client.command("JSON.GET", "d"))
            assert document == model.document and json.dumps(document) == json.dumps(model.document), (words, before)
        if pinned is not None:
            assert json.loads(client.command("JSON.GET", "pin")) == pinned
