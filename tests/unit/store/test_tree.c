/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trees: what finds no room changes nothing, wherever it fails; nodes move under every kind of reference;
 * what is dropped is freed bit by bit; the shape stays within its bounds.
 */
#include "coll_test.h"
#include "store/tree.h"

enum { FULL_DB = 3, ELEMENTS = 3000 };

static struct slice name_of(uint32_t n, char out[64])
{
    return (struct slice){out, (size_t)snprintf(out, 64, "member %u of many", n)};
}

static enum err put_number(struct rig *r, uint32_t db, const char *key, enum store_kind kind,
                           uint32_t n)
{
    char text[64];
    struct store_hold h;
    struct coll_element e = {.name = name_of(n, text), .score = n % 1000};
    rig_hold(r, db, slice_of(key), &h);
    enum err err = coll_put(&h, kind, &e, &NO_META, NULL);
    store_drop(&h);
    return err;
}

static void build(struct rig *r, uint32_t db, const char *key, enum store_kind kind, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        assert_int_equal(put_number(r, db, key, kind, n), ERR_OK);
    }
}

/* A fingerprint of all elements, in order; 0: no such key. */
static uint64_t print_of(struct rig *r, uint32_t db, const char *key)
{
    struct store_hold h;
    uint64_t print = 0;
    rig_hold(r, db, slice_of(key), &h);
    const struct store_item *it = store_peek(&h, NULL);
    if (it != NULL) {
        struct coll_walk w;
        struct coll_element e;
        print = coll_count(it);
        coll_walk_begin(&h, it, 0, false, &w);
        while (coll_walk_next(&w, &e)) {
            uint64_t score;
            memcpy(&score, &e.score, sizeof(score));
            print = hash_mix(hash_mix(print, hash_slice(e.name)), score);
        }
    }
    store_drop(&h);
    return print;
}

/* --- a space that is full ----------------------------------------------------------------------- */

/* Strings of all sizes until nothing more goes in. */
static uint32_t fill(struct rig *r)
{
    static const char zeros[1100];
    uint32_t count = 0;
    for (size_t len = sizeof(zeros); len > 0; len /= 2) {
        char key[32];
        enum err e = ERR_OK;
        while (e == ERR_OK) {
            size_t key_len = (size_t)snprintf(key, sizeof(key), "fill %u", count);
            e = rig_put(r, FULL_DB, (struct slice){key, key_len}, (struct slice){zeros, len}, 0);
            count += e == ERR_OK;
        }
    }
    return count;
}

typedef enum err change_fn(struct rig *r, uint32_t turn);

/* Tries until it succeeds, with a little more room each time. Returns how often it was refused. */
static uint32_t try_in_full_space(enum store_kind kind, change_fn *change)
{
    struct rig r;
    uint32_t refused = 0;
    rig_open(&r, 1 * MB, false, NULL);
    build(&r, FULL_DB, "k", kind, ELEMENTS);
    uint32_t left = fill(&r);
    for (uint32_t turn = 0; turn < 40; turn++) {
        uint64_t before = print_of(&r, FULL_DB, "k");
        uint64_t target = print_of(&r, FULL_DB, "to");
        enum err e = change(&r, turn);
        while (e != ERR_OK) {
            assert_int_equal(e, ERR_NOSPACE);
            assert_int_equal(print_of(&r, FULL_DB, "k"), before);
            assert_int_equal(print_of(&r, FULL_DB, "to"), target);
            rig_validate(&r);
            refused++;
            char key[32];
            assert_int_not_equal(left, 0);
            size_t len = (size_t)snprintf(key, sizeof(key), "fill %u", --left);
            assert_true(rig_remove(&r, FULL_DB, (struct slice){key, len}));
            e = change(&r, turn);
        }
    }
    rig_validate(&r);
    rig_close(&r);
    return refused;
}

static enum err add_long(struct rig *r, enum store_kind kind, uint32_t turn)
{
    char name[900];
    memset(name, 'a' + (int)(turn % 26), sizeof(name));
    memcpy(name, &turn, sizeof(turn));
    struct coll_element e = {.name = {name, 300 + turn * 13}, .score = turn * 25};
    struct store_hold h;
    rig_hold(r, FULL_DB, SLICE("k"), &h);
    enum err err = coll_put(&h, kind, &e, NULL, NULL);
    store_drop(&h);
    return err;
}

static enum err add_to_zset(struct rig *r, uint32_t turn)
{
    return add_long(r, STORE_ZSET, turn);
}

static enum err add_to_set(struct rig *r, uint32_t turn)
{
    return add_long(r, STORE_SET, turn);
}

static enum err rescore(struct rig *r, uint32_t turn)
{
    struct store_hold h;
    char text[64];
    struct coll_element e = {.name = name_of(turn * 31, text), .score = 500.5};
    rig_hold(r, FULL_DB, SLICE("k"), &h);
    enum err err = coll_put(&h, STORE_ZSET, &e, NULL, NULL);
    store_drop(&h);
    return err;
}

static enum err push_many(struct rig *r, uint32_t turn)
{
    struct slice values[200];
    char text[200][64];
    for (uint32_t i = 0; i < array_len(values); i++) {
        values[i] = name_of(i * turn, text[i]);
    }
    struct store_hold h;
    rig_hold(r, FULL_DB, SLICE("to"), &h);
    enum err e = coll_push(&h, turn % 2 == 0 ? COLL_HEAD : COLL_TAIL, values,
                           turn < 5 ? array_len(values) : 3, &NO_META);
    store_drop(&h);
    return e;
}

static enum err copy_whole(struct rig *r, uint32_t turn)
{
    if (turn > 2) {
        return ERR_OK;
    }
    struct store_hold a;
    struct store_hold b;
    store_own(r->store, r->gate);
    rig_hold(r, FULL_DB, SLICE("k"), &a);
    rig_hold(r, FULL_DB, SLICE("to"), &b);
    enum err e = store_copy(&a, &b, &NO_META);
    store_drop(&a);
    store_drop(&b);
    store_disown(r->store, r->gate);
    return e;
}

static void what_finds_no_room_changes_nothing(void **state)
{
    (void)state;
    assert_true(try_in_full_space(STORE_ZSET, add_to_zset) > 0);
    assert_true(try_in_full_space(STORE_SET, add_to_set) > 0);
    assert_true(try_in_full_space(STORE_SET, push_many) > 0);
    assert_true(try_in_full_space(STORE_ZSET, copy_whole) > 10);
    (void)try_in_full_space(STORE_ZSET, rescore); /* mostly finds room in the leaves */
}

/* --- moving ------------------------------------------------------------------------------------- */

/* Moves each node of the pool to another piece of its class. */
static uint32_t move_all(struct rig *r)
{
    uint32_t moved = 0;
    store_own(r->store, r->gate);
    for (uint32_t i = 0; i < r->store->shard_count; i++) {
        struct slab *s = &r->store->shards[i].pools[0].slab;
        uint32_t top = s->pages.top;
        for (uint32_t page = 1; page < top; page += s->pages.page[page].len) {
            size_t at = 0;
            if (s->pages.page[page].kind != PAGE_SLAB || !slab_run_has_items(s, page)) {
                continue;
            }
            void *piece = slab_run_next_piece(s, page, &at);
            if (piece != NULL && node_is_live(piece)) {
                void *to = slab_alloc(s, slab_bytes(s, piece));
                assert_non_null(to);
                node_move(s, piece, to);
                moved++;
            }
        }
    }
    store_disown(r->store, r->gate);
    return moved;
}

static void nodes_move_under_every_reference(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 16 * MB, true, NULL);
    build(&r, 0, "z", STORE_ZSET, ELEMENTS);
    build(&r, 0, "s", STORE_SET, ELEMENTS);
    build(&r, 0, "gone", STORE_ZSET, ELEMENTS);
    uint64_t zset = print_of(&r, 0, "z");
    uint64_t set = print_of(&r, 0, "s");
    assert_true(rig_remove(&r, 0, SLICE("gone"))); /* its nodes are in limbo */
    for (int i = 0; i < 50; i++) {
        assert_true(move_all(&r) > 0);
        if (i % 10 == 0) {
            rig_validate(&r);
        }
    }
    assert_int_equal(print_of(&r, 0, "z"), zset);
    assert_int_equal(print_of(&r, 0, "s"), set);
    struct store_hold h; /* and a copy, half made */
    rig_hold(&r, 0, SLICE("z"), &h);
    struct pool *p = hold_pool(&h);
    struct tree t = tree_of(&p->slab, store_inspect(&h));
    assert_true(tree_clone_nodes(&h, &t));
    store_drop(&h);
    assert_int_not_equal(p->building, 0);
    for (int i = 0; i < 50; i++) {
        assert_true(move_all(&r) > 0);
    }
    rig_hold(&r, 0, SLICE("z"), &h);
    tree_clone_undo(&p->slab);
    store_drop(&h);
    rig_validate(&r);
    assert_int_equal(print_of(&r, 0, "z"), zset);
    rig_close(&r);
}

/* --- freeing ------------------------------------------------------------------------------------ */

static void what_is_dropped_is_freed_bit_by_bit(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 16 * MB, true, NULL);
    rig_set(&r, "other", "value");
    uint64_t before = rig_stats(&r, 0).item_bytes;
    build(&r, 0, "z", STORE_ZSET, 20000);
    struct store_hold h;
    rig_hold(&r, 0, SLICE("z"), &h);
    struct pool *p = hold_pool(&h);
    uint64_t nodes = coll_node_bytes(store_peek(&h, NULL));
    assert_true(store_item_bytes(store_peek(&h, NULL)) > nodes);
    assert_true(store_remove(&h));
    store_drop(&h);
    assert_true(rig_stats(&r, 0).item_bytes >= before + nodes); /* still accounted */
    assert_int_not_equal(p->limbo, 0);
    uint64_t left = rig_stats(&r, 0).item_bytes;
    assert_true(node_limbo_free(&p->slab, 10));
    assert_true(rig_stats(&r, 0).item_bytes < left);
    assert_int_not_equal(p->limbo, 0);
    (void)store_expire_some(r.store, r.gate, r.now_ms);
    assert_int_equal(p->limbo, 0);
    assert_int_equal(rig_stats(&r, 0).item_bytes, before);
    rig_close(&r);
}

/* --- shape -------------------------------------------------------------------------------------- */

static uint64_t bytes_of(struct rig *r, const char *key)
{
    struct store_hold h;
    rig_hold(r, 0, slice_of(key), &h);
    uint64_t bytes = store_item_bytes(store_peek(&h, NULL));
    store_drop(&h);
    return bytes;
}

static void what_grows_at_its_end_is_dense(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 64 * MB, true, NULL);
    uint64_t payload = 0;
    for (uint32_t n = 0; n < 20000; n++) {
        char text[64];
        payload += name_of(n, text).len;
        push(&r, "l", COLL_TAIL, text);
    }
    assert_true(bytes_of(&r, "l") < payload + payload / 4);
    for (uint32_t i = 0; i < 19000; i++) { /* thinned out, it gives memory back */
        cut(&r, "l", i % 2 == 0 ? 0 : 19999 - i, 1);
    }
    assert_true(bytes_of(&r, "l") < payload / 10);
    build(&r, 0, "s", STORE_SET, 20000);
    for (uint32_t n = 0; n < 20000; n++) {
        char text[64];
        (void)name_of(n, text);
        if (n % 20 != 0) {
            assert_true(remove_name(&r, "s", text));
        }
    }
    assert_true(bytes_of(&r, "s") < payload / 5);
    rig_close(&r);
}

/* --- scanning ----------------------------------------------------------------------------------- */

struct seen {
    uint8_t times[ELEMENTS];
    uint64_t calls;
};

static void see(void *arg, const struct coll_element *e)
{
    struct seen *s = arg;
    unsigned long n = strtoul(e->name.ptr + strlen("member "), NULL, 10);
    assert_true(n < ELEMENTS && e->score == (double)(n % 1000));
    s->times[n]++;
    s->calls++;
}

/* Every second member goes while the walk is under way; the others must be seen. */
static void scan_sees_whatever_stays(void **state)
{
    (void)state;
    struct rig r;
    struct seen seen = {.calls = 0};
    uint64_t cursor = 0;
    uint32_t steps = 0;
    rig_open(&r, 16 * MB, true, NULL);
    build(&r, 0, "z", STORE_ZSET, ELEMENTS);
    do {
        struct store_hold h;
        rig_hold(&r, 0, SLICE("z"), &h);
        uint64_t before = seen.calls;
        cursor = coll_scan(&h, store_peek(&h, NULL), cursor, 10, see, &seen);
        assert_true(seen.calls - before < 500);
        assert_true(cursor < (uint64_t)1 << 53); /* fits a double */
        store_drop(&h);
        for (uint32_t i = 0; i < 40 && steps < 40; i++) {
            char text[64];
            (void)name_of(steps * 80 % ELEMENTS + i * 2 + 1, text);
            (void)remove_name(&r, "z", text);
        }
        steps++;
    } while (cursor != 0);
    assert_true(steps > 10);
    for (uint32_t n = 0; n < ELEMENTS; n += 2) {
        assert_true(seen.times[n] > 0);
    }
    rig_close(&r);
}

int main(void)
{
    hash_setup_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_finds_no_room_changes_nothing),
        cmocka_unit_test(nodes_move_under_every_reference),
        cmocka_unit_test(what_is_dropped_is_freed_bit_by_bit),
        cmocka_unit_test(what_grows_at_its_end_is_dense),
        cmocka_unit_test(scan_sees_whatever_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
