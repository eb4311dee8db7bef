/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Intrusive doubly linked circular list. The head is a `struct list` of its own; a node that is on
 * no list points at itself, so list_remove() is idempotent. The list owns nothing.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_push_back(head->next, node); /* NOLINT(clang-analyzer-unix.Malloc): as below */
}

/* Removes and returns the first node; NULL when empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head) {
        return NULL;
    }
    list_remove(node); /* NOLINT(clang-analyzer-unix.Malloc): loses the ring in a loop that frees */
    return node;
}

/* Removes and returns the last node; NULL when empty. */
static inline struct list *list_pop_back(struct list *head)
{
    struct list *node = head->prev;
    if (node == head) {
        return NULL;
    }
    list_remove(node); /* NOLINT(clang-analyzer-unix.Malloc): as above */
    return node;
}

/* `it` may be removed inside the loop; no other node may. */
#define list_for_each(it, head)                                                                    \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)

#endif
