/* SPDX-License-Identifier: BSD-3-Clause */
/* The log as a whole: what a store did is read back, whoever wrote it, rewritten or not, cut anywhere. */
#include "persist_test.h"

#include "base/clock.h"
#include "persist/dir.h"
#include "persist/persist.h"
#include "store/journal.h"

#include <poll.h>

enum { MB = 1024 * 1024 };

struct rig {
    char *place;
    struct store *store;
    struct store_gate *gate; /* the test's */
    struct persist *log;
    _Atomic uint64_t told; /* how often positions moved */
    struct buf seen;       /* commands read back, a line each */
    uint32_t refuse_at;    /* this command fails, counted from 1; 0: none */
    uint32_t commands;
};

static void safe_moved(void *arg)
{
    struct rig *r = arg;
    r->told++;
}

static bool run(void *arg, const struct slice *argv, uint32_t argc, struct slice *ret_error)
{
    struct rig *r = arg;
    for (uint32_t i = 0; i < argc; i++) {
        buf_printf(&r->seen, "%s%.*s", i > 0 ? " " : "", (int)argv[i].len, argv[i].ptr);
    }
    buf_append_char(&r->seen, '\n');
    *ret_error = SLICE("ERR no");
    return ++r->commands != r->refuse_at;
}

static bool go_on(void *arg, uint64_t done_bytes, uint64_t all_bytes)
{
    assert_true(done_bytes <= all_bytes);
    return true;
}

static bool open_log(struct rig *r, bool always, char **ret_why)
{
    static const uint8_t dbs[] = {0, 1};
    struct store_space_options space = {.name = "q", .budget_bytes = 32 * MB, .durable = true};
    uint8_t db_space[] = {0, 0};
    r->store = store_create(&(struct store_options){
        .threads = 2, .space_count = 1, .spaces = &space, .db_count = 2, .db_space = db_space});
    r->gate = store_gate_take(r->store);
    r->commands = 0;
    buf_clear(&r->seen);
    r->log = persist_open(&(struct persist_options){.dir = r->place,
                                                    .always = always,
                                                    .rewrite_min_bytes = 4096,
                                                    .store = r->store,
                                                    .gate = store_gate_take(r->store),
                                                    .dbs = dbs,
                                                    .db_count = 2,
                                                    .arg = r,
                                                    .safe_moved = safe_moved},
                          ret_why);
    if (r->log == NULL) {
        return false;
    }
    enum persist_loaded result = persist_load(
        r->log, &(struct persist_reader){.arg = r, .run = run, .go_on = go_on}, ret_why);
    if (result == PERSIST_LOADED) {
        persist_start(r->log);
    }
    return result == PERSIST_LOADED;
}

static void begin(struct rig *r, bool always)
{
    char *why = NULL;
    if (!open_log(r, always, &why)) {
        fail_msg("%s", why);
    }
}

static void end(struct rig *r)
{
    persist_stop(&r->log);
    store_destroy(&r->store);
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){.place = place_make()};
    buf_init(&r->seen);
}

static void rig_fini(struct rig *r)
{
    place_remove(r->place);
    buf_fini(&r->seen);
}

static void set(struct rig *r, uint32_t db, const char *key, const char *value)
{
    struct store_hold h;
    store_hold(r->store, r->gate, db, slice_of(key), clock_now_ms(), &h);
    assert_int_equal(store_put(&h, &(struct store_write){.value = slice_of(value)}), ERR_OK);
    store_drop(&h);
}

/* Ends when the condition holds; the harness's time limit ends a test that would wait for ever. */
#define WAIT_FOR(condition)                                                                        \
    while (!(condition)) {                                                                         \
        (void)poll(NULL, 0, 1);                                                                    \
    }

static const char *seen(struct rig *r)
{
    buf_append_char(&r->seen, '\0');
    return buf_readable(&r->seen).ptr;
}

static void what_was_written_is_read_back(void **state)
{
    struct rig r;
    rig_init(&r);
    begin(&r, false);
    set(&r, 0, "a", "1");
    set(&r, 1, "b", "2");
    assert_int_equal(persist_safe(r.log), 0);
    persist_write(r.log);
    assert_int_equal(persist_safe(r.log), journal_end(store_journal(r.store)));
    set(&r, 0, "c", "3"); /* the end writes it */
    end(&r);
    begin(&r, true);
    assert_string_equal(seen(&r), "SELECT 0\nSET a 1\nSELECT 1\nSET b 2\nSELECT 0\nSET c 3\n");
    end(&r);
    rig_fini(&r);
}

static void always_is_safe_when_it_is_synced(void **state)
{
    struct rig r;
    struct persist_figures f;
    rig_init(&r);
    begin(&r, true);
    set(&r, 0, "a", "1");
    uint64_t end_of_a = journal_end(store_journal(r.store));
    persist_wake(r.log, false);
    WAIT_FOR(persist_safe(r.log) >= end_of_a);
    assert_int_equal(persist_synced(r.log), end_of_a);
    WAIT_FOR(r.told > 0);
    persist_figures(r.log, &f);
    assert_int_equal(f.pending, 0);
    assert_int_equal(f.unsynced, 0);
    assert_int_equal(f.trouble, 0);
    assert_true(f.syncs >= 1 && f.groups >= 1);
    end(&r);
    rig_fini(&r);
}

static void everysec_is_synced_when_asked(void **state)
{
    struct rig r;
    rig_init(&r);
    begin(&r, false);
    set(&r, 0, "a", "1");
    persist_wake(r.log, true);
    WAIT_FOR(persist_synced(r.log) == journal_end(store_journal(r.store)));
    end(&r);
    rig_fini(&r);
}

/* Every key once, and only its last value, whatever was written meanwhile. */
static void a_rewrite_leaves_one_file_that_needs_no_other(void **state)
{
    struct rig r;
    struct persist_figures f;
    char key[16];
    rig_init(&r);
    begin(&r, false);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i % 300);
        set(&r, (uint32_t)(i % 2), key, "old");
    }
    assert_int_equal(persist_rewrite(r.log), PERSIST_STARTED);
    uint32_t meanwhile = 0;
    do {
        (void)snprintf(key, sizeof(key), "k%u", 2 * (meanwhile++ % 10));
        set(&r, 0, key, "new");
        persist_write(r.log);
        persist_figures(r.log, &f);
    } while (f.rewrites == 0);
    assert_false(f.last_rewrite_failed);
    end(&r);
    struct log_dir d;
    char *why = NULL;
    assert_true(log_dir_open(&d, r.place, LOG_DIR_LOOK, &why));
    assert_int_equal(d.count, 1);
    assert_int_equal(d.files[0], 2);
    log_dir_close(&d);

    begin(&r, false);
    const char *text = seen(&r);
    const char *k0 = NULL;
    for (const char *at = text; (at = strstr(at, "SET k0 ")) != NULL; at++) {
        k0 = at;
    }
    assert_non_null(k0);
    assert_memory_equal(k0, "SET k0 new", 10);
    for (int i = 0; i < 300; i++) {
        char line[32];
        (void)snprintf(line, sizeof(line), "SET k%d ", i);
        assert_non_null(strstr(text, line));
    }
    end(&r);
    rig_fini(&r);
}

/* Until the mark commands may fail: what they are about is rebuilt later. */
static void a_command_may_fail_only_before_a_rewrites_mark(void **state)
{
    struct rig r;
    struct persist_figures f;
    char *why = NULL;
    rig_init(&r);
    begin(&r, false);
    set(&r, 0, "a", "1");
    (void)persist_rewrite(r.log);
    do {
        (void)poll(NULL, 0, 1);
        persist_figures(r.log, &f);
    } while (f.rewrites == 0);
    set(&r, 0, "b", "2");
    end(&r);
    r.refuse_at = 2; /* SET a */
    begin(&r, false);
    assert_string_equal(seen(&r), "SELECT 0\nSET a 1\nSELECT 0\nSET b 2\n");
    end(&r);
    r.refuse_at = 4; /* SET b */
    assert_false(open_log(&r, false, &why));
    assert_non_null(strstr(why, "cannot be repeated: ERR no"));
    free(why);
    end(&r);
    rig_fini(&r);
}

static void a_log_cut_at_any_byte_gives_a_beginning_of_what_was_done(void **state)
{
    struct rig r;
    struct buf whole;
    char key[8];
    rig_init(&r);
    buf_init(&whole);
    begin(&r, false);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        set(&r, 0, key, "v");
        persist_write(r.log);
    }
    end(&r);
    file_read(r.place, "log-1.resp", &whole);
    size_t header = (size_t)((const char *)memmem(buf_readable(&whole).ptr, buf_len(&whole),
                                                  "*2\r\n$6\r\nSELECT", 13) -
                             buf_readable(&whole).ptr);
    int last = -1;
    for (size_t cut = header; cut <= buf_len(&whole); cut++) {
        file_write(r.place, "log-1.resp", (struct slice){buf_readable(&whole).ptr, cut});
        begin(&r, false);
        const char *text = seen(&r);
        int count = 0;
        for (; count < 5; count++) {
            char line[32];
            (void)snprintf(line, sizeof(line), "SET k%d v\n", count);
            if (strstr(text, line) == NULL) {
                break;
            }
        }
        assert_int_equal(r.commands, 2 * count);
        assert_true(count >= last);
        last = count;
        set(&r, 0, "after", "cut"); /* goes where the cut was */
        end(&r);
        begin(&r, false);
        assert_non_null(strstr(seen(&r), "SET after cut\n"));
        assert_int_equal(r.commands, 2 * count + 2);
        end(&r);
    }
    assert_int_equal(last, 5);
    buf_fini(&whole);
    rig_fini(&r);
}

/* The cut-over of a rewrite syncs the old file; dying then leaves a new file with a header only. */
static void the_last_file_that_was_written_to_may_be_torn(void **state)
{
    struct rig r;
    struct buf text;
    struct log_dir d;
    char *why = NULL;
    rig_init(&r);
    buf_init(&text);
    begin(&r, false);
    set(&r, 0, "a", "1");
    persist_write(r.log);
    set(&r, 0, "b", "2");
    end(&r);
    file_read(r.place, "log-1.resp", &text);
    file_write(r.place, "log-1.resp", (struct slice){buf_readable(&text).ptr, buf_len(&text) - 3});
    buf_clear(&text);
    buf_append_str(&text, "");
    begin(&r, false); /* makes a header that we can copy */
    end(&r);
    char *other = place_make();
    char *own = r.place;
    r.place = other;
    begin(&r, false);
    end(&r);
    file_read(other, "log-1.resp", &text);
    r.place = own;
    file_write(own, "log-2.resp", buf_readable(&text));
    assert_true(log_dir_open(&d, own, LOG_DIR_OWN, &why));
    uint64_t files[] = {1, 2};
    assert_true(log_dir_commit(&d, files, 2));
    log_dir_close(&d);
    begin(&r, false);
    assert_string_equal(seen(&r), "SELECT 0\nSET a 1\n");
    set(&r, 0, "c", "3");
    end(&r);
    begin(&r, false);
    assert_string_equal(seen(&r), "SELECT 0\nSET a 1\nSELECT 0\nSET c 3\n");
    end(&r);
    place_remove(other);
    buf_fini(&text);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(always_is_safe_when_it_is_synced),
        cmocka_unit_test(everysec_is_synced_when_asked),
        cmocka_unit_test(a_rewrite_leaves_one_file_that_needs_no_other),
        cmocka_unit_test(a_command_may_fail_only_before_a_rewrites_mark),
        cmocka_unit_test(a_log_cut_at_any_byte_gives_a_beginning_of_what_was_done),
        cmocka_unit_test(the_last_file_that_was_written_to_may_be_torn),
    };
    hash_setup_seed(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
