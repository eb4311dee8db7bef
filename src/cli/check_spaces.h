/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of `freshet check` that says what the spaces of a policy promise. Private to cli/. */
#ifndef CLI_CHECK_SPACES_H
#define CLI_CHECK_SPACES_H

#include "cli/report.h"
#include "policy/policy.h"

/* One line a space, what they hold together, and the place of the log with the room on its disk. */
void check_spaces(struct report *r, const struct policy *p);

#endif
