# SPDX-License-Identifier: BSD-3-Clause
"""What the workers of test_rq.py run."""
import redis


def add(a, b):
    return a + b


def note(port, n):
    redis.Redis(port=port).rpush("order", n)
    return n * 2


def fail():
    raise ValueError("never")


def fail_once(port):
    if redis.Redis(port=port).incr("tries") < 2:
        raise ValueError("not yet")


def wait_for(port, key):
    redis.Redis(port=port).blpop(key)
