# SPDX-License-Identifier: BSD-3-Clause
"""What the command says to somebody who types something else than it knows, or cannot do what was asked."""
import pytest

from daemon import cli

VERBS = "serve check setup-sql explain stats tail log verify".split()


def serve(tmp_path, policy):
    file = tmp_path / "p.yaml"
    file.write_text(policy)
    return cli("serve", file)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb):
    asked = cli(verb, "--help")
    assert asked.returncode == 0 and asked.stdout.startswith(f"usage: freshet {verb}")
    assert cli(verb, "-h").stdout == asked.stdout
    assert f"\n  {verb} " in cli("--help").stdout


def test_a_slip_of_a_verb_is_recognised():
    done = cli("sevre")
    assert done.returncode == 2 and "no verb `sevre`; did you mean `serve`?" in done.stderr
    assert "mean" not in cli("nonsense").stderr


def test_log_names_the_word_that_it_does_not_know():
    done = cli("log", "repare", "somewhere")
    assert done.returncode == 2 and "`repare` is not understood" in done.stderr
    done = cli("log", "check", "--hard")
    assert done.returncode == 2 and "`--hard` is not understood" in done.stderr


def test_a_directory_that_is_not_there_is_told_with_where_to_look(tmp_path):
    done = cli("log", "check", tmp_path / "none")
    assert done.returncode == 1 and "No such file or directory" in done.stdout and "durable.dir" in done.stdout


@pytest.mark.parametrize("address, step", [
    ("unix:/nowhere/at/all/x.sock", "create the folder"),
    ("192.0.2.1:6380", "change `listen`"),
])
def test_an_address_that_cannot_be_had_is_told_with_the_next_step(tmp_path, address, step):
    done = serve(tmp_path, f'listen: {{ resp: "{address}" }}\nauth: {{ password: x }}\n')
    assert done.returncode == 1
    assert f"cannot listen on {address.removeprefix('unix:')}: " in done.stderr and step in done.stderr
