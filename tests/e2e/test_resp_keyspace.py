# SPDX-License-Identifier: BSD-3-Clause
"""Walking over keys, and transactions from several connections at once."""
import random
import threading

import pytest

from resp_helpers import PLAIN


@pytest.fixture
def plain(freshet):
    return freshet(PLAIN)


def scan(redis, *options):
    cursor, found = b"0", []
    while True:
        cursor, keys = redis("SCAN", cursor, *options)
        found += keys
        if cursor == b"0":
            return found


def fill(redis, count, name="key:{}"):
    for start in range(0, count, 1000):
        redis.pipeline(*[["SET", name.format(i), i] for i in range(start, min(start + 1000, count))])
    return {name.format(i).encode() for i in range(count)}


def test_scan_finds_every_key(plain):
    redis = plain.resp()
    keys = fill(redis, 5000)
    assert set(scan(redis)) == keys
    assert set(scan(redis, "COUNT", 1000)) == keys
    assert set(scan(redis, "MATCH", "key:12*")) == {k for k in keys if k.startswith(b"key:12")}
    assert scan(redis, "TYPE", "hash") == []
    assert sorted(redis("KEYS", "key:4[0-2]?9")) == sorted(
        k for k in keys if len(k) == 8 and k[4:5] == b"4" and k[5:6] in b"012" and k[7:] == b"9")
    assert sorted(redis("KEYS", "*")) == sorted(keys)


def test_deleting_while_scanning_skips_no_survivor(plain):
    """django-redis' delete_pattern: DEL of what SCAN returned, while other keys come and go."""
    redis, other = plain.resp(), plain.resp()
    keys = fill(redis, 3000)
    stay = {k for k in keys if k.endswith(b"7")}
    cursor, seen, rng = b"0", set(), random.Random(5)
    while True:
        cursor, found = redis("SCAN", cursor, "COUNT", 50)
        seen |= set(found)
        gone = [k for k in found if k not in stay]
        if gone:
            redis("DEL", *gone)
        other.pipeline(*[["SET", f"new:{rng.random()}", 1] for _ in range(40)])
        if cursor == b"0":
            break
    assert stay <= seen
    assert redis("EXISTS", *stay) == len(stay)


def test_databases_are_apart(plain):
    a, b = plain.resp(db=0), plain.resp(db=9)
    a("SET", "k", "a")
    b("SET", "k", "b")
    assert (a("GET", "k"), b("GET", "k")) == (b"a", b"b")
    assert scan(a) == [b"k"] and a("DBSIZE") == 1
    a("FLUSHDB")
    assert (a("GET", "k"), b("GET", "k")) == (None, b"b")


def test_random_key_is_a_live_one(plain):
    redis = plain.resp()
    redis("SET", "gone", 1, "PX", 1000)
    redis("SET", "here", 1)
    redis("DEBUG", "CLOCK", "ADVANCE", 1001)
    assert {redis("RANDOMKEY") for _ in range(50)} == {b"here"}


def test_transaction_is_one_moment_for_everybody(plain):
    """Two accounts, transfers from several connections of both workers: a reader always sees the sum."""
    setup = plain.resp()
    setup("MSET", "a", 1000, "b", 1000)
    stop, wrong = threading.Event(), []

    def transfer(redis, seed):
        rng = random.Random(seed)
        while not stop.is_set():
            amount = rng.randint(1, 9)
            redis.pipeline(["MULTI"], ["DECRBY", "a", amount], ["INCRBY", "b", amount], ["EXEC"])

    def read(redis):
        for _ in range(2000):
            values = redis("MGET", "a", "b")
            if sum(map(int, values)) != 2000:
                wrong.append(values)
        stop.set()
    threads = [threading.Thread(target=transfer, args=(plain.resp(), i)) for i in range(3)]
    threads.append(threading.Thread(target=read, args=(plain.resp(),)))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_watch_makes_counting_safe(plain):
    """Read-modify-write under WATCH from four connections loses no update."""
    plain.resp()("SET", "n", 0)
    per_thread = 100

    def count(redis):
        done = 0
        while done < per_thread:
            redis("WATCH", "n")
            value = int(redis("GET", "n"))
            done += redis.pipeline(["MULTI"], ["SET", "n", value + 1], ["EXEC"])[2] is not None
    threads = [threading.Thread(target=count, args=(plain.resp(),)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert plain.resp()("GET", "n") == str(4 * per_thread).encode()


def test_increments_from_many_connections_add_up(plain):
    def count(redis):
        for _ in range(50):
            redis.pipeline(*[["INCR", "n"]] * 40)
    threads = [threading.Thread(target=count, args=(plain.resp(),)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert plain.resp()("GET", "n") == b"8000"


@pytest.mark.parametrize("other_does", [
    ["SET", "k", "x"], ["DEL", "k"], ["APPEND", "k", "x"], ["INCR", "k"], ["EXPIRE", "k", 100], ["FLUSHALL"],
    ["RENAME", "k", "z"], ["SETRANGE", "k", 0, "y"], ["GETDEL", "k"], ["MSET", "q", 1, "k", 2],
    ["GETEX", "k", "EX", 100], ["COPY", "j", "k", "REPLACE"], ["SWAPDB", 0, 1], ["MOVE", "k", 1],
])
def test_change_from_another_connection_breaks_the_watch(plain, other_does):
    redis, other = plain.resp(), plain.resp()
    redis("MSET", "k", 1, "j", 2)
    redis("WATCH", "k")
    other(*other_does)
    assert redis.pipeline(["MULTI"], ["SET", "k", "mine"], ["EXEC"])[2] is None


@pytest.mark.parametrize("other_does", [
    ["GET", "k"], ["SET", "other", "x"], ["EXISTS", "k"], ["TTL", "k"], ["PERSIST", "k"],
    ["EXPIRE", "k", 100, "XX"], ["SET", "k", "x", "NX"], ["SETNX", "k", "x"], ["RENAMENX", "j", "k"],
    ["COPY", "j", "k"], ["GETEX", "k"], ["MSETNX", "k", 5, "new", 6], ["DEL", "nothing"], ["TOUCH", "k"],
])
def test_what_changes_nothing_leaves_the_watch(plain, other_does):
    redis, other = plain.resp(), plain.resp()
    redis("MSET", "k", 1, "j", 2)
    redis("WATCH", "k")
    other(*other_does)
    assert redis.pipeline(["MULTI"], ["SET", "k", "mine"], ["EXEC"])[2] == ["OK"]


def test_large_transaction_runs_in_order(plain):
    redis = plain.resp()
    commands = [["APPEND", "k", f"{i},"] for i in range(5000)]
    replies = redis.pipeline(["MULTI"], *commands, ["EXEC"])
    assert replies[1:-1] == ["QUEUED"] * 5000 and len(replies[-1]) == 5000
    assert redis("GET", "k") == b"".join(b"%d," % i for i in range(5000))
