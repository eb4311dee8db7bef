# SPDX-License-Identifier: BSD-3-Clause
"""The freshness checker, and the check of the checker: with the rule broken on purpose it must say so."""
import json
import os
import subprocess

import pytest

from cluster import ROOT
from daemon import BINARY, cli


def verify(*args):
    """tools/verify with the binary under test: its own PostgreSQL, its own daemon, nothing left behind."""
    return subprocess.run([ROOT / "tools" / "verify", *map(str, args)], text=True, timeout=300,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=dict(os.environ, FRESHET_BIN=str(BINARY)))


def clusters():
    return set((ROOT / "build" / "pg").glob("verify-*"))


def test_nothing_is_older_than_promised():
    """The short form. Whatever the checker can provoke must have happened, or it checked nothing."""
    done = verify("--reads", 60000, "--seconds", 10, "--json")
    print(done.stdout)
    assert done.returncode == 0
    summary = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert summary["violations"] == 0 and not summary["failed"]
    for what in ("http_follow_hits", "http_strict_hits", "http_own_hits", "http_joined", "http_unchanged",
                 "redis_follow_hits", "redis_strict_hits", "sets_late", "sets_token", "sets_through",
                 "commits_async", "rolled_back", "bulks", "truncates", "moves", "posts", "stalls",
                 "cuts", "censuses"):
        assert summary[what] > 0, what


@pytest.mark.parametrize("rule", ["fence", "late-marks", "store-stamp", "oldest-miss", "row-all"])
def test_a_broken_rule_is_noticed(rule):
    done = verify("--break", rule, "--reads", 1000000, "--seconds", 60)
    print(done.stdout)
    assert done.returncode == 1
    assert "VIOLATION: " in done.stdout and "COMMIT was sent at" in done.stdout
    assert "history" in done.stdout and "committed" in done.stdout


def test_seed_is_taken_and_nothing_is_left_behind():
    before = clusters()
    done = verify("--break", "store-stamp", "--seed", 7, "--reads", 1000000, "--seconds", 60)
    assert "seed 7" in done.stdout and done.returncode == 1
    assert clusters() <= before


def test_no_daemon_is_no_verdict(postgres, tmp_path):
    database = postgres.create()
    database.psql(files=[ROOT / "conf" / "verify" / "schema.sql"])
    done = cli("verify", "--dsn", database.dsn, "--http", "127.0.0.1:1", "--resp", "127.0.0.1:1",
               ROOT / "conf" / "verify" / "freshet.yaml")
    assert done.returncode == 2
    assert "COULD NOT CHECK: no daemon answers on 127.0.0.1:1" in done.stdout
    assert "0 violations" not in done.stdout


def test_wrong_usage_says_how():
    done = cli("verify", "--reads", "many")
    assert done.returncode == 2 and "usage: freshet verify" in done.stderr
