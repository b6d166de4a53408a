/*
 * uri - percent-encoding as S3 signs it, and the few forms of URL that settings may hold (RFC 3986).
 */
#ifndef STORSYNC_URI_H
#define STORSYNC_URI_H

#include "buf.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends `text` with every byte but A-Z a-z 0-9 - . _ ~ as %XX (upper case). `keep` names further bytes that
 * stay as they are: "/" for a path, "" for a query. This is the UriEncode of the SigV4 specification. */
bool uri_encode(struct buf *out, const char *text, const char *keep);

/* Decodes %XX in place; with `plus`, also '+' to a space (as in a form). False, and the text cut at that
 * place, when a % is not followed by two hexadecimal digits or the result would hold a NUL. */
bool uri_decode(char *text, bool plus);

/* An absolute URL with an authority: scheme://host[:port][/path]. No user info, query or fragment. Only file:
 * may have no host. The path keeps its percent-encoding. */
struct uri {
    char scheme[8];
    char host[256]; /* lower case; an IPv6 address keeps its brackets */
    int port;       /* 0: the scheme's default */
    char path[512]; /* "" or starts with '/', no trailing '/' */
};

/* `what` names the setting in the error text (ERROR_CONFIG), which never repeats the URL: it may hold a
 * password. */
bool uri_parse(const char *text, const char *what, struct uri *out, struct error *error);

/* Appends `text`, a URL as somebody typed it, without what may be secret: a user name and password, a query. These become
 * "****"; whatever comes before an '@' does, because a password with a '/' in it is no rare mistake. */
bool uri_mask(struct buf *out, const char *text);

/* Does what is sent there stay on this machine: localhost and the names below it (RFC 6761, 6.3), 127.0.0.0/8, ::1? */
bool uri_is_loopback(const struct uri *uri);

/* Is that host (an IPv6 address in brackets) this machine, or something that only this machine can mean: loopback in any
 * spelling that a resolver takes, 0.0.0.0, the link's own addresses (169.254.0.0/16, fe80::/10), where metadata services
 * are, or fd00:ec2::/32, where Amazon's are? */
bool uri_is_near(const char *host);

/* host[:port] as it goes into Host: and into a signature; the port is left out when it is the default. */
bool uri_authority(const struct uri *uri, struct buf *out);

#endif
