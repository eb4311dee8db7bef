/* SPDX-License-Identifier: BSD-3-Clause */
#include "serve/http_bounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct policy_limits limits = {
    .http_head_max = 16384,
    .http_body_max = 8 << 20,
    .http_idle_ms = 75000,
    .http_body_rate = 1024,
    .http_body_ms = 600000,
};

static void a_body_has_idle_time_and_a_second_for_each_rate(void **state)
{
    assert_int_equal(http_body_deadline(&limits, 1000, 0), 76000);
    assert_int_equal(http_body_deadline(&limits, 1000, 1023), 76999);
    assert_int_equal(http_body_deadline(&limits, 1000, 1024), 77000);
    assert_int_equal(http_body_deadline(&limits, 1000, 100 * 1024), 176000);
}

static void a_body_never_has_more_than_its_whole_time(void **state)
{
    assert_int_equal(http_body_deadline(&limits, 1000, 525 * 1024), 601000);
    assert_int_equal(http_body_deadline(&limits, 1000, 8 << 20), 601000);
    assert_int_equal(http_body_deadline(&limits, 1000, SIZE_MAX / 2000), 601000);
}

static void limits_are_named_with_their_size(void **state)
{
    char detail[HTTP_DETAIL_MAX];
    http_refusal_detail(&limits, 413, "too large", detail);
    assert_string_equal(detail, "too large: 8388608 bytes (limits.http_body)");
    http_refusal_detail(&limits, 414, "too long", detail);
    assert_string_equal(detail, "too long: 8192 bytes (half of limits.http_head)");
    http_refusal_detail(&limits, 431, "too many", detail);
    assert_non_null(strstr(detail, "16384 bytes (limits.http_head) and 100 headers"));
    http_refusal_detail(&limits, 400, "as it is", detail);
    assert_string_equal(detail, "as it is");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_has_idle_time_and_a_second_for_each_rate),
        cmocka_unit_test(a_body_never_has_more_than_its_whole_time),
        cmocka_unit_test(limits_are_named_with_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
