/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 (FIPS 180-4), for passwords that are kept as digests. Any thread; pure. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include "base/slice.h"

enum { SHA256_HEX = 65 };

/* 64 lowercase hexadecimal digits and NUL. */
void sha256_hex(struct slice text, char ret_hex[SHA256_HEX]);

#endif
