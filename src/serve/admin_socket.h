/*
 * admin_socket - the socket that the admin endpoint listens on.
 */
#ifndef STORSYNC_ADMIN_SOCKET_H
#define STORSYNC_ADMIN_SOCKET_H

#include "address.h"
#include "error.h"

#include <sys/types.h>

struct admin_socket {
    int fd; /* -1: none */
    struct address address;
    dev_t device; /* of a socket in the file system: which file it is */
    ino_t inode;
};

/* A socket in the file system is for its owner only (0600); one that nobody listens on any more is replaced. False with the
 * cure in *error. */
bool admin_socket_open(struct admin_socket *made, const struct address *address, struct error *error);

/* Takes its file away, if it is still this one's. */
void admin_socket_remove(const struct admin_socket *made);

#endif
