/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known about functions that PostgreSQL calls STABLE.
 *
 * STABLE means "the same within one statement": to_char() of a row's value and now() are both
 * STABLE. For a cache the first is as good as IMMUTABLE, because freshet's sessions all have the
 * same settings; the second is not. PostgreSQL does not tell them apart, so a list does. It was
 * made by reading every function with provolatile 's' of PostgreSQL 15; one that is missing here
 * only makes an answer uncached. Left out on purpose, besides the clock: everything that reads
 * catalogs, settings, privileges or the text search configuration, and everything that reads a date
 * out of a text while the statement runs (the text may be 'today').
 *
 * A user's STABLE function is judged by its source, as text: no parser for PL/pgSQL exists here, so
 * the scan collects every word, those in strings and comments too, and lets the catalog say whether
 * one of them names something suspicious. That refuses too much, never too little, apart from what
 * no scan can see: operators and casts of the user's own that read the clock inside.
 *
 * Threads: none shared.
 */
#include "fill/stable.h"

#include "base/check.h"

#include <ctype.h>

static const uint16_t safe_oids[] = {
    384,  395,                                /* array_to_string */
    710,  745,  746,  861,                    /* current_user, session_user, current_database */
    751,                                      /* array_out */
    886,  887,                                /* cash_in, cash_out */
    939,                                      /* generate_series(timestamptz) */
    1085,                                     /* date_out */
    1151,                                     /* timestamptz_out */
    1160, 1161,                               /* interval_in, interval_out */
    1171,                                     /* date_part(timestamptz) */
    1174, 1176,                               /* timestamptz(date[, time]) */
    1177,                                     /* jsonb_path_exists_tz */
    1178,                                     /* date(timestamptz) */
    1179, 1180,                               /* jsonb_path_query_tz, _array_tz */
    1189, 1190,                               /* timestamptz +- interval */
    1217,                                     /* date_trunc(timestamptz) */
    1284,                                     /* date_trunc(timestamptz, zone) */
    1285, 1290,                               /* quote_literal, quote_nullable */
    1305, 1306, 1307,                         /* overlaps(timestamptz) */
    1313,                                     /* timestamp_out */
    1388,                                     /* timetz(timestamptz) */
    1713, 1714, 1717,                         /* length, convert_from, convert_to */
    1768, 1770,                               /* to_char */
    1772, 1773, 1774, 1775, 1776,             /* to_char */
    1777, 1778, 1780,                         /* to_number, to_timestamp, to_date */
    1813,                                     /* convert */
    2003, 2004,                               /* text || any */
    2019,                                     /* time(timestamptz) */
    2023,                                     /* jsonb_path_query_first_tz */
    2027, 2028,                               /* timestamp(timestamptz) and back */
    2030,                                     /* jsonb_path_match_tz */
    2049,                                     /* to_char(timestamp) */
    2291,                                     /* record_out */
    2351, 2352, 2353, 2354, 2355, 2356, 2357, /* date against timestamptz */
    2377, 2378, 2379, 2380, 2381, 2382, 2383, /* and back */
    2520, 2521, 2522, 2523, 2524, 2525, 2526, /* timestamp against timestamptz */
    2527, 2528, 2529, 2530, 2531, 2532, 2533, /* and back */
    2549,                                     /* interval + timestamptz */
    3058, 3059,                               /* concat, concat_ws */
    3153, 3154, 3155, 3156,                   /* array_to_json, row_to_json */
    3173, 3175, 3176,                         /* json_agg, to_json */
    3180, 3197,                               /* json_object_agg */
    3198, 3199, 3200, 3201,                   /* json_build_array, json_build_object */
    3265, 3266, 3267, 3268, 3269,             /* jsonb_agg, jsonb_object_agg */
    3271, 3272, 3273, 3274,                   /* jsonb_build_array, jsonb_build_object */
    3462, 3463,                               /* make_timestamptz */
    3505, 3506, 3507,                         /* enum in and out: ALTER TYPE is a schema change */
    3528, 3529, 3530, 3531,                   /* enum_first, enum_last, enum_range */
    3539, 3540,                               /* format */
    3787,                                     /* to_jsonb */
    3811, 3812, 3823, 3824,                   /* money and numeric */
    3835,                                     /* range_out */
    4135,                                     /* window frames over timestamptz */
    4232,                                     /* multirange_out */
    6203,                                     /* extract(timestamptz) */
};

static const uint16_t clock_oids[] = {
    274, 1084, 1143, 1150, 1299, 1312, 1350, 1386, 2037, 2047, 2059, 2647, 2648, 2649,
};

static bool has_oid(const uint16_t *oids, size_t count, uint32_t oid)
{
    for (size_t i = 0; i < count; i++) {
        if (oids[i] == oid) {
            return true;
        }
    }
    return false;
}

bool stable_is_safe(uint32_t function_oid)
{
    return has_oid(safe_oids, array_len(safe_oids), function_oid);
}

bool stable_reads_clock(uint32_t function_oid)
{
    return has_oid(clock_oids, array_len(clock_oids), function_oid);
}

static bool has_word(const char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

bool stable_extension_is_safe(const char *extension)
{
    static const char *const safe[] = {
        "btree_gin", "btree_gist", "citext", "cube",    "earthdistance", "fuzzystrmatch", "hstore",
        "intarray",  "isn",        "ltree",  "pg_trgm", "seg",           "unaccent"};
    return has_word(safe, array_len(safe), extension);
}

bool stable_text_names_clock(const char *text)
{
    static const char *const names[] = {"now", "today", "tomorrow", "yesterday"};
    while (*text != '\0') {
        size_t len = 0;
        while (isalpha((unsigned char)text[len])) {
            len++;
        }
        for (size_t i = 0; i < array_len(names); i++) {
            if (slice_is_nocase((struct slice){text, len}, names[i])) {
                return true;
            }
        }
        text += len > 0 ? len : 1;
    }
    return false;
}

/* --- a function's source
 * ---------------------------------------------------------------------------- */

static bool starts_word(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (c & 0x80) != 0;
}

static bool continues_word(char c)
{
    return starts_word(c) || isdigit((unsigned char)c) || c == '$';
}

static void add_word(const char **words, uint32_t *count, const char *word)
{
    if (!has_word(words, *count, word)) {
        words[(*count)++] = word;
    }
}

void body_scan(struct arena *a, const char *source, struct body_words *ret_words)
{
    size_t most = strlen(source) / 2 + 1; /* words, each with something behind it */
    *ret_words = (struct body_words){
        .words = arena_alloc(a, most * sizeof(char *)),
        .calls = arena_alloc(a, most * sizeof(char *)),
    };
    const char *before = "";
    for (const char *at = source; *at != '\0';) {
        if (!starts_word(*at)) {
            at++;
            continue;
        }
        const char *start = at;
        while (continues_word(*at)) {
            at++;
        }
        char *word = arena_dup_slice(a, (struct slice){start, (size_t)(at - start)});
        for (char *c = word; *c != '\0'; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
        add_word(ret_words->words, &ret_words->word_count, word);
        ret_words->catches |= strcmp(word, "exception") == 0 && strcmp(before, "raise") != 0;
        before = word;
        const char *next = at + strspn(at, "\" \t\r\n");
        if (*next == '(' || strncmp(next, "/*", 2) == 0 || strncmp(next, "--", 2) == 0) {
            add_word(ret_words->calls, &ret_words->call_count, word);
        }
    }
}

const char *body_suspect(const struct body_words *w)
{
    static const char *const suspects[] = {
        "current_date", "current_time", "current_timestamp", "current_schema",
        "execute",      "localtime",    "localtimestamp",    "information_schema",
        "now",          "today",        "tomorrow",          "yesterday",
        "nextval",      "tablesample",
    };
    for (uint32_t i = 0; i < w->word_count; i++) {
        if (has_word(suspects, array_len(suspects), w->words[i]) ||
            strncmp(w->words[i], "pg_", 3) == 0) {
            return w->words[i];
        }
    }
    return w->catches ? "exception" : NULL;
}
