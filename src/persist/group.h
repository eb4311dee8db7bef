/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * group: the bytes of a log file, written and read; a pure codec.
 *
 * A file is a sequence of groups. A group is RESP commands and ends with one that proves it:
 *
 *      *5 FRESHET.LOG BEGIN 1 <nonce, 16 hex> fresh|rewrite                      the first group
 *      *3 FRESHET.CRC <hash, 16 hex> <bytes>
 *      *2 SELECT 0   *3 SET k v   *1 MULTI ... *1 EXEC                           one write to the disk
 *      *3 FRESHET.CRC <hash, 16 hex> <bytes>
 *
 * `bytes` is the length of the group without its last command; the hash is XXH3 of those bytes, seeded with
 * the file's nonce and the group's offset. So a group proves itself alone, and a copy of it elsewhere, or
 * one of another file, proves nothing. FRESHET.LOG and FRESHET.CRC are commands that answer OK: a file can
 * be piped into any freshet with `redis-cli --pipe`.
 *
 * What is wrong with a file that does not read to its end:
 *
 *   torn      nothing behind the last good group proves itself: the write that was going on when the
 *             power went. It was never acknowledged; it may be cut.
 *   damaged   a good group follows, or the file ends as a whole group does, with a proof that
 *             does not match (and no hole of zeros, which a disk leaves that wrote the end first). What
 *             is missing may have been acknowledged: somebody must decide.
 *
 * Threads: none; pure.
 */
#ifndef PERSIST_GROUP_H
#define PERSIST_GROUP_H

#include "base/buf.h"
#include "resp/resp.h"

/* Appends the first group of a file: its nonce, and whether it is read alone (a rewrite). */
void group_put_header(struct buf *out, uint64_t nonce, bool is_rewrite);
/* Appends the last command of the group that `out` holds, to be written at `offset` of the file. */
void group_put_proof(struct buf *out, uint64_t nonce, uint64_t offset);
/* At most so many bytes. */
enum { GROUP_PROOF_MAX = 96 };
/* Marks, groups of their own: behind COMPLETE a rewritten file is whole by itself; ENDED is the last of a file that
 * another one follows. Appends the command. */
enum group_mark { GROUP_NO_MARK, GROUP_COMPLETE, GROUP_ENDED };
void group_put_mark(struct buf *out, enum group_mark mark);
enum group_mark group_mark_of(struct slice commands);

/* The key under which a rewrite gathers the parts of a large collection, by the file's nonce; with a NUL. */
enum { GROUP_ASIDE = 32 };
void group_aside_key(uint64_t nonce, char ret_key[GROUP_ASIDE + 1]);

enum group_result {
    GROUP_READ,
    GROUP_END,
    GROUP_TORN,
    GROUP_DAMAGED,
    GROUP_FOREIGN, /* a file of a later version of the format; nothing was read */
};

struct group_reader {
    struct slice all; /* the file */
    size_t at;        /* what is before has been read */
    struct resp_parser parser;
    uint64_t nonce;
    uint64_t groups;
    bool is_rewrite;
    const char *why; /* of TORN, DAMAGED, FOREIGN; static */
};

void group_reader_init(struct group_reader *r, struct slice all);
void group_reader_fini(struct group_reader *r);
/* The commands of the next group, without its proof; empty for the header, which is read at once. On
 * TORN and DAMAGED `at` stays at the first byte of what is wrong. */
enum group_result group_read(struct group_reader *r, struct slice *ret_commands);
/* The next command of a group that was read; false at its end. Arguments are in the parser. */
bool group_next_command(struct group_reader *r, struct slice *rest);

#endif
