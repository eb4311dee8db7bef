# SPDX-License-Identifier: BSD-3-Clause
"""Every reply as redis-server gives it, to the byte: the same scripts run against both. The scripts are in
resp_scripts/, one command a line.

Clients match on error texts and on the difference between nil, empty and zero. What freshet does on
purpose otherwise is in the other test_resp files.
"""
import pathlib
import random
import shutil

import pytest

from resp_helpers import PLAIN, RedisServer, plain, run

SCRIPTS = {path.stem: path for path in sorted(pathlib.Path(__file__).parent.glob("resp_scripts/*.txt"))}


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def both(redis_server, freshet):
    """A function that connects to (freshet, redis), both empty."""
    daemon = freshet(PLAIN)

    def connect(protocol=2):
        theirs = redis_server.resp(protocol)
        theirs("FLUSHALL")
        return daemon.resp(protocol=protocol), theirs
    return connect


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("protocol", [2, 3])
def test_script_has_the_same_replies(both, name, protocol):
    ours, theirs = both(protocol)
    script = SCRIPTS[name].read_text()
    differences = [(line, got, "instead of", expected) for (line, got), (_, expected)
                   in zip(run(ours, script), run(theirs, script)) if got != expected]
    assert differences == []


ARITY = """hello auth ping echo select client config command object memory multi exec discard watch
    unwatch get set setnx setex psetex getex getdel getset mget mset msetnx incr decr incrby decrby
    incrbyfloat append strlen setrange getrange substr del unlink exists touch type expire pexpire expireat
    pexpireat ttl pttl expiretime pexpiretime persist rename renamenx copy move scan keys randomkey dbsize
    flushall flushdb swapdb time info""".split()


def test_table_says_what_redis_says(both):
    """Arity, flags, keys and ACL categories of every command (COMMAND INFO, elements 0 to 6)."""
    ours, theirs = both()

    def table(client):
        return {row[0]: [row[1], set(row[2]), row[3:6], set(row[6])]
                for row in client("COMMAND", "INFO", *ARITY)}
    expected = table(theirs)
    expected[b"command"][3] = {"@slow"}  # connection in 7.0, server in 7.2
    got = table(ours)
    got[b"command"][3] = {"@slow"}
    assert got == expected


BROKEN = [  # both answer an error and close
    b"*abc\r\n", b"*01\r\n", b"*2147483648\r\n", b"*1\r\n:1\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$abc\r\n",
    b"*1\r\n$99999999999\r\n", b"*1\r\nPING\r\n", b"*" + b"1" * 65540, b"*1\r\n$" + b"1" * 65540,
    b"x" * 65540, b'GET "a\r\n', b"GET 'a\r\n", b'GET "a"b\r\n', b"PING\r\n*1\r\n:1\r\n",
]
ODD = [  # both answer, or wait for nothing, and go on
    b"*-1\r\n*1\r\n$4\r\nPING\r\n", b"\r\n\r\nPING\r\n", b"*0\r\nPING\r\n", b"PING\n",
    b"SET a b\r\nGET a\r\n", b'SET "a\\x41" \'b\\\'c\'\r\nGET aA\r\n', b"",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nabcXY*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
]


@pytest.mark.parametrize("sent", BROKEN + [odd + b"QUIT\r\n" for odd in ODD],
                         ids=lambda sent: repr(sent[:40]))
def test_broken_and_odd_bytes_get_the_same_answer(both, sent):
    ours, theirs = both()
    for client in (ours, theirs):
        client.raw(sent)
    assert ours.file.read() == theirs.file.read()


RANDOM_COMMANDS = [
    "GET {k}", "SET {k} {v}", "SET {k} {v} EX 1000", "SET {k} {v} NX", "SET {k} {v} XX GET",
    "SET {k} {v} KEEPTTL", "APPEND {k} {v}", "STRLEN {k}", "INCR {k}", "INCRBY {k} {n}", "DECRBY {k} {n}",
    "INCRBYFLOAT {k} 0.5", "GETRANGE {k} {n} {n}", "SETRANGE {k} {p} {v}", "DEL {k} {k}", "EXISTS {k} {k}",
    "RENAME {k} {k}", "RENAMENX {k} {k}", "COPY {k} {k}", "COPY {k} {k} REPLACE", "EXPIRE {k} 1000",
    "EXPIRE {k} -1", "EXPIRE {k} 500 GT", "TTL {k}", "PERSIST {k}", "MSET {k} {v} {k} {v}",
    "MSETNX {k} {v} {k} {v}", "MGET {k} {k} {k}", "GETDEL {k}", "GETEX {k} PERSIST", "GETSET {k} {v}",
    "TYPE {k}", "DBSIZE", "MOVE {k} 1", "SETNX {k} {v}", "MULTI", "EXEC", "DISCARD",
    "WATCH {k}", "UNWATCH", "SELECT 1", "SELECT 0", "SWAPDB 0 1", "FLUSHDB",
]
WEIGHTS = [1 if c.split()[0] in ("SWAPDB", "FLUSHDB", "DISCARD") else 8 for c in RANDOM_COMMANDS]


@pytest.mark.parametrize("seed", range(4))
def test_random_commands_end_in_the_same_state(both, seed):
    """Two connections each, so that WATCH has something to see."""
    rng = random.Random(seed)
    pairs = [both(), None]
    pairs[1] = both()
    keys, values = [f"k{i}" for i in range(6)], ["", "1", "-7", "abc", "3.5", "x" * 50, "9223372036854775807"]

    def choose(template):
        return template.format_map(type("Choice", (dict,), {"__missing__": lambda _, name: {
            "k": rng.choice(keys), "v": rng.choice(values), "n": str(rng.randint(-5, 9)),
            "p": str(rng.randint(0, 9))}[name]})())
    history = []
    for _ in range(3000):
        template = rng.choices(RANDOM_COMMANDS, WEIGHTS)[0]
        line = [choose(word) for word in template.split()]
        which = rng.randrange(2)
        history.append((which, line))
        got, expected = [], []
        for client, into in zip(pairs[which], (got, expected)):
            client.raw(client.encode(*line))
            into.append(plain(client.reply()))
        assert got == expected, f"seed {seed}, after {history[-40:]}"
    ours, theirs = pairs[0]
    for db in (0, 1):
        for client in (ours, theirs):
            client.raw(client.encode("DISCARD"))
            client.reply()
            client("SELECT", db)
        assert sorted(ours("KEYS", "*")) == sorted(theirs("KEYS", "*"))
