/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MONITOR is a topic of pubsub whose messages are sent as they are: so all workers' commands reach every
 * monitor, in one order, and a monitor that does not read is cut like any slow subscriber.
 *
 *      +1700000000.123456 [0 127.0.0.1:5000] "set" "k" "v"
 *
 * Administrative commands are not shown, as in Redis; secrets never are.
 */
#include "serve/monitor.h"

#include "base/clock.h"
#include "serve/pubsub.h"

/* As Redis quotes: \" and \\, \n \r \t \a \b, and \xHH for what cannot be printed. */
static void append_quoted(struct buf *out, struct slice text)
{
    static const char plain[] = "\"\\\n\r\t\a\b";
    static const char letters[] = "\"\\nrtab";
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        const char *known = byte != 0 ? strchr(plain, byte) : NULL;
        if (known != NULL) {
            buf_append_char(out, '\\');
            buf_append_char(out, letters[known - plain]);
        } else if (byte < ' ' || byte > '~') {
            buf_printf(out, "\\x%02x", byte);
        } else {
            buf_append_char(out, (char)byte);
        }
    }
    buf_append_char(out, '"');
}

static bool is_secret_setting(struct slice name)
{
    static const char *const names[] = {"requirepass", "masterauth", "masteruser",
                                        "tls-key-file-pass", "tls-client-key-file-pass"};
    bool found = false;
    for (size_t i = 0; i < array_len(names) && !found; i++) {
        found = slice_is_nocase(name, names[i]);
    }
    return found;
}

static bool hides_in_hello(const struct slice *argv, uint32_t argc, uint32_t at)
{
    for (uint32_t i = 2; i < argc; i++) {
        if (slice_is_nocase(argv[i], "auth")) {
            return at == i + 1 || at == i + 2;
        }
        i += slice_is_nocase(argv[i], "setname") ? 1 : 0;
    }
    return false;
}

/* AUTH password, AUTH2 name password; KEYS ends the options. */
static bool hides_in_migrate(const struct slice *argv, uint32_t argc, uint32_t at)
{
    for (uint32_t i = 6; i < at && i < argc && !slice_is_nocase(argv[i], "keys"); i++) {
        uint32_t secrets = slice_is_nocase(argv[i], "auth")    ? 1
                           : slice_is_nocase(argv[i], "auth2") ? 2
                                                               : 0;
        if (at <= i + secrets) {
            return true;
        }
        i += secrets;
    }
    return false;
}

bool monitor_hides(const struct command *cmd, const struct slice *argv, uint32_t argc, uint32_t at)
{
    if (cmd->run == cmd_auth) {
        return at > 0;
    }
    if (cmd->run == cmd_hello) {
        return hides_in_hello(argv, argc, at);
    }
    if (cmd->run == cmd_migrate) {
        return hides_in_migrate(argv, argc, at);
    }
    if (cmd->run == cmd_config_set) {
        return at >= 3 && at % 2 == 1 && is_secret_setting(argv[at - 1]);
    }
    return strcmp(cmd->full_name, "acl|setuser") == 0 && at >= 2;
}

void monitor_show(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                  uint32_t argc)
{
    if ((cmd->flags & COMMAND_ADMIN) != 0) {
        return;
    }
    uint64_t now_us = clock_wall_us();
    const char *from = c->detached                         ? "lua"
                       : strcmp(c->conn.peer, "unix") == 0 ? "unix:"
                                                           : c->conn.peer;
    struct buf line;
    buf_init(&line);
    buf_printf(&line, "+%llu.%06llu [%u %s]", (unsigned long long)now_us / 1000000,
               (unsigned long long)now_us % 1000000, c->db, from);
    for (uint32_t i = 0; i < argc; i++) {
        buf_append_char(&line, ' ');
        append_quoted(&line, monitor_hides(cmd, argv, argc, i) ? SLICE("(redacted)") : argv[i]);
    }
    buf_append_str(&line, "\r\n");
    (void)pubsub_publish(c->worker, TOPIC_MONITOR, SLICE(""), buf_readable(&line), false);
    buf_fini(&line);
}

static void update_alert(struct server *s)
{
    lock_acquire(&s->watch_lock); /* the last to look is right */
    if (pubsub_listened(s, TOPIC_MONITOR)) {
        atomic_fetch_or_explicit(&s->alert, ALERT_MONITOR, memory_order_relaxed);
    } else {
        atomic_fetch_and_explicit(&s->alert, ~(uint32_t)ALERT_MONITOR, memory_order_relaxed);
    }
    lock_release(&s->watch_lock);
}

void monitor_end(struct resp_client *c)
{
    if (pubsub_subscriptions(c, TOPIC_MONITOR) > 0) {
        (void)pubsub_unsubscribe(c, TOPIC_MONITOR, SLICE(""));
        update_alert(c->worker->server);
    }
}

void cmd_monitor(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (c->detached) {
        resp_error(&c->conn.out, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    (void)pubsub_subscribe(c, TOPIC_MONITOR, SLICE(""));
    update_alert(c->worker->server);
    reply_ok(c);
}
