/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The extensions: each match is one file (match_NAME.c), and each target (target_NAME.c),
 * that exports its records, and the arrays in registry.c are the only list of them. A record
 * says how the extension is checked, what it means in the intermediate form, and how it is
 * described.
 */
#ifndef BPFILTER_EXT_H
#define BPFILTER_EXT_H

#include <linux/netfilter_ipv4/ip_tables.h>

#include "bpfilter.h"
#include "ir.h"
#include "kernel.h"

/**
 * struct bf_match - one revision of one match
 * @name: as in xt_entry_match.u.user.name
 * @revision: of the structure behind it
 * @size: bytes of the structure; XT_ALIGN(size) must equal what the rule brings
 * @usersize: how much of it user space gets back; 0 means all
 * @conntrack: its presence makes the kernel track connections in the namespace, even
 *	where the rule turns out not to look at them
 * @asks: it is a question to the kernel (question.h)
 * @asks_if: with such options it is one; NULL: @asks says it
 * @asks_instead: it is one where bf_kernel.asks_instead says so
 * @hooks: the kernel has it in these alone, a bit for each; 0: in all of table filter
 * @tries: bits, 1 << enum bf_trial: kernels differ in what it does, with some options at least
 * @proto: if not 0, the rule must be for this protocol, without inversion
 * @options: what it covers, in a few words, for the support table; the revisions of
 *	a match need it only once
 * @check: as the kernel's checkentry; NULL if that accepts everything. Returns 0,
 *	-errno, or BF_NOT_TRANSLATABLE for something that the kernel might accept
 *	and we cannot express, with a @why that begins with the name
 * @place: can programs at interfaces (BF_ATTACH_TC, BF_ATTACH_XDP) tell? 0, or -EOPNOTSUPP with
 *	@why. NULL: yes, and what @compile appends is exact there, too
 * @compile: append the match to @r; NULL if it always matches. Called only after
 *	@check accepted the same bytes. May not fail but through @r->error
 */
struct bf_match {
	const char *name;
	uint8_t revision;
	uint16_t size;
	uint16_t usersize;
	uint8_t proto;
	bool conntrack;
	bool asks;
	bool (*asks_if)(const void *info);
	bool asks_instead;
	uint32_t hooks;
	uint32_t tries;
	const char *options;
	int (*check)(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
		     struct bf_why *why);
	int (*place)(const void *info, enum bf_attach attach, struct bf_why *why);
	void (*compile)(struct bf_rule *r, const struct ipt_entry *e, const void *info);
};

/* Why one is refused: "match @name is not available in the @attach placement: @reason" */
int bf_not_placed(struct bf_why *why, const char *name, enum bf_attach attach, const char *reason);

/* NULL if there is none. @name need not be terminated within XT_EXTENSION_MAXNAMELEN. */
const struct bf_match *bf_match_find(const char *name, uint8_t revision);

/* Its @hooks and its @check: 0, or as @check. */
int bf_match_check(const struct bf_match *match, const struct ipt_entry *e, const void *info,
		   unsigned int hook_mask, struct bf_why *why);

/* The registry in its order, for the support table; NULL at the end. */
const struct bf_match *bf_match_at(unsigned int i);

/**
 * struct bf_target - one revision of one target; verdicts, jumps and ERROR are none of these
 * @name: as in xt_entry_target.u.user.name
 * @revision: of the structure behind it
 * @size, @usersize, @options: as in struct bf_match
 * @filter_only: the kernel knows it in table filter alone
 * @drops: the packet is dropped then; else it goes on with the next rule
 * @conntrack, @asks: as in struct bf_match
 * @hooks: likewise; a rule that is reached from another one is refused by the kernel
 * @hooks_of: those of a rule, by its data; NULL: @hooks
 * @proto: likewise
 * @connection_marks: it changes the mark of a connection, or takes it for the packet's
 * @check: likewise; NULL if everything is accepted
 * @compile: append what it does to @r, behind the branches. Called only after @check accepted the same bytes. May not fail but through @r->error
 */
struct bf_target {
	const char *name;
	uint8_t revision;
	uint16_t size;
	uint16_t usersize;
	bool filter_only;
	bool drops;
	bool conntrack;
	bool asks;
	uint8_t proto;
	uint32_t hooks;
	uint32_t (*hooks_of)(const void *info);
	bool connection_marks;
	const char *options;
	int (*check)(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
		     struct bf_why *why);
	void (*compile)(struct bf_rule *r, const struct ipt_entry *e, const void *info);
};

/* As bf_match_find() and bf_match_at(). */
const struct bf_target *bf_target_find(const char *name, uint8_t revision);
const struct bf_target *bf_target_at(unsigned int i);

/*
 * Append struct ipt_ip of a checked entry, or all of the rule but its target: struct ipt_ip and
 * every match in order. All matches must be in the registry and accepted by their checks.
 */
void bf_compile_ip(struct bf_rule *r, const struct ipt_entry *e);
/* Do all matches of a checked entry have their place at such hooks? 0 or -EOPNOTSUPP. */
int bf_place_rule(const struct ipt_entry *e, enum bf_attach attach, struct bf_why *why);
void bf_compile_rule(struct bf_rule *r, const struct ipt_entry *e);

/* Append the target of a checked entry, if it is an extension: NULL if it is a verdict or such. */
const struct bf_target *bf_compile_target(struct bf_rule *r, const struct ipt_entry *e);

struct bf_asm;

/**
 * struct bf_cond_type - the code of a packet-time condition
 * @name: for people
 * @init: complete the state before it first goes into a map: @state is BF_COND_STATE bytes
 *	aligned to 8, @hz the kernel's ticks per second, @jiffies the value that bpf_jiffies64()
 *	has now. NULL if there is nothing to do
 * @emit: emit the body of a BPF function. On entry r1 is the address of this rule's
 *	state (BF_COND_STATE bytes of a map value), r2 the address of the frame, of which it
 *	may read what is below BF_FRAME_SHARED (asm.h); neither is NULL. r1 to r5 are free after
 *	use, r6 to r9 are the function's own. It ends with r0 = 0 (no), 1 (yes) or BF_HOTDROP,
 *	and BPF_EXIT. At most 64 bytes of stack, with those of functions that it calls
 * @want: what the module must tell of each packet, BPFILTER_WANT_*, for a condition with this
 *	state; NULL: nothing beyond the fields
 * @fields: key fields that it reads
 * @lacks: what the kernel lacks to run it at its hooks, or NULL; the member NULL: nothing
 * @fib: for netfilter links it reads the kernel's routing tables: a kernel of which
 *	bf_kernel.has_fib is not known cannot run it
 */
struct bf_cond_type {
	const char *name;
	void (*init)(void *state, unsigned int hz, uint64_t jiffies);
	void (*emit)(struct bf_asm *a);
	uint32_t (*want)(const void *state);
	const char *(*lacks)(const struct bf_kernel *kernel, enum bf_attach attach);
	uint64_t fields;
	bool fib;
};

#endif /* BPFILTER_EXT_H */
