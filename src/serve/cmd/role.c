/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a client asks to find out what kind of server this is: ROLE, REPLICAOF NO ONE, CLUSTER, READONLY,
 * READWRITE, MODULE LIST, LOLWUT. freshet is a master without replicas, no cluster, and
 * has neither functions nor modules; clients that look are told so as a Redis without those would tell it.
 */
#include "serve/cmd/server.h"
#include "serve/resp_client.h"

void cmd_role(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_array(&c->conn.out, 3);
    resp_bulk_str(&c->conn.out, "master");
    reply_integer(c, 0);
    resp_array(&c->conn.out, 0);
}

/* "NO ONE" is what it is already. */
void cmd_replicaof(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (slice_is_nocase(argv[1], "no") && slice_is_nocase(argv[2], "one")) {
        reply_ok(c);
    } else {
        resp_error(&c->conn.out, "ERR freshet does not replicate: use a durable space, and a copy "
                                 "of its log");
    }
}

/* CLUSTER, READONLY, READWRITE. */
void cmd_no_cluster(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_error(&c->conn.out, "ERR This instance has cluster support disabled");
}

void cmd_module_list(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_array(&c->conn.out, 0);
}

void cmd_module_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "LIST",
        "    Return a list of loaded modules: none, freshet loads no modules.",
    };
    reply_help(c, "MODULE", lines, array_len(lines));
}

void cmd_lolwut(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf text;
    buf_init(&text);
    buf_append_str(&text, "\n        ~~~      ~~~\n"
                          "     ~~~   ~~~~~~   ~~~     the tide comes in,\n"
                          "   ~~                  ~~   what it touched is new again\n\n");
    buf_printf(&text, "freshet ver. %s (Redis ver. %s)\n", FRESHET_VERSION, REDIS_VERSION);
    resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(&text));
    buf_fini(&text);
}
