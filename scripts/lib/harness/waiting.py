"""Waiting for what must come, and holding what must not be over yet: so that no test depends on how fast a machine is.

Commands over large values go on in steps, while others are served. `hold` lets them make a number of steps and no more
(DEBUG TASK-STEPS), so that a test finds such a command in the midst of its work.
"""
import contextlib
import select
import time

from . import patience
from .resp import Client, encode


def until(condition, seconds=None, pause=0.005):
    """Waits until a condition holds, and returns what it gave; fails when it takes too long.

    The pauses grow to the tenfold: to ask is work, too, for a machine that has much to do as it is.
    """
    deadline, most = time.monotonic() + (seconds or patience.seconds()), 10 * pause
    while not (found := condition()):
        assert time.monotonic() < deadline, "this takes too long"
        time.sleep(pause)
        pause = min(1.1 * pause, most)
    return found


def until_blocked(client, count=1):
    """Waits until so many clients wait in a command that blocks; `client` asks, and is none of them."""
    until(lambda: client.info("clients")["blocked_clients"] == str(count))


def until_reclaimed(client):
    """Waits until all memory of what was deleted is given back."""
    until(lambda: client.info("memory")["lazyfree_pending_objects"] == "0")


def has_answered(client):
    """Something has come that was not read yet, be it that it came along with what was."""
    if select.select([client.sock], [], [], 0)[0]:
        return True
    timeout = client.sock.gettimeout()
    client.sock.setblocking(False)
    try:
        return bool(client._file.peek(1))
    finally:
        client.sock.settimeout(timeout)


def begin(client, *command):
    """Sends a command that takes long; when this returns the server has begun it."""
    client.send_raw(encode(["PING"]) + encode(command))
    assert client.read().value == b"PONG"


@contextlib.contextmanager
def hold(other, steps=0):
    """Within it, commands that go on in steps make so many of them, all together, and wait."""
    assert isinstance(other.command("DEBUG", "TASK-STEPS", steps), int), "a server that allows DEBUG"
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, EOFError), Client(other.port) as another:  # `other` may be what has failed
            another.command("DEBUG", "TASK-STEPS", -1)
        raise
    other.command("DEBUG", "TASK-STEPS", -1)


def name_not_held(port):
    """A name under which who is under way holds nothing, so that nobody has to wait who stores something there.

    Very many keys are held by what their hashes have in common, which a few other names share.
    """
    names = [b"elsewhere:%d" % i for i in range(4)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(port)) for _ in names]
        for client, name in zip(clients, names):
            client.send("SET", name, "")
        return until(lambda: [name for client, name in zip(clients, names) if has_answered(client)])[0]


def held(other):
    """Waits until all steps that were allowed have been made."""
    until(lambda: other.command("DEBUG", "TASK-STEPS") == 0)


def steps_of(client, other, *command):
    """In how many steps the server carries out a command; another client is answered before each of them."""
    with hold(other):
        begin(client, *command)
        made = 0
        while not has_answered(client):
            left = other.command("DEBUG", "TASK-STEPS", 1)
            assert left in (0, 1)
            made += 1 - left
            assert made < 10**6
        return made


def begin_beside(worker, other, *command):
    """Sends a command that takes long; when this returns all of it has come, and it is under way."""
    name = worker.command("CLIENT", "ID")
    worker.send(*command)
    until(lambda: b"cmd=" + command[0].lower().encode() in other.command("CLIENT", "LIST", "ID", name))
