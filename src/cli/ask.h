/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ask: questions to a running daemon over its admin listener, the answers as text. Blocking.
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "base/buf.h"
#include "policy/policy.h"

/* Loads FILE only for its addresses and password. NULL after printing why. */
const struct policy *ask_policy(const char *file);

/* A connection for several questions. NULL after printing why and the next step. */
struct ask;
struct ask *ask_open(const struct policy *p);
void ask_close(struct ask **a);
/* GET `path`, query included. False after printing why; EINTR does not end it. */
bool ask_get(struct ask *a, const char *path, struct buf *ret_answer);
/* Percent-encodes `text` for a query. */
void ask_put_encoded(struct buf *path, const char *text);

/* One question: GET `path`; `target` (may be NULL) becomes ?target=. False after printing why and the next step. */
bool ask_daemon(const struct policy *p, const char *path, const char *target,
                struct buf *ret_answer);

#endif
