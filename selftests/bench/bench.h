/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands of the benchmark, and their options.
 */
#ifndef BENCH_H
#define BENCH_H

#include "program.h"
#include "set.h"

#define NR_KEYS	 65536
#define NR_FLOWS 32768

/**
 * struct options - of the command line; each command takes those that it knows
 * @shapes, @rules: lists, separated by commas
 * @verdict: of packets that are to be sent: NF_ACCEPT or NF_DROP
 * @input: they are to the host itself, and TCP ones are to begin a connection
 */
struct options {
	char *shapes, *rules;
	uint64_t seed;
	enum bf_form form;
	enum bf_attach attach;
	int verdict;
	bool input;
	unsigned int rounds;
	unsigned int ms;
	bool json;
	char **args;
};

/* Exit status. */
int cmd_rules(const struct options *o);
int cmd_lookup(const struct options *o);
int cmd_packets(const struct options *o);
int cmd_blast(const struct options *o);
int cmd_stream(const struct options *o);

/* Call @fn for each shape and number of rules in the options; the first status that is not 0. */
int for_each_set(const struct options *o,
		 int (*fn)(void *arg, const struct shape *shape, uint32_t rules), void *arg);

#endif /* BENCH_H */
