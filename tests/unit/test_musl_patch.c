/*
 * Our patch to musl, deps/patches/musl/printf-integers-and-texts.patch: what printf still does, and that what it does not
 * is an error. Most unit tests run on the machine's libc; those of the other CPU run on musl.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

static void what_is_there(void **state)
{
    char out[200];
    int len;

    (void)state;
    len = snprintf(out, sizeof out, "%d|%5u|%-5x|%05lld|%+zd|%#llX|%o|%hhu", -1, 2U, 0xaU, 4LL, (ssize_t)5,
                   (unsigned long long)UINT64_MAX, 8U, (unsigned char)44);
    assert_string_equal(out, "-1|    2|a    |00004|+5|0XFFFFFFFFFFFFFFFF|10|44");
    assert_int_equal(len, strlen(out));
    len = snprintf(out, sizeof out, "%c%%%.*s|%6s|%-6s|%.2s", 'x', 2, "yz!", "right", "left", "cut");
    assert_string_equal(out, "x%yz| right|left  |cu");
    assert_int_equal(len, strlen(out));
}

#ifndef __GLIBC__
static void what_is_not_there(void **state)
{
    static const char *const formats[] = {"%f", "%.1e", "%g", "%a", "%G"};
    char out[20];

    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        errno = 0;
        assert_int_equal(snprintf(out, sizeof out, formats[i], 1.5), -1);
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(snprintf(out, sizeof out, "%ls", L"wide"), -1);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there),
#ifndef __GLIBC__
        cmocka_unit_test(what_is_not_there),
#endif
    };
    return cmocka_run_group_tests_name("musl_patch", tests, NULL, NULL);
}
