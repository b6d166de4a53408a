/* "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk", Amazon S3
 * API Reference; for white space inside header values, "Create a signed AWS API request", IAM User Guide. */
#include "sigv4.h"

#include "clock.h"
#include "hash.h"
#include "text.h"

#include <bearssl_hash.h>
#include <stdio.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DATE_SIZE 8 /* of the time stamp, which begins with it */

/* Metadata, path, query and a session token together; AWS itself takes no more than 8 KiB of headers. */
#define CANONICAL_MAX ((size_t)64 * 1024)
#define SECRET_MAX ((size_t)4096)

/* Without white space at its ends, and with one space for each run of it inside. */
static void append_trimmed(struct buf *out, const char *value)
{
    bool gap = false, begun = false;

    for (; *value != '\0'; value++) {
        if (text_is_one_of(*value, TEXT_SPACE)) {
            gap = begun;
            continue;
        }
        if (gap)
            buf_putc(out, ' ');
        buf_putc(out, *value);
        gap = false;
        begun = true;
    }
}

static void append_signed_headers(struct buf *out, const struct sigv4_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (i > 0)
            buf_putc(out, ';');
        buf_puts(out, request->headers[i].name);
    }
}

bool sigv4_canonical_request(const struct sigv4_request *request, struct buf *out)
{
    buf_printf(out, "%s\n%s\n%s\n", request->method, request->path, request->query);
    for (size_t i = 0; i < request->header_count; i++) {
        buf_puts(out, request->headers[i].name);
        buf_putc(out, ':');
        append_trimmed(out, request->headers[i].value);
        buf_putc(out, '\n');
    }
    buf_putc(out, '\n');
    append_signed_headers(out, request);
    buf_putc(out, '\n');
    buf_puts(out, request->payload_hash);
    return !out->failed;
}

static bool derive_key(const struct sigv4_key *key, const char *date, unsigned char out[br_sha256_SIZE])
{
    static const char terminator[] = "aws4_request";
    struct buf secret;
    bool ok;

    buf_init_secret(&secret, SECRET_MAX);
    buf_puts(&secret, "AWS4");
    buf_puts(&secret, key->secret_access_key);
    ok = !secret.failed;
    if (ok) {
        hash_hmac(secret.data, secret.len, date, DATE_SIZE, out);
        hash_hmac(out, br_sha256_SIZE, key->region, strlen(key->region), out);
        hash_hmac(out, br_sha256_SIZE, key->service, strlen(key->service), out);
        hash_hmac(out, br_sha256_SIZE, terminator, strlen(terminator), out);
    }
    buf_free(&secret);
    return ok;
}

/* The derived key, from what was kept if that is for the same day, region and service. */
static bool signing_key(const struct sigv4_key *key, const char *date, unsigned char out[br_sha256_SIZE])
{
    struct sigv4_derived *kept = key->derived;
    char scope[sizeof kept->scope];
    int len = snprintf(scope, sizeof scope, "%.*s/%s/%s", DATE_SIZE, date, key->region, key->service);
    bool keep = kept != NULL && len > 0 && (size_t)len < sizeof scope;

    _Static_assert(sizeof kept->key == br_sha256_SIZE, "a derived key is a hash");
    if (keep && strcmp(kept->scope, scope) == 0) {
        memcpy(out, kept->key, sizeof kept->key);
        return true;
    }
    if (!derive_key(key, date, out))
        return false;
    if (keep) {
        memcpy(kept->key, out, sizeof kept->key);
        memcpy(kept->scope, scope, sizeof scope);
    }
    return true;
}

static void append_scope(struct buf *out, const struct sigv4_key *key, const char *date)
{
    buf_printf(out, "%.*s/%s/%s/aws4_request", DATE_SIZE, date, key->region, key->service);
}

/* Leaves the string to sign in `text`. */
static bool string_to_sign(const struct sigv4_request *request, const struct sigv4_key *key,
                           const char *stamp, struct buf *text)
{
    char hash[HASH_SIZE];

    if (!sigv4_canonical_request(request, text))
        return false;
    hash_sha256(text->data, text->len, hash);
    buf_clear(text);
    buf_printf(text, ALGORITHM "\n%s\n", stamp);
    append_scope(text, key, stamp);
    buf_putc(text, '\n');
    buf_puts(text, hash);
    return !text->failed;
}

bool sigv4_authorization(const struct sigv4_request *request, const struct sigv4_key *key, int64_t wall,
                         struct buf *out)
{
    unsigned char derived[br_sha256_SIZE], signature[br_sha256_SIZE];
    char stamp[CLOCK_BASIC_SIZE], hex[HASH_SIZE];
    struct buf text;
    bool ok;

    clock_format_basic(wall, stamp);
    buf_init_secret(&text, CANONICAL_MAX); /* it may have a session token */
    ok = string_to_sign(request, key, stamp, &text) && signing_key(key, stamp, derived);
    if (ok) {
        hash_hmac(derived, sizeof derived, text.data, text.len, signature);
        explicit_bzero(derived, sizeof derived);
        hash_hex(signature, sizeof signature, hex);
        buf_printf(out, ALGORITHM " Credential=%s/", key->access_key_id);
        append_scope(out, key, stamp);
        buf_puts(out, ", SignedHeaders=");
        append_signed_headers(out, request);
        buf_printf(out, ", Signature=%s", hex);
        ok = !out->failed;
    }
    buf_free(&text);
    return ok;
}
