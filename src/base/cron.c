#include "cron.h"

#include "text.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MINUTE INT64_C(60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEARS_MAX 9 /* from one 29th of February to the next, where a century is between them, and more */
#define SPACE " \t"

/* ---- reading ---- */

struct field {
    const char *name;
    int min, max;
    const char *names; /* of three letters each, the first one's value is `min` */
    size_t offset;
};

static const struct field fields[] = {
    {"minute", 0, 59, "", offsetof(struct cron, minute)},
    {"hour", 0, 23, "", offsetof(struct cron, hour)},
    {"day of the month", 1, 31, "", offsetof(struct cron, day)},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec", offsetof(struct cron, month)},
    {"day of the week", 0, 7, "sunmontuewedthufrisat", offsetof(struct cron, weekday)},
};
#define FIELDS (sizeof fields / sizeof fields[0])

static const struct {
    const char *name, *text;
} shorts[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

static bool refuse(const struct field *field, struct text_piece part, struct error *error)
{
    return error_set(error, ERROR_CONFIG,
                     "%s \"%.*s\": %d to %d%s, a range such as %d-%d, or * (with a step: */2)", field->name,
                     (int)(part.len < 40 ? part.len : 40), part.at, field->min, field->max,
                     *field->names != '\0' ? " or a name of three letters" : "", field->min, field->min + 2);
}

/* -1: no number and no name. */
static int take_value(const char **at, const char *end, const struct field *field)
{
    int value = 0;

    if (end - *at >= 3 && !text_is_digit(**at)) {
        for (size_t i = 0; field->names[i] != '\0'; i += 3)
            if (strncasecmp(*at, field->names + i, 3) == 0) {
                *at += 3;
                return field->min + (int)i / 3;
            }
    }
    if (*at == end || !text_is_digit(**at))
        return -1;
    for (; *at < end && text_is_digit(**at) && value <= field->max; ++*at)
        value = value * 10 + (**at - '0');
    return value;
}

/* One of those between the commas. */
static bool take_part(struct text_piece part, const struct field *field, uint64_t *bits)
{
    const char *at = part.at, *end = part.at + part.len;
    int first = field->min, last = field->max, step = 1;
    bool single = false;

    if (at < end && *at == '*') {
        at++;
    } else {
        first = last = take_value(&at, end, field);
        single = at == end || *at != '-';
        if (!single) {
            at++;
            last = take_value(&at, end, field);
            if (last == 0 && field->max == 7)
                last = 7; /* to Sunday */
        }
    }
    if (at < end && *at == '/' && !single) {
        at++;
        step = take_value(&at, end, &(struct field){.max = field->max - field->min, .names = ""});
    }
    if (at != end || first < 0 || first < field->min || last < first || last > field->max || step < 1 ||
        step > field->max - field->min)
        return false;
    for (int value = first; value <= last; value += step)
        *bits |= UINT64_C(1) << value;
    return true;
}

static bool take_field(struct text_piece text, const struct field *field, uint64_t *bits, struct error *error)
{
    const char *end = text.at + text.len;

    for (const char *at = text.at;; at++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct text_piece part = {.at = at, .len = (size_t)((comma != NULL ? comma : end) - at)};

        if (!take_part(part, field, bits))
            return refuse(field, part, error);
        if (comma == NULL)
            return true;
        at = comma;
    }
}

/* The 30th of February. */
static bool comes(const struct cron *cron)
{
    static const int days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (!cron->any_weekday)
        return true;
    for (int month = 1; month <= 12; month++)
        if ((cron->month >> month & 1) != 0 && (cron->day & ((UINT64_C(2) << days[month]) - 1)) != 0)
            return true;
    return false;
}

static bool take_fields(const char *text, struct cron *cron, struct error *error)
{
    struct text_piece found[FIELDS];
    size_t count = 0;

    for (const char *at = text + strspn(text, SPACE); *at != '\0'; at += strspn(at, SPACE)) {
        size_t len = strcspn(at, SPACE);

        if (count < FIELDS)
            found[count] = (struct text_piece){.at = at, .len = len};
        count++;
        at += len;
    }
    if (count != FIELDS)
        return error_set(
            error, ERROR_CONFIG,
            "there are %zu fields; write five: minute, hour, day of the month, month, day of the week (0 3 * * * is daily at 3:00), or @daily and the like",
            count);
    for (size_t i = 0; i < FIELDS; i++)
        if (!take_field(found[i], &fields[i], (uint64_t *)((char *)cron + fields[i].offset), error))
            return false;
    cron->any_hour = *found[1].at == '*';
    cron->any_day = *found[2].at == '*';
    cron->any_weekday = *found[4].at == '*';
    return true;
}

bool cron_parse(const char *text, struct cron *cron, struct error *error)
{
    *cron = (struct cron){.minute = 0};
    if (strlen(text) > CRON_TEXT_MAX)
        return error_set(error, ERROR_CONFIG, "it has more than %d bytes", CRON_TEXT_MAX);
    for (size_t i = 0; i < sizeof shorts / sizeof shorts[0]; i++)
        if (strcasecmp(text, shorts[i].name) == 0)
            text = shorts[i].text;
    if (!take_fields(text, cron, error))
        return false;
    cron->weekday |= cron->weekday >> 7; /* 7 is Sunday as well */
    if (!comes(cron))
        return error_set(error, ERROR_CONFIG, "no such month has such a day of the month: this never comes");
    return true;
}

/* ---- the next time ---- */

static bool has(uint64_t bits, int value)
{
    return (bits >> value & 1) != 0;
}

static bool is_day(const struct cron *cron, const struct tm *tm)
{
    bool day = has(cron->day, tm->tm_mday), weekday = has(cron->weekday, tm->tm_wday);

    if (!has(cron->month, tm->tm_mon + 1))
        return false;
    return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

/* `local`: seconds on the wall. Returns 0, or how many may be left out before the next look. Days are left out but for their last
 * hours, in which clocks may be changed. */
static int64_t mismatch(const struct cron *cron, int64_t local)
{
    time_t when = (time_t)local;
    int64_t left;
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL)
        return DAY;
    left = DAY - tm.tm_hour * HOUR - tm.tm_min * MINUTE;
    if (!is_day(cron, &tm) && left > 4 * HOUR)
        return left - 3 * HOUR;
    if (!is_day(cron, &tm) || !has(cron->hour, tm.tm_hour))
        return HOUR - tm.tm_min * MINUTE;
    return has(cron->minute, tm.tm_min) ? 0 : MINUTE;
}

/* Was something due between the two, which clocks that were set forward never showed? */
static bool was_left_out(const struct cron *cron, int64_t from, int64_t until)
{
    for (; from < until; from += MINUTE)
        if (mismatch(cron, from) == 0)
            return true;
    return false;
}

/* Has a clock that was set back shown this time before? */
static bool is_shown_again(const struct zone *zone, int64_t seconds)
{
    int64_t offset = zone_offset(zone, seconds), before = zone_offset(zone, seconds - 3 * HOUR);
    int64_t first = seconds + offset - before; /* when it was, by the other offset */

    return before > offset && zone_offset(zone, first) == before;
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t wall)
{
    int64_t seconds = wall / 1000, shown, end;

    seconds -= (seconds + zone_offset(zone, seconds)) % MINUTE; /* to whole minutes on the wall */
    shown = seconds + zone_offset(zone, seconds) + MINUTE;
    end = seconds + (int64_t)YEARS_MAX * 366 * DAY;
    for (seconds += MINUTE; seconds < end;) {
        int64_t local = seconds + zone_offset(zone, seconds), step = mismatch(cron, local);

        if (!cron->any_hour && local > shown && was_left_out(cron, shown, local))
            break;
        if (step == 0 && (cron->any_hour || !is_shown_again(zone, seconds)))
            break;
        if (step == 0)
            step = MINUTE;
        seconds += step;
        shown = local + step;
    }
    return seconds * 1000;
}
