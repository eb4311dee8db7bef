/* SPDX-License-Identifier: BSD-3-Clause */
/* template: every way in which a key fits, each once; bounded; never less than what a row renders
 * to. */
#include "policy_test.h"

/* What was reported for the last key, as "template(value,value) ..." in the order reported. */
static char seen[65536];
static uint32_t seen_count;

static void see(void *arg, const struct policy_template *t, const struct slice *values)
{
    const struct policy_template *only = arg;
    if (only != NULL && t != only) {
        return;
    }
    size_t len = strlen(seen);
    size_t room = sizeof(seen) - len;
    int n = snprintf(seen + len, room, "%s%s(", len > 0 ? " " : "", only != NULL ? "" : t->text);
    for (uint32_t i = 0; i < t->column_count; i++) {
        const char *comma = i > 0 ? "," : "";
        n += values == NULL ? snprintf(seen + len + n, room - (size_t)n, "%s?", comma)
                            : snprintf(seen + len + n, room - (size_t)n, "%s%.*s", comma,
                                       (int)values[i].len, values[i].ptr);
    }
    (void)snprintf(seen + len + n, room - (size_t)n, ")");
    seen_count++;
}

static void match(const struct policy *p, struct slice key, const struct policy_template *only)
{
    seen[0] = '\0';
    seen_count = 0;
    policy_match_key(p, key, see, (void *)(uintptr_t)only);
}

/* A policy with these templates, split at blanks, of the table "t". */
static const struct policy *with_templates(const char *templates)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, FOLLOWED "invalidate:\n  t:\n");
    for (const char *at = templates; *at != '\0';) {
        size_t len = strcspn(at, " ");
        buf_printf(&text, "    - \"%.*s\"\n", (int)len, at);
        at += len + (at[len] == ' ' ? 1 : 0);
    }
    const struct policy *p = load_slice(buf_readable(&text));
    buf_fini(&text);
    assert_non_null(p);
    return p;
}

static void keys_give_the_values_of_their_placeholders(void **state)
{
    static const struct {
        const char *template;
        const char *key;
        const char *seen;
    } rows[] = {
        {"product_{id}", "product_7", "(7)"},
        {"product_{id}", "product_", "()"}, /* an empty text column renders to this */
        {"product_{id}", "product", ""},
        {"product_{id}", "roduct_7", ""},
        {"product_{id}", "Product_7", ""},
        {"product_{id}", "product_a_b", "(a_b)"},
        {"product_{id}:name", "product_7:name", "(7)"},
        {"product_{id}:name", "product_7:nam", ""},
        {"product_{id}:name", "product_7:name:name", "(7:name)"},
        {"product_{id}:name", "product:name", ""},
        {"{id}", "", "()"},
        {"{id}", "x", "(x)"},
        {"{id}.x", "a.x.x", "(a.x)"},
        {"all", "all", "()"},
        {"all", "al", ""},
        {"all", "alll", ""},
        {"product_list_*", "product_list_1_2", "()"},
        {"product_list_*", "product_list_", "()"},
        {"product_list_*", "product_list", ""},
        {"*", "", "()"},
        {"*", "anything", "()"},
        {"*_x", "_x", "()"},
        {"*_x", "a_x_x", "()"},
        {"*_x", "a_x_", ""},
        {"a*b*c", "abc", "()"},
        {"a*b*c", "a__b__bc", "()"},
        {"a*b*c", "acb", ""},
        {"a*bc*bc", "abcbc", "()"},
        {"a*bc*bc", "abc", ""},
        {"a**b", "axb", "()"},
        {"sales_{b}_*", "sales_7_x", "(7)"},
        {"sales_{b}_*", "sales_7_x_y", "(7) (7_x)"},
        {"sales_{b}_*", "sales_7", ""},
        {"*_{id}", "a_b_7", "(b_7) (7)"},
        {"{a}_{b}", "1_2", "(1,2)"},
        {"{a}_{b}", "1_2_3", "(1,2_3) (1_2,3)"},
        {"{a}_{b}", "12", ""},
        {"{a}-{a}", "7-7", "(7)"},
        {"{a}-{a}", "7-8", ""},
        {"{a}-{a}", "1-1-1-1", "(1-1)"},
        {"{a}-{b}-{a}", "1-2-1", "(1,2)"},
        {"{a}-{b}-{a}", "1-2-2", ""},
        {"{a}-{a}*", "ab-abc", "(ab)"},
        {"*{a}*", "xy", "() (x) (xy) (y)"},
        {"{a}{b}", "xy", "(,xy) (x,y) (xy,)"},
        {"{a}{a}", "xyxy", "(xy)"},
        {"{a}*_*_x", "1_2_3_x", "() (1) (1_) (1_2)"},
        {"stock:{p}:{w}:qty", "stock:1:2:qty", "(1,2)"},
        {"k_{a}_m*_{b}", "k_1_mx_y_2", "(1,y_2) (1,2)"},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        const struct policy *p = with_templates(rows[i].template);
        match(p, slice_of(rows[i].key), &p->templates[0]);
        if (strcmp(seen, rows[i].seen) != 0) {
            fail_msg("%s on %s: %s, not %s", rows[i].template, rows[i].key, seen, rows[i].seen);
        }
        policy_unload(&p);
    }
}

static void all_templates_of_a_policy_are_tried(void **state)
{
    const struct policy *p = with_templates(
        "product_{id} product_list_* sales_{b}_* *_report {x}_7 plain \xc3\xa9_{id}");
    match(p, SLICE("product_list_1"), NULL);
    assert_string_equal(seen, "product_{id}(list_1) product_list_*()");
    match(p, SLICE("product_7"), NULL);
    assert_string_equal(seen, "{x}_7(product) product_{id}(7)");
    match(p, SLICE("sales_1_report"), NULL);
    assert_string_equal(seen, "*_report() sales_{b}_*(1)");
    match(p, SLICE("plain"), NULL);
    assert_string_equal(seen, "plain()");
    match(p, SLICE("\xc3\xa9_3"), NULL);
    assert_string_equal(seen, "\xc3\xa9_{id}(3)");
    match(p, SLICE("queue:default"), NULL);
    assert_string_equal(seen, "");
    match(p, (struct slice){0}, NULL);
    assert_string_equal(seen, "");
    policy_unload(&p);
}

static void keys_are_bytes(void **state)
{
    const struct policy *p = with_templates("product_{id} a*b");
    match(p, SLICE("product_\0\xff"), NULL);
    assert_int_equal(seen_count, 1);
    match(p, SLICE("a\0b"), NULL);
    assert_string_equal(seen, "a*b()");
    policy_unload(&p);
}

static void too_many_ways_are_one_report_without_values(void **state)
{
    const struct policy *p = with_templates("{a}_*");
    char key[200];
    memset(key, '_', sizeof(key));
    match(p, (struct slice){key, POLICY_SPLITS_MAX}, &p->templates[0]);
    assert_int_equal(seen_count, POLICY_SPLITS_MAX);
    assert_null(strchr(seen, '?'));
    match(p, (struct slice){key, POLICY_SPLITS_MAX + 1}, &p->templates[0]);
    assert_string_equal(seen, "(?)");
    policy_unload(&p);
}

static void no_key_takes_forever(void **state)
{
    const struct policy *p =
        with_templates("k*{a}*{b}*{c}*{d}*{e}*{f}*{g}*{h}*z k{a}{a}*{a}*y *.{a}");
    char key[70000];
    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = 'y';
    match(p, (struct slice){key, 1000}, NULL); /* neither end fits: rejected at once */
    assert_string_equal(seen, "");
    key[999] = 'z';
    match(p, (struct slice){key, 1000}, &p->templates[0]);
    assert_string_equal(seen, "(?,?,?,?,?,?,?,?)");
    match(p, (struct slice){key, sizeof(key)}, &p->templates[1]);
    assert_string_equal(seen, "(?)");
    match(p, (struct slice){key, sizeof(key)}, &p->templates[2]);
    assert_string_equal(seen, "(?)"); /* too long to be split: taken to match */
    policy_unload(&p);
}

static void a_search_without_end_is_cut_short(void **state)
{
    const struct policy *p = with_templates("k{a}x{b}x{c}x{d}x{e}zz*y");
    char key[1000];
    memset(key, 'x', sizeof(key));
    key[0] = 'k';
    key[sizeof(key) - 1] = 'y';
    match(p, (struct slice){key, sizeof(key)}, NULL); /* does not fit, after 10^11 tries */
    assert_string_equal(seen, "k{a}x{b}x{c}x{d}x{e}zz*y(?,?,?,?,?)");
    policy_unload(&p);
}

static void long_keys_without_placeholders_are_exact(void **state)
{
    const struct policy *p = with_templates("k*m*z");
    char key[70000];
    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = 'z';
    match(p, (struct slice){key, sizeof(key)}, NULL);
    assert_string_equal(seen, "");
    key[40000] = 'm';
    match(p, (struct slice){key, sizeof(key)}, NULL);
    assert_string_equal(seen, "k*m*z()");
    policy_unload(&p);
}

/* --- against a model -------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t random_below(uint32_t limit)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % limit;
}

/* Distinct values of {a} and {b} with which `t` can be read as `key`, by trying everything. */
struct model {
    const char *key;
    const char *a;
    const char *b;
    char lines[65536];
};

static void model_walk(struct model *m, const char *t, const char *key, struct slice a,
                       struct slice b)
{
    if (*t == '\0') {
        char line[64];
        (void)snprintf(line, sizeof(line), "(%.*s,%.*s)\n", (int)a.len, a.ptr, (int)b.len, b.ptr);
        if (*key == '\0' && strstr(m->lines, line) == NULL) {
            strcat(m->lines, line);
        }
        return;
    }
    if (*t != '{' && *t != '*') {
        if (*key == *t) {
            model_walk(m, t + 1, key + 1, a, b);
        }
        return;
    }
    const char *rest = *t == '*' ? t + 1 : t + 3;
    struct slice *bound = *t == '*' ? NULL : t[1] == 'a' ? &a : &b;
    bool is_bound = bound != NULL && bound->ptr != NULL;
    for (size_t len = 0; len <= strlen(key); len++) {
        struct slice value = {key, len};
        if (is_bound && !slice_eq(*bound, value)) {
            continue;
        }
        if (bound != NULL && !is_bound) {
            *bound = value;
        }
        model_walk(m, rest, key + len, a, b);
        if (bound != NULL && !is_bound) {
            *bound = (struct slice){0};
        }
    }
}

struct tally {
    struct model *m;
    uint32_t missing;
    bool unknown;
};

static void tally_see(void *arg, const struct policy_template *t, const struct slice *v)
{
    struct tally *y = arg;
    if (v == NULL) {
        y->unknown = true;
        return;
    }
    /* columns are in order of first appearance */
    struct slice a = {0};
    struct slice b = {0};
    for (uint32_t i = 0; i < t->column_count; i++) {
        *(t->columns[i][0] == 'a' ? &a : &b) = v[i];
    }
    char line[64];
    (void)snprintf(line, sizeof(line), "(%.*s,%.*s)\n", (int)a.len, a.ptr, (int)b.len, b.ptr);
    char *at = strstr(y->m->lines, line);
    if (at == NULL) {
        y->missing++; /* reported twice, or no way at all */
        return;
    }
    at[0] = '-'; /* seen */
}

static void matching_agrees_with_trying_everything(void **state)
{
    static const char *const parts[] = {"{a}", "{b}", "*", "x", "_", "x_"};
    static struct model m;
    for (uint32_t round = 0; round < 4000; round++) {
        seed = round + 1;
        char text[64] = "";
        char key[16] = "";
        for (uint32_t i = 1 + random_below(6); i > 0; i--) {
            strcat(text, parts[random_below(array_len(parts))]);
        }
        for (uint32_t i = random_below(9); i > 0; i--) {
            strcat(key, random_below(2) == 0 ? "x" : "_");
        }
        const struct policy *p = with_templates(text);
        m.lines[0] = '\0';
        model_walk(&m, text, key, (struct slice){0}, (struct slice){0});
        bool fits = m.lines[0] != '\0';
        struct tally y = {.m = &m};
        policy_match_key(p, slice_of(key), tally_see, &y);
        bool all_seen = strchr(m.lines, '(') == NULL;
        if (y.missing > 0 || (!all_seen && !y.unknown) || (y.unknown && !fits && strlen(key) < 3)) {
            fail_msg("seed %u: %s on %s: missing %u, left %s", round + 1, text, key, y.missing,
                     m.lines);
        }
        policy_unload(&p);
    }
}

/* --- identity
 * ------------------------------------------------------------------------------------- */

static void renderings_are_told_apart(void **state)
{
    const char *text = FOLLOWED "invalidate:\n"
                                "  t: [\"{a}_{b}\", \"x{a}_{b}\"]\n"
                                "  s.t: [\"{a}_{b}\"]\n"
                                "  u: [\"{a}_{b}\"]\n";
    const struct policy *p = load_good(text);
    const struct policy *again = load_good(text);
    const struct slice values[] = {SLICE("1"), SLICE("22")};
    const struct slice moved[] = {SLICE("12"), SLICE("2")};
    const struct slice swapped[] = {SLICE("22"), SLICE("1")};
    uint64_t h = policy_template_hash(&p->templates[0], values);
    assert_int_equal(h, policy_template_hash(&again->templates[0], values));
    assert_int_not_equal(h, policy_template_hash(&p->templates[0], moved));
    assert_int_not_equal(h, policy_template_hash(&p->templates[0], swapped));
    for (uint32_t i = 1; i < p->template_count; i++) {
        assert_int_not_equal(h, policy_template_hash(&p->templates[i], values));
    }
    policy_unload(&p);
    policy_unload(&again);
}

static void columns_are_listed_by_first_appearance(void **state)
{
    const struct policy *p = with_templates("{b}:{a}:{b}:{c}");
    const struct policy_template *t = &p->templates[0];
    assert_int_equal(t->column_count, 3);
    assert_string_equal(t->columns[0], "b");
    assert_string_equal(t->columns[1], "a");
    assert_string_equal(t->columns[2], "c");
    match(p, SLICE("1:2:1:3"), t);
    assert_string_equal(seen, "(1,2,3)");
    policy_unload(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_give_the_values_of_their_placeholders),
        cmocka_unit_test(all_templates_of_a_policy_are_tried),
        cmocka_unit_test(keys_are_bytes),
        cmocka_unit_test(too_many_ways_are_one_report_without_values),
        cmocka_unit_test(no_key_takes_forever),
        cmocka_unit_test(a_search_without_end_is_cut_short),
        cmocka_unit_test(long_keys_without_placeholders_are_exact),
        cmocka_unit_test(matching_agrees_with_trying_everything),
        cmocka_unit_test(renderings_are_told_apart),
        cmocka_unit_test(columns_are_listed_by_first_appearance),
    };
    return run_group("template", tests, array_len(tests));
}
