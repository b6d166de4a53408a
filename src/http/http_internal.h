/*
 * http_internal - what http.c (the loop), http_wait.c (its waiting), http_transfer.c (one attempt), http_limits.c (how long it may
 * take) and http_failure.c (what went wrong) share. These five are the only files that know libcurl, and the only ones to include this.
 *
 * libcurl says which sockets it waits for, and until when; http_wait.c waits for them, and for the request to stop.
 *
 * A transfer is a request that was submitted, with its own easy handle. It waits (for its turn, or for a
 * backoff to end), is active (its handle is in the multi handle), waits again if it is retried, and goes back
 * to the pool when its request is done.
 */
#ifndef STORSYNC_HTTP_INTERNAL_H
#define STORSYNC_HTTP_INTERNAL_H

#include "http.h"
#include "http_answer.h"
#include "pace.h"
#include "tls.h"

#include <curl/curl.h>
#include <poll.h>

struct http_transfer {
    struct http_transfer *next;
    struct http *http;
    struct http_request *request;
    CURL *easy;
    struct curl_slist *headers;
    struct http_answer answer;
    bool active;
    bool blocked;   /* its owner was not ready, and no request has ended since */
    bool connected; /* in this attempt; from then on the stall limit applies, until then the connect limit */
    bool body_paused; /* by the hooks */
    bool upload_paused;
    bool resume;       /* http_resume was called */
    int64_t held;      /* mono; since when its body waits for max_bytes; 0: it does not */
    int at_once;       /* HTTP_RETRY_NOW verdicts so far */
    int64_t delivered; /* bytes of the body that the peer had acknowledged when the stall limit passed last */
    int64_t due;       /* mono; waiting: not before */
    int64_t began;     /* mono; the attempt */
    int64_t moved;     /* mono; when the stall limit began to count */
    char said[120];    /* the last line of a mail server's */
    struct tls_peer *peer; /* of its last handshake */
    char detail[CURL_ERROR_SIZE];
};

/* What is waited for. An entry whose fd is -1 is free. */
struct http_sockets {
    struct pollfd *list; /* the first one is stop_fd() */
    nfds_t count, room;
    int64_t timer; /* mono; when libcurl wants to go on by itself; INT64_MAX: it does not */
};

struct http {
    struct http_limits limits;
    struct retry retry;
    CURLM *multi;
    struct http_sockets sockets;
    struct http_transfer *transfers; /* in the order they were submitted */
    struct http_transfer *pool;
    int active;
    int pooled;
    uint64_t requests;
    uint64_t refused;
    uint64_t ended;
    uint64_t moved; /* how often something went between libcurl and an owner */
    struct pace pace_requests, pace_bytes;
    bool stop_seen; /* stop_fd() woke us once; it stays readable and would do so forever */
    struct tls *tls;
    const char *ca_file; /* for requests that have none of their own; NULL: the roots built in */
};

/* ---- http_wait.c ---- */

bool http_sockets_init(struct http *http);  /* false: no memory */
bool http_sockets_watch(struct http *http); /* those of its multi handle; false: no memory */
void http_sockets_free(struct http *http);

/* Lets libcurl do what it need not wait for: above all, send requests that have just begun. */
CURLMcode http_go_on(struct http *http);
/* Waits for a socket, the timer or the request to stop, at most `wait` ms, and lets libcurl go on. */
CURLMcode http_wait(struct http *http, int wait);

/* ---- http_transfer.c ---- */

struct http_transfer *http_transfer_new(struct http *http); /* NULL: no memory */
void http_transfer_free(struct http_transfer *transfer);

/* Begins an attempt: asks the owner for it and hands it to libcurl. False: it cannot be made, see
 * request->error. */
bool http_transfer_activate(struct http_transfer *transfer);

/* Takes it out of libcurl's hands. Unless its answer is complete this closes the connection. */
void http_transfer_deactivate(struct http_transfer *transfer);

/* Forgets the results of the attempt before. */
void http_transfer_reset(struct http_request *request);

/* Whose authorities count; NULL: those built in. */
const char *http_ca_file(const struct http_transfer *transfer);

/* ---- http_limits.c ---- */

/* Something moved: the stall limit begins anew. */
void http_transfer_moved(struct http_transfer *transfer);

/* In milliseconds: until it has to be connected, without a byte, and for an attempt (0: no limit). */
int64_t http_connect_limit(const struct http_transfer *transfer);
int64_t http_stall_limit(const struct http_transfer *transfer);
int64_t http_attempt_limit(const struct http_transfer *transfer);

bool http_has_stalled(struct http_transfer *transfer, int64_t now);
bool http_takes_too_long(const struct http_transfer *transfer, int64_t now);

/* When one of its limits passes, if nothing moves until then: mono, INT64_MAX if none does. */
int64_t http_limit_of(const struct http_transfer *transfer);

/* ---- http_failure.c ---- */

/* The host of a URL, an IPv6 address with its brackets; returns `out`. */
const char *http_host(const char *url, char out[HTTP_HOST_SIZE]);

/* Sets the request's error to "host:port: ...". */
void http_fail(struct http_request *request, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Turns libcurl's verdict into request->error and ->retryable, unless a hook or callback set an error
 * already. */
void http_fail_curl(struct http_transfer *transfer, CURLcode code);

#endif
