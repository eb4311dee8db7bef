# SPDX-License-Identifier: BSD-3-Clause
"""Keyspace notifications: the same commands tell the same events as in redis-server, in the same order."""
import shutil

import pytest

from resp_helpers import PLAIN, RedisServer, words


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


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
    "transactions": """
        MULTI
        SET a 1
        DEL a
        EXEC""",
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("classes", ["KEA", "E$", "Kg", "KEAm"])
def test_commands_tell_the_events_that_redis_tells(freshet, redis_server, name, classes):
    daemon = freshet(PLAIN)
    ours = events_of(daemon.resp, SCRIPTS[name], classes)
    theirs = events_of(redis_server.resp, SCRIPTS[name], classes)
    assert ours == theirs
    assert any(events for _, events in ours) or classes == "E$"


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
