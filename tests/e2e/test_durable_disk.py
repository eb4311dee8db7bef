# SPDX-License-Identifier: BSD-3-Clause
"""Durable spaces on a disk that is slow, full, or broken (broken_disk.c): nobody is told of what may still be lost,
and what cannot be written is refused, whatever command it comes from."""
import pathlib
import select
import signal

import pytest

from daemon import BINARY, SANITIZED, until
from resp_client import RespError
from test_durable import log_files, policy, restart

SHIM = pathlib.Path(BINARY).parent / "tests" / "e2e" / "libbrokendisk.so"
pytestmark = pytest.mark.skipif(SANITIZED or not SHIM.exists(), reason=f"there is no {SHIM} to load")


class Disk:
    def __init__(self, folder):
        self.word, self.held = folder / "disk", folder / "disk.held"
        self.env = {"LD_PRELOAD": str(SHIM), "BROKEN_DISK": str(self.word)}

    def is_now(self, word):
        beside = self.word.with_suffix(".new")
        beside.write_text(word)
        beside.rename(self.word)

    def wait_until_held(self):
        until(self.held.exists, "a sync that waits")


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    yield disk
    disk.is_now("well")


def settle(daemon):
    """What clients sent before has been done, and what could be sent was: every worker has turned."""
    others = [daemon.resp(1) for _ in range(8)]
    for _ in range(2):
        for other in others:
            assert other("PING") == "PONG"


def has_mail(client):
    return bool(select.select([client.socket], [], [], 0)[0])


# --- what may not be told yet ----------------------------------------------------------------------

def subscriber(*words):
    def listen(daemon):
        client = daemon.resp(1)
        client("CONFIG", "SET", "notify-keyspace-events", "KEA")
        client(*words)
        return client
    return listen


def tracker(*how):
    def listen(daemon):
        client = daemon.resp(0, protocol=3)
        client("CLIENT", "TRACKING", "ON", *how)
        client("MGET", "k", "there")
        return client
    return listen


def redirected(daemon):
    target = daemon.resp(1)
    number = target("CLIENT", "ID")
    target("SUBSCRIBE", "__redis__:invalidate")
    source = daemon.resp(0)
    source("CLIENT", "TRACKING", "ON", "REDIRECT", number)
    source("MGET", "k", "there")
    return target


def waiting(*words):
    def listen(daemon):
        client = daemon.resp(0)
        client.raw(client.encode(*words))
        look = daemon.resp(1)
        until(lambda: b"blocked_clients:1\r" in look("INFO", "clients"), "the client to wait")
        return client
    return listen


SET = ["SET", "k", "new"]
CHANNEL, SHARD = subscriber("SUBSCRIBE", "ch"), subscriber("SSUBSCRIBE", "ch")
EVENTS, KEY_EVENTS = subscriber("PSUBSCRIBE", "__key*"), subscriber("PSUBSCRIBE", "__keyspace@0__:k")
PUBLISH = "redis.call('SET', 'k', 'new') redis.call('PUBLISH', 'ch', 'm')"
MESSAGES = {
    "published behind a write": (CHANNEL, 0, [SET, ["PUBLISH", "ch", "m"]], b"m"),
    "published to a shard channel": (SHARD, 0, [SET, ["SPUBLISH", "ch", "m"]], b"m"),
    "published in a transaction": (CHANNEL, 0, [["MULTI"], SET, ["PUBLISH", "ch", "m"], ["EXEC"]], b"m"),
    "published by a script": (CHANNEL, 0, [["EVAL", PUBLISH, 0]], b"m"),
    "published by a script from elsewhere": (CHANNEL, 1, [["EVAL", "redis.call('SELECT', 0) " + PUBLISH, 0]], b"m"),
    "published behind a move": (CHANNEL, 1, [["SET", "moved", 1], ["MOVE", "moved", 0], ["PUBLISH", "ch", "m"]], b"m"),
    "published by one who gets no replies": (CHANNEL, 0, [["CLIENT", "REPLY", "OFF"], SET, ["PUBLISH", "ch", "m"]], b"m"),
    "keyspace event": (KEY_EVENTS, 0, [SET], b"set"),
    "keyspace event of a move": (EVENTS, 1, [["COPY", "volatile", "k", "DB", 0, "REPLACE"]], b"copy_to"),
    "keyspace event of a script": (KEY_EVENTS, 0, [["EVAL", "redis.call('SET', 'k', 'new')", 0]], b"set"),
    "event of an expiry": (EVENTS, 0, [["PEXPIREAT", "there", 1]], b"del"),
    "invalidation": (tracker(), 0, [SET], [b"k"]),
    "invalidation for all": (tracker("BCAST"), 0, [SET], [b"k"]),
    "invalidation at another client": (redirected, 0, [SET], [b"k"]),
    "invalidation of everything": (tracker(), 1, [["FLUSHALL"]], None),
    "BLPOP": (waiting("BLPOP", "list", 0), 0, [["RPUSH", "list", "new"]], b"new"),
    "BLMOVE": (waiting("BLMOVE", "list", "other", "LEFT", "LEFT", 0), 0, [["RPUSH", "list", "new"]], b"new"),
    "BZPOPMIN": (waiting("BZPOPMIN", "zset", 0), 0, [["ZADD", "zset", 1, "new"]], b"1"),
    "XREAD": (waiting("XREAD", "BLOCK", 0, "STREAMS", "stream", "$"), 0, [["XADD", "stream", "1-1", "f", "v"]], None),
}


def last_word(reply):
    """The last part of a message; with a list of keys, that list."""
    return reply[-1] if isinstance(reply, list) else reply


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("what", MESSAGES)
def test_no_message_tells_of_what_is_not_on_the_disk(freshet, disk, what, workers):
    listen, db, commands, expected = MESSAGES[what]
    daemon = freshet(policy("always", workers), env=disk.env)
    daemon.resp(0)("MSET", "k", "old", "there", 1)
    daemon.resp(1)("SET", "volatile", 1)
    listener, writer = listen(daemon), daemon.resp(db)
    disk.is_now("hold-sync")
    writer.raw(b"".join(writer.encode(*c) for c in commands))
    disk.wait_until_held()
    settle(daemon)
    assert not has_mail(listener) and (not has_mail(writer) or what == "published by one who gets no replies")
    disk.is_now("well")
    message = last_word(listener.reply())
    assert message == expected or expected is None and message


READS = [
    ["GET", "k"], ["MGET", "there", "k"], ["EXISTS", "gone"], ["STRLEN", "k"], ["TTL", "k"], ["TYPE", "gone"],
    ["KEYS", "*"], ["SCAN", 0], ["RANDOMKEY"], ["DBSIZE"], ["DUMP", "k"], ["OBJECT", "ENCODING", "k"],
    ["MEMORY", "USAGE", "k"], ["TOUCH", "k"], ["SETNX", "k", 1], ["COPY", "there", "k"], ["SORT", "k2"],
    ["FRESHET.GET", "k"], ["LRANGE", "list", 0, -1], ["BLPOP", "list", 0], ["EVAL", "return redis.call('GET', 'k')", 0],
    ["EVAL_RO", "return redis.call('GET', 'k')", 0]
]
READS_FROM_ELSEWHERE = [
    [["EVAL", "redis.call('SELECT', 0) return redis.call('GET', 'k')", 0]],
    [["MULTI"], ["SELECT", 0], ["GET", "k"], ["SELECT", 1], ["EXEC"]],
    [["SELECT", 0], ["GET", "k"], ["SELECT", 1], ["GET", "volatile"]],
    [["COPY", "volatile", "k", "DB", 0]],
    [["MOVE", "k", 0]],
]


@pytest.mark.parametrize("batch", [[r] for r in READS] + READS_FROM_ELSEWHERE, ids=lambda b: " ".join(map(str, b[0])))
def test_no_reply_shows_what_is_not_on_the_disk(freshet, disk, batch):
    daemon = freshet(policy("always", workers=2), env=disk.env)
    writer, volatile = daemon.resp(0), daemon.resp(1)
    writer.pipeline(["MSET", "there", 1, "gone", 1], ["RPUSH", "k2", 1])
    volatile.pipeline(["SET", "volatile", 1], ["SET", "k", 1])
    disk.is_now("hold-sync")
    writer.raw(writer.encode("MULTI") + writer.encode("SET", "k", "new") + writer.encode("DEL", "gone") +
               writer.encode("RPUSH", "list", 1) + writer.encode("EXEC"))
    disk.wait_until_held()
    reader = daemon.resp(0 if batch[0] in READS else 1)  # what is selected shows nothing
    reader.raw(b"".join(reader.encode(*c) for c in batch))
    settle(daemon)
    assert not has_mail(reader) and not has_mail(writer)
    assert volatile("GET", "volatile") == b"1"
    disk.is_now("well")
    replies = [reader.reply() for _ in batch]
    assert not any(isinstance(r, RespError) for r in replies), replies


def test_a_failed_exec_tells_of_a_change_in_another_database(freshet, disk):
    daemon = freshet(policy("always"), env=disk.env)
    writer, watcher = daemon.resp(0), daemon.resp(0)
    watcher.pipeline(["WATCH", "k"], ["SELECT", 1])
    disk.is_now("hold-sync")
    writer.raw(writer.encode(*SET))
    disk.wait_until_held()
    watcher.raw(watcher.encode("MULTI") + watcher.encode("GET", "volatile") + watcher.encode("EXEC"))
    settle(daemon)
    disk_was_well = has_mail(watcher)
    disk.is_now("well")
    assert [watcher.reply() for _ in range(3)] == ["OK", "QUEUED", None]
    assert not disk_was_well


def test_who_has_nothing_to_do_with_durable_spaces_waits_for_nothing(freshet, disk):
    """Publishing, events and invalidations of a volatile space, while the disk hangs; and MONITOR."""
    daemon = freshet(policy("always", workers=2), env=disk.env)
    listener, tracking, monitor = subscriber("PSUBSCRIBE", "*")(daemon), daemon.resp(1, protocol=3), daemon.resp(1)
    tracking("CLIENT", "TRACKING", "ON")
    tracking("GET", "v")
    durable = subscriber("PSUBSCRIBE", "__keyspace@0__*")(daemon)
    disk.is_now("hold-sync")
    writer, volatile = daemon.resp(0), daemon.resp(1)
    monitor("MONITOR")
    writer.raw(writer.encode(*SET))
    disk.wait_until_held()
    assert "new" in monitor.reply()
    volatile.pipeline(["SET", "v", 1], ["PUBLISH", "ch", "m"])
    assert tracking.reply() == [b"invalidate", [b"v"]]
    settle(daemon)
    assert not has_mail(durable)
    assert volatile("PING") == "PONG"
    disk.is_now("well")
    assert durable.reply()[-1] == b"set"
    # Who listens to both has them in one order.
    told = [listener.reply()[2] for _ in range(5)]
    assert told.index(b"__keyspace@0__:k") < told.index(b"ch")


def test_a_stream_of_messages_does_not_hold_up_the_first(freshet, disk):
    """What waits for the disk leaves when it is there, however much comes behind it meanwhile."""
    daemon = freshet(policy("always"), env=disk.env)
    listener, first, second = CHANNEL(daemon), daemon.resp(0), daemon.resp(0)
    disk.is_now("hold-first")
    first.raw(first.encode("SET", "k", 1) + first.encode("PUBLISH", "ch", "first"))
    disk.wait_until_held()
    second.raw(second.encode("SET", "k", 2) + second.encode("PUBLISH", "ch", "second"))
    settle(daemon)
    disk.is_now("hold-second")  # the sync that waits passes; the next waits
    assert listener.reply()[2] == b"first"
    assert [first.reply(), first.reply()] == ["OK", 1]
    settle(daemon)
    assert not has_mail(listener) and not has_mail(second)
    disk.is_now("well")
    assert listener.reply()[2] == b"second"
    assert [second.reply(), second.reply()] == ["OK", 1]


def test_waitaof_waits_no_longer_than_it_was_told(freshet, disk):
    daemon = freshet(policy(), env=disk.env)
    r, patient = daemon.resp(), daemon.resp()
    disk.is_now("hold-sync")
    assert r("SET", "k", 1) == "OK"
    assert r("WAITAOF", 1, 0, 20) == r("WAITAOF", 0, 0, 0) == [0, 0]
    patient.raw(patient.encode("SET", "k", 2) + patient.encode("WAITAOF", 1, 0, 0))
    assert patient.reply() == "OK"
    settle(daemon)
    assert not has_mail(patient)
    disk.is_now("well")
    assert patient.reply() == [1, 0]


# --- errors ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_a_sync_that_fails_ends_the_process(freshet, disk, fsync):
    """What the disk has kept of what it took cannot be known, and the next sync would say nothing of it."""
    daemon = freshet(policy(fsync), env=disk.env)
    r = daemon.resp()
    for i in range(10):
        r("INCR", "n")
    r("SAVE")
    disk.is_now("sync-eio")
    acknowledged = 10
    try:
        while acknowledged < 1_000_000:
            acknowledged = r("INCR", "n")
    except (ConnectionError, OSError):
        pass
    assert daemon.process.wait(30) == 1
    assert fsync == "everysec" or acknowledged == 10
    assert "failed to sync" in daemon.log_text() and "Input/output error" in daemon.log_text()
    assert daemon.stop() == 1
    disk.is_now("well")
    assert int(daemon.start().resp()("GET", "n")) >= acknowledged


@pytest.mark.parametrize("fsync", ["everysec", "always"])
@pytest.mark.parametrize("word,reason", [("write-eio", "Input/output error"), ("write-short", "No space left on device")])
def test_a_write_that_fails_is_done_again_at_the_same_place(freshet, disk, fsync, word, reason):
    daemon = freshet(policy(fsync), env=disk.env)
    r, other, volatile = daemon.resp(), daemon.resp(), daemon.resp(1)
    r("SET", "before", 1)
    disk.is_now(word)
    r.raw(r.encode("SET", "waits", 1))  # nobody knows yet that the disk fails
    until(lambda: b"aof_last_write_status:err" in volatile("INFO", "persistence"), "the trouble")
    other.raw(other.encode("SET", "k", 1))
    error = str(other.reply())
    assert error.startswith(f"MISCONF Errors writing to the AOF file: {reason} (") and "durable spaces" in error
    assert not has_mail(r)
    assert volatile("SET", "v", 1) == "OK"
    disk.is_now("well")
    assert r.reply() == "OK"
    until(lambda: b"aof_last_write_status:ok" in volatile("INFO", "persistence"), "the end of the trouble")
    assert other("SET", "after", 1) == "OK"
    assert sorted(restart(daemon).resp()("KEYS", "*")) == [b"after", b"before", b"waits"]


def test_killed_in_the_middle_of_a_write_that_fails(freshet, disk):
    daemon = freshet(policy("always"), env=disk.env)
    r, volatile = daemon.resp(), daemon.resp(1)
    r("SET", "before", 1)
    size = log_files(daemon)[0].stat().st_size
    disk.is_now("write-short")
    r.raw(r.encode("SET", "half", "x" * 1000))
    until(lambda: b"aof_last_write_status:err" in volatile("INFO", "persistence"), "the trouble")
    assert log_files(daemon)[0].stat().st_size > size
    daemon.stop(signal.SIGKILL)
    disk.is_now("well")
    assert daemon.start().resp()("KEYS", "*") == [b"before"]
    assert "last write was not finished" in daemon.log_text()


def test_a_directory_that_does_not_sync_ends_the_process(freshet, disk):
    """Which manifest a crash would leave behind is unknown: old files must not be removed then."""
    daemon = freshet(policy(), env=disk.env)
    r = daemon.resp()
    r("SET", "k", 1)
    disk.is_now("dir-eio")
    r("BGREWRITEAOF")
    assert daemon.process.wait(30) == 1
    assert "failed to sync" in daemon.log_text()
    assert daemon.stop() == 1
    disk.is_now("well")
    assert daemon.start().resp()("GET", "k") == b"1"


def test_a_rewrite_that_cannot_begin_is_given_up(freshet, disk):
    daemon = freshet(policy(), env=disk.env)
    r = daemon.resp()
    r("SET", "k", 1)
    disk.is_now("write-eio")
    r("BGREWRITEAOF")
    until(lambda: "the log was not rewritten" in daemon.log_text(), "the rewrite to be given up")
    assert r("GET", "k") == b"1"
    disk.is_now("well")
    r("SET", "k", 2)
    until(lambda: "the log was rewritten" in daemon.log_text(), "the rewrite that is tried again")
    assert restart(daemon).resp()("GET", "k") == b"2"


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_a_rewrite_killed_at_each_of_its_steps_loses_nothing(freshet, disk, fsync):
    """At the first call with which it writes, syncs, renames or removes something; at the second; and so on."""
    daemon = freshet(policy(fsync), env=disk.env)
    r = daemon.resp()
    r.pipeline(*[["SET", f"k{i}", "x" * 500] for i in range(50)], ["RPUSH", "list", *range(300)],
               ["DEL", "k7"], ["HSET", "hash", "f", "v"], ["SADD", "set", *range(700)])
    step, ended = 0, False
    while not ended:
        step += 1
        disk.is_now(f"die-at-{step}")
        rewritten = daemon.log_text().count("the log was rewritten")
        acknowledged = last = -1
        try:
            r("BGREWRITEAOF")
            while not ended:  # a writer meanwhile
                last += 1
                r("SET", "n", last)
                acknowledged = last
                ended = daemon.log_text().count("the log was rewritten") > rewritten
        except (ConnectionError, OSError):
            daemon.process.wait(30)
        disk.is_now("well")
        assert ended or daemon.stop() == -signal.SIGKILL
        if ended:
            restart(daemon)
        else:
            daemon.start()
        r = daemon.resp()
        assert r("DBSIZE") == 52 + r("EXISTS", "n") and r("EXISTS", "k7") == 0
        assert r("MGET", *[f"k{i}" for i in range(50) if i != 7]) == [b"x" * 500] * 49
        assert r("LRANGE", "list", 0, -1) == [b"%d" % i for i in range(300)]
        assert r("SCARD", "set") == 700 and r("HGETALL", "hash") == [b"f", b"v"]
        assert acknowledged == -1 or int(r("GET", "n") or -1) in (acknowledged, last), step
        r("DEL", "n")
        named = (daemon.folder / "log" / "manifest").read_text().split()
        files = {f.name for f in (daemon.folder / "log").iterdir()} - {"lock", "manifest"}
        assert files == {word for word in named if word.endswith(".resp")}, step
    assert step > 8


# --- a full disk, and the ways into a durable space -------------------------------------------------

INTO = [
    ["COPY", "volatile", "k", "DB", 0], ["MOVE", "volatile", 0], ["FLUSHALL"], ["FLUSHALL", "ASYNC"],
    ["EVAL", "redis.call('SELECT', 0) return redis.call('SET', 'k', 1)", 0],
    ["EVAL", "return redis.call('COPY', 'volatile', 'k', 'DB', 0)", 0],
]
WITHIN = [
    ["RESTORE", "k", 0, b"\x00\x01a\x0b\x00\x00"], ["SORT", "list", "STORE", "k"], ["SUNIONSTORE", "k", "set"],
    ["COPY", "there", "k"], ["RENAME", "there", "k"], ["GETDEL", "there"], ["EXPIRE", "there", 10], ["FLUSHDB"],
    ["MOVE", "there", 2], ["FRESHET.SET", "k", "v"], ["BLMOVE", "list", "k", "LEFT", "LEFT", 1], ["DEL", "there"],
]


def test_a_full_disk_refuses_every_way_into_a_durable_space(freshet, disk):
    daemon = freshet(policy("always"), env=disk.env)
    r, volatile = daemon.resp(0), daemon.resp(1)
    volatile("SET", "volatile", 1)
    r.pipeline(["SET", "there", 1], ["RPUSH", "list", 1], ["SADD", "set", 1])
    disk.is_now("full")
    error = "OK"
    while error == "OK":  # until what was reserved is used up
        r.raw(r.encode("SET", "big", "x" * 30_000))
        error = r.reply()
    assert str(error).startswith("MISCONF Errors writing to the AOF file: No space left on device"), error
    for command in INTO:
        volatile.raw(volatile.encode(*command))
        assert "MISCONF Errors writing to the AOF file" in str(volatile.reply()), command
    for command in WITHIN:
        r.raw(r.encode(*command))
        assert "MISCONF Errors writing to the AOF file" in str(r.reply()), command
    volatile.raw(b"".join(volatile.encode(*c) for c in (["MULTI"], ["SELECT", 0], ["SET", "k", 1], ["SELECT", 1],
                                                          ["EXEC"])))
    assert "MISCONF" in str([volatile.reply() for _ in range(5)][-1][1])
    # Readers go on, and so do volatile spaces.
    assert r("GET", "there") == b"1" and r("LRANGE", "list", 0, -1) == [b"1"]
    assert volatile("GET", "volatile") == b"1" and volatile("COPY", "volatile", "copy") == 1
    disk.is_now("well")

    def moves():
        volatile.raw(volatile.encode("MOVE", "volatile", 0))
        return volatile.reply() == 1

    until(moves, "writing again")
    r = restart(daemon).resp()
    assert r("GET", "volatile") == b"1" and r("EXISTS", "k") == 0 and r("GET", "there") == b"1"
