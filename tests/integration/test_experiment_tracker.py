"""An experiment tracker on the server, through redis-py, checked against plain Python.

Runs are hashes, named by a counter. Sorted sets index them by start and by accuracy, sets hold the runs of an
experiment and the tags, a sorted set of steps holds each metric of a run: the score is the step, the member says step
and value, for values repeat. Dashboards page through all of it with ZRANGE, ZREVRANGE and SCAN.
"""
import random

import pytest

redis = pytest.importorskip("redis", reason="needs python3-redis")

EXPERIMENTS = ["baseline", "wide", "deep", "ablation", "final"]
STATES = ["running", "finished", "failed"]
METRICS = ["loss", "accuracy", *(f"system/{i}" for i in range(98))]
POINTS = 10  # of a metric
PAGE = 37


class Tracker:
    """What an application would write. Every change of a run is one transaction."""

    def __init__(self, client):
        self.client = client

    def start(self, experiment, started, params):
        run = self.client.incr("ids:run")
        with self.client.pipeline(transaction=True) as pipe:
            pipe.hset(f"run:{run}", mapping={"experiment": experiment, "state": "running", "started": started,
                                             **{f"param:{name}": value for name, value in params.items()}})
            pipe.zadd("runs:by-start", {run: started})
            pipe.sadd(f"experiment:{experiment}", run)
            pipe.sadd("state:running", run)
            pipe.hincrby("counts", experiment, 1)
            pipe.execute()
        return run

    def log(self, run, metrics):
        """`metrics`: name to pairs of step and value."""
        with self.client.pipeline(transaction=False) as pipe:
            for name, points in metrics.items():
                pipe.zadd(f"metric:{run}:{name}", {f"{step}:{value}": step for step, value in points})
            pipe.incrby("points", sum(map(len, metrics.values())))
            pipe.execute()

    def finish(self, run, state, accuracy):
        with self.client.pipeline(transaction=True) as pipe:
            pipe.hset(f"run:{run}", mapping={"state": state, "accuracy": accuracy})
            pipe.smove("state:running", f"state:{state}", run)
            pipe.zadd("runs:by-accuracy", {run: accuracy})
            assert pipe.execute()[1] is True

    def delete(self, run):
        experiment, state = self.client.hmget(f"run:{run}", "experiment", "state")
        with self.client.pipeline(transaction=True) as pipe:
            pipe.delete(f"run:{run}", *(f"metric:{run}:{name}" for name in METRICS))
            pipe.zrem("runs:by-start", run)
            pipe.zrem("runs:by-accuracy", run)
            pipe.srem(f"experiment:{experiment}", run)
            pipe.srem(f"state:{state}", run)
            pipe.hincrby("counts", experiment, -1)
            pipe.execute()

    def pages(self, read, key):
        """All members, a page of ranks at a time."""
        found, at = [], 0
        while page := read(key, at, at + PAGE - 1, withscores=True):
            assert len(page) <= PAGE
            found += page
            at += len(page)
        return found

    def metric(self, run, name):
        points = self.pages(self.client.zrange, f"metric:{run}:{name}")
        return [(int(score), float(member.split(":", 1)[1])) for member, score in points]


def make_run(rng, number, points):
    accuracy = round(rng.random(), 3)  # few digits, so that some are equal
    loss = 4.0
    curves = {name: [] for name in METRICS}
    for step in range(points):
        loss *= rng.uniform(0.9, 1.02)
        curves["loss"].append((step * 10, round(loss, 6)))
        curves["accuracy"].append((step * 10, round(accuracy * step / points, 6)))
        for name in METRICS[2:]:
            curves[name].append((step * 10, round(rng.random(), 3)))
    return {"experiment": rng.choice(EXPERIMENTS), "started": 1_700_000_000 + number * 7 % 1000 * 60,
            "params": {"lr": rng.choice(("0.1", "0.01", "0.001")), "layers": str(rng.randint(1, 48)),
                       "notes": "x" * rng.choice((0, 5, 20, 100))},
            "accuracy": accuracy, "state": rng.choice(STATES), "curves": curves}


def by_score(runs, score):
    """As a sorted set has them: by score, then by the bytes of the member."""
    return sorted(((str(run), float(fields[score])) for run, fields in runs.items()), key=lambda x: (x[1], x[0]))


def check_indexes(tracker, client, runs):
    started = by_score(runs, "started")
    assert tracker.pages(client.zrange, "runs:by-start") == started
    assert tracker.pages(client.zrevrange, "runs:by-start") == started[::-1]
    done = by_score({run: fields for run, fields in runs.items() if fields["state"] != "running"}, "accuracy")
    assert tracker.pages(client.zrevrange, "runs:by-accuracy") == done[::-1]
    good = [member for member, accuracy in done if 0.5 <= accuracy <= 0.75]
    assert client.zrangebyscore("runs:by-accuracy", 0.5, 0.75) == good
    assert client.zcount("runs:by-accuracy", 0.5, 0.75) == len(good)
    for place in (0, len(done) // 2, len(done) - 1):
        assert client.zrank("runs:by-accuracy", done[place][0]) == place


def check_members(client, runs):
    def members(field, value):
        return {str(run) for run, fields in runs.items() if fields[field] == value}

    for experiment in EXPERIMENTS:
        assert client.smembers(f"experiment:{experiment}") == members("experiment", experiment)
        assert int(client.hget("counts", experiment) or 0) == len(members("experiment", experiment))
        both = members("experiment", experiment) & members("state", "finished")
        assert client.sinter(f"experiment:{experiment}", "state:finished") == both
    for state in STATES:
        assert set(client.sscan_iter(f"state:{state}", count=20)) == members("state", state)


def check_runs(tracker, client, runs, sample):
    keys = set(client.scan_iter(match="run:*", count=100))
    assert keys == {f"run:{run}" for run in runs}
    assert set(client.scan_iter(match="metric:*", count=1000, _type="zset")) == {
        f"metric:{run}:{name}" for run in runs for name in METRICS}
    for run in sample:
        fields = client.hgetall(f"run:{run}")
        expected = runs[run]
        assert {name[6:]: value for name, value in fields.items() if name.startswith("param:")} == expected["params"]
        assert (fields["experiment"], fields["state"]) == (expected["experiment"], expected["state"])
        for name in METRICS:
            assert tracker.metric(run, name) == expected["curves"][name]
        steps = [step for step, _ in expected["curves"]["loss"]]
        last = client.zrevrange(f"metric:{run}:loss", 0, 0)[0]
        assert last.startswith(f"{steps[-1]}:")
        window = client.zrangebyscore(f"metric:{run}:loss", 100, 200, start=2, num=3)
        assert [int(point.split(":")[0]) for point in window] == [step for step in steps if 100 <= step <= 200][2:5]


def test_experiment_tracker(server, scale, seed):
    rng, count, points = random.Random(seed), scale(1000), POINTS
    print(f"seed {seed}: run again with LARDER_TEST_SEED={seed}")
    client = redis.Redis(port=server.port, socket_timeout=60, decode_responses=True)
    tracker, runs = Tracker(client), {}
    for number in range(count):
        made = make_run(rng, number, points)
        run = tracker.start(made["experiment"], made["started"], made["params"])
        assert run == number + 1
        tracker.log(run, made["curves"])
        if made["state"] != "running":
            tracker.finish(run, made["state"], made["accuracy"])
        runs[run] = made
    assert int(client.get("points")) == count * points * len(METRICS)

    check_indexes(tracker, client, runs)
    check_members(client, runs)
    check_runs(tracker, client, runs, rng.sample(sorted(runs), min(count, 100)))

    top = client.sort("experiment:final", by="run:*->accuracy", desc=True, start=0, num=5, get=["#", "run:*->state"])
    final = [(float(f["accuracy"]) if f["state"] != "running" else 0.0, str(run), f["state"])
             for run, f in runs.items() if f["experiment"] == "final"]
    assert top == [text for _, run, state in sorted(final, reverse=True)[:5] for text in (run, state)]

    for run in rng.sample(sorted(runs), count // 3):
        tracker.delete(run)
        del runs[run]
    check_indexes(tracker, client, runs)
    check_members(client, runs)
    check_runs(tracker, client, runs, rng.sample(sorted(runs), min(len(runs), 50)))

    for run in list(runs):
        tracker.delete(run)
    assert set(client.scan_iter()) == {"ids:run", "counts", "points"}
    assert set(client.hgetall("counts").values()) == {"0"}
