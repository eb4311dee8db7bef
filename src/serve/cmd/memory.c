/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MEMORY: what a key, each space and the process take.
 *
 * STATS has the names that clients of Redis look for, in its order, and then each space. The
 * allocator is the store's: "allocated" is what items hold, "active" the pages that spaces own,
 * "resident" what the kernel has given the process. What does not exist here (replicas, functions)
 * is 0.
 *
 * Threads: any worker's.
 */
#include "serve/edit.h"

#include "serve/cmd/server.h"
#include "serve/scripting.h"
#include "store/figures.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* The second number of /proc/self/statm. */
uint64_t memory_resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        /* NOLINTNEXTLINE(cert-err34-c): the kernel's own number */
        if (fscanf(f, "%*u %llu", &pages) != 1) {
            pages = 0;
        }
        (void)fclose(f);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void cmd_memory_usage(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t samples;
    for (uint32_t i = 3; i < argc; i += 2) {
        if (!slice_is_nocase(argv[i], "samples") || i + 1 == argc) {
            reply_syntax(c);
            return;
        }
        if (!arg_integer(c, argv[i + 1], &samples)) {
            return;
        }
        if (samples < 0) {
            reply_syntax(c);
            return;
        }
    }
    struct store_hold h;
    struct store_item *item;
    if (!client_peek(c, argv[2], &h, &item)) {
        reply_null(c);
        return;
    }
    reply_integer(c, (int64_t)store_item_bytes(item));
    store_drop(&h);
}

void cmd_memory_purge(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_ok(c);
}

void cmd_memory_doctor(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_verbatim(&c->conn.out, c->proto, "txt",
                  SLICE("Every space has its own budget and keeps to it; see INFO memory."));
}

/* --- STATS ------------------------------------------------------------------------------------- */

struct memory_sums {
    uint64_t used;
    uint64_t items;
    uint64_t keys;
    uint64_t buffers;
    uint64_t lua;
    uint64_t resident;
    uint64_t peak;
};

static struct memory_sums sum_memory(const struct server *s)
{
    struct memory_sums m = {.resident = memory_resident_bytes()};
    for (uint32_t i = 0; i < s->started_with->space_count; i++) {
        struct store_space_stats st;
        store_space_stats(s->store, i, &st);
        m.used += st.used_bytes;
        m.items += st.item_bytes;
        m.keys += st.keys;
    }
    for (uint32_t i = 0; i < s->worker_count; i++) {
        m.buffers += loop_buffer_bytes(s->workers[i].loop);
    }
    struct scripting_figures f;
    scripting_figures(s, &f);
    m.lua = f.source_bytes;
    struct rusage self;
    (void)getrusage(RUSAGE_SELF, &self);
    m.peak = (uint64_t)self.ru_maxrss * 1024;
    return m;
}

static void put_figure(struct resp_client *c, const char *name, uint64_t value)
{
    resp_bulk_str(&c->conn.out, name);
    reply_integer(c, (int64_t)value);
}

static void put_space(struct resp_client *c, const struct policy_space *space, uint32_t index)
{
    struct store_space_stats st;
    char name[96];
    store_space_stats(client_store(c), index, &st);
    (void)snprintf(name, sizeof(name), "space.%s", space->name);
    resp_bulk_str(&c->conn.out, name);
    resp_map(&c->conn.out, c->proto, 4);
    put_figure(c, "budget", st.budget_bytes);
    put_figure(c, "used", st.used_bytes);
    put_figure(c, "dataset", st.item_bytes);
    put_figure(c, "keys", st.keys);
}

static double ratio(uint64_t of, uint64_t to)
{
    return to > 0 ? (double)of / (double)to : 0.0;
}

static void put_ratio(struct resp_client *c, const char *name, double value)
{
    resp_bulk_str(&c->conn.out, name);
    resp_double(&c->conn.out, c->proto, value);
}

/* How much more `of` is than `to`, as a factor and in bytes. */
static void put_waste(struct resp_client *c, const char *names[2], uint64_t of, uint64_t to)
{
    put_ratio(c, names[0], ratio(of, to));
    put_figure(c, names[1], of - to);
}

/* As many names as put_stats() has. */
enum { STATS_NAMES = 27 };

static void put_stats(struct resp_client *c, const struct memory_sums *m)
{
    put_figure(c, "peak.allocated", m->peak);
    put_figure(c, "total.allocated", m->used + m->buffers);
    put_figure(c, "startup.allocated", 0);
    put_figure(c, "replication.backlog", 0);
    put_figure(c, "clients.slaves", 0);
    put_figure(c, "clients.normal", m->buffers);
    put_figure(c, "cluster.links", 0);
    put_figure(c, "aof.buffer", 0);
    put_figure(c, "lua.caches", m->lua);
    put_figure(c, "functions.caches", 0);
    put_figure(c, "overhead.total", (m->used > m->items ? m->used - m->items : 0) + m->buffers);
    put_figure(c, "keys.count", m->keys);
    put_figure(c, "keys.bytes-per-key", m->keys > 0 ? m->used / m->keys : 0);
    put_figure(c, "dataset.bytes", m->items);
    put_ratio(c, "dataset.percentage", 100 * ratio(m->items, m->used));
    put_ratio(c, "peak.percentage", 100 * ratio(m->resident, m->peak));
    put_figure(c, "allocator.allocated", m->items);
    put_figure(c, "allocator.active", m->used);
    put_figure(c, "allocator.resident", m->resident);
    put_waste(c, (const char *[]){"allocator-fragmentation.ratio", "allocator-fragmentation.bytes"},
              m->used, m->items);
    put_waste(c, (const char *[]){"allocator-rss.ratio", "allocator-rss.bytes"}, m->resident,
              m->used);
    put_waste(c, (const char *[]){"rss-overhead.ratio", "rss-overhead.bytes"}, m->resident,
              m->resident);
    put_waste(c, (const char *[]){"fragmentation", "fragmentation.bytes"}, m->resident, m->used);
}

void cmd_memory_stats(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    const struct server *s = c->worker->server;
    struct memory_sums m = sum_memory(s);
    uint32_t spaces = s->started_with->space_count;
    if (!client_room(c, ((size_t)spaces + STATS_NAMES) * 4 * REPLY_FRAME)) {
        return;
    }
    resp_map(&c->conn.out, c->proto, STATS_NAMES + spaces);
    put_stats(c, &m);
    for (uint32_t i = 0; i < spaces; i++) {
        put_space(c, &s->started_with->spaces[i], i);
    }
}

void cmd_memory_malloc_stats(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    const struct server *s = c->worker->server;
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "resident:%llu\n", (unsigned long long)memory_resident_bytes());
    for (uint32_t i = 0; i < s->started_with->space_count; i++) {
        struct store_space_stats st;
        store_space_stats(s->store, i, &st);
        buf_printf(&text, "%s: budget:%llu active:%llu allocated:%llu keys:%llu\n",
                   s->started_with->spaces[i].name, (unsigned long long)st.budget_bytes,
                   (unsigned long long)st.used_bytes, (unsigned long long)st.item_bytes,
                   (unsigned long long)st.keys);
    }
    resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(&text));
    buf_fini(&text);
}

void cmd_memory_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return what each space owns and uses, as text.",
        "PURGE",
        "    Accepted; there is nothing to purge.",
        "STATS",
        "    Return information about the memory of all spaces, and of each.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value.",
    };
    reply_help(c, "MEMORY", lines, array_len(lines));
}
