/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two common table expressions for setup-sql's queries, private to cli/.
 *
 *     called       the functions of $2, and recursively those that their bodies name
 *     words        every word of the bodies of SQL and PL/pgSQL functions among them, in lower case
 *     mentioned    tables, views and materialized views whose names are among the words
 *
 * Too many rather than too few: nobody parses PL/pgSQL here. `descend` limits whose bodies are
 * read.
 */
#ifndef CLI_SETUP_WORDS_H
#define CLI_SETUP_WORDS_H

#define CALLED_AND_WORDS(descend)                                                                  \
    "WITH RECURSIVE called(oid) AS ("                                                              \
    "  SELECT unnest($2::oid[])"                                                                   \
    "  UNION SELECT p.oid FROM called c JOIN pg_proc b ON b.oid = c.oid" descend                   \
    "    JOIN pg_language l ON l.oid = b.prolang AND l.lanname IN ('sql', 'plpgsql')"              \
    "    CROSS JOIN LATERAL (SELECT DISTINCT lower(m[1]) FROM regexp_matches("                     \
    "      coalesce(pg_get_function_sqlbody(b.oid), b.prosrc),"                                    \
    "      '([[:alpha:]_][[:alnum:]_$]*)', 'g') m) w(word)"                                        \
    "    JOIN pg_proc p ON p.oid >= 16384 AND lower(p.proname) = w.word AND p.prokind = 'f'"       \
    "), words(word) AS ("                                                                          \
    "  SELECT DISTINCT lower(m[1]) FROM called c JOIN pg_proc b ON b.oid = c.oid" descend          \
    "    JOIN pg_language l ON l.oid = b.prolang AND l.lanname IN ('sql', 'plpgsql')"              \
    "    CROSS JOIN LATERAL regexp_matches(coalesce(pg_get_function_sqlbody(b.oid), b.prosrc),"    \
    "      '([[:alpha:]_][[:alnum:]_$]*)', 'g') m"                                                 \
    "), mentioned(oid) AS ("                                                                       \
    "  SELECT c.oid FROM words w JOIN pg_class c ON lower(c.relname) = w.word AND c.oid >= 16384"  \
    "     AND c.relkind IN ('r', 'p', 'v', 'm')"                                                   \
    "    JOIN pg_namespace n ON n.oid = c.relnamespace"                                            \
    "   WHERE pg_table_is_visible(c.oid) OR n.nspname IN (SELECT word FROM words)"                 \
    ")"

#endif
