#include "mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void known_types(void **state)
{
    (void)state;
    assert_string_equal(mime_guess("a.png"), "image/png");
    assert_string_equal(mime_guess("public/site/index.HTML"), "text/html");
    assert_string_equal(mime_guess("archive.tar.gz"), "application/gzip");
    assert_string_equal(mime_guess("app.webmanifest"), "application/manifest+json");
    assert_string_equal(mime_guess("a.mjs"), "text/javascript");
    assert_string_equal(mime_guess("x/.well-known/security.txt"), "text/plain");
}

static void unknown_types(void **state)
{
    (void)state;
    assert_null(mime_guess(""));
    assert_null(mime_guess("README"));
    assert_null(mime_guess("a."));
    assert_null(mime_guess("a.pn"));
    assert_null(mime_guess("a.pngx"));
    assert_null(mime_guess(".png"));
    assert_null(mime_guess("dir/.png"));
    assert_null(mime_guess("a.png/b"));
    assert_null(mime_guess("a.png/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_types),
        cmocka_unit_test(unknown_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
