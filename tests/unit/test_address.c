/* address: what can be listened on, and what is no name. */
#include "address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>

static void test_what_is_one(void **state)
{
    static const struct {
        const char *text, *host;
        int family, port;
    } rows[] = {
        {"127.0.0.1:9187", "127.0.0.1", AF_INET, 9187},
        {"localhost:1", "127.0.0.1", AF_INET, 1},
        {"0.0.0.0:65535", "0.0.0.0", AF_INET, 65535},
        {"[::1]:80", "::1", AF_INET6, 80},
        {":9187", "::", AF_INET6, 9187},
        {"[::]:9187", "::", AF_INET6, 9187},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address address;
        char host[INET6_ADDRSTRLEN];
        const void *bytes;

        assert_true(address_parse(rows[i].text, &address));
        assert_int_equal(address.any.sa_family, rows[i].family);
        bytes = rows[i].family == AF_INET ? (void *)&address.in.sin_addr : (void *)&address.in6.sin6_addr;
        assert_string_equal(inet_ntop(rows[i].family, bytes, host, sizeof host), rows[i].host);
        assert_int_equal(ntohs(rows[i].family == AF_INET ? address.in.sin_port : address.in6.sin6_port),
                         rows[i].port);
        assert_int_equal(address.len, rows[i].family == AF_INET ? sizeof address.in : sizeof address.in6);
    }
}

static void test_files_and_off(void **state)
{
    struct address address;

    (void)state;
    assert_true(address_parse("off", &address));
    assert_int_equal(address.len, 0);
    assert_true(address_parse("unix:/run/a b.sock", &address));
    assert_int_equal(address.any.sa_family, AF_UNIX);
    assert_string_equal(address.un.sun_path, "/run/a b.sock");
}

static void test_what_is_none(void **state)
{
    static const char *const texts[] = {"",
                                        "9187",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:0",
                                        ":0",
                                        ":65536",
                                        ":099999",
                                        ":12a",
                                        ": 80",
                                        "example.com:80",
                                        "::1:80",
                                        "[::1]",
                                        "[::1:80",
                                        "[]:80",
                                        "[127.0.0.1]:80",
                                        "1.2.3:80",
                                        "OFF ",
                                        "unix:",
                                        "unix:run",
                                        "http://127.0.0.1:80",
                                        "127.0.0.1:80/",
                                        "*:80"};
    char text[300] = "unix:/";
    struct address address;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (address_parse(texts[i], &address))
            fail_msg("\"%s\" is taken for an address", texts[i]);
    memset(text + 6, 'x', sizeof address.un.sun_path - 1);
    assert_false(address_parse(text, &address));
    text[5 + sizeof address.un.sun_path - 1] = '\0';
    assert_true(address_parse(text, &address));
    memset(text, '1', sizeof text - 1);
    memcpy(text + sizeof text - 4, ":80", 4);
    assert_false(address_parse(text, &address));
}

static void test_literals(void **state)
{
    (void)state;
    assert_true(address_is_literal("10.0.0.7"));
    assert_true(address_is_literal("[::1]"));
    assert_false(address_is_literal("::1"));
    assert_false(address_is_literal("localhost"));
    assert_false(address_is_literal("127.0.0.1.example"));
    assert_false(address_is_literal(""));
    assert_false(address_is_literal("["));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_one),
        cmocka_unit_test(test_files_and_off),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_literals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
