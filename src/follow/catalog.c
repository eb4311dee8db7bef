/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A catalog is what freshet knows of the database's schema at one version: immutable, shared by
 * reference count, freed as a whole with its arena. Reading it is catalog_load.c; what it means,
 * catalog_follow.c.
 *
 * Threads: any.
 */
#include "follow/catalog.h"

#include "base/alloc.h"

#include <stdlib.h>

struct catalog *catalog_create(const struct policy *p)
{
    struct catalog *c = xcalloc(1, sizeof(*c));
    atomic_init(&c->refs, 1);
    arena_init(&c->arena);
    c->pub.policy = policy_share(p);
    return c;
}

static struct catalog *catalog_of(const struct follow_catalog *c)
{
    /* Readers see it as const; whoever counts references does not. */
    return (struct catalog *)(uintptr_t)c;
}

void catalog_set_version(const struct follow_catalog *c, uint64_t version)
{
    catalog_of(c)->pub.version = version;
}

void follow_catalog_ref(const struct follow_catalog *c)
{
    (void)atomic_fetch_add_explicit(&catalog_of(c)->refs, 1, memory_order_relaxed);
}

void follow_catalog_unref(const struct follow_catalog *pub)
{
    if (pub == NULL) {
        return;
    }
    struct catalog *c = catalog_of(pub);
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        policy_unload(&c->pub.policy);
        arena_fini(&c->arena);
        free(c);
    }
}

const struct follow_table *follow_catalog_find(const struct follow_catalog *c, uint32_t oid)
{
    uint32_t low = 0;
    uint32_t high = c->table_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->tables[middle].oid < oid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < c->table_count && c->tables[low].oid == oid ? &c->tables[low] : NULL;
}

/* --- comparing ---------------------------------------------------------------------------------- */

static bool column_equal(const struct follow_column *a, const struct follow_column *b)
{
    return strcmp(a->name, b->name) == 0 && a->attnum == b->attnum && a->type_oid == b->type_oid &&
           a->kind == b->kind && a->collation_deterministic == b->collation_deterministic &&
           a->identity == b->identity && a->streamed == b->streamed;
}

bool catalog_table_equal(const struct follow_table *a, const struct follow_table *b)
{
    if (a->oid != b->oid || strcmp(a->schema, b->schema) != 0 || strcmp(a->name, b->name) != 0 ||
        a->relkind != b->relkind || a->persistence != b->persistence ||
        a->identity != b->identity || a->published != b->published || a->wide != b->wide ||
        a->column_count != b->column_count || a->key_count != b->key_count ||
        a->ancestor_count != b->ancestor_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->column_count; i++) {
        if (!column_equal(&a->columns[i], &b->columns[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->key_count; i++) {
        if (a->key[i] != b->key[i]) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->ancestor_count; i++) {
        if (a->ancestors[i] != b->ancestors[i]) {
            return false;
        }
    }
    return true;
}

bool catalog_template_equal(const struct follow_template *a, const struct follow_template *b)
{
    bool same_table = a->table == NULL || b->table == NULL ? a->table == b->table
                                                           : a->table->oid == b->table->oid;
    return same_table && a->followed == b->followed && a->wide == b->wide &&
           memcmp(a->kinds, b->kinds, sizeof(a->kinds)) == 0;
}

bool catalog_same_definitions(const struct follow_catalog *a, const struct follow_catalog *b)
{
    return strcmp(catalog_of(a)->definitions, catalog_of(b)->definitions) == 0;
}

bool catalog_equal(const struct follow_catalog *a, const struct follow_catalog *b)
{
    uint32_t templates = a->template_count;
    if (a->table_count != b->table_count || templates != b->template_count ||
        a->sees_ddl != b->sees_ddl || a->publication_exists != b->publication_exists ||
        strcmp(a->search_path, b->search_path) != 0 || !catalog_same_definitions(a, b)) {
        return false;
    }
    for (uint32_t i = 0; i < a->table_count; i++) {
        if (!catalog_table_equal(&a->tables[i], &b->tables[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < templates; i++) {
        if (!catalog_template_equal(&a->templates[i], &b->templates[i])) {
            return false;
        }
    }
    return true;
}
