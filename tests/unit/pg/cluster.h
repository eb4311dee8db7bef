/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real PostgreSQL for one test executable, made by tools/pg (path in FRESHET_PG_TOOL) and removed
 * with the process. Where PostgreSQL is not installed, cluster_start() returns false and the test
 * says SKIP.
 */
#ifndef TESTS_CLUSTER_H
#define TESTS_CLUSTER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char cluster_dsn[256];
static char cluster_name[64];

/* tools/pg VERB NAME; its last line of output replaces `out`. */
static inline bool cluster_tool(const char *verb, char *out, size_t size)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "%s %s %s %s", getenv("FRESHET_PG_TOOL"), verb,
                   cluster_name, strcmp(verb, "start") == 0 ? "$PPID" : "");
    FILE *p = popen(command, "r");
    char line[256];
    while (p != NULL && fgets(line, sizeof(line), p) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(out, size, "%s", line);
    }
    return p != NULL && pclose(p) == 0;
}

static inline bool cluster_start(const char *name)
{
    if (getenv("FRESHET_PG_TOOL") == NULL ||
        access("/usr/lib/postgresql/15/bin/initdb", X_OK) != 0) {
        return false;
    }
    (void)snprintf(cluster_name, sizeof(cluster_name), "unit-%s-%d", name, (int)getpid());
    return cluster_tool("start", cluster_dsn, sizeof(cluster_dsn));
}

static inline bool cluster_verb(const char *verb)
{
    char rest[256] = "";
    return cluster_tool(verb, rest, sizeof(rest));
}

/* Runs SQL beside the thing under test, on a connection of its own; aborts the test when it fails. */
static inline void cluster_sql(const char *sql)
{
    PGconn *conn = PQconnectdb(cluster_dsn);
    PGresult *r = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        (void)fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(conn));
        (void)cluster_verb("stop");
        abort();
    }
    PQclear(r);
    PQfinish(conn);
}

#endif
