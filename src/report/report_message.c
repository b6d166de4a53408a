/* Sentences for a person: how the run ended, in one line and in a few. */
#include "report_internal.h"

#include "clock.h"
#include "log.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *report_size(uint64_t bytes, char out[32])
{
    static const char units[][3] = {"KB", "MB", "GB", "TB"};
    size_t unit = 0;
    int shift = 10;

    if (bytes < 1024) {
        snprintf(out, 32, "%" PRIu64 " B", bytes);
        return out;
    }
    while (unit < 3 && bytes >> shift >= 1024) {
        unit++;
        shift += 10;
    }
    uint64_t whole = bytes >> shift;
    uint64_t rest = bytes & ((UINT64_C(1) << shift) - 1);
    uint64_t hundredths = (rest * 100 + (UINT64_C(1) << (shift - 1))) >> shift;
    whole += hundredths / 100;
    hundredths %= 100;
    /* 1,023.996 KB has been rounded to the next unit. */
    if (whole == 1024 && unit < 3) {
        whole = 1;
        unit++;
    }
    snprintf(out, 32, "%" PRIu64 ".%02" PRIu64 " %s", whole, hundredths, units[unit]);
    return out;
}

const char *report_deed(const struct report *report)
{
    if (report->mode == REPORT_ROLLBACK)
        return "Rolled back";
    return report->dry_run ? "Would sync" : "Synced";
}

/* "Synced 42 objects (12.45 MB), 15 already up to date, 1 gone, 3 failed" */
static void figures(const struct report *report, char *out, size_t out_size)
{
    char size[32];
    char gone[40] = "", kept[64] = "", deleted[40] = "", failed[40] = "";

    if (report->gone > 0)
        snprintf(gone, sizeof gone, ", %" PRIu64 " gone", report->gone);
    if (report->kept > 0)
        snprintf(kept, sizeof kept, ", %" PRIu64 " kept as production changed it", report->kept);
    if (report->deleted > 0)
        snprintf(deleted, sizeof deleted, ", %" PRIu64 " removed", report->deleted);
    if (report->failed > 0)
        snprintf(failed, sizeof failed, ", %" PRIu64 " failed", report->failed);
    snprintf(out, out_size, "%s %" PRIu64 " object%s (%s), %" PRIu64 " %s%s%s%s%s", report_deed(report),
             report->synced, report->synced == 1 ? "" : "s", report_size(report->total_size, size),
             report->skipped, report->mode == REPORT_ROLLBACK ? "as before" : "already up to date", gone,
             kept, deleted, failed);
}

static void say_validation(struct report *report)
{
    const struct report_validation *validation = &report->validation;

    const struct {
        uint64_t count;
        const char *what;
    } remarks[] = {
        {validation->read, " of them by reading"},
        {validation->unhashed, " of them by size and time only"},
        {validation->changed, " changed meanwhile"},
        {validation->lists[REPORT_EXTRA].count, " extra at the destination"},
    };
    int len;

    if (report_valid(report)) {
        len = snprintf(report->message, sizeof report->message,
                       "Source and destination are equal: %" PRIu64 " object%s", validation->checked,
                       validation->checked == 1 ? "" : "s");
        for (size_t i = 0; i < sizeof remarks / sizeof remarks[0]; i++)
            if (remarks[i].count > 0)
                len += snprintf(report->message + len, sizeof report->message - (size_t)len,
                                ", %" PRIu64 "%s", remarks[i].count, remarks[i].what);
        return;
    }
    snprintf(report->message, sizeof report->message,
             "Source and destination differ: %" PRIu64 " missing, %" PRIu64 " mismatched, %" PRIu64 " extra",
             validation->lists[REPORT_MISSING].count, validation->lists[REPORT_MISMATCHED].count,
             validation->lists[REPORT_EXTRA].count);
}

const char *report_awaited(const struct report *report, char out[REPORT_AWAITED_SIZE])
{
    size_t len;

    if (report->state == REPORT_STARTING)
        snprintf(out, REPORT_AWAITED_SIZE, "the first answers of the buckets");
    else if (report->state == REPORT_WAITING)
        snprintf(out, REPORT_AWAITED_SIZE, "replica %.120s, which is syncing", report->waiting_for);
    else if (report->active > 0)
        snprintf(out, REPORT_AWAITED_SIZE, "%d object%s under way", report->active,
                 report->active == 1 ? "" : "s");
    else
        snprintf(out, REPORT_AWAITED_SIZE, "the listings");
    len = strlen(out);
    if (report->state != REPORT_WAITING && report->host[0] != '\0')
        snprintf(out + len, REPORT_AWAITED_SIZE - len, " (%s)", report->host);
    return out;
}

static void say_too_soon(struct report *report)
{
    const char *id = report->detection.deployment_id;
    char due[CLOCK_RFC3339_SIZE] = "";

    if (report->due_at != CLOCK_UNKNOWN)
        clock_format_rfc3339(report->due_at, due);
    snprintf(report->message, sizeof report->message,
             "%s%s is not synced: the last automatic sync was less than min_interval ago%s%s",
             *id != '\0' ? "Deployment " : "This start", id, *due != '\0' ? "; the next is due at " : "",
             due);
}

/* Behind what is said already, of a shard: how far the others are. */
static void add_shards(struct report *report)
{
    const struct shard *shard = &report->shard;
    size_t len = strlen(report->message);
    char *end = report->message + len;
    size_t room = sizeof report->message - len;

    if (shard->count == 0 || report->dry_run)
        return;
    if (report->shards_done == shard->count)
        snprintf(end, room, ": all %d shards are done", shard->count);
    else
        snprintf(end, room, ": shard %d/%d is done, %d not yet (%s)", shard->index, shard->count,
                 shard->count - report->shards_done, report->shards_left);
}

/* Behind what went wrong. With all of them done it was the marker. */
static void add_unfinished_shard(struct report *report)
{
    const struct shard *shard = &report->shard;
    size_t len = strlen(report->message);

    if (shard->count != 0 && !report->dry_run && report->mode == REPORT_DEPLOY &&
        report->error.kind != ERROR_CONFIG && report->shards_done != shard->count)
        snprintf(report->message + len, sizeof report->message - len,
                 "; shard %d/%d is not done: started again it goes on from there", shard->index,
                 shard->count);
}

static void say(struct report *report, const char *message)
{
    snprintf(report->message, sizeof report->message, "%s", message);
}

void report_make_message(struct report *report)
{
    switch (report->state) {
    case REPORT_ALREADY_SYNCED:
        snprintf(report->message, sizeof report->message, "Deployment %s is already synced%s",
                 report->detection.deployment_id,
                 report->shards_done != report->shard.count ? " in part" : "");
        add_shards(report);
        break;
    case REPORT_TOO_SOON:
        say_too_soon(report);
        break;
    case REPORT_INACTIVE:
        say(report, "Development environment: no automatic sync");
        break;
    case REPORT_NOTHING_TO_DO:
        say(report, text_begins(report->source, SETTINGS_REPLIT_BUCKET)
                        ? "Development and production share one bucket, as is usual at Replit: nothing to do"
                        : "Source and destination are the same: nothing to do");
        break;
    case REPORT_FAILED:
    case REPORT_INTERRUPTED:
        say(report, report->error.kind != ERROR_NONE ? report->error.text : report_state_name(report->state));
        add_unfinished_shard(report);
        break;
    case REPORT_STARTING:
    case REPORT_RUNNING:
    case REPORT_WAITING:
        break;
    case REPORT_SYNCED:
    case REPORT_ROLLED_BACK:
    case REPORT_PARTIAL:
        if (report->validation.done)
            say_validation(report);
        else if (report->state == REPORT_PARTIAL && report->failed == 0)
            say(report, report->error.text);
        else
            figures(report, report->message, sizeof report->message);
        if (report->state == REPORT_SYNCED)
            add_shards(report);
        else
            add_unfinished_shard(report);
        break;
    }
}

/* ---- in brief ---- */

#define BRIEF_LINE 768

/* A whole line, made safe, or none if it does not fit and leave room for the last one. */
static bool add_brief(struct buf *out, size_t max, const char *line)
{
    char safe[LOG_SAFE_SIZE];
    size_t len = strlen(log_safe(line, safe));

    return out->len + len + 1 <= max && buf_append(out, safe, len) && buf_putc(out, '\n');
}

void report_brief(const struct report *report, struct buf *out)
{
    char line[BRIEF_LINE];
    size_t max = out->max > 64 ? out->max - 64 : 0; /* the rest is for how many there are besides */
    uint64_t told = 0;

    snprintf(line, sizeof line, "%s: %s", report_state_name(report->state), report->message);
    add_brief(out, max, line);
    bool broken_off = report->state == REPORT_FAILED || report->state == REPORT_INTERRUPTED;
    if (broken_off && report->synced + report->skipped + report->deleted + report->failed > 0) {
        figures(report, line, sizeof line);
        add_brief(out, max, line);
    }
    for (int i = 0; i < report->failure_count; i++) {
        snprintf(line, sizeof line, "%.250s: %s", report->failures[i].file, report->failures[i].error.text);
        told += add_brief(out, max, line) ? 1 : 0;
    }
    if (told < report->failed) {
        snprintf(line, sizeof line, "and %" PRIu64 " more: see the log", report->failed - told);
        add_brief(out, out->max, line);
    }
}
