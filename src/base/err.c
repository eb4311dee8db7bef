/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table err.def, by column. Threads: any; constant.
 */
#include "base/err.h"

static const struct {
    const char *prefix;
    int status;
    const char *text;
} err_table[] = {
#define ERR(name, prefix, status, text) [ERR_##name] = {prefix, status, text},
#include "base/err.def"
#undef ERR
};

const char *err_prefix(enum err e)
{
    return err_table[e].prefix;
}

int err_status(enum err e)
{
    return err_table[e].status;
}

const char *err_text(enum err e)
{
    return err_table[e].text;
}
