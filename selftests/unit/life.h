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

#include "fake_module.h"
#include "filter.h"

/* Index of the rule and of INPUT's policy in the tables that table_make() makes. */
enum { RULE, POLICY };

/* The switch and three links: what a namespace with a table of ours at links has pinned. */
#define PINS 4

/* Four more maps, and two links at the loopback: what one with a table at tc has. */
#define EDGE_PINS 7

enum table_kind {
	PLAIN,
	ALIKE,	  /* the same but for a name, so that its program is that of PLAIN */
	FOREIGN,  /* with a match that is not translated */
	STATEFUL, /* with one that needs conntrack */
	ASKING,	  /* with a question to the kernel, of which the answer is yes */
	LARGE,	  /* with so many more rules, for TCP, that it becomes records */
	WORDY,	  /* the same with comments of which none is like another */
};

/* One rule in INPUT, for UDP, with this verdict. */
void table_make(struct blob *b, enum table_kind kind, int verdict);

/* What there is for programs of ours to sit at. */
enum life_hooks {
	LINKS,		  /* netfilter links, and no module */
	LINKS_AND_MODULE, /* a module, which is told of what happens at links */
	MODULE,		  /* a module and no links */
	INTERFACES,	  /* links, no module; tables are to be at tc */
};

/**
 * struct life - a filter and its surroundings
 * @hooks: what it has to sit at
 * @f: NULL while nobody serves the namespace
 * @sk: for the kernel's own table
 */
struct life {
	struct sandbox s;
	struct bf_filter *f;
	struct traffic t;
	struct bf_why why;
	int sk;
	enum life_hooks hooks;
};

/* For a fixture's set-up, after which the harness would run the test all the same. */
#define LIFE_SKIP(...) SKIP(_exit(255), __VA_ARGS__)

/* As sandbox_enter(). The kernel has the table, and it is empty. */
int life_begin(struct life *l, enum life_hooks hooks);
void life_end(struct life *l);

/* A helper comes up, as the first one or as a successor. 0 or -errno. */
int life_open(struct life *l);
/* It goes; what is in force stays. */
void life_close(struct life *l);

/* It is killed: after the switch of a move, and before ip_tables was emptied. 0 or -errno. */
int life_interrupt(struct life *l);

/* Without the interfaces. */
void life_status(struct life *l, struct bf_filter_status *status);

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
 * @at_module: it sits at the module's hooks though there are links
 */
struct state {
	struct blob *table;
	bool ours, passes, at_module;
};

/* The next tables sit at the module's hooks, or at what they would sit at otherwise. */
void life_prefer(struct life *l, bool at_module);

/* Brings it about, whatever there was before. */
bool life_set(struct life *l, const struct state *s);

/*
 * Is it so, to packets, to those who ask, and in the pins? When nobody serves the namespace, what
 * happens to packets is all that is looked at.
 */
bool life_is(struct life *l, const struct state *s);

/* The same where the table was to be at the interfaces and is at links. */
bool life_is_at_links(struct life *l, const struct state *s);

/*
 * With nobody serving, and where all tables drop: is there one? And if ip_tables' is empty, does the module know
 * that it is not the table?
 */
bool life_is_guarded(struct life *l);

/* Files in the namespace's pin directory; -1 if there is no directory. */
int life_pins(struct life *l);

#endif /* LIFE_H */
