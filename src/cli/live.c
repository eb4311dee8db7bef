/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The database as `check` and `setup-sql` see it. What is asked is what the daemon asks, through
 * the same code (the catalog of follow, the plans of fill), so that what a command says is what the
 * daemon will find.
 *
 * Threads: none shared. Blocks, up to 10 s to connect.
 */
#include "cli/live.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

/* libpq ends its messages with a line break and may use several lines. */
static void append_message(struct buf *out, const char *message)
{
    size_t len = strlen(message);
    while (len > 0 && message[len - 1] == '\n') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        bool breaks = message[i] == '\n' || message[i] == '\t';
        buf_append(out, breaks ? " " : &message[i], 1);
    }
}

PGconn *live_connect(const char *dsn, const char *replication, struct buf *ret_why)
{
    const char *const names[] = {"dbname", "connect_timeout", "fallback_application_name",
                                 replication != NULL ? "replication" : NULL, NULL};
    const char *const values[] = {dsn, "10", "freshet check", replication, NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(conn) == CONNECTION_OK) {
        return conn;
    }
    append_message(ret_why, PQerrorMessage(conn));
    PQfinish(conn);
    return NULL;
}

bool live_open(struct live *l, const struct policy *p, const char *dsn, struct buf *ret_why)
{
    const struct follow_value_column *values = NULL;
    uint32_t value_count = 0;
    char *why = NULL;
    *l = (struct live){.policy = p, .conn = live_connect(dsn, NULL, ret_why)};
    if (l->conn == NULL) {
        return false;
    }
    l->catalog = follow_catalog_load(l->conn, NULL, p, &why);
    if (l->catalog == NULL) {
        append_message(ret_why, why);
        free(why);
        return false;
    }
    l->plan = plan_make(l->conn, p, l->catalog, &values, &value_count);
    return true;
}

void live_close(struct live *l)
{
    plan_unref(l->plan);
    if (l->catalog != NULL) {
        follow_catalog_unref(l->catalog);
    }
    PQfinish(l->conn);
    *l = (struct live){0};
}

PGresult *live_query(PGconn *conn, const char *sql, int count, const char *const *params)
{
    PGresult *r = PQexecParams(conn, sql, count, NULL, params, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "freshet: %s", PQerrorMessage(conn));
    }
    return r;
}

char *live_oid_array(const uint32_t *oids, uint32_t count)
{
    struct buf b;
    buf_init(&b);
    buf_append_char(&b, '{');
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(&b, "%s%u", i > 0 ? "," : "", oids[i]);
    }
    buf_append_char(&b, '}');
    char *text = xstrndup(buf_readable(&b).ptr, buf_len(&b));
    buf_fini(&b);
    return text;
}
