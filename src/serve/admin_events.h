/*
 * admin_events - who watches the status (/events, as the HTML standard has server-sent events).
 *
 * Each gets the document of /status at once, and then whenever something has changed, at most once a second; a comment every 15 s
 * keeps what is between us from closing the connection. While nobody watches, nothing here happens.
 */
#ifndef STORSYNC_ADMIN_EVENTS_H
#define STORSYNC_ADMIN_EVENTS_H

#include "admin_document.h"

#include <microhttpd.h>
#include <stdbool.h>

#define ADMIN_WATCHERS 8

/* The answer to a request for them; NULL: there are as many as may be, or no memory. */
struct MHD_Response *admin_events_add(struct MHD_Connection *connection, const struct admin_view *view);

/* How long nothing is to be done, in ms; below 0: for as long as nobody watches. */
int admin_events_patience(void);

/* False: there is nothing to tell now; else whoever watches is told, if something has changed. */
bool admin_events_due(void);
void admin_events_tell(const struct admin_view *view);

#endif
