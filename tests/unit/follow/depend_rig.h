/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A catalog made by hand, events for it, and questions about what they mark. Shared by the tests of depend.
 *
 *   thing    id int, v text, n int     replica identity: primary key
 *   slugged  id int, slug text         replica identity: unique index on slug
 *   full     id int, v text            replica identity: full
 *   leaf     id int, v text            partition of root; identity primary key
 */
#ifndef TESTS_FOLLOW_DEPEND_RIG_H
#define TESTS_FOLLOW_DEPEND_RIG_H

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

static inline struct decode_value text_value(const char *text)
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

static inline struct decode_tuple tuple(const struct cells *cells, uint32_t count,
                                        struct decode_value *room)
{
    for (uint32_t i = 0; cells != NULL && i < count; i++) {
        room[i] = text_value(cells->at[i]);
    }
    return (struct decode_tuple){cells != NULL ? count : 0, cells != NULL ? room : NULL};
}

static inline void describe(uint32_t oid)
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

static inline bool change(enum decode_kind kind, uint32_t oid, enum decode_old old_kind,
                          const struct cells *old_row, const struct cells *new_row)
{
    struct decode_value room[2][3];
    uint32_t count = tables[oid - THING].column_count;
    struct decode_row row = {.relation = oid, .old_kind = old_kind};
    row.old_row = tuple(old_row, count, room[0]);
    row.new_row = tuple(new_row, count, room[1]);
    return depend_row(depend, kind, &row);
}

static inline void insert(uint32_t oid, const struct cells *new_row)
{
    assert_true(change(DECODE_INSERT, oid, DECODE_OLD_NONE, NULL, new_row));
}

static inline void update(uint32_t oid, const struct cells *new_row)
{
    assert_true(change(DECODE_UPDATE, oid, DECODE_OLD_NONE, NULL, new_row));
}

/* --- marks -------------------------------------------------------------------------------------- */

static inline bool marked(fresh_dep dep)
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

static inline bool row_marked(uint32_t oid, const char *id)
{
    struct slice value = slice_of(id);
    return marked(fresh_dep_hash(fresh, follow_row_hash(oid, &value, 1)));
}

static inline bool value_marked(uint32_t oid, int16_t attnum, const char *value)
{
    return marked(fresh_dep_hash(fresh, follow_value_hash(oid, attnum, slice_of(value))));
}

static inline bool key_marked(uint32_t t, const char *value)
{
    struct slice s = slice_of(value);
    return marked(fresh_dep_hash(fresh, policy_template_hash(&policy->templates[t], &s)));
}

static inline bool any_marked(uint32_t oid)
{
    return marked(fresh_dep_any(fresh, tables[oid - THING].wide));
}

static inline bool all_marked(uint32_t oid)
{
    return marked(fresh_dep_all(fresh, tables[oid - THING].wide));
}

static inline bool template_any(uint32_t t)
{
    return marked(fresh_dep_any(fresh, templates[t].wide));
}

static inline bool template_all(uint32_t t)
{
    return marked(fresh_dep_all(fresh, templates[t].wide));
}

static inline uint32_t mark_count(void)
{
    uint32_t count = 0;
    (void)depend_deps(depend, &count);
    return count;
}

/* --- setting up --------------------------------------------------------------------------------- */

static inline void make(bool break_row_all)
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

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    depend_destroy(&depend);
    fresh_destroy(&fresh);
    return 0;
}

static inline int load_policy(void **state)
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

static inline int unload_policy(void **state)
{
    policy_unload(&policy);
    return 0;
}

#endif
