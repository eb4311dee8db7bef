# SPDX-License-Identifier: BSD-3-Clause
"""Eight workers, and everything at once: whatever the others do, sums stay, nothing is lost or doubled, what
was acknowledged in the durable database outlives a kill, and the store is as it should be.

STRESS_S says for how many seconds (8): longer under the sanitizers, by hand."""
import os
import random
import select
import signal
import threading
import time

import pytest

from daemon import until
from resp_client import Push, RespError
from test_durable_effects import random_line, values_of

SECONDS = float(os.environ.get("STRESS_S", "8"))
SPACES = """
listen: { resp: "127.0.0.1:0", admin: "127.0.0.1:0" }
workers: 8
debug: true
durable: { dir: log, rewrite_min: 64KB }
limits: { script: 50ms }
spaces:
  kept: { db: 0, memory: 128MB, keep: durable, evict: never }
  small: { db: 1, memory: 4MB }
  queue: { db: 2, memory: 32MB, evict: never }
  one: { db: 4, memory: 16MB }
  two: { db: 5, memory: 16MB }
"""
SHARED = """
listen: { resp: "127.0.0.1:0", admin: "127.0.0.1:0" }
workers: 8
debug: true
limits: { script: 50ms }
memory: 512MB
"""
ACCOUNTS, EACH = 12, 1000
TOKENS, MEMBERS = 60, 80
KEPT, SMALL, QUEUE, ONE, TWO = 0, 1, 2, 4, 5

TRANSFER = ("local n = tonumber(ARGV[1]) redis.call('DECRBY', KEYS[1], n) "
            "redis.call('HINCRBY', 'log', 'moved', n) return redis.call('INCRBY', KEYS[2], n)")


class Stress:
    """Roles, each a thread with connections of its own, until the time is over."""

    def __init__(self, daemon, swaps):
        self.daemon, self.end = daemon, time.monotonic() + SECONDS
        self.failures, self.threads, self.lock = [], [], threading.Lock()
        self.count = {}
        self.swaps = [("SWAPDB", ONE, TWO)] if swaps else []

    def goes_on(self):
        return not self.failures and time.monotonic() < self.end

    def add(self, role, *args):
        def body():
            rng = random.Random(f"{role.__name__} {args}")
            try:
                while self.goes_on():
                    role(self, rng, *args)
            except Exception as error:  # pylint: disable=broad-exception-caught
                self.failures.append(f"{role.__name__}{args}: {error!r}")
        self.threads.append(threading.Thread(target=body))

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        assert self.failures == [], "\n".join(self.failures)

    def connect(self, db=0, protocol=2):
        client = self.daemon.resp()
        sure(client, "SELECT", db)
        sure(client, "HELLO", protocol)
        return client

    def note(self, what, by=1):
        with self.lock:
            self.count[what] = self.count.get(what, 0) + by


def ask(client, *words):
    """Its reply; None when a script kept the server busy or was itself ended, and nothing happened."""
    client.raw(client.encode(*words))
    reply = client.reply()
    while isinstance(reply, Push):
        reply = client.reply()
    if isinstance(reply, RespError):
        assert str(reply).startswith(("BUSY", "EXECABORT", "ERR Script killed", "ERR Background")), (words, reply)
        return None
    return reply


def sure(client, *words):
    """The same, again and again until it happened."""
    return until(lambda: [reply for reply in [ask(client, *words)] if reply is not None], str(words))[0]


def account(rng):
    return f"account:{rng.randrange(ACCOUNTS)}"


# --- roles that keep sums -----------------------------------------------------------------------------

def transfers(s, rng):
    r = s.connect()
    for _ in range(50):
        amount = rng.randrange(100)
        for words in [("MULTI",), ("DECRBY", account(rng), amount), ("INCRBY", account(rng), amount)]:
            ask(r, *words)
        r.raw(r.encode("EXEC"))
        done = r.reply()
        assert isinstance(done, list) or str(done).startswith(("BUSY", "EXECABORT", "ERR EXEC without")), done
        if isinstance(done, RespError):
            r.raw(r.encode("DISCARD"))
            r.reply()
        s.note("transfer", isinstance(done, list))
    r.close()


def watched_transfers(s, rng):
    r = s.connect()
    for _ in range(50):
        a, b = f"account:{rng.randrange(6)}", f"account:{rng.randrange(6, ACCOUNTS)}"
        if sure(r, "WATCH", a, b) and (values := ask(r, "MGET", a, b)):
            r.pipeline(["MULTI"], ["SET", a, int(values[0]) - 1], ["SET", b, int(values[1]) + 1])
            r.raw(r.encode("EXEC"))
            done = r.reply()
            s.note("watched", done == ["OK", "OK"])
        r.raw(r.encode("RESET"))
        r.reply()
    r.close()


def scripted_transfers(s, rng):
    r = s.connect()
    for _ in range(50):
        s.note("scripted", ask(r, "EVAL", TRANSFER, 2, account(rng), account(rng), rng.randrange(9)) is not None)
    r.close()


def token_moves(s, rng, blocking):
    """From list to list; whoever leaves while he waits takes nothing with him."""
    r = s.connect()
    for _ in range(40):
        a, b = f"tokens:{rng.randrange(4)}", f"tokens:{rng.randrange(4)}"
        side, other = rng.choice(["LEFT", "RIGHT"]), rng.choice(["LEFT", "RIGHT"])
        if not blocking:
            ask(r, *rng.choice([("LMOVE", a, b, side, other), ("RPOPLPUSH", a, b)]))
        elif rng.random() < 0.2:
            r.raw(r.encode("BLMOVE", a, b, side, other, 0))
            break
        else:
            ask(r, "BLMOVE", a, b, side, other, 0.01)
        s.note("moves")
    r.close()


def member_moves(s, rng):
    r = s.connect()
    for _ in range(50):
        a, b = rng.sample(range(3), 2)
        s.note("smoves", ask(r, "SMOVE", f"members:{a}", f"members:{b}", f"m{rng.randrange(MEMBERS)}") or 0)
    r.close()


def counters(s, rng, which):
    r = s.connect()
    for _ in range(50):
        if ask(r, "HINCRBY", "counts", which, 1) is not None:
            s.note(f"h{which}")
        if ask(r, "ZINCRBY", "scores", 1, which) is not None:
            s.note(f"z{which}")
        if ask(r, "XADD", "stream", "*", "by", which) is not None:
            s.note("entries")
        if ask(r, "SADD", "large", rng.randrange(100000)) == 1:
            s.note("large")
    r.close()


def renames(s, rng, which):
    """The key has one name at every moment, and its value never changes."""
    r = s.connect()
    names = [f"{which}:name:{i}" for i in range(6)]
    found = [name for name in names if sure(r, "EXISTS", name)]
    assert len(found) <= 1, found
    name = found[0] if found else names[0]
    if not found:
        sure(r, "RPUSH", name, *range(300))
    for _ in range(40):
        to = rng.choice([n for n in names if n != name])
        if ask(r, "RENAME", name, to) is not None:
            name = to
        length = ask(r, "LLEN", name)
        assert length in (300, None), (name, length)
    s.note("renames", 40)
    r.close()


# --- roles that listen --------------------------------------------------------------------------------

def producers(s, rng, which):
    r = s.connect(QUEUE)
    for _ in range(50):
        n = s.count.get(f"produced{which}", 0)
        if ask(r, rng.choice(["LPUSH", "RPUSH"]), f"q{rng.randrange(3)}", f"{which}-{n}") is not None:
            s.note(f"produced{which}")
    r.close()


def consumers(s, rng):
    """What one has taken nobody else gets; some leave while they wait, and may take one with them."""
    r = s.connect(QUEUE)
    for _ in range(30):
        line = rng.choice([("BLPOP", "q0", "q1", "q2", 0.02), ("BRPOP", "q2", "q0", 0.02),
                           ("BLMPOP", 0.02, 3, "q0", "q1", "q2", "LEFT"), ("LPOP", "q1")])
        if rng.random() < 0.1:
            r.raw(r.encode(*line))
            break
        reply = ask(r, *line)
        if reply:
            value = reply if isinstance(reply, bytes) else reply[1][0] if isinstance(reply[1], list) else reply[1]
            with s.lock:
                taken = s.count.setdefault("taken", set())
                assert value not in taken, value
                taken.add(value)
    r.close()


def publishers(s, rng, which):
    r = s.connect()
    for _ in range(100):
        with s.lock:
            n = s.count[f"published{which}"] = s.count.get(f"published{which}", 0) + 1
        ask(r, "PUBLISH", f"news:{which}", n)
    r.close()


def subscribers(s, rng):
    r = s.connect(protocol=rng.choice([2, 3]))
    r.raw(r.encode("PSUBSCRIBE", "news:*", "__key*__:*"))
    last = {}
    for _ in range(200):
        if not select.select([r.socket], [], [], 1)[0]:  # perhaps more is in r.file, but nobody needs it
            break
        reply = r.reply()
        while isinstance(reply, RespError):  # a script was running
            r.raw(r.encode("PSUBSCRIBE", "news:*", "__key*__:*"))
            reply = r.reply()
        if reply[0] == b"pmessage" and reply[2].startswith(b"news:"):
            assert int(reply[3]) > last.get(reply[2], 0), (reply, last)
            last[reply[2]] = int(reply[3])
            s.note("heard")
    r.close()


def trackers(s, rng):
    r = s.connect(protocol=3)
    mode = rng.choice([(), ("BCAST",), ("BCAST", "PREFIX", "account:"), ("OPTIN",), ("OPTOUT",), ("NOLOOP",)])
    if ask(r, "CLIENT", "TRACKING", "ON", *mode):
        for _ in range(50):
            value = ask(r, "GET", account(rng))
            assert value is None or int(value) is not None
    r.close()


def readers(s, rng):
    """Blocked on a stream, then gone; large replies, half read."""
    r = s.connect()
    r.raw(r.encode("XREAD", "BLOCK", rng.choice([0, 5]), "STREAMS", "stream", "$"))
    if rng.random() < 0.5:
        r.reply()
    r.raw(r.encode("SMEMBERS", "large") * 3)
    r.close()


# --- roles that disturb -------------------------------------------------------------------------------

def strangers(s, rng, db):
    """Anything, in a database where nothing is promised."""
    makers = values_of(rng)
    r = s.connect(db)
    for _ in range(20):
        lines = [random_line(rng, makers) for _ in range(20)]
        lines += [["SET", f"fill{rng.randrange(3000)}", "x" * rng.randrange(4000)] for _ in range(10)]
        lines += [["FRESHET.TAG", f"k{rng.randrange(12)}", f"tag{rng.randrange(3)}"],
                  ["SCAN", rng.randrange(99), "COUNT", 50], ["DUMP", f"k{rng.randrange(12)}"],
                  ["ZUNION", 2, f"k{rng.randrange(12)}", f"k{rng.randrange(12)}", "WITHSCORES"],
                  ["OBJECT", "ENCODING", f"k{rng.randrange(12)}"]]
        if rng.random() < 0.1:
            lines += [["FRESHET.DROP", f"tag{rng.randrange(3)}"]]
        lines = [line for line in lines if line[0] not in ("MOVE",) and "DB" not in line]
        r.pipeline(*lines)
        s.note("strange", len(lines))
    r.close()


def sweepers(s, rng):
    r = s.connect(SMALL)
    for _ in range(10):
        ask(r, *rng.choice([("FLUSHDB",), *s.swaps, ("DBSIZE",), ("KEYS", "k*"), ("RANDOMKEY",),
                            ("BGREWRITEAOF",) if rng.random() < 0.2 and not s.swaps else ("PING",)]))
        time.sleep(rng.random() / 20)
    r.close()


def administrators(s, rng):
    r = s.connect()
    for _ in range(10):
        victim = s.connect(QUEUE)
        number = sure(victim, "CLIENT", "ID")
        ask(victim, "CLIENT", "SETNAME", "victim")
        victim.raw(victim.encode("BLPOP", "never", 0))
        for line in [("CLIENT", "LIST"), ("INFO",), ("CLIENT", "PAUSE", 3, "WRITE"), ("SLOWLOG", "GET"),
                     ("CONFIG", "SET", "notify-keyspace-events", rng.choice(["KEA", "", "Kg"])),
                     ("CONFIG", "SET", "list-max-listpack-size", rng.choice([-2, 8, 128])),
                     ("CONFIG", "GET", "*"), ("LATENCY", "LATEST"), ("PUBSUB", "CHANNELS"),
                     ("MEMORY", "STATS"), ("COMMAND", "COUNT"), ("CONFIG", "RESETSTAT")]:
            ask(r, *line)
        sure(r, "ACL", "SETUSER", "guest", "reset", "on", "nopass", "~*", "+@all", *rng.choice([[], ["-SET"]]))
        guest = s.connect()
        guest.raw(guest.encode("AUTH", "guest", "x"))
        guest.raw(guest.encode("GET", "account:1"))
        monitor = s.connect()
        monitor.raw(monitor.encode("MONITOR"))
        monitor.reply()
        if rng.random() < 0.5:
            ask(r, "ACL", "DELUSER", "guest")
        killed = until(lambda: [k for k in [ask(r, "CLIENT", "KILL", "ID", number)] if k is not None], "the kill")
        assert killed == [1]
        until(victim.at_end, "the end of the killed connection")
        for other in (victim, guest, monitor):
            other.close()
        s.note("killed")
    r.close()


def endless_scripts(s, rng):
    """Runs for ever, until somebody ends it."""
    r, other = s.connect(), s.connect()
    time.sleep(rng.random())
    r.raw(r.encode("EVAL", "while true do redis.call('GET', 'account:0') end", 0))

    def is_over():
        """Another script may be the one that is ended."""
        other.raw(other.encode("SCRIPT", "KILL"))
        answer = str(other.reply())
        assert answer.startswith(("OK", "NOTBUSY", "BUSY", "UNKILLABLE")), answer
        return select.select([r.socket], [], [], 0.01)[0]
    until(is_over, "the script's end")
    assert "killed" in str(r.reply()).lower()
    s.note("endless")
    r.close()
    other.close()


def validators(s, rng):
    r = s.connect()
    time.sleep(0.3)
    ask(r, "DEBUG", "VALIDATE")
    s.note("validated")
    r.close()


# --- what must be -------------------------------------------------------------------------------------

def fill(r):
    r.pipeline(*[["SET", f"account:{i}", EACH] for i in range(ACCOUNTS)])
    r("RPUSH", "tokens:0", *range(TOKENS))
    r("SADD", "members:0", *[f"m{i}" for i in range(MEMBERS)])


def judge(r, count):
    """The durable database after all that, by what the roles were told."""
    money = sum(int(v) for v in r("MGET", *[f"account:{i}" for i in range(ACCOUNTS)]))
    assert money == ACCOUNTS * EACH
    tokens = [t for i in range(4) for t in r("LRANGE", f"tokens:{i}", 0, -1)]
    assert sorted(map(int, tokens)) == list(range(TOKENS))
    members = [m for i in range(3) for m in r("SMEMBERS", f"members:{i}")]
    assert len(members) == MEMBERS and len(set(members)) == MEMBERS
    for which in "ab":
        assert int(r("HGET", "counts", which)) == count[f"h{which}"]
        assert float(r("ZSCORE", "scores", which)) == count[f"z{which}"]
        assert [r("LLEN", k) for k in r("KEYS", f"{which}:name:*")] == [300]
    assert r("XLEN", "stream") == count["entries"]
    assert r("SCARD", "large") == count["large"]


@pytest.mark.parametrize("policy", [SPACES, SHARED], ids=["spaces", "shared"])
def test_everything_at_once(freshet, policy):
    daemon = freshet(policy)
    fill(daemon.resp())
    s = Stress(daemon, swaps=policy == SHARED)
    for role, *args in [(transfers,), (watched_transfers,), (scripted_transfers,), (token_moves, False),
                        (token_moves, True), (token_moves, True), (member_moves,), (counters, "a"),
                        (counters, "b"), (renames, "a"), (renames, "b"), (producers, "a"), (producers, "b"),
                        (consumers,), (consumers,), (publishers, "a"), (publishers, "b"), (subscribers,),
                        (subscribers,), (trackers,), (readers,), (strangers, SMALL), (strangers, ONE),
                        (strangers, TWO), (sweepers,), (administrators,), (endless_scripts,), (validators,)]:
        s.add(role, *args)
    s.run()
    for what in ["transfer", "watched", "scripted", "moves", "smoves", "heard", "strange", "killed", "endless",
                 "validated", "taken"]:
        assert s.count.get(what), f"nothing was tried of {what}: {s.count.keys()}"
    r = daemon.resp()
    judge(r, s.count)
    r("DEBUG", "VALIDATE")
    if policy == SPACES:
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        judge(daemon.start().resp(), s.count)
    assert "Sanitizer" not in daemon.log_text()
