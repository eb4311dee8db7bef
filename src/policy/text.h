/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files and text as a policy needs them: read whole and bounded, checked to be text, and words
 * compared for "did you mean". Private to policy. Threads: any; no state.
 */
#ifndef POLICY_TEXT_H
#define POLICY_TEXT_H

#include "base/arena.h"
#include "policy/complain.h"

/* Reads a regular file of at most `max` bytes into the arena, NUL-terminated. On failure the
 * reason, as a clause without a subject ("cannot be read: No such file or directory"), is put in
 * `ret_why`. */
bool policy_text_read(struct arena *arena, const char *file, size_t max, struct slice *ret_text,
                      const char **ret_why);
/* Line and column of a byte. */
struct policy_spot policy_text_spot_at(struct slice text, size_t offset);
/* UTF-8 without control characters except tab, line feed and carriage return. */
bool policy_text_is_clean(struct slice text, struct policy_spot *ret_bad);
/* Behind the byte order mark that some editors put in front. */
struct slice policy_text_without_mark(struct slice text);
bool policy_text_is_tab_at(struct slice text, struct policy_spot spot);
/* Letters, digits and '_', not beginning with a digit: what a parameter or column may be called. */
bool policy_text_is_name(struct slice text);
/* Edits (insert, remove, replace, swap two neighbours) between two words; both at most 63 bytes,
 * longer ones count as far apart. */
unsigned policy_text_distance(const char *a, const char *b);
/* Is `distance` small enough for a word of that length to be called a slip? */
bool policy_text_is_near(unsigned distance, const char *word);

#endif
