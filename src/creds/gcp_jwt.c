/* RFC 7515 (JWS), RFC 7518, 3.3 (RS256), RFC 7519 (JWT); "Using OAuth 2.0 for Server to Server Applications", section
 * "Addendum: Service account authorization without OAuth", Google Identity. */
#include "gcp_internal.h"

#include "hash.h"
#include "text.h"

#include <bearssl_hash.h>
#include <bearssl_rsa.h>
#include <bearssl_x509.h>
#include <string.h>

#define JWT_MAX ((size_t)4 * 1024)
#define KEY_MAX ((size_t)4 * 1024) /* of one of 4,096 bits in DER */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The first block of a PEM file, whatever it is called, as DER. */
static size_t read_pem(const char *pem, unsigned char der[KEY_MAX])
{
    const char *at = strstr(pem, "-----BEGIN ");
    unsigned bits = 0, have = 0; /* of which so many are no byte yet */
    size_t len = 0;

    at = at != NULL ? strchr(at, '\n') : NULL;
    for (; at != NULL && *at != '\0' && *at != '-' && *at != '='; at++) {
        const char *digit = strchr(digits, *at);

        if (text_is_one_of(*at, TEXT_SPACE))
            continue;
        if (digit == NULL || len == KEY_MAX)
            return 0;
        bits = bits << 6 | (unsigned)(digit - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            der[len++] = (unsigned char)(bits >> have);
        }
    }
    return len;
}

static size_t sign(const br_skey_decoder_context *decoder, const void *data, size_t len,
                   unsigned char out[GCP_SIGNATURE_MAX])
{
    const br_rsa_private_key *key = br_skey_decoder_get_rsa(decoder);
    unsigned char hash[br_sha256_SIZE];
    br_sha256_context sha256;

    if (key == NULL || key->n_bitlen < 1024 || key->n_bitlen > 8 * GCP_SIGNATURE_MAX)
        return 0;
    br_sha256_init(&sha256);
    br_sha256_update(&sha256, data, len);
    br_sha256_out(&sha256, hash);
    return br_rsa_i62_pkcs1_sign(BR_HASH_OID_SHA256, hash, sizeof hash, key, out) ? (key->n_bitlen + 7) / 8
                                                                                  : 0;
}

/* BearSSL leaves a part of the key where its variables were. */
__attribute__((noinline)) static void wipe_stack(void)
{
    unsigned char used[8 * 1024];

    explicit_bzero(used, sizeof used);
}

size_t gcp_rs256(const char *pem, const void *data, size_t len, unsigned char out[GCP_SIGNATURE_MAX])
{
    unsigned char der[KEY_MAX];
    br_skey_decoder_context decoder;
    size_t der_len = read_pem(pem, der), signed_len = 0;

    br_skey_decoder_init(&decoder);
    br_skey_decoder_push(&decoder, der, der_len);
    if (br_skey_decoder_last_error(&decoder) == 0)
        signed_len = sign(&decoder, data, len, out);
    explicit_bzero(der, sizeof der);
    explicit_bzero(&decoder, sizeof decoder);
    wipe_stack();
    return signed_len;
}

/* ---- a token ---- */

static bool put_part(struct buf *out, const yyjson_mut_doc *doc)
{
    struct buf text;
    bool good;

    buf_init(&text, JWT_MAX);
    good = json_write(doc, false, &text) && hash_base64(out, text.data, text.len, true);
    buf_free(&text);
    return good;
}

static bool put_header(struct buf *out, yyjson_val *account)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *header = yyjson_mut_obj(doc);
    bool good;

    yyjson_mut_doc_set_root(doc, header);
    good = json_add_text(doc, header, "alg", "RS256") && json_add_text(doc, header, "typ", "JWT") &&
           json_add_text(doc, header, "kid", json_text(account, "private_key_id", "")) && put_part(out, doc);
    yyjson_mut_doc_free(doc);
    return good;
}

static bool put_claims(struct buf *out, yyjson_val *account, const char *audience, int64_t seconds)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *claims = yyjson_mut_obj(doc);
    const char *email = json_text(account, "client_email", "");
    bool good;

    yyjson_mut_doc_set_root(doc, claims);
    good = json_add_text(doc, claims, "iss", email) && json_add_text(doc, claims, "sub", email) &&
           json_add_text(doc, claims, "scope", GCP_SCOPE) &&
           (audience == NULL || json_add_text(doc, claims, "aud", audience)) &&
           yyjson_mut_obj_add_int(doc, claims, "iat", seconds) &&
           yyjson_mut_obj_add_int(doc, claims, "exp", seconds + GCP_LIFE / 1000) && put_part(out, doc);
    yyjson_mut_doc_free(doc);
    return good;
}

bool gcp_jwt(yyjson_val *account, const char *audience, int64_t wall, struct buf *out, struct error *error)
{
    unsigned char signature[GCP_SIGNATURE_MAX];
    size_t begin = out->len, len;

    if (!put_header(out, account) || !buf_putc(out, '.') || !put_claims(out, account, audience, wall / 1000))
        return error_set(error, ERROR_LOCAL, "no room for a signed token");
    len = gcp_rs256(json_text(account, "private_key", ""), out->data + begin, out->len - begin, signature);
    if (len == 0)
        return error_set(error, ERROR_CONFIG,
                         "private_key is not an RSA key of 1,024 to 4,096 bits in PEM: get the file anew");
    return (buf_putc(out, '.') && hash_base64(out, signature, len, true)) ||
           error_set(error, ERROR_LOCAL, "no room for a signed token");
}
