/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nodes: PostgreSQL's node text as a tree. Bytes in, tree out; nothing here knows what a node
 * means.
 *
 *     {OPEXPR :opno 96 :args ({VAR :varno 1} {PARAM :paramid 1}) :location 41}
 *
 * becomes a struct node labelled OPEXPR with the fields opno (atom "96"), args (list of two) and
 * location. The tree borrows the text: both must live as long as the tree is used.
 */
#ifndef FILL_NODES_H
#define FILL_NODES_H

#include "base/arena.h"

#include <stdint.h>

enum node_kind {
    NODE_ATOM,   /* a word: number, name, <>, "string"; escapes left as they are */
    NODE_LIST,   /* ( ... ) or [ ... ] */
    NODE_STRUCT, /* {LABEL :field value ...} */
};

struct node {
    enum node_kind kind;
    struct slice text;        /* NODE_ATOM: the word; NODE_STRUCT: the label */
    struct slice field;       /* the field that this is a value of; empty in lists */
    const struct node *child; /* NODE_LIST: first item; NODE_STRUCT: first field's value */
    const struct node *next;  /* sibling */
};

enum { NODES_BYTES_MAX = 8 << 20, NODES_DEPTH_MAX = 1000 };

/* NULL when the text is not node text, is too large, nests too deeply, or has a word torn by the
 * server's line breaks; `ret_why` then says which (static). */
const struct node *nodes_parse(struct arena *a, struct slice text, const char **ret_why);

bool node_is(const struct node *n, const char *label); /* a struct of that label; NULL: false */
/* The first value of a field; NULL when `n` is no struct or has no such field. */
const struct node *node_field(const struct node *n, const char *field);
/* The items of a field that is a list; NULL when it is absent, empty or <>. */
const struct node *node_items(const struct node *n, const char *field);
/* False unless the field is a decimal integer that fits. */
bool node_int(const struct node *n, const char *field, int64_t *ret_value);
/* The field as an object id or a small count; 0 when absent or not one. */
uint32_t node_oid(const struct node *n, const char *field);
/* The field is the atom `word`. */
bool node_says(const struct node *n, const char *field, const char *word);

#endif
