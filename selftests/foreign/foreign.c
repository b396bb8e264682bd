// SPDX-License-Identifier: GPL-2.0
/*
 * foreign xdp|clsact INTERFACE attach|detach|is: somebody else's program at an interface, which lets all pass.
 *
 * is: exit status 0 if it is there.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int load(enum bpf_prog_type type, int ret)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = ret},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(type, "foreign", "GPL", insns, 2, NULL);
}

static bool is_foreign(uint32_t id)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) && !strcmp(info.name, "foreign");
}

static int xdp(int ifindex, const char *what)
{
	uint32_t id = 0;

	if (!strcmp(what, "attach"))
		return bpf_xdp_attach(ifindex, load(BPF_PROG_TYPE_XDP, XDP_PASS), 0, NULL);
	if (!strcmp(what, "detach"))
		return bpf_xdp_detach(ifindex, 0, NULL);
	return bpf_xdp_query_id(ifindex, 0, &id) || !is_foreign(id);
}

static int clsact(int ifindex, const char *what)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 7);
	int err;

	if (!strcmp(what, "attach")) {
		err = bpf_tc_hook_create(&hook);
		if (err && err != -EEXIST)
			return err;
		opts.prog_fd = load(BPF_PROG_TYPE_SCHED_CLS, TC_ACT_OK);
		return bpf_tc_attach(&hook, &opts);
	}
	if (!strcmp(what, "detach"))
		return bpf_tc_detach(&hook, &opts);
	return bpf_tc_query(&hook, &opts) || !is_foreign(opts.prog_id);
}

int main(int argc, char **argv)
{
	int ifindex = argc == 4 ? if_nametoindex(argv[2]) : 0, err;

	if (!ifindex) {
		fprintf(stderr, "usage: foreign xdp|clsact INTERFACE attach|detach|is\n");
		return 2;
	}
	err = strcmp(argv[1], "xdp") ? clsact(ifindex, argv[3]) : xdp(ifindex, argv[3]);
	if (err < 0)
		fprintf(stderr, "%s %s %s: %s\n", argv[1], argv[2], argv[3], strerror(-err));
	return err ? 1 : 0;
}
