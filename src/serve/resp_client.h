/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One Redis connection, and what every command needs: reading a key, writing a key, parsing a
 * number.
 *
 * A command reads a key like this; an absent key has then been reported to the leases (lease.h):
 *
 *      if (!client_read(c, key, &hold, &item)) { absent } else { use item; store_drop(&hold); }
 *
 * and creates a key like this, whatever the command (LEASE_ROOM is stack memory, not cleared):
 *
 *      lease = client_lease(c, key, &room);       before the hold: may take the miss table's lock
 *      store_hold(...);
 *      err = client_put(c, &hold, lease, &write);
 *      store_drop(&hold);
 *
 * Collections are read and changed through edit.h.
 *
 * Threads: the connection's worker.
 */
#ifndef SERVE_RESP_CLIENT_H
#define SERVE_RESP_CLIENT_H

#include "resp/resp.h"
#include "serve/command.h"
#include "serve/lease.h"

struct resp_watch;
struct herd_waiter;
struct resp_proof;
struct roll_call;
struct subscriber;
struct synced_wait;
struct tracker;
struct user;
struct waiter;

enum { RESP_CLIENT_MAGIC = 0x4e597c11, REPLY_FRAME = 64 };

enum client_caching { CLIENT_CACHING_UNSAID, CLIENT_CACHING_YES, CLIENT_CACHING_NO };

enum reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIPPING };

struct resp_client {
    struct conn conn; /* first */
    uint32_t magic;

    /* what every command touches */
    struct worker *worker;
    struct resp_parser parser;
    struct slice raw; /* the bytes of the command being run */
    uint32_t db;
    int proto;         /* 2 or 3 */
    bool followed;     /* keys of `db` can match templates */
    bool durable;      /* `db` is of a durable space */
    bool strict;       /* `db` wants a proof before every read */
    bool proof_failed; /* what follows the database is absent to this batch */
    bool proof_fresh;  /* everything buffered now arrived before the proof was asked for */
    bool authenticated;
    bool guarded;    /* not every command is open to it: client_watch_admission() */
    bool running;    /* runs a command: what is pushed to it waits for the reply's end */
    bool detached;   /* has no connection: see detached.h */
    bool replaying;  /* reads the log: nothing is past, nothing gets a default TTL */
    bool wants_sync; /* its replies wait for the disk itself */
    bool no_touch;
    enum client_caching caching; /* what CLIENT CACHING said of the next command */
    bool no_evict;               /* told by CLIENT LIST; connections are never evicted */
    bool reply_failed;           /* the command being run says more than may be sent */
    bool error_told;             /* its error is one of a script's command, counted there */
    enum reply_mode reply;
    const struct policy_space *space;
    const struct command *last;

    /* transactions */
    bool in_multi;
    bool in_exec;      /* the whole store is owned: may not wait for anything */
    bool would_block;  /* in_exec or detached: the command run last would have waited */
    bool multi_failed; /* a command could not be queued */
    uint32_t queued;
    uint32_t queued_flags; /* of all queued commands together */
    struct buf queue;      /* queued commands, as they came */
    struct resp_watch *watches;

    /* rare */
    size_t proven;            /* bytes of the input that the last proof covers */
    struct resp_proof *proof; /* being waited for */
    struct list held;         /* by CLIENT PAUSE; self: not */
    struct list at_gate;      /* waits for the store: gate.h; self: not */
    struct user *user;        /* a reference; NULL: detached, with every right */
    uint64_t users_version;
    struct tracker *tracker;        /* tracking.c's; NULL: off */
    struct tracker *tracker_wanted; /* while its redirection is looked for */
    struct subscriber *subscriber;  /* pubsub.c's; NULL: never subscribed */
    struct roll_call *roll_call;    /* CLIENT LIST or KILL being gathered from the workers */
    struct waiter *waiter;          /* blocked on keys: see blocked.h */
    struct synced_wait *synced;     /* waits for the disk: see synced.h */
    struct herd_waiter *herd;       /* waiting for another client's fill */
    struct list fills; /* what others may wait for; with the next, under the herd's lock */
    uint32_t fill_count;
    struct list unsafe;   /* its output waits for the disk: see durable.c */
    uint64_t safe_at;     /* position of the journal */
    uint64_t safe_end;    /* where the output ended that waits for it, as conn_clear() counts */
    bool is_placed;       /* those two are known */
    bool told_more;       /* since then */
    bool served_by_other; /* another worker made the reply: its effects may not be journalled yet */
    uint64_t opened_ms;
    char *name; /* malloc'ed; NULL: none */
    char *lib_name;
    char *lib_version;
    struct lease_session leases;
};

bool resp_client_is(const struct conn *conn);
/* How long an idle connection is kept, for those opened from now on; 0: for ever. */
void resp_set_idle(uint32_t idle_ms);
uint32_t resp_idle(void);

/* resp_face.c: what a connection's opening and closing have in common with a detached client's. */
void resp_client_begin(struct resp_client *c, struct worker *w);
void resp_client_end(struct resp_client *c);

/* --- connection state ------------------------------------------------------------------------- */

/* False when the policy gives that database no space. */
bool client_select(struct resp_client *c, int64_t db);
bool client_db_exists(const struct resp_client *c, int64_t db);
/* The space of a database that exists. */
const struct policy_space *client_space(const struct resp_client *c, uint32_t db);
void client_discard(struct resp_client *c); /* ends MULTI, forgets watches */
/* The limits that fit what the client may do. */
void client_set_authenticated(struct resp_client *c, bool authenticated);
/* After a change of what it may do: authentication, protocol, subscriptions. */
void client_watch_admission(struct resp_client *c);
/* The database of a new connection: 0, or the first that has a space. False: none has. */
bool client_select_first(struct resp_client *c);
/* False after replying that a connection's name may not look like that. */
bool client_name_fits(struct resp_client *c, struct slice name);
/* Replaces a name; an empty one removes it. */
void client_replace_text(char **text, struct slice value);

static inline uint64_t client_now(const struct resp_client *c)
{
    return loop_now_ms(c->worker->loop);
}

static inline struct store *client_store(const struct resp_client *c)
{
    return c->worker->server->store;
}

/* Several keys at one moment: owns the store; nests, so inside EXEC or a script it costs nothing. */
void client_own(struct resp_client *c);
void client_disown(struct resp_client *c);

/* --- reading ---------------------------------------------------------------------------------- */

static inline void client_hold(struct resp_client *c, struct slice key, struct store_hold *ret_hold)
{
    store_hold(client_store(c), c->worker->gate, c->db, key, client_now(c), ret_hold);
}

/* True with the key held and its item; false with nothing held, the miss counted and reported. */
bool client_read(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                 struct store_item **ret_item);
/* The same, but neither a use of the key nor a hit or miss of the statistics (TTL, TYPE, OBJECT).
 */
bool client_peek(struct resp_client *c, struct slice key, struct store_hold *ret_hold,
                 struct store_item **ret_item);
/* The live item of a key that a command is about to change. */
struct store_item *client_item(struct resp_client *c, struct store_hold *h);
/* The same, not counted as a use. */
struct store_item *client_item_unused(struct resp_client *c, struct store_hold *h);

/* Tells the leases of a miss: what client_read() does by itself. Nothing may be held. */
void client_missed(struct resp_client *c, struct slice key);

/* --- writing ---------------------------------------------------------------------------------- */

/* gcc and clang clear automatic variables here (-ftrivial-auto-var-init); this one is large and
 * always filled before use. */
#define LEASE_ROOM(var) struct lease var __attribute__((uninitialized))

/* NULL: keys of this database are never followed. */
const struct lease *client_lease(struct resp_client *c, struct slice key, struct lease *room);
/* Stores with the lease and the space's default TTL; a value that may not be stored removes the key
 * and counts as stored. */
enum err client_put(struct resp_client *c, struct store_hold *h, const struct lease *lease,
                    struct store_write *w);
/* The same with the expiry as given (0: none), for a value that keeps or copies one. */
enum err client_put_exact(struct resp_client *c, struct store_hold *h, const struct lease *lease,
                          struct store_write *w);
/* What `item` is stored with, for a new value in its place: a change of a value does not make it
 * newer. Not store_edit(), which judges again: a mark raised since the lookup would make it start
 * from nothing. */
struct store_write client_write_like(const struct store_item *item, struct slice value);

/* --- replies and arguments -------------------------------------------------------------------- */

static inline void reply_ok(struct resp_client *c)
{
    buf_append(&c->conn.out, "+OK\r\n", 5);
}

static inline void reply_null(struct resp_client *c)
{
    resp_null(&c->conn.out, c->proto);
}

static inline void reply_integer(struct resp_client *c, int64_t value)
{
    resp_integer(&c->conn.out, value);
}

/* Room for so many bytes of reply. False: there is no memory, or the reply would be above limits.output; then
 * the command appends no more and the client gets an error in its place. */
bool client_make_room(struct resp_client *c, size_t len);
static inline bool client_room(struct resp_client *c, size_t len)
{
    return __builtin_expect(c->conn.out.cap - c->conn.out.end >= len, 1) ||
           client_make_room(c, len);
}

static inline bool client_says_too_much(const struct resp_client *c)
{
    return buf_len(&c->conn.out) > c->conn.face->limits->output_max;
}

/* False when there was no room: see client_room(). */
static inline bool reply_bulk(struct resp_client *c, struct slice value)
{
    bool fits = client_room(c, value.len + REPLY_FRAME);
    if (__builtin_expect(fits, 1)) {
        resp_bulk(&c->conn.out, value);
    }
    return fits;
}

void reply_err(struct resp_client *c, enum err e); /* from err.def */
void reply_syntax(struct resp_client *c);
void reply_wrong_arity(struct resp_client *c, const char *full_name);
/* OK, or the error. */
void reply_stored(struct resp_client *c, enum err e);
/* "HELP" of a container: an array of lines. */
void reply_help(struct resp_client *c, const char *container, const char *const *lines,
                uint32_t count);

/* False after replying "value is not an integer or out of range". */
bool arg_integer(struct resp_client *c, struct slice arg, int64_t *ret_value);
/* The same for a number from `min` to `max`, "value is out of range, value must between ..." */
bool arg_integer_between(struct resp_client *c, struct slice arg, int64_t min, int64_t max,
                         int64_t *ret_value);
/* How many: "value is out of range, must be positive" for what is below 0 or no number. */
bool arg_count(struct resp_client *c, struct slice arg, int64_t *ret_value);
/* A database's number, which may still be none of ours; false after replying that it is no int. */
bool arg_database(struct resp_client *c, struct slice arg, int64_t *ret_db);

/* The command's first reply byte decides how errors are counted; runs one command. */
void resp_run(struct resp_client *c, const struct command *cmd, const struct slice *argv,
              uint32_t argc);
/* The same without the counting, for a command that was counted when it came. */
void resp_perform(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                  uint32_t argc);
/* For a reply that comes later than its command ran: takes it back if it is too large, counts an error. `before`:
 * where in conn.out it began. */
void resp_finish(struct resp_client *c, size_t before);
/* Finds and checks a command; NULL after replying why not. */
const struct command *resp_admit(struct resp_client *c, const struct slice *argv, uint32_t argc);
/* May a RESP2 client that listens to channels run it? */
bool resp_is_for_subscribers(const struct command *cmd);
/* Counts the reply that begins at `before` if it is an error, and says so. */
bool resp_count_reply(struct resp_client *c, size_t before);
/* A command that has waited was answered with this, in so many microseconds: counted, and kept if that was slow. */
void resp_account_late(struct resp_client *c, const struct command *cmd, const struct slice *argv,
                       uint32_t argc, uint64_t us, struct slice reply);

#endif
