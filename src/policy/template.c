/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * template: "sales_{business_id}_*" against keys, in every way in which it fits.
 *
 *     pieces    literal "sales_" | column 0 | literal "_" | star
 *               └ head: rejects most keys        └ behind the last column pieces only have to fit
 *
 * A key fits in several ways when a placeholder's value may hold the text that follows it:
 * "a_b_c" against "{x}_*" gives x = "a" and x = "a_b". All of them count, because the change that
 * voids the key may carry any of them; a wrong one can only void too much.
 *
 * Bounds (no client may make this slow): keys above SPLIT_KEY_MAX bytes are not split, at most
 * POLICY_SPLITS_MAX different ways are collected, at most STEPS_MAX steps are taken. Past a bound
 * the template is reported once, with NULL: "fits, values unknown".
 *
 * Invariants: T1. A key that a row renders to is always reported, by its values or by NULL. T2. No
 * two reports of one call carry equal values. T3. Nothing is allocated after loading.
 *
 * Threads: any; immutable after loading.
 */
#include "policy/load.h"

#include "base/hash.h"
#include "policy/text.h"

enum { PIECES_MAX = 32, TEXT_MAX = 512, STEPS_MAX = 2000, SPLIT_KEY_MAX = 1024 };

enum piece_kind { PIECE_LITERAL, PIECE_STAR, PIECE_COLUMN };

struct piece {
    enum piece_kind kind;
    uint32_t column;
    struct slice text; /* literal; column: its name */
};

/* What policy_template.pieces points at. */
struct compiled {
    uint64_t identity; /* of table and text: the same after a reload */
    struct slice head; /* literal at the start; may be empty */
    struct slice tail; /* literal at the end, unless it is the head; may be empty */
    uint32_t count;
    uint32_t behind; /* first piece behind the last column; 0: no columns */
    struct piece pieces[PIECES_MAX];
};

/* --- compiling -------------------------------------------------------------------------------- */

static bool add_piece(struct compiled *c, struct piece piece, const char **ret_why)
{
    if (c->count == PIECES_MAX) {
        *ret_why = "has more than 32 parts; shorten it";
        return false;
    }
    c->pieces[c->count++] = piece;
    return true;
}

static bool add_column(struct policy_template *t, struct compiled *c, const char **columns,
                       struct slice name, const char **ret_why)
{
    uint32_t i = 0;
    while (i < t->column_count && !slice_is(name, columns[i])) {
        i++;
    }
    if (i == POLICY_PLACEHOLDERS_MAX) {
        *ret_why = "has more than 8 different placeholders";
        return false;
    }
    if (i == t->column_count) {
        columns[t->column_count++] = name.ptr;
    }
    bool ok = add_piece(c, (struct piece){PIECE_COLUMN, i, name}, ret_why);
    c->behind = c->count;
    return ok;
}

/* At '{'. */
static bool compile_placeholder(struct arena *arena, struct policy_template *t, struct compiled *c,
                                const char **columns, const char **at, const char **ret_why)
{
    struct slice name = {*at + 1, strcspn(*at + 1, "{}")};
    if (name.ptr[name.len] != '}') {
        *ret_why = "has a `{` without `}` behind it";
        return false;
    }
    if (!policy_text_is_name(name)) {
        *ret_why = "has braces without a column's name in them; write {id}";
        return false;
    }
    *at = name.ptr + name.len + 1;
    name.ptr = arena_dup_slice(arena, name);
    return add_column(t, c, columns, name, ret_why);
}

static bool compile_pieces(struct arena *arena, struct policy_template *t, struct compiled *c,
                           const char **columns, const char **ret_why)
{
    bool ok = true;
    for (const char *at = t->text; *at != '\0' && ok;) {
        struct slice literal = {at, strcspn(at, "{}*")};
        if (literal.len > 0) {
            at += literal.len;
            ok = add_piece(c, (struct piece){PIECE_LITERAL, 0, literal}, ret_why);
        } else if (*at == '*') {
            at += strspn(at, "*");
            ok = add_piece(c, (struct piece){.kind = PIECE_STAR}, ret_why);
        } else if (*at == '{') {
            ok = compile_placeholder(arena, t, c, columns, &at, ret_why);
        } else {
            *ret_why = "has a `}` without `{` before it";
            ok = false;
        }
    }
    return ok;
}

/* Two pieces that both take any run, side by side, can share a text in every way. */
static const char *ambiguity(const struct compiled *c)
{
    for (uint32_t i = 1; i < c->count; i++) {
        const struct piece *a = &c->pieces[i - 1];
        const struct piece *b = &c->pieces[i];
        bool has_column = a->kind == PIECE_COLUMN || b->kind == PIECE_COLUMN;
        if (has_column && a->kind != PIECE_LITERAL && b->kind != PIECE_LITERAL) {
            return "is ambiguous: a placeholder stands next to another or to `*` without text "
                   "between "
                   "them, so every way to split a key counts and more is voided than needed; put a "
                   "character between them";
        }
    }
    return NULL;
}

static uint64_t identity_of(const struct policy_template *t)
{
    uint64_t h = hash_slice(slice_of(t->schema));
    h = hash_mix(h, hash_slice(slice_of(t->table)));
    return hash_mix(h, hash_slice(slice_of(t->text)));
}

bool policy_template_compile(struct arena *arena, struct policy_template *t, const char **ret_why,
                             const char **ret_warning)
{
    struct compiled *c = arena_alloc(arena, sizeof(*c));
    const char **columns = arena_alloc(arena, POLICY_PLACEHOLDERS_MAX * sizeof(*columns));
    if (strlen(t->text) > TEXT_MAX) {
        *ret_why = "is longer than 512 bytes";
        return false;
    }
    if (!compile_pieces(arena, t, c, columns, ret_why)) {
        return false;
    }
    if (c->pieces[0].kind == PIECE_LITERAL) {
        c->head = c->pieces[0].text;
    }
    if (c->count > 1 && c->pieces[c->count - 1].kind == PIECE_LITERAL) {
        c->tail = c->pieces[c->count - 1].text;
    }
    c->identity = identity_of(t);
    t->columns = columns;
    t->pieces = c;
    t->piece_count = c->count;
    *ret_warning = ambiguity(c);
    return true;
}

void policy_index_templates(struct arena *arena, const struct policy *p, struct policy_index *index)
{
    const struct policy_template **order =
        arena_alloc(arena, (p->template_count + 1) * sizeof(const struct policy_template *));
    uint32_t *start = index->template_start;
    for (uint32_t i = 0; i < p->template_count; i++) {
        const struct compiled *c = p->templates[i].pieces;
        start[c->head.len > 0 ? 2 + (unsigned char)c->head.ptr[0] : 1]++;
    }
    for (size_t i = 1; i < array_len(index->template_start); i++) {
        start[i] += start[i - 1];
    }
    uint32_t next[array_len(index->template_start)];
    memcpy(next, start, sizeof(next));
    for (uint32_t i = 0; i < p->template_count; i++) {
        const struct compiled *c = p->templates[i].pieces;
        order[next[c->head.len > 0 ? 1 + (unsigned char)c->head.ptr[0] : 0]++] = &p->templates[i];
    }
    index->templates = order;
}

/* --- matching --------------------------------------------------------------------------------- */

static bool starts_with(struct slice s, struct slice head)
{
    return s.len >= head.len && (head.len == 0 || memcmp(s.ptr, head.ptr, head.len) == 0);
}

static bool ends_with(struct slice s, struct slice tail)
{
    return s.len >= tail.len &&
           (tail.len == 0 || memcmp(s.ptr + s.len - tail.len, tail.ptr, tail.len) == 0);
}

/* Literals and stars only: the leftmost place of each literal is as good as any. */
static bool fits_rest(const struct compiled *c, uint32_t i, struct slice rest)
{
    while (i < c->count) {
        if (c->pieces[i].kind == PIECE_LITERAL) {
            if (!starts_with(rest, c->pieces[i].text)) {
                return false;
            }
            rest = slice_from(rest, c->pieces[i].text.len);
            i++;
            continue;
        }
        if (i + 1 == c->count) {
            return true;
        }
        struct slice literal = c->pieces[i + 1].text;
        if (i + 2 == c->count) {
            return ends_with(rest, literal);
        }
        const char *at = memmem(rest.ptr, rest.len, literal.ptr, literal.len);
        if (at == NULL) {
            return false;
        }
        rest = slice_from(rest, (size_t)(at - rest.ptr) + literal.len);
        i += 2;
    }
    return rest.len == 0;
}

/* One template against one key, while all ways are looked for. */
struct split {
    const struct compiled *c;
    struct slice key;
    uint32_t columns;
    uint32_t steps;
    bool gave_up;
    uint32_t bound; /* bit per column that has a value now */
    struct slice values[POLICY_PLACEHOLDERS_MAX];
    uint32_t found_count;
    struct slice found[POLICY_SPLITS_MAX][POLICY_PLACEHOLDERS_MAX];
};

static bool is_known(const struct split *s)
{
    for (uint32_t i = 0; i < s->found_count; i++) {
        uint32_t same = 0;
        while (same < s->columns && slice_eq(s->found[i][same], s->values[same])) {
            same++;
        }
        if (same == s->columns) {
            return true;
        }
    }
    return false;
}

static void record(struct split *s)
{
    if (is_known(s)) {
        return;
    }
    if (s->found_count == POLICY_SPLITS_MAX) {
        s->gave_up = true;
        return;
    }
    memcpy(s->found[s->found_count++], s->values, s->columns * sizeof(s->values[0]));
}

/* Where a run that begins at `from` may end, at or behind `at`; false when nowhere. */
static bool next_end(const struct split *s, uint32_t piece, size_t at, size_t *ret_end)
{
    if (piece + 1 == s->c->count) {
        *ret_end = s->key.len;
        return at <= s->key.len;
    }
    const struct piece *next = &s->c->pieces[piece + 1];
    if (next->kind != PIECE_LITERAL) {
        *ret_end = at;
        return at <= s->key.len;
    }
    if (at > s->key.len) {
        return false;
    }
    const char *hit = memmem(s->key.ptr + at, s->key.len - at, next->text.ptr, next->text.len);
    *ret_end = hit != NULL ? (size_t)(hit - s->key.ptr) : 0;
    return hit != NULL;
}

static void walk(struct split *s, uint32_t i, size_t at);

static void walk_run(struct split *s, uint32_t i, size_t from)
{
    const struct piece *p = &s->c->pieces[i];
    uint32_t bit = p->kind == PIECE_COLUMN ? 1U << p->column : 0;
    s->bound |= bit;
    size_t end = from;
    while (!s->gave_up && next_end(s, i, end, &end)) {
        if (bit != 0) {
            s->values[p->column] = (struct slice){s->key.ptr + from, end - from};
        }
        walk(s, i + 1, end);
        end++;
    }
    s->bound &= ~bit;
}

static void walk(struct split *s, uint32_t i, size_t at)
{
    if (++s->steps > STEPS_MAX) {
        s->gave_up = true;
        return;
    }
    struct slice rest = slice_from(s->key, at);
    if (i == s->c->behind) {
        if (fits_rest(s->c, i, rest)) {
            record(s);
        }
        return;
    }
    const struct piece *p = &s->c->pieces[i];
    bool is_bound = p->kind == PIECE_COLUMN && (s->bound & 1U << p->column) != 0;
    if (p->kind != PIECE_LITERAL && !is_bound) {
        walk_run(s, i, at);
        return;
    }
    struct slice want = is_bound ? s->values[p->column] : p->text;
    if (starts_with(rest, want)) {
        walk(s, i + 1, at + want.len);
    }
}

static void match_template(const struct policy_template *t, struct slice key,
                           policy_match_fn *found, void *arg)
{
    const struct compiled *c = t->pieces;
    if (key.len < c->head.len + c->tail.len || !starts_with(key, c->head) ||
        !ends_with(key, c->tail)) {
        return;
    }
    if (c->behind == 0) {
        if (fits_rest(c, 0, key)) {
            found(arg, t, &key); /* no columns: the values are never read, but not NULL */
        }
        return;
    }
    if (key.len > SPLIT_KEY_MAX) {
        found(arg, t, NULL);
        return;
    }
    /* Uninitialised in spite of the project's flags: clearing 8 KB would cost more than the match.
     */
    struct split s __attribute__((uninitialized));
    s.c = c;
    s.key = key;
    s.columns = t->column_count;
    s.steps = 0;
    s.gave_up = false;
    s.bound = 0;
    s.found_count = 0;
    walk(&s, 0, 0);
    if (s.gave_up) {
        found(arg, t, NULL);
        return;
    }
    for (uint32_t i = 0; i < s.found_count; i++) {
        found(arg, t, s.found[i]);
    }
}

static void match_bucket(const struct policy_index *index, uint32_t bucket, struct slice key,
                         policy_match_fn *found, void *arg)
{
    for (uint32_t i = index->template_start[bucket]; i < index->template_start[bucket + 1]; i++) {
        match_template(index->templates[i], key, found, arg);
    }
}

void policy_match_key(const struct policy *p, struct slice key, policy_match_fn *found, void *arg)
{
    match_bucket(p->index, 0, key, found, arg);
    if (key.len > 0) {
        match_bucket(p->index, 1 + (unsigned char)key.ptr[0], key, found, arg);
    }
}

uint64_t policy_template_hash(const struct policy_template *t, const struct slice *values)
{
    const struct compiled *c = t->pieces;
    uint64_t h = c->identity;
    for (uint32_t i = 0; i < t->column_count; i++) {
        h = hash_mix(h, hash_slice(values[i]));
    }
    return h;
}
