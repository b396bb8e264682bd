// SPDX-License-Identifier: GPL-2.0
/*
 * REJECT at interfaces: the programs' replies, made in test runs: lengths and checksums of all kinds of packets, how many
 * a host gets, and what is not answered though it would be. That they are the kernel's, byte for byte, is for e2e/reject_wire.sh.
 */
#include <net/if.h> /* before the kernel's headers */

#include "blob.h"
#include "sandbox.h"
#include "testnet.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/netfilter/xt_LOG.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "env.h"
#include "kselftest_harness.h"
#include "load.h"
#include "program.h"

#define HERE	  0x0a090101 /* 10.9.1.1, of in0 */
#define FORWARDED 0x0a090307
#define CLIENT	  0x0a090105
#define ELSEWHERE 0x0a090205 /* on out0 */

enum { TCP_RESET, UNREACHABLE, POLICY }; /* entries of INPUT */

struct frame {
	uint32_t len;
	uint8_t b[2048];
};

FIXTURE(reject)
{
	struct sandbox s;
	struct bf_kernel kernel;
	unsigned int in;
	bool leaves; /* packets do, by in */
	int devs, maps[BF_NR_ALL_MAPS], prog;
	struct bf_program *program;
};

FIXTURE_VARIANT(reject)
{
	enum bf_attach attach;
	enum bf_form form;
	bool old; /* a kernel that lets programs read less */
};
FIXTURE_VARIANT_ADD(reject, tc){.attach = BF_ATTACH_TC, .form = BF_FORM_STRAIGHT};
FIXTURE_VARIANT_ADD(reject, tc_records){.attach = BF_ATTACH_TC, .form = BF_FORM_RECORDS};
FIXTURE_VARIANT_ADD(reject, tc_old){.attach = BF_ATTACH_TC, .form = BF_FORM_STRAIGHT, .old = true};
FIXTURE_VARIANT_ADD(reject, xdp){.attach = BF_ATTACH_XDP, .form = BF_FORM_STRAIGHT};
FIXTURE_VARIANT_ADD(reject, xdp_records){.attach = BF_ATTACH_XDP, .form = BF_FORM_RECORDS};
FIXTURE_VARIANT_ADD(reject, xdp_old){.attach = BF_ATTACH_XDP, .form = BF_FORM_RECORDS, .old = true};

/* The neighbours' addresses are known, so that XDP gets them of the FIB. */
static int make_network(int netns)
{
	return testnet_sh(netns,
			  "for i in in out; do ip link add ${i}0 type veth peer name ${i}1 && "
			  "ip link set ${i}1 up || exit 1; done && ip link set lo up && "
			  "ip link set in0 address 02:00:00:00:00:01 up && ip link set out0 up && "
			  "ip addr add 10.9.1.1/24 dev in0 && ip addr add 10.9.2.1/24 dev out0 && "
			  "ip route add 10.9.3.0/24 via 10.9.2.2 && "
			  "ip neigh add 10.9.1.5 lladdr 02:00:00:00:00:05 dev in0 && "
			  "ip neigh add 10.9.1.6 lladdr 02:00:00:00:00:06 dev in0 && "
			  "ip neigh add 10.9.2.5 lladdr 02:00:00:00:00:25 dev out0 && "
			  "ip neigh add 10.9.2.6 lladdr 00:00:00:00:00:00 dev out0 && "
			  "echo 1 >/proc/sys/net/ipv4/ip_forward");
}

static int add_dev(int devs, const char *name, uint8_t last)
{
	struct bf_dev dev = {.mac = {2, 0, 0, 0, 0, last}};
	uint32_t index = if_nametoindex(name);

	strcpy(dev.name, name);
	return bpf_map_update_elem(devs, &index, &dev, BPF_ANY);
}

static void reject(struct blob *b, uint8_t proto, enum ipt_reject_with with)
{
	struct ipt_reject_info info = {.with = with};

	blob_begin(b)->proto = proto;
	blob_end_target(b, "REJECT", 0, &info, sizeof(info));
}

/* All chains: -p tcp -j REJECT --reject-with tcp-reset; -j REJECT */
static void make_table(struct blob *b)
{
	static const unsigned int hooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		blob_hook(b, hooks[i]);
		reject(b, IPPROTO_TCP, IPT_TCP_RESET);
		reject(b, 0, IPT_ICMP_PORT_UNREACHABLE);
		blob_policy(b, hooks[i], BLOB_ACCEPT);
	}
	blob_finish(b);
}

static int load(FIXTURE_DATA(reject) * self, enum bf_attach attach, enum bf_form form,
		struct bf_why *why)
{
	struct blob b = {};
	struct bf_table *table;
	int i, err;

	make_table(&b);
	table = blob_table(&b);
	blob_free(&b);
	if (!table)
		return -EINVAL;
	err = bf_compile(table, &self->kernel, attach, form, 0, &self->program, why);
	bf_table_free(table);
	for (i = 0; !err && i < BF_NR_MAPS; i++) {
		const struct bf_map_def *def = &self->program->maps[i];

		if (i == BF_MAP_DEVS) {
			self->maps[i] = self->devs;
		} else if (def->max_entries) {
			self->maps[i] =
				bf_array_create(def->name, def->value_size, def->max_entries);
			err = self->maps[i] < 0 ? self->maps[i]
						: bf_array_fill(self->maps[i], def, true);
		}
	}
	self->maps[BF_MAP_REPLIES] = bf_array_create("bf_replies", sizeof(struct bf_replies), 1);
	if (!err)
		self->prog = bf_load_program("test", self->program, self->maps, why);
	return err ?: self->prog < 0 ? self->prog : 0;
}

FIXTURE_SETUP(reject)
{
	int err = sandbox_enter(&self->s);
	struct bf_why why = {};

	if (err == 1)
		SANDBOX_SKIP(&self->s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->s.why);
	bf_env_kernel(self->s.env, &self->kernel);
	if (variant->old)
		self->kernel.has_dev = false;
	self->kernel.replying = (struct bf_replying){.ttl = 64};
	memset(self->maps, -1, sizeof(self->maps));
	self->prog = -1;
	ASSERT_EQ(0, make_network(self->s.netns));
	self->in = if_nametoindex("in0");
	self->devs = bpf_map_create(BPF_MAP_TYPE_HASH, "bf_devs", sizeof(uint32_t),
				    sizeof(struct bf_dev), BF_MAX_DEVS, NULL);
	ASSERT_EQ(0, add_dev(self->devs, "in0", 1));
	ASSERT_EQ(0, add_dev(self->devs, "out0", 2));
	ASSERT_EQ(0, load(self, variant->attach, variant->form, &why)) TH_LOG("%s", why.text);
}

FIXTURE_TEARDOWN(reject)
{
	unsigned int i;

	for (i = 0; i < BF_NR_ALL_MAPS; i++)
		if (self->maps[i] >= 0)
			close(self->maps[i]);
	if (self->prog >= 0)
		close(self->prog);
	bf_program_free(self->program);
	sandbox_leave(&self->s);
}

/* --- packets ---------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/* RFC 1071, of what begins with @sum. */
static uint16_t add_up(uint32_t sum, const uint8_t *p, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t pseudo(const uint8_t *ip, uint32_t l4len)
{
	return add_up(ip[9] + l4len, ip + 12, 8);
}

/* @l4len bytes behind the IP header, with a checksum that is right. */
static struct frame make_frame(uint8_t proto, uint32_t daddr, uint32_t saddr, uint32_t l4len)
{
	struct frame f = {.len = ETH_HLEN + 20 + l4len};
	uint8_t *ip = f.b + ETH_HLEN, *l4 = ip + 20;
	const uint8_t macs[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 5, 8, 0};
	uint32_t i;

	memcpy(f.b, macs, sizeof(macs));
	ip[0] = 0x45;
	put16(ip + 2, 20 + l4len);
	ip[8] = 64;
	ip[9] = proto;
	put32(ip + 12, saddr);
	put32(ip + 16, daddr);
	put16(ip + 10, ~add_up(0, ip, 20));
	for (i = 0; i < l4len; i++)
		l4[i] = 31 * i + l4len;
	if (proto == IPPROTO_TCP) {
		l4[12] = 0x50;
		l4[13] = 0x02;
		put16(l4 + 16, 0);
		put16(l4 + 16, ~add_up(pseudo(ip, l4len), l4, l4len));
	} else {
		put16(l4 + 4, l4len);
		put16(l4 + 6, 0);
		put16(l4 + 6, ~add_up(pseudo(ip, l4len), l4, l4len));
	}
	if (f.len < ETH_ZLEN)
		f.len = ETH_ZLEN;
	return f;
}

/* What the program says; @reply is what it makes of the frame. */
static int run(FIXTURE_DATA(reject) * self, const struct frame *f, struct frame *reply)
{
	struct __sk_buff skb = {.ifindex = self->in,
				.cb = {self->leaves ? BF_TC_EGRESS : BF_TC_INGRESS}};
	struct xdp_md xdp = {.data_end = f->len, .ingress_ifindex = self->in};
	bool tc = self->program->attach == BF_ATTACH_TC;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = f->len,
		    .data_out = reply->b, .data_size_out = sizeof(reply->b),
		    .ctx_in = tc ? (void *)&skb : (void *)&xdp,
		    .ctx_size_in = tc ? sizeof(skb) : sizeof(xdp));

	if (bpf_prog_test_run_opts(self->prog, &opts))
		return -errno;
	reply->len = opts.data_size_out;
	return opts.retval;
}

static int answered(const FIXTURE_DATA(reject) * self)
{
	return self->program->attach == BF_ATTACH_TC ? TC_ACT_REDIRECT : XDP_TX;
}

static int dropped(const FIXTURE_DATA(reject) * self)
{
	return self->program->attach == BF_ATTACH_TC ? TC_ACT_SHOT : XDP_DROP;
}

static uint64_t counted(FIXTURE_DATA(reject) * self, uint32_t entry)
{
	struct xt_counters c;
	uint64_t sum = 0;
	uint32_t cpu, key;

	for (cpu = 0; cpu < self->kernel.cpus; cpu++) {
		key = cpu * self->program->stride + entry;
		if (!bpf_map_lookup_elem(self->maps[BF_MAP_COUNTERS], &key, &c))
			sum += c.pcnt;
	}
	return sum;
}

static uint64_t lost(FIXTURE_DATA(reject) * self)
{
	static struct bf_replies replies;
	uint32_t zero = 0;

	return bpf_map_lookup_elem(self->maps[BF_MAP_REPLIES], &zero, &replies) ? UINT64_MAX
										: replies.lost;
}

/* --- tests ------------------------------------------------------------------------------------ */

TEST_F(reject, unreachable)
{
	struct frame f, reply;
	uint32_t len, quote;
	const uint8_t *ip = reply.b + ETH_HLEN;

	for (len = 8; len <= 1480; len++) {
		f = make_frame(IPPROTO_UDP, HERE, CLIENT, len);
		quote = len + 20 < 548 ? len + 20 : 548;
		ASSERT_EQ(answered(self), run(self, &f, &reply)) TH_LOG("%u bytes", len);
		ASSERT_EQ(ETH_HLEN + 28 + quote, reply.len);
		EXPECT_EQ(0, memcmp(reply.b + ETH_HLEN + 28, f.b + ETH_HLEN, quote))
		TH_LOG("%u bytes", len);
		EXPECT_EQ(28 + quote, get16(ip + 2));
		EXPECT_EQ(0xffff, add_up(0, ip, 20));
		EXPECT_EQ(0xffff, add_up(0, ip + 20, 8 + quote)) TH_LOG("%u bytes", len);
		EXPECT_EQ(0x0303, get16(ip + 20));
		EXPECT_EQ(HERE, get32(ip + 12));
		EXPECT_EQ(CLIENT, get32(ip + 16));
		EXPECT_EQ(0xc0, ip[1]);
		if (self->program->attach == BF_ATTACH_XDP)
			EXPECT_EQ(0, memcmp(reply.b, "\2\0\0\0\0\5\2\0\0\0\0\1\10\0", ETH_HLEN));
	}
	EXPECT_EQ(1473, counted(self, UNREACHABLE));
	EXPECT_EQ(0, lost(self));
}

TEST_F(reject, reset)
{
	struct frame f, reply;
	const uint8_t *ip = reply.b + ETH_HLEN, *l4 = ip + 20;
	uint32_t len;

	for (len = 20; len <= 1480; len++) {
		f = make_frame(IPPROTO_TCP, HERE, CLIENT, len);
		ASSERT_EQ(answered(self), run(self, &f, &reply)) TH_LOG("%u bytes", len);
		ASSERT_EQ(ETH_HLEN + 40, reply.len);
		EXPECT_EQ(40, get16(ip + 2));
		EXPECT_EQ(0xffff, add_up(0, ip, 20));
		EXPECT_EQ(0xffff, add_up(pseudo(ip, 20), l4, 20)) TH_LOG("%u bytes", len);
		EXPECT_EQ(get32(f.b + ETH_HLEN + 24) + 1 + len - 20, get32(l4 + 8));
		EXPECT_EQ(0x14, l4[13]);
	}
	EXPECT_EQ(1461, counted(self, TCP_RESET));
	EXPECT_EQ(0, lost(self));
}

/* By who forwards, and of the packet as it goes on. */
TEST_F(reject, forwarded)
{
	struct frame f = make_frame(IPPROTO_UDP, FORWARDED, CLIENT, 100), reply;
	const uint8_t *ip = reply.b + ETH_HLEN;

	ASSERT_EQ(answered(self), run(self, &f, &reply));
	EXPECT_EQ(HERE, get32(ip + 12));
	EXPECT_EQ(63, ip[28 + 8]);
	EXPECT_EQ(0xffff, add_up(0, ip + 28, 20));
	EXPECT_EQ(0xffff, add_up(0, ip + 20, 8 + 120));
	f = make_frame(IPPROTO_TCP, FORWARDED, CLIENT, 20);
	ASSERT_EQ(answered(self), run(self, &f, &reply));
	EXPECT_EQ(FORWARDED, get32(ip + 12));
}

static void corrupt(struct frame *f)
{
	f->b[ETH_HLEN + 20 + 9] ^= 1;
}

TEST_F(reject, not_answered)
{
	struct frame f = make_frame(IPPROTO_UDP, HERE, CLIENT, 900), reply;

	corrupt(&f);
	EXPECT_EQ(dropped(self), run(self, &f, &reply));
	f.b[ETH_HLEN + 20 + 6] = f.b[ETH_HLEN + 20 + 7] = 0;
	EXPECT_EQ(answered(self), run(self, &f, &reply)) TH_LOG("it has no checksum");
	f = make_frame(IPPROTO_TCP, HERE, CLIENT, 300);
	corrupt(&f);
	EXPECT_EQ(dropped(self), run(self, &f, &reply));
	f = make_frame(IPPROTO_TCP, HERE, CLIENT, 20);
	f.b[ETH_HLEN + 20 + 13] = 0x14;
	EXPECT_EQ(dropped(self), run(self, &f, &reply)) TH_LOG("a reset");
	f = make_frame(IPPROTO_UDP, HERE, 0x7f000001, 20);
	EXPECT_EQ(dropped(self), run(self, &f, &reply)) TH_LOG("from nowhere");
	EXPECT_EQ(3, counted(self, UNREACHABLE));
	EXPECT_EQ(2, counted(self, TCP_RESET));
	EXPECT_EQ(0, lost(self));
}

/* Of what is sent here, where the frame does not tell. Programs that cannot read the kernel's routes do not know. */
TEST_F(reject, broadcasts)
{
	struct frame to_one, to_all, reply;
	bool told = self->kernel.has_dev && self->kernel.has_fib;
	int silent = told ? dropped(self) : answered(self);

	if (self->program->attach != BF_ATTACH_TC)
		return; /* it sees nothing of that */
	self->in = if_nametoindex("lo");
	to_one = make_frame(IPPROTO_UDP, 0x7f000005, 0x7f000001, 20);
	to_all = make_frame(IPPROTO_UDP, 0x7fffffff, 0x7f000001, 20);
	memset(to_one.b, 0, 2 * ETH_ALEN);
	memset(to_all.b, 0, 2 * ETH_ALEN);
	EXPECT_EQ(answered(self), run(self, &to_one, &reply));
	EXPECT_EQ(silent, run(self, &to_all, &reply));
	self->in = if_nametoindex("out0");
	self->leaves = true;
	to_one = make_frame(IPPROTO_UDP, 0x0a0902fe, 0x0a090201, 20);
	to_all = make_frame(IPPROTO_UDP, 0x0a0902ff, 0x0a090201, 20);
	EXPECT_EQ(answered(self), run(self, &to_one, &reply));
	EXPECT_EQ(silent, run(self, &to_all, &reply));
	EXPECT_EQ(0, lost(self));
}

/* What would be answered if more was known of it is counted. */
TEST_F(reject, lost)
{
	struct frame f = make_frame(IPPROTO_UDP, HERE, CLIENT, 64), reply;
	uint8_t *ip = f.b + ETH_HLEN;

	ip[6] = 0x20; /* the first fragment */
	put16(ip + 10, 0);
	put16(ip + 10, ~add_up(0, ip, 20));
	EXPECT_EQ(dropped(self), run(self, &f, &reply));
	EXPECT_EQ(1, lost(self));
	f = make_frame(IPPROTO_UDP, HERE, CLIENT, 64);
	ip[0] = 0x46; /* the first word behind the header is an option: NOP */
	memset(ip + 20, 1, 4);
	put16(ip + 10, 0);
	put16(ip + 10, ~add_up(0, ip, 24));
	EXPECT_EQ(dropped(self), run(self, &f, &reply));
	EXPECT_EQ(2, lost(self));
	EXPECT_EQ(2, counted(self, UNREACHABLE));
}

/* Another interface's neighbour: XDP does not make a frame for one that has no address, as behind a tun. */
TEST_F(reject, elsewhere)
{
	bool xdp = self->program->attach == BF_ATTACH_XDP;
	struct frame f = make_frame(IPPROTO_UDP, HERE, ELSEWHERE, 64), reply;
	int redirected = xdp ? XDP_REDIRECT : TC_ACT_REDIRECT;

	EXPECT_EQ(redirected, run(self, &f, &reply));
	EXPECT_EQ(0, lost(self));
	f = make_frame(IPPROTO_UDP, HERE, ELSEWHERE + 1, 64);
	EXPECT_EQ(xdp ? XDP_DROP : redirected, run(self, &f, &reply));
	EXPECT_EQ(xdp, lost(self));
}

static int load_limited(FIXTURE_DATA(reject) * self, enum bf_attach attach, enum bf_form form,
			struct bf_replying replying)
{
	unsigned int i;

	self->kernel.replying = replying;
	for (i = 0; i < BF_NR_ALL_MAPS; i++) {
		if (self->maps[i] >= 0 && i != BF_MAP_DEVS)
			close(self->maps[i]);
		self->maps[i] = -1;
	}
	close(self->prog);
	bf_program_free(self->program);
	self->program = NULL;
	return load(self, attach, form, NULL);
}

static unsigned int run_often(FIXTURE_DATA(reject) * self, const struct frame *f, unsigned int nr)
{
	unsigned int i, n = 0;
	struct frame reply;

	for (i = 0; i < nr; i++)
		n += run(self, f, &reply) == answered(self);
	return n;
}

/*
 * Six at once for each host, as the kernel has it, and what it gets none for takes nothing of what there is for all; there
 * is no limit for resets.
 */
TEST_F(reject, limits)
{
	struct frame f = make_frame(IPPROTO_UDP, HERE, CLIENT, 64);
	unsigned int n;

	ASSERT_EQ(0, load_limited(self, variant->attach, variant->form,
				  (struct bf_replying)BF_REPLYING_DEFAULT));
	n = run_often(self, &f, 400);
	EXPECT_LE(6, n);
	EXPECT_GE(8, n) TH_LOG("%u replies", n);
	f = make_frame(IPPROTO_UDP, HERE, CLIENT + 1, 64);
	EXPECT_EQ(1, run_often(self, &f, 1)) TH_LOG("another host");
	f = make_frame(IPPROTO_TCP, HERE, CLIENT, 20);
	EXPECT_EQ(40, run_often(self, &f, 40));
	EXPECT_EQ(401, counted(self, UNREACHABLE));
	EXPECT_EQ(0, lost(self));
}

/* Nor does the other way round: three at once for all, one more after 100 ms. The host's six last longer than ten packets. */
TEST_F(reject, limit_of_all)
{
	struct frame f = make_frame(IPPROTO_UDP, HERE, CLIENT, 64);
	struct bf_replying replying = BF_REPLYING_DEFAULT;
	unsigned int n;

	replying.per_second = 10;
	replying.burst = 3;
	ASSERT_EQ(0, load_limited(self, variant->attach, variant->form, replying));
	n = run_often(self, &f, 10);
	EXPECT_LE(3, n);
	EXPECT_GE(5, n) TH_LOG("%u replies", n);
	usleep(200000);
	EXPECT_EQ(1, run_often(self, &f, 1)) TH_LOG("%u replies before", n);
	EXPECT_EQ(0, lost(self));
}

/* Nobody there would carry it out. */
TEST_F(reject, other_targets)
{
	struct xt_log_info info = {.level = 4};
	struct bf_program *p = NULL;
	struct bf_why why = {};
	struct bf_table *table;
	struct blob b = {};

	blob_hook(&b, NF_INET_LOCAL_IN);
	blob_begin(&b);
	blob_end_target(&b, "LOG", 0, &info, sizeof(info));
	blob_policy(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	table = blob_table(&b);
	ASSERT_NE(NULL, table);
	EXPECT_EQ(-EOPNOTSUPP,
		  bf_compile(table, &self->kernel, variant->attach, variant->form, 0, &p, &why));
	EXPECT_NE(NULL, strstr(why.text, "target LOG is not available")) TH_LOG("%s", why.text);
	bf_table_free(table);
	blob_free(&b);
}

TEST_HARNESS_MAIN
