# SPDX-License-Identifier: BSD-3-Clause
"""PostgreSQL absent, killed, back again: a clear message, nothing old, and the rest keeps serving."""
import signal

import pytest

from daemon import cli, shop_policy, until

PRODUCTS = "/api/products?business_id=1"


def works_without_database(daemon):
    redis = daemon.resp(db=0)
    assert redis("SET", "job", "1") == "OK" and redis("GET", "job") == b"1"
    assert redis("INCR", "job") == 2


def test_starts_without_postgresql_and_finds_it_later(postgres, shop, freshet):
    policy = shop_policy(shop.role_dsn)
    with postgres.halted():
        daemon = freshet(policy)
        http = daemon.http()
        answer = http.get(PRODUCTS)
        assert answer.status == 503
        assert answer.header("Content-Type").startswith("application/problem+json")
        works_without_database(daemon)
        until(lambda: "database" in daemon.log_text().lower(), "a line in the log")
    until(lambda: http.get(PRODUCTS).status == 200, "the database")
    until(lambda: http.get(PRODUCTS).hit, "a hit")


def test_followed_answers_are_refused_when_contact_is_lost(postgres, shop, served):
    http, redis = served.http(), served.resp(db=1)
    until(lambda: http.get(PRODUCTS).hit, "a hit")
    redis("SET", "unfollowed", "kept")
    with postgres.halted():
        until(lambda: http.get(PRODUCTS).status == 503, "the end of max_stale")
        assert redis("GET", "unfollowed") == b"kept"
        assert redis("GET", "erp_cache:1:product_7") is None
        works_without_database(served)


def test_change_made_while_out_of_contact_is_seen(postgres, shop, served):
    http = served.http()
    until(lambda: http.get(PRODUCTS).hit, "a hit")
    postgres.halt()
    shop.close()
    postgres.resume()
    shop.execute("UPDATE product SET name = 'Zzz' WHERE id = 1")
    answer = until(lambda: (a := http.get(PRODUCTS)).status == 200 and a, "the database")
    # Whatever is answered by now was read from the database, or is a hit younger than max_stale.
    until(lambda: "Zzz" in {r["name"] for r in http.get(PRODUCTS).json()}, "the new name")
    until(lambda: http.get(PRODUCTS).hit, "a hit again")
    assert answer


def test_walsender_killed_under_load(shop, served):
    http = served.http()
    for n in range(5):
        until(lambda: http.get(PRODUCTS).hit, "a hit")
        shop.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        shop.execute("UPDATE product SET name = %s WHERE id = 1", (f"Round {n}",))
        until(lambda: f"Round {n}" in {r["name"] for r in http.get(PRODUCTS).json()}, "the new name")


def test_slot_is_gone_after_stop(shop, freshet):
    daemon = freshet(shop_policy(shop.role_dsn)).following()
    slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
    assert shop.value(slots) == 1
    assert daemon.stop() == 0
    until(lambda: shop.value(slots) == 0, "the temporary slot to go")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains_and_exits_0(shop, freshet, how):
    daemon = freshet(shop_policy(shop.role_dsn)).following()
    assert daemon.stop(how) == 0


def test_request_in_progress_is_answered_before_the_exit(shop, freshet):
    daemon = freshet(shop_policy(shop.role_dsn)).following()
    http, lock = daemon.http(), shop.connect()
    lock.autocommit = False
    lock.cursor().execute("LOCK TABLE sale IN ACCESS EXCLUSIVE MODE")
    http.raw(http.message("GET", "/api/reports/daily-sales?business_id=1"))
    until(lambda: shop.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1,
          "the query that waits")
    daemon.process.send_signal(signal.SIGTERM)
    lock.rollback()
    assert http.answer().status == 200
    lock.close()


def test_policy_with_only_listen_is_a_plain_cache(freshet):
    daemon = freshet('listen: { resp: "127.0.0.1:0" }\n')
    for db in (0, 7, 15):
        redis = daemon.resp(db=db)
        assert redis("SET", "k", db) == "OK" and redis("GET", "k") == str(db).encode()


@pytest.mark.parametrize("line, wanted", [
    ("lissten: { resp: \"127.0.0.1:0\" }", ["1:1", "lissten", "listen"]),
    ("listen: { rest: \"127.0.0.1:0\" }", ["rest", "resp"]),
    ("listen: { resp: \"127.0.0.1:0\" }\nmemory: lots", ["2:", "memory", "lots"]),
    ("listen: { resp: \"127.0.0.1:0\" }\nroutes:\n  - match: GET /a\n    sql: nothing.sql", ["4:", "nothing.sql"]),
    ("listen: { resp: [", ["2:1", "brackets"]),
])
def test_wrong_policy_names_place_and_remedy(tmp_path, line, wanted):
    file = tmp_path / "wrong.yaml"
    file.write_text(line + "\n")
    for verb in ("serve", "check"):
        done = cli(verb, file)
        assert done.returncode == 1
        for word in ["wrong.yaml:", *wanted]:
            assert word in done.stderr, done.stderr


def test_policy_that_does_not_exist(tmp_path):
    done = cli("serve", tmp_path / "none.yaml")
    assert done.returncode == 1 and "none.yaml" in done.stderr


def test_address_in_use_is_said(freshet, tmp_path):
    taken = freshet('listen: { resp: "127.0.0.1:0" }\n').addresses("resp")[0]
    file = tmp_path / "second.yaml"
    file.write_text(f'listen: {{ resp: "{taken}" }}\n')
    done = cli("serve", file)
    assert done.returncode == 1 and taken.split(":")[1] in done.stderr


def test_check_accepts_the_shop(shop, tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text(shop_policy(shop.role_dsn))
    done = cli("check", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 problems, 0 warnings" in done.stdout, done.stdout


def test_check_says_what_the_database_lacks(shop, tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text(shop_policy(shop.role_dsn))
    shop.execute("ALTER PUBLICATION freshet DROP TABLE customer")
    done = cli("check", file)
    assert done.returncode == 0
    assert "GET /api/customers: not cached" in done.stdout and "setup-sql" in done.stdout, done.stdout


def test_route_whose_table_is_not_published_is_served_uncached(shop, freshet):
    shop.execute("ALTER PUBLICATION freshet DROP TABLE customer")
    http = freshet(shop_policy(shop.role_dsn)).following(PRODUCTS).http()
    for n in range(3):
        shop.execute("UPDATE customer SET name = %s WHERE id = 1", (f"Name {n}",))
        answer = http.get("/api/customers?business_id=1")
        assert not answer.hit and f"Name {n}" in {r["name"] for r in answer.json()}
