# SPDX-License-Identifier: BSD-3-Clause
"""Whatever commands do to a durable space, the log does again: random commands of every kind, then a kill,
and every key is as it was; with rewrites between, and with collections that have outgrown their packing."""
import random
import re
import shutil
import signal

import pytest

from daemon import cli, until
from test_durable import log_files, policy, restart

COMMANDS = """
SET {k} {v}|SET {k} {v} EX 1000|SET {k} {v} KEEPTTL|SETNX {k} {v}|APPEND {k} {v}|INCR {k}|INCRBYFLOAT {k} 0.1|DECRBY {k} {n}
SETRANGE {k} {n} {v}|SETBIT {k} {n} 1|GETDEL {k}|GETEX {k} EX 500|GETEX {k} PERSIST|GETSET {k} {v}|MSET {k} {v} {k} {v}
DEL {k}|DEL {k} {k}|EXPIRE {k} 1000|EXPIRE {k} -1|PEXPIREAT {k} 99999999999999|PERSIST {k}|RENAME {k} {k}|RENAMENX {k} {k}
COPY {k} {k} REPLACE|COPY {k} {k}|MOVE {k} 2|COPY {k} {k} DB 2 REPLACE|SORT {k} ALPHA STORE {k}
LPUSH {k} {v} {v}|RPUSH {k} {v} {v} {v}|LPUSHX {k} {v}|LPOP {k}|RPOP {k} 2|LSET {k} {i} {v}|LINSERT {k} BEFORE {v} {v}
LREM {k} {i} {v}|LTRIM {k} {i} {n}|LMOVE {k} {k} LEFT RIGHT|RPOPLPUSH {k} {k}|LMPOP 2 {k} {k} LEFT COUNT 2
SADD {k} {m} {m} {m}|SREM {k} {m} {m}|SPOP {k}|SPOP {k} 3|SMOVE {k} {k} {m}|SUNIONSTORE {k} {k} {k}|SINTERSTORE {k} {k} {k}
SDIFFSTORE {k} {k} {k}
HSET {k} {m} {v} {m} {v}|HSETNX {k} {m} {v}|HDEL {k} {m} {m}|HINCRBY {k} {m} {n}|HINCRBYFLOAT {k} {m} 0.3|HMSET {k} {m} {v}
ZADD {k} {s} {m} {s} {m}|ZADD {k} INCR {s} {m}|ZADD {k} GT CH {s} {m}|ZINCRBY {k} {s} {m}|ZREM {k} {m}|ZPOPMIN {k}|ZPOPMAX {k} 2
ZREMRANGEBYRANK {k} {i} {n}|ZREMRANGEBYSCORE {k} 0 {s}|ZREMRANGEBYLEX {k} - [{m}|ZUNIONSTORE {k} 2 {k} {k}
ZINTERSTORE {k} 2 {k} {k} AGGREGATE MAX|ZDIFFSTORE {k} 2 {k} {k}|ZRANGESTORE {k} {k} 0 {n}|ZMPOP 1 {k} MIN COUNT 2
XADD {k} * f {v}|XADD {k} MAXLEN 5 * f {v} g {v}|XADD {k} NOMKSTREAM * f v|XTRIM {k} MAXLEN {n}|XDEL {k} 1-1|XADD {k} 1-1 f v
XSETID {k} 99999999999999-1
""".replace("\n", "|").strip("|").split("|")


def values_of(rng):
    return {"k": lambda: f"k{rng.randrange(12)}", "v": lambda: rng.choice(["", "1", "-7", "abc", "x" * 100, "3.5"]),
            "m": lambda: f"m{rng.randrange(30)}", "n": lambda: rng.randrange(12), "i": lambda: rng.randrange(-3, 3),
            "s": lambda: rng.choice([-1.5, 0, 0.1, 1e300, 3, 7.25, "inf", "-inf", 1 / 3])}


def random_line(rng, makers, commands=COMMANDS):
    template = rng.choice(commands)
    line = []
    for word in template.split():
        for name, make in makers.items():
            while "{" + name + "}" in word:
                word = word.replace("{" + name + "}", str(make()), 1)
        line.append(word)
    return line


def state(r):
    """Every key of the database, whole, in an order of its own."""
    found = {}
    for key in r("KEYS", "*"):
        kind = r("TYPE", key)
        read = {"string": ["GET", key], "list": ["LRANGE", key, 0, -1], "set": ["SMEMBERS", key],
                "hash": ["HGETALL", key], "zset": ["ZRANGE", key, 0, -1, "WITHSCORES"], "stream": ["XRANGE", key, "-", "+"]}
        value = r(*read[kind])
        if kind == "set":
            value = sorted(value)
        elif kind == "hash":
            value = sorted(zip(value[::2], value[1::2]))
        elif kind == "stream":
            info = r("XINFO", "STREAM", key)
            pairs = dict(zip(info[::2], info[1::2]))
            value = [value, pairs[b"last-generated-id"], pairs[b"entries-added"], pairs[b"max-deleted-entry-id"]]
        ttl = r("PTTL", key)
        found[key] = (kind, value, ttl if ttl < 0 else r("PEXPIRETIME", key))
    return found


def same(was, now):
    """Moments may differ by what two clocks differ when one is turned into the other."""
    for key, (kind, value, at) in was.items():
        if key in now and now[key][:2] == (kind, value) and at > 0 and abs(now[key][2] - at) <= 5:
            now[key] = was[key]
    return {key: (was.get(key), now.get(key)) for key in {*was, *now} if was.get(key) != now.get(key)}


@pytest.mark.parametrize("seed", range(4))
def test_random_commands_are_done_again(freshet, seed):
    rng = random.Random(f"effects {seed}")
    makers = values_of(rng)
    daemon = freshet(policy())
    for part in range(3):
        r, other = daemon.resp(), daemon.resp(2)
        if seed % 2:
            done = daemon.log_text().count("the log was rewritten")
            r("BGREWRITEAOF")
        for _ in range(1500):
            batch = [random_line(rng, makers)]
            if rng.random() < 0.1:
                batch = [["MULTI"], *[random_line(rng, makers) for _ in range(3)], ["EXEC"]]
            r.pipeline(*batch)
        if seed % 2:
            until(lambda: daemon.log_text().count("the log was rewritten") > done, "the end of the rewrite")
        before = [state(r), state(other)]
        assert len(before[0]) > 3
        restart(daemon)
        after = [state(daemon.resp()), state(daemon.resp(2))]
        for was, now in zip(before, after):
            assert same(was, now) == {}


def test_large_collections_are_done_again(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    rng = random.Random(11)
    for start in range(0, 5000, 500):
        numbers = range(start, start + 500)
        r("RPUSH", "list", *[f"{n}" * 5 for n in numbers])
        r("SADD", "set", *[f"m{n}" for n in numbers])
        r("HSET", "hash", *[w for n in numbers for w in (f"f{n}", n)])
        r("ZADD", "zset", *[w for n in numbers for w in (rng.random(), f"m{n}")])
        r.pipeline(*[["XADD", "stream", f"{n + 1}-1", "f", n] for n in numbers])
    r("LTRIM", "list", 100, -200)
    r("LREM", "list", 0, "7" * 15)
    r("LSET", "list", 1000, "changed")
    r("LINSERT", "list", "AFTER", "changed", "inserted")
    r("SPOP", "set", 777)
    r("ZREMRANGEBYRANK", "zset", 500, 1500)
    r("ZREMRANGEBYSCORE", "zset", 0.2, 0.3)
    r("HDEL", "hash", *[f"f{n}" for n in range(0, 5000, 3)])
    r("XTRIM", "stream", "MAXLEN", 3000)
    r("XDEL", "stream", "4000-1")
    r("SUNIONSTORE", "union", "set", "zset-absent", "set")
    r("ZUNIONSTORE", "zunion", 2, "zset", "set")
    r("RENAME", "hash", "hash2")
    r("COPY", "list", "list2")
    before = state(r)
    assert state(restart(daemon).resp()) == before
    r = daemon.resp()
    r("BGREWRITEAOF")
    until(lambda: "the log was rewritten" in daemon.log_text(), "the rewrite")
    assert state(restart(daemon, signal.SIGTERM).resp()) == before


def grow(r, name, kind, count):
    """A collection that a rewrite dumps in parts."""
    for start in range(0, count, 1000):
        numbers = range(start, start + 1000)
        r.pipeline(*{"list": [["RPUSH", name, *[f"e{n}" * 5 for n in numbers]]],
                     "set": [["SADD", name, *[f"m{n}" * 5 for n in numbers]]],
                     "hash": [["HSET", name, *[w for n in numbers for w in (f"f{n}", f"v{n}" * 5)]]],
                     "zset": [["ZADD", name, *[w for n in numbers for w in (n / 3, f"m{n}" * 5)]]],
                     "stream": [["XADD", name, f"{n + 1}-1", "f", f"v{n}" * 5] for n in numbers]}[kind])


@pytest.mark.parametrize("kind", ["list", "set", "hash", "zset", "stream"])
def test_what_is_large_is_rewritten_in_parts(freshet, kind):
    daemon = freshet(policy())
    r = daemon.resp()
    grow(r, "still", kind, 10_000)
    r("EXPIRE", "still", 10_000)
    r("SET", "small", 1)
    before = state(r)
    r("BGREWRITEAOF")
    until(lambda: "the log was rewritten" in daemon.log_text(), "the rewrite")
    assert b"freshet.rewrite." in log_files(daemon)[0].read_bytes()
    assert same(before, state(restart(daemon).resp())) == {}
    assert daemon.resp()("KEYS", "freshet.rewrite*") == []


@pytest.mark.parametrize("kind", ["list", "set", "hash", "zset", "stream"])
def test_what_is_large_and_changes_all_the_time_is_rewritten_as_it_is(freshet, kind):
    daemon = freshet(policy(workers=2))
    r = daemon.resp()
    grow(r, "busy", kind, 20_000)
    grow(r, "gone", kind, 20_000)
    busy = {"list": [["LPOP", "busy"], ["RPUSH", "busy", "x"]], "set": [["SPOP", "busy"], ["SADD", "busy", "x"]],
            "hash": [["HDEL", "busy", "f7"], ["HSET", "busy", "f7", "x"]], "zset": [["ZPOPMIN", "busy"], ["ZADD", "busy", 1, "x"]],
            "stream": [["XTRIM", "busy", "MAXLEN", 15_000], ["XADD", "busy", "*", "f", "x"]]}[kind]
    r("BGREWRITEAOF")
    rounds = 0
    while "the log was rewritten" not in daemon.log_text():
        r.pipeline(*busy)
        rounds += 1
        if rounds == 5:
            r("DEL", "gone")
    r("DEL", "gone")
    before = state(r)
    assert list(before) == [b"busy"]
    assert same(before, state(restart(daemon).resp())) == {}


def test_parts_that_a_crash_left_are_thrown_away(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    grow(r, "large", "list", 20_000)
    grow(r, "other", "hash", 20_000)
    before = state(r)
    r("BGREWRITEAOF")
    until(lambda: "the log was rewritten" in daemon.log_text(), "the rewrite")
    daemon.stop(signal.SIGKILL)
    # As if it had been killed meanwhile, at each of its writes; alone, so a repair adds the mark that it lacks.
    folder = daemon.folder / "log"
    (new,) = log_files(daemon)
    text = new.read_bytes()
    shutil.rmtree(folder)
    folder.mkdir()
    ends = [m.end() for m in re.finditer(rb"\*3\r\n\$11\r\nFRESHET.CRC\r\n\$16\r\n.{16}\r\n\$\d+\r\n\d+\r\n", text)]
    assert len(ends) > 3
    for end in ends[1:-1]:
        new.write_bytes(text[:end])
        repaired = cli("log", "repair", folder)
        assert repaired.returncode == 0, repaired.stdout
        found = state(daemon.start().resp())
        assert not any(key.startswith(b"freshet.rewrite") for key in found)
        assert all(found[key] == before[key] for key in found)
        daemon.stop(signal.SIGKILL)
        for file in folder.iterdir():
            file.unlink()
    daemon.start()
