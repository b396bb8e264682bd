// SPDX-License-Identifier: GPL-2.0
/*
 * The prologue of a program for the module's hooks. Registers:
 *
 *	r6	the frame's address
 *	r7	the context, a struct __sk_buff, until the prologue ends
 *
 * The module has read the packet into a struct bpfilter_packet, which is laid out as the key is: one copy
 * fills the key, and whatever follows it. The verifier sees memory of which it knows nothing, and no
 * branch but the one that gives up.
 */
#include "compile.h"

#define SAME_PLACE(member, field)                                                                  \
	_Static_assert(offsetof(struct bpfilter_packet, member) == BF_FRAME_KEY + 4 * (field),     \
		       #member " and " #field)

SAME_PLACE(saddr, BF_SADDR);
SAME_PLACE(daddr, BF_DADDR);
SAME_PLACE(protocol, BF_PROTO);
SAME_PLACE(fragoff, BF_FRAGOFF);
SAME_PLACE(l4len, BF_L4LEN);
SAME_PLACE(len, BF_LEN);
SAME_PLACE(mark, BF_MARK);
SAME_PLACE(hook, BF_HOOK);
SAME_PLACE(sport, BF_SPORT);
SAME_PLACE(dport, BF_DPORT);
SAME_PLACE(icmp, BF_ICMP);
SAME_PLACE(tcp_flags, BF_TCP_FLAGS);
SAME_PLACE(in, BF_IIF);
SAME_PLACE(out, BF_OIF);
SAME_PLACE(ct_state, BF_CT_STATE);
SAME_PLACE(ct_status, BF_CT_STATUS);
SAME_PLACE(ct_dir, BF_CT_DIR);
SAME_PLACE(ct_protocol, BF_CT_PROTO);
SAME_PLACE(ct_orig_saddr, BF_CT_ORIGSRC);
SAME_PLACE(ct_orig_daddr, BF_CT_ORIGDST);
SAME_PLACE(ct_repl_saddr, BF_CT_REPLSRC);
SAME_PLACE(ct_repl_daddr, BF_CT_REPLDST);
SAME_PLACE(ct_orig_sport, BF_CT_ORIGSRC_PORT);
SAME_PLACE(ct_orig_dport, BF_CT_ORIGDST_PORT);
SAME_PLACE(ct_repl_sport, BF_CT_REPLSRC_PORT);
SAME_PLACE(ct_repl_dport, BF_CT_REPLDST_PORT);
SAME_PLACE(ct_expires, BF_CT_EXPIRES);
SAME_PLACE(ct_mark, BF_CT_MARK);
SAME_PLACE(header, BF_HEADER);
SAME_PLACE(tot_len, BF_TOTLEN);
SAME_PLACE(mac, BF_MAC);
SAME_PLACE(spi, BF_SPI);
SAME_PLACE(owner, BF_OWNER);
SAME_PLACE(uid, BF_UID);
SAME_PLACE(gid, BF_GID);
SAME_PLACE(cpu, BF_CPU);
_Static_assert(offsetof(struct bpfilter_packet, thoff) == BF_FRAME_THOFF, "thoff");

#define TYPES offsetof(struct bpfilter_packet, addr_type)

_Static_assert(TYPES >= BF_FRAME_RETURNS && TYPES % 8 == 0 &&
		       offsetof(struct bpfilter_packet, known) == TYPES + 8,
	       "the address types are moved out of the way as one word");

/* How much of the structure must be read; whole words of the stack. */
static int bytes_needed(const struct bf_program *p)
{
	if (p->want & BF_WANT_TYPES)
		return TYPES + 8;
	if (p->fields & BF_TCP_OPTIONS)
		return TYPES;
	return bf_key_bytes(p->fields);
}

/* bpf_probe_read_kernel(frame, bytes, cb[1] << 32 | cb[0]) */
static void read_packet(struct bf_asm *a, int bytes, int drop)
{
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_7, offsetof(struct __sk_buff, cb[1]));
	bf_alui(a, BPF_LSH, BPF_REG_3, 32);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, cb[0]));
	bf_alu(a, BPF_OR, BPF_REG_3, BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_movi(a, BPF_REG_2, bytes);
	bf_helper(a, BPF_FUNC_probe_read_kernel);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, drop);
}

void bf_emit_key_module(struct bf_asm *a, const struct bf_program *p, int readable, int drop)
{
	bool shared = readable > BF_FRAME_STATE;
	int off, bytes = bytes_needed(p);

	bf_mov(a, BPF_REG_7, BPF_REG_1);
	bf_mov(a, BPF_REG_6, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_6, BF_FRAME_BASE);
	read_packet(a, bytes, drop);
	if (p->want & BF_WANT_TYPES) {
		bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, TYPES);
		bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_STATE, BPF_REG_1);
	} else if (shared) {
		bf_sti(a, BPF_DW, BPF_REG_6, BF_FRAME_STATE, 0);
	}
	for (off = bytes; off < (shared ? BF_FRAME_STATE : readable); off += 8)
		bf_sti(a, BPF_DW, BPF_REG_6, off, 0);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_SKB, BPF_REG_7);
	/* The context's address is the sk_buff's. */
	if (readable > BF_FRAME_PACKET)
		bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_PACKET, BPF_REG_7);

	bf_helper(a, BPF_FUNC_get_smp_processor_id);
	bf_alui(a, BPF_MUL, BPF_REG_0, p->stride);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_COUNTERS, BPF_REG_0);
	if (p->fields & BF_TCP_OPTIONS)
		bf_emit_tcp_options(a, p->fields);
}
