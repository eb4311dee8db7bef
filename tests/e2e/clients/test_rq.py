# SPDX-License-Identifier: BSD-3-Clause
"""RQ as Debian packages it: real worker processes, retries, the scheduler, registries, a worker killed."""
import datetime
import os
import signal
import subprocess
import sys

import pytest
import rq
from rq.job import Job, JobStatus
from rq.registry import (FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry,
                         StartedJobRegistry)

import rq_jobs
from conftest import HERE, QUEUE
from daemon import until


@pytest.fixture
def connection(peer):
    return peer.redis(QUEUE)


@pytest.fixture
def queue(connection):
    return rq.Queue("default", connection=connection)


@pytest.fixture
def worker(peer, processes):
    """A factory: worker("--burst") runs `rq worker`."""
    def start(*args, queues=("default",)):
        process = subprocess.Popen(
            ["/usr/bin/python3", "-m", "rq.cli", "worker", "--url", peer.url(QUEUE), *args, *queues],
            cwd=HERE, env=dict(os.environ, PYTHONPATH=str(HERE)), start_new_session=True)
        processes.append(process)
        return process
    return start


def kill_family(process):
    """The worker and the work-horse it forked, which is in a process group of its own."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        family = [process.pid, *map(int, file.read().split())]
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    process.wait()


def test_jobs_run_in_order(queue, worker, connection):
    jobs = [queue.enqueue(rq_jobs.note, connection.connection_pool.connection_kwargs["port"], n)
            for n in range(30)]
    assert worker("--burst").wait(60) == 0
    assert [j.refresh() or j.get_status() for j in jobs] == [JobStatus.FINISHED] * 30
    assert [int(n) for n in connection.lrange("order", 0, -1)] == list(range(30))
    assert jobs[7].result == 14
    assert len(FinishedJobRegistry(queue=queue)) == 30 and queue.count == 0


def test_an_idle_worker_is_woken(queue, worker, connection):
    worker()
    until(lambda: rq.Worker.all(connection=connection), "the worker's registration")
    job = queue.enqueue(rq_jobs.add, 2, 3)
    until(lambda: job.get_status() == JobStatus.FINISHED, "the job")
    assert job.result == 5


def test_several_queues_in_their_order(connection, worker):
    low, high = (rq.Queue(name, connection=connection) for name in ("low", "high"))
    port = connection.connection_pool.connection_kwargs["port"]
    low.enqueue(rq_jobs.note, port, 2)
    high.enqueue(rq_jobs.note, port, 1)
    assert worker("--burst", queues=("high", "low")).wait(60) == 0
    assert connection.lrange("order", 0, -1) == [b"1", b"2"]


def test_retries_then_the_failed_registry(queue, worker, connection):
    job = queue.enqueue(rq_jobs.fail, retry=rq.Retry(max=2))
    fine = queue.enqueue(rq_jobs.fail_once, connection.connection_pool.connection_kwargs["port"],
                         retry=rq.Retry(max=2))
    assert worker("--burst").wait(60) == 0
    registry = FailedJobRegistry(queue=queue)
    assert registry.get_job_ids() == [job.id]
    assert fine.get_status(refresh=True) == JobStatus.FINISHED
    registry.requeue(job.id)
    assert queue.job_ids == [job.id]


def test_the_scheduler(queue, worker):
    job = queue.enqueue_in(datetime.timedelta(seconds=1), rq_jobs.add, 1, 1)
    assert job.id in ScheduledJobRegistry(queue=queue)
    worker("--with-scheduler")
    until(lambda: job.get_status(refresh=True) == JobStatus.FINISHED, "the scheduled job")
    assert job.id not in ScheduledJobRegistry(queue=queue)


def test_a_dependent_job_waits(queue, worker):
    first = queue.enqueue(rq_jobs.add, 1, 2)
    second = queue.enqueue(rq_jobs.add, 3, 4, depends_on=first)
    assert second.get_status() == JobStatus.DEFERRED
    assert worker("--burst").wait(60) == 0
    assert second.get_status(refresh=True) == JobStatus.FINISHED


def test_a_worker_killed_loses_nothing(queue, worker, connection):
    stuck = queue.enqueue(rq_jobs.wait_for, connection.connection_pool.connection_kwargs["port"], "go",
                          job_timeout=600)
    rest = [queue.enqueue(rq_jobs.add, n, n) for n in range(10)]
    dying = worker()
    until(lambda: stuck.get_status(refresh=True) == JobStatus.STARTED, "the start of the job")
    kill_family(dying)
    started = StartedJobRegistry(queue=queue)
    assert started.get_job_ids() == [stuck.id]
    connection.zadd(started.key, {stuck.id: 1})  # its heartbeat is long ago
    started.cleanup()
    assert FailedJobRegistry(queue=queue).get_job_ids() == [stuck.id]
    FailedJobRegistry(queue=queue).requeue(stuck.id)
    connection.rpush("go", 1)
    assert worker("--burst").wait(60) == 0
    assert [Job.fetch(j.id, connection=connection).get_status() for j in [stuck, *rest]] == \
        [JobStatus.FINISHED] * 11


def test_commands_reach_a_worker(queue, worker, connection):
    """send_stop_job_command goes by publish and subscribe."""
    from rq.command import send_stop_job_command
    job = queue.enqueue(rq_jobs.wait_for, connection.connection_pool.connection_kwargs["port"], "never",
                        job_timeout=600)
    worker()
    until(lambda: job.get_status(refresh=True) == JobStatus.STARTED, "the start of the job")
    until(lambda: connection.pubsub_channels("rq:pubsub:*"), "the subscription")
    until(lambda: job.refresh() or job.worker_name, "the worker's name")
    send_stop_job_command(connection, job.id)
    until(lambda: job.get_status(refresh=True) in (JobStatus.STOPPED, JobStatus.FAILED), "the stop")


def test_results_as_streams_and_meta(queue, worker):
    job = queue.enqueue(rq_jobs.add, 20, 22, meta={"who": "x"}, result_ttl=600)
    assert worker("--burst").wait(60) == 0
    job.refresh()
    assert (job.result, job.meta) == (42, {"who": "x"})
    assert 0 < job.connection.ttl(job.key) <= 600
