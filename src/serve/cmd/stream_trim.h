/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What XADD and XTRIM share: the options that say what leaves a stream at its head.
 *
 * Threads: the connection's worker.
 */
#ifndef SERVE_STREAM_TRIM_H
#define SERVE_STREAM_TRIM_H

#include "serve/resp_client.h"
#include "store/coll.h"

enum stream_trim_by { STREAM_TRIM_NOT, STREAM_TRIM_LENGTH, STREAM_TRIM_ID };

struct stream_options {
    enum stream_trim_by by;
    uint64_t max_length;
    struct coll_id min_id;
    bool roughly;        /* ~ */
    uint64_t limit;      /* how many may leave at once; 0: all */
    uint64_t node;       /* how many leave together when trimming roughly, at most: */
    uint64_t node_bytes; /* so many in so many bytes; 0: of any size */
    /* XADD only */
    bool must_exist; /* NOMKSTREAM */
    bool has_id;     /* not "*" */
    bool has_seq;
    struct coll_id id;
};

/* Reads options from argv[2] on. XADD's end with the id, whose place is `ret_at`; XTRIM's with the command.
 * False after replying. */
bool stream_options_parse(struct resp_client *c, const struct slice *argv, uint32_t argc,
                          bool is_add, struct stream_options *ret_options, uint32_t *ret_at);
/* With the stream held; returns how many entries left. */
uint64_t stream_trim(struct store_hold *h, const struct stream_options *o);

#endif
