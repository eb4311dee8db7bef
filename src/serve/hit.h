/* SPDX-License-Identifier: BSD-3-Clause */
/* hit: answers to GET on their way out, from the store or from a fill. */
#ifndef SERVE_HIT_H
#define SERVE_HIT_H

#include "serve/answer.h"
#include "serve/request.h"

/* Puts the held item as the answer, and drops the hold. */
void hit_put(struct request *r, struct store_hold *hold, const struct store_item *item);
/* Puts an answer that a fill has made: `status` is its Cache-Status. */
void fresh_put(struct request *r, struct slice value, const char *status);

#endif
