# SPDX-License-Identifier: BSD-3-Clause
"""redis-cli, redis-benchmark and a C program over hiredis."""
import re
import subprocess

import pytest

from conftest import HERE


def run(*args, **kwargs):
    done = subprocess.run([str(a) for a in args], text=True, capture_output=True, timeout=120, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def cli(peer):
    return lambda *args, **kwargs: run("redis-cli", "-h", peer.host, "-p", peer.port, *args, **kwargs)


def test_redis_cli_speaks_both_protocols(cli):
    assert cli("SET", "k", "v") == "OK\n"
    assert cli("-3", "HSET", "h", "f", "1") == "1\n"
    assert cli("-3", "--json", "HGETALL", "h") == '{"f":"1"}\n'
    assert cli("-n", "1", "GET", "k") == "\n"


def test_redis_cli_walks_and_measures(cli):
    cli(input="".join(f"SET key:{n} {n}\nRPUSH list:{n % 3} {n}\n" for n in range(300)))
    assert len(cli("--scan", "--pattern", "key:*").split()) == 300
    big = cli("--bigkeys")
    assert "Sampled 303 keys" in big and "3 lists with 300 items" in big
    assert "Sampled 303 keys" in cli("--memkeys")


def test_redis_cli_loads_by_pipe(cli):
    def command(*words):
        return f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
    said = cli("--pipe", input="".join(command("SADD", "s", str(n)) for n in range(5000)))
    assert "errors: 0, replies: 5000" in said
    assert cli("SCARD", "s") == "5000\n"


def test_redis_cli_monitors(peer):
    watcher = subprocess.Popen(["redis-cli", "-h", peer.host, "-p", str(peer.port), "MONITOR"], text=True,
                               stdout=subprocess.PIPE)
    try:
        assert watcher.stdout.readline() == "OK\n"
        peer.redis().set("seen", "by monitor")
        assert re.search(r'^\d+\.\d+ \[0 127\.0\.0\.1:\d+\] "SET" "seen" "by monitor"$',
                         next(line for line in watcher.stdout if "SET" in line).strip())
    finally:
        watcher.kill()
        watcher.wait()


def test_redis_cli_evaluates_a_file(cli, tmp_path):
    script = tmp_path / "sum.lua"
    script.write_text("return redis.call('incrby', KEYS[1], ARGV[1])")
    assert cli("--eval", script, "total", ",", "5") == "5\n"


def test_redis_cli_over_the_unix_socket(peer):
    assert run("redis-cli", "-s", peer.socket, "PING") == "PONG\n"


def test_redis_benchmark_runs_all_its_tests(peer):
    said = run("redis-benchmark", "-h", peer.host, "-p", peer.port, "-n", 3000, "-c", 20, "-P", 4, "-r", 1000,
               "--csv")
    rows = {line.split(",")[0].strip('"') for line in said.splitlines() if not line.startswith('"test"')}
    assert {"SET", "GET", "INCR", "LPUSH", "RPOP", "SADD", "HSET", "SPOP", "ZADD", "ZPOPMIN",
            "MSET (10 keys)"} <= rows, said
    assert "rror" not in said


def test_hiredis(peer, tmp_path):
    program = tmp_path / "hiredis_client"
    run("cc", "-Wall", "-Werror", "-o", program, HERE / "hiredis_client.c", "-lhiredis")
    run(program, peer.host, peer.port)
