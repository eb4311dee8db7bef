/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: everything that answers, as the daemon sees it. Created from a policy, started, stopped.
 */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include "base/buf.h"
#include "policy/policy.h"

struct server;

/* Debug switches by name ("fence", "late-marks", "store-stamp", "oldest-miss", "row-all"): see
 * serve/serve.h. Only with `debug: true` in the policy. */
struct server_options {
    const struct policy *policy; /* a reference is taken */
    const char *const *breaks;
    uint32_t break_count;
    void (*request_shutdown)(void *arg); /* any thread */
    void *arg;
    uint64_t began_us; /* when the process began, by clock_now_us(): for the time to start */
};

/* Binds every listener and starts the workers and the follower. NULL and a message (caller frees)
 * when an address cannot be bound or a break is unknown. */
struct server *server_start(const struct server_options *options, char **ret_why);
/* Reads the log of the durable spaces, if there are any: the Redis face answers LOADING meanwhile. False and
 * a message when it cannot be read whole; false without one when the process was told to stop. */
bool server_load(struct server *s, char **ret_why);
/* "http=127.0.0.1:8080 resp=127.0.0.1:6380 admin=127.0.0.1:9180" */
void server_addresses(const struct server *s, struct buf *out);
/* From the beginning of the process to the moment when clients can connect. */
uint64_t server_start_us(const struct server *s);
/* policy_load(), and judges what only the server knows: the rules of `users`. Before any thread exists, or
 * after a first call. */
const struct policy *server_policy_load(const char *file, struct buf *complaints);
/* Answers by this policy from soon on; the log says when it is done and what it changed. A reference is
 * taken. False, and nothing happens, when something in it needs a restart: `ret_keys` gets its keys.
 * One thread at a time. */
bool server_reload(struct server *s, const struct policy *p, struct buf *ret_keys);
/* A reload that did not come so far, because the file has mistakes: for the figures. */
void server_reload_refused(struct server *s);
/* Stops accepting, closes idle connections, and waits until requests in progress have been answered: at most
 * `limits.drain`, and not longer than until `hurry_fd` can be read. Any thread but the server's own. */
void server_drain(struct server *s, int hurry_fd);
/* Joins every thread and frees everything; what is still open is cut. */
void server_stop(struct server **s);

#endif
