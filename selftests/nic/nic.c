// SPDX-License-Identifier: GPL-2.0
/*
 * nic - what a network card, or who is behind it, does to packets:
 *
 * nic feature INTERFACE NAME on|off	as ethtool -K does, but with the kernel's names, as rx-vlan-stag-hw-parse
 * nic tag INTERFACE on|off		frames that leave by it have a tag (VLAN 5), as if the card were to write it
 * nic burst INTERFACE MAC ack|syn N	N times from 192.0.2.2:4000 to 192.0.2.1:99, at that MAC address, by a packet
 *					socket, in a row: data, a segment without data that has that flag alone, data
 * nic trailer INTERFACE MAC in|behind DATA	a datagram of so many bytes, and eight behind it; its checksum is yet to be put in
 *					it or behind it
 * nic odd INTERFACE MAC		what conntrack finds in order and what not, in the same way: odd.c
 * nic send INTERFACE MAC udp|FLAGS SPORT DPORT	one packet of those ports; FLAGS of TCP as a number
 * nic fill INTERFACE MAC DPORT N	N datagrams to that port, each of another address of 10/8
 * nic from INTERFACE MAC DPORT TOS	datagrams to that port, of the addresses on standard input, one a line
 * nic to INTERFACE MAC			a packet for each line on standard input: ADDRESS LENGTH TTL TOS DF udp|FLAGS DPORT
 * nic merge DPORT			a socket for datagrams to that port, that wants them merged (UDP_GRO), until killed; says "ready"
 * nic too-big INTERFACE MAC HOST TO SPORT MTU	an ICMP error to that host: its datagram from that port to that address was too
 *					big for a link with that MTU
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "odd.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* --- features ---------------------------------------------------------------------------------- */

static int call(int sk, const char *interface, void *request)
{
	struct ifreq ifr = {.ifr_data = request};

	strncpy(ifr.ifr_name, interface, IFNAMSIZ - 1);
	return ioctl(sk, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static int count_features(int sk, const char *interface, uint32_t *n)
{
	struct {
		struct ethtool_sset_info head;
		uint32_t n;
	} ask = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
	int err = call(sk, interface, &ask);

	*n = ask.n;
	return err;
}

/* Its number or -errno. */
static int find_feature(int sk, const char *interface, const char *name, uint32_t n)
{
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + n * ETH_GSTRING_LEN);
	int err;
	uint32_t i;

	if (!names)
		return -ENOMEM;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = n;
	err = call(sk, interface, names);
	for (i = 0; !err && i < n; i++)
		if (!strncmp((char *)names->data + i * ETH_GSTRING_LEN, name, ETH_GSTRING_LEN))
			break;
	free(names);
	return err ?: i < n ? (int)i : -ENOENT;
}

/* It must have the feature then, or have it not: else -EPERM. */
static int set_feature(const char *interface, const char *name, bool on)
{
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), number;
	struct {
		struct ethtool_sfeatures head;
		struct ethtool_set_features_block blocks[8];
	} set = {.head = {.cmd = ETHTOOL_SFEATURES}};
	struct {
		struct ethtool_gfeatures head;
		struct ethtool_get_features_block blocks[8];
	} get = {.head = {.cmd = ETHTOOL_GFEATURES}};
	uint32_t n = 0, bit;
	int err = sk < 0 ? -errno : count_features(sk, interface, &n);

	if (err)
		return err;
	number = find_feature(sk, interface, name, n);
	if (number < 0)
		return number;
	set.head.size = get.head.size = (n + 31) / 32;
	bit = 1U << number % 32;
	set.blocks[number / 32].valid = bit;
	set.blocks[number / 32].requested = on ? bit : 0;
	err = call(sk, interface, &set) ?: call(sk, interface, &get);
	close(sk);
	if (!err && !!(get.blocks[number / 32].active & bit) != on)
		err = -EPERM;
	return err;
}

/* --- tags -------------------------------------------------------------------------------------- */

static int load_tagger(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = htons(ETHERTYPE_VLAN)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 5},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = TC_ACT_OK},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "tagger", "GPL", insns, 5, NULL);
}

static int set_tag(const char *interface, bool on)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = if_nametoindex(interface),
		    .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	int err;

	if (!on) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		return bpf_tc_hook_destroy(&hook);
	}
	err = bpf_tc_hook_create(&hook);
	opts.prog_fd = load_tagger();
	return err ?: bpf_tc_attach(&hook, &opts);
}

/* Of a datagram that nic makes as it is on the wire. */
#define MAX_DATA 9000

/* --- segments ---------------------------------------------------------------------------------- */

static int send_segment(int sk, struct frame *f, uint32_t seq, bool syn, size_t data)
{
	size_t len = sizeof(f->tcp) + data;

	f->tcp.seq = htonl(seq);
	f->tcp.syn = syn;
	f->tcp.ack = !syn;
	f->tcp.check = 0;
	f->tcp.check = frame_check(f, len);
	return frame_send(sk, f, len);
}

static int burst(const char *interface, const char *mac, bool syn, int n)
{
	struct frame f;
	int sk = frame_open(&f, interface, mac), i, err = sk < 0 ? sk : 0;

	f.ip.protocol = IPPROTO_TCP;
	f.tcp = (struct tcphdr){
		.source = htons(4000), .dest = htons(99), .doff = 5, .window = htons(1000)};
	for (i = 0; i < n && !err; i++) {
		uint32_t seq = 1 + i * 100000;

		err = send_segment(sk, &f, seq, false, DATA) ?:
		      send_segment(sk, &f, seq + DATA, syn, 0) ?:
		      send_segment(sk, &f, seq + DATA, false, DATA);
	}
	if (sk >= 0)
		close(sk);
	return err;
}

/*
 * A datagram to port 10 whose checksum is to be made by the card: in the packet, or in what is behind it in the frame, with which
 * the stack discards it.
 */
static int send_trailer(const char *interface, const char *mac, bool behind, size_t data)
{
	struct {
		struct virtio_net_hdr vnet;
		struct frame f;
		char more[MAX_DATA];
	} __attribute__((packed)) out = {};
	const size_t header = FRAME_HEADERS, udp = sizeof(struct udphdr) + data, trailer = 8;
	int sk = frame_open(&out.f, interface, mac), one = 1, err = 0;

	if (sk < 0)
		return sk;
	if (data > MAX_DATA)
		return -EINVAL;
	out.vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	out.vnet.csum_start = header;
	out.vnet.csum_offset = behind ? udp + 2 : offsetof(struct udphdr, check);
	out.f.ip.protocol = IPPROTO_UDP;
	out.f.ip.tot_len = htons(sizeof(out.f.ip) + udp);
	out.f.ip.check = frame_fold(frame_add(&out.f.ip, sizeof(out.f.ip), 0));
	out.f.udp = (struct udphdr){.source = htons(5000), .dest = htons(10), .len = htons(udp)};
	if (setsockopt(sk, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    send(sk, &out, sizeof(out.vnet) + header + udp + trailer, 0) < 0)
		err = -errno;
	close(sk);
	return err;
}

/* Does not return unless that fails. */
static int merge(int dport)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(dport)};
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, err;

	if (sk >= 0 && !bind(sk, (struct sockaddr *)&at, sizeof(at)) &&
	    !setsockopt(sk, SOL_UDP, UDP_GRO, &one, sizeof(one))) {
		puts("ready");
		fflush(stdout);
		for (;;)
			pause();
	}
	err = -errno;
	if (sk >= 0)
		close(sk);
	return err;
}

int main(int argc, char **argv)
{
	int err = -EINVAL;

	if (argc == 5 && !strcmp(argv[1], "feature"))
		err = set_feature(argv[2], argv[3], !strcmp(argv[4], "on"));
	else if (argc == 4 && !strcmp(argv[1], "tag"))
		err = set_tag(argv[2], !strcmp(argv[3], "on"));
	else if (argc == 6 && !strcmp(argv[1], "burst"))
		err = burst(argv[2], argv[3], !strcmp(argv[4], "syn"), atoi(argv[5]));
	else if (argc == 6 && !strcmp(argv[1], "trailer"))
		err = send_trailer(argv[2], argv[3], !strcmp(argv[4], "behind"), atoi(argv[5]));
	else if (argc == 4 && !strcmp(argv[1], "odd"))
		err = send_odd(argv[2], argv[3]);
	else if (argc == 7 && !strcmp(argv[1], "send"))
		err = send_one(argv[2], argv[3], argv[4], atoi(argv[5]), atoi(argv[6]));
	else if (argc == 6 && !strcmp(argv[1], "fill"))
		err = send_many(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
	else if (argc == 6 && !strcmp(argv[1], "from"))
		err = send_from(argv[2], argv[3], atoi(argv[4]), strtol(argv[5], NULL, 0), stdin);
	else if (argc == 4 && !strcmp(argv[1], "to"))
		err = send_to(argv[2], argv[3], stdin);
	else if (argc == 8 && !strcmp(argv[1], "too-big"))
		err = send_too_big(argv[2], argv[3], argv[4], argv[5], atoi(argv[6]),
				   atoi(argv[7]));
	else if (argc == 3 && !strcmp(argv[1], "merge"))
		err = merge(atoi(argv[2]));
	if (err)
		fprintf(stderr, "nic %s: %s\n", argc > 1 ? argv[1] : "", strerror(-err));
	return err ? 1 : 0;
}
