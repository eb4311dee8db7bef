/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ids of stream entries: "milliseconds-sequence". As Redis reads them, oddities included (a plus sign, spaces
 * in front, what stands behind a NUL).
 *
 * Threads: the connection's worker.
 */
#ifndef SERVE_STREAM_ID_H
#define SERVE_STREAM_ID_H

#include "serve/resp_client.h"
#include "store/coll.h"

/* <0, 0, >0 */
int stream_id_compare(struct coll_id a, struct coll_id b);
/* The id after it; false when there is none. */
bool stream_id_next(struct coll_id *id);

/* `missing_seq` stands for the sequence of an id without one. False after replying that it is none. */
bool arg_stream_id(struct resp_client *c, struct slice arg, uint64_t missing_seq,
                   struct coll_id *ret_id);
/* For XADD: "ms-*" leaves the sequence to the server, `ret_has_seq` is false then. */
bool arg_stream_new_id(struct resp_client *c, struct slice arg, struct coll_id *ret_id,
                       bool *ret_has_seq);
/* The bounds of XRANGE: "-", "+", and "(" in front of an id that is not included itself. */
bool arg_stream_start(struct resp_client *c, struct slice arg, struct coll_id *ret_id);
bool arg_stream_end(struct resp_client *c, struct slice arg, struct coll_id *ret_id);

enum { STREAM_ID_LEN = 42 };
/* Writes it without NUL and returns the length. */
size_t stream_id_format(char out[STREAM_ID_LEN], struct coll_id id);
void reply_stream_id(struct resp_client *c, struct coll_id id);

#endif
