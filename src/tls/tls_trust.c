/*
 * Trust anchors: from a bundle once a process, into one block of memory of exactly the size they need.
 */
#include "tls_internal.h"

#include "env.h"
#include "file.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX ((size_t)4 * 1024 * 1024)

const char *tls_file(const char *ca_file)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",             /* openSUSE */
        "/etc/ssl/cert.pem",                  /* Alpine without ca-certificates */
    };
    const char *file = ca_file != NULL && *ca_file != '\0' ? ca_file : env_text("SSL_CERT_FILE");

    if (*file != '\0')
        return file;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (access(places[i], R_OK) == 0)
            return places[i];
    }
    return NULL;
}

void tls_describe(const char *ca_file, char *out, size_t room)
{
    const char *file = tls_file(ca_file);

    if (file != NULL)
        snprintf(out, room, "%s", file);
    else if (tls_roots_count() > 0)
        snprintf(out, room, "built in (ca-certificates %s)", tls_roots_version());
    else
        snprintf(out, room, "none");
}

/* ---- a bundle ---- */

struct bundle {
    size_t count; /* of usable certificates */
    size_t bytes; /* of the hashes of their names, and of their keys */
    int unusable;
};

static bool count_certificate(void *ctx, const struct tls_cert *cert)
{
    struct bundle *bundle = ctx;

    if (!tls_cert_usable(cert)) {
        bundle->unusable++;
        return false;
    }
    bundle->count++;
    bundle->bytes += TLS_NAME_HASH + cert->n.len + cert->e.len + cert->q.len;
    return true;
}

void tls_name_hash(struct tls_span name, unsigned char out[TLS_NAME_HASH])
{
    br_sha256_context sha256;
    unsigned char hash[br_sha256_SIZE];

    br_sha256_init(&sha256);
    br_sha256_update(&sha256, name.data, name.len);
    br_sha256_out(&sha256, hash);
    memcpy(out, hash, TLS_NAME_HASH);
}

static unsigned char *append_bytes(unsigned char **to, struct tls_span from)
{
    unsigned char *start = *to;

    memcpy(start, from.data, from.len);
    *to += from.len;
    return start;
}

static void fill_anchor(br_x509_trust_anchor *anchor, const struct tls_cert *cert, unsigned char **room)
{
    br_x509_pkey *key = &anchor->pkey;

    anchor->dn = (br_x500_name){*room, TLS_NAME_HASH};
    tls_name_hash(cert->subject, *room);
    *room += TLS_NAME_HASH;
    anchor->flags = tls_cert_is_authority(cert) ? BR_X509_TA_CA : 0;
    if (cert->key == TLS_KEY_RSA) {
        key->key_type = BR_KEYTYPE_RSA;
        key->key.rsa = (br_rsa_public_key){append_bytes(room, cert->n), cert->n.len,
                                           append_bytes(room, cert->e), cert->e.len};
    } else {
        key->key_type = BR_KEYTYPE_EC;
        key->key.ec = (br_ec_public_key){cert->curve, append_bytes(room, cert->q), cert->q.len};
    }
}

static struct tls_trust *new_trust(size_t count, size_t bytes)
{
    struct tls_trust *trust = calloc(1, sizeof *trust + count * sizeof trust->anchors[0] + bytes);

    if (trust != NULL)
        trust->count = count;
    return trust;
}

/* `der`: certificates that were found usable, one after the other. */
static struct tls_trust *make_trust(const struct bundle *bundle, struct tls_span der)
{
    struct tls_trust *trust = new_trust(bundle->count, bundle->bytes);
    unsigned char *room;

    if (trust == NULL)
        return NULL;
    room = (unsigned char *)&trust->anchors[bundle->count];
    for (size_t i = 0; i < bundle->count; i++) {
        struct tls_span rest = der;
        struct tls_span content;
        struct tls_cert cert;

        if (tls_der_expect(&rest, DER_SEQUENCE, &content) &&
            tls_cert_parse((struct tls_span){der.data, der.len - rest.len}, &cert))
            fill_anchor(&trust->anchors[i], &cert, &room);
        der = rest;
    }
    return trust;
}

/* `content` is the file's, and is changed. */
static struct tls_trust *parse_bundle(const char *file, char *content, size_t size, struct error *error)
{
    struct bundle bundle = {0};
    struct tls_trust *trust;
    unsigned char *data = (unsigned char *)content;
    int damaged = 0;
    size_t len = tls_pem_decode(data, size, count_certificate, &bundle, &damaged);

    if (bundle.count == 0) {
        error_set(
            error, ERROR_CONFIG,
            "the CA file %s has no certificate that can be used: it has to hold certificates in PEM, with RSA keys of 2048 to 4096 bits or on the curves P-256, P-384, P-521",
            file);
        return NULL;
    }
    if (damaged + bundle.unusable > 0)
        log_warn(
            "%s: left out %d of its certificates: %d damaged, %d with a key or name that cannot be used here",
            file, damaged + bundle.unusable, damaged, bundle.unusable);
    trust = make_trust(&bundle, (struct tls_span){data, len});
    if (trust != NULL)
        trust->file = strdup(file);
    if (trust == NULL || trust->file == NULL) {
        free(trust);
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    return trust;
}

static struct tls_trust *load_bundle(const char *file, struct error *error)
{
    struct tls_trust *trust;
    struct error why;
    size_t len;
    char *content = file_read(file, FILE_MAX, &len, &why);

    if (content == NULL) {
        error_set(
            error, ERROR_CONFIG,
            "the CA file cannot be used: %s: correct or unset ca_file, AWS_CA_BUNDLE or SSL_CERT_FILE, whichever names it",
            why.text);
        return NULL;
    }
    trust = parse_bundle(file, content, len, error);
    file_free(content, len);
    return trust;
}

/* ---- all of them ---- */

static struct tls_trust *take_roots(struct error *error)
{
    struct tls_trust *trust;

    if (tls_roots_count() == 0) {
        error_set(
            error, ERROR_CONFIG,
            "cannot check certificates: this machine has no CA certificates, and this program was built without any: install ca-certificates or set ca_file");
        return NULL;
    }
    trust = new_trust(tls_roots_count(), 0);
    if (trust == NULL)
        error_set(error, ERROR_LOCAL, "out of memory");
    else
        tls_roots_fill(trust->anchors);
    return trust;
}

static bool same_file(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

const struct tls_trust *tls_trust(struct tls *tls, const char *ca_file, struct error *error)
{
    const char *file = tls_file(ca_file);
    struct tls_trust *trust = tls->trusts;

    while (trust != NULL && !same_file(trust->file, file))
        trust = trust->next;
    if (trust != NULL)
        return trust;
    trust = file != NULL ? load_bundle(file, error) : take_roots(error);
    if (trust != NULL) {
        trust->next = tls->trusts;
        tls->trusts = trust;
    }
    return trust;
}
