"""Monitoring by HTTP: the page, its format, health while loading, and the limits of who asks badly."""
import http.client
import json
import re
import socket
import time

import pytest

from harness.process import ROOT, free_port
from harness.resp import Client, ErrorReply
from harness.waiting import until

SAMPLE = re.compile(r'larder_([a-z_0-9]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)')


@pytest.fixture
def monitored(start_server):
    port = free_port()
    server = start_server("--metrics-port", port)
    server.metrics_port = port
    return server


def get(port, path="/metrics", method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body


def parse(text):
    """Checks the format: every sample belongs to the family announced last; returns name+labels -> value."""
    values, family, kinds = {}, None, {}
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in kinds, f"{family} twice"
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family and line.split()[3] in ("gauge", "counter", "histogram", "summary")
            kinds[family] = line.split()[3]
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name = "larder_" + match[1]
            endings = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
            assert name in [family + end for end in endings.get(kinds[family], ("",))], line
            assert kinds[family] != "counter" or name.endswith("_total")
            key = match[1] + (match[2] or "")
            assert key not in values, f"{key} twice"
            values[key] = float(match[3])
    return values


def test_the_page_says_what_info_says(monitored):
    with Client(monitored.port) as client:
        client.load([("SET", f"k{i}", i, "EX", 1000) for i in range(100)] + [("GET", "k1")] * 7 + [("GET", "none")] * 3)
        client.command("LPUSH", "k1", "x"), client.command("NOSUCH"), client.command("CONFIG", "GET", "port")
        response, body = get(monitored.metrics_port)
        assert response.status == 200
        assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        values = parse(body)
        info = client.info()
        assert values["up"] == 1 and values["connected_clients"] == 1
        assert values['db_keys{db="0"}'] == values['db_keys_expiring{db="0"}'] == 100
        assert values['command_calls_total{cmd="set"}'] == 100 and values['command_calls_total{cmd="get"}'] == 10
        assert values['command_calls_total{cmd="config|get"}'] == 1
        assert values["keyspace_hits_total"] == int(info["keyspace_hits"])
        assert values["keyspace_misses_total"] == int(info["keyspace_misses"]) == 3
        assert values['error_replies_total{code="WRONGTYPE"}'] == values['error_replies_total{code="ERR"}'] == 1
        assert values['command_failed_total{cmd="lpush"}'] == 1
        assert values["memory_used_bytes"] == pytest.approx(int(info["used_memory"]), rel=0.1)
        assert values['command_duration_seconds_count{cmd="set"}'] == 100
        assert 0 < values['command_duration_seconds{cmd="set",quantile="0.5"}'] < 1
        assert values['command_running_seconds_total{cmd="set"}'] > 0
        assert values['command_queued_seconds_total{cmd="set"}'] > 0
        assert values['command_sending_seconds_total{cmd="set"}'] > 0
        buckets = [v for k, v in values.items() if k.startswith("turn_duration_seconds_bucket")]
        assert buckets == sorted(buckets) and buckets[-1] == values["turn_duration_seconds_count"] > 0
        assert values["turn_duration_seconds_sum"] > 0


def test_counters_never_fall(monitored):
    with Client(monitored.port) as client:
        before = parse(get(monitored.metrics_port)[1])
        client.load([("INCR", "n")] * 1000)
        after = parse(get(monitored.metrics_port)[1])
        for name, value in before.items():
            if "_total" in name:
                assert after[name] >= value, name
        assert after["commands_processed_total"] >= before["commands_processed_total"] + 1000


def test_dashboard_shows_what_there_is(monitored):
    """Every metric that the Grafana dashboard names is on the page."""
    with Client(monitored.port) as client:
        client.command("SET", "k", "v")
        client.command("NOSUCH")
    page = get(monitored.metrics_port)[1]
    announced = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    text = (ROOT / "conf" / "grafana-dashboard.json").read_text()
    dashboard = json.loads(text)
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(expressions) >= 15
    for expression in expressions:
        for name in re.findall(r"larder_\w+", expression):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in announced or base in announced, name
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_health_and_other_paths(monitored):
    response, body = get(monitored.metrics_port, "/healthz")
    assert (response.status, body) == (200, "ok\n")
    response, body = get(monitored.metrics_port, "/healthz?verbose=1", "HEAD")
    assert (response.status, body, response.getheader("Content-Length")) == (200, "", "3")
    assert get(monitored.metrics_port, "/")[0].status == 200
    assert get(monitored.metrics_port, "/nosuch")[0].status == 404
    response, _ = get(monitored.metrics_port, "/metrics", "DELETE")
    assert response.status == 405 and response.getheader("Allow") == "GET, HEAD"


def test_health_while_loading(start_server, tmp_path):
    first = start_server(directory=tmp_path / "data")
    with Client(first.port) as client:
        client.command("SET", "k", "v")
        client.command("SAVE")
    first.stop_cleanly()
    port = free_port()
    second = start_server("--metrics-port", port, "--key-load-delay", 10**8, directory=tmp_path / "data")
    assert get(port, "/healthz")[0].status == 503
    with Client(second.port) as client:
        assert client.command("CONFIG", "SET", "key-load-delay", 0) == b"OK"
    until(lambda: get(port, "/healthz")[0].status != 503)
    assert get(port, "/healthz")[0].status == 200
    until(lambda: "Ready to accept" in second.log())


def test_connections_are_kept(monitored):
    connection = http.client.HTTPConnection("127.0.0.1", monitored.metrics_port, timeout=60)
    for _ in range(5):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
    connection.close()


def raw(port, data, shut=False):
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    try:
        sock.sendall(data)
        if shut:
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        while part := sock.recv(100_000):
            answer += part
        return answer
    except ConnectionError:
        return b""
    finally:
        sock.close()


def test_pipelines_and_splits(monitored):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert raw(monitored.metrics_port, request * 50 + last).count(b"200 OK") == 51
    assert raw(monitored.metrics_port, b"GET /healthz HTTP/1.0\n\n").count(b"200 OK") == 1
    sock = socket.create_connection(("127.0.0.1", monitored.metrics_port), timeout=60)
    for i in range(len(last)):
        sock.sendall(last[i:i + 1])
    assert b"200 OK" in sock.recv(1000)
    sock.close()


@pytest.mark.parametrize("data, status", [
    (b"GET\r\n\r\n", b"400"), (b"\r\n\r\n", b"400"), (b"GET healthz HTTP/1.1\r\n\r\n", b"400"),
    (b"GET /healthz HTTP/2.0\r\n\r\n", b"505"), (b"GET /healthz\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"400"),
    (b"POST / HTTP/1.1\r\n\r\n", b"405"), (b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", b"413"),
    (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"413"),
    (b"GET /" + b"x" * 10_000, b"431"), (b"*1\r\n$4\r\nPING\r\n\r\n", b"400")], ids=range(12))
def test_bad_requests(monitored, data, status):
    answer = raw(monitored.metrics_port, data, shut=len(data) < 8000)
    assert answer == b"" and len(data) > 8000 or answer.startswith(b"HTTP/1.1 " + status), answer
    assert get(monitored.metrics_port, "/healthz")[0].status == 200


def test_who_is_slow_or_many(monitored):
    """Connections are few, and short when nothing comes of them; the server's clients do not notice."""
    crowd = [socket.create_connection(("127.0.0.1", monitored.metrics_port)) for _ in range(100)]
    with Client(monitored.port) as client:
        assert client.command("PING") == b"PONG"
        assert client.info("clients")["connected_clients"] == "1"
        crowd[0].settimeout(60)
        crowd[0].sendall(b"GET /metr")
        assert crowd[0].recv(10) == b""
    for sock in crowd:
        sock.close()
    deadline = time.monotonic() + 60
    while True:
        try:
            assert get(monitored.metrics_port, "/healthz")[0].status == 200
            break
        except (ConnectionError, http.client.HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_it_is_switched_on_and_off(server):
    with Client(server.port) as client:
        port = free_port()
        assert client.command("CONFIG", "GET", "metrics-port", "metrics-bind") in (
            [b"metrics-port", b"0", b"metrics-bind", b"127.0.0.1 -::1"],)
        assert client.command("CONFIG", "SET", "metrics-port", port) == b"OK"
        assert get(port, "/healthz")[0].status == 200
        taken = client.command("CONFIG", "SET", "metrics-port", server.port, "hz", "20")
        assert isinstance(taken, ErrorReply) and "metrics-port" in taken.text
        assert client.command("CONFIG", "GET", "hz") == [b"hz", b"10"]
        assert get(port, "/healthz")[0].status == 200
        assert client.command("CONFIG", "SET", "metrics-bind", "127.0.0.2") == b"OK"
        with pytest.raises(OSError):
            get(port)
        assert client.command("CONFIG", "SET", "metrics-port", "0") == b"OK"
        assert client.command("PING") == b"PONG"


def test_fields_that_exporters_read(server):
    """What Debian's prometheus-redis-exporter looks for in INFO (its own metrics' names, by their fields)."""
    wanted = """redis_version process_id uptime_in_seconds tcp_port connected_clients maxclients blocked_clients
        tracking_clients used_memory used_memory_rss used_memory_peak used_memory_lua used_memory_overhead
        used_memory_startup used_memory_dataset maxmemory mem_fragmentation_ratio allocator_active allocator_allocated
        allocator_resident lazyfree_pending_objects active_defrag_running loading rdb_changes_since_last_save
        rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status rdb_last_bgsave_time_sec
        rdb_current_bgsave_time_sec rdb_last_cow_size aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled
        aof_last_rewrite_time_sec aof_current_rewrite_time_sec aof_last_cow_size aof_last_bgrewrite_status
        aof_last_write_status total_connections_received total_commands_processed instantaneous_ops_per_sec
        total_net_input_bytes total_net_output_bytes instantaneous_input_kbps instantaneous_output_kbps
        rejected_connections expired_keys expired_stale_perc expired_time_cap_reached_count evicted_keys
        keyspace_hits keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec migrate_cached_sockets
        slave_expires_tracked_keys active_defrag_hits active_defrag_misses active_defrag_key_hits
        active_defrag_key_misses total_reads_processed total_writes_processed role connected_slaves
        master_repl_offset second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset
        repl_backlog_histlen master_replid used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children
        cluster_enabled redis_mode os""".split()
    with Client(server.port) as client:
        client.command("SET", "k", "v")
        info = client.info()
        assert [field for field in wanted if field not in info] == []
        assert re.match(r"keys=1,expires=0,avg_ttl=0", info["db0"])
        assert re.match(r"calls=1,usec=\d+,usec_per_call=[\d.]+,rejected_calls=0,failed_calls=0", info["cmdstat_set"])
        assert client.command("LATENCY", "LATEST") == [] and client.command("SLOWLOG", "LEN") >= 0
        assert dict(zip(*[iter(client.command("CONFIG", "GET", "*"))] * 2))[b"maxmemory"] == b"0"
