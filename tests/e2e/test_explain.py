# SPDX-License-Identifier: BSD-3-Clause
"""explain names everything that decides about a hit: rule, space, dependencies with marks, stamp, age, TTL,
contact, and why it would miss."""
import json
import re

import pytest

from daemon import cli, until

KEY = "erp_cache:1:product_7"
POSITION = r"\d+\.[0-9A-F]+\.\d+"


def lines(text):
    """Values by name, in order."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        found.setdefault(name, []).append(value)
    return found


def explain(daemon, *what):
    return lines(daemon.explain(*what))


def hit(daemon, path):
    http = daemon.http()
    until(lambda: http.get(path).hit, "a hit")


def test_a_hit_of_a_route_is_explained_in_full(served):
    hit(served, "/api/products/7")
    said = explain(served, "GET", "/api/products/7")
    assert re.search(r"GET /api/products/\{id\} \(.*freshet\.yaml:\d+\)", said["route"][0])
    assert said["consistency"] == ["follow"] and said["kept"] == ["followed"]
    assert said["reads"] == ["public.product (one row, by its primary key)"]
    assert re.match(r"\d+ bytes, \d+ in memory", said["entry"][0])
    assert re.fullmatch(r"\d+ s", said["age"][0])
    assert 800 < float(said["ttl left"][0].split()[0]) <= 900
    assert re.fullmatch(POSITION, said["stamp"][0])
    row, rest = said["depends on"]
    assert re.fullmatch(r"row of table product with id=7, unchanged in this epoch", row)
    assert re.fullmatch(rf"unknown rows of table product, changed at {POSITION}", rest)
    assert said["verdict"] == ["hit"] and said["follower"] == ["following"]
    assert re.fullmatch(r"proven \d\.\d{3} s ago, followed entries miss after 0\.500 s", said["contact"][0])
    assert re.fullmatch(POSITION, said["applied"][0]) and re.fullmatch(POSITION, said["visible"][0])


def test_an_outdated_answer_names_what_changed(served, shop):
    hit(served, "/api/products/7")
    stamp = explain(served, "GET", "/api/products/7")["stamp"]
    shop.psql("update product set name = name || '!' where id = 7")
    said = until(lambda: (s := explain(served, "GET", "/api/products/7"))["verdict"] != ["hit"] and s, "the change")
    assert said["verdict"] == ["miss: something it depends on changed after its stamp"]
    assert said["stamp"] == stamp
    assert re.fullmatch(rf"row of table product with id=7, changed at {POSITION} \(after the stamp\)",
                        said["depends on"][0])
    assert "after the stamp" not in said["depends on"][1]


def test_a_key_is_explained_with_rule_space_and_what_a_set_would_get(served, shop):
    hit(served, "/api/products?business_id=1")
    redis = served.resp(db=1)

    def stored():
        redis("GET", KEY)
        redis("SET", KEY, "v", "EX", 600)
        return explain(served, "key", KEY)["verdict"] == ["hit"]

    until(stored, "a SET that is stored")
    said = explain(served, "key", KEY)
    assert said["space"] == ["cache (db 1)"] and said["consistency"] == ["follow"]
    assert re.fullmatch(r"table product, template product_\{id\} with id=7 \(.*freshet\.yaml:\d+\)", said["rule"][0])
    assert said["depends on"][0].startswith("rows of table product with id=7, ")
    assert said["depends on"][1].startswith("unknown values of template product_{id}, ")
    assert 500 < float(said["ttl left"][0].split()[0]) <= 600
    assert said["a SET now"] == ["would be stored"]
    shop.psql("update product set name = name || '!' where id = 7")
    until(lambda: redis("GET", KEY) is None, "the miss")
    said = explain(served, "key", KEY)
    assert said["verdict"] == ["miss: nothing is stored under this key"]
    assert "a read found the entry outdated and removed it" in said["last refused"][0]


def test_a_set_between_two_changes_is_told_beforehand(served, shop):
    hit(served, "/api/products?business_id=1")
    for _ in range(2):
        shop.psql("update product set name = name || '!' where id = 7")
    said = until(lambda: (s := explain(served, "key", KEY))["a SET now"][0].startswith("would not") and s, "it")
    assert "would not be stored: " in said["a SET now"][0]


def test_keys_that_nothing_governs_say_so(served):
    said = explain(served, "--db", "0", "key", "job")
    assert said["space"] == ["queue (db 0)"] and said["consistency"] == ["ttl"]
    assert said["rule"] == ["none, no template matches: only its TTL counts"]
    assert "a SET now" not in said
    assert explain(served, "--db", "2", "key", "s")["ttl of new keys"] == ["7200.000 s"]


def test_writes_and_bad_parameters_have_their_verdict(served):
    assert explain(served, "POST", "/api/sales")["verdict"] == ["always runs its statement"]
    assert explain(served, "GET", "/api/products")["verdict"] == ["refused: parameter `business_id` is missing"]


def test_contact_that_is_lost_is_said(postgres, served):
    hit(served, "/api/products/7")
    with postgres.halted():
        said = until(lambda: (s := explain(served, "GET", "/api/products/7"))["verdict"] != ["hit"] and s, "the end")
        assert said["verdict"] == ["miss: no proof of contact with the database within max_stale"]
        assert float(re.match(r"proven (\d+\.\d+) s ago", said["contact"][0])[1]) >= 0.5


def test_json_has_the_same_and_lists_for_what_repeats(served):
    hit(served, "/api/products/7")
    said = json.loads(served.explain("--json", "GET", "/api/products/7"))
    assert said["verdict"] == "hit" and said["consistency"] == "follow"
    assert len(said["depends_on"]) == 2 and said["depends_on"][0].startswith("row of table product with id=7")
    assert said["reads"] == ["public.product (one row, by its primary key)"]
    assert said["ttl_left"].endswith(" s")
    said = json.loads(served.explain("--json", "key", "erp_cache:1:sales_by_product_9"))
    assert len(said["rule"]) == 2 and said["key"] == "erp_cache:1:sales_by_product_9"


def test_what_does_not_exist_fails_with_a_reason(served):
    served.explain("GET", "/api/products/7")
    known = served.folder / "explain.yaml"
    done = cli("explain", "--json", "-c", known, "GET", "/nope")
    assert done.returncode == 1 and "no route has this method and path" in done.stderr
    done = cli("explain", "-c", known, "--db", "9", "key", "x")
    assert done.returncode == 1 and "no space has this database number" in done.stderr


@pytest.mark.parametrize("words", [[], ["GET"], ["key"]])
def test_too_few_words_print_the_usage(words):
    done = cli("explain", *words)
    assert done.returncode == 2 and "usage: freshet explain" in done.stderr


def test_a_key_cannot_write_lines_of_its_own(served):
    """`*` in a prefix and placeholders take any byte of a key, line ends included."""
    key = "erp_cache:1:product_7\nverdict: hit"
    said = explain(served, "--db", "1", "key", key)
    assert said["key"] == ["erp_cache:1:product_7?verdict: hit"]
    assert len(said["verdict"]) == 1 and said["verdict"] != ["hit"]
    assert any("id=7?verdict: hit" in rule for rule in said["rule"])
