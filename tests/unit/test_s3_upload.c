/* store_s3: uploads in parts. */
#include "s3_hand.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define ERROR_BODY(code) XML "<Error><Code>" code "</Code></Error>"
#define BEGUN(id)                                                                                            \
    XML "<InitiateMultipartUploadResult><UploadId>" id "</UploadId></InitiateMultipartUploadResult>"
#define FINISHED XML "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>"

#define LATER "last-modified: Sun, 06 Nov 1994 08:49:36 GMT\n" /* Amazon's is that of the beginning */
#define EARLIER "last-modified: Sun, 06 Nov 1994 08:49:35 GMT\n"
#define DATE "date: Sun, 06 Nov 1994 08:49:37 GMT\n"

static struct upload *begin(struct hand *hand, const char *answer, const char *tagging)
{
    struct object_meta meta;

    object_meta_init(&meta);
    assert_true(object_meta_add(&meta, "content-type", "a/b"));
    if (tagging != NULL)
        assert_true(object_meta_add(&meta, "tagging", tagging));
    store_upload_begin(
        hand->store, &hand->call,
        &(struct store_target){.key = "k", .size = 12, .modified = CLOCK_UNKNOWN, .meta = &meta});
    object_meta_free(&meta); /* only needed to start with */
    assert_true(hand_attempt(hand));
    assert_string_equal(hand_request(hand)->method, "POST");
    assert_string_equal(hand_url(hand), "http://h/b/k?uploads=");
    assert_string_equal(hand_header(hand, "content-type"), "a/b");
    assert_int_equal(hand_answer(hand, 200, DATE, answer), HTTP_DONE);
    hand_done(hand);
    assert_int_equal(hand->call.error.kind, ERROR_NONE);
    return hand->call.upload;
}

static void put_part(struct hand *hand, struct upload *upload, int number, const char *etag)
{
    char header[100];

    pipe_reset(&hand->pipe);
    pipe_write(&hand->pipe, "123456", 6);
    store_upload_part(upload, &hand->call, &(struct store_part){number, (uint64_t)(number - 1) * 6, 6},
                      &hand->pipe);
    assert_true(hand_attempt(hand));
    assert_int_equal(hand_request(hand)->upload_size, 6);
    hand_take_body(hand, NULL);
    snprintf(header, sizeof header, "etag: \"%s\"\n", etag);
    assert_int_equal(hand_answer(hand, 200, header, NULL), HTTP_DONE);
    hand_done(hand);
    assert_int_equal(hand->call.error.kind, ERROR_NONE);
}

/* An upload with both its parts, at the point where it can be finished. */
static struct upload *begin_with_parts(struct hand *hand, const char *answer, const char *tagging)
{
    struct upload *upload = begin(hand, answer, tagging);

    put_part(hand, upload, 2, "two"); /* in any order */
    put_part(hand, upload, 1, "o<n&e");
    return upload;
}

static void abandon(struct hand *hand, struct upload *upload)
{
    store_upload_abort(upload, &hand->call);
    assert_true(hand_attempt(hand));
    assert_int_equal(hand_answer(hand, 204, "", NULL), HTTP_DONE);
    hand_done(hand);
    assert_int_equal(hand->call.error.kind, ERROR_NONE);
}

static void test_upload(void **state)
{
    struct upload *upload;
    struct hand hand;
    struct buf body;

    (void)state;
    buf_init(&body, 4096);
    hand_begin(&hand, "http://h", "b");
    upload = begin_with_parts(&hand, BEGUN("id/+ 1"), "a=b");
    assert_string_equal(hand_url(&hand), "http://h/b/k?partNumber=1&uploadId=id%2F%2B%201");
    store_upload_finish(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "http://h/b/k?uploadId=id%2F%2B%201");
    hand_take_body(&hand, &body);
    assert_string_equal(
        buf_str(&body),
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber><ETag>&#34;o&#60;n&#38;e&#34;</ETag></Part><Part><PartNumber>2</PartNumber><ETag>&#34;two&#34;</ETag></Part></CompleteMultipartUpload>");
    assert_int_equal(hand_answer(&hand, 200, "", "\n " FINISHED), HTTP_DONE);
    hand_done(&hand);
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    hand_end(&hand);
    buf_free(&body);
}

/* The condition is that of the write, so of its end. When an answer to that is lost and the condition does not hold any more,
 * what is there tells whether it was this upload. */
static void expect_upload_on_a_condition(bool bare, const char *there, enum error_kind kind)
{
    struct object_meta meta;
    struct store_target target = {.key = "k", .size = 12, .meta = &meta};
    char version[] = "5d41";
    struct upload *upload;
    struct hand hand;

    object_meta_init(&meta);
    hand_begin(&hand, "http://h", "b");
    target.condition = (struct store_condition){.when = STORE_IF_VERSION, .version = version, .bare = bare};
    store_upload_begin(hand.store, &hand.call, &target);
    memset(version, '-', sizeof version - 1); /* only needed to start with */
    assert_true(hand_attempt(&hand));
    assert_null(hand_header(&hand, "if-match"));
    assert_int_equal(hand_answer(&hand, 200, DATE, BEGUN("id")), HTTP_DONE);
    hand_done(&hand);
    upload = hand.call.upload;
    put_part(&hand, upload, 1, "one");
    put_part(&hand, upload, 2, "two");
    store_upload_finish(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "if-match"), bare ? "5d41" : "\"5d41\"");
    hand_take_body(&hand, NULL);
    if (there != NULL) {
        assert_int_equal(hand_answer(&hand, 503, "", NULL), HTTP_RETRY);
        assert_true(hand_attempt(&hand));
    }
    assert_int_equal(hand_answer(&hand, 412, "", ERROR_BODY("PreconditionFailed")), HTTP_DONE);
    hand_done(&hand);
    if (there != NULL) {
        assert_true(hand_attempt(&hand));
        assert_string_equal(hand_request(&hand)->method, "HEAD");
        assert_int_equal(hand_answer(&hand, 200, there, NULL), HTTP_DONE);
        hand_done(&hand);
    }
    assert_int_equal(hand.call.error.kind, kind);
    if (kind != ERROR_NONE)
        abandon(&hand, upload);
    hand_end(&hand);
}

static void an_upload_on_a_condition(void **state)
{
    (void)state;
    for (int bare = 0; bare < 2; bare++)
        expect_upload_on_a_condition(bare != 0, NULL, ERROR_PRECONDITION);
    expect_upload_on_a_condition(false, "content-length: 12\netag: \"5d41-2\"\n" LATER, ERROR_NONE);
    expect_upload_on_a_condition(false, "content-length: 12\netag: \"7d79\"\n" LATER, ERROR_NOT_FOUND);
}

static void test_finish_fails(void **state)
{
    struct upload *upload;
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    upload = begin_with_parts(&hand, BEGUN("id"), NULL);
    store_upload_finish(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 200, "", " " ERROR_BODY("InternalError")), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 400, "", ERROR_BODY("InvalidPart")), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_PROTOCOL);
    abandon(&hand, upload); /* it is still the caller's */
    hand_end(&hand);
}

static void test_part_missing(void **state)
{
    struct upload *upload;
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    upload = begin(&hand, BEGUN("id"), NULL);
    put_part(&hand, upload, 2, "two");
    store_upload_finish(upload, &hand.call);
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_PROTOCOL);
    assert_non_null(strstr(hand.call.error.text, "part 1 is missing"));
    abandon(&hand, upload);
    hand_end(&hand);
}

#define MD5_OF_PART "e10adc3949ba59abbe56e057f20f883e"  /* of "123456" */
#define MD5_OF_PARTS "bb40668d0a1447eebf2314a0e680cd64" /* of that twice, in binary */

/* The answer to a finish was lost, and then the upload is gone: was it this finish that ended it? */
static void expect_after_lost_answer(const char *part, int status, const char *head, enum error_kind kind)
{
    struct upload *upload;
    struct hand hand;

    hand_begin(&hand, "http://h", "b");
    upload = begin(&hand, BEGUN("id"), NULL);
    put_part(&hand, upload, 1, MD5_OF_PART);
    put_part(&hand, upload, 2, part);
    store_upload_finish(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_break(&hand), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 404, "", ERROR_BODY("NoSuchUpload")), HTTP_DONE);
    hand_done(&hand);
    assert_false(hand.call.done);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_request(&hand)->method, "HEAD");
    assert_string_equal(hand_url(&hand), "http://h/b/k");
    assert_int_equal(hand_answer(&hand, status, head, NULL), HTTP_DONE);
    hand_done(&hand);
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, kind);
    if (kind != ERROR_NONE)
        abandon(&hand, upload);
    hand_end(&hand);
}

static void test_finish_answer_lost(void **state)
{
    struct upload *upload;
    struct hand hand;

    (void)state;
    /* the MD5 of the parts' MD5s */
    expect_after_lost_answer(MD5_OF_PART, 200, "content-length: 12\netag: \"" MD5_OF_PARTS "-2\"\n",
                             ERROR_NONE);
    expect_after_lost_answer(MD5_OF_PART, 200, "content-length: 11\netag: \"" MD5_OF_PARTS "-2\"\n",
                             ERROR_NOT_FOUND);
    expect_after_lost_answer(MD5_OF_PART, 200, "content-length: 12\netag: \"" MD5_OF_PARTS "-3\"\n",
                             ERROR_NOT_FOUND);
    expect_after_lost_answer(MD5_OF_PART, 200, "content-length: 12\netag: \"" MD5_OF_PART "-2\"\n" LATER,
                             ERROR_NOT_FOUND);
    expect_after_lost_answer(MD5_OF_PART, 404, "", ERROR_NOT_FOUND);
    /* or, where that says nothing, younger than the upload */
    expect_after_lost_answer("opaque", 200, "content-length: 12\netag: \"5d41-2\"\n" LATER, ERROR_NONE);
    expect_after_lost_answer("opaque", 200, "content-length: 12\netag: \"5d41-2\"\n" EARLIER,
                             ERROR_NOT_FOUND);
    expect_after_lost_answer("opaque", 200, "content-length: 12\netag: \"5d41-2\"\n", ERROR_NOT_FOUND);
    expect_after_lost_answer("opaque", 200, "content-length: 12\netag: \"5d41-3\"\n" LATER, ERROR_NOT_FOUND);
    expect_after_lost_answer("opaque", 200, "content-length: 12\netag: \"5d41\"\n" LATER, ERROR_NOT_FOUND);
    /* With no attempt that could have done it there is nothing to look for. */
    hand_begin(&hand, "http://h", "b");
    upload = begin_with_parts(&hand, BEGUN("id"), NULL);
    store_upload_finish(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 404, "", ERROR_BODY("NoSuchUpload")), HTTP_DONE);
    hand_done(&hand);
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_NOT_FOUND);
    abandon(&hand, upload);
    hand_end(&hand);
}

/* The finish is answered well, with this ETag. `head`: what the service says when it is asked then; NULL: it is not. */
static void expect_after_answer(const char *part, const char *etag, const char *head, enum error_kind kind)
{
    struct upload *upload;
    struct hand hand;
    char answer[300];

    snprintf(answer, sizeof answer,
             XML "<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>", etag);
    hand_begin(&hand, "http://h", "b");
    upload = begin(&hand, BEGUN("id"), NULL);
    put_part(&hand, upload, 1, MD5_OF_PART);
    put_part(&hand, upload, 2, part);
    store_upload_finish(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_answer(&hand, 200, "", answer), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.done, head == NULL);
    if (head != NULL) {
        assert_true(hand_attempt(&hand));
        assert_string_equal(hand_request(&hand)->method, "HEAD");
        assert_int_equal(hand_answer(&hand, 200, head, NULL), HTTP_DONE);
        hand_done(&hand);
    }
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, kind);
    if (kind != ERROR_NONE)
        abandon(&hand, upload);
    hand_end(&hand);
}

static void test_finish_tells_another_etag(void **state)
{
    (void)state;
    expect_after_answer(MD5_OF_PART, MD5_OF_PARTS "-2", NULL, ERROR_NONE);
    expect_after_answer("opaque", MD5_OF_PART "-2", NULL, ERROR_NONE);
    /* a part is missing */
    expect_after_answer(MD5_OF_PART, MD5_OF_PART "-1", "content-length: 6\netag: \"" MD5_OF_PART "-1\"\n",
                        ERROR_PROTOCOL);
    expect_after_answer("opaque", "5d41-1", "content-length: 6\netag: \"5d41-1\"\n", ERROR_PROTOCOL);
    /* an ETag of its own, or none: the size counts, of the same object */
    expect_after_answer(MD5_OF_PART, "5d41-2", "content-length: 12\netag: \"5d41-2\"\n", ERROR_NONE);
    expect_after_answer(MD5_OF_PART, "5d41-2", "content-length: 11\netag: \"5d41-2\"\n", ERROR_PROTOCOL);
    expect_after_answer(MD5_OF_PART, "5d41-2", "content-length: 12\netag: \"other\"\n", ERROR_PROTOCOL);
    expect_after_answer(MD5_OF_PART, "", "content-length: 12\netag: \"" MD5_OF_PARTS "-2\"\n", ERROR_NONE);
    expect_after_answer(MD5_OF_PART, "", "content-length: 12\netag: \"" MD5_OF_PART "-2\"\n",
                        ERROR_NOT_FOUND);
}

/* Ceph RGW forgets the tags that an upload begins with. */
static void test_tags_on_rgw(void **state)
{
    struct upload *upload;
    struct hand hand;
    struct buf body;

    (void)state;
    buf_init(&body, 4096);
    hand_begin(&hand, "http://h", "b");
    upload = begin_with_parts(&hand, BEGUN("2~id"), "a%20b=c%26d&e=");
    store_upload_finish(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_answer(&hand, 200, "", FINISHED), HTTP_DONE);
    hand_done(&hand);
    assert_false(hand.call.done);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_request(&hand)->method, "PUT");
    assert_string_equal(hand_url(&hand), "http://h/b/k?tagging=");
    hand_take_body(&hand, &body);
    assert_string_equal(
        buf_str(&body),
        "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>a b</Key><Value>c&#38;d</Value></Tag><Tag><Key>e</Key><Value></Value></Tag></TagSet></Tagging>");
    assert_int_equal(hand_answer(&hand, 200, "", NULL), HTTP_DONE);
    hand_done(&hand);
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    hand_end(&hand);
    buf_free(&body);
}

static void test_copy_part(void **state)
{
    struct upload *upload;
    struct hand hand;
    struct buf body;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    upload = begin(&hand, BEGUN("id"), NULL);
    store_upload_copy(upload, &hand.call, &(struct store_part){1, 6, 6},
                      &(struct store_source){hand.store, "s%25 /x", "e", NULL});
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "x-amz-copy-source"), "/b/s%2525%20/x");
    assert_string_equal(hand_header(&hand, "x-amz-copy-source-range"), "bytes=6-11");
    assert_string_equal(hand_header(&hand, "x-amz-copy-source-if-match"), "\"e\"");
    assert_int_equal(hand_answer(&hand, 200, "", XML "<CopyPartResult><ETag>\"one\"</ETag></CopyPartResult>"),
                     HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    store_upload_finish(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    buf_init(&body, 1000);
    hand_take_body(&hand, &body);
    assert_non_null(strstr(buf_str(&body),
                           "<Part><PartNumber>1</PartNumber><ETag>&#34;one&#34;</ETag></Part></Complete"));
    buf_free(&body);
    abandon(&hand, upload);
    /* RGW would decode this source twice. */
    upload = begin(&hand, BEGUN("2~id"), NULL);
    store_upload_copy(upload, &hand.call, &(struct store_part){1, 6, 6},
                      &(struct store_source){hand.store, "s%25", "e", NULL});
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_UNSUPPORTED);
    store_upload_copy(upload, &hand.call, &(struct store_part){1, 6, 6},
                      &(struct store_source){hand.store, "s+ ?", "e", NULL});
    assert_false(hand.call.done);
    store_upload_copy(upload, &hand.call, &(struct store_part){10001, 6, 6},
                      &(struct store_source){hand.store, "s", "e", NULL});
    assert_int_equal(hand.call.error.kind, ERROR_UNSUPPORTED);
    abandon(&hand, upload);
    hand_end(&hand);
}

#define FIRST_MD5 "900150983cd24fb0d6963f7d28e17f72"
#define OTHER_MD5 "d41d8cd98f00b204e9800998ecf8427e"

/* The last part is shorter, so it cannot have the hash of the first. */
static void a_part_that_is_the_whole_object_is_found_out(void **state)
{
    static const struct {
        uint64_t last;
        const char *headers, *first, *second;
        bool whole;
    } rows[] = {
        {5, "", FIRST_MD5, FIRST_MD5, true},
        {5, "", FIRST_MD5, "900150983CD24FB0D6963F7D28E17F72", true},
        {6, "", FIRST_MD5, FIRST_MD5, false},
        {5, "", FIRST_MD5, OTHER_MD5, false},
        {5, "", "one", "one", false},
        {5, "x-amz-server-side-encryption: aws:kms\n", FIRST_MD5, FIRST_MD5, false},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0];
         i++) { /* each part is the first to be there once */
        struct upload *upload;
        struct hand hand;

        hand_begin(&hand, "http://h", "b");
        upload = begin(&hand, BEGUN("id"), NULL);
        for (int n = 0; n < 2; n++) {
            int number = i % 2 == 0 ? n + 1 : 2 - n;
            uint64_t first = 12 - rows[i / 2].last;
            struct store_part part = {number, number == 1 ? 0 : first,
                                      number == 1 ? first : rows[i / 2].last};
            char answer[200];

            store_upload_copy(upload, &hand.call, &part, &(struct store_source){hand.store, "s", "e", NULL});
            assert_true(hand_attempt(&hand));
            snprintf(answer, sizeof answer, XML "<CopyPartResult><ETag>\"%s\"</ETag></CopyPartResult>",
                     number == 1 ? rows[i / 2].first : rows[i / 2].second);
            assert_int_equal(hand_answer(&hand, 200, rows[i / 2].headers, answer), HTTP_DONE);
            hand_done(&hand);
            if (n == 0)
                assert_int_equal(hand.call.error.kind, ERROR_NONE);
        }
        if ((hand.call.error.kind == ERROR_UNSUPPORTED) != rows[i / 2].whole ||
            store_traits(hand.store)->whole_parts != rows[i / 2].whole)
            fail_msg("row %zu: %s", i / 2, hand.call.error.text);
        abandon(&hand, upload);
        hand_end(&hand);
    }
}

static void test_begin_and_abort_fail(void **state)
{
    struct object_meta meta = {0};
    struct error why = {0};
    struct upload *upload;
    struct hand hand;

    (void)state;
    error_set(&why, ERROR_INTERRUPTED, "stop");
    hand_begin(&hand, "http://h", "b");
    store_upload_begin(
        hand.store, &hand.call,
        &(struct store_target){.key = "k", .size = 12, .modified = CLOCK_UNKNOWN, .meta = &meta});
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 200, "", BEGUN("")), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_PROTOCOL);
    assert_null(hand.call.upload);
    store_upload_begin(
        hand.store, &hand.call,
        &(struct store_target){.key = "k", .size = 12, .modified = CLOCK_UNKNOWN, .meta = &meta});
    call_cancel(&hand.call, &why);
    assert_null(hand.call.upload);
    /* An upload that is gone is as good as aborted; one that cannot be aborted is freed all the same. */
    upload = begin(&hand, BEGUN("id"), NULL);
    store_upload_abort(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 404, "", ERROR_BODY("NoSuchUpload")), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    upload = begin(&hand, BEGUN("id"), NULL);
    store_upload_abort(upload, &hand.call);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 403, "", ERROR_BODY("AccessDenied")), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_PERMISSION);
    upload = begin(&hand, BEGUN("id"), NULL);
    store_upload_abort(upload, &hand.call);
    call_cancel(&hand.call, &why);
    hand_end(&hand);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upload),
        cmocka_unit_test(an_upload_on_a_condition),
        cmocka_unit_test(test_finish_fails),
        cmocka_unit_test(test_part_missing),
        cmocka_unit_test(test_finish_answer_lost),
        cmocka_unit_test(test_finish_tells_another_etag),
        cmocka_unit_test(test_tags_on_rgw),
        cmocka_unit_test(test_copy_part),
        cmocka_unit_test(a_part_that_is_the_whole_object_is_found_out),
        cmocka_unit_test(test_begin_and_abort_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
