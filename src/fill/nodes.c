/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reader of PostgreSQL's node text, as outfuncs.c writes it and elog_node_display() breaks it
 * into lines.
 *
 * How: one pass, recursive descent.
 *
 *     value  = '{' label field* '}'  |  '(' value* ')'  |  '[' value* ']'  |  word
 *     field  = ':' name value value*
 *     word   = bytes up to white space or one of (){}; a backslash takes the byte behind it along
 *
 * A field's first value is taken whatever it looks like, since a name may begin with ':'; further
 * ones
 * ("4 [ 1 0 0 0 ]" of a constant) last until the next word that begins with ':'.
 *
 * The server breaks lines at a space that it swallows, every 78 bytes at most. Where a line has no
 * space it cuts a word in two, and nothing tells whether a space was swallowed: such text is
 * refused (N3). A line that ends in a backslash needs no care: the swallowed space was the escaped
 * byte, and the line break takes its place.
 *
 * Invariants: N1. No byte outside the text is read. N2. Depth and size are bounded, so hostile
 * names cannot exhaust the stack. N3. Text that could be read in two ways is refused, never
 * guessed.
 *
 * Threads: none shared. Not done: unescaping (nobody needs the names).
 */
#include "fill/nodes.h"

#include "base/number.h"

enum { SERVER_LINE_BYTES = 78 };

struct reader {
    struct arena *arena;
    const char *at;
    const char *end;
    uint32_t depth;
    const char *why;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_bracket(char c)
{
    return c == '(' || c == ')' || c == '{' || c == '}';
}

/* The next token, empty at the end: one bracket or one word. */
static struct slice peek(struct reader *r)
{
    while (r->at < r->end && is_space(*r->at)) {
        r->at++;
    }
    const char *stop = r->at;
    if (stop < r->end && is_bracket(*stop)) {
        return (struct slice){r->at, 1};
    }
    while (stop < r->end && !is_space(*stop) && !is_bracket(*stop)) {
        bool escapes = *stop == '\\' && stop + 1 < r->end;
        stop += escapes ? 2 : 1;
    }
    return (struct slice){r->at, (size_t)(stop - r->at)};
}

static void skip(struct reader *r, struct slice token)
{
    r->at = token.ptr + token.len;
}

static struct node *fail(struct reader *r, const char *why)
{
    r->why = why;
    return NULL;
}

static struct node *read_value(struct reader *r);

/* After the opening bracket; takes the closing one along. */
static struct node *read_list(struct reader *r, const char *closing)
{
    struct node *list = arena_alloc(r->arena, sizeof *list);
    list->kind = NODE_LIST;
    const struct node **tail = &list->child;
    for (;;) {
        struct slice token = peek(r);
        if (slice_is(token, closing)) {
            skip(r, token);
            return list;
        }
        struct node *item = read_value(r);
        if (item == NULL) {
            return NULL;
        }
        *tail = item;
        tail = &item->next;
    }
}

/* One field's values, from behind its name to the next ':' or '}'. Returns the new tail. */
static const struct node **read_field(struct reader *r, struct slice name, const struct node **tail)
{
    for (bool first = true;; first = false) {
        struct slice token = peek(r);
        bool over = slice_is(token, "}") || (token.len > 0 && token.ptr[0] == ':');
        if (over && !first) {
            return tail;
        }
        struct node *value = read_value(r);
        if (value == NULL) {
            return NULL;
        }
        value->field = name;
        *tail = value;
        tail = &value->next;
    }
}

/* After '{'; takes the '}' along. */
static struct node *read_struct(struct reader *r)
{
    struct node *n = arena_alloc(r->arena, sizeof *n);
    n->kind = NODE_STRUCT;
    n->text = peek(r);
    if (n->text.len == 0 || is_bracket(n->text.ptr[0]) || n->text.ptr[0] == ':') {
        return fail(r, "a node without a label");
    }
    skip(r, n->text);
    const struct node **tail = &n->child;
    for (;;) {
        struct slice token = peek(r);
        if (slice_is(token, "}")) {
            skip(r, token);
            return n;
        }
        if (token.len < 2 || token.ptr[0] != ':') {
            return fail(r, "a field without a name");
        }
        skip(r, token);
        tail = read_field(r, slice_from(token, 1), tail);
        if (tail == NULL) {
            return NULL;
        }
    }
}

static struct node *read_nested(struct reader *r, struct slice open)
{
    if (r->depth >= NODES_DEPTH_MAX) {
        return fail(r, "the statement nests too deeply");
    }
    r->depth++;
    struct node *n;
    if (open.ptr[0] == '{') {
        n = read_struct(r);
    } else {
        n = read_list(r, open.ptr[0] == '(' ? ")" : "]");
    }
    r->depth--;
    return n;
}

static struct node *read_value(struct reader *r)
{
    struct slice token = peek(r);
    if (token.len == 0) {
        return fail(r, "the parse tree ends early");
    }
    if (slice_is(token, ")") || slice_is(token, "}")) {
        return fail(r, "a bracket that closes nothing");
    }
    skip(r, token);
    if (slice_is(token, "(") || slice_is(token, "{") || slice_is(token, "[")) {
        return read_nested(r, token);
    }
    struct node *atom = arena_alloc(r->arena, sizeof *atom);
    atom->kind = NODE_ATOM;
    atom->text = token;
    return atom;
}

/* N3: did the server cut a word in two? Then some line is full and has no space behind its first
 * byte. */
static bool has_torn_word(struct slice text)
{
    size_t line = 0;
    bool space = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            if (line >= SERVER_LINE_BYTES && !space) {
                return true;
            }
            line = 0;
            space = false;
            continue;
        }
        space = space || (line > 0 && text.ptr[i] == ' ');
        line++;
    }
    return false;
}

const struct node *nodes_parse(struct arena *a, struct slice text, const char **ret_why)
{
    if (text.len > NODES_BYTES_MAX) {
        *ret_why = "the statement is too large";
        return NULL;
    }
    if (has_torn_word(text)) {
        *ret_why = "the statement has a name that is too long";
        return NULL;
    }
    struct reader r = {.arena = a, .at = text.ptr, .end = text.ptr + text.len};
    const struct node *root = text.len > 0 ? read_value(&r) : fail(&r, "the parse tree is empty");
    if (root != NULL && peek(&r).len > 0) {
        root = fail(&r, "bytes behind the parse tree");
    }
    if (root == NULL) {
        *ret_why = r.why;
    }
    return root;
}

bool node_is(const struct node *n, const char *label)
{
    return n != NULL && n->kind == NODE_STRUCT && slice_is(n->text, label);
}

const struct node *node_field(const struct node *n, const char *field)
{
    if (n == NULL || n->kind != NODE_STRUCT) {
        return NULL;
    }
    for (const struct node *v = n->child; v != NULL; v = v->next) {
        if (slice_is(v->field, field)) {
            return v;
        }
    }
    return NULL;
}

const struct node *node_items(const struct node *n, const char *field)
{
    const struct node *v = node_field(n, field);
    return v != NULL && v->kind == NODE_LIST ? v->child : NULL;
}

bool node_int(const struct node *n, const char *field, int64_t *ret_value)
{
    const struct node *v = node_field(n, field);
    return v != NULL && v->kind == NODE_ATOM && number_parse_i64(v->text, ret_value);
}

uint32_t node_oid(const struct node *n, const char *field)
{
    int64_t value = 0;
    bool fits = node_int(n, field, &value) && value >= 0 && value <= UINT32_MAX;
    return fits ? (uint32_t)value : 0;
}

bool node_says(const struct node *n, const char *field, const char *word)
{
    const struct node *v = node_field(n, field);
    return v != NULL && v->kind == NODE_ATOM && slice_is(v->text, word);
}
