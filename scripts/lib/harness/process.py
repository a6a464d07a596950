"""Server processes on spare loopback ports: started, watched, and stopped by their process ID.

`larder_binary` and `oracle_binary` say where the servers are. The oracle is redis-server 7.0; Debian's redis-tools
ships that very program under the name redis-check-rdb, so a symbolic link with the right name is enough.
"""
import collections
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import patience

ROOT = Path(__file__).resolve().parents[3]
SERVER_PORTS = 10000, 32768
_claims = collections.deque(maxlen=64)
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "UndefinedBehaviorSanitizer:",
                   "WARNING: ThreadSanitizer")


def larder_binary(build="test"):
    """The server under test: LARDER_SERVER, else that of build/<build>."""
    return os.environ.get("LARDER_SERVER") or str(ROOT / "build" / build / "src" / "server" / "larder-server")


def oracle_binary(directory=None):
    """redis-server: LARDER_ORACLE, one in PATH, or a link to redis-check-rdb made in `directory`. None without any."""
    given = os.environ.get("LARDER_ORACLE") or shutil.which("redis-server")
    if given:
        return given
    same_program = shutil.which("redis-check-rdb")
    if not same_program:
        return None
    link = Path(directory or tempfile.mkdtemp(prefix="larder-oracle-")) / "redis-server"
    if not link.is_symlink():
        link.symlink_to(same_program)
    return str(link)


def free_port():
    """A port that nobody listens on, below those that the kernel gives to clients: one might get it meanwhile.

    Test runs beside this one would take another's server for their own. So a name that ends with this process tells
    them that the port is spoken for, until whoever asked for it has had ample time to listen.
    """
    while True:
        port = random.SystemRandom().randrange(*SERVER_PORTS)
        claim = socket.socket(socket.AF_UNIX)
        with socket.socket() as s, contextlib.suppress(OSError):
            claim.bind(f"\0larder-port-{port}")
            s.bind(("127.0.0.1", port))
            _claims.append(claim)
            return port
        claim.close()


class StartFailed(Exception):
    pass


class ServerFailed(AssertionError):
    """The server itself is at fault, whatever the test wanted: it crashed, hung, or made a sanitizer complain."""


class LeftBehind(AssertionError):
    """A test has left a server so that those behind it, which share it, cannot use it."""


_running = set()


def running():
    """The servers that this process has started and not ended."""
    return [server for server in _running if not server.ended_by_us]


class ServerProcess:
    """One running server with a directory of its own.

    `command` is the program and its first arguments; the port, the directory and `options` are appended in the form
    that every server of this family takes, unless `bare` is set and {port} and {dir} stand in the command itself.
    """

    def __init__(self, command, options=(), directory=None, name=None, bare=False, wait_seconds=None):
        self.directory = Path(directory or tempfile.mkdtemp(prefix="larder-server-"))
        self._owns_directory = directory is None
        self.ended_by_us = False
        self.name = name or Path(command[0]).name
        self.log_path = self.directory / f"{self.name}.log"
        for _ in range(5):  # the port found free may be taken by somebody else before the server binds it
            self.port = free_port()
            self._spawn(self._argv(command, options, bare))
            if self._wait_until_ready(wait_seconds or patience.seconds()):
                _running.add(self)
                return
            if "in use" not in self.log():
                break
        log = self.kill()
        raise StartFailed(f"{self.name} did not start:\n{log[-4000:]}")

    def _argv(self, command, options, bare):
        if bare:
            return [part.format(port=self.port, dir=self.directory) for part in command]
        own = ["--port", self.port, "--bind", "127.0.0.1", "--dir", self.directory, "--save", ""]
        return [str(part) for part in [*command, *own, *options]]

    def _spawn(self, argv):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory)

    def _wait_until_ready(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self._come_and_go(deadline)
                return self.process.poll() is None
            except OSError:
                time.sleep(0.01)
        return False

    def _come_and_go(self, deadline):
        """A connection that the server has closed in turn: it serves, and no test will find this one still there."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
            probe.settimeout(max(1, deadline - time.monotonic()))
            probe.shutdown(socket.SHUT_WR)
            while probe.recv(1000):
                pass

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        """Process IDs of what its main thread has forked, the first forked first."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def is_alive(self):
        return self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def cpu_seconds(self):
        """CPU seconds that the process and its threads (not its children) have used, to the nanosecond.

        The kernel has a clock per process, whose number is made of the process ID: clock_getcpuclockid(3).
        """
        return time.clock_gettime((~self.pid << 3) | 2)

    def resident_bytes(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def release(self):
        """Whatever a test that failed holds up goes on; fails when the server does not answer."""
        self._ask("DEBUG TASK-STEPS -1")

    def check(self):
        """Fails unless the next test can use it: it runs, answers, and nothing is held up."""
        answer = self._ask("DEBUG TASK-STEPS")
        if answer[:1] == b":" and answer != b":-1\r\n":
            raise LeftBehind(f"{self.name}: a test has ended, and what it held by DEBUG TASK-STEPS still is")

    def _ask(self, command):
        """The first line of the answer. The connection is gone when this returns."""
        if not self.is_alive():
            code = self.process.poll()
            raise ServerFailed(f"{self.name} has ended by itself with code {code}:\n{self.log()[-8000:]}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=patience.seconds()) as asking:
                answers = asking.makefile("rb")
                asking.sendall(command.encode() + b"\r\n")
                answer = answers.readline()
                asking.shutdown(socket.SHUT_WR)
                answers.read()
                return answer
        except TimeoutError:
            raise ServerFailed(f"{self.name} does not answer:\n{self._abort()[-8000:]}") from None
        except OSError as error:
            raise LeftBehind(f"{self.name} lets nobody ask it: {error}") from None

    def stop(self, seconds=None):
        """End the server as systemd would, by SIGTERM; return its exit code. Fails when it does not end in time."""
        self.ended_by_us = True
        seconds = seconds or 3 * patience.seconds()  # it may have to wait for the disk, and nothing excuses a failure
        self.process.terminate()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            log = self._abort()
            raise ServerFailed(f"{self.name} did not end within {seconds} s of SIGTERM:\n{log[-8000:]}") from None
        _running.discard(self)
        self._last_log = self.log()
        self._remove_directory()
        return code

    def stop_cleanly(self):
        """Stop, and fail unless it ended well and no sanitizer complained."""
        ended_before = self.process.poll()
        code = self.stop()
        log = self._last_log
        marks = [mark for mark in SANITIZER_MARKS if mark in log]
        if marks:
            raise ServerFailed(f"{self.name}: a sanitizer reported ({marks}):\n{log[-8000:]}")
        if ended_before is not None:
            raise ServerFailed(f"{self.name} had ended by itself with code {ended_before}:\n{log[-4000:]}")
        if code != 0:
            raise ServerFailed(f"{self.name} ended with code {code}:\n{log[-4000:]}")

    def _abort(self):
        """End a server that hangs, but let it report where it is; return its log."""
        self.process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        return self.kill()

    def kill(self):
        """End the server at once, as a crash would; return its log."""
        self.ended_by_us = True
        _running.discard(self)
        if self.is_alive():
            self.process.kill()
        self.process.wait()
        log = self.log()
        self._remove_directory()
        return log

    def _remove_directory(self):
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)
