#include "join.h"

#include "cursor.h"

#include <stddef.h>
#include <string.h>

bool join_open(struct join *join, struct store *source, struct store *destination,
               const struct store_range *range, struct plan_rule rule, struct error *error)
{
    *join = (struct join){.rule = rule};
    join->source = cursor_open(source, range, error);
    if (join->source == NULL)
        return false;
    join->destination = cursor_open(destination, range, error);
    if (join->destination == NULL) {
        join_close(join);
        return false;
    }
    return true;
}

void join_close(struct join *join)
{
    cursor_close(join->source);
    cursor_close(join->destination);
    *join = (struct join){.rule = join->rule};
}

/* Is it the key, or in the folder, that could not be looked at? */
static bool is_unknown(const struct join *join, const char *key)
{
    size_t len = strlen(join->unknown);

    return len > 0 && strncmp(key, join->unknown, len) == 0 &&
           (join->unknown[len - 1] == '/' || key[len] == '\0');
}

static enum cursor_state peek_entry(const struct join *join, struct cursor *cursor,
                                    const struct object_entry **entry)
{
    enum cursor_state state;

    while ((state = cursor_peek(cursor, entry)) == CURSOR_ENTRY && is_unknown(join, (*entry)->key))
        cursor_next(cursor);
    return state;
}

enum join_state join_peek(struct join *join)
{
    enum cursor_state source = peek_entry(join, join->source, &join->source_entry);
    enum cursor_state destination = peek_entry(join, join->destination, &join->destination_entry);

    if (source == CURSOR_FAILED || destination == CURSOR_FAILED)
        return JOIN_FAILED;
    if (source == CURSOR_WAIT || destination == CURSOR_WAIT)
        return JOIN_WAIT;
    if (source == CURSOR_END)
        join->source_entry = NULL;
    if (destination == CURSOR_END)
        join->destination_entry = NULL;
    join->step = plan_next(join->rule, join->source_entry, join->destination_entry);
    return join->step.action == PLAN_END ? JOIN_END : JOIN_READY;
}

static const struct object_entry *unreadable_folder(const struct join *join)
{
    return join->step.take_source ? join->source_entry : join->destination_entry;
}

const char *join_unreadable(const struct join *join, struct error *error)
{
    cursor_explain(join->step.take_source ? join->source : join->destination, error);
    return unreadable_folder(join)->key;
}

bool join_has_source(const struct join *join)
{
    return join->source_entry != NULL;
}

void join_take(struct join *join)
{
    if (join->step.action == PLAN_UNREADABLE)
        memcpy(join->unknown, unreadable_folder(join)->key, strlen(unreadable_folder(join)->key) + 1);
    if (join->step.take_source)
        cursor_next(join->source);
    if (join->step.take_destination)
        cursor_next(join->destination);
}

bool join_step(struct join *join)
{
    bool moved = cursor_step(join->source);

    return cursor_step(join->destination) || moved;
}

const struct error *join_error(const struct join *join)
{
    const struct error *error = cursor_error(join->source);

    return error->kind != ERROR_NONE ? error : cursor_error(join->destination);
}
