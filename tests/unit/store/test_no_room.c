/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every write, with memory that ends at its first, second, third ... wish for some: each time it is done as a
 * whole or not at all, the log has heard of it or has not, nothing is lost, and the structures hold.
 *
 *      for each write, for n = 1, 2, 3 ...
 *          a space as it was before ─ refuse(n) ─> the write ─> done: the space is as after an unhindered one
 *                                                             not:  the space is as before, the journal too
 *      until n is more than the write wishes for.
 *
 * What takes away must get along with none at all.
 */
#include "coll_test.h"
#include "store/priv.h"

enum { ROUNDS = 24, MANY = 300, MOST_WISHES = 4000 };

static const enum store_kind KIND[] = {STORE_LIST, STORE_SET, STORE_ZSET, STORE_HASH, STORE_STREAM};
static char long_text[3000];

/* --- the space ---------------------------------------------------------------------------------- */

static void add(struct rig *r, const char *key, enum store_kind kind, int i)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "%d %.*s", i, i % 13, "abcdefghijklm");
    if (kind == STORE_LIST) {
        push(r, key, COLL_TAIL, name);
    } else if (kind == STORE_STREAM) {
        append(r, key, (uint64_t)i + 1, 1, "field", name);
    } else {
        (void)put(r, key, kind, name, name, i % 17);
    }
}

/* Of each kind: one element ("l1"), packed to the brim ("l2"), a tree ("l3"); and strings of all sizes. */
static void fill(struct rig *r)
{
    static const int sizes[] = {1, 60, MANY};
    char key[8];
    for (uint32_t k = 0; k < array_len(KIND); k++) {
        for (uint32_t size = 0; size < array_len(sizes); size++) {
            (void)snprintf(key, sizeof(key), "%c%u", "lszhx"[k], size + 1);
            for (int i = 0; i < sizes[size]; i++) {
                add(r, key, KIND[k], i);
            }
        }
    }
    rig_set(r, "short", "v");
    rig_set(r, "long", long_text);
}

static void see(void *arg, const struct store_item *it)
{
    struct buf *names = arg;
    struct slice key = store_item_key(it);
    buf_printf(names, "%.*s ", (int)key.len, key.ptr);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void describe(struct rig *r, char *key, struct buf *out)
{
    struct store_hold h;
    struct buf shown;
    buf_init(&shown);
    rig_hold(r, 0, slice_of(key), &h);
    const struct store_item *it = store_peek(&h, NULL);
    uint32_t deps;
    (void)store_item_deps(it, &deps);
    buf_printf(out, "\n%s kind %d expiry %d deps %u: ", key, (int)store_item_kind(it),
               (int)store_item_expiry(it), deps);
    if (store_item_kind(it) == STORE_STRING) {
        buf_append_slice(out, store_item_value(it));
        store_drop(&h);
    } else {
        store_drop(&h);
        buf_append_str(out, show(r, key, false, &shown));
    }
    buf_fini(&shown);
}

/* Everything that is stored, as text. */
static void snapshot(struct rig *r, struct buf *ret_text)
{
    struct buf names;
    char *key[64];
    size_t count = 0;
    uint64_t cursor = 0;
    buf_init(&names);
    buf_clear(ret_text);
    do {
        cursor = store_scan(r->store, r->gate, 0, cursor, 100, r->now_ms, see, &names);
    } while (cursor != 0);
    buf_append_char(&names, '\0');
    char *rest = names.mem + names.start;
    for (char *name; (name = strtok_r(rest, " ", &rest)) != NULL;) {
        assert_true(count < array_len(key));
        key[count++] = name;
    }
    qsort(key, count, sizeof(*key), by_text);
    for (size_t i = 0; i < count; i++) {
        describe(r, key[i], ret_text);
    }
    buf_fini(&names);
}

/* The n-th wish from now on is refused, and all that follow; 0: none. */
static void refuse(struct rig *r, uint32_t n)
{
    for (uint32_t i = 0; i < r->store->shard_count; i++) {
        r->store->shards[i].pools[0].slab.pages.refuse = n;
    }
}

/* Has any been refused? Else each shard has more than one to go. */
static bool was_refused(const struct rig *r)
{
    bool refused = false;
    for (uint32_t i = 0; i < r->store->shard_count; i++) {
        refused |= r->store->shards[i].pools[0].slab.pages.refuse == 1;
    }
    return refused;
}

/* --- the writes --------------------------------------------------------------------------------- */

struct write {
    const char *what;
    const char *key;
    const char *other; /* to or from */
    enum store_kind kind;
    const char *value;
    int number;
    enum err (*run)(struct store_hold *h, const struct write *w, struct rig *r);
};

static enum err run_put(struct store_hold *h, const struct write *w, struct rig *r)
{
    struct coll_element e = element(w->value, w->value, w->number);
    return coll_put(h, w->kind, &e, &NO_META, NULL);
}

static enum err run_push(struct store_hold *h, const struct write *w, struct rig *r)
{
    struct slice values[MANY];
    uint32_t count = (uint32_t)abs(w->number);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = i % 7 == 6 ? SLICE("z") : slice_of(w->value);
    }
    return coll_push(h, w->number > 0 ? COLL_TAIL : COLL_HEAD, values, count, &NO_META);
}

static enum err run_replace(struct store_hold *h, const struct write *w, struct rig *r)
{
    return coll_replace(h, (uint64_t)w->number, slice_of(w->value));
}

static enum err run_insert(struct store_hold *h, const struct write *w, struct rig *r)
{
    bool found;
    struct coll_element pivot;
    assert_true(coll_at(h, store_peek(h, NULL), (uint64_t)w->number, &pivot));
    return coll_insert(h, pivot.name, w->number % 2 == 0, slice_of(w->value), &found);
}

static enum err run_append(struct store_hold *h, const struct write *w, struct rig *r)
{
    struct slice fields[] = {SLICE("field"), slice_of(w->value)};
    return coll_append(h, (struct coll_id){1000, 1}, fields, 2, &NO_META);
}

static enum err run_info(struct store_hold *h, const struct write *w, struct rig *r)
{
    struct coll_stream info = {.last = {2000, 1}, .added = 9999};
    return coll_stream_set_info(h, &info, &NO_META);
}

static enum err run_set(struct store_hold *h, const struct write *w, struct rig *r)
{
    struct store_write meta = {.value = {long_text, (size_t)w->number},
                               .expiry_ms = r->now_ms + 5000};
    return store_put(h, &meta);
}

static enum err run_edit(struct store_hold *h, const struct write *w, struct rig *r)
{
    char *value;
    enum err e = store_edit(h, (size_t)w->number, &NO_META, &value);
    if (e == ERR_OK) {
        memset(value, 'e', (size_t)w->number);
        store_edited(h, 0, (size_t)w->number);
    }
    return e;
}

static enum err run_expire(struct store_hold *h, const struct write *w, struct rig *r)
{
    bool found;
    return store_expire(h, r->now_ms + 7000, &found);
}

/* Stamps are not remembered; something that is goes with it. */
static enum err run_depend(struct store_hold *h, const struct write *w, struct rig *r)
{
    static const fresh_dep deps[] = {1, 2, 3, 4, 5};
    return store_depend(h, 77, deps, array_len(deps));
}

static enum err run_copy(struct store_hold *h, const struct write *w, struct rig *r)
{
    struct store_hold to;
    rig_hold(r, 0, slice_of(w->other), &to);
    enum err e = w->number == 0 ? store_copy(h, &to, &NO_META) : store_move(h, &to, &NO_META);
    store_drop(&to);
    return e;
}

/* SUNIONSTORE: all of another key's elements, and one more, in place of what is there. */
static enum err run_remake(struct store_hold *h, const struct write *w, struct rig *r)
{
    struct store_draft d;
    struct coll_element e = element(w->value, w->value, w->number);
    enum err err = ERR_OK;
    store_draft_begin(h, &d);
    for (int i = 0; i < w->number && err == ERR_OK; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "made %d", i);
        struct coll_element some = element(name, name, i);
        err = w->kind == STORE_LIST ? coll_push(&d.hold, COLL_TAIL, &some.name, 1, &NO_META)
                                    : coll_put(&d.hold, w->kind, &some, &NO_META, NULL);
    }
    if (err == ERR_OK) {
        err = w->kind == STORE_LIST ? coll_push(&d.hold, COLL_HEAD, &e.name, 1, &NO_META)
                                    : coll_put(&d.hold, w->kind, &e, &NO_META, NULL);
    }
    if (err != ERR_OK) {
        store_draft_discard(&d);
        return err;
    }
    return store_draft_publish(&d, h, &NO_META);
}

static const struct write writes[] = {
    {"SADD new", "new", NULL, STORE_SET, "m", 0, run_put},
    {"SADD new, long", "new", NULL, STORE_SET, long_text, 0, run_put},
    {"SADD to one", "s1", NULL, STORE_SET, "m", 0, run_put},
    {"SADD to packed", "s2", NULL, STORE_SET, "m", 0, run_put},
    {"SADD long to packed", "s2", NULL, STORE_SET, long_text, 0, run_put},
    {"SADD to tree", "s3", NULL, STORE_SET, "m", 0, run_put},
    {"SADD long to tree", "s3", NULL, STORE_SET, long_text, 0, run_put},
    {"HSET new", "new", NULL, STORE_HASH, "f", 0, run_put},
    {"HSET to packed", "h2", NULL, STORE_HASH, "f", 0, run_put},
    {"HSET long to packed", "h2", NULL, STORE_HASH, long_text, 0, run_put},
    {"HSET to tree", "h3", NULL, STORE_HASH, "f", 0, run_put},
    {"HSET long to tree", "h3", NULL, STORE_HASH, long_text, 0, run_put},
    {"ZADD new", "new", NULL, STORE_ZSET, "m", 3, run_put},
    {"ZADD to packed", "z2", NULL, STORE_ZSET, "m", 3, run_put},
    {"ZADD long to packed", "z2", NULL, STORE_ZSET, long_text, 3, run_put},
    {"ZADD to tree", "z3", NULL, STORE_ZSET, "m", 3, run_put},
    {"ZADD long to tree", "z3", NULL, STORE_ZSET, long_text, 3, run_put},
    {"ZADD other score in tree", "z3", NULL, STORE_ZSET, "26 ", -500, run_put},
    {"RPUSH new", "new", NULL, STORE_LIST, "v", 1, run_push},
    {"RPUSH many, new", "new", NULL, STORE_LIST, "value", MANY, run_push},
    {"LPUSH to packed", "l2", NULL, STORE_LIST, "v", -1, run_push},
    {"LPUSH many to packed", "l2", NULL, STORE_LIST, "value", -MANY, run_push},
    {"RPUSH to tree", "l3", NULL, STORE_LIST, "v", 1, run_push},
    {"RPUSH many to tree", "l3", NULL, STORE_LIST, "value", MANY, run_push},
    {"LPUSH many to tree", "l3", NULL, STORE_LIST, "value", -MANY, run_push},
    {"LSET in packed", "l2", NULL, STORE_LIST, long_text, 30, run_replace},
    {"LSET in tree", "l3", NULL, STORE_LIST, long_text, 150, run_replace},
    {"LINSERT in packed", "l2", NULL, STORE_LIST, long_text, 31, run_insert},
    {"LINSERT in tree", "l3", NULL, STORE_LIST, long_text, 150, run_insert},
    {"XADD new", "new", NULL, STORE_STREAM, "v", 0, run_append},
    {"XADD to packed", "x2", NULL, STORE_STREAM, long_text, 0, run_append},
    {"XADD to tree", "x3", NULL, STORE_STREAM, long_text, 0, run_append},
    {"XSETID new", "new", NULL, STORE_STREAM, "", 0, run_info},
    {"XSETID in tree", "x3", NULL, STORE_STREAM, "", 0, run_info},
    {"SET new", "new", NULL, STORE_STRING, "", 100, run_set},
    {"SET over a string", "long", NULL, STORE_STRING, "", 10, run_set},
    {"SET longer", "short", NULL, STORE_STRING, "", 2900, run_set},
    {"SET over a tree", "z3", NULL, STORE_STRING, "", 2000, run_set},
    {"APPEND", "short", NULL, STORE_STRING, "", 2000, run_edit},
    {"SETRANGE, large", "long", NULL, STORE_STRING, "", 100000, run_edit},
    {"EXPIRE a string", "short", NULL, STORE_STRING, "", 0, run_expire},
    {"EXPIRE packed", "h2", NULL, STORE_HASH, "", 0, run_expire},
    {"EXPIRE a tree", "z3", NULL, STORE_ZSET, "", 0, run_expire},
    {"tags of packed", "h2", NULL, STORE_HASH, "", 0, run_depend},
    {"tags of a tree", "z3", NULL, STORE_ZSET, "", 0, run_depend},
    {"COPY packed", "h2", "new", STORE_HASH, "", 0, run_copy},
    {"COPY a list", "l3", "new", STORE_LIST, "", 0, run_copy},
    {"COPY a set over a hash", "s3", "h3", STORE_SET, "", 0, run_copy},
    {"COPY a zset", "z3", "new", STORE_ZSET, "", 0, run_copy},
    {"COPY a stream over a string", "x3", "long", STORE_STREAM, "", 0, run_copy},
    {"RENAME packed", "h2", "new", STORE_HASH, "", 1, run_copy},
    {"RENAME a zset over a list", "z3", "l3", STORE_ZSET, "", 1, run_copy},
    {"RENAME a list", "l3", "new", STORE_LIST, "", 1, run_copy},
    {"RENAME a string", "long", "short", STORE_STRING, "", 1, run_copy},
    {"SUNIONSTORE small", "new", NULL, STORE_SET, "m", 3, run_remake},
    {"SUNIONSTORE over a tree", "s3", NULL, STORE_SET, "m", MANY, run_remake},
    {"ZUNIONSTORE over packed", "z2", NULL, STORE_ZSET, "m", MANY, run_remake},
    {"ZUNIONSTORE over a string", "long", NULL, STORE_ZSET, "m", 40, run_remake},
    {"SORT STORE over a zset", "z3", NULL, STORE_LIST, long_text, MANY, run_remake},
    {"RESTORE a hash over a hash", "h3", NULL, STORE_HASH, long_text, 20, run_remake},
};

static enum err run(struct rig *r, const struct write *w)
{
    struct store_hold h;
    store_own(r->store, r->gate);
    rig_hold(r, 0, slice_of(w->key), &h);
    enum err e = w->run(&h, w, r);
    store_drop(&h);
    store_disown(r->store, r->gate);
    return e;
}

static void reopen(struct rig *r)
{
    if (r->store != NULL) {
        rig_close(r);
    }
    rig_open_durable(r);
    fill(r);
}

static void assert_same(const struct write *w, uint32_t n, const struct buf *got,
                        const struct buf *want)
{
    if (!slice_eq(buf_readable(got), buf_readable(want))) {
        fail_msg("%s, refused at wish %u: the space is in between\n%.*s\ninstead of\n%.*s", w->what,
                 n, (int)buf_len(got), buf_readable(got).ptr, (int)buf_len(want),
                 buf_readable(want).ptr);
    }
}

/* How many of its wishes could be refused. */
static uint32_t try_each_wish(const struct write *w)
{
    struct rig r = {.store = NULL};
    struct buf before;
    struct buf after;
    struct buf now;
    buf_init(&before);
    buf_init(&after);
    buf_init(&now);
    reopen(&r);
    snapshot(&r, &before);
    assert_int_equal(run(&r, w), ERR_OK);
    snapshot(&r, &after);
    reopen(&r);
    uint32_t n = 0;
    bool hit = true;
    while (hit) {
        uint64_t journal = journal_end(store_journal(r.store));
        refuse(&r, ++n);
        enum err e = run(&r, w);
        hit = was_refused(&r);
        refuse(&r, 0);
        assert_true(n < MOST_WISHES && (e == ERR_OK || e == ERR_NOSPACE));
        rig_validate(&r);
        snapshot(&r, &now);
        assert_same(w, n, &now, e == ERR_OK ? &after : &before);
        bool told = journal_end(store_journal(r.store)) > journal;
        assert_int_equal(told, e == ERR_OK && w->run != run_depend);
        if (e == ERR_OK) {
            reopen(&r);
        }
    }
    rig_close(&r);
    buf_fini(&before);
    buf_fini(&after);
    buf_fini(&now);
    return n - 1;
}

static void a_write_is_done_or_it_is_not(void **state)
{
    (void)state;
    uint32_t refused = 0;
    for (size_t i = 0; i < array_len(writes); i++) {
        refused += try_each_wish(&writes[i]);
    }
    print_message("# %zu writes, %u refusals\n", array_len(writes), refused);
    assert_true(refused > 4 * array_len(writes));
}

/* --- what takes away ---------------------------------------------------------------------------- */

static void take_away(struct rig *r, const char *key, uint32_t kind, int i)
{
    struct store_hold h;
    struct coll_element e;
    rig_hold(r, 0, slice_of(key), &h);
    const struct store_item *it = store_peek(&h, NULL);
    uint64_t count = coll_count(it);
    if (i % 3 == 0 && KIND[kind] != STORE_LIST && KIND[kind] != STORE_STREAM) {
        assert_true(coll_at(&h, it, count / 2, &e));
        assert_true(coll_remove(&h, e.name));
    } else if (i % 3 == 1 && KIND[kind] == STORE_LIST) {
        assert_true(coll_at(&h, it, count / 2, &e));
        char own[64];
        (void)snprintf(own, sizeof(own), "%.*s", (int)e.name.len, e.name.ptr);
        assert_int_equal(coll_remove_equal(&h, 1, slice_of(own)), 1);
    } else {
        coll_cut(&h, i % 2 == 0 ? 0 : count - 1, 1);
    }
    store_drop(&h);
}

static void taking_away_needs_no_memory(void **state)
{
    (void)state;
    struct rig r = {.store = NULL};
    char key[8];
    reopen(&r);
    refuse(&r, 1);
    for (uint32_t k = 0; k < array_len(KIND); k++) {
        for (int i = 0; i < MANY; i++) {
            (void)snprintf(key, sizeof(key), "%c3", "lszhx"[k]);
            take_away(&r, key, k, i);
            if (i % ROUNDS == 0) {
                rig_validate(&r);
            }
        }
        assert_true(KIND[k] == STORE_STREAM || rig_has(&r, 0, slice_of(key), NULL));
        (void)snprintf(key, sizeof(key), "%c2", "lszhx"[k]);
        assert_true(rig_remove(&r, 0, slice_of(key)));
    }
    assert_true(rig_expire(&r, 0, SLICE("long"), 0));
    store_own(r.store, r.gate);
    store_db_flush(r.store, 0);
    store_disown(r.store, r.gate);
    assert_int_equal(store_db_size(r.store, 0), 0);
    refuse(&r, 0);
    rig_close(&r);
}

static const char *kind_key(enum store_kind kind)
{
    return kind == STORE_SET ? "set" : kind == STORE_ZSET ? "zset" : "hash";
}

/* Between two refusals there is room again, for a while: fills to the brim, again and again. */
static void a_space_that_runs_full_holds_what_it_took(void **state)
{
    (void)state;
    struct rig r = {.store = NULL};
    uint64_t random = test_seed("brim");
    uint32_t refused = 0;
    char name[32];
    rig_open_durable(&r);
    uint64_t held = 0;
    for (uint32_t i = 0; i < 6000; i++) {
        if (i % ROUNDS == 0) {
            refuse(&r, 1 + (uint32_t)(test_random(&random) % 30));
        }
        (void)snprintf(name, sizeof(name), "%u", i);
        struct coll_element e = element(name, name, (double)(test_random(&random) % 100));
        enum store_kind kind = KIND[1 + i % 3];
        enum err err = put_element(&r, kind_key(kind), kind, &e, NULL);
        refused += err != ERR_OK;
        held += err == ERR_OK;
        if (i % 500 == 0) {
            rig_validate(&r);
        }
    }
    refuse(&r, 0);
    uint64_t found = 0;
    for (uint32_t k = 1; k < 4; k++) {
        struct store_hold h;
        rig_hold(&r, 0, slice_of(kind_key(KIND[k])), &h);
        found += coll_count(store_peek(&h, NULL));
        store_drop(&h);
    }
    assert_int_equal(found, held);
    assert_true(refused > 20 && held > 1000); /* both happened often; how often is the seed's */
    rig_close(&r);
}

int main(void)
{
    hash_setup_seed(1);
    memset(long_text, 'x', sizeof(long_text) - 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_done_or_it_is_not),
        cmocka_unit_test(taking_away_needs_no_memory),
        cmocka_unit_test(a_space_that_runs_full_holds_what_it_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
