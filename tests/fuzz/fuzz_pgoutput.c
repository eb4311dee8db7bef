/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target for the replication stream: frames, messages, and what rows mean for the marks. The
 * input is a run of messages, each behind its length in two bytes; each is decoded from memory of its own
 * size, and fed on to depend with a catalog of one table. Accepted messages must keep their promises:
 * counts within bounds, slices within the message.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "follow/catalog.h"
#include "follow/depend.h"
#include "policy/load.h"

#include <stdlib.h>

static const struct follow_column columns[] = {
    {.name = "id",
     .attnum = 1,
     .type_oid = 23,
     .kind = FOLLOW_KIND_INTEGER,
     .identity = true,
     .collation_deterministic = true,
     .streamed = true},
    {.name = "v",
     .attnum = 2,
     .type_oid = 25,
     .kind = FOLLOW_KIND_TEXT,
     .collation_deterministic = true,
     .streamed = true},
};
static const uint16_t key[] = {0};
static const struct follow_table tables[] = {
    {.oid = 20000,
     .schema = "public",
     .name = "thing",
     .relkind = 'r',
     .persistence = 'p',
     .identity = 'd',
     .published = true,
     .columns = columns,
     .column_count = 2,
     .key = key,
     .key_count = 1},
};
static const struct follow_value_column values[] = {{20000, 2}};

static void within(struct slice part, struct slice whole)
{
    check(part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

static void tuple_within(const struct decode_tuple *t, struct slice whole)
{
    check(t->count <= DECODE_COLUMNS_MAX);
    for (uint32_t i = 0; i < t->count; i++) {
        within(t->values[i].text, whole);
    }
}

static void feed(struct depend *d, const struct decode_event *e, struct slice whole)
{
    switch (e->kind) {
    case DECODE_BEGIN:
        depend_begin(d);
        break;
    case DECODE_RELATION:
        check(e->relation.column_count <= DECODE_COLUMNS_MAX);
        depend_relation(d, &e->relation);
        break;
    case DECODE_INSERT:
    case DECODE_UPDATE:
    case DECODE_DELETE:
        tuple_within(&e->row.old_row, whole);
        tuple_within(&e->row.new_row, whole);
        (void)depend_row(d, e->kind, &e->row);
        break;
    case DECODE_TRUNCATE:
        (void)depend_truncate(d, &e->truncate);
        break;
    case DECODE_STREAM_START:
        depend_block_begin(d, e->stream.xid);
        break;
    case DECODE_STREAM_STOP:
        depend_block_end(d);
        break;
    case DECODE_STREAM_COMMIT:
        (void)depend_choose(d, e->commit.xid);
        depend_forget(d, e->commit.xid);
        break;
    case DECODE_STREAM_ABORT:
        depend_forget(d, e->stream.xid);
        break;
    case DECODE_MESSAGE:
        within(e->message.prefix, whole);
        within(e->message.content, whole);
        depend_ddl(d, e->message.content);
        break;
    case DECODE_COMMIT:
    case DECODE_TYPE:
    case DECODE_ORIGIN:
        break;
    }
}

static struct depend *start(struct fresh **ret_fresh)
{
    *ret_fresh = fresh_create(&(struct fresh_options){.slots = 1024, .max_stale_ms = 500});
    static const struct policy *policy;
    if (policy == NULL) {
        struct buf complaints;
        buf_init(&complaints);
        policy = policy_load_text(
            "plain.yaml", SLICE("listen: { resp: ':6379' }\nauth: { password: x }\n"), &complaints);
        check(policy != NULL);
        buf_fini(&complaints);
    }
    struct catalog *c = catalog_create(policy);
    c->pub.tables = tables;
    c->pub.table_count = 1;
    struct depend *d = depend_create(*ret_fresh, false);
    depend_install(d, &c->pub, values, 1);
    follow_catalog_unref(&c->pub);
    depend_begin(d);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fresh *fresh;
    struct depend *depend = start(&fresh);
    struct decoder *decoder = decoder_create();
    while (size >= 2) {
        size_t len = (size_t)data[0] << 8 | data[1];
        data += 2;
        size -= 2;
        len = len < size ? len : size;
        char *copy = xmalloc(len > 0 ? len : 1);
        memcpy(copy, data, len);
        struct slice whole = {copy, len};
        struct decode_frame frame;
        struct decode_event event;
        const char *why = NULL;
        if (decode_frame(whole, &frame)) {
            within(frame.message, whole);
        }
        if (decode_event(decoder, whole, &event, &why)) {
            feed(depend, &event, whole);
        } else {
            check(why != NULL);
        }
        free(copy);
        data += len;
        size -= len;
    }
    decoder_destroy(&decoder);
    depend_destroy(&depend);
    fresh_destroy(&fresh);
    return 0;
}
