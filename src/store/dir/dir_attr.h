/*
 * dir_attr - owner, permissions and time of a file that is about to become an object's body.
 *
 * Permissions are never wider than what is known of them:
 *
 *     the object replaces one, and comes from a file    those that both have
 *     it replaces one                                   the same
 *     it comes from a file                              that file's, less the umask
 *     neither                                           0644, or 0640 for what is the program's own, less the umask
 *
 * Only the nine bits are taken over (no set-user-ID), and the owner may read in any case. Owner and group stay
 * those of the file that is replaced, as far as we may set them; a new file in a directory with set-group-ID gets
 * the directory's group, as if it had been made there. A group that cannot be set so gets no more than all others.
 *
 * Time. A file system that keeps times in steps of a second or two (FAT, HFS+, ext3, some NAS) would make every
 * copy look older than its source. There it is the next step, but only once that step is over: an object that
 * changes again within it is newer than its copy then.
 *
 * All functions that fail set errno.
 */
#ifndef STORSYNC_DIR_ATTR_H
#define STORSYNC_DIR_ATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* `parent` is the directory it goes into, `old` the status of the file it replaces, or NULL; `mode` is
 * OBJECT_MODE_UNKNOWN if it comes from no file, `own`: it is the program's. Passes over file systems that keep none
 * of it. */
bool dir_attr_protect(int fd, int parent, const struct stat *old, int mode, bool own);

/* Sets the modification time to `modified`, wall ms. `read` is when the object began to be read. */
bool dir_attr_set_time(int fd, int64_t modified, int64_t read);

#endif
