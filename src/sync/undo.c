#include "undo.h"

#include "clock.h"
#include "concurrency.h"
#include "crash.h"
#include "log.h"
#include "loop.h"
#include "stop.h"
#include "transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is to be done ---- */

/* Times in headers are whole seconds. */
static bool same_time(int64_t now, int64_t listed)
{
    return now == listed || (now != CLOCK_UNKNOWN && listed != CLOCK_UNKNOWN && now % 1000 == 0 &&
                             now / 1000 == listed / 1000);
}

static bool is_untouched(const struct object_info *now, const struct object_entry *before)
{
    return object_same_version(now->version, before->version) && same_time(now->modified, before->modified);
}

static bool looks_like(const struct object_info *now, const struct object_entry *entry, bool keeps_times)
{
    return now->size == entry->size && !object_hashes_differ(&now->hash, &entry->hash) &&
           (!keeps_times || now->modified == entry->modified);
}

enum undo_verdict undo_decide(const struct journal_entry *entry, const struct object_info *now,
                              bool keeps_times, bool ours)
{
    bool written, restored;

    if (now == NULL)
        return entry->deed == JOURNAL_CREATE   ? UNDO_NOTHING
               : entry->deed == JOURNAL_DELETE ? UNDO_RESTORE
                                               : UNDO_LEAVE;
    if (entry->deed != JOURNAL_CREATE && is_untouched(now, &entry->before))
        return UNDO_NOTHING;
    if (!keeps_times && !ours)
        return UNDO_LEAVE;
    written = entry->deed != JOURNAL_DELETE && looks_like(now, &entry->after, keeps_times);
    restored = entry->deed != JOURNAL_CREATE && looks_like(now, &entry->before, keeps_times);
    if (entry->deed == JOURNAL_CREATE)
        return written ? UNDO_REMOVE : UNDO_LEAVE;
    if (entry->deed == JOURNAL_DELETE || (keeps_times && !written))
        return restored ? UNDO_NOTHING : UNDO_LEAVE;
    /* Content alone does not tell whether it is put back already. */
    return written || restored ? UNDO_RESTORE : UNDO_LEAVE;
}

/* ---- carrying it out ---- */

struct undo;
struct slot {
    void (*state)(struct undo *undo, struct slot *slot); /* what happens once its call is done; NULL: free */
    struct journal_entry entry;
    struct call call;
    struct transfer transfer;
    char over[OBJECT_VERSION_SIZE]; /* what is there now */
    char kept[JOURNAL_KEY_SIZE];
    char past[STORE_PAST_SIZE]; /* with versions: which one was kept */
    bool refused;               /* the condition of its removal: services differ in what they make of one */
    bool replaced;              /* its entry, because production had changed the object during the sync */
};

struct undo {
    struct undo_job *job;
    const struct journal_run *run;
    struct transfer_plan plan;
    struct slot *slots;
    int slot_count;
    struct call call; /* reads the next chunk */
    bool reading, open, ended;
    bool others; /* what was removed is back: now all else */
    struct journal_chunk chunk;
    uint64_t chunks; /* that were read */
    struct journal_again again;
    uint64_t bytes;
    struct error error;
    int64_t give_up; /* mono; once it is ending early */
};

/* How long what is under way may take to end, in ms. */
#define GRACE 800

static void stop_undo(struct undo *undo, const struct error *why)
{
    if (undo->error.kind == ERROR_NONE)
        undo->error = *why;
    undo->ended = true;
    if (undo->give_up != 0)
        return;
    undo->give_up = clock_mono() + GRACE;
    for (int i = 0; i < undo->slot_count; i++) {
        transfer_stop(&undo->slots[i].transfer, why);
        call_cancel(&undo->slots[i].call, why);
    }
}

static void fail_slot(struct undo *undo, struct slot *slot, const struct error *error)
{
    if (undo->give_up == 0)
        report_failed(undo->job->report, slot->entry.key, error);
    slot->state = NULL;
}

static void done(struct undo *undo, struct slot *slot, uint64_t size, const char *how)
{
    struct object_entry entry = {.key = slot->entry.key, .size = size};

    undo->bytes += size;
    report_synced(undo->job->report, &entry, how);
    slot->state = NULL;
    crash_point("undoing");
}

/* Will an older run, which has an entry for it, take what was put back for what it wrote? Its time is the present one now, and if
 * there is no hash, the size is all there is. */
static bool may_be_either(const struct undo *undo, const struct slot *slot)
{
    const struct object_entry *before = &slot->entry.before;

    return !store_traits(undo->job->destination)->keeps_times && before->hash.kind == OBJECT_HASH_NONE &&
           (slot->replaced || before->modified == CLOCK_UNKNOWN ||
            !lease_wrote(undo->job->lease, before->modified));
}

static void wait_for_transfer(struct undo *undo, struct slot *slot)
{
    const struct transfer *transfer = &slot->transfer;
    struct error why = transfer->error;

    if (!transfer_idle(transfer))
        return;
    switch (transfer->result) {
    case TRANSFER_COPIED:
        undo->job->doubtful |= may_be_either(undo, slot);
        done(undo, slot, transfer->entry.size, "put back");
        break;
    case TRANSFER_CONFLICT:
        report_kept(undo->job->report, slot->entry.key);
        slot->state = NULL;
        break;
    case TRANSFER_GONE:
        error_set(&why, ERROR_NOT_FOUND, "its previous version is not there any more");
        fail_slot(undo, slot, &why);
        break;
    default:
        fail_slot(undo, slot, &why);
        break;
    }
}

/* What was kept is known: the copy begins. */
static void wait_for_kept(struct undo *undo, struct slot *slot)
{
    const struct object_info *info = &slot->call.info;
    bool versions = undo->run->head.versions;
    struct object_entry kept = {.key = versions ? slot->entry.key : slot->kept,
                                .size = info->size,
                                .modified = info->modified,
                                .hash = info->hash};

    if (undo->give_up != 0) {
        slot->state = NULL;
        return;
    }
    if (!versions && slot->entry.deed == JOURNAL_DELETE && slot->call.error.kind == ERROR_NOT_FOUND) {
        /* It is kept before it is removed: so it was not the sync that removed it. */
        report_kept(undo->job->report, slot->entry.key);
        slot->state = NULL;
        return;
    }
    if (slot->call.error.kind == ERROR_NONE && info->size == OBJECT_SIZE_UNKNOWN)
        error_set(&slot->call.error, ERROR_PROTOCOL, "it is not told how large %s is", slot->kept);
    if (slot->call.error.kind != ERROR_NONE) {
        error_prefix(&slot->call.error, "its previous version: ");
        fail_slot(undo, slot, &slot->call.error);
        return;
    }
    memcpy(kept.version, info->version, sizeof kept.version);
    slot->state = wait_for_transfer;
    snprintf(slot->past, sizeof slot->past, "%s", buf_str(&slot->call.body));
    transfer_start_as(&slot->transfer, &kept, slot->entry.key, versions ? slot->past : NULL, slot->over);
    wait_for_transfer(undo, slot);
}

static void wait_for_look(struct undo *undo, struct slot *slot);

static void wait_for_removal(struct undo *undo, struct slot *slot)
{
    enum error_kind kind = slot->call.error.kind;

    if ((kind == ERROR_PRECONDITION || kind == ERROR_UNSUPPORTED) && !slot->refused && undo->give_up == 0) {
        slot->refused = true;
        store_head(undo->job->destination, &slot->call, slot->entry.key);
        slot->state = wait_for_look;
    } else if (kind != ERROR_NONE)
        fail_slot(undo, slot, &slot->call.error);
    else
        done(undo, slot, 0, "removed");
}

static bool may_be_ours(const struct undo *undo, int64_t written)
{
    const struct lease *lease = undo->job->lease;

    return written != CLOCK_UNKNOWN && (lease_wrote(lease, written) || written >= lease->own.began);
}

static void wait_for_look(struct undo *undo, struct slot *slot)
{
    const struct object_info *now = slot->call.error.kind == ERROR_NOT_FOUND ? NULL : &slot->call.info;
    struct store *store = undo->job->destination;
    struct object_entry entry = {.key = slot->entry.key};

    if (undo->give_up != 0) {
        slot->state = NULL;
        return;
    }
    if (slot->call.error.kind != ERROR_NONE && now != NULL) {
        fail_slot(undo, slot, &slot->call.error);
        return;
    }
    memcpy(slot->over, now != NULL ? now->version : "", now != NULL ? sizeof slot->over : 1);
    switch (undo_decide(&slot->entry, now, store_traits(store)->keeps_times,
                        now != NULL && may_be_ours(undo, now->modified))) {
    case UNDO_NOTHING:
        report_skipped(undo->job->report, &entry, "as it was");
        slot->state = NULL;
        break;
    case UNDO_LEAVE:
        report_kept(undo->job->report, slot->entry.key);
        slot->state = NULL;
        break;
    case UNDO_REMOVE:
        store_remove_if(store, &slot->call, slot->entry.key,
                        &(struct store_condition){
                            .when = slot->over[0] != '\0' && !slot->refused ? STORE_IF_VERSION : STORE_ALWAYS,
                            .version = slot->over});
        slot->state = wait_for_removal;
        break;
    case UNDO_RESTORE:
        journal_kept_key(undo->job->state, undo->run->head.run, slot->entry.number, slot->kept);
        if (undo->run->head.versions)
            store_find_past(store, &slot->call, &slot->entry.before);
        else
            store_head(store, &slot->call, slot->kept);
        slot->state = wait_for_kept;
        break;
    }
}

/* ---- the journal ---- */

static void open_chunk(struct undo *undo)
{
    const struct journal_head *head = &undo->run->head;
    bool last = undo->call.error.kind == ERROR_NOT_FOUND &&
                undo->chunks >= (undo->run->chunks > 0 ? undo->run->chunks : 1);
    struct error why = undo->call.error;

    undo->reading = false;
    undo->chunks++;
    if (last) {
        undo->ended = true;
        return;
    }
    if (why.kind == ERROR_NONE &&
        journal_open(buf_str(&undo->call.body), undo->call.body.len, &undo->chunk)) {
        undo->open = undo->chunk.head.run == head->run && strcmp(undo->chunk.head.nonce, head->nonce) == 0;
        if (undo->open)
            return;
        journal_close(&undo->chunk);
        if (undo->run->state == JOURNAL_DIED) { /* a rest of another run */
            undo->ended = true;
            return;
        }
    }
    if (why.kind == ERROR_NONE)
        error_set(&why, ERROR_PROTOCOL, "it is none that this version understands");
    error_prefix(&why, "chunk %" PRIu64 " of the journal of run %" PRIu64 ": ", undo->chunks, head->run);
    stop_undo(undo, &why);
}

static void read_chunk(struct undo *undo)
{
    char key[JOURNAL_KEY_SIZE];

    if (undo->run->chunks > 0 && undo->chunks == undo->run->chunks) {
        undo->ended = true;
        return;
    }
    journal_chunk_key(undo->job->state, undo->run->head.run, undo->chunks + 1, key);
    store_read(undo->job->destination, &undo->call, key);
    undo->reading = true;
}

static struct slot *idle_slot(struct undo *undo)
{
    for (int i = 0; i < undo->slot_count; i++)
        if (undo->slots[i].state == NULL)
            return &undo->slots[i];
    return NULL;
}

static void look_at_object(struct undo *undo, struct slot *slot)
{
    store_head(undo->job->destination, &slot->call, slot->entry.key);
    slot->state = wait_for_look;
}

/* The entry that counts instead, if it is one. */
static bool take_newer(const struct undo *undo, struct slot *slot)
{
    const struct journal_head *head = &undo->run->head;
    const struct buf *json = &slot->call.body;
    struct journal_entry newer;
    struct journal_chunk chunk;
    bool ok;

    if (!journal_open(buf_str(json), json->len, &chunk))
        return false;
    ok = chunk.head.run == head->run && strcmp(chunk.head.nonce, head->nonce) == 0 &&
         journal_next(&chunk, &newer) == 1 && newer.number == slot->entry.number &&
         strcmp(newer.key, slot->entry.key) == 0;
    journal_close(&chunk);
    if (!ok)
        return false;
    slot->entry = newer;
    slot->replaced = true;
    slot->entry.before.key = slot->entry.after.key = slot->entry.key;
    return true;
}

static void wait_for_newer(struct undo *undo, struct slot *slot)
{
    if (undo->give_up != 0) {
        slot->state = NULL;
        return;
    }
    if (slot->call.error.kind == ERROR_NONE && take_newer(undo, slot)) {
        look_at_object(undo, slot);
        return;
    }
    if (slot->call.error.kind == ERROR_NONE)
        error_set(&slot->call.error, ERROR_PROTOCOL, "it is none that this version understands");
    error_prefix(&slot->call.error, "the newer entry in the journal: ");
    fail_slot(undo, slot, &slot->call.error);
}

static void begin_entry(struct undo *undo, struct slot *slot)
{
    char key[JOURNAL_KEY_SIZE];

    slot->refused = slot->replaced = false;
    if (!journal_has_again(&undo->again, slot->entry.number)) {
        look_at_object(undo, slot);
        return;
    }
    journal_again_key(undo->job->state, undo->run->head.run, slot->entry.number, key);
    store_read(undo->job->destination, &slot->call, key);
    slot->state = wait_for_newer;
}

/* Begins with the next entries, as far as there are free slots. */
static bool take_entries(struct undo *undo)
{
    struct slot *slot;
    bool moved = false;

    while (undo->open && (slot = idle_slot(undo)) != NULL) {
        moved = true;
        switch (journal_next(&undo->chunk, &slot->entry)) {
        case 1:
            if ((slot->entry.deed == JOURNAL_DELETE) != undo->others)
                begin_entry(undo, slot);
            break;
        case 0:
            journal_close(&undo->chunk);
            undo->open = false;
            break;
        default:
            error_set(&slot->call.error, ERROR_PROTOCOL, "an entry of the journal cannot be understood");
            if (!undo->others)
                report_failed(undo->job->report, "(journal)", &slot->call.error);
            break;
        }
    }
    return moved;
}

/* ---- the loop ---- */

/* How many entries are under way. */
static int step_slots(struct undo *undo, bool *moved)
{
    int active = 0;

    for (int i = 0; i < undo->slot_count; i++) {
        struct slot *slot = &undo->slots[i];

        if (slot->state == NULL)
            continue;
        *moved |= store_step(&slot->call);
        *moved |= transfer_step(&slot->transfer);
        if (slot->call.done && transfer_idle(&slot->transfer)) {
            *moved = true;
            slot->state(undo, slot);
        }
        active += slot->state != NULL;
    }
    return active;
}

static int64_t undo_wake(const struct undo *undo)
{
    int64_t wake = undo->give_up != 0 ? undo->give_up : lease_wake(undo->job->lease);

    for (int i = 0; i < undo->slot_count; i++)
        if (transfer_wake(&undo->slots[i].transfer) < wake)
            wake = transfer_wake(&undo->slots[i].transfer);
    return wake;
}

/* What a run has written before it removed it has two entries: it is put back, and then it is as it was before that. False: there
 * is no second pass, as this was it. */
static bool begin_second_pass(struct undo *undo)
{
    if (undo->others || undo->give_up != 0)
        return false;
    undo->others = true;
    undo->ended = false;
    undo->chunks = 0;
    return true;
}

static bool turn_undo(struct undo *undo)
{
    struct loop *loop = store_loop(undo->job->destination);
    struct lease *lease = undo->job->lease;
    bool moved = false;
    struct error why;
    int active;

    if (undo->give_up == 0) {
        moved = lease_step(lease, &why);
        if (!lease->held)
            stop_undo(undo, &why);
    }
    if (undo->reading)
        moved |= store_step(&undo->call);
    if (undo->reading && undo->call.done)
        open_chunk(undo);
    if (undo->give_up == 0)
        moved |= take_entries(undo);
    if (!undo->ended && !undo->reading && !undo->open) {
        read_chunk(undo);
        moved = true;
    }
    active = step_slots(undo, &moved);
    if (undo->ended && active == 0)
        return begin_second_pass(undo);
    report_progress(undo->job->report, active, undo->bytes);
    if (undo->give_up != 0) {
        loop_tidy(loop, moved, undo->give_up);
        return clock_mono() < undo->give_up;
    }
    if (!loop_turn(loop, moved, undo_wake(undo), &why))
        stop_undo(undo, &why);
    return true;
}

bool undo_run(struct undo_job *job, struct journal_run *run, struct error *error)
{
    struct undo undo = {.job = job, .run = run, .slot_count = concurrency_usual(job->settings->concurrency)};

    if (!journal_list_again(job->state, run->head.run, &undo.again, error))
        return false;
    transfer_plan_within(&undo.plan, job->destination, (uint64_t)job->settings->part_size);
    undo.slots = calloc((size_t)undo.slot_count, sizeof *undo.slots);
    if (undo.slots == NULL)
        return error_set(error, ERROR_LOCAL, "out of memory");
    call_init(&undo.call);
    for (int i = 0; i < undo.slot_count; i++) {
        call_init(&undo.slots[i].call);
        transfer_init(&undo.slots[i].transfer, &undo.plan);
    }
    while (turn_undo(&undo)) {
    }
    for (int i = 0; i < undo.slot_count; i++) {
        call_free(&undo.slots[i].call);
        transfer_free(&undo.slots[i].transfer);
    }
    if (undo.open)
        journal_close(&undo.chunk);
    call_free(&undo.call);
    object_meta_free(&undo.plan.acl);
    free(undo.slots);
    *error = undo.error;
    return error->kind == ERROR_NONE;
}
