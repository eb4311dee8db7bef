# SPDX-License-Identifier: BSD-3-Clause
"""EVAL and its relatives: every reply as redis-server gives it, to the byte, and what differs on purpose.

Differences to redis-server 7.0 (which Debian has), because 7.2 is what freshet says it is: numbers are handed to
commands in the shortest form ("1.1"), `os.clock` exists.
"""
import socket

import pytest

from resp_client import RespError
from resp_helpers import PLAIN


@pytest.fixture
def both(redis_server, freshet):
    """(freshet, redis), both empty, as functions from words to the reply's bytes."""
    daemon = freshet(PLAIN)

    def connect(protocol):
        theirs = redis_server.resp(protocol)
        theirs("FLUSHALL")
        theirs("SCRIPT", "FLUSH")
        theirs.socket.settimeout(10)
        return raw_of(daemon.resp(protocol=protocol)), raw_of(theirs)
    return connect


def raw_of(client):
    """Sends a command and an ECHO behind it: what comes before the echo is the reply, byte for byte."""
    end = b"$9\r\nend-of-it\r\n"

    def call(*words):
        client.raw(client.encode(*words) + client.encode("ECHO", "end-of-it"))
        got = b""
        while not got.endswith(end):
            more = client.socket.recv(1 << 16)
            assert more, f"closed after {got!r}"
            got += more
        return got[:-len(end)]
    return call


SCRIPTS = r"""
return 1
return 3.99
return -3.99
return 1/0
return 'text'
return ''
return true
return false
return nil
return
return {}
return {1,2,'three',{4,{5}}}
return {1,nil,3}
return {1,false,true,3}
return {ok='fine'}
return {ok='fi\r\nne'}
return {err='ERR x\r\n y'}
return {err='My Err'}
return {err='-My Err'}
return {err=''}
return {ok=1}
return {err=1}
return {a=1}
return function() end
return redis.error_reply('My Err')
return redis.error_reply('-My Err')
return redis.error_reply('Err')
return redis.error_reply()
return redis.error_reply(1)
return redis.error_reply('a','b')
return redis.status_reply('fine')
return redis.status_reply()
return redis.status_reply({})
return redis.call('nosuch')
return redis.pcall('nosuch')
return redis.call()
return redis.pcall()
return redis.call({})
return redis.call('get', {})
return redis.call(nil)
return redis.call('get')
return redis.pcall('get')
return redis.call('config')
return redis.call('config', 'nosuch')
return redis.call('subscribe', 'x')
return redis.call('multi')
return redis.call('watch', 'x')
return redis.call('eval', 'return 1', 0)
return redis.call('auth', 'x')
return redis.call('client', 'id')
return redis.call('ping')
return redis.call('echo', 'x')
return redis.call('echo', 1)
return redis.call('echo', 1e10)
return redis.call('echo', -0)
return redis.call('echo', 123456789012)
return redis.call('set','foo','bar')
return redis.call('get','foo')
return redis.call('GET','foo')
return redis.call('get','absent')
return redis.call('get','absent') == false
return redis.call('incr','foo')
return redis.pcall('incr','foo')
return redis.pcall('incr','foo').err
return redis.call('set','foo')
return redis.call('mset','a','1','b','2')
return redis.call('mget','a','nosuch','b')
return type(redis.call('mget','a','nosuch','b')[2])
return {redis.call('exists','a','b','c'),redis.call('del','a','b','c')}
return redis.call('select', 3)
return redis.call('set', 'here', 1)
return redis.call('get', 'here')
return redis.call('dbsize')
local r = {} for i, k in ipairs({'ignore_error_stats_update','err','source','line'}) do r[i] = tostring(redis.pcall('lpush')[k]) end return r
return {pcall(function() return redis.call('incr','foo') end)}
return {pcall(error, {err='x'})}
return {pcall(error, 'x')}
return {pcall(error)}
return {xpcall(function() error('x') end, function(e) return 'handled '..e end)}
error('boo')
error('boo', 0)
error('boo', 2)
error({err='MYERR boo'})
error()
error(nil)
error(true)
error(12)
assert(false)
assert(false, 'why')
local x = nil; return x.y
local x = nil; return x()
return 1 + {}
return 1 .. {}
return {} < {}
return #nil
return nosuch
nosuch = 1
function f() end
redis.call = 1
redis.nosuch = 1
redis = 1
KEYS = 1
string.rep = 1
math.pi = 3
cjson.encode = 1
cmsgpack.pack = 1
bit.band = 1
struct.pack = 1
table.insert = 1
getmetatable(_G).__index = 1
getmetatable(redis).__index = 1
setmetatable(_G, {})
setmetatable(redis, {})
setmetatable(string, {})
rawset(_G, 'x', 1)
rawset(redis, 'x', 1)
rawset(_G, 1, 1)
table.insert(redis, 1)
table.sort(redis)
return rawget(_G, 'nosuch')
return type(rawget(_G, 'redis'))
return type(rawget(redis, 'call'))
return type(next(redis))
return type(next({}))
return next({7})
local n = 0 for k, v in pairs(table) do n = n + 1 end return n
local n = 0 for k, v in pairs(redis) do n = n + 1 end return n
local n = 0 for k, v in pairs({1,2,a=1}) do n = n + 1 end return n
local s = 0 for i, v in ipairs({1,2,nil,4}) do s = s + v end return s
return pairs()
return pairs(1)
return next(1)
return setmetatable(1, {})
return setmetatable({}, 1)
return rawset(1, 2, 3)
return rawset({}, 2)
return rawget({})
return type(setmetatable({}, {__index = redis}).call)
local t = setmetatable({}, {__index = function(t, k) return k .. '!' end}) return t.x
local t = setmetatable({}, {__metatable = 'no'}) return getmetatable(t)
local t = setmetatable({}, {__metatable = 'no'}) setmetatable(t, {})
return loadstring('return 1 + 1')()
return loadstring(string.dump(function() return 1 end))()
return type(string.dump(function() return 1 end))
return {unpack({1,2,3}, -2, 2147483647)}
return {unpack({1,2,3}, 0, 2147483647)}
return {unpack({1,2,3}, -2147483648, -2)}
return {unpack({1,2,3}, -1, -2)}
return {select('#', unpack({1,2,3}, -1, 5)), (select(3, unpack({1,2,3}, -1, 5)))}
return select('#', unpack({1,2,3}, -2147483648, -2147483646))
return load(function() end)
return {loadstring('return return')}
return {loadstring('error(1)', 'name')}
local parts = {'return ', '1 + ', '2'} local i = 0 return load(function() i = i + 1 return parts[i] end)()
return load('return 1')
return type(loadfile)
return type(dofile)
return type(print)
return type(require)
return type(setfenv)
return type(getfenv)
return type(newproxy)
return type(io)
return type(debug)
return type(module)
return type(_G)
return _G == _G._G
return _VERSION
return {math.pi > 3, math.floor(1.5), math.max(1,2,3), math.huge > 1}
math.randomseed(5) return {tostring(math.random()), tostring(math.random()), math.random(100), math.random(5,10)}
math.randomseed(-5) return {tostring(math.random()), tostring(math.random()), math.random(100), math.random(5,10)}
return math.random(0)
return math.random(3,2)
return math.random(1,2,3)
return string.format('%d %s %5.2f %q', 3, 'x', 1.5, 'a\nb')
return string.rep('ab', 3)
return string.rep('', 3)
return string.rep({}, 3)
return string.rep('a')
return ('x'):rep(3)
return string.rep(1, 3)
return {string.find('hello', 'l+')}
return {string.gsub('hello', 'l', {l='L'})}
return string.byte('a')
return string.char(0, 255)
return {table.concat({1,2,3}, ','), table.remove({1,2,3}), #{1,2,3}}
local t = {3,1,2} table.sort(t) return t
local t = {3,1,2} table.sort(t, function(a, b) return a > b end) return t
local t = {} table.insert(t, 'a') table.insert(t, 1, 'b') return t
return table.insert({}, 1, 2, 3)
return table.insert(1, 2)
return table.concat({{}})
return unpack({1,2,3})
return {unpack({1,2,3})}
return {unpack({}, 1, 10000)}
return select('#', 1, nil, nil)
return tostring(1e15) .. ' ' .. tostring(1.5) .. ' ' .. tostring(-0.1) .. ' ' .. tostring(1e100)
return tonumber('0x10') + tonumber('12') + tonumber('z', 36)
return '10' + 5
return 10 .. ''
local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) error('x' .. b) end) return {tostring(coroutine.resume(co, 1)), select(2, coroutine.resume(co, 'y'))}
local co = coroutine.wrap(function() return redis.call('ping') end) return co()
local co = coroutine.wrap(function() return redis.call('nosuch') end) return co()
return coroutine.yield()
local function f() return f() + 1 end return f()
local function f() return f() end return 1
return redis.sha1hex()
return redis.sha1hex('')
return redis.sha1hex('abc')
return redis.sha1hex(123)
return redis.sha1hex(('a'):rep(1000))
return redis.log(1)
return redis.log('a', 'b')
return redis.log(10, 'b')
return redis.log(redis.LOG_NOTICE, 'a', 1, 'b')
return redis.setresp()
return redis.setresp(4)
return redis.setresp(2)
return redis.set_repl()
return redis.set_repl(10)
return redis.set_repl(redis.REPL_ALL)
return redis.replicate_commands()
return redis.breakpoint()
return redis.debug('x')
return {redis.REPL_ALL, redis.REPL_AOF, redis.REPL_REPLICA, redis.REPL_SLAVE, redis.REPL_NONE, redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}
return redis.acl_check_cmd()
return redis.acl_check_cmd('nosuch')
return redis.acl_check_cmd('get', 'x')
redis.setresp(3) return {true, false}
redis.setresp(3) return {map={a='b'}}
redis.setresp(3) return {set={a=true}}
redis.setresp(3) return {double=3.5}
return {double=3.5}
return {double=3}
return {map={a=1}}
return {map={}}
return {set={}}
return {map=1}
return {big_number='12345678901234567890'}
return {big_number='12\r\n34'}
return {verbatim_string={format='txt', string='hello'}}
return {verbatim_string={format='x', string='hello'}}
return {verbatim_string={format='markdown', string='hello'}}
return {verbatim_string={string='hello'}}
redis.setresp(3) return redis.call('get', 'absent')
redis.setresp(3) return type(redis.call('get', 'absent'))
redis.setresp(3) return redis.call('config', 'get', 'save')
redis.setresp(3) return redis.call('config', 'get', 'save').map.save
return redis.call('config', 'get', 'save')
return cjson.encode({1, 2, 3})
return cjson.encode({a = 1})
return cjson.encode({})
return cjson.encode({[1] = 1, [3] = 3})
return cjson.encode({[1] = 1, [100] = 3})
return cjson.encode({1.0, 1.5, 1e15, 1e20, 0.1, -1, 123456789012})
return cjson.encode('a"b\\c\n\0\127/é')
return cjson.encode(1/0)
return cjson.encode(0/0)
return cjson.encode(function() end)
return cjson.encode({[{}] = 1})
return cjson.encode(cjson.null)
return cjson.encode(nil)
return cjson.encode()
return cjson.encode(1, 2)
local t = {} t[1] = t return cjson.encode(t)
return cjson.decode('[1, 2.5, "x", true, null, {"a": {"b": []}}]')[2] * 2
return tostring(cjson.decode('[null]')[1])
return cjson.encode(cjson.decode('[1,2.0,3.5,{"a":[]}]'))
return cjson.encode(cjson.decode('{"a":[],"b":{}}').a)
return cjson.decode('[1')
return cjson.decode('')
return cjson.decode()
return cjson.decode('{"a":1}').a
return cjson.decode('[1e5]')[1]
return cjson.decode('"\\ud83d\\ude00\\u00e9"')
return cjson.decode('"\\ud83d"')
return cjson.decode(('['):rep(1001) .. (']'):rep(1001))
return #cjson.decode(('['):rep(1000) .. (']'):rep(1000))
return cjson._VERSION
return cjson.encode_max_depth(0)
return {cjson.encode_max_depth()}
return cjson.encode_number_precision()
return cjson.encode(1/3)
return cjson.encode({['a b'] = {1, {2}}, })
return {bit.band(12, 10), bit.bor(12, 10), bit.bxor(12, 10), bit.bnot(0), bit.lshift(1, 31), bit.rshift(-1, 28), bit.arshift(-16, 2), bit.rol(1, 33), bit.ror(1, 1), bit.bswap(1), bit.tobit(2^32 + 5)}
return {bit.tohex(65535), bit.tohex(65535, 4), bit.tohex(-1, -8), bit.tohex(255, 0)}
return bit.tohex(65535, -2147483648)
return bit.tohex()
return bit.band()
return bit.band('x')
return struct.pack('>I2', 258)
return struct.pack('<I2', 258)
return struct.pack('>bBhHlLiIT', -1, 255, -2, 65535, -3, 4, -5, 6, 7)
return struct.pack('i3I5i8', -1, 1e10, -1e15)
return struct.pack('i9', -1)
return struct.pack('!4bi', 1, 2)
return struct.pack('!bd', 1, 2.5)
return struct.pack('>fd', 1.5, -2.25)
return struct.pack('sxs', 'ab', 'c')
return struct.pack('c3', 'abcdef')
return struct.pack('c0', 'abcdef')
return struct.pack('c9', 'abcdef')
return struct.pack('c', 'abcdef')
return struct.pack('z9', 1)
return struct.pack('i33', 1)
return struct.pack('!3i', 1)
return struct.pack('i')
return struct.pack('i', 'x')
return struct.pack()
return struct.pack('')
return {struct.unpack('>I2', '\1\2')}
return {struct.unpack('<i2I2', '\255\255\255\255')}
return {struct.unpack('>bBhHlLiIT', struct.pack('>bBhHlLiIT', -1, 255, -2, 65535, -3, 4, -5, 6, 7))}
return {struct.unpack('i3', struct.pack('i3', -1))}
return {struct.unpack('>f', struct.pack('>f', 3))}
return {struct.unpack('sxs', struct.pack('sxs', 'ab', 'c'))}
return {struct.unpack('Bc0', '\3abcdef')}
return {struct.unpack('c0', 'abc')}
return {struct.unpack('c3', 'abcdef', 2)}
return {struct.unpack('b', 'abcdef', 6)}
return {struct.unpack('b', 'abcdef', 7)}
return {struct.unpack('b', 'abcdef', 0)}
return {struct.unpack('b', 'abcdef', -1)}
return {struct.unpack('s', 'abc')}
return {struct.unpack('i9', 'x')}
return {struct.unpack('i4', 'x')}
return {struct.unpack('z', 'x')}
return {struct.unpack('!8 b d', struct.pack('!8 b d', 1, 3))}
return {struct.unpack('c999999999999', 'x')}
return {struct.unpack('Bc0', '\9abc')}
return struct.size('>ihb')
return struct.size('!8 b d')
return struct.size('s')
return struct.size('c0')
return struct.size('c10 i3')
return struct.size('z')
return cmsgpack.pack()
return cmsgpack.pack(1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2^53)
return cmsgpack.pack(-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -2^53)
return cmsgpack.pack(1.5, 0.1, 1/0, -1/0, 1e300)
return cmsgpack.pack(true, false, nil)
return cmsgpack.pack('', 'a', ('x'):rep(31), ('x'):rep(32), ('x'):rep(255), ('x'):rep(256), ('x'):rep(65536))
return cmsgpack.pack({}, {1,2,3}, {a=1}, {[2]=1}, {1,nil,3}, {[1.5]=1}, {[0]=1})
return cmsgpack.pack({{{{{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}}}}})
local t = {} for i = 1, 20 do t[i] = i end return cmsgpack.pack(t)
local t = {} for i = 1, 20 do t['k' .. i] = i end return #cmsgpack.pack(t)
return cmsgpack.pack(function() end)
return cmsgpack.unpack()
return cmsgpack.unpack('')
return {cmsgpack.unpack(cmsgpack.pack(1, 'a', true, false, {1, {2}}, -5, 1.5))}
return {cmsgpack.unpack(cmsgpack.pack(-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -2^53))}
return {cmsgpack.unpack(cmsgpack.pack(1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2^53))}
return cmsgpack.unpack(cmsgpack.pack({a={b='c'}})).a.b
return cmsgpack.unpack('\193')
return cmsgpack.unpack('\146\1')
return cmsgpack.unpack('\221\255\255\255\255')
return cmsgpack.unpack('\219\255\255\255\255x')
return cmsgpack.unpack('\129\192\1')
return cmsgpack.unpack(('\145'):rep(100) .. '\1')[1][1] ~= nil
return cmsgpack.unpack('\196\3abc')
return cmsgpack.unpack('\202\63\192\0\0')
return cmsgpack.unpack('\212\1\1')
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3))}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 1)}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 2)}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 3)}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 4)}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), -1)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2, 1)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 0)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), -1)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3))}
return {cmsgpack._NAME, cmsgpack._VERSION, cmsgpack._DESCRIPTION}
""".strip().splitlines()


def test_a_flush_gives_the_memory_of_scripts_back(freshet):
    client = freshet(PLAIN).resp()

    def used():
        info = client("INFO", "memory").decode()
        return int(info.split("used_memory_lua:")[1].split()[0])
    client("EVAL", "return 1", 0)
    before = used()
    for i in range(300):
        client("SCRIPT", "LOAD", f"return {i} .. '{'x' * 1000}'")
    assert used() > before + 100_000
    client("SCRIPT", "FLUSH")
    assert used() < before + 10_000


@pytest.mark.parametrize("protocol", [2, 3])
def test_scripts_reply_what_redis_replies(both, protocol):
    ours, theirs = both(protocol)
    wrong = []
    for script in SCRIPTS:
        got, expected = ours("EVAL", script, 0), theirs("EVAL", script, 0)
        if got != expected:
            wrong.append((script, got[:300], "instead of", expected[:300]))
    assert wrong == [], "\n".join(map(repr, wrong))
