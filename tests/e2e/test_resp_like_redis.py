# SPDX-License-Identifier: BSD-3-Clause
"""Every reply as redis-server gives it, to the byte: the same scripts run against both.

Clients match on error texts and on the difference between nil, empty and zero. What freshet does on
purpose otherwise is in the other test_resp files.
"""
import random

import pytest

from resp_helpers import PLAIN, RedisServer, plain, run

SCRIPTS = {
    "get_and_set": r"""
        GET missing
        SET k v
        GET k
        SET k ""
        GET k
        STRLEN k
        SET "key with spaces" "\x00\x01\xff\r\n"
        GET "key with spaces"
        SET k
        SET k v EX
        SET k v FOO
        GET
        GET a b
        """,
    "set_conditions": r"""
        SET k 1 XX
        GET k
        SET k 1 NX
        SET k 2 NX
        SET k 3 XX
        GET k
        SET k 4 NX XX
        SET k 4 XX NX
        SET k 4 GET
        SET new 5 GET
        GET new
        SET k 6 NX GET
        GET k
        SET other 7 NX GET
        GET other
        SET absent 8 XX GET
        EXISTS absent
        SET k v nx px 100000
        set k v xx Px 100000
        """,
    "set_expiries": r"""
        SET k v EX 100
        TTL k
        SET k v KEEPTTL
        TTL k
        SET k v
        TTL k
        SET k v PX 100000
        TTL k
        SET k v EX 100 PX 100000
        SET k v EX 100 EX 200
        TTL k
        SET k v EX 100 KEEPTTL
        SET k v KEEPTTL EX 100
        SET k v EX 0
        SET k v EX -1
        SET k v EX abc
        SET k v EX 9223372036854775807
        SET k v PX 9223372036854775807
        SET k v EX 9223372036854776
        SET k v EXAT 9999999999
        EXPIRETIME k
        SET k v PXAT 9999999999999
        EXPIRETIME k
        SET k v EXAT 0
        SET k v EXAT 1
        GET k
        SET k v PXAT 1
        EXISTS k
        SET k v EX 100 PERSIST
        """,
    "setex": r"""
        SETEX k 100 v
        TTL k
        SETEX k 0 v
        SETEX k -5 v
        SETEX k x v
        PSETEX k 100000 v
        TTL k
        PSETEX k 0 v
        SETEX k 9223372036854775807 v
        SETNX k other
        SETNX free other
        GET free
        GETSET free next
        GETSET none first
        GET none
        GETDEL none
        GETDEL none
        SETEX k 10
        """,
    "getset_drops_the_expiry": r"""
        SET k v EX 100
        GETSET k w
        TTL k
        """,
    "getex": r"""
        GETEX k
        SET k v
        GETEX k EX 100
        TTL k
        GETEX k
        TTL k
        GETEX k PERSIST
        TTL k
        GETEX k PX 100000
        TTL k
        GETEX k EXAT 9999999999
        EXPIRETIME k
        GETEX k EX 100 PERSIST
        GETEX k PERSIST EX 100
        GETEX k KEEPTTL
        GETEX k NX
        GETEX k EX 0
        GETEX k EX x
        GETEX k PXAT 1
        EXISTS k
        GETEX missing EX 0
        """,
    "several_keys": r"""
        MSET a 1 b 2 c 3
        MGET a b nothing c
        MGET a
        MSET a
        MSET a 1 b
        MSETNX a 9 d 4
        EXISTS d
        MSETNX d 4 e 5
        MGET d e
        MSETNX d
        MSET a 1 a 2
        GET a
        DEL a b nothing
        UNLINK c
        UNLINK c d e
        EXISTS a a
        SET a 1
        EXISTS a a nothing
        TOUCH a a nothing
        DEL
        EXISTS
        MGET
        """,
    "integers": r"""
        INCR n
        INCR n
        DECR n
        INCRBY n 10
        DECRBY n 3
        GET n
        INCRBY n -20
        INCRBY n abc
        INCRBY n 1.5
        INCRBY n " 1"
        DECRBY n -9223372036854775808
        SET n 9223372036854775807
        INCR n
        INCRBY n 1
        DECR n
        SET n -9223372036854775808
        DECR n
        INCRBY n -1
        INCRBY n 9223372036854775807
        SET s abc
        INCR s
        SET s " 1"
        INCR s
        SET s 01
        INCR s
        SET s "1 "
        INCR s
        SET s ""
        INCR s
        SET s +1
        INCR s
        SET s -0
        INCR s
        SET s 1.0
        INCR s
        SET s 99999999999999999999
        INCR s
        """,
    "integers_keep_the_expiry": r"""
        SET n 5 EX 100
        INCR n
        TTL n
        APPEND n 0
        TTL n
        SETRANGE n 0 9
        TTL n
        INCRBYFLOAT n 0.5
        TTL n
        """,
    "fractions": r"""
        INCRBYFLOAT f 1.5
        INCRBYFLOAT f 1.5
        INCRBYFLOAT f -3
        INCRBYFLOAT f 0.1
        INCRBYFLOAT f 0.2
        GET f
        INCRBYFLOAT f 1e20
        INCRBYFLOAT f -1e20
        INCRBYFLOAT f abc
        INCRBYFLOAT f " 1"
        INCRBYFLOAT f "1 "
        INCRBYFLOAT f ""
        INCRBYFLOAT f inf
        INCRBYFLOAT f -inf
        INCRBYFLOAT f nan
        INCRBYFLOAT f 1e5000
        SET f 3.0e3
        INCRBYFLOAT f 200
        SET f 5.0
        INCRBYFLOAT f 0
        SET f -0.0
        INCRBYFLOAT f 0
        SET f abc
        INCRBYFLOAT f 1
        SET f 10.50
        INCRBYFLOAT f 0.1
        INCRBYFLOAT f -5
        INCRBYFLOAT f 0x1p3
        INCRBYFLOAT f 3.141592653589793238462643383279
        INCRBYFLOAT f 1234567890123456789
        """,
    "ranges": r"""
        APPEND k abc
        APPEND k def
        APPEND k ""
        GET k
        STRLEN k
        STRLEN missing
        GETRANGE k 0 -1
        GETRANGE k 1 3
        GETRANGE k -3 -1
        GETRANGE k -1 -3
        GETRANGE k 3 1
        GETRANGE k 4 100
        GETRANGE k -100 2
        GETRANGE k -100 -50
        GETRANGE k 100 200
        GETRANGE missing 0 -1
        SUBSTR k 0 2
        GETRANGE k a 2
        GETRANGE k 0 b
        SETRANGE k 1 XX
        GET k
        SETRANGE k 10 end
        GET k
        SETRANGE new 3 x
        GET new
        SETRANGE new2 0 ""
        EXISTS new2
        SETRANGE new 9 ""
        SETRANGE new -1 x
        SETRANGE new abc x
        SETRANGE new 9223372036854775807 x
        SETRANGE missing 0 abc
        GETRANGE k 9223372036854775807 -9223372036854775808
        """,
    "expire": r"""
        EXPIRE missing 100
        SET k v
        TTL k
        PTTL k
        TTL missing
        PTTL missing
        EXPIRETIME k
        EXPIRETIME missing
        PEXPIRETIME k
        EXPIRE k 100
        TTL k
        PEXPIRE k 50000
        TTL k
        EXPIREAT k 9999999999
        EXPIRETIME k
        PEXPIREAT k 9999999999000
        EXPIRETIME k
        PERSIST k
        PERSIST k
        PERSIST missing
        TTL k
        EXPIRE k abc
        EXPIRE k 1.5
        EXPIRE k 9223372036854775807
        PEXPIRE k 9223372036854775807
        EXPIRE k -9223372036854775808
        EXISTS k
        EXPIRE k 0
        EXISTS k
        SET k v
        EXPIRE k -1
        EXISTS k
        SET k v
        EXPIREAT k 1
        EXISTS k
        SET k v
        PEXPIREAT k -5
        EXISTS k
        EXPIRE k
        """,
    "expire_conditions": r"""
        SET k v
        EXPIRE k 100 XX
        EXPIRE k 100 GT
        EXPIRE k 100 NX
        EXPIRE k 200 NX
        EXPIRE k 200 XX
        EXPIRE k 100 GT
        EXPIRE k 300 GT
        EXPIRE k 400 LT
        EXPIRE k 50 LT
        TTL k
        EXPIRE k 100 XX GT
        TTL k
        EXPIRE k 100 NX XX
        EXPIRE k 100 NX GT
        EXPIRE k 100 GT LT
        EXPIRE k 100 FOO
        EXPIRE k -1 GT
        EXISTS k
        PERSIST k
        EXPIRE k 100 LT
        TTL k
        EXPIRE k 0 LT
        EXISTS k
        EXPIRE k 100 FOO BAR
        EXPIRE missing 100 FOO
        """,
    "rename": r"""
        RENAME missing k
        SET a 1 EX 100
        RENAME a b
        EXISTS a
        GET b
        TTL b
        SET c 2
        RENAME b c
        GET c
        TTL c
        SET d 4
        RENAMENX c d
        RENAMENX c e
        GET e
        RENAMENX missing f
        RENAME e e
        RENAMENX e e
        RENAME missing missing
        RENAME a
        """,
    "copy_and_move": r"""
        SET a 1 EX 100
        COPY a b
        TTL b
        COPY a b
        SET a 2
        COPY a b REPLACE
        GET b
        TTL b
        COPY missing x
        COPY a a
        COPY a a DB 1
        COPY a b DB 99
        COPY a b DB abc
        COPY a b FOO
        COPY a b DB
        MOVE a 1
        MOVE a 2
        EXISTS a
        MOVE a 0
        MOVE a 99
        MOVE a abc
        MOVE missing 3
        SELECT 2
        GET a
        MOVE a 0
        SELECT 0
        GET a
        """,
    "databases": r"""
        SELECT 3
        SET k three
        SELECT 0
        GET k
        DBSIZE
        SWAPDB 0 3
        GET k
        SWAPDB 3 0
        SELECT 3
        DBSIZE
        FLUSHDB
        DBSIZE
        SELECT 99
        SELECT -1
        SELECT abc
        SWAPDB a 1
        SWAPDB 1 b
        SWAPDB 1 99
        SET k v
        FLUSHALL ASYNC
        DBSIZE
        FLUSHALL SYNC
        FLUSHDB ASYNC
        FLUSHDB FOO
        FLUSHALL FOO BAR
        RANDOMKEY
        SET only 1
        RANDOMKEY
        """,
    "types_and_objects": r"""
        TYPE missing
        SET k v
        TYPE k
        OBJECT ENCODING k
        SET k 123
        OBJECT ENCODING k
        SET k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        OBJECT ENCODING k
        SET k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        OBJECT ENCODING k
        SET k 99999999999999999999
        OBJECT ENCODING k
        OBJECT ENCODING missing
        OBJECT IDLETIME missing
        OBJECT REFCOUNT missing
        OBJECT REFCOUNT k
        OBJECT IDLETIME k
        OBJECT
        OBJECT FOO k
        OBJECT ENCODING
        MEMORY USAGE missing
        MEMORY USAGE k FOO 1
        MEMORY FOO
        MEMORY PURGE
        """,
    "keys_and_scan": r"""
        KEYS *
        MSET one 1
        KEYS *
        KEYS o*
        KEYS x*
        KEYS o?e
        KEYS [a-o]ne
        KEYS [^o]ne
        KEYS \\\\one
        SCAN 0
        SCAN 0 MATCH o* COUNT 100
        SCAN 0 MATCH x*
        SCAN 0 TYPE string
        SCAN 0 TYPE list
        SCAN 0 COUNT 0
        SCAN 0 COUNT abc
        SCAN abc
        SCAN 0 FOO
        SCAN 0 FOO bar
        SCAN 0 COUNT
        KEYS
        SCAN
        """,
    "transactions": r"""
        EXEC
        DISCARD
        MULTI
        SET a 1
        INCR a
        GET a
        EXEC
        GET a
        MULTI
        SET a 5
        DISCARD
        GET a
        MULTI
        EXEC
        MULTI
        MULTI
        EXEC
        MULTI
        WATCH a
        EXEC
        MULTI
        DISCARD
        DISCARD
        """,
    "transaction_errors": r"""
        MULTI
        SET a 1
        NOSUCH
        SET b 1
        EXEC
        EXISTS a b
        MULTI
        SET a
        EXEC
        MULTI
        SET a abc
        INCR a
        SET b 2
        EXEC
        MGET a b
        MULTI
        CLIENT FOO
        EXEC
        MULTI
        GET a
        EXEC extra
        EXEC
        MULTI
        SELECT 1
        SET in_one 1
        EXEC
        EXISTS in_one
        SELECT 0
        EXISTS in_one
        """,
    "watch": r"""
        WATCH
        WATCH k
        MULTI
        SET k 1
        EXEC
        WATCH k
        SET k 2
        MULTI
        SET k 3
        EXEC
        GET k
        WATCH k
        SET k 2
        UNWATCH
        MULTI
        SET k 3
        EXEC
        WATCH k
        DEL k
        MULTI
        EXEC
        WATCH k
        SET k 1
        DISCARD
        MULTI
        EXEC
        WATCH k
        SET k 1
        MULTI
        DISCARD
        MULTI
        EXEC
        WATCH k
        EXPIRE k 100
        MULTI
        EXEC
        WATCH k other
        RENAME k other
        MULTI
        EXEC
        WATCH other
        FLUSHALL
        MULTI
        EXEC
        WATCH nothing
        FLUSHALL
        DEL nothing
        MULTI
        EXEC
        """,
    "unknown_commands": r"""
        NOSUCH
        NOSUCH a
        nosuch a "b c" d
        "no\nsuch" "a\r\nb"
        NOSUCH aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b
        NOSUCH aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbb c
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        "" a
        get
        CLIENT NOSUCH
        client nosuch a b
        CONFIG NOSUCH
        COMMAND NOSUCH
        CLIENT
        CONFIG
        MEMORY
        FUNCTION
        """,
    "connection": r"""
        PING
        PING hello
        PING a b
        ping
        ECHO hello
        ECHO
        ECHO a b
        SELECT
        AUTH secret
        AUTH default secret
        AUTH nobody secret
        AUTH a b c
        AUTH
        HELLO 4
        HELLO abc
        HELLO 1
        HELLO 2 FOO
        HELLO 2 AUTH a
        HELLO 2 AUTH nobody x
        HELLO 2 SETNAME
        HELLO 2 SETNAME "a b"
        CLIENT GETNAME
        CLIENT SETNAME me
        CLIENT GETNAME
        CLIENT SETNAME "a b"
        CLIENT SETNAME ""
        CLIENT GETNAME
        CLIENT SETNAME
        CLIENT GETREDIR
        CLIENT NO-EVICT ON
        CLIENT NO-EVICT foo
        CLIENT REPLY foo
        CLIENT KILL 1.2.3.4:5
        CLIENT KILL ID 999999
        CLIENT KILL ID abc
        CLIENT KILL ID 0
        CLIENT KILL ADDR 1.2.3.4:5
        CLIENT KILL TYPE nosuch
        CLIENT KILL TYPE pubsub
        CLIENT KILL FOO bar
        CLIENT KILL ID 1 FOO
        CLIENT KILL USER nobody
        CLIENT KILL SKIPME maybe
        CLIENT LIST TYPE nosuch
        CLIENT LIST TYPE pubsub
        CLIENT LIST ID abc
        CLIENT LIST ID 0
        CLIENT LIST FOO
        RESET
        """,
    "settings": r"""
        CONFIG GET save
        CONFIG GET appendonly
        CONFIG GET databases
        CONFIG GET nosuch
        CONFIG GET
        CONFIG SET
        CONFIG SET save
        CONFIG SET save "" appendonly
        CONFIG SET save ""
        CONFIG SET nosuch 1
        CONFIG RESETSTAT
        CONFIG REWRITE
        FUNCTION FLUSH
        FUNCTION FLUSH ASYNC
        FUNCTION FLUSH FOO
        """,
    "command": r"""
        COMMAND INFO nosuch
        COMMAND GETKEYS GET k
        COMMAND GETKEYS MSET a 1 b 2
        COMMAND GETKEYS MGET a b c
        COMMAND GETKEYS RENAME a b
        COMMAND GETKEYS OBJECT ENCODING k
        COMMAND GETKEYS DEL a b
        COMMAND GETKEYS SET k v EX 1
        COMMAND GETKEYS NOSUCH a
        COMMAND GETKEYS GET a b
        COMMAND LIST FILTERBY FOO bar
        COMMAND LIST FILTERBY MODULE x
        COMMAND LIST FOO
        COMMAND DOCS nosuch
        COMMAND COUNT x
        COMMAND GETKEYS
        """,
}


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
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
    differences = [(line, got, "instead of", expected) for (line, got), (_, expected)
                   in zip(run(ours, SCRIPTS[name]), run(theirs, SCRIPTS[name])) if got != expected]
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
