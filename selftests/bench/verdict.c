// SPDX-License-Identifier: GPL-2.0
/* See verdict.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <unistd.h>

#include "array.h"
#include "verdict.h"

int verdict_load(enum bpf_prog_type type, int verdict)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .prog_flags = type == BPF_PROG_TYPE_XDP ? BPF_F_XDP_HAS_FRAGS : 0);
	int fd = bpf_prog_load(type, "verdict", "GPL", insns, ARRAY_SIZE(insns), &opts);

	return fd < 0 ? -errno : fd;
}

int verdict_attach_xdp(int ifindex, int verdict)
{
	int fd = verdict_load(BPF_PROG_TYPE_XDP, verdict), err;

	if (fd < 0)
		return fd;
	err = bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL);
	close(fd);
	return err;
}
