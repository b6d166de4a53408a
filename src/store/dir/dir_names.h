/*
 * dir_names - file systems that do not tell all names apart (vfat, CIFS, a Mac's disk in a container, ext4 with
 * casefold): there "Photo" and "photo", two keys, are one file, and writing the one would give the other its bytes.
 *
 * Seen by looking for each name with the case of one ASCII letter changed. Where that finds the same file, the
 * directory is read to see whether the name itself is there, which costs as much as the directory is long. Of ASCII,
 * names without a letter are not looked at. Other letters have case, too, and can be composed in several ways, which
 * APFS, and ZFS with normalization, take for one even where case counts: the directory is read whenever such a name is there.
 */
#ifndef STORSYNC_DIR_NAMES_H
#define STORSYNC_DIR_NAMES_H

#include <stdbool.h>

/* Is a component of `path`, a path of a key below `root`, there under another name only? What cannot be looked at is
 * no clash: the write will tell. */
bool dir_names_clash(int root, const char *path);

#endif
