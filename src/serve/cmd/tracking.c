/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: options read and told. What tracking does is in tracking.c.
 *
 * Threads: the connection's worker.
 */
#include "serve/tracker.h"

#include "base/alloc.h"
#include "serve/roll_call.h"

#include <stdlib.h>

/* --- CLIENT TRACKING ------------------------------------------------------------------------------------ */

static bool is_before(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order < 0 || (order == 0 && a.len < b.len);
}

/* In this order they are told. */
static void sort_prefixes(struct tracker *k)
{
    for (uint32_t i = 1; i < k->prefix_count; i++) {
        struct slice moving = k->prefixes[i];
        uint32_t at = i;
        while (at > 0 && is_before(moving, k->prefixes[at - 1])) {
            k->prefixes[at] = k->prefixes[at - 1];
            at--;
        }
        k->prefixes[at] = moving;
    }
}

static void add_prefix(struct tracker *k, struct slice prefix)
{
    k->prefixes = xrealloc(k->prefixes, (k->prefix_count + 1) * sizeof(*k->prefixes));
    k->prefixes[k->prefix_count++] =
        (struct slice){prefix.len > 0 ? xstrndup(prefix.ptr, prefix.len) : NULL, prefix.len};
}

/* False after replying. */
static bool parse_option(struct resp_client *c, const struct slice *argv, uint32_t argc,
                         uint32_t *at, struct tracker *k)
{
    bool more = *at + 1 < argc;
    int64_t id;
    if (slice_is_nocase(argv[*at], "redirect") && more) {
        if (k->redirect != 0) {
            resp_error(&c->conn.out, "ERR A client can only redirect to a single other client");
            return false;
        }
        if (!arg_integer(c, argv[++*at], &id)) {
            return false;
        }
        k->redirect = (uint64_t)id;
    } else if (slice_is_nocase(argv[*at], "bcast")) {
        k->bcast = true;
    } else if (slice_is_nocase(argv[*at], "optin")) {
        k->optin = true;
    } else if (slice_is_nocase(argv[*at], "optout")) {
        k->optout = true;
    } else if (slice_is_nocase(argv[*at], "noloop")) {
        k->noloop = true;
    } else if (slice_is_nocase(argv[*at], "prefix") && more) {
        add_prefix(k, argv[++*at]);
    } else {
        reply_syntax(c);
        return false;
    }
    return true;
}

static bool overlaps(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    return len == 0 || memcmp(a.ptr, b.ptr, len) == 0;
}

/* Of the prefixes given among themselves, and with those that the client has; false after replying. */
static bool prefixes_fit(struct resp_client *c, const struct tracker *k)
{
    const struct tracker *old = c->tracker;
    for (uint32_t i = 0; i < k->prefix_count; i++) {
        for (uint32_t j = 0; old != NULL && j < old->prefix_count; j++) {
            if (overlaps(k->prefixes[i], old->prefixes[j])) {
                resp_error(&c->conn.out,
                           "ERR Prefix '%.*s' overlaps with an existing prefix '%.*s'. Prefixes "
                           "for a single client must not overlap.",
                           (int)k->prefixes[i].len, k->prefixes[i].ptr, (int)old->prefixes[j].len,
                           old->prefixes[j].ptr);
                return false;
            }
        }
        for (uint32_t j = i + 1; j < k->prefix_count; j++) {
            if (overlaps(k->prefixes[i], k->prefixes[j])) {
                resp_error(&c->conn.out,
                           "ERR Prefix '%.*s' overlaps with another provided prefix '%.*s'. "
                           "Prefixes for a single client must not overlap.",
                           (int)k->prefixes[i].len, k->prefixes[i].ptr, (int)k->prefixes[j].len,
                           k->prefixes[j].ptr);
                return false;
            }
        }
    }
    return true;
}

static const char *why_not_together(const struct resp_client *c, const struct tracker *k)
{
    const struct tracker *old = c->tracker;
    if (!k->bcast && k->prefix_count > 0) {
        return "PREFIX option requires BCAST mode to be enabled";
    }
    if (old != NULL && old->bcast != k->bcast) {
        return "You can't switch BCAST mode on/off before disabling tracking for this client, and "
               "then re-enabling it with a different mode.";
    }
    if (k->bcast && (k->optin || k->optout)) {
        return "OPTIN and OPTOUT are not compatible with BCAST";
    }
    if (k->optin && k->optout) {
        return "You can't specify both OPTIN mode and OPTOUT mode";
    }
    if (old != NULL && ((k->optin && old->optout) || (k->optout && old->optin))) {
        return "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and "
               "then re-enabling it with a different mode.";
    }
    return NULL;
}

/* What the client had asked for before goes on: prefixes add up. */
static void keep_prefixes(const struct resp_client *c, struct tracker *k)
{
    for (uint32_t i = 0; c->tracker != NULL && i < c->tracker->prefix_count; i++) {
        add_prefix(k, c->tracker->prefixes[i]);
    }
}

static void track(struct resp_client *c, struct tracker *k)
{
    const char *why = why_not_together(c, k);
    if (why != NULL) {
        resp_error(&c->conn.out, "ERR %s", why);
        tracker_free(k);
        return;
    }
    if (k->bcast && !prefixes_fit(c, k)) {
        tracker_free(k);
        return;
    }
    keep_prefixes(c, k);
    sort_prefixes(k);
    if (k->redirect == 0) {
        tracking_begin(c, k);
        return;
    }
    c->tracker_wanted = k;
    struct client_filter filter = {.id_count = 1};
    filter.ids = xmalloc(sizeof(*filter.ids));
    filter.ids[0] = k->redirect;
    roll_call_start(c, ROLL_CALL_REDIRECT, &filter);
}

void cmd_client_tracking(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct tracker *k = xcalloc(1, sizeof(*k));
    list_init(&k->node);
    k->id = c->conn.id;
    k->resp3 = c->proto == 3;
    for (uint32_t i = 3; i < argc; i++) {
        if (!parse_option(c, argv, argc, &i, k)) {
            tracker_free(k);
            return;
        }
    }
    if (slice_is_nocase(argv[2], "on")) {
        track(c, k);
        return;
    }
    tracker_free(k);
    if (slice_is_nocase(argv[2], "off")) {
        tracking_end(c);
        reply_ok(c);
    } else {
        reply_syntax(c);
    }
}

void cmd_client_caching(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    if (c->tracker == NULL) {
        resp_error(&c->conn.out, "ERR CLIENT CACHING can be called only when the client is in "
                                 "tracking mode with OPTIN or OPTOUT mode enabled");
    } else if (slice_is_nocase(argv[2], "yes")) {
        if (!c->tracker->optin) {
            resp_error(&c->conn.out,
                       "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN "
                       "mode.");
            return;
        }
        c->caching = CLIENT_CACHING_YES;
        reply_ok(c);
    } else if (slice_is_nocase(argv[2], "no")) {
        if (!c->tracker->optout) {
            resp_error(&c->conn.out,
                       "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT "
                       "mode.");
            return;
        }
        c->caching = CLIENT_CACHING_NO;
        reply_ok(c);
    } else {
        reply_syntax(c);
    }
}

int64_t tracking_redirection(const struct resp_client *c)
{
    return c->tracker != NULL ? (int64_t)c->tracker->redirect : -1;
}

void cmd_client_getredir(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    reply_integer(c, tracking_redirection(c));
}

void tracking_flags(const struct resp_client *c, struct buf *out)
{
    if (c->tracker != NULL) {
        buf_append_str(out, "t");
        buf_append_str(out, tracking_is_broken(c) ? "R" : "");
        buf_append_str(out, c->tracker->bcast ? "B" : "");
    }
}

void cmd_client_trackinginfo(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    struct buf *out = &c->conn.out;
    const struct tracker *k = c->tracker;
    const char *flags[9];
    uint32_t count = 0;
    flags[count++] = k != NULL ? "on" : "off";
    if (k != NULL) {
        const struct {
            bool set;
            const char *name;
        } known[] = {
            {k->bcast, "bcast"},
            {k->optin, "optin"},
            {k->optin && c->caching == CLIENT_CACHING_YES, "caching-yes"},
            {k->optout, "optout"},
            {k->optout && c->caching == CLIENT_CACHING_NO, "caching-no"},
            {k->noloop, "noloop"},
            {tracking_is_broken(c), "broken_redirect"},
        };
        for (size_t i = 0; i < array_len(known); i++) {
            if (known[i].set) {
                flags[count++] = known[i].name;
            }
        }
    }
    resp_map(out, c->proto, 3);
    resp_bulk_str(out, "flags");
    resp_set(out, c->proto, count);
    for (uint32_t i = 0; i < count; i++) {
        resp_bulk_str(out, flags[i]);
    }
    resp_bulk_str(out, "redirect");
    resp_integer(out, tracking_redirection(c));
    resp_bulk_str(out, "prefixes");
    bool all = k != NULL && k->bcast && k->prefix_count == 0;
    resp_array(out, all ? 1 : k != NULL ? k->prefix_count : 0);
    if (all) {
        resp_bulk_str(out, "");
    }
    for (uint32_t i = 0; k != NULL && i < k->prefix_count; i++) {
        reply_bulk(c, k->prefixes[i]);
    }
}
