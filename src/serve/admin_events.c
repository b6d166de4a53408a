#include "admin_events.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define INTERVAL 1000 /* ms */
#define COMMENT_AFTER 15000
#define STALLED_AFTER 20000
#define BLOCK ((size_t)1024)

/* What is told to all of them; whoever is last frees it. */
struct message {
    struct buf text;
    size_t now_at; /* the part of it that differs all the time; 0: it is a comment */
    int holders;
};

struct watcher {
    struct MHD_Connection *connection; /* NULL: this place is free */
    struct message *message;           /* that it is being told; NULL: it waits */
    size_t told;                       /* so much of it */
    bool behind;                       /* there is a newer one */
    int64_t since;                     /* mono: since when it waits, or is being told this */
};

static struct watcher watchers[ADMIN_WATCHERS];
static struct message *newest; /* while anybody watches */
static int64_t looked;         /* mono; for something newer */

static void release_message(struct message *message)
{
    if (message == NULL || --message->holders > 0)
        return;
    buf_free(&message->text);
    free(message);
}

static struct message *make_message(const struct admin_view *view)
{
    struct message *message = calloc(1, sizeof *message);

    if (message == NULL)
        return NULL;
    message->holders = 1;
    buf_init(&message->text, ADMIN_DOCUMENT_MAX);
    if (view != NULL) {
        buf_puts(&message->text, "event: status\ndata: ");
        admin_put_status(view, &message->text, &message->now_at);
    } else {
        buf_putc(&message->text, ':');
    }
    if (buf_puts(&message->text, "\n\n") && !message->text.failed)
        return message;
    release_message(message);
    return NULL;
}

static bool is_the_same(const struct message *a, const struct message *b)
{
    size_t end = a->now_at + CLOCK_RFC3339_SIZE - 1;

    return a->now_at == b->now_at && a->text.len == b->text.len &&
           memcmp(a->text.data, b->text.data, a->now_at) == 0 &&
           memcmp(a->text.data + end, b->text.data + end, a->text.len - end) == 0;
}

/* `message` becomes held. */
static void begin_telling(struct watcher *watcher, struct message *message)
{
    message->holders++;
    watcher->message = message;
    watcher->told = 0;
    watcher->behind = false;
    watcher->since = clock_mono();
}

static void wake(struct watcher *watcher, struct message *message)
{
    begin_telling(watcher, message);
    MHD_resume_connection(watcher->connection);
}

/* ---- libmicrohttpd asks ---- */

static ssize_t next_piece(void *cls, uint64_t position, char *out, size_t room)
{
    struct watcher *watcher = cls;
    struct message *message = watcher->message;
    size_t len;

    (void)position;
    if (message != NULL && watcher->told == message->text.len) {
        release_message(message);
        watcher->message = NULL;
        watcher->since = clock_mono();
        if (watcher->behind && newest != NULL)
            begin_telling(watcher, newest);
        message = watcher->message;
    }
    if (message == NULL) {
        MHD_suspend_connection(watcher->connection);
        return 0;
    }
    len = message->text.len - watcher->told;
    if (len > room)
        len = room;
    memcpy(out, message->text.data + watcher->told, len);
    watcher->told += len;
    return (ssize_t)len;
}

static void forget(void *cls)
{
    struct watcher *watcher = cls;

    release_message(watcher->message);
    *watcher = (struct watcher){.connection = NULL};
}

/* ---- the interface ---- */

struct MHD_Response *admin_events_add(struct MHD_Connection *connection, const struct admin_view *view)
{
    struct watcher *watcher = watchers;
    struct message *message;
    struct MHD_Response *response;

    while (watcher < watchers + ADMIN_WATCHERS && watcher->connection != NULL)
        watcher++;
    if (watcher == watchers + ADMIN_WATCHERS)
        return NULL;
    message = make_message(view);
    if (message == NULL)
        return NULL;
    watcher->connection = connection;
    begin_telling(watcher, message);
    if (newest == NULL) {
        newest = message;
        looked = clock_mono();
    } else {
        release_message(message);
    }
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, next_piece, watcher, forget);
    if (response == NULL)
        forget(watcher);
    return response;
}

int admin_events_patience(void)
{
    int64_t left = looked + INTERVAL - clock_mono();

    return newest == NULL ? -1 : left > 0 ? (int)left : 0;
}

bool admin_events_due(void)
{
    return admin_events_patience() == 0;
}

static void look_after(struct watcher *watcher, bool changed, struct message **comment)
{
    int64_t waited = clock_mono() - watcher->since;

    if (watcher->message != NULL && waited > STALLED_AFTER) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(watcher->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

        if (info != NULL)
            shutdown(info->connect_fd, SHUT_RDWR); /* it is told of that as of a peer's end */
    } else if (watcher->message != NULL) {
        watcher->behind |= changed;
    } else if (changed) {
        wake(watcher, newest);
    } else if (waited >= COMMENT_AFTER) {
        if (*comment == NULL)
            *comment = make_message(NULL);
        if (*comment != NULL)
            wake(watcher, *comment);
    }
}

void admin_events_tell(const struct admin_view *view)
{
    struct message *message = make_message(view), *comment = NULL;
    bool changed = message != NULL && !is_the_same(message, newest), watched = false;

    looked = clock_mono();
    if (changed) {
        release_message(newest);
        newest = message;
    } else {
        release_message(message);
    }
    for (int i = 0; i < ADMIN_WATCHERS; i++)
        if (watchers[i].connection != NULL) {
            look_after(&watchers[i], changed, &comment);
            watched = true;
        }
    release_message(comment);
    if (!watched) {
        release_message(newest);
        newest = NULL;
    }
}
