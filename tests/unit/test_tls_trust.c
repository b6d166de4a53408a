/* Where trust anchors come from: bundles of every kind, and the roots built in. */
#include "der_hand.h"

#include "log.h"
#include "tempdir.h"
#include "tls_internal.h"

#include "../data/rsa8192_der.h"
#include "../data/tls_chain.h"

#define SPAN(array) ((struct tls_span){array, sizeof array})

static char dir[TEMPDIR_SIZE];
static char path[256];
static FILE *log_file;

/* ---- bundles ---- */

static char *bundle;
static size_t bundle_len;

static void add_text(const char *text)
{
    memcpy(bundle + bundle_len, text, strlen(text));
    bundle_len += strlen(text);
}

/* A PEM block, with lines of `width` digits, each ended by `end`. */
static void add_block(const char *label, struct tls_span der, size_t width, const char *end)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char line[200];

    snprintf(line, sizeof line, "-----BEGIN %s-----%s", label, end);
    add_text(line);
    for (size_t i = 0, column = 0; i < der.len; i += 3) {
        unsigned long value = (unsigned long)der.data[i] << 16;

        value |= i + 1 < der.len ? (unsigned long)der.data[i + 1] << 8 : 0;
        value |= i + 2 < der.len ? der.data[i + 2] : 0;
        for (size_t j = 0; j < 4; j++) {
            bundle[bundle_len++] = i + j > der.len ? '=' : digits[value >> (18 - 6 * j) & 63];
            if (++column % width == 0)
                add_text(end);
        }
    }
    snprintf(line, sizeof line, "%s-----END %s-----%s", end, label, end);
    add_text(line);
}

static void add(struct tls_span der)
{
    add_block("CERTIFICATE", der, 64, "\n");
}

static struct tls_span with_aux(struct tls_span der, const char *aux)
{
    struct tls_span behind = bytes(aux);
    unsigned char *both = (unsigned char *)hand_take(der.len + behind.len);

    memcpy(both, der.data, der.len);
    memcpy(both + der.len, behind.data, behind.len);
    return (struct tls_span){both, der.len + behind.len};
}

static void save(void)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bundle, 1, bundle_len, file), bundle_len);
    assert_int_equal(fclose(file), 0);
}

static const char *logged(void)
{
    static char text[4096];

    rewind(log_file);
    text[fread(text, 1, sizeof text - 1, log_file)] = '\0';
    return text;
}

static int set_up(void **state)
{
    (void)state;
    hand_used = 0;
    bundle = calloc(1, (size_t)5 * 1024 * 1024);
    bundle_len = 0;
    tempdir_make(dir);
    snprintf(path, sizeof path, "%s/ca.pem", dir);
    log_file = tmpfile();
    if (bundle == NULL || log_file == NULL)
        return -1;
    log_to(fileno(log_file));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_to(2);
    fclose(log_file);
    tempdir_remove(dir);
    free(bundle);
    return 0;
}

/* How many anchors there are in what was added; 0: none, and an error that names the file. */
static size_t anchors(void)
{
    struct tls *tls = tls_new();
    struct error error = {0};
    const struct tls_trust *trust;
    size_t count = 0;

    assert_non_null(tls);
    save();
    trust = tls_trust(tls, path, &error);
    if (trust != NULL) {
        count = trust->count;
        assert_true(count > 0);
        assert_int_equal(error.kind, ERROR_NONE);
    } else {
        assert_int_equal(error.kind, ERROR_CONFIG);
        assert_non_null(strstr(error.text, path));
    }
    tls_free(tls);
    return count;
}

/* ---- a file's forms ---- */

static void test_forms(void **state)
{
    (void)state;
    add(SPAN(root_der));
    assert_int_equal(anchors(), 1);
    add_block("X509 CERTIFICATE", SPAN(middle_der), 76, "\n");
    add_block("CERTIFICATE", SPAN(root_der), 64, "\r\n");
    add_block("CERTIFICATE", SPAN(root_der), 100000, "\n");
    add_block("CERTIFICATE", SPAN(root_der), 1, "\n");
    add_block("CERTIFICATE", SPAN(root_der), 64, " \t\n  ");
    assert_int_equal(anchors(), 6);
    add_text("# a comment\nsubject=CN = x\n\n-----BEGIN\n----- BEGIN CERTIFICATE-----\n");
    add_block("PRIVATE KEY", SPAN(middle_der), 64, "\n");
    add_text("\n\xEF\xBB\xBF   ");
    add(SPAN(middle_der));
    bundle_len--; /* no final newline */
    assert_int_equal(anchors(), 7);
    assert_string_equal(logged(), "");
}

static void test_byte_order_mark(void **state)
{
    (void)state;
    add_text("\xEF\xBB\xBF");
    add(SPAN(root_der));
    assert_int_equal(anchors(), 1);
}

static void test_der_file(void **state)
{
    (void)state;
    memcpy(bundle, root_der, sizeof root_der);
    bundle_len = sizeof root_der;
    assert_int_equal(anchors(), 1);
    bundle_len--;
    assert_int_equal(anchors(), 0);
}

/* Each of them costs one certificate, and no other. */
static void test_damage(void **state)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----\n";
    struct tls_span longer = with_aux(SPAN(root_der), "0500");

    (void)state;
    add_text(begin);
    add_text("MIIB*\n-----END CERTIFICATE-----\n");
    add(SPAN(root_der));
    add_text(begin);
    add_text("MIIB\n");
    add(SPAN(middle_der)); /* the one before has no end */
    add_text(begin);
    add_text("MIIBA\n-----END CERTIFICATE-----\n");
    add_text(begin);
    add_text("MIIB=\n-----END CERTIFICATE-----\n");
    add_text(begin);
    add_text("MII=B\n-----END CERTIFICATE-----\n");
    add_text(begin);
    add_text("-----END CERTIFICATE-----\n");
    add(longer);
    add((struct tls_span){root_der, sizeof root_der - 1});
    add(SPAN(leaf_der));
    add_text(begin);
    add_text("MIIB\n-----END X509 CRL-----\n");
    add_text(begin);
    add_text("MIIB");
    assert_int_equal(anchors(), 3);
    assert_non_null(strstr(logged(), "left out 10 of its certificates: 10 damaged, 0 with"));
    assert_null(strstr(strstr(logged(), "left out") + 1, "left out"));
}

static void test_padding(void **state)
{
    char *end;

    (void)state;
    add(SPAN(root_der)); /* its length makes two of them */
    for (int left = 2; left >= 0; left--) {
        assert_int_equal(anchors(), left == 2);
        end = strstr(bundle, "\n-----END");
        memmove(end - 1, end, strlen(end) + 1);
        bundle_len--;
    }
}

static void test_what_cannot_be_used(void **state)
{
    struct tls_span ed25519 = hand_make(
        &(struct hand_cert){.key = T("30", "300506032B6570", T("03", "00", REPEAT("11", 32), NULL), NULL)});

    (void)state;
    add(SPAN(rsa8192_der));
    add(ed25519);
    assert_int_equal(anchors(), 0);
    add(SPAN(root_der));
    add(hand_make(&(struct hand_cert){.subject = T("30", REPEAT("3100", 511), NULL)}));
    add(hand_make(&(struct hand_cert){.key = hand_rsa_key(128, "010001")}));
    add(hand_make(&(struct hand_cert){.key = hand_ec_key("06052B8104000A", 65)})); /* secp256k1 */
    assert_int_equal(anchors(), 1);
    assert_non_null(strstr(logged(), "left out 5 of its certificates: 0 damaged, 5 with"));
}

static void test_trusted_certificates(void **state)
{
#define SERVER "06082B06010505070301"
#define EMAIL "06082B06010505070304"
    static const struct {
        const char *aux;
        bool trusted;
    } rows[] = {
        {"", true},
        {"3000", true},
        {"300C300A" SERVER, true},
        {"300C300A" EMAIL, false},
        {"300CA00A" SERVER, false},
        {"300CA00A" EMAIL, true},
        {"3018300A" SERVER "A00A" EMAIL, true},
        {"3018300A" EMAIL "A00A" SERVER, false},
        {"30030C0178", true}, /* an alias */
        {"0500", false},
        {"3001", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bundle_len = 0;
        add_block("TRUSTED CERTIFICATE", with_aux(SPAN(root_der), rows[i].aux), 64, "\n");
        assert_int_equal(anchors(), rows[i].trusted);
    }
    assert_string_equal(logged(), "");
}

static void test_files_that_are_none(void **state)
{
    struct tls *tls = tls_new();
    struct error error = {0};

    (void)state;
    assert_null(tls_trust(tls, path, &error));
    assert_int_equal(error.kind, ERROR_CONFIG);
    assert_non_null(strstr(error.text, "No such file"));
    assert_null(tls_trust(tls, dir, &error));
    assert_int_equal(error.kind, ERROR_CONFIG);
    assert_non_null(strstr(error.text, "Is a directory"));
    assert_int_equal(anchors(), 0);
    memset(bundle, '\n', (size_t)5 * 1024 * 1024);
    bundle_len = (size_t)4 * 1024 * 1024;
    add(SPAN(root_der));
    assert_null(tls_trust(tls, path, &error));
    assert_int_equal(anchors(), 0);
    bundle_len = (size_t)4 * 1024 * 1024 - 1000;
    add(SPAN(root_der));
    assert_int_equal(anchors(), 1);
    tls_free(tls);
}

/* ---- anchors ---- */

static void take_name(void *ctx, const void *data, size_t len)
{
    struct tls_span *name = ctx;

    memcpy((unsigned char *)(uintptr_t)name->data + name->len, data, len);
    name->len += len;
}

/* BearSSL's own decoder finds the same name, key and role. */
static void compare(const br_x509_trust_anchor *anchor, struct tls_span der)
{
    unsigned char data[1100];
    struct tls_span name = {data, 0};
    unsigned char hash[TLS_NAME_HASH];
    br_x509_decoder_context decoder;
    const br_x509_pkey *key;

    br_x509_decoder_init(&decoder, take_name, &name);
    br_x509_decoder_push(&decoder, der.data, der.len);
    key = br_x509_decoder_get_pkey(&decoder);
    assert_non_null(key);
    tls_name_hash(name, hash);
    assert_int_equal(anchor->dn.len, TLS_NAME_HASH);
    assert_memory_equal(anchor->dn.data, hash, TLS_NAME_HASH);
    assert_int_equal(anchor->flags, br_x509_decoder_isCA(&decoder) ? BR_X509_TA_CA : 0);
    assert_int_equal(anchor->pkey.key_type, key->key_type);
    if (key->key_type == BR_KEYTYPE_EC) {
        assert_int_equal(anchor->pkey.key.ec.curve, key->key.ec.curve);
        assert_true(tls_span_equal((struct tls_span){anchor->pkey.key.ec.q, anchor->pkey.key.ec.qlen},
                                   (struct tls_span){key->key.ec.q, key->key.ec.qlen}));
    } else {
        assert_true(tls_span_equal((struct tls_span){anchor->pkey.key.rsa.n, anchor->pkey.key.rsa.nlen},
                                   (struct tls_span){key->key.rsa.n, key->key.rsa.nlen}));
        assert_true(tls_span_equal((struct tls_span){anchor->pkey.key.rsa.e, anchor->pkey.key.rsa.elen},
                                   (struct tls_span){key->key.rsa.e, key->key.rsa.elen}));
    }
}

static void test_anchors(void **state)
{
    struct tls_span rsa = hand_make(&(struct hand_cert){.extensions = hand_extension("13", "", "30030101FF"),
                                                        .key = hand_rsa_key(512, "03")});
    struct tls *tls = tls_new();
    struct error error = {0};
    const struct tls_trust *trust;

    (void)state;
    add(SPAN(root_der));
    add(rsa);
    add(SPAN(leaf_der));
    save();
    trust = tls_trust(tls, path, &error);
    assert_non_null(trust);
    assert_int_equal(trust->count, 3);
    compare(&trust->anchors[0], SPAN(root_der));
    compare(&trust->anchors[1], rsa);
    compare(&trust->anchors[2], SPAN(leaf_der)); /* trusted itself, but not to sign others */
    /* Read once: it is the same, whatever became of the file. */
    assert_int_equal(remove(path), 0);
    assert_ptr_equal(tls_trust(tls, path, &error), trust);
    tls_free(tls);
}

static void test_roots_built_in(void **state)
{
    size_t count = tls_roots_count();
    br_x509_trust_anchor *roots = calloc(count + 1, sizeof *roots);
    size_t curves = 0;

    (void)state;
    assert_non_null(roots);
    if (count == 0) { /* make ROOTS=no */
        assert_string_equal(tls_roots_version(), "");
        free(roots);
        return;
    }
    assert_true(count > 100 && strlen(tls_roots_version()) >= 8);
    tls_roots_fill(roots);
    for (size_t i = 0; i < count; i++) {
        const br_x509_pkey *key = &roots[i].pkey;

        assert_int_equal(roots[i].dn.len, TLS_NAME_HASH);
        assert_int_equal(roots[i].flags, BR_X509_TA_CA);
        if (key->key_type == BR_KEYTYPE_RSA) {
            assert_true(key->key.rsa.nlen >= 256 && key->key.rsa.nlen <= 512 && key->key.rsa.n[0] >= 0x80);
            assert_true(key->key.rsa.elen >= 1 && key->key.rsa.elen <= 3);
        } else {
            assert_int_equal(key->key_type, BR_KEYTYPE_EC);
            assert_int_equal(key->key.ec.q[0], 4);
            curves++;
        }
    }
    assert_true(curves > 10 && curves < count);
    free(roots);
}

/* ---- which file ---- */

static void test_which_file(void **state)
{
    char text[300];

    (void)state;
    setenv("SSL_CERT_FILE", "/of/the/environment.pem", 1);
    assert_string_equal(tls_file("/own.pem"), "/own.pem");
    assert_string_equal(tls_file(""), "/of/the/environment.pem");
    assert_string_equal(tls_file(NULL), "/of/the/environment.pem");
    tls_describe("", text, sizeof text);
    assert_string_equal(text, "/of/the/environment.pem");
    setenv("SSL_CERT_FILE", "", 1);
    tls_describe(NULL, text, sizeof text);
    if (tls_file(NULL) != NULL) {
        assert_int_equal(access(tls_file(NULL), R_OK), 0);
        assert_string_equal(text, tls_file(NULL));
    } else if (tls_roots_count() > 0) {
        assert_non_null(strstr(text, "built in (ca-certificates "));
    } else {
        assert_string_equal(text, "none");
    }
    unsetenv("SSL_CERT_FILE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_byte_order_mark, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_der_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_padding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trusted_certificates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_anchors, set_up, tear_down),
        cmocka_unit_test(test_roots_built_in),
        cmocka_unit_test(test_which_file),
    };
    return cmocka_run_group_tests_name("tls_trust", tests, NULL, NULL);
}
