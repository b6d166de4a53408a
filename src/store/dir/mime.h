/*
 * mime - the content type that a file name's extension stands for.
 */
#ifndef STORSYNC_MIME_H
#define STORSYNC_MIME_H

/* From the extension of the key's last segment, in any case of letters; static storage. NULL: none is
 * known. */
const char *mime_guess(const char *key);

#endif
