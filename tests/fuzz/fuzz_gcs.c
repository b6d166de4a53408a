/*
 * fuzz_gcs - any answer of Google Cloud Storage to any operation. The first byte chooses the operation, the second the
 * status, the rest is the body, which comes in two pieces.
 */
#include "../unit/gcs_hand.h"

#include "clock.h"
#include "log.h"

#include <stdint.h>

static void start(struct hand *hand, unsigned op)
{
    static const struct object_meta no_meta;

    switch (op % 8) {
    case 0:
        hand_list(hand, "p");
        return;
    case 1:
        store_read(hand->store, &hand->call, "k");
        break;
    case 2:
        store_head(hand->store, &hand->call, "k");
        break;
    case 3:
        store_copy(hand->store, &hand->call, &(struct store_target){.key = "k"},
                   &(struct store_source){hand->store, "k", "1.2", NULL});
        break;
    case 4:
        store_write(hand->store, &hand->call, "k", "v", 1,
                    &(struct store_condition){.when = STORE_IF_ABSENT});
        break;
    case 5:
        store_get(&(struct store_source){hand->store, "k", "", NULL}, &hand->call, 0, UINT64_MAX,
                  &hand->pipe);
        break;
    case 6:
        store_upload_begin(
            hand->store, &hand->call,
            &(struct store_target){.key = "k", .size = 1, .modified = CLOCK_UNKNOWN, .meta = &no_meta});
        break;
    default:
        store_remove(hand->store, &hand->call, "k");
        break;
    }
    if (!hand_attempt(hand))
        abort();
}

/* What the service says is shown to people on one line, and never leads to another host. */
static void check(const struct hand *hand, enum http_verdict verdict)
{
    if (strncmp(hand_url(hand), "http://h/", 9) != 0)
        abort();
    if (verdict != HTTP_DONE && hand_request(hand)->error.kind == ERROR_NONE)
        abort();
    if (strchr(hand_request(hand)->error.text, '\n') != NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 206, 308, 400, 401, 403, 404, 410, 412, 429, 503};
    const char *body = (const char *)data + 2;
    enum http_verdict verdict;
    struct hand hand;
    size_t half;

    if (size < 2)
        return 0;
    log_setup(LOG_TEXT, LOG_ERROR, false);
    size -= 2;
    half = size / 2;
    gcs_hand_begin(&hand, "bucket");
    start(&hand, data[0]);
    hand_answer_head(
        &hand, statuses[data[1] % (sizeof statuses / sizeof statuses[0])],
        "content-type: application/json\nx-goog-generation: 1\nlocation: http://x/y?upload_id=1\n");
    hand_answer_body(&hand, body, half);
    hand_answer_body(&hand, body + half, size - half);
    verdict = hand_answer_end(&hand);
    check(&hand, verdict);
    if (verdict != HTTP_DONE && !hand_attempt(&hand))
        abort();
    if (verdict == HTTP_DONE)
        hand_done(&hand);
    /* Nobody has a use for an upload that was begun here. */
    if (hand.call.done && hand.call.upload != NULL && hand.call.error.kind == ERROR_NONE)
        store_upload_abort(hand.call.upload, &hand.call);
    hand_end(&hand);
    return 0;
}
