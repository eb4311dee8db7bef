/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A head is short and comes within one fixed time. A body may be long and its sender far away, so its time
 * grows with what has come: a phone on a bad network that sends 2 KB a second is served, a client that
 * drips a byte now and then to keep a connection busy is not.
 *
 *     time left
 *        ^         ______________ http_body_time
 *        |      __/
 *        |   __/   slope 1 / http_body_rate
 *        |__/
 *        | http_idle
 *        +-----------------------> bytes that are here
 */
#include "serve/http_bounds.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t http_body_deadline(const struct policy_limits *l, uint64_t began_ms, size_t bytes)
{
    uint64_t earned_ms = (uint64_t)bytes * 1000 / l->http_body_rate;
    uint64_t allowed_ms = l->http_idle_ms + earned_ms;
    return began_ms + (allowed_ms < l->http_body_ms ? allowed_ms : l->http_body_ms);
}

void http_refusal_detail(const struct policy_limits *l, int status, const char *reason,
                         char ret_detail[HTTP_DETAIL_MAX])
{
    switch (status) {
    case 413:
        (void)snprintf(ret_detail, HTTP_DETAIL_MAX, "%s: %" PRIu64 " bytes (limits.http_body)",
                       reason, l->http_body_max);
        return;
    case 414:
        (void)snprintf(ret_detail, HTTP_DETAIL_MAX,
                       "%s: %" PRIu32 " bytes (half of limits.http_head)", reason,
                       l->http_head_max / 2);
        return;
    case 431:
        (void)snprintf(ret_detail, HTTP_DETAIL_MAX,
                       "%s: %" PRIu32 " bytes (limits.http_head) and 100 headers are taken", reason,
                       l->http_head_max);
        return;
    default:
        (void)snprintf(ret_detail, HTTP_DETAIL_MAX, "%s", reason);
        return;
    }
}
