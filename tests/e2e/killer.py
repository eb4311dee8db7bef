#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kills freshet at random under load, starts it again on the same log, and compares.

    tests/e2e/killer.py --rounds 500 --report bench/results/durability.md

Every client is one connection with keys of its own and a model of them. It sends a batch of one to eight
changes and waits for all replies. When the process dies, the replies that came say what was acknowledged;
after the restart its keys must be as after those changes and some beginning of the rest of the
batch: nothing acknowledged lost, nothing deleted back, nothing out of order, no half of a transaction
or script. Meanwhile another connection asks for rewrites of the log."""
import argparse
import copy
import os
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from daemon import Freshet  # noqa: E402
from resp_client import RespError  # noqa: E402

POLICY = """
listen: {{ resp: "127.0.0.1:0" }}
workers: {workers}
durable: {{ dir: {dir}, fsync: {fsync}, rewrite_min: 64KB }}
spaces:
  queue: {{ db: 0, memory: 64MB, keep: durable, evict: never }}
  cache: {{ db: 1, memory: 16MB }}
"""

SCRIPT = ("redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[1]) "
          "redis.call('HSET', KEYS[3], 'script', ARGV[1]) return redis.call('LLEN', KEYS[2])")


class Change:
    """One thing a client does: the commands that it takes, and what they do to the model."""

    def __init__(self, commands, effect):
        self.commands, self.effect = commands, effect


def string_changes(rng, key, value):
    def set_to(text):
        return lambda m: m.__setitem__(key, text)

    def append(m):
        m[key] = m.get(key, "") + value

    yield Change([("SET", key, value)], set_to(value))
    yield Change([("APPEND", key, value)], append)
    yield Change([("DEL", key)], lambda m: m.pop(key, None))
    yield Change([("SET", key, value, "PX", 1), ("PERSIST", key), ("SET", key, value)], set_to(value))
    yield Change([("SET", key, value, "EX", 1000), ("PEXPIRE", key, 2_000_000)], set_to(value))


def counter_changes(rng, key, value):
    yield Change([("INCR", key)], lambda m: m.__setitem__(key, str(int(m.get(key, "0")) + 1)))


def list_changes(rng, key, value):
    def pop(m, at):
        if m.get(key):
            m[key].pop(at)
        if not m.get(key):
            m.pop(key, None)

    def trim(m):
        if key in m:
            m[key] = m[key][-5:]

    yield Change([("RPUSH", key, value, value + "b")],
                 lambda m: m.__setitem__(key, m.get(key, []) + [value, value + "b"]))
    yield Change([("LPUSH", key, value)], lambda m: m.__setitem__(key, [value] + m.get(key, [])))
    yield Change([("LPOP", key)], lambda m: pop(m, 0))
    yield Change([("RPOP", key)], lambda m: pop(m, -1))
    yield Change([("LTRIM", key, -5, -1)], trim)


def hash_changes(rng, key, value):
    field = f"f{rng.randrange(20)}"

    def drop(m):
        m.get(key, {}).pop(field, None)
        if not m.get(key):
            m.pop(key, None)

    def put(m):
        m.setdefault(key, {})[field] = value

    yield Change([("HSET", key, field, value)], put)
    yield Change([("HDEL", key, field)], drop)


def set_changes(rng, key, value):
    member = f"m{rng.randrange(40)}"

    def drop(m):
        m.get(key, set()).discard(member)
        if not m.get(key):
            m.pop(key, None)

    yield Change([("SADD", key, member)], lambda m: m.setdefault(key, set()).add(member))
    yield Change([("SREM", key, member)], drop)


def zset_changes(rng, key, value):
    member, score = f"m{rng.randrange(40)}", rng.randrange(1000) / 8

    def drop(m):
        m.get(key, {}).pop(member, None)
        if not m.get(key):
            m.pop(key, None)

    def put(m):
        m.setdefault(key, {})[member] = score

    yield Change([("ZADD", key, score, member)], put)
    yield Change([("ZREM", key, member)], drop)


def several_changes(rng, prefix, value):
    s, l, h = f"{prefix}:s0", f"{prefix}:l", f"{prefix}:h"

    def all_three(m):
        m[s] = value
        m[l] = m.get(l, []) + [value]

    def script(m):
        all_three(m)
        m.setdefault(h, {})["script"] = value

    def rename(m):
        if s in m:
            m[f"{prefix}:s1"] = m.pop(s)

    yield Change([("MULTI",), ("SET", s, value), ("RPUSH", l, value), ("EXEC",)], all_three)
    yield Change([("EVAL", SCRIPT, 3, s, l, h, value)], script)
    yield Change([("SET", s, value), ("RENAME", s, f"{prefix}:s1")],
                 lambda m: (m.__setitem__(s, value), rename(m)))


def random_change(rng, prefix, number):
    value = f"{number}-" + "x" * rng.choice([0, 10, 100, 1000])
    kind = rng.choice([(string_changes, "s0"), (string_changes, "s1"), (counter_changes, "n"), (list_changes, "l"),
                       (hash_changes, "h"), (set_changes, "t"), (zset_changes, "z"), (several_changes, None)])
    key = prefix if kind[1] is None else f"{prefix}:{kind[1]}"
    return rng.choice(list(kind[0](rng, key, value)))


def state_of(r, prefix):
    """What the daemon has of a client's keys, in the model's shape."""
    def pairs(reply):
        return list(zip(reply[::2], reply[1::2]))

    def text(b):
        return b.decode()

    found = {}
    for name in ("s0", "s1", "n"):
        value = r("GET", f"{prefix}:{name}")
        if value is not None:
            found[f"{prefix}:{name}"] = text(value)
    found[f"{prefix}:l"] = [text(v) for v in r("LRANGE", f"{prefix}:l", 0, -1)]
    found[f"{prefix}:h"] = {text(f): text(v) for f, v in pairs(r("HGETALL", f"{prefix}:h"))}
    found[f"{prefix}:t"] = {text(v) for v in r("SMEMBERS", f"{prefix}:t")}
    found[f"{prefix}:z"] = {text(m): float(s) for m, s in pairs(r("ZRANGE", f"{prefix}:z", 0, -1, "WITHSCORES"))}
    return {key: value for key, value in found.items() if value != [] and value != {} and value != set()}


class Client:
    def __init__(self, index, rng):
        self.prefix, self.rng = f"c{index}", rng
        self.model = {}
        self.rest = []  # changes that were sent and not acknowledged
        self.number, self.acknowledged = 0, 0

    def run(self, daemon):
        """Until the connection breaks."""
        try:
            r = daemon.resp()
            while True:
                self.batch(r)
        except (OSError, ConnectionError, ValueError):
            return

    def batch(self, r):
        self.rest = []
        for _ in range(self.rng.choice([1, 1, 1, 2, 4, 8])):
            self.number += 1
            self.rest.append(random_change(self.rng, self.prefix, self.number))
        r.raw(b"".join(r.encode(*c) for change in self.rest for c in change.commands))
        while self.rest:
            for _ in self.rest[0].commands:
                reply = r.reply()
                if isinstance(reply, RespError):
                    raise AssertionError(f"{self.rest[0].commands}: {reply}")
            self.rest.pop(0).effect(self.model)
            self.acknowledged += 1

    def matches(self, r):
        """The daemon's keys are the model's, after none, some or all of what was not acknowledged. A change of
        several commands that is no transaction may have been done in part: each of its commands counts."""
        found = state_of(r, self.prefix)
        model = copy.deepcopy(self.model)
        candidates = [model]
        for change in self.rest:
            if len(change.commands) > 1 and change.commands[0] != ("MULTI",):
                candidates += self.partial(model, change)
            model = copy.deepcopy(model)
            change.effect(model)
            candidates.append(model)
        for candidate in candidates:
            if candidate == found:
                self.model, self.rest = candidate, []
                return None
        return f"{self.prefix}: after {self.acknowledged} acknowledged and {len(self.rest)} other changes\n" \
               f"  expected {self.model}\n  found {found}\n  not acknowledged {[c.commands for c in self.rest]}"

    def partial(self, model, change):
        """SET first, in each of them; then it may be gone again (PX 1)."""
        first = change.commands[0]
        key, value = first[1], first[2]
        with_value, without = copy.deepcopy(model), copy.deepcopy(model)
        with_value[key] = value
        without.pop(key, None)
        return [with_value, without]


def disturb(daemon, over):
    """Asks for rewrites."""
    try:
        r = daemon.resp()
        while not over.wait(0.05):
            try:
                r("BGREWRITEAOF")
            except RespError:
                pass
    except (OSError, ConnectionError, ValueError):
        return


def one_round(daemon, clients, rng, rewrites):
    over = threading.Event()
    threads = [threading.Thread(target=c.run, args=(daemon,)) for c in clients]
    if rewrites:
        threads.append(threading.Thread(target=disturb, args=(daemon, over)))
    for thread in threads:
        thread.start()
    time.sleep(rng.uniform(0.02, 0.3))  # the moment is the test
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()
    over.set()
    for thread in threads:
        thread.join()


def run(folder, rounds, seed, client_count=6, say=lambda text: None):
    """Returns figures; raises AssertionError when something acknowledged was lost."""
    rng = random.Random(seed)
    clients = [Client(i, random.Random(rng.random())) for i in range(client_count)]
    figures = {"rounds": 0, "acknowledged": 0, "in flight": 0, "always": 0, "everysec": 0}
    log_dir = pathlib.Path(folder) / "log"
    daemon = None
    try:
        for number in range(rounds + 1):
            fsync, workers = rng.choice(["always", "everysec"]), rng.choice([1, 2])
            daemon = Freshet(folder, POLICY.format(fsync=fsync, workers=workers, dir=log_dir)).start()
            r = daemon.resp()
            figures["in flight"] += sum(len(c.rest) for c in clients)
            wrong = [text for text in (c.matches(r) for c in clients) if text]
            assert not wrong, f"seed {seed}, round {number}:\n" + "\n".join(wrong)
            if number == rounds:
                break
            one_round(daemon, clients, rng, rewrites=rng.random() < 0.5)
            figures["rounds"] += 1
            figures[fsync] += 1
            daemon.stop()
            if number % 50 == 49:
                say(f"{number + 1} rounds, {sum(c.acknowledged for c in clients)} changes acknowledged, none lost")
    finally:
        if daemon is not None:
            daemon.stop()
    figures["acknowledged"] = sum(c.acknowledged for c in clients)
    log = (pathlib.Path(folder) / "freshet.log").read_text(errors="replace")
    figures["rewrites finished"] = log.count("the log was rewritten")
    figures["torn tails cut"] = log.count("was not finished")
    return figures


def report(file, figures, seed, seconds):
    command = f"ROUNDS={figures['rounds']} SEED={seed} bench/run durability"
    lines = ["# Durability", "", f"`{command}` ({os.uname().release}, {os.cpu_count()} processors, {seconds:.0f} s)", "",
             "SIGKILL at a random moment under load of six clients; after each restart every client's keys are",
             "compared with its own record of what was acknowledged. Changes: strings, counters, lists, hashes, sets,",
             "sorted sets, expiries that are moved, RENAME, MULTI, scripts; pipelines; rewrites of the log meanwhile in",
             "half of the rounds; one or two workers.", "", "| what | number |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in figures.items()]
    lines += ["| acknowledged changes lost | 0 |", "| deletes undone | 0 |", "| clients whose order was not kept | 0 |",
              "| transactions or scripts found in part | 0 |", ""]
    pathlib.Path(file).write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--report")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="freshet-killer-") as folder:
        figures = run(folder, args.rounds, args.seed, say=lambda text: print(text, flush=True))
    print(figures)
    if args.report:
        report(args.report, figures, args.seed, time.monotonic() - began)


if __name__ == "__main__":
    main()
