/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resp: the Redis protocol as a pure codec (RESP2 and RESP3). Bytes in, slices out; values in, bytes
 * out. No sockets, no commands.
 *
 * Parsing is incremental without state kept over a call except `struct resp_parser`: feed all
 * unconsumed bytes each time; arguments are slices into them. A pipeline is parsed one command at a
 * time. Large bulks are not rescanned: the parser remembers how far it got.
 *
 * Source: redis.io "RESP protocol spec"; inline commands as Redis reads them (quotes and escapes).
 * Threads: none; pure. Limits come from the caller and give RESP_ERROR with Redis's own words.
 */
#ifndef RESP_RESP_H
#define RESP_RESP_H

#include "base/buf.h"
#include "base/check.h"
#include "base/slice.h"

#include <stdint.h>

struct resp_limits {
    uint32_t args_max;   /* elements of one command */
    uint64_t bulk_max;   /* bytes of one argument */
    uint32_t inline_max; /* bytes of one inline command or one header line */
    /* The client has not authenticated yet: at most 10 arguments of 16 KB, refused in Redis's own words for that
     * case. */
    bool anonymous;
};

enum resp_result {
    RESP_COMMAND, /* argc/argv hold a command (argc 0: empty line, ignore) */
    RESP_MORE,    /* unfinished */
    RESP_ERROR,   /* protocol error; parser->error says what; answer and close */
};

struct resp_parser {
    const struct resp_limits *limits;
    struct slice *argv; /* owned; grows as needed, slices into the input or into `inline_text` */
    uint32_t argc;
    uint32_t argv_cap;
    const char *error; /* without "-ERR Protocol error: "; valid until the next call */
    /* private: where an unfinished command stands, relative to the start of the input */
    size_t at;      /* everything before is parsed (an inline command: searched) */
    uint32_t want;  /* arguments announced; 0: the header is not read yet */
    uint32_t have;  /* arguments read */
    uint32_t saved; /* of them, how many are kept as offsets */
    uint32_t offsets_cap;
    size_t *offsets;
    struct buf inline_text; /* unescaped inline arguments */
    char error_text[32];
};

/* Borrows the limits; `p->limits` may be exchanged for others between commands. */
void resp_parser_init(struct resp_parser *p, const struct resp_limits *limits);
void resp_parser_fini(struct resp_parser *p);
/* Memory that the parser holds for long or unfinished commands. */
size_t resp_parser_bytes(const struct resp_parser *p);
/* `ret_used`: bytes of `in` that the command took; the caller consumes them when it no longer needs
 * argv. On RESP_MORE nothing may be consumed and the same bytes must be offered again with more. */
enum resp_result resp_parse(struct resp_parser *p, struct slice in, size_t *ret_used);

/* What a pipeline will ask for, as a hint: of each complete multibulk command at the start of `in`, at most
 * `max`, the words behind its name, RESP_PEEK_WORDS places a command. The first is likely a key; places
 * without a word have a NULL pointer. Touches no parser. */
enum { RESP_PEEK_WORDS = 3 };
uint32_t resp_peek(struct slice in, struct slice *ret_words, uint32_t max);

/* --- composing: append to `out`. `proto` is 2 or 3 where it matters --------------------------------- */

void resp_simple(struct buf *out, const char *text); /* +OK */
void resp_error(struct buf *out, const char *fmt, ...)
    printf_like(2, 3); /* -fmt, line ends removed */
void resp_integer(struct buf *out, int64_t value);
void resp_bulk(struct buf *out, struct slice value);
void resp_bulk_str(struct buf *out, const char *text);
void resp_null(struct buf *out, int proto);       /* _ or $-1 */
void resp_null_array(struct buf *out, int proto); /* _ or *-1 */
void resp_array(struct buf *out, uint64_t len);
void resp_map(struct buf *out, int proto, uint64_t pairs); /* %n or *2n */
void resp_set(struct buf *out, int proto, uint64_t len);   /* ~n or *n */
void resp_push(struct buf *out, int proto, uint64_t len);  /* >n or *n */
void resp_bool(struct buf *out, int proto, bool value);    /* #t or :1 */
void resp_double(struct buf *out, int proto, double value);
void resp_verbatim(struct buf *out, int proto, const char *format3, struct slice text);

#endif
