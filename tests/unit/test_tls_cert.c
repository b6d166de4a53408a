/* DER, certificates, names and bundles, read by ourselves. */
#include "der_hand.h"

#include "clock.h"
#include "tls_internal.h"

#include "../data/rsa8192_der.h"
#include "../data/tls_chain.h"

#define SPAN(array) ((struct tls_span){array, sizeof array})

/* ---- DER ---- */

static void test_der(void **state)
{
    static const struct {
        const char *hex;
        bool good;
        unsigned tag;
        size_t len, left;
    } rows[] = {
        {"0500", true, 0x05, 0, 0},
        {"0401AA", true, 0x04, 1, 0},
        {"0401AABB", true, 0x04, 1, 1},
        {"", false, 0, 0, 0},
        {"04", false, 0, 0, 0},
        {"0402AA", false, 0, 0, 0},
        {"1F0101AA", false, 0, 0, 0},   /* a tag of more than one byte */
        {"0480AA0000", false, 0, 0, 0}, /* indefinite */
        {"048101AA", false, 0, 0, 0},   /* not the shortest */
        {"04820001AA", false, 0, 0, 0},
        {"048400000001AA", false, 0, 0, 0},
        {"0484FFFFFFFFAA", false, 0, 0, 0},
        {"0482FFFFAA", false, 0, 0, 0},
        {"0481", false, 0, 0, 0},
        {"0482FF", false, 0, 0, 0},
    };
    struct tls_span in;
    struct tls_span value;
    unsigned tag;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        in = bytes(rows[i].hex);
        assert_int_equal(tls_der_take(&in, &tag, &value), rows[i].good);
        if (!rows[i].good) {
            assert_int_equal(in.len, strlen(rows[i].hex) / 2);
            continue;
        }
        assert_int_equal(tag, rows[i].tag);
        assert_int_equal(value.len, rows[i].len);
        assert_int_equal(in.len, rows[i].left);
    }
    in = bytes(T("04", REPEAT("AA", 0x80), NULL));
    assert_true(tls_der_expect(&in, DER_OCTET_STRING, &value));
    assert_int_equal(value.len, 0x80);
    in = bytes(hand_join("04820080", REPEAT("AA", 0x80))); /* not the shortest, either */
    assert_false(tls_der_take(&in, &tag, &value));
    in = bytes(T("04", REPEAT("AA", 0x1234), NULL));
    assert_false(tls_der_expect(&in, DER_OID, &value));
    assert_true(tls_der_expect(&in, DER_OCTET_STRING, &value));
    assert_int_equal(value.len, 0x1234);
}

/* ---- certificates ---- */

/* What openssl x509 -text says of the same certificates. */
static void test_real_certificates(void **state)
{
    struct tls_cert cert;
    char name[TLS_NAME_SIZE];

    (void)state;
    assert_true(tls_cert_parse(SPAN(leaf_der), &cert));
    assert_int_equal(cert.version, 3);
    assert_int_equal(cert.key, TLS_KEY_EC);
    assert_int_equal(cert.curve, 23);
    assert_int_equal(cert.q.len, 65);
    assert_int_equal(cert.signature, TLS_SIGNATURE_SHA2);
    assert_int_equal(cert.not_before, clock_parse_rfc3339("2020-01-01T00:00:00Z"));
    assert_int_equal(cert.not_after, clock_parse_rfc3339("2100-01-01T00:00:00Z"));
    assert_false(cert.ca || tls_cert_is_authority(&cert));
    assert_true(cert.has_key_usage && cert.may_sign);
    assert_true(cert.has_extended_usage && cert.for_servers && !cert.for_clients);
    assert_true(cert.has_names && !cert.constrained && !cert.issuer_elsewhere);
    assert_true(tls_cert_usable(&cert));
    tls_cert_name(cert.subject, name);
    assert_string_equal(name, "leaf");
    tls_cert_name(cert.issuer, name);
    assert_string_equal(name, "middle");

    assert_true(tls_cert_parse(SPAN(root_der), &cert));
    assert_true(cert.ca && tls_cert_is_authority(&cert) && !cert.may_sign);
    assert_true(tls_span_equal(cert.subject, cert.issuer));

    assert_true(tls_cert_parse(SPAN(rsa8192_der), &cert));
    assert_int_equal(cert.bits, 8192);
    assert_int_equal(cert.e.len, 3);
    assert_int_equal(cert.signature_len, 1024);
    assert_false(tls_cert_usable(&cert));
}

/* Whatever byte is missing, or one too many. */
static void test_cut_certificates(void **state)
{
    unsigned char longer[sizeof leaf_der + 1] = {0};
    struct tls_cert cert;

    (void)state;
    for (size_t len = 0; len < sizeof leaf_der; len++) {
        unsigned char *part = malloc(len + 1);

        assert_non_null(part);
        memcpy(part, leaf_der, len);
        assert_false(tls_cert_parse((struct tls_span){part, len}, &cert));
        free(part);
    }
    memcpy(longer, leaf_der, sizeof leaf_der);
    assert_false(tls_cert_parse(SPAN(longer), &cert));
}

static bool parses(const struct hand_cert *hand, struct tls_cert *cert)
{
    return tls_cert_parse(hand_make(hand), cert);
}

static void test_fields(void **state)
{
    const struct {
        struct hand_cert hand;
        bool good;
    } rows[] = {
        {{.version = NULL}, true},
        {{.version = ""}, true},
        {{.version = "A003020100"}, true},
        {{.version = "A003020103"}, false},
        {{.version = "A00402020001"}, false},
        {{.serial = "0500"}, false},
        {{.inner = "0500"}, false},
        {{.issuer = "0500"}, false},
        {{.subject = "0500"}, false},
        {{.not_before = "0500"}, false},
        {{.not_before = T("17", X("201301000000Z"), NULL)}, false},
        {{.not_before = T("17", X("2001010000Z"), NULL)}, false},
        {{.not_before = T("17", X("200101000000+"), NULL)}, false},
        {{.not_before = T("17", "000000000000000000000000005A", NULL)}, false},
        {{.not_after = T("18", X("20990132000000Z"), NULL)}, false},
        {{.not_after = T("18", X("209901010000Z"), NULL)}, false},
        {{.key = "0500"}, false},
        {{.key = T("30", "0500", NULL)}, false},
        {{.key = T("30", RSA_KEY, T("03", "01", NULL), NULL)}, false},
        {{.key = T("30", RSA_KEY, T("03", "", NULL), NULL)}, false},
        {{.key = T("30", RSA_KEY, T("03", "00", "0500", NULL), NULL)}, false},
        {{.key = hand_rsa_key(256, "")}, false},
        {{.key = hand_rsa_key(256, "00")}, false},
        {{.key = hand_rsa_key(256, "81")}, false},
        {{.tail = "810100820100"}, true},
        {{.tail = "0500"}, false},
        {{.tail = "A3023000"}, true},
        {{.tail = "A304300030000"}, false},
        {{.tail = "A302040000"}, false},
        {{.extensions = "0500"}, false},
        {{.extensions = "3000"}, false},
        {{.extensions = hand_extension("13", "", "0500")}, false},
        {{.extensions = hand_extension("13", "", "3000")}, true},
        {{.extensions = T("30", T("06", "551D13", NULL), T("04", "3000", NULL), "0500", NULL)}, false},
        {{.extensions = T("30", T("06", "551D13", NULL), NULL)}, false},
        {{.extensions =
              T("30", hand_extension("13", "", "3000") + 4, hand_extension("13", "", "3000"), NULL)},
         false},
        {{.extensions = hand_extension("0F", "", "0500")}, false},
        {{.extensions = hand_extension("0F", "", "0300")}, false},
        {{.extensions = hand_extension("11", "", "0500")}, false},
        {{.extensions = hand_extension("25", "", "0500")}, false},
        {{.outer = "0500"}, false},
        {{.outer = "3000"}, false},
        {{.signature = "0500"}, false},
        {{.signature = "030100"}, false},
        {{.signature = "03020101"}, false},
    };
    struct tls_cert cert;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool good = parses(&rows[i].hand, &cert);

        if (good != rows[i].good)
            print_error("row %zu\n", i);
        assert_int_equal(good, rows[i].good);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *tag, *text, *same;
    } rows[] = {
        {"17", "491231235959Z", "2049-12-31T23:59:59Z"},
        {"17", "500101000000Z", "1950-01-01T00:00:00Z"},
        {"18", "20500101000000Z", "2050-01-01T00:00:00Z"},
        {"18", "99991231235959Z", "9999-12-31T23:59:59Z"},
    };
    struct tls_cert cert;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(parses(&(struct hand_cert){.not_after = T(rows[i].tag, X(rows[i].text), NULL)}, &cert));
        assert_int_equal(cert.not_after, clock_parse_rfc3339(rows[i].same));
    }
}

static void test_twice_the_same_extension(void **state)
{
    char both[200];
    struct tls_cert cert;

    (void)state;
    snprintf(both, sizeof both, "%s%s", hand_extension("13", "", "30030101FF"),
             hand_extension("13", "", "3000"));
    assert_false(parses(&(struct hand_cert){.extensions = both}, &cert));
    snprintf(both, sizeof both, "%s%s", hand_extension("13", "", "30030101FF"),
             hand_extension("0F", "", "03020204"));
    assert_true(parses(&(struct hand_cert){.extensions = both}, &cert));
    assert_true(cert.ca && cert.has_key_usage && !cert.may_sign);
}

static void test_extensions(void **state)
{
    struct tls_cert cert;

    (void)state;
    assert_true(
        parses(&(struct hand_cert){.extensions = hand_extension("13", "0101FF", "300601010002010A")}, &cert));
    assert_false(cert.ca);
    assert_true(parses(&(struct hand_cert){.extensions = hand_extension("0F", "", "030205A0")}, &cert));
    assert_true(cert.may_sign);
    assert_true(parses(&(struct hand_cert){.extensions = hand_extension("0F", "", "030100")}, &cert));
    assert_true(cert.has_key_usage && !cert.may_sign);
    assert_true(parses(&(struct hand_cert){.extensions = hand_extension("1E", "0101FF", "3000")}, &cert));
    assert_true(cert.constrained);
    assert_true(parses(&(struct hand_cert){.extensions = hand_extension("1E", "", "3000")}, &cert));
    assert_false(cert.constrained);
    assert_true(parses(
        &(struct hand_cert){.extensions = hand_extension("25", "", T("30", "06082B06010505070302", NULL))},
        &cert));
    assert_true(cert.has_extended_usage && !cert.for_servers && cert.for_clients);
    assert_true(parses(
        &(struct hand_cert){.extensions = hand_extension("25", "", T("30", "0604551D2500", NULL))}, &cert));
    assert_true(cert.for_servers);
    /* authorityInfoAccess: OCSP, then the issuer's certificate */
    assert_true(
        parses(&(struct hand_cert){.extensions = T("30", "06082B06010505070101",
                                                   T("04",
                                                     T("30", T("30", "06082B06010505073001", "860161", NULL),
                                                       T("30", "06082B06010505073002", "860161", NULL), NULL),
                                                     NULL),
                                                   NULL)},
               &cert));
    assert_true(cert.issuer_elsewhere);
}

static void test_signatures(void **state)
{
    static const struct {
        const char *algorithm;
        enum tls_signature signature;
    } rows[] = {
        {SHA256_RSA, TLS_SIGNATURE_SHA2},
        {"300D06092A864886F70D01010C0500", TLS_SIGNATURE_SHA2},
        {"300D06092A864886F70D01010D0500", TLS_SIGNATURE_SHA2},
        {SHA1_RSA, TLS_SIGNATURE_SHA1},
        {"300D06092A864886F70D0101040500", TLS_SIGNATURE_MD5},
        {"300D06092A864886F70D0101020500", TLS_SIGNATURE_MD5},
        {"300B06092A864886F70D01010A", TLS_SIGNATURE_PSS},
        {"300906072A8648CE3D0401", TLS_SIGNATURE_SHA1},
        {"300A06082A8648CE3D040302", TLS_SIGNATURE_SHA2},
        {"300A06082A8648CE3D040301", TLS_SIGNATURE_OTHER}, /* SHA-224 */
        {"300506032B6570", TLS_SIGNATURE_OTHER},           /* Ed25519 */
    };
    struct tls_cert cert;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(parses(&(struct hand_cert){.outer = rows[i].algorithm}, &cert));
        assert_int_equal(cert.signature, rows[i].signature);
    }
}

static void test_usable(void **state)
{
    const struct {
        const char *key;
        int bits;
        bool usable;
    } rows[] = {
        {hand_rsa_key(256, "010001"), 2048, true},
        {hand_rsa_key(256, "03"), 2048, true},
        {hand_rsa_key(512, "010001"), 4096, true},
        {hand_rsa_key(255, "010001"), 2040, false},
        {hand_rsa_key(128, "010001"), 1024, false},
        {hand_rsa_key(513, "010001"), 4104, false},
        {hand_rsa_key(256, "010000000000000001"), 2048, false},
        {hand_ec_key(P256_OID, 65), 0, true},
        {hand_ec_key("06052B81040022", 97), 0, true},
        {hand_ec_key("06052B81040023", 133), 0, true},
        {hand_ec_key(P256_OID, 33), 0, false},
        {hand_ec_key("06052B8104000A", 65), 0, false}, /* secp256k1 */
        {hand_ec_key("", 65), 0, false},
        {T("30", T("30", EC_OID, P256_OID, NULL), T("03", "0002", REPEAT("11", 64), NULL), NULL), 0, false},
        {"302A300506032B65700321000000000000000000000000000000000000000000000000000000000000000000", 0,
         false},
    };
    struct tls_cert cert;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(parses(&(struct hand_cert){.key = rows[i].key}, &cert));
        assert_int_equal(cert.bits, rows[i].bits);
        assert_int_equal(tls_cert_usable(&cert), rows[i].usable);
    }
    assert_true(parses(&(struct hand_cert){.subject = T("30", REPEAT("3100", 510), NULL)}, &cert));
    assert_int_equal(cert.subject.len, 1024);
    assert_true(tls_cert_usable(&cert));
    assert_true(parses(&(struct hand_cert){.subject = T("30", REPEAT("3100", 511), NULL)}, &cert));
    assert_false(tls_cert_usable(&cert));
}

/* One of version 1 cannot say that it is an authority: it is, if it signed itself. */
static void test_authorities(void **state)
{
    const char *name = hand_name("03", "0C", "self");
    struct tls_cert cert;

    (void)state;
    assert_true(parses(&(struct hand_cert){.version = "", .issuer = name, .subject = name}, &cert));
    assert_true(tls_cert_is_authority(&cert));
    assert_true(parses(&(struct hand_cert){.version = ""}, &cert));
    assert_false(tls_cert_is_authority(&cert));
    assert_true(parses(&(struct hand_cert){.issuer = name, .subject = name}, &cert));
    assert_false(tls_cert_is_authority(&cert));
}

static void test_names_for_people(void **state)
{
    const struct {
        const char *name, *text;
    } rows[] = {
        {hand_name("03", "0C", "a.example"), "a.example"},
        {hand_name("0A", "13", "Org"), "Org"},
        {hand_name("06", "13", "DE"), "?"},
        {T("30", T("31", T("30", "060355040A", T("0C", X("Org"), NULL), NULL), NULL),
           T("31", T("30", "0603550403", T("0C", X("cn"), NULL), NULL), NULL), NULL),
         "cn"},
        {hand_name("03", "0C", "a\n\033[2Jb\"c\177"), "a??[2Jb?c?"},
        {hand_name("03", "0C", "\xC3\xBC \xE2\x80\xAE \xEF\xBB\xBF \xC2\x85"), "\xC3\xBC ? ? ?"},
        {hand_name("03", "14", "\xFC\xFF"), "??"},
        {hand_name("03", "0C", ""), "?"},
        {T("30", T("31", T("30", "0603550403", T("1E", "00410142000A", NULL), NULL), NULL), NULL), "A??"},
        {"0500", "?"},
        {"3000", "?"},
    };
    const char *long_name = hand_name("03", "0C", REPEAT("x", 200));
    char out[TLS_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tls_cert_name(bytes(rows[i].name), out);
        assert_string_equal(out, rows[i].text);
    }
    tls_cert_name(bytes(long_name), out);
    assert_int_equal(strlen(out), TLS_NAME_SIZE - 1);
    assert_string_equal(out + TLS_NAME_SIZE - 4, "...");
    /* What just fits is not cut, nor a character in its middle. */
    tls_cert_name(bytes(hand_name("03", "0C", REPEAT("x", 79))), out);
    assert_string_equal(out, REPEAT("x", 79));
    tls_cert_name(bytes(hand_name("03", "0C", REPEAT("\xC3\xBC", 60))), out);
    assert_string_equal(out + strlen(out) - 5, "\xC3\xBC...");
}

/* ---- whose it is ---- */

static void test_host(void **state)
{
#define DNS(text) T("82", X(text), NULL)
    const struct {
        const char *names, *host;
        bool match;
    } rows[] = {
        {DNS("a.example"), "a.example", true},
        {DNS("A.Example"), "a.eXAMPLE", true},
        {DNS("a.example"), "a.example.", true},
        {DNS("a.example"), "b.example", false},
        {DNS("a.example"), "a.example.org", false},
        {DNS("a.example"), "x.a.example", false},
        {DNS(""), "a.example", false},
        {DNS(""), "", false},
        {DNS("*.b.example"), "x.b.example", true},
        {DNS("*.b.example"), "X.B.example.", true},
        {DNS("*.b.example"), "b.example", false},
        {DNS("*.b.example"), ".b.example", false},
        {DNS("*.b.example"), "x.y.b.example", false},
        {DNS("*.example"), "b.example", false},
        {DNS("*"), "localhost", false},
        {DNS("*."), "x.", false},
        {DNS("x*.b.example"), "xy.b.example", false},
        {DNS("x.*.example"), "x.b.example", false},
        {DNS("*.*.example"), "a.b.example", false},
        {T("82", X("a.example"), "00", X(".evil"), NULL), "a.example", false},
        {T("81", X("a.example"), NULL), "a.example", false}, /* rfc822Name */
        {"82", "a.example", false},
        {"87047F000001", "127.0.0.1", true},
        {"87047F000001", "127.0.0.2", false},
        {"87047F000001", "127.0.0.1.", false},
        {DNS("127.0.0.1"), "127.0.0.1", false}, /* an address is no name */
        {DNS("*.0.0.1"), "127.0.0.1", false},
        {"871000000000000000000000000000000001", "::1", true},
        {"871000000000000000000000000000000001", "[::1]", true},
        {"871000000000000000000000000000000001", "[0:0::1%lo]", true},
        {"871000000000000000000000000000000001", "::2", false},
        {"87047F000001", "::1", false},
        {"87087F000001FFFFFFFF", "127.0.0.1", false},
        {T("81", X("x"), NULL), "x", false},
    };
    char both[200];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (tls_names_match(bytes(rows[i].names), rows[i].host) != rows[i].match)
            print_error("row %zu: %s\n", i, rows[i].host);
        assert_int_equal(tls_names_match(bytes(rows[i].names), rows[i].host), rows[i].match);
    }
    snprintf(both, sizeof both, "%s%s", DNS("a.example"), DNS("b.example"));
    assert_true(tls_names_match(bytes(both), "b.example"));
}

static void test_names_described(void **state)
{
    char names[4096] = "";
    char out[100];

    (void)state;
    tls_names_describe(bytes("87047F0000018203612E628101788703616263871000000000000000000000000000000001"),
                       out, sizeof out);
    assert_string_equal(out, "127.0.0.1, a.b, ::1");
    tls_names_describe(bytes(""), out, sizeof out);
    assert_string_equal(out, "");
    for (int i = 0; i < 100; i++)
        strcat(names, DNS("name.example"));
    tls_names_describe(bytes(names), out, sizeof out);
    assert_string_equal(
        out,
        "name.example, name.example, name.example, name.example, name.example, name.example and 94 more");
#undef DNS
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_der),
        cmocka_unit_test(test_real_certificates),
        cmocka_unit_test(test_cut_certificates),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_twice_the_same_extension),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_usable),
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_names_for_people),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_names_described),
    };
    return cmocka_run_group_tests_name("tls_cert", tests, NULL, NULL);
}
