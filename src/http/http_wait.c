/*
 * The waiting: https://curl.se/libcurl/c/curl_multi_socket_action.html. Only transfers whose sockets have something are run;
 * curl_multi_perform runs all of them each time, and each asks its socket in vain.
 */
#include "http_internal.h"

#include "clock.h"
#include "stop.h"

#include <stdlib.h>

/* A connection can take as many at once: both address families are tried, and a name is being resolved. */
#define SOCKETS_EACH 4

static struct pollfd *find_socket(struct http_sockets *sockets, int fd)
{
    for (nfds_t i = 1; i < sockets->count; i++)
        if (sockets->list[i].fd == fd)
            return &sockets->list[i];
    return NULL;
}

static struct pollfd *free_entry(struct http_sockets *sockets)
{
    struct pollfd *entry = find_socket(sockets, -1);

    if (entry != NULL || sockets->count == sockets->room)
        return entry;
    return &sockets->list[sockets->count++];
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *own)
{
    struct http *http = ctx;
    struct pollfd *entry = find_socket(&http->sockets, fd);
    bool gone = what == CURL_POLL_REMOVE;

    (void)easy, (void)own;
    if (entry == NULL && !gone)
        entry = free_entry(&http->sockets);
    if (entry == NULL)
        return gone ? 0 : -1;
    entry->fd = gone ? -1 : fd;
    entry->events = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    entry->revents = 0;
    return 0;
}

static int on_curl_timer(CURLM *multi, long ms, void *ctx)
{
    struct http *http = ctx;

    (void)multi;
    http->sockets.timer = ms < 0 ? INT64_MAX : clock_mono() + ms;
    return 0;
}

bool http_sockets_init(struct http *http)
{
    struct http_sockets *sockets = &http->sockets;

    sockets->room = (nfds_t)http->limits.connections * SOCKETS_EACH + 1;
    sockets->count = 1;
    sockets->timer = INT64_MAX;
    sockets->list = calloc(sockets->room, sizeof *sockets->list);
    return sockets->list != NULL;
}

bool http_sockets_watch(struct http *http)
{
    CURLM *multi = http->multi;

    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http) == CURLM_OK;
}

void http_sockets_free(struct http *http)
{
    free(http->sockets.list);
}

CURLMcode http_go_on(struct http *http)
{
    int running;

    if (http->sockets.timer > clock_mono())
        return CURLM_OK;
    http->sockets.timer = INT64_MAX;
    return curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

/* Those that poll has found something of. */
static CURLMcode run_ready(struct http *http)
{
    struct http_sockets *sockets = &http->sockets;
    CURLMcode code = CURLM_OK;
    int running;

    for (nfds_t i = 1; i < sockets->count && code == CURLM_OK; i++) {
        struct pollfd *entry = &sockets->list[i];

        if (entry->fd < 0 || entry->revents == 0)
            continue;
        entry->revents = 0;
        code = curl_multi_socket_action(http->multi, entry->fd, 0, &running);
    }
    return code;
}

static int until_timer(const struct http_sockets *sockets, int wait)
{
    int64_t left = sockets->timer - clock_mono();

    if (left >= wait)
        return wait;
    return left > 0 ? (int)left : 0;
}

CURLMcode http_wait(struct http *http, int wait)
{
    struct http_sockets *sockets = &http->sockets;
    CURLMcode code = CURLM_OK;
    int ready;

    sockets->list[0] = (struct pollfd){.fd = http->stop_seen ? -1 : stop_fd(), .events = POLLIN};
    ready = poll(sockets->list, sockets->count, until_timer(sockets, wait));
    if (ready > 0) {
        http->stop_seen |= sockets->list[0].revents != 0;
        code = run_ready(http);
    }
    return code != CURLM_OK ? code : http_go_on(http);
}
