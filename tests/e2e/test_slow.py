# SPDX-License-Identifier: BSD-3-Clause
"""Slow statements: logged, remembered and counted by route; and the figures of `freshet stats`."""
import json
import re

import pytest

from daemon import cli, shop_policy, until
from http_client import Http

SLOW = """
  - match: GET /slow/{id}
    sql: "select :id::int as id, :note as note, pg_sleep(:for::float8)::text as slept"
    params: { for: "0.3", note: "" }
  - match: GET /late-error/{zero}
    sql: "select pg_sleep(0.3)::text as slept, 1 / (:zero::int + (random() * 0)::int) as never"
  - match: POST /slow
    sql: "select 1 as one, pg_sleep(:for::float8)::text as slept"
"""


@pytest.fixture
def daemon(shop, freshet):
    text = shop_policy(shop.role_dsn, log="{ slow_fill: 200ms }")
    return freshet(text.replace("\nroutes:\n", "\nroutes:" + SLOW, 1)).following()


def stats(daemon, *options):
    known = daemon.folder / "stats.yaml"
    known.write_text(daemon.file.read_text().replace(
        'admin: "127.0.0.1:0"', f'admin: "{daemon.addresses("admin")[0]}"'))
    done = cli("stats", "-c", known, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def slow(daemon):
    return [json.loads(line) for line in stats(daemon, "--slow", "--json").splitlines()]


def histogram(daemon, route):
    """Buckets by upper bound, sum and count of one route."""
    text = Http(daemon.addresses("admin")[0]).get("/metrics").body.decode()
    label = re.escape(f'route="{route}"')
    buckets = {le: int(n) for le, n in re.findall(
        rf'^freshet_fill_duration_seconds_bucket\{{{label},le="([^"]+)"\}} (\d+)$', text, re.M)}
    total = re.search(rf"^freshet_fill_duration_seconds_sum\{{{label}\}} (\S+)$", text, re.M)
    count = re.search(rf"^freshet_fill_duration_seconds_count\{{{label}\}} (\d+)$", text, re.M)
    return buckets, float(total[1]), int(count[1])


def test_a_slow_fill_is_logged_and_remembered_without_values(daemon):
    assert daemon.http().get("/slow/17?note=private-note").status == 200
    line = until(lambda: re.search(r"^.* slow fill .*$", daemon.log_text(), re.M), "the line")[0]
    found = re.search(r'WARN  fill    slow fill route="GET /slow/\{id\}" params=(\S+) queue_ms=\d+ '
                      r'database_ms=(\d+) rows=1 bytes=(\d+) outcome="?(.*?)"? others_not_logged=0$', line)
    assert found, line
    assert sorted(found[1].split(",")) == ["for", "id", "note"]
    assert int(found[2]) >= 300 and int(found[3]) > 10
    last = slow(daemon)[0]
    assert last["route"] == "GET /slow/{id}" and last["database_us"] >= 300000
    assert last["rows"] == 1 and last["write"] is False and last["outcome"] == found[4]
    table = stats(daemon, "--slow")
    assert "GET /slow/{id} (" in table and table.startswith("time ")
    assert "private-note" not in daemon.log_text() + table + json.dumps(slow(daemon))


def test_slow_writes_are_told_too_and_fast_ones_are_not(daemon):
    assert daemon.http().post("/slow", {"for": "0.0"}).status == 200
    assert daemon.http().post("/slow", {"for": "0.3"}).status == 200
    told = until(lambda: [s for s in slow(daemon) if s["route"] == "POST /slow"], "the write")
    assert len(told) == 1 and told[0]["write"] is True and told[0]["outcome"] == "written"
    assert daemon.log_text().count("slow write") == 1


def test_a_failed_slow_statement_is_told_as_failed(daemon):
    assert daemon.http().get("/late-error/0").status == 400
    last = until(lambda: slow(daemon), "the statement")[0]
    assert last["route"] == "GET /late-error/{zero}" and last["outcome"] == "failed" and last["rows"] == 0


def test_only_the_last_ones_are_kept_newest_first(shop, freshet):
    text = shop_policy(shop.role_dsn, log="{ slow_fill: 1ms, level: error }")
    daemon = freshet(text.replace("\nroutes:\n", "\nroutes:" + SLOW, 1)).following()
    http = daemon.http()
    for n in range(140):
        assert http.get(f"/slow/{n}?for=0.002").status == 200
    told = slow(daemon)
    assert len(told) == 128
    times = [entry["time"] for entry in told]
    assert times == sorted(times, reverse=True)


def test_histogram_counts_every_fill_in_its_bucket(daemon):
    http = daemon.http()
    for n in range(3):
        http.get(f"/slow/{n}?for=0.26")
    http.get("/slow/9?for=0.0")
    buckets, total, count = histogram(daemon, "GET /slow/{id}")
    assert count == 4 and buckets["+Inf"] == 4
    assert total >= 3 * 0.26
    assert buckets["0.25"] <= 1 and list(buckets) == [
        "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]
    values = list(buckets.values())
    assert values == sorted(values)


def test_stats_are_lines_of_name_and_value_in_groups(daemon):
    text = stats(daemon)
    plain = dict(line.split(None, 1) for line in text.splitlines() if line)
    assert plain["follow.state"] == "following"
    assert plain["version"] == cli("--version").stdout.split()[1]
    assert re.match(r"\d+  \(\d+\.\d MB\)$", plain["space.http.budget_bytes"])
    assert "\n\nspace." in text and "\n\nfollow." in text
    assert int(plain["http_requests"]) > 0


def test_stats_as_json_have_the_same_names(daemon):
    lines = dict(line.split(None, 1) for line in stats(daemon).splitlines() if line)
    figures = json.loads(stats(daemon, "--json"))
    assert figures.keys() == lines.keys()
    assert figures["follow.state"] == "following" and figures["space.http.keys"] >= 1
    assert isinstance(figures["follow.commits"], int)


def test_nothing_slow_says_so(freshet):
    daemon = freshet('listen: { resp: "127.0.0.1:0", admin: "127.0.0.1:0" }\nmemory: 16MB\n')
    assert "no statement was slower" in stats(daemon, "--slow")
    assert stats(daemon, "--slow", "--json") == ""
