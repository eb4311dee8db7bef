/* SPDX-License-Identifier: BSD-3-Clause */
/* explain_json: the lines of explain as one JSON object, names with '_' for ' '. */
#ifndef CLI_EXPLAIN_JSON_H
#define CLI_EXPLAIN_JSON_H

#include "base/slice.h"

/* Prints it on standard output. What may come several times (rule, reads, depends_on, hint) is a list. */
void explain_json_print(struct slice text);

#endif
