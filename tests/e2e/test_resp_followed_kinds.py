# SPDX-License-Identifier: BSD-3-Clause
"""Hashes, sets and sorted sets under keys that follow the database: one that is outdated is absent to every
command, and none makes one newer than what was read."""
import pytest

from daemon import until
from test_resp_followed import KEY, P, outdate

OTHER = P + "product_8"
FILLS = [["HSET", KEY, "price", "5"], ["SADD", KEY, "a"], ["ZADD", KEY, "5", "a"]]


@pytest.fixture
def redis(served):
    return served.resp(db=1)


def fill(redis, command):
    """As a cache client: a miss, then a write, until one is kept (contact with the database is young)."""
    def kept():
        redis("GET", command[1])
        redis(*command)
        return redis("EXISTS", command[1])
    until(kept, f"{command[1]} to be kept")


@pytest.mark.parametrize("first, command, expected", [
    (FILLS[0], ["HGET", KEY, "price"], None), (FILLS[0], ["HMGET", KEY, "price"], [None]),
    (FILLS[0], ["HGETALL", KEY], []), (FILLS[0], ["HLEN", KEY], 0), (FILLS[0], ["HEXISTS", KEY, "price"], 0),
    (FILLS[0], ["HDEL", KEY, "price"], 0), (FILLS[0], ["HSETNX", KEY, "price", "6"], 1),
    (FILLS[0], ["HINCRBY", KEY, "price", "1"], 1), (FILLS[0], ["HSCAN", KEY, "0"], [b"0", []]),
    (FILLS[0], ["HRANDFIELD", KEY], None), (FILLS[0], ["GET", KEY], None), (FILLS[0], ["TYPE", KEY], "none"),
    (FILLS[0], ["SADD", KEY, "x"], 1), (FILLS[0], ["RENAMENX", "x", KEY], "no such key"),
    (FILLS[1], ["SMEMBERS", KEY], []), (FILLS[1], ["SISMEMBER", KEY, "a"], 0), (FILLS[1], ["SADD", KEY, "a"], 1),
    (FILLS[1], ["SREM", KEY, "a"], 0), (FILLS[1], ["SPOP", KEY], None), (FILLS[1], ["SUNION", KEY, "x"], []),
    (FILLS[1], ["SMOVE", KEY, "x", "a"], 0), (FILLS[1], ["SUNIONSTORE", "x", KEY], 0),
    (FILLS[2], ["ZSCORE", KEY, "a"], None), (FILLS[2], ["ZRANGE", KEY, "0", "-1"], []), (FILLS[2], ["ZCARD", KEY], 0),
    (FILLS[2], ["ZADD", KEY, "XX", "CH", "1", "a"], 0), (FILLS[2], ["ZINCRBY", KEY, "1", "a"], b"1"),
    (FILLS[2], ["ZPOPMIN", KEY], []), (FILLS[2], ["ZUNION", "1", KEY], []), (FILLS[2], ["COPY", KEY, "x"], 0),
    (FILLS[2], ["ZMPOP", "1", KEY, "MIN"], None), (FILLS[2], ["OBJECT", "ENCODING", KEY], None),
], ids=lambda v: v[0] if isinstance(v, list) and v and isinstance(v[0], str) else None)
def test_outdated_collection_is_absent_to(redis, shop, first, command, expected):
    fill(redis, first)
    outdate(redis, shop)
    redis.raw(redis.encode(*command))
    reply = redis.reply()
    assert reply == expected or str(expected) in str(reply)


@pytest.mark.parametrize("first, again", [
    (FILLS[0], ["HSET", KEY, "name", "x"]), (FILLS[0], ["HINCRBY", KEY, "price", "1"]),
    (FILLS[0], ["HDEL", KEY, "nosuch"]), (FILLS[1], ["SADD", KEY, "b"]), (FILLS[1], ["SREM", KEY, "nosuch"]),
    (FILLS[2], ["ZADD", KEY, "6", "b"]), (FILLS[2], ["ZINCRBY", KEY, "1", "a"]),
], ids=lambda v: v[0])
def test_change_in_place_still_follows(redis, shop, first, again):
    fill(redis, first)
    redis(*again)
    assert redis("EXISTS", KEY) == 1
    outdate(redis, shop)
    assert redis("EXISTS", KEY) == 0


@pytest.mark.parametrize("first", FILLS, ids=lambda v: v[0])
def test_write_between_change_and_miss_is_born_outdated(redis, shop, first):
    """As a SET: what the client read may be from before the change. The reply is as if it were stored."""
    fill(redis, first)
    outdate(redis, shop)
    assert redis(*first) == 1
    assert redis("EXISTS", KEY) == 0


@pytest.mark.parametrize("first", FILLS, ids=lambda v: v[0])
def test_write_after_a_miss_is_kept(redis, shop, first):
    fill(redis, first)
    outdate(redis, shop, 8)
    redis("GET", OTHER)
    assert redis(first[0], OTHER, *first[2:]) == 1
    assert redis("EXISTS", OTHER) == 1


def test_result_made_of_older_keys_is_not_newer_than_they_are(redis, shop):
    """product_7's set was read before product 8 changed: under product_8 what is made of it is too old."""
    fill(redis, ["SADD", KEY, "a"])
    outdate(redis, shop, 8)
    redis("GET", OTHER)
    assert redis("SUNIONSTORE", OTHER, KEY) == 1
    assert redis("EXISTS", OTHER) == 0


MOVES = {
    "SMOVE": (["SADD", KEY, "a", "b"], ["SADD", OTHER, "c"], ["SMOVE", KEY, OTHER, "a"], 1),
    "LMOVE": (["RPUSH", KEY, "a", "b"], ["RPUSH", OTHER, "c"], ["LMOVE", KEY, OTHER, "LEFT", "LEFT"], b"a"),
    "RPOPLPUSH": (["RPUSH", KEY, "b", "a"], ["RPUSH", OTHER, "c"], ["RPOPLPUSH", KEY, OTHER], b"a"),
    "BLMOVE": (["RPUSH", KEY, "a", "b"], ["RPUSH", OTHER, "c"], ["BLMOVE", KEY, OTHER, "LEFT", "LEFT", "1"], b"a"),
    "SORT": (["SADD", KEY, "1"], ["SADD", OTHER, "c"], ["SORT", KEY, "STORE", OTHER], 1),
}


@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
@pytest.mark.parametrize("move", MOVES)
def test_element_of_an_older_key_makes_its_new_key_as_old(redis, shop, move, there):
    """product_7 was read before product 8 changed: what comes from it into product_8 is from before that, even
    where product_8 itself was read afterwards."""
    source, target, command, reply = MOVES[move]
    fill(redis, source)
    outdate(redis, shop, 8)
    redis("GET", OTHER)
    if there:
        fill(redis, target)
    assert redis(*command) == reply
    assert redis("EXISTS", OTHER) == 0
    assert redis("EXISTS", KEY) == 1


@pytest.mark.parametrize("move", MOVES)
def test_element_of_a_key_as_new_is_kept(redis, shop, move):
    source, target, command, reply = MOVES[move]
    fill(redis, target)
    fill(redis, source)
    assert redis(*command) == reply
    assert redis("EXISTS", OTHER) == 1
    outdate(redis, shop, 8)
    assert redis("EXISTS", OTHER) == 0


@pytest.mark.parametrize("move", ["RENAME", "COPY"])
def test_moved_collection_follows_its_new_name(redis, shop, move):
    fill(redis, ["HSET", KEY, "price", "5"])
    redis(move, KEY, OTHER)
    assert redis("HGETALL", OTHER) == [b"price", b"5"]
    outdate(redis, shop, 8)
    assert redis("HGETALL", OTHER) == []


def test_explain_says_what_a_collection_is(redis):
    fill(redis, ["HSET", KEY, "price", "5", "name", "x"])
    text = redis("FRESHET.EXPLAIN", KEY).decode()
    assert "entry: hash of 2 elements" in text and "verdict: hit" in text
