# SPDX-License-Identifier: BSD-3-Clause
"""Clients that wait for keys: who is served, in which order, and how a wait ends otherwise."""
import collections
import re
import signal
import threading
import time

import pytest
import redis

from daemon import until
from resp_client import RespError
from resp_helpers import PLAIN

WORKERS = pytest.mark.parametrize("workers", [1, 4])


def policy(workers):
    return PLAIN.replace("workers: 2", f"workers: {workers}")


def blocked(client):
    return int(re.search(r"blocked_clients:(\d+)", client("INFO", "clients").decode())[1])


def wait_blocked(client, count):
    until(lambda: blocked(client) == count, f"{count} blocked clients, not {blocked(client)}")


class Waiters:
    """Connections, each waiting; what they were served, by place."""

    def __init__(self, daemon, control):
        self.daemon, self.control, self.all, self.protocol = daemon, control, [], 2

    def add(self, *command):
        client = self.daemon.resp(protocol=self.protocol)
        before = blocked(self.control)
        client.raw(client.encode(*command))
        wait_blocked(self.control, before + 1)
        self.all.append(client)
        return client

    def replies(self):
        return [client.reply() for client in self.all]


@pytest.fixture
def server(freshet):
    def start(workers):
        daemon = freshet(policy(workers))
        control = daemon.resp()
        return daemon, control, Waiters(daemon, control)
    return start


# --- order ------------------------------------------------------------------------------------------


@WORKERS
def test_clients_are_served_in_order_of_arrival(server, workers):
    _, control, waiters = server(workers)
    for _ in range(20):
        waiters.add("BLPOP", "q", 0)
    for i in range(20):
        assert control("RPUSH", "q", i) == 1  # the length before somebody took it
    assert waiters.replies() == [[b"q", b"%d" % i] for i in range(20)]
    assert control("EXISTS", "q") == 0 and blocked(control) == 0


@WORKERS
def test_one_push_of_several_serves_several(server, workers):
    _, control, waiters = server(workers)
    for pop in ("BLPOP", "BRPOP", "BLPOP"):
        waiters.add(pop, "q", 0)
    assert control("RPUSH", "q", "a", "b", "c", "d") == 4
    assert waiters.replies() == [[b"q", b"a"], [b"q", b"d"], [b"q", b"b"]]
    assert control("LRANGE", "q", 0, -1) == [b"c"]


@WORKERS
def test_mixed_commands_wait_in_one_line(server, workers):
    _, control, waiters = server(workers)
    waiters.add("BLMPOP", 0, 1, "q", "LEFT", "COUNT", 2)
    waiters.add("BLMOVE", "q", "moved", "RIGHT", "LEFT", 0)
    waiters.add("BRPOPLPUSH", "q", "moved", 0)
    waiters.add("BLPOP", "q", 0)
    assert control("RPUSH", "q", 1, 2, 3, 4, 5) == 5
    assert waiters.replies() == [[b"q", [b"1", b"2"]], b"5", b"4", [b"q", b"3"]]
    assert control("LRANGE", "moved", 0, -1) == [b"4", b"5"]


@WORKERS
def test_a_client_that_waits_for_two_keys_takes_from_its_first(server, workers):
    _, control, waiters = server(workers)
    waiters.add("BRPOP", "low", "high", 0)
    control.pipeline(["MULTI"], ["RPUSH", "high", "h"], ["RPUSH", "low", "l"], ["EXEC"])
    assert waiters.replies() == [[b"low", b"l"]]
    assert control("LRANGE", "high", 0, -1) == [b"h"] and blocked(control) == 0


@WORKERS
def test_the_same_key_twice_is_waited_for_once(server, workers):
    _, control, waiters = server(workers)
    waiters.add("BLPOP", "q", "q", "other", "q", 0)
    control("RPUSH", "q", "a", "b")
    assert waiters.replies() == [[b"q", b"a"]]
    assert control("LRANGE", "q", 0, -1) == [b"b"] and blocked(control) == 0


@WORKERS
def test_any_of_very_many_keys_serves_the_wait(server, workers):
    _, control, waiters = server(workers)
    keys = [f"k{i % 30000}" for i in range(60000)]  # each of them twice
    waiters.add("BLPOP", *keys, 0)
    waiters.add("BLPOP", "k29999", 0)
    assert control("RPUSH", "k29999", "first", "second") == 2
    assert waiters.replies() == [[b"k29999", b"first"], [b"k29999", b"second"]]
    wait_blocked(control, 0)


@WORKERS
def test_elements_travel_through_a_chain_of_moves(server, workers):
    _, control, waiters = server(workers)
    waiters.add("BLMOVE", "a", "b", "LEFT", "RIGHT", 0)
    waiters.add("BLMOVE", "c", "d", "LEFT", "RIGHT", 0)
    waiters.add("BLMOVE", "b", "c", "LEFT", "RIGHT", 0)
    waiters.add("BLPOP", "d", 0)
    control("RPUSH", "a", "x")
    assert waiters.replies() == [b"x", b"x", b"x", [b"d", b"x"]]
    assert control("DBSIZE") == 0


@WORKERS
def test_a_circle_of_moves_comes_to_rest(server, workers):
    _, control, waiters = server(workers)
    waiters.add("BRPOPLPUSH", "a", "b", 0)
    waiters.add("BRPOPLPUSH", "b", "a", 0)
    waiters.add("BRPOPLPUSH", "a", "a", 0)
    control("RPUSH", "a", "x")
    assert waiters.replies() == [b"x"] * 3
    assert control("LRANGE", "a", 0, -1) == [b"x"] and control("EXISTS", "b") == 0


@WORKERS
def test_the_next_command_of_a_pipeline_waits_behind_others(server, workers):
    daemon, control, waiters = server(workers)
    first = waiters.add("BLPOP", "q", 0)
    first.raw(first.encode("BLPOP", "q", 0) + first.encode("ECHO", "end"))
    waiters.add("BLPOP", "q", 0)
    control("RPUSH", "q", 1)
    assert first.reply() == [b"q", b"1"]
    wait_blocked(control, 2)
    control("RPUSH", "q", 2, 3)
    assert waiters.all[1].reply() == [b"q", b"2"]
    assert [first.reply(), first.reply()] == [[b"q", b"3"], b"end"]


@WORKERS
@pytest.mark.parametrize("protocol", [2, 3])
def test_sorted_sets_are_waited_for_in_order(server, workers, protocol):
    daemon, control, waiters = server(workers)
    waiters.protocol = protocol
    waiters.add("BZPOPMIN", "z", 0)
    waiters.add("BZPOPMAX", "other", "z", "0.0")
    waiters.add("BZMPOP", 0, 2, "other", "z", "MAX", "COUNT", 2)
    waiters.add("BLPOP", "z", 0)
    waiters.add("BZPOPMIN", "z", 0)
    control("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, "d")
    number = float if protocol == 3 else lambda value: b"%d" % value
    got = [client.reply() for client in waiters.all[:3]]
    assert got == [[b"z", b"a", number(1)], [b"z", b"d", number(4)],
                   [b"z", [[b"c", number(3)], [b"b", number(2)]]]]
    assert blocked(control) == 2
    control.pipeline(["MULTI"], ["ZADD", "z", 5, "e"], ["ZREM", "z", "e"], ["RPUSH", "z", "x"], ["ZADD", "y", 6, "f"], ["EXEC"])
    assert waiters.all[3].reply() == [b"z", b"x"]
    control("ZUNIONSTORE", "z", 1, "y")
    assert waiters.all[4].reply() == [b"z", b"f", number(6)]


# --- what feeds whom --------------------------------------------------------------------------------


@WORKERS
def test_elements_pushed_and_deleted_in_a_transaction_were_never_there(server, workers):
    _, control, waiters = server(workers)
    waiters.add("BLPOP", "q", 0)
    replies = control.pipeline(["MULTI"], ["LPUSH", "q", "a"], ["DEL", "q"], ["LPUSH", "q", "b"], ["EXEC"])
    assert replies[-1] == [1, 1, 1]
    assert waiters.replies() == [[b"q", b"b"]]
    client = waiters.add("BLPOP", "q", 0)
    control.pipeline(["MULTI"], ["LPUSH", "q", "a"], ["DEL", "q"], ["EXEC"])
    assert blocked(control) == 1
    control("LPUSH", "q", "c")
    assert client.reply() == [b"q", b"c"]


@WORKERS
@pytest.mark.parametrize("feed", [
    ["RENAME", "from", "q"], ["RENAMENX", "from", "q"], ["COPY", "from", "q"], ["LMOVE", "from", "q", "LEFT", "LEFT"],
    ["RPOPLPUSH", "from", "q"], ["LPUSH", "q", "x"],
])
def test_whatever_makes_a_list_feeds_its_waiters(server, workers, feed):
    _, control, waiters = server(workers)
    control("RPUSH", "from", "x")
    waiters.add("BLPOP", "q", 0)
    control(*feed)
    assert waiters.replies() == [[b"q", b"x"]] and control("EXISTS", "q") == 0


def test_lists_that_come_from_another_database_feed_their_waiters(server):
    daemon, control, waiters = server(4)
    other = daemon.resp()
    other("SELECT", 1)
    waiters.add("BLPOP", "q", 0)
    other("RPUSH", "q", "moved")
    assert blocked(control) == 1  # another database's
    other("MOVE", "q", 0)
    waiters.add("BLPOP", "q", 0)
    other("RPUSH", "q", "swapped")
    other("SWAPDB", 0, 1)
    assert waiters.replies() == [[b"q", b"moved"], [b"q", b"swapped"]]


@WORKERS
def test_a_key_of_another_kind_wakes_nobody(server, workers):
    _, control, waiters = server(workers)
    client = waiters.add("BLPOP", "q", 0)
    control("SET", "q", "a string")
    control("APPEND", "q", "!")
    assert blocked(control) == 1
    control("DEL", "q")
    control("RPUSH", "q", "x")
    assert client.reply() == [b"q", b"x"]


@WORKERS
def test_a_move_to_a_key_of_another_kind_fails_and_takes_nothing(server, workers):
    _, control, waiters = server(workers)
    control("SET", "string", "v")
    waiters.add("BLMOVE", "q", "string", "LEFT", "LEFT", 0)
    control("RPUSH", "q", "x")
    assert str(waiters.all[0].reply()).startswith("WRONGTYPE")
    assert control("LRANGE", "q", 0, -1) == [b"x"]


def test_inside_a_transaction_nothing_waits(server):
    _, control, _ = server(4)
    replies = control.pipeline(["MULTI"], ["BLPOP", "q", 0], ["BLMOVE", "q", "p", "LEFT", "LEFT", 0],
                               ["RPUSH", "q", "x"], ["BRPOP", "q", 0], ["EXEC"])
    assert replies[-1] == [None, None, 1, [b"q", b"x"]] and blocked(control) == 0


@WORKERS
def test_what_is_done_for_those_who_wait_is_told_as_events(server, workers):
    daemon, control, waiters = server(workers)
    control("CONFIG", "SET", "notify-keyspace-events", "EA")
    listener = daemon.resp()
    listener("PSUBSCRIBE", "__keyevent*")
    waiters.add("BLMOVE", "a", "b", "LEFT", "RIGHT", 0)
    waiters.add("BRPOP", "b", 0)
    control("RPUSH", "a", "x")
    waiters.replies()
    told = [tuple(listener.reply()[2:]) for _ in range(6)]
    assert told == [(b"__keyevent@0__:" + name, key) for name, key in [
        (b"rpush", b"a"), (b"rpush", b"b"), (b"lpop", b"a"), (b"del", b"a"), (b"rpop", b"b"), (b"del", b"b")]]


# --- the end of a wait ------------------------------------------------------------------------------


@WORKERS
@pytest.mark.parametrize("protocol", [2, 3])
def test_timeouts_answer_null_not_early_and_leave_the_line(server, workers, protocol):
    daemon, control, _ = server(workers)
    client = daemon.resp(protocol=protocol)
    for command in (["BLPOP", "q", "0.05"], ["BLMPOP", "0.05", 1, "q", "LEFT"], ["BRPOPLPUSH", "q", "p", "0.05"]):
        began = time.monotonic()
        client.raw(client.encode(*command))
        assert client.file.readline() == (b"*-1\r\n" if protocol == 2 else b"_\r\n")
        assert time.monotonic() - began > 0.048
    assert control("RPUSH", "q", "x") == 1 and control("LRANGE", "q", 0, -1) == [b"x"]


def test_timeouts_that_are_none(server):
    _, control, _ = server(1)
    for value in ("inf", "0x7FFFFFFFFFFFFF", "9223372036854775807", "1e400"):
        with pytest.raises(RespError, match="ERR timeout is (not a float or )?out of range"):
            control("BLPOP", "q", value)
    with pytest.raises(RespError, match="ERR timeout is negative"):
        control("BLPOP", "q", "-inf")


@WORKERS
def test_unblock_ends_a_wait_as_told(server, workers):
    daemon, control, waiters = server(workers)
    idle = daemon.resp()
    ids = []
    for _ in range(3):
        client = daemon.resp()
        ids.append(client("CLIENT", "ID"))
        client.raw(client.encode("BLPOP", "q", 0))
        waiters.all.append(client)
    wait_blocked(control, 3)
    assert control("CLIENT", "UNBLOCK", idle("CLIENT", "ID")) == 0
    assert control("CLIENT", "UNBLOCK", ids[0]) == 1
    assert control("CLIENT", "UNBLOCK", ids[0]) == 0
    assert control("CLIENT", "UNBLOCK", ids[1], "ERROR") == 1
    assert waiters.all[0].reply() is None
    assert str(waiters.all[1].reply()) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    assert waiters.all[0]("PING") == waiters.all[1]("PING") == "PONG"
    assert control("RPUSH", "q", "x") == 1
    assert waiters.all[2].reply() == [b"q", b"x"]


@WORKERS
def test_who_disconnects_loses_nothing(server, workers):
    daemon, control, waiters = server(workers)
    leaving = [waiters.add("BLPOP", "q", 0) for _ in range(4)]
    leaving[1].raw(leaving[1].encode("ECHO", "unread"))  # bytes behind the wait hide the end of the stream
    stays = waiters.add("BLPOP", "q", 0)
    for client in leaving:
        client.close()
    wait_blocked(control, 1)
    control("RPUSH", "q", "x")
    assert stays.reply() == [b"q", b"x"]


@WORKERS
def test_who_is_killed_leaves_the_line(server, workers):
    daemon, control, waiters = server(workers)
    client = daemon.resp()
    number = client("CLIENT", "ID")
    client.raw(client.encode("BLPOP", "q", 0))
    wait_blocked(control, 1)
    line = next(line for line in control("CLIENT", "LIST").decode().splitlines() if line.startswith(f"id={number} "))
    assert " flags=b " in line and " cmd=blpop " in line
    assert control("CLIENT", "KILL", "ID", number) == 1
    assert client.at_end()
    wait_blocked(control, 0)
    control("RPUSH", "q", "x")
    assert control("LRANGE", "q", 0, -1) == [b"x"]


def test_a_kill_inside_a_transaction_ends_a_wait_of_the_same_worker(server):
    daemon, control, waiters = server(1)
    client = daemon.resp()
    number = client("CLIENT", "ID")
    client.raw(client.encode("BLPOP", "q", 0))
    wait_blocked(control, 1)
    control.pipeline(["MULTI"], ["CLIENT", "KILL", "ID", number], ["RPUSH", "q", "x"], ["EXEC"])
    assert client.at_end() and control("LRANGE", "q", 0, -1) == [b"x"]


@WORKERS
def test_the_server_stops_and_reloads_with_clients_waiting(server, workers):
    daemon, control, waiters = server(workers)
    for i in range(8):
        waiters.add("BLPOP", f"q{i % 3}", "other", 0)
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: "reloads 1\n" in control("FRESHET.STATS").decode(), "the reload")
    control("RPUSH", "q0", "x")
    assert waiters.all[0].reply() == [b"q0", b"x"]
    daemon.process.send_signal(signal.SIGTERM)
    assert all(client.at_end() for client in waiters.all)
    assert daemon.process.wait(30) == 0
    assert "limits.drain" not in daemon.log_text()


@WORKERS
def test_replies_switched_off_stay_off(server, workers):
    daemon, control, waiters = server(workers)
    client = daemon.resp()
    client.raw(client.encode("CLIENT", "REPLY", "SKIP") + client.encode("BLPOP", "q", 0) + client.encode("PING"))
    wait_blocked(control, 1)
    control("RPUSH", "q", "x")
    assert client.reply() == "PONG" and control("EXISTS", "q") == 0


# --- many at once -----------------------------------------------------------------------------------


@WORKERS
def test_no_element_is_lost_or_doubled(freshet, workers):
    """Producers push and consumers wait, over several lists, commands and workers; every element ends up with
    exactly one consumer, or in the list that moves fill."""
    daemon = freshet(policy(workers))
    port = int(daemon.address["resp"].rpartition(":")[2])
    queues, producers, consumers, each = 3, 4, 8, 600
    got, failed = collections.Counter(), []

    def produce(n):
        client = redis.Redis(port=port)
        for i in range(each):
            name = f"q{(n + i) % queues}"
            value = f"{n}:{i}"
            if i % 5 == 0:
                with client.pipeline() as pipe:
                    pipe.multi()
                    pipe.rpush(name, value)
                    pipe.llen(name)
                    pipe.execute()
            elif i % 7 == 0:
                client.rpush(name, value, value + "+")
            else:
                client.lpush(name, value)

    def consume(n):
        client = redis.Redis(port=port)
        mine = collections.Counter()
        while True:
            if n % 3 == 0:
                reply = client.blpop([f"q{n % queues}", "q0", "q1", "q2", "stop"], 0)
            elif n % 3 == 1:
                value = client.blmove(f"q{n % queues}", "moved", 0.02, "LEFT", "RIGHT")
                reply = client.brpop(["q2", "q1", "q0", "stop"], 0) if value is None else None
            else:
                reply = client.blmpop(0, 4, "q0", "q1", "q2", "stop", direction="LEFT", count=3)
            if reply is None:
                continue
            name, values = reply[0], reply[1] if isinstance(reply[1], list) else [reply[1]]
            if name == b"stop":
                got.update(mine)
                return
            mine.update(values)

    def guarded(function, n):
        try:
            function(n)
        except Exception as error:  # pylint: disable=broad-except
            failed.append(repr(error))
    threads = [threading.Thread(target=guarded, args=(consume, n)) for n in range(consumers)]
    makers = [threading.Thread(target=guarded, args=(produce, n)) for n in range(producers)]
    for thread in threads + makers:
        thread.start()
    for thread in makers:
        thread.join()
    control = daemon.resp()
    until(lambda: control("EXISTS", "q0", "q1", "q2") == 0 or failed, "all queues to be emptied")
    for thread in threads:
        while thread.is_alive():  # one may take the words for several: BLMPOP COUNT 3
            control("RPUSH", "stop", "x")
            thread.join(0.05)
    control("DEL", "stop")
    assert not failed
    got.update(control("LRANGE", "moved", 0, -1))
    want = collections.Counter()
    for n in range(producers):
        for i in range(each):
            want[f"{n}:{i}".encode()] += 1
            want[f"{n}:{i}+".encode()] += 1 if i % 5 != 0 and i % 7 == 0 else 0
    assert got - want == {} and want - got == {}
    assert control("DBSIZE") == 1 and blocked(control) == 0
