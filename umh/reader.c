// SPDX-License-Identifier: GPL-2.0
/* See reader.h. */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include "key_packet.h"
#include "load.h"
#include "reader.h"

/* The packet of a test run, longer than the shortest frame. */
struct question {
	uint64_t address; /* 0: what is read is the address of the namespace */
	uint64_t value;
	uint8_t rest[16];
};

/*
 *	q->value = q->address ? *(u64 *)q->address : dev_net(ctx->rxq->dev);
 *
 * r7 is the context, r9 the packet.
 */
static void write_reader(struct bf_asm *a)
{
	struct bf_packet_key k = {.a = a};
	int memory = bf_asm_label(a), store = bf_asm_label(a), out = bf_asm_label(a);

	bf_mov(a, BPF_REG_7, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_9, BPF_REG_1, offsetof(struct xdp_md, data));
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct xdp_md, data_end));
	bf_mov(a, BPF_REG_3, BPF_REG_9);
	bf_alui(a, BPF_ADD, BPF_REG_3, sizeof(struct question));
	bf_jif(a, BPF_JGT, BPF_REG_3, BPF_REG_2, out);
	bf_ldx(a, BPF_DW, BPF_REG_8, BPF_REG_9, offsetof(struct question, address));
	bf_jifi(a, BPF_JNE, BPF_REG_8, 0, memory);
	bf_emit_dev(&k);
	bf_raw(a, BPF_REG_1, a->kernel->dev_net);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_jmp(a, store);
	bf_asm_here(a, memory);
	bf_raw(a, BPF_REG_8, 0);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_asm_here(a, store);
	bf_stx(a, BPF_DW, BPF_REG_9, offsetof(struct question, value), BPF_REG_1);
	bf_asm_here(a, out);
	bf_movi(a, BPF_REG_0, XDP_PASS);
	bf_exit(a);
}

int bf_reader_open(struct bf_reader *r, const struct bf_kernel *kernel)
{
	struct bf_program p = {.attach = BF_ATTACH_XDP};
	struct bf_asm a;
	int fd;

	bf_asm_init(&a, kernel);
	a.attach = BF_ATTACH_XDP;
	write_reader(&a);
	fd = bf_asm_finish(&a);
	if (!fd) {
		p.insns = a.insns;
		p.nr_insns = a.nr_insns;
		fd = bf_load_program("bf_reader", &p, NULL, NULL);
	}
	bf_asm_free(&a);
	r->prog = fd;
	return fd < 0 ? fd : 0;
}

void bf_reader_close(struct bf_reader *r)
{
	if (r->prog >= 0)
		close(r->prog);
	r->prog = -1;
}

uint64_t bf_reader_at(const struct bf_reader *r, uint64_t address)
{
	struct question q = {.address = address}, answer = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &q, .data_size_in = sizeof(q),
		    .data_out = &answer, .data_size_out = sizeof(answer), .repeat = 1);

	return bpf_prog_test_run_opts(r->prog, &opts) ? 0 : answer.value;
}

uint64_t bf_reader_net(const struct bf_reader *r)
{
	return bf_reader_at(r, 0);
}
