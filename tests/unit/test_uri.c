#include "uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_encoded(const char *text, const char *keep, const char *expected)
{
    struct buf out;

    buf_init(&out, 8192);
    assert_true(uri_encode(&out, text, keep));
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

static void encoding_is_that_of_sigv4(void **state)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    (void)state;
    expect_encoded("", "", "");
    expect_encoded(unreserved, "", unreserved);
    expect_encoded("a b+c%d?e&f=g#h", "", "a%20b%2Bc%25d%3Fe%26f%3Dg%23h");
    expect_encoded("public//a/", "/", "public//a/");
    expect_encoded("public/a", "", "public%2Fa");
    expect_encoded("!\"$'()*,:;<>@[\\]^`{|}", "",
                   "%21%22%24%27%28%29%2A%2C%3A%3B%3C%3E%40%5B%5C%5D%5E%60%7B%7C%7D");
    expect_encoded("\xE1\x88\xB4\xFF\x01\x7F", "", "%E1%88%B4%FF%01%7F");
}

static void encoding_stops_at_the_ceiling(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 5);
    assert_false(uri_encode(&out, "a  ", ""));
    assert_true(out.failed);
    assert_string_equal(buf_str(&out), "a%20");
    buf_free(&out);
}

static void expect_decoded(const char *text, bool plus, bool fine, const char *expected)
{
    char copy[64];

    snprintf(copy, sizeof copy, "%s", text);
    assert_int_equal(uri_decode(copy, plus), fine);
    assert_string_equal(copy, expected);
}

static void decoding(void **state)
{
    (void)state;
    expect_decoded("", false, true, "");
    expect_decoded("plain", false, true, "plain");
    expect_decoded("a%20b%2fc%2Fd", false, true, "a b/c/d");
    expect_decoded("a+b%2B", false, true, "a+b+");
    expect_decoded("a+b%2B", true, true, "a b+");
    expect_decoded("%E1%88%b4%ff", false, true, "\xE1\x88\xB4\xFF");
    expect_decoded("%2525", false, true, "%25"); /* once, not twice */

    expect_decoded("ab%", false, false, "ab");
    expect_decoded("ab%4", false, false, "ab");
    expect_decoded("ab%4g", false, false, "ab");
    expect_decoded("ab%g4", false, false, "ab");
    expect_decoded("ab%%41", false, false, "ab");
    expect_decoded("a%20b%00c", false, false, "a b");
}

static void every_byte_survives_a_round_trip(void **state)
{
    char text[256], copy[3 * 256 + 1];
    struct buf out;

    (void)state;
    for (int i = 0; i < 255; i++)
        text[i] = (char)(i + 1);
    text[255] = '\0';
    buf_init(&out, 1024);
    assert_true(uri_encode(&out, text, ""));
    memcpy(copy, buf_str(&out), out.len + 1);
    assert_true(uri_decode(copy, true));
    assert_string_equal(copy, text);
    buf_free(&out);
}

static void expect_uri(const char *text, const char *scheme, const char *host, int port, const char *path)
{
    struct error error = {.kind = ERROR_NONE};
    struct uri uri;

    assert_true(uri_parse(text, "endpoint", &uri, &error));
    assert_string_equal(uri.scheme, scheme);
    assert_string_equal(uri.host, host);
    assert_int_equal(uri.port, port);
    assert_string_equal(uri.path, path);
}

static void urls_are_taken_apart(void **state)
{
    (void)state;
    expect_uri("https://s3.eu-west-1.amazonaws.com", "https", "s3.eu-west-1.amazonaws.com", 0, "");
    expect_uri("HTTP://LocalHost:9000/", "http", "localhost", 9000, "");
    expect_uri("http://minio_1:80", "http", "minio_1", 80, "");
    expect_uri("https://host/storage/v1/S3///", "https", "host", 0, "/storage/v1/S3");
    expect_uri("https://host:443/a//b/%7Ec:@!$&'()*+,;=", "https", "host", 443, "/a//b/%7Ec:@!$&'()*+,;=");
    expect_uri("http://[::1]:8080/x", "http", "[::1]", 8080, "/x");
    expect_uri("http://[FD00:EC2::23]", "http", "[fd00:ec2::23]", 0, "");
    expect_uri("http://[::ffff:169.254.170.2]/", "http", "[::ffff:169.254.170.2]", 0, "");
    expect_uri("http://169.254.169.254:65535", "http", "169.254.169.254", 65535, "");
    expect_uri("file:///srv/dev", "file", "", 0, "/srv/dev");
    expect_uri("file:///", "file", "", 0, "");
}

static void expect_problem(const char *text, const char *part)
{
    struct error error = {.kind = ERROR_NONE};
    struct uri uri;

    assert_false(uri_parse(text, "source.endpoint", &uri, &error));
    assert_int_equal(error.kind, ERROR_CONFIG);
    assert_ptr_equal(strstr(error.text, "source.endpoint: "), error.text);
    assert_non_null(strstr(error.text, part));
    assert_null(strstr(error.text, "SECRET"));
}

static void what_is_no_such_url_is_refused(void **state)
{
    (void)state;
    expect_problem("", "absolute URL");
    expect_problem("s3.amazonaws.com", "absolute URL");
    expect_problem("localhost:9000", "absolute URL");
    expect_problem("//host", "absolute URL");
    expect_problem("http:/host", "absolute URL");
    expect_problem("://host", "absolute URL");
    expect_problem("1http://host", "absolute URL");
    expect_problem("ht tp://host", "absolute URL");
    expect_problem(" https://host", "absolute URL");
    expect_problem("longname://host", "absolute URL");

    expect_problem("http://", "no host");
    expect_problem("http:///path", "no host");
    expect_problem("http://:80", "no host");
    expect_problem("http://ho st", "neither a name nor an address");
    expect_problem("http://h\xC3\xB6st", "neither a name nor an address");
    expect_problem("http://host\\x", "neither a name nor an address");
    expect_problem("http://%41", "neither a name nor an address");
    expect_problem("http://host\r\nX-Evil:1", "neither a name nor an address");
    expect_problem("http://[", "neither a name nor an address");
    expect_problem("http://[]", "neither a name nor an address");
    expect_problem("http://[::1", "neither a name nor an address");
    expect_problem("http://[::1]x", "neither a name nor an address");
    expect_problem("http://[::1%25eth0]", "neither a name nor an address");
    expect_problem("http://[1:2:3]", "neither a name nor an address");
    expect_problem("http://::1:80", "no host");

    expect_problem("http://host:", "port");
    expect_problem("http://host:0", "port");
    expect_problem("http://host:65536", "port");
    expect_problem("http://host:4294967376", "port"); /* 80 in 32 bits */
    expect_problem("http://host:-1", "port");
    expect_problem("http://host:8o", "port");
    expect_problem("http://host:80:80", "port");
    expect_problem("http://[::1]:", "port");

    expect_problem("https://user:SECRET@host", "user name or password");
    expect_problem("https://SECRET@[::1]:80/", "user name or password");
    expect_problem("https://user:SEC/SECRET@host", "port");
    expect_problem("https://host/?token=SECRET", "query");
    expect_problem("https://host?", "query");
    expect_problem("https://host#", "query or fragment");
    expect_problem("https://host/SECRET path", "%XX");
    expect_problem("https://host/50%", "%XX");
    expect_problem("https://host/%2", "%XX");
    expect_problem("https://host/%00", "%XX");
    expect_problem("https://host/\xC3\xA9", "%XX");
    expect_problem("https://host/a\n", "%XX");
}

/* A URL with a host and a path of these lengths. */
static bool fits(size_t host_len, size_t path_len)
{
    static char text[2048];
    struct error error;
    struct uri uri;
    char *end = text + sprintf(text, "http://");

    memset(end, 'h', host_len);
    end += host_len;
    *end = '/';
    memset(end + 1, 'p', path_len - 1);
    end[path_len] = '\0';
    return uri_parse(text, "x", &uri, &error) && strlen(uri.host) == host_len && strlen(uri.path) == path_len;
}

static void lengths_have_limits(void **state)
{
    struct uri uri;

    (void)state;
    assert_true(fits(sizeof uri.host - 1, sizeof uri.path - 1));
    assert_false(fits(sizeof uri.host, 2));
    assert_false(fits(2, sizeof uri.path));
    assert_false(fits(1000, 1000));
}

static void expect_authority(const char *text, const char *expected)
{
    struct error error;
    struct uri uri;
    struct buf out;

    buf_init(&out, 300);
    assert_true(uri_parse(text, "x", &uri, &error));
    assert_true(uri_authority(&uri, &out));
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

static void the_default_port_is_left_out(void **state)
{
    (void)state;
    expect_authority("http://Host", "host");
    expect_authority("http://host:80/path", "host");
    expect_authority("http://host:443", "host:443");
    expect_authority("https://host:443", "host");
    expect_authority("https://host:80", "host:80");
    expect_authority("http://[::1]:9000", "[::1]:9000");
}

static bool is_loopback(const char *url)
{
    struct error error;
    struct uri uri;

    assert_true(uri_parse(url, "x", &uri, &error));
    return uri_is_loopback(&uri);
}

static void loopback_is_this_machine(void **state)
{
    (void)state;
    assert_true(is_loopback("http://localhost"));
    assert_true(is_loopback("http://LOCALHOST:80/x"));
    assert_true(is_loopback("http://s3.localhost"));
    assert_true(is_loopback("http://127.0.0.1:9000"));
    assert_true(is_loopback("http://127.255.1.2"));
    assert_true(is_loopback("http://[::1]:1"));
    assert_false(is_loopback("http://notlocalhost"));
    assert_false(is_loopback("http://localhost.example"));
    assert_false(is_loopback("http://127.0.0.1.example"));
    assert_false(is_loopback("http://128.0.0.1"));
    assert_false(is_loopback("http://0.0.0.0"));
    assert_false(is_loopback("http://169.254.169.254"));
    assert_false(is_loopback("http://[::]"));
    assert_false(is_loopback("http://[::ffff:127.0.0.1]"));
}

static void near_is_what_only_this_machine_can_mean(void **state)
{
    static const char *const yes[] = {
        "localhost",
        "LOCALHOST",
        "s3.localhost",
        "127.0.0.1",
        "127.255.1.2",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0.0.0.0",
        "169.254.169.254",
        "169.254.170.2",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fd00:ec2::254]",
        "[fd00:ec2:1::2]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.1.1]",
        "[0:0:0:0:0:0:0:1]",
    };
    static const char *const no[] = {
        "",
        "notlocalhost",
        "localhost.example",
        "127.0.0.1.example",
        "128.0.0.1",
        "169.253.1.1",
        "10.0.0.1",
        "minio",
        "[fd00:ec3::1]",
        "[2001:db8::1]",
        "[::ffff:10.0.0.1]",
        "[",
        "[]",
        "[x]",
        "s3.amazonaws.com",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!uri_is_near(yes[i]))
            fail_msg("%s is near", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (uri_is_near(no[i]))
            fail_msg("%s is not near", no[i]);
}

static void what_may_be_secret_is_masked(void **state)
{
    static const struct {
        const char *text, *masked;
    } cases[] = {
        {"", ""},
        {"my-bucket", "my-bucket"},
        {"https://minio:9000/base", "https://minio:9000/base"},
        {"https://user:hush@minio:9000/base", "https://****@minio:9000/base"},
        {"https://hush@minio", "https://****@minio"},
        {"https://user:hush/hush@hush@minio/x", "https://****@minio/x"},
        {"user:hush@minio:9000", "****@minio:9000"},
        {"https://minio/?token=hush", "https://minio/?****"},
        {"https://u:hush@minio/?token=hush", "https://****@minio/?****"},
        {"file:///srv/a@b?c", "file:///srv/a@b?c"},
        {"/srv/a@b", "/srv/a@b"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 200);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&out);
        assert_true(uri_mask(&out, cases[i].text));
        assert_string_equal(buf_str(&out), cases[i].masked);
    }
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoding_is_that_of_sigv4),
        cmocka_unit_test(encoding_stops_at_the_ceiling),
        cmocka_unit_test(decoding),
        cmocka_unit_test(every_byte_survives_a_round_trip),
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(what_is_no_such_url_is_refused),
        cmocka_unit_test(lengths_have_limits),
        cmocka_unit_test(the_default_port_is_left_out),
        cmocka_unit_test(loopback_is_this_machine),
        cmocka_unit_test(near_is_what_only_this_machine_can_mean),
        cmocka_unit_test(what_may_be_secret_is_masked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
