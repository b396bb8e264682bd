// SPDX-License-Identifier: GPL-2.0
/* -m conntrack and state: the vectors follow conntrack_mt() and state_mt() of the kernel. */
#include "entry.h"
#include "kselftest_harness.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_state.h>

#define INVALID	    XT_CONNTRACK_STATE_INVALID
#define UNTRACKED   XT_CONNTRACK_STATE_UNTRACKED
#define ESTABLISHED XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED)
#define RELATED	    XT_CONNTRACK_STATE_BIT(IP_CT_RELATED)
#define NEW	    XT_CONNTRACK_STATE_BIT(IP_CT_NEW)
#define SNAT	    XT_CONNTRACK_STATE_SNAT
#define DNAT	    XT_CONNTRACK_STATE_DNAT

/* In the form of revision 3; eval() makes the others of it. */
FIXTURE(conntrack)
{
	struct xt_conntrack_mtinfo3 info;
	uint32_t key[BF_NR_FIELDS];
};

FIXTURE_SETUP(conntrack)
{
	memset(self, 0, sizeof(*self));
	self->key[BF_CT_STATE] = NEW;
}

FIXTURE_TEARDOWN(conntrack)
{
}

static int eval(FIXTURE_DATA(conntrack) * self, int revision)
{
	struct xt_conntrack_mtinfo3 *info = &self->info, copy = *info;
	struct xt_conntrack_mtinfo1 old;

	if (revision == 3)
		return match_eval("conntrack", 3, info, sizeof(*info), self->key);
	copy.origsrc_port = htons(info->origsrc_port);
	copy.origdst_port = htons(info->origdst_port);
	copy.replsrc_port = htons(info->replsrc_port);
	copy.repldst_port = htons(info->repldst_port);
	if (revision == 2)
		return match_eval("conntrack", 2, &copy, sizeof(struct xt_conntrack_mtinfo2),
				  self->key);
	memcpy(&old, &copy, offsetof(struct xt_conntrack_mtinfo1, state_mask));
	old.state_mask = info->state_mask;
	old.status_mask = info->status_mask;
	return match_eval("conntrack", 1, &old, sizeof(old), self->key);
}

/* All revisions say this. */
#define EXPECT_ALL(expected)                                                                       \
	do {                                                                                       \
		int rev_;                                                                          \
		for (rev_ = 1; rev_ <= 3; rev_++)                                                  \
			EXPECT_EQ(expected, eval(self, rev_)) TH_LOG("revision %d", rev_);         \
	} while (0)

/* The same, and the opposite with the flag inverted. */
#define EXPECT_FLAG(flag, expected)                                                                \
	do {                                                                                       \
		self->info.match_flags = flag;                                                     \
		self->info.invert_flags = 0;                                                       \
		EXPECT_ALL(expected);                                                              \
		self->info.invert_flags = flag;                                                    \
		EXPECT_ALL(!(expected));                                                           \
		self->info.invert_flags = ~(flag);                                                 \
		EXPECT_ALL(expected);                                                              \
	} while (0)

TEST_F(conntrack, the_records_are_the_kernels)
{
	static const unsigned int sizes[] = {0, 152, 156, 164};
	int revision;

	for (revision = 1; revision <= 3; revision++) {
		const struct bf_match *m = bf_match_find("conntrack", revision);

		ASSERT_NE(NULL, m);
		EXPECT_TRUE(m->conntrack);
		EXPECT_EQ(sizes[revision], m->size);
	}
	EXPECT_EQ(NULL, bf_match_find("conntrack", 0));
	EXPECT_EQ(NULL, bf_match_find("conntrack", 4));
	EXPECT_EQ(4, bf_match_find("state", 0)->size);
	EXPECT_TRUE(bf_match_find("state", 0)->conntrack);
	EXPECT_EQ(NULL, bf_match_find("state", 1));
}

/* No option at all: whatever has an entry. */
TEST_F(conntrack, nothing_asked)
{
	EXPECT_ALL(BF_MATCH);
	self->key[BF_CT_STATE] = INVALID;
	EXPECT_ALL(BF_NO_MATCH);
	self->key[BF_CT_STATE] = UNTRACKED;
	EXPECT_ALL(BF_NO_MATCH);
	self->info.invert_flags = 0xffff;
	EXPECT_ALL(BF_NO_MATCH);
}

TEST_F(conntrack, state)
{
	static const uint16_t states[] = {INVALID,
					  ESTABLISHED,
					  RELATED,
					  NEW,
					  ESTABLISHED | SNAT,
					  NEW | DNAT,
					  ESTABLISHED | SNAT | DNAT,
					  UNTRACKED};
	unsigned int i, mask;

	for (mask = 0; mask < 512; mask++)
		for (i = 0; i < ARRAY_SIZE(states); i++) {
			int revision;

			self->info.state_mask = mask;
			self->key[BF_CT_STATE] = states[i];
			self->info.match_flags = XT_CONNTRACK_STATE;
			/* In revision 1 the mask is a byte: UNTRACKED cannot be asked for. */
			for (revision = 1; revision <= 3; revision++) {
				bool match = (revision == 1 ? mask & 0xff : mask) & states[i];

				self->info.invert_flags = 0;
				EXPECT_EQ(match, eval(self, revision))
				TH_LOG("mask 0x%x, state 0x%x", mask, states[i]);
				self->info.invert_flags = XT_CONNTRACK_STATE;
				EXPECT_EQ(!match, eval(self, revision))
				TH_LOG("mask not 0x%x, state 0x%x", mask, states[i]);
			}
		}
}

/* With a state and without an entry, the other options are not looked at. */
TEST_F(conntrack, state_shadows_the_rest_without_an_entry)
{
	self->info.state_mask = INVALID | NEW;
	self->info.match_flags = XT_CONNTRACK_STATE | XT_CONNTRACK_PROTO | XT_CONNTRACK_DIRECTION;
	self->info.l4proto = 17;
	self->key[BF_CT_STATE] = INVALID;
	EXPECT_ALL(BF_MATCH);
	self->info.invert_flags = XT_CONNTRACK_STATE;
	EXPECT_ALL(BF_NO_MATCH);
	self->key[BF_CT_STATE] = UNTRACKED;
	EXPECT_ALL(BF_MATCH);
	self->info.invert_flags = XT_CONNTRACK_PROTO | XT_CONNTRACK_DIRECTION;
	self->key[BF_CT_STATE] = INVALID;
	EXPECT_ALL(BF_MATCH);
	/* with an entry they are */
	self->info.invert_flags = 0;
	self->key[BF_CT_STATE] = NEW;
	EXPECT_ALL(BF_NO_MATCH);
	self->key[BF_CT_PROTO] = 17;
	EXPECT_ALL(BF_MATCH);
	/* without a state option, no entry is no match */
	self->info.match_flags = XT_CONNTRACK_PROTO;
	EXPECT_ALL(BF_MATCH);
	self->key[BF_CT_STATE] = INVALID;
	EXPECT_ALL(BF_NO_MATCH);
	self->info.invert_flags = XT_CONNTRACK_PROTO;
	EXPECT_ALL(BF_NO_MATCH);
}

/* The bit that tells "--state" from "--ctstate" to user space. */
TEST_F(conntrack, state_alias_is_no_option)
{
	self->info.state_mask = NEW;
	self->info.match_flags = XT_CONNTRACK_STATE | XT_CONNTRACK_STATE_ALIAS;
	EXPECT_ALL(BF_MATCH);
	self->key[BF_CT_STATE] = INVALID;
	EXPECT_ALL(BF_NO_MATCH);
	self->info.match_flags = XT_CONNTRACK_STATE_ALIAS;
	EXPECT_ALL(BF_NO_MATCH);
}

TEST_F(conntrack, direction)
{
	self->key[BF_CT_DIR] = 0;
	EXPECT_FLAG(XT_CONNTRACK_DIRECTION, BF_MATCH);
	self->key[BF_CT_DIR] = 1;
	EXPECT_FLAG(XT_CONNTRACK_DIRECTION, BF_NO_MATCH);
}

TEST_F(conntrack, protocol)
{
	self->info.l4proto = 6;
	self->key[BF_CT_PROTO] = 6;
	EXPECT_FLAG(XT_CONNTRACK_PROTO, BF_MATCH);
	self->key[BF_CT_PROTO] = 7;
	EXPECT_FLAG(XT_CONNTRACK_PROTO, BF_NO_MATCH);
	self->info.l4proto = 256 + 7;
	EXPECT_FLAG(XT_CONNTRACK_PROTO, BF_NO_MATCH);
}

TEST_F(conntrack, addresses)
{
	union nf_inet_addr *const addr[] = {&self->info.origsrc_addr, &self->info.origdst_addr,
					    &self->info.replsrc_addr, &self->info.repldst_addr};
	union nf_inet_addr *const mask[] = {&self->info.origsrc_mask, &self->info.origdst_mask,
					    &self->info.replsrc_mask, &self->info.repldst_mask};
	static const uint16_t flags[] = {XT_CONNTRACK_ORIGSRC, XT_CONNTRACK_ORIGDST,
					 XT_CONNTRACK_REPLSRC, XT_CONNTRACK_REPLDST};
	static const enum bf_field fields[] = {BF_CT_ORIGSRC, BF_CT_ORIGDST, BF_CT_REPLSRC,
					       BF_CT_REPLDST};
	static const struct {
		const char *addr, *mask, *packet;
		int match;
	} v[] = {
		{"10.1.2.200", "255.255.255.255", "10.1.2.200", BF_MATCH},
		{"10.1.2.200", "255.255.255.255", "10.1.2.201", BF_NO_MATCH},
		{"10.1.2.0", "255.255.255.0", "10.1.2.7", BF_MATCH},
		{"10.1.2.0", "255.255.255.0", "10.1.3.7", BF_NO_MATCH},
		{"10.0.2.0", "255.0.255.0", "10.99.2.99", BF_MATCH},
		/* bits outside the mask are ignored, unlike in -s and -d */
		{"10.1.2.9", "255.255.255.0", "10.1.2.7", BF_MATCH},
		{"10.1.2.9", "0.0.0.0", "1.1.1.1", BF_MATCH},
	};
	unsigned int i, which;

	for (which = 0; which < 4; which++)
		for (i = 0; i < ARRAY_SIZE(v); i++) {
			/* the words that are IPv6's must not matter */
			memset(addr[which], 0xaa, sizeof(*addr[which]));
			memset(mask[which], 0xff, sizeof(*mask[which]));
			addr[which]->ip = inet_addr(v[i].addr);
			mask[which]->ip = inet_addr(v[i].mask);
			self->key[BF_CT_ORIGSRC] = self->key[BF_CT_ORIGDST] =
				self->key[BF_CT_REPLSRC] = self->key[BF_CT_REPLDST] = 0xdeadbeef;
			self->key[fields[which]] = ntohl(inet_addr(v[i].packet));
			EXPECT_FLAG(flags[which], v[i].match);
		}
}

static const uint16_t port_flags[] = {XT_CONNTRACK_ORIGSRC_PORT, XT_CONNTRACK_ORIGDST_PORT,
				      XT_CONNTRACK_REPLSRC_PORT, XT_CONNTRACK_REPLDST_PORT};

TEST_F(conntrack, ports)
{
	uint16_t *const low[] = {&self->info.origsrc_port, &self->info.origdst_port,
				 &self->info.replsrc_port, &self->info.repldst_port};
	uint16_t *const high[] = {&self->info.origsrc_port_high, &self->info.origdst_port_high,
				  &self->info.replsrc_port_high, &self->info.repldst_port_high};
	int i, which;

	for (which = 0; which < 4; which++)
		for (i = 0; i < 4; i++)
			self->key[BF_CT_ORIGSRC_PORT + i] = 7;
	for (which = 0; which < 4; which++) {
		*low[which] = *high[which] = 0x1234;
		self->key[BF_CT_ORIGSRC_PORT + which] = 0x1234;
		EXPECT_FLAG(port_flags[which], BF_MATCH);
		self->key[BF_CT_ORIGSRC_PORT + which] = 0x3412;
		EXPECT_FLAG(port_flags[which], BF_NO_MATCH);
		self->key[BF_CT_ORIGSRC_PORT + which] = 7;
	}
}

TEST_F(conntrack, port_ranges)
{
	static const struct {
		uint16_t low, high, port;
		int match;
	} v[] = {
		{100, 200, 99, BF_NO_MATCH},
		{100, 200, 100, BF_MATCH},
		{100, 200, 200, BF_MATCH},
		{100, 200, 201, BF_NO_MATCH},
		{200, 100, 150, BF_NO_MATCH},
		{0, 65535, 65535, BF_MATCH},
		/* --ctorigsrcport 100 of revision 2 has no end: rev. 3 takes 0 for one */
		{100, 0, 100, BF_NO_MATCH},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		self->info.replsrc_port = v[i].low;
		self->info.replsrc_port_high = v[i].high;
		self->key[BF_CT_REPLSRC_PORT] = v[i].port;
		self->info.match_flags = XT_CONNTRACK_REPLSRC_PORT;
		self->info.invert_flags = 0;
		EXPECT_EQ(v[i].match, eval(self, 3)) TH_LOG("vector %u", i);
		/* the earlier ones know no ends */
		EXPECT_EQ(v[i].low == v[i].port, eval(self, 2)) TH_LOG("vector %u", i);
		EXPECT_EQ(v[i].low == v[i].port, eval(self, 1)) TH_LOG("vector %u", i);
		self->info.invert_flags = XT_CONNTRACK_REPLSRC_PORT;
		EXPECT_EQ(!v[i].match, eval(self, 3)) TH_LOG("inverted, vector %u", i);
	}
}

TEST_F(conntrack, status)
{
	static const struct {
		uint16_t mask;
		uint32_t status;
		int match;
	} v[] = {
		{IPS_ASSURED, IPS_ASSURED | IPS_CONFIRMED, BF_MATCH},
		{IPS_ASSURED, IPS_CONFIRMED, BF_NO_MATCH},
		{IPS_ASSURED | IPS_SEEN_REPLY, IPS_SEEN_REPLY, BF_MATCH},
		{IPS_EXPECTED, IPS_EXPECTED, BF_MATCH},
		/* --ctstatus NONE */
		{0, 0, BF_NO_MATCH},
		{0, 0xffffffff, BF_NO_MATCH},
		{0xff, 0xffff0000, BF_NO_MATCH},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		self->info.status_mask = v[i].mask;
		self->key[BF_CT_STATUS] = v[i].status;
		EXPECT_FLAG(XT_CONNTRACK_STATUS, v[i].match);
	}
	/* bits 8 to 15 are there from revision 2 on */
	self->info.match_flags = XT_CONNTRACK_STATUS;
	self->info.invert_flags = 0;
	self->info.status_mask = 0x100;
	self->key[BF_CT_STATUS] = 0x100;
	EXPECT_EQ(BF_NO_MATCH, eval(self, 1));
	EXPECT_EQ(BF_MATCH, eval(self, 2));
	EXPECT_EQ(BF_MATCH, eval(self, 3));
}

TEST_F(conntrack, expires)
{
	static const struct {
		uint32_t min, max, seconds;
		int match;
	} v[] = {
		{60, 120, 59, BF_NO_MATCH}, {60, 120, 60, BF_MATCH},
		{60, 120, 120, BF_MATCH},   {60, 120, 121, BF_NO_MATCH},
		{0, 0, 0, BF_MATCH},	    {0, 0, 1, BF_NO_MATCH},
		{9, 3, 5, BF_NO_MATCH},	    {0, UINT32_MAX, 4000000000U, BF_MATCH},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		self->info.expires_min = v[i].min;
		self->info.expires_max = v[i].max;
		self->key[BF_CT_EXPIRES] = v[i].seconds;
		EXPECT_FLAG(XT_CONNTRACK_EXPIRES, v[i].match);
	}
}

/* All options at once: each one alone can make the rule fail. */
TEST_F(conntrack, every_option_counts)
{
	static const struct {
		enum bf_field field;
		uint32_t other;
	} v[] = {
		{BF_CT_STATE, RELATED},	 {BF_CT_DIR, 1},	  {BF_CT_PROTO, 17},
		{BF_CT_ORIGSRC, 9},	 {BF_CT_ORIGDST, 9},	  {BF_CT_REPLSRC, 9},
		{BF_CT_REPLDST, 9},	 {BF_CT_ORIGSRC_PORT, 9}, {BF_CT_ORIGDST_PORT, 9},
		{BF_CT_REPLSRC_PORT, 9}, {BF_CT_REPLDST_PORT, 9}, {BF_CT_STATUS, 0},
		{BF_CT_EXPIRES, 9},
	};
	struct xt_conntrack_mtinfo3 *info = &self->info;
	uint32_t *key = self->key, saved;
	unsigned int i;

	info->match_flags = 0x1fff;
	info->state_mask = NEW;
	info->l4proto = key[BF_CT_PROTO] = 6;
	info->origsrc_mask.ip = info->origdst_mask.ip = ~0U;
	info->replsrc_mask.ip = info->repldst_mask.ip = ~0U;
	info->origsrc_addr.ip = htonl(key[BF_CT_ORIGSRC] = 1);
	info->origdst_addr.ip = htonl(key[BF_CT_ORIGDST] = 2);
	info->replsrc_addr.ip = htonl(key[BF_CT_REPLSRC] = 3);
	info->repldst_addr.ip = htonl(key[BF_CT_REPLDST] = 4);
	info->origsrc_port = info->origsrc_port_high = key[BF_CT_ORIGSRC_PORT] = 5;
	info->origdst_port = info->origdst_port_high = key[BF_CT_ORIGDST_PORT] = 6;
	info->replsrc_port = info->replsrc_port_high = key[BF_CT_REPLSRC_PORT] = 7;
	info->repldst_port = info->repldst_port_high = key[BF_CT_REPLDST_PORT] = 8;
	info->status_mask = key[BF_CT_STATUS] = IPS_ASSURED;
	info->expires_min = info->expires_max = key[BF_CT_EXPIRES] = 30;
	EXPECT_ALL(BF_MATCH);
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		saved = key[v[i].field];
		key[v[i].field] = v[i].other;
		EXPECT_ALL(BF_NO_MATCH);
		key[v[i].field] = saved;
	}
}

TEST(state)
{
	static const struct {
		uint32_t key, bit;
	} states[] = {
		{INVALID, XT_STATE_INVALID},
		{ESTABLISHED, XT_STATE_BIT(IP_CT_ESTABLISHED)},
		{RELATED, XT_STATE_BIT(IP_CT_RELATED)},
		{NEW, XT_STATE_BIT(IP_CT_NEW)},
		/* nat does not show in this match: its bit is that of UNTRACKED */
		{NEW | SNAT, XT_STATE_BIT(IP_CT_NEW)},
		{ESTABLISHED | SNAT | DNAT, XT_STATE_BIT(IP_CT_ESTABLISHED)},
		{UNTRACKED, XT_STATE_UNTRACKED},
	};
	uint32_t key[BF_NR_FIELDS] = {};
	unsigned int i, mask;

	for (mask = 0; mask < 1024; mask++)
		for (i = 0; i < ARRAY_SIZE(states); i++) {
			key[BF_CT_STATE] = states[i].key;
			EXPECT_EQ((mask & states[i].bit) != 0,
				  match_eval("state", 0, &mask, sizeof(mask), key))
			TH_LOG("mask 0x%x, state 0x%x", mask, states[i].key);
		}
}

TEST_HARNESS_MAIN
