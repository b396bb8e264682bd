/* SPDX-License-Identifier: GPL-2.0 */
/*
 * REJECT at interfaces, where nothing behind the program sends replies: it makes the reply itself, of the packet that it
 * answers, and sends it where the routing says.
 *
 * What is answered, and how, is as in nf_reject_ipv4.c and icmp_send() of the kernel. Not answered, but dropped and counted as
 * lost, is what would be answered if only the program could: see docs/placements.md.
 *
 * reject.c has the way through all of it, and what is the same everywhere; reject_limits.c how many there are; reject_reply.c the
 * replies; reject_send.c how they are sent, which is different for tc and XDP.
 */
#ifndef BPFILTER_REJECT_H
#define BPFILTER_REJECT_H

#include "compile.h"

/*
 * Of the frame, once the verdict is known; nothing else of it is needed then but the first fields of the key and THOFF.
 * What a loop changes, what rules differ in, and what is decided on later is in the upper halves of 8 bytes: see asm.h and
 * emit_mark() in straight.c.
 */
enum bf_frame_reject {
	/* uint32_t: id of the effect, 0 for none; from the key on. Later CODE, below. */
	BF_FRAME_EFFECT = BF_FRAME_STATE + 4,
	BF_REJECT_CODE = BF_FRAME_EFFECT, /* uint32_t: of the ICMP error, or BF_REJECT_RESET */

	BF_REJECT_BUF = 32,   /* BF_REJECT_CHUNK bytes and some, while sums are made; then: */
	BF_REJECT_REPLY = 32, /* the reply from its IP header on: 28 or 40 bytes */
	BF_REJECT_SAVED = 96, /* BF_REJECT_CUT bytes of the packet from its IP header on */

	BF_REJECT_OFF = 180,	/* uint32_t: how much behind the IP header has been added up */
	BF_REJECT_QUOTE = 184,	/* uint32_t: sum of what of that is quoted */
	BF_REJECT_SUM = 188,	/* uint32_t: sum of all that has been added up */
	BF_REJECT_FAILED = 196, /* uint32_t: not 0: the packet could not be read */
	BF_REJECT_SOURCE =
		200,	       /* uint32_t: address that the reply comes from, network byte order */
	BF_REJECT_END = 204,   /* uint32_t: how much is to be added up; then: */
	BF_REJECT_TOTAL = 204, /* uint32_t: the reply's length, IP header included */
	BF_REJECT_IP = 208,    /* the packet's IP header, 20 bytes, and 20 of what is behind it */
	BF_REJECT_ETHER = 248, /* the first 14 bytes of a frame */
	BF_REJECT_L2 = 268,    /* uint32_t: where the IP header is, from data on */
	BF_REJECT_IFINDEX = 276, /* uint32_t: where the reply goes out */
	BF_REJECT_FIB = 344,	 /* struct bpf_fib_lookup */
};

#define BF_REJECT_RESET 0x100 /* not a code of ICMP */

#define BF_REJECT_CHUNK 132 /* a multiple of 4 */

/* Bytes of the original behind its IP header that an ICMP error of 576 bytes has room for, and with that. */
#define BF_QUOTE_DATA 528
#define BF_QUOTE_MAX  548

/* More than any header that a checksum may be put off in begins behind. */
#define BF_REJECT_CUT 76

_Static_assert(BF_QUOTE_DATA % BF_REJECT_CHUNK == 0, "what is quoted are whole chunks");

#define BF_ICMP_BYTES  28 /* of the reply in front of what it quotes */
#define BF_RESET_BYTES 40

/**
 * struct bf_reject - the code being written; r6 is the frame's address, r7 the context, throughout
 * @silent: label: no reply, as there would be none
 * @lost: label: no reply, although there would be one
 * @step, @allow, @type: labels of functions
 */
struct bf_reject {
	struct bf_asm *a;
	const struct bf_rules *rules;
	int silent, lost;
	int step, allow, type;
};

static inline bool bf_reject_at_tc(const struct bf_reject *r)
{
	return r->a->attach == BF_ATTACH_TC;
}

/* dst = what is at @off of the frame, 32 bits; and the other way */
static inline void bf_reject_get(struct bf_reject *r, int dst, int off)
{
	bf_ldx(r->a, BPF_W, dst, BPF_REG_6, off);
}

static inline void bf_reject_set(struct bf_reject *r, int off, int src)
{
	bf_stx(r->a, BPF_W, BPF_REG_6, off, src);
}

/* Copy @len bytes of the packet at offset r2, from data on, to @to of the frame: r0 = 0, or negative if it ends before. */
void bf_reject_load(struct bf_reject *r, int to, uint32_t len);

/* @reg = the sum of its 16-bit words, 16 bits, such that it is 0 only if they all are. Clobbers @tmp. */
void bf_reject_fold(struct bf_asm *a, int reg, int tmp);

/* Can the types of addresses be told? */
static inline bool bf_reject_has_types(const struct bf_reject *r)
{
	return r->a->kernel->has_fib && r->a->kernel->has_dev;
}

/* r0 = the type, RTN_..., of the address key[@field] as the namespace's local routes have it; if it cannot be told, 0. */
void bf_reject_type(struct bf_reject *r, enum bf_field field);

/* reject_limits.c. Is it within the limits of ICMP errors? Else to @silent. Clobbers r0 to r5 and r9. */
void bf_emit_reply_limits(struct bf_reject *r);
/* The function @allow. */
void bf_emit_reply_allow(struct bf_reject *r);

/* reject_reply.c: REPLY and TOTAL, of SOURCE, IP, CODE, QUOTE and the key. Clobbers r0 to r5, r8 and r9. */
void bf_emit_reply(struct bf_reject *r);

/* reject_send.c. IFINDEX and SOURCE, FIB of XDP; or to @silent and @lost. Clobbers as above. */
void bf_emit_reply_route(struct bf_reject *r);
/* The packet becomes the reply and is sent; ends the program, or goes to @lost. */
void bf_emit_reply_send(struct bf_reject *r);

#endif /* BPFILTER_REJECT_H */
