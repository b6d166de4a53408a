#include "zone.h"

#include "clock.h"
#include "text.h"

#include <string.h>
#include <time.h>

#define DAY INT64_C(86400)
#define HOUR INT64_C(3600)

/* ---- reading ---- */

static bool skip(const char **text, char c)
{
    if (**text != c)
        return false;
    ++*text;
    return true;
}

/* At least three letters, or <whatever>. */
static bool skip_name(const char **text)
{
    const char *begin = *text;

    if (skip(text, '<')) {
        *text += strcspn(*text, ">");
        return skip(text, '>');
    }
    while (text_is_letter(**text))
        ++*text;
    return *text - begin >= 3;
}

static bool take_number(const char **text, int max, int *out)
{
    const char *begin = *text;

    for (*out = 0; text_is_digit(**text) && *out <= max; ++*text)
        *out = *out * 10 + (**text - '0');
    return *text > begin && *out <= max;
}

/* [+-]hh[:mm[:ss]], in seconds. */
static bool take_time(const char **text, int hours, int64_t *out)
{
    int64_t sign = skip(text, '-') ? -1 : 1;
    int part[3] = {0, 0, 0};

    if (sign > 0)
        skip(text, '+');
    if (!take_number(text, hours, &part[0]) || (skip(text, ':') && !take_number(text, 59, &part[1])) ||
        (skip(text, ':') && !take_number(text, 59, &part[2])))
        return false;
    *out = sign * (part[0] * HOUR + part[1] * INT64_C(60) + part[2]);
    return true;
}

static bool take_day(const char **text, struct zone_change *change)
{
    change->kind = 'N';
    if (skip(text, 'J')) {
        change->kind = 'J';
        return take_number(text, 365, &change->day) && change->day >= 1;
    }
    if (!skip(text, 'M'))
        return take_number(text, 365, &change->day);
    change->kind = 'M';
    return take_number(text, 12, &change->month) && skip(text, '.') && take_number(text, 5, &change->week) &&
           skip(text, '.') && take_number(text, 6, &change->day) && change->month >= 1 && change->week >= 1;
}

static bool take_change(const char **text, struct zone_change *change)
{
    change->time = 2 * HOUR;
    return skip(text, ',') && take_day(text, change) &&
           (!skip(text, '/') || take_time(text, 167, &change->time));
}

static bool take_daylight(const char **text, struct zone *zone)
{
    int64_t west;

    zone->has_daylight = true;
    zone->daylight = zone->standard + HOUR;
    if (!skip_name(text))
        return false;
    if (**text != ',' && **text != '\0') {
        if (!take_time(text, 24, &west))
            return false;
        zone->daylight = -west;
    }
    if (**text == '\0')
        *text = ",M3.2.0,M11.1.0";
    return take_change(text, &zone->begin) && take_change(text, &zone->end);
}

bool zone_parse(const char *text, struct zone *zone)
{
    int64_t west;

    *zone = (struct zone){.standard = 0};
    if (*text == '\0' || strcmp(text, "UTC") == 0 || strcmp(text, "GMT") == 0)
        return true;
    if (strlen(text) > ZONE_TEXT_MAX || !skip_name(&text) || !take_time(&text, 24, &west))
        return false;
    zone->standard = -west;
    return *text == '\0' || (take_daylight(&text, zone) && *text == '\0');
}

/* ---- times ---- */

static int year_of(int64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm tm;

    return gmtime_r(&when, &tm) != NULL ? tm.tm_year + 1900 : 1970;
}

/* Days since 1970 of the n-th such day of the week in a month, the 5th being the last one. */
static int64_t weekday_of_month(int64_t year, const struct zone_change *change)
{
    int64_t first = clock_days(year, change->month, 1);
    int64_t next = change->month == 12 ? clock_days(year + 1, 1, 1) : clock_days(year, change->month + 1, 1);
    int64_t weekday = (first % 7 + 7 + 4) % 7; /* 1970 began on a Thursday */
    int64_t day = first + (change->day - weekday + 7) % 7 + (change->week - 1) * INT64_C(7);

    return day < next ? day : day - 7;
}

/* On the wall, by the offset that counts until then. */
static int64_t change_in(int64_t year, const struct zone_change *change)
{
    int64_t january = clock_days(year, 1, 1);
    int64_t day;

    if (change->kind == 'M')
        day = weekday_of_month(year, change);
    else if (change->kind == 'N')
        day = january + change->day;
    else
        day =
            january + change->day - 1 + (change->day >= 60 && clock_days(year, 3, 1) - january == 60 ? 1 : 0);
    return day * DAY + change->time;
}

int64_t zone_offset(const struct zone *zone, int64_t seconds)
{
    int64_t begin, end, year;
    bool summer;

    if (!zone->has_daylight)
        return zone->standard;
    year = year_of(seconds + zone->standard);
    begin = change_in(year, &zone->begin) - zone->standard;
    end = change_in(year, &zone->end) - zone->daylight;
    if (begin < end)
        summer = seconds >= begin && seconds < end;
    else
        summer = seconds >= begin || seconds < end;
    return summer ? zone->daylight : zone->standard;
}
