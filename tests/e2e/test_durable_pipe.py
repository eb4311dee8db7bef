# SPDX-License-Identifier: BSD-3-Clause
"""redis-cli --pipe: the log of durable spaces into a Redis and into another freshet; a Redis's append-only file into
freshet. What is there afterwards is the same, key by key."""
import random
import re
import shutil
import signal
import subprocess

import pytest

from daemon import BINARY, until
from resp_client import Resp
from resp_helpers import RedisServer
from test_durable import log_files, policy
from test_durable_effects import COMMANDS, random_line, same, state, values_of

OF_ONE_DATABASE = [line for line in COMMANDS if "MOVE {k} 2" not in line and "DB 2" not in line]


def pipe(data, *where):
    """What redis-cli counts: (errors, replies)."""
    done = subprocess.run(["redis-cli", *where, "--pipe"], input=data, capture_output=True, timeout=60)
    counted = re.search(rb"errors: (\d+), replies: (\d+)", done.stdout)
    assert counted, done.stdout + done.stderr
    return int(counted[1]), int(counted[2])


def at_port(daemon):
    host, port = daemon.addresses("resp")[0].rsplit(":", 1)
    return "-h", host, "-p", port


def do_much(client, seed, count=1500):
    rng = random.Random(seed)
    makers = values_of(rng)
    for _ in range(count):
        client.pipeline(random_line(rng, makers, OF_ONE_DATABASE))
    client.pipeline(["SADD", "large-set", *range(1000)], ["RPUSH", "large-list", *range(1000)],
                    ["HSET", "large-hash", *range(2000)], ["ZADD", "large-zset", *range(2000)],
                    ["SET", "binary", bytes(range(256))], ["MULTI"], ["INCR", "n"], ["INCR", "n"], ["EXEC"],
                    ["EVAL", "redis.call('SET', 'a', 1) redis.call('SET', 'b', 2)", 0])


@pytest.fixture
def redis(tmp_path):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path).start()
    yield server
    server.stop()


@pytest.mark.parametrize("rewritten", [False, True])
def test_the_log_says_to_a_redis_what_it_says_to_us(freshet, redis, rewritten):
    daemon = freshet(policy())
    r = daemon.resp()
    do_much(r, "to redis")
    if rewritten:
        r("BGREWRITEAOF")
        until(lambda: "the log was rewritten" in daemon.log_text(), "the rewrite")
        do_much(r, "to redis, again", 300)
    was = state(r)
    assert len(was) > 10
    where = "-s", str(redis.folder / "redis.sock")
    shown = subprocess.run([BINARY, "log", "show", str(daemon.folder / "log")], capture_output=True, timeout=30)
    assert shown.returncode == 0 and b"FRESHET." not in shown.stdout
    errors, replies = pipe(shown.stdout, *where)
    assert errors == 0 and replies > 100
    theirs = redis.resp()
    assert same(was, state(theirs)) == {}
    # The file as it is: the same, but its proofs and marks are errors there.
    theirs("FLUSHALL")
    assert daemon.stop(signal.SIGTERM) == 0
    (file,) = log_files(daemon)
    text = file.read_bytes()
    assert pipe(text, *where)[0] == text.count(b"$11\r\nFRESHET.")
    assert same(was, state(theirs)) == {}
    daemon.start()


def test_the_log_says_the_same_to_another_freshet(freshet):
    daemon, other = freshet(policy()), freshet(policy())
    do_much(daemon.resp(), "to freshet")
    was = state(daemon.resp())
    assert pipe(log_files(daemon)[0].read_bytes(), *at_port(other))[0] == 0
    assert same(was, state(other.resp())) == {}


def test_the_append_only_file_of_a_redis_is_understood(freshet, tmp_path):
    """With aof-use-rdb-preamble no: the base file of the last rewrite, and what came after it."""
    folder = tmp_path / "redis"
    folder.mkdir()
    where = folder / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(where), "--dir", str(folder), "--save", "",
         "--appendonly", "yes", "--appendfsync", "no", "--aof-use-rdb-preamble", "no"], stdout=subprocess.DEVNULL)
    try:
        until(where.exists, "the socket of redis-server")
        theirs = Resp(f"unix:{where}")
        do_much(theirs, "from redis")
        theirs("BGREWRITEAOF")
        until(lambda: b"aof_rewrite_in_progress:0" in theirs("INFO", "persistence") and
              list(folder.glob("appendonlydir/*.2.base.aof")), "their rewrite")
        do_much(theirs, "from redis, again", 500)
        was = state(theirs)
        theirs.close()
    finally:
        server.terminate()
        server.wait(30)
    named = (folder / "appendonlydir" / "appendonly.aof.manifest").read_text().splitlines()
    files = [line.split()[1] for line in named if line.split()[-1] in "bi"]  # not those of history
    assert len(files) == 2
    daemon = freshet(policy())
    for file in files:
        assert pipe((folder / "appendonlydir" / file).read_bytes(), *at_port(daemon))[0] == 0, file
    assert same(was, state(daemon.resp())) == {}
