# SPDX-License-Identifier: BSD-3-Clause
"""What went over the wire, byte for byte: send bytes that no client library would, and take apart
everything that came back until the other side closed. Nothing is forgiven here."""
import json
import re
import socket

from http_client import Answer

STATUS_LINE = re.compile(r"HTTP/1\.1 (\d{3}) [ -~]+")
FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t -~\x80-\xff]*")


def connect(address, timeout=30):
    host, _, port = address.rpartition(":")
    s = socket.create_connection((host, int(port)), timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_to_end(s):
    data = b""
    while chunk := s.recv(65536):
        data += chunk
    return data


def exchange(address, data, step=None):
    """Sends `data` (in pieces of `step` bytes) and returns everything until the other side closes."""
    with connect(address) as s:
        try:
            for start in range(0, len(data), step or len(data)):
                s.sendall(data[start:start + (step or len(data))])
        except (BrokenPipeError, ConnectionResetError):
            pass  # it answered before it had everything; what it said is still there to be read
        return read_to_end(s)


def take_answer(data, head_only=False):
    """The first answer in `data` and the bytes behind it."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    assert mark, f"no whole head: {data!r}"
    lines = head.decode("latin-1").split("\r\n")
    match = STATUS_LINE.fullmatch(lines[0])
    assert match, lines[0]
    for line in lines[1:]:
        assert FIELD.fullmatch(line), line
    fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
    answer = Answer(int(match[1]), fields, b"")
    names = [name.lower() for name, _ in fields]
    assert len(names) == len(set(names)), f"a field twice: {names}"
    if head_only or answer.status in (204, 304) or answer.status < 200:
        return answer, rest
    size = int(answer.header("Content-Length"))
    assert len(rest) >= size, f"body cut: {data!r}"
    answer.body = rest[:size]
    return answer, rest[size:]


def take_answers(data, methods=()):
    """All answers in `data`; `methods` tells which of them answer HEAD."""
    answers = []
    while data:
        head_only = len(answers) < len(methods) and methods[len(answers)] == "HEAD"
        answer, data = take_answer(data, head_only)
        answers.append(answer)
    return answers


def assert_problem(answer, status, **members):
    """An RFC 9457 problem with this status; `members` are further ones it must have."""
    assert answer.status == status, answer
    assert answer.header("Content-Type") == "application/problem+json", answer.headers
    problem = json.loads(answer.body)
    assert problem["type"] and problem["title"] and problem["detail"], problem
    assert problem["status"] == status, problem
    for name, value in members.items():
        assert problem.get(name) == value, problem
    return problem
