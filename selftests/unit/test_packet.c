// SPDX-License-Identifier: GPL-2.0
/*
 * Programs at interfaces, run on one frame at a time by BPF_PROG_TEST_RUN in a namespace with interfaces,
 * addresses and routes: which chain has the packet, which interfaces it sees, what passes uncounted, and
 * what is dropped because it cannot be told what it is.
 *
 * Each table is loaded four times: both forms, for tc and XDP. The two of a form share their maps.
 */
#include <net/if.h> /* before the kernel's headers */

#include "dice.h"
#include "blob.h"
#include "sandbox.h"
#include "testnet.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/icmp.h>
#include <linux/ip.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "btf.h"
#include "env.h"
#include "kselftest_harness.h"
#include "load.h"
#include "program.h"

#define FRAME_MAX 2048

/* A program of each kind of hook and of each form. */
enum { TC_STRAIGHT, XDP_STRAIGHT, TC_RECORDS, XDP_RECORDS, PROGRAMS };

static const enum bf_attach attaches[] = {BF_ATTACH_TC, BF_ATTACH_XDP};
static const enum bf_form forms[] = {BF_FORM_STRAIGHT, BF_FORM_RECORDS};

/* @len bytes from @eth on; the IP header is aligned. */
struct frame {
	uint32_t len;
	uint8_t pad[2];
	struct ethhdr eth;
	struct iphdr ip;
	uint8_t rest[FRAME_MAX];
};

static uint8_t *bytes_of(struct frame *f)
{
	return (uint8_t *)f + offsetof(struct frame, eth);
}

static uint8_t *l4_of(struct frame *f)
{
	return bytes_of(f) + ETH_HLEN + f->ip.ihl * 4;
}

FIXTURE(packet)
{
	struct sandbox s;
	struct bf_kernel kernel;
	int devs;
	unsigned int in, out;
	uint8_t mac[ETH_ALEN];
	struct blob b;
	struct bf_program *programs[PROGRAMS];
	int maps[ARRAY_SIZE(forms)][BF_NR_MAPS];
	int progs[PROGRAMS];
};

/* With all that the kernel lets programs read, and as on one that lets them read less (6.1). */
FIXTURE_VARIANT(packet)
{
	bool without_dev;
};
FIXTURE_VARIANT_ADD(packet, new){.without_dev = false};
FIXTURE_VARIANT_ADD(packet, old){.without_dev = true};

/* in0 and out0 have peers here as well, so that they have carriers; nothing answers there. */
static int make_network(int netns)
{
	return testnet_sh(netns,
			  "ip link add in0 type veth peer name in1 && "
			  "ip link add out0 type veth peer name out1 && "
			  "for i in in0 in1 out0 out1; do ip link set $i up || exit 1; done && "
			  "ip addr add 10.9.1.1/24 dev in0 && ip addr add 10.9.2.1/24 dev out0 && "
			  "ip route add 10.9.3.0/24 via 10.9.2.2 && "
			  "ip route add blackhole 10.9.66.0/24 && "
			  "ip route add unreachable 10.9.67.0/24 && "
			  "ip route add prohibit 10.9.68.0/24 && "
			  "echo 1 >/proc/sys/net/ipv4/ip_forward");
}

static int read_mac(const char *name, uint8_t *mac)
{
	char path[64], text[32];
	unsigned int b[ETH_ALEN], i;
	FILE *f;
	int n = 0;

	(void)path;
	snprintf(path, sizeof(path), "ip -br link show dev %s", name);
	f = popen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%*s %*s %31s", text) == 1)
		n = sscanf(text, "%x:%x:%x:%x:%x:%x", b, b + 1, b + 2, b + 3, b + 4, b + 5);
	pclose(f);
	for (i = 0; i < ETH_ALEN && n == ETH_ALEN; i++)
		mac[i] = b[i];
	return n == ETH_ALEN ? 0 : -1;
}

static int add_dev(int devs, const char *name, uint16_t flags)
{
	struct bf_dev dev = {.flags = flags};
	uint32_t index = if_nametoindex(name);

	strcpy(dev.name, name);
	if (strcmp(name, "lo") && read_mac(name, dev.mac))
		return -1;
	return bpf_map_update_elem(devs, &index, &dev, BPF_ANY);
}

/* Where it is a module its types are not there before. */
#define LOAD_CONNTRACK "modprobe -q nf_conntrack"

/*
 * What is known of a kernel that has neither netfilter links nor the module: no place for a helper (yet),
 * but for these programs.
 */
static int kernel_alone(FIXTURE_DATA(packet) * self)
{
	self->s.netns = testnet_new();
	testnet_sh(self->s.netns, LOAD_CONNTRACK);
	self->kernel.cpus = libbpf_num_possible_cpus();
	self->kernel.hz = 250;
	bf_btf_read(&self->kernel, NULL);
	return self->s.netns < 0 ? -1 : 0;
}

FIXTURE_SETUP(packet)
{
	int err = sandbox_enter(&self->s);

	memset(&self->kernel, 0, sizeof(self->kernel));
	if (err == 1 && !geteuid()) {
		err = kernel_alone(self);
	} else if (!err) {
		testnet_sh(self->s.netns, LOAD_CONNTRACK);
		bf_env_kernel(self->s.env, &self->kernel);
	}
	if (err == 1)
		SANDBOX_SKIP(&self->s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->s.why);
	if (variant->without_dev)
		self->kernel.has_dev = false;
	self->devs = -1;
	memset(self->progs, -1, sizeof(self->progs));
	memset(self->maps, -1, sizeof(self->maps));
	ASSERT_EQ(0, make_network(self->s.netns));
	self->in = if_nametoindex("in0");
	self->out = if_nametoindex("out0");
	self->devs = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_devs", sizeof(uint32_t),
				    sizeof(struct bf_dev), BF_MAX_DEVS, NULL);
	ASSERT_LE(0, self->devs);
	ASSERT_EQ(0, add_dev(self->devs, "lo", 0));
	ASSERT_EQ(0, add_dev(self->devs, "in0", 0));
	ASSERT_EQ(0, add_dev(self->devs, "out0", 0));
	ASSERT_EQ(0, read_mac("in0", self->mac));
}

static void unload(FIXTURE_DATA(packet) * self)
{
	unsigned int i, m;

	for (i = 0; i < PROGRAMS; i++) {
		if (self->progs[i] >= 0)
			close(self->progs[i]);
		self->progs[i] = -1;
		bf_program_free(self->programs[i]);
		self->programs[i] = NULL;
	}
	for (i = 0; i < ARRAY_SIZE(forms); i++)
		for (m = 0; m < BF_NR_MAPS; m++) {
			if (m != BF_MAP_DEVS && self->maps[i][m] >= 0)
				close(self->maps[i][m]);
			self->maps[i][m] = -1;
		}
	blob_free(&self->b);
}

FIXTURE_TEARDOWN(packet)
{
	unload(self);
	if (self->devs >= 0)
		close(self->devs);
	sandbox_leave(&self->s);
}

static int make_maps(FIXTURE_DATA(packet) * self, unsigned int form)
{
	const struct bf_program *p = self->programs[2 * form];
	int *maps = self->maps[form], m;

	for (m = 0; m < BF_NR_MAPS; m++) {
		const struct bf_map_def *def = &p->maps[m];

		if (m == BF_MAP_DEVS)
			maps[m] = self->devs;
		else if (def->max_entries)
			maps[m] = bf_array_create(def->name, def->value_size, def->max_entries);
		else
			continue;
		if (maps[m] < 0 || (m != BF_MAP_DEVS && bf_array_fill(maps[m], def, true)))
			return -1;
	}
	return 0;
}

static int compile(FIXTURE_DATA(packet) * self, enum bf_attach attach, enum bf_form form,
		   struct bf_program **program, struct bf_why *why)
{
	struct bf_table *table = blob_table(&self->b);
	int err = table ? bf_compile(table, &self->kernel, attach, form,
				     self->s.env ? bf_env_jiffies(self->s.env) : 0, program, why)
			: -EINVAL;

	bf_table_free(table);
	return err;
}

/* The table in @b, whose conditions are the same at both kinds of hooks. */
static bool load_table(FIXTURE_DATA(packet) * self)
{
	unsigned int i;

	for (i = 0; i < PROGRAMS; i++) {
		struct bf_why why = {};
		int err = compile(self, attaches[i % 2], forms[i / 2], &self->programs[i], &why);

		if (!err && i % 2 == 0)
			err = make_maps(self, i / 2);
		if (!err) {
			self->progs[i] =
				bf_load_program("test", self->programs[i], self->maps[i / 2], &why);
			err = self->progs[i] < 0 ? self->progs[i] : 0;
		}
		if (err) {
			printf("# program %u: %d %s\n", i, err, why.text);
			return false;
		}
	}
	return true;
}

static int run_tc(int prog, unsigned int ifindex, unsigned int end, uint32_t mark,
		  const struct frame *f)
{
	struct __sk_buff skb = {.ifindex = ifindex, .mark = mark, .cb = {end}};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &f->eth, .data_size_in = f->len,
		    .ctx_in = &skb, .ctx_size_in = sizeof(skb));

	return bpf_prog_test_run_opts(prog, &opts) ? -errno : (int)opts.retval;
}

static int run_xdp(int prog, unsigned int ifindex, const struct frame *f)
{
	struct xdp_md xdp = {.data_end = f->len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &f->eth, .data_size_in = f->len,
		    .ctx_in = &xdp, .ctx_size_in = sizeof(xdp));

	return bpf_prog_test_run_opts(prog, &opts) ? -errno : (int)opts.retval;
}

/* The sum over all CPUs of entry @n. */
static struct xt_counters counter(FIXTURE_DATA(packet) * self, unsigned int i, uint32_t n)
{
	const struct bf_program *p = self->programs[i];
	int fd = self->maps[i / 2][BF_MAP_COUNTERS];
	struct xt_counters sum = {}, one;
	uint32_t cpu, key;

	for (cpu = 0; cpu < self->kernel.cpus; cpu++) {
		key = cpu * p->stride + n;
		if (!bpf_map_lookup_elem(fd, &key, &one)) {
			sum.pcnt += one.pcnt;
			sum.bcnt += one.bcnt;
		}
	}
	return sum;
}

#define ENTRIES 16
#define NONE	UINT32_MAX

enum verdict { DROPS, PASSES };

/*
 * Does program @i do that to the frame, and count it in entry @n and no other, with @bytes? Says what it
 * did if not.
 */
static bool does(FIXTURE_DATA(packet) * self, unsigned int i, unsigned int ifindex,
		 unsigned int end, uint32_t mark, const struct frame *f, enum verdict verdict,
		 uint32_t n, uint32_t bytes)
{
	static const int returns[2][2] = {{TC_ACT_SHOT, TC_ACT_UNSPEC}, {XDP_DROP, XDP_PASS}};
	struct xt_counters before[ENTRIES], after;
	bool ok = true;
	uint32_t k;
	int ret;

	for (k = 0; k < ENTRIES; k++)
		before[k] = counter(self, i, k);
	ret = i % 2 ? run_xdp(self->progs[i], ifindex, f)
		    : run_tc(self->progs[i], ifindex, end, mark, f);
	if (ret != returns[i % 2][verdict]) {
		printf("# program %u: returns %d\n", i, ret);
		ok = false;
	}
	for (k = 0; k < ENTRIES; k++) {
		after = counter(self, i, k);
		after.pcnt -= before[k].pcnt;
		after.bcnt -= before[k].bcnt;
		if (after.pcnt == (k == n) && after.bcnt == (k == n ? bytes : 0))
			continue;
		printf("# program %u: entry %u counts [%llu:%llu]\n", i, k,
		       (unsigned long long)after.pcnt, (unsigned long long)after.bcnt);
		ok = false;
	}
	return ok;
}

static uint32_t ip_len(const struct frame *f)
{
	return ntohs(f->ip.tot_len);
}

/* All programs, on what arrives at in0. */
static bool arrives(FIXTURE_DATA(packet) * self, const struct frame *f, enum verdict verdict,
		    uint32_t n)
{
	bool ok = true;
	unsigned int i;

	for (i = 0; i < PROGRAMS; i++)
		ok &= does(self, i, self->in, BF_TC_INGRESS, 0, f, verdict, n, ip_len(f));
	return ok;
}

/* What leaves by an interface. */
static bool leaves(FIXTURE_DATA(packet) * self, unsigned int ifindex, const struct frame *f,
		   enum verdict verdict, uint32_t n)
{
	return does(self, TC_STRAIGHT, ifindex, BF_TC_EGRESS, 0, f, verdict, n, ip_len(f)) &
	       does(self, TC_RECORDS, ifindex, BF_TC_EGRESS, 0, f, verdict, n, ip_len(f));
}

static void fix_sum(struct frame *f)
{
	struct iphdr *ip = &f->ip;
	uint16_t words[30];
	uint32_t sum = 0;
	int i;

	ip->check = 0;
	memcpy(words, bytes_of(f) + ETH_HLEN, ip->ihl * 4);
	for (i = 0; i < ip->ihl * 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~((sum & 0xffff) + (sum >> 16));
}

/* To in0's address, with @payload bytes behind an IP header of @ihl words, and padded if short. */
static struct frame make_frame(FIXTURE_DATA(packet) * self, uint8_t protocol, uint32_t daddr,
			       unsigned int ihl, unsigned int payload)
{
	struct frame f = {.len = ETH_HLEN + ihl * 4 + payload};
	struct iphdr *ip = &f.ip;

	memcpy(f.eth.h_dest, self->mac, ETH_ALEN);
	f.eth.h_source[0] = 2;
	f.eth.h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = ihl;
	ip->tot_len = htons(ihl * 4 + payload);
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->saddr = htonl(0x0a090105);
	ip->daddr = htonl(daddr);
	memset(f.rest, IPOPT_NOP, (ihl - 5) * 4);
	fix_sum(&f);
	if (f.len < ETH_ZLEN)
		f.len = ETH_ZLEN;
	return f;
}

static void set_ports(struct frame *f, uint16_t sport, uint16_t dport)
{
	uint16_t ports[] = {htons(sport), htons(dport)};

	memcpy(l4_of(f), ports, sizeof(ports));
}

static struct frame udp_frame(FIXTURE_DATA(packet) * self, uint32_t daddr, uint16_t dport)
{
	struct frame f = make_frame(self, IPPROTO_UDP, daddr, 5, 31);

	set_ports(&f, 4000, dport);
	l4_of(&f)[5] = 31;
	return f;
}

#define HERE	  0x0a090101
#define FORWARDED 0x0a090307

static void match_udp(struct blob *b, uint16_t dport)
{
	struct xt_udp udp = {.spts = {0, 65535}, .dpts = {dport, dport}};

	blob_match(b, "udp", 0, &udp, sizeof(udp));
}

static struct ipt_ip *begin_udp(struct blob *b, uint16_t dport)
{
	struct ipt_ip *ip = blob_begin(b);

	ip->proto = IPPROTO_UDP;
	match_udp(b, dport);
	return &blob_entry(b, b->rule)->ip;
}

static void name(char *iface, unsigned char *mask, const char *value)
{
	strcpy(iface, value);
	memset(mask, 0xff, strlen(value) + 1);
}

/* Entries of basic_table(). */
enum { IN_53, IN_OTHER, IN_POLICY, FWD_53, FWD_OTHER, FWD_POLICY, OUT_53, OUT_POLICY };

/*
 * INPUT	-i in0 -p udp --dport 53 -j DROP; -i other -j DROP; policy ACCEPT
 * FORWARD	-i in0 -o out0 -p udp --dport 53 -j DROP; -o other -j DROP; policy ACCEPT
 * OUTPUT	-o out0 -p udp --dport 53 -j DROP; policy ACCEPT
 */
static void basic_table(struct blob *b)
{
	struct ipt_ip *ip;

	blob_hook(b, NF_INET_LOCAL_IN);
	ip = begin_udp(b, 53);
	name(ip->iniface, ip->iniface_mask, "in0");
	blob_end(b, BLOB_DROP);
	ip = blob_begin(b);
	name(ip->iniface, ip->iniface_mask, "other");
	blob_end(b, BLOB_DROP);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);

	blob_hook(b, NF_INET_FORWARD);
	ip = begin_udp(b, 53);
	name(ip->iniface, ip->iniface_mask, "in0");
	name(ip->outiface, ip->outiface_mask, "out0");
	blob_end(b, BLOB_DROP);
	ip = blob_begin(b);
	name(ip->outiface, ip->outiface_mask, "other");
	blob_end(b, BLOB_DROP);
	blob_policy(b, NF_INET_FORWARD, BLOB_ACCEPT);

	blob_hook(b, NF_INET_LOCAL_OUT);
	ip = begin_udp(b, 53);
	name(ip->outiface, ip->outiface_mask, "out0");
	blob_end(b, BLOB_DROP);
	blob_policy(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(b);
}

TEST_F(packet, which_chain)
{
	struct frame f;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	f = udp_frame(self, HERE, 53);
	EXPECT_TRUE(arrives(self, &f, DROPS, IN_53));
	f = udp_frame(self, HERE, 54);
	EXPECT_TRUE(arrives(self, &f, PASSES, IN_POLICY));
	f = udp_frame(self, FORWARDED, 53);
	EXPECT_TRUE(arrives(self, &f, DROPS, FWD_53));
	f = udp_frame(self, FORWARDED, 54);
	EXPECT_TRUE(arrives(self, &f, PASSES, FWD_POLICY));
	/* Out by where it came in. */
	f = udp_frame(self, 0x0a090107, 53);
	EXPECT_TRUE(arrives(self, &f, PASSES, FWD_POLICY));
	f = udp_frame(self, 0x0a0901ff, 53);
	EXPECT_TRUE(arrives(self, &f, DROPS, IN_53)) TH_LOG("broadcast of the network");
	f = udp_frame(self, 0xffffffff, 53);
	EXPECT_TRUE(arrives(self, &f, DROPS, IN_53)) TH_LOG("broadcast");
	f = udp_frame(self, 0xe0000101, 53);
	EXPECT_TRUE(arrives(self, &f, DROPS, IN_53)) TH_LOG("multicast");
	f = udp_frame(self, FORWARDED, 53);
	EXPECT_TRUE(leaves(self, self->out, &f, DROPS, OUT_53));
	EXPECT_TRUE(leaves(self, self->in, &f, PASSES, OUT_POLICY));
}

/* On all four the same, or on those of one kind alone. */
static bool arrives_at(FIXTURE_DATA(packet) * self, enum bf_attach attach, const struct frame *f,
		       enum verdict verdict, uint32_t n)
{
	unsigned int first = attach == BF_ATTACH_XDP, i;
	bool ok = true;

	for (i = first; i < PROGRAMS; i += 2)
		ok &= does(self, i, self->in, BF_TC_INGRESS, 0, f, verdict, n, ip_len(f));
	return ok;
}

/* The stack sends these back or discards them, before any chain sees them. */
TEST_F(packet, what_no_chain_sees)
{
	static const uint32_t nowhere[] = {0x0a094201, 0x0a094301, 0x0a094401};
	struct frame f;
	unsigned int i;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	for (i = 0; i < ARRAY_SIZE(nowhere); i++) {
		f = udp_frame(self, nowhere[i], 53);
		EXPECT_TRUE(arrives(self, &f, PASSES, NONE)) TH_LOG("route %u", i);
	}
	for (i = 0; i < 3; i++) {
		f = udp_frame(self, FORWARDED, 53);
		f.ip.ttl = i;
		fix_sum(&f);
		EXPECT_TRUE(arrives(self, &f, i > 1 ? DROPS : PASSES, i > 1 ? FWD_53 : NONE));
		f = udp_frame(self, HERE, 53);
		f.ip.ttl = i;
		fix_sum(&f);
		EXPECT_TRUE(arrives(self, &f, DROPS, IN_53));
	}
	/* A multicast frame is not forwarded, whatever its packet says; it is received. */
	f = udp_frame(self, FORWARDED, 53);
	f.eth.h_dest[0] |= 1;
	EXPECT_TRUE(arrives(self, &f, PASSES, NONE));
	f = udp_frame(self, HERE, 53);
	f.eth.h_dest[0] |= 1;
	EXPECT_TRUE(arrives(self, &f, DROPS, IN_53));
}

TEST_F(packet, what_is_not_ours)
{
	static const uint16_t others[] = {ETH_P_ARP, ETH_P_IPV6, ETH_P_LOOP, 0x20, ETH_P_MPLS_UC};
	struct frame f;
	unsigned int i;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		f = udp_frame(self, HERE, 53);
		f.eth.h_proto = htons(others[i]);
		EXPECT_TRUE(arrives(self, &f, PASSES, NONE)) TH_LOG("protocol %x", others[i]);
	}
	for (i = 0; i < ETH_ALEN; i++) {
		f = udp_frame(self, HERE, 53);
		f.eth.h_dest[i] ^= 0x10;
		EXPECT_TRUE(arrives_at(self, BF_ATTACH_TC, &f, PASSES, NONE));
		EXPECT_TRUE(arrives_at(self, BF_ATTACH_XDP, &f, DROPS, NONE));
		ASSERT_EQ(0, add_dev(self->devs, "in0", BF_DEV_SHARED));
		EXPECT_TRUE(arrives(self, &f, PASSES, NONE));
		ASSERT_EQ(0, add_dev(self->devs, "in0", 0));
	}
}

/*
 * Interfaces of which nothing is known, where names are looked at: those that packets are forwarded to, and, where
 * programs cannot read it themselves, their own.
 */
TEST_F(packet, unknown_interfaces)
{
	bool reads = self->kernel.has_dev;
	struct frame f;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	ASSERT_EQ(0, bpf_map_delete_elem(self->devs, &self->out));
	f = udp_frame(self, FORWARDED, 54);
	EXPECT_TRUE(arrives(self, &f, DROPS, NONE));
	f = udp_frame(self, FORWARDED, 53);
	EXPECT_TRUE(leaves(self, self->out, &f, DROPS, reads ? OUT_53 : NONE));
	f = udp_frame(self, HERE, 54);
	EXPECT_TRUE(arrives(self, &f, PASSES, IN_POLICY));
	ASSERT_EQ(0, bpf_map_delete_elem(self->devs, &self->in));
	EXPECT_TRUE(arrives(self, &f, reads ? PASSES : DROPS, reads ? IN_POLICY : NONE));
	f = udp_frame(self, HERE, 53);
	EXPECT_TRUE(arrives(self, &f, DROPS, reads ? IN_53 : NONE));
	/* Others may want what is not for it. */
	f.eth.h_dest[5] ^= 1;
	EXPECT_TRUE(arrives_at(self, BF_ATTACH_XDP, &f, DROPS, NONE));
	/* Neither end. */
	EXPECT_TRUE(does(self, TC_STRAIGHT, self->in, 0, 0, &f, DROPS, NONE, 0));
	EXPECT_TRUE(does(self, TC_RECORDS, self->in, 3, 0, &f, DROPS, NONE, 0));
}

/* Names and addresses are those of this moment, whatever has been noted of the interface. */
TEST_F(packet, renamed_interfaces)
{
	bool reads = self->kernel.has_dev;
	struct frame f;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	ASSERT_EQ(0,
		  testnet_sh(self->s.netns, "ip link set in0 down && ip link set in0 name other && "
					    "ip link set other address 02:00:00:00:00:77 up"));
	f = udp_frame(self, HERE, 53);
	memcpy(f.eth.h_dest, (uint8_t[]){2, 0, 0, 0, 0, 0x77}, ETH_ALEN);
	EXPECT_TRUE(arrives_at(self, BF_ATTACH_TC, &f, DROPS, reads ? IN_OTHER : IN_53));
	EXPECT_TRUE(arrives_at(self, BF_ATTACH_XDP, &f, DROPS, reads ? IN_OTHER : NONE));
}

/* ip_rcv_core() discards these. */
TEST_F(packet, bad_headers)
{
	struct frame f;
	unsigned int i;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	for (i = 0; i < 16; i++) {
		f = udp_frame(self, HERE, 53);
		f.ip.version = i;
		fix_sum(&f);
		EXPECT_TRUE(arrives(self, &f, i == 4 ? DROPS : PASSES, i == 4 ? IN_53 : NONE))
		TH_LOG("version %u", i);
		EXPECT_TRUE(leaves(self, self->out, &f, DROPS, OUT_53)) TH_LOG("version %u", i);
	}
	for (i = 0; i < 5; i++) {
		f = udp_frame(self, HERE, 53);
		f.ip.ihl = i;
		fix_sum(&f);
		EXPECT_TRUE(arrives(self, &f, PASSES, NONE)) TH_LOG("ihl %u", i);
		EXPECT_TRUE(leaves(self, self->out, &f, DROPS, NONE)) TH_LOG("ihl %u", i);
	}
	for (i = 0; i < 160; i++) {
		f = udp_frame(self, HERE, 53);
		bytes_of(&f)[ETH_HLEN + i / 8] ^= 1 << i % 8;
		EXPECT_TRUE(arrives(self, &f, PASSES, NONE)) TH_LOG("bit %u", i);
	}
	for (i = 0; i < 20; i++) {
		f = udp_frame(self, HERE, 53);
		f.ip.tot_len = htons(i);
		fix_sum(&f);
		EXPECT_TRUE(arrives(self, &f, PASSES, NONE)) TH_LOG("length %u", i);
	}
	/* Longer than the frame, by a byte or all that can be. */
	f = make_frame(self, IPPROTO_UDP, HERE, 5, 100);
	set_ports(&f, 1, 53);
	f.ip.tot_len = htons(121);
	fix_sum(&f);
	EXPECT_TRUE(arrives(self, &f, PASSES, NONE));
	f.ip.tot_len = htons(65535);
	fix_sum(&f);
	EXPECT_TRUE(arrives(self, &f, PASSES, NONE));
	f.ip.tot_len = htons(119);
	fix_sum(&f);
	EXPECT_TRUE(arrives(self, &f, DROPS, IN_53));
}

/* Every length, of the packet and of its header. */
TEST_F(packet, lengths)
{
	struct frame f;
	unsigned int ihl, n;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	for (ihl = 5; ihl <= 15; ihl++)
		for (n = 0; n < 70; n++) {
			f = make_frame(self, IPPROTO_UDP, HERE, ihl, n);
			if (n >= 4)
				set_ports(&f, 1, 53);
			/* The udp match drops what has no whole header. */
			EXPECT_TRUE(arrives(self, &f, DROPS, n >= 8 ? IN_53 : NONE))
			TH_LOG("%u words, %u bytes", ihl, n);
		}
	f = make_frame(self, IPPROTO_UDP, HERE, 5, 1400);
	set_ports(&f, 1, 53);
	EXPECT_TRUE(arrives(self, &f, DROPS, IN_53));
}

TEST_F(packet, source_routes)
{
	static const uint8_t routes[] = {IPOPT_LSRR, IPOPT_SSRR};
	struct frame f;
	unsigned int i, at;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	for (i = 0; i < ARRAY_SIZE(routes); i++)
		for (at = 0; at < 37; at++) {
			f = make_frame(self, IPPROTO_UDP, HERE, 15, 20);
			f.rest[at] = routes[i];
			f.rest[at + 1] = 3;
			f.rest[at + 2] = 4;
			set_ports(&f, 1, 54);
			fix_sum(&f);
			EXPECT_TRUE(arrives(self, &f, DROPS, NONE)) TH_LOG("at %u", at);
			EXPECT_TRUE(leaves(self, self->out, &f, PASSES, OUT_POLICY));
		}
	f = make_frame(self, IPPROTO_UDP, HERE, 15, 20);
	f.rest[0] = IPOPT_RA;
	f.rest[1] = 4;
	f.rest[2] = 0x84;
	f.rest[3] = 0x88;
	set_ports(&f, 1, 54);
	fix_sum(&f);
	EXPECT_TRUE(arrives(self, &f, PASSES, IN_POLICY));
}

TEST_F(packet, fragments)
{
	struct frame first, later, far;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	first = udp_frame(self, HERE, 53);
	first.ip.frag_off = htons(0x2000);
	fix_sum(&first);
	later = udp_frame(self, HERE, 53);
	later.ip.frag_off = htons(3);
	fix_sum(&later);
	/* INPUT sees it put together, with what the first one has. */
	EXPECT_TRUE(arrives(self, &first, DROPS, IN_53));
	EXPECT_TRUE(arrives(self, &later, PASSES, NONE));
	/* FORWARD sees each as it is. */
	far = udp_frame(self, FORWARDED, 53);
	far.ip.frag_off = htons(0x2000 | 3);
	fix_sum(&far);
	EXPECT_TRUE(arrives(self, &far, PASSES, FWD_POLICY));
	/* OUTPUT would have seen it whole. */
	EXPECT_TRUE(leaves(self, self->out, &first, DROPS, OUT_53));
	EXPECT_TRUE(leaves(self, self->out, &later, DROPS, NONE));
}

/* VLAN tags are in the frame for XDP alone: for tc see tagged_frames. */
TEST_F(packet, tags_in_the_frame)
{
	static const uint16_t types[] = {ETH_P_8021Q, ETH_P_8021AD};
	unsigned int i;

	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct frame plain = udp_frame(self, HERE, 53), f = plain;
		uint16_t tag[2] = {htons(0x6000), htons(ETH_P_IP)};
		uint8_t *at = bytes_of(&f) + ETH_HLEN;

		f.eth.h_proto = htons(types[i]);
		memcpy(at + 4, bytes_of(&plain) + ETH_HLEN, plain.len - ETH_HLEN);
		memcpy(at, tag, sizeof(tag));
		f.len += 4;
		EXPECT_TRUE(
			does(self, XDP_STRAIGHT, self->in, 0, 0, &f, DROPS, IN_53, ip_len(&plain)));
		EXPECT_TRUE(
			does(self, XDP_RECORDS, self->in, 0, 0, &f, DROPS, IN_53, ip_len(&plain)));
		tag[0] = htons(0x6005);
		memcpy(at, tag, sizeof(tag));
		EXPECT_TRUE(arrives_at(self, BF_ATTACH_XDP, &f, PASSES, NONE));
		tag[0] = 0;
		tag[1] = htons(types[!i]);
		memcpy(at, tag, sizeof(tag));
		EXPECT_TRUE(arrives_at(self, BF_ATTACH_XDP, &f, DROPS, NONE));
		tag[1] = htons(ETH_P_IPV6);
		memcpy(at, tag, sizeof(tag));
		EXPECT_TRUE(arrives_at(self, BF_ATTACH_XDP, &f, PASSES, NONE));
	}
}

/* On a host that does not forward, the FIB is not asked: all that arrives is INPUT's. */
TEST_F(packet, no_forwarding)
{
	struct frame f;

	ASSERT_EQ(0, testnet_sh(self->s.netns, "echo 0 >/proc/sys/net/ipv4/ip_forward"));
	basic_table(&self->b);
	ASSERT_TRUE(load_table(self));
	f = udp_frame(self, HERE, 53);
	EXPECT_TRUE(arrives(self, &f, DROPS, IN_53));
	f = udp_frame(self, FORWARDED, 54);
	EXPECT_TRUE(arrives(self, &f, PASSES, IN_POLICY));
}

/* One chain that ends in a DROP policy, and another that a rule leads to. */
static void state_table(struct blob *b, uint16_t mask, bool invert, int verdict)
{
	struct xt_conntrack_mtinfo3 info = {.match_flags = XT_CONNTRACK_STATE,
					    .invert_flags = invert ? XT_CONNTRACK_STATE : 0,
					    .state_mask = mask};
	uint32_t rule;
	bool jump = verdict > 0;

	blob_hook(b, NF_INET_LOCAL_IN);
	blob_begin(b);
	blob_match(b, "conntrack", 3, &info, sizeof(info));
	rule = blob_end(b, jump ? BLOB_DROP : verdict);
	blob_policy(b, NF_INET_LOCAL_IN, verdict == BLOB_DROP ? BLOB_ACCEPT : BLOB_DROP);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_hook(b, NF_INET_LOCAL_OUT);
	blob_begin(b);
	blob_match(b, "conntrack", 3, &info, sizeof(info));
	blob_end(b, verdict == BLOB_DROP ? BLOB_DROP : BLOB_ACCEPT);
	blob_policy(b, NF_INET_LOCAL_OUT, verdict == BLOB_DROP ? BLOB_ACCEPT : BLOB_DROP);
	if (jump) {
		uint32_t chain = blob_chain(b, "chain");

		blob_rule(b, BLOB_ACCEPT);
		blob_rule(b, BLOB_RETURN);
		blob_set_verdict(b, rule, chain);
	}
	blob_finish(b);
}

/* Entries of that table; CHAIN is what a jump leads to. */
enum { ST_RULE, ST_POLICY, ST_FORWARD, ST_OUT_RULE, ST_OUT_POLICY, ST_HEAD, ST_CHAIN };

#define INVALID	    XT_CONNTRACK_STATE_INVALID
#define ESTABLISHED XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED)
#define RELATED	    XT_CONNTRACK_STATE_BIT(IP_CT_RELATED)
#define NEW	    XT_CONNTRACK_STATE_BIT(IP_CT_NEW)
#define STATES	    0x10U /* all sets of those */

/* A frame that may be in any of these states. */
struct stated {
	struct frame f;
	uint16_t states;
	const char *what;
};

/* With the table of state_table() in force: what becomes of it? */
static bool is_cautious(FIXTURE_DATA(packet) * self, const struct stated *s, uint16_t asked,
			int verdict)
{
	bool all = !(s->states & ~asked), some = s->states & asked;

	if (verdict == BLOB_ACCEPT)
		return arrives(self, &s->f, all ? PASSES : DROPS, all ? ST_RULE : ST_POLICY);
	if (verdict == BLOB_DROP)
		return arrives(self, &s->f, some ? DROPS : PASSES, some ? ST_RULE : ST_POLICY);
	/* A jump. If it is certain two entries count: a_jump_that_is_certain. */
	return all || arrives(self, &s->f, DROPS, some ? NONE : ST_POLICY);
}

/*
 * With each set of states, inverted or not, in a rule that accepts, drops or jumps: is a frame ever
 * accepted although there is a state in which it would be dropped? Is it treated exactly if there is but
 * one?
 */
static bool cautious(FIXTURE_DATA(packet) * self, const struct stated *list, unsigned int n)
{
	static const int verdicts[] = {BLOB_ACCEPT, BLOB_DROP, 1};
	unsigned int t, mask, v, i;
	bool ok = true;

	for (t = 0; t < 2 * STATES * ARRAY_SIZE(verdicts); t++) {
		bool invert = t / STATES % 2;

		mask = t % STATES;
		v = t / STATES / 2;
		state_table(&self->b, mask, invert, verdicts[v]);
		ok &= load_table(self);
		for (i = 0; i < n && ok; i++) {
			ok = is_cautious(self, &list[i], invert ? ~mask & (STATES - 1) : mask,
					 verdicts[v]);
			if (!ok)
				printf("# %s: mask %x, invert %u, verdict %d\n", list[i].what, mask,
				       invert, verdicts[v]);
		}
		unload(self);
	}
	return ok;
}

static struct frame tcp_frame(FIXTURE_DATA(packet) * self, uint16_t dport, uint8_t flags)
{
	struct frame f = make_frame(self, IPPROTO_TCP, HERE, 5, 30);

	set_ports(&f, 4000, dport);
	l4_of(&f)[12] = 5 << 4;
	l4_of(&f)[13] = flags;
	return f;
}

static struct frame icmp_frame(FIXTURE_DATA(packet) * self, uint8_t type)
{
	struct frame f = make_frame(self, IPPROTO_ICMP, HERE, 5, 40);

	l4_of(&f)[0] = type;
	return f;
}

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

/* Another length in the UDP header. */
static struct frame udp_says(FIXTURE_DATA(packet) * self, uint8_t len)
{
	struct frame f = udp_frame(self, HERE, 53);

	l4_of(&f)[5] = len;
	return f;
}

/* Another length of the TCP header, in words. */
static struct frame tcp_says(FIXTURE_DATA(packet) * self, uint8_t words)
{
	struct frame f = tcp_frame(self, 80, SYN);

	l4_of(&f)[12] = words << 4;
	return f;
}

/* An error about a packet that @from has sent, from @sport to 4000, of which it has @len bytes. */
static struct frame error_frame(FIXTURE_DATA(packet) * self, uint8_t protocol, uint32_t from,
				uint16_t sport, unsigned int len)
{
	struct frame f = make_frame(self, IPPROTO_ICMP, HERE, 5, 8 + len);
	struct iphdr inner = {.version = 4,
			      .ihl = 5,
			      .protocol = protocol,
			      .saddr = htonl(from),
			      .daddr = htonl(0x0a090105)};
	uint16_t ports[4] = {htons(sport), htons(4000)};
	uint8_t packet[28];

	memcpy(packet, &inner, sizeof(inner));
	memcpy(packet + sizeof(inner), ports, sizeof(ports));
	l4_of(&f)[0] = ICMP_DEST_UNREACH;
	memcpy(l4_of(&f) + 8, packet, len);
	return f;
}

static struct frame first_fragment(FIXTURE_DATA(packet) * self)
{
	struct frame f = udp_frame(self, HERE, 53);

	f.ip.frag_off = htons(0x2000);
	fix_sum(&f);
	return f;
}

TEST_F_TIMEOUT(packet, states_without_an_entry, 300)
{
	const struct stated list[] = {
		{udp_frame(self, HERE, 53), NEW, "udp"},
		{udp_says(self, 32), INVALID, "udp, longer than the packet"},
		{udp_says(self, 7), INVALID, "udp, shorter than its header"},
		{tcp_frame(self, 80, SYN), NEW, "syn"},
		{tcp_frame(self, 80, ACK), NEW | INVALID, "ack"},
		{tcp_frame(self, 80, SYN | ACK), INVALID, "syn, ack"},
		{tcp_frame(self, 80, RST), INVALID, "rst"},
		{tcp_frame(self, 80, SYN | FIN), INVALID, "syn, fin"},
		{tcp_says(self, 8), INVALID, "tcp, options beyond the packet"},
		{tcp_says(self, 4), INVALID, "tcp, no header"},
		{icmp_frame(self, ICMP_ECHO), NEW | ESTABLISHED, "ping"},
		{icmp_frame(self, ICMP_ECHOREPLY), ESTABLISHED | INVALID, "pong"},
		{icmp_frame(self, 200), INVALID, "icmp type 200"},
		{error_frame(self, IPPROTO_UDP, HERE, 55, 28), INVALID, "error about nothing"},
		{error_frame(self, IPPROTO_ICMP, HERE, 55, 28), RELATED | INVALID,
		 "error about icmp"},
		{first_fragment(self), NEW | ESTABLISHED | RELATED | INVALID, "fragment"},
		{make_frame(self, IPPROTO_GRE, HERE, 5, 40), NEW | ESTABLISHED | RELATED | INVALID,
		 "gre"},
	};

	EXPECT_TRUE(cautious(self, list, ARRAY_SIZE(list)));
}

#define CONNTRACK "conntrack -I -t 100 -p "

TEST_F_TIMEOUT(packet, states_of_an_entry, 300)
{
	const struct stated list[] = {
		{udp_frame(self, HERE, 53), NEW, "not answered"},
		{udp_frame(self, HERE, 54), ESTABLISHED, "answered"},
		{udp_frame(self, HERE, 55), ESTABLISHED, "a reply"},
		{tcp_frame(self, 80, ACK), ESTABLISHED, "ack"},
		{tcp_frame(self, 80, FIN | ACK), ESTABLISHED, "fin"},
		{tcp_frame(self, 80, RST), ESTABLISHED, "reset"},
		{tcp_frame(self, 80, SYN | ACK), ESTABLISHED | INVALID,
		 "syn and ack where none fits"},
		{tcp_frame(self, 81, SYN | ACK), ESTABLISHED, "the answer to a syn"},
		{tcp_frame(self, 81, RST | ACK), ESTABLISHED, "another answer to a syn"},
		{tcp_frame(self, 81, FIN | ACK), ESTABLISHED | INVALID, "fin for a syn"},
		{tcp_frame(self, 82, ACK), NEW | INVALID, "ack before the answer"},
		{error_frame(self, IPPROTO_UDP, HERE, 55, 28), RELATED, "error"},
		{error_frame(self, IPPROTO_UDP, HERE, 55, 24), RELATED, "error with ports alone"},
		{error_frame(self, IPPROTO_UDP, HERE, 55, 23), INVALID, "error without ports"},
		{error_frame(self, IPPROTO_UDP, HERE, 55, 19), INVALID, "error without header"},
		{error_frame(self, IPPROTO_UDP, HERE, 56, 28), INVALID, "error about another"},
		{error_frame(self, IPPROTO_TCP, HERE, 80, 28), RELATED, "error about tcp"},
		{error_frame(self, IPPROTO_TCP, HERE + 1, 80, 28), INVALID, "error to another"},
		{tcp_frame(self, 80, SYN), NEW | ESTABLISHED | INVALID, "begins anew"},
	};

	ASSERT_EQ(0, testnet_sh(self->s.netns,
				"{ " CONNTRACK "udp -s 10.9.1.5 -d 10.9.1.1 --sport 4000 "
				"--dport 53 && " CONNTRACK "udp -s 10.9.1.5 -d 10.9.1.1 "
				"--sport 4000 --dport 54 -u SEEN_REPLY && " CONNTRACK
				"udp -s 10.9.1.1 -d 10.9.1.5 --sport 55 --dport 4000 && " CONNTRACK
				"tcp -s 10.9.1.5 -d 10.9.1.1 --sport 4000 --dport 80 "
				"--state ESTABLISHED -u SEEN_REPLY,ASSURED && " CONNTRACK
				"tcp -s 10.9.1.1 -d 10.9.1.5 --sport 81 --dport 4000 "
				"--state SYN_SENT && " CONNTRACK
				"tcp -s 10.9.1.5 -d 10.9.1.1 --sport 4000 --dport 82 "
				"--state SYN_SENT; } >/dev/null 2>&1"));
	EXPECT_TRUE(cautious(self, list, ARRAY_SIZE(list)));
}

/* A jump whose condition certainly holds: both the jump and where it leads count. */
TEST_F(packet, a_jump_that_is_certain)
{
	struct frame f = udp_frame(self, HERE, 53);
	unsigned int i;

	state_table(&self->b, NEW, false, 1);
	ASSERT_TRUE(load_table(self));
	for (i = 0; i < PROGRAMS; i++) {
		int ret = i % 2 ? run_xdp(self->progs[i], self->in, &f)
				: run_tc(self->progs[i], self->in, BF_TC_INGRESS, 0, &f);

		EXPECT_EQ(i % 2 ? XDP_PASS : TC_ACT_UNSPEC, ret);
	}
	for (i = 0; i < PROGRAMS; i += 2) {
		EXPECT_EQ(2, counter(self, i, ST_RULE).pcnt);
		EXPECT_EQ(2, counter(self, i, ST_CHAIN).pcnt);
		EXPECT_EQ(0, counter(self, i, ST_POLICY).pcnt);
	}
}

/* A packet of a test run has no entry at the egress, which conntrack calls INVALID. */
TEST_F(packet, states_at_the_egress)
{
	struct frame f = udp_frame(self, 0x0a090105, 53);

	state_table(&self->b, NEW | ESTABLISHED, false, BLOB_ACCEPT);
	ASSERT_TRUE(load_table(self));
	EXPECT_TRUE(leaves(self, self->in, &f, DROPS, ST_OUT_POLICY));
	unload(self);
	state_table(&self->b, INVALID, false, BLOB_ACCEPT);
	ASSERT_TRUE(load_table(self));
	EXPECT_TRUE(leaves(self, self->in, &f, PASSES, ST_OUT_RULE));
}

/* tc has the mark. */
TEST_F(packet, mark)
{
	struct xt_mark_mtinfo1 info = {.mark = 7, .mask = 0xff};
	struct bf_why why = {};
	struct frame f;

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	blob_begin(&self->b);
	blob_match(&self->b, "mark", 1, &info, sizeof(info));
	blob_end(&self->b, BLOB_DROP);
	blob_policy(&self->b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&self->b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&self->b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&self->b);
	ASSERT_EQ(0, compile(self, BF_ATTACH_TC, BF_FORM_STRAIGHT, &self->programs[0], &why));
	ASSERT_EQ(0, make_maps(self, 0));
	self->progs[0] = bf_load_program("test", self->programs[0], self->maps[0], &why);
	ASSERT_LE(0, self->progs[0]) TH_LOG("%s", why.text);
	f = udp_frame(self, HERE, 53);
	EXPECT_TRUE(does(self, 0, self->in, BF_TC_INGRESS, 0x107, &f, DROPS, 0, ip_len(&f)));
	EXPECT_TRUE(does(self, 0, self->in, BF_TC_INGRESS, 6, &f, PASSES, 1, ip_len(&f)));
}

static void one_match(struct blob *b, const char *name, uint8_t revision, const void *info,
		      size_t size)
{
	blob_hook(b, NF_INET_LOCAL_IN);
	blob_begin(b);
	blob_match(b, name, revision, info, size);
	blob_end(b, BLOB_DROP);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(b);
}

TEST_F(packet, what_is_refused)
{
	static const struct xt_addrtype_info_v1 addrtype = {.dest = 1 << 2};
	static const struct xt_mark_mtinfo1 mark = {.mask = 1};
	static const struct xt_conntrack_mtinfo3 dnat = {.match_flags = XT_CONNTRACK_STATE,
							 .state_mask = XT_CONNTRACK_STATE_DNAT};
	static const struct xt_conntrack_mtinfo3 status = {.match_flags = XT_CONNTRACK_STATUS};
	static const struct xt_mark_tginfo2 set = {.mark = 1};
	const struct {
		const char *name;
		uint8_t revision;
		const void *info;
		size_t size;
		bool tc;
		const char *why;
	} v[] = {
		{"addrtype", 1, &addrtype, sizeof(addrtype), false, "match addrtype is not"},
		{"mark", 1, &mark, sizeof(mark), true, "match mark is not available in the xdp"},
		{"conntrack", 3, &dnat, sizeof(dnat), false, "match conntrack is not"},
		{"conntrack", 3, &status, sizeof(status), false, "match conntrack is not"},
	};
	struct bf_program *p;
	struct bf_why why;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		one_match(&self->b, v[i].name, v[i].revision, v[i].info, v[i].size);
		for (k = 0; k < 2; k++) {
			int want = !k && v[i].tc ? 0 : -EOPNOTSUPP;

			why = (struct bf_why){};
			EXPECT_EQ(want, compile(self, attaches[k], BF_FORM_AUTO, &p, &why));
			if (want)
				EXPECT_NE(NULL, strstr(why.text, v[i].why)) TH_LOG("%s", why.text);
			bf_program_free(p);
		}
		blob_free(&self->b);
	}
	blob_hook(&self->b, NF_INET_LOCAL_IN);
	blob_begin(&self->b);
	blob_end_target(&self->b, "MARK", 2, &set, sizeof(set));
	blob_policy(&self->b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&self->b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&self->b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&self->b);
	EXPECT_EQ(-EOPNOTSUPP, compile(self, BF_ATTACH_TC, BF_FORM_AUTO, &p, &why));
	state_table(&self->b, NEW, false, BLOB_DROP);
}

/* Without conntrack's functions only tables that ask for its state are refused. */
TEST_F(packet, a_kernel_without_look_ups)
{
	struct bf_program *p;
	struct bf_why why = {};

	self->kernel.has_ct_lookup = false;
	state_table(&self->b, NEW, false, BLOB_DROP);
	EXPECT_EQ(-EOPNOTSUPP, compile(self, BF_ATTACH_TC, BF_FORM_AUTO, &p, &why));
	EXPECT_NE(NULL, strstr(why.text, "conntrack"));
	blob_free(&self->b);
	basic_table(&self->b);
	EXPECT_EQ(0, compile(self, BF_ATTACH_XDP, BF_FORM_AUTO, &p, &why));
	bf_program_free(p);
}

static bool same_maps(const struct bf_program *a, const struct bf_program *b)
{
	unsigned int m;

	for (m = 0; m < BF_NR_MAPS; m++)
		if (a->maps[m].value_size != b->maps[m].value_size ||
		    a->maps[m].max_entries != b->maps[m].max_entries ||
		    a->maps[m].data_size != b->maps[m].data_size ||
		    (a->maps[m].data_size &&
		     memcmp(a->maps[m].data, b->maps[m].data, a->maps[m].data_size)))
			return false;
	return a->stride == b->stride && a->form == b->form;
}

/* Of any table the two programs have the same maps, contents included. */
TEST_F(packet, the_same_maps)
{
	struct dice dice = {.state = 1};
	struct bf_kernel kernel = self->kernel;
	struct bf_program *tc, *xdp;
	unsigned int i, compared = 0;

	for (i = 0; i < 300; i++) {
		struct bf_table *table;
		struct bf_why why = {};

		random_table(&dice, &self->b);
		table = blob_table(&self->b);
		ASSERT_NE(NULL, table);
		if (!bf_compile(table, &kernel, BF_ATTACH_TC, BF_FORM_AUTO, 1, &tc, &why)) {
			if (!bf_compile(table, &kernel, BF_ATTACH_XDP, BF_FORM_AUTO, 1, &xdp,
					&why)) {
				EXPECT_TRUE(same_maps(tc, xdp)) TH_LOG("table %u", i);
				compared++;
				bf_program_free(xdp);
			}
			bf_program_free(tc);
		}
		bf_table_free(table);
		blob_free(&self->b);
	}
	EXPECT_LT(20, compared);
}

TEST_HARNESS_MAIN
