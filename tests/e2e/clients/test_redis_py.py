# SPDX-License-Identifier: BSD-3-Clause
"""redis-py as Debian packages it: what applications use beyond single commands."""
import threading

import pytest
import redis

from conftest import CACHE
from daemon import until


@pytest.fixture
def client(peer):
    return peer.redis(decode_responses=True)


def test_pipelines_and_transactions(client):
    with client.pipeline() as pipe:
        assert pipe.set("a", 1).incr("a").hset("h", mapping={"x": 1}).hgetall("h").execute() == \
            [True, 2, 1, {"x": "1"}]

    def move(pipe):
        value = int(pipe.get("a"))
        pipe.multi()
        pipe.set("a", value + 1)
    client.transaction(move, "a")
    assert client.get("a") == "3"
    with client.pipeline() as pipe:
        pipe.watch("a")
        client.set("a", 9)
        pipe.multi()
        pipe.incr("a")
        with pytest.raises(redis.WatchError):
            pipe.execute()


def test_locks_exclude(client):
    lock = client.lock("lock", timeout=20)
    assert lock.acquire()
    assert not client.lock("lock", timeout=20).acquire(blocking=False)
    assert lock.extend(30) and client.pttl("lock") > 20000
    assert lock.reacquire()
    lock.release()
    with pytest.raises(redis.exceptions.LockError):
        lock.release()


def test_registered_scripts_survive_a_flush(client):
    add = client.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    assert add(keys=["n"], args=[2]) == 2
    client.script_flush()
    assert add(keys=["n"], args=[3]) == 5
    pipe = client.pipeline()
    add(keys=["n"], args=[1], client=pipe)
    assert pipe.execute() == [6]


def test_messages(client):
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("news")
    listener.psubscribe("ev.*")
    until(lambda: client.pubsub_numpat() == 1, "the subscriptions")
    assert client.publish("news", "a") == 1 and client.publish("ev.x", "b") == 1
    heard = []
    until(lambda: heard.append(listener.get_message(timeout=1)) or len([m for m in heard if m]) == 2, "both")
    assert [m["data"] for m in heard if m] == ["a", "b"]
    listener.close()


def test_keyspace_events(client):
    client.config_set("notify-keyspace-events", "KEA")
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe("__keyevent@0__:*")
    until(lambda: client.pubsub_numpat() == 1, "the subscription")
    client.set("k", 1)
    client.rpush("l", 1)
    client.delete("k")
    heard = []
    until(lambda: heard.append(listener.get_message(timeout=1)) or len([m for m in heard if m]) == 3, "events")
    assert [(m["channel"].rpartition(":")[2], m["data"]) for m in heard if m] == \
        [("set", "k"), ("rpush", "l"), ("del", "k")]
    client.config_set("notify-keyspace-events", "")
    listener.close()


def test_blocked_clients_are_served_in_order(peer, client):
    got = []

    def wait(n):
        got.append((n, peer.redis(decode_responses=True).blpop("queue", 30)[1]))

    threads = []
    for n in range(8):
        threads.append(threading.Thread(target=wait, args=(n,)))
        threads[-1].start()
        until(lambda: client.info("clients")["blocked_clients"] == n + 1, "one more to block")
    client.rpush("queue", *range(8))
    for thread in threads:
        thread.join(30)
    assert sorted(got) == [(n, str(n)) for n in range(8)]


def test_streams(client):
    first = client.xadd("s", {"a": 1})
    client.xadd("s", {"a": 2})
    assert [fields for _, fields in client.xrange("s")] == [{"a": "1"}, {"a": "2"}]
    assert client.xread({"s": first})[0][1][0][1] == {"a": "2"}
    assert client.xtrim("s", maxlen=1, approximate=False) == 1
    assert client.xinfo_stream("s")["length"] == 1


def test_sorting_dumping_and_scanning(client):
    client.rpush("l", 3, 1, 2)
    assert client.sort("l") == ["1", "2", "3"]
    client.mset({f"weight_{n}": 10 - n for n in (1, 2, 3)})
    assert client.sort("l", by="weight_*") == ["3", "2", "1"]
    raw = redis.Redis(**{**client.connection_pool.connection_kwargs, "decode_responses": False})
    raw.restore("copy", 0, raw.dump("l"))
    assert client.lrange("copy", 0, -1) == ["3", "1", "2"]
    client.sadd("big", *range(5000))
    assert len(set(client.sscan_iter("big", count=100))) == 5000
    assert {k for k in client.scan_iter("weight_*", _type="string")} == {"weight_1", "weight_2", "weight_3"}


def test_databases_are_spaces(peer, client):
    client.set("k", 1)
    assert peer.redis(CACHE).get("k") is None
    assert client.move("k", CACHE) and peer.redis(CACHE).get("k") == b"1"
