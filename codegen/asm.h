/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The assembler: BPF instructions with labels, functions, maps and raw reads of kernel memory.
 *
 * Errors (no memory, a jump too far) stick: the first one is kept in bf_asm.error and everything
 * later does nothing, so a generator checks once, at the end.
 */
#ifndef BPFILTER_ASM_H
#define BPFILTER_ASM_H

#include <linux/bpf.h>

#include "bpfilter.h"
#include "ir.h"
#include "kernel.h"
#include "listing.h"

/*
 * The frame: what the main program has on its stack, at BF_FRAME_BASE(r10) upwards; offsets in
 * bytes. The key comes first, and only numbers follow it up to byte 256, so that a field index of 6
 * bits can be used unchecked. What lies below BF_FRAME_SHARED is also what the functions of
 * conditions see, as plain memory.
 */
enum bf_frame {
	BF_FRAME_KEY = 0,	/* uint32_t [BF_NR_FIELDS] */
	BF_FRAME_THOFF = 172,	/* uint32_t: bytes of the IP header, ihl * 4 */
	BF_FRAME_RETURNS = 176, /* uint32_t [BF_MAX_RETURNS]: where RETURN goes to */
	BF_FRAME_PREDICATES =
		228,		/* uint32_t: see lift.h; or it lies behind the key's last field */
	BF_FRAME_OPTLEN = 232,	/* uint32_t: bytes of TCP options, or BF_OPTLEN_BAD */
	BF_FRAME_OPTIONS = 236, /* the options: up to 40 bytes */
	BF_FRAME_VERDICT = 276, /* the record form's, see below */
	/*
	 * uint64_t: address of the struct nf_hook_state; at the module's hooks
	 * bpfilter_packet.addr_type.
	 */
	BF_FRAME_STATE = 280,
	BF_FRAME_SHARED = 288,
	/*
	 * uint64_t: the sk_buff's address, where there are effects or BF_PACKET_ADDRESS is among the
	 * fields. With the latter it is shared as well.
	 */
	BF_FRAME_PACKET = 288,

	BF_FRAME_DYNPTR = 296, /* struct bpf_dynptr */
	BF_FRAME_SKB = 296,    /* else: the context, struct __sk_buff * or struct xdp_md * */
	BF_FRAME_AHEAD =
		300, /* behind links, uint32_t: questions that are still to be passed, as before */
	BF_FRAME_SEEN =
		308, /* with answers, uint32_t: questions that have been met; upper half: see below */
	BF_FRAME_BUF = 312,	 /* 24 bytes of scratch; free between rules */
	BF_FRAME_COUNTERS = 336, /* uint32_t: index of this CPU's first counter */

	/*
	 * The record form's, uint32_t each; see records.c. Those that change in its loop are upper
	 * halves of 8 bytes: the verifier does not follow what is in those, and so sees the same
	 * frame each time. That of Linux 6.1 would also follow VERDICT out of the function that
	 * bpf_loop() calls, and forget some of what it may be: what was to be done then, it took
	 * for dead code.
	 */
	BF_FRAME_SP = 340,	   /* elements on the return stack */
	BF_FRAME_L3 = BF_FRAME_SP, /* in an XDP program's prologue: where the IP header is */
	BF_FRAME_MARK = 344,	   /* the one that the packet came with, if bf_asm.marks */
	BF_FRAME_PC = 348,	   /* between steps of bpf_loop(): where the next one begins */
	BF_FRAME_SLOT = 352,	   /* claimed stack of a very deep table */
	BF_FRAME_RESUME = 356,	   /* record behind the one whose op program runs */
	BF_FRAME_ODD = 360,	   /* not 0: the packet is an odd one (lift.h) */
	BF_FRAME_FOREST = 364,	   /* word of the forest that is searched; 0: none */
	BF_FRAME_CT_MARK = 368,	   /* as BF_FRAME_MARK, of the connection, if bf_asm.ct_marks */
	BF_FRAME_FILL = 372,	   /* how many of its trees have been begun */
	BF_FRAME_HEADS = 376,	   /* uint64_t [BF_FOREST_TREES]: first record that holds in each */
	BF_FRAME_NOW = 408,	   /* behind links: skb->len as it is now */
	BF_FRAME_TREE = 412,	   /* the tree that the record at hand is of */
	BF_FRAME_SIZE = 416,
};

/*
 * Up to Linux 6.8 the verifier takes each function's part of the stack for a multiple of 32 bytes. The longest chain of
 * calls: the program, a condition that searches the routes, and the step of its loop.
 */
_Static_assert(BF_FRAME_SIZE % 32 == 0 && BF_FRAME_SIZE + 64 + 32 <= 512, "too much stack");

/*
 * The early-drop stage has this in the place of TCP options: how many entries have counted the packet, and which. The
 * bytes are where the verifier does not follow what is in them.
 */
enum bf_frame_early {
	BF_FRAME_NOTED = BF_FRAME_OPTLEN + 1, /* uint8_t; more than BF_EARLY_NOTES: too many */
	BF_FRAME_SURE = BF_FRAME_OPTLEN +
			2, /* uint8_t: it is a rule that drops, not the want of something */
	BF_FRAME_NOTES = BF_FRAME_OPTIONS, /* uint32_t [BF_EARLY_NOTES] */
};

#define BF_EARLY_NOTES 10

#define BF_MAX_RETURNS 13
#define BF_FRAME_BASE  (-BF_FRAME_SIZE)

/* Bytes of the frame that functions of conditions see, with such fields. */
static inline int bf_frame_shared(uint64_t fields)
{
	return fields & BF_PACKET_ADDRESS ? BF_FRAME_PACKET + 8 : BF_FRAME_SHARED;
}

/* The TCP header is shorter than 20 bytes, or the packet ends before its options do. */
#define BF_OPTLEN_BAD UINT32_MAX

_Static_assert(BF_NR_FIELDS * 4 <= BF_FRAME_THOFF, "the key overlaps what follows");
_Static_assert(BF_FRAME_RETURNS + 4 * BF_MAX_RETURNS <= BF_FRAME_PREDICATES, "the frame overlaps");

struct bf_asm_ref {
	uint32_t insn;
	int label;
};

/**
 * struct bf_asm - a program being written
 * @attach: which hooks it is for: BF_ATTACH_LINK unless set after bf_asm_init()
 * @refs: instructions that wait for a label's place
 * @functions: first instruction of each BPF function but the main one
 * @globals: bit i is set if functions[i] is a global one
 * @trace: bf_limits.trace
 * @behind: the program is for a chain behind netfilter links, and knows the packet from a note (question.h)
 * @early: what is written is for the early-drop stage: rules that match are noted, to be counted if the packet is dropped
 * @asks: it ends with a question where it has no answer (question.h)
 * @decides: it counts, has effects, and gives the verdict
 * @grows: a target may change the packet's length, so that it is read again behind links
 * @late_marks: what decides leaves the packet's mark to the effects (bf_rule.late_marks)
 * @marks, @ct_marks: rules change the mark, or that of the connection, and who walks them again begins with what there was
 * @reply_step, @reply_allow, @reply_type: labels of functions that reject.c calls
 * @source, @forward: those of path_source.c's and path_forward.c's, with @early
 * @listing: where bf_asm_note() keeps what the instructions are for; NULL: nowhere
 */
struct bf_asm {
	const struct bf_kernel *kernel;
	enum bf_attach attach;
	struct bpf_insn *insns;
	uint32_t nr_insns, max_insns;
	struct bf_asm_ref *refs;
	uint32_t nr_refs, max_refs;
	uint32_t *labels;
	uint32_t nr_labels, max_labels;
	uint32_t functions[32];
	uint32_t nr_functions;
	uint32_t globals;
	struct bf_listing *listing;
	bool trace;
	bool behind;
	bool early;
	bool asks, decides;
	bool late_marks;
	bool grows;
	bool marks, ct_marks;
	int reply_step, reply_allow, reply_type;
	int source, forward;
	int error;
};

void bf_asm_init(struct bf_asm *a, const struct bf_kernel *kernel);
/* Resolves labels. 0, -ENOMEM, -ERANGE (a jump over more than 32767 instructions). */
int bf_asm_finish(struct bf_asm *a);
void bf_asm_free(struct bf_asm *a);

int bf_asm_label(struct bf_asm *a);
void bf_asm_here(struct bf_asm *a, int label);

/* What the instructions from here on are for. */
static inline void bf_asm_note(struct bf_asm *a, enum bf_part part, uint32_t arg, uint32_t op)
{
	if (a->listing)
		bf_listing_note(a->listing, a->nr_insns, part, arg, op);
}

void bf_insn(struct bf_asm *a, struct bpf_insn insn);

/* dst OP= src, dst OP= imm; 64-bit and 32-bit (which clears the upper half). OP is BPF_ADD ... */
void bf_alu(struct bf_asm *a, int op, int dst, int src);
void bf_alui(struct bf_asm *a, int op, int dst, int32_t imm);
void bf_alu32(struct bf_asm *a, int op, int dst, int src);
void bf_alu32i(struct bf_asm *a, int op, int dst, uint32_t imm);
void bf_mov(struct bf_asm *a, int dst, int src);
void bf_movi(struct bf_asm *a, int dst, int32_t imm);
void bf_mov32i(struct bf_asm *a, int dst, uint32_t imm); /* zero-extended */
void bf_ld_imm64(struct bf_asm *a, int dst, uint64_t imm);
/* dst = big-endian value of the low 16, 32 or 64 bits */
void bf_be(struct bf_asm *a, int dst, int bits);

/* dst = *(size *)(src + off); size is BPF_B, BPF_H, BPF_W, BPF_DW */
void bf_ldx(struct bf_asm *a, int size, int dst, int src, int off);
void bf_stx(struct bf_asm *a, int size, int dst, int off, int src);
void bf_sti(struct bf_asm *a, int size, int dst, int off, int32_t imm);
/* *(size *)(dst + off) OP= src atomically: BPF_ADD, BPF_ADD | BPF_FETCH, BPF_XCHG, BPF_CMPXCHG */
void bf_atomic(struct bf_asm *a, int size, int op, int dst, int off, int src);

/* Jumps: if (dst OP x) goto label. The 32-bit forms compare the low halves; imm is unsigned. */
void bf_jmp(struct bf_asm *a, int label);
void bf_jif(struct bf_asm *a, int op, int dst, int src, int label);
void bf_jifi(struct bf_asm *a, int op, int dst, int32_t imm, int label);
void bf_jif32(struct bf_asm *a, int op, int dst, int src, int label);
void bf_jif32i(struct bf_asm *a, int op, int dst, uint32_t imm, int label);
/*
 * Go on with the next instruction, or at @label if the loop that this is in has been going on for
 * too long. To the verifier it is a loop that ends. At least 65,536 times it does go on. Since
 * Linux 6.9 (bf_kernel.has_may_goto).
 */
void bf_may_goto(struct bf_asm *a, int label);
void bf_exit(struct bf_asm *a);

/* Calls clobber r0 to r5; arguments in r1 to r5, result in r0. */
void bf_helper(struct bf_asm *a, int helper);	    /* BPF_FUNC_... */
void bf_kfunc(struct bf_asm *a, int32_t btf_id);    /* of vmlinux */
void bf_kfunc_ct(struct bf_asm *a, int32_t btf_id); /* of conntrack: see bf_kernel.ct_btf_id */
void bf_call(struct bf_asm *a, int label);	    /* a function that begins at a label */
void bf_function(struct bf_asm *a, int label);	    /* a function begins here */
/*
 * The same for a global function: the verifier checks it once by itself, not at each call. It gets
 * the state of a condition in r1 and the shared part of the frame in r2, memory that may be NULL.
 */
void bf_global_function(struct bf_asm *a, int label);
void bf_function_addr(struct bf_asm *a, int dst, int label); /* for bpf_loop() */
void bf_map(struct bf_asm *a, int dst, int map); /* map pointer, by index in the program */
/* Address of the one element of a map. */
void bf_map_value(struct bf_asm *a, int dst, int map);

/**
 * bf_raw - make kernel memory at (src + off) readable
 *
 * Afterwards bf_raw_ldx(a, size, dst, x) reads *(size *)(src + off + x), for 0 <= x and
 * x + size <= BF_RAW_WINDOW, until the next call of anything (the pointer lives in r0; keep it
 * in r6 to r9 to use it longer: bf_raw_ldx_at()). @src is any register that holds a number; a bad
 * address reads as 0. Clobbers r0 to r5; costs one move at run time.
 *
 * How: bpf_rdonly_cast() to struct sk_buff such that its cb[] array lies over the memory.
 */
#define BF_RAW_WINDOW 48
void bf_raw(struct bf_asm *a, int src, int off);
void bf_raw_ldx(struct bf_asm *a, int size, int dst, int x);
void bf_raw_ldx_at(struct bf_asm *a, int size, int dst, int base, int x);

/* r0 = bytes of the packet at offset @off_reg (a register, from the IP header) for @len <= 24 bytes
 * (a constant), in the packet or copied to the frame's BUF; NULL if the packet ends before.
 * @frame is a register with the frame's address. Clobbers r0 to r5. Netfilter links only. */
void bf_packet(struct bf_asm *a, int frame, int off_reg, uint32_t len);

/*
 * Copy @len bytes of the packet at offset @off, from the IP header, to @to of the frame: r0 = 0, or
 * negative if the packet ends before. @frame, @off and @len are registers, r0 or r6 to r9. Clobbers
 * r0 to r5.
 */
void bf_packet_read(struct bf_asm *a, int frame, int to, int off, int len);

#endif /* BPFILTER_ASM_H */
