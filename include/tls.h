/*
 * tls - whom to trust, and what a handshake must be like. The only module that knows BearSSL's X.509; http
 * hands each new connection's BearSSL context over before the handshake begins.
 *
 * Trust anchors come from the first of these that there is: the side's ca_file, $SSL_CERT_FILE, the places
 * where distributions keep their bundle, the roots built into the binary. A file is read once a process, at
 * the first connection that needs it. A file that was named by somebody and cannot be used is an error, never
 * a reason to go on to the next; a bundle's single certificate that BearSSL cannot use is left out, and
 * counted in one warning.
 *
 * What is accepted: TLS 1.2 with ECDHE and an AEAD; RSA of 2048 to 4096 bits, P-256, P-384, P-521; SHA-256
 * and up; a chain that is valid now; a leaf for server authentication whose subjectAltName (never its CN) has
 * the host's name, or its IP address. RFC 5280, RFC 6125 (6.4), RFC 5246. A certificate that was made an
 * anchor is one whatever its dates are; if it is no authority by its basicConstraints, it is trusted as a
 * server's own, and for nothing else.
 *
 * INVARIANT: no connection gets past its handshake without this module's verdict; there is no way to turn
 * that off.
 */
#ifndef STORSYNC_TLS_H
#define STORSYNC_TLS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct tls;       /* all that is shared: the anchors of every file so far, the order of the ciphers */
struct tls_trust; /* one set of anchors, owned by its struct tls */
struct tls_peer;  /* one handshake: what the peer showed, and what was wrong with it */

struct tls *tls_new(void); /* NULL: no memory */
void tls_free(struct tls *tls);

/* The file whose authorities count for a side with this ca_file ("" or NULL: it has none), or NULL for
 * those built in. */
const char *tls_file(const char *ca_file);

/* The same in words, for people: "/etc/ssl/certs/ca-certificates.crt", "built in (ca-certificates
 * 20250419)". Reads nothing. */
void tls_describe(const char *ca_file, char *out, size_t room);

/* How many authorities are built into the binary, and of which ca-certificates. 0 and "" if it was built
 * without. */
size_t tls_roots_count(void);
const char *tls_roots_version(void);

/* The anchors for that ca_file. NULL with ERROR_CONFIG: the file cannot be read or has no certificate that
 * is any use. */
const struct tls_trust *tls_trust(struct tls *tls, const char *ca_file, struct error *error);

struct tls_peer *tls_peer_new(void); /* NULL: no memory */
void tls_peer_free(struct tls_peer *peer);

/*
 * Sets up `client`, a br_ssl_client_context, for a handshake, and makes `peer` its judge, which must live
 * until the handshake is over and can be used again. To be called after br_ssl_client_zero and before
 * br_ssl_client_reset, with the host in the engine's server_name: a name, or an IP address with or without
 * brackets. (Only who makes the connection knows whether that is the request's host or an https proxy.)
 */
void tls_begin(struct tls *tls, struct tls_peer *peer, const struct tls_trust *trust, void *client);

/*
 * A handshake failed with BearSSL's error `code` (256 + n is a fatal alert n from the peer, 0 that the
 * connection broke): says in one line for a person what failed, which certificate it was, and what to do.
 * True if another attempt may help. `peer` is the one that tls_begin was given, or NULL.
 */
bool tls_explain(const struct tls_peer *peer, int code, char *out, size_t room);

#endif
