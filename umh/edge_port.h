/* SPDX-License-Identifier: GPL-2.0 */
/* Between edge.c, which has what all interfaces share, edge_port.c, which attaches, and offload.c. */
#ifndef BPFILTER_EDGE_PORT_H
#define BPFILTER_EDGE_PORT_H

#include "edge.h"

/* edge.c */
void bf_edge_path(const struct bf_edge *edge, const char *name, char *path, size_t size);
int bf_edge_pin(const struct bf_edge *edge, const char *name, int fd);
/* The root or guard, loaded if need be; it stays the edge's. A descriptor or -errno. */
int bf_edge_root(struct bf_edge *edge, enum bf_root root, struct bf_why *why);
/* Is there a table in force, for tc and for XDP? */
bool bf_edge_has_table(const struct bf_edge *edge);
bool bf_edge_has_xdp_table(const struct bf_edge *edge);
void bf_edge_wait(struct bf_edge *edge);

/* edge_port.c */

/* Take up the links that are pinned. 0 or -errno. */
int bf_edge_ports_open(struct bf_edge *edge);

/**
 * bf_edge_sync - attach to, or detach from, what is there now
 * @strict: an interface without our program is an error; else it is logged and tried again the next time
 * @name: of the namespace, for messages; NULL: say nothing of what is new
 */
int bf_edge_sync(struct bf_edge *edge, bool strict, const char *name, struct bf_why *why);

/* Remove what is at any interface, whoever has put it there for us: what is not known to a port as well. */
void bf_edge_unfilter_all(struct bf_edge *edge);

void bf_edge_port_detach(struct bf_edge *edge, struct bf_edge_port *port);
void bf_edge_port_close(struct bf_edge_port *port);

#endif /* BPFILTER_EDGE_PORT_H */
