# SPDX-License-Identifier: BSD-3-Clause
"""Hashes, sets and sorted sets in a space that is full and evicts nothing: the write is refused with -OOM, what
was there stays, and taking away makes room again."""
import pytest

from resp_client import RespError

FULL = """
listen: { resp: "127.0.0.1:0" }
workers: 1
debug: true
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


def brim(redis):
    """Takes what is left, in pieces small enough that nothing more fits at all."""
    for size in (20000, 2000, 100, 1):
        i = 0
        while not isinstance(redis.pipeline(["SET", f"brim:{size}:{i}", "v" * size])[0], RespError):
            i += 1
            assert i < 100000


# What is stored in place of a key, and does not fit.
STORES = {
    "SUNIONSTORE": ["SUNIONSTORE", "target", "source", "empty"], "SINTERSTORE": ["SINTERSTORE", "target", "source", "source"],
    "SDIFFSTORE": ["SDIFFSTORE", "target", "source", "empty"], "ZUNIONSTORE": ["ZUNIONSTORE", "target", "1", "source"],
    "ZINTERSTORE": ["ZINTERSTORE", "target", "1", "source"], "ZDIFFSTORE": ["ZDIFFSTORE", "target", "1", "source"],
    "ZRANGESTORE": ["ZRANGESTORE", "target", "scored", "0", "-1"],
    "SORT": ["SORT", "source", "ALPHA", "STORE", "target"], "COPY": ["COPY", "source", "target", "REPLACE"],
}


@pytest.mark.parametrize("target", ["string", "list", "tree"])
@pytest.mark.parametrize("name", [*STORES, "RESTORE"])
def test_store_that_does_not_fit_leaves_its_target(redis, name, target):
    """Redis asks for memory before the command begins, so it never stops half way: neither does this."""
    members = [f"{i}:" + "m" * 200 for i in range(4000)]
    for i in range(0, 4000, 500):
        redis("SADD", "source", *members[i:i + 500])
        if name == "ZRANGESTORE":
            redis("ZADD", "scored", *[word for m in members[i:i + 500] for word in ("1", m)])
    payload = redis("DUMP", "source")
    if target == "string":
        redis("SET", "target", "as it was", "EX", 1000)
    else:
        redis("RPUSH", "target", *range(3 if target == "list" else 3000))
    before = redis("DUMP", "target")
    command = STORES.get(name, ["RESTORE", "target", "0", payload, "REPLACE"])
    reply = redis.pipeline(command)[0]
    while not isinstance(reply, RespError):  # there was room: less of it, again
        redis("DEL", "target")
        redis("RESTORE", "target", "0", before)
        redis("RPUSH", "ballast", *["b" * 20000] * 10)
        reply = redis.pipeline(command)[0]
    assert str(reply).startswith("OOM command not allowed")
    assert redis("DUMP", "target") == before and redis("SCARD", "source") == 4000
    assert redis("DEBUG", "VALIDATE") == "OK"


# --- scripts ------------------------------------------------------------------------------------------

WRITE, READ = "return redis.call('SET', KEYS[1], 'v')", "return redis.call('GET', KEYS[1])"
REFUSED = "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"


def eval_of(redis, source):
    return redis.pipeline(["EVAL", source, "1", "key"])[0]


def test_scripts_of_a_full_space(redis):
    """As Redis: one that says what it does is refused at its start unless it may run; an old one at its first
    write."""
    redis("SET", "key", "old")
    brim(redis)
    full = ["SET", "another", "v" * 1000]
    for start, run in {"": None, "#!lua\n": REFUSED, "#!lua flags=allow-cross-slot-keys\n": REFUSED,
                       "#!lua flags=no-writes\n": b"old", "#!lua flags=allow-oom\n": b"old"}.items():
        assert str(redis.pipeline(full)[0]).startswith("OOM ")
        reply = eval_of(redis, start + READ)
        assert (str(reply) if run is REFUSED else reply) == (run or b"old"), start
    assert str(redis.pipeline(full)[0]).startswith("OOM ")
    assert str(eval_of(redis, WRITE)).startswith("OOM command not allowed when used memory > 'maxmemory'")
    assert eval_of(redis, READ) == b"old"
    assert eval_of(redis, "#!lua flags=allow-oom\n" + WRITE) == "OK"  # it is there already, and no longer
    assert eval_of(redis, READ) == b"v"
    redis("DEL", "brim:20000:0")
    assert eval_of(redis, "#!lua\n" + WRITE) == "OK"


def test_script_that_runs_out_of_room_half_way_goes_on(redis):
    """What was written stays, the write that does not fit is an error, and what takes away works."""
    brim(redis)
    reply = eval_of(redis, """#!lua flags=allow-oom
        redis.call('DEL', 'brim:20000:0')
        redis.call('SET', 'kept', '1')
        local refused = redis.pcall('SET', 'large', ('x'):rep(3000000))
        return {refused.err, redis.call('EXISTS', 'kept', 'large'), redis.call('DEL', 'brim:20000:1')}""")
    assert isinstance(reply, list) and reply[0].startswith(b"OOM ") and reply[1:] == [1, 1], reply
    assert redis("GET", "kept") == b"1" and redis("DEBUG", "VALIDATE") == "OK"
