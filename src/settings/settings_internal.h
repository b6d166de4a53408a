/*
 * settings_internal - what the files of the settings module share; nobody else includes this.
 *
 *     settings_table.c    the table: what every setting is called, may hold and is for
 *     settings_value.c    the grammar of values, in both directions
 *     settings_filter.c   the rules of the filter
 *     settings_collect.c  command line, environment and INI file, into one text for each slot
 *     settings_notify.c   what notifications need together
 *     settings_shard.c    which shard this is, and what cannot be done in shards
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
    SETTING_SHARD,       /* a text: shard.h */
    SETTING_SCHEDULE,    /* a text: cron.h */
    SETTING_ADDRESSES,   /* a text: addresses of mail, comma-separated, `max` of them at most */
    SETTING_ADDRESS,     /* a text: address.h */
    SETTING_URL,         /* a text; a password in it is never shown */
    SETTING_SECRET,      /* a text that is never shown and has no flag */
    SETTING_ENVIRONMENT, /* a text: one of `choices`, or short for it */
    SETTING_CHOICE,      /* the position in `choices` */
    SETTING_FLAG,
    SETTING_NUMBER,
    SETTING_DURATION, /* ms */
    SETTING_SIZE,     /* bytes */
    SETTING_SHARE,    /* percent; as a flag, none or all */
    SETTING_LIMIT,    /* a number; below 0: percent */
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
    const char
        *also; /* other words for them, in the same order; of a number, that for 0; NULL if there are none */
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

#define SETTINGS_SLOTS (60 + 2 * 18)
struct slot settings_slot(int index);

/* The part of the table that is for the whole run, or for each side; ends with a name of NULL. */
const struct setting *settings_of_run(void);
const struct setting *settings_of_side(void);
const struct settings_vendor *settings_of_vendors(void); /* likewise */

void settings_variable(const struct slot *slot, char out[SETTINGS_NAME_SIZE]); /* "STORSYNC_SOURCE_BUCKET" */
void settings_flag(const struct slot *slot, char out[SETTINGS_NAME_SIZE]);     /* "source-bucket" */

/* The slot with that name, or -1. */
int settings_find(const char *section, const char *name);
int settings_find_flag(const char *flag); /* also those of secrets, which are not accepted */

/* The first of the words (separated by spaces, at most SETTINGS_NAME_SIZE - 1 bytes each) into `out`; returns the
 * rest, or NULL when there was none. */
const char *settings_next_word(const char *words, char out[SETTINGS_NAME_SIZE]);

/* ---- values ---- */

/* Puts `text` (which is kept, not copied) into the slot's field. False, and nothing changed, if it cannot be used. */
bool settings_parse(struct settings *settings, const struct slot *slot, const char *text);

/* Puts there what counts instead of a value that cannot be used. True: that is the careful value, which is somebody's
 * decision; false: the default, which is nobody's. */
bool settings_stand_in(struct settings *settings, const struct slot *slot);

/* Appends the value in the grammar that settings_parse reads; "****" for a secret that is set. */
void settings_format(const struct settings *settings, const struct slot *slot, struct buf *out);

/* Appends what a value has to be: "a whole number from 1 to 64". */
void settings_expected(const struct setting *setting, struct buf *out);

/* The part of it that depends on the setting: "1 to 64", "start or stop"; nothing for texts and flags. */
void settings_range(const struct setting *setting, struct buf *out);

/* ---- what is said about a setting ---- */

/* On the command line, may it not stand alone? */
bool settings_needs_value(const struct setting *setting);

/* What stands for its value: "DURATION", "start|stop". */
const char *settings_word(const struct setting *setting);

/* Appends the name with dashes for underscores. */
void settings_put_dashed(struct buf *out, const char *name);

/* Appends STORSYNC_NAME, or STORSYNC_SIDE_NAME for both sides. */
void settings_put_variable(struct buf *out, const struct setting *setting, bool side);

/* Appends each of its further variables, between `before` and `after`. */
void settings_put_more_variables(struct buf *out, const struct setting *setting, const char *before,
                                 const char *after);

/* Appends the default, or both sides' with `between` between them; nothing if there is none. */
void settings_put_default(struct buf *out, const struct setting *setting, const char *between);

/* ---- the state ---- */

/* Where a text comes from; the higher one counts. */
enum settings_rank {
    RANK_DEFAULT,
    RANK_SHARED,      /* AWS_REGION: for both sides */
    RANK_FILE,        /* the INI file */
    RANK_SECRET_FILE, /* the file that STORSYNC_..._FILE names */
    RANK_VARIABLE,    /* DEV_STORAGE_BUCKET */
    RANK_ENVIRONMENT, /* STORSYNC_SOURCE_BUCKET */
    RANK_FLAG,
};

struct settings_value {
    enum settings_rank rank;
    char *text;        /* NULL for the default */
    char *origin;      /* for settings_origin; NULL for the default */
    const char *label; /* the part of it that goes into a problem */
};

#define SETTINGS_LINES_MAX 64
struct settings_lines {
    char *line[SETTINGS_LINES_MAX];
    int count;
};

struct settings_state {
    struct settings_value values[SETTINGS_SLOTS];
    struct settings_lines problems, notes, assumptions, paths;
    struct settings_lines refusals; /* why no sync may begin */
    struct settings_lines parts;    /* of the paths: --sync PATH; none: all of them */
    struct filter *filter;          /* NULL: no rules */
    bool no_memory;                 /* something is missing above */
};

/* Adds a line; at SETTINGS_LINES_MAX it is left out. */
void settings_add(struct settings_state *state, struct settings_lines *lines, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* NULL: there is no such line. */
const char *settings_line(const struct settings_lines *lines, int index);
void settings_free_lines(struct settings_lines *lines);

/* Back to the default, wiping the text. */
void settings_forget(struct settings_value *value);

/* Adds a rule of the filter, or the refusal that says what is wrong with it; `name` is the setting's, if the origin does not tell. */
void settings_add_rule(struct settings_state *state, const struct filter_rule *rule, const char *name);

/* Adds those of a file, after all others. */
void settings_add_filter_file(struct settings *settings);

/* Finds out which shard this is. Adds a refusal if that cannot be told, or if there is something that no shard does. */
void settings_check_shard(struct settings *settings, const char *const *environ_);

/* Turns notifications off that cannot be sent as they are set, with a problem each. */
void settings_check_notify(struct settings *settings);

/* Collects what flags, environment and INI file say, each slot's best. False if the file cannot be used: see
 * settings_load. `path` becomes "" if there is none. */
bool settings_collect(struct settings_state *state, const struct settings_input *input, const char **path,
                      struct error *error);

#endif
