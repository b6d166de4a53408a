#include "removal.h"

#include "clock.h"

#include <string.h>

#define CLOCK_MARGIN 10000 /* ms: what a service's own times may be apart */

void removal_init(struct removal *removal, struct removal_plan *plan)
{
    *removal = (struct removal){.plan = plan};
    call_init(&removal->call);
}

void removal_free(struct removal *removal)
{
    absence_end(&removal->absence);
    call_free(&removal->call);
}

bool removal_idle(const struct removal *removal)
{
    return removal->state == NULL;
}

static void end_removal(struct removal *removal, enum removal_result result)
{
    absence_end(&removal->absence);
    removal->result = result;
    removal->state = NULL;
}

static void fail_removal(struct removal *removal, const struct error *error)
{
    removal->error = *error;
    end_removal(removal, REMOVAL_FAILED);
}

void removal_stop(struct removal *removal, const struct error *why)
{
    if (removal_idle(removal))
        return;
    call_cancel(&removal->call, why);
    end_removal(removal, REMOVAL_NONE);
}

/* ---- the removal itself ---- */

static void look_at_destination(struct removal *removal);

static void wait_until_removed(struct removal *removal)
{
    enum error_kind kind = removal->call.error.kind;

    if (!removal->call.done)
        return;
    if (kind == ERROR_NONE || kind == ERROR_NOT_FOUND) {
        end_removal(removal, REMOVAL_DONE);
    } else if (removal->conditional && !removal->refused &&
               (kind == ERROR_PRECONDITION || kind == ERROR_UNSUPPORTED)) {
        removal->refused = true;
        look_at_destination(removal);
    } else if (kind == ERROR_PRECONDITION) {
        end_removal(removal, REMOVAL_CHANGED);
    } else {
        fail_removal(removal, &removal->call.error);
    }
}

/* Every object that a sync removes is removed here. */
static void remove_version(struct removal *removal)
{
    struct store_condition condition = {.when = STORE_ALWAYS};

    removal->conditional = removal->entry.version[0] != '\0' && !removal->plan->lacks_condition;
    if (removal->conditional)
        condition = (struct store_condition){.when = STORE_IF_VERSION, .version = removal->entry.version};
    store_remove_if(removal->plan->destination, &removal->call, removal->key, &condition);
    removal->state = wait_until_removed;
}

/* ---- before it ---- */

static bool is_listed_version(const struct removal *removal)
{
    const struct object_info *info = &removal->call.info;
    const struct object_entry *entry = &removal->entry;

    if (entry->version[0] != '\0')
        return object_same_version(info->version, entry->version);
    return info->size == entry->size && info->modified == entry->modified;
}

/* A condition that was refused although its version is there does not mean anything here. */
static void wait_for_destination(struct removal *removal)
{
    enum error_kind kind = removal->call.error.kind;

    if (!removal->call.done)
        return;
    if (kind == ERROR_NOT_FOUND) {
        end_removal(removal, removal->refused ? REMOVAL_DONE : REMOVAL_GONE);
    } else if (kind != ERROR_NONE) {
        fail_removal(removal, &removal->call.error);
    } else if (!is_listed_version(removal)) {
        end_removal(removal, REMOVAL_CHANGED);
    } else {
        removal->plan->lacks_condition |= removal->refused;
        remove_version(removal);
    }
}

static void look_at_destination(struct removal *removal)
{
    store_head(removal->plan->destination, &removal->call, removal->key);
    removal->state = wait_for_destination;
}

static void wait_for_listing(struct removal *removal)
{
    struct error why;

    switch (absence_look(&removal->absence, &why)) {
    case ABSENCE_WAIT:
        break;
    case ABSENCE_PROVEN:
        absence_end(&removal->absence);
        look_at_destination(removal);
        break;
    case ABSENCE_FAILED:
        fail_removal(removal, &why);
        break;
    }
}

/* Was it written after the listing had begun, as far as the service tells? A source that keeps times may have one of any age. */
static bool is_new(const struct removal *removal)
{
    const struct object_info *info = &removal->call.info;

    return store_traits(removal->plan->source)->keeps_times || info->modified == CLOCK_UNKNOWN ||
           info->served == CLOCK_UNKNOWN ||
           info->served - info->modified <= clock_mono() - removal->listed + CLOCK_MARGIN;
}

static void wait_for_source(struct removal *removal)
{
    struct error why;

    if (!removal->call.done)
        return;
    if (removal->call.error.kind == ERROR_NONE) {
        end_removal(removal, is_new(removal) ? REMOVAL_BACK : REMOVAL_HIDDEN);
    } else if (removal->call.error.kind != ERROR_NOT_FOUND) {
        fail_removal(removal, &removal->call.error);
    } else if (absence_is_plain(removal->key)) {
        look_at_destination(removal);
    } else if (absence_begin(&removal->absence, removal->plan->source, removal->key, &why)) {
        removal->state = wait_for_listing;
    } else {
        fail_removal(removal, &why);
    }
}

void removal_start(struct removal *removal, const struct object_entry *entry, int64_t listed)
{
    memcpy(removal->key, entry->key, strlen(entry->key) + 1);
    removal->entry = *entry;
    removal->entry.key = removal->key;
    removal->listed = listed;
    removal->result = REMOVAL_NONE;
    removal->refused = false;
    error_clear(&removal->error);
    store_head(removal->plan->source, &removal->call, removal->key);
    removal->state = wait_for_source;
}

bool removal_step(struct removal *removal)
{
    bool moved = false;

    while (!removal_idle(removal)) {
        void (*before)(struct removal *) = removal->state;

        moved |= store_step(&removal->call);
        moved |= absence_step(&removal->absence);
        before(removal);
        if (removal->state == before)
            break;
        moved = true;
    }
    return moved;
}
