#include "report.h"

#include "clock.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool healthy;
} states[] = {
    [REPORT_STARTING] = {"starting", false},
    [REPORT_RUNNING] = {"running", false},
    [REPORT_WAITING] = {"waiting", false},
    [REPORT_SYNCED] = {"synced", true},
    [REPORT_ALREADY_SYNCED] = {"already-synced", true},
    [REPORT_TOO_SOON] = {"too-soon", true},
    [REPORT_INACTIVE] = {"inactive", true},
    [REPORT_NOTHING_TO_DO] = {"nothing-to-do", true},
    [REPORT_PARTIAL] = {"partial", false},
    [REPORT_FAILED] = {"failed", false},
    [REPORT_INTERRUPTED] = {"interrupted", false},
};

const char *report_state_name(enum report_state state)
{
    return states[state].name;
}

bool report_state_parse(const char *name, enum report_state *state)
{
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (strcmp(states[i].name, name) == 0) {
            *state = (enum report_state)i;
            return true;
        }
    }
    return false;
}

bool report_state_healthy(enum report_state state)
{
    return states[state].healthy;
}

void report_init(struct report *report, int64_t now)
{
    *report = (struct report){
        .state = REPORT_RUNNING,
        .detection = {.platform = "", .hint = ""},
        .started = now,
        .finished = CLOCK_UNKNOWN,
        .due_at = CLOCK_UNKNOWN,
    };
    for (int i = 0; i < REPORT_DIFFERENCES; i++)
        buf_init(&report->validation.lists[i].json, REPORT_DETAILS_MAX);
}

void report_free(struct report *report)
{
    for (int i = 0; i < report->failure_count; i++)
        free(report->failures[i].file);
    report->failure_count = 0;
    for (int i = 0; i < REPORT_DIFFERENCES; i++)
        buf_free(&report->validation.lists[i].json);
}

bool report_valid(const struct report *report)
{
    const struct report_validation *validation = &report->validation;

    for (int i = 0; i < REPORT_DIFFERENCES; i++) {
        if (validation->lists[i].count > 0)
            return false;
    }
    return validation->done && report->failed == 0;
}

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

/* ---- the end ---- */

/* "Synced 42 objects (12.45 MB), 15 already up to date, 1 gone, 3 failed" */
static void figures(const struct report *report, char *out, size_t out_size)
{
    char size[32];
    char gone[40] = "", failed[40] = "";

    if (report->gone > 0)
        snprintf(gone, sizeof gone, ", %" PRIu64 " gone", report->gone);
    if (report->failed > 0)
        snprintf(failed, sizeof failed, ", %" PRIu64 " failed", report->failed);
    snprintf(out, out_size, "%s %" PRIu64 " object%s (%s), %" PRIu64 " already up to date%s%s",
             report->dry_run ? "Would sync" : "Synced", report->synced, report->synced == 1 ? "" : "s",
             report_size(report->total_size, size), report->skipped, gone, failed);
}

static void tell_validation(struct report *report)
{
    const struct report_validation *validation = &report->validation;

    char unhashed[64] = "";

    if (validation->unhashed > 0)
        snprintf(unhashed, sizeof unhashed, ", %" PRIu64 " of them by size and time only",
                 validation->unhashed);
    if (report_valid(report)) {
        snprintf(report->message, sizeof report->message,
                 "Source and destination are equal: %" PRIu64 " object%s%s", validation->checked,
                 validation->checked == 1 ? "" : "s", unhashed);
        return;
    }
    snprintf(report->message, sizeof report->message,
             "Source and destination differ: %" PRIu64 " missing, %" PRIu64 " mismatched, %" PRIu64 " extra",
             validation->lists[REPORT_MISSING].count, validation->lists[REPORT_MISMATCHED].count,
             validation->lists[REPORT_EXTRA].count);
}

static void tell_too_soon(struct report *report)
{
    char due[CLOCK_RFC3339_SIZE] = "";

    if (report->due_at != CLOCK_UNKNOWN)
        clock_format_rfc3339(report->due_at, due);
    snprintf(report->message, sizeof report->message,
             "The last automatic sync was less than the interval ago%s%s",
             *due != '\0' ? "; the next is due at " : "", due);
}

static void tell(struct report *report, const char *message)
{
    snprintf(report->message, sizeof report->message, "%s", message);
}

static void tell_result(struct report *report)
{
    switch (report->state) {
    case REPORT_ALREADY_SYNCED:
        snprintf(report->message, sizeof report->message, "Deployment %s is already synced",
                 report->detection.deployment_id);
        break;
    case REPORT_TOO_SOON:
        tell_too_soon(report);
        break;
    case REPORT_INACTIVE:
        tell(report, "Development environment: no automatic sync");
        break;
    case REPORT_NOTHING_TO_DO:
        tell(report, "Source and destination are the same: nothing to do");
        break;
    case REPORT_FAILED:
    case REPORT_INTERRUPTED:
        tell(report,
             report->error.kind != ERROR_NONE ? report->error.text : report_state_name(report->state));
        break;
    case REPORT_STARTING:
    case REPORT_RUNNING:
    case REPORT_WAITING:
        break;
    case REPORT_SYNCED:
    case REPORT_PARTIAL:
        if (report->validation.done)
            tell_validation(report);
        else
            figures(report, report->message, sizeof report->message);
        break;
    }
}

void report_finish(struct report *report, enum report_state state, const struct error *error, int64_t now)
{
    report->state = state;
    report->finished = now;
    if (error != NULL)
        report->error = *error;
    if (report->message[0] == '\0')
        tell_result(report);
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
    if (broken_off && report->synced + report->skipped + report->failed > 0) {
        figures(report, line, sizeof line);
        add_brief(out, max, line);
    }
    for (int i = 0; i < report->failure_count; i++) {
        snprintf(line, sizeof line, "%.250s: %s", report->failures[i].file, report->failures[i].error);
        told += add_brief(out, max, line) ? 1 : 0;
    }
    if (told < report->failed) {
        snprintf(line, sizeof line, "and %" PRIu64 " more: see the log", report->failed - told);
        add_brief(out, out->max, line);
    }
}
