# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: a private PostgreSQL per worker, a fresh copy of the example shop per test, freshet on free
ports. FRESHET_BIN chooses the binary (default build/debug/freshet)."""
import os
import shutil

import pytest

from cluster import Cluster
from daemon import Freshet, cli, shop_policy
from resp_helpers import PLAIN, RedisServer


@pytest.fixture(scope="session")
def postgres():
    """A private cluster, one for each pytest worker."""
    cluster = Cluster(f"test-{os.getpid()}")
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def shop_template(postgres, tmp_path_factory):
    """The name of a database that holds the shop and everything that setup-sql asks for."""
    database = postgres.create()
    database.load_shop()
    file = tmp_path_factory.mktemp("setup") / "shop.yaml"
    file.write_text(shop_policy(database.dsn))
    done = cli("setup-sql", file)
    assert done.returncode == 0, done.stderr
    database.psql(done.stdout)
    return database.name


@pytest.fixture
def shop(postgres, shop_template):
    """A database of one's own with the example shop in it."""
    database = postgres.create(shop_template)
    yield database
    database.close()
    postgres.drop(database)


@pytest.fixture
def freshet(tmp_path):
    """A factory: freshet(policy_text) starts a daemon. All of them must stop with exit code 0."""
    started = []

    def start(policy, wait=True, env=None):
        folder = tmp_path / f"freshet-{len(started)}"
        folder.mkdir()
        daemon = Freshet(folder, policy, env)
        started.append(daemon)
        return daemon.start() if wait else daemon

    yield start
    codes = [daemon.stop() for daemon in reversed(started)]
    for daemon in started:
        print(f"--- {daemon.log}\n{daemon.log_text()}")
    assert not any(codes), f"exit codes {codes}"


@pytest.fixture
def served(shop, freshet):
    """The shop behind a freshet that already follows it."""
    return freshet(shop_policy(shop.role_dsn)).following()


@pytest.fixture(scope="module")
def shared(postgres, shop_template, tmp_path_factory):
    """As `served`, but one for a whole file: for tests that write nothing."""
    database = postgres.create(shop_template)
    daemon = Freshet(tmp_path_factory.mktemp("shared"), shop_policy(database.role_dsn))
    yield daemon.start().following()
    code = daemon.stop()
    print(f"--- {daemon.log}\n{daemon.log_text()}")
    postgres.drop(database)
    assert code == 0


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    """Debian's redis-server, to compare with; one for each file of tests."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def both(redis_server, freshet):
    """A function that connects to (freshet, redis), both empty."""
    daemon = freshet(PLAIN)

    def connect(protocol=2):
        theirs = redis_server.resp(protocol)
        theirs("FLUSHALL")
        return daemon.resp(protocol=protocol), theirs
    return connect
