/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * freshness: how long after a commit an entry is still served, and what strict reads cost; seen from
 * outside, by a client that writes to PostgreSQL itself and reads from freshet.
 *
 *     freshness lag DSN HTTP RESP UNTIL PAUSE         an UPDATE, then reads until they tell of it; again
 *     freshness wide DSN RESP KEYS ROUNDS SCHEDSTAT   one UPDATE that makes KEYS keys old at once
 *     freshness read HTTP RESP PATH DB SECONDS        how long one hit takes, one after the other
 *
 * lag: UNTIL is a number of seconds, or a file that appears when it is enough; PAUSE ms between two UPDATEs, on
 * average. The row's key and the row's route are both in the store when the UPDATE is sent. The clock starts when
 * PostgreSQL's answer to the commit has come, and stops when an answer has come that is not the old one:
 *
 *     UPDATE ──commit returned──> GET old, GET old, GET nil        "refused": the key is absent
 *                             └─> GET old ... GET new version      "served": the route has been read anew
 *
 * So each time holds at least one round trip; "old" counts the commits after which an old answer was seen.
 * Odd rounds look at the key, even ones at the route: one does not wait for the other's round trips. "kept" is
 * how long it took before each UPDATE to have the entry in the store: at once, except while freshet is so far
 * behind the log that it keeps and serves nothing.
 *
 * wide: SCHEDSTAT is /proc/PID/task/TID/schedstat of the follower's thread: its CPU from before the UPDATE
 * until the key was refused and the follower is at rest again. Every round sets all keys anew; at the end of a
 * round a sample of 1,000 of them must all be gone.
 *
 * Output: "NAME VALUE ..." lines; times in microseconds.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "verify/wire.h"

#include <libpq-fe.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROWS = 1000, BATCH = 1000, SAMPLE = 1000, GIVE_UP_US = 60000000, SETTLE_US = 30000 };

struct times {
    double *us;
    size_t count;
    size_t cap;
};

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fputs("freshness: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* wire.h reports failures to its checker; here each one ends the measurement. */
void run_fail(struct run *r, const char *fmt, ...)
{
    char text[512];
    va_list args;
    (void)r;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fail("%s", text);
}

/* --- figures -------------------------------------------------------------------------------------- */

static void note(struct times *t, uint64_t us)
{
    if (t->count == t->cap) {
        t->cap = t->cap > 0 ? t->cap * 2 : 256;
        t->us = xrealloc(t->us, t->cap * sizeof(*t->us));
    }
    t->us[t->count++] = (double)us;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static double percentile(const struct times *t, double p)
{
    size_t rank = (size_t)ceil(p * (double)t->count);
    return t->us[rank > 0 ? rank - 1 : 0];
}

static void tell(const char *name, struct times *t)
{
    if (t->count == 0) {
        fail("%s: nothing was measured", name);
    }
    qsort(t->us, t->count, sizeof(*t->us), by_size);
    printf("%s %.0f %.0f %.0f %zu\n", name, percentile(t, 0.5), percentile(t, 0.99),
           percentile(t, 1), t->count);
}

static void pause_for(uint64_t us)
{
    struct timespec pause = {.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
    (void)nanosleep(&pause, NULL);
}

static void give_up(uint64_t since_us, const char *what)
{
    if (clock_now_us() - since_us > GIVE_UP_US) {
        fail("%s did not happen within a minute", what);
    }
}

/* --- the two sides -------------------------------------------------------------------------------- */

static PGconn *connect_database(const char *dsn)
{
    PGconn *pg = PQconnectdb(dsn);
    if (PQstatus(pg) != CONNECTION_OK) {
        fail("%s", PQerrorMessage(pg));
    }
    return pg;
}

/* Runs one statement with an id; returns when PostgreSQL has said that it is committed. */
static uint64_t change(PGconn *pg, const char *sql, uint32_t id)
{
    char text[16];
    const char *values[] = {text};
    (void)snprintf(text, sizeof(text), "%u", id);
    PGresult *result = PQexecParams(pg, sql, 1, NULL, values, NULL, NULL, 0);
    uint64_t version = PQntuples(result) == 1 ? strtoull(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    if (version == 0) {
        fail("%s", PQerrorMessage(pg));
    }
    PQclear(result);
    return version;
}

static bool has_key(struct wire *w, const char *key)
{
    struct resp_reply reply;
    (void)resp_ask(w, 2, (struct slice[]){SLICE("GET"), slice_of(key)}, &reply);
    return reply.kind == '$';
}

/* As an application with fill tokens does, until it is kept: a SET is not when the row has changed just now.
 * (After a plain miss, a key that has just changed would not be kept for implicit_lease.) */
static void keep_key(struct wire *w, const char *key)
{
    uint64_t begun = clock_now_us();
    char token[64];
    for (;;) {
        struct resp_reply reply;
        (void)resp_ask(w, 2, (struct slice[]){SLICE("FRESHET.GET"), slice_of(key)}, &reply);
        if (reply.kind == '$') {
            return;
        }
        (void)snprintf(token, sizeof(token), "%.*s", (int)reply.second.len, reply.second.ptr);
        if (token[0] != '\0') { /* there is none without contact to the database */
            (void)resp_ask(w, 5,
                           (struct slice[]){SLICE("FRESHET.SET"), slice_of(key), SLICE("old"),
                                            SLICE("TOKEN"), slice_of(token)},
                           &reply);
        }
        give_up(begun, "keeping a key");
    }
}

static uint64_t ask_version(struct wire *w, const char *path, bool *ret_hit)
{
    struct http_reply reply;
    (void)http_get(w, path, NULL, (struct slice){NULL, 0});
    (void)http_receive(w, &reply);
    const char *at =
        reply.status == 200 ? memmem(reply.body.ptr, reply.body.len, "\"version\":", 10) : NULL;
    if (at == NULL) {
        fail("%s answered %d", path, reply.status);
    }
    *ret_hit = reply.hit;
    return strtoull(at + 10, NULL, 10);
}

static void keep_route(struct wire *w, const char *path)
{
    uint64_t begun = clock_now_us();
    bool hit = false;
    while (!hit) {
        (void)ask_version(w, path, &hit);
        give_up(begun, "keeping an answer");
    }
}

/* --- lag ------------------------------------------------------------------------------------------ */

static const char change_probe[] =
    "UPDATE probe SET version = version + 1 WHERE id = $1 RETURNING version";

static bool look_at_key(PGconn *pg, struct wire *w, uint32_t id, struct times *kept,
                        struct times *refused)
{
    uint64_t begun = clock_now_us();
    char key[32];
    bool seen_old = false;
    (void)snprintf(key, sizeof(key), "probe_%u", id);
    keep_key(w, key);
    note(kept, clock_now_us() - begun);
    (void)change(pg, change_probe, id);
    uint64_t committed = clock_now_us();
    while (has_key(w, key)) {
        seen_old = true;
        give_up(committed, "the end of a key");
    }
    note(refused, clock_now_us() - committed);
    return seen_old;
}

static bool look_at_route(PGconn *pg, struct wire *w, uint32_t id, struct times *kept,
                          struct times *served)
{
    uint64_t begun = clock_now_us();
    char path[32];
    bool hit;
    bool seen_old = false;
    (void)snprintf(path, sizeof(path), "/probe/%u", id);
    keep_route(w, path);
    note(kept, clock_now_us() - begun);
    uint64_t version = change(pg, change_probe, id);
    uint64_t committed = clock_now_us();
    while (ask_version(w, path, &hit) < version) {
        seen_old = true;
        give_up(committed, "a new answer");
    }
    note(served, clock_now_us() - committed);
    return seen_old;
}

static bool is_over(const char *until, uint64_t begun_us)
{
    uint64_t seconds = strtoull(until, NULL, 10);
    return seconds > 0 ? clock_now_us() - begun_us > seconds * 1000000 : access(until, F_OK) == 0;
}

static void lag(char **arg)
{
    struct wire http;
    struct wire resp;
    struct times refused = {0};
    struct times served = {0};
    struct times kept = {0};
    uint64_t old_keys = 0;
    uint64_t old_answers = 0;
    PGconn *pg = connect_database(arg[0]);
    (void)wire_open(&http, NULL, arg[1]);
    (void)wire_open(&resp, NULL, arg[2]);
    uint64_t begun = clock_now_us();
    uint64_t pause_us = strtoull(arg[4], NULL, 10) * 1000;
    for (uint32_t round = 0; round < 2 || !is_over(arg[3], begun); round++) {
        uint32_t id = round % ROWS + 1;
        if (round % 2 == 0) {
            old_keys += look_at_key(pg, &resp, id, &kept, &refused);
        } else {
            old_answers += look_at_route(pg, &http, id, &kept, &served);
        }
        pause_for(pause_us / 2 +
                  (round * 2654435761U) % (pause_us + 1)); /* not in step with anything */
    }
    tell("refused", &refused);
    tell("served", &served);
    tell("kept", &kept);
    printf("old %.1f %.1f\n", 100.0 * (double)old_keys / (double)refused.count,
           100.0 * (double)old_answers / (double)served.count);
    wire_close(&http);
    wire_close(&resp);
    PQfinish(pg);
}

/* --- wide ----------------------------------------------------------------------------------------- */

static uint64_t cpu_of(const char *schedstat)
{
    unsigned long ns = 0;
    FILE *file = fopen(schedstat, "r");
    if (file == NULL || fscanf(file, "%lu", &ns) != 1) {
        fail("%s cannot be read", schedstat);
    }
    (void)fclose(file);
    return ns;
}

static void word(struct buf *out, const char *text)
{
    buf_printf(out, "$%zu\r\n%s\r\n", strlen(text), text);
}

/* Sends `count` commands for keys first, first + step, ... in one go; returns how many replies were no nil. */
static uint32_t pipeline(struct wire *w, const char *command, uint32_t first, uint32_t step,
                         uint32_t count)
{
    uint32_t there = 0;
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        bool set = strcmp(command, "SET") == 0;
        (void)snprintf(key, sizeof(key), "wide_%u", first + i * step);
        buf_printf(&w->out, "*%d\r\n", set ? 3 : 2);
        word(&w->out, command);
        word(&w->out, key);
        if (set) {
            word(&w->out, "old");
        }
    }
    /* The last command leaves with those before it. */
    (void)resp_send(w, 1, (struct slice[]){SLICE("PING")});
    for (uint32_t i = 0; i <= count; i++) {
        struct resp_reply reply;
        (void)resp_receive(w, &reply);
        if (reply.kind == '-') {
            fail("%s was refused: %.*s", command, (int)reply.text.len, reply.text.ptr);
        }
        there += reply.kind != '_';
    }
    return there - 1;
}

static uint32_t sample(struct wire *w, uint32_t keys)
{
    uint32_t count = keys < SAMPLE ? keys : SAMPLE;
    return pipeline(w, "GET", 1, keys / count, count);
}

/* Sets all keys, until all of the sample are kept: at first their table may have changed just now. */
static void keep_all(struct wire *w, uint32_t keys)
{
    uint64_t begun = clock_now_us();
    uint32_t wanted = keys < SAMPLE ? keys : SAMPLE;
    do {
        pause_for(SETTLE_US); /* longer than the template's implicit_lease */
        for (uint32_t first = 1; first <= keys; first += BATCH) {
            (void)pipeline(w, "SET", first, 1, keys - first + 1 < BATCH ? keys - first + 1 : BATCH);
        }
        give_up(begun, "keeping all keys");
    } while (sample(w, keys) < wanted);
}

static void wide(char **arg)
{
    static const char change_wide[] = "UPDATE wide SET n = n + 1 WHERE id = $1 RETURNING n";
    struct wire resp;
    struct times refused = {0};
    struct times cpu = {0};
    PGconn *pg = connect_database(arg[0]);
    uint32_t keys = (uint32_t)strtoul(arg[2], NULL, 10);
    (void)wire_open(&resp, NULL, arg[1]);
    for (uint32_t rounds = (uint32_t)strtoul(arg[3], NULL, 10); rounds > 0; rounds--) {
        keep_all(&resp, keys);
        pause_for(SETTLE_US);
        uint64_t before = cpu_of(arg[4]);
        (void)change(pg, change_wide, 1);
        uint64_t committed = clock_now_us();
        while (has_key(&resp, "wide_1")) {
            give_up(committed, "the end of a key");
        }
        note(&refused, clock_now_us() - committed);
        pause_for(SETTLE_US);
        note(&cpu, (cpu_of(arg[4]) - before) / 1000);
        if (sample(&resp, keys) != 0) {
            fail("some of %u keys outlived their table's change", keys);
        }
    }
    tell("refused", &refused);
    tell("cpu", &cpu);
    wire_close(&resp);
    PQfinish(pg);
}

/* --- read ----------------------------------------------------------------------------------------- */

static void read_hits(char **arg)
{
    struct wire http;
    struct wire resp;
    struct resp_reply reply;
    struct times answers = {0};
    struct times keys = {0};
    (void)wire_open(&http, NULL, arg[0]);
    (void)wire_open(&resp, NULL, arg[1]);
    (void)resp_ask(&resp, 2, (struct slice[]){SLICE("SELECT"), slice_of(arg[3])}, &reply);
    uint64_t until = clock_now_us() + strtoull(arg[4], NULL, 10) * 1000000;
    keep_route(&http, arg[2]);
    keep_key(&resp, "probe_1");
    for (uint64_t now = clock_now_us(); now < until; now = clock_now_us()) {
        bool hit;
        (void)ask_version(&http, arg[2], &hit);
        uint64_t between = clock_now_us();
        note(&answers, between - now);
        (void)has_key(&resp, "probe_1");
        note(&keys, clock_now_us() - between);
    }
    tell("http", &answers);
    tell("redis", &keys);
    wire_close(&http);
    wire_close(&resp);
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "lag") == 0) {
        lag(argv + 2);
    } else if (argc == 7 && strcmp(argv[1], "wide") == 0) {
        wide(argv + 2);
    } else if (argc == 7 && strcmp(argv[1], "read") == 0) {
        read_hits(argv + 2);
    } else {
        (void)fprintf(stderr, "usage: freshness lag DSN HTTP RESP UNTIL PAUSE-MS\n"
                              "       freshness wide DSN RESP KEYS ROUNDS SCHEDSTAT\n"
                              "       freshness read HTTP RESP PATH DB SECONDS\n");
        return 2;
    }
    return 0;
}
