// SPDX-License-Identifier: GPL-2.0
#include "teller.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What nobody asked for: a value that nothing has. */
#define NONSENSE 0xa5

static int test_run(int prog, struct bpf_test_run_opts *opts)
{
	return bpf_prog_test_run_opts(prog, opts) ? -errno : (int)opts->retval;
}

/* A program that stores the address of the map's value in that value. */
static int store_address(int map)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = 1,
		 .src_reg = BPF_PSEUDO_MAP_VALUE,
		 .imm = map},
		{},
		{.code = BPF_STX | BPF_DW | BPF_MEM, .dst_reg = 1, .src_reg = 1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	uint8_t frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	int err, prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "address", "GPL", insns,
				      ARRAY_SIZE(insns), NULL);

	if (prog < 0)
		return -errno;
	err = test_run(prog, &opts);
	close(prog);
	return err;
}

int teller_open(struct teller *t)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int err, map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "packet", sizeof(uint32_t),
				      sizeof(*t->packet), 1, &opts);

	t->packet = NULL;
	if (map < 0)
		return -errno;
	t->packet = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	err = t->packet == MAP_FAILED ? -ENOMEM : store_address(map);
	close(map);
	if (err) {
		t->packet = NULL;
		return err;
	}
	memcpy(&t->address, t->packet, sizeof(t->address));
	return 0;
}

void teller_close(struct teller *t)
{
	if (t->packet)
		munmap(t->packet, sysconf(_SC_PAGESIZE));
	t->packet = NULL;
}

/* The types that need no routing table; all other addresses are somebody else's. */
static uint8_t type_of(uint32_t addr)
{
	if (!addr || addr == UINT32_MAX)
		return 3; /* RTN_BROADCAST */
	return addr >> 28 == 14 ? 5 /* RTN_MULTICAST */ : 1 /* RTN_UNICAST */;
}

static void tell(const struct teller *t, const struct packet *p, uint32_t want)
{
	struct bpfilter_packet *told = t->packet;
	uint32_t key[BF_NR_FIELDS];
	unsigned int dir, dev;

	packet_key(p, key);
	memset(told, NONSENSE, sizeof(*told));
	memcpy(told, key, 4 * (want & BPFILTER_WANT_CT ? BF_NR_FIELDS : BF_CT_STATE));
	memcpy(told->known, t->known, sizeof(told->known));
	memcpy(told->yes, t->yes, sizeof(told->yes));
	/* In a test run the Ethernet header is part of the packet. */
	told->thoff = ETH_HLEN + (p->data[0] & 15) * 4;
	for (dir = 0; dir < 2; dir++)
		for (dev = 0; dev < 3; dev++)
			if (want & BPFILTER_WANT_TYPE(dir, dev))
				told->addr_type[dir][dev] =
					p->types[dir][dev]
						?: type_of(key[dir ? BF_DADDR : BF_SADDR]);
}

int teller_run(const struct teller *t, int prog, uint32_t want, const struct packet *p,
	       uint32_t *mark, unsigned int repeat, uint32_t *ns)
{
	struct __sk_buff in = {.mark = p->mark, .cb = {t->address, t->address >> 32}}, out = {};
	uint8_t frame[ETH_HLEN + PACKET_MAX] = {[12] = ETH_P_IP >> 8, [13] = ETH_P_IP & 0xff};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out), .data_in = frame,
		    .data_size_in = p->len + ETH_HLEN, .repeat = repeat);
	int ret;

	memcpy(frame + ETH_HLEN, p->data, p->len);
	tell(t, p, want);
	ret = test_run(prog, &opts);
	*mark = out.mark;
	if (t->notes)
		memcpy(t->notes, &out.cb[2], 3 * sizeof(*t->notes));
	if (ns)
		*ns = opts.duration;
	return ret;
}
