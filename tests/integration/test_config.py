"""Configuration: CONFIG against redis-server, files, command lines, CONFIG REWRITE."""
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from harness.process import ROOT, ServerProcess, StartFailed, free_port, larder_binary
from harness.resp import Client, ErrorReply

PROTOCOLS = (2,)
SERVER_OPTIONS = ("--enable-protected-configs", "no")

# Names of later versions of Redis than the oracle's, and our own.
NEWER = {"cluster-announce-human-nodename", "hide-user-data-from-log", "io-uring", "locale-collate", "loop-nice",
         "max-new-connections-per-cycle", "max-new-tls-connections-per-cycle", "metrics-bind", "metrics-port",
         "set-max-listpack-entries", "set-max-listpack-value"}
OWN_PLACE = {"port", "dir"}  # each server has its own
OWN_CHOICE = {"activedefrag"}  # on here: Debian's redis-server cannot, Debian's allocator can

# Values that every directive is given in turn: some fit, most do not.
VALUES = ["", "0", "1", "-1", "5", "yes", "no", "YES", "100%", "101%", "5%", "1mb", "1MB", "1g", "1.5", "abc", "a b",
          "900 1", "900 1 60 5", "save", "nosave", "now force", "nosave save", "default now", "AKE", "Elg", "KEA", "$x",
          "g$lshzxet", "g$lshzxetd", "99999999999", "-99999999999", "normal 1mb 2mb 60", "replica 1 2 3 pubsub 4 5 6",
          "normal 1 1", "xx 1 1 1", "50 99 99.9 99.99", "100", "101", "0.001", "3.14159265358979", "inf", "nan",
          "0 200 800", "800 200 0", "local0", "debug", "volatile-lru", "allchannels", "{title} x", "{foo}", "a/b",
          "/nothing", "0x10", "1kb", "9223372036854775807", "18446744073709551615", "9223372036854775808", "+5", "05",
          "5b", "on-empty-db", "systemd", "everysec", "always", "1 1 1 1", "swapdb", "yes no", "500", "501",
          "relative", "absolute", "a.conf", "no"]

# Directives whose values are not tried: they would close the door, need files, or are refused by this oracle's build.
NOT_TRIED = {"bind", "port", "requirepass", "maxclients", "loglevel", "activedefrag", "appendonly", "cluster-enabled"}
NOT_TRIED_PREFIXES = ("tls-",)

# Reviewed differences.
#   loglevel also has "nothing", as from Redis 7.2 on, and says so
#   maxmemory may be a percentage here
#   memory above 2^63 for maxmemory-clients becomes a negative percentage in Redis
DIFFERENT = {("maxmemory-clients", "9223372036854775808"), ("maxmemory-clients", "18446744073709551615"),
             ("maxmemory", "5%"), ("maxmemory", "100%"), ("maxmemory", "101%")}


def settings(client, *patterns):
    flat = client.command("CONFIG", "GET", *patterns)
    return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2])}


def test_every_directive_of_redis_is_known_with_its_default(pair):
    ours, theirs = settings(pair.server, "*"), settings(pair.oracle, "*")
    assert set(ours) - set(theirs) == NEWER
    assert set(theirs) - set(ours) == set()
    different = {name for name in theirs if ours[name] != theirs[name]} - OWN_PLACE - OWN_CHOICE
    assert different == set(), {name: (ours[name], theirs[name]) for name in different}


def test_defaults_without_any_option(oracle_command, tmp_path):
    """What the options of the harness hide."""
    names = ["bind", "save", "protected-mode", "daemonize", "logfile"]
    values = {}
    for name, binary in (("ours", larder_binary()), ("oracle", oracle_command[0])):
        port, path = free_port(), tmp_path / f"{name}.conf"
        path.write_text(f"port {port}\n")
        process = subprocess.Popen([binary, str(path)], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                   cwd=tmp_path)
        try:
            with connect(port) as client:
                values[name] = {n: settings(client, n)[n] for n in names}
        finally:
            process.kill()
            process.wait()
    assert values["ours"] == values["oracle"]


def connect(port, attempts=3000):
    for _ in range(attempts):
        try:
            return Client(port)
        except OSError:
            time.sleep(0.02)
    return Client(port)


def test_get(pair):
    for patterns in [("MAXMEMORY",), ("Slave-Priority",), ("watchdog-period",), ("watchdog-perio?",), ("nosuch",),
                     ("include",), ("user",), ("rename-command",), ("loadmodule",)]:
        pair.same(("CONFIG", "GET", *patterns))
    for patterns in [("maxmemory", "maxmem*"), ("slave*", "replica*"), ("[a-b]*",), ("*-max-*", "nosuch"), ("",)]:
        ours, theirs = settings(pair.server, *patterns), settings(pair.oracle, *patterns)
        assert {k: v for k, v in ours.items() if k not in NEWER | OWN_PLACE | OWN_CHOICE} == {
            k: v for k, v in theirs.items() if k not in OWN_PLACE | OWN_CHOICE}


def test_all_that_is_shown_may_be_set_to_what_it_is(pair, server):
    """But for what Redis has, too, and refuses to set, and for what tells where files are."""
    with Client(server.port) as client:
        shown, refused = settings(client, "*"), set()
        for name, value in shown.items():
            reply = client.command("CONFIG", "SET", name, value)
            if reply != b"OK":
                assert "can't set" in reply.text, (name, reply)
                refused.add(name)
        assert settings(client, "*") == shown
        assert refused <= settings(pair.oracle, "*").keys()
        assert "can't set immutable config" in client.command("CONFIG", "SET", "loop-nice", "-5").text


def test_a_password_may_hold_any_byte(pair):
    pair.same(("CONFIG", "SET", "requirepass", b"ab\0cd\xff"), "AUTH ab", ("AUTH", b"ab\0cd"), ("AUTH", b"ab\0cd\xff"),
              "CONFIG GET requirepass", ("CONFIG", "SET", "requirepass", b"\0"), "AUTH x", ("AUTH", b"\0"),
              ("CONFIG", "SET", "requirepass", ""), "CONFIG GET requirepass")


def test_errors(pair):
    pair.same("CONFIG GET", "CONFIG SET a", "CONFIG SET nosuch 1", "CONFIG SET maxmemory 1 maxmemory 2",
              "CONFIG SET maxmemory 1 nosuch 1", "CONFIG GET maxmemory", "CONFIG SET maxmemory x nosuch 1",
              "CONFIG SET maxmemory 1 hz", "CONFIG SET maxmemory 1 MAXMEMORY 2", "CONFIG SET databases 5",
              "CONFIG SET dir /tmp", "CONFIG SET hz 12 dir /tmp", "CONFIG GET hz", "CONFIG SET hz 12 databases 1",
              "CONFIG SET slave-priority 5 replica-priority 6", "CONFIG SET dbfilename x", "CONFIG FOO",
              "CONFIG SET include x", "CONFIG REWRITE", "CONFIG REWRITE x", "CONFIG RESETSTAT", "CONFIG RESETSTAT x",
              "CONFIG", "CONFIG SET maxmemory 10mb hz 20 timeout 9 maxmemory-policy nosuch",
              "CONFIG SET maxmemory 0 hz 10 timeout 0")
    for name in ("maxmemory", "hz", "timeout", "maxmemory-policy", "replica-priority"):
        pair.same(f"CONFIG GET {name}")


def test_values(pair):
    """Every directive with every value: the same reply, and the same value afterwards."""
    differences = []
    for name in sorted(settings(pair.oracle, "*")):
        if name in NOT_TRIED or name.startswith(NOT_TRIED_PREFIXES):
            continue
        for value in VALUES:
            if name == "dir" and value in ("/nothing", "") or (name, value) in DIFFERENT:
                continue
            commands = [("CONFIG", "SET", name, value), ("CONFIG", "GET", name)]
            (_, ours, theirs), (_, ours_now, theirs_now) = pair.exchange(commands)
            same_now = ours_now.raw == theirs_now.raw or name in OWN_PLACE
            if ours.raw != theirs.raw or not same_now:
                differences.append((name, value, ours.value, theirs.value, ours_now.value, theirs_now.value))
    assert not differences, f"{len(differences)} differ:\n" + "\n".join(map(str, differences[:20]))


def test_setting_several_is_all_or_nothing(server):
    with Client(server.port) as client:
        before = settings(client, "*")
        taken = server.port
        with Client(server.port):
            other = free_port()
            reply = client.command("CONFIG", "SET", "hz", "50", "port", str(other), "maxclients", "4000000000")
            assert isinstance(reply, ErrorReply) and "'maxclients'" in reply.text, reply
        assert settings(client, "*") == before
        Client(taken).close()


def test_the_port_moves_or_stays(start_server):
    first, second = start_server(), start_server()
    with Client(first.port) as client:
        reply = client.command("CONFIG", "SET", "port", str(second.port))
        assert reply == ErrorReply("ERR CONFIG SET failed (possibly related to argument 'port') - "
                                   "Unable to listen on this port. Check server logs.")
        reply = client.command("CONFIG", "SET", "bind", "127.0.0.1 1.2.3.4")
        assert reply == ErrorReply("ERR CONFIG SET failed (possibly related to argument 'bind') - "
                                   "Failed to bind to specified addresses.")
        Client(first.port).close()
        port = free_port()
        assert client.command("CONFIG", "SET", "port", str(port)) == b"OK"
        assert client.command("PING") == b"PONG"
        Client(port).close()
        with pytest.raises(OSError):
            Client(first.port)


def test_a_password_counts_at_once(server):
    with Client(server.port) as client:
        assert client.command("CONFIG", "SET", "requirepass", "secret") == b"OK"
        assert client.command("PING") == b"PONG"
        with Client(server.port) as late:
            assert late.command("PING").text.startswith("NOAUTH")
            assert late.command("AUTH", "secret") == b"OK"
        assert client.command("CONFIG", "SET", "slowlog-log-slower-than", "0", "requirepass", "secret") == b"OK"
        assert b"secret" not in repr(client.command("SLOWLOG", "GET", "-1")).encode()
        assert client.command("CONFIG", "SET", "requirepass", "") == b"OK"
        with Client(server.port) as late:
            assert late.command("PING") == b"PONG"
    assert "secret" not in server.log()


@pytest.mark.server_options("--enable-protected-configs", "yes")
def test_the_directory_changes_at_once(server, tmp_path):
    with Client(server.port) as client:
        target = tmp_path / "elsewhere"
        target.mkdir()
        assert client.command("CONFIG", "SET", "dir", str(target)) == b"OK"
        assert Path(f"/proc/{server.pid}/cwd").resolve() == target
        assert client.command("CONFIG", "SET", "dir", "/", "dbfilename", "a/b").text.endswith("just a filename")
        assert Path(f"/proc/{server.pid}/cwd").resolve() == target
        assert client.command("CONFIG", "SET", "dir", "/nothing/here").text.endswith("- No such file or directory")


@pytest.mark.server_options("--enable-protected-configs", "local")
def test_protected_for_strangers_only(server):
    with Client(server.port) as client:
        assert client.command("CONFIG", "SET", "dbfilename", "x.rdb") == b"OK"


def test_without_effect_is_said_once_each(start_server):
    server = start_server("--repl-backlog-size", "5mb", "--appendonly", "no", "--io-threads", "4")
    log = server.log()
    assert log.count("the directive 'repl-backlog-size' has no effect in this version") == 1
    assert log.count("the directive 'io-threads' has no effect in this version") == 1
    assert log.count("has no effect") == 2, log


def outcome(argv, cwd, text=""):
    """What a server says of a configuration that it refuses: the lines behind the headline."""
    done = subprocess.run(list(map(str, argv)), input=text.encode(), capture_output=True, cwd=cwd, timeout=60)
    assert done.returncode == 1, done
    lines = [line for line in (done.stdout + done.stderr).decode().splitlines() if line.strip()]
    heads = [i for i, line in enumerate(lines) if "FATAL CONFIG FILE ERROR" in line]
    return lines[heads[0] + 1:] if heads else lines[-1:]


BAD_FILES = [
    "port 0\n\n# comment\nfoo bar\n", 'port 0\nport "1\n', "port 0\ninclude no*.conf\nnosuch 1\n", "port 0\ntimeout\n",
    "timeout 1 2\n", "\r\nport 0\r\ntimeout 5\r\nnosuch a\r\n", "rename-command A\n", "maxmemory-policy foo\n",
    "client-output-buffer-limit normal 1 2\n", "client-output-buffer-limit foo 1 1 1\n",
    "client-output-buffer-limit normal x 1 1\n", "client-output-buffer-limit normal 1 1 -1\n", "save 1\n",
    'save "900 1 300 10"\nnosuch\n', "requirepass 'it\\'s'\nnosuch 'a'b\n", "replicaof a\n", "slaveof a b\n",
    'save ""\nsave 1 2\nsave x y\n', "shutdown-on-sigterm foo\n", "unixsocketperm 999\n", "unixsocketperm 1000\n",
    "maxmemory-clients 101%\n", "maxmemory-clients -5%\n", "bind " + "1.1.1.1 " * 17 + "\n", "databases 0\n",
    "notify-keyspace-events AKEq\n", "appendfilename a/b\n", "dbfilename a/b\n", "appenddirname a/b\n",
    'appendfilename ""\n', 'appenddirname ""\n', "dir /nonexistent\n", 'dir ""\n', "oom-score-adj-values 1 2\n",
    "oom-score-adj-values 1 2 99999\n", 'proc-title-template "{foo}"\n', "maxmemory 5xb\n", "port 06\n", "port +6\n",
    "latency-tracking-info-percentiles 101\n", "latency-tracking-info-percentiles a\n", "loadmodule\n", "include\n",
    'bind ""\nnosuch\n', 'maxmemory ""\nnosuch\n', "aclfile\n", "syslog-facility foo\n", "supervised yes\n",
    '"port" 0\n\'nosuch\' 5\n', "PORT 0\nNoSuch 5\n", "   # indented\n\tport 0\n nosuch  5 \n", "nosuch " + "x" * 5000,
]


@pytest.mark.parametrize("number", range(len(BAD_FILES)))
def test_bad_files(oracle_command, tmp_path, number):
    (tmp_path / "bad.conf").write_text(BAD_FILES[number])
    ours, theirs = (outcome([binary, "bad.conf"], tmp_path) for binary in (larder_binary(), oracle_command[0]))
    assert ours == theirs


END = ["--nosuch", "1"]  # so that the server ends, and says how it read the rest
COMMAND_LINES = [
    (["--foo", "1"], ""), (["ok.conf", "--port", "x"], ""), (["--port", "0", "--foo"], ""), (["--port"], ""),
    (["--port", "--foo", "x"], ""), (["--port", "0", "1"], ""), (["--save", *END], ""), (["--save", "", *END], ""),
    (["--save", "900", "1", *END], ""), (["--save", "900 1", *END], ""), (["--save", "x", "--save"], ""),
    (["--proc-title-template", "--foo", *END], ""), (["--port 0", "--nosuch x"], ""), (["--port 0", "x"], ""),
    (["-"], "foo bar\n"), (["--port", "0", "-"], "foo bar\n"), (["-", "--port", "0"], "foo bar\n"),
    (["--port", "0", "-", *END], "foo bar\n"), (["-x"], ""), (["--loglevel", "--port", "7"], ""), (["-", "x"], ""),
    (["--bind", "127.0.0.1", "::1", *END], ""), (["--port", "0", ""], ""), (["--", "x"], ""), (["--port=5"], ""),
    (["--shutdown-on-sigint", "nosave force", "--shutdown-on-sigterm", "nosave", "force", *END], ""),
    (["--shutdown-on-sigterm", "save nosave"], ""), (["--PORT", "x"], ""), (["ok.conf", "-"], "nosuch\n"),
    (["--client-output-buffer-limit", "normal 0 0 0", *END], ""), (["nothing.conf"], ""),
]


@pytest.mark.parametrize("arguments, text", COMMAND_LINES, ids=[" ".join(a) for a, _ in COMMAND_LINES])
def test_command_lines(oracle_command, tmp_path, arguments, text):
    (tmp_path / "ok.conf").write_text("port 0\nhz 20\n")
    ours, theirs = (outcome([b, *arguments], tmp_path, text) for b in (larder_binary(), oracle_command[0]))
    assert ours == [line.split(" # ")[-1] for line in theirs]


def test_later_wins(start_server, tmp_path):
    (tmp_path / "a.conf").write_text("hz 20\ntimeout 5\ninclude a.d/*.conf\nmaxmemory-policy allkeys-lru\nhz 30\n")
    (tmp_path / "a.d").mkdir()
    (tmp_path / "a.d" / "1.conf").write_text("timeout 6\nsave 10 10\n")
    (tmp_path / "a.d" / "2.conf").write_text("hz 40\nsave 20 20\r\ninclude nothing*.conf\n")
    port = free_port()
    process = subprocess.Popen(
        [larder_binary(), "a.conf", "--port", str(port), "--timeout", "7", "--slowlog-max-len", "5", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        process.stdin.write(b"slowlog-max-len 4\nloglevel verbose\n")
        process.stdin.close()
        with connect(port) as client:
            names = ["hz", "timeout", "save", "slowlog-max-len", "loglevel", "maxmemory-policy"]
            assert [settings(client, n)[n] for n in names] == ["30", "7", "10 10 20 20", "5", "verbose", "allkeys-lru"]
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_errors_in_included_files_say_where(tmp_path):
    (tmp_path / "a.conf").write_text("port 0\ninclude b.conf\n")
    (tmp_path / "b.conf").write_text("hz 10\n\nhz x\n")
    said = outcome([larder_binary(), "a.conf"], tmp_path)
    assert said == ["Reading the configuration file 'b.conf', at line 3", ">>> 'hz x'",
                    "argument couldn't be parsed into an integer"]
    (tmp_path / "b.conf").write_text("include nothing.conf\n")
    assert outcome([larder_binary(), "a.conf"], tmp_path)[-1] == (
        "Fatal error, can't open config file 'nothing.conf': No such file or directory")
    (tmp_path / "b.conf").write_text("include b.conf\n")
    assert outcome([larder_binary(), "a.conf"], tmp_path)[-1] == "Files are included too deeply"


def test_secrets_are_not_shown(tmp_path):
    lines = ["requirepass a secret", "masterauth secret x", 'user alice on >secret "', "tls-key-file-pass secret x"]
    for line in lines:
        (tmp_path / "a.conf").write_text(line + "\n")
        assert "secret" not in "\n".join(outcome([larder_binary(), "a.conf"], tmp_path))


# The directives and values of the configuration that Debian installs with redis-server, paths aside.
DEBIAN = """
bind 127.0.0.1
protected-mode yes
port {port}
tcp-backlog 511
timeout 0
tcp-keepalive 300
daemonize no
pidfile {dir}/server.pid
loglevel notice
logfile {dir}/debian.log
databases 16
always-show-logo no
set-proc-title yes
proc-title-template "{{title}} {{listen-addr}} {{server-mode}}"
stop-writes-on-bgsave-error yes
rdbcompression yes
rdbchecksum yes
dbfilename dump.rdb
rdb-del-sync-files no
dir {dir}
replica-serve-stale-data yes
replica-read-only yes
repl-diskless-sync yes
repl-diskless-sync-delay 5
repl-diskless-sync-max-replicas 0
repl-diskless-load disabled
repl-disable-tcp-nodelay no
replica-priority 100
acllog-max-len 128
lazyfree-lazy-eviction no
lazyfree-lazy-expire no
lazyfree-lazy-server-del no
replica-lazy-flush no
lazyfree-lazy-user-del no
lazyfree-lazy-user-flush no
oom-score-adj no
oom-score-adj-values 0 200 800
disable-thp yes
appendonly no
appendfilename "appendonly.aof"
appenddirname "appendonlydir"
appendfsync everysec
no-appendfsync-on-rewrite no
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
aof-load-truncated yes
aof-use-rdb-preamble yes
aof-timestamp-enabled no
slowlog-log-slower-than 10000
slowlog-max-len 128
latency-monitor-threshold 0
notify-keyspace-events ""
hash-max-listpack-entries 512
hash-max-listpack-value 64
list-max-listpack-size -2
list-compress-depth 0
set-max-intset-entries 512
zset-max-listpack-entries 128
zset-max-listpack-value 64
hll-sparse-max-bytes 3000
stream-node-max-bytes 4096
stream-node-max-entries 100
activerehashing yes
client-output-buffer-limit normal 0 0 0
client-output-buffer-limit replica 256mb 64mb 60
client-output-buffer-limit pubsub 32mb 8mb 60
hz 10
dynamic-hz yes
aof-rewrite-incremental-fsync yes
rdb-save-incremental-fsync yes
jemalloc-bg-thread yes
"""


def test_debian_configuration(tmp_path, oracle_command):
    values = {}
    for binary in (larder_binary(), oracle_command[0]):
        port = free_port()
        path = tmp_path / "debian.conf"
        path.write_text(DEBIAN.format(port=port, dir=tmp_path))
        process = subprocess.Popen([binary, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            with connect(port) as client:
                values[binary] = settings(client, "*")
                if binary == larder_binary():
                    assert (tmp_path / "server.pid").read_text().strip() == str(process.pid)
        finally:
            process.terminate()
            assert process.wait(60) == 0
        if binary == larder_binary():
            assert "has no effect" not in (tmp_path / "debian.log").read_text()
    ours, theirs = values.values()
    assert {k: v for k, v in ours.items() if k not in NEWER | OWN_CHOICE | {"port"}} == {
        k: v for k, v in theirs.items() if k not in OWN_CHOICE | {"port"}}


OWN_FILE = """# mine
bind 127.0.0.1
maxmemory   64mb
# about timeouts
timeout 5
timeout 6

save 900 1
save 300 10
rename-command FLUSHALL ""
client-output-buffer-limit pubsub 32mb 8mb 60
client-output-buffer-limit normal 0 0 0
slave-priority 7
\thz   10\t
requirepass "a b\\n"
"""


@pytest.fixture
def with_file(tmp_path):
    """A server started from OWN_FILE: an authenticated client, and the file's path."""
    path, directory = tmp_path / "etc" / "own.conf", tmp_path / "here"
    path.parent.mkdir()
    directory.mkdir()
    path.write_text(OWN_FILE)
    path.chmod(0o640)
    server = ServerProcess([larder_binary(), str(path)], ("--save", "900 1 300 10"), directory, name="server")
    with Client(server.port) as client:
        assert client.command("AUTH", "a b\n") == b"OK"
        yield client, path
    server.stop_cleanly()


def test_rewrite_keeps_what_is_there(with_file):
    client, path = with_file
    for pairs in (("timeout", "9"), ("hz", "11", "maxmemory", "65536kb"), ("save", "900 1 60 1"),
                  ("client-output-buffer-limit", "replica 5mb 1mb 3"), ("proto-max-bulk-len", "3mb"),
                  ("latency-tracking-info-percentiles", ""), ("proc-title-template", 'a "b" {title}')):
        assert client.command("CONFIG", "SET", *pairs) == b"OK"
    assert client.command("CONFIG", "REWRITE") == b"OK"
    lines = path.read_text().splitlines()
    start = ["# mine", "bind 127.0.0.1", "maxmemory   64mb", "# about timeouts", "timeout 9", "", "save 900 1",
             "save 60 1", 'rename-command FLUSHALL ""', "client-output-buffer-limit normal 0 0 0",
             "client-output-buffer-limit replica 5mb 1mb 3", "client-output-buffer-limit pubsub 32mb 8mb 60",
             "slave-priority 7", "hz 11", 'requirepass "a b\\n"', "", "# Generated by CONFIG REWRITE"]
    assert lines[:len(start)] == start
    added = dict(line.split(" ", 1) for line in lines[len(start):])
    assert set(added) == {"user", "port", "dir", "proto-max-bulk-len", "latency-tracking-info-percentiles",
                          "proc-title-template"}
    assert added["proto-max-bulk-len"] == "3mb"
    assert added["proc-title-template"] == '"a \\"b\\" {title}"'
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in path.parent.glob("own.conf*")] == ["own.conf"]
    before = path.read_text()
    assert client.command("CONFIG", "REWRITE") == b"OK"
    assert path.read_text() == before


def test_rewritten_files_mean_the_same(with_file, oracle_command):
    """Both servers read back what was written, and have the values of the server that wrote it."""
    client, path = with_file
    for name, value in (("maxmemory-policy", "allkeys-lfu"), ("notify-keyspace-events", "KEA"), ("save", ""),
                        ("shutdown-on-sigterm", "nosave force"), ("oom-score-adj-values", "1 2 3"),
                        ("maxmemory-clients", "5%"), ("masterauth", 'quo"te\x01'), ("slowlog-log-slower-than", "-1")):
        assert client.command("CONFIG", "SET", name, value) == b"OK"
    assert client.command("CONFIG", "REWRITE") == b"OK"
    wanted = {k: v for k, v in settings(client, "*").items() if k not in NEWER | OWN_CHOICE | {"port"}}
    for binary in (larder_binary(), oracle_command[0]):
        port = free_port()
        process = subprocess.Popen([binary, str(path), "--port", str(port)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        try:
            with connect(port) as other:
                assert other.command("AUTH", "a b\n") == b"OK"
                got = settings(other, "*")
        finally:
            process.kill()
            process.wait()
        assert {k: got[k] for k in wanted} == wanted


def test_all_directives_can_be_written(tmp_path):
    """What stands in the file then means what the server was set to, and old directives are understood."""
    path = tmp_path / "all.conf"
    path.write_text("enable-debug-command yes\nlist-max-ziplist-entries 512\nlist-max-ziplist-value 64\n"
                    "lua-replicate-commands yes\nhz 12\n")
    seen = []
    for _ in range(2):
        server = ServerProcess([larder_binary(), str(path)], (), tmp_path, name="server")
        with Client(server.port) as client:
            seen.append({k: v for k, v in settings(client, "*").items() if k != "port"})
            assert client.command("DEBUG", "CONFIG-REWRITE-FORCE-ALL") == b"OK"
        server.stop_cleanly()
    assert seen[0] == seen[1] and seen[0]["hz"] == "12"
    assert len(path.read_text().splitlines()) > 150


def test_rewrite_fails_whole(with_file):
    client, path = with_file
    moved = path.parent.rename(path.parent.with_name("moved"))
    reply = client.command("CONFIG", "REWRITE")
    moved.rename(path.parent)
    assert isinstance(reply, ErrorReply) and reply.text.startswith("ERR Rewriting config file: ")
    assert path.read_text() == OWN_FILE


def test_commands_are_renamed(start_server, tmp_path):
    (tmp_path / "r.conf").write_text('rename-command FLUSHALL ""\nrename-command CONFIG secret-config\n')
    server = start_server("--include", tmp_path / "r.conf")
    with Client(server.port) as client:
        assert client.command("FLUSHALL").text.startswith("ERR unknown command 'FLUSHALL'")
        assert client.command("CONFIG", "GET", "hz").text.startswith("ERR unknown command 'CONFIG'")
        assert client.command("SECRET-CONFIG", "GET", "hz") == [b"hz", b"10"]
    with pytest.raises(StartFailed):
        start_server("--rename-command", "NOSUCH", "x")


def test_the_title_begins_with_what_the_program_was_called_as(server):
    with Client(server.port) as client:
        for template, title in (("{title} {listen-addr}", f"{larder_binary()} 127.0.0.1:{server.port}"),
                                ("a {port} {title} b", f"a {server.port} {larder_binary()} b")):
            assert client.command("CONFIG", "SET", "proc-title-template", template) == b"OK"
            line = Path(f"/proc/{server.process.pid}/cmdline").read_text()
            assert line.rstrip("\0") == title


def test_committed_documents_are_those_of_the_table():
    documents = {"--print-default-config": "conf/larder.conf", "--print-config-manual": "man/larder.conf.5"}
    for option, path in documents.items():
        made = subprocess.run([larder_binary(), option], capture_output=True, check=True).stdout.decode()
        assert made == (ROOT / path).read_text(), f"{path} is not what larder-server {option} prints"


def test_default_file_is_accepted(start_server, tmp_path):
    """Its own port aside."""
    lines = (ROOT / "conf" / "larder.conf").read_text().splitlines()
    (tmp_path / "default.conf").write_text("\n".join(line for line in lines if not line.startswith("port ")))
    server = start_server("--include", tmp_path / "default.conf")
    assert "has no effect" not in server.log()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_sound(tmp_path):
    unit = tmp_path / "larder.service"
    unit.write_text((ROOT / "conf" / "larder.service").read_text().replace("/usr/bin/larder-server", larder_binary()))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:]
