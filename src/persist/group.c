/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups of a log file; group.h draws them.
 *
 * Reading a group parses its commands until the proof, and hashes them only then: a command is run by
 * nobody before its group has proved itself. Whether what does not read was torn or damaged is decided
 * by looking for proof behind it (judge()); that costs one pass over the rest of the file, once.
 *
 * Invariant: G1. Only multibulk commands are read; the parser's inline form is damage here.
 * Threads: none.
 */
#include "persist/group.h"

#include "base/hash.h"
#include "base/number.h"

#include <inttypes.h>

#define PROOF_HEAD  "*3\r\n$11\r\nFRESHET.CRC\r\n$16\r\n"
#define HEADER_HEAD "*5\r\n$11\r\nFRESHET.LOG\r\n$5\r\nBEGIN\r\n$1\r\n1\r\n$16\r\n"

enum { HOLE = 512, HEX = 16 };

/* Whatever a command was that we wrote, it is read. */
static const struct resp_limits limits = {
    .args_max = INT32_MAX, .bulk_max = UINT64_C(1) << 40, .inline_max = 64};

/* --- writing ------------------------------------------------------------------------------------ */

static uint64_t group_hash(uint64_t nonce, uint64_t offset, struct slice bytes)
{
    return hash_bytes_fixed(hash_mix(nonce, offset), bytes.ptr, bytes.len);
}

static void put_proof(struct buf *out, uint64_t hash, size_t len)
{
    char digits[NUMBER_MAX_LEN];
    size_t digit_count = number_format_u64(digits, len);
    buf_printf(out, PROOF_HEAD "%016" PRIx64 "\r\n$%zu\r\n%zu\r\n", hash, digit_count, len);
}

void group_put_proof(struct buf *out, uint64_t nonce, uint64_t offset)
{
    struct slice bytes = buf_readable(out);
    put_proof(out, group_hash(nonce, offset, bytes), bytes.len);
}

void group_put_header(struct buf *out, uint64_t nonce, bool is_rewrite)
{
    check(buf_len(out) == 0);
    buf_printf(out, HEADER_HEAD "%016" PRIx64 "\r\n%s\r\n", nonce,
               is_rewrite ? "$7\r\nrewrite" : "$5\r\nfresh");
    group_put_proof(out, nonce, 0);
}

void group_put_complete(struct buf *out)
{
    buf_append_str(out, "*2\r\n$11\r\nFRESHET.LOG\r\n$8\r\nCOMPLETE\r\n");
}

/* --- reading ------------------------------------------------------------------------------------ */

void group_reader_init(struct group_reader *r, struct slice all)
{
    *r = (struct group_reader){.all = all};
    resp_parser_init(&r->parser, &limits);
}

void group_reader_fini(struct group_reader *r)
{
    resp_parser_fini(&r->parser);
}

static bool parse_hex(struct slice text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.len != HEX) {
        return false;
    }
    for (size_t i = 0; i < HEX; i++) {
        char c = text.ptr[i];
        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

/* One multibulk command at the start of `in`; 0: there is none. */
static size_t parse_command(struct group_reader *r, struct slice in)
{
    size_t used = 0;
    if (in.len == 0 || in.ptr[0] != '*') {
        return 0;
    }
    r->parser.at = 0;
    if (resp_parse(&r->parser, in, &used) != RESP_COMMAND || r->parser.argc == 0) {
        resp_parser_fini(&r->parser); /* an unfinished command leaves its place behind */
        resp_parser_init(&r->parser, &limits);
        return 0;
    }
    return used;
}

static bool is_proof(const struct resp_parser *p, uint64_t *ret_hash, uint64_t *ret_len)
{
    int64_t len = 0;
    if (p->argc != 3 || !slice_is(p->argv[0], "FRESHET.CRC") || !parse_hex(p->argv[1], ret_hash) ||
        !number_parse_i64(p->argv[2], &len) || len < 0) {
        return false;
    }
    *ret_len = (uint64_t)len;
    return true;
}

/* The proof that begins at `at` fits the group that it says it ends; `ret_start`: where that begins. */
static bool proof_fits(struct group_reader *r, size_t at, size_t *ret_start, bool *ret_is_right)
{
    uint64_t hash = 0;
    uint64_t len = 0;
    size_t used = parse_command(r, slice_from(r->all, at));
    if (used == 0 || !is_proof(&r->parser, &hash, &len) || len > at) {
        return false;
    }
    *ret_start = at - (size_t)len;
    struct slice bytes = {r->all.ptr + *ret_start, (size_t)len};
    *ret_is_right = hash == group_hash(r->nonce, *ret_start, bytes);
    return true;
}

static bool has_hole(struct slice bytes)
{
    static const char zeros[HOLE];
    return bytes.len >= HOLE && memmem(bytes.ptr, bytes.len, zeros, HOLE) != NULL;
}

/* What stands at r->at is no good group: is it only the end of an unfinished write? */
static enum group_result judge(struct group_reader *r, const char *why)
{
    size_t from = r->at;
    const char *found;
    while ((found = memmem(r->all.ptr + from, r->all.len - from, PROOF_HEAD,
                           sizeof(PROOF_HEAD) - 1)) != NULL) {
        size_t at = (size_t)(found - r->all.ptr);
        size_t start = 0;
        bool is_right = false;
        from = at + 1;
        if (!proof_fits(r, at, &start, &is_right) || start < r->at) {
            continue;
        }
        struct slice group = {r->all.ptr + start, at - start};
        bool is_last = at + parse_command(r, slice_from(r->all, at)) == r->all.len;
        if (is_right || (start == r->at && is_last && !has_hole(group))) {
            r->why = why;
            return GROUP_DAMAGED;
        }
    }
    r->why = why;
    return GROUP_TORN;
}

static bool read_header(struct group_reader *r)
{
    const struct slice *argv = r->parser.argv;
    size_t used = parse_command(r, r->all);
    argv = r->parser.argv;
    if (used == 0 || r->parser.argc != 5 || !slice_is(argv[0], "FRESHET.LOG") ||
        !slice_is(argv[1], "BEGIN") || !slice_is(argv[2], "1") || !parse_hex(argv[3], &r->nonce)) {
        return false;
    }
    r->is_rewrite = slice_is(argv[4], "rewrite");
    size_t start = 0;
    bool is_right = false;
    size_t at = used;
    if (!proof_fits(r, at, &start, &is_right) || start != 0 || !is_right) {
        return false;
    }
    r->at = at + parse_command(r, slice_from(r->all, at));
    r->groups++;
    return true;
}

enum group_result group_read(struct group_reader *r, struct slice *ret_commands)
{
    if (r->at == 0) {
        *ret_commands = (struct slice){r->all.ptr, 0};
        if (!read_header(r)) {
            r->why = "it does not begin as a log of this version";
            return GROUP_DAMAGED;
        }
        return GROUP_READ;
    }
    size_t at = r->at;
    uint64_t hash = 0;
    uint64_t len = 0;
    if (at == r->all.len) {
        return GROUP_END;
    }
    for (;;) {
        size_t used = parse_command(r, slice_from(r->all, at));
        if (used == 0) {
            return judge(r, "a command cannot be read");
        }
        if (is_proof(&r->parser, &hash, &len)) {
            struct slice bytes = {r->all.ptr + r->at, at - r->at};
            if (len != bytes.len || hash != group_hash(r->nonce, r->at, bytes)) {
                return judge(r, "a group does not match its FRESHET.CRC");
            }
            *ret_commands = bytes;
            r->at = at + used;
            r->groups++;
            return GROUP_READ;
        }
        at += used;
    }
}

bool group_next_command(struct group_reader *r, struct slice *rest)
{
    size_t used = parse_command(r, *rest);
    *rest = slice_from(*rest, used);
    return used > 0;
}
