# SPDX-License-Identifier: BSD-3-Clause
"""A database that is there and refuses: the log says what to do, nothing is kept meanwhile, and once somebody
has done it there are hits, without a restart of freshet."""
import contextlib
import os
import pathlib
import time

import psycopg2
import psycopg2.extras
import pytest

from badday import Witness, back, figure, policy, recovery
from cluster import Cluster
from daemon import cli, shop_policy, until

PRODUCT = "/api/products/7"


@pytest.fixture(scope="module")
def strict_cluster(tmp_path_factory):
    """A cluster of its own with little room, and the shop in a template."""
    cluster = Cluster(f"bad-{os.getpid()}")
    try:
        cluster.restart(max_replication_slots=1, max_wal_senders=1, max_connections=20)
        template = cluster.create()
        template.load_shop()
        file = tmp_path_factory.mktemp("setup") / "shop.yaml"
        file.write_text(shop_policy(template.dsn))
        template.psql(cli("setup-sql", file).stdout)
        template.close()
        cluster.template = template.name
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def hard(strict_cluster):
    database = strict_cluster.create(strict_cluster.template)
    yield database
    database.close()
    strict_cluster.drop(database)


def log_says(daemon, *words):
    until(lambda: all(word in daemon.log_text() for word in words), f"{words} in the log")


def nothing_is_kept(daemon, hard):
    """Answers come from the database or not at all; a commit is in the next one."""
    http = daemon.http()
    for price in range(100, 110):
        hard.execute("UPDATE product SET price_cents = %s WHERE id = 7", (price,))
        answer = http.get(PRODUCT)
        assert not answer.hit
        assert answer.status in (403, 503) or answer.json()["price_cents"] == price, answer


def refused_then_repaired(daemon, hard, words, repair, name):
    log_says(daemon, *words)
    nothing_is_kept(daemon, hard)
    lines = daemon.log_text().count(words[0])
    stats = daemon.stats()
    assert stats["follow.following"] == "0" and float(stats["follow.lost_refused"]) > 0, stats
    assert words[0] in stats["follow.last_error"], stats
    # Tried again and again, told once by the follower and once by each pool.
    before = float(stats["follow.reconnects"])
    until(lambda: float(daemon.stats()["follow.reconnects"]) >= before + 3, "three more attempts")
    assert daemon.log_text().count(words[0]) <= max(lines, 3), daemon.log_text()
    repair()
    recovery(daemon, name, time.monotonic())
    with Witness(daemon, hard.dsn, readers=1):
        until(lambda: daemon.stats()["follow.state"] == "following", "following")
    stats = daemon.stats()
    assert stats["follow.lost_s"] == "0" and "follow.last_error" not in stats


def test_wrong_password(strict_cluster, hard, freshet):
    hba = pathlib.Path(strict_cluster.home) / "data" / "pg_hba.conf"
    rules = hba.read_text()
    hard.execute("SET password_encryption = 'scram-sha-256'; ALTER ROLE freshet PASSWORD 'right'")
    hba.write_text("local all freshet scram-sha-256\n" + rules)
    hard.execute("SELECT pg_reload_conf()")
    until(lambda: hard.value("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'scram-sha-256'"), "it")
    try:
        daemon = freshet(policy(hard.role_dsn + " password=wrong"))
        refused_then_repaired(
            daemon, hard, ["password authentication failed", "correct user and password in database.dsn"],
            lambda: hard.execute("ALTER ROLE freshet PASSWORD 'wrong'"), "password corrected")
    finally:
        hba.write_text(rules)
        hard.execute("SELECT pg_reload_conf(); ALTER ROLE freshet PASSWORD NULL")


@pytest.mark.parametrize("broken, repaired, words", [
    ("ALTER ROLE freshet NOLOGIN", "ALTER ROLE freshet LOGIN",
     ["is not permitted to log in", 'ALTER ROLE "freshet" LOGIN']),
    ("ALTER ROLE freshet NOREPLICATION", "ALTER ROLE freshet REPLICATION",
     ["replication role", "give the role replication: ALTER ROLE ... REPLICATION"]),
    ("DROP PUBLICATION freshet", None, ['the publication "freshet" does not exist', "run: freshet setup-sql FILE | psql"]),
], ids=["nologin", "noreplication", "no publication"])
def test_right_that_is_missing(strict_cluster, hard, freshet, request, broken, repaired, words):
    tables = [r[0] for r in hard.execute("SELECT tablename FROM pg_publication_tables WHERE pubname = 'freshet'")]
    hard.execute(broken)
    repaired = repaired or f"CREATE PUBLICATION freshet FOR TABLE {', '.join(tables)}"
    try:
        daemon = freshet(policy(hard.role_dsn))
        refused_then_repaired(daemon, hard, words, lambda: hard.execute(repaired),
                              f"{request.node.callspec.id} repaired")
    finally:
        hard.execute("ALTER ROLE freshet LOGIN REPLICATION")


def test_table_that_may_not_be_read(hard, freshet):
    """SQLSTATE 42501: everything else is followed; the log names the right and the table."""
    hard.execute("REVOKE SELECT ON product FROM freshet, PUBLIC")
    daemon = freshet(policy(hard.role_dsn)).following()
    http = daemon.http()
    for _ in range(30):
        assert http.get(PRODUCT).status == 403
    log_says(daemon, "permission denied for table product", "GRANT what it needs ON product")
    assert daemon.log_text().count("GRANT what it needs ON product") <= 4, "told with every request"
    hard.execute("GRANT SELECT ON product TO freshet")
    recovery(daemon, "42501 granted", time.monotonic())


def test_slots_are_used_up(hard, freshet):
    hard.execute("SELECT pg_create_physical_replication_slot('other')")
    try:
        daemon = freshet(policy(hard.role_dsn))
        refused_then_repaired(daemon, hard, ["all replication slots are in use", "max_replication_slots"],
                              lambda: hard.execute("SELECT pg_drop_replication_slot('other')"), "slot freed")
    finally:
        hard.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'other'")


def test_senders_are_used_up(hard, freshet):
    other = psycopg2.connect(hard.dsn, connection_factory=psycopg2.extras.PhysicalReplicationConnection)
    with contextlib.closing(other):
        daemon = freshet(policy(hard.role_dsn))
        refused_then_repaired(daemon, hard, ["max_wal_senders", "raise max_wal_senders and restart PostgreSQL"],
                              other.close, "sender freed")


def test_connections_are_used_up(hard, freshet):
    others = []
    hard.execute("SELECT 1")  # its own connection is there
    with contextlib.suppress(psycopg2.OperationalError):
        while True:
            others.append(psycopg2.connect(hard.role_dsn))

    def close_them():
        for other in others:
            other.close()

    try:
        daemon = freshet(policy(hard.role_dsn))
        refused_then_repaired(daemon, hard, ["connection slots", "raise max_connections, or lower database.pool"],
                              close_them, "connections freed")
    finally:
        close_them()


def test_wal_level_is_too_low(strict_cluster, hard, freshet):
    hard.close()
    strict_cluster.restart(wal_level="replica")
    try:
        daemon = freshet(policy(hard.role_dsn))
        repaired = lambda: (hard.close(), strict_cluster.restart(wal_level="logical"))
        refused_then_repaired(daemon, hard, ["wal_level", "set wal_level = logical in postgresql.conf"],
                              repaired, "wal_level raised")
    finally:
        hard.close()
        strict_cluster.restart(wal_level="logical")


def test_transaction_that_is_open_at_the_start_is_waited_for(hard, freshet):
    """What it wrote before the slot was made is never streamed: nothing may be stamped before it ends."""
    with contextlib.closing(hard.connect()) as other:
        other.autocommit = False
        other.cursor().execute("UPDATE product SET price_cents = 4711 WHERE id = 7")
        daemon = freshet(policy(hard.role_dsn))
        log_says(daemon, "waiting for transactions that are in progress", "pg_stat_activity")
        nothing_is_kept_of_others(daemon, hard)
        other.commit()
        recovery(daemon, "open transaction ended", time.monotonic())
        assert daemon.http().get(PRODUCT).json()["price_cents"] == 4711


def nothing_is_kept_of_others(daemon, hard):
    http = daemon.http()
    for price in range(100, 105):
        hard.execute("UPDATE product SET price_cents = %s WHERE id = 8", (price,))
        answer = http.get("/api/products/8")
        assert not answer.hit and answer.json()["price_cents"] == price


def test_prepared_transaction_is_seen_when_it_commits(strict_cluster, hard, freshet):
    hard.close()
    strict_cluster.restart(max_prepared_transactions=5)
    daemon = freshet(policy(hard.role_dsn)).following()
    http = daemon.http()
    until(lambda: http.get(PRODUCT).hit, "a hit")
    price = http.get(PRODUCT).json()["price_cents"]
    for end, wanted in (("ROLLBACK", price), ("COMMIT", price + 1)):
        hard.execute(f"BEGIN; UPDATE product SET price_cents = {price + 1} WHERE id = 7; PREPARE TRANSACTION 'p'")
        assert http.get(PRODUCT).json()["price_cents"] == price
        hard.execute(f"{end} PREPARED 'p'")
        assert http.get(PRODUCT).json()["price_cents"] == wanted
    until(lambda: http.get(PRODUCT).hit, "a hit")


def test_prepared_transaction_of_before_the_start_is_waited_for(strict_cluster, hard, freshet):
    hard.close()
    strict_cluster.restart(max_prepared_transactions=5)
    hard.execute("BEGIN; UPDATE product SET price_cents = 4711 WHERE id = 7; PREPARE TRANSACTION 'p'")
    try:
        daemon = freshet(policy(hard.role_dsn))
        log_says(daemon, "waiting for transactions that are in progress", "pg_prepared_xacts")
        nothing_is_kept_of_others(daemon, hard)
    finally:
        hard.execute("COMMIT PREPARED 'p'")
    recovery(daemon, "prepared transaction ended", time.monotonic())
    assert daemon.http().get(PRODUCT).json()["price_cents"] == 4711
