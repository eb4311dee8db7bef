/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * db: the checker's own connections to PostgreSQL, blocking. Any error ends the run: no statement of the
 * checker may fail. Threads: a connection belongs to its actor.
 */
#ifndef VERIFY_DB_H
#define VERIFY_DB_H

#include "verify/target.h"

#include <libpq-fe.h>

struct db {
    struct run *run;
    PGconn *pg;
};

/* False after run_fail(). */
bool db_open(struct db *db, struct run *r);
void db_close(struct db *db);
/* One or more statements, simple protocol. */
bool db_exec(struct db *db, const char *sql);
/* Several reports of one value: the first column of the first row as text, "" when there is none. */
bool db_value(struct db *db, const char *sql, char *ret_text, size_t size);
/* Rows as lines of COPY text into `table`. */
bool db_copy(struct db *db, const char *table, struct slice lines);
/* Reads a target as an application does, into a page ("5:17 9:3"), and judges it by the strictest rule:
 * if this fails, the checker's model is wrong, not freshet. */
bool db_read(struct actor *a, struct db *db, struct target t, struct buf *ret_page);

#endif
