/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions (see tx.h). From each row's old and new state follows what must be done to it: insert,
 * delete or update; rows of one kind share a statement. One row is written by its id, many by a join
 * with unnest(), so the stream has both shapes.
 *
 * X1. A version's number is in the model before its statement is sent. X2. The model hears of the end
 * only after PostgreSQL has said so, and before the row is unlocked.
 */
#include "verify/tx.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>

void tx_init(struct tx *tx, struct actor *a, struct db *db)
{
    tx->actor = a;
    tx->db = db;
    tx->count = 0;
    buf_init(&tx->sql);
}

void tx_fini(struct tx *tx)
{
    buf_fini(&tx->sql);
}

void tx_begin(struct tx *tx, enum run_table table, const char *what)
{
    check(tx->count == 0);
    tx->table = table;
    tx->what = what;
    check(pthread_rwlock_rdlock(&tx->actor->run->writing) == 0);
    tx->begun_us = clock_now_us();
}

uint32_t tx_lock(struct tx *tx, uint32_t id)
{
    check(tx->count < TX_ROWS_MAX && (tx->count == 0 || tx->changes[tx->count - 1].id < id));
    struct model_row *row = model_own(&tx->actor->run->tables[tx->table], id);
    tx->changes[tx->count] =
        (struct tx_change){.id = id, .row = row, .old_group = row->group, .new_group = row->group};
    return tx->count++;
}

void tx_set(struct tx *tx, uint32_t i, int32_t group)
{
    struct tx_change *c = &tx->changes[i];
    c->old_group = c->row->group;
    c->new_group = group;
    c->number = model_begin(c->row, group);
}

/* --- SQL ---------------------------------------------------------------------------------------- */

enum deed { DEED_UPDATE, DEED_MOVE, DEED_INSERT, DEED_DELETE, DEEDS };

static enum deed deed_of(const struct tx_change *c)
{
    if (c->new_group == MODEL_ABSENT) {
        return DEED_DELETE;
    }
    if (c->old_group == MODEL_ABSENT) {
        return DEED_INSERT;
    }
    return c->old_group == c->new_group ? DEED_UPDATE : DEED_MOVE;
}

static bool takes_part(const struct tx_change *c, enum deed deed)
{
    return c->number != 0 && deed_of(c) == deed &&
           !(deed == DEED_DELETE && c->old_group == MODEL_ABSENT);
}

static void put_one(struct buf *sql, const char *table, enum deed deed, const struct tx_change *c)
{
    unsigned long long v = c->number;
    switch (deed) {
    case DEED_UPDATE:
        buf_printf(sql, "UPDATE verify.%s SET v = %llu WHERE id = %u;", table, v, c->id);
        return;
    case DEED_MOVE:
        buf_printf(sql, "UPDATE verify.%s SET grp = %d, v = %llu WHERE id = %u;", table,
                   c->new_group, v, c->id);
        return;
    case DEED_INSERT:
        buf_printf(sql, "INSERT INTO verify.%s (id, grp, v) VALUES (%u, %d, %llu);", table, c->id,
                   c->new_group, v);
        return;
    case DEED_DELETE:
        buf_printf(sql, "DELETE FROM verify.%s WHERE id = %u;", table, c->id);
        return;
    case DEEDS:
        break;
    }
    unreachable();
}

enum column { COLUMN_ID, COLUMN_GROUP, COLUMN_VERSION };

static void put_array(struct buf *sql, const struct tx *tx, enum deed deed, enum column column,
                      const char *type)
{
    const char *comma = "'{";
    for (uint32_t i = 0; i < tx->count; i++) {
        const struct tx_change *c = &tx->changes[i];
        if (takes_part(c, deed)) {
            buf_append_str(sql, comma);
            comma = ",";
            buf_append_i64(sql, column == COLUMN_ID      ? (int64_t)c->id
                                : column == COLUMN_GROUP ? c->new_group
                                                         : (int64_t)c->number);
        }
    }
    buf_printf(sql, "}'::%s[]", type);
}

static void put_many(struct buf *sql, const struct tx *tx, const char *table, enum deed deed)
{
    static const char *const before[DEEDS] = {
        [DEED_UPDATE] = "UPDATE verify.%s t SET v = x.v FROM unnest(",
        [DEED_MOVE] = "UPDATE verify.%s t SET grp = x.grp, v = x.v FROM unnest(",
        [DEED_INSERT] = "INSERT INTO verify.%s (id, grp, v) SELECT * FROM unnest(",
        [DEED_DELETE] = "DELETE FROM verify.%s t USING unnest(",
    };
    const char *name = strstr(before[deed], "%s");
    buf_append(sql, before[deed], (size_t)(name - before[deed]));
    buf_append_str(sql, table);
    buf_append_str(sql, name + 2);
    put_array(sql, tx, deed, COLUMN_ID, "int");
    buf_append_char(sql, ',');
    put_array(sql, tx, deed, COLUMN_GROUP, "int");
    buf_append_char(sql, ',');
    put_array(sql, tx, deed, COLUMN_VERSION, "bigint");
    buf_append_str(sql, ") x(id, grp, v)");
    buf_append_str(sql, deed == DEED_INSERT ? ";" : " WHERE t.id = x.id;");
}

static void put_changes(struct tx *tx)
{
    const char *table = tx->actor->run->tables[tx->table].name;
    for (uint32_t d = 0; d < DEEDS; d++) {
        enum deed deed = (enum deed)d;
        const struct tx_change *one = NULL;
        uint32_t count = 0;
        for (uint32_t i = 0; i < tx->count; i++) {
            if (takes_part(&tx->changes[i], deed)) {
                one = &tx->changes[i];
                count++;
            }
        }
        if (count == 1) {
            put_one(&tx->sql, table, deed, one);
        } else if (count > 1) {
            put_many(&tx->sql, tx, table, deed);
        }
    }
}

bool tx_send_raw(struct tx *tx, const char *sql)
{
    return db_exec(tx->db, sql);
}

static bool send_changes(struct tx *tx, const char *before, const char *after)
{
    buf_clear(&tx->sql);
    buf_append_str(&tx->sql, before);
    put_changes(tx);
    buf_append_str(&tx->sql, after);
    buf_append_char(&tx->sql, '\0');
    return db_exec(tx->db, buf_readable(&tx->sql).ptr);
}

/* --- the end -------------------------------------------------------------------------------------- */

static void note(struct tx *tx, const struct tx_change *c, const char *how, uint64_t at_us)
{
    struct target row = {.table = tx->table, .id = c->id};
    if (c->new_group == MODEL_ABSENT) {
        journal_add(tx->actor, "write", row, tx->begun_us, at_us, "%s: version %llu, absent, %s",
                    tx->what, (unsigned long long)c->number, how);
    } else {
        journal_add(tx->actor, "write", row, tx->begun_us, at_us,
                    "%s: version %llu in group %d, %s", tx->what, (unsigned long long)c->number,
                    c->new_group, how);
    }
}

static void rolled_back(struct tx *tx)
{
    struct run *r = tx->actor->run;
    uint64_t now_us = clock_now_us();
    for (uint32_t i = 0; i < tx->count; i++) {
        struct tx_change *c = &tx->changes[i];
        if (c->number == 0) {
            continue;
        }
        note(tx, c, "rolled back", now_us);
        if (!model_roll_back(c->row, c->number)) {
            run_violated(r,
                         &(struct violation){.actor = tx->actor->name,
                                             .face = "any",
                                             .rule = "only what was committed may be read",
                                             .wrong = "a version that was rolled back afterwards",
                                             .target = {.table = tx->table, .id = c->id},
                                             .invoked_us = tx->begun_us,
                                             .window = {tx->begun_us, now_us},
                                             .row = c->id,
                                             .seen = c->number});
        }
        c->number = 0;
    }
    run_count(tx->actor, rolled_back);
}

void tx_committed(struct tx *tx, uint64_t acked_us)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < tx->count; i++) {
        struct tx_change *c = &tx->changes[i];
        if (c->number != 0) {
            model_commit(c->row, c->number, acked_us);
            note(tx, c, "committed", acked_us);
            c->number = 0;
            rows++;
        }
    }
    run_count(tx->actor, commits);
    run_add(&tx->actor->counters.rows_written, rows);
}

/* Changes that a savepoint takes back: every row that is there gets one more version. */
static bool send_undone(struct tx *tx)
{
    struct {
        uint64_t number;
        int32_t old_group;
        int32_t new_group;
    } kept[8] = {0};
    check(tx->count <= array_len(kept));
    for (uint32_t i = 0; i < tx->count; i++) {
        struct tx_change *c = &tx->changes[i];
        kept[i].number = c->number;
        kept[i].old_group = c->old_group;
        kept[i].new_group = c->new_group;
        c->number = 0;
        if (c->new_group != MODEL_ABSENT) {
            c->old_group = c->new_group;
            c->number = model_begin(c->row, c->new_group);
        }
    }
    bool ok = send_changes(tx, "SAVEPOINT s;", "ROLLBACK TO s");
    if (ok) {
        rolled_back(tx);
    }
    for (uint32_t i = 0; i < tx->count; i++) {
        tx->changes[i].number = kept[i].number;
        tx->changes[i].old_group = kept[i].old_group;
        tx->changes[i].new_group = kept[i].new_group;
    }
    return ok;
}

bool tx_send(struct tx *tx, enum tx_how how)
{
    bool ok = false;
    switch (how) {
    case TX_IMPLICIT:
        ok = send_changes(tx, "", "");
        break;
    case TX_EXPLICIT:
        ok = db_exec(tx->db, "BEGIN") && send_changes(tx, "", "") && db_exec(tx->db, "COMMIT");
        break;
    case TX_ASYNC:
        ok = send_changes(tx, "BEGIN; SET LOCAL synchronous_commit = off;", "COMMIT");
        run_count(tx->actor, commits_async);
        break;
    case TX_ROLLBACK:
        if (db_exec(tx->db, "BEGIN") && send_changes(tx, "", "") && db_exec(tx->db, "ROLLBACK")) {
            rolled_back(tx);
            return true;
        }
        return false;
    case TX_SAVEPOINT:
        ok = db_exec(tx->db, "BEGIN") && send_changes(tx, "", "") && send_undone(tx) &&
             db_exec(tx->db, "COMMIT");
        break;
    }
    if (ok) {
        tx_committed(tx, clock_now_us());
    }
    return ok;
}

void tx_end(struct tx *tx)
{
    for (uint32_t i = tx->count; i > 0; i--) {
        model_give_up(&tx->actor->run->tables[tx->table], tx->changes[i - 1].row);
    }
    tx->count = 0;
    check(pthread_rwlock_unlock(&tx->actor->run->writing) == 0);
}
