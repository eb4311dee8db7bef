# SPDX-License-Identifier: BSD-3-Clause
"""SORT against redis-server: random options over random values."""
import random

import pytest

from resp_helpers import plain

KEYS = {"list": "RPUSH", "numbers": "RPUSH", "set": "SADD", "zset": "ZADD", "nothing": None, "hash": "HSET"}
OPTIONS = [["ASC"], ["DESC"], ["ALPHA"], ["BY", "w_*"], ["BY", "h_*->n"], ["BY", "h_*->t"], ["BY", "none_*"], ["BY", "nosort"],
           ["GET", "#"], ["GET", "w_*"], ["GET", "h_*->t"], ["GET", "h_*->none"], ["GET", "plain"], ["STORE", "out"], ["FOO"]]


def fill(rng, client):
    """The weights of different elements differ, but for those that have none: ties are nobody's order."""
    weights = rng.sample(range(1000), 40)
    for name, weight in zip([*range(30), "a", "b", "c", "d"], weights):
        client("SET", f"w_{name}", weight / 4)
        client("HSET", f"h_{name}", "n", weight, "t", f"text {weight:04}")
    client("RPUSH", "list", *rng.sample(range(30), 20))
    client("RPUSH", "numbers", *[rng.choice([f"{i}", f"{i}.5", f"-{i}", f"{i}e2"]) for i in range(25)])
    client("SADD", "set", *rng.sample(["a", "b", "c", "d", *range(30)], 12))
    client("ZADD", "zset", *[w for i in range(15) for w in (rng.random(), i)])
    client("HSET", "hash", "f", "v")


@pytest.mark.parametrize("seed", range(3))
def test_random_sorts_are_as_redis_does_them(both, seed):
    ours, theirs = both()
    for client in (ours, theirs):
        fill(random.Random(seed), client)
    rng = random.Random(100 + seed)
    for _ in range(600):
        key = rng.choice(list(KEYS))
        words = [word for option in rng.sample(OPTIONS, rng.randrange(5)) for word in option]
        if rng.random() < 0.5:
            words += ["LIMIT", rng.randrange(-2, 12), rng.randrange(-2, 12)]
        if key == "set" and "nosort" in words:
            continue  # in which order a set lies is nobody's business
        if "ALPHA" in words and ("none_*" in words or ("BY" in words and key == "numbers")):
            continue  # all ties
        command = [rng.choice(["SORT", "SORT", "sort_ro"]), key, *words]
        replies = []
        for client in (ours, theirs):
            client.raw(client.encode(*command))
            replies.append(plain(client.reply()))
        assert replies[0] == replies[1], command
        if "STORE" in words:
            assert ours("LRANGE", "out", 0, -1) == theirs("LRANGE", "out", 0, -1), command


def test_large_list_is_sorted(both):
    ours, theirs = both()
    values = list(range(20000))
    random.Random(1).shuffle(values)
    for client in (ours, theirs):
        for start in range(0, len(values), 5000):
            client("RPUSH", "k", *values[start:start + 5000])
    assert ours("SORT", "k", "DESC", "LIMIT", 5, 10) == theirs("SORT", "k", "DESC", "LIMIT", 5, 10)
    assert ours("SORT", "k") == theirs("SORT", "k")
    assert ours("SORT", "k", "STORE", "k") == 20000
    assert ours("LRANGE", "k", 0, -1) == [b"%d" % i for i in range(20000)]


def test_weights_that_were_dropped_are_absent(served):
    """BY and GET look at keys as GET does: an outdated one is absent."""
    redis = served.resp(db=1)
    redis("RPUSH", "l", 1, 2, 3)
    redis("FRESHET.SET", "w_1", 9, "TAGS", 1, "t")
    redis("MSET", "w_2", 5, "w_3", 6)
    assert redis("SORT", "l", "BY", "w_*") == [b"2", b"3", b"1"]
    redis("FRESHET.DROP", "t")
    assert redis("SORT", "l", "BY", "w_*", "GET", "w_*") == [None, b"5", b"6"]
