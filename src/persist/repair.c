/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For people with a shell: what is in a log, is it whole, and what to do when it is not.
 *
 * Repairing keeps what can be read from the beginning and nothing else: what comes behind damage speaks of
 * a state that cannot be known. So a damaged file is cut where it cannot be read, files behind it are put
 * aside, and everything cut or put aside stays in the directory under another name. A lost manifest is
 * written again from the files that are there, in order of their numbers, which is the order in
 * which they were made.
 *
 * A first file that was made by a rewrite, and cut before its mark COMPLETE, gets the mark: the keys that
 * it had not rebuilt yet are lost, and the message says so.
 *
 * Threads: one, and no daemon (repairing takes the lock).
 */
#include "persist/persist_priv.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COPY_BYTES = 1024 * 1024 };

/* What reading a file to its end, or to what is wrong, has found. */
struct finding {
    enum group_result result; /* GROUP_END, GROUP_TORN, GROUP_DAMAGED */
    const char *why;
    uint64_t at;
    uint64_t size;
    uint64_t groups;
    uint64_t commands;
    uint64_t nonce;
    bool is_rewrite;
    bool is_complete;
    bool is_ended; /* as a file that another follows */
};

static void say_failed(struct buf *out, char *why)
{
    buf_printf(out, "%s\n", why);
    free(why);
}

/* --- looking -------------------------------------------------------------------------------------- */

static void read_commands(struct group_reader *r, struct slice rest, struct finding *f)
{
    enum group_mark mark = group_mark_of(rest);
    f->is_complete |= mark == GROUP_COMPLETE;
    f->is_ended = mark == GROUP_ENDED;
    while (mark == GROUP_NO_MARK && rest.len > 0 && group_next_command(r, &rest)) {
        f->commands++;
    }
}

/* False and a reason: it cannot be read, or is not this version's. */
static bool look_at(const struct log_dir *d, uint64_t number, struct finding *ret_finding,
                    char **ret_why)
{
    struct log_map map;
    struct group_reader r;
    struct slice commands;
    struct finding f = {.result = GROUP_READ};
    if (!log_map_open(&map, d, number, ret_why)) {
        return false;
    }
    group_reader_init(&r, map.bytes);
    while ((f.result = group_read(&r, &commands)) == GROUP_READ) {
        read_commands(&r, commands, &f);
    }
    f.why = r.why != NULL ? r.why : "its end is missing, and another file follows";
    f.at = r.at;
    f.size = r.all.len;
    f.groups = r.groups;
    f.nonce = r.nonce;
    f.is_rewrite = r.is_rewrite;
    group_reader_fini(&r);
    log_map_close(&map);
    if (f.result == GROUP_FOREIGN) {
        char name[LOG_NAME_MAX];
        log_dir_name(number, name);
        *ret_why = xasprintf("%s/%s: %s", d->path, name, f.why);
        return false;
    }
    *ret_finding = f;
    return true;
}

static bool tell_file(struct buf *out, const struct log_dir *d, uint32_t index,
                      const struct finding *f)
{
    char name[LOG_NAME_MAX];
    uint32_t last = log_dir_last_written(d);
    bool is_last = index == last;
    bool is_whole = f->result == GROUP_END && (index >= last || f->is_ended);
    log_dir_name(d->files[index], name);
    buf_printf(out, "%s/%s: %" PRIu64 " bytes, %" PRIu64 " groups, %" PRIu64 " commands%s", d->path,
               name, f->size, f->groups, f->commands, f->is_rewrite ? ", from a rewrite" : "");
    if (is_whole) {
        buf_append_str(out, ": whole\n");
    } else if (f->result == GROUP_TORN && is_last) {
        buf_printf(out,
                   ": its last write was not finished: %" PRIu64 " bytes at byte %" PRIu64
                   " were never acknowledged; the next start cuts them\n",
                   f->size - f->at, f->at);
    } else {
        buf_printf(out, ": DAMAGED at byte %" PRIu64 ": %s; %" PRIu64 " bytes follow\n", f->at,
                   f->why, f->size - f->at);
    }
    if (index == 0 && f->is_rewrite && !f->is_complete && is_whole) {
        buf_append_str(out,
                       "  the rewrite that made it did not end, and files before it are missing\n");
        return false;
    }
    return is_whole || (f->result == GROUP_TORN && is_last);
}

bool persist_check_dir(const char *dir, struct buf *out)
{
    struct log_dir d;
    char *why = NULL;
    bool ok = true;
    bool can_be_repaired = false;
    if (!log_dir_open(&d, dir, LOG_DIR_LOOK, &why)) {
        say_failed(out, why);
        return false;
    }
    if (d.count == 0) {
        buf_printf(out, "%s: no log\n", dir);
    }
    for (uint32_t i = 0; i < d.count; i++) {
        struct finding f;
        if (!look_at(&d, d.files[i], &f, &why)) {
            say_failed(out, why);
            ok = false;
        } else if (!tell_file(out, &d, i, &f)) {
            ok = false;
            can_be_repaired = true;
        }
    }
    if (can_be_repaired) {
        buf_printf(
            out,
            "A start is refused. `freshet log repair %s` keeps what can be read from the beginning "
            "and puts the rest aside.\n",
            dir);
    }
    log_dir_close(&d);
    return ok;
}

bool persist_show_dir(const char *dir, struct buf *out, void (*flush)(struct buf *out))
{
    struct log_dir d;
    char *why = NULL;
    bool ok = true;
    if (!log_dir_open(&d, dir, LOG_DIR_LOOK, &why)) {
        say_failed(out, why);
        return false;
    }
    for (uint32_t i = 0; ok && i < d.count; i++) {
        struct log_map map;
        struct group_reader r;
        struct slice commands;
        if (!log_map_open(&map, &d, d.files[i], &why)) {
            say_failed(out, why);
            ok = false;
            break;
        }
        group_reader_init(&r, map.bytes);
        while (group_read(&r, &commands) == GROUP_READ) {
            if (group_mark_of(commands) == GROUP_NO_MARK) {
                buf_append_slice(out, commands);
            }
            if (buf_len(out) > 0) {
                flush(out);
            }
        }
        ok = r.at == r.all.len;
        group_reader_fini(&r);
        log_map_close(&map);
    }
    log_dir_close(&d);
    return ok;
}

/* --- repairing ------------------------------------------------------------------------------------ */

/* "log-1.resp.kept-3": a name that is not taken. */
static void kept_name(const struct log_dir *d, const char *name, char *ret_kept, size_t cap)
{
    for (unsigned i = 1;; i++) {
        (void)snprintf(ret_kept, cap, "%s.kept-%u", name, i);
        if (faccessat(d->fd, ret_kept, F_OK, 0) != 0) {
            return;
        }
    }
}

static bool copy_all(int from, int to)
{
    char *room = xmalloc(COPY_BYTES);
    ssize_t got;
    bool ok = true;
    while (ok && (got = read(from, room, COPY_BYTES)) > 0) {
        ok = write(to, room, (size_t)got) == got;
    }
    free(room);
    return ok && got == 0 && fsync(to) == 0;
}

static bool keep_copy(const struct log_dir *d, const char *name, const char *kept)
{
    int from = openat(d->fd, name, O_RDONLY | O_CLOEXEC);
    int to = openat(d->fd, kept, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    bool ok = from >= 0 && to >= 0 && copy_all(from, to);
    int why = errno;
    if (from >= 0) {
        (void)close(from);
    }
    if (to >= 0) {
        (void)close(to);
    }
    errno = why;
    return ok;
}

/* Cuts the file; a rewrite without its mark gets it. */
static bool cut_file(const struct log_dir *d, const char *name, const struct finding *f, bool mark)
{
    struct buf group;
    int fd = openat(d->fd, name, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && ftruncate(fd, (off_t)f->at) == 0;
    buf_init(&group);
    if (ok && mark) {
        group_put_mark(&group, GROUP_COMPLETE);
        group_put_proof(&group, f->nonce, f->at);
        struct slice bytes = buf_readable(&group);
        ok = pwrite(fd, bytes.ptr, bytes.len, (off_t)f->at) == (ssize_t)bytes.len;
    }
    ok = ok && fsync(fd) == 0;
    int why = errno;
    buf_fini(&group);
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = why;
    return ok;
}

static bool repair_file(struct log_dir *d, uint32_t index, const struct finding *f, struct buf *out)
{
    char name[LOG_NAME_MAX];
    char kept[LOG_NAME_MAX + 16];
    bool mark = index == 0 && f->is_rewrite && !f->is_complete;
    log_dir_name(d->files[index], name);
    kept_name(d, name, kept, sizeof(kept));
    if (!keep_copy(d, name, kept) || !cut_file(d, name, f, mark)) {
        buf_printf(out, "%s/%s cannot be repaired: %s\n", d->path, name, strerror(errno));
        return false;
    }
    buf_printf(out,
               "%s/%s: cut at byte %" PRIu64 "; %" PRIu64
               " bytes of changes are lost to the log; the "
               "whole file is kept as %s\n",
               d->path, name, f->at, f->size - f->at, kept);
    if (mark) {
        buf_append_str(
            out, "  it was made by a rewrite and damaged before its end: keys that it had not "
                 "come to are lost, and keys changed meanwhile may be incomplete\n");
    }
    return true;
}

static bool put_aside(struct log_dir *d, uint32_t from, struct buf *out)
{
    for (uint32_t i = from; i < d->count; i++) {
        char name[LOG_NAME_MAX];
        char kept[LOG_NAME_MAX + 16];
        log_dir_name(d->files[i], name);
        kept_name(d, name, kept, sizeof(kept));
        if (renameat(d->fd, name, d->fd, kept) != 0) {
            buf_printf(out, "%s/%s cannot be renamed: %s\n", d->path, name, strerror(errno));
            return false;
        }
        buf_printf(out, "%s/%s: comes behind the damage: put aside as %s\n", d->path, name, kept);
    }
    return true;
}

/* From the first file that is not whole on. `ret_count`: the files that remain the log. */
static bool repair_files(struct log_dir *d, struct buf *out, uint32_t *ret_count)
{
    for (uint32_t i = 0; i < d->count; i++) {
        struct finding f;
        char *why = NULL;
        if (!look_at(d, d->files[i], &f, &why)) {
            say_failed(out, why);
            return false;
        }
        bool lacks_mark = i == 0 && f.is_rewrite && !f.is_complete;
        bool lacks_end = i < log_dir_last_written(d) && !f.is_ended;
        if (f.result == GROUP_END && !lacks_mark && !lacks_end) {
            continue;
        }
        bool has_header = f.at > 0;
        *ret_count = has_header ? i + 1 : i;
        return (!has_header || repair_file(d, i, &f, out)) &&
               put_aside(d, has_header ? i + 1 : i, out);
    }
    *ret_count = d->count;
    return true;
}

bool persist_repair_dir(const char *dir, struct buf *out)
{
    struct log_dir d;
    char *why = NULL;
    uint32_t count = 0;
    if (!log_dir_open(&d, dir, LOG_DIR_REPAIR, &why)) {
        say_failed(out, why);
        return false;
    }
    uint32_t before = d.count;
    size_t said = buf_len(out);
    bool ok = repair_files(&d, out, &count);
    if (ok && count == 0) {
        ok = unlinkat(d.fd, "manifest", 0) == 0 || errno == ENOENT;
        if (before > 0) {
            buf_append_str(out,
                           "nothing of the log can be read: the next start begins with none\n");
        }
    } else if (ok) {
        ok = log_dir_commit(&d, d.files, count);
    }
    if (!ok && why == NULL) {
        buf_printf(out, "%s was not repaired: %s\n", dir, strerror(errno));
    } else if (buf_len(out) == said) {
        buf_printf(out, "%s: the log is whole, nothing was cut\n", dir);
    }
    log_dir_close(&d);
    return ok;
}
