/*
 * tls_internal - what the files of tls that know BearSSL share. Only they include this.
 */
#ifndef STORSYNC_TLS_INTERNAL_H
#define STORSYNC_TLS_INTERNAL_H

#include "tls.h"
#include "tls_cert.h"

#include <bearssl.h>

#define TLS_SUITES 6
#define TLS_FACTS 6                      /* certificates of a chain that are remembered */
#define TLS_CHAIN_MAX 16                 /* certificates of a chain that are looked at */
#define TLS_CERT_MAX ((size_t)32 * 1024) /* bytes of the server's own certificate */

struct tls {
    struct tls_trust *trusts;
    uint16_t suites[TLS_SUITES];
};

struct tls_trust {
    struct tls_trust *next;
    char *file; /* NULL: the roots built in */
    size_t count;
    br_x509_trust_anchor anchors[]; /* hashes of names, and keys, are behind them, or in the binary */
};

/* What is remembered of a certificate, for tls_explain. */
struct tls_fact {
    char subject[TLS_NAME_SIZE];
    char issuer[TLS_NAME_SIZE];
    int64_t not_before, not_after; /* wall */
    enum tls_signature signature;
    size_t signature_len;
    enum tls_key key;
    int bits;
    bool self_issued;
    bool constrained;
    bool issuer_elsewhere;
    bool issuer_known; /* an anchor has the issuer's name */
};

/* What is wrong with the server's own certificate, in what BearSSL does not look at. */
enum tls_fault {
    TLS_FAULT_NONE,
    TLS_FAULT_DAMAGED,
    TLS_FAULT_TOO_LARGE,
    TLS_FAULT_MEMORY,
    TLS_FAULT_NO_NAMES, /* no subjectAltName */
    TLS_FAULT_OTHER_NAME,
    TLS_FAULT_PURPOSE, /* extendedKeyUsage without servers */
    TLS_FAULT_USAGE,   /* keyUsage without signatures */
};

struct tls_peer {
    const br_x509_class *vtable; /* BearSSL wants this first */
    br_x509_minimal_context minimal;
    const br_ssl_client_certificate_class *answer; /* to a request for a client certificate */
    const struct tls_trust *trust;
    char host[256];
    int64_t now; /* wall; when the handshake began */
    bool asked;  /* for a client certificate */
    enum tls_fault fault;
    int count;  /* certificates so far */
    int blamed; /* the one at which BearSSL came to its verdict; -1: none yet */
    struct tls_fact facts[TLS_FACTS];
    unsigned char *der; /* the certificate that is coming in */
    size_t room, len;
    bool whole;                    /* so far all of it is there */
    bool for_clients;              /* with TLS_FAULT_PURPOSE */
    char names[3 * TLS_NAME_SIZE]; /* of the server's certificate, for people */
};

/* ---- tls_peer.c ---- */

extern const br_x509_class tls_peer_vtable;

/* Sends no client certificate, and notes that one was wanted. */
extern const br_ssl_client_certificate_class tls_peer_answer;

/* ---- tls_trust.c ---- */

/* What an anchor has instead of this name. */
void tls_name_hash(struct tls_span name, unsigned char out[TLS_NAME_HASH]);

/* ---- tls_roots.c: the roots built into the binary ---- */

/* Fills in tls_roots_count() anchors. */
void tls_roots_fill(br_x509_trust_anchor *anchors);

/* ---- tls_name.c: RFC 6125, section 6.4; RFC 5280, 4.2.1.6 ---- */

/* Is one of these GeneralNames that of `host`, a name or an IP address? */
bool tls_names_match(struct tls_span names, const char *host);

/* The DNS names and addresses in words: "a.example, *.b.example and 12 more". */
void tls_names_describe(struct tls_span names, char *out, size_t room);

#endif
