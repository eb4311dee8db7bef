/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the trace rings of all threads hold, as lines.
 *
 * A cursor is "S<start>-<place>.<number>-<place>.<number>...": when the process started, and for each place
 * of a thread the number of its first record not shown yet. A cursor of another process counts as none.
 * One answer shows at most EVENTS_MAX events, oldest first; what is left comes with the next one.
 *
 * Threads: a worker's; the rings are read while their owners write.
 */
#include "serve/trace_page.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "base/thread.h"
#include "http/http.h"

#include <inttypes.h>
#include <stdlib.h>

enum { EVENTS_MAX = 8192 };

struct wish {
    bool json;
    bool only_cursor;
    bool goes_on; /* `from` is where an earlier answer ended */
    uint64_t from[THREAD_MAX];
    uint64_t after_us; /* of the monotonic clock */
    struct buf event;
    struct buf thread;
    struct buf match;
};

struct event {
    struct trace_record record;
    uint32_t place;
};

/* --- the query ---------------------------------------------------------------------------------- */

static bool take_number(struct slice *rest, uint64_t *ret_number)
{
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9') {
        len++;
    }
    bool ok = number_parse_u64((struct slice){rest->ptr, len}, ret_number);
    *rest = slice_from(*rest, len);
    return ok;
}

static bool take_char(struct slice *rest, char c)
{
    if (rest->len == 0 || rest->ptr[0] != c) {
        return false;
    }
    *rest = slice_from(*rest, 1);
    return true;
}

static bool read_cursor(const struct server *s, struct slice text, struct wish *wish)
{
    uint64_t start;
    uint64_t place;
    uint64_t number;
    if (!take_char(&text, 'S') || !take_number(&text, &start)) {
        return false;
    }
    while (text.len > 0) {
        if (!take_char(&text, '-') || !take_number(&text, &place) || place >= THREAD_MAX ||
            !take_char(&text, '.') || !take_number(&text, &number)) {
            return false;
        }
        wish->from[place] = start == s->started_wall_ms ? number : 0;
    }
    wish->goes_on = start == s->started_wall_ms;
    return true;
}

static bool read_age(struct slice text, struct wish *wish)
{
    uint64_t ms;
    uint64_t now_us = clock_now_us();
    bool ok = number_parse_u64(text, &ms);
    wish->after_us = ok && ms < now_us / 1000 ? now_us - ms * 1000 : 0;
    return ok;
}

static bool read_one(const struct server *s, struct slice name, struct slice value,
                     struct wish *wish)
{
    if (slice_is(name, "since")) {
        wish->only_cursor = slice_is(value, "now");
        return wish->only_cursor || read_cursor(s, value, wish);
    }
    if (slice_is(name, "age")) {
        return read_age(value, wish);
    }
    if (slice_is(name, "format")) {
        wish->json = slice_is(value, "json");
        return wish->json || slice_is(value, "text");
    }
    struct buf *into = slice_is(name, "event")    ? &wish->event
                       : slice_is(name, "thread") ? &wish->thread
                       : slice_is(name, "match")  ? &wish->match
                                                  : NULL;
    return into != NULL && http_percent_decode(value, true, into);
}

static bool read_query(const struct server *s, struct slice query, struct wish *wish)
{
    struct slice name;
    struct slice value;
    bool ok = true;
    while (ok && http_query_next(&query, &name, &value)) {
        ok = read_one(s, name, value, wish);
    }
    return ok;
}

/* --- filters ------------------------------------------------------------------------------------ */

/* Is `name` one of "a,b,c"? */
static bool is_listed(struct slice list, const char *name)
{
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma != NULL ? (size_t)(comma - list.ptr) : list.len;
        if (slice_is((struct slice){list.ptr, len}, name)) {
            return true;
        }
        list = slice_from(list, comma != NULL ? len + 1 : len);
    }
    return false;
}

static bool is_wanted(const struct wish *wish, const struct thread *t, const struct trace_record *r)
{
    struct slice event = buf_readable(&wish->event);
    struct slice thread = buf_readable(&wish->thread);
    struct slice match = buf_readable(&wish->match);
    return r->at_us >= wish->after_us &&
           (event.len == 0 || is_listed(event, trace_kinds[r->event].name)) &&
           (thread.len == 0 || slice_is(thread, t->name)) &&
           (match.len == 0 || memmem(r->text, strlen(r->text), match.ptr, match.len) != NULL);
}

/* --- gathering ---------------------------------------------------------------------------------- */

struct harvest {
    struct event *events;
    uint32_t count;
    uint32_t cap;
    uint64_t lost;
    uint64_t next[THREAD_MAX]; /* where the next answer goes on */
};

static void keep(struct harvest *h, const struct trace_record *r, uint32_t place)
{
    if (h->count == h->cap) {
        h->cap = h->cap > 0 ? 2 * h->cap : 256;
        h->events = xrealloc(h->events, h->cap * sizeof(*h->events));
    }
    h->events[h->count].record = *r;
    h->events[h->count++].place = place;
}

static void gather_thread(const struct wish *wish, uint32_t place, const struct thread *t,
                          struct harvest *h)
{
    uint64_t next = trace_next(&t->ring);
    uint64_t oldest = next > TRACE_RECORDS ? next - TRACE_RECORDS : 0;
    uint64_t from =
        wish->from[place] > oldest && wish->from[place] <= next ? wish->from[place] : oldest;
    h->lost += wish->goes_on && wish->from[place] < from ? from - wish->from[place] : 0;
    h->next[place] = next;
    for (uint64_t n = from; n < next && !wish->only_cursor; n++) {
        struct trace_record r;
        if (!trace_get(&t->ring, n, &r)) {
            h->lost++;
        } else if (is_wanted(wish, t, &r)) {
            keep(h, &r, place);
        }
    }
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = a;
    const struct event *y = b;
    if (x->record.at_us != y->record.at_us) {
        return x->record.at_us < y->record.at_us ? -1 : 1;
    }
    if (x->place != y->place) {
        return x->place < y->place ? -1 : 1;
    }
    return x->record.number < y->record.number ? -1 : 1;
}

/* What is too much for one answer is left for the next. */
static void leave_rest(struct harvest *h)
{
    while (h->count > EVENTS_MAX) {
        const struct event *e = &h->events[--h->count];
        if (e->record.number < h->next[e->place]) {
            h->next[e->place] = e->record.number;
        }
    }
}

/* --- lines -------------------------------------------------------------------------------------- */

/* In microseconds: "2026-11-23T10:15:30.123456", without the date when it would only be noise. */
static void put_time(struct buf *out, uint64_t at_us, bool with_date)
{
    enum { DATE = sizeof("2026-11-23T") - 1 };
    char text[CLOCK_TEXT];
    clock_format(clock_wall_from_mono(at_us / 1000), text);
    buf_append(out, text + (with_date ? 0 : DATE), CLOCK_TEXT - 2 - (with_date ? 0 : DATE));
    buf_printf(out, "%03u", (unsigned)(at_us % 1000));
}

static void put_number(struct buf *out, const char *label, uint64_t value, bool json)
{
    const char *word = trace_word_label(label);
    char text[9];
    if (label[0] == '\0') {
        return;
    }
    buf_printf(out, json ? ",\"%s\":" : " %s=", word != NULL ? word : label);
    if (word == NULL) {
        buf_append_u64(out, value);
        return;
    }
    trace_word_text(value, text);
    if (json) {
        json_put_string(out, slice_of(text));
    } else {
        buf_append_str(out, text);
    }
}

static void put_json(struct buf *out, const char *thread, const struct trace_record *r)
{
    const struct trace_kind *k = &trace_kinds[r->event];
    buf_append_str(out, "{\"time\":\"");
    put_time(out, r->at_us, true);
    buf_printf(out, "Z\",\"thread\":\"%s\",\"event\":\"%s\"", thread, k->name);
    put_number(out, k->a, r->a, true);
    put_number(out, k->b, r->b, true);
    if (k->text[0] != '\0') {
        buf_append_str(out, ",\"text\":");
        json_put_string(out, slice_of(r->text));
    }
    buf_append_str(out, "}\n");
}

/* As it is, or as a JSON string when it holds what a terminal should not get. */
static void put_shown(struct buf *out, const char *text)
{
    const char *c = text;
    while (*c >= ' ' && *c < 0x7f) {
        c++;
    }
    if (*c == '\0') {
        buf_append_str(out, text);
    } else {
        json_put_string(out, slice_of(text));
    }
}

static void put_text(struct buf *out, const char *thread, const struct trace_record *r)
{
    const struct trace_kind *k = &trace_kinds[r->event];
    put_time(out, r->at_us, false);
    buf_printf(out, " %-9s %-12s", thread, k->name);
    put_number(out, k->a, r->a, false);
    put_number(out, k->b, r->b, false);
    if (r->text[0] != '\0') {
        buf_append_char(out, ' ');
        put_shown(out, r->text);
    }
    buf_append_char(out, '\n');
}

static void put_cursor(const struct server *s, const struct harvest *h, bool json, struct buf *out)
{
    buf_printf(out, json ? "{\"cursor\":\"S%" PRIu64 : "# cursor S%" PRIu64, s->started_wall_ms);
    for (uint32_t i = 0; i < THREAD_MAX; i++) {
        if (h->next[i] > 0) {
            buf_printf(out, "-%u.%" PRIu64, i, h->next[i]);
        }
    }
    buf_printf(out, json ? "\",\"lost\":%" PRIu64 "}\n" : " lost %" PRIu64 "\n", h->lost);
}

static void put_all(const struct server *s, const struct wish *wish, struct buf *out)
{
    struct harvest h = {0};
    for (uint32_t i = 0; i < THREAD_MAX; i++) {
        struct thread *t = thread_at(i);
        if (t != NULL) {
            gather_thread(wish, i, t, &h);
        }
    }
    if (h.count > 0) {
        qsort(h.events, h.count, sizeof(*h.events), by_time);
    }
    leave_rest(&h);
    for (uint32_t i = 0; i < h.count; i++) {
        const struct thread *t = thread_at(h.events[i].place);
        const char *name = t != NULL ? t->name : "";
        (wish->json ? put_json : put_text)(out, name, &h.events[i].record);
    }
    put_cursor(s, &h, wish->json, out);
    free(h.events);
}

bool trace_page(struct worker *w, struct slice query, struct buf *out)
{
    struct wish wish = {0};
    bool ok = read_query(w->server, query, &wish);
    if (ok) {
        put_all(w->server, &wish, out);
    }
    buf_fini(&wish.event);
    buf_fini(&wish.thread);
    buf_fini(&wish.match);
    return ok;
}
