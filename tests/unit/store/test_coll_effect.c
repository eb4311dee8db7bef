/* SPDX-License-Identifier: BSD-3-Clause */
/* What collections of a durable space leave in the log. */
#include "base/clock.h"
#include "coll_test.h"
#include "store/priv.h"

/* The commands gathered in this hold, arguments separated by blanks, commands by "; ". */
static const char *effects(struct store_hold *h)
{
    static char text[4096];
    char *to = text;
    struct slice in = buf_readable(&h->gate->effects);
    while (in.len > 0) {
        bool is_command = in.ptr[0] == '*';
        unsigned long n = strtoul(in.ptr + 1, NULL, 10);
        in = slice_from(in, (size_t)((const char *)memchr(in.ptr, '\n', in.len) + 1 - in.ptr));
        if (is_command) {
            to += sprintf(to, "%s", to == text ? "" : ";");
            continue;
        }
        to += sprintf(to, "%s%.*s", to == text ? "" : " ", (int)n, in.ptr);
        in = slice_from(in, n + 2);
    }
    *to = '\0';
    buf_clear(&h->gate->effects);
    h->gate->effect_open.name = NULL;
    return text;
}

static void by_name(void **state)
{
    (void)state;
    struct rig r;
    rig_open_durable(&r);
    struct store_hold h;
    struct store_write meta = {.expiry_ms = r.now_ms + 7};
    char expected[100];
    rig_hold(&r, 0, SLICE("k"), &h);
    struct coll_element e = element("f", "v", 0);
    assert_int_equal(coll_put(&h, STORE_HASH, &e, &meta, NULL), ERR_OK);
    (void)snprintf(expected, sizeof(expected), "HSET k f v; PEXPIREAT k %llu",
                   (unsigned long long)clock_wall_from_mono(r.now_ms + 7));
    assert_string_equal(effects(&h), expected);
    e = element("g", "w", 0);
    assert_int_equal(coll_put(&h, STORE_HASH, &e, &meta, NULL), ERR_OK);
    assert_string_equal(effects(&h), "HSET k g w");
    assert_false(coll_remove(&h, SLICE("x")));
    assert_string_equal(effects(&h), "");
    struct coll_element own; /* SPOP: the name lies in what is removed */
    assert_true(coll_at(&h, store_peek(&h, NULL), 0, &own));
    assert_true(coll_remove(&h, own.name));
    assert_string_equal(effects(&h), "HDEL k f");
    coll_cut(&h, 0, 1);
    assert_string_equal(effects(&h), "DEL k");
    e = element("m", "", 0.1);
    assert_int_equal(coll_put(&h, STORE_ZSET, &e, &NO_META, NULL), ERR_OK);
    assert_int_equal(coll_put(&h, STORE_ZSET, &e, &NO_META, NULL), ERR_OK); /* no change */
    assert_string_equal(effects(&h), "ZADD k 0.1 m");
    e = element("n", "", 2);
    assert_int_equal(coll_put(&h, STORE_ZSET, &e, &NO_META, NULL), ERR_OK);
    coll_cut(&h, 1, 1);
    assert_string_equal(effects(&h), "ZADD k 2 n; ZREMRANGEBYRANK k 1 1");
    assert_true(coll_remove(&h, SLICE("m")));
    assert_string_equal(effects(&h), "ZREM k m");
    e = element("a", "", 0);
    assert_int_equal(coll_put(&h, STORE_SET, &e, &NO_META, NULL), ERR_OK);
    e = element("b", "", 0);
    assert_int_equal(coll_put(&h, STORE_SET, &e, &NO_META, NULL), ERR_OK);
    coll_cut(&h, 0, 1);
    assert_string_equal(effects(&h), "SADD k a b; SREM k a");
    store_drop(&h);
    rig_close(&r);
}

static void put_member(struct store_hold *h, int number)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "%d", number);
    struct coll_element e = element(name, "", number);
    assert_int_equal(coll_put(h, STORE_ZSET, &e, &NO_META, NULL), ERR_OK);
}

/* What the unit would be, were it written at once. */
static void expect_zadd(struct buf *out, const char *key, int from, int to)
{
    buf_printf(out, "*%d\r\n$4\r\nZADD\r\n$%zu\r\n%s\r\n", 2 + 2 * (to - from), strlen(key), key);
    for (int i = from; i < to; i++) {
        char text[16];
        int len = snprintf(text, sizeof(text), "%d", i);
        buf_printf(out, "$%d\r\n%s\r\n$%d\r\n%s\r\n", len, text, len, text);
    }
}

/* Members added one after the other are one command, up to 1024 words; other keys and commands end it. */
static void many_of_one_key(void **state)
{
    struct rig r;
    rig_open_durable(&r);
    struct store_hold h;
    struct buf expected;
    buf_init(&expected);
    for (int count = 1; count <= 1200; count += count < 60 ? 1 : 190) {
        rig_hold(&r, 0, SLICE("k"), &h);
        for (int i = 0; i < count; i++) {
            put_member(&h, i);
        }
        buf_clear(&expected);
        for (int from = 0; from < count; from += 511) {
            expect_zadd(&expected, "k", from, from + 511 < count ? from + 511 : count);
        }
        assert_true(slice_eq(buf_readable(&h.gate->effects), buf_readable(&expected)));
        assert_int_equal(h.gate->effect_count, (count + 510) / 511);
        assert_true(store_remove(&h));
        store_drop(&h);
    }
    buf_fini(&expected);
    store_own(r.store, r.gate);
    rig_hold(&r, 0, SLICE("k"), &h);
    put_member(&h, 1);
    store_drop(&h);
    rig_hold(&r, 0, SLICE("key"), &h); /* begins with the other */
    put_member(&h, 1);
    store_drop(&h);
    rig_hold(&r, 0, SLICE("k"), &h);
    put_member(&h, 2);
    store_drop(&h);
    rig_hold(&r, 1, SLICE("k"), &h);
    put_member(&h, 2);
    assert_true(coll_remove(&h, SLICE("2")));
    put_member(&h, 3);
    assert_string_equal(effects(&h),
                        "ZADD k 1 1; ZADD key 1 1; ZADD k 2 2; SELECT 1; ZADD k 2 2; ZREM k 2; "
                        "ZADD k 3 3");
    h.gate->effect_count = 0;
    store_drop(&h);
    store_disown(r.store, r.gate);
    rig_close(&r);
}

static void lists(void **state)
{
    (void)state;
    struct rig r;
    rig_open_durable(&r);
    struct store_hold h;
    struct slice values[] = {SLICE("a"), SLICE("b")};
    rig_hold(&r, 0, SLICE("k"), &h);
    assert_int_equal(coll_push(&h, COLL_HEAD, values, 2, &NO_META), ERR_OK);
    assert_int_equal(coll_push(&h, COLL_TAIL, values, 2, &NO_META), ERR_OK);
    assert_string_equal(effects(&h), "LPUSH k a b; RPUSH k a b");
    bool found;
    assert_int_equal(coll_insert(&h, SLICE("a"), true, SLICE("c"), &found), ERR_OK);
    assert_int_equal(coll_insert(&h, SLICE("x"), true, SLICE("c"), &found), ERR_OK);
    assert_string_equal(effects(&h), "LINSERT k AFTER a c");
    assert_int_equal(coll_replace(&h, 2, SLICE("d")), ERR_OK);
    assert_string_equal(effects(&h), "LSET k 2 d");
    assert_int_equal(coll_remove_equal(&h, -1, SLICE("a")), 1);
    assert_int_equal(coll_remove_equal(&h, -1, SLICE("x")), 0);
    assert_string_equal(effects(&h), "LREM k -1 a");
    coll_cut(&h, 0, 1);
    coll_cut(&h, 1, 2);
    assert_string_equal(effects(&h), "LPOP k 1; RPOP k 2"); /* of b a d b */
    store_drop(&h);
    assert_shows(&r, "k", "a");
    rig_close(&r);
}

static void streams(void **state)
{
    (void)state;
    struct rig r;
    rig_open_durable(&r);
    struct store_hold h;
    struct slice fields[] = {SLICE("f"), SLICE("v")};
    rig_hold(&r, 0, SLICE("k"), &h);
    for (uint64_t i = 1; i <= 4; i++) {
        assert_int_equal(coll_append(&h, (struct coll_id){5, i}, fields, 2, &NO_META), ERR_OK);
    }
    assert_string_equal(effects(&h),
                        "XADD k 5-1 f v; XADD k 5-2 f v; XADD k 5-3 f v; XADD k 5-4 f v");
    coll_cut(&h, 1, 2);
    coll_cut(&h, 0, 1);
    assert_string_equal(effects(&h), "XDEL k 5-2 5-3; XTRIM k MAXLEN 1");
    struct coll_stream info = {.last = {9, 9}, .max_deleted = {5, 3}, .added = 7};
    assert_int_equal(coll_stream_set_info(&h, &info, NULL), ERR_OK);
    assert_string_equal(effects(&h), "XSETID k 9-9 ENTRIESADDED 7 MAXDELETEDID 5-3");
    store_drop(&h);
    rig_hold(&r, 0, SLICE("new"), &h);
    info = (struct coll_stream){.added = 0};
    assert_int_equal(coll_stream_set_info(&h, &info, &NO_META), ERR_OK);
    assert_string_equal(effects(&h), "XADD new MAXLEN 0 0-1 x y; XSETID new 0-0 ENTRIESADDED 0");
    store_drop(&h);
    rig_close(&r);
}

static void whole_items(void **state)
{
    (void)state;
    struct rig r;
    rig_open_durable(&r);
    put(&r, "z", STORE_ZSET, "m", "", 1.5);
    put(&r, "z", STORE_ZSET, "n", "", 2);
    append(&r, "x", 5, 1, "f", "v");
    struct store_hold a;
    struct store_hold b;
    store_own(r.store, r.gate);
    rig_hold(&r, 0, SLICE("z"), &a);
    rig_hold(&r, 0, SLICE("z2"), &b);
    (void)effects(&a);
    struct store_write meta = {.expiry_ms = r.now_ms + 7};
    assert_int_equal(store_copy(&a, &b, &meta), ERR_OK);
    char expected[100];
    (void)snprintf(expected, sizeof(expected), "DEL z2; ZADD z2 1.5 m 2 n; PEXPIREAT z2 %llu",
                   (unsigned long long)clock_wall_from_mono(r.now_ms + 7));
    assert_string_equal(effects(&b), expected);
    assert_int_equal(store_move(&a, &b, &NO_META), ERR_OK);
    assert_string_equal(effects(&b), "DEL z2; ZADD z2 1.5 m 2 n; DEL z");
    store_drop(&a);
    rig_hold(&r, 0, SLICE("x"), &a);
    assert_int_equal(store_copy(&a, &b, &NO_META), ERR_OK);
    assert_string_equal(effects(&b), "DEL z2; XADD z2 5-1 f v; XSETID z2 5-1 ENTRIESADDED 1");
    store_drop(&a);
    store_drop(&b);
    store_disown(r.store, r.gate);
    rig_close(&r);
}

int main(void)
{
    hash_setup_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_name), cmocka_unit_test(many_of_one_key), cmocka_unit_test(lists),
        cmocka_unit_test(streams), cmocka_unit_test(whole_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
