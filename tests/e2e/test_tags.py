# SPDX-License-Identifier: BSD-3-Clause
"""Tags for applications: FRESHET.TAG, SET ... TAGS, DROP. A drop is one step, seen by every later read on any
worker, and nothing that was read before it is stored after it."""
import random
import threading

import pytest

from daemon import until
from resp_client import RespError
from resp_helpers import PLAIN
from test_resp_followed import all_visible, fill, outdate, KEY, P


@pytest.fixture
def plain(freshet):
    return freshet(PLAIN)


@pytest.fixture
def redis(plain):
    return plain.resp()


def test_drop_takes_every_key_with_the_tag_and_no_other(redis):
    redis("FRESHET.SET", "a", 1, "TAGS", 2, "x", "y")
    redis("FRESHET.SET", "b", 2, "TAGS", 1, "y", "EX", 100)
    redis("FRESHET.SET", "c", 3, "TAGS", 0)
    redis("SET", "d", 4)
    assert redis("FRESHET.DROP", "x") == 1
    assert redis("MGET", "a", "b", "c", "d") == [None, b"2", b"3", b"4"]
    assert redis("FRESHET.DROP", "y", "z", "never used") == 3
    assert redis("MGET", "a", "b", "c", "d") == [None, None, b"3", b"4"]
    assert redis("EXISTS", "a", "b") == 0
    assert redis("FRESHET.SET", "a", 5, "TAGS", 1, "x") == "OK"
    assert redis("GET", "a") == b"5"


def test_tags_are_the_same_in_every_database(plain):
    one, other = plain.resp(db=1), plain.resp(db=5)
    one("FRESHET.SET", "k", 1, "TAGS", 1, "t")
    other("FRESHET.DROP", "t")
    assert one("GET", "k") is None


@pytest.mark.parametrize("protocol", [2, 3])
def test_set_takes_the_options_of_set(plain, protocol):
    redis = plain.resp(protocol=protocol)
    assert redis("FRESHET.SET", "k", 1, "XX", "TAGS", 1, "t") is None
    assert redis("FRESHET.SET", "k", 1, "NX", "EX", 100, "TAGS", 1, "t") == "OK"
    assert redis("FRESHET.SET", "k", 2, "TAGS", 1, "t", "NX") is None
    assert redis("FRESHET.SET", "k", 3, "KEEPTTL", "GET", "TAGS", 1, "t") == b"1"
    assert 0 < redis("TTL", "k") <= 100
    assert redis("FRESHET.SET", "k", 4, "PXAT", 1, "TAGS", 1, "t") == "OK"
    assert redis("EXISTS", "k") == 0


@pytest.mark.parametrize("words, error", [
    (["k", "v", "TAGS"], "ERR syntax error"), (["k", "v", "TAGS", "x"], "ERR TAGS wants the number of tags"),
    (["k", "v", "TAGS", 2, "x"], "ERR TAGS wants"), (["k", "v", "TAGS", -1], "ERR TAGS wants"),
    (["k", "v", "TOKEN", "x"], "ERR TOKEN is not a token"), (["k", "v", "TOKEN"], "ERR syntax error"),
    (["k", "v", "EX", 0], "ERR invalid expire time in 'freshet.set' command"), (["k", "v", "NX", "XX"], "ERR syntax"),
    (["k", "v", "EX", 1, "KEEPTTL"], "ERR syntax error"), (["k", "v", "TAGS", 65, *range(65)], "ERR too many tags"),
], ids=str)
def test_set_refuses(redis, words, error):
    with pytest.raises(RespError, match=error):
        redis("FRESHET.SET", *words)
    assert redis("EXISTS", "k") == 0


def test_tag_serves_a_key_that_is_there(redis):
    assert redis("FRESHET.TAG", "k", "t") == 0
    redis("SET", "k", "v", "EX", 100)
    assert redis("FRESHET.TAG", "k", "t", "u") == 1
    assert (redis("GET", "k"), redis("APPEND", "k", "w"), redis("GET", "k")) == (b"v", 2, b"vw")
    assert 0 < redis("TTL", "k") <= 100
    assert redis("FRESHET.TAG", "k", "w") == 1
    redis("FRESHET.DROP", "t")
    assert redis("GET", "k") is None
    with pytest.raises(RespError, match="too many tags"):
        redis("SET", "k", "v")
        redis("FRESHET.TAG", "k", *range(65))
    assert redis("GET", "k") == b"v"


def test_value_is_not_newer_than_when_it_was_stamped(redis):
    """A tag that was dropped since a key got its stamp outdates it when it is given to it."""
    redis("FRESHET.SET", "k", "v", "TAGS", 1, "a")
    redis("FRESHET.DROP", "b")
    assert redis("FRESHET.TAG", "k", "b") == 0
    assert redis("GET", "k") is None


@pytest.mark.parametrize("move", [["RENAME", "k", "n"], ["COPY", "k", "n"], ["MOVE", "k", 3]], ids=lambda m: m[0])
def test_tags_move_with_their_value(plain, redis, move):
    redis("FRESHET.SET", "k", 1, "TAGS", 2, "t", "u")
    redis(*move)
    where, name = (plain.resp(db=3), "k") if move[0] == "MOVE" else (redis, "n")
    assert where("GET", name) == b"1"
    redis("FRESHET.DROP", "u")
    assert where("GET", name) is None


def test_plain_set_makes_a_key_without_tags(redis):
    redis("FRESHET.SET", "k", 1, "TAGS", 1, "t")
    redis("SET", "k", 2)
    redis("FRESHET.DROP", "t")
    assert redis("GET", "k") == b"2"


def test_change_in_place_keeps_the_tags(redis):
    redis("FRESHET.SET", "k", 1, "TAGS", 1, "t")
    assert redis("INCR", "k") == 2
    redis("FRESHET.DROP", "t")
    assert redis("INCR", "k") == 1


@pytest.mark.parametrize("create, read, empty", [
    (["HSET", "k", "f", "v"], ["HGETALL", "k"], [[], {}]), (["RPUSH", "k", "a"], ["LRANGE", "k", 0, -1], [[]]),
    (["SADD", "k", "a"], ["SMEMBERS", "k"], [[], set()]), (["ZADD", "k", 1, "a"], ["ZRANGE", "k", 0, -1], [[]]),
    (["XADD", "k", "*", "a", "b"], ["XRANGE", "k", "-", "+"], [[]]),
], ids=lambda v: v[0] if isinstance(v[0], str) else None)
def test_keys_of_every_type_have_tags(redis, create, read, empty):
    redis(*create)
    assert redis("FRESHET.TAG", "k", "t") == 1
    assert redis(*read) not in empty
    redis("FRESHET.DROP", "t")
    assert redis("EXISTS", "k") == 0
    assert redis(*read) in empty


def test_large_collection_keeps_its_elements_when_tagged(redis):
    members = [f"member:{i}" for i in range(5000)]
    redis("SADD", "k", *members)
    assert redis("FRESHET.TAG", "k", "t", "u", "v") == 1
    assert redis("SCARD", "k") == 5000 and redis("SISMEMBER", "k", "member:4999") == 1
    redis("SADD", "k", "one more")
    redis("FRESHET.DROP", "u")
    assert redis("SCARD", "k") == 0


def test_durable_keys_have_no_tags(freshet):
    """After a restart nobody could tell what was dropped meanwhile."""
    policy = """listen: { resp: "127.0.0.1:0" }
durable: { dir: log }
spaces:
  queue: { db: 0, memory: 16MB, keep: durable }
  cache: { db: 1, memory: 16MB }
"""
    daemon = freshet(policy)
    queue, cache = daemon.resp(db=0), daemon.resp(db=1)
    queue("SET", "k", "v")
    for words in (["FRESHET.TAG", "k", "t"], ["FRESHET.SET", "k", "w", "TAGS", 1, "t"]):
        with pytest.raises(RespError, match="space `queue` are durable and cannot have tags"):
            queue(*words)
    assert queue("GET", "k") == b"v"
    assert queue("FRESHET.SET", "k", "w", "TAGS", 0) == "OK"
    token = queue("FRESHET.GET", "fill", "WAIT", 0)[1]
    other = daemon.resp(db=0)
    other.raw(other.encode("FRESHET.GET", "fill", "WAIT", 60000))
    until(lambda: figures(cache)["herd_waits"] == "1", "the other to wait")
    queue("FRESHET.SET", "fill", "v", "TOKEN", token)
    assert other.reply() == [b"v", None, b"fresh"]
    cache("FRESHET.SET", "k", "v", "TAGS", 1, "t")
    queue("FRESHET.DROP", "t")  # tags are everywhere, their keys are not
    assert cache("GET", "k") is None


# --- one step -------------------------------------------------------------------------------------------


def figures(redis):
    lines = redis("FRESHET.STATS").decode().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_dropping_a_million_keys_is_one_step(freshet):
    """Work is counted, not timed: right after the drop nothing has been looked at or removed, and every key is
    absent all the same."""
    redis = freshet(PLAIN.replace("64MB", "256MB")).resp()
    total, batch = 1_000_000, 20_000
    for start in range(0, total, batch):
        redis.raw(b"".join(redis.encode("FRESHET.SET", f"k:{i}", i, "TAGS", 1, "all")
                           for i in range(start, start + batch)))
        assert [redis.reply() for _ in range(batch)] == ["OK"] * batch
    assert redis("DBSIZE") == total
    before = figures(redis)
    assert redis("FRESHET.DROP", "all") == 1
    after = figures(redis)
    assert int(after["tags_dropped"]) == int(before["tags_dropped"]) + 1
    removed = [name for name in before if "outdated" in name or "evicted" in name or name.endswith(".keys")]
    assert removed and all(after[name] == before[name] for name in removed)
    assert redis("DBSIZE") == total
    sample = [f"k:{i}" for i in random.Random(1).sample(range(total), 1000)]
    assert redis("MGET", *sample) == [None] * 1000
    assert redis("DBSIZE") == total - 1000


# --- races ----------------------------------------------------------------------------------------------


def test_token_from_before_a_drop_stores_nothing(redis, plain):
    other = plain.resp()
    early = redis("FRESHET.GET", "k")[1]
    other("FRESHET.DROP", "t")
    late = redis("FRESHET.GET", "k")[1]
    assert redis("FRESHET.SET", "k", "old", "TOKEN", early, "TAGS", 1, "t") == "OK"
    assert redis("GET", "k") is None
    assert redis("FRESHET.SET", "k", "new", "TOKEN", late, "TAGS", 1, "t") == "OK"
    assert redis("GET", "k") == b"new"
    assert redis("FRESHET.SET", "k", "other tags", "TOKEN", early, "TAGS", 1, "u") == "OK"
    assert redis("GET", "k") == b"other tags"
    assert redis("HSET", "h", "f", "old") == 1
    assert redis("FRESHET.TAG", "h", "TOKEN", early, "t") == 0
    assert redis("EXISTS", "h") == 0


def test_own_miss_from_before_a_drop_stores_nothing(redis, plain):
    """Without a token a connection's last miss is what its write answers; without a miss it is as of now."""
    other = plain.resp()
    redis("FRESHET.SET", "first", 1, "TAGS", 1, "t")  # from here on misses are noted
    assert redis("GET", "k") is None
    other("FRESHET.DROP", "t")
    redis("FRESHET.SET", "k", "old", "TAGS", 1, "t")
    assert redis("GET", "k") is None
    redis("FRESHET.SET", "k", "new", "TAGS", 1, "t")
    assert redis("GET", "k") == b"new"
    other("FRESHET.DROP", "t")
    redis("FRESHET.SET", "k", "written through", "TAGS", 1, "t")
    assert redis("GET", "k") == b"written through"


def test_tokens_that_nobody_was_given_are_refused(redis):
    token = redis("FRESHET.GET", "k")[1].decode()
    epoch, lsn, n = token.split(".")
    with pytest.raises(RespError, match="not a token"):
        redis("FRESHET.SET", "k", "v", "TOKEN", f"{epoch}.{int(lsn, 16) + 1:X}.{n}", "TAGS", 1, "t")
    redis("FRESHET.SET", "k", "v", "TOKEN", f"{int(epoch) - 1}.{lsn}.{n}", "TAGS", 1, "t")
    assert redis("GET", "k") is None


def test_transaction_sees_its_own_drop(redis):
    redis("FRESHET.SET", "k", 1, "TAGS", 1, "t")
    replies = redis.pipeline(["MULTI"], ["GET", "k"], ["FRESHET.DROP", "t"], ["GET", "k"],
                             ["FRESHET.SET", "k", 2, "TAGS", 1, "t"], ["GET", "k"], ["EXEC"])
    assert replies[-1] == [b"1", 1, None, "OK", b"2"]


def test_drop_breaks_a_watch(redis, plain):
    redis("FRESHET.SET", "k", 1, "TAGS", 1, "t")
    redis("WATCH", "k")
    plain.resp()("FRESHET.DROP", "t")
    redis("MULTI")
    redis("SET", "k", 2)
    assert redis("EXEC") is None


class Source:
    """What the cache stands in front of: one number for each tag, changed before its tag is dropped."""

    def __init__(self, tags):
        self.value = [0] * tags
        self.dropped = [0] * tags  # what the source held when the last drop was answered


def read_through(redis, source, tag, key, wait):
    """As an application with tokens: the number it would show."""
    value, token = redis("FRESHET.GET", key, *wait)[:2]
    if value is not None:
        return int(value)
    value = source.value[tag]
    if token is not None:
        redis("FRESHET.SET", key, value, "TOKEN", token, "TAGS", 1, f"tag:{tag}")
    return value


@pytest.mark.parametrize("wait", [[], ["WAIT", 200]], ids=["everybody fills", "one fills"])
def test_nothing_older_than_an_answered_drop_is_ever_served(freshet, wait):
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 4"))
    tags, rounds = 4, 400
    source, wrong, done = Source(tags), [], threading.Event()

    def writer(tag):
        redis = daemon.resp()
        for number in range(1, rounds):
            source.value[tag] = number
            redis("FRESHET.DROP", f"tag:{tag}")
            source.dropped[tag] = number

    def reader(seed):
        redis, rng, reads = daemon.resp(), random.Random(seed), 0
        while not done.is_set() or reads < 200:
            tag = rng.randrange(tags)
            least = source.dropped[tag]
            seen = read_through(redis, source, tag, f"k:{tag}:{rng.randrange(3)}", wait)
            reads += 1
            if seen < least:
                wrong.append((tag, seen, least))

    readers = [threading.Thread(target=reader, args=(i,)) for i in range(6)]
    writers = [threading.Thread(target=writer, args=(i,)) for i in range(tags)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    redis = daemon.resp()
    assert [read_through(redis, source, t, f"k:{t}:0", []) for t in range(tags)] == [rounds - 1] * tags


# --- beside the database --------------------------------------------------------------------------------


def test_followed_key_with_tags_obeys_both(served, shop):
    redis = served.resp(db=1)
    fill(redis)  # contact is there
    redis("DEL", KEY)

    def tagged():
        token = redis("FRESHET.GET", KEY)[1]
        return token and redis("FRESHET.SET", KEY, "v", "TOKEN", token, "TAGS", 1, "t") and redis("EXISTS", KEY)
    until(tagged, "the key to be kept")
    redis("FRESHET.DROP", "t")
    assert redis("EXISTS", KEY) == 0
    until(tagged, "the key to be kept again")
    outdate(redis, shop)
    assert redis("EXISTS", KEY) == 0
    assert all_visible(redis)


def test_tagged_key_that_follows_nothing_needs_no_contact(served, postgres):
    redis = served.resp(db=1)
    key = P + "mine"
    assert redis("FRESHET.SET", key, "v", "TAGS", 1, "t") == "OK"
    fill(redis)
    with postgres.halted():
        until(lambda: redis("EXISTS", KEY) == 0, "the followed key to be unproven")
        assert redis("GET", key) == b"v"
        redis("FRESHET.DROP", "t")
        assert redis("GET", key) is None
        token = redis("FRESHET.GET", key)[1]
        redis("FRESHET.SET", key, "w", "TOKEN", token, "TAGS", 1, "t")
        assert redis("GET", key) == b"w"
    fill(redis)
    assert redis("GET", key) == b"w"


def test_more_drops_than_the_log_has_positions(served):
    """4,095 local events fit between two positions of a log that stands still; the follower moves it on."""
    redis = served.resp(db=1)
    for i in range(6000):
        redis("FRESHET.SET", "k", i, "TAGS", 1, "t")
        redis("FRESHET.DROP", "t")
        if redis("GET", "k") is not None:
            pytest.fail(f"served after drop {i}")

    def kept():
        redis("FRESHET.SET", "k", "v", "TAGS", 1, "t")
        return redis("GET", "k") == b"v"
    until(kept, "the log to move")


# --- explain --------------------------------------------------------------------------------------------


def test_explain_names_tags_and_their_last_drop(redis):
    redis("FRESHET.SET", "k", "v", "TAGS", 2, "sale", "price list")
    redis("FRESHET.DROP", "price list")
    redis("FRESHET.SET", "k", "v", "TAGS", 2, "sale", "price list")
    text = redis("FRESHET.EXPLAIN", "k").decode()
    assert "depends on: tag sale, never dropped\n" in text
    assert "depends on: tag price list, last dropped 0." in text
    assert "verdict: hit" in text
    token = redis("FRESHET.GET", "other")[1]
    redis("FRESHET.DROP", "sale")
    redis("FRESHET.SET", "k", "w", "TOKEN", token, "TAGS", 1, "sale")
    text = redis("FRESHET.EXPLAIN", "k").decode()
    assert "last refused:" in text and "tag sale, last dropped 0." in text and "(after the stamp)" in text
