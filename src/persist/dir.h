/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dir: the directory of the log: who owns it, and which files make up the log, in order.
 *
 *      lock         held by the daemon that uses the directory, as long as it lives
 *      manifest     the names of the log's files in order, and a line that proves the others
 *      log-N.resp   a log file (group.h)
 *
 * The manifest is replaced as a whole (written beside, synced, renamed), so the log always is either what it
 * was or what it became. A log file that no manifest names was never part of the log, or no longer is:
 * it is removed when the directory is opened for writing.
 *
 * Threads: one owner. Every function logs nothing; failures come back as a text that says what, where and
 * what to do (malloc'ed, the caller frees).
 */
#ifndef PERSIST_DIR_H
#define PERSIST_DIR_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* LOG_HEADER_MAX: of a file that was only begun, its first group (group.h); one more group makes it longer. */
enum { LOG_FILES_MAX = 64, LOG_NAME_MAX = 32, LOG_HEADER_MAX = 129 };

struct log_dir {
    char *path;
    int fd;          /* of the directory */
    int lock_fd;     /* -1: not locked */
    bool is_foreign; /* its manifest is of a later version: nobody may repair what he cannot read */
    uint32_t count;
    uint64_t files[LOG_FILES_MAX]; /* numbers, in order */
    uint64_t next;                 /* number of the next new file */
    bool is_unsure; /* a manifest was put in place, and the directory failed to sync */
};

enum log_dir_mode {
    LOG_DIR_LOOK, /* reads; takes no lock */
    LOG_DIR_OWN,  /* creates the directory (not its parents), takes the lock */
    LOG_DIR_REPAIR, /* takes the lock; a manifest that cannot be read is made from the files there are */
};

/* A directory without manifest and files is an empty log. False and a reason. */
bool log_dir_open(struct log_dir *d, const char *path, enum log_dir_mode mode, char **ret_why);
void log_dir_close(struct log_dir *d);
void log_dir_name(uint64_t number, char ret_name[LOG_NAME_MAX]);
/* "/path/log-1.resp", malloc'ed. */
char *log_dir_file_path(const struct log_dir *d, uint64_t number);
uint64_t log_dir_size(const struct log_dir *d, uint64_t number); /* 0: no such file */
/* The index of the last file that was written to; those behind it were only begun. Not of an empty log. */
uint32_t log_dir_last_written(const struct log_dir *d);
/* A new file, opened for writing; its number is `d->next`, which rises. -1: errno says why. */
int log_dir_create(struct log_dir *d, uint64_t *ret_number);
/* Makes these files the log. False: errno says why, and the log is what it was; unless `is_unsure`. */
bool log_dir_commit(struct log_dir *d, const uint64_t *files, uint32_t count);
/* Removes log files that are not part of the log, and a manifest that was not put in place. */
void log_dir_sweep(const struct log_dir *d);

/* A file's bytes, mapped for reading. */
struct log_map {
    struct slice bytes;
    void *mem;
};
bool log_map_open(struct log_map *m, const struct log_dir *d, uint64_t number, char **ret_why);
void log_map_close(struct log_map *m);

#endif
