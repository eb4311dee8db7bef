/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy: one YAML file becomes one immutable struct, or a list of complaints.
 *
 * Loading reads the file and the SQL files that it names, checks everything that can be checked
 * without a database, and either returns a policy or says for every mistake: file, line, column,
 * key, reason, and the nearest valid key. Nothing is guessed. Options live in policy/options.def:
 * one line gives the parser, the reference docs and the "nearest key" their data.
 *
 * A policy never changes after loading: any thread may read it. Strings live in its own arena, which
 * goes with the last reference. Durations are milliseconds, sizes are bytes.
 *
 * Not done yet, and refused with that reason rather than ignored: upstream routes, assets, device,
 * outbox, warm, tier.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/buf.h"
#include "base/log.h"
#include "base/slice.h"

#include <stdint.h>

struct policy;

struct policy_index;

enum {
    POLICY_PARAMS_MAX = 32,
    POLICY_PLACEHOLDERS_MAX = 8,
    POLICY_SPLITS_MAX = 64,
    POLICY_DBS = 16,
};

enum policy_consistency { POLICY_TTL, POLICY_FOLLOW, POLICY_STRICT };

struct policy_address {
    const char *text;         /* "127.0.0.1:6380" or "unix:/run/freshet.sock" */
    bool affinity_connection; /* resp: the stamp of a SET is its own connection's last miss */
};

struct policy_listen {
    const struct policy_address *http, *resp, *admin;
    uint32_t http_count, resp_count, admin_count;
};

struct policy_database {
    const char *dsn;               /* NULL: no database; nothing is followed */
    const char *replication_dsn;   /* direct connection when `dsn` is a pooler; NULL: same as dsn */
    const char *publication;       /* default "freshet" */
    uint32_t pool;                 /* connections of all workers together, default 8 */
    uint32_t max_stale_ms;         /* default 500 */
    uint32_t statement_timeout_ms; /* default 10 s */
    uint32_t marks;                /* hashed mark slots, power of two, default 2^20 */
};

struct policy_limits {
    uint64_t bulk_max;       /* RESP argument, 64 MB */
    uint32_t pipeline_max;   /* RESP output buffered before reading pauses, 32 MB */
    uint32_t http_head_max;  /* 16 KB */
    uint64_t http_body_max;  /* 8 MB */
    uint32_t http_idle_ms;   /* keep-alive, 75 s */
    uint32_t http_head_ms;   /* time to send a whole request head, 10 s */
    uint64_t http_body_rate; /* bytes a second that a body must come at, after http_idle: 1 KB */
    uint32_t http_body_ms;   /* time to send a whole request body, 10 min */
    uint32_t connections;    /* all faces together, 10,000; the admin face has a few beyond */
    uint64_t output_max;     /* waiting for one Redis client, 128 MB and at least bulk_max */
    uint64_t subscriber_max; /* waiting messages of one subscriber, 32 MB */
    uint64_t buffers_max;    /* of all connections together */
    uint32_t stall_ms; /* output waits for a Redis client that takes nothing, 60 s; 0: for ever */
    uint32_t resp_idle_ms;  /* idle Redis connections, 0: for ever */
    uint32_t keepalive_ms;  /* TCP probes, 300 s; 0: none */
    uint32_t script_ms;     /* a script that runs longer lets others hear BUSY, 5 s; 0: never */
    uint64_t script_memory; /* of one worker's Lua, 64 MB */
    uint32_t drain_ms;      /* requests in progress at a stop, 10 s */
};

struct policy_durable {
    const char *dir;         /* NULL: no space is durable */
    bool always;             /* fsync: always | everysec */
    uint32_t rewrite_growth; /* percent, default 100; 0: never by itself */
    uint64_t rewrite_min;    /* bytes, default 16 MB */
};

struct policy_space {
    const char *name;
    int db;             /* Redis database, -1: none ("http"). "default": all, see db_space */
    uint64_t memory;    /* budget; shares are worked out while loading */
    bool evict;         /* evict: auto | never */
    bool durable;       /* keep: durable | volatile */
    uint32_t ttl_ms;    /* default TTL, 0: none */
    const char *prefix; /* NULL: none. '*' is the shortest run without ':' */
    enum policy_consistency consistency;
};

/* --- key templates ---------------------------------------------------------------------------- */

/* "sales_{business_id}_*": literal text, {column}, and '*' for any run of characters. */
struct policy_template {
    uint32_t index; /* among all templates */
    const char *text;
    const char *schema; /* of the table; NULL: whatever search_path finds */
    const char *table;
    uint32_t implicit_lease_ms; /* default 10 s */
    const char *const *columns; /* placeholder columns, in order of first appearance */
    uint32_t column_count;      /* 0: depends on every change of the table */
    uint32_t line;              /* in the policy file */
    const void *pieces;         /* private */
    uint32_t piece_count;
};

/* Calls `found` for each way in which `key` (without its space's prefix) matches a template; with
 * '*' or several placeholders one template may match in several ways. `values` are the
 * placeholders' texts in the order of `columns`, slices into the key. A column that occurs twice
 * must have one value.
 * `values` NULL: the template may match, but in more ways than are listed (over POLICY_SPLITS_MAX,
 * or the key is too long to be split); it is reported once, and the key depends on its `any`.
 * Without columns `values` is not NULL and not to be read. No allocation, bounded time. */
typedef void policy_match_fn(void *arg, const struct policy_template *t,
                             const struct slice *values);
void policy_match_key(const struct policy *p, struct slice key, policy_match_fn *found, void *arg);
/* The identity of one rendering: the same for a match and for a row with these column values. */
uint64_t policy_template_hash(const struct policy_template *t, const struct slice *values);
/* Removes the space's prefix; false when `key` does not begin with it: no template applies. */
bool policy_strip_prefix(const struct policy_space *s, struct slice key, struct slice *ret_rest);
/* Can a key of that space match any template? False lets the hot path skip everything above. */
bool policy_space_followed(const struct policy *p, const struct policy_space *s);

/* --- routes ----------------------------------------------------------------------------------- */

enum policy_answer {
    POLICY_ANSWER_ARRAY,  /* every row an object */
    POLICY_ANSWER_OBJECT, /* the first row; 404 when there is none */
};

struct policy_param {
    const char *name;     /* without ':' */
    bool optional;        /* has a default */
    const char *fallback; /* default as text; NULL with optional: SQL NULL */
};

struct policy_segment {
    const char *text; /* literal, already percent-decoded; or the parameter's name */
    bool is_param;
};

struct policy_route {
    uint32_t index;
    uint32_t line;
    const char *match;  /* as written: "GET /api/products/{id}" */
    const char *method; /* "GET" or "POST" */
    const struct policy_segment *segments;
    uint32_t segment_count;
    const char *sql_file;              /* NULL when the SQL stands in the policy itself */
    const char *sql;                   /* positional: $1..$n */
    const struct policy_param *params; /* in order $1..$n */
    uint32_t param_count;
    enum policy_answer answer;           /* default: array for GET, object for POST */
    enum policy_consistency consistency; /* default follow */
    uint32_t fresh_ms;                   /* TTL, the safety net; default 1 h; 0: do not store */
    uint32_t timeout_ms;                 /* statement; default database.statement_timeout */
    uint64_t identity; /* equal for two loads only when their answers may stand for each other */
};

/* The route for a method and an undecoded path, NULL when none; `ret_methods` (may be NULL) gets a
 * bit per method ("GET" 1, "POST" 2) that the path has, for 405 and OPTIONS. Path values are
 * returned undecoded in template order. Literal segments beat parameters, segment by segment. */
const struct policy_route *policy_find_route(const struct policy *p, struct slice method,
                                             struct slice path, struct slice *ret_values,
                                             unsigned *ret_methods);

/* --- the whole -------------------------------------------------------------------------------- */

struct policy_auth {
    const char *password; /* resp AUTH and admin bearer token; NULL: none */
};

struct policy_rule {
    const char *word; /* "+@read": a word of ACL SETUSER, without white space */
    uint32_t line, column;
};

/* A user of the Redis face. What the rules mean only serve knows: users_check() judges them. */
struct policy_user {
    const char *name;
    const char *password_sha256; /* 64 hexadecimal digits; NULL: none but those of the rules */
    const struct policy_rule *rules;
    uint32_t rule_count;
};

struct policy {
    const char *file;
    struct policy_listen listen;
    struct policy_database database;
    struct policy_limits limits;
    struct policy_auth auth;
    const struct policy_user *users; /* by name; "default" among them when the file changes it */
    uint32_t user_count;
    bool default_is_off; /* reachable beyond loopback, and only users have passwords */
    struct policy_durable durable;
    uint64_t memory;  /* default: a quarter of the machine's memory */
    uint32_t workers; /* default: half the cores, at least 1 */
    bool debug;       /* DEBUG command and the checker's break switches */
    struct log_settings log;
    uint32_t slow_fill_ms; /* fills that take longer are told about; 0: none */
    const char *crash_dir; /* NULL: crash reports go to standard error only */
    uint32_t watchdog_ms;  /* 0: none */
    const struct policy_space *spaces;
    uint32_t space_count;
    int8_t db_space[POLICY_DBS]; /* db number -> space index; -1: SELECT is refused */
    int http_space;              /* index of the space that holds HTTP answers; -1: no routes */
    const struct policy_template *templates;
    uint32_t template_count;
    const struct policy_route *routes;
    uint32_t route_count;
    void *arena;                      /* private */
    void *refs;                       /* private */
    const struct policy_index *index; /* private */
};

/* The space of a Redis database; NULL: none has this number. */
static inline const struct policy_space *policy_space_of(const struct policy *p, uint32_t db)
{
    return db < POLICY_DBS && p->db_space[db] >= 0 ? &p->spaces[p->db_space[db]] : NULL;
}

/* NULL when the file has mistakes: then `complaints` has one line for each
 * ("shop.yaml:12:5: routes[2].fresch: unknown key; did you mean `fresh`?"). Warnings go there too
 * when the policy is valid. */
const struct policy *policy_load(const char *file, struct buf *complaints);
/* One more reference to a loaded policy; each is given back with policy_unload(). Any thread. */
const struct policy *policy_share(const struct policy *p);
void policy_unload(const struct policy **p);

/* --- two policies, one after the other (a reload) ----------------------------------------------- */

/* What only a restart can change and differs: appends "listen, memory" to `ret_keys`. False: nothing. */
bool policy_needs_restart(const struct policy *old, const struct policy *new, struct buf *ret_keys);
/* Is there a template that means the same: its text, its table? */
bool policy_has_template(const struct policy *p, const struct policy_template *t);
/* Does a key of this space mean the same templates to both, if they are the same templates? */
bool policy_space_same_keys(const struct policy_space *a, const struct policy_space *b);
/* "2 routes changed, 1 new key template": for the log. Appends. */
void policy_describe_change(const struct policy *old, const struct policy *new,
                            struct buf *ret_text);

/* Is `given` close enough to `word` to be a slip of it? `ret_distance`: how close. */
bool policy_is_slip(const char *given, const char *word, unsigned *ret_distance);

/* "500ms" "3s" "15m" "2h" "30d" "0"; one whole number, one unit. False and a static reason. */
bool policy_parse_duration(const char *text, uint64_t *ret_ms, const char **ret_why);

/* ":name" parameters to "$1": skips quotes, dollar quotes, comments and casts. Names in order;
 * false and a reason when it cannot be (unterminated quote, too many parameters, several
 * statements). */
bool policy_sql_positional(const char *sql, struct buf *ret_sql,
                           struct slice ret_names[POLICY_PARAMS_MAX], uint32_t *ret_count,
                           const char **ret_reason);

#endif
