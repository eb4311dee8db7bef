/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing and reading the bytes of an item; the layout is drawn in item.h.
 *
 * Nothing here allocates or knows where items live. Offsets follow from four facts of the header
 * (expires, dependencies, long key, lengths), so there is no offset table to keep right.
 */
#include "store/item.h"

#include "store/priv.h"

static size_t key_prefix(size_t key_len)
{
    return key_len >= ITEM_LONG_KEY ? sizeof(uint32_t) : 0;
}

size_t item_parts_size(const struct item_parts *p)
{
    size_t size = sizeof(struct store_item) + key_prefix(p->key.len) + p->key.len + p->value_len;
    if (p->expiry_ms != 0) {
        size += sizeof(uint64_t);
    }
    if (p->dep_count != 0) {
        size += sizeof(fresh_pos) + p->dep_count * sizeof(fresh_dep);
    }
    return size;
}

size_t item_size(const struct store_item *it)
{
    struct slice value = item_value(it);
    return (size_t)(value.ptr + value.len - (const char *)it);
}

static char *put_bytes(char *at, const void *src, size_t len)
{
    if (len > 0) {
        memcpy(at, src, len);
    }
    return at + len;
}

void item_write(struct store_item *it, const struct item_parts *p)
{
    bool is_long = p->key.len >= ITEM_LONG_KEY;
    it->value_len = p->value_len & ITEM_VALUE_MAX;
    it->kind = p->kind & 7U;
    it->is_edited = p->is_edited;
    it->key_len = (uint8_t)(is_long ? ITEM_LONG_KEY : p->key.len);
    it->dep_count = p->dep_count & 0x7fU;
    it->worth = p->worth;
    it->place = (uint8_t)(p->table | ITEM_LIVE | (p->expiry_ms != 0 ? ITEM_EXPIRES : 0));
    char *at = it->fields;
    if (p->expiry_ms != 0) {
        at = put_bytes(at, &p->expiry_ms, sizeof(p->expiry_ms));
    }
    if (p->dep_count != 0) {
        at = put_bytes(at, &p->stamp, sizeof(p->stamp));
        at = put_bytes(at, p->deps, p->dep_count * sizeof(fresh_dep));
    }
    if (is_long) {
        uint32_t len = (uint32_t)p->key.len;
        at = put_bytes(at, &len, sizeof(len));
    }
    at = put_bytes(at, p->key.ptr, p->key.len);
    at = put_bytes(at, p->value.ptr, p->value.len);
    memset(at, 0, p->value_len - p->value.len);
}

void item_read(const struct store_item *it, struct item_parts *ret_parts)
{
    *ret_parts = (struct item_parts){
        .key = item_key(it),
        .value = item_value(it),
        .pin = it,
        .value_len = it->value_len,
        .expiry_ms = item_expiry(it),
        .stamp = store_item_stamp(it),
        .worth = it->worth,
        .table = it->place & ITEM_TABLE,
        .kind = (uint8_t)it->kind,
        .is_edited = it->is_edited,
    };
    ret_parts->deps = store_item_deps(it, &ret_parts->dep_count);
}

/* Half-octaves of microseconds would not fit four bits; octave pairs reach 2^28 us, over 4 minutes.
 */
uint8_t item_worth_of_cost(uint32_t cost_us)
{
    uint32_t octaves = cost_us == 0 ? 0 : 32 - (uint32_t)__builtin_clz(cost_us);
    uint32_t cost = (octaves + 1) / 2;
    return (uint8_t)((cost > 15 ? 15 : cost) << ITEM_COST_SHIFT);
}

bool store_item_was_edited(const struct store_item *it)
{
    return it->is_edited;
}

enum store_kind store_item_kind(const struct store_item *it)
{
    return (enum store_kind)it->kind;
}

struct slice store_item_value(const struct store_item *it)
{
    return item_value(it);
}

struct slice store_item_key(const struct store_item *it)
{
    return item_key(it);
}

uint64_t store_item_expiry(const struct store_item *it)
{
    return item_expiry(it);
}

static const char *followed_fields(const struct store_item *it)
{
    return it->fields + ((it->place & ITEM_EXPIRES) != 0 ? sizeof(uint64_t) : 0);
}

fresh_pos store_item_stamp(const struct store_item *it)
{
    return it->dep_count == 0 ? 0 : *(const fresh_pos *)(const void *)followed_fields(it);
}

const fresh_dep *store_item_deps(const struct store_item *it, uint32_t *ret_count)
{
    *ret_count = it->dep_count;
    if (it->dep_count == 0) {
        return NULL;
    }
    return (const fresh_dep *)(const void *)(followed_fields(it) + sizeof(fresh_pos));
}

uint32_t store_item_hits(const struct store_item *it)
{
    return it->worth & ITEM_HITS;
}

/* Without the last few bytes of its size class, which only the slab knows. */
size_t store_item_bytes(const struct store_item *it)
{
    return (item_size(it) + 7) / 8 * 8 + coll_node_bytes(it);
}
