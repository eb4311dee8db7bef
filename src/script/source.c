/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A script's first line, and the table of the scripts that exist.
 *
 * The table is shared by all vms: EVAL and SCRIPT LOAD add to it, EVALSHA on another worker finds the source
 * here and compiles it there. A flush raises the generation; vms compare it before they look for a script.
 * Open hashing in buckets that double; a source is kept until a flush, as in Redis 7.2.
 *
 * Threads: any; one lock.
 */
#include "script/script.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/lock.h"

#include <stdatomic.h>
#include <stdlib.h>

/* --- the first line ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum script_flag flag;
} known_flags[] = {
    {"no-writes", SCRIPT_NO_WRITES},
    {"allow-oom", SCRIPT_ALLOW_OOM},
    {"allow-stale", SCRIPT_ALLOW_STALE},
    {"no-cluster", SCRIPT_NO_CLUSTER},
    {"allow-cross-slot-keys", SCRIPT_ALLOW_CROSS_SLOT},
};

/* Takes the bytes before the next `end` off the start; leading ones are skipped when `skip`. */
static struct slice take_until(struct slice *text, char end, bool skip)
{
    while (skip && text->len > 0 && text->ptr[0] == end) {
        *text = slice_from(*text, 1);
    }
    const char *at = text->len > 0 ? memchr(text->ptr, end, text->len) : NULL;
    size_t len = at != NULL ? (size_t)(at - text->ptr) : text->len;
    struct slice part = {text->ptr, len};
    *text = slice_from(*text, at != NULL ? len + 1 : len);
    return part;
}

static bool refuse(struct buf *error, const char *why, struct slice what)
{
    buf_append_str(error, why);
    buf_append_printable(error, what);
    return false;
}

static bool read_flags(struct slice list, uint32_t *flags, struct buf *error)
{
    while (list.len > 0) {
        struct slice name = take_until(&list, ',', false);
        uint32_t before = *flags;
        for (size_t i = 0; i < sizeof(known_flags) / sizeof(known_flags[0]); i++) {
            *flags |= slice_is(name, known_flags[i].name) ? known_flags[i].flag : 0U;
        }
        if (*flags == before) {
            return refuse(error, "ERR Unexpected flag in script shebang: ", name);
        }
    }
    return true;
}

bool script_source_read(struct slice source, uint32_t *ret_flags, struct slice *ret_body,
                        struct buf *error)
{
    if (source.len < 2 || memcmp(source.ptr, "#!", 2) != 0) {
        *ret_flags = SCRIPT_OLD_STYLE;
        *ret_body = source;
        return true;
    }
    const char *end = memchr(source.ptr, '\n', source.len);
    if (end == NULL) {
        return refuse(error, "ERR Invalid script shebang", SLICE(""));
    }
    struct slice line = {source.ptr, (size_t)(end - source.ptr)};
    struct slice engine = take_until(&line, ' ', false);
    if (!slice_is(engine, "#!lua")) {
        return refuse(error, "ERR Unexpected engine in script shebang: ", engine);
    }
    uint32_t flags = 0;
    for (struct slice part = take_until(&line, ' ', true); part.len > 0;
         part = take_until(&line, ' ', true)) {
        if (part.len < 6 || memcmp(part.ptr, "flags=", 6) != 0) {
            return refuse(error, "ERR Unknown lua shebang option: ", part);
        }
        uint32_t more = 0;
        if (!read_flags(slice_from(part, 6), &more, error)) {
            return false;
        }
        flags |= more;
    }
    *ret_flags = flags;
    /* The line end stays, so that errors name the lines as the author sees them. */
    *ret_body = slice_from(source, (size_t)(end - source.ptr));
    return true;
}

/* --- the table ---------------------------------------------------------------------------------- */

struct entry {
    struct entry *next;
    char sha[SCRIPT_SHA_SIZE];
    size_t len;
    char text[];
};

struct script_sources {
    struct lock lock;
    struct entry **buckets; /* lock, with the rest */
    uint32_t bucket_count;  /* power of two */
    uint32_t count;
    uint64_t bytes;
    _Atomic uint64_t generation; /* release: flush; acquire: a vm's look */
};

enum { BUCKETS_MIN = 64 };

struct script_sources *script_sources_create(void)
{
    struct script_sources *s = xcalloc(1, sizeof(*s));
    lock_init(&s->lock, LOCK_RANK_SCRIPT);
    s->bucket_count = BUCKETS_MIN;
    s->buckets = xcalloc(s->bucket_count, sizeof(struct entry *));
    return s;
}

static void free_all(struct script_sources *s)
{
    for (uint32_t i = 0; i < s->bucket_count; i++) {
        while (s->buckets[i] != NULL) {
            struct entry *e = s->buckets[i];
            s->buckets[i] = e->next;
            free(e);
        }
    }
    s->count = 0;
    s->bytes = 0;
}

void script_sources_destroy(struct script_sources **sp)
{
    struct script_sources *s = *sp;
    if (s == NULL) {
        return;
    }
    free_all(s);
    free(s->buckets);
    lock_fini(&s->lock);
    free(s);
    *sp = NULL;
}

static struct entry **bucket_of(struct script_sources *s, const char *sha)
{
    return &s->buckets[hash_bytes(sha, SCRIPT_SHA_LEN) & (s->bucket_count - 1)];
}

static const struct entry *find_locked(struct script_sources *s, const char *sha)
{
    const struct entry *e = *bucket_of(s, sha);
    while (e != NULL && memcmp(e->sha, sha, SCRIPT_SHA_LEN) != 0) {
        e = e->next;
    }
    return e;
}

static void link_locked(struct script_sources *s, struct entry *e)
{
    struct entry **bucket = bucket_of(s, e->sha);
    e->next = *bucket;
    *bucket = e;
}

static void grow_locked(struct script_sources *s)
{
    struct entry **old = s->buckets;
    uint32_t old_count = s->bucket_count;
    s->bucket_count *= 2;
    s->buckets = xcalloc(s->bucket_count, sizeof(struct entry *));
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct entry *e = old[i];
            old[i] = e->next;
            link_locked(s, e);
        }
    }
    free(old);
}

void script_sources_add(struct script_sources *s, const char *sha, struct slice source)
{
    lock_acquire(&s->lock);
    if (find_locked(s, sha) == NULL) {
        struct entry *e = xmalloc(sizeof(*e) + source.len + 1);
        memcpy(e->sha, sha, SCRIPT_SHA_SIZE);
        e->len = source.len;
        memcpy(e->text, source.len > 0 ? source.ptr : "", source.len);
        link_locked(s, e);
        s->count++;
        s->bytes += sizeof(*e) + source.len;
        if (s->count > s->bucket_count) {
            grow_locked(s);
        }
    }
    lock_release(&s->lock);
}

bool script_sources_has(struct script_sources *s, const char *sha)
{
    lock_acquire(&s->lock);
    bool has = find_locked(s, sha) != NULL;
    lock_release(&s->lock);
    return has;
}

bool script_sources_get(struct script_sources *s, const char *sha, struct buf *out)
{
    lock_acquire(&s->lock);
    const struct entry *e = find_locked(s, sha);
    if (e != NULL) {
        buf_append(out, e->text, e->len);
    }
    lock_release(&s->lock);
    return e != NULL;
}

void script_sources_flush(struct script_sources *s)
{
    lock_acquire(&s->lock);
    free_all(s);
    lock_release(&s->lock);
    atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
}

uint64_t script_sources_generation(const struct script_sources *s)
{
    return atomic_load_explicit(&s->generation, memory_order_acquire);
}

uint32_t script_sources_count(struct script_sources *s)
{
    lock_acquire(&s->lock);
    uint32_t count = s->count;
    lock_release(&s->lock);
    return count;
}

uint64_t script_sources_bytes(struct script_sources *s)
{
    lock_acquire(&s->lock);
    uint64_t bytes = s->bytes;
    lock_release(&s->lock);
    return bytes;
}
