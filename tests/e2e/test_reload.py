# SPDX-License-Identifier: BSD-3-Clause
"""SIGHUP: the server answers by the new file, what the file governs anew is void, a bad file changes nothing."""
import re
import signal
import threading

import pytest

from daemon import shop_policy, until
from resp_client import Resp, RespError

PRODUCTS = "/api/products?business_id=1"
LIST = "erp_cache:1:product_list_1"
UNGOVERNED = "erp_cache:1:special_7"


def edit(daemon, *changes):
    """Writes the policy file again with each (pattern, replacement) applied."""
    text = daemon.file.read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, count=1, flags=re.M)
        assert count == 1, pattern
    daemon.file.write_text(text)


def count(daemon, figure):
    client = Resp(daemon.addresses("resp")[0])
    try:
        lines = client("FRESHET.STATS").decode().splitlines()
    finally:
        client.close()
    return int(dict(line.split(" ", 1) for line in lines)[figure])


def hup(daemon, figure="reloads"):
    before = count(daemon, figure)
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: count(daemon, figure) == before + 1, f"one more of {figure}")


def kept(redis, key, value="old"):
    def is_kept():
        redis("GET", key)
        redis("SET", key, value)
        return redis("GET", key) == value.encode()
    until(is_kept, f"{key} to be kept")


def template_added(daemon, template, table="product"):
    edit(daemon, (rf"^  {table}:( +)\[", rf'  {table}:\1["{template}", '))


def template_gone(daemon, template):
    edit(daemon, (rf'"{re.escape(template)}", ', ""))


def test_a_changed_route_answers_by_its_new_statement(shop, served):
    http = served.http()
    until(lambda: http.get(PRODUCTS).hit, "a hit")
    others = "/api/customers?business_id=1"
    until(lambda: http.get(others).hit, "a hit of another route")
    sql = served.folder / "products.sql"
    sql.write_text("select count(*) as products from product where business_id = :business_id")
    edit(served, (r"sql: \S*/products\.sql\n +params: .*", f"sql: {sql}"))
    hup(served)
    answer = http.get(PRODUCTS)
    assert not answer.hit and list(answer.json()[0]) == ["products"]
    assert http.get(others).hit  # not concerned, so still there
    until(lambda: http.get(PRODUCTS).hit, "the new answer to be kept")
    before = http.get(PRODUCTS).json()[0]["products"]
    shop.execute("""insert into product select (jsonb_populate_record(p, '{"id": 9999, "sku": "n"}')).*
                    from product p where id = 1""")
    until(lambda: http.get(PRODUCTS).json()[0]["products"] == before + 1, "the insert")


def test_a_route_that_went_is_not_found_and_a_new_one_is(served):
    http = served.http()
    edit(served, (r"GET /api/products$", "GET /api/wares"))
    hup(served)
    assert http.get(PRODUCTS).status == 404
    assert http.get("/api/wares?business_id=1").status == 200


def test_keys_that_a_new_template_governs_are_void(shop, served):
    redis = served.resp(db=1)
    redis("SET", UNGOVERNED, "stored as it came")
    redis("SET", "unfollowed", "stays")
    template_added(served, "special_{id}")
    hup(served)
    assert redis("GET", UNGOVERNED) is None
    assert redis("GET", "unfollowed") == b"stays"
    assert count(served, "reload_voided") == 1
    kept(redis, UNGOVERNED)
    shop.execute("UPDATE product SET price_cents = price_cents + 1 WHERE id = 8")
    shop.execute("UPDATE product SET price_cents = price_cents + 1 WHERE id = 7")
    until(lambda: redis("GET", UNGOVERNED) is None, "the change")


def test_a_key_with_one_template_more_is_void_too(shop, served):
    """It carries the dependencies of the old template, not of the new one."""
    redis = served.resp(db=1)
    key = "erp_cache:1:product_7"
    kept(redis, key)
    edit(served, (r"^invalidate:\n", 'invalidate:\n  customer: ["product_{id}"]\n'))
    hup(served)
    assert redis("GET", key) is None
    kept(redis, key)
    shop.execute("UPDATE customer SET name = 'another' WHERE id = 7")
    until(lambda: redis("GET", key) is None, "the customer's change")


def test_a_template_that_went_takes_its_keys_along(shop, served):
    redis = served.resp(db=1)
    template_added(served, "special_{id}")
    hup(served)
    kept(redis, UNGOVERNED)
    template_gone(served, "special_{id}")
    hup(served)
    assert redis("GET", UNGOVERNED) is None
    redis("SET", UNGOVERNED, "plain")
    shop.execute("UPDATE product SET price_cents = price_cents + 1 WHERE id = 7")
    kept(redis, LIST)  # the follower has gone on
    assert redis("GET", UNGOVERNED) == b"plain"


@pytest.mark.parametrize("change, complaint", [
    ((r"^routes:", "rotues:"), r"rotues.*did you mean"),
    ((r"\Z", "\nworkers: 7\n"), r"only a restart can change .*workers"),
    ((r"\A", "\x00"), "refused, nothing was changed"),
])
def test_a_bad_file_changes_nothing(served, change, complaint):
    http, redis = served.http(), served.resp(db=1)
    until(lambda: http.get(PRODUCTS).hit, "a hit")
    kept(redis, LIST)
    good = served.file.read_text()
    edit(served, change)
    hup(served, "reloads_refused")
    assert re.search(complaint, served.log_text())
    assert http.get(PRODUCTS).hit and redis("GET", LIST) == b"old"
    served.file.write_text(good)
    hup(served)
    assert http.get(PRODUCTS).hit and redis("GET", LIST) == b"old"  # nothing in it changed


def test_the_password_and_the_space_change_for_those_who_come(shop, freshet):
    served = freshet(shop_policy(shop.role_dsn, auth='{ password: "first" }'), wait=True)
    redis = served.resp()
    assert redis("AUTH", "first") == "OK"
    edit(served, ('"first"', '"second"'))
    before = int(dict(l.split(" ", 1) for l in redis("FRESHET.STATS").decode().splitlines())["reloads"])
    served.process.send_signal(signal.SIGHUP)
    until(lambda: f"reloads {before + 1}" in redis("FRESHET.STATS").decode().splitlines(), "the reload")
    assert redis("PING") == "PONG"
    late = served.resp()
    with pytest.raises(RespError, match="WRONGPASS"):
        late("AUTH", "first")
    assert late("AUTH", "second") == "OK"


def test_reloading_without_a_database(freshet):
    served = freshet('listen: { resp: "127.0.0.1:0" }\nspaces:\n  all: { db: 0 }\n')
    redis = served.resp()
    redis("SET", "k", "v")
    edit(served, (r"db: 0 \}", "db: 0, ttl: 60s }"))
    hup(served)
    assert redis("TTL", "k") == -1
    redis("SET", "k", "v")
    assert 0 < redis("TTL", "k") <= 60


def test_reloading_without_contact_takes_effect_at_once(postgres, shop, served):
    http = served.http()
    until(lambda: http.get(PRODUCTS).hit, "a hit")
    with postgres.halted():
        until(lambda: http.get(PRODUCTS).status == 503, "the loss of contact")
        edit(served, (r"GET /api/products$", "GET /api/wares"))
        hup(served)
        assert http.get(PRODUCTS).status == 404
        assert http.get("/api/wares?business_id=1").status == 503
    until(lambda: http.get("/api/wares?business_id=1").hit, "a hit")


def test_many_reloads_under_load(shop, served):
    """Readers see no error and nothing old while the file changes back and forth, once for every commit."""
    stop, wrong, reads = threading.Event(), [], [0]
    floor = [0]  # what a read that starts now must show at least

    def read():
        http = served.http()
        while not stop.is_set():
            least = floor[0]
            answer = http.get("/api/products/7")
            reads[0] += 1
            if answer.status != 200 or answer.json()["price_cents"] < least:
                wrong.append((least, answer))

    shop.execute("UPDATE product SET price_cents = 1000 WHERE id = 7")
    http = served.http(cookies=False)
    until(lambda: http.get("/api/products/7").json()["price_cents"] == 1000, "the first price")
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(1, 21):
            (template_added if turn % 2 else template_gone)(served, "extra_{id}")
            if turn % 3 == 0:
                hup(served)
            else:
                served.process.send_signal(signal.SIGHUP)
            shop.execute(f"UPDATE product SET price_cents = {1000 + turn} WHERE id = 7")
            until(lambda: http.get("/api/products/7").json()["price_cents"] >= 1000 + turn, "the commit")
            floor[0] = 1000 + turn - 1  # another connection may be one commit behind, not two
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not wrong and reads[0] > 20
