/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows as JSON, from the text that PostgreSQL sent: no value is parsed or rounded, so every digit
 * arrives. What it looks like is what PostgreSQL's own to_json() would write.
 *
 * Type oids are PostgreSQL's own fixed ones (catalog/pg_type.dat). Threads: pure.
 */
#include "serve/rows.h"

#include "base/json.h"

enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_JSONB = 3802,
};

/* NaN and infinities are no JSON numbers: strings, as PostgreSQL's to_json() writes them. */
static void put_number(struct buf *out, struct slice text)
{
    char last = text.ptr[text.len - 1];
    if (last >= '0' && last <= '9') {
        buf_append_slice(out, text);
    } else {
        json_put_string(out, text);
    }
}

/* "2026-01-31 10:00:00+00" -> "2026-01-31T10:00:00+00:00", as to_json() does. */
static void put_timestamp(struct buf *out, struct slice text, bool zone)
{
    size_t start = buf_len(out);
    json_put_string(out, text);
    char *json = out->mem + out->start + start;
    size_t len = buf_len(out) - start;
    char *space = memchr(json, ' ', len);
    if (space == NULL) {
        return; /* infinity */
    }
    *space = 'T';
    if (zone && len > 4 && (json[len - 4] == '+' || json[len - 4] == '-')) {
        buf_truncate(out, start + len - 1);
        buf_append_str(out, ":00\"");
    }
}

static void put_value(struct buf *out, unsigned oid, struct slice text)
{
    switch (oid) {
    case OID_BOOL:
        buf_append_str(out, text.ptr[0] == 't' ? "true" : "false");
        return;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
    case OID_FLOAT4:
    case OID_FLOAT8:
    case OID_NUMERIC:
        put_number(out, text);
        return;
    case OID_JSON:
    case OID_JSONB:
        buf_append_slice(out, text);
        return;
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        put_timestamp(out, text, oid == OID_TIMESTAMPTZ);
        return;
    default:
        json_put_string(out, text);
        return;
    }
}

static void put_cell(struct buf *out, const PGresult *rows, int row, int column)
{
    if (PQgetisnull(rows, row, column)) {
        buf_append_str(out, "null");
        return;
    }
    struct slice text = {PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
    if (text.len == 0) {
        buf_append_str(out, "\"\"");
        return;
    }
    put_value(out, PQftype(rows, column), text);
}

static void put_row(struct buf *out, const PGresult *rows, int row)
{
    int columns = PQnfields(rows);
    buf_append_char(out, '{');
    for (int column = 0; column < columns; column++) {
        if (column > 0) {
            buf_append_char(out, ',');
        }
        json_put_string(out, slice_of(PQfname(rows, column)));
        buf_append_char(out, ':');
        put_cell(out, rows, row, column);
    }
    buf_append_char(out, '}');
}

void rows_put_array(struct buf *out, const PGresult *rows)
{
    int count = PQntuples(rows);
    buf_append_char(out, '[');
    for (int row = 0; row < count; row++) {
        if (row > 0) {
            buf_append_char(out, ',');
        }
        put_row(out, rows, row);
    }
    buf_append_char(out, ']');
}

void rows_put_object(struct buf *out, const PGresult *rows)
{
    unsigned first = PQnfields(rows) == 1 ? PQftype(rows, 0) : 0;
    if (first == OID_JSON || first == OID_JSONB) {
        put_cell(out, rows, 0, 0);
    } else {
        put_row(out, rows, 0);
    }
}
