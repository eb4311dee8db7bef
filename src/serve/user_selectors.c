/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Selectors: further sets of rules about commands, keys and channels, each in parentheses.
 *
 *   ACL SETUSER joe on >secret ~cache:* +@read (~jobs:* +@list)
 *
 * A selector is a user without a name, so that the words of user_rules.c make it and the questions
 * of user.c are asked of it. It has no password, is not switched on or off, and has no selectors.
 *
 * Threads: whoever makes the user.
 */
#include "serve/user.h"

#include "base/alloc.h"

#include <stdlib.h>

void user_forget_selectors(struct user *u)
{
    for (uint32_t i = 0; i < u->selector_count; i++) {
        user_unref(u->selectors[i]);
    }
    free(u->selectors);
    u->selectors = NULL;
    u->selector_count = 0;
}

/* Takes the reference. */
static void add(struct user *u, struct user *selector)
{
    size_t count = (size_t)u->selector_count + 1;
    u->selectors = xrealloc(u->selectors, count * sizeof(struct user *));
    u->selectors[u->selector_count++] = selector;
}

void user_copy_selectors(struct user *u, const struct user *from)
{
    for (uint32_t i = 0; i < from->selector_count; i++) {
        add(u, user_copy(from->selectors[i]));
    }
}

/* Commands, keys and channels. */
static bool is_for_selectors(struct slice word)
{
    static const char *const flags[] = {"allkeys",       "resetkeys",   "allchannels",
                                        "resetchannels", "allcommands", "nocommands"};
    bool is = word.len == 0 || memchr("+-~%&", *word.ptr, 5) != NULL;
    for (size_t i = 0; i < array_len(flags) && !is; i++) {
        is = slice_is_nocase(word, flags[i]);
    }
    return is;
}

const char *user_add_selector(struct user *u, struct slice word)
{
    if (word.len < 2 || word.ptr[word.len - 1] != ')') {
        return "Syntax error";
    }
    struct user *selector = user_create(SLICE(""));
    struct slice rest = {word.ptr + 1, word.len - 2};
    const char *why = NULL;
    while (rest.len > 0 && why == NULL) {
        const char *space = memchr(rest.ptr, ' ', rest.len);
        size_t len = space != NULL ? (size_t)(space - rest.ptr) : rest.len;
        struct slice one = {rest.ptr, len};
        why = is_for_selectors(one) ? user_apply(selector, one) : "Syntax error";
        rest = slice_from(rest, space != NULL ? len + 1 : len);
    }
    if (why != NULL) {
        user_unref(selector);
        return why;
    }
    add(u, selector);
    return NULL;
}

/* --- words in several arguments --------------------------------------------------------------- */

static bool opens(struct slice word)
{
    return word.len > 0 && *word.ptr == '(' && word.ptr[word.len - 1] != ')';
}

bool user_join_selectors(const struct slice *words, uint32_t count, struct buf *room,
                         struct slice *ret_joined, uint32_t *ret_count, struct slice *ret_open)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += words[i].len + 1;
    }
    buf_reserve(room, total); /* so that it does not move */
    uint32_t joined = 0;
    size_t begin = 0;
    bool is_open = false;
    for (uint32_t i = 0; i < count; i++) {
        if (opens(words[i])) { /* an open one before it is forgotten, as in Redis */
            *ret_open = words[i];
            begin = buf_len(room);
            buf_append_slice(room, words[i]);
            is_open = true;
        } else if (is_open) {
            buf_append_char(room, ' ');
            buf_append_slice(room, words[i]);
            is_open = words[i].len == 0 || words[i].ptr[words[i].len - 1] != ')';
            if (!is_open) {
                ret_joined[joined++] = slice_from(buf_readable(room), begin);
            }
        } else {
            ret_joined[joined++] = words[i];
        }
    }
    *ret_count = joined;
    return !is_open;
}
