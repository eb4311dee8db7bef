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

bool opinion_takes(struct slice bytes)
{
    struct opinion *o = parser.data;
    if (!o->refused) {
        llhttp_errno_t e = llhttp_execute(&parser, bytes.ptr, bytes.len);
        o->refused = e != HPE_OK && e != HPE_PAUSED_UPGRADE;
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
