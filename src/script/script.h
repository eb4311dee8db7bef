/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * script: Lua 5.1 for EVAL, shut in. Knows neither clients nor the store: commands go through a host's
 * function and come back as bytes of the Redis protocol.
 *
 *      source ─> script_source_read (shebang) ─> script_vm_load ─> script_vm_run ─┬─> host.call
 *                                                  one chunk for each SHA1        └─> reply, as RESP
 *
 * A *vm* is one Lua state: its memory is bounded, its libraries cannot be changed by scripts (sandbox.c),
 * and nothing of one run is left for the next but the compiled scripts. `script_sources` is what all vms
 * share: which scripts exist, by SHA1.
 *
 * Semantics: redis.io "Redis Lua API reference" and "Scripting with Lua", Redis 7.2.
 * Threads: a vm belongs to one thread; script_sources to any.
 */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include "base/buf.h"

#include <stdint.h>

enum { SCRIPT_SHA_LEN = 40, SCRIPT_SHA_SIZE = SCRIPT_SHA_LEN + 1 };

/* Lower case hex of the SHA1 (RFC 3174) of `text`, with a NUL. */
void script_sha1(struct slice text, char ret_hex[SCRIPT_SHA_SIZE]);

/* --- a script's first line -------------------------------------------------------------------------- */

enum script_flag {
    SCRIPT_NO_WRITES = 1 << 0,
    SCRIPT_ALLOW_OOM = 1 << 1,
    SCRIPT_ALLOW_STALE = 1 << 2,
    SCRIPT_NO_CLUSTER = 1 << 3,
    SCRIPT_ALLOW_CROSS_SLOT = 1 << 4,
    SCRIPT_OLD_STYLE = 1 << 5, /* no shebang: may do everything */
};

/* Splits "#!lua flags=no-writes,...\n" from the rest. False, with a complete error text ("ERR ...") at the
 * end of `error`, when the first line is not understood. `ret_body` is a part of `source`. */
bool script_source_read(struct slice source, uint32_t *ret_flags, struct slice *ret_body,
                        struct buf *error);

/* --- the scripts that exist ------------------------------------------------------------------------- */

struct script_sources;

/* Control memory. Destroying needs all vms gone. */
struct script_sources *script_sources_create(void);
void script_sources_destroy(struct script_sources **s);
/* Remembers a source that compiles. False: there is no memory. */
bool script_sources_add(struct script_sources *s, const char *sha, struct slice source);
bool script_sources_has(struct script_sources *s, const char *sha);
/* A copy at the end of `out`; false when there is none. */
bool script_sources_get(struct script_sources *s, const char *sha, struct buf *out);
/* Forgets all of them; vms notice by the generation. */
void script_sources_flush(struct script_sources *s);
/* How often they were flushed (acquire); how many there are, and their bytes. */
uint64_t script_sources_generation(const struct script_sources *s);
uint32_t script_sources_count(struct script_sources *s);
uint64_t script_sources_bytes(struct script_sources *s);

/* --- running ---------------------------------------------------------------------------------------- */

struct script_vm;

enum script_acl { SCRIPT_ACL_NO_COMMAND, SCRIPT_ACL_DENIED, SCRIPT_ACL_ALLOWED };

/* What a vm asks of the world; `arg` is script_vm_create()'s. None of them may call the vm. */
struct script_host {
    const char *version;     /* redis.REDIS_VERSION */
    uint32_t version_number; /* redis.REDIS_VERSION_NUM: a byte for each part */
    /* Runs one command. The reply is whole and stays put until the next call; an error is a reply too. */
    struct slice (*call)(void *arg, const struct slice *argv, uint32_t argc, int proto);
    enum script_acl (*acl_check)(void *arg, const struct slice *argv, uint32_t argc);
    void (*log)(void *arg, int level, struct slice text); /* level: 0 debug .. 3 warning */
    /* Every few milliseconds of a running script. False: kill it. */
    bool (*beat)(void *arg);
};

/* `memory_max`: bytes that Lua may hold; what needs more fails with "not enough memory". NULL: there is no memory
 * even for an empty one. */
struct script_vm *script_vm_create(const struct script_host *host, void *arg, size_t memory_max);
void script_vm_destroy(struct script_vm **vm);
/* Compiles and keeps the script under its SHA1. False with an error text ("ERR ...") at the end of `error`. */
bool script_vm_load(struct script_vm *vm, const char *sha, struct slice source, struct buf *error);
/* Is it compiled here? Then also its flags. */
bool script_vm_find(struct script_vm *vm, const char *sha, uint32_t *ret_flags);
/* Forgets every compiled script. */
void script_vm_flush(struct script_vm *vm);
size_t script_vm_memory(const struct script_vm *vm);

struct script_run {
    const char *sha; /* script_vm_find() knows it */
    const struct slice *keys;
    uint32_t key_count;
    const struct slice *args;
    uint32_t arg_count;
    int proto;        /* the client's: 2 or 3 */
    struct buf *out;  /* the reply is appended */
    size_t reply_max; /* bytes of reply */
};
/* Runs a compiled script; what goes wrong is the reply. False: the reply is larger than `reply_max` and cut
 * somewhere, for the caller to take back. */
bool script_vm_run(struct script_vm *vm, const struct script_run *run);
/* Was the last run's reply the error of a command that the script had called, and which was counted then? */
bool script_vm_error_was_a_command_s(const struct script_vm *vm);

#endif
