/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Our links in one namespace, and what stays of them in the kernel when the helper is gone, in
 * PIN_DIR/INODE/:
 *
 *	switch		prog array of one; the program in slot 0 is the table in force, and all of the
 *			table is reachable from it. Empty: no link has the table.
 *	link_input, link_forward, link_output
 *			the root program at the three hooks, which runs what is in the switch
 *	moving		there while the table moves between ip_tables and us
 *
 * seat.h tells what a successor makes of each of these states.
 */
#ifndef BPFILTER_PINS_H
#define BPFILTER_PINS_H

#include <sys/types.h>

#include "bpfilter.h"
#include "kernel.h"

struct bf_pins {
	char dir[200];
	int switch_fd; /* -1: nothing is pinned or attached */
	int links[3];
};

void bf_pins_init(struct bf_pins *pins, ino_t inode);

/* Opens what is pinned. 0, -ENOENT if nothing is, or -errno. */
int bf_pins_open(struct bf_pins *pins);

/* Makes whatever is missing: the switch, the root program, the links, and pins them. In the
 * namespace. On failure what was there before is still there. */
int bf_pins_make(struct bf_pins *pins, const struct bf_kernel *kernel, struct bf_why *why);

/* Detaches and removes everything. */
void bf_pins_remove(struct bf_pins *pins);

/* Closes the descriptors; everything stays. */
void bf_pins_close(struct bf_pins *pins);

/* The id of the program in the switch; 0 if it is empty. -errno. */
int bf_pins_current(const struct bf_pins *pins, uint32_t *prog_id);

/* The one atomic store that puts a table in force at all hooks; -1 takes it out. */
int bf_pins_switch(const struct bf_pins *pins, int prog);

/*
 * Have what was judged at the interfaces (root.h) pass the hooks, or not. 0, or -errno: -EOPNOTSUPP where
 * the kernel's packets cannot tell.
 */
int bf_pins_guard(const struct bf_pins *pins, const struct bf_kernel *kernel, bool on);

/* @what: a descriptor to pin for it; -1: that of the switch */
int bf_pins_set_moving(const struct bf_pins *pins, int what, bool moving);
bool bf_pins_is_moving(const struct bf_pins *pins);

/* The id of the root program, 0 if there is none. */
uint32_t bf_pins_root_id(const struct bf_pins *pins);

#endif /* BPFILTER_PINS_H */
