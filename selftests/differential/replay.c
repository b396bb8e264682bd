// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replay.h"

#define LINKTYPE_RAW 101

/* Differences that are worth a line. */
#define SAID 5

/**
 * struct tally - what replay's summaries say of an entry, added up
 */
struct tally {
	uint64_t packets, bytes;
	char *text;
};

/* What replay says of a packet; nothing as long as it has not run it. */
struct fate {
	bool run, accepted;
	uint32_t mark;
};

/* Commands under way at a time: most of one's time is waiting for RCU. */
#define CALLS 6

/**
 * struct call - a command, and the packets of its capture, which all have one context
 * @of: their numbers in the record
 * @out: what it says
 */
struct call {
	char capture[32];
	unsigned int *of, nr;
	struct text command;
	FILE *out;
};

/**
 * struct comparison - one rule set
 * @asks_interfaces, @asks_marks: what the rules look at, so that packets of other interfaces or marks have another context
 * @rules: file
 * @calls: the one that began last is at @nr_calls - 1, modulo CALLS
 * @skipped: there are packets that were not run, which the kernel has counted
 */
struct comparison {
	struct replay *r;
	const struct events *evs;
	const struct records *rs;
	bool asks_interfaces, asks_marks;
	char rules[32];
	struct call calls[CALLS];
	unsigned int nr_calls;
	struct fate *fates;
	struct tally *tallies;
	unsigned int nr_tallies;
	bool no_program, skipped;
};

bool replay_wants_states(const struct ruleset *rules)
{
	unsigned int i;

	for (i = 0; i < rules->nr; i++)
		if (rules->lines[i][0] == '-' && strstr(rules->lines[i], "state "))
			return true;
	return false;
}

static bool have(const struct ruleset *rules, const char *words)
{
	unsigned int i;

	for (i = 0; i < rules->nr; i++)
		if (rules->lines[i][0] == '-' && strstr(rules->lines[i], words))
			return true;
	return false;
}

/* --- captures ------------------------------------------------------------------------------ */

static FILE *temporary(char name[32])
{
	int fd;

	strcpy(name, "/tmp/differential.XXXXXX");
	fd = mkstemp(name);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

static int write_rules(struct comparison *c, const struct ruleset *rules)
{
	FILE *f = temporary(c->rules);
	struct text t = {0};

	if (!f)
		return -errno;
	ruleset_print(rules, &t);
	fputs(t.s, f);
	text_free(&t);
	return fclose(f) ? -errno : 0;
}

/* As pcap-savefile(5) has it, of this machine's byte order. */
static int write_capture(const struct comparison *c, struct call *call)
{
	const uint32_t head[] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 1 << 18, LINKTYPE_RAW};
	FILE *f = temporary(call->capture);
	unsigned int i;

	if (!f)
		return -errno;
	fwrite(head, sizeof(head), 1, f);
	for (i = 0; i < call->nr; i++) {
		const struct event *ev = &c->rs->list[call->of[i]].ev;
		const uint32_t packet[] = {0, i, ev->len, ev->len};

		fwrite(packet, sizeof(packet), 1, f);
		fwrite(c->evs->bytes.s + ev->at, ev->len, 1, f);
	}
	return fclose(f) ? -errno : 0;
}

/* --- what it says -------------------------------------------------------------------------- */

/* The number behind the next @name, and where it ends; NULL if there is none. */
static const char *number(const char *at, const char *name, uint64_t *value)
{
	char *end;

	at = at ? strstr(at, name) : NULL;
	if (!at)
		return NULL;
	*value = strtoull(at + strlen(name), &end, 10);
	return end == at + strlen(name) ? NULL : end;
}

static int take_fate(struct comparison *c, const struct call *call, const char *line)
{
	const char *fate = strstr(line, "\"fate\": {\"verdict\": \"");
	uint64_t packet, mark;

	if (!number(line, "{\"packet\": ", &packet) || !number(fate, "\"mark\": ", &mark) ||
	    !packet || packet > call->nr)
		return -EPROTO;
	fate += strlen("\"fate\": {\"verdict\": \"");
	c->fates[call->of[packet - 1]] =
		(struct fate){.run = true, .accepted = !strncmp(fate, "ACCEPT\"", 7), .mark = mark};
	return 0;
}

/* The entries of the summary: a quote within a text has a backslash before it. */
static int take_entries(struct comparison *c, const char *at)
{
	uint64_t entry, packets, bytes;
	const char *text, *end;

	while ((at = number(at, "{\"entry\": ", &entry))) {
		text = strstr(at, "\"text\": \"");
		end = text ? strstr(text, "\", \"packets\": ") : NULL;
		if (!end || !number(end, "\"packets\": ", &packets) || entry >= c->nr_tallies)
			return -EPROTO;
		at = number(end, "\"bytes\": ", &bytes);
		c->tallies[entry].packets += packets;
		c->tallies[entry].bytes += bytes;
		text += strlen("\"text\": \"");
		if (!c->tallies[entry].text)
			c->tallies[entry].text = strndup(text, end - text);
	}
	return 0;
}

static int take_summary(struct comparison *c, const struct call *call, const char *line)
{
	uint64_t packets, other, malformed, cut;

	if (!number(line, "\"packets\": ", &packets) || !number(line, "\"not_ipv4\": ", &other) ||
	    !number(line, "\"malformed\": ", &malformed) || !number(line, "\"cut_off\": ", &cut) ||
	    packets + other + malformed + cut != call->nr)
		return -EPROTO;
	c->r->packets += packets;
	c->r->malformed += call->nr - packets;
	c->skipped |= packets != call->nr;
	return take_entries(c, strstr(line, "\"sides\": ["));
}

static int take_line(struct comparison *c, const struct call *call, const char *line)
{
	if (!strncmp(line, "{\"packet\": ", 11))
		return take_fate(c, call, line);
	if (!strncmp(line, "{\"version\": 1,", 14))
		return take_summary(c, call, line);
	c->no_program |= strstr(line, "there is no program") != NULL;
	if (!c->no_program)
		fprintf(stderr, "bpfilter replay: %s", line);
	return 0;
}

static void command_line(const struct comparison *c, struct call *call, const struct event *ev)
{
	static const char *const hooks[] = {[NF_INET_LOCAL_IN] = "INPUT",
					    [NF_INET_FORWARD] = "FORWARD",
					    [NF_INET_LOCAL_OUT] = "OUTPUT"};
	const char *bpfilter = getenv("BPFILTER");
	struct text *t = &call->command;

	text_add(t, "'%s' replay --json --rules=%s --hook=%s --mark=0x%x",
		 bpfilter ? bpfilter : "bpfilter", c->rules, hooks[ev->where], ev->mark);
	if (ev->in && ev->where != NF_INET_LOCAL_OUT)
		text_add(t, " --in=%s", topology_if_name(ev->in));
	if (ev->out && ev->where != NF_INET_LOCAL_IN)
		text_add(t, " --out=%s", topology_if_name(ev->out));
	if (ev->note != RECORD_ANY)
		text_add(t, " --ctstate=%s", record_name(ev->note));
	text_add(t, " %s 2>&1", call->capture);
}

/* What the command has to say; nothing is left of the call. */
static int end_call(struct comparison *c, struct call *call)
{
	char *line = NULL;
	size_t max = 0;
	int err = 0, status;

	if (!call->of)
		return 0;
	while (call->out && !err && getline(&line, &max, call->out) > 0)
		err = take_line(c, call, line);
	status = call->out ? pclose(call->out) : -1;
	if (!err && status && !c->no_program)
		err = -EIO;
	if (err)
		fprintf(stderr, "%s: status %d, %s\n", call->command.s, status, strerror(-err));
	unlink(call->capture);
	free(line);
	free(call->of);
	text_free(&call->command);
	memset(call, 0, sizeof(*call));
	return err;
}

/* --- one context after the other ----------------------------------------------------------- */

static bool same_context(const struct comparison *c, const struct event *a, const struct event *b)
{
	return a->where == b->where && a->note == b->note &&
	       (!c->asks_interfaces || (a->in == b->in && a->out == b->out)) &&
	       (!c->asks_marks || a->mark == b->mark);
}

/* Begin a call with all packets that have the context of packet @first, which are @taken then. */
static int begin_call(struct comparison *c, unsigned int first, bool *taken)
{
	struct call *call = &c->calls[c->nr_calls++ % CALLS];
	const struct event *ev = &c->rs->list[first].ev;
	int err = end_call(c, call);
	unsigned int i;

	if (err)
		return err;
	call->of = must_alloc((c->rs->nr - first) * sizeof(*call->of));
	for (i = first; i < c->rs->nr; i++) {
		if (taken[i] || !same_context(c, ev, &c->rs->list[i].ev))
			continue;
		taken[i] = true;
		call->of[call->nr++] = i;
	}
	err = write_capture(c, call);
	if (err)
		return err;
	command_line(c, call, ev);
	call->out = popen(call->command.s, "r");
	c->r->calls++;
	return 0;
}

static int run_all(struct comparison *c)
{
	bool *taken = must_alloc((c->rs->nr + 1) * sizeof(*taken));
	unsigned int i;
	int err = 0, ended;

	for (i = 0; i < c->rs->nr && !err && !c->no_program; i++)
		if (!taken[i])
			err = begin_call(c, i, taken);
	for (i = 0; i < CALLS; i++) {
		ended = end_call(c, &c->calls[i]);
		err = err ? err : ended;
	}
	free(taken);
	return err;
}

/* --- the comparison ------------------------------------------------------------------------ */

static bool same_fate(const struct comparison *c, const struct record *r, const struct fate *f)
{
	return f->accepted == r->passed && (!r->passed || !c->asks_marks || f->mark == r->mark);
}

static bool compare_fates(const struct comparison *c, struct text *why)
{
	unsigned int i, differ = 0;

	for (i = 0; i < c->rs->nr; i++) {
		const struct record *r = &c->rs->list[i];
		const struct fate *f = &c->fates[i];

		if (!f->run || same_fate(c, r, f) || differ++ >= SAID || !why)
			continue;
		text_add(why, "#   %s, replay %s", r->passed ? "accepted" : "dropped",
			 f->accepted ? "accepts" : "drops");
		if (r->passed && f->accepted)
			text_add(why, ", marks 0x%x and 0x%x", r->mark, f->mark);
		if (r->ev.note != RECORD_ANY)
			text_add(why, ", to conntrack %s", record_name(r->ev.note));
		text_add(why, ":\n");
		event_describe(c->evs, &r->ev, why);
	}
	if (differ && why)
		text_add(why, "# of %u packets replay says something else\n", differ);
	return !differ;
}

static bool compare_counters(const struct comparison *c, const struct table_image *image,
			     struct text *why)
{
	unsigned int entry, differ = 0;
	uint32_t at = 0;

	for (entry = 0; entry < c->nr_tallies; entry++) {
		const struct ipt_entry *e = (const void *)(image->entries + at);
		const struct tally *t = &c->tallies[entry];

		at += e->next_offset;
		if ((t->packets == e->counters.pcnt && t->bytes == e->counters.bcnt) ||
		    differ++ >= SAID || !why)
			continue;
		text_add(why,
			 "#   entry %u, %llu packets of %llu bytes, by replay %llu of %llu: %s\n",
			 entry, (unsigned long long)e->counters.pcnt,
			 (unsigned long long)e->counters.bcnt, (unsigned long long)t->packets,
			 (unsigned long long)t->bytes, t->text ? t->text : "head of a chain");
	}
	if (differ && why)
		text_add(why, "# the counters of %u entries are others by replay\n", differ);
	return !differ;
}

static int compare(struct comparison *c, const struct table_image *image, struct text *why)
{
	bool same;

	if (c->no_program) {
		c->r->no_program++;
		return 0;
	}
	c->r->sets++;
	c->r->uncounted += c->skipped;
	same = compare_fates(c, why);
	if (!c->skipped)
		same &= compare_counters(c, image, why);
	return !same;
}

int replay_differs(struct replay *r, const struct ruleset *rules, const struct events *evs,
		   const struct records *rs, const struct table_image *image, struct text *why)
{
	struct comparison c = {.r = r,
			       .evs = evs,
			       .rs = rs,
			       .asks_interfaces = have(rules, " -i ") || have(rules, " -o "),
			       .asks_marks = have(rules, " --mark ") || have(rules, " -j MARK "),
			       .nr_tallies = image->info.num_entries};
	unsigned int i;
	int ret;

	c.fates = must_alloc((rs->nr + 1) * sizeof(*c.fates));
	c.tallies = must_alloc(c.nr_tallies * sizeof(*c.tallies));
	ret = write_rules(&c, rules);
	if (!ret)
		ret = run_all(&c);
	if (!ret)
		ret = compare(&c, image, why);
	unlink(c.rules);
	for (i = 0; i < c.nr_tallies; i++)
		free(c.tallies[i].text);
	free(c.tallies);
	free(c.fates);
	return ret;
}
