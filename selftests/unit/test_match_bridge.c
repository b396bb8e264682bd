// SPDX-License-Identifier: GPL-2.0
/*
 * -m physdev, policy and devgroup in the running kernel, which are told by what hangs on a packet: the same
 * rules and frames at a bridge in a namespace where ip_tables runs them and at one in a namespace where
 * our program does (live.h). What is encrypted is in test_match_policy.c.
 */
/* Before the kernel's headers, which then leave out what it has. */
#include <net/if.h>

#include "live.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>

/*
 * far0 - tap0 -.      .- eth9 - far9
 *              br0 ---
 * far1 - tap1 -'
 *
 * Who is at the far ends is in the tables of neighbours and of the bridge.
 */
static const char setup[] =
	"set -e; sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 "
	"net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 "
	"net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0 "
	"net.bridge.bridge-nf-call-iptables=1;"
	"ip link add br0 address 02:00:00:00:00:b0 type bridge mcast_snooping 0;"
	"for i in tap0/far0 tap1/far1 eth9/far9; do "
	"	ip link add ${i%/*} type veth peer name ${i#*/};"
	"	ip link set ${i#*/} arp off up; done;"
	"ip link set eth9 address 02:00:00:00:00:e9;"
	"for i in tap0 tap1; do ip link set $i master br0; done;"
	"for i in br0 tap0 tap1 eth9; do ip link set $i up; done;"
	"ip addr add 10.5.0.1/24 dev br0; ip addr add 10.6.0.1/24 dev eth9;"
	"for i in 0 1; do bridge fdb add 02:00:00:00:00:a$i dev tap$i master static;"
	"	ip neigh add 10.5.0.1$i lladdr 02:00:00:00:00:a$i dev br0; done;"
	"ip neigh add 10.6.0.9 lladdr 02:00:00:00:00:a9 dev eth9";

#define MAC_BRIDGE 0xb0
#define MAC_ROUTER 0xe9
#define MAC_FAR(n) (0xa0 + (n))
#define MAC_ALL	   0xff

static const struct {
	const char *from;
	uint8_t mac;
	const char *saddr, *daddr;
} frames[] = {
	/* from port to port */
	{"far0", MAC_FAR(1), "10.5.0.10", "10.5.0.11"},
	{"far1", MAC_FAR(0), "10.5.0.11", "10.5.0.10"},
	/* out by the router, in by it */
	{"far0", MAC_BRIDGE, "10.5.0.10", "10.6.0.9"},
	{"far1", MAC_BRIDGE, "10.5.0.11", "10.6.0.9"},
	{"far9", MAC_ROUTER, "10.6.0.9", "10.5.0.10"},
	{"far9", MAC_ROUTER, "10.6.0.9", "10.5.0.11"},
	/* out by the port that they came in by, through the router */
	{"far0", MAC_BRIDGE, "10.6.0.7", "10.5.0.10"},
	/* to the host */
	{"far0", MAC_BRIDGE, "10.5.0.10", "10.5.0.1"},
	{"far1", MAC_BRIDGE, "10.5.0.11", "10.6.0.1"},
	{"far9", MAC_ROUTER, "10.6.0.9", "10.6.0.1"},
	/* to all */
	{"far1", MAC_ALL, "10.5.0.11", "10.5.0.255"},
};

/* From the far end. False if it does not leave. */
static bool send_frame(int ns, unsigned int i)
{
	struct {
		struct ethhdr eth;
		struct iphdr ip;
		uint8_t udp[8];
	} __attribute__((packed)) f = {
		.eth = {.h_dest = {2, 0, 0, 0, 0, frames[i].mac},
			.h_source = {2, 0, 0, 0, 0, MAC_FAR(frames[i].from[3] - '0')},
			.h_proto = htons(ETH_P_IP)},
		.ip = {.version = 4,
		       .ihl = 5,
		       .ttl = 64,
		       .protocol = IPPROTO_UDP,
		       .tot_len = htons(28),
		       .saddr = inet_addr(frames[i].saddr),
		       .daddr = inet_addr(frames[i].daddr)},
	};
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	uint32_t sum = 0, word;
	bool sent;
	int sk;

	if (frames[i].mac == MAC_ALL)
		memset(f.eth.h_dest, 0xff, ETH_ALEN);
	for (word = 0; word < 10; word++)
		sum += ((uint8_t *)&f.ip)[2 * word] << 8 | ((uint8_t *)&f.ip)[2 * word + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	f.ip.check = htons(~(sum + (sum >> 16)));
	memcpy(f.udp, udp, sizeof(f.udp));
	if (testnet_enter(ns))
		return false;
	to.sll_ifindex = if_nametoindex(frames[i].from);
	sk = socket(AF_PACKET, SOCK_RAW, 0);
	sent = sendto(sk, &f, sizeof(f), 0, (void *)&to, sizeof(to)) == sizeof(f);
	close(sk);
	return sent;
}

/* Every frame, and packets of the host's own to either port. */
static bool send_frames(FIXTURE_DATA(live) * self)
{
	const int ns[] = {self->theirs, self->ours};
	unsigned int i, j;
	bool sent = true;

	for (j = 0; j < ARRAY_SIZE(ns); j++) {
		for (i = 0; i < ARRAY_SIZE(frames); i++)
			sent &= send_frame(ns[j], i);
		for (i = 0; i < 2; i++) {
			uint8_t packet[sizeof(self->packets[0])];
			struct iphdr *ip = (void *)packet;

			memcpy(packet, self->packets[0], sizeof(packet));
			ip->saddr = inet_addr("10.5.0.1");
			ip->daddr = htonl(ntohl(inet_addr("10.5.0.10")) + i);
			sent &= !send_packet(self->raw[j], packet);
		}
	}
	return sent;
}

static const char *const names[][2] = {{"tap0", "tap1"}, {"tap+", "tap+"}, {"tap1", "tap0"},
				       {"br0", "eth9"},	 {"+", "+"},	   {"tap", "tap"},
				       {"tap0+", "t+"},	 {"nosuch0", "b+"}};

/* Every option absent, plain or inverted: one of 3^5 ways, the first of which is none of them. */
static char *add_rule(char *p, const char *chain, unsigned int way, const char *const name[2])
{
	static const char *const options[] = {"--physdev-in %s", "--physdev-out %s",
					      "--physdev-is-in", "--physdev-is-out",
					      "--physdev-is-bridged"};
	unsigned int i;

	p += sprintf(p, "-A %s -m physdev", chain);
	for (i = 0; i < ARRAY_SIZE(options); i++, way /= 3) {
		if (!(way % 3))
			continue;
		p += sprintf(p, way % 3 == 2 ? " ! " : " ");
		p += sprintf(p, options[i], i < 2 ? name[i] : "");
	}
	p += sprintf(p, "\n");
	return p;
}

/* May OUTPUT have it? Not what asks for the outgoing port, unless all must be bridged. */
static bool in_output(unsigned int way)
{
	bool out = way / 3 % 3 || way / 27 % 3;

	return !out || way / 81 == 1;
}

TEST_F(live, physdev)
{
	static const char *const chains[] = {"FORWARD", "INPUT", "OUTPUT"};
	unsigned int chain, way, round;
	uint64_t hits;

	if (!self->ready)
		return;
	if (!self->kernel.has_bridge || !self->kernel.has_br_netfilter)
		SKIP(return, "no br_netfilter");
	ASSERT_EQ(0, both_sh(self, setup));
	add_packet(self, 0, IPPROTO_UDP, udp, sizeof(udp));
	for (chain = 0; chain < ARRAY_SIZE(chains); chain++)
		for (round = 0; round < ARRAY_SIZE(names); round++) {
			char *p = self->rules;

			for (way = 1; way < 243; way++)
				if (chain < 2 || in_output(way))
					p = add_rule(p, chains[chain], way, names[round]);
			ASSERT_GT(self->rules + sizeof(self->rules), p);
			ASSERT_EQ(0, same_namespaces(self, variant));
			ASSERT_TRUE(send_frames(self));
			EXPECT_EQ(0U, compare_counters(self, &hits))
			TH_LOG("%s, names %u", chains[chain], round);
			EXPECT_LT(chain < 2 ? 100U : 20U, hits);
			unload(self);
		}
}

/* Of packets that have passed a bridge, which hang something else where IPsec's would be. */
TEST_F(live, policy)
{
	static const char *const chains[][2] = {
		{"INPUT", "in"}, {"FORWARD", "in"}, {"FORWARD", "out"}, {"OUTPUT", "out"}};
	static const char *const rest[] = {
		"--pol none",
		"--pol ipsec",
		"--pol ipsec --reqid 1",
		"--pol ipsec ! --proto esp ! --mode transport",
		"--pol ipsec --strict --proto esp --next ! --spi 7",
	};
	unsigned int i, j;
	uint64_t hits;
	char *p = self->rules;

	if (!self->ready)
		return;
	if (!self->kernel.has_xfrm || !self->kernel.has_br_netfilter)
		SKIP(return, "no IPsec, or no br_netfilter");
	ASSERT_EQ(0, both_sh(self, setup));
	add_packet(self, 0, IPPROTO_UDP, udp, sizeof(udp));
	for (i = 0; i < ARRAY_SIZE(chains); i++)
		for (j = 0; j < ARRAY_SIZE(rest); j++) {
			if (!strcmp(chains[i][1], "in") && strstr(rest[j], "--next"))
				continue; /* left to ip_tables */
			p += sprintf(p, "-A %s -m policy --dir %s %s\n", chains[i][0], chains[i][1],
				     rest[j]);
		}
	ASSERT_EQ(0, same_namespaces(self, variant));
	ASSERT_TRUE(send_frames(self));
	EXPECT_EQ(0U, compare_counters(self, &hits));
	EXPECT_LT(30U, hits);
}

/*
 * What the frames make of self->rules, with more set up in both namespaces: how many packets entry @entry
 * has counted, or UINT32_MAX if not all is well.
 */
static unsigned int compare(FIXTURE_DATA(live) * self, const FIXTURE_VARIANT(live) * variant,
			    const char *more, uint32_t entry)
{
	struct xt_counters own[64];
	uint64_t hits;

	if (both_sh(self, setup) || both_sh(self, more))
		return UINT32_MAX;
	add_packet(self, 0, IPPROTO_UDP, udp, sizeof(udp));
	if (same_namespaces(self, variant) || !send_frames(self))
		return UINT32_MAX;
	if (compare_counters(self, &hits) || self->loaded->table->num_entries > ARRAY_SIZE(own))
		return UINT32_MAX;
	bf_loaded_counters(self->loaded, own);
	return own[entry].pcnt;
}

/* Entries in front of it: so many rules of INPUT, and its policy. */
#define FIRST_OF_FORWARD(rules) ((rules) + 1)

TEST_F(live, devgroup)
{
	static const struct {
		const char *chain;
		const char *sides[2];
	} chains[] = {{"INPUT", {"src"}}, {"OUTPUT", {"dst"}}, {"FORWARD", {"src", "dst"}}};
	static const char *const groups[] = {"0", "7", "0x7fffffff", "0x3/0x3", "1/0x1", "0/0"};
	unsigned int i, j, k;
	char *p = self->rules;

	if (!self->ready)
		return;
	if (variant->attach != BF_ATTACH_LINK)
		SKIP(return, "no groups at the module's hooks");
	for (i = 0; i < ARRAY_SIZE(chains); i++)
		for (j = 0; j < 2 * ARRAY_SIZE(groups); j++)
			for (k = 0; k < 2 && chains[i].sides[k]; k++)
				p += sprintf(p, "-A %s -m devgroup %s --%s-group %s\n",
					     chains[i].chain, j & 1 ? "!" : "", chains[i].sides[k],
					     groups[j / 2]);
	p += sprintf(p, "-A FORWARD -m devgroup --src-group 7 ! --dst-group 7\n"
			"-A FORWARD -m devgroup ! --src-group 7 --dst-group 7\n");
	i = compare(self, variant, "ip link set br0 group 7; ip link set eth9 group 0x7fffffff",
		    FIRST_OF_FORWARD(2 * ARRAY_SIZE(groups)) + 4);
	EXPECT_NE(UINT32_MAX, i);
	EXPECT_LT(0U, i); /* from group 7 */
}

TEST_HARNESS_MAIN
