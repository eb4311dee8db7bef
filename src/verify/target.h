/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target: how what can be read is named in each face, and how what was read is judged.
 *
 * A *page* is an answer as bytes, from whatever face: the numbers in it, in order, are pairs of id and
 * version (lists over HTTP: and the sum of all versions, which shows that one answer is of one moment).
 * Anything else in the text is ignored, so JSON rows and a client's own "5:17 9:3" are read alike.
 */
#ifndef VERIFY_TARGET_H
#define VERIFY_TARGET_H

#include "base/buf.h"
#include "verify/run.h"

enum { TARGET_NAME_MAX = 64 };

enum face {
    FACE_HTTP,
    FACE_HTTP_STRICT,
    FACE_HTTP_GATED,
    FACE_HTTP_GATED_STRICT,
    FACE_REDIS,
    FACE_REDIS_STRICT,
    FACE_DATABASE
};

/* "/strict/items/3", "items_3". */
void target_path(struct target t, enum face face, char out[TARGET_NAME_MAX]);
void target_key(struct target t, char out[TARGET_NAME_MAX]);
bool face_is_strict(enum face face);

/* Somebody is about to read: when, and since when it must be right. */
struct reading {
    struct target target;
    enum face face;
    uint64_t invoked_us;
    uint64_t from_us;
    const char *rule;
};
struct reading reading_begin(struct run *r, struct target t, enum face face);
/* Raises `from` because of a promise beyond the face's own. */
void reading_promise(struct reading *rd, uint64_t from_us, const char *rule);
/* Judges a page that came back just now. `outcome`: how freshet came by it, for the report. Returns false
 * after reporting a violation. */
bool reading_judge(struct actor *a, const struct reading *rd, struct slice page,
                   const char *outcome, bool hit);

#endif
