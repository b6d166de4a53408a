#include "absence.h"

#include "cursor.h"
#include "uri.h"

#include <stdio.h>
#include <string.h>

/* Where it begins to matter how a key is written: what URL-encoding, forms ("+") and XML change. */
static size_t plain_length(const char *key)
{
    size_t len = 0;

    while ((unsigned char)key[len] > ' ' && strchr("%+\\&<>\"'", key[len]) == NULL)
        len++;
    return len;
}

bool absence_is_plain(const char *key)
{
    return key[plain_length(key)] == '\0';
}

bool absence_begin(struct absence *absence, struct store *store, const char *key, struct error *error)
{
    char prefix[OBJECT_KEY_MAX + 1];
    size_t len = plain_length(key);

    memcpy(prefix, key, len);
    prefix[len] = '\0';
    *absence = (struct absence){.key = key};
    absence->cursor = cursor_open(store, &(struct store_range){.prefix = prefix}, error);
    return absence->cursor != NULL;
}

bool absence_step(struct absence *absence)
{
    return absence->cursor != NULL && cursor_step(absence->cursor);
}

void absence_end(struct absence *absence)
{
    cursor_close(absence->cursor);
    absence->cursor = NULL;
}

/* Could a misread spelling of one of them be the other: is one, or both, decoded, the same? */
static bool reads_alike(const char *key, const char *listed)
{
    char plain_key[OBJECT_KEY_MAX + 1];
    char plain_listed[OBJECT_KEY_MAX + 1];

    snprintf(plain_key, sizeof plain_key, "%s", key);
    snprintf(plain_listed, sizeof plain_listed, "%s", listed);
    uri_decode(plain_key, true);
    uri_decode(plain_listed, true);
    return strcmp(key, listed) == 0 || strcmp(plain_key, listed) == 0 || strcmp(key, plain_listed) == 0 ||
           strcmp(plain_key, plain_listed) == 0;
}

/* Is it behind every spelling of the key? All begin alike, and then have the character as it is, a '%', a '+' or a '&'; in
 * place of a '%' there may be anything. */
static bool is_behind(const struct absence *absence, const char *listed)
{
    size_t len = plain_length(absence->key);
    unsigned char last = (unsigned char)absence->key[len];

    if (last == '%')
        return false;
    if (last != '\0' && last < '+')
        last = '+';
    return strlen(listed) > len && (unsigned char)listed[len] > last;
}

static enum absence_verdict fail_absence(struct error *error, const char *why)
{
    error_set(error, ERROR_PROTOCOL, "%s", why);
    return ABSENCE_FAILED;
}

enum absence_verdict absence_look(struct absence *absence, struct error *error)
{
    const struct object_entry *entry;

    for (;;) {
        switch (cursor_peek(absence->cursor, &entry)) {
        case CURSOR_WAIT:
            return ABSENCE_WAIT;
        case CURSOR_END:
            return ABSENCE_PROVEN;
        case CURSOR_FAILED:
            *error = *cursor_error(absence->cursor);
            return ABSENCE_FAILED;
        case CURSOR_ENTRY:
            break;
        }
        if (is_behind(absence, entry->key))
            return ABSENCE_PROVEN;
        if (reads_alike(absence->key, entry->key))
            return fail_absence(
                error,
                "it is listed, but its own bucket answers that there is no such object: the service spells keys in another way, or its index is out of date");
        if (++absence->passed > ABSENCE_KEYS_MAX)
            return fail_absence(
                error,
                "its own bucket answers that there is no such object, and whether it is still listed would take too long to find out");
        cursor_next(absence->cursor);
    }
}
