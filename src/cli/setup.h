/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `freshet setup-sql`. Private to cli/. Everything is printed to standard output. */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "cli/live.h"

struct setup {
    const struct policy *policy;
    const struct live *live; /* NULL: --offline */
    const char *role;        /* as given; quoted where printed */
};

/* "name" with its quotes doubled; 'text' likewise. Rotating static buffers: use at once. */
const char *setup_identifier(const char *name);
const char *setup_literal(const char *text);

/* Object ids, each with a set of privileges (0 where they do not matter); may hold one twice. */
struct setup_oids {
    uint32_t *oid;
    uint32_t *perms;
    uint32_t count;
};
void setup_oids_add(struct setup_oids *set, uint32_t oid, uint32_t perms);
void setup_oids_add_functions(struct setup_oids *set, const struct plan_route *r);
void setup_oids_fini(struct setup_oids *set);

void setup_role(const struct setup *s);
void setup_publication(const struct setup *s);
void setup_grants(const struct setup *s);
void setup_event_triggers(void);

#endif
