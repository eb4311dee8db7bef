/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict: how often the store misses on a recorded trace, beside exact policies of the same memory.
 *
 *     evict sizes=file|unit PERCENT... < trace        one request a line: time key size
 *
 * Prints a line for each policy and size of the cache: policy, percent, bytes, requests, the share of
 * requests and of bytes that missed. Every request is a lookup which stores on a miss.
 *
 * An object costs its value, its key and OVERHEAD bytes: about what the store spends on an item, index
 * and all. The footprint of a trace is that for all its objects, the cache a share of it; the exact
 * policies below are charged the same. What the store wastes beyond (size classes, half-used pages, the
 * policy's own memory) therefore shows in its figures as misses. Budgets below BUDGET_MIN are left out.
 *
 *      store     the real one, one thread       store-8   the same with shards for eight threads
 *      lru       exact                          lru-5     five samples and a pool, as redis-server does
 *      s3fifo    exact, in bytes: small queue of a tenth, ghosts for as many bytes as main holds
 *      gdsf      greedy dual by size and frequency, exact (a heap)
 *
 * Sources: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023; Cherkasova, "Improving WWW
 * proxies performance with greedy-dual-size-frequency caching policy", HP Labs 1998.
 */
#include "base/check.h"
#include "base/hash.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 12, OVERHEAD = 24, UNIT = 1000, SAMPLES = 5, POOL = 16 };
enum { BUDGET_MIN = 512 * 1024 };

struct request {
    uint32_t key;
    uint32_t size; /* of the value */
};

static struct request *requests;
static size_t request_count;
static uint32_t key_count;
static uint64_t footprint;

struct result {
    uint64_t misses;
    uint64_t missed_bytes;
    uint64_t bytes;
};

static uint64_t cost(uint32_t size)
{
    return (uint64_t)size + KEY_BYTES + OVERHEAD;
}

static void load(bool unit)
{
    size_t cap = 0;
    unsigned long long time;
    unsigned key;
    unsigned size;
    uint8_t *seen = NULL;
    while (scanf("%llu %u %u", &time, &key, &size) == 3) {
        if (request_count == cap) {
            cap = cap == 0 ? 1 << 20 : cap * 2;
            requests = realloc(requests, cap * sizeof(*requests));
            check(requests != NULL);
        }
        if (key >= key_count) {
            seen = realloc(seen, 2 * (size_t)key + 1);
            check(seen != NULL);
            memset(seen + key_count, 0, 2 * (size_t)key + 1 - key_count);
            key_count = 2 * key + 1;
        }
        size = unit ? UNIT : size;
        footprint += seen[key] ? 0 : cost(size);
        seen[key] = 1;
        requests[request_count++] = (struct request){key, size};
    }
    free(seen);
}

static uint64_t random_state = 88172645463325252ULL;

static uint32_t draw(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % below;
}

static void note(struct result *r, const struct request *q, bool hit)
{
    r->bytes += q->size;
    r->misses += !hit;
    r->missed_bytes += hit ? 0 : q->size;
}

/* --- the store -------------------------------------------------------------------------------- */

static void run_store(uint64_t budget, uint32_t threads, struct result *r)
{
    static char value[64 * 1024 * 1024];
    struct store_space_options space = {.name = "cache", .budget_bytes = budget, .evict = true};
    uint8_t db_space[] = {0};
    struct store_options o = {.threads = threads,
                              .space_count = 1,
                              .spaces = &space,
                              .db_count = 1,
                              .db_space = db_space};
    struct store *s = store_create(&o);
    struct store_gate *g = store_gate_take(s);
    for (size_t i = 0; i < request_count; i++) {
        const struct request *q = &requests[i];
        char key[KEY_BYTES + 1];
        (void)snprintf(key, sizeof(key), "key:%08x", q->key);
        struct store_hold h;
        store_hold(s, g, 0, (struct slice){key, KEY_BYTES}, 1000, &h);
        bool hit = store_lookup(&h, NULL) != NULL;
        if (!hit) {
            struct store_write w = {.value = {value, q->size}};
            (void)store_put(&h, &w);
        }
        store_drop(&h);
        note(r, q, hit);
    }
    store_own(s, g);
    store_validate(s);
    store_disown(s, g);
    store_destroy(&s);
}

static void run_store_1(uint64_t budget, struct result *r)
{
    run_store(budget, 1, r);
}

static void run_store_8(uint64_t budget, struct result *r)
{
    run_store(budget, 8, r);
}

/* --- queues of keys, for the exact policies ----------------------------------------------------- */

enum place { NOWHERE, SMALL, MAIN };

struct node {
    uint32_t next; /* towards the head; 0: none. Keys are counted from 1 here */
    uint32_t prev;
    uint32_t size;
    uint8_t place;
    uint8_t hits;
};

struct queue {
    uint32_t head; /* newest */
    uint32_t tail;
    uint64_t bytes;
};

static void queue_push(struct queue *q, struct node *nodes, uint32_t k)
{
    nodes[k].next = 0;
    nodes[k].prev = q->head;
    if (q->head != 0) {
        nodes[q->head].next = k;
    } else {
        q->tail = k;
    }
    q->head = k;
    q->bytes += cost(nodes[k].size);
}

static void queue_remove(struct queue *q, struct node *nodes, uint32_t k)
{
    const struct node *n = &nodes[k];
    if (n->next != 0) {
        nodes[n->next].prev = n->prev;
    } else {
        q->head = n->prev;
    }
    if (n->prev != 0) {
        nodes[n->prev].next = n->next;
    } else {
        q->tail = n->next;
    }
    q->bytes -= cost(n->size);
}

static void run_lru(uint64_t budget, struct result *r)
{
    struct node *nodes = calloc(key_count + 1, sizeof(*nodes));
    check(nodes != NULL);
    struct queue queue = {0};
    for (size_t i = 0; i < request_count; i++) {
        const struct request *q = &requests[i];
        uint32_t k = q->key + 1;
        bool hit = nodes[k].place != NOWHERE;
        note(r, q, hit);
        if (hit) {
            queue_remove(&queue, nodes, k);
        } else if (cost(q->size) > budget) {
            continue;
        }
        nodes[k].size = q->size;
        nodes[k].place = MAIN;
        queue_push(&queue, nodes, k);
        while (queue.bytes > budget) {
            uint32_t out = queue.tail;
            queue_remove(&queue, nodes, out);
            nodes[out].place = NOWHERE;
        }
    }
    free(nodes);
}

/* --- S3-FIFO ------------------------------------------------------------------------------------ */

struct s3 {
    struct node *nodes;
    struct queue small;
    struct queue main;
    uint64_t *ghost; /* when it left, in bytes that left so far; 0: it did not */
    uint64_t left;
    uint64_t small_max;
    uint64_t budget;
};

enum { S3_PROMOTE = 2, S3_HITS = 3 };

static void s3_move(struct s3 *s, struct queue *from, struct queue *to, uint32_t k, uint8_t place)
{
    queue_remove(from, s->nodes, k);
    queue_push(to, s->nodes, k);
    s->nodes[k].place = place;
}

static void s3_evict(struct s3 *s)
{
    if (s->small.bytes > s->small_max || s->main.bytes == 0) {
        uint32_t k = s->small.tail;
        if (s->nodes[k].hits >= S3_PROMOTE) {
            s3_move(s, &s->small, &s->main, k, MAIN);
            s->nodes[k].hits = 0;
            return;
        }
        queue_remove(&s->small, s->nodes, k);
        s->nodes[k].place = NOWHERE;
        s->left += cost(s->nodes[k].size);
        s->ghost[k] = s->left;
        return;
    }
    uint32_t k = s->main.tail;
    if (s->nodes[k].hits > 0) {
        s->nodes[k].hits--;
        s3_move(s, &s->main, &s->main, k, MAIN);
        return;
    }
    queue_remove(&s->main, s->nodes, k);
    s->nodes[k].place = NOWHERE;
}

static void run_s3fifo(uint64_t budget, struct result *r)
{
    struct s3 s = {.small_max = budget / 10, .budget = budget};
    s.nodes = calloc(key_count + 1, sizeof(*s.nodes));
    s.ghost = calloc(key_count + 1, sizeof(*s.ghost));
    check(s.nodes != NULL && s.ghost != NULL);
    bool full = false;
    for (size_t i = 0; i < request_count; i++) {
        const struct request *q = &requests[i];
        uint32_t k = q->key + 1;
        struct node *n = &s.nodes[k];
        bool hit = n->place != NOWHERE;
        note(r, q, hit);
        if (hit) {
            n->hits += n->hits < S3_HITS;
            continue;
        }
        if (cost(q->size) > budget) {
            continue;
        }
        while (s.small.bytes + s.main.bytes + cost(q->size) > budget) {
            full = true;
            s3_evict(&s);
        }
        bool known = s.ghost[k] != 0 && s.left - s.ghost[k] < budget - s.small_max;
        bool early = !full && s.small.bytes >= s.small_max;
        s.ghost[k] = 0;
        *n = (struct node){.size = q->size, .place = known || early ? MAIN : SMALL};
        queue_push(n->place == MAIN ? &s.main : &s.small, s.nodes, k);
    }
    free(s.nodes);
    free(s.ghost);
}

/* --- five samples and a pool -------------------------------------------------------------------- */

struct sampled {
    uint32_t *resident; /* keys, by place */
    uint32_t *place;    /* of a key, counted from 1; 0: not resident */
    uint64_t *used;     /* when last */
    uint32_t *size;
    uint32_t count;
    uint64_t bytes;
    uint32_t pool[POOL]; /* by last use, the oldest first */
    uint32_t pool_count;
};

static void pool_add(struct sampled *s, uint32_t k)
{
    uint32_t at = 0;
    while (at < s->pool_count && s->used[s->pool[at]] <= s->used[k]) {
        if (s->pool[at] == k) {
            return;
        }
        at++;
    }
    if (at == POOL) {
        return;
    }
    uint32_t last = s->pool_count < POOL ? s->pool_count++ : POOL - 1;
    memmove(&s->pool[at + 1], &s->pool[at], (last - at) * sizeof(*s->pool));
    s->pool[at] = k;
}

static void sampled_evict(struct sampled *s)
{
    uint32_t k = UINT32_MAX;
    while (k == UINT32_MAX) {
        for (int i = 0; i < SAMPLES; i++) {
            pool_add(s, s->resident[draw(s->count)]);
        }
        k = s->pool[0];
        s->pool_count--;
        memmove(s->pool, s->pool + 1, s->pool_count * sizeof(*s->pool));
        if (s->place[k] == 0) {
            k = UINT32_MAX;
        }
    }
    uint32_t last = s->resident[--s->count];
    s->resident[s->place[k] - 1] = last;
    s->place[last] = s->place[k];
    s->place[k] = 0;
    s->bytes -= cost(s->size[k]);
}

static void run_sampled(uint64_t budget, struct result *r)
{
    struct sampled s = {.resident = calloc(key_count, sizeof(uint32_t)),
                        .place = calloc(key_count, sizeof(uint32_t)),
                        .used = calloc(key_count, sizeof(uint64_t)),
                        .size = calloc(key_count, sizeof(uint32_t))};
    check(s.resident != NULL && s.place != NULL && s.used != NULL && s.size != NULL);
    for (size_t i = 0; i < request_count; i++) {
        const struct request *q = &requests[i];
        bool hit = s.place[q->key] != 0;
        note(r, q, hit);
        s.used[q->key] = i;
        if (hit || cost(q->size) > budget) {
            continue;
        }
        while (s.bytes + cost(q->size) > budget) {
            sampled_evict(&s);
        }
        s.size[q->key] = q->size;
        s.bytes += cost(q->size);
        s.resident[s.count] = q->key;
        s.place[q->key] = ++s.count;
    }
    free(s.resident);
    free(s.place);
    free(s.used);
    free(s.size);
}

/* --- greedy dual -------------------------------------------------------------------------------- */

struct gdsf {
    uint32_t *heap; /* keys, the least worth first */
    uint32_t *at;   /* of a key, counted from 1; 0: not there */
    double *worth;
    uint32_t *hits;
    uint32_t *size;
    uint32_t count;
    uint64_t bytes;
    double level; /* worth of what left last */
};

static void heap_set(struct gdsf *g, uint32_t i, uint32_t k)
{
    g->heap[i] = k;
    g->at[k] = i + 1;
}

static void heap_fix(struct gdsf *g, uint32_t i)
{
    uint32_t k = g->heap[i];
    while (i > 0 && g->worth[g->heap[(i - 1) / 2]] > g->worth[k]) {
        heap_set(g, i, g->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (uint32_t c = 2 * i + 1; c < g->count; c = 2 * i + 1) {
        c += c + 1 < g->count && g->worth[g->heap[c + 1]] < g->worth[g->heap[c]];
        if (g->worth[g->heap[c]] >= g->worth[k]) {
            break;
        }
        heap_set(g, i, g->heap[c]);
        i = c;
    }
    heap_set(g, i, k);
}

static void gdsf_evict(struct gdsf *g)
{
    uint32_t k = g->heap[0];
    g->level = g->worth[k];
    g->bytes -= cost(g->size[k]);
    g->at[k] = 0;
    if (--g->count > 0) {
        heap_set(g, 0, g->heap[g->count]);
        heap_fix(g, 0);
    }
}

static void run_gdsf(uint64_t budget, struct result *r)
{
    struct gdsf g = {.heap = calloc(key_count, sizeof(uint32_t)),
                     .at = calloc(key_count, sizeof(uint32_t)),
                     .worth = calloc(key_count, sizeof(double)),
                     .hits = calloc(key_count, sizeof(uint32_t)),
                     .size = calloc(key_count, sizeof(uint32_t))};
    check(g.heap != NULL && g.at != NULL && g.worth != NULL && g.hits != NULL && g.size != NULL);
    for (size_t i = 0; i < request_count; i++) {
        const struct request *q = &requests[i];
        uint32_t k = q->key;
        bool hit = g.at[k] != 0;
        note(r, q, hit);
        if (!hit) {
            if (cost(q->size) > budget) {
                continue;
            }
            while (g.bytes + cost(q->size) > budget) {
                gdsf_evict(&g);
            }
            g.size[k] = q->size;
            g.bytes += cost(q->size);
            g.hits[k] = 0;
            heap_set(&g, g.count++, k);
        }
        g.hits[k]++;
        g.worth[k] = g.level + (double)g.hits[k] / (double)cost(g.size[k]);
        heap_fix(&g, g.at[k] - 1);
    }
    free(g.heap);
    free(g.at);
    free(g.worth);
    free(g.hits);
    free(g.size);
}

/* --- all ---------------------------------------------------------------------------------------- */

static const struct policy {
    const char *name;
    void (*run)(uint64_t budget, struct result *r);
} policies[] = {{"store", run_store_1}, {"store-8", run_store_8}, {"lru", run_lru},
                {"lru-5", run_sampled}, {"s3fifo", run_s3fifo},   {"gdsf", run_gdsf}};

int main(int argc, char **argv)
{
    hash_setup();
    if (argc < 3 || strncmp(argv[1], "sizes=", 6) != 0) {
        (void)fprintf(stderr, "usage: evict sizes=file|unit PERCENT... < trace\n");
        return 2;
    }
    const char *only = getenv("POLICY");
    load(strcmp(argv[1], "sizes=unit") == 0);
    for (int i = 2; i < argc; i++) {
        uint64_t budget = (uint64_t)((double)footprint * strtod(argv[i], NULL) / 100);
        for (size_t p = 0; p < sizeof(policies) / sizeof(*policies) && budget >= BUDGET_MIN; p++) {
            if (only != NULL && strstr(only, policies[p].name) == NULL) {
                continue;
            }
            struct result r = {0};
            policies[p].run(budget, &r);
            printf("%s %s %llu %zu %.4f %.4f\n", policies[p].name, argv[i],
                   (unsigned long long)budget, request_count,
                   (double)r.misses / (double)request_count,
                   (double)r.missed_bytes / (double)r.bytes);
            (void)fflush(stdout);
        }
    }
    free(requests);
    return 0;
}
