/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPFILTER_MOUNTS_H
#define BPFILTER_MOUNTS_H

/**
 * bf_mounts_outer - the mount namespace in which the helper's bpffs lasts
 *
 * "ip netns exec" gives a mount namespace of its own with another /sys: what is pinned there goes with the last
 * process in it. The helper goes to that of process 1 by itself. Where it may not look at that one, this is the one of
 * our first ancestor that has the same /run; so it must be asked for as long as there are ancestors, before we are a daemon.
 *
 * A file descriptor for setns(), which the caller closes; or -1 if there is nowhere to go, or if directories other than the
 * usual ones were asked for, which are meant as seen from here.
 */
int bf_mounts_outer(void);

#endif /* BPFILTER_MOUNTS_H */
