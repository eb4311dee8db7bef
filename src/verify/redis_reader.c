/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Applications that cache in Redis: GET, on a miss read the database, SET. One actor plays many of them
 * on a shared pool of connections, so the SET rarely goes over the connection of its GET.
 *
 * A fifth of the misses are answered slowly: the value that was read waits in a list while the actor goes on
 * with other keys. The pause stays below half of the template's implicit_lease, which is the one thing
 * that freshet assumes of plain clients; a SET that would come close to it is given up. Some clients use fill
 * tokens instead (FRESHET.GET and FRESHET.SET), and those may pause as long as they like.
 *
 * Threads: each reader is an actor with its own pool.
 */
#include "verify/redis_read.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "verify/http_read.h"

#include <stdio.h>
#include <stdlib.h>

enum { POOL = 6, SLOW_MAX = 48, VOLLEY = 6 };

bool redis_open(struct wire *w, struct run *r, const char *address, enum face face)
{
    struct resp_reply reply;
    struct slice db = face == FACE_REDIS_STRICT ? SLICE("2") : SLICE("1");
    return wire_open(w, r, address) &&
           resp_ask(w, 2, (struct slice[]){SLICE("SELECT"), db}, &reply);
}

bool redis_get_send(struct actor *a, struct wire *w, struct target t, enum face face,
                    bool with_token, struct reading *ret_reading)
{
    char key[TARGET_NAME_MAX];
    target_key(t, key);
    *ret_reading = reading_begin(a->run, t, face);
    struct slice command = with_token ? SLICE("FRESHET.GET") : SLICE("GET");
    return resp_send(w, 2, (struct slice[]){command, slice_of(key)});
}

bool redis_get_receive(struct actor *a, struct wire *w, const struct reading *rd, bool with_token,
                       bool *ret_hit, struct redis_miss *ret_miss)
{
    struct resp_reply reply;
    struct run_counters *c = &a->counters;
    if (!resp_receive(w, &reply)) {
        return false;
    }
    if (reply.kind == '-') {
        run_fail(a->run, "GET was refused: %.*s", (int)reply.text.len, reply.text.ptr);
        return false;
    }
    bool hit = reply.kind == '$';
    bool strict = rd->face == FACE_REDIS_STRICT;
    run_add(strict ? &c->redis_strict : &c->redis_follow, 1);
    run_add(strict ? &c->redis_strict_hits : &c->redis_follow_hits, hit ? 1 : 0);
    *ret_hit = hit;
    if (hit) {
        return reading_judge(a, rd, reply.text, "hit", true);
    }
    *ret_miss =
        (struct redis_miss){.target = rd->target, .face = rd->face, .missed_us = rd->invoked_us};
    if (with_token) {
        (void)snprintf(ret_miss->token, sizeof(ret_miss->token), "%.*s", (int)reply.second.len,
                       reply.second.ptr != NULL ? reply.second.ptr : "");
        ret_miss->exact = ret_miss->token[0] != '\0';
    }
    journal_add(a, "miss", rd->target, rd->invoked_us, clock_now_us(), "GET%s%s%s",
                strict ? " in the strict space" : "", with_token ? ", token " : "",
                ret_miss->token);
    return true;
}

bool redis_get(struct actor *a, struct wire *w, struct target t, enum face face, bool with_token,
               bool *ret_hit, struct redis_miss *ret_miss)
{
    struct reading rd;
    return redis_get_send(a, w, t, face, with_token, &rd) &&
           redis_get_receive(a, w, &rd, with_token, ret_hit, ret_miss);
}

bool redis_set(struct actor *a, struct wire *w, const struct redis_miss *miss, struct slice page)
{
    char key[TARGET_NAME_MAX];
    struct resp_reply reply;
    uint64_t begun_us = clock_now_us();
    uint64_t pause_us = begun_us - miss->missed_us;
    bool by_token = miss->token[0] != '\0';
    target_key(miss->target, key);
    if (!miss->exact && pause_us > a->run->options->lease_ms * 500ULL) {
        run_count(a, sets_given_up);
        return true;
    }
    struct slice words[] = {by_token ? SLICE("FRESHET.SET") : SLICE("SET"), slice_of(key), page,
                            SLICE("TOKEN"), slice_of(miss->token)};
    if (!resp_ask(w, by_token ? 5 : 3, words, &reply)) {
        return false;
    }
    run_count(a, sets);
    run_add(&a->counters.sets_token, by_token ? 1 : 0);
    run_add(&a->counters.sets_late, pause_us > 20000 ? 1 : 0);
    journal_add(a, "set", miss->target, begun_us, clock_now_us(),
                "%s%s of \"%.*s\", missed %.1f ms before",
                miss->face == FACE_REDIS_STRICT ? "strict " : "", by_token ? "SET by token" : "SET",
                (int)(page.len < 24 ? page.len : 24), page.ptr, (double)pause_us / 1000.0);
    return true;
}

/* --- the thread ------------------------------------------------------------------------------------ */

struct slow_set {
    struct redis_miss miss;
    uint64_t due_us;
    struct buf page;
};

struct reader {
    struct actor *actor;
    struct db db;
    struct wire pool[2][POOL]; /* follow, strict */
    uint32_t open;
    struct buf page;
    uint32_t slow_count;
    struct slow_set slow[SLOW_MAX];
};

static struct wire *any_wire(struct reader *rd, enum face face)
{
    return &rd->pool[face == FACE_REDIS_STRICT ? 1 : 0][actor_random(rd->actor, POOL)];
}

static bool answer_miss(struct reader *rd, const struct redis_miss *miss)
{
    struct actor *a = rd->actor;
    if (!db_read(a, &rd->db, miss->target, &rd->page)) {
        return false;
    }
    if (actor_chance(a, 5)) {
        return true; /* a client that died */
    }
    if (actor_chance(a, 80) || rd->slow_count == SLOW_MAX) {
        return redis_set(a, any_wire(rd, miss->face), miss, buf_readable(&rd->page));
    }
    uint64_t longest_us = a->run->options->lease_ms * (miss->exact ? 1500ULL : 400ULL);
    struct slow_set *slow = &rd->slow[rd->slow_count++];
    slow->miss = *miss;
    slow->due_us = clock_now_us() + actor_random(a, (uint32_t)longest_us);
    buf_clear(&slow->page);
    buf_append_slice(&slow->page, buf_readable(&rd->page));
    return true;
}

static bool send_due(struct reader *rd)
{
    uint64_t now_us = clock_now_us();
    for (uint32_t i = 0; i < rd->slow_count;) {
        struct slow_set *slow = &rd->slow[i];
        if (slow->due_us > now_us) {
            i++;
            continue;
        }
        if (!redis_set(rd->actor, any_wire(rd, slow->miss.face), &slow->miss,
                       buf_readable(&slow->page))) {
            return false;
        }
        struct slow_set last = rd->slow[--rd->slow_count];
        rd->slow[rd->slow_count] = *slow; /* keeps its buffer */
        rd->slow[i] = last;
    }
    return true;
}

/* Some GETs at once, each on its own connection, then their answers. */
static bool volley(struct reader *rd)
{
    struct actor *a = rd->actor;
    enum face face = actor_chance(a, 30) ? FACE_REDIS_STRICT : FACE_REDIS;
    bool with_token = a->run->has_tokens && actor_chance(a, 25);
    struct wire *pool = rd->pool[face == FACE_REDIS_STRICT ? 1 : 0];
    struct reading readings[VOLLEY];
    struct redis_miss missed[VOLLEY];
    uint32_t misses = 0;
    for (uint32_t i = 0; i < VOLLEY; i++) {
        if (!redis_get_send(a, &pool[i], reader_choose(a), face, with_token, &readings[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < VOLLEY; i++) {
        bool hit;
        if (!redis_get_receive(a, &pool[i], &readings[i], with_token, &hit, &missed[misses])) {
            return false;
        }
        misses += hit ? 0 : 1;
    }
    for (uint32_t i = 0; i < misses; i++) {
        if (!answer_miss(rd, &missed[i])) {
            return false;
        }
    }
    return true;
}

static bool open_all(struct reader *rd)
{
    bool ok = db_open(&rd->db, rd->actor->run);
    while (ok && rd->open < 2 * POOL) {
        uint32_t i = rd->open++;
        ok = redis_open(&rd->pool[i / POOL][i % POOL], rd->actor->run,
                        rd->actor->run->options->resp, i < POOL ? FACE_REDIS : FACE_REDIS_STRICT);
    }
    return ok;
}

void redis_reader_body(struct actor *a)
{
    struct reader *rd = xcalloc(1, sizeof(*rd));
    rd->actor = a;
    buf_init(&rd->page);
    for (uint32_t i = 0; i < SLOW_MAX; i++) {
        buf_init(&rd->slow[i].page);
    }
    bool ok = open_all(rd);
    while (ok && !run_stopping(a->run)) {
        ok = volley(rd) && send_due(rd);
    }
    for (uint32_t i = 0; i < rd->open; i++) {
        wire_close(&rd->pool[i / POOL][i % POOL]);
    }
    for (uint32_t i = 0; i < SLOW_MAX; i++) {
        buf_fini(&rd->slow[i].page);
    }
    buf_fini(&rd->page);
    db_close(&rd->db);
    free(rd);
}
