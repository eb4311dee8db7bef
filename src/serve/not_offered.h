/* SPDX-License-Identifier: BSD-3-Clause */
/* What Redis has and freshet has not, so that the error can say so. */
#ifndef SERVE_NOT_OFFERED_H
#define SERVE_NOT_OFFERED_H

#include "base/slice.h"

/* Why there is no such command, NULL for a name that Redis does not know either. Static text. */
const char *not_offered(struct slice name);

#endif
