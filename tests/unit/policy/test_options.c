/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options: the table keeps its promises, and docs/reference/policy.md and conf/full.yaml show all
 * of it.
 *
 * The reference's tables are made here. FRESHET_WRITE_DOCS=1 writes them into the file instead of
 * comparing.
 */
#include "policy_test.h"

#include "policy/text.h"
#include "policy/values.h"

static struct arena arena;

static int setup(void **state)
{
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    arena_fini(&arena);
    return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

static uint64_t most_in(size_t width)
{
    return width == sizeof(uint64_t) ? UINT64_MAX : (1ULL << width * 8) - 1;
}

static void every_default_is_a_valid_value(void **state)
{
    for (size_t i = 0; i < policy_option_count; i++) {
        const struct policy_option *o = &policy_options[i];
        uint64_t value;
        const char *why = "";
        if (!policy_option_has_preset(o) || o->kind == POLICY_KIND_STRING) {
            continue;
        }
        if (!policy_parse_value(&arena, o, o->preset, &value, &why)) {
            fail_msg("%s: default %s %s", o->key, o->preset, why);
        }
    }
}

static void every_range_fits_its_field(void **state)
{
    for (size_t i = 0; i < policy_option_count; i++) {
        const struct policy_option *o = &policy_options[i];
        bool is_number = o->kind == POLICY_KIND_DURATION || o->kind == POLICY_KIND_SIZE ||
                         o->kind == POLICY_KIND_COUNT;
        if (is_number && (o->highest > most_in(o->width) || o->lowest > o->highest)) {
            fail_msg("%s", o->key);
        }
        if (o->kind == POLICY_KIND_CHOICE && o->choices == NULL) {
            fail_msg("%s has no choices", o->key);
        }
        if (o->summary[0] == '\0') {
            fail_msg("%s has no summary", o->key);
        }
    }
}

static void keys_are_unique_in_their_scope(void **state)
{
    for (size_t i = 0; i < policy_option_count; i++) {
        const struct policy_option *o = &policy_options[i];
        assert_ptr_equal(policy_option_find(o->scope, o->key), o);
    }
}

static void the_nearest_key_is_the_one_meant(void **state)
{
    static const struct {
        enum policy_scope scope;
        const char *key;
        const char *nearest; /* NULL: none */
    } rows[] = {
        {POLICY_SCOPE_TOP, "memroy", "memory"},
        {POLICY_SCOPE_TOP, "route", "routes"},
        {POLICY_SCOPE_TOP, "databse", "database"},
        {POLICY_SCOPE_TOP, "lg", "log"},
        {POLICY_SCOPE_TOP, "logging", NULL},
        {POLICY_SCOPE_LISTEN, "redis", NULL},
        {POLICY_SCOPE_LISTEN, "htttp", "http"},
        {POLICY_SCOPE_LIMITS, "http_hed", "http_head"},
        {POLICY_SCOPE_LIMITS, "http_heads", "http_head"},
        {POLICY_SCOPE_LIMITS, "http_headtime", "http_head_time"},
        {POLICY_SCOPE_ROUTE, "Match", "match"},
        {POLICY_SCOPE_ROUTE, "warmer", NULL}, /* `warm` is not in this version */
        {POLICY_SCOPE_SPACE, "d", "db"},
        {POLICY_SCOPE_SPACE, "", NULL},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        const struct policy_option *o = policy_option_nearest(rows[i].scope, rows[i].key);
        const char *nearest = o != NULL ? o->key : "(none)";
        if (strcmp(nearest, rows[i].nearest != NULL ? rows[i].nearest : "(none)") != 0) {
            fail_msg("%s: %s", rows[i].key, nearest);
        }
    }
}

/* --- what people read ------------------------------------------------------------------------- */

static struct slice read_source(const char *file)
{
    struct slice text;
    const char *why = "";
    const char *path = arena_printf(&arena, SOURCE_ROOT "/%s", file);
    if (!policy_text_read(&arena, path, 1 << 20, &text, &why)) {
        fail_msg("%s %s", path, why);
    }
    return text;
}

static void the_full_example_shows_every_option(void **state)
{
    const char *text = read_source("conf/full.yaml").ptr;
    for (size_t i = 0; i < policy_option_count; i++) {
        const struct policy_option *o = &policy_options[i];
        const char *key = arena_printf(&arena, "%s:", o->key);
        if (o->kind != POLICY_KIND_LATER && strstr(text, key) == NULL) {
            fail_msg("conf/full.yaml does not show `%s`", o->key);
        }
    }
}

static const char *in_code(const char *choices)
{
    struct buf b;
    buf_init(&b);
    for (const char *at = choices; *at != '\0';) {
        size_t len = strcspn(at, "|");
        buf_printf(&b, "%s`%.*s`", at > choices ? ", " : "", (int)len, at);
        at += len + (at[len] == '|' ? 1 : 0);
    }
    const char *copy = arena_dup_slice(&arena, buf_readable(&b));
    buf_fini(&b);
    return copy;
}

static const char *describe_kind(const struct policy_option *o)
{
    if (o->choices != NULL) {
        return in_code(o->choices);
    }
    switch (o->kind) {
    case POLICY_KIND_DURATION:
        return arena_printf(&arena, "duration, %s to %s", policy_format_duration(&arena, o->lowest),
                            policy_format_duration(&arena, o->highest));
    case POLICY_KIND_SIZE:
        return arena_printf(&arena, "size, %s to %s", policy_format_size(&arena, o->lowest),
                            policy_format_size(&arena, o->highest));
    case POLICY_KIND_COUNT:
        return arena_printf(&arena, "number, %llu to %llu", (unsigned long long)o->lowest,
                            (unsigned long long)o->highest);
    case POLICY_KIND_STRING:
        return "text";
    case POLICY_KIND_CHOICE:
    case POLICY_KIND_TREE:
    case POLICY_KIND_LATER:
        return "";
    }
    unreachable();
}

/* "(prose)" as prose, a value as code. */
static const char *describe_preset(const struct policy_option *o)
{
    size_t len = strlen(o->preset);
    if (o->preset[0] == '(') {
        return arena_dup_slice(&arena, (struct slice){o->preset + 1, len - 2});
    }
    return arena_printf(&arena, "`%s`", o->preset);
}

static void append_scope(struct buf *out, enum policy_scope scope)
{
    const char *path = policy_scope_path(scope);
    buf_printf(out,
               "\n### %s%s%s\n\n%s\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
               path[0] != '\0' ? "`" : "", path[0] != '\0' ? path : "Top",
               path[0] != '\0' ? "`" : "", policy_scope_summary(scope));
    const char *later = "";
    for (size_t i = 0; i < policy_option_count; i++) {
        const struct policy_option *o = &policy_options[i];
        if (o->scope != scope) {
            continue;
        }
        if (o->kind == POLICY_KIND_LATER) {
            later = arena_printf(&arena, "%s%s`%s`", later, later[0] != '\0' ? ", " : "", o->key);
            continue;
        }
        buf_printf(out, "| `%s` | %s | %s | %s |\n", o->key, describe_kind(o), describe_preset(o),
                   o->summary);
    }
    if (later[0] != '\0') {
        buf_printf(out, "\nNot in this version yet: %s.\n", later);
    }
}

static void write_source(const char *file, struct slice text)
{
    FILE *f = fopen(arena_printf(&arena, SOURCE_ROOT "/%s", file), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.ptr, 1, text.len, f), text.len);
    assert_int_equal(fclose(f), 0);
}

static void the_reference_is_what_the_table_says(void **state)
{
    static const char file[] = "docs/reference/policy.md";
    struct slice old = read_source(file);
    const char *begin = strstr(old.ptr, "<!-- options:");
    const char *end = strstr(old.ptr, "<!-- end of options -->");
    assert_non_null(begin);
    assert_non_null(end);
    begin = strchr(begin, '\n') + 1;

    struct buf now;
    buf_init(&now);
    buf_append(&now, old.ptr, (size_t)(begin - old.ptr));
    for (size_t scope = 0; scope < policy_scope_count(); scope++) {
        append_scope(&now, (enum policy_scope)scope);
    }
    buf_printf(&now, "\n%s", end);
    if (getenv("FRESHET_WRITE_DOCS") != NULL) {
        write_source(file, buf_readable(&now));
    } else if (!slice_eq(buf_readable(&now), old)) {
        fail_msg("%s is not what options.def says; run this test with FRESHET_WRITE_DOCS=1", file);
    }
    buf_fini(&now);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_a_valid_value),
        cmocka_unit_test(every_range_fits_its_field),
        cmocka_unit_test(keys_are_unique_in_their_scope),
        cmocka_unit_test(the_nearest_key_is_the_one_meant),
        cmocka_unit_test(the_full_example_shows_every_option),
        cmocka_unit_test(the_reference_is_what_the_table_says),
    };
    return cmocka_run_group_tests_name("options", tests, setup, teardown);
}
