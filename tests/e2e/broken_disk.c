/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk that fails when told, for LD_PRELOAD: the system calls with which the log is written, as far as they are
 * about its files or their directory. The file named by BROKEN_DISK holds a word:
 *
 *      hold-...      syncs of log files wait until the word changes, to another of this kind too, which holds the
 *                    next; the file "<BROKEN_DISK>.held" tells that one waits
 *      sync-eio      they fail with EIO
 *      write-eio     writes to log files fail with EIO
 *      write-short   half of the bytes are written, then ENOSPC
 *      full          nothing more can be reserved: ENOSPC; what was can be written
 *      dir-eio       syncs of the directory fail with EIO
 *      die-at-N      the process is killed at the Nth of these calls since it began, of a write when half of it is done
 *
 * Anything else: all is well. The word is looked up at each call.
 *
 * Threads: any.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WORD = 32, PATH = 4096, LOOK_NS = 2000000 };

/* Of the symbol behind this library's. */
static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}

/* What the disk does now. */
static void look(char ret_text[WORD])
{
    const char *path = getenv("BROKEN_DISK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t len = fd >= 0 ? read(fd, ret_text, WORD - 1) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    ret_text[len > 0 ? len : 0] = '\0';
}

static bool is_told(const char *word)
{
    char text[WORD];
    look(text);
    return strcmp(text, word) == 0;
}

/* Counts the calls while the word is there. */
static bool dies_now(void)
{
    static _Atomic int calls;
    char text[WORD];
    look(text);
    if (strncmp(text, "die-at-", 7) != 0) {
        calls = 0;
        return false;
    }
    return atomic_fetch_add(&calls, 1) + 1 == atoi(text + 7);
}

static void die_if_told(void)
{
    if (dies_now()) {
        (void)raise(SIGKILL);
    }
}

static bool is_log(int fd)
{
    char link[64];
    char path[PATH];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && strncmp(name, "/log-", 5) == 0 && strstr(name, ".resp") != NULL;
}

static bool is_directory(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool fails(const char *word, int why)
{
    bool told = is_told(word);
    if (told) {
        errno = why;
    }
    return told;
}

static void wait_while_held(void)
{
    char word[WORD];
    char path[PATH];
    struct timespec pause = {.tv_nsec = LOOK_NS};
    look(word);
    while (strncmp(word, "hold-", 5) == 0 && is_told(word)) {
        (void)snprintf(path, sizeof(path), "%s.held", getenv("BROKEN_DISK"));
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        (void)close(fd);
        (void)nanosleep(&pause, NULL);
    }
}

static bool sync_fails(int fd)
{
    die_if_told();
    if (is_log(fd)) {
        wait_while_held();
        return fails("sync-eio", EIO);
    }
    return is_directory(fd) && fails("dir-eio", EIO);
}

int fsync(int fd)
{
    int (*next)(int) = (int (*)(int))real("fsync");
    return sync_fails(fd) ? -1 : next(fd);
}

int fdatasync(int fd)
{
    int (*next)(int) = (int (*)(int))real("fdatasync");
    return sync_fails(fd) ? -1 : next(fd);
}

ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) =
        (ssize_t(*)(int, const void *, size_t, off64_t))real("pwrite64");
    bool is_ours = is_log(fd);
    if (dies_now()) {
        (void)next(fd, from, len / 2, at);
        (void)raise(SIGKILL);
    }
    if (is_ours && (fails("write-eio", EIO) || (len < 2 && fails("write-short", ENOSPC)))) {
        return -1;
    }
    return next(fd, from, is_ours && is_told("write-short") ? len / 2 : len, at);
}

int fallocate64(int fd, int mode, off64_t at, off64_t len)
{
    int (*next)(int, int, off64_t, off64_t) =
        (int (*)(int, int, off64_t, off64_t))real("fallocate64");
    return is_log(fd) && fails("full", ENOSPC) ? -1 : next(fd, mode, at, len);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int (*next)(int, const char *, int, const char *) =
        (int (*)(int, const char *, int, const char *))real("renameat");
    die_if_told();
    return next(from_dir, from, to_dir, to);
}

int unlinkat(int dir, const char *name, int flags)
{
    int (*next)(int, const char *, int) = (int (*)(int, const char *, int))real("unlinkat");
    die_if_told();
    return next(dir, name, flags);
}

int ftruncate64(int fd, off64_t len)
{
    int (*next)(int, off64_t) = (int (*)(int, off64_t))real("ftruncate64");
    die_if_told();
    return next(fd, len);
}
