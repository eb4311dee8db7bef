# SPDX-License-Identifier: BSD-3-Clause
"""Starting and stopping freshet, and waiting for things without sleeping blindly."""
import os
import pathlib
import re
import select
import signal
import subprocess
import time
import urllib.request

from cluster import ROOT, SHOP
from http_client import Http
from resp_client import Resp

BINARY = os.environ.get("FRESHET_BIN", str(ROOT / "build" / "debug" / "freshet"))
SANITIZED = "san" in pathlib.Path(BINARY).parent.name  # build/asan, build/tsan: the memory is theirs
DEADLINE_S = 30  # of anything that must happen: generous, for sanitizers on a busy machine


def until(condition, what="the condition", deadline_s=DEADLINE_S):
    """Asks again until the answer is true, and returns it. select() lets other processes run between."""
    end = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {deadline_s} s for {what}"
        select.select([], [], [], 0.002)


def cli(*args, **kwargs):
    """Runs one verb of freshet to its end."""
    return subprocess.run([BINARY, *map(str, args)], text=True, capture_output=True,
                          timeout=DEADLINE_S, **kwargs)


def shop_policy(dsn, **changes):
    """The example's own policy on free ports, with this DSN. `changes` replace whole top-level
    sections: shop_policy(dsn, memory="64MB")."""
    text = (SHOP / "freshet.yaml").read_text()
    text = re.sub(r'(http|resp|admin): "127.0.0.1:\d+"', r'\1: "127.0.0.1:0"', text)
    text = re.sub(r"sql: sql/", f"sql: {SHOP}/sql/", text)
    changes = {"database": f'{{ dsn: "{dsn}" }}', **changes}
    for section, body in changes.items():
        text = re.sub(rf"^{section}:.*\n(?:[ \t].*\n|#.*\n|\n(?=[ \t]))*", "", text, flags=re.M)
        text += f"\n{section}: {body}\n"
    return text


class Freshet:
    def __init__(self, folder, policy, env=None):
        """`env`: variables that the daemon gets besides ours."""
        self.folder, self.env = pathlib.Path(folder), {**os.environ, **(env or {})}
        self.file = self.folder / "freshet.yaml"
        self.file.write_text(policy)
        self.log = self.folder / "freshet.log"
        self.process, self.address, self.clients = None, {}, []

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BINARY, "serve", str(self.file)],
                                            stdout=subprocess.PIPE, stderr=log, env=self.env)
        self.address = dict(word.split("=", 1) for word in self._ready_line().split()[1:])
        return self

    def _ready_line(self):
        fd, line, end = self.process.stdout.fileno(), b"", time.monotonic() + DEADLINE_S
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            chunk = os.read(fd, 4096) if readable else b""
            assert chunk, f"freshet said no ready line (exit code {self.process.poll()}):\n{self.log_text()}"
            line += chunk
        assert line.startswith(b"ready "), line
        return line.decode()

    def addresses(self, face):
        return [a for a in self.address.get(face, "").split(",") if a]

    def http(self, **kwargs):
        """A keep-alive connection to the HTTP face."""
        return self._client(Http(self.addresses("http")[0], **kwargs))

    def resp(self, db=0, which=0, protocol=2):
        """A connection to the Redis face."""
        client = self._client(Resp(self.addresses("resp")[which]))
        if protocol == 3:
            client("HELLO", 3)
        if db:
            client("SELECT", db)
        return client

    def _client(self, client):
        self.clients.append(client)
        return client

    def explain(self, *what):
        """`freshet explain`, with a policy that names the admin port which the daemon has found."""
        known = self.folder / "explain.yaml"
        known.write_text(self.file.read_text().replace(
            'admin: "127.0.0.1:0"', f'admin: "{self.addresses("admin")[0]}"'))
        done = cli("explain", "-c", known, *what)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def admin(self, path):
        with urllib.request.urlopen(f"http://{self.addresses('admin')[0]}{path}", timeout=DEADLINE_S) as answer:
            return answer.read().decode()

    def stats(self):
        """`freshet stats` as a dictionary of texts."""
        return dict(line.split(" ", 1) for line in self.admin("/stats").splitlines() if " " in line)

    def metrics(self):
        """`/metrics` as numbers by name, labels included."""
        lines = [line for line in self.admin("/metrics").splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def following(self, path="/api/customers?business_id=1"):
        """Waits until the daemon follows: only then are answers kept, so a second read can be a hit."""
        http = self.http()
        until(lambda: http.get(path).hit, "the first hit")
        return self

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, how=signal.SIGTERM):
        """Ends the daemon; returns its exit code."""
        for client in self.clients:
            client.close()
        self.clients.clear()
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"freshet did not stop:\n{self.log_text()}") from None
        self.process.stdout.close()
        code, self.process = self.process.returncode, None
        return code
