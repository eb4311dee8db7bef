/* SPDX-License-Identifier: BSD-3-Clause */
/* Fill tokens as the FRESHET commands take them. */
#ifndef SERVE_FILL_TOKEN_H
#define SERVE_FILL_TOKEN_H

#include "serve/resp_client.h"

/* What a token of another epoch or process gives: below every floor. Tags know no floor; whoever writes with
 * tags asks for it. */
enum { TOKEN_VOID = 1 };

/* False after replying. */
bool arg_token(struct resp_client *c, struct slice text, fresh_pos *ret_stamp);

#endif
