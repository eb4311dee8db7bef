/* SPDX-License-Identifier: BSD-3-Clause */
/* http_bounds: how long a request may take to arrive, and what one that goes too far is told. Pure. */
#ifndef SERVE_HTTP_BOUNDS_H
#define SERVE_HTTP_BOUNDS_H

#include "policy/policy.h"

#include <stddef.h>

/* Until when a body may go on arriving that began at `began_ms` and of which `bytes` are here:
 * limits.http_idle and a second for each limits.http_body_rate bytes, at most limits.http_body_time. */
uint64_t http_body_deadline(const struct policy_limits *l, uint64_t began_ms, size_t bytes);

enum { HTTP_DETAIL_MAX = 256 };

/* The refusal's reason with the limit that was met, its size and the key that changes it. */
void http_refusal_detail(const struct policy_limits *l, int status, const char *reason,
                         char ret_detail[HTTP_DETAIL_MAX]);

#endif
