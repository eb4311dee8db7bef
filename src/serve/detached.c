/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients without a connection; see detached.h. They differ from others in that net does not know
 * them: nothing is flushed, counted as a connection, or cut.
 *
 * Threads: the worker's.
 */
#include "serve/detached.h"
#include "serve/users.h"

#include "base/alloc.h"

#include <stdlib.h>

struct resp_client *detached_create(struct worker *w)
{
    struct resp_client *c = xcalloc(1, sizeof(*c));
    resp_client_begin(c, w);
    users_end(c); /* who asked for it has been judged */
    client_set_authenticated(c, true);
    c->detached = true;
    return c;
}

void detached_destroy(struct resp_client **cp)
{
    struct resp_client *c = *cp;
    if (c == NULL) {
        return;
    }
    resp_client_end(c);
    buf_fini(&c->conn.out);
    free(c);
    *cp = NULL;
}

void detached_call(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    buf_clear(&c->conn.out);
    const struct command *cmd = resp_admit(c, argv, argc);
    if (cmd != NULL) {
        resp_run(c, cmd, argv, argc);
    }
}
