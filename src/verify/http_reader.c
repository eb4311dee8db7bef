/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers of HTTP routes, follow and strict. Each has a handful of kept connections and asks on all of
 * them before it reads the answers: often the same question on all, so that requests meet in one fill.
 *
 * Now and then one asks again for what it was shown last, with its ETag; "not modified" is judged like the
 * page that it stands for. Strict answers that came out of a lookup also move `caught_up`: see run.h.
 *
 * Threads: each reader is an actor; its connections are its own.
 */
#include "verify/http_read.h"

#include "base/clock.h"

#include <stdio.h>

enum { CONNECTIONS = 8, CROWD_SHOWN = 64 };

struct target reader_choose(struct actor *a)
{
    uint32_t die = actor_random(a, 100);
    struct target t = {.table = die < 45 ? RUN_ITEM : die < 75 ? RUN_PART : RUN_CROWD};
    const struct model_table *table = &a->run->tables[t.table];
    t.list = t.table != RUN_CROWD && actor_chance(a, 30);
    if (t.list) {
        t.id = actor_random(a, table->groups);
    } else if (t.table == RUN_CROWD) {
        t.id = actor_random(a, CROWD_SHOWN);
    } else {
        t.id = actor_random(a, actor_chance(a, 30) ? table->row_count / 8 : table->row_count);
    }
    return t;
}

bool http_read_send(struct actor *a, struct wire *w, struct target t, enum face face,
                    struct reading *ret_reading)
{
    char path[TARGET_NAME_MAX];
    target_path(t, face, path);
    *ret_reading = reading_begin(a->run, t, face);
    return http_get(w, path, NULL, (struct slice){NULL, 0});
}

static void count(struct actor *a, const struct reading *rd, const struct http_reply *reply)
{
    struct run_counters *c = &a->counters;
    uint64_t hit = reply->hit ? 1 : 0;
    if (face_is_strict(rd->face)) {
        run_add(&c->http_strict, 1);
        run_add(&c->http_strict_hits, hit);
    } else {
        run_add(&c->http_follow, 1);
        run_add(&c->http_follow_hits, hit);
    }
    run_add(&c->http_joined, reply->joined ? 1 : 0);
    run_add(&c->http_bypassed, reply->bypassed ? 1 : 0);
}

/* Whatever committed before this strict request was sent is applied now. */
static void note_caught_up(struct run *r, uint64_t invoked_us)
{
    uint64_t old = atomic_load_explicit(&r->caught_up_us, memory_order_relaxed);
    while (old < invoked_us &&
           !atomic_compare_exchange_weak_explicit(&r->caught_up_us, &old, invoked_us,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}

bool http_read_receive(struct actor *a, struct wire *w, const struct reading *rd,
                       struct http_reply *ret_reply)
{
    char outcome[96];
    if (!http_receive(w, ret_reply)) {
        return false;
    }
    count(a, rd, ret_reply);
    if (ret_reply->status >= 500) {
        run_count(a, http_errors);
        return true;
    }
    if (ret_reply->status == 304) {
        return true;
    }
    if (ret_reply->status != 200) {
        run_fail(a->run, "GET %s of table %d answered %d: is this the checker's policy? %.*s",
                 rd->target.list ? "a list" : "a row", rd->target.table, ret_reply->status,
                 (int)ret_reply->body.len, ret_reply->body.ptr);
        return false;
    }
    (void)snprintf(outcome, sizeof(outcome), "%.*s", (int)ret_reply->cache_status.len,
                   ret_reply->cache_status.ptr);
    if (!ret_reply->hit) {
        journal_add(a, "fill", rd->target, rd->invoked_us, clock_now_us(), "%s%s: %.*s",
                    face_is_strict(rd->face) ? "strict " : "", outcome,
                    (int)(rd->target.list ? 0 : ret_reply->body.len), ret_reply->body.ptr);
    }
    if (!reading_judge(a, rd, ret_reply->body, outcome, ret_reply->hit)) {
        return false;
    }
    if (face_is_strict(rd->face) && ret_reply->caught_up) {
        note_caught_up(a->run, rd->invoked_us);
    }
    return true;
}

bool http_read(struct actor *a, struct wire *w, struct target t, enum face face,
               struct http_reply *ret_reply)
{
    struct reading rd;
    return http_read_send(a, w, t, face, &rd) && http_read_receive(a, w, &rd, ret_reply);
}

/* --- the thread ------------------------------------------------------------------------------------ */

/* A connection, and what its browser remembers of the last answer. */
struct tab {
    struct wire wire;
    struct reading reading;
    struct target target;
    enum face face;
    char etag[64]; /* of `page`, empty: none */
    struct buf page;
    bool conditional; /* the question under way asks for anything but `page` */
};

static bool ask(struct actor *a, struct tab *tab, struct target t, enum face face)
{
    char path[TARGET_NAME_MAX];
    tab->conditional = tab->etag[0] != '\0' && actor_chance(a, 15);
    if (!tab->conditional) {
        tab->target = t;
        tab->face = face;
    }
    target_path(tab->target, tab->face, path);
    tab->reading = reading_begin(a->run, tab->target, tab->face);
    return http_get(&tab->wire, path, tab->conditional ? "If-None-Match" : NULL,
                    slice_of(tab->etag));
}

static bool take_answer(struct actor *a, struct tab *tab)
{
    struct http_reply reply;
    if (!http_read_receive(a, &tab->wire, &tab->reading, &reply)) {
        return false;
    }
    if (reply.status == 304) {
        run_count(a, http_unchanged);
        return reading_judge(a, &tab->reading, buf_readable(&tab->page), "not modified", reply.hit);
    }
    bool good = reply.status == 200 && reply.etag.len < sizeof(tab->etag);
    buf_clear(&tab->page);
    buf_append_slice(&tab->page, reply.body);
    (void)snprintf(tab->etag, sizeof(tab->etag), "%.*s", good ? (int)reply.etag.len : 0,
                   reply.etag.len > 0 ? reply.etag.ptr : "");
    return true;
}

static bool volley(struct actor *a, struct tab *tabs)
{
    bool same = actor_chance(a, 25);
    struct target t = reader_choose(a);
    enum face face = actor_chance(a, 40) ? FACE_HTTP_STRICT : FACE_HTTP;
    bool ok = true;
    for (uint32_t i = 0; ok && i < CONNECTIONS; i++) {
        if (!same && i > 0) {
            t = reader_choose(a);
            face = actor_chance(a, 40) ? FACE_HTTP_STRICT : FACE_HTTP;
        }
        ok = ask(a, &tabs[i], t, face);
    }
    for (uint32_t i = 0; ok && i < CONNECTIONS; i++) {
        ok = take_answer(a, &tabs[i]);
    }
    return ok;
}

void http_reader_body(struct actor *a)
{
    struct tab tabs[CONNECTIONS];
    uint32_t open = 0;
    bool ok = true;
    while (ok && open < CONNECTIONS) {
        struct tab *tab = &tabs[open++];
        *tab = (struct tab){0};
        buf_init(&tab->page);
        ok = wire_open(&tab->wire, a->run, a->run->options->http);
    }
    while (ok && !run_stopping(a->run)) {
        ok = volley(a, tabs);
    }
    for (uint32_t i = 0; i < open; i++) {
        wire_close(&tabs[i].wire);
        buf_fini(&tabs[i].page);
    }
}
