/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CLIENT: about connections. Names, the list, closing others, replies on and off.
 */
#include "serve/roll_call.h"
#include "serve/users.h"

#include "base/alloc.h"
#include "base/number.h"

#include <stdio.h>
#include <stdlib.h>

/* --- names ------------------------------------------------------------------------------------ */

/* Printable without spaces: a name must fit into a line of CLIENT LIST. */
static bool is_plain_word(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '!' || text.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

bool client_name_fits(struct resp_client *c, struct slice name)
{
    if (!is_plain_word(name)) {
        resp_error(&c->conn.out, "ERR Client names cannot contain spaces, newlines or special "
                                 "characters.");
        return false;
    }
    return true;
}

void cmd_client_setname(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (client_name_fits(c, argv[2])) {
        client_replace_text(&c->name, argv[2]);
        reply_ok(c);
    }
}

void cmd_client_getname(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (c->name != NULL) {
        resp_bulk_str(&c->conn.out, c->name);
    } else {
        reply_null(c);
    }
}

void cmd_client_setinfo(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    bool is_name = slice_is_nocase(argv[2], "lib-name");
    if (!is_name && !slice_is_nocase(argv[2], "lib-ver")) {
        resp_error(&c->conn.out, "ERR Unrecognized option '%.*s'", (int)argv[2].len, argv[2].ptr);
        return;
    }
    if (!is_plain_word(argv[3])) {
        resp_error(&c->conn.out, "ERR %s cannot contain spaces, newlines or special characters.",
                   is_name ? "lib-name" : "lib-ver");
        return;
    }
    client_replace_text(is_name ? &c->lib_name : &c->lib_version, argv[3]);
    reply_ok(c);
}

/* --- figures ---------------------------------------------------------------------------------- */

void cmd_client_id(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, (int64_t)c->conn.id);
}

void cmd_client_info(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf text;
    buf_init(&text);
    client_describe(c, &text);
    buf_append_char(&text, '\n');
    resp_verbatim(&c->conn.out, c->proto, "txt", buf_readable(&text));
    buf_fini(&text);
}

/* --- LIST and KILL ---------------------------------------------------------------------------- */

static bool set_type(struct resp_client *c, struct slice type, struct client_filter *f)
{
    f->wants_pubsub = slice_is_nocase(type, "pubsub");
    f->has_type = true;
    f->nobody = f->nobody || slice_is_nocase(type, "master") || slice_is_nocase(type, "replica") ||
                slice_is_nocase(type, "slave");
    bool known = f->wants_pubsub || f->nobody || slice_is_nocase(type, "normal");
    if (!known) {
        resp_error(&c->conn.out, "ERR Unknown client type '%.*s'", (int)type.len, type.ptr);
    }
    return known;
}

static bool set_ids(struct resp_client *c, const struct slice *ids, uint32_t count,
                    struct client_filter *f)
{
    uint64_t *list = xmalloc(count * sizeof(*list));
    for (uint32_t i = 0; i < count; i++) {
        int64_t id;
        if (!number_parse_i64(ids[i], &id)) {
            free(list);
            resp_error(&c->conn.out, "ERR Invalid client ID");
            return false;
        }
        list[i] = (uint64_t)id;
    }
    f->ids = list;
    f->id_count = count;
    return true;
}

void cmd_client_list(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct client_filter filter = {0};
    if (argc == 4 && slice_is_nocase(argv[2], "type")) {
        if (!set_type(c, argv[3], &filter)) {
            return;
        }
    } else if (argc > 3 && slice_is_nocase(argv[2], "id")) {
        if (!set_ids(c, argv + 3, argc - 3, &filter)) {
            return;
        }
    } else if (argc != 2) {
        reply_syntax(c);
        return;
    }
    roll_call_start(c, ROLL_CALL_LIST, &filter);
}

static void set_address(char into[64], struct slice address)
{
    (void)snprintf(into, 64, "%.*s", address.len < 63 ? (int)address.len : 63, address.ptr);
}

static bool set_kill_id(struct resp_client *c, struct slice id, struct client_filter *f)
{
    int64_t number;
    if (!number_parse_i64(id, &number) || number < 1) {
        resp_error(&c->conn.out, "ERR client-id should be greater than 0");
        return false;
    }
    free(f->ids);
    f->ids = NULL;
    return set_ids(c, &id, 1, f);
}

/* One pair of CLIENT KILL's new form. */
static bool set_kill_option(struct resp_client *c, struct slice name, struct slice value,
                            struct client_filter *f)
{
    int64_t number;
    if (slice_is_nocase(name, "id")) {
        return set_kill_id(c, value, f);
    }
    if (slice_is_nocase(name, "addr")) {
        set_address(f->addr, value);
    } else if (slice_is_nocase(name, "laddr")) {
        set_address(f->laddr, value);
    } else if (slice_is_nocase(name, "type")) {
        return set_type(c, value, f);
    } else if (slice_is_nocase(name, "user")) {
        if (!users_exist(c->worker->server, value)) {
            resp_error(&c->conn.out, "ERR No such user '%.*s'", (int)value.len, value.ptr);
            return false;
        }
        set_address(f->user, value);
    } else if (slice_is_nocase(name, "maxage") && number_parse_i64(value, &number) && number > 0) {
        f->min_age_s = (uint64_t)number;
    } else if (slice_is_nocase(name, "skipme") && slice_is_nocase(value, "yes")) {
        f->not_id = c->conn.id;
    } else if (slice_is_nocase(name, "skipme") && slice_is_nocase(value, "no")) {
        f->not_id = 0;
    } else {
        reply_syntax(c);
        return false;
    }
    return true;
}

void cmd_client_kill(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct client_filter filter = {0};
    if (argc == 3) {
        set_address(filter.addr, argv[2]);
        roll_call_start(c, ROLL_CALL_KILL_ADDR, &filter);
        return;
    }
    filter.not_id = c->conn.id;
    if (argc % 2 != 0) {
        reply_syntax(c);
        return;
    }
    for (uint32_t i = 2; i < argc; i += 2) {
        if (!set_kill_option(c, argv[i], argv[i + 1], &filter)) {
            free(filter.ids);
            return;
        }
    }
    roll_call_start(c, ROLL_CALL_KILL, &filter);
}

/* --- switches --------------------------------------------------------------------------------- */

static bool parse_on_off(struct resp_client *c, struct slice text, bool *ret_on)
{
    bool on = slice_is_nocase(text, "on");
    if (!on && !slice_is_nocase(text, "off")) {
        reply_syntax(c);
        return false;
    }
    *ret_on = on;
    return true;
}

void cmd_client_no_evict(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (parse_on_off(c, argv[2], &c->no_evict)) {
        reply_ok(c);
    }
}

void cmd_client_no_touch(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (parse_on_off(c, argv[2], &c->no_touch)) {
        reply_ok(c);
    }
}

void cmd_client_reply(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (slice_is_nocase(argv[2], "on")) {
        c->reply = REPLY_ON;
        reply_ok(c);
    } else if (slice_is_nocase(argv[2], "off")) {
        c->reply = REPLY_OFF;
    } else if (slice_is_nocase(argv[2], "skip")) {
        c->reply = c->reply == REPLY_OFF ? REPLY_OFF : REPLY_SKIP_NEXT;
    } else {
        reply_syntax(c);
    }
}

void cmd_client_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "    * ID <client-id>",
        "      Kill connections by client id.",
        "    * MAXAGE <maxage>",
        "      Kill connections older than the specified age.",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>",
        "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.",
        "    * LIB-VER: the client lib version.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.",
    };
    reply_help(c, "CLIENT", lines, array_len(lines));
}
