/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FRESHET.EXPLAIN and FRESHET.STATS. Tokens are in cmd/fill.c, tags in cmd/tag.c.
 */
#include "serve/resp_client.h"
#include "serve/stats.h"

static void reply_text(struct resp_client *c, struct buf *text)
{
    resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(text));
    buf_fini(text);
}

void cmd_freshet_explain(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf text;
    if (argc > 3) {
        reply_wrong_arity(c, "freshet.explain");
        return;
    }
    buf_init(&text);
    if (argc == 2) {
        explain_key(c->worker, c->db, argv[1], &text);
    } else {
        explain_route(c->worker, argv[1], argv[2], &text);
    }
    reply_text(c, &text);
}

void cmd_freshet_stats(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf text;
    buf_init(&text);
    stats_text(c->worker, &text);
    reply_text(c, &text);
}
