/* SPDX-License-Identifier: BSD-3-Clause */
/* Users of the Redis face. */
#ifndef SERVE_USERS_H
#define SERVE_USERS_H

#include "serve/resp_client.h"

const char *client_user_name(const struct resp_client *c);
bool users_exist(struct server *s, struct slice name);

#endif
