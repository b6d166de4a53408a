#include "keep.h"

#include "clock.h"
#include "crash.h"

#include <string.h>

static void empty_batch(struct keep_batch *batch)
{
    page_reset(&batch->before);
    page_reset(&batch->after);
    batch->count = batch->taken = 0;
    batch->before_at = batch->after_at = 0;
    batch->durable = false;
}

void keep_init(struct keep *keep, const struct job *job, const struct journal_head *head)
{
    memset(keep, 0, sizeof *keep);
    keep->job = job;
    keep->run = (struct journal_run){.head = *head, .finished = CLOCK_UNKNOWN};
    keep->collected = &keep->batches[0];
    keep->taken = &keep->batches[1];
    for (int i = 0; i < 2; i++) {
        page_init(&keep->batches[i].before, NULL, "");
        page_init(&keep->batches[i].after, NULL, "");
    }
    buf_init(&keep->chunk, STORE_SMALL_MAX);
    call_init(&keep->call);
}

void keep_free(struct keep *keep)
{
    call_free(&keep->call);
    buf_free(&keep->chunk);
    for (int i = 0; i < 2; i++) {
        page_free(&keep->batches[i].before);
        page_free(&keep->batches[i].after);
    }
}

bool keep_has_room(const struct keep *keep)
{
    return !keep->writing && !keep->collected->durable && keep->collected->count < JOURNAL_CHUNK &&
           keep->chunk.len < JOURNAL_CHUNK_FULL;
}

static void set_entry(struct object_entry *out, const struct object_entry *in, const char *key)
{
    if (in != NULL)
        *out = *in;
    out->key = key;
}

bool keep_add(struct keep *keep, const struct keep_item *item, struct error *error)
{
    struct keep_batch *batch = keep->collected;
    struct journal_entry entry = {.deed = item->deed, .number = keep->entry_count + 1};
    const char *key = item->after != NULL ? item->after->key : item->before->key;

    /* Nothing is under way yet that could not wait. */
    if (keep->entry_count == 0 && !journal_number(keep->job, &keep->run.head.run, error))
        return false;
    keep->numbered |= keep->entry_count == 0;
    keep->entry_count++;
    memcpy(entry.key, key, strlen(key) + 1);
    set_entry(&entry.before, item->before, entry.key);
    set_entry(&entry.after, item->after, entry.key);
    if (batch->count == 0) {
        batch->first = entry.number;
        buf_clear(&keep->chunk);
        journal_begin_chunk(&keep->run.head, &keep->chunk);
    }
    if (!keep->chunk.failed)
        journal_add(&entry, &keep->chunk);
    if (keep->chunk.failed || (item->before != NULL && !page_add(&batch->before, item->before)) ||
        (item->after != NULL && !page_add(&batch->after, item->after)))
        return error_set(error, ERROR_LOCAL, "out of memory");
    batch->how[batch->count].deed = (uint8_t)item->deed;
    batch->how[batch->count].reason = (uint8_t)item->reason;
    batch->how[batch->count].overwrites = item->overwrites;
    batch->count++;
    return true;
}

static bool write_chunk(struct keep *keep, struct error *error)
{
    char key[JOURNAL_KEY_SIZE];

    keep->writing = true;
    keep->proving = keep->run.head.versions && !keep->proven;
    if (keep->proving) {
        store_keeps_past(keep->job->store, &keep->call);
        return true;
    }
    journal_end_chunk(&keep->chunk);
    if (keep->chunk.failed)
        return error_set(error, ERROR_LOCAL, "out of memory");
    journal_chunk_key(keep->job, keep->run.head.run, keep->run.chunks + 1, key);
    store_write(keep->job->store, &keep->call, key, keep->chunk.data, keep->chunk.len, NULL);
    crash_point("journaling");
    return true;
}

static bool end_chunk(struct keep *keep, struct error *error)
{
    keep->writing = false;
    if (keep->call.error.kind != ERROR_NONE) {
        *error = keep->call.error;
        error_prefix(
            error, "%s",
            keep->proving
                ? "nothing is changed (setting keep_previous): "
                : "the journal cannot be written, without which nothing is changed (setting keep_previous): ");
        return false;
    }
    if (keep->proving) {
        keep->proven = true;
        return write_chunk(keep, error);
    }
    keep->run.chunks++;
    keep->collected->durable = true;
    crash_point("journaled");
    return true;
}

bool keep_step(struct keep *keep, int low, bool *moved, struct error *error)
{
    struct keep_batch *collected = keep->collected, *taken = keep->taken;

    if (keep->numbered) {
        keep->numbered = false;
        *moved = true;
        return true;
    }
    if (keep->writing) {
        *moved |= store_step(&keep->call);
        if (!keep->call.done)
            return true;
        *moved = true;
        if (!end_chunk(keep, error))
            return false;
        if (keep->writing)
            return true;
    }
    if (collected->durable && taken->taken == taken->count) {
        empty_batch(taken);
        buf_clear(&keep->chunk); /* else a chunk that was full stays full */
        keep->taken = collected;
        keep->collected = taken;
        *moved = true;
    } else if (!collected->durable && collected->count > 0 &&
               (!keep_has_room(keep) || taken->count - taken->taken <= low)) {
        *moved = true;
        return write_chunk(keep, error);
    }
    return true;
}

bool keep_take(struct keep *keep, struct keep_item *item)
{
    struct keep_batch *batch = keep->taken;
    enum journal_deed deed;

    if (batch->taken == batch->count)
        return false;
    deed = (enum journal_deed)batch->how[batch->taken].deed;
    *item = (struct keep_item){
        .deed = deed,
        .reason = batch->how[batch->taken].reason,
        .overwrites = batch->how[batch->taken].overwrites,
        .number = batch->first + (uint64_t)batch->taken,
    };
    if (deed != JOURNAL_CREATE) {
        batch->before_at += page_entry(&batch->before, batch->before_at, &keep->entries[0]);
        item->before = &keep->entries[0];
    }
    if (deed != JOURNAL_DELETE) {
        batch->after_at += page_entry(&batch->after, batch->after_at, &keep->entries[1]);
        item->after = &keep->entries[1];
    }
    batch->taken++;
    return true;
}

bool keep_replace(struct keep *keep, struct call *call, const struct journal_entry *entry, bool first,
                  struct error *error)
{
    char key[JOURNAL_KEY_SIZE];
    struct buf json;
    bool ok;

    if (first && keep->replaced == JOURNAL_AGAIN_MAX)
        return error_set(error, ERROR_PRECONDITION,
                         "production has changed too many objects during this sync (setting keep_previous)");
    keep->replaced += first;
    buf_init(&json, STORE_SMALL_MAX);
    journal_begin_chunk(&keep->run.head, &json);
    if (!json.failed)
        journal_add(entry, &json);
    journal_end_chunk(&json);
    ok = !json.failed || error_set(error, ERROR_LOCAL, "out of memory");
    if (ok) {
        journal_again_key(keep->job, keep->run.head.run, entry->number, key);
        store_write(keep->job->store, call, key, json.data, json.len, NULL);
    }
    buf_free(&json);
    return ok;
}

bool keep_is_empty(const struct keep *keep)
{
    return keep->collected->count == 0 && keep->taken->taken == keep->taken->count;
}

void keep_done(struct keep *keep, enum journal_deed deed, uint64_t bytes)
{
    keep->run.created += deed == JOURNAL_CREATE;
    keep->run.overwritten += deed == JOURNAL_OVERWRITE;
    keep->run.deleted += deed == JOURNAL_DELETE;
    keep->run.bytes += bytes;
}
