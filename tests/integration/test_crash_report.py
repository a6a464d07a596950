"""What the log says when the server hangs or crashes."""
import signal

import pytest

from harness.resp import Client
from harness.waiting import until

SERVER_OPTIONS = ("--enable-debug-command", "yes")


def log_of(server):
    return (server.directory / "own.log").read_text()


@pytest.mark.server_options(*SERVER_OPTIONS, "--logfile", "own.log")
def test_a_watchdog_barks_while_the_loop_hangs(server):
    with Client(server.port) as client:
        client.command("CONFIG", "SET", "watchdog-period", 1)
        for hangs in (1, 2):
            assert client.command("DEBUG", "SLEEP", "0.3") == b"OK"
            log = log_of(server)
            assert log.count("WATCHDOG TIMER EXPIRED") >= hangs and log.count("STACK TRACE DONE") >= hangs, log
        client.command("CONFIG", "SET", "watchdog-period", 0)
        count = log_of(server).count("WATCHDOG")
        client.command("DEBUG", "SLEEP", "0.3")
        assert log_of(server).count("WATCHDOG") == count


@pytest.mark.server_options(*SERVER_OPTIONS, "--logfile", "own.log", "--crash-log-enabled", "no")
def test_an_alarm_tells_where_the_server_is(server):
    with Client(server.port) as client:
        server.process.send_signal(signal.SIGALRM)
        until(lambda: "STACK TRACE DONE" in log_of(server))
        assert "Received SIGALRM" in log_of(server) and client.command("PING") == b"PONG"


@pytest.mark.parametrize("crash", (signal.SIGABRT, signal.SIGSEGV, "ASSERT"))
def test_a_crash_leaves_a_backtrace_in_the_log(start_server, crash):
    server = start_server(*SERVER_OPTIONS, "--logfile", "own.log")
    if crash == "ASSERT":
        with Client(server.port) as client:
            client.send("DEBUG", "ASSERT")
            server.process.wait(60)
    else:
        server.process.send_signal(crash)
        server.process.wait(60)
    server.kill()
    log = log_of(server)
    number = signal.SIGABRT if crash == "ASSERT" else crash
    assert f"crashed by signal: {int(number)}" in log, log
    trace = log[log.index("- STACK TRACE -"):log.index("STACK TRACE DONE")].splitlines()
    assert len(trace) > 4 and all("[0x" in line for line in trace[1:-1]), trace
