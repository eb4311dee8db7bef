# SPDX-License-Identifier: BSD-3-Clause
"""FRESHET.GET with WAIT and STALE: of many clients that miss one key one fills it, the others wait for that or
take what it was until lately."""
import select

import pytest

from daemon import until
from resp_client import RespError
from resp_helpers import PLAIN

CLIENTS = 50
LONG = 60_000  # ms: longer than any test


@pytest.fixture
def daemon(freshet):
    return freshet(PLAIN.replace("workers: 2", "workers: 4"))


def ask(client, *options, key="k"):
    client.raw(client.encode("FRESHET.GET", key, *options))


def waits(daemon):
    return int(dict(line.split(" ", 1) for line in
                    daemon.resp()("FRESHET.STATS").decode().splitlines())["herd_waits"])


def herd(daemon, options=("WAIT", LONG), clients=CLIENTS, protocol=2):
    """(the filler, its token, those who wait), when all of them do."""
    filler = daemon.resp(protocol=protocol)
    before = waits(daemon)
    value, token, state = filler("FRESHET.GET", "k", *options)
    assert (value, state) == (None, b"none") and token
    others = [daemon.resp(protocol=protocol) for _ in range(clients - 1)]
    for client in others:
        ask(client, *options)
    until(lambda: waits(daemon) == before + clients - 1, "everybody to wait")
    return filler, token, others


@pytest.mark.parametrize("protocol", [2, 3])
def test_one_of_fifty_fills_and_the_others_get_its_value(daemon, protocol):
    filler, token, others = herd(daemon, protocol=protocol)
    assert filler("FRESHET.SET", "k", "v", "TOKEN", token, "TAGS", 1, "t") == "OK"
    assert [client.reply() for client in others] == [[b"v", None, b"fresh"]] * (CLIENTS - 1)
    assert others[0]("FRESHET.GET", "k", "WAIT", 0) == [b"v", None, b"fresh"]


def first_answered(clients):
    """The first of them to have got a reply, which then waits to be read."""
    ready, _, _ = select.select([client.socket for client in clients], [], [], 30)
    return next(client for client in clients if client.socket in ready)


def test_filler_that_goes_away_hands_the_token_on(daemon):
    filler, _, others = herd(daemon, clients=6)
    while others:
        filler.close()
        filler = first_answered(others)
        value, token, state = filler.reply()
        assert (value, state) == (None, b"none") and token
        others.remove(filler)
        if len(others) == 2:
            break
    filler("FRESHET.SET", "k", "v", "TOKEN", token)
    assert [client.reply() for client in others] == [[b"v", None, b"fresh"]] * 2


def test_who_waited_in_vain_fills(daemon):
    filler = daemon.resp()
    token = filler("FRESHET.GET", "k", "WAIT", LONG)[1]
    second, third = daemon.resp(), daemon.resp()
    value, late, state = second("FRESHET.GET", "k", "WAIT", 1)
    assert value is None and late and state == b"none"
    before = waits(daemon)
    ask(third, "WAIT", LONG)
    until(lambda: waits(daemon) == before + 1, "the third to wait")
    filler.close()  # it is not the filler any more
    second("FRESHET.SET", "k", "v", "TOKEN", late)
    assert third.reply() == [b"v", None, b"fresh"]
    assert token


def test_fill_that_a_drop_overtook_is_given_to_the_next(daemon):
    filler, token, (other,) = herd(daemon, clients=2)
    daemon.resp()("FRESHET.DROP", "t")
    filler("FRESHET.SET", "k", "from before the drop", "TOKEN", token, "TAGS", 1, "t")
    value, late, state = other.reply()
    assert value is None and late and late != token and state == b"none"
    other("FRESHET.SET", "k", "v", "TOKEN", late, "TAGS", 1, "t")
    assert filler("FRESHET.GET", "k", "WAIT", LONG) == [b"v", None, b"fresh"]


def test_nobody_waits_who_does_not_want_to(daemon):
    filler, other = daemon.resp(), daemon.resp()
    assert filler("FRESHET.GET", "k", "WAIT", 0)[1]
    assert other("FRESHET.GET", "k", "WAIT", 0) == [None, None, b"none"]
    assert other("FRESHET.GET", "k", "STALE", 5000) == [None, None, b"none"]
    assert other("FRESHET.GET", "k")[1]  # takes no part
    assert filler("FRESHET.GET", "k", "WAIT", LONG)[1]  # still the filler
    assert other.pipeline(["MULTI"], ["FRESHET.GET", "k", "WAIT", LONG], ["EXEC"])[-1] == [
        [None, None, b"none"]]
    assert other("FRESHET.GET", "other", "WAIT", LONG)[1]


@pytest.mark.parametrize("protocol", [2, 3])
def test_stale_value_is_served_while_one_fills(daemon, protocol):
    redis, other = daemon.resp(protocol=protocol), daemon.resp(protocol=protocol)
    redis("FRESHET.SET", "k", "old", "TAGS", 1, "t")
    redis("FRESHET.DROP", "t")
    value, token, state = redis("FRESHET.GET", "k", "STALE", LONG)
    assert (value, state) == (b"old", b"stale") and token
    for _ in range(3):
        assert other("FRESHET.GET", "k", "WAIT", LONG, "STALE", LONG) == [b"old", None, b"stale"]
    redis("FRESHET.SET", "k", "new", "TOKEN", token, "TAGS", 1, "t")
    assert other("FRESHET.GET", "k", "STALE", LONG) == [b"new", None, b"fresh"]
    redis("FRESHET.DROP", "t")
    assert other("GET", "k") is None  # only who asks for it gets it; and it is gone now
    assert other("FRESHET.GET", "k", "STALE", LONG)[0] is None


def test_stale_value_is_never_older_than_asked(daemon):
    redis = daemon.resp()
    redis("FRESHET.SET", "k", "old", "TAGS", 1, "t")
    redis("FRESHET.DROP", "t")
    redis("DEBUG", "CLOCK", "ADVANCE", 2000)

    def known():  # samples of the line of positions are taken a few times a second
        return redis("FRESHET.GET", "k", "STALE", LONG)[0] == b"old"
    until(known, "the past to be known")
    assert redis("FRESHET.GET", "k", "STALE", 1000)[0] is None
    redis("FRESHET.SET", "gone", "v", "PX", 1000, "TAGS", 1, "t")
    redis("DEBUG", "CLOCK", "ADVANCE", 1001)
    assert redis("FRESHET.GET", "gone", "STALE", LONG)[0] is None


def test_many_keys_are_filled_by_one_connection(daemon):
    """More fills than are kept for one connection: the oldest is given up, and its key is anybody's."""
    redis, other = daemon.resp(), daemon.resp()
    assert all(reply[1] for reply in redis.pipeline(
        *[["FRESHET.GET", f"k:{i}", "WAIT", 0] for i in range(1025)]))
    assert other("FRESHET.GET", "k:1024", "WAIT", 0)[1] is None
    assert other("FRESHET.GET", "k:0", "WAIT", 0)[1]


def test_other_commands_behind_a_wait_keep_their_order(daemon):
    filler = daemon.resp()
    token = filler("FRESHET.GET", "k", "WAIT", 0)[1]
    other = daemon.resp()
    before = waits(daemon)
    other.raw(b"".join(other.encode(*words) for words in
                       (["ECHO", "before"], ["FRESHET.GET", "k", "WAIT", LONG], ["ECHO", "after"])))
    assert other.reply() == b"before"
    until(lambda: waits(daemon) == before + 1, "it to wait")
    filler("FRESHET.SET", "k", "v", "TOKEN", token)
    assert other.reply() == [b"v", None, b"fresh"]
    assert other.reply() == b"after"


def test_daemon_stops_while_clients_wait(daemon):
    herd(daemon, clients=4)
    daemon.stop()


@pytest.mark.parametrize("words, error", [
    (["k", "WAIT"], "ERR syntax error"), (["k", "WAIT", "x"], "ERR value is not an integer"),
    (["k", "STALE", -1], "ERR STALE must not be negative"), (["k", "FOO", 1], "ERR syntax error"),
], ids=str)
def test_get_refuses(daemon, words, error):
    with pytest.raises(RespError, match=error):
        daemon.resp()("FRESHET.GET", *words)
