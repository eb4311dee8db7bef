/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random operations against a naive model: an array of what each key must hold.
 *
 * Two stores: a roomy one, which must agree with the model exactly, and a tight evicting one, which
 * may only ever hold a key's newest value or nothing. Time is the test's own. The seed is printed.
 */
#include "store_test.h"

enum { KEYS = 3000, DBS = 3, STEPS = 120000, VALUE_MAX = 3000, VALIDATE_EVERY = 1000 };

struct model_item {
    bool present;
    char *value;
    size_t len;
    uint64_t expiry_ms;
};

struct model {
    struct rig rig;
    uint64_t random;
    bool is_tight; /* evicts: keys may be missing */
    uint64_t keys_seen;
    struct model_item item[DBS][KEYS];
    bool scanned[KEYS];
};

static struct slice key_of(uint32_t k, char out[300])
{
    /* Lengths from 1 to 290: short, long-key form, and prefixes of each other. */
    size_t len = (size_t)snprintf(out, 300, "%u", k);
    size_t want = k % 7 == 0 ? 250 + k % 40 : len + k % 30;
    while (len < want) {
        out[len++] = (char)(k % 11 == 0 ? '\0' : '.');
    }
    return (struct slice){out, len};
}

static uint32_t pick(struct model *m, uint32_t below)
{
    return (uint32_t)(test_random(&m->random) % below);
}

static void forget(struct model_item *it)
{
    free(it->value);
    *it = (struct model_item){.present = false};
}

static bool is_live(const struct model *m, const struct model_item *it)
{
    return it->present && (it->expiry_ms == 0 || it->expiry_ms > m->rig.now_ms);
}

static struct model_item *item_of(struct model *m, uint32_t db, uint32_t k)
{
    struct model_item *it = &m->item[db][k];
    if (it->present && !is_live(m, it)) {
        forget(it);
    }
    return it;
}

static uint64_t some_expiry(struct model *m)
{
    return pick(m, 3) == 0 ? m->rig.now_ms + 1 + pick(m, 20000) : 0;
}

static size_t some_len(struct model *m)
{
    switch (pick(m, 20)) {
    case 0:
        return 0;
    case 1:
        return pick(m, 120000); /* runs of their own */
    default:
        return pick(m, pick(m, 4) == 0 ? VALUE_MAX : 150);
    }
}

static void fill(struct model *m, char *out, size_t len)
{
    uint64_t word = test_random(&m->random);
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)(word >> (i % 8 * 8) ^ i / 8);
    }
}

static void step_put(struct model *m, uint32_t db, uint32_t k)
{
    char key[300];
    struct model_item *it = item_of(m, db, k);
    size_t len = some_len(m);
    char *value = malloc(len + 1);
    fill(m, value, len);
    uint64_t expiry = some_expiry(m);
    assert_int_equal(rig_put(&m->rig, db, key_of(k, key), (struct slice){value, len}, expiry),
                     ERR_OK);
    forget(it);
    *it = (struct model_item){true, value, len, expiry};
}

static void step_edit(struct model *m, uint32_t db, uint32_t k)
{
    char key[300];
    struct model_item *it = item_of(m, db, k);
    struct store_hold h;
    rig_hold(&m->rig, db, key_of(k, key), &h);
    if (m->is_tight && store_peek(&h, NULL) == NULL) {
        forget(it);
    }
    size_t old = it->len;
    size_t len = pick(m, 3) == 0 ? old / 2 : old + pick(m, 200);
    struct store_write meta = {.expiry_ms = some_expiry(m)};
    char *value;
    assert_int_equal(store_edit(&h, len, &meta, &value), ERR_OK);
    it->value = realloc(it->value, len + 1);
    for (size_t i = 0; i < len; i++) {
        char kept = i < old ? it->value[i] : 0;
        assert_int_equal(value[i], kept);
        it->value[i] = kept;
    }
    if (len > 0) {
        size_t at = pick(m, (uint32_t)len);
        it->value[at] = value[at] = 'e';
    }
    if (!it->present) {
        it->expiry_ms = meta.expiry_ms;
    }
    it->len = len;
    it->present = true;
    store_drop(&h);
}

static void step_remove(struct model *m, uint32_t db, uint32_t k)
{
    char key[300];
    struct model_item *it = item_of(m, db, k);
    bool removed = rig_remove(&m->rig, db, key_of(k, key));
    assert_true(m->is_tight ? !removed || it->present : removed == it->present);
    forget(it);
}

static void step_expire(struct model *m, uint32_t db, uint32_t k)
{
    char key[300];
    struct model_item *it = item_of(m, db, k);
    uint64_t expiry = some_expiry(m);
    bool found = rig_expire(&m->rig, db, key_of(k, key), expiry);
    assert_true(m->is_tight ? !found || it->present : found == it->present);
    if (found) {
        it->expiry_ms = expiry;
    }
}

static void step_read(struct model *m, uint32_t db, uint32_t k)
{
    char key[300];
    const struct model_item *it = item_of(m, db, k);
    struct store_hold h;
    rig_hold(&m->rig, db, key_of(k, key), &h);
    const struct store_item *got = store_lookup(&h, NULL);
    if (got != NULL || !m->is_tight) {
        assert_true((got != NULL) == it->present);
    }
    if (got != NULL) {
        struct slice value = store_item_value(got);
        assert_int_equal(value.len, it->len);
        assert_true(it->len == 0 || memcmp(value.ptr, it->value, it->len) == 0);
        assert_int_equal(store_item_expiry(got), it->expiry_ms);
        assert_true(slice_eq(store_item_key(got), h.key));
    }
    store_drop(&h);
}

static void see(void *arg, const struct store_item *it)
{
    struct model *m = arg;
    struct slice key = store_item_key(it);
    char text[16] = {0};
    for (size_t i = 0; i < key.len && i < 15 && key.ptr[i] >= '0' && key.ptr[i] <= '9'; i++) {
        text[i] = key.ptr[i];
    }
    uint32_t k = (uint32_t)strtoul(text, NULL, 10);
    assert_in_range(k, 0, KEYS - 1);
    m->scanned[k] = true;
    m->keys_seen++;
}

static void step_scan(struct model *m, uint32_t db)
{
    memset(m->scanned, 0, sizeof(m->scanned));
    m->keys_seen = 0;
    uint64_t cursor = 0;
    do {
        cursor = store_scan(m->rig.store, m->rig.gate, db, cursor, 1 + pick(m, 50), m->rig.now_ms,
                            see, m);
    } while (cursor != 0);
    uint64_t live = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        bool expected = is_live(m, &m->item[db][k]);
        assert_true(m->is_tight ? !m->scanned[k] || expected : m->scanned[k] == expected);
        live += m->scanned[k];
    }
    assert_int_equal(m->keys_seen, live); /* nothing changed meanwhile: none twice */
}

static void step_flush(struct model *m, uint32_t db)
{
    store_own(m->rig.store, m->rig.gate);
    store_db_flush(m->rig.store, db);
    store_disown(m->rig.store, m->rig.gate);
    for (uint32_t k = 0; k < KEYS; k++) {
        forget(&m->item[db][k]);
    }
    assert_int_equal(store_db_size(m->rig.store, db), 0);
}

static void step_swap(struct model *m)
{
    uint32_t a = pick(m, DBS);
    uint32_t b = pick(m, DBS);
    store_own(m->rig.store, m->rig.gate);
    assert_true(store_db_swap(m->rig.store, a, b, 0));
    store_disown(m->rig.store, m->rig.gate);
    for (uint32_t k = 0; k < KEYS; k++) {
        struct model_item swap = m->item[a][k];
        m->item[a][k] = m->item[b][k];
        m->item[b][k] = swap;
    }
}

static void step(struct model *m)
{
    uint32_t db = pick(m, DBS);
    uint32_t k = pick(m, 1 + pick(m, KEYS));
    uint32_t what = pick(m, 1000);
    if (what < 350) {
        step_put(m, db, k);
    } else if (what < 650) {
        step_read(m, db, k);
    } else if (what < 750) {
        step_edit(m, db, k);
    } else if (what < 870) {
        step_remove(m, db, k);
    } else if (what < 960) {
        step_expire(m, db, k);
    } else if (what < 990) {
        m->rig.now_ms += pick(m, 200);
    } else if (what < 996) {
        (void)store_expire_some(m->rig.store, m->rig.gate, m->rig.now_ms);
    } else if (what < 998) {
        step_scan(m, db);
    } else if (pick(m, 40) == 0) {
        step_flush(m, db);
    } else if (pick(m, 10) == 0) {
        step_swap(m);
    }
}

static void run(const char *what, uint64_t budget, bool is_tight, uint64_t seed)
{
    struct model *m = calloc(1, sizeof(*m));
    m->random = seed;
    m->is_tight = is_tight;
    rig_open(&m->rig, budget, is_tight, NULL);
    for (uint32_t i = 0; i < STEPS; i++) {
        step(m);
        struct store_space_stats stats = rig_stats(&m->rig, 0);
        assert_true(stats.used_bytes <= stats.budget_bytes);
        if (i % VALIDATE_EVERY == 0 || getenv("EACH") != NULL) {
            rig_validate(&m->rig);
        }
    }
    for (uint32_t db = 0; db < DBS; db++) {
        step_scan(m, db);
        for (uint32_t k = 0; k < KEYS; k++) {
            step_read(m, db, k);
            forget(&m->item[db][k]);
        }
    }
    assert_true(is_tight == (rig_stats(&m->rig, 0).evicted > 0));
    print_message("# %s: %d steps agree\n", what, STEPS);
    rig_close(&m->rig);
    free(m);
}

static void roomy_store_agrees_with_the_model(void **state)
{
    (void)state;
    uint64_t seed = test_seed("roomy");
    for (uint64_t i = 0; i < 3; i++) {
        run("roomy", 512ULL * MB, false, seed + i);
    }
}

static void tight_store_holds_newest_values_or_nothing(void **state)
{
    (void)state;
    uint64_t seed = test_seed("tight");
    for (uint64_t i = 0; i < 3; i++) {
        run("tight", 3ULL * MB, true, seed + i);
    }
}

/* A quarter of it is the largest value: the window, its ghosts and the index have a few pages each. */
static void tiny_store_holds_newest_values_or_nothing(void **state)
{
    (void)state;
    run("tiny", 512ULL * 1024, true, test_seed("tiny"));
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roomy_store_agrees_with_the_model),
        cmocka_unit_test(tight_store_holds_newest_values_or_nothing),
        cmocka_unit_test(tiny_store_holds_newest_values_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
