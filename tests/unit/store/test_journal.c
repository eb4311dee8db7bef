/* SPDX-License-Identifier: BSD-3-Clause */
/* The journal holds what durable spaces did, in units, in the order of the changes; and nothing else. */
#include "store_test.h"

#include "base/clock.h"
#include "store/coll.h"
#include "store/journal.h"

/* Databases 0 and 1 share a durable space that evicts, 2 is of a volatile one. */
static void open_rig(struct rig *r, uint64_t budget, uint32_t shards)
{
    struct store_space_options spaces[] = {
        {.name = "queue", .budget_bytes = budget, .evict = true, .durable = true},
        {.name = "cache", .budget_bytes = budget, .evict = true},
    };
    uint8_t db_space[] = {0, 0, 1};
    r->store = store_create(&(struct store_options){.threads = 1,
                                                    .shards = shards,
                                                    .space_count = 2,
                                                    .spaces = spaces,
                                                    .db_count = 3,
                                                    .db_space = db_space});
    r->gate = store_gate_take(r->store);
    r->now_ms = clock_now_ms();
}

/* What was appended since the last call, one command a line, words separated by blanks. */
static const char *taken(struct rig *r)
{
    static char text[65536];
    struct buf raw;
    size_t len = 0;
    buf_init(&raw);
    (void)journal_take(store_journal(r->store), &raw);
    const char *at = buf_readable(&raw).ptr;
    const char *end = at + buf_len(&raw);
    text[0] = '\0';
    while (at < end) {
        int words = (int)strtol(at + 1, NULL, 10);
        at = strchr(at, '\n') + 1;
        for (int i = 0; i < words; i++) {
            int size = (int)strtol(at + 1, NULL, 10);
            at = strchr(at, '\n') + 1;
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", i > 0 ? " " : "",
                                    size, at);
            at += size + 2;
        }
        len += (size_t)snprintf(text + len, sizeof(text) - len, "\n");
    }
    assert_ptr_equal(at, end);
    buf_fini(&raw);
    return text;
}

static void remove_key(struct rig *r, uint32_t db, const char *key)
{
    struct store_hold h;
    rig_hold(r, db, slice_of(key), &h);
    (void)store_remove(&h);
    store_drop(&h);
}

static void changes_come_in_their_order(void **state)
{
    struct rig r;
    open_rig(&r, 16 * MB, 4);
    assert_int_equal(rig_put(&r, 0, SLICE("a"), SLICE("1"), 0), ERR_OK);
    assert_int_equal(rig_put(&r, 1, SLICE("b"), SLICE("2"), 0), ERR_OK);
    assert_int_equal(rig_put(&r, 2, SLICE("volatile"), SLICE("x"), 0), ERR_OK);
    remove_key(&r, 0, "a");
    remove_key(&r, 0, "absent");
    assert_string_equal(taken(&r), "SELECT 0\nSET a 1\nSELECT 1\nSET b 2\nSELECT 0\nDEL a\n");
    remove_key(&r, 1, "b");
    assert_string_equal(taken(&r), "SELECT 1\nDEL b\n");
    assert_string_equal(taken(&r), "");
    rig_close(&r);
}

static void an_ownership_is_one_unit(void **state)
{
    struct rig r;
    open_rig(&r, 16 * MB, 4);
    store_own(r.store, r.gate);
    assert_int_equal(rig_put(&r, 0, SLICE("a"), SLICE("1"), 0), ERR_OK);
    assert_int_equal(rig_put(&r, 1, SLICE("b"), SLICE("2"), 0), ERR_OK);
    assert_string_equal(taken(&r), "");
    store_disown(r.store, r.gate);
    assert_string_equal(taken(&r), "SELECT 0\nMULTI\nSET a 1\nSELECT 1\nSET b 2\nEXEC\n");
    store_own(r.store, r.gate);
    assert_int_equal(rig_put(&r, 0, SLICE("a"), SLICE("3"), 0), ERR_OK);
    store_disown(r.store, r.gate);
    assert_string_equal(taken(&r), "SELECT 0\nSET a 3\n");
    store_own(r.store, r.gate);
    store_disown(r.store, r.gate);
    assert_string_equal(taken(&r), "");
    rig_close(&r);
}

static void positions_count_every_byte(void **state)
{
    struct rig r;
    struct buf raw;
    open_rig(&r, 16 * MB, 4);
    struct journal *j = store_journal(r.store);
    buf_init(&raw);
    assert_int_equal(journal_end(j), 0);
    assert_false(store_gate_journalled(r.gate));
    assert_int_equal(rig_put(&r, 0, SLICE("a"), SLICE("1"), 0), ERR_OK);
    assert_true(store_gate_journalled(r.gate));
    assert_false(store_gate_journalled(r.gate));
    uint64_t end = journal_take(j, &raw);
    assert_int_equal(end, buf_len(&raw));
    assert_int_equal(rig_put(&r, 0, SLICE("a"), SLICE("1"), 0), ERR_OK);
    end = journal_take(j, &raw); /* behind what is there */
    assert_int_equal(end, buf_len(&raw));
    assert_int_equal(journal_end(j), buf_len(&raw));
    buf_fini(&raw);
    rig_close(&r);
}

static void what_expires_is_deleted_before_what_comes_next(void **state)
{
    struct rig r;
    struct store_hold h;
    open_rig(&r, 16 * MB, 4);
    assert_int_equal(rig_put(&r, 0, SLICE("k"), SLICE("1"), r.now_ms + 10), ERR_OK);
    assert_non_null(strstr(taken(&r), "SET k 1 PXAT "));
    r.now_ms += 20;
    rig_hold(&r, 0, SLICE("k"), &h);
    assert_null(store_lookup(&h, NULL));
    assert_int_equal(store_put(&h, &(struct store_write){.value = SLICE("2")}), ERR_OK);
    store_drop(&h);
    assert_string_equal(taken(&r), "SELECT 0\nMULTI\nDEL k\nSET k 2\nEXEC\n");
    assert_int_equal(rig_put(&r, 1, SLICE("swept"), SLICE("1"), r.now_ms + 10), ERR_OK);
    (void)taken(&r);
    r.now_ms += 20000;
    assert_int_equal(store_expire_some(r.store, r.gate, r.now_ms), 1);
    assert_string_equal(taken(&r), "SELECT 1\nDEL swept\n");
    rig_close(&r);
}

/* Replaying the journal on a set of names must give the names that the store has. */
static void evictions_are_logged_whoever_made_them(void **state)
{
    struct rig r;
    static bool has[4000];
    char key[16];
    static char value[3000];
    open_rig(&r, 2 * MB, 2);
    memset(has, 0, sizeof(has));
    for (uint32_t i = 0; i < array_len(has); i++) {
        (void)snprintf(key, sizeof(key), "%u", i);
        bool owns = i % 7 == 0;
        if (owns) {
            store_own(r.store, r.gate);
        }
        (void)rig_put(&r, 0, slice_of(key), (struct slice){value, i % sizeof(value)}, 0);
        if (owns) {
            store_disown(r.store, r.gate);
        }
        struct buf raw;
        buf_init(&raw);
        (void)journal_take(store_journal(r.store), &raw);
        struct slice rest = buf_readable(&raw);
        const char *at = rest.ptr;
        const char *end = rest.ptr + rest.len;
        while (at < end) {
            bool is_del = strncmp(at, "*2\r\n$3\r\nDEL", 11) == 0;
            bool is_set = strncmp(at, "*3\r\n$3\r\nSET", 11) == 0;
            if (is_del || is_set) {
                const char *name = strchr(at + 13, '\n') + 1;
                has[strtoul(name, NULL, 10)] = is_set;
            }
            int words = (int)strtol(at + 1, NULL, 10);
            at = strchr(at, '\n') + 1;
            for (int w = 0; w < words; w++) {
                long size = strtol(at + 1, NULL, 10);
                at = strchr(at, '\n') + 1 + size + 2;
            }
        }
        buf_fini(&raw);
    }
    struct store_space_stats st;
    store_space_stats(r.store, 0, &st);
    assert_true(st.evicted > 100);
    for (uint32_t i = 0; i < array_len(has); i++) {
        struct store_hold h;
        (void)snprintf(key, sizeof(key), "%u", i);
        rig_hold(&r, 0, slice_of(key), &h);
        assert_int_equal(store_inspect(&h) != NULL, has[i]);
        store_drop(&h);
    }
    rig_close(&r);
}

static void whole_databases_are_one_command(void **state)
{
    struct rig r;
    open_rig(&r, 16 * MB, 4);
    store_own(r.store, r.gate);
    store_db_flush(r.store, 0);
    store_disown(r.store, r.gate);
    assert_string_equal(taken(&r), ""); /* it was empty */
    assert_int_equal(rig_put(&r, 1, SLICE("a"), SLICE("1"), 0), ERR_OK);
    (void)taken(&r);
    store_own(r.store, r.gate);
    assert_true(store_db_swap(r.store, 0, 1, 0));
    store_db_flush(r.store, 0);
    store_db_flush(r.store, 2);
    store_disown(r.store, r.gate);
    assert_string_equal(taken(&r), "SELECT 0\nMULTI\nSWAPDB 0 1\nFLUSHDB\nEXEC\n");
    assert_int_equal(journal_swaps(store_journal(r.store)), 1);
    rig_close(&r);
}

static void nothing_is_remembered_while_the_log_is_read(void **state)
{
    struct rig r;
    open_rig(&r, 16 * MB, 4);
    store_remember(r.store, false);
    assert_int_equal(rig_put(&r, 0, SLICE("a"), SLICE("1"), r.now_ms + 10), ERR_OK);
    r.now_ms += 20000;
    assert_int_equal(store_expire_some(r.store, r.gate, r.now_ms), 1);
    store_remember(r.store, true);
    assert_string_equal(taken(&r), "");
    assert_int_equal(rig_put(&r, 0, SLICE("a"), SLICE("1"), 0), ERR_OK);
    assert_string_equal(taken(&r), "SELECT 0\nSET a 1\n");
    rig_close(&r);
}

static void a_dump_rebuilds_the_key(void **state)
{
    struct rig r;
    struct store_hold h;
    struct slice values[] = {SLICE("x"), SLICE("y")};
    struct store_write meta = {.expiry_ms = 0};
    open_rig(&r, 16 * MB, 4);
    rig_hold(&r, 0, SLICE("l"), &h);
    assert_int_equal(coll_push(&h, COLL_TAIL, values, 2, &meta), ERR_OK);
    store_drop(&h);
    (void)taken(&r);
    rig_hold(&r, 0, SLICE("l"), &h);
    store_dump(&h);
    store_drop(&h);
    rig_hold(&r, 0, SLICE("absent"), &h);
    store_dump(&h);
    store_drop(&h);
    assert_string_equal(taken(&r), "SELECT 0\nMULTI\nDEL l\nRPUSH l x y\nEXEC\n");
    rig_close(&r);
}

static void a_store_without_durable_spaces_has_no_journal(void **state)
{
    struct rig r;
    rig_open(&r, 4 * MB, true, NULL);
    assert_null(store_journal(r.store));
    assert_int_equal(rig_put(&r, 0, SLICE("a"), SLICE("1"), 0), ERR_OK);
    assert_false(store_gate_journalled(r.gate));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_come_in_their_order),
        cmocka_unit_test(an_ownership_is_one_unit),
        cmocka_unit_test(positions_count_every_byte),
        cmocka_unit_test(what_expires_is_deleted_before_what_comes_next),
        cmocka_unit_test(evictions_are_logged_whoever_made_them),
        cmocka_unit_test(whole_databases_are_one_command),
        cmocka_unit_test(nothing_is_remembered_while_the_log_is_read),
        cmocka_unit_test(a_dump_rebuilds_the_key),
        cmocka_unit_test(a_store_without_durable_spaces_has_no_journal),
    };
    hash_setup_seed(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
