/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of an item: every combination of optional fields reads back as written. */
#include "store_test.h"

#include "store/item.h"

static char long_key[70000];

static void check_round_trip(const struct item_parts *in)
{
    size_t size = item_parts_size(in);
    struct store_item *it = aligned_alloc(8, (size + 7) / 8 * 8);
    item_write(it, in);
    assert_int_equal(item_size(it), size);
    assert_true(item_is_live(it));
    assert_true(slice_eq(store_item_key(it), in->key));
    assert_int_equal(store_item_value(it).len, in->value_len);
    assert_memory_equal(store_item_value(it).ptr, in->value.ptr, in->value.len);
    for (size_t i = in->value.len; i < in->value_len; i++) {
        assert_int_equal(store_item_value(it).ptr[i], 0);
    }
    assert_int_equal(store_item_expiry(it), in->expiry_ms);
    uint32_t count;
    const fresh_dep *deps = store_item_deps(it, &count);
    assert_int_equal(count, in->dep_count);
    assert_int_equal(store_item_stamp(it), in->dep_count != 0 ? in->stamp : 0);
    assert_int_equal((uintptr_t)deps % sizeof(*deps), 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(deps[i], in->deps[i]);
    }
    struct item_parts out;
    item_read(it, &out);
    assert_int_equal(item_parts_size(&out), size);
    assert_int_equal(out.table, in->table);
    assert_int_equal(out.worth, in->worth);
    free(it);
}

static void every_combination_of_fields_reads_back(void **state)
{
    (void)state;
    fresh_dep deps[FRESH_DEPS_MAX];
    for (uint32_t i = 0; i < FRESH_DEPS_MAX; i++) {
        deps[i] = i * 7919;
        long_key[i] = (char)i;
    }
    size_t key_lens[] = {0, 1, 16, 254, 255, 256, 70000};
    uint32_t dep_counts[] = {0, 1, 2, 63, FRESH_DEPS_MAX};
    for (size_t k = 0; k < array_len(key_lens); k++) {
        for (size_t d = 0; d < array_len(dep_counts); d++) {
            for (uint64_t expiry = 0; expiry < 2; expiry++) {
                struct item_parts parts = {
                    .key = {long_key, key_lens[k]},
                    .value = SLICE("the\0value"),
                    .value_len = 9 + k,
                    .expiry_ms = expiry << 60,
                    .stamp = UINT64_MAX / 3,
                    .deps = deps,
                    .dep_count = dep_counts[d],
                    .worth = 0x7a,
                    .table = 63,
                };
                check_round_trip(&parts);
            }
        }
    }
}

static void an_item_pays_only_for_the_fields_it_has(void **state)
{
    (void)state;
    fresh_dep deps[] = {1, 2, 3};
    struct item_parts parts = {.key = SLICE("k"), .value = SLICE("v"), .value_len = 1};
    assert_int_equal(item_parts_size(&parts), 8 + 2);
    parts.expiry_ms = 1;
    assert_int_equal(item_parts_size(&parts), 8 + 8 + 2);
    parts.deps = deps;
    parts.dep_count = 3;
    assert_int_equal(item_parts_size(&parts), 8 + 8 + 8 + 3 * 4 + 2);
}

static void a_dearer_fill_is_never_worth_less(void **state)
{
    (void)state;
    assert_int_equal(item_worth_of_cost(0), 0);
    uint8_t before = 0;
    for (uint64_t cost = 1; cost <= UINT32_MAX; cost *= 3) {
        uint8_t worth = item_worth_of_cost((uint32_t)cost);
        assert_true(worth >= before);
        assert_int_equal(worth & ITEM_HITS, 0);
        before = worth;
    }
    assert_true(item_worth_of_cost(1000 * 1000) > item_worth_of_cost(1000));
    assert_int_equal(item_worth_of_cost(UINT32_MAX) >> ITEM_COST_SHIFT, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_of_fields_reads_back),
        cmocka_unit_test(an_item_pays_only_for_the_fields_it_has),
        cmocka_unit_test(a_dearer_fill_is_never_worth_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
