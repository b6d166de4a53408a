#include "clock.h"
#include "http_internal.h"

#include <curl/curl.h>
#include <sys/ioctl.h>

void http_transfer_moved(struct http_transfer *transfer)
{
    transfer->moved = clock_mono();
}

int64_t http_connect_limit(const struct http_transfer *transfer)
{
    int64_t own = transfer->request->time_limit;
    int64_t limit = transfer->http->limits.connect_timeout;

    return own != 0 && own < limit ? own : limit;
}

static bool can_stall(const struct http_transfer *transfer)
{
    return transfer->active && transfer->connected && transfer->held == 0 && !transfer->body_paused &&
           !transfer->upload_paused;
}

/* Has the peer acknowledged more of the body than at the last look? That libcurl sends says nothing: the
 * kernel takes a little more each time it is asked to, long after the peer has stopped. */
static bool delivers_more(struct http_transfer *transfer)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    int queued = 0;
    int64_t delivered;

    if (transfer->request->sent == 0 ||
        curl_easy_getinfo(transfer->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD ||
        ioctl(fd, TIOCOUTQ, &queued) != 0)
        return false;
    delivered = (int64_t)transfer->request->sent - queued;
    if (delivered <= transfer->delivered)
        return false;
    transfer->delivered = delivered;
    http_transfer_moved(transfer);
    return true;
}

int64_t http_stall_limit(const struct http_transfer *transfer)
{
    return transfer->http->limits.stall_timeout + transfer->request->patience;
}

bool http_has_stalled(struct http_transfer *transfer, int64_t now)
{
    return can_stall(transfer) && now - transfer->moved >= http_stall_limit(transfer) &&
           !delivers_more(transfer);
}

int64_t http_attempt_limit(const struct http_transfer *transfer)
{
    int64_t own = transfer->request->time_limit;

    return own != 0 ? own : transfer->http->limits.request_timeout;
}

bool http_takes_too_long(const struct http_transfer *transfer, int64_t now)
{
    int64_t limit = http_attempt_limit(transfer);

    return transfer->active && transfer->held == 0 && limit != 0 && now - transfer->began >= limit;
}

int64_t http_limit_of(const struct http_transfer *transfer)
{
    int64_t stall = can_stall(transfer) ? transfer->moved + http_stall_limit(transfer) : INT64_MAX;
    int64_t limit = http_attempt_limit(transfer);
    int64_t end = transfer->active && transfer->held == 0 && limit != 0 ? transfer->began + limit : INT64_MAX;

    return stall < end ? stall : end;
}
