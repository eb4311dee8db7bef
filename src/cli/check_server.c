/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check: what the server must be like: version, WAL level, slots and senders that are free, the
 * publication, the event trigger, a pooler in between. Each finding says what a DBA would type.
 */
#include "cli/check_database.h"
#include "pg/pg.h"

#include <stdlib.h>
#include <string.h>

static const char server_sql[] =
    "SELECT pg_catalog.current_setting('server_version'),"
    "       pg_catalog.current_setting('server_version_num'),"
    "       pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery(),"
    "       pg_catalog.current_setting('max_replication_slots')::int"
    "         - (SELECT count(*) FROM pg_catalog.pg_replication_slots),"
    "       pg_catalog.current_setting('max_wal_senders')::int"
    "         - (SELECT count(*) FROM pg_catalog.pg_stat_replication),"
    "       CURRENT_USER, pg_catalog.current_database()";

enum { S_VERSION, S_NUMBER, S_WAL_LEVEL, S_STANDBY, S_SLOTS, S_SENDERS, S_USER, S_DATABASE };

enum { OLDEST = 150000, BEHIND_KNOWN = 180000 };

static void check_version(struct report *r, const PGresult *s)
{
    const char *version = PQgetvalue(s, 0, S_VERSION);
    long number = strtol(PQgetvalue(s, 0, S_NUMBER), NULL, 10);
    if (number < OLDEST) {
        report_line(r, REPORT_PROBLEM, "PostgreSQL", "%s; freshet needs 15 or later", version);
    } else if (number >= BEHIND_KNOWN) {
        report_line(r, REPORT_WARNING, "PostgreSQL",
                    "%s is newer than freshet knows: SQL routes are not cached, unless they say "
                    "`consistency: ttl`",
                    version);
    } else {
        report_line(r, REPORT_OK, "PostgreSQL", "%s, database %s, role %s", version,
                    PQgetvalue(s, 0, S_DATABASE), PQgetvalue(s, 0, S_USER));
    }
    if (*PQgetvalue(s, 0, S_STANDBY) == 't') {
        report_line(r, REPORT_PROBLEM, "PostgreSQL",
                    "this is a standby: freshet must follow the primary");
    }
}

static void check_replication_settings(struct report *r, const PGresult *s)
{
    const char *wal_level = PQgetvalue(s, 0, S_WAL_LEVEL);
    if (strcmp(wal_level, "logical") == 0) {
        report_line(r, REPORT_OK, "wal_level", "logical");
    } else {
        report_line(r, REPORT_PROBLEM, "wal_level",
                    "%s; nothing can be followed. ALTER SYSTEM SET wal_level = 'logical', then "
                    "restart the server",
                    wal_level);
    }
    long slots = strtol(PQgetvalue(s, 0, S_SLOTS), NULL, 10);
    long senders = strtol(PQgetvalue(s, 0, S_SENDERS), NULL, 10);
    if (slots > 0 && senders > 0) {
        report_line(r, REPORT_OK, "replication slots", "%ld free, %ld WAL senders free", slots,
                    senders);
    } else {
        report_line(
            r, REPORT_PROBLEM, slots > 0 ? "max_wal_senders" : "max_replication_slots",
            "none is free: drop an unused one (pg_replication_slots), or raise the setting and "
            "restart the server");
    }
}

/* Poolers of sessions are fine, those of transactions are not. */
static void check_pooler(struct report *r, const struct live *l)
{
    if (pg_is_direct(l->conn)) {
        return;
    }
    struct buf why;
    buf_init(&why);
    PGconn *other = live_connect(l->policy->database.dsn, NULL, &why);
    if (other != NULL && pg_shares_process(l->conn, other)) {
        report_line(
            r, REPORT_PROBLEM, "pooler",
            "database.dsn reaches PostgreSQL through a pooler of transactions: freshet needs "
            "sessions. Point it at PostgreSQL itself, or set pool_mode = session there");
    } else {
        report_line(r, REPORT_OK, "pooler", "sessions");
    }
    PQfinish(other);
    buf_fini(&why);
}

/* The one proof that replication is allowed is to connect that way. */
static void check_replication(struct report *r, const struct live *l, const char *user)
{
    struct buf why;
    buf_init(&why);
    const struct policy_database *d = &l->policy->database;
    PGconn *conn =
        live_connect(d->replication_dsn != NULL ? d->replication_dsn : d->dsn, "database", &why);
    if (conn != NULL) {
        report_line(r, REPORT_OK, "replication", "allowed");
        PQfinish(conn);
    } else {
        struct slice text = buf_readable(&why);
        report_line(
            r, REPORT_PROBLEM, "replication",
            "%.*s. The role needs it (ALTER ROLE %s REPLICATION), pg_hba.conf must let it in, "
            "and a pooler cannot carry it (set `database: replication_dsn:`)",
            (int)text.len, text.ptr, user);
    }
    buf_fini(&why);
}

static void check_identities(struct report *r, const struct live *l, const char *publication)
{
    PGresult *t = live_query(
        l->conn,
        "SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_publication_tables t"
        "  JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname"
        "  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename"
        " WHERE t.pubname = $1 AND (c.relreplident = 'n' OR (c.relreplident = 'd' AND NOT EXISTS"
        "   (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary"
        "       AND i.indimmediate)))",
        1, &publication);
    for (int i = 0; i < PQntuples(t); i++) {
        report_line(
            r, REPORT_PROBLEM, PQgetvalue(t, i, 0),
            "is published but has no replica identity, so PostgreSQL refuses every UPDATE and "
            "DELETE on it: add a primary key, or ALTER TABLE %s REPLICA IDENTITY FULL",
            PQgetvalue(t, i, 0));
    }
    PQclear(t);
}

static void check_publication(struct report *r, const struct live *l)
{
    const char *name = l->policy->database.publication;
    PGresult *p = live_query(
        l->conn,
        "SELECT puballtables, pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot,"
        "       (SELECT count(*) FROM pg_catalog.pg_publication_tables WHERE pubname = $1)"
        "  FROM pg_catalog.pg_publication WHERE pubname = $1",
        1, &name);
    if (PQntuples(p) != 1) {
        report_line(r, REPORT_PROBLEM, "publication",
                    "\"%s\" does not exist: run what `freshet setup-sql` prints", name);
    } else if (*PQgetvalue(p, 0, 1) != 't') {
        report_line(r, REPORT_PROBLEM, "publication",
                    "\"%s\" must publish insert, update, delete and truncate: run what "
                    "`freshet setup-sql` prints",
                    name);
    } else {
        report_line(r, REPORT_OK, "publication", "\"%s\", %s tables", name, PQgetvalue(p, 0, 3));
    }
    if (PQntuples(p) == 1 && *PQgetvalue(p, 0, 0) == 't') {
        report_line(
            r, REPORT_WARNING, "publication",
            "\"%s\" is FOR ALL TABLES: UPDATE fails on each table without a replica identity. "
            "Drop it and run what `freshet setup-sql` prints",
            name);
    }
    if (PQntuples(p) == 1 && *PQgetvalue(p, 0, 2) == 't') {
        report_line(r, REPORT_WARNING, "publication",
                    "\"%s\" has publish_via_partition_root, which hides TRUNCATE of a partition: "
                    "partitioned tables are not followed. Run what `freshet setup-sql` prints",
                    name);
    }
    PQclear(p);
    check_identities(r, l, name);
}

void check_server(struct report *r, const struct live *l)
{
    report_section(r, "database");
    PGresult *s = live_query(l->conn, server_sql, 0, NULL);
    if (PQntuples(s) == 1) {
        check_version(r, s);
        check_replication_settings(r, s);
        check_pooler(r, l);
        check_replication(r, l, PQgetvalue(s, 0, S_USER));
    }
    PQclear(s);
    check_publication(r, l);
    if (l->catalog->sees_ddl) {
        report_line(r, REPORT_OK, "event trigger", "installed: schema changes are seen at once");
    } else {
        report_line(r, REPORT_WARNING, "event trigger",
                    "missing: changed tables, views, policies and functions are noticed only "
                    "within a second "
                    "or two, by looking. Run what `freshet setup-sql` prints");
    }
}
