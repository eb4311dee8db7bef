/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scripting: scripts of clients, run inside one ownership of the store.
 *
 *   EVAL ─> own the store ─> script_vm_run ──call──> scripting ─> may it? ─> detached client ─> command
 *                 │                └──beat──> is it to be killed?
 *                 └─ everything that the script changed is one unit
 *
 * Each worker has one vm and one detached client, made at its first script; the sources are the server's.
 *
 * Threads: a struct scripting belongs to its worker. What other workers see of a running script is
 * struct scripting_state, in the server.
 */
#ifndef SERVE_SCRIPTING_H
#define SERVE_SCRIPTING_H

#include "script/script.h"
#include "serve/resp_client.h"

/* What all workers share. */
struct scripting_state {
    struct script_sources *sources;
    _Atomic bool is_running;  /* relaxed: a script owns the store */
    _Atomic bool is_busy;     /* relaxed: for longer than that */
    _Atomic bool has_written; /* relaxed: it has called a command that writes */
    _Atomic bool is_killed;   /* relaxed: by SCRIPT KILL, any worker */
    /* Relaxed: of all workers' vms, each as it was after its last script. */
    _Atomic uint64_t vm_bytes;
};

struct scripting_state *scripting_state_create(void);
void scripting_state_destroy(struct scripting_state **s);
/* A worker's, at its end. */
void scripting_destroy(struct scripting **s);

struct scripting_call {
    struct slice source; /* NULL: only the SHA1 is known */
    struct slice sha;
    bool read_only; /* EVAL_RO, EVALSHA_RO */
    const struct slice *keys;
    uint32_t key_count;
    const struct slice *args;
    uint32_t arg_count;
};
/* Runs the script for the client and replies. */
void scripting_run(struct resp_client *c, const struct scripting_call *call);
/* For INFO; any thread. */
struct scripting_figures {
    uint64_t vm_bytes;
    uint64_t sources, source_bytes; /* scripts that exist */
};
void scripting_figures(const struct server *s, struct scripting_figures *ret_figures);
/* SCRIPT LOAD: compiles, remembers, replies. */
/* Who runs the script whose client `inner` is; NULL: it is no script's. */
struct resp_client *scripting_caller(const struct resp_client *inner);
/* The wall clock as a script sees it, which stands still while it runs; anybody else: as it is. Microseconds. */
uint64_t scripting_wall_us(const struct resp_client *c);
void scripting_load(struct resp_client *c, struct slice source);
/* SCRIPT FLUSH: no script is known any more. The worker's own vm is emptied at once, others at their next script. */
void scripting_flush(struct worker *w);

#endif
