/* store_s3: ACLs, read from one bucket and written to another. */
#include "s3_hand.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ALL "http://acs.amazonaws.com/groups/global/AllUsers"
#define OWNER(id) "<Owner><ID>" id "</ID><DisplayName>x</DisplayName></Owner>"
#define GRANT(who, what)                                                                                     \
    "<Grant><Grantee xsi:type=\"x\">" who "</Grantee><Permission>" what "</Permission></Grant>"
#define LIST(grants) "<AccessControlList>" grants "</AccessControlList>"

static const struct object_meta no_meta;

/* What is told of that ACL, as text. */
static const char *read_acl(struct hand *hand, const char *key, const char *inside)
{
    static char text[1000];
    struct buf xml;
    const char *name, *value;
    size_t at = 0;

    store_acl(hand->store, &hand->call, key);
    assert_true(hand_attempt(hand));
    buf_init(&xml, 16384);
    buf_printf(&xml, "<AccessControlPolicy xmlns:xsi=\"y\">%s</AccessControlPolicy>", inside);
    assert_int_equal(hand_answer(hand, 200, "content-type: application/xml\n", buf_str(&xml)), HTTP_DONE);
    buf_free(&xml);
    hand_done(hand);
    text[0] = '\0';
    while (object_meta_next(&hand->call.meta, &at, &name, &value))
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s\n", name, value);
    return hand->call.error.kind == ERROR_NONE ? text : hand->call.error.text;
}

static void grants_are_read(void **state)
{
    static const struct {
        const char *xml, *told;
    } rows[] = {
        /* What every new object has is nothing to tell. */
        {OWNER("me") LIST(GRANT("<ID>me</ID>", "FULL_CONTROL")), ""},
        {OWNER("") LIST(GRANT("<ID></ID>", "FULL_CONTROL")), ""}, /* MinIO */
        {OWNER("me") LIST(GRANT("<URI>" ALL "</URI>", "READ") GRANT("<ID>me</ID>", "FULL_CONTROL")),
         "grant-read uri=\"" ALL "\"\ngrant-full-control owner\n"},
        {OWNER("me") LIST(GRANT("<ID>you</ID>", "READ_ACP") GRANT("<ID>you</ID>", "WRITE_ACP")),
         "grant-read-acp id=\"you\"\ngrant-write-acp id=\"you\"\n"},
        {OWNER("me") LIST(GRANT("<ID>me</ID>", "READ")), "grant-read owner\n"},
        /* WRITE means nothing for an object. */
        {OWNER("me") LIST(GRANT("<URI>" ALL "</URI>", "WRITE") GRANT("<ID>me</ID>", "FULL_CONTROL")),
         "grant-full-control owner\n"},
        /* Nothing of one grant is left for the next. */
        {OWNER("me") LIST(GRANT("<ID>you</ID>", "READ") GRANT("<URI>" ALL "</URI>", "READ")),
         "grant-read id=\"you\"\ngrant-read uri=\"" ALL "\"\n"},
        /* Nobody gets more than the source has given, whatever a service puts into a name. */
        {OWNER("me") LIST(GRANT("<ID>x\", uri=\"" ALL "</ID>", "READ")), "cannot be understood"},
        {OWNER("me") LIST(GRANT("<EmailAddress>a@b</EmailAddress>", "READ")), "cannot be understood"},
        {OWNER("me") LIST(GRANT("<ID>you</ID>", "EVERYTHING")), "cannot be understood"},
    };
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *told = read_acl(&hand, "k", rows[i].xml);

        if (strstr(rows[i].told, "cannot") != NULL)
            assert_non_null(strstr(told, rows[i].told));
        else
            assert_string_equal(told, rows[i].told);
    }
    store_acl(hand.store, &hand.call, "a b");
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "http://h/b/a%20b?acl=");
    hand_end(&hand);
}

/* MinIO says so, and takes no notice of grants. */
static void a_bucket_without_an_owner_takes_none(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    read_acl(&hand, "", OWNER("") LIST(GRANT("<ID></ID>", "FULL_CONTROL")));
    assert_string_equal(hand_url(&hand), "http://h/b?acl=");
    assert_int_equal(hand.call.error.kind, ERROR_CONFIG);
    assert_non_null(strstr(hand.call.error.text, "set acl = bucket"));
    hand_end(&hand);
}

/* A name that is cut would be somebody else's. */
static void a_long_name_is_not_cut(void **state)
{
    char xml[1000], id[300];
    struct hand hand;

    (void)state;
    memset(id, 'a', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    snprintf(xml, sizeof xml, OWNER("me") LIST(GRANT("<ID>%s</ID>", "READ")), id);
    hand_begin(&hand, "http://h", "b");
    assert_non_null(strstr(read_acl(&hand, "k", xml), "too long"));
    hand_end(&hand);
}

static void refuse(struct hand *hand, int status, const char *code)
{
    char body[200];

    snprintf(body, sizeof body,
             "<Error><Code>%s</Code><Message>Header 'x-amz-acl' not implemented</Message></Error>", code);
    hand_answer(hand, status, "", body);
    hand_done(hand);
}

/* The header of whatever writes next. */
static const char *sent(struct hand *hand, int how, const struct object_meta *acl, const char *header)
{
    struct store_target target = {
        .key = "k", .size = 0, .modified = CLOCK_UNKNOWN, .meta = &no_meta, .acl = acl};

    pipe_reset(&hand->pipe);
    if (how == 0)
        store_put(hand->store, &hand->call, &target, &hand->pipe);
    else if (how == 1)
        store_copy(hand->store, &hand->call, &target, &(struct store_source){hand->store, "from", "e", NULL});
    else
        store_upload_begin(hand->store, &hand->call, &target);
    assert_true(hand_attempt(hand));
    return hand_header(hand, header);
}

static void the_request_that_makes_the_object_carries_them(void **state)
{
    struct object_meta canned, grants, none;
    struct hand hand;

    (void)state;
    object_meta_init(&canned);
    object_meta_init(&grants);
    object_meta_init(&none);
    object_meta_add(&canned, "acl", "public-read");
    object_meta_add(&grants, "grant-read", "uri=\"" ALL "\"");
    object_meta_add(&grants, "grant-full-control", "owner");
    object_meta_add(&grants, "grant-read", "id=\"you\"");
    hand_begin(&hand, "http://h", "b");
    read_acl(&hand, "",
             OWNER("prod") LIST(GRANT("<ID>prod</ID>", "FULL_CONTROL") GRANT("<ID>x</ID>", "READ")));
    assert_null(object_meta_get(&hand.call.meta, "grant-read"));
    for (int how = 0; how < 3; how++) {
        assert_string_equal(sent(&hand, how, &canned, "x-amz-acl"), "public-read");
        refuse(&hand, 403, "AccessDenied");
        assert_string_equal(sent(&hand, how, &grants, "x-amz-grant-read"), "uri=\"" ALL "\", id=\"you\"");
        assert_string_equal(hand_header(&hand, "x-amz-grant-full-control"), "id=\"prod\"");
        assert_non_null(
            strstr(hand_header(&hand, "authorization"), "x-amz-grant-full-control;x-amz-grant-read"));
        refuse(&hand, 403, "AccessDenied");
        assert_null(sent(&hand, how, &none, "x-amz-acl"));
        refuse(&hand, 403, "AccessDenied");
        assert_null(sent(&hand, how, NULL, "x-amz-acl"));
        refuse(&hand, 403, "AccessDenied");
    }
    hand_end(&hand);
    object_meta_free(&canned);
    object_meta_free(&grants);
}

static void a_refusal_names_the_cure(void **state)
{
    static const struct {
        int status;
        const char *code, *cure;
        enum error_kind kind;
    } rows[] = {
        {400, "AccessControlListNotSupported", "the bucket takes no ACLs: set acl = bucket", ERROR_CONFIG},
        {501, "NotImplemented", "the bucket takes no ACLs: set acl = bucket", ERROR_CONFIG},
        {403, "AccessDenied", "s3:PutObject and s3:PutObjectAcl, and the bucket must not block",
         ERROR_PERMISSION},
    };
    struct object_meta canned;
    struct hand hand;

    (void)state;
    object_meta_init(&canned);
    object_meta_add(&canned, "acl", "public-read");
    hand_begin(&hand, "http://h", "b");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sent(&hand, 0, &canned, "x-amz-acl");
        refuse(&hand, rows[i].status, rows[i].code);
        assert_int_equal(hand.call.error.kind, rows[i].kind);
        assert_non_null(strstr(hand.call.error.text, rows[i].cure));
    }
    hand_end(&hand);
    object_meta_free(&canned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_are_read),
        cmocka_unit_test(a_bucket_without_an_owner_takes_none),
        cmocka_unit_test(a_long_name_is_not_cut),
        cmocka_unit_test(the_request_that_makes_the_object_carries_them),
        cmocka_unit_test(a_refusal_names_the_cure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
