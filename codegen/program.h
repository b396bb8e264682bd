/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the compiler makes of a table: one program for all hooks, and its maps.
 *
 * Nothing here touches the kernel; loading is done elsewhere.
 */
#ifndef BPFILTER_PROGRAM_H
#define BPFILTER_PROGRAM_H

#include <linux/bpf.h>

#include "bpfilter.h"
#include "effect.h"
#include "kernel.h"
#include "listing.h"
#include "question.h"
#include "table.h"
#include "uapi/bpfilter.h"

/* Maps of a table's program; in its instructions they stand as these numbers. */
enum bf_program_map {
	BF_MAP_COUNTERS, /* struct xt_counters [cpus][stride], {pcnt, bcnt} */
	BF_MAP_CONDS,	 /* state of packet-time conditions, BF_COND_STATE bytes each */
	BF_MAP_RECORDS, /* form "records" only, as what follows: struct bf_record, in one element */
	BF_MAP_WORDS,	/* uint64_t, in one element */
	BF_MAP_OPS,	/* struct bf_op_record */
	BF_MAP_STACKS,	/* return stacks, for tables that nest deeper than the frame's */
	/*
	 * Programs at interfaces only: the namespace's interfaces. Unlike the others it is not the
	 * table's own: a BPF_MAP_TYPE_HASH from the interface's index, uint32_t, to struct bf_dev,
	 * which whoever loads the program has and keeps up to date.
	 */
	BF_MAP_DEVS,
	BF_MAP_ROUTES, /* programs at interfaces only: struct bf_routes, in one element */
	BF_MAP_TRACE,  /* struct bf_trace, in one element; only where it is asked for */
	BF_MAP_EARLY,  /* the early-drop stage only: struct bf_early_counts, by CPU */
	BF_MAP_FLOWS,  /* likewise: struct bf_early_flow, by a hash of it */
	BF_NR_MAPS,

	/* Not the table's own: those of the namespace, for tables with effects (effect.h). */
	BF_MAP_NOTES = BF_NR_MAPS, /* hash of struct bf_effect_note by the packet's address */
	BF_MAP_EFFECT_STATE,	   /* struct bf_effect_state, in one element */
	BF_MAP_QUESTIONS,	   /* likewise: hash of struct bf_question_note (question.h) */
	BF_MAP_QUESTION_STATE,	   /* struct bf_question_state */
	BF_MAP_REPLIES,		   /* struct bf_replies, in one element; for REJECT at interfaces */
	BF_NR_ALL_MAPS,
};

/* Why the early-drop stage has let a packet go up that the rules drop: what is, or may be, in front of the table. */
enum bf_early_why {
	BF_EARLY_NONE, /* nothing: it was dropped */
	BF_EARLY_ELSEWHERE,
	BF_EARLY_PORT,
	BF_EARLY_TC,
	BF_EARLY_NFT_INGRESS,
	BF_EARLY_VRF,
	BF_EARLY_VLAN,
	BF_EARLY_GRO,
	BF_EARLY_TABLE,
	BF_EARLY_CONNTRACK,
	BF_EARLY_EXPECTED,
	BF_EARLY_FULL,
	BF_EARLY_HOOK,
	BF_EARLY_ROUTING,
	BF_EARLY_ADDRESSES,
	BF_EARLY_IPSEC,
	BF_NR_EARLY,
};

/**
 * struct bf_early_counts - what it has done, on one CPU
 * @packets: by enum bf_early_why
 * @last: what was so for the last packet that the rules drop
 * @row: packets that were searched for, one after the other, without any being dropped; BF_EARLY_ROW at most
 * @rest: so many packets go up without being searched for
 *
 * Two elements never share a line of the cache.
 */
struct bf_early_counts {
	uint64_t packets[BF_NR_EARLY];
	uint64_t last;
	uint32_t row, rest;
	uint64_t apart[8];
};

/* With so many packets in a row that nothing drops, one of BF_EARLY_REST + 1 is searched for. */
#define BF_EARLY_ROW  16
#define BF_EARLY_REST 15

/**
 * struct bf_early_flow - of datagrams that conntrack has an entry for
 * @ports: source << 16 | destination
 * @credit: so many more of them go up without being asked about
 */
struct bf_early_flow {
	uint32_t saddr, daddr, ports, credit;
};

#define BF_EARLY_FLOW_BITS 12

#define BF_TRACE_MAX (1U << 16)

/**
 * struct bf_trace - the entries that a packet was counted by, in that order
 * @nr: how many, since whoever reads it has made it 0
 * @entries: their numbers; of more than BF_TRACE_MAX the last
 */
struct bf_trace {
	uint64_t nr;
	uint32_t entries[BF_TRACE_MAX];
};

/*
 * Programs for BF_ATTACH_TC: which end of the interface a packet is at. Their context, a struct
 * __sk_buff, has it in cb[0]; any other value drops.
 *
 * They return TC_ACT_UNSPEC, so that other programs run as well, or TC_ACT_SHOT; those for
 * BF_ATTACH_XDP return XDP_PASS or XDP_DROP. Both find INPUT and FORWARD at the ingress, the former
 * finds OUTPUT at the egress, where it must not be called for packets that the machine forwards. Of
 * one table the maps of both are the same, contents included, so that they can share them.
 */
#define BF_TC_INGRESS 1
#define BF_TC_EGRESS  2

/**
 * struct bf_dev - an interface, as programs at interfaces know it
 * @name: padded with zeroes
 * @mac: the address of an Ethernet interface, else zeroes
 * @flags: BF_DEV_*
 *
 * A packet that comes in or goes out by an interface that is not in the map is dropped if the table
 * looks at the name; XDP drops all that come in by such a one.
 */
struct bf_dev {
	char name[16];
	uint8_t mac[6];
	uint16_t flags;
};

/*
 * Other interfaces take frames off this one: it has a macvlan, ipvlan, or is a port of a bridge, a
 * bond, a team. Frames for other addresses than its own are theirs, and XDP lets them pass; without
 * the flag it drops them, as the stack would.
 */
#define BF_DEV_SHARED 0x1

#define BF_MAX_DEVS 4096

#define BF_ROUTE_BITS 16

/**
 * struct bf_routes - what the FIB has said, for programs at interfaces (key_route.c)
 * @net: the address of the namespace of which it has, 0: nothing yet
 * @entries: by address; 0: nothing
 */
struct bf_routes {
	uint64_t net;
	uint64_t entries[1 << BF_ROUTE_BITS];
};

#define BF_REPLY_BITS 10

/* A bucket of REJECT at interfaces: nanoseconds. */
struct bf_reply_limit {
	uint64_t last;
	uint64_t tokens;
};

/**
 * struct bf_replies - what programs at interfaces remember of their replies
 * @lost: that were not sent
 * @all, @hosts: limits of ICMP errors: all together, and by who gets them
 */
struct bf_replies {
	uint64_t lost;
	struct bf_reply_limit all;
	struct bf_reply_limit hosts[1 << BF_REPLY_BITS];
};

/**
 * struct bf_map_def - a map to be created
 * @value_size: a multiple of 8 if there is more than one entry, as the kernel pads each
 * @max_entries: 0 if the program does not use this map
 * @data: initial content of the first @data_size bytes, or NULL; what follows is zero; owned
 *
 * A map of one entry may also be used directly (BPF_PSEUDO_MAP_VALUE).
 */
struct bf_map_def {
	const char *name;
	uint32_t value_size;
	uint32_t max_entries;
	void *data;
	size_t data_size;
};

struct bf_trees;

enum bf_form {
	BF_FORM_AUTO,
	BF_FORM_STRAIGHT, /* every rule is code; user chains are inlined */
	BF_FORM_RECORDS,  /* rules are data, which one small program searches; any size */
};

const char *bf_form_name(enum bf_form form);

const char *bf_attach_name(enum bf_attach attach);

/**
 * struct bf_program - a compiled table
 * @functions: where each BPF function but the first begins
 * @globals: bit i is set if functions[i] is a global function (asm.h says of what type)
 * @stride: counters of one CPU; at least the number of entries of the table
 * @fields: key fields that the program fills
 * @wants_conntrack: it looks at conntrack, which must be active
 * @effects: those of the table
 * @questions: likewise
 * @behind: it is one for the match "bpf" behind netfilter links, not for those themselves
 * @early: it is the early-drop stage's (early.h)
 * @early_hooks: then: bits of NF_INET_LOCAL_IN and NF_INET_FORWARD: those whose rules drop what a driver can tell
 * @frags: for XDP: it takes frames of several pieces, of which it sees the first one
 * @asks: it ends with a question where it has no answer (question.h)
 * @decides: it counts, has effects, and gives the verdict
 * @asking: with questions, the table's other program: at netfilter links the one behind them, at the module's hooks
 *	the one that asks. Its maps are the same, contents included; only those of the form are described. Owned, or NULL
 * @forests: form "records": it can search more than one tree of a chain
 * @trees: form "records": those in its data, from which the next ones can be made; owned, or NULL
 * @want: BPFILTER_WANT_*: what the module must tell it of each packet; else 0
 * @btf_id: of the BTF object whose functions it calls, to be number 1 in the fd_array; 0: none
 * @ifindex: the network card that is to run it, by its interface; 0: the machine
 */
struct bf_program {
	struct bpf_insn *insns;
	uint32_t nr_insns;
	uint32_t functions[32];
	uint32_t nr_functions;
	uint32_t globals;
	struct bf_map_def maps[BF_NR_MAPS];
	enum bf_form form;
	enum bf_attach attach;
	uint32_t want;
	uint32_t btf_id;
	uint32_t ifindex;
	uint32_t stride;
	uint64_t fields;
	bool wants_conntrack;
	bool forests;
	struct bf_trees *trees;
	struct bf_effects effects;
	struct bf_questions questions;
	const struct bf_early *early;
	uint32_t early_hooks;
	bool frags;
	bool behind;
	bool asks, decides;
	struct bf_program *asking;
};

/**
 * bf_compile - translate a table
 * @attach: which hooks it is for
 * @form: BF_FORM_AUTO, or which one (the tests ask for each)
 * @jiffies: the kernel's jiffies now, for state that starts with the table
 * @program: receives the result, to be freed with bf_program_free()
 * @why: says what cannot be translated
 *
 * Returns 0, -ENOMEM, -EOPNOTSUPP (something in the table has no translation for these hooks, or
 * the kernel does not have them; other hooks or the kernel have to run it), or -E2BIG if @form
 * cannot hold the table.
 */
int bf_compile(const struct bf_table *table, const struct bf_kernel *kernel, enum bf_attach attach,
	       enum bf_form form, uint64_t jiffies, struct bf_program **program,
	       struct bf_why *why);

/**
 * bf_compile_offload - compile what of INPUT can be run by the processor of a network card
 * @dev: the interface: the program is good for that name and address alone
 * @together: the counters are one element instead of an element for each entry
 *
 * An XDP program with one map, BF_MAP_COUNTERS: struct xt_counters by entry, for all that run it. It drops packets
 * that are INPUT's, where the table's program for XDP does and with the same counters, and returns XDP_PASS,
 * having counted nothing, for all others, which that program is then to judge. So it is for an interface that does
 * not forward: whatever else is dropped there belongs to another chain.
 *
 * 0, -ENOMEM, -EOPNOTSUPP (it would drop nothing) or -E2BIG, with the reason.
 */
int bf_compile_offload(const struct bf_table *table, const struct bf_kernel *kernel,
		       const struct bf_dev *dev, bool together, struct bf_program **program,
		       struct bf_why *why);

/**
 * struct bf_limits - what the decision trees of the record form may cost, and what it shall be like
 * @tree_bytes: in maps, for each chain, beyond a record for each rule; 0: no trees
 * @tree_work: of building, for each chain, in units of a few nanoseconds
 * @like: a program to which the new one shall be equal but for what its maps hold, where that is
 *	possible: its maps are large enough, and not far too large. Or NULL
 * @trees: bf_program.trees of a table that is much like the new one; or NULL
 * @trace: for test runs, of a program for the module's hooks: it also notes which rules count (BF_MAP_TRACE),
 *	and takes the packet to begin with the header of Ethernet, as test runs have it. It has no effects
 * @listing: what became of the table is to be told there. Or NULL
 *
 * Whatever they cut short, the table decides the same; it is slower.
 */
struct bf_limits {
	uint64_t tree_bytes, tree_work;
	const struct bf_program *like;
	const struct bf_trees *trees;
	struct bf_listing *listing;
	bool trace;
};

#define BF_LIMITS_NONE                                                                             \
	{                                                                                          \
		.tree_bytes = UINT64_MAX, .tree_work = UINT64_MAX                                  \
	}

/* As bf_compile(), within limits where they are tighter than its own. */
int bf_compile_limited(const struct bf_table *table, const struct bf_kernel *kernel,
		       enum bf_attach attach, enum bf_form form, uint64_t jiffies,
		       const struct bf_limits *limits, struct bf_program **program,
		       struct bf_why *why);

void bf_program_free(struct bf_program *program);

#endif /* BPFILTER_PROGRAM_H */
