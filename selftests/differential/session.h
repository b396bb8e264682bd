/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A whole test: options, both pairs of worlds, the score.
 */
#ifndef DIFFERENTIAL_SESSION_H
#define DIFFERENTIAL_SESSION_H

#include <signal.h>

#include "capture.h"
#include "duel.h"

/**
 * struct session - one run of the program
 * @seed, @sets, @packets: how many random rule sets, packets for each
 * @shapes: how many large rule sets of each shape
 * @shape_rules: rules that they have at most, about
 * @shrink_seconds: how long to make a failure smaller
 * @corpus: directory with saves/ and pcaps/, or NULL
 * @captured: packets of the corpus
 * @duel: hosts without and with address translation
 * @third, @replay: "bpfilter replay" is the third side; what was compared with it
 * @early: the second world filters at its interfaces (docs/placements.md)
 * @native: and in their drivers
 * @drivers: it is to drop early in its drivers what it can
 * @strict: a table of the grammar that the second world leaves to ip_tables is a failure
 * @module: the kernel module is there: tables that change marks are not left either, but for those that tell of them
 * @accounting: tables with accounting objects, that were not left and that were
 * @left: how many there were, and others
 */
struct session {
	uint64_t seed;
	unsigned long sets;
	unsigned int packets;
	unsigned long shapes;
	unsigned int shape_rules;
	unsigned int shrink_seconds;
	const char *corpus;
	const char *rules_dir;
	bool keep_going;
	const volatile sig_atomic_t *stop; /* somebody wants us to end */
	bool third;
	struct replay replay;
	bool early, native, drivers;
	bool strict;
	bool module;
	bool verbose;
	struct packets captured;
	struct duel duel[2];

	unsigned long done_sets, done_pairs, refused, left, failures;
	unsigned long accounting[2];
	unsigned long tracked_drops;  /* by drivers, with rules that look at states */
	unsigned long filtered_drops; /* by drivers, where rp_filter is on */
	unsigned int test;	      /* number of the last TAP line */
};

/* One TAP line. */
void session_result(struct session *s, bool ok, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * session_trial - run a rule set with packets made for it, and shrink and report a difference
 * @n: of packets
 * @number: with the seed, what the packets are drawn from
 *
 * False if there was a difference (or the test broke).
 */
bool session_trial(struct session *s, struct ruleset *rules, unsigned int n, uint64_t number);

/* What a rule set is to be without for the sides to be comparable. */
void session_reduce(struct session *s, struct ruleset *rules);

/* The parts of a test; each ends in one or more TAP lines. */
void session_sanity(struct session *s);
/*
 * What replay is to run: no raw packets that say they are not IPv4, which ip_tables does not mind; and few contexts, of
 * each of which the packets take a capture of their own: one mark, and where rules ask for several things, one interface.
 */
void session_settle(const struct ruleset *rules, struct packets *packets);
/* Replay is told another rule set: is it noticed? */
void session_third(struct session *s);
void session_random(struct session *s);
void session_shapes(struct session *s);
void session_limits(struct session *s);
void session_directory(struct session *s, const char *dir);
void session_file(struct session *s, const char *path);
/* Until stopped or something differs. */
void session_soak(struct session *s);
/* Change one rule of one side: how often is it noticed? */
void session_mutants(struct session *s);

/* Make the packets that session_trial() makes. */
void session_packets(struct session *s, const struct ruleset *rules, unsigned int n,
		     uint64_t number, struct packets *out);

/* Draw random rule set number @number. */
void session_draw(struct session *s, struct ruleset *rules, unsigned int *packets, uint64_t number);

#endif /* DIFFERENTIAL_SESSION_H */
