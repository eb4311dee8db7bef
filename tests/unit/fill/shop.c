/* SPDX-License-Identifier: BSD-3-Clause */
/* Hand-filled from trees/schema.sql: columns in order, keys, partitions. */
#include "shop.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define INT(n, a)                                                                                  \
    {                                                                                              \
        .name = n, .attnum = a, .type_oid = 23, .kind = FOLLOW_KIND_INTEGER,                       \
        .collation_deterministic = true, .streamed = true                                          \
    }
#define TEXT(n, a)                                                                                 \
    {                                                                                              \
        .name = n, .attnum = a, .type_oid = 25, .kind = FOLLOW_KIND_TEXT,                          \
        .collation_deterministic = true, .streamed = true                                          \
    }
#define UUID(n, a)                                                                                 \
    {                                                                                              \
        .name = n, .attnum = a, .type_oid = 2950, .kind = FOLLOW_KIND_UUID,                        \
        .collation_deterministic = true, .streamed = true                                          \
    }
#define DATE(n, a)                                                                                 \
    {                                                                                              \
        .name = n, .attnum = a, .type_oid = 1082, .kind = FOLLOW_KIND_DATE,                        \
        .collation_deterministic = true, .streamed = true                                          \
    }

static const struct follow_column id_and_name[] = {INT("id", 1), TEXT("name", 2)};
static const struct follow_column product[] = {INT("id", 1), TEXT("name", 2), INT("category_id", 3),
                                               INT("price", 4), TEXT("code", 5)};
static const struct follow_column price[] = {INT("list_id", 1), INT("product_id", 2),
                                             INT("cents", 3)};
static const struct follow_column customer[] = {UUID("id", 1), TEXT("name", 2), DATE("since", 3),
                                                INT("business_id", 4)};
static const struct follow_column voucher[] = {TEXT("code", 1), INT("cents", 2)};
static const struct follow_column day_total[] = {DATE("day", 1), INT("cents", 2)};
static const struct follow_column sale[] = {INT("id", 1), UUID("customer_id", 3)};
static const struct follow_column note[] = {INT("id", 1), INT("product_id", 2), TEXT("body", 3)};
static const struct follow_column secret[] = {INT("id", 1), TEXT("owner", 2), TEXT("body", 3)};
static const uint16_t first_two[] = {0, 1};

static const struct {
    const char *name;
    char relkind;
    char persistence;
    const struct follow_column *columns;
    uint32_t column_count;
    uint32_t key_count;
    const char *parent;
} rows[] = {
    {"category", 'r', 'p', id_and_name, array_len(id_and_name), 1, NULL},
    {"product", 'r', 'p', product, array_len(product), 1, NULL},
    {"price", 'r', 'p', price, array_len(price), 2, NULL},
    {"customer", 'r', 'p', customer, array_len(customer), 1, NULL},
    {"voucher", 'r', 'p', voucher, array_len(voucher), 1, NULL},
    {"day_total", 'r', 'p', day_total, array_len(day_total), 1, NULL},
    {"sale", 'p', 'p', sale, array_len(sale), 0, NULL},
    {"sale_2026", 'r', 'p', sale, array_len(sale), 0, "sale"},
    {"note", 'r', 'p', note, array_len(note), 1, NULL},
    {"base_item", 'r', 'p', id_and_name, array_len(id_and_name), 1, NULL},
    {"special_item", 'r', 'p', id_and_name, array_len(id_and_name), 0, "base_item"},
    {"scratch", 'r', 'u', id_and_name, array_len(id_and_name), 1, NULL},
    {"product_full", 'v', 'p', NULL, 0, 0, NULL},
    {"recent_sale", 'v', 'p', NULL, 0, 0, NULL},
    {"best_seller", 'm', 'p', id_and_name, array_len(id_and_name), 0, NULL},
    {"secret", 'r', 'p', secret, array_len(secret), 1, NULL},
    {"membership", 'r', 'p', id_and_name, array_len(id_and_name), 1, NULL},
};

static int compare_tables(const void *a, const void *b)
{
    uint32_t left = ((const struct follow_table *)a)->oid;
    uint32_t right = ((const struct follow_table *)b)->oid;
    return left < right ? -1 : left > right;
}

void shop_init(struct shop *s, const struct trees *t, struct fresh *f)
{
    static uint32_t parents[array_len(rows)];
    *s = (struct shop){0};
    for (size_t i = 0; i < array_len(rows); i++) {
        struct follow_table *table = &s->tables[i];
        bool keeps_rows = rows[i].relkind == 'r' || rows[i].relkind == 'p';
        *table = (struct follow_table){
            .oid = trees_oid(t, rows[i].name),
            .schema = "public",
            .name = rows[i].name,
            .relkind = rows[i].relkind,
            .persistence = rows[i].persistence,
            .identity = rows[i].key_count > 0 ? 'd' : 'f',
            .published = keeps_rows && rows[i].persistence == 'p',
            .columns = rows[i].columns,
            .column_count = rows[i].column_count,
            .key = first_two,
            .key_count = rows[i].key_count,
        };
        if (rows[i].parent != NULL) {
            parents[i] = trees_oid(t, rows[i].parent);
            table->ancestors = &parents[i];
            table->ancestor_count = 1;
        }
        char name[32];
        snprintf(name, sizeof name, "t:%u", table->oid);
        table->wide = f != NULL ? fresh_register(f, slice_of(name)) : 0;
    }
    qsort(s->tables, array_len(rows), sizeof s->tables[0], compare_tables);
    s->catalog = (struct follow_catalog){
        .tables = s->tables,
        .table_count = array_len(rows),
        .sees_ddl = true,
        .publication_exists = true,
    };
}

struct follow_table *shop_table(struct shop *s, const struct trees *t, const char *name)
{
    uint32_t oid = trees_oid(t, name);
    for (uint32_t i = 0; i < s->catalog.table_count; i++) {
        if (s->tables[i].oid == oid) {
            return &s->tables[i];
        }
    }
    check(false);
    return NULL;
}
