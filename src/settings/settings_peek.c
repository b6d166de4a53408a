/*
 * What has to be known of the settings before any file is opened.
 */
#include "env.h"
#include "settings_internal.h"
#include "text.h"

#include <string.h>

#define VALUE_MAX 64 /* bytes of a duration or a choice */

/* The text of the last such flag, else of the variable, which counts only if it is not blank; NULL if there is neither. */
static const char *find_text(const struct settings_input *input, int index)
{
    struct slot slot = settings_slot(index);
    char name[SETTINGS_NAME_SIZE];
    const char *value;

    for (int i = input->flag_count - 1; i >= 0; i--)
        if (settings_find_flag(input->flags[i].name) == index)
            return input->flags[i].value;
    settings_variable(&slot, name);
    value = env_find(input->environ_, name);
    return value == NULL || text_is_blank(value) ? NULL : value;
}

/* As settings_load decides it; false if the default counts. A text that is too long to be a duration or a choice counts as
 * one that cannot be used. */
static bool peek_number(const struct settings_input *input, const char *name, struct settings *settings)
{
    int index = settings_find("", name);
    struct slot slot = settings_slot(index);
    const char *text = find_text(input, index);
    char value[VALUE_MAX] = "";
    struct text_piece trimmed;

    if (text == NULL)
        return false;
    trimmed = text_trim(text, strlen(text), TEXT_SPACE);
    if (trimmed.len < sizeof value)
        memcpy(value, trimmed.at, trimmed.len);
    return settings_parse(settings, &slot, value) || settings_stand_in(settings, &slot);
}

void settings_peek(const struct settings_input *input, struct settings_peeked *out)
{
    struct settings settings = {.on_failure = ON_FAILURE_START};
    const char *names = find_text(input, settings_find("", "drop_env"));

    out->on_failure_set = peek_number(input, "on_failure", &settings);
    out->timeout_set = peek_number(input, "timeout", &settings);
    out->start = settings.on_failure == ON_FAILURE_START;
    out->timeout = settings.timeout;
    out->drop_env = names != NULL ? names : "";
}
