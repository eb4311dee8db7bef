/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decode: the replication stream's bytes as events. Pure: no I/O, and of earlier messages it remembers one
 * thing, whether a block of a streamed transaction is open: messages inside have one field more.
 *
 * Slices of a frame or event point into the message; arrays belong to the decoder and stay until
 * its next decode_event(). One decoder per thread.
 */
#ifndef FOLLOW_DECODE_H
#define FOLLOW_DECODE_H

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

enum { DECODE_COLUMNS_MAX = 1664 }; /* PostgreSQL's MaxTupleAttributeNumber */

/* What CopyBoth carries: a message of the plugin, or a sign of life. */
struct decode_frame {
    bool keepalive;
    bool reply_requested; /* keepalive */
    uint64_t end_lsn;     /* keepalive: everything before was sent */
    struct slice message; /* otherwise */
};

enum decode_kind {
    DECODE_BEGIN,
    DECODE_COMMIT,
    DECODE_RELATION,
    DECODE_INSERT,
    DECODE_UPDATE,
    DECODE_DELETE,
    DECODE_TRUNCATE,
    DECODE_TYPE,
    DECODE_ORIGIN,
    DECODE_MESSAGE,
    /* a large transaction, sent in blocks while it still runs */
    DECODE_STREAM_START,
    DECODE_STREAM_STOP,
    DECODE_STREAM_COMMIT,
    DECODE_STREAM_ABORT,
};

struct decode_value {
    enum { DECODE_NULL, DECODE_UNCHANGED, DECODE_TEXT } kind; /* UNCHANGED: TOAST, not sent */
    struct slice text;
};

struct decode_tuple {
    uint32_t count;
    const struct decode_value *values;
};

struct decode_column {
    struct slice name;
    uint32_t type_oid;
    bool identity; /* part of the replica identity */
};

struct decode_begin {
    uint32_t xid; /* the low half */
};

struct decode_commit {
    uint32_t xid; /* STREAM_COMMIT */
    uint64_t end_lsn;
};

struct decode_stream {
    uint32_t xid;    /* of the whole transaction, the low half */
    uint32_t subxid; /* STREAM_ABORT: the part that is undone; equal to `xid`: all of it */
};

struct decode_relation {
    uint32_t oid;
    struct slice schema;
    struct slice name;
    char identity; /* pg_class.relreplident */
    uint32_t column_count;
    const struct decode_column *columns;
};

/* What a row change tells of the row as it was. */
enum decode_old {
    DECODE_OLD_NONE, /* INSERT; or UPDATE that left the replica identity alone */
    DECODE_OLD_KEY,  /* replica identity columns, the others are NULL and mean nothing */
    DECODE_OLD_FULL,
};

struct decode_row {
    uint32_t relation;
    enum decode_old old_kind;
    struct decode_tuple old_row; /* unless OLD_NONE */
    struct decode_tuple new_row; /* unless DELETE */
};

struct decode_truncate {
    uint32_t count;
    const uint32_t *relations;
};

struct decode_message {
    bool transactional;
    uint64_t lsn;
    struct slice prefix;
    struct slice content;
};

struct decode_event {
    enum decode_kind kind;
    union {
        struct decode_begin begin;
        struct decode_commit commit; /* COMMIT, STREAM_COMMIT */
        struct decode_stream stream; /* STREAM_START, STREAM_ABORT */
        struct decode_relation relation;
        struct decode_row row;
        struct decode_truncate truncate;
        struct decode_message message;
    };
};

/* False: truncated, or nothing that this protocol has. */
bool decode_frame(struct slice in, struct decode_frame *ret_frame);

struct decoder;
struct decoder *decoder_create(void);
void decoder_destroy(struct decoder **d);
/* A new connection. */
void decoder_reset(struct decoder *d);
/* One message of pgoutput, proto_version 2. False: truncated or impossible; `ret_why` (static) says what. */
bool decode_event(struct decoder *d, struct slice in, struct decode_event *ret_event,
                  const char **ret_why);

#endif
