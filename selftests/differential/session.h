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
 * @shrink_seconds: how long to make a failure smaller
 * @corpus: directory with saves/ and pcaps/, or NULL
 * @captured: packets of the corpus
 * @duel: hosts without and with address translation
 * @strict: a table of the grammar that the second world leaves to ip_tables is a failure
 * @module: the kernel module is there: tables that change marks are not left either
 * @left: how many there were, and others
 */
struct session {
	uint64_t seed;
	unsigned long sets;
	unsigned int packets;
	unsigned int shrink_seconds;
	const char *corpus;
	const char *rules_dir;
	bool keep_going;
	const volatile sig_atomic_t *stop; /* somebody wants us to end */
	bool strict;
	bool module;
	bool verbose;
	struct packets captured;
	struct duel duel[2];

	unsigned long done_sets, done_pairs, refused, left, failures;
	unsigned int test; /* number of the last TAP line */
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

/* The parts of a test; each ends in one or more TAP lines. */
void session_sanity(struct session *s);
void session_random(struct session *s);
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
