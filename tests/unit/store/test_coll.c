/* SPDX-License-Identifier: BSD-3-Clause */
/* Collections: each function by example. Random ones are in test_coll_model.c. */
#include "coll_test.h"

static void open_rig(struct rig *r)
{
    rig_open(r, 16 * MB, true, NULL);
}

/* The rank of what `find` says, or -1. */
static int64_t rank_of(struct rig *r, const char *key, const char *name)
{
    struct store_hold h;
    rig_hold(r, 0, slice_of(key), &h);
    uint64_t rank;
    bool found = coll_rank(&h, store_peek(&h, NULL), slice_of(name), &rank);
    store_drop(&h);
    return found ? (int64_t)rank : -1;
}

static void set_has_each_member_once(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    assert_false(put(&r, "s", STORE_SET, "a", "", 0));
    assert_false(put(&r, "s", STORE_SET, "", "", 0));
    assert_true(put(&r, "s", STORE_SET, "a", "", 0));
    struct store_hold h;
    rig_hold(&r, 0, SLICE("s"), &h);
    const struct store_item *it = store_peek(&h, NULL);
    assert_int_equal(store_item_kind(it), STORE_SET);
    assert_int_equal(coll_count(it), 2);
    struct coll_element e;
    assert_true(coll_find(&h, it, SLICE("a"), &e));
    assert_true(slice_is(e.name, "a"));
    assert_true(coll_find(&h, it, SLICE(""), &e));
    assert_false(coll_find(&h, it, SLICE("b"), &e));
    store_drop(&h);
    assert_false(remove_name(&r, "s", "b"));
    assert_true(remove_name(&r, "s", "a"));
    assert_true(remove_name(&r, "s", ""));
    assert_true(rig_has(&r, 0, SLICE("s"), NULL));
    assert_false(remove_name(&r, "s", "a"));
    rig_close(&r);
}

static void hash_field_takes_a_new_value(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    assert_false(put(&r, "h", STORE_HASH, "f", "1", 0));
    assert_false(put(&r, "h", STORE_HASH, "g", "2", 0));
    assert_true(put(&r, "h", STORE_HASH, "f", "a longer value than before, of another size", 0));
    struct store_hold h;
    rig_hold(&r, 0, SLICE("h"), &h);
    const struct store_item *it = store_peek(&h, NULL);
    struct coll_element e;
    assert_true(coll_find(&h, it, SLICE("f"), &e));
    assert_true(slice_is(e.value, "a longer value than before, of another size"));
    assert_true(coll_find(&h, it, SLICE("g"), &e));
    assert_true(slice_is(e.value, "2"));
    store_drop(&h);
    assert_true(put(&r, "h", STORE_HASH, "f", "", 0));
    assert_shows(&r, "h", "f= g=2");
    rig_close(&r);
}

static void zset_is_ordered_by_score_then_bytes(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    put(&r, "z", STORE_ZSET, "b", "", 2);
    put(&r, "z", STORE_ZSET, "c", "", 1);
    put(&r, "z", STORE_ZSET, "a", "", 2);
    put(&r, "z", STORE_ZSET, "aa", "", 2);
    assert_shows(&r, "z", "c:1 a:2 aa:2 b:2");
    assert_true(put(&r, "z", STORE_ZSET, "c", "", 3)); /* upwards */
    assert_shows(&r, "z", "a:2 aa:2 b:2 c:3");
    assert_true(put(&r, "z", STORE_ZSET, "c", "", -1)); /* downwards */
    assert_shows(&r, "z", "c:-1 a:2 aa:2 b:2");
    assert_true(put(&r, "z", STORE_ZSET, "c", "", -0.5)); /* in its place */
    assert_shows(&r, "z", "c:-0.5 a:2 aa:2 b:2");
    assert_int_equal(rank_of(&r, "z", "c"), 0);
    assert_int_equal(rank_of(&r, "z", "b"), 3);
    assert_int_equal(rank_of(&r, "z", "x"), -1);
    rig_close(&r);
}

static void zset_finds_ranks_of_scores_and_bytes(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    put(&r, "z", STORE_ZSET, "a", "", 1);
    put(&r, "z", STORE_ZSET, "b", "", 2);
    put(&r, "z", STORE_ZSET, "c", "", 2);
    put(&r, "z", STORE_ZSET, "d", "", 4);
    put(&r, "lex", STORE_ZSET, "a", "", 0);
    put(&r, "lex", STORE_ZSET, "c", "", 0);
    struct store_hold h;
    rig_hold(&r, 0, SLICE("z"), &h);
    const struct store_item *it = store_peek(&h, NULL);
    assert_int_equal(coll_rank_of_score(&h, it, 0, false), 0);
    assert_int_equal(coll_rank_of_score(&h, it, 2, false), 1);
    assert_int_equal(coll_rank_of_score(&h, it, 2, true), 3);
    assert_int_equal(coll_rank_of_score(&h, it, 3, false), 3);
    assert_int_equal(coll_rank_of_score(&h, it, 4, true), 4);
    assert_int_equal(coll_rank_of_score(&h, it, 9, false), 4);
    store_drop(&h);
    rig_hold(&r, 0, SLICE("lex"), &h);
    it = store_peek(&h, NULL);
    assert_int_equal(coll_rank_of_lex(&h, it, SLICE("a"), false), 0);
    assert_int_equal(coll_rank_of_lex(&h, it, SLICE("a"), true), 1);
    assert_int_equal(coll_rank_of_lex(&h, it, SLICE("b"), true), 1);
    assert_int_equal(coll_rank_of_lex(&h, it, SLICE("c"), true), 2);
    store_drop(&h);
    rig_close(&r);
}

static void list_is_pushed_and_cut_at_both_ends(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    struct slice values[] = {SLICE("a"), SLICE("b"), SLICE("")};
    struct store_hold h;
    rig_hold(&r, 0, SLICE("l"), &h);
    assert_int_equal(coll_push(&h, COLL_HEAD, values, 3, &NO_META), ERR_OK);
    assert_int_equal(coll_push(&h, COLL_TAIL, values, 3, NULL), ERR_OK);
    store_drop(&h);
    assert_shows(&r, "l", " b a a b "); /* an empty one at either end */
    cut(&r, "l", 0, 1);
    assert_shows(&r, "l", "b a a b ");
    cut(&r, "l", 3, 100);
    assert_shows(&r, "l", "b a a");
    struct buf out;
    buf_init(&out);
    push(&r, "l", COLL_TAIL, "c");
    assert_string_equal(show(&r, "l", true, &out), "c a a b");
    buf_fini(&out);
    cut(&r, "l", 4, 1); /* beyond the end: nothing */
    cut(&r, "l", 0, 0);
    assert_shows(&r, "l", "b a a c");
    cut(&r, "l", 0, 4);
    assert_true(rig_has(&r, 0, SLICE("l"), NULL));
    rig_close(&r);
}

static void list_is_edited_in_the_middle(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    for (const char *v = "abcab"; *v != '\0'; v++) {
        push(&r, "l", COLL_TAIL, (char[]){*v, '\0'});
    }
    struct store_hold h;
    rig_hold(&r, 0, SLICE("l"), &h);
    bool found;
    assert_int_equal(coll_replace(&h, 2, SLICE("a long replacement of another size")), ERR_OK);
    assert_int_equal(coll_insert(&h, SLICE("b"), false, SLICE("X"), &found), ERR_OK);
    assert_true(found);
    assert_int_equal(coll_insert(&h, SLICE("b"), true, SLICE("Y"), &found), ERR_OK);
    assert_true(found);
    assert_int_equal(coll_insert(&h, SLICE("nowhere"), true, SLICE("Z"), &found), ERR_OK);
    assert_false(found);
    store_drop(&h);
    assert_shows(&r, "l", "a X b Y a long replacement of another size a b");
    rig_close(&r);
}

static uint64_t remove_equal(struct rig *r, const char *key, int64_t count, const char *value)
{
    struct store_hold h;
    rig_hold(r, 0, slice_of(key), &h);
    uint64_t gone = coll_remove_equal(&h, count, slice_of(value));
    store_drop(&h);
    return gone;
}

static void equal_elements_are_removed_from_either_end(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    for (const char *v = "axaxaxa"; *v != '\0'; v++) {
        push(&r, "l", COLL_TAIL, (char[]){*v, '\0'});
    }
    assert_int_equal(remove_equal(&r, "l", 1, "a"), 1);
    assert_shows(&r, "l", "x a x a x a");
    assert_int_equal(remove_equal(&r, "l", -1, "a"), 1);
    assert_shows(&r, "l", "x a x a x");
    assert_int_equal(remove_equal(&r, "l", -1, "x"), 1);
    assert_shows(&r, "l", "x a x a");
    assert_int_equal(remove_equal(&r, "l", 9, "x"), 2);
    assert_int_equal(remove_equal(&r, "l", 0, "none"), 0);
    assert_shows(&r, "l", "a a");
    assert_int_equal(remove_equal(&r, "l", 0, "a"), 2);
    assert_true(rig_has(&r, 0, SLICE("l"), NULL));
    rig_close(&r);
}

static void list_elements_may_come_from_the_list_itself(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    push(&r, "l", COLL_TAIL, "first");
    push(&r, "l", COLL_TAIL, "second");
    struct store_hold h;
    for (int i = 0; i < 50; i++) { /* LMOVE l l RIGHT LEFT, without the pop */
        rig_hold(&r, 0, SLICE("l"), &h);
        const struct store_item *it = store_peek(&h, NULL);
        struct coll_element e;
        assert_true(coll_at(&h, it, coll_count(it) - 1, &e));
        assert_int_equal(coll_push(&h, COLL_HEAD, &e.name, 1, NULL), ERR_OK);
        store_drop(&h);
    }
    rig_hold(&r, 0, SLICE("l"), &h);
    const struct store_item *it = store_peek(&h, NULL);
    struct coll_element e;
    for (uint64_t i = 0; i < 52; i++) {
        assert_true(coll_at(&h, it, i, &e));
        assert_true(slice_is(e.name, i == 50 ? "first" : "second"));
    }
    assert_false(coll_at(&h, it, 52, &e));
    assert_int_equal(coll_remove_equal(&h, 0, e.name), 51);
    store_drop(&h);
    assert_shows(&r, "l", "first");
    rig_close(&r);
}

static void stream_keeps_its_facts(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    append(&r, "x", 5, 1, "f", "v");
    append(&r, "x", 5, 2, "f", "");
    append(&r, "x", 7, 0, "f", "w");
    assert_shows(&r, "x", "5-1{f v} 5-2{f } 7-0{f w}");
    struct store_hold h;
    rig_hold(&r, 0, SLICE("x"), &h);
    const struct store_item *it = store_peek(&h, NULL);
    struct coll_stream info = coll_stream_info(it);
    assert_int_equal(info.last.ms, 7);
    assert_int_equal(info.added, 3);
    assert_int_equal(coll_rank_of_id(&h, it, (struct coll_id){5, 2}, false), 1);
    assert_int_equal(coll_rank_of_id(&h, it, (struct coll_id){5, 2}, true), 2);
    assert_int_equal(coll_rank_of_id(&h, it, (struct coll_id){6, 0}, false), 2);
    assert_int_equal(coll_rank_of_id(&h, it, (struct coll_id){0, 0}, true), 0);
    coll_cut(&h, 1, 1);
    info.max_deleted = (struct coll_id){5, 2};
    assert_int_equal(coll_stream_set_info(&h, &info, NULL), ERR_OK);
    store_drop(&h);
    assert_shows(&r, "x", "5-1{f v} 7-0{f w}");
    cut(&r, "x", 0, 2); /* an empty stream stays */
    rig_hold(&r, 0, SLICE("x"), &h);
    it = store_peek(&h, NULL);
    assert_non_null(it);
    assert_int_equal(coll_count(it), 0);
    info = coll_stream_info(it);
    assert_int_equal(info.last.ms, 7);
    assert_int_equal(info.max_deleted.seq, 2);
    assert_int_equal(info.added, 3);
    store_drop(&h);
    rig_hold(&r, 0, SLICE("new"), &h);
    assert_int_equal(coll_stream_set_info(&h, &info, &NO_META), ERR_OK);
    assert_int_equal(coll_count(store_peek(&h, NULL)), 0);
    store_drop(&h);
    rig_close(&r);
}

static void a_new_key_takes_its_expiry_from_the_meta(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    struct store_hold h;
    struct store_write meta = {.expiry_ms = r.now_ms + 100};
    struct coll_element e = element("m", "", 0);
    rig_hold(&r, 0, SLICE("s"), &h);
    assert_int_equal(coll_put(&h, STORE_SET, &e, &meta, NULL), ERR_OK);
    meta.expiry_ms = 0;
    e = element("n", "", 0);
    assert_int_equal(coll_put(&h, STORE_SET, &e, &meta, NULL), ERR_OK);
    assert_int_equal(store_item_expiry(store_peek(&h, NULL)), r.now_ms + 100);
    store_drop(&h);
    assert_true(rig_expire(&r, 0, SLICE("s"), r.now_ms + 50));
    assert_shows(&r, "s", "m n");
    r.now_ms += 50;
    assert_shows(&r, "s", "");
    put(&r, "s", STORE_SET, "alone", "", 0);
    assert_shows(&r, "s", "alone");
    rig_close(&r);
}

static void too_large_an_element_is_refused(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    put(&r, "h", STORE_HASH, "f", "v", 0);
    struct store_hold h;
    struct coll_element e = element("f", "", 0);
    e.value = (struct slice){"", (size_t)1 << 30};
    rig_hold(&r, 0, SLICE("h"), &h);
    assert_int_equal(coll_put(&h, STORE_HASH, &e, NULL, NULL), ERR_TOO_BIG);
    e.value.len = 0;
    char *large = calloc(1, 20 * MB);
    e.value = (struct slice){large, 20 * MB};
    assert_int_equal(coll_put(&h, STORE_HASH, &e, NULL, NULL), ERR_NOSPACE);
    free(large);
    store_drop(&h);
    assert_shows(&r, "h", "f=v");
    rig_close(&r);
}

static const char *encoding(struct rig *r, const char *key)
{
    struct store_hold h;
    rig_hold(r, 0, slice_of(key), &h);
    const char *word = coll_encoding(store_peek(&h, NULL));
    store_drop(&h);
    return word;
}

static void encodings_are_those_of_redis(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    char name[100];
    for (int i = 0; i < 513; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        put(&r, "s", STORE_SET, name, "", 0);
        put(&r, "h", STORE_HASH, name, "v", 0);
        if (i < 128) {
            put(&r, "z", STORE_ZSET, name, "", i);
            put(&r, "t", STORE_SET, i == 0 ? "word" : name, "", 0);
        }
        assert_string_equal(encoding(&r, "s"), i < 512 ? "intset" : "hashtable");
        assert_string_equal(encoding(&r, "h"), i < 512 ? "listpack" : "hashtable");
    }
    assert_string_equal(encoding(&r, "t"), "listpack");
    put(&r, "t", STORE_SET, "one more", "", 0);
    assert_string_equal(encoding(&r, "t"), "hashtable");
    cut(&r, "t", 0, 100);
    assert_string_equal(encoding(&r, "t"), "hashtable");
    assert_string_equal(encoding(&r, "z"), "listpack");
    memset(name, 'x', 65);
    name[65] = '\0';
    put(&r, "z", STORE_ZSET, name, "", 0);
    assert_string_equal(encoding(&r, "z"), "skiplist");
    char *large = calloc(1, 8500);
    memset(large, 'x', 8400);
    push(&r, "l", COLL_TAIL, "small");
    assert_string_equal(encoding(&r, "l"), "listpack");
    push(&r, "l", COLL_TAIL, large);
    assert_string_equal(encoding(&r, "l"), "quicklist");
    cut(&r, "l", 1, 1);
    assert_string_equal(encoding(&r, "l"), "listpack");
    free(large);
    rig_close(&r);
}

static void scan_step(void *arg, const struct coll_element *e)
{
    (void)e;
    ++*(int *)arg;
}

static void scan_sees_everything(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r);
    put(&r, "s", STORE_SET, "a", "", 0);
    put(&r, "s", STORE_SET, "b", "", 0);
    struct store_hold h;
    rig_hold(&r, 0, SLICE("s"), &h);
    int seen = 0;
    assert_int_equal(coll_scan(&h, store_peek(&h, NULL), 0, 10, scan_step, &seen), 0);
    assert_int_equal(seen, 2);
    store_drop(&h);
    rig_close(&r);
}

int main(void)
{
    hash_setup_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_has_each_member_once),
        cmocka_unit_test(hash_field_takes_a_new_value),
        cmocka_unit_test(zset_is_ordered_by_score_then_bytes),
        cmocka_unit_test(zset_finds_ranks_of_scores_and_bytes),
        cmocka_unit_test(list_is_pushed_and_cut_at_both_ends),
        cmocka_unit_test(list_is_edited_in_the_middle),
        cmocka_unit_test(equal_elements_are_removed_from_either_end),
        cmocka_unit_test(list_elements_may_come_from_the_list_itself),
        cmocka_unit_test(stream_keeps_its_facts),
        cmocka_unit_test(a_new_key_takes_its_expiry_from_the_meta),
        cmocka_unit_test(too_large_an_element_is_refused),
        cmocka_unit_test(encodings_are_those_of_redis),
        cmocka_unit_test(scan_sees_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
