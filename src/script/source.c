/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A script's first line, and the table of the scripts that exist.
 *
 * The table is shared by all vms: EVAL and SCRIPT LOAD add to it, EVALSHA on another worker finds the source
 * here and compiles it there. A flush raises the generation; vms compare it before they look for a script.
 * A source is kept until a flush, as in Redis 7.2.
 *
 * Threads: any; one lock.
 */
#include "script/script.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/map.h"

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
    struct map_node node;
    char sha[SCRIPT_SHA_SIZE];
    size_t len;
    char text[];
};

struct script_sources {
    struct lock lock;
    struct map entries;          /* lock */
    uint64_t bytes;              /* lock */
    _Atomic uint64_t generation; /* release: flush; acquire: a vm's look */
};

struct script_sources *script_sources_create(void)
{
    struct script_sources *s = xcalloc(1, sizeof(*s));
    lock_init(&s->lock, LOCK_RANK_SCRIPT);
    map_init(&s->entries);
    return s;
}

static void free_all(struct script_sources *s)
{
    struct map_node *node = map_walk(&s->entries, NULL);
    while (node != NULL) {
        struct map_node *next = map_walk(&s->entries, node);
        free(container_of(node, struct entry, node));
        node = next;
    }
    map_clear(&s->entries);
    s->bytes = 0;
}

void script_sources_destroy(struct script_sources **sp)
{
    struct script_sources *s = *sp;
    if (s == NULL) {
        return;
    }
    free_all(s);
    map_fini(&s->entries);
    lock_fini(&s->lock);
    free(s);
    *sp = NULL;
}

static uint64_t hash_of(const char *sha)
{
    return hash_bytes(sha, SCRIPT_SHA_LEN);
}

static const struct entry *find_locked(const struct script_sources *s, const char *sha)
{
    for (struct map_node *n = map_find(&s->entries, hash_of(sha)); n != NULL;
         n = map_find_next(n)) {
        const struct entry *e = container_of(n, struct entry, node);
        if (memcmp(e->sha, sha, SCRIPT_SHA_LEN) == 0) {
            return e;
        }
    }
    return NULL;
}

bool script_sources_add(struct script_sources *s, const char *sha, struct slice source)
{
    lock_acquire(&s->lock);
    bool is_new = find_locked(s, sha) == NULL;
    struct entry *e = is_new ? alloc_try(sizeof(*e) + source.len + 1) : NULL;
    if (e != NULL) {
        memcpy(e->sha, sha, SCRIPT_SHA_SIZE);
        e->len = source.len;
        memcpy(e->text, source.len > 0 ? source.ptr : "", source.len);
        map_add(&s->entries, &e->node, hash_of(sha));
        s->bytes += sizeof(*e) + source.len;
    }
    lock_release(&s->lock);
    return !is_new || e != NULL;
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
    uint32_t count = s->entries.count;
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
