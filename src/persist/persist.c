/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log as a whole: taking its directory, reading it at the start, telling how it is.
 *
 * Reading. Files are read in the manifest's order, group by group; a command runs only after its
 * group has proved itself. The first file, if it was made by a rewrite, begins with effects on keys that it
 * has not rebuilt yet: until its mark FRESHET.LOG COMPLETE commands may fail, since every key they can
 * be about is rebuilt whole before that mark. After it, and in every other file, a command that fails
 * means that log and program disagree: the start is refused.
 *
 * Only the last file that was written to may be torn: it was synced before the next was. The others end with
 * the mark FRESHET.LOG ENDED, so that one which was cut between two groups is noticed too.
 *
 * Threads: one, before persist_start(); figures any.
 */
#include "persist/persist_priv.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct persist *persist_open(const struct persist_options *options, char **ret_why)
{
    struct persist *p = xcalloc(1, sizeof(*p));
    p->options = *options;
    p->journal = store_journal(options->store);
    check(p->journal != NULL);
    p->fd = -1;
    if (!log_dir_open(&p->dir, options->dir, LOG_DIR_OWN, ret_why)) {
        free(p);
        return NULL;
    }
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    check(p->wake_fd >= 0);
    lock_init(&p->file, LOCK_RANK_FILE);
    buf_init(&p->group);
    buf_init(&p->rewrite.keys_found);
    store_remember(options->store, false);
    return p;
}

/* --- reading ------------------------------------------------------------------------------------ */

struct loading {
    struct persist *p;
    const struct persist_reader *reader;
    char **ret_why;
    uint64_t all_bytes;
    uint64_t done_bytes; /* of the files before */
    uint64_t commands;
    bool is_partial;             /* the mark COMPLETE has not come yet */
    bool is_ended;               /* the last group read was the mark ENDED */
    uint32_t last;               /* index of the last file that was written to */
    char aside[GROUP_ASIDE + 1]; /* of this file */
    bool has_parts;              /* of a large collection, perhaps not all */
    const char *path;
};

static bool is_aside(const struct resp_parser *parser, const char *aside)
{
    return parser->argc > 1 && parser->argv[1].len == GROUP_ASIDE &&
           memcmp(parser->argv[1].ptr, aside, GROUP_ASIDE) == 0;
}

/* A rewrite that did not end may have left parts of a large collection. */
static void throw_parts_away(struct loading *l)
{
    for (uint32_t i = 0; i < l->p->options.db_count && l->has_parts; i++) {
        char db[NUMBER_MAX_LEN];
        struct slice error;
        struct slice select[] = {SLICE("SELECT"),
                                 {db, number_format_u64(db, l->p->options.dbs[i])}};
        struct slice del[] = {SLICE("DEL"), slice_of(l->aside)};
        (void)l->reader->run(l->reader->arg, select, 2, &error);
        (void)l->reader->run(l->reader->arg, del, 2, &error);
    }
    l->has_parts = false;
}

static bool run_group(struct loading *l, struct group_reader *r, struct slice rest)
{
    const char *base = r->all.ptr;
    enum group_mark mark = group_mark_of(rest);
    l->is_ended = mark == GROUP_ENDED;
    l->is_partial &= mark != GROUP_COMPLETE;
    if (mark != GROUP_NO_MARK) {
        return true;
    }
    while (rest.len > 0) {
        uint64_t at = (uint64_t)(rest.ptr - base);
        struct slice error = {"", 0};
        check(group_next_command(r, &rest));
        l->commands++;
        l->has_parts |= is_aside(&r->parser, l->aside);
        if (!l->reader->run(l->reader->arg, r->parser.argv, r->parser.argc, &error) &&
            (!l->is_partial || slice_is(r->parser.argv[0], "SELECT"))) {
            *l->ret_why = xasprintf("%s: the command at byte %" PRIu64
                                    " (%.*s) cannot be repeated: %.*s. `freshet log "
                                    "show %s` shows the log",
                                    l->path, at, (int)r->parser.argv[0].len, r->parser.argv[0].ptr,
                                    (int)error.len, error.ptr, l->p->options.dir);
            return false;
        }
    }
    return true;
}

static enum persist_loaded refuse_damage(struct loading *l, const struct group_reader *r)
{
    *l->ret_why = xasprintf(
        "%s is damaged at byte %zu: %s. What follows may have been acknowledged, so nothing was "
        "cut. "
        "Look with `freshet log check %s`; `freshet log repair %s` keeps a copy and cuts there",
        l->path, r->at, r->why, l->p->options.dir, l->p->options.dir);
    return PERSIST_REFUSED;
}

static enum persist_loaded refuse_foreign(struct loading *l, const struct group_reader *r)
{
    *l->ret_why = xasprintf("%s: %s", l->path, r->why);
    return PERSIST_REFUSED;
}

/* The torn end of a file goes, so that what is written next stands behind its last group. */
static bool cut(struct loading *l, const struct group_reader *r)
{
    int fd = open(l->path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && ftruncate(fd, (off_t)r->at) == 0 && fsync(fd) == 0;
    if (!ok) {
        *l->ret_why = xasprintf("%s cannot be cut at byte %zu, where its last write was not "
                                "finished: %s",
                                l->path, r->at, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

static enum persist_loaded read_groups(struct loading *l, struct group_reader *r, bool is_last)
{
    for (;;) {
        struct slice commands;
        switch (group_read(r, &commands)) {
        case GROUP_READ:
            l->is_partial |= r->groups == 1 && r->is_rewrite && l->done_bytes == 0;
            group_aside_key(r->nonce, l->aside);
            if (!run_group(l, r, commands)) {
                return PERSIST_REFUSED;
            }
            if (!l->reader->go_on(l->reader->arg, l->done_bytes + r->at, l->all_bytes)) {
                return PERSIST_GIVEN_UP;
            }
            break;
        case GROUP_TORN:
            if (!is_last) {
                return refuse_damage(l, r);
            }
            log_event(
                LOG_WARN, "persist",
                "the log's last write was not finished when the process ended: it is cut; nobody "
                "was told that it was done",
                log_text("file", l->path), log_number("offset", r->at),
                log_number("bytes_cut", r->all.len - r->at));
            return cut(l, r) ? PERSIST_LOADED : PERSIST_REFUSED;
        case GROUP_END:
            return PERSIST_LOADED;
        case GROUP_DAMAGED:
            return refuse_damage(l, r);
        case GROUP_FOREIGN:
            return refuse_foreign(l, r);
        }
    }
}

/* The last file that was written to is where writing goes on. */
static bool reopen(struct loading *l, const struct group_reader *r)
{
    struct persist *p = l->p;
    int fd = open(l->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        *l->ret_why = xasprintf("%s cannot be written: %s", l->path, strerror(errno));
        return false;
    }
    (void)!ftruncate(fd, (off_t)r->at); /* what was reserved behind it goes too */
    p->old_bytes = l->done_bytes;
    writer_use(p, fd, r->nonce, r->at);
    return true;
}

static enum persist_loaded load_file(struct loading *l, uint32_t index)
{
    uint64_t number = l->p->dir.files[index];
    struct log_map map;
    struct group_reader r;
    if (!log_map_open(&map, &l->p->dir, number, l->ret_why)) {
        return PERSIST_REFUSED;
    }
    char *path = log_dir_file_path(&l->p->dir, number);
    l->path = path;
    group_reader_init(&r, map.bytes);
    enum persist_loaded result = read_groups(l, &r, index == l->last);
    if (result == PERSIST_LOADED && index < l->last && !l->is_ended) {
        r.why = "its end is missing, and another file follows";
        result = refuse_damage(l, &r);
    }
    if (result == PERSIST_LOADED && l->is_partial) {
        *l->ret_why =
            xasprintf("%s was made by a rewrite and lacks its end: files that the manifest "
                      "does not name are missing. Look with `freshet log check %s`",
                      path, l->p->options.dir);
        result = PERSIST_REFUSED;
    }
    if (result == PERSIST_LOADED && index == l->last && !reopen(l, &r)) {
        result = PERSIST_REFUSED;
    }
    if (result == PERSIST_LOADED) {
        throw_parts_away(l);
    }
    l->done_bytes += map.bytes.len;
    group_reader_fini(&r);
    log_map_close(&map);
    free(path);
    return result;
}

static uint64_t sum_bytes(const struct log_dir *d)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        sum += log_dir_size(d, d->files[i]);
    }
    return sum;
}

static enum persist_loaded begin_log(struct persist *p, char **ret_why)
{
    uint64_t number;
    uint64_t nonce;
    uint64_t size;
    int fd = writer_new_file(p, false, &number, &nonce, &size);
    if (fd < 0 || !log_dir_commit(&p->dir, &number, 1)) {
        *ret_why = xasprintf("%s: the log cannot be begun: %s", p->options.dir, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return PERSIST_REFUSED;
    }
    writer_use(p, fd, nonce, size);
    return PERSIST_LOADED;
}

/* Files that a rewrite had only begun are none of the log. */
static void tidy(struct persist *p, uint32_t count)
{
    if (count == p->dir.count || log_dir_commit(&p->dir, p->dir.files, count)) {
        log_dir_sweep(&p->dir);
    } else {
        p->dir.count = count; /* the next manifest says so */
    }
}

enum persist_loaded persist_load(struct persist *p, const struct persist_reader *reader,
                                 char **ret_why)
{
    uint64_t began_us = clock_now_us();
    struct loading l = {
        .p = p, .reader = reader, .ret_why = ret_why, .all_bytes = sum_bytes(&p->dir)};
    enum persist_loaded result = PERSIST_LOADED;
    uint32_t count = p->dir.count;
    if (count == 0) {
        result = begin_log(p, ret_why);
    } else {
        l.last = log_dir_last_written(&p->dir); /* now: what is cut may be all that it has */
    }
    for (uint32_t i = 0; result == PERSIST_LOADED && i < count; i++) {
        result = load_file(&l, i);
    }
    if (result == PERSIST_LOADED) {
        tidy(p, l.last + 1);
    }
    persist_set(p->base_bytes, persist_get(p->all_bytes));
    persist_set(p->load_us, clock_now_us() - began_us);
    persist_set(p->load_commands, l.commands);
    return result;
}

/* --- how it is ---------------------------------------------------------------------------------- */

uint64_t persist_safe(const struct persist *p)
{
    return atomic_load_explicit(p->options.always ? &p->synced : &p->written, memory_order_acquire);
}

uint64_t persist_synced(const struct persist *p)
{
    return atomic_load_explicit(&p->synced, memory_order_acquire);
}

bool persist_is_always(const struct persist *p)
{
    return p->options.always;
}

void persist_figures(const struct persist *p, struct persist_figures *ret_figures)
{
    uint64_t synced = persist_synced(p);
    uint64_t written = persist_get(p->written);
    *ret_figures = (struct persist_figures){
        .bytes = persist_get(p->all_bytes),
        .base_bytes = persist_get(p->base_bytes),
        .pending = journal_end(p->journal) - written,
        .unsynced = written > synced ? written - synced : 0,
        .groups = persist_get(p->groups),
        .syncs = persist_get(p->syncs),
        .rewrites = persist_get(p->rewrites),
        .sync_us = persist_get(p->sync_us),
        .load_us = persist_get(p->load_us),
        .load_commands = persist_get(p->load_commands),
        .synced_wall_ms = persist_get(p->synced_wall_ms),
        .trouble = persist_get(p->trouble),
        .is_rewriting = persist_get(p->is_rewriting),
        .last_rewrite_failed = persist_get(p->rewrite_failed),
    };
}
