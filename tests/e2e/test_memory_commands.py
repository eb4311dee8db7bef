# SPDX-License-Identifier: BSD-3-Clause
"""MEMORY: what keys and spaces take."""
from resp_helpers import PLAIN


def test_stats_add_up(freshet):
    redis = freshet(PLAIN).resp(protocol=3)
    redis.pipeline(*[["SET", f"k:{i}", "x" * 1000] for i in range(1000)])
    stats = redis("MEMORY", "STATS")
    space = stats[b"space.default"]
    assert stats[b"keys.count"] == space[b"keys"] == 1000
    assert 1_000_000 < stats[b"dataset.bytes"] == space[b"dataset"] < space[b"used"] <= space[b"budget"] == 64 << 20
    assert stats[b"total.allocated"] == space[b"used"] + stats[b"clients.normal"]
    assert stats[b"overhead.total"] == stats[b"total.allocated"] - stats[b"dataset.bytes"]
    assert stats[b"keys.bytes-per-key"] == space[b"used"] // 1000
    assert 50 < stats[b"dataset.percentage"] <= 100
    assert stats[b"allocator.active"] == space[b"used"] <= stats[b"allocator.resident"] <= stats[b"peak.allocated"]
    assert stats[b"fragmentation.bytes"] == stats[b"allocator.resident"] - space[b"used"]


def test_stats_have_the_names_of_redis(both):
    """Clients take the reply apart by name, and expect numbers."""
    for protocol in (2, 3):
        ours, theirs = both(protocol)
        names = []
        for client in (ours, theirs):
            reply = client("MEMORY", "STATS")
            stats = reply if protocol == 3 else dict(zip(reply[::2], reply[1::2]))
            names.append({k: type(v) for k, v in stats.items() if not k.startswith((b"db.", b"space."))})
        assert names[0] == names[1]


def test_malloc_stats_tell_of_every_space(freshet):
    redis = freshet(PLAIN).resp()
    redis("SET", "k", "v")
    assert b"\ndefault: budget:67108864 active:" in redis("MEMORY", "MALLOC-STATS")


def test_usage_counts_a_whole_collection(freshet):
    redis = freshet(PLAIN).resp()
    redis("SET", "text", "x" * 5000)
    assert 5000 < redis("MEMORY", "USAGE", "text") < 7000
    for start in range(0, 10000, 1000):
        redis("SADD", "set", *[f"member of the set {i}" for i in range(start, start + 1000)])
        redis("RPUSH", "list", *["x" * 50] * 1000)
    assert 200_000 < redis("MEMORY", "USAGE", "set", "SAMPLES", 0) < 2_000_000
    assert 500_000 < redis("MEMORY", "USAGE", "list") < 2_000_000
