/* SPDX-License-Identifier: BSD-3-Clause */
/* What SET, GETSET and FRESHET.SET share: options, and the store under them. */
#ifndef SERVE_SET_OPTIONS_H
#define SERVE_SET_OPTIONS_H

#include "serve/resp_expiry.h"

struct set_options {
    bool nx, xx, get, keep_ttl, persist;
    bool has_expiry;
    enum expiry_unit unit;
    struct slice expiry_arg;
    struct expiry expiry;
};

/* The option of SET at argv[*i], with its argument if it has one (`*i` is then moved onto that). False: it is
 * none, or does not go with those before; nothing is replied. */
bool set_option_take(struct set_options *o, const struct slice *argv, uint32_t argc, uint32_t *i);
/* After the last option: reads the expiry. False after replying. */
bool set_options_end(struct resp_client *c, const char *command, struct set_options *o);
/* Stores under the options' conditions, and replies as SET does. */
void set_with_lease(struct resp_client *c, struct slice key, struct slice value,
                    const struct lease *lease, const struct set_options *o);

#endif
