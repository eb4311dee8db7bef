# SPDX-License-Identifier: BSD-3-Clause
"""A private PostgreSQL (tools/pg) and databases in it.

The example shop is loaded once into a template; each test that asks for a database gets its own copy.
"""
import contextlib
import itertools
import os
import pathlib
import subprocess
import time

import psycopg2
import psycopg2.errors

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"


class Cluster:
    def __init__(self, name):
        self.name = name
        self.home = self._pg("start", str(os.getpid())).split()[0].removeprefix("host=")
        self.numbers = itertools.count(1)

    def _pg(self, verb, *args):
        # The server inherits no pipe of ours: a pipe that it holds open would never end.
        with open(os.devnull) as nothing:
            done = subprocess.run([ROOT / "tools" / "pg", verb, self.name, *args], text=True,
                                  stdin=nothing, stdout=subprocess.PIPE)
        assert done.returncode == 0, f"tools/pg {verb} failed"
        return done.stdout

    def halt(self):
        """As a crash: no shutdown checkpoint, every connection cut."""
        self._pg("halt")

    def resume(self):
        self._pg("resume")

    def stop(self):
        self._pg("stop")

    def restart(self, how="fast", **settings):
        """`how` as pg_ctl: fast or immediate. The settings are kept; None takes one back."""
        with contextlib.closing(self.connect("postgres")) as pg:
            for name, value in settings.items():
                pg.cursor().execute(f"ALTER SYSTEM RESET {name}" if value is None else
                                    f"ALTER SYSTEM SET {name} = '{value}'")
        self._pg("halt", how)
        self.resume()

    @contextlib.contextmanager
    def halted(self):
        self.halt()
        try:
            yield
        finally:
            self.resume()

    def dsn(self, database, user="postgres"):
        return f"host={self.home} user={user} dbname={database}"

    def create(self, template="template1"):
        database = Database(self, f"{self.name}_{next(self.numbers)}".replace("-", "_"))
        with contextlib.closing(self.connect("postgres")) as pg:
            pg.cursor().execute(f"CREATE DATABASE {database.name} TEMPLATE {template}")
        return database

    def drop(self, database):
        with contextlib.closing(self.connect("postgres")) as pg:
            end = time.monotonic() + 30
            while not self._try_drop(pg, database.name):
                assert time.monotonic() < end, f"{database.name} is still in use"

    @staticmethod
    def _try_drop(pg, name):
        """False: a slot's sender has outlived its client by a moment. FORCE spares it, and it may come between."""
        pg.cursor().execute("SELECT pg_terminate_backend(active_pid, 30000) FROM pg_replication_slots"
                            " WHERE database = %s AND active_pid IS NOT NULL", (name,))
        try:
            pg.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
        except psycopg2.errors.ObjectInUse:
            return False
        return True

    def connect(self, database, user="postgres"):
        pg = psycopg2.connect(self.dsn(database, user))
        pg.autocommit = True
        return pg


class Database:
    """One database. `execute` commits at once on a connection of its own; `psql` is raw SQL by psql."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.dsn = cluster.dsn(name)
        self.role_dsn = cluster.dsn(name, "freshet")
        self.pg = None

    def connect(self):
        return self.cluster.connect(self.name)

    def execute(self, sql, params=None):
        """Rows as a list of tuples, or the number of rows changed."""
        if self.pg is None or self.pg.closed:
            self.pg = self.connect()
        cursor = self.pg.cursor()
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else cursor.rowcount

    def value(self, sql, params=None):
        return self.execute(sql, params)[0][0]

    def close(self):
        if self.pg is not None:
            self.pg.close()
            self.pg = None

    def psql(self, sql=None, files=(), variables=()):
        command = ["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", self.dsn]
        for variable in variables:
            command += ["-v", variable]
        for file in files:
            command += ["-f", str(file)]
        done = subprocess.run(command, input=sql, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def load_shop(self, days=5):
        self.psql(files=[SHOP / "schema.sql", SHOP / "generate.sql"], variables=[f"days={days}"])
