#include "admin.h"

#include "admin_events.h"
#include "admin_page.h"

#include "clock.h"
#include "error.h"
#include "handoff.h"
#include "log.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 32
#define LIMIT_SECONDS 10u
#define MEMORY ((size_t)9 * 1024) /* of a connection: a head of 8 KiB, and what is made of it */
#define ACCEPT_AT_ONCE 16
#define PAUSE 1000 /* ms; when there is no descriptor for another connection */

/* ---- answers ---- */

struct header {
    const char *name, *value;
};

/* Of every answer that does not say otherwise: nothing of it is kept, run, framed or shown to another site. */
static const struct header headers[] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Content-Type-Options", "nosniff"},
};

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     struct MHD_Response *response, const struct header *more)
{
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    for (; more->name != NULL; more++)
        MHD_add_response_header(response, more->name, more->value);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        if (MHD_get_response_header(response, headers[i].name) == NULL)
            MHD_add_response_header(response, headers[i].name, headers[i].value);
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Takes the memory of `text`. */
static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, struct buf *text,
                                 const struct header more[])
{
    if (text->failed) {
        buf_free(text);
        return MHD_NO; /* no memory: the connection ends */
    }
    return send_response(connection, status,
                         MHD_create_response_from_buffer_with_free_callback(text->len, text->data, free),
                         more);
}

/* Likewise. */
static enum MHD_Result send_json(struct MHD_Connection *connection, unsigned status, struct buf *json,
                                 const struct header *extra)
{
    buf_putc(json, '\n');
    return send_text(connection, status, json,
                     (struct header[]){{"Content-Type", "application/json"}, *extra, {NULL, NULL}});
}

static const struct header nothing_more = {NULL, NULL};

static enum MHD_Result send_error(struct MHD_Connection *connection, const struct admin_refusal *refusal,
                                  int64_t run_id)
{
    struct header more = {NULL, NULL};
    struct buf json;

    if (refusal->allow != NULL)
        more = (struct header){"Allow", refusal->allow};
    else if (refusal->status == 401)
        more = (struct header){"WWW-Authenticate", "Bearer"};
    else if (refusal->status == 503)
        more = (struct header){"Retry-After", "10"};
    buf_init(&json, ADMIN_DOCUMENT_MAX);
    admin_put_error(refusal->code, refusal->message, run_id, &json);
    return send_json(connection, refusal->status, &json, &more);
}

static void look_at_host(const struct admin *admin, struct admin_view *view)
{
    *view = (struct admin_view){.read_only = admin->told.token[0] == '\0'};
    admin->host->view(admin->host->ctx, view);
}

/* ---- what is asked for ---- */

static const char *find_header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The dashboard, always as gzip: all browsers read that. Its policy lets one run and draw what is in it, and ask us, nothing else. */
static enum MHD_Result send_page(struct MHD_Connection *connection)
{
    static const struct header more[] = {
        {"Content-Type", "text/html; charset=utf-8"},
        {"Content-Encoding", "gzip"},
        {"Content-Security-Policy", ADMIN_PAGE_POLICY},
        {"Cache-Control", "no-cache"},
        {"ETag", ADMIN_PAGE_ETAG},
        {NULL, NULL},
    };
    const char *known = find_header(connection, "If-None-Match");

    /* A cache may put W/ before it, and name others as well. */
    if (known != NULL && strstr(known, ADMIN_PAGE_ETAG) != NULL)
        return send_response(connection, 304, MHD_create_response_from_buffer_static(0, ""), more);
    return send_response(connection, 200,
                         MHD_create_response_from_buffer_static(sizeof admin_page, admin_page), more);
}

static enum MHD_Result answer_get(struct admin *admin, struct MHD_Connection *connection,
                                  enum admin_route route, bool head_only)
{
    static const struct header events[] = {{"Content-Type", "text/event-stream"}, {NULL, NULL}};
    static const struct header metrics[] = {{"Content-Type", "text/plain; version=0.0.4"}, {NULL, NULL}};
    struct admin_view view;
    struct MHD_Response *response;
    struct buf json;
    unsigned status = 200;
    size_t now_at;

    if (route == ADMIN_PAGE)
        return send_page(connection);
    look_at_host(admin, &view);
    if (route == ADMIN_EVENTS) {
        response = admin_events_add(connection, &view);
        if (response == NULL)
            return send_error(connection,
                              &(struct admin_refusal){503, "too-many", "as many watch as may", NULL}, 0);
        if (!head_only) /* that one does not watch: its time stays limited */
            MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
        return send_response(connection, 200, response, events);
    }
    buf_init(&json, ADMIN_DOCUMENT_MAX);
    if (route == ADMIN_METRICS) {
        admin_put_metrics(&view, &json);
        return send_text(connection, status, &json, metrics);
    }
    if (route == ADMIN_STATUS)
        admin_put_status(&view, &json, &now_at);
    else if (!(route == ADMIN_HEALTHZ ? admin_put_health(&view, &json) : admin_put_ready(&view, &json)))
        status = 503;
    return send_json(connection, status, &json, &nothing_more);
}

static enum MHD_Result send_accepted(struct admin *admin, struct MHD_Connection *connection)
{
    struct admin_view view;
    struct buf json;

    look_at_host(admin, &view);
    buf_init(&json, ADMIN_DOCUMENT_MAX);
    admin_put_run(&view.ledger->current, &json);
    return send_json(connection, 202, &json, &nothing_more);
}

static enum MHD_Result refuse_start(struct admin *admin, struct MHD_Connection *connection, bool stopping)
{
    struct admin_view view;

    look_at_host(admin, &view);
    if (view.ledger->running)
        return send_error(connection, &(struct admin_refusal){409, "busy", "another run is under way", NULL},
                          view.ledger->current.id);
    return send_error(
        connection,
        &(struct admin_refusal){503, "unavailable",
                                stopping ? "this process was told to end" : "no process could be made for it",
                                NULL},
        0);
}

struct arguments {
    struct admin_order *order;
    enum admin_route route;
    bool bad;
};

static enum MHD_Result take_argument(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct arguments *arguments = ctx;

    (void)kind;
    arguments->bad |= !admin_order_argument(arguments->order, arguments->route, name, value);
    return MHD_YES;
}

static enum MHD_Result answer_change(struct admin *admin, struct MHD_Connection *connection,
                                     enum admin_route route, const struct buf *body)
{
    static struct admin_order order; /* large */
    static const enum resident_order orders[] = {[ADMIN_SYNC] = RESIDENT_SYNC,
                                                 [ADMIN_VALIDATE] = RESIDENT_VALIDATE,
                                                 [ADMIN_ROLLBACK] = RESIDENT_ROLLBACK};
    struct arguments arguments = {.order = &order, .route = route};
    const struct admin_host *host = admin->host;
    bool stopping = false;

    order = (struct admin_order){.dry_run = false};
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_argument, &arguments);
    if (arguments.bad || !admin_order_body(&order, route, buf_str(body), body->len))
        return send_error(connection,
                          &(struct admin_refusal){400, "bad-request",
                                                  "argument or body not understood: nothing was done", NULL},
                          0);
    if (route == ADMIN_RUN)
        return host->cancel(host->ctx)
                   ? send_accepted(admin, connection)
                   : send_error(connection,
                                &(struct admin_refusal){404, "no-run", "no run is under way", NULL}, 0);
    return host->start(host->ctx, orders[route], &order, &stopping)
               ? send_accepted(admin, connection)
               : refuse_start(admin, connection, stopping);
}

/* ---- requests ---- */

/* One whose head is fine. */
struct asked {
    enum admin_route route;
    bool changes;
    struct buf body;
};

static const struct admin_refusal too_large = {413, "too-large", "the body has more than 64 KiB", NULL};

static enum MHD_Result take_head(struct admin *admin, struct MHD_Connection *connection,
                                 const struct admin_head *head, void **request)
{
    const char *length = find_header(connection, "Content-Length");
    struct admin_refusal refusal = {.status = 0};
    enum admin_route route;
    struct asked *asked;

    if (!admin_admit(head, &admin->told, admin->socket.address.any.sa_family == AF_UNIX, &route, &refusal))
        return send_error(connection, &refusal, 0);
    if (length != NULL && strtoull(length, NULL, 10) > ADMIN_BODY_MAX)
        return send_error(connection, &too_large, 0);
    asked = calloc(1, sizeof *asked);
    if (asked == NULL)
        return MHD_NO;
    asked->route = route;
    asked->changes = strcmp(head->method, "GET") != 0 && strcmp(head->method, "HEAD") != 0;
    buf_init(&asked->body, ADMIN_BODY_MAX);
    *request = asked;
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data, size_t *len,
                                  void **request)
{
    struct admin *admin = cls;
    struct asked *asked = *request;
    struct admin_head head = {.method = method, .path = path};

    (void)version;
    if (asked == NULL) {
        head.host = find_header(connection, "Host");
        head.origin = find_header(connection, "Origin");
        head.authorization = find_header(connection, "Authorization");
        head.content_type = find_header(connection, "Content-Type");
        return take_head(admin, connection, &head, request);
    }
    if (*len > 0) {
        if (asked->changes)
            buf_append(&asked->body, data, *len);
        *len = 0;
        return MHD_YES;
    }
    if (asked->body.failed)
        return send_error(connection, &too_large, 0);
    return asked->changes ? answer_change(admin, connection, asked->route, &asked->body)
                          : answer_get(admin, connection, asked->route, strcmp(method, "HEAD") == 0);
}

static void on_request_end(void *cls, struct MHD_Connection *connection, void **request,
                           enum MHD_RequestTerminationCode why)
{
    struct asked *asked = *request;

    (void)cls;
    (void)connection;
    (void)why;
    if (asked != NULL)
        buf_free(&asked->body);
    free(asked);
    *request = NULL;
}

/* ---- connections ---- */

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct admin *admin = cls;
    const union MHD_ConnectionInfo *info;

    (void)context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        admin->connections++;
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL)
        handoff_remove_private(info->connect_fd);
    admin->connections--;
}

static bool may_accept(const struct admin *admin)
{
    return admin->daemon != NULL && admin->connections < CONNECTIONS;
}

static void accept_connections(struct admin *admin)
{
    for (int i = 0; i < ACCEPT_AT_ONCE && may_accept(admin) && clock_mono() >= admin->pause_until; i++) {
        int fd = accept4(admin->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                admin->pause_until = clock_mono() + PAUSE;
            return;
        }
        handoff_add_private(fd);
        if (MHD_add_connection(admin->daemon, fd, NULL, 0) != MHD_YES)
            handoff_remove_private(fd); /* it was closed */
    }
}

/* ---- opening ---- */

static bool start_daemon(struct admin *admin, struct error *error)
{
    const union MHD_DaemonInfo *info;

    admin->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_THREAD_SAFETY, 0,
        NULL, NULL, on_request, admin, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, LIMIT_SECONDS,
        MHD_OPTION_NOTIFY_COMPLETED, on_request_end, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, admin,
        MHD_OPTION_END);
    if (admin->daemon == NULL)
        return error_set(error, ERROR_LOCAL, "no memory or no descriptor for it");
    info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    admin->epoll = info->epoll_fd;
    handoff_add_private(admin->epoll);
    handoff_add_private(admin->socket.fd);
    return true;
}

static void open_admin(struct admin *admin)
{
    const char *listen = admin->told.listen;
    struct error error;
    struct address address;

    if (!address_parse(listen, &address) || address.len == 0)
        return;
    if (!admin_socket_open(&admin->socket, &address, &error)) {
        log_warn("no admin endpoint at %s: %s; set admin_listen to another address, or to off", listen,
                 error.text);
        return;
    }
    if (!start_daemon(admin, &error)) {
        admin_socket_remove(&admin->socket);
        close(admin->socket.fd);
        log_warn("no admin endpoint: %s", error.text);
        return;
    }
    log_info("admin endpoint: %s%s%s", address.any.sa_family != AF_UNIX ? "http://" : "", listen,
             admin->told.token[0] == '\0' ? " (read-only: no admin_token is set)" : "");
}

void admin_tell(struct admin *admin, const struct admin_host *host, const struct wire_admin *told)
{
    admin->host = host;
    admin->told = *told;
    if (admin->tried)
        return;
    admin->tried = true;
    open_admin(admin);
}

/* ---- the loop ---- */

void admin_prepare(const struct admin *admin, struct pollfd fds[ADMIN_DESCRIPTORS])
{
    bool accepting = may_accept(admin) && clock_mono() >= admin->pause_until;

    fds[0] = (struct pollfd){.fd = accepting ? admin->socket.fd : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = admin->daemon != NULL ? admin->epoll : -1, .events = POLLIN};
}

static int sooner_of(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

int admin_patience(const struct admin *admin)
{
    int64_t pause = admin->pause_until - clock_mono();

    if (admin->daemon == NULL)
        return -1;
    return sooner_of(sooner_of(MHD_get_timeout_i(admin->daemon), admin_events_patience()),
                     pause > 0 ? (int)pause : -1);
}

void admin_step(struct admin *admin)
{
    struct admin_view view;

    if (admin->daemon == NULL)
        return;
    accept_connections(admin);
    if (admin_events_due()) {
        look_at_host(admin, &view);
        admin_events_tell(&view);
    }
    MHD_run(admin->daemon);
}

void admin_end(const struct admin *admin)
{
    if (admin->daemon != NULL)
        admin_socket_remove(&admin->socket);
}
