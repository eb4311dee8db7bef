# SPDX-License-Identifier: BSD-3-Clause
"""What clients ask to find out what kind of server this is, and what COMMAND and INFO tell them."""

import re

import pytest

from resp_helpers import PLAIN, plain


@pytest.mark.parametrize("words", ["ROLE", "REPLICAOF no one", "SLAVEOF no one", "CLUSTER INFO", "CLUSTER SLOTS",
                                   "READONLY", "READWRITE", "FUNCTION LIST", "FUNCTION STATS", "FUNCTION LIST x",
                                   "COMMAND GETKEYSANDFLAGS GET a", "COMMAND GETKEYS MSET a 1 b 2",
                                   "COMMAND GETKEYSANDFLAGS nosuch a", "COMMAND GETKEYSANDFLAGS PING a"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_redis_s(freshet, redis_server, words, protocol):
    said = []
    for client in (freshet(PLAIN).resp(protocol=protocol), redis_server.resp(protocol)):
        client.raw(client.encode(*words.split()))
        said.append(plain(client.reply()))
    assert said[0] == said[1]


def sections(text):
    found, title = {}, None
    for line in text.decode().split("\r\n"):
        if line.startswith("# "):
            title = line[2:]
            found[title] = {}
        elif ":" in line:
            name, value = line.split(":", 1)
            found[title][name] = value
    return found


def test_info_has_the_sections_that_are_asked_for(freshet):
    client = freshet(PLAIN).resp()
    client("SET", "k", "v")
    client("SET", "e", "v", "EX", "100")
    client("GET", "k")
    client("GET", "nosuch")
    client.raw(client.encode("INCR", "k"))
    client.reply()
    assert list(sections(client("INFO", "stats", "cpu"))) == ["Stats", "CPU"]
    assert "Commandstats" not in sections(client("INFO")) and "Commandstats" in sections(client("INFO", "all"))
    found = sections(client("INFO", "everything"))
    assert found["Keyspace"]["db0"].startswith("keys=2,expires=1,")
    assert found["Stats"]["keyspace_hits"] == "1" and found["Stats"]["keyspace_misses"] == "1"
    assert ",hits=1,misses=1,hit_rate=0.5000" in found["Spaces"]["database_0"]
    assert found["Commandstats"]["cmdstat_set"].startswith("calls=2,")
    assert found["Commandstats"]["cmdstat_incr"].endswith("rejected_calls=0,failed_calls=1")
    assert found["Errorstats"] == {"errorstat_ERR": "count=1"}
    assert found["Latencystats"]["latency_percentiles_usec_set"].startswith("p50=")
    client("CONFIG", "RESETSTAT")
    found = sections(client("INFO", "everything"))
    assert found["Errorstats"] == {} and "cmdstat_set" not in found["Commandstats"]


@pytest.mark.parametrize("words, calls, errors, failed", [
    (["EVAL", "return redis.call('select', 99)", 0], "calls=1,rejected_calls=0,failed_calls=1", {"ERR": 1}, 1),
    (["EVAL", "return redis.pcall('select', 99)", 0], "calls=1,rejected_calls=0,failed_calls=1", {"ERR": 1}, 1),
    (["EVAL", "return redis.pcall('select', 99).err", 0], "calls=1,rejected_calls=0,failed_calls=1", {"ERR": 1}, 0),
    (["EVAL_RO", "return redis.call('select')", 0], "calls=0,rejected_calls=1,failed_calls=0", {"ERR": 1}, 1),
    (["EVAL_RO", "return redis.pcall('select').err", 0], "calls=0,rejected_calls=1,failed_calls=0", {"ERR": 1}, 0),
    (["EVAL", "redis.call('select', 0) error('x')", 0], "calls=1,rejected_calls=0,failed_calls=0", {"ERR": 1}, 1),
    (["EVAL", "redis.call('select', 0) return redis.error_reply('My words')", 0],
     "calls=1,rejected_calls=0,failed_calls=0", {"My": 1}, 1),
], ids=lambda v: v[1] if isinstance(v, list) else None)
def test_an_error_of_a_script_s_command_is_counted_once(both, words, calls, errors, failed):
    for client in both():
        client("CONFIG", "RESETSTAT")
        client.raw(client.encode(*words))
        client.reply()
        found = sections(client("INFO", "everything"))
        assert found["Errorstats"] == {f"errorstat_{name}": f"count={count}" for name, count in errors.items()}
        assert found["Stats"]["total_error_replies"] == str(sum(errors.values()))
        told = re.sub("usec.*?,(?=rejected)", "", found["Commandstats"]["cmdstat_select"])
        assert told == calls
        assert found["Commandstats"][f"cmdstat_{words[0].lower()}"].endswith(f"failed_calls={failed}")


def test_pubsub_is_told_by_info_and_client_list(freshet):
    daemon = freshet(PLAIN)
    listener, client = daemon.resp(), daemon.resp()
    listener("SUBSCRIBE", "a", "b")
    listener.raw(listener.encode("PSUBSCRIBE", "c*"))
    listener.reply()
    listener.reply()
    found = sections(client("INFO", "everything"))
    assert found["Stats"]["pubsub_channels"] == "2" and found["Stats"]["pubsub_patterns"] == "1"
    assert found["Clients"]["pubsub_clients"] == "1"
    line, = client("CLIENT", "LIST", "TYPE", "pubsub").decode().splitlines()
    assert " flags=P " in line and " sub=2 psub=1 ssub=0 " in line
    assert client("CLIENT", "KILL", "TYPE", "pubsub") == 1 and client("CLIENT", "LIST", "TYPE", "pubsub") == b""
