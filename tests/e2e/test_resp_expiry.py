# SPDX-License-Identifier: BSD-3-Clause
"""Expiries, with the daemon's clock moved by DEBUG CLOCK ADVANCE instead of waiting."""
import time

import pytest

from daemon import until
from resp_client import RespError
from resp_helpers import PLAIN


@pytest.fixture
def redis(freshet):
    return freshet(PLAIN).resp()


def advance(redis, ms):
    assert redis("DEBUG", "CLOCK", "ADVANCE", ms) == "OK"


@pytest.mark.parametrize("command", [
    ["SET", "k", "v", "EX", 10], ["SET", "k", "v", "PX", 10_000], ["SETEX", "k", 10, "v"],
    ["PSETEX", "k", 10_000, "v"],
])
def test_key_ends_when_its_time_is_over(redis, command):
    assert redis(*command) == "OK"
    assert 9 <= redis("TTL", "k") <= 10
    advance(redis, 5_000)
    assert redis("GET", "k") == b"v" and redis("PTTL", "k") <= 5_000
    advance(redis, 5_001)
    assert redis.pipeline(["GET", "k"], ["EXISTS", "k"], ["TTL", "k"], ["TYPE", "k"], ["DEL", "k"],
                          ["PERSIST", "k"], ["KEYS", "*"], ["STRLEN", "k"]) == [
        None, 0, -2, "none", 0, 0, [], 0]


def test_absolute_times_are_wall_time(redis):
    now = time.time()
    redis("SET", "k", "v", "EXAT", int(now) + 100)
    assert 98 <= redis("TTL", "k") <= 100
    assert redis("EXPIRETIME", "k") == int(now) + 100
    redis("PEXPIREAT", "k", int(now * 1000) + 50_000)
    assert redis("PEXPIRETIME", "k") == int(now * 1000) + 50_000
    advance(redis, 50_001)
    assert redis("GET", "k") is None


def test_conditional_set_sees_the_expired_key_as_absent(redis):
    redis("SET", "lock", "a", "NX", "PX", 1_000)
    assert redis("SET", "lock", "b", "NX", "PX", 1_000) is None
    advance(redis, 1_001)
    assert redis("SET", "lock", "b", "XX") is None
    assert redis("SET", "lock", "b", "NX", "PX", 1_000) == "OK"
    advance(redis, 1_001)
    assert redis("SET", "lock", "c", "GET") is None
    assert redis("TTL", "lock") == -1


def test_counter_starts_anew_after_its_window(redis):
    for expected in (1, 2, 3):
        assert redis("INCR", "n") == expected
        redis("EXPIRE", "n", 60, "NX")
    advance(redis, 60_001)
    assert redis("INCR", "n") == 1
    assert redis("TTL", "n") == -1


def test_expired_key_breaks_a_watch(redis):
    """As Redis: a key that was alive when watched and has expired since counts as changed."""
    redis("SET", "k", "v", "PX", 1_000)
    redis("WATCH", "k")
    advance(redis, 1_001)
    redis("MULTI")
    redis("SET", "k", "w")
    assert redis("EXEC") is None


def test_expired_keys_give_their_memory_back_unasked(redis):
    for start in range(0, 20_000, 1_000):
        redis.pipeline(*[["SET", f"k{i}", b"x" * 100, "PX", 5_000] for i in range(start, start + 1_000)])
    assert redis("DBSIZE") == 20_000
    advance(redis, 5_001)
    until(lambda: redis("DBSIZE") == 0, "the expired keys to go")


def test_space_has_a_default_ttl(freshet):
    redis = freshet('listen: { resp: "127.0.0.1:0" }\nmemory: 64MB\ndebug: true\nspaces:\n'
                    '  session: { db: 0, memory: 16MB, ttl: 2h }\n').resp()
    redis("SET", "plain", "v")
    redis("SET", "own", "v", "EX", 10)
    redis("INCR", "counter")
    redis("MSET", "several", "v")
    redis("APPEND", "appended", "v")
    for key in ("plain", "counter", "several", "appended"):
        assert 7_190 <= redis("TTL", key) <= 7_200, key
    assert redis("TTL", "own") == 10
    redis("PERSIST", "plain")
    assert redis("TTL", "plain") == -1


def test_clock_only_goes_forward(redis):
    with pytest.raises(RespError, match="forward"):
        redis("DEBUG", "CLOCK", "ADVANCE", -1)
