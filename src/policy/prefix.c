/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * prefix: what an application puts before each key ("erp_cache:*:" for Django's key version).
 *
 * `*` is the shortest run without ':' that lets the rest fit. Taking the leftmost place for the
 * text behind each star is enough: text without ':' found later in the same run gains nothing, and
 * text with ':' can stand in one place only, because the run before it may not cross that ':'.
 *
 * Threads: any; immutable after loading.
 */
#include "policy/policy.h"

/* `text` at the leftmost place in `key` that is reached without passing a ':'. */
static bool skip_run(struct slice *key, struct slice text)
{
    const char *colon = memchr(key->ptr, ':', key->len);
    size_t run = colon != NULL ? (size_t)(colon - key->ptr) : key->len;
    size_t room = run + text.len < key->len ? run + text.len : key->len;
    const char *at = memmem(key->ptr, room, text.ptr, text.len);
    if (at == NULL) {
        return false;
    }
    *key = slice_from(*key, (size_t)(at - key->ptr) + text.len);
    return true;
}

static bool skip_text(struct slice *key, struct slice text)
{
    if (key->len < text.len || memcmp(key->ptr, text.ptr, text.len) != 0) {
        return false;
    }
    *key = slice_from(*key, text.len);
    return true;
}

bool policy_strip_prefix(const struct policy_space *s, struct slice key, struct slice *ret_rest)
{
    for (const char *at = s->prefix != NULL ? s->prefix : ""; *at != '\0';) {
        size_t stars = strspn(at, "*");
        struct slice text = {at + stars, strcspn(at + stars, "*")};
        if (key.len == 0 || !(stars > 0 ? skip_run(&key, text) : skip_text(&key, text))) {
            return false;
        }
        at = text.ptr + text.len;
    }
    *ret_rest = key;
    return true;
}

bool policy_space_followed(const struct policy *p, const struct policy_space *s)
{
    return p->template_count > 0 && s->db >= 0 && s->consistency != POLICY_TTL;
}
