/* SPDX-License-Identifier: BSD-3-Clause */
/* values: durations, sizes, counts, choices, addresses; each read exactly or refused. */
#include "policy_test.h"

#include "policy/values.h"

static struct arena arena;

static int setup(void **state)
{
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    arena_fini(&arena);
    return 0;
}

struct number {
    const char *text;
    bool ok;
    uint64_t value;
};

static void durations_have_one_number_and_one_unit(void **state)
{
    static const struct number rows[] = {
        {"500ms", true, 500},
        {"3s", true, 3000},
        {"15m", true, 900000},
        {"2h", true, 7200000},
        {"30d", true, 2592000000},
        {"0", true, 0},
        {"0s", true, 0},
        {"007s", true, 7000},
        {"15 m", true, 900000},
        {"", false, 0},
        {"s", false, 0},
        {"15", false, 0},
        {"-5s", false, 0},
        {"1.5h", false, 0},
        {"1h30m", false, 0},
        {"5S", false, 0},
        {"5min", false, 0},
        {"5s ", false, 0},
        {" 5s", false, 0},
        {"5\ts", false, 0},
        {"99999999999999999999s", false, 0},
        {"18446744073709551615d", false, 0},
        {"0x5s", false, 0},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        uint64_t value = 12345;
        const char *why = NULL;
        bool ok = policy_parse_duration(rows[i].text, &value, &why);
        if (ok != rows[i].ok || (ok && value != rows[i].value) || (!ok && why == NULL)) {
            fail_msg("\"%s\": %d %llu", rows[i].text, ok, (unsigned long long)value);
        }
    }
}

static void sizes_are_powers_of_1024(void **state)
{
    static const struct number rows[] = {
        {"400MB", true, 400ULL << 20},
        {"64 KB", true, 65536},
        {"1G", true, 1ULL << 30},
        {"2GiB", true, 2ULL << 30},
        {"512B", true, 512},
        {"1tb", true, 1ULL << 40},
        {"16k", true, 16384},
        {"0", true, 0},
        {"", false, 0},
        {"MB", false, 0},
        {"400", false, 0},
        {"1.5GB", false, 0},
        {"-1MB", false, 0},
        {"4XB", false, 0},
        {"4BB", false, 0},
        {"4BiB", false, 0},
        {"4MBs", false, 0},
        {"4 M B", false, 0},
        {"1e3MB", false, 0},
        {"18446744073709551615KB", false, 0},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        uint64_t value = 12345;
        const char *why = NULL;
        bool ok = policy_parse_size(rows[i].text, &value, &why);
        if (ok != rows[i].ok || (ok && value != rows[i].value) || (!ok && why == NULL)) {
            fail_msg("\"%s\": %d %llu", rows[i].text, ok, (unsigned long long)value);
        }
    }
}

static void formatting_is_the_shortest_exact_form(void **state)
{
    assert_string_equal(policy_format_duration(&arena, 0), "0");
    assert_string_equal(policy_format_duration(&arena, 1), "1ms");
    assert_string_equal(policy_format_duration(&arena, 90000), "90s");
    assert_string_equal(policy_format_duration(&arena, 3600000), "1h");
    assert_string_equal(policy_format_duration(&arena, 49ULL * 86400000), "49d");
    assert_string_equal(policy_format_size(&arena, 0), "0");
    assert_string_equal(policy_format_size(&arena, 1000), "1000B");
    assert_string_equal(policy_format_size(&arena, 65536), "64KB");
    assert_string_equal(policy_format_size(&arena, 1ULL << 40), "1TB");
}

static void formatted_values_read_back(void **state)
{
    const char *why;
    for (uint64_t seed = 1, i = 0; i < 1000; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        uint64_t in = seed >> 24;
        uint64_t out;
        assert_true(policy_parse_duration(policy_format_duration(&arena, in), &out, &why));
        assert_int_equal(in, out);
        assert_true(policy_parse_size(policy_format_size(&arena, in), &out, &why));
        assert_int_equal(in, out);
    }
}

static void choices_suggest_the_near_one(void **state)
{
    uint64_t index;
    const char *why;
    assert_true(policy_parse_choice(&arena, "ttl|follow|strict", "ttl", &index, &why));
    assert_int_equal(index, 0);
    assert_true(policy_parse_choice(&arena, "ttl|follow|strict", "strict", &index, &why));
    assert_int_equal(index, 2);
    assert_false(policy_parse_choice(&arena, "ttl|follow|strict", "strickt", &index, &why));
    assert_string_equal(why, "is none of ttl/follow/strict; did you mean `strict`?");
    assert_false(policy_parse_choice(&arena, "ttl|follow|strict", "eventual", &index, &why));
    assert_string_equal(why, "is none of ttl/follow/strict");
    assert_false(policy_parse_choice(&arena, "ttl|follow|strict", "ttl|follow", &index, &why));
    assert_false(policy_parse_choice(&arena, "ttl|follow|strict", "", &index, &why));
    assert_false(policy_parse_choice(&arena, "ttl|follow|strict", "TTL", &index, &why));
}

static void addresses_know_who_can_reach_them(void **state)
{
    static const struct {
        const char *text;
        bool is_local;
    } rows[] = {
        {"127.0.0.1:6380", true},
        {"127.9.9.9:1", true},
        {"localhost:0", true},
        {"[::1]:6380", true},
        {"unix:/run/freshet.sock", true},
        {"0.0.0.0:80", false},
        {":80", false},
        {"[::]:80", false},
        {"10.0.0.1:65535", false},
        {"shop.example.com:443", false},
        {"[2001:db8::1]:80", false},
        {"[::ffff:127.0.0.1]:80", false},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        bool is_local = !rows[i].is_local;
        const char *why = "";
        if (!policy_parse_address(&arena, rows[i].text, &is_local, &why) ||
            is_local != rows[i].is_local) {
            fail_msg("%s: %d %s", rows[i].text, is_local, why);
        }
    }
}

static void unix_paths_fit_a_socket_address(void **state)
{
    char text[5 + 108 + 1] = "unix:/";
    bool is_local;
    const char *why;
    memset(text + 6, 'a', sizeof(text) - 7);
    text[5 + 107] = '\0';
    assert_true(policy_parse_address(&arena, text, &is_local, &why));
    text[5 + 107] = 'a';
    text[5 + 108] = '\0';
    assert_false(policy_parse_address(&arena, text, &is_local, &why));
    assert_string_equal(why, "has a longer path than a Unix socket can have (107 bytes)");
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "6380",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:080",
        "127.0.0.1:80x",
        "256.0.0.1:80",
        "1.2.3:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1",
        "[]:80",
        "[localhost]:80",
        "unix:",
        "unix:relative",
        "unix",
        "a b:80",
        "-a:80",
        "http://a:80",
        "a/b:80",
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        bool is_local;
        const char *why = NULL;
        if (policy_parse_address(&arena, rows[i], &is_local, &why) || why == NULL) {
            fail_msg("\"%s\" was taken", rows[i]);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_one_number_and_one_unit),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(formatting_is_the_shortest_exact_form),
        cmocka_unit_test(formatted_values_read_back),
        cmocka_unit_test(choices_suggest_the_near_one),
        cmocka_unit_test(addresses_know_who_can_reach_them),
        cmocka_unit_test(unix_paths_fit_a_socket_address),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests_name("values", tests, setup, teardown);
}
