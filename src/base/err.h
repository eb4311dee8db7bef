/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one error type. A function that can fail in more than one way returns `enum err`, in one way
 * `bool`. Outputs come last, are named ret_x and are written only on success. Absence of a key is
 * not an error.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/check.h"

enum err {
#define ERR(name, prefix, status, text) ERR_##name,
#include "base/err.def"
#undef ERR
};

const char *err_prefix(enum err e); /* RESP error prefix, e.g. "WRONGTYPE" */
int err_status(enum err e);         /* HTTP status */
const char *err_text(enum err e);

#endif
