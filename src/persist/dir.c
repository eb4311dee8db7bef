/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory of the log; dir.h says what is in it.
 *
 * The lock is flock(): it goes with the process, however that ends. What is written to the lock file (the
 * process's number) is for people only.
 *
 *      freshet log 1          the manifest: a head with the version of the format,
 *      log-7.resp             one name a line,
 *      end 0123456789abcdef   a hash of the lines before
 *
 * Threads: one owner.
 */
#include "persist/dir.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST      "manifest"
#define MANIFEST_NEW  "manifest.new"
#define MANIFEST_KIND "freshet log " /* and the version of the format */
#define MANIFEST_HEAD MANIFEST_KIND "1\n"

enum { MANIFEST_MAX = 64 * 1024 };

void log_dir_name(uint64_t number, char ret_name[LOG_NAME_MAX])
{
    (void)snprintf(ret_name, LOG_NAME_MAX, "log-%" PRIu64 ".resp", number);
}

char *log_dir_file_path(const struct log_dir *d, uint64_t number)
{
    char name[LOG_NAME_MAX];
    log_dir_name(number, name);
    return xasprintf("%s/%s", d->path, name);
}

/* The number in a log file's name; 0: it is none. */
static uint64_t number_of(const char *name)
{
    char again[LOG_NAME_MAX];
    uint64_t number = 0;
    if (strncmp(name, "log-", 4) != 0) {
        return 0;
    }
    number = strtoull(name + 4, NULL, 10);
    log_dir_name(number, again);
    return strcmp(name, again) == 0 ? number : 0;
}

/* --- the manifest ------------------------------------------------------------------------------- */

static uint64_t manifest_hash(struct slice lines)
{
    return hash_bytes_fixed(0, lines.ptr, lines.len);
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return false;
        }
        bytes = slice_from(bytes, (size_t)put);
    }
    return true;
}

static bool write_manifest(struct log_dir *d, struct slice text)
{
    int fd = openat(d->fd, MANIFEST_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        return false;
    }
    bool ok = write_all(fd, text) && fsync(fd) == 0;
    int why = errno;
    (void)close(fd);
    if (ok && renameat(d->fd, MANIFEST_NEW, d->fd, MANIFEST) != 0) {
        why = errno;
        ok = false;
    }
    if (ok && fsync(d->fd) != 0) {
        why = errno;
        d->is_unsure = true;
        ok = false;
    }
    errno = why;
    return ok;
}

bool log_dir_commit(struct log_dir *d, const uint64_t *files, uint32_t count)
{
    check(count > 0 && count <= LOG_FILES_MAX);
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, MANIFEST_HEAD);
    for (uint32_t i = 0; i < count; i++) {
        char name[LOG_NAME_MAX];
        log_dir_name(files[i], name);
        buf_printf(&text, "%s\n", name);
    }
    buf_printf(&text, "end %016" PRIx64 "\n", manifest_hash(buf_readable(&text)));
    bool ok = write_manifest(d, buf_readable(&text));
    buf_fini(&text);
    if (ok) {
        memmove(d->files, files, count * sizeof(*files));
        d->count = count;
    }
    return ok;
}

static bool parse_manifest(struct log_dir *d, char *text, size_t len)
{
    char *end = len > 0 ? memrchr(text, '\n', len - 1) : NULL;
    uint64_t hash = 0;
    if (end == NULL ||
        sscanf(end + 1, "end %16" SCNx64, &hash) != 1 /* NOLINT(cert-err34-c): compared */ ||
        hash != manifest_hash((struct slice){text, (size_t)(end + 1 - text)}) ||
        strncmp(text, MANIFEST_HEAD, strlen(MANIFEST_HEAD)) != 0) {
        return false;
    }
    end[1] = '\0';
    char *rest = text + strlen(MANIFEST_HEAD);
    for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
        uint64_t number = number_of(line);
        if (number == 0 || d->count == LOG_FILES_MAX) {
            return false;
        }
        d->files[d->count++] = number;
        d->next = number >= d->next ? number + 1 : d->next;
    }
    return d->count > 0;
}

typedef void log_file_fn(void *arg, const struct log_dir *d, const char *name, uint64_t number);

static void each_file(const struct log_dir *d, log_file_fn *fn, void *arg)
{
    int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL && fd >= 0) {
        (void)close(fd);
    }
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        uint64_t number = number_of(e->d_name);
        if (number != 0) {
            fn(arg, d, e->d_name, number);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

/* One that was only begun holds nothing but its header. */
static void find_full(void *arg, const struct log_dir *d, const char *name, uint64_t number)
{
    struct stat st;
    bool is_full = fstatat(d->fd, name, &st, 0) == 0 && st.st_size > LOG_HEADER_MAX;
    *(bool *)arg |= is_full;
}

/* Without files an absent manifest is an empty log; with files something has gone wrong. */
static bool manifest_is_absent(const struct log_dir *d, char **ret_why)
{
    bool has_files = false;
    each_file(d, find_full, &has_files);
    if (has_files) {
        *ret_why =
            xasprintf("%s has log files but no %s that says which of them count, in order. Put "
                      "it back, or write it again with `freshet log repair %s`",
                      d->path, MANIFEST, d->path);
    }
    return !has_files;
}

/* Of a freshet to come. Its manifest may be different in every way but this. */
static bool is_of_later_version(const char *text)
{
    size_t len = strlen(MANIFEST_KIND);
    char *end;
    return strncmp(text, MANIFEST_KIND, len) == 0 && strtoull(text + len, &end, 10) > 1 &&
           *end == '\n';
}

static bool read_manifest(struct log_dir *d, char **ret_why)
{
    int fd = openat(d->fd, MANIFEST, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return manifest_is_absent(d, ret_why);
    }
    char *text = xcalloc(1, MANIFEST_MAX + 1);
    ssize_t len = fd >= 0 ? read(fd, text, MANIFEST_MAX) : -1;
    bool ok = len > 0 && parse_manifest(d, text, (size_t)len);
    d->is_foreign = len > 0 && is_of_later_version(text);
    if (len < 0) {
        *ret_why = xasprintf("%s/%s cannot be read: %s", d->path, MANIFEST, strerror(errno));
    } else if (d->is_foreign) {
        *ret_why =
            xasprintf("%s is the log of a later freshet (\"%.*s\"; this one knows \"%.*s\"). "
                      "Start that one, or give this one another `durable.dir`",
                      d->path, (int)strcspn(text, "\n"), text, (int)strcspn(MANIFEST_HEAD, "\n"),
                      MANIFEST_HEAD);
    } else if (!ok) {
        *ret_why = xasprintf("%s/%s is damaged: it says which log files count, in order. Write it "
                             "again with `freshet log repair %s`",
                             d->path, MANIFEST, d->path);
    }
    free(text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* --- opening ------------------------------------------------------------------------------------ */

static bool take_lock(struct log_dir *d, char **ret_why)
{
    char text[32];
    d->lock_fd = openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (d->lock_fd < 0) {
        *ret_why = xasprintf("%s/lock cannot be created: %s; the log needs a directory that it may "
                             "write to",
                             d->path, strerror(errno));
        return false;
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t len = read(d->lock_fd, text, sizeof(text) - 1);
        text[len > 0 ? len : 0] = '\0';
        int shown = (int)strcspn(text, "\n");
        *ret_why =
            xasprintf("%s is in use by another freshet (process %.*s); two cannot share a log: "
                      "stop that one, or give this one another `durable.dir`",
                      d->path, shown, text);
        return false;
    }
    int len = snprintf(text, sizeof(text), "%d\n", getpid());
    (void)!ftruncate(d->lock_fd, 0);
    (void)!pwrite(d->lock_fd, text, (size_t)len, 0);
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void add_file(void *arg, const struct log_dir *look, const char *name, uint64_t number)
{
    struct log_dir *d = arg;
    if (d->count < LOG_FILES_MAX && log_dir_size(look, number) > 0) {
        d->files[d->count++] = number;
        d->next = number >= d->next ? number + 1 : d->next;
    }
}

/* All files there are, in the order in which they were made. */
static void guess_manifest(struct log_dir *d)
{
    d->count = 0;
    each_file(d, add_file, d);
    qsort(d->files, d->count, sizeof(*d->files), compare_numbers);
}

bool log_dir_open(struct log_dir *d, const char *path, enum log_dir_mode mode, char **ret_why)
{
    *d = (struct log_dir){.path = xstrdup(path), .fd = -1, .lock_fd = -1, .next = 1};
    if (mode == LOG_DIR_OWN && mkdir(path, 0750) != 0 && errno != EEXIST) {
        *ret_why = xasprintf("%s cannot be created: %s; create it, writable for this user", path,
                             strerror(errno));
        log_dir_close(d);
        return false;
    }
    d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0) {
        *ret_why =
            xasprintf("%s cannot be opened: %s; the log is in the policy's `durable.dir`, and "
                      "belongs to the user that runs freshet",
                      path, strerror(errno));
        log_dir_close(d);
        return false;
    }
    if (mode != LOG_DIR_LOOK && !take_lock(d, ret_why)) {
        log_dir_close(d);
        return false;
    }
    if (read_manifest(d, ret_why)) {
        return true;
    }
    if (mode == LOG_DIR_REPAIR && !d->is_foreign) {
        free(*ret_why);
        *ret_why = NULL;
        guess_manifest(d);
        return true;
    }
    log_dir_close(d);
    return false;
}

void log_dir_close(struct log_dir *d)
{
    if (d->lock_fd >= 0) {
        (void)close(d->lock_fd);
    }
    if (d->fd >= 0) {
        (void)close(d->fd);
    }
    free(d->path);
    *d = (struct log_dir){.fd = -1, .lock_fd = -1};
}

/* --- files -------------------------------------------------------------------------------------- */

uint64_t log_dir_size(const struct log_dir *d, uint64_t number)
{
    char name[LOG_NAME_MAX];
    struct stat st;
    log_dir_name(number, name);
    return fstatat(d->fd, name, &st, 0) == 0 ? (uint64_t)st.st_size : 0;
}

uint32_t log_dir_last_written(const struct log_dir *d)
{
    uint32_t last = d->count - 1;
    while (last > 0 && log_dir_size(d, d->files[last]) <= LOG_HEADER_MAX) {
        last--;
    }
    return last;
}

int log_dir_create(struct log_dir *d, uint64_t *ret_number)
{
    char name[LOG_NAME_MAX];
    log_dir_name(d->next, name);
    int fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd >= 0) {
        *ret_number = d->next++;
    }
    return fd;
}

static bool is_part(const struct log_dir *d, uint64_t number)
{
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->files[i] == number) {
            return true;
        }
    }
    return false;
}

static void remove_stranger(void *arg, const struct log_dir *d, const char *name, uint64_t number)
{
    if (!is_part(d, number)) {
        (void)unlinkat(d->fd, name, 0);
    }
}

void log_dir_sweep(const struct log_dir *d)
{
    each_file(d, remove_stranger, NULL);
    (void)unlinkat(d->fd, MANIFEST_NEW, 0);
}

bool log_map_open(struct log_map *m, const struct log_dir *d, uint64_t number, char **ret_why)
{
    char name[LOG_NAME_MAX];
    struct stat st;
    *m = (struct log_map){.bytes = {"", 0}};
    log_dir_name(number, name);
    int fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0;
    if (ok && st.st_size > 0) {
        m->mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        ok = m->mem != MAP_FAILED;
        m->bytes = (struct slice){m->mem, (size_t)st.st_size};
    }
    if (!ok) {
        m->mem = NULL;
        *ret_why =
            xasprintf("%s/%s cannot be read: %s; the manifest says that it is part of the log",
                      d->path, name, strerror(errno));
    } else if (m->mem != NULL) {
        (void)madvise(m->mem, m->bytes.len, MADV_SEQUENTIAL);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

void log_map_close(struct log_map *m)
{
    if (m->mem != NULL) {
        (void)munmap(m->mem, m->bytes.len);
    }
    m->mem = NULL;
}
