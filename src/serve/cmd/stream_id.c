/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading and writing ids of stream entries; stream_id.h says whose rules they follow.
 */
#include "serve/cmd/stream_id.h"

#include "base/number.h"

#include <errno.h>
#include <stdlib.h>

enum { TEXT_MAX = 127 };

int stream_id_compare(struct coll_id a, struct coll_id b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

bool stream_id_next(struct coll_id *id)
{
    if (id->seq == UINT64_MAX && id->ms == UINT64_MAX) {
        return false;
    }
    id->ms += id->seq == UINT64_MAX ? 1 : 0;
    id->seq++;
    return true;
}

static bool id_previous(struct coll_id *id)
{
    if (id->seq == 0 && id->ms == 0) {
        return false;
    }
    id->ms -= id->seq == 0 ? 1 : 0;
    id->seq--;
    return true;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool parse_part(const char *text, uint64_t *ret_value)
{
    int64_t plain;
    if (number_parse_i64(slice_of(text), &plain)) {
        *ret_value = (uint64_t)plain;
        return plain >= 0;
    }
    char *end;
    errno = 0;
    *ret_value = strtoull(text, &end, 10);
    return errno == 0 && text[0] != '\0' && *end == '\0';
}

/* `ret_has_seq` NULL: a star is no sequence. */
static bool parse_id(struct slice arg, uint64_t missing_seq, struct coll_id *ret_id,
                     bool *ret_has_seq)
{
    char text[TEXT_MAX + 1];
    if (arg.len > TEXT_MAX) {
        return false;
    }
    memcpy(text, arg.ptr, arg.len);
    text[arg.len] = '\0';
    struct coll_id id = {.seq = missing_seq};
    bool has_seq = true;
    char *dash = strchr(text, '-');
    if (dash != NULL) {
        *dash = '\0';
        has_seq = ret_has_seq == NULL || strcmp(dash + 1, "*") != 0;
        if (!has_seq) {
            id.seq = 0;
        } else if (!parse_part(dash + 1, &id.seq)) {
            return false;
        }
    }
    if (!parse_part(text, &id.ms)) {
        return false;
    }
    *ret_id = id;
    if (ret_has_seq != NULL) {
        *ret_has_seq = has_seq;
    }
    return true;
}

static bool refuse_unless(struct resp_client *c, bool fits)
{
    if (!fits) {
        resp_error(&c->conn.out, "ERR Invalid stream ID specified as stream command argument");
    }
    return fits;
}

bool arg_stream_id(struct resp_client *c, struct slice arg, uint64_t missing_seq,
                   struct coll_id *ret_id)
{
    return refuse_unless(c, parse_id(arg, missing_seq, ret_id, NULL));
}

bool arg_stream_new_id(struct resp_client *c, struct slice arg, struct coll_id *ret_id,
                       bool *ret_has_seq)
{
    return refuse_unless(c, parse_id(arg, 0, ret_id, ret_has_seq));
}

static bool parse_bound(struct resp_client *c, struct slice arg, uint64_t missing_seq,
                        struct coll_id *ret_id, bool *ret_excluded)
{
    *ret_excluded = arg.len > 1 && arg.ptr[0] == '(';
    if (!*ret_excluded && slice_is(arg, "-")) {
        *ret_id = (struct coll_id){0, 0};
        return true;
    }
    if (!*ret_excluded && slice_is(arg, "+")) {
        *ret_id = (struct coll_id){UINT64_MAX, UINT64_MAX};
        return true;
    }
    return arg_stream_id(c, slice_from(arg, *ret_excluded ? 1 : 0), missing_seq, ret_id);
}

bool arg_stream_start(struct resp_client *c, struct slice arg, struct coll_id *ret_id)
{
    bool excluded;
    if (!parse_bound(c, arg, 0, ret_id, &excluded)) {
        return false;
    }
    if (excluded && !stream_id_next(ret_id)) {
        resp_error(&c->conn.out, "ERR invalid start ID for the interval");
        return false;
    }
    return true;
}

bool arg_stream_end(struct resp_client *c, struct slice arg, struct coll_id *ret_id)
{
    bool excluded;
    if (!parse_bound(c, arg, UINT64_MAX, ret_id, &excluded)) {
        return false;
    }
    if (excluded && !id_previous(ret_id)) {
        resp_error(&c->conn.out, "ERR invalid end ID for the interval");
        return false;
    }
    return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

size_t stream_id_format(char out[STREAM_ID_LEN], struct coll_id id)
{
    size_t len = number_format_u64(out, id.ms);
    out[len++] = '-';
    return len + number_format_u64(out + len, id.seq);
}

void reply_stream_id(struct resp_client *c, struct coll_id id)
{
    char text[STREAM_ID_LEN];
    size_t len = stream_id_format(text, id);
    resp_bulk(&c->conn.out, (struct slice){text, len});
}
