/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digests of values: two are equal when the values are, whatever order their elements are kept in.
 *
 * They are the ones that Redis gives (DEBUG DIGEST, DIGEST-VALUE), so that a data set can be compared across
 * servers: what has an order is mixed in (the digest becomes the SHA1 of itself XOR the SHA1 of the text),
 * what has none is joined by XOR alone.
 *
 * Threads: the connection's worker.
 */
#include "serve/cmd/debug_digest.h"

#include "script/script.h"
#include "serve/edit.h"

#include <stdio.h>

static uint8_t hex_value(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static struct digest sha1_of(struct slice text)
{
    char hex[SCRIPT_SHA_SIZE];
    struct digest d;
    script_sha1(text, hex);
    for (size_t i = 0; i < DIGEST_LEN; i++) {
        d.bytes[i] = (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
    }
    return d;
}

static struct slice digest_text(const struct digest *d)
{
    return (struct slice){(const char *)d->bytes, DIGEST_LEN};
}

/* In any order. */
static void join(struct digest *d, struct slice text)
{
    struct digest other = sha1_of(text);
    for (size_t i = 0; i < DIGEST_LEN; i++) {
        d->bytes[i] ^= other.bytes[i];
    }
}

/* In this order. */
static void mix(struct digest *d, struct slice text)
{
    join(d, text);
    *d = sha1_of(digest_text(d));
}

static void mix_number(struct digest *d, uint32_t number)
{
    uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                        (uint8_t)number};
    mix(d, (struct slice){(const char *)bytes, sizeof(bytes)});
}

void digest_hex(const struct digest *d, char ret_hex[DIGEST_HEX])
{
    for (size_t i = 0; i < DIGEST_LEN; i++) {
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", d->bytes[i]);
    }
}

/* --- values ------------------------------------------------------------------------------------- */

/* Redis' numbers of the types. */
static uint32_t kind_number(enum store_kind kind)
{
    static const uint8_t numbers[] = {[STORE_STRING] = 0, [STORE_LIST] = 1, [STORE_SET] = 2,
                                      [STORE_ZSET] = 3,   [STORE_HASH] = 4, [STORE_STREAM] = 6};
    return numbers[kind];
}

static void mix_entry(struct digest *d, const struct coll_element *e)
{
    char id[48];
    struct slice fields = e->name;
    struct slice text;
    int len = snprintf(id, sizeof(id), "%llu.%llu", (unsigned long long)e->id.ms,
                       (unsigned long long)e->id.seq);
    mix(d, (struct slice){id, (size_t)len});
    while (coll_field_next(&fields, &text)) {
        mix(d, text);
    }
}

/* A field and its value, a member and its score: a digest of their own, joined. */
static void join_pair(struct digest *d, struct slice name, struct slice value)
{
    struct digest pair = {{0}};
    mix(&pair, name);
    mix(&pair, value);
    join(d, digest_text(&pair));
}

static void add_element(struct digest *d, enum store_kind kind, const struct coll_element *e)
{
    char score[40];
    switch (kind) {
    case STORE_LIST:
        mix(d, e->name);
        break;
    case STORE_SET:
        join(d, e->name);
        break;
    case STORE_HASH:
        join_pair(d, e->name, e->value);
        break;
    case STORE_ZSET:
        (void)snprintf(score, sizeof(score), "%.17g", e->score);
        join_pair(d, e->name, slice_of(score));
        break;
    default:
        mix_entry(d, e);
    }
}

static void add_item(struct digest *d, const struct store_hold *h, const struct store_item *item)
{
    enum store_kind kind = store_item_kind(item);
    mix_number(d, kind_number(kind));
    if (kind == STORE_STRING) {
        mix(d, store_item_value(item));
    } else {
        struct coll_walk walk;
        struct coll_element e;
        coll_walk_begin(h, item, 0, false, &walk);
        while (coll_walk_next(&walk, &e)) {
            add_element(d, kind, &e);
        }
    }
    if (store_item_expiry(item) != 0) {
        join(d, SLICE("!!expire!!"));
    }
}

/* Zeros become the value's digest, or stay when the key is absent. */
static bool add_value(struct resp_client *c, struct slice key, struct digest *d)
{
    struct store_hold h;
    struct store_item *item;
    bool found = client_peek(c, key, &h, &item);
    if (found) {
        add_item(d, &h, item);
        store_drop(&h);
    }
    return found;
}

struct digest digest_of_value(struct resp_client *c, struct slice key)
{
    struct digest d = {{0}};
    (void)add_value(c, key, &d);
    return d;
}

void digest_add_key(struct resp_client *c, struct slice key, struct digest *all)
{
    struct digest d = {{0}};
    mix(&d, key);
    if (add_value(c, key, &d)) {
        join(all, digest_text(&d));
    }
}

void digest_add_db(uint32_t db, struct digest *all)
{
    mix_number(all, db);
}
