#include "pair.h"

#include <stddef.h>
#include <string.h>

void pair_open(struct pair *pair, struct cursor *source, struct cursor *destination, struct plan_rule rule)
{
    *pair = (struct pair){.rule = rule, .source = source, .destination = destination};
}

void pair_close(struct pair *pair)
{
    cursor_close(pair->source);
    cursor_close(pair->destination);
    *pair = (struct pair){.rule = pair->rule};
}

/* Is it the key, or in the folder, that could not be looked at? What it is may not be known either. */
static bool is_unknown(const struct pair *pair, const char *key)
{
    size_t len = strlen(pair->unknown);

    return len > 0 && strncmp(key, pair->unknown, len) == 0 &&
           (pair->unknown[len - 1] == '/' || key[len] == '\0' || key[len] == '/');
}

static enum cursor_state peek_entry(const struct pair *pair, struct cursor *cursor,
                                    const struct object_entry **entry)
{
    enum cursor_state state;

    while ((state = cursor_peek(cursor, entry)) == CURSOR_ENTRY && is_unknown(pair, (*entry)->key))
        cursor_next(cursor);
    return state;
}

enum pair_state pair_peek(struct pair *pair)
{
    enum cursor_state source = peek_entry(pair, pair->source, &pair->source_entry);
    enum cursor_state destination = peek_entry(pair, pair->destination, &pair->destination_entry);

    if (source == CURSOR_FAILED || destination == CURSOR_FAILED)
        return PAIR_FAILED;
    if (source == CURSOR_WAIT || destination == CURSOR_WAIT)
        return PAIR_WAIT;
    if (source == CURSOR_END)
        pair->source_entry = NULL;
    if (destination == CURSOR_END)
        pair->destination_entry = NULL;
    pair->step = plan_next(pair->rule, pair->source_entry, pair->destination_entry);
    return pair->step.action == PLAN_END ? PAIR_END : PAIR_READY;
}

static const struct object_entry *unreadable_folder(const struct pair *pair)
{
    return pair->step.take_source ? pair->source_entry : pair->destination_entry;
}

const char *pair_unreadable(const struct pair *pair, struct error *error)
{
    cursor_explain(pair->step.take_source ? pair->source : pair->destination, error);
    return unreadable_folder(pair)->key;
}

void pair_take(struct pair *pair)
{
    if (pair->step.action == PLAN_UNREADABLE)
        memcpy(pair->unknown, unreadable_folder(pair)->key, strlen(unreadable_folder(pair)->key) + 1);
    if (pair->step.take_source)
        cursor_next(pair->source);
    if (pair->step.take_destination)
        cursor_next(pair->destination);
}

bool pair_step(struct pair *pair)
{
    bool moved = cursor_step(pair->source);

    return cursor_step(pair->destination) || moved;
}

const struct error *pair_error(const struct pair *pair)
{
    const struct error *error = cursor_error(pair->source);

    return error->kind != ERROR_NONE ? error : cursor_error(pair->destination);
}
