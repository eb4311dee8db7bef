# SPDX-License-Identifier: BSD-3-Clause
"""Durable spaces: what was acknowledged survives the death of the process; what the log is; what happens
when it is damaged or the disk is full."""
import pathlib
import signal
import subprocess

import pytest

from daemon import BINARY, cli, until

POLICY = """
listen: {{ resp: "127.0.0.1:0", admin: "127.0.0.1:0" }}
workers: {workers}
debug: true
durable: {{ dir: log, fsync: {fsync}{more} }}
spaces:
  queue: {{ db: 0, memory: 64MB, keep: durable, evict: never }}
  cache: {{ db: 1, memory: 16MB }}
  session: {{ db: 2, memory: 32MB, keep: durable, ttl: 2h }}
"""


def policy(fsync="everysec", workers=1, more=""):
    return POLICY.format(fsync=fsync, workers=workers, more=more)


def restart(daemon, how=signal.SIGKILL):
    """Ends the daemon and starts it again with the same files."""
    code = daemon.stop(how)
    assert code == (0 if how == signal.SIGTERM else -how)
    return daemon.start()


def log_files(daemon):
    return sorted((daemon.folder / "log").glob("log-*.resp"), key=lambda f: int(f.stem[4:]))


fsync_modes = pytest.mark.parametrize("fsync", ["everysec", "always"])


@fsync_modes
def test_every_kind_of_value_survives_a_kill(freshet, fsync):
    daemon = freshet(policy(fsync))
    r = daemon.resp()
    r("SET", "text", b"a\r\nb\0c")
    r("SET", "number", 41)
    r("INCR", "number")
    r("APPEND", "text", "d")
    r("SETRANGE", "gap", 3, "x")
    r("RPUSH", "list", "a", "b", "c", "d")
    r("LPOP", "list")
    r("LINSERT", "list", "BEFORE", "c", "z")
    r("HSET", "hash", "f", "1", "g", "2", "h", "3")
    r("HINCRBYFLOAT", "hash", "f", "0.1")
    r("HDEL", "hash", "g")
    r("SADD", "set", *range(600))
    r("SPOP", "set", 100)
    r("ZADD", "zset", "1.5", "a", "-inf", "b", "0.1", "c", "3", "d")
    r("ZPOPMAX", "zset")
    r("XADD", "stream", "5-1", "k", "v")
    r("XADD", "stream", "6-1", "k", "w")
    r("XDEL", "stream", "5-1")
    r("RPUSH", "moved", "x", "y")
    r("RENAME", "moved", "list2")
    r("COPY", "hash", "hash2")
    r("SET", "gone", 1)
    r("DEL", "gone")
    r("MSET", "m1", 1, "m2", 2)

    def state(r):
        return [r("GET", "text"), r("GET", "number"), r("GET", "gap"), r("LRANGE", "list", 0, -1),
                sorted(r("HGETALL", "hash")), sorted(r("SMEMBERS", "set")),
                r("ZRANGE", "zset", 0, -1, "WITHSCORES"), r("XRANGE", "stream", "-", "+"),
                r("LRANGE", "list2", 0, -1), sorted(r("HGETALL", "hash2")), r("EXISTS", "gone", "moved"),
                r("MGET", "m1", "m2"), r("DBSIZE")]

    before = state(r)
    r = restart(daemon).resp()
    assert state(r) == before
    assert r("XADD", "stream", "6-*", "k", "v") == b"6-2"


def test_volatile_spaces_are_not_in_the_log(freshet):
    daemon = freshet(policy())
    daemon.resp(1)("SET", "volatile-key", 1)
    daemon.resp(0)("SET", "durable-key", 1)
    text = log_files(daemon)[0].read_bytes()
    assert b"durable-key" in text and b"volatile-key" not in text
    r = restart(daemon).resp()
    assert r("GET", "durable-key") == b"1"
    assert daemon.resp(1)("DBSIZE") == 0


def test_without_durable_spaces_there_is_no_thread_and_no_file(freshet):
    daemon = freshet('listen: { resp: "127.0.0.1:0" }\n')
    daemon.resp()("SET", "k", 1)
    names = [pathlib.Path(f"/proc/{daemon.process.pid}/task/{t.name}/comm").read_text().strip()
             for t in pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir()]
    assert "log" not in names
    assert not (daemon.folder / "log").exists()
    assert daemon.resp()("INFO", "persistence").count(b"aof_enabled:0") == 1


def test_databases_that_were_flushed_and_swapped_come_back_so(freshet):
    daemon = freshet("""
listen: { resp: "127.0.0.1:0" }
debug: true
durable: { dir: log }
spaces: { a: { db: 0, memory: 16MB, keep: durable }, b: { db: 3, memory: 16MB, keep: durable } }
""")
    r, other = daemon.resp(), daemon.resp(3)
    r("SET", "a", 1)
    other("SET", "b", 1)
    r("FLUSHDB")
    r("SET", "after", 1)
    r = restart(daemon).resp()
    assert r("KEYS", "*") == [b"after"]
    assert daemon.resp(3)("KEYS", "*") == [b"b"]
    r("FLUSHALL")
    r = restart(daemon).resp()
    assert r("DBSIZE") == 0 and daemon.resp(3)("DBSIZE") == 0


def test_expiries_come_back_as_moments(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    r("SET", "long", 1, "EX", 1000)
    r("SET", "short", 1, "PX", 500)
    r("SET", "moved", 1, "PX", 500)
    r("PEXPIRE", "moved", 1000_000)
    r("SET", "kept", 1, "PX", 500)
    r("PERSIST", "kept")
    r("RPUSH", "again", "old")
    r("PEXPIRE", "again", 500)
    r("DEBUG", "CLOCK", "ADVANCE", 600)
    until(lambda: r("EXISTS", "again") == 0, "the expiry")
    r("RPUSH", "again", "new")
    at = r("PEXPIRETIME", "long")
    session = daemon.resp(2)
    session("SET", "s", 1)
    session("HSET", "h", "f", 1)
    assert 7_000_000 < session("PTTL", "h") <= 7_200_000
    # The clock that was advanced dies with the process; wall times in the log are ahead by as much.
    r = restart(daemon).resp()
    r("DEBUG", "CLOCK", "ADVANCE", 600)
    assert abs(r("PEXPIRETIME", "long") - at) < 5000
    assert r("EXISTS", "short") == 0
    assert r("PTTL", "moved") > 900_000
    assert r("PTTL", "kept") == -1
    assert r("LRANGE", "again", 0, -1) == [b"new"]
    session = daemon.resp(2)
    assert 7_000_000 < session("PTTL", "s") <= 7_201_000
    assert 7_000_000 < session("PTTL", "h") <= 7_201_000


def test_a_transaction_is_one_unit_of_the_log(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    r.pipeline(["MULTI"], ["SET", "a", 1], ["INCR", "a"], ["RPUSH", "l", 1], ["EXEC"])
    text = log_files(daemon)[-1].read_bytes()
    unit = text[text.index(b"MULTI"):text.index(b"EXEC")]
    assert unit.count(b"SET\r\n") == 2 and b"RPUSH" in unit
    # Every byte offset inside the unit: all of it or nothing of it.
    daemon.stop(signal.SIGKILL)
    end = text.index(b"EXEC")
    whole = log_files(daemon)[-1]
    for cut in {text.index(b"MULTI") + 3, text.index(b"RPUSH"), end, end + 5, len(text) - 1}:
        whole.write_bytes(text[:cut])
        daemon.start()
        assert daemon.resp()("DBSIZE") == 0
        daemon.stop(signal.SIGKILL)
    assert b"not finished" in daemon.log.read_bytes()
    daemon.start()


def test_two_daemons_cannot_share_a_log(freshet):
    daemon = freshet(policy())
    done = subprocess.run([BINARY, "serve", str(daemon.file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "in use by another freshet" in done.stderr and str(daemon.process.pid) in done.stderr


def test_the_policy_says_what_is_wrong_with_the_directory(freshet, tmp_path):
    file = tmp_path / "p.yaml"
    for dir_, words in [("/nowhere/at/all", "does not exist and cannot be created"),
                        ("/etc/passwd", "is no directory")]:
        file.write_text(policy().replace("dir: log", f"dir: {dir_}"))
        done = cli("check", file)
        assert done.returncode != 0 and words in done.stdout + done.stderr


def test_a_reload_cannot_move_the_log(freshet):
    daemon = freshet(policy())
    daemon.file.write_text(policy().replace("dir: log", "dir: other"))
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "only a restart can change" in daemon.log_text(), "the refusal")
    assert "durable" in daemon.log_text()


def test_the_log_can_be_piped_into_another_server(freshet, tmp_path):
    daemon = freshet(policy())
    r = daemon.resp()
    for i in range(100):
        r("SET", f"k{i}", "v" * i)
    r("RPUSH", "l", *range(50))
    other = freshet('listen: { resp: "127.0.0.1:0" }\n')
    host, port = other.addresses("resp")[0].rsplit(":", 1)
    with open(log_files(daemon)[0], "rb") as log:
        done = subprocess.run(["redis-cli", "-h", host, "-p", port, "--pipe"], stdin=log,
                              capture_output=True, text=True, timeout=30)
    assert "errors: 0" in done.stdout, done.stdout
    copy = other.resp()
    assert copy("DBSIZE") == 101 and copy("LRANGE", "l", 0, -1) == r("LRANGE", "l", 0, -1)
