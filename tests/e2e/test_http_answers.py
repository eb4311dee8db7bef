# SPDX-License-Identifier: BSD-3-Clause
"""What an answer says: validators, Age, Cache-Status, and problems that a program can read."""
import re

import pytest

from daemon import until
from http_wire import assert_problem, exchange, take_answers

PRODUCTS = "/api/products?business_id=1"
CACHE_STATUS = re.compile(r"freshet(; (hit|stored|collapsed|ttl=\d+|fwd=[a-z-]+|fwd-status=\d+"
                          r"|detail=[a-z-]+))+")


def hit(http, path=PRODUCTS):
    return until(lambda: (a := http.get(path)).hit and a, f"a hit of {path}")


# --- freshness in headers -----------------------------------------------------------------------------


def test_hit_says_so(shared):
    http = shared.http()
    answer = hit(http)
    assert answer.header("Age").isdigit()
    assert re.search(r"; ttl=\d+", answer.header("Cache-Status"))
    assert answer.header("Content-Type").startswith("application/json")
    assert re.fullmatch(r"(W/)?\"[!#-~]+\"", answer.header("ETag"))
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.header("Date"))


def test_miss_says_why(shared):
    answer = shared.http().get("/api/products?business_id=1&q=nobody-asked-this-before")
    assert "fwd=uri-miss" in answer.header("Cache-Status")
    assert answer.header("Age") is None


def test_cache_status_is_well_formed(served, shop):
    http = served.http()
    seen = {http.get(PRODUCTS).header("Cache-Status"), hit(http).header("Cache-Status")}
    shop.psql("UPDATE product SET reorder_level = reorder_level + 1 WHERE id = 1")
    seen.add(until(lambda: (a := http.get(PRODUCTS)) and not a.hit and a, "a miss").header("Cache-Status"))
    seen.add(http.get("/api/finance/summary?business_id=1").header("Cache-Status"))
    for value in seen:
        assert CACHE_STATUS.fullmatch(value), value
    assert any("fwd=stale" in value for value in seen), seen


def test_shared_caches_must_ask_again(shared):
    """freshet cannot tell a browser about a commit, so nobody below it may reuse without asking."""
    assert "no-cache" in hit(shared.http()).header("Cache-Control")


# --- validators ---------------------------------------------------------------------------------------


def test_etag_gives_304(shared):
    http = shared.http()
    full = hit(http)
    etag = full.header("ETag")
    for wanted in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = http.get(PRODUCTS, If_None_Match=wanted)
        assert answer.status == 304, wanted
        assert answer.header("ETag") == etag
        assert answer.header("Content-Type") is None
        assert answer.header("Age") is not None and answer.hit
    assert http.get(PRODUCTS).body == full.body, "a 304 left bytes behind"


def test_other_etags_give_the_answer(shared):
    http = shared.http()
    etag = hit(http).header("ETag")
    for other in ('"x"', etag.strip('"'), etag[:-1], ""):
        answer = http.get(PRODUCTS, If_None_Match=other)
        assert answer.status == 200 and answer.body


def test_304_of_a_miss(served, shop):
    """The validator survives the wait for the database: voided, asked again, found the same."""
    http = served.http()
    path = "/api/inventory?business_id=2"
    etag = hit(http, path).header("ETag")
    shop.execute("UPDATE product SET price_cents = price_cents + 1 WHERE business_id = 2")
    answer = until(lambda: (a := http.get(path, If_None_Match=etag)) and not a.hit and a, "a miss")
    assert answer.status == 304 and answer.header("ETag") == etag and answer.header("Age") is None
    assert "fwd=stale" in answer.header("Cache-Status")


def test_etag_changes_with_the_content(served, shop):
    http = served.http()
    old = hit(http)
    shop.psql("UPDATE product SET name = 'Zzz' WHERE id = 1")
    new = until(lambda: (a := http.get(PRODUCTS)) and a.body != old.body and a, "the new name")
    assert new.header("ETag") != old.header("ETag")
    assert http.get(PRODUCTS, If_None_Match=old.header("ETag")).status == 200


def test_head_and_304_together(shared):
    http = shared.http()
    etag = hit(http).header("ETag")
    data = exchange(shared.addresses("http")[0],
                    f"HEAD {PRODUCTS} HTTP/1.1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n"
                    f"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert [a.status for a in take_answers(data, ["HEAD", "GET"])] == [304, 404]


def test_accept_is_not_judged(shared):
    """There is one representation; refusing it with 406 helps nobody (RFC 9110 12.1)."""
    assert shared.http().get(PRODUCTS, Accept="text/html;q=1, application/json;q=0").status == 200


# --- problems -----------------------------------------------------------------------------------------


def test_unknown_path(shared):
    assert_problem(shared.http().get("/nowhere"), 404)
    assert_problem(shared.http().get("/api/products/1/more"), 404)


@pytest.mark.parametrize("method,path,allow", [("DELETE", "/api/products/1", {"GET", "HEAD", "OPTIONS"}),
                                               ("POST", "/api/products", {"GET", "HEAD", "OPTIONS"}),
                                               ("GET", "/api/sales", {"POST", "OPTIONS"}),
                                               ("HEAD", "/api/sales", {"POST", "OPTIONS"}),
                                               ("TRACE", "/api/products", {"GET", "HEAD", "OPTIONS"})])
def test_method_that_a_path_does_not_have(shared, method, path, allow):
    answer = shared.http().request(method, path)
    assert answer.status == 405
    assert {m.strip() for m in answer.header("Allow").split(",")} == allow
    if method != "HEAD":
        assert_problem(answer, 405)


@pytest.mark.parametrize("path,parameter", [
    ("/api/products", "business_id"),
    ("/api/products?business_id=", "business_id"),
    ("/api/products?business_id=one", "business_id"),
    ("/api/products?business_id=1.5", "business_id"),
    ("/api/products?business_id=99999999999999999999", "business_id"),
    ("/api/products?business_id=1&business_id=2", "business_id"),
    ("/api/products?business_id=1%00", "business_id"),
    ("/api/products?business_id=%zz", "business_id"),
    ("/api/products?business_id=1&limit=x", "limit"),
    ("/api/products?business_id=1&q=%ff", "q"),
    ("/api/products/x", "id"),
    ("/api/products/%00", "id"),
    ("/api/products/1%2f2", "id"),
    ("/api/products/1;a=b", "id"),
    ("/api/reports/daily-sales?business_id=1&from=2026-02-30", "from"),
    ("/api/reports/daily-sales?business_id=1&to=yesterday%27", "to"),
])
def test_bad_parameter_is_named(shared, path, parameter):
    http = shared.http()
    problem = assert_problem(http.get(path), 400, parameter=parameter)
    assert parameter in problem["detail"]
    assert http.get(PRODUCTS).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"{} {}", b'{"business_id": 1,}',
                                  b'{"business_id": 1, "business_id": 2}', b"\xff", b"{\"a\": \"\xc3\"}",
                                  b"[" * 100000])
def test_bad_json_body(shared, body):
    http = shared.http()
    assert_problem(http.post("/api/sales", body), 400)
    assert http.get(PRODUCTS).status == 200, "the connection goes on"


def test_bad_parameter_in_a_body_is_named(shared):
    http = shared.http()
    lines = [{"product_id": 3, "quantity": 2}]
    assert_problem(http.post("/api/sales", {"lines": lines}), 400, parameter="business_id")
    assert_problem(http.post("/api/sales", {"business_id": "x", "lines": lines}), 400,
                   parameter="business_id")
    assert_problem(http.post("/api/sales", {"business_id": [1], "lines": lines}), 400,
                   parameter="business_id")


def test_a_string_is_json_too(shared):
    """`lines` is jsonb: a string reaches the statement, which wants an array (422), as a JSON string."""
    assert_problem(shared.http().post("/api/sales", {"business_id": 1, "lines": "none"}), 422)


def test_body_must_be_json(shared):
    http = shared.http()
    assert_problem(http.post("/api/sales", b"business_id=1", content_type="text/plain"), 415)
    assert_problem(http.post("/api/sales", b"a=1", content_type="application/x-www-form-urlencoded"), 415)


def test_absent_row_is_a_problem_where_an_object_was_promised(shared):
    assert_problem(shared.http().get("/api/products/999999"), 404)


def test_constraint_becomes_a_client_error_without_internals(shared):
    answer = shared.http().post("/api/sales", {"business_id": 1, "customer_id": 99999999,
                                               "lines": [{"product_id": 3, "quantity": 2}]})
    assert 400 <= answer.status < 500
    problem = assert_problem(answer, answer.status)
    for secret in ("INSERT", "SELECT", "PL/pgSQL", "CONTEXT", "foreign key constraint", "postgresql://"):
        assert secret.lower() not in str(problem).lower(), problem


def test_problems_are_not_to_be_stored(shared):
    for answer in (shared.http().get("/nowhere"), shared.http().get("/api/products")):
        assert "no-store" in answer.header("Cache-Control")
        assert answer.header("Age") is None


def test_values_with_every_character_come_back_as_json(served, shop):
    name = "\"quoted\" \\ \u2028 \t\n \U0001f9fa ünïcode </script>"
    shop.execute("UPDATE product SET name = %s WHERE id = 1", (name,))
    http = served.http()
    until(lambda: http.get("/api/products/1").json()["name"] == name, "the strange name")


# --- deception: the key is the path that was sent -------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/products/1.css", "/api/products/1;.css", "/api/products/1%00.css",
                                  "/api/products/1%0a.css", "/api/products/1%23.css",
                                  "/api/products/1%3f.css", "/api/products//1", "//api/products/1",
                                  "/api/products/1/", "/x/..%2fapi/products/1", "/x/../api/products/1",
                                  "/api/./products/1", "/API/products/1"])
def test_lookalike_paths_are_other_paths(shared, path):
    """RFC-clean but not the route: no normalisation turns one path into another."""
    assert shared.http().get(path).status in (400, 404)


def test_encoded_letters_do_not_make_a_second_entry_with_another_answer(shared):
    http = shared.http()
    plain = hit(http, "/api/products?business_id=1&limit=3")
    encoded = http.get("/api/products?business%5fid=%31&limit=3")
    assert encoded.status == 200 and encoded.body == plain.body


def test_order_of_parameters_is_one_key(shared):
    http = shared.http()
    plain = hit(http, "/api/products?business_id=1&limit=4")
    swapped = http.get("/api/products?limit=4&business_id=1")
    assert swapped.hit and swapped.body == plain.body


def test_headers_of_a_client_do_not_reach_the_key_or_the_answer(shared):
    """Nothing unkeyed may change what others get."""
    http = shared.http()
    path = "/api/products?business_id=1&limit=5"
    poison = {"X-Forwarded-Host": "evil.test", "X-Original-URL": "/evil", "X-HTTP-Method-Override": "DELETE",
              "X-Rewrite-URL": "/evil", "Forwarded": "host=evil.test", "Range": "bytes=0-3"}
    first = http.get(path, **{k.replace("-", "_"): v for k, v in poison.items()})
    clean = hit(http, path)
    assert first.status == 200 and first.body == clean.body
    assert "evil" not in str(first.headers) + str(clean.headers)
