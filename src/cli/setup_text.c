/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setup-sql: the parts whose text does not depend on the tables: the role and the event triggers.
 *
 * What the trigger's function sends, one logical message for each, inside the transaction of the
 * change, so that it arrives in commit order:
 *
 *     prefix "freshet.ddl"    "table OID"    a table was made, altered or dropped
 *                                            (and the same of each of its ancestors)
 *                             "matview OID"  a materialized view was refreshed
 *                             "all"          anything else: views, functions, policies, types,
 * schemas
 *
 * A table whose name also exists in another schema may change what a statement means through the
 * search path, so it counts as "all". What cannot change an answer is not sent: indexes, sequences,
 * triggers, statistics, comments; nor temporary objects, nor what the script of an extension makes
 * (the extension itself counts).
 */
#include "base/alloc.h"
#include "cli/setup.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROTATING = 4, QUOTED_MAX = 512 };

static const char *quoted(const char *text, char quote)
{
    static char buffers[ROTATING][QUOTED_MAX];
    static unsigned next;
    char *out = buffers[next++ % ROTATING];
    size_t n = 0;
    out[n++] = quote;
    for (; *text != '\0' && n < QUOTED_MAX - 3; text++) {
        if (*text == quote) {
            out[n++] = quote;
        }
        out[n++] = *text;
    }
    out[n++] = quote;
    out[n] = '\0';
    return out;
}

const char *setup_identifier(const char *name)
{
    return quoted(name, '"');
}

const char *setup_literal(const char *text)
{
    return quoted(text, '\'');
}

void setup_oids_add(struct setup_oids *set, uint32_t oid, uint32_t perms)
{
    set->oid = xrealloc(set->oid, (set->count + 1) * sizeof *set->oid);
    set->perms = xrealloc(set->perms, (set->count + 1) * sizeof *set->perms);
    set->oid[set->count] = oid;
    set->perms[set->count++] = perms;
}

void setup_oids_fini(struct setup_oids *set)
{
    free(set->oid);
    free(set->perms);
}

void setup_oids_add_functions(struct setup_oids *set, const struct plan_route *r)
{
    for (uint32_t i = 0; i < r->function_count; i++) {
        setup_oids_add(set, r->functions[i], 0);
    }
}

void setup_role(const struct setup *s)
{
    const char *role = setup_identifier(s->role);
    printf("\n-- 1. The role. REPLICATION lets it read the stream, and with it every row of\n"
           "--    every published table, whatever is granted below: keep its password as you\n"
           "--    keep the database's own. Managed services: Amazon RDS wants\n"
           "--    `GRANT rds_replication TO ...` instead of REPLICATION.\n"
           "DO $freshet$\n"
           "BEGIN\n"
           "    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s) THEN\n"
           "        CREATE ROLE %s;\n"
           "    END IF;\n"
           "END $freshet$;\n"
           "ALTER ROLE %s LOGIN REPLICATION;\n"
           "-- ALTER ROLE %s PASSWORD '...'; -- unless pg_hba.conf lets it in without\n",
           setup_literal(s->role), role, role, role);
}

static const char event_triggers[] =
    "\n"
    "-- 4. Schema changes, REFRESH MATERIALIZED VIEW, and partitions that come and go leave\n"
    "--    no trace in the stream of rows. This function puts a note of each into it, in\n"
    "--    commit order. If the service does not allow event triggers, leave this part out:\n"
    "--    materialized views and partitioned tables are then not cached, and other schema\n"
    "--    changes are noticed only when the TTL ends.\n"
    "BEGIN;\n"
    "CREATE SCHEMA IF NOT EXISTS freshet;\n"
    "CREATE OR REPLACE FUNCTION freshet.freshet_notify_ddl() RETURNS event_trigger\n"
    "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $freshet$\n"
    "DECLARE\n"
    "    change record;\n"
    "    notes text[] := '{}';\n"
    "    note text;\n"
    "BEGIN\n"
    "    IF tg_event = 'sql_drop' THEN\n"
    "        FOR change IN\n"
    "            SELECT d.objid AS oid, d.object_type AS kind, d.object_name AS name\n"
    "              FROM pg_event_trigger_dropped_objects() d\n"
    "             WHERE NOT d.is_temporary\n"
    "               AND d.object_type NOT IN ('table column', 'table constraint', 'trigger',\n"
    "                                         'default value', 'sequence', 'statistics object')\n"
    "               AND (d.original OR d.object_type NOT IN ('index', 'type', 'toast table'))\n"
    "        LOOP\n"
    "            notes := notes || CASE\n"
    "                WHEN change.kind = 'table' AND NOT EXISTS (\n"
    "                    SELECT FROM pg_class c WHERE c.relname = change.name\n"
    "                       AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))\n"
    "                THEN 'table ' || change.oid\n"
    "                ELSE 'all' END;\n"
    "        END LOOP;\n"
    "    ELSIF tg_tag NOT IN ('COMMENT', 'SECURITY LABEL') THEN\n"
    "        FOR change IN\n"
    "            SELECT d.objid AS oid, d.object_type AS kind, c.relname AS name\n"
    "              FROM pg_event_trigger_ddl_commands() d\n"
    "              LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid\n"
    "             WHERE NOT d.in_extension\n"
    "               AND d.schema_name IS DISTINCT FROM 'pg_temp'\n"
    "               AND d.object_type NOT IN ('index', 'sequence', 'trigger',\n"
    "                                         'statistics object')\n"
    "        LOOP\n"
    "            notes := notes || CASE\n"
    "                WHEN tg_tag = 'REFRESH MATERIALIZED VIEW' THEN 'matview ' || change.oid\n"
    "                WHEN change.kind IN ('table', 'table column') AND NOT EXISTS (\n"
    "                    SELECT FROM pg_class c WHERE c.relname = change.name\n"
    "                       AND c.oid <> change.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))\n"
    "                THEN 'table ' || change.oid\n"
    "                ELSE 'all' END;\n"
    "            -- A new partition changes what is read through its ancestors.\n"
    "            notes := notes || ARRAY(\n"
    "                WITH RECURSIVE up(oid) AS (\n"
    "                    SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = change.oid\n"
    "                    UNION SELECT i.inhparent FROM up\n"
    "                             JOIN pg_inherits i ON i.inhrelid = up.oid)\n"
    "                SELECT 'table ' || up.oid FROM up);\n"
    "        END LOOP;\n"
    "    END IF;\n"
    "    IF 'all' = ANY (notes) THEN\n"
    "        notes := '{all}';\n"
    "    END IF;\n"
    "    FOR note IN SELECT DISTINCT n FROM unnest(notes) n LOOP\n"
    "        PERFORM pg_logical_emit_message(true, 'freshet.ddl', note);\n"
    "    END LOOP;\n"
    "END $freshet$;\n"
    "DROP EVENT TRIGGER IF EXISTS freshet_ddl;\n"
    "CREATE EVENT TRIGGER freshet_ddl ON ddl_command_end\n"
    "    EXECUTE FUNCTION freshet.freshet_notify_ddl();\n"
    "DROP EVENT TRIGGER IF EXISTS freshet_drop;\n"
    "CREATE EVENT TRIGGER freshet_drop ON sql_drop\n"
    "    EXECUTE FUNCTION freshet.freshet_notify_ddl();\n"
    "-- ALWAYS: also in sessions with session_replication_role = replica.\n"
    "ALTER EVENT TRIGGER freshet_ddl ENABLE ALWAYS;\n"
    "ALTER EVENT TRIGGER freshet_drop ENABLE ALWAYS;\n"
    "COMMIT;\n";

void setup_event_triggers(void)
{
    (void)fputs(event_triggers, stdout);
}
