// SPDX-License-Identifier: GPL-2.0
/*
 * What the compiler tells of a table: which instruction is of which rule. Instructions as text. Whom the verifier
 * blames.
 */
#include "blob.h"

#include <linux/netfilter/xt_tcpudp.h>
#include <stdlib.h>
#include <string.h>

#include "disasm.h"
#include "env.h"
#include "kselftest_harness.h"
#include "listing.h"
#include "program.h"
#include "verify.h"
#include "words.h"

#define RULES 20

FIXTURE(table)
{
	struct bf_table *table;
	struct bf_kernel kernel;
	struct bf_listing listing;
	struct bf_program *program;
};

/* Rule number i of FORWARD is for TCP port 1000 + i. */
FIXTURE_SETUP(table)
{
	struct bf_why why = {};
	struct blob b = {};
	int i;

	blob_empty_hook(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_hook(&b, NF_INET_FORWARD);
	for (i = 0; i < RULES; i++) {
		struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {1000 + i, 1000 + i}};

		blob_begin(&b)->proto = IPPROTO_TCP;
		blob_match(&b, "tcp", 0, &tcp, sizeof(tcp));
		blob_end(&b, i % 2 ? BLOB_DROP : BLOB_ACCEPT);
	}
	blob_policy(&b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	self->table = blob_table(&b);
	blob_free(&b);
	ASSERT_NE(NULL, self->table);
	ASSERT_EQ(0, bf_env_look(&self->kernel, &why));
}

FIXTURE_TEARDOWN(table)
{
	bf_program_free(self->program);
	bf_listing_free(&self->listing);
	bf_table_free(self->table);
}

static int compile(struct bf_table *table, const struct bf_kernel *kernel, enum bf_form form,
		   struct bf_listing *listing, struct bf_program **program)
{
	struct bf_limits limits = BF_LIMITS_NONE;

	limits.listing = listing;
	return bf_compile_limited(table, kernel, BF_ATTACH_MODULE, form, 0, &limits, program, NULL);
}

/* Entry 0 is the policy of INPUT. */
static uint32_t port_of(uint32_t entry)
{
	return 1000 + entry - 1;
}

static bool compares_with(const struct bpf_insn *insn, uint32_t value)
{
	return BPF_CLASS(insn->code) == BPF_JMP32 && (uint32_t)insn->imm == value;
}

TEST_F(table, asking_changes_nothing)
{
	struct bf_program *plain;
	enum bf_form form;

	for (form = BF_FORM_STRAIGHT; form <= BF_FORM_RECORDS; form++) {
		ASSERT_EQ(0, compile(self->table, &self->kernel, form, &self->listing,
				     &self->program));
		ASSERT_EQ(0, bf_compile(self->table, &self->kernel, BF_ATTACH_MODULE, form, 0,
					&plain, NULL));
		ASSERT_EQ(plain->nr_insns, self->program->nr_insns);
		EXPECT_EQ(0, memcmp(plain->insns, self->program->insns,
				    plain->nr_insns * sizeof(*plain->insns)));
		bf_program_free(plain);
		bf_program_free(self->program);
		self->program = NULL;
		bf_listing_free(&self->listing);
	}
}

/* Each comparison with a rule's port is among that rule's instructions, and each rule has one. */
TEST_F(table, instructions_belong_to_their_rules)
{
	uint32_t found[RULES + 1] = {}, i, entry;

	ASSERT_EQ(0, compile(self->table, &self->kernel, BF_FORM_STRAIGHT, &self->listing,
			     &self->program));
	for (i = 0; i < self->program->nr_insns; i++) {
		const struct bf_note *note = bf_listing_at(&self->listing, i);

		ASSERT_NE(NULL, note);
		for (entry = 1; entry <= RULES; entry++) {
			if (!compares_with(&self->program->insns[i], port_of(entry)))
				continue;
			EXPECT_EQ(BF_PART_TEST, note->part);
			EXPECT_EQ(entry, note->arg);
			found[entry]++;
		}
	}
	for (entry = 1; entry <= RULES; entry++)
		EXPECT_EQ(1, found[entry]);
}

/* Notes ascend, begin with the first instruction, and none is about nothing. */
TEST_F(table, notes_cover_the_program)
{
	enum bf_form form;
	uint32_t i;

	for (form = BF_FORM_STRAIGHT; form <= BF_FORM_RECORDS; form++) {
		const struct bf_listing *l = &self->listing;

		ASSERT_EQ(0, compile(self->table, &self->kernel, form, &self->listing,
				     &self->program));
		ASSERT_LT(0, l->nr_notes);
		EXPECT_EQ(0, l->notes[0].insn);
		for (i = 1; i < l->nr_notes; i++)
			EXPECT_LT(l->notes[i - 1].insn, l->notes[i].insn);
		EXPECT_LE(l->notes[l->nr_notes - 1].insn, self->program->nr_insns);
		bf_program_free(self->program);
		self->program = NULL;
		bf_listing_free(&self->listing);
	}
}

TEST_F(table, trees_and_predicates)
{
	const struct bf_listing *l = &self->listing;

	ASSERT_EQ(0, compile(self->table, &self->kernel, BF_FORM_RECORDS, &self->listing,
			     &self->program));
	ASSERT_NE(NULL, l->entries);
	ASSERT_EQ(1, l->nr_trees);
	EXPECT_EQ(1, l->trees[0].entry);
	EXPECT_EQ(RULES + 1, l->trees[0].rules);
	EXPECT_EQ(20, l->entries[1].need);
	ASSERT_NE(NULL, l->bits[0]);
	EXPECT_STREQ("no later fragment", l->bits[0]);
	ASSERT_NE(NULL, l->bits[1]);
	EXPECT_STREQ("proto tcp", l->bits[1]);
}

/* A program is spoilt in the instructions of one rule: the verifier's message is about that one. */
TEST_F(table, blame)
{
	struct bf_verified v;
	const uint32_t bad = 7;
	uint32_t i;

	if (geteuid())
		SKIP(return, "only root may ask the verifier");
	ASSERT_EQ(0, compile(self->table, &self->kernel, BF_FORM_STRAIGHT, &self->listing,
			     &self->program));
	ASSERT_EQ(0, bf_verify(self->program, &v));
	if (!v.tried)
		SKIP(return, "a privilege is missing");
	EXPECT_EQ(0, v.err);
	EXPECT_LT(0, v.jited_bytes);
	EXPECT_EQ(NULL, v.message);
	bf_verified_free(&v);

	for (i = 0; !compares_with(&self->program->insns[i], port_of(bad)); i++)
		ASSERT_LT(i, self->program->nr_insns);
	self->program->insns[i].dst_reg = 8; /* nobody has set it */
	ASSERT_EQ(0, bf_verify(self->program, &v));
	EXPECT_NE(0, v.err);
	ASSERT_NE(NULL, v.message);
	EXPECT_NE(NULL, strstr(v.message, "R8"));
	EXPECT_EQ(i, v.insn);
	ASSERT_NE(NULL, bf_listing_at(&self->listing, v.insn));
	EXPECT_EQ(bad, bf_listing_at(&self->listing, v.insn)->arg);
	bf_verified_free(&v);
}

TEST(blame_in_a_log)
{
	char log[] = "func#0 @0\n0: R1=ctx() R10=fp0\n0: (bf) r7 = r1 ; R1=ctx()\n"
		     "12: (85) call bpf_rdonly_cast#5\n13: R0=x\nR1 bad type\nprocessed 9 insns\n";
	char none[] = "BPF program is too large\n", *message;

	EXPECT_EQ(12, bf_verify_blame(log, &message));
	EXPECT_EQ(0, strncmp(message, "13: R0=x\nR1 bad", 14));
	EXPECT_EQ(UINT32_MAX, bf_verify_blame(none, &message));
	EXPECT_EQ(&none[0], message);
}

static const struct {
	struct bpf_insn insn;
	const char *text;
} insns[] = {
	{{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 10}, "r6 = r10"},
	{{.code = BPF_ALU | BPF_AND | BPF_K, .dst_reg = 1, .imm = 255}, "w1 &= 255"},
	{{.code = BPF_ALU64 | BPF_ARSH | BPF_K, .dst_reg = 1, .imm = 3}, "r1 s>>= 3"},
	{{.code = BPF_ALU | BPF_END | BPF_TO_BE, .dst_reg = 3, .imm = 16}, "r3 = be16 r3"},
	{{.code = BPF_ALU64 | BPF_NEG, .dst_reg = 3}, "r3 = -r3"},
	{{.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 1, .src_reg = 6, .off = 4},
	 "r1 = *(u32 *)(r6 + 4)"},
	{{.code = BPF_LDX | BPF_B | BPF_MEM, .dst_reg = 1, .src_reg = 10, .off = -4},
	 "r1 = *(u8 *)(r10 - 4)"},
	{{.code = BPF_STX | BPF_DW | BPF_MEM, .dst_reg = 6, .src_reg = 2}, "*(u64 *)(r6 + 0) = r2"},
	{{.code = BPF_ST | BPF_H | BPF_MEM, .dst_reg = 6, .imm = -1}, "*(u16 *)(r6 + 0) = -1"},
	{{.code = BPF_STX | BPF_DW | BPF_ATOMIC, .src_reg = 1, .off = 8, .imm = BPF_ADD},
	 "lock *(u64 *)(r0 + 8) += r1"},
	{{.code = BPF_STX | BPF_W | BPF_ATOMIC, .src_reg = 1, .imm = BPF_XCHG},
	 "r1 = xchg((u32 *)(r0 + 0), r1)"},
	{{.code = BPF_JMP | BPF_JA}, "goto L1"},
	{{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 1, .imm = 17}, "if r1 == 0x11 goto L1"},
	{{.code = BPF_JMP | BPF_JSLT | BPF_K, .dst_reg = 1, .imm = -2}, "if r1 s< -0x2 goto L1"},
	{{.code = BPF_JMP32 | BPF_JGT | BPF_X, .dst_reg = 1, .src_reg = 2}, "if w1 > w2 goto L1"},
	{{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem},
	 "call bpf_map_lookup_elem#1"},
	{{.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = 0}, "call f1"},
	{{.code = BPF_JMP | BPF_EXIT}, "exit"},
};

TEST(instructions_as_text)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		struct bpf_insn code[2] = {insns[i].insn, {.code = BPF_JMP | BPF_EXIT}};
		struct bf_program p = {
			.insns = code, .nr_insns = 2, .functions = {1}, .nr_functions = 1};
		struct bf_kernel kernel = {};
		struct bf_disasm d;
		char text[64];

		ASSERT_EQ(0, bf_disasm_init(&d, &p, &kernel));
		EXPECT_EQ(1, bf_disasm_insn(&d, 0, text, sizeof(text)));
		EXPECT_STREQ(insns[i].text, text);
		bf_disasm_exit(&d);
	}
}

TEST(wide_constants_as_text)
{
	struct bpf_insn code[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .imm = -1},
		{.imm = 1},
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD},
		{},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bf_program p = {
		.insns = code, .nr_insns = ARRAY_SIZE(code), .maps = {{.name = "bf_counters"}}};
	struct bf_kernel kernel = {};
	struct bf_disasm d;
	char text[64];

	ASSERT_EQ(0, bf_disasm_init(&d, &p, &kernel));
	EXPECT_EQ(2, bf_disasm_insn(&d, 0, text, sizeof(text)));
	EXPECT_STREQ("r1 = 0x1ffffffff ll", text);
	EXPECT_EQ(2, bf_disasm_insn(&d, 2, text, sizeof(text)));
	EXPECT_STREQ("r1 = map[bf_counters] ll", text);
	bf_disasm_exit(&d);
}

static const struct {
	struct bf_op op;
	const char *text, *negated;
} tests[] = {
	{{BF_OP_EQ, BF_SADDR, false, BF_TO_NEXT, 0xffffff00, 0xc0000200},
	 "saddr 192.0.2.0/24",
	 "not saddr 192.0.2.0/24"},
	{{BF_OP_EQ, BF_PROTO, true, BF_TO_NEXT, UINT32_MAX, 6}, "not proto tcp", "proto tcp"},
	{{BF_OP_EQ, BF_DPORT, false, BF_TO_NEXT, UINT32_MAX, 80}, "dport 80", "not dport 80"},
	{{BF_OP_RANGE, BF_DPORT, false, BF_TO_NEXT, 80, 90}, "dport 80-90", "not dport 80-90"},
	{{BF_OP_RANGE, BF_L4LEN, false, BF_TO_DROP, 20, UINT32_MAX},
	 "l4len >= 20",
	 "not l4len >= 20"},
	{{BF_OP_EQ, BF_FRAGOFF, false, BF_TO_NEXT, UINT32_MAX, 0},
	 "no later fragment",
	 "a later fragment"},
	{{BF_OP_EQ, BF_CT_STATE, true, BF_TO_NEXT, 6, 0},
	 "ctstate ESTABLISHED,RELATED",
	 "ctstate none of ESTABLISHED,RELATED"},
	{{BF_OP_EQ, BF_TCP_FLAGS, false, BF_TO_NEXT, 0x17, 2},
	 "tcp flags SYN of FIN,SYN,RST,ACK",
	 "not tcp flags SYN of FIN,SYN,RST,ACK"},
	{{BF_OP_EQ, BF_HOOK, false, BF_TO_NEXT, 0, 1}, "never", "always"},
};

TEST(tests_in_words)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		EXPECT_STREQ(tests[i].text, bf_words_test(&tests[i].op, false, NULL).text);
		EXPECT_STREQ(tests[i].negated, bf_words_test(&tests[i].op, true, NULL).text);
	}
}

TEST(groups_in_words)
{
	/* as multiport has them: the first port leads to the end, the last decides */
	const struct bf_op ops[] = {
		{BF_OP_EQ, BF_DPORT, true, 5, UINT32_MAX, 80},
		{BF_OP_EQ, BF_DPORT, false, BF_TO_NEXT, UINT32_MAX, 443},
	};
	char *text = bf_words_ops(ops, 2, 3, NULL);

	ASSERT_NE(NULL, text);
	EXPECT_STREQ("dport 80 || dport 443", text);
	free(text);
}

TEST_HARNESS_MAIN
