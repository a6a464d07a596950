"""What tests rest on: one that fails, or leaves its server so that nobody can use it, makes no other one fail."""
import os
import re
import subprocess
import sys
from pathlib import Path

from harness.process import ROOT

TESTS = '''
import os
import signal

import pytest
from harness import patience
from harness.resp import Client

SERVER_OPTIONS = ("--enable-debug-command", "yes")
seen = []


@pytest.fixture(scope="module")
def port(module_server):
    with Client(module_server.port) as client:
        assert client.command("SET", "ready", 1) == b"OK"
    seen.append(module_server.pid)
    return module_server.port


@pytest.fixture(autouse=True)
def usual(port):
    with Client(port) as client:
        assert client.command("GET", "ready") == b"1" and client.command("DEBUG", "TASK-STEPS") == -1


def test_good(): pass
def test_same_server(): assert len(seen) == 1
def test_wrong(): assert False
def test_another_server(): assert len(set(seen)) == 2


def test_holding(port):
    with Client(port) as client:
        assert client.command("DEBUG", "TASK-STEPS", 0) == -1


def test_holding_and_wrong(port):
    test_holding(port)
    assert False


def test_killing(module_server):
    os.kill(module_server.pid, signal.SIGKILL)
    module_server.process.wait()


@pytest.fixture
def alarm():
    signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    patience.lose(2)


def test_waiting_for_ever(alarm):
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    signal.pause()


def test_hanging(port, alarm):
    with Client(port, timeout=0.1) as client:
        client.command("DEBUG", "SLEEP", 1000)


def test_all_is_well(): assert len(set(seen)) == len(seen) == 7
'''


def test_one_failure_is_one_failure(tmp_path):
    path = tmp_path / "test_within.py"
    path.write_text(TESTS)
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{ROOT / 'scripts/lib'}"}
    argv = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=short", "-p", "conftest", "-p", "no:cacheprovider", "-c",
            here / "pytest.ini", "--rootdir", tmp_path, "--basetemp", tmp_path / "run", path]
    output = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200).stdout
    outcomes = {}
    for how, name in re.findall(r"^(PASSED|FAILED|ERROR) \S*::(\w+)", output, re.M):
        outcomes.setdefault(name, set()).add(how)
    assert outcomes == {
        "test_good": {"PASSED"}, "test_same_server": {"PASSED"}, "test_wrong": {"FAILED"},
        "test_another_server": {"PASSED"}, "test_holding": {"PASSED", "ERROR"}, "test_holding_and_wrong": {"FAILED"},
        "test_killing": {"PASSED", "ERROR"}, "test_waiting_for_ever": {"FAILED"}, "test_hanging": {"FAILED", "ERROR"},
        "test_all_is_well": {"PASSED"}}, output
    assert "does not answer" in output and "STACK TRACE" in output
