/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * live: the database as a command sees it: one blocking connection, the catalog, and a plan for
 * every route. Nothing is changed in the database.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "base/buf.h"
#include "fill/plan.h"

struct live {
    const struct policy *policy;
    PGconn *conn;
    const struct follow_catalog *catalog;
    const struct plan *plan;
};

/* Connects with a limit of 10 s. `replication`: "database" for a replication connection, else NULL.
 * NULL and one line in `ret_why` when it cannot. */
PGconn *live_connect(const char *dsn, const char *replication, struct buf *ret_why);
/* Connects to `dsn`, reads the catalog, has every statement analysed. False with the reason. */
bool live_open(struct live *l, const struct policy *p, const char *dsn, struct buf *ret_why);
void live_close(struct live *l);

/* One query with text parameters; never NULL. A failure has no rows and is printed to standard
 * error. */
PGresult *live_query(PGconn *conn, const char *sql, int count, const char *const *params);
/* "{1,2}": an array parameter. The caller frees. */
char *live_oid_array(const uint32_t *oids, uint32_t count);

#endif
