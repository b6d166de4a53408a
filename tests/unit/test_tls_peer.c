/* The judge of a handshake, fed as BearSSL does, and what is said when it says no. */
#include "der_hand.h"

#include "clock.h"
#include "tls_internal.h"

#include "../data/rsa8192_der.h"
#include "../data/tls_chain.h"

#define DAY INT64_C(86400000)

struct fixture {
    struct tls *tls;
    struct tls_peer *peer;
    struct tls_trust *trust;
    unsigned char name_hash[TLS_NAME_HASH]; /* the anchor's */
    br_ssl_client_context client;
    char text[480];
};

/* An anchor; `der` stays. */
static void trust_in(struct fixture *fixture, struct tls_span der, unsigned flags)
{
    br_x509_trust_anchor *anchor = fixture->trust->anchors;
    struct tls_cert cert;

    assert_true(tls_cert_parse(der, &cert));
    tls_name_hash(cert.subject, fixture->name_hash);
    anchor->dn = (br_x500_name){fixture->name_hash, TLS_NAME_HASH};
    anchor->flags = flags;
    anchor->pkey.key_type = BR_KEYTYPE_EC;
    anchor->pkey.key.ec = (br_ec_public_key){cert.curve, (unsigned char *)(uintptr_t)cert.q.data, cert.q.len};
}

static void begin(struct fixture *fixture, const char *host)
{
    br_ssl_client_zero(&fixture->client);
    strcpy(fixture->client.eng.server_name, host);
    tls_begin(fixture->tls, fixture->peer, fixture->trust, &fixture->client);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    *state = fixture;
    if (fixture == NULL)
        return -1;
    fixture->tls = tls_new();
    fixture->peer = tls_peer_new();
    fixture->trust = calloc(1, sizeof *fixture->trust + sizeof fixture->trust->anchors[0]);
    if (fixture->tls == NULL || fixture->peer == NULL || fixture->trust == NULL)
        return -1;
    fixture->trust->count = 1;
    fixture->trust->file = strdup("/ca.pem");
    trust_in(fixture, (struct tls_span){root_der, sizeof root_der}, BR_X509_TA_CA);
    begin(fixture, "a.example");
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    tls_peer_free(fixture->peer);
    tls_free(fixture->tls);
    free(fixture->trust->file);
    free(fixture->trust);
    free(fixture);
    return 0;
}

/* The verdict on these certificates, and the words for it. */
static unsigned judge(struct fixture *fixture, const struct tls_span *chain, size_t count)
{
    const br_x509_class **class = &fixture->peer->vtable;
    unsigned code;

    (*class)->start_chain(class, "a.name.that.does.not.matter");
    for (size_t i = 0; i < count; i++) {
        (*class)->start_cert(class, (uint32_t)chain[i].len);
        for (size_t at = 0; at < chain[i].len; at += 100) {
            size_t left = chain[i].len - at;

            (*class)->append(class, chain[i].data + at, left < 100 ? left : 100);
        }
        (*class)->end_cert(class);
    }
    code = (*class)->end_chain(class);
    fixture->text[0] = '\0';
    if (code != 0)
        assert_false(tls_explain(fixture->peer, (int)code, fixture->text, sizeof fixture->text));
    assert_true((code == 0) == ((*class)->get_pkey(class, NULL) != NULL) || code == BR_ERR_X509_NOT_TRUSTED);
    return code;
}

#define LEAF                                                                                                 \
    {                                                                                                        \
        leaf_der, sizeof leaf_der                                                                            \
    }
#define MIDDLE                                                                                               \
    {                                                                                                        \
        middle_der, sizeof middle_der                                                                        \
    }
#define ROOT                                                                                                 \
    {                                                                                                        \
        root_der, sizeof root_der                                                                            \
    }
#define JUDGE(fixture, ...)                                                                                  \
    judge(fixture, (const struct tls_span[]){__VA_ARGS__},                                                   \
          sizeof((const struct tls_span[]){__VA_ARGS__}) / sizeof(struct tls_span))

static void assert_says(const struct fixture *fixture, const char *part)
{
    if (strstr(fixture->text, part) == NULL)
        print_error("it says: %s\n", fixture->text);
    assert_non_null(strstr(fixture->text, part));
}

/* ---- verdicts ---- */

static void test_good_chains(void **state)
{
    struct fixture *fixture = *state;
    static const char *const hosts[] = {"a.example", "A.EXAMPLE.", "x.b.example",
                                        "127.0.0.1", "::1",        "[::1]"};

    struct tls_span longer[100] = {LEAF, MIDDLE};

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        begin(fixture, hosts[i]);
        assert_int_equal(JUDGE(fixture, LEAF, MIDDLE), 0);
        assert_int_equal(JUDGE(fixture, LEAF, MIDDLE, ROOT), 0);
    }
    assert_int_equal(JUDGE(fixture, LEAF, MIDDLE, ROOT, ROOT, ROOT, ROOT, ROOT, ROOT), 0);
    /* What comes after the verdict does not count. */
    for (size_t i = 2; i < sizeof longer / sizeof *longer; i++)
        longer[i] = (struct tls_span)ROOT;
    assert_int_equal(judge(fixture, longer, sizeof longer / sizeof *longer), 0);
    /* An intermediate is as good an anchor. */
    trust_in(fixture, (struct tls_span)MIDDLE, BR_X509_TA_CA);
    begin(fixture, "a.example");
    assert_int_equal(JUDGE(fixture, LEAF), 0);
    /* And so is the certificate itself. */
    trust_in(fixture, (struct tls_span)LEAF, 0);
    begin(fixture, "a.example");
    assert_int_equal(JUDGE(fixture, LEAF), 0);
    begin(fixture, "c.example");
    assert_int_equal(JUDGE(fixture, LEAF), BR_ERR_X509_BAD_SERVER_NAME);
}

static void test_other_names(void **state)
{
    struct fixture *fixture = *state;
    static const char *const hosts[] = {"c.example", "b.example", "x.y.b.example", "127.0.0.2", "leaf", ""};

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        begin(fixture, hosts[i]);
        assert_int_equal(JUDGE(fixture, LEAF, MIDDLE), BR_ERR_X509_BAD_SERVER_NAME);
        assert_says(fixture,
                    "the certificate is for the name a.example, *.b.example, 127.0.0.1, ::1, not for ");
        assert_says(fixture, hosts[i]);
    }
    /* The next chain begins anew. */
    strcpy(fixture->peer->host, "a.example");
    assert_int_equal(JUDGE(fixture, LEAF, MIDDLE), 0);
}

static void test_dates(void **state)
{
    struct fixture *fixture = *state;

    fixture->peer->now = clock_parse_rfc3339("2019-12-31T23:59:59Z");
    br_x509_minimal_set_time(&fixture->peer->minimal, (uint32_t)(fixture->peer->now / DAY) + 719528, 86399);
    assert_int_equal(JUDGE(fixture, LEAF, MIDDLE), BR_ERR_X509_EXPIRED);
    assert_says(fixture,
                "the certificate of \"leaf\" is not yet valid, it begins on 2020-01-01: check the clock");
    fixture->peer->now = clock_parse_rfc3339("2100-01-01T00:00:01Z");
    br_x509_minimal_set_time(&fixture->peer->minimal, (uint32_t)(fixture->peer->now / DAY) + 719528, 1);
    assert_int_equal(JUDGE(fixture, LEAF, MIDDLE), BR_ERR_X509_EXPIRED);
    assert_says(fixture, "the certificate of \"leaf\" expired on 2100-01-01: check the clock");
    fixture->peer->now = clock_parse_rfc3339("2099-12-31T23:59:59Z");
    br_x509_minimal_set_time(&fixture->peer->minimal, (uint32_t)(fixture->peer->now / DAY) + 719528, 86399);
    assert_int_equal(JUDGE(fixture, LEAF, MIDDLE), 0);
}

/* What the machine's clock says is what counts. */
static void test_time_is_set(void **state)
{
    struct fixture *fixture = *state;
    int64_t now = clock_wall();

    assert_true(now - fixture->peer->now < DAY && now >= fixture->peer->now);
    assert_int_equal(fixture->peer->minimal.days, fixture->peer->now / DAY + 719528);
    assert_int_equal(fixture->peer->minimal.seconds, fixture->peer->now % DAY / 1000);
}

static void test_trust(void **state)
{
    struct fixture *fixture = *state;
    unsigned char forged[sizeof leaf_der];
    struct tls_span circle[17];

    assert_int_equal(JUDGE(fixture, LEAF), BR_ERR_X509_NOT_TRUSTED);
    assert_says(
        fixture,
        "the certificate of \"leaf\" is signed by \"middle\", which is not among the 1 authorities of /ca.pem: set ca_file");
    assert_says(fixture, "intermediate");
    memcpy(forged, leaf_der, sizeof forged);
    forged[sizeof forged - 1] ^= 1;
    assert_int_equal(JUDGE(fixture, {forged, sizeof forged}, MIDDLE), BR_ERR_X509_BAD_SIGNATURE);
    assert_says(fixture, "was not signed with its key");
    assert_int_equal(JUDGE(fixture, LEAF, ROOT), BR_ERR_X509_DN_MISMATCH);
    assert_says(fixture, "wrong order");
    assert_says(fixture, "after \"leaf\" comes \"root\"");
    for (size_t i = 2; i < sizeof circle / sizeof *circle; i++)
        circle[i] = (struct tls_span)ROOT;
    assert_int_equal(judge(fixture, NULL, 0), BR_ERR_X509_EMPTY_CHAIN);
    assert_says(fixture, "no certificate");
    /* Another root with the same name. */
    trust_in(fixture, (struct tls_span)LEAF, BR_X509_TA_CA);
    tls_name_hash((struct tls_span){NULL, 0}, fixture->name_hash);
    begin(fixture, "a.example");
    assert_int_equal(JUDGE(fixture, LEAF, MIDDLE, ROOT), BR_ERR_X509_NOT_TRUSTED);
    assert_says(fixture, "ends with an authority that is not trusted: \"root\" is self-signed");
    circle[0] = (struct tls_span)LEAF;
    circle[1] = (struct tls_span)MIDDLE;
    assert_int_equal(judge(fixture, circle, 16), BR_ERR_X509_NOT_TRUSTED);
    assert_says(fixture, "ends with an authority that is not trusted");
    assert_int_equal(judge(fixture, circle, 17), BR_ERR_X509_NOT_TRUSTED);
    assert_says(fixture, "a chain of 17 certificates");
    trust_in(fixture, (struct tls_span)LEAF, BR_X509_TA_CA);
    trust_in(fixture, (struct tls_span)ROOT, BR_X509_TA_CA);
    fixture->trust->anchors[0].pkey.key.ec.q = (unsigned char *)(uintptr_t)bytes(REPEAT("04", 65)).data;
    begin(fixture, "a.example");
    assert_int_equal(JUDGE(fixture, LEAF, MIDDLE), BR_ERR_X509_NOT_TRUSTED);
    assert_says(fixture, "not signed with the key");
}

/* The server's own certificate in the hands of an anchor for direct trust, so that no signature is needed. */
static unsigned judge_own(struct fixture *fixture, struct hand_cert hand)
{
    struct tls_span der;
    const char *extensions = hand.extensions;

    hand.key = hand_ec_key(P256_OID, 65);
    hand.extensions = NULL;
    trust_in(fixture, hand_make(&hand), 0);
    hand.extensions = extensions;
    der = hand_make(&hand);
    begin(fixture, "a.example");
    return JUDGE(fixture, der);
}

#define SAN hand_extension("11", "", T("30", T("82", X("a.example"), NULL), NULL))

static const char *with_names(const char *more)
{
    return hand_join(SAN, more);
}

static void test_own_certificate(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(judge_own(fixture, (struct hand_cert){.extensions = SAN}), 0);
    assert_int_equal(judge_own(fixture, (struct hand_cert){.subject = hand_name("03", "0C", "a.example")}),
                     BR_ERR_X509_BAD_SERVER_NAME);
    assert_says(fixture, "the certificate of \"a.example\" has no subjectAltName");
    assert_int_equal(
        judge_own(fixture, (struct hand_cert){.extensions = with_names(hand_extension(
                                                  "25", "", T("30", "06082B06010505070302", NULL)))}),
        BR_ERR_X509_FORBIDDEN_KEY_USAGE);
    assert_says(fixture, "not for server authentication, only for client authentication");
    assert_int_equal(
        judge_own(fixture, (struct hand_cert){.extensions = with_names(hand_extension("25", "", "3000"))}),
        BR_ERR_X509_FORBIDDEN_KEY_USAGE);
    assert_says(fixture, "not for server authentication (");
    assert_int_equal(judge_own(fixture, (struct hand_cert){.extensions = with_names(hand_extension(
                                                               "25", "", T("30", "0604551D2500", NULL)))}),
                     0);
    assert_int_equal(judge_own(fixture, (struct hand_cert){.extensions = with_names(
                                                               hand_extension("0F", "", "03020520"))}),
                     BR_ERR_X509_FORBIDDEN_KEY_USAGE);
    assert_says(fixture, "digital signatures");
    assert_int_equal(judge_own(fixture, (struct hand_cert){.extensions = with_names(
                                                               hand_extension("1E", "0101FF", "3000"))}),
                     BR_ERR_X509_CRITICAL_EXTENSION);
    assert_says(fixture, "name constraints");
    assert_int_equal(judge_own(fixture, (struct hand_cert){.extensions = with_names(
                                                               hand_extension("24", "0101FF", "3000"))}),
                     BR_ERR_X509_CRITICAL_EXTENSION);
    assert_says(fixture, "critical extensions that are not known");
    /* What BearSSL does not mind, but we do: the same extension twice. */
    assert_int_equal(judge_own(fixture, (struct hand_cert){.extensions = with_names(SAN)}),
                     BR_ERR_X509_INVALID_VALUE);
    assert_says(fixture, "damaged");
}

/* As a leaf of a chain: what BearSSL comes to before it gets to trust. */
static void test_keys_and_signatures(void **state)
{
    struct fixture *fixture = *state;
    const char *san = SAN;
    const struct {
        struct hand_cert hand;
        unsigned code;
        const char *text;
    } rows[] = {
        {{.extensions = san, .key = hand_rsa_key(128, "010001")},
         BR_ERR_X509_WEAK_PUBLIC_KEY,
         "an RSA key of 1024 bits, which is too short"},
        {{.extensions = san, .outer = SHA1_RSA},
         BR_ERR_X509_UNSUPPORTED,
         "signed with SHA-1, which is not safe"},
        {{.extensions = san, .outer = "300D06092A864886F70D0101040500"}, BR_ERR_X509_UNSUPPORTED, "with MD5"},
        {{.extensions = san, .outer = "300B06092A864886F70D01010A"}, BR_ERR_X509_UNSUPPORTED, "with RSA-PSS"},
        {{.extensions = san, .outer = "300506032B6570"}, BR_ERR_X509_UNSUPPORTED, "not supported"},
        {{.extensions = san, .key = T("30", "300506032B6570", T("03", "00", REPEAT("11", 32), NULL), NULL)},
         BR_ERR_X509_UNSUPPORTED,
         "a kind of key that is not supported"},
        {{.extensions = san, .signature = T("03", "00", REPEAT("55", 1024), NULL)},
         BR_ERR_X509_LIMIT_EXCEEDED,
         "is signed by \"issuer\" with an RSA key of 8192 bits"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(JUDGE(fixture, hand_make(&rows[i].hand)), rows[i].code);
        assert_says(fixture, rows[i].text);
    }
    begin(fixture, "a.example");
    assert_int_equal(JUDGE(fixture, {rsa8192_der, sizeof rsa8192_der}), BR_ERR_X509_LIMIT_EXCEEDED);
    assert_says(fixture, "\"RSA 8192 test\" has an RSA key of 8192 bits");
}

static void test_certificates_too_large(void **state)
{
    struct fixture *fixture = *state;
    const char *padding = hand_extension("0E", "", T("04", REPEAT("11", 33000), NULL));

    assert_int_equal(judge_own(fixture, (struct hand_cert){.extensions = with_names(padding)}),
                     BR_ERR_X509_LIMIT_EXCEEDED);
    assert_says(fixture, "more than 32 KiB");
    padding = hand_extension("0E", "", T("04", REPEAT("11", 32000), NULL));
    assert_int_equal(judge_own(fixture, (struct hand_cert){.extensions = with_names(padding)}), 0);
    /* Nothing is left over from one chain to the next. */
    trust_in(fixture, (struct tls_span)ROOT, BR_X509_TA_CA);
    begin(fixture, "a.example");
    assert_int_equal(JUDGE(fixture, LEAF, MIDDLE), 0);
}

static void test_garbage(void **state)
{
    struct fixture *fixture = *state;

    assert_int_not_equal(JUDGE(fixture, bytes("30030201")), 0);
    assert_says(fixture, "damaged");
    assert_int_not_equal(JUDGE(fixture, bytes("")), 0);
    assert_says(fixture, "damaged");
    assert_int_not_equal(JUDGE(fixture, {leaf_der, sizeof leaf_der - 1}), 0);
    assert_says(fixture, "damaged");
}

/* ---- the rest of what is said ---- */

static void test_explanations(void **state)
{
    static const struct {
        int code;
        bool retryable;
        const char *text;
    } rows[] = {
        {0, true, "the connection broke during the TLS handshake"},
        {256 + 70, false, "only TLS 1.3"},
        {256 + 40, false, "ciphers and curves"},
        {256 + 112, false, "no certificate for that name"},
        {256 + 42, false, "client certificate"},
        {256 + 80, true, "internal error"},
        {256 + 99, false, "the server gave up, with an alert that says no more (99)"},
        {BR_ERR_UNSUPPORTED_VERSION, false, "is it an http:// endpoint?"},
        {BR_ERR_BAD_VERSION, false, "is it an http:// endpoint?"},
        {BR_ERR_BAD_MAC, true, "damaged"},
        {BR_ERR_WRONG_KEY_USAGE, false, "key usage"},
        {BR_ERR_LIMIT_EXCEEDED, false, "8192"},
        {BR_ERR_BAD_HANDSHAKE, false, "does not allow (14)"},
    };
    struct fixture *fixture = *state;
    char text[480];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(tls_explain(fixture->peer, rows[i].code, text, sizeof text), rows[i].retryable);
        assert_non_null(strstr(text, rows[i].text));
    }
    /* A failed handshake may be about a client certificate, if one was wanted. */
    fixture->peer->asked = true;
    assert_false(tls_explain(fixture->peer, 256 + 40, text, sizeof text));
    assert_non_null(strstr(text, "client authentication"));
    assert_false(tls_explain(NULL, BR_ERR_X509_EXPIRED, text, sizeof text));
    assert_string_equal(
        text, "the TLS handshake failed: the server does something that TLS 1.2 does not allow (54)");
}

/* With every code, and everything as long as it can be, the text fits and ends. */
static void test_room(void **state)
{
    struct fixture *fixture = *state;
    struct tls_peer *peer = fixture->peer;
    char text[480];

    for (int i = 0; i < TLS_FACTS; i++) {
        memset(peer->facts[i].subject, 'S', TLS_NAME_SIZE - 1);
        memset(peer->facts[i].issuer, 'I', TLS_NAME_SIZE - 1);
    }
    memset(peer->names, 'n', sizeof peer->names - 1);
    for (int code = 0; code < 600; code++) {
        for (int last = -1; last <= TLS_FACTS; last++) {
            peer->blamed = last;
            peer->count = last + 1;
            tls_explain(peer, code, text, sizeof text);
            assert_true(strlen(text) > 10 && strlen(text) < sizeof text - 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_chains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time_is_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trust, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_and_signatures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_certificates_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_explanations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_room, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("tls_peer", tests, NULL, NULL);
}
