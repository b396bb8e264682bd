// SPDX-License-Identifier: GPL-2.0
/* Targets that are no verdicts. */
#include <string.h>

#include "clauses.h"
#include "kmsg.h"
#include "topology.h"

static const char *draw_mask(struct clauses *c)
{
	static const char *const masks[] = {"0xff",   "0x5",	    "0xf",	  "0x0",
					    "0xff00", "0xffffffff", "0xffff0000", "0x80000001"};

	return RNG_PICK(c->r, masks);
}

/* --ctmask and --nfmask, one, or --mask. */
static void add_connmark_masks(struct clauses *c, struct text *t)
{
	unsigned int draw = rng_below(c->r, 5);

	if (draw == 1)
		text_add(t, " --mask %s", draw_mask(c));
	if (draw == 2 || draw == 4)
		text_add(t, " --ctmask %s", draw_mask(c));
	if (draw == 3 || draw == 4)
		text_add(t, " --nfmask %s", draw_mask(c));
}

static void add_connmark_target(struct clauses *c, struct text *t)
{
	static const char *const ways[] = {"set-mark", "set-xmark", "and-mark",	   "or-mark",
					   "xor-mark", "save-mark", "restore-mark"};
	static const char *const values[] = {"0x0", "0x1", "0x5", "0x4", "0xff", "0xdeadbeef"};
	unsigned int way = rng_below(c->r, 9) % 7;
	bool shifts = way < 2 || way > 4;

	text_add(t, " -j CONNMARK --%s", ways[way]);
	if (way < 5)
		text_add(t, " %s", RNG_PICK(c->r, values));
	else
		add_connmark_masks(c, t);
	if (way < 2 && rng_chance(c->r, 50))
		text_add(t, "/%s", draw_mask(c));
	if (shifts && rng_chance(c->r, 25))
		text_add(t, " --%s-shift-mark %u", rng_chance(c->r, 50) ? "left" : "right",
			 rng_chance(c->r, 70) ? rng_below(c->r, 5) : rng_below(c->r, 32));
}

void clauses_add_mark(struct clauses *c, struct text *t)
{
	static const char *const ways[] = {"set-mark", "set-xmark", "set-mark",
					   "and-mark", "or-mark",   "xor-mark"};
	static const uint32_t values[] = {0,	  1,	   0xff,       0x100,
					  0x8000, 0x10000, 0x80000000, 0xffffffff};
	unsigned int way = rng_below(c->r, 6);

	if (c->connection_marks && rng_chance(c->r, 50)) {
		add_connmark_target(c, t);
		return;
	}
	text_add(t, " -j MARK --%s 0x%x", ways[way], RNG_PICK(c->r, values));
	if (way < 3 && rng_chance(c->r, 50))
		text_add(t, "/0x%x", RNG_PICK(c->r, values));
}

static void add_reject(struct clauses *c, struct text *t, size_t rule)
{
	static const char *const with[] = {
		"icmp-net-unreachable",	  "icmp-host-unreachable", "icmp-port-unreachable",
		"icmp-proto-unreachable", "icmp-net-prohibited",   "icmp-host-prohibited",
		"icmp-admin-prohibited",
	};
	const char *conditions = t->s + rule, *tcp = strstr(conditions, "-p tcp");
	bool reset = tcp && (tcp < conditions + 2 || tcp[-2] != '!') && tcp[6] <= ' ';

	text_add(t, " -j REJECT");
	if (reset ? rng_chance(c->r, 70) : !c->sound && rng_chance(c->r, 2))
		text_add(t, " --reject-with tcp-reset");
	else if (rng_chance(c->r, 70))
		text_add(t, " --reject-with %s", RNG_PICK(c->r, with));
}

static void add_nflog(struct clauses *c, struct text *t)
{
	text_add(t, " -j NFLOG --nflog-group %u", TOPOLOGY_NFLOG_GROUP);
	if (rng_chance(c->r, 60))
		text_add(t, " --nflog-prefix \"p%u \"", rng_below(c->r, 4));
	if (rng_chance(c->r, 20))
		text_add(t, " --nflog-size %u", rng_between(c->r, 20, 80));
	if (rng_chance(c->r, 20))
		text_add(t, " --nflog-threshold %u", rng_between(c->r, 1, 3));
}

static void add_log(struct clauses *c, struct text *t)
{
	static const char *const options[] = {"tcp-sequence", "tcp-options", "ip-options", "uid",
					      "macdecode"};
	unsigned int i;

	text_add(t, " -m limit --limit 1/hour --limit-burst %u -j LOG --log-prefix \"%s%u \"",
		 rng_between(c->r, 1, 6), KMSG_TAG, rng_below(c->r, 6));
	if (rng_chance(c->r, 50))
		text_add(t, " --log-level %u", rng_between(c->r, 4, 7));
	for (i = 0; i < 5; i++)
		if (rng_chance(c->r, 35))
			text_add(t, " --log-%s", options[i]);
}

static void add_tcpmss(struct clauses *c, struct text *t, unsigned int hooks)
{
	static const char *const flags[] = {"SYN,RST SYN", "SYN SYN", "SYN,ACK SYN",
					    "FIN,SYN,RST,ACK SYN,ACK"};

	text_add(t, " -m tcp --tcp-flags %s -j TCPMSS", RNG_PICK(c->r, flags));
	/* In INPUT the kernel refuses it. */
	if (hooks & FROM_INPUT ? !c->sound && rng_chance(c->r, 1) : rng_chance(c->r, 50))
		text_add(t, " --clamp-mss-to-pmtu");
	else
		text_add(t, " --set-mss %u", rng_chance(c->r, 50) ? 536 : rng_below(c->r, 2000));
}

static void add_synproxy(struct clauses *c, struct text *t)
{
	static const char *const options[] = {"--sack-perm", "--ecn", "--wscale 7"};
	unsigned int i;

	if (rng_chance(c->r, 50))
		text_add(t, " -m tcp --dport %u:%u", rng_below(c->r, 100),
			 rng_between(c->r, 100, 9999));
	text_add(t, " -j SYNPROXY");
	for (i = 0; i < 3; i++)
		if (rng_chance(c->r, 40))
			text_add(t, " %s", options[i]);
	if (rng_chance(c->r, 60))
		text_add(t, " --mss %u", rng_between(c->r, 500, 1460));
}

bool clauses_add_taker(struct clauses *c, struct text *t, size_t rule, unsigned int hooks)
{
	bool syns = rng_chance(c->r, 60);

	if (strstr(t->s + rule, " -p ") || strstr(t->s + rule, " -f"))
		return false;
	/* Where it is not for, the kernel refuses it. */
	if (!syns && hooks & FROM_OUTPUT && (c->sound || !rng_chance(c->r, 1)))
		return false;
	text_add(t, " -p tcp");
	if (syns)
		add_tcpmss(c, t, hooks);
	else
		add_synproxy(c, t);
	return true;
}

void clauses_add_effect(struct clauses *c, struct text *t, size_t rule)
{
	unsigned int draw = rng_below(c->r, 100);

	if (draw < 50)
		add_reject(c, t, rule);
	else if (draw < 75)
		add_nflog(c, t);
	else
		add_log(c, t);
}
