/* SPDX-License-Identifier: BSD-3-Clause */
/* What PostgreSQL says, and the step that goes with it. */
#include "base/check.h"
#include "pg/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void advice_names_the_next_step(void **state)
{
    static const struct {
        const char *why;
        const char *sqlstate;
        const char *step;
    } cases[] = {
        {"logical decoding requires wal_level >= logical", "55000", "set wal_level = logical"},
        {"all replication slots are in use", "53400", "max_replication_slots"},
        {"must be superuser or replication role to start walsender", NULL, "REPLICATION"},
        {"FATAL:  password authentication failed for user \"x\"", NULL, "password"},
        {"publication \"freshet\" does not exist", NULL, "setup-sql"},
        {"connection to server at \"::1\", port 1 failed: Connection refused\n\tIs it?", NULL,
         "start PostgreSQL"},
        {"connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: FATAL:  role \"night\" is "
         "not "
         "permitted to log in",
         NULL, "ALTER ROLE \"night\" LOGIN"},
        {"permission denied for table product", "42501", "GRANT what it needs ON product"},
        {"permission denied for schema app", "42501", "GRANT USAGE ON SCHEMA app"},
        {"permission denied for function total", "42501", "GRANT EXECUTE ON FUNCTION total"},
        {"FATAL:  permission denied for database \"shop\"\nDETAIL:  No CONNECT.", NULL,
         "GRANT CONNECT ON DATABASE \"shop\""},
        {"number of requested standby connections exceeds max_wal_senders (currently 1)", NULL,
         "raise max_wal_senders"},
        {"sorry, too many clients already", NULL, "raise max_connections"},
        {"prepared statement \"s1\" does not exist", "26000", "pool_mode = session"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        char *text = pg_advice(cases[i].why, cases[i].sqlstate);
        assert_non_null(strstr(text, cases[i].step));
        assert_null(strpbrk(text, "\n\t"));
        free(text);
    }
    char *plain = pg_advice("something new", "99999");
    assert_string_equal(plain, "something new");
    free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advice_names_the_next_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
