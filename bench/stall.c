/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stall: the slowest single operation while a store grows, and while it shrinks again.
 *
 *     stall KEYS [SHARDS]
 *
 * Stores KEYS keys of 16 bytes with values of 100, then looks each up, then removes them all, every operation
 * timed by itself. Prints a line for each: name, operations, then microseconds: mean, p99, p99.9, p99.99, max,
 * and how many took longer than 1 ms. Beside the wall clock, on which anything else that the machine did shows,
 * stands the slowest operation by the thread's own CPU time among those above 100 us.
 */
#include "base/check.h"
#include "base/hash.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BINS = 1 << 16, BIN_NS = 100, SLOW_NS = 100 * 1000, STALL_NS = 1000 * 1000 };

struct times {
    uint64_t bin[BINS]; /* of BIN_NS; the last: longer */
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t max_cpu_ns;
    uint64_t stalls;
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void note(struct times *t, uint64_t ns, uint64_t cpu_ns)
{
    uint64_t bin = ns / BIN_NS;
    t->bin[bin < BINS ? bin : BINS - 1]++;
    t->count++;
    t->sum_ns += ns;
    t->max_ns = ns > t->max_ns ? ns : t->max_ns;
    t->max_cpu_ns = cpu_ns > t->max_cpu_ns ? cpu_ns : t->max_cpu_ns;
    t->stalls += ns > STALL_NS;
}

static double percentile(const struct times *t, double share)
{
    uint64_t want = (uint64_t)((double)t->count * share);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BINS; i++) {
        seen += t->bin[i];
        if (seen > want) {
            return (i + 1) * BIN_NS / 1000.0;
        }
    }
    return (double)t->max_ns / 1000;
}

static void print(const char *name, const struct times *t)
{
    printf("%s %llu %.2f %.1f %.1f %.1f %.0f %llu %.0f\n", name, (unsigned long long)t->count,
           (double)t->sum_ns / (double)t->count / 1000, percentile(t, 0.99), percentile(t, 0.999),
           percentile(t, 0.9999), (double)t->max_ns / 1000, (unsigned long long)t->stalls,
           (double)t->max_cpu_ns / 1000);
    (void)fflush(stdout);
}

enum op { PUT, GET, DEL };

static bool perform(struct store *s, struct store_gate *g, enum op op, uint32_t i)
{
    static char value[100];
    char key[17];
    (void)snprintf(key, sizeof(key), "key:%012u", i);
    struct store_hold h;
    store_hold(s, g, 0, (struct slice){key, 16}, 1000, &h);
    bool done;
    if (op == PUT) {
        struct store_write w = {.value = {value, sizeof(value)}};
        done = store_put(&h, &w) == ERR_OK;
    } else if (op == GET) {
        done = store_lookup(&h, NULL) != NULL;
    } else {
        done = store_remove(&h);
    }
    store_drop(&h);
    return done;
}

static void run(struct store *s, struct store_gate *g, const char *name, enum op op, uint32_t keys)
{
    struct times *t = calloc(1, sizeof(*t));
    check(t != NULL);
    uint64_t cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < keys; i++) {
        uint64_t began = now_ns(CLOCK_MONOTONIC);
        check(perform(s, g, op, i));
        uint64_t took = now_ns(CLOCK_MONOTONIC) - began;
        uint64_t used = 0;
        if (took > SLOW_NS || i % 16 == 0) { /* since the last look: a bound from above */
            uint64_t now = now_ns(CLOCK_THREAD_CPUTIME_ID);
            used = took > SLOW_NS ? now - cpu : 0;
            cpu = now;
        }
        note(t, took, used);
    }
    print(name, t);
    free(t);
}

int main(int argc, char **argv)
{
    hash_setup();
    if (argc < 2) {
        (void)fprintf(stderr, "usage: stall KEYS [SHARDS]\n");
        return 2;
    }
    uint32_t keys = (uint32_t)strtoul(argv[1], NULL, 10);
    struct store_space_options space = {
        .name = "cache", .budget_bytes = (uint64_t)keys * 200 + (64 << 20), .evict = true};
    uint8_t db_space[] = {0};
    struct store_options o = {.threads = 1,
                              .shards = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0,
                              .space_count = 1,
                              .spaces = &space,
                              .db_count = 1,
                              .db_space = db_space};
    struct store *s = store_create(&o);
    struct store_gate *g = store_gate_take(s);
    run(s, g, "put", PUT, keys);
    run(s, g, "overwrite", PUT, keys);
    run(s, g, "get", GET, keys);
    run(s, g, "remove", DEL, keys);
    store_destroy(&s);
    return 0;
}
