# SPDX-License-Identifier: BSD-3-Clause
"""Durable spaces: what was acknowledged survives the death of the process; what the log is; what happens
when it is damaged or the disk is full."""
import pathlib
import signal
import subprocess
import threading

import pytest

import killer
from daemon import BINARY, cli, until
from resp_client import Resp

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


@fsync_modes
@pytest.mark.parametrize("workers", [1, 4])
def test_what_was_handed_to_waiting_clients_stays_handed_over(freshet, fsync, workers):
    """A push that serves clients who wait, and what they did with it, is one step in the log."""
    daemon = freshet(policy(fsync, workers))
    r = daemon.resp()
    waiting = []
    for command in (["BLPOP", "q", 0], ["BLMOVE", "q", "taken", "LEFT", "RIGHT", 0], ["BZPOPMIN", "z", 0],
                    ["XREAD", "BLOCK", 0, "STREAMS", "s", "$"], ["BRPOP", "elsewhere", 0]):
        client = daemon.resp()
        client.raw(client.encode(*command))
        waiting.append(client)
        until(lambda: b"blocked_clients:%d\r" % len(waiting) in r("INFO", "clients"), "the client to wait")
    r.pipeline(["RPUSH", "q", "a", "b", "c"], ["ZADD", "z", 1, "m", 2, "n"], ["XADD", "s", "1-1", "f", "v"])
    assert [client.reply() for client in waiting[:4]] == [
        [b"q", b"a"], b"b", [b"z", b"m", b"1"], [[b"s", [[b"1-1", [b"f", b"v"]]]]]]
    r = restart(daemon).resp()
    assert [r("LRANGE", "q", 0, -1), r("LRANGE", "taken", 0, -1), r("ZRANGE", "z", 0, -1), r("XLEN", "s")] == [
        [b"c"], [b"b"], [b"n"], 1]


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


@fsync_modes
def test_the_log_is_rewritten_while_it_is_written(freshet, fsync):
    daemon = freshet(policy(fsync, workers=2))
    r = daemon.resp()
    for i in range(2000):
        r.raw(r.encode("SET", f"k{i % 100}", f"{i}-" + "x" * 200))
    assert {r.reply() for _ in range(2000)} == {"OK"}
    r("RPUSH", "list", *range(300))
    r("ZADD", "zset", *[w for i in range(300) for w in (i / 3, f"m{i}")])
    r("XADD", "stream", "1-1", "f", "v")
    r("SET", "expires", 1, "EX", 1000)
    before, old = sum(f.stat().st_size for f in log_files(daemon)), log_files(daemon)
    other = daemon.resp()
    assert other("BGREWRITEAOF") == "Background append only file rewriting started"
    done = 0
    while "the log was rewritten" not in daemon.log_text():
        r("SET", f"meanwhile{done}", done)
        r("RENAME", f"meanwhile{done}", f"renamed{done}")
        r("LPOP", "list")
        done += 1
        assert done < 100_000
    new = log_files(daemon)
    assert len(new) == 1 and new != old and new[0].stat().st_size < before
    assert "freshet_log_groups" in r("INFO", "persistence").decode()

    def state(r):
        return [r("DBSIZE"), r("MGET", *[f"k{i}" for i in range(100)]), r("LRANGE", "list", 0, -1),
                r("ZRANGE", "zset", 0, -1, "WITHSCORES"), r("XRANGE", "stream", "-", "+"),
                r("PTTL", "expires") > 900_000, sorted(r("KEYS", "renamed*"))]

    now = state(r)
    assert cli("log", "check", daemon.folder / "log").returncode == 0
    assert state(restart(daemon).resp()) == now


def test_the_log_is_rewritten_when_it_has_grown(freshet):
    daemon = freshet(policy(more=", rewrite_min: 64KB"))
    r = daemon.resp()
    written = 0
    while "the log was rewritten" not in daemon.log_text():
        r.pipeline(*[["SET", "same", "x" * 1000]] * 50)
        written += 50 * 1000
    # What was written meanwhile is in the new file; at least the 64 KB that it began for are gone.
    assert sum(f.stat().st_size for f in log_files(daemon)) < written * 1.06 - 60_000
    assert restart(daemon).resp()("GET", "same") == b"x" * 1000


def damaged(daemon, at, byte=None):
    file = log_files(daemon)[0]
    text = bytearray(file.read_bytes())
    text[at] = text[at] ^ 0x55 if byte is None else byte
    file.write_bytes(text)
    return file


def test_damage_refuses_the_start_and_can_be_repaired(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    for i in range(10):
        r("SET", f"k{i}", f"value-{i}")
    daemon.stop(signal.SIGKILL)
    text = log_files(daemon)[0].read_bytes()
    file = damaged(daemon, text.index(b"value-5"))
    refused = subprocess.run([BINARY, "serve", str(daemon.file)], capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1
    start = text.rindex(b"*2\r\n$6\r\nSELECT", 0, text.index(b"value-5"))
    for words in (str(file), f"damaged at byte {start}", "freshet log repair"):
        assert words in refused.stderr, refused.stderr
    check = cli("log", "check", daemon.folder / "log")
    assert check.returncode == 1 and f"DAMAGED at byte {start}" in check.stdout
    repair = cli("log", "repair", "-c", daemon.file)
    assert repair.returncode == 0 and "is kept as" in repair.stdout, repair.stdout + repair.stderr
    assert any("kept" in f.name for f in (daemon.folder / "log").iterdir())
    assert cli("log", "check", daemon.folder / "log").returncode == 0
    daemon.start()
    assert sorted(daemon.resp()("KEYS", "*")) == [b"k0", b"k1", b"k2", b"k3", b"k4"]
    busy = cli("log", "repair", daemon.folder / "log")
    assert busy.returncode == 1 and "in use by another freshet" in busy.stdout


def test_a_lost_manifest_refuses_the_start_and_can_be_repaired(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    for i in range(20):
        r("SET", f"k{i}", "x" * 100)
    daemon.stop(signal.SIGKILL)
    (daemon.folder / "log" / "manifest").unlink()
    refused = subprocess.run([BINARY, "serve", str(daemon.file)], capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1 and "manifest" in refused.stderr and "log repair" in refused.stderr
    assert cli("log", "repair", daemon.folder / "log").returncode == 0
    daemon.start()
    assert daemon.resp()("DBSIZE") == 20


def test_a_command_that_cannot_be_repeated_refuses_the_start(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    for i in range(3000):
        r.raw(r.encode("SET", f"k{i}", "x" * 1000))
    assert {r.reply() for _ in range(3000)} == {"OK"}
    daemon.stop()
    daemon.file.write_text(policy().replace("memory: 64MB", "memory: 1MB"))
    refused = subprocess.run([BINARY, "serve", str(daemon.file)], capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1 and "cannot be repeated" in refused.stderr and "memory" in refused.stderr
    daemon.file.write_text(policy())
    daemon.start()
    assert daemon.resp()("DBSIZE") == 3000


SESSION = "  session: { db: 2, memory: 32MB, keep: durable, ttl: 2h }\n"


@pytest.mark.parametrize("rewritten", [False, True])
def test_keys_of_a_database_without_a_space_go_nowhere_else(freshet, rewritten):
    daemon = freshet(policy())
    daemon.resp()("SET", "job", 1)
    daemon.resp(db=2)("SET", "user", 7)
    if rewritten:  # the file that a rewrite makes is read more leniently up to its end
        daemon.resp()("BGREWRITEAOF")
        until(lambda: b"aof_rewrites:1" in daemon.resp()("INFO", "persistence"), "the rewrite")
    daemon.stop()
    daemon.file.write_text(policy().replace(SESSION, ""))
    refused = subprocess.run([BINARY, "serve", str(daemon.file)], capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1 and "no space for database 2; give it one" in refused.stderr
    daemon.file.write_text(policy())
    daemon.start()
    assert daemon.resp()("KEYS", "*") == [b"job"] and daemon.resp(db=2)("GET", "user") == b"7"


def test_a_space_that_is_volatile_now_begins_empty(freshet):
    daemon = freshet(policy())
    daemon.resp()("SET", "job", 1)
    daemon.resp(db=2)("SET", "user", 7)
    daemon.stop()
    daemon.file.write_text(policy().replace(SESSION, SESSION.replace("durable", "volatile")))
    daemon.start()
    assert daemon.resp()("KEYS", "*") == [b"job"] and daemon.resp(db=2)("DBSIZE") == 0
    assert "are volatile now" in daemon.log_text()


def test_show_prints_what_redis_understands(freshet):
    daemon = freshet(policy())
    daemon.resp()("SET", "k", "v")
    done = subprocess.run([BINARY, "log", "show", str(daemon.folder / "log")], capture_output=True, timeout=30)
    assert done.returncode == 0
    assert done.stdout == b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"


def test_clients_are_told_that_the_log_is_being_read(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    for start in range(0, 200_000, 20_000):
        r.raw(b"".join(r.encode("SET", f"key:{i}", i) for i in range(start, start + 20_000)))
        assert {r.reply() for _ in range(20_000)} == {"OK"}
    daemon.stop(signal.SIGKILL)
    host, port = daemon.addresses("resp")[0].rsplit(":", 1)
    daemon.file.write_text(policy().replace('resp: "127.0.0.1:0"', f'resp: "127.0.0.1:{port}"'))
    seen = []

    def look():
        """Reads while it loads; ends when it is ready."""
        try:
            c = Resp(f"{host}:{port}")
            c.raw(c.encode("GET", "key:1") + c.encode("INFO", "persistence"))
            seen.append((c.reply(), c.reply()))
        except OSError:
            pass

    over = threading.Event()

    def keep_looking():
        while not over.is_set():
            look()

    thread = threading.Thread(target=keep_looking)
    thread.start()
    daemon.start()
    over.set()
    thread.join()
    loading = [(str(get), info.decode()) for get, info in seen if "loading:1" in info.decode()]
    assert loading, "nobody connected while it was loading"
    assert all(get == "LOADING Redis is loading the dataset in memory" for get, _ in loading)
    assert all("loading_total_bytes:" in info for _, info in loading)
    assert daemon.resp()("DBSIZE") == 200_000
    assert "the log was read keys=200000" in daemon.log_text()


def test_being_told_to_stop_while_reading_is_no_error(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    for i in range(1000):
        r.raw(r.encode("SET", f"k{i}", 1))
    assert {r.reply() for _ in range(1000)} == {"OK"}
    assert daemon.stop(signal.SIGTERM) == 0
    process = subprocess.Popen([BINARY, "serve", str(daemon.file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM)  # before it blocks signals it dies of this one
    daemon.start()
    assert daemon.resp()("DBSIZE") == 1000


@fsync_modes
def test_a_blocked_client_gets_what_is_safe(freshet, fsync):
    daemon = freshet(policy(fsync, workers=2))
    waiters = [daemon.resp() for _ in range(4)]
    for w in waiters:
        w.raw(w.encode("BLPOP", "queue", 0))
    pusher = daemon.resp()
    until(lambda: b"blocked_clients:4" in pusher("INFO", "clients"), "four blocked clients")
    for i in range(4):
        pusher("RPUSH", "queue", i)
    assert sorted(w.reply()[1] for w in waiters) == [b"0", b"1", b"2", b"3"]
    assert restart(daemon).resp()("EXISTS", "queue") == 0


def test_save_and_waitaof_wait_for_the_disk(freshet):
    daemon = freshet(policy())
    r = daemon.resp()
    r("SET", "k", 1)
    assert r("WAITAOF", 1, 0, 1000) == [1, 0]
    assert "freshet_log_unsynced_bytes:0" in r("INFO", "persistence").decode()
    r("SET", "k", 2)
    assert r("SAVE") == "OK"
    assert "freshet_log_unsynced_bytes:0" in r("INFO", "persistence").decode()
    assert r("BGSAVE") == "Background saving started"
    assert r("LASTSAVE") > 1_500_000_000
    assert r("CONFIG", "GET", "appendonly") == [b"appendonly", b"yes"]
    volatile = freshet('listen: { resp: "127.0.0.1:0" }\n').resp()
    assert volatile("SAVE") == "OK"
    volatile.raw(volatile.encode("WAITAOF", 1, 0, 0))
    assert "appendonly is disabled" in str(volatile.reply())


def test_waitaof_speaks_as_redis_does(freshet):
    daemon = freshet(policy())
    r, other = daemon.resp(), daemon.resp()

    def error(*words):
        r.raw(r.encode("WAITAOF", *words))
        return str(r.reply())

    assert error(2, 0, 0) == error(-1, 0, 0) == "ERR value is out of range, value must between 0 and 1"
    assert error("x", 0, 0) == "ERR value is not an integer or out of range"
    assert error(1, -1, 0) == "ERR value is out of range, must be positive"
    assert error(1, 0, -1) == "ERR timeout is negative"
    assert error(1, 0, "x") == "ERR timeout is not an integer or out of range"
    r("SET", "k", 1)
    assert r("WAITAOF", 1, 0, 0) == r("WAITAOF", 0, 0, 0) == [1, 0]
    assert r("WAITAOF", 1, 1, 20) == r("WAITAOF", 0, 1, 20) == [1, 0]  # there are no replicas
    r("SET", "k", 2)
    assert r.pipeline(["MULTI"], ["WAITAOF", 0, 1, 0], ["EXEC"])[-1][0][1] == 0  # nobody waits there
    r.raw(r.encode("WAITAOF", 1, 1, 0))
    until(lambda: b"blocked_clients:1\r" in other("INFO", "clients"), "the client to wait")
    assert b"flags=b" in other("CLIENT", "LIST")
    r.close()
    daemon.clients.remove(r)
    until(lambda: b"blocked_clients:0\r" in other("INFO", "clients"), "the wait to end with its client")
    other.raw(other.encode("WAITAOF", 0, 1, 0))  # nor does a server that stops wait for it


def test_pipelines_keep_their_order(freshet):
    daemon = freshet(policy("always"))
    r = daemon.resp()
    r.raw(b"".join(r.encode(*c) for i in range(500)
                   for c in (["SELECT", i % 2], ["INCR", "n"], ["ECHO", i], ["GET", "n"])))
    for i in range(500):
        assert r.reply() == "OK"
        n = i // 2 + 1
        assert [r.reply(), r.reply(), r.reply()] == [n, str(i).encode(), str(n).encode()]


def test_many_clients_share_one_sync(freshet):
    daemon = freshet(policy("always"))
    clients = [daemon.resp() for _ in range(50)]
    before = daemon.stats()
    for _ in range(10):
        for i, c in enumerate(clients):
            c.raw(c.encode("INCR", f"n{i}"))
        for c in clients:
            c.reply()
    syncs = int(daemon.stats()["log.syncs"]) - int(before["log.syncs"])
    assert 1 <= syncs < 500  # 500 writes


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@fsync_modes
def test_a_full_disk_refuses_writers_and_nobody_else(freshet, small_disk, fsync):
    daemon = freshet(policy(fsync).replace("dir: log", f"dir: {small_disk}/log"))
    r, volatile = daemon.resp(0), daemon.resp(1)
    r("SET", "before", 1)
    hog = small_disk / "hog"
    with open(hog, "wb") as f:
        try:
            while f.write(b"x" * 65536):
                f.flush()
        except OSError:
            pass
    stored, error = 0, None
    while error is None:
        r.raw(r.encode("SET", f"k{stored}", "x" * 10_000))
        reply = r.reply()
        if reply == "OK":
            stored += 1
            assert stored < 1000
        else:
            error = str(reply)
    assert error.startswith("MISCONF Errors writing to the AOF file: No space left on device"), error
    assert str(small_disk) in error
    assert r("GET", "before") == b"1" and r("DBSIZE") == stored + 1
    assert volatile("SET", "v", 1) == "OK"
    for refused in (["DEL", "before"], ["RPUSH", "l", 1]):
        r.raw(r.encode(*refused))
        assert str(r.reply()).startswith("MISCONF")
    replies = r.pipeline(["MULTI"], ["SET", "m", 1], ["EXEC"])
    assert str(replies[-1]).startswith("EXECABORT")
    r.raw(r.encode("EVAL", "return redis.call('SET', 'm', 1)", 0))
    assert "MISCONF" in str(r.reply())
    assert "aof_last_write_status:err" in r("INFO", "persistence").decode()
    hog.unlink()

    def works():
        r.raw(r.encode("SET", "after", 1))
        return r.reply() == "OK"

    until(works, "writing again")
    assert "aof_last_write_status:ok" in r("INFO", "persistence").decode()
    assert "can grow again" in daemon.log_text()
    r = restart(daemon).resp()
    assert r("DBSIZE") == stored + 2 and r("GET", "after") == b"1"
    daemon.stop()


def test_killed_at_random_nothing_acknowledged_is_lost(tmp_path):
    figures = killer.run(tmp_path, rounds=10, seed=7)
    assert figures["rounds"] == 10 and figures["acknowledged"] > 100, figures
