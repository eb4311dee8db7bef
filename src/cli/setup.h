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

void setup_role(const struct setup *s);
void setup_publication(const struct setup *s);
void setup_grants(const struct setup *s);
void setup_event_triggers(void);

#endif
