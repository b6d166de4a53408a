/*
 * sigv4 - AWS Signature Version 4, the Authorization header form.
 *
 * Follows "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk" of
 * the Amazon S3 API Reference. Pure: everything that is signed is an argument, the time too. The caller has
 * already encoded path and query, because what is signed must be, byte for byte, what is sent. Header values
 * are sent as they are; the white space in them is reduced for the signature only. A session token is signed
 * as any other header (x-amz-security-token).
 */
#ifndef STORSYNC_SIGV4_H
#define STORSYNC_SIGV4_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

/* The key that follows from a secret is good for a day; deriving it is half of the work of signing. Zeroed, this
 * holds none. Its owner wipes it, and zeroes it when the secret changes. */
struct sigv4_derived {
    char scope[160]; /* what it was derived for, besides the secret */
    unsigned char key[32];
};

struct sigv4_key {
    const char *access_key_id;
    const char *secret_access_key;
    const char *region;
    const char *service;           /* "s3" */
    struct sigv4_derived *derived; /* kept between calls; NULL: not at all */
};

struct sigv4_header {
    const char *name; /* lower case */
    const char *value;
};

struct sigv4_request {
    const char *method;
    const char *path; /* encoded, starts with '/' */
    /* Encoded, sorted by name, then by value ("a=" before "a2="); "" if none; "name=" without a value. */
    const char *query;
    const struct sigv4_header *headers; /* all to sign, sorted by name; host and x-amz-date among them */
    size_t header_count;
    const char *payload_hash; /* hexadecimal SHA-256 of the body, or SIGV4_UNSIGNED */
};

/* Appends the value of the Authorization header. `wall` is the time that x-amz-date says. The intermediate
 * secrets are wiped. False: no memory, no room in `out`, more than 64 KiB to sign, or a secret over 4 KiB. */
bool sigv4_authorization(const struct sigv4_request *request, const struct sigv4_key *key, int64_t wall,
                         struct buf *out);

/* The first step by itself, for tests and for a debug log: it may hold a session token. */
bool sigv4_canonical_request(const struct sigv4_request *request, struct buf *out);

#endif
