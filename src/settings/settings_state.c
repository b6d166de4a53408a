#include "settings_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void settings_add(struct settings_state *state, struct settings_lines *lines, const char *format, ...)
{
    va_list arguments;
    char *line;

    if (lines->count == SETTINGS_LINES_MAX)
        return;
    va_start(arguments, format);
    if (vasprintf(&line, format, arguments) < 0)
        state->no_memory = true;
    else
        lines->line[lines->count++] = line;
    va_end(arguments);
}

const char *settings_line(const struct settings_lines *lines, int index)
{
    return index >= 0 && index < lines->count ? lines->line[index] : NULL;
}

void settings_free_lines(struct settings_lines *lines)
{
    for (int i = 0; i < lines->count; i++)
        free(lines->line[i]);
    lines->count = 0;
}

void settings_forget(struct settings_value *value)
{
    if (value->text != NULL)
        explicit_bzero(value->text, strlen(value->text));
    free(value->text);
    free(value->origin);
    *value = (struct settings_value){.rank = RANK_DEFAULT};
}
