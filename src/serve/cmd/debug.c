/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DEBUG: for tests, of freshet itself and of Redis clients; needs `debug: true` in the policy.
 *
 * What freshet's own tests need: the clock, workers held up, deaths of the process. What test suites made for
 * Redis need: digests, values passed through their file format, replies of every type. What they switch off or
 * on in a Redis and freshet does not have (quicklists, a cron, rehashing) is accepted and has no effect.
 *
 * RELOAD and LOADAOF read nothing from a disk: every value is written as DUMP does and read back, which is
 * what such a test wants to see. What a restart really brings back is the log's affair (cmd/persist.c).
 *
 * Threads: the connection's worker; what sees all keys owns the store.
 */
#include "serve/cmd/debug_digest.h"
#include "serve/cmd/dump.h"
#include "serve/cmd/rdb.h"
#include "serve/edit.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* --- time and death ----------------------------------------------------------------------------- */

/* CLOCK ADVANCE <ms> moves the process's clock, so that tests need not wait for expiries. CLOCK WALL <ms>: the
 * wall clock jumps, in either direction; the clock that runs inside stays. */
static void debug_clock(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    bool advance = slice_is_nocase(argv[2], "advance");
    int64_t ms;
    if (!advance && !slice_is_nocase(argv[2], "wall")) {
        reply_syntax(c);
        return;
    }
    if (!arg_integer(c, argv[3], &ms)) {
        return;
    }
    if (advance && ms < 0) {
        resp_error(&c->conn.out, "ERR the clock only goes forward");
        return;
    }
    if (advance) {
        clock_advance((uint64_t)ms);
    } else {
        clock_wall_jump(ms);
    }
    reply_ok(c);
}

/* SLEEP <seconds> holds the worker, so that the watchdog has something to find. */
static void debug_sleep(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    char text[32] = "";
    memcpy(text, argv[2].ptr, argv[2].len < 31 ? argv[2].len : 31);
    double seconds = strtod(text, NULL);
    struct timespec left = {.tv_sec = (time_t)seconds};
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (seconds > 0 && nanosleep(&left, &left) != 0) {
    }
    reply_ok(c);
}

static void debug_set_active_expire(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    atomic_store_explicit(&c->worker->server->keeps_expired, slice_is(argv[2], "0"),
                          memory_order_relaxed);
    reply_ok(c);
}

/* Only DEBUG itself: what else is kept from scripts would wait for other workers. */
static void debug_set_disable_deny_scripts(struct resp_client *c, const struct slice *argv,
                                           uint32_t argc)
{
    atomic_store_explicit(&c->worker->server->scripts_debug, slice_is(argv[2], "1"),
                          memory_order_relaxed);
    reply_ok(c);
}

static void debug_validate(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (!worker_own_try(c->worker)) {
        resp_error(&c->conn.out, "BUSY the store is owned by a script or a transaction; try again");
        return;
    }
    store_validate(client_store(c));
    worker_disown(c->worker);
    reply_ok(c);
}

/* SEGFAULT, ABORT and PANIC (a failed check) end the process, each in its own way. */
static void debug_segfault(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    static int *volatile nowhere = (int *)16; /* the compiler must not see where it points */
    *nowhere = 1;
}

static void debug_abort(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    abort();
}

static void debug_panic(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    check(!"DEBUG PANIC was asked for");
}

/* --- every key ---------------------------------------------------------------------------------- */

enum { KEYS_STEP = 1000 };

/* A database's keys, one behind the other. */
struct key_list {
    struct buf texts;
    struct buf lengths; /* size_t each */
};

static void collect_key(void *arg, const struct store_item *item)
{
    struct key_list *l = arg;
    struct slice key = store_item_key(item);
    buf_append(&l->texts, key.ptr, key.len);
    buf_append(&l->lengths, &key.len, sizeof(key.len));
}

typedef enum err key_fn(struct resp_client *c, struct slice key, void *arg);

static enum err each_key_of_db(struct resp_client *c, key_fn *fn, void *arg)
{
    struct key_list keys;
    uint64_t cursor = 0;
    enum err err = ERR_OK;
    buf_init(&keys.texts);
    buf_init(&keys.lengths);
    do {
        cursor = store_scan(client_store(c), c->worker->gate, c->db, cursor, KEYS_STEP,
                            client_now(c), collect_key, &keys);
    } while (cursor != 0);
    const char *at = buf_readable(&keys.texts).ptr;
    struct slice lengths = buf_readable(&keys.lengths);
    for (size_t i = 0; i < lengths.len && err == ERR_OK; i += sizeof(size_t)) {
        struct slice key = {at, 0};
        memcpy(&key.len, lengths.ptr + i, sizeof(key.len));
        at += key.len;
        err = fn(c, key, arg);
    }
    buf_fini(&keys.lengths);
    buf_fini(&keys.texts);
    return err;
}

/* With the store owned: nothing changes but what `fn` changes. `before` a database that has keys. */
static enum err each_key(struct resp_client *c, key_fn *fn,
                         void (*before)(uint32_t, struct digest *), void *arg)
{
    uint32_t db_then = c->db;
    enum err err = ERR_OK;
    client_own(c);
    for (uint32_t db = 0; db < POLICY_DBS && err == ERR_OK; db++) {
        if (client_select(c, db) && store_db_size(client_store(c), db) > 0) {
            if (before != NULL) {
                before(db, arg);
            }
            err = each_key_of_db(c, fn, arg);
        }
    }
    (void)client_select(c, db_then);
    client_disown(c);
    return err;
}

static enum err reload_key(struct resp_client *c, struct slice key, void *arg)
{
    return dump_pass_through(c, key);
}

static void debug_reload(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_stored(c, each_key(c, reload_key, NULL, NULL));
}

static enum err add_to_digest(struct resp_client *c, struct slice key, void *arg)
{
    digest_add_key(c, key, arg);
    return ERR_OK;
}

static void debug_digest(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct digest all = {{0}};
    char hex[DIGEST_HEX];
    (void)each_key(c, add_to_digest, digest_add_db, &all);
    digest_hex(&all, hex);
    resp_simple(&c->conn.out, hex);
}

/* --- one key ------------------------------------------------------------------------------------ */

static void debug_digest_value(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_array(&c->conn.out, argc - 2);
    for (uint32_t i = 2; i < argc; i++) {
        struct digest d = digest_of_value(c, argv[i]);
        char hex[DIGEST_HEX];
        digest_hex(&d, hex);
        resp_simple(&c->conn.out, hex);
    }
}

/* False after replying that there is no such key. Expired ones are there while SET-ACTIVE-EXPIRE 0 keeps them. */
static bool hold_key(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                     struct store_item **ret_item)
{
    bool is_there;
    if (atomic_load_explicit(&c->worker->server->keeps_expired, memory_order_relaxed)) {
        store_hold(client_store(c), c->worker->gate, c->db, key, 0, ret_hold);
        *ret_item = store_peek(ret_hold, NULL);
        is_there = *ret_item != NULL;
        if (!is_there) {
            store_drop(ret_hold);
        }
    } else {
        is_there = client_peek(c, key, ret_hold, ret_item);
    }
    if (!is_there) {
        resp_error(&c->conn.out, "ERR no such key");
        return false;
    }
    return true;
}

enum { RDB_FRAME = 1 + 2 + 8 }; /* of a DUMP around the value: type, version, checksum */

static void debug_object(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    char text[256];
    if (!hold_key(c, argv[2], &h, &item)) {
        return;
    }
    struct buf bytes;
    buf_init(&bytes);
    rdb_write(&h, item, &bytes);
    (void)snprintf(
        text, sizeof(text),
        "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:0 lru_seconds_idle:0",
        (void *)item, item_encoding(item), buf_len(&bytes) - RDB_FRAME);
    store_drop(&h);
    buf_fini(&bytes);
    resp_simple(&c->conn.out, text);
}

/* Strings are kept exactly: nothing is set aside for their growth. */
static void debug_sdslen(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct store_hold h;
    struct store_item *item;
    char text[256];
    if (!hold_key(c, argv[2], &h, &item)) {
        return;
    }
    size_t len = store_item_value(item).len;
    bool is_string = store_item_kind(item) == STORE_STRING;
    (void)snprintf(text, sizeof(text),
                   "key_sds_len:%zu, key_sds_avail:0, key_zmalloc: %zu, val_sds_len:%zu, "
                   "val_sds_avail:0, val_zmalloc: %zu",
                   argv[2].len, argv[2].len, len, len);
    store_drop(&h);
    if (is_string) {
        resp_simple(&c->conn.out, text);
    } else {
        resp_error(&c->conn.out, "ERR Not an sds encoded string.");
    }
}

/* --- replies and data for clients' tests -------------------------------------------------------- */

static void reply_numbers(struct resp_client *c)
{
    for (int64_t i = 0; i < 3; i++) {
        reply_integer(c, i);
    }
}

static void protocol_map(struct resp_client *c)
{
    resp_map(&c->conn.out, c->proto, 3);
    for (int64_t i = 0; i < 3; i++) {
        reply_integer(c, i);
        resp_bool(&c->conn.out, c->proto, i == 1);
    }
}

/* RESP3's attribute stands before the reply that it describes. */
static void protocol_attrib(struct resp_client *c)
{
    if (c->proto >= 3) {
        buf_append_str(&c->conn.out, "|1\r\n");
        resp_bulk_str(&c->conn.out, "key-popularity");
        resp_array(&c->conn.out, 2);
        resp_bulk_str(&c->conn.out, "key:123");
        reply_integer(c, 90);
    }
    resp_bulk_str(&c->conn.out, "Some real reply following the attribute");
}

static void protocol_push(struct resp_client *c)
{
    if (c->proto < 3) {
        resp_error(&c->conn.out, "ERR RESP2 is not supported by this command");
        return;
    }
    resp_push(&c->conn.out, c->proto, 2);
    resp_bulk_str(&c->conn.out, "server-cpu-usage");
    reply_integer(c, 42);
    resp_bulk_str(&c->conn.out, "Some real reply following the push reply");
}

static void protocol_bignum(struct resp_client *c)
{
    static const char number[] = "1234567999999999999999999999999999999";
    if (c->proto < 3) {
        resp_bulk_str(&c->conn.out, number);
    } else {
        buf_append_str(&c->conn.out, "(");
        buf_append_str(&c->conn.out, number);
        buf_append_str(&c->conn.out, "\r\n");
    }
}

/* PROTOCOL <type>: a reply of that type. */
static void debug_protocol(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf *out = &c->conn.out;
    struct slice type = argv[2];
    if (slice_is_nocase(type, "string")) {
        resp_bulk_str(out, "Hello World");
    } else if (slice_is_nocase(type, "integer")) {
        reply_integer(c, 12345);
    } else if (slice_is_nocase(type, "double")) {
        resp_double(out, c->proto, 3.141);
    } else if (slice_is_nocase(type, "null")) {
        reply_null(c);
    } else if (slice_is_nocase(type, "array")) {
        resp_array(out, 3);
        reply_numbers(c);
    } else if (slice_is_nocase(type, "set")) {
        resp_set(out, c->proto, 3);
        reply_numbers(c);
    } else if (slice_is_nocase(type, "map")) {
        protocol_map(c);
    } else if (slice_is_nocase(type, "attrib")) {
        protocol_attrib(c);
    } else if (slice_is_nocase(type, "push")) {
        protocol_push(c);
    } else if (slice_is_nocase(type, "true") || slice_is_nocase(type, "false")) {
        resp_bool(out, c->proto, slice_is_nocase(type, "true"));
    } else if (slice_is_nocase(type, "verbatim")) {
        resp_verbatim(out, c->proto, "txt", SLICE("This is a verbatim\nstring"));
    } else if (slice_is_nocase(type, "bignum")) {
        protocol_bignum(c);
    } else {
        resp_error(
            out, "ERR Wrong protocol type name. Please use one of the following: "
                 "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
    }
}

static enum err populate_key(struct resp_client *c, struct slice key, struct slice value)
{
    struct store_hold h;
    LEASE_ROOM(room);
    const struct lease *lease = client_lease(c, key, &room);
    struct store_write w = {.value = value};
    client_hold(c, key, &h);
    enum err err = client_item_unused(c, &h) == NULL ? client_put(c, &h, lease, &w) : ERR_OK;
    store_drop(&h);
    return err;
}

/* POPULATE <count> [<prefix>] [<size>]: keys "key:0" and so on that are not there yet, each with the value
 * "value:0" ..., cut or filled up with zeros to the size. */
static void debug_populate(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t count;
    int64_t size = 0;
    struct slice prefix = argc > 3 ? argv[3] : SLICE("key");
    if (!arg_count(c, argv[2], &count) || (argc > 4 && !arg_count(c, argv[4], &size))) {
        return;
    }
    struct buf key;
    struct buf value;
    enum err err = ERR_OK;
    buf_init(&key);
    buf_init(&value);
    for (int64_t i = 0; i < count && err == ERR_OK; i++) {
        char number[32];
        int len = snprintf(number, sizeof(number), ":%lld", (long long)i);
        buf_clear(&key);
        buf_append(&key, prefix.ptr, prefix.len);
        buf_append(&key, number, (size_t)len);
        buf_clear(&value);
        buf_append_str(&value, "value");
        buf_append(&value, number, (size_t)len);
        while (size > 0 && buf_len(&value) < (size_t)size) {
            buf_append(&value, "", 1);
        }
        struct slice text = buf_readable(&value);
        text.len = size > 0 ? (size_t)size : text.len;
        err = populate_key(c, buf_readable(&key), text);
    }
    buf_fini(&value);
    buf_fini(&key);
    reply_stored(c, err);
}

static void debug_log(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    log_event(LOG_INFO, "resp", "DEBUG LOG", log_slice("said", argv[2]));
    reply_ok(c);
}

static void debug_error(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    resp_error(&c->conn.out, "%.*s", (int)argv[2].len, argv[2].ptr);
}

static void debug_nothing(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_ok(c);
}

static void debug_fail_alloc(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t n;
    if (arg_integer_between(c, argv[2], 0, INT64_MAX, &n)) {
        reply_integer(c, (int64_t)alloc_fail_try_at((uint64_t)n));
    }
}

/* --- the subcommands ---------------------------------------------------------------------------- */

static void debug_help(struct resp_client *c, const struct slice *argv, uint32_t argc);

static const struct subcommand {
    const char *name;
    uint32_t least, most; /* arguments, with DEBUG and the name */
    command_fn *run;
    const char *usage;
    const char *summary;
} subcommands[] = {
    /* clang-format off */
    {"abort", 2, 2, debug_abort, "ABORT", "    End the process with abort()."},
    {"change-repl-id", 2, 2, debug_nothing, "CHANGE-REPL-ID", "    No effect: nothing is replicated."},
    {"clock", 4, 4, debug_clock, "CLOCK ADVANCE|WALL <ms>", "    Let time pass, or the wall clock jump."},
    {"dict-resizing", 3, 3, debug_nothing, "DICT-RESIZING <0|1>", "    No effect: there are no such tables."},
    {"digest", 2, 2, debug_digest, "DIGEST", "    A digest of everything stored, as Redis has it."},
    {"digest-value", 3, UINT32_MAX, debug_digest_value, "DIGEST-VALUE <key> [<key> ...]", "    Digests of values."},
    {"error", 3, 3, debug_error, "ERROR <string>", "    Reply an error with this text."},
    {"fail-alloc", 3, 3, debug_fail_alloc, "FAIL-ALLOC <n>", "    Let the n-th allocation of those that may fail do so; 0: none. Replies how many were still to come."},
    {"help", 2, 2, debug_help, NULL, NULL},
    {"loadaof", 2, 2, debug_reload, "LOADAOF", "    The same as RELOAD."},
    {"log", 3, 3, debug_log, "LOG <message>", "    Write a line to the log."},
    {"object", 3, 4, debug_object, "OBJECT <key>", "    How a value is kept."},
    {"panic", 2, 2, debug_panic, "PANIC", "    Fail a check."},
    {"pause-cron", 3, 3, debug_nothing, "PAUSE-CRON <0|1>", "    No effect: there is no cron."},
    {"populate", 3, 5, debug_populate, "POPULATE <count> [<prefix>] [<size>]", "    Make keys."},
    {"protocol", 3, 3, debug_protocol, "PROTOCOL <type>", "    Reply a value of that type."},
    {"quicklist-packed-threshold", 3, 3, debug_nothing, "QUICKLIST-PACKED-THRESHOLD <size>", "    No effect: lists are no quicklists."},
    {"reload", 2, 5, debug_reload, "RELOAD [option ...]", "    Pass every value through the format of DUMP and back."},
    {"sdslen", 3, 3, debug_sdslen, "SDSLEN <key>", "    Lengths of key and value."},
    {"segfault", 2, 2, debug_segfault, "SEGFAULT", "    End the process with an access to no memory."},
    {"set-active-expire", 3, 3, debug_set_active_expire, "SET-ACTIVE-EXPIRE <0|1>", "    Whether expired keys go by themselves."},
    {"set-disable-deny-scripts", 3, 3, debug_set_disable_deny_scripts, "SET-DISABLE-DENY-SCRIPTS <0|1>", "    Whether scripts may call DEBUG."},
    {"sleep", 3, 3, debug_sleep, "SLEEP <seconds>", "    Hold up this connection's worker."},
    {"validate", 2, 2, debug_validate, "VALIDATE", "    Check the whole store; end the process if something is wrong."},
    /* clang-format on */
};

static void debug_help(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    const char *lines[2 * array_len(subcommands)];
    uint32_t count = 0;
    for (size_t i = 0; i < array_len(subcommands); i++) {
        if (subcommands[i].usage != NULL) {
            lines[count++] = subcommands[i].usage;
            lines[count++] = subcommands[i].summary;
        }
    }
    reply_help(c, "DEBUG", lines, count);
}

void cmd_debug(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (!c->worker->plan->policy->debug) {
        resp_error(&c->conn.out,
                   "ERR DEBUG command not allowed. Say `debug: true` in the policy to allow it.");
        return;
    }
    for (size_t i = 0; i < array_len(subcommands); i++) {
        const struct subcommand *s = &subcommands[i];
        if (slice_is_nocase(argv[1], s->name) && argc >= s->least && argc <= s->most) {
            s->run(c, argv, argc);
            return;
        }
    }
    resp_error(&c->conn.out,
               "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
               (int)argv[1].len, argv[1].ptr);
}
