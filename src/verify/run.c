/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One check from beginning to end: fill the tables, find out what the daemon can do, start the actors,
 * show progress, and pass the verdict (see run.h).
 *
 * The first violation ends the run: what happened just before is still in the journals then. So does the
 * first failure of anything else, with another exit code, because a checker that could not check must not
 * say that all is well.
 *
 * Threads: main runs verify_run(); it only watches while the actors work.
 */
#include "verify/run.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "verify/http_read.h"
#include "verify/redis_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    ITEM_ROWS = 192,
    PART_ROWS = 96,
    CROWD_ROWS = 1200,
    STAGE_ROWS = 24,
    GROUPS = 8,
    STAGE_GROUPS = 4,
    WRITERS = 3,
    HTTP_READERS = 2,
    REDIS_READERS = 2,
    PAUSE_SLICE_US = 5000,
    WATCH_US = 20 * 1000,
    START_US = 20 * 1000 * 1000,
};

/* --- what actors share ----------------------------------------------------------------------------- */

bool run_stopping(const struct run *r)
{
    return atomic_load_explicit(&r->stop, memory_order_relaxed);
}

void run_fail(struct run *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    check(pthread_mutex_lock(&r->lock) == 0);
    if (r->failure[0] == '\0' && !run_stopping(r)) {
        (void)vsnprintf(r->failure, sizeof(r->failure), fmt, args);
    }
    check(pthread_mutex_unlock(&r->lock) == 0);
    va_end(args);
    atomic_store_explicit(&r->stop, true, memory_order_relaxed);
}

uint32_t actor_random(struct actor *a, uint32_t below)
{
    /* splitmix64 */
    uint64_t z = (a->random += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    return below > 0 ? (uint32_t)((z >> 32) * below >> 32) : 0;
}

bool actor_chance(struct actor *a, uint32_t percent)
{
    return actor_random(a, 100) < percent;
}

static void sleep_us(uint64_t us)
{
    struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

void actor_pause(struct actor *a, uint64_t us)
{
    while (us > 0 && !run_stopping(a->run)) {
        uint64_t slice = us < PAUSE_SLICE_US ? us : PAUSE_SLICE_US;
        sleep_us(slice);
        us -= slice;
    }
}

struct actor *run_add_actor(struct run *r, const char *name, void (*body)(struct actor *a))
{
    check(r->actor_count < RUN_ACTORS_MAX);
    struct actor *a = &r->actors[r->actor_count++];
    a->run = r;
    a->name = name;
    a->body = body;
    a->random = r->options->seed * 1000003ULL + r->actor_count;
    a->events = xcalloc(RUN_EVENTS, sizeof(*a->events));
    return a;
}

/* --- the beginning --------------------------------------------------------------------------------- */

static bool fill_table(struct actor *a, struct db *db, enum run_table table)
{
    struct model_table *t = &a->run->tables[table];
    struct buf lines;
    char sql[96];
    buf_init(&lines);
    (void)snprintf(sql, sizeof(sql), "TRUNCATE verify.%s", t->name);
    for (uint32_t i = 0; i < t->row_count; i++) {
        int32_t group = (int32_t)(i % t->groups);
        uint64_t version = model_begin(&t->rows[i], group);
        buf_printf(&lines, "%u\t%d\t%llu\n", i, group, (unsigned long long)version);
    }
    bool ok = db_exec(db, sql) && db_copy(db, t->name, buf_readable(&lines));
    for (uint32_t i = 0; ok && i < t->row_count; i++) {
        model_commit(&t->rows[i], t->rows[i].newest, clock_now_us());
    }
    buf_fini(&lines);
    return ok;
}

/* Only when freshet follows is anything kept: until then a check would check nothing. */
static bool wait_until_following(struct actor *a)
{
    struct run *r = a->run;
    struct wire w;
    struct http_reply reply = {0};
    uint64_t begun_us = clock_now_us();
    if (!wire_open(&w, r, r->options->http)) {
        return false;
    }
    while (!reply.hit && !run_stopping(r) && clock_now_us() - begun_us < START_US) {
        struct target t = {.table = RUN_STAGE};
        if (http_read(a, &w, t, FACE_HTTP_STRICT, &reply) && !reply.hit) {
            actor_pause(a, 5000);
        }
    }
    if (!reply.hit) {
        run_fail(r, "freshet keeps no answer (Cache-Status: %.*s); `freshet check` says why",
                 (int)reply.cache_status.len,
                 reply.cache_status.ptr != NULL ? reply.cache_status.ptr : "");
    }
    wire_close(&w);
    return !run_stopping(r);
}

static bool ask_for_tokens(struct run *r)
{
    struct wire w;
    struct resp_reply reply;
    bool ok = redis_open(&w, r, r->options->resp, FACE_REDIS) &&
              resp_send(&w, 2, (struct slice[]){SLICE("FRESHET.GET"), SLICE("nothing")}) &&
              resp_receive(&w, &reply);
    r->has_tokens = ok && reply.kind != '-';
    wire_close(&w);
    return ok;
}

static bool prepare(struct run *r)
{
    static const struct {
        const char *name;
        uint32_t rows;
        uint32_t groups;
    } shapes[RUN_TABLES] = {
        [RUN_ITEM] = {"item", ITEM_ROWS, GROUPS},
        [RUN_PART] = {"part", PART_ROWS, GROUPS},
        [RUN_CROWD] = {"crowd", CROWD_ROWS, 1},
        [RUN_STAGE] = {"stage", STAGE_ROWS, STAGE_GROUPS},
    };
    struct db db;
    struct actor *a = run_add_actor(r, "beginning", NULL);
    for (uint32_t i = 0; i < RUN_TABLES; i++) {
        model_table_init(&r->tables[i], shapes[i].name, shapes[i].rows, shapes[i].groups);
    }
    bool ok = db_open(&db, r);
    for (uint32_t i = 0; ok && i < RUN_TABLES; i++) {
        ok = fill_table(a, &db, i);
    }
    db_close(&db);
    return ok && wait_until_following(a) && ask_for_tokens(r);
}

/* --- the run --------------------------------------------------------------------------------------- */

static void *actor_main(void *arg)
{
    struct actor *a = arg;
    a->body(a);
    return NULL;
}

static void start_actors(struct run *r)
{
    for (uint32_t i = 0; i < WRITERS; i++) {
        (void)run_add_actor(r, "writer", writer_body);
    }
    for (uint32_t i = 0; i < HTTP_READERS; i++) {
        (void)run_add_actor(r, "HTTP reader", http_reader_body);
    }
    for (uint32_t i = 0; i < REDIS_READERS; i++) {
        (void)run_add_actor(r, "Redis reader", redis_reader_body);
    }
    if (r->options->own != NULL) {
        (void)run_add_actor(r, "own connections", own_reader_body);
    }
    (void)run_add_actor(r, "session", session_body);
    (void)run_add_actor(r, "scenes", scenes_body);
    for (uint32_t i = 0; i < r->actor_count; i++) {
        struct actor *a = &r->actors[i];
        if (a->body != NULL) {
            check(pthread_create(&a->thread, NULL, actor_main, a) == 0);
        }
    }
}

static void watch(struct run *r)
{
    struct run_counters last = {0};
    uint64_t next_line_us = 1000000;
    while (!run_stopping(r)) {
        sleep_us(WATCH_US);
        uint64_t elapsed_us = clock_now_us() - r->begun_us;
        bool enough = (r->options->reads > 0 && report_reads(r) >= r->options->reads) ||
                      (r->options->seconds > 0 && elapsed_us >= r->options->seconds * 1000000);
        if (enough) {
            atomic_store_explicit(&r->last_call, true, memory_order_relaxed);
        }
        if (elapsed_us >= next_line_us) {
            next_line_us += 1000000;
            report_progress(r, elapsed_us, &last);
        }
    }
    for (uint32_t i = 0; i < r->actor_count; i++) {
        if (r->actors[i].body != NULL) {
            check(pthread_join(r->actors[i].thread, NULL) == 0);
        }
    }
}

static struct run *run_create(const struct verify_options *options)
{
    struct run *r = xcalloc(1, sizeof(*r));
    pthread_rwlockattr_t writers_first;
    r->options = options;
    r->bound_us = options->max_stale_ms * 1000ULL + RUN_OS_ALLOWANCE_US;
    check(pthread_mutex_init(&r->lock, NULL) == 0);
    check(pthread_rwlockattr_init(&writers_first) == 0);
    check(pthread_rwlockattr_setkind_np(&writers_first,
                                        PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
    check(pthread_rwlock_init(&r->writing, &writers_first) == 0);
    check(pthread_rwlockattr_destroy(&writers_first) == 0);
    return r;
}

static void run_destroy(struct run *r)
{
    for (uint32_t i = 0; i < RUN_TABLES; i++) {
        model_table_fini(&r->tables[i]);
    }
    for (uint32_t i = 0; i < r->actor_count; i++) {
        free(r->actors[i].events);
    }
    check(pthread_rwlock_destroy(&r->writing) == 0);
    check(pthread_mutex_destroy(&r->lock) == 0);
    free(r);
}

int verify_run(const struct verify_options *options)
{
    struct run *r = run_create(options);
    (void)printf("verify: seed %llu\n", (unsigned long long)options->seed);
    (void)fflush(stdout);
    r->begun_us = clock_now_us();
    if (prepare(r)) {
        r->begun_us = clock_now_us();
        start_actors(r);
        watch(r);
    }
    report_summary(r, clock_now_us() - r->begun_us);
    int code = r->violation_count > 0 ? 1 : r->failure[0] != '\0' ? 2 : 0;
    run_destroy(r);
    return code;
}
