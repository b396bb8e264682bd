// SPDX-License-Identifier: GPL-2.0
/*
 * What programs at interfaces remember of the FIB's answers: none is given a second time once it may be another. Every
 * kind of change is made to the routing of a namespace in which the answer is remembered, and the next packet
 * must go where it then belongs: the counters of a table without rules tell its chain.
 */
#include <net/if.h> /* before the kernel's headers */

#include "blob.h"
#include "sandbox.h"
#include "testnet.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "env.h"
#include "kselftest_harness.h"
#include "load.h"
#include "program.h"

/*
 * Entries of make_table(): a rule that nothing meets, between the policies, which are what the packets end at. And what
 * passes without being counted.
 */
enum chain { INPUT, RULE, FORWARD, OUTPUT, NONE };

static const enum bf_attach attaches[] = {BF_ATTACH_TC, BF_ATTACH_XDP};

FIXTURE(route)
{
	struct sandbox s;
	struct bf_kernel kernel;
	int devs, maps[BF_NR_MAPS];
	uint32_t stride;
	int progs[ARRAY_SIZE(attaches)];
};

/*
 * Whether programs may read the interface's structure; if not, nothing is remembered, and all is as it is else. Whether
 * the table looks at the interface that a packet leaves by.
 */
FIXTURE_VARIANT(route)
{
	bool without_dev, output;
};
FIXTURE_VARIANT_ADD(route, remembered){.output = false};
FIXTURE_VARIANT_ADD(route, with_output){.output = true};
FIXTURE_VARIANT_ADD(route, asked){.without_dev = true};

#define NETWORK                                                                                    \
	"ip link add in0 address 02:00:00:00:00:01 type veth peer name in1 && "                    \
	"ip link add out0 type veth peer name out1 && "                                            \
	"for i in in0 in1 out0 out1; do ip link set $i up || exit 1; done && "                     \
	"ip addr add 10.9.1.1/24 dev in0 && ip addr add 10.9.2.1/24 dev out0 && "                  \
	"echo 1 >/proc/sys/net/ipv4/ip_forward && "

#define THERE "10.9.3.0/24"
#define VIA   "via 10.9.2.2"

static struct bf_table *make_table(bool output)
{
	struct bf_table *table;
	struct blob b = {};
	struct ipt_ip *ip;

	blob_empty_hook(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_hook(&b, NF_INET_FORWARD);
	ip = blob_begin(&b);
	if (output) {
		strcpy(ip->outiface, "none");
		memset(ip->outiface_mask, 0xff, sizeof("none"));
	} else {
		ip->src.s_addr = ip->smsk.s_addr = UINT32_MAX;
	}
	blob_end(&b, BLOB_DROP);
	blob_policy(&b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	table = blob_table(&b);
	blob_free(&b);
	return table;
}

static int load(FIXTURE_DATA(route) * self, bool output)
{
	struct bf_table *table = make_table(output);
	struct bf_program *p = NULL;
	struct bf_why why = {};
	unsigned int i;
	int m, err = table ? 0 : -ENOMEM;

	for (i = 0; i < ARRAY_SIZE(attaches) && !err; i++) {
		err = bf_compile(table, &self->kernel, attaches[i], BF_FORM_AUTO, 0, &p, &why);
		for (m = 0; !err && !i && m < BF_NR_MAPS; m++) {
			self->maps[m] = -1;
			if (m == BF_MAP_DEVS)
				self->maps[m] = self->devs;
			else if (p->maps[m].max_entries)
				self->maps[m] = bf_array_create(p->maps[m].name,
								p->maps[m].value_size,
								p->maps[m].max_entries);
		}
		if (!err)
			self->progs[i] = bf_load_program("test", p, self->maps, &why);
		if (!err) {
			err = self->progs[i] < 0 ? self->progs[i] : 0;
			self->stride = p->stride;
			bf_program_free(p);
		}
	}
	if (err)
		printf("# %d %s\n", err, why.text);
	bf_table_free(table);
	return err;
}

static int add_dev(int devs, const char *name)
{
	struct bf_dev dev = {.mac = {2, 0, 0, 0, 0, 1}};
	uint32_t index = if_nametoindex(name);

	strcpy(dev.name, name);
	return bpf_map_update_elem(devs, &index, &dev, BPF_ANY);
}

FIXTURE_SETUP(route)
{
	int err = sandbox_enter(&self->s);

	if (err)
		SANDBOX_SKIP(&self->s);
	bf_env_kernel(self->s.env, &self->kernel);
	if (variant->without_dev)
		self->kernel.has_dev = false;
	ASSERT_EQ(0, testnet_sh(self->s.netns, NETWORK "ip route add " THERE " " VIA));
	self->devs = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_devs", sizeof(uint32_t),
				    sizeof(struct bf_dev), BF_MAX_DEVS, NULL);
	ASSERT_LE(0, self->devs);
	ASSERT_EQ(0, add_dev(self->devs, "in0"));
	ASSERT_EQ(0, add_dev(self->devs, "out0"));
	ASSERT_EQ(0, load(self, variant->output));
}

FIXTURE_TEARDOWN(route)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(self->progs); i++)
		close(self->progs[i]);
	for (i = 0; i < BF_NR_MAPS; i++)
		if (self->maps[i] >= 0)
			close(self->maps[i]);
	sandbox_leave(&self->s);
}

/* A frame that arrives at in0, to an address of the network behind out0 if not another. */
struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	uint8_t payload[26];
} __attribute__((packed));

static struct frame make_frame(uint32_t daddr, uint8_t tos)
{
	struct frame f = {
		.eth = {.h_dest = {2, 0, 0, 0, 0, 1}, .h_proto = htons(ETH_P_IP)},
		.ip = {.version = 4,
		       .ihl = 5,
		       .tos = tos,
		       .tot_len = htons(46),
		       .ttl = 64,
		       .protocol = IPPROTO_UDP,
		       .saddr = htonl(0x0a090105),
		       .daddr = htonl(daddr)},
	};
	uint16_t words[10];
	uint32_t sum = 0;
	int i;

	memcpy(words, &f.ip, sizeof(words));
	for (i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	f.ip.check = ~((sum & 0xffff) + (sum >> 16));
	return f;
}

static void count(FIXTURE_DATA(route) * self, uint64_t *packets)
{
	struct xt_counters one;
	uint32_t cpu, n, key;

	memset(packets, 0, NONE * sizeof(*packets));
	for (cpu = 0; cpu < self->kernel.cpus; cpu++)
		for (n = 0; n < NONE; n++) {
			key = cpu * self->stride + n;
			if (!bpf_map_lookup_elem(self->maps[BF_MAP_COUNTERS], &key, &one))
				packets[n] += one.pcnt;
		}
}

/* The chain that program @i gives the frame to. It passes in any case. */
static enum chain chain_of(FIXTURE_DATA(route) * self, unsigned int i, const struct frame *f)
{
	uint32_t ifindex = if_nametoindex("in0");
	struct __sk_buff skb = {.ifindex = ifindex, .cb = {BF_TC_INGRESS}};
	struct xdp_md xdp = {.data_end = sizeof(*f), .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f, .data_size_in = sizeof(*f),
		    .ctx_in = i ? (void *)&xdp : &skb,
		    .ctx_size_in = i ? sizeof(xdp) : sizeof(skb));
	uint64_t before[NONE], after[NONE];
	enum chain c;

	count(self, before);
	if (bpf_prog_test_run_opts(self->progs[i], &opts))
		return -errno;
	count(self, after);
	for (c = INPUT; c < NONE && after[c] == before[c]; c++)
		;
	return c;
}

/* All programs give packets to @daddr with that TOS to @chain, the first one and the next. */
static bool goes_with(FIXTURE_DATA(route) * self, uint32_t daddr, uint8_t tos, enum chain chain)
{
	struct frame f = make_frame(daddr, tos);
	bool ok = true;
	unsigned int n;

	for (n = 0; n < 4; n++) {
		enum chain c = chain_of(self, n % 2, &f);

		if (c != chain)
			printf("# program %u, packet %u: chain %d\n", n % 2, n / 2, c);
		ok &= c == chain;
	}
	return ok;
}

#define ADDRESS 0x0a090307

static bool goes(FIXTURE_DATA(route) * self, enum chain chain)
{
	return goes_with(self, ADDRESS, 0, chain);
}

/* A change, what it makes of the packets, and how it is undone. */
struct change {
	const char *make, *undo;
	enum chain chain;
};

TEST_F(route, changes)
{
	static const struct change changes[] = {
		{"ip route del " THERE, "ip route add " THERE " " VIA, INPUT},
		{"ip route add blackhole 10.9.3.7", "ip route del blackhole 10.9.3.7", NONE},
		{"ip route add unreachable 10.9.3.7", "ip route del unreachable 10.9.3.7", NONE},
		{"ip route add prohibit 10.9.3.0/29", "ip route del prohibit 10.9.3.0/29", NONE},
		{"ip route replace prohibit " THERE, "ip route replace " THERE " " VIA, NONE},
		{"ip route add local 10.9.3.7 dev lo", "ip route del local 10.9.3.7 dev lo", INPUT},
		{"ip addr add 10.9.3.7/32 dev lo", "ip addr del 10.9.3.7/32 dev lo", INPUT},
		{"ip addr add 10.9.3.1/29 dev in0", "ip addr del 10.9.3.1/29 dev in0", INPUT},
		{"echo 0 >/proc/sys/net/ipv4/ip_forward", "echo 1 >/proc/sys/net/ipv4/ip_forward",
		 INPUT},
		{"echo 0 >/proc/sys/net/ipv4/conf/in0/forwarding",
		 "echo 1 >/proc/sys/net/ipv4/conf/in0/forwarding", INPUT},
		{"ip link set out0 down", "ip link set out0 up && ip route add " THERE " " VIA,
		 INPUT},
		{"ip nexthop add id 1 " VIA " dev out0 && ip route replace " THERE
		 " nhid 1 && ip nexthop replace id 1 blackhole",
		 "ip nexthop replace id 1 " VIA " dev out0", NONE},
		{"ip nexthop del id 1", "ip route add " THERE " " VIA, INPUT},
		{"ip link add d0 type veth peer name d1 && ip link set d0 up && "
		 "ip addr add 10.9.3.7/32 dev d0",
		 "ip link del d0", INPUT},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		const struct change *c = &changes[i];
		/* An address of the subnet is forwarded, but its broadcast address is the machine's. */
		bool subnet = strstr(c->make, "/29 dev");

		EXPECT_TRUE(goes(self, FORWARD)) TH_LOG("before %s", c->make);
		ASSERT_EQ(0, testnet_sh(self->s.netns, "%s", c->make)) TH_LOG("%s", c->make);
		EXPECT_TRUE(goes(self, c->chain)) TH_LOG("%s", c->make);
		EXPECT_TRUE(!subnet || goes_with(self, ADDRESS - 1, 0, FORWARD));
		ASSERT_EQ(0, testnet_sh(self->s.netns, "%s", c->undo)) TH_LOG("%s", c->undo);
	}
	EXPECT_TRUE(goes(self, FORWARD));
}

/* The kernel does not count a change of the next hop in a group. */
TEST_F(route, what_passes_is_not_remembered)
{
	ASSERT_EQ(0, testnet_sh(self->s.netns,
				"ip nexthop add id 1 blackhole && ip nexthop add id 2 group 1 && "
				"ip route replace " THERE " nhid 2"));
	EXPECT_TRUE(goes(self, NONE));
	ASSERT_EQ(0, testnet_sh(self->s.netns, "ip nexthop replace id 1 " VIA " dev out0"));
	EXPECT_TRUE(goes(self, FORWARD));
}

/* More than the address decides. */
TEST_F(route, what_is_not_remembered)
{
	EXPECT_TRUE(goes_with(self, ADDRESS, 0x10, FORWARD));
	ASSERT_EQ(0, testnet_sh(self->s.netns, "ip route add blackhole " THERE " tos 0x10"));
	EXPECT_TRUE(goes_with(self, ADDRESS, 0x10, NONE));
	EXPECT_TRUE(goes_with(self, ADDRESS, 0, FORWARD));
	EXPECT_TRUE(goes_with(self, ADDRESS, 0x10, NONE));
	ASSERT_EQ(0, testnet_sh(self->s.netns, "ip rule add from 10.9.1.5 prio 1 blackhole"));
	EXPECT_TRUE(goes(self, NONE));
	ASSERT_EQ(0, testnet_sh(self->s.netns, "ip rule del prio 1 && ip rule add from 10.9.1.6 "
					       "prio 1 blackhole"));
	EXPECT_TRUE(goes(self, FORWARD));
}

/* Addresses that share an entry have each its own answer. */
TEST_F(route, addresses)
{
	const uint32_t mask = (1 << BF_ROUTE_BITS) - 1;
	uint32_t low = ADDRESS & mask, high = ADDRESS >> BF_ROUTE_BITS, i, other;

	for (i = 1; i < 200; i++) {
		other = (high + i) << BF_ROUTE_BITS | (low ^ high ^ (high + i));
		ASSERT_TRUE(goes_with(self, other, 0, INPUT)) TH_LOG("%x", other);
		ASSERT_TRUE(goes(self, FORWARD)) TH_LOG("after %x", other);
	}
}

/* The one change that the kernel does not count, for long. */
TEST_F(route, time_ends_them)
{
	EXPECT_TRUE(goes(self, FORWARD));
	ASSERT_EQ(0, testnet_sh(self->s.netns, "ip link set out1 down"));
	EXPECT_TRUE(goes(self, FORWARD));
	ASSERT_EQ(0, testnet_sh(self->s.netns,
				"for i in all out0; do echo 1 "
				">/proc/sys/net/ipv4/conf/$i/ignore_routes_with_linkdown; done"));
	usleep(2100000);
	EXPECT_TRUE(goes(self, INPUT));
}

/* The same programs in a namespace with other routes. */
TEST_F(route, another_namespace)
{
	int netns, i;

	EXPECT_TRUE(goes(self, FORWARD));
	netns = testnet_new();
	ASSERT_LE(0, netns);
	/* As many changes as in the first. */
	ASSERT_EQ(0, testnet_sh(netns, NETWORK "ip route add local " THERE " dev lo"));
	ASSERT_EQ(0, testnet_enter(netns));
	ASSERT_EQ(0, add_dev(self->devs, "in0"));
	ASSERT_EQ(0, add_dev(self->devs, "out0"));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, testnet_enter(netns));
		EXPECT_TRUE(goes(self, INPUT));
		ASSERT_EQ(0, testnet_enter(self->s.netns));
		EXPECT_TRUE(goes(self, FORWARD));
	}
	close(netns);
}

TEST_HARNESS_MAIN
