# SPDX-License-Identifier: BSD-3-Clause
"""Celery and kombu as Debian packages them: broker in the durable queue, results in a database beside it."""
import os
import signal
import subprocess
import sys
import time

import kombu
import pytest

from conftest import HERE, QUEUE, RESULTS
from daemon import until

VISIBILITY_TIMEOUT_S = 2


@pytest.fixture(scope="module")
def app(peer):
    os.environ.update(CELERY_TEST_BROKER=peer.url(QUEUE), CELERY_TEST_RESULTS=peer.url(RESULTS),
                      CELERY_TEST_VISIBILITY_S=str(VISIBILITY_TIMEOUT_S))
    import celery_app
    yield celery_app
    celery_app.app.close()


@pytest.fixture
def worker(app, processes):
    def start(*args):
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--pool", "prefork", "-c", "2",
             "--without-mingle", "-l", "WARNING", *args], cwd=HERE,
            env=dict(os.environ, PYTHONPATH=str(HERE)), start_new_session=True)
        processes.append(process)
        return process
    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_tasks_results_and_chords(app, worker):
    worker()
    assert app.add.delay(2, 3).get(timeout=60) == 5
    from celery import chain, chord, group
    assert group(app.add.s(n, n) for n in range(20))().get(timeout=60) == [2 * n for n in range(20)]
    assert chain(app.add.s(1, 2), app.add.s(10))().get(timeout=60) == 13
    assert chord((app.add.s(n, n) for n in range(10)), app.total.s())().get(timeout=60) == 90


def test_a_retry_and_a_failure(app, worker):
    worker()
    assert app.flaky.delay().get(timeout=60) == "third time"
    with pytest.raises(ValueError):
        app.fail.delay().get(timeout=60)


def test_a_countdown(app, worker):
    worker()
    assert app.add.apply_async((1, 1), countdown=1).get(timeout=60) == 2


def test_a_task_of_a_killed_worker_is_delivered_again(app, worker, peer):
    dying = worker()
    result = app.held.delay("held-once")
    until(lambda: peer.redis(RESULTS).exists("began"), "the start of the task")
    os.killpg(dying.pid, signal.SIGKILL)
    dying.wait()
    peer.redis(RESULTS).set("held-once", 1)
    # A worker looks for what timed out once at its start and then every 100 s: it must have timed out by then.
    until(lambda: peer.redis(QUEUE).zcount("unacked_index", 0, time.time() - VISIBILITY_TIMEOUT_S - 0.1),
          "the end of the dead worker's claim")
    worker()
    assert result.get(timeout=60) == "done"


def test_control_by_fanout(app, worker):
    worker()
    assert app.add.delay(1, 1).get(timeout=60) == 2
    answers = app.app.control.ping(timeout=10, limit=1)
    assert answers and list(answers[0].values()) == [{"ok": "pong"}]


def test_kombu_priorities_and_acknowledgement(peer):
    with kombu.Connection(peer.url(QUEUE), transport_options={"priority_steps": [0, 3, 6, 9],
                                                              "queue_order_strategy": "priority"}) as link:
        queue = link.SimpleQueue("mail")
        for priority, text in [(9, "low"), (0, "high"), (3, "middle")]:
            queue.put(text, priority=priority)
        seen = []
        for _ in range(3):
            message = queue.get(timeout=20)
            seen.append(message.payload)
            message.ack()
        assert seen == ["high", "middle", "low"]
        queue.put("again")
        queue.get(timeout=20).requeue()
        message = queue.get(timeout=20)
        assert message.payload == "again"
        message.ack()
        with pytest.raises(queue.Empty):
            queue.get(timeout=0.1)
        queue.close()
