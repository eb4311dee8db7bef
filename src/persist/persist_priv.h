/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of persist. */
#ifndef PERSIST_PERSIST_PRIV_H
#define PERSIST_PERSIST_PRIV_H

#include "base/lock.h"
#include "persist/dir.h"
#include "persist/group.h"
#include "persist/persist.h"
#include "store/journal.h"
#include "store/watch.h"

#include <stdatomic.h>

struct rewrite {
    bool is_running;
    bool is_held_up; /* a script owns the store */
    uint32_t db_at;  /* index into options.dbs */
    uint64_t cursor;
    uint32_t swaps; /* of databases, when it began */
    uint64_t keys;
    uint64_t began_us;
    uint64_t rest_until_ms; /* none begins before */
    struct buf keys_found;  /* not dumped yet */
    bool is_scanned;        /* the database: they are its last */
    struct {
        bool is_on;               /* a large collection is dumped in parts */
        struct store_watch watch; /* on it: its key, and whether it has changed since */
        uint64_t rank;            /* elements before it have been */
        uint32_t tries;
        char aside[GROUP_ASIDE + 1]; /* the key that has them */
    } parts;
};

struct persist {
    /* immutable after open */
    struct persist_options options;
    struct journal *journal;
    int wake_fd;

    /* the log's thread; the loading thread before it */
    struct log_dir dir;
    uint64_t old_bytes; /* of all files but the last */
    struct rewrite rewrite;
    uint64_t synced_ms;
    uint64_t told_written, told_synced; /* positions that the workers have heard of */
    uint64_t told_ms;                   /* trouble was last logged */
    pthread_t thread;
    bool is_started;

    /* `file`: held while writing, by workers and the log's thread; nothing else is held before */
    struct lock file;
    int fd;
    uint64_t nonce;
    uint64_t size;      /* whole groups */
    uint64_t reserved;  /* the file may grow up to here; UINT64_MAX: the file system does not say */
    struct buf group;   /* being written, with its proof; not empty afterwards: it could not be */
    uint64_t group_end; /* position behind it */

    /* atomic */
    _Atomic uint64_t written; /* position; release: who writes; acquire: persist_safe() */
    _Atomic uint64_t synced;  /* position; release: the log's thread; acquire: the same */
    _Atomic uint64_t limit;   /* position up to which the journal may grow; relaxed, a bound */
    _Atomic int trouble;      /* errno of the last write or reservation; relaxed */
    _Atomic bool woken;       /* release: persist_wake(); acquire: the log's thread */
    _Atomic bool wants_sync;
    _Atomic bool wants_rewrite;
    _Atomic bool stop;
    /* figures, relaxed */
    _Atomic uint64_t all_bytes, base_bytes, groups, syncs, rewrites, sync_us, load_us,
        load_commands;
    _Atomic uint64_t synced_wall_ms;
    _Atomic bool is_rewriting, rewrite_failed;
};

#define persist_set(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)
#define persist_get(field)        atomic_load_explicit(&(field), memory_order_relaxed)
#define persist_add(field, n)     atomic_fetch_add_explicit(&(field), (n), memory_order_relaxed)

/* writer.c, with `file` locked */
bool writer_flush(struct persist *p);
/* What waits is written, and behind it this mark; nothing behind that. */
bool writer_put_mark(struct persist *p, enum group_mark mark);
void writer_use(struct persist *p, int fd, uint64_t nonce, uint64_t size);
bool writer_reserve(struct persist *p, size_t bytes);
void writer_note_trouble(struct persist *p, int why);
/* without */
/* `always`: also when no position waits for it. */
void writer_sync(struct persist *p, bool always);
/* Something could not be synced: the process ends. */
_Noreturn void writer_end_for_sync(const struct persist *p, int why);
/* A new file with its header, synced; -1: errno. */
int writer_new_file(struct persist *p, bool is_rewrite, uint64_t *ret_number, uint64_t *ret_nonce,
                    uint64_t *ret_size);

/* rewrite.c: the log's thread */
void rewrite_turn(struct persist *p);
void rewrite_fini(struct persist *p);

#endif
