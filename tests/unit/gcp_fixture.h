/*
 * gcp_fixture - credentials of Google's in an environment where nothing is set, on top of creds_fixture.h, and a key
 * that is public.
 */
#ifndef STORSYNC_GCP_FIXTURE_H
#define STORSYNC_GCP_FIXTURE_H

#include "creds_fixture.h"

#include "gcp_internal.h"

/* The key of RFC 7515, appendix A.2, in PKCS#8, as a JSON text has it. */
#define GCP_TEST_KEY                                                                                         \
    "-----BEGIN PRIVATE KEY-----\\n"                                                                         \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\\n"                                    \
    "jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\\n"                                    \
    "aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\\n"                                    \
    "juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\\n"                                    \
    "ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\\n"                                    \
    "toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\\n"                                    \
    "VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\\n"                                    \
    "PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\\n"                                    \
    "O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\\n"                                    \
    "kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\\n"                                    \
    "XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\\n"                                    \
    "4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\\n"                                    \
    "pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\\n"                                    \
    "0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\\n"                                    \
    "lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\\n"                                    \
    "kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\\n"                                    \
    "rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\\n"                                    \
    "kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\\n"                                    \
    "5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\\n"                                    \
    "9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\\n"                                    \
    "evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\\n"                                    \
    "yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\\n"                                    \
    "OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\\n"                                    \
    "tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\\n"                                    \
    "ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\\n"                                    \
    "03k2+ZQwVK0JKSHuLFkuQ3U=\\n"                                                                            \
    "-----END PRIVATE KEY-----\\n"

struct gcp_fixture {
    struct fixture base;
    struct gcp *gcp;
    const char *bearer;
    unsigned generation;
};

static inline int gcp_set_up(void **state)
{
    static const char *const unset[] = {
        "STORAGE_EMULATOR_HOST",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CLOUDSDK_CONFIG",
        "REPL_ID",
        "REPL_OWNER",
        "GCE_METADATA_HOST",
        "GCE_METADATA_ROOT",
        "NO_GCE_CHECK",
        "GOOGLE_CLOUD_QUOTA_PROJECT",
    };
    struct gcp_fixture *f = calloc(1, sizeof *f);
    void *base = NULL;

    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++)
        unsetenv(unset[i]);
    if (f == NULL || set_up(&base) != 0)
        return -1;
    memcpy(&f->base, base, sizeof f->base);
    free(base);
    *state = f;
    return 0;
}

static inline int gcp_tear_down(void **state)
{
    struct gcp_fixture *f = *state;
    void *base = f;

    gcp_close(f->gcp);
    return tear_down(&base); /* frees f, whose first member it is */
}

static inline bool open_gcp(struct gcp_fixture *f)
{
    gcp_close(f->gcp);
    f->gcp = gcp_open(&f->base.side, f->base.http, &f->base.error);
    assert_true((f->gcp == NULL) == (f->base.error.kind != ERROR_NONE));
    return f->gcp != NULL;
}

/* Writes a file and says that it is the one. */
static inline void put_key_file(struct gcp_fixture *f, const char *text)
{
    assert_true(tempdir_file(f->base.dir, "key.json", text));
    setenv("GOOGLE_APPLICATION_CREDENTIALS", tempdir_path(f->base.dir, "key.json"), 1);
}

/* As a request in http does. */
static inline const char *ask_bearer(struct gcp_fixture *f)
{
    int64_t limit = clock_mono() + 60000;

    while (!gcp_ready(f->gcp)) {
        assert_true(clock_mono() < limit);
        http_step(f->base.http, 1000);
    }
    f->bearer = gcp_bearer(f->gcp, &f->generation, &f->base.error);
    return f->bearer;
}

static inline void assert_bearer(struct gcp_fixture *f, const char *bearer, unsigned generation)
{
    if (ask_bearer(f) == NULL)
        print_error("%s\n", f->base.error.text);
    assert_non_null(f->bearer);
    assert_string_equal(f->bearer, bearer);
    assert_int_equal(f->generation, generation);
}

static inline void assert_no_bearer(struct gcp_fixture *f, enum error_kind kind, const char *part)
{
    assert_null(ask_bearer(f));
    if (f->base.error.kind != kind || strstr(f->base.error.text, part) == NULL)
        print_error("error %s: %s\n", error_kind_name(f->base.error.kind), f->base.error.text);
    assert_int_equal(f->base.error.kind, kind);
    assert_non_null(strstr(f->base.error.text, part));
}

/* It cannot be right. */
static inline void assert_gcp_refused(struct gcp_fixture *f, const char *part)
{
    assert_false(open_gcp(f));
    if (f->base.error.kind != ERROR_CONFIG || strstr(f->base.error.text, part) == NULL)
        print_error("error %s: %s\n", error_kind_name(f->base.error.kind), f->base.error.text);
    assert_int_equal(f->base.error.kind, ERROR_CONFIG);
    assert_non_null(strstr(f->base.error.text, part));
}

static inline void assert_seen(struct gcp_fixture *f, const char *part)
{
    if (strstr(buf_str(&f->base.server.seen), part) == NULL)
        print_error("not in what was seen: %s\n%s\n", part, buf_str(&f->base.server.seen));
    assert_non_null(strstr(buf_str(&f->base.server.seen), part));
}

#endif
