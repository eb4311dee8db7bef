/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each parameter is looked for in the path, then the JSON body, then the query, then the policy's
 * default. What is found is appended to one text buffer and checked in place. A parameter that is
 * given twice in the query is refused: which one counts is a guess, and guesses poison caches.
 */
#include "serve/params.h"

#include "base/json.h"
#include "http/http.h"
#include "serve/param_type.h"

#include <stdio.h>
#include <stdlib.h>

#define PARAM_NULL UINT32_MAX

static bool refuse(struct params *p, struct problem *ret_problem, const char *name,
                   const char *what)
{
    (void)snprintf(p->wrong, sizeof(p->wrong), "parameter `%.60s` %s", name, what);
    *ret_problem = (struct problem){.status = 400, .detail = p->wrong, .parameter = name};
    return false;
}

static bool name_is(struct slice encoded, const char *name, struct buf *scratch)
{
    if (memchr(encoded.ptr, '%', encoded.len) == NULL) {
        return slice_is(encoded, name);
    }
    buf_clear(scratch);
    return http_percent_decode(encoded, true, scratch) && slice_is(buf_readable(scratch), name);
}

enum found { FOUND_NOTHING, FOUND_VALUE, FOUND_TWICE, FOUND_BROKEN };

static enum found from_query(struct params *p, const char *name, struct slice query)
{
    struct buf scratch;
    buf_init(&scratch);
    struct slice key;
    struct slice value;
    enum found found = FOUND_NOTHING;
    while (found != FOUND_TWICE && http_query_next(&query, &key, &value)) {
        if (!name_is(key, name, &scratch)) {
            continue;
        }
        if (found != FOUND_NOTHING) {
            found = FOUND_TWICE;
        } else {
            found = http_percent_decode(value, true, &p->text) ? FOUND_VALUE : FOUND_BROKEN;
        }
    }
    buf_fini(&scratch);
    return found;
}

static enum found from_path(struct params *p, const char *name, const struct policy_route *route,
                            const struct slice *values)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < route->segment_count; i++) {
        if (!route->segments[i].is_param) {
            continue;
        }
        if (strcmp(route->segments[i].text, name) == 0) {
            return http_percent_decode(values[at], false, &p->text) ? FOUND_VALUE : FOUND_BROKEN;
        }
        at++;
    }
    return FOUND_NOTHING;
}

/* Objects and arrays go to the statement as they were written, numbers with every digit, and so does a
 * string if JSON is what the statement takes. NULL is told by `ret_null`. */
static enum found from_body(struct params *p, struct slice value, uint32_t type, bool *ret_null)
{
    if (value.ptr == NULL) {
        return FOUND_NOTHING;
    }
    *ret_null = value.ptr[0] == 'n';
    if (value.ptr[0] == '"' && !param_type_is_json(type)) {
        json_unquote(value, &p->text);
    } else if (!*ret_null) {
        buf_append_slice(&p->text, value);
    }
    return FOUND_VALUE;
}

static bool collect_one(struct params *p, uint32_t i, const struct policy_route *route,
                        uint32_t type, const struct params_source *from, struct slice member,
                        struct problem *ret_problem)
{
    const struct policy_param *param = &route->params[i];
    size_t start = buf_len(&p->text);
    bool is_null = false;
    enum found found = from_path(p, param->name, route, from->path_values);
    if (found == FOUND_NOTHING) {
        found = from_body(p, member, type, &is_null);
    }
    if (found == FOUND_NOTHING) {
        found = from_query(p, param->name, from->query);
    }
    if (found == FOUND_TWICE) {
        return refuse(p, ret_problem, param->name, "is given twice");
    }
    if (found == FOUND_BROKEN) {
        return refuse(p, ret_problem, param->name, "has a broken percent escape");
    }
    if (found == FOUND_NOTHING && !param->optional) {
        return refuse(p, ret_problem, param->name, "is missing");
    }
    if (found == FOUND_NOTHING && param->fallback != NULL) {
        buf_append_str(&p->text, param->fallback);
    }
    if (is_null || (found == FOUND_NOTHING && param->fallback == NULL)) {
        p->offset[i] = PARAM_NULL;
        return true;
    }
    p->offset[i] = (uint32_t)start;
    const char *wrong = param_type_check(type, &p->text, start);
    if (wrong != NULL) {
        return refuse(p, ret_problem, param->name, wrong);
    }
    buf_append_char(&p->text, '\0');
    return true;
}

/* Index of the parameter that a member's name (in its quotes) means; param_count: none. */
static uint32_t param_of_member(const struct policy_route *route, struct slice quoted,
                                struct buf *scratch)
{
    uint32_t i = 0;
    buf_clear(scratch);
    json_unquote(quoted, scratch);
    while (i < route->param_count && !slice_is(buf_readable(scratch), route->params[i].name)) {
        i++;
    }
    return i;
}

static bool refuse_body(struct params *p, const struct policy_route *route, struct slice body,
                        const struct json_fault *fault, struct problem *ret_problem)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < fault->at; i++, column++) {
        if (body.ptr[i] == '\n') {
            line++;
            column = 0;
        }
    }
    (void)snprintf(p->wrong, sizeof(p->wrong),
                   "the body is not acceptable JSON: %s (line %zu, column %zu, in bytes)",
                   fault->what, line, column);
    *ret_problem = (struct problem){.status = 400, .detail = p->wrong};
    if (fault->member.ptr != NULL) {
        struct buf scratch;
        buf_init(&scratch);
        uint32_t i = param_of_member(route, fault->member, &scratch);
        ret_problem->parameter = i < route->param_count ? route->params[i].name : NULL;
        buf_fini(&scratch);
    }
    return false;
}

/* The members of the body that are parameters, as they were written; ptr NULL: not there. */
static bool read_body(struct params *p, const struct policy_route *route, struct slice body,
                      struct slice *ret_values, struct problem *ret_problem)
{
    memset(ret_values, 0, POLICY_PARAMS_MAX * sizeof(*ret_values));
    if (body.len == 0) {
        return true;
    }
    struct json_fault fault;
    if (!json_check(body, &fault)) {
        return refuse_body(p, route, body, &fault, ret_problem);
    }
    if (json_kind(body) != '{') {
        *ret_problem = (struct problem){.status = 400,
                                        .detail = "the body must be one JSON object whose members "
                                                  "are the route's parameters"};
        return false;
    }
    struct buf scratch;
    buf_init(&scratch);
    struct slice name;
    struct slice value;
    while (json_next_member(&body, &name, &value)) {
        uint32_t i = param_of_member(route, name, &scratch);
        if (i < route->param_count) {
            ret_values[i] = value;
        }
    }
    buf_fini(&scratch);
    return true;
}

bool params_collect(struct params *p, const struct policy_route *route, const uint32_t *types,
                    const struct params_source *from, struct problem *ret_problem)
{
    struct slice members[POLICY_PARAMS_MAX];
    if (!read_body(p, route, from->body, members, ret_problem)) {
        return false;
    }
    buf_clear(&p->text);
    p->count = route->param_count;
    for (uint32_t i = 0; i < route->param_count; i++) {
        if (!collect_one(p, i, route, types != NULL ? types[i] : 0, from, members[i],
                         ret_problem)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < p->count; i++) {
        p->value[i] =
            p->offset[i] == PARAM_NULL ? NULL : p->text.mem + p->text.start + p->offset[i];
    }
    return true;
}

void route_key(const struct policy_route *route, const struct params *p, struct buf *out)
{
    buf_clear(out);
    buf_append_str(out, route->match);
    buf_append(out, (const char *)&route->identity, sizeof(route->identity));
    for (uint32_t i = 0; i < p->count; i++) {
        buf_append(out, p->value[i] == NULL ? "\0n" : "\0v", 2);
        if (p->value[i] != NULL) {
            buf_append_str(out, p->value[i]);
        }
    }
}
