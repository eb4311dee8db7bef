/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The volatility of everything that a statement calls.
 *
 * How: one query turns the oids of functions, operators, aggregates (with their transition
 * functions) and of types read from text into rows of pg_proc; each row is judged:
 *
 *     VOLATILE                            never kept
 *     IMMUTABLE                           kept, as declared
 *     STABLE, PostgreSQL's own            kept when stable.c knows it
 *     STABLE, C, of a known extension     kept
 *     STABLE, SQL or PL/pgSQL             kept when nothing that its source mentions is suspicious:
 *                                         no clock, no VOLATILE or unknown STABLE function, no view
 * and no table with row security (either may hide a clock) STABLE, anything else never kept
 *
 * The tables that a kept function reads are seen at run time, as locks of the fill's transaction;
 * so a statement with such a function is `opaque`: it gets table dependencies, never row
 * dependencies, because the locks do not tell its reads from the statement's own.
 *
 * Threads: whoever owns the connection. Blocking.
 */
#include "fill/functions.h"

#include "base/buf.h"
#include "fill/stable.h"

#include <stdlib.h>

/* clang-format off */
static const char functions_sql[] =
    "WITH called(oid, how) AS ("
    "  SELECT unnest($1::oid[]), 'call'"
    "  UNION ALL SELECT oprcode::oid, 'call' FROM pg_catalog.pg_operator"
    "   WHERE oid = ANY ($2::oid[])"
    "  UNION ALL SELECT typinput::oid, 'read ' || oid::pg_catalog.regtype::text"
    "    FROM pg_catalog.pg_type WHERE oid = ANY ($3::oid[])"
    "  UNION ALL SELECT u.oid, 'call' FROM pg_catalog.pg_aggregate g, LATERAL unnest(ARRAY["
    "      g.aggtransfn::oid, g.aggfinalfn::oid, g.aggmtransfn::oid, g.aggminvtransfn::oid,"
    "      g.aggmfinalfn::oid]) u(oid) WHERE g.aggfnoid = ANY ($1::oid[]))"
    " SELECT DISTINCT p.oid, pg_catalog.format('%s.%s', n.nspname, p.proname), p.provolatile,"
    "        l.lanname, coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc), c.how,"
    "        e.extname, p.proname, p.proparallel"
    "   FROM called c JOIN pg_catalog.pg_proc p ON p.oid = c.oid"
    "   JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
    "   JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
    "   LEFT JOIN pg_catalog.pg_depend d"
    "     ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
    "    AND d.objid = p.oid AND d.deptype = 'e'"
    "   LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
    "  ORDER BY p.oid, c.how";

enum {
    COL_OID, COL_NAME, COL_VOLATILE, COL_LANGUAGE, COL_SOURCE, COL_HOW, COL_EXTENSION, COL_SHORT,
    COL_PARALLEL
};

/* What a source mentions that is not repeatable, or may hide something: $1 its words, $2 those that
 * are followed by '(', $3 the function itself. */
static const char mentions_sql[] =
    "SELECT 'function', p.oid, p.proname FROM pg_catalog.pg_proc p,"
    "       LATERAL pg_catalog.lower(p.proname::text COLLATE \"C\") w(word)"
    " WHERE p.provolatile <> 'i' AND p.oid <> $3::oid"
    "   AND (w.word = ANY ($2::text[]) OR (p.oid >= 16384 AND w.word = ANY ($1::text[])))"
    " UNION ALL"
    " SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence'"
    "        ELSE 'row security of' END, 0, c.relname"
    "  FROM pg_catalog.pg_class c WHERE c.oid >= 16384"
    "   AND pg_catalog.lower(c.relname::text COLLATE \"C\") = ANY ($1::text[])"
    "   AND (c.relkind IN ('v', 'S') OR c.relrowsecurity)";
/* clang-format on */

static const char advice[] = "pass the value as a parameter, or say `consistency: ttl`";

const char *functions_oid_array(struct arena *a, const struct oid_set *set)
{
    struct buf b;
    buf_init(&b);
    buf_append_char(&b, '{');
    for (uint32_t i = 0; i < set->count; i++) {
        buf_printf(&b, "%s%u", i > 0 ? "," : "", set->oid[i]);
    }
    buf_append_char(&b, '}');
    const char *text = arena_dup_slice(a, buf_readable(&b));
    buf_fini(&b);
    return text;
}

/* Words need no quoting: letters, digits, '_', '$' and bytes above 127. */
static const char *text_array(struct arena *a, const char **words, uint32_t count)
{
    struct buf b;
    buf_init(&b);
    buf_append_char(&b, '{');
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(&b, "%s\"%s\"", i > 0 ? "," : "", words[i]);
    }
    buf_append_char(&b, '}');
    const char *text = arena_dup_slice(a, buf_readable(&b));
    buf_fini(&b);
    return text;
}

static const char *judge_body(PGconn *conn, struct arena *a, const char *name, const char *oid,
                              const char *source)
{
    struct body_words words;
    body_scan(a, source, &words);
    const char *suspect = body_suspect(&words);
    if (suspect != NULL) {
        return arena_printf(a,
                            "%s() mentions `%s`, so its answers may change without a commit: say "
                            "`consistency: ttl`, or take that out",
                            name, suspect);
    }
    const char *const params[] = {text_array(a, words.words, words.word_count),
                                  text_array(a, words.calls, words.call_count), oid};
    PGresult *r = PQexecParams(conn, mentions_sql, 3, NULL, params, NULL, NULL, 0);
    const char *why = NULL;
    if (PQresultStatus(r) != PGRES_TUPLES_OK) {
        why = arena_printf(a, "what %s() calls is unknown: %s", name, PQresultErrorMessage(r));
    }
    for (int i = 0; why == NULL && i < PQntuples(r); i++) {
        if (!stable_is_safe((uint32_t)strtoul(PQgetvalue(r, i, 1), NULL, 10))) {
            why = arena_printf(a,
                               "%s() uses %s %s, so its answers may change without a commit: say "
                               "`consistency: ttl`",
                               name, PQgetvalue(r, i, 0), PQgetvalue(r, i, 2));
        }
    }
    PQclear(r);
    return why;
}

static const char *judge_stable(PGconn *conn, struct arena *a, const PGresult *r, int i,
                                uint32_t oid)
{
    const char *name = PQgetvalue(r, i, COL_NAME);
    const char *language = PQgetvalue(r, i, COL_LANGUAGE);
    if (oid < FIRST_USER_OID) {
        if (stable_is_safe(oid)) {
            return NULL;
        }
        const char *what = stable_reads_clock(oid)
                               ? "reads the clock, so its answer changes without a commit"
                               : "depends on more than the rows";
        return arena_printf(a, "%s() %s: %s", PQgetvalue(r, i, COL_SHORT), what, advice);
    }
    bool has_body = strcmp(language, "sql") == 0 || strcmp(language, "plpgsql") == 0;
    if (has_body && *PQgetvalue(r, i, COL_PARALLEL) == 's') {
        return arena_printf(
            a,
            "%s() is PARALLEL SAFE, so its reads may happen where nobody sees them: "
            "ALTER FUNCTION %s PARALLEL RESTRICTED, or say `consistency: ttl`",
            name, name);
    }
    if (has_body) {
        return judge_body(conn, a, name, PQgetvalue(r, i, COL_OID), PQgetvalue(r, i, COL_SOURCE));
    }
    if (strcmp(language, "c") == 0 && stable_extension_is_safe(PQgetvalue(r, i, COL_EXTENSION))) {
        return NULL;
    }
    return arena_printf(a,
                        "%s() is STABLE and written in %s: nobody can tell whether it reads the "
                        "clock; declare it IMMUTABLE if it does not, or say `consistency: ttl`",
                        name, language);
}

static const char *judge_one(PGconn *conn, struct arena *a, const PGresult *r, int i, uint32_t oid)
{
    char volatility = *PQgetvalue(r, i, COL_VOLATILE);
    const char *how = PQgetvalue(r, i, COL_HOW);
    if (volatility == 'i') {
        return NULL;
    }
    if (strncmp(how, "read ", 5) == 0 && volatility == 's' && !stable_is_safe(oid)) {
        return arena_printf(
            a,
            "reads a text as %s while it runs, and 'today' or 'now' would mean something "
            "else tomorrow: declare the parameter as %s, or use to_date() or to_timestamp()",
            how + 5, how + 5);
    }
    if (volatility == 's') {
        return judge_stable(conn, a, r, i, oid);
    }
    return arena_printf(a, "%s() is VOLATILE, so every call may answer differently: %s",
                        PQgetvalue(r, i, oid < FIRST_USER_OID ? COL_SHORT : COL_NAME), advice);
}

void functions_judge(PGconn *conn, struct arena *a, const struct facts *f,
                     struct functions_verdict *ret_verdict)
{
    struct functions_verdict v = {0};
    const char *const params[] = {functions_oid_array(a, &f->functions),
                                  functions_oid_array(a, &f->operators),
                                  functions_oid_array(a, &f->input_types)};
    PGresult *r = PQexecParams(conn, functions_sql, 3, NULL, params, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_TUPLES_OK) {
        v.why =
            arena_printf(a, "the functions that it calls are unknown: %s", PQresultErrorMessage(r));
    }
    for (int i = 0; i < PQntuples(r); i++) {
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(r, i, COL_OID), NULL, 10);
        const char *language = PQgetvalue(r, i, COL_LANGUAGE);
        if (oid >= FIRST_USER_OID) {
            oid_set_add(a, &v.user, oid);
            v.opaque |= strcmp(language, "c") != 0 && strcmp(language, "internal") != 0;
        }
        if (v.why == NULL) {
            v.why = judge_one(conn, a, r, i, oid);
        }
    }
    PQclear(r);
    *ret_verdict = v;
}
