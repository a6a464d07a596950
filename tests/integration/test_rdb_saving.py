"""When and how a server saves: commands, save points, the end; and what becomes of it when saving fails."""
import os
import resource
import signal
import time

import pytest

from harness.process import StartFailed
from harness.resp import Client, ConnectionClosed, ErrorReply
from harness.waiting import until
from rdb_contents import key, length, rdb, string

MISCONF = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."


def persistence(client):
    return client.info("persistence")


def saved(client):
    return persistence(client)["rdb_bgsave_in_progress"] == "0"


def load_much(client, keys, size=200):
    """Values that do not compress."""
    client.load(["SET", f"key:{i}", os.urandom(size)] for i in range(keys))


def test_commands(server):
    path = server.directory / "dump.rdb"
    with Client(server.port) as client:
        began = client.command("LASTSAVE")
        assert abs(began - time.time()) < 600
        client.command("SET", "k", "v")
        assert persistence(client)["rdb_changes_since_last_save"] == "1"
        assert client.command("SAVE") == b"OK" and path.exists()
        assert persistence(client)["rdb_changes_since_last_save"] == "0"
        client.command("SET", "k", "w")
        path.unlink()
        assert client.command("BGSAVE") == b"Background saving started"
        until(lambda: saved(client))
        info = persistence(client)
        assert path.exists() and info["rdb_last_bgsave_status"] == "ok" and info["rdb_saves"] == "2"
        assert info["rdb_changes_since_last_save"] == "0" and int(info["rdb_last_bgsave_time_sec"]) >= 0
        assert client.command("BGSAVE", "NOW") == ErrorReply("ERR syntax error")
        assert client.command("BGSAVE", "SCHEDULE") == b"Background saving started"
        until(lambda: saved(client))
        assert client.command("LASTSAVE") >= began
        stats = client.info("stats")
        assert stats["total_forks"] == "2" and int(stats["latest_fork_usec"]) > 0
    assert sorted(p.name for p in server.directory.iterdir()) == ["dump.rdb", "server.log"]


@pytest.mark.server_options("--rdb-key-save-delay", "10000")
def test_one_at_a_time_with_progress(server):
    """While a child saves, its progress shows, others are served, changes are counted on, and no second one begins."""
    with Client(server.port) as client:
        load_much(client, 150)
        assert client.command("BGSAVE") == b"Background saving started"
        os.kill(child_of(server), signal.SIGSTOP)
        busy = ErrorReply("ERR Background save already in progress")
        assert client.command("BGSAVE") == busy and client.command("BGSAVE", "SCHEDULE") == busy
        assert client.command("SAVE") == busy
        for i in range(10):
            assert client.command("SET", f"later:{i}", i) == b"OK"
        info = persistence(client)
        assert info["rdb_bgsave_in_progress"] == "1" and int(info["rdb_current_bgsave_time_sec"]) >= 0
        assert int(info["current_save_keys_total"]) == 150
        os.kill(child_of(server), signal.SIGCONT)
        seen = set()
        while not saved(client):
            seen.add(persistence(client)["current_save_keys_processed"])
        info = persistence(client)
        assert info["rdb_changes_since_last_save"] == "10" and info["rdb_last_bgsave_status"] == "ok"
        assert len(seen) > 1


def test_the_log_is_no_place_for_reports(start_server, tmp_path):
    """A log in a file has the first descriptor that is free: the child's pipe must not take its place, nor it that."""
    log = tmp_path / "log"
    server = start_server("--logfile", log, "--rdb-key-save-delay", "10000", "--enable-debug-command", "yes")
    with Client(server.port) as client:
        load_much(client, 150)
        assert client.command("BGSAVE") == b"Background saving started"
        seen = set()
        while not saved(client):
            seen.add(persistence(client)["current_save_keys_processed"])
        assert len(seen) > 1 and persistence(client)["rdb_last_bgsave_status"] == "ok"
        assert int(persistence(client)["rdb_last_cow_size"]) > 0
    assert all(32 <= byte < 127 or byte == 10 for byte in log.read_bytes())
    assert b":C " in log.read_bytes(), "the child logs, too"


def child_of(server):
    return int(open(f"/proc/{server.pid}/task/{server.pid}/children").read().split()[0])


def test_killed_child_leaves_the_old_file(server):
    path = server.directory / "dump.rdb"
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        client.command("SAVE")
        before = path.read_bytes()
        client.command("CONFIG", "SET", "rdb-key-save-delay", 10_000_000)
        client.command("SET", "k", "w")
        client.command("BGSAVE")
        os.kill(child_of(server), signal.SIGKILL)
        until(lambda: saved(client))
        assert path.read_bytes() == before
        assert persistence(client)["rdb_last_bgsave_status"] == "err"
        assert [p.name for p in server.directory.glob("temp-*")] == []
        assert client.command("SET", "k", "w") == b"OK", "without save points nothing is refused"


@pytest.mark.server_options("--save", "3600 1")
def test_full_disk(server):
    """A limit to the size of files stands for it. Writes are refused, reads are not; it ends when there is room."""
    path = server.directory / "dump.rdb"
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        client.command("SAVE")
        before = path.read_bytes()
        load_much(client, 3000)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        assert client.command("BGSAVE") == b"Background saving started"
        until(lambda: saved(client))
        assert persistence(client)["rdb_last_bgsave_status"] == "err"
        assert client.command("SET", "k", "w").text.startswith(MISCONF)
        assert client.command("DEL", "k").text.startswith(MISCONF)
        assert client.command("PING").text.startswith(MISCONF) and client.command("ECHO", "x") == b"x"
        client.command("MULTI")
        assert client.command("SET", "k", "w").text.startswith(MISCONF)
        assert client.command("EXEC").text.startswith("EXECABORT")
        assert client.command("GET", "k") == b"v" and client.command("DBSIZE") == 3001
        assert client.command("SAVE") == ErrorReply("ERR")
        assert path.read_bytes() == before and list(server.directory.glob("temp-*")) == []
        client.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        assert client.command("SET", "k", "x") == b"OK"
        client.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        assert client.command("SET", "k", "w").text.startswith(MISCONF)
        assert client.command("SHUTDOWN") == ErrorReply("ERR Errors trying to SHUTDOWN. Check logs.")
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: server.log().count("can't exit") == 2)
        assert client.command("GET", "k") == b"x"
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert client.command("BGSAVE") == b"Background saving started"
        until(lambda: saved(client))
        assert client.command("SET", "k", "w") == b"OK" and path.read_bytes() != before


@pytest.mark.server_options("--save", "1 2")
def test_save_points(server):
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        time.sleep(1.5)
        assert not (server.directory / "dump.rdb").exists()
        client.command("SET", "k", "w")
        until(lambda: persistence(client)["rdb_saves"] == "1")
        assert "2 changes in 1 seconds. Saving..." in server.log()
        assert client.command("CONFIG", "SET", "save", "3600 1 60 1000") == b"OK"
        assert client.command("CONFIG", "GET", "save") == [b"save", b"3600 1 60 1000"]


def shut_down(client, *words):
    client.send("SHUTDOWN", *words)
    with pytest.raises((ConnectionClosed, ConnectionError)):
        client.read()


@pytest.mark.parametrize("words, option, saves", [((), "", False), ((), "3600 1", True), (("NOSAVE",), "3600 1", False),
                                                  (("SAVE",), "", True), (("SAVE", "NOW", "FORCE"), "", True)])
def test_shutdown(start_server, words, option, saves):
    server = start_server("--save", option)
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        shut_down(client, *words)
    assert server.process.wait(60) == 0
    assert (server.directory / "dump.rdb").exists() == saves
    server.kill()


def test_shutdown_words(server):
    with Client(server.port) as client:
        syntax = ErrorReply("ERR syntax error")
        for words in (("SAVE", "NOSAVE"), ("ABORT", "NOW"), ("LATER",)):
            assert client.command("SHUTDOWN", *words) == syntax
        assert client.command("SHUTDOWN", "ABORT") == ErrorReply("ERR No shutdown in progress.")


def test_shutdown_in_the_middle_of_a_save(start_server):
    """The child goes, and nothing of it is left."""
    server = start_server("--rdb-key-save-delay", 10**6)
    with Client(server.port) as client:
        load_much(client, 5000)
        client.command("BGSAVE")
        shut_down(client, "NOSAVE")
    assert server.process.wait(60) == 0
    assert [p.name for p in server.directory.iterdir()] == ["server.log"]
    server.kill()


def test_term_saves_and_start_loads(start_server, tmp_path):
    directory = tmp_path / "own"
    server = start_server("--save", "3600 1", directory=directory)
    with Client(server.port) as client:
        client.command("SET", "k", "v", "PXAT", 4102444800000)
    assert server.stop() == 0
    again = start_server("--save", "3600 1", directory=directory)
    with Client(again.port) as client:
        while isinstance(client.command("GET", "k"), ErrorReply):  # it answers before it has loaded
            time.sleep(0.01)
        assert client.command("GET", "k") == b"v" and client.command("PEXPIRETIME", "k") == 4102444800000


@pytest.mark.parametrize("signal_name, how, points, is_saved", (
    ("SIGTERM", "default", "", False), ("SIGTERM", "save", "", True), ("SIGTERM", "nosave", "900 1", False),
    ("SIGINT", "force nosave", "900 1", False), ("SIGINT", "default", "900 1", True)))
def test_what_a_signal_saves(start_server, tmp_path, signal_name, how, points, is_saved):
    server = start_server("--save", points, f"--shutdown-on-{signal_name.lower()}", how, directory=tmp_path)
    with Client(server.port) as client:
        client.command("SET", "k", "v")
    server.process.send_signal(getattr(signal, signal_name))
    assert server.process.wait(60) == 0
    server.kill()
    assert (tmp_path / "dump.rdb").exists() == is_saved


def test_a_signal_may_end_the_server_though_the_save_fails(start_server, tmp_path):
    server = start_server("--save", "900 1", directory=tmp_path)
    (tmp_path / "dump.rdb").mkdir()
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "can't exit" in server.log())
        assert client.command("PING") == b"PONG"
        client.command("CONFIG", "SET", "shutdown-on-sigterm", "force")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    server.kill()


def test_a_signal_waits_for_the_first_append_only_file_unless_forced(start_server):
    server = start_server("--enable-debug-command", "yes")
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        client.command("CONFIG", "SET", "rdb-key-save-delay", 10_000_000)
        client.command("CONFIG", "SET", "appendonly", "yes")
        until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == "1")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "Writing initial AOF, can't exit" in server.log())
        client.command("CONFIG", "SET", "shutdown-on-sigterm", "force")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    server.kill()


def test_loading_answers(start_server, tmp_path):
    """While it loads a server tells so, answers what may be answered, and can be ended."""
    directory = tmp_path / "large"
    data = make_file(directory)
    server = start_server("--key-load-delay", 10**7, directory=directory)
    with Client(server.port) as client:
        refused = client.command("GET", "hash0")
        assert refused == ErrorReply("LOADING Redis is loading the dataset in memory")
        assert client.command("SET", "k", "v") == refused
        assert client.command("PING") in (refused, b"PONG")
        info = persistence(client)
        assert info["loading"] == "1" and int(info["loading_total_bytes"]) == len(data)
        assert 0 < float(info["loading_loaded_perc"]) <= 100 and "loading_eta_seconds" in info
        assert client.command("CONFIG", "SET", "key-load-delay", 0) == b"OK"
        until(lambda: persistence(client)["loading"] == "0")
        assert client.command("HLEN", "hash3") == FIELDS


FIELDS = 20_000


def make_file(directory):
    """Four large hashes, saved."""
    value = b"".join(string(b"%08d" % i) + string("v") for i in range(FIELDS))
    data = rdb(10, *(key(4, f"hash{i}", length(FIELDS) + value) for i in range(4)), checksum=False)
    directory.mkdir()
    (directory / "dump.rdb").write_bytes(data)
    return data


def test_a_file_that_cannot_be_opened_stops_the_start(start_server, tmp_path):
    """A server that began with nothing would soon save that."""
    (tmp_path / "dump.rdb").symlink_to("dump.rdb")
    with pytest.raises(StartFailed, match="Fatal error loading the DB.*can't open 'dump.rdb'"):
        start_server(directory=tmp_path)


def test_term_while_loading(start_server, tmp_path):
    directory = tmp_path / "large"
    data = make_file(directory)
    server = start_server("--save", "3600 1", "--key-load-delay", 10**7, directory=directory)
    assert server.stop() == 0
    assert (directory / "dump.rdb").read_bytes() == data


def test_shutdown_by_a_signal_can_be_aborted(start_server):
    server = start_server("--enable-debug-command", "yes")
    with Client(server.port) as client:
        client.command("DEBUG", "PAUSE-CRON", "1")
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: "scheduling shutdown" in server.log())
        assert client.command("SHUTDOWN", "ABORT") == b"OK"
        assert "Shutdown manually aborted." in server.log()
        client.command("DEBUG", "PAUSE-CRON", "0")
        assert client.command("PING") == b"PONG"
        assert client.command("SHUTDOWN", "ABORT") == ErrorReply("ERR No shutdown in progress.")


def test_flushall_gives_up_the_save(start_server):
    """What a child saves of the data that are gone must not come back; the changes still count."""
    server = start_server("--rdb-key-save-delay", "10000000", "--save", "")
    with Client(server.port) as client:
        load_much(client, 100)
        assert client.command("BGSAVE") == b"Background saving started"
        child = child_of(server)
        client.command("FLUSHDB")
        assert child_of(server) == child and persistence(client)["rdb_bgsave_in_progress"] == "1"
        client.command("FLUSHALL")
        until(lambda: saved(client))
        info = persistence(client)
        assert info["rdb_last_bgsave_status"] == "ok" and int(info["rdb_changes_since_last_save"]) >= 100
        assert [p.name for p in server.directory.iterdir()] == ["server.log"]
        client.command("CONFIG", "SET", "rdb-key-save-delay", "0")
        assert client.command("BGSAVE") == b"Background saving started"
        until(lambda: saved(client))
        assert persistence(client)["rdb_changes_since_last_save"] == "0"


def test_flushall_empties_the_file(start_server):
    """With save points, what was removed does not come back from the last file when the server dies."""
    server = start_server("--save", "3600 1")
    with Client(server.port) as client:
        load_much(client, 100)
        assert client.command("SAVE") == b"OK"
        full = (server.directory / "dump.rdb").stat().st_size
        client.command("SET", "one", "more")
        client.command("FLUSHALL")
        assert persistence(client)["rdb_changes_since_last_save"] == "0"
        until(lambda: (server.directory / "dump.rdb").stat().st_size < full / 2)
        until(lambda: saved(client))


def test_a_save_in_a_transaction_waits_for_its_end(start_server):
    server = start_server("--save", "")
    with Client(server.port) as client:
        for words in (("MULTI",), ("SET", "a", "1"), ("BGSAVE",), ("SET", "b", "2")):
            client.command(*words)
        assert client.command("EXEC") == [b"OK", b"Background saving scheduled", b"OK"]
        until(lambda: persistence(client)["rdb_changes_since_last_save"] == "0")


def test_who_interrupts_twice_does_not_wait_for_the_file(start_server):
    server = start_server("--rdb-key-save-delay", "100000", "--save", "900 1")
    with Client(server.port) as client:
        load_much(client, 100)
    temporary = server.directory / f"temp-{server.pid}.rdb"
    os.kill(server.pid, signal.SIGINT)
    until(temporary.exists)
    os.kill(server.pid, signal.SIGINT)
    server.ended_by_us = True
    assert server.process.wait(60) == 1
    assert not temporary.exists() and not (server.directory / "dump.rdb").exists()
