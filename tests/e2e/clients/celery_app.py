# SPDX-License-Identifier: BSD-3-Clause
"""The application of test_celery.py, for its workers too."""
import os

import celery
import redis

app = celery.Celery("shop", broker=os.environ.get("CELERY_TEST_BROKER"),
                    backend=os.environ.get("CELERY_TEST_RESULTS"))
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, task_reject_on_worker_lost=True,
                broker_transport_options={"visibility_timeout": int(os.environ.get("CELERY_TEST_VISIBILITY_S", 2))},
                broker_connection_retry=True)


def own_redis():
    return redis.Redis.from_url(os.environ["CELERY_TEST_RESULTS"])


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail():
    raise ValueError("never")


@app.task(bind=True, max_retries=5)
def flaky(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.05)
    return "third time"


@app.task
def held(key):
    """Until somebody sets the key."""
    client = own_redis()
    client.set("began", 1)
    while not client.exists(key):
        client.blpop("nothing", 0.1)
    return "done"
