"""redis-cli and redis-benchmark against the real server, used as people use them."""
import shutil
import subprocess

import pytest

from harness.resp import Client, encode

PROTOCOLS = (2,)
pytestmark = pytest.mark.skipif(not shutil.which("redis-cli"), reason="needs redis-tools")


@pytest.fixture
def cli(module_server):
    """Run redis-cli with arguments; return what it printed, or fail when it failed."""
    with Client(module_server.port) as client:
        client.command("FLUSHALL")

    def run(*args, stdin=b"", code=0):
        argv = ["redis-cli", "-p", str(module_server.port), *map(str, args)]
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=60)
        assert done.returncode == code, (argv, done)
        return done.stdout.decode()

    run.port = module_server.port
    return run


def fill(port, count=200):
    with Client(port) as client:
        client.load(("SET", f"key:{i:04}", "x" * i) for i in range(count))


def watched(argv, lines):
    """The first lines of what a program says that runs until it is ended."""
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out = b"".join(program.stdout.readline() for _ in range(lines))
    program.terminate()
    program.communicate(timeout=60)
    return out.decode()


@pytest.mark.parametrize("flag", ["-2", "-3"])
def test_single_commands(cli, flag):
    assert cli(flag, "PING") == "PONG\n"
    assert cli(flag, "SET", "k", "a b") == "OK\n"
    assert cli(flag, "GET", "k") == "a b\n"
    assert cli(flag, "GET", "nothing") == "\n"
    assert cli(flag, "--no-raw", "MGET", "k", "nothing") == '1) "a b"\n2) (nil)\n'
    assert cli(flag, "INCRBY", "n", "5") == "5\n"
    assert "redis_version:" in cli(flag, "INFO")
    assert cli("-x", "SET", "from-stdin", stdin=b"\x00binary\xff") == "OK\n"
    assert cli("STRLEN", "from-stdin") == "8\n"
    assert cli("-n", "3", "DBSIZE") == "0\n"
    assert cli("-e", "NOSUCH", code=1) == ""


def test_repeated(cli):
    assert cli("-r", "5", "INCR", "n") == "1\n2\n3\n4\n5\n"


def test_commands_on_stdin(cli):
    out = cli(stdin=b"SET k \"a\\nb\"\nGET k\nNOSUCH\nSELECT 1\nDBSIZE\n\nPING\n")
    lines = out.splitlines()
    assert lines[:3] == ["OK", "a", "b"]
    assert lines[3].startswith("ERR unknown command 'NOSUCH'")
    assert [line for line in lines[4:] if line] == ["OK", "0", "PONG"]


def test_scan(cli):
    fill(cli.port)
    assert sorted(cli("--scan").split()) == [f"key:{i:04}" for i in range(200)]
    assert sorted(cli("--scan", "--pattern", "key:000*").split()) == [f"key:{i:04}" for i in range(10)]


def test_bigkeys(cli):
    fill(cli.port)
    out = cli("--bigkeys")
    assert "Sampled 200 keys in the keyspace!" in out
    assert 'Biggest string found "key:0199" has 199 bytes' in out.replace("'", '"').replace('""', '"')


def test_bigkeys_of_all_types(cli):
    """The largest of each type, and how many there are of each, in the words of redis-cli."""
    with Client(cli.port) as client:
        client.load([("SET", "text", "x" * 77), *(("SET", f"text:{i}", "x") for i in range(9)),
                     ("RPUSH", "queue", *range(500)), ("RPUSH", "queue:small", 1),
                     ("SADD", "members", *range(600)), ("SADD", "members:small", "a"),
                     ("ZADD", "ranks", *(x for i in range(700) for x in (i, f"m{i}"))), ("ZADD", "ranks:small", 1, "a"),
                     ("HSET", "record", *range(1600)), ("HSET", "record:small", "f", "v"), ("PFADD", "visitors", 1)])
    lines = [line.replace('""', '"') for line in cli("--bigkeys").replace("'", '"').splitlines()]
    assert "Sampled 19 keys in the keyspace!" in lines
    for kind, key, size in (("string", "text", "77 bytes"), ("list", "queue", "500 items"), ("set", "members",
                            "600 members"), ("zset", "ranks", "700 members"), ("hash", "record", "800 fields")):
        found = [line.split() for line in lines if line.startswith("Biggest") and line.split()[1] == kind]
        assert found and f'found "{key}" has {size}' in " ".join(found[0]), (kind, lines)
    counts = {line.split()[1]: int(line.split()[0]) for line in lines if " with " in line and line[0].isdigit()}
    assert [counts[kind] for kind in ("strings", "lists", "sets", "zsets", "hashs")] == [11, 2, 2, 2, 2]


def test_memkeys(cli):
    fill(cli.port)
    assert "Sampled 200 keys in the keyspace!" in cli("--memkeys")


def test_pipe(cli):
    commands = b"".join(encode(["SET", f"pipe:{i}", "v" * (i % 100)]) for i in range(20_000))
    out = cli("--pipe", stdin=commands)
    assert "errors: 0, replies: 20000" in out
    assert cli("DBSIZE") == "20000\n"


def test_stat(cli):
    fill(cli.port)
    out = watched(["stdbuf", "-oL", "redis-cli", "-p", str(cli.port), "--stat", "-i", "0.1"], 5)
    rows = [line.split() for line in out.splitlines() if line[:1].isdigit()]
    assert len(rows) >= 3 and all(row[0] == "200" for row in rows), out


def test_latency(cli):
    """Without a terminal --latency runs for a second and prints one line: minimum, maximum, average, samples."""
    least, most, average, samples = cli("--latency", "--raw").split()
    assert 0 <= int(least) <= float(average) <= int(most)
    assert int(samples) > 0


def test_benchmark(module_server):
    argv = ["redis-benchmark", "-p", str(module_server.port), "-q", "-n", "3000", "-r", "1000", "-t"]
    for pipeline in ("1", "16"):
        args = [*argv, "ping_inline,ping_mbulk,set,get,incr,mset", "-P", pipeline]
        done = subprocess.run(args, capture_output=True, timeout=120)
        out = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, out
        for name in ("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"):
            assert f"{name}: " in out
        assert "Error" not in out and "WARNING" not in out, out


WHOLE_BENCHMARK = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET",
                   "SPOP", "ZADD", "ZPOPMIN", "LRANGE_100", "LRANGE_300", "LRANGE_500", "LRANGE_600", "MSET (10 keys)"]


@pytest.mark.parametrize("options", [(), ("-P", "32", "-r", "10000", "-3")], ids=["plain", "pipelined"])
def test_the_whole_benchmark(module_server, options):
    """Every test of the default list, none of them with an error or a complaint."""
    argv = ["redis-benchmark", "-p", str(module_server.port), "-n", "2000", "--csv", *options]
    done = subprocess.run(argv, capture_output=True, timeout=120)
    rows = [line.split(",") for line in done.stdout.decode().splitlines() if line.startswith('"')]
    assert done.returncode == 0 and not done.stderr, (done.stdout, done.stderr)
    assert not any(word in done.stdout.lower() for word in (b"error", b"warning")), done.stdout
    names = [row[0].strip('"').split(" (needed")[0] for row in rows[1:]]
    assert [name for name in WHOLE_BENCHMARK if not any(n.startswith(name) for n in names)] == []
    assert all(float(row[1].strip('"')) > 0 for row in rows[1:])


def test_benchmark_with_many_clients_and_large_values(module_server):
    argv = ["redis-benchmark", "-p", str(module_server.port), "-q", "-n", "2000", "-c", "200", "-d", "10000", "-t",
            "set,get", "-3"]
    done = subprocess.run(argv, capture_output=True, timeout=120)
    assert done.returncode == 0 and b"Error" not in done.stdout + done.stderr
