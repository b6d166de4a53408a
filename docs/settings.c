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

static void put_markdown_tables(struct buf *out)
{
    static const char head[] = "| Name | In the environment | Default | Meaning |\n|---|---|---|---|\n";

    buf_printf(out, "Of the whole run:\n\n%s", head);
    put_all(out, settings_of_run(), false, put_markdown);
    buf_printf(
        out, "\nOf each side (in `[source]` and `[destination]`; `SIDE` is `SOURCE` or `DESTINATION`):\n\n%s",
        head);
    put_all(out, settings_of_side(), true, put_markdown);
}

static void put_man_lists(struct buf *out)
{
    buf_puts(out, ".Ss Settings of the whole run\n.Bl -tag -width Ds\n");
    put_all(out, settings_of_run(), false, put_man);
    buf_puts(out,
             ".El\n.Ss Settings of each side\n.Ar SIDE\nis source or destination.\n.Bl -tag -width Ds\n");
    put_all(out, settings_of_side(), true, put_man);
    buf_puts(out, ".El\n");
}

int main(int argc, char **argv)
{
    const char *form = argc == 2 ? argv[1] : "";
    struct buf out;
    bool good;

    buf_init(&out, DOCUMENT_MAX);
    if (strcmp(form, "markdown") == 0)
        put_markdown_tables(&out);
    else if (strcmp(form, "man") == 0)
        put_man_lists(&out);
    else if (strcmp(form, "ini") == 0)
        put_ini(&out);
    good = out.len > 0 && !out.failed && fputs(buf_str(&out), stdout) != EOF && fflush(stdout) == 0;
    buf_free(&out);
    if (!good)
        fputs("usage: settings markdown|man|ini\n", stderr);
    return good ? 0 : 1;
}
