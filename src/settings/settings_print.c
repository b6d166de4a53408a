/*
 * What can be said about settings: their values in effect, and documents made from the table.
 */
#include "json.h"
#include "settings_internal.h"

#include <ctype.h>
#include <string.h>

#define VALUE_MAX ((size_t)SETTINGS_TEXT_MAX + 16)
#define HELP_COLUMN 38
#define HELP_WIDTH 100

/* ---- values in effect ---- */

bool settings_print(const struct settings *settings, const struct settings_remark *remarks, int count,
                    struct buf *out)
{
    const char *section = "";
    struct buf value;

    buf_init(&value, VALUE_MAX);
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (strcmp(slot.section, section) != 0)
            buf_printf(out, "\n[%s]\n", slot.section);
        section = slot.section;
        buf_clear(&value);
        settings_format(settings, &slot, &value);
        buf_printf(out, "%-26s = %-30s ; %s\n", slot.setting->name, buf_str(&value),
                   settings_origin(settings, (const char *)settings + slot.offset));
    }
    buf_puts(out, "\n; paths:");
    for (int i = 0; i < settings_path_count(settings); i++)
        buf_printf(out, "%s %s", i > 0 ? "," : "",
                   *settings_path(settings, i) != '\0' ? settings_path(settings, i) : "the whole bucket");
    buf_putc(out, '\n');
    for (int i = 0; i < count; i++)
        buf_printf(out, "; %s of the source: %s\n; %s of the destination: %s\n", remarks[i].name,
                   remarks[i].source, remarks[i].name, remarks[i].destination);
    out->failed |= value.failed;
    buf_free(&value);
    return !out->failed;
}

/* Adds the array of what `line` returns until it returns NULL. */
static bool json_add_lines(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                           const char *(*line)(const struct settings *, int), const struct settings *settings)
{
    yyjson_mut_val *array = yyjson_mut_obj_add_arr(doc, object, name);
    bool good = array != NULL;

    for (int i = 0; good && line(settings, i) != NULL; i++)
        good = yyjson_mut_arr_append(array, json_make_text(doc, line(settings, i)));
    return good;
}

static bool json_add_slot(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct settings *settings,
                          const struct slot *slot, struct buf *value)
{
    yyjson_mut_val *entry = yyjson_mut_obj_add_obj(doc, object, slot->setting->name);

    buf_clear(value);
    settings_format(settings, slot, value);
    return entry != NULL && json_add_text(doc, entry, "value", buf_str(value)) &&
           json_add_text(doc, entry, "origin",
                         settings_origin(settings, (const char *)settings + slot->offset)) &&
           !value->failed;
}

static bool json_add_remark(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct settings_remark *remark)
{
    yyjson_mut_val *entry = yyjson_mut_obj_add_obj(doc, object, remark->name);

    return entry != NULL && json_add_text(doc, entry, "source", remark->source) &&
           json_add_text(doc, entry, "destination", remark->destination);
}

bool settings_print_json(const struct settings *settings, const struct settings_remark *remarks, int count,
                         struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *object = root;
    const char *section = "";
    struct buf value;
    bool good = root != NULL;

    buf_init(&value, VALUE_MAX);
    yyjson_mut_doc_set_root(doc, root);
    for (int i = 0; good && i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (strcmp(slot.section, section) != 0)
            object = yyjson_mut_obj_add_obj(doc, root, slot.section);
        section = slot.section;
        good = json_add_slot(doc, object, settings, &slot, &value);
    }
    good = good && json_add_lines(doc, root, "paths", settings_path, settings);
    for (int i = 0; good && i < count; i++)
        good = json_add_remark(doc, root, &remarks[i]);
    good = good && json_add_lines(doc, root, "problems", settings_problem, settings) &&
           json_add_lines(doc, root, "notes", settings_note, settings) && json_write(doc, true, out);
    yyjson_mut_doc_free(doc);
    buf_free(&value);
    return good;
}

/* ---- documents ---- */

static const char *value_word(const struct setting *setting)
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

/* Appends `name` with its letters in upper case, or with its underscores as dashes. */
static void put_upper(struct buf *out, const char *name)
{
    for (; *name != '\0'; name++)
        buf_putc(out, *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name);
}

static void put_dashed(struct buf *out, const char *name)
{
    for (; *name != '\0'; name++)
        buf_putc(out, *name == '_' ? '-' : *name);
}

/* Appends STORSYNC_NAME, or STORSYNC_SIDE_NAME for SOURCE and DESTINATION. */
static void put_variable(struct buf *out, const struct setting *setting, bool side)
{
    buf_puts(out, side ? SETTINGS_PREFIX "SIDE_" : SETTINGS_PREFIX);
    put_upper(out, setting->name);
}

/* Appends the further variables of a setting, each as `format` writes a word. */
static void put_more_variables(struct buf *out, const struct setting *setting, const char *before,
                               const char *after)
{
    const char *const lists[] = {setting->variables, setting->variables_of_destination, setting->of_r2,
                                 setting->shared};
    char word[SETTINGS_NAME_SIZE];

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const char *words = lists[i]; (words = settings_next_word(words, word)) != NULL;)
            buf_printf(out, "%s%s%s", before, word, after);
}

/* Appends the default, or defaults; nothing if there is none. */
static void put_default(struct buf *out, const struct setting *setting, const char *between)
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
        put_variable(out, setting, side);
    } else {
        buf_puts(out, side ? "--SIDE-" : "--");
        put_dashed(out, setting->name);
        buf_printf(out, " %s", setting->type == SETTING_FLAG ? "" : value_word(setting));
    }
    buf_init(&text, 1024);
    buf_puts(&text, setting->help);
    if (setting->type == SETTING_SECRET)
        buf_puts(&text, ", or with " SETTINGS_FILE_SUFFIX " added a file that holds it");
    if (setting->variables != NULL || setting->shared != NULL) {
        buf_puts(&text, " (also");
        put_more_variables(&text, setting, " ", "");
        buf_putc(&text, ')');
    }
    if (*setting->fallback != '\0') {
        buf_puts(&text, " [");
        put_default(&text, setting, " and ");
        buf_putc(&text, ']');
    }
    put_wrapped(out, buf_str(&text), out->len - start);
    buf_free(&text);
}

/* Appends the help as the beginning of a sentence, and what a value may be. */
static void put_meaning(struct buf *out, const struct setting *setting)
{
    struct buf range;

    buf_putc(out, (char)toupper((unsigned char)setting->help[0]));
    buf_puts(out, setting->help + 1);
    buf_init(&range, 256);
    settings_range(setting, &range);
    if (range.len > 0 && setting->type != SETTING_ENVIRONMENT)
        buf_printf(out, " (%s)", buf_str(&range));
    buf_free(&range);
}

static void put_markdown(struct buf *out, const struct setting *setting, bool side)
{
    buf_printf(out, "| `%s` | `", setting->name);
    put_variable(out, setting, side);
    if (setting->type == SETTING_SECRET) {
        buf_puts(out, "`, `");
        put_variable(out, setting, side);
        buf_puts(out, SETTINGS_FILE_SUFFIX);
    }
    buf_putc(out, '`');
    put_more_variables(out, setting, ", `", "`");
    buf_puts(out, " | ");
    if (*setting->fallback != '\0') {
        buf_putc(out, '`');
        put_default(out, setting, "`, `");
        buf_putc(out, '`');
    }
    buf_puts(out, " | ");
    put_meaning(out, setting);
    buf_puts(out, " |\n");
}

static void put_man(struct buf *out, const struct setting *setting, bool side)
{
    buf_puts(out, ".It ");
    if (setting->type != SETTING_SECRET) {
        buf_puts(out, side ? "Fl -SIDE-" : "Fl -");
        put_dashed(out, setting->name);
        if (setting->type != SETTING_FLAG)
            buf_printf(out, " Ar %s", value_word(setting));
        buf_puts(out, " , ");
    }
    buf_puts(out, "Ev ");
    put_variable(out, setting, side);
    if (setting->type == SETTING_SECRET) {
        buf_puts(out, " , ");
        put_variable(out, setting, side);
        buf_puts(out, SETTINGS_FILE_SUFFIX);
    }
    put_more_variables(out, setting, " , ", "");
    buf_puts(out, "\n");
    put_meaning(out, setting);
    buf_puts(out, ".\n");
    if (*setting->fallback != '\0') {
        buf_puts(out, "Default:\n.Li ");
        put_default(out, setting, " , ");
        buf_puts(out, " .\n");
    }
}

static void put_ini(struct buf *out)
{
    const char *section = "";

    buf_puts(out,
             "# Settings of storsync-init. The lines that are commented out show the defaults.\n"
             "# A comment is a line that begins with # or ;, and whatever follows a ; after white space.\n");
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (slot.setting->not_in_file)
            continue;
        if (strcmp(slot.section, section) != 0)
            buf_printf(out, "\n[%s]\n", slot.section);
        section = slot.section;
        buf_puts(out, "\n# ");
        put_meaning(out, slot.setting);
        buf_printf(out, "\n;%s =%s%s\n", slot.setting->name, *slot.fallback != '\0' ? " " : "",
                   slot.fallback);
    }
}

static void put_all(struct buf *out, const struct setting *setting, bool side,
                    void (*put)(struct buf *, const struct setting *, bool))
{
    for (; setting->name != NULL; setting++)
        put(out, setting, side);
}

bool settings_document(enum settings_doc form, struct buf *out)
{
    static const char table[] = "| Name | In the environment | Default | Meaning |\n|---|---|---|---|\n";

    switch (form) {
    case SETTINGS_HELP:
        buf_puts(out, "Settings, also STORSYNC_NAME in the environment and name = VALUE in the INI file:\n");
        put_all(out, settings_of_run(), false, put_help);
        buf_puts(
            out,
            "\nSettings of a side; SIDE is source or destination (SOURCE, DESTINATION in a variable):\n");
        put_all(out, settings_of_side(), true, put_help);
        break;
    case SETTINGS_MARKDOWN:
        buf_printf(out, "Of the whole run:\n\n%s", table);
        put_all(out, settings_of_run(), false, put_markdown);
        buf_printf(
            out,
            "\nOf each side (in `[source]` and `[destination]`; `SIDE` is `SOURCE` or `DESTINATION`):\n\n%s",
            table);
        put_all(out, settings_of_side(), true, put_markdown);
        break;
    case SETTINGS_MAN:
        buf_puts(out, ".Ss Settings of the whole run\n.Bl -tag -width Ds\n");
        put_all(out, settings_of_run(), false, put_man);
        buf_puts(out,
                 ".El\n.Ss Settings of each side\n.Ar SIDE\nis source or destination.\n.Bl -tag -width Ds\n");
        put_all(out, settings_of_side(), true, put_man);
        buf_puts(out, ".El\n");
        break;
    case SETTINGS_INI:
        put_ini(out);
        break;
    }
    return !out->failed;
}
