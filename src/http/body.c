/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Takes the body that follows a head, by Content-Length or by chunks (RFC 9112 section 7.1).
 *
 *     chunked  =  *( size [ext] CRLF data CRLF )  "0" [ext] CRLF  *( trailer CRLF )  CRLF
 *
 *     state      reads                         next
 *     START      nothing                       FIXED or SIZE
 *     FIXED      `left` bytes                  END
 *     SIZE       hex digits                    EXT at ';', SIZE_LF at CR
 *     EXT        first byte of a name          EXT_NAME
 *     EXT_NAME   token, dropped                EXT_EQUALS at '=', SIZE_LF at CR
 *     EXT_EQUALS first byte of a value         EXT_VALUE
 *     EXT_VALUE  token, dropped                SIZE_LF at CR
 *     SIZE_LF    LF                            DATA, or LINE after the last chunk
 *     DATA       `left` bytes                  DATA_CR
 *     DATA_CR    CR                            DATA_LF
 *     DATA_LF    LF                            SIZE
 *     LINE       first byte of a trailer       NAME, or END_LF at CR
 *     NAME       token                         VALUE at ':'
 *     VALUE      dropped text                  VALUE_LF at CR
 *     VALUE_LF   LF                            LINE
 *     END_LF     LF                            END
 *
 * B1. One byte decides one transition, so the bytes may come cut anywhere.
 * B2. `seen` never passes body_max, and `overhead` never passes FRAMING_FLAT + 8 * seen: a client
 *     cannot make us read much and keep little. `line` bounds a single size line, and the trailers.
 * B3. Trailers are checked like headers and dropped: nothing here needs one, and a trailer that
 *     became a header would be a way around every check of the head.
 *
 * Threads: none; pure. Memory: the caller's `out`.
 */
#include "http/chars.h"
#include "http/framing.h"
#include "http/http.h"

enum {
    SIZE_DIGITS_MAX = 16,
    SIZE_LINE_MAX = 1024,
    FRAMING_FLAT = 16384,
    FRAMING_PER_BYTE = 8, /* one-byte chunks cost five; a large one next to nothing */
};

enum body_state {
    START, /* 0: the caller zeroes the struct */
    FIXED,
    SIZE,
    EXT,
    EXT_NAME,
    EXT_EQUALS,
    EXT_VALUE,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE,
    NAME,
    VALUE,
    VALUE_LF,
    END_LF,
    END,
};

static const char too_large[] = "the body is larger than this server takes";

static enum http_result move_to(struct http_body *b, enum body_state next)
{
    b->state = (int)next;
    return HTTP_DONE;
}

static enum http_result read_size(struct http_body *b, const struct http_limits *limits, char c,
                                  struct http_refusal *ret_refusal)
{
    if (http_is(c, HTTP_HEX)) {
        if (b->line > SIZE_DIGITS_MAX) {
            return http_refuse(ret_refusal, 400, "a chunk size has more than 16 digits");
        }
        b->left = b->left << 4 | http_hex_value(c);
        if (b->left > limits->body_max - b->seen) {
            return http_refuse(ret_refusal, 413, too_large);
        }
        return HTTP_DONE;
    }
    if (b->line == 1) {
        return http_refuse(ret_refusal, 400, "a chunk does not begin with its size");
    }
    if (c == ';') {
        return move_to(b, EXT);
    }
    if (c == '\r') {
        return move_to(b, SIZE_LF);
    }
    return http_refuse(ret_refusal, 400, "a chunk size is not a plain hexadecimal number");
}

/* Nobody sends the white space, the quotes and the lists that the grammar would allow here, and readers
 * differ on them: a line end inside quotes has hidden requests. */
static enum http_result read_ext(struct http_body *b, char c, struct http_refusal *ret_refusal)
{
    bool in_word = b->state == EXT_NAME || b->state == EXT_VALUE;
    if (in_word && c == '\r') {
        return move_to(b, SIZE_LF);
    }
    if (b->state == EXT_NAME && c == '=') {
        return move_to(b, EXT_EQUALS);
    }
    if (!http_is(c, HTTP_TOKEN)) {
        return http_refuse(ret_refusal, 400, "a chunk extension is more than one plain name=value");
    }
    return move_to(b, b->state == EXT || b->state == EXT_NAME ? EXT_NAME : EXT_VALUE);
}

/* A trailer that frames is meant for a reader who takes it for a header. The name comes byte by byte: how
 * far does it go along with each of these? */
static const char *const framing_names[] = {"content-length", "transfer-encoding"};

static void follow_name(struct http_body *b, char c)
{
    if (b->state == LINE) {
        b->name_len = 0;
        b->name_differs = 0;
    }
    for (size_t i = 0; i < array_len(framing_names); i++) {
        const char *name = framing_names[i];
        if (b->name_len >= strlen(name) ||
            name[b->name_len] != (c >= 'A' && c <= 'Z' ? c | 0x20 : c)) {
            b->name_differs |= (uint8_t)(1U << i);
        }
    }
    b->name_len++;
}

static bool is_framing_name(const struct http_body *b)
{
    for (size_t i = 0; i < array_len(framing_names); i++) {
        if ((b->name_differs & 1U << i) == 0 && b->name_len == strlen(framing_names[i])) {
            return true;
        }
    }
    return false;
}

static enum http_result read_name(struct http_body *b, char c, struct http_refusal *ret_refusal)
{
    if (http_is(c, HTTP_TOKEN)) {
        follow_name(b, c);
        return move_to(b, NAME);
    }
    if (b->state == LINE && c == '\r') {
        return move_to(b, END_LF);
    }
    if (b->state == NAME && c == ':') {
        return is_framing_name(b)
                   ? http_refuse(ret_refusal, 400, "a trailer says where the message would end")
                   : move_to(b, VALUE);
    }
    return http_refuse(ret_refusal, 400, "a trailer is malformed");
}

static enum http_result read_value(struct http_body *b, char c, struct http_refusal *ret_refusal)
{
    if (c == '\r') {
        return move_to(b, VALUE_LF);
    }
    if (!http_is(c, HTTP_TEXT)) {
        return http_refuse(ret_refusal, 400, "a trailer has a control character");
    }
    return HTTP_DONE;
}

/* `c` must be this one byte of a line end. */
static enum http_result read_exact(struct http_body *b, char c, char want, enum body_state next,
                                   struct http_refusal *ret_refusal)
{
    if (c != want) {
        return http_refuse(ret_refusal, 400, "CR LF is missing in the framing of the body");
    }
    if (b->state == SIZE_LF || b->state == DATA_LF) {
        b->line = 0;
    }
    return move_to(b, next);
}

/* One byte of framing. */
static enum http_result read_byte(struct http_body *b, const struct http_limits *limits, char c,
                                  struct http_refusal *ret_refusal)
{
    b->line++;
    b->overhead++;
    if (b->overhead > FRAMING_FLAT + FRAMING_PER_BYTE * b->seen) {
        return http_refuse(ret_refusal, 400, "the body is more framing than content");
    }
    if (b->state <= SIZE_LF && b->line > SIZE_LINE_MAX) {
        return http_refuse(ret_refusal, 400, "a chunk extension is too long");
    }
    if (b->state >= LINE && b->line > limits->head_max) {
        return http_refuse(ret_refusal, 431, "the trailers are larger than this server takes");
    }
    switch ((enum body_state)b->state) {
    case SIZE:
        return read_size(b, limits, c, ret_refusal);
    case EXT:
    case EXT_NAME:
    case EXT_EQUALS:
    case EXT_VALUE:
        return read_ext(b, c, ret_refusal);
    case SIZE_LF:
        return read_exact(b, c, '\n', b->left > 0 ? DATA : LINE, ret_refusal);
    case DATA_CR:
        return read_exact(b, c, '\r', DATA_LF, ret_refusal);
    case DATA_LF:
        return read_exact(b, c, '\n', SIZE, ret_refusal);
    case LINE:
    case NAME:
        return read_name(b, c, ret_refusal);
    case VALUE:
        return read_value(b, c, ret_refusal);
    case VALUE_LF:
        return read_exact(b, c, '\n', LINE, ret_refusal);
    case END_LF:
        return read_exact(b, c, '\n', END, ret_refusal);
    case START:
    case FIXED:
    case DATA:
    case END:
        break;
    }
    unreachable();
}

/* As much content as there is; returns how much that was. */
static size_t take_content(struct http_body *b, struct slice in, struct buf *out)
{
    size_t len = in.len < b->left ? in.len : (size_t)b->left;
    buf_append(out, in.ptr, len);
    b->left -= len;
    b->seen += len;
    if (b->left == 0) {
        b->state = b->state == FIXED ? END : DATA_CR;
    }
    return len;
}

enum http_result http_parse_body(struct http_body *b, const struct http_request *req,
                                 const struct http_limits *limits, struct slice in,
                                 size_t *ret_used, struct buf *out,
                                 struct http_refusal *ret_refusal)
{
    if (b->state == START) {
        b->left = req->chunked ? 0 : req->content_length;
        b->state = req->chunked ? SIZE : b->left > 0 ? FIXED : END;
    }
    size_t used = 0;
    enum http_result r = HTTP_DONE;
    while (r == HTTP_DONE && b->state != END && used < in.len) {
        if (b->state == FIXED || b->state == DATA) {
            used += take_content(b, slice_from(in, used), out);
        } else {
            r = read_byte(b, limits, in.ptr[used++], ret_refusal);
        }
    }
    *ret_used = used;
    return r == HTTP_DONE && b->state != END ? HTTP_MORE : r;
}
