/*
 * store_dir - a directory as a bucket: file:///srv/dev.
 *
 * Root. The directory of the URL (percent-decoded; it may be a symbolic link) must exist: it is never
 * created, because a mistyped path or a volume that is not mounted would look like an empty bucket. It is
 * opened at the first operation. Below it nothing is followed: see dir_tree.h. Symbolic links, devices and
 * sockets in the tree are no objects; a listing leaves them out, with one warning that counts them.
 *
 * Keys. A key that is a clean relative path (no empty, "." or ".." segment, so no '/' at either end; segments
 * of at most 255 bytes, none of which begins with DIR_TEMP_PREFIX) is the file with that path. Every other key,
 * and one whose path is taken (a directory stands where the file should be, or a file where a directory is
 * needed), has an odd name: .storsync/odd/ and the key's bytes as lower-case hexadecimal digits, cut after every
 * 64 bytes: a full piece with more behind it is a directory ("<128 digits>_"), the last piece is the file. The
 * order of these names is that of the keys. If both exist the plain one counts; writing it removes the other. So
 * every key that S3 has can be stored, on a file system that tells all names apart; on one that ignores case a key
 * whose path is another key's is a failure (dir_names.h). A symbolic link or a device on the way to the plain path, or at its end, is a failure of
 * that object, which names it: somebody put it there and would look for the object behind it.
 *
 * Reserved. .storsync/ is the program's, and not for other users: state under the paths of its keys, and
 *     odd/   bodies with odd names
 *     meta/  metadata (dir_meta.h); extended attributes would be shorter, but tmpfs before Linux 6.6, NFS
 *            and many container file systems have none
 *     tmp/   unfinished files (dir_file.h)
 *
 * Objects. `modified` is the file's modification time, and a put sets it to the source's, so that "newer"
 * compares two times of the source's clock (dir_attr.h: where the file system has no fractions of a second). The
 * version is "<size>-<time in ns>-<ctime in ns>", all hexadecimal; there is no content hash. The
 * content type comes from the sidecar, else from the extension (mime.h). Permissions are kept or narrowed
 * (dir_attr.h).
 *
 * Writing. Temporary file, sidecar, fsync of both and of the directories above a new one, rename, fsync of the directory: an
 * object is there whole or not at all, with its own metadata, also after a crash or power cut at any moment. Objects that are finished at about the
 * same time take these steps together (dir_object.h, dir_batch.h): a put is over some turns of the loop after its last
 * byte, when it is durable. create: renameat2(RENAME_NOREPLACE), else link(2), else ERROR_UNSUPPORTED. Removing leaves
 * empty directories.
 *
 * Reading. A file that is changed, replaced or removed while it is read breaks the get, with call->again set,
 * before its last byte is handed on: size, time and ctime are looked at after that byte was read. A ctime cannot
 * be set, so also one that puts the time back is seen (not over sshfs and the like, which have no ctime of their
 * own); but not one that writes through a mapping (mmap), which the kernel gives a time only now and then.
 *
 * A put ends when the source has closed the pipe: so a reading half that finds at its end that it was torn
 * can still stop it. Copies inside the store are not supported; bytes are relayed.
 */
#ifndef STORSYNC_STORE_DIR_H
#define STORSYNC_STORE_DIR_H

#include "error.h"
#include "store.h"

/* `url` is "file:///path" or "file://localhost/path" (RFC 8089). NULL with ERROR_CONFIG if it is not one. The loop is
 * borrowed. */
struct store *store_dir_open(const char *url, struct loop *loop, struct error *error);

#endif
