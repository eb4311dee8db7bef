/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tx: one transaction of the checker: rows are locked in the model, new versions begun, the SQL that
 * makes them composed and sent, and the model told how it ended.
 *
 *     tx_begin ─> tx_lock (ascending) ... ─> tx_set ... ─> tx_send ─> tx_end
 *
 * Threads: one owner. The writing gate is held shared from tx_begin to tx_end.
 */
#ifndef VERIFY_TX_H
#define VERIFY_TX_H

#include "verify/db.h"

enum { TX_ROWS_MAX = 1300 };

enum tx_how {
    TX_IMPLICIT, /* the statement alone */
    TX_EXPLICIT, /* BEGIN, statements, COMMIT: a round trip each */
    TX_ASYNC,    /* synchronous_commit = off */
    TX_ROLLBACK,
    TX_SAVEPOINT, /* more changes of the same rows, rolled back to a savepoint, then COMMIT */
};

struct tx_change {
    uint32_t id;
    struct model_row *row;
    int32_t old_group;
    int32_t new_group;
    uint64_t number; /* 0: the row is only locked */
};

struct tx {
    struct actor *actor;
    struct db *db;
    struct buf sql;
    enum run_table table;
    uint64_t begun_us;
    const char *what; /* static, for the journal */
    uint32_t count;
    struct tx_change changes[TX_ROWS_MAX];
};

void tx_init(struct tx *tx, struct actor *a, struct db *db);
void tx_fini(struct tx *tx);

void tx_begin(struct tx *tx, enum run_table table, const char *what);
/* Returns the change's place; its old_group is known now. */
uint32_t tx_lock(struct tx *tx, uint32_t id);
/* A new version of a locked row in `group` (MODEL_ABSENT: delete it). */
void tx_set(struct tx *tx, uint32_t i, int32_t group);
/* Sends what was set, and COMMIT (or ROLLBACK). False after run_fail(); still call tx_end(). */
bool tx_send(struct tx *tx, enum tx_how how);
/* For statements that tx_send() does not know: sends `sql` as it is. */
bool tx_send_raw(struct tx *tx, const char *sql);
/* COMMIT has returned at `acked_us`: the set rows' versions count from now on; more may be set. */
void tx_committed(struct tx *tx, uint64_t acked_us);
/* Unlocks. Versions neither committed nor rolled back are left pending (the run is failing). */
void tx_end(struct tx *tx);

#endif
