/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dependencies in words. A wide mark is looked for among the tables and templates of the catalog; a
 * tag says so itself (serve/tags.c); any other is a hash, and is told by the names that the
 * question brought along, or as "one row or value".
 *
 * Threads: a worker's; the plan's catalog is immutable.
 */
#include "serve/explain_deps.h"

#include "serve/tags.h"

/* --- names -------------------------------------------------------------------------------------- */

void explain_names_fini(struct explain_names *n)
{
    for (uint32_t i = 0; i < n->count; i++) {
        buf_fini(&n->text[i]);
    }
    buf_fini(&n->narrow);
}

void explain_name_match(struct explain_names *n, struct fresh *f, const struct policy_template *t,
                        const struct slice *values)
{
    if (n->count == EXPLAIN_NAMES_MAX || values == NULL || t->column_count == 0) {
        return;
    }
    n->dep[n->count] = fresh_dep_hash(f, policy_template_hash(t, values));
    struct buf *text = &n->text[n->count++];
    buf_init(text);
    buf_printf(text, "rows of table %s with ", t->table);
    for (uint32_t i = 0; i < t->column_count; i++) {
        buf_printf(text, "%s%s=", i > 0 ? ", " : "", t->columns[i]);
        buf_append_printable(text, values[i]);
    }
}

static const char *text_of(const char *param)
{
    return param != NULL ? param : "null";
}

void explain_name_route(struct explain_names *n, const struct follow_catalog *c,
                        const struct plan_route *planned, const char *const *params)
{
    const struct plan_row *row = &planned->row;
    const struct plan_value *value = &planned->value;
    uint32_t oid = row->count > 0 ? row->table_oid : value->table_oid;
    const struct follow_table *t = c != NULL && oid != 0 ? follow_catalog_find(c, oid) : NULL;
    if (t == NULL) {
        return;
    }
    buf_printf(&n->narrow, "row%s of table %s with ", row->count > 0 ? "" : "s", t->name);
    for (uint32_t i = 0; i < row->count && i < t->key_count; i++) {
        buf_printf(&n->narrow, "%s%s=", i > 0 ? ", " : "", t->columns[t->key[i]].name);
        buf_append_printable(&n->narrow, slice_of(text_of(params[row->param[i]])));
    }
    for (uint32_t i = 0; row->count == 0 && i < t->column_count; i++) {
        if (t->columns[i].attnum == value->attnum) {
            buf_printf(&n->narrow, "%s=", t->columns[i].name);
            buf_append_printable(&n->narrow, slice_of(text_of(params[value->param])));
        }
    }
}

static struct slice hashed_name(const struct explain_names *n, fresh_dep dep)
{
    for (uint32_t i = 0; n != NULL && i < n->count; i++) {
        if (n->dep[i] == dep) {
            return buf_readable(&n->text[i]);
        }
    }
    return n != NULL && buf_len(&n->narrow) > 0 ? buf_readable(&n->narrow)
                                                : SLICE("one row or value");
}

/* --- lines -------------------------------------------------------------------------------------- */

void explain_position(struct worker *w, struct buf *out, const char *name, fresh_pos pos)
{
    char token[FRESH_TOKEN_MAX];
    struct fresh *f = w->server->fresh;
    if (pos == 0) {
        buf_printf(out, "%s: none\n", name);
    } else if (pos < fresh_floor(f)) {
        buf_printf(out, "%s: of an earlier epoch\n", name);
    } else {
        (void)fresh_token_format(f, pos, token);
        buf_printf(out, "%s: %s\n", name, token);
    }
}

/* NULL: no wide mark. */
static const char *wide_name(const struct follow_catalog *c, struct fresh *f, fresh_dep dep,
                             const char **ret_which)
{
    for (uint32_t i = 0; c != NULL && i < c->table_count; i++) {
        bool any = dep == fresh_dep_any(f, c->tables[i].wide);
        if (any || dep == fresh_dep_all(f, c->tables[i].wide)) {
            *ret_which = any ? "every change of table " : "unknown rows of table ";
            return c->tables[i].name;
        }
    }
    for (uint32_t i = 0; c != NULL && i < c->template_count; i++) {
        bool any = dep == fresh_dep_any(f, c->templates[i].wide);
        if (any || dep == fresh_dep_all(f, c->templates[i].wide)) {
            *ret_which = any ? "every change behind template " : "unknown values of template ";
            return c->policy->templates[i].text;
        }
    }
    return NULL;
}

void explain_deps(struct worker *w, struct buf *out, fresh_pos stamp, const fresh_dep *deps,
                  uint32_t count, const struct explain_names *names)
{
    struct server *s = w->server;
    for (uint32_t i = 0; i < count; i++) {
        if (fresh_dep_is_tag(s->fresh, deps[i])) {
            buf_append_str(out, "depends on: ");
            tags_explain(s, deps[i], loop_now_ms(w->loop), out);
            buf_append_str(out,
                           stamp < fresh_mark(s->fresh, deps[i]) ? " (after the stamp)\n" : "\n");
            continue;
        }
        const char *which = "";
        const char *wide = wide_name(w->plan->catalog, s->fresh, deps[i], &which);
        struct slice name = wide != NULL ? slice_of(wide) : hashed_name(names, deps[i]);
        fresh_pos mark = fresh_mark(s->fresh, deps[i]);
        char token[FRESH_TOKEN_MAX] = "";
        if (mark >= fresh_floor(s->fresh) && mark != 0) {
            (void)fresh_token_format(s->fresh, mark, token);
        }
        buf_printf(out, "depends on: %s%.*s, %s%s%s\n", which, (int)name.len, name.ptr,
                   token[0] != '\0' ? "changed at " : "unchanged in this epoch", token,
                   stamp < mark ? " (after the stamp)" : "");
    }
}
