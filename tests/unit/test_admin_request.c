/* admin_request: who may do what, and what an order says. */
#include "admin_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static struct wire_admin guard = {.hosts = " admin.example ,app"};
static struct admin_order order;
static enum admin_route route;

static int set_up(void **state)
{
    (void)state;
    hash_sha256("secret", 6, guard.token);
    order = (struct admin_order){.dry_run = false};
    return 0;
}

/* The status with which it is refused; 0: it is not. */
static unsigned ask(const struct admin_head *head, bool local)
{
    struct admin_refusal refusal = {.status = 0};

    bool may = admin_admit(head, &guard, local, &route, &refusal);

    assert_int_equal(may, refusal.status == 0);
    return refusal.status;
}

static unsigned ask_host(const char *host, bool local)
{
    return ask(&(struct admin_head){.method = "GET", .path = "/status", .host = host}, local);
}

static void test_hosts(void **state)
{
    static const char *const known[] = {"localhost",     "LocalHost:9187",  "127.0.0.1",
                                        "10.0.0.7:80",   "[::1]",           "[fe80::1]:80",
                                        "admin.example", "ADMIN.example:1", "app"};
    static const char *const others[] = {"",
                                         "evil.example",
                                         "localhost.evil.example",
                                         "127.0.0.1.evil",
                                         "::1",
                                         "[::1",
                                         "admin.example ",
                                         "admin",
                                         " admin.example ,app",
                                         ",",
                                         "1.2.3.4.5"};

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (ask_host(known[i], false) != 0)
            fail_msg("%s is refused", known[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (ask_host(others[i], false) != 421)
            fail_msg("%s is taken", others[i]);
        assert_int_equal(ask_host(others[i], true), 0);
    }
    assert_int_equal(ask_host(NULL, false), 0);
}

static void test_changes(void **state)
{
    struct admin_head head = {.method = "POST", .path = "/sync", .host = "localhost:1"};

    (void)state;
    assert_int_equal(ask(&head, false), 401);
    head.authorization = "Bearer secret";
    assert_int_equal(ask(&head, false), 0);
    assert_int_equal(route, ADMIN_SYNC);
    head.authorization = "bearer   secret";
    assert_int_equal(ask(&head, false), 0);
    head.authorization = "Bearer secret ";
    assert_int_equal(ask(&head, false), 401);
    head.authorization = "Bearersecret";
    assert_int_equal(ask(&head, false), 401);
    head.authorization = "Bearer secret";
    head.origin = "http://localhost:1";
    assert_int_equal(ask(&head, false), 0);
    head.origin = "http://localhost:1.evil";
    assert_int_equal(ask(&head, false), 403);
    head.origin = "null";
    assert_int_equal(ask(&head, false), 403);
    head.origin = NULL;
    head.content_type = "application/json;charset=utf-8";
    assert_int_equal(ask(&head, false), 0);
    head.content_type = "application/jsonp";
    assert_int_equal(ask(&head, false), 415);
    head.content_type = NULL;
    guard.token[0] = '\0';
    assert_int_equal(ask(&head, false), 403);
    head.method = "GET";
    assert_int_equal(ask(&head, false), 405);
    head.path = "/Sync";
    assert_int_equal(ask(&head, false), 404);
}

static bool body(const char *text)
{
    order = (struct admin_order){.dry_run = false};
    return admin_order_body(&order, ADMIN_SYNC, text, strlen(text));
}

static void test_orders(void **state)
{
    (void)state;
    assert_true(admin_order_argument(&order, ADMIN_SYNC, "dry_run", NULL));
    assert_true(order.dry_run);
    assert_true(admin_order_argument(&order, ADMIN_SYNC, "paths", "a/,b"));
    assert_true(admin_order_argument(&order, ADMIN_SYNC, "paths", "c"));
    assert_int_equal(order.path_count, 3);
    assert_string_equal(order.paths[0], "a/");
    assert_string_equal(order.paths[2], "c");
    assert_false(admin_order_argument(&order, ADMIN_SYNC, "paths", ""));
    assert_false(admin_order_argument(&order, ADMIN_SYNC, "dryrun", "1"));
    assert_false(admin_order_argument(&order, ADMIN_VALIDATE, "dry_run", "1"));
    assert_true(body(""));
    assert_true(body("{}"));
    assert_true(body("{\"dry_run\":true,\"paths\":[\"x\"]}"));
    assert_true(order.dry_run && order.path_count == 1);
    assert_false(body("{\"paths\":[]}"));
    assert_false(body("null"));
    assert_false(body("{\"dry_run\":\"yes\"}"));
}

/* As many paths as there may be, of all the room that there is. */
static void test_bounds(void **state)
{
    char path[1100];

    (void)state;
    memset(path, 'x', sizeof path);
    path[1025] = '\0';
    assert_false(admin_order_argument(&order, ADMIN_SYNC, "paths", path));
    path[1024] = '\0';
    for (int i = 0; i < 7; i++)
        assert_true(admin_order_argument(&order, ADMIN_SYNC, "paths", path));
    assert_false(admin_order_argument(&order, ADMIN_SYNC, "paths", path));
    order = (struct admin_order){.dry_run = false};
    for (int i = 0; i < SETTINGS_PATHS_MAX; i++)
        assert_true(admin_order_argument(&order, ADMIN_SYNC, "paths", "y"));
    assert_false(admin_order_argument(&order, ADMIN_SYNC, "paths", "y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_hosts, set_up),
        cmocka_unit_test_setup(test_changes, set_up),
        cmocka_unit_test_setup(test_orders, set_up),
        cmocka_unit_test_setup(test_bounds, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
