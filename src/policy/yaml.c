/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * yaml: libyaml's events to a tree.
 *
 * The event interface is used, not libyaml's own document loader, because events can be refused as
 * they come: nesting and sizes are bounded before memory is spent, and an alias inside of its own
 * anchor is seen while the anchor is still open.
 *
 *     events ──> frames[depth] (open mappings and sequences) ──> items appended at each frame's
 * tail
 *
 * Invariants: Y1. The tree has no cycles. Y2. Depth <= POLICY_YAML_DEPTH_MAX. Y3. No scalar holds a
 * NUL. Y4. Keys are scalars. Y5. Walking the whole tree, into every alias, meets at most
 * POLICY_YAML_NODES_MAX nodes: a small file cannot stand for a huge one.
 *
 * Before libyaml sees the text it is checked to be UTF-8 without control characters, because
 * libyaml tells such places by byte offset only, and would accept UTF-16.
 *
 * Threads: one owner. Not done: several documents, tags, merge keys (`<<` is an ordinary unknown
 * key).
 */
#include "policy/tree.h"

#include "policy/text.h"

#include <yaml.h>

struct anchor {
    struct anchor *next;
    const char *name;
    const struct policy_node *node; /* NULL while it is still open */
};

struct frame {
    struct policy_node *node;
    struct policy_item *tail;
    const struct policy_node *key; /* mapping: waits for its value */
    struct anchor *anchor;         /* opened here; NULL: none */
    uint32_t weight_before;        /* the builder's, when this node had just been counted */
};

struct builder {
    struct arena *arena;
    struct complaints *say;
    struct frame frames[POLICY_YAML_DEPTH_MAX];
    uint32_t depth;
    uint32_t weight; /* of everything so far */
    uint32_t documents;
    struct anchor *anchors;
    const struct policy_node *root;
};

static struct policy_spot spot_of(yaml_mark_t mark)
{
    return (struct policy_spot){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

static const struct anchor *anchor_find(const struct builder *b, const char *name)
{
    for (const struct anchor *a = b->anchors; a != NULL; a = a->next) {
        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

/* A later anchor of the same name hides the earlier one, as YAML says. */
static struct anchor *anchor_add(struct builder *b, const yaml_char_t *name,
                                 const struct policy_node *node)
{
    if (name == NULL) {
        return NULL;
    }
    struct anchor *a = arena_alloc(b->arena, sizeof(*a));
    a->name = arena_strdup(b->arena, (const char *)name);
    a->node = node;
    a->next = b->anchors;
    b->anchors = a;
    return a;
}

static const struct policy_node *same_key(const struct policy_node *map,
                                          const struct policy_node *key)
{
    for (const struct policy_item *it = map->items; it != NULL; it = it->next) {
        if (strcmp(it->key->text, key->text) == 0) {
            return it->key;
        }
    }
    return NULL;
}

/* Puts a node where the open frame wants it: as the root, a key, a value or an element. */
static bool place(struct builder *b, const struct policy_node *node, struct policy_spot at)
{
    if (b->depth == 0) {
        b->root = node;
        return true;
    }
    struct frame *f = &b->frames[b->depth - 1];
    bool is_map = f->node->kind == POLICY_NODE_MAPPING;
    if (is_map && f->key == NULL) {
        if (node->kind != POLICY_NODE_SCALAR) {
            policy_complain(b->say, at, "",
                            "%s stands where a key should; quote the key if it "
                            "begins with a bracket or brace",
                            policy_node_kind_name(node));
            return false;
        }
        f->key = node;
        return true;
    }
    if (f->node->count == POLICY_YAML_ITEMS_MAX) {
        policy_complain(b->say, at, "", "more than %d entries in one list or map; split it",
                        POLICY_YAML_ITEMS_MAX);
        return false;
    }
    struct policy_item *item = arena_alloc(b->arena, sizeof(*item));
    item->key = f->key;
    item->value = node;
    item->first = f->key != NULL ? same_key(f->node, f->key) : NULL;
    if (f->tail == NULL) {
        f->node->items = item;
    } else {
        f->tail->next = item;
    }
    f->tail = item;
    f->node->count++;
    f->key = NULL;
    return true;
}

static bool add_weight(struct builder *b, uint32_t weight, struct policy_spot at)
{
    b->weight += weight;
    if (b->weight > POLICY_YAML_NODES_MAX) {
        policy_complain(b->say, at, "", "more than %d values; this is no policy",
                        POLICY_YAML_NODES_MAX);
        return false;
    }
    return true;
}

static struct policy_node *node_make(struct builder *b, enum policy_node_kind kind,
                                     struct policy_spot at)
{
    if (!add_weight(b, 1, at)) {
        return NULL;
    }
    struct policy_node *node = arena_alloc(b->arena, sizeof(*node));
    node->kind = kind;
    node->spot = at;
    node->weight = 1;
    return node;
}

static bool refuse_tag(struct builder *b, const yaml_char_t *tag, struct policy_spot at)
{
    if (tag == NULL) {
        return false;
    }
    policy_complain(b->say, at, "", "tag `%s`: tags mean nothing here; remove it",
                    (const char *)tag);
    return true;
}

static bool on_scalar(struct builder *b, const yaml_event_t *e, struct policy_spot at)
{
    if (refuse_tag(b, e->data.scalar.tag, at)) {
        return false;
    }
    struct policy_node *node = node_make(b, POLICY_NODE_SCALAR, at);
    if (node == NULL) {
        return false;
    }
    struct slice text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    if (memchr(text.ptr, '\0', text.len) != NULL) {
        policy_complain(b->say, at, "", "the text holds a zero byte; remove it");
        return false;
    }
    node->text = arena_dup_slice(b->arena, text);
    node->is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    anchor_add(b, e->data.scalar.anchor, node);
    return place(b, node, at);
}

static bool on_open(struct builder *b, enum policy_node_kind kind, const yaml_char_t *name,
                    const yaml_char_t *tag, struct policy_spot at)
{
    if (refuse_tag(b, tag, at)) {
        return false;
    }
    if (b->depth == POLICY_YAML_DEPTH_MAX) {
        policy_complain(b->say, at, "", "nested deeper than %d levels; no policy needs that",
                        POLICY_YAML_DEPTH_MAX);
        return false;
    }
    struct policy_node *node = node_make(b, kind, at);
    if (node == NULL || !place(b, node, at)) {
        return false;
    }
    b->frames[b->depth++] = (struct frame){
        .node = node, .anchor = anchor_add(b, name, NULL), .weight_before = b->weight};
    return true;
}

static void on_close(struct builder *b)
{
    check(b->depth > 0);
    struct frame *f = &b->frames[--b->depth];
    f->node->weight = 1 + b->weight - f->weight_before;
    if (f->anchor != NULL) {
        f->anchor->node = f->node;
    }
}

static bool on_alias(struct builder *b, const yaml_event_t *e, struct policy_spot at)
{
    const char *name = (const char *)e->data.alias.anchor;
    const struct anchor *a = anchor_find(b, name);
    if (a == NULL) {
        policy_complain(
            b->say, at, "",
            "alias `*%s` has no anchor `&%s` above it; text that begins with `*` needs quotes",
            name, name);
        return false;
    }
    if (a->node == NULL) {
        policy_complain(b->say, at, "", "alias `*%s` stands inside of its own anchor", name);
        return false;
    }
    return add_weight(b, a->node->weight, at) && place(b, a->node, at);
}

static bool on_event(struct builder *b, const yaml_event_t *e)
{
    struct policy_spot at = spot_of(e->start_mark);
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e, at);
    case YAML_ALIAS_EVENT:
        return on_alias(b, e, at);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, POLICY_NODE_MAPPING, e->data.mapping_start.anchor,
                       e->data.mapping_start.tag, at);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, POLICY_NODE_SEQUENCE, e->data.sequence_start.anchor,
                       e->data.sequence_start.tag, at);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        on_close(b);
        return true;
    case YAML_DOCUMENT_START_EVENT:
        if (++b->documents > 1) {
            policy_complain(b->say, at, "", "a second document begins; one file is one policy");
            return false;
        }
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

/* libyaml names the context ("while parsing a block mapping") and the problem; people need both. */
static void complain_syntax(struct builder *b, const yaml_parser_t *parser, struct slice text)
{
    bool is_byte = parser->error == YAML_READER_ERROR; /* these have an offset and no mark */
    struct policy_spot at =
        is_byte ? policy_text_spot_at(text, parser->problem_offset) : spot_of(parser->problem_mark);
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    if (parser->context != NULL && (strstr(problem, "end of stream") || strstr(problem, "':'"))) {
        at = spot_of(parser->context_mark); /* what was begun there never ended */
    }
    if (!is_byte && policy_text_is_tab_at(text, at)) {
        policy_complain(b->say, at, "", "a tab stands here; YAML indents with spaces only");
        return;
    }
    if (parser->context == NULL) {
        policy_complain(b->say, at, "", "%s; check quotes, brackets and indentation", problem);
        return;
    }
    policy_complain(b->say, at, "",
                    "%s %s that begins on line %zu; check quotes, brackets and indentation",
                    problem, parser->context, parser->context_mark.line + 1);
}

static void run_events(struct builder *b, yaml_parser_t *parser, struct slice text)
{
    for (bool go_on = true; go_on;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            complain_syntax(b, parser, text);
            return;
        }
        go_on = on_event(b, &event) && event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
}

const struct policy_node *policy_yaml_parse(struct arena *arena, struct slice text,
                                            struct complaints *say)
{
    struct policy_spot bad;
    if (!policy_text_is_clean(text, &bad)) {
        policy_complain(say, bad, "",
                        "a control character, or no UTF-8 text; save the file as UTF-8");
        return NULL;
    }
    struct builder b = {.arena = arena, .say = say};
    uint32_t errors_before = say->errors;
    text = policy_text_without_mark(text);
    yaml_parser_t parser;
    check(yaml_parser_initialize(&parser)); /* fails only without memory */
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    run_events(&b, &parser, text);
    yaml_parser_delete(&parser);
    if (say->errors == errors_before && b.root == NULL) {
        policy_complain(say, (struct policy_spot){1, 1}, "",
                        "the file is empty; the least is `listen: { resp: \"127.0.0.1:6380\" }`");
    }
    return say->errors == errors_before ? b.root : NULL;
}

bool policy_node_is_null(const struct policy_node *node)
{
    if (node->kind != POLICY_NODE_SCALAR || !node->is_plain) {
        return false;
    }
    return node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
           strcasecmp(node->text, "null") == 0;
}

const struct policy_node *policy_node_find(const struct policy_node *map, const char *key)
{
    if (map == NULL || map->kind != POLICY_NODE_MAPPING) {
        return NULL;
    }
    for (const struct policy_item *it = map->items; it != NULL; it = it->next) {
        if (strcmp(it->key->text, key) == 0) {
            return it->value;
        }
    }
    return NULL;
}

const char *policy_node_kind_name(const struct policy_node *node)
{
    switch (node->kind) {
    case POLICY_NODE_SEQUENCE:
        return "a list";
    case POLICY_NODE_MAPPING:
        return "a map";
    case POLICY_NODE_SCALAR:
        return policy_node_is_null(node) ? "nothing" : "a single value";
    }
    unreachable();
}
