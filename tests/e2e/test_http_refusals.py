# SPDX-License-Identifier: BSD-3-Clause
"""Requests that have two readings get none: one problem, then the end of the connection.

Behind each bad request stand two good ones. Whoever answers them has read on inside bytes whose meaning
is in doubt: that is request smuggling. The parser's own tests hold the full list; this is what matters on
the wire.
"""
import pytest

from daemon import Freshet
from http_wire import assert_problem, connect, exchange, read_to_end, take_answer, take_answers

NEXT = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n" * 2
LAST = b"GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"


def get(fields=b"", line=b"GET / HTTP/1.1", host=b"Host: a.test\r\n"):
    return line + b"\r\n" + host + fields + b"\r\n"


def post(fields, body=b""):
    return get(fields, line=b"POST / HTTP/1.1") + body


def chunked(body):
    return post(b"Transfer-Encoding: chunked\r\n", body)


REFUSED = {
    "length beside chunked": (400, post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                                        b"0\r\n\r\n")),
    "chunked beside length": (400, post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                                        b"0\r\n\r\n")),
    "two lengths": (400, post(b"Content-Length: 5\r\nContent-Length: 0\r\n", b"hello")),
    "two equal lengths": (400, post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello")),
    "list of lengths": (400, post(b"Content-Length: 5, 5\r\n", b"hello")),
    "plus in length": (400, post(b"Content-Length: +5\r\n", b"hello")),
    "space in length": (400, post(b"Content-Length:  5 5\r\n", b"hello")),
    "empty length": (400, post(b"Content-Length:\r\n", b"hello")),
    "hex length": (400, post(b"Content-Length: 0x5\r\n", b"hello")),
    "length overflow": (400, post(b"Content-Length: 18446744073709551621\r\n", b"hello")),
    "chunked in HTTP/1.0": (400, get(b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
                                     line=b"POST / HTTP/1.0") + b"0\r\n\r\n"),
    "xchunked": (400, post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n")),
    "chunked and vertical tab": (400, post(b"Transfer-Encoding: chunked\x0b\r\n", b"0\r\n\r\n")),
    "chunked, identity": (400, post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n")),
    "two transfer encodings": (400, post(b"Transfer-Encoding: chunked\r\n" * 2, b"0\r\n\r\n")),
    "gzip, chunked": (501, post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
    "chunk size 0x5": (400, chunked(b"0x5\r\nhello\r\n0\r\n\r\n")),
    "chunk size _5": (400, chunked(b"_5\r\nhello\r\n0\r\n\r\n")),
    "chunk size +5": (400, chunked(b"+5\r\nhello\r\n0\r\n\r\n")),
    "empty chunk size": (400, chunked(b"\r\nhello\r\n0\r\n\r\n")),
    "chunk size of 17 digits": (400, chunked(b"00000000000000005\r\nhello\r\n0\r\n\r\n")),
    "chunk ext with bare LF": (400, chunked(b"5;a\nhello\r\n0\r\n\r\n")),
    "chunk ext with bare CR": (400, chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n")),
    "chunk ext over 1 KB": (400, chunked(b"5;" + b"a" * 1100 + b"\r\nhello\r\n0\r\n\r\n")),
    "chunk size ends with LF": (400, chunked(b"5\nhello\r\n0\r\n\r\n")),
    "no CRLF after chunk data": (400, chunked(b"5\r\nhello0\r\n\r\n")),
    "LF after chunk data": (400, chunked(b"5\r\nhello\n0\r\n\r\n")),
    "chunk ext with quotes": (400, chunked(b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n')),
    "chunk ext without a name": (400, chunked(b"5;\r\nhello\r\n0\r\n\r\n")),
    "length as trailer": (400, chunked(b"0\r\nContent-Length: 50\r\n\r\n")),
    "tab behind length": (400, post(b"Content-Length: 5\t\r\n", b"hello")),
    "tab before chunked": (400, post(b"Transfer-Encoding:\tchunked\r\n", b"0\r\n\r\n")),
    "request as trailer": (400, chunked(b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n")),
    "bare LF after request line": (400, b"GET / HTTP/1.1\nHost: a.test\r\n\r\n"),
    "bare LF after field": (400, b"GET / HTTP/1.1\r\nHost: a.test\n\r\n"),
    "bare LF ends head": (400, b"GET / HTTP/1.1\r\nHost: a.test\r\n\n"),
    "bare CR": (400, get(b"X: a\rb\r\n")),
    "CR X as line end": (400, get(b"A: b\rXTransfer-Encoding: chunked\r\n")),
    "NUL in value": (400, get(b"X: a\0b\r\n")),
    "NUL in name": (400, get(b"X\0: b\r\n")),
    "obs-fold": (400, get(b"X: a\r\n b\r\n")),
    "obs-fold of a length": (400, post(b"Content-Length:\r\n 5\r\n", b"hello")),
    "space before colon": (400, post(b"Content-Length : 5\r\n", b"hello")),
    "empty name": (400, get(b": x\r\n")),
    "name with space": (400, get(b"a b: x\r\n")),
    "name with slash": (400, get(b"a/b: x\r\n")),
    "space before first field": (400, b"GET / HTTP/1.1\r\n Host: a.test\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n"),
    "versionless LF": (400, b"GET /\n"),
    "HTTP/0.9 by name": (505, get(line=b"GET / HTTP/0.9")),
    "HTTP/1.2": (505, get(line=b"GET / HTTP/1.2")),
    "HTTP/2.0": (505, get(line=b"GET / HTTP/2.0")),
    "HTTP/1.10": (400, get(line=b"GET / HTTP/1.10")),
    "lower-case http": (400, get(line=b"GET / http/1.1")),
    "two spaces": (400, get(line=b"GET  / HTTP/1.1")),
    "two spaces before version": (400, get(line=b"GET /  HTTP/1.1")),
    "tab": (400, get(line=b"GET\t/ HTTP/1.1")),
    "leading space": (400, get(line=b" GET / HTTP/1.1")),
    "raw high byte in target": (400, get(line=b"GET /\xc3\xa4 HTTP/1.1")),
    "control in target": (400, get(line=b"GET /\x7f HTTP/1.1")),
    "fragment": (400, get(line=b"GET /#a HTTP/1.1")),
    "absolute form of another host": (400, get(line=b"GET http://b.test/ HTTP/1.1")),
    "missing Host": (400, get(host=b"")),
    "two Hosts": (400, get(b"Host: a.test\r\n")),
    "Host with space": (400, get(host=b"Host: a test\r\n")),
    "Host with user": (400, get(host=b"Host: u@a.test\r\n")),
    "Host with path": (400, get(host=b"Host: a.test/x\r\n")),
    "unknown expectation": (417, post(b"Content-Length: 5\r\nExpect: 200-ok\r\n", b"hello")),
    "list of expectations": (417, post(b"Content-Length: 5\r\nExpect: 100-continue, x\r\n", b"hello")),
    "GET with length": (400, get(b"Content-Length: 41\r\n")),
    "GET with chunks": (400, get(b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n"),
    "HEAD with length": (400, get(b"Content-Length: 5\r\n", line=b"HEAD / HTTP/1.1") + b"hello"),
    "OPTIONS with length": (400, get(b"Content-Length: 5\r\n", line=b"OPTIONS / HTTP/1.1") + b"hello"),
    "Connection names Host": (400, get(b"Connection: Host\r\n")),
    "Connection names Cookie": (400, get(b"Connection: close, cookie\r\n")),
    "Connection names X-Forwarded-For": (400, get(b"Connection: x-forwarded-for\r\n")),
    "Connection names Transfer-Encoding": (400, chunked(b"0\r\n\r\n").replace(
        b"\r\n\r\n", b"\r\nConnection: Transfer-Encoding\r\n\r\n", 1)),
    "minus in length": (400, post(b"Content-Length: -5\r\n", b"hello")),
    "point in length": (400, post(b"Content-Length: 5.0\r\n", b"hello")),
    "chunked with a parameter": (400, post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n")),
    "chunked, chunked": (400, post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n")),
    "chunked in quotes": (400, post(b"Transfer-Encoding: \"chunked\"\r\n", b"0\r\n\r\n")),
    "identity": (400, post(b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", b"hello")),
    "space before chunk size": (400, chunked(b" 5\r\nhello\r\n0\r\n\r\n")),
    "space after chunk size": (400, chunked(b"5 \r\nhello\r\n0\r\n\r\n")),
    "minus in chunk size": (400, chunked(b"-5\r\nhello\r\n0\r\n\r\n")),
    "bare LF after last chunk": (400, chunked(b"0\r\n\n")),
    "bare CR after chunk size": (400, chunked(b"5\rhello\r\n0\r\n\r\n")),
    "high byte in a name": (400, get(b"X\xe4: b\r\n")),
    "tab before colon": (400, get(b"X\t: b\r\n")),
    "no colon": (400, get(b"Xab\r\n")),
    "empty Host": (400, get(host=b"Host:\r\n")),
    "Host with a bad port": (400, get(host=b"Host: a.test:99999\r\n")),
    "list of Hosts": (400, get(host=b"Host: a.test, b.test\r\n")),
    "absolute form with user": (400, get(line=b"GET http://u@a.test/ HTTP/1.1")),
    "absolute form of a file": (400, get(line=b"GET file:///etc/passwd HTTP/1.1")),
    "authority form of GET": (400, get(line=b"GET a.test:80 HTTP/1.1")),
    "star of GET": (400, get(line=b"GET * HTTP/1.1")),
    "backslash in path": (400, get(line=b"GET /a\\b HTTP/1.1")),
    "space after version": (400, get(line=b"GET / HTTP/1.1 ")),
    "two expectations": (417, post(b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n",
                                   b"hello")),
    "TLS hello": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "Redis command": (400, b"*1\r\n$4\r\nPING\r\n"),
    "line too long": (414, b"GET /" + b"a" * 1000 + b" HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    "method without end": (414, b"G" * 1000),
    "head too large": (431, get(b"".join(b"X-%d: %s\r\n" % (i, b"y" * 200) for i in range(9)))),
    "too many headers": (431, get(b"a:\r\n" * 100)),
    "body too large": (413, post(b"Content-Length: 70000\r\n", b"hello")),
    "chunks too large": (413, chunked(b"11000\r\nhello")),
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """freshet without a database and with small limits: every path is a 404."""
    daemon = Freshet(tmp_path_factory.mktemp("bare"), """
listen: { http: "127.0.0.1:0" }
limits: { http_head: 1KB, http_body: 64KB }
""").start()
    yield daemon
    assert daemon.stop() == 0


def address(daemon):
    return daemon.addresses("http")[0]


def assert_refused_alone(data, status):
    """One problem that announces the end, and no answer to anything behind it."""
    answer, rest = take_answer(data)
    assert rest == b""
    assert_problem(answer, status)
    assert answer.header("Connection") == "close"


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_nothing_behind_it_answered(bare, name):
    status, request = REFUSED[name]
    assert_refused_alone(exchange(address(bare), request + NEXT), status)


@pytest.mark.parametrize("name", ["length beside chunked", "bare LF after field", "obs-fold",
                                  "chunk ext with bare LF", "no CRLF after chunk data", "two Hosts",
                                  "head too large", "method without end", "chunks too large"])
def test_refused_alike_when_it_comes_byte_by_byte(bare, name):
    status, request = REFUSED[name]
    assert_refused_alone(exchange(address(bare), request, step=1), status)


def test_good_requests_before_a_bad_one_are_answered(bare):
    good = b"GET /first HTTP/1.1\r\nHost: a.test\r\n\r\n" * 3
    answers = take_answers(exchange(address(bare), good + REFUSED["obs-fold"][1] + NEXT))
    assert [a.status for a in answers] == [404, 404, 404, 400]
    assert answers[2].header("Connection") is None


@pytest.mark.parametrize("body", [
    post(b"Content-Length: %d\r\n" % len(NEXT), NEXT),
    chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(NEXT), NEXT)),
    chunked(b"%x;a=b\r\n%s\r\n0\r\nContent-MD5: 50\r\n\r\n" % (len(NEXT), NEXT)),
    chunked(b"1\r\nG\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(NEXT) - 1, NEXT[1:])),
], ids=["length", "chunk", "extension and trailer", "two chunks"])
@pytest.mark.parametrize("step", [None, 1, 7])
def test_requests_inside_a_body_are_a_body(bare, body, step):
    answers = take_answers(exchange(address(bare), body + LAST, step))
    assert [a.status for a in answers] == [404, 404]


@pytest.mark.parametrize("request_bytes", [
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET http://a.test/ HTTP/1.1\r\nHost: A.TEST\r\n\r\n",
    get(b"x-lower:\tvalue \r\nX-Obs: \xe4\r\n"),
    get(b"Content-Length: 0\r\n"),
    get(host=b"Host: [::1]:80\r\n"),
    get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
    chunked(b"0\r\n\r\n"),
], ids=["empty lines first", "absolute form", "odd values", "length 0", "IPv6 host", "h2c upgrade",
        "empty chunked body"])
def test_unusual_but_clear_requests_are_served(bare, request_bytes):
    answers = take_answers(exchange(address(bare), request_bytes + LAST))
    assert [a.status for a in answers] == [404, 404]


@pytest.mark.parametrize("method", [b"TRACE", b"PROPFIND", b"get", b"CONNECT"])
def test_other_methods_reach_nothing(bare, method):
    target = b"a.test" if method == b"CONNECT" else b"/"
    request_bytes = get(line=method + b" " + target + b" HTTP/1.1", host=b"Host: a.test\r\n")
    answers = take_answers(exchange(address(bare), request_bytes + LAST))
    assert answers[0].status in (404, 405, 501)


def test_reason_arrives_while_the_client_still_sends(bare):
    """A close with unread bytes resets the connection, and the reset may overtake the answer."""
    with connect(address(bare)) as s:
        s.sendall(post(b"Content-Length: 9000000\r\n"))
        try:
            for _ in range(100):
                s.sendall(b"x" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer, rest = take_answer(read_to_end(s))
    assert rest == b""
    assert_problem(answer, 413)


def test_it_still_serves_after_all_of_them(bare):
    for _, request in REFUSED.values():
        exchange(address(bare), request)
    assert take_answers(exchange(address(bare), LAST))[0].status == 404
