// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "asks.h"
#include "grammar.h"
#include "session.h"
#include "shrink.h"
#include "translation.h"
#include <linux/netfilter.h>

void session_result(struct session *s, bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%s %u - ", ok ? "ok" : "not ok", ++s->test);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	s->failures += !ok;
}

/* For an id of 0 a raw socket fills in a random number, which comes back in ICMP errors. */
static void give_id(struct packet *p)
{
	if (p->way != WAY_RAW || p->len < 20 || p->data[4] || p->data[5])
		return;
	p->data[5] = 1;
	packet_fix_ip(p->data, p->len);
}

/* Frames only: a socket is told at once. */
static void give_route(struct packet *p)
{
	uint32_t daddr;

	if (p->way != WAY_FRAME || p->len < 20)
		return;
	memcpy(&daddr, p->data + 16, 4);
	if (!topology_is_refused(ntohl(daddr)))
		return;
	p->data[16] = 8;
	packet_fix_ip(p->data, p->len);
}

/*
 * What a socket sends to all comes back to this host before it gets to the interface, where a filter there
 * could drop it.
 */
static void give_one_host(struct packet *p)
{
	if (p->way == WAY_FRAME || p->len < 20)
		return;
	if (p->data[16] >= 224)
		p->data[16] = 8;
	if (p->data[19] == 255 || p->data[19] == 0)
		p->data[19] = 9;
	packet_fix_ip(p->data, p->len);
}

/*
 * A raw socket may send from an address to which there is no way, or one that is neither this host's nor another's: an error
 * about that is not sent, or elsewhere, which a filter at the interfaces cannot tell from its own addresses.
 */
static void give_source(struct packet *p)
{
	if (p->way == WAY_FRAME || p->len < 20 || p->data[12] != 100)
		return;
	p->data[12] = 8;
	packet_fix_ip(p->data, p->len);
}

/* Conntrack calls it INVALID without a right checksum, which a filter at the interfaces does not look at. */
static void give_sum(struct packet *p)
{
	unsigned int len = p->len >= 20 ? p->data[2] << 8 | p->data[3] : 0;

	/* What is behind that is padding. */
	if (p->way == WAY_FRAME && len && !((p->data[6] & 0x3f) | p->data[7]))
		packet_fix_l4(p->data, len < p->len ? len : p->len);
}

/* Take out that to which the kernel's answer depends on chance or the clock. */
static void remove_chance(struct packets *ps, bool nat)
{
	unsigned int i;

	for (i = 0; i < ps->nr; i++) {
		give_id(&ps->list[i]);
		give_route(&ps->list[i]);
	}
	if (nat)
		translation_remove_clashes(ps);
}

/* Packets of all kinds for these rules. */
static void draw_packets(struct session *s, const struct ruleset *rules, unsigned int n,
			 struct rng *r, struct packets *out)
{
	unsigned int captured = s->captured.nr ? n / 8 : 0;
	bool large = ruleset_rules(rules) > 500;
	struct pool pool = {.nr_addrs = 0};
	struct craft c = {.out = out, .pool = &pool, .r = r, .nat = rules->nat, .id = rng_next(r)};
	struct text text = {0};
	unsigned int i;

	ruleset_print(rules, &text);
	pool_scan(&pool, text.s, r);
	text_free(&text);
	craft_captured(&c, &s->captured, captured);
	/* Of a large table the others do not find much. */
	craft_aimed(&c, rules, large ? n * 2 / 3 : n / 3);
	craft_nasties(&c, large ? n / 10 : n / 5);
	craft_flows(&c, large ? n / 10 : n / 6);
	craft_random(&c, n > out->nr ? n - out->nr : 0);
	remove_chance(out, rules->nat);
	if (s->third)
		session_settle(rules, out);
	/* With XDP at a veth, its peer has to cut these itself. */
	for (i = 0; s->drivers && i < out->nr; i++)
		if (out->list[i].way == WAY_FRAME)
			out->list[i].gso = 0;
	for (i = 0; s->early && i < out->nr; i++) {
		give_one_host(&out->list[i]);
		give_source(&out->list[i]);
		give_sum(&out->list[i]);
	}
}

void session_packets(struct session *s, const struct ruleset *rules, unsigned int n,
		     uint64_t number, struct packets *out)
{
	struct rng r = rng_make(s->seed ^ 0x7061636b657473, number);

	draw_packets(s, rules, n, &r, out);
}

static void print_rules(const struct ruleset *rules)
{
	struct text text = {0};

	if (ruleset_rules(rules) > 200) {
		printf("# the rule set has %u rules; not shown\n", ruleset_rules(rules));
		return;
	}
	ruleset_print(rules, &text);
	printf("%s", text.s);
	text_free(&text);
}

/* What is left after shrinking, so that a person can begin to think. */
static void report(struct session *s, struct ruleset *rules, struct packets *packets,
		   const char *first, uint64_t number)
{
	struct duel *d = &s->duel[rules->nat];
	struct trial t = {.rules = rules, .packets = packets};
	struct text why = {0}, words = {0};
	unsigned int i;

	printf("# DIFFERENCE: %s, --seed=%llu, set %llu%s, rp_filter %u\n%s", rules->name,
	       (unsigned long long)s->seed, (unsigned long long)number,
	       rules->nat ? ", with address translation" : "", rules->rp_filter, first);
	d->verbose = false;
	shrink(d, rules, packets, s->shrink_seconds);
	d->verbose = s->verbose;
	printf("# shrunk to %u rules and %u packets", ruleset_rules(rules), packets->nr);
	if (rules->pokes)
		printf(" (table changed after loading, --pokes=%llu)",
		       (unsigned long long)rules->pokes);
	printf(":\n");
	print_rules(rules);
	for (i = 0; i < packets->nr && i < 20; i++)
		packet_describe(&words, &packets->list[i]);
	printf("%s", words.s ? words.s : "");
	if (duel_run(d, &t, &why) == DUEL_DIFFERENT)
		printf("%s", why.s);
	else
		printf("# the last try showed no difference: what came before plays a role\n");
	fflush(stdout);
	text_free(&why);
	text_free(&words);
}

/* What "bpfilter status" says of why ip_tables has a table. */
static void say_status(const struct ruleset *rules)
{
	const char *bpfilter = getenv("BPFILTER");
	char line[512];
	FILE *f;

	printf("# %s was left to ip_tables in the second world\n", rules->name);
	snprintf(line, sizeof(line), "'%s' status 2>&1", bpfilter ? bpfilter : "bpfilter");
	f = popen(line, "r");
	while (f && fgets(line, sizeof(line), f))
		printf("#   %s", line);
	if (f)
		pclose(f);
}

/* Does the second world filter at its interfaces, and at all of them as it was told to? */
static bool is_placed(void)
{
	const char *bpfilter = getenv("BPFILTER");
	char line[512];
	bool placed = false, elsewhere = false;
	FILE *f;

	snprintf(line, sizeof(line), "'%s' status 2>&1", bpfilter ? bpfilter : "bpfilter");
	f = popen(line, "r");
	while (f && fgets(line, sizeof(line), f)) {
		placed |= strstr(line, "at the interfaces") != NULL;
		elsewhere |= strstr(line, "is used there instead") != NULL;
	}
	if (f)
		pclose(f);
	return placed && !elsewhere;
}

void session_reduce(struct session *s, struct ruleset *rules)
{
	if (s->early) {
		ruleset_place(rules);
		rules->pokes = 0;
	}
	/* Nothing is dropped early behind what a driver cannot tell: less of that. */
	if (s->drivers && !rules->nat && rules->nr % 4 < 2)
		ruleset_untrack(rules);
	if (s->drivers && !rules->nat && rules->nr % 4)
		ruleset_place(rules);
	/* One of four has it at 1, and one at 2: drivers judge where packets come from. */
	if (s->drivers && !s->third && !rules->nat)
		rules->rp_filter = rules->nr / 4 % 4 % 3;
	if (s->third)
		replay_reduce(&s->replay, rules);
}

bool session_trial(struct session *s, struct ruleset *rules, unsigned int n, uint64_t number)
{
	struct packets packets = {0};
	struct trial t = {.rules = rules, .packets = &packets};
	unsigned long by_kernel = s->duel[rules->nat].by_kernel;
	enum duel_result result;
	struct text why = {0};
	unsigned long drops;
	bool left;

	session_reduce(s, rules);
	session_packets(s, rules, n, number, &packets);
	drops = duel_early_drops(&s->duel[rules->nat]);
	result = duel_run(&s->duel[rules->nat], &t, &why);
	drops = duel_early_drops(&s->duel[rules->nat]) - drops;
	s->tracked_drops += ruleset_asks_for_states(rules) ? drops : 0;
	s->filtered_drops += rules->rp_filter ? drops : 0;
	left = s->duel[rules->nat].by_kernel != by_kernel;
	if (s->early && result == DUEL_SAME)
		left |= !is_placed();
	if (left && s->verbose)
		say_status(rules);
	/* Those that no iptables makes may contain what nobody would translate. */
	s->left += left && !rules->pokes && !ruleset_marks_too_much(rules, s->module) &&
		   !ruleset_accounts_too_much(rules) && !ruleset_changes_options(rules) &&
		   !ruleset_wants_links(rules) && !asks_too_much(rules);
	if (ruleset_accounts(rules))
		s->accounting[left]++;
	s->done_sets++;
	s->done_pairs += result == DUEL_SAME ? packets.nr : 0;
	s->refused += result == DUEL_REFUSED;
	if (result == DUEL_DIFFERENT)
		report(s, rules, &packets, why.s ? why.s : "", number);
	else if (result == DUEL_BROKEN)
		printf("# %s: the test broke\n", rules->name);
	text_free(&why);
	packets_free(&packets);
	return result == DUEL_SAME || result == DUEL_REFUSED;
}

void session_draw(struct session *s, struct ruleset *rules, unsigned int *packets, uint64_t number)
{
	struct rng r = rng_make(s->seed, number);
	enum grammar_size size = GRAMMAR_USUAL;
	char name[64];

	*packets = s->packets;
	snprintf(name, sizeof(name), "random set %llu", (unsigned long long)number);
	ruleset_init(rules, name);
	if (number % 50 == 49) {
		size = GRAMMAR_LARGE;
		*packets = s->packets / 4;
	} else if (rng_chance(&r, 6)) {
		size = GRAMMAR_DEEP;
	}
	grammar_ruleset(rules, &r, size, number % 200 == 199 ? 20000 : 1000);
	ruleset_for_kernel(rules);
	if (size == GRAMMAR_USUAL && rng_chance(&r, 15))
		rules->pokes = rng_next(&r) | 1;
	rules->nat = rng_chance(&r, 30) && !s->early;
}

/*
 * The test itself: are packets seen that pass, at all three hooks and behind them, and none of
 * those that are dropped?
 */
static bool sane(struct session *s, const char *policy, bool nat)
{
	static const char *const chains[] = {"INPUT", "FORWARD", "OUTPUT"};
	struct rng r = rng_make(1, 1);
	struct packets packets = {0};
	struct events seen = {0};
	unsigned int count[EVENT_LOG + 1] = {0}, i;
	struct ruleset rules;
	struct text text = {0}, output = {0};
	bool ok = true;

	ruleset_init(&rules, "sanity");
	for (i = 0; i < 3; i++)
		ruleset_add(&rules, ":%s %s [0:0]", chains[i], policy);
	ruleset_print(&rules, &text);
	draw_packets(s, &rules, 500, &r, &packets);
	for (i = 0; i < 2 && ok; i++) {
		struct world *w = &s->duel[nat].side[i];

		ok = !agent_restore(&w->agent, text.s, &output) && !world_reset(w) &&
		     !world_send(w, packets.list, packets.nr, NULL, &seen);
	}
	for (i = 0; i < seen.nr; i++)
		count[seen.list[i].where]++;
	/* What is dropped behind OUTPUT is seen there. */
	if (s->early)
		seen.nr -= count[NF_INET_LOCAL_OUT];
	/* Half of what is usual: many have addresses that the routing refuses. */
	if (!strcmp(policy, "DROP"))
		ok = ok && !seen.nr;
	else
		ok = ok && count[1] > 200 && count[2] > 120 && count[3] > 200 &&
		     count[EVENT_WIRE] > 250;
	printf("# policy %s: of 2 x %u packets %u passed INPUT, %u FORWARD, %u OUTPUT; %u left\n",
	       policy, packets.nr, count[1], count[2], count[3], count[EVENT_WIRE]);
	events_free(&seen);
	packets_free(&packets);
	ruleset_free(&rules);
	text_free(&text);
	text_free(&output);
	return ok;
}

void session_sanity(struct session *s)
{
	unsigned int nat;

	for (nat = 0; nat < (s->early ? 1U : 2U); nat++)
		session_result(s, sane(s, "ACCEPT", nat) && sane(s, "DROP", nat),
			       "packets are seen when accepted and not when dropped%s",
			       nat ? ", with address translation" : "");
}
