# SPDX-License-Identifier: BSD-3-Clause
"""Hashes, sets and sorted sets in a space that is full and evicts nothing: the write is refused with -OOM, what
was there stays, and taking away makes room again."""
import pytest

from resp_client import RespError

FULL = """
listen: { resp: "127.0.0.1:0" }
workers: 1
spaces:
  jobs: { db: 0, memory: 4MB, evict: never }
"""
WRITES = {
    "hash": (["HSET", "big"], lambda i: [f"field:{i}", "v" * 500]),
    "set": (["SADD", "big"], lambda i: [f"{i}:" + "m" * 500]),
    "zset": (["ZADD", "big"], lambda i: [str(i), f"{i}:" + "m" * 500]),
}
COUNTS = {"hash": "HLEN", "set": "SCARD", "zset": "ZCARD"}
TAKES = {"hash": ["HDEL", "big", "field:0"], "set": ["SREM", "big", "0:" + "m" * 500], "zset": ["ZPOPMIN", "big", "1"]}


@pytest.fixture
def redis(freshet):
    return freshet(FULL).resp()


def fill(redis, kind):
    """Adds until nothing more fits; how many elements there are then."""
    command, element = WRITES[kind]
    for i in range(20000):
        redis.raw(redis.encode(*command, *element(i)))
        reply = redis.reply()
        if isinstance(reply, RespError):
            assert str(reply).startswith("OOM command not allowed when used memory")
            return i
    raise AssertionError("4 MB are never full")


@pytest.mark.parametrize("kind", WRITES)
def test_a_write_that_does_not_fit_changes_nothing(redis, kind):
    count = fill(redis, kind)
    assert count > 1000
    assert redis(COUNTS[kind], "big") == count
    for _ in range(3):
        redis.raw(redis.encode(*WRITES[kind][0], *WRITES[kind][1](count + 1)))
        assert str(redis.reply()).startswith("OOM ")
        assert redis(COUNTS[kind], "big") == count


@pytest.mark.parametrize("kind", WRITES)
def test_taking_away_works_and_makes_room(redis, kind):
    count = fill(redis, kind)
    for _ in range(3):
        redis(*TAKES[kind])
        redis(*WRITES[kind][0], *WRITES[kind][1](0))
    assert redis(COUNTS[kind], "big") == count
    redis("DEL", "big")
    assert redis("HSET", "small", "a", "1") == 1


def test_smove_that_does_not_fit_loses_nothing(redis):
    member = "m" * 40000  # has pages of its own, of which none are left
    redis("SADD", "from", member)
    while not isinstance(redis.pipeline(["SET", f"k{redis('DBSIZE')}", "v" * 500])[0], RespError):
        pass
    redis.raw(redis.encode("SMOVE", "from", "to", member))
    assert str(redis.reply()).startswith("OOM ")
    assert redis("SISMEMBER", "from", member) == 1 and redis("EXISTS", "to") == 0


def test_union_that_does_not_fit_is_refused_and_its_sources_stay(redis):
    count = fill(redis, "set")
    redis.raw(redis.encode("SUNIONSTORE", "copy", "big"))
    assert str(redis.reply()).startswith("OOM ")
    assert redis("SCARD", "big") == count and redis("EXISTS", "copy") == 0
