/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A YAML file as a tree whose every node knows its line and column.
 *
 * Private to policy. Nodes live in the arena given. An alias is the anchored node itself, so a node
 * may have several parents; it never contains itself. Threads: one owner.
 */
#ifndef POLICY_TREE_H
#define POLICY_TREE_H

#include "base/arena.h"
#include "policy/complain.h"

enum {
    POLICY_YAML_DEPTH_MAX = 16,
    POLICY_YAML_NODES_MAX = 50000, /* an alias counts as all that it stands for */
    POLICY_YAML_ITEMS_MAX = 2048,  /* in one mapping or sequence */
};

enum policy_node_kind { POLICY_NODE_SCALAR, POLICY_NODE_SEQUENCE, POLICY_NODE_MAPPING };

struct policy_item;

struct policy_node {
    enum policy_node_kind kind;
    struct policy_spot spot;
    const char *text;          /* scalar: NUL-terminated, holds no other NUL */
    bool is_plain;             /* scalar without quotes: `null` may mean null */
    struct policy_item *items; /* sequence, mapping */
    uint32_t count;
    uint32_t weight; /* nodes in it, itself included */
};

struct policy_item {
    struct policy_item *next;
    const struct policy_node *key; /* a scalar; NULL in a sequence */
    const struct policy_node *value;
    const struct policy_node *first; /* an earlier key of this mapping is the same; NULL: none */
};

/* NULL and complaints when the text is not a tree that a policy may have. */
const struct policy_node *policy_yaml_parse(struct arena *arena, struct slice text,
                                            struct complaints *say);
/* `~`, `null` or nothing at all, without quotes. */
bool policy_node_is_null(const struct policy_node *node);
/* The value of a key in a mapping; NULL when `map` is NULL, no mapping, or lacks it. */
const struct policy_node *policy_node_find(const struct policy_node *map, const char *key);
/* "a list", "a map", "text", "nothing": for messages. */
const char *policy_node_kind_name(const struct policy_node *node);

#endif
