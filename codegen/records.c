// SPDX-License-Identifier: GPL-2.0
/*
 * Record form: the rules are data, and one small program finds its way through them, whatever their
 * number.
 *
 * It does so in steps, until a verdict is found. Where a step begins is a program counter
 * (record.h). One at a node walks some nodes down a decision tree, to a run of records, or ends
 * there. One at a record compares the packet with that and the next ones, until one holds or the
 * step ends (search.c). What a record that holds says is then done, which is a verdict, or where the
 * next step begins. What a record cannot hold is in op programs (ops.c); where chains lead to and
 * return to is in returns.c.
 *
 * Steps are taken in the main program, in a loop by may_goto where the kernel has that and no chain
 * is a forest, else the first one alone. What then is left is for the step function, which bpf_loop() calls: the same
 * steps, with fewer records each. Tables that need a stack from a map have the step function alone.
 *
 * A chain whose rules would have to be in too many leaves of one tree is a forest: up to four
 * trees, each over rules of its own. The frame then has the first record that holds in each of
 * them, its head. The one of the first rule acts; if that does not end the packet's way, the search
 * goes on behind it in its tree, and so on (heads.c).
 *
 * Odd packets (lift.h) look at one record a step, in the table's order, and at what each needs.
 *
 * Registers of a step:
 *
 *	r6	the frame's address
 *	r7	the program counter, then the number of a record
 *	r8	address of a record; then what it says is to be done (bf_record.act)
 *	r9	number of the word with the place that a rule leads to
 *	r3	both addresses of the packet, while records are compared
 *	r5	predicates that the packet does not have, likewise
 *
 * The verifier would follow each way through here by itself if it knew what makes them different.
 * So numbers come from memory that it knows nothing of, and addresses in maps are made again from
 * such numbers where ways meet.
 */
#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>

#include "early.h"
#include "records.h"
#include "tree.h"

#define MAX_CALLS (1U << 23) /* BPF_MAX_LOOPS */

/* In the frame, while a packet of a wide table has no verdict. Ends like NF_DROP if it never has one. */
#define UNDECIDED 2
_Static_assert(!(UNDECIDED & NF_ACCEPT), "a packet without a verdict would be accepted");

/* Steps to search the trees of a chain, the records aside: some nodes down each, and its head. */
#define STEPS_PER_CHAIN                                                                            \
	(BF_FOREST_TREES * ((BF_TREE_DEPTH + BF_STEP_NODES - 1) / BF_STEP_NODES + 1))

#define KEY(field) (BF_FRAME_KEY + 4 * (field))

/*
 * Record r7 holds and r8 is its act: r7 becomes the record behind, r9 the number of its entry's
 * word, and r->act is next. Or its op program is, and r7 is where that begins.
 */
static void emit_take(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_asm_note(a, BF_PART_TAKE, 0, 0);
	bf_alu32i(a, BPF_ADD, BPF_REG_7, 1);
	bf_mov(a, BPF_REG_9, BPF_REG_8);
	bf_alu32i(a, BPF_AND, BPF_REG_9, BF_ACT_INDEX);
	bf_alui(a, BPF_ADD, BPF_REG_9, r->layout->entry_words);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_RSH, BPF_REG_1, BF_ACT_SHIFT);
	bf_jifi(a, BPF_JLT, BPF_REG_1, BF_DO_OPS, r->act);
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_DO_OPS, r->drop);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_RESUME, BPF_REG_7);
	bf_mov(a, BPF_REG_1, BPF_REG_9);
	bf_emit_word(r);
	bf_alu32(a, BPF_MOV, BPF_REG_7, BPF_REG_3);
	bf_jmp(a, r->out);
}

/* For the early-drop stage: it is a rule that drops, if that is what r8 says. */
static void emit_sure(struct bf_records *r)
{
	int other = bf_asm_label(r->a);

	bf_jifi(r->a, BPF_JNE, BPF_REG_8, BF_DO_DROP, other);
	bf_sti(r->a, BPF_B, BPF_REG_6, BF_FRAME_SURE, 1);
	bf_asm_here(r->a, other);
}

/* Count, and do what r8 says. */
static void emit_act(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int jump = bf_asm_label(a), ret = bf_asm_label(a), go = bf_asm_label(a);

	bf_asm_note(a, BF_PART_ACT, 0, 0);
	bf_asm_here(a, r->act);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alu32i(a, BPF_AND, BPF_REG_1, BF_ACT_INDEX);
	bf_emit_count(a);
	bf_alui(a, BPF_RSH, BPF_REG_8, BF_ACT_SHIFT);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, BF_DO_ACCEPT, r->accept);
	if (a->early)
		emit_sure(r);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, BF_DO_DROP, r->drop);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, BF_DO_JUMP, jump);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, BF_DO_RETURN, ret);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, BF_DO_NEXT, r->out);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, BF_DO_GOTO, go);
	bf_jmp(a, r->drop);
	bf_asm_here(a, jump);
	bf_emit_jump(r);
	bf_asm_here(a, ret);
	bf_emit_return(r);
	bf_asm_here(a, go);
	bf_emit_goto(r);
}

/*
 * From the program counter r7 to a verdict, or to r->out with another one. Not op programs. @first:
 * it is one of the main program's steps.
 */
static void emit_body(struct bf_records *r, bool first)
{
	struct bf_asm *a = r->a;
	int scan = bf_asm_label(a), odd = bf_asm_label(a), holds = bf_asm_label(a);
	int forest = bf_asm_label(a), take = bf_asm_label(a), pages = bf_asm_label(a);

	bf_asm_note(a, BF_PART_WALK, 0, 0);
	bf_emit_if_page(r, pages);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_AND, BPF_REG_1, BF_PC_FOREST | BF_PC_NODE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, scan);
	if (r->layout->forests)
		bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_PC_FOREST, forest);
	bf_emit_walk(r);
	bf_emit_if_page(r, pages);
	bf_asm_note(a, BF_PART_SCAN, 0, 0);
	bf_asm_here(a, scan);
	if (r->lift->max_need) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_ODD);
		bf_jifi(a, BPF_JNE, BPF_REG_1, 0, odd);
	}
	bf_emit_scan(r, first ? BF_FIRST_RECORDS : BF_STEP_RECORDS, holds);
	bf_asm_note(a, BF_PART_SCAN_ODD, 0, 0);
	bf_asm_here(a, odd);
	if (r->lift->max_need)
		bf_emit_scan_odd(r, holds);
	bf_asm_note(a, BF_PART_SCAN, 0, 0);
	bf_asm_here(a, pages);
	if (r->layout->pages)
		bf_emit_pages(r, false, holds);

	bf_asm_note(a, BF_PART_HEAD, 0, 0);
	bf_asm_here(a, holds);
	if (r->layout->forests) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_FOREST);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, take);
		bf_emit_head(r);
		bf_asm_here(a, take);
	}
	emit_take(r);
	emit_act(r);
	bf_asm_note(a, BF_PART_FOREST, 0, 0);
	bf_asm_here(a, forest);
	if (r->layout->forests && first)
		bf_emit_forest_first(r, take);
	else if (r->layout->forests)
		bf_emit_forest(r);
}

static void new_labels(struct bf_records *r)
{
	r->out = bf_asm_label(r->a);
	r->drop = bf_asm_label(r->a);
	r->accept = bf_asm_label(r->a);
	r->act = bf_asm_label(r->a);
	r->asked = bf_asm_label(r->a);
}

/* static long step(u32 index, struct frame *frame) */
static void emit_step(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int ops = bf_asm_label(a);

	new_labels(r);
	bf_asm_note(a, BF_PART_STEP, 0, 0);
	bf_function(a, r->step);
	bf_mov(a, BPF_REG_6, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_6, BF_FRAME_PC);
	if (r->layout->nr_ops)
		bf_jif32i(a, BPF_JSLT, BPF_REG_7, 0, ops);
	emit_body(r, false);
	bf_asm_note(a, BF_PART_OPS, 0, 0);
	bf_asm_here(a, ops);
	if (r->layout->nr_ops)
		bf_emit_ops(r);
	bf_asm_note(a, BF_PART_STEP, 0, 0);
	bf_asm_here(a, r->out);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_PC, BPF_REG_7);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	/* A verdict ends the loop. The frame's is NF_DROP until one is found, or UNDECIDED. */
	if (r->wide) {
		bf_asm_here(a, r->drop);
		bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_VERDICT, NF_DROP);
		bf_movi(a, BPF_REG_0, 1);
		bf_exit(a);
	}
	if (a->asks) {
		bf_asm_here(a, r->asked);
		bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_VERDICT, BPF_REG_0);
		bf_movi(a, BPF_REG_0, 1);
		bf_exit(a);
	}
	bf_asm_here(a, r->accept);
	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_VERDICT, NF_ACCEPT);
	if (!r->wide)
		bf_asm_here(a, r->drop);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
}

/* As many calls of @function with the frame, r6, as bpf_loop() makes. */
static void emit_bpf_loop(struct bf_records *r, int function)
{
	struct bf_asm *a = r->a;

	bf_mov32i(a, BPF_REG_1, MAX_CALLS);
	bf_function_addr(a, BPF_REG_2, function);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_loop);
}

/* static long steps(u32 index, struct frame *frame): until there is a verdict, in a loop of loops */
static void emit_steps(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int again = bf_asm_label(a);

	bf_function(a, r->steps);
	bf_mov(a, BPF_REG_6, BPF_REG_2);
	emit_bpf_loop(r, r->step);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_VERDICT);
	bf_movi(a, BPF_REG_0, 0);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, UNDECIDED, again);
	bf_movi(a, BPF_REG_0, 1);
	bf_asm_here(a, again);
	bf_exit(a);
}

/*
 * ODD: the packet is one that a rule may drop for what is behind its IP header.
 *
 *	odd = fragoff == 1 && evil || !fragoff && l4len < need[protocol]
 *
 * The value comes from a word, so that the verifier knows nothing of it.
 */
static void emit_odd(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int normal = bf_asm_label(a), odd = bf_asm_label(a), first = bf_asm_label(a), i;

	if (!r->lift->max_need)
		return;
	bf_asm_note(a, BF_PART_ODD, 0, 0);
	bf_map_value(a, BPF_REG_3, BF_MAP_WORDS);
	bf_ldx(a, BPF_DW, BPF_REG_4, BPF_REG_3, 8 * BF_WORD_0);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_FRAGOFF));
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, KEY(BF_L4LEN));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, first);
	if (r->lift->evil)
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 1, odd);
	bf_jmp(a, normal);
	bf_asm_here(a, first);
	bf_jifi(a, BPF_JGE, BPF_REG_2, r->lift->max_need, normal);
	if (r->lift->need[0])
		bf_jifi(a, BPF_JLT, BPF_REG_2, r->lift->need[0], odd);
	for (i = 1; i < 256; i++) {
		int other = bf_asm_label(a);

		if (!r->lift->need[i])
			continue;
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_PROTO));
		bf_jifi(a, BPF_JNE, BPF_REG_1, i, other);
		bf_jifi(a, BPF_JLT, BPF_REG_2, r->lift->need[i], odd);
		bf_asm_here(a, other);
	}
	bf_jmp(a, normal);
	bf_asm_here(a, odd);
	bf_ldx(a, BPF_DW, BPF_REG_4, BPF_REG_3, 8 * BF_WORD_1);
	bf_asm_here(a, normal);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_ODD, BPF_REG_4);
}

/* The loop of bpf_loop(), from the program counter in r7, and its verdict. */
static void emit_loop(struct bf_records *r, int drop)
{
	struct bf_asm *a = r->a;

	bf_asm_note(a, BF_PART_LOOP, 0, 0);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_PC, BPF_REG_7);
	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_VERDICT, r->wide ? UNDECIDED : NF_DROP);
	emit_bpf_loop(r, r->wide ? r->steps : r->step);
	if (r->deep)
		bf_emit_unclaim(r, drop);
	bf_ldx(a, BPF_W, BPF_REG_0, BPF_REG_6, BF_FRAME_VERDICT);
	if (a->asks)
		bf_jifi(a, BPF_JGE, BPF_REG_0, BF_ASK, r->asked);
	bf_alui(a, BPF_AND, BPF_REG_0, NF_ACCEPT);
	if (r->rules->has_effects || a->behind || a->early) {
		bf_jifi(a, BPF_JEQ, BPF_REG_0, NF_DROP, r->drop);
		bf_jmp(a, r->accept);
		return;
	}
	bf_emit_return_verdict(a);
}

/*
 * Does the main program take all steps? Not with forests: the first step searches all trees of one,
 * so that others are rare; and inside of such a loop the verifier hardly takes two states for the
 * same. With forests that is up to 30 times the work: 350,000 instructions with Linux 6.12, of the
 * million that it allows.
 */
static bool loops(const struct bf_records *r)
{
	return r->a->kernel->has_may_goto && !r->layout->forests;
}

/*
 * What is done in the main program: all steps where it can loop, else the first one, which leaves
 * out op programs. Falls through, to the steps of bpf_loop(), if that does not do.
 */
static void emit_first(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int again = bf_asm_label(a), ops = bf_asm_label(a), end = bf_asm_label(a);
	bool with_ops = r->layout->nr_ops && loops(r);

	bf_asm_here(a, again);
	if (with_ops)
		bf_jif32i(a, BPF_JSLT, BPF_REG_7, 0, ops);
	emit_body(r, true);
	bf_asm_note(a, BF_PART_OPS, 0, 0);
	bf_asm_here(a, ops);
	if (with_ops)
		bf_emit_ops(r);
	bf_asm_note(a, BF_PART_LOOP, 0, 0);
	bf_asm_here(a, r->out);
	if (loops(r)) {
		bf_may_goto(a, end);
		bf_jmp(a, again);
	}
	bf_asm_here(a, end);
}

/* The search, to r->drop or r->accept. */
static void emit_search(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_asm_note(a, BF_PART_START, 0, 0);
	bf_emit_no_forest(r);
	bf_emit_start(r, r->drop);
	if (!r->deep)
		emit_first(r);
	else
		bf_asm_here(a, r->out);
	emit_loop(r, r->drop);
}

/* @pass, @drop: labels where packets come to that have not been searched for. */
static void emit_exits(struct bf_records *r, const struct bf_program *p, int pass, int drop)
{
	struct bf_asm *a = r->a;

	bf_asm_note(a, BF_PART_EXIT, 0, 0);
	if (a->early) {
		bf_asm_here(a, r->drop);
		bf_emit_early_drop(a, p, r->accept, pass);
	}
	bf_asm_here(a, r->accept);
	if (a->early) {
		bf_emit_early_in_vain(a);
		bf_asm_here(a, drop);
	}
	bf_asm_here(a, pass);
	bf_emit_verdict(a, r->rules, NF_ACCEPT);
	if (a->early)
		return;
	bf_asm_here(a, r->drop);
	bf_asm_here(a, drop);
	bf_emit_verdict(a, r->rules, NF_DROP);
	bf_asm_here(a, r->asked);
	if (a->asks)
		bf_emit_asked(a, r->rules);
}

/*
 * Steps are taken in the main program as far as possible, since a call, or rather the return from
 * it, costs as much as some records. Not where a stack is claimed: it would have to be given back
 * at each place where this ends.
 */
static void emit_main(struct bf_records *r, const struct bf_program *p)
{
	struct bf_asm *a = r->a;
	int readable = r->rules->nr_types ? bf_frame_shared(p->fields)
					  : KEY(r->layout->last_field + 1);
	int unread = bf_asm_label(a), pass = bf_asm_label(a), drop = bf_asm_label(a);

	bf_emit_key(a, p, readable, pass, r->rules->has_effects ? unread : drop);
	bf_emit_no_note(a, r->rules, p);
	bf_emit_no_question(a, r->rules);
	bf_asm_note(a, BF_PART_PREDICATES, 0, 0);
	bf_emit_predicates(a, r->lift, BF_WORD_NAMES);
	bf_stx(a, BPF_W, BPF_REG_6, KEY(r->layout->predicates), BPF_REG_9);
	emit_odd(r);
	new_labels(r);
	emit_search(r);
	emit_exits(r, p, pass, drop);
	bf_emit_unread(a, r->rules, unread);
}

/* Elements of @size bytes that a map of one gets for @n, which the kernel takes. */
static uint32_t capacity(const struct bf_kernel *kernel, const struct bf_limits *limits,
			 enum bf_program_map map, uint32_t n, uint32_t size)
{
	uint32_t room = bf_room_like(limits, map, size, n);

	return kernel->max_value && room > kernel->max_value / size ? kernel->max_value / size
								    : room;
}

/*
 * The arrays become the content of maps, with some room to grow without another program. They are
 * taken over.
 */
static void fill_maps(struct bf_records *r, struct bf_layout *layout, struct bf_program *p)
{
	p->maps[BF_MAP_RECORDS] =
		(struct bf_map_def){.name = "bf_records",
				    .value_size = r->cap_records * sizeof(*layout->records),
				    .max_entries = 1,
				    .data = layout->records,
				    .data_size = layout->nr_records * sizeof(*layout->records)};
	p->maps[BF_MAP_WORDS] =
		(struct bf_map_def){.name = "bf_words",
				    .value_size = r->cap_words * sizeof(*layout->words),
				    .max_entries = 1,
				    .data = layout->words,
				    .data_size = layout->nr_words * sizeof(*layout->words)};
	layout->records = NULL;
	layout->words = NULL;
	p->trees = layout->trees;
	layout->trees = NULL;
	if (layout->nr_ops) {
		p->maps[BF_MAP_OPS] =
			(struct bf_map_def){.name = "bf_ops",
					    .value_size = sizeof(*layout->ops),
					    .max_entries = r->cap_ops,
					    .data = layout->ops,
					    .data_size = layout->nr_ops * sizeof(*layout->ops)};
		layout->ops = NULL;
	}
	if (r->deep)
		p->maps[BF_MAP_STACKS] =
			(struct bf_map_def){.name = "bf_stacks",
					    .value_size = (4 + 4 * r->stack_returns + 7) & ~7U,
					    .max_entries = BF_STACK_SLOTS};
}

/* The functions that emit_search() has called. */
static void emit_step_functions(struct bf_records *r)
{
	if (r->wide)
		emit_steps(r);
	emit_step(r);
}

static void emit_program(struct bf_records *r, const struct bf_program *p)
{
	uint32_t i;

	r->step = bf_asm_label(r->a);
	r->note = bf_asm_label(r->a);
	r->steps = bf_asm_label(r->a);
	for (i = 0; i < BF_TYPES; i++)
		r->functions[i] = bf_asm_label(r->a);
	emit_main(r, p);
	emit_step_functions(r);
	bf_emit_cond_functions(r->a, r->rules, r->functions);
	bf_emit_note_function(r->a, r->rules, p, r->note);
}

/*
 * How many steps a packet can take at most. A record is one, if each is in a step of its own; what it
 * does is another, and each of its ops. -E2BIG if this cannot be told: such a packet would keep the
 * CPU for half a minute.
 */
static int measure_steps(struct bf_rules *rules, const struct bf_lift *lift)
{
	uint32_t n = rules->table->num_entries, *weights, i;
	int err;

	weights = calloc(n, sizeof(*weights));
	if (!weights)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		enum bf_action action = rules->codes[i].action;

		weights[i] = 2;
		if (lift->entries[i].nr_rest)
			weights[i] += lift->entries[i].nr_rest + 2;
		if (action == BF_ACT_JUMP || action == BF_ACT_GOTO)
			weights[i] += STEPS_PER_CHAIN;
	}
	err = bf_rules_measure(rules, weights);
	free(weights);
	if (!err && rules->max_cost == BF_COST_MAX)
		err = -E2BIG;
	return err;
}

int bf_emit_records(struct bf_asm *a, struct bf_rules *rules, const struct bf_limits *limits,
		    struct bf_program *p)
{
	struct bf_layout layout = {};
	struct bf_lift lift;
	struct bf_records r = {.a = a, .rules = rules, .lift = &lift, .layout = &layout};
	int err;

	err = bf_lift_make(&lift, rules) ?: measure_steps(rules, &lift);
	err = err ?: bf_layout_make(&layout, &lift, limits, a->kernel->max_value);
	if (!err) {
		r.deep = rules->max_depth + 1 > BF_MAX_RETURNS &&
			 rules->table->stacksize + 1 > BF_MAX_RETURNS;
		r.wide = rules->max_cost > BF_LOOP_STEPS;
		r.stack_returns = rules->max_depth + 1;
		r.cap_records = capacity(a->kernel, limits, BF_MAP_RECORDS, layout.nr_records,
					 sizeof(*layout.records));
		r.cap_words = capacity(a->kernel, limits, BF_MAP_WORDS, layout.nr_words,
				       sizeof(*layout.words));
		r.cap_ops = bf_room_like(limits, BF_MAP_OPS, sizeof(*layout.ops), layout.nr_ops);
		layout.forests |= limits && limits->like && limits->like->forests;
		p->forests = layout.forests;
		emit_program(&r, p);
		err = a->error;
	}
	if (!err) {
		bf_listing_records(a->listing, &r);
		fill_maps(&r, &layout, p);
	}
	bf_layout_free(&layout);
	bf_lift_free(&lift);
	return err;
}
