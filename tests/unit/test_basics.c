/* The smallest modules: error, buf, text, env, pipe, digest, clock, stop. */
#include "buf.h"
#include "clock.h"
#include "crc32c.h"
#include "env.h"
#include "error.h"
#include "hash.h"
#include "pipe.h"
#include "stop.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- error ---- */

static void error_carries_errno_and_kind(void **state)
{
    struct error error;

    (void)state;
    errno = EROFS;
    assert_false(error_set_errno(&error, "cannot write \"%s\"", "/x"));
    assert_int_equal(error.kind, ERROR_PERMISSION);
    assert_int_equal(error.sys, EROFS);
    assert_string_equal(error.text, "cannot write \"/x\": Read-only file system");
    errno = ENOENT;
    error_set_errno(&error, "x");
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    errno = ENOSPC;
    error_set_errno(&error, "x");
    assert_int_equal(error.kind, ERROR_LOCAL);
}

static void error_may_be_set_from_its_own_text(void **state)
{
    struct error error;

    (void)state;
    error_set(&error, ERROR_LOCAL, "disk");
    error_set(&error, ERROR_CONFIG, "because of %s", error.text);
    assert_string_equal(error.text, "because of disk");
    error_prefix(&error, "%s, ", error.text);
    assert_string_equal(error.text, "because of disk, because of disk");
    assert_int_equal(error.kind, ERROR_CONFIG);
}

static void error_is_one_line_and_cut(void **state)
{
    struct error error;
    char longer[2 * sizeof error.text];

    (void)state;
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    error_set(&error, ERROR_LOCAL, "one\r\ntwo %s", longer);
    assert_memory_equal(error.text, "one  two aaa", 12);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    error_prefix(&error, "%s", "before ");
    assert_memory_equal(error.text, "before one  two", 15);
}

static void error_exit_codes_are_the_documented_ones(void **state)
{
    static const struct {
        enum error_kind kind;
        int code;
    } table[] = {
        {ERROR_NONE, 0},         {ERROR_PARTIAL, 2},      {ERROR_USAGE, 64},   {ERROR_NO_BUCKET, 69},
        {ERROR_UNREACHABLE, 69}, {ERROR_PROTOCOL, 69},    {ERROR_TIMEOUT, 75}, {ERROR_BUSY, 75},
        {ERROR_PERMISSION, 77},  {ERROR_CREDENTIALS, 77}, {ERROR_CONFIG, 78},
    };
    struct error error;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        error_set(&error, table[i].kind, "x");
        assert_int_equal(error_exit_code(&error), table[i].code);
    }
    error_set(&error, ERROR_INTERRUPTED, "x");
    error.signal = SIGTERM;
    assert_int_equal(error_exit_code(&error), 143);
}

/* ---- buf ---- */

static void buf_grows_to_its_ceiling_and_no_further(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    assert_string_equal(buf_str(&buf), "");
    for (int i = 0; i < 100; i++)
        assert_true(buf_putc(&buf, 'x'));
    assert_false(buf_putc(&buf, 'y'));
    assert_true(buf.failed);
    assert_int_equal(buf.len, 100);
    assert_int_equal(strlen(buf_str(&buf)), 100);
    assert_true(buf.cap <= 101);
    buf_clear(&buf);
    assert_false(buf.failed);
    assert_string_equal(buf_str(&buf), "");
    assert_true(buf_printf(&buf, "%s-%d", "a", 7));
    assert_string_equal(buf_str(&buf), "a-7");
    assert_false(buf_printf(&buf, "%098d", 1));
    assert_string_equal(buf_str(&buf), "a-7");
    assert_true(buf_printf(&buf, "<%s|%s>", "b", ""));
    assert_string_equal(buf_str(&buf), "a-7<b|>");
    buf_clear(&buf);
    assert_true(buf_printf(&buf, "%s%s", "50", "%") && buf_printf(&buf, "%d%%", 8) &&
                buf_printf(&buf, "%s", ""));
    assert_string_equal(buf_str(&buf), "50%8%");
    assert_false(buf_printf(
        &buf, "and %s%s", "much, ", /* a part of it would fit */
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"));
    assert_string_equal(buf_str(&buf), "50%8%");
    assert_true(buf.failed);
    buf_free(&buf);
    buf_free(&buf);
}

static void buf_of_a_secret_leaves_nothing(void **state)
{
    struct buf buf;

    (void)state;
    buf_init_secret(&buf, 1000);
    for (int i = 0; i < 500; i++)
        assert_true(buf_putc(&buf, 's'));
    assert_int_equal(strspn(buf_str(&buf), "s"), 500);
    buf_clear(&buf);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(buf.data[i], 0);
    buf_free(&buf);
    assert_true(buf.secret);
}

static void buf_holds_any_bytes(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    assert_true(buf_append(&buf, "a\0b", 3));
    assert_true(buf_append(&buf, NULL, 0));
    assert_int_equal(buf.len, 3);
    assert_memory_equal(buf.data, "a\0b\0", 4);
    buf_free(&buf);
}

static void buf_gives_room_to_write(void **state)
{
    struct buf buf;
    char *at;

    (void)state;
    buf_init(&buf, 100);
    assert_true(buf_puts(&buf, "ab"));
    at = buf_extend(&buf, 98);
    assert_ptr_equal(at, buf.data + 2);
    memset(at, 'c', 98);
    assert_int_equal(buf.len, 100);
    assert_int_equal(buf.data[100], '\0');
    assert_false(buf.failed);
    assert_null(buf_extend(&buf, 1));
    assert_true(buf.failed);
    assert_int_equal(buf.len, 100);
    buf_free(&buf);
}

/* ---- text, env ---- */

static void text_knows_ascii_only(void **state)
{
    (void)state;
    for (int i = -128; i < 128; i++) {
        char c = (char)i;
        bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';

        assert_int_equal(text_is_digit(c), c >= '0' && c <= '9');
        assert_int_equal(text_is_letter(c), upper || lower);
        assert_int_equal(text_lower(c), upper ? c + 32 : c);
        assert_int_equal(text_upper(c), lower ? c - 32 : c);
        assert_int_equal(text_is_one_of(c, TEXT_SPACE), c == ' ' || (c >= '\t' && c <= '\r'));
    }
}

static void text_is_trimmed_at_both_ends(void **state)
{
    static const struct {
        const char *text, *trimmed;
    } rows[] = {{"", ""},         {" \t\r\n\v\f", ""},    {"a", "a"},
                {" a b ", "a b"}, {"\n\"a\"\v", "\"a\""}, {"\xA0 ", "\xA0"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text_piece piece = text_trim(rows[i].text, strlen(rows[i].text), TEXT_SPACE);

        assert_int_equal(piece.len, strlen(rows[i].trimmed));
        assert_memory_equal(piece.at, rows[i].trimmed, piece.len);
        assert_int_equal(text_is_blank(rows[i].text), piece.len == 0);
    }
    assert_int_equal(text_trim(" a\0", 3, TEXT_SPACE).len, 2);
    assert_int_equal(text_trim("a   ", 2, TEXT_SPACE).len, 1);
}

static void text_begins_or_ends_with_another(void **state)
{
    (void)state;
    assert_true(text_begins("abc", "ab"));
    assert_true(text_begins("abc", ""));
    assert_true(text_begins("abc", "abc"));
    assert_false(text_begins("abc", "abcd"));
    assert_false(text_begins("abc", "Ab"));
    assert_true(text_ends("abc", "bc"));
    assert_true(text_ends("abc", ""));
    assert_true(text_ends("abc", "abc"));
    assert_false(text_ends("abc", "zabc"));
    assert_false(text_ends("abc", "b"));
}

static void env_finds_whole_names(void **state)
{
    static const char *const variables[] = {"AB=1", "A=2", "A=3", "B=", "C", NULL};

    (void)state;
    assert_string_equal(env_find(variables, "A"), "2");
    assert_string_equal(env_find(variables, "AB"), "1");
    assert_string_equal(env_find(variables, "B"), "");
    assert_null(env_find(variables, "C"));
    assert_null(env_find(variables, "D"));
    setenv("STORSYNC_TEST_ENV", "here", 1);
    assert_string_equal(env_text("STORSYNC_TEST_ENV"), "here");
    unsetenv("STORSYNC_TEST_ENV");
    assert_string_equal(env_text("STORSYNC_TEST_ENV"), "");
}

/* ---- pipe ---- */

static void pipe_gives_back_what_went_in(void **state)
{
    struct pipe pipe;
    unsigned char in[7919];
    unsigned char out[6007];
    unsigned char next_in = 0;
    unsigned char next_out = 0;

    (void)state;
    assert_true(pipe_init(&pipe));
    /* Lengths that share no factor with the capacity meet every wrap-around. */
    for (int turn = 0; turn < 3000; turn++) {
        size_t wrote;
        size_t got;

        for (size_t i = 0; i < sizeof in; i++)
            in[i] = (unsigned char)(next_in + i);
        wrote = pipe_write(&pipe, in, sizeof in);
        next_in = (unsigned char)(next_in + wrote);
        got = pipe_read(&pipe, out, sizeof out);
        for (size_t i = 0; i < got; i++)
            assert_int_equal(out[i], next_out++);
        assert_true(pipe.len <= PIPE_CAPACITY);
    }
    pipe.closed = true;
    for (size_t got; (got = pipe_read(&pipe, out, sizeof out)) > 0;) {
        for (size_t i = 0; i < got; i++)
            assert_int_equal(out[i], next_out++);
    }
    assert_int_equal(next_out, next_in);
    assert_int_equal(pipe.len, 0);
    pipe_free(&pipe);
}

static void pipe_is_bounded(void **state)
{
    struct pipe pipe;
    static unsigned char big[PIPE_CAPACITY + 5];

    (void)state;
    assert_true(pipe_init(&pipe));
    assert_int_equal(pipe_write(&pipe, big, sizeof big), PIPE_CAPACITY);
    assert_int_equal(pipe_room(&pipe), 0);
    assert_int_equal(pipe_write(&pipe, big, 1), 0);
    pipe_reset(&pipe);
    assert_int_equal(pipe_room(&pipe), PIPE_CAPACITY);
    pipe_free(&pipe);
}

/* The last byte stays inside until the writer says that all of them were right. */
static void pipe_holds_the_last_byte(void **state)
{
    struct pipe pipe;
    char out[8];

    (void)state;
    assert_true(pipe_init(&pipe));
    pipe.held = true;
    assert_false(pipe_readable(&pipe));
    assert_int_equal(pipe_write(&pipe, "a", 1), 1);
    assert_false(pipe_readable(&pipe));
    assert_int_equal(pipe_read(&pipe, out, sizeof out), 0);
    assert_int_equal(pipe_write(&pipe, "bc", 2), 2);
    assert_true(pipe_readable(&pipe));
    assert_int_equal(pipe_read(&pipe, out, sizeof out), 2);
    assert_memory_equal(out, "ab", 2);
    assert_int_equal(pipe_read(&pipe, out, sizeof out), 0);
    pipe.closed = true;
    assert_true(pipe_readable(&pipe));
    assert_int_equal(pipe_read(&pipe, out, sizeof out), 1);
    assert_int_equal(out[0], 'c');
    assert_int_equal(pipe.len, 0);
    pipe_reset(&pipe);
    assert_false(pipe.held);
    pipe_free(&pipe);
}

static void pipe_knows_what_passed(void **state)
{
    struct pipe pipe;
    struct digest larger;
    unsigned char piece[5000];
    char md5[DIGEST_HEX_SIZE], is[DIGEST_HEX_SIZE];
    unsigned char *all = malloc(20 * sizeof piece);

    (void)state;
    assert_non_null(all);
    assert_true(pipe_init(&pipe));
    for (size_t i = 0; i < 20 * sizeof piece; i++)
        all[i] = (unsigned char)(i * 11 + i / 300);
    digest_begin(&larger);
    digest_add(&larger, "x", 1);
    pipe_hash(&pipe);
    pipe.more = &larger;
    for (size_t at = 0; at < 20; at++) { /* around the ring, three times */
        assert_int_equal(pipe_write(&pipe, all + at * sizeof piece, sizeof piece), sizeof piece);
        assert_int_equal(pipe_read(&pipe, piece, sizeof piece), sizeof piece);
    }
    digest_of(all, 20 * sizeof piece, md5);
    assert_false(pipe_differs(&pipe, md5));
    assert_true(pipe_differs(&pipe, "d41d8cd98f00b204e9800998ecf8427e"));
    digest_hex(&larger, is);
    assert_string_not_equal(is, md5);
    pipe_free(&pipe);
    free(all);
}

static void pipe_compares_with_a_hash(void **state)
{
    struct object_hash md5, sum = {OBJECT_HASH_CRC32C, {0xE3, 0x06, 0x92, 0x83}};
    struct pipe pipe;

    (void)state;
    object_hash_md5(&md5, "25f9e794323b453885f5181f1b624d0b");
    assert_true(pipe_init(&pipe));
    pipe_hash(&pipe);
    pipe_sum(&pipe, 0);
    pipe_write(&pipe, "12345678", 8);
    assert_false(pipe_matches(&pipe, &md5));
    assert_false(pipe_matches(&pipe, &sum));
    pipe_write(&pipe, "9", 1);
    assert_true(pipe_matches(&pipe, &md5));
    assert_true(pipe_matches(&pipe, &sum));
    pipe_reset(&pipe);
    pipe_sum(&pipe, crc32c_add(0, "1234", 4));
    pipe_write(&pipe, "56789", 5);
    assert_true(pipe_matches(&pipe, &sum));
    pipe_free(&pipe);
}

/* RFC 3720, B.4; the last one from the catalogue of parametrised CRC algorithms. */
static void crc32c_of_known_texts(void **state)
{
    uint32_t (*const ways[])(uint32_t, const void *, size_t) = {crc32c_add, crc32c_add_by_table};
    unsigned char bytes[32];

    (void)state;
    for (size_t way = 0; way < 2; way++) {
        assert_int_equal(ways[way](0, "", 0), 0);
        memset(bytes, 0, sizeof bytes);
        assert_int_equal(ways[way](0, bytes, sizeof bytes), 0x8A9136AA);
        memset(bytes, 0xFF, sizeof bytes);
        assert_int_equal(ways[way](0, bytes, sizeof bytes), 0x62A8AB43);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)i;
        assert_int_equal(ways[way](0, bytes, sizeof bytes), 0x46DD794E);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)(31 - i);
        assert_int_equal(ways[way](0, bytes, sizeof bytes), 0x113FDB5C);
        assert_int_equal(ways[way](0, "123456789", 9), 0xE3069283);
        assert_int_equal(ways[way](ways[way](0, "1234", 4), "56789", 5), 0xE3069283);
    }
}

/* Eight bytes at a time or one by one, wherever they begin: the same. */
static void crc32c_of_any_length(void **state)
{
    unsigned char bytes[100];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    for (size_t from = 0; from < 9; from++)
        for (size_t len = 0; len <= sizeof bytes - from; len++)
            assert_int_equal(crc32c_add(7, bytes + from, len), crc32c_add_by_table(7, bytes + from, len));
}

static void hash_spread_is_even_and_depends_on_the_seed(void **state)
{
    int hits = 0, both = 0;
    char key[32];

    (void)state;
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof key, "public/%d", i);
        hits += hash_spread(key, 1) % 100 < 10;
        both += hash_spread(key, 1) % 100 < 10 && hash_spread(key, 2) % 100 < 10;
    }
    assert_in_range(hits, 900, 1100); /* 1,000, and three times the deviation */
    assert_in_range(both, 60, 140);
    assert_int_equal(hash_spread("a", 7), hash_spread("a", 7));
}

/* ---- digest ---- */

/* RFC 1321, A.5; the base64 by openssl. */
static void digest_of_known_texts(void **state)
{
    char hex[DIGEST_HEX_SIZE], other[DIGEST_HEX_SIZE], base64[DIGEST_BASE64_SIZE];
    struct digest digest, copy;

    (void)state;
    digest_of("", 0, hex);
    assert_string_equal(hex, "d41d8cd98f00b204e9800998ecf8427e");
    digest_base64(hex, base64);
    assert_string_equal(base64, "1B2M2Y8AsgTpgAmY7PhCfg==");
    digest_begin(&digest);
    digest_add(&digest, "message ", 8);
    copy = digest;
    digest_add(&digest, "digest", 6);
    digest_hex(&digest, hex);
    assert_string_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0");
    digest_base64("F96B697D7CB7938D525A2F31AAF161D0", base64);
    assert_string_equal(base64, "+WtpfXy3k41SWi8xqvFh0A==");
    digest_hex(&copy, hex);
    assert_string_not_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0");
    assert_true(digest_same("f96B697d7cb7938d525a2f31aaf161d0", "F96b697d7cb7938d525a2f31aaf161D0"));
    assert_true(digest_is_hex("F96b697d7cb7938d525a2f31aaf161D0"));
    assert_false(digest_is_hex("F96b697d7cb7938d525a2f31aaf161D"));
    assert_false(digest_is_hex("F96b697d7cb7938d525a2f31aaf161Dg"));
    digest_begin(&digest);
    digest_add_hex(&digest, "41424344454647484950515253545556");
    digest_hex(&digest, hex);
    digest_of("ABCDEFGHIPQRSTUV", 16, other);
    assert_string_equal(hex, other);
}

/* Wherever a piece ends, and wherever in a block each of the two is. */
static void digest_of_two_at_once(void **state)
{
    static const size_t before[] = {0, 1, 63, 64, 70}, pieces[] = {1, 7, 63, 64, 65, 200};
    unsigned char data[200], more[70];
    char hex[DIGEST_HEX_SIZE], expected[DIGEST_HEX_SIZE];
    struct digest part, whole, alone;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    memset(more, 'm', sizeof more);
    digest_of(data, sizeof data, expected);
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        for (size_t j = 0; j < sizeof pieces / sizeof pieces[0]; j++) {
            digest_begin(&part);
            digest_begin(&whole);
            digest_add(&whole, more, before[i]);
            alone = whole;
            digest_add(&alone, data, sizeof data);
            for (size_t at = 0; at < sizeof data; at += pieces[j])
                digest_add_both(&part, &whole, data + at,
                                sizeof data - at < pieces[j] ? sizeof data - at : pieces[j]);
            digest_hex(&part, hex);
            assert_string_equal(hex, expected);
            digest_hex(&whole, hex);
            digest_hex(&alone, expected);
            assert_string_equal(hex, expected);
            digest_of(data, sizeof data, expected);
        }
}

/* By md5sum. The lengths around that of a block, where the padding takes one more. */
static void every_byte_has_its_digits(void **state)
{
    unsigned char bytes[256], back[DIGEST_SIZE];
    char digits[2 * sizeof bytes + 1], text[DIGEST_HEX_SIZE];

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    hash_hex(bytes, sizeof bytes, digits);
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(text, sizeof text, "%02x", bytes[i]);
        assert_memory_equal(digits + 2 * i, text, 2);
    }
    assert_int_equal(strlen(digits), 2 * sizeof bytes);
    assert_true(hash_is_hex(bytes, sizeof bytes, digits));
    assert_false(hash_is_hex(bytes, sizeof bytes - 1, digits));
    assert_true(hash_is_hex(bytes, 0, ""));
    assert_false(hash_is_hex(bytes, 1, ""));
    assert_false(hash_is_hex(bytes, 1, "0"));
    assert_false(hash_is_hex(bytes + 0xAB, 1, "AB"));
    for (size_t at = 0; at < sizeof bytes; at += DIGEST_SIZE) {
        snprintf(text, sizeof text, "%.*s", DIGEST_HEX_SIZE - 1, digits + 2 * at);
        assert_true(digest_from_hex(text, back));
        assert_memory_equal(back, bytes + at, sizeof back);
        for (char *each = text; *each != '\0'; each++)
            *each = text_upper(*each);
        assert_true(digest_from_hex(text, back));
        assert_memory_equal(back, bytes + at, sizeof back);
    }
    for (int i = 0; i < 256; i++)
        for (size_t place = 0; place < 2; place++) {
            text[place] = (char)i;
            assert_int_equal(digest_is_hex(text), i != 0 && strchr("0123456789abcdefABCDEF", i) != NULL);
            text[place] = '0';
        }
}

static void digest_of_every_padding(void **state)
{
    static const struct {
        size_t len;
        const char *md5;
    } rows[] = {
        {55, "ef1772b6dff9a122358552954ad0df65"},  {56, "3b0c8ac703f828b04c6c197006d17218"},
        {57, "652b906d60af96844ebd21b674f35e93"},  {63, "b06521f39153d618550606be297466d5"},
        {64, "014842d480b571495a4a0363793f7367"},  {65, "c743a45e0d2e6a95cb859adae0248435"},
        {119, "8a7bd0732ed6a28ce75f6dabc90e1613"}, {120, "5f61c0ccad4cac44c75ff505e1f1e537"},
        {128, "e510683b3f5ffe4093d021808bc6ff70"},
    };
    char text[128], hex[DIGEST_HEX_SIZE];

    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        digest_of(text, rows[i].len, hex);
        assert_string_equal(hex, rows[i].md5);
    }
}

static void pipe_is_larger_while_a_body_needs_it(void **state)
{
    static unsigned char big[2 * PIPE_CAPACITY + 1];
    struct pipe pipe;

    (void)state;
    assert_true(pipe_init(&pipe));
    assert_true(pipe_resize(&pipe, 2 * PIPE_CAPACITY));
    assert_int_equal(pipe_write(&pipe, big, sizeof big), 2 * PIPE_CAPACITY);
    assert_int_equal(pipe_read(&pipe, big, sizeof big), 2 * PIPE_CAPACITY);
    pipe_reset(&pipe);
    assert_int_equal(pipe_room(&pipe), 2 * PIPE_CAPACITY);
    assert_true(pipe_resize(&pipe, PIPE_CAPACITY));
    assert_int_equal(pipe_room(&pipe), PIPE_CAPACITY);
    pipe_free(&pipe);
}

/* ---- clock ---- */

static void clock_formats(void **state)
{
    char text[CLOCK_RFC3339_SIZE];
    char basic[CLOCK_BASIC_SIZE];

    (void)state;
    clock_format_rfc3339(INT64_C(1369353600123), text);
    assert_string_equal(text, "2013-05-24T00:00:00.123Z");
    clock_format_basic(INT64_C(1369353600123), basic);
    assert_string_equal(basic, "20130524T000000Z");
    clock_format_rfc3339(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    clock_format_rfc3339(INT64_MAX, text);
    assert_string_equal(text + strlen("1970-01-01T00:00:00."), "807Z");
}

static void clock_parses_what_services_send(void **state)
{
    (void)state;
    assert_int_equal(clock_parse_rfc3339("2013-05-24T00:00:00.000Z"), INT64_C(1369353600000));
    assert_int_equal(clock_parse_rfc3339("2013-05-24T00:00:00Z"), INT64_C(1369353600000));
    assert_int_equal(clock_parse_rfc3339("2013-05-24T02:00:00.123456789+02:00"), INT64_C(1369353600123));
    assert_int_equal(clock_parse_rfc3339("2000-02-29T23:59:60Z"), INT64_C(951868800000));
    assert_int_equal(clock_parse_http("Fri, 24 May 2013 00:00:00 GMT"), INT64_C(1369353600000));
    assert_int_equal(clock_parse_http("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
}

static void clock_refuses_what_is_no_time(void **state)
{
    static const char *const wrong[] = {
        "",
        "2013",
        "2013-05-24",
        "2013-05-24T00:00:00",
        "2013-13-24T00:00:00Z",
        "2013-05-32T00:00:00Z",
        "2013-05-24T24:00:00Z",
        "2013-05-24T00:60:00Z",
        "2013-05-24T00:00:00.Z",
        "2013-05-24T00:00:00Zx",
        "2013-05-24T00:00:00+2:00",
        "-013-05-24T00:00:00Z",
        "2013-05-24 00:00:00Z",
        "2013-05-2/T00:00:00Z",
        "2013-05-2:T00:00:00Z",
        "2013-05-\xB2"
        "4T00:00:00Z",
        "2013-5-24T00:00:00Z",
        "2013-005-24T00:00:00Z",
        "2013-05-24T00:00:61Z",
        "2013-05-24T00:00:00+24:00",
        "2013-05-24T00:00:00+02:60",
        "2013-05-24T00:00:00+02",
    };
    static const char *const wrong_http[] = {
        "",
        "Fri",
        "Fri, 24 May 2013 00:00:00",
        "Friday, 24-May-13 00:00:00 GMT",
        "Fri, 24 Mai 2013 00:00:00 GMT",
        "Fri, 00 May 2013 00:00:00 GMT",
        "Fri, 2 May 2013 00:00:00 GMT",
        "Fri, 24 May 13 00:00:00 GMT",
        "Fri, 24 May  2013 00:00:00 GMT",
        "Fri, 24 May 2013 00:00:00 CET",
        "60",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_true(clock_parse_rfc3339(wrong[i]) == CLOCK_UNKNOWN);
    for (size_t i = 0; i < sizeof wrong_http / sizeof wrong_http[0]; i++)
        assert_true(clock_parse_http(wrong_http[i]) == CLOCK_UNKNOWN);
}

static void clock_round_trips(void **state)
{
    char text[CLOCK_RFC3339_SIZE];

    (void)state;
    for (int64_t day = -200000; day < 400000; day += 37) {
        int64_t wall = day * INT64_C(86400000) + 12345678;

        clock_format_rfc3339(wall, text);
        assert_int_equal(clock_parse_rfc3339(text), wall);
    }
}

/* ---- stop ---- */

static void stop_tells_the_first_signal(void **state)
{
    struct error error;
    struct pollfd woken;

    (void)state;
    stop_reset();
    assert_true(stop_init(&error));
    assert_false(stop_requested(&error));
    assert_int_equal(stop_wait(77), 77);
    stop_signal(SIGTERM);
    stop_signal(SIGINT);
    woken = (struct pollfd){.fd = stop_fd(), .events = POLLIN};
    assert_int_equal(poll(&woken, 1, 0), 1);
    assert_true(stop_requested(&error));
    assert_int_equal(error.kind, ERROR_INTERRUPTED);
    assert_int_equal(error.signal, SIGTERM);
    assert_int_equal(stop_wait(77), 0);
    stop_close();
    stop_signal(SIGTERM);
    assert_int_equal(stop_fd(), -1);
    stop_reset();
}

static void stop_keeps_the_deadline(void **state)
{
    struct error error;

    (void)state;
    stop_reset();
    stop_at(clock_mono() + 100000);
    assert_false(stop_requested(&error));
    assert_int_equal(stop_wait(50), 50);
    assert_true(stop_wait(200000) <= 100000);
    stop_at(clock_mono() - 1);
    assert_int_equal(stop_wait(50), 0);
    assert_true(stop_requested(&error));
    assert_int_equal(error.kind, ERROR_TIMEOUT);
    stop_reset();
    assert_false(stop_requested(&error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_carries_errno_and_kind),
        cmocka_unit_test(error_may_be_set_from_its_own_text),
        cmocka_unit_test(error_is_one_line_and_cut),
        cmocka_unit_test(error_exit_codes_are_the_documented_ones),
        cmocka_unit_test(buf_grows_to_its_ceiling_and_no_further),
        cmocka_unit_test(buf_of_a_secret_leaves_nothing),
        cmocka_unit_test(buf_holds_any_bytes),
        cmocka_unit_test(buf_gives_room_to_write),
        cmocka_unit_test(text_knows_ascii_only),
        cmocka_unit_test(text_is_trimmed_at_both_ends),
        cmocka_unit_test(text_begins_or_ends_with_another),
        cmocka_unit_test(env_finds_whole_names),
        cmocka_unit_test(pipe_gives_back_what_went_in),
        cmocka_unit_test(pipe_is_bounded),
        cmocka_unit_test(pipe_holds_the_last_byte),
        cmocka_unit_test(pipe_knows_what_passed),
        cmocka_unit_test(pipe_compares_with_a_hash),
        cmocka_unit_test(digest_of_known_texts),
        cmocka_unit_test(crc32c_of_known_texts),
        cmocka_unit_test(crc32c_of_any_length),
        cmocka_unit_test(hash_spread_is_even_and_depends_on_the_seed),
        cmocka_unit_test(digest_of_two_at_once),
        cmocka_unit_test(digest_of_every_padding),
        cmocka_unit_test(every_byte_has_its_digits),
        cmocka_unit_test(pipe_is_larger_while_a_body_needs_it),
        cmocka_unit_test(clock_formats),
        cmocka_unit_test(clock_parses_what_services_send),
        cmocka_unit_test(clock_refuses_what_is_no_time),
        cmocka_unit_test(clock_round_trips),
        cmocka_unit_test(stop_tells_the_first_signal),
        cmocka_unit_test(stop_keeps_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
