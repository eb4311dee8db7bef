# SPDX-License-Identifier: BSD-3-Clause
"""How a connection lives: kept, pipelined, told to close, and not kept for clients that send nothing.

No test measures time: where a limit must strike, the limit is small and the test blocks on reading.
"""
import pytest

from daemon import until
from http_wire import assert_problem, connect, exchange, read_to_end, take_answer, take_answers

BARE = 'listen: { http: "127.0.0.1:0" }\n'
PRODUCTS = "/api/products?business_id=1"


def address(daemon):
    return daemon.addresses("http")[0]


def get(path, fields="", version="1.1", method="GET"):
    return f"{method} {path} HTTP/{version}\r\nHost: a.test\r\n{fields}\r\n".encode()


# --- keep-alive ---------------------------------------------------------------------------------------


def test_connection_is_kept(freshet):
    http = freshet(BARE).http()
    for _ in range(3):
        answer = http.get("/x")
        assert answer.status == 404 and answer.header("Connection") is None


@pytest.mark.parametrize("fields", ["Connection: close\r\n", "Connection: CLOSE\r\n",
                                    "Connection: keep-alive, close\r\n"])
def test_connection_close_is_obeyed(freshet, fields):
    data = exchange(address(freshet(BARE)), get("/x", fields) + get("/never"))
    answer, rest = take_answer(data)
    assert rest == b"" and answer.status == 404
    assert answer.header("Connection") == "close"


def test_http_1_0_closes_unless_it_says_so_itself(freshet):
    """A 1.0 client that asked for keep-alive waits for the end unless the answer confirms it."""
    daemon = freshet(BARE)
    answer, rest = take_answer(exchange(address(daemon), get("/x", version="1.0")))
    assert rest == b"" and answer.header("Connection") == "close"
    with connect(address(daemon)) as s:
        s.sendall(get("/x", "Connection: keep-alive\r\n", "1.0"))
        data = b""
        while b"}\n" not in data:
            data += s.recv(65536)
        answer, _ = take_answer(data)
        assert answer.header("Connection") in ("close", "keep-alive")
        if answer.header("Connection") == "close":
            assert s.recv(1) == b""


def test_half_closed_connection_gets_its_answers(shared):
    """`printf ... | nc`: the client's side ends before the answers are made."""
    http = shared.http()
    http.raw(get("/api/customers?business_id=2") + get("/api/customers?business_id=3"))
    http.socket.shutdown(1)
    answers = take_answers(read_to_end(http.socket))
    assert [a.status for a in answers] == [200, 200]


# --- pipelines ----------------------------------------------------------------------------------------


def test_pipelined_answers_come_in_order(shared):
    """Hits and misses mixed: a parked miss must not be overtaken by the hits behind it."""
    http = shared.http()
    for i in range(2, 60, 2):
        http.get(f"/api/products/{i}")
    wanted = list(range(1, 61))
    last = get("/api/products/1", "Connection: close\r\n")
    data = exchange(address(shared), b"".join(get(f"/api/products/{i}") for i in wanted) + last)
    answers = take_answers(data)
    assert [a.json()["id"] for a in answers] == wanted + [1]
    assert answers[1].hit or answers[3].hit, "the test wants hits among the misses"


def test_pipelined_refusals_and_answers_come_in_order(shared):
    paths = [PRODUCTS, "/nowhere", "/api/products", "/api/products/2", "/api/products/x"]
    data = exchange(address(shared), b"".join(get(p) for p in paths) + get("/", "Connection: close\r\n"))
    assert [a.status for a in take_answers(data)] == [200, 404, 400, 200, 400, 404]


def test_long_pipeline_larger_than_every_buffer(freshet):
    """5,000 requests before the first answer is read: back-pressure, and nothing lost."""
    daemon = freshet(BARE)
    with connect(address(daemon)) as s:
        s.setblocking(False)
        data = b"".join(get(f"/{i}") for i in range(5000)) + get("/end", "Connection: close\r\n")
        sent, got = 0, b""
        while sent < len(data):
            try:
                sent += s.send(data[sent:])
            except BlockingIOError:
                s.setblocking(True)
                got += s.recv(65536)
                s.setblocking(False)
        s.setblocking(True)
        got += read_to_end(s)
    assert len(take_answers(got)) == 5001


@pytest.mark.parametrize("step", [1, 2, 3, 17])
def test_pieces_make_no_difference(shared, step):
    http = shared.http()
    whole = http.get(PRODUCTS).body
    data = exchange(address(shared), get(PRODUCTS) + get(PRODUCTS, "Connection: close\r\n"), step)
    assert [a.body for a in take_answers(data)] == [whole, whole]


def test_body_in_pieces(served, shop):
    before = shop.value("SELECT count(*) FROM sale")
    body = b'{"business_id": 1, "lines": [{"product_id": 3, "quantity": 2}]}'
    head = b"POST /api/sales HTTP/1.1\r\nHost: a.test\r\nContent-Type: application/json\r\n"
    fixed = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    cut = b"".join(b"1\r\n" + body[i:i + 1] + b"\r\n" for i in range(len(body)))
    chunked = head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + cut + b"0\r\n\r\n"
    answers = take_answers(exchange(address(served), fixed + chunked, 5))
    assert [a.status for a in answers] in ([200, 200], [201, 201]), answers
    assert shop.value("SELECT count(*) FROM sale") == before + 2


def test_expect_100_continue_invites_the_body(served):
    body = b'{"business_id": 1, "lines": [{"product_id": 3, "quantity": 2}]}'
    http = served.http()
    http.raw(b"POST /api/sales HTTP/1.1\r\nHost: a.test\r\nContent-Type: application/json\r\n"
             b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
    assert http.answer().status == 100
    http.raw(body)
    assert http.answer().status in (200, 201)


# --- HEAD and OPTIONS ---------------------------------------------------------------------------------


def test_head_is_get_without_its_body(shared):
    http = shared.http()
    until(lambda: http.get(PRODUCTS).hit, "a hit")
    full = http.get(PRODUCTS)
    data = exchange(address(shared), get(PRODUCTS, method="HEAD") + get(PRODUCTS, "Connection: close\r\n"))
    head, after = take_answers(data, ["HEAD", "GET"])
    assert head.status == 200 and head.hit and after.body == full.body
    for name in ("ETag", "Content-Type", "Content-Length", "Cache-Control"):
        assert head.header(name) == full.header(name)


def test_head_of_a_problem_has_no_body(shared):
    data = exchange(address(shared), get("/nowhere", method="HEAD")
                    + get("/api/products", method="HEAD") + get("/", "Connection: close\r\n"))
    answers = take_answers(data, ["HEAD", "HEAD", "GET"])
    assert [a.status for a in answers] == [404, 400, 404]
    assert int(answers[0].header("Content-Length")) > 0


@pytest.mark.parametrize("target,allow", [("/api/products", {"GET", "HEAD", "OPTIONS"}),
                                          ("/api/products/7", {"GET", "HEAD", "OPTIONS"}),
                                          ("/api/sales", {"POST", "OPTIONS"}),
                                          ("*", {"GET", "HEAD", "POST", "OPTIONS"})])
def test_options_says_what_a_path_allows(shared, target, allow):
    data = exchange(address(shared), get(target, method="OPTIONS") + get("/", "Connection: close\r\n"))
    answer, rest = take_answer(data)
    assert answer.status == 204
    assert {m.strip() for m in answer.header("Allow").split(",")} == allow
    assert answer.header("Content-Length") is None, "RFC 9110 8.6: not with 204"
    assert take_answer(rest)[0].status == 404


def test_options_of_an_unknown_path(shared):
    assert shared.http().request("OPTIONS", "/nowhere").status == 404


# --- limits -------------------------------------------------------------------------------------------


def test_limits_answer_and_close(freshet):
    daemon = freshet(BARE + "limits: { http_head: 2KB, http_body: 1KB }\n")
    exact = b'{"a":"' + b"x" * (1024 - 8) + b'"}'
    for body, status in ((exact, 404), (exact + b" ", 413)):
        data = exchange(address(daemon), b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert_problem(take_answer(data)[0], status)
    for pad, status in ((1000, 404), (2000, 431)):
        data = exchange(address(daemon), get("/x", f"Connection: close\r\nX: {'y' * pad}\r\n"))
        assert_problem(take_answer(data)[0], status)
    for pad, status in ((900, 404), (1100, 414)):
        data = exchange(address(daemon), get("/" + "y" * pad, "Connection: close\r\n"))
        assert_problem(take_answer(data)[0], status)


@pytest.mark.parametrize("sent", [b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n",
                                  b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /"])
def test_slow_head_is_told_and_closed(freshet, sent):
    daemon = freshet(BARE + "limits: { http_head_time: 100ms }\n")
    with connect(address(daemon)) as s:
        s.sendall(sent)
        answers = take_answers(read_to_end(s))
    assert_problem(answers[-1], 408)
    assert answers[-1].header("Connection") == "close"
    assert len(answers) == 1 + sent.count(b"\r\n\r\n")


def test_dripping_head_is_closed_all_the_same(freshet):
    """Slowloris: each byte is in time, the head is not."""
    daemon = freshet(BARE + "limits: { http_head_time: 100ms }\n")
    with connect(address(daemon)) as s:
        s.sendall(b"GET / HTTP/1.1\r\n")
        s.settimeout(0.02)  # what passes between two bytes
        data = b""
        for _ in range(1500):
            try:
                chunk = s.recv(65536)
                data += chunk
                if not chunk:
                    break
            except TimeoutError:
                try:
                    s.sendall(b"X: y\r\n")
                except (BrokenPipeError, ConnectionResetError):
                    pass
            except ConnectionResetError:
                break
        else:
            pytest.fail("still open")
    assert_problem(take_answer(data)[0], 408)


@pytest.mark.parametrize("part", [b"Content-Length: 9\r\n\r\nhell", b"Content-Length: 9\r\n\r\n",
                                  b"Transfer-Encoding: chunked\r\n\r\n5\r\nhell"])
def test_slow_body_is_told_and_closed(freshet, part):
    daemon = freshet(BARE + "limits: { http_idle: 1s }\n")
    with connect(address(daemon)) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + part)
        answer, rest = take_answer(read_to_end(s))
    assert rest == b""
    assert_problem(answer, 408)


def test_head_time_does_not_limit_the_body(freshet):
    """The head came in two pieces, so its time was running; the body has a time of its own."""
    daemon = freshet(BARE + "workers: 1\nlimits: { http_head_time: 100ms, http_idle: 10s }\n")
    http = daemon.http()
    with connect(address(daemon)) as s, connect(address(daemon)) as clock:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n")
        http.get("/x")  # answered by the same worker: it has seen the first piece
        s.sendall(b"Connection: close\r\nContent-Length: 5\r\n\r\nhell")
        http.get("/x")
        clock.sendall(b"G")
        assert_problem(take_answer(read_to_end(clock))[0], 408)  # so the head's time is over
        s.sendall(b"o")
        assert_problem(take_answer(read_to_end(s))[0], 404)


def test_idle_connection_is_closed_without_a_word(freshet):
    daemon = freshet(BARE + "limits: { http_idle: 1s }\n")
    with connect(address(daemon)) as fresh, connect(address(daemon)) as used:
        used.sendall(get("/x"))
        assert read_to_end(fresh) == b""
        assert [a.status for a in take_answers(read_to_end(used))] == [404]


