/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing: groups to the file, room ahead of them, syncs, and the log's thread.
 *
 * A group is written where the last whole one ended, by position: a write that failed half way is done
 * again at the same place, so the file never holds more than one unfinished group, its last. What was
 * taken from the journal stays in `group` until it is written.
 *
 *      0 ......... size ......................... reserved
 *      groups      | journal, group: must fit    |
 *
 * Room is reserved with fallocate(KEEP_SIZE): the blocks are ours, the file's length stays true. `limit` is
 * the same as a position of the journal, so that asking costs two loads. Where the file system cannot
 * reserve, writes are admitted until one fails.
 *
 * Invariants: W1. `written` rises only when a group is whole in the file; `synced` only after an fdatasync()
 * that began later. W2. `synced` <= `written` <= the journal's end.
 *
 * Threads: with `file` locked whoever writes; sync and thread: the log's.
 */
#include "persist/persist_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    STEP = 8 * 1024 * 1024,          /* reserved at a time */
    STEP_MIN = 64 * 1024,            /* less is no room */
    SLACK = 16 * 1024,               /* proofs, and effects of commands that take none */
    WAITING_MAX = 256 * 1024 * 1024, /* more is not admitted while so much is not written */
    KEEP_BYTES = 1024 * 1024,        /* of the group's buffer */
    SYNC_EVERY_MS = 1000,
    RETRY_MS = 100,
    HELD_UP_MS = 10,
    TELL_EVERY_MS = 10 * 1000,
};

/* --- trouble ------------------------------------------------------------------------------------ */

static bool is_full(int why)
{
    return why == ENOSPC || why == EDQUOT;
}

void writer_note_trouble(struct persist *p, int why)
{
    uint64_t now_ms = clock_now_ms();
    bool is_new = persist_get(p->trouble) == 0;
    persist_set(p->trouble, why);
    if (is_new || now_ms - p->told_ms > TELL_EVERY_MS) {
        p->told_ms = now_ms;
        log_event(LOG_ERROR, "persist",
                  is_full(why) ? "the log cannot grow: writes to durable spaces are refused until "
                                 "it can; free space on that disk"
                               : "the log cannot be written: writes to durable spaces are refused "
                                 "until it can; look at that disk",
                  log_text("dir", p->options.dir), log_text("reason", strerror(why)));
    }
}

static void end_trouble(struct persist *p)
{
    if (persist_get(p->trouble) != 0) {
        persist_set(p->trouble, 0);
        log_event(LOG_INFO, "persist", "the log can grow again: writes are admitted",
                  log_text("dir", p->options.dir));
    }
}

/* --- room --------------------------------------------------------------------------------------- */

static void set_limit(struct persist *p)
{
    uint64_t room = p->reserved - p->size;
    uint64_t limit = p->reserved == UINT64_MAX ? UINT64_MAX
                     : room > SLACK            ? persist_get(p->written) + room - SLACK
                                               : 0;
    persist_set(p->limit, limit);
}

static bool fits(const struct persist *p, size_t bytes)
{
    uint64_t limit = persist_get(p->limit);
    return limit == UINT64_MAX || journal_end(p->journal) + bytes <= limit;
}

/* Room for `bytes` more than what waits already; in large steps, or in small ones where the disk is
 * nearly full. */
bool writer_reserve(struct persist *p, size_t bytes)
{
    uint64_t waiting = journal_end(p->journal) - persist_get(p->written);
    uint64_t least = p->size + waiting + bytes + 2ULL * SLACK;
    int why = 0;
    for (uint64_t step = STEP; step >= STEP_MIN && !fits(p, bytes); step /= 2) {
        uint64_t upto = least + step;
        if (fallocate(p->fd, FALLOC_FL_KEEP_SIZE, (off_t)p->size, (off_t)(upto - p->size)) == 0) {
            p->reserved = upto;
        } else if (errno == EOPNOTSUPP || errno == ENOSYS) {
            p->reserved = UINT64_MAX;
        } else {
            why = errno;
        }
        set_limit(p);
    }
    if (!fits(p, bytes)) {
        writer_note_trouble(p, why != 0 ? why : ENOSPC);
        return false;
    }
    return true;
}

static uint64_t waiting_bytes(const struct persist *p)
{
    return journal_end(p->journal) - persist_get(p->written);
}

bool persist_admits(struct persist *p, size_t bytes)
{
    if (__builtin_expect(persist_get(p->trouble) != 0 || waiting_bytes(p) > WAITING_MAX, 0)) {
        return false;
    }
    if (__builtin_expect(fits(p, bytes), 1)) {
        return true;
    }
    lock_acquire(&p->file);
    bool ok = writer_reserve(p, bytes);
    lock_release(&p->file);
    if (!ok) {
        persist_wake(p, false);
    }
    return ok;
}

void persist_trouble(const struct persist *p, struct buf *out)
{
    int why = persist_get(p->trouble);
    uint64_t waiting = waiting_bytes(p);
    if (why == 0 && waiting > WAITING_MAX) {
        buf_printf(out,
                   "MISCONF the disk does not keep up: %llu MB wait to be written to %s. Writes to "
                   "durable spaces are refused until it has caught up",
                   (unsigned long long)(waiting >> 20), p->options.dir);
        return;
    }
    why = why != 0 ? why : ENOSPC;
    buf_printf(out,
               "MISCONF Errors writing to the AOF file: %s (%s). Writes to durable spaces are "
               "refused until %s; reads and other spaces go on",
               strerror(why), p->options.dir,
               is_full(why) ? "the disk has room again" : "it can be written again");
}

/* --- groups ------------------------------------------------------------------------------------- */

static bool put_at(int fd, struct slice bytes, uint64_t at)
{
    while (bytes.len > 0) {
        ssize_t put = pwrite(fd, bytes.ptr, bytes.len, (off_t)at);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? ENOSPC : errno;
            return false;
        }
        bytes = slice_from(bytes, (size_t)put);
        at += (uint64_t)put;
    }
    return true;
}

static bool write_group(struct persist *p)
{
    struct slice bytes = buf_readable(&p->group);
    if (!put_at(p->fd, bytes, p->size)) {
        writer_note_trouble(p, errno);
        return false;
    }
    p->size += bytes.len;
    buf_clear(&p->group);
    buf_shrink(&p->group, KEEP_BYTES);
    persist_add(p->groups, 1);
    persist_set(p->all_bytes, p->old_bytes + p->size);
    atomic_store_explicit(&p->written, p->group_end, memory_order_release);
    set_limit(p);
    return true;
}

bool writer_flush(struct persist *p)
{
    if (buf_len(&p->group) == 0) {
        p->group_end = journal_take(p->journal, &p->group);
        if (buf_len(&p->group) == 0) {
            return true;
        }
        group_put_proof(&p->group, p->nonce, p->size);
    } else if (!write_group(p)) { /* what could not be written before */
        return false;
    } else {
        return writer_flush(p);
    }
    return write_group(p);
}

bool writer_put_mark(struct persist *p, enum group_mark mark)
{
    if (!writer_flush(p)) {
        return false;
    }
    group_put_mark(&p->group, mark);
    group_put_proof(&p->group, p->nonce, p->size);
    p->group_end = persist_get(p->written);
    return write_group(p);
}

void persist_write(struct persist *p)
{
    lock_acquire(&p->file);
    (void)writer_flush(p);
    lock_release(&p->file);
}

/* --- syncs -------------------------------------------------------------------------------------- */

_Noreturn void writer_end_for_sync(const struct persist *p, int why)
{
    log_event(LOG_ERROR, "persist",
              "the disk failed to sync the log: what it has kept is unknown, so the process ends "
              "and the next start reads what is there; look at the disk",
              log_text("dir", p->options.dir), log_text("reason", strerror(why)));
    _exit(1);
}

void writer_sync(struct persist *p, bool always)
{
    uint64_t upto = atomic_load_explicit(&p->written, memory_order_acquire);
    uint64_t began_us = clock_now_us();
    if (upto == persist_get(p->synced) && !always) {
        return;
    }
    if (fdatasync(p->fd) != 0) {
        writer_end_for_sync(p, errno);
    }
    persist_add(p->syncs, 1);
    persist_set(p->sync_us, clock_now_us() - began_us);
    persist_set(p->synced_wall_ms, clock_wall_ms());
    atomic_store_explicit(&p->synced, upto, memory_order_release);
}

/* --- files -------------------------------------------------------------------------------------- */

int writer_new_file(struct persist *p, bool is_rewrite, uint64_t *ret_number, uint64_t *ret_nonce,
                    uint64_t *ret_size)
{
    struct buf header;
    check(getrandom(ret_nonce, sizeof(*ret_nonce), 0) == (ssize_t)sizeof(*ret_nonce));
    int fd = log_dir_create(&p->dir, ret_number);
    if (fd < 0) {
        return -1;
    }
    buf_init(&header);
    group_put_header(&header, *ret_nonce, is_rewrite);
    *ret_size = buf_len(&header);
    bool ok = put_at(fd, buf_readable(&header), 0) && fsync(fd) == 0;
    int why = errno;
    buf_fini(&header);
    if (!ok) {
        (void)close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

void writer_use(struct persist *p, int fd, uint64_t nonce, uint64_t size)
{
    p->fd = fd;
    p->nonce = nonce;
    p->size = size;
    p->reserved = size;
    persist_set(p->all_bytes, p->old_bytes + size);
    set_limit(p);
}

/* --- the log's thread --------------------------------------------------------------------------- */

void persist_wake(struct persist *p, bool sync)
{
    if (sync) {
        persist_set(p->wants_sync, true);
    }
    if (!atomic_exchange_explicit(&p->woken, true, memory_order_acq_rel)) {
        uint64_t one = 1;
        (void)!write(p->wake_fd, &one, sizeof(one));
    }
}

static void wait_for_work(struct persist *p)
{
    struct pollfd wake = {.fd = p->wake_fd, .events = POLLIN};
    int wait_ms = persist_get(p->trouble) != 0 ? RETRY_MS
                  : !p->rewrite.is_running     ? SYNC_EVERY_MS
                  : p->rewrite.is_held_up      ? HELD_UP_MS
                                               : 0;
    thread_rest();
    if (poll(&wake, 1, wait_ms) > 0) {
        uint64_t count;
        (void)!read(p->wake_fd, &count, sizeof(count));
    }
    (void)atomic_exchange_explicit(&p->woken, false, memory_order_acq_rel);
    thread_turn(clock_now_us());
}

/* Writes what waits, and looks whether there is room again. */
static void write_turn(struct persist *p)
{
    lock_acquire(&p->file);
    bool had_trouble = persist_get(p->trouble) != 0;
    bool ok = writer_flush(p);
    if (ok && had_trouble && writer_reserve(p, STEP_MIN)) {
        end_trouble(p);
    }
    lock_release(&p->file);
}

static bool sync_is_due(struct persist *p, uint64_t now_ms)
{
    bool asked = atomic_exchange_explicit(&p->wants_sync, false, memory_order_relaxed);
    return p->options.always || asked || now_ms - p->synced_ms >= SYNC_EVERY_MS;
}

/* Positions move here, in a rewrite, and where workers write. */
static void tell_safe(struct persist *p)
{
    uint64_t written = persist_get(p->written);
    uint64_t synced = persist_get(p->synced);
    if (written != p->told_written || synced != p->told_synced) {
        p->told_written = written;
        p->told_synced = synced;
        p->options.safe_moved(p->options.arg);
    }
}

static void *log_body(void *arg)
{
    struct persist *p = arg;
    thread_enter("log", false);
    while (!persist_get(p->stop)) {
        wait_for_work(p);
        write_turn(p);
        uint64_t now_ms = clock_now_ms();
        if (sync_is_due(p, now_ms)) {
            p->synced_ms = now_ms;
            writer_sync(p, false);
        }
        rewrite_turn(p);
        tell_safe(p);
    }
    thread_leave();
    return NULL;
}

void persist_start(struct persist *p)
{
    store_remember(p->options.store, true);
    p->is_started = true;
    check(pthread_create(&p->thread, NULL, log_body, p) == 0);
}

void persist_stop(struct persist **pp)
{
    struct persist *p = *pp;
    *pp = NULL;
    if (p == NULL) {
        return;
    }
    if (p->is_started) {
        persist_set(p->stop, true);
        persist_wake(p, true);
        check(pthread_join(p->thread, NULL) == 0);
        lock_acquire(&p->file);
        if (!writer_flush(p)) {
            log_error("persist",
                      "%llu bytes of effects could not be written at the end; nobody was "
                      "told that they are safe",
                      (unsigned long long)(journal_end(p->journal) - persist_get(p->written)));
        }
        lock_release(&p->file);
        writer_sync(p, true);
        (void)!ftruncate(p->fd, (off_t)p->size); /* gives back what was reserved */
    }
    rewrite_fini(p);
    if (p->fd >= 0) {
        (void)close(p->fd);
    }
    (void)close(p->wake_fd);
    buf_fini(&p->group);
    lock_fini(&p->file);
    log_dir_close(&p->dir);
    free(p);
}
