/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admin: the operators' HTTP face. GET /stats, /metrics (Prometheus), /slow, /explain?target=...,
 * /trace?since=..., /healthz; plain text.
 * With `auth` in the policy every request needs `Authorization: Bearer <password>`.
 */
#ifndef SERVE_ADMIN_H
#define SERVE_ADMIN_H

#include "http/http.h"
#include "serve/serve.h"

/* Answers at once into `out`. Worker's thread. */
void admin_answer(struct worker *w, const struct http_request *head, bool close, struct buf *out);

#endif
