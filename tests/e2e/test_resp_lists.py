# SPDX-License-Identifier: BSD-3-Clause
"""Lists against redis-server: random commands, small and large lists, every reply to the byte."""
import random

import pytest

from resp_helpers import plain

COMMANDS = [
    "LPUSH {k} {v}", "RPUSH {k} {v} {v}", "LPUSH {k} {v} {v} {v} {v}", "LPUSHX {k} {v}", "RPUSHX {k} {v}",
    "LPOP {k}", "RPOP {k}", "LPOP {k} {p}", "RPOP {k} {p}", "LLEN {k}", "LRANGE {k} {n} {n}", "LRANGE {k} 0 -1",
    "LINDEX {k} {n}", "LSET {k} {n} {v}", "LINSERT {k} BEFORE {v} {v}", "LINSERT {k} AFTER {v} {v}",
    "LREM {k} {n} {v}", "LTRIM {k} {n} {n}", "LTRIM {k} 0 -2", "LPOS {k} {v}", "LPOS {k} {v} RANK {n}",
    "LPOS {k} {v} COUNT {p} RANK {n} MAXLEN {p}", "LMOVE {k} {k} {e} {e}", "RPOPLPUSH {k} {k}",
    "LMPOP 2 {k} {k} {e} COUNT 2", "BLPOP {k} {k} 0.001", "BRPOP {k} 0.001", "BLMOVE {k} {k} {e} {e} 0.001",
    "BLMPOP 0.001 2 {k} {k} {e}", "EXISTS {k}", "SET {k} {v}", "DEL {k}",
    "EXPIRE {k} 1000", "PERSIST {k}",
]
RARE = ("SET", "DEL", "RENAME", "BLPOP", "BRPOP", "BLMOVE", "BLMPOP", "LTRIM", "LREM")
WEIGHTS = [1 if c.split()[0] in RARE else 4 for c in COMMANDS]
GROWTH = ["LPUSH {k} {v} {v} {v} {v} {v} {v} {v} {v}", "RPUSH {k} {v} {v} {v} {v} {v} {v} {v} {v}"]


def replies(clients, line):
    for client in clients:
        client.raw(client.encode(*line))
    return [plain(client.reply()) for client in clients]


def run_random(clients, seed, rounds, values, growth):
    rng = random.Random(seed)
    keys = [f"k{i}" for i in range(4)]
    choices = {"k": lambda: rng.choice(keys), "v": lambda: rng.choice(values), "p": lambda: str(rng.randint(0, 6)),
               "n": lambda: str(rng.randint(-12, 12)), "e": lambda: rng.choice(["LEFT", "RIGHT", "left"])}

    def fill(word):
        return choices[word[1:-1]]() if word.startswith("{") else word
    history = []
    commands, weights = COMMANDS + GROWTH, WEIGHTS + [growth, growth]
    for _ in range(rounds):
        line = [fill(word) for word in rng.choices(commands, weights)[0].split()]
        history.append(line)
        got, expected = replies(clients, line)
        assert got == expected, f"seed {seed}, after {history[-30:]}"
    for key in keys:
        got, expected = replies(clients, ["LRANGE", key, "0", "-1"])
        assert got == expected, (seed, key)


SMALL = ["", "a", "1", "-7", "abc", "9223372036854775807", "x" * 63, "x" * 64]


@pytest.mark.parametrize("protocol", [2, 3])
def test_random_commands_on_small_lists(both, protocol):
    run_random(both(protocol), protocol, 4000, SMALL, 1)


def test_random_commands_on_large_lists(both):
    """Long enough, and with elements large enough, to be more than one piece of memory."""
    run_random(both(), 7, 4000, SMALL + ["y" * 500, "z" * 5000, "w" * 20000], 60)


def test_elements_come_back_in_order_from_a_very_long_list(both):
    ours, theirs = both()
    for client in (ours, theirs):
        client.pipeline(*[["RPUSH", "l", *range(i * 100, i * 100 + 100)] for i in range(200)],
                        ["LTRIM", "l", "500", "-501"], ["LREM", "l", "0", "777"], ["LINSERT", "l", "BEFORE", "9000", "x"],
                        ["LSET", "l", "12345", "y"])
    assert ours("LLEN", "l") == theirs("LLEN", "l") == 19000
    assert ours("LRANGE", "l", 0, -1) == theirs("LRANGE", "l", 0, -1)
    assert ours("LPOS", "l", "9000") == theirs("LPOS", "l", "9000")
    assert ours("LPOP", "l", 10000) == theirs("LPOP", "l", 10000)
    assert ours("RPOP", "l", 100000) == theirs("RPOP", "l", 100000)
    assert ours("EXISTS", "l") == 0
