# SPDX-License-Identifier: BSD-3-Clause
"""Scripts of the kind that django-cacheops sends, beside redis-server: the same keys with the same members must come out.

Such scripts decode JSON, build the names of keys that nobody declared from what they find in it, and find them again
at the next write, so that a number printed otherwise, or a set that expires too early, is a stale answer. The
scripts here are our own; they use the same features in the same way.
"""
import json
import random

import pytest

REMEMBER = """
local prefix, key, guard = KEYS[1], KEYS[2], KEYS[3]
local wanted, life = cjson.decode(ARGV[2]), tonumber(ARGV[3])
if guard ~= '' and redis.call('exists', guard) == 0 then return end
redis.call('setex', key, life, ARGV[1])
for tbl, alternatives in pairs(wanted) do
    for _, conj in ipairs(alternatives) do
        local names, terms = {}, {}
        for name, value in pairs(conj) do
            table.insert(names, name)
            table.insert(terms, name .. '=' .. tostring(value))
        end
        redis.call('sadd', prefix .. 'schemes:' .. tbl, table.concat(names, ','))
        local dep = prefix .. 'conj:' .. tbl .. ':' .. table.concat(terms, '&')
        redis.call('sadd', dep, key)
        if redis.call('ttl', dep) < life then redis.call('expire', dep, life * 2 + 10) end
    end
end
"""

FORGET = """
local prefix, tbl, row = KEYS[1], ARGV[1], cjson.decode(ARGV[2])
local function in_chunks(command, args)
    local step = 1000
    for i = 1, #args, step do
        redis.call(command, unpack(args, i, math.min(i + step - 1, #args)))
    end
end
local deps = {}
for _, scheme in ipairs(redis.call('smembers', prefix .. 'schemes:' .. tbl)) do
    local terms = {}
    for name in string.gmatch(scheme, '[^,]+') do
        table.insert(terms, name .. '=' .. tostring(row[name]))
    end
    table.insert(deps, prefix .. 'conj:' .. tbl .. ':' .. table.concat(terms, '&'))
end
if next(deps) == nil then return 0 end
local keys = redis.call('sunion', unpack(deps))
redis.call('unlink', unpack(deps))
if next(keys) ~= nil then in_chunks('del', keys) end
return #keys
"""

# The other way round: a key holds a checksum of stamps, and a write removes the stamps.
STAMP = """
local prefix, key, life, fresh, expected = KEYS[1], KEYS[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
for tbl, schemes in pairs(cjson.decode(ARGV[1])) do
    redis.call('sadd', prefix .. 'schemes:' .. tbl, unpack(schemes))
end
local stamps = {}
for _, dep in ipairs(cjson.decode(ARGV[2])) do
    local stamp = redis.call('set', dep, fresh, 'nx', 'get') or fresh
    table.insert(stamps, stamp)
    if redis.call('ttl', dep) < life then redis.call('expire', dep, life * 2 + 10) end
end
local sum = redis.sha1hex(table.concat(stamps, ' '))
if expected ~= '' and sum ~= expected then return sum end
redis.call('set', key, sum .. ':data', 'ex', life)
"""

UNSTAMP = """
local prefix, tbl, row = KEYS[1], ARGV[1], cjson.decode(ARGV[2])
for _, scheme in ipairs(redis.call('smembers', prefix .. 'schemes:' .. tbl)) do
    local terms = {}
    for name in string.gmatch(scheme, '[^,]+') do
        table.insert(terms, name .. '=' .. tostring(row[name]))
    end
    redis.call('unlink', prefix .. 'conj:' .. tbl .. ':' .. table.concat(terms, '&'))
end
"""

NUMBERS = [0, -1, 7, 3.0, 2.5, 0.1, 1e15, 1e20, 12345678901234, 9007199254740993, 1e-7, -0.0]
VALUES = NUMBERS + [True, False, None, "", "x", "a b", "7", "é☃", "\u0000", "1.0", "a&b=c"]


class Both:
    """freshet and redis-server: what is asked of one is asked of the other, and the answers must be the same."""

    def __init__(self, ours, theirs):
        self.clients = ours, theirs
        self.shas = {}

    def __call__(self, *words):
        ours, theirs = (client(*words) for client in self.clients)
        assert ours == theirs, (words, ours, theirs)
        return ours

    def run(self, script, keys, *args):
        """By SHA1, and by source when that is not known, as the clients' libraries do."""
        if script not in self.shas:
            self.shas[script] = self("SCRIPT", "LOAD", script)
        return self("EVALSHA", self.shas[script], len(keys), *keys, *args)

    def state(self):
        """Every key with its value; expiries, which run, are only compared roughly."""
        ours, theirs = ({key: self.value(client, key) for key in client("KEYS", "*")} for client in self.clients)
        assert {key: value[:2] for key, value in ours.items()} == {key: value[:2] for key, value in theirs.items()}
        for key, (_, _, ttl) in ours.items():
            assert abs(ttl - theirs[key][2]) <= 5, key
        return {key: value[1] for key, value in ours.items()}

    @staticmethod
    def value(client, key):
        kind = client("TYPE", key)
        value = client("GET", key) if kind == "string" else sorted(client("SMEMBERS", key))
        return kind, value, client("TTL", key)


@pytest.fixture
def pair(both):
    return Both(*both())


def test_a_row_takes_the_answers_that_depend_on_it_and_no_others(pair):
    def remember(name, *conjs):
        pair.run(REMEMBER, ["p:", name, ""], "data", json.dumps({"shop": list(conjs)}), 600)
    remember("by id", {"id": 7})
    remember("by two", {"id": 7, "open": True})
    remember("either", {"city": "Riga"}, {"rating": 2.5})
    remember("all", {})
    remember("other", {"id": 8})
    assert pair("SCARD", "p:schemes:shop") == 5
    row = {"id": 7, "open": False, "city": "Oslo", "rating": 2.5}
    assert pair.run(FORGET, ["p:"], "shop", json.dumps(row)) == 3
    left = pair.state()
    assert b"other" in left and b"by two" in left
    assert not {b"by id", b"either", b"all", b"p:conj:shop:id=7", b"p:conj:shop:"} & set(left)
    assert pair.run(FORGET, ["p:"], "nosuch", "{}") == 0


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_names_the_same_key_when_written_and_when_sought(pair, value):
    pair.run(REMEMBER, ["p:", "answer", ""], "data", json.dumps({"t": [{"f": value}]}), 60)
    assert [key for key in pair.state() if key.startswith(b"p:conj:t:f=")]
    assert pair.run(FORGET, ["p:"], "t", json.dumps({"f": value, "g": 1})) == 1
    assert list(pair.state()) == [b"p:schemes:t"]


def test_an_answer_whose_guard_is_gone_is_not_kept(pair):
    pair("SET", "guard", "1")
    pair.run(REMEMBER, ["p:", "kept", "guard"], "data", '{"t": [{"f": 1}]}', 60)
    pair("DEL", "guard")
    assert pair.run(REMEMBER, ["p:", "late", "guard"], "data", '{"t": [{"f": 1}]}', 60) is None
    assert set(pair.state()) == {b"kept", b"p:schemes:t", b"p:conj:t:f=1"}


def test_what_an_answer_depends_on_outlives_it(pair):
    for life in (100, 50, 300):
        pair.run(REMEMBER, ["", f"answer{life}", ""], "data", '{"t": [{"f": 1}]}', life)
    assert 500 < pair.clients[0]("TTL", "conj:t:f=1") <= 610
    pair.state()


def test_thousands_of_answers_go_in_chunks(pair):
    for i in range(2500):
        pair("SADD", "p:conj:t:f=1", f"answer{i}")
        pair("SET", f"answer{i}", "data")
    pair("SADD", "p:schemes:t", "f")
    assert pair.run(FORGET, ["p:"], "t", '{"f": 1}') == 2500
    assert list(pair.state()) == [b"p:schemes:t"]


def test_stamps_that_changed_meanwhile_refuse_the_answer(pair):
    schemes, deps = '{"t": ["f", "f,g"]}', '["conj:t:f=1", "conj:t:f=1&g=x"]'
    assert pair.run(STAMP, ["", "answer"], schemes, deps, 60, "r1", "") is None
    kept = pair("GET", "answer")
    pair.run(UNSTAMP, [""], "t", '{"f": 1, "g": "y"}')
    seen = pair.run(STAMP, ["", "answer"], schemes, deps, 60, "r2", kept.split(b":")[0])
    assert len(seen) == 40 and seen != kept.split(b":")[0]
    assert pair("GET", "answer") == kept
    assert pair.run(STAMP, ["", "answer"], schemes, deps, 60, "r3", seen) is None
    assert pair("GET", "answer") == seen + b":data"
    pair.state()


@pytest.mark.parametrize("seed", range(3))
def test_random_fills_and_writes_leave_the_same_keys(pair, seed):
    rng = random.Random(seed)

    def row():
        return {name: rng.choice(VALUES) for name in rng.sample("abcd", rng.randint(1, 4))}
    for i in range(150):
        tables = {rng.choice(["t", "u"]): [row() for _ in range(rng.randint(0, 3))] for _ in range(2)}
        pair.run(REMEMBER, ["p:", f"answer{i % 40}", ""], str(i), json.dumps(tables), rng.choice([60, 600]))
        if i % 3 == 0:
            pair.run(FORGET, ["p:"], rng.choice(["t", "u"]), json.dumps({name: rng.choice(VALUES) for name in "abcd"}))
    assert any(b"conj:" in key for key in pair.state())
