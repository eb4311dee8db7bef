/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors with their next step. A statement's error is known by its SQLSTATE and words; a refused
 * connection only by its words, which are English unless the server's lc_messages says otherwise:
 * then the message goes out without advice.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "pg/pg.h"

#include <stdlib.h>
#include <string.h>

#define POOLER_STEP                                                                                \
    "is there a pooler of transactions (PgBouncer) in between? freshet needs sessions: point "     \
    "database.dsn at PostgreSQL itself, or set pool_mode = session, and "                          \
    "database.replication_dsn at PostgreSQL itself"

static const struct {
    const char *sqlstate; /* NULL: any */
    const char *words;    /* NULL: any */
    const char *step;     /* %s: what the words speak of */
} advices[] = {
    {NULL, "password authentication failed", "correct user and password in database.dsn"},
    {NULL, "no password supplied", "put the password into database.dsn or into ~/.pgpass"},
    {NULL, "no pg_hba.conf entry",
     "allow this user and address in pg_hba.conf, then reload PostgreSQL"},
    {NULL, "Peer authentication failed",
     "connect as that operating system user, or set a password and a host in database.dsn"},
    {NULL, "is not permitted to log in", "let it log in: ALTER ROLE %s LOGIN"},
    {NULL, "role \"", "create the role: freshet setup-sql FILE | psql"},
    {NULL, "permission denied for database", "GRANT CONNECT ON DATABASE %s TO that role"},
    {NULL, "database \"", "correct the database's name in database.dsn"},
    {"55000", "wal_level", "set wal_level = logical in postgresql.conf and restart PostgreSQL"},
    {"42501", "for schema ",
     "GRANT USAGE ON SCHEMA %s to the role of database.dsn (freshet setup-sql FILE prints every "
     "grant)"},
    {"42501", "for function ",
     "GRANT EXECUTE ON FUNCTION %s to the role of database.dsn (freshet setup-sql FILE prints "
     "every grant)"},
    {"42501", "permission denied for ",
     "GRANT what it needs ON %s to the role of database.dsn (freshet setup-sql FILE prints every "
     "grant)"},
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
    {NULL, "prepared statement", POOLER_STEP},
    {NULL, "share a server process", POOLER_STEP},
    {NULL, "unsupported startup parameter", POOLER_STEP},
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

/* The first thing in double quotes, quotes included, else the last word. In front of what the server says libpq
 * names the socket, quoted too. */
static char *subject_of(const char *why)
{
    const char *said = strstr(why, "FATAL");
    why = said != NULL ? said : why;
    const char *from = strchr(why, '"');
    const char *to = from != NULL ? strchr(from + 1, '"') : NULL;
    if (to != NULL) {
        return xstrndup(from, (size_t)(to - from) + 1);
    }
    size_t end = strcspn(why, "\n");
    size_t start = end;
    while (start > 0 && why[start - 1] != ' ') {
        start--;
    }
    return xstrndup(why + start, end - start);
}

static char *with_step(const char *why, const char *step)
{
    const char *place = strstr(step, "%s");
    if (place == NULL) {
        return xasprintf("%s; %s", why, step);
    }
    char *subject = subject_of(why);
    char *text =
        xasprintf("%s; %.*s%s%s", why, (int)(place - step), step, subject, place + strlen("%s"));
    free(subject);
    return text;
}

char *pg_advice(const char *why, const char *sqlstate)
{
    const char *step = step_for(why, sqlstate);
    char *text = step != NULL ? with_step(why, step) : xstrdup(why);
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
