/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON strings, for answers and for the log. Threads: none; pure. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

/* Appends a JSON string with its quotes (RFC 8259); bad UTF-8 becomes U+FFFD. */
void json_put_string(struct buf *out, struct slice text);

#endif
