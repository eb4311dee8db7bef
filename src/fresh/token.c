/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens: a position as clients carry it, "epoch.lsn.n" (decimal, hexadecimal, decimal). The epoch's
 * number is drawn from the wall clock, so a token of an earlier process is recognised as foreign.
 */
#include "base/number.h"
#include "fresh/fresh_priv.h"

#include <inttypes.h>
#include <stdio.h>

/* Before the first epoch, and without a database for ever, the process itself is the epoch. */
static uint64_t epoch_name(const struct fresh *f)
{
    uint64_t epoch = fresh_epoch(f);
    return epoch != 0 ? epoch : f->created_wall_ms;
}

size_t fresh_token_format(struct fresh *f, fresh_pos pos, char out[FRESH_TOKEN_MAX])
{
    lock_acquire(&f->lock);
    /* A position of an earlier epoch has no LSN in this one; epoch 0 is foreign to everybody. */
    uint64_t epoch = pos >= f->base ? epoch_name(f) : 0;
    uint64_t lsn = f->start_lsn + ((pos > f->base ? pos - f->base : 0) >> POS_N_BITS);
    lock_release(&f->lock);
    int len = snprintf(out, FRESH_TOKEN_MAX, "%" PRIu64 ".%" PRIX64 ".%u", epoch, lsn,
                       (unsigned)(pos & POS_N_MASK));
    return (size_t)len;
}

static bool take_hex(struct slice text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 16) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit == 16) {
            return false;
        }
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

enum fresh_token fresh_token_parse(struct fresh *f, struct slice text, fresh_pos *ret_pos)
{
    const char *dot =
        text.len < FRESH_TOKEN_MAX && text.len > 0 ? memchr(text.ptr, '.', text.len) : NULL;
    if (dot == NULL) {
        return FRESH_TOKEN_BAD;
    }
    struct slice epoch_text = {text.ptr, (size_t)(dot - text.ptr)};
    struct slice rest = slice_from(text, epoch_text.len + 1);
    dot = memchr(rest.ptr, '.', rest.len);
    if (dot == NULL) {
        return FRESH_TOKEN_BAD;
    }
    struct slice lsn_text = {rest.ptr, (size_t)(dot - rest.ptr)};
    uint64_t epoch;
    uint64_t lsn;
    uint64_t n;
    if (!number_parse_u64(epoch_text, &epoch) || !take_hex(lsn_text, &lsn) ||
        !number_parse_u64(slice_from(rest, lsn_text.len + 1), &n) || n > POS_N_MASK) {
        return FRESH_TOKEN_BAD;
    }
    lock_acquire(&f->lock);
    bool same = epoch == epoch_name(f);
    fresh_pos pos = pos_of_lsn_locked(f, lsn) | n;
    lock_release(&f->lock);
    /* A far-away LSN would overflow the line of positions: no server of this epoch wrote it. */
    if (!same || lsn >> 48 != 0) {
        return same ? FRESH_TOKEN_BAD : FRESH_TOKEN_OTHER_EPOCH;
    }
    *ret_pos = pos;
    return FRESH_TOKEN_OK;
}
