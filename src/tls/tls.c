/*
 * What a handshake may be like. BearSSL's ready-made profiles also offer TLS 1.0, CBC, 3DES and SHA-1, and
 * would put every algorithm into the binary; so this sets up only what it uses.
 */
#include "tls_internal.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

#define MS_PER_DAY INT64_C(86400000)
#define DAYS_TO_1970 719528 /* from the 0000-01-01 that BearSSL counts from */
#define RSA_BYTES_MIN 256

static const struct {
    unsigned id;
    const br_hash_class *class;
} hashes[] = {
    {br_sha256_ID, &br_sha256_vtable},
    {br_sha384_ID, &br_sha384_vtable},
    {br_sha512_ID, &br_sha512_vtable},
};

/* AES is the fastest by far where the CPU has it, and the slowest where it has not. */
static bool cpu_has_aes(void)
{
#if defined __x86_64__ || defined __i386__
    return br_aes_x86ni_ctr_get_vtable() != NULL && br_ghash_pclmul_get() != 0;
#else
    return false;
#endif
}

static void order_suites(uint16_t suites[TLS_SUITES], bool aes_first)
{
    static const uint16_t aes[] = {
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    };
    static const uint16_t chacha[] = {
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    };

    memcpy(suites + (aes_first ? 0 : sizeof chacha / sizeof *chacha), aes, sizeof aes);
    memcpy(suites + (aes_first ? sizeof aes / sizeof *aes : 0), chacha, sizeof chacha);
}

struct tls *tls_new(void)
{
    struct tls *tls = calloc(1, sizeof *tls);

    if (tls != NULL)
        order_suites(tls->suites, cpu_has_aes());
    return tls;
}

void tls_free(struct tls *tls)
{
    struct tls_trust *trust;

    if (tls == NULL)
        return;
    while ((trust = tls->trusts) != NULL) {
        tls->trusts = trust->next;
        free(trust->file);
        free(trust);
    }
    free(tls);
}

static void begin_judge(struct tls_peer *peer, const struct tls_trust *trust, br_ssl_engine_context *engine)
{
    br_x509_minimal_context *minimal = &peer->minimal;
    int64_t now = clock_wall();

    if (now < 0)
        now = 0;
    peer->vtable = &tls_peer_vtable;
    peer->trust = trust;
    peer->now = now;
    peer->count = 0;
    peer->blamed = -1;
    peer->fault = TLS_FAULT_NONE;
    peer->answer = &tls_peer_answer;
    peer->asked = false;
    br_x509_minimal_init(minimal, &br_sha256_vtable, trust->anchors, trust->count);
    br_x509_minimal_set_rsa(minimal, br_ssl_engine_get_rsavrfy(engine));
    br_x509_minimal_set_ecdsa(minimal, br_ssl_engine_get_ec(engine), br_ssl_engine_get_ecdsa(engine));
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        br_x509_minimal_set_hash(minimal, (int)hashes[i].id, hashes[i].class);
    br_x509_minimal_set_minrsa(minimal, RSA_BYTES_MIN);
    br_x509_minimal_set_time(minimal, (uint32_t)(now / MS_PER_DAY) + DAYS_TO_1970,
                             (uint32_t)(now % MS_PER_DAY / 1000));
    br_ssl_engine_set_x509(engine, &peer->vtable);
}

void tls_begin(struct tls *tls, struct tls_peer *peer, const struct tls_trust *trust, void *client)
{
    br_ssl_engine_context *engine = &((br_ssl_client_context *)client)->eng;

    _Static_assert(sizeof peer->host == sizeof engine->server_name, "a host's name fits");
    memcpy(peer->host, engine->server_name, sizeof peer->host);
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(engine, tls->suites, TLS_SUITES);
    br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        br_ssl_engine_set_hash(engine, (int)hashes[i].id, hashes[i].class);
    br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
    br_ssl_engine_set_prf_sha384(engine, &br_tls12_sha384_prf);
    br_ssl_engine_set_default_rsavrfy(engine);
    br_ssl_engine_set_default_ecdsa(engine); /* and the curves: X25519, P-256, P-384, P-521 */
    br_ssl_engine_set_default_aes_gcm(engine);
    br_ssl_engine_set_default_chapol(engine);
    begin_judge(peer, trust, engine);
    br_ssl_client_set_client_certificate(client, &peer->answer);
}
