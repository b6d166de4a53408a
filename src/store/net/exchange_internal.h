/*
 * exchange_internal - what the files of exchange share.
 *
 *     exchange.c          the life of a call, and what moves between http and the pipe
 *     exchange_answer.c   what HTTP's own headers say, and an object's body
 */
#ifndef STORSYNC_EXCHANGE_INTERNAL_H
#define STORSYNC_EXCHANGE_INTERNAL_H

#include "exchange.h"

/* An attempt begins: forgets what the last one was answered. */
void exchange_answer_reset(struct exchange *x);
/* As in struct http_hooks. */
void exchange_on_header(struct http_request *request, const char *name, const char *value);
bool exchange_on_body(struct http_request *request, const char *data, size_t len);

#endif
