/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One rule of a random table (ruleset.h), and what it looks at.
 */
#ifndef RULE_H
#define RULE_H

#include "dice.h"

#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>

#include "uapi/bpfilter.h"

enum rule_action {
	RULE_ACCEPT,
	RULE_DROP,
	RULE_RETURN,
	RULE_NEXT, /* no target */
	RULE_MARK,
	RULE_JUMP,
	RULE_GOTO,
};

/* Which match a rule has; at most one of each. */
enum rule_match {
	RULE_TCP = 1 << 0,
	RULE_UDP = 1 << 1,
	RULE_ICMP = 1 << 2,
	RULE_MULTIPORT = 1 << 3,
	RULE_MATCH_MARK = 1 << 4,
	RULE_CONNTRACK = 1 << 5,
	RULE_LIMIT = 1 << 6,
	RULE_ADDRTYPE = 1 << 7,
};

/**
 * struct rule - one rule
 * @matches: RULE_*
 * @limit_first: the limit stands before the other matches, not behind them
 * @chain, @at: where JUMP and GOTO lead: the @at-th rule of a chain, or its end
 * @gone: left out; what leads here leads to the next one
 */
struct rule {
	struct ipt_ip ip;
	unsigned int matches;
	struct xt_tcp tcp;
	struct xt_udp udp;
	struct ipt_icmp icmp;
	struct xt_multiport_v1 multiport;
	struct xt_mark_mtinfo1 mark;
	struct xt_conntrack_mtinfo3 conntrack;
	struct xt_rateinfo limit;
	bool limit_first;
	struct xt_addrtype_info_v1 addrtype;
	enum rule_action action;
	uint32_t chain, at;
	struct xt_mark_tginfo2 set;
	bool gone;
};

/**
 * struct values - what the rules of a table have in common, so that they overlap
 * @limits: rules with a limit
 */
struct values {
	uint32_t networks[6];
	uint16_t ports[12];
	uint32_t limits;
};

/* What the rules of a chain look at. */
enum style {
	STYLE_ACL,
	STYLE_BLOCK,
	STYLE_EXACT,
	STYLE_PORTS,
	STYLE_DISPATCH,
	STYLE_FLAGS,
	STYLE_NESTED,
	STYLE_STATE,
	STYLE_MARKS,
	STYLE_SPREAD,
	STYLE_NEAR,
	STYLE_MIXED,
	STYLE_MANY,
};

/**
 * struct kind - what the rules of a chain have in common
 * @final, @invert, @repeat, @other: how many of 100 end the walk, are inverted, copy an earlier one,
 *	look at something besides
 * @jumps: how many more may jump
 * @level: none does, so that the chain can be a forest of decision trees
 */
struct kind {
	enum style style;
	unsigned int final, invert, repeat, other;
	unsigned int jumps;
	bool level;
};

/* Names of interfaces, of which rules have some, in part or in whole, and packets too. */
extern const char *const rule_interfaces[];
extern const unsigned int rule_nr_interfaces;

/* More rules than that have no limit: the test keeps count of each. */
#define RULE_LIMITS 16

void values_make(struct dice *d, struct values *v);

/* The conditions of the rule that is number @n of @of in its chain; it is zeroed. */
void rule_make(struct dice *d, struct values *v, const struct kind *k, struct rule *r, uint32_t n,
	       uint32_t of);

/* A condition on an interface. */
void rule_add_interface(struct dice *d, char *name, unsigned char *mask);

/*
 * How many bits of a packet a rule decides on, about: what decides on few leaves nothing to those
 * behind it.
 */
unsigned int rule_narrowness(const struct rule *r);

#endif /* RULE_H */
