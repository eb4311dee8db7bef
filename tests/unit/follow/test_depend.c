/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a transaction marks, from events and a catalog made by hand. Each case says which of the
 * marks it names are raised and which are not; the kinds of tuples that PostgreSQL sends are all
 * here.
 *
 *   thing    id int, v text, n int     replica identity: primary key
 *   slugged  id int, slug text         replica identity: unique index on slug
 *   full     id int, v text            replica identity: full
 *   leaf     id int, v text            partition of root; identity primary key
 */
#include "base/hash.h"
#include "follow/catalog.h"
#include "follow/depend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { THING = 20001, SLUGGED, FULL, LEAF, ROOT, TABLES = 5 };
enum { BY_ID, BY_V, BY_N, EVERY, OF_ROOT, TEMPLATES };

#define COLUMN(n, num, type, ident)                                                                \
    {                                                                                              \
        .name = (n), .attnum = (num), .type_oid = (type),                                          \
        .kind = (type) == 23 ? FOLLOW_KIND_INTEGER : FOLLOW_KIND_TEXT, .identity = (ident),        \
        .streamed = true                                                                           \
    }

static const struct follow_column thing_columns[] = {
    COLUMN("id", 1, 23, true), COLUMN("v", 2, 25, false), COLUMN("n", 3, 23, false)};
static const struct follow_column slugged_columns[] = {COLUMN("id", 1, 23, false),
                                                       COLUMN("slug", 2, 25, true)};
static const struct follow_column full_columns[] = {COLUMN("id", 1, 23, true),
                                                    COLUMN("v", 2, 25, true)};
static const struct follow_column leaf_columns[] = {COLUMN("id", 1, 23, true),
                                                    COLUMN("v", 2, 25, false)};
/* The root has its columns the other way round, and numbered otherwise. */
static const struct follow_column root_columns[] = {COLUMN("v", 5, 25, false),
                                                    COLUMN("id", 7, 23, true)};
static const uint16_t first_key[] = {0};
static const uint16_t second_key[] = {1};
static const uint32_t leaf_ancestors[] = {ROOT};

#define TABLE(o, label, ident, cols, k)                                                            \
    {                                                                                              \
        .oid = (o), .schema = "public", .name = (label), .relkind = 'r', .persistence = 'p',       \
        .identity = (ident), .published = true, .columns = (cols),                                 \
        .column_count = array_len(cols), .key = (k), .key_count = 1                                \
    }

static struct follow_table tables[TABLES] = {
    TABLE(THING, "thing", 'd', thing_columns, first_key),
    TABLE(SLUGGED, "slugged", 'i', slugged_columns, first_key),
    TABLE(FULL, "full", 'f', full_columns, first_key),
    TABLE(LEAF, "leaf", 'd', leaf_columns, first_key),
    TABLE(ROOT, "root", 'd', root_columns, second_key),
};

/* In this order, so that the enum above is their index. */
static const char policy_text[] = "listen: { resp: \"127.0.0.1:0\" }\n"
                                  "database: { dsn: \"dbname=none\" }\n"
                                  "memory: 64MB\n"
                                  "invalidate:\n"
                                  "  thing: [\"thing_{id}\", \"v_{v}\", \"n_{n}\", \"all_*\"]\n"
                                  "  root: [\"root_{id}\"]\n";

static struct follow_template templates[TEMPLATES] = {
    {.table = &tables[0], .followed = true, .kinds = {FOLLOW_KIND_INTEGER}},
    {.table = &tables[0], .followed = true, .kinds = {FOLLOW_KIND_TEXT}},
    {.table = &tables[0], .followed = true, .kinds = {FOLLOW_KIND_INTEGER}},
    {.table = &tables[0], .followed = true},
    {.table = &tables[4], .followed = true, .kinds = {FOLLOW_KIND_INTEGER}},
};
static const struct follow_value_column value_columns[] = {{FULL, 2}, {ROOT, 5}};
static const struct policy *policy;

static struct fresh *fresh;
static struct depend *depend;

/* --- events ------------------------------------------------------------------------------------- */

static struct decode_value text_value(const char *text)
{
    if (text == NULL) {
        return (struct decode_value){.kind = DECODE_NULL};
    }
    if (strcmp(text, "<unchanged>") == 0) {
        return (struct decode_value){.kind = DECODE_UNCHANGED};
    }
    return (struct decode_value){.kind = DECODE_TEXT, .text = slice_of(text)};
}

struct cells {
    const char *at[3];
};
#define ROW(...) (&(struct cells){{__VA_ARGS__}})

static struct decode_tuple tuple(const struct cells *cells, uint32_t count,
                                 struct decode_value *room)
{
    for (uint32_t i = 0; cells != NULL && i < count; i++) {
        room[i] = text_value(cells->at[i]);
    }
    return (struct decode_tuple){cells != NULL ? count : 0, cells != NULL ? room : NULL};
}

static void describe(uint32_t oid)
{
    const struct follow_table *t = &tables[oid - THING];
    struct decode_column columns[3];
    for (uint32_t i = 0; i < t->column_count; i++) {
        columns[i] = (struct decode_column){slice_of(t->columns[i].name), t->columns[i].type_oid,
                                            t->columns[i].identity};
    }
    depend_relation(depend, &(struct decode_relation){.oid = oid,
                                                      .schema = SLICE("public"),
                                                      .name = slice_of(t->name),
                                                      .identity = t->identity,
                                                      .column_count = t->column_count,
                                                      .columns = columns});
}

static bool change(enum decode_kind kind, uint32_t oid, enum decode_old old_kind,
                   const struct cells *old_row, const struct cells *new_row)
{
    struct decode_value room[2][3];
    uint32_t count = tables[oid - THING].column_count;
    struct decode_row row = {.relation = oid, .old_kind = old_kind};
    row.old_row = tuple(old_row, count, room[0]);
    row.new_row = tuple(new_row, count, room[1]);
    return depend_row(depend, kind, &row);
}

static void insert(uint32_t oid, const struct cells *new_row)
{
    assert_true(change(DECODE_INSERT, oid, DECODE_OLD_NONE, NULL, new_row));
}

static void update(uint32_t oid, const struct cells *new_row)
{
    assert_true(change(DECODE_UPDATE, oid, DECODE_OLD_NONE, NULL, new_row));
}

/* --- marks -------------------------------------------------------------------------------------- */

static bool marked(fresh_dep dep)
{
    uint32_t count = 0;
    const fresh_dep *deps = depend_deps(depend, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (deps[i] == dep) {
            return true;
        }
    }
    return false;
}

static bool row_marked(uint32_t oid, const char *id)
{
    struct slice value = slice_of(id);
    return marked(fresh_dep_hash(fresh, follow_row_hash(oid, &value, 1)));
}

static bool value_marked(uint32_t oid, int16_t attnum, const char *value)
{
    return marked(fresh_dep_hash(fresh, follow_value_hash(oid, attnum, slice_of(value))));
}

static bool key_marked(uint32_t t, const char *value)
{
    struct slice s = slice_of(value);
    return marked(fresh_dep_hash(fresh, policy_template_hash(&policy->templates[t], &s)));
}

static bool any_marked(uint32_t oid)
{
    return marked(fresh_dep_any(fresh, tables[oid - THING].wide));
}

static bool all_marked(uint32_t oid)
{
    return marked(fresh_dep_all(fresh, tables[oid - THING].wide));
}

static bool template_any(uint32_t t)
{
    return marked(fresh_dep_any(fresh, templates[t].wide));
}

static bool template_all(uint32_t t)
{
    return marked(fresh_dep_all(fresh, templates[t].wide));
}

static uint32_t mark_count(void)
{
    uint32_t count = 0;
    (void)depend_deps(depend, &count);
    return count;
}

/* --- setting up --------------------------------------------------------------------------------- */

static void make(bool break_row_all)
{
    struct catalog *c = catalog_create(policy);
    c->pub.tables = tables;
    c->pub.table_count = TABLES;
    c->pub.templates = templates;
    c->pub.template_count = TEMPLATES;
    depend = depend_create(fresh, break_row_all);
    depend_install(depend, &c->pub, value_columns, array_len(value_columns));
    follow_catalog_unref(&c->pub);
    depend_begin(depend);
    for (uint32_t oid = THING; oid < THING + TABLES; oid++) {
        describe(oid);
    }
    assert_int_equal(mark_count(), 0);
    assert_false(depend_outdated(depend));
}

static int set_up(void **state)
{
    fresh = fresh_create(&(struct fresh_options){.slots = 1 << 20, .max_stale_ms = 500});
    tables[LEAF - THING].ancestors = leaf_ancestors;
    tables[LEAF - THING].ancestor_count = 1;
    for (uint32_t i = 0; i < TABLES; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t:%u", tables[i].oid);
        tables[i].wide = fresh_register(fresh, slice_of(name));
    }
    for (uint32_t i = 0; i < TEMPLATES; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "k:%u", i);
        templates[i].wide = fresh_register(fresh, slice_of(name));
    }
    make(false);
    return 0;
}

static int tear_down(void **state)
{
    depend_destroy(&depend);
    fresh_destroy(&fresh);
    return 0;
}

/* --- the cases ---------------------------------------------------------------------------------- */

static void an_insert_names_the_new_row(void **state)
{
    insert(THING, ROW("1", "a", "5"));
    assert_true(any_marked(THING));
    assert_true(row_marked(THING, "1"));
    assert_true(key_marked(BY_ID, "1"));
    assert_true(key_marked(BY_V, "a"));
    assert_true(key_marked(BY_N, "5"));
    assert_true(template_any(EVERY));
    assert_true(template_any(BY_ID));
    assert_false(all_marked(THING));
    assert_false(template_all(BY_ID));
    assert_false(template_all(EVERY));
    assert_false(any_marked(FULL));
    assert_int_equal(depend_row_count(depend), 1);
}

static void an_update_without_an_old_tuple_kept_its_identity(void **state)
{
    update(THING, ROW("1", "a", "5"));
    assert_true(row_marked(THING, "1"));
    assert_true(key_marked(BY_ID, "1"));
    assert_false(all_marked(THING));
    assert_false(template_all(BY_ID));
    /* The old v and n are nowhere. */
    assert_true(key_marked(BY_V, "a"));
    assert_true(template_all(BY_V));
    assert_true(template_all(BY_N));
}

static void an_old_key_tells_only_the_identity(void **state)
{
    assert_true(
        change(DECODE_UPDATE, THING, DECODE_OLD_KEY, ROW("1", NULL, NULL), ROW("2", "a", "5")));
    assert_true(row_marked(THING, "1"));
    assert_true(row_marked(THING, "2"));
    assert_true(key_marked(BY_ID, "1"));
    assert_false(all_marked(THING));
    assert_true(template_all(BY_V)); /* the NULL is not the old value */
}

static void a_delete_by_key(void **state)
{
    assert_true(change(DECODE_DELETE, THING, DECODE_OLD_KEY, ROW("3", NULL, NULL), NULL));
    assert_true(row_marked(THING, "3"));
    assert_true(key_marked(BY_ID, "3"));
    assert_true(template_all(BY_V));
    assert_false(template_all(BY_ID));
    assert_false(all_marked(THING));
}

static void a_full_old_row_tells_everything(void **state)
{
    assert_true(change(DECODE_UPDATE, FULL, DECODE_OLD_FULL, ROW("1", "red"), ROW("1", "blue")));
    assert_true(value_marked(FULL, 2, "red"));
    assert_true(value_marked(FULL, 2, "blue"));
    assert_true(row_marked(FULL, "1"));
    assert_false(all_marked(FULL));
}

static void an_unchanged_toast_value_is_found_in_the_full_old_row(void **state)
{
    assert_true(
        change(DECODE_UPDATE, FULL, DECODE_OLD_FULL, ROW("1", "long"), ROW("1", "<unchanged>")));
    assert_true(value_marked(FULL, 2, "long"));
    assert_false(all_marked(FULL));
}

static void an_unchanged_toast_value_is_unknown_elsewhere(void **state)
{
    insert(THING, ROW("1", "x", "5"));
    depend_begin(depend);
    update(THING, ROW("1", "<unchanged>", "5"));
    assert_true(template_all(BY_V));
    assert_false(template_all(BY_ID));
    assert_false(all_marked(THING));
}

static void an_identity_index_does_not_tell_the_primary_key(void **state)
{
    update(SLUGGED, ROW("1", "s")); /* id may have been something else */
    assert_true(row_marked(SLUGGED, "1"));
    assert_true(all_marked(SLUGGED));
    depend_begin(depend);
    assert_true(change(DECODE_DELETE, SLUGGED, DECODE_OLD_KEY, ROW(NULL, "s"), NULL));
    assert_true(all_marked(SLUGGED));
    depend_begin(depend);
    insert(SLUGGED, ROW("1", "s"));
    assert_true(row_marked(SLUGGED, "1"));
    assert_false(all_marked(SLUGGED));
}

static void a_null_is_known_but_text_may_have_words_for_it(void **state)
{
    insert(THING, ROW("1", "a", NULL));
    assert_false(template_all(BY_N)); /* keys that are no number hold `any` */
    assert_true(template_any(BY_N));
    depend_begin(depend);
    insert(THING, ROW("1", NULL, "5"));
    assert_true(template_all(BY_V)); /* "v_None" could be anything */
    depend_begin(depend);
    assert_true(change(DECODE_UPDATE, FULL, DECODE_OLD_FULL, ROW("1", NULL), ROW("1", "x")));
    assert_true(value_marked(FULL, 2, "x"));
    assert_false(all_marked(FULL));
}

static void a_leaf_marks_its_root_in_the_roots_terms(void **state)
{
    insert(LEAF, ROW("4", "w"));
    assert_true(row_marked(LEAF, "4"));
    assert_true(row_marked(ROOT, "4"));
    assert_true(value_marked(ROOT, 5, "w"));
    assert_true(key_marked(OF_ROOT, "4"));
    assert_true(any_marked(ROOT));
    assert_false(all_marked(ROOT));
    depend_begin(depend);
    update(LEAF, ROW("4", "w")); /* the old v is unknown: the root's value dependency with it */
    assert_true(all_marked(ROOT));
    assert_false(all_marked(LEAF));
}

static void truncate_marks_tables_and_templates(void **state)
{
    const uint32_t oids[] = {THING, LEAF};
    assert_true(depend_truncate(depend, &(struct decode_truncate){2, oids}));
    assert_true(any_marked(THING));
    assert_true(all_marked(THING));
    assert_true(template_all(BY_ID));
    assert_true(template_any(EVERY));
    assert_true(all_marked(LEAF));
    assert_true(all_marked(ROOT));
    assert_true(template_all(OF_ROOT));
    assert_false(any_marked(FULL));
}

static void a_flood_becomes_all_and_stops_growing(void **state)
{
    char id[16];
    for (int i = 0; i < DEPEND_FLOOD; i++) { /* a row and three keys each */
        (void)snprintf(id, sizeof(id), "%d", i);
        insert(THING, ROW(id, "v", "5"));
    }
    assert_true(all_marked(THING));
    assert_true(template_all(BY_ID));
    assert_true(template_all(BY_V));
    uint32_t after = mark_count();
    assert_in_range(after, DEPEND_FLOOD, DEPEND_FLOOD + 64);
    insert(THING, ROW("100000", "v", "5"));
    assert_int_equal(mark_count(), after);
    insert(FULL, ROW("1", "v")); /* other tables go on */
    assert_true(row_marked(FULL, "1"));
    assert_false(all_marked(FULL));
    assert_int_equal(depend_row_count(depend), DEPEND_FLOOD + 2);

    depend_begin(depend);
    insert(THING, ROW("1", "v", "5"));
    assert_false(all_marked(THING));
    assert_true(row_marked(THING, "1"));
}

static void as_many_as_allowed_are_no_flood(void **state)
{
    char id[16];
    for (int i = 0; i < DEPEND_FLOOD; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        insert(SLUGGED, ROW(id, "s"));
    }
    assert_false(all_marked(SLUGGED));
    insert(SLUGGED, ROW("5000", "s"));
    assert_true(all_marked(SLUGGED));
}

static void ddl_marks_what_it_names(void **state)
{
    depend_ddl(depend, SLICE("table 20001"));
    assert_true(all_marked(THING));
    assert_true(any_marked(THING));
    assert_true(template_all(BY_ID));
    assert_false(any_marked(FULL));
    assert_true(depend_outdated(depend));

    depend_begin(depend);
    assert_false(depend_outdated(depend));
    depend_ddl(depend, SLICE("table 20004")); /* the leaf: its root too */
    assert_true(all_marked(LEAF));
    assert_true(all_marked(ROOT));
    depend_begin(depend);
    depend_ddl(depend, SLICE("table 20005")); /* the root: its leaf too */
    assert_true(all_marked(LEAF));

    depend_begin(depend);
    depend_ddl(depend, SLICE("matview 20002")); /* refreshed: rows, not schema */
    assert_true(any_marked(SLUGGED));
    assert_true(all_marked(SLUGGED));
    assert_false(depend_outdated(depend));
    depend_begin(depend);
    depend_ddl(depend, SLICE("matview 99999")); /* one that the catalog does not know */
    assert_true(depend_outdated(depend));

    static const char *const everything[] = {
        "all", "", "table", "table x", "table 99999999999", "table 20001 "};
    for (size_t i = 0; i < array_len(everything); i++) {
        depend_begin(depend);
        depend_ddl(depend, slice_of(everything[i]));
        assert_true(all_marked(THING));
        assert_true(all_marked(FULL));
        assert_true(template_all(OF_ROOT));
        assert_true(depend_outdated(depend));
    }
}

static void a_stranger_marks_itself(void **state)
{
    struct decode_column column = {SLICE("id"), 23, true};
    depend_relation(depend, &(struct decode_relation){.oid = 30000,
                                                      .schema = SLICE("public"),
                                                      .name = SLICE("new"),
                                                      .identity = 'd',
                                                      .column_count = 1,
                                                      .columns = &column});
    fresh_wide wide = fresh_register(fresh, SLICE("t:30000"));
    assert_true(marked(fresh_dep_any(fresh, wide)));
    assert_true(marked(fresh_dep_all(fresh, wide)));
    assert_true(depend_outdated(depend));
}

static void describe_thing(const char *name, const char *column, uint32_t type, uint32_t count,
                           char identity)
{
    struct decode_column columns[] = {
        {SLICE("id"), 23, true}, {slice_of(column), type, false}, {SLICE("n"), 23, false}};
    depend_begin(depend);
    depend_relation(depend, &(struct decode_relation){.oid = THING,
                                                      .schema = SLICE("public"),
                                                      .name = slice_of(name),
                                                      .identity = identity,
                                                      .column_count = count,
                                                      .columns = columns});
}

static void a_table_that_changed_is_marked_as_a_whole(void **state)
{
    describe_thing("thing", "v", 25, 3, 'd');
    assert_false(depend_outdated(depend));
    static const struct {
        const char *name;
        const char *column;
        uint32_t type;
        uint32_t count;
        char identity;
    } cases[] = {
        {"renamed", "v", 25, 3, 'd'}, {"thing", "w", 25, 3, 'd'}, {"thing", "v", 1043, 3, 'd'},
        {"thing", "v", 25, 2, 'd'},   {"thing", "v", 25, 3, 'n'},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        describe_thing(cases[i].name, cases[i].column, cases[i].type, cases[i].count,
                       cases[i].identity);
        assert_true(depend_outdated(depend));
        assert_true(all_marked(THING));
        assert_true(template_all(BY_ID));
    }
    depend_begin(depend);
    insert(THING, ROW("1", "a", "5")); /* until the catalog knows: every row is everything */
    assert_true(all_marked(THING));
    assert_true(depend_outdated(depend));
}

static void rows_must_fit_their_relation(void **state)
{
    struct decode_value v[3] = {
        {.kind = DECODE_NULL}, {.kind = DECODE_NULL}, {.kind = DECODE_NULL}};
    struct decode_row row = {.relation = THING, .new_row = {2, v}};
    assert_false(depend_row(depend, DECODE_INSERT, &row));
    row = (struct decode_row){.relation = 31000, .new_row = {1, v}};
    assert_false(depend_row(depend, DECODE_INSERT, &row));
    row = (struct decode_row){.relation = THING, .old_kind = DECODE_OLD_KEY, .old_row = {1, v}};
    assert_false(depend_row(depend, DECODE_DELETE, &row));
    const uint32_t oid = 31000;
    assert_false(depend_truncate(depend, &(struct decode_truncate){1, &oid}));
    depend_reset(depend); /* a new connection describes again */
    row = (struct decode_row){.relation = THING, .new_row = {3, v}};
    assert_false(depend_row(depend, DECODE_INSERT, &row));
}

static void the_debug_break_leaves_all_out(void **state)
{
    depend_destroy(&depend);
    make(true);
    update(SLUGGED, ROW("1", "s"));
    assert_true(row_marked(SLUGGED, "1"));
    assert_false(all_marked(SLUGGED));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static int load_policy(void **state)
{
    char path[] = "/tmp/freshet-test-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, policy_text, sizeof(policy_text) - 1), sizeof(policy_text) - 1);
    (void)close(fd);
    struct buf complaints;
    buf_init(&complaints);
    policy = policy_load(path, &complaints);
    (void)unlink(path);
    buf_fini(&complaints);
    assert_non_null(policy);
    assert_int_equal(policy->template_count, TEMPLATES);
    assert_string_equal(policy->templates[BY_V].text, "v_{v}");
    assert_string_equal(policy->templates[OF_ROOT].text, "root_{id}");
    return 0;
}

static int unload_policy(void **state)
{
    policy_unload(&policy);
    return 0;
}

static void a_transaction_in_blocks_marks_when_it_commits(void **state)
{
    depend_block_begin(depend, 7);
    describe(THING);
    insert(THING, ROW("1", "a", "5"));
    depend_block_end(depend);
    assert_int_equal(mark_count(), 0); /* another one between its blocks */
    insert(THING, ROW("2", "b", "6"));
    assert_true(row_marked(THING, "2"));
    assert_false(row_marked(THING, "1"));
    depend_block_begin(depend, 7);
    insert(THING, ROW("3", "c", "7"));
    depend_block_end(depend);
    assert_true(depend_choose(depend, 7));
    assert_true(row_marked(THING, "1"));
    assert_true(row_marked(THING, "3"));
    assert_false(row_marked(THING, "2"));
    assert_true(any_marked(THING));
    assert_int_equal(depend_row_count(depend), 2);
    depend_forget(depend, 7);
    assert_int_equal(mark_count(), 0);
    assert_false(depend_choose(depend, 7));
}

static void an_aborted_transaction_in_blocks_marks_nothing(void **state)
{
    depend_block_begin(depend, 7);
    insert(THING, ROW("1", "a", "5"));
    depend_block_end(depend);
    depend_forget(depend, 7);
    assert_int_equal(mark_count(), 0);
    assert_false(depend_choose(depend, 7));
}

static void two_transactions_in_blocks_are_bounded_each(void **state)
{
    char id[16];
    for (uint32_t i = 0; i < 4 * DEPEND_FLOOD; i++) {
        (void)snprintf(id, sizeof(id), "%u", i);
        depend_block_begin(depend, 7 + i % 2);
        insert(THING, ROW(id, "a", "5"));
        depend_block_end(depend);
    }
    for (uint32_t xid = 7; xid <= 8; xid++) {
        assert_true(depend_choose(depend, xid));
        assert_true(all_marked(THING));
        assert_true(mark_count() < 2 * DEPEND_FLOOD);
        depend_forget(depend, xid);
    }
}

static void what_a_block_describes_holds_for_others_once_it_commits(void **state)
{
    depend_reset(depend);
    depend_block_begin(depend, 7);
    describe(THING);
    insert(THING, ROW("1", "a", "5"));
    depend_block_end(depend);
    assert_false(change(DECODE_INSERT, THING, DECODE_OLD_NONE, NULL, ROW("2", "b", "6")));
    assert_true(depend_choose(depend, 7));
    depend_forget(depend, 7);
    insert(THING, ROW("2", "b", "6"));
    assert_true(row_marked(THING, "2"));
}

static void a_catalog_between_blocks_marks_everything(void **state)
{
    depend_block_begin(depend, 7);
    insert(THING, ROW("1", "a", "5"));
    depend_block_end(depend);
    const struct follow_catalog *same = depend_catalog(depend);
    depend_install(depend, same, value_columns, array_len(value_columns));
    depend_block_begin(depend, 7);
    insert(THING, ROW("2", "a", "5"));
    depend_block_end(depend);
    assert_int_equal(mark_count(), 0);
    assert_true(depend_choose(depend, 7));
    for (uint32_t oid = THING; oid < THING + TABLES; oid++) {
        assert_true(any_marked(oid) && all_marked(oid));
    }
    depend_forget(depend, 7);
}

int main(void)
{
    hash_setup_seed(11);
    const struct CMUnitTest tests[] = {
        CASE(an_insert_names_the_new_row),
        CASE(an_update_without_an_old_tuple_kept_its_identity),
        CASE(an_old_key_tells_only_the_identity),
        CASE(a_delete_by_key),
        CASE(a_full_old_row_tells_everything),
        CASE(an_unchanged_toast_value_is_found_in_the_full_old_row),
        CASE(an_unchanged_toast_value_is_unknown_elsewhere),
        CASE(an_identity_index_does_not_tell_the_primary_key),
        CASE(a_null_is_known_but_text_may_have_words_for_it),
        CASE(a_leaf_marks_its_root_in_the_roots_terms),
        CASE(truncate_marks_tables_and_templates),
        CASE(a_flood_becomes_all_and_stops_growing),
        CASE(as_many_as_allowed_are_no_flood),
        CASE(ddl_marks_what_it_names),
        CASE(a_stranger_marks_itself),
        CASE(a_table_that_changed_is_marked_as_a_whole),
        CASE(rows_must_fit_their_relation),
        CASE(a_transaction_in_blocks_marks_when_it_commits),
        CASE(an_aborted_transaction_in_blocks_marks_nothing),
        CASE(two_transactions_in_blocks_are_bounded_each),
        CASE(what_a_block_describes_holds_for_others_once_it_commits),
        CASE(a_catalog_between_blocks_marks_everything),
        CASE(the_debug_break_leaves_all_out),
    };
    return cmocka_run_group_tests(tests, load_policy, unload_policy);
}
