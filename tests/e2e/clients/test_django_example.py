# SPDX-License-Identifier: BSD-3-Clause
"""examples/django as its README tells: a web server, a worker and psql around one freshet."""
import json
import os
import re
import signal
import subprocess
import urllib.request

import pytest
import redis

from cluster import ROOT
from daemon import Freshet, cli, until

PROJECT = ROOT / "examples" / "django"
CACHE_MB = 8


@pytest.fixture
def empty():
    """In place of the clients' own: nothing to empty here."""


def policy(dsn, folder):
    text = (PROJECT / "freshet.yaml").read_text()
    text = re.sub(r'(resp|admin): "127.0.0.1:\d+"', r'\1: "127.0.0.1:0"', text)
    text = text.replace("postgresql:///shop", dsn).replace("dir: data", f"dir: {folder}/log")
    return text.replace("db: 1, memory: 64MB", f"db: 1, memory: {CACHE_MB}MB")


class Site:
    """freshet, Django's web server, and a visitor with cookies."""

    def __init__(self, database, folder, processes):
        self.database, self.processes = database, processes
        self.daemon = Freshet(folder, policy(database.dsn, folder))
        done = cli("setup-sql", self.daemon.file)
        assert done.returncode == 0, done.stderr
        database.psql(done.stdout)
        self.daemon.start()
        words = dict(word.split("=", 1) for word in database.dsn.split())
        self.env = dict(os.environ, CATALOGUE_REDIS=f"redis://{self.daemon.addresses('resp')[0]}",
                        PGHOST=words["host"], PGUSER=words["user"], PGDATABASE=words["dbname"],
                        PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1")
        self.port = self.serve()
        self.visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def manage(self, *args, **kwargs):
        process = subprocess.Popen(["/usr/bin/python3", "manage.py", *args], cwd=PROJECT, env=self.env,
                                   text=True, start_new_session=True, **kwargs)
        self.processes.append(process)
        return process

    def serve(self):
        """Django names no port that it chose itself, so the kernel is asked for a free one first."""
        import socket
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.manage("runserver", "--noreload", f"127.0.0.1:{port}", stderr=subprocess.DEVNULL)

        def answers():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/basket")
            except OSError:
                return None
        until(answers, "Django's web server")
        return port

    def get(self, path):
        with self.visitor.open(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return json.load(answer)

    def redis(self, db=0):
        host, port = self.daemon.addresses("resp")[0].split(":")
        return redis.Redis(host, int(port), db)

    def crash(self):
        """kill -9, and start again where it was."""
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.daemon.file.write_text(self.daemon.file.read_text().replace(
            'resp: "127.0.0.1:0"', f'resp: "{self.daemon.addresses("resp")[0]}"'))
        self.daemon.start()


@pytest.fixture
def site(shop, tmp_path, processes):
    it = Site(shop, tmp_path, processes)
    yield it
    print(it.daemon.log_text())
    assert it.daemon.stop() == 0


def kept(site, path):
    """Reads until the answer comes from the cache."""
    until(lambda: site.get(path)["cache"] == "hit", "a hit")
    return site.get(path)["products"]


CATEGORY = "SELECT category FROM product GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"


def change_in_bulk(site, category):
    site.manage("shell", "-c", "from catalogue.models import Product; from django.db.models import F\n"
                f"Product.objects.filter(category='{category}').update(price_cents=F('price_cents') + 100)"
                ).wait(30)


def change_by_cursor(site, category):
    site.manage("shell", "-c", "from django.db import connection\n"
                "connection.cursor().execute('UPDATE product SET price_cents = price_cents + 100"
                f" WHERE category = %s', ['{category}'])").wait(30)


def change_by_psql(site, category):
    site.database.psql(f"UPDATE product SET price_cents = price_cents + 100 WHERE category = '{category}'")


@pytest.mark.parametrize("change", [change_in_bulk, change_by_cursor, change_by_psql])
def test_no_key_stays_stale(site, change):
    category = site.database.value(CATEGORY)
    before = kept(site, f"/products/{category}")
    product = site.get(f"/product/{before[0]['id']}")
    change(site, category)
    until(lambda: site.get(f"/products/{category}")["products"][0]["price_cents"]
          == before[0]["price_cents"] + 100, "the new price in the list")
    assert [p["price_cents"] for p in site.get(f"/products/{category}")["products"]] == \
        [p["price_cents"] + 100 for p in before]
    assert site.get(f"/product/{product['id']}")["price_cents"] == product["price_cents"] + 100


def test_sessions_and_jobs_survive_a_kill(site):
    ids = [p["id"] for p in kept(site, f"/products/{site.database.value(CATEGORY)}")][:3]
    for product in ids:
        site.get(f"/basket/{product}")
    jobs = [site.get("/order")["job"] for _ in range(20)]
    site.crash()
    assert site.get("/basket")["basket"] == ids
    assert site.redis().llen("rq:queue:default") == 20
    assert site.manage("rqworker", "--burst", "default").wait(60) == 0
    assert all(site.redis().hget(f"rq:job:{job}", "status") == b"finished" for job in jobs)


def test_a_full_cache_evicts_no_job(site):
    site.get("/basket/1")
    jobs = [site.get("/order")["job"] for _ in range(50)]
    cache = site.redis(1)
    for n in range(4 * CACHE_MB * 100):
        cache.set(f"filler:{n}", b"x" * 10000)
    stats = cache.info("stats")
    assert stats["evicted_keys"] > 0 and cache.dbsize() * 10000 < CACHE_MB * 1024 * 1024
    queue = site.redis()
    assert queue.llen("rq:queue:default") == 50
    assert all(queue.hget(f"rq:job:{job}", "status") == b"queued" for job in jobs)
    assert site.get("/basket")["basket"] == [1]
    assert site.manage("rqworker", "--burst", "default").wait(60) == 0
    assert all(queue.hget(f"rq:job:{job}", "status") == b"finished" for job in jobs)


def test_the_statistics_of_django_rq(site):
    """What monitoring reads: INFO, and every registry."""
    site.get("/order")
    process = site.manage("rqstats", "--json", stdout=subprocess.PIPE)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and json.loads(said)["queues"][0]["jobs"] == 1
