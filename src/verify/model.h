/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model: what the database may contain, as its writers know it.
 *
 * Every row has a line of states, its *versions*, numbered 1, 2, 3 ... Being absent and being in another
 * group are states too, so inserting, deleting, truncating and moving are versions like any update. A
 * version may be read from the moment its statement is sent until the next version's COMMIT has returned:
 *
 *     version 7   sent ──── commit returned ────────────────────────┐ ended
 *     version 8                       sent ─ ─ rolled back          │        (may never be read)
 *     version 9                                    sent ─── commit returned ─────────
 *
 * So a read that was invoked at `from` and returned at `to` is legal if its version was sent before `to`
 * and had not ended at `from`: one look at one record, whatever the length of the run. A level that
 * promises less moves `from` back.
 *
 * Threads: a row is its writer's own from before the statement until after the COMMIT or ROLLBACK; several
 * rows are taken in ascending order. Judging takes no lock and may run at any time: a version's fields are
 * atomic, and its number is written last and cleared first.
 */
#ifndef VERIFY_MODEL_H
#define VERIFY_MODEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { MODEL_HISTORY = 512, MODEL_ABSENT = -1, MODEL_ANY_GROUP = -2 };

enum model_fate { MODEL_PENDING, MODEL_COMMITTED, MODEL_ROLLED_BACK };

struct model_version {
    _Atomic uint64_t number; /* release: model_begin; acquire: judging */
    _Atomic uint64_t sent_us;
    _Atomic uint64_t acked_us; /* its COMMIT returned; 0: not yet */
    _Atomic uint64_t ended_us; /* the next one's COMMIT returned; 0: not yet */
    _Atomic int32_t group;
    _Atomic uint32_t fate;
    _Atomic uint32_t seen; /* somebody read it before its fate was known */
};

struct model_row {
    bool owned;                    /* the table's lock: a writer has it */
    uint64_t committed;            /* owner: the last version that was committed */
    int32_t group;                 /* owner: its state */
    _Atomic uint64_t newest;       /* the last version that was sent */
    struct model_version *history; /* by number modulo MODEL_HISTORY */
};

struct model_table {
    const char *name;
    uint32_t groups;
    uint32_t row_count;
    struct model_row *rows;
    pthread_mutex_t lock;
    pthread_cond_t given_up; /* an owner has given a row up */
};

void model_table_init(struct model_table *t, const char *name, uint32_t rows, uint32_t groups);
void model_table_fini(struct model_table *t);

/* --- writing: by the row's owner ---------------------------------------------------------------- */

/* Waits until nobody else owns the row. */
struct model_row *model_own(struct model_table *t, uint32_t id);
void model_give_up(struct model_table *t, struct model_row *row);

/* A new version in this group is about to be sent; returns its number. */
uint64_t model_begin(struct model_row *row, int32_t group);
void model_commit(struct model_row *row, uint64_t number, uint64_t acked_us);
/* False when somebody has read it: a value that never existed. */
bool model_roll_back(struct model_row *row, uint64_t number);

/* --- judging ------------------------------------------------------------------------------------ */

enum model_verdict {
    MODEL_LEGAL,
    MODEL_STALE,     /* a newer version's COMMIT had returned */
    MODEL_PHANTOM,   /* rolled back, or never written */
    MODEL_MISPLACED, /* it was never in the group that it was read in */
};

struct model_window {
    uint64_t from_us;
    uint64_t to_us;
};

/* The row was read with this version in `group`. `ret_wanted`: the version that should have been seen,
 * 0 when that is not known. */
enum model_verdict model_judge(const struct model_row *row, uint64_t number, int32_t group,
                               const struct model_window *w, uint64_t *ret_wanted);
/* The row was not in what was read of `group` (MODEL_ANY_GROUP: not there at all). */
enum model_verdict model_judge_absent(const struct model_row *row, int32_t group,
                                      const struct model_window *w, uint64_t *ret_wanted);
/* When a newer version's COMMIT returned; 0: not yet, or no longer known. */
uint64_t model_ended(const struct model_row *row, uint64_t number);
/* NULL when it is no longer, or not yet, in the history. */
const struct model_version *model_find(const struct model_row *row, uint64_t number);

#endif
