# SPDX-License-Identifier: BSD-3-Clause
"""Publish and subscribe: what clients see is what redis-server shows them, to the byte; and what a subscriber
that does not read costs the others (nothing)."""
import random

import pytest

from daemon import until
from resp_client import Push, RespError
from resp_helpers import PLAIN
from transcript import conversation


def conversations(daemon, redis_server, script):
    """The same one with freshet and with redis-server, both empty."""
    redis_server.resp()("FLUSHALL")
    return (conversation(lambda protocol: daemon.resp(protocol=protocol), script),
            conversation(redis_server.resp, script))


CONVERSATIONS = {
    "channels": """
        a SUBSCRIBE one two one
        p PUBLISH one hello
        p PUBLISH two _
        p PUBLISH three nobody
        a UNSUBSCRIBE one
        p PUBLISH one gone
        p PUBLISH two still
        a UNSUBSCRIBE nosuch two
        p PUBLISH two gone
        a UNSUBSCRIBE
        a PUNSUBSCRIBE
        a SUNSUBSCRIBE
        a GET k""",
    "patterns": """
        a PSUBSCRIBE n* *e n* h[ae]llo
        b SUBSCRIBE new
        p PUBLISH new x
        p PUBLISH none y
        p PUBLISH hello z
        p PUBLISH hallo z
        p PUBLISH hxllo z
        p PUBSUB NUMPAT
        p PUBSUB NUMSUB new none
        p PUBSUB CHANNELS
        p PUBSUB CHANNELS n*
        p PUBSUB CHANNELS x*
        p PUBSUB CHANNELS a b
        a PUNSUBSCRIBE n*
        p PUBLISH new x
        p PUBSUB NUMPAT
        p PUBSUB NUMSUB
        p PUBSUB HELP
        p PUBSUB nosuch""",
    "both kinds count together": """
        a SUBSCRIBE c
        a PSUBSCRIBE c*
        a SSUBSCRIBE c
        p PUBLISH c 1
        p SPUBLISH c 2
        p PUBSUB SHARDCHANNELS
        p PUBSUB SHARDNUMSUB c d
        a SUNSUBSCRIBE c
        a UNSUBSCRIBE c
        p SPUBLISH c 3
        p PUBLISH c 4""",
    "resp2 mode": """
        a SUBSCRIBE c
        a GET k
        a CLIENT ID
        a nosuch
        a GET
        a MULTI
        a PING
        a ECHO x
        a RESET
        a ECHO x
        p PUBLISH c x""",
    "resp3": """
        a3 SUBSCRIBE c d
        a3 PSUBSCRIBE *
        a3 SET k v
        a3 GET k
        p3 PUBLISH c x
        p PUBLISH d y
        a3 UNSUBSCRIBE d
        a3 UNSUBSCRIBE
        a3 PUNSUBSCRIBE
        a3 UNSUBSCRIBE
        p PUBLISH d y""",
    "transactions": """
        p3 MULTI
        p3 PUBLISH c 1
        p3 SET k v
        p3 PUBLISH c 2
        a SUBSCRIBE c
        p3 EXEC
        p3 MULTI
        p3 PUBLISH c 3
        p3 DISCARD
        b MULTI
        b SUBSCRIBE c
        b SET k v
        b EXEC
        p3 PUBLISH c 4""",
    "replies off": """
        a SUBSCRIBE c
        p PUBLISH c 1
        p SET k v""",
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("workers", [1, 3])
def test_all_parties_see_what_redis_shows_them(redis_server, freshet, name, workers):
    daemon = freshet(PLAIN.replace("workers: 2", f"workers: {workers}"))
    ours, theirs = conversations(daemon, redis_server, CONVERSATIONS[name])
    assert ours == theirs


@pytest.mark.parametrize("seed", range(3))
def test_random_conversations_are_redis_s(redis_server, freshet, seed):
    rng = random.Random(f"pubsub {seed}")
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 3"))
    lines = []
    for _ in range(400):
        who = rng.choice(["a", "b", "c", "d3"])
        names = " ".join(rng.choice(["x", "y", "xy", "z"]) for _ in range(rng.randint(1, 3)))
        pattern = rng.choice(["x*", "*y", "*", "?"])
        lines.append(f"{who} " + rng.choice([
            f"SUBSCRIBE {names}", f"PSUBSCRIBE {pattern}", f"UNSUBSCRIBE {names}", f"PUNSUBSCRIBE {pattern}",
            f"SSUBSCRIBE {names}", f"SUNSUBSCRIBE {names}", "PING"]))
        lines.append(f"p {rng.choice(['PUBLISH', 'SPUBLISH'])} {rng.choice(['x', 'y', 'xy', 'q'])} {len(lines)}")
        if rng.random() < 0.1:
            lines.append("p PUBSUB NUMSUB x y xy z")
    ours, theirs = conversations(daemon, redis_server, "\n".join(lines))
    assert ours == theirs


def test_a_message_to_oneself_follows_the_reply(freshet):
    """Redis 7.2's order: a push never comes between a command and its reply (7.0 had it before)."""
    client = freshet(PLAIN).resp(protocol=3)
    client.raw(client.encode("SUBSCRIBE", "c"))
    assert client.reply() == [b"subscribe", b"c", 1]
    client.raw(client.encode("PUBLISH", "c", "m") + client.encode("PING"))
    assert [client.reply() for _ in range(3)] == [1, [b"message", b"c", b"m"], "PONG"]
    client.raw(b"".join(client.encode(*w) for w in
                        [["MULTI"], ["PUBLISH", "c", "1"], ["PING"], ["PUBLISH", "c", "2"], ["EXEC"]]))
    replies = [client.reply() for _ in range(7)]
    assert replies[4:] == [[1, "PONG", 1], [b"message", b"c", b"1"], [b"message", b"c", b"2"]]
    assert isinstance(replies[5], Push)


def test_subscribing_is_answered_though_replies_are_off(freshet):
    client = freshet(PLAIN).resp(protocol=3)
    client.raw(client.encode("CLIENT", "REPLY", "OFF") + client.encode("SET", "k", "v") +
               client.encode("SUBSCRIBE", "c") + client.encode("PUBLISH", "c", "m") +
               client.encode("CLIENT", "REPLY", "ON"))
    assert [client.reply() for _ in range(3)] == [[b"subscribe", b"c", 1], [b"message", b"c", b"m"], "OK"]


def test_every_subscriber_sees_all_publishers_in_one_order(freshet):
    daemon = freshet(PLAIN.replace("workers: 2", "workers: 3"))
    listeners, publishers = [daemon.resp() for _ in range(3)], [daemon.resp() for _ in range(4)]
    for listener in listeners:
        listener("SUBSCRIBE", "c")
    rounds = 500
    for number, publisher in enumerate(publishers):
        publisher.raw(b"".join(publisher.encode("PUBLISH", "c", f"{number}:{i}") for i in range(rounds)))
    for publisher in publishers:
        assert [publisher.reply() for _ in range(rounds)] == [3] * rounds
    seen = [[listener.reply()[2] for _ in range(rounds * len(publishers))] for listener in listeners]
    assert seen[0] == seen[1] == seen[2]
    for number in range(len(publishers)):
        mine = [m for m in seen[0] if m.startswith(b"%d:" % number)]
        assert mine == [b"%d:%d" % (number, i) for i in range(rounds)]


def test_who_goes_away_is_not_counted_any_more(freshet):
    daemon = freshet(PLAIN)
    publisher = daemon.resp()
    for _ in range(20):
        listener = daemon.resp()
        listener("SUBSCRIBE", "c", "d")
        listener.close()
    until(lambda: publisher("PUBLISH", "c", "x") == 0, "the last subscriber to be forgotten")
    assert publisher("PUBSUB", "CHANNELS") == []


def test_a_slow_subscriber_is_cut_and_nobody_else_notices(freshet):
    daemon = freshet(PLAIN + "limits: { subscriber: 1MB }\n")
    slow, quick, publisher = daemon.resp(), daemon.resp(), daemon.resp()
    for client in (slow, quick):
        client("SUBSCRIBE", "c")
    publisher("SET", "kept", "value")
    payload, sent = b"x" * 50_000, 0

    def both_are_there():
        nonlocal sent
        sent += 1
        return publisher("PUBLISH", "c", payload) == 2
    while both_are_there():
        assert quick.reply() == [b"message", b"c", payload]
        assert sent < 2000, "the slow subscriber was never cut"
    assert quick.reply() == [b"message", b"c", payload]
    assert publisher("GET", "kept") == b"value"
    assert daemon.log_text().count("subscriber cut: more than limits.subscriber waits for it") == 1


def test_subscribers_in_a_script_or_before_auth_are_refused(freshet):
    daemon = freshet(PLAIN + "auth: { password: sesame }\n")
    client = daemon.resp()
    client.raw(client.encode("SUBSCRIBE", "c") + client.encode("PUBLISH", "c", "x"))
    for _ in range(2):
        reply = client.reply()
        assert isinstance(reply, RespError) and str(reply) == "NOAUTH Authentication required."
