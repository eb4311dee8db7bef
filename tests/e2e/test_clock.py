# SPDX-License-Identifier: BSD-3-Clause
"""Clocks that jump and a process that is stopped: times to live pass as promised, nothing stale is served."""
import email.utils
import os
import signal
import time

import pytest

from daemon import shop_policy, until
from resp_client import RespError
from resp_helpers import PLAIN

DAY_MS = 86_400_000
PRODUCTS = "/api/products?business_id=1"
DEBUG = {"debug": "true"}


def jump(redis, ms):
    assert redis("DEBUG", "CLOCK", "WALL", ms) == "OK"


@pytest.mark.parametrize("days", [2, -2, 400])
def test_durations_pass_as_if_nothing_had_happened(freshet, days):
    redis = freshet(PLAIN).resp()
    redis("SET", "k", "v", "EX", 1000)
    redis("SET", "at", "v", "EXAT", int(time.time()) + 1000)
    jump(redis, days * DAY_MS)
    assert redis("GET", "k") == redis("GET", "at") == b"v"
    assert 900 < redis("TTL", "k") <= 1000 and 900 < redis("TTL", "at") <= 1000
    shown = redis("EXPIRETIME", "k") - days * 86400 - time.time()
    assert 900 < shown <= 1001  # the same moment, by the clock as it is now
    redis("DEBUG", "CLOCK", "ADVANCE", 1_000_001)
    assert redis("MGET", "k", "at") == [None, None]


def test_absolute_expiries_are_by_the_clock_as_it_is(freshet):
    redis = freshet(PLAIN).resp()
    redis("MSET", "soon", "v", "past", "v")
    jump(redis, DAY_MS)
    now = int(redis("TIME")[0])
    assert abs(now - time.time() - 86400) < 60
    assert redis("EXPIREAT", "soon", now + 1000) == 1 and 900 < redis("TTL", "soon") <= 1000
    assert redis("EXPIREAT", "past", int(time.time()) + 1000) == 1  # that was yesterday
    assert redis("EXISTS", "past") == 0


@pytest.mark.parametrize("days", [2, -2])
def test_ages_in_the_log_of_denials_do_not_notice(freshet, days):
    daemon = freshet(PLAIN)
    redis, stranger = daemon.resp(), daemon.resp()
    with pytest.raises(RespError):
        stranger("AUTH", "nobody", "guess")
    jump(redis, days * DAY_MS)
    entry = dict(zip(*[iter(redis("ACL", "LOG")[0])] * 2))
    assert 0 <= float(entry[b"age-seconds"]) < 600


@pytest.mark.parametrize("days", [3, -3])
def test_followed_answers_do_not_notice(shop, freshet, days):
    daemon = freshet(shop_policy(shop.role_dsn, **DEBUG)).following()
    http, redis = daemon.http(), daemon.resp()
    until(lambda: http.get(PRODUCTS).hit, "a hit")
    epoch = stat(redis, "follow.visible").split(".")[0]
    jump(redis, days * DAY_MS)
    answer = http.get(PRODUCTS)
    assert answer.hit and int(answer.header("Age")) < 60
    said = email.utils.parsedate_to_datetime(answer.header("Date")).timestamp()
    assert abs(said - time.time() - days * 86400) < 60
    shop.execute("UPDATE product SET name = 'After the jump' WHERE id = 1")
    until(lambda: "After the jump" in str(http.get(PRODUCTS).json()), "the new name")
    until(lambda: http.get(PRODUCTS).hit, "a hit again")
    assert stat(redis, "follow.visible").split(".")[0] == epoch
    assert stat(redis, "follow.reconnects") == "0"


def stat(redis, name):
    return dict(line.split(" ", 1) for line in redis("FRESHET.STATS").decode().splitlines())[name]


def test_nothing_stale_is_served_after_a_stop(shop, freshet):
    """SIGSTOP for longer than max_stale, a change meanwhile, requests that wait in the sockets: each answer is
    from after the change."""
    daemon = freshet(shop_policy(shop.role_dsn)).following()
    clients = [daemon.http() for _ in range(20)]
    until(lambda: clients[0].get(PRODUCTS).hit, "a hit")
    assert all("While asleep" not in str(c.get(PRODUCTS).json()) for c in clients)
    daemon.process.send_signal(signal.SIGSTOP)
    until(lambda: b"State:\tT" in open(f"/proc/{daemon.process.pid}/status", "rb").read(), "the stop")
    shop.execute("UPDATE product SET name = 'While asleep' WHERE id = 1")
    asleep = time.monotonic()
    for client in clients:
        client.raw(client.message("GET", PRODUCTS))
    until(lambda: time.monotonic() - asleep > 3, "the sleep to last")
    os.kill(daemon.process.pid, signal.SIGCONT)
    answers = [client.answer() for client in clients]
    assert [a.status for a in answers] == [200] * len(answers)
    assert all("While asleep" in str(a.json()) for a in answers)
    until(lambda: clients[0].get(PRODUCTS).hit, "a hit again")
