# SPDX-License-Identifier: BSD-3-Clause
"""Scripts that run for long: others are told, SCRIPT KILL ends them, and nobody waits without an answer."""
import signal
import threading
import time

import pytest

from daemon import until
from resp_client import RespError

POLICY = """
listen: {{ resp: "127.0.0.1:0" }}
workers: {workers}
memory: 64MB
limits: {{ script: 50ms }}
"""
FOREVER = "while true do end"
STUBBORN = """while true do
    pcall(function() while true do end end)
    pcall(coroutine.wrap(function() while true do end end))
    xpcall(function() while true do redis.pcall('ping') end end, function(e) return e end)
end"""


@pytest.fixture(params=[1, 4])
def daemon(request, freshet):
    return freshet(POLICY.format(workers=request.param))


def clients(daemon, count=8):
    """So many that each worker has some: connections are spread."""
    found = [daemon.resp() for _ in range(count)]
    assert {c("PING") for c in found} == {"PONG"}
    return found


def is_busy(client):
    try:
        client("PING")
        return False
    except RespError as e:
        return str(e) == ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or "
                          "SHUTDOWN NOSAVE.")


def run(client, *words):
    """Sends a command whose reply is read later."""
    client.raw(client.encode(*words))


@pytest.mark.parametrize("script", [FOREVER, STUBBORN])
def test_kill_ends_a_script_that_has_not_written(daemon, script):
    runner, *others = clients(daemon)
    run(runner, "EVAL", script, 0)
    for other in others:
        until(lambda: is_busy(other), "everybody is told")
    late = daemon.resp()
    assert is_busy(late)
    assert late("SCRIPT", "KILL") == "OK"
    error = str(runner.reply())
    assert error.startswith("ERR Script killed by user with SCRIPT KILL. script: ")
    assert runner("PING") == "PONG"
    for other in others:
        until(lambda: not is_busy(other), "nobody is told any more")
        assert other("SET", "k", "v") == "OK"
    with pytest.raises(RespError, match="^NOTBUSY No scripts in execution right now.$"):
        late("SCRIPT", "KILL")


def test_a_transaction_that_meets_a_script_is_not_run_by_halves(daemon):
    first, *others = clients(daemon)
    before, meets_later, after = others[:3]
    for client in (before, meets_later):
        assert client.pipeline(["MULTI"], ["INCR", "n"]) == ["OK", "QUEUED"]
    run(first, "EVAL", FOREVER, 0)
    until(lambda: all(is_busy(c) for c in others[3:]), "the script to be busy")
    for command in (["EXEC"], ["PING"]):
        run(before, *command)
    assert str(before.reply()).startswith("EXECABORT Transaction discarded because of: BUSY Redis is busy")
    assert str(before.reply()).startswith("BUSY")
    run(meets_later, "INCR", "n")
    assert str(meets_later.reply()).startswith("BUSY")
    assert after("MULTI") == "OK" and is_busy(after)
    others[3]("SCRIPT", "KILL")
    until(lambda: not is_busy(others[3]), "the script's end")
    for client in (meets_later, after):
        run(client, "EXEC")
        assert str(client.reply()) == "EXECABORT Transaction discarded because of previous errors."
    assert before("GET", "n") is None and before("ECHO", "x") == b"x"
    assert isinstance(first.reply(), RespError)


def test_a_script_that_has_written_is_not_killed(daemon):
    runner, other, *_ = clients(daemon)
    run(runner, "EVAL", "redis.call('set', 'x', 'y') local n = 0 "
        "while redis.call('exists', 'x') == 1 and n < tonumber(ARGV[1]) do n = n + 1 end return 'end'",
        0, 2000000)
    until(lambda: is_busy(other), "everybody is told")
    with pytest.raises(RespError, match="^UNKILLABLE Sorry the script already executed write commands"):
        other("SCRIPT", "KILL")
    assert runner.reply() == b"end"
    assert other("GET", "x") == b"y"


def test_commands_that_waited_are_answered(daemon):
    """What arrives before the script is found to be slow is parked, then told; MULTI is given up."""
    runner, *others = clients(daemon)
    run(runner, "EVAL", FOREVER, 0)
    for other in others:
        run(other, "GET", "k")
    for other in others:
        reply = other.reply()
        assert reply is None or str(reply).startswith("BUSY ")
    late = daemon.resp()
    until(lambda: is_busy(late), "everybody is told")
    assert late("MULTI") == "OK"
    with pytest.raises(RespError, match="^BUSY "):
        late("SET", "k", "v")
    assert others[0]("SCRIPT", "KILL") == "OK"
    runner.reply()
    until(lambda: not is_busy(others[0]), "nobody is told any more")
    with pytest.raises(RespError, match="^EXECABORT "):
        late("EXEC")


def test_short_scripts_of_many_clients_all_run(daemon):
    """Owners and those who only pass meet all the time; nobody is forgotten at the gate."""
    count, rounds = 8, 300
    found = clients(daemon, count)

    def work(client, i):
        for n in range(rounds):
            client("EVAL", "return redis.call('incr', KEYS[1])", 1, "sum")
            client("SET", f"own{i}", n)
            client("MGET", f"own{i}", "sum")
    threads = [threading.Thread(target=work, args=(c, i)) for i, c in enumerate(found)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    assert found[0]("GET", "sum") == str(count * rounds).encode()


def test_stop_does_not_wait_for_a_script(daemon):
    runner, other, *_ = clients(daemon)
    run(runner, "EVAL", FOREVER, 0)
    until(lambda: is_busy(other), "everybody is told")
    daemon.stop()


DURABLE = """
listen: {{ resp: "127.0.0.1:0", admin: "127.0.0.1:0" }}
workers: 4
limits: {{ script: 50ms }}
durable: {{ dir: log, fsync: {fsync} }}
spaces:
  queue: {{ db: 0, memory: 64MB, keep: durable, evict: never }}
  cache: {{ db: 1, memory: 16MB }}
"""


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_an_endless_script_holds_up_no_other_worker_of_a_durable_space(freshet, fsync):
    """Each worker has had something to write, somebody who waits, and watches, when the script begins; and all
    the while keys expire, connections with watches leave, and the log is rewritten."""
    daemon = freshet(DURABLE.format(fsync=fsync))
    runner, *others = clients(daemon, 13)
    waiting, watching = clients(daemon), clients(daemon)
    for n in range(200):
        others[0]("SET", f"soon{n}", "x", "PX", 20)
    for i, client in enumerate(watching):
        assert client("WATCH", f"watched{i}", "q") == "OK"
    for client in waiting:
        run(client, "BLPOP", "q", 0)
    until(lambda: b"blocked_clients:8\r" in others[0]("INFO", "clients"), "all to wait")
    others[0]("BGREWRITEAOF")
    for n, other in enumerate(others):
        run(other, "SET", f"k{n}", n)  # perhaps answered, perhaps told that a script runs
    run(runner, "EVAL", "redis.call('exists', 'q') while true do end", 0)
    for other in others:
        other.socket.settimeout(10)
        reply = other.reply()
        assert reply == "OK" or str(reply).startswith("BUSY "), reply
        until(lambda: is_busy(other), "everybody is told")
    for client in watching:
        client.close()
    until_ms = time.monotonic() + 0.5
    while time.monotonic() < until_ms:  # upkeep, the log's rewriting have come by
        for other in others:
            assert is_busy(other)
    assert is_busy(daemon.resp())
    assert "entry: " in daemon.explain("key", "k1")
    assert others[0]("SCRIPT", "KILL") == "OK"
    assert "killed" in str(runner.reply())
    for n, other in enumerate(others):
        until(lambda: not is_busy(other), "nobody is told any more")
        assert other("SET", f"k{n}", "after") == "OK"
    assert others[0]("RPUSH", "q", *range(8)) == 8
    assert sorted(client.reply()[1] for client in waiting) == [b"%d" % n for n in range(8)]
    daemon.stop(signal.SIGKILL)
    daemon.start()
    late = daemon.resp()
    assert [late("GET", f"k{n}") for n in range(12)] == [b"after"] * 12


def test_a_slow_script_does_not_stop_what_needs_no_data(freshet):
    daemon = freshet(POLICY.format(workers=4).replace("50ms", "1h"))
    runner, *others = clients(daemon)
    run(runner, "EVAL", FOREVER, 0)
    answered = []
    for other in others:
        other.socket.settimeout(0.5)
        try:
            answered.append(other("PING"))
        except TimeoutError:
            pass  # a client of the worker that runs the script
    assert answered.count("PONG") >= 4
    assert kill(others)
    assert "killed" in str(runner.reply())


def kill(clients):
    for c in clients:
        try:
            c.socket.settimeout(0.5)
            if c("SCRIPT", "KILL") == "OK":
                return True
        except (OSError, RespError):
            pass
    return False


def test_blocked_clients_leave_and_time_out_around_an_endless_script(daemon):
    """Neither holds a worker up: everybody is told all the while, and nobody who has left is served."""
    runner, *others = clients(daemon, 9)
    leaving, late = clients(daemon), clients(daemon, 4)
    for client in leaving:
        run(client, "BLPOP", "q", 0)
    for client in late:
        run(client, "BLPOP", "q", "0.2")
    until(lambda: b"blocked_clients:12\r" in others[0]("INFO", "clients"), "all to wait")
    run(runner, "EVAL", FOREVER, 0)
    for other in others:
        until(lambda: is_busy(other), "everybody is told")
    for client in leaving:
        client.close()
    until_ms = time.monotonic() + 0.3
    while time.monotonic() < until_ms:  # past the timeouts
        assert all(is_busy(other) for other in others)
    assert others[0]("SCRIPT", "KILL") == "OK"
    assert "killed" in str(runner.reply())
    assert [client.reply() for client in late] == [None] * 4
    until(lambda: b"blocked_clients:0\r" in others[0]("INFO", "clients"), "nobody to wait")
    others[0]("RPUSH", "q", "x")
    assert others[0]("LRANGE", "q", 0, -1) == [b"x"]
