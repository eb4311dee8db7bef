/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Warming is a hint: what can be seen of it is that nothing happens. The sanitizers watch that it
 * stays within bounds and, with a thread that writes meanwhile, within the locks.
 */
#include "store/coll.h"
#include "store_test.h"

#include <pthread.h>

enum { KEYS = 5000, WRITES = 20000 };

static char names[KEYS][16];
static struct slice keys[KEYS];
static struct slice
    words[KEYS * STORE_WARM_WORDS]; /* every third command has an element, another two words */

static int name_keys(void **state)
{
    for (size_t i = 0; i < KEYS; i++) {
        keys[i] =
            (struct slice){names[i], (size_t)snprintf(names[i], sizeof(names[i]), "key:%zu", i)};
        struct slice *word = &words[i * STORE_WARM_WORDS];
        word[0] = keys[i];
        word[1] = i % 3 != 0 ? keys[i] : (struct slice){NULL, 0};
        word[2] = i % 3 == 2 ? keys[i] : (struct slice){NULL, 0};
    }
    return 0;
}

static void warm_everything(struct rig *r, uint32_t count)
{
    for (uint32_t i = 0; i + count <= KEYS; i += count) {
        store_warm(r->store, r->gate, 0, words + (size_t)i * STORE_WARM_WORDS, count);
    }
}

/* One key with `members` elements: packed if few, else a tree. */
static void make_collection(struct rig *r, enum store_kind kind, size_t key, size_t members)
{
    struct store_hold h;
    rig_hold(r, 0, keys[key], &h);
    for (size_t i = 0; i < members; i++) {
        struct coll_element e = {.name = keys[i], .value = keys[i], .score = (double)i};
        struct store_write meta = {.value = SLICE("")};
        assert_int_equal(kind == STORE_LIST ? coll_push(&h, COLL_TAIL, &keys[i], 1, &meta)
                                            : coll_put(&h, kind, &e, &meta, NULL),
                         ERR_OK);
    }
    store_drop(&h);
}

static void make_collections(struct rig *r)
{
    static const enum store_kind kinds[] = {STORE_SET, STORE_HASH, STORE_ZSET, STORE_LIST};
    size_t key = 1;
    for (size_t i = 0; i < array_len(kinds); i++) {
        for (size_t place = 0; place < STORE_WARM_WORDS; place++) {
            make_collection(r, kinds[i], key, 3);
            make_collection(r, kinds[i], key + 6, KEYS / 2);
            key += 1;
        }
        key += 6;
    }
}

static void count_hits(void *arg, const struct store_item *it)
{
    *(uint64_t *)arg += store_item_hits(it);
}

static uint64_t all_hits(struct rig *r)
{
    uint64_t hits = 0;
    uint64_t cursor = 0;
    do {
        cursor = store_scan(r->store, r->gate, 0, cursor, 100, r->now_ms, count_hits, &hits);
    } while (cursor != 0);
    return hits;
}

static void nothing_changes(void **state)
{
    struct rig r;
    rig_open(&r, 16 * MB, true, NULL);
    warm_everything(&r, STORE_WARM_MAX); /* empty: no index yet */
    make_collections(&r);
    uint64_t made = store_db_size(r.store, 0);
    assert_true(made >= 24);
    for (size_t i = 100; i < KEYS; i += 2) {
        assert_int_equal(rig_write(&r, 0, keys[i], &(struct store_write){.value = SLICE("v")}),
                         ERR_OK);
    }
    uint64_t before = all_hits(&r);
    for (uint32_t count = 0; count <= STORE_WARM_MAX + 3; count++) {
        store_warm(r.store, r.gate, 0, words, count);
    }
    warm_everything(&r, 7);
    assert_int_equal(store_db_size(r.store, 0), made + (KEYS - 100) / 2);
    assert_int_equal(all_hits(&r), before);
    rig_close(&r);
}

static void inside_an_ownership_it_is_left_out(void **state)
{
    struct rig r;
    rig_open(&r, 16 * MB, true, NULL);
    store_own(r.store, r.gate);
    warm_everything(&r, STORE_WARM_MAX);
    store_disown(r.store, r.gate);
    rig_close(&r);
}

struct writer {
    struct store *store;
    struct store_gate *gate;
};

static void make_set(struct store_hold *h, size_t members)
{
    (void)store_remove(h);
    for (size_t i = 0; i < members; i++) {
        struct coll_element e = {.name = keys[i]};
        struct store_write meta = {.value = SLICE("")};
        (void)coll_put(h, STORE_SET, &e, &meta, NULL);
    }
}

static void *write_and_remove(void *arg)
{
    struct writer *w = arg;
    for (size_t i = 0; i < WRITES; i++) {
        struct store_hold h;
        store_hold(w->store, w->gate, 0, keys[i * 7 % KEYS], 1, &h);
        if (i % 3 == 0) {
            (void)store_remove(&h);
        } else if (i % 20 == 1) {
            make_set(&h, i % 400 == 1 ? 400 : 4);
        } else {
            (void)store_put(&h, &(struct store_write){.value = SLICE("a value of some length")});
        }
        store_drop(&h);
    }
    return NULL;
}

static void index_may_grow_meanwhile(void **state)
{
    struct store_space_options space = {.name = "all", .budget_bytes = 16 * MB, .evict = true};
    uint8_t db_space[1] = {0};
    struct rig r = {.now_ms = 1};
    r.store = store_create(&(struct store_options){
        .threads = 2, .space_count = 1, .spaces = &space, .db_count = 1, .db_space = db_space});
    r.gate = store_gate_take(r.store);
    struct writer w = {r.store, store_gate_take(r.store)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_and_remove, &w), 0);
    for (int round = 0; round < 20; round++) {
        warm_everything(&r, STORE_WARM_MAX);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(inside_an_ownership_it_is_left_out),
        cmocka_unit_test(index_may_grow_meanwhile),
    };
    hash_setup_seed(11);
    return cmocka_run_group_tests(tests, name_keys, NULL);
}
