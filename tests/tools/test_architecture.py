# SPDX-License-Identifier: BSD-3-Clause
"""The map in ARCHITECTURE.md names what is there, all of it, and nothing else."""
import fnmatch
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MAP = (ROOT / "ARCHITECTURE.md").read_text()


def section(begin, end):
    at = MAP.index(begin)
    return MAP[at:MAP.index(end, at)]


def table(module):
    """The names in the first column of a module's own table."""
    rows = re.findall(r"^\|(.*?)\|", section(f"| `{module}` | |", "\n\n"), re.M)[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def commands():
    text = section("Commands are `cmd/`", "\n\n")
    quoted = [words for words in re.findall(r"`([^`]+)`", text) if "/" not in words]
    return [name + ".c" for words in quoted for name in words.split()]


NAMES = {"serve": table("serve"), "store": table("store"), "serve/cmd": commands()}


@pytest.mark.parametrize("folder", NAMES)
def test_every_source_is_on_the_map(folder):
    sources = [path.name for path in (ROOT / "src" / folder).glob("*.c")]
    lost = [s for s in sources if not any(fnmatch.fnmatch(s, name) for name in NAMES[folder])]
    assert sources and not lost, f"ARCHITECTURE.md does not say what these are for: {lost}"


@pytest.mark.parametrize("folder", NAMES)
def test_what_the_map_names_is_there(folder):
    there = [path.name for path in (ROOT / "src" / folder).iterdir()]
    gone = [name for name in NAMES[folder] if not fnmatch.filter(there, name)]
    assert NAMES[folder] and not gone, f"ARCHITECTURE.md names what is not in src/{folder}: {gone}"


def test_paths_in_the_text_are_there():
    paths = re.findall(r"`((?:src|docs|tests|tools|bench|examples)/[\w./-]+)`", MAP)
    gone = [path for path in paths if not (ROOT / path).exists()]
    assert len(paths) > 10 and not gone, gone


def test_every_module_is_on_the_map():
    modules = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    named = set(re.findall(r"^\| (?:L\d)? ?\| `(\w+)` \|", section("| layer |", "\n\n"), re.M))
    assert named == modules
