# SPDX-License-Identifier: BSD-3-Clause
"""A small HTTP/1.1 client on a raw socket: tests send exact bytes, and see exact ones."""
import json
import re
import socket


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        """The values of one header, joined; None when absent."""
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        return ", ".join(values) if values else None

    def json(self):
        return json.loads(self.body)

    @property
    def hit(self):
        return re.search(r"freshet\s*;\s*hit\b", self.header("Cache-Status") or "") is not None

    def __repr__(self):
        return f"<{self.status} {self.header('Cache-Status')} {self.body[:200]!r}>"


class Http:
    """One connection. `cookies=True` keeps the cookies that answers set, as a browser does."""

    def __init__(self, address, cookies=False, timeout=30):
        host, _, port = address.rpartition(":")
        self.host = address
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread, self.jar = b"", {} if cookies else None

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, body, **headers):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers.setdefault("content_type", "application/json")
        return self.request("POST", path, text, **headers)

    def request(self, method, path, body=None, **headers):
        self.raw(self.message(method, path, body, **headers))
        return self.answer(head_only=method == "HEAD")

    def message(self, method, path, body=None, **headers):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if self.jar:
            lines.append("Cookie: " + "; ".join(f"{n}={v}" for n, v in self.jar.items()))
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")

    def raw(self, data):
        self.socket.sendall(data)

    def answer(self, head_only=False):
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in head[1:] if line]
        answer = Answer(status, headers, b"")
        if not (head_only or status in (204, 304) or status < 200):
            answer.body = self._body(answer)
        if self.jar is not None:
            for name, value in headers:
                if name.lower() == "set-cookie":
                    cookie, _, content = value.split(";")[0].partition("=")
                    self.jar[cookie] = content
        return answer

    def _body(self, answer):
        if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            body = b""
            while size := int(self._until(b"\r\n").split(b";")[0], 16):
                body += self._exactly(size)
                self._until(b"\r\n")
            self._until(b"\r\n")
            return body
        return self._exactly(int(answer.header("Content-Length") or 0))

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed by freshet; unread: {self.unread[:200]!r}")
        self.unread += data

    def _until(self, mark):
        while mark not in self.unread:
            self._more()
        data, self.unread = self.unread.split(mark, 1)
        return data

    def _exactly(self, size):
        while len(self.unread) < size:
            self._more()
        data, self.unread = self.unread[:size], self.unread[size:]
        return data

    def at_end(self):
        """True when the other side has closed; waits for it."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()
