/*
 * admin - the admin endpoint of a supervisor that stays: HTTP/1.1 on a socket, in the supervisor's own loop.
 *
 * libmicrohttpd speaks HTTP on an epoll descriptor of its own, without threads; this accepts its connections, decides on requests
 * (admin_request.h) and answers them (admin_document.h). docs/openapi.json is the contract.
 *
 * Whoever connects can cost nobody else anything: 32 connections, 10 s each from beginning to end, 8 KiB for the head of a request,
 * 64 KiB for its body. Above that connections wait in the kernel, and are not even accepted. Watchers (/events) may stay; there are
 * eight at most, and one that takes nothing for 20 s is dropped. Nothing waits for a peer.
 *
 * It listens from when a worker has told where; what of the settings later workers tell counts too, but for the address. An
 * address that is not to be had is warned about once.
 */
#ifndef STORSYNC_ADMIN_H
#define STORSYNC_ADMIN_H

#include "admin_document.h"
#include "admin_request.h"
#include "admin_socket.h"
#include "resident.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define ADMIN_DESCRIPTORS 2

/* What it has done, and asks. */
struct admin_host {
    void *ctx;
    void (*view)(void *ctx, struct admin_view *view);
    /* True: it has begun. False: another one is under way, or with *stopping none begins any more; with neither, no process could
     * be made. */
    bool (*start)(void *ctx, enum resident_order what, const struct admin_order *order, bool *stopping);
    bool (*cancel)(void *ctx); /* false: there is no run */
};

struct admin {
    const struct admin_host *host;
    struct wire_admin told;
    struct admin_socket socket;
    struct MHD_Daemon *daemon;
    int epoll;
    int connections;
    int64_t pause_until; /* mono: no connection is accepted before */
    bool tried;
};

/* Begins zeroed. */
void admin_tell(struct admin *admin, const struct admin_host *host, const struct wire_admin *told);

/* What to wait for, and for how long, in ms; below 0: for as long as nothing happens. */
void admin_prepare(const struct admin *admin, struct pollfd fds[ADMIN_DESCRIPTORS]);
int admin_patience(const struct admin *admin);

void admin_step(struct admin *admin);

/* The process ends. */
void admin_end(const struct admin *admin);

#endif
