/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SORT and SORT_RO: the elements of a list, set or sorted set in an order of their own.
 *
 *      elements ─> weights (BY: the value of another key, or a field of a hash) ─> sort ─> LIMIT
 *               ─> GET (values of other keys, for each element) ─> reply, or a list (STORE)
 *
 * A pattern names a key by putting the element in place of its `*`; "->" behind that names a field of a hash;
 * "#" is the element itself. A BY pattern without `*` means: leave the order alone.
 *
 * Everything is copied out first: looking up other keys may remove what has expired, which moves memory.
 *
 * Threads: the connection's worker, with the store owned: many keys at one moment.
 */
#include "serve/edit.h"

#include "base/alloc.h"
#include "base/real.h"

#include <stdlib.h>

struct sort_options {
    struct slice by; /* ptr NULL: none */
    struct slice store;
    struct slice *gets;
    uint32_t get_count;
    bool keeps_order;
    bool descending;
    bool by_bytes; /* ALPHA */
    int64_t first;
    int64_t limit; /* negative: all */
};

/* Texts lie in one buffer, which moves while it grows: offsets. */
struct text {
    size_t at;
    size_t len;
    bool present;
};

struct element {
    struct text name;
    struct text weight; /* ALPHA with BY */
    double score;
};

struct sort {
    struct resp_client *client;
    struct sort_options o;
    enum store_kind kind;
    struct buf texts;
    struct buf key; /* of the pattern being looked up */
    struct element *elements;
    uint64_t count;
    fresh_pos stamp; /* the oldest of what was read, 0: nothing of it follows the database */
    bool not_numbers;
    bool failed; /* there was no memory */
};

/* --- options ------------------------------------------------------------------------------------ */

static bool take_limit(struct resp_client *c, const struct slice *argv, struct sort_options *o)
{
    return arg_integer(c, argv[0], &o->first) && arg_integer(c, argv[1], &o->limit);
}

/* The word at argv[*i], with its arguments. False after replying. */
static bool take_option(struct resp_client *c, const struct slice *argv, uint32_t argc, uint32_t *i,
                        bool may_store, struct sort_options *o)
{
    struct slice word = argv[*i];
    uint32_t left = argc - 1 - *i;
    if (slice_is_nocase(word, "asc") || slice_is_nocase(word, "desc")) {
        o->descending = slice_is_nocase(word, "desc");
    } else if (slice_is_nocase(word, "alpha")) {
        o->by_bytes = true;
    } else if (slice_is_nocase(word, "limit") && left >= 2) {
        *i += 2;
        return take_limit(c, argv + *i - 1, o);
    } else if (slice_is_nocase(word, "store") && left >= 1 && may_store) {
        o->store = argv[++*i];
    } else if (slice_is_nocase(word, "by") && left >= 1) {
        o->by = argv[++*i];
        o->keeps_order |= o->by.len == 0 || memchr(o->by.ptr, '*', o->by.len) == NULL;
    } else if (slice_is_nocase(word, "get") && left >= 1) {
        o->gets[o->get_count++] = argv[++*i];
    } else {
        reply_syntax(c);
        return false;
    }
    return true;
}

static bool parse(struct resp_client *c, const struct slice *argv, uint32_t argc, bool may_store,
                  struct sort_options *o)
{
    for (uint32_t i = 2; i < argc; i++) {
        if (!take_option(c, argv, argc, &i, may_store, o)) {
            return false;
        }
    }
    return true;
}

/* --- other keys --------------------------------------------------------------------------------- */

static struct text keep_text(struct sort *s, struct slice value)
{
    struct text t = {.at = buf_len(&s->texts), .len = value.len, .present = true};
    s->failed = s->failed || !buf_try_append_slice(&s->texts, value);
    if (s->failed) {
        t.present = false;
    }
    return t;
}

static struct slice text_of(const struct sort *s, struct text t)
{
    return (struct slice){buf_readable(&s->texts).ptr + t.at, t.len};
}

/* Splits a pattern at its `*` and "->". False: it has no `*`. */
static bool split(struct slice pattern, struct slice *ret_before, struct slice *ret_after,
                  struct slice *ret_field)
{
    const char *star = pattern.len > 0 ? memchr(pattern.ptr, '*', pattern.len) : NULL;
    if (star == NULL) {
        return false;
    }
    size_t at = (size_t)(star - pattern.ptr);
    *ret_before = (struct slice){pattern.ptr, at};
    *ret_after = slice_from(pattern, at + 1);
    *ret_field = (struct slice){NULL, 0};
    const char *arrow = ret_after->len > 2 ? memmem(ret_after->ptr, ret_after->len, "->", 2) : NULL;
    if (arrow != NULL && arrow + 2 < ret_after->ptr + ret_after->len) {
        size_t len = (size_t)(arrow - ret_after->ptr);
        *ret_field = slice_from(*ret_after, len + 2);
        ret_after->len = len;
    }
    return true;
}

static void note_stamp(struct sort *s, const struct store_item *it)
{
    fresh_pos stamp = store_item_stamp(it);
    if (stamp != 0 && (s->stamp == 0 || stamp < s->stamp)) {
        s->stamp = stamp;
    }
}

/* What a key found by a pattern gives: a string's value, or the field. */
static struct text text_in(struct sort *s, const struct store_hold *h, const struct store_item *it,
                           struct slice field)
{
    struct coll_element e;
    enum store_kind kind = store_item_kind(it);
    if (field.ptr == NULL && kind == STORE_STRING) {
        return keep_text(s, store_item_value(it));
    }
    if (field.ptr != NULL && kind == STORE_HASH && coll_find(h, it, field, &e)) {
        return keep_text(s, e.value);
    }
    return (struct text){.present = false};
}

static struct text look_up(struct sort *s, struct slice pattern, struct text name)
{
    if (slice_is(pattern, "#")) {
        return name;
    }
    struct slice before;
    struct slice after;
    struct slice field;
    if (!split(pattern, &before, &after, &field)) {
        return (struct text){.present = false};
    }
    buf_clear(&s->key);
    buf_append_slice(&s->key, before);
    buf_append_slice(&s->key, text_of(s, name));
    buf_append_slice(&s->key, after);
    struct store_hold h;
    struct store_item *it;
    if (!client_read(s->client, buf_readable(&s->key), &h, &it)) {
        return (struct text){.present = false};
    }
    struct text found = text_in(s, &h, it, field);
    note_stamp(s, it);
    store_drop(&h);
    return found;
}

/* --- elements ----------------------------------------------------------------------------------- */

/* LIMIT as [*ret_from, *ret_to) of `total`. */
static void limits(const struct sort_options *o, uint64_t total, uint64_t *ret_from,
                   uint64_t *ret_to)
{
    uint64_t from = o->first < 0 ? 0 : (uint64_t)o->first;
    uint64_t left = from < total ? total - from : 0;
    uint64_t some = o->limit < 0 || (uint64_t)o->limit > left ? left : (uint64_t)o->limit;
    *ret_from = left > 0 ? from : total;
    *ret_to = *ret_from + some;
}

/* What keeps its order is cut while it is read, so that LIMIT costs what it gives. */
static void gather(struct sort *s, const struct store_hold *h, const struct store_item *it)
{
    struct coll_walk walk;
    struct coll_element e;
    uint64_t total = coll_count(it);
    uint64_t from = 0;
    uint64_t to = total;
    if (s->o.keeps_order) {
        limits(&s->o, total, &from, &to);
        s->o.first = 0;
        s->o.limit = -1;
    }
    bool backward = s->o.keeps_order && s->o.descending && s->kind != STORE_SET;
    if (from == to) {
        return;
    }
    s->elements = alloc_try((to - from) * sizeof(*s->elements));
    s->failed = s->elements == NULL;
    coll_walk_begin(h, it, backward ? total - 1 - from : from, backward, &walk);
    while (!s->failed && s->count < to - from && coll_walk_next(&walk, &e)) {
        s->elements[s->count++] = (struct element){.name = keep_text(s, e.name)};
    }
}

static bool as_score(struct slice text, double *ret_score)
{
    size_t skip = 0;
    while (skip < text.len &&
           (text.ptr[skip] == ' ' || (text.ptr[skip] >= '\t' && text.ptr[skip] <= '\r'))) {
        skip++;
    }
    return real_parse(slice_from(text, skip), ret_score);
}

static void weigh(struct sort *s)
{
    for (uint64_t i = 0; i < s->count && !s->failed; i++) {
        struct element *e = &s->elements[i];
        struct text weight = e->name;
        if (s->o.by.ptr != NULL) {
            weight = look_up(s, s->o.by, e->name);
        }
        if (s->o.by_bytes) {
            e->weight = weight;
        } else if (weight.present && weight.len > 0) {
            s->not_numbers |= !as_score(text_of(s, weight), &e->score);
        }
    }
}

static int compare_bytes(struct slice a, struct slice b)
{
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_weights(const struct sort *s, const struct element *a, const struct element *b)
{
    if (!s->o.by_bytes) {
        return (a->score > b->score) - (a->score < b->score);
    }
    if (!a->weight.present || !b->weight.present) {
        return (int)a->weight.present - (int)b->weight.present;
    }
    return compare_bytes(text_of(s, a->weight), text_of(s, b->weight));
}

/* Equal numbers: by the elements' bytes. Equal texts of other keys: as they came. */
static int compare(const void *a, const void *b, void *arg)
{
    const struct sort *s = arg;
    const struct element *x = a;
    const struct element *y = b;
    int order = compare_weights(s, x, y);
    if (order == 0 && s->o.by_bytes) {
        return (x->name.at > y->name.at) - (x->name.at < y->name.at);
    }
    if (order == 0) {
        order = compare_bytes(text_of(s, x->name), text_of(s, y->name));
    }
    return s->o.descending ? -order : order;
}

/* --- results ------------------------------------------------------------------------------------ */

static void reply_text(struct sort *s, struct text t)
{
    if (t.present) {
        reply_bulk(s->client, text_of(s, t));
    } else if (client_room(s->client, REPLY_FRAME)) {
        reply_null(s->client);
    }
}

static void reply_elements(struct sort *s, uint64_t from, uint64_t to)
{
    struct resp_client *c = s->client;
    uint64_t columns = s->o.get_count > 0 ? s->o.get_count : 1;
    resp_array(&c->conn.out, (to - from) * columns);
    for (uint64_t i = from; i < to && !c->reply_failed && !s->failed; i++) {
        size_t keep = buf_len(&s->texts); /* values of other keys are needed for one reply only */
        if (s->o.get_count == 0) {
            reply_text(s, s->elements[i].name);
        }
        for (uint32_t g = 0; g < s->o.get_count; g++) {
            reply_text(s, look_up(s, s->o.gets[g], s->elements[i].name));
        }
        buf_truncate(&s->texts, keep);
    }
}

static enum err put_list(struct sort *s, const struct slice *values, uint32_t count)
{
    struct client_remake r __attribute__((uninitialized));
    client_remake_begin_from(s->client, s->o.store, s->stamp, &r);
    enum err err = coll_push(&r.draft.hold, COLL_TAIL, values, count, &CLIENT_REMAKE_META);
    err = client_remake_end(s->client, &r, err);
    if (err == ERR_OK) {
        client_event(s->client, EVENT_LIST, "sortstore", s->o.store);
    }
    return err;
}

static void remove_old(struct sort *s)
{
    struct store_hold h;
    client_hold(s->client, s->o.store, &h);
    if (store_remove(&h)) {
        client_event(s->client, EVENT_GENERIC, "del", s->o.store);
    }
    store_drop(&h);
}

/* The values of [from, to), each GET's: `found` has room for them, as `ret_values` has. */
static void look_up_all(struct sort *s, uint64_t from, uint64_t count, struct text *found,
                        struct slice *ret_values)
{
    uint64_t columns = s->o.get_count > 0 ? s->o.get_count : 1;
    for (uint64_t i = 0; i < count && !s->failed; i++) {
        struct text name = s->elements[from + i / columns].name;
        found[i] = s->o.get_count > 0 ? look_up(s, s->o.gets[i % columns], name) : name;
    }
    for (uint64_t i = 0; i < count && !s->failed; i++) {
        ret_values[i] = found[i].present ? text_of(s, found[i]) : SLICE("");
    }
}

/* All values first, then the list in one push. */
static enum err store_elements(struct sort *s, uint64_t from, uint64_t to, uint64_t *ret_count)
{
    uint64_t columns = s->o.get_count > 0 ? s->o.get_count : 1;
    uint64_t count = (to - from) * columns;
    if (count > UINT32_MAX) {
        return ERR_TOO_BIG;
    }
    struct text *found = alloc_try(count * sizeof(*found));
    struct slice *values = alloc_try(count * sizeof(*values));
    enum err err = ERR_OK;
    s->failed = found == NULL || values == NULL;
    if (!s->failed) {
        look_up_all(s, from, count, found, values);
    }
    if (count == 0) {
        remove_old(s);
    } else if (!s->failed) {
        err = put_list(s, values, (uint32_t)count);
    }
    free(found);
    free(values);
    *ret_count = count;
    return err;
}

/* --- commands ----------------------------------------------------------------------------------- */

/* False after replying: no kind that can be sorted. An absent key has no elements. */
static bool read_elements(struct sort *s, struct slice key)
{
    struct store_hold h;
    struct store_item *it;
    if (!client_read(s->client, key, &h, &it)) {
        return true;
    }
    s->kind = store_item_kind(it);
    bool sortable = s->kind == STORE_LIST || s->kind == STORE_SET || s->kind == STORE_ZSET;
    if (sortable) {
        if (s->kind == STORE_SET && s->o.keeps_order &&
            (s->o.store.ptr != NULL || s->client->detached)) {
            s->o.keeps_order = false; /* a set has no order that could be kept */
            s->o.by_bytes = true;
            s->o.by = (struct slice){NULL, 0};
        }
        gather(s, &h, it);
        note_stamp(s, it);
    }
    store_drop(&h);
    if (!sortable) {
        reply_wrong_kind(s->client);
    }
    return sortable;
}

static void run(struct sort *s, struct slice key)
{
    struct resp_client *c = s->client;
    uint64_t from;
    uint64_t to;
    uint64_t stored = 0;
    if (!read_elements(s, key)) {
        return;
    }
    if (!s->o.keeps_order) {
        weigh(s);
    }
    if (s->failed) {
        reply_no_memory(c);
        return;
    }
    if (s->not_numbers) {
        resp_error(&c->conn.out, "ERR One or more scores can't be converted into double");
        return;
    }
    if (!s->o.keeps_order && s->count > 1) {
        qsort_r(s->elements, s->count, sizeof(*s->elements), compare, s);
    }
    limits(&s->o, s->count, &from, &to);
    size_t before = buf_len(&c->conn.out);
    if (s->o.store.ptr == NULL) {
        reply_elements(s, from, to);
        if (s->failed) {
            buf_truncate(&c->conn.out, before);
            reply_no_memory(c);
        }
        return;
    }
    enum err err = store_elements(s, from, to, &stored);
    if (s->failed) {
        reply_no_memory(c);
    } else if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        reply_integer(c, (int64_t)stored);
    }
}

static void sort(struct resp_client *c, const struct slice *argv, uint32_t argc, bool may_store)
{
    struct sort s = {.client = c, .o = {.limit = -1}};
    buf_init(&s.texts);
    buf_init(&s.key);
    s.o.gets = xcalloc(argc, sizeof(*s.o.gets));
    if (parse(c, argv, argc, may_store, &s.o)) {
        client_own(c);
        run(&s, argv[1]);
        client_disown(c);
    }
    free(s.o.gets);
    free(s.elements);
    buf_fini(&s.texts);
    buf_fini(&s.key);
}

void cmd_sort(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    sort(c, argv, argc, true);
}

void cmd_sort_ro(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    sort(c, argv, argc, false);
}
