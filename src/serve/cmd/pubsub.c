/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SUBSCRIBE and its kin, PUBLISH, PUBSUB.
 *
 * Each channel of a SUBSCRIBE is answered by a message of its own, as if it had been pushed: in RESP3 it
 * is a push, and CLIENT REPLY OFF does not hold it back. A RESP2 client with subscriptions may only run
 * a few commands (client_watch_admission()).
 */
#include "serve/pubsub.h"
#include "serve/glob.h"

/* --- subscribing -------------------------------------------------------------------------------- */

/* What the answer counts: shard channels apart from the others. */
static int64_t subscription_count(const struct resp_client *c, enum topic_kind kind)
{
    return kind == TOPIC_SHARD ? pubsub_subscriptions(c, TOPIC_SHARD)
                               : (int64_t)pubsub_subscriptions(c, TOPIC_CHANNEL) +
                                     pubsub_subscriptions(c, TOPIC_PATTERN);
}

static void answer(struct resp_client *c, enum topic_kind kind, const char *word,
                   const struct slice *name)
{
    struct buf *out = &c->conn.out;
    resp_push(out, c->proto, 3);
    resp_bulk_str(out, word);
    if (name != NULL) {
        reply_bulk(c, *name);
    } else {
        reply_null(c);
    }
    resp_integer(out, subscription_count(c, kind));
}

static void subscribe(struct resp_client *c, enum topic_kind kind, const char *word,
                      const struct slice *argv, uint32_t argc)
{
    if (c->detached) {
        char upper[16] = "";
        for (size_t i = 0; word[i] != '\0'; i++) {
            upper[i] = (char)(word[i] - 'a' + 'A');
        }
        resp_error(&c->conn.out, "ERR %s isn't allowed for a DENY BLOCKING client", upper);
        return;
    }
    c->running = c->in_exec; /* what comes meanwhile may come before this answer */
    for (uint32_t i = 1; i < argc; i++) {
        (void)pubsub_subscribe(c, kind, argv[i]);
        answer(c, kind, word, &argv[i]);
    }
    client_watch_admission(c);
}

static void unsubscribe(struct resp_client *c, enum topic_kind kind, const char *word,
                        const struct slice *argv, uint32_t argc)
{
    c->running = c->in_exec;
    for (uint32_t i = 1; i < argc; i++) {
        (void)pubsub_unsubscribe(c, kind, argv[i]);
        answer(c, kind, word, &argv[i]);
    }
    if (argc == 1) {
        struct buf name;
        buf_init(&name);
        bool had_any = false;
        while (pubsub_first(c, kind, &name)) {
            struct slice text = buf_readable(&name);
            (void)pubsub_unsubscribe(c, kind, text);
            answer(c, kind, word, &text);
            had_any = true;
        }
        buf_fini(&name);
        if (!had_any) {
            answer(c, kind, word, NULL);
        }
    }
    client_watch_admission(c);
}

void cmd_subscribe(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    subscribe(c, TOPIC_CHANNEL, "subscribe", argv, argc);
}

void cmd_psubscribe(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    subscribe(c, TOPIC_PATTERN, "psubscribe", argv, argc);
}

void cmd_ssubscribe(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    subscribe(c, TOPIC_SHARD, "ssubscribe", argv, argc);
}

void cmd_unsubscribe(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    unsubscribe(c, TOPIC_CHANNEL, "unsubscribe", argv, argc);
}

void cmd_punsubscribe(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    unsubscribe(c, TOPIC_PATTERN, "punsubscribe", argv, argc);
}

void cmd_sunsubscribe(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    unsubscribe(c, TOPIC_SHARD, "sunsubscribe", argv, argc);
}

/* --- publishing --------------------------------------------------------------------------------- */

/* Who has just looked at a durable space may tell what it saw there. */
static void publish(struct resp_client *c, enum topic_kind kind, const struct slice *argv)
{
    bool is_durable = c->worker->durable.shown;
    reply_integer(c, (int64_t)pubsub_publish(c->worker, kind, argv[1], argv[2], is_durable));
}

void cmd_publish(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    publish(c, TOPIC_CHANNEL, argv);
}

void cmd_spublish(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    publish(c, TOPIC_SHARD, argv);
}

/* --- PUBSUB ------------------------------------------------------------------------------------- */

struct listing {
    const struct slice *pattern; /* NULL: all */
    struct buf names;
    uint32_t count;
};

static void list_topic(void *arg, struct slice name)
{
    struct listing *l = arg;
    if (l->pattern == NULL || glob_match(*l->pattern, name, false)) {
        resp_bulk(&l->names, name);
        l->count++;
    }
}

static void reply_channels(struct resp_client *c, enum topic_kind kind, const struct slice *argv,
                           uint32_t argc)
{
    if (argc > 3) {
        resp_error(&c->conn.out,
                   "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try PUBSUB "
                   "HELP.",
                   (int)argv[1].len, argv[1].ptr);
        return;
    }
    struct listing l = {.pattern = argc == 3 ? &argv[2] : NULL};
    buf_init(&l.names);
    pubsub_each(c->worker->server, kind, list_topic, &l);
    resp_array(&c->conn.out, l.count);
    if (client_room(c, buf_len(&l.names))) {
        buf_append_slice(&c->conn.out, buf_readable(&l.names));
    }
    buf_fini(&l.names);
}

static void reply_numsub(struct resp_client *c, enum topic_kind kind, const struct slice *argv,
                         uint32_t argc)
{
    resp_array(&c->conn.out, ((uint64_t)argc - 2) * 2);
    for (uint32_t i = 2; i < argc; i++) {
        reply_bulk(c, argv[i]);
        reply_integer(c, (int64_t)pubsub_topic_subscribers(c->worker->server, kind, argv[i]));
    }
}

void cmd_pubsub_channels(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_channels(c, TOPIC_CHANNEL, argv, argc);
}

void cmd_pubsub_shardchannels(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_channels(c, TOPIC_SHARD, argv, argc);
}

void cmd_pubsub_numsub(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_numsub(c, TOPIC_CHANNEL, argv, argc);
}

void cmd_pubsub_shardnumsub(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_numsub(c, TOPIC_SHARD, argv, argc);
}

void cmd_pubsub_numpat(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, (int64_t)pubsub_topics(c->worker->server, TOPIC_PATTERN));
}

void cmd_pubsub_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
    };
    reply_help(c, "PUBSUB", lines, array_len(lines));
}
