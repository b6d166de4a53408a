/*
 * http - requests on one thread: submit, step, retry. Only this module knows libcurl.
 *
 * A request belongs to its owner and is at rest until http_submit; from then on http uses it until `done`,
 * which becomes true only inside http_step and http_cancel (and in http_submit when there is no memory). All
 * requests share one set of connections, which are kept open and reused.
 *
 * An attempt: `prepare` fills in URL and headers (and signs: it runs again for every attempt), the body is
 * pulled through `upload`, the answer's headers go through `header` and its body through `body`, then
 * `finish` judges it. HTTP_RETRY is subject to the shared budget (retry.h) and backoff; http does the
 * waiting. An answer that arrives before the body is sent ends the attempt like any other, but it cannot be a good one: 2xx is
 * ERROR_PROTOCOL then. Redirects are answers, too.
 *
 * All hooks are called inside http_step, and must not call it. A hook may call http_submit and http_resume
 * for any request, but neither http_cancel nor http_request_free nor http_free.
 *
 * At most limits.connections requests are under way; more wait for their turn, which a paused request does
 * not give up. Owners whose requests feed each other (a relay) need room for all of them at once.
 *
 * Limits of a second hold for all requests together: each attempt is a request, one that libcurl sends again on a new connection
 * because the kept one was dead is another, and heads and bodies of requests and answers are bytes (as they are without TLS).
 * A body that waits for its turn does not stall, nor does that time count in request_timeout; those that wait longest go on
 * first. What is urgent, and everything once a stop was requested, goes ahead of that, and is made up for by the others.
 *
 * INVARIANT: every submitted request ends: with the answer, with an error, by cancel, or because a limit
 * passed: connect_timeout, request_timeout, stall_timeout (twice that for an upload, where what the peer has acknowledged is
 * looked at only so often; more by what the request's owner allows), and the retry limit.
 */
#ifndef STORSYNC_HTTP_H
#define STORSYNC_HTTP_H

#include "buf.h"
#include "error.h"
#include "retry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_BUFFER_MIN ((size_t)16 * 1024)
#define HTTP_BUFFER_MAX ((size_t)128 * 1024)
#define HTTP_BUFFER_LARGE ((size_t)64 * 1024)
#define HTTP_URL_MAX ((size_t)8 * 1024)      /* ceiling of request->url */
#define HTTP_HOST_SIZE 300                   /* of a host's name with its port */
#define HTTP_HEADERS_MAX ((size_t)32 * 1024) /* ceiling of request->headers */

struct http;
struct http_request;

struct http_limits {
    int connections;         /* at once, all hosts together; as many are kept open */
    int64_t connect_timeout; /* ms: name, TCP and TLS together */
    int64_t stall_timeout;   /* ms without a byte in either direction while not paused by a hook */
    int retries;             /* of a request, beyond its first attempt */
    int64_t request_timeout; /* ms for one attempt, however much moves; 0: no limit */
    size_t buffer; /* of a body, what is received or sent at once; HTTP_BUFFER_MIN to HTTP_BUFFER_MAX */
    int64_t max_requests; /* a second; 0: no limit. See pace.h */
    int64_t max_bytes;    /* a second, both directions together; 0: no limit */
};

enum http_verdict {
    HTTP_DONE,      /* final: request->error says whether well or badly */
    HTTP_RETRY,     /* try again after backoff, if the budget allows; request->error is what remains if not */
    HTTP_RETRY_NOW, /* something was learnt (a region, a clock offset): again at once. At most twice. */
};

struct http_hooks {
    /* May an attempt begin? False: it waits, and is asked about again whenever another request has ended. Only for
     * what another request brings (credentials), which must be under way then. Optional. */
    bool (*ready)(struct http_request *request);
    /* Fills request->url, request->headers (lines "Name: value", each ended by '\n') and upload_size, which
     * are "", "" and -1 before. False ends the request with *error. */
    bool (*prepare)(struct http_request *request, struct error *error);
    /* A header of the final answer (not of 1xx), name in lower case. Called after `status` is set. Optional.
     * A head beyond the limits of http_answer.h is an error. */
    void (*header)(struct http_request *request, const char *name, const char *value);
    /* Takes all `len` bytes and returns true, or takes none and returns false: paused until http_resume, and kept in a buffer
     * of libcurl's. That costs memory and two more copies, so who has no room left for request->buffer bytes had better say that
     * it is `enough` when it takes these. len is at most 16 KiB, but up to request->buffer bytes may have been received, and come
     * at once, also after that: who goes on must have room for so many. NULL: the body is dropped. */
    bool (*body)(struct http_request *request, const char *data, size_t len);
    /* Fills in at most `room` bytes of the request's body and returns how many; 0: nothing yet, paused until
     * http_resume; -1: cannot go on (request->error says why). Only called while bytes of upload_size are
     * outstanding. NULL if there is never a body. */
    long (*upload)(struct http_request *request, char *out, size_t room);
    /* The attempt is over. request->error is ERROR_NONE if a complete answer with any status arrived, else
     * the transport's error. Not called after http_cancel, nor when `prepare` failed. */
    enum http_verdict (*finish)(struct http_request *request);
};

/* A mail instead of a request: the URL is smtp:// or smtps://, the body that is uploaded is the message, and `status` the last
 * answer's code. All is the owner's, and in ASCII without control characters. */
struct http_mail {
    const char *from; /* an address */
    const char
        *to; /* addresses with commas and white space between them; it is fine if one of them is taken */
    const char *user, *password; /* "": none; AUTH PLAIN or LOGIN */
    bool plain;                  /* without TLS, if the server has none */
};

struct http_request {
    /* The owner's, before http_submit. */
    const struct http_hooks *hooks;
    void *ctx;
    const char *method;           /* static storage; "HEAD" gets no body */
    const struct http_mail *mail; /* NULL: it is HTTP */
    const char *ca_file;          /* see tls_trust; NULL if there is none */
    bool direct;   /* never through a proxy; nor is a host that is near (uri.h), whatever is said here */
    bool urgent;   /* counts in the limits of a second, and waits for none of them */
    bool discreet; /* the URL is a secret: no log has more of it than the host */
    size_t buffer; /* of a body, what is received or sent at once: from http_buffer; 0: that of the limits */
    bool large;    /* its buffer is one of the few large ones, see http_buffer */
    int64_t time_limit; /* ms for connecting, and for an attempt; 0: the limits of all */
    int64_t patience;   /* ms on top of stall_timeout: how long the peer may be busy without a byte */

    /* Filled in by prepare. */
    struct buf url;
    struct buf headers;
    int64_t upload_size; /* -1: no body, which is an empty one in a PUT or POST */

    /* Results, valid in hooks and once done. */
    bool done;
    int status; /* HTTP status of the last attempt, 0 if none came */
    int attempts;
    int64_t retry_after; /* ms, from Retry-After; 0 if none */
    uint64_t received;   /* body bytes handed to `body` in this attempt */
    uint64_t sent;  /* body bytes taken from `upload` in this attempt; in `finish`, those that were sent */
    bool enough;    /* set by `body`: nothing more is received until http_resume */
    bool retryable; /* transport error after which another attempt makes sense (set by http) */
    bool at_proxy;  /* the error is a proxy's, and names it */
    struct error error;

    struct http_transfer *transfer; /* http's own; NULL at rest */
};

/* libcurl is set up when something first needs it. NULL with *error: no memory. */
struct http *http_new(const struct http_limits *limits, struct error *error);
void http_free(struct http *http);

/* Can the authorities of that ca_file ("" or NULL: none of its own) be used? What the first connection would find out. */
bool http_check_trust(struct http *http, const char *ca_file, struct error *error);

void http_request_init(struct http_request *request);
void http_request_free(struct http_request *request); /* cancels it if need be */

void http_submit(struct http *http, struct http_request *request);
/* `body` or `upload` can go on: they are called again in the next http_step. Nothing happens if neither is
 * paused. */
void http_resume(struct http_request *request);
/* Done, with that error. Nothing happens at rest. */
void http_cancel(struct http_request *request, const struct error *why);

/* Moves everything that can move. Before that it waits, at most `wait` ms, for the network, for a backoff or
 * limit to end, or (once) for stop_fd(); with nothing under way this is a sleep that a signal ends. For the loop (loop.h). */
void http_step(struct http *http, int wait);

/* Who is waited for: host[:port] of the oldest request that is under way or will be tried again, and does not itself wait for
 * its owner; "" if there is none. */
const char *http_awaited(const struct http *http, char out[HTTP_HOST_SIZE]);
/* The buffer that one more request may receive with, for a body of so many bytes (UINT64_MAX: unknown). A large body costs the
 * less the more of it comes at once, so a few requests get HTTP_BUFFER_LARGE for theirs; all others get what the limits
 * say. The owner marks them as `large`, and those that pass on what they receive as well. */
size_t http_buffer(const struct http *http, uint64_t size);

/* The shared budget, for retries that only an owner can do (a relay must rewind both of its halves). */
struct retry *http_retry(struct http *http);

/* Requests that went out on a connection (attempts included) since http_new. */
uint64_t http_requests(const struct http *http);
/* Answers since then that say that there are too many of them: 429 and 503. */
uint64_t http_refused(const struct http *http);

#endif
