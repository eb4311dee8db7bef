/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rewriting the log: a new file that needs no older one, made while writers go on. No fork, no second copy
 * of the data, no pause.
 *
 *      manifest   [old]        [old, new]                              [new]
 *      old        units ─ ENDED ┐
 *      new                      └─ units and keys, as they come ── COMPLETE ─ units ─>
 *
 * From a cut on, all units go to the new file. A walk visits every key of the durable databases and, with
 * its shard locked, leaves `DEL key` and what rebuilds the key in the journal: an effect like others, in
 * order with them. So the new file, read behind the old ones, is right at every moment: rebuilding a key
 * changes nothing. Read alone, its units speak of keys that do not exist yet; but each of those is rebuilt
 * later as a whole. (What takes a value from one key to another is always logged as the value itself:
 * the source may be missing here.) Behind the mark COMPLETE the new file is enough.
 *
 * A crash meanwhile leaves both files in the manifest, and nothing to repair: the next rewrite replaces
 * both. When two databases changed places, the walk may have missed keys: the rewrite is given up in the
 * same way, and begun again.
 *
 * Bounded: a turn dumps TURN_BYTES or so, then the log's thread writes. A large collection is dumped in parts, with
 * its shard locked for one at a time: they gather under a key of the log's own, and behind the last one that takes the
 * place of the collection, if it has not changed since the first; if it has, they are void, and it begins
 * again. What always changes is dumped in one go after TRIES: that is not bounded. A crash between leaves
 * parts in the log, which the reader throws away (persist.c).
 *
 * Threads: the log's.
 */
#include "persist/persist_priv.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    SCAN_KEYS = 64,
    TURN_BYTES = 512 * 1024,
    PARTS_BYTES = 128 * 1024, /* a collection that takes more is dumped in parts, */
    PART_BYTES = 64 * 1024,   /* each about so large in the log; */
    TRIES = 4,                /* so often */
    REST_MS = 5000,           /* after one that failed */
    FILES_SPARE = 4,
};

/* --- when --------------------------------------------------------------------------------------- */

static bool is_due(struct persist *p)
{
    uint64_t bytes = persist_get(p->all_bytes);
    uint64_t base = persist_get(p->base_bytes);
    bool asked = persist_get(p->wants_rewrite);
    bool grown = p->options.rewrite_growth > 0 && bytes >= p->options.rewrite_min_bytes &&
                 (bytes - base) / p->options.rewrite_growth >= base / 100 && bytes > base;
    return (asked || grown) && persist_get(p->trouble) == 0 &&
           clock_now_ms() >= p->rewrite.rest_until_ms;
}

/* The old files stay until the new one is whole. */
static bool disk_has_room(struct persist *p)
{
    struct statvfs fs;
    if (fstatvfs(p->dir.fd, &fs) != 0) {
        return true;
    }
    uint64_t keys = 0;
    for (uint32_t i = 0; i < p->options.db_count; i++) {
        keys += store_db_size(p->options.store, p->options.dbs[i]);
    }
    uint64_t avail = (uint64_t)fs.f_bavail * fs.f_frsize;
    return avail > persist_get(p->all_bytes) || (keys == 0 && avail > TURN_BYTES);
}

static void give_up(struct persist *p, const char *what, int why)
{
    log_event(LOG_WARN, "persist",
              "the log was not rewritten; it goes on as it is and this is tried again",
              log_text("dir", p->options.dir), log_text("step", what),
              log_text("reason", strerror(why)));
    p->rewrite.is_running = false;
    p->rewrite.rest_until_ms = clock_now_ms() + REST_MS;
    persist_set(p->is_rewriting, false);
    persist_set(p->rewrite_failed, true);
}

/* A directory that does not sync is like a file that does not. */
static bool commit(struct persist *p, const uint64_t *files, uint32_t count)
{
    bool ok = log_dir_commit(&p->dir, files, count);
    if (!ok && p->dir.is_unsure) {
        writer_end_for_sync(p, errno);
    }
    return ok;
}

/* --- the cut ------------------------------------------------------------------------------------ */

/* Everything up to now in the old file, synced; the new one takes over. */
static bool cut_over(struct persist *p, int fd, uint64_t nonce, uint64_t size)
{
    bool ok = false;
    int old = -1;
    writer_sync(p, false); /* most of it without the lock */
    lock_acquire(&p->file);
    if (writer_put_mark(p, GROUP_ENDED)) {
        writer_sync(p, true);
        old = p->fd;
        p->old_bytes += p->size;
        (void)!ftruncate(p->fd, (off_t)p->size);
        writer_use(p, fd, nonce, size);
        ok = true;
    }
    lock_release(&p->file);
    if (old >= 0) {
        (void)close(old);
    }
    return ok;
}

static void begin(struct persist *p)
{
    struct rewrite *rw = &p->rewrite;
    uint64_t files[LOG_FILES_MAX];
    uint64_t nonce;
    uint64_t size;
    uint32_t count = p->dir.count;
    if (count + FILES_SPARE > LOG_FILES_MAX || !disk_has_room(p)) {
        give_up(p, "room for a second log", ENOSPC);
        return;
    }
    memcpy(files, p->dir.files, count * sizeof(*files));
    int fd = writer_new_file(p, true, &files[count], &nonce, &size);
    if (fd < 0) {
        give_up(p, "new file", errno);
        return;
    }
    /* A crash from here on finds an empty last file, which is no harm. */
    if (!commit(p, files, count + 1)) {
        int why = errno;
        (void)close(fd);
        give_up(p, "manifest", why);
        return;
    }
    rw->swaps = journal_swaps(p->journal);
    if (!cut_over(p, fd, nonce, size)) {
        (void)close(fd);
        p->dir.count = count; /* the old file stays the last; a later commit says so */
        give_up(p, "last write to the old file", persist_get(p->trouble));
        return;
    }
    rw->is_running = true;
    rw->db_at = 0;
    rw->cursor = 0;
    rw->is_scanned = false;
    rw->keys = 0;
    group_aside_key(nonce, rw->parts.aside);
    rw->began_us = clock_now_us();
    persist_set(p->wants_rewrite, false);
    persist_set(p->is_rewriting, true);
    log_event(LOG_INFO, "persist", "rewriting the log", log_text("dir", p->options.dir),
              log_number("bytes", p->old_bytes));
}

/* --- a large collection, in parts ---------------------------------------------------------------- */

static void begin_parts(struct rewrite *rw, struct store_hold *h)
{
    rw->parts.watch =
        (struct store_watch){.key = xstrndup(h->key.ptr, h->key.len), .key_len = h->key.len};
    store_watch_add(h, &rw->parts.watch);
    rw->parts.is_on = true;
    rw->parts.rank = 0;
    rw->parts.tries = 0;
}

static void end_parts(struct persist *p)
{
    struct rewrite *rw = &p->rewrite;
    store_watch_remove(p->options.store, p->options.gate, &rw->parts.watch);
    free(rw->parts.watch.key);
    rw->parts.is_on = false;
}

/* It has changed: from the beginning, and when it always does, in one go. True: nothing is left to do. */
static bool begin_again(struct rewrite *rw, struct store_hold *h, bool is_large)
{
    if (rw->parts.rank > 0) {
        store_dump_void(h, slice_of(rw->parts.aside));
    }
    rw->parts.watch.dirty = false;
    rw->parts.rank = 0;
    bool in_parts = is_large && ++rw->parts.tries < TRIES;
    if (!in_parts) {
        store_dump(h);
    }
    return !in_parts;
}

static void dump_part(struct persist *p, uint64_t now_ms)
{
    struct rewrite *rw = &p->rewrite;
    struct slice key = {rw->parts.watch.key, rw->parts.watch.key_len};
    struct store_hold h;
    store_hold(p->options.store, p->options.gate, rw->parts.watch.db, key, now_ms, &h);
    const struct store_item *it = store_peek(&h, NULL);
    bool is_large = it != NULL && store_item_kind(it) != STORE_STRING;
    bool done = is_large && !rw->parts.watch.dirty
                    ? store_dump_part(&h, slice_of(rw->parts.aside), &rw->parts.rank, PART_BYTES)
                    : begin_again(rw, &h, is_large);
    store_drop(&h);
    if (done) {
        end_parts(p);
    }
}

/* --- the walk ----------------------------------------------------------------------------------- */

static void collect(void *arg, const struct store_item *it)
{
    struct buf *keys = arg;
    struct slice key = store_item_key(it);
    buf_append(keys, &key.len, sizeof(key.len));
    buf_append_slice(keys, key);
}

/* The next of them; the slice is good until more are found. */
static struct slice take_key(struct rewrite *rw)
{
    size_t len;
    memcpy(&len, buf_readable(&rw->keys_found).ptr, sizeof(len));
    struct slice key = {buf_readable(&rw->keys_found).ptr + sizeof(len), len};
    buf_consume(&rw->keys_found, sizeof(len) + len);
    return key;
}

static void dump_key(struct persist *p, uint32_t db, struct slice key, uint64_t now_ms)
{
    struct store_hold h;
    store_hold(p->options.store, p->options.gate, db, key, now_ms, &h);
    const struct store_item *it = store_peek(&h, NULL);
    if (it != NULL && store_item_kind(it) != STORE_STRING && store_item_bytes(it) > PARTS_BYTES) {
        begin_parts(&p->rewrite, &h);
    } else {
        store_dump(&h);
    }
    store_drop(&h);
    p->rewrite.keys++;
}

/* One step. It does not wait for a script: this thread has others' effects to write. */
static void walk_step(struct persist *p)
{
    struct rewrite *rw = &p->rewrite;
    uint32_t db = p->options.dbs[rw->db_at];
    uint64_t now_ms = clock_now_ms();
    if (rw->parts.is_on) {
        dump_part(p, now_ms);
    } else if (buf_len(&rw->keys_found) > 0) {
        dump_key(p, db, take_key(rw), now_ms);
    } else if (!rw->is_scanned) {
        buf_shrink(&rw->keys_found, TURN_BYTES);
        rw->cursor = store_scan(p->options.store, p->options.gate, db, rw->cursor, SCAN_KEYS,
                                now_ms, collect, &rw->keys_found);
        rw->is_scanned = rw->cursor == 0;
    } else {
        rw->is_scanned = false;
        rw->db_at++;
    }
}

/* False: the walk is over. */
static bool walk_turn(struct persist *p)
{
    struct rewrite *rw = &p->rewrite;
    rw->is_held_up = !store_gate_try(p->options.store, p->options.gate);
    if (rw->is_held_up) {
        return true;
    }
    uint64_t stop = journal_end(p->journal) + TURN_BYTES;
    while (rw->db_at < p->options.db_count && journal_end(p->journal) < stop &&
           !store_own_is_wanted(p->options.store)) {
        walk_step(p);
    }
    store_gate_leave(p->options.store, p->options.gate);
    return rw->db_at < p->options.db_count;
}

/* --- the end ------------------------------------------------------------------------------------ */

static void finish(struct persist *p)
{
    uint64_t file = p->dir.files[p->dir.count - 1];
    if (journal_swaps(p->journal) != p->rewrite.swaps) {
        give_up(p, "two databases changed places", EAGAIN);
        p->rewrite.rest_until_ms = 0;
        persist_set(p->wants_rewrite, true);
        return;
    }
    lock_acquire(&p->file);
    bool ok = writer_put_mark(p, GROUP_COMPLETE);
    lock_release(&p->file);
    if (!ok) {
        return; /* trouble: again when it is over */
    }
    writer_sync(p, true);
    if (!commit(p, &file, 1)) {
        give_up(p, "manifest", errno);
        return;
    }
    log_dir_sweep(&p->dir);
    lock_acquire(&p->file);
    uint64_t before = p->old_bytes;
    p->old_bytes = 0;
    persist_set(p->all_bytes, p->size);
    persist_set(p->base_bytes, p->size);
    lock_release(&p->file);
    p->rewrite.is_running = false;
    persist_set(p->is_rewriting, false);
    persist_set(p->rewrite_failed, false);
    persist_add(p->rewrites, 1);
    log_event(LOG_INFO, "persist", "the log was rewritten", log_text("dir", p->options.dir),
              log_number("keys", p->rewrite.keys), log_number("bytes_before", before),
              log_number("bytes", persist_get(p->all_bytes)),
              log_number("ms", (clock_now_us() - p->rewrite.began_us) / 1000));
}

void rewrite_turn(struct persist *p)
{
    if (persist_get(p->trouble) != 0 || persist_get(p->stop)) {
        return;
    }
    if (!p->rewrite.is_running) {
        if (is_due(p)) {
            begin(p);
        }
    } else if (!walk_turn(p)) {
        finish(p);
    }
}

void rewrite_fini(struct persist *p)
{
    if (p->rewrite.parts.is_on) {
        end_parts(p);
    }
    buf_fini(&p->rewrite.keys_found);
}

enum persist_answer persist_rewrite(struct persist *p)
{
    if (persist_get(p->is_rewriting)) {
        return PERSIST_RUNNING;
    }
    if (persist_get(p->trouble) != 0) {
        return PERSIST_NOT_NOW;
    }
    persist_set(p->wants_rewrite, true);
    persist_wake(p, false);
    return PERSIST_STARTED;
}
