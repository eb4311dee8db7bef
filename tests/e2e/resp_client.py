# SPDX-License-Identifier: BSD-3-Clause
"""A small Redis protocol client on a raw socket (RESP2 and RESP3): tests must send broken bytes too."""
import socket


class RespError(Exception):
    """An error reply; returned by reply(), raised by calling."""


class Push(list):
    """A RESP3 push message."""


class Resp:
    def __init__(self, address, timeout=30):
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address[5:])
        else:
            host, _, port = address.rpartition(":")
            self.socket = socket.create_connection((host, int(port)), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        """Sends one command and returns its reply; raises RespError for an error."""
        self.raw(self.encode(*words))
        reply = self.reply()
        if isinstance(reply, RespError):
            raise reply
        return reply

    @staticmethod
    def encode(*words):
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)

    def raw(self, data):
        self.socket.sendall(data)

    def pipeline(self, *commands):
        self.raw(b"".join(self.encode(*c) for c in commands))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"closed by freshet: {line!r}")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RespError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind in b"$=!":
            return None if rest == b"-1" else self._bulk(int(rest))
        if kind in b"*~>":
            if rest == b"-1":
                return None
            items = [self.reply() for _ in range(int(rest))]
            return set(items) if kind == b"~" else Push(items) if kind == b">" else items
        if kind == b"%":
            return {self.reply(): self.reply() for _ in range(int(rest))}
        return {b"_": lambda: None, b"#": lambda: rest == b"t", b",": lambda: float(rest),
                b"(": lambda: int(rest)}[kind]()

    def _bulk(self, size):
        data = self.file.read(size + 2)
        assert data[-2:] == b"\r\n", data[-20:]
        return data[:-2]

    def at_end(self):
        """True when the other side has closed; waits for it."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()
