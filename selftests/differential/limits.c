// SPDX-License-Identifier: GPL-2.0
/*
 * Limits that refill while packets come, in schedules of 1,000 packets with controlled spacing: the one thing in which the two
 * worlds may differ, by one packet, since their clocks do not tick at the same packet. And what counts packets, or draws lots.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bpfilter.h"
#include "craft.h"
#include "session.h"

#define ROUNDS	     1000
#define FEW_ROUNDS   60 /* for those in a hurry */
#define SPACING_MS   4
#define ATTEMPTS     4
#define MAX_SUBJECTS 8

/**
 * struct subject - a match, and how alike the two worlds must be about it: give or take one; exactly; or, with
 *	a probability, each as near to that as chance allows
 */
struct subject {
	const char *match;
	bool counts;
	double probability;
};

/* The rate and burst of each; packets come at some 200 a second. */
static const struct subject schedules[][MAX_SUBJECTS] = {
	{
		{.match = "limit --limit 20/sec --limit-burst 5"},
		{.match = "limit --limit 50/sec --limit-burst 1"},
		{.match = "limit --limit 600/min --limit-burst 3"},
		{.match = "limit --limit 7/sec --limit-burst 10"},
		{.match = "limit --limit 99/sec --limit-burst 2"},
		{.match = "statistic --mode nth --every 7 --packet 3", .counts = true},
		{.match = "statistic --mode random --probability 0.3", .probability = 0.3},
	},
	/* Answered by the kernel, as hashlimit is. */
	{
		{.match = "limit --limit 20/sec --limit-burst 5"},
		{.match = "limit --limit 7/sec --limit-burst 10"},
		{.match = "statistic --mode nth ! --every 7 --packet 3", .counts = true},
		{.match = "statistic --mode random ! --probability 0.25", .probability = 0.75},
		{.match = "hashlimit --hashlimit-upto 20/sec --hashlimit-burst 5 "
			  "--hashlimit-mode srcip,dstport --hashlimit-name upto"},
		{.match = "hashlimit --hashlimit-above 6/sec --hashlimit-burst 2 "
			  "--hashlimit-mode dstip --hashlimit-name above"},
		{.match = "hashlimit --hashlimit-upto 1kb/s --hashlimit-burst 4kb "
			  "--hashlimit-mode srcip --hashlimit-name bytes"},
	},
};

static unsigned int nr_subjects(const struct subject *list)
{
	unsigned int i;

	for (i = 0; i < MAX_SUBJECTS && list[i].match; i++)
		;
	return i;
}

static void make_rules(struct ruleset *rules, const struct subject *list)
{
	unsigned int i;

	ruleset_init(rules, "limits that refill");
	ruleset_add(rules, ":INPUT ACCEPT [0:0]");
	ruleset_add(rules, ":FORWARD DROP [0:0]");
	ruleset_add(rules, ":OUTPUT ACCEPT [0:0]");
	for (i = 0; list && i < nr_subjects(list); i++)
		ruleset_add(rules, "-A FORWARD -p udp --dport %u -m %s -j ACCEPT", 1000 + i,
			    list[i].match);
}

static void pause_ms(unsigned int ms)
{
	struct timespec ts = {0, ms * 1000000L};

	nanosleep(&ts, NULL);
}

static int send_spaced(struct session *s, struct packets *ps, unsigned int rounds)
{
	struct events seen = {0};
	unsigned int round, i;
	int err = 0;

	for (round = 0; round < rounds && !err; round++) {
		for (i = 0; i < 2 && !err; i++)
			err = world_send(&s->duel[0].side[i], ps->list, ps->nr, NULL, &seen);
		pause_ms(SPACING_MS);
	}
	events_free(&seen);
	return err;
}

/* What rule number @n of a table with nothing before it counted. */
static long counted(const struct table_image *image, unsigned int n)
{
	const struct ipt_entry *e = (const void *)(image->entries + image->info.hook_entry[2]);

	while (n--)
		e = (const void *)((const uint8_t *)e + e->next_offset);
	return e->counters.pcnt;
}

static bool is_like(const struct subject *subject, long x, long y, unsigned int rounds)
{
	double p = subject->probability, a = x - rounds * p, b = y - rounds * p;
	double most = 4 * 4 * rounds * p * (1 - p);

	if (p > 0)
		return a * a <= most && b * b <= most;
	return labs(x - y) <= !subject->counts && x > 0 && x <= (long)rounds;
}

static bool compare_limits(struct session *s, const struct subject *list, unsigned int rounds)
{
	struct table_image a, b;
	bool ok = true;
	unsigned int i;

	if (agent_read(&s->duel[0].side[0].agent, &a))
		return false;
	if (agent_read(&s->duel[0].side[1].agent, &b)) {
		table_image_free(&a);
		return false;
	}
	for (i = 0; i < nr_subjects(list); i++) {
		long x = counted(&a, i), y = counted(&b, i);

		printf("# %s: %ld and %ld of %u\n", list[i].match, x, y, rounds);
		ok &= is_like(&list[i], x, y, rounds);
	}
	table_image_free(&a);
	table_image_free(&b);
	return ok;
}

static bool load_both(struct session *s, const struct subject *list)
{
	struct text output = {0}, text = {0};
	struct ruleset rules;
	unsigned int i;
	bool ok = true;

	make_rules(&rules, list);
	ruleset_print(&rules, &text);
	for (i = 0; i < 2 && ok; i++)
		ok = !agent_restore(&s->duel[0].side[i].agent, text.s, &output);
	ruleset_free(&rules);
	text_free(&text);
	text_free(&output);
	return ok;
}

static void run_schedule(struct session *s, const struct subject *list, unsigned int rounds)
{
	struct rng r = rng_make(s->seed, 0);
	struct packets ps = {0};
	struct pool pool = {.nr_addrs = 0};
	struct craft c = {.out = &ps, .pool = &pool, .r = &r};
	unsigned int i, attempt;
	bool ok = false;

	for (i = 0; i < nr_subjects(list); i++) {
		struct l3l4 h = {.proto = IPPROTO_UDP,
				 .ttl = 64,
				 .sport = 7,
				 .dport = 1000 + i,
				 .saddr = topology_ifs[0].neighbour,
				 .daddr = topology_ifs[1].neighbour};

		craft_make(&c, WAY_FRAME, &h);
	}
	/*
	 * When this task is not run for a moment between the two worlds, they differ by more. Each time anew, with full
	 * buckets: what hashlimit has is gone with the last rule that names it.
	 */
	for (attempt = 0; attempt < ATTEMPTS && !ok; attempt++)
		ok = load_both(s, NULL) && load_both(s, list) && !send_spaced(s, &ps, rounds) &&
		     compare_limits(s, list, rounds);
	session_result(s, ok,
		       "%u packets each: limits that refill let the same pass, give or take one",
		       rounds);
	packets_free(&ps);
}

void session_limits(struct session *s)
{
	unsigned int i,
		rounds = s->packets < ROUNDS || s->early || s->drivers ? FEW_ROUNDS : ROUNDS;

	for (i = 0; i < ARRAY_SIZE(schedules); i++)
		run_schedule(s, schedules[i], rounds);
}
