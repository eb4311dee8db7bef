/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands of Redis that are left out on purpose (docs/redis-differences.md), by name or by the beginning of
 * the name. The error still begins as Redis' for an unknown command: clients look for that.
 */
#include "serve/not_offered.h"

#include "base/check.h"

#include <strings.h>

static const struct {
    const char *name;
    bool begins; /* all commands that begin so */
    const char *why;
} table[] = {
    {"bitop", false, "of bitmaps there are GETBIT, SETBIT and BITCOUNT only"},
    {"bitpos", false, "of bitmaps there are GETBIT, SETBIT and BITCOUNT only"},
    {"bitfield", true, "of bitmaps there are GETBIT, SETBIT and BITCOUNT only"},
    {"pfadd", false, "freshet has no HyperLogLog"},
    {"pfcount", false, "freshet has no HyperLogLog"},
    {"pfmerge", false, "freshet has no HyperLogLog"},
    {"geo", true, "freshet has no geo indexes"},
    {"fcall", true, "there are scripts (EVAL), but no functions"},
    {"psync", false, "freshet does not replicate"},
    {"sync", false, "freshet does not replicate"},
    {"replconf", false, "freshet does not replicate"},
    {"failover", false, "freshet does not replicate"},
    {"asking", false, "freshet is no cluster"},
    {"restore-asking", false, "freshet is no cluster"},
};

const char *not_offered(struct slice name)
{
    for (size_t i = 0; i < array_len(table); i++) {
        size_t len = strlen(table[i].name);
        bool fits = table[i].begins ? name.len >= len : name.len == len;
        if (fits && strncasecmp(name.ptr, table[i].name, len) == 0) {
            return table[i].why;
        }
    }
    return NULL;
}
