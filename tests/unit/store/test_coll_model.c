/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collections of every kind against a naive model, an array of what each must hold.
 *
 * Three stores: a roomy one, which must agree exactly; a tight evicting one, where a key may be gone as a
 * whole but never in part; a tight one that never evicts, where a write may fail and must then have changed
 * nothing. Sparse runs are gathered, so items and nodes move. Keys expire in between. Every few steps the whole
 * store is validated, memory accounts included.
 *
 * The seed is printed; SEED repeats one, EACH=1 validates after each step. A run that did not see what it is
 * for (both forms of each kind, nodes that moved, nodes in limbo, keys that expired) fails.
 */
#include "coll_model.h"

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
            shelf_take(s, at);
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
                shelf_take(s, at);
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
    uint64_t expiry_ms = pick(m, 2) == 0 ? 0 : m->rig.now_ms + 1 + pick(m, 3000);
    if (done(m, store_expire(&h, expiry_ms, &found))) {
        assert_int_equal(found, is_present);
        s->expiry_ms = is_present ? expiry_ms : 0;
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
    note_expired(m, &m->shelf[kind][k]);
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
    size_t len = (size_t)snprintf(key, sizeof(key), "string %u", pick(m, STRINGS));
    struct slice text = some_name(m, value);
    uint64_t expiry_ms = pick(m, 10) == 0 ? m->rig.now_ms + 1 + pick(m, 3000) : 0;
    if (pick(m, 2) == 0) {
        (void)done(m, rig_put(&m->rig, m->db, (struct slice){key, len}, text, expiry_ms));
    } else {
        (void)rig_remove(&m->rig, m->db, (struct slice){key, len});
    }
}

/* Gathers what lies in sparse runs, as a write does that needs memory; nodes in limbo are freed first. */
static void tidy(struct shard *sh, struct pool *p)
{
    struct need n = {.now_ms = 0};
    while (p->limbo != 0 || slab_find_spread(&p->slab) != 0) {
        assert_true(evict_step(sh, p, &n));
    }
}

/* Where the item and some of its leaves lie; 0: absent. */
static uint64_t place_of(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    struct store_item *it = hold(m, kind, k, &h, key);
    uint64_t place = (uint64_t)(uintptr_t)it;
    uint64_t count = it != NULL ? coll_count(it) : 0;
    for (uint64_t i = 0; i < 16 && count > 0; i++) {
        struct coll_walk w;
        struct coll_element e;
        coll_walk_begin(&h, it, i * count / 16, false, &w);
        (void)coll_walk_next(&w, &e);
        place = place * 31 + (uint64_t)(uintptr_t)e.name.ptr;
    }
    store_drop(&h);
    return place;
}

/* Most strings go at once, and what is left is gathered. */
static void step_thin_out(struct model *m)
{
    char key[32];
    for (uint32_t i = 0; i < STRINGS; i++) {
        size_t len = (size_t)snprintf(key, sizeof(key), "string %u", i);
        if (pick(m, 4) != 0) {
            (void)rig_remove(&m->rig, m->db, (struct slice){key, len});
        }
    }
    uint64_t before[KINDS * KEYS];
    for (uint32_t i = 0; i < KINDS * KEYS; i++) {
        before[i] = place_of(m, i / KEYS, i % KEYS);
    }
    store_own(m->rig.store, m->rig.gate);
    for (uint32_t i = 0; i < m->rig.store->shard_count; i++) {
        struct shard *sh = &m->rig.store->shards[i];
        tidy(sh, &sh->pools[m->db == 3 ? 1 : 0]);
    }
    store_disown(m->rig.store, m->rig.gate);
    for (uint32_t i = 0; i < KINDS * KEYS; i++) {
        m->moved += before[i] != place_of(m, i / KEYS, i % KEYS);
    }
}

static void step_validate(struct model *m)
{
    for (uint32_t i = 0; i < m->rig.store->shard_count; i++) {
        m->in_limbo += m->rig.store->shards[i].pools[m->db == 3 ? 1 : 0].limbo != 0;
    }
    rig_validate(&m->rig);
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

static void step(struct model *m)
{
    uint32_t kind = pick(m, KINDS);
    uint32_t k = pick(m, KEYS);
    uint32_t rare = pick(m, 200);
    if (rare == 0) {
        step_transfer(m, kind, k);
    } else if (rare == 1 && pick(m, 4) == 0) {
        step_drop(m, kind, k);
    } else if (rare < 5) {
        step_expire(m, kind, k);
    } else if (rare < 8) {
        m->rig.now_ms += pick(m, 100);
    } else if (rare < 12) {
        step_thin_out(m);
    } else if (rare < 60) {
        step_string(m);
    } else {
        step_of_kind(m, kind, k);
    }
}

/* Did the run see what it is for? */
static void judge(const struct model *m)
{
    assert_true(m->room == ROOMY || m->refused + m->lost > 0);
    assert_true(m->moved > 10);
    assert_true(m->in_limbo > 0 && m->expired > 0);
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        assert_true(m->packed[kind] > 0 && m->trees[kind] > 0);
    }
}

static void run(enum room room, uint64_t budget, uint32_t steps, uint64_t seed)
{
    static struct model m;
    memset(&m, 0, sizeof(m));
    m.room = room;
    m.random = seed;
    m.db = room == FULL ? 3 : 0;
    rig_open(&m.rig, budget, true, NULL);
    for (uint32_t i = 0; i < steps; i++) {
        m.grows = i / PHASE % 3 < 2;
        step(&m);
        if (i % LOOK_EVERY == 0 || getenv("EACH") != NULL) {
            check_key(&m, pick(&m, KINDS), pick(&m, KEYS));
        }
        if (i % VALIDATE_EVERY == 0 || getenv("EACH") != NULL) {
            step_validate(&m);
        }
        if (i % (VALIDATE_EVERY * 10) == 0) {
            (void)store_expire_some(m.rig.store, m.rig.gate, m.rig.now_ms);
        }
    }
    for (uint32_t i = 0; i < KINDS * KEYS; i++) {
        check_key(&m, i / KEYS, i % KEYS);
        shelf_clear(&m.shelf[i / KEYS][i % KEYS]);
        free(m.shelf[i / KEYS][i % KEYS].elem);
    }
    print_message("# %u steps agree, %llu refused, %llu lost, %llu expired, %llu moved\n", steps,
                  (unsigned long long)m.refused, (unsigned long long)m.lost,
                  (unsigned long long)m.expired, (unsigned long long)m.moved);
    judge(&m);
    store_own(m.rig.store, m.rig.gate);
    store_db_flush(m.rig.store, m.db);
    store_disown(m.rig.store, m.rig.gate);
    rig_close(&m.rig);
}

static void run_seeds(enum room room, uint64_t budget, uint32_t steps, const char *what)
{
    uint64_t seed = test_seed(what);
    for (uint64_t i = 0; i < SEEDS; i++) {
        run(room, budget, steps, seed + i);
    }
}

static void roomy_store_agrees(void **state)
{
    (void)state;
    run_seeds(ROOMY, 64 * MB, STEPS * 2, "roomy");
}

static void evicting_store_loses_keys_only_whole(void **state)
{
    (void)state;
    run_seeds(EVICTING, 256 * 1024, STEPS, "evicting");
}

static void full_store_refuses_without_a_trace(void **state)
{
    (void)state;
    run_seeds(FULL, 256 * 1024, STEPS, "full");
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
