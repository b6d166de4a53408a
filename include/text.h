/*
 * text - bytes of ASCII, whatever the locale says, and pieces of a text.
 */
#ifndef STORSYNC_TEXT_H
#define STORSYNC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_SPACE " \t\r\n\v\f"

bool text_is_digit(char c);
bool text_is_letter(char c);
bool text_is_one_of(char c, const char *set); /* never a NUL */

char text_lower(char c);
char text_upper(char c);

bool text_begins(const char *text, const char *beginning);
bool text_ends(const char *text, const char *end);

/* Nothing but white space, or nothing at all? */
bool text_is_blank(const char *text);

/* A piece of somebody else's text, without a NUL of its own behind it. */
struct text_piece {
    const char *at;
    size_t len;
};

/* What is left without the bytes of `set` at both ends. */
struct text_piece text_trim(const char *text, size_t len, const char *set);

#endif
