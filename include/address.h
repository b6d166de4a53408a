/*
 * address - where to listen, as it is written: "127.0.0.1:9187", "[::1]:9187", "localhost:9187", ":9187" (every address of the
 * machine), "unix:/run/admin.sock", or "off". No name is looked up.
 */
#ifndef STORSYNC_ADDRESS_H
#define STORSYNC_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_TEXT_MAX 120 /* bytes */

struct address {
    socklen_t len; /* 0: off */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* False: it is no address. */
bool address_parse(const char *text, struct address *address);

/* Is this host, as it stands in a URL, an address and no name ("10.0.0.7", "[::1]")? */
bool address_is_literal(const char *host);

#endif
