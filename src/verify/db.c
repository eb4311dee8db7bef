/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocking SQL for the checker's actors. The statements that read targets are prepared once for each
 * connection, as an application's driver would.
 */
#include "verify/db.h"

#include "base/number.h"

#include <stdio.h>
#include <stdlib.h>

static bool failed(struct db *db, const char *sql)
{
    char *newline = strchr(PQerrorMessage(db->pg), '\n');
    int len = newline != NULL ? (int)(newline - PQerrorMessage(db->pg)) : 200;
    run_fail(db->run, "PostgreSQL: %.*s (%.60s)", len, PQerrorMessage(db->pg), sql);
    return false;
}

/* Takes `result`. */
static bool fine(struct db *db, PGresult *result, const char *sql)
{
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
        return true;
    }
    return failed(db, sql);
}

/* "r0", "l0" ...: the statement that reads a row or a list of table 0. */
static void statement_name(struct target t, char out[8])
{
    (void)snprintf(out, 8, "%c%u", t.list ? 'l' : 'r', (unsigned)t.table);
}

static bool prepare_reads(struct db *db)
{
    for (uint32_t i = 0; i < 2 * RUN_TABLES; i++) {
        struct target t = {.table = i / 2, .list = i % 2 == 1};
        char name[8];
        char sql[160];
        statement_name(t, name);
        (void)snprintf(sql, sizeof(sql),
                       "SELECT id, v FROM verify.%s WHERE %s = $1::int ORDER BY id",
                       db->run->tables[t.table].name, t.list ? "grp" : "id");
        if (!fine(db, PQprepare(db->pg, name, sql, 1, NULL), sql)) {
            return false;
        }
    }
    return true;
}

static void ignore_notice(void *arg, const PGresult *notice)
{
}

bool db_open(struct db *db, struct run *r)
{
    *db = (struct db){.run = r, .pg = PQconnectdb(r->options->dsn)};
    if (PQstatus(db->pg) != CONNECTION_OK) {
        return failed(db, "connecting");
    }
    (void)PQsetNoticeReceiver(db->pg, ignore_notice, NULL);
    return db_exec(db, "SET application_name = 'freshet verify'") && prepare_reads(db);
}

void db_close(struct db *db)
{
    PQfinish(db->pg);
    db->pg = NULL;
}

bool db_exec(struct db *db, const char *sql)
{
    return fine(db, PQexec(db->pg, sql), sql);
}

bool db_value(struct db *db, const char *sql, char *ret_text, size_t size)
{
    PGresult *result = PQexec(db->pg, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        return fine(db, result, sql);
    }
    (void)snprintf(ret_text, size, "%s",
                   PQntuples(result) > 0 && PQnfields(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return true;
}

bool db_copy(struct db *db, const char *table, struct slice lines)
{
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "COPY verify.%s (id, grp, v) FROM STDIN", table);
    PGresult *result = PQexec(db->pg, sql);
    bool ok = PQresultStatus(result) == PGRES_COPY_IN;
    PQclear(result);
    if (!ok || PQputCopyData(db->pg, lines.ptr, (int)lines.len) != 1 ||
        PQputCopyEnd(db->pg, NULL) != 1) {
        return failed(db, sql);
    }
    ok = fine(db, PQgetResult(db->pg), sql);
    PQclear(PQgetResult(db->pg));
    return ok;
}

bool db_read(struct actor *a, struct db *db, struct target t, struct buf *ret_page)
{
    struct reading rd = reading_begin(a->run, t, FACE_DATABASE);
    char name[8];
    char id[NUMBER_MAX_LEN + 1];
    const char *const params[] = {id};
    statement_name(t, name);
    id[number_format_u64(id, t.id)] = '\0';
    PGresult *result = PQexecPrepared(db->pg, name, 1, params, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        return fine(db, result, name);
    }
    buf_clear(ret_page);
    for (int i = 0; i < PQntuples(result); i++) {
        buf_printf(ret_page, "%s%s:%s", i > 0 ? " " : "", PQgetvalue(result, i, 0),
                   PQgetvalue(result, i, 1));
    }
    if (PQntuples(result) == 0) {
        buf_append_str(ret_page, "nothing");
    }
    PQclear(result);
    run_count(a, database_reads);
    return reading_judge(a, &rd, buf_readable(ret_page), "asked directly", false);
}
