/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutate [ROUNDS]: gives the HTTP fuzz target good requests with something wrong in them.
 *
 * Linked with fuzz_http.c and llhttp.c, so that each is also a question to llhttp: is there a message that
 * ours takes and llhttp does not? Three ways, all without chance but the last, which is seeded:
 *
 *     bytes      every byte of every request replaced by every other, left out, doubled, and with each
 *                telling byte before it
 *     fields     every line of FIELDS put behind every line of every request
 *     stirred    two to five of all this at random places, ROUNDS times
 *
 * A disagreement aborts; its message has been printed.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const requests[] = {
    "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /a/b%20c?d=e&f HTTP/1.1\r\nHost: [::1]:80\r\nX-A: b c\r\nAccept-Encoding:\r\n\r\n",
    "GET http://a.test:81/x HTTP/1.1\r\nHost: a.test:81\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "HEAD /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /y HTTP/1.1\r\nHost: "
    "a\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n"
    "A;bcd=ef.g\r\n0123456789\r\n1\r\nx\r\n00\r\nT: u\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nDELETE /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncookie: a=b; c=d\r\n\r\n",
};

static const char *const fields[] = {
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length:\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length : 5\r\n",
    "Content-Length\t: 5\r\n",
    "Content-Length: 5\n",
    "Content-Length: 5\r",
    "Content_Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: Chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding:\013chunked\r\n",
    "Transfer-Encoding: chunked\x0c\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    " Transfer-Encoding: chunked\r\n",
    " folded\r\n",
    "\tfolded\r\n",
    ": empty\r\n",
    "X: \x01\r\n",
    "X: a\rb\r\n",
    "X: a\nb\r\n",
    "X\r\n",
    "\r\n",
    "\n",
    "\r",
    "X: y\r\r\n",
    "Host: b\r\n",
    "Host:\r\n",
    "Connection: close\r\n",
    "Connection: Host, Content-Length\r\n",
    "Upgrade: websocket\r\nConnection: Upgrade\r\n",
    "Expect: 100-continue\r\n",
    "GET / HTTP/1.1\r\n",
    "0\r\n\r\n",
};

static const char telling[] = "\0\1\t\n\v\f\r !\"#%'(),/0159:;<=>?@AZ[\\]^_`az{|}~\x7f\x80\xff";

static unsigned long tried;

static void ask(const struct buf *message)
{
    struct slice all = buf_readable(message);
    tried++;
    (void)LLVMFuzzerTestOneInput((const uint8_t *)all.ptr, all.len);
}

/* The message begins with the target's own first byte: into how large pieces the rest is cut. */
static void begin(struct buf *b)
{
    buf_clear(b);
    buf_append_char(b, 6);
}

/* `text` with `left_out` bytes at `at` replaced by `put_in`. */
static void put_changed(struct buf *b, struct slice text, size_t at, size_t left_out,
                        struct slice put_in)
{
    buf_append(b, text.ptr, at);
    buf_append_slice(b, put_in);
    buf_append_slice(b, slice_from(text, at + left_out));
}

static void ask_changed(struct buf *b, struct slice text, size_t at, size_t left_out,
                        struct slice put_in)
{
    begin(b);
    put_changed(b, text, at, left_out, put_in);
    ask(b);
}

static void change_bytes(struct buf *b, struct slice text)
{
    for (size_t at = 0; at < text.len; at++) {
        for (int c = 0; c < 256; c++) {
            char byte = (char)c;
            ask_changed(b, text, at, 1, (struct slice){&byte, 1});
        }
        for (size_t i = 0; i < sizeof(telling) - 1; i++) {
            ask_changed(b, text, at, 0, (struct slice){&telling[i], 1});
        }
        ask_changed(b, text, at, 1, (struct slice){NULL, 0});
        ask_changed(b, text, at, 2 < text.len - at ? 2 : 1, (struct slice){NULL, 0});
        ask_changed(b, text, at, 0, (struct slice){text.ptr + at, 1});
    }
}

static void add_fields(struct buf *b, struct slice text)
{
    for (size_t at = 0; at < text.len; at++) {
        if (at > 0 && text.ptr[at - 1] != '\n') {
            continue;
        }
        for (size_t i = 0; i < array_len(fields); i++) {
            ask_changed(b, text, at, 0, slice_of(fields[i]));
        }
    }
}

static uint32_t chance(uint32_t below)
{
    static uint64_t state = 42;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static void stir(struct buf *b, struct buf *other)
{
    begin(b);
    buf_append_str(b, requests[chance(array_len(requests))]);
    for (uint32_t changes = 2 + chance(4); changes > 0; changes--) {
        struct slice text = slice_from(buf_readable(b), 1);
        size_t at = chance((uint32_t)text.len);
        struct slice put_in = {&telling[chance(sizeof(telling) - 1)], 1};
        if (chance(4) == 0) {
            while (at > 0 && text.ptr[at - 1] != '\n') {
                at--;
            }
            put_in = slice_of(fields[chance(array_len(fields))]);
        }
        begin(other);
        put_changed(other, text, at, chance(2), put_in);
        buf_clear(b);
        buf_append_slice(b, buf_readable(other));
    }
    ask(b);
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 300000;
    struct buf b;
    struct buf other;
    buf_init(&b);
    buf_init(&other);
    setbuf(stdout, NULL);
    for (size_t i = 0; i < array_len(requests); i++) {
        change_bytes(&b, slice_of(requests[i]));
        add_fields(&b, slice_of(requests[i]));
    }
    for (unsigned long i = 0; i < rounds; i++) {
        stir(&b, &other);
    }
    printf("%lu messages\n", tried);
    buf_fini(&b);
    buf_fini(&other);
    return 0;
}
