/*
 * s3_hand.h with a bucket of Google Cloud Storage.
 * Header-only: each test program includes it once.
 */
#ifndef GCS_HAND_H
#define GCS_HAND_H

#include "s3_hand.h"

#include "store_gcs.h"

static inline void gcs_hand_begin(struct hand *hand, const char *bucket)
{
    struct error error = {0};

    setenv("STORAGE_EMULATOR_HOST", "http://h", 1);
    hand_side(hand, "", bucket);
    hand->side.user_project = "";
    hand->loop = loop_make();
    hand->store = store_gcs_open(&hand->side, bucket, hand->loop, &error);
    call_init(&hand->call);
    hand->used = &hand->call;
    if (hand->store == NULL || !pipe_init(&hand->pipe)) {
        printf("gcs_hand_begin: %s\n", error.text);
        abort();
    }
}

/* The next request of a call that takes several: what has ended well goes on. */
static inline void gcs_hand_next(struct hand *hand)
{
    hand_done(hand);
    if (!hand_attempt(hand))
        abort();
}

#endif
