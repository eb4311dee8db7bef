/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns of KEYS, SCAN and CONFIG GET: * ? [abc] [^abc] [a-z] and \ before a special byte. */
#ifndef SERVE_GLOB_H
#define SERVE_GLOB_H

#include "base/slice.h"

bool glob_match(struct slice pattern, struct slice text, bool ignore_case);

#endif
