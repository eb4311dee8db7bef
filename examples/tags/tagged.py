# SPDX-License-Identifier: BSD-3-Clause
"""Tags, and one filler for many readers, with django-redis as it is."""
from django.core.cache import cache


def get_or_fill(key, fill, tags, timeout=300, wait_ms=2000, stale_ms=0):
    """The cached value of `key`, or what fill() gives. Of many who miss it at once one calls fill()."""
    client = cache.client
    redis, name = client.get_client(write=True), client.make_key(key)
    value, token, _ = redis.execute_command("FRESHET.GET", name, "WAIT", wait_ms, "STALE", stale_ms)
    if value is not None and token is None:
        return client.decode(value)
    filled = fill()  # after the token: what a drop overtakes from here on is not stored
    if token is not None:
        redis.execute_command("FRESHET.SET", name, client.encode(filled), "EX", timeout,
                              "TOKEN", token, "TAGS", len(tags), *tags)
    return filled


def drop(*tags):
    """Every key with one of the tags is absent from now on. Call it after the commit."""
    cache.client.get_client(write=True).execute_command("FRESHET.DROP", *tags)
