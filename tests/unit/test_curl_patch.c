/*
 * Our patch to libcurl, deps/patches/curl/handshake-by-application.patch: without somebody who sets up the
 * handshake and judges the server there is no connection. (What such a somebody gets is tested by everything
 * that speaks https.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <bearssl.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A port where connections are accepted, by the kernel, and nothing else. */
static int listen_somewhere(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* What becomes of a request with this callback. */
static CURLcode get(const char *host, curl_ssl_ctx_callback callback, void *ctx)
{
    CURL *easy = curl_easy_init();
    char url[600];
    int port;
    int fd = listen_somewhere(&port);
    CURLcode code;

    assert_non_null(easy);
    snprintf(url, sizeof url, "https://%s:%d/", host, port);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 30000L);
    /* This does not help. */
    curl_easy_setopt(easy, CURLOPT_CAINFO, "/etc/ssl/certs/ca-certificates.crt");
    if (callback != NULL) {
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, callback);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, ctx);
    }
    code = curl_easy_perform(easy);
    curl_easy_cleanup(easy);
    close(fd);
    return code;
}

static void nobody(void **state)
{
    (void)state;
    assert_int_equal(get("localhost", NULL, NULL), CURLE_SSL_CONNECT_ERROR);
}

/* Notes the host, and sets up nothing. */
static CURLcode look(CURL *easy, void *client, void *ctx)
{
    (void)easy;
    snprintf(ctx, 256, "%s", ((br_ssl_client_context *)client)->eng.server_name);
    return CURLE_OK;
}

static void somebody_who_does_nothing(void **state)
{
    char host[256] = "";

    (void)state;
    assert_int_equal(get("a.localhost", look, host), CURLE_SSL_CONNECT_ERROR);
    assert_string_equal(host, "a.localhost");
    assert_int_equal(get("127.0.0.1", look, host), CURLE_SSL_CONNECT_ERROR);
    assert_string_equal(host, "127.0.0.1");
}

static CURLcode refuse(CURL *easy, void *client, void *ctx)
{
    (void)easy;
    (void)client;
    (void)ctx;
    return CURLE_ABORTED_BY_CALLBACK;
}

static void somebody_who_refuses(void **state)
{
    (void)state;
    assert_int_equal(get("localhost", refuse, NULL), CURLE_ABORTED_BY_CALLBACK);
}

static void a_host_that_is_too_long(void **state)
{
    char host[300];

    (void)state;
    memset(host, 'a', sizeof host);
    for (size_t i = 50; i < sizeof host; i += 50)
        host[i] = '.';
    strcpy(host + 260, ".localhost"); /* which libcurl does not ask a name server for */
    assert_int_not_equal(get(host, look, host), CURLE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody),
        cmocka_unit_test(somebody_who_does_nothing),
        cmocka_unit_test(somebody_who_refuses),
        cmocka_unit_test(a_host_that_is_too_long),
    };
    return cmocka_run_group_tests_name("curl_patch", tests, NULL, NULL);
}
