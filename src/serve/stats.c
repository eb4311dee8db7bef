/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One walk over all figures, three ways to print them.
 *
 *   stats     "space.cache.keys 12"                            for people and scripts
 *   JSON      "space.cache.keys":12                            for programs
 *   metrics   "freshet_space_keys{space=\"cache\"} 12"         for Prometheus, with HELP and TYPE
 *
 * A figure that exists once for each space is visited metric by metric, so that Prometheus sees its
 * lines together. Counters have `_total` in Prometheus, as its naming rules want.
 */
#include "serve/stats.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "serve/blocked.h"
#include "serve/durable.h"
#include "serve/fill_times.h"
#include "serve/reload.h"
#include "serve/scripting.h"
#include "store/figures.h"

#include <inttypes.h>
#include <stdio.h>

enum kind { COUNTER, GAUGE };

struct figure {
    const char *group; /* "follow", "space"; NULL: none */
    const char *label; /* the space's name; NULL: none */
    bool first;        /* of its labels: HELP and TYPE come before it */
    const char *name;
    const char *help;
    enum kind kind;
    double value;
};

typedef void print_fn(struct buf *out, const struct figure *f);

/* --- the three ways ------------------------------------------------------------------------------- */

static void put_value(struct buf *out, double value)
{
    if (value < 9e15 && value == (double)(uint64_t)value) {
        buf_printf(out, "%" PRIu64, (uint64_t)value);
    } else {
        buf_printf(out, "%.9g", value);
    }
}

static void put_dotted(struct buf *out, const struct figure *f)
{
    buf_printf(out, "%s%s%s%s%s", f->group != NULL ? f->group : "", f->group != NULL ? "." : "",
               f->label != NULL ? f->label : "", f->label != NULL ? "." : "", f->name);
}

static void print_stats(struct buf *out, const struct figure *f)
{
    put_dotted(out, f);
    buf_append_char(out, ' ');
    put_value(out, f->value);
    buf_append_char(out, '\n');
}

/* Names and labels are the policy's: identifiers that need no escape. */
static void print_json(struct buf *out, const struct figure *f)
{
    buf_append_str(out, ",\n\"");
    put_dotted(out, f);
    buf_append_str(out, "\":");
    put_value(out, f->value);
}

static void print_metric(struct buf *out, const struct figure *f)
{
    char name[128];
    (void)snprintf(name, sizeof(name), "freshet_%s%s%s%s", f->group != NULL ? f->group : "",
                   f->group != NULL ? "_" : "", f->name, f->kind == COUNTER ? "_total" : "");
    if (f->first) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, f->help, name,
                   f->kind == COUNTER ? "counter" : "gauge");
    }
    buf_append_str(out, name);
    if (f->label != NULL) {
        buf_printf(out, "{%s=\"%s\"}", f->group, f->label);
    }
    buf_append_char(out, ' ');
    put_value(out, f->value);
    buf_append_char(out, '\n');
}

/* --- the walk ----------------------------------------------------------------------------------- */

struct walk {
    struct buf *out;
    print_fn *print;
    const char *group;
};

static void put(const struct walk *w, enum kind kind, const char *name, const char *help,
                double value)
{
    w->print(w->out, &(struct figure){.group = w->group,
                                      .first = true,
                                      .name = name,
                                      .help = help,
                                      .kind = kind,
                                      .value = value});
}

void net_figures(const struct server *s, struct net_figures *ret_figures)
{
    *ret_figures = (struct net_figures){0};
    for (uint32_t i = 0; i < s->worker_count; i++) {
        const struct loop *l = s->workers[i].loop;
        ret_figures->buffer_bytes += loop_buffer_bytes(l);
        ret_figures->bytes_in += loop_bytes_in(l);
        ret_figures->bytes_out += loop_bytes_out(l);
    }
}

/* What clients of all faces cost, and those of the Redis face that wait. */
static void walk_clients(const struct walk *w, struct server *s)
{
    struct net_figures net;
    struct scripting_figures scripts;
    net_figures(s, &net);
    scripting_figures(s, &scripts);
    put(w, GAUGE, "buffer_bytes",
        "memory in unfinished requests and waiting answers of all connections (limits.buffers)",
        (double)net.buffer_bytes);
    put(w, COUNTER, "read_bytes", "bytes read from connections", (double)net.bytes_in);
    put(w, COUNTER, "sent_bytes", "bytes sent to connections", (double)net.bytes_out);
    put(w, GAUGE, "blocked_clients", "Redis clients that wait for keys", blocked_count(s));
    put(w, GAUGE, "script_bytes", "memory that Lua holds in all workers", (double)scripts.vm_bytes);
}

static void walk_server(struct walk *w, struct server *s)
{
    w->group = NULL;
    put(w, GAUGE, "uptime_s", "seconds since the start",
        (double)((clock_now_ms() - s->started_ms) / 1000));
    put(w, GAUGE, "start_ms", "milliseconds that the start took, until clients could connect",
        (double)s->start_us / 1000);
    walk_clients(w, s);
    put(w, GAUGE, "workers", "worker threads", s->worker_count);
    struct reload_figures reload;
    reload_figures(s->reload, &reload);
    put(w, COUNTER, "reloads", "policies put in force while running", (double)reload.reloads);
    put(w, COUNTER, "reloads_refused", "policies that had mistakes or needed a restart",
        (double)reload.refused);
    put(w, COUNTER, "reload_voided", "keys removed because a new template governs them",
        (double)reload.voided);
    put(w, COUNTER, "log_lines_lost", "log lines that standard error did not take",
        (double)log_lost());
    put(w, GAUGE, "connections", "open connections of all faces",
        atomic_load_explicit(&s->connections, memory_order_relaxed));
#define X(name, help)                                                                              \
    put(w, COUNTER, #name, help,                                                                   \
        (double)serve_counter_sum(s, offsetof(struct serve_counters, name)));
    SERVE_COUNTERS(X)
#undef X
}

static void walk_follow(struct walk *w, struct server *s)
{
    struct follow_status st;
    follow_status(s->follow, &st);
    w->group = "follow";
    put(w, GAUGE, "following", "1 while the log is followed and stamps are given",
        st.state == FOLLOW_FOLLOWING);
    uint64_t age = fresh_proof_age(s->fresh, clock_now_ms());
    if (age != UINT64_MAX) {
        put(w, GAUGE, "proof_age_ms",
            "milliseconds since contact with the database was last proven", (double)age);
    }
    put(w, COUNTER, "commits", "transactions applied", (double)st.commits);
    put(w, COUNTER, "rows", "changed rows applied", (double)st.rows);
    put(w, COUNTER, "bytes", "bytes of the replication stream", (double)st.bytes);
    put(w, GAUGE, "silent", "1 while the database neither answers nor refuses",
        follow_silent(s->follow));
    put(w, GAUGE, "lost_s", "seconds since the log was last followed; 0 while it is",
        st.lost_ms == 0 ? 0 : (double)(clock_now_ms() - st.lost_ms) / 1000);
    put(w, GAUGE, "recovery_ms",
        "milliseconds from the database's first answer to following, the last time",
        (double)st.recovery_ms);
    put(w, COUNTER, "reconnects", "connections to the log after the first", (double)st.reconnects);
#define X(name, help)                                                                              \
    put(w, COUNTER, "lost_" #name, "times that contact ended: " help,                              \
        (double)st.lost_by[FOLLOW_LOSS_##name]);
    FOLLOW_LOSSES(X)
#undef X
    put(w, COUNTER, "probes", "snapshot and position queries", (double)st.probes);
    put(w, COUNTER, "kicks", "logical messages sent to flush the log", (double)st.kicks);
    put(w, COUNTER, "fence_waits", "commits that were streamed before a snapshot showed them",
        (double)st.fence_waits);
}

/* How often would one row's dependency be voided by another row that shares its slot? */
static void walk_marks(struct walk *w, struct server *s)
{
    uint32_t slots;
    uint64_t raised = fresh_hashed_raised(s->fresh, &slots);
    double hours = (double)(clock_now_ms() - s->started_ms) / 3600000.0;
    w->group = "marks";
    put(w, GAUGE, "slots", "hashed marks", slots);
    put(w, COUNTER, "raised", "hashed marks raised by changed rows and values", (double)raised);
    put(w, GAUGE, "false_invalidations_per_hour",
        "expected for one row dependency, by collisions, at the average rate of changes since the "
        "start",
        hours > 0 ? (double)raised / slots / hours : 0);
}

static const struct {
    enum kind kind;
    const char *name;
    const char *help;
    size_t offset;
} space_figures[] = {
#define F(kind, name, help)                                                                        \
    {                                                                                              \
        kind, #name, help, offsetof(struct store_space_stats, name)                                \
    }
    F(GAUGE, budget_bytes, "memory that the space may own"),
    F(GAUGE, used_bytes, "memory in pages that the space owns, index included"),
    F(GAUGE, item_bytes, "memory inside items"),
    F(GAUGE, keys, "keys stored"),
    F(COUNTER, evicted, "keys removed to make room"),
    F(COUNTER, expired, "keys removed because their time was over"),
    F(COUNTER, outdated, "entries refused because something they depend on had changed"),
    F(COUNTER, expire_looks, "items looked at in search of the expired"),
    F(COUNTER, refused, "writes refused because the space had no room and could make none"),
    F(GAUGE, near_full,
      "1 when the space has come to 80 % of its budget and not fallen below 75 % since"),
    F(COUNTER, crossings,
      "how often the space has come to 80 % of its budget (a warning in the log each)"),
#undef F
};

static void walk_spaces(struct walk *w, struct server *s)
{
    struct store_space_stats st[STORE_SPACE_MAX];
    for (uint32_t i = 0; i < s->started_with->space_count; i++) {
        store_space_stats(s->store, i, &st[i]);
    }
    for (size_t k = 0; k < array_len(space_figures); k++) {
        for (uint32_t i = 0; i < s->started_with->space_count; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&st[i] + space_figures[k].offset, sizeof(value));
            w->print(w->out, &(struct figure){.group = "space",
                                              .label = s->started_with->spaces[i].name,
                                              .first = i == 0,
                                              .name = space_figures[k].name,
                                              .help = space_figures[k].help,
                                              .kind = space_figures[k].kind,
                                              .value = (double)value});
        }
    }
}

static void walk_log(struct walk *w, const struct server *s)
{
    struct persist_figures f;
    persist_figures(durable_log(s->durable), &f);
    w->group = "log";
    put(w, GAUGE, "bytes", "size of the log of durable spaces", (double)f.bytes);
    put(w, GAUGE, "pending_bytes", "effects that are not written yet", (double)f.pending);
    put(w, GAUGE, "unsynced_bytes", "effects written, but not synced yet", (double)f.unsynced);
    put(w, COUNTER, "groups", "writes to the log", (double)f.groups);
    put(w, COUNTER, "syncs", "syncs of the log", (double)f.syncs);
    put(w, GAUGE, "sync_seconds", "how long the last sync took", (double)f.sync_us / 1e6);
    put(w, COUNTER, "rewrites", "times the log was rewritten", (double)f.rewrites);
    put(w, GAUGE, "rewriting", "1 while the log is being rewritten", f.is_rewriting);
    put(w, GAUGE, "trouble", "1 while writes are refused because the log cannot grow",
        f.trouble != 0);
    put(w, GAUGE, "load_seconds", "how long reading the log took at the start",
        (double)f.load_us / 1e6);
}

static void walk_all(struct walk *w, struct server *s)
{
    walk_server(w, s);
    if (s->follow != NULL) {
        walk_follow(w, s);
        walk_marks(w, s);
    }
    walk_spaces(w, s);
    if (s->durable != NULL) {
        walk_log(w, s);
    }
}

/* --- the faces ---------------------------------------------------------------------------------- */

/* What is no figure: a word or a sentence. */
static void put_word(const struct walk *w, const char *name, const char *text)
{
    if (w->print != print_json) {
        buf_printf(w->out, "%s %s\n", name, text);
        return;
    }
    buf_printf(w->out, ",\n\"%s\":", name);
    json_put_string(w->out, slice_of(text));
}

static void put_follow_words(const struct walk *w, struct server *s)
{
    struct follow_status st;
    char token[FRESH_TOKEN_MAX];
    follow_status(s->follow, &st);
    put_word(w, "follow.state", follow_state_name(st.state));
    if (st.last_error[0] != '\0') {
        put_word(w, "follow.last_error", st.last_error);
    }
    if (st.last_loss[0] != '\0') {
        put_word(w, "follow.last_loss", st.last_loss);
    }
    if (fresh_epoch(s->fresh) != 0) {
        (void)fresh_token_format(s->fresh, fresh_applied(s->fresh), token);
        put_word(w, "follow.applied", token);
    }
    if (fresh_visible(s->fresh) != 0) {
        (void)fresh_token_format(s->fresh, fresh_visible(s->fresh), token);
        put_word(w, "follow.visible", token);
    }
}

static void put_stats(struct walk *w, struct server *s)
{
    if (s->follow != NULL) {
        put_follow_words(w, s);
    }
    walk_all(w, s);
}

void stats_text(struct worker *w, struct buf *out)
{
    buf_append_str(out, "version " FRESHET_VERSION "\n");
    put_stats(&(struct walk){.out = out, .print = print_stats}, w->server);
}

void stats_json(struct worker *w, struct buf *out)
{
    buf_append_str(out, "{\"version\":\"" FRESHET_VERSION "\"");
    put_stats(&(struct walk){.out = out, .print = print_json}, w->server);
    buf_append_str(out, "}\n");
}

void metrics_text(struct worker *w, struct buf *out)
{
    buf_append_str(out, "# HELP freshet_info the version\n# TYPE freshet_info gauge\n"
                        "freshet_info{version=\"" FRESHET_VERSION "\"} 1\n");
    walk_all(&(struct walk){.out = out, .print = print_metric}, w->server);
    fill_times_metrics(w->server->fill_times, out);
}
