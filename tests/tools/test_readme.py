# SPDX-License-Identifier: BSD-3-Clause
"""README.md: its figures are those of bench/results, and what the pages link to is there."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def row(begin):
    """The numbers in a row of the README's table of costs, behind its name."""
    line = next(line for line in README.splitlines() if line.startswith(f"| {begin}"))
    cells = re.sub(r"\[how\]\(.*?\)", "", line.removeprefix(f"| {begin}")).split("|", 1)[1]
    return [float(number) for number in re.findall(r"[\d.]*\d", cells)]


def result(page, *cells):
    """The medians of the row that begins with these cells."""
    text = (ROOT / "bench" / "results" / f"{page}.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| " + " | ".join(cells) + " |"))
    rest = line.split("|")[len(cells) + 1:-1]
    return [float(re.search(r"[\d.]+", cell)[0]) for cell in rest if re.search(r"\d", cell)]


def answer(server):
    return result("http", "1 KB, 1 worker", server)[0]


def gets(pipeline):
    theirs, ours, *_ = result("resp", "GET", "100 B", pipeline)
    return ours, theirs


FIGURES = {
    "cached 1 KB answer, one worker": lambda: [answer("freshet"), answer("haproxy"), answer("nginx"),
                                               answer("varnish"), answer("floor")],
    "Redis GET, 100 B, pipeline 1 and 16": lambda: [gets("1")[0], gets("16")[0], gets("1")[1], gets("16")[1]],
    "memory beside key and value, 100 B values": lambda: result("memory", "100 B")[:3],
    "from commit to refused, idle and at 5,000 commits/s": lambda: [
        result("freshness", "nothing")[1], result("freshness", "5,000 commits/s")[1]],
    "misses on five recorded traces, four sizes of cache": lambda: [
        result("evict", "**mean**", "", "")[0], result("evict", "**mean**", "", "")[2]],
    "twenty users of the example shop, sales going on": lambda: result(
        "api", "**reads that did not reach PostgreSQL**"),
}


@pytest.mark.parametrize("begin", FIGURES)
def test_figures_are_those_of_the_results(begin):
    told, measured = row(begin), FIGURES[begin]()
    assert len(told) == len(measured)
    for mine, theirs in zip(told, measured):
        assert abs(mine - theirs) <= max(0.051 * (10 if theirs >= 20 else 1), 0.006), (told, measured)


def test_kills_are_those_of_the_results():
    text = (ROOT / "bench" / "results" / "durability.md").read_text()
    rounds, acknowledged, lost = (re.search(rf"^\| {what} \| (\d+) \|", text, re.M)[1]
                                  for what in ("rounds", "acknowledged", "acknowledged changes lost"))
    assert f"| killed {rounds} times under load, {int(acknowledged):,} changes" in README
    assert row("killed")[:1] == [float(lost)]


def test_links_lead_somewhere():
    pages = [path for path in ROOT.rglob("*.md") if "build" not in path.parts and "node_modules" not in path.parts]
    gone = [(str(page.relative_to(ROOT)), link) for page in pages
            for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
            if "://" not in link and not (page.parent / link).exists()]
    assert len(pages) > 20 and not gone, gone
