/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Clauses about headers and senders that few rule sets have: iprange, length, ttl, tos and others.
 */
#ifndef DIFFERENTIAL_HEADERS_H
#define DIFFERENTIAL_HEADERS_H

#include "clauses.h"

/* A match that no protocol is needed for; @hooks is a mask of FROM_*. */
void headers_add(struct clauses *c, struct text *t, unsigned int hooks);

/* One match that looks at the connection's mark. */
void headers_add_connmark(struct clauses *c, struct text *t);

/* "-p" of a protocol that has a match of its own, and that. */
void headers_add_protocol(struct clauses *c, struct text *t);

/* A match behind "-p tcp". */
void headers_add_tcp(struct clauses *c, struct text *t);

#endif /* DIFFERENTIAL_HEADERS_H */
