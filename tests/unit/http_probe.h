/*
 * http_probe - a server that plays a script, and a client whose hooks do what a test asks for.
 *
 * Each connection is a series of acts, so that every answer, and every way of not giving one, is exactly what
 * the test says. The server is a thread of the test program on a port that the kernel chooses.
 */
#ifndef STORSYNC_HTTP_PROBE_H
#define STORSYNC_HTTP_PROBE_H

#include "clock.h"
#include "http.h"
#include "stop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the server ---- */

enum act_kind {
    ACT_END,        /* of the script; closes what is open */
    ACT_ACCEPT,     /* closes the connection, if there is one, and waits for the next */
    ACT_HEAD,       /* reads the head of a request */
    ACT_REQUEST,    /* reads a request with its body */
    ACT_SEND,       /* sends `text` */
    ACT_FILL,       /* sends `count` bytes 'x' */
    ACT_SEND_ALERT, /* reads something, then sends the fatal TLS alert number `count` */
    ACT_RESET,      /* closes the connection with a RST */
    ACT_HANG_UP,    /* closes the connection */
    ACT_HOLD,       /* reads and drops until the client closes */
    ACT_WAIT,       /* does nothing until a byte comes through `gate` */
};

struct act {
    enum act_kind kind;
    size_t count;
    const char *text;
};

#define SCRIPT(...)                                                                                          \
    {                                                                                                        \
        __VA_ARGS__, ACT(END)                                                                                \
    }
#define ACT(name)                                                                                            \
    {                                                                                                        \
        ACT_##name, 0, NULL                                                                                  \
    }
#define SEND(text_)                                                                                          \
    {                                                                                                        \
        ACT_SEND, 0, text_                                                                                   \
    }
#define FILL(count_)                                                                                         \
    {                                                                                                        \
        ACT_FILL, count_, NULL                                                                               \
    }
#define ACCEPT ACT(ACCEPT)
#define HEAD ACT(HEAD)
#define REQUEST ACT(REQUEST)
#define RESET ACT(RESET)
#define HANG_UP ACT(HANG_UP)
#define HOLD ACT(HOLD)
#define WAIT ACT(WAIT)

#define ANSWER_200 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define ANSWER_503 "HTTP/1.1 503 Slow Down\r\nContent-Length: 4\r\n\r\nbusy"

struct server {
    const struct act *script;
    pthread_t thread;
    int listener;
    int port;
    int gate[2]; /* a pipe; a byte for every WAIT */
    int connections;
    struct buf seen; /* heads and bodies of all requests, one after the other */
    struct buf input;
    bool lost; /* the client did not keep to the script */
};

static inline bool server_receive(struct server *server, int fd)
{
    char data[4096];
    ssize_t got = recv(fd, data, sizeof data, 0);

    return got > 0 && buf_append(&server->input, data, (size_t)got);
}

/* Moves the first `len` bytes of the input to what was seen. */
static inline void server_consume(struct server *server, size_t len)
{
    buf_append(&server->seen, server->input.data, len);
    memmove(server->input.data, server->input.data + len, server->input.len - len);
    server->input.len -= len;
    server->input.data[server->input.len] = '\0';
}

static inline bool server_request(struct server *server, int fd, bool body)
{
    const char *end;
    const char *field;
    size_t need;

    while ((end = strstr(buf_str(&server->input), "\r\n\r\n")) == NULL) {
        if (!server_receive(server, fd))
            return false;
    }
    need = (size_t)(end + 4 - server->input.data);
    field = strstr(server->input.data, "Content-Length: ");
    if (body && field != NULL && field < end)
        need += strtoul(field + strlen("Content-Length: "), NULL, 10);
    while (server->input.len < need) {
        if (!server_receive(server, fd))
            return false;
    }
    server_consume(server, need);
    return true;
}

static inline bool server_send(int fd, const char *data, size_t len)
{
    ssize_t sent;

    while (len > 0) {
        sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

static inline bool server_fill(int fd, size_t count)
{
    char data[4096];
    size_t len;

    memset(data, 'x', sizeof data);
    for (; count > 0; count -= len) {
        len = count < sizeof data ? count : sizeof data;
        if (!server_send(fd, data, len))
            return false;
    }
    return true;
}

static inline void server_close(struct server *server, int *fd, bool reset)
{
    struct linger at_once = {.l_onoff = 1};

    if (*fd < 0)
        return;
    if (reset)
        setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(*fd);
    *fd = -1;
    buf_clear(&server->input);
}

/* So that a failing test ends. */
static const struct timeval patience = {.tv_sec = 30};

static inline bool server_act(struct server *server, const struct act *act, int *fd)
{
    char alert[] = {0x15, 3, 3, 0, 2, 2, 0}; /* RFC 5246, 6.2.1 and 7.2 */
    char byte;

    switch (act->kind) {
    case ACT_ACCEPT:
        server_close(server, fd, false);
        *fd = accept(server->listener, NULL, NULL);
        if (*fd < 0)
            return false;
        server->connections++;
        return setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
    case ACT_HEAD:
    case ACT_REQUEST:
        return server_request(server, *fd, act->kind == ACT_REQUEST);
    case ACT_SEND:
        return server_send(*fd, act->text, strlen(act->text));
    case ACT_FILL:
        return server_fill(*fd, act->count);
    case ACT_SEND_ALERT:
        alert[sizeof alert - 1] = (char)act->count;
        return server_receive(server, *fd) && server_send(*fd, alert, sizeof alert);
    case ACT_RESET:
    case ACT_HANG_UP:
        server_close(server, fd, act->kind == ACT_RESET);
        return true;
    case ACT_HOLD:
        while (server_receive(server, *fd))
            buf_clear(&server->input);
        return true;
    case ACT_WAIT:
        return read(server->gate[0], &byte, 1) == 1;
    case ACT_END:
        break;
    }
    return false;
}

static inline void *server_main(void *ctx)
{
    struct server *server = ctx;
    const struct act *act;
    int fd = -1;

    for (act = server->script; act->kind != ACT_END; act++) {
        if (!server_act(server, act, &fd)) {
            /* A client that does not want to hear everything is within its rights. */
            server->lost = act->kind != ACT_SEND && act->kind != ACT_FILL;
            break;
        }
    }
    server_close(server, &fd, false);
    return NULL;
}

static inline void server_start(struct server *server, const struct act *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    memset(server, 0, sizeof *server);
    server->script = script;
    buf_init(&server->seen, (size_t)16 * 1024 * 1024);
    buf_init(&server->input, (size_t)16 * 1024 * 1024);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(setsockopt(server->listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(pipe(server->gate), 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

/* Waits for the script to end; false if the client did not keep to it. */
static inline bool server_finish(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->listener);
    close(server->gate[0]);
    close(server->gate[1]);
    buf_free(&server->input);
    return !server->lost;
}

/* ---- the client ---- */

struct probe {
    struct http_request request;
    char url[256];
    const char *headers;
    int64_t upload_size;
    const char *prepare_error;
    /* what `finish` decides */
    enum http_verdict on_error;  /* after a transport error */
    enum http_verdict on_status; /* after a status of 500 and more */
    const char *final_error;     /* what `finish` sets when it wants a retry */
    /* the body of the request: 'u', `upload_step` bytes a call, pausing before every one if `upload_pauses`
     * */
    size_t upload_step;
    bool upload_pauses, upload_ready, upload_fails;
    /* the answer */
    bool body_refused; /* while true, `body` pauses */
    bool has_enough;   /* it does so with each piece that it takes */
    int pauses;        /* of either side */
    struct buf seen_headers;
    struct buf body;
    int finished;
    int64_t retry_after;       /* the longest seen */
    struct http_request *also; /* submitted by `finish` */
    struct probe *wakes;       /* its upload is let go on by `body` */
    struct probe *needs;       /* it has to be done before this one may begin; submitted by `ready` */
    int asked;                 /* how often `ready` was */
    struct http *http;
};

static inline bool on_ready(struct http_request *request)
{
    struct probe *probe = request->ctx;

    probe->asked++;
    if (probe->needs == NULL || probe->needs->request.done)
        return true;
    if (probe->needs->request.transfer == NULL)
        http_submit(probe->http, &probe->needs->request);
    return false;
}

static inline bool on_prepare(struct http_request *request, struct error *error)
{
    struct probe *probe = request->ctx;

    if (probe->prepare_error != NULL)
        return error_set(error, ERROR_CREDENTIALS, "%s", probe->prepare_error);
    buf_clear(&probe->seen_headers);
    buf_clear(&probe->body);
    buf_puts(&request->url, probe->url);
    buf_puts(&request->headers, probe->headers);
    request->upload_size = probe->upload_size;
    return true;
}

static inline void on_header(struct http_request *request, const char *name, const char *value)
{
    struct probe *probe = request->ctx;

    assert_true(request->status >= 200);
    buf_printf(&probe->seen_headers, "%s=%s\n", name, value);
}

static inline bool on_body(struct http_request *request, const char *data, size_t len)
{
    struct probe *probe = request->ctx;

    assert_true(len <= 16384);
    if (probe->body_refused) {
        probe->pauses++;
        return false;
    }
    buf_append(&probe->body, data, len);
    request->enough = probe->has_enough;
    probe->pauses += probe->has_enough;
    if (probe->wakes != NULL) {
        probe->wakes->upload_ready = true;
        http_resume(&probe->wakes->request);
    }
    return true;
}

static inline long on_upload(struct http_request *request, char *out, size_t room)
{
    struct probe *probe = request->ctx;
    uint64_t left = (uint64_t)request->upload_size - request->sent;
    size_t len = probe->upload_step != 0 && probe->upload_step < room ? probe->upload_step : room;

    assert_true(left > 0);
    if (probe->upload_fails)
        return -1;
    if (probe->upload_pauses && !probe->upload_ready) {
        probe->pauses++;
        return 0;
    }
    probe->upload_ready = false;
    if (len > left)
        len = (size_t)left;
    memset(out, 'u', len);
    return (long)len;
}

static inline enum http_verdict on_finish(struct http_request *request)
{
    struct probe *probe = request->ctx;
    enum http_verdict verdict = HTTP_DONE;

    probe->finished++;
    if (request->retry_after > probe->retry_after)
        probe->retry_after = request->retry_after;
    if (probe->also != NULL)
        http_submit(probe->http, probe->also);
    if (request->error.kind != ERROR_NONE)
        return probe->on_error;
    if (request->status >= 500)
        verdict = probe->on_status;
    if (verdict != HTTP_DONE && probe->final_error != NULL)
        error_set(&request->error, ERROR_BUSY, "%s", probe->final_error);
    return verdict;
}

static const struct http_hooks hooks = {on_ready, on_prepare, on_header, on_body, on_upload, on_finish};

static inline void probe_init(struct probe *probe, const struct server *server, const char *method,
                              const char *path)
{
    memset(probe, 0, sizeof *probe);
    http_request_init(&probe->request);
    buf_init(&probe->seen_headers, (size_t)256 * 1024);
    buf_init(&probe->body, (size_t)16 * 1024 * 1024);
    probe->request.hooks = &hooks;
    probe->request.ctx = probe;
    probe->request.method = method;
    probe->headers = "";
    probe->upload_size = -1;
    snprintf(probe->url, sizeof probe->url, "http://127.0.0.1:%d%s", server != NULL ? server->port : 1, path);
}

static inline void probe_free(struct probe *probe)
{
    http_request_free(&probe->request);
    buf_free(&probe->seen_headers);
    buf_free(&probe->body);
}

static inline struct http_limits limits_of(int connections, int64_t stall_timeout, int retries)
{
    setenv("no_proxy", "*", 1); /* whatever the environment of the test says */
    return (struct http_limits){connections, 30000, stall_timeout, retries, 0, 0, 0, 0};
}

static inline struct http *new_http(int connections, int64_t stall_timeout, int retries)
{
    struct http_limits limits = limits_of(connections, stall_timeout, retries);
    struct error error = {0};
    struct http *http = http_new(&limits, &error);

    assert_non_null(http);
    return http;
}

static inline void run(struct http *http, struct http_request *request)
{
    int64_t limit = clock_mono() + 120000;

    while (!request->done) {
        assert_true(clock_mono() < limit);
        http_step(http, 1000);
    }
    assert_null(request->transfer);
}

/* One request against one script, with a new set of connections. */
struct single {
    struct server server;
    struct http *http;
    struct probe probe;
};

static inline void single_begin(struct single *single, const struct act *script, const char *method)
{
    server_start(&single->server, script);
    single->http = new_http(4, 30000, 0);
    probe_init(&single->probe, &single->server, method, "/bucket/key");
}

static inline void single_run(struct single *single)
{
    http_submit(single->http, &single->probe.request);
    run(single->http, &single->probe.request);
}

static inline void single_end(struct single *single)
{
    probe_free(&single->probe);
    http_free(single->http);
    assert_true(server_finish(&single->server));
    buf_free(&single->server.seen);
}

/* The usual case, from start to end: what a GET of this script gives. */
static inline void single_get(struct single *single, const struct act *script)
{
    single_begin(single, script, "GET");
    single_run(single);
}

static inline void assert_error(const struct probe *probe, enum error_kind kind, bool retryable,
                                const char *part)
{
    const struct error *error = &probe->request.error;

    if (error->kind != kind || strstr(error->text, part) == NULL)
        print_error("error %s: %s\n", error_kind_name(error->kind), error->text);
    assert_int_equal(error->kind, kind);
    assert_int_equal(probe->request.retryable, retryable);
    assert_non_null(strstr(error->text, part));
    assert_non_null(strstr(error->text, "127.0.0.1:"));
}

#endif
