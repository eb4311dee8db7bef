/* SPDX-License-Identifier: BSD-3-Clause */
/* ACL LOG: what was denied to whom, the newest first, equal entries within a minute counted as one. */
#ifndef SERVE_ACL_LOG_H
#define SERVE_ACL_LOG_H

#include "serve/resp_client.h"

struct users;
enum acl_log_context { ACL_LOG_TOPLEVEL, ACL_LOG_MULTI, ACL_LOG_SCRIPT };
enum acl_log_reason { ACL_LOG_AUTH, ACL_LOG_COMMAND, ACL_LOG_KEY, ACL_LOG_CHANNEL };
/* Any worker's thread. */
void acl_log_note(struct resp_client *c, enum acl_log_context context, enum acl_log_reason reason,
                  struct slice object, struct slice user);
/* With the table's lock, or when nobody else is left. */
void acl_log_clear(struct users *t);

#endif
