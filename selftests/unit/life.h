/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The filter of a namespace in a sandbox, with tables to put into it, and what can be asked about
 * it.
 */
#ifndef LIFE_H
#define LIFE_H

#include "blob.h"
#include "sandbox.h"
#include "traffic.h"

#include "filter.h"

/* Index of the rule and of INPUT's policy in the tables that table_make() makes. */
enum { RULE, POLICY };

/* The switch and three links: what a namespace with a table of ours has pinned. */
#define PINS 4

enum table_kind {
	PLAIN,
	FOREIGN,  /* with a match that is not translated */
	STATEFUL, /* with one that needs conntrack */
	LARGE,	  /* with so many more rules, for TCP, that it becomes records */
};

/* One rule in INPUT, for UDP, with this verdict. */
void table_make(struct blob *b, enum table_kind kind, int verdict);

/**
 * struct life - a filter and its surroundings
 * @f: NULL while nobody serves the namespace
 * @sk: for the kernel's own table
 */
struct life {
	struct sandbox s;
	struct bf_filter *f;
	struct traffic t;
	struct bf_why why;
	int sk;
};

/* As sandbox_enter(). The kernel has the table, and it is empty. */
int life_begin(struct life *l);
void life_end(struct life *l);

/* A helper comes up, as the first one or as a successor. 0 or -errno. */
int life_open(struct life *l);
/* It goes; what is in force stays. */
void life_close(struct life *l);

/* Replaces the table in force, as iptables would. 0 or -errno; @old may be NULL. */
int life_replace(struct life *l, struct blob *b, struct xt_counters **old);

/* What the filter gives back, malloc'd; @size bytes. NULL if it does not. */
uint8_t *life_entries(struct life *l, uint32_t *size);

/* Packets that an entry has counted; UINT64_MAX if its bytes are not theirs. */
uint64_t life_packets(struct life *l, unsigned int index);

/*
 * Is this the table in force, and nothing else? What iptables reads must be what the kernel would
 * give for it, counters aside; and ip_tables must have it, or must have nothing.
 */
bool life_in_force(struct life *l, struct blob *b, bool ours);

/**
 * struct state - a table in force
 * @ours: it is a program; if not, ip_tables has it
 * @passes: do packets arrive?
 */
struct state {
	struct blob *table;
	bool ours, passes;
};

/* Brings it about, whatever there was before. */
bool life_set(struct life *l, const struct state *s);

/*
 * Is it so, to packets, to those who ask, and in the pins? When nobody serves the namespace, what
 * happens to packets is all that is looked at.
 */
bool life_is(struct life *l, const struct state *s);

/* Files in the namespace's pin directory; -1 if there is no directory. */
int life_pins(struct life *l);

#endif /* LIFE_H */
