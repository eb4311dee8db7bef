/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * llhttp behind three functions. What it sees is counted into the caller's struct opinion.
 */
#include "opinion.h"

#include <llhttp.h>
#include <stdio.h>
#include <string.h>

static llhttp_t parser;

static int on_headers_complete(llhttp_t *p)
{
    struct opinion *o = p->data;
    o->heads++;
    o->chunked = (p->flags & F_CHUNKED) != 0;
    o->length = p->content_length;
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t length)
{
    struct opinion *o = p->data;
    o->seen += length;
    return 0;
}

static int on_message_complete(llhttp_t *p)
{
    struct opinion *o = p->data;
    o->messages++;
    return 0;
}

void opinion_start(struct opinion *o)
{
    static llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_headers_complete = on_headers_complete;
    settings.on_body = on_body;
    settings.on_message_complete = on_message_complete;
    *o = (struct opinion){.heads = 0};
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = o;
}

/* llhttp stops behind the byte that it refuses; the position is only good while `bytes` are. */
static bool is_of_extension(llhttp_errno_t e, struct slice bytes)
{
    const char *at = llhttp_get_error_pos(&parser);
    if (e != HPE_STRICT || at <= bytes.ptr || at > bytes.ptr + bytes.len) {
        return false;
    }
    unsigned char c = (unsigned char)at[-1];
    return (c >= ' ' || c == '\t') && c != 0x7f &&
           strcmp(llhttp_get_error_reason(&parser), "Invalid character in chunk extensions") == 0;
}

/* Behind our own head, only a trailer can be meant. */
static bool is_of_trailer(llhttp_errno_t e)
{
    return e == HPE_INVALID_TRANSFER_ENCODING || e == HPE_INVALID_CONTENT_LENGTH ||
           e == HPE_UNEXPECTED_CONTENT_LENGTH;
}

bool opinion_takes(struct slice bytes)
{
    struct opinion *o = parser.data;
    if (!o->refused) {
        llhttp_errno_t e = llhttp_execute(&parser, bytes.ptr, bytes.len);
        o->refused = e != HPE_OK && e != HPE_PAUSED_UPGRADE;
        o->known = o->refused && (is_of_extension(e, bytes) || is_of_trailer(e));
    }
    return !o->refused;
}

const char *opinion_reason(void)
{
    static char text[160];
    const char *reason = llhttp_get_error_reason(&parser);
    (void)snprintf(text, sizeof(text), "%s %s", llhttp_errno_name(llhttp_get_errno(&parser)),
                   reason != NULL ? reason : "");
    return text;
}
