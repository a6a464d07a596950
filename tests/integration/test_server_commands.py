"""CLIENT, SLOWLOG, INFO, MEMORY, DEBUG and SHUTDOWN, beside redis-server where the reply is determined."""
import ctypes
import platform
import re
import struct
import time

import pytest

from harness.resp import Client, ErrorReply
from harness.waiting import has_answered, until

SERVER_OPTIONS = ("--enable-debug-command", "yes")


def lines_of(text):
    return [line for line in text.decode().split("\n") if line]


def fields_of(line):
    return dict(part.split("=", 1) for part in line.split(" "))


# CLIENT

@pytest.mark.parametrize("command", [
    "CLIENT", "CLIENT nosuch", "CLIENT ID x", "CLIENT GETNAME", "CLIENT SETNAME a", "CLIENT SETNAME", "CLIENT GETREDIR",
    "CLIENT KILL", "CLIENT KILL nobody", "CLIENT KILL 1 2 3", "CLIENT KILL ID abc", "CLIENT KILL ID 0",
    "CLIENT KILL ID 99999999", "CLIENT KILL ID 1 SKIPME maybe", "CLIENT KILL TYPE nosuch", "CLIENT KILL USER nobody",
    "CLIENT KILL ADDR 127.0.0.1:1", "CLIENT KILL LADDR 127.0.0.1:1", "CLIENT KILL TYPE pubsub",
    "CLIENT KILL TYPE replica",
    "CLIENT LIST x", "CLIENT LIST TYPE nosuch", "CLIENT LIST ID", "CLIENT LIST ID x", "CLIENT LIST TYPE pubsub",
    "CLIENT LIST ID 99999999", "CLIENT PAUSE", "CLIENT PAUSE abc", "CLIENT PAUSE -1", "CLIENT PAUSE 1 nosuch",
    "CLIENT PAUSE 0 WRITE", "CLIENT UNPAUSE", "CLIENT REPLY", "CLIENT REPLY nosuch", "CLIENT REPLY ON",
    "CLIENT UNBLOCK x", "CLIENT UNBLOCK 99999999", "CLIENT UNBLOCK 1 nosuch", "CLIENT NO-EVICT x", "CLIENT NO-EVICT ON",
    "CLIENT NO-EVICT OFF"])
def test_client_replies(pair, command):
    pair.same(command)


def test_client_names_are_checked(pair):
    pair.same(("CLIENT", "SETNAME", "with space"), ("CLIENT", "SETNAME", "line\nend"), "CLIENT GETNAME",
              ("CLIENT", "SETNAME", "fine"), "CLIENT GETNAME", ("CLIENT", "SETNAME", ""), "CLIENT GETNAME")


def test_client_list_has_the_fields_of_redis(pair):
    ours, theirs = [c.command("CLIENT", "LIST") for c in pair.both]
    our_names, their_names = [list(fields_of(lines_of(text)[-1])) for text in (ours, theirs)]
    assert [name for name in our_names if name in their_names] == their_names


def test_client_list_tells_about_each_client(server, protocol):
    with Client(server.port, protocol) as one, Client(server.port) as two:
        one.command("CLIENT", "SETNAME", "one")
        two.command("SELECT", 3)
        two.command("CLIENT", "SETINFO", "LIB-NAME", "somelib")
        two.command("CLIENT", "SETINFO", "lib-ver", "1.2.3")
        rows = {row["id"]: row for row in map(fields_of, lines_of(one.command("CLIENT", "LIST")))}
        own, other = (rows[str(c.command("CLIENT", "ID"))] for c in (one, two))
        assert (own["name"], own["db"], own["cmd"], own["resp"]) == ("one", "0", "client|list", str(protocol))
        assert (other["db"], other["lib-name"], other["lib-ver"]) == ("3", "somelib", "1.2.3")
        port = two.sock.getsockname()[1]
        assert other["addr"] == f"127.0.0.1:{port}" and other["laddr"] == f"127.0.0.1:{server.port}"
        info = fields_of(two.command("CLIENT", "INFO").decode().strip())
        assert info["id"] == other["id"] and info["cmd"] == "client|info"
        listed = lines_of(one.command("CLIENT", "LIST", "ID", other["id"], 424242))
        assert [fields_of(line)["id"] for line in listed] == [other["id"]]
        refused = two.command("CLIENT", "SETINFO", "lib-name", "two words")
        assert refused.text == "ERR lib-name cannot contain spaces, newlines or special characters."
        assert two.command("CLIENT", "SETINFO", "nosuch", "x").text == "ERR Unrecognized option 'nosuch'"


def test_client_list_of_very_many_is_whole(server):
    clients = [Client(server.port) for _ in range(500)]
    try:
        ids = {str(c.command("CLIENT", "ID")) for c in clients}
        listed = {fields_of(line)["id"] for line in lines_of(clients[0].command("CLIENT", "LIST"))}
        assert ids <= listed
    finally:
        for c in clients:
            c.close()


def test_client_kill_ends_those_who_fit(server):
    def victim():
        connection = Client(server.port)
        return connection, connection.command("CLIENT", "ID"), connection.sock.getsockname()[1]

    with Client(server.port) as killer:
        connection, number, _ = victim()
        assert killer.command("CLIENT", "KILL", "ID", number) == 1
        assert connection.is_closed_by_server()
        connection, _, port = victim()
        assert killer.command("CLIENT", "KILL", f"127.0.0.1:{port}") == b"OK"
        assert connection.is_closed_by_server()
        connection, _, port = victim()
        assert killer.command("CLIENT", "KILL", "ADDR", f"127.0.0.1:{port}", "TYPE", "normal") == 1
        assert connection.is_closed_by_server()
        others = [victim()[0] for _ in range(5)]
        assert killer.command("CLIENT", "KILL", "LADDR", f"127.0.0.1:{server.port}") == 5
        assert all(c.is_closed_by_server() for c in others)
        survivor, *_ = victim()
        assert killer.command("CLIENT", "KILL", "MAXAGE", 1000) == 0
        assert killer.command("CLIENT", "KILL", "MAXAGE", 2**63 - 1) == 0 and survivor.command("PING") == b"PONG"
        for age, text in (("x", "value is not an integer or out of range"), ("-1", "maxage should be greater than 0")):
            assert killer.command("CLIENT", "KILL", "MAXAGE", age).text == f"ERR {text}"
        own = killer.command("CLIENT", "ID")
        assert killer.command("CLIENT", "KILL", "ID", own) == 0
        assert killer.command("CLIENT", "KILL", "ID", own, "SKIPME", "no") == 1
        assert killer.is_closed_by_server()


def test_what_a_killed_client_had_pipelined_is_not_run(server):
    with Client(server.port) as one, Client(server.port) as two:
        number = two.command("CLIENT", "ID")
        one.load([("CLIENT", "KILL", "ID", number)])
        with pytest.raises(Exception):
            for _ in range(3):
                two.command("SET", "ran", 1)
        assert one.command("EXISTS", "ran") == 0


def test_pause_holds_up_writes_only_or_everything(server):
    with Client(server.port) as one, Client(server.port) as two:
        write, read = ("SET", "k", "v"), ("GET", "k")
        for mode, command, waits in (("WRITE", write, True), ("WRITE", read, False), ("ALL", read, True)):
            assert one.command("CLIENT", "PAUSE", 60_000, mode) == b"OK"
            two.send(*command)
            if waits:
                time.sleep(0.1)
                assert not has_answered(two), (mode, command)
                assert one.command("CLIENT", "UNPAUSE") == b"OK"
            assert two.read().value in (b"OK", b"v")
            one.command("CLIENT", "UNPAUSE")
        assert one.command("CLIENT", "PAUSE", 100) == b"OK"
        assert two.command(*read) == b"v"


def test_unpause_lets_go_at_once_and_keeps_the_order(server):
    with Client(server.port) as one, Client(server.port) as two:
        one.command("CLIENT", "PAUSE", 60000)
        two.send_raw(b"SET k 1\r\nINCR k\r\nINCR k\r\nGET k\r\n")
        time.sleep(0.1)
        assert one.command("CLIENT", "UNPAUSE") == b"OK"
        assert [two.read().value for _ in range(4)] == [b"OK", 2, 3, b"3"]


def test_what_expires_in_a_pause_is_unseen_but_stays(server):
    with Client(server.port) as client:
        for command in (["MULTI"], ["SET", "k", "v", "PX", 1], ["CLIENT", "PAUSE", 60000, "WRITE"], ["EXEC"]):
            client.command(*command)
        until(lambda: client.command("GET", "k") is None)
        time.sleep(0.15)  # the walk over what expires comes every 0.1 s
        assert client.command("EXISTS", "k") == 0 and client.command("TTL", "k") == -2
        assert client.command("DBSIZE") == 1 and client.command("RANDOMKEY") == b"k"
        assert client.info("stats")["expired_keys"] == "0"
        client.command("CLIENT", "UNPAUSE")
        assert client.command("GET", "k") is None
        assert client.command("DBSIZE") == 0 and client.info("stats")["expired_keys"] == "1"


def test_who_waits_for_the_end_of_a_pause_is_blocked(server):
    with Client(server.port) as one, Client(server.port) as two, Client(server.port) as three:
        one.command("PFADD", "h", "x")
        two_id = two.command("CLIENT", "ID")
        one.command("CLIENT", "PAUSE", 60000, "WRITE")
        two.send("BLPOP", "list", 0)
        three.send("PFCOUNT", "h")
        until(lambda: one.info("clients")["blocked_clients"] == "2")
        assert b" flags=b " in one.command("CLIENT", "LIST", "ID", two_id)
        assert one.command("CLIENT", "UNBLOCK", two_id) == 0
        one.command("CLIENT", "UNPAUSE")
        assert three.read().value == 1
        until(lambda: one.command("CLIENT", "UNBLOCK", two_id, "ERROR") == 1)
        assert two.read().value.text.startswith("UNBLOCKED")
        assert one.info("clients")["blocked_clients"] == "0"


def test_reply_off_and_skip(client):
    client.send_raw(b"CLIENT REPLY OFF\r\nPING\r\nSET k 1\r\nNOSUCH\r\nCLIENT REPLY ON\r\nGET k\r\n")
    assert [client.read().value for _ in range(2)] == [b"OK", b"1"]
    client.send_raw(b"CLIENT REPLY SKIP\r\nINCR k\r\nINCR k\r\nCLIENT REPLY SKIP\r\nKEYS *\r\nPING\r\n")
    assert [client.read().value for _ in range(2)] == [3, b"PONG"]


# SLOWLOG

def test_slowlog_replies(pair):
    pair.same("CONFIG SET slowlog-log-slower-than -1", "SLOWLOG RESET", "SLOWLOG GET", "SLOWLOG GET x",
              "SLOWLOG GET -2", "SLOWLOG GET 1 2", "SLOWLOG LEN", "SLOWLOG LEN x", "SLOWLOG nosuch", "SLOWLOG")


def test_slowlog_keeps_what_was_slow(pair):
    for client in pair.both:
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 3)
        client.command("SLOWLOG", "RESET")
        client.command("CLIENT", "SETNAME", "me")
        client.command("SET", "long", "x" * 300)
        client.command("MSET", *[f"arg{i}" for i in range(50)])
    ours, theirs = [c.command("SLOWLOG", "GET", -1) for c in pair.both]
    assert [entry[3] for entry in ours] == [entry[3] for entry in theirs]
    assert all(len(entry) == 6 and entry[2] >= 0 and entry[5] == b"me" for entry in ours[:2])
    assert abs(ours[0][1] - time.time()) < 60
    for client in pair.both:
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 10000, "slowlog-max-len", 128)


def test_slowlog_shows_large_arguments_that_the_store_took_over(server):
    """Packed by the store, or kept as they are, or not at all."""
    with Client(server.port) as client:
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 0, "list-max-listpack-size", 2**31 - 1)
        for words in (["RPUSH", "l"], ["RPUSH", "l", "small"], ["SET", "k"], ["SETEX", "k", 100], ["RPUSHX", "none"]):
            for letter in "ab":
                client.command("SLOWLOG", "RESET")
                client.command(*words, letter * 70_000)
                [entry] = [entry for entry in client.command("SLOWLOG", "GET", -1) if entry[3][0] == words[0].encode()]
                assert entry[3][-1] == letter.encode() * 128 + b"... (69872 more bytes)"
        client.command("APPEND", "k", "x")
        assert client.command("STRLEN", "k") == 70_001


def test_slowlog_shows_no_passwords(server):
    with Client(server.port) as client:
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
        client.command("AUTH", "default", "s3cret-one")
        client.command("HELLO", 3, "AUTH", "default", "s3cret-two")
        client.command("CONFIG", "SET", "requirepass", "s3cret-three")
        logged = repr(client.command("SLOWLOG", "GET", -1))
        assert "s3cret" not in logged and "(redacted)" in logged
    assert "s3cret" not in server.log()


def test_slowlog_hides_what_redis_hides(pair):
    away = ["127.0.0.1", 1]
    for client in pair.both:
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
        for command in (["SLOWLOG", "RESET"], ["ACL", "SETUSER", "a user", "+get", ">p"],
                        ["ACL", "DRYRUN", "default", "GET", "x"],
                        ["CONFIG", "SET", "masterauth", "p", "slowlog-max-len", 128, "masteruser", "u"],
                        ["CONFIG", "SET", "masterauth", "", "masteruser", ""], ["CONFIG", "GET", "masterauth"],
                        ["AUTH", "p"], ["AUTH", "default", "p"], ["HELLO", 2], ["HELLO", 2, "AUTH", "u", "p"],
                        ["HELLO", pair.protocol, "AUTH", "default", "p", "SETNAME", "n"],
                        ["MIGRATE", *away, "none", 0, 9], ["MIGRATE", *away, "none", 0, 9, "COPY", "AUTH", "p"],
                        ["MIGRATE", *away, "", 0, 9, "AUTH2", "u", "p", "KEYS", "auth", "b"],
                        ["CONFIG", "SET", "slowlog-log-slower-than", 1_000_000]):
            client.command(*command)
    ours, theirs = ([entry[3] for entry in c.command("SLOWLOG", "GET", -1)] for c in pair.both)
    assert ours == theirs and len(ours) >= 14
    for client in pair.both:
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 10000)


# INFO and MEMORY

OWN_SECTIONS = ("# Turns\r", "# Latencysplit\r", "# Keysizes\r", "# Insight\r")
PER_COMMAND = ("cmdstat_", "latency_percentiles_", "errorstat_", "db")  # these depend on what was called before


def test_info_has_the_sections_and_fields_of_redis(pair):
    for section in ("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "cluster", "modules",
                    "default", "all", "everything", "keyspace", "nosuch"):
        ours, theirs = [c.command("INFO", section).decode() for c in pair.both]
        headings = [re.findall(r"^# .*$", text, re.MULTILINE) for text in (ours, theirs)]
        assert [heading for heading in headings[0] if heading not in OWN_SECTIONS] == headings[1], section
        names = [set(re.findall(r"^([a-z_0-9]+):", text, re.MULTILINE)) for text in (ours, theirs)]
        missing = {name for name in names[1] - names[0] if not name.startswith(PER_COMMAND)}
        assert missing == set(), section


def test_info_counts(server):
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        client.command("SET", "volatile", "v", "EX", 100)
        client.command("GET", "k")
        client.command("GET", "nothing")
        client.command("GET")
        client.command("INCR", "k")
        info = client.info()
        assert info["db0"].startswith("keys=2,expires=1,avg_ttl=")
        assert info["keyspace_hits"] == "1" and info["keyspace_misses"] == "1"
        assert info["cmdstat_get"].startswith("calls=2,") and "rejected_calls=1,failed_calls=0" in info["cmdstat_get"]
        assert "rejected_calls=0,failed_calls=1" in info["cmdstat_incr"]
        assert info["errorstat_ERR"] == "count=2"
        assert info["total_error_replies"] == "2"
        assert re.match(r"p50=[\d.]+,p99=[\d.]+,p99\.9=[\d.]+$", info["latency_percentiles_usec_get"])
        client.command("CONFIG", "RESETSTAT")
        after = client.info()
        assert "cmdstat_get" not in after and "errorstat_ERR" not in after and after["keyspace_hits"] == "0"


def test_info_counts_who_watches(server):
    def facts(client):
        info = client.info("clients")
        return info["watching_clients"], info["total_watched_keys"]

    with Client(server.port) as one, Client(server.port) as two:
        one.command("WATCH", "a", "b", "a")
        two.command("WATCH", "b", "c")
        assert facts(one) == ("2", "3")
        one.command("UNWATCH")
        assert facts(one) == ("1", "2") and b" watch=2 " in two.command("CLIENT", "INFO")
        two.command("RESET")
        assert facts(one) == ("0", "0")


def test_info_knows_listeners_and_the_loop(start_server, tmp_path):
    path = tmp_path / "socket"
    server = start_server("--bind", "127.0.0.1", "-::1", "--unixsocket", path)
    with Client(server.port) as client:
        info = client.info("server")
        assert info["listener0"] == f"name=tcp,bind=127.0.0.1,bind=-::1,port={server.port}"
        assert info["listener1"] == f"name=unix,bind={path}"
        client.load([("SET", f"k{i}", "v") for i in range(20_000)])
        stats = client.info("stats")
        whole, executing = (int(stats[f"eventloop_duration_{what}sum"]) for what in ("", "cmd_"))
        assert whole >= executing > 0 and int(stats["eventloop_cycles"]) > 0
        client.command("CONFIG", "RESETSTAT")
        assert int(client.info("stats")["eventloop_cycles"]) < int(stats["eventloop_cycles"])


def test_info_debug_is_shown_to_who_knows_of_it(start_server):
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    with Client(server.port) as client:
        client.load([("SET", f"k{i}", "v") for i in range(1000)])
        until(lambda: int(client.info("debug")["eventloop_duration_cron_sum"]) > 0)
        debug = {name: int(value) for name, value in client.info("debug").items()}
        assert debug["eventloop_duration_aof_sum"] > 0 and debug["eventloop_duration_max"] > 0
        assert debug["eventloop_cmd_per_cycle_max"] > 1
        assert not set(debug) & set(client.info("everything"))
        client.command("CONFIG", "RESETSTAT")
        assert int(client.info("debug")["eventloop_cmd_per_cycle_max"]) == 1


def test_an_idle_process_sleeps(server):
    with Client(server.port) as client:
        began, before = time.monotonic(), int(client.info("stats")["eventloop_cycles"])
        time.sleep(0.4)
        turns, elapsed = int(client.info("stats")["eventloop_cycles"]) - before, time.monotonic() - began
        assert turns < 25 * elapsed + 6, "the clockwork, and what it does along with that"


def test_who_lists_clients_sees_the_request_in_the_buffer(server):
    with Client(server.port) as client, Client(server.port) as other:
        other.command("CLIENT", "SETNAME", "other")
        for word in ("LIST", "INFO"):
            assert b" qbuf=26 " in client.command("CLIENT", word)
        assert b" qbuf=0 " in client.command("CLIENT", "LIST", "ID", other.command("CLIENT", "ID"))


def test_the_list_tells_how_much_of_a_large_argument_has_come(server):
    """Of it alone, until its line end has come too: what stands before it was taken out of the buffer."""
    with Client(server.port) as client:
        for head, sent in ((b"*2\r\n", 600_000), (b"*2\r\n$3\r\nGET\r\n", 1_000_000)):
            with Client(server.port) as sender:
                number = sender.command("CLIENT", "ID")
                sender.send_raw(head + b"$1000000\r\n" + b"v" * sent)
                until(lambda: b" qbuf=%d " % sent in client.command("CLIENT", "LIST", "ID", number))


def test_memory_stats_tell_of_tables(server):
    with Client(server.port, protocol=3) as client:
        def facts():
            return [client.command("MEMORY", "STATS")[name.encode()] for name in (
                "overhead.db.hashtable.lut", "overhead.db.hashtable.rehashing", "db.dict.rehashing.count")]

        assert facts() == [0, 0, 0]
        client.command("SET", "a", "b")
        [tables, *rehashing] = facts()
        assert 0 < tables < 1000 and rehashing == [0, 0]


def test_used_memory_follows_the_data(server):
    with Client(server.port) as client:
        before = int(client.info("memory")["used_memory"])
        client.load(("SET", f"k{i}", "x" * 1000) for i in range(10_000))
        full = int(client.info("memory")["used_memory"])
        assert 10_000 * 1000 < full - before < 10_000 * 1400
        client.command("FLUSHALL")
        assert int(client.info("memory")["used_memory"]) - before < 1_000_000
        assert int(client.info("memory")["used_memory_peak"]) >= full


def test_memory_replies(pair):
    pair.same("MEMORY", "MEMORY nosuch", "MEMORY USAGE", "MEMORY USAGE nothing", "MEMORY PURGE", "MEMORY STATS x",
              "MEMORY USAGE k SAMPLES", "MEMORY USAGE k SAMPLES -1", "MEMORY USAGE k SAMPLES x")
    for client in pair.both:
        client.command("SET", "k", "v")
    ours, theirs = [c.command("MEMORY", "STATS") for c in pair.both]
    names = [set(x if isinstance(x, dict) else x[::2]) for x in (ours, theirs)]
    assert names[1] - names[0] == set()
    text = pair.both[0].command("MEMORY", "MALLOC-STATS")
    assert text
    assert b"MB" in pair.both[0].command("MEMORY", "DOCTOR")


def test_memory_stats_of_a_database_that_was_emptied(client):
    """Its table is small again, and is told of until it is flushed."""
    def table(db):
        stats = client.command("MEMORY", "STATS")
        stats = stats if isinstance(stats, dict) else dict(zip(stats[::2], stats[1::2]))
        facts = stats.get(f"db.{db}".encode())
        return dict(zip(facts[::2], facts[1::2])) if isinstance(facts, list) else facts
    client.command("SELECT", 3)
    assert table(3) is None
    client.load(("SET", f"k{i}", "v") for i in range(1000))
    full = table(3)[b"overhead.hashtable.main"]
    client.load(("DEL", f"k{i}") for i in range(1000))
    assert 0 < table(3)[b"overhead.hashtable.main"] < 400 < full
    client.command("FLUSHDB")
    assert table(3) is None


def test_lolwut_tells_the_version(client):
    assert b"Redis ver. 7.4.0" in client.command("LOLWUT")
    assert b"Redis ver." in client.command("LOLWUT", "VERSION", 5, 1, 1)


def test_time_and_role(pair):
    pair.same("ROLE", "TIME x")
    for client in pair.both:
        seconds, micros = client.command("TIME")
        assert abs(int(seconds) - time.time()) < 60 and 0 <= int(micros) < 1_000_000


@pytest.mark.parametrize("command", [
    "FUNCTION", "FUNCTION nosuch", "FUNCTION FLUSH", "FUNCTION FLUSH ASYNC", "FUNCTION FLUSH nosuch",
    "FUNCTION FLUSH SYNC x", "FUNCTION LIST", "FUNCTION LIST WITHCODE LIBRARYNAME a*", "FUNCTION LIST nosuch",
    "FUNCTION LIST WITHCODE WITHCODE", "FUNCTION LIST LIBRARYNAME", "FUNCTION LIST LIBRARYNAME a LIBRARYNAME b",
    "FUNCTION KILL", "FUNCTION DELETE nothing", "SCRIPT", "SCRIPT nosuch", "SCRIPT KILL", "SCRIPT EXISTS",
    "SCRIPT EXISTS a b", "SCRIPT FLUSH", "SCRIPT FLUSH sync", "SCRIPT FLUSH nosuch", "SCRIPT FLUSH SYNC x"])
def test_no_script_is_there(pair, command):
    pair.same(command)


# DEBUG

@pytest.mark.parametrize("command", [
    "DEBUG", "DEBUG nosuch", "DEBUG OBJECT nothing", "DEBUG SLEEP 0", "DEBUG SET-ACTIVE-EXPIRE 1",
    "DEBUG PROTOCOL nosuch", "DEBUG POPULATE", "DEBUG POPULATE x", "DEBUG POPULATE -1", "DEBUG LISTPACK nothing",
    "DEBUG ERROR", "DEBUG LOG text", ("DEBUG", "ERROR", "MYERR some text"),
    "DEBUG QUICKLIST-PACKED-THRESHOLD nosuch", "DEBUG QUICKLIST-PACKED-THRESHOLD 100b",
    "DEBUG REPLYBUFFER nosuch x", "DEBUG REPLYBUFFER RESIZING 0", "DEBUG REPLYBUFFER PEAK-RESET-TIME never",
    "DEBUG PAUSE-CRON 0", "DEBUG CHANGE-REPL-ID", *(f"DEBUG PROTOCOL {kind}" for kind in (
        "string", "integer", "double", "bignum", "null", "array", "set", "map", "attrib", "push", "verbatim", "true",
        "false"))])
def test_debug_replies(pair, command):
    pair.same(command)


def test_time_goes_on_within_a_pipeline(pair):
    """What comes behind a command that took long finds that what expired meanwhile is gone."""
    commands = [["SET", "k", "v", "PX", "30"], ["DEBUG", "SLEEP", "0.05"], ["GET", "k"], ["EXISTS", "k"]]
    for args, ours, theirs in pair.exchange(commands):
        assert ours.raw == theirs.raw, args


def test_debug_tells_of_packed_values(pair):
    pair.same("HSET h a 1 b 2", "DEBUG LISTPACK h", "SET s 1", "DEBUG LISTPACK s", "DEBUG QUICKLIST s",
              ("RPUSH", "l", *(f"element {i:050}" for i in range(500))), "DEBUG QUICKLIST l", "DEBUG LISTPACK l")


@pytest.mark.server_options("--enable-debug-command", "yes")
def test_debug_of_what_came_after_7_0(client):
    client.command("HSET", "h", "a", "1", "b", "2")
    client.command("HEXPIRE", "h", "1000", "FIELDS", "1", "a")
    assert client.command("OBJECT", "ENCODING", "h") == b"listpackex"
    assert client.command("DEBUG", "LISTPACK", "h") == b"Listpack structure printed on stdout"
    assert client.command("DEBUG", "QUICKLIST", "h").text == "ERR Not a quicklist encoded object."
    for value in ("0", "1"):
        for name in ("DICT-RESIZING", "KEYSIZES-HIST-ASSERT"):
            assert client.command("DEBUG", name, value) == b"OK"
            assert isinstance(client.command("DEBUG", name, "x"), ErrorReply)


def test_debug_populate(pair):
    pair.same("DEBUG POPULATE 100", "DBSIZE", "GET key:0", "GET key:99", "DEBUG POPULATE 10 other 20", "GET other:3",
              "SET key:5 mine", "DEBUG POPULATE 100", "GET key:5", "DEBUG POPULATE 3 p 4", "GET p:1", "DBSIZE")


def test_debug_digest_depends_on_the_contents_alone(server):
    with Client(server.port) as client:
        empty = client.command("DEBUG", "DIGEST")
        assert empty == b"0" * 40
        for order in (range(100), range(99, -1, -1)):
            client.command("FLUSHALL")
            client.load(("SET", f"k{i}", f"v{i}") for i in order)
            client.command("SELECT", 1)
            client.command("SET", "n", "12")
            client.command("SELECT", 0)
            if order.start == 0:
                first = client.command("DEBUG", "DIGEST")
        assert client.command("DEBUG", "DIGEST") == first != empty
        client.command("APPEND", "k1", "x")
        assert client.command("DEBUG", "DIGEST") != first
        client.command("SET", "k1", "v1")
        client.command("SET", "text", "1")
        client.command("APPEND", "text", "2")
        client.command("SET", "number", "12")
        assert len(set(client.command("DEBUG", "DIGEST-VALUE", "text", "number"))) == 1
        client.command("EXPIRE", "k1", 100)
        client.command("DEL", "text", "number")
        assert client.command("DEBUG", "DIGEST") != first


def test_debug_check_finds_nothing_wrong(server):
    with Client(server.port) as client:
        ttl = [("PX", 5), (), ()]
        client.load(("SET", f"k{i}", "v" * (i % 2000), *ttl[i % 3]) for i in range(20_000))
        client.load(("DEL", f"k{i}") for i in range(0, 20_000, 7))
        assert client.command("DEBUG", "CHECK") == b"OK"
        client.command("FLUSHALL", "ASYNC")
        assert client.command("DEBUG", "CHECK") == b"OK"


@pytest.mark.server_options()
def test_debug_is_off_by_default(server):
    with Client(server.port) as client:
        refused = client.command("DEBUG", "JMAP")
        assert isinstance(refused, ErrorReply) and refused.text.startswith("ERR DEBUG command not allowed.")
        assert client.command("CONFIG", "SET", "enable-debug-command", "yes").text.startswith("ERR CONFIG SET failed")


def test_active_expiry_can_be_stopped(server):
    with Client(server.port) as client:
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        client.load(("SET", f"k{i}", "v", "PX", 1) for i in range(100))
        time.sleep(0.3)
        assert client.command("DBSIZE") == 100
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        until(lambda: client.command("DBSIZE") == 0)
        assert client.info("stats")["expired_keys"] == "100"


# SHUTDOWN, signals

@pytest.mark.parametrize("arguments", ["nosuch", "SAVE NOSAVE", "ABORT", "ABORT NOSAVE"])
def test_shutdown_refuses(pair, arguments):
    pair.same(f"SHUTDOWN {arguments}")


@pytest.mark.parametrize("arguments", [(), ("NOSAVE",), ("NOW", "FORCE")])
def test_shutdown_ends_the_server(start_server, arguments):
    server = start_server()
    with Client(server.port) as client:
        client.send("SHUTDOWN", *arguments)
        assert client.is_closed_by_server()
    assert server.process.wait(60) == 0
    assert "bye bye" in server.log()
    server.ended_by_us = True


def test_shutdown_in_the_middle_of_work(start_server):
    server = start_server("--enable-debug-command", "yes")
    with Client(server.port) as one, Client(server.port) as two, Client(server.port) as three:
        one.command("DEBUG", "POPULATE", 300_000)
        one.send("KEYS", "*")
        three.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nxxx")
        two.send("SHUTDOWN", "NOSAVE")
        assert two.is_closed_by_server() and one.is_closed_by_server() and three.is_closed_by_server()
    assert server.process.wait(60) == 0
    server.ended_by_us = True


def test_lines_that_tools_wait_for(server):
    log = server.log()
    assert f"PID: {server.pid}" in log and "Ready to accept connections" in log


# Scheduling

SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}


def scheduling_of(pid):
    """(flags, slice in nanoseconds) of a process's first thread, as sched_getattr(2) tells them."""
    attributes = ctypes.create_string_buffer(48)
    number = SCHED_GETATTR.get(platform.machine())
    if number is None or ctypes.CDLL(None).syscall(number, pid, attributes, 48, 0) != 0:
        pytest.skip("the system does not tell")
    _, _, flags, _, _, runtime = struct.unpack_from("IIQiIQ", attributes)
    return flags, runtime


def test_the_loop_asks_for_short_slices(server):
    """And what it starts does not inherit them."""
    if scheduling_of(0)[1] == 0:
        pytest.skip("Linux has slices from 6.12 on")
    reset_on_fork = 1
    assert scheduling_of(server.pid) == (reset_on_fork, 100_000)
