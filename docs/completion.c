/*
 * Makes the files in docs/completions/, by which shells complete options and their values, from the table that declares
 * the settings. A program of the machine that builds, not a part of the product. docs/update puts its output in place.
 *
 * usage: completion bash|zsh|fish
 */
#include "settings_internal.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX ((size_t)1024 * 1024)

/* What is no setting. tests/documents compares them with --help all. */
static const struct {
    const char *name;
    const char *help;
} modes[] = {
    {"sync", "sync now, whatever the marker and the interval say"},
    {"serve", "stay, with the command as a child"},
    {"validate", "compare both buckets"},
    {"status", "what the last run did"},
    {"health", "for health checks: did the sync go well?"},
    {"check-config", "are all settings usable?"},
    {"check-access", "may the credentials do what a sync needs?"},
    {"runs", "which syncs can be undone"},
    {"rollback", "undo the last sync"},
    {"explain", "is this key synced, and which rule says so?"},
    {"print-config", "every setting, its value, and where it came from"},
    {"json", "answer for programs"},
    {"help", "show all options"},
    {"version", "show the version"},
};
#define MODE_COUNT (sizeof modes / sizeof modes[0])

/* Calls `put` for each setting that has a flag. */
static void each_flag(struct buf *out, void (*put)(struct buf *, const struct setting *, const char *flag))
{
    char flag[SETTINGS_NAME_SIZE];

    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        settings_flag(&slot, flag);
        if (slot.setting->type != SETTING_SECRET)
            put(out, slot.setting, flag);
    }
}

static bool takes_file(const struct setting *setting)
{
    return setting->word != NULL && strcmp(setting->word, "FILE") == 0;
}

/* "text json" of "text|json"; false if any value will do. */
static bool put_choices(struct buf *out, const struct setting *setting)
{
    if (setting->choices == NULL)
        return false;
    for (const char *c = setting->choices; *c != '\0'; c++)
        buf_putc(out, *c == '|' ? ' ' : *c);
    return true;
}

/* Text inside single quotes, in which `escape` stands before each of `special`. */
static void put_quoted(struct buf *out, const char *text, const char *special, const char *quote)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            buf_puts(out, quote);
            continue;
        }
        if (strchr(special, *text) != NULL)
            buf_putc(out, '\\');
        buf_putc(out, *text);
    }
}

/* ---- bash ---- */

static void put_bash_name(struct buf *out, const struct setting *setting, const char *flag)
{
    (void)setting;
    buf_printf(out, " --%s", flag);
}

static void put_bash_values(struct buf *out, const struct setting *setting, const char *flag)
{
    if (!settings_needs_value(setting))
        return;
    buf_printf(out, "\t--%s) ", flag);
    if (takes_file(setting)) {
        buf_puts(out, "mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n");
        return;
    }
    buf_puts(out, "values='");
    put_choices(out, setting);
    buf_puts(out, "' ;;\n");
}

static void put_bash(struct buf *out)
{
    buf_puts(out, "# storsync-init completion for bash; made by `make docs`\n"
                  "# shellcheck shell=bash\n"
                  "_storsync_init() {\n"
                  "\tlocal word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} values at\n"
                  "\tfor ((at = 1; at < COMP_CWORD; at++)); do\n"
                  "\t\tif [[ ${COMP_WORDS[at]} == -- ]]; then\n"
                  "\t\t\tif declare -F _command_offset >/dev/null; then\n"
                  "\t\t\t\t_command_offset $((at + 1))\n"
                  "\t\t\telse\n"
                  "\t\t\t\tmapfile -t COMPREPLY < <(compgen -c -f -- \"$word\")\n"
                  "\t\t\tfi\n"
                  "\t\t\treturn\n"
                  "\t\tfi\n"
                  "\tdone\n"
                  "\t# --option=value is three words to bash.\n"
                  "\tif [[ $word == = ]]; then\n"
                  "\t\tword=\n"
                  "\telif [[ $option == = ]]; then\n"
                  "\t\toption=${COMP_WORDS[COMP_CWORD - 2]}\n"
                  "\tfi\n"
                  "\tCOMPREPLY=()\n"
                  "\tcase $option in\n");
    each_flag(out, put_bash_values);
    buf_puts(out, "\t--help) values='all' ;;\n"
                  "\t*) values='--");
    for (size_t i = 0; i < MODE_COUNT; i++)
        buf_printf(out, " --%s", modes[i].name);
    each_flag(out, put_bash_name);
    buf_puts(out,
             "' ;;\n"
             "\tesac\n"
             "\tif [[ -n $values ]]; then mapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$word\"); fi\n"
             "}\n"
             "complete -F _storsync_init storsync-init\n");
}

/* ---- zsh ---- */

static void put_zsh_text(struct buf *out, const char *text)
{
    put_quoted(out, text, "[]:\\", "'\\''");
}

static void put_zsh_option(struct buf *out, const struct setting *setting, const char *flag)
{
    buf_printf(out, "\t'--%s%s[", flag, settings_needs_value(setting) ? "=" : "");
    put_zsh_text(out, setting->help);
    buf_puts(out, "]");
    if (settings_needs_value(setting)) {
        buf_puts(out, ":");
        put_zsh_text(out, setting->choices != NULL || setting->word == NULL ? "value" : setting->word);
        buf_puts(out, ":");
        if (takes_file(setting)) {
            buf_puts(out, "_files");
        } else if (setting->choices != NULL) {
            buf_puts(out, "(");
            put_choices(out, setting);
            buf_puts(out, ")");
        }
    }
    buf_puts(out, "' \\\n");
}

static void put_zsh(struct buf *out)
{
    buf_puts(out, "#compdef storsync-init\n"
                  "# made by `make docs`\n"
                  "_arguments -S -s \\\n");
    for (size_t i = 0; i < MODE_COUNT; i++) {
        buf_printf(out, "\t'--%s[", modes[i].name);
        put_zsh_text(out, modes[i].help);
        buf_puts(out, "]' \\\n");
    }
    each_flag(out, put_zsh_option);
    buf_puts(out, "\t'(-)1:command:_command_names -e' \\\n"
                  "\t'*::argument:_normal'\n");
}

/* ---- fish ---- */

static void put_fish_line(struct buf *out, const char *name, const char *help)
{
    buf_printf(out, "complete -c storsync-init -l %s -d '", name);
    put_quoted(out, help, "\\", "\\'");
    buf_puts(out, "'");
}

static void put_fish_option(struct buf *out, const struct setting *setting, const char *flag)
{
    put_fish_line(out, flag, setting->help);
    if (takes_file(setting)) {
        buf_puts(out, " -r -F");
    } else if (setting->choices != NULL) {
        buf_puts(out, " -x -a '");
        put_choices(out, setting);
        buf_puts(out, "'");
    } else if (settings_needs_value(setting)) {
        buf_puts(out, " -x");
    }
    buf_puts(out, "\n");
}

static void put_fish(struct buf *out)
{
    buf_puts(out, "# storsync-init completion for fish; made by `make docs`\n"
                  "complete -c storsync-init -x -a '(__fish_complete_subcommand)'\n");
    for (size_t i = 0; i < MODE_COUNT; i++) {
        put_fish_line(out, modes[i].name, modes[i].help);
        buf_puts(out, "\n");
    }
    each_flag(out, put_fish_option);
}

int main(int argc, char **argv)
{
    const char *shell = argc == 2 ? argv[1] : "";
    struct buf out;
    bool good;

    buf_init(&out, FILE_MAX);
    if (strcmp(shell, "bash") == 0)
        put_bash(&out);
    else if (strcmp(shell, "zsh") == 0)
        put_zsh(&out);
    else if (strcmp(shell, "fish") == 0)
        put_fish(&out);
    good = out.len > 0 && !out.failed && fputs(buf_str(&out), stdout) != EOF && fflush(stdout) == 0;
    buf_free(&out);
    if (!good)
        fputs("usage: completion bash|zsh|fish\n", stderr);
    return good ? 0 : 1;
}
