/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to resp/: what parse.c and inline.c share. */
#ifndef RESP_INLINE_H
#define RESP_INLINE_H

#include "resp/resp.h"

/* As resp_parse(), for a command that does not begin with '*'. */
enum resp_result resp_parse_inline(struct resp_parser *p, struct slice in, size_t *ret_used);
/* Appends an argument at p->have. */
/* False when there is no memory. */
bool resp_parser_push(struct resp_parser *p, struct slice arg);

#endif
