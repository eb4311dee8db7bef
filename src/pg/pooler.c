/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Poolers. A pooler of sessions is as good as PostgreSQL; a pooler of transactions gives each transaction
 * another server process, so settings and prepared statements end up where nobody looks for them
 * (docs/decisions/0012). Both are seen by one thing: the process number that the login told is not that of
 * the process which answers. Which of the two it is shows when two open connections meet in one process:
 * an idle pooler gives the process that was used last to whoever asks next.
 */
#include "pg/pg.h"

#include <stdlib.h>

enum { MEETINGS = 5 };

static int process_of(PGconn *conn)
{
    PGresult *r = PQexec(conn, "select pg_catalog.pg_backend_pid()");
    int pid = PQresultStatus(r) == PGRES_TUPLES_OK ? (int)strtol(PQgetvalue(r, 0, 0), NULL, 10) : 0;
    PQclear(r);
    return pid;
}

bool pg_is_direct(PGconn *conn)
{
    int pid = process_of(conn);
    return pid == 0 || pid == PQbackendPID(conn); /* an error is somebody else's to tell */
}

bool pg_shares_process(PGconn *conn, PGconn *other)
{
    for (int i = 0; i < MEETINGS; i++) {
        int pid = process_of(conn);
        if (pid != 0 && process_of(other) == pid) {
            return true;
        }
    }
    return false;
}
