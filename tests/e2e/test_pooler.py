# SPDX-License-Identifier: BSD-3-Clause
"""PgBouncer (Debian's) in front of the pool: sessions work, with a direct DSN for the stream; a pooler of
transactions is refused, and the message says what to do."""
import contextlib
import os
import pathlib
import pwd
import socket
import subprocess
import tempfile

import psycopg2
import pytest

from badday import Witness, first_hit, policy
from daemon import cli, until

PRODUCT = "/lagging/products/7"


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def bouncer(folder, shop, mode):
    """Yields the DSN that goes through it. It does not run as root, so it gets a folder of its own."""
    port = free_port()
    config = pathlib.Path(folder) / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n{shop.name} = host={shop.cluster.home} dbname={shop.name} user=freshet\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = 20\nignore_startup_parameters = extra_float_digits\n"
        "server_reset_query = DISCARD ALL\n")
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    command = ["setpriv", "--pdeathsig", "TERM", "--", "pgbouncer", "-q", str(config)]
    if user:
        for path in (folder, config):
            os.chown(path, user.pw_uid, user.pw_gid)
        command[3:3] = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin"))
    dsn = f"host=127.0.0.1 port={port} user=freshet dbname={shop.name}"

    def reachable():
        assert process.poll() is None, "pgbouncer ended"
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(dsn).close()
            return True

    try:
        until(reachable, "pgbouncer")
        yield dsn
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="freshet-bouncer-") as name:
        yield name


def test_pooler_of_sessions_works(shop, freshet, folder):
    with bouncer(folder, shop, "session") as dsn:
        changes = f'{{ dsn: "{dsn}", replication_dsn: "{shop.role_dsn}" }}'
        daemon = freshet(policy(shop.role_dsn, database=changes))
        first_hit(daemon)
        with Witness(daemon, shop.dsn) as witness:
            until(lambda: witness.hits > 200 and witness.written() > 100, "hits")
        done = cli("check", daemon.file)
        assert "pooler" in done.stdout and "0 problems" in done.stdout, done.stdout
        daemon.stop()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_pooler_of_transactions_is_refused(shop, freshet, folder, mode):
    with bouncer(folder, shop, mode) as dsn:
        changes = f'{{ dsn: "{dsn}", replication_dsn: "{shop.role_dsn}" }}'
        daemon = freshet(policy(shop.role_dsn, database=changes))
        until(lambda: "pooler of transactions" in daemon.log_text(), "the message")
        assert "set pool_mode = session" in daemon.log_text()
        http = daemon.http()
        for price in range(100, 120):
            shop.execute("UPDATE product SET price_cents = %s WHERE id = 7", (price,))
            answer = http.get(PRODUCT)
            assert not answer.hit
            assert answer.status in (500, 503) or answer.json()["price_cents"] == price, answer
        assert daemon.stats()["follow.following"] == "0"
        done = cli("check", daemon.file)
        assert done.returncode == 1, done.stdout
        assert ("pooler of transactions" if mode == "transaction" else "statement pooling mode") in done.stdout
        daemon.stop()


def test_pooler_for_the_stream_is_said(shop, freshet, folder):
    with bouncer(folder, shop, "session") as dsn:
        daemon = freshet(policy(dsn))
        until(lambda: "database.replication_dsn at PostgreSQL itself" in daemon.log_text(), "the message")
        assert not daemon.http().get(PRODUCT).hit
        daemon.stop()
