# SPDX-License-Identifier: BSD-3-Clause
"""Starting and stopping: how long the start took, what a drain waits for, and what ends it."""
import re
import signal

import pytest

from daemon import DEADLINE_S, shop_policy, until
from resp_helpers import PLAIN

REPORT = "/api/reports/daily-sales?business_id=1"
BIG = b"x" * (1 << 20)


def stop(daemon):
    daemon.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in daemon.log_text(), "the drain to begin")


def hang(shop, daemon):
    """A request that waits for a lock in the database; returns (its client, the lock's owner)."""
    http, lock = daemon.http(), shop.connect()
    lock.autocommit = False
    lock.cursor().execute("LOCK TABLE sale IN ACCESS EXCLUSIVE MODE")
    http.raw(http.message("GET", REPORT))
    until(lambda: shop.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1,
          "the query that waits")
    return http, lock


def test_start_is_measured(freshet):
    daemon = freshet(PLAIN)
    ready = re.search(r"ready .*took=([0-9.]+)ms", daemon.log_text())
    assert daemon.address["took"] == f"{ready[1]}ms"
    stats = dict(line.split(" ", 1) for line in daemon.resp()("FRESHET.STATS").decode().splitlines())
    assert abs(float(stats["start_ms"]) - float(ready[1])) <= 0.051
    assert 0 < float(ready[1]) < DEADLINE_S * 1000


def test_idle_connections_do_not_hold_up_the_end(freshet):
    daemon = freshet(PLAIN + "limits: { drain: 1h }\n")
    clients = [daemon.resp() for _ in range(5)]
    assert [c("PING") for c in clients] == ["PONG"] * 5
    stop(daemon)
    assert daemon.process.wait(DEADLINE_S) == 0
    assert all(c.at_end() for c in clients)


def test_client_that_never_reads_is_cut_at_the_deadline(freshet):
    daemon = freshet(PLAIN + "limits: { drain: 200ms }\n")
    reader, half = daemon.resp(), daemon.resp()
    reader("SET", "big", BIG)
    reader.raw(reader.encode("GET", "big") * 50)
    half.raw(b"*2\r\n$3\r\nGET\r\n$1000\r\nab")
    until(lambda: int(fields(daemon.resp()("CLIENT", "LIST"))["omem"]) >= len(BIG), "a waiting answer")
    stop(daemon)
    assert daemon.process.wait(DEADLINE_S) == 0
    assert "did not end within limits.drain" in daemon.log_text()


def fields(text):
    return max((dict(word.split("=", 1) for word in line.split()) for line in text.decode().splitlines()),
               key=lambda line: int(line["omem"]))


def test_statement_that_hangs_is_left_at_the_deadline(shop, freshet):
    daemon = freshet(shop_policy(shop.role_dsn, limits="{ drain: 200ms }")).following()
    http, lock = hang(shop, daemon)
    stop(daemon)
    assert daemon.process.wait(DEADLINE_S) == 0
    assert http.at_end()
    lock.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_stops_at_once(shop, freshet, how):
    daemon = freshet(shop_policy(shop.role_dsn, limits="{ drain: 1h }")).following()
    http, lock = hang(shop, daemon)
    stop(daemon)
    assert daemon.process.poll() is None
    daemon.process.send_signal(how)
    assert daemon.process.wait(DEADLINE_S) == 0
    assert http.at_end() and "told to hurry" in daemon.log_text()
    lock.close()
