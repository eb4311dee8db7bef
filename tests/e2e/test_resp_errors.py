# SPDX-License-Identifier: BSD-3-Clause
"""Every error of every command, in every state: resp_errors.txt has a right call and wrong ones of each command of
command.def; here they are asked with too few and too many words, with keys of other kinds, in MULTI, in scripts, by
a subscriber, by users who may not. Where redis-server knows the command the replies must be its own, to the byte.
"""
import pathlib
import re

import pytest

from daemon import ROOT
from resp_helpers import PLAIN, plain

KINDS = {
    "string": ["SET", "string:{}", "10"], "list": ["RPUSH", "list:{}", "1", "2", "3"],
    "set": ["SADD", "set:{}", "1", "2", "3"], "zset": ["ZADD", "zset:{}", "1", "a", "2", "b", "inf", "infinite"],
    "hash": ["HSET", "hash:{}", "f", "v", "n", "1"], "stream": ["XADD", "stream:{}", "5-1", "f", "v"],
    "text": ["SET", "text:{}", "abc"], "words": ["RPUSH", "words:{}", "a", "b"],
}
WRONG = ["string", "list", "set", "zset", "hash", "stream"]
ANYWAY = {"auth", "hello", "quit", "reset"}  # open to strangers
FOR_SUBSCRIBERS = {"ping", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "quit",
                   "reset"}
HOLE = re.compile(r"\{([a-z/]+)\}")


class Row:
    """A command: its right call and its wrong ones, as words with holes for keys."""

    def __init__(self, name, words, alike):
        self.name, self.words, self.alike = name, words, alike
        self.wrong = []  # (words, alike)

    def kinds(self):
        """The places of keys that must be of a kind: (index, the kinds that will do)."""
        found = [(i, HOLE.fullmatch(word)) for i, word in enumerate(self.words)]
        return [(i, hole[1].split("/")) for i, hole in found if hole and hole[1].split("/")[0] in KINDS]


def filled(words):
    """With keys in the holes: the first of a kind is kind:1, then kind:2."""
    seen, out = {}, []
    for word in words:
        hole = HOLE.fullmatch(word)
        if hole:
            kind = {"any": "string", "new": "nosuch"}.get(hole[1], hole[1]).split("/")[0]
            seen[kind] = seen.get(kind, 0) + 1
            word = f"{kind}:{seen[kind]}"
        out.append(word.encode().decode("unicode_escape").encode("latin-1"))
    return out


def read_rows():
    rows = {}
    for line in (pathlib.Path(__file__).parent / "resp_errors.txt").read_text().splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        alike = words[0] not in "*~"
        words = words if alike else words[1:]
        if line[0] == " ":
            row.wrong.append((words, alike and row.alike))
            continue
        row = Row(words[0], [words[0].split("|")[0]] + words[1:], alike)
        assert row.name not in rows, f"{row.name} is there twice"
        rows[row.name] = row
    return rows


def read_table():
    """Name and arity of every command in command.def."""
    text = (ROOT / "src/serve/command.def").read_text()
    lines = re.findall(r'^(?:SUB)?COMMAND\("([^"]+)",\s*(?:"([^"]+)",\s*)?(-?\d+),', text, re.M)
    return {f"{name}|{sub}" if sub else name: int(arity) for name, sub, arity in lines}


ROWS, TABLE = read_rows(), read_table()
CONTAINERS = {name.split("|")[0] for name in TABLE if "|" in name}


def calls_of_wrong_arity(row):
    arity, words = TABLE[row.name], row.words
    assert len(words) == arity or arity < 0 and len(words) >= -arity, f"{row.name}: the right call is not right"
    if abs(arity) > len(row.name.split("|")):  # else there is nothing to take away
        yield words[:abs(arity) - 1]
    if arity > 0:
        yield words + ["extra"]


def calls_of_wrong_kind(row):
    for place, will_do in row.kinds():
        for kind in WRONG:
            if kind not in will_do:
                yield row.words[:place] + [f"{kind}:1"] + row.words[place + 1:]


def wrong_calls(row):
    """Everything wrong that is no matter of arity: (words, alike)."""
    yield from ((words, row.alike) for words in calls_of_wrong_kind(row))
    yield from row.wrong


def prepare(client):
    for command in KINDS.values():
        for number in "12":
            client(*[word.format(number) for word in command])


def ask(client, calls):
    """Replies to calls (words with holes)."""
    calls = [filled(words) for words in calls]
    return list(zip(calls, map(plain, client.pipeline(*calls))))


def none_of(found):
    """Fails with what was found, one a line."""
    assert not found, "\n".join(map(repr, found))


def is_error(reply):
    return isinstance(reply, str) and reply.startswith("-")


def compare(both, calls):
    """`calls`: (words, alike). Ours are errors; where alike, the very errors of redis-server."""
    ours, theirs = both
    for client in both:
        prepare(client)
    calls = list(calls)
    got = ask(ours, [words for words, _ in calls])
    none_of([(words, reply) for words, reply in got if not is_error(reply)])
    alike = [words for words, is_alike in calls if is_alike]
    expected = ask(theirs, alike)
    known = {tuple(words) for words, _ in expected}
    none_of(differences([one for one in got if tuple(one[0]) in known], expected))


def differences(got, expected):
    assert len(got) == len(expected)
    return [(words, reply, "instead of", want) for (words, reply), (_, want) in zip(got, expected) if reply != want]


def test_every_command_of_the_table_is_here(freshet):
    assert sorted(ROWS) == sorted(TABLE)
    listed = freshet(PLAIN).resp()("COMMAND", "LIST")
    assert {name.decode() for name in listed} == set(TABLE)


@pytest.mark.parametrize("protocol", [2, 3])
def test_wrong_number_of_words(both, protocol):
    compare(both(protocol), ((words, row.alike) for row in ROWS.values() for words in calls_of_wrong_arity(row)))


@pytest.mark.parametrize("protocol", [2, 3])
def test_wrong_kinds_and_wrong_words(both, protocol):
    compare(both(protocol), (call for row in ROWS.values() for call in wrong_calls(row)))


def transaction(client, calls):
    """What EXEC says to calls that were queued, or of why they could not be."""
    replies = ask(client, [["multi"], *calls, ["exec"]])
    return replies[1:-1], replies[-1][1]


def test_wrong_calls_in_a_transaction(both):
    """Queued, they fail one by one and stop nobody else."""
    ours, theirs = both()
    for client in (ours, theirs):
        prepare(client)
    found = []
    for row in ROWS.values():
        calls = [words for words, alike in wrong_calls(row) if alike]
        if calls:
            calls.append(["get", "string:1"])
            got, expected = transaction(ours, calls), transaction(theirs, calls)
            found += [(row.name, got, "instead of", expected)] if got != expected else []
    none_of(found)


def test_wrong_number_of_words_ends_a_transaction(both):
    ours, theirs = both()
    found = []
    for row in ROWS.values():
        for words in calls_of_wrong_arity(row):
            got = transaction(ours, [words])
            assert is_error(got[0][0][1]) and got[1].startswith("-EXECABORT" if row.name not in ("exec", "discard") else "-")
            expected = transaction(theirs, [words]) if row.alike else got
            found += [(row.name, got, expected)] if got != expected else []
    none_of(found)


CALL = "return redis.pcall(unpack(ARGV))"
OF_72 = {  # what waits may be called from scripts since 7.2
    name for name in TABLE if name in ("blpop", "brpop", "blmove", "brpoplpush", "blmpop", "bzpopmin", "bzpopmax",
                                       "bzmpop", "xread", "wait", "waitaof")}


def test_wrong_calls_in_a_script(both):
    ours, theirs = both()
    for client in (ours, theirs):
        prepare(client)
    calls = [(words, alike and row.name not in OF_72) for row in ROWS.values()
             for words, alike in [*wrong_calls(row), *((words, row.alike) for words in calls_of_wrong_arity(row))]]
    got = ask(ours, [["eval", CALL.replace(" ", "\\x20"), "0", *words] for words, _ in calls])
    none_of([one for one in got if not is_error(one[1])])
    alike = [["eval", CALL.replace(" ", "\\x20"), "0", *words] for words, is_alike in calls if is_alike]
    known = {tuple(filled(words)) for words in alike}
    none_of(differences([one for one in got if tuple(one[0]) in known], ask(theirs, alike)))


def right_calls(names):
    return [ROWS[name].words for name in TABLE if name not in CONTAINERS and name in names]


def test_subscriber_may_only_listen(both):
    ours, theirs = both()
    for client in (ours, theirs):
        client("SUBSCRIBE", "channel")
    names = [name for name in TABLE if name not in FOR_SUBSCRIBERS]
    got = ask(ours, right_calls(names))
    text = "-ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
    wanted = [text.format(name) for name in TABLE if name in names and name not in CONTAINERS]
    wanted = [reply if "'exec'" not in reply else reply.replace("-ERR", "-EXECABORT Transaction discarded because of:")
              for reply in wanted]
    assert [reply for _, reply in got] == wanted
    alike = [name for name in names if ROWS[name].alike]
    expected = ask(theirs, right_calls(alike))
    known = {tuple(words) for words, _ in expected}
    none_of(differences([one for one in got if tuple(one[0]) in known], expected))


@pytest.fixture
def as_user(freshet):
    """A function that connects as a user with these rights."""
    daemon = freshet(PLAIN)
    prepare(daemon.resp())

    def connect(*rules):
        daemon.resp()("ACL", "SETUSER", "someone", "reset", "on", ">word", *rules)
        client = daemon.resp()
        client("AUTH", "someone", "word")
        return client
    return connect


def test_user_without_the_command(as_user):
    names = [name for name in TABLE if name not in ANYWAY and name not in CONTAINERS]
    got = ask(as_user("~*", "&*"), right_calls(names))
    assert [reply for _, reply in got] == [
        (f"-EXECABORT Transaction discarded because of: " if name == "exec" else "-") +
        f"NOPERM User someone has no permissions to run the '{name}' command" for name in names]


def test_user_without_the_key(as_user):
    names = [name for name in TABLE if name not in CONTAINERS and name != "xreadgroup" and
             any(map(HOLE.fullmatch, ROWS[name].words))]
    assert len(names) > 150
    got = ask(as_user("+@all", "&*"), right_calls(names))
    none_of([one for one in got if one[1] != "-NOPERM No permissions to access a key"])


def test_user_without_the_channel(as_user):
    names = ["publish", "spublish", "subscribe", "psubscribe", "ssubscribe"]
    got = ask(as_user("+@all", "~*"), right_calls(names))
    assert [reply for _, reply in got] == ["-NOPERM No permissions to access a channel"] * len(names)


def test_stranger(freshet):
    client = freshet(PLAIN + "auth: { password: sesame }\n").resp()
    got = ask(client, right_calls([name for name in TABLE if name not in ANYWAY]))
    assert len(got) > 250
    none_of([one for one in got if one[1].replace("EXECABORT Transaction discarded because of: ", "") !=
             "-NOAUTH Authentication required."])
