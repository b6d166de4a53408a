/* The settings part of --help, and what it says about a setting in the same words as the documents do. */
#include "settings_internal.h"
#include "text.h"

#include <string.h>

#define HELP_COLUMN 28
#define HELP_WIDTH 80

const char *settings_word(const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_CHOICE:
        return setting->word != NULL ? setting->word : setting->choices;
    case SETTING_NUMBER:
    case SETTING_LIMIT:
        return "NUMBER";
    case SETTING_DURATION:
        return "DURATION";
    case SETTING_SIZE:
        return "SIZE";
    case SETTING_FLAG:
    case SETTING_SHARE:
    case SETTING_ENVIRONMENT:
    case SETTING_SECRET:
    case SETTING_SEGMENT:
    case SETTING_SHARD:
    case SETTING_SCHEDULE:
    case SETTING_ADDRESSES:
    case SETTING_ADDRESS:
    case SETTING_TEXT:
    case SETTING_URL:
        break;
    }
    return setting->word;
}

bool settings_needs_value(const struct setting *setting)
{
    return setting->type != SETTING_FLAG && setting->type != SETTING_SHARE;
}

void settings_put_dashed(struct buf *out, const char *name)
{
    for (; *name != '\0'; name++)
        buf_putc(out, *name == '_' ? '-' : *name);
}

void settings_put_variable(struct buf *out, const struct setting *setting, bool side)
{
    buf_puts(out, side ? SETTINGS_PREFIX "SIDE_" : SETTINGS_PREFIX);
    for (const char *c = setting->name; *c != '\0'; c++)
        buf_putc(out, text_upper(*c));
}

static void put_words(struct buf *out, const char *words, const char *before, const char *after)
{
    char word[SETTINGS_NAME_SIZE];

    while ((words = settings_next_word(words, word)) != NULL)
        buf_printf(out, "%s%s%s", before, word, after);
}

void settings_put_more_variables(struct buf *out, const struct setting *setting, const char *before,
                                 const char *after)
{
    put_words(out, setting->variables, before, after);
    put_words(out, setting->variables_of_destination, before, after);
    for (const struct settings_vendor *vendor = settings_of_vendors(); vendor->name != NULL; vendor++)
        if (strcmp(vendor->name, setting->name) == 0)
            put_words(out, vendor->variable, before, after);
    put_words(out, setting->shared, before, after);
}

void settings_put_default(struct buf *out, const struct setting *setting, const char *between)
{
    buf_puts(out, setting->fallback);
    if (setting->fallback_of_destination != NULL)
        buf_printf(out, "%s%s", between, setting->fallback_of_destination);
}

/* Appends words to a line that is at `column`, going on below at HELP_COLUMN when it is full, or when it is beyond that column
 * already. */
static void put_wrapped(struct buf *out, const char *text, size_t column)
{
    bool beyond = column >= HELP_COLUMN;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (beyond || (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH)) {
            beyond = false;
            buf_putc(out, '\n');
            column = 0;
        }
        if (column > HELP_COLUMN)
            buf_putc(out, ' '), column++;
        for (; column < HELP_COLUMN; column++)
            buf_putc(out, ' ');
        buf_append(out, text, len);
        column += len;
        text += len + (text[len] == ' ');
    }
    buf_putc(out, '\n');
}

static void put_help(struct buf *out, const struct setting *setting, bool side)
{
    size_t start = out->len;
    struct buf text;

    buf_puts(out, "  ");
    if (setting->type == SETTING_SECRET) {
        settings_put_variable(out, setting, side);
    } else {
        buf_puts(out, side ? "--SIDE-" : "--");
        settings_put_dashed(out, setting->name);
        buf_printf(out, "%s%s", settings_needs_value(setting) ? " " : "",
                   setting->type == SETTING_FLAG ? "" : settings_word(setting));
    }
    buf_init(&text, 1024);
    buf_puts(&text, setting->help);
    if (setting->type == SETTING_SECRET)
        buf_puts(&text, ", or with " SETTINGS_FILE_SUFFIX " added a file that holds it");
    if (setting->variables != NULL || setting->shared != NULL) {
        buf_puts(&text, " (also");
        settings_put_more_variables(&text, setting, " ", "");
        buf_putc(&text, ')');
    }
    if (*setting->fallback != '\0') {
        buf_puts(&text, " [");
        settings_put_default(&text, setting, " and ");
        buf_putc(&text, ']');
    }
    put_wrapped(out, buf_str(&text), out->len - start);
    buf_free(&text);
}

static void put_settings(struct buf *out, const struct setting *setting, bool side, bool all)
{
    for (; setting->name != NULL; setting++) {
        if (all && setting->heading != NULL)
            buf_printf(out, "\n%s:\n", setting->heading);
        if (all || setting->common)
            put_help(out, setting, side);
    }
}

bool settings_help(bool all, struct buf *out)
{
    buf_puts(out, all ? "Settings of the whole run:\n" : "Common settings (--help all shows every one):\n");
    put_settings(out, settings_of_run(), false, all);
    buf_puts(out, "\nOf each side; SIDE is source or destination (SOURCE, DESTINATION in a variable):\n");
    put_settings(out, settings_of_side(), true, all);
    buf_puts(out, "\nA setting is also STORSYNC_NAME in the environment and name = VALUE in the INI\n"
                  "file. DURATION is 500ms, 90s, 5m, 1h30m or 1d, and a bare number is seconds;\n"
                  "SIZE is 64KiB, 8MiB, 8M or 1GiB, and a bare number is bytes. What has no VALUE\n"
                  "is on without one, and takes =yes, true, on, 1 or =no, false, off, 0.\n");
    return !out->failed;
}
