/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends stored answers, and gives an entry its compressed form when that is asked for first.
 *
 *   hit ── has the wanted form ──> put from the store's memory, under the hold
 *    └─── lacks it ──> copy ─> drop ─> compress the copy ─> put ─> hold again ─> same answer? store the copy
 *
 * Compressing takes milliseconds, so it happens outside the hold. Meanwhile the entry may have left or
 * been replaced: then the copy is not kept. Two workers may both compress one entry; the second finds
 * that it is done. Expiry, stamp and dependencies stay those of the entry (store_edit()), so a form is
 * never fresher than what it was made of.
 *
 * Threads: a worker's own.
 */
#include "serve/hit.h"

#include "base/check.h"
#include "serve/gate.h"

static void count_saved(struct request *r, const struct answer *a, size_t saved)
{
    if (r->accepts.gzip && a->gzip.head.ptr != NULL) {
        serve_count(r->worker, gzip_sent);
        serve_count_by(r->worker, gzip_saved_bytes, saved);
    }
}

static void compress(struct request *r, struct buf *value, bool any_size)
{
    if (answer_compress(value, &r->worker->gzip, any_size)) {
        serve_count(r->worker, gzip_made);
    }
}

/* The entry becomes `value`, if it is still that answer and nobody was faster. No space: it stays as it
 * was, and is marked so that not every hit tries again. */
static void keep_form(struct request *r, struct slice value)
{
    struct worker *w = r->worker;
    struct store_hold hold;
    if (!gate_pass(w)) {
        return; /* the next hit may try */
    }
    store_hold(w->server->store, w->gate, w->server->http_db, buf_readable(&r->key), r->now_ms,
               &hold);
    struct store_item *item = store_peek(&hold, NULL);
    if (item != NULL) {
        struct slice now = store_item_value(item);
        char *room;
        if (answer_same(now, value) && answer_read(now).may_gzip) {
            if (store_edit(&hold, value.len, NULL, &room) == ERR_OK) {
                memcpy(room, value.ptr, value.len);
            } else if (store_edit(&hold, now.len, NULL, &room) == ERR_OK) {
                answer_mark_not_worth(room);
            }
        }
    }
    store_drop(&hold);
}

void hit_put(struct request *r, struct store_hold *hold, const struct store_item *item)
{
    struct buf *out = http_request_out(r);
    uint64_t expiry = store_item_expiry(item);
    struct answer a = answer_read(store_item_value(item));
    struct answer_wish wish = {
        .head_only = r->head_only,
        .close = r->close,
        .accepts = r->accepts,
        .if_none_match = buf_readable(&r->if_none_match),
        .cache_status = "hit",
        .ttl_s = expiry > r->now_ms ? (expiry - r->now_ms) / 1000 : 0,
        .hit = true,
        .now_ms = r->now_ms,
    };
    if (!answer_lacks(&a, &wish)) {
        count_saved(r, &a, answer_put(out, &a, &wish));
        store_drop(hold);
        return;
    }
    struct buf copy;
    buf_init(&copy);
    buf_append_slice(&copy, store_item_value(item));
    store_drop(hold);
    gate_leave(r->worker); /* compressing is no part of a pass */
    if (a.may_gzip) {
        compress(r, &copy, false);
        keep_form(r, buf_readable(&copy));
    }
    if (!r->accepts.identity) {   /* answer_lacks() has looked at the size */
        compress(r, &copy, true); /* for this client alone; nothing to do if it has the form now */
    }
    a = answer_read(buf_readable(&copy));
    count_saved(r, &a, answer_put(out, &a, &wish));
    buf_fini(&copy);
}

void fresh_put(struct request *r, struct slice value, const char *status)
{
    struct buf *out = http_request_out(r);
    if (out == NULL) {
        return;
    }
    struct answer a = answer_read(value);
    struct answer_wish wish = {
        .head_only = r->head_only,
        .close = r->close,
        .accepts = r->accepts,
        .if_none_match = buf_readable(&r->if_none_match),
        .cache_status = status,
        .ttl_s = UINT64_MAX,
    };
    struct buf copy;
    buf_init(&copy);
    /* The fill has compressed what its own client asked for. One who joined it gets what there is, unless
     * that is no use to them. */
    if (!r->accepts.identity && answer_lacks(&a, &wish)) {
        buf_append_slice(&copy, value);
        compress(r, &copy, true);
        a = answer_read(buf_readable(&copy));
    }
    count_saved(r, &a, answer_put(out, &a, &wish));
    buf_fini(&copy);
    if (a.status >= 500) {
        serve_count(r->worker, http_errors);
    }
}
