# SPDX-License-Identifier: BSD-3-Clause
"""Keyspace notifications: the same commands tell the same events as in redis-server, in the same order."""
import pytest

from resp_helpers import PLAIN, words


def events_of(connect, script, classes="KEA"):
    """[(command, [(channel, payload), ...])] for each line of a script."""
    client, listener, marker = connect(), connect(), connect()
    client("FLUSHALL")
    client("CONFIG", "SET", "notify-keyspace-events", classes)
    listener.raw(listener.encode("PSUBSCRIBE", "__key*"))
    listener.reply()
    told = []
    for number, line in enumerate(script.strip().splitlines()):
        client.raw(client.encode(*words(line.strip())))
        client.reply()
        mark = f"__keyend@{number}"
        marker("PUBLISH", mark, "")
        events = []
        while (message := listener.reply())[2] != mark.encode():
            events.append(tuple(message[2:]))
        told.append((line.strip(), events))
    return told


SCRIPTS = {
    "strings": """
        SET a 1
        SET a 1 EX 100
        SET a 1 KEEPTTL
        SET a 1 NX
        SET b 1 XX
        SET b 1 GET
        SETNX a 1
        SETNX c 1
        SETEX a 100 v
        PSETEX a 10000 v
        GETSET a 7
        GETEX a EX 100
        GETEX a PERSIST
        GETEX a
        GETEX a PXAT 1
        SET a 5
        INCR a
        DECRBY a 3
        INCRBYFLOAT a 1.5
        INCR c2
        APPEND a x
        SETRANGE a 1 yy
        SETRANGE a 1 ""
        SETBIT a 7 1
        SETBIT a 7 1
        SETBIT a 700 0
        SETBIT a 701 0
        SETBIT bits 3 0
        MSET a 1 b 2 c 3
        MSETNX a 1 z 2
        MSETNX y 1 z 2
        GETDEL a
        GETDEL a
        GET nosuch""",
    "keys": """
        MSET a 1 b 2 c 3
        DEL a nosuch b
        UNLINK c
        SET a 1
        EXPIRE a 100
        EXPIRE nosuch 100
        EXPIRE a 200 LT
        PERSIST a
        PERSIST a
        PEXPIREAT a 1
        SET a 1
        RENAME a b
        RENAME b b
        RENAMENX b c
        COPY c d
        COPY c d
        COPY c d DB 3 REPLACE
        MOVE c 2
        SELECT 2
        DEL c
        SELECT 0
        FLUSHDB""",
    "lists": """
        RPUSH l a b c
        LPUSH l z
        LPUSHX l y
        RPUSHX nosuch y
        LSET l 0 q
        LSET l 99 q
        LINSERT l BEFORE a x
        LINSERT l BEFORE nosuch x
        LREM l 0 x
        LREM l 0 nosuch
        LTRIM l 1 3
        LPOP l
        RPOP l 1
        LPOP l 0
        LPOP nosuch
        RPUSH l 1 2 3
        LMOVE l m LEFT RIGHT
        RPOPLPUSH l l
        LMPOP 2 l m LEFT COUNT 10
        BLMOVE m l LEFT LEFT 0
        BLPOP m l 0
        RPUSH l 1
        LREM l 1 1
        RPUSH l 1
        LTRIM l 5 9""",
    "streams": """
        XADD x 1-1 a b
        XADD x MAXLEN 1 2-1 a b
        XADD x NOMKSTREAM 3-1 a b
        XTRIM x MAXLEN 1
        XTRIM x MAXLEN 1
        XDEL x 1-1
        XDEL x 3-1
        XSETID x 9-1""",
    "hashes": """
        HSET h a 1 b 2
        HSET h a 1
        HSETNX h a 1
        HSETNX h c 1
        HMSET h c 2
        HINCRBY h a 1
        HINCRBY h c x
        HINCRBYFLOAT h a 1.5
        HDEL h nosuch
        HDEL h a
        HDEL h b c
        HGET h a""",
    "lists, waiting": """
        LPUSH l a b c
        RPUSH l d e
        LPUSHX nosuch a
        RPUSHX l f
        LPUSHX l g
        LSET l 0 h
        LSET l 100 h
        LINSERT l BEFORE h i
        LINSERT l BEFORE nosuch i
        LREM l 0 nosuch
        LREM l 0 i
        LPOP l
        LPOP l 0
        RPOP l 2
        LTRIM l 0 1
        LTRIM nosuch 0 1
        LMOVE l m LEFT RIGHT
        LMOVE l m RIGHT LEFT
        RPOPLPUSH m m
        BLMOVE m l LEFT LEFT 0
        BRPOPLPUSH m l 0
        LMPOP 2 nosuch l LEFT
        BLMPOP 0 2 nosuch l RIGHT
        RPUSH l a b
        BLPOP l 0
        BRPOP nosuch l 0
        RPUSH l a a
        LREM l 0 a
        RPUSH l a a
        LTRIM l 5 6
        MULTI
        RPUSH l a
        BLPOP l 0
        EXEC""",
    "streams, waiting": """
        XADD s 1-1 a b
        XADD s NOMKSTREAM 1-2 a b
        XADD nosuch NOMKSTREAM 1-2 a b
        XADD s MAXLEN 2 1-3 a b
        XADD s MAXLEN 100 1-4 a b
        XADD s MINID 2 2-1 a b
        XADD s 1-1 a b
        XTRIM s MAXLEN 100
        XTRIM s MAXLEN 0
        XADD s 3-1 a b
        XDEL s 9-9
        XDEL s 3-1
        XSETID s 5-5
        XSETID s 6-0
        XREAD BLOCK 1 STREAMS s 0
        XRANGE s - +
        DEL s""",
    "sets": """
        SADD s a b c
        SADD s a
        SREM s nosuch
        SREM s a
        SMOVE s t b
        SMOVE s t c
        SMOVE s t c
        SADD s b
        SMOVE s t b
        SUNIONSTORE u t s
        SINTERSTORE u t u
        SDIFFSTORE u t nosuch
        SDIFFSTORE u t t
        SDIFFSTORE u t t
        SPOP t 0
        SPOP t 10
        SADD t a
        SPOP t
        SADD t a b
        SREM t a b""",
    "sorted sets": """
        ZADD z 1 a 2 b 3 c 4 d 5 e 6 f
        ZADD z 1 a
        ZADD z 7 a
        ZADD z XX 1 nosuch
        ZADD z INCR 1 a
        ZINCRBY z 1 a
        ZADD z GT INCR -1 a
        ZREM z nosuch
        ZREM z a
        ZPOPMIN z
        ZPOPMAX z 1
        ZPOPMAX z 0
        ZMPOP 2 nosuch z MAX
        ZREMRANGEBYSCORE z 100 200
        ZREMRANGEBYSCORE z 3 3
        ZREMRANGEBYRANK z 0 -1
        ZADD z 0 a 0 b 0 c
        ZREMRANGEBYLEX z [a (b
        ZRANGESTORE y z 0 -1
        ZRANGESTORE y z 5 9
        ZRANGESTORE y z 5 9
        ZUNIONSTORE y 1 z
        ZINTERSTORE y 2 z y
        ZDIFFSTORE y 2 z z
        ZPOPMIN z 5
        ZADD z 1 a
        ZREM z a""",
    "transactions": """
        MULTI
        SET a 1
        DEL a
        EXEC""",
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("classes", ["KEA", "E$", "Kg", "KEAm", "KEAn"])
def test_commands_tell_the_events_that_redis_tells(freshet, redis_server, name, classes):
    daemon = freshet(PLAIN)
    ours = events_of(daemon.resp, SCRIPTS[name], classes)
    theirs = events_of(redis_server.resp, SCRIPTS[name], classes)
    assert ours == theirs
    assert any(events for _, events in ours) or classes == "E$" or (name, classes) == ("streams", "Kg")


def test_nothing_is_told_unless_it_is_asked_for(freshet):
    daemon = freshet(PLAIN)
    told = events_of(daemon.resp, SCRIPTS["keys"], "")
    assert all(events == [] for _, events in told)


def test_new_keys_are_told_when_they_are_wanted(freshet):
    daemon = freshet(PLAIN)
    told = events_of(daemon.resp, "SET a 1\nSET a 2\nDEL a\nINCR a", "En")
    key = (b"__keyevent@0__:new", b"a")
    assert [events for _, events in told] == [[key], [], [], [key]]


@pytest.mark.parametrize("read", [True, False])
def test_what_expires_is_told_whether_it_is_read_or_not(freshet, read):
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 3"))
    client, listener, other = daemon.resp(db=3), daemon.resp(), daemon.resp(db=3)
    client("CONFIG", "SET", "notify-keyspace-events", "Ex")
    listener("SUBSCRIBE", "__keyevent@3__:expired")
    for i in range(5):
        client("SET", f"k{i}", "v", "PX", "50")
    client("SET", "kept", "v", "PX", "100000")
    client("DEBUG", "CLOCK", "ADVANCE", "60")
    if read:
        other("MGET", *[f"k{i}" for i in range(5)])
    told = {listener.reply()[2] for _ in range(5)}
    assert told == {b"k%d" % i for i in range(5)}
    assert client("EXISTS", "kept") == 1


def test_what_is_evicted_is_told(freshet):
    daemon = freshet(PLAIN.replace("64MB", "8MB"))
    client, listener = daemon.resp(), daemon.resp()
    client("CONFIG", "SET", "notify-keyspace-events", "Ee")
    listener("SUBSCRIBE", "__keyevent@0__:evicted")
    for i in range(400):
        client("SET", f"k{i}", b"x" * 50_000)
    message = listener.reply()
    assert message[:2] == [b"message", b"__keyevent@0__:evicted"] and message[2].startswith(b"k")
    assert client("DBSIZE") < 400
