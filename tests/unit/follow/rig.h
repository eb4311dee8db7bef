/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole follower on a real server, for tests: rig_start() makes tables, publication, event
 * triggers, policy and follower; the rest asks and waits. One follower lives through all cases of
 * an executable; each case leaves it following.
 *
 * Waiting is always for something: a strict wait for the log's end, or a state, polled without
 * sleeping (each turn asks the server something).
 */
#ifndef TESTS_FOLLOW_RIG_H
#define TESTS_FOLLOW_RIG_H

#include "../pg/cluster.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "follow/follow.h"

#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

static struct fresh *fresh;
static struct follow *follow;
static const struct policy *policy;
static struct mailbox mailbox;
static PGconn *side; /* the application's connection */
static struct follow_value_column values[1];

/* What was published last; written by the follower, read by the test. */
static struct lock catalog_lock;
static const struct follow_catalog *catalog;
static _Atomic uint32_t publications;

static inline const struct follow_table *table_named(const struct follow_catalog *c,
                                                     const char *name)
{
    for (uint32_t i = 0; i < c->table_count; i++) {
        if (strcmp(c->tables[i].name, name) == 0 && strcmp(c->tables[i].schema, "public") == 0) {
            return &c->tables[i];
        }
    }
    return NULL;
}

static inline void *analyse(void *arg, PGconn *conn, const struct follow_catalog *c,
                            const struct follow_value_column **ret_values, uint32_t *ret_count)
{
    const struct follow_table *full = table_named(c, "full_row");
    *ret_values = values;
    *ret_count = full != NULL ? 1 : 0;
    if (full != NULL) {
        values[0] = (struct follow_value_column){full->oid, 2};
    }
    return xstrdup("the analysis");
}

static inline void publish(void *arg, void *analysis, const struct follow_catalog *c)
{
    assert_string_equal(analysis, "the analysis");
    free(analysis);
    follow_catalog_ref(c);
    lock_acquire(&catalog_lock);
    follow_catalog_unref(catalog);
    catalog = c;
    lock_release(&catalog_lock);
    atomic_fetch_add(&publications, 1);
}

/* --- waiting ------------------------------------------------------------------------------------ */

static inline void on_wait(struct follow_wait *w)
{
    w->reply = NULL;
}

static inline bool wait_for(struct follow_wait *w)
{
    w->reply = &mailbox;
    w->done = on_wait;
    follow_wait(follow, w);
    while (w->reply != NULL) {
        struct pollfd p = {.fd = mailbox.fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 30000), 1);
        mailbox_drain(&mailbox);
    }
    return w->reached;
}

static inline bool strict(fresh_pos *ret_pos)
{
    struct follow_wait w = {.strict = true, .timeout_ms = 10000};
    bool reached = wait_for(&w);
    if (ret_pos != NULL) {
        *ret_pos = w.reached_at;
    }
    return reached;
}

static inline void sql(const char *text)
{
    if (PQstatus(side) != CONNECTION_OK) {
        PQfinish(side);
        side = PQconnectdb(cluster_dsn);
    }
    PGresult *r = PQexec(side, text);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        print_error("%s: %s\n", text, PQerrorMessage(side));
    }
    assert_true(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK);
    PQclear(r);
}

/* Until `holds` does. Every turn is a round trip through the follower's thread. */
static inline void until(bool (*holds)(void))
{
    uint64_t give_up = clock_now_ms() + 30000;
    while (!holds()) {
        struct follow_wait w = {.strict = true, .timeout_ms = 20};
        (void)wait_for(&w);
        assert_true(clock_now_ms() < give_up);
    }
}

static inline struct follow_status status(void)
{
    struct follow_status s;
    follow_status(follow, &s);
    return s;
}

static inline bool is_following(void)
{
    return status().state == FOLLOW_FOLLOWING && fresh_stamp(fresh) != 0;
}

static inline bool is_current(void)
{
    lock_acquire(&catalog_lock);
    bool current = catalog != NULL && catalog->version == follow_version(follow);
    lock_release(&catalog_lock);
    return current && is_following();
}

static inline bool all_visible(void)
{
    return is_following() && fresh_visible(fresh) >= (fresh_applied(fresh) & ~(fresh_pos)0xfff);
}

/* --- dependencies ------------------------------------------------------------------------------- */

static const struct follow_table *table(const char *name)
{
    until(is_current);
    const struct follow_table *t = table_named(catalog, name);
    assert_non_null(t);
    return t;
}

static inline fresh_dep row_dep(const char *name, const char *key)
{
    struct slice value = slice_of(key);
    return fresh_dep_hash(fresh, follow_row_hash(table(name)->oid, &value, 1));
}

static inline fresh_dep value_dep(const char *name, int16_t attnum, const char *value)
{
    return fresh_dep_hash(fresh, follow_value_hash(table(name)->oid, attnum, slice_of(value)));
}

static inline fresh_dep any_dep(const char *name)
{
    return fresh_dep_any(fresh, table(name)->wide);
}

static inline fresh_dep all_dep(const char *name)
{
    return fresh_dep_all(fresh, table(name)->wide);
}

struct keys {
    fresh_dep dep[8];
    uint32_t count;
};

static inline void add_match(void *arg, const struct policy_template *t, const struct slice *found)
{
    struct keys *k = arg;
    const struct follow_template *ft = &catalog->templates[t->index];
    assert_true(ft->followed);
    if (t->column_count == 0) {
        k->dep[k->count++] = fresh_dep_any(fresh, ft->wide);
    } else {
        k->dep[k->count++] = fresh_dep_hash(fresh, policy_template_hash(t, found));
        k->dep[k->count++] = fresh_dep_all(fresh, ft->wide);
    }
}

static inline struct keys key_deps(const char *key)
{
    struct keys k = {0};
    until(is_current);
    policy_match_key(policy, slice_of(key), add_match, &k);
    assert_true(k.count > 0);
    return k;
}

/* Is what was stamped before the change and depends on `dep` refused after it? */
static inline bool outdated(fresh_pos stamp, fresh_dep dep)
{
    return fresh_judge(fresh, stamp, &dep, 1, clock_now_ms()) == FRESH_OUTDATED;
}

static inline bool key_outdated(fresh_pos stamp, const struct keys *k)
{
    return fresh_judge(fresh, stamp, k->dep, k->count, clock_now_ms()) == FRESH_OUTDATED;
}

static inline fresh_pos stamp_now(void)
{
    until(is_current);
    assert_true(strict(NULL));
    until(all_visible);
    fresh_pos stamp = fresh_stamp(fresh);
    assert_true(stamp != 0);
    return stamp;
}

static inline void change(const char *text)
{
    sql(text);
    assert_true(strict(NULL));
}

/* --- setting up --------------------------------------------------------------------------------- */

static const char schema_sql[] =
    "create table thing(id int primary key, v text);"
    "insert into thing values (1, 'one'), (2, 'two');"
    "create view thing_view as select * from thing;"
    "create table full_row(id int primary key, colour text);"
    "alter table full_row replica identity full;"
    "insert into full_row values (1, 'red');"
    "create table trunc(id int primary key);"
    "create table part(id int primary key, v text) partition by range (id);"
    "create table part_low partition of part for values from (0) to (100);"
    "create table part_high partition of part for values from (100) to (200);"
    "insert into part values (5, 'v'), (6, 'v');"
    "create table unpublished(id int primary key);"
    "create table logged_again(id int primary key);"
    "create table keyless(id int);"
    "create unlogged table logless(id int primary key);"
    "create publication freshet for table thing, full_row, trunc, part, keyless, logged_again;"
    "create function freshet_tell() returns event_trigger language plpgsql as $$ begin"
    " perform pg_logical_emit_message(true, 'freshet.ddl', 'all'); end $$;"
    "create event trigger freshet_ddl on ddl_command_end execute function freshet_tell();"
    "create event trigger freshet_drop on sql_drop execute function freshet_tell()";

static const struct policy *make_policy(void)
{
    char path[] = "/tmp/freshet-test-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    dprintf(fd,
            "listen: { resp: \"127.0.0.1:0\" }\n"
            "database: { dsn: \"%s\" }\n"
            "memory: 64MB\n"
            "spaces:\n"
            "  cache: { db: 0 }\n"
            "invalidate:\n"
            "  thing: [\"thing_{id}\", \"things_*\", \"by_v_{v}\"]\n",
            cluster_dsn);
    close(fd);
    struct buf complaints;
    buf_init(&complaints);
    const struct policy *p = policy_load(path, &complaints);
    if (p == NULL) {
        print_error("%.*s\n", (int)buf_len(&complaints), complaints.mem + complaints.start);
    }
    buf_fini(&complaints);
    (void)unlink(path);
    return p;
}

static inline int rig_start(void **state)
{
    hash_setup();
    lock_init(&catalog_lock, LOCK_RANK_PLAN);
    mailbox_init(&mailbox);
    cluster_sql(schema_sql);
    side = PQconnectdb(cluster_dsn);
    policy = make_policy();
    assert_non_null(policy);
    fresh = fresh_create(&(struct fresh_options){.slots = 1 << 16, .max_stale_ms = 500});
    follow = follow_create(&(struct follow_options){
        .policy = policy, .fresh = fresh, .analyse = analyse, .publish = publish});
    until(is_current);
    return 0;
}

static inline int rig_stop(void **state)
{
    follow_destroy(&follow);
    follow_catalog_unref(catalog);
    fresh_destroy(&fresh);
    policy_unload(&policy);
    PQfinish(side);
    mailbox_fini(&mailbox);
    lock_fini(&catalog_lock);
    return 0;
}

#endif
