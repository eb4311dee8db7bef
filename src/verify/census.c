/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The census: writers rest, freshet has caught up, and everything that can be read is read. Now every
 * answer of every face must be the database's own, exactly: an entry that is stuck is found whatever its
 * age. The model is compared with the database first, so that the checker cannot fool itself.
 *
 * Readers go on meanwhile, and slow clients still SET what they read before.
 */
#include "verify/scenes.h"

#include "base/check.h"
#include "base/clock.h"
#include "verify/http_read.h"

#include <stdio.h>
#include <stdlib.h>

enum { CENSUS_CROWD = 64, VOLLEY = STAGE_WIRES - 1 };

/* All rows of a table in one page of pairs against the model: nobody writes, so they must be equal. */
static bool compare_model(struct stage *s, enum run_table table)
{
    struct run *r = s->actor->run;
    const struct model_table *t = &r->tables[table];
    uint32_t shown = 0;
    uint32_t there = 0;
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "SELECT id, grp, v FROM verify.%s ORDER BY id", t->name);
    PGresult *result = PQexec(s->db.pg, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        run_fail(r, "PostgreSQL: %s", PQerrorMessage(s->db.pg));
        PQclear(result);
        return false;
    }
    bool equal = true;
    for (int i = 0; i < PQntuples(result) && equal; i++) {
        uint64_t id = strtoull(PQgetvalue(result, i, 0), NULL, 10);
        equal = id < t->row_count &&
                t->rows[id].group == strtol(PQgetvalue(result, i, 1), NULL, 10) &&
                t->rows[id].committed == strtoull(PQgetvalue(result, i, 2), NULL, 10);
        shown++;
    }
    PQclear(result);
    for (uint32_t id = 0; id < t->row_count; id++) {
        there += t->rows[id].group != MODEL_ABSENT ? 1 : 0;
    }
    if (!equal || shown != there) {
        run_fail(r,
                 "the checker's model of %s and PostgreSQL differ: somebody else writes it, or the "
                 "checker is wrong",
                 t->name);
        return false;
    }
    return true;
}

static bool read_http(struct stage *s, const struct target *targets, uint32_t count, enum face face)
{
    struct reading rd[VOLLEY];
    struct http_reply reply;
    for (uint32_t i = 0; i < count; i++) {
        if (!http_read_send(s->actor, &s->http[i + 1], targets[i], face, &rd[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!http_read_receive(s->actor, &s->http[i + 1], &rd[i], &reply)) {
            return false;
        }
    }
    return true;
}

static bool read_redis(struct stage *s, const struct target *targets, uint32_t count)
{
    struct redis_miss miss;
    bool hit;
    for (uint32_t i = 0; i < count; i++) {
        if (!redis_get(s->actor, &s->redis[0], targets[i], FACE_REDIS, false, &hit, &miss) ||
            !redis_get(s->actor, &s->redis_strict, targets[i], FACE_REDIS_STRICT, false, &hit,
                       &miss)) {
            return false;
        }
    }
    return true;
}

/* Rows first, then lists: the `i`th target of a table; false past the end. */
static bool nth_target(const struct model_table *t, enum run_table table, uint32_t i,
                       struct target *ret_target)
{
    uint32_t rows = table == RUN_CROWD ? CENSUS_CROWD : t->row_count;
    uint32_t lists = table == RUN_CROWD ? 0 : t->groups;
    *ret_target = (struct target){.table = table, .list = i >= rows, .id = i < rows ? i : i - rows};
    return i < rows + lists;
}

static bool read_table(struct stage *s, enum run_table table)
{
    const struct model_table *t = &s->actor->run->tables[table];
    struct target targets[VOLLEY];
    uint32_t count = 0;
    bool more = true;
    for (uint32_t i = 0; more; i++) {
        more = nth_target(t, table, i, &targets[count]);
        count += more ? 1 : 0;
        if (count == VOLLEY || (!more && count > 0)) {
            if (!read_http(s, targets, count, FACE_HTTP) || !read_redis(s, targets, count) ||
                !read_http(s, targets, count, FACE_HTTP_STRICT)) {
                return false;
            }
            count = 0;
        }
    }
    return true;
}

bool scene_census(struct stage *s, uint32_t id)
{
    struct run *r = s->actor->run;
    check(pthread_rwlock_wrlock(&r->writing) == 0);
    bool ok = stage_settle(s, id);
    for (uint32_t t = 0; ok && t < RUN_TABLES; t++) {
        ok = compare_model(s, t) && read_table(s, t);
    }
    check(pthread_rwlock_unlock(&r->writing) == 0);
    run_add(&s->actor->counters.censuses, ok ? 1 : 0);
    return ok;
}
