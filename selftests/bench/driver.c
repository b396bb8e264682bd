// SPDX-License-Identifier: GPL-2.0
#include "driver.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "asm.h"
#include "frames.h"
#include "uapi/bpfilter.h"

/**
 * struct shared - what the driver's program works with
 * @next: number of the packet whose turn it is
 * @packet: where the table's program finds it
 */
struct shared {
	uint64_t next;
	uint64_t address; /* of this structure in the kernel */
	struct bpfilter_packet packet __attribute__((aligned(64)));
};

struct driver {
	const struct key *keys;
	uint32_t n;
	int keys_map, names_map, shared_map, progs_map, prog;
	struct key *ring; /* keys_map */
	struct shared *shared;
};

/* One value of @size bytes, mapped to @memory: a program can be given the address of that only. */
static int array(const char *name, size_t size, void *memory)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), size, 1, &opts);
	void *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	*(void **)memory = p;
	return fd;
}

void map_value(struct bf_asm *a, int dst, int map, int off)
{
	bf_insn(a, (struct bpf_insn){.code = BPF_LD | BPF_DW | BPF_IMM,
				     .dst_reg = dst,
				     .src_reg = BPF_PSEUDO_MAP_VALUE,
				     .imm = map});
	bf_insn(a, (struct bpf_insn){.imm = off});
}

/* Two words of the packet at once: *(u64 *)(r6 + to) = r1 | r2 << 32 */
static void store_pair(struct bf_asm *a, int to)
{
	bf_alui(a, BPF_LSH, BPF_REG_2, 32);
	bf_alu(a, BPF_OR, BPF_REG_1, BPF_REG_2);
	bf_stx(a, BPF_DW, BPF_REG_6, to, BPF_REG_1);
}

#define KEY(member)    offsetof(struct key, member)
#define PACKET(member) (int)offsetof(struct bpfilter_packet, member)

/* The name of interface number r1: 16 bytes of the map, checked for the verifier. */
static void copy_name(struct bf_asm *a, const struct driver *d, uint32_t names, int to)
{
	int ok = bf_asm_label(a);

	bf_jifi(a, BPF_JLT, BPF_REG_1, names, ok);
	bf_movi(a, BPF_REG_1, 0);
	bf_asm_here(a, ok);
	bf_alui(a, BPF_LSH, BPF_REG_1, 4);
	map_value(a, BPF_REG_2, d->names_map, 0);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_2, 0);
	bf_stx(a, BPF_DW, BPF_REG_6, to, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_2, 8);
	bf_stx(a, BPF_DW, BPF_REG_6, to + 8, BPF_REG_1);
}

/*
 * r6 is the struct bpfilter_packet, r8 the key. What is the same for all packets, fragoff and hook, has
 * been filled in before.
 */
static void copy_key(struct bf_asm *a, const struct driver *d, uint32_t names)
{
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_8, KEY(saddr));
	bf_stx(a, BPF_DW, BPF_REG_6, PACKET(saddr), BPF_REG_1);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, KEY(proto));
	bf_stx(a, BPF_DW, BPF_REG_6, PACKET(protocol), BPF_REG_1);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_8, KEY(len));
	bf_mov(a, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_SUB, BPF_REG_1, 20);
	store_pair(a, PACKET(l4len));
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, KEY(mark));
	bf_movi(a, BPF_REG_2, NF_INET_FORWARD);
	store_pair(a, PACKET(mark));
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_8, KEY(sport));
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_8, KEY(dport));
	store_pair(a, PACKET(sport));
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_8, KEY(icmp));
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_8, KEY(tcp_flags));
	store_pair(a, PACKET(icmp));
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_8, KEY(in));
	copy_name(a, d, names, PACKET(in));
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_8, KEY(out));
	copy_name(a, d, names, PACKET(out));
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, KEY(ct_state));
	bf_stx(a, BPF_DW, BPF_REG_6, PACKET(ct_state), BPF_REG_1);
}

/*
 *	r8 = &keys[next];
 *	next = (next + 1) & (n - 1);
 *	copy_key();
 *	tail_call(ctx, progs, 0);
 */
static int load_driver(const struct driver *d, uint32_t names)
{
	struct bf_kernel none = {};
	struct bf_asm a;
	int fd, err;

	bf_asm_init(&a, &none);
	bf_mov(&a, BPF_REG_7, BPF_REG_1);
	map_value(&a, BPF_REG_6, d->shared_map, 0);
	bf_ldx(&a, BPF_DW, BPF_REG_1, BPF_REG_6, offsetof(struct shared, next));
	bf_alui(&a, BPF_AND, BPF_REG_1, d->n - 1);
	bf_mov(&a, BPF_REG_2, BPF_REG_1);
	bf_alui(&a, BPF_ADD, BPF_REG_2, 1);
	bf_stx(&a, BPF_DW, BPF_REG_6, offsetof(struct shared, next), BPF_REG_2);
	map_value(&a, BPF_REG_8, d->keys_map, 0);
	bf_alui(&a, BPF_LSH, BPF_REG_1, 5);
	bf_alu(&a, BPF_ADD, BPF_REG_8, BPF_REG_1);
	bf_alui(&a, BPF_ADD, BPF_REG_6, offsetof(struct shared, packet));
	copy_key(&a, d, names);
	bf_mov(&a, BPF_REG_1, BPF_REG_7);
	bf_insn(&a, (struct bpf_insn){.code = BPF_LD | BPF_DW | BPF_IMM,
				      .dst_reg = BPF_REG_2,
				      .src_reg = BPF_PSEUDO_MAP_FD,
				      .imm = d->progs_map});
	bf_insn(&a, (struct bpf_insn){});
	bf_movi(&a, BPF_REG_3, 0);
	bf_helper(&a, BPF_FUNC_tail_call);
	bf_movi(&a, BPF_REG_0, -1);
	bf_exit(&a);
	err = bf_asm_finish(&a);
	fd = err
		     ?: bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "driver", "GPL", a.insns, a.nr_insns,
				      NULL);
	bf_asm_free(&a);
	return err ?: fd < 0 ? -errno : fd;
}

static double thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* What the program returned, or -errno; @ns receives how long one of its runs took. */
static int run_timed(int prog, struct bpf_test_run_opts *opts, double *ns)
{
	double start = thread_ns();
	int err = bpf_prog_test_run_opts(prog, opts) ? -errno : 0;

	*ns = (thread_ns() - start) / opts->repeat;
	return err ?: (int)opts->retval;
}

static int run(int prog, uint64_t address, uint32_t repeat, double *ns)
{
	struct __sk_buff in = {.cb = {address, address >> 32}};
	uint8_t frame[64] = {[12] = ETH_P_IP >> 8, [ETH_HLEN] = 0x45};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .data_in = frame, .data_size_in = sizeof(frame), .repeat = repeat);

	return run_timed(prog, &opts, ns);
}

/* A program that stores the address of the map's value in that value. */
static int find_address(const struct driver *d)
{
	struct bf_kernel none = {};
	struct bf_asm a;
	double ns;
	int fd, err;

	bf_asm_init(&a, &none);
	map_value(&a, BPF_REG_1, d->shared_map, 0);
	bf_stx(&a, BPF_DW, BPF_REG_1, offsetof(struct shared, address), BPF_REG_1);
	bf_movi(&a, BPF_REG_0, 0);
	bf_exit(&a);
	err = bf_asm_finish(&a);
	fd = err
		     ?: bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "address", "GPL", a.insns,
				      a.nr_insns, NULL);
	bf_asm_free(&a);
	if (fd < 0)
		return err ?: -errno;
	err = run(fd, 0, 1, &ns);
	close(fd);
	return err;
}

static int make_maps(struct driver *d, const struct set *s)
{
	char(*names)[16];

	d->keys_map = array("keys", sizeof(struct key) * d->n, &d->ring);
	d->names_map = array("names", sizeof(*names) * s->nr_devices, &names);
	d->shared_map = array("shared", sizeof(struct shared), &d->shared);
	d->progs_map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "progs", 4, 4, 1, NULL);
	if (d->keys_map < 0 || d->names_map < 0 || d->shared_map < 0 || d->progs_map < 0)
		return -ENOMEM;
	memcpy(names, s->devices, s->nr_devices * sizeof(*names));
	munmap(names, s->nr_devices * sizeof(*names));
	return 0;
}

struct driver *driver_make(const struct set *s, const struct key *keys, uint32_t n)
{
	struct driver *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		abort();
	*d = (struct driver){.keys = keys, .n = n, .prog = -1};
	err = make_maps(d, s) ?: find_address(d);
	if (!err) {
		d->prog = load_driver(d, s->nr_devices);
		err = d->prog < 0 ? d->prog : 0;
	}
	if (err) {
		fprintf(stderr, "bench: the driver cannot be loaded: %s\n", strerror(-err));
		driver_free(d);
		return NULL;
	}
	driver_set(d, NULL);
	return d;
}

void driver_free(struct driver *d)
{
	int fds[] = {d->keys_map, d->names_map, d->shared_map, d->progs_map, d->prog};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (d->ring)
		munmap(d->ring, sizeof(*d->ring) * d->n);
	if (d->shared)
		munmap(d->shared, sizeof(*d->shared));
	free(d);
}

void driver_set(struct driver *d, const uint32_t *order)
{
	uint32_t i;

	for (i = 0; i < d->n; i++)
		d->ring[i] = d->keys[order ? order[i] : i];
	d->shared->next = 0;
}

int driver_choose(struct driver *d, const struct bf_loaded *loaded)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(d->progs_map, &zero, &loaded->prog, BPF_ANY) ? -errno : 0;
}

static uint64_t packet_address(const struct driver *d)
{
	return d->shared->address + offsetof(struct shared, packet);
}

int driver_one(struct driver *d)
{
	double ns;

	return run(d->prog, packet_address(d), 1, &ns);
}

double driver_run(struct driver *d, uint32_t n)
{
	double ns;
	int ret = run(d->prog, packet_address(d), n, &ns);

	return ret < 0 ? ret : ns;
}

/* struct nf_hook_state, as the context of a test run */
struct hook_state {
	uint8_t hook, pf;
	void *pointers[5];
};

double link_run(int prog, const struct key *key, uint32_t n, int *verdict)
{
	struct hook_state state = {.hook = NF_INET_FORWARD, .pf = NFPROTO_IPV4};
	struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &state, .ctx_size_in = sizeof(state),
		    .data_in = frame.data, .data_size_in = FRAME_LEN, .repeat = n);
	double ns;

	frame_make(&frame, key);
	*verdict = run_timed(prog, &opts, &ns);
	return *verdict < 0 ? *verdict : ns;
}
