/*
 * version - this program's own. Follows https://semver.org: the command line, settings, exit codes, log and status
 * document are its interface.
 */
#ifndef STORSYNC_VERSION_H
#define STORSYNC_VERSION_H

#define STORSYNC_VERSION "0.1.0"

#endif
