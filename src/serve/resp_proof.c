/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One proof serves every command that had arrived when it was asked for: while the connection is
 * paused nothing is read, so the bytes buffered at its return are exactly those. `proven` counts
 * them down. When the follower does not catch up in time, the commands of the batch find their keys
 * absent: a Redis client then asks the database itself, which is what a strict bypass is.
 *
 * The wait outlives a connection that closes meanwhile, so it has memory of its own.
 */
#include "serve/resp_proof.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { PROOF_TIMEOUT_MS = 50 };

struct resp_proof {
    struct follow_wait wait;
    struct resp_client *client; /* NULL: gone */
};

/* A SET without conditions and without GET looks at nothing. */
static bool is_plain_set(const struct slice *argv, uint32_t argc)
{
    return slice_is_nocase(argv[0], "set") &&
           (argc == 3 ||
            (argc == 5 && (slice_is_nocase(argv[3], "ex") || slice_is_nocase(argv[3], "px"))));
}

bool resp_proof_needed(const struct resp_client *c, const struct command *cmd,
                       const struct slice *argv, uint32_t argc, size_t used)
{
    if (!c->strict || c->in_multi != (cmd->run == cmd_exec) || used < c->proven) {
        return false;
    }
    bool touches_data = (cmd->flags & (COMMAND_READONLY | COMMAND_WRITE | COMMAND_MOVABLE_KEYS)) !=
                        0; /* the last: scripts */
    return cmd->run == cmd_exec ||
           (touches_data && (cmd->flags & COMMAND_OVERWRITES) == 0 && !is_plain_set(argv, argc));
}

static void proof_done(struct follow_wait *w)
{
    struct resp_proof *proof = container_of(w, struct resp_proof, wait);
    struct resp_client *c = proof->client;
    if (c != NULL) {
        if (!w->reached) {
            serve_count(c->worker, strict_bypasses);
        }
        c->proof = NULL;
        c->proof_failed = !w->reached;
        c->proof_fresh = true;
        conn_resume(&c->conn);
    }
    free(proof);
}

void resp_proof_ask(struct resp_client *c)
{
    struct resp_proof *proof = xcalloc(1, sizeof(*proof));
    proof->client = c;
    proof->wait.strict = true;
    proof->wait.timeout_ms = PROOF_TIMEOUT_MS;
    proof->wait.reply = loop_mailbox(c->worker->loop);
    proof->wait.done = proof_done;
    c->proof = proof;
    serve_count(c->worker, strict_waits);
    conn_pause(&c->conn);
    follow_wait(c->worker->server->follow, &proof->wait);
}

void resp_proof_begin(struct resp_client *c, struct slice in)
{
    if (c->proof_fresh) {
        c->proof_fresh = false;
        c->proven = in.len;
    }
    c->proof_failed = c->proof_failed && c->proven > 0;
}

void resp_proof_end(struct resp_client *c, size_t used)
{
    c->proven -= used < c->proven ? used : c->proven;
    c->proof_failed = c->proof_failed && c->proven > 0;
}

void resp_proof_forget(struct resp_client *c)
{
    if (c->proof != NULL) {
        c->proof->client = NULL;
        c->proof = NULL;
    }
}
