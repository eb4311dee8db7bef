/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the steps of test_coll_model.c stand on: the model, random things, holding a key, checking one.
 */
#ifndef STORE_COLL_MODEL_H
#define STORE_COLL_MODEL_H

#include "coll_shelf.h"
#include "store/coll_priv.h"

enum { KEYS = 3, KINDS = 5, NAMES = 4000, NAME_MAX = 3000, STEPS = 15000, SEEDS = 5 };
enum { STRINGS = 400 };
enum { LOOK_EVERY = 25, VALIDATE_EVERY = 100, PHASE = 1500 };

enum room { ROOMY, EVICTING, FULL };

struct model {
    struct rig rig;
    enum room room;
    uint32_t db;
    uint64_t random;
    uint64_t refused;
    uint64_t lost;
    uint64_t expired;
    uint64_t moved; /* keys that gathering took to another place */
    uint64_t in_limbo;
    uint64_t packed[KINDS]; /* looks that found this form */
    uint64_t trees[KINDS];
    bool grows;
    struct shelf shelf[KINDS][KEYS];
};

static const enum store_kind KIND[KINDS] = {STORE_LIST, STORE_SET, STORE_ZSET, STORE_HASH,
                                            STORE_STREAM};

static inline uint32_t pick(struct model *m, uint32_t below)
{
    return (uint32_t)(test_random(&m->random) % below);
}

/* --- random things ------------------------------------------------------------------------------ */

/* Number `n` of the names: mostly short, some long, a few very long; the empty one too. */
static inline struct slice make_name(uint32_t n, char out[NAME_MAX])
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

static inline struct slice some_name(struct model *m, char out[NAME_MAX])
{
    return make_name(pick(m, NAMES), out);
}

static inline double some_score(struct model *m)
{
    static const double odd[] = {0.0, -0.0, 1.0, 1.0, -1.5, 1e300, -1e300, 1.0 / 0.0, -1.0 / 0.0};
    return pick(m, 3) == 0 ? odd[pick(m, array_len(odd))] : (double)pick(m, 500) / 4 - 60;
}

static inline struct slice key_of(uint32_t kind, uint32_t k, char out[16])
{
    return (struct slice){out, (size_t)snprintf(out, 16, "%c%u", "lszhx"[kind], k)};
}

/* --- holding ------------------------------------------------------------------------------------ */

static inline void note_expired(struct model *m, struct shelf *s)
{
    if (s->present && s->expiry_ms != 0 && s->expiry_ms <= m->rig.now_ms) {
        shelf_clear(s);
        m->expired++;
    }
}

/* Holds the key; in an evicting store it may have gone, as a whole. */
static inline struct store_item *hold(struct model *m, uint32_t kind, uint32_t k,
                                      struct store_hold *h, char key[16])
{
    struct shelf *s = &m->shelf[kind][k];
    rig_hold(&m->rig, m->db, key_of(kind, k, key), h);
    struct store_item *it = store_peek(h, NULL);
    note_expired(m, s);
    if (m->room == EVICTING && it == NULL && s->present) {
        shelf_clear(s);
        m->lost++;
    }
    assert_int_equal(it != NULL, s->present);
    return it;
}

/* Did the write happen? Only a full store may refuse. */
static inline bool done(struct model *m, enum err e)
{
    if (e != ERR_OK) {
        assert_int_equal(e, ERR_NOSPACE);
        assert_int_not_equal(m->room, ROOMY);
        m->refused++;
    }
    return e == ERR_OK;
}

/* --- checking ----------------------------------------------------------------------------------- */

static inline void assert_elem(enum store_kind kind, const struct elem *want,
                               const struct coll_element *e)
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

static inline void check_ordered(const struct store_hold *h, const struct store_item *it,
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

static inline void check_unordered(const struct store_hold *h, const struct store_item *it,
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

static inline void check_key(struct model *m, uint32_t kind, uint32_t k)
{
    char key[16];
    struct store_hold h;
    const struct shelf *s = &m->shelf[kind][k];
    const struct store_item *it = hold(m, kind, k, &h, key);
    if (it != NULL) {
        assert_int_equal(store_item_kind(it), KIND[kind]);
        assert_int_equal(coll_count(it), s->count);
        assert_int_equal(store_item_expiry(it), s->expiry_ms);
        *(coll_is_tree(it) ? &m->trees[kind] : &m->packed[kind]) += 1;
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

#endif
