/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The intermediate form: what a rule tests, over a packet key.
 *
 * A placement fills the key from the packet once, and only the fields that the
 * table looks at. A rule is a short list of conditional branches over the key, in
 * the order in which the kernel would look: a branch that is taken leaves the rule
 * (not matched), drops the packet (the kernel's hotdrop), or skips forward inside
 * it. Behind the branches may stand what the target does to the packet. What cannot be told from the key (limit, for one) is a condition that runs
 * at packet time, as a function of its own.
 *
 * The same form feeds every back end: straight-line code, records in a map, the
 * evaluation in user space that the tests use.
 */
#ifndef BPFILTER_IR_H
#define BPFILTER_IR_H

#include "bpfilter.h"

/*
 * Key fields. All are 32 bits. Numbers are in host byte order: a test on an
 * address compares ntohl() of it, so that ranges and prefixes mean what they say.
 * The four words of an interface name are as they lie in memory (char name[16]),
 * all zero where the hook has no such interface, NUL-padded as the kernel keeps it.
 */
enum bf_field {
	BF_SADDR,
	BF_DADDR,
	BF_PROTO,   /* iphdr.protocol */
	BF_FRAGOFF, /* fragment offset in units of 8 bytes, without flags */
	BF_L4LEN,   /* bytes behind the IP header: skb->len - ihl * 4, or 0 */
	BF_LEN,	    /* skb->len: IP header and payload */
	BF_MARK,    /* skb->mark */
	BF_HOOK,    /* NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT */

	/*
	 * The first bytes behind the IP header; 0 where the packet is too short for
	 * the number of bytes the kernel asks for (ports: 4, icmp: 8, tcp: 20).
	 * Never look at one before testing BF_L4LEN and BF_FRAGOFF as the kernel does.
	 */
	BF_SPORT,
	BF_DPORT,
	BF_ICMP,      /* type << 8 | code */
	BF_TCP_FLAGS, /* byte 13 of the TCP header: FIN is 1, CWR is 0x80 */

	BF_IIF,		     /* state->in->name, 4 words */
	BF_OIF = BF_IIF + 4, /* state->out->name, 4 words */

	/*
	 * Conntrack. BF_CT_STATE holds the bits of xt_conntrack's statebit:
	 * XT_CONNTRACK_STATE_BIT(ctinfo), or XT_CONNTRACK_STATE_INVALID or _UNTRACKED
	 * where the packet has no entry, plus XT_CONNTRACK_STATE_SNAT and _DNAT. All
	 * the others are 0 where there is no entry.
	 */
	BF_CT_STATE = BF_OIF + 4,
	BF_CT_STATUS,  /* nf_conn.status, the low 32 bits */
	BF_CT_DIR,     /* 0 original, 1 reply */
	BF_CT_PROTO,   /* nf_ct_protonum() */
	BF_CT_ORIGSRC, /* tuple(ORIGINAL).src.u3.ip and so on */
	BF_CT_ORIGDST,
	BF_CT_REPLSRC,
	BF_CT_REPLDST,
	BF_CT_ORIGSRC_PORT,
	BF_CT_ORIGDST_PORT,
	BF_CT_REPLSRC_PORT,
	BF_CT_REPLDST_PORT,
	BF_CT_EXPIRES, /* nf_ct_expires() / HZ, seconds */
	BF_NR_FIELDS,
};

#define BF_FIELD_BIT(f) (1ULL << (f))

/* In a set of fields: the frame's TCP options must be there. */
#define BF_TCP_OPTIONS (1ULL << 63)

/* Where a branch leads that is taken: a label of this rule (>= 0), or */
#define BF_TO_NEXT (-1) /* this rule does not match */
#define BF_TO_DROP (-2) /* the packet is dropped now, and no rule counts it */

enum bf_op_code {
	BF_OP_EQ,    /* (key[field] & a) == b */
	BF_OP_RANGE, /* a <= key[field] && key[field] <= b, unsigned */
	BF_OP_COND,  /* condition number a (in struct bf_conds) */
	BF_OP_MARK,  /* no test: skb->mark and key[field] = (key[field] & a) ^ b */
};

/**
 * struct bf_op - one conditional branch: "unless the test holds, go to @to"; or an effect
 * @invert: the test holds where it would not
 */
struct bf_op {
	uint8_t code;
	uint8_t field;
	bool invert;
	int32_t to;
	uint32_t a, b;
};

struct bf_cond_type; /* ext.h */

/* What one packet-time condition of one rule keeps. */
#define BF_COND_STATE 64

/**
 * struct bf_cond - a packet-time condition of one rule
 * @type: which code runs
 * @state: its parameters and initial state, in the form that the type defines;
 *	one array element of a map at run time, aligned to 8 bytes
 */
struct bf_cond {
	const struct bf_cond_type *type;
	uint8_t state[BF_COND_STATE] __attribute__((aligned(8)));
};

/**
 * struct bf_rule - a rule as branches over the key
 * @ops: in the order in which the kernel evaluates
 * @labels: op index that each label stands before; labels lead forward only
 * @conntrack: a rule of the table has a match that makes the kernel track connections
 *
 * Zeroed to start with. Grows as it is built; bf_rule_reset() makes it empty again and
 * keeps the memory, the conditions (their numbers are the table's), @conntrack and @error.
 * @error is set by the first operation that failed (-ENOMEM) and makes all later ones do
 * nothing, so that a builder checks once, at the end of the table.
 */
struct bf_rule {
	struct bf_op *ops;
	uint32_t nr_ops, max_ops;
	uint32_t *labels;
	uint32_t nr_labels, max_labels;
	struct bf_cond *conds; /* of the whole table, grows */
	uint32_t nr_conds, max_conds;
	bool conntrack;
	int error;
};

void bf_rule_reset(struct bf_rule *r);
void bf_rule_free(struct bf_rule *r);

/* A label to be placed later with bf_label_here(). */
int bf_label(struct bf_rule *r);
void bf_label_here(struct bf_rule *r, int label);

/*
 * Unless ((key[field] & mask) == value) != invert, go to @to. What holds for every key adds
 * nothing, so a rule's operations do not tell which matches it has.
 */
void bf_eq(struct bf_rule *r, enum bf_field field, uint32_t mask, uint32_t value, bool invert,
	   int to);

/*
 * Unless (lo <= key[field] && key[field] <= hi) != invert, go to @to. lo > hi is an empty
 * range. A range that is a prefix becomes BF_OP_EQ.
 */
void bf_range(struct bf_rule *r, enum bf_field field, uint32_t lo, uint32_t hi, bool invert,
	      int to);

/* Go to @to, whatever the key is: BF_OP_EQ with a mask of 0 and a value of 1. */
void bf_never(struct bf_rule *r, int to);

/*
 * Unless the condition holds (!= invert), go to @to. @state is copied, @len <=
 * BF_COND_STATE, the rest is zero. A condition can also drop the packet by itself.
 */
void bf_cond(struct bf_rule *r, const struct bf_cond_type *type, const void *state, size_t len,
	     bool invert, int to);

/* The packet's mark becomes (mark & @keep) ^ @flip. */
void bf_set_mark(struct bf_rule *r, uint32_t keep, uint32_t flip);

enum bf_match_result { BF_NO_MATCH, BF_MATCH, BF_HOTDROP };

/**
 * bf_rule_eval - what a rule says of a key, in user space
 * @key: BF_NR_FIELDS words
 * @cond: decides a condition: 0, 1, or BF_HOTDROP; may be NULL if there are none
 *
 * The meaning of the intermediate form, for tests and for explaining; the back
 * ends are compared with it. Effects are left out.
 */
enum bf_match_result bf_rule_eval(const struct bf_rule *r, const uint32_t *key,
				  int (*cond)(void *arg, const struct bf_cond *cond), void *arg);

const char *bf_field_name(enum bf_field field);

#endif /* BPFILTER_IR_H */
