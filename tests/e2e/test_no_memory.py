# SPDX-License-Identifier: BSD-3-Clause
"""malloc() says no (docs/decisions/0009): to the first, second, third ... allocation that a command makes of those
that may fail. Each time the command is done as a whole or refused as a whole, or its connection ends; everybody else
is served, the store is whole, and the log of a durable space knows what memory knows."""
import pytest

from daemon import until
from resp_client import RespError

POLICY = """
listen: { resp: "127.0.0.1:0" }
workers: 1
debug: true
durable: { dir: log, fsync: everysec }
limits: { script_memory: 16MB }
log: error
spaces:
  kept: { db: 0, memory: 64MB, keep: durable, evict: never }
"""
MOST = 20000  # allocations that any of these makes
EACH = 40  # the first ones are failed one by one, later ones further and further apart

BIG = [f"member:{i}:{'x' * (i % 50)}" for i in range(700)]
SETUP = [
    ["SADD", "set", *BIG], ["SADD", "other", *BIG[300:], "more"], ["RPUSH", "list", *BIG],
    ["ZADD", "zset", *[word for i, m in enumerate(BIG) for word in (i % 7, m)]],
    ["HSET", "hash", *[word for m in BIG for word in (m, m)]], ["SET", "string", "s" * 100000],
    *[["XADD", "stream", f"{i}-1", "field", m] for i, m in enumerate(BIG[:300], 1)],
    *[["SET", f"weight_{i}", i % 10] for i in range(20)], ["RPUSH", "short", *range(20)], ["RPUSH", "large", "l" * 100000],
]
SCRIPT = "local t = redis.call('SMEMBERS', KEYS[1]) redis.call('SET', 'made', #t) return cjson.encode(t)"
COMMANDS = {
    "GET": [["GET", "string"]], "SET": [["SET", "made", "v" * 300000]], "MGET": [["MGET"] + ["string"] * 10],
    "APPEND": [["APPEND", "string", "v" * 200000]], "MSET": [["MSET"] + [w for m in BIG for w in (m, m)]],
    "LRANGE": [["LRANGE", "list", 0, -1]], "SMEMBERS": [["SMEMBERS", "set"]], "HGETALL": [["HGETALL", "hash"]],
    "SUNION": [["SUNION", "set", "other"]], "SINTER": [["SINTER", "set", "other"]], "SDIFF": [["SDIFF", "set", "other"]],
    "SUNIONSTORE": [["SUNIONSTORE", "made", "set", "other"]], "SUNIONSTORE over": [["SUNIONSTORE", "other", "set", "other"]],
    "ZUNION": [["ZUNION", 2, "zset", "set", "WITHSCORES"]], "ZINTERSTORE": [["ZINTERSTORE", "made", 2, "zset", "set"]],
    "ZRANGESTORE": [["ZRANGESTORE", "made", "zset", 0, -1]], "ZADD": [["ZADD", "made", *[w for m in BIG for w in (1, m)]]],
    "RPUSH": [["RPUSH", "made", *BIG]], "SRANDMEMBER": [["SRANDMEMBER", "set", -3000]],
    "SRANDMEMBER many": [["SRANDMEMBER", "set", 500]], "SPOP": [["SPOP", "set", 2000]], "ZRANDMEMBER": [["ZRANDMEMBER", "zset", 300]],
    "SORT": [["SORT", "list", "ALPHA"]], "SORT STORE": [["SORT", "short", "BY", "weight_*", "GET", "#", "STORE", "made"]],
    "SCAN": [["SCAN", 0, "COUNT", 1000]], "SSCAN": [["SSCAN", "set", 0, "COUNT", 5000]], "KEYS": [["KEYS", "*"]],
    "XRANGE": [["XRANGE", "stream", "-", "+"]], "XREAD": [["XREAD", "STREAMS", "stream", 0]],
    "DUMP": [["DUMP", "zset"]], "LCS": [["LCS", "weight_1", "weight_2"]], "LMPOP": [["LMPOP", 1, "list", "LEFT", "COUNT", 2000]],
    "EVAL": [["EVAL", SCRIPT, 1, "set"]], "EVAL_RO": [["EVAL_RO", "return redis.call('LRANGE', KEYS[1], 0, -1)", 1, "list"]],
    "SCRIPT LOAD": [["SCRIPT", "LOAD", "return '" + "s" * 20000 + "'"]],
    "MULTI": [["MULTI"], ["SET", "made", "m" * 50000], ["LRANGE", "list", 0, -1], ["DEL", "string"], ["EXEC"]],
    "INFO": [["INFO"]], "COMMAND": [["COMMAND"]], "COMMAND DOCS": [["COMMAND", "DOCS"]], "CLIENT LIST": [["CLIENT", "LIST"]],
    "CONFIG GET": [["CONFIG", "GET", "*"]], "ACL SETUSER": [["ACL", "SETUSER", "made", "on", "~k*", "+@all"], ["ACL", "LIST"]],
    "LMOVE": [["LMOVE", "large", "made", "LEFT", "LEFT"]], "LSET": [["LSET", "short", 3, "v" * 100000]],
    "LINSERT": [["LINSERT", "short", "BEFORE", "5", "v" * 100000]], "LREM": [["LREM", "large", 0, "l" * 100000]],
    "HSET": [["HSET", "made", "f", "v" * 100000]], "SADD": [["SADD", "made", "m" * 100000]], "XADD": [["XADD", "made", "1-1", "f", "v" * 100000]],
    "ZADD one": [["ZADD", "zset", 5, "m" * 100000]], "ZINCRBY": [["ZINCRBY", "made", 5, "m" * 100000]],
    "SORT BY": [["SORT", "short", "BY", "weight_*", "GET", "weight_*", "GET", "#", "DESC"]], "DUMP large": [["DUMP", "string"]],
    "LCS large": [["LCS", "string", "weight_1"]], "EVAL error": [["EVAL", "error(('e'):rep(100000))", 0]],
    "RESTORE": [["EVAL", "return redis.call('RESTORE', 'made', 0, redis.call('DUMP', KEYS[1]))", 1, "stream"]],
    "PUBLISH": [["PUBLISH", "channel", "p" * 50000]], "SLOWLOG": [["SLOWLOG", "GET", 100]],
}


@pytest.fixture
def daemon(freshet):
    daemon = freshet(POLICY)
    daemon.resp().pipeline(*SETUP, ["EVAL", "return 1", 0])
    return daemon


class Control:
    """A connection that is opened again when memory failed it."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.client = daemon.resp()

    def __call__(self, *words):
        def answered():
            try:
                self.answer = self.client.pipeline(words)[0]
            except ConnectionError:
                self.client = self.daemon.resp()
                return False
            return not isinstance(self.answer, RespError)
        until(answered, f"an answer to {words}")
        return self.answer


def attempt(daemon, commands):
    """The last reply, an error's text, or None: the connection ended."""
    client = daemon.resp()
    client("PING")
    yield
    try:
        reply = client.pipeline(*commands)[-1]
    except ConnectionError:
        reply = None
    yield reply
    client.close()


def everything(control):
    """What is stored, as a digest of Redis's making."""
    return control("DEBUG", "DIGEST")


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_done_or_refused(daemon, name):
    commands, control = COMMANDS[name], Control(daemon)
    listener = daemon.resp()
    listener("SUBSCRIBE", "channel")
    before = everything(control)
    after, n, left = None, 0, 0
    while left == 0:
        n += 1 + n // EACH
        assert n < MOST
        one = attempt(daemon, commands)
        next(one)
        control("DEBUG", "FAIL-ALLOC", n)
        reply = next(one)
        left = control("DEBUG", "FAIL-ALLOC", 0)
        now = everything(control)
        assert control("DEBUG", "VALIDATE") == "OK"
        if isinstance(reply, RespError):
            assert str(reply).startswith(("OOM ", "ERR ", "EXECABORT ")), reply
            assert now == before or commands[0][0] in ("MULTI", "EVAL"), f"{name}, allocation {n}: {reply}, and yet something was done"
        elif reply is not None and now != before:
            assert after in (None, now) or name == "SPOP"
            after = now
        else:
            assert reply is None or now == before
        if now != before:
            restore(control)
            assert everything(control) == before
    assert control("PING") == "PONG"


def restore(control):
    control("FLUSHALL")
    control.client.pipeline(*SETUP)


def test_log_knows_what_memory_knows(daemon):
    """After all that failed, a start from the log gives what was there."""
    control = Control(daemon)
    for n in range(1, 40):
        for name in ("SET", "APPEND", "SUNIONSTORE", "ZADD", "EVAL", "MULTI", "SORT STORE", "LMPOP", "RPUSH"):
            one = attempt(daemon, COMMANDS[name])
            next(one)
            control("DEBUG", "FAIL-ALLOC", n)
            next(one)
            control("DEBUG", "FAIL-ALLOC", 0)
    digest = everything(control)
    assert daemon.stop() == 0
    daemon.start()
    assert everything(Control(daemon)) == digest
