/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify: the freshness checker. Writers change rows of the checker's own schema, readers read them
 * through every face of a running freshet, and each read is judged by the order of the rows' versions:
 * was any answer older than its level promises?
 *
 * It knows freshet only from outside (sockets, SQL); it shares no code with what it checks but base.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

struct verify_options {
    const char *dsn;  /* may write the schema `verify` */
    const char *http; /* host:port or unix:/path of the daemon's faces */
    const char *resp;
    const char *own;  /* a Redis face with `affinity: connection`; NULL: none */
    uint64_t reads;   /* stop after so many; 0: no such end */
    uint64_t seconds; /* stop after so long; 0: no such end */
    uint64_t seed;
    uint32_t max_stale_ms; /* the policy's database.max_stale */
    uint32_t lease_ms;     /* the policy's implicit_lease of every template */
    uint32_t writes;       /* transactions per second, all writers together */
    /* May alter the server's settings and cut its connections; private servers only. */
    bool disturb;
    bool json; /* the summary as one JSON object on standard output */
};

/* 0: nothing older than promised. 1: violations, printed. 2: it could not check; said why. */
int verify_run(const struct verify_options *options);

#endif
