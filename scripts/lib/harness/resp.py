"""A RESP2 and RESP3 client that hides nothing.

Real client libraries turn replies into convenient values and so hide differences between servers. This one keeps the
exact bytes of every reply beside its value, sends any bytes that it is told to send, and never retries.
"""
import socket
from dataclasses import dataclass

from . import patience


@dataclass(frozen=True)
class ErrorReply:
    """An error is a value here, not an exception: tests compare errors like any other reply."""
    text: str


class Push(list):
    """A RESP3 push message, which answers no request."""


@dataclass(frozen=True)
class Reply:
    value: object
    raw: bytes


class ConnectionClosed(Exception):
    """The server closed the connection before a reply was whole."""


def encode(args):
    """One request as an array of bulk strings; what is no bytes is taken as text."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, (bytes, bytearray)):
            arg = str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(parts)


def _pairs(flat):
    """A map as a dict when its keys allow that, else as a list of pairs."""
    pairs = list(zip(flat[::2], flat[1::2]))
    try:
        return dict(pairs)
    except TypeError:
        return pairs


class Client:
    def __init__(self, port, protocol=2, host="127.0.0.1", timeout=None):
        self.port = port
        self.sock = socket.create_connection((host, port), timeout=timeout or patience.seconds())
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.sock.makefile("rb", buffering=1 << 18)
        if protocol == 3:
            hello = self.command("HELLO", 3)
            if isinstance(hello, ErrorReply):
                raise AssertionError(f"HELLO 3 was refused: {hello.text}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._file.close()
        self.sock.close()

    def send_raw(self, data):
        self.sock.sendall(data)

    def send(self, *args):
        self.sock.sendall(encode(args))

    def read_raw(self, count):
        """The next `count` bytes, whatever they are; fewer when the connection ends before."""
        return self._file.read(count)

    def command(self, *args):
        """Send one command and return the value of its reply."""
        self.send(*args)
        return self.read().value

    def read(self):
        """The next reply: its value and its exact bytes."""
        pieces = []
        value = self._read_value(pieces)
        return Reply(value, b"".join(pieces))

    def pipeline(self, commands, batch=1000):
        """Send all commands, a batch at a time; yield the value of each reply in order."""
        requests = []
        for args in commands:
            requests.append(encode(args))
            if len(requests) == batch:
                yield from self._exchange(requests)
        yield from self._exchange(requests)

    def load(self, commands, batch=1000):
        """Run commands of which none may fail; return how many there were."""
        count = 0
        for value in self.pipeline(commands, batch):
            if isinstance(value, ErrorReply):
                raise AssertionError(f"command {count} of a load failed: {value.text}")
            count += 1
        return count

    def info(self, section="everything"):
        """INFO as a dict of texts."""
        text = self.command("INFO", section)
        lines = text.decode().split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def is_closed_by_server(self, timeout=None):
        """Read whatever is left; true when the server has closed the connection, false when it keeps it open."""
        self.sock.settimeout(timeout or patience.seconds())
        try:
            while self._file.read1(1 << 16):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _exchange(self, requests):
        if not requests:
            return
        self.sock.sendall(b"".join(requests))
        count = len(requests)
        requests.clear()
        for _ in range(count):
            yield self._read_value([])

    def _read_value(self, pieces):
        return self._read_after(self._file.readline(), pieces)

    def _read_after(self, line, pieces):
        """The value that begins with this line."""
        if line[-2:] != b"\r\n":
            raise ConnectionClosed(f"closed after {line!r}")
        pieces.append(line)
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return self._read_blob(int(rest), pieces)
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        if kind == b"*":
            count = int(rest)
            return None if count < 0 else self._read_array(count, pieces)
        if kind == b"-":
            return ErrorReply(rest.decode(errors="backslashreplace"))
        return self._read_resp3(kind, rest, pieces)

    def _read_array(self, count, pieces):
        """Most values are short strings, and tests read millions of them: these are read here and now."""
        values, readline, read = [], self._file.readline, self._file.read
        for _ in range(count):
            line = readline()
            if line[:1] == b"$" and line[1:2] != b"-" and line[-2:] == b"\r\n":
                length = int(line[1:-2])
                data = read(length + 2)
                if len(data) != length + 2 or data[-2:] != b"\r\n":
                    raise self._broken_blob(data, length)
                pieces += (line, data)
                values.append(data[:-2])
            else:
                values.append(self._read_after(line, pieces))
        return values

    @staticmethod
    def _broken_blob(data, length):
        if len(data) != length + 2:
            return ConnectionClosed(f"closed within a reply: {len(data)} of {length + 2} bytes")
        return AssertionError(f"a bulk string of {length} bytes does not end with CR LF")

    def _read_blob(self, length, pieces):
        if length < 0:
            return None
        data = self._file.read(length + 2)
        if len(data) != length + 2 or data[-2:] != b"\r\n":
            raise self._broken_blob(data, length)
        pieces.append(data)
        return data[:-2]

    def _read_resp3(self, kind, rest, pieces):
        if kind == b"_":
            return None
        if kind == b"#":
            return {b"t": True, b"f": False}[rest]
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        if kind == b"%":
            return _pairs(self._read_array(2 * int(rest), pieces))
        if kind == b"~":
            return self._read_array(int(rest), pieces)
        if kind == b">":
            return Push(self._read_array(int(rest), pieces))
        if kind == b"=":
            return self._read_blob(int(rest), pieces)[4:]
        if kind == b"!":
            return ErrorReply(self._read_blob(int(rest), pieces).decode(errors="backslashreplace"))
        if kind == b"|":
            self._read_array(2 * int(rest), pieces)
            return self._read_value(pieces)
        raise AssertionError(f"no RESP reply begins like this: {kind + rest!r}")
