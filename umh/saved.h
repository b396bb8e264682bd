/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table's own map: what a later helper needs, then the table, written small. The program does
 * not read it but is bound to it, so that whoever finds the program finds the table it came from.
 */
#ifndef BPFILTER_SAVED_H
#define BPFILTER_SAVED_H

#include "load.h"

#define BF_SAVED_MAP "bf_table"

/*
 * Make the map of a table that is loaded, with some room to spare, and bind it to the program. Sets
 * l->saved and l->saved_room, and adds to l->map_bytes. 0 or -errno.
 */
int bf_saved_make(struct bf_loaded *l);

/* Write the table into the map that there is. 0; -E2BIG if it does not fit; or -errno. */
int bf_saved_write(const struct bf_loaded *l);

/*
 * Take over what a map of @size bytes says; @l->table is then owned. 0; -EINVAL if it is not one of
 * this version's; or -errno. @fd stays the caller's.
 */
int bf_saved_read(struct bf_loaded *l, int fd, size_t size);

#endif /* BPFILTER_SAVED_H */
