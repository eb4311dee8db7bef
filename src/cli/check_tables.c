/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check: the tables that routes and templates use: are they followed, by which key, with which old
 * values; and the templates themselves. Tables of the publication that nobody uses are left out.
 */
#include "base/alloc.h"
#include "cli/check_database.h"

#include <stdlib.h>
#include <string.h>

/* Does any cached GET read it, or a template belong to it? */
static bool is_used(const struct live *l, uint32_t oid)
{
    for (uint32_t i = 0; i < l->policy->template_count; i++) {
        const struct follow_table *t = l->catalog->templates[i].table;
        if (t != NULL && t->oid == oid) {
            return true;
        }
    }
    for (uint32_t i = 0; i < l->plan->route_count; i++) {
        const struct plan_route *r = &l->plan->routes[i];
        bool is_cached = strcmp(r->route->method, "GET") == 0 && !r->broken &&
                         r->route->consistency != POLICY_TTL;
        for (uint32_t k = 0; is_cached && k < r->table_count; k++) {
            if (r->tables[k] == oid) {
                return true;
            }
        }
    }
    return false;
}

/* "id" or "list_id, product_id" */
static void append_key(struct buf *out, const struct follow_table *t)
{
    for (uint32_t i = 0; i < t->key_count; i++) {
        buf_printf(out, "%s%s", i > 0 ? ", " : "", t->columns[t->key[i]].name);
    }
}

static void describe(struct buf *out, const struct follow_table *t)
{
    switch (t->relkind) {
    case 'm':
        buf_append_str(out, "followed by REFRESH");
        return;
    case 'p':
        buf_append_str(out, "followed, with all its partitions");
        break;
    default:
        buf_append_str(out, "followed");
    }
    if (t->key_count > 0) {
        buf_append_str(out, "; rows by (");
        append_key(out, t);
        buf_append_char(out, ')');
    } else {
        buf_append_str(out, "; no primary key, so as a whole");
    }
    if (t->identity == 'f') {
        buf_append_str(out, "; old values of all columns are known (REPLICA IDENTITY FULL)");
    }
}

void check_tables(struct report *r, const struct live *l)
{
    report_section(r, "tables");
    uint32_t used = 0;
    for (uint32_t i = 0; i < l->catalog->table_count; i++) {
        const struct follow_table *t = &l->catalog->tables[i];
        if (t->relkind == 'v' || !is_used(l, t->oid)) {
            continue;
        }
        used++;
        const char *why = plan_unfollowed(l->catalog, t);
        char *name = xasprintf("%s.%s", t->schema, t->name);
        if (why != NULL) {
            report_line(r, REPORT_WARNING, name, "not followed: %s", why);
        } else {
            struct buf text;
            buf_init(&text);
            describe(&text, t);
            report_line(r, REPORT_OK, name, "%.*s", (int)buf_len(&text), buf_readable(&text).ptr);
            buf_fini(&text);
        }
        free(name);
    }
    if (used == 0) {
        report_line(r, REPORT_NOTE, "tables", "none is used");
    }
}

static const char *kind_name(enum follow_kind kind)
{
    switch (kind) {
    case FOLLOW_KIND_INTEGER:
        return "integer";
    case FOLLOW_KIND_TEXT:
        return "text";
    case FOLLOW_KIND_UUID:
        return "uuid";
    case FOLLOW_KIND_DATE:
        return "date";
    case FOLLOW_KIND_OTHER:
        return "unusable";
    }
    return "unusable";
}

static void check_template(struct report *r, const struct policy_template *t,
                           const struct follow_template *f)
{
    if (!f->followed) {
        report_line(r, REPORT_PROBLEM, t->text, "of table %s: %s", t->table, f->why);
        return;
    }
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, t->column_count > 0 ? "by " : "every change");
    for (uint32_t i = 0; i < t->column_count; i++) {
        buf_printf(&text, "%s%s (%s)", i > 0 ? ", " : "", t->columns[i], kind_name(f->kinds[i]));
    }
    if (f->why != NULL) {
        buf_printf(&text, "; %s", f->why);
    }
    report_line(r, f->why != NULL ? REPORT_WARNING : REPORT_OK, t->text, "table %s, %.*s",
                f->table->name, (int)buf_len(&text), buf_readable(&text).ptr);
    buf_fini(&text);
}

void check_templates(struct report *r, const struct live *l)
{
    if (l->policy->template_count == 0) {
        return;
    }
    report_section(r, "key templates");
    for (uint32_t i = 0; i < l->policy->template_count; i++) {
        check_template(r, &l->policy->templates[i], &l->catalog->templates[i]);
    }
}
