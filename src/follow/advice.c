/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors with their next step. A statement's error is known by its SQLSTATE and words; a refused
 * connection only by its words, which are English unless the server's lc_messages says otherwise:
 * then the message goes out without advice.
 */
#include "follow/advice.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *sqlstate; /* NULL: any */
    const char *words;    /* NULL: any */
    const char *step;
} advices[] = {
    {NULL, "password authentication failed", "correct user and password in database.dsn"},
    {NULL, "no password supplied", "put the password into database.dsn or into ~/.pgpass"},
    {NULL, "no pg_hba.conf entry",
     "allow this user and address in pg_hba.conf, then reload PostgreSQL"},
    {NULL, "Peer authentication failed",
     "connect as that operating system user, or set a password and a host in database.dsn"},
    {NULL, "role \"", "create the role: freshet setup-sql FILE | psql"},
    {NULL, "database \"", "correct the database's name in database.dsn"},
    {"55000", "wal_level", "set wal_level = logical in postgresql.conf and restart PostgreSQL"},
    {NULL, "permission denied to start WAL sender",
     "give the role replication: ALTER ROLE ... REPLICATION"},
    {NULL, "replication role", "give the role replication: ALTER ROLE ... REPLICATION"},
    {NULL, "permission denied to use replication slots",
     "give the role replication: ALTER ROLE ... REPLICATION"},
    {"53400", NULL, "raise max_replication_slots and restart PostgreSQL, or drop an unused slot"},
    {NULL, "max_wal_senders", "raise max_wal_senders and restart PostgreSQL"},
    {NULL, "too many clients", "raise max_connections, or lower database.pool"},
    {NULL, "remaining connection slots", "raise max_connections, or lower database.pool"},
    {NULL, "publication \"", "run: freshet setup-sql FILE | psql"},
    {"42704", NULL, "run: freshet setup-sql FILE | psql"},
    {NULL, "could not translate host name", "correct the host in database.dsn"},
    {NULL, "No such file or directory", "start PostgreSQL, or correct the host in database.dsn"},
    {NULL, "Connection refused", "start PostgreSQL, or correct host and port in database.dsn"},
    {NULL, "is starting up", "nothing to do: freshet tries again"},
    {NULL, "not yet accepting connections", "nothing to do: freshet tries again"},
    {NULL, "shutting down", "nothing to do: freshet tries again"},
    {NULL, "terminating connection", "nothing to do: freshet connects again"},
    {NULL, "server closed the connection", "nothing to do: freshet connects again"},
};

static const char *step_for(const char *why, const char *sqlstate)
{
    for (size_t i = 0; i < array_len(advices); i++) {
        bool state_fits = advices[i].sqlstate == NULL ||
                          (sqlstate != NULL && strcmp(sqlstate, advices[i].sqlstate) == 0);
        if (state_fits && (advices[i].words == NULL || strstr(why, advices[i].words) != NULL)) {
            return advices[i].step;
        }
    }
    return NULL;
}

char *advice_for(const char *why, const char *sqlstate)
{
    const char *step = step_for(why, sqlstate);
    char *text = step != NULL ? xasprintf("%s; %s", why, step) : xstrdup(why);
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '\t') {
            continue; /* libpq's continuation lines */
        }
        *to++ = *from == '\n' ? ' ' : *from;
    }
    *to = '\0';
    return text;
}
