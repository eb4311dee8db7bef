/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log settings as text both ways. Pure: what is in force is log.c's.
 */
#include "base/log.h"

#include "base/check.h"

#include <stdio.h>

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};

static const char *const module_names[] = {
#define X(name) #name,
    LOG_MODULES(X)
#undef X
};

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_parse(struct slice name, enum log_level *ret_level)
{
    static const struct {
        const char *name;
        enum log_level level;
    } redis[] = {{"warning", LOG_WARN}, {"notice", LOG_INFO}, {"verbose", LOG_DEBUG}};
    for (int i = LOG_ERROR; i <= LOG_TRACE; i++) {
        if (slice_is_nocase(name, level_names[i])) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    for (size_t i = 0; i < array_len(redis); i++) {
        if (slice_is_nocase(name, redis[i].name)) {
            *ret_level = redis[i].level;
            return true;
        }
    }
    return false;
}

int log_module_find(struct slice name)
{
    for (int i = 0; i < LOG_MODULE_COUNT; i++) {
        if (slice_is_nocase(name, module_names[i])) {
            return i;
        }
    }
    return -1;
}

const char *log_module_names(void)
{
    /* Ends in ", " before its last two bytes are cut off. */
    static const char names[] =
#define X(name) #name ", "
        LOG_MODULES(X)
#undef X
        ;
    static char cut[sizeof(names)];
    if (cut[0] == '\0') {
        memcpy(cut, names, sizeof(names) - 3);
    }
    return cut;
}

void log_settings_init(struct log_settings *s)
{
    *s = (struct log_settings){.format = LOG_TEXT, .level = LOG_INFO};
    memset(s->module, LOG_INHERIT, sizeof(s->module));
}

/* One part of a spec: "level" or "module=level". */
static bool read_part(struct slice part, struct log_settings *s, char ret_why[LOG_SPEC_MAX])
{
    const char *equals = part.len > 0 ? memchr(part.ptr, '=', part.len) : NULL;
    struct slice name = {part.ptr, equals != NULL ? (size_t)(equals - part.ptr) : 0};
    struct slice level_name = equals != NULL ? slice_from(part, name.len + 1) : part;
    enum log_level level;
    if (!log_level_parse(level_name, &level)) {
        (void)snprintf(ret_why, LOG_SPEC_MAX,
                       "log level `%.*s`: there are error, warn, info, debug and trace",
                       level_name.len < 40 ? (int)level_name.len : 40, level_name.ptr);
        return false;
    }
    if (equals == NULL) {
        s->level = level;
        memset(s->module, LOG_INHERIT, sizeof(s->module));
        return true;
    }
    int module = log_module_find(name);
    if (module < 0) {
        (void)snprintf(ret_why, LOG_SPEC_MAX, "log module `%.*s`: there are %s",
                       name.len < 40 ? (int)name.len : 40, name.ptr, log_module_names());
        return false;
    }
    s->module[module] = (int8_t)level;
    return true;
}

bool log_settings_read(struct slice spec, struct log_settings *settings, char ret_why[LOG_SPEC_MAX])
{
    struct log_settings wanted = *settings;
    for (;;) {
        const char *comma = spec.len > 0 ? memchr(spec.ptr, ',', spec.len) : NULL;
        struct slice part = {spec.ptr, comma != NULL ? (size_t)(comma - spec.ptr) : spec.len};
        if (!read_part(part, &wanted, ret_why)) {
            return false;
        }
        if (comma == NULL) {
            *settings = wanted;
            return true;
        }
        spec = slice_from(spec, part.len + 1);
    }
}

void log_settings_print(const struct log_settings *s, char ret_spec[LOG_SPEC_MAX])
{
    int len = snprintf(ret_spec, LOG_SPEC_MAX, "%s", level_names[s->level]);
    for (int i = 0; i < LOG_MODULE_COUNT; i++) {
        if (s->module[i] != LOG_INHERIT && len < LOG_SPEC_MAX) {
            len += snprintf(ret_spec + len, (size_t)(LOG_SPEC_MAX - len), ",%s=%s", module_names[i],
                            level_names[s->module[i]]);
        }
    }
}
