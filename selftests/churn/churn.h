/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that change the filter tables of their namespaces all the time, and know at any time
 * what must be in there.
 */
#ifndef CHURN_H
#define CHURN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "rules.h"

#define MAX_WORKERS 8
#define MAX_ERRNO   134

enum call { CALL_INFO, CALL_LIST, CALL_REPLACE, CALL_COUNTERS, CALL_OTHER, CALL_IPTABLES, CALLS };

/**
 * struct worker - one of the processes, in memory that outlives it
 * @netns: descriptor of its namespace
 * @blind: nobody answers who could be believed: only make the calls
 * @every: one in so many is the iptables binary, 0 for none
 * @pause: between calls, in us
 * @pid: the process, 0 if it has ended
 * @child: the iptables that it runs, or 0
 * @since: when the call began that is under way, in ns, or 0
 * @known: the table has been read once
 * @now: what is in the table, as far as that is known
 * @next, @nr_next: what may be in there too, since a call under way or failed was to change it
 * @errors: how often each call ended with each errno
 * @longest: of all calls, in ns
 * @wrong: tables that were none of those
 */
struct worker {
	int netns;
	bool blind;
	unsigned int every, pause;
	uint64_t random;
	atomic_int pid, child;
	atomic_ullong since;
	bool known;
	struct rules now;
	struct rules next[2];
	atomic_uint nr_next;
	uint32_t address;
	unsigned long errors[CALLS][MAX_ERRNO];
	unsigned long killed_at[CALLS];
	int last_call;
	uint64_t longest;
	unsigned int wrong;
};

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static inline uint64_t draw(uint64_t *state, uint64_t below)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % below;
}

/* worker.c: make calls until *@stop; this process is in the worker's namespace then. */
void worker_run(struct worker *w, const atomic_bool *stop);

/* Is one of the tables that may be in there there? The last thing to be asked. Forks. */
bool worker_verify(struct worker *w);

#endif /* CHURN_H */
