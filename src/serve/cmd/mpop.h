/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arguments that LMPOP, ZMPOP and their waiting forms have in common:
 * numkeys key [key ...] LEFT|RIGHT (or MIN|MAX) [COUNT n].
 *
 * Threads: the connection's worker.
 */
#ifndef SERVE_MPOP_H
#define SERVE_MPOP_H

#include "serve/resp_client.h"

struct mpop {
    const struct slice *keys;
    uint32_t key_count;
    bool from_second; /* RIGHT, MAX */
    uint64_t count;
};

/* Reads them from argv[first] on; `a` and `b` are the two words for the end. False after replying. */
bool arg_mpop(struct resp_client *c, const struct slice *argv, uint32_t argc, uint32_t first,
              const char *a, const char *b, struct mpop *ret_mpop);

#endif
