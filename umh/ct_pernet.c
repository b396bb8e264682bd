// SPDX-License-Identifier: GPL-2.0
/* See ct_pernet.h. */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "ct_pernet.h"
#include "key_packet.h"
#include "load.h"

/* Namespaces have a pointer for each subsystem that wants one; conntrack has about twenty sysctls in front of its timeouts. */
#define MAX_POINTERS 256
#define MAX_SYSCTLS  32

/* The packet of a test run, longer than the shortest frame. */
struct question {
	uint64_t address; /* 0: what is read is the address of the namespace */
	uint64_t value;
	uint8_t rest[16];
};

struct reader {
	const struct bf_kernel *kernel;
	int prog;
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

/* A descriptor or -errno. */
static int load_reader(const struct bf_kernel *kernel)
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
	return fd;
}

/* What is at that address; 0 as well if it cannot be read. */
static uint64_t read_at(const struct reader *r, uint64_t address)
{
	struct question q = {.address = address}, answer = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &q, .data_size_in = sizeof(q),
		    .data_out = &answer, .data_size_out = sizeof(answer), .repeat = 1);

	return bpf_prog_test_run_opts(r->prog, &opts) ? 0 : answer.value;
}

static bool has_name(const struct reader *r, uint64_t entry, const char *name)
{
	uint64_t at = read_at(r, entry + r->kernel->ctl_name);
	char text[24] = "";
	unsigned int i;

	for (i = 0; at && i < sizeof(text) / 8; i++) {
		uint64_t part = read_at(r, at + 8 * i);

		memcpy(text + 8 * i, &part, 8);
	}
	return !strncmp(text, name, sizeof(text));
}

/* Is it, and where are the sysctls in its table? */
static bool is_it(const struct reader *r, uint64_t cnet, uint32_t *max, uint32_t *count)
{
	const struct bf_kernel *k = r->kernel;
	uint64_t header = read_at(r, cnet + k->cnet_sysctl);
	uint64_t table = header ? read_at(r, header + k->header_table) : 0;
	bool has_max = false;
	unsigned int i;

	for (i = 0; table && i < MAX_SYSCTLS; i++) {
		uint32_t data = i * k->ctl_size + k->ctl_data;

		if (has_name(r, table + i * k->ctl_size, "nf_conntrack_max")) {
			*max = data;
			has_max = true;
		} else if (read_at(r, table + data) == cnet + k->cnet_count) {
			*count = data;
			return has_max &&
			       has_name(r, table + i * k->ctl_size, "nf_conntrack_count");
		}
	}
	return false;
}

void bf_ct_pernet_find(struct bf_kernel *kernel)
{
	struct reader r = {.kernel = kernel};
	uint64_t net, gen, cnet;
	uint32_t i, n;

	kernel->has_ct_pernet = false;
	if (!kernel->has_tracked || !kernel->has_dev)
		return;
	r.prog = load_reader(kernel);
	if (r.prog < 0)
		return;
	net = read_at(&r, 0);
	gen = net ? read_at(&r, net + kernel->net_gen) : 0;
	n = gen ? read_at(&r, gen + kernel->gen_len) : 0;
	for (i = 0; i < n && i < MAX_POINTERS && !kernel->has_ct_pernet; i++) {
		kernel->ct_net = kernel->gen_ptr + 8 * i;
		cnet = read_at(&r, gen + kernel->ct_net);
		kernel->has_ct_pernet = cnet &&
					is_it(&r, cnet, &kernel->ct_at_max, &kernel->ct_at_count);
	}
	close(r.prog);
}
