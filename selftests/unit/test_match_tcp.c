// SPDX-License-Identifier: GPL-2.0
/* -m tcp, udp, icmp: the vectors follow xt_tcpudp.c and icmp_match() of the kernel. */
#include "entry.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/netfilter/xt_tcpudp.h>

FIXTURE(l4)
{
	struct xt_tcp tcp;
	struct xt_udp udp;
	struct ipt_icmp icmp;
	uint32_t key[BF_NR_FIELDS];
	struct answer answer;
};

FIXTURE_SETUP(l4)
{
	memset(self, 0, sizeof(*self));
	self->tcp = (struct xt_tcp){.spts = {0, 65535}, .dpts = {0, 65535}};
	self->udp = (struct xt_udp){.spts = {0, 65535}, .dpts = {0, 65535}};
	self->icmp = (struct ipt_icmp){.type = 0xff, .code = {0, 0xff}};
	self->key[BF_L4LEN] = 20;
}

FIXTURE_TEARDOWN(l4)
{
}

static int tcp_eval(FIXTURE_DATA(l4) * self)
{
	struct entry t;

	entry_init(&t);
	entry_add(&t, "tcp", 0, &self->tcp, sizeof(self->tcp));
	self->answer.asked = 0;
	return entry_eval(&t, self->key, &self->answer);
}

#define TCP()  tcp_eval(self)
#define UDP()  match_eval("udp", 0, &self->udp, sizeof(self->udp), self->key)
#define ICMP() match_eval("icmp", 0, &self->icmp, sizeof(self->icmp), self->key)

TEST_F(l4, the_records_are_the_kernels)
{
	static const struct {
		const char *name;
		unsigned int size;
		uint8_t proto;
	} v[] = {{"tcp", 12, IPPROTO_TCP}, {"udp", 10, IPPROTO_UDP}, {"icmp", 4, IPPROTO_ICMP}};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		const struct bf_match *m = bf_match_find(v[i].name, 0);

		ASSERT_NE(NULL, m);
		EXPECT_EQ(v[i].size, m->size);
		EXPECT_EQ(v[i].proto, m->proto);
		EXPECT_EQ(0, m->usersize);
		EXPECT_FALSE(m->conntrack);
		EXPECT_EQ(NULL, bf_match_find(v[i].name, 1));
	}
	EXPECT_EQ(NULL, bf_match_find("udplite", 0));
	EXPECT_EQ(NULL, bf_match_find("tc", 0));
	EXPECT_EQ(NULL, bf_match_find("tcpx", 0));
}

TEST_F(l4, unknown_inversions_are_refused)
{
	struct entry t;
	int flags;

	entry_init(&t);
	for (flags = 0; flags < 256; flags++) {
		self->tcp.invflags = self->udp.invflags = self->icmp.invflags = flags;
		EXPECT_EQ(flags > 15 ? -EINVAL : 0, entry_check(&t, "tcp", 0, &self->tcp, 0));
		EXPECT_EQ(flags > 3 ? -EINVAL : 0, entry_check(&t, "udp", 0, &self->udp, 0));
		EXPECT_EQ(flags > 1 ? -EINVAL : 0, entry_check(&t, "icmp", 0, &self->icmp, 0));
	}
}

/* A fragment 8 bytes in is dropped by tcp; what is further in has no header to look at. */
TEST_F(l4, fragments)
{
	self->key[BF_FRAGOFF] = 1;
	EXPECT_EQ(BF_HOTDROP, TCP());
	EXPECT_EQ(BF_NO_MATCH, UDP());
	EXPECT_EQ(BF_NO_MATCH, ICMP());
	self->key[BF_FRAGOFF] = 2;
	EXPECT_EQ(BF_NO_MATCH, TCP());
	EXPECT_EQ(BF_NO_MATCH, UDP());
	/* nor is its length looked at */
	self->key[BF_L4LEN] = 0;
	EXPECT_EQ(BF_NO_MATCH, TCP());
	EXPECT_EQ(BF_NO_MATCH, UDP());
	EXPECT_EQ(BF_NO_MATCH, ICMP());
	self->key[BF_FRAGOFF] = 1;
	EXPECT_EQ(BF_HOTDROP, TCP());
	EXPECT_EQ(BF_NO_MATCH, UDP());
	/* inversion does not change that */
	self->tcp.invflags = XT_TCP_INV_SRCPT;
	self->udp.invflags = XT_UDP_INV_SRCPT;
	self->icmp.invflags = IPT_ICMP_INV;
	EXPECT_EQ(BF_HOTDROP, TCP());
	EXPECT_EQ(BF_NO_MATCH, UDP());
	EXPECT_EQ(BF_NO_MATCH, ICMP());
}

TEST_F(l4, truncated_headers_are_dropped)
{
	uint32_t len;

	for (len = 0; len < 24; len++) {
		self->key[BF_L4LEN] = len;
		EXPECT_EQ(len < 20 ? BF_HOTDROP : BF_MATCH, TCP()) TH_LOG("%u bytes", len);
		EXPECT_EQ(len < 8 ? BF_HOTDROP : BF_MATCH, UDP()) TH_LOG("%u bytes", len);
		EXPECT_EQ(len < 8 ? BF_HOTDROP : BF_MATCH, ICMP()) TH_LOG("%u bytes", len);
	}
	self->key[BF_L4LEN] = 65535;
	EXPECT_EQ(BF_MATCH, TCP());
}

/* Truncation comes before anything else, also where the ports would not match. */
TEST_F(l4, truncation_before_ports)
{
	self->tcp.dpts[1] = self->udp.dpts[1] = 5;
	self->key[BF_DPORT] = 6;
	EXPECT_EQ(BF_NO_MATCH, TCP());
	EXPECT_EQ(BF_NO_MATCH, UDP());
	self->key[BF_L4LEN] = 7;
	EXPECT_EQ(BF_HOTDROP, TCP());
	EXPECT_EQ(BF_HOTDROP, UDP());
}

static const struct {
	uint16_t min, max, port;
	int match, inverted;
} ports[] = {
	{80, 80, 79, BF_NO_MATCH, BF_MATCH},
	{80, 80, 80, BF_MATCH, BF_NO_MATCH},
	{80, 80, 81, BF_NO_MATCH, BF_MATCH},
	{1000, 2000, 999, BF_NO_MATCH, BF_MATCH},
	{1000, 2000, 1000, BF_MATCH, BF_NO_MATCH},
	{1000, 2000, 2000, BF_MATCH, BF_NO_MATCH},
	{1000, 2000, 2001, BF_NO_MATCH, BF_MATCH},
	{0, 65535, 0, BF_MATCH, BF_NO_MATCH},
	{0, 65535, 65535, BF_MATCH, BF_NO_MATCH},
	{1, 65535, 0, BF_NO_MATCH, BF_MATCH},
	{0, 0, 0, BF_MATCH, BF_NO_MATCH},
	{0, 0, 1, BF_NO_MATCH, BF_MATCH},
	{65535, 65535, 65535, BF_MATCH, BF_NO_MATCH},
	/* upside down: an empty range */
	{2000, 1000, 1500, BF_NO_MATCH, BF_MATCH},
	{2000, 1000, 2000, BF_NO_MATCH, BF_MATCH},
};

TEST_F(l4, ports)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		FIXTURE_DATA(l4) saved = *self;

		self->key[BF_SPORT] = ports[i].port;
		self->key[BF_DPORT] = 12345;
		self->tcp.spts[0] = self->udp.spts[0] = ports[i].min;
		self->tcp.spts[1] = self->udp.spts[1] = ports[i].max;
		EXPECT_EQ(ports[i].match, TCP()) TH_LOG("source, vector %u", i);
		EXPECT_EQ(ports[i].match, UDP()) TH_LOG("source, vector %u", i);
		self->tcp.invflags = XT_TCP_INV_SRCPT;
		self->udp.invflags = XT_UDP_INV_SRCPT;
		EXPECT_EQ(ports[i].inverted, TCP()) TH_LOG("not source, vector %u", i);
		EXPECT_EQ(ports[i].inverted, UDP()) TH_LOG("not source, vector %u", i);

		*self = saved;
		self->key[BF_SPORT] = 12345;
		self->key[BF_DPORT] = ports[i].port;
		self->tcp.dpts[0] = self->udp.dpts[0] = ports[i].min;
		self->tcp.dpts[1] = self->udp.dpts[1] = ports[i].max;
		EXPECT_EQ(ports[i].match, TCP()) TH_LOG("destination, vector %u", i);
		EXPECT_EQ(ports[i].match, UDP()) TH_LOG("destination, vector %u", i);
		self->tcp.invflags = XT_TCP_INV_DSTPT;
		self->udp.invflags = XT_UDP_INV_DSTPT;
		EXPECT_EQ(ports[i].inverted, TCP()) TH_LOG("not destination, vector %u", i);
		EXPECT_EQ(ports[i].inverted, UDP()) TH_LOG("not destination, vector %u", i);
		*self = saved;
	}
}

TEST_F(l4, tcp_flags)
{
	static const struct {
		uint8_t mask, compare, flags;
		int match, inverted;
	} v[] = {
		/* --syn: SYN,RST,ACK,FIN SYN */
		{0x17, 0x02, 0x02, BF_MATCH, BF_NO_MATCH},
		{0x17, 0x02, 0xe2, BF_MATCH, BF_NO_MATCH},
		{0x17, 0x02, 0x12, BF_NO_MATCH, BF_MATCH},
		{0x17, 0x02, 0x00, BF_NO_MATCH, BF_MATCH},
		/* ALL NONE and ALL ALL do not see ECE and CWR */
		{0x3f, 0x00, 0xc0, BF_MATCH, BF_NO_MATCH},
		{0x3f, 0x3f, 0x3f, BF_MATCH, BF_NO_MATCH},
		{0x3f, 0x3f, 0x1f, BF_NO_MATCH, BF_MATCH},
		{0xff, 0x80, 0x80, BF_MATCH, BF_NO_MATCH},
		/* no mask: nothing is asked; flags outside the mask cannot be set */
		{0x00, 0x00, 0xff, BF_MATCH, BF_NO_MATCH},
		{0x01, 0x02, 0x02, BF_NO_MATCH, BF_MATCH},
		{0x01, 0x03, 0x03, BF_NO_MATCH, BF_MATCH},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		self->tcp.flg_mask = v[i].mask;
		self->tcp.flg_cmp = v[i].compare;
		self->key[BF_TCP_FLAGS] = v[i].flags;
		self->tcp.invflags = 0;
		EXPECT_EQ(v[i].match, TCP()) TH_LOG("vector %u", i);
		self->tcp.invflags = XT_TCP_INV_FLAGS;
		EXPECT_EQ(v[i].inverted, TCP()) TH_LOG("inverted, vector %u", i);
	}
}

/* The search for an option is a condition: here, that it is asked at the right moment. */
TEST_F(l4, tcp_option)
{
	static const int results[2][3] = {{BF_NO_MATCH, BF_MATCH, BF_HOTDROP},
					  {BF_MATCH, BF_NO_MATCH, BF_HOTDROP}};
	int invert;

	EXPECT_EQ(BF_MATCH, TCP());
	EXPECT_EQ(0U, self->answer.asked);
	self->tcp.invflags = XT_TCP_INV_OPTION;
	EXPECT_EQ(BF_MATCH, TCP());
	EXPECT_EQ(0U, self->answer.asked);
	self->tcp.option = 8;
	for (invert = 0; invert < 2; invert++) {
		self->tcp.invflags = invert ? XT_TCP_INV_OPTION : 0;
		for (self->answer.value = 0; self->answer.value < 3; self->answer.value++) {
			EXPECT_EQ(results[invert][self->answer.value], TCP());
			EXPECT_EQ(1U, self->answer.asked);
		}
	}
	/* after everything else */
	self->answer.value = BF_HOTDROP;
	self->tcp.flg_mask = self->tcp.flg_cmp = 2;
	EXPECT_EQ(BF_NO_MATCH, TCP());
	EXPECT_EQ(0U, self->answer.asked);
	self->key[BF_TCP_FLAGS] = 2;
	EXPECT_EQ(BF_HOTDROP, TCP());
	self->tcp.dpts[0] = 1;
	EXPECT_EQ(BF_NO_MATCH, TCP());
	self->key[BF_L4LEN] = 19;
	EXPECT_EQ(BF_HOTDROP, TCP());
	EXPECT_EQ(0U, self->answer.asked);
}

TEST_F(l4, icmp)
{
	static const struct {
		uint8_t type, min, max, packet_type, packet_code;
		int match, inverted;
	} v[] = {
		{8, 0, 255, 8, 0, BF_MATCH, BF_NO_MATCH},
		{8, 0, 255, 8, 255, BF_MATCH, BF_NO_MATCH},
		{8, 0, 255, 7, 255, BF_NO_MATCH, BF_MATCH},
		{8, 0, 255, 9, 0, BF_NO_MATCH, BF_MATCH},
		{3, 4, 4, 3, 4, BF_MATCH, BF_NO_MATCH},
		{3, 4, 4, 3, 3, BF_NO_MATCH, BF_MATCH},
		{3, 4, 4, 3, 5, BF_NO_MATCH, BF_MATCH},
		{3, 4, 4, 4, 4, BF_NO_MATCH, BF_MATCH},
		{3, 2, 5, 3, 2, BF_MATCH, BF_NO_MATCH},
		{3, 2, 5, 3, 5, BF_MATCH, BF_NO_MATCH},
		{3, 2, 5, 3, 1, BF_NO_MATCH, BF_MATCH},
		{3, 2, 5, 3, 6, BF_NO_MATCH, BF_MATCH},
		{3, 5, 2, 3, 3, BF_NO_MATCH, BF_MATCH},
		{0, 0, 255, 0, 0, BF_MATCH, BF_NO_MATCH},
		{254, 0, 255, 254, 9, BF_MATCH, BF_NO_MATCH},
		/* any */
		{255, 0, 255, 8, 0, BF_MATCH, BF_NO_MATCH},
		{255, 7, 3, 0, 0, BF_MATCH, BF_NO_MATCH},
		{255, 0, 0, 255, 255, BF_MATCH, BF_NO_MATCH},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		self->icmp = (struct ipt_icmp){v[i].type, {v[i].min, v[i].max}, 0};
		self->key[BF_ICMP] = v[i].packet_type << 8 | v[i].packet_code;
		EXPECT_EQ(v[i].match, ICMP()) TH_LOG("vector %u", i);
		self->icmp.invflags = IPT_ICMP_INV;
		EXPECT_EQ(v[i].inverted, ICMP()) TH_LOG("inverted, vector %u", i);
	}
}

TEST_HARNESS_MAIN
