"""What is told to be on the disk is: each file is synchronised before it takes its name, the directory before anything
that it makes dispensable goes, and the append-only file as often as `appendfsync` says."""
import contextlib
import os

import pytest

from harness.process import ServerProcess, larder_binary
from harness.resp import Client
from harness.waiting import until
from test_aof_faults import faults, faults_library  # noqa: F401: fixtures


class Trace:
    """What the server did to files since this was made, as tuples of what, which path, and its new name."""

    def __init__(self, faults, home, told):  # noqa: F811
        self.file, self.home = told.with_suffix(".trace"), home
        with contextlib.suppress(FileNotFoundError):
            self.file.unlink()
        faults("trace=1")

    def events(self):
        if not self.file.exists():
            return []
        found = [line.split("\t") for line in self.file.read_text().splitlines()]
        return [(what, *(os.path.normpath(self.home / name) for name in names if name)) for what, *names in found]

    def of_file(self, name):
        return [what for what, path, *_ in self.events() if path.endswith(name)]

    def check_names(self, *expected):
        """These names, and no lasting others, were taken, by files that were on the disk before; then the directory."""
        events, taken, done = self.events(), [], {}
        for at, (what, path, *to) in enumerate(events):
            if what != "rename":
                done.setdefault(path, []).append(what)
                continue
            taken.append(os.path.basename(to[0]))
            done[to[0]] = done.pop(path, [])
            assert "write" not in done[to[0]] or done[to[0]][-1] == "sync", (taken[-1], events)
            behind = [other[0] for other in events[at + 1:]
                      if other[0] == "unlink" or other == ("sync", os.path.dirname(to[0]))]
            assert behind and behind[0] == "sync", (taken[-1], events)
        assert sorted(name for name in taken if not name.startswith("temp-")) == sorted(expected), events


@pytest.fixture
def trace(faults, tmp_path):  # noqa: F811
    return lambda home: Trace(faults, home, tmp_path / "faults")


def child_is_over(client):
    persistence = client.info("persistence")
    return persistence["rdb_bgsave_in_progress"] == persistence["aof_rewrite_in_progress"] == "0"


@pytest.mark.parametrize("command", ["SAVE", "BGSAVE"])
def test_a_dump(trace, server, command):
    with Client(server.port) as client:
        client.command("SET", "a", "x" * 100_000)
        seen = trace(server.directory)
        client.command(command)
        until(lambda: child_is_over(client))
        seen.check_names("dump.rdb")


def test_dump_at_the_end(start_server, trace):
    server = start_server("--save", "3600 1")
    with Client(server.port) as client:
        client.command("SET", "a", "1")
    seen = trace(server.directory)
    server.stop_cleanly()
    seen.check_names("dump.rdb")


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_rewrites(start_server, trace, preamble):
    server = start_server("--appendonly", "yes", "--aof-use-rdb-preamble", preamble)
    with Client(server.port) as client:
        client.command("SET", "a", "1")
        seen = trace(server.directory)
        client.command("BGREWRITEAOF")
        until(lambda: child_is_over(client))
        name = "appendonly.aof"
        seen.check_names(f"{name}.2.base.{'rdb' if preamble == 'yes' else 'aof'}", *[f"{name}.manifest"] * 3)
        gone = [what[0] for what in seen.events() if what[0] == "unlink" or what[1].endswith(".base.rdb")]
        assert gone.count("unlink") == 2


def test_the_first_files(start_server, tmp_path, trace):
    home = tmp_path / "home"
    seen = trace(home)
    start_server("--appendonly", "yes", directory=home)
    seen.check_names("appendonly.aof.1.base.rdb", "appendonly.aof.manifest")
    behind = seen.events()[[event[0] for event in seen.events()].index("rename"):]
    assert ("sync", str(home)) in behind, "the directory of the append-only file has a name there"


def test_switching_it_on(trace, server):
    seen = trace(server.directory)
    with Client(server.port) as client:
        client.command("SET", "a", "1")
        assert client.command("CONFIG", "SET", "appendonly", "yes") == b"OK"
        until(lambda: child_is_over(client))
    seen.check_names("appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof", "appendonly.aof.manifest")
    names = [event[0] for event in seen.events()]
    behind = seen.events()[len(names) - names[::-1].index("rename"):]
    assert ("sync", str(server.directory)) in behind, "where the directory has its name"


def test_a_single_file_of_older_versions_is_taken_over(start_server, tmp_path, trace):
    home = tmp_path / "home"
    home.mkdir()
    (home / "appendonly.aof").write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n")
    seen = trace(home)
    with Client(start_server("--appendonly", "yes", directory=home).port) as client:
        assert client.command("GET", "a") == b"1"
    moved = [event[:2] for event in seen.events()]
    moved = moved[moved.index(("rename", str(home / "appendonly.aof"))):]
    assert set(moved[1:3]) == {("sync", str(home)), ("sync", str(home / "appendonlydir"))}


def test_the_cut_of_a_file_that_ends_in_a_command(start_server, tmp_path, trace):
    home = tmp_path / "home"
    server = start_server("--appendonly", "yes", directory=home)
    with Client(server.port) as client:
        client.command("SET", "a", "1")
    server.stop_cleanly()
    with open(next((home / "appendonlydir").glob("*.incr.aof")), "ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$1\r\na")
    seen = trace(home)
    start_server("--appendonly", "yes", directory=home)
    assert seen.of_file(".incr.aof") == ["sync"]


def test_what_is_acknowledged_under_always_is_on_the_disk(start_server, trace):
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    with Client(server.port) as client:
        seen = trace(server.directory)
        for count in range(1, 6):
            client.command("SET", "a", count)
            done = seen.of_file(".incr.aof")
            assert done[-1] == "sync" and done.count("sync") >= count
        client.command("GET", "a")
        assert seen.of_file(".incr.aof") == done
        client.command("RPUSH", "large", *["x" * 1000] * 3000)
        assert seen.of_file(".incr.aof")[-1] == "sync"


def test_what_is_acknowledged_is_on_the_disk_soon_or_when_the_system_likes(start_server, trace):
    server = start_server("--appendonly", "yes", "--appendfsync", "no")
    with Client(server.port) as client:
        seen = trace(server.directory)
        client.command("SET", "a", "1")
        until(lambda: seen.of_file(".incr.aof") == ["write"])
        client.command("CONFIG", "SET", "appendfsync", "everysec")
        client.command("SET", "a", "2")
        until(lambda: seen.of_file(".incr.aof").count("write") == 2 and seen.of_file(".incr.aof")[-1] == "sync")
        client.command("CONFIG", "SET", "appendfsync", "no")
        client.command("SET", "a", "3")
    server.stop_cleanly()
    assert seen.of_file(".incr.aof")[-2:] == ["write", "sync"], "the end is waited for"


def test_files_of_settings_and_users(tmp_path, trace):
    (tmp_path / "users.acl").write_text("user default on nopass ~* &* +@all\n")
    config = tmp_path / "larder.conf"
    config.write_text(f"aclfile {tmp_path}/users.acl\n")
    command = [larder_binary(), str(config), "--port", "{port}", "--bind", "127.0.0.1", "--dir", "{dir}"]
    server = ServerProcess(command, directory=tmp_path, bare=True)
    with Client(server.port) as client:
        seen = trace(tmp_path)
        assert client.command("CONFIG", "SET", "hz", "20") == client.command("CONFIG", "REWRITE") == b"OK"
        seen.check_names("larder.conf")
        assert client.command("ACL", "SAVE") == b"OK"
        seen.check_names("larder.conf", "users.acl")
    server.stop_cleanly()
