// SPDX-License-Identifier: GPL-2.0
/*
 * The prologue of programs for the module's hooks, in the interpreter: what is in the frame afterwards,
 * and that no more is read than is needed.
 */
#include "bpf_vm.h"

#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "kselftest_harness.h"

#define STRIDE 1000
#define ALL    ((1ULL << BF_NR_FIELDS) - 1)

/* What the prologue got, and whether it dropped the packet. */
struct result {
	uint8_t frame[BF_FRAME_SIZE] __attribute__((aligned(8)));
	uint32_t probed;
	bool dropped;
};

/* A byte that is nowhere else. */
static void fill(struct bpfilter_packet *p)
{
	uint8_t *bytes = (uint8_t *)p;
	unsigned int i;

	for (i = 0; i < sizeof(*p); i++)
		bytes[i] = i + 1;
	p->fragoff = 0;
	p->protocol = 6;
	p->l4len = 60;
	p->thoff = 20;
}

/*
 * Run the prologue, then copy the frame to an address that is in cb[2], where the prologue does not
 * look.
 */
static void run(struct result *r, const struct bpfilter_packet *told, uint64_t fields,
		uint32_t want, bool whole, const uint8_t *packet, uint32_t packet_len)
{
	const struct bf_program p = {
		.attach = BF_ATTACH_MODULE, .fields = fields, .want = want, .stride = STRIDE};
	uint64_t address = (uintptr_t)told, copy = (uintptr_t)r->frame;
	struct __sk_buff skb = {.cb = {address, address >> 32, copy, copy >> 32}};
	struct bf_kernel kernel = {};
	struct bf_asm a;
	struct bpf_vm vm = {.a = &a, .packet = packet, .packet_len = packet_len};
	int drop, off;

	memset(r, 0, sizeof(*r));
	bf_asm_init(&a, &kernel);
	a.attach = BF_ATTACH_MODULE;
	drop = bf_asm_label(&a);
	bf_emit_key(&a, &p, whole ? BF_FRAME_SHARED : 0, drop, drop);
	bf_ldx(&a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
	bf_ldx(&a, BPF_DW, BPF_REG_7, BPF_REG_7, offsetof(struct __sk_buff, cb[2]));
	for (off = 0; off < BF_FRAME_SIZE; off += 8) {
		bf_ldx(&a, BPF_DW, BPF_REG_1, BPF_REG_6, off);
		bf_stx(&a, BPF_DW, BPF_REG_7, off, BPF_REG_1);
	}
	bf_movi(&a, BPF_REG_0, 0);
	bf_exit(&a);
	bf_asm_here(&a, drop);
	bf_movi(&a, BPF_REG_0, 1);
	bf_exit(&a);
	if (bf_asm_finish(&a))
		abort();
	r->dropped = bpf_vm_call(&vm, 0, (uintptr_t)&skb, 0) != 0;
	r->probed = vm.probed;
	bf_asm_free(&a);
}

static uint32_t word(const struct result *r, unsigned int off)
{
	uint32_t v;

	memcpy(&v, r->frame + off, sizeof(v));
	return v;
}

TEST(each_field_is_where_it_belongs)
{
	struct bpfilter_packet told;
	struct result r;
	unsigned int f;

	fill(&told);
	for (f = 0; f < BF_NR_FIELDS; f++) {
		uint32_t there;

		memcpy(&there, (uint8_t *)&told + 4 * f, sizeof(there));
		run(&r, &told, 1ULL << f, 0, false, NULL, 0);
		EXPECT_FALSE(r.dropped);
		EXPECT_EQ(there, word(&r, BF_FRAME_KEY + 4 * f)) TH_LOG("field %u", f);
		/* What every program needs. */
		EXPECT_EQ(told.len, word(&r, BF_FRAME_KEY + 4 * BF_LEN));
		EXPECT_EQ(told.hook, word(&r, BF_FRAME_KEY + 4 * BF_HOOK));
		EXPECT_EQ(BPF_VM_CPU * STRIDE, word(&r, BF_FRAME_COUNTERS));
		/* No more than that, in whole words of the stack. */
		EXPECT_EQ(f <= BF_HOOK ? 32U : (4 * f + 11) & ~7U, r.probed) TH_LOG("field %u", f);
	}
}

TEST(the_rest_of_the_frame)
{
	struct bpfilter_packet told;
	struct result r;
	unsigned int off;

	fill(&told);
	run(&r, &told, BF_FIELD_BIT(BF_SADDR), 0, true, NULL, 0);
	EXPECT_EQ(32U, r.probed);
	for (off = 32; off < BF_FRAME_SHARED; off += 4)
		EXPECT_EQ(0U, word(&r, off)) TH_LOG("byte %u", off);

	run(&r, &told, ALL, BPFILTER_WANT_TYPE(1, 2), true, NULL, 0);
	EXPECT_EQ(offsetof(struct bpfilter_packet, known), r.probed);
	EXPECT_EQ(0, memcmp(r.frame, &told, 4 * BF_NR_FIELDS));
	EXPECT_EQ(0, memcmp(r.frame + BF_FRAME_STATE, told.addr_type, sizeof(told.addr_type)));
}

TEST(a_packet_that_cannot_be_read_is_dropped)
{
	struct result r;

	run(&r, NULL, ALL, 0, true, NULL, 0);
	EXPECT_TRUE(r.dropped);
}

/* 40 bytes of options behind a header of 20, behind an IP header of @ihl bytes. */
static void make_tcp(uint8_t *packet, unsigned int ihl, unsigned int doff)
{
	unsigned int i;

	memset(packet, 0xee, 120);
	packet[ihl + 12] = doff << 4 | 0xf;
	for (i = 0; i < 40; i++)
		packet[ihl + 20 + i] = i + 1;
}

TEST(tcp_options)
{
	struct bpfilter_packet told;
	unsigned int ihl, doff, i;
	uint8_t packet[120];
	struct result r;

	fill(&told);
	for (ihl = 20; ihl <= 60; ihl += 4)
		for (doff = 0; doff < 16; doff++) {
			uint32_t len = doff < 5 ? BF_OPTLEN_BAD : doff * 4 - 20;

			told.thoff = ihl;
			make_tcp(packet, ihl, doff);
			run(&r, &told, BF_TCP_OPTIONS, 0, true, packet, ihl + 60);
			EXPECT_EQ(BF_FRAME_RETURNS, r.probed);
			EXPECT_EQ(len, word(&r, BF_FRAME_OPTLEN)) TH_LOG("doff %u", doff);
			for (i = 0; len <= 40 && i < len; i++)
				EXPECT_EQ(i + 1, r.frame[BF_FRAME_OPTIONS + i]);
		}
}

/* Whatever ends before its options do is bad; what has none to look at has none. */
TEST(tcp_options_that_are_not_there)
{
	struct bpfilter_packet told;
	uint8_t packet[120];
	struct result r;

	make_tcp(packet, 20, 15);
	fill(&told);
	run(&r, &told, BF_TCP_OPTIONS, 0, true, packet, 79);
	EXPECT_EQ(BF_OPTLEN_BAD, word(&r, BF_FRAME_OPTLEN));
	told.l4len = 19;
	run(&r, &told, BF_TCP_OPTIONS, 0, true, packet, 80);
	EXPECT_EQ(0U, word(&r, BF_FRAME_OPTLEN));
	fill(&told);
	told.fragoff = 1;
	run(&r, &told, BF_TCP_OPTIONS, 0, true, packet, 80);
	EXPECT_EQ(0U, word(&r, BF_FRAME_OPTLEN));
	fill(&told);
	told.protocol = 17;
	run(&r, &told, BF_TCP_OPTIONS, 0, true, packet, 80);
	EXPECT_EQ(0U, word(&r, BF_FRAME_OPTLEN));
}

TEST_HARNESS_MAIN
