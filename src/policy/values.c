/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * values: what stands on the right of a colon.
 *
 * Numbers with a unit share one reader: digits, optional spaces, a unit out of a table. A bare
 * number is refused (except 0), because "30" means seconds to one reader and milliseconds to the
 * next.
 *
 * Threads: any; no state.
 */
#include "policy/values.h"

#include "base/number.h"
#include "policy/text.h"

#include <arpa/inet.h>
#include <sys/un.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first, so that formatting finds the shortest form. */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit size_units[] = {
    {"TB", 1ULL << 40}, {"GB", 1ULL << 30}, {"MB", 1ULL << 20}, {"KB", 1ULL << 10}, {"B", 1},
};

/* Digits, then the unit. False when there are no digits or too many. */
static bool split_number(const char *text, uint64_t *ret_number, const char **ret_unit)
{
    size_t digits = strspn(text, "0123456789");
    size_t zeros = strspn(text, "0");
    zeros -= zeros == digits && zeros > 0 ? 1 : 0;
    if (!number_parse_u64((struct slice){text + zeros, digits - zeros}, ret_number)) {
        return false;
    }
    *ret_unit = text + digits + strspn(text + digits, " ");
    return true;
}

static bool scale(uint64_t number, uint64_t factor, uint64_t *ret_value, const char **ret_why)
{
    if (__builtin_mul_overflow(number, factor, ret_value)) {
        *ret_why = "is too large";
        return false;
    }
    return true;
}

bool policy_parse_duration(const char *text, uint64_t *ret_ms, const char **ret_why)
{
    uint64_t number;
    const char *unit;
    if (!split_number(text, &number, &unit)) {
        *ret_why =
            "is no duration; write a whole number and a unit such as 500ms, 30s, 15m, 2h, 30d";
        return false;
    }
    for (size_t i = 0; i < array_len(duration_units); i++) {
        if (strcmp(unit, duration_units[i].name) == 0) {
            return scale(number, duration_units[i].factor, ret_ms, ret_why);
        }
    }
    if (*unit != '\0') {
        *ret_why = "is no duration; write one whole number and one unit out of ms, s, m, h, d";
        return false;
    }
    if (number != 0) {
        *ret_why = "has no unit; write ms, s, m, h or d after the number, such as 30s";
        return false;
    }
    *ret_ms = 0;
    return true;
}

/* "KB", "K" and "KiB" are the same. */
static bool is_size_unit(const char *text, const char *unit)
{
    size_t len = strlen(text);
    if (strcasecmp(text, unit) == 0) {
        return true;
    }
    bool same_letter = strncasecmp(text, unit, 1) == 0 && unit[1] != '\0';
    return same_letter && (len == 1 || strcasecmp(text + 1, "iB") == 0);
}

bool policy_parse_size(const char *text, uint64_t *ret_bytes, const char **ret_why)
{
    uint64_t number;
    const char *unit;
    if (!split_number(text, &number, &unit)) {
        *ret_why = "is no size; write a whole number and a unit such as 64KB, 400MB, 2GB";
        return false;
    }
    for (size_t i = 0; i < array_len(size_units); i++) {
        if (*unit != '\0' && is_size_unit(unit, size_units[i].name)) {
            return scale(number, size_units[i].factor, ret_bytes, ret_why);
        }
    }
    if (*unit != '\0') {
        *ret_why = "is no size; write one whole number and one unit out of B, KB, MB, GB, TB";
        return false;
    }
    if (number != 0) {
        *ret_why = "has no unit; write B, KB, MB, GB or TB after the number, such as 400MB";
        return false;
    }
    *ret_bytes = 0;
    return true;
}

static bool parse_count(const char *text, uint64_t *ret_count, const char **ret_why)
{
    if (!number_parse_u64(slice_of(text), ret_count)) {
        *ret_why = "is no whole number; write digits only";
        return false;
    }
    return true;
}

static const char *format_with(struct arena *arena, const struct unit *units, size_t count,
                               uint64_t value)
{
    size_t i = 0;
    while (i + 1 < count && (value % units[i].factor != 0 || value == 0)) {
        i++;
    }
    return arena_printf(arena, "%llu%s", (unsigned long long)(value / units[i].factor),
                        units[i].name);
}

const char *policy_format_duration(struct arena *arena, uint64_t ms)
{
    return ms == 0 ? "0" : format_with(arena, duration_units, array_len(duration_units), ms);
}

const char *policy_format_size(struct arena *arena, uint64_t bytes)
{
    return bytes == 0 ? "0" : format_with(arena, size_units, array_len(size_units), bytes);
}

bool policy_parse_choice(struct arena *arena, const char *choices, const char *text,
                         uint64_t *ret_index, const char **ret_why)
{
    const char *nearest = NULL;
    uint64_t index = 0;
    for (const char *at = choices; *at != '\0'; index++) {
        size_t len = strcspn(at, "|");
        const char *choice = arena_dup_slice(arena, (struct slice){at, len});
        if (strcmp(choice, text) == 0) {
            *ret_index = index;
            return true;
        }
        if (policy_text_is_near(policy_text_distance(text, choice), choice)) {
            nearest = choice;
        }
        at += len + (at[len] == '|' ? 1 : 0);
    }
    char *list = arena_strdup(arena, choices);
    for (char *p = list; *p != '\0'; p++) {
        if (*p == '|') {
            *p = '/';
        }
    }
    *ret_why = nearest != NULL
                   ? arena_printf(arena, "is none of %s; did you mean `%s`?", list, nearest)
                   : arena_printf(arena, "is none of %s", list);
    return false;
}

static const char *format_value(struct arena *arena, enum policy_kind kind, uint64_t value)
{
    if (kind == POLICY_KIND_DURATION) {
        return policy_format_duration(arena, value);
    }
    if (kind == POLICY_KIND_SIZE) {
        return policy_format_size(arena, value);
    }
    return arena_printf(arena, "%llu", (unsigned long long)value);
}

static bool parse_number(const struct policy_option *o, const char *text, uint64_t *ret_value,
                         const char **ret_why)
{
    if (o->kind == POLICY_KIND_DURATION) {
        return policy_parse_duration(text, ret_value, ret_why);
    }
    if (o->kind == POLICY_KIND_SIZE) {
        return policy_parse_size(text, ret_value, ret_why);
    }
    return parse_count(text, ret_value, ret_why);
}

bool policy_parse_value(struct arena *arena, const struct policy_option *o, const char *text,
                        uint64_t *ret_value, const char **ret_why)
{
    if (o->kind == POLICY_KIND_CHOICE) {
        return policy_parse_choice(arena, o->choices, text, ret_value, ret_why);
    }
    uint64_t value;
    if (!parse_number(o, text, &value, ret_why)) {
        return false;
    }
    if (value < o->lowest || value > o->highest) {
        *ret_why = arena_printf(arena, "is out of range; write %s to %s",
                                format_value(arena, o->kind, o->lowest),
                                format_value(arena, o->kind, o->highest));
        return false;
    }
    *ret_value = value;
    return true;
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool parse_unix(const char *path, const char **ret_why)
{
    if (path[0] != '/') {
        *ret_why = "needs an absolute path after `unix:`, such as unix:/run/freshet.sock";
        return false;
    }
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        *ret_why = "has a longer path than a Unix socket can have (107 bytes)";
        return false;
    }
    return true;
}

static bool is_host_name(const char *host)
{
    size_t allowed =
        strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    return allowed <= 253 && host[allowed] == '\0' && host[0] != '-' && host[0] != '.';
}

static bool parse_v6(struct arena *arena, const char *text, const char **ret_port,
                     bool *ret_is_local, const char **ret_why)
{
    const char *close = strchr(text, ']');
    struct in6_addr v6;
    if (close == NULL || close[1] != ':') {
        *ret_why = "is no address; an IPv6 address is written [::1]:6380";
        return false;
    }
    const char *host = arena_dup_slice(arena, (struct slice){text + 1, (size_t)(close - text) - 1});
    if (inet_pton(AF_INET6, host, &v6) != 1) {
        *ret_why = "has no IPv6 address between the brackets";
        return false;
    }
    *ret_port = close + 2;
    *ret_is_local = IN6_IS_ADDR_LOOPBACK(&v6);
    return true;
}

static bool parse_host(struct arena *arena, const char *text, const char **ret_port,
                       bool *ret_is_local, const char **ret_why)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        bool is_port = text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
        *ret_why = is_port ? arena_printf(arena, "has no host; write \"127.0.0.1:%s\"", text)
                           : "is no address; write host:port or unix:/path";
        return false;
    }
    const char *host = arena_dup_slice(arena, (struct slice){text, (size_t)(colon - text)});
    struct in_addr v4;
    if (host[strspn(host, "0123456789.")] == '\0' && host[0] != '\0') {
        if (inet_pton(AF_INET, host, &v4) != 1) {
            *ret_why = "has no valid IPv4 address";
            return false;
        }
        *ret_is_local = (ntohl(v4.s_addr) >> 24) == 127;
    } else if (!is_host_name(host)) {
        *ret_why = "has no valid host name; an IPv6 address is written [::1]:6380";
        return false;
    } else {
        *ret_is_local = strcasecmp(host, "localhost") == 0;
    }
    *ret_port = colon + 1;
    return true;
}

bool policy_parse_address(struct arena *arena, const char *text, bool *ret_is_local,
                          const char **ret_why)
{
    if (strncmp(text, "unix:", 5) == 0) {
        *ret_is_local = true;
        return parse_unix(text + 5, ret_why);
    }
    const char *port;
    bool ok = text[0] == '[' ? parse_v6(arena, text, &port, ret_is_local, ret_why)
                             : parse_host(arena, text, &port, ret_is_local, ret_why);
    if (!ok) {
        return false;
    }
    uint64_t number;
    if (!number_parse_u64(slice_of(port), &number) || number > 65535) {
        *ret_why = "has no valid port; write a number from 0 to 65535 after the last colon";
        return false;
    }
    return true;
}
