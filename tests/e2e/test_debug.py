# SPDX-License-Identifier: BSD-3-Clause
"""DEBUG, as suites made for Redis use it. Its replies beside those of redis-server: resp_scripts/debug.txt."""
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
    before = redis("DEBUG", "DIGEST")
    for how in (["RELOAD"], ["LOADAOF"], ["RELOAD", "NOSAVE", "NOFLUSH"]):
        assert redis("DEBUG", *how) == "OK"
        assert redis("DEBUG", "DIGEST") == before
    assert 99000 < redis("PTTL", "brief") <= 100000
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
