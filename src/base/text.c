#include "text.h"

#include <string.h>

bool text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool text_is_letter(char c)
{
    return text_lower(c) >= 'a' && text_lower(c) <= 'z';
}

bool text_is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

char text_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

char text_upper(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

bool text_begins(const char *text, const char *beginning)
{
    while (*beginning != '\0')
        if (*text++ != *beginning++)
            return false;
    return true;
}

bool text_ends(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

bool text_is_blank(const char *text)
{
    return text[strspn(text, TEXT_SPACE)] == '\0';
}

struct text_piece text_trim(const char *text, size_t len, const char *set)
{
    while (len > 0 && text_is_one_of(*text, set))
        text++, len--;
    while (len > 0 && text_is_one_of(text[len - 1], set))
        len--;
    return (struct text_piece){text, len};
}
