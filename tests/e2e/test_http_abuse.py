# SPDX-License-Identifier: BSD-3-Clause
"""Clients that misbehave, and others that must not notice: slow senders, slow readers, half-open and cut
connections, strangers. Time only passes where a limit must strike, and then the test blocks on reading.
"""
import contextlib
import re
import select
import signal
import socket
import struct

import pytest

from daemon import shop_policy, until
from http_client import Http
from http_wire import assert_problem, connect, exchange, read_to_end, take_answer

BARE = 'listen: { http: "127.0.0.1:0", admin: "127.0.0.1:0" }\n'
PRODUCTS = "/api/products?business_id=1"


def address(daemon):
    return daemon.addresses("http")[0]


def stat(daemon, name):
    text = Http(daemon.addresses("admin")[0]).get("/stats").body.decode()
    return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.M)[1])


def resident_kb(daemon):
    with open(f"/proc/{daemon.process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def get(path, fields=""):
    return f"GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode()


def post(fields, body=b""):
    return f"POST /x HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode() + body


def drip(s, byte, beside=None):
    """Sends `byte` every 20 ms until the other side closes, and returns what came back; or until `beside`
    has been closed, and returns how many were sent."""
    data, sent = b"", 0
    s.settimeout(0.02)
    for _ in range(3000):
        if beside is not None and select.select([beside], [], [], 0)[0]:
            break
        try:
            chunk = s.recv(65536)
            data += chunk
            if not chunk:
                return data
        except TimeoutError:
            try:
                s.sendall(byte)
                sent += 1
            except (BrokenPipeError, ConnectionResetError):
                pass
        except ConnectionResetError:
            return data
    else:
        pytest.fail("still open")
    s.settimeout(30)
    return sent


# --- slow senders -------------------------------------------------------------------------------------


def test_many_slow_heads_harm_nobody(shop, freshet):
    """Slowloris: 300 connections, each with a head that never ends. Another client is served all the time,
    and the 300 are told and closed."""
    daemon = freshet(shop_policy(shop.role_dsn, limits="{ http_head_time: 3s }")).following()
    slow = [connect(address(daemon)) for _ in range(300)]
    for i, s in enumerate(slow):
        s.sendall(get("/x")[:10 + i % 20])
    http = daemon.http()
    assert until(lambda: http.get(PRODUCTS).hit, "a hit while 300 heads are unfinished")
    for s in slow:
        assert_problem(take_answer(read_to_end(s))[0], 408)
        assert http.get(PRODUCTS).status == 200
        s.close()
    assert stat(daemon, "http_late") == 300


@pytest.mark.parametrize("fields", ["Content-Length: 100000\r\n", "Transfer-Encoding: chunked\r\n"])
def test_dripping_body_is_cut(freshet, fields):
    """Each byte is in time, the body is not: a byte earns a thousandth of a second."""
    daemon = freshet(BARE + "limits: { http_idle: 1s }\n")
    byte = b"x" if "Length" in fields else b"1\r\nx\r\n"
    with connect(address(daemon)) as s:
        s.sendall(post(fields))
        problem = assert_problem(take_answer(drip(s, byte))[0], 408)
    assert "limits.http_body_rate" in problem["detail"]
    assert stat(daemon, "http_late") == 1


def test_slow_but_steady_body_is_taken(freshet):
    """It takes longer than `http_idle`, as a phone's upload does; it keeps coming."""
    daemon = freshet(BARE + "limits: { http_idle: 3s, http_body_rate: 1B }\n")
    with connect(address(daemon)) as s, connect(address(daemon)) as clock:
        s.sendall(post("Connection: close\r\nContent-Length: 9000\r\n"))
        sent = drip(s, b"x", beside=clock)  # the clock says nothing, so it is closed after http_idle
        s.sendall(b"x" * (9000 - sent))
        assert_problem(take_answer(read_to_end(s))[0], 404)
    assert stat(daemon, "http_late") == 0


def test_no_body_takes_longer_than_its_whole_time(freshet):
    daemon = freshet(BARE + "limits: { http_idle: 10s, http_body_rate: 1B, http_body_time: 1s }\n")
    with connect(address(daemon)) as s:
        s.sendall(post("Content-Length: 100000\r\n"))
        assert_problem(take_answer(drip(s, b"x"))[0], 408)


def test_body_that_stops_is_told(freshet):
    daemon = freshet(BARE + "limits: { http_idle: 1s }\n")
    with connect(address(daemon)) as s:
        s.sendall(post("Content-Length: 9\r\n", b"hell"))
        assert "limits.http_" in assert_problem(take_answer(read_to_end(s))[0], 408)["detail"]


# --- connections that end in the middle -----------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"G", get("/x")[:-2], post("Content-Length: 9\r\n", b"hell"),
                                  post("Transfer-Encoding: chunked\r\n", b"5\r\nhel"), b""])
def test_half_closed_in_a_message_is_closed(freshet, sent):
    """Nothing more can come, so there is nothing to wait for."""
    daemon = freshet(BARE)
    with connect(address(daemon)) as s:
        s.sendall(sent)
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == b""
    until(lambda: stat(daemon, "connections") == 1, "only the one that asks")


def test_cut_connections_leave_nothing_behind(freshet):
    """Reset in the middle of a head, a body, an answer and a pipeline."""
    daemon = freshet(BARE)
    parts = [b"G", get("/x")[:-2], get("/x") * 500, post("Content-Length: 9000\r\n", b"x" * 5000),
             post("Transfer-Encoding: chunked\r\n", b"fff\r\n" + b"x" * 3000)]
    for round_ in range(20):
        for part in parts:
            s = connect(address(daemon))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.sendall(part)
            s.close()  # resets
    assert daemon.http().get("/x").status == 404
    until(lambda: stat(daemon, "connections") == 2, "only the two that ask")


def test_client_that_leaves_while_the_database_works(shop, freshet):
    """Its statement goes on for whoever asks next; others are served."""
    daemon = freshet(shop_policy(shop.role_dsn)).following()
    http = daemon.http()
    for i in range(50):
        s = connect(address(daemon))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.sendall(get(f"/api/products?business_id=1&limit={100 + i}"))
        s.close()
        assert http.get("/api/customers?business_id=1").status == 200
    assert http.get("/api/products?business_id=1&limit=149").status == 200


# --- slow readers ---------------------------------------------------------------------------------------


def test_reader_that_does_not_read_costs_bounded_memory(shop, freshet):
    """8 connections ask for 400 MB each and read nothing: their answers are not made. Others are served,
    and whoever reads on gets every answer."""
    daemon = freshet(shop_policy(shop.role_dsn)).following()
    http = daemon.http()
    size = len(until(lambda: (a := http.get(PRODUCTS)).hit and a, "a hit").body)
    asked = 400_000_000 // size
    before = resident_kb(daemon)
    lazy = []
    for _ in range(8):
        s = connect(address(daemon))
        s.setblocking(False)
        lazy.append([s, get(PRODUCTS) * asked, 0])
    for _ in range(300):  # until none of them takes any more requests
        took = 0
        for entry in lazy:
            try:
                took += (n := entry[0].send(entry[1][entry[2]:entry[2] + 65536]))
                entry[2] += n
            except BlockingIOError:
                pass
        assert http.get(PRODUCTS).status == 200
        if took == 0:
            break
    # A few MB each; a sanitizer keeps a quarter of a gigabyte of freed buffers. Unbounded, it were 3 GB.
    assert resident_kb(daemon) - before < 500_000
    s, _, sent = lazy[0]
    s.settimeout(30)
    tail, answers, whole = b"", 0, sent // len(get(PRODUCTS))
    while answers < whole:
        chunk = s.recv(1 << 20)
        assert chunk, f"closed after {answers} of {whole} answers"
        answers += len(re.findall(rb"HTTP/1\.1 200", tail + chunk))
        tail = (tail + chunk)[-11:]
    for s, _, _ in lazy:
        s.close()


def ask_for_much(s, size):
    """Requests for far more than every buffer on the way can hold, as many as are taken."""
    s.setblocking(False)
    requests, sent = get(PRODUCTS) * (60_000_000 // size), 0
    while select.select([], [s], [], 0.2)[1] and sent < len(requests):
        sent += s.send(requests[sent:sent + 65536])
    s.setblocking(True)
    return sent // len(get(PRODUCTS))


def test_reader_that_stalls_is_cut(shop, freshet):
    daemon = freshet(shop_policy(shop.role_dsn, limits="{ stall: 1s }")).following()
    http = daemon.http()
    size = len(until(lambda: (a := http.get(PRODUCTS)).hit and a, "a hit").body)
    with connect(address(daemon)) as s:
        ask_for_much(s, size)
        until(lambda: stat(daemon, "connections_cut_stalled") == 1, "the cut")
    assert http.get(PRODUCTS).status == 200
    assert re.search(r"WARN +net +connection cut: .*limits\.stall.*127\.0\.0\.1", daemon.log_text())


def test_reader_that_is_slow_is_served(shop, freshet):
    """200 KB a second: the system's buffer of some megabytes lets us send again every few seconds only, far
    longer than `stall`, but the peer takes bytes all the time."""
    daemon = freshet(shop_policy(shop.role_dsn, limits="{ stall: 2s, http_idle: 5s }")).following()
    http = daemon.http()
    size = len(until(lambda: (a := http.get(PRODUCTS)).hit and a, "a hit").body)
    with connect(address(daemon)) as s, connect(address(daemon)) as clock:
        asked = ask_for_much(s, size)
        tail, answers = b"", 0
        while answers < asked:
            is_time_over = select.select([clock], [], [], 0)[0]
            chunk = s.recv(1 << 20 if is_time_over else 4096)
            assert chunk, f"closed after {answers} of {asked} answers"
            answers += len(re.findall(rb"HTTP/1\.1 200", tail + chunk))
            tail = (tail + chunk)[-11:]
            if not is_time_over:
                select.select([clock], [], [], 0.02)
    assert stat(daemon, "connections_cut_stalled") == 0


# --- limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_bytes,status,says", [
    (get("/" + "a" * 9000), 414, "8192 bytes (half of limits.http_head)"),
    (get("/x", "X: " + "y" * 17000 + "\r\n"), 431, "16384 bytes (limits.http_head)"),
    (get("/x", "a:\r\n" * 101), 431, "100 headers"),
    (post("Content-Length: 9000000\r\n"), 413, "8388608 bytes (limits.http_body)"),
    (post("Transfer-Encoding: chunked\r\n", b"900000\r\n"), 413, "8388608 bytes (limits.http_body)"),
], ids=["huge URI", "huge header", "huge header count", "huge body", "huge chunk"])
def test_limit_is_named_with_its_size(freshet, request_bytes, status, says):
    daemon = freshet(BARE)
    answer, rest = take_answer(exchange(address(daemon), request_bytes))
    assert rest == b"" and says in assert_problem(answer, status)["detail"]
    assert stat(daemon, "http_too_large") == 1


def test_too_many_connections_are_told_which_limit(freshet):
    daemon = freshet('listen: { http: "127.0.0.1:0" }\nlimits: { connections: 3 }\n')
    held = [daemon.http() for _ in range(3)]
    assert all(http.get("/x").status == 404 for http in held)
    answer, rest = take_answer(exchange(address(daemon), get("/x")))
    assert rest == b"" and answer.header("Retry-After").isdigit()
    assert answer.header("Connection") == "close"
    assert "limits.connections" in assert_problem(answer, 503)["detail"]
    assert all(http.get("/x").status == 404 for http in held), "who is in is served"
    held[0].close()

    def served():
        with connect(address(daemon)) as s:
            s.sendall(get("/x", "Connection: close\r\n"))
            return take_answer(read_to_end(s))[0].status == 404
    until(served, "a place")


def test_compressed_bodies_are_not_unpacked(freshet):
    daemon = freshet(BARE)
    http = daemon.http()
    answer = http.post("/x", b"\x1f\x8b\x08", Content_Encoding="gzip")
    assert answer.header("Accept-Encoding") == "identity"
    assert "Content-Encoding" in assert_problem(answer, 415)["detail"]
    answer = http.post("/x", b"a=1", content_type="application/x-www-form-urlencoded")
    assert_problem(answer, 415)
    assert answer.header("Accept-Post") == "application/json"
    assert http.post("/x", b"{}", Content_Encoding="identity").status == 404


# --- strangers ------------------------------------------------------------------------------------------

TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


@pytest.mark.parametrize("hello,says", [(TLS, "http://"), (H2, "HTTP/1.1")], ids=["TLS", "HTTP/2"])
def test_other_protocol_is_closed_and_logged_once(freshet, hello, says):
    daemon = freshet(BARE)
    http = daemon.http()
    for _ in range(5):
        answer, rest = take_answer(exchange(address(daemon), hello))
        assert rest == b"" and says in assert_problem(answer, 400)["detail"]
        assert http.get("/x").status == 404
    assert stat(daemon, "http_strangers") == 5
    lines = [line for line in daemon.log_text().splitlines() if "another protocol" in line]
    assert 1 <= len(lines) <= 2, "a line, and not one for each (two workers may say it)"
    assert "WARN" in lines[0] and "127.0.0.1:" in lines[0] and says in lines[0]


def test_a_tls_client_hears_that_at_once(freshet):
    import ssl
    daemon = freshet(BARE)
    with connect(address(daemon)) as s, pytest.raises((ssl.SSLError, ConnectionError)):
        ssl._create_unverified_context().wrap_socket(s)


def test_admin_says_how_to_authenticate(freshet):
    daemon = freshet('listen: { admin: "127.0.0.1:0" }\nauth: { password: "geheim" }\n')
    http = Http(daemon.addresses("admin")[0])
    answer = http.get("/stats")
    assert answer.header("WWW-Authenticate").startswith("Bearer")
    assert "Authorization" in assert_problem(answer, 401)["detail"]
    assert http.get("/stats", Authorization="Bearer geheim").status == 200
    answer = http.request("POST", "/stats", Authorization="Bearer geheim")
    assert_problem(answer, 405)
    assert answer.header("Allow") == "GET, HEAD"


# --- the end --------------------------------------------------------------------------------------------


def test_last_answer_of_a_drain_closes(shop, freshet):
    """A request that waits for the database when the server is told to stop is answered, and its answer says
    that it is the connection's last."""
    daemon = freshet(f"""
listen: {{ http: "127.0.0.1:0", admin: "127.0.0.1:0" }}
database: {{ dsn: "{shop.role_dsn}" }}
routes:
  - match: POST /lock
    sql: "SELECT pg_advisory_lock(4711)::text AS done"
""")
    with contextlib.closing(shop.connect()) as connection:
        holder = connection.cursor()
        holder.execute("SELECT pg_advisory_lock(4711)")
        http = daemon.http()
        http.raw(http.message("POST", "/lock", b"{}", content_type="application/json"))
        until(lambda: shop.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
              == 1, "the statement waits")
        daemon.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in daemon.log_text(), "the drain")

        def refused():
            try:
                connect(address(daemon)).close()
            except ConnectionError:
                return True
        until(refused, "closed listeners")
        holder.execute("SELECT pg_advisory_unlock(4711)")
        answer = http.answer()
        assert answer.status == 200 and answer.header("Connection") == "close"
        assert http.at_end()


def test_unreachable_database_says_when_to_try_again(freshet):
    daemon = freshet("""
listen: { http: "127.0.0.1:0" }
database: { dsn: "host=127.0.0.1 port=1 dbname=x" }
routes: [ { match: "GET /x", sql: "SELECT 1 AS one" } ]
""")
    answer = daemon.http().get("/x")
    assert_problem(answer, 503)
    assert answer.header("Retry-After").isdigit() and answer.header("Cache-Control") == "no-store"
    assert answer.header("Date") and answer.header("Age") is None
