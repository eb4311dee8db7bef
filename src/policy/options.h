/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of options.def as data. Private to policy, its tests and the reference generator.
 * Threads: any; constant.
 */
#ifndef POLICY_OPTIONS_H
#define POLICY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum policy_scope {
#define SCOPE(name, path, summary) POLICY_SCOPE_##name,
#define OPTION(...)
#include "policy/options.def"
#undef SCOPE
#undef OPTION
};

enum policy_kind {
    POLICY_KIND_DURATION, /* milliseconds */
    POLICY_KIND_SIZE,     /* bytes */
    POLICY_KIND_COUNT,
    POLICY_KIND_CHOICE, /* index into `choices` */
    POLICY_KIND_STRING, /* not empty; one of `choices` if there are any */
    POLICY_KIND_TREE,
    POLICY_KIND_LATER,
};

struct policy_option {
    enum policy_scope scope;
    const char *key;
    enum policy_kind kind;
    size_t offset; /* of the field in the scope's struct */
    size_t width;  /* of the field; 0: not stored by the table */
    const char *preset;
    uint64_t lowest;
    uint64_t highest;
    const char *choices; /* "a|b|c"; NULL: none */
    const char *summary;
};

extern const struct policy_option policy_options[];
extern const size_t policy_option_count;

const char *policy_scope_path(enum policy_scope scope);
const char *policy_scope_summary(enum policy_scope scope);
size_t policy_scope_count(void);

/* NULL when the scope has no such key. */
const struct policy_option *policy_option_find(enum policy_scope scope, const char *key);
/* The option of that scope whose key is close enough to be what was meant; NULL when none is. */
const struct policy_option *policy_option_nearest(enum policy_scope scope, const char *key);
/* An option of exactly that name in another scope; NULL when there is none. */
const struct policy_option *policy_option_elsewhere(enum policy_scope scope, const char *key);
/* "(prose)": the default is worked out elsewhere, or there is none. */
bool policy_option_has_preset(const struct policy_option *o);

#endif
