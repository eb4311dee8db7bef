/* SPDX-License-Identifier: BSD-3-Clause */
/* Gates, holds and ownership, with real threads; run it under the thread sanitizer too. */
#include "store_test.h"

#include <pthread.h>

enum { THREADS = 4, STEPS = 10000, COUNTERS = 8, ACCOUNTS = 16, START = 1000 };

struct worker {
    struct store *store;
    struct store_gate *gate;
    uint64_t random;
    uint64_t added;
    pthread_t thread;
};

static struct store *open_store(uint64_t budget, uint32_t shards)
{
    struct store_space_options space = {.name = "all", .budget_bytes = budget, .evict = true};
    uint8_t db_space[3] = {0, 0, 0};
    struct store_options options = {.shards = shards,
                                    .threads = THREADS + 1,
                                    .space_count = 1,
                                    .spaces = &space,
                                    .db_count = 3,
                                    .db_space = db_space};
    return store_create(&options);
}

static void put_number(struct store_hold *h, int64_t n)
{
    char text[32];
    struct store_write w = {.value = {text, (size_t)snprintf(text, sizeof(text), "%ld", (long)n)}};
    assert_int_equal(store_put(h, &w), ERR_OK);
}

static int64_t get_number(struct store_hold *h)
{
    const struct store_item *it = store_lookup(h, NULL);
    if (it == NULL) {
        return 0;
    }
    char text[32] = {0};
    struct slice value = store_item_value(it);
    memcpy(text, value.ptr, value.len);
    return strtol(text, NULL, 10);
}

static struct slice name(const char *kind, uint64_t n, char out[32])
{
    return (struct slice){out, (size_t)snprintf(out, 32, "%s%u", kind, (unsigned)n)};
}

/* Adds one to a counter: read and write in one hold. */
static void add_one(struct worker *w)
{
    char key[32];
    struct store_hold h;
    uint64_t n = test_random(&w->random) % COUNTERS;
    store_hold(w->store, w->gate, 0, name("counter", n, key), 1, &h);
    put_number(&h, get_number(&h) + 1);
    store_drop(&h);
    w->added++;
}

static int64_t sum_counters(struct worker *w)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < COUNTERS; i++) {
        char key[32];
        struct store_hold h;
        store_hold(w->store, w->gate, 0, name("counter", i, key), 1, &h);
        sum += get_number(&h);
        store_drop(&h);
    }
    return sum;
}

/* Moves money between two accounts inside an ownership, and sees the sum unbroken: nobody else
 * writes, owners or not. */
static void transfer(struct worker *w)
{
    char key[32];
    struct store_hold h;
    store_own(w->store, w->gate);
    int64_t counted = sum_counters(w);
    int64_t sum = 0;
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        store_hold(w->store, w->gate, 1, name("account", i, key), 1, &h);
        assert_true(h.owned);
        sum += get_number(&h);
        store_drop(&h);
    }
    assert_int_equal(sum, ACCOUNTS * START);
    for (int side = -1; side <= 1; side += 2) {
        uint64_t n = test_random(&w->random) % ACCOUNTS;
        store_hold(w->store, w->gate, 1, name("account", n, key), 1, &h);
        put_number(&h, get_number(&h) + side * 7);
        store_drop(&h);
    }
    assert_int_equal(sum_counters(w), counted);
    store_disown(w->store, w->gate);
}

static void see(void *arg, const struct store_item *it)
{
    *(uint64_t *)arg += store_item_value(it).len > 0;
}

/* The rest of the face, all at once: everything that takes a gate. */
static void do_something_else(struct worker *w)
{
    char key[32];
    struct store_hold h;
    struct store_watch watch = {.key = key};
    uint64_t n = test_random(&w->random) % 500;
    struct slice k = name("other", n, key);
    watch.key_len = k.len;
    store_hold(w->store, w->gate, 2, k, 1, &h);
    store_watch_add(&h, &watch);
    struct store_write put = {.value = k, .expiry_ms = n % 3 == 0 ? n + 1 : 0};
    assert_int_equal(store_put(&h, &put), ERR_OK);
    store_drop(&h);
    assert_true(store_watch_dirty(w->store, w->gate, &watch, 1));
    store_watch_remove(w->store, w->gate, &watch);
    uint64_t seen = 0;
    (void)store_scan(w->store, w->gate, 2, n, 5, 1, see, &seen);
    if (n % 50 == 0) {
        (void)store_expire_some(w->store, w->gate, n);
    }
    struct store_space_stats stats;
    store_space_stats(w->store, 0, &stats);
    assert_true(stats.used_bytes <= stats.budget_bytes);
    assert_in_range(store_db_size(w->store, 2), 0, 500);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t what = test_random(&w->random) % 20;
        if (what < 12) {
            add_one(w);
        } else if (what < 13) {
            transfer(w);
        } else {
            do_something_else(w);
        }
    }
    return NULL;
}

static void threads_lose_no_update_and_owners_see_no_half_turn(void **state)
{
    (void)state;
    uint64_t seed = test_seed("threads");
    struct store *s = open_store(16ULL * MB, 0);
    struct store_gate *gate = store_gate_take(s);
    char key[32];
    struct store_hold h;
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        store_hold(s, gate, 1, name("account", i, key), 1, &h);
        put_number(&h, START);
        store_drop(&h);
    }
    struct worker workers[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = s, .gate = store_gate_take(s), .random = seed + i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    int64_t added = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        added += (int64_t)workers[i].added;
    }
    int64_t counted = 0;
    for (uint32_t i = 0; i < COUNTERS; i++) {
        store_hold(s, gate, 0, name("counter", i, key), 1, &h);
        counted += get_number(&h);
        store_drop(&h);
    }
    assert_int_equal(counted, added);
    store_own(s, gate);
    store_validate(s);
    store_disown(s, gate);
    store_destroy(&s);
}

/* So little memory that shards must take from each other while other threads use them. */
static void *crowd(void *arg)
{
    struct worker *w = arg;
    static const char bytes[60000];
    for (uint32_t i = 0; i < STEPS / 4; i++) {
        char key[32];
        struct store_hold h;
        size_t len = test_random(&w->random) % (i % 4 == 0 ? sizeof(bytes) : 2000);
        store_hold(w->store, w->gate, 0, name("k", test_random(&w->random) % 3000, key), 1, &h);
        struct store_write put = {.value = {bytes, len}};
        enum err e = store_put(&h, &put);
        w->added += e == ERR_OK;
        assert_true(e == ERR_OK || e == ERR_NOSPACE);
        store_drop(&h);
        struct store_space_stats stats;
        store_space_stats(w->store, 0, &stats);
        assert_true(stats.used_bytes <= stats.budget_bytes);
    }
    return NULL;
}

static void crowded_shards_take_room_from_each_other(void **state)
{
    (void)state;
    uint64_t seed = test_seed("crowd");
    struct store *s = open_store(400 * 1024, 8);
    struct worker workers[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = s, .gate = store_gate_take(s), .random = seed + i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, crowd, &workers[i]), 0);
    }
    uint64_t added = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        added += workers[i].added;
    }
    assert_true(added > THREADS * STEPS / 4 / 2);
    struct store_gate *gate = store_gate_take(s);
    store_own(s, gate);
    store_validate(s);
    store_disown(s, gate);
    store_destroy(&s);
}

static void an_owner_holds_many_keys_at_once(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, 4ULL * MB, true, NULL);
    store_own(r.store, r.gate);
    struct store_hold h[20];
    char key[20][32];
    for (uint32_t i = 0; i < 20; i++) {
        rig_hold(&r, i % 3, name("k", i, key[i]), &h[i]);
        put_number(&h[i], i);
    }
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(get_number(&h[i]), i);
        store_drop(&h[i]);
    }
    store_disown(r.store, r.gate);
    rig_close(&r);
}

static void shards_are_few_for_little_memory_and_more_for_many_threads(void **state)
{
    (void)state;
    /* Seen from outside: an almost empty store owns a few pages a shard. */
    struct store *small = open_store(300 * 1024, 0);
    struct store *large = open_store(512ULL * MB, 0);
    struct store *stores[] = {small, large};
    uint64_t used[2];
    for (int s = 0; s < 2; s++) {
        struct store_gate *gate = store_gate_take(stores[s]);
        for (uint32_t i = 0; i < 500; i++) {
            char key[32];
            struct store_hold h;
            store_hold(stores[s], gate, 0, name("k", i, key), 1, &h);
            put_number(&h, i);
            store_drop(&h);
        }
        struct store_space_stats stats;
        store_space_stats(stores[s], 0, &stats);
        used[s] = stats.used_bytes;
    }
    assert_true(used[0] < 64 * 1024);
    assert_true(used[1] > 2 * used[0] && used[1] < MB);
    store_destroy(&small);
    store_destroy(&large);
}

int main(void)
{
    hash_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_lose_no_update_and_owners_see_no_half_turn),
        cmocka_unit_test(crowded_shards_take_room_from_each_other),
        cmocka_unit_test(an_owner_holds_many_keys_at_once),
        cmocka_unit_test(shards_are_few_for_little_memory_and_more_for_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
