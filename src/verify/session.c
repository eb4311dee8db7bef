/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A browser's session: writes through a POST route and reads at once what it wrote, on other connections,
 * with the position token of the answer. Each read must show the session's own write, and every commit
 * that had returned before the write was sent.
 *
 * Threads: one actor. The session owns the row while its POST is under way, as any writer does.
 */
#include "verify/target.h"

#include "base/check.h"
#include "base/clock.h"
#include "verify/wire.h"

#include <stdio.h>

enum { READERS = 4, READS_PER_WRITE = 12, PAUSE_US = 8000 };

struct own_write {
    uint32_t id;
    int32_t group;
    uint64_t version;
    uint64_t sent_us;
    uint64_t acked_us;
    char position[64];
};

/* False when the run ends. `ret_own->version` 0: the row was not there. */
static bool post(struct actor *a, struct wire *w, struct own_write *ret_own)
{
    struct model_table *t = &a->run->tables[RUN_ITEM];
    struct own_write own = {.id = actor_random(a, t->row_count)};
    struct target target = {.table = RUN_ITEM, .id = own.id};
    struct model_row *row;
    struct http_reply reply = {0};
    char path[TARGET_NAME_MAX];
    char body[64];
    bool ok = true;
    check(pthread_rwlock_rdlock(&a->run->writing) == 0);
    row = model_own(t, own.id);
    if (row->group != MODEL_ABSENT) {
        own.sent_us = clock_now_us();
        own.group = row->group;
        own.version = model_begin(row, row->group);
        target_path(target, FACE_HTTP, path);
        (void)snprintf(body, sizeof(body), "{\"v\": %llu}", (unsigned long long)own.version);
        ok = http_post(w, path, body) && http_receive(w, &reply);
        if (ok && reply.status != 200) {
            run_fail(a->run, "POST %s answered %d: %.*s", path, reply.status, (int)reply.body.len,
                     reply.body.ptr);
            ok = false;
        }
    }
    if (ok && own.version != 0) {
        own.acked_us = clock_now_us();
        model_commit(row, own.version, own.acked_us);
        (void)snprintf(own.position, sizeof(own.position), "%.*s", (int)reply.position.len,
                       reply.position.ptr);
        journal_add(a, "write", target, own.sent_us, own.acked_us,
                    "POST: version %llu, committed, token %s", (unsigned long long)own.version,
                    own.position);
        run_count(a, posts);
        run_count(a, commits);
    }
    model_give_up(t, row);
    check(pthread_rwlock_unlock(&a->run->writing) == 0);
    *ret_own = own;
    return ok;
}

static bool read_own(struct actor *a, struct wire *readers, const struct own_write *own)
{
    struct target t = {.table = RUN_ITEM, .id = own->id};
    struct reading rd[READERS];
    bool list = actor_chance(a, 25);
    char path[TARGET_NAME_MAX];
    if (list) {
        t = (struct target){.table = RUN_ITEM, .list = true, .id = (uint32_t)own->group};
    }
    target_path(t, FACE_HTTP, path);
    for (uint32_t i = 0; i < READERS; i++) {
        rd[i] = reading_begin(a->run, t, FACE_HTTP);
        /* Nobody else could write the row before this commit returned, but other rows of the list. */
        reading_promise(&rd[i], list ? own->sent_us : own->acked_us,
                        list ? "own write: every commit that had returned before the write was sent"
                             : "own write: the row as this session wrote it, or newer");
        if (!http_get(&readers[i], path, "Freshet-Position", slice_of(own->position))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < READERS; i++) {
        struct http_reply reply;
        char outcome[96];
        if (!http_receive(&readers[i], &reply)) {
            return false;
        }
        (void)snprintf(outcome, sizeof(outcome), "%.*s", (int)reply.cache_status.len,
                       reply.cache_status.ptr);
        run_count(a, http_own);
        if (reply.status != 200) {
            run_count(a, http_errors);
            continue;
        }
        run_add(&a->counters.http_own_hits, reply.hit ? 1 : 0);
        run_add(&a->counters.http_joined, reply.joined ? 1 : 0);
        run_add(&a->counters.http_bypassed, reply.bypassed ? 1 : 0);
        if (!reply.hit) {
            journal_add(a, "fill", t, rd[i].invoked_us, clock_now_us(), "%s", outcome);
        }
        if (!reading_judge(a, &rd[i], reply.body, outcome, reply.hit)) {
            return false;
        }
    }
    return true;
}

void session_body(struct actor *a)
{
    struct wire writer;
    struct wire readers[READERS];
    uint32_t open = 0;
    bool ok = wire_open(&writer, a->run, a->run->options->http);
    while (ok && open < READERS) {
        ok = wire_open(&readers[open++], a->run, a->run->options->http);
    }
    while (ok && !run_stopping(a->run)) {
        struct own_write own;
        ok = post(a, &writer, &own);
        for (uint32_t i = 0;
             ok && own.version != 0 && own.position[0] != '\0' && i < READS_PER_WRITE / READERS;
             i++) {
            ok = read_own(a, readers, &own);
        }
        actor_pause(a, PAUSE_US);
    }
    wire_close(&writer);
    for (uint32_t i = 0; i < open; i++) {
        wire_close(&readers[i]);
    }
}
