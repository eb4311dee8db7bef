/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Histograms by route, and a ring of slow statements.
 *
 * Routes are known by their text (`GET /api/products`), so a reload loses no figures; a route that is gone
 * keeps its own. There are at most ROUTES_MAX of them, what comes later is counted together as "other": the
 * number of time series is bounded.
 *
 * Threads: any, under the lock, which is innermost; the log is written after it is released.
 */
#include "serve/fill_times.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ROUTES_MAX = 1024,
    TEXT_MAX = 96,
    LOGGED_A_SECOND = 10,
};

static const struct {
    uint64_t us;
    const char *label;
} bounds[] = {
    {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"}, {25000, "0.025"},
    {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"}, {1000000, "1"},
    {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"},
};

struct histogram {
    char *route;
    uint64_t hash;
    uint64_t bucket[array_len(bounds) + 1]; /* each for itself; the last is for what is above */
    uint64_t sum_us;
};

struct slow {
    uint64_t at_wall_ms;
    bool is_write;
    char route[TEXT_MAX];
    char params[TEXT_MAX]; /* "business_id,from" */
    uint64_t queue_us;
    uint64_t database_us;
    uint64_t rows;
    uint64_t bytes;
    const char *outcome;
};

struct fill_times {
    struct lock lock;
    struct histogram *routes;    /* lock */
    uint32_t route_count;        /* lock */
    struct slow slow[SLOW_KEPT]; /* lock; a ring */
    uint64_t slow_count;         /* lock; ever */
    uint64_t logged_second;      /* lock; in which `logged` lines were written */
    uint32_t logged;             /* lock */
    uint64_t unlogged;           /* lock; slow ones that were not logged since the last line */
};

struct fill_times *fill_times_create(void)
{
    struct fill_times *f = xcalloc(1, sizeof(*f));
    lock_init(&f->lock, LOCK_RANK_LOG);
    return f;
}

void fill_times_destroy(struct fill_times **fp)
{
    struct fill_times *f = *fp;
    *fp = NULL;
    if (f == NULL) {
        return;
    }
    for (uint32_t i = 0; i < f->route_count; i++) {
        free(f->routes[i].route);
    }
    free(f->routes);
    lock_fini(&f->lock);
    free(f);
}

/* --- noting ------------------------------------------------------------------------------------- */

/* Under the lock, as are those that follow. */
static struct histogram *find(struct fill_times *f, const char *route)
{
    uint64_t hash = hash_bytes(route, strlen(route));
    for (uint32_t i = 0; i < f->route_count; i++) {
        if (f->routes[i].hash == hash && strcmp(f->routes[i].route, route) == 0) {
            return &f->routes[i];
        }
    }
    return NULL;
}

static struct histogram *histogram_of(struct fill_times *f, const char *route)
{
    struct histogram *h = find(f, route);
    if (h == NULL && f->route_count >= ROUTES_MAX) {
        route = "other";
        h = find(f, route);
    }
    if (h == NULL) {
        f->routes = xrealloc(f->routes, (f->route_count + 1) * sizeof(*f->routes));
        h = &f->routes[f->route_count++];
        *h = (struct histogram){.route = xstrdup(route), .hash = hash_bytes(route, strlen(route))};
    }
    return h;
}

static void count(struct histogram *h, uint64_t us)
{
    size_t i = 0;
    while (i < array_len(bounds) && us > bounds[i].us) {
        i++;
    }
    h->bucket[i]++;
    h->sum_us += us;
}

static void name_params(const struct policy_route *route, char ret_text[TEXT_MAX])
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (uint32_t i = 0; i < route->param_count && used < TEXT_MAX; i++) {
        used += (size_t)snprintf(ret_text + used, TEXT_MAX - used, "%s%s", i > 0 ? "," : "",
                                 route->params[i].name);
    }
}

/* True when it may be logged; then how many others were not. */
static bool keep_slow(struct fill_times *f, const struct fill_time *t, uint64_t *ret_unlogged)
{
    struct slow *s = &f->slow[f->slow_count++ % SLOW_KEPT];
    *s = (struct slow){
        .at_wall_ms = clock_wall_ms(),
        .is_write = t->is_write,
        .queue_us = t->queue_us,
        .database_us = t->database_us,
        .rows = t->rows,
        .bytes = t->bytes,
        .outcome = t->outcome,
    };
    (void)snprintf(s->route, sizeof(s->route), "%s", t->route->match);
    name_params(t->route, s->params);
    uint64_t second = s->at_wall_ms / 1000;
    if (second != f->logged_second) {
        f->logged_second = second;
        f->logged = 0;
    }
    if (f->logged == LOGGED_A_SECOND) {
        f->unlogged++;
        return false;
    }
    f->logged++;
    *ret_unlogged = f->unlogged;
    f->unlogged = 0;
    return true;
}

void fill_times_note(struct fill_times *f, const struct policy *p, const struct fill_time *t)
{
    uint64_t us = t->queue_us + t->database_us;
    bool is_slow = p->slow_fill_ms > 0 && us > (uint64_t)p->slow_fill_ms * 1000;
    bool is_told = false;
    uint64_t others = 0;
    lock_acquire(&f->lock);
    if (!t->is_write) {
        count(histogram_of(f, t->route->match), us);
    }
    if (is_slow) {
        is_told = keep_slow(f, t, &others);
    }
    lock_release(&f->lock);
    if (is_told) {
        char params[TEXT_MAX];
        name_params(t->route, params);
        log_event(LOG_WARN, "fill", t->is_write ? "slow write" : "slow fill",
                  log_text("route", t->route->match), log_text("params", params),
                  log_number("queue_ms", t->queue_us / 1000),
                  log_number("database_ms", t->database_us / 1000), log_number("rows", t->rows),
                  log_number("bytes", t->bytes), log_text("outcome", t->outcome),
                  log_number("others_not_logged", others));
    }
}

/* --- telling ------------------------------------------------------------------------------------ */

/* As Prometheus wants label values: \\, \" and \n. */
static void put_label(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, *text != '\n' ? *text : ' ');
    }
}

static void put_series(struct buf *out, const struct histogram *h, const char *suffix,
                       const char *le)
{
    buf_printf(out, "freshet_fill_duration_seconds%s{route=\"", suffix);
    put_label(out, h->route);
    buf_printf(out, le != NULL ? "\",le=\"%s\"}" : "\"%s}", le != NULL ? le : "");
}

static void put_histogram(struct buf *out, const struct histogram *h)
{
    uint64_t total = 0;
    for (size_t i = 0; i < array_len(h->bucket); i++) {
        total += h->bucket[i];
        put_series(out, h, "_bucket", i < array_len(bounds) ? bounds[i].label : "+Inf");
        buf_printf(out, " %" PRIu64 "\n", total);
    }
    put_series(out, h, "_sum", NULL);
    buf_printf(out, " %.6f\n", (double)h->sum_us / 1e6);
    put_series(out, h, "_count", NULL);
    buf_printf(out, " %" PRIu64 "\n", total);
}

void fill_times_metrics(struct fill_times *f, struct buf *out)
{
    buf_append_str(out,
                   "# HELP freshet_fill_duration_seconds from asking the pool for a connection to "
                   "the statement's last row\n"
                   "# TYPE freshet_fill_duration_seconds histogram\n");
    lock_acquire(&f->lock);
    for (uint32_t i = 0; i < f->route_count; i++) {
        put_histogram(out, &f->routes[i]);
    }
    lock_release(&f->lock);
}

static void put_time(struct buf *out, uint64_t wall_ms)
{
    char text[CLOCK_TEXT];
    clock_format(wall_ms, text);
    buf_append_str(out, text);
}

static void put_text(struct buf *out, const struct slow *s)
{
    put_time(out, s->at_wall_ms);
    buf_printf(out, " %9.1f %11.1f %7" PRIu64 " %9" PRIu64 "  %-18s %s%s%s%s\n",
               (double)s->queue_us / 1000.0, (double)s->database_us / 1000.0, s->rows, s->bytes,
               s->outcome, s->route, s->params[0] != '\0' ? " (" : "", s->params,
               s->params[0] != '\0' ? ")" : "");
}

static void put_json(struct buf *out, const struct slow *s)
{
    buf_append_str(out, "{\"time\":\"");
    put_time(out, s->at_wall_ms);
    buf_append_str(out, "\",\"route\":");
    json_put_string(out, slice_of(s->route));
    buf_append_str(out, ",\"params\":");
    json_put_string(out, slice_of(s->params));
    buf_printf(out,
               ",\"write\":%s,\"queue_us\":%" PRIu64 ",\"database_us\":%" PRIu64
               ",\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"outcome\":",
               s->is_write ? "true" : "false", s->queue_us, s->database_us, s->rows, s->bytes);
    json_put_string(out, slice_of(s->outcome));
    buf_append_str(out, "}\n");
}

void fill_times_slow(struct fill_times *f, bool json, struct buf *out)
{
    lock_acquire(&f->lock);
    uint64_t first = f->slow_count > SLOW_KEPT ? f->slow_count - SLOW_KEPT : 0;
    if (!json && f->slow_count == 0) {
        buf_append_str(out, "no statement was slower than log.slow_fill since the start\n");
    } else if (!json) {
        buf_append_str(out, "time                      queue_ms database_ms    rows     bytes  "
                            "outcome            route (parameters)\n");
    }
    for (uint64_t n = f->slow_count; n > first; n--) {
        const struct slow *s = &f->slow[(n - 1) % SLOW_KEPT];
        if (json) {
            put_json(out, s);
        } else {
            put_text(out, s);
        }
    }
    lock_release(&f->lock);
}
