# SPDX-License-Identifier: BSD-3-Clause
"""Connections of the Redis face: handshakes of the big clients, names, the list, pipelines, limits."""
import os
import re
import select
import threading

import pytest

from daemon import until
from resp_client import RespError
from resp_helpers import PLAIN

SECRET = PLAIN + "auth: { password: sesame }\n"


@pytest.fixture
def plain(freshet):
    return freshet(PLAIN)


def fields(line):
    return dict(word.split("=", 1) for word in line.decode().split())


def clients(redis, *how):
    return [fields(line) for line in redis("CLIENT", "LIST", *how).splitlines()]


def info(redis, *sections):
    text = redis("INFO", *sections).decode()
    text = text[4:] if text.startswith("txt:") else text
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def error(redis, *words):
    with pytest.raises(RespError) as caught:
        redis(*words)
    return str(caught.value)


# --- handshakes -----------------------------------------------------------------------------------------


def test_hello_says_who_we_are(plain):
    redis = plain.resp()
    reply = redis("HELLO", 3)
    assert reply == {b"server": b"redis", b"version": b"7.2.4", b"proto": 3,
                     b"id": redis("CLIENT", "ID"), b"mode": b"standalone", b"role": b"master",
                     b"modules": []}
    assert redis("GET", "missing") is None
    assert redis("HELLO", 2)[:4] == [b"server", b"redis", b"version", b"7.2.4"]
    assert redis("CONFIG", "GET", "save") == [b"save", b""]


@pytest.mark.parametrize("protocol", [2, 3])
def test_handshakes_of_the_big_clients_pass(plain, protocol):
    """redis-py 8, ioredis 6, node-redis 6: HELLO, SETINFO twice, SELECT, INFO; all in one write."""
    redis = plain.resp()
    replies = redis.pipeline(
        ["hello", protocol, "SETNAME", "worker-1"], ["CLIENT", "SETINFO", "LIB-NAME", "redis-py(django_v5)"],
        ["CLIENT", "SETINFO", "lib-ver", "8.0.0"], ["select", "2"], ["INFO"], ["CLIENT", "NO-TOUCH", "ON"])
    assert replies[1:4] == ["OK"] * 3 and replies[5] == "OK"
    assert b"loading:0\r\n" in replies[4]
    me = fields(redis("CLIENT", "INFO").removeprefix(b"txt:"))
    assert me["name"] == "worker-1" and me["db"] == "2" and me["resp"] == str(protocol)
    assert me["lib-name"] == "redis-py(django_v5)" and me["lib-ver"] == "8.0.0"


def test_setinfo_refuses_what_would_break_the_list(plain):
    redis = plain.resp()
    assert error(redis, "CLIENT", "SETINFO", "lib-name", "a b") == (
        "ERR lib-name cannot contain spaces, newlines or special characters.")
    assert error(redis, "CLIENT", "SETINFO", "nosuch", "x") == "ERR Unrecognized option 'nosuch'"
    assert error(redis, "CLIENT", "SETINFO", "lib-name") == (
        "ERR wrong number of arguments for 'client|setinfo' command")


def test_info_has_what_clients_look_for(plain):
    redis = plain.resp()
    redis("SET", "k", "v")
    redis("GET", "k")
    redis("GET", "missing")
    got = info(redis)
    expected = {"redis_version": "7.2.4", "server_name": "freshet", "redis_mode": "standalone",
                "arch_bits": "64", "loading": "0", "cluster_enabled": "0", "role": "master",
                "connected_clients": "1", "keyspace_hits": "1", "keyspace_misses": "1"}
    assert {name: got.get(name) for name in expected} == expected
    assert re.fullmatch(r"keys=1,expires=\d+,avg_ttl=\d+", got["db0"])
    assert set(info(redis, "server")) & set(info(redis, "memory")) == set()
    assert b"# Keyspace" in redis("INFO", "server", "keyspace")
    assert redis("INFO", "nosuch") == b""


def test_resetstat_begins_info_anew_and_leaves_the_metrics(plain):
    redis = plain.resp()
    redis("SET", "k", "v")
    redis("GET", "k")
    redis("GET", "missing")
    error(redis, "NOSUCH")
    assert redis("CONFIG", "RESETSTAT") == "OK"
    got = info(redis, "stats")
    assert [got[name] for name in ("keyspace_hits", "keyspace_misses", "total_error_replies",
                                   "total_connections_received", "expired_keys")] == ["0"] * 5
    assert int(got["total_commands_processed"]) <= 2
    redis("GET", "k")
    assert info(redis, "stats")["keyspace_hits"] == "1"
    assert "\nresp_hits 2\n" in redis("FRESHET.STATS").decode()


def test_config_get_answers_as_it_was_asked(plain):
    redis = plain.resp()
    host, port = redis.socket.getpeername()
    assert redis("CONFIG", "GET", "Save") == [b"Save", b""]
    assert redis("CONFIG", "GET", "SAVE", "save") == [b"SAVE", b""]
    assert redis("CONFIG", "GET", "port") == [b"port", str(port).encode()]
    assert redis("CONFIG", "GET", "bind") == [b"bind", host.encode()]
    assert redis("CONFIG", "GET", "time*") == [b"timeout", b"0"]
    assert redis("CONFIG", "GET", "nosuch", "x") == []


def test_eviction_policy_is_that_of_the_selected_database(freshet):
    """A queue library that insists on noeviction asks on its own connection."""
    daemon = freshet('listen: { resp: "127.0.0.1:0" }\nmemory: 64MB\nspaces:\n'
                     '  queue: { db: 0, memory: 16MB, evict: never }\n  cache: { db: 1, memory: 16MB }\n')
    assert info(daemon.resp(db=0))["maxmemory_policy"] == "noeviction"
    cache = daemon.resp(db=1)
    assert info(cache)["maxmemory_policy"].startswith("allkeys-")
    assert cache("CONFIG", "GET", "maxmemory-policy")[1].startswith(b"allkeys-")
    assert error(cache, "SELECT", "2") == "ERR DB index is out of range"


# --- passwords ------------------------------------------------------------------------------------------


def test_nothing_is_answered_before_the_password(freshet):
    redis = freshet(SECRET).resp()
    for words in (["GET", "k"], ["PING"], ["INFO"], ["MULTI"], ["CLIENT", "LIST"], ["SELECT", "1"]):
        assert error(redis, *words) == "NOAUTH Authentication required."
    assert error(redis, "NOSUCH").startswith("ERR unknown command 'NOSUCH'")
    assert error(redis, "HELLO", "3").startswith("NOAUTH HELLO must be called with the client already")
    assert error(redis, "AUTH", "wrong") == (
        "WRONGPASS invalid username-password pair or user is disabled.")
    assert error(redis, "AUTH", "nobody", "sesame").startswith("WRONGPASS")
    assert error(redis, "HELLO", "3", "AUTH", "default", "sesam").startswith("WRONGPASS")
    assert redis("AUTH", "sesame") == "OK"
    assert redis("SET", "k", "v") == "OK"
    assert redis("RESET") == "RESET"
    assert error(redis, "GET", "k") == "NOAUTH Authentication required."
    assert redis("HELLO", "3", "AUTH", "default", "sesame", "SETNAME", "me")[b"proto"] == 3
    assert redis("CLIENT", "GETNAME") == b"me"


@pytest.mark.parametrize("sent, why", [
    (b"*11\r\n", "unauthenticated multibulk length"),
    (b"*2\r\n$16385\r\n", "unauthenticated bulk length"),
])
def test_strangers_may_not_send_much(freshet, sent, why):
    redis = freshet(SECRET).resp()
    redis.raw(sent)
    assert redis.file.read() == f"-ERR Protocol error: {why}\r\n".encode()


# --- the list -------------------------------------------------------------------------------------------


def test_list_shows_connections_of_every_worker(plain):
    everyone = [plain.resp(db=i) for i in range(5)]
    for i, redis in enumerate(everyone):
        redis("CLIENT", "SETNAME", f"worker-{i}")
    listed = clients(everyone[0])
    assert sorted((c["name"], c["db"]) for c in listed) == [(f"worker-{i}", str(i)) for i in range(5)]
    assert len({c["id"] for c in listed}) == len({c["addr"] for c in listed}) == 5
    host, port = everyone[1].socket.getsockname()
    second = next(c for c in listed if c["name"] == "worker-1")
    assert second["addr"] == f"{host}:{port}" and second["laddr"] == plain.addresses("resp")[0]
    assert {"id", "addr", "laddr", "fd", "name", "age", "idle", "flags", "db", "sub", "multi", "cmd",
            "user", "resp", "lib-name", "lib-ver"} <= set(second)
    assert [c["name"] for c in clients(everyone[0], "ID", second["id"], 999999)] == ["worker-1"]
    assert len(clients(everyone[0], "TYPE", "normal")) == 5
    assert clients(everyone[0], "TYPE", "pubsub") == []


def test_pipeline_goes_on_behind_the_list(plain):
    plain.resp()
    redis = plain.resp()
    replies = redis.pipeline(["SET", "k", "1"], ["CLIENT", "LIST"], ["INCR", "k"], ["GET", "k"])
    assert replies[0] == "OK" and replies[2:] == [2, b"2"] and replies[1].count(b"\n") == 2


@pytest.mark.parametrize("how", ["id", "addr", "old form", "laddr"])
def test_kill_closes_others(plain, how):
    admin, *others = [plain.resp() for _ in range(5)]
    victim = others[2]
    host, port = victim.socket.getsockname()
    if how == "id":
        assert admin("CLIENT", "KILL", "ID", victim("CLIENT", "ID")) == 1
    elif how == "addr":
        assert admin("CLIENT", "KILL", "ADDR", f"{host}:{port}") == 1
    elif how == "old form":
        assert admin("CLIENT", "KILL", f"{host}:{port}") == "OK"
    else:
        assert admin("CLIENT", "KILL", "LADDR", plain.addresses("resp")[0]) == 4
    assert victim.at_end()
    alive = [c for c in others if c is not victim] if how != "laddr" else []
    assert [c("PING") for c in alive] == ["PONG"] * len(alive)
    until(lambda: len(clients(admin)) == 1 + len(alive), "the list to shrink")


def test_who_is_killed_sees_it_after_the_killer_has_its_answer(freshet):
    """So that it cannot be back before: clients that connect again at once are tested with that."""
    daemon = freshet(PLAIN)
    killer = daemon.resp()
    for _ in range(60):
        victims = [daemon.resp() for _ in range(3)]
        for number in [victim("CLIENT", "ID") for victim in victims]:
            killer.raw(killer.encode("CLIENT", "KILL", "ID", number))
            sockets = [victim.socket for victim in victims] + [killer.socket]
            select.select([victim.socket for victim in victims], [], [], 30)
            assert killer.socket in select.select(sockets, [], [], 0)[0]
            assert killer.reply() == 1
            victims = [v for v in victims if v.socket not in select.select([v.socket], [], [], 0)[0]]


def test_kill_of_oneself_is_answered_first(plain):
    redis = plain.resp()
    assert redis("CLIENT", "KILL", "ID", redis("CLIENT", "ID"), "SKIPME", "no") == 1
    assert redis.at_end()
    spared = plain.resp()
    assert spared("CLIENT", "KILL", "ID", spared("CLIENT", "ID")) == 0


# --- replies and endings --------------------------------------------------------------------------------


def test_reply_off_and_skip(plain):
    redis = plain.resp()
    redis.raw(redis.encode("CLIENT", "REPLY", "OFF") + redis.encode("SET", "a", "1")
              + redis.encode("NOSUCH") + redis.encode("CLIENT", "REPLY", "ON"))
    assert redis.reply() == "OK"
    redis.raw(redis.encode("CLIENT", "REPLY", "SKIP") + redis.encode("INCR", "a")
              + redis.encode("GET", "a"))
    assert redis.reply() == b"2"


def test_quit_and_reset(plain):
    redis = plain.resp(db=3, protocol=3)
    redis("CLIENT", "SETNAME", "me")
    redis("MULTI")
    assert redis("RESET") == "RESET"
    me = fields(redis("CLIENT", "INFO"))
    assert (me["name"], me["db"], me["resp"], me["multi"]) == ("", "0", "2", "-1")
    assert redis("EXISTS", "k") == 0
    assert redis("QUIT") == "OK"
    assert redis.at_end()


def test_commands_behind_quit_are_not_run(plain):
    redis, other = plain.resp(), plain.resp()
    redis.raw(redis.encode("QUIT") + redis.encode("SET", "k", "v"))
    assert redis.file.read() == b"+OK\r\n"
    assert other("GET", "k") is None


def test_web_pages_cannot_reach_the_commands(plain):
    """A browser that is made to POST to the Redis port is cut off before its body counts."""
    redis, other = plain.resp(), plain.resp()
    redis.raw(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n")
    assert redis.at_end()
    assert other("GET", "k") is None


def test_unix_socket(freshet, tmp_path):
    path = tmp_path / "r.sock"
    daemon = freshet(PLAIN.replace("127.0.0.1:0", f"unix:{path}"))
    redis = daemon.resp()
    assert redis("SET", "k", "v") == "OK"
    assert clients(redis)[0]["addr"].startswith("unix")


# --- pipelines and sizes --------------------------------------------------------------------------------


def test_long_pipeline_in_odd_pieces(plain):
    """20,000 commands cut at every odd place; answers in order."""
    redis = plain.resp()
    count = 20_000
    data = b"".join(redis.encode("SET", f"key:{i}", i) + redis.encode("GET", f"key:{i}")
                    for i in range(count))

    def send():
        at, step = 0, 1
        while at < len(data):
            redis.raw(data[at:at + step])
            at, step = at + step, step * 7 % 10007 + 1
    sender = threading.Thread(target=send)
    sender.start()
    for i in range(count):
        assert redis.reply() == "OK"
        assert redis.reply() == str(i).encode()
    sender.join()


def test_reader_that_does_not_read_stops_being_served(plain):
    """Replies of 200 MB are asked for and not taken: memory stays bounded, everything arrives in the end."""
    redis, other = plain.resp(), plain.resp()
    size, count = 1_000_000, 200
    redis("SET", "big", b"x" * size)
    redis.raw(redis.encode("GET", "big") * count)
    assert other("PING") == "PONG"
    used = int(open(f"/proc/{plain.process.pid}/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
    assert used < 150_000_000 or "asan" in os.environ.get("FRESHET_BIN", "")
    for _ in range(count):
        assert len(redis.reply()) == size


def test_values_up_to_the_limit(freshet):
    daemon = freshet(PLAIN + "limits: { bulk: 2MB }\n")
    redis = daemon.resp()
    value = os.urandom(2 << 20)
    assert redis("SET", "k", value) == "OK"
    assert redis("GET", "k") == value
    assert error(redis, "APPEND", "k", "x") == (
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    assert error(redis, "SETRANGE", "k", 2 << 20, "x") == (
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    assert redis("STRLEN", "k") == 2 << 20
    redis.raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % ((2 << 20) + 1))
    assert redis.file.read() == b"-ERR Protocol error: invalid bulk length\r\n"


def test_request_of_many_large_arguments_is_bounded(freshet):
    daemon = freshet(PLAIN + "limits: { bulk: 1MB }\n")
    redis = daemon.resp()
    redis.raw(b"*100\r\n$4\r\nMSET\r\n" + (b"$1000000\r\n" + b"x" * 1_000_000 + b"\r\n") * 5)
    assert redis.file.read() == (
        b"-ERR Protocol error: too big request; see limits.bulk in the policy\r\n")
    assert daemon.resp()("PING") == "PONG"


def test_full_space_says_so_and_keeps_what_it_has(freshet):
    daemon = freshet('listen: { resp: "127.0.0.1:0" }\nmemory: 32MB\nspaces:\n'
                     '  queue: { db: 0, memory: 4MB, evict: never }\n')
    redis = daemon.resp()
    stored = 0
    with pytest.raises(RespError) as caught:
        while stored < 10_000:
            redis("SET", f"job:{stored}", b"x" * 4000)
            stored += 1
    assert str(caught.value) == ("OOM command not allowed when used memory > 'maxmemory'. "
                                 "Space 'queue' is at its budget.")
    assert stored > 500
    assert redis("DBSIZE") == stored and redis("GET", "job:0") == b"x" * 4000
    assert redis("DEL", "job:0") == 1


def test_debug_needs_the_policy(freshet):
    redis = freshet('listen: { resp: "127.0.0.1:0" }\nmemory: 64MB\n').resp()
    assert error(redis, "DEBUG", "CLOCK", "ADVANCE", 5).startswith("ERR DEBUG command not allowed")


def test_shutdown_stops_the_daemon(freshet):
    daemon = freshet(PLAIN)
    redis = daemon.resp()
    redis.raw(redis.encode("SHUTDOWN", "NOSAVE"))
    assert redis.at_end()
    assert daemon.process.wait(30) == 0


# --- COMMAND --------------------------------------------------------------------------------------------


def test_command_tells_the_whole_table(plain):
    redis = plain.resp()
    rows = redis("COMMAND")
    names = [row[0] for row in rows]
    assert len(names) == len(set(names)) == redis("COMMAND", "COUNT")
    listed = redis("COMMAND", "LIST")
    assert sorted(names) == sorted(name for name in listed if b"|" not in name)
    assert b"client|setname" in listed and len(listed) == len(set(listed))
    assert redis("COMMAND", "INFO") == rows
    assert redis("COMMAND", "DOCS")[::2] == names
    assert redis("COMMAND", "INFO", "get")[0][3:6] == [1, 1, 1]
    assert b"get" in redis("COMMAND", "LIST", "FILTERBY", "ACLCAT", "string")
    assert sorted(redis("COMMAND", "LIST", "FILTERBY", "PATTERN", "client|set*")) == [
        b"client|setinfo", b"client|setname"]
    redis("HELLO", 3)
    docs = redis("COMMAND", "DOCS", "client", "nosuch")
    assert list(docs) == [b"client"] and docs[b"client"][b"group"] == b"connection"
    assert b"client|setname" in docs[b"client"][b"subcommands"]


@pytest.mark.parametrize("container", ["CLIENT", "CONFIG", "COMMAND", "MEMORY", "OBJECT"])
def test_containers_have_help(plain, container):
    lines = plain.resp()(container, "HELP")
    assert lines[0] == f"{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert lines[-2] == "HELP"


def test_a_whole_pipeline_may_be_sent_before_any_answer_is_read(freshet):
    """As redis-py does it: neither side's buffers in the system hold 20 MB, so freshet must."""
    client = freshet(PLAIN).resp()
    text = b"x" * 1000
    client.raw(client.encode("ECHO", text) * 20000)
    assert all(client.reply() == text for _ in range(20000))
