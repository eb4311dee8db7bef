# SPDX-License-Identifier: BSD-3-Clause
"""Compressed answers: the same bytes, one tag each, made once, and gone with the entry they belong to."""
import gzip
import re
import subprocess
import threading

import pytest

from daemon import until
from http_client import Http
from http_wire import assert_problem

PRODUCTS = "/api/products?business_id=1"
ONE = "/api/products/1"


def stat(daemon, name):
    text = Http(daemon.addresses("admin")[0]).get("/stats").body.decode()
    return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.M)[1])


def hit(http, path=PRODUCTS, **headers):
    return until(lambda: (a := http.get(path, **headers)).hit and a, f"a hit of {path}")


def is_gzip(answer):
    return answer.header("Content-Encoding") == "gzip"


def test_hit_and_miss_are_compressed_for_who_asks(shared):
    http = shared.http()
    path = PRODUCTS + "&limit=150"
    first = http.get(path, Accept_Encoding="gzip")
    second = hit(http, path, Accept_Encoding="gzip, deflate, br")
    plain = hit(http, path)
    for answer in (first, second):
        assert is_gzip(answer) and answer.header("Content-Type") == plain.header("Content-Type")
        assert gzip.decompress(answer.body) == plain.body
        assert len(answer.body) < len(plain.body) / 2
        assert answer.header("Vary") == "Accept-Encoding"
    assert first.body == second.body
    assert not is_gzip(plain) and plain.header("Vary") == "Accept-Encoding"


@pytest.mark.parametrize("accept,packed", [
    (None, False), ("", False), ("identity", False), ("br", False), ("gzip;q=0", False),
    ("gzip;q=0, *", False), ("identity, gzip;q=0.5", False), ("gzip", True), ("GZIP", True),
    ("*", True), ("br;q=1.0, gzip;q=0.8, *;q=0.1", True), ("gzip, identity;q=0", True)])
def test_negotiation(shared, accept, packed):
    http = shared.http()
    plain = hit(http)
    answer = hit(http, **({} if accept is None else {"Accept_Encoding": accept}))
    assert is_gzip(answer) == packed
    assert (gzip.decompress(answer.body) if packed else answer.body) == plain.body


def test_no_coding_is_acceptable_and_none_is_there(shared):
    http = shared.http()
    assert_problem(http.get(PRODUCTS, Accept_Encoding="br, *;q=0"), 406)
    assert http.get(PRODUCTS).status == 200, "the connection goes on"


def test_small_answers_stay_as_they_are(shared):
    http = shared.http()
    plain = hit(http, ONE)
    assert len(plain.body) < 1024
    answer = http.get(ONE, Accept_Encoding="gzip")
    assert answer.body == plain.body and not is_gzip(answer) and answer.header("Vary") is None
    assert answer.header("ETag") == plain.header("ETag")


def test_small_answers_are_compressed_where_nothing_else_will_do(shared):
    http = shared.http()
    plain = hit(http, ONE)
    answer = http.get(ONE, Accept_Encoding="gzip, identity;q=0")
    assert is_gzip(answer) and gzip.decompress(answer.body) == plain.body
    assert not is_gzip(http.get(ONE, Accept_Encoding="gzip")), "that was for one client only"


def test_each_form_has_its_own_tag_and_304(shared):
    http = shared.http()
    plain, packed = hit(http), hit(http, Accept_Encoding="gzip")
    tags = [plain.header("ETag"), packed.header("ETag")]
    assert tags[0] != tags[1] and not any(tag.startswith("W/") for tag in tags)
    for accept, own, other in (("identity", *tags), ("gzip", *reversed(tags))):
        answer = http.get(PRODUCTS, Accept_Encoding=accept, If_None_Match=own)
        assert answer.status == 304 and answer.header("ETag") == own
        assert answer.header("Vary") == "Accept-Encoding"
        answer = http.get(PRODUCTS, Accept_Encoding=accept, If_None_Match=other)
        assert answer.status == 200 and answer.header("ETag") == own and answer.body
        assert http.get(PRODUCTS, Accept_Encoding=accept, If_None_Match=f"{other}, W/{own}").status == 304


def test_head_tells_of_the_form_that_get_would_send(shared):
    http = shared.http()
    full = hit(http, Accept_Encoding="gzip")
    head = http.request("HEAD", PRODUCTS, Accept_Encoding="gzip")
    for name in ("ETag", "Content-Length", "Content-Encoding", "Content-Type", "Vary", "Cache-Control"):
        assert head.header(name) == full.header(name), name
    assert http.get(PRODUCTS).status == 200, "HEAD left bytes behind"


def test_head_alone_tells_it_too(served):
    """HEAD is the first to want the compressed form: its length must be known."""
    http = served.http()
    path = "/api/customers?business_id=1"
    plain = hit(http, path)
    head = http.request("HEAD", path, Accept_Encoding="gzip")
    assert int(head.header("Content-Length")) == len(http.get(path, Accept_Encoding="gzip").body)
    assert int(head.header("Content-Length")) < len(plain.body)


def test_entry_is_compressed_once_however_many_ask(served):
    """First by nobody (the fill was not asked), then by the first hit that wants it, then never again. A miss
    in between (a slow machine that loses contact for a moment) is a fill, and compresses what it brings."""
    clients = [served.http() for _ in range(8)]
    hit(clients[0])
    made, sent, saved = (stat(served, f"gzip_{name}") for name in ("made", "sent", "saved_bytes"))
    answers = [client.get(PRODUCTS, Accept_Encoding="gzip") for client in clients for _ in range(5)]
    misses = sum(not answer.hit for answer in answers)
    assert len({answer.body for answer in answers}) == 1 and misses < len(answers)
    assert 1 <= stat(served, "gzip_made") - made <= 1 + misses
    assert stat(served, "gzip_sent") == sent + len(answers)
    plain = hit(clients[0])
    assert stat(served, "gzip_saved_bytes") - saved == \
        len(answers) * (len(plain.body) - len(answers[0].body))


def test_compressed_form_is_outdated_with_its_entry(served, shop):
    http = served.http()
    old = hit(http, Accept_Encoding="gzip")
    shop.execute("UPDATE product SET name = 'Renamed product' WHERE id = 1")
    new = until(lambda: (a := http.get(PRODUCTS, Accept_Encoding="gzip")) and a.body != old.body and a,
                "the new name")
    assert is_gzip(new) and new.header("ETag") != old.header("ETag")
    assert b"Renamed product" in gzip.decompress(new.body)
    assert b"Renamed product" in hit(http).body
    assert gzip.decompress(hit(http, Accept_Encoding="gzip").body) == hit(http).body


def test_explain_tells_of_the_compressed_form(served):
    http = served.http()
    plain = hit(http)
    assert f"body: {len(plain.body)} bytes, gzip not asked for yet" in served.explain("GET", PRODUCTS)
    packed = hit(http, Accept_Encoding="gzip")
    assert f"body: {len(plain.body)} bytes, {len(packed.body)} in gzip" in served.explain("GET", PRODUCTS)
    hit(http, ONE)
    assert "not worth gzip" in served.explain("GET", ONE)


def test_compressed_form_counts_in_the_space(served):
    http = served.http()
    hit(http)
    before = stat(served, "space.http.item_bytes")
    packed = hit(http, Accept_Encoding="gzip")
    assert stat(served, "space.http.item_bytes") >= before + len(packed.body)


def test_many_ask_for_both_forms_while_the_answer_changes(served, shop):
    """Every body is whole, and its tag's. (Who joins the fill of one that did not ask gets it plain.)"""
    wrong, seen, done = [], {}, threading.Event()

    def ask(accept):
        http = Http(served.addresses("http")[0])
        while not done.is_set():
            answer = http.get(PRODUCTS, **({"Accept_Encoding": accept} if accept else {}))
            body = gzip.decompress(answer.body) if is_gzip(answer) else answer.body
            tag = answer.header("ETag")
            if seen.setdefault(tag.replace("-gzip", ""), body) != body or \
                    is_gzip(answer) != ("-gzip" in tag) or (is_gzip(answer) and not accept):
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(accept,)) for accept in (None, "gzip", "gzip")]
    for thread in threads:
        thread.start()
    for price in range(40):
        shop.execute("UPDATE product SET name = %s WHERE id = 1", (f"Name {price}",))
        until(lambda: len(seen) > price / 2 or wrong, "a new answer")
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]


LARGE = """
listen: { http: "127.0.0.1:0", admin: "127.0.0.1:0" }
database: { dsn: "%s" }
routes:
  - match: GET /rows
    sql: "SELECT g AS id, repeat('ab', 20) AS text FROM generate_series(1, :n::int) g"
    fresh: %s
  - match: POST /rows
    sql: "SELECT g AS id, repeat('ab', 20) AS text FROM generate_series(1, :n::int) g"
    answer: array
"""


@pytest.mark.parametrize("fresh", ["15m", "0"])
def test_stored_or_not_a_large_answer_is_compressed(shop, freshet, fresh):
    http = freshet(LARGE % (shop.role_dsn, fresh)).http()
    for rows in (30, 3000, 20000):
        plain = http.get(f"/rows?n={rows}")
        packed = http.get(f"/rows?n={rows}", Accept_Encoding="gzip")
        assert is_gzip(packed), f"{len(plain.body)} bytes"
        assert gzip.decompress(packed.body) == plain.body


def test_very_large_answers_are_sent_as_they_are(shop, freshet):
    """Compressing 2 MB takes 10 ms: more would hold up the worker's other clients."""
    http = freshet(LARGE % (shop.role_dsn, "15m")).http()
    answer = http.get("/rows?n=60000", Accept_Encoding="gzip")
    assert len(answer.body) > 2 << 20 and not is_gzip(answer)
    for _ in range(2):  # the miss and the hit of a client that wants nothing else: it gets it all the same
        forced = http.get("/rows?n=60000", Accept_Encoding="gzip, identity;q=0")
        assert forced.body == answer.body and not is_gzip(forced)
    assert not is_gzip(http.post("/rows", {"n": 60000}, Accept_Encoding="gzip, identity;q=0"))


def test_post_answers_are_compressed(shop, freshet):
    http = freshet(LARGE % (shop.role_dsn, "15m")).http()
    plain = http.post("/rows", {"n": 100})
    packed = http.post("/rows", {"n": 100}, Accept_Encoding="gzip")
    assert is_gzip(packed) and gzip.decompress(packed.body) == plain.body
    assert not is_gzip(http.post("/rows", {"n": 2}, Accept_Encoding="gzip"))


def test_curl_reads_it(shared):
    url = f"http://{shared.addresses('http')[0]}{PRODUCTS}"
    plain = subprocess.run(["curl", "-sf", url], capture_output=True, check=True).stdout
    packed = subprocess.run(["curl", "-sf", "--compressed", "-D", "-", url], capture_output=True,
                            check=True).stdout
    head, _, body = packed.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head and body == plain
