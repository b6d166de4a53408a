/*
 * Handshakes that failed, in words. The numbers are BearSSL's (bearssl_ssl.h, bearssl_x509.h) and those of
 * alerts (RFC 5246, 7.2; RFC 8446, 6). What the peer sent is only ever quoted through tls_cert_name and
 * tls_names_describe.
 */
#include "tls_internal.h"

#include "clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *out;
    size_t room;
};

static void explain(const struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void explain(const struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text->out, text->room, format, arguments);
    va_end(arguments);
}

/* ---- the certificate ---- */

/* What is known of the certificate number `index`. */
static const struct tls_fact *fact_of(const struct tls_peer *peer, int index)
{
    static const struct tls_fact unknown = {.subject = "?", .issuer = "?"};

    return index >= 0 && index < peer->count && index < TLS_FACTS ? &peer->facts[index] : &unknown;
}

#define DATE_SIZE 11
static const char *format_day(int64_t wall, char out[DATE_SIZE])
{
    char time[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(wall, time);
    snprintf(out, DATE_SIZE, "%.10s", time);
    return out;
}

/* Each of these is about the certificate number `index`, at which BearSSL came to its verdict. */

static void explain_dates(const struct text *text, const struct tls_peer *peer, int index)
{
    const struct tls_fact *fact = fact_of(peer, index);
    char day[DATE_SIZE];

    if (peer->now < fact->not_before)
        explain(
            text,
            "the certificate of \"%s\" is not yet valid, it begins on %s: check the clock of this machine, or have it renewed",
            fact->subject, format_day(fact->not_before, day));
    else
        explain(
            text,
            "the certificate of \"%s\" expired on %s: check the clock of this machine, or have the certificate renewed",
            fact->subject, format_day(fact->not_after, day));
}

static void explain_name(const struct text *text, const struct tls_peer *peer, int index)
{
    (void)index; /* names count in the server's own */
    if (peer->fault == TLS_FAULT_NO_NAMES || *peer->names == '\0')
        explain(
            text,
            "the certificate of \"%s\" has no subjectAltName, and its common name does not count: the server needs one with the name %s",
            fact_of(peer, 0)->subject, peer->host);
    else
        explain(
            text,
            "the certificate is for the name %s, not for %s: check the endpoint, or have the name added to the certificate",
            peer->names, peer->host);
}

#define ANCHORS_SIZE 200
static const char *among_anchors(const struct tls_trust *trust, char out[ANCHORS_SIZE])
{
    if (trust->file != NULL)
        snprintf(out, ANCHORS_SIZE, "among the %zu authorities of %.120s", trust->count, trust->file);
    else
        snprintf(out, ANCHORS_SIZE, "among the %zu authorities built in", trust->count);
    return out;
}

static void explain_self_issued(const struct text *text, const char *subject, bool alone, const char *anchors)
{
    if (alone)
        explain(
            text,
            "the certificate of \"%s\" is self-signed, and not %s: set ca_file to a file that holds it, if it is the right one",
            subject, anchors);
    else
        explain(
            text,
            "the certificate chain ends with an authority that is not trusted: \"%s\" is self-signed, and not %s: set ca_file to a file that holds it, if it is the right one",
            subject, anchors);
}

/* What counts is where the chain ends. */
static void explain_trust(const struct text *text, const struct tls_peer *peer, int index)
{
    int last = (peer->count < TLS_FACTS ? peer->count : TLS_FACTS) - 1;
    const struct tls_fact *fact = fact_of(peer, last);
    char anchors[ANCHORS_SIZE];

    (void)index;
    among_anchors(peer->trust, anchors);
    if (peer->count > TLS_CHAIN_MAX)
        explain(text, "the server sends a chain of %d certificates, and the first %d lead to none %s",
                peer->count, TLS_CHAIN_MAX, anchors);
    else if (fact->issuer_known)
        explain(
            text,
            "the certificate of \"%s\" says that it is from the authority \"%s\", but it was not signed with the key that this authority has %s: set ca_file to a file with the right one",
            fact->subject, fact->issuer, anchors);
    else if (fact->self_issued)
        explain_self_issued(text, fact->subject, last == 0, anchors);
    else if (last == 0 && fact->issuer_elsewhere)
        explain(
            text,
            "the server does not send the intermediate certificate of \"%s\", which signed that of \"%s\" and is not %s: have it send the whole chain",
            fact->issuer, fact->subject, anchors);
    else
        explain(
            text,
            "the certificate of \"%s\" is signed by \"%s\", which is not %s: set ca_file to the certificate of that authority, or have the server send the intermediate one",
            fact->subject, fact->issuer, anchors);
}

static void explain_algorithm(const struct text *text, const struct tls_peer *peer, int index)
{
    static const char *const signatures[] = {
        [TLS_SIGNATURE_OTHER] = "with an algorithm that is not supported",
        [TLS_SIGNATURE_SHA2] = "with a kind of SHA-2 that is not supported",
        [TLS_SIGNATURE_SHA1] = "with SHA-1, which is not safe",
        [TLS_SIGNATURE_MD5] = "with MD5, which is not safe",
        [TLS_SIGNATURE_PSS] = "with RSA-PSS, which is not supported",
    };
    const struct tls_fact *fact = fact_of(peer, index);

    if (fact->key == TLS_KEY_OTHER)
        explain(
            text,
            "the certificate of \"%s\" has a kind of key that is not supported: it has to be RSA, or on P-256, P-384 or P-521",
            fact->subject);
    else
        explain(
            text,
            "the certificate of \"%s\" is signed %s: it needs one signed with RSA (PKCS #1) or ECDSA and SHA-256",
            fact->subject, signatures[fact->signature]);
}

static void explain_size(const struct text *text, const struct tls_peer *peer, int index)
{
    const struct tls_fact *fact = fact_of(peer, index);

    if (peer->fault == TLS_FAULT_MEMORY)
        explain(text, "out of memory for the certificate of the server");
    else if (peer->fault == TLS_FAULT_TOO_LARGE)
        explain(text, "the certificate of the server has more than %zu KiB", TLS_CERT_MAX >> 10);
    else if (fact->key == TLS_KEY_RSA && fact->bits > 4096)
        explain(text, "the certificate of \"%s\" has an RSA key of %d bits: at most 4096 are supported",
                fact->subject, fact->bits);
    else
        explain(
            text,
            "the certificate of \"%s\" is signed by \"%s\" with an RSA key of %zu bits: at most 4096 are supported",
            fact->subject, fact->issuer, fact->signature_len * 8);
}

static void explain_use(const struct text *text, const struct tls_peer *peer, int index)
{
    if (peer->blamed > 0 && peer->fault == TLS_FAULT_NONE)
        explain(
            text,
            "the certificate of \"%s\" may not sign others by its key usage, but the server sends one that it signed",
            fact_of(peer, index)->subject);
    else if (peer->fault == TLS_FAULT_PURPOSE)
        explain(
            text,
            "the certificate of \"%s\" is not for server authentication%s (extended key usage): the server needs another one",
            fact_of(peer, 0)->subject, peer->for_clients ? ", only for client authentication" : "");
    else
        explain(
            text,
            "the certificate of \"%s\" does not allow digital signatures (key usage), which TLS with forward secrecy needs",
            fact_of(peer, 0)->subject);
}

static void explain_weak_key(const struct text *text, const struct tls_peer *peer, int index)
{
    const struct tls_fact *fact = fact_of(peer, index);

    explain(text, "the certificate of \"%s\" has an RSA key of %d bits, which is too short: it needs 2048",
            fact->subject, fact->bits);
}

static void explain_no_authority(const struct text *text, const struct tls_peer *peer, int index)
{
    explain(text,
            "the certificate of \"%s\" is not one of an authority, but the server sends one that it signed",
            fact_of(peer, index)->subject);
}

static void explain_extension(const struct text *text, const struct tls_peer *peer, int index)
{
    const struct tls_fact *fact = fact_of(peer, index);

    explain(text, "the certificate of \"%s\" has %s: they cannot be checked here, and must not be ignored",
            fact->subject, fact->constrained ? "name constraints" : "critical extensions that are not known");
}

static void explain_order(const struct text *text, const struct tls_peer *peer, int index)
{
    explain(
        text,
        "the server sends its certificates in the wrong order, or without the intermediate one: after \"%s\" comes \"%s\", which did not sign it",
        fact_of(peer, index - 1)->subject, fact_of(peer, index)->subject);
}

static void explain_broken_chain(const struct text *text, const struct tls_peer *peer, int index)
{
    explain(
        text,
        "the certificate before that of \"%s\" was not signed with its key: the chain of the server is broken",
        fact_of(peer, index)->subject);
}

static void explain_no_certificate(const struct text *text, const struct tls_peer *peer, int index)
{
    (void)peer;
    (void)index;
    explain(text, "the server sends no certificate");
}

static void explain_certificate(const struct text *text, const struct tls_peer *peer, int code)
{
    static const struct {
        int code;
        void (*explain)(const struct text *text, const struct tls_peer *peer, int index);
    } rows[] = {
        {BR_ERR_X509_EXPIRED, explain_dates},
        {BR_ERR_X509_BAD_SERVER_NAME, explain_name},
        {BR_ERR_X509_NOT_TRUSTED, explain_trust},
        {BR_ERR_X509_UNSUPPORTED, explain_algorithm},
        {BR_ERR_X509_LIMIT_EXCEEDED, explain_size},
        {BR_ERR_X509_FORBIDDEN_KEY_USAGE, explain_use},
        {BR_ERR_X509_WEAK_PUBLIC_KEY, explain_weak_key},
        {BR_ERR_X509_NOT_CA, explain_no_authority},
        {BR_ERR_X509_CRITICAL_EXTENSION, explain_extension},
        {BR_ERR_X509_DN_MISMATCH, explain_order},
        {BR_ERR_X509_BAD_SIGNATURE, explain_broken_chain},
        {BR_ERR_X509_WRONG_KEY_TYPE, explain_broken_chain},
        {BR_ERR_X509_EMPTY_CHAIN, explain_no_certificate},
    };

    explain(text, "a certificate that the server sends is damaged (error %d)", code);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == code)
            rows[i].explain(text, peer, peer->blamed >= 0 ? peer->blamed : 0);
}

/* ---- the rest ---- */

struct row {
    int code; /* or number of an alert */
    bool retryable;
    const char *text;
};

static const struct row alerts[] = {
    {20, true, "the server could not decrypt what it got"},
    {40, false,
     "the server accepts none of the ciphers and curves of TLS 1.2 that are safe (ECDHE with AES-GCM or ChaCha20), or has no certificate for them (RSA, P-256, P-384, P-521)"},
    {70, false, "the server accepts only TLS 1.3, or nothing as new as TLS 1.2: this program speaks TLS 1.2"},
    {71, false, "the server demands stronger ciphers than there are in TLS 1.2: it may want TLS 1.3"},
    {80, true, "the server had an internal error during the TLS handshake"},
    {90, true, "the server cancelled the TLS handshake"},
    {112, false, "the server has no certificate for that name, and does not serve it: check the endpoint"},
    {-1, false, NULL},
};

static const struct row errors[] = {
    {0, true, "the connection broke during the TLS handshake"},
    {BR_ERR_UNSUPPORTED_VERSION, false,
     "no TLS 1.2 there (older versions are refused), or no TLS at all: is it an http:// endpoint?"},
    {BR_ERR_BAD_VERSION, false,
     "no TLS 1.2 there (older versions are refused), or no TLS at all: is it an http:// endpoint?"},
    {BR_ERR_UNEXPECTED, false,
     "the server sends no certificate, or something else that TLS 1.2 does not allow here"},
    {BR_ERR_BAD_CIPHER_SUITE, false,
     "the server chose a cipher that was not offered, which TLS does not allow"},
    {BR_ERR_BAD_MAC, true, "the TLS handshake was damaged on its way"},
    {BR_ERR_NO_RANDOM, false, "this machine gives no random numbers"},
    {BR_ERR_LIMIT_EXCEEDED, false,
     "the server uses an RSA key of more than 4096 bits (8192?): at most 4096 are supported"},
    {BR_ERR_BAD_SIGNATURE, false, "the server does not have the key of its certificate"},
    {BR_ERR_WRONG_KEY_USAGE, false, "the certificate does not allow digital signatures (key usage)"},
    {BR_ERR_INVALID_ALGORITHM, false, "the server uses a curve or a hash that was not offered"},
    {BR_ERR_IO, true, "the connection broke during the TLS handshake"},
    {-1, false, NULL},
};

static bool explain_row(const struct text *text, const struct row *row, int code, const char *what)
{
    while (row->text != NULL && row->code != code)
        row++;
    if (row->text != NULL)
        explain(text, "%s", row->text);
    else
        explain(text, "the TLS handshake failed: %s (%d)", what, code);
    return row->retryable;
}

/* The alerts about a certificate of ours. */
static bool is_about_client(const struct tls_peer *peer, int alert)
{
    return alert == 116 || (alert >= 41 && alert <= 49 && alert != 47) ||
           (alert == 40 && peer != NULL && peer->asked);
}

static bool explain_alert(const struct text *text, const struct tls_peer *peer, int alert)
{
    if (!is_about_client(peer, alert))
        return explain_row(text, alerts, alert, "the server gave up, with an alert that says no more");
    explain(text, "the server wants a client certificate (client authentication), which is not supported");
    return false;
}

bool tls_explain(const struct tls_peer *peer, int code, char *out, size_t room)
{
    struct text text;

    text.out = out;
    text.room = room;
    if (code >= BR_ERR_RECV_FATAL_ALERT && code < BR_ERR_SEND_FATAL_ALERT)
        return explain_alert(&text, peer, code - BR_ERR_RECV_FATAL_ALERT);
    if (peer != NULL && code >= BR_ERR_X509_OK && code <= BR_ERR_X509_NOT_TRUSTED) {
        explain_certificate(&text, peer, code);
        return false;
    }
    return explain_row(&text, errors, code, "the server does something that TLS 1.2 does not allow");
}
