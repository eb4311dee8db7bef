/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: blocking client connections to a daemon, HTTP/1.1 and Redis protocol. Requests are sent, answers
 * are received, each in their order; so one thread may have many requests under way, on one connection
 * or on many.
 *
 * A failure (closed, no answer for 30 s, bytes that are no answer) ends the run: the checker checks
 * freshness, not availability. Threads: a connection belongs to its actor.
 */
#ifndef VERIFY_WIRE_H
#define VERIFY_WIRE_H

#include "base/buf.h"
#include "verify/run.h"

struct wire {
    struct run *run;
    int fd;
    struct buf in;
    struct buf out;
    size_t taken; /* bytes of `in` that the last answer occupies; consumed by the next call */
};

/* False after run_fail(). */
bool wire_open(struct wire *w, struct run *r, const char *address);
void wire_close(struct wire *w);

/* --- HTTP --------------------------------------------------------------------------------------- */

struct http_reply {
    int status;
    struct slice cache_status; /* slices: valid until the next call on this connection */
    struct slice position;     /* Freshet-Position */
    struct slice etag;
    struct slice body;
    bool hit;
    bool joined;
    bool bypassed;
    bool caught_up; /* it came out of a lookup: a strict request's wait has been kept */
};

/* With one more field if `field` is not NULL: Freshet-Position, If-None-Match. */
bool http_get(struct wire *w, const char *path, const char *field, struct slice value);
bool http_post(struct wire *w, const char *path, const char *json);
bool http_receive(struct wire *w, struct http_reply *ret_reply);

/* --- Redis protocol ------------------------------------------------------------------------------ */

struct resp_reply {
    char kind;           /* '$' '+' '-' ':' '_' (nil); of an array: of its first element */
    struct slice text;   /* valid until the next call on this connection */
    struct slice second; /* the second element of an array, ptr NULL when nil */
};

/* Each command is sent as `count` words. */
bool resp_send(struct wire *w, uint32_t count, const struct slice *words);
bool resp_receive(struct wire *w, struct resp_reply *ret_reply);
/* Send, receive, and any error ends the run. */
bool resp_ask(struct wire *w, uint32_t count, const struct slice *words,
              struct resp_reply *ret_reply);

#endif
