# SPDX-License-Identifier: BSD-3-Clause
"""npm's ioredis, redis and bullmq: each script is a suite of node's own test runner."""
import re
import shutil
import subprocess

import pytest

from conftest import HERE


@pytest.mark.parametrize("name", ["ioredis", "redis", "bullmq"])
def test_node(peer, node_modules, name):
    script = node_modules / f"{name}.mjs"
    shutil.copy(HERE / "node" / script.name, script)
    done = subprocess.run(["node", script, peer.address], text=True, capture_output=True, timeout=240)
    print(done.stdout, done.stderr)
    passed = re.search(r"^(?:#|ℹ) pass (\d+)$", done.stdout, re.M)
    assert done.returncode == 0 and passed and int(passed[1]) >= 7
