#include "wire.h"

#include <string.h>

#define MAGIC 'S'
#define POLICY_SIZE 21
#define PROGRESS_SIZE 48
#define END_SIZE 2
#define SCHEDULE_HEAD 9 /* before the texts: the first one with a NUL behind it */

/* ---- numbers ---- */

static unsigned char *put_number(unsigned char *out, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        *out++ = (unsigned char)(number >> (8 * i));
    return out;
}

static uint64_t get_number(const unsigned char *in)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number |= (uint64_t)in[i] << (8 * i);
    return number;
}

/* ---- writing ---- */

static size_t encode_policy(const struct wire_policy *policy, unsigned char *out)
{
    *out++ = policy->start;
    *out++ = policy->forgive;
    *out++ = policy->log_format;
    *out++ = policy->log_level;
    *out++ = policy->log_utf8;
    out = put_number(out, (uint64_t)policy->limit);
    put_number(out, policy->notify);
    return POLICY_SIZE;
}

static size_t encode_progress(const struct wire_progress *progress, unsigned char *out)
{
    out = put_number(out, progress->synced);
    out = put_number(out, progress->skipped);
    out = put_number(out, progress->failed);
    out = put_number(out, progress->extra);
    out = put_number(out, progress->deleted);
    put_number(out, progress->total_size);
    return PROGRESS_SIZE;
}

static size_t encode_schedule(const struct wire_schedule *schedule, unsigned char *out)
{
    size_t cron = strlen(schedule->cron) + 1, zone = strlen(schedule->zone);

    *out++ = schedule->task;
    out = put_number(out, (uint64_t)schedule->delay);
    memcpy(out, schedule->cron, cron);
    memcpy(out + cron, schedule->zone, zone);
    return SCHEDULE_HEAD + cron + zone;
}

/* Three texts, the first two with a NUL behind them. */
static size_t encode_admin(const struct wire_admin *admin, unsigned char *out)
{
    const char *const texts[] = {admin->token, admin->listen, admin->hosts};
    size_t len = 0;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        memcpy(out + len, texts[i], strlen(texts[i]) + 1);
        len += strlen(texts[i]) + 1;
    }
    return len - 1;
}

static size_t encode_body(const struct wire_message *message, unsigned char *out)
{
    switch (message->type) {
    case WIRE_POLICY:
        return encode_policy(&message->policy, out);
    case WIRE_NAMES:
        memcpy(out, message->names.text, message->names.len);
        return message->names.len;
    case WIRE_PROGRESS:
        return encode_progress(&message->progress, out);
    case WIRE_SCHEDULE:
        return encode_schedule(&message->schedule, out);
    case WIRE_END:
        out[0] = message->end.kind;
        out[1] = message->end.code;
        return END_SIZE;
    case WIRE_ADMIN:
        return encode_admin(&message->admin, out);
    }
    return 0;
}

size_t wire_encode(const struct wire_message *message, unsigned char out[WIRE_MAX])
{
    size_t len = encode_body(message, out + WIRE_HEAD);

    out[0] = MAGIC;
    out[1] = WIRE_VERSION;
    out[2] = (unsigned char)message->type;
    out[3] = 0;
    out[4] = (unsigned char)(len & 0xFF);
    out[5] = (unsigned char)(len >> 8);
    return WIRE_HEAD + len;
}

void wire_tell(const struct wire *wire, const struct wire_message *message)
{
    if (wire != NULL && wire->take != NULL)
        wire->take(wire->ctx, message);
}

void wire_tell_names(const struct wire *wire, const char *names)
{
    struct wire_message message = {.type = WIRE_NAMES};

    for (size_t left = strlen(names); left > 0; left -= message.names.len) {
        message.names.len = left < WIRE_BODY_MAX ? left : WIRE_BODY_MAX;
        memcpy(message.names.text, names, message.names.len);
        names += message.names.len;
        wire_tell(wire, &message);
    }
}

/* ---- reading ---- */

unsigned char *wire_room(struct wire_reader *reader, size_t *room)
{
    if (reader->broken)
        reader->len = 0;
    *room = sizeof reader->data - reader->len;
    return reader->data + reader->len;
}

void wire_filled(struct wire_reader *reader, size_t len)
{
    reader->len += len;
}

static bool decode_policy(const unsigned char *in, struct wire_policy *policy)
{
    uint64_t limit = get_number(in + 5), notify = get_number(in + 13);

    if (in[0] > 1 || in[1] > 1 || in[4] > 1 || limit > (uint64_t)WIRE_LIMIT_MAX || notify > WIRE_NOTIFY_MAX)
        return false;
    *policy = (struct wire_policy){
        .start = in[0] == 1,
        .forgive = in[1] == 1,
        .log_format = in[2],
        .log_level = in[3],
        .log_utf8 = in[4] == 1,
        .limit = (int64_t)limit,
        .notify = (uint32_t)notify,
    };
    return true;
}

static void decode_progress(const unsigned char *in, struct wire_progress *progress)
{
    progress->synced = get_number(in);
    progress->skipped = get_number(in + 8);
    progress->failed = get_number(in + 16);
    progress->extra = get_number(in + 24);
    progress->deleted = get_number(in + 32);
    progress->total_size = get_number(in + 40);
}

static bool decode_schedule(const unsigned char *in, size_t len, struct wire_schedule *schedule)
{
    const unsigned char *cron = in + SCHEDULE_HEAD, *zone;
    uint64_t delay;

    if (len <= SCHEDULE_HEAD || in[0] >= WIRE_TASKS)
        return false;
    delay = get_number(in + 1);
    zone = memchr(cron, '\0', len - SCHEDULE_HEAD);
    if (zone++ == NULL || delay > (uint64_t)WIRE_LIMIT_MAX || (size_t)(zone - cron) > sizeof schedule->cron ||
        (size_t)(in + len - zone) >= sizeof schedule->zone ||
        memchr(zone, '\0', (size_t)(in + len - zone)) != NULL)
        return false;
    *schedule = (struct wire_schedule){.task = in[0], .delay = (int64_t)delay};
    memcpy(schedule->cron, cron, (size_t)(zone - cron));
    memcpy(schedule->zone, zone, (size_t)(in + len - zone));
    return true;
}

/* The text at *in, which a NUL ends, or the last one `end`. */
static bool take_text(const unsigned char **in, const unsigned char *end, bool last, char *out, size_t room)
{
    const unsigned char *nul = memchr(*in, '\0', (size_t)(end - *in));
    size_t len;

    if ((nul == NULL) != last)
        return false;
    len = (size_t)((last ? end : nul) - *in);
    if (len >= room)
        return false;
    memcpy(out, *in, len);
    out[len] = '\0';
    *in += len + 1;
    return true;
}

static bool decode_admin(const unsigned char *in, size_t len, struct wire_admin *admin)
{
    const unsigned char *end = in + len;

    return take_text(&in, end, false, admin->token, sizeof admin->token) &&
           take_text(&in, end, false, admin->listen, sizeof admin->listen) &&
           take_text(&in, end, true, admin->hosts, sizeof admin->hosts);
}

static bool decode_body(const unsigned char *in, size_t len, struct wire_message *message)
{
    switch (message->type) {
    case WIRE_POLICY:
        return len == POLICY_SIZE && decode_policy(in, &message->policy);
    case WIRE_NAMES:
        if (len == 0 || memchr(in, '\0', len) != NULL)
            return false;
        message->names.len = len;
        memcpy(message->names.text, in, len);
        return true;
    case WIRE_PROGRESS:
        if (len != PROGRESS_SIZE)
            return false;
        decode_progress(in, &message->progress);
        return true;
    case WIRE_SCHEDULE:
        return decode_schedule(in, len, &message->schedule);
    case WIRE_END:
        if (len != END_SIZE)
            return false;
        message->end = (struct wire_end){.kind = in[0], .code = in[1]};
        return true;
    case WIRE_ADMIN:
        return decode_admin(in, len, &message->admin);
    }
    return false;
}

/* The length of the body, or WIRE_MAX if this is no head. */
static size_t body_size(const unsigned char *head)
{
    size_t len = head[4] | (size_t)head[5] << 8;

    if (head[0] != MAGIC || head[1] != WIRE_VERSION || head[2] < WIRE_POLICY || head[2] > WIRE_ADMIN ||
        head[3] != 0 || len > WIRE_BODY_MAX)
        return WIRE_MAX;
    return len;
}

bool wire_next(struct wire_reader *reader, struct wire_message *message)
{
    size_t len;

    if (reader->broken || reader->len < WIRE_HEAD)
        return false;
    len = body_size(reader->data);
    if (len != WIRE_MAX && reader->len < WIRE_HEAD + len)
        return false;
    if (len != WIRE_MAX)
        message->type = (enum wire_type)reader->data[2];
    if (len == WIRE_MAX || !decode_body(reader->data + WIRE_HEAD, len, message)) {
        reader->broken = true;
        return false;
    }
    reader->len -= WIRE_HEAD + len;
    memmove(reader->data, reader->data + WIRE_HEAD + len, reader->len);
    return true;
}
