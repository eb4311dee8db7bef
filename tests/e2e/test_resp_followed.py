# SPDX-License-Identifier: BSD-3-Clause
"""Commands on keys that follow the database: an outdated entry is absent to every one of them, and none
makes an entry newer than what was read."""
import itertools

import pytest

from daemon import shop_policy, until

P = "erp_cache:1:"
KEY = P + "product_7"
CHANGE = "UPDATE product SET price_cents = price_cents + 1 WHERE id = {}"
FENCES = itertools.count()


@pytest.fixture
def redis(served):
    return served.resp(db=1)


def fill(redis, key=KEY, value="5", *options):
    """As a cache client: a miss, then a SET, until one is kept (contact with the database is young)."""
    def kept():
        redis("GET", key)
        redis("SET", key, value, *options)
        return redis("EXISTS", key)
    until(kept, f"{key} to be kept")


def outdate(redis, shop, product=7):
    """Changes the product and returns when freshet has applied it and every query sees it (before that a
    miss is rightly stamped below the change), without looking at its key. The fence is new each time: a key
    that was missed before a change is not kept within implicit_lease after it."""
    fence = f"{P}product_list_{next(FENCES)}"
    fill(redis, fence)
    shop.execute(CHANGE.format(product))
    until(lambda: redis("EXISTS", fence) == 0, "the change to be applied")
    until(lambda: all_visible(redis), "the change to be visible")


def all_visible(redis):
    figures = dict(line.split(" ", 1) for line in redis("FRESHET.STATS").decode().splitlines())
    return figures.get("follow.applied") == figures.get("follow.visible")


@pytest.mark.parametrize("command, expected", [
    (["GET", KEY], None), (["MGET", KEY, "x"], [None, None]), (["EXISTS", KEY], 0), (["TTL", KEY], -2),
    (["TYPE", KEY], "none"), (["STRLEN", KEY], 0), (["GETRANGE", KEY, 0, -1], b""), (["DEL", KEY], 0),
    (["EXPIRE", KEY, 5], 0), (["PERSIST", KEY], 0), (["GETDEL", KEY], None), (["GETEX", KEY], None),
    (["TOUCH", KEY], 0), (["SET", KEY, "x", "XX"], None), (["SET", KEY, "x", "GET"], None),
    (["SET", KEY, "x", "NX"], "OK"), (["SETNX", KEY, "x"], 1), (["GETSET", KEY, "x"], None),
    (["INCR", KEY], 1), (["APPEND", KEY, "x"], 1), (["SETRANGE", KEY, 2, "x"], 3), (["KEYS", "*"], []),
    (["COPY", KEY, "x"], 0), (["MOVE", KEY, 2], 0), (["OBJECT", "ENCODING", KEY], None),
    (["MEMORY", "USAGE", KEY], None), (["INCRBYFLOAT", KEY, "0.5"], b"0.5"), (["RANDOMKEY"], None),
    (["SCAN", 0, "COUNT", 1000], [b"0", []]), (["RENAMENX", "x", KEY], "no such key"),
], ids=lambda v: v[0] if isinstance(v, list) and v and isinstance(v[0], str) else None)
def test_outdated_entry_is_absent_to(redis, shop, command, expected):
    fill(redis, KEY, "5", "EX", 100)
    outdate(redis, shop)
    redis.raw(redis.encode(*command))
    reply = redis.reply()
    assert reply == expected or str(expected) in str(reply)


@pytest.mark.parametrize("edit", [
    ["INCR", KEY], ["INCRBYFLOAT", KEY, "1"], ["APPEND", KEY, "0"], ["SETRANGE", KEY, 0, "9"],
    ["EXPIRE", KEY, 100], ["GETEX", KEY, "EX", 100], ["PERSIST", KEY], ["RENAME", KEY, P + "product_7"],
])
def test_change_in_place_still_follows(redis, shop, edit):
    fill(redis, KEY, "5", "EX", 200)
    redis(*edit)
    assert redis("EXISTS", KEY) == 1
    outdate(redis, shop)
    assert redis("EXISTS", KEY) == 0


def test_write_that_answers_no_known_read_is_born_outdated(redis, shop):
    """A change came within implicit_lease: a SET might carry what was read before it."""
    fill(redis)
    outdate(redis, shop)
    for command in (["SET", KEY, "x"], ["SETEX", KEY, 100, "x"], ["MSET", KEY, "x"], ["SET", KEY, "x", "NX"],
                    ["SETNX", KEY, "x"], ["INCR", KEY], ["APPEND", KEY, "x"], ["GETSET", KEY, "x"]):
        redis(*command)
        assert redis("EXISTS", KEY) == 0, command


@pytest.mark.parametrize("move", ["RENAME", "COPY"])
def test_new_name_follows_what_the_new_name_depends_on(redis, shop, move):
    other = P + "product_8"
    fill(redis)
    redis(move, KEY, other)
    assert redis("GET", other) == b"5"
    outdate(redis, shop, 8)
    assert redis("GET", other) is None


@pytest.mark.parametrize("move", ["RENAME", "COPY"])
def test_new_name_does_not_make_the_value_newer(redis, shop, move):
    """The value of product_7 is from before the change of product 8: under product_8 it is too old."""
    fill(redis)
    outdate(redis, shop, 8)
    assert redis("GET", KEY) == b"5"
    redis(move, KEY, P + "product_8")
    assert redis("GET", P + "product_8") is None


def test_outdated_key_breaks_a_watch(redis, shop):
    fill(redis)
    redis("WATCH", KEY)
    outdate(redis, shop)
    assert redis.pipeline(["MULTI"], ["PING"], ["EXEC"])[2] is None


def test_misses_inside_a_transaction_count(redis, shop):
    """MULTI GET EXEC is a miss like any other: what was read after it may be kept."""
    fill(redis)
    outdate(redis, shop)
    assert redis.pipeline(["MULTI"], ["GET", P + "product_9"], ["EXEC"])[2] == [None]
    redis("SET", P + "product_9", "new")
    assert redis("GET", P + "product_9") == b"new"


# --- strict ---------------------------------------------------------------------------------------------


@pytest.fixture
def strict(shop, freshet):
    spaces = ('\n  queue: { db: 0, memory: 16MB, evict: never, consistency: ttl }\n'
              '  cache: { db: 1, memory: 64MB, prefix: "erp_cache:*:", consistency: strict }\n'
              '  http: { memory: 16MB }')
    return freshet(shop_policy(shop.role_dsn, spaces=spaces)).following()


READS = {"GET": None, "EXISTS": 0, "MGET": [None], "TTL": -2, "STRLEN": 0, "GETDEL": None}


@pytest.mark.parametrize("read", READS)
def test_strict_read_reflects_every_commit(strict, shop, read):
    """No waiting between the commit and the read: that is what strict is for."""
    redis = strict.resp(db=1)
    for product in range(1, 41):
        key = f"{P}product_{product}"
        fill(redis, key)
        shop.execute(CHANGE.format(product))
        assert redis(read, key) == READS[read]


def test_strict_pipelines_and_transactions(strict, shop):
    redis = strict.resp(db=1)
    for product in range(1, 21):
        one, two = f"{P}product_{product}", f"{P}product_{product + 20}"
        fill(redis, one)
        shop.execute(CHANGE.format(product))
        assert redis.pipeline(["PING"], ["GET", one], ["EXISTS", one], ["PING"]) == ["PONG", None, 0, "PONG"]
        fill(redis, two)
        shop.execute(CHANGE.format(product + 20))
        assert redis.pipeline(["MULTI"], ["GET", two], ["PING"], ["EXEC"])[3] == [None, "PONG"]


@pytest.mark.parametrize("how", [["EVAL", "return redis.call('GET', KEYS[1])", 1],
                                 ["EVAL_RO", "return redis.call('GET', KEYS[1])", 1],
                                 ["EVAL", "return redis.call('GET', ARGV[1])", 0], ["EVALSHA"]], ids=lambda how: how[0])
def test_strict_script_reads_what_every_commit_left(strict, shop, how):
    """Its keys are not known before it runs, so a script waits for the proof whatever it names."""
    redis = strict.resp(db=1)
    if how == ["EVALSHA"]:
        how = ["EVALSHA", redis("SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])"), 1]
    for product in range(1, 31):
        key = f"{P}product_{product}"
        fill(redis, key)
        assert redis(*how, key) == b"5"
        shop.execute(CHANGE.format(product))
        assert redis(*how, key) is None
        other = f"{P}product_{product + 40}"
        fill(redis, other)
        shop.execute(CHANGE.format(product + 40))
        assert redis.pipeline(["MULTI"], [*how, other], ["EXEC"])[2] == [None]


def test_strict_script_finds_nothing_without_contact(strict, postgres):
    redis = strict.resp(db=1)
    fill(redis)
    redis("SET", P + "counter", 5)
    postgres.halt()
    try:
        assert redis("EVAL", "return {redis.call('GET', KEYS[1]) or 'absent', redis.call('INCR', KEYS[2])}",
                     2, KEY, P + "counter") == [b"absent", 6]
    finally:
        postgres.resume()


def test_strict_long_pipeline_in_pieces_keeps_its_order(strict):
    redis = strict.resp(db=1)
    keys = [f"{P}plain_{i}" for i in range(300)]
    replies = redis.pipeline(*[c for k in keys for c in (["SET", k, k], ["GET", k])])
    assert replies[1::2] == [k.encode() for k in keys]


def test_strict_read_is_a_miss_without_contact(strict, postgres):
    """No answer of PostgreSQL, no proof: the application asks the database itself, as after any miss. Keys
    that follow nothing need no proof: a counter does not begin anew."""
    redis = strict.resp(db=1)
    fill(redis)
    redis("SET", P + "counter", 5)
    postgres.halt()
    try:
        assert redis.pipeline(["GET", KEY], ["EXPIRE", KEY, 9], ["PING"], ["INCR", P + "counter"],
                              ["TTL", P + "counter"]) == [None, 0, "PONG", 6, -1]
    finally:
        postgres.resume()


def test_connection_may_go_away_while_it_waits(strict, postgres):
    redis = strict.resp(db=1)
    fill(redis)
    postgres.halt()
    try:
        for _ in range(20):
            leaver = strict.resp(db=1)
            leaver.raw(leaver.encode("GET", KEY))
            leaver.close()
        assert strict.resp(db=0)("PING") == "PONG"
    finally:
        postgres.resume()


# --- affinity -------------------------------------------------------------------------------------------


def test_affinity_takes_the_connections_own_miss(shop, freshet):
    """Another connection's older miss does not hold this one's SET back, when each client keeps to one."""
    listen = ('\n  http: "127.0.0.1:0"\n  admin: "127.0.0.1:0"\n'
              '  resp: [ "127.0.0.1:0", { address: "127.0.0.1:0", affinity: connection } ]')
    daemon = freshet(shop_policy(shop.role_dsn, listen=listen)).following()
    pooled, own = daemon.resp(db=1, which=0), daemon.resp(db=1, which=1)
    fill(pooled)
    outdate(pooled, shop)
    assert own("GET", KEY) is None
    assert own("SET", KEY, "read after the change") == "OK"
    assert own("GET", KEY) == b"read after the change"
    outdate(pooled, shop)
    assert pooled("GET", KEY) is None
    pooled("SET", KEY, "who knows when this was read")
    assert pooled("GET", KEY) is None


# --- fill tokens ----------------------------------------------------------------------------------------


def test_fill_token_is_exact_however_slow_the_reader(redis, shop):
    """A token from after the change stores at once, where a plain SET may not within implicit_lease; a token
    from before it never does."""
    fill(redis)
    early = redis("FRESHET.GET", P + "product_8")[1]
    outdate(redis, shop)
    assert redis("FRESHET.GET", KEY)[0] is None
    late = redis("FRESHET.GET", KEY)[1]
    assert redis("FRESHET.SET", KEY, "read before", "TOKEN", early) == "OK"
    assert redis("GET", KEY) is None
    assert redis("FRESHET.SET", KEY, "read after", "TOKEN", late, "EX", 100) == "OK"
    assert redis("FRESHET.GET", KEY) == [b"read after", None]
    assert 0 < redis("TTL", KEY) <= 100
    assert redis("FRESHET.SET", KEY, "over", "TOKEN", late, "PXAT", 1) == "OK"
    assert redis("EXISTS", KEY) == 0
