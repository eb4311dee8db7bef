# SPDX-License-Identifier: BSD-3-Clause
"""bench/plot: tables of results files become pictures."""
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as xml

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def plot(folder, mark, table):
    file = folder / "some.md"
    file.write_text(f"# Title\n\n{mark}\n{table}")
    return subprocess.run([ROOT / "bench" / "plot", file], text=True, capture_output=True)


def words(picture):
    return [t.text for t in xml.parse(picture).iter(SVG + "text")]


TABLE = """| server | value | CPU, us |
|---|---|---|
| one & only | 1 KB | 2.00 [1.00-3.00] |
| other | 20 KB | 4.00 [4.00-4.00] |
| silent | 20 KB | - |
"""


def test_each_row_is_named_and_each_number_has_a_bar(tmp_path):
    done = plot(tmp_path, "<!-- plot a.svg of CPU, us by server; value -->", TABLE)
    assert done.returncode == 0, done.stderr
    said = words(tmp_path / "a.svg")
    assert "one & only, 1 KB" in said and "other, 20 KB" in said and "silent, 20 KB" in said
    bars = [float(r.get("width")) for r in xml.parse(tmp_path / "a.svg").iter(SVG + "rect") if r.get("height") == "13"]
    assert len(bars) == 2 and bars[1] == pytest.approx(2 * bars[0], rel=0.01)


def test_a_range_has_a_whisker(tmp_path):
    plot(tmp_path, "<!-- plot a.svg of CPU, us by server -->", TABLE)
    thick = [line for line in xml.parse(tmp_path / "a.svg").iter(SVG + "line") if line.get("stroke-width")]
    assert len(thick) == 1
    assert float(thick[0].get("x2")) > float(thick[0].get("x1"))


def test_a_logarithmic_scale_gives_each_decade_the_same_room(tmp_path):
    table = "| n | us |\n|---|---|\n| a | 1 |\n| b | 10 |\n| c | 100 |\n"
    plot(tmp_path, "<!-- plot a.svg of us by n, log -->", table)
    bars = [float(r.get("width")) for r in xml.parse(tmp_path / "a.svg").iter(SVG + "rect") if r.get("height") == "13"]
    assert bars[2] == pytest.approx(2 * bars[1], rel=0.01)


@pytest.mark.parametrize("mark, complaint", [
    ("<!-- plot a.svg of memory by server -->", "no column 'memory'; there are: server, value, CPU, us"),
    ("<!-- plot a.svg of CPU, us by server -->\n\n", "no table follows"),
])
def test_a_mark_that_fits_no_table_is_an_error(tmp_path, mark, complaint):
    done = plot(tmp_path, mark, TABLE)
    assert done.returncode != 0 and complaint in done.stderr


def test_the_results_that_are_kept_can_be_drawn(tmp_path):
    for file in (ROOT / "bench" / "results").glob("*.md"):
        copy = tmp_path / file.name
        shutil.copy(file, copy)
        done = subprocess.run([ROOT / "bench" / "plot", copy], text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        for name in re.findall(r"\]\((\S+\.svg)\)", file.read_text()):
            assert words(tmp_path / name), f"{file.name} shows {name}"
