# SPDX-License-Identifier: BSD-3-Clause
"""OBJECT ENCODING says what Redis 7.2 would: by size, by the longest element, by CONFIG SET, and what became
large stays so."""
import pytest

from resp_helpers import PLAIN


@pytest.fixture
def redis(freshet):
    return freshet(PLAIN).resp()


def encoding(redis, key="k"):
    return redis("OBJECT", "ENCODING", key).decode()


def hash_of(n):
    return ["HSET", "k", *[w for i in range(n) for w in (f"f{i}", "v")]]


def zset_of(n):
    return ["ZADD", "k", *[w for i in range(n) for w in (str(i), f"m{i}")]]


@pytest.mark.parametrize("command, expected", [
    (hash_of(512), "listpack"), (hash_of(513), "hashtable"),
    (["HSET", "k", "f", "v" * 64], "listpack"), (["HSET", "k", "f", "v" * 65], "hashtable"),
    (["HSET", "k", "f" * 65, "v"], "hashtable"),
    (["SADD", "k", *range(512)], "intset"), (["SADD", "k", *range(513)], "hashtable"),
    (["SADD", "k", "-5", "9223372036854775807"], "intset"), (["SADD", "k", "9223372036854775808"], "listpack"),
    (["SADD", "k", "007"], "listpack"), (["SADD", "k", "1", "a"], "listpack"),
    (["SADD", "k", *[f"m{i}" for i in range(128)]], "listpack"), (["SADD", "k", *[f"m{i}" for i in range(129)]], "hashtable"),
    (["SADD", "k", "m" * 64], "listpack"), (["SADD", "k", "m" * 65], "hashtable"),
    (["SADD", "k", *range(200), "a"], "hashtable"),
    (zset_of(128), "listpack"), (zset_of(129), "skiplist"),
    (["ZADD", "k", 1, "m" * 64], "listpack"), (["ZADD", "k", 1, "m" * 65], "skiplist"),
    (["RPUSH", "k", "x" * 8000], "listpack"), (["RPUSH", "k", *["x" * 100] * 100], "quicklist"),
    (["SET", "k", "123"], "int"), (["SET", "k", "x" * 44], "embstr"), (["SET", "k", "x" * 45], "raw"),
    (["APPEND", "k", "x"], "embstr"), (["XADD", "k", "*", "f", "v"], "stream"),
], ids=lambda v: v if isinstance(v, str) else None)
def test_encoding_of(redis, command, expected):
    redis(*command)
    assert encoding(redis) == expected


@pytest.mark.parametrize("setting, value, small, large, word", [
    ("hash-max-listpack-entries", 3, hash_of(3), hash_of(4), "hashtable"),
    ("hash-max-ziplist-value", 5, ["HSET", "k", "f", "12345"], ["HSET", "k", "f", "123456"], "hashtable"),
    ("zset-max-listpack-entries", 3, zset_of(3), zset_of(4), "skiplist"),
    ("zset-max-ziplist-value", 5, ["ZADD", "k", 1, "12345"], ["ZADD", "k", 1, "123456"], "skiplist"),
    ("set-max-listpack-entries", 2, ["SADD", "k", "a", "b"], ["SADD", "k", "a", "b", "c"], "hashtable"),
    ("set-max-listpack-value", 2, ["SADD", "k", "ab"], ["SADD", "k", "abc"], "hashtable"),
    ("list-max-listpack-size", 3, ["RPUSH", "k", *"abc"], ["RPUSH", "k", *"abcd"], "quicklist"),
])
def test_encoding_goes_by_the_setting(redis, setting, value, small, large, word):
    redis("CONFIG", "SET", setting, value)
    redis(*small)
    assert encoding(redis) == "listpack"
    redis("DEL", "k")
    redis(*large)
    assert encoding(redis) == word


def test_many_integers_are_compact_when_only_the_intset_is_small(redis):
    redis("CONFIG", "SET", "set-max-intset-entries", 2)
    redis("SADD", "k", 1, 2)
    assert encoding(redis) == "intset"
    redis("SADD", "k", 3)
    assert encoding(redis) == "listpack"


@pytest.mark.parametrize("grow, shrink, word", [
    (hash_of(513), ["HDEL", "k", *[f"f{i}" for i in range(512)]], "hashtable"),
    (zset_of(129), ["ZREMRANGEBYRANK", "k", 1, -1], "skiplist"),
    (["SADD", "k", *range(513)], ["SREM", "k", *range(512)], "hashtable"),
    (["SADD", "k", "a", "1"], ["SREM", "k", "a"], "listpack"),
])
def test_what_became_large_stays_so(redis, grow, shrink, word):
    redis(*grow)
    redis(*shrink)
    assert encoding(redis) == word
    redis("COPY", "k", "copy")
    assert encoding(redis, "copy") == word


def test_a_string_changed_in_place_is_raw_until_it_is_set_again(redis):
    for command in (["APPEND", "k", "x"], ["SETRANGE", "k", 0, "9"], ["SETBIT", "k", 1, 1]):
        redis("SET", "k", "12")
        assert encoding(redis) == "int"
        redis(*command)
        assert encoding(redis) == "raw", command
        redis("RENAME", "k", "k2")
        assert encoding(redis, "k2") == "raw"
    redis("SET", "k2", "12")
    assert encoding(redis, "k2") == "int"


def test_a_list_that_has_shrunk_is_compact_again(redis):
    """At half the limit; LSET counts too, whether the list is packed or a tree."""
    redis("CONFIG", "SET", "list-max-listpack-size", 3)
    redis("RPUSH", "k", *"abcd")
    for expected in ("quicklist", "quicklist", "listpack"):
        redis("RPOP", "k")
        assert encoding(redis) == expected
    redis("CONFIG", "SET", "list-max-listpack-size", -1)
    for length in (1, 2):
        redis("DEL", "k")
        redis("RPUSH", "k", *["x" * 4096] * length)
        assert encoding(redis) == "quicklist"
        for i in range(length):
            redis("LSET", "k", i, "a")
        assert encoding(redis) == "listpack"


def test_a_list_limit_of_no_elements_is_one_element(redis):
    redis("CONFIG", "SET", "list-max-listpack-size", 0)
    redis("RPUSH", "k", "a")
    assert encoding(redis) == "listpack"
    redis("RPUSH", "k", "b")
    assert encoding(redis) == "quicklist"
