/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client has asked CLIENT TRACKING for: for tracking.c and cmd/tracking.c. */
#ifndef SERVE_TRACKER_H
#define SERVE_TRACKER_H

#include "base/map.h"
#include "serve/tracking.h"

/* Keys of one prefix that are to be told together. */
struct tracker_batch {
    struct buf keys;
    uint32_t count;
    bool is_durable; /* one of them is in a durable space */
};

struct tracker {
    struct map_node by_id; /* lock */
    struct list node;      /* lock: all */
    uint64_t id;           /* of the client */
    uint64_t redirect;     /* 0: none */
    bool bcast, optin, optout, noloop;
    bool resp3;
    bool broken; /* lock: the redirection has gone */
    uint32_t prefix_count;
    struct slice *prefixes; /* malloc'ed texts */
    /* Lock: of a BCAST client, while sending; one each, or one without prefixes. */
    struct tracker_batch *batches;
    uint32_t batched; /* lock: keys in all of them */
};

/* From now on, in place of what was before; replies. Takes `k`. Client's worker. */
void tracking_begin(struct resp_client *c, struct tracker *k);
void tracker_free(struct tracker *k);
/* The connection that messages went to has gone. Of a client that tracks. */
bool tracking_is_broken(const struct resp_client *c);

#endif
