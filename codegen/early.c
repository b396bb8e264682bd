// SPDX-License-Identifier: GPL-2.0
/* What INPUT and FORWARD are certain to drop. See early.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "early.h"
#include "key_packet.h"
#include "plain.h"
#include "tracked.h"

/* What is known of a packet in the driver, if it is for INPUT or FORWARD. */
#define KNOWN                                                                                      \
	(BF_PLAIN_FIELDS | BF_FIELD_BIT(BF_HOOK) | BF_FIELD_BIT(BF_FRAGOFF) |                      \
	 BF_NAME_FIELDS(BF_IIF) | BF_NAME_FIELDS(BF_OIF))

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04

static void load(struct bf_asm *a, int reg, enum bf_field field)
{
	bf_ldx(a, BPF_W, reg, BPF_REG_6, BF_KEY(field));
}

const char *bf_early_text(enum bf_early_why why)
{
	static const char *const texts[BF_NR_EARLY] = {
		[BF_EARLY_ELSEWHERE] = "the interface is in another network namespace",
		[BF_EARLY_PORT] =
			"other interfaces take packets off it (a bridge, a bond, a macvlan, ...)",
		[BF_EARLY_TC] = "it has filters at tc ingress",
		[BF_EARLY_NFT_INGRESS] = "nf_tables has a chain at its ingress",
		[BF_EARLY_VRF] = "it is in a VRF",
		[BF_EARLY_VLAN] =
			"it takes VLAN tags off the frames (not with \"ethtool -K NAME rxvlan off "
			"rx-vlan-stag-hw-parse off\")",
		[BF_EARLY_GRO] = "it merges datagrams (rx-gro-list, rx-udp-gro-forwarding)",
		[BF_EARLY_TABLE] =
			"another table of ip_tables has rules in front of the filter table",
		[BF_EARLY_CONNTRACK] =
			"conntrack does with packets what is not known (or nothing, and the table looks at it)",
		[BF_EARLY_EXPECTED] =
			"connections are expected that belong to others (ftp, sip, ...)",
		[BF_EARLY_FULL] = "conntrack has as many connections as it may (nf_conntrack_max)",
		[BF_EARLY_HOOK] =
			"something else is at netfilter's hooks in front of the filter table",
		[BF_EARLY_ROUTING] =
			"there is policy routing, or there are realms, or local routes of one's own",
		[BF_EARLY_ADDRESSES] = "it is not known how this kernel finds an address",
		[BF_EARLY_IPSEC] = "there are policies of IPsec for what is forwarded",
	};

	return texts[why];
}

/* --- the rules --------------------------------------------------------------------------------- */

static bool is_unknown(const struct bf_op *op)
{
	return op->code == BF_OP_EQ && !op->a && op->b && !op->invert && op->to == BF_TO_DROP;
}

static bool is_known(const struct bf_op *op, uint64_t known)
{
	uint64_t field = BF_FIELD_BIT(op->field);

	if ((op->code != BF_OP_EQ && op->code != BF_OP_RANGE) || !(field & known))
		return false;
	return !(field & BF_CT_FIELDS) || bf_tracked_op_known(op);
}

/*
 * What is known of a packet with these rules. Where they look at conntrack, what goes up may change what conntrack says of
 * the next one of the same connection, which the driver may see before that has happened. It is judged rightly all the
 * same, since what the rules may look at is the same for both, and so both are dropped: not with its length.
 */
static uint64_t known_fields(const struct bf_rules *rules, const struct bf_kernel *kernel)
{
	uint32_t i;

	if (!bf_tracked_known(kernel))
		return KNOWN;
	for (i = 0; i < rules->nr_ops; i++)
		if (is_known(&rules->ops[i], BF_NEW_FIELDS))
			return (KNOWN | BF_NEW_FIELDS) & ~BF_FIELD_BIT(BF_LEN);
	return KNOWN;
}

/*
 * Whatever a driver cannot tell becomes a test that never holds and that lets the packet up: that is what becomes of
 * BF_TO_DROP here, since what a match drops by itself is not counted.
 */
static void forget_unknown(struct bf_rules *rules, const struct bf_kernel *kernel)
{
	const struct bf_op never = {.code = BF_OP_EQ, .field = BF_HOOK, .b = 1, .to = BF_TO_DROP};
	uint64_t known = known_fields(rules, kernel);
	uint32_t i;

	rules->fields = KNOWN & ~(BF_NAME_FIELDS(BF_IIF) | BF_NAME_FIELDS(BF_OIF));
	for (i = 0; i < rules->nr_ops; i++) {
		struct bf_op *op = &rules->ops[i];

		if (!is_known(op, known))
			*op = never;
		rules->fields |= BF_FIELD_BIT(op->field);
	}
	/* All of them: CT_STATE and what is stored beside it. */
	if (rules->fields & BF_CT_FIELDS)
		rules->fields |= BF_FIELD_BIT(BF_CT_MARK);
	bf_questions_free(&rules->scratch.questions);
	rules->scratch.questions = (struct bf_questions){};
	rules->nr_types = 0;
	rules->want = 0;
	rules->changed = 0;
	rules->has_effects = false;
	rules->attach = BF_ATTACH_XDP;
}

/**
 * struct search - for a rule that drops
 * @todo, @nr: entries to go on with
 * @seen: by entry
 */
struct search {
	const struct bf_rules *rules;
	uint32_t *todo, nr;
	bool *seen;
};

static void visit(struct search *s, uint32_t entry)
{
	if (s->seen[entry])
		return;
	s->seen[entry] = true;
	s->todo[s->nr++] = entry;
}

/* Can a packet that comes to this entry be dropped by it? What may follow is visited. */
static bool look_at(struct search *s, uint32_t entry)
{
	const struct bf_code *code = &s->rules->codes[entry];
	const struct bf_op *ops = s->rules->ops + code->first_op;
	bool matches = true;
	uint32_t i;

	/* Behind a rule that nothing is known of, there is none that is come to. */
	if (code->nr_ops && is_unknown(&ops[0]))
		return false;
	for (i = 0; i < code->nr_ops; i++)
		matches &= !is_unknown(&ops[i]);
	if (matches && code->action == BF_ACT_DROP)
		return true;
	if (matches && (code->action == BF_ACT_JUMP || code->action == BF_ACT_GOTO))
		visit(s, code->target);
	if (!bf_ends_chain(code))
		visit(s, entry + 1);
	return false;
}

/* Does the chain of that hook drop anything that can be told? 1, 0 or -ENOMEM. */
static int has_drops(const struct bf_rules *rules, unsigned int hook)
{
	uint32_t n = rules->table->num_entries;
	struct search s = {.rules = rules,
			   .todo = calloc(n, sizeof(*s.todo)),
			   .seen = calloc(n, sizeof(*s.seen))};
	int has = -ENOMEM;

	if (s.todo && s.seen) {
		has = 0;
		visit(&s, rules->hook_entry[hook]);
		visit(&s, rules->underflow[hook]);
		while (s.nr && !has)
			has = look_at(&s, s.todo[--s.nr]);
	}
	free(s.todo);
	free(s.seen);
	return has;
}

/* p->early_hooks. 0, -ENOMEM or -EOPNOTSUPP. */
static int find_drops(const struct bf_rules *rules, const struct bf_kernel *kernel,
		      struct bf_program *p, struct bf_why *why)
{
	int in = has_drops(rules, NF_INET_LOCAL_IN);
	int forward = kernel->has_forward ? has_drops(rules, NF_INET_FORWARD) : 0;

	if (in < 0 || forward < 0)
		return -ENOMEM;
	p->early_hooks = in << NF_INET_LOCAL_IN | forward << NF_INET_FORWARD;
	return p->early_hooks
		       ? 0
		       : bf_why(why, -EOPNOTSUPP,
				"INPUT drops nothing before it looks at what a driver cannot tell, nor does FORWARD");
}

/* --- the packet -------------------------------------------------------------------------------- */

/* To @up unless the frame, r7, is for the address of the interface, whose struct net_device is r8. Clobbers r0 to r5, r9. */
static void emit_ours(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;

	bf_raw(a, BPF_REG_8, a->kernel->dev_addr);
	bf_raw_ldx(a, BPF_DW, BPF_REG_9, 0);
	bf_raw(a, BPF_REG_9, 0);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	bf_raw_ldx(a, BPF_H, BPF_REG_2, 4);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_7, 0);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_3, k->pass);
	bf_ldx(a, BPF_H, BPF_REG_3, BPF_REG_7, 4);
	bf_jif(a, BPF_JNE, BPF_REG_2, BPF_REG_3, k->pass);
}

/* To @up with addresses of which the routing decides by their kind: 0/8, 127/8, 224/4 and more. */
static void emit_plain_addresses(struct bf_asm *a, int up)
{
	static const enum bf_field fields[] = {BF_SADDR, BF_DADDR};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		load(a, BPF_REG_1, fields[i]);
		bf_alui(a, BPF_RSH, BPF_REG_1, 24);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, up);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 127, up);
		bf_jifi(a, BPF_JGE, BPF_REG_1, 224, up);
	}
}

/*
 * To @up with TCP's data, unless it begins or aborts a connection: before anything else is done with it, since it may be most of
 * what comes. r7 is the frame, r3 its end.
 *
 *	if (ip->protocol == IPPROTO_TCP && !(tcp->syn || tcp->rst) && ntohs(ip->tot_len) != 20 + tcp->doff * 4)
 *		goto up;
 *
 * Where the IP header has options, that may be any bytes; it goes up as well.
 */
static void emit_no_data(const struct bf_plain *p)
{
	const int tcp_at = ETH_HLEN + BF_PLAIN_IP;
	struct bf_asm *a = p->a;
	int done = bf_asm_label(a);

	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_7, BF_PLAIN_IP_AT(protocol));
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_TCP, done);
	bf_mov(a, BPF_REG_2, BPF_REG_7);
	bf_alui(a, BPF_ADD, BPF_REG_2, tcp_at + 20);
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_3, p->up);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_7, tcp_at + 13);
	bf_jifi(a, BPF_JSET, BPF_REG_1, TCP_SYN | TCP_RST, done);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_7, tcp_at + 12);
	bf_alui(a, BPF_RSH, BPF_REG_1, 4);
	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	bf_alui(a, BPF_ADD, BPF_REG_1, BF_PLAIN_IP);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_7, BF_PLAIN_IP_AT(tot_len));
	bf_be(a, BPF_REG_2, 16);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, p->up);
	bf_asm_here(a, done);
}

/*
 * To @up with what GRO may make one of many, so that INPUT counts it otherwise, and with protocols of which it is not
 * known. Of TCP, what begins or aborts a connection, and what has no data, is never merged: that alone is left. Datagrams are for
 * those who have asked for it: path.c.
 */
static void emit_not_merged(const struct bf_plain *p)
{
	struct bf_asm *a = p->a;
	int done = bf_asm_label(a);

	load(a, BPF_REG_1, BF_PROTO);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_UDP, done);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_ICMP, done);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_TCP, p->up);
	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JLT, BPF_REG_1, 20, p->up);
	bf_asm_here(a, done);
}

/* r0 = this CPU's struct bf_early_counts. To @none if there is none, which cannot be. Clobbers r1 to r5. */
static void find_counts(struct bf_asm *a, int none)
{
	bf_helper(a, BPF_FUNC_get_smp_processor_id);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_0);
	bf_map(a, BPF_REG_1, BF_MAP_EARLY);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
}

/*
 * What is accepted is searched for twice: here, and where the table is. So while nothing is to be dropped, few packets are: the
 * others go up at once, which is right for any of them. A flood is met by the first of its packets that is searched for.
 *
 *	if (counts->rest) {
 *		counts->rest--;
 *		goto up;
 *	}
 *
 * r8 is the context. Clobbers r0 to r5; r3 is the frame's end again.
 */
static void emit_sample(struct bf_asm *a, int up)
{
	int searched = bf_asm_label(a);

	find_counts(a, up);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_0, offsetof(struct bf_early_counts, rest));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, searched);
	bf_alui(a, BPF_SUB, BPF_REG_1, 1);
	bf_stx(a, BPF_W, BPF_REG_0, offsetof(struct bf_early_counts, rest), BPF_REG_1);
	bf_jmp(a, up);
	bf_asm_here(a, searched);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_8, offsetof(struct xdp_md, data_end));
}

void bf_emit_early_hook(struct bf_asm *a, uint32_t hook)
{
	load(a, BPF_REG_1, BF_LEN);
	load(a, BPF_REG_2, BF_LEN);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_XOR, BPF_REG_1, hook);
	bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(BF_HOOK), BPF_REG_1);
}

/* That nothing is noted yet, without the verifier knowing: r9 is 0. */
static void emit_rest(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;

	bf_stx(a, BPF_B, BPF_REG_6, BF_FRAME_NOTED, BPF_REG_9);
	bf_stx(a, BPF_B, BPF_REG_6, BF_FRAME_SURE, BPF_REG_9);
	bf_helper(a, BPF_FUNC_get_smp_processor_id);
	bf_alui(a, BPF_MUL, BPF_REG_0, k->p->stride);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_COUNTERS, BPF_REG_0);
}

void bf_emit_key_early(struct bf_asm *a, const struct bf_program *p, int readable, int up)
{
	const struct bf_plain plain = {.a = a, .up = up, .whole = true, .pieces = true};
	struct bf_packet_key k = {.a = a, .p = p, .pass = up, .drop = up, .bad = up};
	int off, end = bf_key_bytes(p->fields);

	bf_mov(a, BPF_REG_6, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_6, BF_FRAME_BASE);
	bf_mov(a, BPF_REG_8, BPF_REG_1);
	bf_plain_begin(&plain);
	emit_no_data(&plain);
	emit_sample(a, up);
	for (off = 0; off < (readable > end ? readable : end); off += 8)
		bf_sti(a, BPF_DW, BPF_REG_6, off, 0);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_SKB, BPF_REG_8);
	bf_plain_header(&plain);
	bf_plain_addresses(&plain);
	emit_plain_addresses(a, up);
	bf_plain_l4(&plain);
	emit_not_merged(&plain);
	if (p->fields & BF_CT_FIELDS)
		bf_emit_may_be_new(a, up);
	bf_mov(a, BPF_REG_9, BPF_REG_7);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
	bf_emit_own_name(&k, BF_IIF);
	bf_emit_dev(&k);
	bf_mov(a, BPF_REG_8, BPF_REG_1);
	bf_mov(a, BPF_REG_7, BPF_REG_9);
	emit_ours(&k);
	bf_emit_chain(a, p, up);
	if (p->fields & BF_CT_FIELDS) {
		bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
		bf_emit_new_key(a, p, up);
	}
	load(a, BPF_REG_9, BF_LEN);
	load(a, BPF_REG_1, BF_LEN);
	bf_alu(a, BPF_XOR, BPF_REG_9, BPF_REG_1);
	emit_rest(&k);
}

/* --- the end ----------------------------------------------------------------------------------- */

/* The entries that are noted count the packet. */
static void emit_counts(struct bf_asm *a)
{
	int done = bf_asm_label(a), i;

	a->early = false;
	for (i = 0; i < BF_EARLY_NOTES; i++) {
		bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_NOTED);
		bf_jifi(a, BPF_JLE, BPF_REG_1, i, done);
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_NOTES + 4 * i);
		bf_emit_count(a);
	}
	bf_asm_here(a, done);
	a->early = true;
}

void bf_emit_early_count(struct bf_asm *a)
{
	int none = bf_asm_label(a);

	find_counts(a, none);
	bf_stx(a, BPF_DW, BPF_REG_0, offsetof(struct bf_early_counts, last), BPF_REG_7);
	bf_alui(a, BPF_LSH, BPF_REG_7, 3);
	bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_0);
	bf_movi(a, BPF_REG_1, 1);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_7, offsetof(struct bf_early_counts, packets),
		  BPF_REG_1);
	bf_asm_here(a, none);
}

/*
 *	if (counts->row < BF_EARLY_ROW)
 *		counts->row++;
 *	else
 *		counts->rest = BF_EARLY_REST;
 */
void bf_emit_early_in_vain(struct bf_asm *a)
{
	int rest = bf_asm_label(a), done = bf_asm_label(a);

	find_counts(a, done);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_0, offsetof(struct bf_early_counts, row));
	bf_jifi(a, BPF_JGE, BPF_REG_1, BF_EARLY_ROW, rest);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1);
	bf_stx(a, BPF_W, BPF_REG_0, offsetof(struct bf_early_counts, row), BPF_REG_1);
	bf_jmp(a, done);
	bf_asm_here(a, rest);
	bf_sti(a, BPF_W, BPF_REG_0, offsetof(struct bf_early_counts, rest), BF_EARLY_REST);
	bf_asm_here(a, done);
}

/* counts->packets[BF_EARLY_NONE]++, and row = rest = 0: others like it may follow. */
static void emit_dropped(struct bf_asm *a)
{
	int none = bf_asm_label(a);

	find_counts(a, none);
	bf_sti(a, BPF_DW, BPF_REG_0, offsetof(struct bf_early_counts, last), BF_EARLY_NONE);
	bf_sti(a, BPF_W, BPF_REG_0, offsetof(struct bf_early_counts, row), 0);
	bf_sti(a, BPF_W, BPF_REG_0, offsetof(struct bf_early_counts, rest), 0);
	bf_movi(a, BPF_REG_1, 1);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_0,
		  offsetof(struct bf_early_counts, packets[BF_EARLY_NONE]), BPF_REG_1);
	bf_asm_here(a, none);
}

void bf_emit_early_drop(struct bf_asm *a, const struct bf_program *p, int in_vain, int up)
{
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_SURE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, in_vain);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_NOTED);
	bf_jifi(a, BPF_JGT, BPF_REG_1, BF_EARLY_NOTES, in_vain);
	bf_emit_path(a, p, up);
	emit_counts(a);
	emit_dropped(a);
	bf_emit_plain_verdict(a, NF_DROP);
}

/* --- all of it --------------------------------------------------------------------------------- */

static int compile(struct bf_rules *rules, const struct bf_kernel *kernel, struct bf_program *p,
		   struct bf_why *why)
{
	int err;

	forget_unknown(rules, kernel);
	err = find_drops(rules, kernel, p, why);
	if (err)
		return err;
	p->attach = BF_ATTACH_XDP;
	p->decides = true;
	p->frags = true;
	p->fields = rules->fields;
	p->stride = p->early->stride;
	if (bf_tracked_known(kernel))
		p->btf_id = kernel->ct_btf_id;
	p->maps[BF_MAP_EARLY] = (struct bf_map_def){.name = "bf_early",
						    .value_size = sizeof(struct bf_early_counts),
						    .max_entries = kernel->cpus};
	if (p->fields & BF_CT_FIELDS)
		p->maps[BF_MAP_FLOWS] =
			(struct bf_map_def){.name = "bf_flows",
					    .value_size = sizeof(struct bf_early_flow),
					    .max_entries = 1 << BF_EARLY_FLOW_BITS};
	err = bf_rules_measure(rules, NULL);
	return err ?: bf_emit_auto_form(rules, kernel, NULL, p);
}

int bf_compile_early(const struct bf_table *table, const struct bf_kernel *kernel,
		     const struct bf_early *early, struct bf_program **program, struct bf_why *why)
{
	struct bf_program *p;
	struct bf_rules rules;
	int err;

	*program = NULL;
	if (!kernel->has_path || !kernel->has_dev || !kernel->has_fib)
		return bf_why(
			why, -EOPNOTSUPP,
			"the kernel does not tell what there is in front of the filter table");
	err = bf_rules_make(&rules, table, BF_ATTACH_LINK, kernel, why);
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (p) {
		p->early = early;
		err = compile(&rules, kernel, p, why);
	} else {
		err = -ENOMEM;
	}
	bf_rules_free(&rules);
	if (err)
		bf_program_free(p);
	else
		*program = p;
	return err;
}
