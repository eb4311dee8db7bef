/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stage, and the scenes of clients that cache in Redis (see scenes.h).
 *
 * "settle" stands for: freshet has applied the commit. From then on the follow level may not answer with
 * anything older, so a single GET tells.
 */
#include "verify/scenes.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "verify/http_read.h"

#include <stdio.h>
#include <stdlib.h>

enum { SETTLE_US = 30 * 1000 * 1000, BETWEEN_US = 10 * 1000 };

static struct target row_of_stage(uint32_t id)
{
    return (struct target){.table = RUN_STAGE, .id = id};
}

bool stage_write(struct stage *s, uint32_t id)
{
    tx_begin(&s->tx, RUN_STAGE, "scene");
    uint32_t i = tx_lock(&s->tx, id);
    int32_t group = s->tx.changes[i].old_group;
    tx_set(&s->tx, i, group == MODEL_ABSENT ? 0 : group);
    bool ok = tx_send(&s->tx, TX_IMPLICIT);
    tx_end(&s->tx);
    return ok;
}

bool stage_settle(struct stage *s, uint32_t id)
{
    uint64_t begun_us = clock_now_us();
    struct http_reply reply;
    do {
        if (!http_read(s->actor, &s->http[0], row_of_stage(id), FACE_HTTP_STRICT, &reply)) {
            return false;
        }
        if (reply.caught_up) {
            return true;
        }
        actor_pause(s->actor, 1000);
    } while (!run_stopping(s->actor->run) && clock_now_us() - begun_us < SETTLE_US);
    if (!run_stopping(s->actor->run)) {
        run_fail(s->actor->run,
                 "freshet has not caught up with PostgreSQL for 30 s (Cache-Status: %.*s)",
                 (int)reply.cache_status.len, reply.cache_status.ptr);
    }
    return false;
}

bool stage_read_all(struct stage *s, uint32_t id)
{
    struct actor *a = s->actor;
    struct http_reply reply;
    struct redis_miss miss;
    struct target t = row_of_stage(id);
    bool hit;
    return http_read(a, &s->http[1], t, FACE_HTTP_STRICT, &reply) &&
           http_read(a, &s->http[1], t, FACE_HTTP, &reply) &&
           redis_get(a, &s->redis[1], t, FACE_REDIS, false, &hit, &miss) &&
           redis_get(a, &s->redis_strict, t, FACE_REDIS_STRICT, false, &hit, &miss);
}

/* --- clients of Redis ------------------------------------------------------------------------------ */

/* A miss for certain: the key is deleted first. */
static bool fresh_miss(struct stage *s, struct wire *w, uint32_t id, bool with_token,
                       struct redis_miss *ret_miss)
{
    char key[TARGET_NAME_MAX];
    struct resp_reply reply;
    bool hit;
    target_key(row_of_stage(id), key);
    if (!resp_ask(w, 2, (struct slice[]){SLICE("DEL"), slice_of(key)}, &reply) ||
        !redis_get(s->actor, w, row_of_stage(id), FACE_REDIS, with_token, &hit, ret_miss)) {
        return false;
    }
    if (hit) {
        run_fail(s->actor->run, "a deleted key was found");
    }
    return !hit;
}

static bool get_again(struct stage *s, uint32_t id)
{
    bool hit;
    struct redis_miss miss;
    return redis_get(s->actor, &s->redis[1], row_of_stage(id), FACE_REDIS, false, &hit, &miss);
}

/* A reader pauses between its read and its SET; meanwhile the row changes. */
bool scene_slow_set(struct stage *s, uint32_t id)
{
    struct redis_miss miss;
    struct actor *a = s->actor;
    return fresh_miss(s, &s->redis[0], id, false, &miss) &&
           db_read(a, &s->db, miss.target, &s->page) && stage_write(s, id) && stage_settle(s, id) &&
           redis_set(a, &s->redis[1], &miss, buf_readable(&s->page)) && get_again(s, id);
}

/* The same, and a second reader misses, reads and SETs in between: the first one's SET comes last. */
bool scene_second_reader(struct stage *s, uint32_t id)
{
    struct redis_miss first;
    struct redis_miss second;
    struct buf page;
    struct actor *a = s->actor;
    bool hit = false;
    buf_init(&page);
    bool ok = fresh_miss(s, &s->redis[0], id, false, &first) &&
              db_read(a, &s->db, first.target, &s->page) && stage_write(s, id) &&
              stage_settle(s, id) &&
              redis_get(a, &s->redis[1], first.target, FACE_REDIS, false, &hit, &second);
    if (ok && !hit) {
        ok = db_read(a, &s->db, second.target, &page) &&
             redis_set(a, &s->redis[1], &second, buf_readable(&page)) &&
             redis_set(a, &s->redis[0], &first, buf_readable(&s->page)) && get_again(s, id);
    }
    buf_fini(&page);
    return ok;
}

/* A writer SETs what it wrote, late: the row has changed once more. No miss comes before it. */
bool scene_late_write_through(struct stage *s, uint32_t id)
{
    struct redis_miss write = {
        .target = row_of_stage(id), .face = FACE_REDIS, .missed_us = clock_now_us()};
    struct actor *a = s->actor;
    return stage_write(s, id) && db_read(a, &s->db, write.target, &s->page) && stage_write(s, id) &&
           stage_settle(s, id) && redis_set(a, &s->redis[0], &write, buf_readable(&s->page)) &&
           get_again(s, id);
}

/* The same, but a reader's miss comes before that SET, newer than what it stands for. Whether the reader has
 * SET its own value yet makes no difference. */
bool scene_borrowed_miss(struct stage *s, uint32_t id)
{
    struct redis_miss write = {
        .target = row_of_stage(id), .face = FACE_REDIS, .missed_us = clock_now_us()};
    struct redis_miss miss;
    struct actor *a = s->actor;
    struct buf page;
    buf_init(&page);
    bool ok = stage_write(s, id) && db_read(a, &s->db, write.target, &s->page) &&
              stage_write(s, id) && stage_settle(s, id) &&
              fresh_miss(s, &s->redis[1], id, false, &miss) &&
              db_read(a, &s->db, miss.target, &page) &&
              (actor_chance(a, 50) || redis_set(a, &s->redis[1], &miss, buf_readable(&page))) &&
              redis_set(a, &s->redis[0], &write, buf_readable(&s->page)) && get_again(s, id);
    buf_fini(&page);
    return ok;
}

/* A fill token says exactly which read a SET stands for. */
bool scene_token(struct stage *s, uint32_t id)
{
    struct redis_miss miss;
    struct actor *a = s->actor;
    if (!a->run->has_tokens) {
        return true;
    }
    return fresh_miss(s, &s->redis[0], id, true, &miss) &&
           db_read(a, &s->db, miss.target, &s->page) && stage_write(s, id) && stage_settle(s, id) &&
           redis_set(a, &s->redis[1], &miss, buf_readable(&s->page)) && get_again(s, id);
}

/* --- the stage -------------------------------------------------------------------------------------- */

static const struct scene {
    const char *name;
    bool (*play)(struct stage *s, uint32_t id);
    uint32_t every; /* rounds */
} scenes[] = {
    {"slow SET", scene_slow_set, 1},
    {"second reader", scene_second_reader, 1},
    {"late write-through", scene_late_write_through, 1},
    {"borrowed miss", scene_borrowed_miss, 1},
    {"token", scene_token, 1},
    {"fill overtaken", scene_fill_overtaken, 1},
    {"quiet commit", scene_quiet_commit, 2},
    {"truncate", scene_truncate, 2},
    {"everything changes", scene_everything_changes, 4},
    {"held commit", scene_held_commit, 4},
    {"lost contact", scene_lost_contact, 16},
    {"census", scene_census, 40},
};

static bool stage_open(struct stage *s)
{
    struct run *r = s->actor->run;
    const char *resp = r->options->resp;
    bool ok = db_open(&s->db, r) && db_open(&s->second, r) &&
              redis_open(&s->redis[0], r, resp, FACE_REDIS) &&
              redis_open(&s->redis[1], r, resp, FACE_REDIS) &&
              redis_open(&s->redis_strict, r, resp, FACE_REDIS_STRICT);
    for (uint32_t i = 0; ok && i < STAGE_WIRES; i++) {
        ok = wire_open(&s->http[i], r, r->options->http);
    }
    /* The stage manager's own watching never waits for a standby. */
    return ok && db_exec(&s->second, "SET synchronous_commit = local");
}

static void stage_close(struct stage *s)
{
    for (uint32_t i = 0; i < STAGE_WIRES; i++) {
        wire_close(&s->http[i]);
    }
    wire_close(&s->redis[0]);
    wire_close(&s->redis[1]);
    wire_close(&s->redis_strict);
    db_close(&s->second);
    db_close(&s->db);
    tx_fini(&s->tx);
    buf_fini(&s->page);
}

static bool is_over(const struct run *r)
{
    return run_stopping(r) || atomic_load_explicit(&r->last_call, memory_order_relaxed);
}

/* Plays until the last call; then, with everybody else still at work, the last census ends the run. */
void scenes_body(struct actor *a)
{
    struct stage *s = xcalloc(1, sizeof(*s));
    s->actor = a;
    for (uint32_t i = 0; i < STAGE_WIRES; i++) {
        s->http[i].fd = -1;
    }
    s->redis[0].fd = s->redis[1].fd = s->redis_strict.fd = -1;
    buf_init(&s->page);
    tx_init(&s->tx, a, &s->db);
    bool ok = stage_open(s);
    for (uint32_t round = 0; ok && !is_over(a->run); round++) {
        for (size_t i = 0; i < array_len(scenes) && ok && !is_over(a->run); i++) {
            if (round % scenes[i].every == 0) {
                uint32_t rows = a->run->tables[RUN_STAGE].row_count;
                ok = scenes[i].play(s, actor_random(a, rows));
                run_count(a, scenes);
                actor_pause(a, BETWEEN_US);
            }
        }
    }
    if (ok) {
        (void)scene_census(s, 0);
    }
    atomic_store_explicit(&a->run->stop, true, memory_order_relaxed);
    stage_close(s);
    free(s);
}
