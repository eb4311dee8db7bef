/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words of ACL SETUSER and of the policy's `users`, one at a time: flags, passwords, patterns
 * of keys and channels. Those about commands are in user_commands.c, selectors ("(+get ~x)") in
 * user_selectors.c.
 *
 * A word that is refused has changed nothing.
 *
 * Threads: whoever makes the user.
 */
#include "serve/user.h"

#include "base/alloc.h"

#include <stdlib.h>

/* --- passwords -------------------------------------------------------------------------------- */

static bool is_hash(struct slice text)
{
    bool ok = text.len == SHA256_HEX - 1;
    for (size_t i = 0; i < text.len && ok; i++) {
        char letter = text.ptr[i];
        ok = (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
    }
    return ok;
}

static uint32_t find_password(const struct user *u, const char hash[SHA256_HEX])
{
    uint32_t at = 0;
    while (at < u->password_count && memcmp(u->passwords[at], hash, SHA256_HEX) != 0) {
        at++;
    }
    return at;
}

static const char *apply_password(struct user *u, struct slice word)
{
    char hash[SHA256_HEX] = "";
    struct slice text = slice_from(word, 1);
    bool adds = *word.ptr == '>' || *word.ptr == '#';
    if (*word.ptr == '#' || *word.ptr == '!') {
        if (!is_hash(text)) {
            return "The password hash must be exactly 64 characters and contain only lowercase "
                   "hexadecimal characters";
        }
        memcpy(hash, text.ptr, SHA256_HEX - 1);
    } else {
        sha256_hex(text, hash);
    }
    uint32_t at = find_password(u, hash);
    if (!adds && at == u->password_count) {
        return "The password you are trying to remove from the user does not exist";
    }
    if (!adds) {
        u->password_count--;
        memmove(u->passwords[at], u->passwords[at + 1],
                (size_t)(u->password_count - at) * SHA256_HEX);
    } else if (at == u->password_count) {
        u->passwords = xrealloc(u->passwords, (size_t)(u->password_count + 2) * SHA256_HEX);
        memcpy(u->passwords[u->password_count++], hash, SHA256_HEX);
    }
    u->nopass = adds ? false : u->nopass;
    u->is_policy_default = false;
    return NULL;
}

/* --- patterns --------------------------------------------------------------------------------- */

static bool has_space(struct slice text)
{
    bool found = false;
    for (size_t i = 0; i < text.len && !found; i++) {
        found = text.ptr[i] == ' ' || text.ptr[i] == '\t' || text.ptr[i] == '\n' ||
                text.ptr[i] == '\r' || text.ptr[i] == '\0';
    }
    return found;
}

static const char *apply_key(struct user *u, struct slice word)
{
    struct user_pattern p = {.reads = true, .writes = true, .text = slice_from(word, 1)};
    if (*word.ptr == '%') {
        p.reads = p.writes = false;
        size_t at = 1;
        for (; at < word.len && word.ptr[at] != '~'; at++) {
            bool is_read = word.ptr[at] == 'R' || word.ptr[at] == 'r';
            bool is_write = word.ptr[at] == 'W' || word.ptr[at] == 'w';
            if ((!is_read && !is_write) || (is_read && p.reads) || (is_write && p.writes)) {
                return "Syntax error";
            }
            p.reads |= is_read;
            p.writes |= is_write;
        }
        if (at == word.len || at == 1) {
            return "Syntax error";
        }
        p.text = slice_from(word, at + 1);
    }
    if (has_space(p.text)) {
        return "Syntax error";
    }
    if (u->all_keys) {
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does "
               "not have any effect. Try 'resetkeys' to start with an empty list of patterns";
    }
    if (slice_is(p.text, "*") && p.reads && p.writes) {
        user_forget_patterns(&u->keys, &u->key_count);
        u->all_keys = true;
        return NULL;
    }
    user_add_pattern(&u->keys, &u->key_count, p);
    return NULL;
}

static const char *apply_channel(struct user *u, struct slice word)
{
    struct user_pattern p = {.text = slice_from(word, 1)};
    if (has_space(p.text)) {
        return "Syntax error";
    }
    if (u->all_channels) {
        return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and "
               "does not have any effect. Try 'resetchannels' to start with an empty list of "
               "channels";
    }
    if (slice_is(p.text, "*")) {
        user_forget_patterns(&u->channels, &u->channel_count);
        u->all_channels = true;
        return NULL;
    }
    user_add_pattern(&u->channels, &u->channel_count, p);
    return NULL;
}

/* --- words ------------------------------------------------------------------------------------ */

static void reset_keys(struct user *u)
{
    user_forget_patterns(&u->keys, &u->key_count);
    u->all_keys = false;
}

static void reset_channels(struct user *u)
{
    user_forget_patterns(&u->channels, &u->channel_count);
    u->all_channels = false;
}

static void reset_passwords(struct user *u)
{
    u->password_count = 0;
    u->nopass = false;
    u->is_policy_default = false;
}

/* False: not a word of letters alone that is known. */
static bool apply_flag(struct user *u, struct slice word)
{
    if (slice_is_nocase(word, "on") || slice_is_nocase(word, "off")) {
        u->is_on = word.len == 2;
    } else if (slice_is_nocase(word, "nopass")) {
        reset_passwords(u);
        u->nopass = true;
    } else if (slice_is_nocase(word, "resetpass")) {
        reset_passwords(u);
    } else if (slice_is_nocase(word, "allkeys")) {
        reset_keys(u);
        u->all_keys = true;
    } else if (slice_is_nocase(word, "resetkeys")) {
        reset_keys(u);
    } else if (slice_is_nocase(word, "allchannels")) {
        reset_channels(u);
        u->all_channels = true;
    } else if (slice_is_nocase(word, "resetchannels")) {
        reset_channels(u);
    } else if (slice_is_nocase(word, "allcommands")) {
        (void)user_apply_command(u, SLICE("+@all"));
    } else if (slice_is_nocase(word, "nocommands")) {
        (void)user_apply_command(u, SLICE("-@all"));
    } else if (slice_is_nocase(word, "sanitize-payload")) {
        u->sanitizes = true;
    } else if (slice_is_nocase(word, "skip-sanitize-payload")) {
        u->sanitizes = false;
    } else if (slice_is_nocase(word, "reset")) {
        reset_passwords(u);
        reset_keys(u);
        reset_channels(u);
        user_forget_selectors(u);
        u->is_on = false;
        u->sanitizes = true;
        (void)user_apply_command(u, SLICE("-@all"));
    } else if (slice_is_nocase(word, "clearselectors")) {
        user_forget_selectors(u);
    } else {
        return false;
    }
    return true;
}

const char *user_apply(struct user *u, struct slice word)
{
    if (word.len == 0) {
        return NULL; /* as Redis has it */
    }
    if (apply_flag(u, word)) {
        return NULL;
    }
    switch (*word.ptr) {
    case '+':
    case '-':
        return user_apply_command(u, word);
    case '>':
    case '<':
    case '#':
    case '!':
        return apply_password(u, word);
    case '~':
    case '%':
        return apply_key(u, word);
    case '&':
        return apply_channel(u, word);
    case '(':
        return user_add_selector(u, word);
    default:
        return "Syntax error";
    }
}
