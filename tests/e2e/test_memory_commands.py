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


def test_usage_counts_a_whole_collection(freshet):
    redis = freshet(PLAIN).resp()
    redis("SET", "text", "x" * 5000)
    assert 5000 < redis("MEMORY", "USAGE", "text") < 7000
    for start in range(0, 10000, 1000):
        redis("SADD", "set", *[f"member of the set {i}" for i in range(start, start + 1000)])
        redis("RPUSH", "list", *["x" * 50] * 1000)
    assert 200_000 < redis("MEMORY", "USAGE", "set", "SAMPLES", 0) < 2_000_000
    assert 500_000 < redis("MEMORY", "USAGE", "list") < 2_000_000
