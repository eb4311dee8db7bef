# SPDX-License-Identifier: BSD-3-Clause
"""Streams without consumer groups: against redis-server, and waiting for entries."""
import random
import re

import pytest

from daemon import until
from resp_client import RespError
from resp_helpers import PLAIN, plain
from test_resp_blocking import WORKERS, blocked, policy, server  # noqa: F401 (fixture)

COMMANDS = [
    "XADD {k} {i} f {v}", "XADD {k} {i} f {v} g {v}", "XADD {k} {s}-* f {v}", "XADD {k} MAXLEN {p} {s}-* f {v}",
    "XADD {k} MAXLEN ~ {l} {s}-* f {v}", "XADD {k} NOMKSTREAM {s}-* f {v}", "XADD {k} MINID {i} {s}-* f {v}", "XLEN {k}",
    "XRANGE {k} {i} {i}", "XRANGE {k} - + COUNT {p}", "XREVRANGE {k} {i} ({i}", "XREVRANGE {k} + - COUNT {p}",
    "XREAD COUNT {p} STREAMS {k} {i}", "XREAD STREAMS {k} {k} {i} {i}", "XREAD BLOCK 1 STREAMS {k} {k} $ {i}",
    "XDEL {k} {i} {i} {i}", "XTRIM {k} MAXLEN {l}", "XTRIM {k} MINID {i}", "XTRIM {k} MAXLEN ~ {l} LIMIT 100",
    "XTRIM {k} MINID ~ {i}", "XSETID {k} {i}", "XINFO STREAM {k}", "XINFO STREAM {k} FULL COUNT {p}",
    "DEL {k}", "RENAME {k} {k}", "COPY {k} {k} REPLACE", "TYPE {k}", "OBJECT ENCODING {k}",
]
RARE = ("XDEL", "XTRIM", "XSETID", "DEL", "RENAME", "COPY", "TYPE")
WEIGHTS = [1 if c.split()[0] in RARE else 3 for c in COMMANDS]
TREE = (b"radix-tree-keys", b"radix-tree-nodes")  # of a tree that freshet has not


def without_tree(reply):
    if isinstance(reply, list) and TREE[0] in reply:
        return reply[:2] + reply[6:]
    return {k: v for k, v in reply.items() if k not in TREE} if isinstance(reply, dict) else reply


@pytest.mark.parametrize("protocol", [2, 3])
def test_random_commands(both, protocol):
    """XDEL makes trimming by whole nodes differ from Redis's own count of them, so it has a key of its own."""
    clients = both(protocol)
    rng = random.Random(protocol)
    at, history = [1], []

    def number():
        at[0] += rng.choice([0, 0, 0, 1])
        return at[0]
    choices = {"s": number, "i": lambda: f"{max(0, at[0] - rng.randint(-1, 6))}-{rng.randint(0, 3)}",
               "v": lambda: rng.choice(["", "1", "x" * 20]), "p": lambda: str(rng.randint(0, 5)),
               "l": lambda: str(rng.randint(0, 300))}
    for _ in range(5000):
        template = rng.choices(COMMANDS, WEIGHTS)[0]
        key = "deleted" if template.startswith("XDEL") else None
        choices["k"] = lambda: key or rng.choice(["a", "b", "c", "deleted" if "~" not in template else "a"])
        line = [re.sub(r"{(.)}", lambda m: str(choices[m[1]]()), word) for word in template.split()]
        if line[0] == "XSETID" and line[1] == "deleted":  # 7.2 looks at what was deleted, too
            continue
        if template.startswith(("RENAME", "COPY")):
            line = [line[0], "a", "b", *line[3:]]
        history.append(line)
        got, expected = [], []
        for client, into in zip(clients, (got, expected)):
            client.raw(client.encode(*line))
            into.append(without_tree(plain(client.reply())))
        assert got == expected, history[-30:]
    ours, theirs = clients
    for key in ("a", "b", "c", "deleted"):
        assert ours("XRANGE", key, "-", "+") == theirs("XRANGE", key, "-", "+")


def test_a_long_stream_is_read_and_trimmed_in_the_middle(both):
    ours, theirs = both()
    for client in (ours, theirs):
        client.pipeline(*[["XADD", "s", f"{i}-1", "field", f"value {i}", "n", i] for i in range(1, 5001)])
        client("XDEL", "s", *[f"{i}-1" for i in range(1000, 2000, 3)])
        client("XTRIM", "s", "MAXLEN", 4000)
    for command in (["XLEN", "s"], ["XRANGE", "s", 900, 1100], ["XREVRANGE", "s", "+", "-", "COUNT", 50],
                    ["XREAD", "COUNT", 10, "STREAMS", "s", 3000], ["XRANGE", "s", "-", "+"]):
        assert ours(*command) == theirs(*command)


def test_what_72_says_otherwise(freshet):
    """redis-server here is 7.0."""
    client = freshet(PLAIN).resp()
    client.pipeline(["XADD", "s", "5-18446744073709551615", "a", "b"], ["XADD", "s", "6-1", "a", "b"], ["XDEL", "s", "6-1"])
    with pytest.raises(RespError, match="^ERR The ID specified in XSETID is smaller than current max_deleted_entry_id$"):
        client("XSETID", "s", "6-0")
    with pytest.raises(RespError, match="^ERR Unbalanced 'xread' list of streams: for each stream key an ID or "
                                        r"'\$' must be specified.$"):
        client("XREAD", "STREAMS", "a", "b", "0")
    client("XADD", "t", "5-18446744073709551615", "a", "b")
    with pytest.raises(RespError, match="^ERR The ID specified in XADD is equal or smaller than the target stream top"):
        client("XADD", "t", "5-*", "a", "b")


def test_rough_trimming_takes_whole_nodes_within_its_limit(both):
    for client in both():
        client("CONFIG", "SET", "stream-node-max-entries", 2)
        client.pipeline(*[["XADD", "s", f"{i}-1", "n", i] for i in range(1, 8)])
        assert [client("XTRIM", "s", *words) for words in (
            ["MAXLEN", "~", 6], ["MAXLEN", "~", 5], ["MAXLEN", "~", 0, "LIMIT", 1], ["MAXLEN", "~", 0, "LIMIT", 3],
            ["MINID", "~", "6-1"], ["MINID", "~", "7-1"], ["MAXLEN", "~", 0])] == [0, 2, 0, 2, 0, 2, 1]
        client("CONFIG", "SET", "stream-node-max-entries", 1)
        client.pipeline(*[["XADD", "t", f"{i}-1", "n", i] for i in range(1, 103)])
        assert client("XTRIM", "t", "MAXLEN", "~", 1) == 100 and client("XLEN", "t") == 2
        client("CONFIG", "SET", "stream-node-max-entries", 100)


@pytest.mark.parametrize("most, same_names", [(1, True), (20, False), (50, False), (200, True)])
def test_rough_trimming_counts_the_bytes_of_nodes(both, most, same_names):
    """Nodes of 4096 bytes, as Redis packs entries: after every XADD the streams are of one length."""
    ours, theirs = both()
    rng = random.Random(most)
    names = ["event", "jobId", "returnvalue", "previous" * 20]
    for i in range(500):
        fields = []
        for name in names[:3] if same_names else rng.sample(names, rng.randint(1, 4)):
            fields += [name, rng.choice([rng.randint(-10, 10 ** rng.randint(0, 18)), "completed", "v" * rng.randint(0, 300)])]
        trim = ["MAXLEN", "~", most] if rng.random() < 0.8 else []
        lengths = []
        for client in (ours, theirs):
            client("XADD", "s", *trim, f"{i + 1}-{i % 3}", *fields)
            lengths.append(client("XLEN", "s"))
        assert lengths[0] == lengths[1], i
    for client in (ours, theirs):
        client("CONFIG", "SET", "stream-node-max-bytes", "1kb")
        client.pipeline(*[["XADD", "t", f"{i}-1", "n", "v" * 90] for i in range(1, 60)])
    assert ours("XTRIM", "t", "MAXLEN", "~", 25) == theirs("XTRIM", "t", "MAXLEN", "~", 25) > 0
    for client in (ours, theirs):
        client("CONFIG", "SET", "stream-node-max-bytes", "4096")


def test_ids_of_the_server_rise_and_are_the_time(freshet):
    client = freshet(PLAIN).resp()
    ids = client.pipeline(*[["XADD", "s", "*", "n", i] for i in range(500)])
    pairs = [tuple(map(int, text.split(b"-"))) for text in ids]
    assert pairs == sorted(set(pairs))
    seconds, _ = map(int, client("TIME"))
    assert abs(pairs[-1][0] / 1000 - seconds) < 60
    client("XADD", "s", f"{pairs[-1][0] + 10**6}-7", "n", 0)
    assert client("XADD", "s", "*", "n", 0) == b"%d-8" % (pairs[-1][0] + 10**6)


def test_groups_are_refused_clearly(freshet):
    client = freshet(PLAIN).resp()
    for command in (["XGROUP", "CREATE", "s", "g", "$"], ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"],
                    ["XACK", "s", "g", "1-1"], ["XPENDING", "s", "g"], ["XCLAIM", "s", "g", "c", "0", "1-1"],
                    ["XAUTOCLAIM", "s", "g", "c", "0", "0"]):
        with pytest.raises(RespError, match="^ERR consumer groups are not supported"):
            client(*command)


# --- waiting ----------------------------------------------------------------------------------------


@WORKERS
def test_everybody_who_waits_reads_the_entry(server, workers):  # noqa: F811
    _, control, waiters = server(workers)
    control("XADD", "s", "1-1", "f", "old")
    for position in ("$", "1-1", "1-5", "5-0"):
        waiters.add("XREAD", "BLOCK", 0, "STREAMS", "s", position)
    control("XADD", "s", "2-1", "f", "v")
    entry = [[b"s", [[b"2-1", [b"f", b"v"]]]]]
    assert [client.reply() for client in waiters.all[:3]] == [entry] * 3
    assert blocked(control) == 1
    control("XADD", "s", "6-0", "f", "v")
    assert waiters.all[3].reply() == [[b"s", [[b"6-0", [b"f", b"v"]]]]]


@WORKERS
def test_a_transaction_of_entries_arrives_whole(server, workers):  # noqa: F811
    _, control, waiters = server(workers)
    waiters.add("XREAD", "COUNT", 10, "BLOCK", 20000, "STREAMS", "s", "t", "$", "$")
    control.pipeline(["MULTI"], ["XADD", "t", "1-1", "a", "1"], ["XADD", "s", "1-1", "b", "2"], ["XADD", "s", "1-2", "c", "3"],
                     ["EXEC"])
    assert waiters.replies() == [[[b"s", [[b"1-1", [b"b", b"2"]], [b"1-2", [b"c", b"3"]]]], [b"t", [[b"1-1", [b"a", b"1"]]]]]]


@WORKERS
def test_a_stream_that_was_deleted_and_other_kinds_of_values_keep_it_waiting(server, workers):  # noqa: F811
    _, control, waiters = server(workers)
    control("XADD", "s", "10-1", "f", "v")
    client = waiters.add("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    control("DEL", "s")
    control("RPUSH", "s", "a list")
    control("DEL", "s")
    control("XADD", "s", "9-1", "behind", "it")  # older than what "$" stood for
    control("XADD", "other", "11-1", "f", "v")
    assert blocked(control) == 1
    control("RENAME", "other", "s")
    assert client.reply() == [[b"s", [[b"11-1", [b"f", b"v"]]]]]


@WORKERS
def test_one_key_with_waiters_of_two_kinds(server, workers):  # noqa: F811
    _, control, waiters = server(workers)
    reader = waiters.add("XREAD", "BLOCK", 0, "STREAMS", "k", "$")
    popper = waiters.add("BLPOP", "k", 0)
    control("XADD", "k", "1-1", "f", "v")
    assert reader.reply() == [[b"k", [[b"1-1", [b"f", b"v"]]]]]
    control("DEL", "k")
    control("RPUSH", "k", "x")
    assert popper.reply() == [b"k", b"x"]


def test_xread_in_resp3_is_a_map_and_its_timeout_null(freshet):
    client = freshet(policy(1)).resp(protocol=3)
    client("XADD", "s", "1-1", "f", "v")
    assert client("XREAD", "BLOCK", 10, "STREAMS", "s", "0") == {b"s": [[b"1-1", [b"f", b"v"]]]}
    assert client("XREAD", "BLOCK", 10, "STREAMS", "s", "$") is None


def test_followers_of_a_stream_see_every_entry_once(freshet):
    """Each reads on from the last id it saw, as consumers do."""
    daemon = freshet(policy(4))
    readers = [daemon.resp() for _ in range(6)]
    writer, count = daemon.resp(), 300
    for client in readers:
        client.raw(client.encode("XREAD", "BLOCK", 0, "COUNT", 7, "STREAMS", "s", "0-0"))
    until(lambda: blocked(writer) == 6, "six readers")
    writer.raw(b"".join(writer.encode("XADD", "s", "*", "n", i) for i in range(count)))
    for client in readers:
        seen, last = [], b"0-0"
        while len(seen) < count:
            (_, entries), = client.reply()
            seen += [int(fields[1]) for _, fields in entries]
            last = entries[-1][0]
            if len(seen) < count:
                client.raw(client.encode("XREAD", "BLOCK", 0, "COUNT", 7, "STREAMS", "s", last))
        assert seen == list(range(count))
