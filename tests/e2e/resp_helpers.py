# SPDX-License-Identifier: BSD-3-Clause
"""For the tests of the Redis face: a plain policy, a real redis-server beside it, scripts of commands."""
import shlex
import shutil
import subprocess

from daemon import until
from resp_client import Resp, RespError

# Workers are chosen, not left to the machine: what several of them must agree on is tested everywhere.
PLAIN = 'listen: { resp: "127.0.0.1:0" }\nmemory: 64MB\nworkers: 2\ndebug: true\n'


class RedisServer:
    """Debian's redis-server on a private socket."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None

    def start(self):
        where = self.folder / "redis.sock"

        def answers():
            try:
                return self.resp()("PING") == "PONG"
            except OSError:
                return False
        self.process = subprocess.Popen(
            [shutil.which("redis-server"), "--port", "0", "--unixsocket", str(where), "--save", "",
             "--dir", str(self.folder), "--enable-debug-command", "local"], stdout=subprocess.DEVNULL)
        until(answers, "redis-server to answer")
        return self

    def resp(self, protocol=2):
        client = Resp(f"unix:{self.folder}/redis.sock")
        if protocol == 3:
            client("HELLO", 3)
        return client

    def stop(self):
        self.process.terminate()
        self.process.wait()


def words(line):
    """One line of a script: words as a shell splits them, \\xHH and \\n for bytes."""
    return [w.encode().decode("unicode_escape").encode("latin-1") for w in shlex.split(line)]


def run(client, script):
    """Runs a script; [(line, reply)], an error reply as its text behind a minus sign."""
    lines = [line.strip() for line in script.strip().splitlines()]
    replies = []
    for line in lines:
        command = words(line)
        client.raw(client.encode(*command))
        replies.append((line, ordered(command, plain(client.reply()))))
    return replies


# Replies without an order of their own: members, and pairs of field and value.
MEMBERS = {b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SPOP", b"SRANDMEMBER", b"HKEYS", b"HVALS", b"KEYS"}
PAIRS = {b"HGETALL"}
SCANS = {b"SSCAN": MEMBERS, b"SCAN": MEMBERS, b"HSCAN": PAIRS, b"ZSCAN": PAIRS}


def ordered(command, reply):
    """The reply to `command` (words), put in order where the server need not."""
    name = command[0].upper()
    if name in SCANS and isinstance(reply, list):
        return [reply[0], ordered([min(SCANS[name])], reply[1])]
    if name in MEMBERS and isinstance(reply, list):
        return sorted(reply)
    if name in PAIRS and isinstance(reply, list):
        return sorted(zip(reply[::2], reply[1::2]))
    return reply


def plain(reply):
    if isinstance(reply, RespError):
        return f"-{reply}"
    if isinstance(reply, list):
        return [plain(item) for item in reply]
    return reply
