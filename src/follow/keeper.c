/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: a thread with one plain blocking connection, which reads the catalog and has the
 * statements analysed, so that the follower never waits for that. One job at a time, by mail there
 * and back.
 *
 * The connection is kept between jobs and made again after any trouble. When the follower loses contact, or
 * stops, the connection is shut down under the keeper's hands: a server that went silent would hold it for
 * as long as the kernel has patience, and the next job with it.
 */
#include "follow/follow_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "follow/catalog.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { CONNECT_MAX_MS = 5000, LOOK_UP_MS = 50 };

/* From now on others may interrupt what this connection waits for; -1: there is none. */
static void set_fd(struct follow *f, int fd)
{
    lock_acquire(&f->lock);
    f->keeper.fd = fd;
    lock_release(&f->lock);
}

static void keeper_drop(struct follow *f) REQUIRES(keeper_role)
{
    set_fd(f, -1);
    PQfinish(f->keeper.conn);
    f->keeper.conn = NULL;
}

static bool is_interrupted(struct follow *f)
{
    lock_acquire(&f->lock);
    bool interrupted = f->keeper.interrupted || f->keeper.stopping;
    lock_release(&f->lock);
    return interrupted;
}

static void keeper_notice(void *arg, const char *message)
{
    (void)arg;
    log_debug("follow", "%s", message);
}

/* As PQconnectdb(), but it looks up now and then: a server may take a connection and say nothing. */
static bool connect_until(struct follow *f, PGconn *conn)
{
    uint64_t deadline = clock_now_ms() + CONNECT_MAX_MS;
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (PQstatus(conn) != CONNECTION_BAD && want != PGRES_POLLING_OK) {
        struct pollfd p = {.fd = PQsocket(conn),
                           .events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        int ready = poll(&p, 1, LOOK_UP_MS);
        if (is_interrupted(f) || clock_now_ms() > deadline) {
            return false;
        }
        want = ready > 0 ? PQconnectPoll(conn) : want;
        if (want == PGRES_POLLING_FAILED) {
            return false;
        }
    }
    return PQstatus(conn) == CONNECTION_OK;
}

static PGconn *start_connecting(const struct follow *f)
{
    /* What stands before the DSN may be overridden there. A connection that a firewall has forgotten must end. */
    static const char *const names[] = {"tcp_user_timeout", "keepalives_idle",           "dbname",
                                        "client_encoding",  "fallback_application_name", NULL};
    const char *const values[] = {"30000", "30", f->dsn, "UTF8", "freshet", NULL};
    return PQconnectStartParams(names, values, 1);
}

/* Settings and prepared statements must stay with the connection. */
static bool has_its_own_process(struct follow *f, PGconn *conn)
{
    if (pg_is_direct(conn)) {
        return true;
    }
    PGconn *other = start_connecting(f);
    bool shares = connect_until(f, other) && pg_shares_process(conn, other);
    PQfinish(other);
    return !shares;
}

static bool keeper_connect(struct follow *f, char **ret_why) REQUIRES(keeper_role)
{
    struct keeper *k = &f->keeper;
    if (k->conn != NULL && PQstatus(k->conn) == CONNECTION_OK) {
        return true;
    }
    keeper_drop(f);
    k->conn = start_connecting(f);
    if (!connect_until(f, k->conn)) {
        const char *why = PQerrorMessage(k->conn);
        *ret_why = pg_advice(why[0] != '\0' ? why : "no answer while connecting", NULL);
        keeper_drop(f);
        return false;
    }
    (void)PQsetNoticeProcessor(k->conn, keeper_notice, NULL);
    set_fd(f, PQsocket(k->conn));
    if (!has_its_own_process(f, k->conn)) {
        *ret_why = pg_advice("two connections share a server process", NULL);
        keeper_drop(f);
        return false;
    }
    PQclear(PQexec(k->conn, "set datestyle to 'ISO'; set statement_timeout to '30s'"));
    return true;
}

static void run_load(struct follow *f, struct keeper_job *job) REQUIRES(keeper_role)
{
    const struct follow_options *o = &f->options;
    job->catalog = follow_catalog_load(f->keeper.conn, f->fresh, job->policy, &job->why);
    if (job->catalog == NULL) {
        return;
    }
    catalog_set_version(job->catalog, job->version);
    if (o->analyse != NULL) {
        job->analysis =
            o->analyse(o->arg, f->keeper.conn, job->catalog, &job->values, &job->value_count);
        job->broken = PQstatus(f->keeper.conn) != CONNECTION_OK;
    }
}

static void run_check(struct follow *f, struct keeper_job *job) REQUIRES(keeper_role)
{
    const struct follow_catalog *now =
        follow_catalog_load(f->keeper.conn, f->fresh, job->known->policy, &job->why);
    job->changed = now != NULL && !catalog_equal(now, job->known);
    follow_catalog_unref(now);
}

static void run_once(struct follow *f, struct keeper_job *job) REQUIRES(keeper_role)
{
    if (!keeper_connect(f, &job->why)) {
        return;
    }
    if (job->kind == KEEPER_LOAD) {
        run_load(f, job);
    } else {
        run_check(f, job);
    }
    if (job->why != NULL) {
        char *advised = pg_advice(job->why, NULL);
        free(job->why);
        job->why = advised;
        keeper_drop(f);
    }
}

static void run(struct mail *m)
{
    struct keeper_job *job = container_of(m, struct keeper_job, mail);
    struct follow *f = job->follow;
    role_assume(&keeper_role);
    bool is_old = f->keeper.conn != NULL;
    if (is_interrupted(f)) {
        job->why = xstrdup("contact was lost");
    } else {
        run_once(f, job);
    }
    if (job->why != NULL && is_old && !is_interrupted(f)) {
        /* The kept connection may have died since: that says nothing about the server now. */
        free(job->why);
        job->why = NULL;
        run_once(f, job);
    }
    mailbox_post(loop_mailbox(f->loop), &job->mail, job->done);
}

void keeper_post(struct follow *f, struct keeper_job *job, mail_fn *done)
{
    job->follow = f;
    job->done = done;
    lock_acquire(&f->lock);
    f->keeper.interrupted = false;
    lock_release(&f->lock);
    mailbox_post(loop_mailbox(f->keeper.loop), &job->mail, run);
}

static void *keeper_body(void *arg)
{
    struct follow *f = arg;
    role_assume(&keeper_role);
    thread_enter("keeper", false); /* it may block */
    loop_run(f->keeper.loop);
    keeper_drop(f);
    thread_leave();
    return NULL;
}

void keeper_create(struct follow *f)
{
    f->keeper.loop = loop_create();
    f->keeper.fd = -1;
    check(pthread_create(&f->keeper.thread, NULL, keeper_body, f) == 0);
}

void keeper_interrupt(struct follow *f)
{
    lock_acquire(&f->lock);
    f->keeper.interrupted = true;
    if (f->keeper.fd >= 0) {
        /* Whoever waits in libpq finds the connection closed. The descriptor stays its own. */
        (void)shutdown(f->keeper.fd, SHUT_RDWR);
    }
    lock_release(&f->lock);
}

void keeper_destroy(struct follow *f)
{
    loop_stop(f->keeper.loop);
    lock_acquire(&f->lock);
    f->keeper.stopping = true;
    lock_release(&f->lock);
    keeper_interrupt(f);
    check(pthread_join(f->keeper.thread, NULL) == 0);
    /* A job that it did not come to still gets its answer. */
    mailbox_drain(loop_mailbox(f->keeper.loop));
    loop_destroy(&f->keeper.loop);
}
