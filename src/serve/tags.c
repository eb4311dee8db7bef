/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of tags for explain, drops, and the misses of connections that write tagged keys without tokens.
 *
 * Names: a table with one place per few marks; a newer name takes the place of an older one. So it may
 * happen that explain does not know a name, never that memory grows with the number of tags.
 *
 * Misses: a write without a token says nothing about the read that it answers. A connection that has just
 * missed the key most likely answers that miss; one that has not most likely writes what it knows to be
 * true now. Neither is certain (a connection may serve several readers at once), which is why tokens exist.
 *
 * Threads: the table any, under its lock; misses the connection's worker.
 */
#include "serve/tags.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/lock.h"

#include <stdlib.h>

enum { PLACES = 16384, NAME_SHOWN = 64, CHUNK = FRESH_DEPS_MAX };

/* As long as the default of implicit_lease: what a client takes at most from its read to its write. */
enum { MISS_MS = 10000 };

struct tag_name {
    fresh_dep dep; /* 0: nothing here */
    uint32_t drops;
    uint64_t dropped_ms;
    uint16_t len; /* of the name, which may be cut */
    char text[NAME_SHOWN];
};

struct tags {
    struct lock lock;
    struct tag_name places[PLACES]; /* lock */
    _Atomic bool used;              /* relaxed: has there ever been a tag? */
};

struct tags *tags_create(void)
{
    struct tags *t = xcalloc(1, sizeof(*t));
    lock_init(&t->lock, LOCK_RANK_MISS);
    return t;
}

void tags_destroy(struct tags **tp)
{
    if (*tp != NULL) {
        lock_fini(&(*tp)->lock);
        free(*tp);
        *tp = NULL;
    }
}

/* --- names and drops ---------------------------------------------------------------------------- */

static struct tag_name *place_locked(struct tags *t, fresh_dep dep, struct slice name)
{
    struct tag_name *n = &t->places[dep % PLACES];
    size_t len = name.len < NAME_SHOWN ? name.len : NAME_SHOWN;
    if (n->dep != dep) {
        *n = (struct tag_name){.dep = dep};
    }
    if (n->len != len || memcmp(n->text, name.ptr, len) != 0) {
        memcpy(n->text, name.ptr, len);
        n->len = (uint16_t)len;
    }
    return n;
}

fresh_dep tags_dep(struct server *s, struct slice name)
{
    fresh_dep dep = fresh_dep_tag(s->fresh, name);
    atomic_store_explicit(&s->tags->used, true, memory_order_relaxed);
    lock_acquire(&s->tags->lock);
    (void)place_locked(s->tags, dep, name);
    lock_release(&s->tags->lock);
    return dep;
}

static void drop_some(struct server *s, const struct slice *names, uint32_t count, uint64_t now_ms)
{
    fresh_dep deps[CHUNK];
    for (uint32_t i = 0; i < count; i++) {
        deps[i] = fresh_dep_tag(s->fresh, names[i]);
    }
    fresh_drop(s->fresh, deps, count);
    lock_acquire(&s->tags->lock);
    for (uint32_t i = 0; i < count; i++) {
        struct tag_name *n = place_locked(s->tags, deps[i], names[i]);
        n->dropped_ms = now_ms;
        n->drops++;
    }
    lock_release(&s->tags->lock);
}

void tags_drop(struct server *s, const struct slice *names, uint32_t count, uint64_t now_ms)
{
    atomic_store_explicit(&s->tags->used, true, memory_order_relaxed);
    fresh_sample(s->fresh, now_ms); /* until here it was current: for those who take stale values */
    while (count > 0) {
        uint32_t some = count < CHUNK ? count : CHUNK;
        drop_some(s, names, some, now_ms);
        names += some;
        count -= some;
    }
}

void tags_explain(struct server *s, fresh_dep dep, uint64_t now_ms, struct buf *out)
{
    lock_acquire(&s->tags->lock);
    struct tag_name n = s->tags->places[dep % PLACES];
    lock_release(&s->tags->lock);
    if (n.dep != dep) {
        buf_append_str(out, "a tag whose name is not kept any more");
        return;
    }
    buf_append_str(out, "tag ");
    buf_append_printable(out, (struct slice){n.text, n.len});
    if (n.drops == 0) {
        buf_append_str(out, ", never dropped");
    } else {
        buf_printf(out, ", last dropped %.3f s ago", (double)(now_ms - n.dropped_ms) / 1000.0);
    }
}

/* --- misses ------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint32_t db, struct slice key)
{
    return hash_mix(hash_slice(key), db);
}

void tags_miss(struct worker *w, struct lease_session *ls, uint32_t db, struct slice key)
{
    if (!atomic_load_explicit(&w->server->tags->used, memory_order_relaxed)) {
        return;
    }
    uint32_t i = ls->next_tagged++ % LEASE_OWN_MISSES;
    ls->tagged[i].hash = hash_of(db, key);
    ls->tagged[i].stamp = fresh_stamp_tags(w->server->fresh);
    ls->tagged[i].at_ms = loop_now_ms(w->loop);
}

fresh_pos tags_stamp(struct worker *w, struct lease_session *ls, uint32_t db, struct slice key)
{
    uint64_t hash = hash_of(db, key);
    fresh_pos stamp = 0;
    for (uint32_t i = 1; i <= LEASE_OWN_MISSES && i <= ls->next_tagged; i++) {
        uint32_t at = (ls->next_tagged - i) % LEASE_OWN_MISSES;
        if (ls->tagged[at].hash != hash) {
            continue;
        }
        bool is_recent = loop_now_ms(w->loop) <= ls->tagged[at].at_ms + MISS_MS;
        if (stamp == 0 && is_recent) {
            stamp = ls->tagged[at].stamp;
        }
        ls->tagged[at].hash = 0;
    }
    return stamp != 0 ? stamp : fresh_stamp_tags(w->server->fresh);
}
