/* SPDX-License-Identifier: BSD-3-Clause */
/* The index: finds what was put in, at any size, and its cursor survives growing and shrinking. */
#include "store_test.h"

#include "store/table.h"

enum { MANY = 100000 };

struct table_rig {
    struct space space;
    struct slab slab;
    struct table table;
};

static void table_open(struct table_rig *r)
{
    memset(r, 0, sizeof(*r));
    r->space.limit = 256ULL * MB;
    r->space.budget = 256ULL * MB;
    slab_init(&r->slab, &r->space, 1);
    table_init(&r->table, &r->slab);
}

static void table_close(struct table_rig *r)
{
    table_validate(&r->table);
    slab_validate(&r->slab);
    table_forget(&r->table);
    slab_fini(&r->slab);
    assert_int_equal(space_used(&r->space), 0);
}

static uint64_t hash_of(const uint32_t *k)
{
    return hash_bytes(k, sizeof(*k));
}

static struct slice key_of(const uint32_t *k)
{
    return (struct slice){(const char *)k, sizeof(*k)};
}

static void add(struct table_rig *r, uint32_t k)
{
    struct item_parts parts = {.key = key_of(&k)};
    struct store_item *it = slab_alloc(&r->slab, item_parts_size(&parts));
    item_write(it, &parts);
    struct table_at at = table_reserve(&r->table, hash_of(&k));
    assert_non_null(at.bucket);
    table_insert(&r->table, at, hash_of(&k), it);
    table_tune(&r->table);
}

static bool has(const struct table_rig *r, uint32_t k)
{
    return table_find(&r->table, hash_of(&k), key_of(&k)).bucket != NULL;
}

static void take(struct table_rig *r, uint32_t k)
{
    struct table_at at = table_find(&r->table, hash_of(&k), key_of(&k));
    struct store_item *it = table_item(&r->table, at);
    table_remove(&r->table, hash_of(&k), at);
    slab_free(&r->slab, it);
    table_tune(&r->table);
}

static void finds_everything_at_every_size_on_the_way_up_and_down(void **state)
{
    (void)state;
    struct table_rig r;
    table_open(&r);
    assert_false(has(&r, 7));
    for (uint32_t k = 0; k < MANY; k++) {
        add(&r, k);
        assert_true(has(&r, k) && has(&r, k / 2));
        assert_false(has(&r, k + 1));
    }
    table_validate(&r.table);
    assert_int_equal(table_count(&r.table), MANY);
    for (uint32_t k = 0; k < MANY; k++) {
        take(&r, k);
        assert_false(has(&r, k));
        assert_true(k + 1 == MANY || has(&r, k + 1 + (MANY - k - 1) / 2));
        if (k % 20000 == 0) {
            table_validate(&r.table);
        }
    }
    assert_int_equal(r.slab.pages.free, r.slab.pages.top - 1); /* an empty table owns nothing */
    table_close(&r);
}

static void one_insertion_never_adds_more_than_one_bucket(void **state)
{
    (void)state;
    struct table_rig r;
    table_open(&r);
    uint32_t before = 1;
    for (uint32_t k = 0; k < MANY; k++) {
        add(&r, k);
        assert_true(r.table.buckets - before <= 1);
        before = r.table.buckets;
    }
    assert_true((uint64_t)before * TABLE_LOAD + TABLE_LOAD >= MANY);
    table_close(&r);
}

struct seen {
    unsigned char times[MANY];
};

static void see(void *arg, struct store_item *it)
{
    struct seen *seen = arg;
    uint32_t k;
    memcpy(&k, item_key(it).ptr, sizeof(k));
    seen->times[k]++;
}

static void a_still_table_shows_each_item_once(void **state)
{
    (void)state;
    struct table_rig r;
    struct seen *seen = calloc(1, sizeof(*seen));
    table_open(&r);
    for (uint32_t k = 0; k < MANY; k++) {
        add(&r, k);
    }
    uint32_t cursor = 0;
    uint32_t total = 0;
    do {
        total += table_scan(&r.table, &cursor, see, seen);
    } while (cursor != 0);
    assert_int_equal(total, MANY);
    for (uint32_t k = 0; k < MANY; k++) {
        assert_int_equal(seen->times[k], 1);
    }
    free(seen);
    table_close(&r);
}

/* The first thousand keys stay; around them the table grows and shrinks between any two steps. */
static void a_cursor_misses_nothing_while_the_table_breathes(void **state)
{
    (void)state;
    uint64_t random = test_seed("scan");
    for (int round = 0; round < 10; round++) {
        struct table_rig r;
        struct seen *seen = calloc(1, sizeof(*seen));
        table_open(&r);
        uint32_t low = 1000;
        uint32_t high = 1000;
        for (uint32_t k = 0; k < low; k++) {
            add(&r, k);
        }
        uint32_t cursor = 0;
        bool grows = true;
        do {
            (void)table_scan(&r.table, &cursor, see, seen);
            grows = test_random(&random) % 8 == 0 ? !grows : grows;
            for (uint64_t n = test_random(&random) % 400; n > 0; n--) {
                if (grows && high < MANY) {
                    add(&r, high++);
                } else if (!grows && high > low) {
                    take(&r, --high);
                }
            }
        } while (cursor != 0);
        for (uint32_t k = 0; k < low; k++) {
            assert_true(seen->times[k] > 0);
        }
        free(seen);
        table_close(&r);
    }
}

/* Never tuned, as if no page could be had: one bucket with a chain of hundreds. */
static void without_room_to_grow_chains_stay_right(void **state)
{
    (void)state;
    struct table_rig r;
    table_open(&r);
    for (uint32_t k = 0; k < 3000; k++) {
        struct item_parts parts = {.key = key_of(&k)};
        struct store_item *it = slab_alloc(&r.slab, item_parts_size(&parts));
        item_write(it, &parts);
        table_insert(&r.table, table_reserve(&r.table, hash_of(&k)), hash_of(&k), it);
        assert_true(has(&r, k) && has(&r, k / 3));
    }
    assert_int_equal(r.table.buckets, 1);
    table_tune(&r.table); /* too long to split in one go: left alone */
    table_validate(&r.table);
    for (uint32_t k = 0; k < 2900; k++) {
        take(&r, k);
        assert_false(has(&r, k));
    }
    for (uint32_t k = 2900; k < 3000; k++) {
        assert_true(has(&r, k));
    }
    assert_true(r.table.buckets > 1); /* the way back to its size */
    table_close(&r);
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_everything_at_every_size_on_the_way_up_and_down),
        cmocka_unit_test(one_insertion_never_adds_more_than_one_bucket),
        cmocka_unit_test(a_still_table_shows_each_item_once),
        cmocka_unit_test(a_cursor_misses_nothing_while_the_table_breathes),
        cmocka_unit_test(without_room_to_grow_chains_stay_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
