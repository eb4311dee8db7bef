/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the capture format that trees/capture.py describes. Plain scans: the file is small. */
#include "trees.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

enum { TREES_MAX = 256 };

struct tree {
    struct slice name;
    struct slice text;
};

struct trees {
    char *bytes;
    struct slice relations; /* "16389=product 16396=price ..." */
    struct tree tree[TREES_MAX];
    uint32_t count;
};

static struct slice line_at(const char *at)
{
    const char *stop = strchr(at, '\n');
    return (struct slice){at, stop != NULL ? (size_t)(stop - at) : strlen(at)};
}

static const char *behind(struct slice line)
{
    const char *stop = line.ptr + line.len;
    return *stop == '\n' ? stop + 1 : stop;
}

struct trees *trees_load(const char *path)
{
    struct trees *t = xcalloc(1, sizeof *t);
    FILE *f = fopen(path, "rb");
    check(f != NULL && fseek(f, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(f);
    rewind(f);
    t->bytes = xcalloc(1, size + 1);
    check(fread(t->bytes, 1, size, f) == size);
    fclose(f);

    t->relations = line_at(t->bytes);
    for (const char *at = behind(t->relations); *at != '\0';) {
        check(strncmp(at, "= ", 2) == 0 && t->count < TREES_MAX);
        struct tree *tree = &t->tree[t->count++];
        tree->name = slice_from(line_at(at), 2);
        struct slice sql = line_at(behind(tree->name));
        const char *start = behind(sql);
        const char *stop = strstr(start, "\n= ");
        stop = stop != NULL ? stop : start + strlen(start) - 1;
        tree->text = (struct slice){start, (size_t)(stop - start)};
        at = stop + 1;
    }
    return t;
}

void trees_free(struct trees **t)
{
    free((*t)->bytes);
    free(*t);
    *t = NULL;
}

struct slice trees_find(const struct trees *t, const char *name)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (slice_is(t->tree[i].name, name)) {
            return t->tree[i].text;
        }
    }
    fprintf(stderr, "no captured tree %s\n", name);
    abort();
}

struct slice trees_name(const struct trees *t, uint32_t n)
{
    return n < t->count ? t->tree[n].name : (struct slice){0};
}

/* Walks "oid=name" pairs until one of the two matches. */
static bool relation_pair(const struct trees *t, uint32_t oid, const char *relation,
                          uint32_t *ret_oid, struct slice *ret_name)
{
    const char *at = t->relations.ptr;
    const char *end = at + t->relations.len;
    while (at < end) {
        char *rest = NULL;
        uint32_t pair_oid = (uint32_t)strtoul(at, &rest, 10);
        size_t len = strcspn(rest + 1, " \n");
        struct slice name = {rest + 1, len};
        if (pair_oid == oid || (relation != NULL && slice_is(name, relation))) {
            *ret_oid = pair_oid;
            *ret_name = name;
            return true;
        }
        at = rest + 1 + len + 1;
    }
    return false;
}

uint32_t trees_oid(const struct trees *t, const char *relation)
{
    uint32_t oid = 0;
    struct slice name;
    return relation_pair(t, 0, relation, &oid, &name) ? oid : 0;
}

struct slice trees_relation(const struct trees *t, uint32_t oid)
{
    uint32_t found = 0;
    struct slice name = SLICE("?");
    (void)relation_pair(t, oid, NULL, &found, &name);
    return name;
}
