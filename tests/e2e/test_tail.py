# SPDX-License-Identifier: BSD-3-Clause
"""freshet tail and GET /trace: what every thread does, in order, without gaps that are not told."""
import json
import re
import select
import signal
import subprocess

import pytest

from daemon import BINARY, cli, until
from http_client import Http

PLAIN = """
listen: { resp: "127.0.0.1:0", admin: "127.0.0.1:0" }
workers: 1
memory: 16MB
auth: { password: "open-sesame" }
"""


def known_policy(daemon):
    """A policy file that names the admin port which the daemon has found."""
    known = daemon.folder / "tail.yaml"
    known.write_text(daemon.file.read_text().replace(
        'admin: "127.0.0.1:0"', f'admin: "{daemon.addresses("admin")[0]}"'))
    return known


def tail(daemon, *options):
    done = cli("tail", *options, known_policy(daemon))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def trace(admin, query=""):
    """Events, cursor and losses of one GET /trace, as JSON."""
    answer = admin.get(f"/trace?format=json{query}", authorization="Bearer open-sesame")
    assert answer.status == 200
    *events, last = [json.loads(line) for line in answer.body.decode().splitlines()]
    return events, last["cursor"], last["lost"]


@pytest.fixture
def plain(freshet):
    daemon = freshet(PLAIN)
    client = daemon.resp()
    assert client("AUTH", "open-sesame") == "OK"
    return daemon, client, daemon._client(Http(daemon.addresses("admin")[0]))


def names(lines):
    return [line.split()[2] for line in lines]


def test_a_request_is_told_from_miss_to_hit(served):
    http = served.http()
    served.resp()("SET", "x", "1")
    path = "/api/products?business_id=2"
    assert not http.get(path).hit
    until(lambda: http.get(path).hit, "the hit")
    lines = tail(served, "--once", "--thread", "worker-0")
    told = names(lines)
    first = next(i for i, line in enumerate(lines) if line.endswith(" /api/products") and told[i] == "request")
    assert told[first:first + 4] == ["request", "miss", "fill", "park"] or \
        told[first:first + 5] == ["request", "miss", "db_connect", "park", "db_ready"]
    rest = told[first:]
    assert rest.index("park") < rest.index("wake") < rest.index("filled") < rest.index("hit")
    filled = lines[first + rest.index("filled")]
    assert re.search(r"connection=\d+ database_us=\d+ stored$", filled)
    assert "business_id" not in "\n".join(lines)


def test_the_follower_tells_of_a_commit_and_of_its_start(served, shop):
    shop.psql("update product set name = name || '!' where id = 7")
    until(lambda: "commit" in names(tail(served, "--once", "--thread", "follower")), "the commit")
    told = names(tail(served, "--once", "--thread", "follower"))
    assert told.index("slot") < told.index("schema") < told.index("commit")
    assert told.index("begin") < told.index("commit")


def test_reload_is_told(freshet):
    daemon = freshet(PLAIN)
    daemon.process.send_signal(signal.SIGHUP)
    lines = until(lambda: tail(daemon, "--once", "--event", "reload"), "the reload")
    assert "accepted=1" in lines[0]


def test_filters_take_what_they_name(plain):
    daemon, client, _ = plain
    client("SET", "cart:17", "v")
    client("GET", "cart:18")
    client("GET", "other")
    assert set(names(tail(daemon, "--once", "--event", "command,key_miss"))) == {"command", "key_miss"}
    assert [line.split()[3:] for line in tail(daemon, "--once", "--match", "cart:18")] == [
        [f"connection={number(daemon)}", "name=GET", "cart:18"],
        [f"connection={number(daemon)}", "why=1", "cart:18"]]
    assert tail(daemon, "--once", "--thread", "worker-9") == []
    assert tail(daemon, "--once", "--since", "1h", "--match", "cart:17")
    assert tail(daemon, "--once", "--since", "0", "--match", "cart:17") == []


def number(daemon):
    """Of the connection that commands came from."""
    return re.search(r"connection=(\d+) name=AUTH", "\n".join(tail(daemon, "--once")))[1]


def test_json_lines_are_json_whatever_the_key_holds(plain):
    daemon, client, admin = plain
    client("GET", b'"\\\xff\n\x01 key')
    events, _, _ = trace(admin, "&event=key_miss")
    assert events[-1]["text"] == '"\\\ufffd\n\x01 key'
    assert events[-1]["thread"] == "worker-0" and events[-1]["why"] == 1
    for line in tail(daemon, "--once", "--json"):
        assert {"time", "thread", "event"} <= json.loads(line).keys()
    last = tail(daemon, "--once", "--event", "key_miss")[-1]
    assert last.endswith(' why=1 "\\"\\\\\ufffd\\n\\u0001 key"')


def test_a_cursor_goes_on_without_gap_and_without_repeating(plain):
    _, client, admin = plain
    seen, cursor = [], trace(admin, "&since=now")[1]
    for turn in range(20):
        for i in range(30):
            client("GET", f"k{turn * 30 + i}")
        events, cursor, lost = trace(admin, f"&event=key_miss&since={cursor}")
        assert lost == 0
        seen += [event["text"] for event in events]
    assert seen == [f"k{i}" for i in range(600)]
    assert trace(admin, f"&since={cursor}&event=command")[0] == []


def test_what_was_overwritten_is_counted(plain):
    _, client, admin = plain
    _, cursor, _ = trace(admin, "&since=now")
    replies = client.pipeline(*[["SET", f"k{i}", "v"] for i in range(5000)])
    assert replies == ["OK"] * 5000
    events, cursor, lost = trace(admin, f"&since={cursor}&event=command")
    texts = [event["text"] for event in events]
    assert texts[-1] == "k4999" and texts == [f"k{i}" for i in range(5000 - len(texts), 5000)]
    assert lost + len(texts) >= 5000 and lost >= 5000 - 2048
    assert trace(admin, f"&since={cursor}")[2] == 0


def test_cursor_of_another_process_begins_anew(plain):
    _, client, admin = plain
    client("GET", "first")
    events, _, lost = trace(admin, "&since=S1-0.999999&event=key_miss")
    assert [e["text"] for e in events] == ["first"] and lost == 0


def test_values_and_passwords_are_never_traced(plain):
    daemon, client, _ = plain
    client("SET", "key", "the secret value")
    client("MSET", "a", "secret one", "b", "secret two")
    client("SETEX", "c", 10, "secret three")
    client("CONFIG", "SET", "loglevel", "info")
    everything = "\n".join(tail(daemon, "--once", "--json"))
    assert "name=AUTH" in "\n".join(tail(daemon, "--once"))
    assert "secret" not in everything and "open-sesame" not in everything


def test_it_follows_until_interrupted(plain):
    daemon, client, _ = plain
    process = subprocess.Popen([BINARY, "tail", known_policy(daemon)], stdout=subprocess.PIPE, text=True)
    try:
        line = None

        def told():
            nonlocal line
            client("GET", "now-and-then")
            if select.select([process.stdout], [], [], 0.05)[0]:
                line = process.stdout.readline()
            return line is not None and "now-and-then" in line

        until(told, "an event of a later command")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        process.stdout.close()


def test_it_ends_with_the_daemon_and_says_so(plain):
    daemon, _, _ = plain
    process = subprocess.Popen([BINARY, "tail", known_policy(daemon)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    until(lambda: len(tail(daemon, "--once", "--event", "open")) > 2, "its connection")
    assert daemon.stop() == 0
    assert process.wait(30) == 1
    assert "freshet: " in process.stderr.read()
    process.stderr.close()


@pytest.mark.parametrize("query", ["since=x", "since=S1-999.1", "since=S1-1", "age=x", "format=xml", "evnt=hit"])
def test_wrong_queries_are_refused(plain, query):
    answer = plain[2].get(f"/trace?{query}", authorization="Bearer open-sesame")
    assert answer.status == 400 and "since" in answer.body.decode()


def test_only_the_admin_face_has_it_and_with_the_password(plain, shared):
    assert plain[2].get("/trace").status == 401
    assert shared.http().get("/trace").status == 404


def test_wrong_options_are_refused(tmp_path):
    assert cli("tail", "--since", "yesterday").returncode == 2
    assert cli("tail", "--frobnicate").returncode == 2
    assert "usage: freshet tail" in cli("tail", "--help").stdout
