/*
 * Makes what docs/SETTINGS.md, the man page and examples/storsync.ini say about the settings, from the table that declares
 * them. A program of the machine that builds, not a part of the product. docs/update puts its output in place.
 *
 * usage: settings markdown|man|ini
 */
#include "settings_internal.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define DOCUMENT_MAX ((size_t)1024 * 1024)

/* Appends the help as the beginning of a sentence, and what a value may be. */
static void put_meaning(struct buf *out, const struct setting *setting)
{
    struct buf range;

    buf_putc(out, text_upper(setting->help[0]));
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
    settings_put_variable(out, setting, side);
    if (setting->type == SETTING_SECRET) {
        buf_puts(out, "`, `");
        settings_put_variable(out, setting, side);
        buf_puts(out, SETTINGS_FILE_SUFFIX);
    }
    buf_putc(out, '`');
    settings_put_more_variables(out, setting, ", `", "`");
    buf_puts(out, " | ");
    if (*setting->fallback != '\0') {
        buf_putc(out, '`');
        settings_put_default(out, setting, "`, `");
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
        settings_put_dashed(out, setting->name);
        if (setting->type != SETTING_FLAG)
            buf_printf(out, "%s Ar %s", settings_needs_value(setting) ? "" : " Ns", settings_word(setting));
        buf_puts(out, " , ");
    }
    buf_puts(out, "Ev ");
    settings_put_variable(out, setting, side);
    if (setting->type == SETTING_SECRET) {
        buf_puts(out, " , ");
        settings_put_variable(out, setting, side);
        buf_puts(out, SETTINGS_FILE_SUFFIX);
    }
    settings_put_more_variables(out, setting, " , ", "");
    buf_puts(out, "\n");
    put_meaning(out, setting);
    buf_puts(out, ".\n");
    if (*setting->fallback != '\0') {
        buf_puts(out, "Default:\n.Li ");
        settings_put_default(out, setting, " , ");
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
        if (slot.setting->heading != NULL)
            buf_printf(out, "\n# === %s ===\n", slot.setting->heading);
        buf_puts(out, "\n# ");
        put_meaning(out, slot.setting);
        buf_printf(out, "\n;%s =%s%s\n", slot.setting->name, *slot.fallback != '\0' ? " " : "",
                   slot.fallback);
    }
}

/* How a table is shown: each of its groups begins with `before`, its heading, `after`, and ends with `end`. */
struct form {
    const char *before, *after, *end;
    void (*put)(struct buf *out, const struct setting *setting, bool side);
};

static const struct form markdown = {
    "\n**", "**\n\n| Name | In the environment | Default | Meaning |\n|---|---|---|---|\n", "", put_markdown};
static const struct form man = {".Pp\n.Em ", " :\n.Bl -tag -width Ds\n", ".El\n", put_man};

static void put_groups(struct buf *out, const struct form *form, const struct setting *setting, bool side)
{
    for (const struct setting *first = setting; setting->name != NULL; setting++) {
        if (setting->heading != NULL)
            buf_printf(out, "%s%s%s%s", setting != first ? form->end : "", form->before, setting->heading,
                       form->after);
        form->put(out, setting, side);
    }
    buf_puts(out, form->end);
}

static void put_all(struct buf *out, const struct form *form, const char *of_run, const char *of_side)
{
    buf_puts(out, of_run);
    put_groups(out, form, settings_of_run(), false);
    buf_puts(out, of_side);
    put_groups(out, form, settings_of_side(), true);
}

int main(int argc, char **argv)
{
    const char *form = argc == 2 ? argv[1] : "";
    struct buf out;
    bool good;

    buf_init(&out, DOCUMENT_MAX);
    if (strcmp(form, "markdown") == 0)
        put_all(&out, &markdown, "Of the whole run:\n",
                "\nOf each side (in `[source]` and `[destination]`; `SIDE` is `SOURCE` or `DESTINATION`):\n");
    else if (strcmp(form, "man") == 0)
        put_all(&out, &man, ".Ss Settings of the whole run\n",
                ".Ss Settings of each side\n.Ar SIDE\nis source or destination.\n");
    else if (strcmp(form, "ini") == 0)
        put_ini(&out);
    good = out.len > 0 && !out.failed && fputs(buf_str(&out), stdout) != EOF && fflush(stdout) == 0;
    buf_free(&out);
    if (!good)
        fputs("usage: settings markdown|man|ini\n", stderr);
    return good ? 0 : 1;
}
