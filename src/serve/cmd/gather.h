/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gather: elements brought together from several keys, before they are replied or stored (SUNION,
 * ZUNIONSTORE, ZRANGESTORE).
 *
 *      gather_open(c, kinds, keys, count, &sources)     with the store owned: reads every key
 *      gather_add() / gather_put()                      elements, as slices of the store
 *      gather_reply...  or  gather_store()              then gather_fini(), gather_close()
 *
 * What is gathered may be large and is made of what a client chose: memory is asked for with alloc_try(),
 * and `failed` says that there was none.
 *
 * Threads: the worker's.
 */
#ifndef SERVE_GATHER_H
#define SERVE_GATHER_H

#include "serve/edit.h"

/* --- the keys it is made from ------------------------------------------------------------------- */

struct gather_source {
    struct store_hold hold;
    const struct store_item *item; /* NULL: absent */
    uint64_t count;
    double weight; /* of scores, 1 at first */
};

struct gather_sources {
    struct gather_source *at; /* malloc'ed */
    uint32_t count;
    bool any_absent;
    fresh_pos stamp; /* the oldest of those that follow the database, 0: none does */
};

enum gather_kinds {
    GATHER_SETS = 1 << STORE_SET,
    GATHER_ZSETS = 1 << STORE_ZSET,
};

/* Reads keys of those kinds. False after replying an error: nothing is held. The
 * store is owned, and nothing is written until gather_close(). */
bool gather_open(struct resp_client *c, uint32_t kinds, const struct slice *keys, uint32_t count,
                 struct gather_sources *ret_sources);
/* Before anything is written; `stamp` stays. Twice does no harm. */
void gather_close(struct gather_sources *s);
/* Puts them in order, smallest first; equals stay as they are. */
void gather_by_count(struct gather_sources *s);
/* The element's score, 1 for a member of a plain set; false when it is no member. */
bool gather_find(const struct gather_source *s, struct slice name, double *ret_score);
double gather_score(const struct gather_source *s, const struct coll_element *e);

/* --- what is gathered --------------------------------------------------------------------------- */

struct gather_entry {
    struct slice name;
    double score;
};

struct gather {
    struct gather_entry *all;
    uint32_t count;
    uint32_t cap;
    uint32_t *slots; /* places in `all` plus one, by the name's hash; NULL until gather_put() */
    uint32_t slot_count;
    char *bytes; /* names copied by gather_keep() */
    bool failed; /* there was no memory */
};

void gather_fini(struct gather *g);
/* Appends; the caller knows that the name is new. */
void gather_add(struct gather *g, struct slice name, double score);
/* The entry of that name, made with `score` when it was not there; NULL: no memory. */
struct gather_entry *gather_put(struct gather *g, struct slice name, double score,
                                bool *ret_is_new);
/* By score, then by the bytes of the name. */
void gather_sort(struct gather *g);

/* Replies the names as an array, or a set. */
void gather_reply_names(struct resp_client *c, const struct gather *g, bool as_set);
/* Replies names, and scores if wanted. */
void gather_reply_scores(struct resp_client *c, const struct gather *g, bool scores);
/* Where to, and which event tells of it. */
struct gather_target {
    struct slice key;
    enum store_kind kind; /* set or zset */
    const char *event;
};
/* Stores everything there and replies the count; with nothing the key goes. Closes the sources. With the
 * store owned. */
void gather_store(struct resp_client *c, struct gather *g, struct gather_sources *s,
                  const struct gather_target *to);

#endif
