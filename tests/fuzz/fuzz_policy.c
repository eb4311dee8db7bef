/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for the policy: files, templates against keys, paths against routes, statements.
 *
 * The first byte chooses what the rest is:
 *
 *     0  a whole policy file. If it loads, keys, paths and prefixes made of its own text are tried
 * on it; if it does not, there must be a complaint. Every complaint is one clean line. 1  template,
 * newline, key: the matcher against a second one that tries everything. 2  a statement: what comes
 * out, scanned again, must have no parameters and one statement. 3  path, newline, path: the first
 * as a route, the second asked for. 4  prefix, newline, key
 *
 * `sql:` may name files; a policy is loaded as "t.yaml", so what it can reach are regular files
 * that a bounded read does not harm.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "policy/load.h"

#include <stdlib.h>

#define HEAD "listen: { resp: \"127.0.0.1:1\" }\ndatabase: { dsn: a=b }\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- files ------------------------------------------------------------------------------------ */

static void count_match(void *arg, const struct policy_template *t, const struct slice *values)
{
    uint32_t *count = arg;
    (*count)++;
    if (values != NULL && t->column_count > 0) {
        check(policy_template_hash(t, values) == policy_template_hash(t, values));
    }
}

static void use_policy(const struct policy *p, struct slice text)
{
    struct slice values[POLICY_PARAMS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->route_count; i++) {
        const struct policy_route *r = &p->routes[i];
        struct slice path = slice_of(strchr(r->match, '/'));
        unsigned methods = 0;
        const struct policy_route *found =
            policy_find_route(p, slice_of(r->method), path, values, &methods);
        check(found != NULL || strchr(path.ptr, '%') != NULL); /* at least itself */
        check(r->param_count <= POLICY_PARAMS_MAX);
    }
    for (uint32_t i = 0; i < p->template_count; i++) {
        count = 0;
        policy_match_key(p, slice_of(p->templates[i].text), count_match, &count);
        check(count > 0); /* a template's text fits itself */
    }
    for (uint32_t i = 0; i < p->space_count; i++) {
        struct slice rest;
        (void)policy_strip_prefix(&p->spaces[i], text, &rest);
        check(p->spaces[i].memory > 0);
        (void)policy_space_followed(p, &p->spaces[i]);
    }
    policy_match_key(p, text, count_match, &count);
}

static void check_complaints(const struct buf *complaints)
{
    if (buf_len(complaints) == 0) {
        return;
    }
    struct slice all = buf_readable(complaints);
    check(all.ptr[all.len - 1] == '\n');
    for (size_t i = 0; i < all.len; i++) {
        unsigned char c = (unsigned char)all.ptr[i];
        bool starts_line = i == 0 || all.ptr[i - 1] == '\n';
        check(c == '\n' || (c >= 0x20 && c != 0x7f));
        check(!starts_line || (all.len - i > 7 && memcmp(all.ptr + i, "t.yaml:", 7) == 0));
    }
}

static void fuzz_file(struct slice text)
{
    struct buf complaints;
    buf_init(&complaints);
    const struct policy *p = policy_load_text("t.yaml", text, &complaints);
    check(p != NULL || buf_len(&complaints) > 0);
    check_complaints(&complaints);
    if (p != NULL) {
        use_policy(p, text);
        policy_unload(&p);
    }
    buf_fini(&complaints);
}

/* --- templates -------------------------------------------------------------------------------- */

static bool split_line(struct slice text, struct slice *ret_first, struct slice *ret_second)
{
    const char *newline = memchr(text.ptr, '\n', text.len);
    if (newline == NULL) {
        return false;
    }
    *ret_first = (struct slice){text.ptr, (size_t)(newline - text.ptr)};
    *ret_second = slice_from(text, ret_first->len + 1);
    return true;
}

/* A YAML double-quoted scalar; false for bytes that a policy cannot hold. */
static bool append_quoted(struct buf *out, struct slice s)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e) {
            return false;
        }
        if (s.ptr[i] == '"' || s.ptr[i] == '\\') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, s.ptr[i]);
    }
    buf_append_char(out, '"');
    return true;
}

/* Can `t` be read as `key`, any values, each placeholder on its own? Gives up after `*budget`
 * steps. */
static bool plain_fits(const char *t, struct slice key, uint32_t *budget)
{
    if (*budget == 0 || --*budget == 0) {
        return false;
    }
    if (*t == '\0') {
        return key.len == 0;
    }
    if (*t != '{' && *t != '*') {
        return key.len > 0 && key.ptr[0] == *t && plain_fits(t + 1, slice_from(key, 1), budget);
    }
    const char *rest = *t == '*' ? t + 1 : strchr(t, '}') + 1;
    for (size_t i = 0; i <= key.len; i++) {
        if (plain_fits(rest, slice_from(key, i), budget)) {
            return true;
        }
    }
    return false;
}

static bool has_repeated_column(const struct policy_template *t)
{
    uint32_t braces = 0;
    for (const char *at = t->text; *at != '\0'; at++) {
        braces += *at == '{' ? 1 : 0;
    }
    return braces != t->column_count;
}

static void fuzz_template(struct slice text)
{
    struct slice template;
    struct slice key;
    struct buf yaml;
    struct buf complaints;
    buf_init(&yaml);
    buf_init(&complaints);
    buf_append_str(&yaml, HEAD "invalidate: { t: [ ");
    if (split_line(text, &template, &key) && append_quoted(&yaml, template)) {
        buf_append_str(&yaml, " ] }\n");
        const struct policy *p = policy_load_text("t.yaml", buf_readable(&yaml), &complaints);
        if (p != NULL) {
            uint32_t count = 0;
            uint32_t budget = 20000;
            policy_match_key(p, key, count_match, &count);
            bool fits = plain_fits(p->templates[0].text, key, &budget);
            check(count <= POLICY_SPLITS_MAX);
            /* A repeated column asks for more than plain_fits() does. */
            check(count > 0 || !fits || has_repeated_column(&p->templates[0]));
            policy_unload(&p);
        }
    }
    buf_fini(&yaml);
    buf_fini(&complaints);
}

/* --- statements ------------------------------------------------------------------------------- */

static void fuzz_sql(struct slice text)
{
    char *sql = xstrndup(text.ptr, text.len);
    struct slice names[POLICY_PARAMS_MAX];
    struct buf out;
    uint32_t count;
    const char *reason = NULL;
    buf_init(&out);
    if (policy_sql_positional(sql, &out, names, &count, &reason)) {
        check(count <= POLICY_PARAMS_MAX);
        for (uint32_t i = 0; i < count; i++) {
            check(names[i].ptr > sql && names[i].ptr[-1] == ':' && names[i].len > 0);
        }
        if (count == 0) { /* nothing replaced: the same again, without its semicolon */
            struct buf again;
            buf_init(&again);
            buf_append_char(&out, '\0');
            check(policy_sql_positional(out.mem, &again, names, &count, &reason) && count == 0);
            check(buf_len(&again) + 1 == buf_len(&out));
            buf_fini(&again);
        }
    } else {
        check(reason != NULL && buf_len(&out) == 0);
    }
    buf_fini(&out);
    free(sql);
}

/* --- paths and prefixes ----------------------------------------------------------------------- */

static void fuzz_path(struct slice text)
{
    struct slice route;
    struct slice path;
    struct buf yaml;
    struct buf complaints;
    buf_init(&yaml);
    buf_init(&complaints);
    buf_append_str(&yaml, HEAD "routes: [ { sql: select 1, match: ");
    struct buf match;
    buf_init(&match);
    buf_append_str(&match, "GET ");
    if (split_line(text, &route, &path)) {
        buf_append_slice(&match, route);
        if (append_quoted(&yaml, buf_readable(&match))) {
            buf_append_str(&yaml, " } ]\n");
            const struct policy *p = policy_load_text("t.yaml", buf_readable(&yaml), &complaints);
            if (p != NULL) {
                use_policy(p, path);
                struct slice values[POLICY_PARAMS_MAX];
                (void)policy_find_route(p, SLICE("GET"), path, values, NULL);
                policy_unload(&p);
            }
        }
    }
    buf_fini(&match);
    buf_fini(&yaml);
    buf_fini(&complaints);
}

static void fuzz_prefix(struct slice text)
{
    struct slice prefix;
    struct slice key;
    if (!split_line(text, &prefix, &key) || prefix.len == 0 || prefix.ptr[prefix.len - 1] == '*') {
        return;
    }
    struct policy_space space = {.prefix = xstrndup(prefix.ptr, prefix.len)};
    struct slice rest;
    if (policy_strip_prefix(&space, key, &rest)) {
        check(rest.len <= key.len && rest.ptr + rest.len == key.ptr + key.len);
    }
    free((void *)(uintptr_t)space.prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    /* A copy of exactly this size, so that reading past its end is seen. */
    char *copy = xmalloc(size - 1 > 0 ? size - 1 : 1);
    memcpy(copy, data + 1, size - 1);
    struct slice text = {copy, size - 1};
    switch (data[0] % 5) {
    case 0:
        fuzz_file(text);
        break;
    case 1:
        fuzz_template(text);
        break;
    case 2:
        fuzz_sql(text);
        break;
    case 3:
        fuzz_path(text);
        break;
    default:
        fuzz_prefix(text);
        break;
    }
    free(copy);
    return 0;
}
