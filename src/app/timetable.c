#include "timetable.h"

#include "clock.h"
#include "file.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATABASE "/usr/share/zoneinfo/"
#define FILE_MAX ((size_t)64 * 1024)
#define PATH_SIZE 256

/* The last line of a file of the database. */
static bool rule_of_file(const char *name, char out[ZONE_TEXT_MAX + 1])
{
    char path[PATH_SIZE];
    struct error ignored;
    struct zone zone;
    size_t len, begin;
    char *text;
    bool found = false;

    snprintf(path, sizeof path, "%s%s", *name != '/' ? DATABASE : "", name);
    text = strstr(name, "..") == NULL ? file_read(path, FILE_MAX, &len, &ignored) : NULL;
    if (text == NULL)
        return false;
    if (len > 1 && strncmp(text, "TZif", 4) == 0 && text[len - 1] == '\n') {
        text[--len] = '\0';
        for (begin = len; begin > 0 && text[begin - 1] != '\n';)
            begin--;
        found = len - begin <= ZONE_TEXT_MAX && zone_parse(text + begin, &zone);
        if (found)
            snprintf(out, ZONE_TEXT_MAX + 1, "%s", text + begin);
    }
    file_free(text, len);
    return found;
}

static void read_zone(char out[ZONE_TEXT_MAX + 1])
{
    const char *tz = getenv("TZ");
    struct zone zone;

    out[0] = '\0';
    if (tz == NULL)
        return;
    if (zone_parse(tz, &zone))
        snprintf(out, ZONE_TEXT_MAX + 1, "%s", tz);
    else if (!rule_of_file(*tz == ':' ? tz + 1 : tz, out))
        log_warn(
            "TZ: the time zone \"%.64s\" is not known here, so schedules go by UTC: install tzdata, or write a rule such as CET-1CEST,M3.5.0,M10.5.0/3",
            tz);
}

/* FNV-1a. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

void timetable_read(struct timetable *timetable, const struct settings *settings)
{
    const char *const texts[WIRE_TASKS] = {settings->schedule, settings->validate_schedule};
    char host[256] = "", zone[ZONE_TEXT_MAX + 1] = "";

    gethostname(host, sizeof host - 1);
    if (*settings->schedule != '\0' || *settings->validate_schedule != '\0')
        read_zone(zone);
    for (int i = 0; i < WIRE_TASKS; i++) {
        struct wire_schedule *schedule = &timetable->schedules[i];

        *schedule = (struct wire_schedule){.task = (uint8_t)i};
        if (settings->schedule_jitter > 0)
            schedule->delay = (int64_t)(hash_of(host) % (uint64_t)settings->schedule_jitter) / 1000 * 1000;
        snprintf(schedule->cron, sizeof schedule->cron, "%s", texts[i]);
        snprintf(schedule->zone, sizeof schedule->zone, "%s", zone);
    }
}

void timetable_tell(const struct timetable *timetable, const struct wire *wire)
{
    for (int i = 0; i < WIRE_TASKS; i++)
        wire_tell(wire, &(struct wire_message){.type = WIRE_SCHEDULE, .schedule = timetable->schedules[i]});
}

int64_t timetable_next_sync(const struct timetable *timetable, int64_t now)
{
    const struct wire_schedule *schedule = &timetable->schedules[WIRE_SYNC];
    struct error ignored;
    struct cron cron;
    struct zone zone;

    if (!cron_parse(schedule->cron, &cron, &ignored) || !zone_parse(schedule->zone, &zone))
        return CLOCK_UNKNOWN;
    return cron_next(&cron, &zone, now - schedule->delay) + schedule->delay;
}
