/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON (RFC 8259): strings are written, for answers and for the log; bodies are read, text by text.
 * Threads: none; pure. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

/* Appends a JSON string with its quotes (RFC 8259); bad UTF-8 becomes U+FFFD. */
void json_put_string(struct buf *out, struct slice text);

/* --- reading ------------------------------------------------------------------------------------ */

enum { JSON_DEPTH_MAX = 256 };

struct json_fault {
    size_t at;        /* byte offset of the fault */
    const char *what; /* static, the end of a sentence: "a number begins with 0" */
    /* The outermost object's member that it is in, in its quotes; ptr NULL: none. */
    struct slice member;
};
/* Is this one JSON text and nothing else? As I-JSON (RFC 7493) wants it: valid UTF-8, surrogates in
 * pairs, no name twice in one object; and at most JSON_DEPTH_MAX deep. Numbers may have any number of
 * digits. Time: n log n at worst, by the duplicate names. */
bool json_check(struct slice text, struct json_fault *ret_fault);

/* The rest is for texts that json_check() has passed. */

/* First byte that is not white space: '{', '[', '"', 't', 'f', 'n', '-' or a digit. */
char json_kind(struct slice text);
/* Walks the members of an object; `rest` begins as its whole text. False at the end. Names come in their
 * quotes; values as they were written, without white space around. */
bool json_next_member(struct slice *rest, struct slice *ret_name, struct slice *ret_value);
/* Appends what a string in its quotes says. */
void json_unquote(struct slice string, struct buf *out);

#endif
