/* wire: what is written is read; nothing else is. */
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <limits.h>
#include <string.h>

static struct wire_reader reader;
static struct wire_message message;

static int set_up(void **state)
{
    (void)state;
    memset(&reader, 0, sizeof reader);
    memset(&message, 0, sizeof message);
    return 0;
}

/* As much of it as fits. */
static void feed(const void *data, size_t len)
{
    size_t room;
    unsigned char *at = wire_room(&reader, &room);

    assert_true(room >= len);
    memcpy(at, data, len);
    wire_filled(&reader, len);
}

static const struct wire_message policy = {
    .type = WIRE_POLICY,
    .policy = {.start = true,
               .forgive = false,
               .limit = 300000,
               .log_format = 1,
               .log_level = 3,
               .log_utf8 = true,
               .notify = 10000},
};

static void test_messages_survive(void **state)
{
    static const struct wire_message progress = {.type = WIRE_PROGRESS,
                                                 .progress = {1, 2, 3, UINT64_MAX, 4, UINT64_C(1) << 40}};
    static const struct wire_message end = {.type = WIRE_END, .end = {.kind = 15, .code = 143}};
    unsigned char bytes[3 * WIRE_MAX];
    size_t len = 0;

    (void)state;
    len += wire_encode(&policy, bytes);
    len += wire_encode(&progress, bytes + len);
    len += wire_encode(&end, bytes + len);
    feed(bytes, len);
    assert_true(wire_next(&reader, &message));
    assert_int_equal(message.type, WIRE_POLICY);
    assert_true(message.policy.start && !message.policy.forgive && message.policy.log_utf8);
    assert_int_equal(message.policy.limit, 300000);
    assert_int_equal(message.policy.notify, 10000);
    assert_int_equal(message.policy.log_format, 1);
    assert_int_equal(message.policy.log_level, 3);
    assert_true(wire_next(&reader, &message));
    assert_int_equal(message.type, WIRE_PROGRESS);
    assert_memory_equal(&message.progress, &progress.progress, sizeof progress.progress);
    assert_true(wire_next(&reader, &message));
    assert_int_equal(message.type, WIRE_END);
    assert_int_equal(message.end.kind, 15);
    assert_int_equal(message.end.code, 143);
    assert_false(wire_next(&reader, &message));
    assert_false(reader.broken);
}

/* A pipe may hand over any part of what was written. */
static void test_byte_by_byte(void **state)
{
    unsigned char bytes[WIRE_MAX];
    size_t len = wire_encode(&policy, bytes);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        assert_false(wire_next(&reader, &message));
        feed(bytes + i, 1);
    }
    assert_true(wire_next(&reader, &message));
    assert_int_equal(message.policy.limit, 300000);
}

static void test_schedules(void **state)
{
    static const struct wire_message given = {
        .type = WIRE_SCHEDULE,
        .schedule = {.task = WIRE_VALIDATE, .delay = 90000, .cron = "0 3 * * *", .zone = "CET-1CEST"},
    };
    static const struct wire_message none = {.type = WIRE_SCHEDULE};
    unsigned char bytes[WIRE_MAX];

    (void)state;
    feed(bytes, wire_encode(&given, bytes));
    assert_true(wire_next(&reader, &message));
    assert_int_equal(message.schedule.task, WIRE_VALIDATE);
    assert_int_equal(message.schedule.delay, 90000);
    assert_string_equal(message.schedule.cron, "0 3 * * *");
    assert_string_equal(message.schedule.zone, "CET-1CEST");
    feed(bytes, wire_encode(&none, bytes));
    assert_true(wire_next(&reader, &message));
    assert_string_equal(message.schedule.cron, "");
    assert_string_equal(message.schedule.zone, "");
}

/* A task that there is not, a delay of years, texts that are too long or not ended. */
static void test_schedules_refused(void **state)
{
    static const struct {
        size_t at;
        unsigned char value;
        unsigned len;
    } faults[] = {{0, WIRE_TASKS, 11}, {8, 1, 11}, {0, 0, 9}, {9, 'x', 10}, {10, 0, 12}};

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        unsigned char body[WIRE_BODY_MAX] = {0}, head[WIRE_HEAD] = {'S', WIRE_VERSION, WIRE_SCHEDULE};

        memset(&reader, 0, sizeof reader);
        memset(body + 9, 'x', sizeof body - 9);
        body[9] = '\0';
        body[faults[i].at] = faults[i].value;
        head[4] = (unsigned char)faults[i].len;
        feed(head, sizeof head);
        feed(body, faults[i].len);
        if (wire_next(&reader, &message) || !reader.broken)
            fail_msg("fault %zu is not seen", i);
    }
    for (size_t text = 0; text < 2; text++) {
        unsigned char body[WIRE_BODY_MAX] = {0}, head[WIRE_HEAD] = {'S', WIRE_VERSION, WIRE_SCHEDULE};
        unsigned len = text == 0 ? 9 + CRON_TEXT_MAX + 2 : 9 + 1 + ZONE_TEXT_MAX + 1;

        memset(&reader, 0, sizeof reader);
        memset(body + (text == 0 ? 9 : 10), 'x', len - (text == 0 ? 10 : 10));
        head[4] = (unsigned char)len;
        feed(head, sizeof head);
        feed(body, len);
        assert_false(wire_next(&reader, &message));
        assert_true(reader.broken);
    }
}

/* ---- the admin endpoint ---- */

static void test_admin(void **state)
{
    struct wire_message given = {.type = WIRE_ADMIN, .admin = {.listen = "127.0.0.1:9187", .token = "abc"}};
    unsigned char bytes[WIRE_MAX];

    (void)state;
    feed(bytes, wire_encode(&given, bytes));
    assert_true(wire_next(&reader, &message));
    assert_string_equal(message.admin.listen, "127.0.0.1:9187");
    assert_string_equal(message.admin.token, "abc");
    assert_string_equal(message.admin.hosts, "");
    memset(given.admin.listen, 'l', sizeof given.admin.listen - 1);
    memset(given.admin.hosts, 'h', sizeof given.admin.hosts - 1);
    memset(given.admin.token, 't', sizeof given.admin.token - 1);
    feed(bytes, wire_encode(&given, bytes));
    assert_true(wire_next(&reader, &message));
    assert_memory_equal(&message.admin, &given.admin, sizeof given.admin);
}

/* Texts that are missing, or have one byte more than there is room for. */
static void test_admin_refused(void **state)
{
    static const size_t lengths[][3] = {{HASH_SIZE, 0, 0},
                                        {0, ADDRESS_TEXT_MAX + 1, 0},
                                        {0, 0, WIRE_HOSTS_MAX + 1},
                                        {SIZE_MAX, 0, 0},
                                        {3, SIZE_MAX, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        unsigned char body[WIRE_BODY_MAX], head[WIRE_HEAD] = {'S', WIRE_VERSION, WIRE_ADMIN};
        size_t len = 0;

        memset(&reader, 0, sizeof reader);
        memset(body, 'x', sizeof body);
        for (size_t text = 0; text < 3 && lengths[i][text] != SIZE_MAX; text++) {
            len += lengths[i][text];
            if (text < 2)
                body[len++] = '\0';
        }
        if (lengths[i][1] == SIZE_MAX)
            len--;
        head[4] = (unsigned char)(len & 0xFF);
        head[5] = (unsigned char)(len >> 8);
        feed(head, sizeof head);
        feed(body, len);
        if (wire_next(&reader, &message) || !reader.broken)
            fail_msg("fault %zu is not seen", i);
    }
}

/* ---- names ---- */

static char names[2000];

static void take_names(void *ctx, const struct wire_message *told)
{
    unsigned char bytes[WIRE_MAX];

    (void)ctx;
    feed(bytes, wire_encode(told, bytes));
    assert_true(wire_next(&reader, &message));
    assert_int_equal(message.type, WIRE_NAMES);
    strncat(names, message.names.text, message.names.len);
}

static void test_names_of_any_length(void **state)
{
    static const size_t lengths[] = {0, 1, WIRE_BODY_MAX - 1, WIRE_BODY_MAX, WIRE_BODY_MAX + 1, 1500};
    const struct wire wire = {.take = take_names};
    char given[2000];

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        names[0] = '\0';
        for (size_t at = 0; at < lengths[i]; at++)
            given[at] = (char)('A' + at % 26);
        given[lengths[i]] = '\0';
        wire_tell_names(&wire, given);
        assert_string_equal(names, given);
    }
    wire_tell_names(NULL, "nobody listens");
}

/* ---- what is not believed ---- */

/* One byte of a good message changed breaks the reader, and it stays broken. */
static void refuse(size_t at, unsigned char value)
{
    unsigned char bytes[WIRE_MAX];
    size_t len = wire_encode(&policy, bytes);

    set_up(NULL);
    bytes[at] = value;
    feed(bytes, len);
    assert_false(wire_next(&reader, &message));
    assert_true(reader.broken);
    wire_encode(&policy, bytes);
    feed(bytes, len);
    assert_false(wire_next(&reader, &message));
}

static void test_what_does_not_fit_breaks_it(void **state)
{
    (void)state;
    refuse(0, 'T');              /* another program */
    refuse(1, WIRE_VERSION + 1); /* another version */
    refuse(2, 0);                /* types that are none */
    refuse(2, WIRE_ADMIN + 1);
    refuse(2, WIRE_ADMIN); /* a NUL too many */
    refuse(2, WIRE_END);   /* of another length */
    refuse(2, WIRE_PROGRESS);
    refuse(2, WIRE_NAMES); /* a NUL in it */
    refuse(3, 1);
    refuse(4, 12);                /* too short */
    refuse(5, 2);                 /* longer than any */
    refuse(WIRE_HEAD, 2);         /* neither yes nor no */
    refuse(WIRE_HEAD + 1, 3);     /* the same */
    refuse(WIRE_HEAD + 4, 2);     /* the same */
    refuse(WIRE_HEAD + 12, 0x80); /* a limit beyond all bounds */
}

static void test_empty_names_are_none(void **state)
{
    static const unsigned char empty[WIRE_HEAD] = {'S', WIRE_VERSION, WIRE_NAMES, 0, 0, 0};

    (void)state;
    feed(empty, sizeof empty);
    assert_false(wire_next(&reader, &message));
    assert_true(reader.broken);
}

/* There is always room for the rest of a message. */
static void test_largest_message_fits(void **state)
{
    struct wire_message largest = {.type = WIRE_NAMES, .names = {.len = WIRE_BODY_MAX}};
    unsigned char bytes[WIRE_MAX];
    size_t room;

    (void)state;
    memset(largest.names.text, 'x', WIRE_BODY_MAX);
    assert_int_equal(wire_encode(&largest, bytes), WIRE_MAX);
    assert_true(WIRE_MAX <= _POSIX_PIPE_BUF);
    feed(bytes, WIRE_MAX - 1);
    assert_false(wire_next(&reader, &message));
    wire_room(&reader, &room);
    assert_int_equal(room, 1);
    feed(bytes + WIRE_MAX - 1, 1);
    assert_true(wire_next(&reader, &message));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_messages_survive, set_up),
        cmocka_unit_test_setup(test_byte_by_byte, set_up),
        cmocka_unit_test_setup(test_schedules, set_up),
        cmocka_unit_test_setup(test_schedules_refused, set_up),
        cmocka_unit_test_setup(test_admin, set_up),
        cmocka_unit_test_setup(test_admin_refused, set_up),
        cmocka_unit_test_setup(test_names_of_any_length, set_up),
        cmocka_unit_test_setup(test_what_does_not_fit_breaks_it, set_up),
        cmocka_unit_test_setup(test_empty_names_are_none, set_up),
        cmocka_unit_test_setup(test_largest_message_fits, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
