/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SHA1 as RFC 3174 describes it: scripts are named by it. Not for security.
 *
 * The message is taken in blocks of 64 bytes; the last one or two are made on the stack: a 1 bit, zeros, the
 * length in bits. The schedule of 80 words lives in 16 of them, each replaced when it is next needed.
 *
 * Threads: pure.
 */
#include "script/script.h"

enum { BLOCK = 64 };

static inline uint32_t rotate(uint32_t x, uint32_t by)
{
    return x << by | x >> (32 - by);
}

static inline uint32_t read_word(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t next_word(uint32_t w[16], uint32_t t)
{
    if (t >= 16) {
        w[t % 16] = rotate(w[(t + 13) % 16] ^ w[(t + 8) % 16] ^ w[(t + 2) % 16] ^ w[t % 16], 1);
    }
    return w[t % 16];
}

static void take_block(uint32_t h[5], const uint8_t *block)
{
    uint32_t w[16];
    for (uint32_t t = 0; t < 16; t++) {
        w[t] = read_word(block + 4 * (size_t)t);
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (uint32_t t = 0; t < 80; t++) {
        uint32_t f = d ^ (b & (c ^ d));
        uint32_t k = 0x5a827999;
        if (t >= 60) {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        } else if (t >= 40) {
            f = (b & c) | (d & (b | c));
            k = 0x8f1bbcdc;
        } else if (t >= 20) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        }
        uint32_t sum = rotate(a, 5) + f + e + next_word(w, t) + k;
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = sum;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

static void take_rest(uint32_t h[5], const uint8_t *rest, size_t len, uint64_t total)
{
    uint8_t tail[2 * BLOCK] = {0};
    memcpy(tail, rest, len);
    tail[len] = 0x80;
    size_t size = len + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    for (size_t i = 0; i < 8; i++) {
        tail[size - 1 - i] = (uint8_t)(total * 8 >> (8 * i));
    }
    for (size_t at = 0; at < size; at += BLOCK) {
        take_block(h, tail + at);
    }
}

void script_sha1(struct slice text, char ret_hex[SCRIPT_SHA_SIZE])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const uint8_t *at = (const uint8_t *)(text.len > 0 ? text.ptr : "");
    size_t left = text.len;
    for (; left >= BLOCK; left -= BLOCK, at += BLOCK) {
        take_block(h, at);
    }
    take_rest(h, at, left, text.len);
    for (size_t i = 0; i < SCRIPT_SHA_LEN; i++) {
        ret_hex[i] = "0123456789abcdef"[h[i / 8] >> (28 - 4 * (i % 8)) & 15];
    }
    ret_hex[SCRIPT_SHA_LEN] = '\0';
}
