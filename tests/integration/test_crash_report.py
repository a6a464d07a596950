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


CRASHES = {"ASSERT": signal.SIGABRT, "PANIC": signal.SIGABRT, "SEGFAULT": signal.SIGSEGV}


def crash_by(server, crash):
    """Crashes the server by a signal, or by a subcommand of DEBUG; the code that it ended with."""
    if crash in CRASHES:
        with Client(server.port) as client:
            client.send("DEBUG", crash)
            server.process.wait(60)
    else:
        server.process.send_signal(crash)
        server.process.wait(60)
    server.kill()
    return server.process.returncode


@pytest.mark.parametrize("crash", (signal.SIGABRT, signal.SIGSEGV, *CRASHES))
def test_a_crash_leaves_a_backtrace_in_the_log(start_server, crash):
    server = start_server(*SERVER_OPTIONS, "--logfile", "own.log")
    code = crash_by(server, crash)
    log = log_of(server)
    number = CRASHES.get(crash, crash)
    assert f"crashed by signal: {int(number)}" in log, log
    assert crash not in CRASHES or {"ASSERT": "ASSERTION FAILED", "PANIC": "PANIC"}.get(crash, "") in log, log
    trace = log[log.index("- STACK TRACE -"):log.index("STACK TRACE DONE")].splitlines()
    assert len(trace) > 4 and all("[0x" in line for line in trace[1:-1]), trace
    assert code != 1


@pytest.mark.parametrize("crash, report", [
    ("ASSERT", "yes"), ("ASSERT", "no"), ("PANIC", "yes"), ("PANIC", "no"), ("SEGFAULT", "yes"),
    (signal.SIGABRT, "yes"), (signal.SIGABRT, "no")])  # without reports a sanitizer has the other signals
def test_a_bug_that_the_server_finds_itself_may_end_it_with_code_1(start_server, crash, report):
    server = start_server(*SERVER_OPTIONS, "--logfile", "own.log", "--use-exit-on-panic", "yes",
                          "--crash-log-enabled", report)
    assert (crash_by(server, crash) == 1) == (crash in ("ASSERT", "PANIC"))
    assert ("STACK TRACE" in log_of(server)) == (report == "yes")
