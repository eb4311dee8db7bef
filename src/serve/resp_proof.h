/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proofs for strict spaces: before a read, everything that PostgreSQL had committed when the
 * request arrived must have been applied. Threads: the connection's worker.
 */
#ifndef SERVE_RESP_PROOF_H
#define SERVE_RESP_PROOF_H

#include "serve/resp_client.h"

/* Must `cmd` wait for a proof that the input up to `used` does not have yet? */
bool resp_proof_needed(const struct resp_client *c, const struct command *cmd,
                       const struct slice *argv, uint32_t argc, size_t used);
/* Asks for one and pauses the connection; it resumes by itself. */
void resp_proof_ask(struct resp_client *c);
/* At the start of each batch: how much of the input the last proof covers. */
void resp_proof_begin(struct resp_client *c, struct slice in);
void resp_proof_end(struct resp_client *c, size_t used);
/* The connection goes away: the answer will find nobody. */
void resp_proof_forget(struct resp_client *c);

#endif
