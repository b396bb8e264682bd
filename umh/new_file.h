/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that is written all at once: whoever reads it meanwhile sees the old one or the new one.
 */
#ifndef BPFILTER_NEW_FILE_H
#define BPFILTER_NEW_FILE_H

#include "bpfilter.h"

/**
 * bf_new_file - write a file aside, and put it in the place of the one there is
 * @path: a name that is free, or that of a regular file, but no symbolic link; all may read it then
 *
 * The name of the file aside begins with a dot, and does not end as @path does. On failure it is gone, and the
 * old one is as it was. SIGINT, SIGTERM and SIGHUP wait until it is gone or in place. 0 or -errno: -EINVAL if what is there is no regular file.
 */
int bf_new_file(const char *path, const void *data, size_t len, struct bf_why *why);

#endif /* BPFILTER_NEW_FILE_H */
