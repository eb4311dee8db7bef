/* SPDX-License-Identifier: BSD-3-Clause */
/* route: the most literal route of a path, its undecoded values, and the methods that the path has.
 */
#include "policy_test.h"

static const struct policy *with_routes(const char *const *matches, size_t count)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, DATABASE "routes:\n");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "  - { match: \"%s\", sql: \"select :id, :a, :b, :c\" }\n", matches[i]);
    }
    const struct policy *p = load_slice(buf_readable(&text));
    buf_fini(&text);
    if (p == NULL) {
        fail_msg("%s", said);
    }
    return p;
}

/* "match(value,value) methods", "none methods". */
static const char *find(const struct policy *p, const char *method, struct slice path)
{
    static char out[1024];
    struct slice values[POLICY_PARAMS_MAX] = {0};
    unsigned methods = 99;
    const struct policy_route *r = policy_find_route(p, slice_of(method), path, values, &methods);
    assert_ptr_equal(r, policy_find_route(p, slice_of(method), path, values, NULL));
    int n = snprintf(out, sizeof(out), "%s(", r != NULL ? r->match : "none");
    for (uint32_t i = 0; r != NULL && i < r->segment_count && values[i].ptr != NULL; i++) {
        n += snprintf(out + n, sizeof(out) - (size_t)n, "%s%.*s", i > 0 ? "," : "",
                      (int)values[i].len, values[i].ptr);
    }
    (void)snprintf(out + n, sizeof(out) - (size_t)n, ") %u", methods);
    return out;
}

static void the_most_literal_route_wins(void **state)
{
    static const char *const matches[] = {
        "GET /{a}/{b}/{c}",
        "GET /api/{b}/{c}",
        "GET /{a}/products/{c}",
        "GET /api/products/{id}",
        "GET /api/products/new",
        "POST /api/products/{id}",
        "GET /",
        "GET /api",
        "GET /api/",
        "GET /{a}",
        "POST /sales",
    };
    static const struct {
        const char *method, *path, *found;
    } rows[] = {
        {"GET", "/", "GET /() 1"},
        {"GET", "/api", "GET /api() 1"},
        {"GET", "/api/", "GET /api/() 1"},
        {"GET", "/other", "GET /{a}(other) 1"},
        {"GET", "/other/", "none() 0"},
        {"GET", "/api/products/new", "GET /api/products/new() 3"},
        {"GET", "/api/products/7", "GET /api/products/{id}(7) 3"},
        {"POST", "/api/products/7", "POST /api/products/{id}(7) 3"},
        {"POST", "/api/products/new", "POST /api/products/{id}(new) 3"},
        {"GET", "/api/x/7", "GET /api/{b}/{c}(x,7) 1"},
        {"GET", "/x/products/7", "GET /{a}/products/{c}(x,7) 1"},
        {"GET", "/x/y/z", "GET /{a}/{b}/{c}(x,y,z) 1"},
        {"GET", "/x/y/", "none() 0"},
        {"GET", "/x/y", "none() 0"},
        {"GET", "/sales", "GET /{a}(sales) 3"},
        {"POST", "/other", "none() 1"},
        {"PUT", "/api/products/7", "none() 3"},
        {"get", "/api", "none() 1"},
        {"GET", "", "none() 0"},
        {"GET", "api", "none() 0"},
        {"GET", "*", "none() 0"},
        {"GET", "//", "none() 0"},
        {"GET", "/API", "GET /{a}(API) 1"},
    };
    const struct policy *p = with_routes(matches, array_len(matches));
    for (size_t i = 0; i < array_len(rows); i++) {
        const char *found = find(p, rows[i].method, slice_of(rows[i].path));
        if (strcmp(found, rows[i].found) != 0) {
            fail_msg("%s %s: %s, not %s", rows[i].method, rows[i].path, found, rows[i].found);
        }
    }
    policy_unload(&p);
}

static void literals_are_compared_decoded_and_values_kept(void **state)
{
    static const char *const matches[] = {
        "GET /caf\xc3\xa9/{id}", "GET /a%20b", "GET /a%2Fb", "GET /100%25", "GET /x/{id}",
    };
    static const struct {
        const char *path, *found;
    } rows[] = {
        {"/caf%C3%A9/1", "GET /caf\xc3\xa9/{id}(1) 1"},
        {"/caf%c3%a9/1", "GET /caf\xc3\xa9/{id}(1) 1"},
        {"/caf\xc3\xa9/1", "GET /caf\xc3\xa9/{id}(1) 1"},
        {"/%78/a%2fb", "GET /x/{id}(a%2fb) 1"},
        {"/x/%zz", "GET /x/{id}(%zz) 1"},
        {"/x/..", "GET /x/{id}(..) 1"},
        {"/x/a+b", "GET /x/{id}(a+b) 1"},
        {"/a%20b", "GET /a%20b() 1"},
        {"/a b", "GET /a%20b() 1"},
        {"/a%2fb", "GET /a%2Fb() 1"},
        {"/a/b", "none() 0"},
        {"/100%25", "GET /100%25() 1"},
        {"/100%", "none() 0"},
        {"/100%2", "none() 0"},
        {"/%7", "none() 0"},
        {"/a%2", "none() 0"},
    };
    const struct policy *p = with_routes(matches, array_len(matches));
    for (size_t i = 0; i < array_len(rows); i++) {
        const char *found = find(p, "GET", slice_of(rows[i].path));
        if (strcmp(found, rows[i].found) != 0) {
            fail_msg("%s: %s, not %s", rows[i].path, found, rows[i].found);
        }
    }
    policy_unload(&p);
}

static void deep_paths_are_not_found(void **state)
{
    char match[4 + 2 * 32 + 1] = "GET ";
    for (int i = 0; i < 32; i++) {
        strcat(match, "/s");
    }
    const char *matches[] = {match};
    const struct policy *p = with_routes(matches, 1);
    char slashes[1000];
    memset(slashes, '/', sizeof(slashes));
    assert_non_null(strstr(find(p, "GET", slice_of(match + 4)), "GET /s"));
    assert_string_equal(find(p, "GET", (struct slice){slashes, sizeof(slashes)}), "none() 0");
    policy_unload(&p);
}

static void without_routes_nothing_is_found(void **state)
{
    const struct policy *p = load_good(LISTEN);
    assert_string_equal(find(p, "GET", SLICE("/")), "none() 0");
    policy_unload(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_literal_route_wins),
        cmocka_unit_test(literals_are_compared_decoded_and_values_kept),
        cmocka_unit_test(deep_paths_are_not_found),
        cmocka_unit_test(without_routes_nothing_is_found),
    };
    return run_group("route", tests, array_len(tests));
}
