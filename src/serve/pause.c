/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pause is two numbers of the server: until when, and what. A worker that finds a command which must
 * wait puts the connection on its own list and sets a timer; the timer, or mail after UNPAUSE, lets all
 * of them go on. As in Redis a second pause can make the first longer and wider, never shorter.
 *
 * Commands of a running EXEC or script are not held: the whole of it counts as one (`queued_flags`).
 * A script waits unless its first line says that it does not write (or it is EVAL_RO).
 */
#include "serve/pause.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/number.h"
#include "serve/scripting.h"

#include <stdlib.h>

enum pause_kind { PAUSE_NONE, PAUSE_WRITES, PAUSE_ALL };

struct unpause_mail {
    struct mail mail;
    struct worker *worker;
};

static enum pause_kind kind_now(const struct worker *w)
{
    const struct server *s = w->server;
    uint64_t until = atomic_load_explicit(&s->pause_until_ms, memory_order_relaxed);
    return loop_now_ms(w->loop) < until ? atomic_load_explicit(&s->pause_kind, memory_order_relaxed)
                                        : PAUSE_NONE;
}

bool pause_is_on(const struct worker *w)
{
    return kind_now(w) != PAUSE_NONE;
}

/* By its first line. One that is not known, or not understood, is answered with an error at once. */
static bool script_may_write(const struct resp_client *c, bool by_sha)
{
    struct slice text = c->parser.argv[1];
    struct buf known;
    struct buf error;
    buf_init(&known);
    buf_init(&error);
    if (by_sha) {
        char sha[SCRIPT_SHA_SIZE] = "";
        for (size_t i = 0; i < text.len && text.len == SCRIPT_SHA_LEN; i++) {
            char letter = text.ptr[i];
            sha[i] = (char)(letter >= 'A' && letter <= 'F' ? letter - 'A' + 'a' : letter);
        }
        (void)script_sources_get(c->worker->server->scripting->sources, sha, &known);
        text = buf_readable(&known);
    }
    uint32_t flags;
    struct slice body;
    bool may = text.len > 0 && script_source_read(text, &flags, &body, &error) &&
               (flags & SCRIPT_NO_WRITES) == 0;
    buf_fini(&known);
    buf_fini(&error);
    return may;
}

uint32_t pause_flags(const struct resp_client *c, const struct command *cmd)
{
    bool is_script = cmd->run == cmd_eval || cmd->run == cmd_evalsha;
    bool may = is_script && script_may_write(c, cmd->run == cmd_evalsha);
    return cmd->flags | (may ? (uint32_t)COMMAND_MAY_REPLICATE : 0);
}

static bool may_write(const struct resp_client *c, const struct command *cmd)
{
    uint32_t flags = cmd->run == cmd_exec ? c->queued_flags : pause_flags(c, cmd);
    return (flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE)) != 0;
}

static void resume_all(struct worker *w)
{
    struct list *node;
    while ((node = list_pop_front(&w->held)) != NULL) {
        struct resp_client *c = container_of(node, struct resp_client, held);
        atomic_fetch_sub_explicit(&w->server->held_clients, 1, memory_order_relaxed);
        conn_resume(&c->conn);
    }
}

static void time_is_over(struct timer *t)
{
    struct worker *w = container_of(t, struct worker, pause_timer);
    uint64_t until = atomic_load_explicit(&w->server->pause_until_ms, memory_order_relaxed);
    uint64_t now = loop_now_ms(w->loop);
    if (now < until) {
        timer_start(w->loop, t, until - now, time_is_over);
        return;
    }
    /* Another worker may begin a new pause just now: it sets the bit again after its numbers. */
    resume_all(w);
}

bool pause_holds(struct resp_client *c, const struct command *cmd)
{
    struct worker *w = c->worker;
    enum pause_kind kind = kind_now(w);
    bool waits = kind == PAUSE_ALL || (kind == PAUSE_WRITES && may_write(c, cmd));
    if (!waits || c->detached) {
        return false;
    }
    conn_pause(&c->conn);
    list_push_back(&w->held, &c->held);
    atomic_fetch_add_explicit(&w->server->held_clients, 1, memory_order_relaxed);
    if (!timer_running(&w->pause_timer)) {
        uint64_t until = atomic_load_explicit(&w->server->pause_until_ms, memory_order_relaxed);
        uint64_t now = loop_now_ms(w->loop);
        timer_start(w->loop, &w->pause_timer, until > now ? until - now : 0, time_is_over);
    }
    return true;
}

void pause_forget(struct resp_client *c)
{
    if (!c->detached && !list_empty(&c->held)) {
        list_remove(&c->held);
        atomic_fetch_sub_explicit(&c->worker->server->held_clients, 1, memory_order_relaxed);
    }
}

void pause_worker_init(struct worker *w)
{
    list_init(&w->held);
}

void pause_worker_fini(struct worker *w)
{
    timer_stop(&w->pause_timer);
}

/* --- commands ----------------------------------------------------------------------------------- */

/* What `timeout` of CLIENT PAUSE means; false after replying. */
static bool parse_timeout(struct resp_client *c, struct slice text, uint64_t *ret_until)
{
    int64_t ms;
    if (!number_parse_i64(text, &ms)) {
        resp_error(&c->conn.out, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (ms < 0) {
        resp_error(&c->conn.out, "ERR timeout is negative");
        return false;
    }
    uint64_t now = client_now(c);
    *ret_until = (uint64_t)ms > (uint64_t)INT64_MAX - now ? INT64_MAX : now + (uint64_t)ms;
    return true;
}

void cmd_client_pause(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    enum pause_kind kind = PAUSE_ALL;
    if (argc == 4 && slice_is_nocase(argv[3], "write")) {
        kind = PAUSE_WRITES;
    } else if (argc == 4 && !slice_is_nocase(argv[3], "all")) {
        resp_error(&c->conn.out, "ERR CLIENT PAUSE mode must be WRITE or ALL");
        return;
    } else if (argc > 4) {
        reply_syntax(c);
        return;
    }
    uint64_t until;
    if (!parse_timeout(c, argv[2], &until)) {
        return;
    }
    enum pause_kind before = kind_now(c->worker);
    uint64_t old = atomic_load_explicit(&s->pause_until_ms, memory_order_relaxed);
    bool goes_on = before != PAUSE_NONE;
    atomic_store_explicit(&s->pause_kind, goes_on && before > kind ? before : kind,
                          memory_order_relaxed);
    atomic_store_explicit(&s->pause_until_ms, goes_on && old > until ? old : until,
                          memory_order_relaxed);
    atomic_fetch_or_explicit(&s->alert, ALERT_PAUSE, memory_order_relaxed);
    reply_ok(c);
}

static void unpause_arrived(struct mail *m)
{
    struct unpause_mail *mail = container_of(m, struct unpause_mail, mail);
    timer_stop(&mail->worker->pause_timer);
    resume_all(mail->worker);
    free(mail);
}

void cmd_client_unpause(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct server *s = c->worker->server;
    atomic_store_explicit(&s->pause_until_ms, 0, memory_order_relaxed);
    atomic_fetch_and_explicit(&s->alert, ~(uint32_t)ALERT_PAUSE, memory_order_relaxed);
    for (uint32_t i = 0; i < s->worker_count; i++) {
        struct unpause_mail *mail = xcalloc(1, sizeof(*mail));
        mail->worker = &s->workers[i];
        mailbox_post(loop_mailbox(mail->worker->loop), &mail->mail, unpause_arrived);
    }
    reply_ok(c);
}
