/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which network namespaces there are, and whether anyone still has a use for one.
 *
 * The kernel has no list of them; what there is to see is in /proc: processes, mounts and
 * descriptors.
 */
#ifndef BPFILTER_NETNS_FIND_H
#define BPFILTER_NETNS_FIND_H

#include <sys/types.h>

#include "bpfilter.h"

/**
 * bf_netns_find - go through the network namespaces of this machine
 * @found: called once for each; what it returns other than 0 ends the search
 *
 * @inode is that of net:[INODE]. @fd is open for reading until @found returns; duplicate it to
 * keep it. @name is for people: the name that "ip netns" or Docker gave, the path of
 * another mount, or "pid 123 (comm)" where there is none.
 *
 * Found are namespaces that a process or a thread is in, and those that are mounted in the
 * mount namespace of some process; this one's own, but not those that only other threads of this
 * process are in. One that comes or goes meanwhile may be found or not. Needs root to see
 * everything. 0, what @found returned, or -errno if /proc cannot be read.
 */
int bf_netns_find(int (*found)(void *arg, ino_t inode, int fd, const char *name), void *arg);

/**
 * bf_netns_in_use - does anything but this process keep a network namespace?
 *
 * That is: a process or a thread in it, a mount, an open descriptor of it, or a socket or a tun
 * device in it, of another process. Not counted: threads and descriptors of this process, pinned
 * BPF links (which is why this is asked: they keep a namespace that nothing else needs),
 * sockets on their way between processes, and what the kernel keeps by itself (an NFS mount).
 *
 * When in doubt (something could not be looked at) it is in use. With 500 processes the answer takes
 * 0.2 to 5 ms for a namespace that is in use, and 90 ms for one that is not: then everything is
 * looked at, twice, so that nothing is missed that moves from one process to another.
 */
bool bf_netns_in_use(ino_t inode);

#endif /* BPFILTER_NETNS_FIND_H */
