/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lines "name: value" of explain as one JSON object. Names keep the order in which they first
 * come; one that may come several times is a list even when it comes once, so that a program need
 * not look.
 *
 * Threads: pure, but for printing.
 */
#include "cli/explain_json.h"

#include "base/json.h"

#include <stdio.h>

/* The next "name: value" of the text; false at its end. */
static bool next_line(struct slice *text, struct slice *ret_name, struct slice *ret_value)
{
    if (text->len == 0) {
        return false;
    }
    const char *end = memchr(text->ptr, '\n', text->len);
    size_t len = end != NULL ? (size_t)(end - text->ptr) : text->len;
    const char *colon = memmem(text->ptr, len, ": ", 2);
    size_t name_len = colon != NULL ? (size_t)(colon - text->ptr) : len;
    *ret_name = (struct slice){text->ptr, name_len};
    *ret_value = slice_from((struct slice){text->ptr, len}, colon != NULL ? name_len + 2 : len);
    *text = slice_from(*text, end != NULL ? len + 1 : len);
    return true;
}

static bool may_repeat(struct slice name)
{
    return slice_is(name, "rule") || slice_is(name, "reads") || slice_is(name, "depends on") ||
           slice_is(name, "hint");
}

static void put_name(struct buf *out, struct slice name)
{
    size_t at = buf_len(out);
    json_put_string(out, name);
    for (char *c = out->mem + out->start + at; c < out->mem + out->end; c++) {
        *c = *c == ' ' ? '_' : *c;
    }
    buf_append_char(out, ':');
}

/* Every value of that name in the text. */
static void put_list(struct buf *out, struct slice text, struct slice wanted)
{
    struct slice name;
    struct slice value;
    const char *between = "[";
    while (next_line(&text, &name, &value)) {
        if (slice_eq(name, wanted)) {
            buf_append_str(out, between);
            json_put_string(out, value);
            between = ",";
        }
    }
    buf_append_char(out, ']');
}

/* Has a line before `wanted` the same name? */
static bool is_again(struct slice text, struct slice wanted)
{
    struct slice name;
    struct slice value;
    while (next_line(&text, &name, &value) && name.ptr < wanted.ptr) {
        if (slice_eq(name, wanted)) {
            return true;
        }
    }
    return false;
}

void explain_json_print(struct slice text)
{
    struct buf out;
    struct slice rest = text;
    struct slice name;
    struct slice value;
    const char *between = "{";
    buf_init(&out);
    while (next_line(&rest, &name, &value)) {
        if (is_again(text, name)) {
            continue;
        }
        buf_append_str(&out, between);
        put_name(&out, name);
        if (may_repeat(name)) {
            put_list(&out, text, name);
        } else {
            json_put_string(&out, value);
        }
        between = ",";
    }
    buf_append_str(&out, "}\n");
    (void)fwrite(buf_readable(&out).ptr, 1, buf_len(&out), stdout);
    buf_fini(&out);
}
