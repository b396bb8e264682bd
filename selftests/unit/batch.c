// SPDX-License-Identifier: GPL-2.0
#include "batch.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "asm.h"

/* What the driver returns if there is no program, or no packet. */
#define NOTHING 77

static void load_fd(struct bf_asm *a, int reg, int kind, int fd)
{
	bf_insn(a, (struct bpf_insn){.code = BPF_LD | BPF_DW | BPF_IMM,
				     .dst_reg = reg,
				     .src_reg = kind,
				     .imm = fd});
	bf_insn(a, (struct bpf_insn){});
}

/*
 *	i = state->next;
 *	if (i > BATCH_MAX)
 *		return NOTHING;
 *	state->marks[i] = skb->mark;
 *	if (i >= state->end || i >= BATCH_MAX)
 *		return NOTHING;
 *	state->next = i + 1;
 *	skb->mark = packets[i].mark;
 *	*(u64 *)&skb->cb[0] = state->packets + i * sizeof(*packets);
 *	tail_call(skb, programs, 0);
 *
 * r6 is the context, r7 the state, r8 is i.
 */
static void emit_driver(struct bf_asm *a, int programs, int packets, int state)
{
	int out = bf_asm_label(a);

	bf_mov(a, BPF_REG_6, BPF_REG_1);
	load_fd(a, BPF_REG_7, BPF_PSEUDO_MAP_VALUE, state);
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_7, offsetof(struct batch_state, next));
	bf_jifi(a, BPF_JGT, BPF_REG_8, BATCH_MAX, out);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, offsetof(struct __sk_buff, mark));
	bf_mov(a, BPF_REG_2, BPF_REG_8);
	bf_alui(a, BPF_LSH, BPF_REG_2, 2);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_7);
	bf_stx(a, BPF_W, BPF_REG_2, offsetof(struct batch_state, marks), BPF_REG_1);

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct batch_state, end));
	bf_jif(a, BPF_JGE, BPF_REG_8, BPF_REG_1, out);
	bf_jifi(a, BPF_JGE, BPF_REG_8, BATCH_MAX, out);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1);
	bf_stx(a, BPF_W, BPF_REG_7, offsetof(struct batch_state, next), BPF_REG_1);

	bf_alui(a, BPF_MUL, BPF_REG_8, sizeof(struct bpfilter_packet));
	load_fd(a, BPF_REG_1, BPF_PSEUDO_MAP_VALUE, packets);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_8);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_1, offsetof(struct bpfilter_packet, mark));
	bf_stx(a, BPF_W, BPF_REG_6, offsetof(struct __sk_buff, mark), BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_7, offsetof(struct batch_state, packets));
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_8);
	bf_stx(a, BPF_W, BPF_REG_6, offsetof(struct __sk_buff, cb[0]), BPF_REG_1);
	bf_alui(a, BPF_RSH, BPF_REG_1, 32);
	bf_stx(a, BPF_W, BPF_REG_6, offsetof(struct __sk_buff, cb[1]), BPF_REG_1);

	bf_mov(a, BPF_REG_1, BPF_REG_6);
	load_fd(a, BPF_REG_2, BPF_PSEUDO_MAP_FD, programs);
	bf_movi(a, BPF_REG_3, 0);
	bf_helper(a, BPF_FUNC_tail_call);
	bf_asm_here(a, out);
	bf_movi(a, BPF_REG_0, NOTHING);
	bf_exit(a);
}

static int load(struct bf_asm *a)
{
	int prog = bf_asm_finish(a);

	if (!prog)
		prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "batch", "GPL", a->insns, a->nr_insns,
				     NULL);
	bf_asm_free(a);
	return prog;
}

static int load_driver(struct batch *b, int packets, int state)
{
	const struct bf_kernel kernel = {};
	struct bf_asm a;

	bf_asm_init(&a, &kernel);
	emit_driver(&a, b->programs, packets, state);
	return load(&a);
}

/* @mark receives the packet's in the end; may be NULL. */
static int test_run(const struct batch *b, int prog, uint32_t repeat, uint32_t *mark)
{
	struct __sk_buff out = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = b->data, .data_size_in = b->data_len,
		    .ctx_out = &out, .ctx_size_out = sizeof(out), .repeat = repeat);

	if (bpf_prog_test_run_opts(prog, &opts))
		return -errno;
	if (mark)
		*mark = out.mark;
	return opts.retval;
}

/* state->packets = packets, seen from the kernel */
static int store_address(struct batch *b, int packets, int state)
{
	const struct bf_kernel kernel = {};
	struct bf_asm a;
	int err, prog;

	bf_asm_init(&a, &kernel);
	load_fd(&a, BPF_REG_1, BPF_PSEUDO_MAP_VALUE, packets);
	load_fd(&a, BPF_REG_2, BPF_PSEUDO_MAP_VALUE, state);
	bf_stx(&a, BPF_DW, BPF_REG_2, offsetof(struct batch_state, packets), BPF_REG_1);
	bf_movi(&a, BPF_REG_0, 0);
	bf_exit(&a);
	prog = load(&a);
	if (prog < 0)
		return prog;
	err = test_run(b, prog, 1, NULL);
	close(prog);
	return err;
}

static void *map_array(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

#define PACKETS_SIZE (BATCH_MAX * sizeof(struct bpfilter_packet))

static int open_maps(struct batch *b, int packets, int state)
{
	int err;

	if (packets < 0 || state < 0 || b->programs < 0)
		return -errno;
	b->packets = map_array(packets, PACKETS_SIZE);
	b->state = map_array(state, sizeof(*b->state));
	if (!b->packets || !b->state)
		return -ENOMEM;
	err = store_address(b, packets, state);
	if (err)
		return err;
	b->driver = load_driver(b, packets, state);
	return b->driver < 0 ? b->driver : 0;
}

int batch_open(struct batch *b, const void *data, uint32_t data_len)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int err, packets, state;

	*b = (struct batch){.driver = -1, .data = data, .data_len = data_len};
	b->programs = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "programs", sizeof(uint32_t),
				     sizeof(uint32_t), 1, NULL);
	packets = bpf_map_create(BPF_MAP_TYPE_ARRAY, "packets", sizeof(uint32_t), PACKETS_SIZE, 1,
				 &opts);
	state = bpf_map_create(BPF_MAP_TYPE_ARRAY, "batch_state", sizeof(uint32_t),
			       sizeof(*b->state), 1, &opts);
	err = open_maps(b, packets, state);
	close(packets);
	close(state);
	if (err)
		batch_close(b);
	return err;
}

void batch_close(struct batch *b)
{
	if (b->packets)
		munmap(b->packets, PACKETS_SIZE);
	if (b->state)
		munmap(b->state, sizeof(*b->state));
	b->packets = NULL;
	b->state = NULL;
	close(b->programs);
	close(b->driver);
}

int batch_aim(struct batch *b, int prog)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(b->programs, &zero, &prog, BPF_ANY) ? -errno : 0;
}

int batch_run(struct batch *b, uint32_t first, uint32_t nr)
{
	uint32_t mark_before = b->state->marks[first];
	int verdict;

	b->state->next = first;
	b->state->end = first + nr;
	verdict = test_run(b, b->driver, nr, &b->state->marks[first + nr]);
	b->state->marks[first] = mark_before;
	return b->state->next == first + nr || verdict < 0 ? verdict : -EIO;
}
