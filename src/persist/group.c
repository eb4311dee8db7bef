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
#include <stdio.h>

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

/* Returns the length; `out` has GROUP_PROOF_MAX bytes. */
static size_t format_proof(char *out, uint64_t hash, uint64_t len)
{
    char digits[NUMBER_MAX_LEN];
    size_t digit_count = number_format_u64(digits, len);
    int size = snprintf(out, GROUP_PROOF_MAX, PROOF_HEAD "%016" PRIx64 "\r\n$%zu\r\n%.*s\r\n", hash,
                        digit_count, (int)digit_count, digits);
    return (size_t)size;
}

void group_put_proof(struct buf *out, uint64_t nonce, uint64_t offset)
{
    struct slice bytes = buf_readable(out);
    char proof[GROUP_PROOF_MAX];
    size_t len = format_proof(proof, group_hash(nonce, offset, bytes), bytes.len);
    buf_append(out, proof, len);
}

void group_put_header(struct buf *out, uint64_t nonce, bool is_rewrite)
{
    check(buf_len(out) == 0);
    buf_printf(out, HEADER_HEAD "%016" PRIx64 "\r\n%s\r\n", nonce,
               is_rewrite ? "$7\r\nrewrite" : "$5\r\nfresh");
    group_put_proof(out, nonce, 0);
}

static const char *const marks[] = {
    [GROUP_COMPLETE] = "*2\r\n$11\r\nFRESHET.LOG\r\n$8\r\nCOMPLETE\r\n",
    [GROUP_ENDED] = "*2\r\n$11\r\nFRESHET.LOG\r\n$5\r\nENDED\r\n",
};

void group_put_mark(struct buf *out, enum group_mark mark)
{
    buf_append_str(out, marks[mark]);
}

enum group_mark group_mark_of(struct slice commands)
{
    return slice_is(commands, marks[GROUP_COMPLETE]) ? GROUP_COMPLETE
           : slice_is(commands, marks[GROUP_ENDED])  ? GROUP_ENDED
                                                     : GROUP_NO_MARK;
}

void group_aside_key(uint64_t nonce, char ret_key[GROUP_ASIDE + 1])
{
    (void)snprintf(ret_key, GROUP_ASIDE + 1, "freshet.rewrite.%016" PRIx64, nonce);
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

/* Is the command that was just parsed from `raw` a proof? To the byte: the parser is more lenient. */
static bool is_proof(const struct resp_parser *p, struct slice raw, uint64_t *ret_hash,
                     uint64_t *ret_len)
{
    char proof[GROUP_PROOF_MAX] = "";
    if (p->argc != 3 || !slice_is(p->argv[0], "FRESHET.CRC") || !parse_hex(p->argv[1], ret_hash) ||
        !number_parse_u64(p->argv[2], ret_len)) {
        return false;
    }
    return slice_eq(raw, (struct slice){proof, format_proof(proof, *ret_hash, *ret_len)});
}

/* A proof that begins at `at`, and the group that it speaks of. */
struct proof {
    size_t at;
    size_t end;
    size_t start; /* of the group */
    bool is_right;
};

static bool proof_at(struct group_reader *r, size_t at, struct proof *ret_proof)
{
    uint64_t hash = 0;
    uint64_t len = 0;
    size_t used = parse_command(r, slice_from(r->all, at));
    if (used == 0 || !is_proof(&r->parser, (struct slice){r->all.ptr + at, used}, &hash, &len) ||
        len > at) {
        return false;
    }
    size_t start = at - (size_t)len;
    struct slice bytes = {r->all.ptr + start, (size_t)len};
    *ret_proof = (struct proof){.at = at, .end = at + used, .start = start};
    ret_proof->is_right = hash == group_hash(r->nonce, start, bytes);
    return true;
}

static bool has_hole(struct slice bytes)
{
    static const char zeros[HOLE];
    return bytes.len >= HOLE && memmem(bytes.ptr, bytes.len, zeros, HOLE) != NULL;
}

/* Does a proof end where this group begins? */
static bool follows_a_group(struct group_reader *r, size_t start)
{
    size_t from = start > GROUP_PROOF_MAX ? start - GROUP_PROOF_MAX : 0;
    for (size_t at = from; at < start; at++) {
        struct proof p;
        if (r->all.ptr[at] == '*' && proof_at(r, at, &p) && p.end == start) {
            return true;
        }
    }
    return false;
}

/* Behind r->at: a group that is right, or one that ends the file as a whole one does. */
static bool tells_of_damage(struct group_reader *r, const struct proof *p)
{
    struct slice rest = slice_from(r->all, r->at);
    if (p->start < r->at) {
        return false;
    }
    return p->is_right || (p->end == r->all.len && !has_hole(rest) &&
                           (p->start == r->at || follows_a_group(r, p->start)));
}

/* What stands at r->at is no good group: is it only the end of an unfinished write? */
static enum group_result judge(struct group_reader *r, const char *why)
{
    size_t from = r->at;
    const char *found;
    r->why = why;
    while ((found = memmem(r->all.ptr + from, r->all.len - from, PROOF_HEAD,
                           sizeof(PROOF_HEAD) - 1)) != NULL) {
        struct proof p;
        size_t at = (size_t)(found - r->all.ptr);
        from = at + 1;
        if (proof_at(r, at, &p) && tells_of_damage(r, &p)) {
            return GROUP_DAMAGED;
        }
    }
    return GROUP_TORN;
}

static bool read_header(struct group_reader *r)
{
    size_t used = parse_command(r, r->all);
    const struct slice *argv = r->parser.argv;
    if (used == 0 || r->parser.argc != 5 || !slice_is(argv[0], "FRESHET.LOG") ||
        !slice_is(argv[1], "BEGIN") || !slice_is(argv[2], "1") || !parse_hex(argv[3], &r->nonce)) {
        return false;
    }
    r->is_rewrite = slice_is(argv[4], "rewrite");
    struct proof p;
    if (!proof_at(r, used, &p) || p.start != 0 || !p.is_right) {
        return false;
    }
    r->at = p.end;
    r->groups++;
    return true;
}

/* FRESHET.LOG BEGIN, and a version that is not 1: whatever stands behind it, it is no damage. */
static bool is_foreign(struct group_reader *r)
{
    bool is_command = parse_command(r, r->all) > 0 && r->parser.argc >= 3;
    const struct slice *argv = r->parser.argv;
    uint64_t version;
    return is_command && slice_is(argv[0], "FRESHET.LOG") && slice_is(argv[1], "BEGIN") &&
           number_parse_u64(argv[2], &version) && version > 1;
}

enum group_result group_read(struct group_reader *r, struct slice *ret_commands)
{
    if (r->at == 0) {
        *ret_commands = (struct slice){r->all.ptr, 0};
        if (read_header(r)) {
            return GROUP_READ;
        }
        if (is_foreign(r)) {
            r->why = "it is the log of a later freshet: start that one, or give this one another "
                     "`durable.dir`";
            return GROUP_FOREIGN;
        }
        r->why = "it does not begin as a log does";
        return GROUP_DAMAGED;
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
        if (is_proof(&r->parser, (struct slice){r->all.ptr + at, used}, &hash, &len)) {
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
