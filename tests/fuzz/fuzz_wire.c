/* Messages of a worker that is broken: in any pieces, never beyond their bounds, and nothing after the first fault. */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted says the same when it is written again. */
static void check(const struct wire_message *message)
{
    unsigned char bytes[WIRE_MAX];
    struct wire_reader reader = {.len = 0};
    struct wire_message again;
    size_t room;
    size_t len = wire_encode(message, bytes);

    if (len > WIRE_MAX || (message->type == WIRE_POLICY && message->policy.limit < 0))
        abort();
    memcpy(wire_room(&reader, &room), bytes, len);
    wire_filled(&reader, len);
    if (!wire_next(&reader, &again) || again.type != message->type || reader.len != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader reader = {.len = 0};
    struct wire_message message;
    size_t piece = size > 0 ? data[0] % 64 + 1U : 1;
    size_t room;

    for (size_t at = 1; at < size;) {
        unsigned char *to = wire_room(&reader, &room);
        size_t len = size - at < piece ? size - at : piece;

        if (room == 0)
            abort();
        len = len < room ? len : room;
        memcpy(to, data + at, len);
        wire_filled(&reader, len);
        at += len;
        while (wire_next(&reader, &message))
            check(&message);
    }
    return 0;
}
