#include "filter.h"

#include "text.h"
#include "utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NO_CODE 0x110000 /* with a byte added: one that is no UTF-8 */

enum op {
    OP_CODE,  /* the character `low` */
    OP_ANY,   /* but '/' */
    OP_CLASS, /* one of the `low` ranges that follow, or none of them if `high`; never '/' */
    OP_RANGE,
    OP_STAR,     /* any number of characters but '/' */
    OP_GLOBSTAR, /* any number of characters */
    OP_SPLIT,    /* goes on at the next node, and at `low` */
    OP_JUMP,     /* goes on at `low` */
    OP_MATCH,    /* if it is the end of the key */
};

struct node {
    uint8_t op;
    uint16_t rule;
    uint32_t low, high;
    uint64_t seen; /* the step at which it was added to the states */
};

struct rule {
    struct filter_rule shown; /* its texts are owned */
    uint32_t start;           /* its first node */
    bool rooted;
};

struct filter {
    struct rule *rules;
    size_t count;
    struct node *nodes;
    uint32_t used;
    uint32_t *sets; /* these three: room for a state a node each, and one more */
    uint32_t *states, *before, *pending;
    size_t live; /* of `states` */
    uint64_t step;
    bool only_included;
};

/* ---- patterns ---- */

/* A pattern on its way into nodes. */
struct parse {
    struct filter *filter;
    const char *at, *end;
    const char *why; /* it is no pattern */
    bool fresh;      /* at the beginning of a segment */
    int depth;
    struct group {
        uint32_t split; /* of its last alternative */
        uint32_t jumps; /* the last jump to its end, which holds the one before it; 0: none */
    } group[FILTER_DEPTH_MAX];
};

static uint32_t emit(struct parse *parse, enum op op, uint32_t low, uint32_t high)
{
    struct filter *filter = parse->filter;

    if (filter->used == FILTER_NODES_MAX) {
        parse->why = "is too much: all patterns together are too long";
        return filter->used - 1;
    }
    filter->nodes[filter->used] =
        (struct node){.op = (uint8_t)op, .rule = (uint16_t)filter->count, .low = low, .high = high};
    return filter->used++;
}

static uint32_t next_code(const char **at, const char *end)
{
    uint32_t code;
    size_t len = utf8_decode(*at, (size_t)(end - *at), &code);

    if (len == 0) {
        code = NO_CODE + (unsigned char)**at;
        len = 1;
    }
    *at += len;
    return code;
}

static bool fail(struct parse *parse, const char *why)
{
    parse->why = why;
    return false;
}

/* One character, perhaps behind a backslash. */
static bool take_code(struct parse *parse, uint32_t *code)
{
    bool escaped = *parse->at == '\\';

    parse->at += escaped;
    if (parse->at == parse->end)
        return fail(parse, "ends with a backslash");
    if (escaped && (text_is_letter(*parse->at) || text_is_digit(*parse->at)))
        return fail(parse, "has a backslash before a letter or digit: write [0-9] for a digit");
    *code = next_code(&parse->at, parse->end);
    return true;
}

static bool take_range(struct parse *parse)
{
    uint32_t low, high;

    if (parse->at[0] == '[' && parse->at + 1 < parse->end && parse->at[1] == ':')
        return fail(parse, "has a named class: write the characters, such as [A-Za-z]");
    if (!take_code(parse, &low))
        return false;
    high = low;
    if (parse->at + 1 < parse->end && parse->at[0] == '-' && parse->at[1] != ']') {
        parse->at++;
        if (!take_code(parse, &high))
            return false;
    }
    emit(parse, OP_RANGE, low, high);
    return low <= high || fail(parse, "has a range that goes backwards");
}

static void take_class(struct parse *parse)
{
    bool negated = parse->at < parse->end && text_is_one_of(*parse->at, "!^");
    uint32_t class = emit(parse, OP_CLASS, 0, negated);

    if (negated)
        parse->at++;
    do {
        if (parse->at == parse->end)
            parse->why = "has a [ without its ]";
        else if (take_range(parse))
            parse->filter->nodes[class].low++;
    } while (parse->why == NULL && (parse->at == parse->end || *parse->at != ']'));
    parse->at++;
}

static void take_stars(struct parse *parse)
{
    size_t stars = strspn(parse->at, "*") + 1; /* the first one is taken */
    bool folders = parse->fresh && stars == 2 && parse->at + 1 < parse->end && parse->at[1] == '/';

    if (stars > 2)
        parse->why = "has three stars in a row";
    if (folders)
        emit(parse, OP_SPLIT, parse->filter->used + 3, 0);
    emit(parse, stars == 1 ? OP_STAR : OP_GLOBSTAR, 0, 0);
    if (folders)
        emit(parse, OP_CODE, '/', 0);
    parse->at += stars - 1 + folders;
    parse->fresh = folders;
}

static void open_group(struct parse *parse)
{
    if (parse->at < parse->end && *parse->at == '{')
        parse->why = "has {{: regular expressions are not known";
    else if (parse->depth == FILTER_DEPTH_MAX)
        parse->why = "has too many braces in braces";
    else
        parse->group[parse->depth++] = (struct group){.split = emit(parse, OP_SPLIT, 0, 0)};
}

static void next_alternative(struct parse *parse)
{
    struct group *group = &parse->group[parse->depth - 1];

    group->jumps = emit(parse, OP_JUMP, group->jumps, 0);
    parse->filter->nodes[group->split].low = parse->filter->used;
    group->split = emit(parse, OP_SPLIT, 0, 0);
}

static void close_group(struct parse *parse)
{
    struct node *nodes = parse->filter->nodes;
    const struct group *group;
    uint32_t before;

    if (parse->depth == 0) {
        parse->why = "has a } without its {";
        return;
    }
    group = &parse->group[--parse->depth];
    nodes[group->split].low = group->split + 1;
    for (uint32_t jump = group->jumps; jump != 0; jump = before) {
        before = nodes[jump].low;
        nodes[jump].low = parse->filter->used;
    }
}

static void take_one(struct parse *parse)
{
    bool fresh = false;
    uint32_t code;
    char c = *parse->at;

    if (c == '*') {
        parse->at++;
        take_stars(parse);
        return;
    }
    parse->at += text_is_one_of(c, "?[]{}") || (c == ',' && parse->depth > 0);
    if (c == '?')
        emit(parse, OP_ANY, 0, 0);
    else if (c == '[')
        take_class(parse);
    else if (c == ']')
        parse->why = "has a ] without its [";
    else if (c == '{')
        open_group(parse);
    else if (c == '}')
        close_group(parse);
    else if (c == ',' && parse->depth > 0)
        next_alternative(parse);
    else if (take_code(parse, &code))
        fresh = emit(parse, OP_CODE, code, 0) != 0 && c == '/';
    parse->fresh = fresh;
}

/* Appends the rule's nodes. NULL, or why it is no pattern. */
static const char *compile(struct filter *filter, const char *pattern)
{
    struct rule *rule = &filter->rules[filter->count];
    size_t len = strlen(pattern);
    struct parse parse = {.filter = filter, .at = pattern, .end = pattern + len, .fresh = true};

    rule->start = filter->used;
    rule->rooted = *pattern == '/';
    parse.at += rule->rooted;
    if (parse.at == parse.end)
        return "is empty";
    if (len > FILTER_PATTERN_MAX)
        return "is longer than a key may be";
    while (parse.at < parse.end && parse.why == NULL)
        take_one(&parse);
    if (parse.why == NULL && parse.depth > 0)
        parse.why = "has a { without its }";
    if (parse.fresh)
        emit(&parse, OP_GLOBSTAR, 0, 0);
    emit(&parse, OP_MATCH, 0, 0);
    return parse.why;
}

/* ---- rules ---- */

/* Node 0 is none, so that a jump can be to nowhere. */
struct filter *filter_new(void)
{
    struct filter *filter = calloc(1, sizeof *filter);

    if (filter != NULL)
        filter->used = 1;
    return filter;
}

void filter_cut(struct filter *filter, size_t count)
{
    while (filter->count > count) {
        struct rule *rule = &filter->rules[--filter->count];

        filter->used = rule->start;
        free((char *)rule->shown.pattern);
        free((char *)rule->shown.origin);
    }
}

void filter_free(struct filter *filter)
{
    if (filter == NULL)
        return;
    filter_cut(filter, 0);
    free(filter->rules);
    free(filter->nodes);
    free(filter->sets);
    free(filter);
}

/* Room for one more rule, and for all nodes that it can need. The three sets are one block. */
static bool reserve(struct filter *filter)
{
    size_t nodes = (size_t)filter->used + (size_t)4 * FILTER_PATTERN_MAX;
    struct rule *rules = realloc(filter->rules, (filter->count + 1) * sizeof *rules);
    struct node *more;
    uint32_t *sets;

    if (rules == NULL)
        return false;
    filter->rules = rules;
    if (nodes > FILTER_NODES_MAX)
        nodes = FILTER_NODES_MAX;
    more = realloc(filter->nodes, nodes * sizeof *more);
    if (more == NULL)
        return false;
    filter->nodes = more;
    sets = realloc(filter->sets, 3 * (nodes + 1) * sizeof *sets);
    if (sets == NULL)
        return false;
    filter->sets = filter->states = sets;
    filter->before = filter->states + nodes + 1;
    filter->pending = filter->before + nodes + 1;
    return true;
}

const char *filter_add(struct filter *filter, const struct filter_rule *rule)
{
    uint32_t used = filter->used;
    const char *why = reserve(filter) ? compile(filter, rule->pattern) : "needs more memory than there is";
    struct rule *added = &filter->rules[filter->count];

    if (why == NULL) {
        added->shown = (struct filter_rule){rule->include, strdup(rule->pattern), strdup(rule->origin)};
        filter->count++;
        if (added->shown.pattern != NULL && added->shown.origin != NULL)
            return NULL;
        filter_cut(filter, filter->count - 1);
        return "needs more memory than there is";
    }
    filter->used = used;
    return why;
}

void filter_only_included(struct filter *filter)
{
    filter->only_included = true;
}

bool filter_is_only_included(const struct filter *filter)
{
    return filter != NULL && filter->only_included;
}

const struct filter_rule *filter_rule(const struct filter *filter, size_t index)
{
    return filter != NULL && index < filter->count ? &filter->rules[index].shown : NULL;
}

/* ---- keys ---- */

/* Adds a node to the states, and where it leads without a character. Each is added once a step, so `pending` has room. */
static void enter(struct filter *filter, uint32_t first)
{
    size_t waiting = 0;

    filter->pending[waiting++] = first;
    while (waiting > 0) {
        uint32_t at = filter->pending[--waiting];
        struct node *node = &filter->nodes[at];

        if (node->seen == filter->step)
            continue;
        node->seen = filter->step;
        if (node->op == OP_SPLIT || node->op == OP_JUMP)
            filter->pending[waiting++] = node->low;
        else
            filter->states[filter->live++] = at;
        if (node->op == OP_SPLIT || node->op == OP_STAR || node->op == OP_GLOBSTAR)
            filter->pending[waiting++] = at + 1;
    }
}

/* Where a rule begins to match: at the beginning of the key, and if it is not rooted, of any segment. */
static void enter_rules(struct filter *filter, bool rooted)
{
    for (size_t i = 0; i < filter->count; i++)
        if (rooted || !filter->rules[i].rooted)
            enter(filter, filter->rules[i].start);
}

static bool is_in_class(const struct node *class, uint32_t code)
{
    bool in = false;

    for (uint32_t i = 1; i <= class->low; i++)
        in |= code >= class[i].low && code <= class[i].high;
    return in != (class->high != 0) && code != '/';
}

static void advance(struct filter *filter, uint32_t code)
{
    uint32_t *states = filter->states;
    size_t live = filter->live;

    filter->states = filter->before;
    filter->before = states;
    filter->live = 0;
    filter->step++;
    for (size_t i = 0; i < live; i++) {
        uint32_t at = states[i];
        const struct node *node = &filter->nodes[at];

        if ((node->op == OP_CODE && node->low == code) || (node->op == OP_ANY && code != '/'))
            enter(filter, at + 1);
        else if (node->op == OP_CLASS && is_in_class(node, code))
            enter(filter, at + 1 + node->low);
        else if (node->op == OP_GLOBSTAR || (node->op == OP_STAR && code != '/'))
            enter(filter, at);
    }
    if (code == '/')
        enter_rules(filter, false);
}

/* The first rule that matches here; `always`: whatever comes. NULL: none. */
static const struct rule *first_match(const struct filter *filter, bool always)
{
    size_t first = filter->count;

    for (size_t i = 0; i < filter->live; i++) {
        const struct node *node = &filter->nodes[filter->states[i]];
        bool matches = always ? node->op == OP_GLOBSTAR && node[1].op == OP_MATCH : node->op == OP_MATCH;

        if (matches && node->rule < first)
            first = node->rule;
    }
    return first < filter->count ? &filter->rules[first] : NULL;
}

static bool is_taken(const struct filter *filter, const struct rule *rule)
{
    return rule != NULL ? rule->shown.include : !filter->only_included;
}

/* Behind a '/': can nothing that begins so be taken? No rule that may still match, and comes first, takes anything. */
static bool is_pruned(const struct filter *filter)
{
    const struct rule *rule = first_match(filter, true);
    size_t end = rule != NULL ? (size_t)(rule - filter->rules) : filter->count;

    if (is_taken(filter, rule))
        return false;
    if (filter->rules == NULL) /* nor will there be one */
        return true;
    for (size_t i = 0; i < filter->live; i++) {
        size_t index = filter->nodes[filter->states[i]].rule;

        if (index < end && filter->rules[index].shown.include)
            return false;
    }
    return true;
}

struct filter_verdict filter_look(struct filter *filter, const char *key)
{
    struct filter_verdict verdict = {.taken = true};
    const char *at = key, *end;
    const struct rule *rule;

    if (filter == NULL)
        return verdict;
    end = key + strlen(key);
    filter->live = 0;
    filter->step++;
    enter_rules(filter, true);
    while (at < end) {
        uint32_t code = next_code(&at, end);

        advance(filter, code);
        if (code == '/' && verdict.folder == 0 && is_pruned(filter))
            verdict.folder = (size_t)(at - key);
    }
    rule = first_match(filter, false);
    verdict.taken = is_taken(filter, rule);
    verdict.rule = rule != NULL ? &rule->shown : NULL;
    return verdict;
}
