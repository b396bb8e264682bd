// SPDX-License-Identifier: GPL-2.0
/*
 * Limits that refill while packets come: the one thing in which the two worlds may differ, by one
 * packet, since their clocks do not tick at the same packet.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "craft.h"
#include "session.h"

#define ROUNDS	   60
#define SPACING_MS 10
#define ATTEMPTS   5

/* The rate and burst of each; packets come at 100 a second. */
static const char *const limits[] = {
	"--limit 20/sec --limit-burst 5",  "--limit 50/sec --limit-burst 1",
	"--limit 600/min --limit-burst 3", "--limit 7/sec --limit-burst 10",
	"--limit 99/sec --limit-burst 2",
};

#define LIMITS (sizeof(limits) / sizeof(limits[0]))

static void make_rules(struct ruleset *rules)
{
	unsigned int i;

	ruleset_init(rules, "limits that refill");
	ruleset_add(rules, ":INPUT ACCEPT [0:0]");
	ruleset_add(rules, ":FORWARD DROP [0:0]");
	ruleset_add(rules, ":OUTPUT ACCEPT [0:0]");
	for (i = 0; i < LIMITS; i++)
		ruleset_add(rules, "-A FORWARD -p udp --dport %u -m limit %s -j ACCEPT", 1000 + i,
			    limits[i]);
}

static void pause_ms(unsigned int ms)
{
	struct timespec ts = {0, ms * 1000000L};

	nanosleep(&ts, NULL);
}

static int send_spaced(struct session *s, struct packets *ps)
{
	struct events seen = {0};
	unsigned int round, i;
	int err = 0;

	for (round = 0; round < ROUNDS && !err; round++) {
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

static bool compare_limits(struct session *s)
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
	for (i = 0; i < LIMITS; i++) {
		long x = counted(&a, i), y = counted(&b, i);

		printf("# %s: %ld and %ld of %u\n", limits[i], x, y, ROUNDS);
		ok &= labs(x - y) <= 1 && x > 0 && x <= ROUNDS;
	}
	table_image_free(&a);
	table_image_free(&b);
	return ok;
}

/* Anew, with full buckets. */
static bool load_both(struct session *s, const char *rules)
{
	struct text output = {0};
	unsigned int i;
	bool ok = true;

	for (i = 0; i < 2 && ok; i++)
		ok = !agent_restore(&s->duel[0].side[i].agent, rules, &output);
	text_free(&output);
	return ok;
}

void session_limits(struct session *s)
{
	struct rng r = rng_make(s->seed, 0);
	struct packets ps = {0};
	struct pool pool = {.nr_addrs = 0};
	struct craft c = {.out = &ps, .pool = &pool, .r = &r};
	struct text rules_text = {0};
	struct ruleset rules;
	unsigned int i, attempt;
	bool ok = false;

	make_rules(&rules);
	ruleset_print(&rules, &rules_text);
	for (i = 0; i < LIMITS; i++) {
		struct l3l4 h = {.proto = IPPROTO_UDP,
				 .ttl = 64,
				 .sport = 7,
				 .dport = 1000 + i,
				 .saddr = topology_ifs[0].neighbour,
				 .daddr = topology_ifs[1].neighbour};

		craft_make(&c, WAY_FRAME, &h);
	}
	/* When this task is not run for a moment between the two worlds, they differ by more. */
	for (attempt = 0; attempt < ATTEMPTS && !ok; attempt++)
		ok = load_both(s, rules_text.s) && !send_spaced(s, &ps) && compare_limits(s);
	session_result(s, ok, "limits that refill let the same packets pass, give or take one");
	packets_free(&ps);
	ruleset_free(&rules);
	text_free(&rules_text);
}
