/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * effect: what a durable space must remember, in the words of the Redis protocol.
 *
 * The log holds what the store did, not what clients said: each function of the store that changes a key
 * of a durable space writes one command that has the same effect on the same state ("RPUSH k a b",
 * "PEXPIREAT k 1790000000000"). So no command of the Redis face can forget to be logged, and SPOP, EXPIRE,
 * INCRBYFLOAT or a script need no rewriting.
 *
 * Effects gather in the gate's buffer under the hold; store_drop(), or store_disown() for everything
 * between store_own() and it, hands them to the journal as one unit that is never torn apart.
 *
 *      if (effect_wanted(h)) {
 *          effect_command(h, "RPUSH", 3);  then exactly three of:
 *          effect_arg(h, h->key); ...
 *      }
 *
 * Adding many elements to one key is one command of many words, as far as nothing else comes between:
 *
 *          effect_more(h, "SADD", 1);  then one of:
 *          effect_arg(h, member);
 *
 * Times in effects are absolute, Unix ms; in the store they are monotonic (effect_arg_time() converts).
 *
 * Threads: the hold's.
 */
#ifndef STORE_EFFECT_H
#define STORE_EFFECT_H

#include "store/store.h"

/* Must changes of this hold's key be remembered? */
bool effect_wanted(const struct store_hold *h);
void effect_command(struct store_hold *h, const char *name, uint32_t args);
/* A command on the hold's key with `args` arguments behind the key; joins the one before when that was the same. For
 * commands that mean the same in one as in several. */
void effect_more(struct store_hold *h, const char *name, uint32_t args);
/* The next argument; copied. */
void effect_arg(struct store_hold *h, struct slice arg);
void effect_arg_str(struct store_hold *h, const char *arg);
void effect_arg_integer(struct store_hold *h, int64_t value);
void effect_arg_unsigned(struct store_hold *h, uint64_t value);
/* Exact: read back it is the same double. */
void effect_arg_double(struct store_hold *h, double value);
/* `at_ms` monotonic, as item expiries are. */
void effect_arg_time(struct store_hold *h, uint64_t at_ms);

#endif
