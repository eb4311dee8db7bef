/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scenes: races played in a fixed order instead of left to chance. Each is the shortest story in which one
 * part of freshet's rule is all that stands between a client and an old answer. They run on a table of their
 * own, beside the ordinary load, again and again.
 *
 * Threads: one actor, the stage manager.
 */
#ifndef VERIFY_SCENES_H
#define VERIFY_SCENES_H

#include "verify/redis_read.h"
#include "verify/tx.h"

enum { STAGE_WIRES = 8 };

struct stage {
    struct actor *actor;
    struct db db;     /* writes */
    struct db second; /* holds locks, watches, alters settings */
    struct tx tx;
    struct wire http[STAGE_WIRES];
    struct wire redis[2]; /* follow */
    struct wire redis_strict;
    struct buf page;
    bool may_stall;
};

/* One version more of a row of the stage, committed; absent rows come back. */
bool stage_write(struct stage *s, uint32_t id);
/* Returns once freshet has applied whatever was committed before: a strict read that came out of a lookup. */
bool stage_settle(struct stage *s, uint32_t id);
/* Reads the row, in every face, now. */
bool stage_read_all(struct stage *s, uint32_t id);

/* scenes.c: clients of Redis */
bool scene_slow_set(struct stage *s, uint32_t id);
bool scene_second_reader(struct stage *s, uint32_t id);
bool scene_late_write_through(struct stage *s, uint32_t id);
bool scene_borrowed_miss(struct stage *s, uint32_t id);
bool scene_token(struct stage *s, uint32_t id);
/* scenes_sql.c: fills, wide changes, commits */
bool scene_fill_overtaken(struct stage *s, uint32_t id);
bool scene_truncate(struct stage *s, uint32_t id);
bool scene_everything_changes(struct stage *s, uint32_t id);
bool scene_quiet_commit(struct stage *s, uint32_t id);
bool scene_held_commit(struct stage *s, uint32_t id);
bool scene_lost_contact(struct stage *s, uint32_t id);
/* census.c: everything is read at rest */
bool scene_census(struct stage *s, uint32_t id);

#endif
