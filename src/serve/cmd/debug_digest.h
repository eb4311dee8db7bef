/* SPDX-License-Identifier: BSD-3-Clause */
/* Digests of values and of everything stored, as DEBUG DIGEST has them. Threads: the connection's worker. */
#ifndef SERVE_DEBUG_DIGEST_H
#define SERVE_DEBUG_DIGEST_H

#include "serve/resp_client.h"

enum { DIGEST_LEN = 20, DIGEST_HEX = 2 * DIGEST_LEN + 1 };

struct digest {
    uint8_t bytes[DIGEST_LEN];
};

void digest_hex(const struct digest *d, char ret_hex[DIGEST_HEX]);
/* Value and whether it expires; zeros when the key is absent. */
struct digest digest_of_value(struct resp_client *c, struct slice key);
/* Adds a key of database `db` with its value to the digest of everything. */
void digest_add_key(struct resp_client *c, struct slice key, struct digest *all);
/* Before the keys of a database that has some. */
void digest_add_db(uint32_t db, struct digest *all);

#endif
