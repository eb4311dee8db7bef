/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * persist: what durable spaces have promised, on disk.
 *
 *      store ─ journal ─> group ─> one write, FRESHET.CRC behind it ─> log-N.resp ─> fdatasync
 *                                  by a worker (everysec)                           by the log's thread
 *                                  or the log's thread (always)
 *
 * The log holds effects in the words of Redis (store/effect.h), in files of groups (group.h) in a
 * directory of its own (dir.h). A position is the journal's. `persist_safe()` is the position up to
 * which everything is as safe as the policy asks: `always`, on the disk; `everysec`, given to the system, so
 * that the death of the process loses nothing, and on the disk a second later. A reply leaves when what
 * it shows is safe; so nothing acknowledged can be lost, and many clients share one write and one sync.
 *
 * Room on the disk is reserved ahead. What was admitted fits; when no more can be reserved, nothing is
 * admitted (persist_admits()) until the disk has room again, which the log's thread looks for.
 *
 * The log is rewritten while it is written, by the log's thread alone and without a fork (rewrite.c).
 *
 * A disk that fails to sync has perhaps dropped what it had taken, and will not say so twice: the process
 * then ends, and the log is read again.
 *
 * Threads: the log's thread owns files; persist_write() may be called by any worker.
 * Not done: compression; more than one log.
 */
#ifndef PERSIST_PERSIST_H
#define PERSIST_PERSIST_H

#include "base/buf.h"
#include "store/store.h"

struct persist;

struct persist_options {
    const char *dir;
    bool always;             /* safe is on the disk, not only with the system */
    uint32_t rewrite_growth; /* percent above the size after the last rewrite; 0: only when asked */
    uint64_t rewrite_min_bytes; /* smaller logs are left alone */
    struct store *store;
    struct store_gate *gate; /* the log's own; the loading thread's before persist_start() */
    const uint8_t *dbs;      /* the durable databases, borrowed */
    uint32_t db_count;
    void *arg;
    void (*safe_moved)(void *arg); /* by the log's thread: persist_safe() has risen */
};

/* Takes the directory. NULL and a reason (caller frees) when it is in use, damaged, not writable. */
struct persist *persist_open(const struct persist_options *options, char **ret_why);

/* Reads the log. */
struct persist_reader {
    void *arg;
    /* Runs a command. False: it failed; `ret_error` says why, until the next call. */
    bool (*run)(void *arg, const struct slice *argv, uint32_t argc, struct slice *ret_error);
    /* Between groups; false: give up. */
    bool (*go_on)(void *arg, uint64_t done_bytes, uint64_t all_bytes);
};
enum persist_loaded { PERSIST_LOADED, PERSIST_REFUSED, PERSIST_GIVEN_UP };
/* REFUSED: `ret_why` says which file, where in it, and what to do. A torn tail is cut and logged. */
enum persist_loaded persist_load(struct persist *p, const struct persist_reader *reader,
                                 char **ret_why);
/* Begins to write. After loading. */
void persist_start(struct persist *p);
/* Writes and syncs everything and ends. No other thread uses the store any more. */
void persist_stop(struct persist **p);

/* Acquire; any thread. */
uint64_t persist_safe(const struct persist *p);
uint64_t persist_synced(const struct persist *p);
bool persist_is_always(const struct persist *p);
/* Writes what the journal holds; does not sync. Any worker, with nothing held. */
void persist_write(struct persist *p);
/* The log's thread shall write, and sync if `sync`. */
void persist_wake(struct persist *p, bool sync);
/* Is there room for effects of about so many bytes? False: writes must be refused;
 * persist_trouble() appends why. May reserve room, that is: a system call now and then. */
bool persist_admits(struct persist *p, size_t bytes);
void persist_trouble(const struct persist *p, struct buf *out);

enum persist_answer { PERSIST_STARTED, PERSIST_RUNNING, PERSIST_NOT_NOW };
/* Begins a rewriting of the log, as it begins by itself. Any thread. */
enum persist_answer persist_rewrite(struct persist *p);

struct persist_figures {
    uint64_t bytes;      /* of all files */
    uint64_t base_bytes; /* after the last rewrite, or at the start */
    uint64_t pending;    /* not written yet */
    uint64_t unsynced;   /* written, not synced yet */
    uint64_t groups;     /* writes */
    uint64_t syncs;
    uint64_t rewrites;
    uint64_t sync_us; /* the last one took */
    uint64_t load_us; /* reading at the start took */
    uint64_t load_commands;
    uint64_t synced_wall_ms; /* when it last was, 0: never */
    int trouble;             /* errno; 0: none */
    bool is_rewriting;
    bool last_rewrite_failed;
};
/* Any thread; each figure is of its own moment. */
void persist_figures(const struct persist *p, struct persist_figures *ret_figures);

/* --- for the command line: no daemon uses the directory meanwhile --------------------------------- */

/* Reads everything and says what is there; false when the log cannot be read whole. Lines go to `out`. */
bool persist_check_dir(const char *dir, struct buf *out);
/* Cuts the log where it cannot be read, after copying what is cut; false when it could not. */
bool persist_repair_dir(const char *dir, struct buf *out);
/* The log's commands, without proofs and marks: what any Redis understands. False as for check. */
bool persist_show_dir(const char *dir, struct buf *out, void (*flush)(struct buf *out));

#endif
