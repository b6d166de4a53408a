/*
 * creds_fixture - credentials of a side in an environment where nothing is set, and a service that plays a script.
 */
#ifndef STORSYNC_CREDS_FIXTURE_H
#define STORSYNC_CREDS_FIXTURE_H

#include "creds.h"
#include "http_probe.h"
#include "loop.h"
#include "tempdir.h"

/* One answer on a connection of its own. */
#define ANSWER(text_) ACCEPT, REQUEST, SEND(text_), HANG_UP

#define HEAD_OF(status_)                                                                                     \
    "HTTP/1.1 " status_ "\r\nDate: Sun, 22 Nov 2026 18:00:00 GMT\r\nConnection: close\r\n\r\n"

/* An answer of STS, to `action`, with a key that lives until 18:`until` of the day that HEAD_OF says. */
#define STS_KEY(action_, id_, until_)                                                                        \
    HEAD_OF("200 OK")                                                                                        \
    "<" action_ "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" action_                     \
    "Result><Credentials><AccessKeyId>" id_ "</AccessKeyId><SecretAccessKey>secret-of-" id_                  \
    "</SecretAccessKey><SessionToken>session-of-" id_ "</SessionToken><Expiration>2026-11-22T18:" until_     \
    "Z</Expiration></Credentials></" action_ "Result></" action_ "Response>"
#define WEB_KEY(id_, until_) STS_KEY("AssumeRoleWithWebIdentity", id_, until_)

#define STS_ERROR(status_, code_, message_)                                                                  \
    HEAD_OF(status_)                                                                                         \
    "<ErrorResponse><Error><Type>Sender</Type><Code>" code_ "</Code><Message>" message_                      \
    "</Message></Error><RequestId>r</RequestId></ErrorResponse>"

struct fixture {
    char dir[TEMPDIR_SIZE];
    char url[64];    /* of the service */
    char s3_url[64]; /* of the one that the key is for */
    char token[128]; /* path of the file with it */
    struct side side;
    struct server server;
    bool serving;
    struct loop *loop;
    struct http *http; /* the loop's */
    struct creds *creds;
    struct creds_key key;
    struct error error;
};

static inline int set_up(void **state)
{
    static const char *const unset[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    };
    struct http_limits limits = limits_of(4, 30000, 1);
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++)
        unsetenv(unset[i]);
    tempdir_make(f->dir);
    setenv("HOME", f->dir, 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    f->side = (struct side){.bucket = "bucket",
                            .endpoint = "",
                            .region = "",
                            .profile = "",
                            .access_key_id = "",
                            .secret_access_key = "",
                            .session_token = "",
                            .role_arn = "",
                            .web_identity_token_file = "",
                            .role_session_name = "",
                            .sts_endpoint = "",
                            .ca_file = ""};
    f->loop = loop_new(&limits, &f->error);
    assert_non_null(f->loop);
    f->http = loop_http(f->loop);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;

    creds_close(f->creds);
    loop_free(f->loop);
    if (f->serving) {
        assert_true(server_finish(&f->server));
        buf_free(&f->server.seen);
    }
    tempdir_remove(f->dir);
    free(f);
    return 0;
}

static inline void serve(struct fixture *f, const struct act *script)
{
    server_start(&f->server, script);
    f->serving = true;
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d", f->server.port);
}

static inline bool open_creds(struct fixture *f)
{
    creds_close(f->creds);
    f->creds = creds_open(&f->side, f->http, &f->error);
    assert_true((f->creds == NULL) == (f->error.kind != ERROR_NONE));
    return f->creds != NULL;
}

/* It cannot be right. */
static inline void assert_refused(struct fixture *f, const char *part)
{
    assert_false(open_creds(f));
    if (f->error.kind != ERROR_CONFIG || strstr(f->error.text, part) == NULL)
        print_error("error %s: %s\n", error_kind_name(f->error.kind), f->error.text);
    assert_int_equal(f->error.kind, ERROR_CONFIG);
    assert_non_null(strstr(f->error.text, part));
}

/* Asks until there is an answer, as a request in http does. */
static inline enum creds_state ask(struct fixture *f)
{
    int64_t limit = clock_mono() + 60000;
    enum creds_state state;

    while ((state = creds_get(f->creds, &f->key, &f->error)) == CREDS_PENDING) {
        assert_true(clock_mono() < limit);
        http_step(f->http, 1000);
    }
    return state;
}

static inline void assert_key(struct fixture *f, const char *id, unsigned generation)
{
    enum creds_state state = ask(f);

    if (state != CREDS_READY)
        print_error("%s\n", f->error.text);
    assert_int_equal(state, CREDS_READY);
    assert_string_equal(f->key.access_key_id, id);
    assert_int_equal(f->key.generation, generation);
}

static inline void assert_failed(struct fixture *f, enum error_kind kind, const char *part)
{
    assert_int_equal(ask(f), CREDS_FAILED);
    if (f->error.kind != kind || strstr(f->error.text, part) == NULL)
        print_error("error %s: %s\n", error_kind_name(f->error.kind), f->error.text);
    assert_int_equal(f->error.kind, kind);
    assert_non_null(strstr(f->error.text, part));
}

static inline void let_pass(struct fixture *f, int64_t ms)
{
    int64_t until = clock_mono() + ms;

    for (int64_t now; (now = clock_mono()) < until;)
        http_step(f->http, (int)(until - now));
}

/* Asks until the key has another generation; meanwhile there must always be one. */
static inline void await_generation(struct fixture *f, unsigned generation)
{
    int64_t limit = clock_mono() + 60000;

    do {
        assert_int_equal(creds_get(f->creds, &f->key, &f->error), CREDS_READY);
        assert_true(clock_mono() < limit);
        http_step(f->http, 20);
    } while (f->key.generation != generation);
}

static inline void put_token(struct fixture *f, const char *text)
{
    snprintf(f->token, sizeof f->token, "%s/token", f->dir);
    assert_true(tempdir_file(f->dir, "token", text));
}

/* A side with a role and a token, and a service for both. */
static inline void open_web(struct fixture *f, const struct act *script)
{
    serve(f, script);
    put_token(f, "ey.first.token\n");
    f->side.role_arn = "arn:aws:iam::1:role/r";
    f->side.web_identity_token_file = f->token;
    f->side.sts_endpoint = f->url;
    assert_true(open_creds(f));
}

#endif
