/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fields that are numbers: HINCRBY, HINCRBYFLOAT. An absent field counts as 0. Fractions are long doubles,
 * written as INCRBYFLOAT writes them.
 */
#include "serve/edit.h"

#include "base/number.h"
#include "base/real.h"

#include <math.h>

/* Inside the edit, before anything is written. */
static bool find_field(const struct client_edit *e, struct slice name,
                       struct coll_element *ret_field)
{
    return e->item != NULL && coll_find(&e->hold, e->item, name, ret_field);
}

static enum err put_text(struct client_edit *e, struct slice name, struct slice text)
{
    struct coll_element field = {.name = name, .value = text};
    return coll_put(&e->hold, STORE_HASH, &field, &e->meta, NULL);
}

/* --- integers --------------------------------------------------------------------------------- */

/* NULL, or the error to reply. */
static const char *add_integer(struct client_edit *e, struct slice name, int64_t delta,
                               int64_t *ret_sum)
{
    struct coll_element old;
    *ret_sum = 0;
    if (find_field(e, name, &old) && !number_parse_i64(old.value, ret_sum)) {
        return "ERR hash value is not an integer";
    }
    if (__builtin_add_overflow(*ret_sum, delta, ret_sum)) {
        return "ERR increment or decrement would overflow";
    }
    return NULL;
}

/* Ends the edit. False after replying why nothing was stored. */
static bool end_sum(struct resp_client *c, struct client_edit *e, const char *why, enum err err)
{
    client_edit_end(c, e);
    if (why != NULL) {
        resp_error(&c->conn.out, "%s", why);
    } else if (err != ERR_OK) {
        reply_err(c, err);
    }
    return why == NULL && err == ERR_OK;
}

void cmd_hincrby(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    int64_t delta;
    struct client_edit e __attribute__((uninitialized));
    if (!arg_integer(c, argv[3], &delta) || !client_edit_begin(c, argv[1], STORE_HASH, &e)) {
        return;
    }
    int64_t sum;
    const char *why = add_integer(&e, argv[2], delta, &sum);
    enum err err = ERR_OK;
    if (why == NULL) {
        char text[NUMBER_MAX_LEN];
        err = put_text(&e, argv[2], (struct slice){text, number_format_i64(text, sum)});
    }
    if (end_sum(c, &e, why, err)) {
        client_event(c, EVENT_HASH, "hincrby", argv[1]);
        reply_integer(c, sum);
    }
}

/* --- fractions -------------------------------------------------------------------------------- */

static const char *add_real(struct client_edit *e, struct slice name, long double delta,
                            long double *ret_sum)
{
    struct coll_element old;
    *ret_sum = 0;
    if (find_field(e, name, &old) && !real_parse_long(old.value, ret_sum)) {
        return "ERR hash value is not a float";
    }
    *ret_sum += delta;
    if (isnan(*ret_sum) || isinf(*ret_sum)) {
        return "ERR increment would produce NaN or Infinity";
    }
    return NULL;
}

void cmd_hincrbyfloat(struct resp_client *c, const struct slice *argv, uint32_t argc)
{
    long double delta;
    if (!real_parse_long(argv[3], &delta)) {
        reply_err(c, ERR_NOT_FLOAT);
        return;
    }
    if (isinf(delta)) {
        resp_error(&c->conn.out, "ERR value is NaN or Infinity");
        return;
    }
    struct client_edit e __attribute__((uninitialized));
    if (!client_edit_begin(c, argv[1], STORE_HASH, &e)) {
        return;
    }
    char text[REAL_LONG_MAX_LEN] __attribute__((uninitialized));
    struct slice value = {text, 0};
    long double sum;
    const char *why = add_real(&e, argv[2], delta, &sum);
    enum err err = ERR_OK;
    if (why == NULL) {
        value.len = real_format_long(text, sum);
        err = put_text(&e, argv[2], value);
    }
    if (end_sum(c, &e, why, err)) {
        client_event(c, EVENT_HASH, "hincrbyfloat", argv[1]);
        reply_bulk(c, value);
    }
}
