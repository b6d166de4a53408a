/*
 * What has to be known of the settings before any file is opened.
 */
#include "settings_internal.h"

#include <ctype.h>
#include <string.h>

#define VALUE_MAX 64 /* bytes of a duration or a choice */

/* The text of the last such flag, else of the variable; NULL if there is neither. */
static const char *find_text(const struct settings_input *input, int index)
{
    struct slot slot = settings_slot(index);
    char name[SETTINGS_NAME_SIZE];
    size_t len;

    for (int i = input->flag_count - 1; i >= 0; i--)
        if (settings_find_flag(input->flags[i].name) == index)
            return input->flags[i].value;
    settings_variable(&slot, name);
    len = strlen(name);
    for (const char *const *variable = input->environ_; *variable != NULL; variable++)
        if (strncmp(*variable, name, len) == 0 && (*variable)[len] == '=')
            return *variable + len + 1;
    return NULL;
}

/* Without the white space around it; "" if it is too long to be a duration or a choice. */
static const char *trim(const char *text, char out[VALUE_MAX])
{
    size_t len;

    text += strspn(text, " \t\r\n\v\f");
    len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    if (len >= VALUE_MAX)
        len = 0;
    memcpy(out, text, len);
    out[len] = '\0';
    return out;
}

static bool peek_number(const struct settings_input *input, const char *name, struct settings *settings)
{
    int index = settings_find("", name);
    struct slot slot = settings_slot(index);
    const char *text = find_text(input, index);
    char value[VALUE_MAX];

    return text != NULL && settings_parse(settings, &slot, trim(text, value));
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
