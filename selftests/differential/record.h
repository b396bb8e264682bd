/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the filter table was given: each packet right before it, with all that a hook knows of it, and whether it got past.
 * Two chains of nf_tables at each hook, one on either side of the table, log them to the test's group.
 */
#ifndef DIFFERENTIAL_RECORD_H
#define DIFFERENTIAL_RECORD_H

#include "events.h"
#include "world.h"

/* What the chains say of a packet: where there are several of those before the table, what conntrack calls it. */
enum record_note {
	RECORD_NONE,
	RECORD_NEW,
	RECORD_ESTABLISHED,
	RECORD_RELATED,
	RECORD_INVALID,
	RECORD_UNTRACKED,
	RECORD_ANY, /* nobody asked conntrack */
	RECORD_PASSED,
};

/* What they have as the log's prefix; and which one a prefix is. */
const char *record_name(enum record_note note);
enum record_note record_note_of(const char *prefix, size_t len);

/**
 * struct record - a packet that the table was given
 * @ev: how it came; the bytes are in the events that it was taken from
 * @passed: it got past the table, with the mark @mark
 */
struct record {
	struct event ev;
	bool passed;
	uint32_t mark;
};

struct records {
	struct record *list;
	unsigned int nr, max;
};

/*
 * Put the chains in place in the host, and take them away. @states: with what conntrack says, which must be at work
 * anyway. 0 or -EIO, having said why.
 */
int record_begin(struct world *w, bool states);
void record_end(struct world *w);

/* Take what the chains have logged out of the events. -EPROTO if something got past the table that it was not given. */
int record_take(struct records *rs, struct events *evs);
void records_free(struct records *rs);

#endif /* DIFFERENTIAL_RECORD_H */
