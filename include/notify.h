/*
 * notify - tells others how a run ended: a webhook, and mail.
 *
 * The webhook gets a POST with JSON: `text` for a person, as Slack and what is compatible with it take it, and `run`, the status
 * document. With a notify_secret it is signed as "Standard Webhooks" has it (standardwebhooks.com): HMAC-SHA256 over id, time
 * and body, in the headers webhook-id, webhook-timestamp, webhook-signature. Only a 2xx is good; redirects are not followed; what
 * may be better later (429, 5xx, no connection) is tried three times.
 *
 * The mail is RFC 5322, in ASCII but for its body, which is UTF-8 in base64. STARTTLS or smtps, unless notify_plain.
 *
 * Both at once, within notify_timeout and never past `until`. Whatever goes wrong is a warning. The webhook's URL is a secret
 * itself: nobody is told more of it than the host.
 */
#ifndef STORSYNC_NOTIFY_H
#define STORSYNC_NOTIFY_H

#include "report.h"
#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

/* Is there anybody to be told of any run? */
bool notify_wanted(const struct settings *settings);

/* How long telling may take, of a run that may take `limit` ms in all (0: any time), in ms: a quarter of that at most. 0: nobody
 * is to be told. */
int64_t notify_time(const struct settings *settings, int64_t limit);

/* Is this run, which is over, one to be told of (notify_on)? Never a dry one, one that a signal has ended, one in
 * development, or one that had nothing to do. */
bool notify_due(const struct settings *settings, const struct report *report);

/* Tells, if it is due. Sets the deadline of the process (stop.h) to `until` (mono) or earlier. A signal ends it. */
void notify_run(const struct settings *settings, const struct report *report, int64_t until);

#endif
