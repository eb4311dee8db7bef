/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accept-Encoding: may this answer be compressed, must it be? RFC 9110 12.4.2, 12.5.3.
 *
 *     Accept-Encoding = #( ( coding | "identity" | "*" ) [ OWS ";" OWS "q=" weight ] )
 *
 * Weights are counted in thousandths. A coding that is not named has the weight of "*". A member that is
 * malformed is not there: the worst that follows is an answer without a coding, which everybody reads.
 * A request without the field could be answered in any coding; it gets none.
 *
 * Threads: none; pure.
 */
#include "http/chars.h"
#include "http/http.h"

enum { UNNAMED = -1, WHOLE = 1000 };

struct weights {
    int gzip;
    int identity;
    int any;
};

static struct slice skip_space(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s = slice_from(s, 1);
    }
    return s;
}

/* "0.125" -> 125; UNNAMED when it is no weight. */
static int weight_of(struct slice text)
{
    if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
        (text.len > 1 && text.ptr[1] != '.')) {
        return UNNAMED;
    }
    int value = (text.ptr[0] - '0') * WHOLE;
    int place = WHOLE / 10;
    for (size_t i = 2; i < text.len; i++, place /= 10) {
        if (!http_is(text.ptr[i], HTTP_DIGIT)) {
            return UNNAMED;
        }
        value += (text.ptr[i] - '0') * place;
    }
    return value <= WHOLE ? value : UNNAMED;
}

/* What follows the coding's name: nothing, or one weight. */
static int member_weight(struct slice rest)
{
    rest = skip_space(rest);
    if (rest.len == 0) {
        return WHOLE;
    }
    if (rest.ptr[0] != ';') {
        return UNNAMED;
    }
    rest = skip_space(slice_from(rest, 1));
    if (rest.len < 2 || (rest.ptr[0] | 0x20) != 'q' || rest.ptr[1] != '=') {
        return UNNAMED;
    }
    rest = slice_from(rest, 2);
    while (rest.len > 0 && (rest.ptr[rest.len - 1] == ' ' || rest.ptr[rest.len - 1] == '\t')) {
        rest.len--;
    }
    return weight_of(rest);
}

static void read_member(struct weights *w, struct slice member)
{
    member = skip_space(member);
    const char *end = http_skip(member.ptr, member.ptr + member.len, HTTP_TOKEN);
    struct slice name = {member.ptr, (size_t)(end - member.ptr)};
    int weight = member_weight(slice_from(member, name.len));
    if (name.len == 0 || weight == UNNAMED) {
        return;
    }
    if (slice_is_nocase(name, "gzip") || slice_is_nocase(name, "x-gzip")) {
        w->gzip = weight;
    } else if (slice_is_nocase(name, "identity")) {
        w->identity = weight;
    } else if (slice_is(name, "*")) {
        w->any = weight;
    }
}

static void read_list(struct weights *w, struct slice list)
{
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma != NULL ? (size_t)(comma - list.ptr) : list.len;
        read_member(w, (struct slice){list.ptr, len});
        list = slice_from(list, len < list.len ? len + 1 : len);
    }
}

struct http_codings http_accepted_codings(const struct http_request *req)
{
    struct weights w = {UNNAMED, UNNAMED, UNNAMED};
    for (uint32_t i = 0; i < req->header_count; i++) {
        if (slice_is_nocase(req->header[i].name, "Accept-Encoding")) {
            read_list(&w, req->header[i].value);
        }
    }
    int gzip = w.gzip != UNNAMED ? w.gzip : w.any;
    int identity = w.identity != UNNAMED ? w.identity : w.any;
    return (struct http_codings){
        .gzip = gzip > 0 && gzip >= identity,
        .identity = identity != 0,
    };
}
