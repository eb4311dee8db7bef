# SPDX-License-Identifier: BSD-3-Clause
"""The reference of commands is what the daemon says."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_reference_of_commands_is_up_to_date():
    done = subprocess.run([ROOT / "tools/commands-doc", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
