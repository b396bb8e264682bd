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
#include "effect.h"
#include "kernel.h"
#include "question.h"

/*
 * Key fields. All are 32 bits. Numbers are in host byte order: a test on an
 * address compares ntohl() of it, so that ranges and prefixes mean what they say.
 * The four words of an interface name are as they lie in memory (char name[16]),
 * all zero where the hook has no such interface. Behind the NUL may be the rest of a longer name that
 * the interface had before.
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
	 * the others are 0 where there is no entry. At the ingress of interfaces it may hold more
	 * than one state: all that the packet may turn out to have (key_ct.c).
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
	BF_CT_MARK,    /* nf_conn.mark */

	/* What few tables look at. */
	BF_HEADER, /* iphdr.ttl << 24 | iphdr.tos << 16 | skb->pkt_type */
	BF_TOTLEN, /* skb_ip_totlen(): iphdr.tot_len, or skb->len of a big TCP packet */
	/*
	 * The Ethernet header's source, 4 bytes and, shifted by 16, the other two. The second word
	 * is BF_MAC_VALID where there is such a header, and both are 0 where there is none.
	 */
	BF_MAC,
	BF_SPI = BF_MAC + 2, /* bytes 4 to 7 behind the IP header; as BF_ICMP */
	BF_OWNER,	     /* BF_OWNER_* of the socket that sends the packet */
	BF_UID,		     /* f_cred->fsuid and fsgid of the socket's file, 0 if it has none */
	BF_GID,
	BF_CPU, /* smp_processor_id() */
	BF_NR_FIELDS,
};

#define BF_MAC_VALID	0x1
#define BF_OWNER_SOCKET 0x1 /* a full socket of this namespace that is not orphaned */
#define BF_OWNER_FILE	0x2 /* and it has a file */

#define BF_FIELD_BIT(f) (1ULL << (f))

/* The names of both interfaces. */
#define BF_INTERFACE_FIELDS (BF_FIELD_BIT(BF_CT_STATE) - BF_FIELD_BIT(BF_IIF))
/* All of conntrack. */
#define BF_CT_FIELDS	    (BF_FIELD_BIT(BF_CT_MARK + 1) - BF_FIELD_BIT(BF_CT_STATE))
#define BF_OWNER_FIELDS	    (BF_FIELD_BIT(BF_OWNER) | BF_FIELD_BIT(BF_UID) | BF_FIELD_BIT(BF_GID))
#define BF_MAC_FIELDS	    (BF_FIELD_BIT(BF_MAC) | BF_FIELD_BIT(BF_MAC + 1))

/* In a set of fields: the frame's TCP options must be there. */
#define BF_TCP_OPTIONS	  (1ULL << 63)
/*
 * In a set of fields: what is behind the IP header, TCP options included, must be there of later
 * fragments as well, of which some matches take the data for a header.
 */
#define BF_FRAGMENTS	  (1ULL << 62)
/* In a set of fields: conditions read the sk_buff itself, whose address is in the frame. */
#define BF_PACKET_ADDRESS (1ULL << 61)

_Static_assert(BF_NR_FIELDS <= 61, "fields and what else a set of them says");

/* Where a branch leads that is taken: a label of this rule (>= 0), or */
#define BF_TO_NEXT (-1) /* this rule does not match */
#define BF_TO_DROP (-2) /* the packet is dropped now, and no rule counts it */

enum bf_op_code {
	BF_OP_EQ,     /* (key[field] & a) == b */
	BF_OP_RANGE,  /* a <= key[field] && key[field] <= b, unsigned */
	BF_OP_COND,   /* condition number a (in struct bf_conds) */
	BF_OP_MARK,   /* no test: key[field], BF_MARK or BF_CT_MARK, becomes (key[field] & a) ^ b */
	BF_OP_MIX,    /* no test: key[field] ^= key[the other of the two] & a, shifted by b */
	BF_OP_SHIFT,  /* no test: key[field] is shifted by b */
	BF_OP_COUNT,  /* no test: the rule, entry a, counts the packet, and must not hold then */
	BF_OP_GROW,   /* no test: the packet has another length since it was asked about */
	BF_OP_EFFECT, /* no test: the packet has the effect with id a (effect.h) */
};

/* A mark is shifted by bits to the left, from -31 to 31; what a bf_op has for that. */
static inline uint32_t bf_shift(uint32_t mark, int bits)
{
	return bits < 0 ? mark >> -bits : mark << bits;
}

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

/* Is it no test, but changes a mark, in the key and perhaps of the packet? */
static inline bool bf_op_marks(const struct bf_op *op)
{
	return op->code == BF_OP_MARK || op->code == BF_OP_MIX || op->code == BF_OP_SHIFT;
}

/* Is it no test, but changes what rules see in the key? */
static inline bool bf_op_changes(const struct bf_op *op)
{
	return bf_op_marks(op) || op->code == BF_OP_GROW;
}

/* Or does it always lead on to the next one? */
static inline bool bf_op_is_test(const struct bf_op *op)
{
	return op->code == BF_OP_EQ || op->code == BF_OP_RANGE || op->code == BF_OP_COND;
}

/* Where such an op has its other mark from. */
static inline enum bf_field bf_op_source(const struct bf_op *op)
{
	return op->field == BF_MARK ? BF_CT_MARK : BF_MARK;
}

/* What it makes of a key. */
void bf_op_apply(const struct bf_op *op, uint32_t *key);

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

/* What a rule does with a packet of which it cannot be told whether it holds. */
enum bf_care {
	BF_CARE_NONE, /* there is no such packet */
	BF_CARE_MISS, /* the rule does not hold: it would accept */
	BF_CARE_HOLD, /* it holds: it drops */
	BF_CARE_DROP, /* the packet is dropped: where the rule leads to is another's business */
};

/**
 * struct bf_rule - a rule as branches over the key
 * @ops: in the order in which the kernel evaluates
 * @labels: op index that each label stands before; labels lead forward only
 * @care, @kernel: set by who compiles the rule; kept by bf_rule_reset(). Of the latter, which may be NULL, only what
 *	is tried counts, and BF_FRAGMENTS_UNKNOWN stands for BF_FRAGMENTS_READ
 * @untried: bits, 1 << enum bf_trial: a rule of the table stands on one that is unknown
 * @effects: of the whole table
 * @asks: the table has questions, and so whatever counts packets or looks at the time is one
 * @questions: of the whole table
 * @late_marks: the packet gets its mark behind the program, in its turn among the effects: behind netfilter links, where a
 *	program cannot write into packets, and in tables that change the marks of connections
 * @users: a rule of the table names users or groups
 * @conntrack: a rule of the table has a match that makes the kernel track connections
 * @fields: what rules of the table need beyond the fields of their ops: BF_FRAGMENTS
 *
 * Zeroed to start with. Grows as it is built; bf_rule_reset() makes it empty again and
 * keeps the memory, the conditions (their numbers are the table's), @effects, @asks, @late_marks, @questions, @users, @conntrack, @fields, @untried and @error.
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
	enum bf_care care;
	const struct bf_kernel *kernel;
	uint32_t untried;
	struct bf_effects effects;
	bool asks;
	bool late_marks;
	struct bf_questions questions;
	bool users;
	bool conntrack;
	uint64_t fields;
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

/* A mark, BF_MARK or BF_CT_MARK, becomes (mark & @keep) ^ @flip. */
void bf_set_mark(struct bf_rule *r, enum bf_field field, uint32_t keep, uint32_t flip);

/* It becomes mark ^ (the other one & @mask), that shifted by @bits. */
void bf_mix_mark(struct bf_rule *r, enum bf_field field, uint32_t mask, int bits);

/* It is shifted. */
void bf_shift_mark(struct bf_rule *r, enum bf_field field, int bits);

/*
 * Unless the kernel's match, asked about the packet, matches, go to @to. All of @question is copied. @r->error is -ENOSPC
 * where the table has BF_QUESTIONS_MAX already.
 */
void bf_ask(struct bf_rule *r, const struct bf_question *question, int to);

/*
 * The rule's target is put to the kernel, in its turn, which may take the packet; otherwise it goes on with the next rule, with
 * another length perhaps if it @grows. Nothing may be appended to the rule then.
 */
void bf_ask_target(struct bf_rule *r, const struct bf_question *question, bool grows);

/*
 * The packet has this effect. Its id is set. @r->error is -EEXIST where two effects of a table have
 * the same.
 */
void bf_effect(struct bf_rule *r, struct bf_effect *effect);

enum bf_match_result { BF_NO_MATCH, BF_MATCH, BF_HOTDROP };

/* What the function of a condition returns that asks question k is BF_ASK + k (question.h). */
#define BF_ASK 3

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
