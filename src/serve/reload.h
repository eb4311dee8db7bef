/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reload: how a plan, and with it a policy, reaches every worker; and what another policy voids.
 * Private to src/serve; the daemon sees server_reload().
 */
#ifndef SERVE_RELOAD_H
#define SERVE_RELOAD_H

#include "serve/serve.h"

struct reload *reload_create(struct server *s);
/* No step of the sweep comes after this; before the workers' loops are destroyed. */
void reload_stop(struct reload *r);
void reload_destroy(struct reload **r);

/* Puts `p` in force, now or after the reload in progress. Takes a reference. Any thread. */
void reload_begin(struct reload *r, const struct policy *p);
/* Hands the plan to every worker; takes the reference. A plan of a policy that has been replaced is
 * dropped. NULL: the newest policy, before it could be analysed. Any thread. */
void reload_publish(struct reload *r, const struct plan *plan);

struct reload_figures {
    uint64_t reloads;
    uint64_t refused;
    uint64_t voided; /* keys */
};
void reload_refused(struct reload *r);
void reload_figures(struct reload *r, struct reload_figures *ret_figures);

#endif
