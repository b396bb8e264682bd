// SPDX-License-Identifier: GPL-2.0
/*
 * Packets of which only the IP header lies in one piece: what is behind it has to be fetched from
 * pages. The kernel's own ip_tables and ours count the same packets.
 */
#include "life.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_table.h"
#include "kselftest_harness.h"
#include "testnet.h"

#define ADDRESS 0x0a090901 /* 10.9.9.1 */
#define PORT	4711
/* Longer than a page, or the kernel would put all of it into one piece. */
#define LENGTH	5000
#define RULES	6

struct __attribute__((packed)) frame {
	struct virtio_net_hdr vnet;
	struct ethhdr eth;
	uint8_t ip[LENGTH];
};

FIXTURE(paged)
{
	struct life l;
	struct blob table;
	int sk;
};

static void port_rule(struct blob *b, uint8_t proto, unsigned int port, uint8_t option)
{
	const struct xt_tcp tcp = {.spts = {0, 65535},
				   .dpts = {port, port},
				   .flg_mask = 0x3f,
				   .flg_cmp = 2,
				   .option = option};
	const struct xt_udp udp = {.spts = {0, 65535}, .dpts = {port, port}};

	blob_begin(b)->proto = proto;
	if (proto == IPPROTO_TCP)
		blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
	else
		blob_match(b, "udp", 0, &udp, sizeof(udp));
	blob_end(b, BLOB_NEXT);
}

static void make_rules(struct blob *b)
{
	const struct xt_multiport_v1 mp = {
		.count = 1, .ports = {PORT + 1}, .flags = XT_MULTIPORT_SOURCE};
	const struct ipt_icmp icmp = {.type = 8, .code = {0, 0}};

	blob_hook(b, NF_INET_LOCAL_IN);
	port_rule(b, IPPROTO_UDP, PORT, 0);
	port_rule(b, IPPROTO_UDP, PORT + 1, 0);
	port_rule(b, IPPROTO_TCP, PORT, 0);
	port_rule(b, IPPROTO_TCP, PORT, 2);
	blob_begin(b)->proto = IPPROTO_SCTP;
	blob_match(b, "multiport", 1, &mp, sizeof(mp));
	blob_end(b, BLOB_NEXT);
	blob_begin(b)->proto = IPPROTO_ICMP;
	blob_match(b, "icmp", 0, &icmp, sizeof(icmp));
	blob_end(b, BLOB_NEXT);
	/* No packet that arrived is answered. */
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_DROP);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(b);
}

static int packet_socket(void)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_ifindex = 1 /* lo */};
	int one = 1, sk = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (sk >= 0 && (setsockopt(sk, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
			bind(sk, (struct sockaddr *)&addr, sizeof(addr)))) {
		close(sk);
		sk = -1;
	}
	return sk;
}

FIXTURE_SETUP(paged)
{
	int err = life_begin(&self->l, LINKS);

	memset(&self->table, 0, sizeof(self->table));
	self->sk = -1;
	if (err == 1)
		LIFE_SKIP("%s", self->l.s.why);
	ASSERT_EQ(0, err) TH_LOG("%s %s", self->l.s.why, self->l.why.text);
	ASSERT_EQ(0, testnet_sh(self->l.s.netns, "ip addr add 10.9.9.1/32 dev lo"));
	self->sk = packet_socket();
	if (self->sk < 0)
		SKIP(return, "no packet sockets with virtio headers");
	make_rules(&self->table);
}

FIXTURE_TEARDOWN(paged)
{
	if (self->sk >= 0)
		close(self->sk);
	blob_free(&self->table);
	life_end(&self->l);
}

static uint16_t checksum(const uint8_t *p, unsigned int len)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < len; i += 2)
		sum += p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/*
 * Of which @linear bytes, from the IP header, are in one piece. What is behind the @len bytes
 * that the header tells of is cut off before a hook sees the packet.
 */
static int send_packet(int sk, uint8_t proto, unsigned int header, unsigned int linear,
		       unsigned int len)
{
	struct frame f = {.vnet.hdr_len = ETH_HLEN + linear, .eth.h_proto = htons(ETH_P_IP)};
	uint32_t from = htonl(0x0a080808), to = htonl(ADDRESS);
	uint8_t *l4 = f.ip + header;

	f.ip[0] = 0x40 | header / 4;
	put16(f.ip + 2, len);
	f.ip[8] = 64;
	f.ip[9] = proto;
	memcpy(f.ip + 12, &from, 4);
	memcpy(f.ip + 16, &to, 4);
	memset(f.ip + 20, 1, header - 20); /* options: no operation */
	put16(f.ip + 10, checksum(f.ip, header));
	put16(l4, proto == IPPROTO_ICMP ? 8 << 8 : PORT + 1);
	put16(l4 + 2, proto == IPPROTO_ICMP ? 0 : PORT);
	l4[12] = 0x60;
	l4[13] = 2;
	l4[20] = 2; /* maximum segment size */
	l4[21] = 4;
	return send(sk, &f, sizeof(f), 0) == sizeof(f) ? 0 : -errno;
}

static const uint8_t protocols[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_SCTP, IPPROTO_ICMP, 77};

/* All ways for the header to lie in memory. */
static int send_long(int sk)
{
	unsigned int i, header, linear;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(protocols); i++)
		for (header = 20; header <= 60; header += 20)
			for (linear = header; linear <= header + 24; linear++)
				err = err ?: send_packet(sk, protocols[i], header, linear, LENGTH);
	usleep(5000);
	return err;
}

/* Packets that end within their headers, or right behind. */
static int send_short(int sk)
{
	unsigned int i, len, linear;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(protocols); i++)
		for (len = 20; len <= 45; len++)
			for (linear = 20; linear <= 40; linear += 10)
				err = err ?: send_packet(sk, protocols[i], 20, linear, len);
	usleep(5000);
	return err;
}

static void show(const char *what, const struct xt_counters *c)
{
	unsigned int i;

	printf("# %s:", what);
	for (i = 0; i <= RULES; i++)
		printf(" %llu", c[i].pcnt);
	printf("\n");
}

/* The counters of our table and of the kernel's for the same packets. */
static bool count(FIXTURE_DATA(paged) * self, int (*send_all)(int sk), struct xt_counters **kernels,
		  struct xt_counters **ours)
{
	if (bf_kernel_replace(self->l.sk, self->table.data, self->table.len, NULL, NULL) ||
	    send_all(self->sk) || life_replace(&self->l, &self->table, kernels) ||
	    !bf_filter_is_ours(self->l.f) || send_all(self->sk) ||
	    life_replace(&self->l, &self->table, ours))
		return false;
	show("ip_tables", *kernels);
	show("ours", *ours);
	return true;
}

TEST_F(paged, headers_in_pages)
{
	struct xt_counters *kernels, *ours;
	unsigned int i;

	ASSERT_TRUE(count(self, send_long, &kernels, &ours));
	EXPECT_EQ(0, memcmp(kernels, ours, (RULES + 1) * sizeof(*ours)));
	/* each rule but the second has its packets: 3 header lengths, 25 ways to lie in memory */
	for (i = 0; i < RULES; i++)
		EXPECT_EQ(i == 1 ? 0U : 75U, kernels[i].pcnt) TH_LOG("rule %u", i);
	EXPECT_EQ(5U * 75, kernels[RULES].pcnt);
	free(kernels);
	free(ours);
}

TEST_F(paged, headers_that_are_cut_short)
{
	struct xt_counters *kernels, *ours;

	ASSERT_TRUE(count(self, send_short, &kernels, &ours));
	EXPECT_EQ(0, memcmp(kernels, ours, (RULES + 1) * sizeof(*ours)));
	/*
	 * 3 ways to lie in memory, and lengths up to 45: UDP has a header from 28 on, TCP from 40
	 */
	EXPECT_EQ(3U * 18, kernels[0].pcnt);
	EXPECT_EQ(3U * 6, kernels[2].pcnt);
	EXPECT_EQ(3U * 22, kernels[4].pcnt);
	EXPECT_EQ(3U * 18, kernels[5].pcnt);
	free(kernels);
	free(ours);
}

TEST_HARNESS_MAIN
