#include "journal.h"

#include "clock.h"
#include "cursor.h"
#include "log.h"
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REMOVALS 16          /* at once */
#define RUN_KEYS_PASSED 1000 /* about a page: then the listing goes on behind the run */

struct scan {
    const struct job *job;
    struct cursor *cursor;
};

/* Goes on behind the run `after`; 0: from the beginning. */
static bool scan_from(struct scan *scan, uint64_t after, struct error *error)
{
    char prefix[JOURNAL_KEY_SIZE], begin[JOURNAL_KEY_SIZE] = "";

    journal_prefix(scan->job, 0, "", prefix);
    if (after != 0) {
        journal_prefix(scan->job, after, "", begin);
        begin[strlen(begin) - 1] = '0'; /* what comes behind a '/': so behind all of its keys */
    }
    cursor_close(scan->cursor);
    scan->cursor =
        cursor_open(scan->job->store, &(struct store_range){.prefix = prefix, .after = begin}, error);
    return scan->cursor != NULL;
}

/* Moves *run on to the next one; 0: there is none. Of a large one not all is listed. */
static bool scan_next(struct scan *scan, uint64_t *run, struct error *error)
{
    uint64_t last = *run;
    const struct object_entry *entry;
    enum cursor_state state;
    int passed = 0;

    while ((state = cursor_wait(scan->cursor, &entry, error)) == CURSOR_ENTRY) {
        if (!journal_parse_run(scan->job, entry->key, run))
            log_warn("%.200s in the destination belongs to no run: ignored", entry->key);
        else if (*run > last)
            return true;
        cursor_next(scan->cursor);
        if (++passed % RUN_KEYS_PASSED == 0 && last != 0 && !scan_from(scan, last, error))
            return false;
    }
    *run = 0;
    return state == CURSOR_END;
}

bool journal_list(const struct job *job, struct journal_runs *runs, struct error *error)
{
    struct scan scan = {.job = job};
    uint64_t run = 0;
    bool ok;

    error_clear(error);
    runs->count = 0;
    ok = scan_from(&scan, 0, error);
    while (ok && (ok = scan_next(&scan, &run, error)) && run != 0) {
        if (runs->count == JOURNAL_RUNS_MAX) /* the oldest one is left for later */
            memmove(runs->numbers, runs->numbers + 1, (size_t)--runs->count * sizeof *runs->numbers);
        runs->numbers[runs->count++] = run;
    }
    cursor_close(scan.cursor);
    return ok;
}

bool journal_number(const struct job *job, uint64_t *number, struct error *error)
{
    struct scan scan = {.job = job};
    uint64_t last = *number - 1, run = last;
    bool ok;

    error_clear(error);
    ok = scan_from(&scan, last, error);
    while (ok && (ok = scan_next(&scan, &run, error)) && run != 0)
        last = run;
    cursor_close(scan.cursor);
    if (ok && last >= LEASE_EPOCH_MAX)
        ok = error_set(error, ERROR_PROTOCOL,
                       "no number is left for a run: remove %s" JOURNAL_FOLDER " from the destination",
                       job->prefix);
    if (ok && last >= *number)
        log_info("this is run %" PRIu64 ", as there are runs up to %" PRIu64 " already: the lease began anew",
                 last + 1, last);
    *number = last + 1;
    return ok;
}

/* ---- entries that are replaced ---- */

bool journal_list_again(const struct job *job, uint64_t run, struct journal_again *again, struct error *error)
{
    const struct object_entry *entry;
    char prefix[JOURNAL_KEY_SIZE];
    enum cursor_state state;
    struct cursor *cursor;
    uint64_t number;

    error_clear(error);
    again->count = 0;
    journal_prefix(job, run, "again/", prefix);
    cursor = cursor_open(job->store, &(struct store_range){.prefix = prefix}, error);
    if (cursor == NULL)
        return false;
    while ((state = cursor_wait(cursor, &entry, error)) == CURSOR_ENTRY) {
        if (journal_parse_again(job, run, entry->key, &number)) {
            if (again->count == JOURNAL_AGAIN_MAX) {
                error_set(error, ERROR_PROTOCOL, "more entries of run %" PRIu64 " are replaced than can be",
                          run);
                break;
            }
            again->numbers[again->count++] = number;
        }
        cursor_next(cursor);
    }
    cursor_close(cursor);
    return state == CURSOR_END;
}

bool journal_has_again(const struct journal_again *again, uint64_t number)
{
    int i = 0;

    while (i < again->count && again->numbers[i] < number)
        i++;
    return i < again->count && again->numbers[i] == number;
}

/* ---- one run ---- */

/* 1: it is in call->body. 0: it is not there. -1: *error. */
static int read_document(const struct job *job, struct call *call, const char *key, struct error *error)
{
    store_read(job->store, call, key);
    if (store_wait(call))
        return 1;
    if (call->error.kind == ERROR_NOT_FOUND)
        return 0;
    *error = call->error;
    return -1;
}

static bool look_at(const struct job *job, struct call *call, uint64_t number, struct journal_run *run,
                    struct error *error)
{
    char key[JOURNAL_KEY_SIZE];
    struct journal_chunk chunk;
    bool understood;
    int found;

    journal_run_key(job, number, key);
    found = read_document(job, call, key, error);
    if (found > 0) {
        understood = journal_read_run(buf_str(&call->body), call->body.len, run);
    } else if (found == 0) {
        journal_chunk_key(job, number, 1, key);
        found = read_document(job, call, key, error);
        understood = found > 0 && journal_open(buf_str(&call->body), call->body.len, &chunk);
        if (understood) {
            *run = (struct journal_run){.head = chunk.head, .state = JOURNAL_DIED, .finished = CLOCK_UNKNOWN};
            journal_close(&chunk);
        }
    }
    if (found < 0)
        return false;
    if (found == 0)
        return error_set(error, ERROR_NOT_FOUND, "run %" PRIu64 " has no journal (any more)", number);
    return (understood && run->head.run == number) ||
           error_set(error, ERROR_PROTOCOL, "%s is no journal that this version understands", key);
}

bool journal_look(const struct job *job, uint64_t number, struct journal_run *run, struct error *error)
{
    struct call call;

    call_init(&call);
    error_clear(error);
    *run = (struct journal_run){.head = {.run = number}, .finished = CLOCK_UNKNOWN};
    bool ok = look_at(job, &call, number, run, error);
    call_free(&call);
    return ok;
}

bool journal_save_run(const struct job *job, const struct journal_run *run, struct error *error)
{
    char key[JOURNAL_KEY_SIZE];
    struct call call;
    struct buf json;
    bool ok;

    journal_run_key(job, run->head.run, key);
    call_init(&call);
    buf_init(&json, STORE_SMALL_MAX);
    ok = journal_write_run(run, &json) || error_set(error, ERROR_LOCAL, "out of memory");
    if (ok) {
        store_write(job->store, &call, key, json.data, json.len, NULL);
        ok = store_wait(&call);
        if (!ok)
            *error = call.error;
    }
    buf_free(&json);
    call_free(&call);
    return ok;
}

/* ---- removing ---- */

/* Begins a removal in each free call. True if any is under way. */
static bool begin_removals(const struct job *job, struct cursor *cursor, struct call calls[REMOVALS],
                           uint64_t *bytes, struct error *error)
{
    const struct object_entry *entry;
    bool busy = false;

    for (int i = 0; i < REMOVALS; i++) {
        if (calls[i].done && calls[i].error.kind != ERROR_NONE && error->kind == ERROR_NONE)
            *error = calls[i].error;
        if (calls[i].done && error->kind == ERROR_NONE && cursor_peek(cursor, &entry) == CURSOR_ENTRY) {
            *bytes += entry->size;
            store_remove(job->store, &calls[i], entry->key);
            cursor_next(cursor);
        }
        busy |= !calls[i].done;
    }
    return busy;
}

static bool step_removals(struct call calls[REMOVALS])
{
    bool moved = false;

    for (int i = 0; i < REMOVALS; i++)
        moved |= store_step(&calls[i]);
    return moved;
}

static void remove_all(const struct job *job, struct cursor *cursor, struct lease *lease, uint64_t *bytes,
                       struct error *error)
{
    const struct object_entry *entry;
    struct call calls[REMOVALS];
    struct error lost;

    for (int i = 0; i < REMOVALS; i++)
        call_init(&calls[i]);
    while (error->kind == ERROR_NONE &&
           (begin_removals(job, cursor, calls, bytes, error) || cursor_peek(cursor, &entry) == CURSOR_WAIT)) {
        bool moved = step_removals(calls);

        moved |= cursor_step(cursor);
        if (lease != NULL)
            moved |= lease_step(lease, &lost);
        if (lease != NULL && !lease->held)
            *error = lost;
        else
            loop_turn(store_loop(job->store), moved, lease != NULL ? lease_wake(lease) : INT64_MAX, error);
    }
    if (error->kind == ERROR_NONE && cursor_error(cursor)->kind != ERROR_NONE)
        *error = *cursor_error(cursor);
    for (int i = 0; i < REMOVALS; i++)
        call_free(&calls[i]);
}

bool journal_remove(const struct job *job, uint64_t run, const char *below, struct lease *lease,
                    uint64_t *bytes, struct error *error)
{
    char prefix[JOURNAL_KEY_SIZE];
    struct cursor *cursor;

    error_clear(error);
    journal_prefix(job, run, below, prefix);
    cursor = cursor_open(job->store, &(struct store_range){.prefix = prefix}, error);
    if (cursor == NULL)
        return false;
    remove_all(job, cursor, lease, bytes, error);
    cursor_close(cursor);
    return error->kind == ERROR_NONE;
}

/* Its first chunk before all else: what is left without that is no journal, and nobody rolls back by half of one. */
static bool remove_run(const struct job *job, uint64_t run, struct lease *lease, uint64_t *bytes,
                       struct error *error)
{
    return journal_remove(job, run, "chunk-000000000001.", lease, bytes, error) &&
           journal_remove(job, run, "", lease, bytes, error);
}

void journal_prune(const struct job *job, int64_t kept, struct lease *lease)
{
    struct journal_runs runs; /* 8 KB */
    uint64_t bytes = 0;
    struct error why;
    bool good = true;
    int count = 0;
    char size[32];

    if (!journal_list(job, &runs, &why)) {
        log_warn("older runs are not removed (setting runs_kept): %s", why.text);
        return;
    }
    while (good && count < runs.count && count < runs.count - kept) {
        good = remove_run(job, runs.numbers[count], lease, &bytes, &why);
        count += good;
    }
    if (!good)
        log_warn("older runs cannot be removed (setting runs_kept): %s", why.text);
    if (count > 0)
        log_info("%d older run%s with %s can no longer be rolled back (setting runs_kept): removed", count,
                 count == 1 ? "" : "s", report_size(bytes, size));
}
