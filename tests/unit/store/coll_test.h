/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One-line forms of coll.h for its tests, on the rig of store_test.h. Keys are of database 0.
 */
#ifndef STORE_COLL_TEST_H
#define STORE_COLL_TEST_H

#include "store/coll.h"
#include "store_test.h"

static const struct store_write NO_META = {.expiry_ms = 0};

/* One durable space of 16 MB. */
static inline void rig_open_durable(struct rig *r)
{
    struct store_space_options space = {.name = "queue", .budget_bytes = 16 * MB, .durable = true};
    uint8_t db_space[TEST_DBS] = {0, 0, 0, 0};
    struct store_options options = {
        .threads = 1,
        .space_count = 1,
        .spaces = &space,
        .db_count = TEST_DBS,
        .db_space = db_space,
    };
    r->store = store_create(&options);
    r->gate = store_gate_take(r->store);
    r->now_ms = 1000 * 1000;
}

static inline struct coll_element element(const char *name, const char *value, double score)
{
    return (struct coll_element){.name = slice_of(name), .value = slice_of(value), .score = score};
}

static inline enum err put_element(struct rig *r, const char *key, enum store_kind kind,
                                   const struct coll_element *e, bool *ret_was)
{
    struct store_hold h;
    rig_hold(r, 0, slice_of(key), &h);
    enum err err = coll_put(&h, kind, e, &NO_META, ret_was);
    store_drop(&h);
    return err;
}

/* Puts and tells whether it was there. */
static inline bool put(struct rig *r, const char *key, enum store_kind kind, const char *name,
                       const char *value, double score)
{
    struct coll_element e = element(name, value, score);
    bool was;
    assert_int_equal(put_element(r, key, kind, &e, &was), ERR_OK);
    return was;
}

static inline void push(struct rig *r, const char *key, enum coll_end end, const char *value)
{
    struct store_hold h;
    struct slice v = slice_of(value);
    rig_hold(r, 0, slice_of(key), &h);
    assert_int_equal(coll_push(&h, end, &v, 1, &NO_META), ERR_OK);
    store_drop(&h);
}

static inline bool remove_name(struct rig *r, const char *key, const char *name)
{
    struct store_hold h;
    rig_hold(r, 0, slice_of(key), &h);
    bool was = coll_remove(&h, slice_of(name));
    store_drop(&h);
    return was;
}

static inline void cut(struct rig *r, const char *key, uint64_t rank, uint64_t count)
{
    struct store_hold h;
    rig_hold(r, 0, slice_of(key), &h);
    coll_cut(&h, rank, count);
    store_drop(&h);
}

static inline void append(struct rig *r, const char *key, uint64_t ms, uint64_t seq,
                          const char *field, const char *value)
{
    struct store_hold h;
    struct slice fields[] = {slice_of(field), slice_of(value)};
    rig_hold(r, 0, slice_of(key), &h);
    assert_int_equal(coll_append(&h, (struct coll_id){ms, seq}, fields, 2, &NO_META), ERR_OK);
    store_drop(&h);
}

/* The collection as text, "a b c", "f=v", "m:1.5", "5-1{f v}": NULL-terminated, the caller's `out`. */
static inline const char *show(struct rig *r, const char *key, bool backward, struct buf *out)
{
    struct store_hold h;
    buf_clear(out);
    rig_hold(r, 0, slice_of(key), &h);
    const struct store_item *it = store_peek(&h, NULL);
    if (it != NULL) {
        struct coll_walk w;
        struct coll_element e;
        uint64_t count = coll_count(it);
        coll_walk_begin(&h, it, backward && count > 0 ? count - 1 : 0, backward, &w);
        for (int n = 0; coll_walk_next(&w, &e); n++) {
            buf_append(out, " ", n > 0 ? 1 : 0);
            if (store_item_kind(it) == STORE_STREAM) {
                buf_printf(out, "%d-%d{", (int)e.id.ms, (int)e.id.seq);
                struct slice text;
                for (int i = 0; coll_field_next(&e.name, &text); i++) {
                    buf_append(out, " ", i > 0 ? 1 : 0);
                    buf_append_slice(out, text);
                }
                buf_append_char(out, '}');
                continue;
            }
            buf_append_slice(out, e.name);
            if (store_item_kind(it) == STORE_HASH) {
                buf_append_char(out, '=');
                buf_append_slice(out, e.value);
            } else if (store_item_kind(it) == STORE_ZSET) {
                buf_printf(out, ":%g", e.score);
            }
        }
    }
    store_drop(&h);
    buf_append_char(out, '\0');
    return buf_readable(out).ptr;
}

#define assert_shows(r, key, text)                                                                 \
    do {                                                                                           \
        struct buf shown_;                                                                         \
        buf_init(&shown_);                                                                         \
        assert_string_equal(show((r), (key), false, &shown_), (text));                             \
        buf_fini(&shown_);                                                                         \
    } while (0)

#endif
