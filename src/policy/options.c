/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options: options.def made data, and questions about it.
 *
 * The table is small (some 60 rows), so every question is a walk over it.
 *
 * Threads: any; constant.
 */
#include "policy/options.h"

#include "base/check.h"
#include "policy/policy.h"
#include "policy/text.h"

#define SECOND  1000ULL
#define MINUTE  (60 * SECOND)
#define HOUR    (60 * MINUTE)
#define DAY     (24 * HOUR)
#define KB      1024ULL
#define MB      (1024 * KB)
#define GB      (1024 * MB)
#define TTL_MAX (49 * DAY) /* what fits into 32 bits of milliseconds */

#define IN(type, field)  offsetof(struct type, field), sizeof(((struct type *)0)->field)
#define NOWHERE          0, 0
#define RANGE(low, high) low, high, NULL
#define ONE_OF(choices)  0, 0, choices
#define ANY              0, 0, NULL

const struct policy_option policy_options[] = {
#define SCOPE(name, path, summary)
#define OPTION(scope, key, kind, place, preset, range, summary)                                    \
    {POLICY_SCOPE_##scope, key, POLICY_KIND_##kind, place, preset, range, summary},
#include "policy/options.def"
#undef SCOPE
#undef OPTION
};
const size_t policy_option_count = array_len(policy_options);

static const struct {
    const char *path;
    const char *summary;
} scopes[] = {
#define SCOPE(name, path, summary) {path, summary},
#define OPTION(...)
#include "policy/options.def"
#undef SCOPE
#undef OPTION
};

const char *policy_scope_path(enum policy_scope scope)
{
    return scopes[scope].path;
}

const char *policy_scope_summary(enum policy_scope scope)
{
    return scopes[scope].summary;
}

size_t policy_scope_count(void)
{
    return array_len(scopes);
}

const struct policy_option *policy_option_find(enum policy_scope scope, const char *key)
{
    for (size_t i = 0; i < policy_option_count; i++) {
        if (policy_options[i].scope == scope && strcmp(policy_options[i].key, key) == 0) {
            return &policy_options[i];
        }
    }
    return NULL;
}

const struct policy_option *policy_option_nearest(enum policy_scope scope, const char *key)
{
    const struct policy_option *best = NULL;
    unsigned best_distance = 0;
    for (size_t i = 0; i < policy_option_count; i++) {
        const struct policy_option *o = &policy_options[i];
        if (o->scope != scope || o->kind == POLICY_KIND_LATER) {
            continue;
        }
        unsigned distance = policy_text_distance(key, o->key);
        if (policy_text_is_near(distance, o->key) && (best == NULL || distance < best_distance)) {
            best = o;
            best_distance = distance;
        }
    }
    return best;
}

const struct policy_option *policy_option_elsewhere(enum policy_scope scope, const char *key)
{
    for (size_t i = 0; i < policy_option_count; i++) {
        const struct policy_option *o = &policy_options[i];
        if (o->scope != scope && o->kind != POLICY_KIND_LATER && strcmp(o->key, key) == 0) {
            return o;
        }
    }
    return NULL;
}

bool policy_option_has_preset(const struct policy_option *o)
{
    return o->width > 0 && o->preset[0] != '(';
}
