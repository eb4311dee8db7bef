# SPDX-License-Identifier: BSD-3-Clause
"""The log: levels by module while running, JSON, and a standard error that takes nothing."""
import fcntl
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from daemon import BINARY, Freshet, cli, until
from http_client import Http
from resp_client import RespError

PLAIN = 'listen: {{ resp: "127.0.0.1:0", admin: "127.0.0.1:0" }}\nmemory: 16MB\nworkers: 1\n{more}\n'


def provoke(daemon):
    """One warning of module resp: a browser on the Redis port."""
    with socket.create_connection(daemon.addresses("resp")[0].rsplit(":", 1)) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        s.settimeout(30)
        while s.recv(4096):
            pass


def warnings(daemon):
    return [line for line in daemon.log_text().splitlines() if "HTTP on the Redis port" in line]


def lost(daemon):
    text = Http(daemon.addresses("admin")[0]).get("/metrics").body.decode()
    return int(re.search(r"^freshet_log_lines_lost_total (\d+)$", text, re.M)[1])


def test_levels_change_while_running(freshet):
    daemon = freshet(PLAIN.format(more=""))
    redis = daemon.resp()
    assert redis("CONFIG", "GET", "loglevel") == [b"loglevel", b"info"]
    assert redis("CONFIG", "SET", "loglevel", "resp=error") == "OK"
    assert redis("CONFIG", "GET", "loglevel") == [b"loglevel", b"info,resp=error"]
    provoke(daemon)
    assert redis("CONFIG", "SET", "loglevel", "warning") == "OK"
    assert redis("CONFIG", "GET", "loglevel") == [b"loglevel", b"warn"]
    provoke(daemon)
    until(lambda: warnings(daemon), "the warning")
    assert len(warnings(daemon)) == 1
    assert re.search(r"WARN  resp    HTTP on the Redis port; closed peer=127\.0\.0\.1:\d+$",
                     warnings(daemon)[0])


def test_wrong_levels_say_what_there_is_and_change_nothing(freshet):
    redis = freshet(PLAIN.format(more="")).resp()
    with pytest.raises(RespError, match="there are error, warn, info, debug and trace"):
        redis("CONFIG", "SET", "loglevel", "loud")
    with pytest.raises(RespError, match="log module `folow`: there are daemon, "):
        redis("CONFIG", "SET", "loglevel", "debug,folow=info")
    assert redis("CONFIG", "GET", "loglevel") == [b"loglevel", b"info"]


def test_command_line_is_stronger_than_the_policy_also_after_a_reload(tmp_path):
    daemon = Freshet(tmp_path, PLAIN.format(more="log: error"))
    with open(daemon.log, "ab") as log:
        daemon.process = subprocess.Popen([BINARY, "serve", "--log-level=info,resp=debug", str(daemon.file)],
                                          stdout=subprocess.PIPE, stderr=log)
    daemon.address = dict(word.split("=", 1) for word in daemon._ready_line().split()[1:])
    redis = daemon.resp()
    assert redis("CONFIG", "GET", "loglevel")[1] == b"info,resp=debug"
    redis("CONFIG", "SET", "loglevel", "trace")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: redis("CONFIG", "GET", "loglevel")[1] == b"info,resp=debug", "the reload")
    assert daemon.stop() == 0


def test_wrong_level_on_the_command_line_is_refused(tmp_path):
    policy = tmp_path / "p.yaml"
    policy.write_text(PLAIN.format(more=""))
    done = cli("serve", "--log-level", "info,x=debug", policy)
    assert done.returncode == 1 and "--log-level: log module `x`" in done.stderr


def test_a_reload_brings_the_policys_levels(freshet):
    daemon = freshet(PLAIN.format(more=""))
    redis = daemon.resp()
    daemon.file.write_text(PLAIN.format(more="log: { level: warn, modules: { follow: debug } }"))
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: redis("CONFIG", "GET", "loglevel")[1] == b"warn,follow=debug", "the reload")


def test_json_lines_have_the_fields(served, shop, freshet):
    from daemon import shop_policy
    daemon = freshet(shop_policy(shop.role_dsn, log="{ format: json, modules: { follow: debug } }")).following()
    provoke(daemon)
    lines = until(lambda: warnings(daemon) and daemon.log_text().splitlines(), "the warning")
    records = [json.loads(line) for line in lines]
    assert all({"time", "level", "module", "message"} <= record.keys() for record in records)
    told = next(r for r in records if r["module"] == "resp")
    assert told["level"] == "warn" and re.fullmatch(r"127\.0\.0\.1:\d+", told["peer"])
    assert any(r["module"] == "follow" and r["level"] == "debug" for r in records)


class Muted(Freshet):
    """A daemon whose standard error is somewhere else."""

    def start_with(self, stderr):
        self.process = subprocess.Popen([BINARY, "serve", str(self.file)], stdout=subprocess.PIPE, stderr=stderr)
        self.address = dict(word.split("=", 1) for word in self._ready_line().split()[1:])
        return self


@pytest.fixture
def muted(tmp_path):
    # Only what the tests provoke: a busy machine has warnings of its own.
    daemon = Muted(tmp_path, PLAIN.format(more="log: { level: error, modules: { resp: warn } }"))
    yield daemon
    assert daemon.stop() == 0


def works(daemon):
    redis = daemon.resp()
    assert redis("SET", "k", "v") == "OK" and redis("GET", "k") == b"v"


def test_full_disk_loses_lines_and_counts_them(muted):
    with open("/dev/full", "wb") as full:
        muted.start_with(full)
    for _ in range(3):
        provoke(muted)
        works(muted)
    until(lambda: lost(muted) == 3, "three lost lines")


def test_a_disk_with_room_again_gets_the_number_of_lost_lines(muted, tmp_path):
    """A file that may not grow is a full disk; then it may."""
    log = tmp_path / "limited.log"
    with open(log, "ab") as stderr:
        muted.start_with(stderr)
    provoke(muted)
    size = until(lambda: log.stat().st_size, "the first line")
    limit = ["prlimit", f"--pid={muted.process.pid}"]
    subprocess.run([*limit, f"--fsize={size + 40}:unlimited"], check=True)
    for _ in range(5):
        provoke(muted)
        works(muted)
    assert until(lambda: lost(muted) >= 5, "the losses")
    count = lost(muted)
    subprocess.run([*limit, "--fsize=unlimited:unlimited"], check=True)
    # The watchdog's thread tells, without another event.
    until(lambda: f"{count} lines lost lines={count}" in log.read_text(), "the number")
    provoke(muted)
    lines = until(lambda: log.read_text().count("HTTP on the Redis port") >= 2 and log.read_text(), "a line")
    whole = [line for line in lines.splitlines() if re.match(r"\d{4}-\d\d-\d\dT.*Z (WARN|INFO )", line)]
    assert whole[-1].endswith(tuple("0123456789")) and "peer=" in whole[-1]
    assert lost(muted) == count


def test_a_pipe_that_nobody_reads_does_not_hold_the_daemon_up(muted):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 8192)
    muted.start_with(writer)
    os.close(writer)
    told = 0
    while lost(muted) == 0:
        provoke(muted)
        told += 1
        assert told < 2000
    for _ in range(20):
        provoke(muted)
    works(muted)
    told += 20
    count = lost(muted)
    assert count >= 20
    with open(reader, "rb") as pipe:
        got = b""
        while f"{count} lines lost".encode() not in got:
            got += os.read(pipe.fileno(), 65536)
        assert got.count(b"HTTP on the Redis port") + count == told
        assert all(re.match(rb"\d{4}-", line) for line in got.splitlines())


def test_a_pipe_without_a_reader_does_not_end_the_daemon(muted):
    reader, writer = os.pipe()
    muted.start_with(writer)
    os.close(writer)
    os.close(reader)
    provoke(muted)
    works(muted)
    until(lambda: lost(muted) >= 1, "the loss")


def test_standard_descriptors_that_are_closed_are_not_taken_by_sockets(tmp_path):
    policy = tmp_path / "p.yaml"
    policy.write_text(PLAIN.format(more=""))
    process = subprocess.Popen(["sh", "-c", f'exec "{BINARY}" serve "{policy}" 0<&- 2>&-'], stdout=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"ready ")
    fds = {n: os.readlink(f"/proc/{process.pid}/fd/{n}") for n in (0, 2)}
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process.stdout.close()
    assert fds == {0: "/dev/null", 2: "/dev/null"}
