# SPDX-License-Identifier: BSD-3-Clause
"""Client-side caching: who has read a key is told when it changes, whoever changes it and however."""

import pytest

from daemon import until
from resp_client import Push, RespError
from resp_helpers import PLAIN
from transcript import conversation, frames

THREE = PLAIN.replace("workers: 2", "workers: 3")


CONVERSATIONS = {
    "default": """
        c3 CLIENT TRACKING ON
        c3 CLIENT TRACKINGINFO
        w SET a 1
        c3 GET a
        w SET a 2
        w SET a 3
        c3 MGET a b
        w DEL a
        w SET b 1
        w SET c 1
        c3 HGETALL h
        w HSET h f 1
        c3 GET a
        w FLUSHALL
        c3 CLIENT TRACKING OFF
        c3 GET a
        w SET a 1
        c3 CLIENT GETREDIR
        c3 CLIENT TRACKINGINFO""",
    "bcast": """
        c3 CLIENT TRACKING ON BCAST PREFIX user: PREFIX item:
        c3 CLIENT TRACKINGINFO
        w SET user:1 x
        w SET other x
        w SET item:7 x
        w DEL user:1
        c3 CLIENT TRACKING ON BCAST PREFIX third:
        w SET third:1 x
        c3 CLIENT TRACKING ON BCAST PREFIX use
        c3 CLIENT TRACKING ON
        d3 CLIENT TRACKING ON BCAST
        d3 CLIENT TRACKINGINFO
        w SET anything x""",
    "optin and optout": """
        c3 CLIENT TRACKING ON OPTIN
        c3 GET a
        w SET a 1
        c3 CLIENT CACHING YES
        c3 GET a
        w SET a 2
        c3 CLIENT CACHING NO
        c3 CLIENT TRACKING ON OPTOUT
        c3 CLIENT TRACKING OFF
        c3 CLIENT CACHING YES
        c3 CLIENT TRACKING ON OPTOUT
        c3 GET a
        w SET a 3
        c3 CLIENT CACHING NO
        c3 GET a
        w SET a 4
        c3 CLIENT CACHING YES
        c3 CLIENT CACHING perhaps""",
    "noloop": """
        c3 CLIENT TRACKING ON NOLOOP
        c3 GET a
        c3 SET a 1
        w SET a 2
        c3 GET a
        w SET a 3
        c3 CLIENT TRACKINGINFO""",
    "noloop in transactions and scripts": """
        c3 CLIENT TRACKING ON NOLOOP
        c3 MGET a b
        c3 EVAL return_redis.call('set','a','1') 0
        c3 MULTI
        c3 SET a 2
        c3 SET b 2
        c3 INCR a
        c3 EXEC
        c3 MGET a b
        w SET a 3
        w SET b 3""",
    "noloop in transactions of bcast": """
        c3 CLIENT TRACKING ON BCAST NOLOOP
        c3 MULTI
        c3 SET a 2
        c3 SET b 2
        c3 EXEC
        w SET a 3""",
    "reads after writes in one transaction": """
        c3 CLIENT TRACKING ON
        c3 MULTI
        c3 MSET a 1 b 2
        c3 GET a
        c3 EXEC
        c3 EVAL redis.call('set','d','1')_return_1 0
        w SET b 3
        w SET a 3
        c3 MULTI
        c3 GET a
        c3 SET a 4
        c3 GET a
        c3 SET b 4
        c3 EXEC
        w SET a 5""",
    "a message for each prefix": """
        c3 CLIENT TRACKING ON BCAST PREFIX b: PREFIX a:
        w MULTI
        w INCR a:1
        w INCR b:1
        w INCR c:1
        w EXEC
        w INCR b:2""",
    "own changes": """
        c3 CLIENT TRACKING ON
        c3 GET a
        c3 SET a 1
        c3 INCR a
        c3 GET a
        c3 INCR a""",
    "refusals": """
        c3 CLIENT TRACKING ON PREFIX x
        c3 CLIENT TRACKING ON BCAST OPTIN
        c3 CLIENT TRACKING ON OPTIN OPTOUT
        c3 CLIENT TRACKING ON REDIRECT 999999
        c3 CLIENT TRACKING ON BCAST PREFIX ab PREFIX abc
        c3 CLIENT TRACKING ON BCAST PREFIX a PREFIX _
        c3 CLIENT TRACKING perhaps
        c3 CLIENT TRACKING ON nosuch
        c3 CLIENT CACHING YES
        c3 CLIENT GETREDIR""",
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("workers", [1, 3])
def test_all_parties_see_what_redis_shows_them(redis_server, freshet, name, workers):
    daemon = freshet(PLAIN.replace("workers: 2", f"workers: {workers}"))
    redis_server.resp()("FLUSHALL")
    ours = conversation(lambda protocol: daemon.resp(protocol=protocol), CONVERSATIONS[name])
    theirs = conversation(redis_server.resp, CONVERSATIONS[name])
    # A push to oneself precedes the reply in 7.0 and follows it in 7.2: compared as bags.
    assert {who: sorted(seen) for who, seen in ours.items()} == {who: sorted(seen) for who, seen in theirs.items()}


def test_messages_go_to_another_connection(freshet):
    daemon = freshet(THREE)
    reader, listener, writer = daemon.resp(), daemon.resp(), daemon.resp()
    target = listener("CLIENT", "ID")
    listener("SUBSCRIBE", "__redis__:invalidate")
    assert reader("CLIENT", "TRACKING", "ON", "REDIRECT", target) == "OK"
    assert reader("CLIENT", "GETREDIR") == target
    reader("GET", "a")
    writer("SET", "a", "1")
    assert listener.reply() == [b"message", b"__redis__:invalidate", [b"a"]]
    reader("GET", "a")
    writer("FLUSHALL")
    assert listener.reply() == [b"message", b"__redis__:invalidate", None]


def test_a_redirection_that_has_gone_is_told(freshet):
    daemon = freshet(THREE)
    reader, listener, writer = daemon.resp(protocol=3), daemon.resp(protocol=3), daemon.resp()
    target = listener("CLIENT", "ID")
    reader("CLIENT", "TRACKING", "ON", "REDIRECT", target)
    reader("GET", "a")
    listener.close()
    until(lambda: b"id=%d " % target not in writer("CLIENT", "LIST"), "the listener to be gone")
    writer("SET", "a", "1")
    push = reader.reply()
    assert isinstance(push, Push) and push == [b"tracking-redir-broken", target]
    assert "broken_redirect" in str(reader("CLIENT", "TRACKINGINFO"))


def test_what_expires_or_is_changed_in_a_script_or_transaction_is_told(freshet):
    daemon = freshet(THREE)
    reader, writer = daemon.resp(protocol=3), daemon.resp()
    reader("CLIENT", "TRACKING", "ON")
    writer("SET", "a", "1", "PX", "50")
    reader("GET", "a")
    writer("DEBUG", "CLOCK", "ADVANCE", "60")
    assert reader.reply() == [b"invalidate", [b"a"]]
    reader("MGET", "b", "c")
    writer.pipeline(["MULTI"], ["SET", "b", "1"], ["SET", "c", "1"], ["EXEC"])
    assert sorted(str(reader.reply()) for _ in range(2)) == [str([b"invalidate", [k]]) for k in (b"b", b"c")]


def test_the_keys_of_a_transaction_come_in_one_message(freshet):
    daemon = freshet(THREE)
    reader, writer = daemon.resp(protocol=3), daemon.resp()
    reader("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k")
    writer.pipeline(["MULTI"], ["SET", "k1", "1"], ["SET", "x", "1"], ["SET", "k2", "1"], ["EXEC"])
    kind, keys = reader.reply()
    assert kind == b"invalidate" and sorted(keys) == [b"k1", b"k2"]


def test_the_table_is_bounded_and_who_is_dropped_from_it_is_told(freshet):
    daemon = freshet(THREE)
    reader = daemon.resp(protocol=3)
    reader("CONFIG", "SET", "tracking-table-max-keys", "100")
    reader("CLIENT", "TRACKING", "ON")
    for i in range(300):
        reader.raw(reader.encode("GET", f"k{i}"))
    replies = [reader.reply() for _ in range(300)]
    while sum(isinstance(r, Push) for r in replies) < 200:
        replies.append(reader.reply())
    info = dict(line.split(":", 1) for line in reader("INFO", "stats").decode().split("\r\n") if ":" in line)
    assert int(info["tracking_total_keys"]) <= 101


def test_a_lower_limit_is_kept_at_once(freshet):
    daemon = freshet(THREE)
    reader, writer = daemon.resp(protocol=3), daemon.resp()
    reader("CLIENT", "TRACKING", "ON")
    for i in range(50):
        reader("GET", f"k{i}")
    assert tracked(writer) == (50, 50)
    writer("CONFIG", "SET", "tracking-table-max-keys", "10")
    told = [reader.reply() for _ in range(40)]
    assert told == [[b"invalidate", [b"k%d" % i]] for i in range(40)]
    until(lambda: tracked(writer) == (10, 10), "the table to be small")
    writer("CONFIG", "SET", "tracking-table-max-keys", "1000000")


def tracked(client):
    """(keys, pairs of key and client) in the table."""
    info = dict(line.split(":", 1) for line in client("INFO", "stats").decode().split("\r\n") if ":" in line)
    return int(info["tracking_total_keys"]), int(info["tracking_total_items"])


def test_a_script_s_reads_are_its_client_s_and_no_key_named_is(freshet):
    """Redis 7.2's rule; in 7.0 the keys named were tracked for EVAL_RO."""
    daemon = freshet(THREE)
    reader, writer = daemon.resp(protocol=3), daemon.resp()
    reader("CLIENT", "TRACKING", "ON")
    reader("EVAL", "redis.call('set', 'c', '1')", 2, "a", "b")
    reader("EVAL_RO", "return redis.call('ping')", 2, "a", "b")
    assert tracked(writer) == (0, 0)
    for command in ("EVAL", "EVAL_RO"):
        assert reader(command, "return redis.call('get', 'b')", 2, "a", "b") in (None, b"1")
        assert tracked(writer) == (1, 1)
        writer("MSET", "a", "1", "b", "1")
        assert reader.reply() == [b"invalidate", [b"b"]]
    assert reader("PING") == "PONG"


def test_the_last_to_leave_takes_the_table_along(freshet):
    daemon = freshet(THREE)
    first, second, other = (daemon.resp(protocol=3) for _ in range(3))
    for client in (first, second):
        client("CLIENT", "TRACKING", "ON")
        client("GET", "a")
    first("CLIENT", "TRACKING", "OFF")
    assert tracked(other) == (1, 2)
    second("CLIENT", "TRACKING", "OFF")
    assert tracked(other) == (0, 0)


def test_who_says_quit_is_no_redirection_any_more(freshet):
    daemon = freshet(THREE)
    reader, listener, writer = daemon.resp(protocol=3), daemon.resp(), daemon.resp()
    target = listener("CLIENT", "ID")
    listener("SUBSCRIBE", "__redis__:invalidate")
    reader("CLIENT", "TRACKING", "ON", "REDIRECT", target)
    reader("GET", "a")
    assert listener("QUIT") == "OK"
    writer("SET", "a", "1")
    assert reader.reply() == [b"tracking-redir-broken", target]


def test_nobody_keeps_a_value_that_has_changed(freshet):
    """Readers that cache as told, a writer that counts up: at the end no cache holds an old number."""
    daemon = freshet(THREE)
    readers, writer = [daemon.resp(protocol=3) for _ in range(3)], daemon.resp()
    for reader in readers:
        reader("CLIENT", "TRACKING", "ON")
    caches = [{} for _ in readers]
    for number in range(300):
        writer.raw(writer.encode("SET", f"k{number % 7}", number))
        for reader, cache in zip(readers, caches):
            key = f"k{number % 5}"
            if key not in cache:
                reader.raw(reader.encode("GET", key))
                while isinstance(reply := reader.reply(), Push):
                    forget(cache, reply)
                cache[key] = reply
        assert writer.reply() == "OK"
    for reader, cache in zip(readers, caches):
        reader.raw(reader.encode("PING", "end"))
        while isinstance(reply := reader.reply(), Push):
            forget(cache, reply)
        for key, value in cache.items():
            assert writer("GET", key) == value


def forget(cache, push):
    for key in push[1]:
        cache.pop(key.decode(), None)


def test_tracking_is_told_by_client_list_and_info(freshet):
    daemon = freshet(PLAIN)
    client = daemon.resp(protocol=3)
    client("CLIENT", "TRACKING", "ON", "BCAST")
    line = client("CLIENT", "INFO").decode()
    assert "flags=tB" in line and "redir=0" in line
    assert "tracking_clients:1\r\n" in client("INFO", "clients").decode()
    client.raw(client.encode("RESET"))
    assert client.reply() == "RESET"
    assert "tracking_clients:0\r\n" in client("INFO", "clients").decode()
    with pytest.raises(RespError):
        client("CLIENT", "CACHING", "YES")
    assert frames(b"+OK\r\n") == [b"+OK\r\n"]


def test_a_flush_tells_a_redirection_in_resp2_of_a_null_text(both):
    """To the byte: a null array would be another thing to clients."""
    lines = []
    for client, listener in zip(both(), both()):
        number = listener("CLIENT", "ID")
        listener("SUBSCRIBE", "__redis__:invalidate")
        client("CLIENT", "TRACKING", "ON", "REDIRECT", number)
        client("GET", "k")
        client("FLUSHALL")
        lines.append([listener.file.readline() for _ in range(6)])
    assert lines[0] == lines[1] and lines[0][-1] == b"$-1\r\n"
