// SPDX-License-Identifier: GPL-2.0
/* What a replay says, to people and to programs (docs/replay-json.md). */
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "replay.h"

static const char *fate_name(const struct bf_replay_side *s)
{
	return bf_ruleset_verdict(&s->rules, s->fate.decided, s->fate.verdict);
}

static struct bf_entry_name who(const struct bf_replay_side *s)
{
	struct bf_entry_name name = {"no rule: too short for a header that one looks at"};

	return s->fate.decided == UINT32_MAX ? name : bf_ruleset_entry(&s->rules, s->fate.decided);
}

static uint64_t nr_counted(const struct bf_fate *fate)
{
	return fate->nr < BF_TRACE_MAX ? fate->nr : BF_TRACE_MAX;
}

/* --- for people ---------------------------------------------------------------------------- */

/* All rules that counted it: "INPUT 2, web 1, web end, INPUT policy". */
static void put_way(FILE *f, const struct bf_replay_side *s)
{
	uint64_t n = nr_counted(&s->fate), i;

	for (i = 0; i < n; i++) {
		uint32_t entry = s->fate.counted[i];
		uint32_t chain = entry < s->rules.nr_entries ? s->rules.chain_of[entry]
							     : UINT32_MAX;
		const struct bf_chain *c = &s->rules.chains[chain];

		fputs(i ? ", " : "", f);
		if (chain == UINT32_MAX)
			fprintf(f, "entry %u", entry);
		else if (entry - c->first < c->nr)
			fprintf(f, "%s %u", c->name, entry - c->first + 1);
		else
			fprintf(f, "%s %s", c->name, c->hook < 0 ? "end" : "policy");
	}
	if (s->fate.nr > n)
		fprintf(f, " (and %llu before)", (unsigned long long)(s->fate.nr - n));
}

static void text_packet(FILE *f, const struct bf_replay *r, const struct bf_captured *captured,
			const struct bf_packet *p)
{
	const struct bf_replay_side *s = r->sides;

	fprintf(f, "%llu\t%s\t", (unsigned long long)captured->number, bf_packet_text(p).text);
	if (r->nr_sides == 2) {
		fprintf(f, "%s by %s; against: %s by %s\n", fate_name(&s[0]), who(&s[0]).text,
			fate_name(&s[1]), who(&s[1]).text);
		return;
	}
	fprintf(f, "%s by %s", fate_name(s), who(s).text);
	if (s->fate.nr) {
		fputs("; counted by ", f);
		put_way(f, s);
	}
	if (s->fate.mark != p->what.mark)
		fprintf(f, "; mark 0x%x", s->fate.mark);
	fputc('\n', f);
}

static void text_side(FILE *f, const struct bf_replay_side *s)
{
	uint32_t c, i;

	fprintf(f, "\n# %s: %llu accepted, %llu dropped\n#  packets      bytes  rule\n",
		s->rules.name, (unsigned long long)s->accepted, (unsigned long long)s->dropped);
	for (c = 0; c < s->rules.nr_chains; c++) {
		const struct bf_chain *chain = &s->rules.chains[c];

		for (i = chain->first; i <= chain->first + chain->nr; i++)
			fprintf(f, "%10llu %10llu  %s: %s\n",
				(unsigned long long)s->counters[i].pcnt,
				(unsigned long long)s->counters[i].bcnt,
				bf_ruleset_entry(&s->rules, i).text, bf_ruleset_text(&s->rules, i));
	}
}

static void put_skipped(FILE *f, uint64_t n, const char *what)
{
	if (n)
		fprintf(f, "# %llu packets were not run: %s\n", (unsigned long long)n, what);
}

static void text_end(FILE *f, const struct bf_replay *r)
{
	unsigned int i;

	for (i = 0; i < r->nr_sides; i++)
		text_side(f, &r->sides[i]);
	fprintf(f, "\n# %llu packets\n", (unsigned long long)r->packets);
	put_skipped(f, r->other, "not IPv4");
	put_skipped(f, r->malformed, "malformed, IPv4 drops them before any rule");
	put_skipped(f, r->cut, "cut off within their headers by the capture");
	if (r->nr_sides == 2)
		fprintf(f, "# %llu of them have another fate\n", (unsigned long long)r->differ);
}

/* --- for programs -------------------------------------------------------------------------- */

static void json_fate(struct bf_json *j, const char *name, const struct bf_replay_side *s)
{
	uint64_t n = nr_counted(&s->fate), i;

	bf_json_open(j, name, '{');
	bf_json_text(j, "verdict", s->fate.verdict == NF_ACCEPT ? "ACCEPT" : "DROP");
	bf_json_number(j, "decided", s->fate.decided == UINT32_MAX ? -1 : (int64_t)s->fate.decided);
	bf_json_number(j, "mark", s->fate.mark);
	bf_json_open(j, "counted", '[');
	for (i = 0; i < n; i++)
		bf_json_number(j, NULL, s->fate.counted[i]);
	bf_json_close(j, ']');
	bf_json_close(j, '}');
}

static void json_packet(FILE *f, const struct bf_replay *r, const struct bf_captured *captured,
			const struct bf_packet *p)
{
	struct bf_json j = {.f = f};

	bf_json_line(&j, NULL, '{');
	bf_json_number(&j, "packet", captured->number);
	bf_json_real(&j, "time", captured->time.tv_sec + captured->time.tv_usec / 1e6);
	bf_json_text(&j, "text", bf_packet_text(p).text);
	json_fate(&j, "fate", &r->sides[0]);
	if (r->nr_sides == 2)
		json_fate(&j, "against", &r->sides[1]);
	bf_json_close(&j, '}');
}

static void json_side(struct bf_json *j, const struct bf_replay_side *s)
{
	uint32_t c, i;

	bf_json_open(j, NULL, '{');
	bf_json_text(j, "rules", s->rules.name);
	bf_json_number(j, "accepted", s->accepted);
	bf_json_number(j, "dropped", s->dropped);
	bf_json_open(j, "entries", '[');
	for (c = 0; c < s->rules.nr_chains; c++) {
		const struct bf_chain *chain = &s->rules.chains[c];

		for (i = chain->first; i <= chain->first + chain->nr; i++) {
			bf_json_open(j, NULL, '{');
			bf_json_number(j, "entry", i);
			bf_json_text(j, "chain", chain->name);
			bf_json_text(j, "text", bf_ruleset_text(&s->rules, i));
			bf_json_number(j, "packets", s->counters[i].pcnt);
			bf_json_number(j, "bytes", s->counters[i].bcnt);
			bf_json_close(j, '}');
		}
	}
	bf_json_close(j, ']');
	bf_json_close(j, '}');
}

static void json_end(FILE *f, const struct bf_replay *r)
{
	struct bf_json j = {.f = f};
	unsigned int i;

	bf_json_line(&j, NULL, '{');
	bf_json_number(&j, "version", 1);
	bf_json_number(&j, "packets", r->packets);
	bf_json_number(&j, "not_ipv4", r->other);
	bf_json_number(&j, "malformed", r->malformed);
	bf_json_number(&j, "cut_off", r->cut);
	bf_json_number(&j, "differ", r->differ);
	bf_json_open(&j, "sides", '[');
	for (i = 0; i < r->nr_sides; i++)
		json_side(&j, &r->sides[i]);
	bf_json_close(&j, ']');
	bf_json_close(&j, '}');
}

void bf_replay_packet(FILE *f, const struct bf_replay *r, const struct bf_replay_show *show,
		      const struct bf_captured *captured, const struct bf_packet *p)
{
	/* Of two sides only what differs is worth a line. */
	if (show->summary || (r->nr_sides == 2 && !bf_replay_differs(r)))
		return;
	if (show->json)
		json_packet(f, r, captured, p);
	else
		text_packet(f, r, captured, p);
}

void bf_replay_end(FILE *f, const struct bf_replay *r, const struct bf_replay_show *show)
{
	if (show->json)
		json_end(f, r);
	else
		text_end(f, r);
}
