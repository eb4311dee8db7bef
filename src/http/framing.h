/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fields of a head say about where the message goes and where it ends. Private to this
 * module: parse.c finds the fields, framing.c judges them. See framing.c.
 */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "http/http.h"

struct http_frame {
    uint32_t seen;          /* FRAME_* of framing.c */
    struct slice host;      /* value of Host */
    struct slice authority; /* of an absolute-form target; ptr NULL otherwise */
    uint64_t length;        /* value of Content-Length */
};

/* HTTP_DONE: nothing wrong so far. Never HTTP_MORE. */
enum http_result http_frame_field(struct http_frame *f, const struct http_header *field,
                                  struct http_refusal *ret_refusal);
/* At the end of the head: judges the fields together and fills the rest of `req`. */
enum http_result http_frame_finish(const struct http_frame *f, const struct http_limits *limits,
                                   struct http_request *req, struct http_refusal *ret_refusal);
/* host[:port] as RFC 3986 has it, without user information. */
bool http_is_authority(struct slice s);

static inline enum http_result http_refuse(struct http_refusal *ret_refusal, int status,
                                           const char *reason)
{
    *ret_refusal = (struct http_refusal){.status = status, .reason = reason};
    return HTTP_REFUSED;
}

#endif
