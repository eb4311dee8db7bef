/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Effects as RESP commands in the gate's buffer; effect.h says what they are for.
 *
 * What leaves by itself (expired, evicted) is logged too, as DEL: read back much later, an expiry could
 * not be told from one that a PEXPIREAT had just moved away. It joins the unit of the thread that is inside
 * the shard. A shard whose lock was only tried (room.c) has no such thread: its items are not the hold's,
 * so their DEL goes to the journal at once, before anybody else can enter.
 *
 * A command that more may join stays open until another begins; then its number of words is written again,
 * which may have become longer by a digit.
 *
 * Threads: the hold's.
 */
#include "store/effect.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/real.h"
#include "store/priv.h"

enum { KEEP_BYTES = 64 * 1024, WORDS_MAX = 1024 };

static void put_head(struct buf *out, const char *name, uint32_t args)
{
    buf_append_char(out, '*');
    buf_append_u64(out, args + 1);
    buf_append(out, "\r\n", 2);
    buf_append_char(out, '$');
    buf_append_u64(out, strlen(name));
    buf_append(out, "\r\n", 2);
    buf_append_str(out, name);
    buf_append(out, "\r\n", 2);
}

static void put_arg(struct buf *out, struct slice arg)
{
    buf_append_char(out, '$');
    buf_append_u64(out, arg.len);
    buf_append(out, "\r\n", 2);
    buf_append_slice(out, arg);
    buf_append(out, "\r\n", 2);
}

static void put_number(struct buf *out, uint64_t value)
{
    char text[32];
    put_arg(out, (struct slice){text, number_format_u64(text, value)});
}

static bool remembers(const struct store *s)
{
    return atomic_load_explicit(&s->remembers, memory_order_relaxed);
}

/* --- the gate's unit ------------------------------------------------------------------------------ */

/* Begins a command of `args` arguments in the gate's unit. */
static void begin(struct store_gate *g, uint32_t db, const char *name, uint32_t args)
{
    if (g->effect_count == 0) {
        g->effect_first_db = db;
    } else if (g->effect_db != db) {
        put_head(&g->effects, "SELECT", 1);
        put_number(&g->effects, db);
    }
    g->effect_db = db;
    g->effect_count++;
    g->effect_open.name = NULL;
    g->effect_open.at = buf_len(&g->effects);
    put_head(&g->effects, name, args);
}

/* --- commands that grow --------------------------------------------------------------------------- */

/* Does the text at this place of the unit begin with this argument? */
static bool is_arg_at(const struct buf *effects, size_t at, struct slice arg)
{
    char head[NUMBER_MAX_LEN + 1] = "$";
    size_t len = 1 + number_format_u64(head + 1, arg.len);
    struct slice rest = slice_from(buf_readable(effects), at);
    return rest.len >= len + 2 + arg.len && memcmp(rest.ptr, head, len) == 0 &&
           rest.ptr[len] == '\r' && memcmp(rest.ptr + len + 2, arg.ptr, arg.len) == 0;
}

static bool may_join(const struct store_hold *h, const char *name, uint32_t args)
{
    const struct store_gate *g = h->gate;
    return g->effect_open.name == name && g->effect_db == h->db &&
           g->effect_open.words + args <= WORDS_MAX &&
           is_arg_at(&g->effects, g->effect_open.key, h->key);
}

/* "*9" becomes "*12". */
static void count_again(struct store_gate *g, size_t words)
{
    char was[NUMBER_MAX_LEN];
    char now[NUMBER_MAX_LEN];
    size_t was_len = number_format_u64(was, g->effect_open.words);
    size_t now_len = number_format_u64(now, words);
    size_t more = now_len - was_len;
    if (more > 0) {
        size_t from = g->effect_open.at + 1 + was_len;
        size_t len = buf_len(&g->effects) - from;
        buf_append(&g->effects, now, more); /* room */
        char *digits_end = g->effects.mem + g->effects.start + from;
        memmove(digits_end + more, digits_end, len);
        g->effect_open.key += more;
    }
    memcpy(g->effects.mem + g->effects.start + g->effect_open.at + 1, now, now_len);
    g->effect_open.words = words;
}

void effect_more(struct store_hold *h, const char *name, uint32_t args)
{
    struct store_gate *g = h->gate;
    if (may_join(h, name, args)) {
        count_again(g, g->effect_open.words + args);
        return;
    }
    begin(g, h->db, name, args + 1);
    g->effect_open.name = name;
    g->effect_open.key = buf_len(&g->effects);
    g->effect_open.words = args + 2;
    effect_arg(h, h->key);
}

void effect_hand_over(struct store *s, struct store_gate *g)
{
    journal_append(s->journal, g->effect_first_db, g->effect_db, g->effect_count,
                   buf_readable(&g->effects));
    buf_clear(&g->effects);
    buf_shrink(&g->effects, KEEP_BYTES);
    g->effect_count = 0;
    g->effect_open.name = NULL;
    g->journalled = true;
}

/* --- for those who change keys -------------------------------------------------------------------- */

bool effect_wanted(const struct store_hold *h)
{
    return hold_pool(h)->slab.pages.space->durable && remembers(h->store) && !h->is_draft;
}

void effect_command(struct store_hold *h, const char *name, uint32_t args)
{
    begin(h->gate, h->db, name, args);
}

void effect_arg(struct store_hold *h, struct slice arg)
{
    put_arg(&h->gate->effects, arg);
}

void effect_arg_str(struct store_hold *h, const char *arg)
{
    effect_arg(h, (struct slice){arg, strlen(arg)});
}

void effect_arg_integer(struct store_hold *h, int64_t value)
{
    char text[32];
    effect_arg(h, (struct slice){text, number_format_i64(text, value)});
}

void effect_arg_unsigned(struct store_hold *h, uint64_t value)
{
    char text[32];
    effect_arg(h, (struct slice){text, number_format_u64(text, value)});
}

void effect_arg_double(struct store_hold *h, double value)
{
    char text[REAL_MAX_LEN];
    effect_arg(h, (struct slice){text, real_format(text, value)});
}

void effect_arg_time(struct store_hold *h, uint64_t at_ms)
{
    effect_arg_unsigned(h, clock_wall_from_mono(at_ms));
}

void effect_removed(struct store_hold *h)
{
    if (effect_wanted(h)) {
        effect_command(h, "DEL", 1);
        effect_arg(h, h->key);
    }
}

void effect_string(struct store_hold *h, const struct store_item *it)
{
    if (!effect_wanted(h)) {
        return;
    }
    uint64_t expiry_ms = item_expiry(it);
    effect_command(h, "SET", expiry_ms != 0 ? 4 : 2);
    effect_arg(h, h->key);
    effect_arg(h, item_value(it));
    if (expiry_ms != 0) {
        effect_arg_str(h, "PXAT");
        effect_arg_time(h, expiry_ms);
    }
}

void effect_expiry(struct store_hold *h, uint64_t expiry_ms)
{
    if (!effect_wanted(h)) {
        return;
    }
    effect_command(h, expiry_ms != 0 ? "PEXPIREAT" : "PERSIST", expiry_ms != 0 ? 2 : 1);
    effect_arg(h, h->key);
    if (expiry_ms != 0) {
        effect_arg_time(h, expiry_ms);
    }
}

/* --- for what happens to keys by itself, and to all of them ---------------------------------------- */

void effect_dropped(struct shard *sh, uint32_t table, struct slice key)
{
    struct store *s = sh->store;
    if (!remembers(s)) {
        return;
    }
    uint32_t db = store_db_of_table(s, table);
    struct store_gate *g = s->owner != NULL ? s->owner : sh->gate;
    if (g != NULL) {
        begin(g, db, "DEL", 1);
        put_arg(&g->effects, key);
        return;
    }
    struct buf unit;
    buf_init(&unit);
    put_head(&unit, "DEL", 1);
    put_arg(&unit, key);
    journal_append(s->journal, db, db, 1, buf_readable(&unit));
    buf_fini(&unit);
}

static bool db_is_durable(const struct store *s, uint32_t db)
{
    return s->spaces[s->table_space[store_table_of(s, db)]].durable && remembers(s);
}

void effect_flushed(struct store *s, uint32_t db)
{
    if (db_is_durable(s, db)) {
        check(s->owner != NULL);
        begin(s->owner, db, "FLUSHDB", 0);
    }
}

void effect_swapped(struct store *s, uint32_t a, uint32_t b)
{
    if (db_is_durable(s, a)) {
        check(s->owner != NULL);
        begin(s->owner, a, "SWAPDB", 2);
        put_number(&s->owner->effects, a);
        put_number(&s->owner->effects, b);
        journal_note_swap(s->journal);
    }
}
