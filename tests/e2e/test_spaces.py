# SPDX-License-Identifier: BSD-3-Clause
"""Spaces: each has its own budget, and none can hurt another."""
import random

import pytest

from daemon import until
from resp_client import RespError

POLICY = """listen: { resp: "127.0.0.1:0", admin: "127.0.0.1:0" }
memory: 64MB
spaces:
  queue: { db: 0, memory: 8MB, evict: never }
  cache: { db: 1, memory: 16MB }
"""
ONLY = """listen: { resp: "127.0.0.1:0" }
memory: 16MB
"""
OOM = "OOM command not allowed when used memory > 'maxmemory'. Space 'queue' is at its budget."


def spaces(redis):
    text = redis("INFO", "spaces").decode()
    found = {}
    for line in text.splitlines():
        if line.startswith("space_"):
            name, fields = line[len("space_"):].split(":", 1)
            found[name] = {k: int(v) for k, v in (f.split("=") for f in fields.split(","))}
    return found


def fill_queue(redis, start=0):
    """Jobs until the space refuses; returns how many there are, and the refusal."""
    n = start
    while n < 100_000:
        try:
            redis("RPUSH" if n % 2 else "SET", f"job:{n}", b"j" * 500)
        except RespError as e:
            return n, str(e)
        n += 1
    raise AssertionError("the queue never filled")


def flood_cache(redis, count, seed):
    draw = random.Random(seed)
    for first in range(0, count, 50):
        redis.pipeline(*[["SET", f"page:{n}", b"c" * draw.choice([40, 900, 3000, 20000])]
                         for n in range(first, first + 50)])


def test_a_full_cache_evicts_itself_and_not_one_job(freshet):
    daemon = freshet(POLICY)
    queue, cache = daemon.resp(db=0), daemon.resp(db=1)
    for n in range(2000):
        queue("RPUSH", f"list:{n % 20}", f"job {n}")
        queue("SET", f"job:{n}", b"j" * 100)
    before = spaces(queue)["queue"]
    flood_cache(cache, 10_000, seed=7)
    now = spaces(queue)
    assert now["cache"]["evicted"] > 1000 and now["cache"]["used"] <= now["cache"]["budget"]
    assert now["queue"] == before
    assert queue("DBSIZE") == 2020
    for n in range(20):
        assert queue("LRANGE", f"list:{n}", 0, -1) == [b"job %d" % i for i in range(n, 2000, 20)]
    assert all(queue("GET", f"job:{n}") == b"j" * 100 for n in range(0, 2000, 97))


def test_a_full_queue_refuses_and_takes_nothing_from_the_cache(freshet):
    daemon = freshet(POLICY)
    queue, cache = daemon.resp(db=0), daemon.resp(db=1)
    for n in range(1000):
        cache("SET", f"page:{n}", b"c" * 1000)
    before = spaces(queue)["cache"]
    jobs, refusal = fill_queue(queue)
    assert refusal == OOM
    now = spaces(queue)
    assert now["cache"] == before
    assert now["queue"]["evicted"] == 0 and now["queue"]["keys"] == jobs
    assert now["queue"]["used"] <= now["queue"]["budget"] and now["queue"]["refused"] >= 1
    # Refused before it runs: no half of it is stored, whatever it is part of.
    for command in (["MSET", "a", "1", "b", "2"], ["SADD", "s", "x"], ["APPEND", "job:0", "x"],
                    ["SET", "job:0", "smaller"]):
        with pytest.raises(RespError) as caught:
            queue(*command)
        assert str(caught.value) == OOM
    queue("MULTI")
    with pytest.raises(RespError) as caught:
        queue("SET", "a", "1")
    assert str(caught.value) == OOM
    with pytest.raises(RespError) as caught:
        queue("EXEC")
    assert str(caught.value).startswith("EXECABORT")
    assert queue("EXISTS", "a", "b", "s") == 0
    # Reading and removing go on, and the other space takes writes.
    assert queue("GET", "job:0") == b"j" * 500
    assert cache("SET", "page:x", b"c" * 1000) == "OK"
    for n in range(0, 50):
        assert queue("DEL", f"job:{n}") == 1
    assert queue("MSET", "a", "1", "b", "2") == "OK"


def test_a_space_near_its_budget_is_told_of_once(freshet):
    daemon = freshet(POLICY)
    queue = daemon.resp(db=0)

    def warnings():
        return [line for line in daemon.log_text().splitlines()
                if "a space is at 80 %" in line and "space=queue" in line]

    def metric(name):
        return daemon.metrics()[f'freshet_space_{name}{{space="queue"}}']

    queue("PING")
    assert warnings() == [] and spaces(queue)["queue"]["near_full"] == 0
    assert metric("near_full") == 0 and metric("crossings_total") == 0
    jobs, _ = fill_queue(queue)
    until(lambda: len(warnings()) == 1, "the warning")
    assert spaces(queue)["queue"]["near_full"] == 1 and spaces(queue)["queue"]["crossings"] == 1
    assert metric("near_full") == 1 and metric("crossings_total") == 1
    for n in range(0, jobs):  # far below, and up again
        queue("DEL", f"job:{n}")
    until(lambda: spaces(queue)["queue"]["near_full"] == 0, "the space to be found emptied")
    fill_queue(queue)
    until(lambda: len(warnings()) == 2, "the second warning")
    assert spaces(queue)["queue"]["crossings"] == 2


def test_the_only_space_is_not_named_and_a_transaction_hears_of_it_at_once(freshet):
    """As redis-server at maxmemory 1, to the byte."""
    daemon = freshet(ONLY)
    client, other = daemon.resp(), daemon.resp()
    client("CONFIG", "SET", "maxmemory-policy", "noeviction")
    client("SET", "kept", "v")
    assert client("MULTI") == "OK" and client("SET", "a", "1") == "QUEUED"
    other("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(RespError, match="^OOM command not allowed when used memory > 'maxmemory'[.]$"):
        client("LPUSH", "l", "v")
    other("CONFIG", "SET", "maxmemory", "0")
    with pytest.raises(RespError, match="^EXECABORT"):
        client("EXEC")
    assert client("EXISTS", "a", "l") == 0 and client("GET", "kept") == b"v"
    other("FLUSHALL")
    other("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(RespError, match="^OOM command not allowed"):
        client("EVAL", "return redis.call('set', 'a', '1')", 0)
    with pytest.raises(RespError, match="^OOM allow-oom flag is not set"):
        client("EVAL", "#!lua\nreturn 1", 0)
    assert client("EVAL", "#!lua flags=no-writes\nreturn 1", 0) == 1
