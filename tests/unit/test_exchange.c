/* exchange, with a made-up service that has versions, hashes and answers of its own kind; with S3's the test_s3_* and
 * test_store_s3 have it. */
#include "s3_hand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MD5_OF_ABC "900150983cd24fb0d6963f7d28e17f72"
#define MD5_OF_NOTHING "d41d8cd98f00b204e9800998ecf8427e"

/* ---- the service: "generation" is a version, "hash" an MD5, and any text is the reason of a refusal ---- */

struct toy {
    struct exchange base;
    char generation[20];
    char hash[DIGEST_HEX_SIZE];
    char text[100];
};

static int settled, released;

static bool toy_ready(struct exchange *x)
{
    (void)x;
    return true;
}

static bool toy_prepare(struct exchange *x, struct error *error)
{
    struct toy *toy = (struct toy *)x;
    const char *name, *value;
    size_t at = 0;

    (void)error;
    toy->generation[0] = toy->hash[0] = toy->text[0] = '\0';
    buf_printf(&x->request.url, "http://toy/%s", x->key);
    while (object_meta_next(&x->fields, &at, &name, &value))
        buf_printf(&x->request.headers, "%s: %s\n", name, value);
    return true;
}

static bool toy_header(struct exchange *x, const char *name, const char *value)
{
    struct toy *toy = (struct toy *)x;

    if (strcmp(name, "generation") == 0)
        snprintf(toy->generation, sizeof toy->generation, "%s", value);
    else if (strcmp(name, "hash") == 0)
        snprintf(toy->hash, sizeof toy->hash, "%s", value);
    else
        return false;
    return true;
}

static void toy_text(struct exchange *x, const char *data, size_t len)
{
    struct toy *toy = (struct toy *)x;
    size_t used = strlen(toy->text);

    snprintf(toy->text + used, sizeof toy->text - used, "%.*s", (int)len, data);
    x->refused = strcmp(toy->text, "nothing done") == 0;
}

static bool toy_check_version(struct exchange *x, struct error *error)
{
    return x->wanted[0] == '\0' || strcmp(((struct toy *)x)->generation, x->wanted) == 0 ||
           error_set(error, ERROR_PRECONDITION, "another generation");
}

static const char *toy_md5(const struct exchange *x)
{
    const struct toy *toy = (const struct toy *)x;

    return toy->hash[0] != '\0' ? toy->hash : NULL;
}

static const struct exchange_operation toy_second = {.method = "POST", .doing = "doing more with"};

static enum http_verdict toy_judge(struct exchange *x)
{
    const struct toy *toy = (const struct toy *)x;

    if (!exchange_is_success(x)) {
        error_set(&x->request.error, ERROR_UNREACHABLE, "%s", toy->text);
        return exchange_retry(x, HTTP_RETRY);
    }
    if (x->operation->answer != EXCHANGE_TEXT)
        return exchange_finish_object(x);
    if (strcmp(toy->text, "and now the second") == 0)
        exchange_go_on(x, &toy_second);
    else if (!exchange_check_stored(x, &x->request.error))
        return exchange_retry(x, HTTP_RETRY);
    return HTTP_DONE;
}

static void toy_settle(struct exchange *x)
{
    (void)x;
    settled++;
}

static void toy_release(struct exchange *x)
{
    (void)x;
    released++;
}

static const struct exchange_service toy_service = {
    .md5_name = "hash",
    .ready = toy_ready,
    .prepare = toy_prepare,
    .header = toy_header,
    .text = toy_text,
    .check_version = toy_check_version,
    .md5 = toy_md5,
    .judge = toy_judge,
    .settle = toy_settle,
    .release = toy_release,
};

static const struct store_ops toy_ops = {
    .step = exchange_step, .cancel = exchange_cancel, .release = exchange_release};

static const struct store toy_store = {.ops = &toy_ops, .name = "shelf"};

static const struct exchange_operation toy_get = {
    .method = "GET", .doing = "getting", .answer = EXCHANGE_OBJECT};
static const struct exchange_operation toy_head = {
    .method = "HEAD", .doing = "looking at", .answer = EXCHANGE_HEAD};
static const struct exchange_operation toy_put = {.method = "PUT", .doing = "putting"};

/* ---- the scene ---- */

static void scene_begin(struct hand *hand)
{
    *hand = (struct hand){.loop = loop_make(), .used = &hand->call};
    settled = released = 0;
    call_init(&hand->call);
    hand->call.ops = &toy_ops;
    hand->call.store = &toy_store;
    assert_true(pipe_init(&hand->pipe));
}

static void scene_end(struct hand *hand)
{
    call_free(&hand->call);
    pipe_free(&hand->pipe);
    loop_free(hand->loop);
    assert_int_equal(settled, released);
}

static struct exchange *begin(struct hand *hand, const struct exchange_operation *operation)
{
    static const struct side side = {.ca_file = ""};
    static const struct exchange_peer peer = {&side, "toy.example", "shelf"};
    struct exchange *x;

    if (hand->call.impl != NULL)
        exchange_release(&hand->call);
    pipe_reset(&hand->pipe);
    hand->call.done = false;
    hand->call.head_known = false;
    hand->call.loop = hand->loop;
    x = exchange_new(&hand->call, sizeof(struct toy), &toy_service, operation, &peer);
    assert_non_null(x);
    assert_true(exchange_set_key(x, "k"));
    return x;
}

static void submit(struct hand *hand, struct exchange *x)
{
    exchange_submit(x);
    assert_true(hand_attempt(hand));
}

/* ---- what is received ---- */

static void the_last_byte_waits_for_the_end(void **state)
{
    struct hand hand;
    struct exchange *x;
    char got[8] = "";

    (void)state;
    scene_begin(&hand);
    x = begin(&hand, &toy_get);
    exchange_receive(x, &hand.pipe, 2, 3);
    submit(&hand, x);
    assert_string_equal(hand_url(&hand), "http://toy/k");
    assert_string_equal(hand_header(&hand, "range"), "bytes=2-4");
    hand_answer_head(&hand, 206, "content-range: bytes 2-4/9\ncontent-length: 3\ncontent-type: a/b\n");
    assert_true(hand_answer_body(&hand, "cde", 3));
    assert_true(hand.call.head_known);
    assert_int_equal(hand.call.info.size, 9);
    assert_string_equal(object_meta_get(&hand.call.meta, "content-type"), "a/b");
    assert_int_equal(pipe_read(&hand.pipe, got, sizeof got), 2);
    assert_int_equal(hand_answer_end(&hand), HTTP_DONE);
    assert_int_equal(pipe_read(&hand.pipe, got + 2, sizeof got - 2), 1);
    assert_string_equal(got, "cde");
    assert_true(hand.pipe.closed);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    scene_end(&hand);
}

static void what_is_not_the_object(void **state)
{
    static const struct {
        int status;
        const char *headers, *body;
        enum error_kind kind;
        bool again;
        const char *text;
    } rows[] = {
        {204, "", NULL, ERROR_PROTOCOL, false, "HTTP 204 came where an object was asked for"},
        {206, "content-range: bytes 0-2/9\n", "abc", ERROR_PROTOCOL, false, "another range came"},
        {200, "generation: 8\n", "abc", ERROR_PRECONDITION, false, "another generation"},
        {200, "generation: 7\ncontent-length: 4\n", "abc", ERROR_PROTOCOL, false,
         "the answer has 4 bytes where this version has 3: something between here and toy.example"},
        {200, "generation: 7\n", "abcd", ERROR_PROTOCOL, false, "longer than the 3 bytes"},
        {200, "generation: 7\n", "ab", ERROR_PROTOCOL, true, "the body ended after 2 of 3 bytes"},
        {200, "generation: 7\nhash: " MD5_OF_NOTHING "\n", "abc", ERROR_PROTOCOL, true,
         "its MD5 is not the hash " MD5_OF_NOTHING},
        {503, "", "not today", ERROR_UNREACHABLE, false, "shelf: getting \"k\": not today"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct hand hand;
        struct exchange *x;

        scene_begin(&hand);
        x = begin(&hand, &toy_get);
        snprintf(x->wanted, sizeof x->wanted, "7");
        hand.pipe.size = 3;
        exchange_receive(x, &hand.pipe, 0, UINT64_MAX);
        pipe_hash(&hand.pipe);
        submit(&hand, x);
        assert_null(hand_header(&hand, "range"));
        hand_answer(&hand, rows[i].status, rows[i].headers, rows[i].body);
        hand_done(&hand);
        if (hand.call.error.kind != rows[i].kind || hand.call.again != rows[i].again ||
            strstr(hand.call.error.text, rows[i].text) == NULL)
            fail_msg("row %zu: kind %d, again %d, %s", i, hand.call.error.kind, hand.call.again,
                     hand.call.error.text);
        assert_false(hand.pipe.closed);
        scene_end(&hand);
    }
}

/* Of an object that has no MD5. */
static void a_body_with_another_sum(void **state)
{
    /* crc32c("abc") */
    static const struct object_hash sums[] = {{OBJECT_HASH_CRC32C, {0x36, 0x4B, 0x3F, 0xB7}},
                                              {OBJECT_HASH_CRC32C, {0x36, 0x4B, 0x3F, 0xB8}}};

    (void)state;
    for (size_t i = 0; i < COUNT(sums); i++) {
        struct hand hand;
        struct exchange *x;

        scene_begin(&hand);
        x = begin(&hand, &toy_get);
        exchange_receive(x, &hand.pipe, 0, UINT64_MAX);
        pipe_sum(&hand.pipe, 0);
        hand.pipe.must = &sums[i];
        submit(&hand, x);
        hand_answer(&hand, 200, "generation: 7\ncontent-length: 3\n", "abc");
        hand_done(&hand);
        assert_int_equal(hand.pipe.closed, i == 0);
        assert_int_equal(hand.call.again, i == 1);
        if (i == 1)
            assert_non_null(strstr(hand.call.error.text, "its CRC32C is not the object's"));
        scene_end(&hand);
    }
}

static void a_look_needs_no_body(void **state)
{
    struct hand hand;

    (void)state;
    scene_begin(&hand);
    submit(&hand, begin(&hand, &toy_head));
    assert_int_equal(hand_answer(&hand, 200, "content-length: 12\n", NULL), HTTP_DONE);
    hand_done(&hand);
    assert_true(hand.call.head_known);
    assert_int_equal(hand.call.info.size, 12);
    scene_end(&hand);
}

static void a_useless_body_is_given_up(void **state)
{
    static const char data[16384];
    struct hand hand;
    struct exchange *x;

    (void)state;
    scene_begin(&hand);
    x = begin(&hand, &toy_get);
    snprintf(x->wanted, sizeof x->wanted, "7");
    exchange_receive(x, &hand.pipe, 0, UINT64_MAX);
    submit(&hand, x);
    hand_answer_head(&hand, 200, "generation: 8\n");
    for (size_t sent = 0; sent < 1024 * 1024 + 2 * sizeof data; sent += sizeof data) {
        assert_false(store_step(&hand.call));
        assert_true(hand_answer_body(&hand, data, sizeof data));
    }
    assert_true(store_step(&hand.call));
    assert_true(x->request.done);
    assert_true(store_step(&hand.call));
    assert_string_equal(hand.call.error.text, "shelf: getting \"k\": another generation");
    scene_end(&hand);
}

/* ---- what is sent, and how often ---- */

static void what_was_stored_is_compared(void **state)
{
    static const struct {
        const char *told, *known;
        bool hashed, same;
    } rows[] = {
        {"", MD5_OF_ABC, false, true},
        {"hash: " MD5_OF_ABC "\n", MD5_OF_ABC, false, true},
        {"hash: " MD5_OF_ABC "\n", "", true, true},
        {"hash: " MD5_OF_NOTHING "\n", "", false, true},
        {"hash: " MD5_OF_NOTHING "\n", "", true, false},
        {"hash: " MD5_OF_NOTHING "\n", MD5_OF_ABC, false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct hand hand;
        struct exchange *x;

        scene_begin(&hand);
        x = begin(&hand, &toy_put);
        if (rows[i].hashed)
            pipe_hash(&hand.pipe);
        snprintf(hand.pipe.md5, sizeof hand.pipe.md5, "%s", rows[i].known);
        pipe_write(&hand.pipe, "abc", 3);
        hand.pipe.closed = true;
        exchange_send(x, &hand.pipe, 3);
        submit(&hand, x);
        assert_int_equal(x->request.upload_size, 3);
        hand_take_body(&hand, NULL);
        hand_answer(&hand, 200, rows[i].told, NULL);
        hand_done(&hand);
        if ((hand.call.error.kind == ERROR_NONE) != rows[i].same || hand.call.again == rows[i].same)
            fail_msg("row %zu: %s", i, hand.call.error.text);
        scene_end(&hand);
    }
}

static void who_may_try_again(void **state)
{
    static const struct {
        bool once;  /* not to be repeated if it may have had an effect */
        bool sent;  /* the whole payload */
        int status; /* 0: the connection broke */
        const char *text;
        enum http_verdict verdict;
        bool may_have_done;
    } rows[] = {
        {false, true, 503, "busy", HTTP_RETRY, true},         {false, true, 0, NULL, HTTP_RETRY, true},
        {true, true, 503, "busy", HTTP_DONE, true},           {true, true, 0, NULL, HTTP_DONE, true},
        {true, true, 503, "nothing done", HTTP_RETRY, false}, {true, true, 429, "busy", HTTP_RETRY, false},
        {true, false, 503, "busy", HTTP_RETRY, false},        {true, false, 0, NULL, HTTP_RETRY, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct hand hand;
        struct exchange *x;
        enum http_verdict verdict;

        scene_begin(&hand);
        x = begin(&hand, &toy_put);
        x->once = rows[i].once;
        buf_puts(&x->payload, "abc");
        submit(&hand, x);
        if (rows[i].sent)
            hand_take_body(&hand, NULL);
        verdict =
            rows[i].status == 0 ? hand_break(&hand) : hand_answer(&hand, rows[i].status, "", rows[i].text);
        if (verdict != rows[i].verdict || x->may_have_done != rows[i].may_have_done)
            fail_msg("row %zu: verdict %d, may have done %d", i, verdict, x->may_have_done);
        hand_done(&hand);
        scene_end(&hand);
    }
}

static void each_attempt_sends_all_of_it(void **state)
{
    struct hand hand;
    struct exchange *x;
    struct buf body;

    (void)state;
    scene_begin(&hand);
    buf_init(&body, 100);
    x = begin(&hand, &toy_put);
    exchange_field(x, "colour", "blue");
    exchange_field(x, "shape", "a\nb");
    assert_true(x->bad_field);
    buf_puts(&x->payload, "abc");
    submit(&hand, x);
    hand_take_body(&hand, &body);
    assert_int_equal(hand_answer(&hand, 503, "", "busy"), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "colour"), "blue");
    assert_null(hand_header(&hand, "shape"));
    hand_take_body(&hand, &body);
    assert_string_equal(buf_str(&body), "abcabc");
    assert_int_equal(hand_answer(&hand, 200, "", NULL), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    buf_free(&body);
    scene_end(&hand);
}

/* ---- its life ---- */

static void two_requests_are_one_call(void **state)
{
    struct hand hand;
    struct exchange *x;

    (void)state;
    scene_begin(&hand);
    x = begin(&hand, &toy_put);
    exchange_field(x, "colour", "blue");
    buf_puts(&x->payload, "abc");
    submit(&hand, x);
    assert_int_equal(hand_answer(&hand, 200, "", "and now the second"), HTTP_DONE);
    hand_done(&hand);
    assert_false(hand.call.done);
    assert_int_equal(settled, 0);
    assert_true(hand_attempt(&hand));
    assert_string_equal(x->request.method, "POST");
    assert_null(hand_header(&hand, "colour"));
    assert_int_equal(x->request.upload_size, 0);
    assert_int_equal(hand_answer(&hand, 503, "", "no"), HTTP_RETRY);
    hand_done(&hand);
    assert_true(hand.call.done);
    assert_string_equal(hand.call.error.text, "shelf: doing more with \"k\": no");
    scene_end(&hand);
}

static void what_cannot_begin_is_over(void **state)
{
    char key[OBJECT_KEY_MAX + 2];
    struct error error;
    struct hand hand;
    struct exchange *x;

    (void)state;
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    scene_begin(&hand);
    x = begin(&hand, &toy_put);
    assert_false(exchange_set_key(x, key));
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_UNSUPPORTED);
    x = begin(&hand, &toy_put);
    error_set(&error, ERROR_CONFIG, "no such shape");
    exchange_refuse(x, &error);
    assert_true(hand.call.done);
    assert_string_equal(hand.call.error.text, "shelf: putting \"k\": no such shape");
    x = begin(&hand, &toy_put);
    submit(&hand, x);
    error_set(&error, ERROR_INTERRUPTED, "stop");
    call_cancel(&hand.call, &error);
    assert_true(hand.call.done);
    assert_string_equal(hand.call.error.text, "stop");
    assert_int_equal(settled, 3);
    scene_end(&hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_byte_waits_for_the_end),
        cmocka_unit_test(what_is_not_the_object),
        cmocka_unit_test(a_body_with_another_sum),
        cmocka_unit_test(a_look_needs_no_body),
        cmocka_unit_test(a_useless_body_is_given_up),
        cmocka_unit_test(what_was_stored_is_compared),
        cmocka_unit_test(who_may_try_again),
        cmocka_unit_test(each_attempt_sends_all_of_it),
        cmocka_unit_test(two_requests_are_one_call),
        cmocka_unit_test(what_cannot_begin_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
