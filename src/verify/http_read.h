/* SPDX-License-Identifier: BSD-3-Clause */
/* http_read: one judged read of an HTTP route. All return false when the run has to end. */
#ifndef VERIFY_HTTP_READ_H
#define VERIFY_HTTP_READ_H

#include "verify/target.h"
#include "verify/wire.h"

/* What a reader asks for next: mostly rows, a third lists, some rows more often than others. */
struct target reader_choose(struct actor *a);

bool http_read_send(struct actor *a, struct wire *w, struct target t, enum face face,
                    struct reading *ret_reading);
/* `ret_reply` is valid until the next call on the connection. A 304 is left to the caller to judge. */
bool http_read_receive(struct actor *a, struct wire *w, const struct reading *rd,
                       struct http_reply *ret_reply);
bool http_read(struct actor *a, struct wire *w, struct target t, enum face face,
               struct http_reply *ret_reply);

#endif
