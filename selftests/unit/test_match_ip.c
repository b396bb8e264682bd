// SPDX-License-Identifier: GPL-2.0
/* struct ipt_ip: the vectors follow ip_packet_match() of the kernel. */
#include "entry.h"
#include "kselftest_harness.h"

#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_tcpudp.h>

FIXTURE(ip)
{
	struct entry t;
	uint32_t key[BF_NR_FIELDS];
	struct answer answer;
};

FIXTURE_SETUP(ip)
{
	memset(self, 0, sizeof(*self));
	entry_init(&self->t);
}

FIXTURE_TEARDOWN(ip)
{
}

#define EVAL() entry_eval(&self->t, self->key, &self->answer)
#define IP     self->t.e.ip

TEST_F(ip, an_empty_rule_has_no_branches)
{
	struct bf_rule r = {};

	bf_compile_ip(&r, &self->t.e);
	EXPECT_EQ(0U, r.nr_ops);
	EXPECT_EQ(BF_MATCH, EVAL());
	bf_rule_free(&r);
}

TEST_F(ip, addresses)
{
	static const struct {
		const char *addr, *mask, *packet;
		int match, inverted;
	} v[] = {
		{"10.1.2.3", "255.255.255.255", "10.1.2.3", BF_MATCH, BF_NO_MATCH},
		{"10.1.2.3", "255.255.255.255", "10.1.2.4", BF_NO_MATCH, BF_MATCH},
		{"10.1.2.3", "255.255.255.255", "3.2.1.10", BF_NO_MATCH, BF_MATCH},
		/* the last octet's high bit is no sign */
		{"10.1.2.200", "255.255.255.255", "10.1.2.200", BF_MATCH, BF_NO_MATCH},
		{"200.1.2.200", "255.0.0.0", "200.9.9.9", BF_NO_MATCH, BF_MATCH},
		{"10.1.2.0", "255.255.255.0", "10.1.2.255", BF_MATCH, BF_NO_MATCH},
		{"10.1.2.0", "255.255.255.0", "10.1.3.0", BF_NO_MATCH, BF_MATCH},
		{"0.0.0.1", "0.0.0.255", "77.88.99.1", BF_MATCH, BF_NO_MATCH},
		{"10.0.3.0", "255.0.255.0", "10.77.3.1", BF_MATCH, BF_NO_MATCH},
		{"10.0.3.0", "255.0.255.0", "10.77.4.1", BF_NO_MATCH, BF_MATCH},
		/* bits outside the mask: never equal, whatever the packet */
		{"10.1.2.3", "255.255.255.0", "10.1.2.3", BF_NO_MATCH, BF_MATCH},
		{"0.0.0.1", "0.0.0.0", "0.0.0.1", BF_NO_MATCH, BF_MATCH},
		{"0.0.0.0", "0.0.0.0", "1.2.3.4", BF_MATCH, BF_NO_MATCH},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		uint32_t packet = ntohl(inet_addr(v[i].packet));

		memset(&IP, 0, sizeof(IP));
		IP.src.s_addr = inet_addr(v[i].addr);
		IP.smsk.s_addr = inet_addr(v[i].mask);
		self->key[BF_SADDR] = packet;
		self->key[BF_DADDR] = ~packet;
		EXPECT_EQ(v[i].match, EVAL()) TH_LOG("source, vector %u", i);
		IP.invflags = IPT_INV_SRCIP;
		EXPECT_EQ(v[i].inverted, EVAL()) TH_LOG("not source, vector %u", i);

		memset(&IP, 0, sizeof(IP));
		IP.dst.s_addr = inet_addr(v[i].addr);
		IP.dmsk.s_addr = inet_addr(v[i].mask);
		self->key[BF_SADDR] = ~packet;
		self->key[BF_DADDR] = packet;
		EXPECT_EQ(v[i].match, EVAL()) TH_LOG("destination, vector %u", i);
		IP.invflags = IPT_INV_DSTIP;
		EXPECT_EQ(v[i].inverted, EVAL()) TH_LOG("not destination, vector %u", i);
	}
}

TEST_F(ip, protocol)
{
	static const struct {
		uint16_t rule;
		uint8_t packet;
		int match, inverted;
	} v[] = {
		{6, 6, BF_MATCH, BF_NO_MATCH},	   {6, 17, BF_NO_MATCH, BF_MATCH},
		{0, 0, BF_MATCH, BF_MATCH},	   {0, 255, BF_MATCH, BF_MATCH},
		{255, 255, BF_MATCH, BF_NO_MATCH}, {256, 0, BF_NO_MATCH, BF_MATCH},
		{262, 6, BF_NO_MATCH, BF_MATCH},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		IP.proto = v[i].rule;
		self->key[BF_PROTO] = v[i].packet;
		IP.invflags = 0;
		EXPECT_EQ(v[i].match, EVAL()) TH_LOG("vector %u", i);
		IP.invflags = IPT_INV_PROTO;
		EXPECT_EQ(v[i].inverted, EVAL()) TH_LOG("inverted, vector %u", i);
	}
}

TEST_F(ip, fragments)
{
	/* by flag, inversion and fragment offset 0, 1, 0x1fff */
	static const int expected[2][2][3] = {
		{{BF_MATCH, BF_MATCH, BF_MATCH}, {BF_NO_MATCH, BF_NO_MATCH, BF_NO_MATCH}},
		{{BF_NO_MATCH, BF_MATCH, BF_MATCH}, {BF_MATCH, BF_NO_MATCH, BF_NO_MATCH}},
	};
	static const uint32_t offsets[] = {0, 1, 0x1fff};
	int flag, invert, i;

	for (flag = 0; flag < 2; flag++)
		for (invert = 0; invert < 2; invert++)
			for (i = 0; i < 3; i++) {
				IP.flags = flag ? IPT_F_FRAG : 0;
				IP.invflags = invert ? IPT_INV_FRAG : 0;
				self->key[BF_FRAGOFF] = offsets[i];
				EXPECT_EQ(expected[flag][invert][i], EVAL())
				TH_LOG("flag %d, inverted %d, offset %u", flag, invert, offsets[i]);
			}
}

/* The other flag, goto, is none of the match's business. */
TEST_F(ip, goto_is_no_condition)
{
	IP.flags = IPT_F_GOTO;
	EXPECT_EQ(BF_MATCH, EVAL());
}

static void set_name(uint32_t *key, enum bf_field field, const char *name)
{
	char padded[IFNAMSIZ] = "";

	memcpy(padded, name, strlen(name));
	memcpy(&key[field], padded, IFNAMSIZ);
}

TEST_F(ip, interfaces)
{
	static const struct {
		const char *name;
		const char *mask; /* a character a byte: '#' is 0xff, '.' is 0, '4' is 0x0f */
		const char *packet;
		int match, inverted;
	} v[] = {
		{"eth0", "#####", "eth0", BF_MATCH, BF_NO_MATCH},
		{"eth0", "#####", "eth1", BF_NO_MATCH, BF_MATCH},
		{"eth0", "#####", "eth00", BF_NO_MATCH, BF_MATCH},
		{"eth0", "#####", "", BF_NO_MATCH, BF_MATCH},
		/* eth+ */
		{"eth", "###", "eth1", BF_MATCH, BF_NO_MATCH},
		{"eth", "###", "ppp1", BF_NO_MATCH, BF_MATCH},
		/* any, and its inversion */
		{"", "", "eth1", BF_MATCH, BF_NO_MATCH},
		{"", "", "", BF_MATCH, BF_NO_MATCH},
		{"eth0", "", "lo", BF_MATCH, BF_NO_MATCH},
		/* no interface at this hook, asked for by its empty name */
		{"", "#", "", BF_MATCH, BF_NO_MATCH},
		{"", "#", "lo", BF_NO_MATCH, BF_MATCH},
		/* each of the four words alone makes the difference */
		{"abcdefghijklmno", "################", "abcdefghijklmno", BF_MATCH, BF_NO_MATCH},
		{"abcdefghijklmno", "################", "abcXefghijklmno", BF_NO_MATCH, BF_MATCH},
		{"abcdefghijklmno", "################", "abcdefgXijklmno", BF_NO_MATCH, BF_MATCH},
		{"abcdefghijklmno", "################", "abcdefghijkXmno", BF_NO_MATCH, BF_MATCH},
		{"abcdefghijklmno", "################", "abcdefghijklmnX", BF_NO_MATCH, BF_MATCH},
		/* holes in the mask; name bytes under a hole do not count */
		{"aXcdeXghijklmno", "#.###.##", "abcdefgh", BF_MATCH, BF_NO_MATCH},
		{"abcdXXXXijklmno", "####....####", "abcdefghijklz", BF_MATCH, BF_NO_MATCH},
		{"abcdXXXXijklmno", "####....####", "abcdefghijkzz", BF_NO_MATCH, BF_MATCH},
		{"....efgh", "....####", "zzzzefgh", BF_MATCH, BF_NO_MATCH},
		{"....efgh", "....####", "zzzzefgz", BF_NO_MATCH, BF_MATCH},
		/* half a byte */
		{"1", "4", "a", BF_MATCH, BF_NO_MATCH},
		{"1", "4", "b", BF_NO_MATCH, BF_MATCH},
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		unsigned char mask[IFNAMSIZ] = "";

		for (j = 0; v[i].mask[j]; j++)
			mask[j] = v[i].mask[j] == '#' ? 0xff : v[i].mask[j] == '4' ? 0x0f : 0;
		memset(&IP, 0, sizeof(IP));
		strcpy(IP.iniface, v[i].name);
		memcpy(IP.iniface_mask, mask, IFNAMSIZ);
		set_name(self->key, BF_IIF, v[i].packet);
		set_name(self->key, BF_OIF, "other");
		EXPECT_EQ(v[i].match, EVAL()) TH_LOG("in, vector %u", i);
		IP.invflags = IPT_INV_VIA_IN;
		EXPECT_EQ(v[i].inverted, EVAL()) TH_LOG("not in, vector %u", i);

		memset(&IP, 0, sizeof(IP));
		strcpy(IP.outiface, v[i].name);
		memcpy(IP.outiface_mask, mask, IFNAMSIZ);
		set_name(self->key, BF_OIF, v[i].packet);
		set_name(self->key, BF_IIF, "other");
		EXPECT_EQ(v[i].match, EVAL()) TH_LOG("out, vector %u", i);
		IP.invflags = IPT_INV_VIA_OUT;
		EXPECT_EQ(v[i].inverted, EVAL()) TH_LOG("not out, vector %u", i);
	}
}

/* Both interfaces inverted: what ends the first test must not end the rule. */
TEST_F(ip, two_inverted_interfaces)
{
	strcpy(IP.iniface, "abcdefgh");
	memset(IP.iniface_mask, 0xff, IFNAMSIZ);
	strcpy(IP.outiface, "abcdefgh");
	memset(IP.outiface_mask, 0xff, IFNAMSIZ);
	IP.invflags = IPT_INV_VIA_IN | IPT_INV_VIA_OUT;
	set_name(self->key, BF_IIF, "zzz");
	set_name(self->key, BF_OIF, "abcdefgh");
	EXPECT_EQ(BF_NO_MATCH, EVAL());
	set_name(self->key, BF_OIF, "zzz");
	EXPECT_EQ(BF_MATCH, EVAL());
	set_name(self->key, BF_IIF, "abcdefgh");
	EXPECT_EQ(BF_NO_MATCH, EVAL());
}

/* struct ipt_ip and every match, in order: a later match is not reached where an earlier fails. */
TEST_F(ip, matches_in_order)
{
	const struct xt_mark_mtinfo1 mark = {.mark = 7, .mask = 0xff};
	const struct xt_udp udp = {.spts = {0, 65535}, .dpts = {53, 53}};

	IP.proto = IPPROTO_UDP;
	entry_add(&self->t, "mark", 1, &mark, sizeof(mark));
	entry_add(&self->t, "udp", 0, &udp, sizeof(udp));
	self->key[BF_PROTO] = IPPROTO_UDP;
	self->key[BF_MARK] = 7;
	self->key[BF_DPORT] = 53;
	self->key[BF_L4LEN] = 8;
	EXPECT_EQ(BF_MATCH, EVAL());
	self->key[BF_DPORT] = 54;
	EXPECT_EQ(BF_NO_MATCH, EVAL());
	self->key[BF_L4LEN] = 7;
	EXPECT_EQ(BF_HOTDROP, EVAL());
	self->key[BF_MARK] = 8;
	EXPECT_EQ(BF_NO_MATCH, EVAL());
	self->key[BF_MARK] = 7;
	self->key[BF_PROTO] = IPPROTO_TCP;
	EXPECT_EQ(BF_NO_MATCH, EVAL());
}

TEST_F(ip, conntrack_is_remembered_across_rules)
{
	struct bf_rule r = {};
	struct entry state;
	const unsigned int mask = 0;

	bf_compile_rule(&r, &self->t.e);
	EXPECT_FALSE(r.conntrack);
	entry_init(&state);
	entry_add(&state, "state", 0, &mask, sizeof(mask));
	bf_compile_rule(&r, &state.e);
	bf_rule_reset(&r);
	bf_compile_rule(&r, &self->t.e);
	EXPECT_TRUE(r.conntrack);
	bf_rule_free(&r);
}

TEST_HARNESS_MAIN
