# SPDX-License-Identifier: BSD-3-Clause
"""Nobody can put into the cache what others then get, and nobody gets what belongs to another key."""
import random
import threading

import pytest

from daemon import until
from http_client import Http
from http_wire import assert_problem, exchange, take_answers

PRODUCTS = "/api/products?business_id=1"


def hit(http, path=PRODUCTS, **headers):
    return until(lambda: (a := http.get(path, **headers)).hit and a, f"a hit of {path}")


def fresh_path():
    """A path whose answer is not in the cache yet."""
    fresh_path.number += 1
    return f"/api/products?business_id=1&limit={1000 + fresh_path.number}"


fresh_path.number = 0


# --- poisoning ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Scheme", "X-Forwarded-Proto",
                                    "X-Forwarded-Port", "X-Forwarded-For", "X-Host", "Forwarded",
                                    "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override",
                                    "X-Method-Override", "Referer", "Origin", "Cookie", "Authorization"])
def test_unkeyed_header_changes_nothing(shared, header):
    """Whoever asks first, with whatever header: the next gets what anybody gets."""
    http, path = shared.http(), fresh_path()
    first = http.request("GET", path, **{header.replace("-", "_"): "/evil.test"})
    clean = hit(http, path)
    assert first.status == 200 and first.body == clean.body == http.get(PRODUCTS + "&limit=1001").body
    assert "evil" not in str(first.headers) + str(clean.headers)


@pytest.mark.parametrize("host", ["evil.test", "EVIL.test:8080", "127.0.0.1:1", "[::1]:80"])
def test_host_is_not_reflected(shared, host):
    """Any valid Host is taken; none reaches the answer or makes a second one."""
    path = fresh_path()
    data = exchange(shared.addresses("http")[0],
                    f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert take_answers(data)[0].status == 200 and b"evil" not in data.lower()
    hit(shared.http(), path)


def test_range_never_stores_a_part(shared):
    http, path = shared.http(), fresh_path()
    first = http.get(path, Range="bytes=0-3", If_Range='"x"')
    assert first.status == 200 and first.header("Content-Range") is None
    assert hit(http, path).body == first.body and len(first.body) > 4


def test_head_fills_what_get_then_gets(shared):
    http, path = shared.http(), fresh_path()
    head = http.request("HEAD", path)
    assert head.status == 200 and not head.hit
    full = hit(http, path)
    assert len(full.body) == int(head.header("Content-Length"))
    assert http.request("HEAD", path).header("ETag") == full.header("ETag") == head.header("ETag")


def test_semicolon_is_no_separator(shared):
    """Another cache may read `;limit=1` as a parameter: here it is a part of the value before it."""
    http = shared.http()
    assert_problem(http.get("/api/products?business_id=1;limit=1"), 400, parameter="business_id")
    plain = hit(http, PRODUCTS + "&q=a")
    cloaked = http.get(PRODUCTS + "&q=a;limit=1")
    assert not cloaked.hit and cloaked.json() != plain.json()
    assert hit(http, PRODUCTS + "&q=a").body == plain.body


@pytest.mark.parametrize("fields,status", [("X: " + "y" * 20000, 431), ("X: a\x01b", 400),
                                           ("Host: b.test", 400), ("Transfer-Encoding: x", 400),
                                           ("Content-Length: 9", 400), ("Expect: x", 417),
                                           ("Accept-Encoding: *;q=0", 406)])
def test_error_of_one_is_not_the_answer_of_all(shared, fields, status):
    path = fresh_path()
    data = exchange(shared.addresses("http")[0], f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"
                                                 "Connection: close\r\n\r\n".encode("latin-1"))
    answer = take_answers(data)[0]
    assert_problem(answer, status)
    assert "no-store" in answer.header("Cache-Control")
    assert shared.http().get(path).status == 200


def test_a_failed_fill_is_not_stored(served, shop):
    http, path = served.http(), "/api/customers?business_id=2"
    shop.execute("ALTER TABLE customer RENAME TO customer_away")
    until(lambda: http.get(path).status >= 500, "an error")
    shop.execute("ALTER TABLE customer_away RENAME TO customer")
    assert until(lambda: (a := http.get(path)).status == 200 and a, "the table's return").json()


METHODS = """
listen: { http: "127.0.0.1:0" }
database: { dsn: "%s" }
routes:
  - match: GET /thing
    sql: "SELECT 'read' AS answer"
    answer: object
  - match: POST /thing
    sql: "SELECT 'written' AS answer"
"""


def test_post_is_never_answered_from_the_cache(shop, freshet):
    http = freshet(METHODS % shop.role_dsn).http()
    assert hit(http, "/thing").json() == {"answer": "read"}
    for override in ({}, {"X_HTTP_Method_Override": "GET"}):
        written = http.post("/thing", {}, **override)
        assert written.json() == {"answer": "written"} and not written.hit
        assert written.header("Cache-Control") == "no-store" and written.header("ETag") is None
    assert hit(http, "/thing", X_HTTP_Method_Override="POST").json() == {"answer": "read"}


# --- deception ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/customers/x.css", "/api/customers.css", "/api/customers;x.css",
                                  "/api/customers%3bx.css", "/api/customers%00.css", "/api/customers%0a.css",
                                  "/api/customers%23.css", "/api/customers%3f.css", "/api/customers/%2e%2e/x.js",
                                  "/static/..%2fapi/customers", "/static/../api/customers", "//api/customers",
                                  "/api//customers", "/api%2fcustomers", "/%61pi/customers",
                                  "/api/customers/."])
def test_dressed_up_path_is_another_path(shared, path):
    """A cache in front may take `x.css` for a static file; here it is not the route, so it has no data."""
    http = shared.http()
    answer = http.get(path + "?business_id=1")
    if path == "/%61pi/customers":
        assert answer.status in (200, 404)  # the same letters, by RFC 3986
    else:
        assert_problem(answer, 404)
    assert answer.status == 200 or b"phone" not in answer.body


# --- privacy --------------------------------------------------------------------------------------------


def test_nobody_gets_a_byte_of_another_key(served, shop):
    """Two thousand requests over fifty answers while rows change: each gets the one that it asked for."""
    wrong = []

    def user(seed):
        choose = random.Random(seed)
        http = Http(served.addresses("http")[0])
        for _ in range(250):
            wanted = choose.randint(1, 50)
            answer = http.get(f"/api/products/{wanted}",
                              **({"Accept_Encoding": "gzip, identity;q=0.5"} if wanted % 2 else {}))
            if answer.status != 200 or answer.json()["id"] != wanted:
                wrong.append((wanted, answer))
        http.close()

    threads = [threading.Thread(target=user, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for i in range(30):
        shop.execute("UPDATE product SET price_cents = price_cents + 1 WHERE id = %s", (1 + i,))
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]


def test_cookie_of_a_write_is_not_replayed(served):
    http = served.http()
    sold = http.post("/api/sales", {"business_id": 1, "lines": [{"product_id": 3, "quantity": 1}]})
    assert sold.header("Set-Cookie")
    for _ in range(3):
        assert http.get(PRODUCTS).header("Set-Cookie") is None
    assert hit(served.http()).header("Set-Cookie") is None


def test_cache_status_tells_no_key(shared):
    http = shared.http()
    for path in ("/api/products?business_id=1&q=s3cret-name", "/api/products?business_id=1&q=s3cret-name"):
        assert "s3cret" not in str(http.get(path).headers)


@pytest.mark.parametrize("method,path", [("GET", "/stats"), ("GET", "/metrics"), ("GET", "/explain?target=key%20x"),
                                         ("GET", "/trace"), ("GET", "/healthz"), ("POST", "/purge"),
                                         ("PURGE", "/api/products"), ("BAN", "/api/products"),
                                         ("DELETE", "/api/products"), ("DEBUG", "/")])
def test_admin_is_not_reachable_from_the_public_face(shared, method, path):
    http = shared.http()
    before = hit(http).header("ETag")
    assert http.request(method, path).status in (404, 405)
    assert hit(http).header("ETag") == before
