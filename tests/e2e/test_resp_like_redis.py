# SPDX-License-Identifier: BSD-3-Clause
"""Every reply as redis-server gives it, to the byte: the same scripts run against both. The scripts are in
resp_scripts/, one command a line.

Clients match on error texts and on the difference between nil, empty and zero. What freshet does on
purpose otherwise is in the other test_resp files.
"""
import pathlib
import random
import re

import pytest

from resp_helpers import PLAIN, plain, run

SCRIPTS = {path.stem: path for path in sorted(pathlib.Path(__file__).parent.glob("resp_scripts/*.txt"))}


@pytest.fixture
def both_with_password(redis_server, freshet):
    """As `both`, before AUTH."""
    daemon, admin = freshet(PLAIN + "auth: { password: sesame }\n"), redis_server.resp()
    admin("CONFIG", "SET", "requirepass", "sesame")
    yield lambda: (daemon.resp(), redis_server.resp())
    admin("CONFIG", "SET", "requirepass", "")


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("protocol", [2, 3])
def test_script_has_the_same_replies(both, name, protocol):
    ours, theirs = both(protocol)
    script = SCRIPTS[name].read_text()
    differences = [(line, got, "instead of", expected) for (line, got), (_, expected)
                   in zip(run(ours, script), run(theirs, script)) if got != expected]
    assert differences == []


ARITY = """hello auth ping echo select client config command object memory multi exec discard watch
    unwatch getbit setbit bitcount lcs sort sort_ro get set setnx setex psetex getex getdel getset mget mset msetnx incr decr incrby decrby
    incrbyfloat append strlen setrange getrange substr del unlink exists touch type expire pexpire expireat
    pexpireat ttl pttl expiretime pexpiretime persist rename renamenx copy move scan keys randomkey dbsize
    flushall flushdb swapdb time info subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe
    publish spublish pubsub
    lpush rpush lpushx rpushx lpop rpop llen lrange lindex lset linsert lrem ltrim lpos lmove rpoplpush lmpop blpop brpop
    blmove brpoplpush blmpop bzpopmin bzpopmax bzmpop xadd xlen xrange xrevrange xread xdel xtrim xsetid xinfo
    xreadgroup xack xpending xclaim xautoclaim wait
    hset hsetnx hmset hget hmget hgetall hdel hlen hstrlen hkeys hvals hexists hincrby hincrbyfloat hrandfield hscan
    sadd srem smembers sismember smismember scard spop srandmember smove sinter sintercard sinterstore sunion
    sunionstore sdiff sdiffstore sscan zadd zincrby zrem zcard zcount zlexcount zscore zmscore zrank zrevrank zrange
    zrangestore zrangebyscore zrevrangebyscore zrangebylex zrevrangebylex zrevrange zremrangebyrank zremrangebyscore
    zremrangebylex zpopmin zpopmax zmpop zunion zunionstore zinter zinterstore zintercard zdiff zdiffstore
    zrandmember zscan""".split()


NEW_IN_72 = {"client|no-touch", "client|setinfo", "waitaof"}


def without_notes(specs):
    """Notes are prose; freshet gives none."""
    return [spec[2:] if spec[0] == b"notes" else spec for spec in specs]


def test_table_says_what_redis_says(both):
    """Arity, flags, keys, ACL categories, tips and key specifications of every command (COMMAND INFO, elements 0 to 8)."""
    ours, theirs = both()

    def table(client):
        return {row[0].decode(): [*row[1:8], without_notes(row[8])] for row in client("COMMAND", "INFO", *names) if row}
    names = [name for name in ours("COMMAND", "LIST") if not name.startswith(b"freshet.")]
    got, expected = table(ours), table(theirs)
    assert len(got) > 300 and got.keys() - expected.keys() == NEW_IN_72
    for name, row in expected.items():
        if name.split("|")[0] == "command":
            row[5].remove("@connection")  # the server's in 7.2
        if "blocking" in row[1]:
            row[1] = [flag for flag in row[1] if flag != "noscript"]  # since 7.2 scripts may call what waits; it does not wait then
    for name in ("command|getkeys", "command|getkeysandflags", "zrank", "zrevrank"):
        expected[name][0] = -3  # WITHSCORE is new in 7.2
    expected["wait"][1:2], expected["wait"][5] = [["blocking"]], ["@slow", "@blocking", "@connection"]
    assert {name: row for name, row in got.items() if name not in NEW_IN_72} == expected


@pytest.mark.parametrize("words", ["PATTERN cl*help", "PATTERN config|*re*", "PATTERN config*", "PATTERN *", "ACLCAT keyspace",
                                   "ACLCAT hash", "ACLCAT dangerous", "ACLCAT read", "aclcat TRANSACTION"])
def test_commands_are_listed_as_in_redis(both, words):
    """Those that freshet has."""
    ours, theirs = both()
    known = set(ours("COMMAND", "LIST"))
    got, expected = (set(client("COMMAND", "LIST", "FILTERBY", *words.split())) for client in (ours, theirs))
    assert got - {b"client|setinfo", b"client|no-touch", b"waitaof"} - {n for n in got if n.startswith(b"freshet.")} == expected & known


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", ["get", "mget", "del", "lpush", "zunion", "xread", "lmpop", "zinterstore", "spublish", "ping", "nosuch"])
def test_what_is_said_of_a_command_has_the_same_bytes(both, name, protocol):
    ours, theirs = both(protocol)
    words = [b"COMMAND", b"INFO", name.encode()]
    assert raw_reply(ours, words) == raw_reply(theirs, words)


BROKEN = [  # both answer an error and close
    b"*abc\r\n", b"*01\r\n", b"*2147483648\r\n", b"*1\r\n:1\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$abc\r\n",
    b"*1\r\n$99999999999\r\n", b"*1\r\nPING\r\n", b"*" + b"1" * 65540, b"*1\r\n$" + b"1" * 65540,
    b"x" * 65540, b'GET "a\r\n', b"GET 'a\r\n", b'GET "a"b\r\n', b"PING\r\n*1\r\n:1\r\n",
    b"*1\r\n\r\n", b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*1\r\n" * 1000, b"*1\r\n$\r\n", b"*1\r\n$-0\r\n",
    b"*1\r\n$4294967296\r\n", b"*1\r\n$-9223372036854775808\r\n", b"*9223372036854775807\r\n",
    b"*1\r\n$ 4\r\nPING\r\n", b"*1 \r\n", b"*1\r\n%1\r\n",
    b"GET 'a'b\r\n", b'GET "\\\r\n', b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n", b"host: x\r\nPING\r\n",
]
ODD = [  # both answer, or wait for nothing, and go on
    b"*-1\r\n*1\r\n$4\r\nPING\r\n", b"\r\n\r\nPING\r\n", b"*0\r\nPING\r\n", b"PING\n",
    b"SET a b\r\nGET a\r\n", b'SET "a\\x41" \'b\\\'c\'\r\nGET aA\r\n', b"",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nabcXY*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
    b"*-10\r\nPING\r\n", b"*0\r\n*0\r\nPING\r\n", b"*-2147483648\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", b"ECHO '\\x41'\r\nECHO \"\\x4\"\r\n", b" \t \r\nPING \t \r\n", b"\xff\xfe\r\n",
    b"ECHO a\rb\r\n", b"ECHO a\x0bb\r\n", b"*1\r\n$6\r\nPI\r\nNG\r\n",
]


@pytest.mark.parametrize("sent", BROKEN + [odd + b"QUIT\r\n" for odd in ODD],
                         ids=lambda sent: repr(sent[:40]))
def test_broken_and_odd_bytes_get_the_same_answer(both, sent):
    ours, theirs = both()
    for client in (ours, theirs):
        client.raw(sent)
    assert everything(ours) == everything(theirs)


def everything(client):
    """All that comes until the other side closes. A close on unread input is a reset; redis-server's may cost
    its own answer, so what came before it is kept piece by piece."""
    answer = b""
    try:
        while piece := client.socket.recv(1 << 16):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


@pytest.mark.parametrize("sent", [
    b"*10\r\n" + b"$4\r\nPING\r\n" * 10, b"*11\r\n", b"*-1\r\n", b"*1048577\r\n", b"*2\r\n$4\r\nAUTH\r\n$16385\r\n",
    b"*2\r\n$4\r\nAUTH\r\n$-1\r\n", b"*2\r\n$4\r\nAUTH\r\n$16384\r\n" + b"x" * 16384 + b"\r\n",
    b"*2\r\n$4\r\nAUTH\r\n$99999999999\r\n", b"AUTH wrong\r\n", b"EXEC\r\n", b"MULTI\r\nEXEC\r\n",
    b"CLIENT ID\r\nCONFIG GET *\r\nNOSUCH\r\nCLIENT NOSUCH\r\nGET\r\nSHUTDOWN\r\n",
    b"HELLO 3 AUTH default\r\nHELLO 4\r\nAUTH a b c\r\nAUTH\r\nRESET\r\nPING\r\n",
], ids=lambda sent: repr(sent[:40]))
def test_strangers_get_the_same_answers(both_with_password, sent):
    ours, theirs = both_with_password()
    for client in (ours, theirs):
        client.raw(sent + b"QUIT\r\n")
    assert everything(ours) == everything(theirs)


RANDOM_COMMANDS = [
    "GET {k}", "SET {k} {v}", "SET {k} {v} EX 1000", "SET {k} {v} NX", "SET {k} {v} XX GET",
    "SET {k} {v} KEEPTTL", "APPEND {k} {v}", "STRLEN {k}", "INCR {k}", "INCRBY {k} {n}", "DECRBY {k} {n}",
    "INCRBYFLOAT {k} 0.5", "GETRANGE {k} {n} {n}", "SETRANGE {k} {p} {v}", "DEL {k} {k}", "EXISTS {k} {k}",
    "RENAME {k} {k}", "RENAMENX {k} {k}", "COPY {k} {k}", "COPY {k} {k} REPLACE", "EXPIRE {k} 1000",
    "EXPIRE {k} -1", "EXPIRE {k} 500 GT", "TTL {k}", "PERSIST {k}", "MSET {k} {v} {k} {v}",
    "MSETNX {k} {v} {k} {v}", "MGET {k} {k} {k}", "GETDEL {k}", "GETEX {k} PERSIST", "GETSET {k} {v}",
    "TYPE {k}", "DBSIZE", "MOVE {k} 1", "SETNX {k} {v}", "MULTI", "EXEC", "DISCARD",
    "SETBIT {k} {p} 1", "SETBIT {k} 300 0", "GETBIT {k} {p}", "BITCOUNT {k}", "BITCOUNT {k} {n} {n}",
    "BITCOUNT {k} {n} {n} BIT", "LCS {k} {k}", "LCS {k} {k} LEN", "LCS {k} {k} IDX WITHMATCHLEN",
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


# Everything in the table that can be compared: not what tells of the server itself, of time, or of chance.
ALIKE = """getbit setbit lcs auth ping echo select multi exec discard watch unwatch get set setnx setex psetex getex getdel getset mget
    mset msetnx incr decr incrby decrby incrbyfloat append strlen setrange getrange substr del unlink exists touch
    type expire pexpire expireat pexpireat ttl persist rename renamenx copy move keys dbsize flushall
    flushdb swapdb object|nosuch client|getname client|setname client|getredir
    client|reply client|nosuch client|no-evict client|kill client|list
    config|resetstat config|nosuch command|count memory|usage memory|nosuch
    function|flush scan reset nosuch
    hset hsetnx hmset hget hmget hgetall hdel hlen hstrlen hkeys hvals hexists hincrby hincrbyfloat hscan
    sadd srem smembers sismember smismember scard smove sinter sintercard sinterstore sunion sunionstore sdiff
    sdiffstore sscan zadd zincrby zrem zcard zcount zlexcount zscore zmscore zrange zrangestore zrangebyscore
    zrevrangebyscore zrangebylex zrevrangebylex zrevrange zremrangebyrank zremrangebyscore zremrangebylex zpopmin
    zpopmax zmpop zunion zunionstore zinter zinterstore zintercard zdiff zdiffstore zscan""".split()
WEIRD = ["", "0", "1", "-1", "2", "10", "007", "+5", " 5", "5 ", "1e3", "0x10", "3.5", "-0", "nan", "inf", "1.0e400",
         "9223372036854775807", "-9223372036854775808", "9223372036854775808", "99999999999999999999",
         "EX", "px", "EXAT", "PXAT", "NX", "xx", "GET", "KEEPTTL", "PERSIST", "GT", "lt", "REPLACE", "DB", "MATCH",
         "COUNT", "TYPE", "string", "ASYNC", "SYNC", "*", "k?", "[a-c]*", "\\", "a\r\nb", "\0", "\xff\xfe", "x" * 50,
         "y" * 600, "BYSCORE", "bylex", "REV", "LIMIT", "withscores", "WEIGHTS", "AGGREGATE", "max", "MIN", "CH", "INCR",
         "(1", "[k1", "+", "-", "-inf", "k1", "k2", "2", "1", "0", "default", "AUTH", "SETNAME", "ID", "ADDR", "SKIPME", "yes", "on", "off"]
TEXT_OF_72 = re.compile(rb"HELLO (<proto> )?AUTH")  # redis-server here is 7.0, freshet speaks 7.2


def strange_commands(rng):
    while True:
        name = rng.choice(ALIKE)
        words = [word.upper() if rng.random() < 0.3 else word for word in name.split("|")]
        if name in ("command|count", "memory|usage", "client|list", "client|kill", "scan"):
            words.append(rng.choice(["nosuch", "x y"]))  # only what is refused, or empty
        for _ in range(min(rng.randrange(8), rng.randrange(8))):
            words.append(rng.choice(WEIRD) if rng.random() < 0.5 else f"k{rng.randrange(4)}")
        if name == "set" or "ex" in name:
            # No expiry that could come between one server's answer and the other's.
            words[1:] = ["100000" if word in ("1", "2", "10", "007") else word for word in words[1:]]
        if name in ("sscan", "hscan", "zscan"):
            words[2:3] = ["0"]  # a cursor of the other server means nothing
        yield [word.encode("latin-1") for word in words]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_strange_commands_get_the_same_bytes(both, seed, protocol):
    """Any command with any arguments: replies and refusals are those of redis-server, byte for byte."""
    rng = random.Random(f"strange {seed} {protocol}")
    ours, theirs = both(protocol)
    commands = strange_commands(rng)
    differences = []
    for _ in range(3000):
        words = next(commands)
        if words[0].lower() == b"client" and words[1].lower() == b"reply" and len(words) == 3:
            continue  # nothing may be answered at all
        got, expected = raw_reply(ours, words), raw_reply(theirs, words)
        if got != expected:
            differences.append((words, got, "instead of", expected))
            break  # from here on the two may be in different states
    assert differences == []


SCORE = re.compile(rb"(?:\$\d+\r\n|,)(-?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf))\r\n")  # 7.0 writes more digits


def raw_reply(client, words):
    client.raw(client.encode(*words))
    reply = TEXT_OF_72.sub(b"HELLO AUTH", one_reply(client.file))
    if words[0][:1] in b"zZ":
        return SCORE.sub(lambda found: repr(float(found[1])).encode() + b"\r\n", reply)
    return reply


def one_reply(file):
    line = file.readline()
    kind, rest = line[:1], line[1:-2]
    if kind in b"$=!" and rest != b"-1":
        return line + file.read(int(rest) + 2)
    if kind in b"*~>%" and rest != b"-1":
        count = int(rest) * (2 if kind == b"%" else 1)
        items = [one_reply(file) for _ in range(count)]
        if kind == b"%":
            items = [name + value for name, value in zip(items[::2], items[1::2])]
        return line + b"".join(sorted(items))  # the order of KEYS is nobody's
    return line
