/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server: shared state, workers, listeners, and the hand-over of plans.
 *
 * Worker 0 accepts every connection and hands each to the worker with the fewest; from then on it stays
 * there. A new plan (made by the keeper, published by the follower once marks are raised) reaches each
 * worker by mail (reload.c), so the hot path reads a pointer of its own thread.
 *
 * Stopping: listeners close, idle connections close, busy ones get `draining` and are closed by their next
 * answer; what is left at the deadline is cut. Order of teardown: follower, workers, store, fresh.
 */
#include "serve/server.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/thread.h"
#include "fill/flight.h"
#include "serve/blocked.h"
#include "serve/command_stats.h"
#include "serve/detached.h"
#include "serve/durable.h"
#include "serve/events.h"
#include "serve/fill_times.h"
#include "serve/gate.h"
#include "serve/gzip.h"
#include "serve/herd.h"
#include "serve/listen.h"
#include "serve/pause.h"
#include "serve/pubsub.h"
#include "serve/reload.h"
#include "serve/scripting.h"
#include "serve/serve.h"
#include "serve/slowlog.h"
#include "serve/stats.h"
#include "serve/tags.h"
#include "serve/touched.h"
#include "serve/tracking.h"
#include "serve/users.h"
#include "store/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { UPKEEP_MS = 100 };

/* --- breaks ------------------------------------------------------------------------------------- */

static bool set_break(struct serve_breaks *b, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
    } table[] = {
        {"fence", &b->fence},
        {"late-marks", &b->late_marks},
        {"store-stamp", &b->store_stamp},
        {"oldest-miss", &b->oldest_miss},
        {"row-all", &b->row_all},
    };
    for (size_t i = 0; i < array_len(table); i++) {
        if (strcmp(table[i].name, name) == 0) {
            *table[i].flag = true;
            return true;
        }
    }
    return false;
}

static bool set_breaks(struct server *s, const struct server_options *options, char **ret_why)
{
    for (uint32_t i = 0; i < options->break_count; i++) {
        if (!options->policy->debug) {
            *ret_why = xstrdup("--break needs `debug: true` in the policy: it makes freshet serve "
                               "wrong answers on purpose");
            return false;
        }
        if (!set_break(&s->breaks, options->breaks[i])) {
            *ret_why =
                xasprintf("--break=%s: there are fence, late-marks, store-stamp, oldest-miss "
                          "and row-all",
                          options->breaks[i]);
            return false;
        }
        log_warn("serve", "broken on purpose: %s", options->breaks[i]);
    }
    return true;
}

/* --- shared state ------------------------------------------------------------------------------- */

static struct store *make_store(struct server *s)
{
    const struct policy *p = s->started_with;
    struct store_space_options spaces[STORE_SPACE_MAX];
    uint8_t db_space[POLICY_DBS + 1];
    check(p->space_count <= STORE_SPACE_MAX);
    for (uint32_t i = 0; i < p->space_count; i++) {
        spaces[i] = (struct store_space_options){
            .name = p->spaces[i].name,
            .budget_bytes = p->spaces[i].memory,
            .evict = p->spaces[i].evict,
            .durable = p->spaces[i].durable,
        };
    }
    for (uint32_t db = 0; db < POLICY_DBS; db++) {
        db_space[db] = p->db_space[db] >= 0 ? (uint8_t)p->db_space[db] : 0;
    }
    s->http_db = POLICY_DBS;
    db_space[s->http_db] = p->http_space >= 0 ? (uint8_t)p->http_space : 0;
    return store_create(&(struct store_options){
        .fresh = s->fresh,
        .threads = s->worker_count + 1, /* the log's thread */
        .space_count = p->space_count,
        .spaces = spaces,
        .db_count = POLICY_DBS + 1,
        .db_space = db_space,
    });
}

static void make_shared(struct server *s)
{
    const struct policy *p = s->started_with;
    s->fresh = fresh_create(&(struct fresh_options){
        .slots = p->database.marks > 0 ? p->database.marks : FRESH_SLOTS_DEFAULT,
        .max_stale_ms = p->database.max_stale_ms,
        .break_fence = s->breaks.fence,
        .break_late_marks = s->breaks.late_marks,
    });
    s->store = make_store(s);
    s->flights = flights_create();
    s->refusals = refusals_create();
    s->fill_times = fill_times_create();
    s->leases = leases_create(p);
    s->tags = tags_create();
    s->herd = herd_create();
    s->pubsub = pubsub_create(s);
    s->blocked = blocked_create();
    s->slowlog = slowlog_create();
    s->tracking = tracking_create();
    command_setup();
    s->users = users_create(p);
    s->latency = latency_create();
    lock_init(&s->watch_lock, LOCK_RANK_WATCH);
    settings_init(s);
    store_use_coll_limits(s->store, &s->settings.coll);
    atomic_store_explicit(&s->settings.busy_reply_ms, p->limits.script_ms, memory_order_relaxed);
    command_setup();
    s->scripting = scripting_state_create();
    s->reload = reload_create(s);
}

/* --- plans -------------------------------------------------------------------------------------- */

/* Says which routes are not cached, and why; of those that it has said already only what is new. The
 * schema is loaded again and again, and a night of that must not fill the log. */
static void tell_routes(struct server *s, const struct plan *plan)
{
    struct buf now;
    buf_init(&now);
    buf_append_char(&now, '\n');
    for (uint32_t i = 0; i < plan->route_count; i++) {
        const struct plan_route *r = &plan->routes[i];
        if (r->why == NULL || strcmp(r->route->method, "GET") != 0) {
            continue;
        }
        size_t start = buf_len(&now) - 1; /* with the line ends on both sides */
        buf_printf(&now, "%s: %s%s\n", r->route->match, r->keep == PLAN_NEVER ? "not cached: " : "",
                   r->why);
        struct slice line = slice_from(buf_readable(&now), start);
        struct slice before = buf_readable(&s->told_routes);
        if (before.len == 0 || memmem(before.ptr, before.len, line.ptr, line.len) == NULL) {
            log_warn("plan", "%.*s", (int)line.len - 2, line.ptr + 1);
        }
    }
    buf_fini(&s->told_routes);
    s->told_routes = now;
}

/* Keeper thread. */
static void *analyse(void *arg, PGconn *conn, const struct follow_catalog *catalog,
                     const struct follow_value_column **ret_values, uint32_t *ret_value_count)
{
    const struct plan *plan =
        plan_make(conn, catalog->policy, catalog, ret_values, ret_value_count);
    tell_routes(arg, plan);
    return (void *)(uintptr_t)plan;
}

/* Follower thread. */
static void publish(void *arg, void *analysis, const struct follow_catalog *catalog)
{
    (void)catalog; /* the plan holds its own reference */
    struct server *s = arg;
    reload_publish(s->reload, analysis);
}

/* --- workers ------------------------------------------------------------------------------------ */

static bool server_is_loading(const struct server *s)
{
    struct durable_loading l = {.is_loading = false};
    if (s->durable != NULL) {
        durable_loading(s->durable, &l);
    }
    return l.is_loading;
}

/* One line each time a space comes near its budget: time to look at it, long before anything is refused. */
static void warn_of_full_spaces(const struct server *s)
{
    for (uint32_t i = 0; i < s->started_with->space_count; i++) {
        if (!store_space_crossed(s->store, i)) {
            continue;
        }
        const struct policy_space *space = &s->started_with->spaces[i];
        struct store_space_stats st;
        store_space_stats(s->store, i, &st);
        log_event(LOG_WARN, "serve",
                  space->evict
                      ? "a space is at 80 % of its budget; it will evict at 100 %, or give "
                        "it more `memory`"
                      : "a space is at 80 % of its budget; at 100 % it refuses writes: "
                        "remove something, or give it more `memory`",
                  log_text("space", space->name), log_number("used", st.used_bytes),
                  log_number("budget", st.budget_bytes));
    }
}

/* Commands, bytes read and bytes sent, once a second. */
static void count_rates(struct server *s, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms - s->rates_at_ms;
    if (passed_ms < 1000) {
        return;
    }
    struct net_figures net;
    net_figures(s, &net);
    uint64_t now[] = {serve_counter_sum(s, offsetof(struct serve_counters, resp_commands)),
                      net.bytes_in, net.bytes_out};
    _Static_assert(array_len(now) == RATES, "one for each");
    for (size_t i = 0; i < RATES; i++) {
        atomic_store_explicit(&s->rates[i], (now[i] - s->rates_counted[i]) * 1000 / passed_ms,
                              memory_order_relaxed);
        s->rates_counted[i] = now[i];
    }
    s->rates_at_ms = now_ms;
}

static void upkeep(struct timer *t)
{
    struct worker *w = container_of(t, struct worker, upkeep);
    if (w->server->follow == NULL && w->index == 0) {
        fresh_sample(w->server->fresh,
                     loop_now_ms(w->loop)); /* the follower does, if there is one */
    }
    if (w->index == 0) {
        count_rates(w->server, loop_now_ms(w->loop));
    }
    /* While the log is read it may move an expiry. */
    bool keeps = atomic_load_explicit(&w->server->keeps_expired, memory_order_relaxed);
    if (!keeps && !pause_is_on(w) && !server_is_loading(w->server) && gate_pass(w)) {
        uint64_t began_us = clock_now_us();
        (void)store_expire_some(w->server->store, w->gate, loop_now_ms(w->loop));
        gate_leave(w);
        uint64_t took_ms = (clock_now_us() - began_us) / 1000;
        if (latency_is_slow(w->server, took_ms)) {
            latency_note(w->server, "expire-cycle", took_ms);
        }
    }
    if (w->index == 0) {
        warn_of_full_spaces(w->server);
    }
    touched_retry(w);
    events_and_changes_send(w);
    if (w->pool != NULL && w->server->follow != NULL) {
        pg_pool_doubt(w->pool, follow_silent(w->server->follow));
    }
    timer_start(w->loop, t, UPKEEP_MS, upkeep);
}

static void *worker_body(void *arg)
{
    struct worker *w = arg;
    char name[THREAD_NAME];
    (void)snprintf(name, sizeof(name), "worker-%u", w->index);
    thread_enter(name, true);
    loop_run(w->loop);
    thread_leave();
    return NULL;
}

/* What running commands needs. */
static void worker_begin(struct server *s, struct worker *w, struct store_gate *gate)
{
    w->server = s;
    w->loop = loop_create();
    w->gate = gate;
    gate_init(w);
    w->plan = plan_blank(s->started_with);
    w->stats = command_stats_create();
    pause_worker_init(w);
    list_init(&w->spare_requests);
    durable_worker_init(w);
}

/* When nothing posts to it any more. */
static void worker_end(struct worker *w)
{
    loop_destroy(&w->loop);
    detached_destroy(&w->hand);
    http_requests_free(w);
    gzip_destroy(&w->gzip);
    scripting_destroy(&w->scripting);
    plan_unref(w->plan);
    command_stats_destroy(&w->stats);
    buf_fini(&w->events);
    buf_fini(&w->changed);
    buf_fini(&w->gate_wait.fed);
}

struct worker *worker_create_threadless(struct server *s, struct store_gate *gate)
{
    struct worker *w = xcalloc(1, sizeof(*w));
    worker_begin(s, w, gate);
    return w;
}

void worker_destroy_threadless(struct worker *w)
{
    pause_worker_fini(w);
    store_gate_on_open(w->gate, NULL, NULL); /* another thread may use it next */
    worker_end(w);
    free(w);
}

static void worker_init(struct server *s, uint32_t index)
{
    struct worker *w = &s->workers[index];
    const struct policy_database *db = &s->started_with->database;
    w->index = index;
    worker_begin(s, w, store_gate_take(s->store));
    loop_limit_buffers(w->loop, s->started_with->limits.buffers_max / s->worker_count);
    if (db->dsn != NULL) {
        uint32_t size = (db->pool + s->worker_count - 1) / s->worker_count;
        w->pool = pg_pool_create(w->loop, &(struct pg_pool_options){
                                              .dsn = db->dsn,
                                              .size = size > 0 ? size : 1,
                                              .queue_max = 1024,
                                              .connect_timeout_ms = 5000,
                                              .application_name = "freshet",
                                          });
    }
    timer_start(w->loop, &w->upkeep, UPKEEP_MS, upkeep);
}

/* In rounds, because ending one worker's fills sends mail to the others. Threads have been joined. */
static void workers_fini(struct server *s)
{
    herd_stop(s->herd);
    for (uint32_t i = 0; i < s->worker_count; i++) {
        timer_stop(&s->workers[i].upkeep);
        gate_fini(&s->workers[i]);
        pause_worker_fini(&s->workers[i]);
        pg_pool_destroy(&s->workers[i].pool);
    }
    for (uint32_t i = 0; i < s->worker_count; i++) {
        mailbox_drain(loop_mailbox(s->workers[i].loop));
    }
    reload_stop(s->reload);
    for (uint32_t i = 0; i < s->worker_count; i++) {
        worker_end(&s->workers[i]);
    }
}

uint64_t serve_counter_sum(const struct server *s, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->worker_count; i++) {
        const char *counters = (const char *)&s->workers[i].counters;
        sum += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(counters + offset),
                                    memory_order_relaxed);
    }
    return sum;
}

/* --- life --------------------------------------------------------------------------------------- */

static void destroy(struct server *s)
{
    crash_figure("connections", NULL);
    follow_destroy(&s->follow);
    workers_fini(s);
    pubsub_destroy(&s->pubsub);
    durable_destroy(&s->durable);
    slowlog_destroy(&s->slowlog);
    tracking_destroy(&s->tracking);
    users_destroy(&s->users);
    latency_destroy(&s->latency);
    command_stats_free_base(s);
    settings_fini(s);
    lock_fini(&s->watch_lock);
    refusals_destroy(&s->refusals);
    fill_times_destroy(&s->fill_times);
    reload_destroy(&s->reload);
    leases_destroy(&s->leases);
    blocked_destroy(&s->blocked);
    herd_destroy(&s->herd);
    tags_destroy(&s->tags);
    flights_destroy(&s->flights);
#ifdef FRESHET_DEBUG
    store_validate(s->store); /* nobody else uses it any more, which is as good as owning it */
#endif
    store_destroy(&s->store);
    fresh_destroy(&s->fresh);
    scripting_state_destroy(&s->scripting);
    buf_fini(&s->told_routes);
    free(s->workers);
    policy_unload(&s->started_with);
    free(s);
}

struct server *server_start(const struct server_options *options, char **ret_why)
{
    struct server *s = xcalloc(1, sizeof(*s));
    const struct policy *p = options->policy;
    s->started_with = policy_share(p);
    s->request_shutdown = options->request_shutdown;
    buf_init(&s->told_routes);
    s->request_shutdown_arg = options->arg;
    if (!set_breaks(s, options, ret_why)) {
        policy_unload(&s->started_with);
        free(s);
        return NULL;
    }
    s->started_ms = clock_now_ms();
    crash_figure("connections", &s->connections);
    s->started_wall_ms = clock_wall_ms();
    s->worker_count = p->workers;
    s->workers = xcalloc(s->worker_count, sizeof(*s->workers));
    make_shared(s);
    char *why = NULL;
    s->durable = durable_open(s, &why);
    for (uint32_t i = 0; i < s->worker_count; i++) {
        worker_init(s, i);
    }
    if (why != NULL) {
        *ret_why = why;
        destroy(s);
        return NULL;
    }
    s->listen = listen_open(s, ret_why);
    if (s->listen == NULL) {
        destroy(s);
        return NULL;
    }
    if (p->database.dsn != NULL) {
        s->follow = follow_create(&(struct follow_options){
            .policy = p,
            .fresh = s->fresh,
            .arg = s,
            .analyse = analyse,
            .publish = publish,
            .break_row_all = s->breaks.row_all,
        });
    }
    s->start_us = clock_now_us() - options->began_us; /* listening since just before */
    for (uint32_t i = 0; i < s->worker_count; i++) {
        check(pthread_create(&s->workers[i].thread, NULL, worker_body, &s->workers[i]) == 0);
    }
    return s;
}

bool server_reload(struct server *s, const struct policy *p, struct buf *ret_keys)
{
    if (policy_needs_restart(s->started_with, p, ret_keys)) {
        reload_refused(s->reload);
        return false;
    }
    reload_begin(s->reload, p);
    return true;
}

void server_reload_refused(struct server *s)
{
    reload_refused(s->reload);
}

uint64_t server_start_us(const struct server *s)
{
    return s->start_us;
}

void server_drain(struct server *s, int hurry_fd)
{
    listen_drain(s, hurry_fd);
}

void server_stop(struct server **sp)
{
    struct server *s = *sp;
    *sp = NULL;
    for (uint32_t i = 0; i < s->worker_count; i++) {
        loop_stop(s->workers[i].loop);
        check(pthread_join(s->workers[i].thread, NULL) == 0);
    }
    durable_stop(s->durable);
    listen_close(&s->listen);
    destroy(s);
}

bool server_load(struct server *s, char **ret_why)
{
    *ret_why = NULL;
    return s->durable == NULL || durable_load(s->durable, ret_why);
}
