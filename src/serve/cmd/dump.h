/* SPDX-License-Identifier: BSD-3-Clause */
/* Values through the format of DUMP and back, for DEBUG RELOAD. Threads: the connection's worker. */
#ifndef SERVE_DUMP_H
#define SERVE_DUMP_H

#include "serve/resp_client.h"

/* Writes the key's value as DUMP does and puts what RESTORE reads from it in its place, with the expiry, stamp
 * and dependencies that it had. The store is owned. An absent key: ERR_OK. After ERR_NOSPACE the key is gone. */
enum err dump_pass_through(struct resp_client *c, struct slice key);

#endif
