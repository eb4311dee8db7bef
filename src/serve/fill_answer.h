/* SPDX-License-Identifier: BSD-3-Clause */
/* fill_answer: from a statement's rows to an answer that can be stored, sent and shared. */
#ifndef SERVE_FILL_ANSWER_H
#define SERVE_FILL_ANSWER_H

#include "serve/request.h"

/* The answer to r->result, with stamp and dependencies when it may be stored. Never NULL: errors become
 * problem answers, not storable. */
struct flight_answer *fill_answer_make(struct request *r);
/* Judges once more and stores; sets `note` and clears `storable` when it was refused. */
void fill_answer_store(struct request *r, struct flight_answer *a);
/* Logs a failed statement, once, with what a client may not see. */
void fill_answer_log(const struct request *r);
/* The answer of a POST: its rows, its commit's position as header and cookie. */
void written_put(struct request *r, struct buf *out);

#endif
