/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: a thread with one plain blocking connection, which reads the catalog and has the
 * statements analysed, so that the follower never waits for that. One job at a time, by mail there
 * and back.
 *
 * The connection is kept between jobs and made again after any trouble. Stopping cancels the
 * statement in hand and waits for the job.
 */
#include "follow/follow_priv.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/thread.h"
#include "follow/catalog.h"

#include <stdlib.h>

static void set_cancel(struct follow *f, PGcancel *cancel)
{
    lock_acquire(&f->lock);
    PQfreeCancel(f->keeper.cancel);
    f->keeper.cancel = cancel;
    lock_release(&f->lock);
}

static void keeper_drop(struct follow *f)
{
    set_cancel(f, NULL);
    PQfinish(f->keeper.conn);
    f->keeper.conn = NULL;
}

static void keeper_notice(void *arg, const char *message)
{
    (void)arg;
    log_debug("follow", "%s", message);
}

static bool keeper_connect(struct follow *f, char **ret_why)
{
    struct keeper *k = &f->keeper;
    if (k->conn != NULL && PQstatus(k->conn) == CONNECTION_OK) {
        return true;
    }
    keeper_drop(f);
    static const char *const names[] = {"dbname", "connect_timeout", "client_encoding",
                                        "fallback_application_name", NULL};
    const char *const values[] = {f->dsn, "5", "UTF8", "freshet", NULL};
    k->conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(k->conn) != CONNECTION_OK) {
        *ret_why = pg_advice(PQerrorMessage(k->conn), NULL);
        keeper_drop(f);
        return false;
    }
    (void)PQsetNoticeProcessor(k->conn, keeper_notice, NULL);
    set_cancel(f, PQgetCancel(k->conn));
    PQclear(PQexec(k->conn, "set datestyle to 'ISO'; set statement_timeout to '30s'"));
    return true;
}

static void run_load(struct follow *f, struct keeper_job *job)
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
    }
}

static void run_check(struct follow *f, struct keeper_job *job)
{
    const struct follow_catalog *now =
        follow_catalog_load(f->keeper.conn, f->fresh, job->known->policy, &job->why);
    job->changed = now != NULL && !catalog_equal(now, job->known);
    follow_catalog_unref(now);
}

static bool is_stopping(struct follow *f)
{
    lock_acquire(&f->lock);
    bool stopping = f->keeper.stopping;
    lock_release(&f->lock);
    return stopping;
}

static void run_once(struct follow *f, struct keeper_job *job)
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
    bool is_old = f->keeper.conn != NULL;
    if (is_stopping(f)) {
        job->why = xstrdup("freshet stops");
    } else {
        run_once(f, job);
    }
    if (job->why != NULL && is_old && !is_stopping(f)) {
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
    mailbox_post(loop_mailbox(f->keeper.loop), &job->mail, run);
}

static void *keeper_body(void *arg)
{
    struct follow *f = arg;
    thread_enter("keeper", false); /* it may block */
    loop_run(f->keeper.loop);
    keeper_drop(f);
    thread_leave();
    return NULL;
}

void keeper_create(struct follow *f)
{
    f->keeper.loop = loop_create();
    check(pthread_create(&f->keeper.thread, NULL, keeper_body, f) == 0);
}

void keeper_destroy(struct follow *f)
{
    char why[256];
    loop_stop(f->keeper.loop);
    lock_acquire(&f->lock);
    f->keeper.stopping = true;
    PGcancel *cancel = f->keeper.cancel;
    f->keeper.cancel = NULL;
    lock_release(&f->lock);
    if (cancel != NULL) {
        (void)PQcancel(cancel, why, sizeof(why));
        PQfreeCancel(cancel);
    }
    check(pthread_join(f->keeper.thread, NULL) == 0);
    /* A job that it did not come to still gets its answer. */
    mailbox_drain(loop_mailbox(f->keeper.loop));
    loop_destroy(&f->keeper.loop);
}
