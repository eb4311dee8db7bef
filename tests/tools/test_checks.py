# SPDX-License-Identifier: BSD-3-Clause
"""The checkers must fail: each rule against a small tree with that one violation planted."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPDX = "/* SPDX-License-Identifier: BSD-3-Clause */\n"


def run(tool, tree):
    done = subprocess.run([ROOT / "tools" / tool, tree], capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.fixture
def src(tmp_path):
    (tmp_path / "LAYERS").write_text("L0 base\nL1 net resp\nL2 fill\nface fill/plan.h\nL3 serve\n")
    for name in ("base/buf.h", "net/net.h", "net/net_priv.h", "resp/resp.h", "fill/plan.h", "fill/x.h"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(SPDX)
    (tmp_path / "serve").mkdir()
    return tmp_path


@pytest.mark.parametrize("file, include", [
    ("resp/a.c", "net/net.h"),       # to the left
    ("serve/a.c", "base/buf.h"),     # downward, any header of base
    ("serve/a.c", "fill/plan.h"),    # a named face
    ("net/a.c", "net/net_priv.h"),   # one's own
])
def test_layers_accept_downward_includes(src, file, include):
    (src / file).write_text(f'{SPDX}#include "{include}"\n')
    code, out = run("check-layers", src)
    assert code == 0, out


@pytest.mark.parametrize("file, include, reason", [
    ("net/a.c", "fill/plan.h", "a higher layer"),
    ("net/a.c", "resp/resp.h", "to its right"),
    ("serve/a.c", "net/net_priv.h", "private to net"),
    ("serve/a.c", "fill/x.h", "private to fill"),
    ("net/a.c", "net.h", "write it"),
    ("net/a.c", "nothing/here.h", "no module"),
    ("stray/a.c", "base/buf.h", "stray is no module"),
])
def test_layers_refuse(src, file, include, reason):
    (src / file).parent.mkdir(exist_ok=True)
    (src / file).write_text(f'{SPDX}#include "{include}"\n')
    code, out = run("check-layers", src)
    assert code == 1 and file in out and reason in out


def test_style_accepts_a_clean_tree(tmp_path):
    (tmp_path / "a.c").write_text(SPDX + "int a;\n" * 599)
    code, out = run("check-style", tmp_path)
    assert code == 0, out


@pytest.mark.parametrize("text, reason", [
    ("int a;\n", "SPDX"),
    (SPDX + "int a;\n" * 600, "601 lines"),
    (SPDX + "\tint a;\n", "a tab"),
    (SPDX + "int a; \n", "white space"),
    (SPDX + "/* TO" "DO: later */\n", "unfinished"),
])
def test_style_refuses(tmp_path, text, reason):
    (tmp_path / "a.c").write_text(text)
    code, out = run("check-style", tmp_path)
    assert code == 1 and reason in out


def test_style_lets_a_mark_with_an_issue_pass(tmp_path):
    (tmp_path / "a.c").write_text(SPDX + "/* TO" "DO(#7): later */\n")
    assert run("check-style", tmp_path)[0] == 0
