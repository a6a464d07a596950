"""loop-nice: the thread that serves goes first, with the one that synchronises; children that save do not."""
import os
import subprocess
import sys

import pytest

from harness.process import ServerProcess, larder_binary
from harness.resp import Client
from harness.waiting import until

ASKED = -10
USUAL = os.nice(0)  # that of whoever runs the tests


def niceness(process):
    """Of the main thread, and of the others."""
    threads = {int(tid): os.getpriority(os.PRIO_PROCESS, int(tid)) for tid in os.listdir(f"/proc/{process.pid}/task")}
    return threads.pop(process.pid), list(threads.values())


@pytest.fixture(scope="module")
def granted():
    """What a process gets that asks for the priority: it, or 0."""
    code = f"import os\ntry: print(os.nice({ASKED}))\nexcept OSError: print(0)"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(USUAL != 0, reason="a nice value that the process was started with is left alone")
@pytest.mark.server_options("--loop-nice", str(ASKED), "--rdb-key-save-delay", "1000000")
def test_the_loop_goes_first(server, granted):
    main, others = niceness(server)
    assert main == granted and [nice for nice in others if nice < 0] in ([], [granted])
    with Client(server.port) as client:
        assert client.command("CONFIG", "GET", "loop-nice") == [b"loop-nice", str(ASKED).encode()]
        client.load([("SET", f"k{i}", "v") for i in range(100)])
        client.command("BGSAVE")
        child, = until(server.children)
        assert os.getpriority(os.PRIO_PROCESS, child) == 0
        client.command("CONFIG", "SET", "rdb-key-save-delay", "0")


def test_it_is_left_alone_unless_asked(server):
    assert niceness(server)[0] == USUAL


def test_what_the_process_was_started_with_stays(tmp_path):
    process = ServerProcess(["nice", "-n", "3", larder_binary()], ("--loop-nice", ASKED), tmp_path, name="server")
    assert niceness(process)[0] == min(USUAL + 3, 19)
    assert process.stop() == 0
