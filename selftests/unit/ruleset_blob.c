// SPDX-License-Identifier: GPL-2.0
/* A ruleset as the kernel gets it. */
#include "ruleset.h"

#include <stdio.h>
#include <stdlib.h>

static void add_limit(const struct rule *r, struct blob *b)
{
	if (r->matches & RULE_LIMIT)
		blob_match(b, "limit", 0, &r->limit, sizeof(r->limit));
}

static void add_matches(const struct rule *r, struct blob *b)
{
	if (r->limit_first)
		add_limit(r, b);
	if (r->matches & RULE_TCP)
		blob_match(b, "tcp", 0, &r->tcp, sizeof(r->tcp));
	if (r->matches & RULE_UDP)
		blob_match(b, "udp", 0, &r->udp, sizeof(r->udp));
	if (r->matches & RULE_ICMP)
		blob_match(b, "icmp", 0, &r->icmp, sizeof(r->icmp));
	if (r->matches & RULE_MULTIPORT)
		blob_match(b, "multiport", 1, &r->multiport, sizeof(r->multiport));
	if (r->matches & RULE_MATCH_MARK)
		blob_match(b, "mark", 1, &r->mark, sizeof(r->mark));
	if (r->matches & RULE_CONNTRACK)
		blob_match(b, "conntrack", 3, &r->conntrack, sizeof(r->conntrack));
	if (r->matches & RULE_ADDRTYPE)
		blob_match(b, "addrtype", 1, &r->addrtype, sizeof(r->addrtype));
	if (!r->limit_first)
		add_limit(r, b);
}

/* Jumps get their verdict when all offsets are known. Returns the rule's. */
static uint32_t add_rule(const struct rule *r, struct blob *b)
{
	static const int verdicts[] = {
		[RULE_ACCEPT] = BLOB_ACCEPT, [RULE_DROP] = BLOB_DROP, [RULE_RETURN] = BLOB_RETURN,
		[RULE_NEXT] = BLOB_NEXT,     [RULE_JUMP] = BLOB_NEXT, [RULE_GOTO] = BLOB_NEXT,
	};
	struct ipt_ip *ip = blob_begin(b);

	*ip = r->ip;
	if (r->action == RULE_GOTO)
		ip->flags |= IPT_F_GOTO;
	add_matches(r, b);
	if (r->action == RULE_MARK)
		return blob_end_target(b, "MARK", 2, &r->set, sizeof(r->set));
	return blob_end(b, verdicts[r->action]);
}

/* @offsets: of all rules; of those that are gone, of what comes next instead */
static void add_rules(const struct ruleset *s, const struct chain *c, struct blob *b,
		      uint32_t *offsets)
{
	uint32_t i;

	for (i = c->first; i < c->first + c->nr; i++)
		offsets[i] = s->rules[i].gone ? blob_here(b) : add_rule(&s->rules[i], b);
}

void ruleset_blob(const struct ruleset *s, struct blob *b)
{
	static const unsigned int hooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};
	uint32_t *offsets = calloc(s->nr_rules + 1, sizeof(*offsets)), ends[RULESET_CHAINS], i;

	if (!offsets)
		abort();
	for (i = 0; i < s->nr_chains; i++) {
		const struct chain *c = &s->chains[i];
		char name[16];

		snprintf(name, sizeof(name), "chain%u", i);
		if (i < 3)
			blob_hook(b, hooks[i]);
		else
			blob_chain(b, name);
		add_rules(s, c, b, offsets);
		ends[i] = i < 3 ? blob_policy(b, hooks[i], c->end) : blob_rule(b, c->end);
	}
	blob_finish(b);
	for (i = 0; i < s->nr_rules; i++) {
		const struct rule *r = &s->rules[i];
		const struct chain *to = &s->chains[r->chain];

		if (!r->gone && (r->action == RULE_JUMP || r->action == RULE_GOTO))
			blob_set_verdict(b, offsets[i],
					 r->at < to->nr ? offsets[to->first + r->at]
							: ends[r->chain]);
	}
	free(offsets);
}
