# SPDX-License-Identifier: BSD-3-Clause
"""Bad days for a database, and the two questions that each of them must answer: was anything served that
was older than its level promises, and how long after the database was back were there hits again?

`Witness` asks the first. Writers raise a version in rows that only they write, readers read those rows through
a `strict` and a `follow` route, and each answer is judged by the order of versions:

    strict   at least the version that was committed before the read began
    follow   at least the version that was committed max_stale before the read began
    both     at most the version that a writer has begun to write

`recovery` asks the second, prints the figure, and appends it to the file that BADDAY_FIGURES names.
"""
import contextlib
import json
import os
import pathlib
import selectors
import signal
import socket
import threading
import time

import psycopg2

from daemon import shop_policy, until

MAX_STALE_S = 0.5  # the policy's default
RECOVERY_BOUND_S = 20  # generous: the real figures are printed, and kept in bench/results/badday.md
PRODUCT = "match: GET /api/products/{id}\n"


def policy(dsn, more="", **changes):
    """The shop's policy; products are read strictly under their own path and by `follow` under another."""
    text = shop_policy(dsn, **changes)
    assert PRODUCT in text
    product = text[text.index("  - " + PRODUCT):].split("\n  - ", 2)[0].replace("  - " + PRODUCT, "")
    lagging = "  - match: GET /lagging/products/{id}\n" + product.lstrip("\n").split("\n  - ")[0]
    text = text.replace(PRODUCT, PRODUCT + "    consistency: strict\n")
    return text.replace("routes:\n", "routes:\n" + lagging.rstrip("\n") + "\n" + more)


def figure(name, seconds, **more):
    """Prints a measurement; bench/badday collects them."""
    line = json.dumps({"name": name, "seconds": round(seconds, 3), **more})
    print("figure", line)
    if os.environ.get("BADDAY_FIGURES"):
        with open(os.environ["BADDAY_FIGURES"], "a") as file:
            file.write(line + "\n")


def first_hit(daemon, path="/lagging/products/9"):
    http = daemon.http()
    until(lambda: http.get(path).hit, f"a hit of {path}")


def recovery(daemon, name, since, path="/lagging/products/9"):
    """Waits for a hit; `since` is when the database was back (time.monotonic)."""
    first_hit(daemon, path)
    took = time.monotonic() - since
    figure(name, took)
    assert took < RECOVERY_BOUND_S, f"{name}: hits came back after {took:.1f} s"


class Witness:
    """While it is entered, versions are written and read, and every answer is judged."""

    def __init__(self, daemon, dsn, rows=(7, 8, 9), readers=3, setup="", pause_s=0.002):
        self.daemon, self.dsn, self.rows, self.setup, self.pause_s = daemon, dsn, rows, setup, pause_s
        self.begun = {row: 0 for row in rows}
        self.commits = {row: [(0.0, 0)] for row in rows}  # (when it was known, version)
        self.done = threading.Event()
        self.wrong, self.statuses, self.hits, self.slowest = [], {}, 0, 0.0
        self.threads = [threading.Thread(target=self.write, args=(row,)) for row in rows]
        self.threads += [threading.Thread(target=self.read, args=(n,)) for n in range(readers)]

    def __enter__(self):
        with contextlib.closing(psycopg2.connect(self.dsn)) as pg:
            pg.autocommit = True
            pg.cursor().execute("UPDATE product SET price_cents = 0 WHERE id = ANY (%s)", (list(self.rows),))
        for row in self.rows:
            http = self.daemon.http()
            until(lambda: http.get(f"/api/products/{row}").json().get("price_cents") == 0, "version 0")
        for thread in self.threads:
            thread.start()
        return self

    def has_checked(self):
        return self.statuses.get(200, 0) > 0 and len(self.commits[self.rows[0]]) > 1

    def __exit__(self, *error):
        if error[0] is None:
            until(self.has_checked, "something to judge")
        self.done.set()
        for thread in self.threads:
            thread.join()
        if error[0] is None:
            assert not self.wrong, f"older than promised: {self.wrong[:5]} of {len(self.wrong)}"
            assert self.has_checked(), "nothing was checked"

    def written(self):
        return sum(len(c) - 1 for c in self.commits.values())

    def write(self, row):
        """One row's writer. A commit whose answer was lost may still happen, so a version never goes back."""
        pg = None
        while not self.done.is_set():
            try:
                if pg is None:
                    pg = psycopg2.connect(self.dsn, connect_timeout=2)
                    pg.autocommit = True
                    if self.setup:
                        pg.cursor().execute(self.setup)
                version = self.begun[row] + 1
                self.begun[row] = version
                pg.cursor().execute("UPDATE product SET price_cents = %s WHERE id = %s AND price_cents < %s",
                                    (version, row, version))
                self.commits[row].append((time.monotonic(), version))
                self.done.wait(self.pause_s)
            except psycopg2.Error:
                if pg is not None:
                    pg.close()
                pg = None
                self.done.wait(0.05)

    def committed(self, row, before):
        """The highest version that was known to be committed at that time."""
        for at, version in reversed(self.commits[row]):
            if at <= before:
                return version
        return 0

    def read(self, number):
        http, turn = self.daemon.http(), number
        while not self.done.is_set():
            turn += 1
            row, strict = self.rows[turn % len(self.rows)], turn % 2 == 0
            began = time.monotonic()
            lowest = self.committed(row, began if strict else began - MAX_STALE_S)
            answer = http.get(f"/api/products/{row}" if strict else f"/lagging/products/{row}")
            took = time.monotonic() - began
            self.slowest = max(self.slowest, took)
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            self.hits += answer.hit
            if answer.status == 200:
                version = answer.json()["price_cents"]
                if not lowest <= version <= self.begun[row]:
                    self.wrong.append({"row": row, "strict": strict, "got": version, "lowest": lowest,
                                       "begun": self.begun[row], "status": answer.header("Cache-Status")})
            else:
                assert answer.status in (503, 504), answer
                self.done.wait(0.01)


def server_pids(cluster):
    """The postmaster and its children."""
    postmaster = int((pathlib.Path(cluster.home) / "data" / "postmaster.pid").read_text().split()[0])
    children = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == postmaster:
                    children.append(int(entry.name))
    return [postmaster, *children]


@contextlib.contextmanager
def stopped(cluster):
    """Every process of the server stands still: it refuses nothing, and answers nothing."""
    pids = []
    while new := [pid for pid in server_pids(cluster) if pid not in pids]:
        for pid in new:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        pids += new
    try:
        yield
    finally:
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def answers(dsn):
    """True once the server lets us in."""
    try:
        psycopg2.connect(dsn, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def back(dsn):
    """Waits until the server lets us in; returns when that was."""
    until(lambda: answers(dsn), "the database")
    return time.monotonic()


class Proxy:
    """Between freshet and the server's socket. In a hole it takes nothing and says nothing, as a network that
    drops packets; connections of before a hole stay dead behind it, as behind a firewall that forgot them."""

    def __init__(self, folder, target):
        self.target = f"{target}/.s.PGSQL.5432"
        self.home = str(folder)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{folder}/.s.PGSQL.5432")
        os.chmod(f"{folder}/.s.PGSQL.5432", 0o777)
        self.listener.listen(64)
        self.open, self.ended = threading.Event(), False
        self.open.set()
        self.pairs, self.dead = {}, set()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def hole(self):
        self.open.clear()

    def heal(self):
        self.dead |= set(self.pairs)
        self.open.set()

    def run(self):
        chooser = selectors.DefaultSelector()
        chooser.register(self.listener, selectors.EVENT_READ)
        while not self.ended:
            for key, _ in chooser.select(0.05) if self.open.wait(0.05) else []:
                if not self.open.is_set():
                    break
                if key.fileobj is self.listener:
                    self.accept(chooser)
                elif key.fileobj not in self.dead:
                    self.forward(chooser, key.fileobj)
                else:
                    chooser.unregister(key.fileobj)

    def accept(self, chooser):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            return
        self.pairs[client], self.pairs[server] = server, client
        for side in (client, server):
            chooser.register(side, selectors.EVENT_READ)

    def forward(self, chooser, side):
        other = self.pairs.get(side)
        if other is None:
            return  # closed with its other side, a moment ago
        try:
            data = side.recv(65536)
            if data:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            for end in (side, other):
                with contextlib.suppress(KeyError, ValueError):
                    chooser.unregister(end)
                self.pairs.pop(end, None)
                end.close()

    def close(self):
        self.ended = True
        self.thread.join()
        for side in [*self.pairs, self.listener]:
            side.close()
