// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asks.h"
#include "duel.h"
#include "kmsg.h"
#include "module.h"
#include "netlink.h"
#include "netns.h"
#include "poke.h"

/* What waits for missing fragments takes memory for as long as the worlds are there. */
#define RUNS_OF_A_WORLD 400

/* A veth takes native XDP only if what its peer sends is in one page, with room in front and behind. */
#define NATIVE_MTU "3400"

/* One interface has a larger MTU: then the helper uses tc there. */
static int make_room(const struct world *w)
{
	static const char command[] = "link set eth0 mtu " NATIVE_MTU "\n";
	char *const ip[] = {"ip", "-batch", "-", NULL};

	return netns_run(w->host_ns, ip, command) || netns_run(w->neighbour_ns, ip, command) ? -EIO
											     : 0;
}

/*
 * What a filter at the interfaces does not see is left out: what conntrack says of sequence numbers, and what
 * mangle does, whose rules would keep the filter from there.
 */
static int simplify(struct duel *d)
{
	static const char settings[] = "netfilter/nf_conntrack_tcp_be_liberal 1\n";
	char *const flush[] = {"iptables-legacy", "-t", "mangle", "-F", NULL};
	int i, err = 0;

	for (i = 0; !err && i < 2; i++) {
		err = netns_sysctl(d->side[i].host_ns, settings);
		if (!err && netns_run(d->side[i].host_ns, flush, ""))
			err = -EIO;
		if (!err && d->native)
			err = make_room(&d->side[i]);
	}
	return err;
}

int duel_open(struct duel *d)
{
	int err = world_open(&d->side[0], d->nat ? "left-nat" : "left", d->prefix[0], d->nat,
			     d->clear);

	d->runs = 0;
	if (err) {
		world_close(&d->side[0]);
		return err;
	}
	/* The module would answer for both. */
	if (module_mode())
		d->side[0].agent.excluded = d->side[0].host_ns;
	err = world_open(&d->side[1], d->nat ? "right-nat" : "right", d->prefix[1], d->nat,
			 d->clear);
	if (!err && d->early)
		err = simplify(d);
	if (err)
		duel_close(d);
	return err;
}

unsigned long duel_early_drops(const struct duel *d)
{
	bool open = d->clear && d->side[1].host_ns >= 0;

	return d->dropped_early + (open ? world_xdp_drops(&d->side[1]) : 0);
}

void duel_close(struct duel *d)
{
	d->dropped_early = duel_early_drops(d);
	table_image_free(&d->unpoked);
	world_close(&d->side[0]);
	world_close(&d->side[1]);
}

static int duel_renew(struct duel *d)
{
	if (d->runs++ < RUNS_OF_A_WORLD)
		return 0;
	duel_close(d);
	return duel_open(d);
}

/* What one side made of it. @given: to the filter table, where replay is to be the third. */
struct outcome {
	struct events seen;
	struct accounts accounts;
	struct text asks;
	struct records given;
	int *results;
	struct table_image image;
};

static void outcome_free(struct outcome *o)
{
	events_free(&o->seen);
	records_free(&o->given);
	text_free(&o->asks);
	free(o->results);
	table_image_free(&o->image);
}

static void say_refusal(struct text *why, const struct world *w, int status, const char *output)
{
	text_add(why, "#   %s: ", w->name);
	if (!status)
		text_add(why, "accepted\n");
	else if (status < 0)
		text_add(why, "refused: %s\n", strerror(-status));
	else
		text_add(why, "refused, exit status %d: %.*s\n", status,
			 output ? (int)strcspn(output, "\n") : 0, output ? output : "");
}

static enum duel_result agree(struct duel *d, const int status[2], const struct text *output,
			      struct text *why)
{
	unsigned int i;

	if (!status[0] && !status[1])
		return DUEL_SAME;
	if (status[0] == status[1])
		return DUEL_REFUSED;
	if (status[0] == -EPIPE || status[1] == -EPIPE)
		return DUEL_BROKEN;
	if (why)
		text_add(why, "# one side refuses the table:\n");
	for (i = 0; why && i < 2; i++)
		say_refusal(why, &d->side[i], status[i], output ? output[i].s : NULL);
	return DUEL_DIFFERENT;
}

static enum duel_result load_pokes(struct duel *d, uint64_t pokes, struct text *why)
{
	struct table_image image;
	int status[2] = {0};

	if (agent_read(&d->side[0].agent, &image))
		return DUEL_BROKEN;
	if (agent_read(&d->side[0].agent, &d->unpoked)) {
		table_image_free(&image);
		return DUEL_BROKEN;
	}
	poke_table(&image, pokes);
	status[0] = agent_replace(&d->side[0].agent, &image);
	status[1] = agent_replace(&d->side[1].agent, &image);
	table_image_free(&image);
	return agree(d, status, NULL, why);
}

/* iptables cannot read all that may have become of a table, and so not replace it. */
static bool undo_pokes(struct duel *d)
{
	bool undone = true;
	unsigned int i;

	if (!d->unpoked.entries)
		return true;
	for (i = 0; i < 2; i++)
		undone &= !agent_replace(&d->side[i].agent, &d->unpoked);
	table_image_free(&d->unpoked);
	return undone;
}

static enum duel_result load(struct duel *d, const struct trial *t, struct text *why)
{
	struct text rules[2] = {{0}}, output[2] = {{0}};
	enum duel_result result;
	int status[2];
	unsigned int i;

	if (!undo_pokes(d))
		return DUEL_BROKEN;
	for (i = 0; i < 2; i++) {
		ruleset_print(i && t->other ? t->other : t->rules, &rules[i]);
		asks_make(d->side[i].host_ns, t->rules);
		status[i] = agent_restore(&d->side[i].agent, rules[i].s, &output[i]);
	}
	result = agree(d, status, output, why);
	if (result == DUEL_REFUSED && d->verbose)
		fprintf(stderr, "refused: %s", output[0].s);
	for (i = 0; i < 2; i++) {
		text_free(&rules[i]);
		text_free(&output[i]);
	}
	if (result == DUEL_SAME && t->rules->pokes)
		result = load_pokes(d, t->rules->pokes, why);
	return result;
}

static void renumber_fragments(struct packets *ps)
{
	unsigned int i;

	for (i = 0; i < ps->nr; i++) {
		struct packet *p = &ps->list[i];
		uint8_t checked[2];

		if (p->len < 20 || !((p->data[6] & 0x3f) | p->data[7]))
			continue;
		memcpy(checked, p->data + 10, 2);
		packet_fix_ip(p->data, p->len);
		if (memcmp(checked, p->data + 10, 2)) { /* meant to be wrong */
			memcpy(p->data + 10, checked, 2);
			continue;
		}
		p->data[4] += 97;
		p->data[5] |= !p->data[4] && !p->data[5];
		packet_fix_ip(p->data, p->len);
	}
}

static int send_to(struct world *w, const struct packets *ps, struct kmsg *kmsg, struct outcome *o)
{
	int err;

	o->results = must_alloc(ps->nr * sizeof(int));
	err = world_reset(w);
	kmsg_skip(kmsg);
	if (!err)
		err = world_send(w, ps->list, ps->nr, o->results, &o->seen);
	if (!err)
		err = kmsg_read(kmsg, &o->seen);
	if (!err)
		err = agent_read(&w->agent, &o->image);
	return err;
}

static int send_all(struct duel *d, const struct trial *t, struct outcome *o)
{
	struct kmsg kmsg;
	unsigned int i;
	int err = kmsg_begin(&kmsg, t->rules);

	for (i = 0; i < 2 && !err; i++) {
		bool record = d->replay && !i;

		if (record)
			err = record_begin(&d->side[i], replay_wants_states(t->rules));
		if (!err)
			err = send_to(&d->side[i], t->packets, &kmsg, &o[i]);
		if (!err)
			err = accounts_read(d->side[i].ct, &o[i].accounts);
		if (!err && asks_any(t->rules))
			asks_read(d->side[i].host_ns, &o[i].asks);
		if (record)
			record_end(&d->side[i]);
		if (record && !err)
			err = record_take(&o[i].given, &o[i].seen);
		if (err)
			fprintf(stderr, "%s: %s\n", d->side[i].name, strerror(-err));
	}
	kmsg_end(&kmsg);
	return err;
}

static bool same_image(const struct table_image *a, const struct table_image *b)
{
	return !memcmp(&a->info, &b->info, sizeof(a->info)) &&
	       !memcmp(a->entries, b->entries, a->info.size);
}

/* Tables that are meant to differ: as many rules, counting the same? */
static bool same_counters(const struct table_image *a, const struct table_image *b)
{
	uint32_t i = 0, j = 0;

	if (a->info.num_entries != b->info.num_entries)
		return false;
	while (i < a->info.size && j < b->info.size) {
		const struct ipt_entry *x = (const void *)(a->entries + i);
		const struct ipt_entry *y = (const void *)(b->entries + j);

		if (memcmp(&x->counters, &y->counters, sizeof(x->counters)))
			return false;
		i += x->next_offset;
		j += y->next_offset;
	}
	return true;
}

/* The lines in which the two differ. */
static void say_lines(struct text *why, struct duel *d, struct text save[2])
{
	char *line[2], *state[2];
	unsigned int said = 0;

	line[0] = strtok_r(save[0].s, "\n", &state[0]);
	line[1] = strtok_r(save[1].s, "\n", &state[1]);
	while (line[0] && line[1]) {
		if (line[0][0] != '#' && strcmp(line[0], line[1]) && said++ < 10)
			text_add(why, "#   %-10s %s\n#   %-10s %s\n", d->side[0].name, line[0],
				 d->side[1].name, line[1]);
		line[0] = strtok_r(NULL, "\n", &state[0]);
		line[1] = strtok_r(NULL, "\n", &state[1]);
	}
	if (line[0] || line[1])
		text_add(why, "#   %s has more lines\n", d->side[line[1] != NULL].name);
	else if (!said)
		text_add(why, "#   nothing that iptables-save shows\n");
}

static void say_image(struct text *why, struct duel *d, const struct outcome *o)
{
	const struct table_image *a = &o[0].image, *b = &o[1].image;
	struct text save[2] = {{0}};
	uint32_t at = 0, i;

	text_add(why, "# tables or counters as read back:\n");
	if (memcmp(&a->info, &b->info, sizeof(a->info))) {
		text_add(why, "#   GET_INFO: %u entries in %u bytes, %u in %u\n",
			 a->info.num_entries, a->info.size, b->info.num_entries, b->info.size);
	} else {
		while (at < a->info.size && a->entries[at] == b->entries[at])
			at++;
		text_add(why, "#   GET_ENTRIES: byte %u\n", at);
	}
	for (i = 0; i < 2; i++) {
		agent_save(&d->side[i].agent, &save[i]);
		text_add(&save[i], "\n");
	}
	say_lines(why, d, save);
	text_free(&save[0]);
	text_free(&save[1]);
}

static void say_events(struct text *why, struct duel *d, const struct trial *t,
		       const struct outcome *o)
{
	unsigned int i;

	text_add(why, "# what became of the packets:\n");
	for (i = 0; i < 2; i++) {
		text_add(why, "#   %s: %u sightings\n", d->side[i].name, o[i].seen.nr);
		if (t->packets->nr <= 8)
			events_describe(&o[i].seen, why);
		else
			events_describe_from(&o[i].seen, &o[!i].seen, why);
	}
}

static bool say_results(struct text *why, const struct trial *t, const struct outcome *o)
{
	bool same = true;
	unsigned int i;

	for (i = 0; i < t->packets->nr; i++) {
		if (o[0].results[i] == o[1].results[i])
			continue;
		if (why && same)
			text_add(why, "# sending packet %u: \"%s\", \"%s\"\n", i,
				 strerror(-o[0].results[i]), strerror(-o[1].results[i]));
		same = false;
	}
	return same;
}

static bool same_accounts(struct text *why, const struct duel *d, const struct outcome *o)
{
	unsigned int i, j;

	if (!memcmp(&o[0].accounts, &o[1].accounts, sizeof(o[0].accounts)))
		return true;
	for (i = 0; why && i < TOPOLOGY_ACCOUNTS; i++)
		for (j = 0; j < 2; j++)
			text_add(why, "# accounting object %u: %s: %llu packets, %llu bytes\n", i,
				 d->side[j].name, (unsigned long long)o[j].accounts.of[i].packets,
				 (unsigned long long)o[j].accounts.of[i].bytes);
	return false;
}

static bool same_asks(struct text *why, const struct duel *d, const struct outcome *o)
{
	unsigned int i;

	if (!o[0].asks.s || !o[1].asks.s || !strcmp(o[0].asks.s, o[1].asks.s))
		return true;
	for (i = 0; why && i < 2; i++)
		text_add(why, "# what the kernel was asked about, %s:%s", d->side[i].name,
			 o[i].asks.s);
	return false;
}

/* All but the counters: the same? */
static bool same_rules(const struct table_image *a, const struct table_image *b)
{
	uint32_t at = 0;

	if (memcmp(&a->info, &b->info, sizeof(a->info)))
		return false;
	while (at < a->info.size) {
		struct ipt_entry *x = (void *)(a->entries + at), *y = (void *)(b->entries + at);
		struct ipt_entry copy = *y;

		copy.counters = x->counters;
		if (memcmp(x, &copy, sizeof(copy)) ||
		    memcmp(x->elems, y->elems, x->next_offset - sizeof(copy)))
			return false;
		at += x->next_offset;
	}
	return true;
}

static void count_seen(struct duel *d, const struct outcome *o)
{
	unsigned int i, n;

	for (i = 0; i < 2; i++)
		for (n = 0; n < o[i].seen.nr; n++)
			d->seen[i] += o[i].seen.list[n].where != NF_INET_LOCAL_OUT;
}

/* Nothing may come through that should not; what else differs is counted. */
static enum duel_result compare_early(struct duel *d, const struct trial *t,
				      const struct outcome *o, struct text *why)
{
	bool exact = same_image(&o[0].image, &o[1].image) &&
		     events_within(&o[0].seen, &o[1].seen, false, NULL, NULL);
	bool within;

	if (why)
		text_add(why, "# the second world accepts what the first one drops:\n");
	within = events_within(&o[1].seen, &o[0].seen, true,
			       ruleset_asks_for_states(t->rules) ? t->packets : NULL, why);
	if (why && !within)
		say_events(why, d, t, o);
	d->exact += exact && within;
	count_seen(d, o);
	if (!same_rules(&o[0].image, &o[1].image)) {
		if (why)
			text_add(why, "# or the tables differ as read back\n");
		return DUEL_DIFFERENT;
	}
	return within ? DUEL_SAME : DUEL_DIFFERENT;
}

static enum duel_result compare(struct duel *d, const struct trial *t, const struct outcome *o,
				struct text *why)
{
	bool results = say_results(why, t, o);
	bool events = events_equal(&o[0].seen, &o[1].seen);
	bool accounts = same_accounts(why, d, o);
	bool asks = same_asks(why, d, o);
	bool images = t->other ? same_counters(&o[0].image, &o[1].image)
			       : same_image(&o[0].image, &o[1].image);

	if (why && !events)
		say_events(why, d, t, o);
	if (why && !images)
		say_image(why, d, o);
	return results && events && images && accounts && asks ? DUEL_SAME : DUEL_DIFFERENT;
}

/* The third side. */
static enum duel_result compare_replay(struct duel *d, const struct trial *t,
				       const struct outcome *o, struct text *why)
{
	int differs = replay_differs(d->replay, t->replayed ? t->replayed : t->rules, &o->seen,
				     &o->given, &o->image, why);

	return differs < 0 ? DUEL_BROKEN : differs ? DUEL_DIFFERENT : DUEL_SAME;
}

/* How much of the tables do the packets reach? */
static void count_matched(struct duel *d, const struct table_image *image)
{
	uint32_t at = 0;

	while (at < image->info.size) {
		const struct ipt_entry *e = (const void *)(image->entries + at);

		d->rules++;
		d->rules_matched += e->counters.pcnt != 0;
		at += e->next_offset;
	}
}

/* Who enforces what the second world has? A table with rules that ip_tables does not have
 * is somebody else's. */
static void count_enforcer(struct duel *d, const struct table_image *served)
{
	struct table_image kernel;

	if (served->info.num_entries <= 4 || world_kernel_table(&d->side[1], &kernel))
		return;
	if (kernel.info.num_entries <= 4)
		d->by_other++;
	else
		d->by_kernel++;
	table_image_free(&kernel);
}

/* rp_filter of both hosts, where drivers may drop early. */
static int filter_sources(struct duel *d, unsigned int rp_filter)
{
	char settings[64];
	int i, err = 0;

	snprintf(settings, sizeof(settings), "ipv4/conf/all/rp_filter %u\n", rp_filter);
	for (i = 0; d->clear && !err && i < 2; i++)
		err = netns_sysctl(d->side[i].host_ns, settings);
	return err;
}

static enum duel_result run_once(struct duel *d, const struct trial *t, struct text *why)
{
	struct outcome o[2] = {};
	enum duel_result result;

	if (duel_renew(d) || filter_sources(d, t->rules->rp_filter))
		return DUEL_BROKEN;
	result = load(d, t, why);
	if (result != DUEL_SAME)
		return result;
	renumber_fragments(t->packets);
	if (send_all(d, t, o)) {
		result = DUEL_BROKEN;
	} else {
		result = d->early ? compare_early(d, t, o, why) : compare(d, t, o, why);
		if (result == DUEL_SAME && d->replay)
			result = compare_replay(d, t, &o[0], why);
		count_enforcer(d, &o[1].image);
		count_matched(d, &o[1].image);
	}
	outcome_free(&o[0]);
	outcome_free(&o[1]);
	return result;
}

/* Sequence numbers of SYNPROXY's have the minute in them, which may end between the two sides. */
static bool tells_the_minute(const struct ruleset *rs)
{
	unsigned int i;

	for (i = 0; i < rs->nr; i++)
		if (strstr(rs->lines[i], " -j SYNPROXY"))
			return true;
	return false;
}

enum duel_result duel_run(struct duel *d, const struct trial *t, struct text *why)
{
	enum duel_result result = run_once(d, t, why);

	if (result != DUEL_DIFFERENT || !tells_the_minute(t->rules))
		return result;
	if (why)
		text_free(why);
	return run_once(d, t, why);
}
