# SPDX-License-Identifier: BSD-3-Clause
"""What people do to a database that is being followed: publications and identities that change under it, huge
transactions, storms of DDL, values of 100 MB. Nothing older than promised, and memory that stays bounded."""
import contextlib
import os
import pathlib
import re
import subprocess
import threading
import time

import pytest

from badday import Witness, figure, first_hit, policy, recovery
from daemon import SANITIZED, until

PRODUCT = "/lagging/products/7"


@pytest.fixture
def daemon(shop, freshet):
    daemon = freshet(policy(shop.role_dsn))
    first_hit(daemon)
    return daemon


def resident_kb(daemon):
    with open(f"/proc/{daemon.process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def follower_cpu_s(daemon):
    """Of the thread that reads the stream."""
    for task in pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "follower":
            used = (task / "stat").read_text().rsplit(")", 1)[1].split()
            return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")
    raise AssertionError("no follower")


def is_kept(daemon, path):
    """Is the second of two reads a hit?"""
    http = daemon.http()
    http.get(path)
    return http.get(path).hit


# --- the publication and identities -----------------------------------------------------------------


def test_table_that_leaves_the_publication_is_not_kept(daemon, shop):
    http = daemon.http()
    shop.execute("ALTER PUBLICATION freshet DROP TABLE product")
    until(lambda: not is_kept(daemon, PRODUCT), "the end of caching")
    for price in range(100, 120):
        shop.execute("UPDATE product SET price_cents = %s WHERE id = 7", (price,))
        answer = http.get(PRODUCT)
        assert not answer.hit and answer.json()["price_cents"] == price
    until(lambda: is_kept(daemon, "/api/customers?business_id=1"), "hits of others")
    until(lambda: "not in the publication" in daemon.log_text(), "the reason in the log")
    told = daemon.log_text().count("not cached")
    shop.execute("ALTER TABLE customer ADD COLUMN note text")  # the schema is loaded again
    until(lambda: daemon.log_text().count("schema: ") >= 3, "the schema")
    until(lambda: is_kept(daemon, "/api/customers?business_id=1"), "hits of others")
    assert daemon.log_text().count("not cached") == told, "the same reasons told again"
    shop.execute("ALTER PUBLICATION freshet ADD TABLE product")
    recovery(daemon, "table published again", time.monotonic())
    with Witness(daemon, shop.dsn):
        until(lambda: is_kept(daemon, "/api/customers?business_id=2"), "a hit")


def test_publication_dropped_while_running(daemon, shop):
    tables = [r[0] for r in shop.execute("SELECT tablename FROM pg_publication_tables WHERE pubname = 'freshet'")]
    http = daemon.http()
    shop.execute("DROP PUBLICATION freshet")
    shop.execute("UPDATE product SET price_cents = 1 WHERE id = 7")
    until(lambda: "run: freshet setup-sql FILE | psql" in daemon.log_text(), "advice")
    for price in range(100, 120):
        shop.execute("UPDATE product SET price_cents = %s WHERE id = 7", (price,))
        answer = http.get("/api/products/7")
        assert not answer.hit and answer.json()["price_cents"] == price
    shop.execute(f"CREATE PUBLICATION freshet FOR TABLE {', '.join(tables)}")
    recovery(daemon, "publication made again", time.monotonic())
    with Witness(daemon, shop.dsn) as witness:
        until(lambda: witness.hits > 50, "hits")


@pytest.mark.parametrize("trigger", [True, False], ids=["told", "looked for"])
def test_identity_that_is_taken_away(shop, freshet, trigger):
    """Without it UPDATE fails, and DELETE; what is not fit to be followed must not be kept."""
    if not trigger:
        shop.execute("DROP EVENT TRIGGER freshet_ddl; DROP EVENT TRIGGER freshet_drop")
    daemon = freshet(policy(shop.role_dsn))
    first_hit(daemon)
    shop.execute("ALTER TABLE product REPLICA IDENTITY NOTHING")
    until(lambda: not is_kept(daemon, PRODUCT), "the end of caching")
    until(lambda: "identity" in daemon.log_text(), "the reason in the log")
    shop.execute("ALTER TABLE product REPLICA IDENTITY FULL")
    recovery(daemon, f"identity given back ({'trigger' if trigger else 'no trigger'})", time.monotonic())
    with Witness(daemon, shop.dsn) as witness:
        until(lambda: witness.hits > 50, "hits")
        shop.execute("ALTER TABLE product REPLICA IDENTITY DEFAULT")
        before = witness.hits
        until(lambda: witness.hits > before + 50, "more hits")


def test_storm_of_ddl(daemon, shop):
    """Each loads the schema again and voids answers; none may let an old one through."""
    done, rounds = threading.Event(), []

    def storm():
        with contextlib.closing(shop.connect()) as pg:
            while not done.is_set():
                n = len(rounds)
                pg.cursor().execute(f"CREATE TABLE storm_{n} (id int PRIMARY KEY); DROP TABLE storm_{n};"
                                    f"ALTER TABLE customer ADD COLUMN c{n} int DEFAULT {n};"
                                    f"ALTER TABLE customer DROP COLUMN c{n}; CREATE INDEX i{n} ON product (sku);"
                                    f"ALTER TABLE product ALTER price_cents SET STATISTICS {n % 100};"
                                    f"DROP INDEX i{n}")
                rounds.append(n)

    thread = threading.Thread(target=storm)
    with Witness(daemon, shop.dsn, readers=2) as witness:
        thread.start()
        try:
            began = time.monotonic()
            until(lambda: witness.written() > 300 and time.monotonic() > began + 4, "many versions")
        finally:
            done.set()
            thread.join()
        assert len(rounds) > 3
        at, before = time.monotonic(), witness.hits
        until(lambda: witness.hits > before, "hits after the storm")
        figure("storm of DDL over", time.monotonic() - at)
    warnings = [line for line in daemon.log_text().splitlines() if " WARN " in line]
    assert len(warnings) < 20, warnings


# --- size -------------------------------------------------------------------------------------------


@pytest.fixture
def large(shop):
    shop.execute("CREATE TABLE large (id int PRIMARY KEY, n int, note text)")
    shop.execute("INSERT INTO large SELECT i, 0, 'row ' || i FROM generate_series(1, 300000) i")
    shop.execute("ALTER PUBLICATION freshet ADD TABLE large")
    shop.execute("GRANT SELECT ON large TO freshet")
    return shop


LARGE = "  - match: GET /large\n    sql: SELECT sum(n)::bigint AS sum FROM large\n    answer: object\n    timeout: 30s\n"


def everything_applied(daemon, shop, rows):
    until(lambda: float(daemon.stats()["follow.rows"]) >= rows, "the rows", 120)


@pytest.mark.parametrize("name, times, sql", [
    ("one transaction of 900,000 rows", 1,
     "BEGIN; UPDATE large SET n = n + 1; UPDATE large SET n = n + 1; UPDATE large SET n = n + 1; COMMIT"),
    ("one of 300,000 rows in 3,000 subtransactions", 1,
     "DO $$ BEGIN FOR i IN 0..2999 LOOP BEGIN UPDATE large SET n = n + 3 WHERE id > i * 100 AND id <= i * 100 + 100;"
     " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$"),
])
def test_huge_transaction(large, freshet, name, times, sql):
    daemon = freshet(policy(large.role_dsn, more=LARGE))
    first_hit(daemon)
    http = daemon.http()
    until(lambda: http.get("/large").hit, "a hit")
    assert http.get("/large").json() == {"sum": 0}
    before_kb, rows = resident_kb(daemon), float(daemon.stats()["follow.rows"])
    with Witness(daemon, large.dsn, readers=2):
        cpu, began = follower_cpu_s(daemon), time.monotonic()
        large.psql(sql)
        returned = time.monotonic()
        until(lambda: http.get("/large").json() == {"sum": 900000}, "the new sum")
        everything_applied(daemon, large, rows + 300000)
        at = time.monotonic()
        until(lambda: http.get("/api/products/7").hit and http.get(PRODUCT).hit, "hits, strict and not")
        done = float(daemon.stats()["follow.rows"]) - rows
        figure(f"{name}: strict hits after the commit", time.monotonic() - returned,
               rows_per_s=round(done / (time.monotonic() - began)),
               follower_us_per_row=round((follower_cpu_s(daemon) - cpu) / done * 1e6, 2))
        assert time.monotonic() - at < 30
    grown_kb = resident_kb(daemon) - before_kb
    print("memory grew by", grown_kb, "kB")
    # A sanitizer keeps a quarter of a gigabyte of what was freed.
    assert grown_kb < 64 * 1024 or SANITIZED, "memory that grows with the transaction"


def test_huge_transaction_that_is_undone(large, freshet):
    """What came in blocks and is rolled back voids nothing, in whole or in part."""
    daemon = freshet(policy(large.role_dsn, more=LARGE))
    first_hit(daemon)
    http = daemon.http()
    until(lambda: http.get("/large").hit, "a hit")
    large.psql("BEGIN; UPDATE large SET n = n + 1; ROLLBACK")
    with Witness(daemon, large.dsn, readers=1) as witness:
        until(lambda: witness.hits > 50, "hits, so that later commits are applied", deadline_s=120)
    assert http.get("/large").hit
    large.psql("BEGIN; UPDATE large SET n = 5 WHERE id = 1; SAVEPOINT a; UPDATE large SET n = n + 1; "
               "ROLLBACK TO a; COMMIT")
    until(lambda: http.get("/large").json() == {"sum": 5}, "the part that stayed")


def test_value_of_100_megabytes(daemon, shop):
    """PostgreSQL's sender makes one message of it."""
    shop.execute("CREATE TABLE heavy (id int PRIMARY KEY, body text); ALTER TABLE heavy REPLICA IDENTITY FULL;"
                 "ALTER PUBLICATION freshet ADD TABLE heavy")
    until(lambda: daemon.log_text().count("schema: ") >= 2, "the schema")
    before_kb, rows = resident_kb(daemon), float(daemon.stats()["follow.rows"])
    with Witness(daemon, shop.dsn, readers=2, pause_s=0.02) as witness:
        shop.execute("INSERT INTO heavy SELECT 1, string_agg(md5(i::text), '') FROM generate_series(1, 3300000) i")
        shop.execute("UPDATE heavy SET id = 2")
        began = witness.written()
        until(lambda: witness.written() > began + 20 and witness.hits > 50, "versions after it", 120)
        until(lambda: float(daemon.stats()["follow.rows"]) >= rows + 22, "the rows")
    until(lambda: daemon.http().get("/api/products/7").hit, "a hit")
    print("memory grew by", resident_kb(daemon) - before_kb, "kB")
    stats = daemon.stats()
    assert stats["follow.reconnects"] == "0" and float(stats["follow.bytes"]) > 1e8, stats


# --- many small ones --------------------------------------------------------------------------------


def test_five_thousand_commits_a_second(large, freshet, tmp_path):
    """pgbench writes as fast as it is told, or as the machine can; a reader of another row times its own commits."""
    daemon = freshet(policy(large.role_dsn))
    first_hit(daemon)
    script = tmp_path / "one.sql"
    script.write_text("\\set i random(1, 300000)\nUPDATE large SET n = n + 1 WHERE id = :i;\n")
    load = subprocess.Popen(["pgbench", "-n", "-M", "prepared", "-f", script, "-c", "8", "-R", "5000", "-T", "8",
                             large.dsn], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    late = []
    try:
        with Witness(daemon, large.dsn, rows=(8, 9), readers=1, pause_s=0.02):
            http = daemon.http()
            commits, began = float(daemon.stats()["follow.commits"]), time.monotonic()
            price = 0
            while load.poll() is None:
                price += 1
                large.execute("UPDATE product SET price_cents = %s WHERE id = 7", (price,))
                at = time.monotonic()
                until(lambda: http.get(PRODUCT).json()["price_cents"] == price, "the commit")
                late.append(time.monotonic() - at)
            rate = (float(daemon.stats()["follow.commits"]) - commits) / (time.monotonic() - began)
    finally:
        out, _ = load.communicate()
        print(out)
    late.sort()
    assert len(late) > 20 and rate > 100, (len(late), rate)
    for name, value in (("p50", late[len(late) // 2]), ("p99", late[len(late) * 99 // 100]), ("max", late[-1])):
        figure(f"commits seen late beside pgbench -R 5000, {name}", value, commits_per_s=round(rate), n=len(late))
