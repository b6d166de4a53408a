/*
 * Stands in for libmicrohttpd's reason_phrase.c, which knows all of the registry: 3 KB of pointers. A phrase is for people only
 * (RFC 9112, section 4), and those that a client of ours meets say what they say in the body.
 */
#include "platform.h"

#include "microhttpd.h"

const char *MHD_get_reason_phrase_for(unsigned int code)
{
    return code < 400 ? "OK" : code < 500 ? "Refused" : "Unavailable";
}

size_t MHD_get_reason_phrase_len_for(unsigned int code)
{
    return strlen(MHD_get_reason_phrase_for(code));
}
