/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stable: which functions give the same answer until a commit changes what they read. Pure
 * knowledge and text scanning; functions.c asks PostgreSQL for the rest.
 */
#ifndef FILL_STABLE_H
#define FILL_STABLE_H

#include "base/arena.h"

#include <stdint.h>

enum { FIRST_USER_OID = 16384 }; /* FirstNormalObjectId: below it PostgreSQL's own objects */

/* A STABLE function of pg_catalog whose result depends on its arguments, the session's settings
 * (which are the same for every answer) and nothing else. */
bool stable_is_safe(uint32_t function_oid);
/* A function or type input of pg_catalog that reads the clock, for a better message. */
bool stable_reads_clock(uint32_t function_oid);
/* An extension whose STABLE functions, written in C, read neither clock nor tables. */
bool stable_extension_is_safe(const char *extension);
/* Does a parameter's text hold a word that means another time tomorrow ('today', 'now')? */
bool stable_text_names_clock(const char *text);

/* What a function's source text mentions. */
struct body_words {
    const char **words; /* identifiers in lower case, strings' words included; each once */
    uint32_t word_count;
    const char **calls; /* those that are followed by '(' */
    uint32_t call_count;
    bool catches; /* a block EXCEPTION WHEN: what was read before the error leaves no lock behind */
};
void body_scan(struct arena *a, const char *source, struct body_words *ret_words);
/* A word that no function with a repeatable answer may mention (current_date, 'today', execute,
 * pg_*); NULL when there is none. */
const char *body_suspect(const struct body_words *w);

#endif
