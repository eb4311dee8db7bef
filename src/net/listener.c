/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listening sockets, TCP and Unix. Accepted descriptors go to the owner as they are.
 *
 * Out of descriptors, accept() fails while the connection stays in the backlog, and a level-triggered loop
 * would spin. A descriptor kept in reserve is given up for a moment, to accept that connection and close it:
 * the peer sees a clean close instead of a hang. Where even that fails (another thread was faster, or the
 * kernel has no memory), the listener rests for REST_MS and tries again; the backlog holds meanwhile.
 *
 *      accepting ──EMFILE, reserve there──> shed one, accepting
 *      accepting ──any other failure──> resting ──timer──> accepting
 *
 * An episode begins with the first failure and is logged then, once; it ends, and that is logged with the
 * number of connections turned away, when nothing has failed for CALM_MS.
 */
#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 64, REST_MS = 100, CALM_MS = 1000 };

struct listener {
    struct loop_source source;
    listener_fn *accepted;
    void *arg;
    int reserve; /* -1: lost, taken again when possible */
    char *address;
    char *unix_path; /* NULL for TCP */

    /* an episode of failures */
    struct timer timer;
    bool troubled;
    uint64_t failed_ms; /* the last failure */
    uint64_t shed;      /* connections turned away */
};

/* --- failing to accept -------------------------------------------------------------------------- */

static void take_reserve(struct listener *ls)
{
    if (ls->reserve < 0) {
        ls->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

/* Ends a rest, and an episode that is over. */
static void look_again(struct timer *t)
{
    struct listener *ls = container_of(t, struct listener, timer);
    struct loop *l = ls->source.loop;
    take_reserve(ls);
    loop_rewatch(&ls->source, LOOP_READ);
    if (loop_now_ms(l) - ls->failed_ms < CALM_MS) {
        timer_start(l, t, CALM_MS, look_again);
        return;
    }
    ls->troubled = false;
    log_info("net", "%s: accepting again; %llu connections were turned away", ls->address,
             (unsigned long long)ls->shed);
}

static void note_failure(struct listener *ls, int error)
{
    struct loop *l = ls->source.loop;
    ls->failed_ms = loop_now_ms(l);
    if (!ls->troubled) {
        bool full = error == EMFILE || error == ENFILE;
        ls->troubled = true;
        ls->shed = 0;
        log_warn("net", "%s: cannot accept connections: %s; %s", ls->address, strerror(error),
                 error == EMFILE   ? "raise `ulimit -n` (LimitNOFILE= in a systemd unit) or lower "
                                     "limits.connections"
                 : error == ENFILE ? "raise the sysctl fs.file-max"
                                   : "trying again every 100 ms");
        timer_start(l, &ls->timer, full ? CALM_MS : REST_MS, look_again);
    }
}

static void rest(struct listener *ls)
{
    loop_rewatch(&ls->source, 0);
    timer_start(ls->source.loop, &ls->timer, REST_MS, look_again);
}

/* Accepts one connection only to close it. */
static bool shed_one(struct listener *ls)
{
    take_reserve(ls);
    if (ls->reserve < 0) {
        return false;
    }
    (void)close(ls->reserve);
    int fd = accept4(ls->source.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        (void)close(fd);
        ls->shed++;
    }
    ls->reserve = -1;
    take_reserve(ls);
    return fd >= 0;
}

/* Errors of the connection that was waiting, not of accepting: accept(2). */
static bool is_passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENOPROTOOPT ||
           error == ENETDOWN || error == ENETUNREACH || error == EHOSTDOWN ||
           error == EHOSTUNREACH || error == ENONET || error == EOPNOTSUPP || error == EPERM;
}

static void accept_ready(struct loop_source *src, unsigned events)
{
    (void)events;
    struct listener *ls = container_of(src, struct listener, source);
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            ls->accepted(ls->arg, fd);
            continue;
        }
        int error = errno;
        if (error == EAGAIN) {
            return;
        }
        if (is_passing(error)) {
            continue;
        }
        note_failure(ls, error);
        if ((error != EMFILE && error != ENFILE) || !shed_one(ls)) {
            rest(ls);
            return;
        }
    }
}

/* --- binding ------------------------------------------------------------------------------------ */

static char *because(const char *address, const char *what)
{
    return xasprintf("cannot listen on %s: %s", address, what);
}

static const char *next_step(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; stop what has it, or change `listen`";
    case EADDRNOTAVAIL:
        return "; no interface of this machine has the address (`ip address` lists them): change "
               "`listen`";
    case EACCES:
        return "; take a port from 1024 on or a folder that this user may write to, or grant the "
               "right (CAP_NET_BIND_SERVICE)";
    case ENOENT:
        return "; create the folder, writable for the user that runs freshet";
    default:
        return "";
    }
}

/* As because(), for what errno says, with the next step where one is known. */
static char *because_errno(const char *address)
{
    return xasprintf("cannot listen on %s: %s%s", address, strerror(errno), next_step(errno));
}

/* A socket file whose owner is gone may be replaced; a live one, or a file of another kind, may not. */
static bool unix_is_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    if (lstat(addr->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        errno = EADDRINUSE;
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = EADDRINUSE;
    return refused;
}

static int bind_unix(const char *path, char **ret_why)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr.sun_path)) {
        *ret_why = because(path, "the path is longer than a Unix socket allows");
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *ret_why = because_errno(path);
        return -1;
    }
    int bound = bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
    if (bound != 0 && errno == EADDRINUSE && unix_is_stale(&addr)) {
        (void)unlink(path);
        bound = bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
    }
    /* Only the owner and its group may connect: the socket carries no password of its own. */
    if (bound != 0 || chmod(path, 0660) != 0 || listen(fd, 1024) != 0) {
        *ret_why = because_errno(path);
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int bind_one(const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, 1024) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int bind_tcp(const char *address, char **ret_why)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon[1] == '\0') {
        *ret_why = because(address, "write it as host:port or unix:/path");
        return -1;
    }
    const char *host = address;
    size_t host_len = (size_t)(colon - address);
    if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host++;
        host_len -= 2;
    }
    char *name = xstrndup(host, host_len);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host_len > 0 ? name : NULL, colon + 1, &hints, &found);
    free(name);
    if (rc != 0) {
        *ret_why = because(address, gai_strerror(rc));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *ai = found; ai != NULL && fd < 0; ai = ai->ai_next) {
        fd = bind_one(ai);
    }
    if (fd < 0) {
        *ret_why = because_errno(address);
    }
    freeaddrinfo(found);
    return fd;
}

static char *bound_address(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    char host[INET6_ADDRSTRLEN] = "";
    check(getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
    if (addr.ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const void *)&addr;
        (void)inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host));
        /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getsockname() filled it */
        return xasprintf("%s:%u", host, ntohs(in4->sin_port));
    }
    const struct sockaddr_in6 *in6 = (const void *)&addr;
    (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getsockname() filled it */
    return xasprintf("[%s]:%u", host, ntohs(in6->sin6_port));
}

struct listener *listener_open(struct loop *l, const char *address, listener_fn *accepted,
                               void *arg, char **ret_why)
{
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    int fd = is_unix ? bind_unix(address + 5, ret_why) : bind_tcp(address, ret_why);
    if (fd < 0) {
        return NULL;
    }
    struct listener *ls = xcalloc(1, sizeof(*ls));
    ls->accepted = accepted;
    ls->arg = arg;
    ls->reserve = -1;
    take_reserve(ls);
    ls->address = is_unix ? xstrdup(address) : bound_address(fd);
    ls->unix_path = is_unix ? xstrdup(address + 5) : NULL;
    loop_watch(l, &ls->source, fd, LOOP_READ, accept_ready);
    return ls;
}

void listener_close(struct listener **lsp)
{
    struct listener *ls = *lsp;
    *lsp = NULL;
    if (ls == NULL) {
        return;
    }
    int fd = ls->source.fd;
    timer_stop(&ls->timer);
    loop_unwatch(&ls->source);
    (void)close(fd);
    if (ls->reserve >= 0) {
        (void)close(ls->reserve);
    }
    if (ls->unix_path != NULL) {
        (void)unlink(ls->unix_path);
    }
    free(ls->unix_path);
    free(ls->address);
    free(ls);
}

const char *listener_address(const struct listener *ls)
{
    return ls->address;
}
