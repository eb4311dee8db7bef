# SPDX-License-Identifier: BSD-3-Clause
"""Django as Debian packages it (3.2 with django-redis) and redis-py, unchanged, against freshet."""
import importlib.util
import pathlib
import threading

import django
import pytest
import redis
from django.conf import settings
from django.test.utils import override_settings

from daemon import shop_policy, until

if not settings.configured:
    settings.configure(SECRET_KEY="x", USE_TZ=True)
    django.setup()


def caches(address):
    """CACHES as the shop's application would write them: default in database 1, sessions in 2."""
    def cache(db, prefix):
        return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://{address}/{db}",
                "KEY_PREFIX": prefix, "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"}}
    return {"default": cache(1, "erp_cache"), "sessions": cache(2, "session")}


@pytest.fixture
def address(served):
    return served.addresses("resp")[0]


@pytest.fixture
def configured(address):
    with override_settings(CACHES=caches(address), SESSION_CACHE_ALIAS="sessions"):
        from django.core.cache import caches as live
        yield live
        for cache in live.all() if hasattr(live, "all") else [live["default"], live["sessions"]]:
            cache.close()


@pytest.fixture
def cache(configured):
    return configured["default"]


def test_set_get_and_types(cache):
    for value in ["text", b"bytes", 7, 1.5, None, True, {"a": [1, 2]}, "x" * 300000]:
        cache.set("unfollowed", value)
        assert cache.get("unfollowed", "absent") == value
    assert cache.get("absent") is None and cache.get("absent", 3) == 3


def test_add_keeps_the_first(cache):
    assert cache.add("job", 1) is True
    assert cache.add("job", 2) is False
    assert cache.get("job") == 1


def test_timeouts(cache):
    cache.set("a", 1, timeout=100)
    assert 0 < cache.ttl("a") <= 100
    assert cache.touch("a", 500) and 400 < cache.ttl("a") <= 500
    assert cache.persist("a") and cache.ttl("a") is None
    assert cache.expire("a", 50) and cache.ttl("a") <= 50
    cache.set("gone", 1, timeout=0)
    assert "gone" not in cache


def test_many(cache):
    cache.set_many({"a": 1, "b": 2, "c": 3}, timeout=60)
    assert cache.get_many(["a", "b", "x"]) == {"a": 1, "b": 2}
    assert cache.delete_many(["a", "b"]) == 2
    assert cache.get_many(["a", "b", "c"]) == {"c": 3}


def test_incr_decr(cache):
    cache.set("n", 10, timeout=60)
    assert cache.incr("n") == 11 and cache.decr("n", 5) == 6
    assert 0 < cache.ttl("n") <= 60
    # django-redis increments by a script, and without scripts falls back to reading and writing; the
    # fallback of this version stumbles over an absent key with TypeError where it means ValueError.
    with pytest.raises((ValueError, TypeError)):
        cache.incr("absent")


def test_get_or_set_and_versions(cache):
    assert cache.get_or_set("k", lambda: 5) == 5
    assert cache.get_or_set("k", lambda: 6) == 5
    cache.set("k", "two", version=2)
    assert cache.get("k") == 5 and cache.get("k", version=2) == "two"


def test_delete_pattern_and_keys(cache):
    cache.set_many({f"page_{n}": n for n in range(250)})
    cache.set("other", 1)
    assert len(cache.keys("page_*")) == 250
    assert len(list(cache.iter_keys("page_1*"))) == 111
    assert cache.delete_pattern("page_*") == 250
    assert cache.get("other") == 1


def test_clear_leaves_other_databases(cache, configured):
    cache.set("a", 1)
    configured["sessions"].set("b", 2)
    cache.clear()
    assert cache.get("a") is None and configured["sessions"].get("b") == 2


def test_cache_sessions(configured):
    from django.contrib.sessions.backends.cache import SessionStore
    session = SessionStore()
    session["user"] = 7
    session.create()
    again = SessionStore(session_key=session.session_key)
    assert again["user"] == 7
    again["basket"] = [1, 2]
    again.save()
    old = again.session_key
    again.cycle_key()
    assert not again.exists(old) and again["basket"] == [1, 2]
    again.flush()
    assert SessionStore(session_key=session.session_key).get("user") is None


def test_cached_list_follows_the_database(cache, shop):
    """The application's own code, as it is: get, else read and set. Bulk updates included."""
    def names():
        found = cache.get("product_list_1")
        if found is None:
            found = [row[0] for row in shop.execute("SELECT name FROM product WHERE business_id = 1 ORDER BY id")]
            cache.set("product_list_1", found, 900)
        return found

    names()
    until(lambda: names() and cache.get("product_list_1"), "the list to be kept")
    shop.execute("UPDATE product SET name = upper(name)")
    wanted = [row[0] for row in shop.execute("SELECT name FROM product WHERE business_id = 1 ORDER BY id")]
    until(lambda: names() == wanted, "the new names")


@pytest.mark.parametrize("decode", [False, True])
def test_redis_py(address, decode):
    host, port = address.split(":")
    client = redis.Redis(host, int(port), decode_responses=decode)
    wrap = (lambda text: text) if decode else str.encode
    assert client.ping()
    assert client.set("k", "v", ex=100, nx=True) is True
    assert client.set("k", "w", nx=True) is None
    assert client.get("k") == wrap("v") and 0 < client.ttl("k") <= 100
    assert client.set("k", "w", xx=True, keepttl=True, get=True) == wrap("v")
    assert client.mset({"a": 1, "b": 2}) and client.mget("a", "b", "c") == [wrap("1"), wrap("2"), None]
    assert client.incrby("a", 5) == 6 and client.incrbyfloat("b", 0.5) == 2.5
    assert client.append("k", "!") == 2 and client.setrange("k", 5, "x") == 6 and client.strlen("k") == 6
    assert client.getex("a", persist=True) == wrap("6") and client.getdel("a") == wrap("6")
    assert client.exists("a", "b", "k") == 2 and client.type("b") == wrap("string")
    assert sorted(client.scan_iter("*")) == sorted([wrap("b"), wrap("k")])
    assert client.rename("b", "c") and client.unlink("c", "k") == 2
    assert client.info()["redis_version"].startswith("7") and client.dbsize() == 0
    client.close()


def test_redis_py_transaction(address):
    host, port = address.split(":")
    client = redis.Redis(host, int(port))
    with client.pipeline() as pipe:
        pipe.set("n", 1).incr("n").get("n")
        assert pipe.execute() == [True, 2, b"2"]
        pipe.watch("n")
        client.set("n", 9)
        pipe.multi()
        pipe.set("n", 0)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert client.get("n") == b"9"
    client.close()


def test_redis_py_queue_space_says_oom_and_keeps_what_it_has(shop, freshet):
    daemon = freshet(shop_policy(shop.role_dsn).replace("db: 0, memory: 64MB", "db: 0, memory: 4MB"))
    host, port = daemon.addresses("resp")[0].split(":")
    client = redis.Redis(host, int(port))
    stored = 0
    with pytest.raises(redis.ResponseError, match="OOM|memory"):
        for stored in range(10000):
            client.set(f"job:{stored}", "x" * 1000)
    assert stored > 1000
    assert client.mget([f"job:{n}" for n in range(stored)]) == [b"x" * 1000] * stored
    assert client.delete("job:0") == 1 and client.set("job:0", "y" * 1000), "room made is room to use"
    client.close()


# --- tags: docs/tags.md ---------------------------------------------------------------------------------

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/tags/tagged.py"


@pytest.fixture
def tagged(configured):
    spec = importlib.util.spec_from_file_location("tagged", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_documentation_shows_the_example_that_is_tested():
    code = EXAMPLE.read_text().split('as it is."""\n')[1]
    assert code in (ROOT / "docs/tags.md").read_text()


def test_tagged_value_is_filled_once_and_again_after_a_drop(cache, tagged):
    calls = []

    def fill():
        calls.append(1)
        return {"degrees": len(calls)}
    for _ in range(3):
        assert tagged.get_or_fill("weather:vienna", fill, ["weather", "city:vienna"]) == {"degrees": 1}
    assert cache.get("weather:vienna") == {"degrees": 1} and cache.ttl("weather:vienna") > 200
    tagged.drop("city:linz")
    assert tagged.get_or_fill("weather:vienna", fill, ["weather"]) == {"degrees": 1}
    tagged.drop("city:vienna")
    assert cache.get("weather:vienna") is None
    assert tagged.get_or_fill("weather:vienna", fill, ["weather"]) == {"degrees": 2}


def test_value_that_a_drop_overtook_is_used_once_and_not_stored(cache, tagged):
    def fill():
        tagged.drop("weather")
        return "read before the drop"
    assert tagged.get_or_fill("weather:vienna", fill, ["weather"]) == "read before the drop"
    assert cache.get("weather:vienna") is None


def test_many_threads_of_django_fill_once(cache, tagged):
    calls, values, begun = [], [], threading.Barrier(20)

    def fill():
        calls.append(1)
        return "filled"

    def read():
        begun.wait()
        values.append(tagged.get_or_fill("weather:vienna", fill, ["weather"], wait_ms=20000))
    threads = [threading.Thread(target=read) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == ["filled"] * 20 and len(calls) == 1
