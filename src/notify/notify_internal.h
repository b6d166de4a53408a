/*
 * notify_internal - what the files of notify share.
 *
 *     notify.c        when, and sending
 *     notify_text.c   what is said; pure
 */
#ifndef STORSYNC_NOTIFY_INTERNAL_H
#define STORSYNC_NOTIFY_INTERNAL_H

#include "buf.h"
#include "report.h"

#include <stdbool.h>
#include <stdint.h>

#define NOTIFY_BODY_MAX ((size_t)256 * 1024) /* ten keys and errors of nothing but control characters fit */
#define NOTIFY_TEXT_MAX ((size_t)3000)       /* of the text for a person */
#define NOTIFY_HOST_SIZE 65                  /* of this machine's name */

/* Appends the body for a webhook. What a chat takes for markup or a call for everybody is made plain. */
bool notify_put_json(const struct report *report, const char *host, struct buf *out);

/* A mail, without what only the moment of sending knows. Addresses are ASCII. */
struct notify_mail {
    const char *from, *to; /* `to`: comma-separated */
    const char *host;
    const char *id; /* what nobody else has, for the Message-ID */
    int64_t now;    /* wall */
};

/* Appends the whole message, each line ending in CR LF. */
bool notify_put_mail(const struct report *report, const struct notify_mail *mail, struct buf *out);

/* The headers' value: "v1," and the base64 of the HMAC-SHA256 over ID.TIME.BODY. False: no memory. */
bool notify_sign(const char *secret, const char *id, int64_t seconds, const struct buf *body,
                 struct buf *out);

#endif
