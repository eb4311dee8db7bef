/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fresh: the one rule. Positions, marks, stamps, the judgement. No I/O, no knowledge of SQL or
 * keys.
 *
 * Every entry carries a *stamp*, the position in the database's history that it is true as of.
 * Every dependency has a *mark*, the position it last changed at. An entry may be served only while
 * its stamp is at or above every mark it depends on.
 *
 *      mark of product 7    90                    120 (a commit)
 *      entry, stamp         ... 100, a hit ...    outdated: 100 < 120      read again, stamp 121: a hit
 *
 * Positions (64 bit)
 *
 *      63      62 ....................................... 12 11 ....... 0
 *      given   base + (LSN - LSN at epoch start)             n
 *
 * `n` orders local events between two WAL positions. `now` is one atomic word: the applied position
 * A with its n; its top bit says that a stamp was given at exactly this position. `visible` V <= A
 * is the position up to which every applied commit is confirmed visible to new snapshots.
 *
 * Marks: one array of 64-bit positions. Rows and column values hash into its first `slots` places
 * (a collision can only void too much). Tables and templates own two places each after them: `any`
 * (every change) and `all` (changes whose values are not known). A dependency is the index of a
 * mark:
 *
 *      0 ............ slots-1 | slots: any0 all0 any1 all1 ... | slots + 2 * FRESH_WIDES_MAX ...
 *        rows, values         |        wide marks               |   tags, as many as slots
 *
 * Tags are names that an application gives to entries of its own; dropping one is a local event.
 * They say nothing about the database, so an entry that depends on tags alone needs no contact with
 * it, and lives through its epochs: all positions are one line.
 *
 * Invariants:
 *   F1. Marks only rise.  F2. V <= A.  F3. A stamp never exceeds a position whose changes are all marked:
 *   marks are written before A is advanced (release), and stamps are read from A or V (acquire).
 *   F4. A stamp is taken before the read it describes begins.  F5. After a new epoch every older stamp is
 *   below `floor`, so entries need no epoch and marks need no clearing.
 *
 * Threads: stamps, judgement, local events: any thread, lock-free. fresh_apply*, fresh_confirm,
 * fresh_new_epoch, fresh_proof: the follower only (follower_role). Registration: any thread, takes
 * a lock.
 *
 * Not done: nothing here waits. Waiting for a position is follow's business.
 */
#ifndef FRESH_FRESH_H
#define FRESH_FRESH_H

#include "base/role.h"
#include "base/slice.h"

#include <stdint.h>

struct fresh;

typedef uint64_t fresh_pos;  /* 0: no position */
typedef uint32_t fresh_dep;  /* index of a mark */
typedef uint32_t fresh_wide; /* a table's or a template's pair of wide marks */

enum { FRESH_DEPS_MAX = 64, FRESH_SLOTS_DEFAULT = 1 << 20, FRESH_WIDES_MAX = 16384 };

struct fresh_options {
    uint32_t slots;        /* power of two */
    uint32_t max_stale_ms; /* a followed hit needs a proof of contact no older than this */
    /* Debug switches that break the rule on purpose; the checker must notice each of them. */
    bool break_fence;      /* V follows A without confirmation */
    bool break_late_marks; /* A advances before the marks are written */
};

/* 32 bytes of address space a slot, and memory where marks are raised. Destroying: nobody uses it
 * any more. */
struct fresh *fresh_create(const struct fresh_options *options);
void fresh_destroy(struct fresh **f);

/* --- dependencies ------------------------------------------------------------------------------- */

/* The wide marks registered under a name ("t:<oid>" tables, "k:<template>" templates): found or
 * made. A newly made pair is raised to A, so only stamps taken after this call pass it. Takes a
 * lock. */
fresh_wide fresh_register(struct fresh *f, struct slice name);

/* Raised by every change of what the pair governs; by changes whose values are not known. */
fresh_dep fresh_dep_any(const struct fresh *f, fresh_wide wide);
fresh_dep fresh_dep_all(const struct fresh *f, fresh_wide wide);
/* The slot of a row, column value or rendered template: `hash` mixes what it is and its values. */
fresh_dep fresh_dep_hash(const struct fresh *f, uint64_t hash);

/* The mark of an application's tag, one for the whole process: Redis keys of every database and
 * HTTP answers share it. */
fresh_dep fresh_dep_tag(const struct fresh *f, struct slice tag);
bool fresh_dep_is_tag(const struct fresh *f, fresh_dep dep);

/* A small set of dependencies being collected for one entry. Above FRESH_DEPS_MAX it reports
 * overflow and the caller keeps wide marks instead. */
struct fresh_deps {
    uint32_t count;
    bool overflow;
    fresh_dep dep[FRESH_DEPS_MAX];
};

void fresh_deps_add(struct fresh_deps *deps, fresh_dep dep); /* ignores duplicates */

/* --- stamps ------------------------------------------------------------------------------------- */

/* A stamp for a read that begins after this call; 0 when nothing may be stamped now (no contact,
 * start-up not finished). Order: acquire. */
fresh_pos fresh_stamp(struct fresh *f);
/* The same for an entry that will depend on tags alone: the position now. Never 0. */
fresh_pos fresh_stamp_tags(struct fresh *f);
/* The stamp that a read begun `ago_ms` ago would have had, or an older one; 0 when unknown. For
 * SETs that answer no known miss. */
fresh_pos fresh_stamp_ago(struct fresh *f, uint64_t now_ms, uint64_t ago_ms);
/* When V first stood at or above the WAL position of `stamp`, monotonic ms, to a twentieth of a
 * second; 0 when that is longer ago than the samples go (about 100 s). For explain. */
uint64_t fresh_reached_ms(struct fresh *f, fresh_pos stamp);
/* Have these dependencies changed more than once within the last `ago_ms`? Then a value that a
 * client wrote to the database itself within that time may already have been replaced. True when it
 * cannot be excluded. */
bool fresh_changed_twice(struct fresh *f, const fresh_dep *deps, uint32_t count, uint64_t now_ms,
                         uint64_t ago_ms);

/* What a SQL fill notes before its query is sent. */
struct fresh_window {
    fresh_pos stamp;   /* fresh_stamp() */
    fresh_pos visible; /* V */
    fresh_pos applied; /* A >= V */
};
/* Now; any thread. */
struct fresh_window fresh_window_open(struct fresh *f);
/* The highest stamp p, V <= p <= A of the window, such that every applied commit in (V, p] is
 * visible in `snapshot` (text of pg_current_snapshot(), "xmin:xmax:xip,..."). Falls back to
 * window->stamp. */
fresh_pos fresh_stamp_exact(struct fresh *f, const struct fresh_window *w, struct slice snapshot);

/* --- judgement ---------------------------------------------------------------------------------- */

enum fresh_verdict {
    FRESH_HIT,
    FRESH_OUTDATED, /* a mark is above the stamp */
    FRESH_VOID,     /* stamped in an earlier epoch */
    FRESH_UNPROVEN, /* no proof of contact within max_stale: may be right, may not be served */
};

/* The rule. `now_ms` is the monotonic clock. Any thread, no lock. */
enum fresh_verdict fresh_judge(const struct fresh *f, fresh_pos stamp, const fresh_dep *deps,
                               uint32_t count, uint64_t now_ms);
/* For an entry that is not a hit: was it certainly one at some moment within the last `ago_ms`?
 * False when that cannot be told, as after two changes within that time. */
bool fresh_was_current(struct fresh *f, fresh_pos stamp, const fresh_dep *deps, uint32_t count,
                       uint64_t now_ms, uint64_t ago_ms);
/* For explain: one mark. */
fresh_pos fresh_mark(const struct fresh *f, fresh_dep dep);

/* --- positions ---------------------------------------------------------------------------------- */

fresh_pos fresh_applied(const struct fresh *f); /* A, acquire */
fresh_pos fresh_visible(const struct fresh *f); /* V, acquire */
fresh_pos fresh_floor(const struct fresh *f);
uint64_t fresh_epoch(const struct fresh *f); /* 0 before the first */
/* Of an LSN of the current epoch; an LSN before the epoch's start gives the epoch's first
 * position. */
fresh_pos fresh_pos_of_lsn(struct fresh *f, uint64_t lsn);

/* Tokens, as clients carry them: "epoch.lsn.n", lsn in hexadecimal. */
enum { FRESH_TOKEN_MAX = 64 };
/* NUL-terminated; returns the length. A position of an earlier epoch gets epoch 0, which
 * is another one to everybody. */
size_t fresh_token_format(struct fresh *f, fresh_pos pos, char out[FRESH_TOKEN_MAX]);
enum fresh_token { FRESH_TOKEN_OK, FRESH_TOKEN_OTHER_EPOCH, FRESH_TOKEN_BAD };
enum fresh_token fresh_token_parse(struct fresh *f, struct slice text, fresh_pos *ret_pos);

/* A local event (purge, tag drop, unsafe method): marks the dependencies above every stamp given so
 * far and returns the event's position; 0 when this place in the WAL has no positions left (4,095
 * events): try again when A has moved. Without a database nothing else moves `now`. */
fresh_pos fresh_local_event(struct fresh *f, const fresh_dep *deps, uint32_t count);
/* The same without a return to try again: where no position is left, the marks rise above all that
 * this place in the WAL can have, and what is stored with these dependencies is refused until the
 * WAL moves (the follower sees to it). */
void fresh_drop(struct fresh *f, const fresh_dep *deps, uint32_t count);

/* --- the follower's side ------------------------------------------------------------------------ */

/* Starts a new line of positions at `lsn`: base and floor rise above every position ever given. No
 * stamps are given until fresh_open(). Contact counts as lost. */
void fresh_new_epoch(struct fresh *f, uint64_t lsn) REQUIRES(follower_role);
/* Every transaction that could be missing from the stream has ended: stamps may be given. */
void fresh_open(struct fresh *f) REQUIRES(follower_role);
/* Contact lost: no stamps until the next fresh_open(); hits go on until max_stale. */
void fresh_close(struct fresh *f) REQUIRES(follower_role);

/* One committed transaction: writes its marks at `end_lsn`, then advances A. It is not visible
 * until fresh_confirm() says so. `xid` is the full 64-bit transaction id. */
struct fresh_commit {
    uint64_t end_lsn;
    uint64_t xid;
    const fresh_dep *deps;
    uint32_t count;
};
void fresh_apply(struct fresh *f, const struct fresh_commit *c) REQUIRES(follower_role);
/* Nothing of ours was committed up to `lsn`: advances A (and V, when nothing waits for the
 * fence). */
void fresh_apply_idle(struct fresh *f, uint64_t lsn) REQUIRES(follower_role);
/* True while applied commits wait to become visible. */
bool fresh_unconfirmed(const struct fresh *f) REQUIRES(follower_role);
/* The visibility fence: `snapshot` is pg_current_snapshot() asked after the last fresh_apply() that
 * it may confirm. Returns true when V moved. */
bool fresh_confirm(struct fresh *f, struct slice snapshot) REQUIRES(follower_role);
/* Every commit visible at monotonic time `at_ms` has been applied. */
void fresh_proof(struct fresh *f, uint64_t at_ms) REQUIRES(follower_role);
/* Remembers where the line of positions stands, for fresh_stamp_ago() and fresh_was_current(). Any
 * thread; somebody 10 to 20 times a second, and whoever drops tags before it does. More than 25 a
 * second are ignored. */
void fresh_sample(struct fresh *f, uint64_t now_ms);

/* pg_current_snapshot() text: is transaction `xid` finished and visible in it? */
bool fresh_snapshot_shows(struct slice snapshot, uint64_t xid);
/* xmax of a snapshot, 0 when the text is not a snapshot. */
uint64_t fresh_snapshot_xmax(struct slice snapshot);

/* How many hashed marks commits have raised so far, and how many there are. */
uint64_t fresh_hashed_raised(const struct fresh *f, uint32_t *ret_slots);
/* Milliseconds since the last proof of contact; UINT64_MAX before the first. */
uint64_t fresh_proof_age(const struct fresh *f, uint64_t now_ms);

#endif
