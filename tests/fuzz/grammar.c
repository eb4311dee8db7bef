/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands from choices; grammar.h says why.
 *
 * Seven of eight come from `lines`, the words of one command each:
 *
 *      lower case    itself; a|b|c one of them
 *      ( ... )       left out or not
 *      { ... }       none to three times
 *      an upper-case letter   something of a kind: see word()
 *
 * the eighth is any command of the table with any words, as many as its arity wants or one more or less.
 *
 * Keys are few and their names say what mostly lies in them, so that commands meet each other's results.
 */
#include "grammar.h"

#include "base/check.h"
#include "resp/resp.h"
#include "serve/command.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const lines[] = {
    /* strings, bits */
    "set T V ( nx|xx ) ( get ) ( ex E )",
    "set T V ( keepttl )",
    "setex|psetex T E V",
    "get|getdel|incr|decr|strlen T",
    "getex T ( ex E )",
    "getex T ( persist )",
    "incrby|decrby|incrbyfloat T I",
    "append|getset|setnx T V",
    "setrange T C V",
    "getrange|substr T I I",
    "mget T T { T }",
    "mset|msetnx T V { T V }",
    "lcs T T ( len ) ( idx ) ( minmatchlen C ) ( withmatchlen )",
    "setbit T C 0|1",
    "getbit T C",
    "bitcount T ( I I ) ( byte|bit )",
    /* keys */
    "del|unlink|exists|touch K { K }",
    "type|ttl|pttl|expiretime|persist|dump K",
    "expire|pexpire K E ( nx|xx|gt|lt )",
    "rename|renamenx K K",
    "copy K K ( db 1 ) ( replace )",
    "move K 0|1|2|3",
    "scan C ( match P ) ( count C ) ( type string|list|set|hash|zset|stream|x )",
    "keys P",
    "randomkey",
    "object encoding|freq|idletime|refcount K",
    "memory usage K ( samples C )",
    "restore K E V ( replace ) ( absttl )",
    "sort|sort_ro L|S|Z ( by P ) ( limit I I ) { get P } ( asc|desc ) ( alpha )",
    "sort L ( alpha ) ( by nosort ) store K",
    /* lists */
    "lpush|rpush|lpushx|rpushx L V { V V V }",
    "lpop|rpop L ( C )",
    "llen L",
    "lrange|ltrim L I I",
    "lindex L I",
    "lset L I V",
    "linsert L before|after V V",
    "lrem L I V",
    "lpos L V ( rank I ) ( count C ) ( maxlen C )",
    "lmove L L left|right left|right",
    "rpoplpush L L",
    "lmpop 2 L L left|right ( count C )",
    "blpop|brpop L L 0|0.001",
    "blmove L L left|right left|right 0|0.001",
    "brpoplpush L L 0|0.001",
    "blmpop 0|0.001 2 L L left|right ( count C )",
    /* sets */
    "sadd S M { M M M }",
    "srem S M { M }",
    "smembers|scard S",
    "sismember S M",
    "smismember S M { M }",
    "spop S ( C )",
    "srandmember S ( I )",
    "smove S S M",
    "sinter|sunion|sdiff S S { S }",
    "sinterstore|sunionstore|sdiffstore S S S { S }",
    "sintercard 2 S S ( limit C )",
    "sscan|hscan|zscan K C ( match P ) ( count C )",
    /* hashes */
    "hset|hmset H M V { M V M V }",
    "hsetnx H M V",
    "hget|hexists|hstrlen H M",
    "hmget|hdel H M { M }",
    "hgetall|hlen|hkeys|hvals H",
    "hincrby|hincrbyfloat H M I",
    "hrandfield|zrandmember H|Z ( I ) ( withvalues|withscores )",
    /* sorted sets */
    "zadd Z ( nx|xx ) ( gt|lt ) ( ch ) F M { F M F M }",
    "zadd Z ( nx|xx ) incr F M",
    "zincrby Z F M",
    "zrem|zmscore Z M { M }",
    "zcard Z",
    "zcount|zremrangebyscore Z R R",
    "zlexcount|zremrangebylex Z B B",
    "zremrangebyrank Z I I",
    "zscore Z M",
    "zrank|zrevrank Z M ( withscore )",
    "zrange|zrevrange Z I I ( withscores )",
    "zrange Z R R byscore ( rev ) ( limit I I ) ( withscores )",
    "zrange Z B B bylex ( rev ) ( limit I I )",
    "zrangestore Z Z I I ( rev )",
    "zrangestore Z Z R R byscore ( rev ) ( limit I I )",
    "zrangebyscore|zrevrangebyscore Z R R ( withscores ) ( limit I I )",
    "zrangebylex|zrevrangebylex Z B B ( limit I I )",
    "zpopmin|zpopmax Z ( C )",
    "zmpop 2 Z Z min|max ( count C )",
    "bzpopmin|bzpopmax Z Z 0|0.001",
    "bzmpop 0|0.001 2 Z Z min|max ( count C )",
    "zunion|zinter 2 Z S ( weights F F ) ( aggregate sum|min|max ) ( withscores )",
    "zunionstore|zinterstore Z 2 Z S ( weights F F ) ( aggregate sum|min|max )",
    "zdiff 2 Z Z ( withscores )",
    "zdiffstore Z 2 Z Z",
    "zintercard 2 Z S ( limit C )",
    /* streams */
    "xadd X ( nomkstream ) ( maxlen|minid ~|= C ) D M V { M V }",
    "xlen X",
    "xrange|xrevrange X D D ( count C )",
    "xread ( count C ) ( block 1 ) streams X X D D",
    "xread block 0 streams X $",
    "xdel X D { D }",
    "xtrim X maxlen|minid ( ~|= ) C ( limit C )",
    "xsetid X D ( entriesadded C ) ( maxdeletedid D )",
    "xinfo stream X ( full ) ( count C )",
    "xinfo groups X",
    /* scripts */
    "eval|eval_ro A 2 K K V V",
    "script load A",
    "script flush",
    /* transactions */
    "multi",
    "multi",
    "exec",
    "exec",
    "discard",
    "watch K { K }",
    "unwatch",
    /* messages */
    "subscribe|psubscribe|unsubscribe|punsubscribe|ssubscribe|sunsubscribe U { U }",
    "publish|spublish U V",
    "pubsub channels ( P )",
    "pubsub numsub|shardnumsub U { U }",
    "client tracking on|off ( bcast ) ( prefix K ) ( optin|optout ) ( noloop )",
    "client caching yes|no",
    "client trackinginfo|getname|id|info|list|getredir",
    "client kill type pubsub",
    "client no-touch on|off",
    "client reply on|skip|off",
    "client setname M",
    "config set notify-keyspace-events KEA|Kg$|\"\"",
    "monitor",
    /* databases, server */
    "select 0|1|2|3",
    "hello 2|3",
    "reset",
    "flushdb ( async )",
    "swapdb 0|1 0|1",
    "dbsize",
    "info ( all )",
    "command docs|info|getkeys get T",
    "config set list-max-listpack-size|set-max-intset-entries|hash-max-listpack-entries C",
    "config set zset-max-listpack-value|stream-node-max-entries C",
    "slowlog get",
    "config set slowlog-log-slower-than 0",
    "latency latest",
    "acl setuser u1 on nopass ~*|~k* +@all|+@read|-@write ( &* )",
    "acl deluser|getuser u1",
    "acl log ( reset )",
    "auth u1 x",
    "bgrewriteaof",
    /* freshet's own */
    "freshet.get K ( wait 1 ) ( stale 1000 )",
    "freshet.set K V",
    "freshet.tag K U { U }",
    "freshet.drop U { U }",
    "freshet.explain K",
};

static const char *const scripts[] = {
    "return redis.call('get',KEYS[1])",
    "redis.call('set',KEYS[1],ARGV[1]) return redis.call('incr',KEYS[1])",
    "local d=redis.call('dump',KEYS[1]) if d then return "
    "redis.call('restore',KEYS[2],0,d,'replace') end",
    "for i=1,200 do redis.call('rpush',KEYS[1],i..ARGV[1]) end return redis.call('llen',KEYS[1])",
    "for i=1,200 do redis.call('sadd',KEYS[1],i..ARGV[1]) end return redis.call('spop',KEYS[1],20)",
    "for i=1,200 do redis.call('hset',KEYS[1],i,ARGV[1]) end return redis.call('hgetall',KEYS[1])",
    "for i=1,200 do redis.call('zadd',KEYS[1],i%7,i..ARGV[1]) end return "
    "redis.call('zrange',KEYS[1],0,-1)",
    "for i=1,150 do redis.call('xadd',KEYS[1],'*','f',ARGV[1]) end return "
    "redis.call('xlen',KEYS[1])",
    "return redis.pcall(ARGV[1],KEYS[1],KEYS[2])",
    "redis.setresp(3) return redis.pcall('hgetall',KEYS[1])",
    "redis.setresp(3) return redis.pcall('zrange',KEYS[1],0,-1,'withscores')",
    "return {1,{2,'x',false,{ok='y'}},redis.error_reply('E z')}",
    "#!lua flags=no-writes\nreturn redis.call('del',KEYS[1])",
    "return cmsgpack.unpack(cmsgpack.pack({ARGV[1],{a=1.5,b={}}}))",
    "return cjson.encode({[KEYS[1]]=ARGV[1]})",
    "return redis.call('sort',KEYS[1],'by','nosort','get','#')",
    "redis.call('rename',KEYS[1],KEYS[2]) return redis.call('type',KEYS[2])",
    "redis.call('select',1) redis.call('set',KEYS[1],ARGV[1]) error('x')",
    "return redis.pcall('blpop',KEYS[1],0)",
    "local a={} for i=1,3000 do a[i]=KEYS[1]..i end return redis.call('del',unpack(a))",
};

static const char *const values[] = {
    "",
    "0",
    "1",
    "-1",
    "a",
    "b",
    "3.5",
    "100",
    "-9223372036854775808",
    "9223372036854775807",
    "abc",
    "inf",
    "nan",
    "\r\n",
    "hello world",
    "1e17",
    "0000",
    "get",
    "del",
    "*",
};
static const char *const integers[] = {"0",
                                       "1",
                                       "-1",
                                       "2",
                                       "3",
                                       "-2",
                                       "5",
                                       "-100",
                                       "100",
                                       "7",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1.5",
                                       "x"};
static const char *const counts[] = {"0",  "1",  "2",   "3",          "5",
                                     "10", "60", "200", "4294967296", "-1"};
static const char *const scores[] = {"0",    "1",     "2", "-1",  "1.5", "inf",
                                     "-inf", "1e300", "3", "0.1", "nan"};
static const char *const score_bounds[] = {"-inf", "+inf", "0",    "1", "(1",
                                           "2",    "(2",   "(inf", "5", "x"};
static const char *const lex_bounds[] = {"-", "+", "[a", "(a", "[m1", "(m3", "[", "[m9", "x"};
static const char *const ids[] = {"*",    "1-1", "0",   "$",
                                  "-",    "+",   "5-*", "2-0",
                                  "(1-1", "7",   "0-0", "18446744073709551615-18446744073709551615",
                                  "3-3",  "99-1"};
static const char *const patterns[] = {"*", "k*", "?1", "[a-z]*", "nosort", "h1->m1",
                                       "#", "t*", "\\", "h*->*",  "[^"};
static const char *const expiries[] = {"1000", "100000", "1", "0", "-1", "9223372036854775807"};
static const char *const channels[] = {"c1", "c2", "c*", "__keyspace@0__:*"};

uint32_t choose(struct choices *c, uint32_t below)
{
    return c->next < c->end ? *c->next++ % below : 0;
}

struct words {
    struct buf body; /* bulks */
    uint32_t count;
};

static void add(struct words *w, struct slice word)
{
    resp_bulk(&w->body, word);
    w->count++;
}

static void add_one_of(struct words *w, struct choices *c, const char *const *of, size_t count)
{
    add(w, slice_of(of[choose(c, (uint32_t)count)]));
}

/* t1, l2 ...: mostly of the wanted type. */
static void add_key(struct words *w, struct choices *c, char kind)
{
    static const char kinds[] = "tlshzx";
    char name[] = {kind, '1', '\0'};
    uint32_t which = choose(c, 32);
    if (kind == 'k' || which >= 29) {
        name[0] = kinds[choose(c, 6)];
    }
    name[1] = (char)('1' + which % 3);
    add(w, slice_of(name));
}

/* Members are many but meet again. */
static void add_member(struct words *w, struct choices *c)
{
    char name[8];
    (void)snprintf(name, sizeof(name), choose(c, 4) == 0 ? "%u" : "m%u", choose(c, 200));
    add(w, slice_of(name));
}

static void add_value(struct words *w, struct choices *c)
{
    static const uint32_t lengths[] = {10, 43, 44, 45, 64, 65, 200, 1000, 5000, 40000};
    uint32_t which = choose(c, 64);
    if (which < array_len(lengths)) {
        static char long_text[40001];
        memset(long_text, 'a' + (int)choose(c, 3), lengths[which]);
        add(w, (struct slice){long_text, lengths[which]});
    } else if (which < 32) {
        add_member(w, c);
    } else {
        add_one_of(w, c, values, array_len(values));
    }
}

/* What an upper-case letter stands for. */
static void word(struct words *w, struct choices *c, char letter)
{
#define LIST(letter, of)                                                                           \
    case letter:                                                                                   \
        add_one_of(w, c, of, array_len(of));                                                       \
        break;
    switch (letter) {
        LIST('A', scripts)
        LIST('B', lex_bounds)
        LIST('C', counts)
        LIST('D', ids)
        LIST('E', expiries)
        LIST('F', scores)
        LIST('I', integers)
        LIST('P', patterns)
        LIST('R', score_bounds)
        LIST('U', channels)
    case 'M':
        add_member(w, c);
        break;
    case 'V':
        add_value(w, c);
        break;
    default: /* K, T, L, S, H, Z, X */
        add_key(w, c, (char)tolower(letter));
    }
#undef LIST
}

/* One of the alternatives of a word; "" is the empty text. */
static void alternatives(struct words *w, struct choices *c, struct slice all)
{
    uint32_t count = 1;
    for (size_t i = 0; i < all.len; i++) {
        count += all.ptr[i] == '|';
    }
    struct slice one = all;
    for (uint32_t skip = choose(c, count) + 1; skip > 0; skip--) {
        const char *bar = memchr(all.ptr, '|', all.len);
        one = (struct slice){all.ptr, bar != NULL ? (size_t)(bar - all.ptr) : all.len};
        all = bar != NULL ? slice_from(all, one.len + 1) : all;
    }
    if (one.len == 1 && isupper((unsigned char)one.ptr[0])) {
        word(w, c, one.ptr[0]);
    } else {
        add(w, slice_is(one, "\"\"") ? SLICE("") : one);
    }
}

/* From `at` to the end of the line or the bracket that closes; returns what follows. */
static const char *sequence(struct words *w, struct choices *c, const char *at, bool is_said)
{
    static struct words unsaid;
    while (*at != '\0' && *at != ')' && *at != '}') {
        size_t len = strcspn(at, " ");
        const char *next = at + len + (at[len] == ' ');
        if (*at == '(' || *at == '{') {
            uint32_t times = !is_said ? 0 : choose(c, *at == '(' ? 3 : 4);
            const char *inside = next;
            for (times = *at == '(' && times > 1 ? 0 : times; times > 0; times--) {
                (void)sequence(w, c, inside, true);
            }
            next = sequence(&unsaid, c, inside, false);
        } else if (is_said) {
            alternatives(w, c, (struct slice){at, len});
        }
        at = next;
    }
    return *at == '\0' ? at : at + 1 + (at[1] == ' ');
}

/* What would end the process, stop it for long, take away everybody's rights, or the speed. */
static bool barred(const struct command *cmd)
{
    static const char *const names[] = {"shutdown",    "debug",       "client|pause",
                                        "client|kill", "acl|setuser", "config|set",
                                        "acl|deluser", "script|debug"};
    for (size_t i = 0; i < array_len(names); i++) {
        if (strcmp(cmd->full_name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void any_words(struct words *w, struct choices *c)
{
    static const char letters[] = "KKMVICFRDPUTLSHZXEAB";
    uint32_t at = choose(c, 256) * 2 + choose(c, 2);
    const struct command *cmd = command_at(at % command_count());
    if (cmd->sub_count > 0) {
        cmd = &cmd->subs[choose(c, cmd->sub_count)];
    }
    if (barred(cmd) || command_find(SLICE("get")) == NULL) {
        cmd = command_find(SLICE("ping"));
    }
    if (cmd->parent != NULL) {
        add(w, slice_of(cmd->parent));
    }
    add(w, slice_of(cmd->name));
    int least = cmd->arity < 0 ? -cmd->arity : cmd->arity;
    int wanted = least + (int)choose(c, 8) / 2 - (choose(c, 16) == 0);
    while ((int)w->count < wanted) {
        word(w, c, letters[choose(c, sizeof(letters) - 1)]);
    }
}

void grammar_command(struct choices *c, struct buf *out)
{
    struct words w = {.count = 0};
    buf_init(&w.body);
    uint32_t which = choose(c, 256);
    if (which >= 224) {
        any_words(&w, c);
    } else {
        (void)sequence(&w, c, lines[which % array_len(lines)], true);
    }
    resp_array(out, w.count);
    struct slice body = buf_readable(&w.body);
    buf_append(out, body.ptr, body.len);
    buf_fini(&w.body);
}
