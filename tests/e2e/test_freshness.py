# SPDX-License-Identifier: BSD-3-Clause
"""The point of it all: a commit makes the next answer new, and leaves everything else alone.

"The next answer" of a `follow` route is no older than replication lag, so a test re-reads until it is
new. Where a test must show that something did NOT change, it first commits elsewhere and waits until that
is seen: commits are applied in order, so whatever came before has been applied too.
"""
import threading

import pytest

from daemon import shop_policy, until

PRODUCTS = "/api/products?business_id=1"
CUSTOMERS = "/api/customers?business_id=1"
FINANCE = "/api/finance/summary?business_id=1"


def names(answer):
    return {row["name"] for row in answer.json()}


def warm(http, *paths):
    """Reads each path until it is a hit."""
    for path in paths:
        until(lambda: http.get(path).hit, f"a hit of {path}")


def caught_up(shop, http):
    """Commits a change of its own and waits until it is seen: everything before it has been applied."""
    shop.execute("UPDATE app_user SET name = name || '.' WHERE id = 1")
    name = f"fence {shop.value('SELECT txid_current()')}"
    shop.execute("UPDATE customer SET name = %s WHERE id = 200", (name,))
    until(lambda: name in names(http.get("/api/customers?business_id=3")), "the fence")


def test_second_read_is_a_hit_and_equal(served):
    http = served.http()
    path = "/api/products?business_id=2&limit=7"
    first = http.get(path)
    assert first.status == 200 and not first.hit and len(first.json()) == 7
    second = http.get(path)
    assert second.hit and second.body == first.body
    assert second.header("ETag") == first.header("ETag")


def test_bulk_update_by_psql_is_seen_and_other_routes_stay(served, shop):
    http = served.http()
    warm(http, PRODUCTS, CUSTOMERS)
    shop.psql("UPDATE product SET price_cents = price_cents + 1 WHERE business_id = 1")
    wanted = dict(shop.execute("SELECT id, price_cents FROM product WHERE business_id = 1 AND active"))
    until(lambda: {r["id"]: r["price_cents"] for r in http.get(PRODUCTS).json()} == wanted, "new prices")
    assert http.get(CUSTOMERS).hit, "a change of product voided an answer made of customers"


@pytest.mark.parametrize("statement", [
    "INSERT INTO product SELECT 9001, 1, 'X-1', 'Zzz', category, unit, 1, 1, true, 0 FROM product WHERE id = 1",
    "UPDATE product SET name = 'Zzz' WHERE id = 1",
    "UPDATE product SET business_id = 1, name = 'Zzz' WHERE id = 41",
    "DO $$ BEGIN EXECUTE 'UPDATE product SET name = ''Zzz'' WHERE id = 2'; END $$",
    "SET session_replication_role = replica; UPDATE product SET name = 'Zzz' WHERE id = 3",
    "SET synchronous_commit = off; UPDATE product SET name = 'Zzz' WHERE id = 4",
    "COPY product FROM stdin;\n9002\t1\tX-2\tZzz\trefill\tpiece\t1\t1\tt\t0\tt\n\\.\n",
])
def test_every_way_to_write_is_seen(served, shop, statement):
    http = served.http()
    warm(http, PRODUCTS)
    shop.psql(statement)
    until(lambda: "Zzz" in names(http.get(PRODUCTS)), statement)


def test_deleted_row_leaves_the_answer(served, shop):
    http = served.http()
    warm(http, "/api/prices?price_list_id=1")
    shop.execute("DELETE FROM price WHERE price_list_id = 1 AND product_id <> 7")
    until(lambda: {r["product_id"] for r in http.get("/api/prices?price_list_id=1").json()} == {7},
          "one product left")


def test_truncate_is_seen(served, shop):
    http = served.http()
    warm(http, "/api/prices?price_list_id=1", "/api/prices?price_list_id=2")
    shop.execute("TRUNCATE price")
    until(lambda: http.get("/api/prices?price_list_id=1").json() == [], "an empty list")
    until(lambda: http.get("/api/prices?price_list_id=2").json() == [], "an empty list")


def test_rollback_voids_nothing(served, shop):
    http = served.http()
    warm(http, PRODUCTS, CUSTOMERS)
    shop.psql("BEGIN; UPDATE product SET name = 'Never'; ROLLBACK")
    shop.psql("BEGIN; SAVEPOINT a; UPDATE product SET name = 'Never'; ROLLBACK TO a; COMMIT")
    caught_up(shop, http)
    assert http.get(PRODUCTS).hit


def test_row_answer_depends_on_its_row_alone(served, shop):
    http = served.http()
    warm(http, "/api/products/7", "/api/products/8")
    shop.execute("UPDATE product SET name = 'Eight' WHERE id = 8")
    until(lambda: http.get("/api/products/8").json()["name"] == "Eight", "the new name")
    assert http.get("/api/products/7").hit


def test_absent_row_appears(served, shop):
    http = served.http()
    assert http.get("/api/products/9100").status == 404
    shop.execute("INSERT INTO product SELECT 9100, 1, 'X-9100', 'New', category, unit, 1, 1, true, 0 "
                 "FROM product WHERE id = 1")
    until(lambda: http.get("/api/products/9100").status == 200, "the row")


def test_price_that_moves_voids_both_lists_and_no_third(served, shop):
    http = served.http()
    one, two, three = (f"/api/prices?price_list_id={n}" for n in (1, 2, 3))
    warm(http, one, two, three)
    assert shop.execute("UPDATE price SET price_list_id = 2, min_quantity = 99 "
                        "WHERE price_list_id = 1 AND product_id = 5 AND min_quantity = 1") == 1
    until(lambda: (5, 1) not in {(r["product_id"], r["min_quantity"]) for r in http.get(one).json()}, "one")
    until(lambda: (5, 99) in {(r["product_id"], r["min_quantity"]) for r in http.get(two).json()}, "two")
    assert http.get(three).hit


def test_rewritten_table_is_not_served_old(served, shop):
    """DDL is in no row of the stream; the event trigger tells of it, in commit order."""
    http = served.http()
    warm(http, "/api/stock/150")
    shop.execute("ALTER TABLE stock_level ALTER COLUMN quantity TYPE int USING quantity + 1000")
    until(lambda: http.get("/api/stock/150").json()["quantity"] > 1000, "the rewritten row")


@pytest.mark.parametrize("change", [
    "DROP VIEW shown_stock; ALTER TABLE stock_level ALTER COLUMN quantity TYPE int USING quantity + 1000",
    "CREATE OR REPLACE VIEW shown_stock AS SELECT product_id, quantity + 1000 AS quantity FROM stock_level",
])
def test_schema_change_is_noticed_without_the_event_trigger(shop, freshet, change):
    shop.execute("DROP EVENT TRIGGER freshet_ddl; DROP EVENT TRIGGER freshet_drop")
    shop.execute("CREATE VIEW shown_stock AS SELECT product_id, quantity FROM stock_level;"
                 "GRANT SELECT ON shown_stock TO PUBLIC")
    policy = shop_policy(shop.role_dsn).replace("routes:\n", "routes:\n"
        "  - match: GET /shown/{product_id}\n"
        "    sql: SELECT quantity FROM shown_stock WHERE product_id = :product_id\n"
        "    answer: object\n")
    path = "/shown/150" if "REPLACE" in change else "/api/stock/150"
    http = freshet(policy).following().http()
    warm(http, path)
    shop.execute(change)
    until(lambda: http.get(path).json()["quantity"] > 1000, "the new definition")


def test_own_sale_is_read_at_once(served, shop):
    """Read your own writes: never a re-read, on whatever connection, with the cookie or the header."""
    browser, other = served.http(cookies=True), served.http()
    path = "/api/stock/41" if shop.value("SELECT tracks_stock FROM product WHERE id = 41") else "/api/stock/1"
    product = int(path.rsplit("/", 1)[1])
    business = shop.value("SELECT business_id FROM product WHERE id = %s", (product,))
    shop.execute("INSERT INTO inventory_transaction (business_id, product_id, kind, quantity, happened_on) "
                 "VALUES (%s, %s, 'purchase', 1000, '2026-11-01')", (business, product))
    before = shop.value("SELECT quantity FROM stock_level WHERE product_id = %s", (product,))
    until(lambda: browser.get(path).json()["quantity"] == before, "the delivery")
    for sold in range(1, 21):
        done = browser.post("/api/sales", {"business_id": business, "sold_on": "2026-11-01",
                                           "lines": [{"product_id": product, "quantity": 1}]})
        assert done.status in (200, 201), done
        assert done.json()["line_count"] == 1
        token = done.header("Freshet-Position")
        assert token
        assert browser.get(path).json()["quantity"] == before - sold
        assert other.get(path, Freshet_Position=token).json()["quantity"] == before - sold


def test_oversell_is_refused_and_changes_nothing(served, shop):
    http = served.http()
    sales = shop.value("SELECT count(*) FROM sale")
    done = http.post("/api/sales", {"business_id": 3, "lines": [{"product_id": 300, "quantity": 1000000}]})
    assert 400 <= done.status < 500
    assert done.header("Content-Type").startswith("application/problem+json")
    assert shop.value("SELECT count(*) FROM sale") == sales


def test_strict_route_is_never_old(served, shop):
    http = served.http()
    for n in range(50):
        shop.execute("INSERT INTO sale (business_id, sold_on, sold_at, total_cents) "
                     "VALUES (1, '2026-10-31', '2026-10-31', 100)")
        shop.execute("INSERT INTO sale_line SELECT max(id), 1, 1, 1, 100, 50 FROM sale")
        wanted = shop.value("SELECT count(*) FROM sale JOIN sale_line ON id = sale_id AND line_no = 1 "
                            "WHERE business_id = 1 AND sold_on BETWEEN '2026-10-01' AND '2026-10-31'")
        assert http.get(FINANCE).json()["sales"] == wanted, f"old at round {n}"


def test_strict_route_hits_when_nothing_changes(served):
    http = served.http()
    warm(http, FINANCE)
    assert http.get(FINANCE).hit


def test_many_readers_of_one_miss_ask_the_database_once(served, shop):
    """Single flight: a lock holds the first query while the others come in."""
    path = "/api/products?business_id=3&limit=11"
    lock = shop.connect()
    lock.autocommit = False
    lock.cursor().execute("LOCK TABLE product IN ACCESS EXCLUSIVE MODE")
    readers = [served.http() for _ in range(12)]
    for reader in readers:
        reader.raw(reader.message("GET", path))
    waiting = ("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
               "AND wait_event_type = 'Lock'")
    until(lambda: shop.value(waiting) >= 1, "a query that waits for the lock")
    assert served.http().get(CUSTOMERS).status == 200, "one route's lock held up another"
    assert shop.value(waiting) == 1
    lock.rollback()
    lock.close()
    answers = [reader.answer() for reader in readers]
    assert {len(a.json()) for a in answers} == {11}
    leaders = [a for a in answers if not a.hit and "collapsed" not in a.header("Cache-Status")]
    assert len(leaders) == 1, leaders


def test_strict_reads_see_every_commit_under_a_storm_of_updates(shop, freshet):
    """A short hunt: two writers, three readers. What was committed before a read began is in its answer."""
    route = "match: GET /api/products/{id}\n"
    daemon = freshet(shop_policy(shop.role_dsn).replace(route, route + "    consistency: strict\n")).following()
    last, committed, done, wrong = 400, {7: 0, 8: 0}, threading.Event(), []

    def write(product):
        pg = shop.connect()
        for version in range(1, last + 1):
            pg.cursor().execute("UPDATE product SET price_cents = %s WHERE id = %s", (version, product))
            committed[product] = version
        pg.close()

    def read():
        http = daemon.http()
        while not done.is_set():
            for product in (7, 8):
                lowest = committed[product]
                price = http.get(f"/api/products/{product}").json()["price_cents"]
                if price < lowest:
                    wrong.append((product, price, lowest))

    shop.execute("UPDATE product SET price_cents = 0 WHERE id IN (7, 8)")
    writers = [threading.Thread(target=write, args=(p,)) for p in (7, 8)]
    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert not wrong, f"(product, read, committed before): {wrong[:5]}"
    http = daemon.http()
    assert [http.get(f"/api/products/{p}").json()["price_cents"] for p in (7, 8)] == [last, last]


def test_explain_says_what_an_answer_depends_on(served, shop):
    http = served.http()
    warm(http, "/api/products/7")
    text = served.explain("GET", "/api/products/7")
    assert "product" in text and "/api/products/{id}" in text
    shop.execute("UPDATE product SET name = 'Seven' WHERE id = 7")
    until(lambda: "changed after its stamp" in served.explain("GET", "/api/products/7"), "the reason")


def test_policy_without_invalidate_still_follows_routes(shop, freshet):
    http = freshet(shop_policy(shop.role_dsn, invalidate="{}")).following().http()
    warm(http, PRODUCTS)
    shop.execute("UPDATE product SET name = 'Zzz' WHERE id = 1")
    until(lambda: "Zzz" in names(http.get(PRODUCTS)), "the new name")


def test_parameter_that_only_the_database_can_read_is_named(shop, freshet):
    policy = shop_policy(shop.role_dsn).replace("routes:\n", "routes:\n"
        "  - match: GET /some\n"
        "    sql: SELECT id FROM product WHERE id = ANY (:ids) AND business_id = :business_id ORDER BY id\n")
    http = freshet(policy).following().http()
    assert http.get("/some?ids={1,2}&business_id=1").json() == [{"id": 1}, {"id": 2}]
    wrong = http.get("/some?ids=1,2&business_id=1")
    assert wrong.status == 400 and wrong.json()["parameter"] == "ids", wrong.json()
