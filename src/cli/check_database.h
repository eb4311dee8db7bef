/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `freshet check` that look at the live database. Private to cli/. */
#ifndef CLI_CHECK_DATABASE_H
#define CLI_CHECK_DATABASE_H

#include "cli/live.h"
#include "cli/report.h"

/* Version, WAL level, replication, slots, publication, event trigger. */
void check_server(struct report *r, const struct live *l);
/* Every table that a route or template uses: is it followed, how finely? */
void check_tables(struct report *r, const struct live *l);
/* Every statement: does it work, is it cached, on what does it depend, is the role allowed to? */
void check_routes(struct report *r, const struct live *l);
/* Every template's table and columns. */
void check_templates(struct report *r, const struct live *l);

#endif
