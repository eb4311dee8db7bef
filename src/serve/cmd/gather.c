/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Elements from several keys, brought together; gather.h draws how.
 *
 * Entries stand in one growing array, in the order of arrival. Whoever must know whether a name has come
 * before (unions) gets an index over them: open addressing, places plus one, at most half full, so that an
 * entry costs 24 bytes without it and 32 to 40 with it.
 *
 * Names are slices of the store, good while nothing is written. Storing writes: so all names are copied
 * into one piece of memory before the first write.
 *
 * Invariant: once `failed`, nothing more is added and nothing is replied or stored but the error.
 */
#include "serve/cmd/gather.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <stdlib.h>

enum { FIRST_CAP = 64 };

/* --- the keys it is made from ----------------------------------------------------------------- */

static void note_stamp(struct gather_sources *s, const struct store_item *item)
{
    fresh_pos stamp = store_item_stamp(item);
    if (stamp != 0 && (s->stamp == 0 || stamp < s->stamp)) {
        s->stamp = stamp;
    }
}

bool gather_open(struct resp_client *c, uint32_t kinds, const struct slice *keys, uint32_t count,
                 struct gather_sources *ret_sources)
{
    struct gather_sources s = {.at = alloc_try(count * sizeof(*s.at))};
    if (s.at == NULL) {
        reply_no_memory(c);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct gather_source *source = &s.at[i];
        struct store_item *item;
        *source = (struct gather_source){.weight = 1};
        s.count = i + 1;
        if (!client_read(c, keys[i], &source->hold, &item)) {
            s.any_absent = true;
            continue;
        }
        source->item = item;
        note_stamp(&s, item);
        if ((kinds & 1U << store_item_kind(item)) == 0) {
            gather_close(&s);
            reply_wrong_kind(c);
            return false;
        }
        source->count = coll_count(item);
    }
    *ret_sources = s;
    return true;
}

void gather_close(struct gather_sources *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->at[i].item != NULL) {
            store_drop(&s->at[i].hold);
        }
    }
    free(s->at);
    s->at = NULL;
    s->count = 0;
}

static int by_count(const void *a, const void *b)
{
    const struct gather_source *x = a;
    const struct gather_source *y = b;
    return (x->count > y->count) - (x->count < y->count);
}

void gather_by_count(struct gather_sources *s)
{
    qsort(s->at, s->count, sizeof(*s->at), by_count); /* glibc's is a merge sort */
}

double gather_score(const struct gather_source *s, const struct coll_element *e)
{
    return store_item_kind(s->item) == STORE_ZSET ? e->score : 1;
}

bool gather_find(const struct gather_source *s, struct slice name, double *ret_score)
{
    struct coll_element e;
    if (s->item == NULL || !coll_find(&s->hold, s->item, name, &e)) {
        return false;
    }
    *ret_score = gather_score(s, &e);
    return true;
}

/* --- what is gathered ------------------------------------------------------------------------- */

void gather_fini(struct gather *g)
{
    free(g->all);
    free(g->slots);
    free(g->bytes);
    *g = (struct gather){.all = NULL};
}

static bool has_room(struct gather *g)
{
    if (g->count < g->cap || g->failed) {
        return !g->failed;
    }
    uint32_t cap = g->cap > 0 ? g->cap * 2 : FIRST_CAP; /* 0 after 2^31 */
    struct gather_entry *all = cap > g->cap ? alloc_try_resize(g->all, cap * sizeof(*all)) : NULL;
    if (all == NULL) {
        g->failed = true;
        return false;
    }
    g->all = all;
    g->cap = cap;
    return true;
}

void gather_add(struct gather *g, struct slice name, double score)
{
    if (has_room(g)) {
        g->all[g->count++] = (struct gather_entry){name, score};
    }
}

/* The slot of that name, or the empty one where it belongs. */
static uint32_t slot_of(const struct gather *g, struct slice name)
{
    uint32_t mask = g->slot_count - 1;
    uint32_t at = (uint32_t)hash_slice(name) & mask;
    while (g->slots[at] != 0 && !slice_eq(g->all[g->slots[at] - 1].name, name)) {
        at = (at + 1) & mask;
    }
    return at;
}

/* Keeps the index at most half full. */
static bool index_grow(struct gather *g)
{
    if (g->slot_count >= 2 * (uint64_t)g->count + 2) {
        return true;
    }
    uint64_t slot_count = g->slot_count > 0 ? 2 * (uint64_t)g->slot_count : (uint64_t)2 * FIRST_CAP;
    uint32_t *slots = slot_count <= UINT32_MAX ? alloc_try(slot_count * sizeof(*slots)) : NULL;
    if (slots == NULL) {
        g->failed = true;
        return false;
    }
    memset(slots, 0, slot_count * sizeof(*slots));
    free(g->slots);
    g->slots = slots;
    g->slot_count = (uint32_t)slot_count;
    for (uint32_t i = 0; i < g->count; i++) {
        slots[slot_of(g, g->all[i].name)] = i + 1;
    }
    return true;
}

struct gather_entry *gather_put(struct gather *g, struct slice name, double score, bool *ret_is_new)
{
    if (g->failed || !index_grow(g)) {
        return NULL;
    }
    uint32_t slot = slot_of(g, name);
    *ret_is_new = g->slots[slot] == 0;
    if (*ret_is_new) {
        gather_add(g, name, score);
        if (g->failed) {
            return NULL;
        }
        g->slots[slot] = g->count;
    }
    return &g->all[g->slots[slot] - 1];
}

static int compare(const void *a, const void *b)
{
    const struct gather_entry *x = a;
    const struct gather_entry *y = b;
    if (x->score != y->score) {
        return x->score < y->score ? -1 : 1;
    }
    size_t common = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = common > 0 ? memcmp(x->name.ptr, y->name.ptr, common) : 0;
    if (order != 0) {
        return order;
    }
    return (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

void gather_sort(struct gather *g)
{
    if (g->count > 1) {
        qsort(g->all, g->count, sizeof(*g->all), compare);
    }
}

/* --- replying --------------------------------------------------------------------------------- */

void gather_reply_names(struct resp_client *c, const struct gather *g, bool as_set)
{
    if (g->failed) {
        reply_no_memory(c);
        return;
    }
    if (as_set) {
        resp_set(&c->conn.out, c->proto, g->count);
    } else {
        resp_array(&c->conn.out, g->count);
    }
    for (uint32_t i = 0; i < g->count && reply_bulk(c, g->all[i].name); i++) {
    }
}

void gather_reply_scores(struct resp_client *c, const struct gather *g, bool scores)
{
    if (!scores || g->failed) {
        gather_reply_names(c, g, false);
        return;
    }
    resp_array(&c->conn.out, c->proto >= 3 ? g->count : 2 * (uint64_t)g->count);
    bool fits = true;
    for (uint32_t i = 0; i < g->count && fits; i++) {
        struct coll_element e = {.name = g->all[i].name, .score = g->all[i].score};
        fits = reply_scored(c, &e, c->proto >= 3);
    }
}

/* --- storing ---------------------------------------------------------------------------------- */

/* Copies every name out of the store. */
static bool keep_names(struct gather *g)
{
    size_t total = 1;
    for (uint32_t i = 0; i < g->count; i++) {
        total += g->all[i].name.len;
    }
    g->bytes = alloc_try(total);
    if (g->bytes == NULL) {
        g->failed = true;
        return false;
    }
    char *at = g->bytes;
    for (uint32_t i = 0; i < g->count; i++) {
        struct slice *name = &g->all[i].name;
        if (name->len > 0) {
            memcpy(at, name->ptr, name->len);
        }
        name->ptr = at;
        at += name->len;
    }
    return true;
}

static enum err put_all(struct store_hold *h, const struct gather *g, enum store_kind kind)
{
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < g->count && err == ERR_OK; i++) {
        struct coll_element member = {.name = g->all[i].name, .score = g->all[i].score};
        err = coll_put(h, kind, &member, &CLIENT_REMAKE_META, NULL);
    }
    return err;
}

static enum err store_new(struct resp_client *c, const struct gather *g, fresh_pos stamp,
                          const struct gather_target *to)
{
    struct client_remake r __attribute__((uninitialized));
    client_remake_begin_from(c, to->key, stamp, &r);
    enum err err = client_remake_end(c, &r, put_all(&r.draft.hold, g, to->kind));
    if (err == ERR_OK) {
        client_event(c, to->kind == STORE_SET ? EVENT_SET : EVENT_ZSET, to->event, to->key);
    }
    return err;
}

static void store_nothing(struct resp_client *c, struct slice key)
{
    struct store_hold h;
    client_hold(c, key, &h);
    if (store_remove(&h)) {
        client_event(c, EVENT_GENERIC, "del", key);
    }
    store_drop(&h);
}

void gather_store(struct resp_client *c, struct gather *g, struct gather_sources *s,
                  const struct gather_target *to)
{
    bool kept = !g->failed && keep_names(g);
    gather_close(s);
    if (!kept) {
        reply_no_memory(c);
        return;
    }
    enum err err = ERR_OK;
    if (g->count > 0) {
        err = store_new(c, g, s->stamp, to);
    } else {
        store_nothing(c, to->key);
    }
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        reply_integer(c, g->count);
    }
}
