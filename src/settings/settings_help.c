/* The settings part of --help, and what it says about a setting in the same words as the documents do. */
#include "settings_internal.h"
#include "text.h"

#include <string.h>

#define HELP_COLUMN 38
#define HELP_WIDTH 100

const char *settings_word(const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_CHOICE:
        return setting->choices;
    case SETTING_NUMBER:
        return "NUMBER";
    case SETTING_DURATION:
        return "DURATION";
    case SETTING_SIZE:
        return "SIZE";
    case SETTING_FLAG:
    case SETTING_ENVIRONMENT:
    case SETTING_SECRET:
    case SETTING_SEGMENT:
    case SETTING_TEXT:
    case SETTING_URL:
        break;
    }
    return setting->word;
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

void settings_put_more_variables(struct buf *out, const struct setting *setting, const char *before,
                                 const char *after)
{
    const char *const lists[] = {setting->variables, setting->variables_of_destination, setting->of_r2,
                                 setting->shared};
    char word[SETTINGS_NAME_SIZE];

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const char *words = lists[i]; (words = settings_next_word(words, word)) != NULL;)
            buf_printf(out, "%s%s%s", before, word, after);
}

void settings_put_default(struct buf *out, const struct setting *setting, const char *between)
{
    buf_puts(out, setting->fallback);
    if (setting->fallback_of_destination != NULL)
        buf_printf(out, "%s%s", between, setting->fallback_of_destination);
}

/* Appends words to a line that is at `column`, going on below at HELP_COLUMN when it is full. */
static void put_wrapped(struct buf *out, const char *text, size_t column)
{
    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
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
        buf_printf(out, " %s", setting->type == SETTING_FLAG ? "" : settings_word(setting));
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

bool settings_help(struct buf *out)
{
    buf_puts(out, "Settings, also STORSYNC_NAME in the environment and name = VALUE in the INI file:\n");
    for (const struct setting *setting = settings_of_run(); setting->name != NULL; setting++)
        put_help(out, setting, false);
    buf_puts(out,
             "\nSettings of a side; SIDE is source or destination (SOURCE, DESTINATION in a variable):\n");
    for (const struct setting *setting = settings_of_side(); setting->name != NULL; setting++)
        put_help(out, setting, true);
    return !out->failed;
}
