/*
 * fuzz_creds - one answer to one request of creds, through the hooks that http would call.
 */
#ifndef FUZZ_CREDS_H
#define FUZZ_CREDS_H

#include "clock.h"
#include "creds_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A key must be fit for a header, an error for a line. */
static void fuzz_check(const struct creds *creds, enum http_verdict verdict)
{
    const struct error *error = &creds->request.error;

    if (error->kind == ERROR_NONE && verdict != HTTP_DONE)
        abort();
    if (error->kind == ERROR_NONE &&
        (!creds_is_clean(creds->next.session_token) || !creds_is_clean(creds->next.access_key_id) ||
         !creds_is_clean(creds->metadata_token) || !creds_is_clean(creds->role_name)))
        abort();
    if (error->kind != ERROR_NONE && strstr(error->text, "TOPSECRETTOKEN") != NULL)
        abort();
}

static inline void fuzz_answer_of(const struct creds_step_ops *ops, struct gcp *gcp, const uint8_t *data,
                                  size_t size)
{
    static const int statuses[] = {200, 200, 200, 400, 403, 404, 429, 500};
    static const struct side side = {.ca_file = "", .sts_endpoint = ""};
    struct creds *creds = calloc(1, sizeof *creds);
    struct http_request *request;
    size_t half;

    if (size == 0 || creds == NULL) {
        free(creds);
        return;
    }
    creds->side = &side;
    creds->gcp = gcp;
    creds->steps[0].ops = ops;
    creds->step_count = 1;
    creds->answer = malloc(CREDS_ANSWER_MAX);
    creds->date = CLOCK_UNKNOWN;
    request = &creds->request;
    http_request_init(request);
    buf_init_secret(&creds->form, CREDS_FORM_MAX);
    buf_puts(&creds->form, "RoleArn=a&WebIdentityToken=");
    creds_hide(creds);
    buf_puts(&creds->form, "TOPSECRETTOKEN");
    request->hooks = &creds_hooks;
    request->ctx = creds;
    request->status = statuses[data[0] % 8];
    half = (size - 1) / 2;
    request->hooks->header(request, "date", "Sun, 22 Nov 2026 18:32:27 GMT");
    request->hooks->body(request, (const char *)data + 1, half);
    request->hooks->body(request, (const char *)data + 1 + half, size - 1 - half);
    fuzz_check(creds, request->hooks->finish(request));
    creds_close(creds);
}

static inline void fuzz_answer(const struct creds_step_ops *ops, const uint8_t *data, size_t size)
{
    fuzz_answer_of(ops, NULL, data, size);
}

#endif
