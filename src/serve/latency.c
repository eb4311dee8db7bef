/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LATENCY: the slowest moments of late, by what was slow.
 *
 * An event has a ring of its last 160 samples, one a second at most (the worst of it), and the worst of
 * all time. Nothing is noted while `latency-monitor-threshold` is 0. LATENCY HISTOGRAM reads the times of
 * every command (command_stats.h), which are always kept.
 *
 * Events: "command", "fast-command" (declared fast, and was not), "expire-cycle".
 *
 * Lock: rank watch. Not done: the advice of LATENCY DOCTOR goes no further than what freshet can know.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "serve/command_stats.h"
#include "serve/slowlog.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    EVENTS_MAX = 8,
    SAMPLES = 160,
    GRAPH_ROWS = 4,
    GRAPH_COLUMNS = 80,
    GRAPH_LEVELS = 3,
    AGE_TEXT = 24
};

struct sample {
    uint64_t at_s;
    uint64_t ms;
};

struct event {
    const char *name; /* static */
    struct sample samples[SAMPLES];
    uint32_t next;
    uint64_t worst_ms;
};

struct latency { /* all under the watch lock */
    struct event *events[EVENTS_MAX];
    uint32_t count;
};

struct latency *latency_create(void)
{
    return xcalloc(1, sizeof(struct latency));
}

static void forget_all(struct latency *l)
{
    while (l->count > 0) {
        free(l->events[--l->count]);
    }
}

void latency_destroy(struct latency **lp)
{
    forget_all(*lp);
    free(*lp);
    *lp = NULL;
}

static struct event *find_event(const struct latency *l, struct slice name)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (slice_is(name, l->events[i]->name)) {
            return l->events[i];
        }
    }
    return NULL;
}

static void note_locked(struct latency *l, const char *name, uint64_t ms)
{
    uint64_t now_s = clock_wall_ms() / 1000;
    struct event *e = find_event(l, slice_of(name));
    if (e == NULL && l->count < EVENTS_MAX) {
        e = xcalloc(1, sizeof(*e));
        e->name = name;
        l->events[l->count++] = e;
    }
    if (e == NULL) {
        return;
    }
    e->worst_ms = ms > e->worst_ms ? ms : e->worst_ms;
    struct sample *last = &e->samples[(e->next + SAMPLES - 1) % SAMPLES];
    if (last->at_s == now_s) {
        last->ms = ms > last->ms ? ms : last->ms;
    } else {
        e->samples[e->next] = (struct sample){now_s, ms};
        e->next = (e->next + 1) % SAMPLES;
    }
}

void latency_note(struct server *s, const char *event, uint64_t ms)
{
    lock_acquire(&s->watch_lock);
    note_locked(s->latency, event, ms);
    lock_release(&s->watch_lock);
}

/* Oldest first; returns how many. */
static uint32_t samples_of(const struct event *e, struct sample ret[SAMPLES])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const struct sample *s = &e->samples[(e->next + i) % SAMPLES];
        if (s->at_s != 0) {
            ret[count++] = *s;
        }
    }
    return count;
}

/* --- LATEST, HISTORY, RESET --------------------------------------------------------------------- */

void cmd_latency_latest(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    struct buf *out = &c->conn.out;
    lock_acquire(&s->watch_lock);
    resp_array(out, s->latency->count);
    for (uint32_t i = 0; i < s->latency->count; i++) {
        const struct event *e = s->latency->events[i];
        const struct sample *last = &e->samples[(e->next + SAMPLES - 1) % SAMPLES];
        resp_array(out, 4);
        resp_bulk_str(out, e->name);
        resp_integer(out, (int64_t)last->at_s);
        resp_integer(out, (int64_t)last->ms);
        resp_integer(out, (int64_t)e->worst_ms);
    }
    lock_release(&s->watch_lock);
}

void cmd_latency_history(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    struct sample samples[SAMPLES];
    lock_acquire(&s->watch_lock);
    const struct event *e = find_event(s->latency, argv[2]);
    uint32_t count = e != NULL ? samples_of(e, samples) : 0;
    lock_release(&s->watch_lock);
    resp_array(&c->conn.out, count);
    for (uint32_t i = 0; i < count; i++) {
        resp_array(&c->conn.out, 2);
        reply_integer(c, (int64_t)samples[i].at_s);
        reply_integer(c, (int64_t)samples[i].ms);
    }
}

void cmd_latency_reset(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    struct latency *l = s->latency;
    lock_acquire(&s->watch_lock);
    uint32_t before = l->count;
    if (argc == 2) {
        forget_all(l);
    }
    for (uint32_t i = 2; i < argc; i++) {
        struct event *e = find_event(l, argv[i]);
        for (uint32_t j = 0; e != NULL && j < l->count; j++) {
            if (l->events[j] == e) {
                l->events[j] = l->events[--l->count];
                free(e);
                break;
            }
        }
    }
    uint32_t forgotten = before - l->count;
    lock_release(&s->watch_lock);
    reply_integer(c, forgotten);
}

/* --- GRAPH -------------------------------------------------------------------------------------- */

static void print_age(char ret_text[AGE_TEXT], uint64_t seconds)
{
    static const struct {
        uint64_t seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i + 1 < array_len(units) && seconds < units[i].seconds) {
        i++;
    }
    (void)snprintf(ret_text, AGE_TEXT, "%llu%c", (unsigned long long)(seconds / units[i].seconds),
                   units[i].letter);
}

static char graph_char(const struct sample *s, uint64_t low, uint64_t high, uint32_t row)
{
    static const char levels[] = "_-`";
    uint64_t span = high > low ? high - low : 1;
    uint64_t steps = (uint64_t)GRAPH_ROWS * GRAPH_LEVELS;
    uint64_t step = (s->ms - low) * steps / span;
    step = step < steps ? step : steps - 1;
    uint64_t floor = (uint64_t)(GRAPH_ROWS - row - 1) * GRAPH_LEVELS;
    if (step < floor) {
        return ' ';
    }
    return step - floor < GRAPH_LEVELS ? levels[step - floor] : '|';
}

static void draw(struct buf *out, const struct sample *samples, uint32_t count, uint64_t low,
                 uint64_t high)
{
    uint64_t now_s = clock_wall_ms() / 1000;
    for (uint32_t row = 0; row < GRAPH_ROWS; row++) {
        for (uint32_t i = 0; i < count; i++) {
            buf_append_char(out, graph_char(&samples[i], low, high, row));
        }
        buf_append_char(out, '\n');
    }
    for (uint32_t i = 0; i < count; i++) {
        buf_append_char(out, ' ');
    }
    buf_append_char(out, '\n');
    bool more = true;
    for (uint32_t row = 0; more; row++) {
        more = false;
        struct buf line;
        buf_init(&line);
        for (uint32_t i = 0; i < count; i++) {
            char age[AGE_TEXT];
            print_age(age, now_s - samples[i].at_s);
            bool has = row < strlen(age);
            buf_append_char(&line, has ? age[row] : ' ');
            more = more || has;
        }
        if (more) {
            buf_append_slice(out, buf_readable(&line));
            buf_append_char(out, '\n');
        }
        buf_fini(&line);
    }
}

void cmd_latency_graph(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    struct sample samples[SAMPLES];
    uint32_t count = 0;
    uint64_t worst = 0;
    lock_acquire(&s->watch_lock);
    const struct event *e = find_event(s->latency, argv[2]);
    if (e != NULL) {
        count = samples_of(e, samples);
        worst = e->worst_ms;
    }
    lock_release(&s->watch_lock);
    if (count == 0) {
        resp_error(&c->conn.out, "ERR No samples available for event '%.*s'", (int)argv[2].len,
                   argv[2].ptr);
        return;
    }
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    for (uint32_t i = 0; i < count; i++) {
        low = samples[i].ms < low ? samples[i].ms : low;
        high = samples[i].ms > high ? samples[i].ms : high;
    }
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%.*s - high %llu ms, low %llu ms (all time high %llu ms)\n",
               (int)argv[2].len, argv[2].ptr, (unsigned long long)high, (unsigned long long)low,
               (unsigned long long)worst);
    for (uint32_t i = 0; i < GRAPH_COLUMNS; i++) {
        buf_append_char(&text, '-');
    }
    buf_append_char(&text, '\n');
    uint32_t shown = count < GRAPH_COLUMNS ? count : GRAPH_COLUMNS;
    draw(&text, samples + (count - shown), shown, low, high);
    resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(&text));
    buf_fini(&text);
}

/* --- DOCTOR ------------------------------------------------------------------------------------- */

static void describe_event(struct buf *out, const struct event *e, uint32_t number)
{
    struct sample samples[SAMPLES];
    uint32_t count = samples_of(e, samples);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += samples[i].ms;
    }
    check(count > 0); /* an event is made by its first sample */
    uint64_t average = sum / count;
    uint64_t deviation = 0;
    for (uint32_t i = 0; i < count; i++) {
        deviation += samples[i].ms > average ? samples[i].ms - average : average - samples[i].ms;
    }
    double period = (double)(clock_wall_ms() / 1000 - samples[0].at_s + 1) / count;
    buf_printf(out,
               "%u. %s: %u latency spikes (average %llums, mean deviation %llums, period %.2f "
               "sec). Worst all time event %llums.\n",
               number, e->name, count, (unsigned long long)average,
               (unsigned long long)(deviation / count), period, (unsigned long long)e->worst_ms);
}

static void write_report(struct server *s, struct buf *out)
{
    if (setting_get(&s->settings.latency_ms) == 0) {
        buf_append_str(out,
                       "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this "
                       "Redis instance. You may use \"CONFIG SET latency-monitor-threshold "
                       "<milliseconds>.\" in order to enable it. If we weren't in a deep space "
                       "mission I'd suggest to take a look at "
                       "https://redis.io/topics/latency-monitor.\n");
        return;
    }
    lock_acquire(&s->watch_lock);
    if (s->latency->count == 0) {
        buf_append_str(out, "Dave, no latency spike was observed during the lifetime of this Redis "
                            "instance, not in the slightest bit. You honestly ought to sit down "
                            "calmly, take a stress pill, and think things over.\n");
    } else {
        buf_append_str(out, "Dave, I have observed latency spikes in this Redis instance. You "
                            "don't mind talking about it, do you Dave?\n\n");
        for (uint32_t i = 0; i < s->latency->count; i++) {
            describe_event(out, s->latency->events[i], i + 1);
        }
        buf_append_str(out, "\nI have a few advices for you:\n\n- Check your Slow Log to "
                            "understand what are the commands you are running which are too slow "
                            "to execute. Please check https://redis.io/commands/slowlog for more "
                            "information.\n");
    }
    lock_release(&s->watch_lock);
}

void cmd_latency_doctor(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf text;
    buf_init(&text);
    write_report(c->worker->server, &text);
    resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(&text));
    buf_fini(&text);
}

/* --- HISTOGRAM ---------------------------------------------------------------------------------- */

/* Counts below each doubling of 1.024 us, as far as they rise; bounds as Redis's histograms round them. */
static void print_histogram(struct buf *out, int proto, const struct command_figures *f)
{
    struct buf pairs;
    buf_init(&pairs);
    uint64_t seen = 0;
    uint64_t told = 0;
    uint32_t pair_count = 0;
    uint32_t bucket = 0;
    for (uint64_t ns = 1024; bucket < STATS_BUCKETS && told < f->timed; ns *= 2) {
        while (bucket < STATS_BUCKETS && command_stats_bucket_end(bucket) * 1000 <= ns + ns / 16) {
            seen += f->buckets[bucket++];
        }
        if (seen > told) {
            resp_integer(&pairs, (int64_t)((ns + ns / 128 - 1) / 1000));
            resp_integer(&pairs, (int64_t)seen);
            told = seen;
            pair_count++;
        }
    }
    resp_map(out, proto, pair_count);
    buf_append_slice(out, buf_readable(&pairs));
    buf_fini(&pairs);
}

struct histograms {
    struct resp_client *client;
    struct buf text;
    uint32_t count;
};

static void add_histogram(struct histograms *h, const struct command *cmd)
{
    struct command_figures f;
    if (!command_stats_sum(h->client->worker->server, cmd, &f) || f.timed == 0) {
        return;
    }
    resp_bulk_str(&h->text, cmd->full_name);
    resp_map(&h->text, h->client->proto, 2);
    resp_bulk_str(&h->text, "calls");
    resp_integer(&h->text, (int64_t)f.timed);
    resp_bulk_str(&h->text, "histogram_usec");
    print_histogram(&h->text, h->client->proto, &f);
    h->count++;
}

static void add_with_subs(struct histograms *h, const struct command *cmd)
{
    add_histogram(h, cmd);
    for (uint32_t i = 0; i < cmd->sub_count; i++) {
        add_histogram(h, &cmd->subs[i]);
    }
}

void cmd_latency_histogram(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct histograms h = {.client = c};
    buf_init(&h.text);
    for (uint32_t i = 0; argc == 2 && i < command_count(); i++) {
        add_with_subs(&h, command_at(i));
    }
    for (uint32_t i = 2; i < argc; i++) {
        const struct command *cmd = command_find_full(argv[i]);
        if (cmd != NULL) {
            add_with_subs(&h, cmd);
        }
    }
    resp_map(&c->conn.out, c->proto, h.count);
    buf_append_slice(&c->conn.out, buf_readable(&h.text));
    buf_fini(&h.text);
}

void cmd_latency_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        ("    Return a cumulative distribution of latencies in the format of a histogram for the "
         "specified command names."),
        "    If no commands are specified then all histograms are replied.",
    };
    reply_help(c, "LATENCY", lines, array_len(lines));
}
