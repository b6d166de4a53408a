/*
 * options - the command line: what to do, which settings it carries, which command to become.
 *
 *     storsync-init [OPTION]... [--] [COMMAND [ARG]...]
 *
 * Right behind --sync there may be paths: words with a slash that do not begin with one, nor with a dot. Then a command has to
 * stand behind "--". Otherwise options end at "--" or at the first word that is not one. That word is not one of our modes without its dashes, which
 * would be a mistake: only behind "--" can it be the command. Long options (and -h, -V), as --name value or
 * --name=value; nothing is abbreviated. A value that begins with "--" needs the form with "=", and so does the value
 * of a boolean. Nothing is copied: the pointers are into argv, which outlives everything and is cut at the "=".
 */
#ifndef STORSYNC_OPTIONS_H
#define STORSYNC_OPTIONS_H

#include "error.h"
#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

enum mode {
    MODE_DEPLOY,
    MODE_SYNC,
    MODE_VALIDATE,
    MODE_STATUS,
    MODE_HEALTH,
    MODE_CHECK_CONFIG,
    MODE_CHECK_ACCESS,
    MODE_RUNS,
    MODE_ROLLBACK,
    MODE_SERVE, /* while the command line is read; then it is a deploy with `serve` */
    MODE_PRINT_CONFIG,
    MODE_EXPLAIN,
    MODE_HELP,
    MODE_VERSION,
};

#define OPTIONS_FLAGS_MAX 64

struct options {
    enum mode mode;
    bool json;
    bool all;           /* --help all */
    bool serve;         /* stay, and have others sync later */
    bool asked;         /* one of these later syncs: nobody waits for it */
    const char *config; /* NULL: not given */
    struct settings_flag flags[OPTIONS_FLAGS_MAX];
    int flag_count;
    const char *key; /* --explain KEY */
    uint64_t run;    /* --rollback RUN; 0: the last one */
    char **parts;    /* --sync PATH...; NULL: none */
    int part_count;
    char **command; /* NULL-terminated tail of argv; NULL: none */
};

/* False with ERROR_USAGE: unknown option (with the nearest known one), missing value, a secret, two modes, "--" with
 * nothing behind it, a mode without its dashes, what only --validate
 * heeds without that, a command together with a mode that does not start one (all but deploy and --sync). --help and
 * --version win over whatever follows them. */
bool options_parse(int argc, char **argv, struct options *options, struct error *error);

/* --help: with the common settings, or with `all`. No line has more than 80 columns. */
bool options_help(bool all, struct buf *out);

#endif
