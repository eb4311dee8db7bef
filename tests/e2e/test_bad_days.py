# SPDX-License-Identifier: BSD-3-Clause
"""Contact that ends in every way there is, under writers and readers: nothing older than promised is served,
and hits come back soon after the database does. The witness and the figures are badday.py's."""
import contextlib
import os
import signal
import time

import psycopg2
import pytest

from badday import Proxy, Witness, answers, back, figure, first_hit, policy, recovery, stopped
from daemon import until

PRODUCT = "/lagging/products/7"


@pytest.fixture
def daemon(shop, freshet):
    daemon = freshet(policy(shop.role_dsn))
    first_hit(daemon)
    return daemon


def lost(daemon):
    return sum(float(v) for k, v in daemon.stats().items() if k.startswith("follow.lost_") and k != "follow.lost_s")


def follows(daemon):
    return daemon.stats()["follow.state"] == "following"


def test_each_connection_cut_in_turn_every_second(daemon, shop):
    """The stream, the probe, the kick, the keeper and the pool's own, again and again."""
    cuts = {"stream": "backend_type = 'walsender'", "probe": "query ~ 'pg_current_snapshot'",
            "kicker": "query ~ 'emit_message|synchronous_commit'", "pool": "query ~ 'freshet_|commit|product'"}
    hits, cut = [], {}
    with Witness(daemon, shop.dsn) as witness:
        for round_ in range(3):
            for name, which in cuts.items():
                before = witness.hits
                cut[name] = cut.get(name, 0) + shop.value(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                    f"usename = 'freshet' AND datname = current_database() AND {which}")
                at = time.monotonic()
                until(lambda: witness.hits > before and follows(daemon), f"hits after a cut of the {name}")
                if round_ == 2:
                    recovery(daemon, f"{name} cut under load", at)
                until(lambda: time.monotonic() > at + 0.5, "half a second")
                hits.append(witness.hits)
    assert all(cut.values()), cut
    assert hits == sorted(set(hits)), "no hits between cuts"
    text = daemon.log_text()
    assert text.count("terminating connection") <= 12, "told with every cut"
    stats = daemon.stats()
    assert float(stats["follow.lost_cut"]) >= 6 and float(stats["follow.reconnects"]) == lost(daemon), stats


def test_server_that_stands_still(daemon, shop, postgres):
    """SIGSTOP: it takes connections and says nothing. Answers that need it are refused at once."""
    with Witness(daemon, shop.dsn) as witness:
        until(lambda: witness.hits > 50, "hits")
        with stopped(postgres):
            at = time.monotonic()
            http = daemon.http()
            until(lambda: http.get(PRODUCT).status == 503, "the end of patience")
            figure("server stopped (SIGSTOP): first answer 503", time.monotonic() - at)
            until(lambda: daemon.stats()["follow.silent"] == "1", "silence")
            slow, count = 0.0, 0
            while time.monotonic() < at + 11:
                began = time.monotonic()
                answer = http.get(PRODUCT)
                slow = max(slow, time.monotonic() - began)
                assert answer.status == 503 and answer.header("Retry-After") == "1", answer
                assert http.post("/api/sales", {}).status in (400, 503)
                count += 1
            figure("server stopped (SIGSTOP): slowest of the following answers", slow)
            assert count > 20, "patience lasted nearly as long as the silence"
            assert slow < 5, "an answer waited for a database that is known not to answer"
            redis = daemon.resp(db=0)
            assert redis("SET", "job", "1") == "OK"
        recovery(daemon, "server continued after 11 s (SIGCONT)", time.monotonic())
    stats = daemon.stats()
    assert stats["follow.silent"] == "0" and float(stats["follow.lost_silent"]) >= 1, stats
    assert "does not answer" in stats["follow.last_loss"], stats
    metrics = daemon.metrics()
    for name in ("unreachable", "refused", "silent", "cut", "broken"):
        assert metrics[f"freshet_follow_lost_{name}_total"] == float(stats[f"follow.lost_{name}"])
    assert metrics["freshet_follow_following"] == 1 and metrics["freshet_follow_lost_s"] == 0
    assert metrics["freshet_follow_recovery_ms"] > 0
    assert daemon.log_text().count("does not answer") <= 3, daemon.log_text()


def test_late_comers_wait_for_the_query_that_runs(daemon, shop):
    """Without contact nothing can be stamped: still one query at a time for one key."""
    count = ("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
             "AND wait_event_type = 'Lock' AND usename = 'freshet'")
    path = "/api/products?business_id=2"
    shop.execute("ALTER ROLE freshet NOREPLICATION")
    lock = shop.connect()
    try:
        shop.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        until(lambda: daemon.stats()["follow.following"] == "0", "the end of contact")
        lock.autocommit = False
        lock.cursor().execute("LOCK TABLE product IN ACCESS EXCLUSIVE MODE")
        readers = [daemon.http() for _ in range(24)]
        readers[0].raw(readers[0].message("GET", path))
        until(lambda: shop.value(count) == 1, "the first query")
        for reader in readers[1:]:
            reader.raw(reader.message("GET", path))
        before = float(daemon.stats()["fills"])
        until(lambda: float(daemon.stats()["http_joined"]) >= 23, "the others")
        assert shop.value(count) == 1
        lock.rollback()
        answers_ = [reader.answer() for reader in readers]
        assert {a.status for a in answers_} == {200} and len({a.body for a in answers_}) == 1
        assert float(daemon.stats()["fills"]) <= before + 1, "more than one query for those who came late"
    finally:
        lock.close()
        shop.execute("ALTER ROLE freshet REPLICATION")


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_server_is_restarted(daemon, shop, postgres, how):
    with Witness(daemon, shop.dsn) as witness:
        until(lambda: witness.hits > 50, "hits")
        shop.close()
        postgres.restart(how)
        recovery(daemon, f"restarted ({how})", back(shop.dsn))
        before = witness.written()
        until(lambda: witness.written() > before + 20, "more versions")


def test_server_is_away_for_a_while(daemon, shop, postgres):
    with Witness(daemon, shop.dsn) as witness:
        until(lambda: witness.hits > 50, "hits")
        shop.close()
        with postgres.halted():
            http, at = daemon.http(), time.monotonic()
            until(lambda: http.get(PRODUCT).status == 503, "503")
            attempts = float(daemon.stats()["follow.reconnects"])
            until(lambda: time.monotonic() > at + 8, "a while")
            assert float(daemon.stats()["follow.reconnects"]) > attempts
            lines = len(daemon.log_text().splitlines())
            until(lambda: time.monotonic() > at + 11, "a while more")
            assert len(daemon.log_text().splitlines()) <= lines + 1, "the log grows while nothing changes"
        recovery(daemon, "stopped for 11 s and started", back(shop.dsn))
    assert "start PostgreSQL" in daemon.log_text()


def test_commit_that_a_crash_undoes_is_not_served_after_it(daemon, shop, postgres):
    """synchronous_commit = off: others see it, freshet serves it, then a backend dies and it never happened."""
    http = daemon.http()
    undone = 0
    walwriter = "SELECT max(backend_start) FROM pg_stat_activity WHERE backend_type = 'walwriter'"
    shop.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
    shop.execute("SELECT pg_reload_conf()")
    try:
        for round_ in range(6):
            safe, unsafe = 1000 + round_, 900000 + round_
            shop.execute("UPDATE product SET price_cents = %s WHERE id = 7", (safe,))
            until(lambda: http.get(PRODUCT).json()["price_cents"] == safe, "the old value")
            victim = shop.connect()
            victim.cursor().execute("SET synchronous_commit = off")
            victim.cursor().execute("UPDATE product SET price_cents = %s WHERE id = 7", (unsafe,))
            seen = http.get(PRODUCT).json()["price_cents"]
            before = shop.value(walwriter)
            os.kill(victim.info.backend_pid, signal.SIGKILL)
            victim.close()
            until(lambda: started_again(shop, walwriter, before), "recovery")
            at = time.monotonic()
            truth = shop.value("SELECT price_cents FROM product WHERE id = 7")
            undone += seen == unsafe and truth == safe
            answer = until(lambda: (a := http.get(PRODUCT)).status == 200 and a, "an answer")
            if not answer.hit or truth == safe:
                assert answer.json()["price_cents"] == truth, (seen, answer)
            recovery(daemon, "crash of a backend", at)
            assert http.get(PRODUCT).json()["price_cents"] == truth
            assert http.get("/api/products/7").json()["price_cents"] == truth
    finally:
        until(lambda: answers(shop.dsn), "the server")
        shop.execute("ALTER SYSTEM RESET wal_writer_delay")
        shop.execute("SELECT pg_reload_conf()")
    print("commits that were seen and then undone:", undone)


def started_again(shop, walwriter, before):
    shop.close()
    try:
        return shop.value(walwriter) != before
    except psycopg2.OperationalError:
        return False


@pytest.mark.parametrize("seconds", [2, 8])
def test_network_hole(shop, freshet, postgres, tmp_path_factory, seconds):
    """Packets go nowhere and nobody says so; behind the hole old connections are dead, new ones live."""
    folder = tmp_path_factory.mktemp("p")
    proxy = Proxy(folder, postgres.home)
    try:
        daemon = freshet(policy(shop.role_dsn.replace(postgres.home, proxy.home)))
        first_hit(daemon)
        with Witness(daemon, shop.dsn) as witness:
            until(lambda: witness.hits > 50, "hits")
            proxy.hole()
            at, http = time.monotonic(), daemon.http()
            until(lambda: http.get(PRODUCT).status == 503, "the end of patience")
            until(lambda: time.monotonic() > at + seconds, "the hole")
            proxy.heal()
            recovery(daemon, f"network hole of {seconds} s", time.monotonic())
        assert float(daemon.stats()["follow.lost_silent"]) >= 1
    finally:
        # freshet first: what it waits for would never come
        daemon.stop()
        proxy.close()


def test_statement_and_lock_timeouts_are_answered_and_harm_nobody_else(shop, freshet):
    """The server's own limits for the role, and the route's: the answer says so and nothing else breaks."""
    shop.execute("ALTER ROLE freshet SET lock_timeout = '200ms'")
    try:
        more = ("  - match: GET /slow\n    sql: SELECT id, pg_sleep(30)::text AS x FROM product WHERE id = :id\n"
                "    timeout: 300ms\n")
        daemon = freshet(policy(shop.role_dsn, more=more))
        first_hit(daemon)
        with Witness(daemon, shop.dsn, rows=(8, 9)) as witness:
            http = daemon.http()
            assert http.get("/slow?id=1").status == 504
            with contextlib.closing(shop.connect()) as lock:
                lock.autocommit = False
                lock.cursor().execute("LOCK TABLE customer IN ACCESS EXCLUSIVE MODE")
                answer = http.get("/api/customers?business_id=3")
                assert answer.status == 503 and answer.header("Retry-After") == "1", answer
                before = witness.hits
                until(lambda: witness.hits > before + 20, "hits of others")
                lock.rollback()
            assert http.get("/api/customers?business_id=3").status == 200
        assert follows(daemon) and float(daemon.stats()["follow.reconnects"]) == 0
    finally:
        shop.execute("ALTER ROLE freshet RESET lock_timeout")
