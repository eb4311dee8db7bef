# SPDX-License-Identifier: BSD-3-Clause
"""DEBUG, as suites made for Redis use it. Its replies beside those of redis-server: resp_scripts/debug.txt."""
import random
import signal

import pytest

from resp_client import RespError
from resp_helpers import PLAIN


@pytest.fixture
def redis(freshet):
    return freshet(PLAIN).resp()


def test_reload_keeps_values_expiries_and_tags(redis):
    redis("SET", "tagged", "v")
    redis("FRESHET.TAG", "tagged", "t")
    redis("SET", "brief", "v", "PX", "100000")
    redis("RPUSH", "list", *range(5000))
    redis("SELECT", 3)
    redis("XADD", "stream", "7-1", "a", "b")
    redis("XDEL", "stream", "7-1")
    redis("SELECT", 0)
    before, expires = redis("DEBUG", "DIGEST"), redis("PEXPIRETIME", "brief")
    for how in (["RELOAD"], ["LOADAOF"], ["RELOAD", "NOSAVE", "NOFLUSH"]):
        assert redis("DEBUG", *how) == "OK"
        assert redis("DEBUG", "DIGEST") == before
    assert redis("PEXPIRETIME", "brief") == expires
    assert redis("LRANGE", "list", 0, -1) == [b"%d" % i for i in range(5000)]
    assert redis("FRESHET.DROP", "t") == 1
    assert redis("MGET", "tagged", "brief") == [None, b"v"]
    redis("SELECT", 3)
    info = redis("XINFO", "STREAM", "stream")
    assert info[info.index(b"last-generated-id") + 1] == b"7-1"


def test_a_digest_knows_every_part(redis):
    def digest(*commands):
        redis("FLUSHALL")
        for words in commands:
            redis(*words.split())
        return redis("DEBUG", "DIGEST")
    assert digest() == 40 * "0"
    assert digest("RPUSH k a b") != digest("RPUSH k b a")
    assert digest("SADD k a b") == digest("SADD k b a")
    assert digest("HSET k a b") != digest("HSET k b a")
    assert len({digest("SET k v"), digest("SET k v EX 100"), digest("SET K v"), digest("SELECT 1", "SET k v")}) == 4


def test_words_on_how_a_value_is_kept(redis):
    redis("SET", "k", 10000)
    redis("INCR", "k")
    assert redis("DEBUG", "OBJECT", "k").startswith("Value at:0x")
    assert " refcount:1 encoding:int serializedlength:" in redis("DEBUG", "OBJECT", "k")
    redis("SET", "text", 500 * "x")
    assert "val_sds_len:500, val_sds_avail:0," in redis("DEBUG", "SDSLEN", "text")
    redis("LPUSH", "list", "a")
    with pytest.raises(RespError, match="Not an sds encoded string"):
        redis("DEBUG", "SDSLEN", "list")


def test_every_subcommand_in_its_help_is_known(redis):
    usages = [line for line in redis("DEBUG", "HELP")[1:] if not line.startswith(" ")]
    assert "RELOAD [option ...]" in usages and len(usages) > 15
    for usage in usages:
        with pytest.raises(RespError, match="unknown subcommand or wrong number of arguments for .*Try DEBUG HELP"):
            if usage.split()[0] == "DIGEST-VALUE":
                redis("DEBUG", "DIGEST-VALUE")
            else:
                redis("DEBUG", usage.split()[0], 1, 2, 3, 4)


def test_expired_keys_stay_until_something_looks(redis):
    """SET-ACTIVE-EXPIRE 0: they count in DBSIZE until a lookup or SCAN finds them."""
    redis("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    for i in range(300):
        redis("PSETEX", f"brief:{i}", 1, "v")
        redis("SET", f"key:{i}", "v")
    redis("DEBUG", "CLOCK", "ADVANCE", 10)
    assert redis("DBSIZE") == 600
    assert redis("MGET", "brief:0", "brief:1") == [None, None]
    assert redis("DBSIZE") == 598
    cursor, found = b"0", []
    while True:
        cursor, keys = redis("SCAN", cursor, "COUNT", 10, "TYPE", "string")
        found += keys
        if cursor == b"0":
            break
    assert sorted(set(found)) == sorted(b"key:%d" % i for i in range(300))
    assert redis("DBSIZE") == 300


DURABLE = """
listen: { resp: "127.0.0.1:0" }
debug: true
durable: { dir: log }
spaces: { a: { db: 0, memory: 32MB, keep: durable } }
"""


def test_expired_keys_that_stay_are_no_change_for_who_watches(redis):
    redis("DEBUG", "SET-ACTIVE-EXPIRE", 0)

    def stale(db, key):
        redis("SELECT", db)
        redis("SET", key, "v", "PX", 10)

    def exec_after_swap(watching):
        redis("SELECT", watching)
        redis("WATCH", "x")
        redis("SWAPDB", 0, 1)
        return redis.pipeline(["MULTI"], ["PING"], ["EXEC"])[-1]
    for filled in ([0], [1], [0, 1]):
        for watching in (0, 1):
            redis("FLUSHALL")
            for db in filled:
                stale(db, "x")
            redis("DEBUG", "CLOCK", "ADVANCE", 20)
            assert exec_after_swap(watching) == ["PONG"], (filled, watching)
    redis("SELECT", 1)
    redis("SET", "x", "v")
    assert exec_after_swap(0) is None and exec_after_swap(1) is None
    redis("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_debug_object_sees_what_has_expired_and_stays(redis):
    redis("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    redis("SET", "x", "v", "PX", 10)
    redis("DEBUG", "CLOCK", "ADVANCE", 20)
    assert "encoding:embstr" in redis("DEBUG", "OBJECT", "x")
    assert redis("EVAL", "return redis.call('EXISTS', 'x')", 0) == 0
    with pytest.raises(RespError, match="no such key"):
        redis("DEBUG", "OBJECT", "x")
    redis("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_scripts_may_call_debug_when_told_so(redis):
    with pytest.raises(RespError, match="not allowed from script"):
        redis("EVAL", "return redis.call('DEBUG', 'PROTOCOL', 'map')", 0)
    redis("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 1)

    def protocol(kind, resp):
        return redis("EVAL", f"redis.setresp({resp}) return redis.call('DEBUG', 'PROTOCOL', '{kind}')", 0)
    assert protocol("bignum", 3) == b"1234567999999999999999999999999999999"
    assert protocol("attrib", 3) == b"Some real reply following the attribute"
    assert sorted(protocol("set", 3)) == [0, 1, 2]
    assert redis("EVAL", "return redis.call('TIME')[2] == (redis.call('DEBUG', 'SLEEP', '0.002') and "
                         "redis.call('TIME')[2])", 0) == 1
    with pytest.raises(RespError, match="not allowed from script"):
        redis("EVAL", "return redis.call('MULTI')", 0)
    redis("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 0)


def random_command(chance):
    """On few keys of every type, so that many are refused and many change something."""
    def text():
        return chance.choice([str(chance.randint(-9, 9)), str(chance.randint(-2**63, 2**63)), "x" * chance.randint(0, 200),
                              chance.randbytes(chance.randint(0, 30))])

    def score():
        return chance.choice(["inf", "-inf", repr(chance.random()), str(chance.randint(-5, 5))])
    key, other = (f"k{chance.randint(0, 25)}" for _ in range(2))
    return chance.choice([
        ["SET", key, text()], ["APPEND", key, text()], ["INCRBYFLOAT", key, "0.1"], ["SETRANGE", key, 7, text()],
        ["LPUSH", key, text(), text()], ["RPUSH", key, text()], ["LSET", key, 0, text()], ["LREM", key, 1, text()],
        ["LMOVE", key, other, "LEFT", "RIGHT"], ["RPOP", key], ["LTRIM", key, 1, 20], ["SORT", key, "ALPHA", "STORE", other],
        ["SADD", key, text(), text()], ["SPOP", key], ["SMOVE", key, other, text()], ["SDIFFSTORE", other, key, "k1"],
        ["ZADD", key, score(), text(), score(), text()], ["ZPOPMAX", key], ["ZINCRBY", key, 1, text()],
        ["ZUNIONSTORE", other, 2, key, "k2"], ["ZREMRANGEBYRANK", key, 0, 1], ["HSET", key, text(), text(), text(), text()],
        ["HINCRBY", key, 1, 1], ["HDEL", key, "1", "2"], ["XADD", key, "*", text(), text()], ["XTRIM", key, "MAXLEN", 20],
        ["EXPIRE", key, 1000], ["PERSIST", key], ["RENAME", key, other], ["COPY", key, other, "REPLACE"], ["DEL", key],
    ])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_digest_is_the_same_after_a_reload_and_after_a_restart(freshet, seed):
    """With every type, sizes on both sides of what is packed: through DUMP's format, and through the log."""
    daemon, chance = freshet(DURABLE), random.Random(seed)
    redis = daemon.resp()
    redis.pipeline(*(random_command(chance) for _ in range(5000)))
    redis("SADD", "many", *range(20000))
    redis("ZADD", "ranked", *(word for i in range(5000) for word in (i / 7, f"m{i}")))
    before = redis("DEBUG", "DIGEST")
    assert redis("DBSIZE") > 15
    redis("DEBUG", "RELOAD")
    assert redis("DEBUG", "DIGEST") == before
    redis("SAVE")
    assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    assert daemon.start().resp()("DEBUG", "DIGEST") == before
