#include "join.h"

#include <stddef.h>

bool join_open(struct join *join, struct store *source, struct store *destination, const char *prefix,
               enum compare rule, struct error *error)
{
    *join = (struct join){.rule = rule};
    join->source = cursor_open(source, prefix, error);
    if (join->source == NULL)
        return false;
    join->destination = cursor_open(destination, prefix, error);
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

enum join_state join_peek(struct join *join)
{
    enum cursor_state source = cursor_peek(join->source, &join->source_entry);
    enum cursor_state destination = cursor_peek(join->destination, &join->destination_entry);

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

void join_take(struct join *join)
{
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
