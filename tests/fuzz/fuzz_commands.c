/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for the whole Redis face: a server with small spaces in this process, three connections, and
 * commands that a grammar makes of the bytes (grammar.h).
 *
 *      bytes ─ grammar ─> commands ─ unix socket ─> worker 0 ... ─> replies: whole, and nothing but RESP
 *
 * Held true for every input:
 *   - the server answers a connection of its own (`control`) after every few commands;
 *   - what each connection receives is a sequence of whole RESP values;
 *   - the store is as it should be (DEBUG VALIDATE);
 * and for one input in RESTART_EVERY:
 *   - after a stop and a start the durable database holds what it held, key for key.
 *
 * Threads: main is the client; the server has its own.
 */
#include "grammar.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "serve/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CLIENTS = 3,
    COMMANDS_MAX = 200,
    RESTART_EVERY = 64,
    PATIENCE_MS = 20 * 1000,
    SHOWN = 2000,
};

static const char policy_text[] = "listen: { resp: \"unix:%s/s\" }\n"
                                  "workers: 1\n"
                                  "debug: true\n"
                                  "durable: { dir: log }\n"
                                  "limits: { script_memory: 8MB }\n"
                                  "log: error\n"
                                  "spaces:\n"
                                  "  cache: { db: 0, memory: 2MB }\n"
                                  "  small: { db: 1, memory: 1MB, evict: never }\n"
                                  "  brief: { db: 2, memory: 2MB, ttl: 1h }\n"
                                  "  kept: { db: 3, memory: 16MB, keep: durable, evict: never }\n";

static const bool verbose = false; /* true: say what is sent, to understand a failure */
static char folder[] = "/tmp/fuzz-commands-XXXXXX";
static struct server *server;
static const struct policy *policy;

struct client {
    int fd; /* -1: none */
    struct buf in;
    bool
        is_silent; /* said CLIENT REPLY; in a transaction that breaks its reply, as it does in Redis */
};

static struct client control = {.fd = -1};
static struct client clients[CLIENTS];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- the server ----------------------------------------------------------------------------------- */

static void server_begin(void)
{
    char *why = NULL;
    server =
        server_start(&(struct server_options){.policy = policy, .began_us = clock_now_us()}, &why);
    if (server == NULL || !server_load(server, &why)) {
        (void)fprintf(stderr, "the server does not start: %s\n", why);
        abort();
    }
}

static void clean_up(void)
{
    char command[sizeof(folder) + 16];
    if (server != NULL) {
        server_stop(&server);
    }
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)!system(command);
}

static void begin(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    hash_setup();
    check(mkdtemp(folder) != NULL);
    char file[sizeof(folder) + 16];
    (void)snprintf(file, sizeof(file), "%s/p.yaml", folder);
    FILE *f = fopen(file, "w");
    check(f != NULL);
    (void)fprintf(f, policy_text, folder);
    (void)fclose(f);
    struct buf complaints;
    buf_init(&complaints);
    policy = policy_load(file, &complaints);
    if (policy == NULL) {
        (void)fprintf(stderr, "%.*s\n", (int)buf_len(&complaints), buf_readable(&complaints).ptr);
        abort();
    }
    buf_fini(&complaints);
    struct log_settings quiet;
    log_settings_init(&quiet);
    quiet.level = LOG_ERROR;
    log_apply(&quiet);
    (void)atexit(clean_up);
    server_begin();
}

/* --- connections ---------------------------------------------------------------------------------- */

static void client_close(struct client *c)
{
    if (c->fd >= 0) {
        (void)close(c->fd);
        buf_fini(&c->in);
        c->fd = -1;
    }
}

static void client_open(struct client *c)
{
    client_close(c);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    check(c->fd >= 0);
    check(connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    buf_init(&c->in);
    c->is_silent = false;
}

/* Takes what there is; closes what the server has closed. */
static void client_receive(struct client *c)
{
    static char bytes[64 * 1024];
    ssize_t got = 1;
    while (c->fd >= 0 && got > 0) {
        got = read(c->fd, bytes, sizeof(bytes));
        if (got > 0) {
            buf_append(&c->in, bytes, (size_t)got);
        } else if (got == 0 || errno != EAGAIN) {
            client_close(c);
        }
    }
}

static void client_wait(struct client *c, short events)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    (void)poll(&p, 1, 100);
}

/* A connection that takes no replies is not read from either: so both ways at once. */
static void client_send(struct client *c, struct slice bytes)
{
    uint64_t give_up_ms = clock_now_ms() + PATIENCE_MS;
    while (c->fd >= 0 && bytes.len > 0) {
        ssize_t sent = write(c->fd, bytes.ptr, bytes.len);
        if (sent > 0) {
            bytes = slice_from(bytes, (size_t)sent);
        } else {
            client_receive(c);
            if (c->fd >= 0) {
                client_wait(c, POLLIN | POLLOUT);
            }
            check(clock_now_ms() < give_up_ms);
        }
    }
}

/* --- replies -------------------------------------------------------------------------------------- */

static const char *find_line_end(struct slice in)
{
    return in.len > 0 ? memmem(in.ptr, in.len, "\r\n", 2) : NULL;
}

/* Bytes of the first value, 0: not whole yet. Anything but RESP fails. */
static size_t value_length(struct slice in)
{
    const char *end = find_line_end(in);
    if (end == NULL) {
        check(in.len == 0 || strchr("+-:$*_#,(!=%~>", in.ptr[0]) != NULL);
        return 0;
    }
    size_t at = (size_t)(end - in.ptr) + 2;
    long long number = strchr("$=!*~>%", in.ptr[0]) != NULL ? strtoll(in.ptr + 1, NULL, 10) : 0;
    uint64_t parts = 0;
    switch (in.ptr[0]) {
    case '$':
    case '=':
    case '!':
        if (number >= 0) {
            at += (size_t)number + 2;
            check(at > in.len || memcmp(in.ptr + at - 2, "\r\n", 2) == 0);
        }
        return at <= in.len ? at : 0;
    case '*':
    case '~':
    case '>':
        parts = number > 0 ? (uint64_t)number : 0;
        break;
    case '%':
        parts = 2 * (uint64_t)number;
        break;
    default:
        check(strchr("+-:_#,(", in.ptr[0]) != NULL);
    }
    for (; parts > 0; parts--) {
        size_t part = value_length(slice_from(in, at));
        if (part == 0) {
            return 0;
        }
        at += part;
    }
    return at;
}

/* The next whole value of `control`, to be consumed by the caller. */
static struct slice control_value(void)
{
    uint64_t give_up_ms = clock_now_ms() + PATIENCE_MS;
    size_t len;
    while ((len = value_length(buf_readable(&control.in))) == 0) {
        client_wait(&control, POLLIN);
        client_receive(&control);
        check(control.fd >= 0);
        check(clock_now_ms() < give_up_ms); /* the server hangs */
    }
    return (struct slice){buf_readable(&control.in).ptr, len};
}

static void control_line(const char *line)
{
    client_send(&control, slice_of(line));
    struct slice value = control_value();
    if (value.ptr[0] == '-') {
        (void)fprintf(stderr, "%s%.*s", line, (int)value.len, value.ptr);
        abort();
    }
    buf_consume(&control.in, value.len);
}

/* What was sent before has been done when this returns. */
static void wait_until_done(void)
{
    control_line("PING\r\n");
}

static void client_judge(struct client *c)
{
    uint64_t give_up_ms = clock_now_ms() + PATIENCE_MS;
    client_receive(c);
    while (c->fd >= 0 && buf_len(&c->in) > 0 && !c->is_silent) {
        size_t len = value_length(buf_readable(&c->in));
        if (len > 0) {
            buf_consume(&c->in, len);
        } else {
            if (clock_now_ms() >= give_up_ms) {
                struct slice rest = buf_readable(&c->in);
                (void)fprintf(stderr, "a value never became whole; of %zu bytes:\n%.*s\n", rest.len,
                              rest.len < SHOWN ? (int)rest.len : SHOWN, rest.ptr);
                abort();
            }
            client_wait(c, POLLIN);
            client_receive(c);
        }
    }
}

/* --- the durable database ------------------------------------------------------------------------- */

/* Every key with its value and when it ends (rounded: two clocks differ), in the order of keys. */
static const char dump_script[] =
    "local keys = redis.call('keys', '*') table.sort(keys) local all = {} "
    "for _, k in ipairs(keys) do local t, v = redis.call('type', k).ok, nil "
    "if t == 'set' then v = redis.call('smembers', k) table.sort(v) "
    "elseif t == 'hash' then local h = redis.call('hgetall', k) v = {} "
    "for i = 1, #h, 2 do v[#v + 1] = #h[i] .. ':' .. h[i] .. h[i + 1] end table.sort(v) "
    "elseif t == 'list' then v = redis.call('lrange', k, 0, -1) "
    "elseif t == 'zset' then v = redis.call('zrange', k, 0, -1, 'withscores') "
    "elseif t == 'stream' then v = redis.call('xinfo', 'stream', k, 'full', 'count', 0) "
    "else v = redis.call('get', k) end "
    "all[#all + 1] = {k, t, v} end return all";

static void durable_read(struct buf *ret_text)
{
    struct buf line;
    buf_init(&line);
    control_line("SELECT 3\r\n");
    buf_printf(&line, "*3\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n$1\r\n0\r\n", sizeof(dump_script) - 1,
               dump_script);
    client_send(&control, buf_readable(&line));
    struct slice value = control_value();
    buf_append(ret_text, value.ptr, value.len);
    buf_consume(&control.in, value.len);
    buf_fini(&line);
}

static void restart(void)
{
    struct buf before;
    struct buf after;
    buf_init(&before);
    buf_init(&after);
    durable_read(&before);
    client_close(&control);
    server_stop(&server);
    server_begin();
    client_open(&control);
    durable_read(&after);
    struct slice a = buf_readable(&before);
    struct slice b = buf_readable(&after);
    if (!slice_eq(a, b)) {
        (void)fprintf(stderr, "before:\n%.*s\nafter:\n%.*s\n", (int)a.len, a.ptr, (int)b.len,
                      b.ptr);
        abort();
    }
    buf_fini(&before);
    buf_fini(&after);
}

/* --- one input ------------------------------------------------------------------------------------ */

/* As if nothing had been. */
static void reset(void)
{
    client_open(&control);
    control_line("CONFIG SET notify-keyspace-events \"\" slowlog-log-slower-than 10000\r\n");
    control_line(
        "CONFIG SET list-max-listpack-size 128 set-max-intset-entries 512 "
        "hash-max-listpack-entries 128 zset-max-listpack-value 64 stream-node-max-entries 100\r\n");
    control_line("ACL DELUSER u1\r\n");
    control_line("SCRIPT FLUSH\r\n");
    control_line("FLUSHALL\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint32_t inputs;
    if (server == NULL) {
        begin();
        clients[0].fd = clients[1].fd = clients[2].fd = -1;
    }
    reset();
    struct choices choices = {data, data + size};
    struct buf command;
    buf_init(&command);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        client_open(&clients[i]);
    }
    client_send(&clients[2], SLICE("HELLO 3\r\n"));
    uint32_t last = 0;
    for (uint32_t n = 0; choices.next < choices.end && n < COMMANDS_MAX; n++) {
        uint32_t who = choose(&choices, 8) % CLIENTS;
        if (who != last) {
            wait_until_done();
            client_judge(&clients[last]);
            last = who;
        }
        if (clients[who].fd < 0) {
            client_open(&clients[who]);
        }
        buf_clear(&command);
        grammar_command(&choices, &command);
        if (verbose) {
            (void)fprintf(stderr, "%u: %.*s\n", who, (int)buf_len(&command),
                          buf_readable(&command).ptr);
        }
        struct slice sent = buf_readable(&command);
        clients[who].is_silent |= memmem(sent.ptr, sent.len, "reply\r\n", 7) != NULL;
        client_send(&clients[who], sent);
    }
    wait_until_done();
    for (uint32_t i = 0; i < CLIENTS; i++) {
        client_judge(&clients[i]);
        client_close(&clients[i]);
    }
    control_line("DEBUG VALIDATE\r\n");
    if (++inputs % RESTART_EVERY == 0) {
        restart();
    }
    client_close(&control);
    buf_fini(&command);
    return 0;
}
