/*
 * The rules of the filter: see settings_filter in settings.h.
 */
#include "file.h"
#include "settings_internal.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

static void refuse_rule(struct settings_state *state, const struct filter_rule *rule, const char *name,
                        const char *why)
{
    settings_add(state, &state->refusals, "%s: %s%s\"%.64s\" %s; no sync begins", rule->origin, name,
                 *name != '\0' ? ": " : "", rule->pattern, why);
}

void settings_add_rule(struct settings_state *state, const struct filter_rule *rule, const char *name)
{
    const char *why = "needs more memory than there is";

    if (state->filter == NULL)
        state->filter = filter_new();
    if (state->filter != NULL)
        why = filter_add(state->filter, rule);
    if (why != NULL)
        refuse_rule(state, rule, name, why);
}

/* A line of the file, which ends with a NUL. */
static void add_line_of_file(struct settings_state *state, char *line, const char *origin, size_t before)
{
    struct text_piece text = text_trim(line, strlen(line), TEXT_SPACE);
    struct filter_rule rule = {.include = *text.at == '+', .pattern = text.at, .origin = origin};

    line[text.at - line + (ptrdiff_t)text.len] = '\0';
    if (text.len == 0 || text_is_one_of(*text.at, "#;"))
        return;
    if (strcmp(text.at, "!") == 0) {
        if (state->filter != NULL)
            filter_cut(state->filter, before);
        return;
    }
    if (text.len < 2 || !text_is_one_of(text.at[0], "+-") || text.at[1] != ' ') {
        refuse_rule(state, &rule, "", "is no rule, which begins with \"- \" or \"+ \"");
        return;
    }
    rule.pattern += 2 + strspn(text.at + 2, TEXT_SPACE);
    settings_add_rule(state, &rule, "");
}

void settings_add_filter_file(struct settings *settings)
{
    struct settings_state *state = settings->state;
    const char *path = settings->filter_file;
    struct error error;
    size_t len, before = 0;
    char *text, *next;
    int number = 1;

    if (*path == '\0')
        return;
    text = file_read(path, SETTINGS_FILTER_FILE_MAX, &len, &error);
    if (text == NULL || strlen(text) < len) {
        settings_add(state, &state->refusals, "%s: %s; no sync begins",
                     state->values[settings_find("", "filter_file")].label,
                     text == NULL ? error.text : "a NUL byte in the file: is it text in UTF-8?");
        file_free(text, len);
        return;
    }
    while (filter_rule(state->filter, before) != NULL)
        before++;
    for (char *line = text; line != NULL; line = next, number++) {
        char origin[sizeof error.text];

        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        snprintf(origin, sizeof origin, "%s:%d", path, number);
        add_line_of_file(state, line, origin, before);
    }
    file_free(text, len);
}
