/*
 * The loop of a test: without connections until somebody needs them, and with few retries.
 * Header-only: each test program includes it once.
 */
#ifndef LOOP_FIXTURE_H
#define LOOP_FIXTURE_H

#include "loop.h"

#include <stdio.h>
#include <stdlib.h>

static inline struct loop *loop_make(void)
{
    static const struct http_limits limits = {
        .connections = 1, .connect_timeout = 1000, .stall_timeout = 1000, .retries = 3};
    struct error error;
    struct loop *loop = loop_new(&limits, &error);

    if (loop == NULL) {
        printf("loop_make: %s\n", error.text);
        abort();
    }
    return loop;
}

#endif
