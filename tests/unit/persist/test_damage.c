/* SPDX-License-Identifier: BSD-3-Clause */
/* A small log, damaged at each of its bytes and cut at each of its lengths. It is read whole or to the end of a
 * group, whose loss is told, or refused with the place; and a repair makes it readable. What is read is always a
 * beginning of what was done. */
#include "persist_test.h"

#include "base/clock.h"
#include "persist/dir.h"
#include "persist/group.h"
#include "persist/persist.h"

#include <dirent.h>

enum { MB = 1024 * 1024, GROUPS = 7 };

/* --- a log made by hand: exactly these groups ------------------------------------------------------- */

struct made {
    char *place;
    struct buf file[2];
    size_t ends[2][GROUPS + 2]; /* of the groups, the header's first */
    uint32_t groups[2];
    struct buf seen; /* commands read, a line each */
};

static void put_group(struct made *m, int f, uint64_t nonce, const char *commands)
{
    struct buf group;
    buf_init(&group);
    buf_append_str(&group, commands);
    group_put_proof(&group, nonce, buf_len(&m->file[f]));
    buf_append_slice(&m->file[f], buf_readable(&group));
    m->ends[f][++m->groups[f]] = buf_len(&m->file[f]);
    buf_fini(&group);
}

static void begin_file(struct made *m, int f, uint64_t nonce, bool is_rewrite)
{
    buf_clear(&m->file[f]);
    m->groups[f] = 0;
    group_put_header(&m->file[f], nonce, is_rewrite);
    m->ends[f][0] = buf_len(&m->file[f]);
}

#define CMD3(a, b, c) "*3\r\n$" a "\r\n$1\r\n" b "\r\n$1\r\n" c "\r\n"
#define SET(k, v)     CMD3("3\r\nSET", k, v)
#define PUSH(k, v)    CMD3("5\r\nRPUSH", k, v)
#define DEL(k)        "*2\r\n$3\r\nDEL\r\n$1\r\n" k "\r\n"
#define SELECT        "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define UNIT(c)       "*1\r\n$5\r\nMULTI\r\n" c "*1\r\n$4\r\nEXEC\r\n"

/* A file that a rewrite made, and then was written to; and `with_second`, what a rewrite that is going on has
 * made of the second: all keys but one. */
static void make(struct made *m, bool with_second)
{
    begin_file(m, 0, 1, true);
    put_group(m, 0, 1, SELECT DEL("a") SET("a", "1") DEL("l") PUSH("l", "x"));
    put_group(m, 0, 1, "*2\r\n$11\r\nFRESHET.LOG\r\n$8\r\nCOMPLETE\r\n");
    put_group(m, 0, 1, SELECT SET("b", "2"));
    put_group(m, 0, 1, SELECT UNIT(SET("a", "3") PUSH("l", "y")));
    put_group(m, 0, 1, SELECT DEL("b"));
    put_group(m, 0, 1, SELECT SET("c", "4"));
    begin_file(m, 1, 2, true);
    if (with_second) {
        put_group(m, 0, 1, "*2\r\n$11\r\nFRESHET.LOG\r\n$5\r\nENDED\r\n");
        put_group(m, 1, 2, SELECT DEL("a") SET("a", "3"));
        put_group(m, 1, 2, SELECT SET("d", "5"));
        put_group(m, 1, 2, SELECT DEL("l") PUSH("l", "x") PUSH("l", "y"));
    }
}

/* As it was made, in the directory. */
static void put_back(const struct made *m, const char *manifest)
{
    struct dirent *e;
    DIR *dir = opendir(m->place);
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        (void)unlinkat(dirfd(dir), e->d_name, 0); /* not "." and ".." */
    }
    (void)closedir(dir);
    file_write(m->place, "log-1.resp", buf_readable(&m->file[0]));
    file_write(m->place, "log-2.resp", buf_readable(&m->file[1]));
    file_write(m->place, "manifest", slice_of(manifest));
}

/* The manifest's text for these files. */
static char *manifest_of(const struct made *m, uint32_t count)
{
    struct log_dir d;
    struct buf text;
    char *why = NULL;
    uint64_t files[] = {1, 2};
    buf_init(&text);
    assert_true(log_dir_open(&d, m->place, LOG_DIR_OWN, &why));
    assert_true(log_dir_commit(&d, files, count));
    log_dir_close(&d);
    file_read(m->place, "manifest", &text);
    buf_append_char(&text, '\0');
    char *copy = xstrdup(buf_readable(&text).ptr);
    buf_fini(&text);
    return copy;
}

/* In memory where that is possible: this is some thousand starts, each with its syncs. */
static char *fast_place(void)
{
    char *path = xstrdup("/dev/shm/freshet-unit-persist-XXXXXX");
    if (mkdtemp(path) != NULL) {
        return path;
    }
    free(path);
    return place_make();
}

static void made_init(struct made *m)
{
    *m = (struct made){.place = fast_place()};
    buf_init(&m->file[0]);
    buf_init(&m->file[1]);
    buf_init(&m->seen);
}

static void made_fini(struct made *m)
{
    place_remove(m->place);
    buf_fini(&m->file[0]);
    buf_fini(&m->file[1]);
    buf_fini(&m->seen);
}

/* --- reading it ------------------------------------------------------------------------------------- */

static bool run(void *arg, const struct slice *argv, uint32_t argc, struct slice *ret_error)
{
    struct made *m = arg;
    for (uint32_t i = 0; i < argc; i++) {
        buf_printf(&m->seen, "%s%.*s", i > 0 ? " " : "", (int)argv[i].len, argv[i].ptr);
    }
    buf_append_char(&m->seen, '\n');
    return true;
}

static bool go_on(void *arg, uint64_t done_bytes, uint64_t all_bytes)
{
    return done_bytes <= all_bytes;
}

static void safe_moved(void *arg)
{
}

/* Reads the log as a start does; NULL or why it was refused. */
static char *load(struct made *m, struct store *store)
{
    static const uint8_t dbs[] = {0};
    struct persist_options options = {.dir = m->place,
                                      .store = store,
                                      .dbs = dbs,
                                      .db_count = 1,
                                      .arg = m,
                                      .safe_moved = safe_moved};
    char *why = NULL;
    buf_clear(&m->seen);
    struct persist *log = persist_open(&options, &why);
    if (log == NULL) {
        assert_non_null(why);
        return why;
    }
    enum persist_loaded result =
        persist_load(log, &(struct persist_reader){.arg = m, .run = run, .go_on = go_on}, &why);
    assert_true((result == PERSIST_LOADED) == (why == NULL));
    persist_stop(&log);
    return why;
}

static struct store *make_store(void)
{
    struct store_space_options space = {.name = "q", .budget_bytes = 8 * MB, .durable = true};
    uint8_t db_space[] = {0};
    return store_create(&(struct store_options){
        .threads = 1, .space_count = 1, .spaces = &space, .db_count = 1, .db_space = db_space});
}

/* What reading the first groups of the files gives. */
static void expect(const struct made *m, const uint32_t groups[2], struct buf *out)
{
    for (int f = 0; f < 2; f++) {
        struct group_reader r;
        struct slice rest;
        group_reader_init(&r, (struct slice){buf_readable(&m->file[f]).ptr, m->ends[f][groups[f]]});
        while (group_read(&r, &rest) == GROUP_READ) {
            while (rest.len > 0 && group_next_command(&r, &rest)) {
                for (uint32_t i = 0;
                     i < r.parser.argc && !slice_is(r.parser.argv[0], "FRESHET.LOG"); i++) {
                    buf_printf(out, "%s%.*s", i > 0 ? " " : "", (int)r.parser.argv[i].len,
                               r.parser.argv[i].ptr);
                }
                if (!slice_is(r.parser.argv[0], "FRESHET.LOG")) {
                    buf_append_char(out, '\n');
                }
            }
        }
        group_reader_fini(&r);
    }
}

static bool has_seen(struct made *m, uint32_t first, uint32_t second)
{
    struct buf text;
    buf_init(&text);
    expect(m, (uint32_t[]){first, second}, &text);
    bool same = slice_eq(buf_readable(&text), buf_readable(&m->seen));
    buf_fini(&text);
    return same;
}

/* The group of the file in which the byte lies; 0: the header. */
static uint32_t group_of(const struct made *m, int f, size_t at)
{
    uint32_t g = 0;
    while (g < m->groups[f] && at >= m->ends[f][g]) {
        g++;
    }
    return g;
}

static void assert_says(const char *why, const char *words, size_t at)
{
    if (strstr(why, words) == NULL) {
        fail_msg("byte %zu: \"%s\" is not in: %s", at, words, why);
    }
}

static void repair(const struct made *m)
{
    struct buf out;
    buf_init(&out);
    if (!persist_repair_dir(m->place, &out)) {
        buf_append_char(&out, '\0');
        fail_msg("not repaired: %s", buf_readable(&out).ptr);
    }
    buf_fini(&out);
}

/* --- the tests ----------------------------------------------------------------------------------------- */

/* Refused: says where, and after a repair everything before the damage is there. */
static void check_refused(struct made *m, struct store *store, char *why, int f, size_t at)
{
    char place[64];
    uint32_t g = group_of(m, f, at);
    (void)snprintf(place, sizeof(place), "log-%d.resp is damaged at byte %zu:", f + 1,
                   g == 0 ? (size_t)0 : m->ends[f][g - 1]);
    assert_says(why, place, at);
    assert_says(why, "freshet log repair", at);
    free(why);
    repair(m);
    why = load(m, store);
    if (why != NULL) {
        fail_msg("byte %zu: after the repair: %s", at, why);
    }
    uint32_t before = g == 0 ? 0 : g - 1;
    assert_true(has_seen(m, f == 0 ? before : m->groups[0], f == 0 ? 0 : before));
}

/* Damages byte `at` of file `f` and looks what a start says. */
static void damage(struct made *m, struct store *store, const char *manifest, int f, size_t at,
                   unsigned char change)
{
    bool is_last = f == (m->groups[1] > 0 ? 1 : 0);
    char name[32];
    struct buf *file = &m->file[f];
    put_back(m, manifest);
    (void)snprintf(name, sizeof(name), "log-%d.resp", f + 1);
    char *byte = file->mem + file->start + at;
    char was = *byte;
    *byte = (char)((unsigned char)was ^ change);
    file_write(m->place, name, buf_readable(file));
    *byte = was;
    char *why = load(m, store);
    if (why != NULL) {
        check_refused(m, store, why, f, at);
        return;
    }
    /* Read, then, but for the last group: only that can have been an unfinished write. */
    uint32_t last = m->groups[f];
    if (!is_last || group_of(m, f, at) != last) {
        fail_msg("byte %zu of file %d changed by %02x, and nobody noticed", at, f + 1, change);
    }
    assert_true(has_seen(m, f == 0 ? last - 1 : m->groups[0], f == 0 ? 0 : last - 1));
}

static void a_changed_byte_is_never_believed(void **state)
{
    static const unsigned char changes[] = {0x01, 0x80, 0x0f};
    struct store *store = make_store();
    struct made m;
    made_init(&m);
    for (int with_second = 0; with_second < 2; with_second++) {
        make(&m, with_second);
        char *manifest = manifest_of(&m, with_second ? 2 : 1);
        for (int f = 0; f <= with_second; f++) {
            for (size_t at = 0; at < buf_len(&m.file[f]); at++) {
                damage(&m, store, manifest, f, at, changes[at % sizeof(changes)]);
            }
        }
        free(manifest);
    }
    made_fini(&m);
    store_destroy(&store);
}

/* How many groups are whole before this length; -1: not even the header. */
static int whole_groups(const struct made *m, int f, size_t len)
{
    int g = -1;
    while (g < (int)m->groups[f] && m->ends[f][g + 1] <= len) {
        g++;
    }
    return g;
}

static void the_last_file_cut_anywhere_ends_with_its_last_whole_group(void **state)
{
    struct store *store = make_store();
    struct made m;
    made_init(&m);
    for (int f = 0; f < 2; f++) {
        make(&m, f == 1);
        char *manifest = manifest_of(&m, (uint32_t)f + 1);
        char name[32];
        (void)snprintf(name, sizeof(name), "log-%d.resp", f + 1);
        for (size_t len = 0; len <= buf_len(&m.file[f]); len++) {
            int whole = whole_groups(&m, f, len);
            put_back(&m, manifest);
            file_write(m.place, name, (struct slice){buf_readable(&m.file[f]).ptr, len});
            char *why = load(&m, store);
            /* Files enter the manifest with a header that is on the disk. And what a rewrite made is
             * nothing without its mark, when nothing is before it. */
            bool is_refused = whole < 0 || (f == 0 && whole < 2);
            if (is_refused != (why != NULL)) {
                fail_msg("cut at byte %zu of file %d: %s", len, f + 1, why != NULL ? why : "read");
            }
            if (is_refused) {
                assert_says(why, "freshet log", len);
                free(why);
                repair(&m);
                assert_null(load(&m, store));
            }
            uint32_t g = whole < 0 ? 0 : (uint32_t)whole;
            assert_true(has_seen(&m, f == 0 ? g : m.groups[0], f == 0 ? 0 : g));
        }
        free(manifest);
    }
    made_fini(&m);
    store_destroy(&store);
}

/* It was synced before the next was written to: what is missing at its end may have been acknowledged. */
static void a_file_cut_anywhere_before_another_is_damaged(void **state)
{
    struct store *store = make_store();
    struct made m;
    made_init(&m);
    make(&m, true);
    char *manifest = manifest_of(&m, 2);
    for (uint32_t groups = m.groups[1]; groups > 0; groups--) {
        for (size_t len = 0; len < buf_len(&m.file[0]); len++) {
            put_back(&m, manifest);
            file_write(m.place, "log-1.resp", (struct slice){buf_readable(&m.file[0]).ptr, len});
            file_write(m.place, "log-2.resp",
                       (struct slice){buf_readable(&m.file[1]).ptr, m.ends[1][groups]});
            char *why = load(&m, store);
            if (why == NULL) {
                fail_msg("cut at byte %zu before a file of %u groups: not noticed", len, groups);
            }
            assert_says(why, "freshet log repair", len);
            free(why);
            repair(&m);
            assert_null(load(&m, store));
            int whole = whole_groups(&m, 0, len);
            assert_true(has_seen(&m, whole < 0 ? 0 : (uint32_t)whole, 0));
        }
    }
    free(manifest);
    made_fini(&m);
    store_destroy(&store);
}

/* Even one with a single small group. */
static void a_small_log_without_its_manifest_is_not_taken_for_none(void **state)
{
    struct store *store = make_store();
    struct made m;
    made_init(&m);
    begin_file(&m, 0, 1, false);
    assert_true(buf_len(&m.file[0]) <= LOG_HEADER_MAX);
    begin_file(&m, 0, 1, true);
    assert_int_equal(buf_len(&m.file[0]), LOG_HEADER_MAX);
    begin_file(&m, 0, 1, false);
    put_group(&m, 0, 1, "*1\r\n$1\r\nX\r\n");
    assert_true(buf_len(&m.file[0]) > LOG_HEADER_MAX);
    file_write(m.place, "log-1.resp", buf_readable(&m.file[0]));
    char *why = load(&m, store);
    assert_says(why, "freshet log repair", 0);
    free(why);
    repair(&m);
    assert_null(load(&m, store));
    buf_append_char(&m.seen, '\0');
    assert_string_equal(buf_readable(&m.seen).ptr, "X\n");
    made_fini(&m);
    store_destroy(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_byte_is_never_believed),
        cmocka_unit_test(the_last_file_cut_anywhere_ends_with_its_last_whole_group),
        cmocka_unit_test(a_file_cut_anywhere_before_another_is_damaged),
        cmocka_unit_test(a_small_log_without_its_manifest_is_not_taken_for_none),
    };
    hash_setup_seed(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
