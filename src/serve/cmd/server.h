/* SPDX-License-Identifier: BSD-3-Clause */
/* What the server says it is, to clients that choose features by it. */
#ifndef SERVE_CMD_SERVER_H
#define SERVE_CMD_SERVER_H

#include "base/slice.h"

#include <stdint.h>

/* Clients and their tests choose commands by this; claiming 7.2 obliges to CLIENT SETINFO,
 * NO-TOUCH, EXPIRE NX and the like. */
#define REDIS_VERSION "7.2.4"

/* ACL categories, without the "@". */
struct command;
uint32_t command_category_count(void);
const char *command_category_at(uint32_t index);
bool command_category_exists(struct slice name);
bool command_has_category(const struct command *cmd, struct slice name);

struct policy_space;
struct server;
/* "noeviction" or what comes nearest. */
const char *eviction_name(const struct server *s, const struct policy_space *space);
/* What CONFIG and INFO call maxmemory, bytes: the one space's limit, or all budgets together. */
uint64_t memory_limit(const struct server *s);

struct buf;
/* The section Persistence. */
void info_durable(const struct server *s, struct buf *out);
/* Pages that the kernel has given us, in bytes; 0: not known. Any thread. */
uint64_t memory_resident_bytes(void);
/* INFO counts from now on (CONFIG RESETSTAT). Any worker. */
void info_reset(struct server *s);

#endif
