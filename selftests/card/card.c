// SPDX-License-Identifier: GPL-2.0
/*
 * card INTERFACE SOURCE PORT N - N UDP frames from that address, to that port, reach a simulated network card
 *
 * netdevsim takes programs and runs none. So the instructions that it was given are taken off it again and run by the
 * machine, on maps that are its copy of the card's; what they count is added to the card's own. Frames that they
 * let up are run through the program that is in the driver, as a driver would. Prints what became of all of
 * them: "card" (dropped there), "driver" (dropped there) or "up".
 *
 * card INTERFACE - is there a program on it? Exit status 0 if so.
 *
 * card INTERFACE take | give | hold - put another program on it, which passes everything; take that off again; or have one
 * there for as long as standard input is open
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_INSNS  65536
#define FRAME_SIZE 75 /* 33 bytes of a packet, and something behind it */

/**
 * struct card - a program taken off it
 * @map: its own counters; @copy: the machine's
 * @size: bytes of all of them; @entries: elements
 */
struct card {
	struct bpf_insn insns[MAX_INSNS];
	uint32_t nr_insns;
	int map, copy;
	uint32_t value_size, entries;
};

static void die(const char *what)
{
	fprintf(stderr, "card: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void open_map(struct card *c, uint32_t id)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	c->map = bpf_map_get_fd_by_id(id);
	if (c->map < 0 || bpf_obj_get_info_by_fd(c->map, &info, &len))
		die("its map");
	if (!info.ifindex || strcmp(info.name, "bf_offloaded"))
		die("its map is not the card's");
	c->value_size = info.value_size;
	c->entries = info.max_entries;
	c->copy = bpf_map_create(BPF_MAP_TYPE_ARRAY, "copy", 4, info.value_size, info.max_entries,
				 NULL);
	if (c->copy < 0)
		die("a copy of its map");
}

/*
 * As they were loaded, but for references to maps, which are ids, and the number of the one helper that is called, which
 * is its place in the kernel. False: it is another one, which passes everything.
 */
static bool take_off(struct card *c, uint32_t id)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info), maps[2] = {}, i;
	int fd = bpf_prog_get_fd_by_id(id);

	info.xlated_prog_len = sizeof(c->insns);
	info.xlated_prog_insns = (uintptr_t)c->insns;
	info.nr_map_ids = 2;
	info.map_ids = (uintptr_t)maps;
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		die("the program on the card");
	if (!info.ifindex || info.nr_map_ids > 1)
		die("the program is not the card's");
	if (!info.nr_map_ids)
		return false;
	c->nr_insns = info.xlated_prog_len / sizeof(c->insns[0]);
	open_map(c, maps[0]);
	for (i = 0; i < c->nr_insns; i++) {
		struct bpf_insn *insn = &c->insns[i];

		if (insn->code == (BPF_JMP | BPF_CALL)) {
			insn->imm = BPF_FUNC_map_lookup_elem;
		} else if (insn->code == (BPF_LD | BPF_DW | BPF_IMM)) {
			if (insn->src_reg == BPF_PSEUDO_MAP_FD)
				insn->imm = c->copy;
			i++;
		}
	}
	return true;
}

/* What the copy has counted is the card's, too. */
static void give_back(struct card *c)
{
	uint64_t *own = malloc(c->value_size), *copy = malloc(c->value_size);
	uint32_t key, i;

	for (key = 0; key < c->entries; key++) {
		if (bpf_map_lookup_elem(c->map, &key, own) ||
		    bpf_map_lookup_elem(c->copy, &key, copy))
			die("counters");
		for (i = 0; i < c->value_size / sizeof(*own); i++)
			own[i] += copy[i];
		if (bpf_map_update_elem(c->map, &key, own, BPF_ANY))
			die("counters");
	}
	free(own);
	free(copy);
}

static void read_mac(const char *name, uint8_t *mac)
{
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = {};

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (sk < 0 || ioctl(sk, SIOCGIFHWADDR, &ifr))
		die(name);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	close(sk);
}

static void make_frame(uint8_t *f, const char *interface, const char *source, int port)
{
	static const uint8_t ip[] = {0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17};
	static const uint8_t dest[] = {192, 0, 2, 1};
	uint32_t sum = 0, i;

	memset(f, 0, FRAME_SIZE);
	read_mac(interface, f);
	f[6] = 2;
	f[12] = ETH_P_IP >> 8;
	memcpy(f + 14, ip, sizeof(ip));
	if (inet_pton(AF_INET, source, f + 26) != 1)
		die(source);
	memcpy(f + 30, dest, sizeof(dest));
	for (i = 14; i < 34; i += 2)
		sum += f[i] << 8 | f[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f[24] = sum >> 8;
	f[25] = sum;
	f[36] = port >> 8;
	f[37] = port;
	f[39] = 13;
}

static int run(int prog, int ifindex, const uint8_t *frame, int n)
{
	struct xdp_md xdp = {.data_end = FRAME_SIZE, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = FRAME_SIZE,
		    .ctx_in = &xdp, .ctx_size_in = sizeof(xdp), .repeat = n);

	if (prog < 0 || bpf_prog_test_run_opts(prog, &opts))
		die("a test run");
	return opts.retval;
}

static int load_other(int ifindex)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_ifindex = ifindex);
	int prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", pass, 2, &opts);

	if (prog < 0)
		die("a program for the card");
	return prog;
}

static int other(int ifindex, const char *what)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_HW_MODE);
	char byte;

	if (!strcmp(what, "give"))
		errno = -bpf_xdp_detach(ifindex, XDP_FLAGS_HW_MODE, NULL);
	else if (!strcmp(what, "take"))
		errno = -bpf_xdp_attach(ifindex, load_other(ifindex), XDP_FLAGS_HW_MODE, NULL);
	else
		errno = bpf_link_create(load_other(ifindex), ifindex, BPF_XDP, &opts) < 0 ? errno
											  : 0;
	if (errno)
		die(what);
	if (!strcmp(what, "hold"))
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	return 0;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, ids);
	LIBBPF_OPTS(bpf_prog_load_opts, xdp, .expected_attach_type = BPF_XDP);
	static struct card card;
	uint8_t frame[FRAME_SIZE];
	int ifindex, prog, n;

	if (argc < 2 || argc > 5 || argc == 4) {
		fprintf(stderr, "usage: card INTERFACE [take | give | hold | SOURCE PORT N]\n");
		return 2;
	}
	ifindex = if_nametoindex(argv[1]);
	if (!ifindex || bpf_xdp_query(ifindex, 0, &ids))
		die(argv[1]);
	if (argc == 2)
		return !ids.hw_prog_id;
	if (argc == 3)
		return other(ifindex, argv[2]);
	n = atoi(argv[4]);
	make_frame(frame, argv[1], argv[2], atoi(argv[3]));
	if (ids.hw_prog_id && take_off(&card, ids.hw_prog_id)) {
		prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "copy", "GPL", card.insns, card.nr_insns,
				     &xdp);
		if (run(prog, ifindex, frame, n) == XDP_DROP) {
			give_back(&card);
			puts("card");
			return 0;
		}
	}
	prog = bpf_prog_get_fd_by_id(ids.drv_prog_id);
	puts(run(prog, ifindex, frame, n) == XDP_DROP ? "driver" : "up");
	return 0;
}
