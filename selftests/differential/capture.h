/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets out of capture files.
 */
#ifndef DIFFERENTIAL_CAPTURE_H
#define DIFFERENTIAL_CAPTURE_H

#include "craft.h"

/* Add the IPv4 packets of a pcap or pcapng file. How many, or -EINVAL having said why. */
int capture_load(struct packets *ps, const char *path);

/* Add @n of them to what is crafted, some with addresses that make them traverse the host. */
void craft_captured(struct craft *c, const struct packets *from, unsigned int n);

#endif /* DIFFERENTIAL_CAPTURE_H */
