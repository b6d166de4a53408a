/*
 * settings_internal - what the files of the settings module share; nobody else includes this.
 *
 *     settings_table.c    the table: what every setting is called, may hold and is for
 *     settings_value.c    the grammar of values, in both directions
 *     settings_filter.c   the rules of the filter
 *     settings_collect.c  command line, environment and INI file, into one text for each slot
 *     settings_state.c    what was found, until it is a value
 *     settings.c          the texts into values; problems, notes, paths
 *     settings_print.c    --print-config
 *     settings_help.c     the settings part of --help
 *
 * docs/settings.c, a program of the build, makes the documents out of the same table.
 *
 * A slot is one value: a setting of the whole run, or a setting of one side. Slots are numbered from 0: first
 * those of the whole run, then [source], then [destination], each in the order of the table.
 */
#ifndef STORSYNC_SETTINGS_INTERNAL_H
#define STORSYNC_SETTINGS_INTERNAL_H

#include "buf.h"
#include "error.h"
#include "settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_PREFIX "STORSYNC_"
#define SETTINGS_FILE_SUFFIX "_FILE" /* of a variable that names the file which holds a secret */
#define SETTINGS_TEXT_MAX 8192       /* bytes of a text value */

/* ---- the table ---- */

enum setting_type {
    SETTING_TEXT,
    SETTING_SEGMENT,     /* a text that can be a segment of a key in .storsync/ */
    SETTING_SCHEDULE,    /* a text: cron.h */
    SETTING_URL,         /* a text; a password in it is never shown */
    SETTING_SECRET,      /* a text that is never shown and has no flag */
    SETTING_ENVIRONMENT, /* a text: one of `choices`, or short for it */
    SETTING_CHOICE,      /* the position in `choices` */
    SETTING_FLAG,
    SETTING_NUMBER,
    SETTING_DURATION, /* ms */
    SETTING_SIZE,     /* bytes */
    SETTING_SHARE,    /* percent; as a flag, none or all */
};

struct setting {
    const char *name;    /* as in the INI file */
    const char *heading; /* of the group in --help that begins with it; else NULL */
    enum setting_type type;
    bool common;          /* for --help without more */
    bool credential;      /* `shared` counts only if the side has no credential of its own at all */
    bool not_in_file;     /* it says where the INI file is */
    bool names;           /* a list, of which each line may hold one */
    bool rules;           /* patterns of the filter: those of all sources count, the best source's first */
    size_t offset;        /* in struct settings, or in struct side */
    const char *fallback; /* the default, in the grammar of the type */
    const char *fallback_of_destination; /* NULL: the same */
    const char *
        careful; /* what counts instead of a value that cannot be used; "": then no sync begins; NULL: the default */
    const char *variables; /* further names in the environment, best first, separated by spaces */
    const char *variables_of_destination;
    const char *shared;  /* variables for both sides, which count after the INI file */
    const char *choices; /* "start|stop" */
    const char *also;    /* other words for them, in the same order; NULL if there are none */
    int64_t min, max;
    const char *word; /* of a text or a share: what stands for the value in --help */
    const char *help; /* one line, no full stop */
};

/* A variable that a vendor of storage names, for a credential of sides whose endpoint is below its domain. Where one of
 * them is set, a vendor's variables come instead of `shared`. */
struct settings_vendor {
    const char *domain; /* ".example.com" */
    const char *name;   /* of the setting */
    const char *variable;
};

struct slot {
    const struct setting *setting;
    const char *section; /* "", "source" or "destination" */
    size_t offset;       /* in struct settings */
    const char *fallback;
    const char *variables; /* "" if none */
};

#define SETTINGS_SLOTS (39 + 2 * 18)
