/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route: from method and path to a route.
 *
 *     "/api/products/{id}"  ->  literal "api" | literal "products" | parameter "id"
 *     "/api/"               ->  literal "api" | literal ""
 *
 * Routes are grouped by their number of segments and sorted within a group, literals before
 * parameters, segment by segment. Among the routes that match one path all literals at one place
 * are equal, so the first match in this order is the most literal one, and no backtracking is
 * needed.
 *
 * Paths arrive undecoded. A literal is compared decoded ("%61pi" is "api"), a parameter's value
 * goes out as it came; it never is empty. Dots are not resolved: "/a/../b" is its own path.
 *
 * Threads: any; immutable after loading.
 */
#include "policy/load.h"

#include "policy/text.h"

#include <stdlib.h>

enum { SEGMENTS_MAX = 32 };

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character of a path at `*at`, decoded; -1 for a broken "%xx". */
static int next_char(struct slice s, size_t *at)
{
    char c = s.ptr[(*at)++];
    if (c != '%') {
        return (unsigned char)c;
    }
    if (s.len - *at < 2) {
        return -1;
    }
    int high = hex_value(s.ptr[*at]);
    int low = hex_value(s.ptr[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* --- compiling -------------------------------------------------------------------------------- */

static bool compile_parameter(struct arena *arena, struct slice text, const struct policy_route *r,
                              struct policy_segment *ret_segment, const char **ret_why)
{
    struct slice name = {text.ptr + 1, text.len > 2 ? text.len - 2 : 0};
    if (text.ptr[0] != '{' || text.ptr[text.len - 1] != '}' || !policy_text_is_name(name)) {
        *ret_why = "has a brace that is not of a parameter; a parameter is a whole segment, {name}";
        return false;
    }
    for (uint32_t i = 0; i < r->segment_count; i++) {
        if (r->segments[i].is_param && slice_is(name, r->segments[i].text)) {
            *ret_why = arena_printf(arena, "has the parameter {%s} twice; rename one",
                                    r->segments[i].text);
            return false;
        }
    }
    *ret_segment = (struct policy_segment){arena_dup_slice(arena, name), true};
    return true;
}

static bool compile_segment(struct arena *arena, struct slice text, const struct policy_route *r,
                            struct policy_segment *ret_segment, const char **ret_why)
{
    if (memchr(text.ptr, '{', text.len) != NULL || memchr(text.ptr, '}', text.len) != NULL) {
        return compile_parameter(arena, text, r, ret_segment, ret_why);
    }
    char *literal = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len;) {
        bool is_coded = text.ptr[i] == '%';
        int c = next_char(text, &i);
        if (c <= 0) {
            *ret_why = "has a '%' that is not followed by two hexadecimal digits other than 00";
            return false;
        }
        if (!is_coded && (c <= ' ' || c == '?' || c == '#' || c == '*')) {
            *ret_why = c == '*'
                           ? "has a `*`, which is for upstream routes: not in this version yet"
                           : "has a character that no path has; write the path only, and others "
                             "as %xx";
            return false;
        }
        literal[len++] = (char)c;
    }
    *ret_segment = (struct policy_segment){literal, false};
    return true;
}

bool policy_path_compile(struct arena *arena, const char *path, struct policy_route *r,
                         const char **ret_why)
{
    if (path[0] != '/') {
        *ret_why = "has a path that does not begin with '/'";
        return false;
    }
    struct policy_segment *segments = arena_alloc(arena, SEGMENTS_MAX * sizeof(*segments));
    r->segments = segments;
    for (const char *at = path; *at == '/';) {
        struct slice text = {at + 1, strcspn(at + 1, "/")};
        at = text.ptr + text.len;
        if (text.len == 0 && *at == '/') {
            *ret_why = "has an empty segment; remove one '/'";
            return false;
        }
        if (r->segment_count == SEGMENTS_MAX) {
            *ret_why = "has more than 32 segments";
            return false;
        }
        if (!compile_segment(arena, text, r, &segments[r->segment_count], ret_why)) {
            return false;
        }
        r->segment_count++;
    }
    return true;
}

/* --- order ------------------------------------------------------------------------------------ */

/* Literals before parameters; equal only when no path can tell the two apart. */
static int compare_shape(const struct policy_route *a, const struct policy_route *b)
{
    if (a->segment_count != b->segment_count) {
        return a->segment_count < b->segment_count ? -1 : 1;
    }
    for (uint32_t i = 0; i < a->segment_count; i++) {
        const struct policy_segment *x = &a->segments[i];
        const struct policy_segment *y = &b->segments[i];
        if (x->is_param != y->is_param) {
            return x->is_param ? 1 : -1;
        }
        int order = x->is_param ? 0 : strcmp(x->text, y->text);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

bool policy_route_same_shape(const struct policy_route *a, const struct policy_route *b)
{
    return strcmp(a->method, b->method) == 0 && compare_shape(a, b) == 0;
}

static int compare_routes(const void *a, const void *b)
{
    return compare_shape(*(const struct policy_route *const *)a,
                         *(const struct policy_route *const *)b);
}

void policy_index_routes(struct arena *arena, const struct policy *p, struct policy_index *index)
{
    const struct policy_route **order =
        arena_alloc(arena, (p->route_count + 1) * sizeof(const struct policy_route *));
    for (uint32_t i = 0; i < p->route_count; i++) {
        order[i] = &p->routes[i];
        index->route_start[p->routes[i].segment_count + 1]++;
    }
    qsort(order, p->route_count, sizeof(const struct policy_route *), compare_routes);
    for (size_t i = 1; i < array_len(index->route_start); i++) {
        index->route_start[i] += index->route_start[i - 1];
    }
    index->routes = order;
}

/* --- finding ---------------------------------------------------------------------------------- */

static bool literal_matches(const char *literal, struct slice text)
{
    size_t at = 0;
    for (; *literal != '\0' && at < text.len; literal++) {
        if (next_char(text, &at) != (unsigned char)*literal) {
            return false;
        }
    }
    return *literal == '\0' && at == text.len;
}

static bool route_matches(const struct policy_route *r, const struct slice *segments)
{
    for (uint32_t i = 0; i < r->segment_count; i++) {
        const struct policy_segment *want = &r->segments[i];
        bool fits = want->is_param ? segments[i].len > 0 : literal_matches(want->text, segments[i]);
        if (!fits) {
            return false;
        }
    }
    return true;
}

/* 0 when the path does not begin with '/' or is deeper than any route. */
static uint32_t split_path(struct slice path, struct slice segments[SEGMENTS_MAX])
{
    uint32_t count = 0;
    size_t at = 0;
    while (at < path.len) {
        if (path.ptr[at] != '/' || count == SEGMENTS_MAX) {
            return 0;
        }
        const char *start = path.ptr + at + 1;
        const char *end = memchr(start, '/', path.len - at - 1);
        segments[count] =
            (struct slice){start, end != NULL ? (size_t)(end - start) : path.len - at - 1};
        at += 1 + segments[count].len;
        count++;
    }
    return count;
}

static void give_values(const struct policy_route *r, const struct slice *segments,
                        struct slice *ret_values)
{
    for (uint32_t i = 0; i < r->segment_count; i++) {
        if (r->segments[i].is_param) {
            *ret_values++ = segments[i];
        }
    }
}

const struct policy_route *policy_find_route(const struct policy *p, struct slice method,
                                             struct slice path, struct slice *ret_values,
                                             unsigned *ret_methods)
{
    struct slice segments[SEGMENTS_MAX] = {0};
    const struct policy_index *index = p->index;
    const struct policy_route *found = NULL;
    unsigned methods = 0;
    uint32_t count = split_path(path, segments);
    for (uint32_t i = index->route_start[count]; i < index->route_start[count + 1]; i++) {
        const struct policy_route *r = index->routes[i];
        if (!route_matches(r, segments)) {
            continue;
        }
        methods |= r->method[0] == 'G' ? 1 : 2;
        if (found == NULL && slice_is(method, r->method)) {
            found = r;
            if (ret_methods == NULL) {
                break;
            }
        }
    }
    if (ret_methods != NULL) {
        *ret_methods = methods;
    }
    if (found != NULL) {
        give_values(found, segments, ret_values);
    }
    return found;
}
