/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hiredis, unchanged: what C programs do with it. hiredis_client HOST PORT; the exit code says whether all
 * was well. Synchronous calls, pipelining, binary values, nested replies, errors, a transaction, RESP2
 * publish and subscribe.
 */
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define must(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static redisReply *ask(redisContext *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(c, format, args);
    va_end(args);
    must(reply != NULL);
    return reply;
}

static void values(redisContext *c)
{
    redisReply *r = ask(c, "SET %s %b", "bytes", "a\0\r\nb", (size_t)5);
    must(r->type == REDIS_REPLY_STATUS && strcmp(r->str, "OK") == 0);
    freeReplyObject(r);
    r = ask(c, "GET bytes");
    must(r->type == REDIS_REPLY_STRING && r->len == 5 && memcmp(r->str, "a\0\r\nb", 5) == 0);
    freeReplyObject(r);
    r = ask(c, "GET absent");
    must(r->type == REDIS_REPLY_NIL);
    freeReplyObject(r);
    r = ask(c, "INCR bytes");
    must(r->type == REDIS_REPLY_ERROR && strstr(r->str, "not an integer") != NULL);
    freeReplyObject(r);
}

static void nested(redisContext *c)
{
    freeReplyObject(ask(c, "RPUSH l one two three"));
    redisReply *r =
        ask(c, "EVAL %s 1 l", "return {1, {'x', redis.call('lrange', KEYS[1], 0, -1)}}");
    must(r->type == REDIS_REPLY_ARRAY && r->elements == 2 && r->element[0]->integer == 1);
    const redisReply *list = r->element[1]->element[1];
    must(list->elements == 3 && strcmp(list->element[2]->str, "three") == 0);
    freeReplyObject(r);
}

static void pipeline(redisContext *c)
{
    for (int i = 0; i < 10000; i++) {
        must(redisAppendCommand(c, "INCR n") == REDIS_OK);
    }
    for (int i = 1; i <= 10000; i++) {
        redisReply *r;
        must(redisGetReply(c, (void **)&r) == REDIS_OK && r->integer == i);
        freeReplyObject(r);
    }
}

static void transaction(redisContext *c)
{
    freeReplyObject(ask(c, "MULTI"));
    freeReplyObject(ask(c, "HSET h f 1"));
    freeReplyObject(ask(c, "HINCRBY h f 41"));
    redisReply *r = ask(c, "EXEC");
    must(r->elements == 2 && r->element[1]->integer == 42);
    freeReplyObject(r);
}

static void messages(redisContext *c, const char *host, int port)
{
    redisContext *subscriber = redisConnect(host, port);
    must(subscriber != NULL && subscriber->err == 0);
    redisReply *r = ask(subscriber, "SUBSCRIBE news");
    must(r->elements == 3 && strcmp(r->element[0]->str, "subscribe") == 0);
    freeReplyObject(r);
    r = ask(c, "PUBLISH news hello");
    must(r->integer == 1);
    freeReplyObject(r);
    must(redisGetReply(subscriber, (void **)&r) == REDIS_OK);
    must(r->elements == 3 && strcmp(r->element[2]->str, "hello") == 0);
    freeReplyObject(r);
    redisFree(subscriber);
}

int main(int argc, char **argv)
{
    must(argc == 3);
    int port = atoi(argv[2]);
    redisContext *c = redisConnect(argv[1], port);
    must(c != NULL && c->err == 0);
    values(c);
    nested(c);
    pipeline(c);
    transaction(c);
    messages(c, argv[1], port);
    redisFree(c);
    return 0;
}
