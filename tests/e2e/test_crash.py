# SPDX-License-Identifier: BSD-3-Clause
"""What freshet says when it dies of a mistake, or is stuck. The mistakes are made by DEBUG."""
import pathlib
import re
import resource
import signal
import subprocess
import time

import pytest

from daemon import BINARY, Freshet, cli, until
from http_client import Http
from resp_client import RespError

POLICY = """
listen: {{ resp: "127.0.0.1:0", admin: "127.0.0.1:0" }}
debug: true
workers: 2
memory: 16MB
auth: {{ password: "open-sesame" }}
watchdog: {watchdog}
{more}
"""


def names_of_threads(daemon):
    tasks = pathlib.Path(f"/proc/{daemon.process.pid}/task")
    return [(task / "comm").read_text() for task in tasks.iterdir()]


@pytest.fixture
def doomed(tmp_path):
    """A daemon that is expected to die; without core files."""
    started, limit = [], resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limit[1]))

    def start(watchdog="0", more=""):
        daemon = Freshet(tmp_path, POLICY.format(watchdog=watchdog, more=more)).start()
        started.append(daemon)
        until(lambda: "watchdog\n" in names_of_threads(daemon), "the last thread")
        return daemon

    yield start
    resource.setrlimit(resource.RLIMIT_CORE, limit)
    for daemon in started:
        for client in daemon.clients:
            client.close()
        if daemon.process.poll() is None:
            daemon.process.kill()
        daemon.process.wait()
        daemon.process.stdout.close()


def client_of(daemon):
    client = daemon.resp()
    client("AUTH", "open-sesame")
    client("SET", "cart:17", "the secret value")
    return client


def die(daemon, *command):
    """Sends what kills it; its exit code and report."""
    client = client_of(daemon)
    client.raw(client.encode(*command))
    code = daemon.process.wait(30)
    report = daemon.log_text()
    if "Sanitizer" in report:
        pytest.skip("the sanitizer reports faults itself")
    return code, report


def part(report, begin, end):
    return report[report.index(begin):report.index(end)]


def build_id(daemon_file):
    notes = subprocess.run(["readelf", "-n", daemon_file], capture_output=True, text=True).stdout
    found = re.search(r"Build ID: ([0-9a-f]+)", notes)
    assert found, notes
    return found[1]


def check_report(daemon, report):
    assert report.count("=== freshet crash report ===") == 1, report
    version = cli("--version").stdout.strip()
    assert f"version: {version}, build id {build_id(BINARY)}" in report
    mine = part(report, "thread: worker-", "--- other threads")
    assert "in hand: debug" in mine
    # The command itself may be in a part that the compiler has split off, without a name.
    frames = part(mine, "backtrace:", "last events")
    assert frames.index("(resp_run+0x") < frames.index("(loop_run+0x")
    events = part(mine, "last events", "connections: 1")
    assert re.search(r"-\d+ ms open connection=\d+", events), events
    assert re.search(r"-\d+ ms command connection=\d+ name=SET cart:17", events), events
    assert re.search(r"VmRSS:\s+\d+ kB", report)
    others = report[report.index("--- other threads"):]
    assert "thread: main" in others and "thread: watchdog" in others
    assert re.search(r"thread: worker-\d, tid \d+, waits for events\nin hand: nothing\nbacktrace:\n.*epoll",
                     others), others
    assert "=== end of crash report" in others
    assert "secret value" not in report and "open-sesame" not in report


def looks_again(daemon, times=3):
    """Waits until the watchdog has woken up that often."""
    tasks = pathlib.Path(f"/proc/{daemon.process.pid}/task")
    status = next(t / "status" for t in tasks.iterdir() if (t / "comm").read_text() == "watchdog\n")

    def switches():
        return int(re.search(r"\nvoluntary_ctxt_switches:\t(\d+)", status.read_text())[1])

    target = switches() + times
    until(lambda: switches() >= target, "the watchdog")


def test_segmentation_fault_is_reported_and_then_taken(doomed):
    daemon = doomed()
    code, report = die(daemon, "DEBUG", "SEGFAULT")
    assert code == -signal.SIGSEGV
    assert "signal: 11 SIGSEGV, address 0x10, instruction 0x" in report
    check_report(daemon, report)


def test_abort_is_reported_and_then_taken(doomed):
    daemon = doomed()
    code, report = die(daemon, "DEBUG", "ABORT")
    assert code == -signal.SIGABRT
    assert "signal: 6 SIGABRT" in report
    check_report(daemon, report)


def test_failed_check_is_reported_with_its_place(doomed):
    daemon = doomed()
    code, report = die(daemon, "DEBUG", "PANIC")
    assert code == -signal.SIGABRT
    assert re.search(r'reason: .*cmd/debug\.c:\d+: check failed: !"DEBUG PANIC was asked for"', report)
    check_report(daemon, report)


def test_report_is_also_a_file_when_a_directory_was_named(doomed, tmp_path):
    folder = tmp_path / "crashes"
    folder.mkdir()
    daemon = doomed(more=f'crash_dir: "{folder}"')
    pid = daemon.process.pid
    _, report = die(daemon, "DEBUG", "PANIC")
    written = (folder / f"freshet-crash-{pid}.txt").read_text()
    assert "check failed" in written and "=== end of crash report" in written
    assert written in report
    assert [f.name for f in folder.iterdir()] == [f"freshet-crash-{pid}.txt"]


def test_unusable_crash_dir_is_told_at_start(doomed):
    daemon = doomed(more='crash_dir: "/no/such/place"')
    assert "crash reports go to standard error only" in daemon.log_text()
    code, report = die(daemon, "DEBUG", "ABORT")
    assert code == -signal.SIGABRT and "=== end of crash report" in report


def test_stuck_worker_is_reported_and_then_ends_the_process(doomed):
    daemon = doomed(watchdog="1s")
    code, report = die(daemon, "DEBUG", "SLEEP", "3600")
    assert code == -signal.SIGABRT
    first, second = report.split("=== freshet crash report ===")[1:]
    assert re.search(r"reason: thread worker-\d has not moved for 1 s", first)
    assert "in hand: debug" in first and "(resp_run+0x" in first
    assert "last events" in first and "cart:17" in first
    assert "the process goes on" in first
    assert re.search(r"reason: thread worker-\d has not moved for 2 s", second)
    assert "thread: main" in second and "the process ends" in second
    assert "secret value" not in report


def test_worker_that_moves_again_is_let_live(doomed):
    daemon = doomed(watchdog="2s")
    client = client_of(daemon)

    def told():
        # On a busy machine the watchdog's own ticks are longer, and three seconds may be too few of them.
        assert client("DEBUG", "SLEEP", "3") == "OK"
        looks_again(daemon, 2)
        return "moves again" in daemon.log_text() and daemon.log_text()

    log = until(told, "the all-clear", deadline_s=120)
    assert log.count("=== freshet crash report ===") == log.count("moves again")
    assert client("PING") == "PONG"
    assert daemon.stop() == 0
    daemon.start()  # for the fixture


def test_stopped_process_and_jumping_clock_are_not_stuck(doomed):
    daemon = doomed(watchdog="4s")
    client = client_of(daemon)
    admin = Http(daemon.addresses("admin")[0])  # the other worker's, the less busy one
    daemon.clients.append(admin)
    # Busy for six seconds by the clock, of which the process itself has about two.
    begun = time.monotonic()
    client.raw(client.encode("DEBUG", "CLOCK", "ADVANCE", "3600000") + client.encode("DEBUG", "SLEEP", "6"))
    until(lambda: admin.get("/trace?event=command", authorization="Bearer open-sesame").body.count(b"DEBUG") == 2,
          "the sleep")
    looks_again(daemon, 2)
    daemon.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    over = stopped + 4.5
    until(lambda: time.monotonic() > over, "the time without the process")
    daemon.process.send_signal(signal.SIGCONT)
    looks_again(daemon)
    assert [client.reply(), client.reply()] == ["OK", "OK"]
    assert client("PING") == "PONG"
    if stopped - begun > 2:
        pytest.skip("too busy a machine: the process was not stopped in time")
    assert "crash report" not in daemon.log_text() and "stuck" not in daemon.log_text()


def test_debug_needs_a_policy_that_allows_it(freshet):
    client = freshet('listen: { resp: "127.0.0.1:0" }\nmemory: 16MB\n').resp()
    for words in (["SEGFAULT"], ["ABORT"], ["PANIC"], ["SLEEP", "1"]):
        with pytest.raises(RespError, match="DEBUG command not allowed"):
            client("DEBUG", *words)
