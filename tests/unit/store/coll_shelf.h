/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A naive collection for the model tests: an array of what a key must hold, kept in order by moving.
 */
#ifndef STORE_COLL_SHELF_H
#define STORE_COLL_SHELF_H

#include "coll_test.h"

struct elem {
    char *name;
    size_t name_len;
    char *value; /* hash */
    size_t value_len;
    double score;
    uint64_t ms; /* stream */
};

struct shelf { /* what a key must hold */
    struct elem *elem;
    size_t count;
    size_t cap;
    struct coll_stream info;
    uint64_t expiry_ms; /* 0: none */
    bool present;
};

static inline void elem_free(struct elem *e)
{
    free(e->name);
    free(e->value);
}

static inline void shelf_clear(struct shelf *s)
{
    for (size_t i = 0; i < s->count; i++) {
        elem_free(&s->elem[i]);
    }
    s->count = 0;
    s->present = false;
    s->expiry_ms = 0;
    s->info = (struct coll_stream){.added = 0};
}

static inline char *copy_of(struct slice text)
{
    char *copy = malloc(text.len + 1);
    memcpy(copy, text.len > 0 ? text.ptr : "", text.len);
    return copy;
}

static inline void shelf_insert(struct shelf *s, size_t at, struct slice name, struct slice value,
                                double score, uint64_t ms)
{
    if (s->count == s->cap) {
        s->cap = s->cap * 2 + 16;
        s->elem = realloc(s->elem, s->cap * sizeof(*s->elem));
    }
    memmove(s->elem + at + 1, s->elem + at, (s->count - at) * sizeof(*s->elem));
    s->elem[at] = (struct elem){copy_of(name), name.len, copy_of(value), value.len, score, ms};
    s->count++;
    s->present = true;
}

/* Something else comes in its place. */
static inline void shelf_take(struct shelf *s, size_t at)
{
    elem_free(&s->elem[at]);
    memmove(s->elem + at, s->elem + at + 1, (s->count - at - 1) * sizeof(*s->elem));
    s->count--;
}

/* The key goes with its last element. */
static inline void shelf_remove(struct shelf *s, enum store_kind kind, size_t at)
{
    shelf_take(s, at);
    s->present = s->count > 0 || kind == STORE_STREAM;
    s->expiry_ms = s->present ? s->expiry_ms : 0;
}

static inline struct slice name_of(const struct elem *e)
{
    return (struct slice){e->name, e->name_len};
}

static inline size_t shelf_find(const struct shelf *s, struct slice name)
{
    size_t i = 0;
    while (i < s->count && !slice_eq(name_of(&s->elem[i]), name)) {
        i++;
    }
    return i;
}

static inline int compare_names(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.ptr, b.ptr, common);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static inline size_t shelf_place(const struct shelf *s, double score, struct slice name)
{
    size_t i = 0;
    while (i < s->count &&
           (s->elem[i].score < score ||
            (s->elem[i].score == score && compare_names(name_of(&s->elem[i]), name) < 0))) {
        i++;
    }
    return i;
}

static inline void shelf_copy(struct shelf *to, const struct shelf *from)
{
    shelf_clear(to);
    for (size_t i = 0; i < from->count; i++) {
        const struct elem *e = &from->elem[i];
        shelf_insert(to, i, name_of(e), (struct slice){e->value, e->value_len}, e->score, e->ms);
    }
    to->info = from->info;
    to->present = true;
}

#endif
