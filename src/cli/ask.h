/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ask: one question to a running daemon over its admin listener, the answer as text. Blocking.
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "base/buf.h"
#include "policy/policy.h"

/* Loads FILE only for its addresses and password. NULL after printing why. */
const struct policy *ask_policy(const char *file);
/* GET `path`; `target` (may be NULL) becomes ?target=. False after printing why and the next step. */
bool ask_daemon(const struct policy *p, const char *path, const char *target,
                struct buf *ret_answer);

#endif
