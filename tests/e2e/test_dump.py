# SPDX-License-Identifier: BSD-3-Clause
"""DUMP and RESTORE: values move between freshet and redis-server both ways, and whatever is broken is refused."""
import random
import struct

import pytest

from resp_client import RespError
from resp_helpers import PLAIN, plain

CRC_TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ 0x95AC9329AC4BC9B5 if n & 1 else n >> 1
    CRC_TABLE.append(n)


def framed(body, version=11):
    payload = body + struct.pack("<H", version)
    crc = 0
    for byte in payload:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return payload + struct.pack("<Q", crc)


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    assert len(value) < 1 << 14
    return (bytes([len(value)]) if len(value) < 64 else struct.pack(">H", 0x4000 | len(value))) + value


VALUES = {
    "text": [["SET", "text", "hello"]], "empty": [["SET", "empty", ""]],
    "int8": [["SET", "int8", -7]], "int16": [["SET", "int16", -3000]], "int32": [["SET", "int32", 1 << 30]],
    "int64": [["SET", "int64", 1 << 60]], "bytes": [["SET", "bytes", bytes(range(256)) * 70]],
    "packs": [["SET", "packs", "abc" * 1000 + "xyz" * 1000]], "long": [["SET", "long", "a" * 100000]],
    "ttl": [["SET", "ttl", "v", "EX", 1000]],
    "hash": [["HSET", "hash", "f", "v", "n", 12, "", "empty", "big", "y" * 500, "neg", -5000, "i64", 1 << 62]],
    "hash of many": [["HSET", "hash of many", *[w for i in range(600) for w in (f"field {i}", i * 7919)]]],
    "intset": [["SADD", "intset", 1, -2, 300]], "intset 32": [["SADD", "intset 32", 1, -70000]],
    "intset 64": [["SADD", "intset 64", 1, -(1 << 40)]], "set": [["SADD", "set", "a", "b", 3, ""]],
    "set of many": [["SADD", "set of many", *[f"member {i}" for i in range(700)]]],
    "zset": [["ZADD", "zset", 1.5, "a", "-inf", "b", "inf", "c", 3, "d", 1e300, "e", -0.1, "f"]],
    "zset of many": [["ZADD", "zset of many", *[w for i in range(300) for w in (i / 7, f"member {i}")]]],
    "list": [["RPUSH", "list", "a", 1, 127, 128, 4095, -4096, 4096, 40000, 1 << 22, 1 << 33, "", "x" * 100, "z" * 5000]],
    "list of many": [["RPUSH", "list of many", *[f"element {i}" for i in range(3000)]]],
    "stream": [["XADD", "stream", "5-1", "f", "v", "n", 12], ["XADD", "stream", "5-3", "other", "x" * 5000],
               ["XADD", "stream", "9-0", "f", "w", "n", -70000], ["XADD", "stream", "9-2", "gone", 1],
               ["XDEL", "stream", "9-2"], ["XADD", "stream", "1700000000000-7", "", "y" * 100]],
    "stream of many": [["XADD", "stream of many", f"{i * 7}-{i}", "name", f"n{i}", "i", i * 1000] for i in range(1, 350)],
    "emptied stream": [["XADD", "emptied stream", "5-1", "f", "v"], ["XDEL", "emptied stream", "5-1"]],
    "list of steps": [["RPUSH", "list of steps", *["e" * (n - k) for n in (127, 128, 16382, 16383, 16384) for k in (1, 2, 5)]]],
    "list of large": [["RPUSH", "list of large", "q" * 20000, "small", bytes(range(256)) * 100]],
}


def show(client, key):
    kind = client("TYPE", key)
    if kind == "string":
        return client("GET", key)
    if kind == "hash":
        flat = client("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))
    if kind == "set":
        return set(client("SMEMBERS", key))
    if kind == "zset":
        flat = client("ZRANGE", key, 0, -1, "WITHSCORES")  # redis 7.0 writes 17 digits, 7.2 as few as do
        return [float(w) if i % 2 else w for i, w in enumerate(flat)]
    if kind == "stream":
        info = client("XINFO", "STREAM", key)
        info = dict(zip(info[::2], info[1::2]))
        return client("XRANGE", key, "-", "+"), [info[f] for f in (b"length", b"last-generated-id", b"entries-added",
                                                                   b"max-deleted-entry-id")]
    return client("LRANGE", key, 0, -1)


@pytest.mark.parametrize("name", VALUES)
def test_values_move_both_ways(both, name):
    ours, theirs = both()
    for command in VALUES[name]:
        ours(*command)
        theirs(*command)
    expected = show(theirs, name)
    assert show(ours, name) == expected
    assert ours("RESTORE", "from redis", 0, theirs("DUMP", name)) == "OK"
    assert show(ours, "from redis") == expected
    assert theirs("RESTORE", "from freshet", 0, ours("DUMP", name)) == "OK"
    assert show(theirs, "from freshet") == expected
    assert ours("RESTORE", name, 5000, ours("DUMP", name), "REPLACE") == "OK"
    assert show(ours, name) == expected and 0 < ours("PTTL", name) <= 5000
    assert ours("TTL", "from redis") == -1


def test_large_zset_keeps_its_scores(both):
    ours, theirs = both()
    rng = random.Random(5)
    scores = [rng.uniform(-1e9, 1e9) for _ in range(500)]
    theirs("ZADD", "z", *[w for i, s in enumerate(scores) for w in (repr(s), f"m{i}")])
    ours("RESTORE", "z", 0, theirs("DUMP", "z"))
    theirs("RESTORE", "back", 0, ours("DUMP", "z"))
    assert show(theirs, "back") == show(theirs, "z")


def listpack(*entries):
    body = b""
    for entry in entries:
        raw = bytes([0x80 | len(entry)]) + entry if isinstance(entry, bytes) else bytes([entry])
        body += raw + bytes([len(raw)])
    return struct.pack("<IH", 7 + len(body), len(entries)) + body + b"\xff"


def ziplist(*entries):
    body, before = b"", 0
    for entry in entries:
        raw = bytes([before]) + (bytes([len(entry)]) + entry if isinstance(entry, bytes) else entry[0])
        body, before = body + raw, len(raw)
    return struct.pack("<IIH", 11 + len(body), 10 + len(body) - before, len(entries)) + body + b"\xff"


def changed(data, at, byte):
    return data[:at] + bytes([byte]) + data[at + 1:]


def z(raw):
    """An integer of a ziplist, as its bytes."""
    return [raw]


OLD = {
    "list of ziplist": (b"\x0a" + text(ziplist(b"a", z(b"\xf1"), z(b"\xfd"), z(b"\xfe\x80"), b"bc")),
                        [b"a", b"0", b"12", b"-128", b"bc"]),
    "ziplist integers": (b"\x0a" + text(ziplist(z(b"\xc0\x00\x80"), z(b"\xf0\xff\xff\x7f"), z(b"\xd0\x00\x00\x00\x80"),
                                                z(b"\xe0" + b"\xff" * 8))),
                         [b"-32768", b"8388607", b"-2147483648", b"-1"]),
    "hash of ziplist": (b"\x0d" + text(ziplist(b"f", b"v", b"g", z(b"\xf3"))), {b"f": b"v", b"g": b"2"}),
    "zset of ziplist": (b"\x0c" + text(ziplist(b"m", b"1.5", b"n", z(b"\xf4"))), [b"m", 1.5, b"n", 3]),
    "quicklist of ziplists": (b"\x0e\x02" + text(ziplist(b"a")) + text(ziplist(b"b", b"c")), [b"a", b"b", b"c"]),
    "set of listpack": (b"\x14" + text(listpack(b"a", 5, b"b")), {b"a", b"5", b"b"}),
    "zset with scores as text": (b"\x03\x03" + text("a") + b"\x031.5" + text("b") + b"\xff" + text("c") + b"\xfe",
                                 [b"b", float("-inf"), b"a", 1.5, b"c", float("inf")]),
    "stream of Redis 5": (b"\x0f\x01\x10" + struct.pack(">QQ", 5, 1)
                          + text(listpack(2, 1, 1, b"f", 0, 2, 0, 0, b"v", 4, 3, 1, 0, b"gone", 4, 2, 2, 7, b"w", 4))
                          + b"\x02\x07\x08\x00", ([[b"5-1", [b"f", b"v"]], [b"7-8", [b"f", b"w"]]],
                                                 [2, b"7-8", 2, b"0-0"])),
    "long length": (b"\x00\x80\x00\x00\x00\x03abc", b"abc"),
    "length of 8 bytes": (b"\x00\x81" + b"\x00" * 7 + b"\x03abc", b"abc"),
}


@pytest.mark.parametrize("name", OLD)
def test_what_older_and_newer_servers_write_is_read(freshet, name):
    redis = freshet(PLAIN).resp()
    body, expected = OLD[name]
    for version in (6, 11):
        assert redis("RESTORE", "k", 0, framed(body, version), "REPLACE") == "OK"
        assert show(redis, "k") == expected


BAD = {
    "nothing": b"", "only a type": b"\x00", "short text": b"\x00\x05abc", "rest": b"\x00\x01ab",
    "unknown type": b"\x63\x00", "stream with a group": b"\x0f\x00\x00\x00\x00\x01\x01g",
    "stream out of order": b"\x0f\x01\x10" + struct.pack(">QQ", 5, 1)
    + text(listpack(2, 0, 1, b"f", 0, 2, 0, 0, b"v", 4, 2, 0, 0, b"w", 4)) + b"\x02\x07\x08\x00",
    "stream above its last id": b"\x0f\x01\x10" + struct.pack(">QQ", 5, 1)
    + text(listpack(1, 0, 1, b"f", 0, 2, 0, 0, b"v", 4)) + b"\x01\x05\x00\x00", "stream": b"\x0f\x00", "module": b"\x07\x00", "empty list": b"\x01\x00",
    "empty set": b"\x02\x00", "twice in a set": b"\x02\x02\x01a\x01a", "field twice": b"\x04\x02\x01a\x01b\x01a\x01c",
    "member twice": b"\x05\x02\x01a" + b"\0" * 8 + b"\x01a" + b"\0" * 8,
    "NaN": b"\x05\x01\x01a" + struct.pack("<d", float("nan")), "count too large": b"\x01\x80\xff\xff\xff\xff\x01a",
    "listpack cut": b"\x14" + text(listpack(b"a", b"b")[:-2] + b"\xff"), "half a field": b"\x10" + text(listpack(b"a")),
    "listpack entry too long": b"\x14" + text(struct.pack("<IH", 10, 1) + b"\xbfab\xff"), "empty listpack": b"\x14" + text(listpack()),
    "intset cut": b"\x0b" + text(struct.pack("<II", 2, 3) + b"\x01\x00"), "intset size": b"\x0b" + text(struct.pack("<II", 3, 1) + b"abc"),
    "listpack count": b"\x14" + text(changed(listpack(b"a", b"b"), 4, 3)),
    "listpack length for reading back": b"\x14" + text(changed(listpack(b"a", b"b"), 8, 3)),
    "ziplist count": b"\x0a" + text(changed(ziplist(b"a", b"b"), 8, 3)),
    "ziplist tail": b"\x0a" + text(changed(ziplist(b"a", b"b"), 4, 10)),
    "ziplist length before, too long": b"\x0a" + text(changed(ziplist(b"a", b"b"), 13, 14)),
    "ziplist length before, too short": b"\x0a" + text(changed(ziplist(b"a", b"b"), 13, 2)),
    "empty plain node": b"\x12\x01\x01\x00",
    "LZF too long": b"\x00\xc3\x02\x3f\x00a", "LZF back too far": b"\x00\xc3\x04\x08\x00a\x20\x05", "bad length": b"\x00\x82abc",
    "LZF bomb": b"\x00\xc3\x02\x80\x7f\xff\xff\xff\x00a", "length overflow": b"\x00\x81" + b"\xff" * 8,
}


@pytest.mark.parametrize("name", BAD)
def test_broken_values_are_refused_and_change_nothing(freshet, name):
    redis = freshet(PLAIN).resp()
    redis("SET", "k", "old")
    with pytest.raises(RespError, match="^ERR Bad data format$"):
        redis("RESTORE", "k", 0, framed(BAD[name]), "REPLACE")
    assert redis("GET", "k") == b"old"


def test_every_changed_byte_is_noticed(freshet):
    redis = freshet(PLAIN).resp()
    redis("HSET", "h", "field", "value")
    payload = redis("DUMP", "h")
    for i in range(len(payload)):
        broken = payload[:i] + bytes([payload[i] ^ 0x10]) + payload[i + 1:]
        with pytest.raises(RespError, match="^ERR DUMP payload version or checksum are wrong$"):
            redis("RESTORE", "k", 0, broken)
    with pytest.raises(RespError, match="version or checksum"):
        redis("RESTORE", "k", 0, framed(b"\x00\x01a", version=12))
    assert redis("EXISTS", "k") == 0


def test_random_bytes_with_a_right_checksum_never_harm(freshet):
    """A small fuzz: what was read is either refused or a value that can be dumped again."""
    redis = freshet(PLAIN).resp()
    rng = random.Random(11)
    seeds = [body for body, _ in OLD.values()] + list(BAD.values())
    for _ in range(3000):
        body = bytearray(rng.choice(seeds) or b"\0")
        for _ in range(rng.randrange(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        redis.raw(redis.encode("RESTORE", "k", 0, framed(bytes(body)), "REPLACE"))
        if redis.reply() == "OK":
            assert redis("RESTORE", "again", 0, redis("DUMP", "k"), "REPLACE") == "OK"
            assert show(redis, "again") == show(redis, "k")
    redis("FLUSHALL")
    assert redis("DBSIZE") == 0


RESTORE_ERRORS = [
    ["k", 0, "x"], ["k", -1, "{}"], ["k", "x", "{}"], ["k", 0, "{}", "FOO"], ["k", 0, "{}", "IDLETIME"],
    ["k", 0, "{}", "IDLETIME", -1], ["k", 0, "{}", "IDLETIME", "x"], ["k", 0, "{}", "FREQ", 256],
    ["k", 0, "{}", "FREQ", -1], ["k", 0, "{}", "FREQ", 1, "IDLETIME", 1], ["there", 0, "{}"], ["there", -1, "{}"],
    ["there", 0, "x"], ["k", 0], ["k", 0, "{}", "FREQ", 5], ["k2", 0, "{}", "IDLETIME", 5, "ABSTTL"],
    ["there", 1, "{}", "REPLACE", "ABSTTL"], ["k3", 100000, "{}"], ["k4", 1, "{}", "ABSTTL"],
    ["k5", 99999999999999, "{}", "ABSTTL"], ["k6", "9223372036854775807", "{}", "ABSTTL"],
]


def test_restore_answers_as_redis_does(both):
    ours, theirs = both()
    for client in (ours, theirs):
        client("SET", "there", "v")
    payload = ours("DUMP", "there")
    for words in RESTORE_ERRORS:
        command = ["RESTORE", *[payload if w == "{}" else w for w in words]]
        replies = []
        for client in (ours, theirs):
            client.raw(client.encode(*command))
            replies.append(plain(client.reply()))
        assert replies[0] == replies[1], words
        assert ours("EXISTS", words[0]) == theirs("EXISTS", words[0]), words
    assert ours("DUMP", "nothing") is None is theirs("DUMP", "nothing")


def test_migrate_says_what_to_do_instead(freshet):
    client = freshet(PLAIN).resp()
    client("SET", "k", "v")
    for words in (["k", 0, 1000], ["", 0, 1000, "KEYS", "nosuch", "k"]):
        with pytest.raises(RespError, match="MIGRATE is not offered.*DUMP here and RESTORE there"):
            client("MIGRATE", "host", 6379, *words)


@pytest.mark.parametrize("words", [
    "k 0 1000", "k 0 1000 COPY REPLACE AUTH hush", "k 0 1000 AUTH2 me hush", " 0 1000 KEYS a b c", "k 0 1000 KEYS a", "k x 1000",
    "k 0 y", "k 0 1000 nosuch", "k 0 1000 AUTH", "k 0 1000 AUTH2 a",
])
def test_migrating_nothing_is_answered_as_in_redis(both, words):
    ours, theirs = both()
    for client in (ours, theirs):
        client.raw(client.encode("MIGRATE", "127.0.0.1", "1", *words.split(" ")))
    assert plain(ours.reply()) == plain(theirs.reply())
