/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts of values: APPEND, SETRANGE, GETRANGE (SUBSTR).
 *
 * An existing entry is edited in place and keeps its expiry, stamp and dependencies.
 */
#include "serve/edit.h"
#include "serve/events.h"

#include "base/alloc.h"

#include <stdlib.h>

/* Replies and returns false when a value would become longer than the policy's limit. */
static bool length_fits(struct resp_client *c, uint64_t offset, uint64_t len)
{
    uint64_t max = c->worker->plan->policy->limits.bulk_max;
    if (offset > max || len > max - offset) {
        resp_error(&c->conn.out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return false;
    }
    return true;
}

/* `old` with `patch` at `at`, zero bytes between; the caller frees it. */
static char *assemble(struct slice old, size_t at, struct slice patch, size_t len)
{
    char *bytes = xcalloc(1, len);
    if (old.len > 0) {
        memcpy(bytes, old.ptr, old.len);
    }
    memcpy(bytes + at, patch.ptr, patch.len);
    return bytes;
}

static enum err create_patched(struct resp_client *c, struct store_hold *h,
                               const struct lease *lease, size_t at, struct slice patch)
{
    if (at == 0) {
        struct store_write plain = {.value = patch};
        return client_put(c, h, lease, &plain);
    }
    char *bytes = assemble((struct slice){NULL, 0}, at, patch, at + patch.len);
    struct store_write w = {.value = {bytes, at + patch.len}};
    enum err err = client_put(c, h, lease, &w);
    free(bytes);
    return err;
}

static enum err patch_item(struct store_hold *h, const struct store_item *item, size_t at,
                           struct slice patch, size_t len)
{
    struct store_write like = client_write_like(item, store_item_value(item));
    enum err err;
    if (like.dep_count ==
        0) { /* not followed: nothing can make it absent between lookup and edit */
        char *value;
        err = store_edit(h, len, &like, &value);
        if (err == ERR_OK) {
            memcpy(value + at, patch.ptr, patch.len);
            store_edited(h, at, patch.len);
        }
        return err;
    }
    char *bytes = assemble(like.value, at, patch, len);
    like.value = (struct slice){bytes, len};
    err = store_put(h, &like);
    free(bytes);
    return err;
}

/* Writes `patch` at `offset`, or at the end; replies the new length. */
static void patch_value(struct resp_client *c, struct slice key, const uint64_t *offset,
                        struct slice patch)
{
    LEASE_ROOM(room);
    const struct lease *lease = client_lease(c, key, &room);
    struct store_hold h;
    client_hold(c, key, &h);
    const struct store_item *item = client_item(c, &h);
    if (item != NULL && store_item_kind(item) != STORE_STRING) {
        store_drop(&h);
        reply_wrong_kind(c);
        return;
    }
    size_t old_len = item != NULL ? store_item_value(item).len : 0;
    size_t at = offset != NULL ? (size_t)*offset : old_len;
    size_t len = at + patch.len > old_len ? at + patch.len : old_len;
    enum err err = ERR_OK;
    if (!length_fits(c, at, patch.len)) {
        store_drop(&h);
        return;
    }
    if (item == NULL) {
        err = create_patched(c, &h, lease, at, patch);
    } else {
        err = patch_item(&h, item, at, patch, len);
    }
    store_drop(&h);
    if (err != ERR_OK) {
        reply_err(c, err);
    } else {
        client_event(c, EVENT_STRING, offset != NULL ? "setrange" : "append", key);
        reply_integer(c, (int64_t)len);
    }
}

void cmd_append(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    patch_value(c, argv[1], NULL, argv[2]);
}

void cmd_setrange(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t offset;
    if (!arg_integer(c, argv[2], &offset)) {
        return;
    }
    if (offset < 0) {
        resp_error(&c->conn.out, "ERR offset is out of range");
        return;
    }
    if (argv[3].len == 0) {
        cmd_strlen(c, argv, 2); /* nothing to write: neither grows nor creates */
        return;
    }
    uint64_t at = (uint64_t)offset;
    patch_value(c, argv[1], &at, argv[3]);
}

/* start and end may be negative (from the end); clamps them and returns the part. */
static struct slice cut(struct slice value, int64_t start, int64_t end)
{
    int64_t len = (int64_t)value.len;
    if (start < 0 && end < 0 && start > end) {
        return (struct slice){value.ptr, 0};
    }
    start = start < 0 ? start + len : start;
    end = end < 0 ? end + len : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= len ? len - 1 : end;
    if (start > end || len == 0) {
        return (struct slice){value.ptr, 0};
    }
    return (struct slice){value.ptr + start, (size_t)(end - start + 1)};
}

void cmd_getrange(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t start;
    int64_t end;
    if (!arg_integer(c, argv[2], &start) || !arg_integer(c, argv[3], &end)) {
        return;
    }
    struct store_hold h;
    struct store_item *item;
    switch (client_read_kind(c, argv[1], STORE_STRING, &h, &item)) {
    case CLIENT_FOUND:
        reply_bulk(c, cut(store_item_value(item), start, end));
        store_drop(&h);
        break;
    case CLIENT_ABSENT:
        reply_bulk(c, SLICE(""));
        break;
    case CLIENT_WRONG_KIND:
        break;
    }
}
