/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * advice: what to do about an error that PostgreSQL gave while following.
 */
#ifndef FOLLOW_ADVICE_H
#define FOLLOW_ADVICE_H

/* "WHY; NEXT STEP", or a copy of `why` when no step is known. `sqlstate` may be NULL. Caller frees. */
char *advice_for(const char *why, const char *sqlstate);

#endif
