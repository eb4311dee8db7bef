# SPDX-License-Identifier: BSD-3-Clause
"""Hashes, sets and sorted sets answer as redis-server does: random commands over few keys, kinds mixed so that
WRONGTYPE happens, and over collections too large to be compact; RESP2 and RESP3. What has no order is put in
one; scores are compared as numbers, since redis-server 7.0 writes them with more digits than 7.2 does."""
import random
import re

import pytest

from resp_helpers import PAIRS, PLAIN, ordered

COMMANDS = """
SET k v;GET k;APPEND k v;STRLEN k;INCR k;INCRBYFLOAT k 0.5;GETRANGE k n n;SETRANGE k 2 v;MGET k k k;GETSET k v
SET k v GET;SET k v NX;SETNX k v;GETDEL k;GETEX k;MSETNX k v k v
DEL k;EXISTS k k;TYPE k;RENAME k k;RENAMENX k k;COPY k k;COPY k k REPLACE;EXPIRE k 1000;PERSIST k;KEYS *
HSET k m v;HSET k m v m v;HMSET k m v m v;HSETNX k m v;HGET k m;HMGET k m m m;HGETALL k;HDEL k m;HDEL k m m m
HLEN k;HSTRLEN k m;HKEYS k;HVALS k;HEXISTS k m;HINCRBY k m n;HINCRBYFLOAT k m 0.25;HRANDFIELD k 100000
HRANDFIELD k 0;HSCAN k 0 COUNT 100000;HSCAN k 0 MATCH m1* COUNT 100000
SADD k m;SADD k m m n;SREM k m;SREM k m m n;SMEMBERS k;SISMEMBER k m;SMISMEMBER k m n m;SCARD k;SPOP k 0
SPOP k 100000;SRANDMEMBER k 100000;SMOVE k k m;SMOVE k k m;SINTER k k;SINTER k k k;SUNION k k;SUNION k k k
SDIFF k k;SDIFF k k k;SINTERSTORE k k k;SUNIONSTORE k k k;SDIFFSTORE k k k;SINTERCARD 2 k k;SINTERCARD 2 k k LIMIT 2
SSCAN k 0 COUNT 100000;SSCAN k 0 MATCH *2* COUNT 100000
ZADD k s m;ZADD k s m s m s m;ZADD k NX s m s m;ZADD k XX CH s m;ZADD k GT CH s m;ZADD k LT s m s m;ZADD k INCR s m
ZADD k XX INCR s m;ZADD k GT INCR s m;ZINCRBY k s m;ZREM k m;ZREM k m m;ZCARD k;ZCOUNT k s s;ZCOUNT k (s (s
ZSCORE k m;ZMSCORE k m m;ZRANK k m;ZREVRANK k m;ZRANGE k n n;ZRANGE k n n REV WITHSCORES;ZRANGE k 0 -1 WITHSCORES
ZRANGE k s s BYSCORE;ZRANGE k (s s BYSCORE WITHSCORES LIMIT n n;ZRANGE k s (s BYSCORE REV LIMIT 0 3
ZRANGEBYSCORE k s s WITHSCORES;ZRANGEBYSCORE k -inf +inf LIMIT n n;ZREVRANGEBYSCORE k s s;ZREVRANGE k n n WITHSCORES
ZREVRANGEBYSCORE k +inf -inf WITHSCORES LIMIT n n
ZRANGESTORE k k n n;ZRANGESTORE k k s s BYSCORE LIMIT 0 4;ZREMRANGEBYRANK k n n;ZREMRANGEBYSCORE k s (s
ZPOPMIN k;ZPOPMAX k;ZPOPMIN k 2;ZPOPMAX k 3;ZMPOP 2 k k MIN;ZMPOP 1 k MAX COUNT 3
ZUNION 2 k k WITHSCORES;ZUNION 3 k k k WEIGHTS s 2 -1 AGGREGATE MIN WITHSCORES;ZINTER 2 k k;ZINTER 2 k k WITHSCORES
ZINTER 2 k k WEIGHTS 2 s AGGREGATE MAX WITHSCORES;ZDIFF 2 k k WITHSCORES;ZUNIONSTORE k 2 k k;ZINTERSTORE k 2 k k
ZUNIONSTORE k 2 k k WEIGHTS s s AGGREGATE MAX;ZDIFFSTORE k 2 k k;ZINTERCARD 2 k k;ZINTERCARD 2 k k LIMIT 1
ZRANDMEMBER k 100000;ZSCAN k 0 COUNT 100000
"""
LEX = """
ZADD k 0 m;ZADD k 0 m 0 m;ZREM k m;ZRANGEBYLEX k - +;ZRANGEBYLEX k [m (m;ZRANGEBYLEX k (m + LIMIT n n
ZREVRANGEBYLEX k [m [m;ZREVRANGEBYLEX k + (m LIMIT 0 n;ZRANGE k [m [m BYLEX;ZRANGE k (m - BYLEX REV LIMIT 1 4
ZLEXCOUNT k - +;ZLEXCOUNT k (m [m;ZREMRANGEBYLEX k [m (m;ZRANGESTORE k k [m + BYLEX;ZPOPMAX k;ZRANK k m;ZRANGE k n n
"""
SCORES = ["0", "1", "2", "3", "-1", "-5", "0.5", "2.5", "100", "1e3", "inf", "-inf", "3", "2"]
ODD = ["", "1", "-7", "abc", "x" * 70, "9223372036854775807", "m1\r\n", "\x00"]


def templates(text):
    return [line.split() for line in re.split(r"[;\n]", text.strip())]


def filled(rng, template, keys, members):
    """Every k, m, v, n, s of a template replaced by some key, member, value, small number, score."""
    choose = {"k": lambda: rng.choice(keys), "n": lambda: str(rng.randint(-5, 9)), "s": lambda: rng.choice(SCORES),
              "m": lambda: rng.choice(ODD) if rng.random() < 0.1 else f"m{rng.randrange(members)}",
              "v": lambda: rng.choice(ODD), "(s": lambda: "(" + rng.choice(SCORES),
              "[m": lambda: f"[m{rng.randrange(members)}", "(m": lambda: f"(m{rng.randrange(members)}"}
    return [word.encode() for word in (choose.get(w, lambda w=w: w)() for w in template)]


def numbers(reply):
    """Texts of scores as numbers; the shapes around them stay."""
    if isinstance(reply, (list, tuple)):
        return [numbers(item) for item in reply]
    if isinstance(reply, bytes) and re.fullmatch(rb"-?(\d+(\.\d*)?(e[-+]?\d+)?|inf)", reply):
        return float(reply)
    return reply


LOTS = {b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER"}


def comparable(command, reply):
    reply = ordered(command, reply)
    if command[0] in LOTS and isinstance(reply, list):
        return sorted(reply)
    if command[0] in PAIRS and isinstance(reply, dict):
        return sorted(reply.items())
    return numbers(reply) if command[0][:1] == b"Z" else reply


def ask(client, command):
    client.raw(client.encode(*command))
    reply = client.reply()
    return f"-{reply}" if isinstance(reply, Exception) else comparable(command, reply)


def compare(rng, pair, texts, keys, members, rounds):
    history = []
    for _ in range(rounds):
        command = filled(rng, rng.choice(texts), keys, members)
        history.append(command)
        got, expected = (ask(client, command) for client in pair)
        assert got == expected, f"after {history[-30:]}"


SHOW = {b"string": "GET k", b"hash": "HGETALL k", b"set": "SMEMBERS k", b"zset": "ZRANGE k 0 -1 WITHSCORES"}


def same_state(pair, keys):
    for key in keys:
        kinds = [client("TYPE", key) for client in pair]
        assert kinds[0] == kinds[1]
        if kinds[0] != "none":
            command = [w.encode() if w != "k" else key.encode() for w in SHOW[kinds[0].encode()].split()]
            got, expected = (ask(client, command) for client in pair)
            assert got == expected, command


@pytest.fixture
def pair(redis_server, freshet):
    """A function that connects to (freshet, redis-server), both empty."""
    daemon = freshet(PLAIN)

    def connect(protocol):
        theirs = redis_server.resp(protocol)
        theirs("FLUSHALL")
        return daemon.resp(protocol=protocol), theirs
    return connect


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_random_commands_on_mixed_kinds_answer_alike(pair, seed, protocol):
    rng = random.Random(f"kinds {seed} {protocol}")
    both = pair(protocol)
    keys = [f"k{i}" for i in range(5)]
    compare(rng, both, templates(COMMANDS), keys, 8, 4000)
    same_state(both, keys)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("kind", ["H", "S", "Z"])
def test_random_commands_on_large_collections_answer_alike(pair, kind, protocol):
    """Commands of one kind, mostly adding, so that keys hold hundreds and thousands of elements."""
    rng = random.Random(f"large {kind} {protocol}")
    both = pair(protocol)
    texts = [t for t in templates(COMMANDS) if t[0][0] == kind and t[0] not in ("SET", "SETNX", "SETRANGE", "STRLEN", "SPOP")
             and "n n" not in " ".join(t) or t[0] in ("ZRANGE", "ZREVRANGE")]
    keys = [f"k{i}" for i in range(3)]
    add = {"H": ["HSET", 2], "S": ["SADD", 1], "Z": ["ZADD", 2]}[kind]
    for key in keys:
        for start in range(0, 3000, 100):
            words = [w for i in range(start, start + 100)
                     for w in ([f"m{i}", f"v{i}"] if kind == "H" else [str(i % 700), f"m{i}"] if kind == "Z" else [f"m{i}"])]
            for client in both:
                client(add[0], key, *words)
    compare(rng, both, texts, keys, 4000, 600)
    same_state(both, keys)


@pytest.mark.parametrize("size", [12, 1500])
def test_random_ranges_by_bytes_answer_alike(pair, size):
    rng = random.Random(f"lex {size}")
    both = pair(2)
    for start in range(0, size, 50):
        words = [w for i in range(start, min(start + 50, size)) for w in ("0", f"m{i}")]
        for client in both:
            client("ZADD", "k0", *words)
    compare(rng, both, templates(LEX), ["k0", "k1"], size, 1500)
    same_state(both, ["k0", "k1"])
