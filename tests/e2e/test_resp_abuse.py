# SPDX-License-Identifier: BSD-3-Clause
"""The Redis face under abuse: what one client does to itself never reaches the others. Broken bytes are compared
with redis-server in test_resp_like_redis.py; here are size, number, patience and greed."""
import contextlib
import os
import resource
import socket
import threading

import pytest

from daemon import SANITIZED, until
from resp_client import Resp, RespError
from resp_helpers import PLAIN

MB = 1 << 20


def resident(daemon):
    with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def stats(redis):
    return {name: value for name, _, value in
            (line.partition(" ") for line in redis("FRESHET.STATS").decode().splitlines())}


def listed(redis):
    lines = redis("CLIENT", "LIST").decode().splitlines()
    return {line["id"]: line for line in (dict(w.split("=", 1) for w in text.split()) for text in lines)}


def fields_of(redis, client_id):
    return listed(redis)[str(client_id)]


# --- bytes that are not the protocol --------------------------------------------------------------------


@pytest.mark.parametrize("sent, answer", [
    (b"SET a\0b c\r\n", b"NUL byte in inline request"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 300, b"is this TLS?"),  # a TLS hello: no line end
    (b"*1\r\n\0\r\n", b"expected '$', got NUL"),
    (b"*1\r\n$4\0\r\nPING\r\n", b"invalid bulk length"),
    (b"x" * (64 * 1024 + 1), b"too big inline request"),
], ids=["NUL inline", "TLS hello", "NUL type", "NUL in a length", "endless line"])
def test_bytes_that_are_no_request_are_answered_and_cut(freshet, sent, answer):
    daemon = freshet(PLAIN)
    redis, other = daemon.resp(), daemon.resp()
    redis.raw(sent)
    said = redis.file.read()
    assert said.startswith(b"-ERR Protocol error: ") and answer in said
    assert other("PING") == "PONG"


def test_redis_command_on_the_http_port_is_refused(freshet):
    daemon = freshet('listen: { http: "127.0.0.1:0", resp: "127.0.0.1:0" }\n')
    with contextlib.closing(Resp(daemon.addresses("http")[0])) as redis:
        redis.raw(redis.encode("SET", "k", "v"))
        assert redis.file.read().startswith(b"HTTP/1.1 400 ")
    assert daemon.resp()("EXISTS", "k") == 0


@pytest.mark.parametrize("announced", [b"*1048576\r\n", b"*2\r\n$3\r\nGET\r\n$67108864\r\n"])
def test_announcing_much_takes_no_memory(freshet, announced):
    daemon = freshet(PLAIN)
    before = resident(daemon)
    liars = [daemon.resp() for _ in range(200)]
    for liar in liars:
        liar.raw(announced)
    watcher = daemon.resp()
    until(lambda: sum(c["qbuf"] == str(len(announced)) for c in listed(watcher).values()) == len(liars), "all headers")
    assert resident(daemon) - before < 20 * MB or SANITIZED


# --- much -----------------------------------------------------------------------------------------------


def test_a_million_commands_in_one_pipeline(freshet):
    """All are answered, rightly and in order; memory stays bounded; another client is served all the while."""
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 1"))
    redis, other = daemon.resp(), daemon.resp()
    count, at_once = 1_000_000, 10_000
    batch = redis.encode("INCR", "n") * at_once
    most, served, done = 0, 0, threading.Event()

    def send():
        for _ in range(count // at_once):
            redis.raw(batch)
    sender = threading.Thread(target=send)
    sender.start()

    def read():
        nonlocal wrong
        wrong = next((i for i in range(1, count + 1) if redis.file.readline() != b":%d\r\n" % i), None)
        done.set()
    wrong = 0
    reader = threading.Thread(target=read)
    reader.start()
    while not done.is_set():
        assert other("PING") == "PONG"
        served += 1
        most = max(most, resident(daemon))
    sender.join()
    reader.join()
    assert wrong is None
    assert served > 20
    assert most < 100 * MB or SANITIZED


def test_reply_larger_than_the_limit_is_an_error(freshet):
    daemon = freshet(PLAIN + "limits: { bulk: 1MB, output: 2MB, pipeline: 1MB }\n")
    redis = daemon.resp()
    for i in range(8):
        redis("SET", f"k{i}", b"x" * 700_000)
    keys = [f"k{i}" for i in range(8)]
    too_large = "OOM the reply is larger than limits.output"
    for words in (["MGET", *keys],):
        with pytest.raises(RespError, match=too_large):
            redis(*words)
    assert len(redis("MGET", "k0", "k1")) == 2
    redis("MULTI")
    for key in keys:
        redis("GET", key)
    answers = redis("EXEC")
    assert [len(a) for a in answers if not isinstance(a, RespError)] == [700_000] * 4
    assert all(str(a).startswith(too_large) for a in answers if isinstance(a, RespError))
    assert redis("GETDEL", "k0") == b"x" * 700_000
    assert int(stats(redis)["resp_replies_too_large"]) == 5


def test_keys_that_do_not_fit_are_an_error(freshet):
    daemon = freshet(PLAIN + "limits: { bulk: 64KB, output: 64KB, pipeline: 4KB }\n")
    redis = daemon.resp()
    for i in range(100):
        redis("SET", f"{i:03}" + "x" * 1000, "v")
    for words in (["KEYS", "*"], ["SCAN", "0", "COUNT", "100000"]):
        with pytest.raises(RespError, match="OOM the reply is larger than limits.output"):
            redis(*words)
    assert len(redis("KEYS", "00*")) == 10 and redis("DBSIZE") == 100


# --- slow -----------------------------------------------------------------------------------------------


def test_client_that_does_not_read_is_seen_and_cut(freshet):
    daemon = freshet(PLAIN + "limits: { stall: 300ms }\n")
    redis, greedy = daemon.resp(), daemon.resp()
    redis("SET", "big", b"x" * 3 * MB)
    its_id = greedy("CLIENT", "ID")
    greedy.raw(greedy.encode("GET", "big") * 100)
    until(lambda: str(its_id) not in listed(redis) or int(fields_of(redis, its_id)["omem"]) >= 3 * MB,
          "omem to show what waits")
    until(lambda: str(its_id) not in listed(redis), "the cut")
    assert stats(redis)["connections_cut_stalled"] == "1"
    assert "of its waiting answers for too long" in daemon.log_text()
    until(lambda: stats(redis)["buffer_bytes"].isdigit() and int(stats(redis)["buffer_bytes"]) < MB,
          "the buffers to be given back")


def test_all_buffers_together_are_bounded(freshet):
    """Forty clients that let an answer of 12 MB wait: within 100 MB, and who reads is served."""
    daemon = freshet(PLAIN + "limits: { bulk: 12MB, buffers: 100MB, stall: 0 }\n")
    redis = daemon.resp()
    redis("SET", "big", b"x" * 12 * MB)
    before, greedy = resident(daemon), [daemon.resp() for _ in range(40)]
    for client in greedy:
        client.raw(client.encode("GET", "big"))
    until(lambda: int(stats(redis)["connections_cut_buffers"]) >= 30, "most to be cut")
    assert resident(daemon) - before < 140 * MB or SANITIZED  # what one turn adds comes on top
    until(lambda: int(stats(redis)["buffer_bytes"]) <= 100 * MB, "the rest to fit")
    assert redis("STRLEN", "big") == 12 * MB
    assert "all buffers together were above limits.buffers" in daemon.log_text()


def test_unfinished_requests_count_too(freshet):
    daemon = freshet(PLAIN + "limits: { bulk: 4MB, buffers: 32MB }\n")
    redis, slow = daemon.resp(), [daemon.resp() for _ in range(30)]
    for client in slow:
        with contextlib.suppress(ConnectionError):
            client.raw(b"*2\r\n$4\r\nECHO\r\n$4000000\r\n" + b"x" * 3_000_000)
    until(lambda: int(stats(redis)["connections_cut_buffers"]) >= 10, "most to be cut")
    until(lambda: int(stats(redis)["buffer_bytes"]) <= 32 * MB, "the rest to fit")
    assert redis("PING") == "PONG"


def test_slowloris_holds_only_what_it_sent(freshet):
    """A hundred clients that send a byte of a request now and then, for ever: 'resp_idle' ends them."""
    daemon = freshet(PLAIN + "limits: { resp_idle: 500ms }\n")
    slow = [daemon.resp() for _ in range(100)]
    for client in slow:
        client.raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nx")
    watcher = daemon.resp()
    assert max(int(c["qbuf"]) for c in listed(watcher).values()) < 100
    for client in slow:
        assert client.at_end()
    until(lambda: int(stats(daemon.resp())["connections_cut_idle"]) >= len(slow), "the figure")


def test_tcp_keepalive_is_on(freshet):
    """A peer that vanished is found by the kernel: the timer is set on the accepted socket."""
    daemon = freshet(PLAIN + "limits: { keepalive: 60s }\n")
    redis = daemon.resp()
    assert redis("PING") == "PONG"
    mine, theirs = redis.socket.getsockname()[1], redis.socket.getpeername()[1]

    def timer():
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table.readlines()[1:]:
                words = line.split()
                if (int(words[1].split(":")[1], 16), int(words[2].split(":")[1], 16)) == (theirs, mine):
                    return words[5].split(":")[0]
        return None
    until(lambda: timer() == "02", "the keep-alive timer")  # 02: proc(5)'s other timer, keep-alive
    assert redis("CONFIG", "GET", "tcp-keepalive") == [b"tcp-keepalive", b"60"]


# --- many -----------------------------------------------------------------------------------------------


def test_ten_thousand_idle_connections(freshet):
    """Each costs less than 4 KB in the daemon, and the daemon answers."""
    count, room = 10_000, 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + room:
        pytest.skip(f"needs {count + room} descriptors, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + room), hard))
    daemon = freshet(PLAIN + "limits: { connections: 11000 }\n")
    redis, idle = daemon.resp(), []
    host, port = redis.socket.getpeername()
    before = resident(daemon)
    try:
        for i in range(count):
            # Other loopback addresses: one pair has too few free ports on a busy machine.
            idle.append(socket.create_connection((host, port), source_address=(f"127.0.0.{i % 8 + 2}", 0)))
            if i % 500 == 0:
                assert redis("PING") == "PONG"
        until(lambda: int(redis("INFO", "clients").decode().split("connected_clients:")[1].split()[0])
              == count + 1, "all to be accepted")
        assert (resident(daemon) - before) / count < 4096 or SANITIZED
        for i in (0, count // 2, count - 1):
            idle[i].sendall(b"PING\r\n")
            assert idle[i].recv(16) == b"+PONG\r\n"
        assert len(listed(redis)) == count + 1
    finally:
        for connection in idle:
            connection.close()
    until(lambda: len(listed(redis)) == 1, "all to be gone")


def test_one_too_many_is_told_and_the_operator_gets_in(freshet):
    daemon = freshet('listen: { resp: "127.0.0.1:0", admin: "127.0.0.1:0" }\nmemory: 64MB\n'
                     'limits: { connections: 5 }\n')
    served = [daemon.resp() for _ in range(5)]
    assert [c("PING") for c in served] == ["PONG"] * 5
    for _ in range(3):
        with contextlib.closing(Resp(daemon.addresses("resp")[0])) as one_more:
            assert one_more.file.read() == b"-ERR max number of clients reached\r\n"
    admin = connect_admin(daemon)
    admin.sendall(b"GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b"".join(iter(lambda: admin.recv(65536), b""))
    assert b"connections_refused 3\n" in answer
    assert served[0]("PING") == "PONG"
    served[1].close()
    until(lambda: answers(daemon), "a free place")


def connect_admin(daemon):
    host, _, port = daemon.addresses("admin")[0].rpartition(":")
    return socket.create_connection((host, int(port)), 30)


def answers(daemon):
    with contextlib.closing(Resp(daemon.addresses("resp")[0])) as redis:
        redis.raw(b"PING\r\n")
        return redis.file.readline() == b"+PONG\r\n"


# --- descriptors ----------------------------------------------------------------------------------------


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def test_out_of_descriptors_and_back(freshet):
    """Existing clients are served, new ones are closed instead of hanging, one line in the log says what to do, no
    processor time is burnt, and it ends by itself."""
    daemon = freshet(PLAIN)
    redis = daemon.resp()
    assert redis("PING") == "PONG"
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (descriptors(daemon), hard))
    refused = [Resp(daemon.addresses("resp")[0]) for _ in range(30)]
    assert all(client.at_end() for client in refused)
    assert [redis("INCR", "n") for _ in range(100)] == list(range(1, 101))
    assert daemon.log_text().count("cannot accept connections") == 1
    assert "LimitNOFILE" in daemon.log_text()
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert daemon.resp()("INCR", "n") == 101
    until(lambda: "accepting again" in daemon.log_text(), "the end of the episode in the log")
    for client in refused:
        client.close()


def test_follower_and_pool_outlive_a_lack_of_descriptors(shop, freshet):
    from daemon import shop_policy
    daemon = freshet(shop_policy(shop.role_dsn)).following()
    http = daemon.http()
    path = "/api/products?business_id=1"
    until(lambda: http.get(path).hit, "a hit")
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, hard))
    shop.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'freshet%'")
    until(lambda: not http.get(path).hit, "the loss of contact to be noticed")
    shop.execute("UPDATE product SET name = 'Without descriptors' WHERE id = 1")
    answer = http.get(path)
    assert answer.status == 503 or "Without descriptors" in str(answer.json())
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: http.get(path).hit, "hits again")
    assert "Without descriptors" in str(http.get(path).json())


# --- memory ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(SANITIZED, reason="sanitizers reserve terabytes of addresses")
def test_no_memory_for_one_client_is_no_end_for_the_others(freshet):
    """The process gets no more addresses: large requests and answers are refused, small ones go on."""
    daemon = freshet(PLAIN.replace("memory: 64MB", "memory: 256MB") + "limits: { bulk: 64MB }\n")
    redis, large = daemon.resp(), daemon.resp()
    redis("SET", "big", b"x" * (50 * MB))
    redis("SET", "n", 0)
    with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as statm:
        addresses = int(statm.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_AS)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (addresses + 4 * MB, hard))
    with pytest.raises(RespError, match="OOM"):
        large("GET", "big")
    sent = large.encode("SET", "huge", b"y" * (50 * MB))
    with contextlib.suppress(ConnectionError):
        large.raw(sent)
    assert large.file.readline().startswith(b"-OOM ")
    assert [redis("INCR", "n") for _ in range(1000)] == list(range(1, 1001))
    assert redis("EXISTS", "huge") == 0 and redis("STRLEN", "big") == 50 * MB
    resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (soft, hard))
    assert len(daemon.resp()("GET", "big")) == 50 * MB
    large.close()  # or the cut connection lingers, in case its last word is still on its way
    until(lambda: stats(redis)["connections_cut_memory"] == "1", "the figure")
