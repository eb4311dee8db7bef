# SPDX-License-Identifier: BSD-3-Clause
"""docs/http-safety.md names tests: each must be there, and each refused message must be in the table."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODEC = {"parse", "framing", "body", "query", "compose", "fields", "coding"}
END_TO_END = {"connection", "answers", "abuse", "gzip", "json", "refusals", "safety"}


def named():
    text = (ROOT / "docs" / "http-safety.md").read_text()
    return re.findall(r"`(\w+): ([^`]+)`", "\n".join(l for l in text.splitlines() if l.startswith("|")))


def source(file):
    if file in CODEC:
        return (ROOT / "tests" / "unit" / "http" / f"test_{file}.c").read_text()
    name = {"safety": "cache_safety"}.get(file, file)
    return (ROOT / "tests" / "e2e" / f"test_http_{name}.py").read_text()


def messages():
    return set(re.findall(r'^    "([^"]+)": \(\d+,', source("refusals"), re.M))


def test_every_named_test_exists():
    assert len(named()) > 150
    for file, name in named():
        assert file in CODEC | END_TO_END, file
        if file in CODEC:
            assert f"cmocka_unit_test({name})" in source(file), f"{file}: {name}"
        elif name.startswith("test_"):
            assert f"\ndef {name}(" in source(file), f"{file}: {name}"
        else:
            assert file == "refusals" and name in messages(), f"{file}: {name}"


def test_every_refused_message_is_in_the_table():
    elsewhere = {"line too long", "method without end", "head too large", "too many headers",
                 "body too large", "chunks too large"}  # those of the limits, by their codec tests
    listed = {name for file, name in named() if file == "refusals"}
    assert messages() - elsewhere - listed == set()
