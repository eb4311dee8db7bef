# SPDX-License-Identifier: BSD-3-Clause
"""Real clients, unchanged, against freshet with a durable queue, a cache and durable sessions.

CLIENTS_PEER=redis runs the same tests against Debian's redis-server: what fails there is a wrong test."""
import os
import pathlib
import subprocess

import pytest
import redis

from daemon import Freshet, until

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
QUEUE, CACHE, SESSION, RESULTS = 0, 1, 2, 3

POLICY = """
listen: {{ resp: ["127.0.0.1:0", "unix:{folder}/freshet.sock"], admin: "127.0.0.1:0" }}
memory: 256MB
durable: {{ dir: {folder}/log, fsync: everysec }}
spaces:
  queue:   {{ db: 0, memory: 64MB, keep: durable, evict: never }}
  cache:   {{ db: 1, memory: 64MB }}
  session: {{ db: 2, memory: 32MB, keep: durable }}
  results: {{ db: 3, memory: 32MB }}
"""


class Peer:
    """What the clients connect to."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.is_redis = os.environ.get("CLIENTS_PEER") == "redis"
        self.daemon = None
        self.start()

    def start(self):
        if self.is_redis:
            self.socket = str(self.folder / "redis.sock")
            self.process = subprocess.Popen(
                ["redis-server", "--port", "7399", "--save", "", "--appendonly", "yes", "--dir",
                 str(self.folder), "--unixsocket", self.socket], stdout=subprocess.DEVNULL)
            self.address = "127.0.0.1:7399"
            until(self.answers, "redis-server")
            return
        if self.daemon is None:
            self.daemon = Freshet(self.folder, POLICY.format(folder=self.folder))
        self.daemon.start()
        self.address = self.daemon.addresses("resp")[0]
        self.socket = str(self.folder / "freshet.sock")

    def answers(self):
        try:
            return self.redis().ping()
        except redis.ConnectionError:
            return False

    @property
    def host(self):
        return self.address.split(":")[0]

    @property
    def port(self):
        return int(self.address.split(":")[1])

    def url(self, db=QUEUE):
        return f"redis://{self.address}/{db}"

    def redis(self, db=QUEUE, **kwargs):
        return redis.Redis(self.host, self.port, db, **kwargs)

    def stop(self):
        if self.is_redis:
            self.process.terminate()
            self.process.wait()
            return 0
        code = self.daemon.stop()
        print(self.daemon.log_text())
        return code


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """One for a whole file; each test begins with empty databases: see `empty`."""
    it = Peer(tmp_path_factory.mktemp("peer"))
    yield it
    assert it.stop() == 0


@pytest.fixture(autouse=True)
def empty(peer):
    peer.redis().flushall()


@pytest.fixture
def processes():
    """A list for processes to be killed at the end of the test."""
    started = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture(scope="session")
def node_modules():
    """The npm packages of node/package.json, installed once into build/."""
    home = ROOT / "build" / "node-clients"
    home.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "node" / "package-lock.json").read_text()
    have = home / "package-lock.json"
    if not (have.exists() and have.read_text() == wanted and (home / ".complete").exists()):
        for name in ["package.json", "package-lock.json"]:
            (home / name).write_text((HERE / "node" / name).read_text())
        subprocess.run(["npm", "install", "--no-save", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=home, check=True)
        (home / ".complete").touch()
    return home
