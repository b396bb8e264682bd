// SPDX-License-Identifier: GPL-2.0
/*
 * The program for a network card's processor, run by the machine itself on the frames that the table's program for XDP
 * gets as well: what it drops, that one drops, and with the same counters; what it lets up it has not counted. With
 * both layouts of its counters.
 */
#include <net/if.h> /* before the kernel's headers */

#include "blob.h"
#include "dice.h"
#include "sandbox.h"
#include "testnet.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_state.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "btf.h"
#include "env.h"
#include "kselftest_harness.h"
#include "load.h"
#include "program.h"

#define MAX_ENTRIES 4096

enum { XDP, EACH, TOGETHER, PROGRAMS };

static const uint8_t mac[ETH_ALEN] = {2, 0, 0, 0, 0xbf, 0x80};

/**
 * struct FIXTURE(offload)
 * @n: entries of the table
 * @dropped, @judged: frames that the cards' programs dropped; that they could have judged, and XDP dropped
 */
FIXTURE(offload)
{
	struct sandbox s;
	struct bf_kernel kernel;
	struct bf_dev dev;
	unsigned int ifindex;
	int devs;
	struct blob b;
	struct bf_program *programs[PROGRAMS];
	int maps[PROGRAMS][BF_NR_MAPS];
	int progs[PROGRAMS];
	uint32_t n;
	unsigned int dropped, judged;
	struct bf_why why;
};

FIXTURE_SETUP(offload)
{
	int err = sandbox_enter(&self->s);

	memset(&self->kernel, 0, sizeof(self->kernel));
	if (err == 1 && !geteuid()) {
		/* A kernel without links: see test_packet.c. */
		self->s.netns = testnet_new();
		self->kernel.cpus = libbpf_num_possible_cpus();
		self->kernel.hz = 250;
		bf_btf_read(&self->kernel, NULL);
		err = self->s.netns < 0;
	} else if (!err) {
		bf_env_kernel(self->s.env, &self->kernel);
	}
	if (err == 1)
		SANDBOX_SKIP(&self->s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->s.why);
	memset(self->progs, -1, sizeof(self->progs));
	memset(self->maps, -1, sizeof(self->maps));
	ASSERT_EQ(
		0,
		testnet_sh(self->s.netns,
			   "ip link add eth0 address 02:00:00:00:bf:80 type veth peer name x0 "
			   "&& ip link set eth0 up && ip link set x0 up && "
			   "sysctl -qw net.ipv4.ip_forward=0 && ip addr add 10.1.2.3/24 dev eth0"));
	self->ifindex = if_nametoindex("eth0");
	strcpy(self->dev.name, "eth0");
	memcpy(self->dev.mac, mac, sizeof(mac));
	self->dev.flags = BF_DEV_SHARED;
	self->devs = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_devs", sizeof(uint32_t),
				    sizeof(struct bf_dev), BF_MAX_DEVS, NULL);
	ASSERT_LE(0, self->devs);
	ASSERT_EQ(0, bpf_map_update_elem(self->devs, &self->ifindex, &self->dev, BPF_ANY));
}

static void unload(FIXTURE_DATA(offload) * self)
{
	unsigned int i, m;

	for (i = 0; i < PROGRAMS; i++) {
		if (self->progs[i] >= 0)
			close(self->progs[i]);
		self->progs[i] = -1;
		bf_program_free(self->programs[i]);
		self->programs[i] = NULL;
		for (m = 0; m < BF_NR_MAPS; m++) {
			if (m != BF_MAP_DEVS && self->maps[i][m] >= 0)
				close(self->maps[i][m]);
			self->maps[i][m] = -1;
		}
	}
	blob_free(&self->b);
}

FIXTURE_TEARDOWN(offload)
{
	unload(self);
	close(self->devs);
	sandbox_leave(&self->s);
}

static int compile(FIXTURE_DATA(offload) * self, const struct bf_table *table, unsigned int i)
{
	memset(&self->why, 0, sizeof(self->why));
	if (i == XDP)
		return bf_compile(table, &self->kernel, BF_ATTACH_XDP, BF_FORM_AUTO, 0,
				  &self->programs[i], &self->why);
	return bf_compile_offload(table, &self->kernel, &self->dev, i == TOGETHER,
				  &self->programs[i], &self->why);
}

static int load(FIXTURE_DATA(offload) * self, unsigned int i)
{
	const struct bf_program *p = self->programs[i];
	int m, *maps = self->maps[i];

	for (m = 0; m < BF_NR_MAPS; m++) {
		const struct bf_map_def *def = &p->maps[m];

		if (m == BF_MAP_DEVS)
			maps[m] = self->devs;
		else if (def->max_entries)
			maps[m] = bf_array_create(def->name, def->value_size, def->max_entries);
		if (def->max_entries && m != BF_MAP_DEVS && bf_array_fill(maps[m], def, true))
			return -EIO;
	}
	self->progs[i] = bf_load_program("test", p, maps, &self->why);
	return self->progs[i] < 0 ? self->progs[i] : 0;
}

/* The table in @b; what bf_compile() or the loading says. */
static int load_table(FIXTURE_DATA(offload) * self)
{
	struct bf_table *table = blob_table(&self->b);
	int err = table ? 0 : -EINVAL;
	unsigned int i;

	if (table)
		self->n = table->num_entries;
	for (i = 0; i < PROGRAMS && !err; i++)
		err = compile(self, table, i) ?: load(self, i);
	bf_table_free(table);
	return err;
}

static void read_counters(FIXTURE_DATA(offload) * self, unsigned int i, struct xt_counters *sum)
{
	uint32_t cpus = i == XDP ? self->kernel.cpus : 1, stride = self->programs[i]->stride;
	const struct bf_map_def *def = &self->programs[i]->maps[BF_MAP_COUNTERS];
	size_t size = (size_t)def->value_size * def->max_entries;
	struct xt_counters *all = bf_array_map(self->maps[i][BF_MAP_COUNTERS], size);
	uint32_t cpu, n;

	memset(sum, 0, self->n * sizeof(*sum));
	for (cpu = 0; all && cpu < cpus; cpu++)
		for (n = 0; n < self->n; n++) {
			sum[n].pcnt += all[cpu * stride + n].pcnt;
			sum[n].bcnt += all[cpu * stride + n].bcnt;
		}
	if (all)
		bf_array_unmap(all, size);
}

struct frame {
	uint32_t len;
	uint8_t data[ETH_HLEN + PACKET_MAX + 64];
};

/* What it returns; @counted receives what it has counted by that. */
static int run(FIXTURE_DATA(offload) * self, unsigned int i, const struct frame *f,
	       struct xt_counters *counted)
{
	static struct xt_counters before[MAX_ENTRIES];
	struct xdp_md xdp = {.data_end = f->len, .ingress_ifindex = self->ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->data, .data_size_in = f->len,
		    .ctx_in = &xdp, .ctx_size_in = sizeof(xdp));
	uint32_t n;

	read_counters(self, i, before);
	if (bpf_prog_test_run_opts(self->progs[i], &opts))
		return -errno;
	read_counters(self, i, counted);
	for (n = 0; n < self->n; n++) {
		counted[n].pcnt -= before[n].pcnt;
		counted[n].bcnt -= before[n].bcnt;
	}
	return opts.retval;
}

/* Do all programs agree? */
static bool agree(FIXTURE_DATA(offload) * self, const struct frame *f)
{
	static struct xt_counters xdp[MAX_ENTRIES], own[MAX_ENTRIES], none[MAX_ENTRIES];
	int verdict = run(self, XDP, f, xdp), got, first = -1;
	size_t size = self->n * sizeof(*own);
	unsigned int i;

	for (i = EACH; i <= TOGETHER; i++) {
		got = run(self, i, f, own);
		if (got != XDP_PASS && (got != XDP_DROP || verdict != XDP_DROP))
			return false;
		if (memcmp(own, got == XDP_DROP ? xdp : none, size))
			return false;
		if (i == TOGETHER && got != first)
			return false;
		first = got;
	}
	self->dropped += first == XDP_DROP;
	self->judged += verdict == XDP_DROP && memcmp(xdp, none, size);
	return true;
}

static void fix_sum(uint8_t *ip)
{
	uint32_t sum = 0;
	int i;

	ip[10] = ip[11] = 0;
	for (i = 0; i < (ip[0] & 15) * 2; i++)
		sum += ip[2 * i] << 8 | ip[2 * i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = sum >> 8;
	ip[11] = sum;
}

static struct frame make_frame(struct packet *p)
{
	struct frame f = {.len = ETH_HLEN + p->len};

	p->data[2] = p->len >> 8;
	p->data[3] = p->len;
	fix_sum(p->data);
	memcpy(f.data, mac, sizeof(mac));
	f.data[6] = 2;
	f.data[12] = ETH_P_IP >> 8;
	memcpy(f.data + ETH_HLEN, p->data, p->len);
	if (f.len < ETH_ZLEN)
		f.len = ETH_ZLEN;
	return f;
}

/* In a few something is wrong or unusual. */
static void spoil(struct dice *d, struct frame *f)
{
	switch (roll(d, 24)) {
	case 0:
		f->data[roll(d, 6)] ^= 1 << roll(d, 8);
		break;
	case 1:
		f->data[12 + roll(d, 2)] ^= 1 << roll(d, 8);
		break;
	case 2:
		f->data[ETH_HLEN + roll(d, 20)] ^= 1 << roll(d, 8);
		break;
	case 3:
		f->data[ETH_HLEN + roll(d, 4)] ^= 1 << roll(d, 8);
		fix_sum(f->data + ETH_HLEN);
		break;
	case 4:
		f->len = ETH_HLEN + roll(d, f->len - ETH_HLEN);
		break;
	}
}

static bool random_round(FIXTURE_DATA(offload) * self, struct dice *d)
{
	unsigned int i;

	for (i = 0; i < 100; i++) {
		struct packet p = {};
		struct frame f;

		do
			random_packet(d, &p);
		while (p.hook == NF_INET_LOCAL_OUT);
		f = make_frame(&p);
		spoil(d, &f);
		if (!agree(self, &f)) {
			printf("# packet %u\n", i);
			return false;
		}
	}
	return true;
}

TEST_F(offload, random_tables)
{
	unsigned int wanted = getenv("TEST_TABLES") ? atoi(getenv("TEST_TABLES")) : 120, had = 0;
	struct dice d = {};
	uint64_t seed = 1;
	int err;

	for (; had < wanted; seed++) {
		d.state = seed;
		random_table(&d, &self->b);
		err = load_table(self);
		/* What has no place at interfaces, and what no card would drop. */
		ASSERT_TRUE(!err || err == -EOPNOTSUPP)
		TH_LOG("seed %llu: %d %s", (unsigned long long)seed, err, self->why.text);
		if (!err) {
			ASSERT_TRUE(random_round(self, &d))
			TH_LOG("seed %llu", (unsigned long long)seed);
			had++;
		}
		unload(self);
	}
	printf("# %u frames dropped, of %u that could have been\n", self->dropped, self->judged);
	EXPECT_LT(5 * had, self->dropped);
}

/* --- by hand ----------------------------------------------------------------------------------- */

static struct frame udp_frame(uint32_t saddr, uint16_t dport)
{
	struct packet p = {.len = 20 + 8 + 5, .data = {0x45}};

	saddr = htonl(saddr);
	dport = htons(dport);
	p.data[8] = 64;
	p.data[9] = IPPROTO_UDP;
	memcpy(p.data + 12, &saddr, 4);
	memcpy(p.data + 16, (uint8_t[]){10, 1, 2, 3}, 4);
	memcpy(p.data + 22, &dport, 2);
	return make_frame(&p);
}

static struct ipt_ip *from(struct blob *b, uint32_t saddr)
{
	struct ipt_ip *ip = blob_begin(b);

	ip->src.s_addr = htonl(saddr);
	ip->smsk.s_addr = 0xffffffff;
	return ip;
}

static void rest(struct blob *b)
{
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
}

static void established(struct blob *b)
{
	struct xt_state_info state = {.statemask = XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED)};

	blob_begin(b);
	blob_match(b, "state", 0, &state, sizeof(state));
	blob_end(b, BLOB_ACCEPT);
}

static bool counts(const struct xt_counters *c, uint32_t n, unsigned int packets)
{
	return c[n].pcnt == packets && c[n].bcnt == 33 * packets;
}

/*
 * All that a packet has met on its way is counted as it is dropped, and nothing else:
 *
 *	-s 10.0.0.1 -j chain; -s 10.0.0.1 -j chain; -s 10.0.0.2; -i eth0 -g last; policy ACCEPT
 *	chain: -s 10.0.0.1 (no target)
 *	last: -p udp -j DROP
 */
TEST_F(offload, counters)
{
	struct xt_counters c[16];
	struct blob *b = &self->b;
	struct frame f = udp_frame(0x0a000001, 9);
	uint32_t jumps[2], goes, chain, last;
	struct ipt_ip *ip;
	unsigned int i;

	blob_hook(b, NF_INET_LOCAL_IN);
	for (i = 0; i < 2; i++) {
		from(b, 0x0a000001);
		jumps[i] = blob_end(b, BLOB_ACCEPT);
	}
	from(b, 0x0a000002);
	blob_end(b, BLOB_NEXT);
	ip = blob_begin(b);
	strcpy(ip->iniface, "eth0");
	memset(ip->iniface_mask, 0xff, 5);
	ip->flags |= IPT_F_GOTO;
	goes = blob_end(b, BLOB_ACCEPT);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	rest(b);
	chain = blob_chain(b, "chain");
	from(b, 0x0a000001);
	blob_end(b, BLOB_NEXT);
	blob_rule(b, BLOB_RETURN);
	last = blob_chain(b, "last");
	ip = blob_begin(b);
	ip->proto = IPPROTO_UDP;
	blob_end(b, BLOB_DROP);
	blob_rule(b, BLOB_RETURN);
	blob_finish(b);
	blob_set_verdict(b, jumps[0], chain);
	blob_set_verdict(b, jumps[1], chain);
	blob_set_verdict(b, goes, last);
	ASSERT_EQ(0, load_table(self)) TH_LOG("%s", self->why.text);
	EXPECT_TRUE(agree(self, &f));
	EXPECT_EQ(1, self->dropped);
	ASSERT_EQ(XDP_DROP, run(self, TOGETHER, &f, c));
	EXPECT_TRUE(counts(c, 0, 1) && counts(c, 1, 1)) TH_LOG("the jumps");
	EXPECT_TRUE(counts(c, 2, 0)) TH_LOG("another source");
	EXPECT_TRUE(counts(c, 3, 1)) TH_LOG("the goto");
	EXPECT_TRUE(counts(c, 4, 0)) TH_LOG("the policy");
	EXPECT_TRUE(counts(c, 8, 2)) TH_LOG("the rule in the chain, twice");
	f = udp_frame(0x0a000003, 9);
	EXPECT_TRUE(agree(self, &f));
	EXPECT_EQ(2, self->dropped);
}

/* What is dropped before anybody asks for the state of its connection is; the rest is not the card's to judge. */
TEST_F(offload, conntrack)
{
	struct frame bad = udp_frame(0x0a000001, 9), good = udp_frame(0x0a000002, 9);

	blob_hook(&self->b, NF_INET_LOCAL_IN);
	from(&self->b, 0x0a000001);
	blob_end(&self->b, BLOB_DROP);
	established(&self->b);
	blob_policy(&self->b, NF_INET_LOCAL_IN, BLOB_DROP);
	rest(&self->b);
	blob_finish(&self->b);
	ASSERT_EQ(0, load_table(self)) TH_LOG("%s", self->why.text);
	EXPECT_TRUE(agree(self, &bad));
	EXPECT_EQ(1, self->dropped);
	EXPECT_TRUE(agree(self, &good));
	EXPECT_EQ(1, self->dropped);
}

static int refused(FIXTURE_DATA(offload) * self)
{
	struct bf_table *table = blob_table(&self->b);
	int err = table ? compile(self, table, EACH) : 1;

	bf_table_free(table);
	unload(self);
	return err;
}

TEST_F(offload, refusals)
{
	struct blob *b = &self->b;
	unsigned int i;

	blob_empty(b, BLOB_ACCEPT);
	EXPECT_EQ(-EOPNOTSUPP, refused(self));
	EXPECT_STREQ("INPUT drops nothing", self->why.text);

	blob_hook(b, NF_INET_LOCAL_IN);
	established(b);
	from(b, 0x0a000001);
	blob_end(b, BLOB_DROP);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_DROP);
	rest(b);
	blob_finish(b);
	EXPECT_EQ(-EOPNOTSUPP, refused(self));
	EXPECT_TRUE(strstr(self->why.text, "cannot tell (ctstate)")) TH_LOG("%s", self->why.text);

	blob_hook(b, NF_INET_LOCAL_IN);
	for (i = 0; i < 3500; i++) {
		from(b, 0x0a000000 + i);
		blob_end(b, BLOB_DROP);
	}
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	rest(b);
	blob_finish(b);
	EXPECT_EQ(-E2BIG, refused(self));
	EXPECT_TRUE(strstr(self->why.text, "too many rules")) TH_LOG("%s", self->why.text);
}

/* The verifier takes them: many rules that drop, and as many as can be marked in front of those. */
TEST_F(offload, large)
{
	struct blob *b = &self->b;
	struct frame f;
	unsigned int i;

	blob_hook(b, NF_INET_LOCAL_IN);
	for (i = 0; i < 400; i++) {
		from(b, 0x0a000000 + 4 * i);
		blob_end(b, BLOB_NEXT);
	}
	for (i = 0; i < 2000; i++) {
		from(b, 0x0a000000 + 2 * i);
		blob_end(b, BLOB_DROP);
	}
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	rest(b);
	blob_finish(b);
	ASSERT_EQ(0, load_table(self)) TH_LOG("%s", self->why.text);
	for (i = 0; i < 4100; i += 7) {
		f = udp_frame(0x0a000000 + i, 9);
		ASSERT_TRUE(agree(self, &f)) TH_LOG("source %u", i);
	}
	EXPECT_LT(200, self->dropped);
	EXPECT_EQ(self->judged, self->dropped);
}

TEST_HARNESS_MAIN
