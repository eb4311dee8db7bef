/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collections of every kind against a naive model, an array of what each must hold.
 *
 * Three stores: a roomy one, which must agree exactly; a tight evicting one, where a key may be gone as a
 * whole but never in part; a tight one that never evicts, where a write may fail and must then have changed
 * nothing. The tight ones move nodes all the time. The seed is printed.
 */
#include "coll_shelf.h"

enum { KEYS = 3, KINDS = 5, NAMES = 4000, NAME_MAX = 3000, STEPS = 15000 };

enum room { ROOMY, EVICTING, FULL };

struct model {
    struct rig rig;
    enum room room;
    uint32_t db;
    uint64_t random;
    uint64_t refused;
    uint64_t lost;
    bool grows;
    struct shelf shelf[KINDS][KEYS];
};

static const enum store_kind KIND[KINDS] = {STORE_LIST, STORE_SET, STORE_ZSET, STORE_HASH,
                                            STORE_STREAM};

static uint32_t pick(struct model *m, uint32_t below)
{
    return (uint32_t)(test_random(&m->random) % below);
}

/* --- random things ------------------------------------------------------------------------------ */

/* Number `n` of the names: mostly short, some long, a few very long; the empty one too. */
static struct slice make_name(uint32_t n, char out[NAME_MAX])
{
    if (n == 0) {
        return (struct slice){out, 0};
    }
    size_t len = (size_t)snprintf(out, NAME_MAX, "%u", n);
    size_t want = n % 97 == 0 ? 1000 + n % 1900 : n % 11 == 0 ? 150 + n % 400 : len + n % 20;
    while (len < want) {
        out[len] = (char)('a' + len % 26);
        len++;
    }
    return (struct slice){out, len};
}

static struct slice some_name(struct model *m, char out[NAME_MAX])
{
    return make_name(pick(m, NAMES), out);
}

static double some_score(struct model *m)
{
    static const double odd[] = {0.0, -0.0, 1.0, 1.0, -1.5, 1e300, -1e300, 1.0 / 0.0, -1.0 / 0.0};
    return pick(m, 3) == 0 ? odd[pick(m, array_len(odd))] : (double)pick(m, 500) / 4 - 60;
}

static struct slice key_of(uint32_t kind, uint32_t k, char out[16])
{
    return (struct slice){out, (size_t)snprintf(out, 16, "%c%u", "lszhx"[kind], k)};
}

/* --- holding ------------------------------------------------------------------------------------ */

/* Holds the key; in an evicting store it may have gone, as a whole. */
static struct store_item *hold(struct model *m, uint32_t kind, uint32_t k, struct store_hold *h,
                               char key[16])
{
    struct shelf *s = &m->shelf[kind][k];
    rig_hold(&m->rig, m->db, key_of(kind, k, key), h);
    struct store_item *it = store_peek(h, NULL);
    if (m->room == EVICTING && it == NULL && s->present) {
        shelf_clear(s);
        m->lost++;
    }
    assert_int_equal(it != NULL, s->present);
    return it;
}

/* Did the write happen? Only a full store may refuse. */
static bool done(struct model *m, enum err e)
{
    if (e != ERR_OK) {
        assert_int_equal(e, ERR_NOSPACE);
        assert_int_not_equal(m->room, ROOMY);
        m->refused++;
    }
    return e == ERR_OK;
}

/* --- checking ----------------------------------------------------------------------------------- */

static void assert_elem(enum store_kind kind, const struct elem *want, const struct coll_element *e)
{
    if (kind == STORE_STREAM) {
        struct slice rest = e->name;
        struct slice text;
        assert_int_equal(coll_field_count(rest), 2);
        assert_true(coll_field_next(&rest, &text) && slice_is(text, "field"));
        assert_true(coll_field_next(&rest, &text) && slice_eq(text, name_of(want)));
        assert_int_equal(e->id.ms, want->ms);
        return;
    }
    assert_true(slice_eq(e->name, name_of(want)));
    if (kind == STORE_HASH) {
        assert_true(slice_eq(e->value, (struct slice){want->value, want->value_len}));
    } else if (kind == STORE_ZSET) {
        assert_memory_equal(&e->score, &want->score, sizeof(e->score));
    }
}

static void check_ordered(const struct store_hold *h, const struct store_item *it,
                          const struct shelf *s)
{
    enum store_kind kind = store_item_kind(it);
    struct coll_walk w;
    struct coll_element e;
    size_t i = 0;
    coll_walk_begin(h, it, 0, false, &w);
    for (; coll_walk_next(&w, &e); i++) {
        assert_elem(kind, &s->elem[i], &e);
    }
    assert_int_equal(i, s->count);
    coll_walk_begin(h, it, s->count - 1, true, &w);
    for (; coll_walk_next(&w, &e); i--) {
        assert_elem(kind, &s->elem[i - 1], &e);
    }
    assert_int_equal(i, 0);
}

static void check_unordered(const struct store_hold *h, const struct store_item *it,
                            const struct shelf *s)
{
    struct coll_walk w;
    struct coll_element e;
    size_t seen = 0;
    coll_walk_begin(h, it, 0, false, &w);
    while (coll_walk_next(&w, &e)) {
        seen++;
    }
    assert_int_equal(seen, s->count);
    for (size_t i = 0; i < s->count; i++) {
        assert_true(coll_find(h, it, name_of(&s->elem[i]), &e));
        assert_elem(store_item_kind(it), &s->elem[i], &e);
    }
}

static void check_key(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    const struct shelf *s = &m->shelf[kind][k];
    const struct store_item *it = hold(m, kind, k, &h, key);
    if (it != NULL) {
        assert_int_equal(store_item_kind(it), KIND[kind]);
        assert_int_equal(coll_count(it), s->count);
        if (KIND[kind] == STORE_SET || KIND[kind] == STORE_HASH) {
            check_unordered(&h, it, s);
        } else {
            check_ordered(&h, it, s);
        }
        if (KIND[kind] == STORE_STREAM) {
            struct coll_stream info = coll_stream_info(it);
            assert_memory_equal(&info, &s->info, sizeof(info));
        }
    }
    store_drop(&h);
}

/* --- steps: by name ----------------------------------------------------------------------------- */

static void step_put(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    char name_text[NAME_MAX];
    char value_text[NAME_MAX];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    struct coll_element e = {.name = some_name(m, name_text)};
    if (KIND[kind] == STORE_HASH) {
        e.value = some_name(m, value_text);
    } else if (KIND[kind] == STORE_ZSET) {
        e.score = some_score(m);
    }
    (void)hold(m, kind, k, &h, key);
    size_t at = shelf_find(s, e.name);
    bool was = at < s->count;
    bool ret_was;
    if (done(m, coll_put(&h, KIND[kind], &e, &NO_META, &ret_was))) {
        assert_int_equal(ret_was, was);
        if (was) {
            shelf_remove(s, KIND[kind], at);
        }
        at = KIND[kind] == STORE_ZSET ? shelf_place(s, e.score, e.name) : s->count;
        shelf_insert(s, at, e.name, e.value, e.score, 0);
    }
    store_drop(&h);
}

static void step_remove(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    char text[NAME_MAX];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    (void)hold(m, kind, k, &h, key);
    size_t at = s->count > 0 && pick(m, 4) > 0 ? pick(m, (uint32_t)s->count) : s->count;
    struct slice name = at < s->count ? name_of(&s->elem[at]) : some_name(m, text);
    at = shelf_find(s, name);
    assert_int_equal(coll_remove(&h, name), at < s->count);
    if (at < s->count) {
        shelf_remove(s, KIND[kind], at);
    }
    store_drop(&h);
}

/* SPOP: what lies at a rank goes, named by the store's own bytes. */
static void step_pop(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    const struct store_item *it = hold(m, kind, k, &h, key);
    struct coll_element e;
    if (it != NULL) {
        assert_true(coll_at(&h, it, pick(m, (uint32_t)s->count), &e));
        size_t at = shelf_find(s, e.name);
        assert_true(at < s->count);
        assert_elem(KIND[kind], &s->elem[at], &e);
        assert_true(coll_remove(&h, e.name));
        shelf_remove(s, KIND[kind], at);
    }
    store_drop(&h);
}

static void step_ranks(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    const struct store_item *it = hold(m, kind, k, &h, key);
    if (it != NULL && KIND[kind] == STORE_ZSET) {
        uint32_t at = pick(m, (uint32_t)s->count);
        uint64_t rank;
        assert_true(coll_rank(&h, it, name_of(&s->elem[at]), &rank));
        assert_int_equal(rank, at);
        double score = pick(m, 2) == 0 ? s->elem[at].score : some_score(m);
        uint64_t before = 0;
        uint64_t equal = 0;
        for (size_t i = 0; i < s->count; i++) {
            before += s->elem[i].score < score;
            equal += s->elem[i].score == score;
        }
        assert_int_equal(coll_rank_of_score(&h, it, score, false), before);
        assert_int_equal(coll_rank_of_score(&h, it, score, true), before + equal);
    }
    store_drop(&h);
}

/* --- steps: lists ------------------------------------------------------------------------------- */

static void step_push(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    (void)hold(m, kind, k, &h, key);
    uint32_t count = pick(m, 30) == 0 ? 1 + pick(m, 300) : 1 + pick(m, 4);
    struct slice *values = calloc(count, sizeof(*values));
    char *text = malloc((size_t)count * NAME_MAX);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = some_name(m, text + (size_t)i * NAME_MAX);
    }
    enum coll_end end = pick(m, 2) == 0 ? COLL_HEAD : COLL_TAIL;
    if (done(m, coll_push(&h, end, values, count, &NO_META))) {
        for (uint32_t i = 0; i < count; i++) {
            shelf_insert(s, end == COLL_HEAD ? 0 : s->count, values[i], SLICE(""), 0, 0);
        }
    }
    free(values);
    free(text);
    store_drop(&h);
}

static void step_edit(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    char text[NAME_MAX];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    const struct store_item *it = hold(m, kind, k, &h, key);
    if (it != NULL) {
        struct slice value = some_name(m, text);
        uint32_t at = pick(m, (uint32_t)s->count);
        if (pick(m, 2) == 0) {
            if (done(m, coll_replace(&h, at, value))) {
                shelf_remove(s, KIND[kind], at);
                shelf_insert(s, at, value, SLICE(""), 0, 0);
            }
        } else {
            bool after = pick(m, 2) == 0;
            bool found;
            char pivot_text[NAME_MAX];
            struct slice pivot = pick(m, 4) == 0 ? some_name(m, pivot_text) : name_of(&s->elem[at]);
            size_t place = shelf_find(s, pivot);
            if (done(m, coll_insert(&h, pivot, after, value, &found))) {
                assert_int_equal(found, place < s->count);
                if (found) {
                    shelf_insert(s, place + after, value, SLICE(""), 0, 0);
                }
            }
        }
    }
    store_drop(&h);
}

static void step_remove_equal(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    const struct store_item *it = hold(m, kind, k, &h, key);
    if (it != NULL) {
        char *own = copy_of(name_of(&s->elem[pick(m, (uint32_t)s->count)]));
        size_t at = pick(m, (uint32_t)s->count);
        struct slice value = {own, 0};
        free(own);
        own = copy_of(name_of(&s->elem[at]));
        value = (struct slice){own, s->elem[at].name_len};
        int64_t count = (int64_t)pick(m, 5) - 2;
        uint64_t gone = 0;
        uint64_t most = count == 0 ? UINT64_MAX : (uint64_t)llabs(count);
        for (size_t i = count < 0 ? s->count - 1 : 0; i < s->count && gone < most;
             i += count < 0 ? SIZE_MAX : 1) {
            if (slice_eq(name_of(&s->elem[i]), value)) {
                shelf_remove(s, KIND[kind], i);
                gone++;
                i -= count < 0 ? 0 : 1;
            }
        }
        assert_int_equal(coll_remove_equal(&h, count, value), gone);
        free(own);
    }
    store_drop(&h);
}

/* --- steps: any kind ---------------------------------------------------------------------------- */

static void step_cut(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    const struct store_item *it = hold(m, kind, k, &h, key);
    if (it != NULL && s->count > 0) {
        uint32_t total = (uint32_t)s->count;
        uint32_t most = m->grows ? 3 : total;
        uint32_t count = pick(m, 3) == 0 ? 1 + pick(m, most) : 1 + pick(m, 3);
        count = count < total ? count : total;
        uint32_t rank = pick(m, total - count + 1);
        if (KIND[kind] == STORE_LIST) {
            rank = pick(m, 2) == 0 ? 0 : total - count;
        }
        for (uint32_t i = 0; i < count; i++) {
            size_t at = rank;
            if (KIND[kind] == STORE_SET || KIND[kind] == STORE_HASH) {
                struct coll_element e;
                assert_true(coll_at(&h, it, rank + i, &e));
                at = shelf_find(s, e.name);
                assert_true(at < s->count);
            }
            shelf_remove(s, KIND[kind], at);
        }
        coll_cut(&h, rank, pick(m, 8) == 0 && rank + count == total ? UINT64_MAX : count);
    }
    store_drop(&h);
}

static void step_append(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    char text[NAME_MAX];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    (void)hold(m, kind, k, &h, key);
    struct slice fields[] = {SLICE("field"), some_name(m, text)};
    struct coll_id id = {s->info.last.ms + pick(m, 2), s->info.last.seq + 1 + pick(m, 3)};
    if (done(m, coll_append(&h, id, fields, 2, &NO_META))) {
        shelf_insert(s, s->count, fields[1], SLICE(""), 0, id.ms);
        s->info.last = id;
        s->info.added++;
    }
    store_drop(&h);
}

static void step_stream(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    struct shelf *s = &m->shelf[kind][k];
    const struct store_item *it = hold(m, kind, k, &h, key);
    if (it != NULL && s->count > 0) {
        uint64_t ms = s->elem[pick(m, (uint32_t)s->count)].ms;
        uint64_t before = 0;
        uint64_t equal = 0;
        for (size_t i = 0; i < s->count; i++) {
            before += s->elem[i].ms < ms;
            equal += s->elem[i].ms == ms;
        }
        assert_int_equal(coll_rank_of_id(&h, it, (struct coll_id){ms, 0}, false), before);
        assert_int_equal(coll_rank_of_id(&h, it, (struct coll_id){ms, UINT64_MAX}, true),
                         before + equal);
    }
    struct coll_stream info = s->info;
    info.added += pick(m, 2);
    info.max_deleted.ms++;
    if (done(m, coll_stream_set_info(&h, &info, &NO_META))) {
        s->info = info;
        s->present = true;
    }
    store_drop(&h);
}

/* The item gets a field more or less, so it may move. */
static void step_expire(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    bool found = false;
    struct shelf *s = &m->shelf[kind][k];
    (void)hold(m, kind, k, &h, key);
    bool is_present = s->present;
    if (done(m, store_expire(&h, pick(m, 2) == 0 ? 0 : m->rig.now_ms + 1000, &found))) {
        assert_int_equal(found, is_present);
    }
    store_drop(&h);
}

static void step_transfer(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    char to_key[16];
    struct store_hold a;
    struct store_hold b;
    uint32_t other = (k + 1 + pick(m, KEYS - 1)) % KEYS;
    struct shelf *s = &m->shelf[kind][k];
    store_own(m->rig.store, m->rig.gate);
    (void)hold(m, kind, other, &b, to_key);
    if (hold(m, kind, k, &a, key) != NULL) {
        if (pick(m, 2) == 0) {
            if (done(m, store_copy(&a, &b, &NO_META))) {
                shelf_copy(&m->shelf[kind][other], s);
            }
        } else if (done(m, store_move(&a, &b, &NO_META))) {
            shelf_copy(&m->shelf[kind][other], s);
            shelf_clear(s);
        }
    }
    store_drop(&a);
    store_drop(&b);
    store_disown(m->rig.store, m->rig.gate);
}

static void step_drop(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    assert_true(m->room == EVICTING ||
                rig_remove(&m->rig, m->db, key_of(kind, k, key)) == m->shelf[kind][k].present);
    if (m->room == EVICTING) {
        (void)rig_remove(&m->rig, m->db, key_of(kind, k, key));
    }
    shelf_clear(&m->shelf[kind][k]);
}

/* Strings beside the collections: sparse runs of every class, so that nodes are moved. */
static void step_string(struct model *m)
{
    char key[32];
    char value[NAME_MAX];
    size_t len = (size_t)snprintf(key, sizeof(key), "string %u", pick(m, 400));
    struct slice text = some_name(m, value);
    if (pick(m, 2) == 0) {
        (void)done(m, rig_put(&m->rig, m->db, (struct slice){key, len}, text, 0));
    } else {
        (void)rig_remove(&m->rig, m->db, (struct slice){key, len});
    }
}

/* --- running ------------------------------------------------------------------------------------ */

static void step_of_kind(struct model *m, uint32_t kind, uint32_t k)
{
    bool adds = pick(m, 10) < (m->grows ? 9U : 3U);
    uint32_t what = pick(m, 6);
    switch (KIND[kind]) {
    case STORE_LIST:
        (adds       ? (what < 5 ? step_push : step_edit)
         : what < 5 ? step_cut
                    : step_remove_equal)(m, kind, k);
        return;
    case STORE_STREAM:
        (adds ? (what < 5 ? step_append : step_stream) : step_cut)(m, kind, k);
        return;
    case STORE_SET:
    case STORE_HASH:
    case STORE_ZSET:
        (adds       ? (what < 5 ? step_put : step_ranks)
         : what < 3 ? step_remove
         : what < 5 ? step_pop
                    : step_cut)(m, kind, k);
        return;
    case STORE_STRING:
        break;
    }
}

static void run(enum room room, uint64_t budget, uint32_t steps, const char *what)
{
    static struct model m;
    memset(&m, 0, sizeof(m));
    m.room = room;
    m.random = test_seed(what);
    m.db = room == FULL ? 3 : 0;
    rig_open(&m.rig, budget, true, NULL);
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t kind = pick(&m, KINDS);
        uint32_t k = pick(&m, KEYS);
        m.grows = i / 1500 % 3 < 2;
        uint32_t rare = pick(&m, 200);
        if (rare == 0) {
            step_transfer(&m, kind, k);
        } else if (rare == 1 && pick(&m, 4) == 0) {
            step_drop(&m, kind, k);
        } else if (rare < 5) {
            step_expire(&m, kind, k);
        } else if (rare < 40) {
            step_string(&m);
        } else {
            step_of_kind(&m, kind, k);
        }
        if (getenv("EACH") != NULL) {
            rig_validate(&m.rig);
        }
        if (i % 100 == 0 || getenv("EACH") != NULL) {
            check_key(&m, kind, k);
        }
        if (i % 1000 == 0) {
            rig_validate(&m.rig);
            (void)store_expire_some(m.rig.store, m.rig.gate, m.rig.now_ms);
        }
    }
    for (uint32_t i = 0; i < KINDS * KEYS; i++) {
        check_key(&m, i / KEYS, i % KEYS);
        shelf_clear(&m.shelf[i / KEYS][i % KEYS]);
        free(m.shelf[i / KEYS][i % KEYS].elem);
    }
    print_message("# %s: %u steps agree, %llu refused, %llu lost\n", what, steps,
                  (unsigned long long)m.refused, (unsigned long long)m.lost);
    assert_true(room == ROOMY || m.refused + m.lost > 0);
    store_own(m.rig.store, m.rig.gate);
    store_db_flush(m.rig.store, m.db);
    store_disown(m.rig.store, m.rig.gate);
    rig_close(&m.rig);
}

static void roomy_store_agrees(void **state)
{
    (void)state;
    run(ROOMY, 64 * MB, STEPS * 2, "roomy");
}

static void evicting_store_loses_keys_only_whole(void **state)
{
    (void)state;
    run(EVICTING, 400 * 1024, STEPS, "evicting");
}

static void full_store_refuses_without_a_trace(void **state)
{
    (void)state;
    run(FULL, 400 * 1024, STEPS, "full");
}

int main(void)
{
    hash_setup_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roomy_store_agrees),
        cmocka_unit_test(evicting_store_loses_keys_only_whole),
        cmocka_unit_test(full_store_refuses_without_a_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
