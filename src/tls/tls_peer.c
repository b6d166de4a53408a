/*
 * The judge of a handshake: BearSSL's own (br_x509_minimal: signatures, dates, chain, anchors), wrapped so
 * that what it saw is remembered, and that the server's certificate is checked for what it leaves to others.
 */
#include "tls_internal.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

/* `ctx` points to the first member of a peer, and so to the peer. */
static struct tls_peer *peer_of(const br_x509_class **ctx)
{
    return (struct tls_peer *)(void *)ctx;
}

static void on_start_chain(const br_x509_class **ctx, const char *server_name)
{
    struct tls_peer *peer = peer_of(ctx);

    (void)server_name; /* without it BearSSL takes any name; which one it has to be is seen to in judge_own */
    peer->fault = TLS_FAULT_NONE;
    peer->count = 0;
    peer->blamed = -1;
    peer->for_clients = false;
    peer->names[0] = '\0';
    peer->minimal.vtable->start_chain(&peer->minimal.vtable, NULL);
}

/* Makes room for a certificate; false: not for this one. */
static bool make_room(struct tls_peer *peer, size_t len)
{
    unsigned char *der;

    if (len > TLS_CERT_MAX)
        return false;
    if (len <= peer->room)
        return true;
    der = realloc(peer->der, len);
    if (der == NULL)
        return false;
    peer->der = der;
    peer->room = len;
    return true;
}

static void on_start_cert(const br_x509_class **ctx, uint32_t length)
{
    struct tls_peer *peer = peer_of(ctx);

    peer->len = 0;
    peer->whole = peer->count < TLS_FACTS && make_room(peer, length);
    if (peer->count == 0 && !peer->whole)
        peer->fault = length > TLS_CERT_MAX ? TLS_FAULT_TOO_LARGE : TLS_FAULT_MEMORY;
    if (peer->count < TLS_CHAIN_MAX)
        peer->minimal.vtable->start_cert(&peer->minimal.vtable, length);
}

static void on_append(const br_x509_class **ctx, const unsigned char *data, size_t len)
{
    struct tls_peer *peer = peer_of(ctx);

    peer->whole = peer->whole && len <= peer->room - peer->len;
    if (peer->whole && len > 0) {
        memcpy(peer->der + peer->len, data, len);
        peer->len += len;
    }
    if (peer->count < TLS_CHAIN_MAX)
        peer->minimal.vtable->append(&peer->minimal.vtable, data, len);
}

static bool is_anchor(const struct tls_trust *trust, struct tls_span name)
{
    unsigned char hash[TLS_NAME_HASH];

    tls_name_hash(name, hash);
    for (size_t i = 0; i < trust->count; i++) {
        if (memcmp(trust->anchors[i].dn.data, hash, sizeof hash) == 0)
            return true;
    }
    return false;
}

static void remember_fact(struct tls_peer *peer, const struct tls_cert *cert)
{
    struct tls_fact *fact = &peer->facts[peer->count];

    tls_cert_name(cert->subject, fact->subject);
    tls_cert_name(cert->issuer, fact->issuer);
    fact->not_before = cert->not_before;
    fact->not_after = cert->not_after;
    fact->signature = cert->signature;
    fact->signature_len = cert->signature_len;
    fact->key = cert->key;
    fact->bits = cert->bits;
    fact->self_issued = tls_span_equal(cert->subject, cert->issuer);
    fact->constrained = cert->constrained;
    fact->issuer_elsewhere = cert->issuer_elsewhere;
    fact->issuer_known = is_anchor(peer->trust, cert->issuer);
}

/* The server's own certificate. */
static enum tls_fault judge_own(struct tls_peer *peer, const struct tls_cert *cert)
{
    if (!cert->has_names)
        return TLS_FAULT_NO_NAMES;
    tls_names_describe(cert->names, peer->names, sizeof peer->names);
    if (!tls_names_match(cert->names, peer->host))
        return TLS_FAULT_OTHER_NAME;
    if (cert->has_extended_usage && !cert->for_servers) {
        peer->for_clients = cert->for_clients;
        return TLS_FAULT_PURPOSE;
    }
    return cert->has_key_usage && !cert->may_sign ? TLS_FAULT_USAGE : TLS_FAULT_NONE;
}

static void on_end_cert(const br_x509_class **ctx)
{
    struct tls_peer *peer = peer_of(ctx);
    struct tls_cert cert;

    if (peer->count < TLS_CHAIN_MAX)
        peer->minimal.vtable->end_cert(&peer->minimal.vtable);
    if (peer->blamed < 0 && peer->minimal.err != 0)
        peer->blamed = peer->count;
    if (peer->count < TLS_FACTS) {
        bool read = peer->whole && tls_cert_parse((struct tls_span){peer->der, peer->len}, &cert);

        peer->facts[peer->count] = (struct tls_fact){.subject = "?", .issuer = "?"};
        if (read)
            remember_fact(peer, &cert);
        if (peer->count == 0 && peer->fault == TLS_FAULT_NONE)
            peer->fault = read ? judge_own(peer, &cert) : TLS_FAULT_DAMAGED;
    }
    peer->count++;
}

/* What BearSSL is told of a fault, so that it sends the server the right alert. */
static unsigned code_of(enum tls_fault fault)
{
    switch (fault) {
    case TLS_FAULT_NO_NAMES:
    case TLS_FAULT_OTHER_NAME:
        return BR_ERR_X509_BAD_SERVER_NAME;
    case TLS_FAULT_PURPOSE:
    case TLS_FAULT_USAGE:
        return BR_ERR_X509_FORBIDDEN_KEY_USAGE;
    case TLS_FAULT_TOO_LARGE:
    case TLS_FAULT_MEMORY:
        return BR_ERR_X509_LIMIT_EXCEEDED;
    case TLS_FAULT_DAMAGED:
        return BR_ERR_X509_INVALID_VALUE;
    case TLS_FAULT_NONE:
        break;
    }
    return 0;
}

static unsigned on_end_chain(const br_x509_class **ctx)
{
    struct tls_peer *peer = peer_of(ctx);
    unsigned code = peer->minimal.vtable->end_chain(&peer->minimal.vtable);

    free(peer->der);
    peer->der = NULL;
    peer->room = 0;
    peer->len = 0;
    return code != 0 ? code : code_of(peer->fault);
}

static const br_x509_pkey *on_get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
    const struct tls_peer *peer = (const struct tls_peer *)(const void *)ctx;

    if (peer->fault != TLS_FAULT_NONE)
        return NULL;
    return peer->minimal.vtable->get_pkey(&peer->minimal.vtable, usages);
}

const br_x509_class tls_peer_vtable = {
    .context_size = sizeof(struct tls_peer),
    .start_chain = on_start_chain,
    .start_cert = on_start_cert,
    .append = on_append,
    .end_cert = on_end_cert,
    .end_chain = on_end_chain,
    .get_pkey = on_get_pkey,
};

/* ---- client authentication ---- */

/* The list of the authorities that the server would accept. */
static void on_start_names(const br_ssl_client_certificate_class **ctx)
{
    (void)ctx;
}

static void on_start_name(const br_ssl_client_certificate_class **ctx, size_t len)
{
    (void)ctx;
    (void)len;
}

static void on_name(const br_ssl_client_certificate_class **ctx, const unsigned char *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
}

/* RFC 5246, 7.4.6: an empty chain, and it is for the server to decide whether that will do. */
static void on_choose(const br_ssl_client_certificate_class **ctx, const br_ssl_client_context *client,
                      uint32_t auth_types, br_ssl_client_certificate *choices)
{
    struct tls_peer *peer = (struct tls_peer *)(void *)((char *)ctx - offsetof(struct tls_peer, answer));

    (void)client;
    (void)auth_types;
    peer->asked = true;
    memset(choices, 0, sizeof *choices);
}

const br_ssl_client_certificate_class tls_peer_answer = {
    .context_size = sizeof(struct tls_peer),
    .start_name_list = on_start_names,
    .start_name = on_start_name,
    .append_name = on_name,
    .end_name = on_start_names,
    .end_name_list = on_start_names,
    .choose = on_choose,
};

struct tls_peer *tls_peer_new(void)
{
    return calloc(1, sizeof(struct tls_peer));
}

void tls_peer_free(struct tls_peer *peer)
{
    if (peer == NULL)
        return;
    free(peer->der);
    free(peer);
}
